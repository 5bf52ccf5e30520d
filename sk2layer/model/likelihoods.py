"""Likelihoods of numbers, and two whose noise differs from row to row: with known errors, and with outliers.

Outputs are independent of each other, given their raw predictions. Each has a log density, a distribution function and
a variance, from which intervals and the density of what was left out follow. What is unknown of the noise, besides the
raw prediction, are its `parameters`; a likelihood at given values of them is `at(noise)`.

Student's t distribution around z, with r = z - y, the precision beta and nu degrees of freedom, is a Gaussian whose
precision differs from target to target, and w is what is expected of it, relative to beta, once r is known (Lange,
Little & Taylor 1989):

    l = (nu + 1) / 2 log(1 + beta r^2 / nu)        w = (nu + 1) / (nu + beta r^2)        delta = beta w r

The second derivative is negative where r is large. What stands for it is beta w: the quadratic of this curvature that
touches the loss lies above it everywhere, as log is concave in r^2. Under a given penalty all three are divided by
beta, so that they tend to those of half the squared error with growing nu.

References
----------
Lange, Little & Taylor (1989). Robust statistical modeling using the t distribution. Journal of the American Statistical
Association 84.
"""

from abc import abstractmethod
from typing import NamedTuple, Self

import numpy as np
from scipy.special import gammaln, stdtr, stdtrit

from .._typing import Array
from .losses import Loss


class NoiseParameter(NamedTuple):
    """A parameter of the noise of each output: the start of a search for it, and its bounds relative to that.

    `of_precision`: it is a precision, relative to the variance of the targets where these are in units.
    """

    start: float
    least: float
    most: float
    of_precision: bool = True


class Likelihood(Loss):
    """A likelihood of numbers.

    Parameters
    ----------
    noise : ndarray of shape (n_parameters, n_outputs), optional
        The parameters of the noise, a precision first; by default what a search for them begins with.
    """

    parameters: tuple[NoiseParameter, ...] = ()

    def __init__(self, noise: Array | None = None) -> None:
        self.is_known, self.unit = noise is not None, 1.0
        self.noise = np.array([[its.start] for its in self.parameters]) if noise is None else noise

    def at(self, noise: Array) -> Self:
        """Return the likelihood at other parameters of the noise."""
        return type(self)(noise)

    def relative_at(self, noise: Array) -> Self:
        """Return `at(noise)`, with losses relative to the precision of the noise where a given penalty is."""
        likelihood = self.at(noise)
        likelihood.unit = float(np.exp(np.log(noise[0]).mean())) if self.alpha_is_relative else 1.0
        return likelihood

    def curvature_factor(self, Y: Array, Z: Array) -> Array:
        """Return the root of the curvature of each output, as diagonal matrices."""
        return np.eye(Z.shape[1], dtype=Z.dtype) * np.sqrt(self.curvatures(Y, Z))[:, np.newaxis]

    def negative_log_likelihoods(self, Y: Array, Z: Array) -> Array:
        """Return minus the log density of each sample."""
        return -self.log_densities(Y, Z).sum(axis=1)

    def in_units(self, noise: Array, spread: Array) -> Array:
        """Return parameters of the noise in the units of targets that were divided by their spreads."""
        scale = np.where(spread > 0.0, spread, 1.0) ** -2.0 if self.in_units_of_y else np.ones_like(spread)
        return np.array(
            [row * scale if its.of_precision else row for row, its in zip(noise, self.parameters, strict=True)]
        )

    @abstractmethod
    def log_densities(self, Y: Array, Z: Array) -> Array:
        """Return the log density of each target, shape (..., n_outputs)."""

    @abstractmethod
    def curvatures(self, Y: Array, Z: Array) -> Array:
        """Return the second derivative of the loss of each output, or what stands for it, shape (..., n_outputs)."""

    @abstractmethod
    def reported(self, noise: Array) -> dict[str, Array]:
        """Return what a fitted estimator says of these parameters of the noise, in the units of the targets."""


class Distribution(Likelihood):
    """A likelihood with a distribution function, from which intervals follow where there is no formula for them.

    Attributes
    ----------
    counts : bool
        Whether targets are whole numbers.
    """

    counts = False

    @abstractmethod
    def cdf(self, Y: Array, Z: Array) -> Array:
        """Return the probability of at most Y, shape (..., n_outputs)."""

    @abstractmethod
    def variance(self, Z: Array, V: Array, *, include_noise: bool) -> Array:
        """Return the variance of targets, or of their means, where raw predictions have the variance V."""

    @abstractmethod
    def bracket(self, q: float, low: Array, high: Array) -> tuple[Array, Array]:
        """Return between which values the quantile q is, for raw predictions between these."""

    @abstractmethod
    def between(self, low: Array, high: Array) -> Array:
        """Return a value between others; one of them where there is none."""


