"""What does a fit with default settings cost, and how well does it predict, beside the defaults of scikit-learn?

Ours and the peers in turn in one run, on one thread; medians over `--repeats`, each with other data and starts.

    regression   friedman1 with noise 1, R2 on 5000 fresh rows and coverage of 95 % intervals: TwoLayerRegressor(),
                 MLPRegressor() with X and y scaled, HistGradientBoostingRegressor()
    classes      TwoLayerClassifier(), MLPClassifier() with X scaled, 4 folds: accuracy and log loss
    coverage     of 95 % intervals: friedman1 of several sizes, 60 inputs, two outputs, sparse inputs; by the exact
                 curvature and by its Kronecker-factored form
    small        coverage where rows are few, over four functions
    made         30 made tables (`_made.py`), ratio of RMSE or log loss on fresh rows to that of a constant, and to the
                 better of a ridge or logistic regression with searched penalty
    large        1,000,000 x 10: seconds, R2 and memory beyond X

    python docs/benchmarks/default_fit.py [--only regression classes ...] [--repeats 3] [--quick]

The UCI sets are in `uci_regression.py`, other classification sets in `classification.py`.
"""

import argparse
import resource
import time
import warnings

import numpy as np
from _made import TABLES
from _models import scaled
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_classification, make_friedman1
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.evidence import report

SIZES = [(300, 10), (1000, 10), (3000, 10), (10000, 10), (30000, 10), (100000, 10), (3000, 60)]
CLASSES = {
    "breast cancer": (load_breast_cancer, {"return_X_y": True}, 20),
    "iris": (load_iris, {"return_X_y": True}, 20),
    "wine": (load_wine, {"return_X_y": True}, 20),
    "digits": (load_digits, {"return_X_y": True}, 20),
    "11 classes": (
        make_classification,
        {
            "n_samples": 1000,
            "n_features": 11,
            "n_informative": 9,
            "n_redundant": 0,
            "n_classes": 11,
            "n_clusters_per_class": 1,
            "random_state": 0,
        },
        50,
    ),
    "3000 x 100": (
        make_classification,
        {"n_samples": 3000, "n_features": 100, "n_informative": 10, "random_state": 0},
        50,
    ),
}


def timed(model, X, y):
    """Fit; return the seconds."""
    began = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - began


def share_inside(model, X, y):
    """Return the share of rows whose y is in its 95 % interval."""
    interval = model.predict_interval(X)
    return float(np.mean((interval[..., 0] <= y) & (y <= interval[..., 1])))


def regressors(seed):
    """Return the models by name."""
    network = TransformedTargetRegressor(scaled(MLPRegressor(random_state=seed)), transformer=StandardScaler())
    return {
        "sk2layer": TwoLayerRegressor(random_state=seed),
        "MLPRegressor, scaled": network,
        "gradient boosting": HistGradientBoostingRegressor(random_state=seed),
    }


def regression(options):
    """Print friedman1 of several sizes."""
    print(f"\nfriedman1, noise 1\n{'rows x inputs':16}{'':22}{'seconds':>9}{'(range)':>16}{'R2':>9}{'coverage':>10}")
    for n, d in options.sizes:
        rows = {}
        for seed in range(options.repeats if n < 30000 else 1):
            X, y = make_friedman1(n, d, noise=1.0, random_state=seed)
            X_test, y_test = make_friedman1(5000, d, noise=1.0, random_state=10**6 + seed)
            for name, model in regressors(seed).items():
                seconds = timed(model, X, y)
                covered = share_inside(model, X_test, y_test) if name == "sk2layer" else np.nan
                rows.setdefault(name, []).append((seconds, r2_score(y_test, model.predict(X_test)), covered))
        for name, values in rows.items():
            seconds, r2, covered = np.array(values).T
            cells = f"{np.median(seconds):9.2f}{f'({seconds.min():.2f}-{seconds.max():.2f})':>16}{np.median(r2):9.3f}"
            print(f"{f'{n} x {d}':16}{name:22}{cells}{np.median(covered):10.3f}", flush=True)


def classifiers(units, seed):
    """Return the models by name."""
    return {
        "sk2layer": TwoLayerClassifier(units, random_state=seed),
        "MLPClassifier, scaled": scaled(MLPClassifier(random_state=seed)),
        "gradient boosting": HistGradientBoostingClassifier(random_state=seed),
    }


