"""Does a change that should move no bit move one? A record of small fits of all kinds.

    python tests/recorded_fits.py write FILE      before: fit all, and write what came of them
    python tests/recorded_fits.py compare FILE    after: fit all again, and print what differs

Recorded are digests of weights, curves and predictions, and all else that a fit leaves in its public attributes,
warns of, prints (but for the seconds) or raises. Only public names are used, so that the script runs unchanged while
the modules behind them are moved. Digests differ between machines and between versions of NumPy or BLAS: make both
runs on the same ones, and keep no record.
"""

import functools
import hashlib
import io
import json
import logging
import pickle
import re
import sys
import tempfile
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.callbacks import Checkpoint
from sk2layer.solvers import LBFGS, SGD, Adam, GradientDescent, LevenbergMarquardt

try:
    import dask.array as da
    from distributed import Client, LocalCluster
except ImportError:
    da = None

R = functools.partial(TwoLayerRegressor, hidden_units=3, random_state=0, max_iter=15)
C = functools.partial(TwoLayerClassifier, hidden_units=3, random_state=0, max_iter=15)
METHODS = {"predict": {}, "predict std": {"return_std": True}, "predict_interval": {}, "predict_proba": {}}
METHODS |= {"predict model std": {"return_std": True, "include_noise": False}, "decision_function": {}}
TARGETS = {
    "numbers": lambda Z: Z[:, 0],
    "two outputs": lambda Z: Z[:, :2] * [1.0, 100.0],
    "constant": lambda Z: np.full(len(Z), 3.0),
    "line": lambda Z: Z[:, 3],
    "noise": lambda Z: np.random.default_rng(2).normal(size=len(Z)),
    "two classes": lambda Z: np.where(Z[:, 0] > 0.3, "yes", "no"),
    "three classes": lambda Z: Z[:, :3].argmax(axis=1),
    "three labels": lambda Z: (Z[:, :3] > 0.3).astype(int),
}
FORMS = {
    "float64": np.asarray,
    "float32": np.float32,
    "sparse": lambda X: csr_matrix(np.where(np.median(X, axis=0) < X, X, 0.0)),
    "DataFrame": lambda X: pd.DataFrame(X, columns=[f"input {i}" for i in range(X.shape[1])]),
}


