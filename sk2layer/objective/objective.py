"""What is minimised: data, network, loss and penalty as functions of one flat vector theta, summed over row blocks.

    J(theta) = sum_i w_i l(y_i, z_i) / sum_i w_i  +  sum_j penalty_j theta_j^2 / (2 sum_i w_i)

Both terms are on the scale of one sample. On a part of the rows (a mini-batch) the first sum is scaled up by n_samples
over the rows of the part, so that the gradient of a random part estimates the gradient of the whole without bias.
"""

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, RowNumbers
from ..model.losses import Loss
from ..model.network import Network, backward, forward
from ..rows.sources import RowSource
from ..rows.sums import Block, SumOverBlock, ThreadedSums, Totals
from .curvature import curvature_sum
from .kronecker import InputMoments, KroneckerSum, input_moments, kronecker_sum
from .products import CurvatureSum

MOST_BATCH_BLOCKS = 2
"""Blocks that a mini-batch may be as large as, to be gathered and passed over at once."""


def loss_sum(block: Block, network: Network, theta: Array) -> Totals:
    """Return the weighted sum of the losses of a block of rows."""
    (shape, activation, loss), total = network, 0.0
    weights = shape.augmented(theta)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in block.parts(block.sums.block_rows):
            Z2 = forward(part.X1, weights, activation, part.passes)
            total += part.weighted_sum(loss.losses(part.Y, Z2))
    return Totals([total])


def gradient_sum(block: Block, network: Network, theta: Array, scale: float) -> Totals:
    """Return the weighted sum of the losses of a block of rows, and its gradient times `scale`, in float64."""
    (shape, activation, loss), gradient_of_part = network, np.empty_like(theta)
    weights, out = shape.augmented(theta), shape.augmented(gradient_of_part)
    total, gradient = 0.0, np.zeros(len(theta))
    with np.errstate(over="ignore", invalid="ignore"):
        for part in block.parts(block.sums.block_rows):
            X1, weight, passes = part.X1, part.weight, part.passes
            losses, D2 = loss.losses_and_delta(part.Y, forward(X1, weights, activation, passes))
            D2 *= scale if weight is None else scale * weight[:, np.newaxis]
            backward(X1, weights, activation, passes, D2, out)
            total += part.weighted_sum(losses)
            gradient += gradient_of_part
    return Totals([total, gradient])


def target_sum(block: Block) -> Totals:
    """Return the sum of the targets of a block of rows, times their shares of the weight."""
    return Totals([(block.share * block.Y).sum(axis=0)])


