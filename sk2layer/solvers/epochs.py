"""What mini-batch solvers have in common: a loop over epochs, each a pass over the shuffled data in mini-batches."""

import copy
import itertools
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from .base import OUT_OF_ITERATIONS, STOPPED, Run, Solver, State, Vector, asks_to_stop, diverged, largest

POOL_ROWS = 2**21
"""More rows than these are not shuffled as a whole: the memory for their order is bounded."""

RUN_ROWS = 256
"""Then, runs of so many rows that follow each other come to the pools; POOL_ROWS is a multiple."""

AUTO_BATCH_SIZE = 200
"""Rows per step where nobody says: as many as in scikit-learn's networks."""

STEEP = 0.5
"""A gradient of more than this share of the first one is no sign of a minimum nearby."""

DOUBTFUL = 0.9
"""An objective of more than this share of the first batch's may have risen: that of the start is computed then."""


def shuffled(n_samples: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Yield the numbers below `n_samples` in random order, in pools of at most `POOL_ROWS`.

    Where there are several pools, random runs of rows make up each, and are shuffled there: batches then come from
    thousands of places, while the rows of a file on disk are read once, pool by pool.
    """
    if n_samples <= POOL_ROWS:
        yield rng.permutation(n_samples)
        return
    runs = rng.permutation(-(-n_samples // RUN_ROWS))
    for start in range(0, len(runs), POOL_ROWS // RUN_ROWS):
        first_rows = RUN_ROWS * runs[start : start + POOL_ROWS // RUN_ROWS]
        rows = (first_rows[:, np.newaxis] + np.arange(RUN_ROWS)).ravel()
        rows = rows[rows < n_samples]
        rng.shuffle(rows)
        yield rows


def out_of_range(learning_rate: float) -> str:
    """Return the message for an objective or weights that are not finite."""
    return f"the objective is not finite: learning_rate={learning_rate:g} is too large"


def rose(first: float, value: float, learning_rate: float) -> str:
    """Return the message for an objective that is larger than at the start."""
    return f"the objective rose from {first:.4g} to {value:.4g}: learning_rate={learning_rate:g} is too large, lower it"


class MiniBatchSolver(Solver):
    """The loop over epochs; a subclass says how a step changes theta.

    What an epoch reports is the mean of the objective over its batches, each at the weights that the batch met: it
    comes with the gradients. The objective of all rows is computed once, at the end.

    Arrays of the state, each as large as theta, are updated in place: to copy them would take as long as a step. What
    else changes in a state is returned in a new one.
    """

    supports_partial_fit: ClassVar[bool] = True
    learning_rate: float
    batch_size: int | str
    shuffle: bool

    def minimize(self, objective: Any, theta: Vector, run: Run) -> OptimizeResult:
        """Minimise the objective from theta; see `Solver.minimize`."""
        theta = theta.copy()
        state = self._begin(theta) if run.state is None else copy.deepcopy(run.state)
        n_iter, message, finite = 0, self._converged(state, run), True
        while finite and not message and n_iter < run.max_iter:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
                mean, state = self._epoch(objective, theta, state, run.seed)
            n_iter += 1
            finite = not diverged(mean, theta)
            if finite:
                state = self._with_progress(state, mean, run)
                message = self._converged(state, run)
                if asks_to_stop(run.callback, theta, mean, state):
                    message = message or STOPPED
        with np.errstate(over="ignore", invalid="ignore"):
            value = objective.value(theta)
        success, message = self._verdict(objective, value, theta, state, message, run)
        return OptimizeResult(x=theta, fun=value, nit=n_iter, success=success, message=message, state=state)

    def _begin(self, theta: Vector) -> State:
        progress = {"stale": 0, "falling": 0, "last": np.inf, "best": np.inf}
        return {"epoch": 0, "start": theta.copy(), "first": None, **progress, **self._start(theta)}

    def _epoch(self, objective: Any, theta: Vector, state: State, seed: int) -> tuple[float, State]:
        """Pass over the data once, changing theta; return the mean of the objective over batches, and the state."""
        state, first = {**state, "epoch": state["epoch"] + 1}, state["first"]
        work, total, n_seen = np.empty_like(theta), 0.0, 0
        for n_rows, value, gradient in self._batches(objective, theta, seed, state["epoch"]):
            first = value if first is None else first
            total += n_rows * value
            n_seen += n_rows
            state = self._step(theta, gradient, state, work)
        return total / n_seen, {**state, "first": first}

    def _batches(self, objective: Any, theta: Vector, seed: int, epoch: int) -> Iterable[tuple[int, float, Vector]]:
        """Return rows, objective and gradient of the mini-batches of an epoch, each at what theta is by then."""
        n_samples = objective.n_samples
        size = min(AUTO_BATCH_SIZE, n_samples) if isinstance(self.batch_size, str) else int(self.batch_size)
        if size >= n_samples:
            return [(1, *objective.value_and_gradient(theta))]
        # The order follows from the seed and the number of the epoch alone, so that a fit can go on at any epoch.
        orders = shuffled(n_samples, np.random.default_rng([seed, epoch])) if self.shuffle else iter([None])
        return itertools.chain.from_iterable(objective.batches(theta, size, order) for order in orders)

    @abstractmethod
    def _start(self, theta: Vector) -> State:
        """Return the initial state of the update, before the first step."""

    @abstractmethod
    def _step(self, theta: Vector, gradient: Any, state: State, work: Vector) -> State:
        """Change theta by one step and return the state; `gradient` and `work`, which is like theta, are used up."""

    def _with_progress(self, state: State, mean: float, run: Run) -> State:
        """Return the state after an epoch with this mean objective."""
        stale = 0 if mean < state["best"] - run.tol else state["stale"] + 1
        falling = state["falling"] + 1 if mean < state["last"] else 0
        return {**state, "stale": stale, "falling": falling, "best": min(mean, state["best"]), "last": mean}

    def _converged(self, state: State, run: Run) -> str:
        """Return why the minimisation is finished, or an empty string."""
        if state["stale"] < run.patience:
            return ""
        return f"the objective has not fallen by tol={run.tol:g} for {run.patience} epochs"

    def _verdict(
        self, objective: Any, value: float, theta: Vector, state: State, message: str, run: Run
    ) -> tuple[bool, str]:
        """Return whether it has converged, and what there is to say."""
        if diverged(value, theta):
            return False, out_of_range(self.learning_rate)
        if state["first"] is not None and value > DOUBTFUL * state["first"]:
            first = objective.value(state["start"])
            if value > first:
                return False, rose(first, value, self.learning_rate)
        if state["stale"] >= run.patience <= state["falling"]:
            steepest, first = (largest(objective.value_and_gradient(at)[1]) for at in (theta, state["start"]))
            if steepest > max(run.tol, STEEP * first):
                return False, (
                    f"the objective still falls, but by less than tol={run.tol:g} in {run.patience} epochs: "
                    f"learning_rate={self.learning_rate:g} is too small, or tol too large"
                )
        return bool(message), message or OUT_OF_ITERATIONS
