"""What is minimised: data, network, loss and penalty as functions of one flat vector theta, summed over row blocks.

    J(theta) = sum_i w_i l(y_i, z_i) / sum_i w_i  +  sum_j penalty_j theta_j^2 / (2 sum_i w_i)

Both terms are on the scale of one sample. On a part of the rows (a mini-batch) the first sum is scaled up by the share
of the rows taken, n_samples / n_rows, so that the gradient of a random part estimates the gradient of the whole without
bias.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from ._typing import Array, Rows
from .activations import Activation
from .gauss_newton import Block, choose_form, pairs_in_parts
from .losses import Loss
from .network import Shape, Weights, Workspace, backward, forward

BLOCK_BYTES = 2**19  # the temporaries of a row block stay within a second-level cache
PAIRS_BYTES = 2**25  # products of pairs of inputs up to 32 MiB are kept from iteration to iteration
SPARSE_BLOCK_BYTES = 2**24  # a sparse block pays for a dense (n_features, n_hidden) product each: fewer, larger ones


class Objective:
    """The objective of a two-layer network on given data.

    Parameters
    ----------
    X : array or other rows of shape (n_samples, n_features)
        Anything with `shape`, `X[rows]`, and on that `.dot(B, out)` and `.T`.
    Y : ndarray of shape (n_samples, n_outputs)
        The encoded targets.
    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights; None is one for each sample.
    shape, activation, loss
        The network.
    penalty : ndarray of shape (n_parameters,)
        The strength of the L2 penalty on each parameter.
    dtype : numpy dtype
        The floating type of the computation.
    """

    def __init__(
        self,
        X: Any,
        Y: Array,
        sample_weight: Array | None,
        *,
        shape: Shape,
        activation: Activation,
        loss: Loss,
        penalty: Array,
        dtype: Any,
    ) -> None:
        self.X, self.Y, self.sample_weight = X, Y, sample_weight
        self.shape, self.activation, self.loss = shape, activation, loss
        self.dtype = np.dtype(dtype)
        self.penalty = penalty.astype(self.dtype)
        self.n_samples = X.shape[0]
        self.n_parameters = shape.n_parameters
        self.weight_sum = float(self.n_samples if sample_weight is None else sample_weight.sum(dtype=np.float64))
        self.block_rows = _block_rows(shape, self.dtype.itemsize, dense=isinstance(X[:0], np.ndarray))
        self.matrix_block_rows = _matrix_block_rows(shape, self.dtype.itemsize)
        self._pairs: dict[int, list[Array]] = {}
        self._workspaces: dict[int, Workspace] = {}

    def value(self, theta: Array, rows: Rows | None = None) -> float:
        """Return J at theta, on all rows or an estimate from some; the forward half of `value_and_gradient`.

        It is the same number to the last bit.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            total = sum(self._block_value(theta, block) for block in self._blocks(rows))
            return total * (1.0 / self._total_weight(rows)) + self._penalty_value(theta)

    def value_and_gradient(self, theta: Array, rows: Rows | None = None) -> tuple[float, Array]:
        """Return J and dJ/dtheta at theta from one forward and one backward pass.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)
            The weights and biases, in the floating type of the objective.
        rows : slice or ndarray of int, optional
            The rows to take; the result is then an unbiased estimate for random rows.

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_parameters,)
            In the floating type of theta; blocks are summed in float64.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            gradient, total, scale = None, 0.0, 1.0 / self._total_weight(rows)
            for block in self._blocks(rows):
                value, part = self._block_value_and_gradient(theta, block, scale)
                total += value
                gradient = part if gradient is None else np.add(gradient, part, dtype=np.float64)
            gradient = np.asarray(gradient, dtype=self.dtype)
            gradient += self.penalty * theta * (1.0 / self.weight_sum)
            return total * scale + self._penalty_value(theta), gradient

    def gauss_newton(self, theta: Array) -> tuple[float, Array, Array]:
        """Return J, its gradient and its generalised Gauss-Newton matrix at theta.

        The matrix is the Hessian of J without the second derivatives of the network: sum_i J_i.T L_i J_i, weighted as
        in J, plus the penalty. It is positive semidefinite, and for the canonical links the Fisher information.

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_parameters,)
        matrix : ndarray of shape (n_parameters, n_parameters), float64
        """
        gradient, matrix, _ = self.curvature(theta)
        return self.value(theta), gradient, matrix

    def curvature(self, theta: Array) -> tuple[Array, Array, Array]:
        """Return the gradient of J, its Gauss-Newton matrix and its Hessian.

        Returns
        -------
        gradient : ndarray of shape (n_parameters,)
        gauss_newton, hessian : ndarray of shape (n_parameters, n_parameters), float64
        """
        gradient = (self.penalty * theta).astype(np.float64) / self.weight_sum
        total = choose_form(self.shape)(self.shape, self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for _, block in self.blocks(theta):
                gradient += block.gradient()
                total.add(block)
        gauss_newton = total.gauss_newton()
        gauss_newton.flat[:: self.n_parameters + 1] += self.penalty / self.weight_sum
        return gradient.astype(self.dtype), gauss_newton, total.hessian(gauss_newton)

    def with_prior(self, penalty: Array, loss: Loss) -> "Objective":
        """Return the objective of the same data under another penalty and loss; the work space is shared."""
        other = copy.copy(self)
        other.penalty, other.loss = penalty.astype(self.dtype), loss
        return other

    def blocks(self, theta: Array) -> Iterator[tuple[slice, Block]]:
        """Yield row blocks, and what second derivatives are made of there; weighted by the shares of the samples."""
        for rows in self._blocks(None, self.matrix_block_rows):
            yield rows, self._block(theta, rows)

    def _block(self, theta: Array, rows: slice) -> Block:
        """Return what a block of rows contributes to second derivatives; sparse rows become dense here."""
        weights = self.shape.unpack(theta)
        inputs, hidden, slopes, Z2 = layers(self.X[rows], weights, self.activation, self.dtype)
        factor = self.loss.curvature_factor(Z2) * np.sqrt(self.share(rows))[..., np.newaxis]
        _, delta = self.loss.losses_and_delta(self.Y[rows], Z2)
        delta *= self.share(rows)
        bends = self.activation.second_derivative(hidden[:-1], slopes)
        factor = np.ascontiguousarray(factor.transpose(1, 2, 0), dtype=self.dtype)
        input_pairs = self._input_pairs(rows, inputs)
        return Block(inputs, input_pairs, hidden, slopes, bends, delta.T, factor, weights.W2)

    def _input_pairs(self, rows: slice, inputs: Array) -> list[Array]:
        """Return the products of pairs of inputs, which do not change; kept where all of them fit."""
        if len(inputs) * (len(inputs) + 1) // 2 * self.n_samples * self.dtype.itemsize > PAIRS_BYTES:
            return pairs_in_parts(inputs)
        if rows.start not in self._pairs:
            self._pairs[rows.start] = pairs_in_parts(inputs)
        return self._pairs[rows.start]

    def share(self, rows: slice) -> Any:
        """Return each row's share of the total weight, to multiply (n_rows, n_outputs)."""
        if self.sample_weight is None:
            return np.full((1, 1), 1.0 / self.weight_sum)
        return (self.sample_weight[rows] / self.weight_sum)[:, np.newaxis]

    def _block_value(self, theta: Array, rows: Rows) -> float:
        Y = self.Y[rows]
        Z2 = forward(self.X[rows], self.shape.unpack(theta), self.activation, self._workspace(len(Y)))
        return self._weighted_sum(self.loss.losses(Y, Z2), rows)

    def _block_value_and_gradient(self, theta: Array, rows: Rows, scale: float) -> tuple[float, Array]:
        X, Y, weights = self.X[rows], self.Y[rows], self.shape.unpack(theta)
        work, gradient = self._workspace(len(Y)), np.empty_like(theta)
        losses, D2 = self.loss.losses_and_delta(Y, forward(X, weights, self.activation, work))
        D2 *= scale if self.sample_weight is None else scale * self.sample_weight[rows, np.newaxis]
        backward(X, weights, self.activation, work, D2, self.shape.unpack(gradient))
        return self._weighted_sum(losses, rows), gradient

    def _weighted_sum(self, losses: Array, rows: Rows) -> float:
        if self.sample_weight is None:
            return float(losses.sum(dtype=np.float64))
        return float(losses.astype(np.float64) @ self.sample_weight[rows])

    def _total_weight(self, rows: Rows | None) -> float:
        """What the sum over `rows` is divided by: their share of the total weight as if weights were equal."""
        if rows is None:
            return self.weight_sum
        n_rows = len(range(*rows.indices(self.n_samples))) if isinstance(rows, slice) else len(rows)
        return self.weight_sum * n_rows / self.n_samples

    def _penalty_value(self, theta: Array) -> float:
        return 0.5 * float(np.dot(self.penalty * theta, theta)) / self.weight_sum

    def _blocks(self, rows: Rows | None, size: int | None = None) -> Iterator[Any]:
        size = size or self.block_rows
        if isinstance(rows, np.ndarray):
            yield from (rows[i : i + size] for i in range(0, len(rows), size))
        else:
            start, stop, _ = (rows or slice(None)).indices(self.n_samples)
            yield from (slice(i, min(i + size, stop)) for i in range(start, stop, size))

    def _workspace(self, n_rows: int) -> Workspace:
        if n_rows not in self._workspaces:
            self._workspaces[n_rows] = Workspace.empty(n_rows, self.shape, self.dtype)
        return self._workspaces[n_rows]


