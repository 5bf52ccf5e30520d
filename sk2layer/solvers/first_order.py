"""Gradient steps: the textbook rule on the whole training set, and its mini-batch descendants SGD and Adam.

One epoch loop serves all three. They differ in the rows that a step sees, in the update, and in when they have
converged.
"""

import itertools
from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from ._parameters import choice, integer, real
from .base import OUT_OF_ITERATIONS, Callback, Solver, Vector, diverged

State = dict[str, Any]

POOL_ROWS = 2**21
"""More rows than these are not shuffled as a whole: the memory for their order is bounded."""

RUN_ROWS = 256
"""Then, runs of so many rows that follow each other come to the pools; POOL_ROWS is a multiple."""

STEEP = 0.5
"""A gradient of more than this share of the first one is no sign of a minimum nearby."""


def shuffled(n_samples: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Yield the numbers below `n_samples` in random order, in pools of at most `POOL_ROWS`.

    Where there are several pools, random runs of rows make up each, and are shuffled there: batches then come from
    thousands of places, while the rows of a file on disk are read once, pool by pool.
    """
    if n_samples <= POOL_ROWS:
        yield rng.permutation(n_samples)
        return
    runs = rng.permutation(-(-n_samples // RUN_ROWS))
    for start in range(0, len(runs), POOL_ROWS // RUN_ROWS):
        first_rows = RUN_ROWS * runs[start : start + POOL_ROWS // RUN_ROWS]
        rows = (first_rows[:, np.newaxis] + np.arange(RUN_ROWS)).ravel()
        rows = rows[rows < n_samples]
        rng.shuffle(rows)
        yield rows


def _copied(state: State) -> State:
    return {key: np.copy(item) if isinstance(item, np.ndarray) else item for key, item in state.items()}


class FirstOrder(Solver):
    """The epoch loop; a subclass says how a step changes theta."""

    learning_rate: float

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
        state: State | None = None,
        keep_state: bool = False,
    ) -> OptimizeResult:
        """Minimise the objective from theta; see `Solver.minimize`."""
        theta = theta.copy()
        value, gradient = objective.value_and_gradient(theta)
        if state is None:
            first = {"first": value, "steepest": _largest(gradient), "last": value, "best": value}
            state = {"epoch": 0, "stale": 0, "falling": 0, **first, **self._start(theta)}
        else:
            state = _copied(state)
        n_iter, message = 0, self._converged(gradient, state, tol, patience)
        while not message and n_iter < max_iter:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
                value, gradient = self._epoch(objective, theta, gradient, state, seed)
            n_iter += 1
            if diverged(value, theta):
                break
            self._record(value, state, tol, patience)
            message = self._converged(gradient, state, tol, patience)
            try:
                if callback is not None:
                    callback(OptimizeResult(x=theta, fun=value, get_state=partial(_copied, state)))
            except StopIteration:
                message = message or "stopped by the callback"
        if gradient is None and message:
            gradient = objective.value_and_gradient(theta)[1]
        success, message = self._verdict(value, theta, gradient, state, message, tol, patience)
        return OptimizeResult(
            x=theta, fun=value, jac=gradient, nit=n_iter, success=success, message=message, state=state
        )

    def _epoch(
        self, objective: Any, theta: Vector, gradient: Vector | None, state: State, seed: int
    ) -> tuple[float, Vector | None]:
        """Pass over the data once; return the objective afterwards, and its gradient where that was computed."""
        state["epoch"] += 1
        work, gradients = np.empty_like(theta), self._batch_gradients(objective, theta, seed, state["epoch"])
        if gradients is None:
            self._step(theta, gradient, state, work)
            return objective.value_and_gradient(theta)
        for batch_gradient in gradients:
            self._step(theta, batch_gradient, state, work)
        return objective.value(theta), None

    def _batch_gradients(self, objective: Any, theta: Vector, seed: int, epoch: int) -> Iterator[Vector] | None:
        """Return the gradients on the mini-batches of an epoch, or None where a step sees all rows."""
        return None

    def _start(self, theta: Vector) -> State:
        """Return what the update has to remember from step to step."""
        return {}

    @abstractmethod
    def _step(self, theta: Vector, gradient: Any, state: State, work: Vector) -> None:
        """Change theta by one step; `gradient` and `work`, which is like theta, are used up."""

    def _record(self, value: float, state: State, tol: float, patience: int) -> None:
        """Take note of the objective after an epoch."""

    @abstractmethod
    def _converged(self, gradient: Any, state: State, tol: float, patience: int) -> str:
        """Return why the minimisation is finished, or an empty string."""

    def _verdict(
        self, value: float, theta: Vector, gradient: Any, state: State, message: str, tol: float, patience: int
    ) -> tuple[bool, str]:
        if diverged(value, theta):
            return False, f"the objective is not finite: learning_rate={self.learning_rate:g} is too large"
        if value > state["first"]:
            return False, (
                f"the objective rose from {state['first']:.4g} to {value:.4g}: "
                f"learning_rate={self.learning_rate:g} is too large, lower it"
            )
        if state["stale"] >= patience <= state["falling"] and _largest(gradient) > max(tol, STEEP * state["steepest"]):
            return False, (
                f"the objective still falls, but by less than tol={tol:g} in {patience} epochs: "
                f"learning_rate={self.learning_rate:g} is too small, or tol too large"
            )
        return bool(message), message or OUT_OF_ITERATIONS


def _largest(gradient: Vector) -> float:
    return float(np.abs(gradient).max())


class GradientDescent(FirstOrder):
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

    def _step(self, theta: Vector, gradient: Any, state: State, work: Vector) -> None:
        theta -= np.multiply(gradient, self.learning_rate, out=work)

    def _converged(self, gradient: Any, state: State, tol: float, patience: int) -> str:
        largest = _largest(gradient)
        return f"the largest component of the gradient, {largest:.2g}, is at most tol={tol:g}" if largest <= tol else ""


class _MiniBatch(FirstOrder):
    """What SGD and Adam share: shuffled mini-batches, and to stop when the objective no longer falls."""

    supports_partial_fit: ClassVar[bool] = True
    batch_size: int | str
    shuffle: bool

    def _batch_gradients(self, objective: Any, theta: Vector, seed: int, epoch: int) -> Iterator[Vector] | None:
        n_samples = objective.n_samples
        size = min(200, n_samples) if isinstance(self.batch_size, str) else int(self.batch_size)
        if size >= n_samples:
            return None
        # The order follows from the seed and the number of the epoch alone, so that a fit can go on at any epoch.
        orders = shuffled(n_samples, np.random.default_rng([seed, epoch])) if self.shuffle else iter([None])
        return itertools.chain.from_iterable(objective.batch_gradients(theta, size, order) for order in orders)

    def _record(self, value: float, state: State, tol: float, patience: int) -> None:
        state["stale"] = 0 if value < state["best"] - tol else state["stale"] + 1
        state["falling"] = state["falling"] + 1 if value < state["last"] else 0
        state["best"], state["last"] = min(value, state["best"]), value

    def _converged(self, gradient: Any, state: State, tol: float, patience: int) -> str:
        return (
            f"the objective has not fallen by tol={tol:g} for {patience} epochs" if state["stale"] >= patience else ""
        )


class SGD(_MiniBatch):
    """Stochastic gradient descent on shuffled mini-batches, with momentum.

    It stops when the objective has not fallen by `tol` for `n_iter_no_change` epochs. Whether that is near a minimum
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

    def _step(self, theta: Vector, gradient: Any, state: State, work: Vector) -> None:
        state["step"] += 1
        if self.schedule == "invscaling":
            state["reduction"] = 1.0 / state["step"] ** self.power_t
        velocity = state["velocity"]
        gradient *= self.learning_rate * state["reduction"]
        velocity *= self.momentum
        velocity -= gradient
        if self.nesterov:
            theta += np.multiply(velocity, self.momentum, out=work)
            theta -= gradient
        else:
            theta += velocity

    def _record(self, value: float, state: State, tol: float, patience: int) -> None:
        super()._record(value, state, tol, patience)
        learning_rate = self.learning_rate * state["reduction"]
        if self.schedule == "adaptive" and state["stale"] >= patience and learning_rate > 1e-6:
            state["reduction"] /= 5.0
            state["stale"] = 0


class Adam(_MiniBatch):
    """Adam: gradient steps scaled by running means of the gradient and of its square, on shuffled mini-batches.

    It stops when the objective has not fallen by `tol` for `n_iter_no_change` epochs. Whether that is near a minimum
    depends on the learning rate; where it plainly is not, the fit says that it has not converged.

    Parameters
    ----------
    learning_rate : float, default=0.03
        About the largest change of a weight per step.
    beta_1 : float in [0, 1), default=0.9
        How much of the running mean of the gradient is kept in a step.
    beta_2 : float in [0, 1), default=0.999
        How much of the running mean of its square is kept in a step.
    epsilon : float, default=1e-8
        Added to the root of the mean square.
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

    def _step(self, theta: Vector, gradient: Any, state: State, work: Vector) -> None:
        state["step"] += 1
        mean, mean_square = state["mean"], state["mean_square"]
        mean *= self.beta_1
        mean += np.multiply(gradient, 1.0 - self.beta_1, out=work)
        gradient *= gradient
        gradient *= 1.0 - self.beta_2
        mean_square *= self.beta_2
        mean_square += gradient
        # mean / c1 / (root(mean_square / c2) + epsilon), with both corrections for the start drawn to the front
        correction_1, correction_2 = (1.0 - beta ** state["step"] for beta in (self.beta_1, self.beta_2))
        np.sqrt(mean_square, out=work)
        work += self.epsilon * correction_2**0.5
        np.divide(mean, work, out=work)
        work *= self.learning_rate * correction_2**0.5 / correction_1
        theta -= work
