"""With which weights several fits predict best together, each sample predicted from all others.

The weights w_k of K fits, none negative and their sum 1, maximise the mean over the samples i of

    log sum_k w_k p_k(y_i | all samples but i)

the log density that their mixture has where each sample was left out (Yao et al. 2018, eq. 4). This is concave in w. It
is not the probability of each fit that is asked for: fits that are alike share a weight, and one that is worse than
another everywhere has none.

References
----------
Yao, Vehtari, Simpson & Gelman (2018). Using stacking to average Bayesian predictive distributions. Bayesian Analysis
13.
"""

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from .._typing import Array
from ..estimator.data import place_of
from ..evidence.leave_one_out import densities
from ..model.activations import ACTIVATIONS
from ..rows.scaling import inverse_of
from ..rows.sources import Table

LEAST_WEIGHT = 1e-6
"""What is below is none: a fit that predicts has a cost."""


def leave_one_out(network: Any, X: Any, y: Any, sample_weight: Any, y_std: Any = None) -> tuple[Array, Array]:
    """Return the log density of each sample of the training data, predicted from all others, and its weight.

    Parameters
    ----------
    network : TwoLayerRegressor or TwoLayerClassifier
        After a fit by evidence to these data.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        The rows as the network had them.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    sample_weight : array-like of shape (n_samples,) or None
        The weights that were passed to `fit`.
    y_std : array-like of the shape of y or None
        The known standard deviations that were.

    Returns
    -------
    log_density, weight : ndarray of shape (n_counted,)
        Samples of weight 0 are left out. The log density is NaN where a sample alone determines its own prediction.
        Of an average of starts it is that of their mixture.
    """
    targets, table = place_of(X).training_data(network, X, y, sample_weight, None, again=True, y_std=y_std)
    posterior = network._posterior
    members = getattr(posterior, "members", (posterior,))
    each = [_log_densities(network, member, targets.loss, table) for member in members]
    weight = np.ones(table.X.shape[0]) if table.weight is None else table.weight
    return logsumexp(each, axis=0) - np.log(len(each)), weight


def _log_densities(network: Any, member: Any, loss: Any, table: Table) -> Array:
    """Return the log density of each sample under the posterior of one network, in the units of y."""
    scaling, spread, noise = member.scaling, member.scaling.y_spread, np.empty(0)
    if loss.parameters:
        loss = loss.at(loss.in_units(network._noise, inverse_of(spread)))
    elif loss.has_noise:
        noise = np.divide(spread**2, network.noise_variance_, out=np.ones_like(spread), where=spread > 0.0)
    rows, activation = table.standardized(scaling, np.float64), ACTIVATIONS[member.activation]
    blocks = densities(rows.X, rows.Y, member.weights, activation, loss, member.posterior, noise)
    volume = float(np.log(spread[spread > 0.0]).sum()) if loss.in_units_of_y else 0.0
    return np.concatenate([block for _, block in blocks]) - volume


def stacking_weights(log_densities: Array, sample_weight: Array) -> Array:
    """Return the weights of the mixture.

    Parameters
    ----------
    log_densities : ndarray of shape (n_samples, n_fits)
        A fit that has one which is not finite gets no weight.
    sample_weight : ndarray of shape (n_samples,)
        How much each sample counts.

    Returns
    -------
    weights : ndarray of shape (n_fits,)
        NaN if no fit has finite densities.
    """
    weights = np.zeros(log_densities.shape[1])
    finite = np.isfinite(log_densities).all(axis=0)
    if not finite.any():
        return np.full_like(weights, np.nan)
    L, share = log_densities[:, finite], sample_weight / sample_weight.sum()
    density = np.exp(L - L.max(axis=1, keepdims=True))  # relative to the best: at least one is 1

    def value_and_gradient(w: Array) -> tuple[float, Array]:
        mixed = np.maximum(density @ w, np.finfo(np.float64).tiny)
        return -float(share @ np.log(mixed)), -(share / mixed) @ density

    n_fits = L.shape[1]
    found = minimize(
        value_and_gradient,
        np.full(n_fits, 1.0 / n_fits),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * n_fits,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-10, "maxiter": 1000},
    ).x
    found[found < LEAST_WEIGHT] = 0.0
    weights[finite] = found / found.sum()
    return weights
