"""What every solver is: an object that owns its hyperparameters and minimises a function of a flat vector.

The function is any object with

    .value(theta) -> float
    .value_and_gradient(theta) -> (float, ndarray of theta's shape and dtype, which the solver may overwrite)
    .n_samples -> int                                       (asked for by mini-batch solvers only, like the next)
    .batch_gradients(theta, size, order) -> iterator of such gradients, each at what theta has become by then

so a solver can be tried on Rosenbrock's function without a network. A solver reports through its result; it never
prints or warns.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator

from .documentation import Documented

Vector = NDArray[np.floating[Any]]
OUT_OF_ITERATIONS = "max_iter reached"
Callback = Callable[[OptimizeResult], None]


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
    def minimize(
        self,
        objective: Any,
        theta: Vector,
        *,
        max_iter: int,
        tol: float,
        patience: int = 10,
        seed: int = 0,
        callback: Callback | None = None,
        state: dict[str, Any] | None = None,
        keep_state: bool = False,
    ) -> OptimizeResult:
        """Minimise the objective from theta.

        Parameters
        ----------
        objective : object
            See the module's description.
        theta : ndarray of shape (n_parameters,)
            The start; it is not changed.
        max_iter : int
            The number of iterations after which to stop.
        tol : float
            The tolerance of the stopping rule; each solver says what it applies to.
        patience : int
            Iterations without enough progress before a stochastic solver stops.
        seed : int
            Where the randomness of mini-batches comes from.
        callback : callable, optional
            Called after each iteration with an `OptimizeResult` that has `x`, `fun` and `get_state`; may raise
            `StopIteration`. During the call, `get_state()` returns a `state` to go on from after this iteration (with
            `keep_state` only, where that makes a difference).
        state : dict, optional
            The `state` of an earlier result for the same objective, whose `x` is `theta`: the minimisation goes on as
            if it had not been interrupted.
        keep_state : bool
            Whether the result needs to have a `state` to go on from.

        Returns
        -------
        result : scipy.optimize.OptimizeResult
            With `x`, `fun`, `jac` (the gradient, where known), `nit`, `success`, `message` and `state`. The message
            begins with `OUT_OF_ITERATIONS` where more of them are all that is needed.
        """

    def carried_over(self, state: dict[str, Any], objective: Any, theta: Vector) -> dict[str, Any]:
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
