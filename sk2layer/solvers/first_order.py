"""Gradient steps: the textbook rule on the whole training set, and its mini-batch descendants SGD and Adam.

They differ in the rows that a step sees, in the update, and in when they have converged. What an epoch of mini-batches
is stands in `epochs`.
"""

from typing import Any, ClassVar

import numpy as np
from scipy.optimize import OptimizeResult

from ._parameters import choice, integer, real
from .base import OUT_OF_ITERATIONS, STOPPED, Run, Solver, State, Vector, asks_to_stop, diverged, largest
from .epochs import MiniBatchSolver, out_of_range, rose

ADAPTIVE_DIVISOR, LEAST_ADAPTIVE_RATE = 5.0, 1e-6
"""How the "adaptive" schedule lowers the learning rate, and where it ends: as in scikit-learn's networks."""


class GradientDescent(Solver):
    """The textbook rule, W <- W - learning_rate * dJ/dW, with the gradient of the whole training set.

    It has converged when the largest component of the gradient is at most `tol`.

    Parameters
    ----------
    learning_rate : float, default=0.2
        The length of a step in units of the gradient.

    References
    ----------
    Rumelhart, Hinton & Williams (1986). Learning representations by back-propagating errors. Nature 323.

    Examples
    --------
    >>> from sk2layer.solvers import GradientDescent
    >>> GradientDescent(learning_rate=0.1)
    GradientDescent(learning_rate=0.1)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"learning_rate": [real(0.0, closed="neither")]}

    def __init__(self, *, learning_rate: float = 0.2) -> None:
        self.learning_rate = learning_rate

    def minimize(self, objective: Any, theta: Vector, run: Run) -> OptimizeResult:
        """Minimise the objective from theta; see `Solver.minimize`."""
        theta = theta.copy()
        value, gradient = objective.value_and_gradient(theta)
        state = {"first": value} if run.state is None else run.state
        n_iter, message = 0, self._converged(gradient, run)
        while not message and n_iter < run.max_iter:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
                theta -= self.learning_rate * gradient
                value, gradient = objective.value_and_gradient(theta)
            n_iter += 1
            if diverged(value, theta):
                break
            message = self._converged(gradient, run)
            if asks_to_stop(run.callback, theta, value, state):
                message = message or STOPPED
        success, message = self._verdict(value, theta, state, message)
        return OptimizeResult(
            x=theta, fun=value, jac=gradient, nit=n_iter, success=success, message=message, state=state
        )

    def _converged(self, gradient: Vector, run: Run) -> str:
        steepest = largest(gradient)
        if steepest <= run.tol:
            return f"the largest component of the gradient, {steepest:.2g}, is at most tol={run.tol:g}"
        return ""  # also where the gradient is not a number

    def _verdict(self, value: float, theta: Vector, state: State, message: str) -> tuple[bool, str]:
        if diverged(value, theta):
            return False, out_of_range(self.learning_rate)
        if value > state["first"]:
            return False, rose(state["first"], value, self.learning_rate)
        return bool(message), message or OUT_OF_ITERATIONS


class SGD(MiniBatchSolver):
    """Stochastic gradient descent on shuffled mini-batches, with momentum.

    It stops when the mean of the objective over an epoch's batches has not fallen by `tol` for `n_iter_no_change`
    epochs. Whether that is near a minimum
    depends on the learning rate; where it plainly is not, the fit says that it has not converged.

    Parameters
    ----------
    learning_rate : float, default=0.05
        The (initial) length of a step in units of the gradient.
    momentum : float in [0, 1), default=0.9
        The share of the last step that is added to the next.
    nesterov : bool, default=True
        Whether to take the gradient's effect on the momentum in advance (Nesterov 1983).
    schedule : {"constant", "invscaling", "adaptive"}, default="constant"
        "constant" keeps the learning rate; "invscaling" divides it by the number of the step to the power `power_t`;
        "adaptive" divides it by 5, instead of stopping, whenever the objective stops falling, until it is below
        1e-6. In `partial_fit`, which sees no more than a batch, "adaptive" leaves it as it is.
    power_t : float, default=0.5
        The exponent of "invscaling".
    batch_size : int or "auto", default="auto"
        Rows per step; "auto" is min(200, n_samples).
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new random order.

    References
    ----------
    Sutskever, Martens, Dahl & Hinton (2013). On the importance of initialization and momentum in deep learning. ICML.

    Examples
    --------
    >>> from sk2layer.solvers import SGD
    >>> SGD(learning_rate=0.02, nesterov=False)
    SGD(learning_rate=0.02, nesterov=False)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "learning_rate": [real(0.0, closed="neither")],
        "momentum": [real(0.0, 1.0)],
        "nesterov": ["boolean"],
        "schedule": [choice("constant", "invscaling", "adaptive")],
        "power_t": [real(0.0)],
        "batch_size": [integer(1), choice("auto")],
        "shuffle": ["boolean"],
    }

    def __init__(
        self,
        *,
        learning_rate: float = 0.05,
        momentum: float = 0.9,
        nesterov: bool = True,
        schedule: str = "constant",
        power_t: float = 0.5,
        batch_size: int | str = "auto",
        shuffle: bool = True,
    ) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.nesterov = nesterov
        self.schedule = schedule
        self.power_t = power_t
        self.batch_size = batch_size
        self.shuffle = shuffle

    def _start(self, theta: Vector) -> State:
        return {"velocity": np.zeros_like(theta), "reduction": 1.0, "step": 0}

    def _step(self, theta: Vector, gradient: Any, state: State, work: Vector) -> State:
        step, velocity, reduction = state["step"] + 1, state["velocity"], state["reduction"]
        if self.schedule == "invscaling":
            reduction = 1.0 / step**self.power_t
        gradient *= self.learning_rate * reduction
        velocity *= self.momentum
        velocity -= gradient
        if self.nesterov:
            theta += np.multiply(velocity, self.momentum, out=work)
            theta -= gradient
        else:
            theta += velocity
        return {**state, "reduction": reduction, "step": step}

    def _with_progress(self, state: State, mean: float, run: Run) -> State:
        state = super()._with_progress(state, mean, run)
        learning_rate = self.learning_rate * state["reduction"]
        if self.schedule == "adaptive" and state["stale"] >= run.patience and learning_rate > LEAST_ADAPTIVE_RATE:
            return {**state, "reduction": state["reduction"] / ADAPTIVE_DIVISOR, "stale": 0}
        return state


