"""Does the climb raise the evidence, by the right gradient, and find noise and penalty where they are known?"""

import itertools

import numpy as np
import pytest
from sklearn.datasets import make_friedman1
from sklearn.metrics import root_mean_squared_error

from sk2layer import TwoLayerRegressor
from sk2layer.activations import ACTIVATIONS
from sk2layer.bounds import ScaledSquaredError
from sk2layer.evidence import maximize_evidence
from sk2layer.fixed_penalties import ever_better_fits
from sk2layer.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss
from sk2layer.marginal_likelihood import Groups, MarginalLikelihood
from sk2layer.network import Shape, initial_weights, predict_raw
from sk2layer.objective import Objective

LOSSES = [(HalfSquaredError, 1), (HalfSquaredError, 2), (BinaryLogLoss, 1), (BinaryLogLoss, 2), (MultinomialLogLoss, 3)]


def make_likelihood(X, Y, *, h=10, weight=None, loss=None, groups=Groups.by_layer, seed=0):
    shape = Shape(X.shape[1], h, Y.shape[1])
    objective = Objective(
        X,
        Y,
        weight,
        shape=shape,
        activation=ACTIVATIONS["tanh"],
        loss=loss or HalfSquaredError(),
        penalty=np.zeros(shape.n_parameters),
        dtype=np.float64,
    )
    theta = initial_weights(shape, ACTIVATIONS["tanh"], np.random.default_rng(seed))
    return MarginalLikelihood(objective, groups(shape)), theta


def make_objective(loss, k, *, n=40):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    targets = {
        HalfSquaredError: np.sin(2.0 * X[:, :1]) + X[:, 1:2] * np.arange(k) + 0.3 * rng.normal(size=(n, k)),
        BinaryLogLoss: (X[:, :1] * X[:, 1:2] + 0.3 * rng.normal(size=(n, k)) > 0.0).astype(float),
        MultinomialLogLoss: np.eye(3)[(X + rng.normal(size=(n, 3))).argmax(axis=1)],
    }
    likelihood, theta = make_likelihood(X, targets[loss], h=4, weight=rng.uniform(0.5, 2.0, n), loss=loss())
    return likelihood.objective, theta


def standardized(y):
    return ((y - y.mean()) / y.std())[:, np.newaxis]


def wiggly_problem(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3.0, 3.0, (400, 1))
    y = np.sin(5.0 * x[:, 0]) + 0.5 * np.sin(11.0 * x[:, 0]) + 0.1 * rng.normal(size=400)
    return x / np.sqrt(3.0), standardized(y)


def mean_squared_error(likelihood, theta, X, Y):
    objective = likelihood.objective
    return np.mean((predict_raw(X, objective.shape.unpack(theta), objective.activation) - Y) ** 2)


# ------------------------------------------------------------------------------------------------------------- gradient


@pytest.mark.parametrize("groups", [Groups.by_layer, Groups.by_input])
@pytest.mark.parametrize(("loss", "k"), LOSSES)
def test_gradient_is_the_numerical_one(loss, k, groups):
    objective, theta = make_objective(loss, k)
    likelihood = MarginalLikelihood(objective, groups(objective.shape))
    z = np.concatenate([theta, np.random.default_rng(1).uniform(-1.0, 1.0, len(likelihood.lower))])

    def value(z):
        return likelihood.at(z[: len(theta)], z[len(theta) :]).log_evidence

    slope = likelihood.slope(likelihood.at(theta, z[len(theta) :]))
    step = 1e-5
    numerical = [(value(z + step * e) - value(z - step * e)) / (2 * step) for e in np.eye(len(z))]
    np.testing.assert_allclose(np.concatenate([slope.theta, slope.log_precisions]), numerical, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("loss", "k"), LOSSES)
def test_the_fixed_point_balances_what_the_gradient_compares(loss, k):
    objective, theta = make_objective(loss, k)
    likelihood = MarginalLikelihood(objective, Groups.by_layer(objective.shape))
    point = likelihood.at(theta, np.linspace(-0.5, 0.5, len(likelihood.lower)))
    slope, (counts, squares) = likelihood.slope(point), likelihood.balance(point)
    np.testing.assert_allclose(counts, slope.counts, rtol=1e-9)
    np.testing.assert_allclose(counts - squares, slope.log_precisions, rtol=0, atol=1e-9)


