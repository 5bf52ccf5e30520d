"""Is a weight a number of rows, 2 the row twice and 0 the row absent, and do small weights compare the rows?"""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.ensemble import AdaBoostClassifier
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.model_selection import KFold, cross_val_score
from slow import seeds

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
    with_zeros = fitted(kind, X_with_nonsense, y, weight, alpha=1.0, solver=solver)
    without = fitted(kind, X[present], y[present], weight[present], alpha=1.0, solver=solver)
    assert_same(with_zeros, without, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_weight_zero_is_absent_for_the_evidence(kind):
    y, present = target(kind), np.arange(40) % 4 > 0
    weight = present * np.linspace(0.5, 2.0, 40)
    with_zeros = fitted(kind, np.where(present[:, np.newaxis], X, 1e9), y, weight)
    assert_same(with_zeros, fitted(kind, X[present], y[present], weight[present]), 1e-9)


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


# ----------------------------------------------------------------------------------  weights that only compare the rows


def sine(seed, n_samples=120):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.0, 3.0, (n_samples, 2))
    return X, np.sin(2.0 * X[:, 0]) + 0.1 * rng.normal(size=n_samples)


@pytest.mark.parametrize("weight", [1.0 / 120.0, 0.01, 1e-300])
@seeds(3)
def test_small_equal_weights_are_none_by_evidence(seed, weight):
    X, y = sine(seed)
    model = TwoLayerRegressor(6, random_state=seed)
    expected, noise = model.fit(X, y).predict(X), model.noise_variance_
    np.testing.assert_allclose(model.fit(X, y, np.full(120, weight)).predict(X), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.noise_variance_, noise, rtol=1e-4)
    assert model.score(X, y) > 0.95


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
@pytest.mark.parametrize("kind", KINDS)
def test_the_scale_of_weights_below_one_in_the_mean_is_nothing(solver, kind):
    y, weight = target(kind), np.linspace(0.5, 2.0, 40) / 1.25
    params = {"max_iter": 2} if solver == "auto" else {"solver": solver, "alpha": 1.0}
    one = fitted(kind, X, y, weight, **params)
    assert_same(fitted(kind, X, y, 1e-3 * weight, **params), one)
    assert_same(fitted(kind, X, y, (1.0 + 1e-12) * weight, **params), one)  # nothing jumps at a mean of one


def test_the_mean_is_that_of_rows_that_have_a_weight():
    y, some = target("numbers"), np.arange(40) % 4 == 0
    for weight in (1.0, 0.1):
        assert_same(fitted("numbers", X, y, weight * some), fitted("numbers", X[some], y[some]))


@pytest.mark.parametrize("solver", MINI_BATCH)
def test_batches_go_by_their_own_mean(solver):
    y = target("numbers")
    one, other = (TwoLayerRegressor(3, solver=solver, random_state=0) for _ in range(2))
    for rows in (slice(0, 20), slice(20, 40)):
        one.partial_fit(X[rows], y[rows])
        other.partial_fit(X[rows], y[rows], np.full(20, 0.05))
    assert_same(one, other)


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
@seeds(2)
def test_boosting_gives_weights_that_sum_to_one(load, seed):
    X, y = load(return_X_y=True)
    boosted = AdaBoostClassifier(TwoLayerClassifier(4, random_state=0), n_estimators=5, random_state=seed)
    assert boosted.fit(X, y).score(X, y) >= 0.95


def test_weights_that_are_no_counts_and_no_comparison_warn_where_they_count():
    X, y = sine(0)
    sd = np.random.default_rng(1).uniform(0.05, 0.2, 120)
    with pytest.warns(
        UserWarning, match=r"120 rows count as 1.*e\+04 observations, .* divide it by its mean"
    ) as caught:
        TwoLayerRegressor(3, random_state=0).fit(X, y, 1.0 / sd**2)
    assert [warning.filename for warning in caught] == [__file__]
    relative = 1.0 / sd**2 / np.mean(1.0 / sd**2)
    for alpha, weight in [(1.0, 1.0 / sd**2), ("auto", relative), ("auto", np.full(120, 7)), ("auto", [3.0] * 120)]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.filterwarnings("ignore", ".* has not converged")
            TwoLayerRegressor(3, alpha=alpha, random_state=0).fit(X, y, weight)


