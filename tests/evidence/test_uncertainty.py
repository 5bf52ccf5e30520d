"""Are error bars honest, and is what the estimators say of the evidence consistent?"""

import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from scipy.stats import norm
from scipy.stats import t as student
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.evidence.uncertainty import moderate, students
from sk2layer.model.network import Weights
from sk2layer.solvers import LevenbergMarquardt

ATTRIBUTES = ["effective_n_parameters_", "log_marginal_likelihood_", "loo_log_density_", "noise_variance_"]


def teacher(seed, n=400, noise=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + 5.0
    Z = (X - 5.0) / [1.0, 10.0, 0.1]
    return X, np.tanh(Z @ rng.normal(size=(3, 3))).sum(axis=1), noise * rng.normal(size=n)


@pytest.fixture(scope="module")
def fitted():
    X, f, noise = teacher(0)
    return TwoLayerRegressor(8, random_state=0).fit(X, f + noise), X, f + noise


@pytest.fixture(scope="module")
def moons():
    X, y = datasets.make_moons(300, noise=0.25, random_state=0)
    return TwoLayerClassifier(8, random_state=0).fit(X, y), X, y


# ----------------------------------------------------------------------------------------------------------- regression


def test_intervals_cover_as_often_as_they_say():
    covered = []
    for seed in range(8):
        X, f, noise = teacher(seed, n=800)
        y = f + noise
        model = TwoLayerRegressor(10, random_state=0).fit(X[:400], y[:400])
        low, high = model.predict_interval(X[400:]).T
        covered.append((low <= y[400:]) & (y[400:] <= high))
    assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
@pytest.mark.parametrize(("n_outputs", "noise"), [(1, 0.3), (2, 0.3), (3, 1e-3)])
def test_many_rows_vary_as_few_do_whatever_the_threads(Estimator, n_outputs, noise):
    """The inverse of a factor, split into panels, says what solving by the factor says."""
    X, f, error = teacher(0, n=600, noise=noise)
    Y = np.column_stack([f, f**2, np.sin(f)])[:, :n_outputs] + error[:, np.newaxis]
    if Estimator is TwoLayerClassifier:
        Y = np.median(Y, axis=0) < Y
    posterior = Estimator(3, random_state=0).fit(X[:200], Y[:200, 0] if n_outputs == 1 else Y[:200])._posterior
    few = np.concatenate([posterior.covariance(X[i : i + 10]) for i in range(0, 600, 10)])
    assert few.shape == (600, n_outputs, n_outputs)
    many = posterior.covariance(X)
    np.testing.assert_allclose(many, few, rtol=0, atol=1e-9 * np.abs(few).max())
    np.testing.assert_array_equal(posterior.covariance(X, n_threads=3), many)


def test_noise_variance_is_in_the_units_of_the_target():
    X, f, noise = teacher(1, n=1000)
    model = TwoLayerRegressor(10, random_state=0).fit(X, 1000.0 * (f + noise))
    np.testing.assert_allclose(model.noise_variance_, [(300.0) ** 2], rtol=0.1)


def test_standard_deviation_grows_away_from_the_data(fitted):
    model, X, _ = fitted
    _, near = model.predict(X, return_std=True, include_noise=False)
    _, far = model.predict(X + np.array([20.0, 0.0, 0.0]), return_std=True, include_noise=False)
    assert far.min() > near.mean()


def test_noise_is_a_part_of_the_standard_deviation(fitted):
    model, X, _ = fitted
    y, std = model.predict(X, return_std=True)
    _, own = model.predict(X, return_std=True, include_noise=False)
    np.testing.assert_array_equal(y, model.predict(X))
    np.testing.assert_allclose(std**2, own**2 + model.noise_variance_, rtol=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("weight", [None, 3.0])
def test_intervals_are_those_of_student(fitted, level, weight):
    """The noise is known by as many degrees of freedom as there are samples more than parameters they determine."""
    model, X, y = fitted
    X, y = X[:40], y[:40]
    model = clone(model).fit(X, y, None if weight is None else np.full(40, weight))
    mean, std = model.predict(X, return_std=True)
    _, own = model.predict(X, return_std=True, include_noise=False)
    quantile = student(40.0 * (weight or 1.0) - model.effective_n_parameters_).ppf(0.5 + 0.5 * level)
    interval = model.predict_interval(X, level)
    np.testing.assert_allclose(interval, np.column_stack([mean - quantile * std, mean + quantile * std]), rtol=1e-9)
    interval = model.predict_interval(X, level, include_noise=False)
    np.testing.assert_allclose(interval, np.column_stack([mean - quantile * own, mean + quantile * own]), rtol=1e-9)


FUNCTIONS = [lambda x: np.sin(2.0 * x), lambda x: x, lambda x: np.tanh(3.0 * x), np.square]


@pytest.mark.parametrize(("n", "least"), [(8, 0.91), (10, 0.91), (15, 0.93), (30, 0.93)])
@pytest.mark.filterwarnings("ignore:The network predicts a constant:sklearn.exceptions.ConvergenceWarning")
def test_intervals_of_few_rows_cover(n, least):
    covered = []
    for seed in range(6):
        rng = np.random.default_rng(7 * seed + n)
        x, noise = rng.uniform(-2.0, 2.0, (n + 200, 1)), 0.2 * rng.normal(size=n + 200)
        for function in FUNCTIONS:
            y = function(x[:, 0]) + noise
            model = TwoLayerRegressor(10, random_state=seed).fit(x[:n], y[:n])
            low, high = model.predict_interval(x[n:]).T
            covered.append((low <= y[n:]) & (y[n:] <= high))
    assert least <= np.mean(covered) <= 0.985


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "lm"])
def test_unscaled_targets_have_honest_intervals(solver):
    """Bounds of precisions are relative to the data."""
    covered = []
    for seed in range(4):
        X, f, noise = teacher(seed, n=800)
        X, y = (X - 5.0) / [1.0, 10.0, 0.1], 1000.0 * (f + noise)
        model = TwoLayerRegressor(10, solver=solver, standardize=False, random_state=seed).fit(X[:400], y[:400])
        low, high = model.predict_interval(X[400:]).T
        covered.append((low <= y[400:]) & (y[400:] <= high))
    assert 0.92 <= np.mean(covered) <= 0.98


