"""The ramps that a column of numbers is encoded as: where their edges are, and what they are named."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._typing import Array

ROUNDING = 1e-12
"""Sums of weights that differ by less than this share are the same."""


def by_column(X: Any) -> Iterator[Array]:
    """Yield the columns, shape (n_samples,), in float64."""
    for j in range(X.shape[1]):
        yield np.asarray(X[:, [j]].toarray().ravel() if issparse(X) else X[:, j], dtype=np.float64)


def learn(x: Array, weight: Array | None, n_pieces: int) -> tuple[Array, Array]:
    """Return the edges of a column, and what a missing value becomes: the mean of each ramp, and 1 if there is any."""
    if weight is not None:
        x, weight = x[weight > 0.0], weight[weight > 0.0]
    missing = np.isnan(x)
    values, counts = _counted(x[~missing], None if weight is None else weight[~missing])
    edges = _edges(values, counts, n_pieces)
    means = counts @ ramps(values[:, np.newaxis], edges[:-1], widths(edges)) / counts.sum() if len(edges) else edges
    return edges, np.append(means, 1.0) if missing.any() else means


def _counted(x: Array, weight: Array | None) -> tuple[Array, Array]:
    """Return the different values, ascending, and the weight of each: a row twice is then a row of weight 2."""
    if weight is None:
        values, counts = np.unique(x, return_counts=True)
        return values, np.asarray(counts, dtype=np.float64)
    values, which = np.unique(x, return_inverse=True)
    return values, np.asarray(np.bincount(which, weight, len(values)), dtype=np.float64)


def _edges(values: Array, counts: Array, n_pieces: int) -> Array:
    """Return the distinct quantiles at 0, 1 / n_pieces, ..., 1; of few values, the values themselves."""
    if len(values) and not np.isfinite(float(values[-1]) - float(values[0])):
        raise ValueError(f"X must not span more than 1.8e308 in a column. Got {values[0]:g} to {values[-1]:g}.")
    if len(values) <= n_pieces + 1:
        return np.repeat(values, 2) if len(values) == 1 else values
    reached = n_pieces * np.cumsum(counts)
    levels = np.linspace(0.0, reached[-1], n_pieces + 1)
    before = values[np.searchsorted(reached, levels * (1.0 - ROUNDING))]
    after = values[np.searchsorted(reached, levels * (1.0 + ROUNDING)).clip(max=len(values) - 1)]
    return np.unique(before + (after - before) / 2.0)


def widths(edges: Array) -> Array:
    """Return the widths of the pieces; infinity for that of a constant column, so that its ramp is 0."""
    found = np.diff(edges)
    return np.where(found > 0.0, found, np.inf)


def ramps(X: Array, left: Array, width: Array, lowest: Array | float = 0.0, highest: Array | float = 1.0) -> Array:
    """Return (X - left) / width, clipped, shape (n_samples, n_ramps): X has the column of each ramp, NaN if missing."""
    with np.errstate(over="ignore"):  # infinity is beyond an edge, too
        found = X - left
        found /= width
    np.clip(found, lowest, highest, out=found)
    found += 0.0  # no -0.0
    return found


def labels_of(edges: Array) -> list[str]:
    """Return the edges in three digits, or as many as tell them apart."""
    labels: list[str] = []
    for digits in range(3, 18):
        labels = [repr(float(f"{edge + 0.0:.{digits}g}")).removesuffix(".0") for edge in edges]
        if len({*labels}) == len({*edges}):
            break
    return labels
