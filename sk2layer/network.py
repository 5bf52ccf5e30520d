"""How the two layers compute: shapes, forward pass, backward pass and initial weights, as functions of named arrays.

Conventions, with n samples in rows, d features, h hidden units and k outputs:

    W1 (d, h)   b1 (h,)        Z1 = X  @ W1 + b1  (n, h)     A1 = g(Z1)
    W2 (h, k)   b2 (k,)        Z2 = A1 @ W2 + b2  (n, k)     the raw prediction

    D2 (n, k)   the loss's derivative by Z2        dW2 = A1.T @ D2     db2 = D2.sum(0)
    D1 (n, h)   = (D2 @ W2.T) * g'(Z1)             dW1 = X.T  @ D1     db1 = D1.sum(0)

All parameters live in one flat vector theta, in the order W1, b1, W2, b2: each layer with its biases is then one matrix
of n_inputs + 1 rows. The named arrays are views into it.

The passes over many rows take X with a one appended to each, and the hidden layer as the one matrix V1 = [W1; b1]:

    Z1 = [X 1] @ V1         dV1 = [dW1; db1] = [X 1].T @ D1

so that the biases cost no pass of their own over (n, h). `X1` is such an array, or anything else with `.dot(B, out)`
and `.T`.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._typing import Array
from .activations import Activation
from .threads import PASS_OPERATIONS, ThreadMap, one_blas_thread, thread_budget

CUBE = 3.0**0.5  # half the width of the interval on which a uniform variable has the variance one


class Weights(NamedTuple):
    """The weights and biases of both layers, or arrays that correspond to them (a gradient, a penalty)."""

    W1: Array
    b1: Array
    W2: Array
    b2: Array


class Layers(NamedTuple):
    """The same with the hidden layer in one matrix, V1 = [W1; b1] of shape (d + 1, h)."""

    V1: Array
    W2: Array
    b2: Array


class Shape(NamedTuple):
    """The size of a network: d, h and k."""

    n_features: int
    n_hidden: int
    n_outputs: int

    @property
    def n_parameters(self) -> int:
        """The length of theta, (d + 1) h + (h + 1) k."""
        return (self.n_features + 1) * self.n_hidden + (self.n_hidden + 1) * self.n_outputs

    def unpack(self, theta: Array) -> Weights:
        """Return views of the flat vector theta, shape (n_parameters,), as named arrays."""
        d, h, k = self
        i, j, m = d * h, (d + 1) * h, (d + 1) * h + h * k
        return Weights(theta[:i].reshape(d, h), theta[i:j], theta[j:m].reshape(h, k), theta[m:])

    def layers(self, theta: Array) -> "Layers":
        """Return views of the flat vector theta as the passes over rows use it."""
        d, h, k = self
        j, m = (d + 1) * h, (d + 1) * h + h * k
        return Layers(theta[:j].reshape(d + 1, h), theta[j:m].reshape(h, k), theta[m:])

    def is_weight(self) -> Array:
        """Return 1 for each weight and 0 for each bias, shape (n_parameters,): what the penalty applies to."""
        mask = np.ones(self.n_parameters)
        weights = self.unpack(mask)
        weights.b1[:] = 0.0
        weights.b2[:] = 0.0
        return mask


def pack(weights: Weights) -> Array:
    """Return the flat vector theta of named arrays: the inverse of `Shape.unpack`."""
    return np.concatenate([array.ravel() for array in weights])


def average(networks: Sequence[Weights]) -> Weights:
    """Return the one network whose raw prediction is the mean of those of several networks: all of them side by side.

    W1 = [W1_1 ... W1_m], b1 likewise, W2 = [W2_1; ...; W2_m] / m, and b2 is the mean.
    """
    W1, b1, W2, b2 = zip(*networks, strict=True)
    return Weights(np.hstack(W1), np.hstack(b1), np.vstack(W2) / len(W2), np.mean(b2, axis=0))


class Workspace(NamedTuple):
    """What a pass over a block of rows writes into, reused from block to block; and ones, to sum over rows with."""

    A1: Array
    Z2: Array
    D1: Array
    ones: Array

    @classmethod
    def empty(cls, n_rows: int, shape: Shape, dtype: Any) -> "Workspace":
        """Return an uninitialised work space for `n_rows` rows."""
        _, h, k = shape
        A1, Z2, D1 = (np.empty((n_rows, width), dtype) for width in (h, k, h))
        return cls(A1, Z2, D1, np.ones(n_rows, dtype))

    def head(self, n_rows: int) -> "Workspace":
        """Return the part for fewer rows."""
        return Workspace(*(array[:n_rows] for array in self))


def forward(X1: Any, layers: Layers, activation: Activation, work: Workspace) -> Array:
    """Compute the raw prediction Z2 of a block of rows; `work` keeps A1 and Z2.

    Returns
    -------
    Z2 : ndarray of shape (n_samples, n_outputs)
        The array `work.Z2`.
    """
    V1, W2, b2 = layers
    A1, Z2, _, _ = work
    X1.dot(V1, out=A1)
    activation.apply(A1)
    A1.dot(W2, out=Z2)
    Z2 += b2
    return Z2


def backward(X1: Any, layers: Layers, activation: Activation, work: Workspace, D2: Array, gradient: Layers) -> None:
    """Write the gradient that belongs to the output delta D2 into `gradient`; uses up `work.A1` of `forward`."""
    A1, _, D1, ones = work
    A1.T.dot(D2, out=gradient.W2)
    ones.dot(D2, out=gradient.b2)
    D2.dot(layers.W2.T, out=D1)
    activation.multiply_by_derivative(D1, A1)
    X1.T.dot(D1, out=gradient.V1)


def initial_weights(shape: Shape, activation: Activation, rng: np.random.Generator) -> Array:
    """Draw random weights that spread what the hidden units do over the range of standardised inputs.

    A unit bends the function where its z is near 0. The weights of each have a random direction, and its bias lets it
    bend at a point drawn from the cube in which inputs of variance one lie, a Latin hypercube of one point for each
    unit. The length of the weights of a sigmoidal unit makes its bend as wide as the distance between them, 0.7 h^(1/d)
    in a cube of half-width one (Nguyen & Widrow 1990). As sigmoid(z) = (1 + tanh(z / 2)) / 2, a sigmoid network with
    the weights of both layers doubled *is* the tanh network, up to its output bias: so both layers have a gain of 2.
    ReLU halves the variance: its hidden layer has a gain of sqrt(2) (He et al. 2015). The output weights are a tenth of
    those that keep the variance of signals (Glorot & Bengio 2010): a network of many bends begins near a constant
    instead of a random function. The output biases are zero.

    Parameters
    ----------
    shape : Shape
        The size of the network.
    activation : Activation
        The hidden activation.
    rng : numpy.random.Generator
        Where the randomness comes from.

    Returns
    -------
    theta : ndarray of shape (n_parameters,), float64
    """
    theta = np.zeros(shape.n_parameters)
    d, h, k = shape
    W1, b1, W2, _ = shape.unpack(theta)
    W1[:] = rng.normal(size=(d, h))
    length = 0.7 * h ** (1.0 / d) / CUBE if activation.is_sigmoidal else 1.0
    W1 *= activation.weight_gain * length / np.linalg.norm(W1, axis=0)
    strata = rng.permuted(np.tile(np.arange(h), (d, 1)), axis=1)
    points = CUBE * (2.0 * (strata + rng.uniform(size=(d, h))) / h - 1.0)
    b1[:] = -np.einsum("dh,dh->h", W1, points)
    W2[:] = 0.1 * activation.output_gain * np.sqrt(6.0 / (h + k)) * rng.uniform(-1.0, 1.0, (h, k))
    return theta


PREDICT_BYTES = 2**18  # hidden values of so many rows that they stay within a second-level cache
FEW_ROWS = 64  # not worth any preparation


def predict_raw(X: Any, weights: Weights, activation: Activation, n_threads: int = 1) -> Array:
    """Return the raw predictions for all rows of X, in the floating type of the weights, block by block.

    Parameters
    ----------
    X : ndarray or csr matrix of shape (n_samples, n_features)
        The rows.
    weights : Weights
        In the units of X.
    activation : Activation
        The hidden activation.
    n_threads : int
        The number of threads that share the blocks; the result does not depend on it.

    Returns
    -------
    Z2 : ndarray of shape (n_samples, n_outputs)
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
    bounds = np.linspace(0, n_blocks, min(n_threads, n_blocks) + 1).astype(int) * n_rows
    ThreadMap(n_threads)(predict, [slice(*part) for part in itertools.pairwise(bounds.tolist())])
    Z2 += b2
    return Z2


def predict_in_threads(X: Any, weights: Weights, activation: Activation, n_jobs: int | None) -> Array:
    """Return what `predict_raw` does, with the rows shared among the threads that `n_jobs` allows where it pays."""
    if X.shape[0] * weights.W1.size < PASS_OPERATIONS:
        return predict_raw(X, weights, activation)
    n_threads = thread_budget(n_jobs)
    with one_blas_thread():
        return predict_raw(X, weights, activation, n_threads)


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