def classes(options):
    """Print the classification sets."""
    print(f"\n4 folds\n{'':16}{'units':>6} {'':22}{'seconds':>9}{'accuracy':>10}{'log loss':>10}")
    for name, (load, arguments, units) in CLASSES.items():
        if options.quick and name != "iris":
            continue
        X, y = load(**arguments)
        rows = {}
        splitter = StratifiedKFold(4, shuffle=True, random_state=0)
        for seed, (train, test) in enumerate(splitter.split(X, y)):
            for model_name, model in classifiers(units, seed).items():
                seconds = timed(model, X[train], y[train])
                p = model.predict_proba(X[test])
                scores = accuracy_score(y[test], p.argmax(axis=1)), log_loss(y[test], p)
                rows.setdefault(model_name, []).append((seconds, *scores))
        for model_name, values in rows.items():
            seconds, accuracy, loss = np.array(values).T
            cells = f"{np.median(seconds):9.2f}{accuracy.mean():10.3f}{loss.mean():10.3f}"
            print(f"{name:16}{units:6} {model_name:22}{cells}", flush=True)


def made_sparse(n, seed):
    """Return sparse inputs and a smooth function of a few."""
    rng = np.random.default_rng(seed)
    X = sparse.random(
        n, 200, density=0.05, format="csr", random_state=seed, data_rvs=lambda size: rng.normal(size=size)
    )
    Z = X[:, :10].toarray()
    return X, np.sin(Z[:, 0]) + Z[:, 1:6].sum(axis=1) + 0.3 * rng.normal(size=n)


def two_outputs(n, seed):
    """Return friedman1 and a second function of its inputs with another noise."""
    X, y = make_friedman1(n, noise=1.0, random_state=seed)
    return X, np.column_stack([y, np.sin(3.0 * X[:, 0]) + X[:, 1] + 0.1 * np.random.default_rng(seed).normal(size=n)])


COVERED = {
    "friedman1, 100 x 10": lambda n, seed: make_friedman1(n or 100, noise=1.0, random_state=seed),
    "friedman1, 300 x 10": lambda n, seed: make_friedman1(n or 300, noise=1.0, random_state=seed),
    "friedman1, 1000 x 10": lambda n, seed: make_friedman1(n or 1000, noise=1.0, random_state=seed),
    "friedman1, 10000 x 10": lambda n, seed: make_friedman1(n or 10000, noise=1.0, random_state=seed),
    "friedman1, 3000 x 60": lambda n, seed: make_friedman1(n or 3000, 60, noise=1.0, random_state=seed),
    "two outputs, 1000 x 10": lambda n, seed: two_outputs(n or 1000, seed),
    "sparse, 2000 x 200": lambda n, seed: made_sparse(n or 2000, seed),
}


def coverage(options):
    """Print the coverage of 95 % intervals by both forms of the curvature."""
    repeats = 1 if options.quick else max(options.repeats, 5)
    print(f"\n95 % intervals on 5000 fresh rows, mean of {repeats}\n{'':26}{'as by default':>15}{'Kronecker':>12}")
    for name, make in COVERED.items():
        shares = []
        for seed in range(repeats):
            (X, y), (X_test, y_test) = make(None, seed), make(5000, 10**6 + seed)
            shares.append([_covered(limit, seed, X, y, X_test, y_test) for limit in (report.AFFORDABLE_LOOK, 0.0)])
        print(f"{name:26}{np.mean(shares, axis=0)[0]:15.3f}{np.mean(shares, axis=0)[1]:12.3f}", flush=True)
        if options.quick:
            break


def _covered(limit, seed, X, y, X_test, y_test):
    """Return the share inside for a fit whose last look may take so many seconds."""
    usual, report.AFFORDABLE_LOOK = report.AFFORDABLE_LOOK, limit
    try:
        return share_inside(TwoLayerRegressor(random_state=seed).fit(X, y), X_test, y_test)
    finally:
        report.AFFORDABLE_LOOK = usual


FUNCTIONS = {
    "line": lambda x: x,
    "sine": lambda x: np.sin(2.0 * x),
    "bend": np.tanh,
    "parabola": lambda x: x**2,
}


