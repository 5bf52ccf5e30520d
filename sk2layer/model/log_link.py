"""Which likelihoods have targets that are never below 0: counts and amounts, whose mean is an exponential.

With the link log mu = z and t = z - log y, the losses are half the deviances,

    Poisson   y (e^t - 1 - t), and e^z where y is 0            delta  e^z - y             curvature  e^z
    gamma     beta (e^-t - 1 + t), of the shape beta           delta  beta (1 - e^-t)     curvature  beta e^-t

of which the Poisson's link is canonical. The gamma distribution has the variance mu^2 / beta: 1 / beta is what
generalised linear models call the dispersion (McCullagh & Nelder 1989, section 8.3).

References
----------
McCullagh & Nelder (1989). Generalized Linear Models. Chapman & Hall.
"""

from typing import Any

import numpy as np
from scipy.special import gammainc, gammaincinv, gammaln, pdtr, xlogy

from .._typing import Array
from .likelihoods import Distribution, NoiseParameter

LEAST_RATE = 1e-6
"""Of counts that are all zero."""


def _largest(Z: Array) -> Any:
    """Return a z whose e^z is a large number, with room for what it is multiplied by."""
    return np.log(np.finfo(Z.dtype).max).astype(Z.dtype) - 8.0


def _exp(Z: Array) -> Array:
    """Return e^z, and a large number instead of infinity."""
    return np.exp(np.minimum(Z, _largest(Z)))


class LogLink(Distribution):
    """A likelihood whose mean is e^z, and whose variance is proportional to the mean to some power."""

    out_activation = "exp"
    starts_at_mean = True
    power: float

    def inverse_link(self, Z: Array) -> Array:
        """Overwrite Z with e^z, at most the largest number."""
        np.copyto(Z, _exp(Z))
        return Z

    def link_slopes(self, Z: Array) -> Array:
        """Return the means, as diagonal matrices."""
        return np.eye(Z.shape[1], dtype=Z.dtype) * _exp(Z)[:, np.newaxis]

    def link(self, p: Array) -> Array:
        """Return the logarithm, which is minus infinity up to 0."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.maximum(p, 0.0)))

    def variance(self, Z: Array, V: Array, *, include_noise: bool) -> Array:
        """Return the variance where the mean is lognormal."""
        with np.errstate(over="ignore"):
            of_means = _exp(2.0 * Z + V) * np.expm1(V)
            variance = of_means + self.noise_variance(Z, V) if include_noise else of_means
        return np.minimum(variance, np.finfo(Z.dtype).max)

    def noise_variance(self, Z: Array, V: Array) -> Array:
        """Return the mean of the variance of targets around their means, the dispersion times e^(power z)."""
        return _exp(self.power * Z + 0.5 * self.power**2 * V) * self.dispersion

    @property
    def dispersion(self) -> Any:
        """The variance of targets where their mean is 1."""
        return 1.0


class Poisson(LogLink):
    """Counts, or rates, which may be fractions: half the Poisson deviance."""

    name, power, counts = "poisson", 1.0, True

    def check(self, Y: Array, name: str) -> None:
        """Raise ValueError where a target is negative."""
        if (Y < 0.0).any():
            raise ValueError(f"{name} must be at least 0 where loss='poisson'. Got {Y.min():g}.")

    def losses(self, Y: Array, Z: Array) -> Array:
        """Return half the deviance of each sample."""
        return self._half_deviances(Y, Z).sum(axis=1)

    @staticmethod
    def _half_deviances(Y: Array, Z: Array) -> Array:
        some = Y > 0.0
        t = np.where(some, Z - np.log(np.where(some, Y, 1.0)), 0.0)
        return np.where(some, Y * (np.expm1(t) - t), np.exp(Z))

    def start(self, mean: Array) -> Array:
        """Return the logarithm of a rate that is not zero."""
        return self.link(np.maximum(mean, LEAST_RATE))

    def log_densities(self, Y: Array, Z: Array) -> Array:
        """Return the log probability of each count."""
        return xlogy(Y, Y) - Y - gammaln(Y + 1.0) - self._half_deviances(Y, Z)

    def curvatures(self, Y: Array, Z: Array) -> Array:
        """Return e^z."""
        return np.exp(Z)

    def cdf(self, Y: Array, Z: Array) -> Array:
        """Return the probability of at most Y, which is 0 below 0."""
        return np.where(Y < 0.0, 0.0, pdtr(np.maximum(Y, 0.0), _exp(Z)))

    def bracket(self, q: float, low: Array, high: Array) -> tuple[Array, Array]:
        """Return -1, and a count that is exceeded with less than 1 - q by Bernstein's inequality."""
        mean, L = _exp(high), -np.log1p(-q)
        return np.full_like(low, -1.0), np.ceil(mean + L + np.sqrt(2.0 * L) * np.sqrt(mean)) + 1.0

    def between(self, low: Array, high: Array) -> Array:
        """Return a whole number."""
        return np.floor(low + 0.5 * (high - low))

    def reported(self, noise: Array) -> dict[str, Array]:
        """Return nothing: the mean says all."""
        return {}


