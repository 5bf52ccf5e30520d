"""What a fit is given: checked rows, encoded targets and weights, and the part held out for validation."""

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.validation import validate_data

from ._typing import Array
from .callback_support import FRAMES_OF_FIT
from .losses import Loss
from .network import Shape, Weights
from .objective import Objective
from .rows import Selection
from .scaling import COPY_BYTES, RunningScaling, Scaling
from .seen_rows import SeenRows

MERGED_SIZE = 2**17
"""Numbers in a table whose equal rows are looked for."""

MAX_WEIGHT = 1e30
"""The largest total of weights: far more than anybody has observed, and few enough for float32."""


class Targets(ABC):
    """How the targets of one estimator are encoded as a matrix; made from the y of the first fit.

    Attributes
    ----------
    n_outputs : int
        The number of columns of the matrix.
    loss : Loss
        The loss that belongs to it.
    scaled : bool
        Whether the matrix is standardised for training.
    class_weights : ndarray of shape (n_classes,) or None
        How much the samples of each class count, where there are classes.
    """

    n_outputs: int
    loss: Loss
    scaled: bool
    class_weights: Array | None = None

    @abstractmethod
    def encode(self, y: Any, name: str = "y") -> Any:
        """Return y as a matrix of shape (n_samples, n_outputs), or rows of one; raise ValueError if it does not fit."""

    def weigh(self, Y: Any, weight: Array | None) -> Array | None:
        """Return the weights of encoded samples, times those of their classes."""
        return weight

    @abstractmethod
    def strata(self, Y: Any) -> Array | None:
        """Return what a random split should keep the proportions of, shape (n_samples,), or None."""


class Data(NamedTuple):
    """Rows, encoded targets and weights (None is one for each), ready for an objective."""

    X: Any
    Y: Any
    weight: Array | None

    @property
    def in_memory(self) -> bool:
        """Whether the rows are here, to be taken in any order."""
        return True

    @property
    def total_weight(self) -> float:
        """The sum of the weights."""
        return float(self.X.shape[0] if self.weight is None else self.weight.sum())

    def times(self, factor: Array) -> "Data":
        """Return the data with their weights times a factor for each row, without the rows that have none then."""
        weight = factor if self.weight is None else factor * self.weight
        data = Data(self.X, self.Y, weight)
        return data if weight.all() else data.take(np.flatnonzero(weight))

    def take_into(self, running: RunningScaling, *, scale_targets: bool) -> RunningScaling:
        """Take the rows into running means and spreads, of the targets too where these are scaled."""
        return running.update(self.X, self.Y if scale_targets else None, self.weight)

    def seen(self) -> SeenRows:
        """Return what has to be kept of the rows to know them again."""
        return SeenRows.of(*self)

    def standardized(self, scaling: Scaling, dtype: Any) -> "Data":
        """Return the data standardised, in the floating type of the computation."""
        return Data(scaling.rows(self.X.astype(dtype, copy=False)), scaling.targets(self.Y, dtype), self.weight)

    def objective(self, **network: Any) -> Objective:
        """Return the objective of a network on the data; see `Objective`."""
        return Objective(*self, **network)

    def merged(self) -> "Data":
        """Return a small table with its rows in a fixed order and equal ones together, their weights added up.

        Fits are then the same to the last bit for any order of the rows, and for a row twice or of weight 2. Where the
        noise is nearly none, a search for the penalty would amplify what the order of summation differs by.
        """
        n_samples, n_features = self.X.shape
        if n_samples * (n_features + self.Y.shape[1]) > MERGED_SIZE:
            return self
        X = self.X.toarray() if issparse(self.X) else self.X
        table = np.hstack([X, self.Y[:]])
        _, first, which = np.unique(table, axis=0, return_index=True, return_inverse=True)
        weight = np.bincount(which.ravel(), self.weight)
        return Data(self.X[first], self.Y.take(first, axis=0), None if (weight == 1.0).all() else weight.astype(float))

    def take(self, rows: Any) -> "Data":
        """Return a part of the data, without a copy where X is large."""
        large = not issparse(self.X) and self.X.nbytes > COPY_BYTES
        rows = np.sort(rows) if large else rows
        X = Selection(self.X, rows) if large else self.X[rows]
        return Data(X, self.Y.take(rows, axis=0), None if self.weight is None else self.weight[rows])


def is_dask(X: Any) -> bool:
    """Return whether X is an array, DataFrame or Series of Dask."""
    return hasattr(X, "__dask_graph__") and hasattr(X, "to_delayed")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Let errors say what they are about, where they do not."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{re.escape(name)}\b", str(error)):
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{name}: {error}") from error


def check_rows(estimator: Any, X: Any, *, reset: bool, name: str = "X", ensure_min_samples: int = 1) -> Any:
    """Return X as an array or csr matrix of float64 or float32 (which is kept); with `reset`, learn its columns."""
    dtype = [np.float64, np.float32]
    with naming(name):
        X = validate_data(
            estimator, X, reset=reset, accept_sparse="csr", dtype=dtype, ensure_min_samples=ensure_min_samples
        )
    return X.view(np.ndarray) if isinstance(X, np.ndarray) else X  # a memmap of NumPy is slow to take rows from


