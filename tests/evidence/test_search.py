"""Does the search find noise and penalty where they are known, stop by its tolerance, and go on where it stopped?"""

import pickle

import numpy as np
import pytest
from networks import LOSSES, every_loss, make_objective
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import root_mean_squared_error
from slow import mostly_slow, seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.estimator import starts
from sk2layer.evidence.search import PenaltySearch
from sk2layer.model.losses import HalfSquaredError
from sk2layer.solvers import LBFGS, SOLVERS, Adam, Run

every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def wave(seed, n=300, noise=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + 5.0
    function = np.sin(2.0 * (X[:, 0] - 5.0)) + (X[:, 1] - 5.0) / 10.0
    return X, function, noise * rng.normal(size=n)


# ----------------------------------------------------------------------------------------------------------- the search


SEARCHES = {
    "of the size's own": (None, 40),
    "L-BFGS": (LBFGS(), 40),
    "Adam": (Adam(batch_size=16), 40),
    "in stages": (None, 9000),  # on a part of the rows, then on all
}
GOES_ON = [(search, loss, k) for search in SEARCHES for loss, k in LOSSES]


@pytest.mark.parametrize(("search", "loss", "k"), mostly_slow(GOES_ON, len(LOSSES) * 3 + 1))
def test_it_goes_on_exactly(search, loss, k):
    """From any round to the next, also where a search or a stage begins; the state is plain data."""
    solver, n = SEARCHES[search]
    objective, theta = make_objective(loss, k, n=n, d=3 if n < 1000 else 1, h=4 if n < 1000 else 2)
    options = {"tol": 1e-4, "seed": 7}
    search_anew, curve, pieces = PenaltySearch("evidence", solver), [], []
    whole = search_anew.minimize(objective, theta, Run(max_iter=500, callback=lambda r: curve.append(r.fun), **options))
    assert whole.success
    result, resumed = None, PenaltySearch("evidence", solver, fresh=False)
    for _ in range(len(curve)):
        x, state = (theta, None) if result is None else (result.x, pickle.loads(pickle.dumps(result.state)))
        method = search_anew if result is None else resumed
        result = method.minimize(
            objective, x, Run(max_iter=1, callback=lambda r: pieces.append(r.fun), state=state, **options)
        )
        assert_plain(result.state)
    assert pieces == curve
    np.testing.assert_array_equal(result.x, whole.x)
    assert (result.success, result.message, result.fun) == (True, whole.message, whole.fun)
    np.testing.assert_array_equal(result.evidence.log_precisions, whole.evidence.log_precisions)


def assert_plain(value):
    if isinstance(value, dict):
        assert all(isinstance(key, str) for key in value)
        for item in value.values():
            assert_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            assert_plain(item)
    else:
        assert value is None or isinstance(value, np.ndarray | np.number | int | float | str | bool)


@every_loss
def test_what_is_found_is_the_best_that_was_seen(loss, k):
    objective, theta = make_objective(loss, k, n=120)
    seen = []
    result = PenaltySearch().minimize(objective, theta, Run(max_iter=500, tol=0.0, callback=lambda r: seen.append(r)))
    assert result.fun == min(iteration.fun for iteration in seen)
    best = min(seen, key=lambda iteration: iteration.fun)
    np.testing.assert_array_equal(result.x, best.x)
    np.testing.assert_array_equal(result.evidence.log_precisions, best.extra["log_precisions"])


def test_a_stop_from_outside_is_heeded():
    def stop(result):
        raise StopIteration

    objective, theta = make_objective(HalfSquaredError, 1)
    result = PenaltySearch().minimize(objective, theta, Run(max_iter=12, tol=0.0, callback=stop))
    assert (result.nit, result.success, result.message) == (1, True, "stopped by the callback")
    assert np.isfinite(result.evidence.log_evidence)


@every_estimator
@seeds(4)
def test_tol_is_continuous_down_to_zero(Estimator, seed):
    """A smaller one never ends earlier, nor at less evidence, and 0 is the limit."""
    X, function, noise = wave(seed, n=100)
    y = function + noise if Estimator is TwoLayerRegressor else function + noise > 0.0
    fits = [
        Estimator(4, tol=tol, max_iter=1000, random_state=seed).fit(X, y)
        for tol in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-300, 0.0)
    ]
    n_iter = [model.n_iter_ for model in fits]
    assert n_iter == sorted(n_iter)
    assert n_iter[0] < n_iter[-1] < 1000
    losses = [model.loss_ for model in fits]
    assert losses == sorted(losses, reverse=True)
    assert (n_iter[-2], losses[-2]) == (n_iter[-1], losses[-1])


