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
part, half of what the symmetric product of the rows takes (`syrk`). For a narrow layer the rows themselves are cheaper:
`choose_form` decides by measured costs. The remainder costs little beside it, since a hidden unit's weights meet only
each other and its own output weights:

    hidden, hidden     sum_i  (x_f x_g) g''(z1_a) (W2 delta)_a      for the same unit a
    hidden, output     sum_i  x_f g'(z1_a) delta_o                  for the same unit a

Conventions: a block of n rows is held with samples in columns, so that products run along contiguous memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import get_blas_funcs

from ._typing import Array
from .network import Shape

PAIR_COLUMNS = 256
"""Samples for which products of pairs are formed at a time, so that they are still in cache when they are used."""


ROW_COLUMNS = 64
"""The same for rows of the Jacobian, of which there are more."""


class Block(NamedTuple):
    """What a block of n rows contributes, d, h and k being the numbers of inputs, hidden units and outputs.

    Attributes
    ----------
    inputs : ndarray of shape (d + 1, n)
        The inputs and a row of ones.
    input_pairs : list of ndarray of shape ((d + 1) (d + 2) / 2, up to PAIR_COLUMNS)
        Their `pairs`, part by part.
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

    inputs: Array
    input_pairs: list[Array]
    hidden: Array
    slopes: Array
    bends: Array
    delta: Array
    factor: Array
    W2: Array

    def parts(self) -> Iterator[tuple[slice, Array]]:
        """Yield the columns of each part of the block, and the pairs of inputs there."""
        start = 0
        for input_pairs in self.input_pairs:
            stop = start + input_pairs.shape[1]
            yield slice(start, stop), input_pairs
            start = stop

    def hidden_row(self, m: int) -> Array:
        """Return r of the column m of the curvature's factor, shape (h, n)."""
        return self.slopes * (self.W2 @ self.factor[:, m])

    def curvatures(self) -> Array:
        """Return the weighted curvature L of each sample's loss, shape (k, k, n)."""
        return np.einsum("omn,pmn->opn", self.factor, self.factor)

    def raw_prediction(self, b2: Array) -> Array:
        """Return the raw predictions, shape (n, k)."""
        return self.hidden[:-1].T @ self.W2 + b2

    def jacobian(self) -> Array:
        """Return the derivatives of each raw prediction by the parameters, shape (k, n_parameters, n)."""
        return jacobian(self.inputs, self.hidden, self.slopes, self.W2)

    def bend(self, directions: Array) -> Array:
        """Return sum_i sum_o d2 z_o / dtheta2 @ direction_io, shape (n_parameters,).

        `directions`, shape (k, n_parameters, n), has one for each raw prediction of each sample.
        """
        (h, k), (d, n) = self.W2.shape, self.inputs.shape
        hidden, output = np.zeros((d, h)), np.zeros((h + 1, k))
        for o, direction in enumerate(directions):
            # the derivative of z1 in this direction, and the change of the unit's own output weight
            turn = np.einsum("fn,fan->an", self.inputs, direction[: d * h].reshape(d, h, n))
            own = direction[d * h :].reshape(h + 1, k, n)[:-1, o]
            hidden += self.inputs @ (self.bends * self.W2[:, o, np.newaxis] * turn + self.slopes * own).T
            output[:-1, o] = np.einsum("an,an->a", self.slopes, turn)
        return np.concatenate([hidden.ravel(), output.ravel()])

    def gradient(self) -> Array:
        """Return the gradient of the block's weighted losses, shape (n_parameters,)."""
        hidden = self.inputs @ (self.slopes * (self.W2 @ self.delta)).T
        output = self.hidden @ self.delta.T
        return np.concatenate([hidden.ravel(), output.ravel()])


