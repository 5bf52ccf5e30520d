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
"""

from typing import cast

import numpy as np

from .._typing import Array
from ..model.network import Network, Shape
from ..rows.sums import BLOCK_BYTES, LEAST_ROWS, Block
from .curvature_terms import Inputs, Terms
from .products import CurvatureSum, PairSum, RowSum

KEPT_BYTES = 3 * 2**24
"""Inputs with products of their pairs up to 48 MiB are kept from iteration to iteration."""

MOST_ROWS = 2048
"""Of a block: more bring no more speed."""

PASS = 50.0
"""Operations within a matrix product that a pass over an element costs about as much as."""


def curvature_sum(block: Block, network: Network, theta: Array, *, hessian: bool) -> CurvatureSum:
    """Return the sums of a block of rows that make up gradient, Gauss-Newton matrix and, if wanted, Hessian.

    The memory for it is that of the block's work space: the next one overwrites it.
    """
    work, shape = block.work, network.shape
    if "curvature" not in work.kept:
        work.kept["curvature"] = choose_form(shape)(shape, work.dtype)
    total: CurvatureSum = work.kept["curvature"]
    total.clear()
    with np.errstate(over="ignore", invalid="ignore"):
        for part in block.parts(curvature_rows(shape, work.dtype.itemsize)):
            total.add(terms_of(part, network, theta), work, hessian=hessian)
    return total


def curvature_rows(shape: Shape, itemsize: int) -> int:
    """Return how many rows a block has: enough for the calls on them to be worth their overhead."""
    row_bytes = itemsize * (shape.n_parameters + 2 * shape.n_outputs**2)
    return min(max(BLOCK_BYTES // row_bytes, LEAST_ROWS), MOST_ROWS)


def terms_of(block: Block, network: Network, theta: Array) -> Terms:
    """Return the terms of a block of rows, from which its sums are formed."""
    shape, activation, loss = network
    inputs, share, (W1, b1, W2, b2) = _inputs(block), block.share, shape.unpack(theta)
    hidden = np.ones((len(b1) + 1, inputs.columns.shape[1]), inputs.columns.dtype)
    np.matmul(W1.T, inputs.columns[:-1], out=hidden[:-1])
    hidden[:-1] += b1[:, np.newaxis]
    activation.apply(hidden[:-1])
    slopes = activation.slopes(hidden[:-1])
    Z2 = hidden[:-1].T @ W2 + b2
    bends = activation.second_derivative(hidden[:-1], slopes)
    factor = loss.curvature_factor(block.Y, Z2) * np.sqrt(share)[..., np.newaxis]
    factor = np.ascontiguousarray(factor.transpose(1, 2, 0), dtype=block.work.dtype)
    delta = loss.delta(block.Y, Z2)
    delta *= share
    return Terms(inputs, hidden, slopes, bends, delta.T, factor, W2)


def _inputs(block: Block) -> Inputs:
    """Return the inputs and their pairs, kept where those of all rows fit; sparse rows become dense here."""
    n_rows, work = block.sums.n_samples, block.work
    keep = Inputs.width(work.shape.n_features) * n_rows * work.dtype.itemsize <= KEPT_BYTES
    rows = cast(slice, block.rows)
    key = "inputs", rows.start, rows.stop
    inputs = work.kept.get(key)
    if inputs is None:
        inputs = Inputs(block.X, keep=keep)
    if keep:
        work.kept[key] = inputs
    return inputs


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
    rows = k * (p * p + PASS * p) + 2 * h * (d + 1) ** 2
    products = 2 * n_x * (n_h + h) + 4 * k * (d + 1) * h * (h + 1) + k * (k + 1) * h * h / 2
    passes = PASS * (n_x + k * n_h + k * (d + 1) * h)
    return rows, products + passes
