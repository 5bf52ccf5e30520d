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
from .base import EPS, OUT_OF_ITERATIONS, STOPPED, Run, Solver, State, Vector, asks_to_stop, diverged, largest

TINY = float(np.finfo(np.float64).tiny)
GROWTH = 2.0  # of the damping where a step is refused, and of this growth itself (Nielsen 1999)
LEAST_FACTOR = 1.0 / 3.0  # by which the damping falls at most where a step is taken (Nielsen 1999)
MAX_TRIALS = 30  # the damping has then grown by a factor of 2^465: no step is left between here and rounding
IDLE_ROUNDINGS = 4.0  # of the objective, which is a sum: differences of no more of them do not count
STEEP_ROUNDINGS = 64.0  # of the first gradient: what remains where a sum over rows should be zero


class Step(NamedTuple):
    """A step and the decrease of the objective that the quadratic model predicts for it."""

    step: Vector
    predicted: float


class QuadraticModel(NamedTuple):
    """The objective around theta by its second derivatives, in matrices of shape (n_parameters, n_parameters)."""

    gradient: Vector
    largest: float  # component of the gradient
    scale: float  # the largest diagonal element of the Gauss-Newton matrix: what the first damping is relative to
    matrices: tuple[Vector, ...]  # the Hessian if that is asked for, and the Gauss-Newton matrix, to try in this order
    damped: Vector  # work space for a matrix and its factor

    @classmethod
    def of(cls, objective: Any, theta: Vector, memory: tuple[Vector, ...], *, exact: bool) -> "QuadraticModel":
        """Return the model of an objective around theta; it takes the three matrices of memory from an earlier one."""
        gradient, gauss_newton, hessian = objective.curvature(theta, out=memory[:2])
        matrices, scale = (hessian, gauss_newton) if exact else (gauss_newton,), gauss_newton.diagonal().max()
        return cls(gradient.astype(np.float64), largest(gradient), float(scale), matrices, memory[2])

    def step(self, damping: float) -> tuple[Step | None, "QuadraticModel"]:
        """Return the damped step, None where no matrix is positive definite in floating-point arithmetic.

        With it comes the model for the next one from here, without the matrices that have failed: a step of another
        damping is of the same kind.
        """
        for number, matrix in enumerate(self.matrices):
            factor, info = self._cholesky(matrix, damping)
            if info == 0:
                step = -dpotrs(factor, self.gradient, lower=1)[0]
                # -g.T s - 1/2 s.T B s, with B s = -g - damping s
                with np.errstate(over="ignore", invalid="ignore"):
                    predicted = 0.5 * float(damping * (step @ step) - self.gradient @ step)
                return Step(step, predicted), self._replace(matrices=self.matrices[number:])
        return None, self._replace(matrices=self.matrices[-1:])

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

    def minimize(self, objective: Any, theta: Vector, run: Run) -> OptimizeResult:
        """Minimise the objective from theta; see `Solver.minimize`."""
        value, state = objective.value(theta), run.state
        if diverged(value, theta):
            message = "the objective is not finite"
            return OptimizeResult(x=theta, fun=value, nit=0, success=False, message=message, state=state)
        # Three matrices, the same in every iteration: new memory costs more than filling it.
        memory = tuple(np.empty((len(theta), len(theta))) for _ in range(3))
        model = QuadraticModel.of(objective, theta, memory, exact=self.exact_hessian)
        state = self._start(model, value) if state is None else state
        n_iter, (success, message) = 0, _converged(model, state, run.tol)
        while not message and n_iter < run.max_iter:
            trial, model, damping = self._lower(objective, theta, value, model, state)
            state = {**state, "damping": damping}
            if trial is None:
                success, message = self._stuck(model, state, _rounding(theta, value, state), run.tol)
                break
            next_model = QuadraticModel.of(objective, trial.x, memory, exact=self.exact_hessian)
            # Where the objective has no digits left to fall by, the gradient may have, and must then fall itself.
            if trial.fun >= value and not next_model.largest < model.largest:
                success, message = _at_rounding(model)
                break
            state = {**state, "decrease": (value - trial.fun) / _size(value, state)}
            theta, value, model = trial.x, trial.fun, next_model
            n_iter += 1
            success, message = _converged(model, state, run.tol)
            if asks_to_stop(run.callback, theta, value, state):
                success, message = True, message or STOPPED
        still = f"{OUT_OF_ITERATIONS} with the largest component of the gradient at {model.largest:.2g}"
        found = {"x": theta, "fun": value, "jac": model.gradient, "state": state}
        return OptimizeResult(**found, nit=n_iter, success=success, message=message or still)

    def carried_over(self, state: State, objective: Any, theta: Vector) -> State:
        """Keep the damping; see `Solver.carried_over`."""
        return {**state, "decrease": np.inf}

    def _start(self, model: QuadraticModel, value: float) -> State:
        damping = self.damping * model.scale
        return {"damping": damping, "decrease": np.inf, "first": abs(value), "steepest": model.largest}

    def _lower(
        self, objective: Any, theta: Vector, value: float, model: QuadraticModel, state: State
    ) -> tuple[OptimizeResult | None, QuadraticModel, float]:
        """Return a point with a lower objective, or None where none is to be found; the model; the next damping.

        In the last digits of the objective, one that is equal to rounding will do.
        """
        growth, rounding, damping = GROWTH, _rounding(theta, value, state), state["damping"]
        least = EPS * model.largest  # where there is no curvature to be relative to
        for _ in range(MAX_TRIALS):
            step, model = model.step(damping)
            if step is not None:
                x = (theta + step.step).astype(theta.dtype)
                trial = OptimizeResult(x=x, fun=objective.value(x))
                if not step.predicted > rounding:  # nor where it is not a number
                    if trial.fun <= value + rounding and self._is_at_rounding(model, state["damping"], rounding):
                        return trial, model, damping
                    break
                if trial.fun < value:
                    gain_ratio = (value - trial.fun) / step.predicted
                    return trial, model, damping * max(LEAST_FACTOR, 1.0 - (2.0 * gain_ratio - 1.0) ** 3)
            damping = max(growth * damping, least)
            growth *= GROWTH
        return None, model, state["damping"]  # a fit that goes on from here finds the same

    def _is_at_rounding(self, model: QuadraticModel, damping: float, rounding: float) -> bool:
        """Return whether a step of little damping, too, would lower the objective by no more than its rounding."""
        step, _ = model.step(min(damping, self.damping * model.scale))
        return step is not None and step.predicted <= rounding

    def _stuck(self, model: QuadraticModel, state: State, rounding: float, tol: float) -> tuple[bool, str]:
        """Return whether it has converged where no step is left, and why there is none."""
        least = max(tol, STEEP_ROUNDINGS * EPS * state["steepest"])
        if model.largest <= least or self._is_at_rounding(model, state["damping"], rounding):
            return _at_rounding(model)
        why = "no step lowers the objective" if np.isfinite(model.scale) else "the second derivatives are not finite"
        steepest = f"the largest component of the gradient is {model.largest:.2g}"
        return False, f"{why}, and {steepest}, above tol={tol:g}: scale the data, or try another start or solver"


def _size(value: float, state: State) -> float:
    """Return what changes of the objective are relative to: its value, and where that is near zero, its first value."""
    return max(abs(value), EPS * state["first"], TINY)


def _rounding(theta: Vector, value: float, state: State) -> float:
    """Return the differences of the objective that do not count."""
    return IDLE_ROUNDINGS * float(np.finfo(theta.dtype).eps) * _size(value, state)


def _converged(model: QuadraticModel, state: State, tol: float) -> tuple[bool, str]:
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
