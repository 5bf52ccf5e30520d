"""Is the posterior right: exact for linear models, and its response to the weights the numerical derivative?"""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from sk2layer.activations import ACTIVATIONS
from sk2layer.bounds import BoundedBinaryLogLoss, BoundedMultinomialLogLoss, ScaledSquaredError
from sk2layer.network import Shape, initial_weights, predict_raw
from sk2layer.objective import Objective
from sk2layer.posterior import cholesky, inverse, log_determinant, log_evidence, predictive_covariance
from sk2layer.response import response

LOSSES = [
    (ScaledSquaredError, 1),
    (ScaledSquaredError, 2),
    (BoundedBinaryLogLoss, 1),
    (BoundedBinaryLogLoss, 2),
    (BoundedMultinomialLogLoss, 3),
]


def make_objective(loss, k, *, activation="tanh", n=40, d=3, h=4, weighted=True):
    rng = np.random.default_rng(0)
    X, shape = rng.normal(size=(n, d)), Shape(d, h, k)
    targets = {
        BoundedBinaryLogLoss: rng.integers(2, size=(n, k)).astype(float),
        BoundedMultinomialLogLoss: np.eye(k)[rng.integers(k, size=n)],
    }
    objective = Objective(
        X,
        targets.get(loss, rng.normal(size=(n, k))),
        rng.uniform(0.5, 2.0, n) if weighted else None,
        shape=shape,
        activation=ACTIVATIONS[activation],
        loss=loss(np.array([3.0, 5.0])[:k]) if loss is ScaledSquaredError else loss(),
        penalty=np.full(shape.n_parameters, 0.7),
        dtype=np.float64,
    )
    return objective, initial_weights(shape, ACTIVATIONS[activation], rng)


def precision_at(objective, theta):
    return objective.curvature(theta)[1] * objective.weight_sum


# -------------------------------------------------------------------------------------------------------- linear models


def linear_problem(rng, n=30, p=4):
    Phi, y = rng.normal(size=(n, p)), rng.normal(size=n)
    return Phi, y, rng.uniform(0.5, 2.0, p), 2.5


def posterior_of_linear_model(Phi, y, prior, beta):
    A = beta * Phi.T @ Phi + np.diag(prior)
    mean = np.linalg.solve(A, beta * Phi.T @ y)
    energy = 0.5 * beta * np.sum((y - Phi @ mean) ** 2) + 0.5 * np.sum(prior * mean**2)
    return mean, A, energy - 0.5 * len(y) * np.log(beta / (2.0 * np.pi))


def test_evidence_of_a_linear_model_is_its_marginal_likelihood():
    Phi, y, prior, beta = linear_problem(np.random.default_rng(0))
    _, A, energy = posterior_of_linear_model(Phi, y, prior, beta)
    exact = multivariate_normal(np.zeros(len(y)), Phi @ np.diag(1.0 / prior) @ Phi.T + np.eye(len(y)) / beta).logpdf(y)
    assert log_evidence(energy, prior, cholesky(A)) == pytest.approx(exact, abs=1e-8)


def test_a_flat_prior_is_integrated_out_under_density_one():
    Phi, y, prior, beta = linear_problem(np.random.default_rng(1))
    Phi = np.hstack([Phi, np.ones((len(y), 1))])
    prior = np.append(prior, 0.0)
    _, A, energy = posterior_of_linear_model(Phi, y, prior, beta)
    C = Phi[:, :-1] @ np.diag(1.0 / prior[:-1]) @ Phi[:, :-1].T + np.eye(len(y)) / beta
    rest = np.linalg.solve(C, np.column_stack([np.ones(len(y)), y])).T
    level = rest[1].sum() / rest[0].sum()
    exact = multivariate_normal(np.full(len(y), level), C).logpdf(y) + 0.5 * np.log(2.0 * np.pi / rest[0].sum())
    assert log_evidence(energy, prior, cholesky(A)) == pytest.approx(exact, abs=1e-8)


