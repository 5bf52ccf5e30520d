"""Do the quadratics lie above the losses and touch them, and vanish as slowly as they should?"""

import numpy as np
import pytest

from sk2layer.evidence.bounds import BoundedBinaryLogLoss, BoundedMultinomialLogLoss, bounded
from sk2layer.model.likelihoods import StudentT
from sk2layer.model.log_link import Poisson
from sk2layer.model.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss, ScaledSquaredError

PRECISION = np.array([2.0, 0.5, 3.0])
BOUNDED = [ScaledSquaredError(PRECISION), BoundedBinaryLogLoss(), BoundedMultinomialLogLoss()]
BOUNDED += [StudentT(np.stack([PRECISION, [1.0, 3.0, 50.0]]))]
every_loss = pytest.mark.parametrize("loss", BOUNDED, ids=lambda loss: type(loss).__name__)


def curvature(loss, Z, Y=None):
    C = loss.curvature_factor(np.zeros_like(Z) if Y is None else Y, Z)
    return np.einsum("nkm,nlm->nkl", C, C)


@every_loss
@pytest.mark.parametrize("spread", [0.01, 1.0, 10.0])
def test_the_quadratic_lies_above_the_loss(loss, spread):
    rng = np.random.default_rng(0)
    M, Z, Y = rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3)), np.eye(3)[rng.integers(3, size=2000)]
    M, Z = 3.0 * M, 3.0 * M + spread * Z
    losses, delta = loss.losses_and_delta(Y, M.copy())
    step = Z - M
    quadratic = losses + (delta * step).sum(axis=1) + 0.5 * np.einsum("nk,nkl,nl->n", step, curvature(loss, M, Y), step)
    assert (loss.losses(Y, Z) <= quadratic + 1e-12 * (1.0 + np.abs(quadratic))).all()


def test_two_classes_of_a_softmax_are_a_sigmoid():
    z = np.linspace(-30.0, 30.0, 13)[:, np.newaxis]
    softmax = curvature(BoundedMultinomialLogLoss(), np.hstack([np.zeros_like(z), z]))
    sigmoid = curvature(BoundedBinaryLogLoss(), z)[:, 0, 0]
    np.testing.assert_allclose(softmax[:, 1, 1], sigmoid, rtol=1e-12)
    np.testing.assert_allclose(softmax[:, 0, 1], -sigmoid, rtol=1e-12)


def test_extreme_raw_predictions_have_finite_bounds():
    Z = np.array([[0.0, 0.0, 0.0], [800.0, -800.0, 0.0], [1e10, 1e10, -1e10]])
    for loss in BOUNDED:
        assert np.isfinite(loss.curvature_factor(np.zeros_like(Z), Z)).all()


def test_the_bound_vanishes_slowly():
    """As 1 / (2 |z|), where the curvature itself is exp(-|z|)."""
    z = np.array([[20.0], [40.0]])
    np.testing.assert_allclose(curvature(BoundedBinaryLogLoss(), z)[:, 0, 0], [1 / 40, 1 / 80], rtol=1e-8)


def test_a_common_shift_of_all_classes_has_no_curvature():
    Z = np.random.default_rng(0).normal(size=(50, 4)) * [1.0, 5.0, 0.1, 30.0]
    L = curvature(BoundedMultinomialLogLoss(), Z)
    np.testing.assert_allclose(L.sum(axis=2), 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [(BinaryLogLoss(), BoundedBinaryLogLoss), (MultinomialLogLoss(), BoundedMultinomialLogLoss)],
)
def test_each_loss_has_its_bound(loss, expected):
    assert type(bounded(loss)) is expected


def test_losses_of_numbers_have_the_curvature_that_they_have():
    for loss in (HalfSquaredError(), ScaledSquaredError(PRECISION), Poisson()):
        assert bounded(loss) is loss
