"""Quasi-Newton on the whole training set: limited-memory BFGS, whose state is all there is to it."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from scipy.linalg.blas import dnrm2
from scipy.optimize import OptimizeResult

from ._parameters import integer
from .base import EPS, OUT_OF_ITERATIONS, STOPPED, Run, Solver, State, Vector, asks_to_stop, largest
from .line_search import Point, search

SUM_PRECISION, LEAST_SIZE = 64.0 * EPS, 1.0
"""How well a sum over rows is known, relative to itself, but to no less than about its size for standardised data."""

IDLE_ROUNDINGS = 4.0
"""A step that promises to lower the objective by no more of its roundings than these promises nothing."""


class Corrections:
    """The last correction pairs, steps s and the changes y of the gradient, and the inverse Hessian H they stand for.

    They are the memory of the method, of many times the size of theta, and change in place.

    With the pairs as the columns of S and Y from the oldest to the newest, R the upper triangle of S.T Y, D its
    diagonal, and c = s.T y / y.T y of the newest pair (Byrd, Nocedal & Schnabel 1994, theorem 2.2),

        H = c I + [S cY] [[R^-T (D + c Y.T Y) R^-1, -R^-T], [-R^-1, 0]] [S cY].T

    A product with it is then a few products with matrices, instead of two loops over the pairs. R^-1 is kept: of an
    upper triangle, the rows and columns that stay when the first ones go are those of the inverse, too. A new pair
    takes the place of the oldest, and its rows and columns that of the oldest's: the order of the others is no matter.

    Parameters
    ----------
    n_corrections : int
        The number of pairs that are kept.
    n_parameters : int
        The length of theta.
    """

    ARRAYS = "rows", "R_inverse", "YY", "D"

    def __init__(self, n_corrections: int, n_parameters: int) -> None:
        self.limit, self.count, self.scale = n_corrections, 0, 1.0
        self.rows = np.empty((n_corrections, 2, n_parameters))
        self.R_inverse, self.YY = np.zeros((2, n_corrections, n_corrections))
        self.D = np.zeros(n_corrections)
        self._views = self.rows, self.R_inverse, self.YY, self.D

    def __len__(self) -> int:
        return min(self.count, self.limit)

    def state(self) -> State:
        """Return what makes up this object; the arrays are its own."""
        return {"count": self.count, "scale": self.scale, **dict(zip(self.ARRAYS, self._taken(), strict=True))}

    def restore(self, state: State) -> None:
        """Take over a state, by copying it."""
        self.count, self.scale = state["count"], state["scale"]
        for name, array in zip(self.ARRAYS, self._taken(), strict=True):
            array[...] = state[name]

    def add(self, step: Vector, change: Vector) -> None:
        """Take in a pair, in place of the oldest if there are as many as can be kept, unless s.T y is lost in y.T y."""
        with np.errstate(over="ignore", invalid="ignore"):
            if not EPS * change.dot(change) < step.dot(change) < np.inf:
                return
        new = self.count % self.limit
        self.count += 1
        rows, R_inverse, YY, D = self._taken()
        rows[new, 0], rows[new, 1] = step, change
        R_inverse[new] = R_inverse[:, new] = 0.0
        Sy, Yy = self._products(rows, change)
        D[new] = Sy[new]
        YY[new] = YY[:, new] = Yy
        R_inverse[:, new] = R_inverse.dot(Sy) / -Sy[new]
        R_inverse[new, new] = 1.0 / Sy[new]
        self.scale = float(Sy[new] / Yy[new])

    def direction(self, gradient: Vector) -> Vector:
        """Return -H times a gradient; without any pairs, steepest descent by a step of length 1."""
        if not self.count:
            return gradient / -dnrm2(gradient)
        rows, R_inverse, YY, D = self._taken()
        Sg, Yg = self._products(rows, gradient)
        q = R_inverse.dot(Sg)
        coefficients = np.empty((2, len(q)))
        coefficients[0] = (self.scale * (Yg - YY.dot(q)) - D * q).dot(R_inverse)
        np.multiply(self.scale, q, out=coefficients[1])
        direction: Vector = coefficients.ravel("F").dot(rows.reshape(2 * len(q), -1))
        direction -= self.scale * gradient
        return direction

    def forget(self) -> None:
        """Drop all pairs."""
        self.count = 0

    @property
    def curvature(self) -> float:
        """The median curvature y.T y / s.T y of the pairs: at a kink, that of the last ones may be anything."""
        _, _, YY, D = self._taken()
        return float(np.median(YY.diagonal() / D)) if self.count else 1.0

    def _taken(self) -> tuple[Vector, Vector, Vector, Vector]:
        """Return `rows`, `R_inverse`, `YY` and `D` as far as there are pairs."""
        k = len(self)
        if k != len(self._views[0]):
            self._views = self.rows[:k], self.R_inverse[:k, :k], self.YY[:k, :k], self.D[:k]
        return self._views

    @staticmethod
    def _products(rows: Vector, vector: Vector) -> Vector:
        """Return S.T and Y.T times a vector, shape (2, n_pairs)."""
        products: Vector = rows.reshape(2 * len(rows), -1).dot(vector)
        return products.reshape(-1, 2).T


class LBFGS(Solver):
    """Limited-memory BFGS with a line search by the strong Wolfe conditions.

    It has converged when the largest component of the gradient is at most `tol`, or promises to lower the objective by
    no more than the rounding of floating-point numbers. Where the objective falls no more before that, as at the kinks
    of "relu", it stops and says so.

    Parameters
    ----------
    n_corrections : int, default=50
        The number of pairs (step, change of gradient) that stand for the curvature.
    max_line_search : int, default=20
        The largest number of evaluations per line search.

    References
    ----------
    Byrd, Nocedal & Schnabel (1994). Representations of quasi-Newton matrices and their use in limited memory methods.
    Mathematical Programming 63.

    Nocedal & Wright (2006). Numerical Optimization. Springer. Algorithms 3.5, 3.6 and 7.5.

    Examples
    --------
    >>> from sk2layer.solvers import LBFGS
    >>> LBFGS(n_corrections=10)
    LBFGS(n_corrections=10)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_corrections": [integer(1)],
        "max_line_search": [integer(1)],
    }

    def __init__(self, *, n_corrections: int = 50, max_line_search: int = 20) -> None:
        self.n_corrections = n_corrections
        self.max_line_search = max_line_search

    def minimize(self, objective: Any, theta: Vector, run: Run) -> OptimizeResult:
        """Minimise the objective from theta; see `Solver.minimize`."""
        evaluate, rule = partial(_evaluate, objective, theta.dtype), StoppingRule(run.tol, theta.dtype)
        point, corrections = self._begin(evaluate, theta, run.state)
        fall = np.inf if run.state is None else run.state["fall"]
        n_iter, (success, message) = 0, rule.verdict(point, fall, corrections)
        while not message and n_iter < run.max_iter:
            lower = self._lower(evaluate, point, corrections, rule.rounding(point))
            if lower is None or not lower.value < point.value:
                success, message = rule.verdict(point, 0.0, corrections)
                break
            corrections.add(lower.theta - point.theta, lower.gradient - point.gradient)
            point, fall = lower, point.value - lower.value
            n_iter += 1
            success, message = rule.verdict(point, fall, corrections)
            x = point.theta.astype(theta.dtype, copy=False)
            if asks_to_stop(run.callback, x, point.value, _state(point, fall, corrections)):
                success, message = True, message or STOPPED
        still = f"{OUT_OF_ITERATIONS} with the largest component of the gradient at {largest(point.gradient):.2g}"
        message, x = message or f"{still}, above tol={run.tol:g}", point.theta.astype(theta.dtype)
        found = {"x": x, "fun": point.value, "jac": point.gradient, "state": _state(point, fall, corrections)}
        return OptimizeResult(**found, nit=n_iter, success=success, message=message)

    def carried_over(self, state: State, objective: Any, theta: Vector) -> State:
        """Keep the correction pairs, whose curvature differs as little; see `Solver.carried_over`."""
        point = _evaluate(objective, theta.dtype, theta.astype(np.float64))
        return {**state, "theta": point.theta, "value": point.value, "gradient": point.gradient, "fall": np.inf}

    def _begin(self, evaluate: Callable[..., Point], theta: Vector, state: State | None) -> tuple[Point, Corrections]:
        """Return the start, or where a state is, with the pairs that are known there."""
        corrections = Corrections(self.n_corrections, len(theta))
        if state is None:
            return evaluate(theta.astype(np.float64)), corrections
        corrections.restore(state["pairs"])
        return Point(0.0, state["theta"], state["value"], state["gradient"], 0.0), corrections

    def _lower(
        self, evaluate: Callable[..., Point], point: Point, corrections: Corrections, rounding: float
    ) -> Point | None:
        """Return a lower point, or None; where the pairs lead to none, they are forgotten for steepest descent."""
        with np.errstate(over="ignore", invalid="ignore"):
            lower = self._search(evaluate, point, corrections.direction(point.gradient), rounding)
            if lower is None and corrections.count:
                corrections.forget()
                lower = self._search(evaluate, point, corrections.direction(point.gradient), rounding)
        return lower

    def _search(self, evaluate: Callable[..., Point], point: Point, direction: Vector, rounding: float) -> Point | None:
        start = Point(0.0, point.theta, point.value, point.gradient, float(point.gradient.dot(direction)))
        if not start.slope < 0.0:
            return None
        return search(partial(evaluate, point.theta, direction), start, self.max_line_search, rounding)


