"""How does log |A|, A the precision of the posterior, respond to the weights: its gradient, without any Jacobian.

With S = A^-1 held fixed, d log |A| = d tr(S G) for the Gauss-Newton matrix G = sum_i J_i.T L_i J_i, and

    tr(S G) = sum_i sum_op L_op V_op         V = J_i S J_i.T, the covariance of the raw predictions of sample i

The rows of the Jacobian have the structure that `gauss_newton` describes: x_f r_a with r = g'(z1) W2 in the hidden
layer, a_b in the output layer. So, with the blocks of S for hidden and output weights,

    V_op = r_o.T Q r_p + r_o.T C_p a + r_p.T C_o a + a.T S_op a
    Q_ab = sum_f<=g x_f x_g T_fg,ab      (C_o)_ab = sum_f x_f S_fa,bo      T_fg,ab = S_fa,gb + S_ga,fb (f < g)

in which the weights enter by r, a and L alone. The most work is the product of the pairs of inputs with the pairs of
hidden units in T, as much as for G itself.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ._typing import Array
from .gauss_newton import Block, Inputs
from .lanes import Sums
from .network import Shape
from .objective import Objective


class Response(NamedTuple):
    """How log |A| and the losses respond at theta.

    Attributes
    ----------
    gradient : ndarray of shape (n_parameters,)
        d log |A| / dtheta at fixed priors.
    traces : ndarray of shape (n_outputs,)
        tr(A^-1 sum_i w_i L_oo J_io.T J_io) for each output o: the parameters that it determines.
    half_errors : ndarray of shape (n_outputs,)
        1/2 sum_i w_i (z - y) dl / dz for each output: its loss, where that is a squared error.
    """

    gradient: Array
    traces: Array
    half_errors: Array


def response(objective: Objective, theta: Array, covariance: Array) -> Response:
    """Return the response at theta, with `covariance` the inverse S of the precision A there.

    The loss must have a `curvature_slope` (see `bounds`), by which L moves with the raw predictions.
    """
    blocks = CovarianceBlocks(covariance, objective.shape)
    total = objective.sum_blocks(theta, partial(_part, b2=objective.shape.unpack(theta).b2, blocks=blocks))
    return Response(*(objective.weight_sum * values for values in total))


def _part(
    objective: Objective, rows_and_blocks: Iterator[tuple[slice, Block]], b2: Array, blocks: "CovarianceBlocks"
) -> Sums:
    """Return what a part of the rows contributes, per unit of weight."""
    loss, (_, _, k) = cast(Any, objective.loss), objective.shape
    gradient, (traces, half_errors) = np.zeros(objective.n_parameters), np.zeros((2, k))
    work = WorkSpace({})
    for rows, block in rows_and_blocks:
        L, Z = block.curvatures(), block.raw_prediction(b2)
        V, part = blocks.spread(block, L, work)
        slope = loss.curvature_slope(Z, V.transpose(2, 0, 1)) * objective.share(rows)
        gradient += part + block._replace(delta=slope.T).gradient()
        traces += np.einsum("oon,oon->o", V, L)
        half_errors += 0.5 * np.einsum("on,no->o", block.delta, Z - objective.Y[rows])
    return Sums([gradient, traces, half_errors])


class WorkSpace(NamedTuple):
    """Arrays to write into, the same for every block of a thread: fresh memory would cost more than the work in it."""

    arrays: dict[tuple[str, int, int], Array]

    def __call__(self, name: str, n_rows: int, n_columns: int) -> Array:
        """Return an uninitialised array."""
        key = (name, n_rows, n_columns)
        if key not in self.arrays:
            self.arrays[key] = np.empty((n_rows, n_columns))
        return self.arrays[key]


class CovarianceBlocks:
    """The blocks of S.

    Parameters
    ----------
    covariance : ndarray of shape (n_parameters, n_parameters)
        S.
    shape : Shape
        The network.
    """

    def __init__(self, covariance: Array, shape: Shape) -> None:
        (d, h, k), p = shape, shape.n_parameters
        self.shape, n_hidden = shape, (d + 1) * h
        first, second, halved = _pair_index(shape)
        self.pairs = covariance.take(first) + covariance.take(second)
        self.pairs[halved] *= 0.5
        output = covariance[n_hidden:].reshape(h + 1, k, p)
        self.cross = [np.ascontiguousarray(output[:, o, :n_hidden].T) for o in range(k)]  # rows (f, a), columns b
        self.output = output[:, :, n_hidden:].reshape(h + 1, k, h + 1, k)

    def spread(self, block: Block, L: Array, work: WorkSpace) -> tuple[Array, Array]:
        """Return V of each sample, shape (k, k, n), and the gradient of sum_op L_op V_op at fixed L."""
        (_, h, k), inputs, a = self.shape, block.inputs.columns, block.hidden
        r: list[Array] = [block.slopes * block.W2[:, o, np.newaxis] for o in range(k)]
        Qr = self._quadratic(block.inputs, r, work)
        Ca: list[Array] = [
            np.einsum("fn,fan->an", inputs, (cross @ a).reshape(-1, h, a.shape[1])) for cross in self.cross
        ]
        Sa: list[list[Array]] = [[self.output[:, o, :, p] @ a for p in range(k)] for o in range(k)]
        V = np.empty((k, k, a.shape[1]))
        for o in range(k):
            for p in range(k):
                hidden = r[o] * (Qr[p] + Ca[p]) + r[p] * Ca[o]
                V[o, p] = hidden.sum(axis=0) + np.einsum("bn,bn->n", a, Sa[o][p])
        return V, self._gradient(block, L, r, [q + c for q, c in zip(Qr, Ca, strict=True)], Sa)

    def _gradient(self, block: Block, L: Array, r: list[Array], by_r: list[Array], Sa: list[list[Array]]) -> Array:
        """Return the gradient by way of r_a = g'(z1_a) W2_a and of a = g(z1)."""
        (_, h, k), inputs, slopes = self.shape, block.inputs.columns, block.slopes
        by_z, by_a, by_output = np.zeros_like(slopes), np.zeros_like(block.hidden), np.zeros((h + 1, k))
        for o in range(k):
            by_ro = sum(L[o, p] * by_r[p] for p in range(k))
            by_z += by_ro * (block.bends * block.W2[:, o, np.newaxis])
            by_output[:-1, o] = 2.0 * np.einsum("an,an->a", by_ro, slopes)
            t = sum(L[o, p] * r[p] for p in range(k))
            rows = (inputs[:, np.newaxis] * t).reshape(-1, inputs.shape[1])
            by_a += self.cross[o].T @ rows
            by_a += sum(L[o, p] * Sa[o][p] for p in range(k))
        by_z += by_a[:-1] * slopes
        return np.concatenate([(2.0 * inputs @ by_z.T).ravel(), by_output.ravel()])

    def _quadratic(self, inputs: Inputs, r: list[Array], work: WorkSpace) -> list[Array]:
        """Return Q r_o of each output."""
        products = [np.zeros_like(rows) for rows in r]
        for part, pairs in inputs.parts():
            Q = np.matmul(self.pairs.T, pairs, out=work("Q", self.pairs.shape[1], pairs.shape[1]))
            for rows, product in zip(r, products, strict=True):
                _add_symmetric(Q, rows[:, part], product[:, part])
        return products


def _add_symmetric(Q: Array, r: Array, out: Array) -> None:
    """Add Q r of each sample to `out`; Q has each pair a <= b once, shape (h (h + 1) / 2, n)."""
    start, h = 0, len(r)
    for a in range(h):
        row = Q[start : start + h - a]
        out[a] += np.einsum("bn,bn->n", row, r[a:])
        out[a + 1 :] += row[1:] * r[a]
        start += h - a


@lru_cache(maxsize=4)
def _pair_index(shape: Shape) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return where in S the terms of T are, shape ((d + 1) (d + 2) / 2, h (h + 1) / 2), and the rows of f = g."""
    (d, h, _), p = shape, shape.n_parameters
    (f, g), (a, b) = np.triu_indices(d + 1), np.triu_indices(h)
    equal, f, g = np.flatnonzero(f == g), f[:, np.newaxis], g[:, np.newaxis]
    return (f * h + a) * p + g * h + b, (g * h + a) * p + f * h + b, equal
