"""How rows come to the network: block by block, with a one appended, standardised on the way if they are not yet."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, RowNumbers

Buffer = Callable[[int], Array]
"""Work space of shape (n, n_features + 1) for so many rows, whose last column holds ones."""


class Rows(Protocol):
    """The rows of X, as the passes over them ask for them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of X, (n_samples, n_features)."""

    def __getitem__(self, rows: RowNumbers, /) -> Any:
        """Return some rows of X, shape (n, n_features): an array, or what has `toarray()`."""

    def with_one(self, rows: RowNumbers, buffer: Buffer, /) -> Any:
        """Return [X 1] of some rows, shape (n, n_features + 1): an array, or what multiplies as one by `dot` and `T`.

        It is written into `buffer(n)` where it is not there already.
        """


def _taken(X: Any, rows: RowNumbers) -> Array:
    """Return X[rows]; an array of row numbers by `take`, which is faster in NumPy than an index."""
    return X.take(rows, axis=0) if isinstance(rows, np.ndarray) else X[rows]


class Selection:
    """Some rows of a dense matrix, or of a selection, without a copy of them."""

    def __init__(self, X: Any, rows: NDArray[np.integer[Any]]) -> None:
        self.X, self.rows, self.dtype = X, rows, X.dtype
        self.shape = (len(rows), X.shape[1])
        self.nbytes = len(rows) * X.shape[1] * X.dtype.itemsize

    def __getitem__(self, rows: RowNumbers) -> Array:
        return _taken(self.X, self.rows[rows])

    def take(self, rows: NDArray[np.integer[Any]], axis: int = 0) -> Array:
        """Return some of the rows as an array."""
        return self[rows]

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Return the rows in another floating type: themselves if it is theirs, or a copy."""
        return self if dtype == self.dtype and not copy else self[:].astype(dtype)


class TargetRows:
    """Encoded targets, of which any rows can be had standardised, in the floating type of the computation."""

    def __init__(self, Y: Any, mean: Array, inverse_spread: Array, dtype: Any) -> None:
        self.Y, self.mean, self.inverse_spread, self.dtype = Y, mean, inverse_spread, dtype

    def __getitem__(self, rows: RowNumbers) -> Array:
        block = self.Y[rows] - self.mean
        block *= self.inverse_spread
        return block.astype(self.dtype, copy=False)


class OneHot:
    """Classes as a matrix with a one in each row, formed for the rows that are asked for."""

    def __init__(self, codes: NDArray[np.integer[Any]], n_classes: int) -> None:
        self.codes, self.shape = codes, (len(codes), n_classes)
        self.nbytes = 8 * len(codes) * n_classes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: RowNumbers) -> Array:
        return np.eye(self.shape[1])[self.codes[rows]]

    def take(self, rows: RowNumbers, axis: int = 0) -> "OneHot":
        """Return the classes of some rows."""
        return OneHot(self.codes[rows], self.shape[1])

    def argmax(self, axis: int = 1) -> NDArray[np.intp]:
        """Return the class of each row."""
        return self.codes.astype(np.intp)


class DenseRows:
    """A dense matrix as it is."""

    def __init__(self, X: Array) -> None:
        self.X, self.shape = X, X.shape

    def __getitem__(self, rows: RowNumbers) -> Array:
        return _taken(self.X, rows)

    def with_one(self, rows: RowNumbers, buffer: Buffer) -> Array:
        """Return [X 1] of some rows; see `Rows.with_one`."""
        block = _taken(self.X, rows)
        out = buffer(len(block))
        out[:, :-1] = block
        return out


