"""Slopes through the steps of a Pipeline: the column that each input of a network comes from, and its derivative."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from .._typing import Array

Numbers = NDArray[np.intp]

STEP = 1e-5
"""By which numbers are moved to see how steeply a step rises, relative to them and to 1."""


def steps_of(model: Any) -> list[Any]:
    """Return the steps of a model in their order, those of Pipelines within Pipelines too; the last is the network."""
    if not hasattr(model, "steps"):
        return [model]
    return [inner for _, step in model.steps if step not in (None, "passthrough") for inner in steps_of(step)]


def origins(steps: Iterable[Any]) -> Numbers:
    """Return the column of the first step's input that each output of the last comes from.

    Raises
    ------
    ValueError
        If a step makes an output of several columns, or does not say of which.
    """
    first, *others = map(_origins, steps)
    for found in others:
        first = first[found]
    return first


def gradient(steps: Iterable[Any], network: Any, X: Any, **params: Any) -> list[Array]:
    """Return the slopes of a network's predictions by the columns that the steps before it are given.

    Slopes, and where they are asked for, their standard deviations. At a time, one of the inputs that come of a column
    rises with it, so that deviations need no covariance. NaN where a column has no number.

    Raises
    ------
    ValueError
        If a step makes an input of several columns, or does not say of which.
    """
    X = X if hasattr(X, "shape") else np.asarray(X)
    rows, origin, factor = with_slopes(steps, X)
    found = network.predict_gradient(rows, **params)
    slopes, *std = found if isinstance(found, tuple) else (found,)
    return [
        _by_column(slopes, origin, factor, X.shape[1]),
        *(_by_column(s, origin, abs(factor), X.shape[1]) for s in std),
    ]


def _by_column(slopes: Array, origin: Numbers, factor: Array, n_columns: int) -> Array:
    factor = factor.reshape(len(factor), *[1] * (slopes.ndim - 2), -1)
    found = np.zeros((*slopes.shape[:-1], n_columns), slopes.dtype)
    for number, column in enumerate(origin):
        found[..., column] += slopes[..., number] * factor[..., number]
    return found


def with_slopes(steps: Iterable[Any], X: Any) -> tuple[Any, Numbers, Array]:
    """Return X after the steps, the column of X that each output comes from, and its derivative by it in each row."""
    X = X if hasattr(X, "shape") else np.asarray(X)
    origin, slopes = np.arange(X.shape[1]), np.ones((X.shape[0], X.shape[1]))
    for step in steps:
        if hasattr(step, "output_indices_") and hasattr(step, "feature_names_in_") and hasattr(X, "columns"):
            names = list(step.feature_names_in_)  # it takes them by name, in any order
            place = [list(X.columns).index(name) for name in names if name in X.columns]
            origin, slopes = origin[place], slopes[:, place]
            X = X[[name for name in names if name in X.columns]]
        source, out = _origins(step), step.transform(X)
        slopes = slopes[:, source] * _slopes(step, X, out)
        X, origin = out, origin[source]
    return X, origin, slopes


def _slopes(step: Any, X: Any, out: Any) -> Any:
    """Return the derivatives of what a step made of X, each by its own column, NaN where that has no number."""
    if hasattr(step, "steps"):
        return with_slopes(steps_of(step), X)[2]
    if hasattr(step, "output_indices_"):
        return _slopes_of_parts(step, X, out)
    if hasattr(step, "slopes_of"):
        return step.slopes_of(X)
    if hasattr(step, "drop_idx_") or getattr(out, "dtype", np.asarray(out).dtype).kind not in "fiu":
        return np.nan
    return _differences(step, X)


def _slopes_of_parts(step: Any, X: Any, out: Any) -> Array:
    """Return the derivatives of what a ColumnTransformer made of X, part by part."""
    found, table = np.ones(out.shape), X.iloc if hasattr(X, "iloc") else X
    for name, part, columns in step.transformers_:
        place = step.output_indices_[name]
        inner = [s for s in steps_of(part) if s != "passthrough"]
        if place.stop > place.start and inner:
            found[:, place] = with_slopes(inner, table[:, _positions(columns, part, step)])[2]
    return found


def _differences(step: Any, X: Any) -> Any:
    """Return numerical derivatives of a step that makes one output of each column; 1 where X has no numbers."""
    try:
        x = np.asarray(X.toarray() if issparse(X) else X, dtype=np.float64)
    except (TypeError, ValueError):
        return 1.0
    move = STEP * np.maximum(np.abs(x), 1.0)
    up, down = (np.asarray(step.transform(_like(x + by, X)), np.float64) for by in (move, -move))
    return (up - down) / (2.0 * move)


def _like(x: Array, X: Any) -> Any:
    """Return the array x as a DataFrame with the columns of X, if X is one."""
    return type(X)(dict(zip(X.columns, x.T, strict=True))) if hasattr(X, "columns") else x


def _origins(step: Any) -> Numbers:
    """Return the column of its input that each output of a fitted step comes from."""
    if hasattr(step, "steps"):
        return origins(steps_of(step))
    if hasattr(step, "feature_indices_"):
        return step.feature_indices_
    if hasattr(step, "output_indices_"):
        return _of_parts(step)
    if hasattr(step, "drop_idx_"):
        return np.repeat(np.arange(len(step.categories_)), _n_categories(step))
    if hasattr(step, "get_feature_names_out"):
        names = list(getattr(step, "feature_names_in_", [f"x{j}" for j in range(step.n_features_in_)]))
        kept = list(step.get_feature_names_out(names))
        if set(kept) <= set(names):
            return np.array([names.index(name) for name in kept], dtype=np.intp)
    raise ValueError(
        f"Each input of the network must come from one column, by a step that says which. Got {step!r}. To "
        "inspect these inputs themselves, give the last step alone, with what the others make of X."
    )


def _n_categories(encoder: Any) -> Numbers:
    """Return how many columns a OneHotEncoder makes of each."""
    rare = getattr(encoder, "infrequent_categories_", None) or [None] * len(encoder.categories_)
    merged = [0 if categories is None else len(categories) - 1 for categories in rare]
    dropped = [0] * len(rare) if encoder.drop_idx_ is None else [number is not None for number in encoder.drop_idx_]
    sizes = [len(categories) for categories in encoder.categories_]
    return np.array(sizes, dtype=np.intp) - np.array(merged, dtype=np.intp) - np.array(dropped, dtype=np.intp)


def _of_parts(step: Any) -> Numbers:
    """Return the column of its input that each output of a ColumnTransformer comes from."""
    found = np.zeros(max(part.stop for part in step.output_indices_.values()), dtype=np.intp)
    for name, part, columns in step.transformers_:
        place = step.output_indices_[name]
        if place.stop > place.start:
            taken = _positions(columns, part, step)
            inner = [s for s in steps_of(part) if s != "passthrough"]
            found[place] = taken[origins(inner)] if inner else taken
    return found


def _positions(columns: Any, part: Any, step: Any) -> Numbers:
    """Return the positions of the columns that a part of a ColumnTransformer takes."""
    if hasattr(part, "feature_names_in_"):
        return np.array([list(step.feature_names_in_).index(name) for name in part.feature_names_in_])
    return np.atleast_1d(np.arange(step.n_features_in_)[columns])
