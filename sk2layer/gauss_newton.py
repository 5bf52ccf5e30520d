"""The second derivatives of the objective, fast and in bounded memory: the Gauss-Newton matrix, and what it leaves out.

The Hessian of sum_i l_i is

    sum_i J_i.T L_i J_i                      the generalised Gauss-Newton matrix
    + sum_i sum_o delta_o d2 z_o / dtheta2   the remainder, which the network's own curvature adds

with J_i the Jacobian of the k raw predictions of sample i by theta, L_i = C_i C_i.T the weighted curvature of its loss
and delta its output delta. With a one appended to the inputs x and to the hidden values a, sample i and column m of C_i
contribute to the first a row of two parts, each of them an outer product:

    hidden layer   x_f r_a    with  r = g'(z1) * (W2 c)          (n_features + 1, n_hidden)
    output layer   a_a c_o                                       (n_hidden + 1, n_outputs)

So the matrix need not be formed from these rows:

    hidden, hidden     sum_i  (x_f x_g) (sum_m r_a r_b)     products of pairs of inputs with pairs of hidden units
    output, output     sum_i  (L_op a_a) a_b                for each pair of outputs
    hidden, output     sum_i  (x_f v_a) a_b                 with v = g'(z1) * (W2 L)_o, for each output o

By symmetry only pairs f <= g and a <= b are needed: (d + 1) (d + 2) h (h + 1) / 2 operations a sample for the largest
part, half of what the symmetric product of the rows takes (`syrk`). For a narrow layer the rows themselves are cheaper,
and no pairs of inputs are formed: `choose_form` decides by measured costs. The remainder costs little beside it, as a
hidden unit's weights meet only each other and its own output weights:

    hidden, hidden     sum_i  (x_f x_g) g''(z1_a) (W2 delta)_a      for the same unit a
    hidden, output     sum_i  x_f g'(z1_a) delta_o                  for the same unit a

Both matrices have few different elements: each is a gather from one flat array of sums, those above. The remainder is
added to some of them.

Conventions: a block of n rows is held with samples in columns, so that products run along contiguous memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ._typing import Array
from .network import Shape

PAIR_COLUMNS, LEAST_COLUMNS, PAIR_BYTES = 512, 8, 2**22
"""Samples for which products of pairs are formed at a time, so that they are still in cache when they are used; fewer,
down to the least, where so many would take more memory than this."""

ROW_COLUMNS = 256
"""The same for rows of the Jacobian, of which there are more."""


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
        """Yield some columns after the other, and their `pairs`, shape ((d + 1) (d + 2) / 2, n_columns)."""
        (d, n), itemsize = self.columns.shape, self.columns.itemsize
        size = min(max(PAIR_BYTES // (itemsize * d * (d + 1) // 2), LEAST_COLUMNS), PAIR_COLUMNS)
        for start in range(0, n, size):
            part = slice(start, start + size)
            products = self._kept.get(start)
            if products is None:
                products = pairs(self.columns[:, part])
            if self._keep:
                self._kept[start] = products
            yield part, products


class Block(NamedTuple):
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
        self._W2 = np.zeros((h, k), dtype)
        self._buffers: dict[tuple[str, int, int], Array] = {}

    @property
    def _arrays(self) -> tuple[Array, ...]:
        return self.sums, self._own, self._bends, self._output_gradient

    def clear(self) -> None:
        """Start from zero."""
        for array in self._arrays:
            array[...] = 0.0

    def add(self, block: Block, *, exact: bool) -> None:
        """Add a block of rows; `exact`: also to what only the Hessian needs."""
        self._add(block)
        self._W2 = block.W2
        self._output_gradient += block.hidden @ block.delta.T
        for o, delta in enumerate(block.delta):
            self._own[o] += (block.slopes * delta) @ block.inputs.columns.T
        if exact:
            self._add_bends(block.inputs, block.bends * (block.W2 @ block.delta))

    def merge(self, other: "CurvatureSum") -> Self:
        """Add the sums over other rows."""
        for mine, its in zip(self._arrays, other._arrays, strict=True):
            mine += its
        self._W2 = other._W2
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.shape, self.dtype, self._arrays, self._W2)  # without work space and index

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + sum(array.nbytes for array in self._arrays)  # of what another process gets

    def gradient(self) -> Array:
        """Return the gradient of the weighted losses, shape (n_parameters,)."""
        hidden = np.einsum("ao,oaf->fa", self._W2, self._own)
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
    def _add(self, block: Block) -> None:
        """Add a block of rows to `self.sums`."""

    @abstractmethod
    def _add_bends(self, inputs: Inputs, bends: Array) -> None:
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

    def _add_product(self, total: Array, A: Array, B: Array) -> None:
        """Add A @ B.T to total; NumPy lets other threads run meanwhile, unlike SciPy's functions of BLAS."""
        total += np.matmul(A, B.T, out=self._buffer("product", *total.shape))

    def _buffer(self, name: str, n_rows: int, n_columns: int) -> Array:
        """Return uninitialised work space, the same in every call: fresh memory would cost more than the work in it."""
        key = (name, n_rows, n_columns)
        if key not in self._buffers:
            self._buffers[key] = np.empty((n_rows, n_columns), self.dtype)
        return self._buffers[key]


def _restored(
    form: Callable[[Shape, Any], CurvatureSum], shape: Shape, dtype: Any, arrays: tuple[Array, ...], W2: Array
) -> CurvatureSum:
    total = form(shape, dtype)
    for mine, its in zip(total._arrays, arrays, strict=True):
        mine[...] = its
    total._W2 = W2
    return total


