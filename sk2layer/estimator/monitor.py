"""What watches a fit: the curves, the validation loss and its patience, the best weights, the printed progress.

A monitor is the callback of whichever solver is at work, so all of this is the same for all of them.
"""

import copy
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult

from .._typing import Array


class Best(NamedTuple):
    """The weights at the lowest validation loss, or at the lowest objective where there is no patience.

    Attributes
    ----------
    loss, value : float
        What was lowest, and the objective there.
    theta : ndarray or None
        The weights.
    n_iter : int
        The number of the iteration.
    extra : dict or None
        What else the solver needs to know of it.
    """

    loss: float = np.inf
    value: float = np.inf
    theta: Array | None = None
    n_iter: int = 0
    extra: dict[str, Any] | None = None


class Monitor:
    """Watches a fit.

    Parameters
    ----------
    validation_loss : callable or None
        The loss on the validation data as a function of theta.
    patience : int or None
        Stop after this many iterations in which the validation loss has not fallen by `tol`; None never stops.
    tol : float
        The least fall of the validation loss that counts.
    print_every : int
        Print a line every so many iterations; 0 prints nothing.
    title : str
        How the printed lines begin.

    Attributes
    ----------
    loss_curve, validation_loss_curve : list of float
        The objective and the validation loss after each iteration.
    best : Best
        The best weights so far.
    report : callable or None
        Called with each iteration after it has been taken note of; returns whether to stop.
    stopped : bool
        Whether it said so.
    begun : int
        The number of iterations before the `fit` that goes on; of a fit that has ended, all.
    start_time : float
        When this `fit` began, by the clock of this process.
    """

    def __init__(
        self,
        validation_loss: Callable[[Array], float] | None = None,
        *,
        patience: int | None = None,
        tol: float = 0.0,
        print_every: int = 0,
        title: str = "",
    ) -> None:
        self.validation_loss, self.patience, self.tol = validation_loss, patience, tol
        self.print_every, self.title = print_every, title
        self.loss_curve: list[float] = []
        self.validation_loss_curve: list[float] = []
        self.best = Best()
        self.report: Callable[[OptimizeResult], bool] | None = None
        self.stopped, self.begun = False, 0
        self._goal, self._stale, self._noted = np.inf, 0, 0
        self.start_time = time.perf_counter()

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        """Take note of an iteration; raise `StopIteration` if the patience is over, or if told to."""
        theta, value = intermediate_result.x, intermediate_result.fun
        validation = [] if self.validation_loss is None else [self.validation_loss(theta)]
        self.loss_curve.append(value)
        self.validation_loss_curve += validation
        watched = value if self.patience is None else self.validation_loss_curve[-1]
        if watched < self.best.loss or self.best.theta is None:
            self.best = Best(watched, value, theta.copy(), len(self.loss_curve), intermediate_result.get("extra"))
        self._noted = len(self.loss_curve)
        if self.print_every and len(self.loss_curve) % self.print_every == 0:
            self._print()
        self._stale = 0 if watched < self._goal - self.tol else self._stale + 1
        self._goal = min(self._goal, watched)
        self.stopped = self.report is not None and self.report(intermediate_result)
        if self.stopped or self.out_of_patience:
            raise StopIteration

    def forget_unfinished(self) -> None:
        """Remove the last iteration from the curves, if an interrupt came before it was compared with the best."""
        n_iter = max(self._noted, self.best.n_iter)
        del self.loss_curve[n_iter:], self.validation_loss_curve[n_iter:]

    def detached(self) -> "Monitor":
        """Return a copy of what was seen so far, that holds on to nothing else."""
        twin = copy.copy(self)
        twin.validation_loss, twin.report = None, None
        twin.loss_curve, twin.validation_loss_curve = list(self.loss_curve), list(self.validation_loss_curve)
        return twin

    @property
    def out_of_patience(self) -> bool:
        """Whether the validation loss has not fallen for too long."""
        return self.patience is not None and self._stale >= self.patience

    def _print(self) -> None:
        line = f"{self.title} iteration {len(self.loss_curve):5d}  objective {self.loss_curve[-1]:<12.6g}"
        if self.validation_loss is not None:
            line += f" validation loss {self.validation_loss_curve[-1]:<12.6g}"
        print(f"{line} {time.perf_counter() - self.start_time:8.2f} s", flush=True)
