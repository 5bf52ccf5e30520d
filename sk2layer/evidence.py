"""Which penalty do the data ask for: the one that, with the weights, maximises their marginal likelihood.

First the network is fitted at a few fixed penalties, for as long as the evidence grows, and the most probable fit is
taken: a strong penalty alone may end at the linear or constant solution, a weak one in noise. From there the log
evidence is raised in weights and precisions together by a limited-memory quasi-Newton method (Nocedal & Wright 2006,
algorithm 7.4). Its initial matrix is that of the damped Gauss-Newton step for the weights, and MacKay's fixed point for
the precisions; the damping rises where a step fails and falls where steps succeed. No step lowers the evidence.

References
----------
MacKay (1992). A practical Bayesian framework for backpropagation networks. Neural Computation 4.

Nocedal & Wright (2006). Numerical Optimization, section 7.2.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_solve
from scipy.optimize import OptimizeResult

from ._typing import Array
from .marginal_likelihood import Groups, MarginalLikelihood, Point, Slope
from .posterior import cholesky
from .solvers import LevenbergMarquardt, Solver
from .solvers.base import OUT_OF_ITERATIONS, Callback

START_PENALTIES = (1.0, 0.1, 0.01, 0.001)
HOPELESS = 10.0  # log p(y) so far below the best fit's that weaker penalties are not tried: odds of 1 to 22000
START_STEPS, START_LOOKS = 20, 8  # Levenberg-Marquardt steps between looks at the evidence, and looks at most
START_TOL = 1e-4
START_SOLVER = LevenbergMarquardt(linear_solver="cholesky")  # whose steps settle to the last digits
START_GAIN = 1.0  # what one of two looks in turn must add to log p(y) for the fit to go on
FIXED_POINT_STEPS = 4

GROUPINGS = {"evidence": Groups.by_layer, "ard": Groups.by_input}

MEMORY = 20
LONGEST_STEP = 1.5  # of the logarithm of a precision: beyond that the quadratic model of it is no guide
MAX_TRIALS = 14
SUFFICIENT = 0.1  # of the increase that the slope predicts
WINDOW = 5  # steps over which the evidence must grow
LEAST_GAIN = 0.1  # growth of log p(y) per step that is nothing for any number of samples


class Pair(NamedTuple):
    """A step, the fall of the gradient along it, and 1 / (step . fall)."""

    step: Array
    fall: Array
    inverse: float


def maximize_evidence(
    likelihood: MarginalLikelihood,
    theta: Array,
    *,
    max_iter: int,
    tol: float,
    callback: Callback | None = None,
    state: dict[str, Any] | None = None,
) -> OptimizeResult:
    """Raise the evidence in weights and precisions.

    Parameters
    ----------
    likelihood : MarginalLikelihood
        The evidence.
    theta : ndarray of shape (n_parameters,)
        The weights to start from.
    max_iter : int
        The largest number of quasi-Newton steps.
    tol : float
        Stop when -log p(y) per unit of sample weight has fallen by less than this per step in the mean of five, or
        log p(y) itself has grown by less than 0.1.
    callback : callable, optional
        Called after each step with an `OptimizeResult` of `x`, the weights, `fun`, -log p(y) per unit of weight,
        `get_state`, and `get_evidence`, which returns the `Evidence` at this step.
    state : dict, optional
        The `state` of an earlier result, to go on exactly from its weights; `log_precisions` alone will do to start
        from them.

    Returns
    -------
    result : OptimizeResult
        `x`, `fun`, `nit`, `success`, `message`, `state`, and `point`, the `Point` reached.
    """
    point = _start(likelihood, theta) if state is None else likelihood.finite_at(theta, state["log_precisions"])
    state = {"damping": 0.01 * point.precision.diagonal().max(), "pairs": [], "values": [], **(state or {})}
    slope, weight, n_iter = likelihood.slope(point), likelihood.objective.weight_sum, 0
    values = [*state["values"], -point.log_evidence / weight][-WINDOW - 1 :]
    least = max(tol, LEAST_GAIN / weight) if tol > 0.0 else 0.0
    success, message = False, ""
    while not message and n_iter < max_iter:
        if len(values) > WINDOW and values[0] - values[-1] < WINDOW * least:
            success, message = True, f"the log evidence has grown by less than {least * weight:g} per step"
            break
        step = _raise(likelihood, point, slope, state, 0.01 * least * weight)
        if step is None:
            success, message = True, "the log evidence cannot be raised noticeably"
            break
        new_slope = likelihood.slope(step)
        state["pairs"] = _remember(state["pairs"], point, slope, step, new_slope)
        point, slope, n_iter = step, new_slope, n_iter + 1
        values = [*values, -point.log_evidence / weight][-WINDOW - 1 :]
        try:
            if callback is not None:
                callback(
                    OptimizeResult(
                        x=point.theta,
                        fun=values[-1],
                        get_state=partial(_state_at, point, values, state),
                        get_evidence=partial(_evidence_at, point, likelihood),
                    )
                )
        except StopIteration:
            success, message = True, "stopped by the callback"
    message = message or OUT_OF_ITERATIONS
    state = _state_at(point, values, state)
    return OptimizeResult(
        x=point.theta, fun=values[-1], nit=n_iter, success=success, message=message, state=state, point=point
    )


def _state_at(point: Point, values: list[float], state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "log_precisions": point.log_precisions, "values": values[:-1]}


def _start(likelihood: MarginalLikelihood, theta: Array) -> Point:
    """Return the most probable of the fits at fixed penalties, from strong to weak ones."""
    best = _fit_at(likelihood, theta, START_PENALTIES[0], -np.inf)
    for penalty in START_PENALTIES[1:]:
        point = _fit_at(likelihood, theta, penalty, best.log_evidence - HOPELESS)
        if point.log_evidence < best.log_evidence - HOPELESS:
            break
        best = _better(best, point)
    return best


def _fit_at(likelihood: MarginalLikelihood, theta: Array, penalty: float, hopeless: float) -> Point:
    """Return the most probable of the looks at a fit at a fixed penalty, continued while the evidence grows.

    Below `hopeless`, it ends at the first look that does not show growth, otherwise at the second in turn.
    """
    log_precisions = np.zeros_like(likelihood.lower)
    log_precisions[: likelihood.groups.n_groups] = np.log(penalty)
    penalties = likelihood.groups.spread(np.exp(log_precisions[: likelihood.groups.n_groups]))
    objective = likelihood.objective.with_prior(penalties, likelihood.objective.loss)
    state, idle = None, 0
    best = likelihood.finite_at(theta, log_precisions)
    for _ in range(START_LOOKS):
        result = START_SOLVER.minimize(objective, theta, max_iter=START_STEPS, tol=START_TOL, state=state)
        theta, state = result.x, result.state
        point = _best_precisions(likelihood, theta, log_precisions)
        idle = 0 if point.log_evidence > best.log_evidence + START_GAIN else idle + 1
        best = _better(best, point)
        if result.success or idle == (2 if best.log_evidence > hopeless else 1):
            break
    return best


def _better(one: Point, other: Point) -> Point:
    return other if other.log_evidence > one.log_evidence else one


def _best_precisions(likelihood: MarginalLikelihood, theta: Array, log_precisions: Array) -> Point:
    """Return the point of the best precisions for these weights, by MacKay's fixed point."""
    best = point = likelihood.finite_at(theta, log_precisions)
    for _ in range(FIXED_POINT_STEPS):
        counts, squares = likelihood.balance(point)
        ratio = np.maximum(counts, 1e-10) / np.maximum(squares, 1e-300)
        log_precisions = np.clip(point.log_precisions + np.log(ratio), likelihood.lower, likelihood.upper)
        new = likelihood.at(theta, log_precisions)
        if new is None:
            break
        point, best = new, _better(best, new)
    return best


