"""Is a stored estimator, read again, the same: to the last bit, in what it goes on with, and safe to read?"""

import copy
import io
import pickle
import pkgutil
from functools import cache

import joblib
import numpy as np
import pytest
from sklearn.exceptions import InconsistentVersionWarning

import sk2layer
from sk2layer import TwoLayerClassifier, TwoLayerRegressor, solvers
from sk2layer.estimator import persistence
from sk2layer.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 3)) * [1.0, 10.0, 0.1] + [0.0, 50.0, 1.0]
wave = X[:, 0] + np.sin(X[:, 1]) + 5.0 * X[:, 2]
NUMBERS, COLUMNS = wave, np.column_stack([wave, -X[:, 1]])
TWO = np.where(wave > np.median(wave), "high", "low")
SEVERAL = np.digitize(wave, np.quantile(wave, [0.3, 0.7]))
LABELS = np.column_stack([wave > 5.0, X[:, 0] > 0.0]).astype(int)

PUBLIC = {TwoLayerRegressor, TwoLayerClassifier} | {getattr(solvers, name) for name in solvers.__all__}


def fits():
    """Yield how to fit, and to what: every kind of fitted state, with every kind of target."""
    for Estimator, y in [(TwoLayerRegressor, NUMBERS), (TwoLayerRegressor, COLUMNS)]:
        yield "evidence", Estimator(3, random_state=0), y
        yield "committee", Estimator(3, random_state=0, n_init=2, restarts="average"), y
    for y in (TWO, SEVERAL, LABELS):
        yield "evidence", TwoLayerClassifier(3, random_state=0), y
        yield "committee", TwoLayerClassifier(3, random_state=0, n_init=2, restarts="average"), y
    yield "ard", TwoLayerRegressor(3, alpha="ard", random_state=0), NUMBERS
    yield "warm evidence", TwoLayerRegressor(3, warm_start=True, max_iter=5, random_state=0), NUMBERS
    yield "generator", TwoLayerRegressor(3, random_state=np.random.RandomState(0)), NUMBERS
    yield "class weight", TwoLayerClassifier(3, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, random_state=0), SEVERAL
    for solver in SOLVERS:
        for warm_start in (False, True):
            settings = {"solver": solver, "max_iter": 4, "warm_start": warm_start, "random_state": 0}
            yield solver + " warm" * warm_start, TwoLayerRegressor(3, **settings), NUMBERS
            yield solver + " warm" * warm_start, TwoLayerClassifier(3, early_stopping=True, **settings), SEVERAL


FITS = list(fits())
IDS = [f"{name}-{type(model).__name__}" for name, model, _ in FITS]
every_fit = pytest.mark.parametrize(("model", "y"), [fit[1:] for fit in FITS], ids=IDS)


def skops_io():
    return pytest.importorskip("skops.io", reason="skops is not installed")


def by_pickle(model, tmp_path):
    return pickle.loads(pickle.dumps(model))


def by_copy(model, tmp_path):
    return copy.deepcopy(model)


def by_joblib(model, tmp_path):
    joblib.dump(model, tmp_path / "model.joblib")
    return joblib.load(tmp_path / "model.joblib", mmap_mode="r")


def by_skops(model, tmp_path):
    skops_io().dump(model, tmp_path / "model.skops")
    trusted = [name for name in untrusted(model) if pkgutil.resolve_name(name) in PUBLIC]
    return skops_io().load(tmp_path / "model.skops", trusted=trusted)


def untrusted(model):
    return skops_io().get_untrusted_types(data=skops_io().dumps(model))


every_route = pytest.mark.parametrize("route", [by_pickle, by_copy, by_joblib, by_skops])


def outputs(model):
    """Return all that the model can predict."""
    methods = [model.predict, *(getattr(model, name, None) for name in ("predict_proba", "decision_function"))]
    arrays = [method(X) for method in methods if method is not None]
    if hasattr(model, "noise_variance_"):
        arrays += [model.predict(X, return_std=True)[1], model.predict_interval(X)]
    return arrays


@cache
def fitted(number):
    """Return a network that has been fitted; nothing here changes it."""
    _, model, y = FITS[number]
    return copy.deepcopy(model).fit(X, y)


@every_route
@pytest.mark.parametrize("number", range(len(FITS)), ids=IDS)
def test_predictions_are_the_same_to_the_last_bit(route, number, tmp_path):
    model = fitted(number)
    for stored, original in zip(outputs(route(model, tmp_path)), outputs(model), strict=True):
        np.testing.assert_array_equal(stored, original)