@seeds(3)
def test_a_function_without_noise_is_found_and_the_bound_of_the_noise_is_named(seed):
    x, new = np.linspace(0.0, np.pi, 50)[:, np.newaxis], np.linspace(0.0, np.pi, 333)[:, np.newaxis]
    with pytest.warns(ConvergenceWarning, match="The noise is below 1e-4 of the spread of y") as warned:
        model = TwoLayerRegressor(random_state=seed).fit(x, np.sin(x[:, 0]))
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert np.abs(model.predict(new) - np.sin(new[:, 0])).max() < 1e-5
    low, high = model.predict_interval(new).T
    assert ((low <= np.sin(new[:, 0])) & (np.sin(new[:, 0]) <= high)).all()
    assert (high - low).max() < 1e-3


@pytest.mark.parametrize("standardize", [True, False])
@seeds(2)
def test_each_output_has_its_own_error_bars(standardize, seed):
    """Noise and variance, in its own units: not those of the first one."""
    X, f, noise = teacher(seed, n=800)
    X = (X - 5.0) / [1.0, 10.0, 0.1]
    Y = np.column_stack([f + noise, -10.0 * f + 30.0 * np.roll(noise, 1), f + 0.2 * np.roll(noise, 2)])
    model = TwoLayerRegressor(8, standardize=standardize, random_state=seed).fit(X[:400], Y[:400])
    assert model.noise_variance_.shape == (3,)
    np.testing.assert_allclose(np.sqrt(model.noise_variance_), [0.3, 9.0, 0.06], rtol=0.2)
    interval = model.predict_interval(X[400:])
    assert interval.shape == (400, 3, 2)
    covered = (interval[..., 0] <= Y[400:]) & (Y[400:] <= interval[..., 1])
    assert (np.abs(covered.mean(axis=0) - 0.95) < 0.035).all()
    _, std = model.predict(X, return_std=True)
    _, own = model.predict(X, return_std=True, include_noise=False)
    np.testing.assert_allclose(std**2 - own**2, np.tile(model.noise_variance_, (800, 1)), rtol=1e-6)
    covariance = model._predictive_covariance(X)
    np.testing.assert_allclose(own**2, np.einsum("noo->no", covariance), rtol=1e-12)
    assert np.median(own[:, 1]) > 5.0 * np.median(own[:, 0]) > 5.0 * np.median(own[:, 2])


