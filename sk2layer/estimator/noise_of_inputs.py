"""How large is the noise where: one network for the mean and one for the variance, fitted by evidence in turn.

The square of a residual r, divided by 1 - h with h the leverage of its row, has the variance of the noise there for its
mean. It is a positive amount whose deviation grows with its mean, so that a network with the loss "gamma" estimates
that variance from the squares, with a penalty that the evidence chooses; and the network of the mean takes the root of
it for the known error of each target. Three rounds are enough for both to settle (Kersting et al. 2007 do the same with
Gaussian processes).

The two together are kept if the leave-one-out density says that they predict better than a network under constant
noise, less one nat for each parameter that the network of the variance determines: it has seen the row that is left
out.

References
----------
Le, Smola & Canu (2005). Heteroscedastic Gaussian process regression. ICML.

Kersting, Plagemann, Pfaff & Burgard (2007). Most likely heteroscedastic Gaussian process regression. ICML.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from .._typing import Array
from .callback_support import has_callbacks
from .data import place_of
from .reach import was_interrupted, will_be_by_evidence

ROUNDS = 3
LARGEST_LEVERAGE = 0.9
MOST_DOUBT = 1e8  # of a variance: the square of its deviation by that of itself
LEAST_SQUARE = 1e-8
"""Of residuals, relative to the variance of y."""


class Fits(NamedTuple):
    """A network for the mean, and one for the variance of the noise or None where that is constant."""

    mean: Any
    variance: Any = None

    def noise_variance(self, X: Any) -> Array:
        """Return the variance of the noise at each row, with the shape of the predictions."""
        constant = self.mean.noise_variance_
        return np.asarray(constant if self.variance is None else constant + mean_variance(self.variance, X))


def mean_variance(network: Any, X: Any) -> Array:
    """Return what the network says of the variance, averaged over its posterior.

    It is e^(z + V/2), where z has the variance V: at rows far from the others more than e^z, which is what it predicts.
    Of that, its own variance is e^(2z + V) (e^V - 1).
    """
    predicted, std = (_matrix(part) for part in network.predict(X, return_std=True, include_noise=False))
    with np.errstate(over="ignore"):
        ratio = np.minimum((std / predicted) ** 2, MOST_DOUBT)
    average: Array = predicted * np.sqrt(0.5 + np.sqrt(0.25 + ratio))
    return average


def check(regressor: Any, X: Any, y_std: Any, validation: tuple[Any, ...], init: tuple[Any, ...]) -> None:
    """Raise ValueError where noise that depends on the inputs is asked for with what does not go with it."""
    given = [*validation, *init]
    for wrong, needed in [
        (not place_of(X).in_memory, "X and y in memory. Got rows that are elsewhere"),
        (regressor.loss != "squared_error", f"loss='squared_error'. Got loss={regressor.loss!r}"),
        (
            not will_be_by_evidence(regressor),
            f"a fit by evidence. Got alpha={regressor.alpha!r} and solver={regressor.solver!r}",
        ),
        (regressor.warm_start, "warm_start=False. Got True"),
        (y_std is not None, "y_std=None: the errors are then known. Got y_std"),
        (any(each is not None for each in given), "no X_val and no coefs_init. Got one of them"),
        (has_callbacks(regressor), "no callbacks. Got some"),
    ]:
        if wrong:
            raise ValueError(f"noise='inputs' needs {needed}.")


def fit_in_turn(regressor: Any, X: Any, y: Any, sample_weight: Any) -> Fits:
    """Return what the parameters of the regressor ask for, fitted; the best so far if the user interrupts."""
    plain = clone(regressor).set_params(noise="constant")
    constant = Fits(clone(plain).fit(X, y, sample_weight))
    y = np.asarray(y, dtype=np.float64)
    found, Y = constant, _matrix(y)
    if not Y.var(axis=0).all() or not np.isfinite(constant.mean.loo_log_density_):
        return constant  # there is no noise, or a sample is all there is to know of itself
    for _ in range(ROUNDS):
        if was_interrupted(found.mean):
            return constant
        squares = _squares(found, X, Y)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The network predicts a constant")  # so does constant noise
            variance = clone(plain).set_params(loss="gamma").fit(X, squares.reshape(y.shape), sample_weight)
        if was_interrupted(variance):
            return constant
        known = np.sqrt(mean_variance(variance, X)).reshape(y.shape)
        found = Fits(clone(plain).fit(X, y, sample_weight, y_std=known), variance)
    return found if _density(found, sample_weight, len(Y)) > constant.mean.loo_log_density_ else constant


def _density(fits: Fits, sample_weight: Any, n_samples: int) -> float:
    """Return the mean log density of a target, predicted from all others."""
    weight = np.ones(n_samples) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    total = max(float(weight.sum()), np.count_nonzero(weight))  # below one in the mean, they compare the samples only
    density: float = fits.mean.loo_log_density_ - fits.variance.effective_n_parameters_ / total
    return density


def _squares(fits: Fits, X: Any, Y: Array) -> Array:
    """Return squared residuals, as large in the mean as the noise is there."""
    mean, std = (_matrix(part) for part in fits.mean.predict(X, return_std=True, include_noise=False))
    leverage = np.minimum(std**2 / fits.noise_variance(X), LARGEST_LEVERAGE)
    squares: Array = (Y - mean) ** 2 / (1.0 - leverage)
    return np.maximum(squares, LEAST_SQUARE * Y.var(axis=0))


def _matrix(values: Array) -> Array:
    return values.reshape(len(values), -1).astype(np.float64, copy=False)
