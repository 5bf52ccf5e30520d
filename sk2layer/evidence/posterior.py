"""What do the data say about the weights: Laplace's Gaussian posterior at an optimum, and what follows from it.

With the energy E(theta) = -log p(y | theta) + 1/2 sum_j prior_precision_j theta_j^2, up to constants, and its
generalised Gauss-Newton matrix A, the posterior is Gaussian around the optimum with the precision A, and

    log p(y) = -E + 1/2 sum_j log prior_precision_j - 1/2 log |A|                           (Bishop 2006, eq. 4.137)
    var z(x) = J(x) A^-1 J(x).T                                                             (Immer et al. 2021, eq. 10)
    gamma    = n - sum_j prior_precision_j (A^-1)_jj                                        (MacKay 1992, eq. 4.9)

A has two forms, of one interface: the matrix itself, here, where parameters are few; and `KroneckerPosterior`.

References
----------
MacKay (1992). A practical Bayesian framework for backpropagation networks. Neural Computation 4.

Bishop (2006). Pattern Recognition and Machine Learning, sections 4.4 and 5.7.

Immer, Korzepa & Bauer (2021). Improving predictions of Bayesian neural nets via local linearization. AISTATS.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri, dtpttr, dtrttp

from .._typing import Array
from ..model.activations import Activation
from ..model.network import Weights

JITTERS = (0.0, 1e-13, 1e-11, 1e-9)  # relative
JACOBIAN_BYTES = 2**24  # the Jacobian of a block of rows takes at most 16 MiB


class Predictive(Protocol):
    """What is asked of a posterior to predict with."""

    def row_size(self, n_outputs: int) -> int:
        """Return how many numbers `covariance` needs memory for with each row."""

    def covariance(self, inputs: Array, hidden: Array, R: Array) -> Array:
        """Return the covariance of raw predictions, as `KroneckerPosterior.covariance` describes it."""


class Posterior(Predictive, Protocol):
    """What is asked of the posterior's precision A, in either form, while its penalties are sought."""

    def log_determinant(self) -> float:
        """Return log |A|."""

    def variances(self) -> Array:
        """Return the diagonal of A^-1, shape (n_parameters,)."""

    def portable(self) -> Predictive:
        """Return what is kept in a fitted estimator."""


class ExactPosterior(NamedTuple):
    """The posterior by the lower Cholesky factor of its precision, shape (n_parameters, n_parameters)."""

    factor: Array

    @classmethod
    def of(cls, precision: Array) -> "ExactPosterior | None":
        """Return it for a precision, or None where that is not positive definite in floating-point arithmetic.

        Where it lacks the digits, by noise that is nearly none, its diagonal is raised in its last ones.
        """
        diagonal = precision.diagonal().copy()
        for rounding in JITTERS:
            precision.flat[:: len(precision) + 1] = diagonal * (1.0 + rounding)
            factor, info = dpotrf(precision.T, lower=1, clean=1)
            if info == 0:
                return cls(factor)
        return None

    def log_determinant(self) -> float:
        """Return log |A|."""
        return 2.0 * float(np.log(np.diagonal(self.factor)).sum())

    def variances(self) -> Array:
        """Return the diagonal of A^-1, shape (n_parameters,)."""
        return dpotri(self.factor, lower=1)[0].diagonal().copy()

    def row_size(self, n_outputs: int) -> int:
        """Return how many numbers `covariance` needs memory for with each row."""
        return 2 * n_outputs * len(self.factor)

    def portable(self) -> "PackedPosterior":
        """Return it with the triangle alone."""
        return PackedPosterior(len(self.factor), dtrttp(self.factor, uplo="L")[0])

    def covariance(self, inputs: Array, hidden: Array, R: Array) -> Array:
        """Return J A^-1 J.T of each row, shape (n_samples, k, k)."""
        k, n, h = R.shape
        rows = np.zeros((k, n, len(self.factor)))
        n_hidden = inputs.shape[1] * h
        for o in range(k):
            np.multiply(inputs[:, :, np.newaxis], R[o][:, np.newaxis], out=rows[o, :, :n_hidden].reshape(n, -1, h))
            rows[o, :, n_hidden + o :: k] = hidden
        roots = solve_triangular(self.factor, rows.reshape(k * n, -1).T, lower=True).reshape(-1, k, n)
        return np.einsum("qon,qpn->nop", roots, roots, optimize=True)


class PackedPosterior(NamedTuple):
    """The posterior as it is kept in an estimator: the triangle, column by column, takes half the room."""

    n_parameters: int
    triangle: Array

    def unpacked(self) -> ExactPosterior:
        """Return the form to compute with."""
        return ExactPosterior(dtpttr(self.n_parameters, self.triangle, uplo="L")[0])

    def row_size(self, n_outputs: int) -> int:
        """Return how many numbers `covariance` needs memory for with each row."""
        return 2 * n_outputs * self.n_parameters

    def covariance(self, inputs: Array, hidden: Array, R: Array) -> Array:
        """Return J A^-1 J.T of each row, shape (n_samples, k, k)."""
        return self.unpacked().covariance(inputs, hidden, R)


def log_evidence(energy: float, prior_precision: Array, posterior: Posterior) -> float:
    """Return the log evidence of Laplace's approximation, but for the constants of the likelihood.

    Parameters
    ----------
    energy : float
        E at its minimum.
    prior_precision : ndarray of shape (n_parameters,)
        The prior's precision of each parameter, above 0.
    posterior : Posterior
        The posterior.

    Returns
    -------
    log_evidence : float
    """
    return 0.5 * (float(np.log(prior_precision).sum()) - posterior.log_determinant()) - energy


def predictive_blocks(
    X: Any, weights: Weights, activation: Activation, posterior: Predictive
) -> Iterator[tuple[slice, Array, Array]]:
    """Yield for one block of rows after the other which these are, their raw predictions and the covariance of these.

    Parameters
    ----------
    X : rows of shape (n_samples, n_features)
        In the units of the weights.
    weights : Weights
        The posterior's mean.
    activation : Activation
        The hidden activation.
    posterior : Predictive
        The posterior.

    Yields
    ------
    rows : slice
    Z : ndarray of shape (n, n_outputs)
    covariance : ndarray of shape (n, n_outputs, n_outputs)
    """
    W1, b1, W2, b2 = weights
    n_rows = max(16, JACOBIAN_BYTES // (8 * posterior.row_size(len(b2))))
    for start in range(0, X.shape[0], n_rows):
        rows = slice(start, min(start + n_rows, X.shape[0]))
        block = X[rows]
        block = block if isinstance(block, np.ndarray) else block.toarray()
        hidden = np.ones((len(block), len(b1) + 1))
        np.add(block @ W1, b1, out=hidden[:, :-1])
        activation.apply(hidden[:, :-1])
        slopes = np.ones_like(hidden[:, :-1])
        activation.multiply_by_derivative(slopes, hidden[:, :-1].copy())
        inputs = np.hstack([block, np.ones((len(block), 1))])
        R = np.stack([slopes * w for w in W2.T])
        yield rows, hidden[:, :-1] @ W2 + b2, posterior.covariance(inputs, hidden, R)


def predictive_covariance(X: Any, weights: Weights, activation: Activation, posterior: Predictive) -> Array:
    """Return the posterior covariance of the raw predictions, shape (n_samples, n_outputs, n_outputs)."""
    k = len(weights.b2)
    covariance = np.empty((X.shape[0], k, k))
    for rows, _, block in predictive_blocks(X, weights, activation, posterior):
        covariance[rows] = block
    return covariance
