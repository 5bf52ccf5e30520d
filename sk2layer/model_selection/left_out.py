"""How well a fit by evidence predicts each row of its training data from all others."""

from typing import Any

import numpy as np
from scipy.special import logsumexp

from .._typing import Array
from ..estimator.by_evidence import members_of
from ..estimator.data import place_of
from ..estimator.noise_of_inputs import moments_of_variance, price
from ..estimator.reach import noise_model_of, noise_of
from ..evidence.leave_one_out import densities
from ..model.activations import ACTIVATIONS
from ..rows.scaling import inverse_of
from ..rows.sources import Table


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
        Of an average of starts it is that of their mixture. Where noise depends on the inputs it is less by what the
        network of the noise, which has seen the sample, gains by that.
    """
    noise = noise_model_of(network)
    if noise is not None:
        y_std = np.sqrt(moments_of_variance(noise, X)[0]).reshape(np.shape(y))
    targets, table = place_of(X).training_data(network, X, y, sample_weight, None, again=True, y_std=y_std)
    each = [_log_densities(network, member, targets.loss, table) for member in members_of(network)]
    weight = np.ones(table.X.shape[0]) if table.weight is None else table.weight
    too_high = 0.0 if noise is None else price(network, noise, weight.sum())
    return logsumexp(each, axis=0) - np.log(len(each)) - too_high, weight


def _log_densities(network: Any, member: Any, loss: Any, table: Table) -> Array:
    """Return the log density of each sample under the posterior of one network, in the units of y."""
    scaling, spread, noise = member.scaling, member.scaling.y_spread, np.empty(0)
    if loss.parameters:
        loss = loss.at(loss.in_units(noise_of(network), inverse_of(spread)))
    elif loss.has_noise:
        noise = np.divide(spread**2, network.noise_variance_, out=np.ones_like(spread), where=spread > 0.0)
    rows, activation = table.standardized(scaling, np.float64), ACTIVATIONS[member.activation]
    blocks = densities(rows.X, rows.Y, member.weights, activation, loss, member.posterior, noise)
    volume = float(np.log(spread[spread > 0.0]).sum()) if loss.in_units_of_y else 0.0
    return np.concatenate([block for _, block in blocks]) - volume
