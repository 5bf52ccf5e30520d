"""How targets become a matrix: numbers as they are, labels as zeros and ones."""

import itertools
import warnings
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from .._typing import Array
from ..model.likelihoods import KnownErrors
from ..model.losses import BinaryLogLoss, Loss, MultinomialLogLoss
from ..rows.inputs import OneHot
from .checks import MAX_WEIGHT, naming

LABELS_AT_A_TIME = 2**16
"""As Python's objects they take several times the memory."""


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

    @staticmethod
    def labels(y: Any, weight: Array | None) -> tuple[Any, Array]:
        """Return each label in y once, and the total weight of its samples; of numbers, one of them for all."""
        return np.asarray(y)[:1], np.ones(len(y[:1]))

    def with_errors(self, Y: Array, y_std: Any) -> Array:
        """Return encoded targets with the variances of their known errors; labels have none."""
        raise NotImplementedError

    def weigh_classes(self, estimator: Any, Y: Any, weight: Array | None) -> None:
        """Set `class_weights` as the estimator's `class_weight` says, given encoded targets and their weights."""
        self.class_weights = None

    def weigh(self, Y: Any, weight: Array | None) -> Array | None:
        """Return the weights of encoded samples, times those of their classes."""
        return weight

    def strata(self, Y: Any) -> Array | None:
        """Return the classes whose proportions a random split keeps, shape (n_samples,), or None."""
        return None


class RealTargets(Targets):
    """Targets that are numbers, in one column or several; the loss says which numbers are valid."""

    def __init__(self, n_outputs: int, *, is_matrix: bool, loss: Loss) -> None:
        self.n_outputs, self.is_matrix, self.loss, self.scaled = n_outputs, is_matrix, loss, loss.in_units_of_y

    @classmethod
    def of(cls, y: Any, loss: Loss) -> "RealTargets":
        """Return targets of this y's number of columns; `encode` checks the numbers."""
        shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
        return cls(shape[1] if len(shape) > 1 else 1, is_matrix=len(shape) > 1, loss=loss)

    def encode(self, y: Any, name: str = "y") -> Array:
        """Return the numbers as a matrix."""
        Y = _check_numbers(y, name)
        Y = Y[:, np.newaxis] if Y.ndim == 1 else Y
        if Y.shape[1] != self.n_outputs:
            raise ValueError(f"{name} must have {self.n_outputs} column(s). Got {Y.shape[1]}.")
        self.loss.check(Y, name)
        return np.ascontiguousarray(Y).view(np.ndarray)  # a memmap of NumPy is slow to take rows from

    def with_errors(self, Y: Array, y_std: Any) -> Array:
        """Return encoded numbers with the variances of their known errors beside them, which the loss now asks for.

        Raises
        ------
        ValueError
            If these are no standard deviations, one for each target, or if the noise is not Gaussian.
        """
        if not self.loss.has_noise:
            raise ValueError(f"y_std needs loss='squared_error'. Got loss={self.loss.name!r}.")
        std = _check_numbers(y_std, "y_std")
        std = std[:, np.newaxis] if std.ndim == 1 else std
        if std.shape != Y.shape:
            raise ValueError(f"y_std must have the shape of y, {Y.shape}. Got {std.shape}.")
        if (std < 0.0).any():
            raise ValueError(f"y_std must not be negative. Got {std.min():g}.")
        with np.errstate(over="ignore"):
            variances = np.square(std)
        if not np.isfinite(variances).all():
            raise ValueError(f"y_std must have squares that {std.dtype} can hold. Got {std.max():g}.")
        self.loss = KnownErrors()
        return np.hstack([Y, variances])


def _check_numbers(y: Any, name: str) -> Array:
    dtypes = [np.float64, np.float32]
    with naming(name):
        y = check_array(y, ensure_2d=False, dtype=dtypes, input_name=name, ensure_min_samples=0)
    if y.ndim not in (1, 2):
        raise ValueError(f"{name} must have shape (n_samples,) or (n_samples, n_outputs). Got {y.shape}.")
    return y


