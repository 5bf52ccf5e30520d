"""`partial_fit`: one epoch over a batch, with the statistics and the state of the solver carried along."""

import sys
from numbers import Real
from typing import Any, Self

import numpy as np

from ..model.network import pack
from ..rows.scaling import RunningScaling, inverse_of, rescale
from ..rows.seen_rows import SeenRows
from ..rows.sources import Table
from .base import BaseTwoLayer
from .beginning import previous_weights
from .checks import draw_seed
from .fit import FittableTwoLayer
from .fitted import Context, all_or_nothing
from .monitor import Monitor
from .outcome import Stream
from .problem import FitSettings
from .starts import Start, run, seeds_of_starts


def takes_batches(estimator: BaseTwoLayer) -> bool:
    """Return whether the solver works on mini-batches, or raise an AttributeError that says which do."""
    if estimator._takes_batches():
        return True
    raise AttributeError(f"partial_fit needs a mini-batch solver, 'sgd' or 'adam'. Got solver={estimator.solver!r}.")


class IncrementalTwoLayer(FittableTwoLayer):
    """A two-layer network that can also be fitted batch by batch.

    The means and spreads that standardise the data are those of all batches so far; when they move, the weights are
    converted, so that the network stays the function it was. The penalty is scaled to the share of a batch in all data
    seen, of which rows that come again are a part once, so that one pass over a data set in batches is about one epoch
    of its fit.
    """

    @all_or_nothing
    def _partial_fit(
        self, X: Any, y: Any, sample_weight: Any, n_samples_total: float | None, classes: Any = None
    ) -> Self:
        """Take one epoch over a batch."""
        self._check_parameters(X)
        self._check_batch_parameters()
        stream: Stream | None = getattr(self, "_stream", None)
        targets, batch = self._check_training_data(X, y, sample_weight, classes, again=stream is not None)
        network = self._network(batch, targets)
        seen_so_far = RunningScaling() if stream is None else stream.running
        running, scaling = self._take_in(seen_so_far, batch, targets)
        seen = batch.seen() if stream is None else stream.seen.merge(batch.seen())
        alpha = self._alpha() * _share_of_batch(batch, seen, n_samples_total)
        problem = self._make_problem(batch, None, scaling, network, alpha)
        solver = self._make_solver(batch, network)
        known: Any = network.loss
        if stream is not None and known.parameters:
            problem.set_noise(known.in_units(self._noise, inverse_of(scaling.y_spread)))
        settings = FitSettings(solver, max_iter=1, tol=0.0, patience=sys.maxsize, keep_state=True)
        monitor = Monitor(print_every=int(self.verbose), title=type(self).__name__)
        if stream is None:
            (seed,), state = seeds_of_starts(draw_seed(self.random_state), 1), None
            problem.network = self._settled(network, batch, targets, seed)
            theta = problem.start(None, seed, at_random=True)
        else:
            previous_weights(self, network.shape)  # raises where they are of another shape
            seed, state = stream.seed, stream.solver_state if type(solver) is stream.solver_type else None
            weights = rescale(network.shape.unpack(stream.theta.astype(np.float64)), stream.scaling, scaling)
            theta = pack(weights).astype(problem.dtype)
            monitor.loss_curve = list(self.loss_curve_)
        outcome = run(Start(problem, settings, theta, monitor, state, seed, seed))
        if outcome.interrupted:
            raise KeyboardInterrupt  # ends the loop over batches; the estimator is as it was before this one
        self._finish(Context(problem, solver, targets, running, seen), outcome)
        return self

    def _check_batch_parameters(self) -> None:
        """Raise ValueError where a parameter asks for what one batch cannot give."""
        for name, needed in {"early_stopping": False, "n_init": 1, "noise": "constant"}.items():
            if getattr(self, name, needed) != needed:
                raise ValueError(f"{name} must be {needed} for partial_fit. Got {getattr(self, name)}.")


def _share_of_batch(batch: Table, seen: SeenRows, n_samples_total: float | None) -> float:
    """Return the share of a batch in all data: in `n_samples_total`, or else in the distinct rows seen so far."""
    if n_samples_total is None:
        return batch.total_weight / seen.distinct_weight
    if not (isinstance(n_samples_total, Real) and n_samples_total >= batch.total_weight):
        raise ValueError(
            f"n_samples_total must be a number of at least the samples of this batch, {batch.total_weight:g}. "
            f"Got {n_samples_total!r}."
        )
    return batch.total_weight / float(n_samples_total)
