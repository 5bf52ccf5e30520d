"""What all inspections share: the network fitted by evidence, the names of columns, and the values of one."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._typing import Array
from ..estimator.by_evidence import known_posterior
from ..estimator.origin import steps_of
from ..estimator.reach import is_ours, loss_of
from ..model.losses import Loss


def network_by_evidence(estimator: Any) -> Any:
    """Return the network that an estimator ends in, which was fitted by evidence."""
    network = steps_of(estimator)[-1]
    check_is_fitted(network)
    if not is_ours(network):
        raise ValueError(
            "estimator must be a TwoLayerRegressor, a TwoLayerClassifier or a Pipeline that ends in one. "
            f"Got {network!r}."
        )
    known_posterior(network)
    return network


def link_of(network: Any, of: str = "predict_proba") -> tuple[Loss | None, dict[str, str]]:
    """Return the loss whose link makes predictions of raw ones, or None, and what `predict_gradient` is to be told.

    Raises
    ------
    ValueError
        If `of` is neither of two names, of a regressor, too.
    """
    if of not in ("predict_proba", "decision_function"):
        raise ValueError(f"of must be 'predict_proba' or 'decision_function'. Got {of!r}.")
    if not hasattr(network, "classes_"):
        return (None if network.out_activation_ == "identity" else loss_of(network)), {}
    return loss_of(network), {"of": of}


def as_table(X: Any) -> Any:
    """Return X as an array, csr matrix or DataFrame; raise ValueError where it has no rows and columns."""
    X = X.tocsr() if hasattr(X, "tocsr") else X if hasattr(X, "shape") else np.asarray(X)
    if len(X.shape) != 2 or not X.shape[0]:
        raise ValueError(f"X must have shape (n_samples, n_features), and one row at least. Got shape {X.shape}.")
    return X


def columns_of(estimator: Any, X: Any) -> list[str]:
    """Return the names of the columns: those of X, of the training data, or x0, x1, ..."""
    default = getattr(estimator, "feature_names_in_", [f"x{number}" for number in range(np.shape(X)[1])])
    return [str(name) for name in getattr(X, "columns", default)]


def names_of_outputs(network: Any, n_outputs: int) -> list[str]:
    """Return the names of the classes, y, or y0, y1, ..."""
    default = ["y"] if n_outputs == 1 else [f"y{number}" for number in range(n_outputs)]
    return [str(name) for name in getattr(network, "classes_", default)[-n_outputs:]]


def spreads_of(X: Any) -> Array:
    """Return the standard deviation of each column, NaN where it is no numbers."""
    return np.array([_spread(column(X, j)) for j in range(np.shape(X)[1])])


def column(X: Any, j: int) -> Any:
    """Return a column of an array, a sparse matrix or a DataFrame as an array."""
    if hasattr(X, "toarray"):
        return X[:, [j]].toarray().ravel()
    return np.asarray(X.iloc[:, j] if hasattr(X, "iloc") else X[:, j])


def _spread(values: Any) -> float:
    try:
        return float(np.nanstd(np.asarray(values, dtype=np.float64)))
    except (TypeError, ValueError):
        return np.nan


def replaced(X: Any, values: dict[int, Any]) -> Any:
    """Return X with some of its columns set to one value each."""
    if hasattr(X, "columns"):
        cells = {name: column(X, j) for j, name in enumerate(X.columns)}
        cells |= {X.columns[j]: np.repeat(np.asarray(value)[np.newaxis], len(X)) for j, value in values.items()}
        return type(X)(cells)
    X = X.toarray() if hasattr(X, "toarray") else np.array(X)
    X = X.astype(np.float64) if X.dtype.kind in "biu" else X  # a grid of integers has values between them
    for j, value in values.items():
        X[:, j] = value
    return X
