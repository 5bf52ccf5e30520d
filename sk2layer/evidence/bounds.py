"""Quadratic upper bounds of the log losses, with which the evidence of a classifier is computed.

For z of mean m and covariance S, and a matrix L(m) such that the quadratic with this curvature that touches the loss at
m lies above it everywhere,

    E l(z) <= l(m) + 1/2 tr(L(m) S)

whatever the distribution. For squared error L is the curvature itself, and the two are equal. The curvature p (1 - p)
of the log loss is no bound: it vanishes exponentially as z grows, so that where classes can be separated an evidence
from it grows without limit with the weights. The tightest that is one falls as 1 / |z| (Jaakkola & Jordan 2000),

    log(1 + e^z):   L(z) = tanh(z / 2) / (2 z)

and log sum_c e^z_c, taken up class by class, has one of the same form (Jebara & Choromanska 2012, algorithm 1).

References
----------
Jaakkola & Jordan (2000). Bayesian parameter estimation via variational methods. Statistics and Computing 10.

Jebara & Choromanska (2012). Majorization for CRFs and latent likelihoods. NIPS 25.
"""

from typing import Any

import numpy as np

from .._typing import Array
from ..model.losses import BinaryLogLoss, Loss, MultinomialLogLoss


class BoundedBinaryLogLoss(BinaryLogLoss):
    """The log loss of two classes or several labels with the bound of Jaakkola & Jordan."""

    def curvature_factor(self, Y: Array, Z: Array) -> Array:
        """Return the root of L for each output, as diagonal matrices."""
        return np.eye(Z.shape[1]) * np.sqrt(_half_tanh_ratio(Z))[:, np.newaxis]


class BoundedMultinomialLogLoss(MultinomialLogLoss):
    """The log loss of several classes with the bound of Jebara & Choromanska, the most probable classes first."""

    def curvature_factor(self, Y: Array, Z: Array) -> Array:
        """Return C with C C.T = L; one of its columns is zero."""
        return _majorizing_factor(Z, np.argsort(-Z, axis=1, kind="stable"))


def _majorizing_factor(Z: Any, order: Any) -> Any:
    """Return C, shape (n_samples, n_classes, n_classes), for real or complex Z: sum_c L_c l_c l_c.T = C C.T."""
    n, k = Z.shape
    rows = np.arange(n)
    factor = np.zeros((n, k, k), Z.dtype)
    mean = np.zeros((n, k), Z.dtype)
    mean[rows, order[:, 0]] = 1.0
    log_sum = Z[rows, order[:, 0]]  # of e^z over the classes taken up so far
    for c in order.T[1:]:
        ahead = Z[rows, c] - log_sum
        behind = -mean
        behind[rows, c] += 1.0
        factor[rows, :, c] = np.sqrt(_half_tanh_ratio(ahead))[:, np.newaxis] * behind
        odds = np.exp(ahead)  # at most 1 in this order
        mean = mean + (odds / (1.0 + odds))[:, np.newaxis] * behind
        log_sum = log_sum + np.log(1.0 + odds)
    return factor


def _half_tanh_ratio(Z: Any) -> Any:
    """Return tanh(z / 2) / (2 z), which is 1/4 at 0."""
    small = np.abs(Z) < 1e-3
    z = np.where(small, 1.0, Z)
    return np.where(small, 0.25 - Z * Z / 48.0, np.tanh(0.5 * z) / (2.0 * z))


def bounded(loss: Loss) -> Loss:
    """Return the loss with its bound; that of numbers is as it is, with the curvature that it has."""
    if not loss.of_labels:
        return loss
    return BoundedMultinomialLogLoss() if loss.shift_invariant else BoundedBinaryLogLoss()
