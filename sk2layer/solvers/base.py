"""What every solver is: an object that owns its hyperparameters and minimises a function of a flat vector.

The function is any object with

    .value(theta) -> float
    .value_and_gradient(theta) -> (float, ndarray of theta's shape and dtype, which the solver may overwrite)
    .n_samples -> int                                       (asked for by mini-batch solvers only, like the next)
    .batches(theta, size, order) -> iterator of (rows, value, gradient) of mini-batches, each at what theta is by then

so a solver can be tried on Rosenbrock's function without a network. A solver reports through its result; it never
prints or warns.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator

from .documentation import Documented

Vector = NDArray[np.floating[Any]]
State = dict[str, Any]
Callback = Callable[[OptimizeResult], None]

OUT_OF_ITERATIONS, STOPPED = "max_iter reached", "stopped by the callback"
EPS = float(np.finfo(np.float64).eps)


class Run(NamedTuple):
    """How a minimisation runs: when it ends, who is told of it, and where it goes on from.

    Parameters
    ----------
    max_iter : int, default=200
        The number of iterations after which to stop.
    tol : float, default=1e-4
        The tolerance of the stopping rule; each solver says what it applies to.
    patience : int, default=10
        Iterations without enough progress before a stochastic solver stops.
    seed : int, default=0
        Where the randomness of mini-batches comes from.
    callback : callable, optional
        Called after each iteration with an `OptimizeResult` that has `x`, `fun` and `get_state`; may raise
        `StopIteration`. With mini-batches, `fun` is the mean of the objective over the batches of the epoch. During
        the call, `get_state()` returns a copy of the `state` to go on from after this iteration.
    state : dict, optional
        The `state` of an earlier result for the same objective, whose `x` is the start: the minimisation goes on as if
        it had not been interrupted. It is not changed.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.optimize import rosen, rosen_der
    >>> from sk2layer.solvers import LBFGS, Run
    >>> class Rosenbrock:
    ...     def value_and_gradient(self, theta):
    ...         return rosen(theta), rosen_der(theta)
    >>> result = LBFGS().minimize(Rosenbrock(), np.zeros(2), Run(max_iter=100, tol=1e-6))
    >>> result.success, result.x.round(4)
    (True, array([1., 1.]))
    """

    max_iter: int = 200
    tol: float = 1e-4
    patience: int = 10
    seed: int = 0
    callback: Callback | None = None
    state: State | None = None


class Solver(Documented, BaseEstimator):
    """Base class of the solvers.

    Attributes
    ----------
    supports_partial_fit : bool
        Whether the solver works on mini-batches, so that data may come in pieces.
    """

    supports_partial_fit: ClassVar[bool] = False
    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def minimize(self, objective: Any, theta: Vector, run: Run) -> OptimizeResult:
        """Minimise the objective from theta.

        Parameters
        ----------
        objective : object
            With `value(theta)`, `value_and_gradient(theta)`, and what a solver asks for besides: mini-batches, or the
            second derivatives.
        theta : ndarray of shape (n_parameters,)
            The start; it is not changed.
        run : Run
            When to stop, whom to tell, and where to go on.

        Returns
        -------
        result : scipy.optimize.OptimizeResult
            With `x`, `fun`, `jac` (the gradient, where known), `nit`, `success`, `message` and `state`, to go on from.
            The message begins with `OUT_OF_ITERATIONS` where more of them are all that is needed.
        """

    def carried_over(self, state: State, objective: Any, theta: Vector) -> State:
        """Turn a state into one for another objective, which differs a little.

        Parameters
        ----------
        state : dict
            The `state` of an earlier result.
        objective : object
            The objective to go on with.
        theta : ndarray of shape (n_parameters,)
            The `x` of that result.

        Returns
        -------
        state : dict
            What still holds of it.
        """
        return state


def diverged(value: float, theta: Vector) -> bool:
    """Return whether the objective or the weights have stopped being finite."""
    return not (np.isfinite(value) and np.isfinite(theta).all())


def largest(gradient: Vector) -> float:
    """Return the largest component of a gradient, whatever its sign."""
    return float(np.abs(gradient).max())


def asks_to_stop(callback: Callback | None, theta: Vector, value: float, state: State) -> bool:
    """Tell a callback of an iteration, and return whether it wants no more of them."""
    if callback is None:
        return False
    try:
        callback(OptimizeResult(x=theta, fun=value, get_state=partial(copy.deepcopy, state)))
    except StopIteration:
        return True
    return False
