"""How a problem is solved: minimise from one or more starts, watch, survive interruption, choose or average."""

import copy
import time
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel, delayed

from ._typing import Array
from .activations import ACTIVATIONS
from .callback_support import FRAMES_OF_FIT, Reporter
from .data import Data
from .evidence import Evidence
from .losses import Loss
from .monitor import Monitor
from .network import Shape, Weights, average, initial_weights, pack
from .objective import Objective
from .scaling import RunningScaling, Scaling
from .seen_rows import SeenRows
from .solvers import Solver
from .solvers.base import OUT_OF_ITERATIONS
from .threads import one_blas_thread

INTERRUPTED = "interrupted"


class Problem:
    """What is minimised, apart from where to start: standardised data, network and penalty.

    Parameters
    ----------
    train, validation : Data
        In the units of the user; `validation` may be None.
    scaling : Scaling
        What standardises them.
    shape, activation, loss
        The network; `activation` by name.
    alpha : float
        The strength of the penalty on the weights.
    n_threads : int
        The number of threads that share the rows.
    dtype : numpy dtype, optional
        The floating type of the computation, by default that of the data.
    """

    def __init__(
        self,
        train: Data,
        validation: Data | None,
        *,
        scaling: Scaling,
        shape: Shape,
        activation: str,
        loss: Loss,
        alpha: float,
        dtype: Any = None,
        n_threads: int = 1,
    ) -> None:
        self.scaling, self.shape, self.activation, self.loss, self.alpha = scaling, shape, activation, loss, alpha
        self.n_threads = n_threads
        self.weights_dtype, self.dtype = train.X.dtype, np.dtype(dtype or train.X.dtype)
        self.train = train.standardized(scaling, self.dtype)
        self.validation = None if validation is None else validation.standardized(scaling, self.dtype)

    def objective(self) -> Objective:
        """Return the objective, with a work space of its own."""
        return self._objective(self.train, self.alpha)

    def validation_value(self, theta: Array) -> float | None:
        """Return the loss on the validation data, None where there are none."""
        return None if self.validation is None else self._objective(self.validation, 0.0).value(theta)

    def attach(self, monitor: Monitor) -> Monitor:
        """Let a monitor watch the loss on the validation data, where there are any; it has no penalty."""
        monitor.validation_loss = None if self.validation is None else self._objective(self.validation, 0.0).value
        return monitor

    def _objective(self, data: Data, alpha: float) -> Objective:
        return data.objective(
            shape=self.shape,
            activation=ACTIVATIONS[self.activation],
            loss=self.loss,
            penalty=alpha * self.shape.is_weight(),
            dtype=self.dtype,
            n_threads=self.n_threads,
        )

    def start(self, weights: Weights | None, seed: int) -> Array:
        """Return theta to start from: the given weights, in the units of the data, or random ones."""
        if weights is None:
            theta = initial_weights(self.shape, ACTIVATIONS[self.activation], np.random.default_rng(seed))
        else:
            theta = pack(self.scaling.fold_in(weights))
        return theta.astype(self.dtype)


class FitSettings(NamedTuple):
    """How to minimise: the solver and what it and the monitor are told."""

    solver: Solver
    max_iter: int
    tol: float
    patience: int
    early_stopping: bool = False
    keep_state: bool = False
    print_every: int = 0
    title: str = ""
    reporter: Reporter | None = None

    def monitor(self) -> Monitor:
        """Return a monitor of a new fit."""
        patience = self.patience if self.early_stopping else None
        return Monitor(patience=patience, tol=self.tol, print_every=self.print_every, title=self.title)

    def of_starts(self, n_starts: int) -> list["FitSettings"]:
        """Report that the fit begins, and return the settings of each start."""
        if self.reporter is None:
            return [self] * n_starts
        return [self._replace(reporter=reporter) for reporter in self.reporter.begin(n_starts, self.max_iter)]

    def key(self) -> tuple[Any, ...]:
        """Return what must not change if a fit is to go on exactly."""
        return str(type(self.solver)), self.solver.get_params(), self.tol, self.patience, self.early_stopping


