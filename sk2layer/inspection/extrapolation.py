"""How far rows are from what the training data determine: their leverage."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from ..estimator.by_evidence import members_of
from ..estimator.reach import (
    constant_noise_of,
    covariance_of,
    knows_errors,
    loss_of,
    raw_prediction_of,
    rows_for_network,
)
from ..evidence.bounds import bounded
from .table import network_by_evidence


def leverage(estimator: Any, X: Any) -> Bunch:
    """Return the leverage of rows: how uncertain their predictions are, compared with those of the training rows.

    Parameters
    ----------
    estimator : TwoLayerRegressor or TwoLayerClassifier, or a Pipeline that ends in one
        The estimator, fitted by evidence.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        The rows, as the estimator takes them.

    Returns
    -------
    found : Bunch
        With:

        leverage : ndarray of shape (n_samples,)
            The variance of the prediction in units of that of the noise, summed over outputs. Of a classifier the
            variance of the log odds z times the curvature by which the evidence bounds the loss, of two classes
            tanh(z / 2) / (2 z), which also shows rows far out whose class is sure.
        relative : ndarray of shape (n_samples,)
            The leverage as a multiple of `effective_n_parameters_` by the number of training rows, which is its mean
            over these; of a classifier the mean is between one and two, since the bound is above the curvature.
        share : ndarray of shape (n_samples,)
            What part of the variance of a new observation is the model's, from 0 to 1.

    Raises
    ------
    ValueError
        If the estimator was not fitted by evidence, or with `y_std`, or with noise that is not Gaussian or not
        constant.

    Notes
    -----
    A large value says that a row is far from the training data, where the function can be anything that the prior
    allows. A small value beyond the data is no promise: there the variance is that of the functions that the hidden
    units can make of what they have learned, and an interval holds less often than it says.

    Examples
    --------
    >>> import numpy as np
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.inspection import leverage
    >>> x = np.linspace(-3, 3, 120)[:, np.newaxis]
    >>> y = np.sin(x[:, 0]) + 0.1 * np.random.default_rng(0).normal(size=120)
    >>> model = TwoLayerRegressor(5, random_state=0).fit(x, y)
    >>> inside, outside = leverage(model, [[0.0], [5.0]]).relative
    >>> bool(inside < 3 < outside)
    True
    """
    network = network_by_evidence(estimator)
    rows = rows_for_network(estimator, X)
    V = covariance_of(network, rows)
    if hasattr(network, "classes_"):
        loss, Z = loss_of(network), raw_prediction_of(network, rows).astype(np.float64)
        C = bounded(loss).curvature_factor(Z, Z)
        found = np.einsum("noc,npc,nop->n", C, C, V)
        of_variance = np.einsum("nop,npo->n", loss.link_slopes(Z), V)
    else:
        noise = constant_noise_of(network, "leverage")
        if knows_errors(network):
            raise ValueError("leverage needs a fit without y_std: the noise of its rows is not known any more.")
        found = np.einsum("nkk->nk", V) @ np.divide(1.0, noise, out=np.zeros_like(noise), where=noise > 0.0)
        of_variance = found
    effective = network.effective_n_parameters_
    n_rows = min(member.degrees_of_freedom for member in members_of(network)) + effective
    share = of_variance / (network.n_outputs_ + of_variance)
    return Bunch(leverage=found, relative=found * n_rows / effective, share=share)