class CurvatureSum(ABC):
    """Sums over row blocks that make up the Gauss-Newton matrix and the Hessian."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        self.shape, self.dtype = shape, dtype
        self._own = np.zeros((shape.n_outputs, shape.n_hidden, shape.n_features + 1), dtype)
        self._syrk, self._gemm = get_blas_funcs(("syrk", "gemm"), dtype=dtype)
        self._buffers: dict[tuple[int, int], Array] = {}

    @abstractmethod
    def add(self, block: Block) -> None:
        """Add a block of rows."""

    @abstractmethod
    def gauss_newton(self) -> Array:
        """Return the Gauss-Newton matrix in float64, shape (n_parameters, n_parameters)."""

    @abstractmethod
    def _bend_sums(self) -> Array:
        """Return sum_i (x_f x_g) g''(z1_a) (W2 delta)_a, shape (n_hidden, (d + 1) (d + 2) / 2)."""

    def hessian(self, gauss_newton: Array) -> Array:
        """Return the Hessian, given the Gauss-Newton matrix; the two differ in few places."""
        d, h, k = self.shape
        n_hidden = (d + 1) * h
        hessian = gauss_newton.copy()
        bends = self._bend_sums()[:, _pair_index(d + 1)]
        for a in range(h):
            hessian[a:n_hidden:h, a:n_hidden:h] += bends[a]
            own = slice(n_hidden + a * k, n_hidden + (a + 1) * k)
            hessian[own, a:n_hidden:h] += self._own[:, a]
            hessian[a:n_hidden:h, own] += self._own[:, a].T
        return hessian

    def _add_own(self, block: Block) -> None:
        for o, delta in enumerate(block.delta):
            self._own[o] += (block.slopes * delta) @ block.inputs.T

    def _add_product(self, total: Array, A: Array, B: Array) -> Array:
        """Return total + A @ B.T; total is in Fortran order, so that BLAS adds in place."""
        return self._gemm(1.0, A.T, B.T, beta=1.0, c=total, trans_a=1, overwrite_c=1)

    def _buffer(self, n_rows: int, n_columns: int) -> Array:
        """Return uninitialised work space, the same in every call: fresh memory would cost more than the work in it."""
        if (n_rows, n_columns) not in self._buffers:
            self._buffers[n_rows, n_columns] = np.empty((n_rows, n_columns), self.dtype)
        return self._buffers[n_rows, n_columns]


class RowSum(CurvatureSum):
    """The Gauss-Newton matrix formed from the Jacobian's rows: the plain way, for narrow layers."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        super().__init__(shape, dtype)
        p, n_x = shape.n_parameters, (shape.n_features + 1) * (shape.n_features + 2) // 2
        self._sum = np.zeros((p, p), dtype, order="F")
        self._bends = np.zeros((shape.n_hidden, n_x), dtype, order="F")

    def add(self, block: Block) -> None:
        """Add a block of rows."""
        d, h, k = self.shape
        n = block.inputs.shape[1]
        rows = self._buffer(self.shape.n_parameters, n)
        hidden, output = rows[: (d + 1) * h].reshape(d + 1, h, n), rows[(d + 1) * h :].reshape(h + 1, k, n)
        for m in range(k):
            np.multiply(block.inputs[:, np.newaxis], block.hidden_row(m), out=hidden)
            np.multiply(block.hidden[:, np.newaxis], block.factor[:, m], out=output)
            self._sum = self._syrk(1.0, rows.T, beta=1.0, c=self._sum, trans=1, overwrite_c=1)
        bends = block.bends * (block.W2 @ block.delta)
        for part, input_pairs in block.parts():
            self._bends = self._add_product(self._bends, bends[:, part], input_pairs)
        self._add_own(block)

    def gauss_newton(self) -> Array:
        """Return the Gauss-Newton matrix."""
        upper = self._sum.astype(np.float64)  # below the diagonal it is zero
        matrix = upper + upper.T
        matrix.flat[:: len(matrix) + 1] *= 0.5
        return matrix

    def _bend_sums(self) -> Array:
        return self._bends