def check_weight(
    sample_weight: Any, n_samples: int, name: str = "sample_weight", *, whole: bool = True
) -> Array | None:
    """Return checked weights in float64, shape (n_samples,), or None; not `whole`: those of a part of the samples.

    Raises
    ------
    ValueError
        If they are not one finite number per sample, if one is negative, if all are zero, or if their sum is no number
        of observations.
    """
    if sample_weight is None:
        return None
    with naming(name):
        weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name=name, ensure_min_samples=0)
    if weight.shape != (n_samples,):
        raise ValueError(f"{name} must be 1D, one weight per sample: shape ({n_samples},). Got shape {weight.shape}.")
    if (weight < 0.0).any():
        raise ValueError(f"{name} must not be negative. Got {weight.min():g}.")
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not total <= MAX_WEIGHT or (whole and total == 0.0):
        raise ValueError(
            f"{name} must not be zero for all samples, and its sum must be at most {MAX_WEIGHT:g}. Got {total:g}."
        )
    return weight


def make_data(X: Any, Y: Any, weight: Array | None, unit: float | None = None) -> Data:
    """Return the data with weights that count, without the samples of weight zero, which are as good as absent.

    `unit`: what weight is one observation, where these rows are a part of the data.
    """
    if weight is None:
        return Data(X, Y, None)
    if unit is None:
        positive = weight[weight > 0.0]
        unit = unit_of_weight(len(positive), positive.sum())
    return Data(X, Y, None).times(weight / unit)


def unit_of_weight(n_rows: int, total_weight: float) -> float:
    """Return the weight of one observation, given the number of rows that have a weight and what all have together.

    Weights are counts as long as their mean is at least one. Below that they only compare the rows, and count as many
    observations as there are rows. Where both meet, at a mean of one, nothing jumps.
    """
    return min(total_weight / n_rows, 1.0)


def warn_of_relative_weights(sample_weight: Any, data: Any) -> None:
    """Warn the caller of fit of weights that count twice or more in the mean, and are no counts: not whole numbers."""
    if sample_weight is None or data.total_weight < 2.0 * data.X.shape[0]:
        return
    fractions = ((sample_weight if is_dask(sample_weight) else np.asarray(sample_weight)) % 1).sum()
    if getattr(fractions, "compute", lambda: fractions)() > 0.0:
        message = (
            f"sample_weight makes {data.X.shape[0]} rows count as {data.total_weight:.3g} observations, but is not "
            "whole numbers, as counts are. If it only compares the rows, as 1 / sd**2 does, the penalty is too weak "
            "and error bars are too small: divide it by its mean."
        )
        warnings.warn(message, UserWarning, stacklevel=2 + FRAMES_OF_FIT)


def check_validation_data(
    estimator: Any, targets: Targets, X_val: Any, y_val: Any, sample_weight_val: Any
) -> Data | None:
    """Return the validation data that were passed to fit, checked against the training data, or None."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val.")
        return None
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be given together. Got one of them only.")
    X = check_rows(estimator, X_val, reset=False, name="X_val")
    check_consistent_length(X, y_val)
    Y = targets.encode(y_val, "y_val")
    weight = targets.weigh(Y, check_weight(sample_weight_val, X.shape[0], "sample_weight_val"))
    if weight is not None and not weight.any():
        raise ValueError("class_weight must not be zero for all samples of X_val. Got zeros only.")
    return make_data(X, Y, weight)


def split(data: Data, fraction: float, strata: Array | None, seed: int) -> tuple[Data, Data]:
    """Split the data at random into a training and a validation part, keeping the proportions of `strata` if it can.

    Raises
    ------
    ValueError
        If there are too few samples for both parts.
    """
    rows = np.arange(data.X.shape[0])
    if len(rows) < 2:
        raise ValueError(
            f"early_stopping=True needs n_samples >= 2 to set some aside. Got n_samples = {len(rows)}. "
            "Pass X_val and y_val, or set early_stopping=False."
        )
    n_validation = min(max(1, round(fraction * len(rows))), len(rows) - 1)
    if strata is not None:
        counts = np.unique(strata, return_counts=True)[1]
        if counts.min() < 2 or len(counts) > min(n_validation, len(rows) - n_validation):
            strata = None
    train, validation = train_test_split(rows, test_size=n_validation, stratify=strata, random_state=seed)
    return data.take(train), data.take(validation)


def draw_seed(random_state: Any) -> int:
    """Return the one random number that everything random in a fit follows from."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def check_init(coefs_init: Any, intercepts_init: Any, shape: Shape, n_init: int) -> Weights | None:
    """Return the weights that were passed to fit to start from, checked against the shape of the network, or None."""
    if coefs_init is None and intercepts_init is None:
        return None
    if coefs_init is None or intercepts_init is None:
        raise ValueError("coefs_init and intercepts_init must be given together. Got one of them only.")
    if n_init > 1:
        raise ValueError(f"n_init must be 1 where coefs_init gives the start. Got {n_init}.")
    d, h, k = shape
    expected = {"coefs_init": [(d, h), (h, k)], "intercepts_init": [(h,), (k,)]}
    arrays: dict[str, list[Array]] = {}
    for name, given in (("coefs_init", coefs_init), ("intercepts_init", intercepts_init)):
        if not hasattr(given, "__len__") or len(given) != 2:
            got = len(given) if hasattr(given, "__len__") else given
            raise ValueError(f"{name} must be a list of two arrays, one for each layer. Got {got}.")
        with naming(name):
            arrays[name] = [check_array(a, ensure_2d=False, dtype=np.float64, input_name=name) for a in given]
        shapes = [a.shape for a in arrays[name]]
        if shapes != expected[name]:
            raise ValueError(f"{name} must have the shapes {expected[name]}. Got {shapes}.")
    (W1, W2), (b1, b2) = arrays["coefs_init"], arrays["intercepts_init"]
    return Weights(W1, b1, W2, b2)