@pytest.mark.parametrize("convert", [np.asarray, csr_array, np.float32])
@pytest.mark.parametrize("weight", [2e-6, 1e10, 1e29 / 120.0])
def test_a_total_weight_is_no_number_of_rows(convert, weight):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(2000, 2021, 120), rng.normal(size=120), np.full(120, 0.1)])
    y = 0.3 * X[:, 0] + X[:, 1]
    scale = max(weight, 1.0)
    plain = fitted("numbers", convert(X), y, solver="lbfgs", alpha=1.0)
    heavy = fitted("numbers", convert(X), y, np.full(120, weight), solver="lbfgs", alpha=scale)
    assert_same(heavy, plain, 1e-3 if convert is np.float32 else 1e-7)
    assert heavy.coefs_[0][0].all()
    assert not heavy.coefs_[0][2].any()


# -------------------------------------------------------------------------------------------------------- class weights


def rare(rng, n_samples, n_positive):
    X = rng.normal(size=(n_samples, 8))
    score = X[:, 0] + X[:, 1] ** 2 - X[:, 2] + rng.logistic(size=n_samples)
    return X, score > np.sort(score)[-n_positive - 1]


@seeds(3)
def test_few_positives_stay_few_observations(seed):
    rng = np.random.default_rng(seed)
    (X, y), (X_test, y_test) = rare(rng, 1500, 28), rare(rng, 7500, 140)
    model = TwoLayerClassifier(class_weight="balanced", random_state=seed).fit(X, y)
    assert roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]) >= 0.83
    assert recall_score(y_test, model.predict(X_test)) >= 0.65


def test_the_evidence_goes_by_the_effective_sample_size():
    """(sum w)^2 / sum w^2, of rows that count as often as their sample weights say."""
    y, params = target("two classes"), {"random_state": 0, "max_iter": 8}
    plain = TwoLayerClassifier(3, **params).fit(X, y)
    assert_same(TwoLayerClassifier(3, class_weight={"a": 5.0, "b": 5.0}, **params).fit(X, y), plain)
    balanced = TwoLayerClassifier(3, class_weight={"a": 9.0, "b": 1.0}, **params)
    repeated = balanced.fit(np.repeat(X, COUNTS, axis=0), np.repeat(y, COUNTS)).loss_curve_
    np.testing.assert_allclose(balanced.fit(X, y, COUNTS).loss_curve_, repeated, rtol=1e-7)
    w = np.where(y == "a", 9.0, 1.0)
    by_hand = w * w.sum() / (w @ w)  # below one in the mean: it only counts as such where it is a class weight
    np.testing.assert_allclose(balanced._check_training_data(X, y, None)[1].weight, by_hand, rtol=1e-12)
    fixed = balanced.set_params(alpha=1.0)
    np.testing.assert_allclose(fixed._check_training_data(X, y, None)[1].weight, w, rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_class_weights_are_sample_weights(solver):
    y, weight = target("two classes"), np.linspace(0.5, 2.0, 40)
    by_class = fitted("two classes", X, y, weight, solver=solver, alpha=1.0, class_weight={"a": 3.0})
    by_sample = fitted("two classes", X, y, weight * np.where(y == "a", 3.0, 1.0), solver=solver, alpha=1.0)
    assert_same(by_class, by_sample, 1e-12)


@pytest.mark.parametrize("kind", ["two classes", "three classes"])
@pytest.mark.parametrize("weight", [None, np.linspace(0.5, 2.0, 40)], ids=["", "weighted"])
def test_balanced_classes_have_the_same_total(kind, weight):
    y = target(kind)
    weight_or_one = np.ones(40) if weight is None else weight
    classes = np.unique(y)
    share = weight_or_one.sum() / len(classes)
    by_hand = {label: share / weight_or_one[y == label].sum() for label in classes}
    for params in ({"max_iter": 2}, {"alpha": 1.0}):
        balanced = fitted(kind, X, y, weight, class_weight="balanced", **params)
        assert_same(balanced, fitted(kind, X, y, weight, class_weight=by_hand, **params))


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


def test_classes_that_are_yet_to_come_have_class_weights():
    model = TwoLayerClassifier(3, solver="adam", class_weight={"a": 2.0}, random_state=0)
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
