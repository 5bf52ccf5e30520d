"""Do the quadratics lie above the losses, touch them, and have the slopes they say?"""

import numpy as np
import pytest

from sk2layer.bounds import BoundedBinaryLogLoss, BoundedMultinomialLogLoss, ScaledSquaredError, bounded
from sk2layer.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss

PRECISION = np.array([2.0, 0.5, 3.0])
BOUNDED = [ScaledSquaredError(PRECISION), BoundedBinaryLogLoss(), BoundedMultinomialLogLoss()]
every_loss = pytest.mark.parametrize("loss", BOUNDED, ids=lambda loss: type(loss).__name__)


def curvature(loss, Z):
    C = loss.curvature_factor(Z)
    return np.einsum("nkm,nlm->nkl", C, C)


@every_loss
@pytest.mark.parametrize("spread", [0.01, 1.0, 10.0])
def test_the_quadratic_lies_above_the_loss(loss, spread):
    rng = np.random.default_rng(0)
    M, Z, Y = rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3)), np.eye(3)[rng.integers(3, size=2000)]
    M, Z = 3.0 * M, 3.0 * M + spread * Z
    losses, delta = loss.losses_and_delta(Y, M.copy())
    step = Z - M
    quadratic = losses + (delta * step).sum(axis=1) + 0.5 * np.einsum("nk,nkl,nl->n", step, curvature(loss, M), step)
    assert (loss.losses(Y, Z) <= quadratic + 1e-12 * (1.0 + np.abs(quadratic))).all()


@every_loss
def test_slope_of_the_curvature_is_the_numerical_one(loss):
    rng = np.random.default_rng(0)
    Z, V = 2.0 * rng.normal(size=(50, 3)), rng.normal(size=(50, 3, 3))
    Z[:10] *= 1e-2
    V = V @ V.transpose(0, 2, 1)
    step = 1e-6
    numerical = np.stack(
        [
            np.einsum("nkl,nkl->n", V, curvature(loss, Z + step * e) - curvature(loss, Z - step * e)) / (2.0 * step)
            for e in np.eye(3)
        ],
        axis=1,
    )
    np.testing.assert_allclose(loss.curvature_slope(Z, V), numerical, rtol=0, atol=1e-7)


def test_two_classes_of_a_softmax_are_a_sigmoid():
    z = np.linspace(-30.0, 30.0, 13)[:, np.newaxis]
    softmax = curvature(BoundedMultinomialLogLoss(), np.hstack([np.zeros_like(z), z]))
    sigmoid = curvature(BoundedBinaryLogLoss(), z)[:, 0, 0]
    np.testing.assert_allclose(softmax[:, 1, 1], sigmoid, rtol=1e-12)
    np.testing.assert_allclose(softmax[:, 0, 1], -sigmoid, rtol=1e-12)


def test_extreme_raw_predictions_have_finite_bounds():
    Z = np.array([[0.0, 0.0, 0.0], [800.0, -800.0, 0.0], [1e10, 1e10, -1e10]])
    for loss in BOUNDED:
        assert np.isfinite(loss.curvature_factor(Z)).all()
        assert np.isfinite(loss.curvature_slope(Z, np.ones((3, 3, 3)))).all()


def test_the_bound_vanishes_slowly():
    """As 1 / (2 |z|), where the curvature itself is exp(-|z|)."""
    z = np.array([[20.0], [40.0]])
    np.testing.assert_allclose(curvature(BoundedBinaryLogLoss(), z)[:, 0, 0], [1 / 40, 1 / 80], rtol=1e-8)


def test_each_loss_has_its_bound():
    assert type(bounded(BinaryLogLoss(), np.empty(0))) is BoundedBinaryLogLoss
    assert type(bounded(MultinomialLogLoss(), np.empty(0))) is BoundedMultinomialLogLoss
    assert bounded(HalfSquaredError(), PRECISION).precision is PRECISION