@pytest.mark.parametrize("level", [0.0, 1.0, 95, "high", None])
def test_confidence_level_is_checked(fitted, level):
    model, X, _ = fitted
    with pytest.raises(ValueError, match=r"confidence_level must be a float in the range \(0, 1\). Got"):
        model.predict_interval(X, level)


def test_a_given_penalty_has_no_error_bars(fitted):
    _, X, y = fitted
    model = TwoLayerRegressor(4, alpha=1.0, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match='needs a fit by evidence: alpha="evidence" or "ard"'):
        model.predict(X, return_std=True)
    assert not any(hasattr(model, name) for name in ATTRIBUTES)


def test_a_refit_with_a_given_penalty_forgets_the_evidence(fitted):
    model, X, y = fitted
    model = clone(model).fit(X, y)
    assert all(hasattr(model, name) for name in ATTRIBUTES)
    model.set_params(alpha=1.0).fit(X, y)
    assert not any(hasattr(model, name) for name in ATTRIBUTES)
    assert model.alpha_ == 1.0


def test_a_copy_has_the_same_error_bars(fitted):
    model, X, _ = fitted
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_interval(X), model.predict_interval(X))


@pytest.mark.parametrize("weight", [None, 2.0])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_units_change_the_evidence_by_their_volume(weight, n_outputs):
    """p(y) is a density: of y in millimetres it is a thousandth for each sample, of weight one, and each output."""
    X, f, noise = teacher(3)
    Y = np.column_stack([f + noise, 2.0 - f + noise[::-1]])[:, :n_outputs]
    weight = None if weight is None else np.full(400, weight)
    metres, millimetres = (TwoLayerRegressor(5, random_state=0).fit(X, unit * Y, weight) for unit in (1.0, 1000.0))
    difference = metres.log_marginal_likelihood_ - millimetres.log_marginal_likelihood_
    total = 400.0 if weight is None else weight.sum()
    assert difference == pytest.approx(n_outputs * total * np.log(1000.0), abs=0.1)
    difference = metres.loo_log_density_ - millimetres.loo_log_density_
    assert difference == pytest.approx(n_outputs * np.log(1000.0), abs=1e-3)


@seeds(3)
def test_left_out_samples_are_predicted_as_well_as_new_ones(seed):
    X, f, noise = teacher(seed, n=1600)
    y = f + noise
    model = TwoLayerRegressor(8, random_state=seed).fit(X[:400], y[:400])
    mean, std = model.predict(X[400:], return_std=True)
    new = np.mean(-0.5 * ((y[400:] - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2.0 * np.pi))
    assert model.loo_log_density_ == pytest.approx(new, abs=0.12)


def test_sparse_rows_have_the_evidence_of_dense_ones(fitted):
    model, X, y = fitted
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.5, 0.0, X)
    dense, sparse = (clone(model).fit(rows, y) for rows in (X, csr_array(X)))
    assert sparse.log_marginal_likelihood_ == pytest.approx(dense.log_marginal_likelihood_, abs=0.01)
    np.testing.assert_allclose(sparse.predict_interval(csr_array(X)), dense.predict_interval(X), atol=0.01)


def test_float32_has_the_error_bars_of_float64(fitted):
    model, X, y = fitted
    single = clone(model).fit(X.astype(np.float32), y)
    assert single.coefs_[0].dtype == np.float32
    _, std = single.predict(X.astype(np.float32), return_std=True)
    assert std.dtype == np.float32
    np.testing.assert_allclose(std, single.predict(X, return_std=True)[1], rtol=1e-4)
    np.testing.assert_allclose(single.noise_variance_, model.noise_variance_, rtol=0.02)


