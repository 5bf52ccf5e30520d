"""How a fit reports to scikit-learn's callbacks, where scikit-learn has them.

It has since version 1.9, as an experiment, and this is the one place that knows how. With an older version, or where no
callback is set, there is no reporter, and a fit is what it was.

The tasks of a fit are its iterations. Those of a fit from several starts are the starts, and theirs the iterations.
Those of a search are the fits of its candidates.

A callback may have a method of ours, besides those of scikit-learn's protocol:

    .on_state(estimator_now)    after each iteration; `estimator_now()` returns a copy of the estimator as it is now,
                                without callbacks, whose `fit` would go on from there
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    FRAMES_OF_FIT = 3
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator without callbacks."""

    def with_callbacks(method: Any) -> Any:
        """Return the method as it is."""
        return method

    FRAMES_OF_FIT = 2


__all__ = [
    "FRAMES_OF_FIT",
    "CallbackSupportMixin",
    "CandidateTask",
    "Reporter",
    "SearchReporter",
    "StartReporter",
    "with_callbacks",
    "without_callbacks",
]

# FRAMES_OF_FIT: the frames of a call of `fit` on the stack, with its decorators, for warnings that name the caller.

ATTRIBUTES = "_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx"
"""What scikit-learn keeps of callbacks in an estimator."""


def saves_states(estimator: Any) -> bool:
    """Return whether a callback of the estimator asks for states that a fit can go on from."""
    return any(hasattr(callback, "on_state") for callback in getattr(estimator, "_skl_callbacks", ()))


def without_callbacks(estimator: Any) -> Any:
    """Return a shallow copy of the estimator without its callbacks."""
    twin = object.__new__(type(estimator))  # quicker than copy, which goes the way of pickles
    vars(twin).update({name: value for name, value in vars(estimator).items() if name not in ATTRIBUTES})
    return twin


