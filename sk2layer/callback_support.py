"""How a fit reports to scikit-learn's callbacks, where scikit-learn has them.

It has since version 1.9, as an experiment, and this is the one place that knows how. With an older version, or where no
callback is set, there is no reporter, and a fit is what it was.

The tasks of a fit are its iterations. Those of a fit from several starts are the starts, and theirs the iterations.

A callback may have a method of ours, besides those of scikit-learn's protocol:

    .on_state(estimator_now)    after each iteration; `estimator_now()` returns a copy of the estimator as it is now,
                                without callbacks, whose `fit` would go on from there
"""

import copy
from collections.abc import Callable
from typing import Any, Self

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    FRAMES_OF_FIT = 2
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator without callbacks."""

    def with_callbacks(method: Any) -> Any:
        """Return the method as it is."""
        return method

    FRAMES_OF_FIT = 1


__all__ = ["FRAMES_OF_FIT", "CallbackSupportMixin", "Reporter", "with_callbacks", "without_callbacks"]

# FRAMES_OF_FIT: how many frames a call of a method `with_callbacks` is on the stack, for warnings that name the caller.

ATTRIBUTES = "_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx"
"""What scikit-learn keeps of callbacks in an estimator."""


def without_callbacks(estimator: Any) -> Any:
    """Return a shallow copy of the estimator without its callbacks."""
    twin = object.__new__(type(estimator))  # quicker than copy, which goes the way of pickles
    vars(twin).update({name: value for name, value in vars(estimator).items() if name not in ATTRIBUTES})
    return twin


class Reporter:
    """Tells the callbacks of an estimator how its fit comes along.

    Parameters
    ----------
    estimator : estimator
        The one that is fitted.
    as_of : callable
        Returns a copy of the estimator, given what came of its fit so far.
    X, y, sample_weight
        What was passed to `fit`; callbacks score with these.
    """

    def __init__(self, estimator: Any, as_of: Callable[[Any], Any], X: Any, y: Any, sample_weight: Any) -> None:
        self.as_of = as_of
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.task = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.savers = [callback for callback in estimator._skl_callbacks if hasattr(callback, "on_state")]
        self.root: Any = None
        self.context: Any = None
        self.iteration: Any = None
        self.n_begun = 0

    @classmethod
    def of(cls, estimator: Any, *args: Any) -> Self | None:
        """Return a reporter if there is anybody to report to."""
        return cls(estimator, *args) if getattr(estimator, "_skl_callbacks", None) else None

    def begin(self, n_starts: int, max_iter: int) -> list[Self]:
        """Report that the fit begins; return a reporter for each start."""
        several = n_starts > 1
        self.root = self.context = self.task["estimator"]._init_callback_context(
            max_subtasks=n_starts if several else max_iter, sequential_subtasks=not several
        )
        self.root.call_on_fit_task_begin(**self.task)
        if not several:
            return [self]
        # All of them now: they must not change each other while they are sent to other processes.
        starts = [copy.copy(self) for _ in range(n_starts)]
        for task_id, start in enumerate(starts):
            start.context = self.root.subcontext("start", task_id=task_id, max_subtasks=max_iter)
        return starts

    def begin_start(self) -> None:
        """Report that a start begins, with its first iteration."""
        if self.context is not self.root:
            self.context.call_on_fit_task_begin(**self.task)
        self._begin_iteration()

    def end_iteration(self, outcome: Callable[..., Any]) -> bool:
        """Report that an iteration has ended; return whether a callback asks to stop.

        Parameters
        ----------
        outcome : callable
            Returns what came of the fit so far; its argument `keep_state` is whether to go on from it.
        """
        for callback in self.savers:
            callback.on_state(lambda: self.as_of(outcome(keep_state=True)))
        stop = self._end(self.iteration, lambda: vars(self.as_of(outcome(keep_state=False))))
        self.iteration = None
        if not stop:
            self._begin_iteration()
        return stop

    def end_start(self, outcome: Any) -> bool:
        """Report that a start has ended; return whether a callback asks for no more of them."""
        if self.iteration is not None:  # begun before it was known that there would be no more
            self.iteration.call_on_fit_task_end(**self.task)
        return self.context is not self.root and self._end(self.context, lambda: vars(self.as_of(outcome)))

    def end(self) -> None:
        """Report that the fit has ended, and the estimator is fitted."""
        self._end(self.root, {})

    def _begin_iteration(self) -> None:
        if self.n_begun < self.context.max_subtasks:
            self.n_begun += 1
            self.iteration = self.context.subcontext("iteration")
            self.iteration.call_on_fit_task_begin(**self.task)

    def _end(self, context: Any, attributes: Any) -> bool:
        return bool(context.call_on_fit_task_end(**self.task, reconstruction_attributes=attributes))
