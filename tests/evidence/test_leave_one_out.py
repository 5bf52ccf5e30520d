"""Does the leave-one-out density say what refits without each of the samples say?"""

import networks
import numpy as np
import pytest
from networks import every_loss, raw_prediction
from scipy.stats import multivariate_normal

from sk2layer.evidence.bounds import bounded
from sk2layer.evidence.leave_one_out import leave_one_out_density
from sk2layer.evidence.marginal_likelihood import MarginalLikelihood
from sk2layer.evidence.posterior import predictive_covariance
from sk2layer.evidence.priors import Groups
from sk2layer.evidence.uncertainty import moderate
from sk2layer.model.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss
from sk2layer.solvers import LevenbergMarquardt, Run

N = 25
LABELS = [(BinaryLogLoss, 1), (BinaryLogLoss, 2), (MultinomialLogLoss, 3)]
either_form = pytest.mark.parametrize("exact", [True, False], ids=["exact", "factored"])


def make_likelihood(loss, k, **options):
    objective, theta = networks.make_objective(loss, k, n=N, d=2, h=3, **options)
    likelihood = MarginalLikelihood(objective, Groups.of(objective.shape, "evidence"))
    log_precisions = np.linspace(-1.0, 0.5, len(likelihood.lower)) + 1.5 * (np.arange(len(likelihood.lower)) > 3)
    result = LevenbergMarquardt().minimize(likelihood.objective_at(log_precisions), theta, Run(max_iter=1000, tol=0.0))
    return likelihood, result.x, log_precisions


def density(likelihood, theta, log_precisions, *, exact=True):
    posterior = likelihood.posterior(theta, log_precisions, exact=exact)
    objective, noise = likelihood.objective_of(log_precisions), likelihood.split(log_precisions)[1]
    return leave_one_out_density(objective, theta, posterior, noise)


def linearised(likelihood, theta, noise):
    """Raw predictions, their derivatives, and the curvature of each sample's loss."""
    objective = likelihood.objective
    Z, J = raw_prediction(objective, theta), networks.jacobian(objective, theta)
    if len(noise):
        return Z, J, np.broadcast_to(np.diag(noise), (N, len(noise), len(noise)))
    C = bounded(objective.network.loss).curvature_factor(objective.sums.Y, Z)
    return Z, J, C @ C.transpose(0, 2, 1)


@pytest.mark.parametrize("activation", ["tanh", "identity"])
@pytest.mark.parametrize("k", [1, 2])
def test_it_is_that_of_refits_of_the_linear_model(k, activation):
    """Each fitted anew to all samples but one, at the same precisions, and asked for the density of that one."""
    likelihood, theta, log_precisions = make_likelihood(HalfSquaredError, k, activation=activation)
    prior, noise = likelihood.split(log_precisions)
    Z, J, L = linearised(likelihood, theta, noise)
    Y, expected = likelihood.objective.sums.Y, []
    for i in range(N):
        rest = np.arange(N) != i
        A = np.einsum("nop,noq,nqr->pr", J[rest], L[rest], J[rest]) + np.diag(prior)
        pull = np.einsum("nop,noq,nq->p", J[rest], L[rest], (Y - Z + J @ theta)[rest])
        mean = Z[i] + J[i] @ (np.linalg.solve(A, pull) - theta)
        covariance = J[i] @ np.linalg.solve(A, J[i].T) + np.diag(1.0 / noise)
        expected.append(multivariate_normal(mean, covariance).logpdf(Y[i]))
    assert density(likelihood, theta, log_precisions) == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize(("loss", "k"), LABELS)
def test_of_labels_it_is_that_of_one_step_without_each(loss, k):
    likelihood, theta, log_precisions = make_likelihood(loss, k)
    prior, noise = likelihood.split(log_precisions)
    Z, J, L = linearised(likelihood, theta, noise)
    Y, loss, expected = likelihood.objective.sums.Y, likelihood.objective.network.loss, []
    A = np.einsum("nop,noq,nqr->pr", J, L, J) + np.diag(prior)
    for i in range(N):
        without = A - J[i].T @ L[i] @ J[i]
        delta = loss.delta(Y[i : i + 1], Z[i : i + 1].copy())[0]
        mean = Z[i] + J[i] @ np.linalg.solve(without, J[i].T @ delta)
        covariance = J[i] @ np.linalg.solve(without, J[i].T)
        moderated = moderate(mean[np.newaxis], covariance[np.newaxis], shift_invariant=loss.shift_invariant)
        expected.append(-loss.losses(Y[i : i + 1], moderated)[0])
    assert density(likelihood, theta, log_precisions) == pytest.approx(np.mean(expected), abs=1e-6)
    assert np.mean(expected) < -likelihood.objective.value(theta)  # than to those that were there


@pytest.mark.parametrize("k", [1, 2])
def test_the_factored_form_leaves_the_covariance_as_it_is(k):
    """It is of rows in the mean: the prediction moves by V delta, the variance does not change."""
    likelihood, theta, log_precisions = make_likelihood(HalfSquaredError, k)
    noise = likelihood.split(log_precisions)[1]
    objective, posterior = likelihood.objective, likelihood.posterior(theta, log_precisions, exact=False)
    weights, Z = objective.shape.unpack(theta), raw_prediction(objective, theta)
    V = predictive_covariance(objective.sums.X[:], weights, objective.network.activation, posterior)
    expected = [
        multivariate_normal(z + v @ ((z - y) * noise), v + np.diag(1.0 / noise)).logpdf(y)
        for y, z, v in zip(objective.sums.Y, Z, V, strict=True)
    ]
    assert density(likelihood, theta, log_precisions, exact=False) == pytest.approx(np.mean(expected), abs=1e-9)


@either_form
@every_loss
def test_weights_count_samples(loss, k, exact):
    counts = np.random.default_rng(3).integers(1, 4, N)
    weighted, theta, log_precisions = make_likelihood(loss, k, weight=counts.astype(float))
    repeated, *_ = make_likelihood(loss, k, rows=np.repeat(np.arange(N), counts))
    mine, theirs = (density(each, theta, log_precisions, exact=exact) for each in (weighted, repeated))
    assert mine == pytest.approx(theirs, abs=1e-9)


@either_form
@every_loss
def test_blocks_of_rows_change_nothing(loss, k, exact, monkeypatch):
    fitted = make_likelihood(loss, k)
    whole = density(*fitted, exact=exact)
    monkeypatch.setattr("sk2layer.evidence.posterior.JACOBIAN_BYTES", 1)
    assert density(*fitted, exact=exact) == pytest.approx(whole, abs=1e-12)


def test_where_a_sample_is_all_there_was_to_know_there_is_none():
    """Its leverage is one: without it, nothing is known at its place."""
    likelihood, theta, log_precisions = make_likelihood(HalfSquaredError, 1, rows=slice(0, 5))
    assert np.isfinite(density(likelihood, theta, log_precisions))
    log_precisions[-1] = 22.0
    assert np.isnan(density(likelihood, theta, log_precisions))
