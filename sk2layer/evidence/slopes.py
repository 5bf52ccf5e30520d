"""The slopes of predictions under the posterior: their variances, and the slopes of probabilities and rates.

The slope s_f = dz / dx_f is a function of the parameters as z is. With the network linearised in them, both are jointly
normal, with the covariance J A^-1 J.T of their derivatives, which `posterior.Derivatives` has. Of the mean of several
networks, how far their slopes disagree is a part of it.

A probability p(z), averaged over the posterior, is p(m) for a moderated m, by the variance of z too, which has a slope
of its own. The variance of p'(z) s is found by quadrature over z, with s given z normal.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc
from sklearn.utils import gen_batches

from .._typing import Array
from ..model.losses import Loss
from ..model.network import Shape, Weights, input_slopes
from ..rows.threads import ThreadMap, one_blas_thread, thread_budget
from .posterior import Derivatives, SlopeCovariance

SLOPE_BYTES = 2**25
"""Of derivatives, in a block of rows."""

N_NODES, N_POINTS = 40, 512
"""Of quadrature over one raw prediction, and over several."""

LEAST_VARIANCE = 1e-12
"""Relative to the largest variance of several raw predictions: less is none."""


class SlopeMoments(NamedTuple):
    """Mean and covariance of the raw predictions of n rows and of their slopes.

    Attributes
    ----------
    Z : ndarray of shape (n, k)
    slopes : ndarray of shape (n, d, k)
    covariance : SlopeCovariance
    """

    Z: Array
    slopes: Array
    covariance: SlopeCovariance

    @classmethod
    def of(cls, block: Derivatives, weights: Weights, covariance: SlopeCovariance) -> "SlopeMoments":
        """Return the moments for a block of rows, in the units of the weights."""
        slopes = input_slopes(block.slopes, weights.W1, weights.W2).transpose(0, 2, 1)
        return cls(block.hidden[:, :-1] @ weights.W2 + weights.b2, slopes, covariance)

    def scaled(self, x: Array, y: Array) -> "SlopeMoments":
        """Return the moments with inputs divided by x, shape (d,), and predictions multiplied by y, shape (k,)."""
        value, cross, own = self.covariance
        x, yy = x[:, np.newaxis], np.outer(y, y)
        xx = x[..., np.newaxis]
        covariance = SlopeCovariance(value * yy, cross * yy * xx, own * yy * xx**2)
        return SlopeMoments(self.Z * y, self.slopes * y * x, covariance)

    def ahead(self) -> "SlopeMoments":
        """Return the moments of raw predictions less their mean over outputs, as `uncertainty.moderate` takes them.

        Variances by which they are moderated are those of what each is ahead of the mean of the others.
        """
        k, (value, cross, own) = self.Z.shape[1], self.covariance
        less = np.eye(k) - 1.0 / k
        ahead = less * k / (k - 1.0)
        covariance = SlopeCovariance(ahead @ value @ ahead, ahead @ cross @ ahead, less @ own @ less)
        return SlopeMoments(self.Z @ less, self.slopes @ less, covariance)

    def by_output(self) -> "SlopeMoments":
        """Return the same with each output as a row of its own."""
        n, d, k = self.slopes.shape
        value, cross, own = (np.einsum("...oo->...o", part) for part in self.covariance)
        cross, own, slopes = (np.moveaxis(part, -1, 1).reshape(n * k, d) for part in (cross, own, self.slopes))
        covariance = SlopeCovariance(value.reshape(-1, 1, 1), cross[..., None, None], own[..., None, None])
        return SlopeMoments(self.Z.reshape(-1, 1), slopes[..., None], covariance)


Members = Sequence[SlopeMoments]
"""The moments of each network whose mean is asked for, in equal parts."""


def mixture(members: Members) -> SlopeMoments:
    """Return the moments of the mixture of networks."""
    if len(members) == 1:
        return members[0]
    Z, slopes = (np.mean(part, axis=0) for part in zip(*(member[:2] for member in members), strict=True))
    total = [np.zeros(1)] * 3
    for its_Z, its_slopes, covariance in members:
        z, s = its_Z - Z, its_slopes - slopes
        apart = z[:, :, None] * z[:, None], z[:, None, :, None] * s[:, :, None], s[..., None] * s[:, :, None]
        total = [part + own + its for part, own, its in zip(total, covariance, apart, strict=True)]
    return SlopeMoments(Z, slopes, SlopeCovariance(*(part / len(members) for part in total)))


class HasSlopes(Protocol):
    """The posterior of a fitted network, or of an average of such."""

    def slope_row_size(self, shape: Shape) -> int:
        """Return how many numbers `slope_moments` needs memory for with each row."""

    def slope_moments(self, X: Any) -> Members:
        """Return the moments of each network for rows in the units of the data."""


def by_blocks(
    X: Any, posterior: HasSlopes, shape: Shape, reduce: Callable[[Members], tuple[Array, ...]], n_jobs: int | None
) -> list[Array]:
    """Return what `reduce` makes of the moments of all rows, block by block, in threads where there are several."""
    n_rows = max(1, SLOPE_BYTES // (8 * posterior.slope_row_size(shape)))
    blocks = list(gen_batches(X.shape[0], n_rows))
    n_threads = thread_budget(n_jobs) if len(blocks) > 1 else 1
    with one_blas_thread():
        parts = ThreadMap(n_threads)(lambda rows: reduce(posterior.slope_moments(X[rows])), blocks)
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def raw_deviations(members: Members) -> tuple[Array]:
    """Return the standard deviations of the slopes of raw predictions, shape (n, k, d)."""
    return (np.sqrt(np.einsum("ndoo->nod", mixture(members).covariance.own)),)


def log_odds_slopes(members: Members, loss: Loss, *, return_std: bool) -> tuple[Array, ...]:
    """Return the slopes of moderated raw predictions, shape (n, k, d), and with `return_std` their deviations.

    The deviations are those of the raw slopes, as much smaller as the predictions are.
    """
    _, slopes, std = _moderated(mixture(members), loss)
    slopes, std = (array.transpose(0, 2, 1) for array in (slopes, std))
    return (slopes, std) if return_std else (slopes,)


def probability_slopes(members: Members, loss: Loss, *, return_std: bool) -> tuple[Array, ...]:
    """Return the slopes of moderated probabilities, shape (n, k, d), and with `return_std` their deviations."""
    Z, slopes, _ = _moderated(mixture(members), loss)
    gradient = chained(loss, Z, slopes.transpose(0, 2, 1))
    if not return_std:
        return (gradient,)
    return gradient, *link_deviations(members, loss)


def link_deviations(members: Members, loss: Loss) -> tuple[Array]:
    """Return the standard deviations of the slopes of predictions, shape (n, k, d)."""
    mean, square = np.mean([link_moments(moments, loss) for moments in members], axis=0)
    return (np.sqrt(np.maximum(square - mean**2, 0.0)),)


def _moderated(moments: SlopeMoments, loss: Loss) -> tuple[Array, Array, Array]:
    """Return moderated raw predictions, shape (n, k), their slopes and the deviations of these, (n, d, k)."""
    Z, slopes, (value, cross, own) = moments.ahead() if loss.shift_invariant else moments
    variance, growth = np.einsum("noo->no", value), 2.0 * np.einsum("ndoo->ndo", cross)
    factor = 1.0 / np.sqrt(1.0 + np.pi / 8.0 * variance)
    its = factor[:, np.newaxis]
    moderated = its * slopes - (np.pi / 16.0) * (Z * factor**3)[:, np.newaxis] * growth
    return Z * factor, moderated, its * np.sqrt(np.einsum("ndoo->ndo", own))


def chained(loss: Loss, Z: Array, slopes: Array) -> Array:
    """Return the slopes of predictions, given those of raw predictions, both of shape (n, k, d)."""
    return loss.link_slopes(Z) @ slopes


def link_moments(moments: SlopeMoments, loss: Loss) -> Array:
    """Return the means and the mean squares of the slopes of predictions under the posterior, shape (2, n, k, d)."""
    n, d, k = moments.slopes.shape
    if not loss.shift_invariant and k > 1:  # each prediction is a function of its own raw one
        return link_moments(moments.by_output(), loss).reshape(2, n, k, d)
    Z, slopes, (value, cross, own) = moments
    variances, vectors = np.linalg.eigh(value)
    kept = variances > LEAST_VARIANCE * variances.max(axis=-1, keepdims=True)
    roots = np.sqrt(np.where(kept, variances, 0.0))
    along = vectors * roots[:, np.newaxis]  # z = Z + along e, and slopes + with e, for e standard normal
    inverse = vectors * np.divide(1.0, roots, out=np.zeros_like(roots), where=kept)[:, np.newaxis]
    carried = cross.transpose(0, 1, 3, 2) @ inverse[:, np.newaxis]
    rest = own - carried @ carried.transpose(0, 1, 3, 2)
    mean, square, outer = np.zeros((n, k, d)), np.zeros((n, k, d)), np.zeros((n, k, k, k))
    for node, weight in zip(*nodes(k), strict=True):
        J = loss.link_slopes(Z + along @ node)
        slope = J @ (slopes + carried @ node).transpose(0, 2, 1)
        mean += weight * slope
        square += weight * slope**2
        outer += weight * J[..., np.newaxis] * J[:, :, np.newaxis]
    square += np.einsum("ncop,ndop->ncd", outer, rest, optimize=True)
    return np.stack([mean, square])


@cache
def nodes(k: int) -> tuple[Array, Array]:
    """Return nodes and weights of a quadrature over k independent standard normal variables.

    Of one variable it is Gauss-Hermite quadrature, of several a Sobol sequence and what is opposite to it.
    """
    if k == 1:
        node, weight = np.polynomial.hermite_e.hermegauss(N_NODES)
        return node[:, np.newaxis], weight / weight.sum()
    points = ndtri(qmc.Sobol(k, seed=0).random(N_POINTS // 2))
    return np.vstack([points, -points]), np.full(N_POINTS, 1.0 / N_POINTS)
