"""What a hidden unit computes: the function g of each activation and its derivative.

Both work in place on a block of hidden values of shape (n_samples, n_hidden), because a training step is bound by
memory traffic. The derivative is expressed by the activation itself, `a = g(z)`, so the backward pass needs no `z`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._typing import Array


class Core(NamedTuple):
    """What is left of an activation when weights take over the rest: g(z) = shift + scale * function(slope * z).

    `function(Z)` overwrites `Z`. Passes over rows are saved where weights are given.
    """

    function: Callable[[Array], None]
    slope: float = 1.0
    scale: float = 1.0
    shift: float = 0.0


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
    cores : dict of Core
        Its core in each floating type, by the type of a number.
    weight_gain, output_gain : float
        What the variance-preserving weights of a tanh network (Glorot & Bengio 2010) are multiplied by in the hidden
        and in the output layer; see `network.initial_weights`.
    is_smooth, is_sigmoidal : bool
        Whether it has a second derivative everywhere; whether it levels off on both sides.
    """

    apply: Callable[[Array], None]
    multiply_by_derivative: Callable[[Array, Array], None]
    second_derivative: Callable[[Array, Array], Array]
    cores: dict[type, Core]
    weight_gain: float
    output_gain: float
    is_smooth: bool = True
    is_sigmoidal: bool = True

    def slopes(self, A: Array) -> Array:
        """Return g'(Z) where `A = g(Z)`, which stays as it is."""
        slopes = np.ones_like(A)
        self.multiply_by_derivative(slopes, A.copy())
        return slopes


def _sigmoid(Z: Array) -> None:
    # Of 1 / (1 + exp(-z)) and (1 + tanh(z / 2)) / 2, which are equal, NumPy has the second one faster in float32 only.
    if Z.dtype == np.float64:
        np.negative(Z, out=Z)
        _reciprocal_exp(Z)
    else:
        Z *= 0.5
        np.tanh(Z, out=Z)
        Z += 1.0
        Z *= 0.5


def _reciprocal_exp(Z: Array) -> None:
    with np.errstate(over="ignore"):  # 1 / inf is what it should be
        np.exp(Z, out=Z)
    Z += 1.0
    np.divide(1.0, Z, out=Z)


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


def _as_it_is(function: Callable[[Array], None]) -> dict[type, Core]:
    return {np.float32: Core(function), np.float64: Core(function)}


SIGMOID_CORES: dict[type, Core] = {
    np.float32: Core(_tanh, 0.5, 0.5, 0.5),
    np.float64: Core(_reciprocal_exp, slope=-1.0),
}

ACTIVATIONS = {
    "sigmoid": Activation(_sigmoid, _sigmoid_derivative, _sigmoid_second_derivative, SIGMOID_CORES, 2.0, 2.0),
    "tanh": Activation(_tanh, _tanh_derivative, _tanh_second_derivative, _as_it_is(_tanh), 1.0, 1.0),
    "relu": Activation(_relu, _relu_derivative, _no_second_derivative, _as_it_is(_relu), 2.0**0.5, 1.0, False, False),
    "identity": Activation(
        _identity, _identity_derivative, _no_second_derivative, _as_it_is(_identity), 1.0, 1.0, is_sigmoidal=False
    ),
}
