"""What gradient steps have in common: a loop over epochs, each a pass over the data in a step or in mini-batches."""

import copy
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from .base import OUT_OF_ITERATIONS, STOPPED, Run, Solver, State, Vector, asks_to_stop, diverged, largest

POOL_ROWS = 2**21
"""More rows than these are not shuffled as a whole: the memory for their order is bounded."""

RUN_ROWS = 256
"""Then, runs of so many rows that follow each other come to the pools; POOL_ROWS is a multiple."""

STEEP = 0.5
"""A gradient of more than this share of the first one is no sign of a minimum nearby."""


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


class FirstOrder(Solver):
    """The epoch loop; a subclass says how a step changes theta.

    Arrays of the state, each as large as theta, are updated in place: to copy them would take as long as a step. What
    else changes in a state is returned in a new one.
    """

    learning_rate: float

    def minimize(self, objective: Any, theta: Vector, run: Run) -> OptimizeResult:
        """Minimise the objective from theta; see `Solver.minimize`."""
        theta = theta.copy()
        value, gradient = objective.value_and_gradient(theta)
        state = self._begin(theta, value, gradient) if run.state is None else copy.deepcopy(run.state)
        n_iter, message = 0, self._converged(gradient, state, run)
        while not message and n_iter < run.max_iter:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
                value, gradient, state = self._epoch(objective, theta, gradient, state, run.seed)
            n_iter += 1
            if diverged(value, theta):
                break
            state = self._with_progress(state, value, run)
            message = self._converged(gradient, state, run)
            if asks_to_stop(run.callback, theta, value, state):
                message = message or STOPPED
        if gradient is None and message:
            gradient = objective.value_and_gradient(theta)[1]
        success, message = self._verdict(value, theta, gradient, state, message, run)
        return OptimizeResult(
            x=theta, fun=value, jac=gradient, nit=n_iter, success=success, message=message, state=state
        )

    def _begin(self, theta: Vector, value: float, gradient: Vector) -> State:
        first = {"first": value, "steepest": largest(gradient), "last": value, "best": value}
        return {"epoch": 0, "stale": 0, "falling": 0, **first, **self._start(theta)}

    def _epoch(
        self, objective: Any, theta: Vector, gradient: Vector | None, state: State, seed: int
    ) -> tuple[float, Vector | None, State]:
        """Pass over the data once, changing theta; return the objective then, its gradient if known, and the state."""
        state = {**state, "epoch": state["epoch"] + 1}
        work, gradients = np.empty_like(theta), self._batch_gradients(objective, theta, seed, state["epoch"])
        if gradients is None:
            state = self._step(theta, gradient, state, work)
            return *objective.value_and_gradient(theta), state
        for batch_gradient in gradients:
            state = self._step(theta, batch_gradient, state, work)
        return objective.value(theta), None, state

    def _batch_gradients(self, objective: Any, theta: Vector, seed: int, epoch: int) -> Iterator[Vector] | None:
        """Return the gradients on the mini-batches of an epoch, or None where a step sees all rows."""
        return None

    def _start(self, theta: Vector) -> State:
        """Return what the update has to remember from step to step, before the first."""
        return {}

    @abstractmethod
    def _step(self, theta: Vector, gradient: Any, state: State, work: Vector) -> State:
        """Change theta by one step and return the state; `gradient` and `work`, which is like theta, are used up."""

    def _with_progress(self, state: State, value: float, run: Run) -> State:
        """Return the state after an epoch that ended at this value of the objective."""
        return state

    @abstractmethod
    def _converged(self, gradient: Any, state: State, run: Run) -> str:
        """Return why the minimisation is finished, or an empty string."""

    def _verdict(
        self, value: float, theta: Vector, gradient: Any, state: State, message: str, run: Run
    ) -> tuple[bool, str]:
        """Return whether it has converged, and what there is to say."""
        if diverged(value, theta):
            return False, f"the objective is not finite: learning_rate={self.learning_rate:g} is too large"
        if value > state["first"]:
            return False, (
                f"the objective rose from {state['first']:.4g} to {value:.4g}: "
                f"learning_rate={self.learning_rate:g} is too large, lower it"
            )
        still_falls = state["stale"] >= run.patience <= state["falling"]
        if still_falls and largest(gradient) > max(run.tol, STEEP * state["steepest"]):
            return False, (
                f"the objective still falls, but by less than tol={run.tol:g} in {run.patience} epochs: "
                f"learning_rate={self.learning_rate:g} is too small, or tol too large"
            )
        return bool(message), message or OUT_OF_ITERATIONS
