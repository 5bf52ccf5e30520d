"""Checks of what estimators are given: rows, sample weights, initial weights, seeds."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import validate_data

from .._typing import Array
from ..model.network import Shape, Weights

MAX_WEIGHT = 1e30
"""The largest total of weights: far more than anybody has observed, and few enough for float32."""


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put a name before the message of a TypeError or ValueError that does not have it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{re.escape(name)}\b", str(error)):
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{name}: {error}") from error


def check_rows(estimator: Any, X: Any, *, reset: bool, name: str = "X", ensure_min_samples: int = 1) -> Any:
    """Return X as an array or csr matrix of float64 or float32 (which is kept); with `reset`, learn its columns."""
    if not reset and _is_plain(estimator, X):
        return X
    dtype = [np.float64, np.float32]
    try:
        with naming(name):
            X = validate_data(
                estimator, X, reset=reset, accept_sparse="csr", dtype=dtype, ensure_min_samples=ensure_min_samples
            )
    except (TypeError, ValueError) as error:
        if re.search("NaN|NAType|convert string", str(error)):
            error.add_note("sk2layer.pipeline.make_table_pipeline takes tables with texts and missing values.")
        raise
    return X.view(np.ndarray) if isinstance(X, np.ndarray) else X  # a memmap of NumPy is slow to take rows from


def _is_plain(estimator: Any, X: Any) -> bool:
    """Return whether X is as `check_rows` would return it, at a tenth of its cost, for predictions of few rows."""
    if type(X) is not np.ndarray or X.dtype.type not in (np.float64, np.float32) or not X.dtype.isnative:
        return False
    if X.ndim != 2 or not len(X) or X.shape[1] != estimator.n_features_in_:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum())) and not hasattr(estimator, "feature_names_in_")


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


def draw_seed(random_state: Any) -> int:
    """Return the seed of a fit, drawn from `random_state`: all other random numbers of the fit follow from it."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def check_init(init: tuple[Any, Any], shape: Shape, n_init: int) -> Weights | None:
    """Return the weights that were passed to fit to start from, checked against the shape of the network, or None."""
    coefs_init, intercepts_init = init
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
