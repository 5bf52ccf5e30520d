"""Are error bars honest, and is what the estimators say of the evidence consistent?"""

import pickle

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score

from sk2layer import TwoLayerClassifier, TwoLayerRegressor, penalty
from sk2layer.network import Weights
from sk2layer.uncertainty import moderate

ATTRIBUTES = ["effective_n_parameters_", "log_marginal_likelihood_", "noise_variance_"]


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
    interval = model.predict_interval(X, 0.6826894921370859)
    np.testing.assert_allclose(interval, np.column_stack([y - std, y + std]), rtol=1e-9)
    interval = model.predict_interval(X, 0.6826894921370859, include_noise=False)
    np.testing.assert_allclose(interval, np.column_stack([y - own, y + own]), rtol=1e-9)


def test_several_outputs_have_several_intervals():
    X, f, noise = teacher(2)
    Y = np.column_stack([f + noise, -f + 3.0 * noise])
    model = TwoLayerRegressor(5, random_state=0).fit(X, Y)
    assert model.predict_interval(X).shape == (400, 2, 2)
    assert model.noise_variance_.shape == (2,)
    assert model.noise_variance_[1] > 4.0 * model.noise_variance_[0]


@pytest.mark.parametrize("level", [0.0, 1.0, 95, "high", None])
def test_confidence_level_is_checked(fitted, level):
    model, X, _ = fitted
    with pytest.raises(ValueError, match=r"confidence_level must be a float in the range \(0, 1\). Got"):
        model.predict_interval(X, level)


def test_a_given_penalty_has_no_error_bars(fitted):
    _, X, y = fitted
    model = TwoLayerRegressor(4, alpha=1.0, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match='needs a fit with alpha="evidence"'):
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


def test_units_change_the_evidence_by_their_volume():
    """p(y) is a density: of y in millimetres it is a thousandth for each sample."""
    X, f, noise = teacher(3)
    metres = TwoLayerRegressor(5, random_state=0).fit(X, f + noise)
    millimetres = TwoLayerRegressor(5, random_state=0).fit(X, 1000.0 * (f + noise))
    difference = metres.log_marginal_likelihood_ - millimetres.log_marginal_likelihood_
    assert difference == pytest.approx(400 * np.log(1000.0), abs=0.1)


def test_float32_has_the_error_bars_of_float64(fitted):
    model, X, y = fitted
    single = clone(model).fit(X.astype(np.float32), y)
    assert single.coefs_[0].dtype == np.float32
    _, std = single.predict(X.astype(np.float32), return_std=True)
    assert std.dtype == np.float32
    np.testing.assert_allclose(std, single.predict(X, return_std=True)[1], rtol=1e-4)
    np.testing.assert_allclose(single.noise_variance_, model.noise_variance_, rtol=0.02)


def test_ard_finds_the_inputs_that_matter():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5)) * [1.0, 1.0, 100.0, 1.0, 0.01]
    y = np.sin(2.0 * X[:, 0]) + (X[:, 2] / 100.0) ** 2 + 0.1 * rng.normal(size=300)
    model = TwoLayerRegressor(10, alpha="ard", random_state=0).fit(X, y)
    assert model.feature_relevances_.shape == (5,)
    assert set(np.argsort(model.feature_relevances_)[-2:]) == {0, 2}
    assert model.alpha_.shape == (7,)


def test_restarts_are_chosen_by_evidence(fitted):
    _, X, y = fitted
    several = TwoLayerRegressor(8, n_init=3, random_state=0).fit(X, y)
    assert several.log_marginal_likelihood_ == pytest.approx(
        -several.loss_ * len(y) - len(y) * np.log(y.std()), rel=1e-9
    )
    assert several.log_marginal_likelihood_ >= TwoLayerRegressor(8, random_state=0).fit(X, y).log_marginal_likelihood_


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


def test_new_data_are_met_with_the_precisions_of_the_old(fitted):
    model, X, y = fitted
    model = clone(model).set_params(warm_start=True).fit(X[:300], y[:300])
    model.fit(X, y)
    assert model.loss_curve_[0] >= model.loss_
    assert model.n_iter_ < 100


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


# --------------------------------------------------------------------------------------------------------- who chooses


def test_a_choice_that_has_not_converged_says_what_helps(fitted):
    _, X, y = fitted
    says = (
        r"The choice of the penalty has not converged after 1 iterations: max_iter reached.* or set alpha to a number\."
    )
    with pytest.warns(ConvergenceWarning, match=says):
        TwoLayerRegressor(8, max_iter=1, tol=0.0, random_state=0).fit(X, y)


def test_auto_is_evidence_where_it_can_be_afforded(fitted, monkeypatch):
    model, X, y = fitted
    assert np.shape(model.alpha_) == (3,)
    assert TwoLayerRegressor(8, standardize=False, random_state=0).fit(X, y).alpha_ == penalty.DEFAULT_ALPHA
    monkeypatch.setattr(penalty, "EVIDENCE_WORK", 20)
    assert TwoLayerRegressor(8, random_state=0).fit(X, y).alpha_ == penalty.DEFAULT_ALPHA


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"early_stopping": True}, "alpha='evidence' needs early_stopping=False. Got True"),
        ({"solver": "adam"}, "alpha='evidence' needs solver='auto' or 'lm'. Got 'adam'"),
    ],
)
def test_what_evidence_cannot_go_with(fitted, params, message):
    _, X, y = fitted
    with pytest.raises(ValueError, match=message):
        TwoLayerRegressor(alpha="evidence", **params).fit(X, y)


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
