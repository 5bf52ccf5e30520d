"""How second derivatives are formed from products: of whole rows of the Jacobian, or of pairs of its factors.

Both matrices that `curvature` describes have few different elements: each is a gather from one flat array of sums. The
remainder is added to some of them.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..model.network import Shape, Workspace
from .curvature_terms import Inputs, Terms, pair_products

ROW_COLUMNS = 256
"""Samples for which rows of the Jacobian are formed at a time, so that they are still in cache when they are used."""


class CurvatureSum(ABC):
    """Sums over row blocks that make up the gradient, the Gauss-Newton matrix and the Hessian.

    The subclasses say how the elements of the matrices are summed: in `self.sums`, of which element `index[i, j]`,
    an array of shape (n_parameters, n_parameters), is that of the parameters i and j.
    """

    def __init__(self, shape: Shape, dtype: Any, n_sums: int) -> None:
        d, h, k = shape
        self.shape, self.dtype = shape, dtype
        self.sums = np.zeros(n_sums, dtype)
        self._own = np.zeros((k, h, d + 1), dtype)  # sum_i x_f g'(z1_a) delta_o
        self._bends = np.zeros((h, (d + 1) * (d + 2) // 2), dtype)
        self._output_gradient = np.zeros((h + 1, k), dtype)

    @property
    def _arrays(self) -> tuple[Array, ...]:
        return self.sums, self._own, self._bends, self._output_gradient

    def clear(self) -> None:
        """Start from zero."""
        for array in self._arrays:
            array[...] = 0.0

    def add(self, terms: Terms, work: Workspace, *, hessian: bool) -> None:
        """Add a block of rows; `hessian`: also to what only the Hessian needs."""
        self._add(terms, work)
        self._output_gradient += terms.hidden @ terms.delta.T
        for o, delta in enumerate(terms.delta):
            self._own[o] += (terms.slopes * delta) @ terms.inputs.columns.T
        if hessian:
            self._add_bends(terms.inputs, terms.bends * (terms.W2 @ terms.delta), work)

    def merge(self, other: "CurvatureSum") -> Self:
        """Add the sums over other rows."""
        for mine, its in zip(self._arrays, other._arrays, strict=True):
            mine += its
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.shape, self.dtype), self._arrays  # without views of them and index

    def __setstate__(self, arrays: tuple[Array, ...]) -> None:
        for mine, its in zip(self._arrays, arrays, strict=True):
            mine[...] = its

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + sum(array.nbytes for array in self._arrays)  # of what another process gets

    def gradient(self, W2: Array) -> Array:
        """Return the gradient of the weighted losses, shape (n_parameters,), for the weights that were summed at."""
        hidden = np.einsum("ao,oaf->fa", W2, self._own)
        return np.concatenate([hidden.ravel(), self._output_gradient.ravel()])

    def gauss_newton(self, out: Array | None = None) -> Array:
        """Return the Gauss-Newton matrix in float64, shape (n_parameters, n_parameters)."""
        return self.sums.astype(np.float64, copy=False).take(self.index, out=out, mode="clip")

    def hessian(self, out: Array | None = None) -> Array:
        """Return the Hessian in float64, shape (n_parameters, n_parameters)."""
        bend_index, own_index = self._remainder_index
        sums = self.sums.astype(np.float64)
        sums[bend_index] += self._bends
        sums[own_index] += self._own
        return sums.take(self.index, out=out, mode="clip")

    @abstractmethod
    def _add(self, terms: Terms, work: Workspace) -> None:
        """Add a block of rows to `self.sums`."""

    @abstractmethod
    def _add_bends(self, inputs: Inputs, bends: Array, work: Workspace) -> None:
        """Add sum_i x_f x_g bend_a of a block of rows to `self._bends`."""

    @cached_property
    @abstractmethod
    def index(self) -> NDArray[np.intp]:
        """Where the elements of the matrices are in `self.sums`."""

    @cached_property
    def _remainder_index(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where in `self.sums` the bends and the own products belong, each in the shape they have."""
        d, h, k = self.shape
        f, g = np.triu_indices(d + 1)
        a, o = np.arange(h)[:, np.newaxis], np.arange(k)[:, np.newaxis, np.newaxis]
        output = (d + 1) * h + a * k + o
        return self.index[f * h + a, g * h + a], self.index[np.arange(d + 1) * h + a, output]


def _add_product(total: Array, A: Array, B: Array, work: Workspace) -> None:
    """Add A @ B.T to total; NumPy lets other threads run meanwhile, unlike SciPy's functions of BLAS."""
    total += np.matmul(A, B.T, out=work.array("product", *total.shape))


