"""How the two layers compute: shapes, forward pass, backward pass and initial weights, as functions of named arrays.

Conventions, with n samples in rows, d features, h hidden units and k outputs:

    W1 (d, h)   b1 (h,)        Z1 = X  @ W1 + b1  (n, h)     A1 = g(Z1)
    W2 (h, k)   b2 (k,)        Z2 = A1 @ W2 + b2  (n, k)     the raw prediction

    D2 (n, k)   the loss's derivative by Z2        dW2 = A1.T @ D2     db2 = D2.sum(0)
    D1 (n, h)   = (D2 @ W2.T) * g'(Z1)             dW1 = X.T  @ D1     db1 = D1.sum(0)

All parameters live in one flat vector theta, in the order W1, b1, W2, b2: each layer with its biases is then one matrix
of n_inputs + 1 rows. The named arrays are views into it. `X` is an array or anything else with `.dot(B, out)` and `.T`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._typing import Array
from .activations import Activation


class Weights(NamedTuple):
    """The weights and biases of both layers, or arrays that correspond to them (a gradient, a penalty)."""

    W1: Array
    b1: Array
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
    """What a pass over a block of rows writes into; reused from block to block."""

    A1: Array
    Z2: Array
    D1: Array

    @classmethod
    def empty(cls, n_rows: int, shape: Shape, dtype: Any) -> "Workspace":
        """Return an uninitialised work space for `n_rows` rows."""
        _, h, k = shape
        return cls(*(np.empty((n_rows, width), dtype) for width in (h, k, h)))


def forward(X: Any, weights: Weights, activation: Activation, work: Workspace) -> Array:
    """Compute the raw prediction Z2 of a block of rows; `work` keeps A1 and Z2.

    Returns
    -------
    Z2 : ndarray of shape (n_samples, n_outputs)
        The array `work.Z2`.
    """
    W1, b1, W2, b2 = weights
    A1, Z2, _ = work
    X.dot(W1, out=A1)
    A1 += b1
    activation.apply(A1)
    A1.dot(W2, out=Z2)
    Z2 += b2
    return Z2


def backward(X: Any, weights: Weights, activation: Activation, work: Workspace, D2: Array, gradient: Weights) -> None:
    """Write the gradient that belongs to the output delta D2 into `gradient`; uses up `work.A1` of `forward`."""
    A1, _, D1 = work
    A1.T.dot(D2, out=gradient.W2)
    D2.sum(axis=0, out=gradient.b2)
    D2.dot(weights.W2.T, out=D1)
    activation.multiply_by_derivative(D1, A1)
    X.T.dot(D1, out=gradient.W1)
    D1.sum(axis=0, out=gradient.b1)


def forward_derivative(X: Any, weights: Weights, activation: Activation, work: Workspace, direction: Weights) -> Array:
    """Return the derivative of the raw prediction in a direction, shape (n_samples, n_outputs), after `forward`.

    It is what Pearlmutter (1994) calls the R-operator: V1, c1, V2 and c2 being the direction's arrays,

        R1 = (X @ V1 + c1) * g'(Z1)        R2 = R1 @ W2 + A1 @ V2 + c2
    """
    A1, _, R1 = work
    X.dot(direction.W1, out=R1)
    R1 += direction.b1
    activation.multiply_by_derivative(R1, A1.copy())
    R2 = R1 @ weights.W2
    R2 += A1 @ direction.W2
    R2 += direction.b2
    return R2


def initial_weights(shape: Shape, activation: Activation, rng: np.random.Generator) -> Array:
    """Draw random weights that break the symmetry of the hidden units and keep the variance of signals.

    Weights and hidden biases are uniform with the bound of Glorot & Bengio (2010), sqrt(6 / (n_in + n_out)), made for
    units with slope 1 at 0. ReLU halves the variance, so its hidden layer has a gain of sqrt(2) (He et al. 2015). And
    since sigmoid(z) = (1 + tanh(z / 2)) / 2, a sigmoid network with both layers' weights doubled *is* the tanh network,
    up to its output bias: so both layers have a gain of 2. The output biases are zero.

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
    theta = rng.uniform(-1.0, 1.0, shape.n_parameters)
    d, h, k = shape
    W1, b1, W2, b2 = shape.unpack(theta)
    hidden_bound = activation.weight_gain * np.sqrt(6.0 / (d + h))
    W1 *= hidden_bound
    b1 *= hidden_bound
    W2 *= activation.output_gain * np.sqrt(6.0 / (h + k))
    b2 *= 0.0
    return theta


PREDICT_BYTES = 2**19


def predict_raw(X: Any, weights: Weights, activation: Activation) -> Array:
    """Return the raw predictions for all rows of X, in the floating type of the weights, block by block.

    Parameters
    ----------
    X : ndarray or csr matrix of shape (n_samples, n_features)
        The rows.
    weights : Weights
        In the units of X.
    activation : Activation
        The hidden activation.

    Returns
    -------
    Z2 : ndarray of shape (n_samples, n_outputs)
    """
    W1, b1, W2, b2 = weights
    Z2 = np.empty((X.shape[0], len(b2)), W1.dtype)
    n_rows = max(64, PREDICT_BYTES // (W1.itemsize * sum(W1.shape)))
    for start in range(0, X.shape[0], n_rows):
        rows = slice(start, start + n_rows)
        A1 = X[rows].astype(W1.dtype, copy=False) @ W1
        A1 += b1
        activation.apply(A1)
        A1.dot(W2, out=Z2[rows])
    Z2 += b2
    return Z2
