"""Regression: real targets, half the squared error, a linear output."""

from typing import Any, Self, cast

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.neural_network import MLPRegressor
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._typing import Array
from .estimator.data import where_the_rows_are
from .estimator.incremental import IncrementalTwoLayer, takes_batches
from .estimator.mlp import to_mlp
from .estimator.targets import RealTargets
from .evidence.slopes import raw_deviations
from .evidence.uncertainty import FittedPosterior, Mixture, check_confidence_level, interval
from .rows.predict import predict_slopes

# Longer than 300 lines: two thirds of them are docstrings of public methods.


class TwoLayerRegressor(MultiOutputMixin, RegressorMixin, IncrementalTwoLayer):
    """A neural network with one hidden layer for regression: squared error, linear output.

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
        The penalty used, for standardised data. Chosen by evidence it has a value for the weights of each input, then
        one for the hidden biases and one for the output weights, so that n_groups is n_features + 2. More than 1000
        inputs share one value, and n_groups is 3.
    penalty_ : {"given", "constant", "evidence", "ard"}
        Who chose it: the caller, by a number; nobody, so that it is 1.0; or the evidence.
    noise_variance_ : ndarray of shape (n_outputs,)
        The estimated variance of the noise of each output, in the squared units of y; after a fit by evidence. Of an
        average of starts, the mean of theirs.
    log_marginal_likelihood_ : float
        The log evidence of the network, in the units of y; after a fit by evidence. It is that of one mode, with the
        network linearised there, and comparable between fits of the same targets with other numbers of hidden units or
        activations, as far as the curvature has the same form in both: :ref:`what can be compared <comparing-fits>`.
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
        "identity".
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
            Whether that is the standard deviation of a new y, or of the model's part alone.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions, in the units and with the dimensions of the y that was fitted. For rows from
            Dask, as for all methods that predict, an array of Dask of which nothing is computed yet.
        std : ndarray like y
            Their standard deviations, only with `return_std`.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If `return_std` is asked of a fit with a given penalty.
        """
        Z = self._raw_prediction(X)
        y = Z if self._y_is_matrix else Z[:, 0]
        if not return_std:
            return y
        variance = np.einsum("nkk->nk", self._predictive_covariance(X))
        std = np.sqrt(variance + self.noise_variance_ if include_noise else variance).astype(Z.dtype)
        return y, std if self._y_is_matrix else std[:, 0]

    @where_the_rows_are
    def predict_interval(self, X: Any, confidence_level: float = 0.95, *, include_noise: bool = True) -> Array:
        """Return the interval in which each target lies with the given probability; after a fit by evidence.

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
        y, std = self.predict(X, return_std=True, include_noise=include_noise)
        known_by = cast(FittedPosterior | Mixture, self._posterior).degrees_of_freedom
        return interval(y, std, known_by, confidence_level)

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
        gradient = self._raw_prediction(X, predict_slopes)
        gradient = gradient if self._y_is_matrix else gradient[:, 0]
        if not return_std:
            return gradient
        (std,) = self._of_slopes(X, raw_deviations)
        return gradient, std if self._y_is_matrix else std[:, 0]

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
        return to_mlp(MLPRegressor, self, np.zeros((1, self.n_outputs_) if self.n_outputs_ > 1 else 1))

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
        return RealTargets.of(y)

    def _remembered_targets(self) -> RealTargets:
        return RealTargets(self.n_outputs_, is_matrix=self._y_is_matrix)

    def _remember_targets(self, targets: Any) -> None:
        self._y_is_matrix = targets.is_matrix
