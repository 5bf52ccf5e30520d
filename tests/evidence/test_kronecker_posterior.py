"""Is the factored curvature a Kronecker product of the right means, whatever the blocks that they are summed in?"""

from functools import partial

import networks
import numpy as np
import pytest
from networks import every_loss
from scipy.sparse import csr_array

from sk2layer.evidence import kronecker_posterior
from sk2layer.evidence.kronecker_posterior import KroneckerPosterior
from sk2layer.evidence.posterior import Derivatives, predictive_covariance
from sk2layer.model.losses import HalfSquaredError
from sk2layer.model.network import Shape
from sk2layer.objective import kronecker
from sk2layer.objective.kronecker import InputMoments, input_moments, kronecker_sum
from sk2layer.rows.predict import predict_raw, predict_slopes
from sk2layer.rows.sources import Table

sketched_or_not = pytest.mark.parametrize("sketched", [False, True], ids=["all", "sketched"], indirect=True)
N, D, H = 60, 3, 4
make_objective = partial(networks.make_objective, n=N, weighted=True)


@pytest.fixture
def sketched(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(kronecker, "MOST_INPUTS", D - 1)
    return request.param


def by_hand(objective, theta, noise):
    """The derivatives of the hidden layer, and the four means, from their definitions."""
    (W1, b1, W2, _), network, X = objective.shape.unpack(theta), objective.network, objective.sums.X[:]
    share, Z1 = objective.sums.weight / objective.weight_sum, X @ W1 + b1
    a = np.hstack([np.tanh(Z1), np.ones((len(Z1), 1))])
    slopes = 1.0 - np.tanh(Z1) ** 2
    x = np.hstack([X, np.ones((len(Z1), 1))])
    if len(noise):
        L = np.broadcast_to(np.diag(noise), (len(Z1), len(noise), len(noise)))
    else:
        Z = predict_raw(X, objective.shape.unpack(theta), network.activation)
        C = network.loss.curvature_factor(objective.sums.Y, Z)
        L = C @ C.transpose(0, 2, 1)
    R = slopes[:, :, np.newaxis] * W2  # (n, h, k)
    hidden = np.einsum("n,nao,nop,nbp->ab", share, R, L, R)
    outputs = np.einsum("n,nop->op", share, L)
    weight = share if len(noise) else share * np.einsum("noo->n", L) / np.trace(outputs)
    return x, a, R, (x * share[:, np.newaxis]).T @ x, hidden, (a * weight[:, np.newaxis]).T @ a, outputs


def precision(objective, theta, prior, noise):
    """A with its Kronecker products written out, and zero between the layers."""
    *_, inputs, hidden, values, outputs = by_hand(objective, theta, noise)
    A = np.diag(prior)
    m = (D + 1) * H
    A[:m, :m] += objective.weight_sum * np.kron(inputs, hidden)
    A[m:, m:] += objective.weight_sum * np.kron(values, outputs)
    return A


def make_posterior(loss, k):
    objective, theta = make_objective(loss, k)
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(D + 3), [H] * (D + 1) + [H * k, k])
    prior = rng.uniform(0.3, 3.0, D + 3)[groups]
    noise = np.array([4.0, 9.0])[:k] if loss is HalfSquaredError else np.empty(0)
    sums, shape = objective.kronecker_sum(theta), objective.shape
    posterior = KroneckerPosterior.of(objective.input_moments, sums, prior, noise, objective.weight_sum, shape)
    return posterior, objective, theta, prior, noise, sums


@every_loss
@sketched_or_not
def test_log_determinant_and_variances_are_those_of_the_product(loss, k, sketched):
    posterior, objective, theta, prior, noise, _ = make_posterior(loss, k)
    assert objective.input_moments.sketched == sketched
    A = precision(objective, theta, prior, noise)
    assert posterior.log_determinant() == pytest.approx(np.linalg.slogdet(A)[1], abs=1e-8)
    np.testing.assert_allclose(posterior.variances(), np.linalg.inv(A).diagonal(), rtol=1e-8)


@every_loss
@sketched_or_not
def test_covariance_of_predictions_is_that_of_the_product(loss, k, sketched, monkeypatch):
    posterior, objective, theta, prior, noise, _ = make_posterior(loss, k)
    x, a, R, *_ = by_hand(objective, theta, noise)
    J = np.zeros((N, k, len(theta)))
    for o in range(k):
        J[:, o, : (D + 1) * H] = (x[:, :, np.newaxis] * R[:, np.newaxis, :, o]).reshape(N, -1)
        J[:, o, (D + 1) * H + o :: k] = a
    expected = np.einsum("nop,pq,nrq->nor", J, np.linalg.inv(precision(objective, theta, prior, noise)), J)
    X, arguments = objective.sums.X[:], (objective.shape.unpack(theta), objective.network.activation, posterior)
    np.testing.assert_allclose(predictive_covariance(X, *arguments), expected, rtol=1e-6, atol=1e-9)
    monkeypatch.setattr("sk2layer.evidence.posterior.JACOBIAN_BYTES", 1)
    np.testing.assert_allclose(predictive_covariance(csr_array(X), *arguments), expected, rtol=1e-6, atol=1e-9)


