"""Second-order steps on the whole training set: Levenberg-Marquardt, damped Newton steps with a gain-ratio control.

A step solves (B + damping I) step = -gradient. B is the Gauss-Newton matrix G, which is positive semidefinite whatever
the weights: for squared error this is Levenberg-Marquardt's method, for log loss Fisher scoring. G leaves out the
network's own curvature, so that near a minimum its steps converge linearly, slowly where residuals are large or classes
separable. Where the Hessian, damped as it is, is positive definite, B is therefore the Hessian, and convergence is
quadratic.

The damping follows the gain ratio, the actual by the predicted decrease of the objective (Nielsen 1999): it falls where
the quadratic model predicts well, and grows faster and faster while steps are refused. No step is taken that does not
lower the objective, except in its last digits, where what is lowered is the gradient.

Where the parameters are too many for matrices, the same steps are found by conjugate gradients, roughly: B is then the
Gauss-Newton matrix, of which only products with vectors are needed, and a Kronecker-factored approximation serves as
preconditioner. Such a step costs as much as a few gradients and brings most of the decrease of the exact one.

The objective needs methods beyond those of `base`:

    .curvature(theta, out) -> (gradient, gauss_newton, hessian)       matrices (n, n) in float64, written to `out`
    .gauss_newton_product(theta, vector) -> vector                    these two for conjugate gradients
    .kronecker_approximation(theta) -> has .largest and .solve(vector, damping)
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs
from scipy.optimize import OptimizeResult

from ._parameters import choice, real
from .base import OUT_OF_ITERATIONS, Callback, Solver, Vector, diverged

DENSE_LIMIT = 500
"""linear_solver="auto" is "cholesky" up to this number of parameters; see docs/benchmarks/solver_choice.py."""

MAX_PRODUCTS = 50  # the most products with a vector for a step
MAX_TRIALS = 30  # the damping has then grown by a factor of 2^465: no step is left between here and rounding


class Step(NamedTuple):
    """A step and the decrease of the objective that the quadratic model predicts for it."""

    step: Vector
    predicted: float


class Memory(NamedTuple):
    """Three matrices, the same in every iteration: new memory costs more than filling it."""

    gauss_newton: Vector
    hessian: Vector
    damped: Vector

    @classmethod
    def of(cls, n_parameters: int) -> "Memory":
        """Return uninitialised memory."""
        return cls(*(np.empty((n_parameters, n_parameters)) for _ in range(3)))


class QuadraticModel:
    """The objective around theta by its second derivatives, as matrices in `memory`."""

    def __init__(self, objective: Any, theta: Vector, memory: Memory, *, exact: bool) -> None:
        gradient, gauss_newton, hessian = objective.curvature(theta, out=memory[:2])
        self.gradient = gradient.astype(np.float64)
        self.matrices = [hessian, gauss_newton] if exact else [gauss_newton]
        self.damped = memory.damped

    @property
    def scale(self) -> float:
        """The largest diagonal element of the Gauss-Newton matrix, what the first damping is relative to."""
        return float(self.matrices[-1].diagonal().max())

    def step(self, damping: float) -> Step | None:
        """Return the damped step, or None where no matrix is positive definite in floating-point arithmetic."""
        while True:
            factor, info = self._cholesky(self.matrices[0], damping)
            if info == 0:
                step = -dpotrs(factor, self.gradient, lower=1)[0]
                # -g.T s - 1/2 s.T B s, with B s = -g - damping s
                with np.errstate(over="ignore", invalid="ignore"):
                    return Step(step, 0.5 * float(damping * (step @ step) - self.gradient @ step))
            if len(self.matrices) == 1:
                return None
            del self.matrices[0]

    def _cholesky(self, matrix: Vector, damping: float) -> tuple[Vector, int]:
        np.copyto(self.damped, matrix)
        self.damped.flat[:: len(matrix) + 1] += damping
        return dpotrf(self.damped.T, lower=1, clean=0, overwrite_a=1)


class LinearizedModel:
    """The objective around theta by products with its Gauss-Newton matrix, without any matrix.

    Conjugate gradients end when the preconditioned residual has shrunk to the part `forcing`.
    """

    def __init__(self, objective: Any, theta: Vector, forcing: float) -> None:
        self.forcing = forcing
        _, gradient = objective.value_and_gradient(theta)
        self.gradient = gradient.astype(np.float64)
        self.approximation = objective.kronecker_approximation(theta)
        self.product = partial(objective.gauss_newton_product, theta)

    @property
    def scale(self) -> float:
        """The largest eigenvalue of the approximation, what the first damping is relative to."""
        return float(self.approximation.largest)

    def step(self, damping: float) -> Step | None:
        """Return the damped step as far as conjugate gradients come soon (Nocedal & Wright 2006, algorithm 5.3)."""
        step, residual = np.zeros_like(self.gradient), -self.gradient
        solved = self.approximation.solve(residual, damping)
        direction, size = solved, float(residual @ solved)
        goal = self.forcing**2 * size
        for _ in range(MAX_PRODUCTS):
            if not size > goal:
                break
            product = self.product(direction) + damping * direction
            length = size / float(direction @ product)
            step = step + length * direction
            residual = residual - length * product
            solved = self.approximation.solve(residual, damping)
            size, last_size = float(residual @ solved), size
            direction = solved + size / last_size * direction
        # -g.T s - 1/2 s.T B s, with B s = -g - damping s - residual
        with np.errstate(over="ignore", invalid="ignore"):
            return Step(step, 0.5 * float(damping * (step @ step) + residual @ step - self.gradient @ step))


Model = QuadraticModel | LinearizedModel


class LevenbergMarquardt(Solver):
    """Levenberg-Marquardt: damped Gauss-Newton and Newton steps, for small networks by far the fastest to the optimum.

    With matrices, it needs memory for four of n_parameters x n_parameters, and n_parameters^3 / 3 operations a step. It
    has converged when the largest component of the gradient and the relative decrease of the objective in the last
    iteration are both at most `tol`, or when the objective cannot be lowered any further in floating-point arithmetic.

    Parameters
    ----------
    damping : float, default=0.01
        The damping of the first step, relative to the largest diagonal element of the Gauss-Newton matrix.
    exact_hessian : bool, default=True
        Whether steps use the Hessian where it is positive definite; False is Levenberg-Marquardt's method alone. With
        conjugate gradients it is the Gauss-Newton matrix in any case.
    linear_solver : {"auto", "cholesky", "cg"}, default="auto"
        How a step is found: from the matrices, by Cholesky's factorisation; or roughly, by preconditioned conjugate
        gradients with products of the Gauss-Newton matrix with vectors. "auto" is "cholesky" for up to 500 parameters.

    References
    ----------
    Levenberg (1944). A method for the solution of certain non-linear problems in least squares. Quarterly of Applied
    Mathematics 2.

    Marquardt (1963). An algorithm for least-squares estimation of nonlinear parameters. SIAM Journal 11.

    Nocedal & Wright (2006). Numerical Optimization. Springer.

    Nielsen (1999). Damping parameter in Marquardt's method. Technical University of Denmark, IMM-REP-1999-05.

    Examples
    --------
    >>> from sk2layer.solvers import LevenbergMarquardt
    >>> LevenbergMarquardt(damping=0.1)
    LevenbergMarquardt(damping=0.1)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "damping": [real(0.0, closed="neither")],
        "exact_hessian": ["boolean"],
        "linear_solver": [choice("auto", "cholesky", "cg")],
    }

    def __init__(self, *, damping: float = 0.01, exact_hessian: bool = True, linear_solver: str = "auto") -> None:
        self.damping = damping
        self.exact_hessian = exact_hessian
        self.linear_solver = linear_solver

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
        """Minimise the objective from theta; see `Solver.minimize`."""
        value = objective.value(theta)
        if diverged(value, theta):
            message = "the objective is not finite"
            return OptimizeResult(x=theta, fun=value, nit=0, success=False, message=message, state=state)
        make_model = self._model_maker(objective, len(theta))
        model = make_model(theta, np.inf if state is None else state["decrease"])
        state = {"damping": self.damping * model.scale, "decrease": np.inf} if state is None else dict(state)
        n_iter, (success, message) = 0, _converged(model, state, tol)
        while not message and n_iter < max_iter:
            trial = _lower(objective, theta, value, model, state)
            if trial is None:
                success, message = _stuck(model)
                break
            decrease = (value - trial.fun) / max(abs(value), np.finfo(np.float64).tiny)
            next_model = make_model(trial.x, decrease)
            # Where the objective has no digits left to fall by, the gradient may have, and must then fall itself.
            if trial.fun >= value and not _largest(next_model) < _largest(model):
                success, message = _stuck(model)
                break
            state["decrease"] = decrease
            theta, value, model = trial.x, trial.fun, next_model
            n_iter += 1
            success, message = _converged(model, state, tol)
            try:
                if callback is not None:
                    callback(OptimizeResult(x=theta, fun=value, get_state=state.copy))
            except StopIteration:
                success, message = True, message or "stopped by the callback"
        still = f"{OUT_OF_ITERATIONS} with the largest component of the gradient at {_largest(model):.2g}"
        return OptimizeResult(
            x=theta,
            fun=value,
            jac=model.gradient,
            nit=n_iter,
            success=success,
            message=message or still,
            state=state,
        )

    def _model_maker(self, objective: Any, n_parameters: int) -> Callable[[Vector, float], Model]:
        """Return what makes the model around theta, given the relative decrease of the objective in the last step."""
        matrices = n_parameters <= DENSE_LIMIT if self.linear_solver == "auto" else self.linear_solver == "cholesky"
        if not matrices:
            return lambda theta, decrease: LinearizedModel(objective, theta, forcing=_forcing(decrease))
        memory = Memory.of(n_parameters)
        return lambda theta, decrease: QuadraticModel(objective, theta, memory, exact=self.exact_hessian)


