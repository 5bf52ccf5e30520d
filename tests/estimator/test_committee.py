"""Is an average of starts one network, the mean of its members, with the error bars of their mixture?"""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit, softmax, stdtr
from sklearn.base import clone
from sklearn.datasets import load_iris, make_moons, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.estimator import starts
from sk2layer.estimator.monitor import Monitor
from sk2layer.estimator.outcome import RESTARTS
from sk2layer.evidence.uncertainty import moderate
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.network import Weights, average
from sk2layer.solvers import SOLVERS, GradientDescent

rng = np.random.default_rng(0)
X = rng.normal(size=(80, 3)) * [1.0, 10.0, 0.1] + 5.0
SIGNAL = np.sin(2.0 * X[:, 0]) + (X[:, 1] / 10.0 - 0.5) ** 2
NUMBERS = 100.0 * SIGNAL + 30.0 * rng.normal(size=80)
SEVERAL = np.column_stack([NUMBERS, SIGNAL + rng.normal(size=80), -NUMBERS + 50.0 * rng.normal(size=80)])
NEW = 2.0 * rng.normal(size=(50, 3)) * [1.0, 10.0, 0.1] + 5.0
WEIGHT = rng.integers(0, 3, 80)
M = 3

every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_penalty = pytest.mark.parametrize("alpha", [1.0, "evidence", "ard"])
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
close = {"rtol": 1e-12, "atol": 1e-12}


def regressor(**params):
    return TwoLayerRegressor(4, **{"n_init": M, "restarts": "average", "random_state": 0, **params})


def classifier(**params):
    return TwoLayerClassifier(4, **{"n_init": M, "restarts": "average", "random_state": 0, **params})


def target(Estimator):
    return NUMBERS if Estimator is TwoLayerRegressor else X[:, 0] + X[:, 1] / 10.0 + 0.3 * SIGNAL > 5.8


@pytest.fixture
def committee(monkeypatch):
    """Give a function that fits an average of starts, and each of them as a network of its own."""
    run_starts = starts.run_starts

    def fit(model, X, y, **options):
        outcomes = []

        def recorded(*args):
            outcomes.extend(run_starts(*args))
            return outcomes

        monkeypatch.setattr(starts, "run_starts", recorded)
        whole, members = clone(model).fit(X, y, **options), []
        for outcome in outcomes:
            monkeypatch.setattr(starts, "run_starts", lambda *_, outcome=outcome: [outcome])
            members.append(clone(model).set_params(n_init=1, restarts="best").fit(X, y, **options))
        monkeypatch.undo()
        assert len(members) == M
        return whole, members

    return fit


def mean_of(members, method, *args):
    return np.mean([getattr(member, method)(*args) for member in members], axis=0)


# ---------------------------------------------------------------------------------------------------------- one network


def test_networks_side_by_side_are_their_mean():
    d, h, k = 3, 4, 2
    networks = [Weights(*(rng.normal(size=shape) for shape in [(d, h), h, (h, k), k])) for _ in range(5)]

    def predict(W1, b1, W2, b2):
        return expit(X @ W1 + b1) @ W2 + b2

    np.testing.assert_allclose(predict(*average(networks)), np.mean([predict(*n) for n in networks], axis=0), **close)


@every_penalty
@pytest.mark.parametrize("y", [NUMBERS, SEVERAL], ids=["one", "several"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["equal", "weighted"])
def test_predictions_are_the_means_of_the_members(alpha, y, weight, committee):
    whole, members = committee(regressor(alpha=alpha), X, y, sample_weight=weight)
    np.testing.assert_allclose(whole.predict(NEW), mean_of(members, "predict", NEW), **close)
    assert np.ptp([member.predict(NEW) for member in members], axis=0).max() > 0.0


@unconverged
@every_solver
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
def test_whatever_solver_and_activation(solver, activation, standardize, committee):
    model = regressor(solver=solver, activation=activation, standardize=standardize, alpha=0.1, max_iter=5)
    whole, members = committee(model, (X - 5.0) / 10.0, SIGNAL)
    np.testing.assert_allclose(whole.predict(NEW), mean_of(members, "predict", NEW), **close)


def test_logits_are_the_means_of_the_members(committee):
    for data in [make_moons(100, noise=0.3, random_state=0), load_iris(return_X_y=True)]:
        whole, members = committee(classifier(alpha=1.0), *data)
        mean = mean_of(members, "decision_function", data[0])
        np.testing.assert_allclose(whole.decision_function(data[0]), mean, **close)
        p = expit(mean) if mean.ndim == 1 else softmax(mean, axis=1)[:, 1]
        np.testing.assert_allclose(whole.predict_proba(data[0])[:, 1], p, rtol=1e-12)
        assert whole.coefs_[0].shape == (data[0].shape[1], M * 4)


@every_penalty
def test_it_is_an_ordinary_network(alpha):
    model = regressor(alpha=alpha).fit(X, SEVERAL)
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    assert (W1.shape, b1.shape, W2.shape, b2.shape) == ((3, 4 * M), (4 * M,), (4 * M, 3), (3,))
    np.testing.assert_allclose(expit(NEW @ W1 + b1) @ W2 + b2, model.predict(NEW), **close)
    assert (model.n_layers_, model.n_outputs_, model.hidden_units) == (3, 3, 4)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(NEW), model.predict(NEW))
    if alpha != 1.0:
        np.testing.assert_array_equal(copy.predict_interval(NEW), model.predict_interval(NEW))


