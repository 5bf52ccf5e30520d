"""What a fit is, for both estimators: check, standardise, minimise, fold the scaling back, report."""

import sys
import warnings
from abc import abstractmethod
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import validate_data

from ._typing import Array
from .activations import ACTIVATIONS
from .callback_support import FRAMES_OF_FIT, Reporter, with_callbacks
from .dask_input import check_fit_on_dask
from .data import (
    Data,
    Targets,
    check_init,
    check_rows,
    check_validation_data,
    check_weight,
    draw_seed,
    is_dask,
    make_data,
    split,
    warn_of_relative_weights,
)
from .evidence import EvidenceSearch, make_stages
from .fitted import FittedTwoLayer, all_or_nothing
from .network import Shape, Weights
from .penalty import check_evidence_parameters, shortcomings
from .scaling import COPY_BYTES, RunningScaling, Scaling
from .solver_choice import cheapest_solver, density_of
from .solvers import SOLVERS, Solver
from .solvers._parameters import INFINITY, check_parameters, choice, integer, naming_parameters, real
from .threads import one_blas_thread, thread_budget
from .training import RESTARTS, FitSettings, FitState, Outcome, Problem, check_restarts, minimize

EVIDENCE_SOLVERS = SOLVERS["lbfgs"], SOLVERS["lm"]
"""With these and "auto", alpha="auto" is "evidence"; the others are asked for to be what they are."""


