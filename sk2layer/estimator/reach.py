"""The network inside a fitted model, the rows as it is given them, and what other modules may ask of it.

A model is one of our estimators, or a Pipeline that ends in a model. What a Pipeline does not pass on, such as
`predict_interval`, is asked of the network itself.
"""

from typing import Any

import numpy as np


def network_of(model: Any) -> Any:
    """Return the estimator that the model ends in."""
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    return model


def rows_for_network(model: Any, X: Any) -> Any:
    """Return what the steps of a fitted model before its network make of X."""
    while hasattr(model, "steps"):
        X = model[:-1].transform(X) if len(model.steps) > 1 else X
        model = model.steps[-1][1]
    return X


def ask(model: Any, method: str, X: Any, **params: Any) -> Any:
    """Return what a method of the network returns for rows as the model takes them."""
    return getattr(network_of(model), method)(rows_for_network(model, X), **params)


def activation_of(network: Any) -> str:
    """Return the activation that it was fitted with; the parameter may have changed since."""
    activation: str = network._activation
    return activation


def noise_of(regressor: Any) -> Any:
    """Return the parameters of the noise that its loss knows, shape (n_parameters, n_outputs)."""
    return regressor._noise


def noise_model_of(network: Any) -> Any:
    """Return what predicts the variance of its noise, or None where that is constant."""
    return getattr(network, "noise_model_", None)


def constant_noise_of(regressor: Any, what: str) -> Any:
    """Return the variance of its noise, shape (n_outputs,).

    Raises
    ------
    ValueError
        If the noise is not Gaussian, or depends on the inputs; the message says what needs it.
    """
    if not loss_of(regressor).has_noise:
        raise ValueError(f"{what} needs loss='squared_error'. Got loss={regressor.loss!r}.")
    if noise_model_of(regressor) is not None:
        raise ValueError(f"{what} needs noise='constant'. Got noise={regressor.noise!r}, which depends on the inputs.")
    return regressor.noise_variance_


def knows_errors(network: Any) -> bool:
    """Return whether it was fitted with the known errors of its targets, `y_std`."""
    return getattr(network, "_knows_errors", False)


def is_multilabel(network: Any) -> bool:
    """Return whether it was fitted to several labels at once, in a matrix of 0 and 1."""
    return getattr(network._remembered_targets(), "multilabel", False)


def predicts_matrix(network: Any) -> bool:
    """Return whether predictions are a matrix, perhaps of one column; of a classifier, the probabilities are."""
    return getattr(network._remembered_targets(), "is_matrix", True)


def loss_of(network: Any) -> Any:
    """Return the loss that it was fitted with, which knows its link, at the parameters of its noise."""
    return network._fitted_loss()


def raw_prediction_of(network: Any, X: Any) -> Any:
    """Return its raw predictions, shape (n_samples, n_outputs), before the inverse link."""
    return network._raw_prediction(X)


def was_interrupted(network: Any) -> bool:
    """Return whether its last fit was ended by the user, with the best weights so far."""
    return bool(network._interrupted)


def is_ours(network: Any) -> bool:
    """Return whether it is one of our estimators, or of a class derived from one."""
    return hasattr(network, "_grouping")


def will_be_by_evidence(network: Any) -> bool:
    """Return whether its parameters ask for a fit by evidence."""
    return bool(network._grouping())


def covariance_of(network: Any, X: Any) -> Any:
    """Return the covariance of its raw predictions, shape (n_samples, n_outputs, n_outputs), or raise ValueError."""
    return network._predictive_covariance(X)


def raw_variance_of(network: Any, X: Any) -> Any:
    """Return the posterior variances of its raw predictions, shape (n_samples, n_outputs), or raise ValueError."""
    return np.einsum("nkk->nk", covariance_of(network, X))
