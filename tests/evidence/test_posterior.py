"""Is the posterior right: exact for linear models, and predictions of networks as uncertain as their linearisation?"""

import pickle

import networks
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import multivariate_normal
from slow import seeds

from sk2layer.evidence.bounds import BoundedBinaryLogLoss, BoundedMultinomialLogLoss
from sk2layer.evidence.posterior import ExactPosterior, log_evidence, predictive_covariance
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.losses import ScaledSquaredError

LOSSES = [
    (ScaledSquaredError, 1),
    (ScaledSquaredError, 2),
    (BoundedBinaryLogLoss, 1),
    (BoundedBinaryLogLoss, 2),
    (BoundedMultinomialLogLoss, 3),
]


def make_objective(loss, k, **options):
    """Of the loss that this one is a kind of, on the same data."""
    objective, theta = networks.make_objective(loss.__base__, k, **{"weighted": True, **options})
    loss = loss(np.array([3.0, 5.0])[:k]) if loss is ScaledSquaredError else loss()
    return objective.with_prior(np.full(len(theta), 0.7), loss), theta


def precision_at(objective, theta):
    return objective.curvature(theta)[1] * objective.weight_sum


# -------------------------------------------------------------------------------------------------------- linear models


def posterior_of_linear_model(Phi, y, prior, beta):
    A = beta * Phi.T @ Phi + np.diag(prior)
    mean = np.linalg.solve(A, beta * Phi.T @ y)
    energy = 0.5 * beta * np.sum((y - Phi @ mean) ** 2) + 0.5 * np.sum(prior * mean**2)
    return mean, A, energy - 0.5 * len(y) * np.log(beta / (2.0 * np.pi))


@pytest.mark.parametrize("seed", [0, 1])
def test_evidence_of_a_linear_model_is_its_marginal_likelihood(seed):
    rng = np.random.default_rng(seed)
    Phi, y, prior, beta = rng.normal(size=(30, 4)), rng.normal(size=30), rng.uniform(0.5, 2.0, 4), 2.5
    _, A, energy = posterior_of_linear_model(Phi, y, prior, beta)
    exact = multivariate_normal(np.zeros(30), Phi @ np.diag(1.0 / prior) @ Phi.T + np.eye(30) / beta).logpdf(y)
    assert log_evidence(energy, prior, ExactPosterior.of(A)) == pytest.approx(exact, abs=1e-8)


def test_a_network_with_a_fixed_first_layer_is_bayesian_linear_regression():
    """Through the network's own matrices: the block of the output layer is what is left when the first one is fixed."""
    objective, theta = make_objective(ScaledSquaredError, 1, activation="identity", d=3, h=3, weighted=False)
    beta, tau = 4.0, 0.7
    objective = objective.with_prior(objective.penalty, ScaledSquaredError(np.array([beta])))
    W1, b1, W2, b2 = objective.shape.unpack(theta)
    Phi = np.hstack([objective.sums.X[:] @ W1 + b1, np.ones((objective.n_samples, 1))])
    W2[:, 0], b2[:] = np.split(posterior_of_linear_model(Phi, objective.sums.Y[:, 0], np.full(4, tau), beta)[0], [3])
    output = slice(-4, None)
    posterior = ExactPosterior.of(precision_at(objective, theta)[output, output].copy())
    fixed = 0.5 * tau * np.sum(theta[:-4] ** 2)
    energy = objective.value(theta) * objective.weight_sum - fixed - 0.5 * 40 * np.log(beta / (2.0 * np.pi))
    exact = multivariate_normal(np.zeros(40), Phi @ Phi.T / tau + np.eye(40) / beta).logpdf(objective.sums.Y[:, 0])
    assert log_evidence(energy, objective.penalty[output], posterior) == pytest.approx(exact, abs=1e-8)


# ------------------------------------------------------------------------------------------------------------ networks


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("loss", "k"), LOSSES)
def test_predictive_covariance_is_that_of_the_linearised_network(loss, k, activation, monkeypatch):
    objective, theta = make_objective(loss, k, activation=activation)
    A, weights = precision_at(objective, theta), objective.shape.unpack(theta)
    X, activation, posterior = objective.sums.X[:], objective.network.activation, ExactPosterior.of(A.copy())
    J = networks.jacobian(objective, theta, step=1e-6)
    expected = np.einsum("nop,pq,nrq->nor", J, np.linalg.inv(A), J)
    mine = predictive_covariance(X, weights, activation, posterior)
    np.testing.assert_allclose(mine, expected, rtol=1e-6, atol=1e-8)
    kept = pickle.loads(pickle.dumps(posterior.portable()))
    again = predictive_covariance(csr_array(X), weights, activation, kept)
    np.testing.assert_allclose(again, mine, rtol=1e-12, atol=1e-15)
    monkeypatch.setattr("sk2layer.evidence.posterior.JACOBIAN_BYTES", 1)
    blocks = predictive_covariance(X, weights, activation, posterior)
    np.testing.assert_allclose(blocks, mine, rtol=1e-12, atol=1e-15)


def test_log_determinant_and_variances_are_those_of_the_matrix():
    objective, theta = make_objective(ScaledSquaredError, 2)
    A = precision_at(objective, theta)
    posterior = ExactPosterior.of(A.copy())
    assert posterior.log_determinant() == pytest.approx(np.linalg.slogdet(A)[1], rel=1e-12)
    np.testing.assert_allclose(posterior.variances(), np.linalg.inv(A).diagonal(), rtol=1e-10)


def test_what_is_kept_is_a_triangle():
    objective, theta = make_objective(ScaledSquaredError, 1, d=20, h=5)
    posterior, p = ExactPosterior.of(precision_at(objective, theta)), len(theta)
    assert len(pickle.dumps(posterior.portable())) < 8 * p * (p + 1) / 2 + 1000
    np.testing.assert_array_equal(np.tril(posterior.factor), posterior.factor)
    np.testing.assert_allclose(posterior.factor @ posterior.factor.T, precision_at(objective, theta), rtol=1e-12)


def test_a_matrix_that_is_not_positive_definite_has_no_posterior():
    assert ExactPosterior.of(np.diag([1.0, -1.0])) is None
    matrix = np.array([[4.0, 1.0], [1.0, 3.0]])
    np.testing.assert_allclose(ExactPosterior.of(matrix.copy()).factor, np.linalg.cholesky(matrix), rtol=1e-15)


@seeds(3)
def test_a_matrix_that_lacks_digits_is_raised_in_its_last_ones(seed):
    """Of one that is singular to rounding, what is factored differs by less than 1e-8 of its diagonal."""
    J = np.random.default_rng(seed).normal(size=(20, 60)) * np.logspace(0, 4, 60)
    A = J.T @ J + 1e-9 * np.eye(60)
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(A)
    L = ExactPosterior.of(A.copy()).factor
    diagonal = A.diagonal()
    np.testing.assert_allclose(L @ L.T, A, rtol=0, atol=1e-8 * diagonal.max())
    np.testing.assert_allclose((L @ L.T).diagonal(), diagonal, rtol=1e-8)