class BaseTwoLayer(FittedTwoLayer):
    """Parameters and fit of a two-layer network; the subclasses add what y means."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_units": [integer(1)],
        "activation": [choice(*ACTIVATIONS, note=" ('sigmoid' is what scikit-learn calls 'logistic')")],
        "solver": [choice("auto", *SOLVERS), Solver],
        "alpha": [real(0.0), choice("auto", "evidence", "ard")],
        "standardize": ["boolean"],
        "max_iter": [integer(1)],
        "tol": [real(0.0)],
        "early_stopping": ["boolean"],
        "validation_fraction": [real(0.0, 1.0, closed="neither")],
        "n_iter_no_change": [integer(1), INFINITY],
        "n_init": [integer(1)],
        "restarts": [choice(*RESTARTS)],
        "warm_start": ["boolean"],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["boolean", integer(0)],
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
    ) -> None:
        self.hidden_units = hidden_units
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_init = n_init
        self.restarts = restarts
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ what the subclasses say

    @abstractmethod
    def _make_targets(self, y: Any, classes: Any = None) -> Targets:
        """Return how this y is encoded."""

    @abstractmethod
    def _remembered_targets(self) -> Targets:
        """Return how the y of the last fit was encoded."""

    @staticmethod
    def _kinds(y: Any, weight: Array | None) -> tuple[Any, Array]:
        """Return a y that says as much of its kind as this one does, and the total weight of each of its rows."""
        return np.asarray(y)[:1], np.ones(len(y[:1]))

    def _class_factors(self, targets: Targets, Y: Any, weight: Array | None, *, by_evidence: bool) -> Array | None:
        """Return what the weights of each class are multiplied by, given encoded targets and their weights."""
        return None

    # ------------------------------------------------------------------ parameters

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of the solver as `solver__<name>` also where the solver was given by name.

        Parameters
        ----------
        **params : dict
            The parameters by name.

        Returns
        -------
        self : estimator
            The estimator itself.
        """
        nested = {key: params.pop(key) for key in list(params) if key.startswith("solver__")}
        super().set_params(**params)
        if nested and isinstance(self.solver, str):
            if self.solver not in SOLVERS:
                raise ValueError(
                    f"solver={self.solver!r} has no parameters to set ({', '.join(nested)}). "
                    f"Name one of {sorted(SOLVERS)} or pass a solver object."
                )
            self.solver = SOLVERS[self.solver]()
        return super().set_params(**nested)

    def _takes_batches(self) -> bool:
        """Return whether the solver works on mini-batches, as far as it is known without data."""
        solver = SOLVERS.get(self.solver) if isinstance(self.solver, str) else self.solver
        return getattr(solver, "supports_partial_fit", False)

    def _make_solver(self, data: Data, shape: Shape, targets: Targets) -> Solver:
        """Return the solver to use."""
        if not isinstance(self.solver, str):
            return self.solver
        name = self.solver
        if name == "auto" and self._grouping():
            activation = ACTIVATIONS[self.activation]
            return make_stages(data.X.shape[0], shape, targets.loss, activation, None)[-1].solver
        if name == "auto":
            network, density = (shape, targets.loss, self.activation), density_of(data.X)
            name = cheapest_solver(data.X.shape[0], *network, density=density, in_memory=data.in_memory)
        return SOLVERS[name]()

    def _check_parameters(self, X: Any, X_val: Any = None) -> None:
        check_parameters(self)
        check_restarts(self.restarts, self.n_init, self.warm_start)
        check_evidence_parameters(self.alpha, self.early_stopping)
        if isinstance(self.solver, Solver):
            check_parameters(self.solver)
        if is_dask(X):
            check_fit_on_dask(self, X_val)

    # ------------------------------------------------------------------ fit

    @all_or_nothing
    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
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
        X_val, y_val, sample_weight_val : optional
            Validation data, of the same form. Their loss is recorded in `validation_loss_curve_`, and
            `early_stopping=True` watches it instead of a part of the training data.
        coefs_init : list of 2 ndarrays, of shapes (n_features, hidden_units) and (hidden_units, n_outputs), optional
            The weights to start from, in the units of the data.
        intercepts_init : list of 2 ndarrays, of shapes (hidden_units,) and (n_outputs,), optional
            The biases to start from; given together with `coefs_init`.

        Returns
        -------
        self : estimator
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
        self._check_parameters(X, X_val)
        state: FitState | None = getattr(self, "_fit_state", None)
        unfinished = state is not None and state.in_progress
        again = unfinished or (self.warm_start and hasattr(self, "coefs_"))
        state = state if again else None
        targets, data = self._check_training_data(X, y, sample_weight, again=again)
        validation = check_validation_data(self, targets, X_val, y_val, sample_weight_val)
        shape = self._shape(data.X.shape[1], targets)
        start = check_init(coefs_init, intercepts_init, shape, self.n_init)
        seed = state.seed if state is not None else draw_seed(self.random_state)
        if start is not None and not unfinished:
            state = None
        elif again:
            start = self._previous_weights(shape)
        if self.early_stopping and validation is None:
            data, validation = split(data, self.validation_fraction, targets.strata(data.Y), seed)
        grouping = self._grouping()
        warn_of_relative_weights(sample_weight if grouping else None, data)
        if grouping and data.in_memory and not self._takes_batches():
            data = data.merged()
        running = RunningScaling()
        scaling = self._take_in(running, data, shape, targets)
        problem = self._make_problem(data, validation, scaling, shape, targets, self._alpha(), evidence=bool(grouping))
        solver = self._make_solver(data, shape, targets)
        fitter = self._make_search(grouping, solver, fresh=start is None, again=again) if grouping else solver
        context: dict[str, Any] = {
            "problem": problem,
            "solver": solver,
            "targets": targets,
            "running": running,
            "seen": data.seen() if solver.supports_partial_fit else None,
        }
        reporter = Reporter.of(self, partial(self._as_of, **context), X, y, sample_weight)
        with one_blas_thread():
            outcome = self._minimize(fitter, problem, start, state, seed, reporter)
        self._finish(outcome, **context)
        if reporter is not None:
            outcome = reporter.end(outcome)
        self._warn(outcome, "The choice of the penalty" if grouping else type(solver).__name__, grouping)
        return self

    def _warn(self, outcome: Outcome, method: str, grouping: str) -> None:
        """Warn the caller of `fit` of what is wrong with it, and say what to do."""
        remedy = "set alpha to a number" if grouping else "try another solver"
        outcome.warn(method, f" Increase max_iter={self.max_iter} or tol={self.tol:g}, or {remedy}.")
        for shortcoming in shortcomings(outcome):
            warnings.warn(shortcoming, ConvergenceWarning, stacklevel=2 + FRAMES_OF_FIT)

    def _check_training_data(
        self, X: Any, y: Any, sample_weight: Any, *, classes: Any = None, again: bool = False
    ) -> tuple[Targets, Any]:
        """Check and encode the training data, `Data` or `cluster.BlockData`.

        `again`: they have to be of the kind that was fitted before.
        """
        if y is None:
            validate_data(self, X, y)  # raises, in the words that scikit-learn's users know
        if is_dask(X):
            from .cluster import check_blocks

            return check_blocks(self, X, y, sample_weight, standardize=self.standardize, again=again)
        X = check_rows(self, X, reset=not again)
        targets: Any = self._remembered_targets() if again else self._make_targets(y, classes)
        Y = targets.encode(y)
        check_consistent_length(X, Y)
        data = make_data(X, Y, check_weight(sample_weight, X.shape[0]))
        by_evidence = bool(self._grouping())
        factors = self._class_factors(targets, data.Y, data.weight, by_evidence=by_evidence)
        targets.class_weights = factors
        return targets, data if factors is None else data.times(factors[targets.codes(data.Y)])

    def _shape(self, n_features: int, targets: Targets) -> Shape:
        return Shape(n_features, int(self.hidden_units), targets.n_outputs)

    def _previous_weights(self, shape: Shape) -> Weights | None:
        """Return those of the last fit; None if they make a constant, which has nothing to go on from."""
        (W1, W2), (b1, b2) = self.coefs_, self.intercepts_
        previous = Shape(W1.shape[0], W1.shape[1], W2.shape[1])
        if previous != shape:
            raise ValueError(
                f"A fit cannot go on from a network of {previous} with one of {shape}. "
                "clone() the estimator to start afresh."
            )
        return Weights(W1, b1, W2, b2) if W2.any() else None

    def _take_in(self, running: RunningScaling, data: Data, shape: Shape, targets: Targets) -> Scaling:
        """Take the data into the running statistics; return the scaling that results."""
        if not self.standardize:
            return Scaling.identity(shape.n_features, shape.n_outputs)
        return data.take_into(running, scale_targets=targets.scaled).scaling(shape.n_outputs, data.X.dtype)

    def _grouping(self) -> str:
        """Return how the evidence groups the weights if it is to choose the penalty, otherwise an empty string."""
        if self.alpha != "auto":
            return self.alpha if isinstance(self.alpha, str) else ""
        kind = SOLVERS.get(self.solver) if isinstance(self.solver, str) else type(self.solver)
        return "evidence" if not self.early_stopping and (kind is None or kind in EVIDENCE_SOLVERS) else ""

    def _make_search(self, grouping: str, solver: Solver, *, fresh: bool, again: bool) -> EvidenceSearch:
        """Return the search for the penalty; it chooses the solver of the weights where that is left to it."""
        log_precisions = getattr(self, "_log_precisions", None) if again else None
        return EvidenceSearch(grouping, None if self.solver == "auto" else solver, log_precisions, fresh)

    def _make_problem(
        self,
        data: Data,
        validation: Data | None,
        scaling: Scaling,
        shape: Shape,
        targets: Targets,
        alpha: float,
        *,
        evidence: bool = False,
    ) -> Problem:
        return Problem(
            data,
            validation,
            scaling=scaling,
            shape=shape,
            activation=self.activation,
            loss=targets.loss,
            alpha=0.0 if evidence else alpha,
            dtype=np.float64 if evidence and data.in_memory and getattr(data.X, "nbytes", 0) <= COPY_BYTES else None,
            n_threads=thread_budget(self.n_jobs, min(self.n_init, effective_n_jobs(self.n_jobs))),
        )

    def _minimize(
        self,
        solver: Solver,
        problem: Problem,
        start: Weights | None,
        state: FitState | None,
        seed: int,
        reporter: Reporter | None,
    ) -> Outcome:
        settings = FitSettings(
            solver=solver,
            max_iter=int(self.max_iter),
            tol=float(self.tol),
            patience=int(min(self.n_iter_no_change, sys.maxsize)),
            early_stopping=bool(self.early_stopping),
            keep_state=bool(self.warm_start or solver.supports_partial_fit or (reporter and reporter.savers)),
            print_every=int(self.verbose),
            title=f"{type(self).__name__} {type(solver).__name__}",
            reporter=reporter,
        )
        n_init, n_jobs = int(self.n_init), self.n_jobs
        return minimize(problem, settings, start, state, seed, n_init=n_init, restarts=self.restarts, n_jobs=n_jobs)