class Objective:
    """The objective of a two-layer network on given data.

    Parameters
    ----------
    source : RowSource
        The standardised data.
    network : Network
        The network.
    penalty : ndarray of shape (n_parameters,)
        The strength of the L2 penalty on each parameter.
    dtype : numpy dtype
        The floating type of the computation.
    n_threads : int
        The number of threads that share the rows where there are many; the results do not depend on it.

    Attributes
    ----------
    sums : RowSums
        What sums over the rows.
    """

    def __init__(
        self, source: RowSource, network: Network, penalty: Array, dtype: Any = np.float64, n_threads: int = 1
    ) -> None:
        self.network, self.shape, self.dtype = network, network.shape, np.dtype(dtype)
        self.sums = source.sums(network.shape, self.dtype, n_threads)
        self.penalty = penalty.astype(self.dtype)
        self.n_samples, self.weight_sum = self.sums.n_samples, self.sums.weight_sum
        self._known: dict[str, Any] = {}  # of what does not depend on penalty and loss, or is asked for again

    def with_prior(self, penalty: Array, loss: Loss) -> "Objective":
        """Return the objective of the same data under another penalty and loss; the work space is shared."""
        other = copy.copy(self)
        other.penalty, other.network = penalty.astype(self.dtype), self.network._replace(loss=loss)
        return other

    def part(self, rows: NDArray[np.intp]) -> "Objective":
        """Return the objective on some of the rows, which are copied."""
        other = copy.copy(self)
        other.sums, other._known = self._here.part(rows), {}
        other.n_samples, other.weight_sum = other.sums.n_samples, other.sums.weight_sum
        return other

    @property
    def _here(self) -> ThreadedSums:
        """The sums over rows in memory, of which some can be taken."""
        return cast(ThreadedSums, self.sums)

    def total(self, function: SumOverBlock) -> Any:
        """Return the total of function(block) over all rows, worth a thread for less than a pass is."""
        return self.sums.total(function, quick=False)

    def value(self, theta: Array, rows: RowNumbers | None = None) -> float:
        """Return J at theta, on all rows or an estimate from some; the forward half of `value_and_gradient`.

        It is the same number to the last bit.
        """
        (total,) = self._sum(partial(loss_sum, network=self.network, theta=theta), rows)
        return total * (1.0 / self._total_weight(rows)) + self._penalty_value(theta)

    def value_and_gradient(self, theta: Array, rows: RowNumbers | None = None) -> tuple[float, Array]:
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
        total, gradient = self._sum(partial(gradient_sum, network=self.network, theta=theta, scale=scale), rows)
        gradient += self._penalty_gradient(theta)
        return total * scale + self._penalty_value(theta), gradient.astype(self.dtype, copy=False)

    def batches(
        self, theta: Array, size: int, order: NDArray[np.intp] | None = None
    ) -> Iterator[tuple[int, float, Array]]:
        """Yield what one mini-batch after the other says, each at what theta has become by then.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)
            The weights and biases; may change in place from one batch to the next.
        size : int
            The rows of a batch.
        order : ndarray of int, optional
            The rows to take, in their order; None takes all as they come.

        Yields
        ------
        n_rows : int
        value : float
        gradient : ndarray of shape (n_parameters,)
            Those of `value_and_gradient` on these rows; the next gradient overwrites it.
        """
        if size > MOST_BATCH_BLOCKS * self._here.block_rows:
            n_rows = self.n_samples if order is None else len(order)
            for start in range(0, n_rows, size):
                rows = slice(start, min(start + size, n_rows))
                yield rows.stop - start, *self.value_and_gradient(theta, rows if order is None else order[rows])
            return
        (shape, activation, loss), gradient, penalty = self.network, np.empty_like(theta), np.empty_like(theta)
        weights, out = shape.augmented(theta), shape.augmented(gradient)
        strength = self.penalty * (1.0 / self.weight_sum)
        for X1, Y, weight, passes in self._here.batches(size, order):
            scale = 1.0 / (self.weight_sum * len(Y) / self.n_samples)
            total, D2 = loss.total_and_delta(Y, forward(X1, weights, activation, passes), weight)
            D2 *= scale if weight is None else scale * weight[:, np.newaxis]
            backward(X1, weights, activation, passes, D2, out)
            gradient += np.multiply(strength, theta, out=penalty)
            yield len(Y), total * scale + 0.5 * float(penalty @ theta), gradient

    def curvature(
        self, theta: Array, out: tuple[Array, Array] | None = None, *, hessian: bool = True
    ) -> tuple[Array, Array, Array | None]:
        """Return the gradient of J, its generalised Gauss-Newton matrix and its Hessian.

        The Gauss-Newton matrix is the Hessian without the second derivatives of the network: sum_i J_i.T L_i J_i,
        weighted as in J, plus the penalty. It is positive semidefinite, and for the canonical links the Fisher
        information.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)
            The weights and biases.
        out : two ndarrays of shape (n_parameters, n_parameters), float64, optional
            Where to write the matrices: new memory in every iteration costs more than filling it.
        hessian : bool
            Whether the Hessian is wanted; None is returned otherwise.

        Returns
        -------
        gradient : ndarray of shape (n_parameters,)
        gauss_newton, hessian : ndarray of shape (n_parameters, n_parameters), float64
        """
        total = self._curvature_sum(theta, hessian=hessian)
        first, second = (None, None) if out is None else out
        gradient = total.gradient(self.shape.unpack(theta).W2) + self._penalty_gradient(theta)
        gauss_newton = self._penalized(total.gauss_newton(first))
        return gradient, gauss_newton, self._penalized(total.hessian(second)) if hessian else None

    def gauss_newton_matrix(self, theta: Array) -> Array:
        """Return the Gauss-Newton matrix without the penalty, float64; it costs little where `curvature` was asked."""
        return self._curvature_sum(theta, hessian=False).gauss_newton()

    def kronecker_sum(self, theta: Array) -> KroneckerSum:
        """Return the sums that the Kronecker-factored form of the Gauss-Newton matrix is made of."""
        theta = theta.astype(self.dtype, copy=False)
        return self._sum(partial(kronecker_sum, network=self.network, theta=theta))

    def target_means(self) -> Array:
        """Return the means of the targets, shape (n_outputs,)."""
        return self._sum(target_sum)[0]

    @property
    def input_moments(self) -> InputMoments:
        """The moments of inputs and targets, found once."""
        if "moments" not in self._known:
            self._known["moments"] = self._sum(input_moments)
        return self._known["moments"]

    def _curvature_sum(self, theta: Array, *, hessian: bool) -> CurvatureSum:
        last, loss, has_hessian, total = self._known.get("curvature", (None, None, False, None))
        if not (loss is self.network.loss and has_hessian >= hessian and np.array_equal(last, theta)):
            total = self.total(partial(curvature_sum, network=self.network, theta=theta, hessian=hessian))
            self._known["curvature"] = theta.copy(), self.network.loss, hessian, total
        return total

    def _sum(self, function: SumOverBlock, rows: RowNumbers | None = None) -> Any:
        """Return the total of function(block) over all rows, or what it is of the rows given."""
        return self.sums.total(function) if rows is None else function(self._here.block(rows))

    def _total_weight(self, rows: RowNumbers | None) -> float:
        """Return what a sum over `rows` is divided by: their share of the total weight as if weights were equal."""
        if rows is None:
            return self.weight_sum
        return self.weight_sum * self._here.block(rows).n_rows / self.n_samples

    def _penalty_value(self, theta: Array) -> float:
        return 0.5 * float(np.dot(self.penalty * theta, theta)) / self.weight_sum

    def _penalty_gradient(self, theta: Array) -> Array:
        return self.penalty * (1.0 / self.weight_sum) * theta

    def _penalized(self, matrix: Array) -> Array:
        matrix.flat[:: len(matrix) + 1] += self.penalty / self.weight_sum
        return matrix
