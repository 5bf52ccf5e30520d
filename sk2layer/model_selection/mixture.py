"""What several fitted models predict together, each with its weight.

It is the mixture of their predictive distributions: the mean is the mean of theirs, the variance the mean of their
variances plus the variance of their means, the probability of a class the mean of theirs, and so is the probability
of a target below any value, from which intervals and quantiles follow.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from .._typing import Array
from ..estimator.by_evidence import new_targets_of
from ..estimator.reach import ask, is_multilabel, network_of, predicts_matrix, rows_for_network
from ..evidence.mixture import mixture_moments
from ..evidence.new_targets import Mixed, quantiles
from ..evidence.uncertainty import check_confidence_level


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
        """Return what lies between two quantiles."""
        check_confidence_level(confidence_level)
        return self.predict_quantile(X, [0.5 - 0.5 * confidence_level, 0.5 + 0.5 * confidence_level], include_noise)

    def predict_quantile(self, X: Any, q: Any, include_noise: bool) -> Array:
        """Return quantiles of the mixture of the distributions, of whatever kinds they are."""
        each = [
            new_targets_of(network_of(model), rows_for_network(model, X), include_noise=include_noise)
            for model in self.models
        ]
        found = quantiles(Mixed(each, self.weights), q)
        return found if predicts_matrix(network_of(self.models[0])) else found[:, 0]

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
