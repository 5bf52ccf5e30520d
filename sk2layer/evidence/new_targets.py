"""The distribution of a new target: its likelihood, averaged over the uncertainty of the raw prediction.

Raw predictions are Gaussian under the posterior, one by one. Averages over them are sums over equidistant nodes, the
trapezoidal rule: as accurate as Gauss and Hermite's where the likelihood is smooth, and safer where it is narrow beside
the posterior, for which a density has more of them. The quantile of such a mixture lies between those at its outermost
nodes, that of a mixture of several fits between those of its members. From there it is found by inverse quadratic
interpolation where the probabilities are smooth, and by halving elsewhere (Chandrupatla 1997).

The distributions here have `cdf` and `quantile`, with an array of shape (n_samples, n_outputs) for that of each target.

References
----------
Chandrupatla (1997). A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
using derivatives. Advances in Engineering Software 28.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp, stdtr, stdtrit
from sklearn.utils import gen_batches

from .._typing import Array

FARTHEST = 6.0
"""The outermost node, in standard deviations: beyond it there is 2e-9 of a Gaussian."""

NODES_OF_DENSITY, NODES_OF_QUANTILE = 201, 49

ROWS = 2**12
"""Rows whose quantiles are sought at a time."""

MOST_STEPS, ACCURACY = 200, 1e-7

LEAST_LEVEL = 1e-200
"""Of quantiles: below, SciPy has none of Student's distribution."""


def _nodes(Z: Array, variance: Array, n_nodes: int) -> tuple[Array, Array]:
    """Return raw predictions to average over, shape (n_nodes, n_samples, n_outputs), and weights to multiply them."""
    nodes = np.linspace(-FARTHEST, FARTHEST, n_nodes)
    weights = np.exp(-0.5 * nodes**2)
    weights /= weights.sum()
    return Z + np.multiply.outer(nodes, np.sqrt(np.maximum(variance, 0.0))), weights[:, np.newaxis, np.newaxis]


def log_density(likelihood: Any, Y: Array, Z: Array, covariance: Array) -> Array:
    """Return the log density of each sample, shape (n_samples,), with outputs as if they were independent.

    Z, shape (n_samples, n_outputs), are raw predictions at the posterior's mean, and the covariance, shape (n_samples,
    n_outputs, n_outputs), is theirs.
    """
    nodes, weights = _nodes(Z, np.einsum("nkk->nk", covariance), NODES_OF_DENSITY)
    with np.errstate(over="ignore"):  # of means that are not probable either
        each = likelihood.log_densities(Y, nodes)
    return logsumexp(each, axis=0, b=weights).sum(axis=1)


class Averaged(NamedTuple):
    """Targets with the noise of a likelihood, averaged over the raw prediction.

    Attributes
    ----------
    likelihood : Distribution
    Z, variance : ndarrays of shape (n_samples, n_outputs)
        The raw predictions at the posterior's mean, and their variances.
    """

    likelihood: Any
    Z: Array
    variance: Array

    def rows(self, rows: slice) -> "Averaged":
        """Return those of some rows."""
        return self._replace(Z=self.Z[rows], variance=self.variance[rows])

    def _nodes(self) -> tuple[Array, Array]:
        return _nodes(self.Z.astype(np.float64), self.variance, NODES_OF_QUANTILE)

    @property
    def counts(self) -> bool:
        """Whether all targets are whole numbers."""
        return bool(self.likelihood.counts)

    def cdf(self, Y: Array) -> Array:
        """Return the probability of at most Y."""
        nodes, weights = self._nodes()
        return np.asarray((weights * self.likelihood.cdf(Y, nodes)).sum(axis=0))

    def quantile(self, q: float) -> Array:
        """Return what each target is at most with the probability q, of counts at least q."""
        nodes, weights = self._nodes()
        low, high = self.likelihood.bracket(q, nodes[0], nodes[-1])
        between = self.likelihood.between
        return solved(
            lambda Y: (weights * self.likelihood.cdf(Y, nodes)).sum(axis=0), q, low, high, between, whole=self.counts
        )


class Linked(NamedTuple):
    """Targets, or their means, that are an inverse link of numbers with Student's distribution.

    Attributes
    ----------
    loss : Loss
        Whose link it is.
    Z, std : ndarrays of shape (n_samples, n_outputs)
    degrees_of_freedom : float or ndarray of shape (n_samples, n_outputs)
    """

    loss: Any
    Z: Array
    std: Array
    degrees_of_freedom: Any

    @property
    def counts(self) -> bool:
        """Whether all targets are whole numbers: no."""
        return False

    def rows(self, rows: slice) -> "Linked":
        """Return those of some rows."""
        known_by = np.broadcast_to(self.degrees_of_freedom, self.Z.shape)
        return Linked(self.loss, self.Z[rows], self.std[rows], known_by[rows])

    def cdf(self, Y: Array) -> Array:
        """Return the probability of at most Y."""
        std = np.maximum(self.std, np.finfo(np.float64).tiny)
        with np.errstate(over="ignore"):
            return np.asarray(stdtr(self.degrees_of_freedom, (self.loss.link(Y) - self.Z) / std))

    def quantile(self, q: float) -> Array:
        """Return what each is at most with the probability q."""
        return np.asarray(self.loss.inverse_link(self.Z + self.std * stdtrit(self.degrees_of_freedom, q)))