@seeds(3)
def test_ard_finds_the_inputs_that_matter(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 5)) * [1.0, 1.0, 100.0, 1.0, 0.01]
    y = np.sin(2.0 * X[:, 0]) + (X[:, 2] / 100.0) ** 2 + 0.1 * rng.normal(size=300)
    model = TwoLayerRegressor(10, alpha="ard", random_state=seed).fit(X, y)
    assert model.feature_relevances_.shape == (5,)
    assert set(np.argsort(model.feature_relevances_)[-2:]) == {0, 2}
    assert model.alpha_.shape == (7,)
    np.testing.assert_allclose(
        model.feature_relevances_, (model.alpha_[:5] * y.var() / model.noise_variance_) ** -0.5, rtol=1e-9
    )


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.0])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_a_constant_input_has_no_relevance(Estimator, standardize, constant):
    """A column of a one-hot code that a fold lacks: it takes no part in the search."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = np.sin(2.0 * X[:, 0]) + X[:, 2] + 0.3 * rng.normal(size=200)
    y = y if Estimator is TwoLayerRegressor else y > 0.0
    X[:, 1] = constant
    model = Estimator(5, alpha="ard", standardize=standardize, random_state=0).fit(X, y)
    assert model.feature_relevances_[1] == 0.0
    assert (model.feature_relevances_[[0, 2]] > 0.01).all()
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("alpha", ["evidence", "ard"])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
@pytest.mark.filterwarnings("ignore:The network predicts a constant:sklearn.exceptions.ConvergenceWarning")
def test_inputs_that_are_all_constant_make_a_constant(Estimator, standardize, alpha):
    y = np.random.default_rng(0).normal(size=40) + 3.0
    y = y if Estimator is TwoLayerRegressor else y > 2.5
    model = Estimator(3, alpha=alpha, standardize=standardize, random_state=0).fit(np.full((40, 2), 0.1), y)
    if Estimator is TwoLayerRegressor:
        np.testing.assert_allclose(model.predict([[0.1, 0.1]]), y.mean(), atol=0.05)
        np.testing.assert_allclose(model.noise_variance_, y.var(), rtol=0.1)
    else:
        np.testing.assert_allclose(model.predict_proba([[0.1, 0.1]])[:, 1], y.mean(), atol=0.05)
    if alpha == "ard":
        np.testing.assert_array_equal(model.feature_relevances_, 0.0)


@pytest.mark.parametrize("value", [0.1, 3.0, 1e6])
@pytest.mark.parametrize("standardize", [True, False])
def test_a_constant_target_is_no_noise_to_warn_of(value, standardize):
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = TwoLayerRegressor(3, standardize=standardize, random_state=0).fit(X, np.full(40, value))
    np.testing.assert_allclose(model.predict(X), value, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_single_steps_are_one_fit(Estimator):
    X, f, noise = teacher(0, n=100)
    y = f + noise if Estimator is TwoLayerRegressor else f + noise > 0.0
    params = {"tol": 0.0, "warm_start": True, "random_state": 0}
    whole, pieces = Estimator(3, max_iter=8, **params).fit(X, y), Estimator(3, max_iter=1, **params)
    for _ in range(8):
        pieces.fit(X, y)
    np.testing.assert_array_equal(pieces.coefs_[0], whole.coefs_[0])
    assert pieces.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
@pytest.mark.parametrize("alpha", ["evidence", "ard"])
def test_new_data_are_met_with_weights_and_precisions_of_the_old(Estimator, alpha):
    X, f, noise = teacher(0)
    y = f + noise if Estimator is TwoLayerRegressor else f + noise > 0.0
    model = Estimator(8, alpha=alpha, warm_start=True, random_state=0).fit(X[:300], y[:300])
    fresh = clone(model).fit(X, y)
    model.fit(X, y)
    assert model.loss_curve_[0] < fresh.loss_curve_[0] - 0.05
    assert model.loss_curve_[0] < model.loss_ + 0.05
    assert model.n_iter_ < fresh.n_iter_


# ------------------------------------------------------------------------------------------------------- classification


def test_probabilities_follow_the_decision_function(moons):
    model, X, _ = moons
    p = model.predict_proba(X)
    np.testing.assert_allclose(p[:, 1], expit(model.decision_function(X)), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-9)


def test_probabilities_are_moderated(moons):
    model, X, _ = moons
    raw, moderated = model._raw_prediction(X)[:, 0], model.decision_function(X)
    assert (np.abs(moderated) < np.abs(raw)).all()
    assert (np.sign(moderated) == np.sign(raw)).all()


def test_several_classes_are_moderated_together():
    X, y = datasets.load_iris(return_X_y=True)
    model = TwoLayerClassifier(5, random_state=0).fit(X, y)
    scores, p = model.decision_function(X), model.predict_proba(X)
    np.testing.assert_allclose(p, softmax(scores, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
    assert not hasattr(model, "noise_variance_")


def test_moderation_of_two_classes_is_that_of_a_sigmoid():
    rng = np.random.default_rng(0)
    z, variance = rng.normal(size=5), rng.uniform(0.0, 9.0, 5)
    single = moderate(z[:, np.newaxis], variance[:, np.newaxis, np.newaxis], shift_invariant=False)[:, 0]
    pair = np.column_stack([np.zeros(5), z])
    covariance = np.zeros((5, 2, 2))
    covariance[:, 1, 1] = variance
    moderated = moderate(pair, covariance, shift_invariant=True)
    np.testing.assert_allclose(moderated[:, 1] - moderated[:, 0], single, rtol=1e-12)


def test_moderation_is_the_average_over_the_posterior():
    rng = np.random.default_rng(0)
    z, s = 1.5, 2.0
    average = expit(z + s * rng.normal(size=10**6)).mean()
    moderated = moderate(np.array([[z]]), np.array([[[s * s]]]), shift_invariant=False)
    assert expit(moderated[0, 0]) == pytest.approx(average, abs=0.01)


@pytest.mark.parametrize("name", ["load_iris", "load_breast_cancer"])
def test_separable_classes_do_not_run_away(name):
    """With the curvature of the log loss itself, the evidence grows with the weights and probabilities become equal."""
    X, y = getattr(datasets, name)(return_X_y=True)
    assert cross_val_score(TwoLayerClassifier(4, random_state=0), X, y, scoring="neg_log_loss").mean() > -0.2


@pytest.mark.parametrize("alpha", ["evidence", "ard"])
@pytest.mark.parametrize("solver", ["auto", "lm"])
def test_labels_that_are_constant_have_odds_that_are_finite(alpha, solver):
    """A prior that is weak but proper holds their biases; and log p(y) is never above 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    Y = np.column_stack([X[:, 0] + 0.5 * rng.normal(size=60) > 0.0, np.ones(60), np.zeros(60)]).astype(int)
    model = TwoLayerClassifier(4, alpha=alpha, solver=solver, random_state=0).fit(X, Y)
    assert model.log_marginal_likelihood_ <= 0.0
    assert model.loo_log_density_ <= 0.0
    assert np.abs(model.intercepts_[1]).max() < 30.0
    p = model.predict_proba(X)
    assert (p[:, 1] > 0.95).all()
    assert (p[:, 2] < 0.05).all()


