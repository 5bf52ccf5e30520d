"""How predictions are made for many rows: block by block, in threads where that pays."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from .._typing import Array
from ..model.activations import Activation
from ..model.network import Weights, input_slopes
from .threads import PASS_OPERATIONS, ThreadMap, one_blas_thread, thread_budget

PREDICT_BYTES = 2**21
"""Of hidden values and inputs in a block: as `sums.BLOCK_BYTES`, of which a pass backward takes the other half."""

PARTS = 4
"""Of the rows for each thread: one that is held up leaves the rest to the others."""

Predict = Callable[[Any, Weights, Activation, int], Array]
"""What is computed for rows by some threads."""

FEW_ROWS = 64
"""Not worth any preparation."""


def predict_raw(X: Any, weights: Weights, activation: Activation, n_threads: int = 1) -> Array:
    """Return the raw predictions, shape (n_samples, n_outputs), for all rows of an array or a csr matrix.

    They are made block by block, in the floating type of the weights, and do not depend on how many threads share them.
    """
    W1, b1, W2, b2 = weights
    if X.shape[0] <= FEW_ROWS:
        A1 = X.astype(W1.dtype, copy=False) @ W1 + b1
        activation.apply(A1)
        return A1 @ W2 + b2
    Z2 = np.empty((X.shape[0], len(b2)), W1.dtype)
    n_rows = max(FEW_ROWS, PREDICT_BYTES // (W1.itemsize * sum(W1.shape)))
    function, slope, scale, shift = activation.cores[W1.dtype.type]
    V1, W2, b2 = np.vstack([W1, b1]) * slope, W2 * scale, b2 + shift * W2.sum(axis=0)

    def predict(part: slice) -> None:
        _predict_rows(X[part], V1, function, W2, n_rows, Z2[part])

    n_blocks = -(-len(Z2) // n_rows)
    bounds = np.linspace(0, n_blocks, min(PARTS * n_threads if n_threads > 1 else 1, n_blocks) + 1).astype(int) * n_rows
    ThreadMap(n_threads)(predict, [slice(*part) for part in itertools.pairwise(bounds.tolist())])
    Z2 += b2
    return Z2


def predict_slopes(X: Any, weights: Weights, activation: Activation, n_threads: int = 1) -> Array:
    """Return the derivatives of raw predictions by the inputs, shape (n_samples, n_outputs, n_features)."""
    W1, b1, W2, _ = weights
    slopes = np.empty((X.shape[0], W2.shape[1], len(W1)), W1.dtype)
    n_rows = max(FEW_ROWS, PREDICT_BYTES // (W1.itemsize * W2.shape[1] * sum(W1.shape)))

    def fill(rows: slice) -> None:
        A1 = X[rows].astype(W1.dtype, copy=False) @ W1 + b1
        activation.apply(A1)
        slopes[rows] = input_slopes(activation.slopes(A1), W1, W2)

    ThreadMap(n_threads)(fill, list(gen_batches(len(slopes), n_rows)))
    return slopes


def predict_in_threads(
    X: Any, weights: Weights, activation: Activation, n_jobs: int | None, predict: Predict = predict_raw
) -> Array:
    """Return what `predict` does, with the rows shared among the threads that `n_jobs` allows where it pays."""
    if X.shape[0] * weights.W1.size < PASS_OPERATIONS:
        return predict(X, weights, activation, 1)
    n_threads = thread_budget(n_jobs)
    with one_blas_thread():
        return predict(X, weights, activation, n_threads)


def _predict_rows(X: Any, V1: Array, function: Callable[[Array], None], W2: Array, n_rows: int, Z2: Array) -> None:
    n_rows = min(n_rows, len(Z2))
    X1, A1 = np.ones((n_rows, len(V1)), V1.dtype), np.empty((n_rows, V1.shape[1]), V1.dtype)
    for start in range(0, len(Z2), n_rows):
        rows = slice(start, start + n_rows)
        n = len(Z2[rows])
        _hidden_inputs(X[rows], V1, X1[:n], A1[:n])
        function(A1[:n])
        A1[:n].dot(W2, out=Z2[rows])


def _hidden_inputs(X: Any, V1: Array, X1: Array, Z1: Array) -> None:
    """Write Z1 of an array of rows, for which `X1` is work space, or of a sparse matrix."""
    if isinstance(X, np.ndarray):
        X1[:, :-1] = X
        X1.dot(V1, out=Z1)
    else:
        Z1[...] = X @ V1[:-1]
        Z1 += V1[-1]
