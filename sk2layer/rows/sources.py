"""What a fit is given: rows, encoded targets and weights, in memory or elsewhere."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.sparse import issparse

from .._typing import Array
from ..model.network import Shape
from .inputs import Selection
from .scaling import COPY_BYTES, RunningScaling, Scaling
from .seen_rows import SeenRows
from .sums import RowSums, ThreadedSums

MERGED_SIZE = 2**17
"""Numbers in a table whose equal rows are looked for."""


class RowSource(Protocol):
    """What a fit asks of the rows that it is given, wherever they are."""

    @property
    def X(self) -> Any:
        """The rows, or what has at least their `shape`, (n_samples, n_features), and their `dtype`."""

    @property
    def in_memory(self) -> bool:
        """Whether the rows are in this process, to be taken in any order."""

    @property
    def total_weight(self) -> float:
        """The sum of the weights of all rows."""

    def take_into(self, running: RunningScaling, *, scale_targets: bool) -> RunningScaling:
        """Return running means and spreads with these rows, of the targets too where these are scaled."""

    def standardized(self, scaling: Scaling, dtype: Any) -> "RowSource":
        """Return the rows standardised, in the floating type of the computation."""

    def sums(self, shape: Shape, dtype: Any, n_threads: int) -> RowSums:
        """Return what carries out sums over the rows for a network of this size."""


class Table(NamedTuple):
    """Rows, encoded targets and weights in memory.

    Attributes
    ----------
    X : ndarray, csr matrix or Rows of shape (n_samples, n_features)
    Y : ndarray, OneHot or TargetRows of shape (n_samples, n_outputs)
    weight : ndarray of shape (n_samples,) or None
        Positive; None is one for each sample.
    """

    X: Any
    Y: Any
    weight: Array | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the rows are in this process, to be taken in any order: they are."""
        return True

    @property
    def total_weight(self) -> float:
        """The sum of the weights."""
        return float(self.X.shape[0] if self.weight is None else self.weight.sum())

    def times(self, factor: Array) -> "Table":
        """Return the table with its weights times a factor for each row, without the rows that have none then."""
        weight = factor if self.weight is None else factor * self.weight
        table = Table(self.X, self.Y, weight)
        return table if weight.all() else table.take(np.flatnonzero(weight))

    def take_into(self, running: RunningScaling, *, scale_targets: bool) -> RunningScaling:
        """Return running means and spreads with these rows, of the targets too where these are scaled."""
        return running.update(self.X, self.Y if scale_targets else None, self.weight)

    def seen(self) -> SeenRows:
        """Return what has to be kept of the rows to know them again."""
        return SeenRows.of(*self)

    def standardized(self, scaling: Scaling, dtype: Any) -> "Table":
        """Return the table standardised, in the floating type of the computation."""
        return Table(scaling.rows(self.X.astype(dtype, copy=False)), scaling.targets(self.Y, dtype), self.weight)

    def sums(self, shape: Shape, dtype: Any, n_threads: int = 1, weight_sum: float | None = None) -> ThreadedSums:
        """Return what sums over the rows, in threads; `weight_sum` is the total weight where they are a part."""
        return ThreadedSums(self.X, self.Y, self.weight, shape, dtype, n_threads, weight_sum)

    def merged(self) -> "Table":
        """Return a small table with its rows in a fixed order and equal ones together, their weights added up.

        Fits are then the same to the last bit for any order of the rows, and for a row twice or of weight 2. Where the
        noise is nearly none, a search for the penalty would amplify what the order of summation differs by.
        """
        n_samples, n_features = self.X.shape
        if n_samples * (n_features + self.Y.shape[1]) > MERGED_SIZE:
            return self
        X = self.X.toarray() if issparse(self.X) else self.X
        _, first, which = np.unique(np.hstack([X, self.Y[:]]), axis=0, return_index=True, return_inverse=True)
        weight = np.bincount(which.ravel(), self.weight)
        return Table(self.X[first], self.Y.take(first, axis=0), None if (weight == 1.0).all() else weight.astype(float))

    def take(self, rows: Any) -> "Table":
        """Return a part of the table, without a copy where X is large."""
        large = not issparse(self.X) and self.X.nbytes > COPY_BYTES
        rows = np.sort(rows) if large else rows
        X = Selection(self.X, rows) if large else self.X[rows]
        return Table(X, self.Y.take(rows, axis=0), None if self.weight is None else self.weight[rows])