class PairSum(CurvatureSum):
    """The Gauss-Newton matrix formed from products of pairs."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        super().__init__(shape, dtype)
        d, h, k = shape
        n_x, self._n_pairs = (d + 1) * (d + 2) // 2, h * (h + 1) // 2
        # The pairs of hidden units, and below them what bends: both meet the pairs of inputs in one product.
        self._hidden = np.zeros((self._n_pairs + h, n_x), dtype, order="F")
        self._cross = [np.zeros((h + 1, (d + 1) * h), dtype, order="F") for _ in range(k)]
        self._output = np.zeros((k, k, h + 1, h + 1), dtype)

    def add(self, block: Block) -> None:
        """Add a block of rows."""
        k = self.shape.n_outputs
        hidden_rows = [block.hidden_row(m) for m in range(k)]
        bends = block.bends * (block.W2 @ block.delta)
        curvatures = [np.einsum("mn,pmn->pn", block.factor[o], block.factor) for o in range(k)]  # the rows of L
        cross_rows = [block.slopes * (block.W2 @ curvature) for curvature in curvatures]
        for part, input_pairs in block.parts():
            self._add_hidden([row[:, part] for row in hidden_rows], bends[:, part], input_pairs)
        for o in range(k):
            self._add_cross(o, block.inputs, cross_rows[o], block.hidden)
        for o, curvature in enumerate(curvatures):
            for p in range(o + 1):
                self._output[o, p] += (block.hidden * curvature[p]) @ block.hidden.T
        self._add_own(block)

    def _add_hidden(self, hidden_rows: list[Array], bends: Array, input_pairs: Array) -> None:
        hidden = self._buffer(self._n_pairs + len(bends), bends.shape[1])
        pairs(hidden_rows[0], out=hidden[: self._n_pairs])
        for row in hidden_rows[1:]:
            hidden[: self._n_pairs] += pairs(row)
        hidden[self._n_pairs :] = bends
        self._hidden = self._add_product(self._hidden, hidden, input_pairs)

    def _add_cross(self, o: int, inputs: Array, v: Array, hidden: Array) -> None:
        for start in range(0, v.shape[1], ROW_COLUMNS):
            part = slice(start, start + ROW_COLUMNS)
            rows = self._buffer(len(inputs) * len(v), v[:, part].shape[1])
            np.multiply(inputs[:, np.newaxis, part], v[:, part], out=rows.reshape(len(inputs), len(v), -1))
            self._cross[o] = self._add_product(self._cross[o], hidden[:, part], rows)

    def gauss_newton(self) -> Array:
        """Return the Gauss-Newton matrix."""
        d, h, k = self.shape
        n_hidden = (d + 1) * h
        matrix = np.empty((self.shape.n_parameters, self.shape.n_parameters))
        _expand_pairs(self._hidden[: self._n_pairs], h, matrix[:n_hidden, :n_hidden])
        for o, cross in enumerate(self._cross):
            matrix[n_hidden + o :: k, :n_hidden] = cross
            matrix[:n_hidden, n_hidden + o :: k] = cross.T
            for p in range(o + 1):
                matrix[n_hidden + o :: k, n_hidden + p :: k] = self._output[o, p]
                matrix[n_hidden + p :: k, n_hidden + o :: k] = self._output[o, p].T
        return matrix

    def _bend_sums(self) -> Array:
        return self._hidden[self._n_pairs :]


def jacobian(inputs: Array, hidden: Array, slopes: Array, W2: Array) -> Array:
    """Return the derivatives of each raw prediction by the parameters.

    Parameters
    ----------
    inputs, hidden, slopes, W2
        As in `Block`.

    Returns
    -------
    jacobian : ndarray of shape (k, n_parameters, n), float64
    """
    (h, k), (d, n) = W2.shape, inputs.shape
    derivatives = np.zeros((k, d * h + (h + 1) * k, n))
    for o, rows in enumerate(derivatives):
        np.multiply(inputs[:, np.newaxis], slopes * W2[:, o, np.newaxis], out=rows[: d * h].reshape(d, h, n))
        rows[d * h :].reshape(h + 1, k, n)[:, o] = hidden
    return derivatives


def pairs(A: Array, out: Array | None = None) -> Array:
    """Return the products A[a] * A[b] for all a <= b, shape (m (m + 1) / 2, n), of A of shape (m, n)."""
    m, n = A.shape
    products = np.empty((m * (m + 1) // 2, n), A.dtype) if out is None else out
    start = 0
    for a in range(m):
        np.multiply(A[a], A[a:], out=products[start : start + m - a])
        start += m - a
    return products


def pairs_in_parts(A: Array) -> list[Array]:
    """Return the pairs of A in contiguous parts of PAIR_COLUMNS columns."""
    return [pairs(A[:, start : start + PAIR_COLUMNS]) for start in range(0, A.shape[1], PAIR_COLUMNS)]


def _expand_pairs(sums: Array, n_inner: int, out: Array) -> None:
    """Write the symmetric matrix of which `sums` has each pair (inner) of each pair (outer) once."""
    n_outer = len(out) // n_inner
    outer, inner = _pair_index(n_outer), _pair_index(n_inner)
    blocks = sums.T.take(inner.ravel(), axis=1).reshape(-1, n_inner, n_inner)
    for f in range(n_outer):
        rows = out[f * n_inner : (f + 1) * n_inner]
        rows.reshape(n_inner, n_outer, n_inner)[...] = blocks[outer[f]].transpose(1, 0, 2)


def _pair_index(m: int) -> NDArray[np.intp]:
    """Return the position of the pair (a, b) or (b, a) in the order of `pairs`, shape (m, m)."""
    index = np.zeros((m, m), np.intp)
    upper = np.triu_indices(m)
    index[upper] = np.arange(len(upper[0]))
    return np.maximum(index, index.T)


def choose_form(shape: Shape) -> type[RowSum] | type[PairSum]:
    """Return the form that costs less per sample, by operations and passes at measured rates (relative units)."""
    d, h, k = shape
    p, n_x, n_h = shape.n_parameters, (d + 1) * (d + 2) // 2, h * (h + 1) // 2
    per_element = 50.0  # a pass over an element costs about as much as 50 operations within a matrix product
    rows = k * (p * p + per_element * p)
    products = 2 * n_x * n_h + 4 * k * (d + 1) * h * (h + 1) + k * (k + 1) * h * h / 2
    passes = per_element * (k * n_h + k * (d + 1) * h)
    return RowSum if rows < products + passes else PairSum