@every_estimator
@every_penalty
def test_one_start_is_its_own_average(Estimator, alpha):
    y = target(Estimator)
    best, mean = (Estimator(4, alpha=alpha, restarts=restarts, random_state=0).fit(X, y) for restarts in RESTARTS)
    for mine, its in zip(mean.coefs_ + mean.intercepts_, best.coefs_ + best.intercepts_, strict=True):
        np.testing.assert_array_equal(mine, its)
    if Estimator is TwoLayerClassifier:
        np.testing.assert_array_equal(mean.predict_proba(NEW), best.predict_proba(NEW))
    elif alpha != 1.0:
        np.testing.assert_array_equal(mean.predict_interval(NEW), best.predict_interval(NEW))
        np.testing.assert_array_equal(mean.noise_variance_, best.noise_variance_)


@every_estimator
def test_processes_change_nothing(Estimator):
    y = target(Estimator)
    model = Estimator(4, n_init=M, restarts="average", random_state=0)
    one, two = clone(model).fit(X, y), clone(model).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(two.coefs_[1], one.coefs_[1])
    method = "predict_interval" if Estimator is TwoLayerRegressor else "predict_proba"
    np.testing.assert_array_equal(getattr(two, method)(NEW), getattr(one, method)(NEW))


@every_penalty
def test_float32_stays_float32(alpha):
    double = regressor(alpha=alpha).fit(X, NUMBERS)
    single = regressor(alpha=alpha).fit(X.astype(np.float32), NUMBERS)
    assert all(array.dtype == np.float32 for array in single.coefs_ + single.intercepts_)
    assert single.predict(NEW.astype(np.float32)).dtype == np.float32
    rows = NEW if alpha == 1.0 else X  # beyond the data, two searches that differ by rounding part
    np.testing.assert_allclose(single.predict(rows), double.predict(rows), atol=0.05 * NUMBERS.std())
    if alpha != 1.0:
        assert single.predict(NEW.astype(np.float32), return_std=True)[1].dtype == np.float32


# ----------------------------------------------------------------------------------------------------------- error bars


