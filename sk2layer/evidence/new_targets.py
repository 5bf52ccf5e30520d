"""The distribution of a new target: its likelihood, averaged over the uncertainty of the raw prediction.

Raw predictions are Gaussian under the posterior, one by one. Averages over them are sums over equidistant nodes, the
trapezoidal rule: as accurate as Gauss and Hermite's where the likelihood is smooth, and safer where it is narrow beside
the posterior, for which a density has more of them. The quantile of such a mixture lies between those at its outermost
nodes, and is found by halving.
"""

from typing import Any

import numpy as np
from scipy.special import logsumexp

from .._typing import Array

FARTHEST = 6.0
"""The outermost node, in standard deviations: beyond it there is 2e-9 of a Gaussian."""

NODES_OF_DENSITY, NODES_OF_QUANTILE = 201, 49

ROWS = 2**12
"""Rows whose quantiles are sought at a time."""

MOST_HALVINGS, ACCURACY = 200, 1e-7


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


def quantile(likelihood: Any, Z: Array, variance: Array, q: float) -> Array:
    """Return what each target is at most with the probability q, shape (n_samples, n_outputs); of counts, at least q.

    The variances are those of the raw predictions, in the shape of Z.
    """
    found = np.empty(Z.shape)
    for start in range(0, len(Z), ROWS):
        rows = slice(start, start + ROWS)
        found[rows] = _halved(likelihood, q, *_nodes(Z[rows].astype(np.float64), variance[rows], NODES_OF_QUANTILE))
    return found


def _halved(likelihood: Any, q: float, nodes: Array, weights: Array) -> Array:
    low, high = likelihood.bracket(q, nodes[0], nodes[-1])
    for _ in range(MOST_HALVINGS):
        middle = likelihood.between(low, high)
        if not (high - middle > ACCURACY * np.abs(high)).any() or not (middle > low).any():
            break
        below = (weights * likelihood.cdf(middle, nodes)).sum(axis=0) < q
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high
