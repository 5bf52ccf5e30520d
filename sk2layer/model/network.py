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

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._typing import Array
from .activations import Activation
from .losses import Loss

CUBE = 3.0**0.5  # half the width of the interval on which a uniform variable has the variance one


class Weights(NamedTuple):
    """The weights and biases of both layers, or arrays that correspond to them (a gradient, a penalty)."""

    W1: Array
    b1: Array
    W2: Array
    b2: Array


class AugmentedWeights(NamedTuple):
    """Weights and biases with the hidden layer in one matrix, V1 = [W1; b1] of shape (d + 1, h)."""

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

    def augmented(self, theta: Array) -> AugmentedWeights:
        """Return views of the flat vector theta, shape (n_parameters,), as the passes over rows use it."""
        d, h, k = self
        j, m = (d + 1) * h, (d + 1) * h + h * k
        return AugmentedWeights(theta[:j].reshape(d + 1, h), theta[j:m].reshape(h, k), theta[m:])

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


class Network(NamedTuple):
    """What is computed: the size of the network, its hidden activation and the loss of its output."""

    shape: Shape
    activation: Activation
    loss: Loss


class Passes(NamedTuple):
    """What a pass over a block of n rows writes into, A1, Z2 and D1; and n ones, to sum over rows with."""

    A1: Array
    Z2: Array
    D1: Array
    ones: Array


class Memory(threading.local):
    """Arrays to write into, of each thread its own: what a thread has used last is in its cache."""

    def __init__(self) -> None:
        self.passes: dict[int, Passes] = {}
        self.arrays: dict[tuple[str, int], Array] = {}


class Workspace:
    """Memory used again from block to block, since fresh memory costs more than much of the work in it.

    In `kept` is what else is used again, or does not change with the weights, by a name of its owner's. Several may
    share the rest of their memory, one after the other in a thread.
    """

    def __init__(self, shape: Shape, dtype: Any, memory: Memory | None = None) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.kept: dict[Any, Any] = {}
        self._memory = Memory() if memory is None else memory

    def passes(self, n_rows: int) -> Passes:
        """Return what a pass over so many rows writes into."""
        known = self._memory.passes
        if n_rows not in known:
            _, h, k = self.shape
            A1, Z2, D1 = (self.array(name, n_rows, m) for name, m in (("A1", h), ("Z2", k), ("D1", h)))
            known[n_rows] = Passes(A1, Z2, D1, np.ones(n_rows, self.dtype))
        return known[n_rows]

    def inputs(self, n_rows: int) -> Array:
        """Return an array of shape (n_rows, d + 1) to write inputs into; its last column holds ones."""
        return self.array("inputs", n_rows, self.shape.n_features + 1)

    def array(self, name: str, n_rows: int, n_columns: int) -> Array:
        """Return an array of this shape with any content, the same for the same name and number of columns."""
        arrays = self._memory.arrays
        known = arrays.get((name, n_columns))
        if known is None or len(known) < n_rows:
            known = arrays[name, n_columns] = np.ones((n_rows, n_columns), self.dtype)
        return known[:n_rows]


def forward(X1: Any, weights: AugmentedWeights, activation: Activation, passes: Passes) -> Array:
    """Return the raw prediction Z2 of a block of rows, shape (n_samples, n_outputs); `passes` keeps A1 and Z2."""
    V1, W2, b2 = weights
    A1, Z2, _, _ = passes
    X1.dot(V1, out=A1)
    activation.apply(A1)
    A1.dot(W2, out=Z2)
    Z2 += b2
    return Z2


def input_slopes(slopes: Array, W1: Array, W2: Array) -> Array:
    """Return dz_o / dx_f = sum_j W2_jo g'(Z1_j) W1_fj of n rows, shape (n, k, d).

    `slopes` are g'(Z1), shape (n, h).
    """
    return (slopes[:, np.newaxis] * W2.T) @ W1.T


def backward(
    X1: Any, weights: AugmentedWeights, activation: Activation, passes: Passes, D2: Array, gradient: AugmentedWeights
) -> None:
    """Write the gradient that belongs to the output delta D2 into `gradient`; uses up `passes.A1` of `forward`."""
    A1, _, D1, ones = passes
    A1.T.dot(D2, out=gradient.W2)
    ones.dot(D2, out=gradient.b2)
    D2.dot(weights.W2.T, out=D1)
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
