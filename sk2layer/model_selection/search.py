"""Which candidate is the best one, by what one fit of each to all rows says of itself: the search, and its face."""

# Longer than 300 lines: half of it is what users read of the methods.

from copy import deepcopy
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import ParameterGrid
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._typing import Array
from ..estimator.callback_support import CallbackSupportMixin, SearchReporter, with_callbacks
from ..estimator.data import place_of, where_the_rows_are
from ..estimator.fitted import all_or_nothing
from ..estimator.reach import ask, network_of
from ..solvers._parameters import check_parameters, choice, naming_parameters
from ..solvers.documentation import Documented
from .candidates import CRITERIA, Fit, check_by_evidence, criterion_of, fit_candidate, report_failures, results_of
from .mixture import Mixture

FITTED = ["best_estimator_", "estimators_", "weights_", "feature_names_in_"]
"""Attributes that not every fit has."""


def has(method: str) -> Any:
    """Make a method of a search be there where its network has it, and is kept."""

    def check(search: Any) -> bool:
        if not search.refit:
            raise AttributeError(f"{method} needs the best model, which refit=False does not keep.")
        getattr(network_of(getattr(search, "best_estimator_", search.estimator)), method)
        return True

    return available_if(check)


class EvidenceSearch(Documented, MetaEstimatorMixin, CallbackSupportMixin, BaseEstimator):
    """Choose parameters by the evidence or the leave-one-out density of one fit each: a search without folds.

    Each candidate of a grid is fitted once, to all rows. A fit by evidence says of itself how probable it makes the
    data, and how well it predicts each row from all others: by one of these the candidates are compared. What
    `GridSearchCV` takes six fits for, five folds and the best one again, is one fit here.

    Parameters
    ----------
    estimator : TwoLayerRegressor, TwoLayerClassifier or Pipeline
        What is to be fitted, or a Pipeline that ends in it; by evidence, as it is by default.
    param_grid : dict or list of dict
        For each parameter the values to try, all combinations of them; of several dicts, one after the other. As for
        `GridSearchCV`, parameters of steps are named ``step__parameter``.
    criterion : {"auto", "loo", "evidence"}, default="auto"
        By what candidates are compared. "loo" is `loo_log_density_`, the mean log density of each row predicted from
        all others, and "evidence" is `log_marginal_likelihood_`. "auto" is "loo", or "evidence" where all candidates
        have NaN for that.
    average : bool, default=False
        Whether to predict with all candidates, each with its weight, instead of with the best one. The weights are
        those whose mixture predicts each row best from all others (stacking); most are 0.
    refit : bool, default=True
        Whether to keep the best model, or the models of the average, for predictions. They have been fitted to all
        rows already, and are not fitted again.
    n_jobs : int, optional
        The number of processes, or of tasks for another backend of joblib's, that share the candidates. None is one,
        unless joblib's settings say otherwise. Where the estimators have a number for `random_state`, the result does
        not depend on it.
    error_score : "raise" or nan, default=nan
        What becomes of a candidate whose fit raises an error: the search raises it, or warns of it and goes on with the
        others.

    Attributes
    ----------
    best_estimator_ : estimator
        The best model. Not with `refit=False`.
    best_params_ : dict
        Its parameters in the grid.
    best_index_ : int
        Its place among the candidates, from 0.
    best_score_ : float
        Its log evidence or mean log density.
    criterion_ : {"loo", "evidence"}
        By which it was chosen.
    results_ : dict of arrays
        A row for each candidate, for `pandas.DataFrame`: "params" and "param_<name>", "log_marginal_likelihood",
        "loo_log_density", "effective_n_parameters", "fit_time" in seconds, "rank" with 1 for the best, and with
        `average` "weight".
    estimators_ : list of estimators
        The models that predict: the best one or, with `average`, all that have a weight. Not with `refit=False`.
    weights_ : ndarray of shape (n_estimators,)
        Their weights in predictions. Not with `refit=False`.
    classes_ : ndarray of shape (n_classes,)
        The labels, where the estimator is a classifier.
    n_features_in_ : int
        The number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the inputs, where X has such.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : A search by any score, with folds.
    sk2layer.TwoLayerRegressor : One fit, which chooses its penalty by evidence.

    Notes
    -----
    *What can be compared* are fits to the same y with the same weights of rows; parameters that change these, such as
    `class_weight`, are not for this search. The evidence has two forms by the number of parameters, and the
    leave-one-out density is the better judge between them: :ref:`what can be compared <comparing-fits>`. Both take rows
    for independent: rows that repeat should be taken out first.

    *Why leave-one-out.* Over the twelve data sets of `docs/benchmarks/evidence_search.py`, errors of what it chooses
    are 0.7 % below those of a search with five folds in the mean, errors of what the evidence chooses 0.6 % above, and
    those of the average 1.6 % below.

    *Failing candidates* have NaN in `results_`, and the last rank. Where all fail, the error of the first is raised.

    *The mixture* of `average` has the mean of the predictions of its members; its variance is the mean of theirs plus
    the variance of their predictions, and its intervals and quantiles are those of the mixture of their distributions,
    whatever their losses. Of classifiers it has the mean of their probabilities. It needs X in memory in `fit`.

    References
    ----------
    MacKay (1992). Bayesian interpolation. Neural Computation 4.

    Yao, Vehtari, Simpson & Gelman (2018). Using stacking to average Bayesian predictive distributions. Bayesian
    Analysis 13.

    Examples
    --------
    The number of hidden units, and of the pieces in which each input may bend:

    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import Pipeline
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.model_selection import EvidenceSearch
    >>> from sk2layer.preprocessing import PiecewiseLinearEncoder
    >>> X, y = load_diabetes(return_X_y=True)
    >>> steps = [("encoder", PiecewiseLinearEncoder()), ("network", TwoLayerRegressor(random_state=0))]
    >>> grid = {"encoder__n_pieces": [1, 4], "network__hidden_units": [2, 10]}
    >>> search = EvidenceSearch(Pipeline(steps), grid).fit(X, y)
    >>> sorted(search.best_params_)
    ['encoder__n_pieces', 'network__hidden_units']
    >>> search.predict_interval(X[:3]).shape
    (3, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",
        "param_grid": [dict, list],
        "criterion": [choice("auto", *CRITERIA)],
        "average": ["boolean"],
        "refit": ["boolean"],
        "n_jobs": [None, Integral],
        "error_score": [choice("raise"), "nan"],
    }

    @naming_parameters
    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        criterion: str = "auto",
        average: bool = False,
        refit: bool = True,
        n_jobs: int | None = None,
        error_score: Any = np.nan,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.criterion = criterion
        self.average = average
        self.refit = refit
        self.n_jobs = n_jobs
        self.error_score = error_score

    @all_or_nothing
    @with_callbacks
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit each candidate to all rows, and keep the best.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, as the estimator takes them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        **params : dict
            What is passed to the `fit` of the candidates, such as `sample_weight`, or for a step of a Pipeline
            ``step__sample_weight``; with metadata routing, what the estimator requests.

        Returns
        -------
        self : EvidenceSearch
            The fitted search.

        Raises
        ------
        ValueError
            If a parameter is not valid, or if a candidate would not be fitted by evidence, before any work is done; if
            all candidates fail, the error of the first.

        Warns
        -----
        FitFailedWarning
            If some candidates fail.
        """
        check_parameters(self)
        if self.average and not place_of(X).in_memory:
            raise ValueError("average=True needs X in memory. Got a Dask collection.")
        candidates = list(ParameterGrid(self.param_grid))
        models = [clone(self.estimator).set_params(**clone(params, safe=False)) for params in candidates]
        for model, candidate in zip(models, candidates, strict=True):
            check_by_evidence(model, candidate)
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).estimator.fit
        how = {"may_fail": self.error_score != "raise", "densities": bool(self.average)}
        reporter = SearchReporter(self, len(models), X, y)
        fits = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_candidate)(model, X, y, params, task, **how)
            for model, task in zip(models, reporter.tasks, strict=True)
        )
        report_failures(fits, candidates)
        self._keep(candidates, fits)
        reporter.end()
        return self

    def _keep(self, candidates: list[dict[str, Any]], fits: list[Fit]) -> None:
        """Set the fitted attributes."""
        for name in FITTED:
            self.__dict__.pop(name, None)
        self.criterion_ = criterion_of(self.criterion, fits)
        self.results_ = results_of(candidates, fits, self.criterion_, average=self.average)
        self.best_index_ = int(self.results_["rank"].argmin())
        self.best_params_ = candidates[self.best_index_]
        self.best_score_ = float(self.results_[CRITERIA[self.criterion_]][self.best_index_])
        if not self.refit:
            return
        weights = self.results_["weight"] if self.average else np.eye(len(fits))[self.best_index_]
        self.best_estimator_ = fits[self.best_index_].model
        self.estimators_ = [fits[number].model for number in np.flatnonzero(weights)]
        self.weights_ = weights[weights > 0.0]
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    @has("predict")
    @where_the_rows_are
    def predict(self, X: Any, return_std: bool = False, *, include_noise: bool = True) -> Any:
        """Predict the targets, or the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs.
        return_std : bool, default=False
            Whether to return the standard deviation of each prediction, too; of regressors.
        include_noise : bool, default=True
            Whether that is the standard deviation of a new y, or of the model's part alone.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions. For rows from Dask, as for all methods that predict, an array of Dask of which nothing is
            computed yet.
        std : ndarray like y
            Their standard deviations, only with `return_std`.
        """
        return self._say("predict", X, **({"return_std": True, "include_noise": include_noise} if return_std else {}))

    @has("predict_interval")
    @where_the_rows_are
    def predict_interval(self, X: Any, confidence_level: float = 0.95, *, include_noise: bool = True) -> Array:
        """Return the interval in which each target lies with the given probability; of regressors.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs.
        confidence_level : float in (0, 1), default=0.95
            The probability.
        include_noise : bool, default=True
            Whether the interval is for a new y, or for its mean alone.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Its lower and upper end, in the units of y.
        """
        return self._say("predict_interval", X, confidence_level=confidence_level, include_noise=include_noise)

    @has("predict_quantile")
    @where_the_rows_are
    def predict_quantile(self, X: Any, q: Any, *, include_noise: bool = True) -> Array:
        """Return what each target is at most with the given probability; of regressors.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs.
        q : float in (0, 1) or array-like of shape (n_quantiles,)
            The probability, or several of them.
        include_noise : bool, default=True
            Whether the quantiles are those of a new y, or of its mean alone.

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of y; for several probabilities with a last axis of shape (n_quantiles,).
        """
        return self._say("predict_quantile", X, q=q, include_noise=include_noise)

    @has("predict_proba")
    @where_the_rows_are
    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class or label; of classifiers.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of `classes_`.
        """
        return self._say("predict_proba", X)

    @has("predict_log_proba")
    @where_the_rows_are
    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the probability of each class or label; of classifiers.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of `classes_`.
        """
        return self._say("predict_log_proba", X)

    @has("decision_function")
    @where_the_rows_are
    def decision_function(self, X: Any) -> Array:
        """Return the log odds, or of several classes their log probabilities up to a constant; of classifiers.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        score : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            For two classes that of the second, `classes_[1]`.
        """
        return self._say("decision_function", X)

    @has("score")
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2 of the predictions, or of classifiers their accuracy.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true targets.
        sample_weight : array-like of shape (n_samples,), optional
            The weights of the samples.

        Returns
        -------
        score : float
            At most 1.
        """
        metric = accuracy_score if is_classifier(self) else r2_score
        return float(metric(y, self.predict(X), sample_weight=sample_weight))

    @property
    def classes_(self) -> Any:
        """The labels, where the estimator is a classifier."""
        return self._best("classes_")

    @property
    def n_features_in_(self) -> int:
        """The number of inputs."""
        return self._best("n_features_in_")

    def _best(self, name: str) -> Any:
        if "best_estimator_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name}: it needs a fit with refit=True.")
        return getattr(self.best_estimator_, name)

    def _say(self, method: str, X: Any, **params: Any) -> Any:
        check_is_fitted(self)
        if len(self.estimators_) == 1:
            return ask(self.estimators_[0], method, X, **params)
        return getattr(Mixture(self.estimators_, self.weights_), method)(X, **params)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what `fit` passes on.

        Returns
        -------
        routing : MetadataRouter
            With the requests of the estimator.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add_self_request(self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_is_fitted__(self) -> bool:
        return "best_index_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        return deepcopy(get_tags(self.estimator))
