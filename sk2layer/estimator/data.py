"""Where the rows of a fit are, how its training data are checked and weighted, and what is held out for validation."""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_consistent_length

from .._typing import Array
from ..rows.sources import Table
from .callback_support import FRAMES_OF_FIT
from .checks import check_rows, check_weight
from .targets import Targets

P = ParamSpec("P")
T = TypeVar("T")


class Place:
    """Where X is, and what estimators do with it there; here, in memory, as an array, matrix or table."""

    in_memory = True
    """Whether it is in this process, to be taken in any order."""

    def holds(self, X: Any) -> bool:
        """Return whether X is in this place. Memory holds any X, and is asked last."""
        return True

    def check_fit(self, estimator: Any, X_val: Any) -> None:
        """Raise ValueError where a fit asks for what cannot be done in this place."""

    def training_data(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any, *, again: bool, y_std: Any = None
    ) -> tuple[Targets, Any]:
        """Check and encode training data as a `RowSource`; `again`: they have to be of the kind fitted before.

        `y_std` are known standard deviations of the targets, or None.
        """
        X = check_rows(estimator, X, reset=not again)
        targets = self.targets(estimator, y, classes, again=again)
        Y = targets.encode(y)
        check_consistent_length(X, Y)
        Y = Y if y_std is None else targets.with_errors(Y, y_std)
        table = make_table(X, Y, check_weight(sample_weight, X.shape[0]))
        targets.weigh_classes(estimator, table.Y, table.weight)
        return targets, with_class_weights(table, targets)

    def targets(self, estimator: Any, y: Any, classes: Any, *, again: bool) -> Targets:
        """Return how the estimator encodes this y, or has encoded that of its last fit."""
        targets: Targets = estimator._remembered_targets() if again else estimator._make_targets(y, classes)
        return targets

    def kind_of_targets(self, estimator: Any) -> type[Targets]:
        """Return which targets the estimator takes, before any y is seen."""
        kind: type[Targets] = estimator._targets
        return kind

    def predict(self, method: Callable[..., Any], estimator: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what a method of the estimator predicts from X."""
        return method(estimator, X, *args, **kwargs)


PLACES = [Place()]
"""The places that are known; the first one that holds X is asked."""


def place_of(X: Any) -> Place:
    """Return where X is."""
    return next(place for place in PLACES if place.holds(X))


def where_the_rows_are(method: Callable[Concatenate[Any, Any, P], T]) -> Callable[Concatenate[Any, Any, P], T]:
    """Make a method that predicts from rows run where the rows are: in memory, or on a cluster."""

    @wraps(method)
    def predict(self: Any, X: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        return cast(T, place_of(X).predict(method, self, X, *args, **kwargs))

    return cast(Callable[Concatenate[Any, Any, P], T], predict)


def make_table(X: Any, Y: Any, weight: Array | None, unit: float | None = None) -> Table:
    """Return the table with weights as numbers of observations, without the samples of weight zero.

    `unit`: what weight is one observation, where these rows are a part of the data.
    """
    if weight is None:
        return Table(X, Y, None)
    if unit is None:
        positive = weight[weight > 0.0]
        unit = unit_of_weight(len(positive), positive.sum())
    return Table(X, Y, None).times(weight / unit)


def with_class_weights(table: Table, targets: Any) -> Table:
    """Return the table with its weights times those of the classes, where there are any."""
    return table if targets.class_weights is None else table.times(targets.class_weights[targets.codes(table.Y)])


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
    fractions = np.remainder(sample_weight, 1).sum()  # may be of weights that are elsewhere
    if getattr(fractions, "compute", lambda: fractions)() > 0.0:
        message = (
            f"sample_weight makes {data.X.shape[0]} rows count as {data.total_weight:.3g} observations, but is not "
            "whole numbers, as counts are. If it only compares the rows, as 1 / sd**2 does, the penalty is too weak "
            "and error bars are too small: divide it by its mean."
        )
        warnings.warn(message, UserWarning, stacklevel=3 + FRAMES_OF_FIT)


def check_validation_data(
    estimator: Any, targets: Targets, X_val: Any, y_val: Any, sample_weight_val: Any
) -> Table | None:
    """Return the validation data that were passed to fit, checked against the training data, or None."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val.")
        return None
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be given together. Got one of them only.")
    if targets.loss.may_vanish:
        raise ValueError(
            "X_val cannot be given with y_std: the errors of y_val are not known. Set rows aside by fraction."
        )
    X = check_rows(estimator, X_val, reset=False, name="X_val")
    check_consistent_length(X, y_val)
    Y = targets.encode(y_val, "y_val")
    weight = targets.weigh(Y, check_weight(sample_weight_val, X.shape[0], "sample_weight_val"))
    if weight is not None and not weight.any():
        raise ValueError("class_weight must not be zero for all samples of X_val. Got zeros only.")
    return make_table(X, Y, weight)


def split(table: Table, fraction: float, strata: Array | None, seed: int) -> tuple[Table, Table]:
    """Split a table at random into a training and a validation part, keeping the proportions of `strata` if it can.

    Raises
    ------
    ValueError
        If there are too few samples for both parts.
    """
    rows = np.arange(table.X.shape[0])
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
    return table.take(train), table.take(validation)
