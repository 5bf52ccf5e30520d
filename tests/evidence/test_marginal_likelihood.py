"""Is the log evidence that of the network linearised at its optimum, and does the fixed point count rightly?"""

import networks
import numpy as np
import pytest
from networks import every_loss, jacobian, objective_on, raw_prediction
from scipy.stats import multivariate_normal

from sk2layer.evidence.marginal_likelihood import NOISE_PRECISIONS, MarginalLikelihood
from sk2layer.evidence.priors import Groups
from sk2layer.model.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss
from sk2layer.solvers import LevenbergMarquardt, Run

GAUSSIAN = [(k, activation) for k in (1, 2) for activation in ("tanh", "identity")]


def make_likelihood(loss, k, *, grouping="evidence", **options):
    objective, theta = networks.make_objective(loss, k, **options)
    return MarginalLikelihood(objective, Groups.of(objective.shape, grouping)), theta


def some_precisions(likelihood):
    """Unlike in every group and output."""
    log_precisions = np.linspace(-1.0, 1.5, len(likelihood.lower))
    log_precisions[likelihood.groups.n_groups :] += 1.0
    return log_precisions


def optimum(likelihood, theta, log_precisions):
    objective = likelihood.objective_at(log_precisions)
    result = LevenbergMarquardt().minimize(objective, theta, Run(max_iter=1000, tol=0.0))
    assert np.abs(objective.value_and_gradient(result.x)[1]).max() < 1e-9
    return result.x


def raw(likelihood, theta):
    return raw_prediction(likelihood.objective, theta)


def curvature(likelihood, theta, log_precisions):
    """The data's part of A, from its definition."""
    objective, J = likelihood.objective, jacobian(likelihood.objective, theta)
    noise = likelihood.split(log_precisions)[1]
    if len(noise):
        L = np.broadcast_to(np.diag(noise), (len(J), len(noise), len(noise)))
    else:
        C = likelihood.loss_at(log_precisions).curvature_factor(objective.sums.Y, raw(likelihood, theta))
        L = C @ C.transpose(0, 2, 1)
    return np.einsum("n,noi,nop,npj->ij", objective.sums.weight, J, L, J)


# ------------------------------------------------------------------------------------------------- regression: exactly


@pytest.mark.parametrize(("k", "activation"), GAUSSIAN)
def test_evidence_is_the_marginal_likelihood_of_the_linearised_network(k, activation):
    """At an optimum it is exactly that: y ~ N(z - J theta, J prior^-1 J.T + noise)."""
    likelihood, theta = make_likelihood(HalfSquaredError, k, activation=activation, n=25)
    log_precisions = some_precisions(likelihood)
    theta = optimum(likelihood, theta, log_precisions)
    prior, noise = likelihood.split(log_precisions)
    J, Z = jacobian(likelihood.objective, theta).reshape(25 * k, -1), raw(likelihood, theta)
    covariance = J / prior @ J.T + np.diag(np.tile(1.0 / noise, 25))
    exact = multivariate_normal(Z.ravel() - J @ theta, covariance).logpdf(likelihood.objective.sums.Y.ravel())
    assert likelihood.look(theta, log_precisions, exact=True).log_evidence == pytest.approx(exact, abs=1e-6)


def test_evidence_of_a_constant_is_its_marginal_likelihood_in_either_form():
    """With weights of nothing, only the output biases are left: there the factored form is exact, too."""
    for k in (1, 2):
        likelihood, theta = make_likelihood(HalfSquaredError, k, n=25)
        log_precisions = some_precisions(likelihood)
        log_precisions[: likelihood.groups.n_groups] = 40.0
        _, noise = likelihood.split(log_precisions)
        Y, of_bias = likelihood.objective.sums.Y, likelihood.bias_precision
        theta = np.zeros(len(theta))
        theta[-k:] = Y.sum(axis=0) * noise / (25 * noise + of_bias)
        exact = sum(
            multivariate_normal(np.zeros(25), 1.0 / of_bias + np.eye(25) / noise[o]).logpdf(Y[:, o]) for o in range(k)
        )
        for form in (True, False):
            assert likelihood.look(theta, log_precisions, exact=form).log_evidence == pytest.approx(exact, abs=1e-6)


# --------------------------------------------------------------------------------------------- any loss: by the formula


@every_loss
def test_evidence_and_counts_are_those_of_the_formula(loss, k):
    weight = np.random.default_rng(2).uniform(0.5, 3.0, 40)
    likelihood, theta = make_likelihood(loss, k, weight=weight)
    log_precisions = some_precisions(likelihood)
    prior, noise = likelihood.split(log_precisions)
    H = curvature(likelihood, theta, log_precisions)
    A = H + np.diag(prior)
    Y, Z = likelihood.objective.sums.Y, raw(likelihood, theta)
    if len(noise):
        log_p = weight @ (0.5 * np.log(noise / (2.0 * np.pi)) - 0.5 * noise * (Y - Z) ** 2).sum(axis=1)
    else:
        log_p = -weight @ likelihood.loss_at(log_precisions).negative_log_likelihoods(Y, Z)
    expected = log_p - 0.5 * prior @ theta**2 + 0.5 * np.log(prior).sum() - 0.5 * np.linalg.slogdet(A)[1]
    look = likelihood.look(theta, log_precisions, exact=True)
    assert look.log_evidence == pytest.approx(expected, abs=1e-6)
    determined = np.linalg.solve(A, H).diagonal()  # of output biases, too
    assert look.n_effective == pytest.approx(determined.sum(), abs=1e-6)