class Gamma(LogLink):
    """Positive amounts, whose standard deviation is proportional to their mean: beta times half the gamma deviance."""

    name, power, alpha_is_relative = "gamma", 2.0, True
    parameters = (NoiseParameter(1.0, 1e-2, 1e8),)

    def check(self, Y: Array, name: str) -> None:
        """Raise ValueError where a target is not positive."""
        if Y.min(initial=1.0) < np.finfo(Y.dtype).tiny:
            raise ValueError(f"{name} must be above 0 where loss='gamma'. Got {Y.min():g}.")

    @property
    def _shape(self) -> Any:
        return self.noise[0]

    @property
    def dispersion(self) -> Any:
        """The variance relative to the square of the mean."""
        return 1.0 / self._shape

    def losses(self, Y: Array, Z: Array) -> Array:
        """Return beta times half the deviance of each sample."""
        return self._scaled_half_deviances(Y, Z).sum(axis=1)

    def _scaled_half_deviances(self, Y: Array, Z: Array) -> Array:
        t = Z - np.log(Y)
        return (np.expm1(-t) + t) * self._shape.astype(Z.dtype)

    def delta(self, Y: Array, Z: Array) -> Array:
        """Overwrite raw predictions by beta (1 - y e^-z) and return it."""
        np.subtract(np.log(Y), Z, out=Z)
        np.expm1(np.minimum(Z, _largest(Z)), out=Z)
        Z *= -self._shape
        return Z

    def log_densities(self, Y: Array, Z: Array) -> Array:
        """Return the log density of each target."""
        beta = self._shape
        return beta * np.log(beta) - beta - gammaln(beta) - np.log(Y) - self._scaled_half_deviances(Y, Z)

    def curvatures(self, Y: Array, Z: Array) -> Array:
        """Return beta y e^-z."""
        return np.exp(np.log(Y) - Z) * self._shape.astype(Z.dtype)

    def cdf(self, Y: Array, Z: Array) -> Array:
        """Return the probability of at most Y, which is 0 up to 0."""
        return gammainc(self._shape, self._shape * _exp(self.link(Y) - Z))

    def bracket(self, q: float, low: Array, high: Array) -> tuple[Array, Array]:
        """Return the quantiles for the lowest and the highest mean."""
        tiny = np.finfo(np.float64).tiny
        relative = np.maximum(gammaincinv(self._shape, q) / self._shape, tiny)
        return np.maximum(_exp(low) * relative, tiny), _exp(high) * relative

    def between(self, low: Array, high: Array) -> Array:
        """Return the geometric mean."""
        return np.sqrt(low) * np.sqrt(high)

    def reported(self, noise: Array) -> dict[str, Array]:
        """Return the variance relative to the square of the mean."""
        return {"dispersion_": 1.0 / noise[0]}
