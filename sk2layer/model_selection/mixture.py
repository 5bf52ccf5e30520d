"""What several fitted models predict together, each with its weight.

It is the mixture of their predictive distributions: the mean is the mean of theirs, the variance the mean of their
variances plus the variance of their means, and the probability of a class the mean of theirs.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from .._typing import Array
from ..estimator.by_evidence import posterior_of
from ..estimator.reach import ask, is_multilabel, loss_of, network_of
from ..evidence.mixture import mixture_moments
from ..evidence.uncertainty import check_confidence_level, interval


class Mixture(NamedTuple):
    """Several fitted models with their weights.

    Attributes
    ----------
    models : list of fitted models
    weights : ndarray of shape (n_models,)
        Positive, with the sum 1.
    """

    models: list[Any]
    weights: Array

    def predict(self, X: Any, return_std: bool = False, include_noise: bool = True) -> Any:
        """Return the mean, of regressors with `return_std` also the standard deviation, or the most probable class."""
        if hasattr(network_of(self.models[0]), "classes_"):
            return self._predict_class(X)
        if not return_std:
            return self._mean(self._each("predict", X))
        said = [ask(model, "predict", X, return_std=True, include_noise=include_noise) for model in self.models]
        means, stds = (np.stack(part) for part in zip(*said, strict=True))
        mean, variance = mixture_moments(self.weights.astype(means.dtype), means, np.square(stds))
        return mean, np.sqrt(variance)

    def predict_interval(self, X: Any, confidence_level: float, include_noise: bool) -> Array:
        """Return intervals as a regressor does, with the fewest degrees of freedom of a model.

        Raises
        ------
        ValueError
            If `confidence_level` is not in (0, 1), or where the noise of a model is not Gaussian.
        """
        check_confidence_level(confidence_level)
        for model in self.models:
            if not loss_of(network_of(model)).has_noise:
                name = network_of(model).loss
                raise ValueError(f"Intervals of a mixture need loss='squared_error' in all of it. Got {name!r}.")
        mean, std = self.predict(X, return_std=True, include_noise=include_noise)
        known_by = min(posterior_of(network_of(model)).degrees_of_freedom for model in self.models)
        return interval(mean, std, known_by, confidence_level)

    def predict_proba(self, X: Any) -> Array:
        """Return the mean of the probabilities."""
        return self._mean(self._each("predict_proba", X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the mean, accurate for the smallest of them."""
        each = self._each("predict_log_proba", X)
        weights = self.weights.reshape(-1, *[1] * (each.ndim - 1))
        return logsumexp(each, axis=0, b=weights).astype(each.dtype)

    def decision_function(self, X: Any) -> Array:
        """Return the log odds, or of several classes the log probabilities, which are that up to a constant."""
        log_p = self.predict_log_proba(X)
        network = network_of(self.models[0])
        if is_multilabel(network):
            return log_p - np.log(self._mean(1.0 - self._each("predict_proba", X)))
        return log_p[:, 1] - log_p[:, 0] if len(network.classes_) == 2 else log_p

    def _predict_class(self, X: Any) -> Any:
        network, p = network_of(self.models[0]), self.predict_proba(X)
        return (p > 0.5).astype(int) if is_multilabel(network) else network.classes_[p.argmax(axis=1)]

    def _each(self, method: str, X: Any) -> Array:
        """Return what each model says, along the first axis."""
        return np.stack([ask(model, method, X) for model in self.models])

    def _mean(self, values: Array) -> Array:
        return np.tensordot(self.weights.astype(values.dtype), values, axes=1)
