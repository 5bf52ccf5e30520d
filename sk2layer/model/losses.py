"""What is minimised per sample: three negative log-likelihoods as functions of the raw prediction.

Conventions: `Y` are the encoded targets and `Z` the raw predictions, both (n_samples, n_outputs). Each link is
canonical, so the derivative of every loss by `Z` is the same expression, `inverse_link(Z) - Y`, the output delta; it is
written once, in `Loss.delta`, and everything below the output layer is the same code for regression and
classification. Numbers with noise of other kinds have the losses of `likelihoods`.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from scipy.special import expit, logit, logsumexp

from .._typing import Array


class Loss(ABC):
    """A loss with its canonical link; the subclasses hold no state.

    Attributes
    ----------
    name : str
        What the parameter `loss` of the regressor calls it.
    out_activation : str
        The name of the inverse link, the output activation of the network.
    shift_invariant : bool
        Whether adding a number to all raw predictions of a sample changes nothing.
    has_noise : bool
        Whether it stands for targets with Gaussian noise of unknown variance, one for each output.
    of_labels : bool
        Whether targets are zeros and ones.
    in_units_of_y : bool
        Whether raw predictions are in the units of the targets, so that both may be centred and scaled.
    starts_at_mean : bool
        Whether the biases to start from predict the mean of the targets, which are not centred.
    alpha_is_relative : bool
        Whether a penalty that is given is relative to the precision of the noise, which the loss leaves out.
    needs_noise : bool
        Whether losses depend on the noise by more than a factor, so that a given penalty, too, needs to know it.
    may_vanish : bool
        Whether it is no concern where the noise is as small as it may be.
    parameters : tuple
        What else of the noise is unknown, see `likelihoods.Likelihood`.
    """

    name = ""
    out_activation: str
    shift_invariant = False
    has_noise = False
    of_labels = False
    in_units_of_y = False
    starts_at_mean = False
    alpha_is_relative = False
    needs_noise = may_vanish = False
    parameters: tuple[Any, ...] = ()

    @abstractmethod
    def losses(self, Y: Array, Z: Array) -> Array:
        """Return the loss of each sample, shape (n_samples,)."""

    @abstractmethod
    def inverse_link(self, Z: Array) -> Array:
        """Overwrite raw predictions by predictions (means or probabilities) and return them."""

    @abstractmethod
    def link(self, p: Array) -> Array:
        """Return raw predictions of which `inverse_link` makes these, shape (n_outputs,)."""

    def start(self, mean: Array) -> Array:
        """Return raw predictions to begin with where targets have this mean, shape (n_outputs,)."""
        return self.link(mean)

    @abstractmethod
    def curvature_factor(self, Y: Array, Z: Array) -> Array:
        """Return C, shape (n_samples, n_outputs, n_outputs), with C C.T = d2 l / dz2, the curvature of each sample."""

    def link_slopes(self, Z: Array) -> Array:
        """Return the derivatives of predictions by raw ones, shape (n_samples, n_outputs, n_outputs).

        Where the link is canonical, they are the curvature of the loss, which does not depend on the targets.
        """
        C = self.curvature_factor(np.zeros_like(Z), Z)
        return C @ C.transpose(0, 2, 1)

    def negative_log_likelihoods(self, Y: Array, Z: Array) -> Array:
        """Return the loss of each sample with all that does not depend on `Z`, shape (n_samples,)."""
        return self.losses(Y, Z)

    def check(self, Y: Array, name: str) -> None:  # noqa: B027 - most losses know every number
        """Raise ValueError where a target is none that the likelihood knows."""

    def delta(self, Y: Array, Z: Array) -> Array:
        """Overwrite raw predictions by the derivative of the loss by them and return it."""
        delta = self.inverse_link(Z)
        delta -= Y
        return delta

    def losses_and_delta(self, Y: Array, Z: Array) -> tuple[Array, Array]:
        """Return the loss of each sample and its derivative by the raw predictions, which overwrites `Z`."""
        losses = self.losses(Y, Z)
        return losses, self.delta(Y, Z)

    def total_and_delta(self, Y: Array, Z: Array, weight: Array | None) -> tuple[float, Array]:
        """Return the weighted sum of the losses and their derivatives by the raw predictions, which overwrite `Z`."""
        losses, delta = self.losses_and_delta(Y, Z)
        return float(losses.sum() if weight is None else losses @ weight), delta


class HalfSquaredError(Loss):
    """l = 1/2 sum_k (z_k - y_k)^2, for regression; the link is the identity."""

    name, out_activation = "squared_error", "identity"
    has_noise = in_units_of_y = alpha_is_relative = True

    def losses(self, Y: Array, Z: Array) -> Array:
        """Return half the squared error of each sample."""
        return self._half_squares(Z - Y)

    def losses_and_delta(self, Y: Array, Z: Array) -> tuple[Array, Array]:
        """Return half the squared error of each sample, and the error, which overwrites `Z`."""
        residual = self.delta(Y, Z)
        return self._half_squares(residual), residual

    def total_and_delta(self, Y: Array, Z: Array, weight: Array | None) -> tuple[float, Array]:
        """Return the weighted sum of half the squared errors, and the errors, which overwrite `Z`."""
        if weight is not None:
            return super().total_and_delta(Y, Z, weight)
        residual = self.delta(Y, Z)
        return 0.5 * float(np.vdot(residual, residual)), residual

    @staticmethod
    def _half_squares(residual: Array) -> Array:
        return 0.5 * np.einsum("ij,ij->i", residual, residual)

    def inverse_link(self, Z: Array) -> Array:
        """Return Z as it is."""
        return Z

    def link(self, p: Array) -> Array:
        """Return p as it is."""
        return p

    def curvature_factor(self, Y: Array, Z: Array) -> Array:
        """Return the identity: the curvature is constant."""
        return np.broadcast_to(np.eye(Z.shape[1], dtype=Z.dtype), (*Z.shape, Z.shape[1]))


class BinaryLogLoss(Loss):
    """l = sum_k -y_k log p_k - (1 - y_k) log(1 - p_k) with p = sigmoid(z), for two classes or several labels."""

    out_activation = "sigmoid"
    of_labels = True

    def losses(self, Y: Array, Z: Array) -> Array:
        """Return the log loss of each sample, summed over outputs."""
        # -y log p - (1 - y) log(1 - p) = log(1 + e^z) - y z
        return (np.logaddexp(0.0, Z) - Y * Z).sum(axis=1)

    def inverse_link(self, Z: Array) -> Array:
        """Overwrite Z with sigmoid(Z)."""
        return expit(Z, out=Z)

    def link(self, p: Array) -> Array:
        """Return the log odds."""
        return logit(p)

    def curvature_factor(self, Y: Array, Z: Array) -> Array:
        """Return the root of p (1 - p) for each output, as diagonal matrices."""
        return np.eye(Z.shape[1], dtype=Z.dtype) * np.sqrt(expit(Z) * expit(-Z))[:, np.newaxis]


class MultinomialLogLoss(Loss):
    """l = -sum_k y_k log p_k with p = softmax(z), for several classes; `Y` is one-hot."""

    out_activation = "softmax"
    shift_invariant = of_labels = True

    def losses(self, Y: Array, Z: Array) -> Array:
        """Return the log loss of each sample."""
        return logsumexp(Z, axis=1) - np.einsum("ij,ij->i", Y, Z)

    def inverse_link(self, Z: Array) -> Array:
        """Overwrite Z with softmax(Z)."""
        Z -= Z.max(axis=1, keepdims=True)
        np.exp(Z, out=Z)
        Z /= Z.sum(axis=1, keepdims=True)
        return Z

    def link(self, p: Array) -> Array:
        """Return the logarithms, whose mean is made 0."""
        return np.log(p) - np.log(p).mean()

    def curvature_factor(self, Y: Array, Z: Array) -> Array:
        """Return diag(q) - p q.T with q = sqrt(p), whose square is diag(p) - p p.T, since q.T q = 1."""
        p = self.inverse_link(Z.copy())
        root = np.sqrt(p)
        return np.eye(Z.shape[1], dtype=Z.dtype) * root[:, np.newaxis] - p[:, :, np.newaxis] * root[:, np.newaxis]


class ScaledSquaredError(HalfSquaredError):
    """l = 1/2 sum_k precision_k (z_k - y_k)^2: squared errors in units of the noise of each output.

    Parameters
    ----------
    precision : ndarray of shape (n_outputs,)
        The reciprocal of each output's noise variance.
    """

    def __init__(self, precision: Array) -> None:
        self.precision = precision

    def losses(self, Y: Array, Z: Array) -> Array:
        """Return half the squared error of each sample in units of the noise."""
        return 0.5 * (Z - Y) ** 2 @ self.precision

    losses_and_delta = Loss.losses_and_delta  # here the delta is not the error
    total_and_delta = Loss.total_and_delta

    def delta(self, Y: Array, Z: Array) -> Array:
        """Overwrite raw predictions by the residuals times the precision and return it."""
        delta = super().delta(Y, Z)
        delta *= self.precision
        return delta

    def curvature_factor(self, Y: Array, Z: Array) -> Array:
        """Return the root of the precision of each output, as diagonal matrices."""
        return super().curvature_factor(Y, Z) * np.sqrt(self.precision)
