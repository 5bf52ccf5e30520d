"""What is minimised: data, network, loss and penalty as functions of one flat vector theta, summed over row blocks.

    J(theta) = sum_i w_i l(y_i, z_i) / sum_i w_i  +  sum_j penalty_j theta_j^2 / (2 sum_i w_i)

Both terms are on the scale of one sample. On a part of the rows (a mini-batch) the first sum is scaled up by the share
of the rows taken, n_samples / n_rows, so that the gradient of a random part estimates the gradient of the whole without
bias.
"""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._typing import Array, Rows
from .activations import Activation
from .gauss_newton import Block, CurvatureSum, Inputs
from .kronecker import InputMoments, KroneckerSum
from .lanes import Lane, Lanes, RowExecutor, Sums
from .losses import Loss
from .network import Layers, Shape, Weights, backward, forward
from .rows import as_rows

BLOCK_BYTES = 2**19  # the temporaries of a row block stay within a second-level cache, but for
BLOCK_ROWS = ((2560, 2**21), (256, 2**22))  # so many rows, which make calls that threads can share, up to these sizes
CHUNK_BYTES = 2**20  # what is gathered at a time of rows in random order, for as many mini-batches as it holds
INPUTS_BYTES = 3 * 2**24  # inputs with products of their pairs up to 48 MiB are kept from iteration to iteration
SPARSE_BLOCK_BYTES = 2**24  # a sparse block pays for a dense (n_features, n_hidden) product each: fewer, larger ones