def small(options):
    """Print the coverage where rows are few."""
    sets = 2 if options.quick else 60
    print(f"\n95 % intervals, {sets} sets each, noise .2\n{'rows':8}" + "".join(f"{name:>10}" for name in FUNCTIONS))
    for n in [8, 10, 15, 20, 30]:
        means = []
        for f in FUNCTIONS.values():
            shares = []
            for seed in range(sets):
                rng = np.random.default_rng(seed)
                x, x_test = rng.uniform(-2.0, 2.0, (n, 1)), rng.uniform(-2.0, 2.0, (500, 1))
                y, y_test = (f(part[:, 0]) + 0.2 * rng.normal(size=len(part)) for part in (x, x_test))
                shares.append(share_inside(TwoLayerRegressor(random_state=seed).fit(x, y), x_test, y_test))
            means.append(np.mean(shares))
        print(f"{n:<8}" + "".join(f"{mean:10.3f}" for mean in means) + f"   mean {np.mean(means):.3f}", flush=True)


def made(options):
    """Print how the made tables are predicted."""
    head = f"{'seconds':>9}{'/ constant':>12}{'/ linear':>10}{'effective parameters':>22}"
    print(f"\nratios of RMSE or log loss on fresh rows\n{'':38}{head}")
    worst = []
    for name, make in list(TABLES.items())[: 2 if options.quick else None]:
        X, y = make(0)
        n = len(y) // 2 if len(y) >= 4000 else len(y)
        X, y, X_test, y_test = _parts(make, n)
        seconds, ours, constant, linear, model = _scores(X, y, X_test, y_test)
        worst.append((ours / constant, ours / linear))
        cells = f"{seconds:9.2f}{ours / constant:12.3f}{ours / linear:10.3f}{model.effective_n_parameters_:22.1f}"
        print(f"{name:38}{cells}", flush=True)
    ratios = np.array(worst)
    print(
        f"at most 1.01 times the constant: {np.sum(ratios[:, 0] <= 1.01)} of {len(ratios)}; "
        f"within 3 % of the better of constant and linear: "
        f"{np.sum(ratios.max(axis=1) <= 1.03)} of {len(ratios)}"
    )


def _parts(make, n):
    """Return training rows and fresh rows of one table: the maker draws its function with its first numbers."""
    X, y = make.func(make.args[0], n + max(n, 2000), *make.args[2:], 0)
    return X[:n], y[:n], X[n:], y[n:]


def _scores(X, y, X_test, y_test):
    """Return seconds, our score, that of a constant and of the linear model, and our model."""
    if y.dtype.kind == "f":
        model, linear = TwoLayerRegressor(random_state=0), scaled(RidgeCV(np.logspace(-2, 4, 13)))
        seconds = timed(model, X, y)
        linear.fit(X, y)
        ours, theirs = (root_mean_squared_error(y_test, each.predict(X_test)) for each in (model, linear))
        return seconds, ours, np.sqrt(np.mean((y_test - y.mean()) ** 2)), theirs, model
    model, linear = TwoLayerClassifier(random_state=0), scaled(LogisticRegressionCV(Cs=8, scoring="neg_log_loss"))
    seconds = timed(model, X, y)
    linear.fit(X, y)
    ours, theirs = (log_loss(y_test, each.predict_proba(X_test), labels=[0, 1]) for each in (model, linear))
    return seconds, ours, log_loss(y_test, np.full(len(y_test), y.mean()), labels=[0, 1]), theirs, model


def large(options):
    """Print a fit of a million rows."""
    n = 10**4 if options.quick else 10**6
    X, y = make_friedman1(n, noise=1.0, random_state=0)
    X_test, y_test = make_friedman1(5000, noise=1.0, random_state=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = TwoLayerRegressor(random_state=0)
    seconds = timed(model, X, y)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    covered = share_inside(model, X_test, y_test)
    print(f"\n{n} x 10: {seconds:.1f} s, R2 {model.score(X_test, y_test):.4f}, coverage {covered:.3f}, {more:.0f} MiB")


PARTS = {part.__name__: part for part in (regression, classes, coverage, small, made, large)}


def main():
    """Print the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    options = parser.parse_args()
    options.sizes = [(200, 5)] if options.quick else SIZES
    options.repeats = 1 if options.quick else options.repeats
    print("1 thread; ours and the peers in turn")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged, and of constants
        for name in options.only:
            PARTS[name](options)


if __name__ == "__main__":
    main()
