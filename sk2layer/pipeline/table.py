"""How a table as it comes becomes a fit."""

from collections.abc import Callable
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if

from ..estimator.origin import gradient, steps_of
from ..preprocessing import PiecewiseLinearEncoder
from ..preprocessing.columns import make_table_encoder
from .classification import StackedClassifier
from .regression import StackedRegressor

BY_NAME = {"regressor": StackedRegressor, "classifier": StackedClassifier}


def make_table_pipeline(
    estimator: Any,
    *,
    n_pieces: int = 8,
    min_frequency: int = 3,
    max_categories: int = 40,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> "TablePipeline":
    """Return a pipeline for a table as it comes, with categories, dates and missing values.

    What the columns are is decided by their values at fit time. Numbers, booleans, dates and durations (both in days)
    are one input each. All else is text: an input of 0 and 1 for each value, one for all that are rare or come only
    later, and one for missing values. Then :class:`~sk2layer.preprocessing.PiecewiseLinearEncoder` makes ramps of the
    numbers.

    Parameters
    ----------
    estimator : {"regressor", "classifier"} or estimator
        By name it is :class:`StackedRegressor` or :class:`StackedClassifier`, which choose the number of pieces, and
        between networks of several kinds, by themselves. An estimator is used as it is.
    n_pieces : int, default=8
        The number of pieces of each column of numbers, for an estimator.
    min_frequency : int, default=3
        A value of text in fewer training rows is rare.
    max_categories : int, default=40
        The largest number of inputs that a column of text becomes; the values in the fewest rows count as rare.
    n_jobs : int, optional
        The number of processes that share the fits, for an estimator by name.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, for an estimator by name.

    Returns
    -------
    pipeline : TablePipeline
        With the steps "table", "encoder" unless the estimator is chosen by name, and "network".

    See Also
    --------
    sklearn.compose.make_column_transformer : The columns by hand.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk2layer.pipeline import make_table_pipeline
    >>> table = pd.DataFrame({
    ...     "area": [52.0, 71.0, None, 40.0, 95.0, 66.0] * 5,
    ...     "town": ["Ulm", "Ulm", "Bonn", None, "Bonn", "Ulm"] * 5,
    ...     "since": pd.date_range("2020-01-01", periods=30),
    ... })
    >>> rent = [610, 780, 900, 450, 1210, 740] * 5
    >>> model = make_table_pipeline("regressor", random_state=0).fit(table, rent)
    >>> model.predict_interval(table).shape
    (30, 2)
    >>> model[:1].get_feature_names_out().tolist()
    ['area', 'since', 'town_Bonn', 'town_Ulm', 'town_None']
    """
    table = ("table", make_table_encoder(min_frequency, max_categories))
    if not isinstance(estimator, str):
        return TablePipeline([table, ("encoder", PiecewiseLinearEncoder(n_pieces)), ("network", estimator)])
    if estimator not in BY_NAME:
        raise ValueError(f'estimator must be "regressor", "classifier" or an estimator. Got {estimator!r}.')
    return TablePipeline([table, ("network", BY_NAME[estimator](n_jobs=n_jobs, random_state=random_state))])


def _last_step_has(name: str) -> Callable[[Any], bool]:
    return lambda pipeline: hasattr(pipeline.steps[-1][1], name)


class TablePipeline(Pipeline):
    """A pipeline that passes on intervals, quantiles and slopes: what :func:`make_table_pipeline` returns.

    Parameters
    ----------
    steps : list of tuples
        As of `sklearn.pipeline.Pipeline`, as are the others.
    transform_input : list of str, optional
        Which parameters of `fit` the steps before transform.
    memory : str or object with the joblib.Memory interface, optional
        Where fitted steps are cached.
    verbose : bool, default=False
        Whether to print the seconds of each step.

    See Also
    --------
    sklearn.pipeline.Pipeline : The same without intervals, quantiles and slopes.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.pipeline import make_table_pipeline
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = make_table_pipeline(TwoLayerRegressor(5, random_state=0), n_pieces=1).fit(X, y)
    >>> model.predict_interval(X[:3], 0.9).shape
    (3, 2)
    >>> y, std = model.predict(X, return_std=True)
    """

    @available_if(_last_step_has("predict_interval"))
    def predict_interval(self, X: Any, confidence_level: float = 0.95, **params: Any) -> Any:
        """Return the interval in which each target lies with the given probability.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            The table.
        confidence_level : float in (0, 1), default=0.95
            The probability.
        **params : dict
            What else `predict_interval` of the last step takes.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Its lower and upper end.
        """
        return self[-1].predict_interval(self[:-1].transform(X), confidence_level, **params)

    @available_if(_last_step_has("predict_quantile"))
    def predict_quantile(self, X: Any, q: Any, **params: Any) -> Any:
        """Return what each target is at most with the given probability.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            The table.
        q : float in (0, 1) or array-like of shape (n_quantiles,)
            The probability, or several of them.
        **params : dict
            What else `predict_quantile` of the last step takes.

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of y; for several probabilities with a last axis of shape (n_quantiles,).
        """
        return self[-1].predict_quantile(self[:-1].transform(X), q, **params)

    @available_if(_last_step_has("predict_gradient"))
    def predict_gradient(self, X: Any, return_std: bool = False, **params: Any) -> Any:
        """Return the slopes of what is predicted, by the columns of the table.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            The table.
        return_std : bool, default=False
            Whether to return the standard deviation of each slope, too.
        **params : dict
            What else `predict_gradient` of the last step takes.

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            As of the last step. A date or a duration counts days. 0 beyond the training data, where a column is taken
            for its smallest or largest value, and NaN for columns of text and where a value is missing.
        std : ndarray like gradient
            Their standard deviations, only with `return_std`.

        Raises
        ------
        ValueError
            If a step mixes columns.
        """
        found = gradient(steps_of(self)[:-1], steps_of(self)[-1], X, return_std=return_std, **params)
        return tuple(found) if return_std else found[0]