@unconverged
@every_estimator
def test_max_iter_counts_rounds(Estimator):
    X, function, noise = wave(0, n=100)
    y = function + noise if Estimator is TwoLayerRegressor else function + noise > 0.0
    whole = Estimator(4, max_iter=12, tol=0.0, random_state=0).fit(X, y).loss_curve_
    assert len(whole) == 12
    for n in (1, 5):
        assert Estimator(4, max_iter=n, tol=0.0, random_state=0).fit(X, y).loss_curve_ == whole[:n]


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
@seeds(2)
@unconverged
def test_every_solver_can_serve_the_evidence(solver, seed):
    X, function, noise = wave(seed)
    model = TwoLayerRegressor(6, solver=solver, alpha="evidence", random_state=seed).fit(X, function + noise)
    assert model.score(X, function) > (0.5 if solver == "gd" else 0.95)
    if solver not in ("gd", "sgd"):  # which are slow
        assert np.sqrt(model.noise_variance_[0]) == pytest.approx(0.3, rel=0.2)


# ----------------------------------------------------------------------------------------------------- order and weight


@pytest.mark.parametrize("alpha", ["evidence", "ard"])
@every_estimator
def test_the_order_of_rows_is_nothing_to_the_last_bit(Estimator, alpha):
    X, function, noise = wave(0, n=60)
    y = function + noise if Estimator is TwoLayerRegressor else function + noise > 0.0
    model, order = Estimator(4, alpha=alpha, random_state=0), np.random.default_rng(1).permutation(60)
    one, other = clone(model).fit(X, y), clone(model).fit(X[order], y[order])
    assert one.loss_curve_ == other.loss_curve_
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])
    np.testing.assert_array_equal(one.alpha_, other.alpha_)


@every_estimator
def test_a_row_twice_is_one_of_weight_two_to_the_last_bit(Estimator):
    X, function, noise = wave(0, n=60)
    y = function + noise if Estimator is TwoLayerRegressor else function + noise > 0.0
    counts = np.random.default_rng(1).integers(1, 4, 60)
    model = Estimator(4, random_state=0)
    weighted = clone(model).fit(X, y, counts)
    repeated = clone(model).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    assert weighted.loss_curve_ == repeated.loss_curve_
    np.testing.assert_array_equal(weighted.coefs_[0], repeated.coefs_[0])
    for name in ("log_marginal_likelihood_", "loo_log_density_", "effective_n_parameters_"):
        assert getattr(weighted, name) == getattr(repeated, name)


# --------------------------------------------------------------------------- what it ends at is what the attributes say


@pytest.mark.parametrize("alpha", ["evidence", "ard"])
@seeds(4)
def test_alpha_holds_each_group_of_weights_against_the_loss(alpha, seed):
    """At the optimum of the penalised squared error, alpha_g theta_g = -d loss / d theta_g in each group by itself.

    Several outputs have their errors in units of their noise, by whose geometric mean the precisions are multiplied.
    """
    rng = np.random.default_rng(seed)
    X, noise = rng.normal(size=(300, 3)) * [1.0, 0.5, 2.0], np.array([0.05, 0.5])
    Y = 2.0 + np.tanh(X @ rng.normal(size=(3, 2))) + noise * rng.normal(size=(300, 2))
    model = TwoLayerRegressor(3, alpha=alpha, standardize=False, activation="tanh", random_state=seed).fit(X, Y)
    scale = np.exp(np.log(model.noise_variance_).mean())
    expected = what_holds(model, X, (model.predict(X) - Y) / model.noise_variance_ * scale)
    assert model.alpha_.shape == (5,)
    np.testing.assert_allclose(model.alpha_, expected, rtol=0.01)
    if alpha == "ard":
        relevances = X.std(axis=0) * (model.alpha_[:3] / scale) ** -0.5
        np.testing.assert_allclose(model.feature_relevances_, relevances, rtol=1e-9)


@seeds(4)
def test_alpha_of_labels_does_so_too(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(600, 3)) * [1.0, 0.5, 2.0]
    z = 4.0 * np.tanh(1.5 * X @ rng.normal(size=3)) - 4.0 * np.tanh(1.5 * X @ rng.normal(size=3))
    y = z + rng.logistic(size=600) > 0.0
    model = TwoLayerClassifier(3, alpha="ard", standardize=False, activation="tanh", random_state=seed).fit(X, y)
    expected = what_holds(model, X, expit(model._raw_prediction(X)) - y[:, np.newaxis])
    np.testing.assert_allclose(model.alpha_, expected, rtol=0.3)
    np.testing.assert_allclose(model.feature_relevances_, X.std(axis=0) * model.alpha_[:3] ** -0.5, rtol=1e-9)


def what_holds(model, X, delta):
    """Return for each group the strength that would hold its weights against the loss with this output delta."""
    (W1, W2), (b1, _) = model.coefs_, model.intercepts_
    A = np.tanh(X @ W1 + b1)
    hidden = (delta @ W2.T) * (1.0 - A * A)
    pulls = [*zip(W1, X.T @ hidden, strict=True), (b1, hidden.sum(axis=0)), (W2, A.T @ delta)]
    return [-np.sum(theta * slope) / np.sum(theta * theta) for theta, slope in pulls]