def _raise(
    likelihood: MarginalLikelihood, point: Point, slope: Slope, state: dict[str, Any], least: float
) -> Point | None:
    """Return a point of higher evidence and adapt the damping; None if there is none, or none to gain `least` by."""
    n = len(point.theta)
    for trial in range(MAX_TRIALS):
        direction = _direction(likelihood, point, slope, state) * 0.5**trial  # precisions are not damped otherwise
        log_precisions = np.clip(point.log_precisions + direction[n:], likelihood.lower, likelihood.upper)
        new = likelihood.at(point.theta + direction[:n], log_precisions)
        predicted = float(direction[:n] @ slope.theta + direction[n:] @ slope.log_precisions)
        if trial == 0 and predicted < least:
            return None
        if new is not None and new.log_evidence > point.log_evidence + SUFFICIENT * max(predicted, 0.0):
            state["damping"] *= 0.5 if trial == 0 else 1.0
            return new
        state["damping"] *= 4.0
        if trial >= 2:
            state["pairs"] = []  # what they remember is no guide here
    return None


def _direction(likelihood: MarginalLikelihood, point: Point, slope: Slope, state: dict[str, Any]) -> Array:
    """Return the quasi-Newton step in theta and log precisions, not longer than the model of a precision holds."""
    n, damped = len(point.theta), point.precision.copy()
    damped.flat[:: n + 1] += state["damping"]
    factor, scale = cholesky(damped), np.maximum(slope.counts, 0.1)
    direction = np.concatenate([slope.theta, slope.log_precisions])
    weights = []
    for pair in reversed(state["pairs"]):
        weights.append(pair.inverse * (pair.step @ direction))
        direction -= weights[-1] * pair.fall
    direction[:n] = cho_solve((factor, True), direction[:n])
    direction[n:] /= scale
    for pair, weight in zip(state["pairs"], reversed(weights), strict=True):
        direction += pair.step * (weight - pair.inverse * (pair.fall @ direction))
    beyond = point.log_precisions + direction[n:]
    at_bound = (point.log_precisions <= likelihood.lower) & (beyond < likelihood.lower)
    at_bound |= (point.log_precisions >= likelihood.upper) & (beyond > likelihood.upper)
    direction[n:][at_bound] = 0.0
    return direction * min(1.0, LONGEST_STEP / max(np.abs(direction[n:]).max(), LONGEST_STEP))


