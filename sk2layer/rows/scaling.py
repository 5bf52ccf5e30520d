"""How raw data become well-scaled: centre and scale X and y, and fold the scaling into the weights and out again.

Standardised data are x = (x_raw - mean) / spread. A column without spread becomes zero, and its weights in the units of
the data are zero. Since both layers are affine, weights for standardised data are worth exactly one set of weights for
raw data (`Scaling.fold_out`), and the reverse (`Scaling.fold_in`).
"""

from typing import Any, NamedTuple, cast

import numpy as np
from scipy.sparse import issparse

from .._typing import Array
from ..model.network import Weights
from .inputs import KeptRows, StandardizedDense, StandardizedSparse, TargetRows
from .moments import Moments, rows_at_a_time

COPY_BYTES = 2**24
"""Dense X, and Y, up to 16 MiB is standardised once into a copy, larger ones block by block in every pass."""

SPREADS = {"float64": (1e-145, 1e154), "float32": (1e-35, 1e35)}
"""Which spreads a column may have, if it has one: variances and weights in the units of the data have to be numbers."""

STATISTICS_BYTES = 2**21
"""What is taken into the running means and spreads at a time."""


class Scaling(NamedTuple):
    """Means and spreads (standard deviations) of X and Y in float64; a spread of 0 marks a constant column.

    Attributes
    ----------
    x_mean, x_spread : ndarray of shape (n_features,)
    y_mean, y_spread : ndarray of shape (n_outputs,)
    """

    x_mean: Array
    x_spread: Array
    y_mean: Array
    y_spread: Array

    @classmethod
    def identity(cls, n_features: int, n_outputs: int) -> "Scaling":
        """Return the scaling that changes nothing, not even a bit."""
        return cls(np.zeros(n_features), np.ones(n_features), np.zeros(n_outputs), np.ones(n_outputs))

    def rows(self, X: Any) -> Any:
        """Return X standardised, as an array or as something that standardises the rows that are asked of it."""
        if issparse(X):
            return StandardizedSparse(X, self.x_mean, inverse_of(self.x_spread))
        if not self.x_mean.any() and (self.x_spread == 1.0).all():
            return X
        rows = StandardizedDense(X, self.x_mean, inverse_of(self.x_spread))
        return KeptRows(rows) if X.nbytes <= COPY_BYTES else rows

    def targets(self, Y: Any, dtype: Any) -> Any:
        """Return Y standardised, as an array or as something that standardises the rows that are asked of it.

        Of twice as many columns as there are outputs, the second half are variances of the first.
        """
        mean, inverse = self.y_mean, inverse_of(self.y_spread)
        if Y.shape[1] > len(mean):
            mean, inverse = np.append(mean, np.zeros_like(mean)), np.append(inverse, inverse**2)
        rows = TargetRows(Y, mean, inverse, dtype)
        return rows[:] if Y.nbytes <= COPY_BYTES else rows

    def fold_out(self, weights: Weights) -> Weights:
        """Turn weights for standardised data into the equal weights for raw data (in float64)."""
        W1, b1, W2, b2 = weights
        W1_raw = W1 * inverse_of(self.x_spread)[:, np.newaxis]
        return Weights(W1_raw, b1 - self.x_mean @ W1_raw, W2 * self.y_spread, b2 * self.y_spread + self.y_mean)

    def fold_in(self, weights: Weights) -> Weights:
        """Turn weights for raw data into the equal weights for standardised data (in float64)."""
        W1, b1, W2, b2 = weights
        y_inverse = inverse_of(self.y_spread)
        W1_scaled = W1 * self.x_spread[:, np.newaxis]
        return Weights(W1_scaled, b1 + self.x_mean @ W1, W2 * y_inverse, (b2 - self.y_mean) * y_inverse)


class RunningScaling(NamedTuple):
    """The scaling of all data seen so far, batch by batch; a fit is the case of one pass over its own data."""

    x: Moments | None = None
    y: Moments | None = None

    def update(
        self, X: Any, Y: Array | None, sample_weight: Array | None, n_rows: int | None = None
    ) -> "RunningScaling":
        """Return the statistics with more data added, in blocks of `n_rows`; Y is None where it is not scaled."""
        n_rows, seen = n_rows or rows_at_a_time(X, STATISTICS_BYTES), self
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, X.shape[0], n_rows):
                rows = slice(start, start + n_rows)
                weight = None if sample_weight is None else sample_weight[rows]
                y = None if Y is None else Moments.of(Y[rows], weight)
                seen = seen.merge(RunningScaling(Moments.of(X[rows], weight), y))
        return seen

    def merge(self, other: "RunningScaling") -> "RunningScaling":
        """Return the statistics of the data of both."""
        return RunningScaling(*(_merged(*moments) for moments in zip(self, other, strict=True)))

    def scaling(self, n_outputs: int, dtype: Any = np.float64) -> Scaling:
        """Return the means and spreads of all data so far, for weights of the given floating type.

        Raises
        ------
        ValueError
            If a column has a spread that is too small or too large for it.
        """
        x_mean, x_spread = _mean_and_spread(cast(Moments, self.x), "X", dtype)
        _, _, *identity = Scaling.identity(len(x_mean), n_outputs)
        if self.y is None:
            return Scaling(x_mean, x_spread, *identity)
        y = self.y._replace(mean=self.y.mean[:n_outputs], variance=self.y.variance[:n_outputs])
        return Scaling(x_mean, x_spread, *_mean_and_spread(y, "y", dtype))


def _merged(seen: Moments | None, new: Moments | None) -> Moments | None:
    return seen.merge(new) if seen and new else seen or new


def _mean_and_spread(moments: Moments, name: str, dtype: Any) -> tuple[Array, Array]:
    with np.errstate(over="ignore", invalid="ignore"):
        spread = moments.spread()
    least, most = SPREADS[np.dtype(dtype).name]
    wrong = ((spread > 0.0) & (spread < least)) | ~(spread <= most)
    if wrong.any():
        column = int(wrong.argmax())
        raise ValueError(
            f"Column {column} of {name} spreads too {'little' if spread[column] < least else 'widely'} to be "
            f"standardised: its standard deviation must be from {least:g} to {most:g} in {np.dtype(dtype)}. Rescale it."
        )
    return moments.mean, spread


def rescale(weights: Weights, old: Scaling, new: Scaling) -> Weights:
    """Turn weights for data standardised by `old` into the equal weights for data standardised by `new`.

    The weights of an input that was constant under `old` have had no effect yet; they are kept as they are.
    """
    W1, b1, W2, b2 = weights
    x_old, y_new = inverse_of(old.x_spread)[:, np.newaxis], inverse_of(new.y_spread)
    W1_new = np.where(old.x_spread[:, np.newaxis] > 0.0, W1 * x_old * new.x_spread[:, np.newaxis], W1)
    b1_new = b1 + (new.x_mean - old.x_mean) @ (W1 * x_old)
    W2_new = np.where(old.y_spread > 0.0, W2 * old.y_spread * y_new, W2)
    b2_new = np.where(old.y_spread > 0.0, (b2 * old.y_spread + old.y_mean - new.y_mean) * y_new, b2)
    return Weights(W1_new, b1_new, W2_new, b2_new)


def inverse_of(spread: Array) -> Array:
    """Return 1 / spread, and 0 for a constant column."""
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0.0)
