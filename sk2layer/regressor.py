"""Regression: targets that are numbers, and how a new one is distributed by the likelihood that is chosen."""

# Longer than 300 lines: the parameters, attributes and methods of one estimator, most of it docstrings.

import warnings
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.neural_network import MLPRegressor
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._typing import Array
from .estimator import noise_of_inputs
from .estimator.base import BaseTwoLayer
from .estimator.by_evidence import new_targets_of, noise_variance_of, posterior_of
from .estimator.callback_support import FRAMES_OF_FIT, with_callbacks
from .estimator.data import where_the_rows_are
from .estimator.fitted import all_or_nothing
from .estimator.incremental import IncrementalTwoLayer, takes_batches
from .estimator.mlp import to_mlp
from .estimator.reach import noise_model_of, raw_variance_of
from .estimator.targets import RealTargets
from .evidence.new_targets import held_in, quantiles
from .evidence.slopes import chained, link_deviations, raw_deviations
from .evidence.uncertainty import check_confidence_level, interval
from .model.likelihoods import StudentT
from .model.log_link import Gamma, Poisson
from .model.losses import HalfSquaredError, Loss
from .rows.predict import predict_slopes
from .solvers import Solver
from .solvers._parameters import choice, naming_parameters

LOSSES: dict[str, Loss] = {loss.name: loss for loss in (HalfSquaredError(), StudentT(), Poisson(), Gamma())}
"""What the parameter `loss` may be."""