class FitState(NamedTuple):
    """Where a fit stands, so that it can go on exactly."""

    key: tuple[Any, ...]
    scaling: Scaling
    theta: Array
    value: float
    validation_value: float | None
    solver_state: dict[str, Any]
    monitor: Monitor
    run_seed: int
    seed: int

    @property
    def in_progress(self) -> bool:
        """Whether the fit had not ended."""
        return self.monitor.begun < len(self.monitor.loss_curve)

    def is_of(self, problem: Problem, settings: FitSettings) -> bool:
        """Return whether the problem is the one that the fit was about, so that the solver's state holds for it.

        The objective and the validation loss at theta, to the last bit, serve as the fingerprint of data, weights,
        network and penalty.
        """
        same_scaling = all(np.array_equal(mine, its) for mine, its in zip(self.scaling, problem.scaling, strict=True))
        if not same_scaling or self.key != settings.key() or len(self.theta) != problem.shape.n_parameters:
            return False
        if self.theta.dtype != problem.dtype or problem.objective().value(self.theta) != self.value:
            return False
        return problem.validation_value(self.theta) == self.validation_value


class Stream(NamedTuple):
    """Where a fit in batches stands."""

    running: RunningScaling
    scaling: Scaling
    seen: SeenRows
    theta: Array
    solver_type: type[Solver]
    solver_state: dict[str, Any] | None
    seed: int


class Outcome(NamedTuple):
    """What came of a fit from one start, or of several of which this is the best.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
        The fitted weights: where the solver stopped, or the best seen if it was stopped from outside.
    loss : float
        The objective at `theta`.
    score : float
        What restarts are compared by: the validation loss if the fit was stopped by it, the log evidence with a minus
        where it was maximised, else the objective.
    success : bool
    message : str
        What the solver reported.
    monitor : Monitor
        What was seen on the way.
    interrupted : bool
        Whether the user interrupted it.
    state : FitState or None
        For going on.
    evidence : Evidence or None
        What was found besides the weights, where the evidence was maximised.
    members : tuple of Outcome
        What is averaged, where that is more than this one.
    stopped : bool
        Whether a callback asked for no more starts.
    solver_state : dict or None
        Of a solver that works on mini-batches, to go on with from `theta`, and
    run_seed : int
        the seed that the order of its rows follows from.
    """

    theta: Array
    loss: float
    score: float
    success: bool
    message: str
    monitor: Monitor
    interrupted: bool
    state: FitState | None
    evidence: Evidence | None = None
    members: tuple["Outcome", ...] = ()
    stopped: bool = False
    solver_state: dict[str, Any] | None = None
    run_seed: int = 0

    @property
    def networks(self) -> tuple["Outcome", ...]:
        """Those that are averaged, or this one."""
        return self.members or (self,)

    def weights(self, shape: Shape) -> Weights:
        """Return the weights of the network that results, in float64, for standardised data."""
        return average([shape.unpack(network.theta.astype(np.float64)) for network in self.networks])

    def warn(self, method: str, advice: str) -> None:
        """Warn the caller of fit, once, of interruption or lack of convergence; `advice` is for too few iterations."""
        if self.interrupted:
            kept = f"{len(self.members)} of the starts had ended and" if self.members else "the best weights so far"
            message = f"The fit was interrupted after {len(self.monitor.loss_curve)} iterations; {kept} are kept."
            warnings.warn(message, UserWarning, stacklevel=3 + FRAMES_OF_FIT)
            return
        for network in self.networks:
            if not network.success:
                advice = advice if network.message.startswith(OUT_OF_ITERATIONS) else ""
                n_iter = len(network.monitor.loss_curve)
                message = f"{method} has not converged after {n_iter} iterations: {network.message}.{advice}"
                warnings.warn(message, ConvergenceWarning, stacklevel=3 + FRAMES_OF_FIT)
                break