def data(kind="numbers", n=200, d=4, form="float64", seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    Z = np.column_stack([np.sin(2.0 * X[:, 0]) + X[:, 1] ** 2, X[:, 0] - X[:, 2], X[:, 2] * X[:, 3] + 0.5])
    y = TARGETS[kind](np.column_stack([Z + 0.2 * rng.normal(size=Z.shape), X[:, 0]]))
    return FORMS[form](X * (1.0 + np.arange(d)) + 10.0 / (1.0 + np.arange(d))), y


COUNTS = np.random.default_rng(2).integers(0, 4, 200).astype(float)
RELATIVE = np.random.default_rng(3).uniform(0.0, 0.1, 200)
VALIDATION = dict(zip(("X_val", "y_val"), data(n=60, seed=1), strict=True))
START = {"coefs_init": [np.full((4, 3), 0.1), np.eye(3, 1)], "intercepts_init": [np.arange(3.0), np.ones(1)]}


# ------------------------------------------------------- cases: each yields estimators, and the rows to predict from


def fit(model, kind="numbers", *, n=200, d=4, form="float64", then=lambda model: model, **given):
    X, y = data(kind, n, d, form)
    yield then(model.fit(X, y, **given)), X


def threads(case):
    with threadpool_limits(2, user_api="blas"):
        yield from case


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def warm(model, kind="numbers", *, seed=0, **changed):
    """A fit that goes on, with other data or parameters if they are given."""
    X, y = data(kind)
    yield model.set_params(warm_start=True, max_iter=4).fit(X, y), X
    X, y = data(kind, seed=seed)
    yield model.set_params(max_iter=12, **changed).fit(X, y), X


def batches(model, kind="numbers", *, form="float64", weight=None, **given):
    X, y = data(kind, form=form)
    given |= {"classes": range(3)} if kind == "three classes" else {}
    for start in (0, 50, 100, 0, 150):
        rows = slice(start, start + 50)
        yield model.partial_fit(X[rows], y[rows], sample_weight=None if weight is None else weight[rows], **given), X


def checkpoint(model, kind="numbers"):
    X, y = data(kind)
    with tempfile.TemporaryDirectory() as folder:
        callback = Checkpoint(Path(folder, "fit.checkpoint"), every_seconds=0.0)
        model.set_callbacks(callback).fit(X, y)
        yield callback.load(callback.path), X
        yield callback.resume(model.set_params(max_iter=12)).fit(X, y), X


def on_dask(model, kind="numbers", *, n=600, weight=None):
    X, y = (da.from_array(a, chunks=(n // 4, *a.shape[1:])) for a in data(kind, n))
    yield model.fit(X, y, None if weight is None else da.from_array(np.resize(weight, n), chunks=n // 4)), X


def on_cluster(case):
    logging.getLogger("distributed.batched").setLevel("ERROR")  # it tells of each connection that ends
    workers = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with LocalCluster(**workers) as cluster, Client(cluster):
        yield from case


SOLVERS = ("gd", "sgd", "adam", "lbfgs", "lm", "auto")
GIVEN, LM = {"solver": "lbfgs", "alpha": 0.1}, {"solver": "lm", "alpha": 0.1}
AVERAGE, WIDE = {"restarts": "average", "max_iter": 40}, {"hidden_units": 20, "max_iter": 3}
LARGE = {"n": 22_000, "d": 100}  # more than 16 MiB in float64
LONG = {"n": 24_000, "d": 10}  # threads share them
CASES = {
    **{f"regressor {name}": fit(R(solver=name, alpha=0.1)) for name in SOLVERS},
    **{f"classifier {name}": fit(C(solver=name, alpha=0.1), "two classes") for name in SOLVERS},
    "two outputs lm": fit(R(solver=LevenbergMarquardt(exact_hessian=False), alpha=0.1), "two outputs"),
    "two outputs adam": fit(R(solver=Adam(batch_size=64), alpha=0.1), "two outputs"),
    "three classes lm": fit(C(**LM), "three classes"),
    "three classes lbfgs": fit(C(solver=LBFGS(n_corrections=3), alpha=0.1), "three classes"),
    "three labels lm": fit(C(**LM), "three labels"),
    "relu lbfgs": fit(R(activation="relu", **GIVEN)),
    "relu lm": fit(C(activation="relu", **LM), "two classes"),
    "identity sgd": fit(R(solver=SGD(schedule="invscaling", shuffle=False), activation="identity")),
    "sgd adaptive": fit(C(solver=SGD(schedule="adaptive", nesterov=False), tol=1.0, max_iter=40), "two classes"),
    "sparse lbfgs": fit(R(**GIVEN), form="sparse"),
    "sparse lm": fit(C(**LM), "three classes", form="sparse"),
    "sparse adam as it is": fit(C(solver="adam", standardize=False), "two classes", form="sparse"),
    "float32 lbfgs": fit(R(**GIVEN), form="float32"),
    "float32 adam": fit(C(solver="adam"), "three classes", form="float32"),
    "counts lbfgs": fit(R(**GIVEN), sample_weight=COUNTS),
    "class_weight balanced": fit(C(class_weight="balanced", **LM), "three classes"),
    "early_stopping sgd": fit(C(solver="sgd", early_stopping=True, max_iter=60), "two classes"),
    "early_stopping lbfgs": fit(R(solver="lbfgs", early_stopping=True, max_iter=99), **VALIDATION),
    "adam X_val": fit(R(solver="adam", verbose=3), **VALIDATION, sample_weight_val=COUNTS[:60]),
    "coefs_init": fit(R(**GIVEN), **START),
    "textbook rule": fit(R(solver=GradientDescent(learning_rate=1e-3), standardize=False)),
    "restarts best": fit(R(n_init=3, **GIVEN)),
    "restarts in processes": fit(C(n_init=3, n_jobs=2, **LM), "two classes"),
    "constant target": fit(R(**GIVEN), "constant"),
    "evidence numbers": fit(R(max_iter=200), form="DataFrame"),
    "evidence tanh two outputs": fit(R(activation="tanh", max_iter=60), "two outputs"),
    "evidence two classes": fit(C(max_iter=100), "two classes"),
    "evidence three classes": fit(C(max_iter=60), "three classes", sample_weight=COUNTS),
    "evidence three labels": fit(C(activation="relu"), "three labels"),
    "evidence few rows": fit(R(max_iter=100), n=24),
    "evidence noise": fit(R(max_iter=200), "noise"),
    "evidence no noise": fit(R(activation="identity"), "line"),
    "evidence constant": fit(R(), "constant"),
    "evidence relative": fit(R(max_iter=40, verbose=5), sample_weight=RELATIVE),
    "evidence large weights": fit(R(max_iter=40), sample_weight=COUNTS + 2.5),
    "evidence class_weight": fit(C(class_weight={"no": 2.0}), "two classes", sample_weight=RELATIVE),
    "evidence sparse": fit(R(max_iter=40), form="sparse"),
    "evidence float32": fit(R(max_iter=40), form="float32"),
    "evidence 1100 inputs": fit(C(max_iter=3), "two classes", d=1100, form="sparse"),
    "evidence adam": fit(R(solver="adam", alpha="evidence")),
    "evidence gd": fit(C(solver="gd", alpha="evidence"), "three classes"),
    "evidence lm": fit(R(solver="lm"), "two outputs"),
    "ard numbers": fit(R(alpha="ard", max_iter=100), d=7),
    "ard two classes": fit(C(alpha="ard", max_iter=60), "two classes", d=7, n=300),
    "average": fit(R(n_init=3, **AVERAGE)),
    "average in processes": fit(C(n_init=2, n_jobs=2, **AVERAGE), "three classes"),
    "parts of rows": fit(R(max_iter=40), n=9000, d=6),
    "parts of rows and classes": fit(C(max_iter=25), "three classes", n=9000, d=6),
    "parts of rows ard": fit(R(alpha="ard", max_iter=25), "two outputs", n=9000, d=6),
    **{f"warm {name}": warm(R(solver=name, alpha=0.1)) for name in ("gd", "adam", "lbfgs", "lm")},
    "warm evidence": warm(C(), "two classes"),
    "warm ard, other data": warm(R(alpha="ard"), seed=1),
    "warm sgd, other solver": warm(C(solver="sgd", alpha=0.1), "three classes", solver="lbfgs"),
    "partial_fit adam": batches(R(solver="adam")),
    "partial_fit adam, total known": batches(R(solver="adam"), n_samples_total=200),
    "partial_fit sgd": batches(C(solver="sgd"), "three classes", form="sparse", weight=COUNTS + 1.0),
    "pickled evidence": fit(R(), "two outputs", then=pickled),
    "pickled sgd": fit(C(solver="sgd"), "two classes", then=pickled),
    "to_mlp": fit(C(**GIVEN), "three classes", then=TwoLayerClassifier.to_mlp),
    "large lbfgs": fit(R(max_iter=2, **GIVEN), **LARGE),
    "large adam": fit(C(solver=Adam(batch_size=10_000), max_iter=2), "three classes", **LARGE),
    "large float32": fit(R(solver="sgd", max_iter=1), form="float32", n=44_000, d=100),
    "large float32 evidence": fit(R(max_iter=1), form="float32", n=44_000, d=100),
    "large evidence": threads(fit(R(max_iter=2), **LARGE)),
    "threads lbfgs": threads(fit(R(**WIDE, **GIVEN), **LONG)),
    "threads lm": threads(fit(C(max_iter=3, **LM), "three classes", **LONG)),
    "threads adam": threads(fit(R(solver=Adam(batch_size=10_000), **WIDE), "two outputs", **LONG)),
    "threads n_jobs": fit(C(solver="gd", n_jobs=2, **WIDE), "two classes", **LONG),
    "threads evidence": threads(fit(R(**WIDE), **LONG)),
    "threads sparse": threads(fit(R(hidden_units=100, max_iter=2, **GIVEN), n=90_000, form="sparse")),
    "error: diverges": fit(R(solver=GradientDescent(learning_rate=1e3), standardize=False, max_iter=999)),
    "error: alpha": fit(R(alpha=-1.0)),
    "error: solver": fit(R(solver="newton")),
    "error: weight": fit(R(), sample_weight=-COUNTS),
    "error: one class": fit(C(), "constant"),
    "error: X_val": fit(R(solver="adam"), X_val=COUNTS[:60, np.newaxis], y_val=COUNTS[:60]),
}
if hasattr(TwoLayerRegressor, "set_callbacks"):
    CASES["checkpoint adam"] = checkpoint(R(solver="adam", max_iter=5))
    CASES["checkpoint evidence"] = checkpoint(C(max_iter=5), "three classes")
if da is not None:
    CASES["dask lm"] = on_dask(R(max_iter=5, **LM))
    CASES["dask evidence"] = on_dask(C(max_iter=5), "three classes", weight=COUNTS)
    CASES["cluster lbfgs"] = on_cluster(on_dask(R(**GIVEN), "two outputs", weight=RELATIVE))
    CASES["cluster ard"] = on_cluster(on_dask(R(alpha="ard", max_iter=4)))


# ------------------------------------------------------------------------------------------------------- the record


def text(value):
    """Return plain text that is the same for the same bits only."""
    if isinstance(value, (list, tuple)) and any(isinstance(part, np.ndarray) for part in value):
        return ", ".join(map(text, value))
    if isinstance(value, (list, np.ndarray)):
        array = np.asarray(value)
        content = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
        return f"{array.dtype} {array.shape} {hashlib.sha256(content).hexdigest()}"
    return repr(value)


def predictions(model, X):
    for name, options in METHODS.items():
        method = getattr(model, name.split()[0], None)
        if method is None or (options and not hasattr(model, "predict_interval")):
            continue
        try:
            answer = method(X, **options)
        except ValueError as error:
            yield name, str(error)
        else:
            yield name, tuple(map(np.asarray, answer)) if isinstance(answer, tuple) else np.asarray(answer)


def sorted_names(found):
    """Return a set's names in an order that does not depend on their hashes."""
    return f"{{{', '.join(sorted(found[1].split(', ')))}}}"


def record(name, case):
    """Return what came of a case, as texts by item; only those named "error" may raise."""
    items, printed = {}, io.StringIO()
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            for i, (model, X) in enumerate(case):
                public = {key: value for key, value in vars(model).items() if key.endswith("_") and key[0] != "_"}
                for item, value in [*public.items(), *predictions(model, X)]:
                    items[f"{i} {item}"] = text(value)
        except Exception as error:
            if not name.startswith("error"):
                raise
            items["error"] = re.sub(r"{(.*?)}", sorted_names, f"{type(error).__name__}: {error}")
    items["printed"] = re.sub(r" +\d+\.\d\d s$", "", printed.getvalue(), flags=re.MULTILINE)
    items["warnings"] = "\n".join(f"{warning.category.__name__}: {warning.message}" for warning in caught)
    return items


def differences(before, after):
    for name in before | after:
        mine, its = before.get(name, {}), after.get(name, {})
        for item in mine | its:
            if mine.get(item) != its.get(item):
                yield f"{name}: {item}\n  before: {mine.get(item)}\n  after:  {its.get(item)}"


def main(command, path):
    if command not in ("write", "compare"):
        raise SystemExit(__doc__)
    before = json.loads(Path(path).read_text()) if command == "compare" else None
    with threadpool_limits(1):
        found = {name: record(name, case) for name, case in CASES.items()}
    if before is None:
        Path(path).write_text(json.dumps(found, indent=1))
        return print(f"{len(found)} fits are recorded")
    differing = list(differences(before, found))
    print("\n".join(differing) or f"{len(found)} fits are the same")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