class TwoLayerRegressor(MultiOutputMixin, RegressorMixin, IncrementalTwoLayer):
    """A neural network with one hidden layer for regression: numbers, counts or positive amounts.

    Parameters
    ----------
    hidden_units : int, default=20
        The number of hidden units.
    activation : {"sigmoid", "tanh", "relu", "identity"}, default="sigmoid"
        What a hidden unit computes.
    solver : {"auto", "gd", "sgd", "adam", "lbfgs", "lm"} or solver object, default="auto"
        How the objective is minimised: a name, or an object of `sk2layer.solvers` that owns its hyperparameters. They
        can be set as `solver__<name>` in either case. "auto" is the one of "lm" and "lbfgs" that is predicted to be
        the quicker, or "adam" where every pass over the rows takes long.
    alpha : float or {"auto", "evidence", "ard"}, default="auto"
        The strength of the L2 penalty on the weights (not on the biases), on the scale of the sum of losses.
        "evidence" chooses it by the marginal likelihood of the training data: a strength for the weights of each
        input, kept close to one another where the data say little, one for the hidden biases and one for the output
        weights. "ard" leaves those of the inputs free, so that single inputs can be switched off. Both can be asked of
        every solver, though not with `early_stopping`. "auto" is "evidence", whatever the size; with the solvers "gd",
        "sgd" and "adam", with `early_stopping`, and in `partial_fit` it is 1.0. `penalty_` says which it was.
    standardize : bool, default=True
        Whether to centre and scale X and y for training. The scaling is folded back into the weights, which are in the
        units of the data. A constant column gets the weight zero.
    max_iter : int, default=200
        The largest number of iterations: steps, epochs, or rounds of the search where the evidence chooses the penalty.
    tol : float, default=1e-4
        The tolerance of the solver's stopping rule, and what counts as a fall of the validation loss; where the
        evidence chooses the penalty, the gain of log evidence per row for which a round is worth while.
    early_stopping : bool, default=False
        Whether to stop when the validation loss has not fallen for `n_iter_no_change` iterations, and to return to the
        weights at its lowest. It is measured on the validation data passed to `fit`, or on a part of the training
        data.
    validation_fraction : float in (0, 1), default=0.1
        The part of the training data that is set aside for `early_stopping` where no validation data are passed.
    n_iter_no_change : int or infinity, default=10
        The patience of `early_stopping`, and of "sgd" and "adam" with the objective; `float("inf")` never stops.
    n_init : int, default=1
        The number of random starts.
    restarts : {"best", "average"}, default="best"
        What becomes of several starts. "best" keeps the one with the lowest objective (with `early_stopping`,
        validation loss; by evidence, the most probable one). "average" makes them one network whose predictions are
        the means of theirs, with `n_init * hidden_units` hidden units; error bars are those of the mixture. Where the
        penalty is weak it predicts far better, where the evidence chose it hardly; it is slower to predict with, and
        cannot be gone on with by `warm_start` or `partial_fit`.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit: exactly as if it had not stopped, if the data and the parameters other
        than `max_iter` are the same, and otherwise from its weights. Of several starts only the best is gone on with.
    n_jobs : int, optional
        The number of processes that share the starts of `n_init`, and of threads that share the rows where they are
        many; None is one process, and as many threads as BLAS may use. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of mini-batches and the validation part.
    verbose : bool or int, default=False
        Print a line after each iteration, or after every so many, with the seconds since this fit began.
    noise : {"constant", "inputs"}, default="constant"
        Whether the variance of Gaussian noise is one number, or depends on the inputs: then a second network, as
        large as the first, estimates it, if the leave-one-out density says that it is worth it. For fits by evidence in
        memory, with the loss "squared_error"; intervals are Student's, the wider the less is known of the noise.
    loss : {"squared_error", "student_t", "poisson", "gamma"}, default="squared_error"
        Which noise the targets have: Gaussian of one variance; Student's t, in which outliers weigh little, with its
        scale and its degrees of freedom estimated; counts, or rates with their exposures for
        `sample_weight`, by half the Poisson deviance; positive amounts whose deviation grows with them, by half the
        gamma deviance. The network predicts the logarithm of a count or an amount, so that predictions and intervals
        are never below 0, and y is not centred and scaled.

    Attributes
    ----------
    coefs_ : list of 2 ndarrays, of shapes (n_features, hidden_units) and (hidden_units, n_outputs)
        The weights, in the units of the data. An average of starts has `n_init` times as many hidden units.
    intercepts_ : list of 2 ndarrays, of shapes (hidden_units,) and (n_outputs,)
        The biases, in the units of the data.
    loss_ : float
        The objective at these weights, for standardised data unless `standardize=False`. Where the evidence chooses
        the penalty, the objective is the negative log evidence per sample, and this the lowest of the last stage of
        the search. Of an average of starts, this and all else that is reported of the fit, except `noise_variance_`,
        is that of the best one.
    loss_curve_ : list of float
        The objective after each iteration; with "sgd" and "adam" its mean over the batches of the epoch. Where the
        evidence chooses the penalty it rises again with each search that begins, and with each stage that takes other
        rows or another form of the curvature.
    validation_loss_curve_ : list of float
        The mean loss on the validation data after each iteration, without the penalty; only where there were any.
    n_iter_ : int
        The number of iterations.
    alpha_ : float or ndarray of shape (n_groups,)
        The penalty used, for standardised data, on the scale of the sum of losses. Chosen by evidence it has a value
        for the weights of each input, then one for the hidden biases and one for the output weights, so that n_groups
        is n_features + 2. More than 1000 inputs share one value, and n_groups is 3.
    penalty_ : {"given", "constant", "evidence", "ard"}
        Who chose it: the caller, by a number; nobody, so that it is 1.0; or the evidence.
    noise_variance_ : ndarray of shape (n_outputs,)
        The estimated variance of the noise of each output, in the squared units of y; after a fit by evidence. Of an
        average of starts, the mean of theirs. With the loss "squared_error" only. After a fit with `y_std`, also with a
        given penalty, it is that of the noise besides the known errors.
        Where noise depends on the inputs it is what is added to what `noise_model_` predicts.
    noise_model_ : TwoLayerRegressor or None
        What predicts the variance of the noise, with `noise="inputs"`; None where that is found to be constant.
    noise_scale_, degrees_of_freedom_ : ndarrays of shape (n_outputs,)
        The estimated scale, in the units of y, and the degrees of freedom of Student's distribution, from 1 to 100;
        with the loss "student_t". Of an average of starts, the geometric means of theirs.
    dispersion_ : ndarray of shape (n_outputs,)
        The estimated variance of each output relative to the square of its mean; after a fit by evidence with the loss
        "gamma".
    log_marginal_likelihood_ : float
        The log evidence of the network, in the units of y; after a fit by evidence. It is that of one mode, with the
        network linearised there, and comparable between fits of the same targets with other numbers of hidden units,
        activations or losses, as far as the curvature has the same form in both: :ref:`what can be compared
        <comparing-fits>`.
    loo_log_density_ : float
        The mean log density of each sample's target, in the units of y, predicted from all others: leave-one-out by
        one step of Newton's from the fit to all of them. NaN where a sample alone determines its own prediction; after
        a fit by evidence.
    effective_n_parameters_ : float
        The number of parameters that the data determine; after a fit by evidence.
    feature_relevances_ : ndarray of shape (n_features,)
        The prior standard deviation of the weights of each standardised input, 0 for a constant one; after a fit with
        alpha="ard".
    solver_ : solver object
        The solver used. Where the evidence chooses the penalty and `solver` is "auto", the search takes what suits
        each of its stages, and this is what would be used with a given penalty.
    n_outputs_ : int
        The number of outputs.
    n_layers_ : int
        3, as in `MLPRegressor`: input, hidden and output layer.
    out_activation_ : str
        "identity", or "exp" with the losses "poisson" and "gamma".
    n_features_in_ : int
        The number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the inputs, where X has such.

    See Also
    --------
    TwoLayerClassifier : The same network for classification.

    Notes
    -----
    The objective is the mean loss plus `alpha / (2 n_samples)` times the sum of the squared weights, weighted by
    `sample_weight`. The initial weights spread the bends of the hidden units over the range of the data (Nguyen &
    Widrow 1990).

    References
    ----------
    Rumelhart, Hinton & Williams (1986). Learning representations by back-propagating errors. Nature 323.

    Nguyen & Widrow (1990). Improving the learning speed of 2-layer neural networks by choosing initial values of the
    adaptive weights. IJCNN.

    MacKay (1992). A practical Bayesian framework for backpropagation networks. Neural Computation 4.

    McCullagh & Nelder (1989). Generalized Linear Models. Chapman & Hall.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sk2layer import TwoLayerRegressor
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> model = TwoLayerRegressor(alpha=10, random_state=0)
    >>> bool(cross_val_score(model, X, y).mean() > 0.47)
    True
    """

    _targets = RealTargets
    _parameter_constraints = {
        **BaseTwoLayer._parameter_constraints,
        "noise": [choice("constant", "inputs")],
        "loss": [choice(*LOSSES)],
    }

    @naming_parameters
    def __init__(
        self,
        hidden_units: int = 20,
        *,
        activation: str = "sigmoid",
        solver: str | Solver = "auto",
        alpha: float | str = "auto",
        standardize: bool = True,
        max_iter: int = 200,
        tol: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        n_init: int = 1,
        restarts: str = "best",
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool | int = False,
        noise: str = "constant",
        loss: str = "squared_error",
    ) -> None:
        super().__init__(
            hidden_units,
            activation=activation,
            solver=solver,
            alpha=alpha,
            standardize=standardize,
            max_iter=max_iter,
            tol=tol,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            n_init=n_init,
            restarts=restarts,
            warm_start=warm_start,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.noise = noise
        self.loss = loss

    @all_or_nothing
    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        y_std: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        coefs_init: Any = None,
        intercepts_init: Any = None,
    ) -> Self:
        """Fit the network to training data.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in any units. float32 is computed with as it is; everything else becomes float64. An array or
            DataFrame of Dask is fitted where its blocks are, by full-batch solvers; y and weights are then Dask's, too.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), optional
            How many times each sample counts; 0 is as if it were absent. Below one in the mean, weights compare the
            samples and are scaled to a mean of one: :ref:`what a weight means <weights-of-samples>`.
        y_std : array-like of the shape of y, optional
            The known standard deviation of each target's error, in the units of y. `noise_variance_` is then that of
            the noise besides, which may be nearly none, and a given `alpha` is on the scale of the sum of half the
            squared errors in units of both. In memory, and with the loss "squared_error".
        X_val, y_val, sample_weight_val : optional
            Validation data, of the same form. Their loss is recorded in `validation_loss_curve_`, and
            `early_stopping=True` watches it instead of a part of the training data.
        coefs_init : list of 2 ndarrays, of shapes (n_features, hidden_units) and (hidden_units, n_outputs), optional
            The weights to start from, in the units of the data.
        intercepts_init : list of 2 ndarrays, of shapes (hidden_units,) and (n_outputs,), optional
            The biases to start from; given together with `coefs_init`.

        Returns
        -------
        self : TwoLayerRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are not valid (before any work is done), or if the weights stop being finite.

        Warns
        -----
        ConvergenceWarning
            If the solver has not converged within `max_iter` iterations.
        """
        validation, init = (X_val, y_val, sample_weight_val), (coefs_init, intercepts_init)
        if self.noise != "inputs":
            return self._fit(X, y, sample_weight, validation, init, y_std)
        self._check_parameters(X)
        noise_of_inputs.check(self, X, y_std, validation)
        fits = noise_of_inputs.fit_in_turn(
            self, X, y, sample_weight, coefs_init=coefs_init, intercepts_init=intercepts_init
        )
        self._take_over(fits.mean)
        self._interrupted = self._interrupted or fits.interrupted
        self.noise_model_ = fits.variance
        for message in fits.said:
            warnings.warn(message, stacklevel=1 + FRAMES_OF_FIT)
        return self

    @where_the_rows_are
    def predict(self, X: Any, return_std: bool = False, *, include_noise: bool = True) -> Array | tuple[Array, Array]:
        """Predict the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.
        return_std : bool, default=False
            Whether to return the standard deviation of each prediction, too; after a fit by evidence.
        include_noise : bool, default=True
            Whether that is the standard deviation of a new y, or of the model's part alone. Of known errors of the
            training targets, `y_std`, a new y has none.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions, in the units and with the dimensions of the y that was fitted: with the losses "poisson"
            and "gamma" the exponentials of what the network predicts, which are the rates. For rows from
            Dask, as for all methods that predict, an array of Dask of which nothing is computed yet.
        std : ndarray like y
            Their standard deviations, only with `return_std`. With the loss "student_t" and no more than two degrees
            of freedom they are infinite; intervals are not.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If `return_std` is asked of a fit with a given penalty.
        """
        Z = self._raw_prediction(X)
        if not return_std:
            return self._of_outputs(self._fitted_loss().inverse_link(Z))
        variance, loss = raw_variance_of(self, X), self._fitted_loss()
        if loss.has_noise:
            variance = variance + noise_variance_of(self, X) if include_noise else variance
        else:
            variance = loss.variance(Z.astype(np.float64), variance, include_noise=include_noise)
        return self._of_outputs(loss.inverse_link(Z)), self._of_outputs(held_in(np.sqrt(variance), Z.dtype))

    @where_the_rows_are
    def predict_interval(self, X: Any, confidence_level: float = 0.95, *, include_noise: bool = True) -> Array:
        """Return the interval in which each target lies with the given probability; after a fit by evidence.

        Of counts, it is the shortest list of them that leaves at most half of the rest on either side.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.
        confidence_level : float in (0, 1), default=0.95
            The probability.
        include_noise : bool, default=True
            Whether the interval is for a new y, or for its mean alone.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Its lower and upper end, in the units of y.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If `confidence_level` is not in (0, 1), or after a fit with a given penalty.
        """
        check_confidence_level(confidence_level)
        if not self._fitted_loss().has_noise or noise_model_of(self) is not None:
            levels = [0.5 - 0.5 * confidence_level, 0.5 + 0.5 * confidence_level]
            return self.predict_quantile(X, levels, include_noise=include_noise)
        y, std = self.predict(X, return_std=True, include_noise=include_noise)
        return interval(y, std, posterior_of(self).degrees_of_freedom, confidence_level)

    @where_the_rows_are
    def predict_quantile(self, X: Any, q: Any, *, include_noise: bool = True) -> Array:
        """Return what each target is at most with the given probability; after a fit by evidence.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.
        q : float in (0, 1) or array-like of shape (n_quantiles,)
            The probability, or several of them.
        include_noise : bool, default=True
            Whether the quantiles are those of a new y, or of its mean alone.

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of y; for several probabilities with a last axis of shape (n_quantiles,). A quantile of counts
            is the least count that is not exceeded with this probability at least.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If `q` is not in (0, 1), or after a fit with a given penalty.
        """
        return self._of_outputs(quantiles(new_targets_of(self, X, include_noise=include_noise), q))

    def _of_outputs(self, values: Array) -> Array:
        """Return values of shape (n_samples, n_outputs) with the dimensions of the y that was fitted."""
        return values if self._y_is_matrix else values[:, 0]

    @where_the_rows_are
    def predict_gradient(self, X: Any, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Return the slopes of the predictions: their derivatives by each input.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.
        return_std : bool, default=False
            Whether to return the standard deviation of each slope, too; after a fit by evidence.

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            In units of y by units of X. There is an axis for outputs where `predict` has one.
        std : ndarray like gradient
            Their standard deviations, only with `return_std`. Of an average of starts they include how far the slopes
            of its networks differ.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If `return_std` is asked of a fit with a given penalty.

        Examples
        --------
        >>> import numpy as np
        >>> from sk2layer import TwoLayerRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-2, 2, (100, 2))
        >>> y = np.sin(X[:, 0]) + 3 * X[:, 1] + 0.1 * rng.normal(size=100)
        >>> model = TwoLayerRegressor(5, random_state=0).fit(X, y)
        >>> slope, std = model.predict_gradient([[0.0, 0.0]], return_std=True)
        >>> bool(np.all(abs(slope - [1, 3]) < 3 * std))
        True
        """
        gradient, loss = self._raw_prediction(X, predict_slopes), self._fitted_loss()
        is_linked = loss.out_activation != "identity"
        if is_linked:
            gradient = chained(loss, self._raw_prediction(X), gradient)
        if not return_std:
            return self._of_outputs(gradient)
        (std,) = self._of_slopes(X, partial(link_deviations, loss=loss) if is_linked else raw_deviations)
        return self._of_outputs(gradient), self._of_outputs(std)

    def to_mlp(self) -> MLPRegressor:
        """Return the same network as a fitted `MLPRegressor`, for tools that know that.

        Its `predict` is that of this estimator, but for one column of y, which it makes one-dimensional. It has no
        standard deviations, and its parameters of training are scikit-learn's defaults, not those of this fit.

        Returns
        -------
        mlp : MLPRegressor
            With copies of the weights, `loss_`, `loss_curve_`, `n_iter_` and the names of the inputs.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            After a fit with a loss that scikit-learn's does not have: "gamma", or before its version 1.7 "poisson".

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_diabetes
        >>> from sk2layer import TwoLayerRegressor
        >>> X, y = load_diabetes(return_X_y=True, scaled=False)
        >>> model = TwoLayerRegressor(alpha=10, random_state=0).fit(X, y)
        >>> bool(np.allclose(model.to_mlp().predict(X), model.predict(X), rtol=1e-12))
        True
        """
        check_is_fitted(self)
        loss = {} if self.out_activation_ == "identity" else {"loss": self._loss}
        if not loss.keys() <= MLPRegressor().get_params().keys() or self._loss == "gamma":
            raise ValueError(f"MLPRegressor has no loss={self._loss!r}, or not in this version of scikit-learn.")
        return to_mlp(MLPRegressor, self, np.zeros((1, self.n_outputs_) if self.n_outputs_ > 1 else 1), loss)

    @available_if(takes_batches)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, *, n_samples_total: float | None = None) -> Self:
        """Take one epoch over a batch of the training data; solvers "sgd" and "adam" only.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs of the batch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets of the batch.
        sample_weight : array-like of shape (n_samples,), optional
            How many times each sample counts, or, below one in the mean of the batch, how they compare:
            :ref:`what a weight means <weights-of-samples>`.
        n_samples_total : float, optional
            The number of samples in all batches together, or the sum of their weights: the penalty of a batch is its
            share of `alpha`. By default the distinct rows so far are counted: rows that come again, in any order and
            in other batches, are known by their values. Say it where these change with each epoch, as by added noise,
            or where many samples are equal.

        Returns
        -------
        self : TwoLayerRegressor
            The estimator, ready to predict and for the next batch.

        Raises
        ------
        ValueError
            If a parameter or the data are not valid, or if the weights stop being finite.
        """
        return self._partial_fit(X, y, sample_weight, n_samples_total)

    def _make_targets(self, y: Any, classes: Any = None) -> RealTargets:
        return RealTargets.of(y, LOSSES[self.loss])

    def _remembered_targets(self) -> RealTargets:
        return RealTargets(self.n_outputs_, is_matrix=self._y_is_matrix, loss=LOSSES[self._loss])

    def _remember_targets(self, targets: Any) -> None:
        self._y_is_matrix, self._loss = targets.is_matrix, targets.loss.name

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss in ("poisson", "gamma")
        return tags