# -------------------------------------------------------------------------------------------------------------- results


@seeds(3)
def test_a_wiggly_function_is_not_smoothed_away(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3.0, 3.0, (400, 1))
    function = np.sin(5.0 * x[:, 0]) + 0.5 * np.sin(11.0 * x[:, 0])
    model = TwoLayerRegressor(30, random_state=seed).fit(x, function + 0.1 * rng.normal(size=400))
    assert root_mean_squared_error(function, model.predict(x)) < 0.06


@pytest.mark.parametrize(("n", "d"), [(300, 5), (200, 2), (200, 1)])
@seeds(4)
def test_noise_is_not_fitted(n, d, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)), rng.normal(size=n)
    model = TwoLayerRegressor(20, random_state=seed)
    with pytest.warns(ConvergenceWarning, match="predicts a constant"):
        model.fit(X, y)
    assert model.score(X, y) < 0.1
    assert model.effective_n_parameters_ < 1.5
    assert model.noise_variance_[0] == pytest.approx(y.var(), rel=0.05)


@pytest.mark.parametrize(("n", "solver"), [(1000, "auto"), (1000, "lbfgs"), (1000, "lm"), (20_000, "auto")])
@seeds(3)
def test_the_noise_variance_is_found(n, solver, seed):
    """Whatever the solver, the number of rows and so the stages."""
    rng = np.random.default_rng(seed)
    X, noise = rng.normal(size=(n, 4)), 0.3
    y = np.tanh(X @ rng.normal(size=(4, 3))).sum(axis=1) + noise * rng.normal(size=n)
    model = TwoLayerRegressor(10, solver=solver, random_state=seed).fit(X, y)
    assert model.noise_variance_[0] == pytest.approx(noise**2, rel=0.1)


@seeds(3)
def test_each_output_has_its_own_noise(seed):
    rng = np.random.default_rng(seed)
    X, noise = rng.normal(size=(800, 3)), np.array([0.1, 0.5])
    Y = np.tanh(X @ rng.normal(size=(3, 2))) + noise * rng.normal(size=(800, 2))
    model = TwoLayerRegressor(8, random_state=seed).fit(X, Y)
    np.testing.assert_allclose(model.noise_variance_, noise**2, rtol=0.15)


@pytest.mark.parametrize("alpha", ["evidence", "ard"])
@seeds(3)
def test_irrelevant_inputs_are_pruned(alpha, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, 5))
    y = np.sin(2.0 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=400)
    precisions = TwoLayerRegressor(10, alpha=alpha, random_state=seed).fit(X, y).alpha_
    assert 10.0 * precisions[:2].max() < precisions[2:5].min()


@pytest.mark.parametrize(("h", "n_init"), [(8, 4), (16, 1)])
@seeds(6)
def test_few_rows_do_not_end_at_the_linear_solution(h, n_init, seed):
    """Its error is 2.3; the noise of the training data is 1. With few units, a start may end at 1.7."""
    X, y = make_friedman1(200, noise=1.0, random_state=1)
    X_test, y_test = make_friedman1(1000, random_state=99)
    model = TwoLayerRegressor(h, n_init=n_init, random_state=seed).fit(X, y)
    assert root_mean_squared_error(y_test, model.predict(X_test)) < 1.2


@seeds(2)
def test_evidence_and_left_out_samples_tell_enough_hidden_units_from_too_few(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.0, 2.0, (300, 1))
    y = np.sin(3.0 * X[:, 0]) + 0.1 * rng.normal(size=300)
    few, enough = (TwoLayerRegressor(h, random_state=seed).fit(X, y) for h in (1, 8))
    assert enough.log_marginal_likelihood_ > few.log_marginal_likelihood_ + 100.0
    assert enough.loo_log_density_ > few.loo_log_density_ + 0.5


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
@seeds(3)
def test_restarts_are_chosen_by_evidence(Estimator, seed, monkeypatch):
    """By what is reported of each, not by what its search went by."""
    X, function, noise = wave(seed, n=150)
    y = function + noise if Estimator is TwoLayerRegressor else function + noise > 0.0
    run_starts, outcomes = starts.run_starts, []

    def recorded(*args):
        outcomes.extend(run_starts(*args))
        return outcomes

    monkeypatch.setattr(starts, "run_starts", recorded)
    model = Estimator(5, n_init=5, random_state=seed).fit(X, y)
    evidences = [outcome.evidence.log_evidence for outcome in outcomes]
    assert len(set(evidences)) == 5
    volume = len(y) * np.log(y.std()) if Estimator is TwoLayerRegressor else 0.0
    assert model.log_marginal_likelihood_ == pytest.approx(max(evidences) - volume, abs=1e-9)
