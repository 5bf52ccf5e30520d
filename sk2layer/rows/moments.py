"""How means and variances of data that come in blocks are found, dense or sparse, weighted or not.

Two sets of rows with shares a + b = 1 of the total weight, means m and variances v have together (Chan, Golub & LeVeque
1983)

    m = a m_a + b m_b        v = a v_a + b v_b + a b (m_b - m_a)^2

References
----------
Chan, Golub & LeVeque (1983). Algorithms for computing the sample variance. The American Statistician 37.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from .._typing import Array

SPARSE_ROWS, LEAST_ROWS = 2**14, 256
"""At a time: of a sparse matrix, whose rows have few elements, and of a dense one at least."""

LEAST_VARIANCE = 1e-290
"""Below it, squares of deviations underflow."""


def rows_at_a_time(X: Any, n_bytes: int) -> int:
    """Return how many rows of X to take at a time where so much memory may be used, as float64."""
    return SPARSE_ROWS if issparse(X) else max(LEAST_ROWS, n_bytes // (8 * X.shape[1]))


class Moments(NamedTuple):
    """Number of rows, total weight, and mean and variance of each column in float64, shape (n_columns,)."""

    n_rows: int
    weight: float
    mean: Array
    variance: Array

    @classmethod
    def of(cls, X: Any, weight: Array | None) -> "Moments":
        """Return the moments of a block of rows, an array or a csr matrix; a weight of None is one for each row."""
        largest = 1.0 if weight is None else float(weight.max())
        weight = np.ones(X.shape[0]) if weight is None else weight / largest  # sums must not overflow
        total = float(weight.sum())
        if issparse(X):
            mean, variance = mean_variance_axis(X, axis=0, weights=weight.astype(X.dtype))
            mean, variance = mean.astype(np.float64), variance.astype(np.float64)
        else:
            X = X.astype(np.float64, copy=False)
            mean = weight @ X / total
            deviations = X - mean
            error = weight @ deviations / total  # 0 but for rounding
            mean, variance = mean + error, weight @ np.square(deviations) / total - error * error
        return cls(X.shape[0], total * largest, mean, _without_underflow(variance, X, mean))

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of rows together."""
        total, apart = self.weight + other.weight, other.mean - self.mean
        mine, its = self.weight / total, other.weight / total
        variance = mine * self.variance + its * other.variance + apart * apart * (mine * its)
        return Moments(self.n_rows + other.n_rows, total, self.mean + apart * its, variance)

    def spread(self) -> Array:
        """Return the standard deviation of each column, 0 where it is no more than rounding makes of a constant.

        The bound on that is the one of scikit-learn's `StandardScaler`.
        """
        variance, rounding = np.maximum(self.variance, 0.0), self.n_rows * np.finfo(np.float64).eps
        constant = variance <= rounding * variance + np.square(rounding * self.mean)
        return np.where(constant, 0.0, np.sqrt(variance))


def _without_underflow(variance: Array, X: Any, mean: Array) -> Array:
    """Return the variances of the columns of X, the smallest normal number instead of less where they are not constant.

    So a column that varies by less than squares can tell is not taken for a constant.
    """
    columns = np.flatnonzero(variance < LEAST_VARIANCE)
    if issparse(X):
        columns = np.intersect1d(columns, X.indices)
    if len(columns):
        values = X[:, columns].toarray() if issparse(X) else X[:, columns]
        rounding = len(values) * np.finfo(np.float64).eps * np.abs(mean[columns])
        varies = columns[np.ptp(values, axis=0) > rounding]
        variance[varies] = np.maximum(variance[varies], np.finfo(np.float64).tiny)
    return variance
