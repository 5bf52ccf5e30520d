"""What becomes of the columns of a table: numbers, with NaN where they are missing, and texts as columns of 0 and 1."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from numbers import Number
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from .._typing import Array

SECONDS_A_DAY = 86400.0
TAIL, REACH, OFTEN = 0.05, 3.0, 0.01
CATEGORICAL = ("category", "Categorical", "Enum")
"""How the dtypes of columns of categories are named, by pandas and by polars."""

Values = NDArray[Any]


def make_table_encoder(min_frequency: int, max_categories: int) -> ColumnTransformer:
    """Return what makes an array of numbers of a DataFrame, or of an array; NaN is missing.

    Numbers, booleans, dates and durations (both in days) are one column each, and what is far out in it is drawn in.
    All else is text, with a column for each that is not rare, one for all that are rare or come later, and one for
    missing where there are such. Which column is what is decided by the values at fit time.
    """
    numbers = make_pipeline(FunctionTransformer(as_numbers, feature_names_out="one-to-one"), FarOut())
    coding = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=min_frequency,
        max_categories=max_categories,
        sparse_output=False,
    )
    texts = make_pipeline(FunctionTransformer(as_texts, feature_names_out="one-to-one"), coding)
    return ColumnTransformer(
        [("numbers", numbers, where_numbers), ("texts", texts, where_texts)],
        sparse_threshold=0.0,
        verbose_feature_names_out=False,
    )


class FarOut(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Take a value far out for missing where it is in one row of a hundred, and else for the farthest that is not.

    Far out is what is farther from the middle nine tenths of a column than `REACH` times their width. What comes that
    often there is a code, such as -9999 for missing; a million that comes once is an accident. Where nine tenths are
    equal, nothing is far out.
    """

    def fit(self, X: Array, y: Any = None) -> Self:
        """Find the codes, and the lowest and highest values that are not far out, of each column."""
        learned = [_learn(x[~np.isnan(x)]) for x in X.T]
        self.low_, self.high_ = (np.array([column[end] for column in learned]) for end in (0, 1))
        self.codes_ = [column[2] for column in learned]
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Array) -> Array:
        """Return X with codes as NaN, and with values far out set to the farthest that are not."""
        check_is_fitted(self)
        found = np.clip(X, self.low_, self.high_)
        for x, column, codes in zip(X.T, found.T, self.codes_, strict=True):
            column[np.isin(x, codes)] = np.nan
        return found

    def slopes_of(self, X: Array) -> Array:
        """Return the derivatives of `transform`: 1, 0 where a value was far out, NaN where it is missing."""
        found = self.transform(X)
        return np.where(np.isnan(found), np.nan, found == X)


def _learn(x: Array) -> tuple[float, float, Array]:
    """Return the lowest and the highest value that are not far out, and the values that are codes."""
    if not len(x):
        return np.nan, np.nan, x
    low, high = np.quantile(x, [TAIL, 1.0 - TAIL])
    reach = REACH * (high - low) if high > low else np.inf
    far_out = (x < low - reach) | (x > high + reach)
    values, counts = np.unique(x[far_out], return_counts=True)
    return x[~far_out].min(), x[~far_out].max(), values[counts > max(1.0, OFTEN * len(x))]


def where_numbers(X: Any) -> list[int]:
    """Return the positions of the columns that are numbers."""
    return [j for j, column in enumerate(_columns(X)) if _is_number(column)]


def where_texts(X: Any) -> list[int]:
    """Return the positions of all other columns."""
    return [j for j, column in enumerate(_columns(X)) if not _is_number(column)]


def as_numbers(X: Any) -> Array:
    """Return columns as float64, shape (n_samples, n_columns); dates are days since 1970."""
    names = getattr(X, "columns", range(X.shape[1]))
    return np.column_stack(
        [_numbers(np.asarray(column), name) for name, column in zip(names, _columns(X), strict=True)]
    )


def as_texts(X: Any) -> Values:
    """Return columns as strings, with None for missing, shape (n_samples, n_columns)."""
    columns = [[_text(value) for value in np.asarray(c, object)] for c in _columns(X)]
    return np.array(columns, dtype=object).T


def _columns(X: Any) -> Iterator[Any]:
    """Yield the columns of a DataFrame of pandas or polars, an array or a sparse matrix."""
    table = X.iloc if hasattr(X, "iloc") else X
    for j in range(X.shape[1]):
        yield X[:, [j]].toarray().ravel() if issparse(X) else table[:, j]


def is_categorical(column: Any) -> bool:
    """Say whether a column of a DataFrame, or an array, is one of categories."""
    return str(column.dtype).startswith(CATEGORICAL)


def is_missing(value: Any) -> bool:
    """Say whether a value is None, NaN, NaT or NA, none of which is equal to itself."""
    same = value == value
    return value is None or not (bool(np.all(same)) if isinstance(same, bool | np.bool_ | np.ndarray) else False)


def _is_number(column: Any) -> bool:
    if is_categorical(column):
        return False
    values = np.asarray(column)
    if values.dtype.kind != "O":
        return values.dtype.kind in "biufmM"
    return all(isinstance(value, Number | np.bool_ | date | timedelta) for value in values if not is_missing(value))


def _text(value: Any) -> str | None:
    if is_missing(value):
        return None
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)  # 1.0 is 1 beside NaN


def _numbers(values: Values, name: Any) -> Array:
    if values.dtype.kind in "mM":
        ticks = values.astype(f"{values.dtype.kind}8[us]")
        return np.where(np.isnat(ticks), np.nan, ticks.astype(np.int64) / (1e6 * SECONDS_A_DAY))
    try:
        return np.array([_number(v) for v in values]) if values.dtype.kind == "O" else values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Column {name!r} held numbers in the training data, and must do so now: {error}.") from error


def _number(value: Any) -> float:
    if is_missing(value):
        return np.nan
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() / SECONDS_A_DAY
    if isinstance(value, date):
        return float(value.toordinal() - date(1970, 1, 1).toordinal())
    if isinstance(value, timedelta):
        return value.total_seconds() / SECONDS_A_DAY
    return float(value)