def test_output_biases_alone_have_a_flat_prior():
    shape = Shape(3, 4, 2)
    for groups in (Groups.by_layer(shape), Groups.by_input(shape)):
        W1, b1, W2, b2 = shape.unpack(groups.number)
        assert (b2 == -1).all()
        assert min(W1.min(), b1.min(), W2.min()) == 0
        assert len(np.unique(groups.number)) == groups.n_groups + 1
        np.testing.assert_array_equal(groups.spread(np.arange(1.0, groups.n_groups + 1)), groups.number + 1)
    assert groups.n_groups == 3 + 2


def test_equal_shifts_of_all_classes_count_for_nothing():
    """A softmax with a unit prior on equal shifts has the evidence of any other treatment of them."""
    objective, theta = make_objective(MultinomialLogLoss, 3)
    likelihood = MarginalLikelihood(objective, Groups.by_layer(objective.shape))
    point = likelihood.at(theta, np.zeros(3))
    shifted = theta.copy()
    shifted[-3:] += 5.0
    assert likelihood.at(shifted, np.zeros(3)).log_evidence == pytest.approx(point.log_evidence, abs=1e-9)
    assert 2.0 < likelihood.n_effective(point) < len(theta)


# ------------------------------------------------------------------------------------------------------------ the climb


@pytest.mark.parametrize(("loss", "k"), LOSSES)
def test_evidence_never_falls(loss, k):
    objective, theta = make_objective(loss, k)
    values = []
    likelihood = MarginalLikelihood(objective, Groups.by_layer(objective.shape))
    result = maximize_evidence(likelihood, theta, max_iter=50, tol=0.0, callback=lambda r: values.append(r.fun))
    assert len(values) == result.nit
    assert (np.diff(values) < 0.0).all()
    assert result.fun == values[-1] == -result.point.log_evidence / objective.weight_sum


def test_it_ends_where_the_gradient_is_zero():
    objective, theta = make_objective(HalfSquaredError, 1, n=60)
    likelihood = MarginalLikelihood(objective, Groups.by_layer(objective.shape))
    result = maximize_evidence(likelihood, theta, max_iter=2000, tol=0.0)
    slope = likelihood.slope(result.point)
    inside = (likelihood.lower < result.point.log_precisions) & (result.point.log_precisions < likelihood.upper)
    assert result.success
    assert np.abs(slope.log_precisions[inside]).max() < 1e-3
    assert np.abs(slope.theta).max() < 1e-2


def test_it_goes_on_exactly():
    objective, theta = make_objective(HalfSquaredError, 1)
    likelihood = MarginalLikelihood(objective, Groups.by_layer(objective.shape))
    whole = maximize_evidence(likelihood, theta, max_iter=12, tol=0.0)
    half = maximize_evidence(likelihood, theta, max_iter=5, tol=0.0)
    rest = maximize_evidence(likelihood, half.x, max_iter=7, tol=0.0, state=half.state)
    np.testing.assert_array_equal(rest.x, whole.x)
    np.testing.assert_array_equal(rest.state["log_precisions"], whole.state["log_precisions"])


def test_a_stop_from_outside_is_heeded():
    def stop(result):
        raise StopIteration

    objective, theta = make_objective(HalfSquaredError, 1)
    likelihood = MarginalLikelihood(objective, Groups.by_layer(objective.shape))
    result = maximize_evidence(likelihood, theta, max_iter=12, tol=0.0, callback=stop)
    assert result.nit == 1
    assert result.message == "stopped by the callback"


def test_weights_count_samples():
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(60, 2)), rng.integers(1, 4, 60).astype(float)
    Y = standardized(np.sin(X[:, 0]) + 0.2 * rng.normal(size=60))
    weighted, theta = make_likelihood(X, Y, h=3, weight=weight)
    rows = np.repeat(np.arange(60), weight.astype(int))
    repeated, _ = make_likelihood(X[rows], Y[rows], h=3)
    log_precisions = np.array([0.1, 0.2, -0.3, 1.0])
    mine, theirs = (likelihood.at(theta, log_precisions) for likelihood in (weighted, repeated))
    assert mine.log_evidence == pytest.approx(theirs.log_evidence, abs=1e-9)
    np.testing.assert_allclose(weighted.slope(mine).theta, repeated.slope(theirs).theta, rtol=0, atol=1e-9)