@every_fit
def test_only_public_classes_have_to_be_trusted(model, y):
    model = copy.deepcopy(model).fit(X, y)
    assert {pkgutil.resolve_name(name) for name in untrusted(model)} <= PUBLIC
    if hasattr(model, "partial_fit"):
        model.set_params(early_stopping=False).partial_fit(X, y)
        assert {pkgutil.resolve_name(name) for name in untrusted(model)} <= PUBLIC


@every_route
@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
@pytest.mark.parametrize(("Estimator", "y"), [(TwoLayerRegressor, NUMBERS), (TwoLayerClassifier, SEVERAL)])
def test_a_stored_fit_goes_on_exactly(route, solver, Estimator, y, tmp_path):
    model = Estimator(3, solver=solver, max_iter=7, warm_start=True, random_state=0).fit(X, y)
    stored = route(model, tmp_path)
    curves = [each.fit(X, y).loss_curve_ for each in (stored, model)]
    assert curves[0] == curves[1]
    np.testing.assert_array_equal(stored.coefs_[0], model.coefs_[0])


@every_route
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize(("Estimator", "y"), [(TwoLayerRegressor, NUMBERS), (TwoLayerClassifier, SEVERAL)])
@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_a_stored_stream_goes_on_exactly(route, solver, Estimator, y, begin, tmp_path):
    model = Estimator(3, solver=solver, max_iter=3, random_state=0)
    getattr(model, begin)(X[:60], y[:60])
    stored = route(model, tmp_path)
    for each in (model, stored):
        each.partial_fit(X[60:], y[60:]).partial_fit(X, y)
    assert stored.loss_curve_ == model.loss_curve_
    np.testing.assert_array_equal(stored.coefs_[0], model.coefs_[0])


def test_storing_leaves_the_estimator_as_it_is():
    model = TwoLayerRegressor(3, warm_start=True, random_state=0).fit(X, NUMBERS)
    before = dict(vars(model))
    pickle.dumps(model)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


@every_fit
def test_what_is_stored_is_plain_data(model, y):
    """Every class of ours in a pickle, which names all that it makes, is public."""

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            found.add((module, name))
            return super().find_class(module, name)

    found = set()
    Reader(io.BytesIO(pickle.dumps(copy.deepcopy(model).fit(X, y)))).load()
    assert {
        pkgutil.resolve_name(f"{module}:{name}") for module, name in found if module.startswith("sk2layer")
    } <= PUBLIC


def test_dictionaries_of_others_are_kept():
    """A solver of one's own may keep in its state what it likes."""
    state = {"kind": "Weights", "pairs": [(1, {"kind": None})], 3: ()}
    assert persistence.from_plain(persistence.to_plain(state)) == state


def test_a_class_that_there_is_no_more_is_named():
    with pytest.raises(ValueError, match=r"another version of sk2layer: .* knows no PackedPosterior"):
        persistence.from_plain({"_posterior": {persistence.KIND: "PackedPosterior", "n_parameters": 1}})


def test_unfitted_estimators_are_stored_as_well(tmp_path):
    model = TwoLayerRegressor(7, solver=solvers.Adam(learning_rate=0.5))
    assert repr(by_pickle(model, tmp_path)) == repr(by_skops(model, tmp_path)) == repr(model)


@pytest.mark.parametrize("model", [TwoLayerRegressor(3), TwoLayerClassifier(3)])
def test_another_version_warns_with_both_numbers(model, monkeypatch):
    model = copy.deepcopy(model).fit(X, TWO if isinstance(model, TwoLayerClassifier) else NUMBERS)
    expected = model.predict(X)
    monkeypatch.setattr(persistence, "VERSION", "0.0.7")
    stored = pickle.dumps(model)
    monkeypatch.undo()
    with pytest.warns(InconsistentVersionWarning, match=r"sk2layer 0\.0\.7 and is read by sk2layer") as caught:
        read = pickle.loads(stored)
    assert sk2layer.__version__ in str(caught[0].message)
    np.testing.assert_array_equal(read.predict(X), expected)
    assert not any("version" in name for name in vars(read))


def test_a_file_without_a_version_warns_too():
    state = TwoLayerRegressor(3).__getstate__()
    del state[persistence.VERSION_KEY]
    with pytest.warns(InconsistentVersionWarning, match="unknown version"):
        TwoLayerRegressor().__setstate__(state)


def test_the_same_version_does_not_warn():
    pickle.loads(pickle.dumps(TwoLayerRegressor(3)))  # warnings are errors here
