"""The fitted attributes of an estimator, and the raw predictions made with them."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, Self, TypeVar, cast

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._typing import Array
from ..evidence.slopes import Members, by_blocks
from ..evidence.uncertainty import FittedPosterior, Mixture
from ..model.activations import ACTIVATIONS
from ..model.network import Shape, Weights, pack
from ..rows.predict import Predict, predict_in_threads, predict_raw
from ..rows.scaling import RunningScaling
from ..rows.seen_rows import SeenRows
from ..rows.threads import PASS_OPERATIONS, one_blas_thread, thread_budget
from ..solvers import Solver
from .by_evidence import (
    DEFAULT_ALPHA,
    EVIDENCE_ATTRIBUTES,
    NOISE_ATTRIBUTES,
    evidence_attributes,
    noise_attributes,
)
from .callback_support import CallbackSupportMixin, without_callbacks
from .checks import check_rows
from .outcome import FitState, Outcome, Stream
from .persistence import Portable
from .problem import Problem
from .targets import Targets

OPTIONAL_ATTRIBUTES = EVIDENCE_ATTRIBUTES | NOISE_ATTRIBUTES | {"noise_model_", "validation_loss_curve_"}
"""What only some fits leave."""

P = ParamSpec("P")
T = TypeVar("T")


def all_or_nothing(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Make a method that fits restore all attributes of the estimator if it raises."""

    @wraps(method)
    def fit(self: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return cast(Callable[Concatenate[Any, P], T], fit)


class Context(NamedTuple):
    """What is known of a fit before it begins, and needed when it ends.

    Attributes
    ----------
    problem : Problem
        What is minimised.
    solver : Solver
        By what.
    targets : Targets
        How y is encoded.
    running : RunningScaling
        The statistics of all rows so far.
    seen : SeenRows or None
        What batches that follow need to know of these rows, if they may follow.
    """

    problem: Problem
    solver: Solver
    targets: Targets
    running: RunningScaling
    seen: SeenRows | None


class FittedTwoLayer(CallbackSupportMixin, Portable, metaclass=ABCMeta):
    """The fitted attributes of a two-layer network, and raw predictions."""

    activation: str
    alpha: float | str
    n_jobs: int | None
    warm_start: bool
    _posterior: FittedPosterior | Mixture | None
    _noise: Array
    _fit_state: FitState | None

    @abstractmethod
    def _remember_targets(self, targets: Targets) -> None:
        """Keep what prediction needs to know of the targets."""

    def _alpha(self) -> float:
        return DEFAULT_ALPHA if isinstance(self.alpha, str) else float(self.alpha)

    def _take_over(self, other: Self) -> None:
        """Replace the fitted attributes by those of another fitted estimator of the same class."""
        for name in (OPTIONAL_ATTRIBUTES | {"feature_names_in_"}) & vars(self).keys():
            delattr(self, name)
        of_the_fit = vars(without_callbacks(other)).keys() - other.get_params(deep=False).keys()
        self.__dict__.update({name: getattr(other, name) for name in of_the_fit})
        self._fit_state = self._fit_state if self.warm_start else None

    def _as_of(self, context: Context, outcome: Outcome) -> Self:
        """Return a copy of the estimator, fitted with this outcome of an iteration, from which the fit can go on."""
        now = without_callbacks(self)
        now._finish(context, outcome)
        now._fit_state = outcome.state
        return now

    def _finish(self, context: Context, outcome: Outcome) -> None:
        """Set all fitted attributes, at the end of a fit."""
        problem, solver, targets, running, seen = context
        monitor, weights = outcome.monitor, outcome.weights(problem.shape)
        W1, b1, W2, b2 = _in_range(problem.scaling.fold_out(weights), problem.weights_dtype)
        self._remember_targets(targets)
        self.coefs_, self.intercepts_ = [W1, W2], [b1, b2]
        self.n_outputs_, self.n_layers_ = len(b2), 3
        self.loss_ = outcome.loss
        self.loss_curve_ = list(monitor.loss_curve)
        self.n_iter_ = len(self.loss_curve_)
        self.out_activation_ = problem.network.loss.out_activation
        self.alpha_: float | Array = self._alpha()
        self.penalty_ = "constant" if isinstance(self.alpha, str) else "given"
        for name in OPTIONAL_ATTRIBUTES & vars(self).keys():
            delattr(self, name)  # of an earlier fit
        self.__dict__.update(evidence_attributes(outcome, problem, self.activation, self.alpha))
        self.__dict__.update(noise_attributes(outcome, problem))
        if problem.validation is not None:
            self.validation_loss_curve_ = list(monitor.validation_loss_curve)
        self.solver_ = clone(solver) if solver is self.solver else solver  # the caller's own object may change
        self._activation = self.activation  # so may the parameter
        self._fit_state = outcome.state if self.warm_start else None
        self._interrupted = outcome.interrupted  # a search has to know
        self._knows_errors = problem.network.loss.may_vanish  # of its targets, each its own
        self._stream: Stream | None = None
        if seen is not None:
            theta, state, seed = pack(weights).astype(problem.dtype), outcome.solver_state, outcome.run_seed
            self._stream = Stream(running, problem.scaling, seen, theta, type(solver), state, seed)

    def _fitted_loss(self) -> Any:
        """Return the loss of the fit, at the parameters of its noise."""
        loss: Any = self._remembered_targets().loss
        return loss.at(self._noise) if loss.parameters else loss

    def _raw_prediction(self, X: Any, predict: Predict = predict_raw) -> Array:
        """Return the raw predictions, shape (n_samples, n_outputs), in the floating type of the weights.

        With `predict=predict_slopes` they are the slopes of these, shape (n_samples, n_outputs, n_features).
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        (W1, W2), (b1, b2) = self.coefs_, self.intercepts_
        return predict_in_threads(X, Weights(W1, b1, W2, b2), ACTIVATIONS[self._activation], self.n_jobs, predict)

    def _predictive_covariance(self, X: Any) -> Array:
        """Return the posterior covariance of the raw predictions, shape (n_samples, n_outputs, n_outputs)."""
        posterior, X = self._known_posterior(), check_rows(self, X, reset=False)
        n_threads = thread_budget(self.n_jobs) if X.shape[0] * self.coefs_[0].size >= PASS_OPERATIONS else 1
        with one_blas_thread():
            return posterior.covariance(X, n_threads)

    def _of_slopes(self, X: Any, reduce: Callable[[Members], tuple[Array, ...]]) -> list[Array]:
        """Return what `reduce` makes of the posterior's moments of slopes, in the floating type of the weights."""
        check_is_fitted(self)
        posterior, X = self._known_posterior(), check_rows(self, X, reset=False)
        W1, W2 = self.coefs_
        shape = Shape(len(W1), len(W2), W2.shape[1])
        return [array.astype(W1.dtype) for array in by_blocks(X, posterior, shape, reduce, self.n_jobs)]

    def _known_posterior(self) -> FittedPosterior | Mixture:
        if self._posterior is None:
            raise ValueError(
                'The variance of predictions needs a fit by evidence: alpha="evidence" or "ard", or "auto" with '
                f'solver "auto", "lbfgs" or "lm" and without early stopping. Got alpha={self.alpha!r}, and the '
                f"penalty {self.alpha_:g} was used."
            )
        return self._posterior

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _in_range(weights: Weights, dtype: Any) -> Weights:
    """Return weights in a floating type that can hold them; raise ValueError where it cannot."""
    with np.errstate(over="ignore"):
        held = Weights(*(array.astype(dtype) for array in weights))
    if not all(np.isfinite(array).all() for array in held):
        raise ValueError(
            f"The weights are beyond the range of {np.dtype(dtype)} in the units of X and y. Divide y or X by a power "
            "of ten, or pass X as float64."
        )
    return held