def _state(point: Point, fall: float, corrections: Corrections) -> State:
    pairs = corrections.state()
    return {"theta": point.theta, "value": point.value, "gradient": point.gradient, "fall": fall, "pairs": pairs}


def _evaluate(objective: Any, dtype: Any, theta: Vector, direction: Vector | None = None, step: float = 0.0) -> Point:
    """Return the point after a step; the solver computes in float64, the objective in its own type."""
    if direction is not None:
        theta = theta + step * direction
    value, gradient = objective.value_and_gradient(theta.astype(dtype, copy=False))
    gradient = gradient.astype(np.float64, copy=False)
    slope = 0.0 if direction is None else float(gradient.dot(direction))
    return Point(step, theta, float(value), gradient, slope)


class StoppingRule:
    """When there is nothing left to do for an objective that is computed in the given floating type."""

    def __init__(self, tol: float, dtype: Any) -> None:
        self.tol, self.dtype = tol, dtype
        self.precision = max(float(np.finfo(dtype).eps), SUM_PRECISION)

    def rounding(self, point: Point) -> float:
        """Return the differences of the objective that do not count."""
        return self.precision * max(abs(point.value), LEAST_SIZE)

    def verdict(self, point: Point, fall: float, corrections: Corrections) -> tuple[bool, str]:
        """Return whether it has converged, and why it has to stop, an empty string where it has not to."""
        steepest = largest(point.gradient)
        if not (math.isfinite(point.value) and math.isfinite(steepest)):
            return False, "the objective is not finite"
        if steepest <= self.tol:
            return True, f"the largest component of the gradient, {steepest:.2g}, is at most tol={self.tol:g}"
        if fall > self.rounding(point):
            return False, ""
        why = f"the line search lowers the objective by no more than the precision of {self.dtype}"
        # A step along the gradient promises gradient^2 / (2 curvature).
        if steepest * steepest <= 2.0 * IDLE_ROUNDINGS * corrections.curvature * self.rounding(point):
            return True, why
        return False, f"{why}, and the largest component of the gradient is {steepest:.2g}, above tol={self.tol:g}"
