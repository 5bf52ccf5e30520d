"""The variance of a fitted network's predictions under the posterior, and probabilities averaged over it.

The predicted class probabilities are averages over the posterior of the raw predictions z, approximated by making z
smaller where its variance s^2 is large (MacKay 1992b):

    sigmoid(z) averaged over N(z, s^2)  ~  sigmoid(kappa z),      kappa = 1 / sqrt(1 + pi s^2 / 8)

For several classes, z is what a class is ahead of the mean of the others, since only such differences have a meaning.
With two classes this is the formula above.

Where the mean of several networks predicts, how far they disagree is a part of the covariance, that of a mixture of
their predictions in equal parts; probabilities are moderated by it as by any other.

References
----------
MacKay (1992b). The evidence framework applied to classification networks. Neural Computation 4.
"""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from .._typing import Array
from ..model.activations import ACTIVATIONS
from ..model.network import Shape, Weights
from ..rows.predict import predict_raw
from ..rows.scaling import Scaling, inverse_of
from .mixture import mixture_moments
from .posterior import Derivatives, Posterior, dense, predictive_covariance
from .slopes import Members, SlopeMoments


class FittedPosterior(NamedTuple):
    """What prediction needs to know of the posterior of a fitted network.

    Attributes
    ----------
    weights : Weights
        Its mean, for standardised data.
    posterior : Posterior
        What says how far the weights may be from there.
    scaling : Scaling
        What standardises the data.
    activation : str
        The name of the hidden activation.
    degrees_of_freedom : float
        The total weight of the samples less the parameters that they determine: so many the noise is known by.
    """

    weights: Weights
    posterior: Posterior
    scaling: Scaling
    activation: str
    degrees_of_freedom: float

    def covariance(self, X: Any, n_threads: int = 1) -> Array:
        """Return the covariance of the raw predictions, shape (n_samples, n_outputs, n_outputs), without the noise.

        Rows are in the units of the data, and the covariance is in those of the targets.
        """
        rows, activation = self.scaling.rows(X), ACTIVATIONS[self.activation]
        spread = self.scaling.y_spread
        covariance = predictive_covariance(rows, self.weights, activation, self.posterior, n_threads)
        covariance *= np.outer(spread, spread)
        return covariance

    def slope_row_size(self, shape: Shape) -> int:
        """Return how many numbers `slope_moments` needs memory for with each row."""
        return self.posterior.slope_row_size(shape)

    def slope_moments(self, X: Any) -> Members:
        """Return mean and covariance of the raw predictions and their slopes, all in the units of the data."""
        x_spread, y_mean, y_spread = self.scaling.x_spread, self.scaling.y_mean, self.scaling.y_spread
        rows = dense(self.scaling.rows(X)[slice(None)]).astype(np.float64, copy=False)
        block = Derivatives.of(rows, self.weights, ACTIVATIONS[self.activation])
        moments = SlopeMoments.of(block, self.weights, self.posterior.slope_covariance(block))
        moments = moments.scaled(inverse_of(x_spread), y_spread)
        return (moments._replace(Z=moments.Z + y_mean),)

    def mean(self, X: Any) -> Array:
        """Return the raw predictions in float64, shape (n_samples, n_outputs), in the units of the targets."""
        return predict_raw(X, self.scaling.fold_out(self.weights), ACTIVATIONS[self.activation])


class Mixture(NamedTuple):
    """The posterior of an average of networks."""

    members: tuple[FittedPosterior, ...]

    @property
    def degrees_of_freedom(self) -> float:
        """The fewest degrees of freedom of a member."""
        return min(member.degrees_of_freedom for member in self.members)

    def slope_row_size(self, shape: Shape) -> int:
        """Return how many numbers `slope_moments` needs memory for with each row."""
        return max(member.slope_row_size(shape) for member in self.members)

    def slope_moments(self, X: Any) -> Members:
        """Return the moments of each member."""
        return [moments for member in self.members for moments in member.slope_moments(X)]

    def covariance(self, X: Any, n_threads: int = 1) -> Array:
        """Return the mean of the members' covariances plus the covariance of their means."""
        n_members = len(self.members)
        means = np.stack([member.mean(X) for member in self.members])
        covariances = (member.covariance(X, n_threads) for member in self.members)
        return mixture_moments(np.full(n_members, 1.0 / n_members), means, covariances, square=_outer)[1]


def _outer(z: Array) -> Array:
    return z[:, :, np.newaxis] * z[:, np.newaxis]


def check_confidence_level(level: Any) -> None:
    """Raise ValueError where this is not a probability between 0 and 1."""
    if not (isinstance(level, Real) and 0.0 < float(level) < 1.0):
        raise ValueError(f"confidence_level must be a float in the range (0, 1). Got {level!r}.")


def interval(mean: Array, std: Array, degrees_of_freedom: float, confidence_level: float) -> Array:
    """Return the ends of Student's intervals about the mean, in a last axis of their own."""
    half_width = std * stdtrit(max(degrees_of_freedom, 1.0), 0.5 + 0.5 * confidence_level)
    return np.stack([mean - half_width, mean + half_width], axis=-1)


def students(variance: Array, noise: Any, deviation: Any, degrees_of_freedom: float) -> tuple[Array, Array]:
    """Return scales and degrees of freedom of Student's distributions of targets.

    The raw predictions have this variance, and the noise another one, which is itself uncertain by its deviation. What
    results is a mixture of normal distributions; Student's of its variance M and its kurtosis has the degrees of
    freedom 4 + 2 (M / deviation)^2, or fewer where `degrees_of_freedom` are by which the noise is known as a whole.
    """
    total = variance + noise
    tiny = np.finfo(np.float64).tiny
    degrees = 4.0 + 2.0 / np.maximum((deviation / np.maximum(total, tiny)) ** 2, tiny)
    return np.sqrt(total * (1.0 - 2.0 / degrees)), np.minimum(degrees, degrees_of_freedom)


def moderate(Z: Array, covariance: Array, *, shift_invariant: bool) -> Array:
    """Return the raw predictions whose probabilities are averages over the posterior.

    Z, shape (n_samples, n_outputs), are those at its mean, and the covariance, shape (n_samples, n_outputs, n_outputs),
    is theirs. `shift_invariant`: only differences of raw predictions have a meaning (softmax).
    """
    Z = Z - Z.mean(axis=1, keepdims=True) if shift_invariant else Z
    return Z * moderating(covariance, shift_invariant=shift_invariant).astype(Z.dtype)


def moderating(covariance: Array, *, shift_invariant: bool) -> Array:
    """Return the factors that moderate raw predictions, at most 1, shape (n_samples, n_outputs)."""
    if shift_invariant:
        k = covariance.shape[1]
        ahead = (k * np.eye(k) - 1.0) / (k - 1.0)  # of the mean of the others
        covariance = ahead @ covariance @ ahead
    return 1.0 / np.sqrt(1.0 + np.pi / 8.0 * np.einsum("nkk->nk", covariance))