class KnownErrors(Likelihood):
    """Gaussian noise of which each target has a known part, the variance v: l = 1/2 r^2 / (1 / beta + v).

    Targets have the shape (n_samples, 2 n_outputs): the values, and their v.
    """

    name, out_activation, in_units_of_y = "squared_error", "identity", True
    parameters = (NoiseParameter(1.0, 1e-2, 1e8),)
    needs_noise = may_vanish = True

    def _split(self, Y: Array, Z: Array) -> tuple[Array, Array]:
        """Return the residuals, and the variances."""
        k = Z.shape[-1]
        return Z - Y[..., :k], (1.0 / self.noise[0]).astype(Z.dtype) + Y[..., k:]

    def losses(self, Y: Array, Z: Array) -> Array:
        """Return half the squared errors in units of their variance."""
        residuals, variances = self._split(Y, Z)
        return 0.5 * (residuals * residuals / variances).sum(axis=1)

    def log_densities(self, Y: Array, Z: Array) -> Array:
        """Return the log density of each target."""
        residuals, variances = self._split(Y, Z)
        return -0.5 * (residuals * residuals / variances + np.log(2.0 * np.pi * variances))

    def delta(self, Y: Array, Z: Array) -> Array:
        """Overwrite raw predictions by the residuals divided by their variances and return it."""
        residuals, variances = self._split(Y, Z)
        return np.divide(residuals, variances, out=Z)

    def curvatures(self, Y: Array, Z: Array) -> Array:
        """Return one by the variances."""
        return 1.0 / self._split(Y, Z)[1]

    def inverse_link(self, Z: Array) -> Array:
        """Return Z as it is."""
        return Z

    def link(self, p: Array) -> Array:
        """Return p as it is."""
        return p

    def reported(self, noise: Array) -> dict[str, Array]:
        """Return the variance of the noise besides the known errors."""
        return {"noise_variance_": 1.0 / noise[0]}


class StudentT(Distribution):
    """Numbers with outliers: Student's t distribution, with its precision and its degrees of freedom."""

    name, out_activation, in_units_of_y = "student_t", "identity", True
    parameters = (NoiseParameter(1.0, 1e-2, 1e8), NoiseParameter(4.0, 0.25, 25.0, of_precision=False))
    needs_noise = alpha_is_relative = True

    def losses(self, Y: Array, Z: Array) -> Array:
        """Return minus the log density of each sample, but for constants, divided by the unit."""
        return self._without_constants(Y, Z).sum(axis=1) / Z.dtype.type(self.unit)

    def log_densities(self, Y: Array, Z: Array) -> Array:
        """Return the log density of each target."""
        beta, nu = self.noise
        constants = gammaln(0.5 * nu + 0.5) - gammaln(0.5 * nu) + 0.5 * np.log(beta / (np.pi * nu))
        return constants - self._without_constants(Y, Z)

    def _without_constants(self, Y: Array, Z: Array) -> Array:
        beta, nu = self.noise
        return np.log1p(np.square(Z - Y) * (beta / nu).astype(Z.dtype)) * (0.5 * nu + 0.5).astype(Z.dtype)

    def delta(self, Y: Array, Z: Array) -> Array:
        """Overwrite raw predictions by beta w r, divided by the unit, and return it."""
        curvatures = self.curvatures(Y, Z)
        Z -= Y
        Z *= curvatures
        return Z

    def curvatures(self, Y: Array, Z: Array) -> Array:
        """Return beta w, divided by the unit."""
        beta, nu = self.noise
        largest = beta * (nu + 1.0) / (nu * self.unit)
        return largest.astype(Z.dtype) / (1.0 + np.square(Z - Y) * (beta / nu).astype(Z.dtype))

    def inverse_link(self, Z: Array) -> Array:
        """Return Z as it is."""
        return Z

    def link(self, p: Array) -> Array:
        """Return p as it is."""
        return p

    def cdf(self, Y: Array, Z: Array) -> Array:
        """Return the probability of at most Y."""
        beta, nu = self.noise
        return stdtr(nu, (Y - Z) * np.sqrt(beta))

    def variance(self, Z: Array, V: Array, *, include_noise: bool) -> Array:
        """Return the variance, which is infinite up to two degrees of freedom."""
        beta, nu = self.noise
        of_noise = np.divide(nu, beta * (nu - 2.0), out=np.full_like(nu, np.inf), where=nu > 2.0)
        return V + of_noise if include_noise else V

    def bracket(self, q: float, low: Array, high: Array) -> tuple[Array, Array]:
        """Return the quantiles for the lowest and the highest raw prediction."""
        beta, nu = self.noise
        ahead = stdtrit(nu, q) / np.sqrt(beta)
        return low + ahead, high + ahead

    def between(self, low: Array, high: Array) -> Array:
        """Return the mean."""
        return low + 0.5 * (high - low)

    def reported(self, noise: Array) -> dict[str, Array]:
        """Return the scale, in the units of the targets, and the degrees of freedom."""
        return {"noise_scale_": noise[0] ** -0.5, "degrees_of_freedom_": noise[1]}
