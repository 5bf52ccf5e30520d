"""Classification: labels, log loss, a sigmoid output for two classes or several labels, softmax for several classes."""

from functools import partial
from typing import Any, Self

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._typing import Array
from .estimator.base import BaseTwoLayer
from .estimator.data import where_the_rows_are
from .estimator.incremental import IncrementalTwoLayer, takes_batches
from .estimator.mlp import to_mlp
from .estimator.targets import LabelTargets, sorted_labels
from .evidence.slopes import chained, log_odds_slopes, probability_slopes
from .evidence.uncertainty import moderate
from .rows.predict import predict_slopes
from .solvers import Solver
from .solvers._parameters import choice, naming_parameters

# Longer than 300 lines: two thirds of them are docstrings of public methods.


class TwoLayerClassifier(ClassifierMixin, IncrementalTwoLayer):
    """A neural network with one hidden layer for classification: log loss, sigmoid or softmax output.

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
        Whether to centre and scale X for training. The scaling is folded back into the weights, which are in the
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
        validation loss; by evidence, the most probable one). "average" makes them one network whose raw predictions are
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
    class_weight : dict, "balanced" or None, default=None
        How much the samples of each class count: a number for each label (1 where it is missing), or "balanced" for
        the same total in each class of the training data. Where the evidence chooses the penalty, all together count as
        the effective sample size: :ref:`what a weight means <weights-of-samples>`. Samples of the validation data count
        as much. Labels that the data do not have are passed over, as they may be missing in a fold.

    Attributes
    ----------
    coefs_ : list of 2 ndarrays, of shapes (n_features, hidden_units) and (hidden_units, n_outputs)
        The weights, in the units of the data. An average of starts has `n_init` times as many hidden units.
    intercepts_ : list of 2 ndarrays, of shapes (hidden_units,) and (n_outputs,)
        The biases, in the units of the data.
    loss_ : float
        The objective at these weights, for standardised data unless `standardize=False`. Where the evidence chooses
        the penalty, the objective is the negative log evidence per sample, and this the lowest of the last stage of
        the search. Of an average of starts, this and all else that is reported of the fit is that of the best one.
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
    log_marginal_likelihood_ : float
        The log evidence of the network; after a fit by evidence. It is that of one mode, with the network linearised
        there, and comparable between fits of the same targets with other numbers of hidden units or activations, as
        far as the curvature has the same form in both: :ref:`what can be compared <comparing-fits>`.
    loo_log_density_ : float
        The mean log probability of each sample's label, predicted from all others: leave-one-out by one step of
        Newton's from the fit to all of them. NaN where a sample alone determines its own prediction; after a fit by
        evidence.
    effective_n_parameters_ : float
        The number of parameters that the data determine; after a fit by evidence.
    feature_relevances_ : ndarray of shape (n_features,)
        The prior standard deviation of the weights of each standardised input, 0 for a constant one; after a fit with
        alpha="ard".
    solver_ : solver object
        The solver used. Where the evidence chooses the penalty and `solver` is "auto", the search takes what suits
        each of its stages, and this is what would be used with a given penalty.
    classes_ : ndarray of shape (n_classes,)
        The sorted labels, or the numbers of the columns of a multilabel y.
    n_outputs_ : int
        The number of outputs.
    n_layers_ : int
        3, as in `MLPClassifier`: input, hidden and output layer.
    out_activation_ : str
        "sigmoid" for two classes or several labels, "softmax" for several classes.
    n_features_in_ : int
        The number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the inputs, where X has such.

    See Also
    --------
    TwoLayerRegressor : The same network for regression.

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
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import cross_val_score
    >>> from sk2layer import TwoLayerClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> bool(cross_val_score(TwoLayerClassifier(random_state=0), X, y).mean() > 0.95)
    True
    """

    _targets = LabelTargets
    _parameter_constraints = {
        **BaseTwoLayer._parameter_constraints,
        "class_weight": [dict, choice("balanced"), None],
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
        class_weight: dict[Any, float] | str | None = None,
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
        self.class_weight = class_weight

    @where_the_rows_are
    def predict(self, X: Any) -> Any:
        """Predict the class, or the labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            The most probable class; with several labels, 1 for each that is more probable than not. For rows from
            Dask, as for all methods that predict, an array of Dask of which nothing is computed yet.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        Z = self._moderated_prediction(X)
        if self._multilabel:
            return (Z > 0.0).astype(int)
        return self.classes_[self._remembered_targets().codes(Z)]

    @where_the_rows_are
    def decision_function(self, X: Any) -> Array:
        """Return the raw prediction, the log odds.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.

        Returns
        -------
        score : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            For two classes the log odds of the second, `classes_[1]`; for several classes their log probabilities up
            to a constant; for several labels the log odds of each.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        Z = self._moderated_prediction(X)
        return Z[:, 0] if len(self.classes_) == 2 and not self._multilabel else Z

    @where_the_rows_are
    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class or label.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of `classes_`.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        Z = self._moderated_prediction(X)
        targets = self._remembered_targets()
        p = targets.loss.inverse_link(Z)
        return p if targets.multilabel or p.shape[1] > 1 else np.hstack([1.0 - p, p])

    @where_the_rows_are
    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of what `predict_proba` returns, accurate for the smallest probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of `classes_`.
        """
        Z = self._moderated_prediction(X)
        if self._multilabel:
            return log_expit(Z)
        return log_softmax(Z, axis=1) if Z.shape[1] > 1 else log_expit(np.hstack([-Z, Z]))

    @where_the_rows_are
    def predict_gradient(
        self, X: Any, return_std: bool = False, *, of: str = "predict_proba"
    ) -> Array | tuple[Array, Array]:
        """Return the slopes of the probabilities: their derivatives by each input.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.
        return_std : bool, default=False
            Whether to return the standard deviation of each slope, too; after a fit by evidence.
        of : {"predict_proba", "decision_function"}, default="predict_proba"
            Whether the slopes are those of the probabilities or of the log odds.

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            For two classes the slopes of the probability of the second, `classes_[1]`, or of its log odds, shape
            (n_samples, n_features); those of the first are the same with the other sign. For several classes or labels
            those of each.
        std : ndarray like gradient
            Their standard deviations, only with `return_std`. Those of the log odds are the standard deviations of the
            slopes of the raw prediction, as much smaller as `decision_function` is where it is unsure.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If `of` is none of its values, or `return_std` is asked of a fit with a given penalty.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sk2layer import TwoLayerClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = TwoLayerClassifier(5, random_state=0).fit(X, y)
        >>> slope, std = model.predict_gradient(X, return_std=True)
        >>> slope.shape
        (150, 3, 4)
        """
        if of not in ("predict_proba", "decision_function"):
            raise ValueError(f"of must be 'predict_proba' or 'decision_function'. Got {of!r}.")
        check_is_fitted(self)
        loss, std = self._remembered_targets().loss, return_std
        reduce = partial(probability_slopes if of == "predict_proba" else log_odds_slopes, loss=loss, return_std=std)
        if return_std or self._posterior is not None:
            found = self._of_slopes(X, reduce)
        else:
            Z, slopes = self._raw_prediction(X), self._raw_prediction(X, predict_slopes)
            found = [slopes if of == "decision_function" else chained(loss, Z, slopes)]
        found = [array[:, 0] for array in found] if not self._multilabel and self.n_outputs_ == 1 else found
        return (found[0], found[1]) if return_std else found[0]

    def to_mlp(self) -> MLPClassifier:
        """Return the same network as a fitted `MLPClassifier`, for tools that know that.

        Its `predict_proba` is plain: the probabilities of the network with the weights `coefs_` and `intercepts_`.
        After a fit by evidence, the probabilities of this estimator are averages over all weights that the data leave
        possible, which are closer to even odds; the MLP's are not, and of several classes it may then name another one.
        After a fit with a number for `alpha` they are the same. Its parameters of training are scikit-learn's defaults,
        not those of this fit.

        Returns
        -------
        mlp : MLPClassifier
            With copies of the weights, `loss_`, `loss_curve_`, `n_iter_`, the labels and the names of the inputs.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sk2layer import TwoLayerClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = TwoLayerClassifier(alpha=1, random_state=0).fit(X, y)
        >>> bool(np.allclose(model.to_mlp().predict_proba(X), model.predict_proba(X), atol=1e-12))
        True
        """
        check_is_fitted(self)
        y = np.eye(self.n_outputs_, dtype=int) if self._multilabel else self.classes_
        return to_mlp(MLPClassifier, self, y, classes=self.classes_)

    @available_if(takes_batches)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None, *, n_samples_total: float | None = None
    ) -> Self:
        """Take one epoch over a batch of the training data; solvers "sgd" and "adam" only.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs of the batch.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The labels of the batch.
        classes : array-like of shape (n_classes,), optional
            All classes that will occur; needed in the first call if its y has not all of them.
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
        self : TwoLayerClassifier
            The estimator, ready to predict and for the next batch.

        Raises
        ------
        ValueError
            If a parameter or the data are not valid, if y has labels not in `classes`, or if the weights stop being
            finite.
        """
        if classes is not None and getattr(self, "_stream", None) is not None and not self._multilabel:
            known = self.classes_.tolist()
            if sorted_labels(classes).tolist() != known:
                raise ValueError(f"classes must be the same in every call: {known}. Got {classes}.")
        return self._partial_fit(X, y, sample_weight, n_samples_total, classes)

    def _check_batch_parameters(self) -> None:
        super()._check_batch_parameters()
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight must be a dict or None for partial_fit: a batch does not tell how rare a class is. "
                "Got 'balanced'."
            )

    def _moderated_prediction(self, X: Any) -> Array:
        """Return the raw predictions; after a fit by evidence they are nearer to zero where their variance is large."""
        Z = self._raw_prediction(X)
        if self._posterior is None:
            return Z
        shift_invariant = self._remembered_targets().loss.shift_invariant
        return moderate(Z, self._predictive_covariance(X), shift_invariant=shift_invariant)

    def _make_targets(self, y: Any, classes: Any = None) -> LabelTargets:
        return LabelTargets.of(y, classes)

    def _remembered_targets(self) -> LabelTargets:
        return LabelTargets(self.classes_, multilabel=self._multilabel)

    def _remember_targets(self, targets: Any) -> None:
        self.classes_, self._multilabel = targets.classes, targets.multilabel

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