@pytest.mark.parametrize("solver", ["auto", "lm"])
@pytest.mark.parametrize("absent", [0, 2])
def test_a_class_without_weight_has_odds_that_are_finite(absent, solver):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    y = (X[:, 0] + 0.5 * rng.normal(size=90) > 0.0).astype(int) + (X[:, 1] > 0.3)
    model = TwoLayerClassifier(4, solver=solver, class_weight={absent: 0.0}, random_state=0).fit(X, y)
    assert model.log_marginal_likelihood_ <= 0.0
    assert np.abs(model.intercepts_[1]).max() < 30.0
    assert absent not in model.predict(X)


@pytest.mark.parametrize("load", [datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer])
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "lm"])
def test_log_evidence_of_labels_is_not_above_zero(load, solver):
    model = TwoLayerClassifier(4, solver=solver, random_state=0).fit(*load(return_X_y=True))
    assert model.log_marginal_likelihood_ <= 0.0
    assert model.loo_log_density_ <= 0.0
    assert max(-loss for loss in model.loss_curve_) <= 0.0


# ---------------------------------------------------------------------------------------------------------- a constant

TABLE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("y", [[0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]], ids=["and", "or", "xor"])
@seeds(3)
def test_of_a_truth_table_the_evidence_makes_a_constant_and_says_so(y, seed):
    model = TwoLayerClassifier(4, random_state=seed)
    with pytest.warns(ConvergenceWarning, match=r"predicts a constant: .* try alpha=0\.01") as warned:
        model.fit(TABLE, y)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert np.ptp(model.predict_proba(TABLE)[:, 1]) < 0.05
    np.testing.assert_array_equal(model.set_params(alpha=0.01).fit(TABLE, y).predict(TABLE), y)