@every_loss
@pytest.mark.parametrize("grouping", ["evidence", "ard"])
def test_better_precisions_are_mackays(loss, k, grouping):
    """tau = gamma / |theta|^2 for each group that stands alone; of one output, beta = (W - gamma) / (2 loss)."""
    weight = np.random.default_rng(2).uniform(0.5, 3.0, 40)
    likelihood, theta = make_likelihood(loss, k, weight=weight, grouping=grouping)
    log_precisions = some_precisions(likelihood)
    prior, noise = likelihood.split(log_precisions)
    H = curvature(likelihood, theta, log_precisions)
    determined = np.linalg.solve(H + np.diag(prior), H).diagonal()
    look = likelihood.look(theta, log_precisions, exact=True)
    W1, b1, W2, _ = likelihood.objective.shape.unpack(determined)
    V1, c1, V2, _ = likelihood.objective.shape.unpack(theta**2)
    expected = np.log([*(W1.sum(axis=1) / V1.sum(axis=1)), b1.sum() / c1.sum(), W2.sum() / V2.sum()])
    step = np.clip(expected - log_precisions[:5], -2.0, 2.0)
    alone = slice(0 if grouping == "ard" else 3, 5)
    np.testing.assert_allclose(look.better[:5][alone], (log_precisions[:5] + step)[alone], rtol=0, atol=1e-6)
    if k == 1 and len(noise):
        squares = weight @ (likelihood.objective.sums.Y - raw(likelihood, theta)) ** 2
        new = np.log((weight.sum() - determined.sum()) / squares[0])
        np.testing.assert_allclose(look.better[5], np.clip(new, *(log_precisions[5] + [-2.0, 2.0])), rtol=0, atol=1e-6)


def test_parameters_of_the_noise_add_up_over_outputs():
    """What the factored form says of each output is scaled to the number that the matrix knows."""
    likelihood, theta = make_likelihood(HalfSquaredError, 2)
    log_precisions = some_precisions(likelihood)
    theta = optimum(likelihood, theta, log_precisions)
    look = likelihood.look(theta, log_precisions, exact=True)
    squares = ((likelihood.objective.sums.Y - raw(likelihood, theta)) ** 2).sum(axis=0)
    determined = 40.0 - squares * np.exp(look.better[5:])
    assert (determined > 0.0).all()
    assert determined.sum() == pytest.approx(look.n_effective, abs=1e-9)


@every_loss
@pytest.mark.parametrize("exact", [True, False])
def test_weights_count_samples(loss, k, exact):
    """Also in the log evidence, which goes by their sum and not by the number of rows."""
    counts = np.random.default_rng(3).integers(1, 4, 40)
    weighted, theta = make_likelihood(loss, k, weight=counts.astype(float))
    repeated, _ = make_likelihood(loss, k, rows=np.repeat(np.arange(40), counts))
    log_precisions = some_precisions(weighted)
    mine, theirs = (each.look(theta, log_precisions, exact=exact) for each in (weighted, repeated))
    assert mine.log_evidence == pytest.approx(theirs.log_evidence, abs=1e-8)
    assert mine.n_effective == pytest.approx(theirs.n_effective, abs=1e-8)
    np.testing.assert_allclose(mine.better, theirs.better, rtol=0, atol=1e-8)
    np.testing.assert_allclose(weighted.lower, repeated.lower, rtol=0, atol=1e-8)


# ------------------------------------------------------------------------------------------------------------ softmax


def two_classes(loss):
    """The same classifier with one output or, for a softmax, with two that are opposite halves of it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    positive = X[:, :1] + rng.logistic(size=(60, 1)) > 0.0
    Y = positive.astype(float) if loss is BinaryLogLoss else np.hstack([~positive, positive]).astype(float)
    objective = objective_on(X, Y, loss(), h=3)
    theta = np.zeros(objective.shape.n_parameters)
    W1, b1, W2, b2 = objective.shape.unpack(theta)
    rng = np.random.default_rng(1)
    W1[:], b1[:] = rng.normal(size=(2, 3)), rng.normal(size=3)
    w, b = rng.normal(size=(3, 1)), 0.3
    W2[:], b2[:] = (w, b) if loss is BinaryLogLoss else (np.hstack([-w, w]) / 2.0, [-b / 2.0, b / 2.0])
    return MarginalLikelihood(objective, Groups.of(objective.shape, "evidence")), theta


def test_two_classes_of_a_softmax_have_the_evidence_of_a_sigmoid():
    """The halves' difference is N(0, 2 / tau) where each has the precision tau, and their sum counts for nothing."""
    sigmoid, theta = two_classes(BinaryLogLoss)
    softmax, halves = two_classes(MultinomialLogLoss)
    log_precisions = np.array([0.3, -0.2, 0.1, 0.7])
    of_halves = log_precisions + np.array([0.0, 0.0, 0.0, np.log(2.0)])
    softmax.bias_precision = 2.0 * sigmoid.bias_precision
    one = sigmoid.look(theta, log_precisions, exact=True)
    two = softmax.look(halves, of_halves, exact=True)
    assert two.log_evidence == pytest.approx(one.log_evidence, abs=1e-8)
    assert two.n_effective == pytest.approx(one.n_effective, abs=1e-8)