def _remember(pairs: list[Pair], old: Point, old_slope: Slope, new: Point, new_slope: Slope) -> list[Pair]:
    """Return the pairs with that of this step, if the evidence is concave along it; the last ones of them."""
    step = np.concatenate([new.theta - old.theta, new.log_precisions - old.log_precisions])
    fall = np.concatenate([old_slope.theta - new_slope.theta, old_slope.log_precisions - new_slope.log_precisions])
    product = float(step @ fall)
    if not product > 1e-8 * np.linalg.norm(step) * np.linalg.norm(fall):
        return pairs
    return [*pairs, Pair(step, fall, 1.0 / product)][-MEMORY:]


class Evidence(NamedTuple):
    """What the climb found, apart from the weights; for standardised data.

    Attributes
    ----------
    log_precisions : ndarray of shape (n_groups,) or (n_groups + n_outputs,)
        Of the priors, then of the noise if there is any.
    n_groups : int
    log_evidence : float
    n_effective : float
        The number of parameters that the data determine.
    factor : ndarray of shape (n_parameters, n_parameters)
        The lower Cholesky factor of the posterior's precision.
    """

    log_precisions: Array
    n_groups: int
    log_evidence: float
    n_effective: float
    factor: Array

    @property
    def prior_precision(self) -> Array:
        """The precision of the prior of each group, shape (n_groups,)."""
        return np.exp(self.log_precisions[: self.n_groups])

    @property
    def noise_variance(self) -> Array:
        """The variance of the noise of each output, shape (n_outputs,), or none where there is no noise."""
        return np.exp(-self.log_precisions[self.n_groups :])


def _evidence_at(point: Point, likelihood: MarginalLikelihood) -> Evidence:
    n_groups, n_effective = likelihood.groups.n_groups, likelihood.n_effective(point)
    return Evidence(point.log_precisions, n_groups, point.log_evidence, n_effective, point.factor)


class EvidenceClimb(Solver):
    """Maximising the evidence in the form of a solver, whose objective's penalty has no effect.

    Parameters
    ----------
    grouping : {"evidence", "ard"}
        One prior for all hidden weights, or one for those of each input.
    log_precisions : ndarray or None
        Those to start from, of an earlier fit; None tries fits at several fixed penalties.
    """

    def __init__(self, grouping: str = "evidence", log_precisions: Array | None = None) -> None:
        self.grouping, self.log_precisions = grouping, log_precisions

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what must not change if a fit is to go on exactly."""
        return {"grouping": self.grouping}

    def minimize(
        self,
        objective: Any,
        theta: Array,
        *,
        max_iter: int,
        tol: float,
        patience: int = 10,
        seed: int = 0,
        callback: Callback | None = None,
        state: dict[str, Any] | None = None,
        keep_state: bool = False,
    ) -> OptimizeResult:
        """Minimise -log p(y) per unit of sample weight; see `Solver.minimize`."""
        likelihood = MarginalLikelihood(objective, GROUPINGS[self.grouping](objective.shape))
        if state is None and self.log_precisions is not None and self.log_precisions.shape == likelihood.lower.shape:
            state = {"log_precisions": self.log_precisions}
        result = maximize_evidence(likelihood, theta, max_iter=max_iter, tol=tol, callback=callback, state=state)
        result.evidence = _evidence_at(result.pop("point"), likelihood)
        result.fingerprint = objective.value(result.x)
        return result