class Adam(MiniBatchSolver):
    """Adam: gradient steps scaled by running means of the gradient and of its square, on shuffled mini-batches.

    It stops when the mean of the objective over an epoch's batches has not fallen by `tol` for `n_iter_no_change`
    epochs. Whether that is near a minimum
    depends on the learning rate; where it plainly is not, the fit says that it has not converged.

    Parameters
    ----------
    learning_rate : float, default=0.03
        About the largest change of a weight per step.
    beta_1 : float in [0, 1), default=0.9
        How much of the running mean of the gradient is kept in a step.
    beta_2 : float in [0, 1), default=0.999
        How much of the running mean of the squared gradient is kept in a step.
    epsilon : float, default=1e-8
        Added to the root of the running mean of the squared gradient.
    batch_size : int or "auto", default="auto"
        Rows per step; "auto" is min(200, n_samples).
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new random order.

    References
    ----------
    Kingma & Ba (2015). Adam: a method for stochastic optimization. ICLR.

    Examples
    --------
    >>> from sk2layer.solvers import Adam
    >>> Adam(learning_rate=0.001, batch_size=32)
    Adam(batch_size=32, learning_rate=0.001)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "learning_rate": [real(0.0, closed="neither")],
        "beta_1": [real(0.0, 1.0)],
        "beta_2": [real(0.0, 1.0)],
        "epsilon": [real(0.0, closed="neither")],
        "batch_size": [integer(1), choice("auto")],
        "shuffle": ["boolean"],
    }

    def __init__(
        self,
        *,
        learning_rate: float = 0.03,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        batch_size: int | str = "auto",
        shuffle: bool = True,
    ) -> None:
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.batch_size = batch_size
        self.shuffle = shuffle

    def _start(self, theta: Vector) -> State:
        return {"mean": np.zeros_like(theta), "mean_square": np.zeros_like(theta), "step": 0}

    def _step(self, theta: Vector, gradient: Any, state: State, work: Vector) -> State:
        step, mean, mean_square = state["step"] + 1, state["mean"], state["mean_square"]
        mean *= self.beta_1
        mean += np.multiply(gradient, 1.0 - self.beta_1, out=work)
        gradient *= gradient
        gradient *= 1.0 - self.beta_2
        mean_square *= self.beta_2
        mean_square += gradient
        # mean / c1 / (root(mean_square / c2) + epsilon), with both corrections for the start drawn to the front
        correction_1, correction_2 = (1.0 - beta**step for beta in (self.beta_1, self.beta_2))
        np.sqrt(mean_square, out=work)
        work += self.epsilon * correction_2**0.5
        np.divide(mean, work, out=work)
        work *= self.learning_rate * correction_2**0.5 / correction_1
        theta -= work
        return {**state, "step": step}