@pytest.mark.parametrize("alpha", ["evidence", "ard"])
@pytest.mark.parametrize("y", [NUMBERS, SEVERAL], ids=["one", "several"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["equal", "weighted"])
def test_the_variance_is_that_of_the_mixture(alpha, y, weight, committee):
    whole, members = committee(regressor(alpha=alpha), X, y, sample_weight=weight)
    for include_noise in [False, True]:
        bars = [member.predict(NEW, return_std=True, include_noise=include_noise) for member in members]
        means, stds = np.array(bars).swapaxes(0, 1)
        std = whole.predict(NEW, return_std=True, include_noise=include_noise)[1]
        np.testing.assert_allclose(std**2, np.mean(stds**2, axis=0) + means.var(axis=0), rtol=1e-9)
    noise = np.mean([member.noise_variance_ for member in members], axis=0)
    np.testing.assert_allclose(whole.noise_variance_, noise, rtol=1e-12)
    freedom = min(member._posterior.degrees_of_freedom for member in members)
    low, high = np.moveaxis(whole.predict_interval(NEW, 2.0 * stdtr(freedom, 1.0) - 1.0), -1, 0)
    np.testing.assert_allclose(high - low, 2.0 * std, rtol=1e-9)


def test_the_variance_is_that_of_draws_from_the_members(committee):
    """By the law of total variance: draw a member, then a y from its prediction."""
    whole, members = committee(regressor(), X, NUMBERS)
    means, stds = np.array([member.predict(NEW[:5], return_std=True) for member in members]).swapaxes(0, 1)
    which = rng.integers(0, M, 200_000)
    draws = means[which] + stds[which] * rng.normal(size=(200_000, 5))
    np.testing.assert_allclose(whole.predict(NEW[:5], return_std=True)[1], draws.std(axis=0), rtol=0.02)


@pytest.mark.parametrize("kind", ["two classes", "three classes", "labels"])
def test_probabilities_are_moderated_by_the_mixture(kind, committee):
    X, y = {
        "two classes": lambda: make_moons(100, noise=0.3, random_state=0),
        "three classes": lambda: load_iris(return_X_y=True),
        "labels": lambda: make_multilabel_classification(80, 6, n_classes=3, random_state=0),
    }[kind]()
    whole, members = committee(classifier(alpha="evidence"), X, y)
    logits = np.array([member._raw_prediction(X) for member in members])
    np.testing.assert_allclose(whole._raw_prediction(X), logits.mean(axis=0), **close)
    covariance = np.mean([member._predictive_covariance(X) for member in members], axis=0)
    for i in range(len(X)):
        covariance[i] += np.cov(logits[:, i].T, bias=True)
    Z = moderate(logits.mean(axis=0), covariance, shift_invariant=kind == "three classes")
    scores = whole.decision_function(X)
    np.testing.assert_allclose(scores, Z[:, 0] if kind == "two classes" else Z, rtol=1e-8, atol=1e-12)
    p = whole.predict_proba(X)
    link = {"two classes": expit, "three classes": lambda Z: softmax(Z, axis=1), "labels": expit}[kind]
    np.testing.assert_allclose(p[:, 1] if kind == "two classes" else p, link(scores), rtol=1e-12)


def test_sparse_rows_have_the_error_bars_of_dense_ones():
    model = regressor(alpha="evidence").fit(X, NUMBERS)
    (y, std), (y_sparse, std_sparse) = (model.predict(rows, return_std=True) for rows in [NEW, csr_array(NEW)])
    np.testing.assert_allclose(y_sparse, y, rtol=1e-9)
    np.testing.assert_allclose(std_sparse, std, rtol=1e-9)


def test_a_given_penalty_has_no_error_bars():
    with pytest.raises(ValueError, match='needs a fit by evidence: alpha="evidence"'):
        regressor(alpha=1.0).fit(X, NUMBERS).predict(X, return_std=True)


# ----------------------------------------------------------------------------------------------------- what is reported


@every_estimator
@every_penalty
def test_the_rest_is_that_of_the_best_member(Estimator, alpha):
    y = target(Estimator)
    mean, best = (
        Estimator(4, n_init=M, restarts=restarts, alpha=alpha, random_state=0).fit(X, y)
        for restarts in ("average", "best")
    )
    assert vars(mean).keys() == vars(best).keys()
    assert mean.loss_curve_ == best.loss_curve_
    assert (mean.loss_, mean.n_iter_) == (best.loss_, best.n_iter_)
    np.testing.assert_array_equal(mean.alpha_, best.alpha_)
    for name in {"log_marginal_likelihood_", "effective_n_parameters_", "feature_relevances_"} & vars(best).keys():
        np.testing.assert_array_equal(getattr(mean, name), getattr(best, name))


def test_early_stopping_stops_each_of_them(committee):
    model = regressor(alpha=0.0, early_stopping=True, max_iter=500)
    whole, members = committee(model, X, NUMBERS, X_val=NEW, y_val=np.sin(NEW[:, 0]))
    np.testing.assert_allclose(whole.predict(NEW), mean_of(members, "predict", NEW), **close)
    best = min(members, key=lambda member: min(member.validation_loss_curve_))
    assert whole.validation_loss_curve_ == best.validation_loss_curve_


def test_a_refit_forgets_the_others():
    model = regressor().fit(X, NUMBERS)
    model.set_params(n_init=1).fit(X, NUMBERS)
    single = regressor(n_init=1).fit(X, NUMBERS)
    np.testing.assert_array_equal(model.predict_interval(NEW), single.predict_interval(NEW))


def test_one_warning_for_all_that_have_not_converged():
    with pytest.warns(
        ConvergenceWarning, match=r"has not converged after 2 iterations: .* Increase max_iter=2"
    ) as caught:
        regressor(solver="lbfgs", alpha=1.0, max_iter=2).fit(X, NUMBERS)
    assert len(caught) == 1
    assert caught[0].filename == __file__


# ----------------------------------------------------------------------------------------------------- what cannot be


@every_estimator
def test_what_is_not_a_way_to_use_restarts(Estimator):
    with pytest.raises(ValueError, match=r"The 'restarts' parameter of .* must be .*'average'.*Got 'mean' instead"):
        Estimator(restarts="mean").fit(X, target(Estimator))


@unconverged
@every_estimator
def test_an_average_cannot_be_gone_on_with(Estimator):
    y = target(Estimator)
    model = Estimator(4, n_init=2, restarts="average", warm_start=True, solver="adam", random_state=0)
    with pytest.raises(ValueError, match=r"warm_start must be False where several starts are averaged.*Got True"):
        model.fit(X, y)
    model.set_params(warm_start=False)
    with pytest.raises(ValueError, match=r"n_init must be 1 for partial_fit\. Got 2"):
        model.partial_fit(X, y)
    model.fit(X, y).set_params(restarts="best", n_init=1, warm_start=True)
    for method in [model.fit, model.partial_fit]:
        with pytest.raises(ValueError, match=r"cannot go on from a network of .*n_hidden=8.*n_hidden=4"):
            method(X, y)
    assert Estimator(4, restarts="average", warm_start=True).fit(X, y).fit(X, y).coefs_[0].shape == (3, 4)


@unconverged
def test_a_network_of_that_size_can_go_on_from_it():
    model = regressor(solver="adam", alpha=1.0).fit(X, NUMBERS)
    before = model.predict(X)
    model.set_params(hidden_units=4 * M, n_init=1, solver__learning_rate=1e-9)
    np.testing.assert_allclose(model.partial_fit(X, NUMBERS).predict(X), before, rtol=1e-5)
    model.set_params(warm_start=True, max_iter=1)
    np.testing.assert_allclose(model.fit(X, NUMBERS).predict(X), before, rtol=1e-5)


def test_given_weights_are_one_start():
    coefs, intercepts = [np.zeros((3, 4)), np.zeros((4, 1))], [np.zeros(4), np.zeros(1)]
    with pytest.raises(ValueError, match=r"n_init must be 1 where coefs_init gives the start\. Got 3"):
        regressor().fit(X, NUMBERS, coefs_init=coefs, intercepts_init=intercepts)


def test_one_that_diverges_ends_the_fit():
    with pytest.raises(ValueError, match="diverged at iteration"):
        regressor(solver=GradientDescent(learning_rate=1000), alpha=1.0).fit(X, NUMBERS)


# --------------------------------------------------------------------------------------------------------- interruption


@pytest.mark.parametrize("alpha", [1.0, "evidence"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_those_that_have_ended_are_averaged(alpha, number, monkeypatch):
    run, outcomes = starts.run, []

    def interrupted(*args):
        raise KeyboardInterrupt

    def run_the_last_one_interrupted(*args):
        if len(outcomes) == number:
            monkeypatch.setattr(Monitor, "__call__", interrupted)
        outcomes.append(run(*args))
        return outcomes[-1]

    monkeypatch.setattr(starts, "run", run_the_last_one_interrupted)
    kept = f"{number} of the starts had ended and are kept" if number else "the best weights so far are kept"
    with pytest.warns(UserWarning, match=rf"The fit was interrupted after \d+ iterations; {kept}\.") as caught:
        model = regressor(alpha=alpha).fit(X, NUMBERS)
    assert len(caught) == 1
    assert len(outcomes) == number + 1
    assert model.coefs_[0].shape == (3, 4 * max(number, 1))
    assert np.isfinite(model.predict(NEW)).all()
    if alpha == "evidence" and number:
        assert np.isfinite(model.predict_interval(NEW)).all()


def test_the_last_that_has_ended_counts_when_the_parent_is_interrupted(monkeypatch):
    class Parallel:
        def __init__(self, **options):
            pass

        def __call__(self, calls):
            for _ in range(2):
                function, args, _ = next(calls)
                yield getattr(function, "function", function)(*args)
            raise KeyboardInterrupt

    monkeypatch.setattr(starts, "Parallel", Parallel)
    with pytest.warns(UserWarning, match="2 of the starts had ended and are kept"):
        model = regressor(alpha=1.0, n_jobs=2).fit(X, NUMBERS)
    assert model.coefs_[0].shape == (3, 8)


# ---------------------------------------------------------------------------------------------------------- conformance


@unconverged
@parametrize_with_checks(
    [Estimator(2, n_init=2, restarts="average", max_iter=3) for Estimator in (TwoLayerRegressor, TwoLayerClassifier)]
)
def test_conformance(estimator, check):
    check(estimator)


def test_the_best_that_has_ended_keeps_its_error_bars(monkeypatch):
    run, outcomes = starts.run, []

    def interrupted(*args):
        raise KeyboardInterrupt

    def run_the_second_one_interrupted(*args):
        if outcomes:
            monkeypatch.setattr(Monitor, "__call__", interrupted)
        outcomes.append(run(*args))
        return outcomes[-1]

    monkeypatch.setattr(starts, "run", run_the_second_one_interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        model = regressor(alpha="evidence", restarts="best").fit(X, NUMBERS)
    assert len(outcomes) == 2
    assert model.loss_ == outcomes[0].loss
    assert np.isfinite(model.predict_interval(NEW)).all()