def _forcing(decrease: float) -> float:
    """Return how exactly to solve for a step: roughly far from the optimum, better where little is left to gain."""
    return float(np.clip(np.sqrt(100.0 * max(decrease, 0.0)), 0.01, 0.5))


def _lower(objective: Any, theta: Vector, value: float, model: Model, state: dict[str, Any]) -> OptimizeResult | None:
    """Return a point with a lower objective and adapt the damping, or None where there is none to be found.

    Where the predicted decrease is below the rounding of the objective, an objective that is equal to rounding will do.
    """
    growth, rounding = 2.0, 4.0 * np.finfo(theta.dtype).eps * abs(value)
    damping = state["damping"]
    for _ in range(MAX_TRIALS):
        step = model.step(state["damping"])
        if step is not None:
            trial = (theta + step.step).astype(theta.dtype)
            trial_value = objective.value(trial)
            if not step.predicted > rounding:  # nor where it is not a number
                if trial_value <= value + rounding:
                    return OptimizeResult(x=trial, fun=trial_value)
                break
            if trial_value < value:
                gain_ratio = (value - trial_value) / step.predicted
                state["damping"] *= max(1.0 / 3.0, 1.0 - (2.0 * gain_ratio - 1.0) ** 3)
                return OptimizeResult(x=trial, fun=trial_value)
        state["damping"] *= growth
        growth *= 2.0
    state["damping"] = damping  # a fit that goes on from here finds the same
    return None


def _largest(model: Model) -> float:
    return float(np.abs(model.gradient).max())


def _converged(model: Model, state: dict[str, Any], tol: float) -> tuple[bool, str]:
    if _largest(model) > tol or state["decrease"] > tol:
        return False, ""
    return True, (
        f"the largest component of the gradient, {_largest(model):.2g}, and the relative decrease of the objective, "
        f"{state['decrease']:.2g}, are at most tol={tol:g}"
    )


def _stuck(model: Model) -> tuple[bool, str]:
    return True, (
        "the objective cannot be lowered within the precision of floating-point numbers; the largest component of the "
        f"gradient is {_largest(model):.2g}"
    )
