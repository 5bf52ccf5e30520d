"""What a fit is: check, standardise, minimise, fold the scaling back, report."""

import sys
import warnings
from functools import partial
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from ..evidence.search import PenaltySearch
from ..model.activations import ACTIVATIONS
from ..model.network import Network, Shape
from ..rows.scaling import COPY_BYTES, RunningScaling, Scaling
from ..rows.sources import RowSource, Table
from ..rows.threads import one_blas_thread, thread_budget
from ..solvers import Solver
from .base import BaseTwoLayer
from .beginning import beginning_of, goes_on
from .by_evidence import shortcomings
from .callback_support import FRAMES_OF_FIT, Reporter, with_callbacks
from .data import check_validation_data, place_of, split, warn_of_relative_weights
from .fitted import Context, all_or_nothing
from .outcome import Outcome
from .problem import FitSettings, Problem
from .starts import minimize
from .targets import Targets


class FittableTwoLayer(BaseTwoLayer):
    """A two-layer network that can be fitted."""

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
        init = coefs_init, intercepts_init
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val), init)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, ...], init: tuple[Any, Any], y_std: Any = None
    ) -> Self:
        """Carry out `fit`; `y_std` are known standard deviations of the targets, or None."""
        self._check_parameters(X, validation[0])
        again = goes_on(self)
        targets, source = self._check_training_data(X, y, sample_weight, again=again, y_std=y_std)
        held_out = check_validation_data(self, targets, *validation)
        network = self._network(source, targets)
        beginning = beginning_of(self, network.shape, init)
        if self.early_stopping and held_out is None:
            source, held_out = split(source, self.validation_fraction, targets.strata(source.Y), beginning.seed)
        grouping = self._grouping()
        warn_of_relative_weights(sample_weight if grouping else None, source)
        if (grouping or network.loss.needs_noise) and source.in_memory and not self._takes_batches():
            source = source.merged()
        network = network if grouping else self._settled(network, source, targets, beginning.seed)
        running, scaling = self._take_in(RunningScaling(), source, targets)
        problem = self._make_problem(source, held_out, scaling, network, None if grouping else self._alpha())
        solver = self._make_solver(source, network)
        fresh = beginning.weights is None
        fitter = self._make_search(grouping, solver, fresh=fresh, again=again) if grouping else solver
        seen = source.seen() if solver.supports_partial_fit else None
        context = Context(problem, solver, targets, running, seen)
        reporter = Reporter.of(self, partial(self._as_of, context), X, y, sample_weight)
        with one_blas_thread():
            outcome = minimize(problem, self._settings(fitter, reporter), beginning)
        self._finish(context, outcome)
        if reporter is not None:
            outcome = reporter.end(outcome)
        self._warn(outcome, "The choice of the penalty" if grouping else type(solver).__name__, grouping)
        return self

    def _warn(self, outcome: Outcome, method: str, grouping: str) -> None:
        """Warn the caller of `fit` of what is wrong with it, and say what to do."""
        remedy = "set alpha to a number" if grouping else "try another solver"
        outcome.warn(method, f" Increase max_iter={self.max_iter} or tol={self.tol:g}, or {remedy}.")
        for shortcoming in shortcomings(outcome):
            warnings.warn(shortcoming, ConvergenceWarning, stacklevel=3 + FRAMES_OF_FIT)

    def _check_training_data(
        self, X: Any, y: Any, sample_weight: Any, classes: Any = None, *, again: bool = False, y_std: Any = None
    ) -> tuple[Targets, Any]:
        """Check and encode the training data where they are; `again`: they have to be of the kind fitted before."""
        if y is None:
            validate_data(self, X, y)  # raises, in the words that scikit-learn's users know
        return place_of(X).training_data(self, X, y, sample_weight, classes, again=again, y_std=y_std)

    def _network(self, source: RowSource, targets: Targets) -> Network:
        shape = Shape(source.X.shape[1], int(self.hidden_units), targets.n_outputs)
        return Network(shape, ACTIVATIONS[self.activation], targets.loss)

    def _take_in(self, running: RunningScaling, source: RowSource, targets: Targets) -> tuple[RunningScaling, Scaling]:
        """Return the running statistics with these data, and the scaling that results."""
        if not self.standardize:
            return running, Scaling.identity(source.X.shape[1], targets.n_outputs)
        running = source.take_into(running, scale_targets=targets.scaled)
        return running, running.scaling(targets.n_outputs, source.X.dtype)

    def _settled(self, network: Network, source: Any, targets: Targets, seed: int) -> Network:
        """Return the network with the parameters of its noise estimated, if its loss has any and alpha is given.

        They are found on merged rows: the same for any order of them, and for a row twice or of weight 2.
        """
        if not network.loss.needs_noise:
            return network
        rows = source.merged() if source.in_memory else source
        _, scaling = self._take_in(RunningScaling(), rows, targets)
        problem = self._make_problem(rows, None, scaling, network, self._alpha())
        with one_blas_thread():
            problem.settle_noise(seed)
        return problem.network

    def _make_search(self, grouping: str, solver: Solver, *, fresh: bool, again: bool) -> PenaltySearch:
        """Return the search for the penalty; it chooses the solver of the weights where that is left to it."""
        log_precisions = getattr(self, "_log_precisions", None) if again else None
        return PenaltySearch(grouping, None if self.solver == "auto" else solver, log_precisions, fresh)

    def _make_problem(
        self, source: RowSource, validation: Table | None, scaling: Scaling, network: Network, alpha: float | None
    ) -> Problem:
        """Return the problem; with alpha None, for the evidence to choose, in float64 if the copy of X is small."""
        in_float64 = alpha is None and source.in_memory and getattr(source.X, "nbytes", 0) <= COPY_BYTES
        return Problem(
            source,
            validation,
            scaling=scaling,
            network=network,
            alpha=alpha,
            dtype=np.float64 if in_float64 else None,
            n_threads=thread_budget(self.n_jobs, min(self.n_init, effective_n_jobs(self.n_jobs))),
        )

    def _settings(self, solver: Solver, reporter: Reporter | None) -> FitSettings:
        return FitSettings(
            solver=solver,
            max_iter=int(self.max_iter),
            tol=float(self.tol),
            patience=int(min(self.n_iter_no_change, sys.maxsize)),
            early_stopping=bool(self.early_stopping),
            keep_state=bool(self.warm_start or solver.supports_partial_fit or (reporter and reporter.savers)),
            print_every=int(self.verbose),
            title=f"{type(self).__name__} {type(solver).__name__}",
            reporter=reporter,
            restarts=self.restarts,
            n_jobs=self.n_jobs,
        )
