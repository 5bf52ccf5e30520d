"""Second-order steps on the whole training set: Levenberg-Marquardt, damped Newton steps with a gain-ratio control.

A step solves (B + damping I) step = -gradient. B is the Gauss-Newton matrix G, which is positive semidefinite whatever
the weights: for squared error this is Levenberg-Marquardt's method, for log loss Fisher scoring. G leaves out the
network's own curvature, so that near a minimum its steps converge linearly, slowly where residuals are large or classes
separable. Where the Hessian, damped as it is, is positive definite, B is therefore the Hessian, and convergence is
quadratic.

The damping follows the gain ratio, the actual by the predicted decrease of the objective (Nielsen 1999): it falls where
the quadratic model predicts well, and grows faster and faster while steps are refused. No step is taken that does not
lower the objective, except in its last digits, where what is lowered is the gradient.

The objective needs a method beyond those of `base`:

    .curvature(theta, out) -> (gradient, gauss_newton, hessian)       matrices (n, n) in float64, written to `out`
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs
from scipy.optimize import OptimizeResult

from ._parameters import real
from .base import OUT_OF_ITERATIONS, Callback, Solver, Vector, diverged

EPS, TINY = float(np.finfo(np.float64).eps), float(np.finfo(np.float64).tiny)
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

    @property
    def largest(self) -> float:
        """The largest component of the gradient."""
        return float(np.abs(self.gradient).max())

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


class LevenbergMarquardt(Solver):
    """Levenberg-Marquardt: damped Gauss-Newton and Newton steps, for small networks by far the fastest to the optimum.

    A step takes n_parameters^3 / 3 operations, and memory for up to 20 matrices of n_parameters x n_parameters: four,
    and where rows are many, two for each of eight parts of them, which threads may share.

    It has converged when the largest component of the gradient and the relative decrease of the objective in the last
    iteration are both at most `tol`, or when a step would lower the objective by no more than the rounding of
    floating-point numbers.

    Parameters
    ----------
    damping : float, default=0.01
        The damping of the first step, relative to the largest diagonal element of the Gauss-Newton matrix.
    exact_hessian : bool, default=True
        Whether steps use the Hessian where it is positive definite; False is Levenberg-Marquardt's method alone.

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
    }

    def __init__(self, *, damping: float = 0.01, exact_hessian: bool = True) -> None:
        self.damping = damping
        self.exact_hessian = exact_hessian

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
        memory = Memory.of(len(theta))
        model = QuadraticModel(objective, theta, memory, exact=self.exact_hessian)
        state = self._start(model, value) if state is None else dict(state)
        n_iter, (success, message) = 0, _converged(model, state, tol)
        while not message and n_iter < max_iter:
            trial = self._lower(objective, theta, value, model, state)
            if trial is None:
                success, message = self._stuck(model, state, _rounding(theta, value, state), tol)
                break
            next_model = QuadraticModel(objective, trial.x, memory, exact=self.exact_hessian)
            # Where the objective has no digits left to fall by, the gradient may have, and must then fall itself.
            if trial.fun >= value and not next_model.largest < model.largest:
                success, message = _at_rounding(model)
                break
            state["decrease"] = (value - trial.fun) / _size(value, state)
            theta, value, model = trial.x, trial.fun, next_model
            n_iter += 1
            success, message = _converged(model, state, tol)
            try:
                if callback is not None:
                    callback(OptimizeResult(x=theta, fun=value, get_state=state.copy))
            except StopIteration:
                success, message = True, message or "stopped by the callback"
        still = f"{OUT_OF_ITERATIONS} with the largest component of the gradient at {model.largest:.2g}"
        return OptimizeResult(
            x=theta,
            fun=value,
            jac=model.gradient,
            nit=n_iter,
            success=success,
            message=message or still,
            state=state,
        )

    def carried_over(self, state: dict[str, Any], objective: Any, theta: Vector) -> dict[str, Any]:
        """Keep the damping; see `Solver.carried_over`."""
        return {**state, "decrease": np.inf}

    def _start(self, model: QuadraticModel, value: float) -> dict[str, Any]:
        damping = self.damping * model.scale
        return {"damping": damping, "decrease": np.inf, "first": abs(value), "steepest": model.largest}

    def _lower(
        self, objective: Any, theta: Vector, value: float, model: QuadraticModel, state: dict[str, Any]
    ) -> OptimizeResult | None:
        """Return a point with a lower objective and adapt the damping, or None where there is none to be found.

        In the last digits of the objective, one that is equal to rounding will do.
        """
        growth, rounding, damping = 2.0, _rounding(theta, value, state), state["damping"]
        least = EPS * model.largest  # where there is no curvature to be relative to
        for _ in range(MAX_TRIALS):
            step = model.step(state["damping"])
            if step is not None:
                trial = (theta + step.step).astype(theta.dtype)
                trial_value = objective.value(trial)
                if not step.predicted > rounding:  # nor where it is not a number
                    if trial_value <= value + rounding and self._is_at_rounding(model, damping, rounding):
                        return OptimizeResult(x=trial, fun=trial_value)
                    break
                if trial_value < value:
                    gain_ratio = (value - trial_value) / step.predicted
                    state["damping"] *= max(1.0 / 3.0, 1.0 - (2.0 * gain_ratio - 1.0) ** 3)
                    return OptimizeResult(x=trial, fun=trial_value)
            state["damping"] = max(growth * state["damping"], least)
            growth *= 2.0
        state["damping"] = damping  # a fit that goes on from here finds the same
        return None

    def _is_at_rounding(self, model: QuadraticModel, damping: float, rounding: float) -> bool:
        """Return whether a step of little damping, too, would lower the objective by no more than its rounding."""
        step = model.step(min(damping, self.damping * model.scale))
        return step is not None and step.predicted <= rounding

    def _stuck(self, model: QuadraticModel, state: dict[str, Any], rounding: float, tol: float) -> tuple[bool, str]:
        """Return whether it has converged where no step is left, and why there is none."""
        least = max(tol, 64.0 * EPS * state["steepest"])
        if model.largest <= least or self._is_at_rounding(model, state["damping"], rounding):
            return _at_rounding(model)
        why = "no step lowers the objective" if np.isfinite(model.scale) else "the second derivatives are not finite"
        largest = f"the largest component of the gradient is {model.largest:.2g}"
        return False, f"{why}, and {largest}, above tol={tol:g}: scale the data, or try another start or solver"


def _size(value: float, state: dict[str, Any]) -> float:
    """Return what changes of the objective are relative to: its value, and where that is near zero, its first value."""
    return max(abs(value), EPS * state["first"], TINY)


def _rounding(theta: Vector, value: float, state: dict[str, Any]) -> float:
    """Return the differences of the objective that do not count."""
    return 4.0 * float(np.finfo(theta.dtype).eps) * _size(value, state)


def _converged(model: QuadraticModel, state: dict[str, Any], tol: float) -> tuple[bool, str]:
    if model.largest > tol or state["decrease"] > tol:
        return False, ""
    return True, (
        f"the largest component of the gradient, {model.largest:.2g}, and the relative decrease of the objective, "
        f"{state['decrease']:.2g}, are at most tol={tol:g}"
    )


def _at_rounding(model: QuadraticModel) -> tuple[bool, str]:
    return True, (
        "the objective cannot be lowered within the precision of floating-point numbers; the largest component of the "
        f"gradient is {model.largest:.2g}"
    )
