"""Quasi-Newton on the whole training set: SciPy's L-BFGS-B, made resumable.

SciPy's routine keeps its pairs to itself, but it is a deterministic function of the values and gradients it is given.
So its state is what it has been told: to go on, it is run again from its start, and points that were evaluated before
are remembered instead of computed. The result is that of the uninterrupted run bit for bit, at the price of one
remembered gradient per evaluation and of the routine's own (small) arithmetic.
"""

from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimize

from ._parameters import integer
from .base import OUT_OF_ITERATIONS, Callback, Solver, Vector, diverged


class LBFGS(Solver):
    """Limited-memory BFGS, by SciPy's L-BFGS-B.

    It stops when the largest component of the gradient is at most `tol`, or when the objective cannot be lowered any
    further in floating-point arithmetic.

    Parameters
    ----------
    n_corrections : int, default=50
        The number of pairs (step, change of gradient) that stand for the curvature.
    max_line_search : int, default=20
        The largest number of evaluations per iteration.

    References
    ----------
    Zhu, Byrd, Lu & Nocedal (1997). Algorithm 778: L-BFGS-B. ACM Transactions on Mathematical Software 23(4).

    Examples
    --------
    >>> from sk2layer.solvers import LBFGS
    >>> LBFGS(n_corrections=20)
    LBFGS(n_corrections=20)
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
        state = {"start": theta.astype(np.float64), "evaluations": {}, "nit": 0} if state is None else state
        function = _Remembering(objective, theta.dtype, state["evaluations"], keep_state)
        done, n_iter = state["nit"], 0

        def get_state() -> dict[str, Any]:
            return {**state, "evaluations": dict(state["evaluations"]), "nit": n_iter}

        def new_iteration(intermediate_result: OptimizeResult) -> None:
            nonlocal n_iter
            n_iter += 1
            if n_iter > done and callback is not None:
                x = intermediate_result.x.astype(theta.dtype)
                callback(OptimizeResult(x=x, fun=float(intermediate_result.fun), get_state=get_state))

        result = scipy_minimize(
            function,
            state["start"],
            jac=True,
            method="L-BFGS-B",
            callback=new_iteration,
            options={
                "maxiter": done + max_iter,
                "maxfun": np.iinfo(np.int32).max,
                "maxcor": self.n_corrections,
                "maxls": self.max_line_search,
                "gtol": tol,
                "ftol": max(np.finfo(theta.dtype).eps, 64 * np.finfo(np.float64).eps),
            },
        )
        success, message = _verdict(result, tol, theta.dtype)
        return OptimizeResult(
            x=result.x.astype(theta.dtype),
            fun=float(result.fun),
            jac=result.jac,
            nit=max(n_iter - done, 0),
            success=success,
            message=message,
            state=get_state() if keep_state else None,
        )


class _Remembering:
    """The objective for SciPy in float64, with the evaluations of an earlier run remembered."""

    def __init__(self, objective: Any, dtype: Any, evaluations: dict[str, Any], keep: bool) -> None:
        self.objective, self.dtype, self.evaluations, self.keep = objective, dtype, evaluations, keep

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        if not (self.keep or self.evaluations):
            return self._evaluate(theta)
        key = blake2b(theta.tobytes(), digest_size=16).hexdigest()
        if key not in self.evaluations:
            self.evaluations[key] = self._evaluate(theta)
        return self.evaluations[key]

    def _evaluate(self, theta: Vector) -> tuple[float, Vector]:
        value, gradient = self.objective.value_and_gradient(theta.astype(self.dtype, copy=False))
        return value, gradient.astype(np.float64, copy=False)


def _verdict(result: OptimizeResult, tol: float, dtype: Any) -> tuple[bool, str]:
    gradient = float(np.abs(result.jac).max())
    if diverged(result.fun, result.x):
        return False, "the objective is not finite"
    if gradient <= tol:
        return True, f"the largest component of the gradient, {gradient:.2g}, is at most tol={tol:g}"
    if result.status == 0:
        return True, f"the objective falls by less than the precision of {dtype}"
    if result.status == 1:
        return (
            False,
            f"{OUT_OF_ITERATIONS} with the largest component of the gradient at {gradient:.2g}, above tol={tol:g}",
        )
    return False, f"the line search found no lower objective; the largest component of the gradient is {gradient:.2g}"
