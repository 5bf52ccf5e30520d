"""How a problem is solved: minimise from one or more starts, watch, survive interruption."""

import copy
import time
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult
from sklearn.utils.parallel import Parallel, delayed

from .._typing import Array
from ..model.network import Weights
from ..objective.objective import Objective
from ..rows.threads import one_blas_thread
from ..solvers import Run
from .beginning import Beginning
from .callback_support import StartReporter
from .monitor import Monitor
from .outcome import INTERRUPTED, RESTARTS, FitState, Outcome
from .problem import FitSettings, Problem


def minimize(problem: Problem, settings: FitSettings, beginning: Beginning) -> Outcome:
    """Solve the problem from where the fit begins, and return what came of it.

    Raises
    ------
    ValueError
        If something has changed, and the fit to go on with had not ended; if it diverges.
    """
    if beginning.state is not None and beginning.is_where_it_stopped(problem, settings):
        return go_on(problem, settings, beginning.state)
    starts = settings.of_starts(beginning.n_starts)
    return RESTARTS[settings.restarts](run_starts(problem, starts, beginning.weights, beginning.seed))


def seeds_of_starts(seed: int, n_starts: int) -> list[int]:
    """Return the seed of each start: of its first weights and of the order of its mini-batches."""
    return [int(number) for number in np.random.SeedSequence(seed).generate_state(n_starts)]


def run_starts(problem: Problem, all_settings: list[FitSettings], start: Weights | None, seed: int) -> list[Outcome]:
    """Minimise from the given start or from random ones, one for each of the settings; the same whatever `n_jobs` is.

    If the user interrupts, those that were begun by then are returned, the last of them marked.
    """
    seeds = seeds_of_starts(seed, len(all_settings))
    begin = partial(problem.start, at_random=all_settings[0].solver.supports_partial_fit)
    starts = (
        Start(problem, settings, begin(start, its_seed), settings.monitor(), None, its_seed, seed)
        for settings, its_seed in zip(all_settings, seeds, strict=True)
    )
    if len(seeds) == 1:
        return [run(next(starts))]
    outcomes: list[Outcome] = []
    try:
        backend = None if problem.train.in_memory else "sequential"  # a cluster works on one start at a time
        parallel = Parallel(n_jobs=all_settings[0].n_jobs, backend=backend, return_as="generator")
        for outcome in parallel(map(delayed(run), starts)):
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
    monitor.print_every, monitor.title, monitor.stopped = settings.print_every, settings.title, False
    left = max(monitor.begun + settings.max_iter - len(monitor.loss_curve), 0)
    (settings,) = settings._replace(max_iter=0 if monitor.out_of_patience else left).of_starts(1)
    return run(Start(problem, settings, state.theta, monitor, state.solver_state, state.run_seed, state.seed))


class Start(NamedTuple):
    """Where a solver starts at theta, or goes on with its state; `run_seed` is of this start, and `seed` of the fit."""

    problem: Problem
    settings: FitSettings
    theta: Array
    monitor: Monitor
    solver_state: dict[str, Any] | None
    run_seed: int
    seed: int

    def minimize(self, objective: Objective) -> OptimizeResult:
        """Return the solver's result; the monitor watches."""
        settings, reporter = self.settings, self.settings.reporter
        if reporter is not None:
            reporter.begin()
            self.monitor.report = partial(self.report, reporter)
        with one_blas_thread():
            self.monitor.validation_loss = self.problem.validation_loss()
            when = settings.max_iter, settings.tol, settings.patience
            how = Run(*when, self.run_seed, self.monitor, self.solver_state)
            return settings.solver.minimize(objective, self.theta, how)

    def report(self, reporter: StartReporter, iteration: OptimizeResult) -> bool:
        """Report an iteration, with its own weights rather than the best ones; return whether to stop."""

        def outcome(*, keep_state: bool) -> Outcome:
            theta, seen, loss, state = iteration.x.copy(), self.monitor.detached(), iteration.fun, None
            by_batches = self.settings.solver.supports_partial_fit
            value = self.problem.objective().value(theta) if by_batches or keep_state else loss
            if keep_state:
                state = self.state_at(theta, value, iteration.get_state(), seen)
            loss = value if by_batches else loss
            evidence = iteration.get_evidence() if "get_evidence" in iteration else None
            now = Outcome(theta, loss, loss, False, "", seen, False, state, evidence)
            return now._replace(solver_state=iteration.get_state() if by_batches else None, run_seed=self.run_seed)

        return reporter.end_iteration(outcome)

    def state_at(self, theta: Array, value: float, solver_state: dict[str, Any], monitor: Monitor) -> FitState:
        """Return the state of the fit at these weights."""
        problem, key = self.problem, self.settings.key()
        values = value, problem.validation_value(theta)
        return FitState(key, problem.scaling, theta, *values, solver_state, monitor, self.run_seed, self.seed)


def run(start: Start) -> Outcome:
    """Minimise; a `KeyboardInterrupt` ends it with the best weights so far.

    Raises
    ------
    ValueError
        If the objective or the weights stop being finite.
    """
    problem, settings, theta, monitor, *_ = start
    solver, objective, interrupted = settings.solver, problem.objective(), False
    monitor.start_time = time.perf_counter()
    try:
        result = start.minimize(objective)
    except KeyboardInterrupt:
        result = OptimizeResult(x=theta, fun=objective.value(theta), success=False, message=INTERRUPTED, state=None)
        interrupted = True
        monitor.forget_unfinished()
    monitor.validation_loss = monitor.report = None  # they hold on to the data
    if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
        raise ValueError(f"{solver} diverged at iteration {len(monitor.loss_curve) + 1}: {result.message}.")
    monitor.begun = len(monitor.loss_curve)
    theta, loss, score = result.x, result.fun, result.fun
    best, state = monitor.best, None
    if (monitor.patience is not None or interrupted) and best.theta is not None:
        theta, loss = best.theta, best.value
        if solver.supports_partial_fit:
            loss = objective.value(theta)  # what was seen of it is a mean over batches
        score = loss if monitor.patience is None else best.loss
    if settings.keep_state and result.state is not None:
        state = start.state_at(result.x, result.get("fingerprint", result.fun), result.state, monitor)
    success = result.success or monitor.out_of_patience or monitor.stopped
    evidence = result.get("evidence")
    if interrupted and best.extra is not None:
        evidence = solver.evidence(objective, theta, **best.extra)
    score = score if evidence is None else -evidence.log_evidence
    outcome = Outcome(theta, loss, score, success, result.message, monitor, interrupted, state, evidence)
    ends_there = solver.supports_partial_fit and theta is result.x  # not at earlier, best weights
    outcome = outcome._replace(solver_state=result.state if ends_there else None, run_seed=start.run_seed)
    return outcome if settings.reporter is None else settings.reporter.end(outcome)