def test_a_network_with_a_fixed_first_layer_is_bayesian_linear_regression():
    """Through the network's own matrices: the block of the output layer is what is left when the first one is fixed."""
    objective, theta = make_objective(ScaledSquaredError, 1, activation="identity", d=3, h=3, weighted=False)
    beta, tau = 4.0, 0.7
    objective = objective.with_prior(objective.penalty, ScaledSquaredError(np.array([beta])))
    W1, b1, W2, b2 = objective.shape.unpack(theta)
    Phi = np.hstack([objective.X @ W1 + b1, np.ones((objective.n_samples, 1))])
    W2[:, 0], b2[:] = np.split(posterior_of_linear_model(Phi, objective.Y[:, 0], np.full(4, tau), beta)[0], [3])
    output = slice(-4, None)
    factor = cholesky(precision_at(objective, theta)[output, output])
    fixed = 0.5 * tau * np.sum(theta[:-4] ** 2)
    energy = objective.value(theta) * objective.weight_sum - fixed - 0.5 * 40 * np.log(beta / (2.0 * np.pi))
    exact = multivariate_normal(np.zeros(40), Phi @ Phi.T / tau + np.eye(40) / beta).logpdf(objective.Y[:, 0])
    assert log_evidence(energy, objective.penalty[output], factor) == pytest.approx(exact, abs=1e-8)


# ------------------------------------------------------------------------------------------------------------ networks


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "identity"])
@pytest.mark.parametrize(("loss", "k"), LOSSES)
def test_response_of_the_determinant_is_the_numerical_derivative(loss, k, activation):
    objective, theta = make_objective(loss, k, activation=activation)

    def value(theta):
        return log_determinant(cholesky(precision_at(objective, theta)))

    mine = response(objective, theta, inverse(cholesky(precision_at(objective, theta)))).gradient
    step = 1e-5
    numerical = [(value(theta + step * e) - value(theta - step * e)) / (2 * step) for e in np.eye(len(theta))]
    np.testing.assert_allclose(mine, numerical, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("loss", "k"), [(ScaledSquaredError, 1), (ScaledSquaredError, 2)])
def test_parameters_are_determined_by_the_data_or_by_the_prior(loss, k):
    objective, theta = make_objective(loss, k)
    covariance = inverse(cholesky(precision_at(objective, theta)))
    traces = response(objective, theta, covariance).traces
    assert traces.sum() == pytest.approx(len(theta) - np.sum(objective.penalty * covariance.diagonal()), abs=1e-9)
    assert (traces > 0.0).all()


@pytest.mark.parametrize("k", [1, 2])
def test_half_errors_are_the_losses_of_the_outputs(k):
    objective, theta = make_objective(ScaledSquaredError, k)
    Z = predict_raw(objective.X, objective.shape.unpack(theta), objective.activation)
    expected = 0.5 * objective.sample_weight @ (Z - objective.Y) ** 2 * np.array([3.0, 5.0])[:k]
    half_errors = response(objective, theta, np.eye(len(theta))).half_errors
    np.testing.assert_allclose(half_errors, expected, rtol=1e-12)


@pytest.mark.parametrize(("loss", "k"), LOSSES)
def test_predictive_covariance_is_that_of_the_linearised_network(loss, k, monkeypatch):
    objective, theta = make_objective(loss, k)
    factor, weights = cholesky(precision_at(objective, theta)), objective.shape.unpack(theta)
    step = 1e-6

    def raw(theta):
        return predict_raw(objective.X, objective.shape.unpack(theta), objective.activation)

    J = np.stack([(raw(theta + step * e) - raw(theta - step * e)) / (2 * step) for e in np.eye(len(theta))], axis=-1)
    expected = np.einsum("nop,pq,nrq->nor", J, np.linalg.inv(factor @ factor.T), J)
    mine = predictive_covariance(objective.X, weights, objective.activation, factor)
    np.testing.assert_allclose(mine, expected, rtol=1e-6, atol=1e-8)
    monkeypatch.setattr("sk2layer.posterior.BLOCK_BYTES", 1)
    blocks = predictive_covariance(objective.X, weights, objective.activation, factor)
    np.testing.assert_allclose(blocks, mine, rtol=1e-12)


def test_a_matrix_that_is_not_positive_definite_has_no_factor():
    assert cholesky(np.diag([1.0, -1.0])) is None
    matrix = np.array([[4.0, 1.0], [1.0, 3.0]])
    np.testing.assert_allclose(cholesky(matrix), np.linalg.cholesky(matrix), rtol=1e-15)
    np.testing.assert_allclose(inverse(cholesky(matrix)), np.linalg.inv(matrix), rtol=1e-14)
    assert log_determinant(cholesky(matrix)) == pytest.approx(np.log(11.0))
