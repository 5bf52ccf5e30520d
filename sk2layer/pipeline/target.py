"""A target that is transformed for the fit, and what is predicted of it, in its own units."""

from copy import deepcopy
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils import check_array, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._typing import Array
from ..estimator.by_evidence import knows_deviations
from ..estimator.data import place_of, where_the_rows_are
from ..estimator.reach import ask, network_of
from ..solvers._parameters import naming_parameters
from .scale import NAMES, Scale


def _regressor_has(name: str) -> Any:
    def check(model: Any) -> bool:
        getattr(network_of(getattr(model, "regressor_", model.regressor)), name)
        return True

    return available_if(check)


class TransformedTarget(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Fit a regressor to a transformed target, and predict the target: its mean, its deviation, and intervals.

    Prices, times and counts have errors in proportion to their size, so that the same interval is too wide for small
    ones and too narrow for large ones. For their logarithms, or roots, one interval is right.

    Parameters
    ----------
    regressor : estimator
        A regressor, or a Pipeline that ends in one. Intervals and standard deviations are those of a regressor that has
        `predict_interval`, and `return_std` in `predict`: all of this package do.
    transformer : {"log", "log1p", "sqrt", "yeo-johnson"} or transformer
        What is done to y. "log" needs y > 0, "log1p" y > -1, and "sqrt" y >= 0. "yeo-johnson" is scikit-learn's
        `PowerTransformer`, which finds a power for y of any sign. A transformer must be monotone, and have
        `inverse_transform`; of several outputs each has one of its own.

    Attributes
    ----------
    regressor_ : estimator
        The regressor, fitted to the transformed target.
    scales_ : list
        For each output its fitted `transformer`, and the transformed targets `low` and `high` that nothing goes beyond.
    n_features_in_ : int
        The number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the inputs, where X has such.

    See Also
    --------
    sklearn.compose.TransformedTargetRegressor : Any functions, without error bars.
    make_table_pipeline : A regressor for a table, to be put in here.

    Notes
    -----
    The mean is the expectation of y where the transformed target is normally distributed about its prediction, by
    Gauss-Hermite quadrature: for logarithms with mean m and standard deviation s, exp(m + s**2 / 2). Where the
    regressor knows no standard deviation, such as after a fit with a given penalty, it is the inverse of the
    prediction, which is the median. Ends of intervals are transformed one by one; that is exact.

    What a transformer makes of predictions stays, beyond the training targets, within once their range: inverses of
    powers rise to infinity. Those of "log", "log1p" and "sqrt" are not held.

    Examples
    --------
    >>> import numpy as np
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.pipeline import TransformedTarget
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> price = np.exp(5.0 + X[:, 0] + 0.2 * rng.normal(size=200))
    >>> model = TransformedTarget(TwoLayerRegressor(random_state=0), "log").fit(X, price)
    >>> mean, std = model.predict(X, return_std=True)
    >>> bool(np.all(model.predict_interval(X) > 0.0))
    True
    """

    @naming_parameters
    def __init__(self, regressor: Any, transformer: Any) -> None:
        self.regressor = regressor
        self.transformer = transformer

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Fit the regressor to the transformed target.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, as the regressor takes them; in memory.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        **params : dict
            What is passed to the `fit` of the regressor, such as `sample_weight`, or for a step of a Pipeline
            ``step__sample_weight``; with metadata routing, what the regressor requests. The transformer does not see
            weights.

        Returns
        -------
        self : TransformedTarget
            The estimator, fitted.

        Raises
        ------
        ValueError
            If `transformer` is none of its values, if y is outside of what it takes, or if X is a Dask collection;
            before any work is done.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        y = check_array(y, ensure_2d=False, dtype=[np.float64, np.float32], input_name="y")
        self._check_transformer()
        if not place_of(X).in_memory:
            raise ValueError("TransformedTarget needs X in memory to be fitted. Got a Dask collection.")
        columns = y.reshape(len(y), -1).T
        scales = [Scale(self.transformer, column) for column in columns]
        t = np.column_stack([scale.forth(column) for scale, column in zip(scales, columns, strict=True)])
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).regressor.fit
        self.regressor_ = clone(self.regressor).fit(X, t.reshape(y.shape), **params)
        self.scales_ = scales
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(self.regressor_, "feature_names_in_"):
            self.feature_names_in_ = self.regressor_.feature_names_in_
        return self

    def _check_transformer(self) -> None:
        named = isinstance(self.transformer, str)
        known = self.transformer in NAMES if named else hasattr(self.transformer, "inverse_transform")
        if not known:
            raise ValueError(
                f"transformer must be {', '.join(map(repr, NAMES))} or a transformer that has "
                f"inverse_transform. Got {self.transformer!r}."
            )

    @where_the_rows_are
    def predict(self, X: Any, return_std: bool = False, *, include_noise: bool = True) -> Any:
        """Predict the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs.
        return_std : bool, default=False
            Whether to return the standard deviation of each prediction, too.
        include_noise : bool, default=True
            Whether that is the standard deviation of a new y, or of the model's part alone, which is that of the
            median.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The means of y, or where the regressor knows no standard deviation, the medians.
        std : ndarray like y
            Their standard deviations, only with `return_std`.
        """
        check_is_fitted(self)
        if not (return_std or knows_deviations(network_of(self.regressor_))):
            return self._by_column(Scale.back, ask(self.regressor_, "predict", X))
        t, std = ask(self.regressor_, "predict", X, return_std=True)
        mean, std_of_new = self._by_column(Scale.moments, t, std)
        if not return_std:
            return mean
        if include_noise:
            return mean, std_of_new
        t, std = ask(self.regressor_, "predict", X, return_std=True, include_noise=False)
        return mean, self._by_column(Scale.moments, t, std)[1]

    @_regressor_has("predict_interval")
    @where_the_rows_are
    def predict_interval(self, X: Any, confidence_level: float = 0.95, *, include_noise: bool = True) -> Array:
        """Return the interval in which each target lies with the given probability.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs.
        confidence_level : float in (0, 1), default=0.95
            The probability.
        include_noise : bool, default=True
            Whether the interval is for a new y, or for its median alone, where the regressor tells these apart.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Its lower and upper end.
        """
        check_is_fitted(self)
        how = {} if include_noise else {"include_noise": False}
        ends = ask(self.regressor_, "predict_interval", X, confidence_level=confidence_level, **how)
        lower, upper = (self._by_column(Scale.back, ends[..., side]) for side in (0, 1))
        return np.stack([np.minimum(lower, upper), np.maximum(lower, upper)], axis=-1)

    def _by_column(self, method: Any, *arrays: Array) -> Any:
        """Return what a method of each output's scale makes of its columns, in their shape: an array or several."""
        arrays = tuple(np.asarray(array) for array in arrays)  # of some regressors they are DataFrames
        shape, dtype = arrays[0].shape, arrays[0].dtype
        columns = zip(*(array.reshape(len(array), -1).T for array in arrays), strict=True)
        found = [method(scale, *column) for scale, column in zip(self.scales_, columns, strict=True)]
        stacked = np.stack(found, axis=-1).astype(dtype)
        return stacked if len(shape) == 2 else stacked[..., 0]

    @property
    def n_features_in_(self) -> int:
        """The number of inputs."""
        return self.regressor_.n_features_in_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what `fit` passes on.

        Returns
        -------
        routing : MetadataRouter
            With the requests of the regressor.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add_self_request(self).add(regressor=self.regressor, method_mapping=mapping)

    def __sklearn_tags__(self) -> Any:
        tags = deepcopy(get_tags(self.regressor))
        tags.target_tags.positive_only = isinstance(self.transformer, str) and self.transformer in ("log", "sqrt")
        return tags
