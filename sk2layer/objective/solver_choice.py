"""The choice of the solver by its predicted seconds: those of an iteration, times how many it takes.

Seconds are those of one thread, least-squares estimates of processor times of docs/benchmarks/solver_choice.py
--rates, over 200 to 20,000 rows, 3 to 790 inputs (20,000 sparse ones), 1 to 300 hidden units and 1 to 10 outputs. Two
machines differ by much the same factor in all of them, and only their ratios matter.
"""

from typing import Any

from ..model.network import Network, Shape
from .curvature import operations_per_row

CALLS, LM_CALLS, BATCH_CALLS = 1.1e-4, 2.5e-4, 3e-5  # of Python, in an iteration of L-BFGS, one of "lm", a batch
OPERATION, SPARSE_OPERATION = 4e-11, 4e-10  # in a product of matrices, for one or both of its factors dense
ELEMENT = 1e-9  # of an input, or of a hidden unit in each of four passes
CORRECTION = 1e-7  # a parameter, in products with the pairs of L-BFGS
CUBE = 2.5e-11  # parameters^3: a factorisation, or one and a half
UPDATE = 1e-8  # a parameter, in a step of Adam

ITERATIONS = {"identity": 7.0, "sigmoid": 2.7, "softmax": 2.7, "exp": 7.5}
"""Iterations of L-BFGS for one of Levenberg-Marquardt, by the output activation, until the objective is within 2 % of
where the latter ends by itself: medians over sizes, alpha = 0.1 and 1, and three starts."""

FULL_PASS = 0.5
"""Adam is chosen where L-BFGS takes this long for an iteration: then even some of its first ones are dear."""

EPOCH = 4.0
"""But not where an epoch in batches takes this many times as long, as with many parameters and few sparse inputs."""

BATCH_ROWS = 200


def cheapest_solver(n_samples: int, network: Network, *, density: float = 1.0, in_memory: bool = True) -> str:
    """Return "lm", "lbfgs" or "adam", whichever is predicted to be the cheapest.

    `density` is the share of inputs that are not zero, 1 for a dense matrix; `in_memory` is whether rows can be taken
    in any order, in mini-batches.
    """
    shape, activation, loss = network
    full = lbfgs_seconds(n_samples, shape, density)
    if in_memory and full > FULL_PASS and adam_seconds(n_samples, shape, density) < EPOCH * full:
        return "adam"
    if not activation.is_smooth:  # by Gauss-Newton steps, which do not see kinks, many units die
        return "lbfgs"
    return "lm" if lm_seconds(n_samples, shape) < ITERATIONS[loss.out_activation] * full else "lbfgs"


def density_of(X: Any) -> float:
    """Return the share of elements that are stored."""
    return X.nnz / max(X.shape[0] * X.shape[1], 1) if hasattr(X, "nnz") else 1.0


def lm_seconds(n_samples: int, shape: Shape) -> float:
    """Return the predicted seconds of a step by Levenberg-Marquardt; sparse rows are dense there."""
    return LM_CALLS + n_samples * operations_per_row(shape) * OPERATION + shape.n_parameters**3 * CUBE


def lbfgs_seconds(n_samples: int, shape: Shape, density: float = 1.0) -> float:
    """Return the predicted seconds of an iteration of L-BFGS."""
    return CALLS + n_samples * _row_seconds(shape, density) + shape.n_parameters * CORRECTION


def adam_seconds(n_samples: int, shape: Shape, density: float = 1.0) -> float:
    """Return the predicted seconds of an epoch of Adam, with the objective after it."""
    n_batches = -(-n_samples // BATCH_ROWS)
    return n_batches * (BATCH_CALLS + shape.n_parameters * UPDATE) + 1.5 * n_samples * _row_seconds(shape, density)


def _row_seconds(shape: Shape, density: float) -> float:
    """Return the predicted seconds of a row, forward and backward."""
    d, h, k = shape
    n_inputs = d * density + 1.0
    operation = OPERATION if density == 1.0 else SPARSE_OPERATION
    return 4.0 * n_inputs * h * operation + 6.0 * h * k * OPERATION + (n_inputs + 4.0 * h) * ELEMENT