class StandardizedDense(DenseRows):
    """A dense matrix of which any rows can be had standardised, as a new array of the same floating type."""

    def __init__(self, X: Array, mean: Array, inverse_spread: Array) -> None:
        super().__init__(X)
        self.mean, self.inverse_spread = mean.astype(X.dtype), inverse_spread.astype(X.dtype)
        self._tiles = np.empty((2, 0, X.shape[1] + 1), X.dtype)

    def __getitem__(self, rows: RowNumbers) -> Array:
        block = _taken(self.X, rows) - self.mean
        block *= self.inverse_spread
        return block

    def with_one(self, rows: RowNumbers, buffer: Buffer) -> Array:
        """Return [X 1] of some rows; see `Rows.with_one`."""
        out = super().with_one(rows, buffer)
        means, inverse_spreads = self._tiled(len(out))
        out -= means
        out *= inverse_spreads
        return out

    def _tiled(self, n_rows: int) -> Array:
        """Return a matrix of means and one of inverse spreads: NumPy's loops are then over blocks instead of rows."""
        tiles = self._tiles
        if tiles.shape[1] < n_rows:
            pair = np.stack([np.append(self.mean, 0.0), np.append(self.inverse_spread, 1.0)]).astype(self.X.dtype)
            tiles = self._tiles = np.repeat(pair[:, np.newaxis], n_rows, axis=1)
        return tiles[:, :n_rows]


class KeptRows:
    """Dense rows in memory with their one, standardised once and for all."""

    def __init__(self, rows: DenseRows) -> None:
        self.shape = n, d = rows.shape
        self.X1 = np.ones((n, d + 1), rows.X.dtype)
        self.X1[:, :-1] = rows[:]

    def __getitem__(self, rows: RowNumbers) -> Array:
        return _taken(self.X1, rows)[:, :-1]

    def with_one(self, rows: RowNumbers, buffer: Buffer) -> Array:
        """Return [X 1] of some rows, of a slice a view; see `Rows.with_one`."""
        return _taken(self.X1, rows)


class StandardizedSparse:
    """A sparse matrix that multiplies as if it were standardised, (X - 1 mean.T) / spread, without being formed."""

    def __init__(self, X: Any, mean: Array, inverse_spread: Array) -> None:
        self.X = X
        self.mean = mean.astype(X.dtype)
        self.inverse_spread = inverse_spread.astype(X.dtype)
        self.shape = X.shape

    def __getitem__(self, rows: RowNumbers) -> "StandardizedSparse":
        if isinstance(rows, slice) and rows.indices(self.shape[0]) == (0, self.shape[0], 1):
            return self  # all of them, of which a slice would be a copy
        return StandardizedSparse(self.X[rows], self.mean, self.inverse_spread)

    def toarray(self) -> Array:
        """Return the standardised rows as a dense array: for a block of them."""
        return (self.X.toarray() - self.mean) * self.inverse_spread

    def with_one(self, rows: RowNumbers, buffer: Buffer) -> "SparseWithOne":
        """Return [X 1] of some rows; see `Rows.with_one`."""
        return SparseWithOne(self[rows])


class SparseWithOne:
    """[X 1] for standardised sparse rows X, as a factor of products."""

    def __init__(self, rows: StandardizedSparse) -> None:
        self.rows = rows

    def __getitem__(self, rows: RowNumbers) -> "SparseWithOne":
        return SparseWithOne(self.rows[rows])

    def toarray(self) -> Array:
        """Return the rows as a dense array: for a block of them."""
        return np.hstack([self.rows.toarray(), np.ones((self.rows.shape[0], 1), self.rows.mean.dtype)])

    @property
    def T(self) -> "_TransposedSparseWithOne":
        """The transpose, which multiplies as well."""
        return _TransposedSparseWithOne(self.rows)

    def dot(self, B: Array, out: Array) -> Array:
        """Write the product with B, shape (n_features + 1, m), into `out`, shape (n_samples, m)."""
        scaled = B[:-1] * self.rows.inverse_spread[:, np.newaxis]
        out[...] = self.rows.X @ scaled
        out += B[-1] - self.rows.mean @ scaled
        return out


class _TransposedSparseWithOne:
    def __init__(self, rows: StandardizedSparse) -> None:
        self.rows = rows

    def dot(self, D: Array, out: Array) -> Array:
        """Write the product with D, shape (n_samples, m), into `out`, shape (n_features + 1, m)."""
        np.sum(D, axis=0, out=out[-1])
        out[:-1] = self.rows.X.T @ D
        out[:-1] -= np.outer(self.rows.mean, out[-1])
        out[:-1] *= self.rows.inverse_spread[:, np.newaxis]
        return out


def as_rows(X: Any) -> Rows:
    """Return an array as rows, and rows as they are."""
    return X if hasattr(X, "with_one") else DenseRows(X)
