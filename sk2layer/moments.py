"""How means and variances of data that come in blocks are found, dense or sparse, weighted or not.

Two sets of rows with weights n, means m and sums of squared deviations s have together (Chan, Golub & LeVeque 1983)

    m = m_a + (m_b - m_a) n_b / n        s = s_a + s_b + (m_b - m_a)^2 n_a n_b / n        n = n_a + n_b

References
----------
Chan, Golub & LeVeque (1983). Algorithms for computing the sample variance. The American Statistician 37.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from ._typing import Array


class Moments(NamedTuple):
    """Total weight, and mean and sum of squared deviations of each column in float64, shape (n_columns,)."""

    weight: float
    mean: Array
    squares: Array

    @classmethod
    def of(cls, X: Any, weight: Array | None) -> "Moments":
        """Return those of a block of rows, an array or a csr matrix; a weight of None is one for each row."""
        if issparse(X):
            weight = None if weight is None else weight.astype(X.dtype)
            mean, variance, total = mean_variance_axis(X, axis=0, weights=weight, return_sum_weights=True)
            return cls(float(total[0]), mean.astype(np.float64), variance * total.astype(np.float64))
        X = X.astype(np.float64, copy=False)
        weight = np.ones(len(X)) if weight is None else weight
        total = float(weight.sum())
        mean = weight @ X / total
        deviations = X - mean
        error = weight @ deviations  # 0 but for rounding
        return cls(total, mean + error / total, weight @ np.square(deviations) - error * error / total)

    def merge(self, other: "Moments") -> "Moments":
        """Return those of both sets of rows."""
        total, apart = self.weight + other.weight, other.mean - self.mean
        share = other.weight / total
        squares = self.squares + other.squares + apart * apart * (self.weight * share)
        return Moments(total, self.mean + apart * share, squares)

    def spread(self) -> Array:
        """Return the standard deviation of each column, 0 where it is no more than rounding makes of a constant.

        The bound on that is the one of scikit-learn's `StandardScaler`.
        """
        variance, eps = np.maximum(self.squares, 0.0) / self.weight, np.finfo(np.float64).eps
        constant = variance <= self.weight * eps * variance + np.square(self.weight * self.mean * eps)
        return np.where(constant, 0.0, np.sqrt(variance))
