"""The mean of several networks, weighted by their errors on rows that they have not seen, and how far off it is."""

from typing import Any, Self

import numpy as np
from scipy.optimize import nnls
from sklearn.base import RegressorMixin
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline

from .._typing import Array
from ..estimator.checks import naming
from ..evidence.mixture import mixture_moments
from ..evidence.uncertainty import check_confidence_level
from ..regressor import TwoLayerRegressor
from .members import Rows, Stacked


class StackedRegressor(RegressorMixin, Stacked):
    """Networks of several kinds for regression, weighted by how well they predict rows that they have not seen.

    All of them see the columns as ramps between quantiles, :class:`~sk2layer.preprocessing.PiecewiseLinearEncoder`:

    - `TwoLayerRegressor` with 10 or 20 units, the penalty by evidence, behind 1, 4 or 8 pieces, of which the two with
      the highest leave-one-out density are taken. They are good where y is smooth, noisy, or known for few rows;
    - committees of wide relu networks with a weak penalty, behind 8 pieces and behind 1. They are good where y has much
      structure that is local.

    Their weights are those of the mean with the least squared error on rows that are set aside, fold by fold.

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
    members_ : list of Pipelines of an encoder and a network
        The networks that count: first those by evidence, then the committees.
    weights_ : ndarray of shape (n_members,)
        Their weights, which are 1 together.
    std_scale_ : float
        By how much the standard deviations of the mixture had to be scaled to be those of the errors on rows set aside.
    deviations_ : ndarray of shape (n_samples,)
        These errors by the standard deviations before scaling, without sign and ascending.
    levels_ : ndarray of shape (n_samples,)
        The share of the training rows with smaller ones.
    n_features_in_ : int
        The number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the inputs, where X has such.

    See Also
    --------
    make_table_pipeline : Puts it behind what makes numbers of a table.
    sklearn.ensemble.StackingRegressor : Any models, without error bars.

    Notes
    -----
    The standard deviation of a prediction is that of the mixture of the members, each with the standard deviation of
    the first, which knows where rows are few; then it is scaled to the errors that were made on rows set aside. An
    interval reaches as far as the share `confidence_level` of these errors did, in units of the standard deviation, so
    that nothing is assumed of their distribution; it reaches no farther than the largest of them.

    References
    ----------
    L. Breiman, "Stacked Regressions", Machine Learning 24, 1996.

    J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-Free Predictive Inference for
    Regression", Journal of the American Statistical Association 113, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer.pipeline import StackedRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = StackedRegressor(random_state=0).fit(X[:200], y[:200])
    >>> bool(model.score(X[200:], y[200:]) > 0.4)
    True
    """

    _network = TwoLayerRegressor

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the networks, and weight them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs. NaN is a missing value.
        y : array-like of shape (n_samples,)
            The targets.
        sample_weight : array-like of shape (n_samples,), optional
            The weights of the samples: in the networks, and for their errors.

        Returns
        -------
        self : StackedRegressor
            The estimator, fitted.
        """
        rows = self._checked(X, y, sample_weight)
        with naming("y"):
            rows = rows._replace(y=rows.y.astype(np.float64))
        folds = list(KFold(self.n_folds, shuffle=True, random_state=0).split(rows.X))
        models = self._fit_members(rows, folds)
        unseen: Array = np.empty((len(rows.y), len(self.members_)))
        std: Array = np.empty(len(rows.y))
        for (_, test), members in zip(folds, models, strict=True):
            unseen[test], std[test] = _predicted(members, rows.X[test])
        weights = self._keep(_best_mean(unseen, rows), rows)
        y, std = _mixture(unseen, std, weights)
        self._learn_deviations(np.abs(rows.y - y) / std, rows.weight)
        return self

    def _learn_deviations(self, deviations: Array, weight: Array | None) -> None:
        self.std_scale_ = float(np.sqrt(np.average(deviations**2, weights=weight)))
        order = np.argsort(deviations)
        count = np.ones(len(order)) if weight is None else weight[order]
        self.deviations_, self.levels_ = deviations[order], (np.cumsum(count) - 0.5 * count) / count.sum()

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        return_std : bool, default=False
            Whether to return the standard deviation of a new y about each prediction, too.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The predictions.
        std : ndarray of shape (n_samples,)
            Their standard deviations, only with `return_std`.
        """
        X = self._rows(X)
        y, std = _mixture(*_predicted(self.members_, X), self.weights_)
        return (y, self.std_scale_ * std) if return_std else y

    def predict_interval(self, X: Any, confidence_level: float = 0.95) -> Array:
        """Return the interval in which each target lies with the given probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        confidence_level : float in (0, 1), default=0.95
            The probability.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2)
            Its lower and upper end.
        """
        check_confidence_level(confidence_level)
        X = self._rows(X)
        y, std = _mixture(*_predicted(self.members_, X), self.weights_)
        half_width = std * np.interp(confidence_level, self.levels_, self.deviations_)
        return np.stack([y - half_width, y + half_width], axis=-1)


def _predicted(members: list[Pipeline], X: Array) -> tuple[Array, Array]:
    """Return what each predicts, shape (n_samples, n_members), and the standard deviations of the first."""
    first, *others = members
    y, std = first.predict(X, return_std=True)
    return np.column_stack([y, *(model.predict(X) for model in others)]), std


def _mixture(predicted: Array, std: Array, weights: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of the mixture of distributions about each, with one standard deviation."""
    y, variance = mixture_moments(weights, predicted.T, [std**2] * len(weights))
    return y, np.sqrt(np.maximum(variance, np.finfo(float).tiny))


def _best_mean(unseen: Array, rows: Rows) -> Array:
    """Return the weights, none negative and 1 together, of the mean with the least squared error."""
    residuals = (unseen - rows.y[:, np.newaxis]) * (1.0 if rows.weight is None else np.sqrt(rows.weight)[:, np.newaxis])
    scale = np.abs(residuals).max() or 1.0
    ones = np.ones((1, unseen.shape[1]))  # the least of |R w|^2 + (sum(w) - 1)^2 is along that with sum(w) = 1
    weights, _ = nnls(np.vstack([residuals / scale, ones]), np.append(np.zeros(len(residuals)), 1.0))
    return weights / weights.sum()