@pytest.mark.parametrize("exact", [True, False])
def test_equal_shifts_of_all_classes_count_for_nothing(exact):
    """The data say nothing of them, and their prior no more than its energy."""
    likelihood, theta = make_likelihood(MultinomialLogLoss, 3)
    log_precisions, shifted = some_precisions(likelihood), theta.copy()
    shifted[-3:] += 5.0
    one, other = (likelihood.look(each, log_precisions, exact=exact) for each in (theta, shifted))
    energy = 0.5 * likelihood.bias_precision * (np.sum(shifted[-3:] ** 2) - np.sum(theta[-3:] ** 2))
    assert one.log_evidence - other.log_evidence == pytest.approx(energy, abs=1e-9)
    assert other.n_effective == pytest.approx(one.n_effective, abs=1e-9)
    assert likelihood.n_constants == 2


# ---------------------------------------------------------------------------------------- bounds, units and the start


@pytest.mark.parametrize("grouping", ["evidence", "ard"])
def test_bounds_and_start_are_relative_to_the_data(grouping):
    """In other units all is as before: precisions of weights are per unit of input, those of the noise of output."""
    x_unit, y_unit = np.array([1e3, 1e-3, 7.0]), 1e4
    likelihood, theta = make_likelihood(HalfSquaredError, 2, grouping=grouping)
    objective = likelihood.objective
    other = networks.with_data(objective, objective.sums.X[:] * x_unit, objective.sums.Y * y_unit)
    scaled = MarginalLikelihood(other, likelihood.groups)
    in_units = theta.copy()
    W1, _, W2, b2 = objective.shape.unpack(in_units)
    W1 /= x_unit[:, np.newaxis]
    W2 *= y_unit
    b2 *= y_unit
    volumes = np.concatenate([np.log(x_unit**2), [0.0], [-np.log(y_unit**2)], [-np.log(y_unit**2)] * 2])
    np.testing.assert_allclose(scaled.lower - likelihood.lower, volumes, atol=1e-9)
    np.testing.assert_allclose(scaled.upper - likelihood.upper, volumes, atol=1e-9)
    start = likelihood.start(theta, 1.0)
    np.testing.assert_allclose(scaled.start(in_units, 1.0) - start, volumes, atol=1e-9)
    one = likelihood.look(theta, start, exact=True)
    other = scaled.look(in_units, start + volumes, exact=True)
    assert other.log_evidence - one.log_evidence == pytest.approx(-80.0 * np.log(y_unit), abs=1e-6)
    assert other.n_effective == pytest.approx(one.n_effective, abs=1e-6)
    np.testing.assert_allclose(other.better - volumes, one.better, atol=1e-6)
    assert np.log(NOISE_PRECISIONS[1]) == pytest.approx((scaled.upper - scaled.units)[-1], abs=1e-12)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("column", [0, 2])
def test_a_constant_input_stays_where_it_is(column, exact):
    likelihood, theta = make_likelihood(HalfSquaredError, 1, grouping="ard")
    X = likelihood.objective.sums.X[:].copy()
    X[:, column] = 0.0
    likelihood = MarginalLikelihood(networks.with_data(likelihood.objective, X), likelihood.groups)
    log_precisions = some_precisions(likelihood)
    better = likelihood.look(theta, log_precisions, exact=exact).better
    assert better[column] == log_precisions[column]
    assert (better != log_precisions).sum() == len(better) - 1


@pytest.mark.parametrize(("loss", "k"), [(BinaryLogLoss, 1), (BinaryLogLoss, 2), (MultinomialLogLoss, 3)])
@pytest.mark.parametrize("exact", [True, False])
def test_evidence_of_labels_is_that_of_probabilities(loss, k, exact):
    """At an optimum never above the log probability at the weights, whatever the precisions."""
    likelihood, start = make_likelihood(loss, k)
    for shift in (-4.0, 0.0, 4.0):
        log_precisions = some_precisions(likelihood) + shift
        theta = optimum(likelihood, start, log_precisions)
        log_p = -40.0 * likelihood.objective.value(theta)
        assert likelihood.look(theta, log_precisions, exact=exact).log_evidence < log_p < 0.0