class RowSum(CurvatureSum):
    """The Gauss-Newton matrix formed from the Jacobian's rows: the plain way, for narrow layers."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        super().__init__(shape, dtype, shape.n_parameters**2)
        self._matrix = self.sums.reshape(shape.n_parameters, shape.n_parameters)

    def _add(self, terms: Terms, work: Workspace) -> None:
        hidden_rows = terms.hidden_rows()
        for start in range(0, terms.hidden.shape[1], ROW_COLUMNS):
            part = slice(start, start + ROW_COLUMNS)
            for m, hidden_row in enumerate(hidden_rows):
                rows = self._rows(terms, hidden_row, m, part, work)
                _add_product(self._matrix, rows, rows, work)  # for which NumPy takes BLAS's symmetric product

    def _add_bends(self, inputs: Inputs, bends: Array, work: Workspace) -> None:
        columns = inputs.columns
        upper = np.triu_indices(len(columns))
        for a, bend in enumerate(bends):
            products = np.matmul(columns * bend, columns.T, out=work.array("bends", len(columns), len(columns)))
            self._bends[a] += products[upper]

    def _rows(self, terms: Terms, hidden_row: Array, m: int, part: slice, work: Workspace) -> Array:
        (d, h, k), inputs, hidden = self.shape, terms.inputs.columns[:, part], terms.hidden[:, part]
        n = inputs.shape[1]
        rows = work.array("rows", self.shape.n_parameters, n)
        np.multiply(inputs[:, np.newaxis], hidden_row[:, part], out=rows[: (d + 1) * h].reshape(d + 1, h, n))
        np.multiply(hidden[:, np.newaxis], terms.factor[:, m, part], out=rows[(d + 1) * h :].reshape(h + 1, k, n))
        return rows

    @cached_property
    def index(self) -> NDArray[np.intp]:
        """Where the elements of the matrices are: the lower triangle has both."""
        i = np.arange(self.shape.n_parameters)
        return np.maximum.outer(i, i) * self.shape.n_parameters + np.minimum.outer(i, i)


class PairSum(CurvatureSum):
    """The Gauss-Newton matrix formed from products of pairs."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        d, h, k = shape
        n_x, n_h, n_hidden = (d + 1) * (d + 2) // 2, h * (h + 1) // 2, (d + 1) * h
        self._starts = np.cumsum([0, n_h * n_x, k * (h + 1) * n_hidden, k * k * (h + 1) ** 2])
        super().__init__(shape, dtype, int(self._starts[-1]))
        hidden, cross, output = (self.sums[i:j] for i, j in zip(self._starts, self._starts[1:], strict=False))
        self._hidden = hidden.reshape(n_x, n_h)
        self._cross = [part.reshape(n_hidden, h + 1) for part in np.split(cross, k)]
        self._output = output.reshape(k, k, h + 1, h + 1)

    def _add(self, terms: Terms, work: Workspace) -> None:
        hidden_rows = terms.hidden_rows()
        for part, input_pairs in terms.inputs.parts():
            self._add_hidden([row[:, part] for row in hidden_rows], input_pairs, work)
        for o, curvature in enumerate(terms.curvatures()):
            self._add_cross(o, terms.inputs.columns, terms.slopes * (terms.W2 @ curvature), terms.hidden, work)
            for p in range(o + 1):
                self._output[o, p] += (terms.hidden * curvature[p]) @ terms.hidden.T

    def _add_bends(self, inputs: Inputs, bends: Array, work: Workspace) -> None:
        for part, input_pairs in inputs.parts():
            _add_product(self._bends, bends[:, part], input_pairs, work)

    def _add_hidden(self, hidden_rows: list[Array], input_pairs: Array, work: Workspace) -> None:
        hidden = work.array("pairs", self._hidden.shape[1], input_pairs.shape[1])
        pair_products(hidden_rows[0], out=hidden)
        for row in hidden_rows[1:]:
            hidden += pair_products(row)
        _add_product(self._hidden, input_pairs, hidden, work)

    def _add_cross(self, o: int, inputs: Array, v: Array, hidden: Array, work: Workspace) -> None:
        for start in range(0, v.shape[1], ROW_COLUMNS):
            part = slice(start, start + ROW_COLUMNS)
            rows = work.array("rows", len(inputs) * len(v), v[:, part].shape[1])
            np.multiply(inputs[:, np.newaxis, part], v[:, part], out=rows.reshape(len(inputs), len(v), -1))
            _add_product(self._cross[o], rows, hidden[:, part], work)

    @cached_property
    def index(self) -> NDArray[np.intp]:
        """Where the elements of the matrices are: each pair of pairs and each cross product once."""
        (d, h, k), p = self.shape, self.shape.n_parameters
        n_hidden, n_pairs = (d + 1) * h, self._hidden.shape[1]
        _, cross_start, output_start, _ = self._starts
        index = np.empty((p, p), np.intp)
        # The axes of a quarter are those of its rows, (f, a) or (a, o), and those of its columns.
        hidden = _pair_index(d + 1)[:, np.newaxis, :, np.newaxis] * n_pairs + _pair_index(h)[:, np.newaxis]
        index[:n_hidden, :n_hidden] = hidden.reshape(n_hidden, n_hidden)
        a, o = np.arange(h + 1)[:, np.newaxis, np.newaxis], np.arange(k)[:, np.newaxis]
        cross = cross_start + (o * n_hidden + np.arange(n_hidden)) * (h + 1) + a
        index[n_hidden:, :n_hidden] = cross.reshape(-1, n_hidden)
        index[:n_hidden, n_hidden:] = index[n_hidden:, :n_hidden].T
        outputs = np.maximum(o, o.T) * k + np.minimum(o, o.T)
        output = output_start + (outputs[:, np.newaxis] * (h + 1) + a[..., np.newaxis]) * (h + 1)
        output = output + np.arange(h + 1)[:, np.newaxis]
        index[n_hidden:, n_hidden:] = output.reshape(p - n_hidden, p - n_hidden)
        return index


def _pair_index(m: int) -> NDArray[np.intp]:
    """Return the position of the pair (a, b) or (b, a) in the order of `pair_products`, shape (m, m)."""
    index = np.zeros((m, m), np.intp)
    upper = np.triu_indices(m)
    index[upper] = np.arange(len(upper[0]))
    return np.maximum(index, index.T)
