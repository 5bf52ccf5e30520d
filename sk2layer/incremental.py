"""What data in pieces do: `partial_fit`, one epoch over a batch, with statistics and solver state carried along."""

import copy
import sys
from typing import Any, Self

import numpy as np

from .base import BaseTwoLayer
from .data import draw_seed
from .fitted import all_or_nothing
from .monitor import Monitor
from .network import Shape, pack
from .scaling import RunningScaling, rescale
from .training import FitSettings, Stream, run


def takes_batches(estimator: BaseTwoLayer) -> bool:
    """Return whether the solver works on mini-batches, or raise an AttributeError that says which do."""
    if estimator._takes_batches():
        return True
    raise AttributeError(f"partial_fit needs a mini-batch solver, 'sgd' or 'adam'. Got solver={estimator.solver!r}.")


class IncrementalTwoLayer(BaseTwoLayer):
    """A two-layer network that can also be fitted batch by batch.

    The means and spreads that standardise the data are those of all batches so far; when they move, the weights are
    converted, so that the network stays the function it was. The penalty is scaled to the share of a batch in all data
    seen, so that one pass over a data set in batches is about one epoch of its fit.
    """

    @all_or_nothing
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """Take one epoch over a batch."""
        self._check_parameters(X)
        if self.restarts == "average" and self.n_init > 1:
            raise ValueError(f"n_init must be 1 for partial_fit with restarts='average'. Got {self.n_init}.")
        stream: Stream | None = getattr(self, "_stream", None)
        targets, data = self._check_training_data(X, y, sample_weight, classes=classes, again=stream is not None)
        shape = Shape(data.X.shape[1], int(self.hidden_units), targets.n_outputs)
        running = RunningScaling() if stream is None else copy.deepcopy(stream.running)
        scaling = self._take_in(running, data, shape, targets)
        weight = data.total_weight
        weight_seen = weight + (0.0 if stream is None else stream.weight_seen)
        problem = self._make_problem(data, None, scaling, shape, targets, self._alpha() * weight / weight_seen)
        solver = self._make_solver(data, shape, targets)
        settings = FitSettings(solver, max_iter=1, tol=0.0, patience=sys.maxsize, keep_state=True)
        if stream is None:
            seed, state = draw_seed(self.random_state), None
            theta = problem.start(None, seed)
        else:
            self._previous_weights(shape)
            seed, state = stream.seed, stream.solver_state if type(solver) is stream.solver_type else None
            weights = rescale(shape.unpack(stream.theta.astype(np.float64)), stream.scaling, scaling)
            theta = pack(weights).astype(problem.dtype)
        monitor = Monitor(print_every=int(self.verbose), title=type(self).__name__)
        monitor.loss_curve = [] if stream is None else list(stream.monitor.loss_curve)
        outcome = run(problem, settings, theta, monitor, state, seed, seed)
        if outcome.interrupted:
            raise KeyboardInterrupt  # ends the loop over batches; the estimator is as it was before this one
        self._store(outcome, problem, solver, targets)
        solver_state = None if outcome.state is None else outcome.state.solver_state
        theta = outcome.theta
        self._stream = Stream(running, scaling, weight_seen, theta, type(solver), solver_state, monitor, seed)
        return self