# -------------------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_wiggly_function_is_not_smoothed_away(seed):
    """From a strong penalty alone, the climb ends at the constant solution."""
    X, Y = wiggly_problem(seed)
    likelihood, theta = make_likelihood(X, Y, h=20, seed=seed)
    result = maximize_evidence(likelihood, theta, max_iter=200, tol=1e-4)
    assert mean_squared_error(likelihood, result.x, X, Y) < 0.05


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_is_not_fitted(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(300, 5)), standardized(rng.normal(size=300))
    likelihood, theta = make_likelihood(X, Y, h=20, seed=seed)
    result = maximize_evidence(likelihood, theta, max_iter=200, tol=1e-4)
    assert mean_squared_error(likelihood, result.x, X, Y) > 0.9
    assert likelihood.n_effective(result.point) < 20.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_noise_variance_is_found(seed):
    rng = np.random.default_rng(seed)
    X, noise = rng.normal(size=(1000, 4)), 0.3
    y = np.tanh(X @ rng.normal(size=(4, 3))).sum(axis=1) + noise * rng.normal(size=1000)
    likelihood, theta = make_likelihood(X, standardized(y), seed=seed)
    result = maximize_evidence(likelihood, theta, max_iter=200, tol=1e-4)
    variance = np.exp(-result.point.log_precisions[-1]) * y.var()
    assert variance == pytest.approx(noise**2, rel=0.1)


def test_each_output_has_its_own_noise():
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(800, 3)), np.array([0.1, 0.5])
    Y = np.tanh(X @ rng.normal(size=(3, 2))) + noise * rng.normal(size=(800, 2))
    likelihood, theta = make_likelihood(X, Y - Y.mean(axis=0), h=8)
    result = maximize_evidence(likelihood, theta, max_iter=200, tol=1e-4)
    np.testing.assert_allclose(np.exp(-result.point.log_precisions[3:]), noise**2, rtol=0.15)


def test_irrelevant_inputs_are_pruned():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    Y = standardized(np.sin(2.0 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=400))
    likelihood, theta = make_likelihood(X, Y, groups=Groups.by_input)
    result = maximize_evidence(likelihood, theta, max_iter=200, tol=1e-4)
    precisions = result.point.log_precisions[:5]
    assert precisions[:2].max() + np.log(100.0) < precisions[2:].min()


@pytest.mark.parametrize("h", [8, 16])
@pytest.mark.parametrize("seed", range(4))
def test_few_rows_do_not_end_at_the_linear_solution(seed, h):
    """Its error is 2.3; the noise of the training data is 1."""
    X, y = make_friedman1(200, noise=1.0, random_state=1)
    X_test, y_test = make_friedman1(1000, random_state=99)
    model = TwoLayerRegressor(h, random_state=seed).fit(X, y)
    assert root_mean_squared_error(y_test, model.predict(X_test)) < 1.2


def test_the_climb_begins_at_the_most_probable_of_ever_better_fits():
    X, Y = wiggly_problem(0)
    likelihood, theta = make_likelihood(X, Y, h=20)
    fits = list(ever_better_fits(likelihood, theta))
    assert len(fits) > 2
    assert all(worse.log_evidence < better.log_evidence for worse, better in itertools.pairwise(fits))
    climbed = maximize_evidence(likelihood, theta, max_iter=1, tol=0.0).point
    assert climbed.log_evidence >= fits[-1].log_evidence


def test_evidence_tells_enough_hidden_units_from_too_few():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2.0, 2.0, (300, 1))
    Y = standardized(np.sin(3.0 * X[:, 0]) + 0.1 * rng.normal(size=300))
    evidences = []
    for h in (1, 8):
        likelihood, theta = make_likelihood(X, Y, h=h)
        evidences.append(maximize_evidence(likelihood, theta, max_iter=200, tol=1e-4).point.log_evidence)
    assert evidences[1] > evidences[0] + 100.0


def test_gaussian_noise_scales_the_squared_error():
    rng = np.random.default_rng(0)
    Y, Z, precision = rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), np.array([2.0, 3.0])
    losses, delta = ScaledSquaredError(precision).losses_and_delta(Y, Z.copy())
    np.testing.assert_allclose(losses, 0.5 * ((Z - Y) ** 2) @ precision)
    np.testing.assert_allclose(delta, (Z - Y) * precision)
