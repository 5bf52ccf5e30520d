"""Regression: real targets, half the squared error, a linear output."""

from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if

from ._typing import Array
from .data import Targets
from .incremental import IncrementalTwoLayer, takes_batches
from .losses import HalfSquaredError


class RealTargets(Targets):
    """Targets that are numbers: one column or several."""

    loss = HalfSquaredError()
    scaled = True

    def __init__(self, n_outputs: int, *, is_matrix: bool) -> None:
        self.n_outputs, self.is_matrix = n_outputs, is_matrix

    @classmethod
    def of(cls, y: Any) -> "RealTargets":
        """Return the kind of these targets."""
        y = _check_numbers(y, "y")
        return cls(1 if y.ndim == 1 else y.shape[1], is_matrix=y.ndim == 2)

    def encode(self, y: Any, name: str = "y") -> Array:
        """Return the numbers as a matrix."""
        Y = _check_numbers(y, name)
        Y = Y.reshape(len(Y), -1)
        if Y.shape[1] != self.n_outputs:
            raise ValueError(f"{name} must have {self.n_outputs} column(s). Got {Y.shape[1]}.")
        return Y

    def strata(self, Y: Array) -> None:
        """Return None: numbers have no classes."""
        return None


def _check_numbers(y: Any, name: str) -> Array:
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name=name, ensure_min_samples=0)
    if y.ndim not in (1, 2):
        raise ValueError(f"{name} must have shape (n_samples,) or (n_samples, n_outputs). Got {y.shape}.")
    return y


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
        can be set as `solver__<name>` in either case. "auto" is Levenberg-Marquardt, or Adam where data and
        network are large (n_samples times number of parameters above 1e9).
    alpha : float or "auto", default="auto"
        The strength of the L2 penalty on the weights (not on the biases), on the scale of the sum of losses. "auto"
        is 1.0.
    standardize : bool, default=True
        Whether to centre and scale X and y for training. The scaling is folded back into the weights, which are in the
        units of the data. A constant column gets the weight zero.
    max_iter : int, default=200
        The largest number of iterations (epochs).
    tol : float, default=1e-4
        The tolerance of the solver's stopping rule, and what counts as a fall of the validation loss.
    early_stopping : bool, default=False
        Whether to stop when the validation loss has not fallen for `n_iter_no_change` iterations, and to return to the
        weights at its lowest. It is measured on the validation data passed to `fit`, or on a part of the training
        data.
    validation_fraction : float in (0, 1), default=0.1
        The part of the training data that is set aside for `early_stopping` where no validation data are passed.
    n_iter_no_change : int, default=10
        The patience of `early_stopping`, and of "sgd" and "adam" with the objective.
    n_init : int, default=1
        The number of random starts; the one with the lowest objective (with `early_stopping`, validation loss) is kept.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit: exactly as if it had not stopped, if the data and the parameters other
        than `max_iter` are the same, and otherwise from its weights. Of several starts only the best is gone on with.
    n_jobs : int, optional
        The number of processes that share the starts of `n_init`, and of threads that share the rows where they are
        many; None is one process, and as many threads as BLAS may use. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of mini-batches and the validation part.
    verbose : bool or int, default=False
        Print a line after each iteration, or after every so many.

    Attributes
    ----------
    coefs_ : list of 2 ndarrays, of shapes (n_features, hidden_units) and (hidden_units, n_outputs)
        The weights, in the units of the data.
    intercepts_ : list of 2 ndarrays, of shapes (hidden_units,) and (n_outputs,)
        The biases, in the units of the data.
    loss_ : float
        The objective at these weights, for standardised data unless `standardize=False`.
    loss_curve_ : list of float
        The objective after each iteration.
    validation_loss_curve_ : list of float
        The mean loss on the validation data after each iteration, without the penalty; only where there were any.
    n_iter_ : int
        The number of iterations.
    alpha_ : float
        The penalty used.
    solver_ : solver object
        The solver used.
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

    Notes
    -----
    The objective is the mean loss plus `alpha / (2 n_samples)` times the sum of the squared weights, weighted by
    `sample_weight`. The initial weights follow Glorot & Bengio (2010), scaled to the activation.

    References
    ----------
    Rumelhart, Hinton & Williams (1986). Learning representations by back-propagating errors. Nature 323.

    Glorot & Bengio (2010). Understanding the difficulty of training deep feedforward neural networks. AISTATS.

    See Also
    --------
    TwoLayerClassifier : The same network for classification.

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

    def predict(self, X: Any) -> Array:
        """Predict the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs, in the units of the training data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions, in the units and with the dimensions of the y that was fitted.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        Z = self._raw_prediction(X)
        return Z if self._y_is_matrix else Z[:, 0]

    @available_if(takes_batches)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Take one epoch over a batch of the training data; solvers "sgd" and "adam" only.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The inputs of the batch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets of the batch.
        sample_weight : array-like of shape (n_samples,), optional
            How many times each sample counts.

        Returns
        -------
        self : TwoLayerRegressor
            The estimator, ready to predict and for the next batch.

        Raises
        ------
        ValueError
            If a parameter or the data are not valid, or if the weights stop being finite.
        """
        return self._partial_fit(X, y, sample_weight)

    def _make_targets(self, y: Any, classes: Any = None) -> RealTargets:
        return RealTargets.of(y)

    def _remembered_targets(self) -> RealTargets:
        return RealTargets(self.n_outputs_, is_matrix=self._y_is_matrix)

    def _remember_targets(self, targets: Any) -> None:
        self._y_is_matrix = targets.is_matrix
