"""Quasi-Newton on the whole training set: limited-memory BFGS, whose state is all there is to it."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from scipy.linalg.blas import dnrm2
from scipy.optimize import OptimizeResult

from ._parameters import integer
from .base import OUT_OF_ITERATIONS, Callback, Solver, Vector
from .line_search import Point, search

EPS = float(np.finfo(np.float64).eps)


class Pairs:
    """The last steps s with the changes of gradient y that they made, and the inverse Hessian H that they stand for.

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

    def state(self) -> dict[str, Any]:
        """Return a copy of what makes up this object."""
        arrays = {name: array.copy() for name, array in zip(self.ARRAYS, self._taken(), strict=True)}
        return {"count": self.count, "scale": self.scale, **arrays}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self.count, self.scale = state["count"], state["scale"]
        for name, array in zip(self.ARRAYS, self._taken(), strict=True):
            array[...] = state[name]

    def add(self, step: Vector, change: Vector) -> None:
        """Take in a pair, in place of the oldest if there are as many as can be kept, unless it shows no curvature."""
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
        evaluate, rule = partial(_evaluate, objective, theta.dtype), StoppingRule(tol, theta.dtype)
        point, pairs, fall = self._begin(evaluate, theta) if state is None else self._resume(state)
        n_iter, (success, message) = 0, rule.verdict(point, fall, pairs.curvature)

        def get_state() -> dict[str, Any]:
            _, x, value, gradient, _ = point
            return {"theta": x, "value": value, "gradient": gradient, "fall": fall, "pairs": pairs.state()}

        while not message and n_iter < max_iter:
            lower = self._lower(evaluate, point, pairs, rule.rounding(point))
            if lower is None or not lower.value < point.value:
                success, message = rule.verdict(point, 0.0, pairs.curvature)
                break
            pairs.add(lower.theta - point.theta, lower.gradient - point.gradient)
            point, fall = lower, point.value - lower.value
            n_iter += 1
            success, message = rule.verdict(point, fall, pairs.curvature)
            try:
                if callback is not None:
                    x = point.theta.astype(theta.dtype, copy=False)
                    callback(OptimizeResult(x=x, fun=point.value, get_state=get_state))
            except StopIteration:
                success, message = True, message or "stopped by the callback"
        still = f"{OUT_OF_ITERATIONS} with the largest component of the gradient at {_largest(point):.2g}"
        return OptimizeResult(
            x=point.theta.astype(theta.dtype),
            fun=point.value,
            jac=point.gradient,
            nit=n_iter,
            success=success,
            message=message or f"{still}, above tol={tol:g}",
            state=get_state() if keep_state else None,
        )

    def carried_over(self, state: dict[str, Any], objective: Any, theta: Vector) -> dict[str, Any]:
        """Keep the pairs, which stand for a curvature that differs as little; see `Solver.carried_over`."""
        point = _evaluate(objective, theta.dtype, theta.astype(np.float64))
        return {**state, "theta": point.theta, "value": point.value, "gradient": point.gradient, "fall": np.inf}

    def _begin(self, evaluate: Callable[..., Point], theta: Vector) -> tuple[Point, Pairs, float]:
        """Return the start, no pairs, and no bound on how far the objective has fallen."""
        return evaluate(theta.astype(np.float64)), Pairs(self.n_corrections, len(theta)), np.inf

    def _resume(self, state: dict[str, Any]) -> tuple[Point, Pairs, float]:
        """Return what a state says."""
        point = Point(0.0, state["theta"], state["value"], state["gradient"], 0.0)
        pairs = Pairs(self.n_corrections, len(point.theta))
        pairs.restore(state["pairs"])
        return point, pairs, state["fall"]

    def _lower(self, evaluate: Callable[..., Point], point: Point, pairs: Pairs, rounding: float) -> Point | None:
        """Return a lower point, or None; where the pairs lead to none, they are forgotten for steepest descent."""
        with np.errstate(over="ignore", invalid="ignore"):
            lower = self._search(evaluate, point, pairs.direction(point.gradient), rounding)
            if lower is None and pairs.count:
                pairs.count = 0
                lower = self._search(evaluate, point, pairs.direction(point.gradient), rounding)
        return lower

    def _search(self, evaluate: Callable[..., Point], point: Point, direction: Vector, rounding: float) -> Point | None:
        start = Point(0.0, point.theta, point.value, point.gradient, float(point.gradient.dot(direction)))
        if not start.slope < 0.0:
            return None
        return search(partial(evaluate, point.theta, direction), start, self.max_line_search, rounding)


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
        self.precision = max(float(np.finfo(dtype).eps), 64.0 * EPS)

    def rounding(self, point: Point) -> float:
        """Return the differences of the objective that do not count."""
        return self.precision * max(abs(point.value), 1.0)

    def verdict(self, point: Point, fall: float, curvature: float) -> tuple[bool, str]:
        """Return whether it has converged, and why it has to stop, an empty string where it has not to."""
        largest = _largest(point)
        if not (math.isfinite(point.value) and math.isfinite(largest)):
            return False, "the objective is not finite"
        if largest <= self.tol:
            return True, f"the largest component of the gradient, {largest:.2g}, is at most tol={self.tol:g}"
        if fall > self.rounding(point):
            return False, ""
        why = f"the line search lowers the objective by no more than the precision of {self.dtype}"
        # A step along the gradient promises gradient^2 / (2 curvature).
        if largest * largest <= 8.0 * curvature * self.rounding(point):
            return True, why
        return False, f"{why}, and the largest component of the gradient is {largest:.2g}, above tol={self.tol:g}"


def _largest(point: Point) -> float:
    return float(np.abs(point.gradient).max())