class Objective:
    """The objective of a two-layer network on given data.

    Parameters
    ----------
    X : array or other rows of shape (n_samples, n_features)
        An array, or rows as `rows` describes them.
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
    n_threads : int
        The number of threads that share the rows where there are many; the results do not depend on it.
    executor : RowExecutor, optional
        What carries out the sums over all rows, where these are elsewhere and X and Y have none.
    weight_sum : float, optional
        The total weight, where the rows are a part of the data.
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
        n_threads: int = 1,
        executor: RowExecutor | None = None,
        weight_sum: float | None = None,
    ) -> None:
        self.X, self.Y, self.sample_weight = X, Y, sample_weight
        self._rows = as_rows(X)
        self.shape, self.activation, self.loss = shape, activation, loss
        self.dtype = np.dtype(dtype)
        self.penalty = penalty.astype(self.dtype)
        self.n_samples = X.shape[0]
        self.n_parameters = shape.n_parameters
        own_weight = self.n_samples if sample_weight is None else sample_weight.sum(dtype=np.float64)
        self.weight_sum = float(own_weight if weight_sum is None else weight_sum)
        self.block_rows = _block_rows(shape, self.dtype.itemsize, dense=isinstance(X[:0], np.ndarray))
        self.matrix_block_rows = _matrix_block_rows(shape, self.dtype.itemsize)
        self.n_threads = n_threads
        self._memory: dict[str, Any] = {}  # of what does not depend on penalty and loss, or is asked for again
        self._kept_inputs: dict[tuple[int, int], Inputs] = {}
        self.total_samples = self.n_samples or int(self.weight_sum)  # of rows elsewhere, about as many
        self._lane = Lane(slice(0), shape, self.dtype)  # for rows that are asked for
        self._executor = executor or Lanes(self.n_samples, shape, self.dtype, n_threads)

    def value(self, theta: Array, rows: Rows | None = None) -> float:
        """Return J at theta, on all rows or an estimate from some; the forward half of `value_and_gradient`.

        It is the same number to the last bit.
        """
        (total,) = self._sum(Objective._lane_value, rows, theta=theta)
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
        scale = 1.0 / self._total_weight(rows)
        total, gradient = self._sum(Objective._lane_gradient, rows, theta=theta, scale=scale)
        gradient += self._penalty_gradient(theta)
        return total * scale + self._penalty_value(theta), gradient.astype(self.dtype, copy=False)

    def batch_gradients(self, theta: Array, size: int, order: NDArray[np.intp] | None = None) -> Iterator[Array]:
        """Yield the gradient on one mini-batch after the other, each at what theta has become by then.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)
            The weights and biases; may change in place from one gradient to the next.
        size : int
            The rows of a batch.
        order : ndarray of int, optional
            The rows to take, in their order; None takes all as they come.

        Yields
        ------
        gradient : ndarray of shape (n_parameters,)
            That of `value_and_gradient` on these rows; the next one overwrites it.
        """
        n_rows = self.n_samples if order is None else len(order)
        parts = (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))
        if size > 4 * self.block_rows:
            for part in parts:
                yield self.value_and_gradient(theta, part if order is None else order[part])[1]
            return
        lane, gradient, penalty = self._lane, np.empty_like(theta), np.empty_like(theta)
        layers, out = self.shape.layers(theta), self.shape.layers(gradient)
        strength = self.penalty * (1.0 / self.weight_sum)
        for X1, Y, scale in self._gathered_batches(size, order):
            work = lane.workspace(len(Y))
            D2 = self.loss.delta(Y, forward(X1, layers, self.activation, work))
            D2 *= scale
            backward(X1, layers, self.activation, work, D2, out)
            gradient += np.multiply(strength, theta, out=penalty)
            yield gradient

    def _gathered_batches(self, size: int, order: NDArray[np.intp] | None) -> Iterator[tuple[Any, Array, Any]]:
        """Yield [X 1], Y and what multiplies the output delta of each batch, gathering as many as a chunk holds."""
        n_rows = self.n_samples if order is None else len(order)
        batch_bytes = size * self.dtype.itemsize * (self.shape.n_features + 1)
        chunk_rows = size * max(1, CHUNK_BYTES // batch_bytes)
        for start in range(0, n_rows, chunk_rows):
            stop = min(start + chunk_rows, n_rows)
            rows = slice(start, stop) if order is None else order[start:stop]
            X1, Y = self._rows.with_one(rows, self._lane.inputs), self.Y[rows]
            weight = None if self.sample_weight is None else self.sample_weight[rows, np.newaxis]
            for first in range(0, stop - start, size):
                part = slice(first, min(first + size, stop - start))
                scale = 1.0 / self._total_weight(part)
                yield X1[part], Y[part], scale if weight is None else scale * weight[part]

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
        total = self._curvature_sum(theta, exact=False)
        return self.value(theta), self._gradient(theta, total), self._penalized(total.gauss_newton())

    def curvature(self, theta: Array, out: tuple[Array, Array] | None = None) -> tuple[Array, Array, Array]:
        """Return the gradient of J, its Gauss-Newton matrix and its Hessian.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)
            The weights and biases.
        out : two ndarrays of shape (n_parameters, n_parameters), float64, optional
            Where to write the matrices: new memory in every iteration costs more than filling it.

        Returns
        -------
        gradient : ndarray of shape (n_parameters,)
        gauss_newton, hessian : ndarray of shape (n_parameters, n_parameters), float64
        """
        total = self._curvature_sum(theta, exact=True)
        gauss_newton, hessian = (None, None) if out is None else out
        gauss_newton = self._penalized(total.gauss_newton(gauss_newton))
        return self._gradient(theta, total), gauss_newton, self._penalized(total.hessian(hessian))

    def _curvature_sum(self, theta: Array, *, exact: bool) -> CurvatureSum:
        last, last_loss, last_exact, total = self._memory.get("curvature", (None, None, False, None))
        if not (last_loss is self.loss and last_exact >= exact and np.array_equal(last, theta)):
            total = self._sum(Objective._lane_curvature, quick=False, theta=theta, exact=exact)
            self._memory["curvature"] = theta.copy(), self.loss, exact, total
        return total

    def total(self, function: Callable[..., Any]) -> Any:
        """Return the total of function(objective, lane, rows) over all rows."""
        return self._executor.sum(function, self, quick=False)

    def _sum(
        self, function: Callable[..., Any], rows: Rows | None = None, *, quick: bool = True, **arguments: Any
    ) -> Any:
        """Return the total of function(self, lane, rows, **arguments), or that of the rows given."""
        function = partial(function, **arguments)
        return self._executor.sum(function, self, quick=quick) if rows is None else function(self, self._lane, rows)

    def _lane_value(self, lane: Lane, rows: Rows, theta: Array) -> Sums:
        with np.errstate(over="ignore", invalid="ignore"):
            return Sums([sum(self._block_value(theta, lane, block) for block in self._blocks(rows, self.block_rows))])

    def _lane_gradient(self, lane: Lane, rows: Rows, theta: Array, scale: float) -> Sums:
        layers, part = self.shape.layers(theta), np.empty_like(theta)
        total, gradient, out = 0.0, np.zeros(self.n_parameters), self.shape.layers(part)
        with np.errstate(over="ignore", invalid="ignore"):
            for block in self._blocks(rows, self.block_rows):
                total += self._block_value_and_gradient(layers, lane, block, scale, out)
                gradient += part
        return Sums([total, gradient])

    def _lane_curvature(self, lane: Lane, rows: Rows, theta: Array, exact: bool) -> CurvatureSum:
        total = lane.curvature_sum
        total.clear()
        with np.errstate(over="ignore", invalid="ignore"):
            for block in self._blocks(rows, self.matrix_block_rows):
                total.add(self._block(theta, block), exact=exact)
        return total

    def _gradient(self, theta: Array, total: CurvatureSum) -> Array:
        return total.gradient() + self._penalty_gradient(theta)

    def _penalized(self, matrix: Array) -> Array:
        matrix.flat[:: self.n_parameters + 1] += self.penalty / self.weight_sum
        return matrix

    def with_prior(self, penalty: Array, loss: Loss) -> "Objective":
        """Return the objective of the same data under another penalty and loss; the work space is shared."""
        other = copy.copy(self)
        other.penalty, other.loss = penalty.astype(self.dtype), loss
        return other

    def gauss_newton_matrix(self, theta: Array) -> Array:
        """Return the Gauss-Newton matrix without the penalty, float64; it costs little where `curvature` was asked."""
        return self._curvature_sum(theta, exact=False).gauss_newton()

    def kronecker_sum(self, theta: Array) -> KroneckerSum:
        """Return the sums that the Kronecker-factored form of the Gauss-Newton matrix is made of."""
        return self._sum(Objective._lane_kronecker_sum, theta=theta.astype(self.dtype, copy=False))

    def _lane_kronecker_sum(self, lane: Lane, rows: Rows, theta: Array) -> KroneckerSum:
        total, layers = KroneckerSum(self.shape, self.loss), self.shape.layers(theta)
        with np.errstate(over="ignore", invalid="ignore"):
            for block in self._blocks(rows, self.block_rows):
                X1, Y = self._rows.with_one(block, lane.inputs), self.Y[block]
                share, work = self.share(block), lane.workspace(len(Y))
                total.add(X1, Y, share, layers, self.activation, self.loss, work)
        return total

    @property
    def input_moments(self) -> InputMoments:
        """The moments of inputs and targets, found once."""
        if "moments" not in self._memory:
            self._memory["moments"] = self._sum(Objective._lane_moments)
        return self._memory["moments"]

    def _lane_moments(self, lane: Lane, rows: Rows) -> InputMoments:
        total = InputMoments(self.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            for block in self._blocks(rows, self.block_rows):
                total.add(self._rows.with_one(block, lane.inputs), self.Y[block], self.share(block), block.start)
        return total

    def part(self, rows: NDArray[np.intp]) -> "Objective":
        """Return the objective on some of the rows, which are copied."""
        X, weight = self.X[rows], None if self.sample_weight is None else self.sample_weight[rows]
        return Objective(
            X,
            self.Y[rows],
            weight,
            shape=self.shape,
            activation=self.activation,
            loss=self.loss,
            penalty=self.penalty,
            dtype=self.dtype,
            n_threads=self.n_threads,
        )

    def _block(self, theta: Array, rows: slice) -> Block:
        """Return what a block of rows contributes to second derivatives."""
        weights, inputs = self.shape.unpack(theta), self._inputs(rows)
        hidden, slopes, Z2 = layers(inputs.columns, weights, self.activation)
        bends = self.activation.second_derivative(hidden[:-1], slopes)
        factor = self.loss.curvature_factor(Z2) * np.sqrt(self.share(rows))[..., np.newaxis]
        factor = np.ascontiguousarray(factor.transpose(1, 2, 0), dtype=self.dtype)
        delta = self.loss.delta(self.Y[rows], Z2)
        delta *= self.share(rows)
        return Block(inputs, hidden, slopes, bends, delta.T, factor, weights.W2)

    def _inputs(self, rows: slice) -> Inputs:
        """Return the inputs and their pairs, kept where those of all rows fit; sparse rows become dense here."""
        keep = Inputs.width(self.shape.n_features) * self.n_samples * self.dtype.itemsize <= INPUTS_BYTES
        inputs = self._kept_inputs.get((rows.start, rows.stop))
        if inputs is None:
            X = self.X[rows]
            inputs = Inputs(X if isinstance(X, np.ndarray) else X.toarray(), keep=keep)
        if keep:
            self._kept_inputs[rows.start, rows.stop] = inputs
        return inputs

    def share(self, rows: slice) -> Any:
        """Return each row's share of the total weight, to multiply (n_rows, n_outputs)."""
        if self.sample_weight is None:
            return np.full((1, 1), 1.0 / self.weight_sum)
        return (self.sample_weight[rows] / self.weight_sum)[:, np.newaxis]

    def _block_value(self, theta: Array, lane: Lane, rows: Rows) -> float:
        X1, Y = self._rows.with_one(rows, lane.inputs), self.Y[rows]
        Z2 = forward(X1, self.shape.layers(theta), self.activation, lane.workspace(len(Y)))
        return self._weighted_sum(self.loss.losses(Y, Z2), rows)

    def _block_value_and_gradient(self, layers: Layers, lane: Lane, rows: Rows, scale: float, out: Layers) -> float:
        X1, Y = self._rows.with_one(rows, lane.inputs), self.Y[rows]
        work = lane.workspace(len(Y))
        losses, D2 = self.loss.losses_and_delta(Y, forward(X1, layers, self.activation, work))
        D2 *= scale if self.sample_weight is None else scale * self.sample_weight[rows, np.newaxis]
        backward(X1, layers, self.activation, work, D2, out)
        return self._weighted_sum(losses, rows)

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

    def _penalty_gradient(self, theta: Array) -> Array:
        return self.penalty * (1.0 / self.weight_sum) * theta

    def _blocks(self, rows: Rows, size: int) -> Iterator[Any]:
        if isinstance(rows, np.ndarray):
            yield from (rows[i : i + size] for i in range(0, len(rows), size))
        else:
            start, stop, _ = rows.indices(self.n_samples)
            yield from (slice(i, min(i + size, stop)) for i in range(start, stop, size))