def check_restarts(restarts: str, n_init: int, warm_start: bool) -> None:
    """Raise ValueError where an average is asked to be gone on with."""
    if warm_start and restarts == "average" and n_init > 1:
        raise ValueError(
            "warm_start must be False where several starts are averaged, since one network can be gone on with. "
            f"Got {warm_start}, with restarts={restarts!r} and n_init={n_init}."
        )


def best_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of the best score, interrupted if the last one was.

    Where the evidence is maximised, a start that was interrupted has none: it is not comparable with those that ended.
    """
    comparable = [outcome for outcome in outcomes if outcome.evidence is not None] or outcomes
    return min(comparable, key=lambda outcome: outcome.score)._replace(interrupted=outcomes[-1].interrupted)


def average_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the best outcome that has ended, with all that have for members; if none has, the one that began."""
    ended = [outcome for outcome in outcomes if outcome.message != INTERRUPTED]
    if not ended:
        return outcomes[-1]
    interrupted = outcomes[-1].interrupted
    return best_of(ended)._replace(members=tuple(ended), interrupted=interrupted, solver_state=None)


RESTARTS = {"best": best_of, "average": average_of}


def minimize(
    problem: Problem,
    settings: FitSettings,
    start: Weights | None,
    state: FitState | None,
    seed: int,
    *,
    n_init: int,
    restarts: str,
    n_jobs: int | None,
) -> Outcome:
    """Go on exactly if nothing has changed, else start from the given weights, else from random ones.

    Raises
    ------
    ValueError
        If something has changed, and the fit to go on with had not ended; if it diverges.
    """
    if state is not None and state.is_of(problem, settings):
        return go_on(problem, settings, state)
    if state is not None and state.in_progress:
        raise ValueError(
            "The data, for validation too, and the parameters other than max_iter must be those of the fit that was "
            "not finished. "
            f"Got others, or another machine's arithmetic, after {len(state.monitor.loss_curve)} iterations of it. "
            "clone() the estimator to start afresh."
        )
    starts = settings.of_starts(n_init if start is None else 1)
    return RESTARTS[restarts](run_starts(problem, starts, start, seed, n_jobs))


def seeds_of_starts(seed: int, n_starts: int) -> list[int]:
    """Return the seed of each start: of its first weights and of the order of its mini-batches."""
    return [int(number) for number in np.random.SeedSequence(seed).generate_state(n_starts)]


def run_starts(
    problem: Problem, all_settings: list[FitSettings], start: Weights | None, seed: int, n_jobs: int | None
) -> list[Outcome]:
    """Minimise from the given start or from random ones, one for each of the settings; the same whatever `n_jobs` is.

    If the user interrupts, those that were begun by then are returned, the last of them marked.
    """
    seeds = seeds_of_starts(seed, len(all_settings))

    def arguments(settings: FitSettings, run_seed: int) -> tuple[Any, ...]:
        return problem, settings, problem.start(start, run_seed), settings.monitor(), None, run_seed, seed

    if len(seeds) == 1:
        return [run(*arguments(all_settings[0], seeds[0]))]
    outcomes: list[Outcome] = []
    try:
        calls = (delayed(run)(*arguments(*each)) for each in zip(all_settings, seeds, strict=True))
        backend = None if problem.train.in_memory else "sequential"  # a cluster works on one start at a time
        for outcome in Parallel(n_jobs=n_jobs, backend=backend, return_as="generator")(calls):
            outcomes.append(outcome)
            if outcome.interrupted or outcome.stopped:
                break
    except KeyboardInterrupt:
        if not outcomes:
            raise
        outcomes[-1] = outcomes[-1]._replace(interrupted=True)
    return outcomes


def go_on(problem: Problem, settings: FitSettings, state: FitState) -> Outcome:
    """Continue a fit where it stopped, as if it had not."""
    monitor = copy.deepcopy(state.monitor)
    monitor.print_every, monitor.stopped = settings.print_every, False
    left = max(monitor.begun + settings.max_iter - len(monitor.loss_curve), 0)
    (settings,) = settings._replace(max_iter=0 if monitor.out_of_patience else left).of_starts(1)
    return run(problem, settings, state.theta, monitor, state.solver_state, state.run_seed, state.seed)


