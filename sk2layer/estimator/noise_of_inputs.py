"""How large is the noise where: one network for the mean and one for the variance, fitted by evidence in turn.

The square of a residual r, divided by 1 - h with h the leverage of its row, has the variance of the noise there for its
mean. It is a positive amount whose deviation grows with its mean, so that a network with the loss "gamma" estimates
that variance from the squares, with a penalty that the evidence chooses; and the network of the mean takes the root of
it for the known error of each target. In three rounds, each of which goes on from the weights of the one before, both
settle (Kersting et al. 2007 do the same with Gaussian processes).

The best of these rounds is kept if the leave-one-out density says that it predicts better than a network under constant
noise. The network of the variance has seen the row that is left out: for p parameters that it determines, beside m of
the mean, p / (n - m - p - 1) is taken off for each of n rows, as the corrected criterion of Akaike does (Hurvich & Tsai
1989). Off the log evidence is taken the Occam factor of that network, what its own is below its log likelihood.

The variance s of the noise is itself uncertain, log s being normal with variance V under the posterior of its network.
The variance M of a target, and how far s departs from its mean, are those of a mixture of normal distributions, of
which Student's with the same variance and kurtosis has the degrees of freedom 4 + 2 M^2 / var(s): where little is known
of the noise, a target that is far off is no great surprise.

References
----------
Le, Smola & Canu (2005). Heteroscedastic Gaussian process regression. ICML.

Hurvich & Tsai (1989). Regression and time series model selection in small samples. Biometrika 76.

Kersting, Plagemann, Pfaff & Burgard (2007). Most likely heteroscedastic Gaussian process regression. ICML.
"""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from .._typing import Array
from .callback_support import CandidateTask, SearchReporter, saves_states, without_callbacks
from .data import place_of, unit_of_weight
from .reach import loss_of, raw_prediction_of, raw_variance_of, was_interrupted, will_be_by_evidence

ROUNDS = 3
LARGEST_LEVERAGE = 0.9
MOST_DOUBT = 10.0  # the variance of the logarithm of a variance
LEAST_SQUARE = 1e-8
"""Of residuals, relative to the variance of y."""


Said = tuple[Any, ...]
"""Warnings of a fit."""


class Fits(NamedTuple):
    """A network for the mean, and one for the variance of the noise or None where that is constant; what is to be said.

    `interrupted`: the user has, while others were fitted.
    """

    mean: Any
    variance: Any = None
    said: Said = ()
    interrupted: bool = False

    def noise_variance(self, X: Any) -> tuple[Array, Array]:
        """Return the variance of the noise at each row, and the deviation of that, with the shape of predictions."""
        constant = np.asarray(self.mean.noise_variance_)
        if self.variance is None:
            return constant, np.zeros_like(constant)
        average, deviation = moments_of_variance(self.variance, X)
        return constant + average, deviation


def moments_of_variance(network: Any, X: Any) -> tuple[Array, Array]:
    """Return the mean of what the network says of the variance, and its deviation, over its posterior.

    The mean is e^(z + V/2): at rows far from the others more than e^z, which is what it predicts.
    """
    z, V = raw_prediction_of(network, X).astype(np.float64), np.minimum(raw_variance_of(network, X), MOST_DOUBT)
    average = np.exp(z + 0.5 * V)
    return average, average * np.sqrt(np.expm1(V))


def check(regressor: Any, X: Any, y_std: Any, validation: tuple[Any, ...]) -> None:
    """Raise ValueError where noise that depends on the inputs is asked for with what does not go with it."""
    for wrong, needed in [
        (not place_of(X).in_memory, "X and y in memory. Got rows that are elsewhere: compute() them, or a part"),
        (regressor.loss != "squared_error", f"loss='squared_error'. Got loss={regressor.loss!r}"),
        (
            not will_be_by_evidence(regressor),
            f"a fit by evidence. Got alpha={regressor.alpha!r}, solver={regressor.solver!r} and "
            f"early_stopping={regressor.early_stopping!r}",
        ),
        (regressor.warm_start, "warm_start=False. Got True: pass coefs_init and intercepts_init to go on from weights"),
        (y_std is not None, "y_std=None. Got y_std: where the errors are known, set noise='constant'"),
        (any(its is not None for its in validation), "no X_val. Got some: use score after the fit"),
        (saves_states(regressor), "no Checkpoint. Got one: the fit is one of many, each of which would write to it"),
    ]:
        if wrong:
            raise ValueError(f"noise='inputs' needs {needed}.")


