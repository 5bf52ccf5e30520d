"""Probabilities of several networks, weighted by what they gave to classes that they have not seen."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.multiclass import check_classification_targets

from .._typing import Array
from ..classifier import TwoLayerClassifier
from ..evidence.mixture import stacking_weights
from .members import Stacked


class StackedClassifier(ClassifierMixin, Stacked):
    """Networks of several kinds for classification, weighted by how well they predict rows that they have not seen.

    They are those of :class:`StackedRegressor`, as classifiers. The probabilities are a weighted mean of theirs, with
    the weights under which the classes of rows that are set aside, fold by fold, are the most probable. Where a class
    has fewer rows than there are folds, it is the network by evidence alone.

    Parameters
    ----------
    n_folds : int, default=3
        The number of parts of the training rows that are set aside in turn.
    n_init : int, default=5
        The number of networks in a committee.
    n_jobs : int, optional
        The number of processes that share the fits, as joblib has it.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights. The folds are the same always.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    members_ : list of Pipelines of an encoder and a network
        The networks that count: first those by evidence, then the committees.
    weights_ : ndarray of shape (n_members,)
        Their weights, which are 1 together.
    n_features_in_ : int
        The number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the inputs, where X has such.

    See Also
    --------
    make_table_pipeline : Puts it behind what makes numbers of a table.
    sklearn.ensemble.StackingClassifier : Any models.

    References
    ----------
    L. Breiman, "Stacked Regressions", Machine Learning 24, 1996.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sk2layer.pipeline import StackedClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> model = StackedClassifier(random_state=0).fit(X[::2], y[::2])
    >>> bool(model.score(X[1::2], y[1::2]) > 0.95)
    True
    """

    _network = TwoLayerClassifier

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the networks, and weight them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs. NaN is a missing value.
        y : array-like of shape (n_samples,)
            The classes.
        sample_weight : array-like of shape (n_samples,), optional
            The weights of the samples: in the networks, and for what they predict.

        Returns
        -------
        self : StackedClassifier
            The estimator, fitted.
        """
        rows = self._checked(X, y, sample_weight)
        check_classification_targets(rows.y)
        self.classes_, codes, counts = np.unique(rows.y, return_inverse=True, return_counts=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes. Got one class: {self.classes_.tolist()}.")
        rows = rows._replace(y=codes)
        folds: list[Any] = []
        if counts.min() >= self.n_folds:
            folds = list(StratifiedKFold(self.n_folds, shuffle=True, random_state=0).split(rows.X, codes))
        models = self._fit_members(rows, folds)
        likelihood = np.tile(np.eye(len(self.members_))[0], (len(codes), 1))  # without folds, of the first alone
        for (_, test), fitted in zip(folds, models, strict=True):
            found = [model.predict_proba(rows.X[test])[np.arange(len(test)), codes[test]] for model in fitted]
            likelihood[test] = np.column_stack(found)
        log_likelihood = np.log(np.maximum(likelihood, np.finfo(float).tiny))
        self._keep(stacking_weights(log_likelihood, rows.weight), rows)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            The probabilities, in the order of `classes_`.
        """
        X = self._rows(X)
        return np.tensordot(self.weights_, [model.predict_proba(X) for model in self.members_], 1)

    def predict(self, X: Any) -> Any:
        """Predict the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The most probable class of each sample.
        """
        probability = self.predict_proba(X)
        return self.classes_[probability.argmax(axis=1)]
