"""Tables in which one column runs over its range, while all others stay where most rows are."""

from collections import Counter
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array

from .._typing import Array
from ..preprocessing.columns import is_categorical, is_missing


class Sweep(NamedTuple):
    """A table in which one column runs over its range.

    Attributes
    ----------
    table : DataFrame or ndarray of shape (n_points, n_features)
        Like the table it was made of.
    position : ndarray of shape (n_points,)
        The values of the column that runs: numbers or dates.
    data : ndarray of shape (n_samples,)
        Those of the table it was made of.
    """

    table: Any
    position: Any
    data: Any


def sweep(X: Any, number: int, n_points: int) -> Sweep:
    """Let one column run, with the others at their medians, or their most frequent values where they are no numbers."""
    X = X if hasattr(X, "columns") else check_array(X, dtype=None, ensure_all_finite=False)
    table = X.iloc if hasattr(X, "iloc") else X
    columns = [table[:, j] for j in range(X.shape[1])]
    values = _numbers(columns[number])
    if np.isnan(values).all():
        name = list(getattr(X, "columns", range(len(columns))))[number]
        raise ValueError(f"feature must be a column of numbers or dates. Got {name!r}.")
    grid = np.linspace(np.nanmin(values), np.nanmax(values), n_points)
    cells = [_typical(column, n_points) for column in columns]
    cells[number] = position = _like_column(grid, columns[number])
    return Sweep(_like_table(cells, X), position, _like_column(values, columns[number]))


def _numbers(column: Any) -> Array:
    """Return a column in float64, times as their ticks; all NaN where it is neither."""
    values = np.asarray(column)
    if is_categorical(column):
        return np.full(len(values), np.nan)
    if values.dtype.kind in "mM":
        return np.where(np.isnat(values), np.nan, values.astype(np.int64))
    if values.dtype.kind == "O":
        numbers = all(_is_number(value) for value in values if not is_missing(value))
        return np.array([np.nan if not numbers or is_missing(value) else float(value) for value in values])
    return values.astype(np.float64) if values.dtype.kind in "biuf" else np.full(len(values), np.nan)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _typical(column: Any, n_points: int) -> Any:
    """Return, so many times, the median of numbers and times, and of all else the most frequent value."""
    numbers = _numbers(column)
    if np.isnan(numbers).all() or np.asarray(column).dtype.kind == "b":
        return [Counter(np.asarray(column, dtype=object).tolist()).most_common(1)[0][0]] * n_points
    return _like_column(np.full(n_points, np.nanmedian(numbers)), column)


def _like_column(numbers: Array, column: Any) -> Any:
    """Return numbers as they are, or as times where the column has such."""
    dtype = np.asarray(column).dtype
    if dtype.kind not in "mM":
        return numbers
    ticks = np.where(np.isnan(numbers), 0.0, numbers).astype(np.int64)
    return np.where(np.isnan(numbers), np.array("NaT", dtype), ticks.astype(dtype))


def _like_table(cells: list[Any], X: Any) -> Any:
    """Return columns as a DataFrame like X, or as an array."""
    if hasattr(X, "columns"):
        return type(X)(dict(zip(X.columns, cells, strict=True)))
    return np.array(cells, dtype=object if X.dtype.kind == "O" else np.float64).T
