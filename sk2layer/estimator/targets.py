"""How targets become a matrix: numbers as they are, labels as zeros and ones."""

import itertools
import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from .._typing import Array
from ..model.likelihoods import KnownErrors
from ..model.losses import BinaryLogLoss, Loss, MultinomialLogLoss
from ..rows.inputs import OneHot
from .checks import naming

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

    def with_errors(self, Y: Array, y_std: Any) -> Array:
        """Return encoded targets with the variances of their known errors; labels have none."""
        raise NotImplementedError

    def weigh(self, Y: Any, weight: Array | None) -> Array | None:
        """Return the weights of encoded samples, times those of their classes."""
        return weight

    def strata(self, Y: Any) -> Array | None:
        """Return what a random split should keep the proportions of, shape (n_samples,), or None."""
        return None


class RealTargets(Targets):
    """Targets that are numbers: one column or several, of which the loss says which they may be."""

    def __init__(self, n_outputs: int, *, is_matrix: bool, loss: Loss) -> None:
        self.n_outputs, self.is_matrix, self.loss, self.scaled = n_outputs, is_matrix, loss, loss.in_units_of_y

    @classmethod
    def of(cls, y: Any, loss: Loss) -> "RealTargets":
        """Return the kind of these targets, as far as their shape tells; `encode` checks them."""
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
        """Return the kind of these labels; `classes` names those that y may not have yet."""
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