def fit_in_turn(regressor: Any, X: Any, y: Any, sample_weight: Any, **init: Any) -> Fits:
    """Return what the parameters of the regressor ask for, fitted; the best so far if the user interrupts."""
    goes_on = regressor.n_init == 1 or regressor.restarts == "best"  # an average cannot be gone on with
    plain = without_callbacks(clone(regressor)).set_params(noise="constant", warm_start=goes_on)
    reporter, constant = SearchReporter(regressor, 1 + 2 * ROUNDS, X, y, "network"), clone(plain)
    tasks = iter(reporter.tasks)
    kept = found = Fits(constant, None, _fit(constant, tasks, X, y, sample_weight, **init))
    Y = np.asarray(y, dtype=np.float64)
    weight = _weights(sample_weight, len(Y))
    least = LEAST_SQUARE * np.average((Y - np.average(Y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    # Without noise, or where a sample is all there is to know of itself, there is nothing to be learned.
    is_worth = np.all(least > 0.0) and np.isfinite(constant.loo_log_density_) and not was_interrupted(constant)
    first = clone(plain).set_params(loss="gamma")
    for _ in range(ROUNDS if is_worth else 0):
        squares = np.maximum(_squares(found, X, Y), least)
        mean, variance = _going_on(found.mean), _going_on(found.variance) if found.variance else first
        said = _fit(variance, tasks, X, squares, sample_weight)
        if not was_interrupted(variance):
            known = np.sqrt(moments_of_variance(variance, X)[0]).reshape(Y.shape)
            said += _fit(mean, tasks, X, y, sample_weight, y_std=known)
        if was_interrupted(variance) or was_interrupted(mean):
            kept = kept._replace(said=kept.said + said, interrupted=True)
            break
        found = Fits(mean, variance, said)
        _charge(found, X, squares, weight)
        kept = max(kept, found, key=lambda fits: fits.mean.loo_log_density_)
    reporter.end()
    said = tuple({str(its): its for its in kept.said}.values())
    return kept._replace(variance=kept.variance and _ended(kept.variance), said=said)


def _fit(model: Any, tasks: Iterator[CandidateTask], X: Any, y: Any, sample_weight: Any, **given: Any) -> Said:
    """Fit a network as the next of the tasks, and return what it warns of; that noise is constant is none."""
    with warnings.catch_warnings(record=True) as said, next(tasks).of(model, X, y):
        warnings.simplefilter("always")
        if model.loss == "gamma":
            warnings.filterwarnings("ignore", "The network predicts a constant")
        model.fit(X, y, sample_weight, **given)
    return tuple(its.message for its in said)


def _going_on(network: Any) -> Any:
    """Return what goes on from a fitted network, or begins anew where that is a constant."""
    return without_callbacks(network) if network.coefs_[1].any() else clone(network)


def _ended(network: Any) -> Any:
    """Return the network without what it would go on from."""
    ended = clone(network).set_params(warm_start=False)
    ended._take_over(network)
    return ended


def price(mean: Any, variance: Any, total_weight: float) -> float:
    """Return by how much the leave-one-out density of a row is too high, as the network of the variance has seen it."""
    p: float = variance.effective_n_parameters_
    left = total_weight - mean.effective_n_parameters_ - p - 1.0
    return p / left if left > 0.0 else np.inf


def _charge(fits: Fits, X: Any, squares: Array, weight: Array) -> None:
    """Let the network of the mean answer for what that of the variance has seen."""
    network, squares = fits.variance, squares.reshape(len(squares), -1)
    fits.mean.loo_log_density_ -= price(fits.mean, network, weight.sum())
    z = raw_prediction_of(network, X).astype(np.float64)
    fits.mean.log_marginal_likelihood_ += network.log_marginal_likelihood_
    fits.mean.log_marginal_likelihood_ -= float(weight @ loss_of(network).log_densities(squares, z).sum(axis=1))


def _weights(sample_weight: Any, n_samples: int) -> Array:
    """Return the weights as they count: below one in the mean, they compare the samples only."""
    if sample_weight is None:
        return np.ones(n_samples)
    weight = np.asarray(sample_weight, dtype=np.float64)
    return weight / unit_of_weight(int(np.count_nonzero(weight)), float(weight.sum()))


def _squares(fits: Fits, X: Any, Y: Array) -> Array:
    """Return squared residuals, as large in the mean as the noise is there."""
    mean, std = fits.mean.predict(X, return_std=True, include_noise=False)
    leverage = std.astype(np.float64) ** 2 / fits.noise_variance(X)[0].reshape(-1, *Y.shape[1:])
    squares: Array = (Y - mean) ** 2 / (1.0 - np.minimum(leverage, LARGEST_LEVERAGE))
    return squares
