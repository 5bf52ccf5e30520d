"""The terms of second derivatives in a block of rows: inputs, hidden values, slopes and curvatures.

A block of n rows is held with samples in columns, so that products run along contiguous memory.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._typing import Array

PAIR_COLUMNS, LEAST_COLUMNS, PAIR_BYTES = 512, 8, 2**22
"""Samples for which products of pairs are formed at a time, so that they are still in cache when they are used; fewer,
down to the least, where so many would take more memory than this."""


class Inputs:
    """A block of n rows of X, ready for sums: it does not change with the weights.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        The rows.
    keep : bool
        Whether the products of pairs are kept once they have been formed.

    Attributes
    ----------
    columns : ndarray of shape (d + 1, n)
        The inputs and a row of ones.
    """

    def __init__(self, X: Array, *, keep: bool) -> None:
        self.columns, self._keep = with_ones(X), keep
        self._kept: dict[int, Array] = {}

    @staticmethod
    def width(n_features: int) -> int:
        """Return the number of elements for each row, with those of the pairs."""
        return (n_features + 1) * (n_features + 4) // 2

    def parts(self) -> Iterator[tuple[slice, Array]]:
        """Yield some columns after the other, and their `pair_products`, shape ((d + 1) (d + 2) / 2, n_columns)."""
        (d, n), itemsize = self.columns.shape, self.columns.itemsize
        size = min(max(PAIR_BYTES // (itemsize * d * (d + 1) // 2), LEAST_COLUMNS), PAIR_COLUMNS)
        for start in range(0, n, size):
            part = slice(start, start + size)
            products = self._kept.get(start)
            if products is None:
                products = pair_products(self.columns[:, part])
            if self._keep:
                self._kept[start] = products
            yield part, products


class Terms(NamedTuple):
    """What a block of n rows contributes, d, h and k being the numbers of inputs, hidden units and outputs.

    Attributes
    ----------
    inputs : Inputs
    hidden : ndarray of shape (h + 1, n)
        The hidden values and a row of ones.
    slopes, bends : ndarray of shape (h, n)
        g'(z1) and g''(z1).
    delta : ndarray of shape (k, n)
        The weighted output delta.
    factor : ndarray of shape (k, k, n)
        The columns c_m of the factor of the weighted curvature are `factor[:, m]`.
    W2 : ndarray of shape (h, k)
        The output weights.
    """

    inputs: Inputs
    hidden: Array
    slopes: Array
    bends: Array
    delta: Array
    factor: Array
    W2: Array

    def hidden_rows(self) -> list[Array]:
        """Return r of each column of the curvature's factor, shape (h, n)."""
        return [self.slopes * (self.W2 @ self.factor[:, m]) for m in range(len(self.delta))]

    def curvatures(self) -> Array:
        """Return the weighted curvature L of each sample's loss, shape (k, k, n)."""
        return np.einsum("omn,pmn->opn", self.factor, self.factor)


def with_ones(X: Array) -> Array:
    """Return rows of shape (n, d) as columns with a row of ones, shape (d + 1, n)."""
    columns = np.ones((X.shape[1] + 1, X.shape[0]), X.dtype)
    columns[:-1] = X.T
    return columns


def pair_products(A: Array, out: Array | None = None) -> Array:
    """Return the products A[a] * A[b] for all a <= b, shape (m (m + 1) / 2, n), of A of shape (m, n)."""
    m, n = A.shape
    products = np.empty((m * (m + 1) // 2, n), A.dtype) if out is None else out
    start = 0
    for a in range(m):
        np.multiply(A[a], A[a:], out=products[start : start + m - a])
        start += m - a
    return products