def _block_rows(shape: Shape, itemsize: int, *, dense: bool) -> int:
    d, h, k = shape
    if dense:
        row_bytes = itemsize * (d + 2 * h + 2 * k)
        return max(64, BLOCK_BYTES // row_bytes, *(min(rows, size // row_bytes) for rows, size in BLOCK_ROWS))
    return max(64, SPARSE_BLOCK_BYTES // (itemsize * 2 * (h + k)))


def _matrix_block_rows(shape: Shape, itemsize: int) -> int:
    """Return how many rows: enough for the calls on them to be worth their overhead."""
    row_bytes = itemsize * (shape.n_parameters + 2 * shape.n_outputs**2)
    return min(max(8 * BLOCK_BYTES // row_bytes, 64), 2048)


def layers(columns: Array, weights: Weights, activation: Activation) -> tuple[Array, Array, Array]:
    """Return hidden values and slopes of a block of rows as `gauss_newton.Block` has them, and Z2, shape (n, k)."""
    W1, b1, W2, b2 = weights
    hidden = np.ones((len(b1) + 1, columns.shape[1]), columns.dtype)
    np.matmul(W1.T, columns[:-1], out=hidden[:-1])
    hidden[:-1] += b1[:, np.newaxis]
    activation.apply(hidden[:-1])
    slopes = np.ones_like(hidden[:-1])
    activation.multiply_by_derivative(slopes, hidden[:-1].copy())
    return hidden, slopes, hidden[:-1].T @ W2 + b2