class Task:
    """A task that the callbacks of an estimator are told of: its fit to X and y, with which they score."""

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.estimator, self.told = estimator, {"estimator": estimator, "X": X, "y": y, "metadata": metadata}

    def open(self, max_subtasks: int, *, sequential: bool) -> Any:
        """Return the context of the whole fit."""
        how = {"max_subtasks": max_subtasks, "sequential_subtasks": sequential}
        return self.call(self.estimator._init_callback_context, **how)

    def begin(self, context: Any) -> None:
        """Report that the task of a context begins."""
        self.call(context.call_on_fit_task_begin, **self.told)

    def end(self, context: Any, attributes: Any) -> bool:
        """Report that the task of a context has ended; return whether a callback asks to stop."""
        return bool(self.call(context.call_on_fit_task_end, **self.told, reconstruction_attributes=attributes))

    def call(self, hook: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the callbacks; a `StopIteration` of theirs must not reach the solver, to which it means something."""
        try:
            return hook(*args, **kwargs)
        except StopIteration as error:
            names = " or ".join(type(callback).__name__ for callback in self.estimator._skl_callbacks)
            message = f"The callback {names} raised StopIteration. To stop a fit, return True from on_fit_task_end."
            raise RuntimeError(message) from error


class Reporter:
    """Tells the callbacks of an estimator how its fit comes along; hands a `StartReporter` to each start.

    `as_of` returns a copy of the estimator, given what came of its fit so far.
    """

    def __init__(self, estimator: Any, as_of: Callable[[Any], Any], X: Any, y: Any, sample_weight: Any) -> None:
        self.as_of, self.task = as_of, Task(estimator, X, y, sample_weight)
        self.savers = [callback for callback in estimator._skl_callbacks if hasattr(callback, "on_state")]
        self.root: Any = None

    @classmethod
    def of(cls, estimator: Any, *args: Any) -> Self | None:
        """Return a reporter if there is anybody to report to."""
        return cls(estimator, *args) if getattr(estimator, "_skl_callbacks", None) else None

    def begin(self, n_starts: int, max_iter: int) -> list["StartReporter"]:
        """Report that the fit begins; return a reporter for each start. A single one is the fit itself."""
        several = n_starts > 1
        self.root = self.task.open(n_starts if several else max_iter, sequential=not several)
        self.task.begin(self.root)
        # All of them now: they must not change each other while they are sent to other processes.
        contexts = [self.root]
        if several:
            contexts = [self.root.subcontext("start", task_id=i, max_subtasks=max_iter) for i in range(n_starts)]
        return [StartReporter(self.task, context, self.as_of, self.savers, of_its_own=several) for context in contexts]

    def end(self, outcome: Any) -> Any:
        """Report that the fit has ended, and the estimator is fitted; return its outcome."""
        try:
            self.task.end(self.root, {})
        except KeyboardInterrupt:
            return outcome._replace(interrupted=True)
        return outcome


class StartReporter:
    """Tells the callbacks how one start comes along; `of_its_own`: it is a task by itself, and not the whole fit."""

    def __init__(
        self, task: Task, context: Any, as_of: Callable[[Any], Any], savers: list[Any], *, of_its_own: bool
    ) -> None:
        self.task, self.context, self.as_of, self.savers, self.of_its_own = task, context, as_of, savers, of_its_own
        self.iteration: Any = None
        self.n_begun = 0

    def begin(self) -> None:
        """Report that the start begins, with its first iteration."""
        if self.of_its_own:
            self.task.begin(self.context)
        self._begin_iteration()

    def end_iteration(self, outcome: Callable[..., Any]) -> bool:
        """Report that an iteration has ended; return whether a callback asks to stop.

        `outcome(keep_state=)` returns what came of the fit so far, and keeps what is needed to go on from it or not.
        """
        for callback in self.savers:
            self.task.call(callback.on_state, lambda: self.as_of(outcome(keep_state=True)))
        stop = self._end_iteration(lambda: vars(self.as_of(outcome(keep_state=False))))
        if not stop:
            self._begin_iteration()
        return stop

    def end(self, outcome: Any) -> Any:
        """Report that the start has ended; return its outcome, with whether a callback asks for no more of them."""
        try:
            return outcome._replace(stopped=self._end(outcome))
        except KeyboardInterrupt:
            return outcome._replace(interrupted=True)

    def _end(self, outcome: Any) -> bool:
        stop = False
        try:
            if self.iteration is not None:  # begun before it was known that there would be no more
                self._end_iteration(None)
        finally:
            if self.of_its_own:
                stop = self.task.end(self.context, lambda: vars(self.as_of(outcome)))
        return stop

    def _begin_iteration(self) -> None:
        if self.n_begun < self.context.max_subtasks:
            self.n_begun += 1
            self.iteration = self.context.subcontext("iteration")
            self.task.begin(self.iteration)

    def _end_iteration(self, attributes: Any) -> bool:
        iteration, self.iteration = self.iteration, None  # it is ended once, also if that is interrupted
        return self.task.end(iteration, attributes)


class CandidateTask(NamedTuple):
    """One of several fits, such as that of a candidate of a search, as callbacks see it; to be sent to other processes.

    Attributes
    ----------
    search : estimator
        The search, whose callbacks are told.
    context : CallbackContext or None
        None where scikit-learn has no callbacks.
    """

    search: Any
    context: Any

    @contextmanager
    def of(self, model: Any, X: Any, y: Any) -> Iterator[None]:
        """Hand the callbacks on to the model while it is fitted, as those of scikit-learn's searches are."""
        if self.context is None:
            yield
            return
        with self.context.propagate_callback_context(model):
            self.context.call_on_fit_task_begin(estimator=self.search, X=X, y=y)
            try:
                yield
            finally:
                self.context.call_on_fit_task_end(estimator=self.search, X=X, y=y)


class SearchReporter:
    """Tells the callbacks of a search, or of another fit that is made of several, how it comes along.

    Parameters
    ----------
    search : estimator
    n_candidates : int
    X, y
        What was passed to `fit`.
    name : str
        What one of the fits is called.
    """

    def __init__(self, search: Any, n_candidates: int, X: Any, y: Any, name: str = "candidate") -> None:
        self.told = {"estimator": search, "X": X, "y": y}
        self.root, contexts = None, [None] * n_candidates
        if hasattr(search, "_init_callback_context"):
            self.root = search._init_callback_context(max_subtasks=n_candidates)
            self.root.call_on_fit_task_begin(**self.told)
            # All of them now: they must not change each other while they are sent to other processes.
            contexts = [self.root.subcontext(name) for _ in range(n_candidates)]
        self.tasks = [CandidateTask(search, context) for context in contexts]

    def end(self) -> None:
        """Report that the search has ended."""
        if self.root is not None:
            self.root.call_on_fit_task_end(**self.told)
