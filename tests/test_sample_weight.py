"""Is a weight a number of rows: 2 the row twice, 0 the row absent, whatever is fitted and however?"""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.model_selection import KFold, cross_val_score

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FULL_BATCH = [name for name in SOLVERS if not SOLVERS[name].supports_partial_fit]
MINI_BATCH = [name for name in SOLVERS if SOLVERS[name].supports_partial_fit]
KINDS = ["numbers", "several numbers", "two classes", "three classes", "several labels"]

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3)) * [1.0, 30.0, 0.01]
X[rng.random(X.shape) < 0.2] = 0.0
SIGNAL = X @ [[1.0, 0.0], [0.03, -0.03], [50.0, 100.0]] + 0.1 * rng.normal(size=(40, 2))
COUNTS = rng.integers(0, 4, 40)
COUNTS[0] = 0


def target(kind):
    return {
        "numbers": 1e3 * SIGNAL[:, 0],
        "several numbers": SIGNAL * [1.0, 1e4],
        "two classes": np.where(SIGNAL[:, 0] > 0.0, "b", "a"),
        "three classes": (SIGNAL[:, 0] > 0.0).astype(int) + (SIGNAL[:, 1] > 0.5),
        "several labels": (SIGNAL > 0.0).astype(int),
    }[kind]


def fitted(kind, X, y, sample_weight=None, **params):
    Estimator = TwoLayerRegressor if "numbers" in kind else TwoLayerClassifier
    params = {"hidden_units": 3, "random_state": 0, "max_iter": 8, "tol": 0.0, **params}
    return Estimator(**params).fit(X, y, sample_weight)


def assert_same(one, other, tolerance=1e-7):
    for mine, its in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        np.testing.assert_allclose(mine, its, rtol=tolerance, atol=tolerance * np.abs(its).max())
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=tolerance)


@pytest.mark.parametrize("solver", FULL_BATCH)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
@pytest.mark.parametrize("convert", [np.asarray, csr_array])
def test_weights_are_repetitions(solver, kind, standardize, convert):
    y, params = target(kind), {"solver": solver, "standardize": standardize}
    if not standardize:
        params["max_iter"] = 5  # raw columns of these scales: far from any minimum, but exactly as far
    weighted = fitted(kind, convert(X), y, COUNTS, **params)
    repeated = fitted(kind, convert(np.repeat(X, COUNTS, axis=0)), np.repeat(y, COUNTS, axis=0), **params)
    assert_same(weighted, repeated)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_weight_zero_is_absent(solver, kind):
    """Also for mini-batch solvers, whose batches it does not enter: to the last bit."""
    y = target(kind)
    present = np.arange(40) % 4 > 0
    weight = present * np.linspace(0.5, 2.0, 40)
    X_with_nonsense = np.where(present[:, np.newaxis], X, 1e9)
    solver = SOLVERS[solver](batch_size=8) if solver in MINI_BATCH else solver
    with_zeros = fitted(kind, X_with_nonsense, y, weight, solver=solver)
    without = fitted(kind, X[present], y[present], weight[present], solver=solver)
    assert_same(with_zeros, without, 0.0)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_equal_weights_are_none(solver, kind):
    y = target(kind)
    assert_same(fitted(kind, X, y, np.ones(40), solver=solver), fitted(kind, X, y, solver=solver))


@pytest.mark.parametrize("solver", FULL_BATCH)
@pytest.mark.parametrize("kind", KINDS)
def test_the_scale_of_weights_is_that_of_the_penalty(solver, kind):
    """The sum of losses grows with the weights, and alpha with it: the same minimum."""
    y, weight = target(kind), np.linspace(0.5, 2.0, 40)
    one = fitted(kind, X, y, weight, solver=solver, alpha=0.5)
    assert_same(one, fitted(kind, X, y, 100.0 * weight, solver=solver, alpha=50.0))


@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_decide(solver):
    """Two targets at the same place: the prediction is their weighted mean."""
    X, y, weight = np.zeros((20, 1)), np.repeat([0.0, 10.0], 10), np.repeat([3.0, 1.0], 10)
    params = {"solver": solver, "max_iter": 3000, "tol": 1e-6, "n_iter_no_change": 200}
    model = fitted("numbers", X, y, weight, **params)
    np.testing.assert_allclose(model.predict(X), 2.5, atol=0.02)
    model = fitted("two classes", X, y, weight, **params)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 0.25, atol=0.01)


# -------------------------------------------------------------------------------------------------------- class weights


@pytest.mark.parametrize("solver", SOLVERS)
def test_class_weights_are_sample_weights(solver):
    y, weight = target("two classes"), np.linspace(0.5, 2.0, 40)
    by_class = fitted("two classes", X, y, weight, solver=solver, class_weight={"a": 3.0})
    by_sample = fitted("two classes", X, y, weight * np.where(y == "a", 3.0, 1.0), solver=solver)
    assert_same(by_class, by_sample, 1e-12)


@pytest.mark.parametrize("kind", ["two classes", "three classes"])
@pytest.mark.parametrize("weight", [None, np.linspace(0.5, 2.0, 40)], ids=["", "weighted"])
def test_balanced_classes_have_the_same_total(kind, weight):
    y = target(kind)
    weight_or_one = np.ones(40) if weight is None else weight
    classes = np.unique(y)
    share = weight_or_one.sum() / len(classes)
    by_hand = {label: share / weight_or_one[y == label].sum() for label in classes}
    assert_same(fitted(kind, X, y, weight, class_weight="balanced"), fitted(kind, X, y, weight, class_weight=by_hand))


