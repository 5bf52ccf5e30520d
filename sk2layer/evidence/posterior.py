"""Laplace's Gaussian posterior of the weights at an optimum, and the variances that follow from it.

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

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri, dtpttr, dtrtri, dtrttp
from sklearn.utils import gen_batches

from .._typing import Array
from ..model.activations import Activation
from ..model.network import Shape, Weights
from ..rows.threads import ThreadMap

JITTERS = (0.0, 1e-13, 1e-11, 1e-9)  # relative
JACOBIAN_BYTES = 2**22  # the Jacobian of a block of rows takes at most 4 MiB, in each thread
PANELS = 4  # of an inverse factor, each without the zeros to its right: five eighths of the work are left


CovarianceOfRows = Callable[[Array, Array, Array], Array]
"""The covariance of raw predictions of a block of rows, see `Posterior.covariance`."""


class Posterior(Protocol):
    """What is asked of the posterior, in either form: while penalties are sought, and to predict with."""

    def log_determinant(self) -> float:
        """Return log |A|."""

    def variances(self) -> Array:
        """Return the diagonal of A^-1, shape (n_parameters,)."""

    def portable(self) -> "Posterior":
        """Return what is kept in a fitted estimator, to predict with."""

    def row_size(self, n_outputs: int) -> int:
        """Return how many numbers `covariance` needs memory for with each row."""

    def of_rows(self, n_samples: int) -> CovarianceOfRows:
        """Return `covariance`, prepared for blocks of so many rows in all."""

    def covariance(self, inputs: Array, hidden: Array, R: Array) -> Array:
        """Return the covariance of raw predictions, shape (n_samples, k, k).

        Parameters
        ----------
        inputs, hidden : ndarrays of shape (n_samples, d + 1) and (n_samples, h + 1)
            Both with a one appended to each row.
        R : ndarray of shape (k, n_samples, h)
            The derivatives of the raw predictions by the inputs of the hidden units.
        """

    def slope_row_size(self, shape: Shape) -> int:
        """Return how many numbers `slope_covariance` needs memory for with each row."""

    def slope_covariance(self, block: "Derivatives") -> "SlopeCovariance":
        """Return how raw predictions and their slopes vary together."""

    def covariance_of(self, J: Array) -> Array:
        """Return J A^-1 J.T of linear functions of the parameters, J of shape (m, n_parameters)."""


class Derivatives(NamedTuple):
    """What the derivatives of n rows by the parameters are made of, both of raw predictions and of their slopes.

    With V1 = [W1; b1], x = [row, 1], a = [g(z), 1], and e_f for the f-th unit vector,

        dz_o / dV1 = x R_o.T                             dz_o / dW2_o = a
        d2z_o / dx_f dV1 = x (B_o W1_f).T + e_f R_o.T    d2z_o / dx_f dW2_o = [g'(z) W1_f, 0]

    Attributes
    ----------
    inputs, hidden : ndarrays of shape (n, d + 1) and (n, h + 1)
        x and a.
    R, B : ndarrays of shape (k, n, h)
        g'(z) W2_o and g''(z) W2_o.
    slopes : ndarray of shape (n, h)
        g'(z).
    W1 : ndarray of shape (d, h)
    """

    inputs: Array
    hidden: Array
    R: Array
    B: Array
    slopes: Array
    W1: Array

    @classmethod
    def of(cls, X: Array, weights: Weights, activation: Activation) -> "Derivatives":
        """Return them for rows in the units of the weights."""
        inputs, hidden, slopes = _layers(X, weights, activation)
        bends = activation.second_derivative(hidden[:, :-1], slopes)
        W2 = weights.W2.T[:, np.newaxis]
        return cls(inputs, hidden, slopes * W2, bends * W2, slopes, weights.W1)


def _layers(X: Array, weights: Weights, activation: Activation) -> tuple[Array, Array, Array]:
    """Return x, a and g'(z) of the rows of X, see `Derivatives`."""
    hidden = np.ones((len(X), len(weights.b1) + 1))
    np.add(X @ weights.W1, weights.b1, out=hidden[:, :-1])
    activation.apply(hidden[:, :-1])
    return np.hstack([X, np.ones((len(X), 1))]), hidden, activation.slopes(hidden[:, :-1])


class SlopeCovariance(NamedTuple):
    """How n rows' raw predictions z_o and their slopes dz_p / dx_f vary under the posterior.

    Attributes
    ----------
    value : ndarray of shape (n, k, k)
        The covariance of z_o and z_p.
    cross, own : ndarrays of shape (n, d, k, k)
        That of z_o and dz_p / dx_f, and that of dz_o / dx_f and dz_p / dx_f.
    """

    value: Array
    cross: Array
    own: Array


class ExactPosterior(NamedTuple):
    """The posterior by the Cholesky factor of its precision: a triangle, column by column, in half the room."""

    n_parameters: int
    triangle: Array

    @classmethod
    def of(cls, precision: Array) -> "ExactPosterior | None":
        """Return the posterior of a precision, or None where that is not positive definite in floating point.

        Where it lacks the digits, by noise that is nearly none, its diagonal is raised in its last ones.
        """
        diagonal = precision.diagonal().copy()
        for rounding in JITTERS:
            precision.flat[:: len(precision) + 1] = diagonal * (1.0 + rounding)
            factor, info = dpotrf(precision.T, lower=1, clean=1)
            if info == 0:
                return cls(len(factor), dtrttp(factor, uplo="L")[0])
        return None

    @property
    def factor(self) -> Array:
        """The lower Cholesky factor as a matrix, shape (n_parameters, n_parameters)."""
        return dtpttr(self.n_parameters, self.triangle, uplo="L")[0]

    def log_determinant(self) -> float:
        """Return log |A|."""
        # A copy: of a view with gaps, the last digits of NumPy 1's logarithms depend on where memory for them is found.
        return 2.0 * float(np.log(np.diagonal(self.factor).copy()).sum())

    def variances(self) -> Array:
        """Return the diagonal of A^-1, shape (n_parameters,)."""
        return dpotri(self.factor, lower=1)[0].diagonal().copy()

    def portable(self) -> "ExactPosterior":
        """Return the posterior itself, which is a triangle."""
        return self

    def row_size(self, n_outputs: int) -> int:
        """Return twice the size of the Jacobian of a row."""
        return 2 * n_outputs * self.n_parameters

    def covariance(self, inputs: Array, hidden: Array, R: Array) -> Array:
        """Return J A^-1 J.T of each row, shape (n_samples, k, k)."""
        rows = self._jacobians(inputs, hidden, R)
        k, n, _ = rows.shape
        roots = solve_triangular(self.factor, rows.reshape(k * n, -1).T, lower=True).reshape(-1, k, n)
        return np.einsum("qon,qpn->nop", roots, roots, optimize=True)

    def of_rows(self, n_samples: int) -> CovarianceOfRows:
        """Return `covariance`; for many rows by products with the inverse of the factor, which threads can share."""
        if n_samples < self.n_parameters:
            return self.covariance
        inverse = dtrtri(self.factor, lower=1)[0]
        bounds = [self.n_parameters * i // PANELS for i in range(PANELS + 1)]
        panels = [np.ascontiguousarray(inverse[i:j, :j].T) for i, j in itertools.pairwise(bounds)]

        def covariance(inputs: Array, hidden: Array, R: Array) -> Array:
            rows, total = self._jacobians(inputs, hidden, R), 0.0
            for panel in panels:
                roots = rows[:, :, : len(panel)] @ panel
                total = total + np.einsum("onq,pnq->nop", roots, roots)
            return np.asarray(total)

        return covariance

    def _jacobians(self, inputs: Array, hidden: Array, R: Array) -> Array:
        """Return J of each output and row, shape (k, n_samples, n_parameters)."""
        k, n, h = R.shape
        rows, n_hidden = np.zeros((k, n, self.n_parameters)), inputs.shape[1] * h
        for o in range(k):
            np.einsum("nf,nj->nfj", inputs, R[o], out=rows[o, :, :n_hidden].reshape(n, -1, h))
            rows[o, :, n_hidden + o :: k] = hidden
        return rows

    def slope_row_size(self, shape: Shape) -> int:
        """Return the size of what a row's derivatives become, times the inverse factor."""
        d, h, k = shape
        return self.n_parameters * (2 * h + (k + 1) * (d + 1))

    def slope_covariance(self, block: Derivatives) -> SlopeCovariance:
        """Return how raw predictions and their slopes vary together, by L^-1 J.T for both, A = L L.T."""
        (k, n, h), m, d = block.R.shape, self.n_parameters, len(block.W1)
        inverse = dtrtri(self.factor, lower=1)[0]
        V1 = inverse[:, : (d + 1) * h].reshape(m, d + 1, h).transpose(1, 0, 2)
        W2 = inverse[:, (d + 1) * h :].reshape(m, h + 1, k).transpose(2, 0, 1)
        along = (block.inputs @ V1.reshape(d + 1, m * h)).reshape(n, m, h)
        value, slope = np.empty((k, n, m)), np.empty((k, n, m, d))
        for o in range(k):
            value[o] = np.einsum("nqh,nh->nq", along, block.R[o]) + block.hidden @ W2[o].T
            inner = along * block.B[o][:, np.newaxis] + W2[o][:, :-1] * block.slopes[:, np.newaxis]
            slope[o] = inner @ block.W1.T + np.tensordot(block.R[o], V1[:-1], (1, 2)).transpose(0, 2, 1)
        return SlopeCovariance(
            np.einsum("onq,pnq->nop", value, value, optimize=True),
            np.einsum("onq,pnqd->ndop", value, slope, optimize=True),
            np.einsum("onqd,pnqd->ndop", slope, slope, optimize=True),
        )

    def covariance_of(self, J: Array) -> Array:
        """Return J A^-1 J.T."""
        roots = solve_triangular(self.factor, J.T, lower=True)
        return roots.T @ roots


def log_evidence(energy: float, prior_precision: Array, posterior: Posterior) -> float:
    """Return log p(y) for the energy at its minimum, but for the likelihood's constants; all precisions are above 0."""
    return 0.5 * (float(np.log(prior_precision).sum()) - posterior.log_determinant()) - energy


def predictive_blocks(
    X: Any, weights: Weights, activation: Activation, posterior: Posterior, n_threads: int = 1
) -> list[tuple[slice, Array, Array]]:
    """Return which rows each block of n has, their raw predictions and the covariance of these.

    X is in the units of the weights, which are the posterior's mean. Shapes are (n, n_outputs) and (n, n_outputs,
    n_outputs).
    """
    covariance, (_, _, W2, b2) = posterior.of_rows(X.shape[0]), weights

    def look(rows: slice) -> tuple[slice, Array, Array]:
        inputs, hidden, slopes = _layers(dense(X[rows]), weights, activation)
        return rows, hidden[:, :-1] @ W2 + b2, covariance(inputs, hidden, slopes * W2.T[:, np.newaxis])

    n_rows = max(16, JACOBIAN_BYTES // (8 * posterior.row_size(len(b2))))
    return ThreadMap(n_threads)(look, list(gen_batches(X.shape[0], n_rows)))


def dense(rows: Any) -> Array:
    """Return some rows as an array."""
    return rows if isinstance(rows, np.ndarray) else rows.toarray()


def predictive_covariance(
    X: Any, weights: Weights, activation: Activation, posterior: Posterior, n_threads: int = 1
) -> Array:
    """Return the posterior covariance of the raw predictions, shape (n_samples, n_outputs, n_outputs)."""
    blocks = predictive_blocks(X, weights, activation, posterior, n_threads)
    return np.concatenate([covariance for _, _, covariance in blocks])
