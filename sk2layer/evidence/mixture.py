"""Mixtures of the predictions of several fits: mean and variance, and the weights that predict best.

Where each sample is predicted by fits that have not seen it, with the densities p_k(y_i), the best weights w_k, none
negative and their sum 1, maximise the mean over the samples of

    log sum_k w_k p_k(y_i)

the log density of the mixture (Yao et al. 2018, eq. 4). This is concave in w. It is not the probability of each fit
that is asked for: fits that are alike share a weight, and one that is worse than another everywhere has none.

References
----------
Yao, Vehtari, Simpson & Gelman (2018). Using stacking to average Bayesian predictive distributions. Bayesian Analysis
13.
"""

from collections.abc import Callable, Iterable

import numpy as np
from scipy.optimize import minimize

from .._typing import Array

LEAST_WEIGHT = 1e-6
"""What is below is none: a fit that predicts has a cost."""


def mixture_moments(
    weights: Array, means: Array, variances: Iterable[Array], square: Callable[[Array], Array] = np.square
) -> tuple[Array, Array]:
    """Return the mean of a mixture, and its variance: the mean of the variances plus the variance of the means.

    Parameters
    ----------
    weights : ndarray of shape (n_fits,)
        Their sum is 1.
    means : ndarray of shape (n_fits, ...)
        What each predicts.
    variances : iterable of n_fits ndarrays
        The variance of each, of the shape of its mean; or its covariance, where `square` makes one of a vector.
    square : callable
        What makes the variance of a distance.

    Returns
    -------
    mean, variance : ndarray
    """
    mean = np.tensordot(weights, means, axes=1)
    each = zip(weights, means, variances, strict=True)
    return mean, sum(w * (variance + square(its - mean)) for w, its, variance in each)


def stacking_weights(log_densities: Array, sample_weight: Array | None) -> Array:
    """Return the weights of the mixture.

    Parameters
    ----------
    log_densities : ndarray of shape (n_samples, n_fits)
        A fit that has one which is not finite gets no weight.
    sample_weight : ndarray of shape (n_samples,) or None
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
    L, count = log_densities[:, finite], np.ones(len(log_densities)) if sample_weight is None else sample_weight
    share = count / count.sum()
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