def _block_rows(shape: Shape, itemsize: int, *, dense: bool) -> int:
    d, h, k = shape
    if dense:
        return max(64, BLOCK_BYTES // (itemsize * (d + 2 * h + 2 * k)))
    return max(64, SPARSE_BLOCK_BYTES // (itemsize * 2 * (h + k)))


def _matrix_block_rows(shape: Shape, itemsize: int) -> int:
    """Return how many rows: enough for the calls on them to be worth their overhead."""
    d, h, _ = shape
    widths = (d + 1) * (d + 2) // 2 + h * (h + 1) // 2 + (d + 1) * h
    return int(np.clip(8 * BLOCK_BYTES // (itemsize * widths), 256, 2048))


def layers(X: Any, weights: Weights, activation: Activation, dtype: Any) -> tuple[Array, Array, Array, Array]:
    """Return inputs, hidden values and slopes of a block of rows, as `gauss_newton.Block` has them, and Z2."""
    X = X if isinstance(X, np.ndarray) else X.toarray()
    work = Workspace.empty(X.shape[0], Shape(X.shape[1], *weights.W2.shape), dtype)
    Z2 = forward(X, weights, activation, work)
    hidden = _with_ones(work.A1)
    slopes = np.ones_like(hidden[:-1])
    activation.multiply_by_derivative(slopes, hidden[:-1].copy())
    return _with_ones(X), hidden, slopes, Z2


def _with_ones(A: Array) -> Array:
    """Return A with samples in columns and a row of ones, shape (m + 1, n_samples)."""
    columns = np.ones((A.shape[1] + 1, A.shape[0]), A.dtype)
    columns[:-1] = A.T
    return columns