@pytest.mark.parametrize("n", [20, 100])
@seeds(4)
def test_a_line_in_noise_is_no_constant(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1))
    model = TwoLayerRegressor(5, random_state=seed).fit(x, x[:, 0] + 0.5 * rng.normal(size=n))  # a warning is an error
    assert model.score(x, x[:, 0]) > 0.8
    assert model.effective_n_parameters_ > 1.5


# --------------------------------------------------------------------------------------------------------- who chooses


def test_a_choice_that_has_not_converged_says_what_helps(fitted):
    _, X, y = fitted
    says = (
        r"The choice of the penalty has not converged after 1 iterations: max_iter reached.* or set alpha to a number\."
    )
    with pytest.warns(ConvergenceWarning, match=says):
        TwoLayerRegressor(8, max_iter=1, tol=0.0, random_state=0).fit(X, y)


CHOICES = {
    "auto": ({}, "evidence"),
    "lbfgs": ({"solver": "lbfgs"}, "evidence"),
    "lm": ({"solver": LevenbergMarquardt()}, "evidence"),
    "raw": ({"standardize": False}, "evidence"),
    "gd": ({"solver": "gd"}, "constant"),
    "sgd": ({"solver": "sgd"}, "constant"),
    "adam": ({"solver": "adam"}, "constant"),
    "adam asked": ({"solver": "adam", "alpha": "evidence"}, "evidence"),
    "early stopping": ({"early_stopping": True}, "constant"),
    "lbfgs, early stopping": ({"solver": "lbfgs", "early_stopping": True}, "constant"),
    "ard": ({"alpha": "ard"}, "ard"),
    "given": ({"alpha": 1.0}, "given"),
}


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
@pytest.mark.parametrize(("params", "penalty"), CHOICES.values(), ids=CHOICES)
@pytest.mark.filterwarnings("ignore:.*has not converged:sklearn.exceptions.ConvergenceWarning")
def test_who_chooses_the_penalty(Estimator, params, penalty):
    X, f, noise = teacher(0, n=100)
    y = f + noise if Estimator is TwoLayerRegressor else f + noise > 0.0
    model = Estimator(3, random_state=0, max_iter=12, **params).fit(X, y)
    assert model.penalty_ == penalty
    by_evidence = penalty in ("evidence", "ard")
    assert np.shape(model.alpha_) == ((5,) if by_evidence else ())
    assert all(hasattr(model, name) == by_evidence for name in ATTRIBUTES if name != "noise_variance_")
    assert hasattr(model, "noise_variance_") == (by_evidence and Estimator is TwoLayerRegressor)
    if not by_evidence:
        assert model.alpha_ == 1.0
        given = Estimator(3, random_state=0, max_iter=12, **{**params, "alpha": 1.0}).fit(X, y)
        assert model.loss_curve_ == given.loss_curve_
        np.testing.assert_array_equal(model._raw_prediction(X), given._raw_prediction(X))


