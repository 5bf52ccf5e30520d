"""What a hidden unit computes: the function g of each activation and its derivative.

Both work in place on a block of hidden values of shape (n_samples, n_hidden), because a training step is bound by
memory traffic. The derivative is expressed by the activation itself, `a = g(z)`, so the backward pass needs no `z`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._typing import Array


class Activation(NamedTuple):
    """A hidden activation, ready for the forward and the backward pass.

    Attributes
    ----------
    apply : callable
        `apply(Z)` overwrites `Z`, shape (n_samples, n_hidden), with `g(Z)`.
    multiply_by_derivative : callable
        `multiply_by_derivative(D, A)` overwrites `D` with `D * g'(Z)`, where `A = g(Z)`; `A` is used up as work space.
    second_derivative : callable
        `second_derivative(A, S)` returns `g''(Z)`, where `A = g(Z)` and `S = g'(Z)`.
    core : callable
        `core(Z)` overwrites `Z` with what is left of `apply` when weights have taken over the factors and the term in
        `g(z) = shift + scale * core(slope * z)`: passes over rows that are saved where weights are given.
    slope, scale, shift : float
        See there.
    weight_gain, output_gain : float
        What the variance-preserving weights of a tanh network (Glorot & Bengio 2010) are multiplied by in the hidden
        and in the output layer; see `network.initial_weights`.
    """

    apply: Callable[[Array], None]
    multiply_by_derivative: Callable[[Array, Array], None]
    second_derivative: Callable[[Array, Array], Array]
    weight_gain: float
    output_gain: float
    core: Callable[[Array], None]
    slope: float = 1.0
    scale: float = 1.0
    shift: float = 0.0


def _sigmoid(Z: Array) -> None:
    # 1 / (1 + exp(-z)) = (1 + tanh(z / 2)) / 2: NumPy's tanh is vectorised and cannot overflow.
    Z *= 0.5
    np.tanh(Z, out=Z)
    Z += 1.0
    Z *= 0.5


def _sigmoid_derivative(D: Array, A: Array) -> None:
    D *= A
    np.subtract(1.0, A, out=A)
    D *= A


def _sigmoid_second_derivative(A: Array, S: Array) -> Array:
    return S * (1.0 - 2.0 * A)


def _tanh(Z: Array) -> None:
    np.tanh(Z, out=Z)


def _tanh_derivative(D: Array, A: Array) -> None:
    A *= A
    np.subtract(1.0, A, out=A)
    D *= A


def _tanh_second_derivative(A: Array, S: Array) -> Array:
    return -2.0 * A * S


def _relu(Z: Array) -> None:
    np.maximum(Z, 0.0, out=Z)


def _relu_derivative(D: Array, A: Array) -> None:
    D *= A > 0.0


def _identity(Z: Array) -> None:
    """g(z) = z."""


def _identity_derivative(D: Array, A: Array) -> None:
    """g'(z) = 1."""


def _no_second_derivative(A: Array, S: Array) -> Array:
    return np.zeros_like(A)


ACTIVATIONS = {
    "sigmoid": Activation(_sigmoid, _sigmoid_derivative, _sigmoid_second_derivative, 2.0, 2.0, _tanh, 0.5, 0.5, 0.5),
    "tanh": Activation(_tanh, _tanh_derivative, _tanh_second_derivative, 1.0, 1.0, _tanh),
    "relu": Activation(_relu, _relu_derivative, _no_second_derivative, 2.0**0.5, 1.0, _relu),
    "identity": Activation(_identity, _identity_derivative, _no_second_derivative, 1.0, 1.0, _identity),
}