def test_balanced_classes_are_predicted_as_often():
    y = np.repeat(["rare", "common"], [4, 36])
    as_they_are, balanced = (fitted("two classes", X, y, alpha=1e4, class_weight=way) for way in (None, "balanced"))
    np.testing.assert_allclose(as_they_are.predict_proba(X)[:, 1], 0.1, atol=0.02)
    np.testing.assert_allclose(balanced.predict_proba(X)[:, 1], 0.5, atol=0.02)


def test_a_class_without_weight_is_never_predicted():
    y = target("three classes")
    model = fitted("three classes", X, y, class_weight={1: 0.0}, max_iter=200)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert 1 not in model.predict(X)
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("class_weight", ["balanced", {"a": 2.0}])
def test_classes_that_are_yet_to_come_have_class_weights(class_weight):
    model = TwoLayerClassifier(3, solver="adam", class_weight=class_weight, random_state=0)
    model.partial_fit(X[:5], ["a"] * 5, classes=["a", "b"]).partial_fit(X[5:10], ["b"] * 5)
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_that_a_fold_lacks_are_passed_over(seed):
    y = np.random.default_rng(seed).choice(["a", "b", "c"], 40)
    some = y != "c"
    for weights in ({"a": 2.0, "c": 5.0}, {"c": 5.0}):
        its = {label: weight for label, weight in weights.items() if label != "c"} or None
        expected = fitted("two classes", X[some], y[some], class_weight=its)
        assert_same(fitted("two classes", X[some], y[some], class_weight=weights), expected)
    rare = np.where(np.arange(40) < 2, "rare", y)
    model = TwoLayerClassifier(2, alpha=1.0, class_weight={"rare": 9.0, "a": 2.0}, random_state=0)
    assert np.isfinite(cross_val_score(model, X, rare, cv=KFold(4), error_score="raise")).all()


# ---------------------------------------------------------------------------------------- validation data have them too


@pytest.mark.parametrize("class_weight", ["balanced", {"a": 3.0, "b": 0.5}, {"a": 0.0}], ids=str)
@pytest.mark.parametrize("kind", ["two classes", "three classes"])
def test_class_weights_are_those_of_validation_data_too(kind, class_weight):
    """Those of the training data, in X_val as in the part that is set aside."""
    y, weight = target(kind), np.linspace(0.5, 2.0, 40)
    names = np.unique(y)
    if isinstance(class_weight, dict):
        class_weight = dict(zip(names, class_weight.values(), strict=False))
        its = {label: class_weight.get(label, 1.0) for label in names}
    else:
        its = {label: 1.0 / weight[y == label].sum() for label in names}
    by_sample = np.array([its[label] for label in y]) * weight
    model = TwoLayerClassifier(3, solver="lbfgs", alpha=1.0, random_state=0, max_iter=20, class_weight=class_weight)
    model.fit(X, y, weight, X_val=X[10:], y_val=y[10:], sample_weight_val=weight[10:])
    curve = model.validation_loss_curve_
    p = model.predict_proba(X[10:])[np.arange(30), np.searchsorted(names, y[10:])]
    assert curve[-1] == pytest.approx(-np.average(np.log(p), weights=by_sample[10:]), rel=1e-9)
    model.fit(X, y, weight, X_val=X[10:], y_val=y[10:])
    p = model.predict_proba(X[10:])[np.arange(30), np.searchsorted(names, y[10:])]
    expected = -np.average(np.log(p), weights=by_sample[10:] / weight[10:])
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)


def test_validation_data_without_any_weight_are_an_error():
    y = target("two classes")
    model = TwoLayerClassifier(2, alpha=1.0, class_weight={"a": 0.0, "b": 1.0})
    with pytest.raises(ValueError, match="class_weight must not be zero for all samples of X_val"):
        model.fit(X, np.where(np.arange(40) < 20, "a", y), X_val=X[:5], y_val=["a"] * 5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_validation_loss_is_weighted(kind):
    y = target(kind)
    Estimator = TwoLayerRegressor if "numbers" in kind else TwoLayerClassifier
    model = Estimator(3, random_state=0, max_iter=20)
    repeated_X, repeated_y = np.repeat(X, COUNTS, axis=0), np.repeat(y, COUNTS, axis=0)
    weighted = model.fit(X, y, X_val=X, y_val=y, sample_weight_val=COUNTS).validation_loss_curve_
    repeated = model.fit(X, y, X_val=repeated_X, y_val=repeated_y).validation_loss_curve_
    np.testing.assert_allclose(weighted, repeated, rtol=1e-9)


def test_weights_of_the_part_set_aside_count():
    y = target("numbers")
    weight = np.where(np.arange(40) % 2, 1e-9, 1.0)
    model = fitted("numbers", X, y, weight, early_stopping=True, validation_fraction=0.5, alpha=1.0)
    others = np.where(np.arange(40) % 2, 100.0 * y + 1.0, y)
    changed = fitted("numbers", X, others, weight, early_stopping=True, validation_fraction=0.5, alpha=1.0)
    np.testing.assert_allclose(changed.validation_loss_curve_, model.validation_loss_curve_, rtol=0.01)