@every_loss
@sketched_or_not
def test_covariance_of_slopes_is_that_of_the_product(loss, k, sketched):
    posterior, objective, theta, prior, noise, _ = make_posterior(loss, k)
    covariance = np.linalg.inv(precision(objective, theta, prior, noise))
    np.testing.assert_allclose(posterior.covariance_of(np.eye(len(theta))), covariance, rtol=1e-6, atol=1e-9)
    X, shape, activation = objective.sums.X[:5], objective.shape, objective.network.activation

    def both(t):
        slopes = predict_slopes(X, shape.unpack(t), activation)
        return np.concatenate(
            [predict_raw(X, shape.unpack(t), activation)[:, np.newaxis], slopes.transpose(0, 2, 1)], 1
        )

    J = np.stack([(both(theta + e) - both(theta - e)) / 2e-5 for e in 1e-5 * np.eye(len(theta))], axis=-1)
    value, cross, own = posterior.slope_covariance(Derivatives.of(X, shape.unpack(theta), activation))
    expected = np.einsum("nfop,pq,ngrq->nfgor", J, covariance, J)
    np.testing.assert_allclose(value, expected[:, 0, 0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(cross, expected[:, 0, 1:], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(own, np.einsum("nffor->nfor", expected[:, 1:, 1:]), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("k", [1, 2])
def test_outputs_determine_what_the_product_says_of_their_part(k):
    posterior, objective, theta, prior, noise, sums = make_posterior(HalfSquaredError, k)
    covariance = np.linalg.inv(precision(objective, theta, prior, noise))
    zero = np.zeros(len(theta))
    expected = [
        np.sum(covariance * precision(objective, theta, zero, np.where(np.arange(k) == o, noise, 0.0)).T)
        for o in range(k)
    ]
    mine = posterior.determined(sums, noise, objective.weight_sum)
    np.testing.assert_allclose(mine, expected, rtol=1e-8)
    assert mine.sum() == pytest.approx(len(theta) - prior @ posterior.variances(), abs=1e-9)


@every_loss
def test_of_very_many_inputs_what_holds_in_the_mean_is_kept(loss, k, monkeypatch):
    """Of rows like those of training, predictions are as sure as by the whole; the eigenvectors are left behind."""
    whole, objective, *_ = make_posterior(loss, k)
    assert whole.portable() == whole
    monkeypatch.setattr(kronecker_posterior, "MOST_INPUTS", D - 1)
    kept = whole.portable()
    assert kept.hidden.U.shape == (D + 1, 0)
    assert kept.output is whole.output
    inputs = np.hstack([objective.sums.X[:], np.ones((N, 1))])
    share, same = objective.sums.weight / objective.weight_sum, np.random.default_rng(0).normal(size=(k, 1, H))
    means = [
        np.einsum("n,nop->op", share, layer.covariance(inputs, np.broadcast_to(same, (k, N, H))))
        for layer in (whole.hidden, kept.hidden)
    ]
    np.testing.assert_allclose(means[1], means[0], rtol=1e-9)
    far = kept.hidden.covariance(10.0 * inputs, np.broadcast_to(same, (k, N, H)))
    np.testing.assert_allclose(
        far, 100.0 * kept.hidden.covariance(inputs, np.broadcast_to(same, (k, N, H))), rtol=1e-12
    )


@pytest.mark.parametrize("k", [1, 2])
def test_a_direction_of_a_short_sketch_stands_for_several(k, monkeypatch):
    """What outputs determine adds up, and is less than there are directions to determine."""
    monkeypatch.setattr(kronecker, "MOST_INPUTS", D - 1)
    monkeypatch.setattr(kronecker, "SKETCH_ROWS", 2)
    posterior, objective, theta, prior, noise, sums = make_posterior(HalfSquaredError, k)
    assert objective.input_moments.inputs.shape == (2, D + 1)
    assert posterior.hidden.copies == objective.input_moments.copies == 2.0
    determined = posterior.determined(sums, noise, objective.weight_sum).sum()
    assert determined == pytest.approx(len(theta) - prior @ posterior.variances(), abs=1e-9)
    assert 0.0 < determined < len(theta)
    tenfold = posterior.determined(sums, 10.0 * noise, objective.weight_sum).sum()
    assert tenfold > determined


# ----------------------------------------------------------------------------------------------------- sums over rows


@sketched_or_not
@pytest.mark.parametrize("n", [60, 300])
def test_moments_are_exact_for_rows_that_fit_the_sketch(n, sketched):
    objective, _ = make_objective(HalfSquaredError, 2, n=n)
    share = objective.sums.weight / objective.weight_sum
    X, Y = objective.sums.X[:], objective.sums.Y
    x, y = objective.input_moments.variances()
    np.testing.assert_allclose(y, share @ (Y - share @ Y) ** 2, rtol=1e-10)
    second = (np.hstack([X, np.ones((n, 1))]) * share[:, np.newaxis]).T @ np.hstack([X, np.ones((n, 1))])
    inputs = objective.input_moments.inputs
    np.testing.assert_allclose(inputs.T @ inputs if sketched else inputs, second, rtol=1e-10, atol=1e-14)
    mean = 0.0 if sketched else share @ X  # very many inputs are taken to be centred
    np.testing.assert_allclose(x, share @ (X - mean) ** 2, rtol=1e-10)
    scale = np.array([2.0, 0.5, 1.0, 3.0])
    U, values = objective.input_moments.whitened(scale)
    np.testing.assert_allclose((U * values) @ U.T, scale[:, np.newaxis] * second * scale, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(U.T @ U, np.eye(len(values)), atol=1e-8)


def test_more_rows_than_the_sketch_has_are_right_in_the_mean(monkeypatch):
    monkeypatch.setattr(kronecker, "MOST_INPUTS", D - 1)
    objective, _ = make_objective(HalfSquaredError, 1, n=20_000)
    share = objective.sums.weight / objective.weight_sum
    x, B = objective.input_moments.variances()[0], objective.input_moments.inputs
    np.testing.assert_allclose(x, share @ objective.sums.X[:] ** 2, rtol=0.25)
    np.testing.assert_allclose((B.T @ B)[-1, :-1], 0.0, atol=0.25)
    assert (B.T @ B)[-1, -1] == pytest.approx(1.0, rel=0.25)


def assert_same_sums(mine, its):
    for name, array in vars(its).items():
        np.testing.assert_allclose(getattr(mine, name), array, rtol=1e-12, atol=1e-15)


@every_loss
def test_sums_of_blocks_are_those_of_the_whole(loss, k):
    (objective, theta), (in_blocks, _) = make_objective(loss, k), make_objective(loss, k)
    in_blocks.sums.block_rows = 7
    assert_same_sums(in_blocks.kronecker_sum(theta), objective.kronecker_sum(theta))
    assert_same_sums(in_blocks.input_moments, objective.input_moments)


@every_loss
def test_merged_sums_are_those_of_the_whole(loss, k):
    objective, theta = make_objective(loss, k)
    blocks = [objective.sums.block(rows) for rows in (slice(0, 25), slice(25, N))]
    one, other = (kronecker_sum(block, objective.network, theta) for block in blocks)
    assert_same_sums(one.merge(other), objective.kronecker_sum(theta))
    one, other = (input_moments(block) for block in blocks)
    assert_same_sums(one.merge(other), objective.input_moments)


@every_loss
def test_losses_are_those_of_the_objective(loss, k):
    """Half the squared errors of each output, or the log loss; of likelihoods with what does not depend on theta."""
    objective, theta = make_objective(loss, k)
    losses, (Y, weight) = objective.kronecker_sum(theta).losses, (objective.sums.Y, objective.sums.weight)
    assert losses.shape == (k if loss is HalfSquaredError else 1,)
    Z = predict_raw(objective.sums.X[:], objective.shape.unpack(theta), objective.network.activation)
    rest = objective.network.loss.negative_log_likelihoods(Y, Z) - objective.network.loss.losses(Y, Z)
    assert losses.sum() == pytest.approx(objective.value(theta) + weight @ rest / weight.sum(), rel=1e-12)


def test_blocks_that_all_start_at_the_first_row_do_not_add_up_in_step():
    """As on a cluster; the mean square of the one that is appended is 1, whatever the number of blocks."""
    rng, shape, n_blocks, n = np.random.default_rng(0), Shape(1500, 2, 1), 10, 400
    total = InputMoments(shape)
    for _ in range(n_blocks):
        table = Table(rng.normal(size=(n, 1500)), rng.normal(size=(n, 1)))
        total.merge(input_moments(table.sums(shape, float, weight_sum=n_blocks * n).block(slice(0, n))))
    assert np.einsum("mf,mf->f", total.inputs, total.inputs)[-1] == pytest.approx(1.0, abs=0.3)