@pytest.mark.parametrize("alpha", ["evidence", "ard"])
@pytest.mark.parametrize("solver", ["auto", "adam", "lm"])
def test_evidence_does_not_go_with_early_stopping(fitted, alpha, solver):
    _, X, y = fitted
    with pytest.raises(ValueError, match=rf"alpha='{alpha}' needs early_stopping=False\. Got True"):
        TwoLayerRegressor(alpha=alpha, solver=solver, early_stopping=True).fit(X, y)


def test_large_tables_have_the_evidence_too():
    """In stages, on a part of the rows and on all, with the curvature in its factored form."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9000, 5))
    y = np.sin(2.0 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.3 * rng.normal(size=9000)
    model = TwoLayerRegressor(20, random_state=0, tol=1e-3).fit(X, y)
    assert model.penalty_ == "evidence"
    assert model.noise_variance_[0] == pytest.approx(0.09, rel=0.1)
    low, high = model.predict_interval(X).T
    assert 0.93 <= np.mean((low <= y) & (y <= high)) <= 0.97


@pytest.mark.parametrize("n_features", [5, 200])
def test_a_fit_is_kept_in_little_room(n_features):
    """The triangle of the posterior's factor, or, of more parameters, the factored form."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, n_features))
    model = TwoLayerRegressor(20, random_state=0).fit(X, X[:, 0] + 0.3 * rng.normal(size=300))
    p = 20 * (n_features + 2) + 1
    assert len(pickle.dumps(model)) < 8 * min(p * (p + 1) / 2, 3 * n_features**2 + 40_000) + 10_000


@seeds(2)
def test_many_inputs_take_the_memory_of_the_data(seed):
    """Of 790 inputs there are 312,000 pairs: those of 256 rows would be 640 MB."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 790))
    y = X[:, 0] + 0.5 * rng.normal(size=300)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        model = TwoLayerRegressor(1, random_state=seed).fit(X, y)
        model.predict_interval(X)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20
    assert model.penalty_ == "evidence"


def test_the_posterior_is_of_the_weights_that_predict(fitted):
    model, _, _ = fitted
    posterior = model._posterior
    W1, b1, W2, b2 = posterior.scaling.fold_out(Weights(*posterior.weights))
    stored = [model.coefs_[0], model.intercepts_[0], model.coefs_[1], model.intercepts_[1]]
    for mine, theirs in zip([W1, b1, W2, b2], stored, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("seed", [0, 1])
def test_diabetes_needs_no_tuning(seed):
    X, y = datasets.load_diabetes(return_X_y=True)
    assert cross_val_score(TwoLayerRegressor(random_state=seed), X, y).mean() > 0.47


@pytest.mark.parametrize("V", [0.0, 0.1, 0.5, 2.0])
def test_students_distribution_has_the_tails_of_a_mixture(V):
    variance, noise = np.array([[0.2]]), np.array([[0.7]])
    scale, degrees = students(variance, noise, noise * np.sqrt(np.expm1(V)), 1e6)
    if V == 0.0:
        assert (scale**2 == variance + noise, degrees == 1e6) == (True, True)
    else:
        np.testing.assert_allclose(student.var(degrees, scale=scale), variance + noise, rtol=1e-12)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    drawn = np.sqrt(variance[0] + noise[0] * np.exp(np.sqrt(V) * nodes - 0.5 * V))  # deviations
    for level in (0.8, 0.95, 0.99):
        reach = scale[0, 0] * student.ppf(0.5 + 0.5 * level, degrees[0, 0])
        covered = (weights @ (norm.cdf(reach / drawn) - norm.cdf(-reach / drawn))) / weights.sum()
        assert covered == pytest.approx(level, abs=0.01 + 0.01 * V)
    assert students(variance, noise, 10.0 * noise, 3.0)[1] == 3.0  # the noise as a whole is known by so many


def test_students_distribution_without_any_variance_is_a_number():
    scale, degrees = students(np.zeros((1, 1)), np.zeros(1), np.zeros(1), 5.0)
    assert (scale == 0.0, degrees == 5.0) == (True, True)