class Mixed(NamedTuple):
    """Targets of which each is one of several with the weights for probabilities: a mixture.

    Attributes
    ----------
    members : list of Averaged or Linked
    weights : ndarray of shape (n_members,)
        Their sum is 1.
    """

    members: Sequence[Any]
    weights: Array

    @property
    def Z(self) -> Array:
        """Something in the shape and the floating type of the targets."""
        return np.empty(self.members[0].Z.shape, np.result_type(*(member.Z for member in self.members)))

    @property
    def counts(self) -> bool:
        """Whether all targets are whole numbers."""
        return all(member.counts for member in self.members)

    def rows(self, rows: slice) -> "Mixed":
        """Return those of some rows."""
        return self._replace(members=[member.rows(rows) for member in self.members])

    def cdf(self, Y: Array) -> Array:
        """Return the probability of at most Y."""
        return np.tensordot(self.weights, [member.cdf(Y) for member in self.members], axes=1)

    def quantile(self, q: float) -> Array:
        """Return what each is at most with the probability q; of counts, at least q."""
        each = [member.quantile(q).astype(np.float64) for member in self.members]
        low, high = np.min(each, axis=0), np.max(each, axis=0)
        if self.counts:
            return solved(self.cdf, q, low - 1.0, high, self.members[0].likelihood.between, whole=True)
        found = solved(self.cdf, q, low, high, _between)
        whole = np.floor(found)  # where counts take part, a whole number may have it all
        return np.where(self.cdf(whole) >= q, whole, found)


def held_in(values: Array, dtype: Any) -> Array:
    """Return numbers in a floating type, its largest instead of larger ones; what is infinite is so."""
    with np.errstate(over="ignore"):
        cast = values.astype(dtype, copy=False)
    most = np.finfo(dtype).max
    return np.where(np.isinf(cast) & np.isfinite(values), np.copysign(most, cast), cast)


def _between(low: Array, high: Array) -> Array:
    """Return what is in the middle, between numbers of very different size by their logarithms."""
    return np.asarray(np.sinh(0.5 * np.arcsinh(low) + 0.5 * np.arcsinh(high)))


def solved(
    cdf: Callable[[Array], Array],
    q: float,
    low: Array,
    high: Array,
    between: Callable[[Array, Array], Array],
    *,
    whole: bool = False,
) -> Array:
    """Return the least values with a probability of q that no more comes, which are at most `high`, above `low`.

    `whole`: they are whole numbers, as `between` returns; one cannot interpolate.
    """
    last, other = high.astype(np.float64), low.astype(np.float64)  # on both sides of what is sought
    p_last, p_other = cdf(last) - q, cdf(other) - q
    before, p_before = last, p_last
    t = np.full(low.shape, np.nan)
    for _ in range(MOST_STEPS):
        lower, upper = np.minimum(last, other), np.maximum(last, other)
        middle = between(lower, upper)
        if not (upper - middle > ACCURACY * np.abs(upper)).any() or not (middle > lower).any():
            break
        trial = np.where(np.isnan(t), middle, last + t * (other - last))
        p_trial = cdf(trial) - q
        stays = (p_trial < 0.0) == (p_last < 0.0)
        before, p_before = np.where(stays, last, other), np.where(stays, p_last, p_other)
        other, p_other = np.where(stays, other, last), np.where(stays, p_other, p_last)
        last, p_last = trial, p_trial
        t = np.full(low.shape, np.nan) if whole else _interpolated(last, other, before, p_last, p_other, p_before)
    return np.where(p_last < 0.0, other, last)


def _interpolated(a: Array, b: Array, c: Array, p_a: Array, p_b: Array, p_c: Array) -> Array:
    """Return where between a and b, as a share of the way, three points say that p is 0; NaN where they do not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (a - b) / (c - b), (p_a - p_b) / (p_c - p_b)
        is_smooth = (y**2 < x) & ((1.0 - y) ** 2 < 1.0 - x)
        t = p_a / (p_b - p_a) * p_c / (p_b - p_c) + (c - a) / (b - a) * p_a / (p_c - p_a) * p_b / (p_c - p_b)
        least = ACCURACY * np.maximum(np.abs(a), np.abs(b)) / np.abs(b - a)  # from both ends, so that these meet
        return np.where(is_smooth & (least < 0.5), np.clip(t, least, 1.0 - least), np.nan)


def quantiles(targets: Averaged | Linked | Mixed, q: Any) -> Array:
    """Return quantiles, shape (n_samples, n_outputs), and if q has several a last axis for them.

    Raises
    ------
    ValueError
        If they are not between 0 and 1.
    """
    levels = np.atleast_1d(q)
    is_number = levels.dtype.kind in "iuf" and levels.ndim == 1 and len(levels) > 0
    if not is_number or not ((levels > 0.0) & (levels < 1.0)).all():
        raise ValueError(f"q must be a float in the range (0, 1), or several. Got {q!r}.")
    Z = targets.Z
    found = np.empty((*Z.shape, len(levels)), Z.dtype)
    for part in gen_batches(len(Z), ROWS):
        some = targets.rows(part)
        for number, level in enumerate(levels):
            found[part, :, number] = held_in(some.quantile(max(float(level), LEAST_LEVEL)), Z.dtype)
    return found[..., 0] if np.ndim(q) == 0 else found
