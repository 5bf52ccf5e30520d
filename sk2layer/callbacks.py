"""Callbacks for `set_callbacks` that scikit-learn does not have.

Experimental, as scikit-learn's callbacks are: they need scikit-learn 1.9 or newer, and may change with it.
"""

import os
import time
import warnings
from collections.abc import Callable
from numbers import Number
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from .estimator import archive
from .estimator.base import BaseTwoLayer
from .estimator.callback_support import without_callbacks
from .solvers._parameters import check_parameters, integer, real

__all__ = ["Checkpoint"]

FREE_PARAMETERS = ("max_iter", "n_jobs", "verbose", "warm_start")
"""Parameters that may be others when a fit goes on."""

NUMBERS = Number, np.bool_
"""What is equal as numbers are, whatever its type."""

REQUESTS = "_metadata_request"
"""What scikit-learn keeps of `set_fit_request` and the like: no plain data, and no part of the fit."""


class Checkpoint(BaseEstimator):
    """A callback that writes an unfinished fit to a file at intervals, to go on with if the process is killed.

    In the file is the estimator as it was after an iteration. It can predict, and its `fit`, given the same data, goes
    on to `max_iter` iterations in all, exactly as the fit would have that wrote it. The file is replaced as a whole:
    whenever the process is killed, the last complete one is there. Where it cannot be written, a warning says so, and
    the fit goes on. It holds plain data, and to load it runs no code.

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that exists. Each fit needs one of its own: of two that share it, the last to write has
        it. A process that is killed while it writes leaves a file besides, `<path>.<random>.tmp`, to be removed.
    every_n_iter : int, default=1
        Write after at least so many iterations.
    every_seconds : float, default=10.0
        And only when at least so much time has passed since the last time.

    See Also
    --------
    sklearn.callback.ProgressBar : Shows how far a fit has come.
    sklearn.callback.ScoringMonitor : Records the scores of each iteration.

    Notes
    -----
    This callback is experimental, as those of scikit-learn are, and needs scikit-learn 1.9 or newer.

    With the weights, the file holds what the solver has to remember: about as much again for "gd", three times as much
    for "adam", up to a hundred times for "lbfgs" (50 pairs of arrays), and by evidence a square matrix of the
    parameters besides.

    A fit from several starts (`n_init`) cannot be gone on with, nor one of many in a search.

    Examples
    --------
    A script that can be killed and run again, as often as it takes:

    >>> from sk2layer import TwoLayerClassifier
    >>> from sk2layer.callbacks import Checkpoint
    >>> checkpoint = Checkpoint("iris.checkpoint", every_seconds=60)
    >>> model = checkpoint.resume(TwoLayerClassifier(random_state=0))
    >>> model.set_callbacks(checkpoint).fit(X, y)  # doctest: +SKIP
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "path": [str, os.PathLike],
        "every_n_iter": [integer(1)],
        "every_seconds": [real(0.0)],
    }

    def __init__(self, path: str | os.PathLike[str], *, every_n_iter: int = 1, every_seconds: float = 10.0) -> None:
        self.path = path
        self.every_n_iter = every_n_iter
        self.every_seconds = every_seconds

    @staticmethod
    def load(path: str | os.PathLike[str]) -> BaseTwoLayer:
        """Return the estimator in a file, as it was after the iteration at which it was written.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            It can predict; its `fit` needs the same data, and goes on. It has no callbacks.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If something else is in it, or not all of it, or a solver or estimator of a class that is not yet defined.
        """
        estimator = archive.read(path)
        if not isinstance(estimator, BaseTwoLayer):
            raise ValueError(f"path must be of a file written by a Checkpoint. Got {os.fspath(path)!r}.")
        return estimator

    def resume(self, estimator: BaseTwoLayer) -> BaseTwoLayer:
        """Return the estimator to fit: that of the file, or the given one if there is no file.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            As it is to be fitted. `max_iter`, `n_jobs`, `verbose` and `warm_start` may differ from those of the fit in
            the file, and are then taken over.

        Returns
        -------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            Without callbacks if it is that of the file.

        Raises
        ------
        ValueError
            If the file is of a fit with other parameters.
        """
        check_parameters(self)
        if not Path(self.path).exists():
            return estimator
        saved = self.load(self.path)
        if type(saved) is not type(estimator):
            raise ValueError(f"estimator must be a {type(saved).__name__}, as in {self.path}. Got {estimator}.")
        wanted, found = estimator.get_params(), saved.get_params()
        for name in sorted((wanted.keys() | found.keys()) - {*FREE_PARAMETERS}):
            if not _same(wanted.get(name), found.get(name)):
                raise ValueError(
                    f"{name} must be {found.get(name)!r}, as in {self.path}. Got {wanted.get(name)!r}. "
                    "Remove the file to start afresh."
                )
        if REQUESTS in vars(estimator):
            setattr(saved, REQUESTS, vars(estimator)[REQUESTS])
        return saved.set_params(**{name: wanted[name] for name in FREE_PARAMETERS})

    # ------------------------------------------------------------------ what is called during a fit

    def setup(self, estimator: Any, context: Any) -> None:
        """Check that the fit can be gone on with, and start to count.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            What is fitted.
        context : CallbackContext of scikit-learn
            Where among other fits.

        Raises
        ------
        ValueError
            If it cannot: such as in a search, where many fits would write to one file.
        """
        check_parameters(self)
        if not isinstance(estimator, BaseTwoLayer):
            raise ValueError(f"A Checkpoint must be set on the network itself. Got {type(estimator).__name__}.")
        path = Path(self.path)
        if path.is_dir() or not path.parent.is_dir():
            raise ValueError(f"path must be of a file, in a folder that exists. Got {os.fspath(path)!r}.")
        if estimator.n_init > 1:
            raise ValueError(f"n_init must be 1 where a Checkpoint is set. Got {estimator.n_init}.")
        while context.parent is not None:
            context = context.parent
            if not context.sequential_subtasks:
                raise ValueError(
                    f"A Checkpoint needs a fit of its own. Got one of many in {context.estimator_name}, which would "
                    f"all write to {self.path}."
                )
        archive.pack(_plain(estimator), {})  # raises if that is not possible
        self._restart_count()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            What is fitted.
        context : CallbackContext of scikit-learn
            Where among other fits.
        """

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Do nothing: `on_state` is called as well.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            What is fitted.
        context : CallbackContext of scikit-learn
            Where among other fits.
        """

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            What is fitted.
        context : CallbackContext of scikit-learn
            Where among other fits.
        """

    def on_state(self, estimator_now: Callable[[], BaseTwoLayer]) -> None:
        """Write the file if it is time to.

        Parameters
        ----------
        estimator_now : callable
            Returns the estimator as it is after the iteration.
        """
        self._n_iter += 1
        if self._n_iter >= self.every_n_iter and time.monotonic() - self._time >= self.every_seconds:
            self._write(estimator_now())
            self._restart_count()

    def _restart_count(self) -> None:
        self._n_iter, self._time = 0, time.monotonic()

    def _write(self, estimator: BaseTwoLayer) -> None:
        try:
            archive.write(self.path, _plain(estimator))
        except OSError as error:
            message = f"The checkpoint {os.fspath(self.path)!r} could not be written, and the fit goes on: {error}"
            warnings.warn(message, UserWarning, stacklevel=2)


def _plain(estimator: BaseTwoLayer) -> BaseTwoLayer:
    """Return a copy of the estimator with what a file can hold."""
    twin = without_callbacks(estimator)
    vars(twin).pop(REQUESTS, None)
    return twin


def _same(one: Any, other: Any) -> bool:
    """Return whether two parameters are equal; objects with parameters or a state are equal if their types are."""
    if isinstance(one, NUMBERS) and isinstance(other, NUMBERS):
        return bool(one == other)
    return type(one) is type(other) and (one == other or not isinstance(one, str | dict | None))