class LabelTargets(Targets):
    """Targets that are labels: of two classes, of several classes, or several labels at once.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The sorted labels, or the numbers of the columns where there are several labels at once.
    multilabel : bool
        Whether there are.
    """

    scaled = False

    def __init__(self, classes: Any, *, multilabel: bool) -> None:
        if len(classes) < 2 and not multilabel:
            raise ValueError(f"y must have at least two classes. Got one class: {classes.tolist()}.")
        self.classes, self.multilabel = classes, multilabel
        self.n_outputs = 1 if len(classes) == 2 and not multilabel else len(classes)
        self.loss: Loss = BinaryLogLoss() if multilabel or self.n_outputs == 1 else MultinomialLogLoss()

    @classmethod
    def of(cls, y: Any, classes: Any) -> "LabelTargets":
        """Return targets with the labels of y, or with `classes`, which may have more."""
        y = check_labels(y, "y")
        with warnings.catch_warnings():
            if classes is not None:  # y is a part of the data, in which a label may well occur only once
                warnings.filterwarnings("ignore", "The number of unique classes")
            check_classification_targets(y)
            kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            return cls(np.arange(y.shape[1]), multilabel=True)
        if kind == "multiclass-multioutput":
            raise ValueError("y must be one column of labels or a matrix of 0 and 1. Got several columns of labels.")
        return cls(
            unique_labels(column_or_1d(y, warn=True)) if classes is None else sorted_labels(classes), multilabel=False
        )

    def encode(self, y: Any, name: str = "y") -> Any:
        """Return 0 and 1 for two classes or several labels, one-hot rows for several classes."""
        if self.multilabel:
            return self._encode_indicators(y, name)
        with naming(name):
            labels = column_or_1d(check_labels(y, name))
        starts = range(0, len(labels), LABELS_AT_A_TIME)
        blocks = (labels[start : start + LABELS_AT_A_TIME].tolist() for start in starts)
        unseen = set(itertools.chain.from_iterable(blocks)) - set(self.classes.tolist())
        if unseen:
            raise ValueError(
                f"{name} must have labels out of {self.classes.tolist()}. Got unseen labels: {sorted(unseen, key=str)}."
            )
        codes = np.searchsorted(self.classes, labels).astype(np.min_scalar_type(len(self.classes)))
        return codes[:, np.newaxis] if self.n_outputs == 1 else OneHot(codes, self.n_outputs)

    def _encode_indicators(self, y: Any, name: str) -> Any:
        Y = check_labels(y, name)
        Y = Y.toarray() if issparse(Y) else Y
        if Y.ndim != 2:
            raise ValueError(f"{name} must be a matrix of 0 and 1, as in the first fit. Got shape {Y.shape}.")
        if Y.shape[1] != self.n_outputs:
            raise ValueError(f"{name} must have {self.n_outputs} columns, one for each label. Got {Y.shape[1]}.")
        if not np.isin(Y, (0.0, 1.0)).all():
            raise ValueError(f"{name} must be a matrix of 0 and 1.")
        return Y.astype(np.uint8)

    @staticmethod
    def labels(y: Any, weight: Array | None) -> tuple[Any, Array]:
        """Return each label in y once, and the total weight of its samples."""
        labels, number = np.unique(np.asarray(check_labels(y, "y")), axis=0, return_inverse=True)
        return labels, np.bincount(number.ravel(), weight, minlength=len(labels)).astype(np.float64)

    def weigh_classes(self, estimator: Any, Y: Any, weight: Array | None) -> None:
        """Set `class_weights` as the estimator's `class_weight` says, given encoded targets and their weights.

        Where the evidence chooses the penalty, they are scaled so that the weights sum to the effective sample size.

        Raises
        ------
        ValueError
            If `class_weight` is of other labels, not of numbers >= 0, or leaves no sample that counts.
        """
        if estimator.class_weight is None:
            self.class_weights = None
            return
        if self.multilabel:
            raise ValueError("class_weight must be None where there are several labels per sample.")
        totals = np.bincount(self.codes(Y), weight, minlength=len(self.classes)).astype(np.float64)
        weights = np.where(totals > 0.0, self._asked_for(estimator.class_weight, totals), 0.0)
        if not 0.0 < totals @ np.minimum(weights, MAX_WEIGHT) <= MAX_WEIGHT:
            raise ValueError(
                "class_weight must not be zero for all samples, and all weights must sum to at most "
                f"{MAX_WEIGHT:g}. Got {estimator.class_weight}."
            )
        if estimator._grouping():
            weights /= weights.max()
            weights *= totals @ weights / (totals @ np.square(weights))
        self.class_weights = weights

    def _asked_for(self, class_weight: Any, totals: Array) -> Array:
        """Return the weight of each class as `class_weight` says, given the total weight of its samples."""
        if isinstance(class_weight, dict):
            strange = [label for label in class_weight if isinstance(label, str) != isinstance(self.classes[0], str)]
            if strange or not all(isinstance(v, Real) and 0.0 <= float(v) < np.inf for v in class_weight.values()):
                raise ValueError(
                    f"class_weight must give numbers >= 0 to labels like {self.classes.tolist()}. Got {class_weight}."
                )
            return np.array([class_weight.get(label, 1.0) for label in self.classes], dtype=np.float64)
        return totals.sum() / (len(self.classes) * np.where(totals > 0.0, totals, np.inf))

    def weigh(self, Y: Any, weight: Array | None) -> Array | None:
        """Return the weights of encoded samples, times those of their classes."""
        if self.class_weights is None:
            return weight
        by_class = self.class_weights[self.codes(Y)]
        return by_class if weight is None else by_class * weight

    def strata(self, Y: Any) -> Array | None:
        """Return the classes."""
        return None if self.multilabel else self.codes(Y)

    def codes(self, Y: Any) -> Array:
        """Return the position of each sample's class, shape (n_samples,), from encoded targets or raw predictions."""
        return (Y[:, 0] > 0.0).astype(np.intp) if self.n_outputs == 1 else Y.argmax(axis=1)


def check_labels(y: Any, name: str) -> Any:
    """Return labels as an array or csr matrix; raise ValueError if they are not of one type."""
    try:
        with naming(name):
            y = check_array(y, ensure_2d=False, accept_sparse="csr", dtype=None, input_name=name, ensure_min_samples=0)
            if y.dtype == object:
                sorted(set(y.ravel().tolist()))
            return y
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in np.asarray(y, dtype=object).ravel().tolist()})
        if len(kinds) == 1:
            raise
        raise ValueError(
            f"{name} must have labels of one type, none of them missing. Got {', '.join(kinds)}."
        ) from error


def sorted_labels(classes: Any) -> Array:
    """Return the distinct labels in order."""
    return np.unique(check_labels(classes, "classes"))