class RowSum(CurvatureSum):
    """The Gauss-Newton matrix formed from the Jacobian's rows: the plain way, for narrow layers."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        super().__init__(shape, dtype, shape.n_parameters**2)
        self._matrix = self.sums.reshape(shape.n_parameters, shape.n_parameters)

    def _add(self, block: Block) -> None:
        hidden_rows = block.hidden_rows()
        for start in range(0, block.hidden.shape[1], ROW_COLUMNS):
            part = slice(start, start + ROW_COLUMNS)
            for m, hidden_row in enumerate(hidden_rows):
                rows = self._rows(block, hidden_row, m, part)
                self._add_product(self._matrix, rows, rows)  # for which NumPy takes BLAS's symmetric product

    def _add_bends(self, inputs: Inputs, bends: Array) -> None:
        columns = inputs.columns
        upper = np.triu_indices(len(columns))
        for a, bend in enumerate(bends):
            products = np.matmul(columns * bend, columns.T, out=self._buffer("bends", len(columns), len(columns)))
            self._bends[a] += products[upper]

    def _rows(self, block: Block, hidden_row: Array, m: int, part: slice) -> Array:
        (d, h, k), inputs, hidden = self.shape, block.inputs.columns[:, part], block.hidden[:, part]
        n = inputs.shape[1]
        rows = self._buffer("rows", self.shape.n_parameters, n)
        np.multiply(inputs[:, np.newaxis], hidden_row[:, part], out=rows[: (d + 1) * h].reshape(d + 1, h, n))
        np.multiply(hidden[:, np.newaxis], block.factor[:, m, part], out=rows[(d + 1) * h :].reshape(h + 1, k, n))
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

    def _add(self, block: Block) -> None:
        hidden_rows = block.hidden_rows()
        for part, input_pairs in block.inputs.parts():
            self._add_hidden([row[:, part] for row in hidden_rows], input_pairs)
        for o, curvature in enumerate(block.curvatures()):
            self._add_cross(o, block.inputs.columns, block.slopes * (block.W2 @ curvature), block.hidden)
            for p in range(o + 1):
                self._output[o, p] += (block.hidden * curvature[p]) @ block.hidden.T

    def _add_bends(self, inputs: Inputs, bends: Array) -> None:
        for part, input_pairs in inputs.parts():
            self._add_product(self._bends, bends[:, part], input_pairs)

    def _add_hidden(self, hidden_rows: list[Array], input_pairs: Array) -> None:
        hidden = self._buffer("pairs", self._hidden.shape[1], input_pairs.shape[1])
        pairs(hidden_rows[0], out=hidden)
        for row in hidden_rows[1:]:
            hidden += pairs(row)
        self._add_product(self._hidden, input_pairs, hidden)

    def _add_cross(self, o: int, inputs: Array, v: Array, hidden: Array) -> None:
        for start in range(0, v.shape[1], ROW_COLUMNS):
            part = slice(start, start + ROW_COLUMNS)
            rows = self._buffer("rows", len(inputs) * len(v), v[:, part].shape[1])
            np.multiply(inputs[:, np.newaxis, part], v[:, part], out=rows.reshape(len(inputs), len(v), -1))
            self._add_product(self._cross[o], rows, hidden[:, part])

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


def with_ones(X: Array) -> Array:
    """Return rows of shape (n, d) as columns with a row of ones, shape (d + 1, n)."""
    columns = np.ones((X.shape[1] + 1, X.shape[0]), X.dtype)
    columns[:-1] = X.T
    return columns


def pairs(A: Array, out: Array | None = None) -> Array:
    """Return the products A[a] * A[b] for all a <= b, shape (m (m + 1) / 2, n), of A of shape (m, n)."""
    m, n = A.shape
    products = np.empty((m * (m + 1) // 2, n), A.dtype) if out is None else out
    start = 0
    for a in range(m):
        np.multiply(A[a], A[a:], out=products[start : start + m - a])
        start += m - a
    return products


def _pair_index(m: int) -> NDArray[np.intp]:
    """Return the position of the pair (a, b) or (b, a) in the order of `pairs`, shape (m, m)."""
    index = np.zeros((m, m), np.intp)
    upper = np.triu_indices(m)
    index[upper] = np.arange(len(upper[0]))
    return np.maximum(index, index.T)


def choose_form(shape: Shape) -> type[RowSum] | type[PairSum]:
    """Return the form that costs less per sample."""
    rows, products = _costs(shape)
    return RowSum if rows < products else PairSum


def operations_per_row(shape: Shape) -> float:
    """Return what a sample costs in the form that costs less, in operations within a matrix product."""
    return min(_costs(shape))


def _costs(shape: Shape) -> tuple[float, float]:
    """Return the operations and passes per sample of `RowSum` and `PairSum`, those for the Hessian included."""
    d, h, k = shape
    p, n_x, n_h = shape.n_parameters, (d + 1) * (d + 2) // 2, h * (h + 1) // 2
    per_element = 50.0  # a pass over an element costs about as much as 50 operations within a matrix product
    rows = k * (p * p + per_element * p) + 2 * h * (d + 1) ** 2
    products = 2 * n_x * (n_h + h) + 4 * k * (d + 1) * h * (h + 1) + k * (k + 1) * h * h / 2
    passes = per_element * (n_x + k * n_h + k * (d + 1) * h)
    return rows, products + passes
