"""What do the data say about the weights: Laplace's Gaussian posterior at an optimum, and what follows from it.

With the energy E(theta) = -log p(y | theta) + 1/2 sum_j prior_precision_j theta_j^2, up to constants, and its
generalised Gauss-Newton matrix A, the posterior is Gaussian around the optimum with the precision A, and

    log p(y) = -E + 1/2 sum_j log prior_precision_j - 1/2 log |A| + n_flat / 2 log 2 pi     (Bishop 2006, eq. 4.137)
    var z(x) = J(x) A^-1 J(x).T                                                             (Immer et al. 2021, eq. 10)
    gamma    = n - sum_j prior_precision_j (A^-1)_jj                                        (MacKay 1992, eq. 4.9)

where the n_flat parameters without a prior, of prior_precision 0, are integrated out under the density 1.

References
----------
MacKay (1992). A practical Bayesian framework for backpropagation networks. Neural Computation 4.

Bishop (2006). Pattern Recognition and Machine Learning, sections 4.4 and 5.7.

Immer, Korzepa & Bauer (2021). Improving predictions of Bayesian neural nets via local linearization. AISTATS.
"""

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri

from ._typing import Array
from .activations import Activation
from .gauss_newton import jacobian, with_ones
from .network import Weights
from .objective import layers

BLOCK_BYTES = 2**24  # the Jacobian of a block of rows takes at most 16 MiB


def cholesky(matrix: Array) -> Array | None:
    """Return the lower Cholesky factor, or None where the matrix is not positive definite."""
    factor, info = dpotrf(matrix.T, lower=1, clean=1)
    return factor if info == 0 else None


def log_determinant(factor: Array) -> float:
    """Return log |L L.T| of a Cholesky factor L."""
    return 2.0 * float(np.log(np.diagonal(factor)).sum())


def inverse(factor: Array) -> Array:
    """Return (L L.T)^-1 of a lower Cholesky factor L."""
    symmetric = np.tril(dpotri(factor, lower=1)[0])
    symmetric += np.tril(symmetric, -1).T
    return symmetric


def log_evidence(energy: float, prior_precision: Array, factor: Array) -> float:
    """Return the log evidence of Laplace's approximation, but for the constants of the likelihood.

    Parameters
    ----------
    energy : float
        E at its minimum.
    prior_precision : ndarray of shape (n_parameters,)
        The prior's precision of each parameter; 0 is the flat prior of density 1.
    factor : ndarray of shape (n_parameters, n_parameters)
        The lower Cholesky factor of the posterior's precision.

    Returns
    -------
    log_evidence : float
    """
    proper = prior_precision[prior_precision > 0.0]
    n_flat = len(prior_precision) - len(proper)
    return 0.5 * float(np.log(proper).sum() - log_determinant(factor) + n_flat * np.log(2.0 * np.pi)) - energy


def _products(J: Array, SJ: Array) -> Array:
    """Return J S J.T of each sample, shape (n, k, k)."""
    if len(J) == 1:
        return np.einsum("pn,pn->n", J[0], SJ[0])[:, np.newaxis, np.newaxis]
    return np.einsum("opn,qpn->noq", J, SJ)


def predictive_covariance(X: Any, weights: Weights, activation: Activation, factor: Array) -> Array:
    """Return the posterior covariance of the raw predictions, J A^-1 J.T, block by block.

    Parameters
    ----------
    X : rows of shape (n_samples, n_features)
        In the units of the weights.
    weights : Weights
        The posterior's mean.
    activation : Activation
        The hidden activation.
    factor : ndarray of shape (n_parameters, n_parameters)
        The lower Cholesky factor of the posterior's precision.

    Returns
    -------
    covariance : ndarray of shape (n_samples, n_outputs, n_outputs)
    """
    k = len(weights.b2)
    covariance = np.empty((X.shape[0], k, k))
    n_rows = max(16, BLOCK_BYTES // (8 * k * len(factor)))
    for start in range(0, X.shape[0], n_rows):
        rows = slice(start, start + n_rows)
        block = X[rows]
        columns = with_ones(block if isinstance(block, np.ndarray) else block.toarray())
        hidden, slopes, _ = layers(columns.astype(np.float64, copy=False), weights, activation)
        J = jacobian(columns, hidden, slopes, weights.W2)
        roots = np.stack([solve_triangular(factor, derivatives, lower=True) for derivatives in J])
        covariance[rows] = _products(roots, roots)
    return covariance
