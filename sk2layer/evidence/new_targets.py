"""The distribution of a new target: its likelihood, averaged over the uncertainty of the raw prediction.

Raw predictions are Gaussian under the posterior, one by one. Averages over them are sums over equidistant nodes, the
trapezoidal rule: as accurate as Gauss and Hermite's where the likelihood is smooth, and safer where it is narrow beside
the posterior, for which a density has more of them. The quantile of such a mixture lies between those at its outermost
nodes, and is found by halving; so is that of a mixture of several fits, between those of its members.

The distributions here have `cdf` and `quantile`, with an array of shape (n_samples, n_outputs) for that of each target.
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

MOST_HALVINGS, ACCURACY = 200, 1e-7

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

    def cdf(self, Y: Array) -> Array:
        """Return the probability of at most Y."""
        nodes, weights = self._nodes()
        return np.asarray((weights * self.likelihood.cdf(Y, nodes)).sum(axis=0))

    def quantile(self, q: float) -> Array:
        """Return what each target is at most with the probability q, of counts at least q."""
        nodes, weights = self._nodes()
        low, high = self.likelihood.bracket(q, nodes[0], nodes[-1])
        return halved(
            lambda Y: (weights * self.likelihood.cdf(Y, nodes)).sum(axis=0), q, low, high, self.likelihood.between
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

    def rows(self, rows: slice) -> "Mixed":
        """Return those of some rows."""
        return self._replace(members=[member.rows(rows) for member in self.members])

    def cdf(self, Y: Array) -> Array:
        """Return the probability of at most Y."""
        return np.tensordot(self.weights, [member.cdf(Y) for member in self.members], axes=1)

    def quantile(self, q: float) -> Array:
        """Return what each is at most with the probability q; of counts, at least q."""
        each = [member.quantile(q).astype(np.float64) for member in self.members]
        found = halved(self.cdf, q, np.min(each, axis=0), np.max(each, axis=0), _between)
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


def halved(
    cdf: Callable[[Array], Array], q: float, low: Array, high: Array, between: Callable[[Array, Array], Array]
) -> Array:
    """Return the least values with a probability of q that no more comes, which are at most `high`, above `low`."""
    for _ in range(MOST_HALVINGS):
        middle = between(low, high)
        if not (high - middle > ACCURACY * np.abs(high)).any() or not (middle > low).any():
            break
        below = cdf(middle) < q
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


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