def run(
    problem: Problem,
    settings: FitSettings,
    theta: Array,
    monitor: Monitor,
    solver_state: dict[str, Any] | None,
    run_seed: int,
    seed: int,
) -> Outcome:
    """Minimise from theta; a `KeyboardInterrupt` ends it with the best weights so far.

    Raises
    ------
    ValueError
        If the objective or the weights stop being finite.
    """
    objective, interrupted, seeds = problem.objective(), False, (run_seed, seed)
    monitor.start_time = time.perf_counter()
    try:
        if settings.reporter is not None:
            settings.reporter.begin_start()
            monitor.report = partial(_report, problem, settings, settings.reporter, monitor, seeds)
        with one_blas_thread():
            result = settings.solver.minimize(
                objective,
                theta,
                max_iter=settings.max_iter,
                tol=settings.tol,
                patience=settings.patience,
                seed=run_seed,
                callback=problem.attach(monitor),
                state=solver_state,
                keep_state=settings.keep_state,
            )
    except KeyboardInterrupt:
        result = OptimizeResult(x=theta, fun=objective.value(theta), success=False, message=INTERRUPTED, state=None)
        interrupted = True
        monitor.forget_unfinished()
    monitor.validation_loss = monitor.report = None  # they hold on to the data
    if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
        raise ValueError(f"{settings.solver} diverged at iteration {len(monitor.loss_curve) + 1}: {result.message}.")
    monitor.begun = len(monitor.loss_curve)
    theta, loss, score = result.x, result.fun, result.fun
    best = monitor.best
    if (monitor.patience is not None or interrupted) and best.theta is not None:
        theta, loss, score = best.theta, best.value, best.loss
    state = _state_to_keep(problem, settings, result, monitor, seeds)
    success = result.success or monitor.out_of_patience or monitor.stopped
    evidence = result.get("evidence")
    if interrupted and best.extra is not None:
        evidence = settings.solver.evidence(objective, theta, **best.extra)
    score = score if evidence is None else -evidence.log_evidence
    outcome = Outcome(theta, loss, score, success, result.message, monitor, interrupted, state, evidence)
    ends_there = settings.solver.supports_partial_fit and theta is result.x  # not at earlier, best weights
    outcome = outcome._replace(solver_state=result.state if ends_there else None, run_seed=run_seed)
    return outcome if settings.reporter is None else settings.reporter.end_start(outcome)


def _state_to_keep(
    problem: Problem, settings: FitSettings, result: OptimizeResult, monitor: Monitor, seeds: tuple[int, int]
) -> FitState | None:
    """Return where the fit stands, if that is wanted and known."""
    if not settings.keep_state or result.state is None:
        return None
    values = result.get("fingerprint", result.fun), problem.validation_value(result.x)
    return FitState(settings.key(), problem.scaling, result.x, *values, result.state, monitor, *seeds)


def _report(
    problem: Problem,
    settings: FitSettings,
    reporter: Reporter,
    monitor: Monitor,
    seeds: tuple[int, int],
    iteration: OptimizeResult,
) -> bool:
    """Report an iteration, with its weights, whichever were best; return whether to stop."""

    def outcome(*, keep_state: bool) -> Outcome:
        theta, seen, state = iteration.x.copy(), monitor.detached(), None
        if keep_state:
            values = problem.objective().value(theta), problem.validation_value(theta)
            state = FitState(settings.key(), problem.scaling, theta, *values, iteration.get_state(), seen, *seeds)
        evidence = iteration.get_evidence() if "get_evidence" in iteration else None
        now = Outcome(theta, iteration.fun, iteration.fun, False, "", seen, False, state, evidence)
        solver_state = iteration.get_state() if settings.solver.supports_partial_fit else None
        return now._replace(solver_state=solver_state, run_seed=seeds[0])

    return reporter.end_iteration(outcome)
