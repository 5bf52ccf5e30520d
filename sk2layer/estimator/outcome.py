"""The outcome of a fit, the state from which it can go on, and which of several starts are kept."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._typing import Array
from ..evidence.report import Evidence
from ..model.network import Shape, Weights, average
from ..rows.scaling import RunningScaling, Scaling
from ..rows.seen_rows import SeenRows
from ..solvers import Solver
from ..solvers.base import OUT_OF_ITERATIONS
from .callback_support import FRAMES_OF_FIT
from .monitor import Monitor
from .problem import FitSettings, Problem

INTERRUPTED = "interrupted"


class FitState(NamedTuple):
    """The state of a fit, from which it can go on as if it had not stopped."""

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
        """Return whether this is the problem of the fit, so that it can go on with the solver's state.

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
    """The state of a fit by `partial_fit`, between two batches."""

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
        The state of a solver that works on mini-batches, to go on with from `theta`.
    run_seed : int
        The seed that the order of mini-batches follows from.
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
        """The outcomes that are averaged, or this one alone."""
        return self.members or (self,)

    def weights(self, shape: Shape) -> Weights:
        """Return the weights of the network that results, in float64, for standardised data."""
        return average([shape.unpack(network.theta.astype(np.float64)) for network in self.networks])

    def warn(self, method: str, advice: str) -> None:
        """Warn the caller of fit, once, of interruption or lack of convergence; `advice` is for too few iterations."""
        if self.interrupted:
            kept = f"{len(self.members)} of the starts had ended and" if self.members else "the best weights so far"
            message = f"The fit was interrupted after {len(self.monitor.loss_curve)} iterations; {kept} are kept."
            warnings.warn(message, UserWarning, stacklevel=4 + FRAMES_OF_FIT)
            return
        for network in self.networks:
            if not network.success:
                advice = advice if network.message.startswith(OUT_OF_ITERATIONS) else ""
                n_iter = len(network.monitor.loss_curve)
                message = f"{method} has not converged after {n_iter} iterations: {network.message}.{advice}"
                warnings.warn(message, ConvergenceWarning, stacklevel=4 + FRAMES_OF_FIT)
                break


def best_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of the best score, interrupted if the last one was.

    Where the evidence is maximised, a start that was interrupted has none: it is not comparable with those that ended.
    """
    comparable = [outcome for outcome in outcomes if outcome.evidence is not None] or outcomes
    return min(comparable, key=lambda outcome: outcome.score)._replace(interrupted=outcomes[-1].interrupted)


def average_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the best of the starts that ended, with all of these as members; if none ended, the last one."""
    ended = [outcome for outcome in outcomes if outcome.message != INTERRUPTED]
    if not ended:
        return outcomes[-1]
    interrupted = outcomes[-1].interrupted
    return best_of(ended)._replace(members=tuple(ended), interrupted=interrupted, solver_state=None)


RESTARTS = {"best": best_of, "average": average_of}
