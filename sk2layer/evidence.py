"""Which penalty do the data ask for: the one that, with the weights, maximises their marginal likelihood.

From the most probable of some fits at fixed penalties (`fixed_penalties`), the log evidence is raised in weights and
precisions together by a limited-memory quasi-Newton method (Nocedal & Wright 2006, algorithm 7.4). Its initial matrix
is that of the damped Gauss-Newton step for the weights, and MacKay's fixed point for the precisions; the damping rises
where a step fails and falls where steps succeed. No step lowers the evidence.

The way up is along the floor of a narrow valley of E = -log p(y, theta), which bends: a step along it ends on the
slope, and what it gains in log |A| it loses in E. So each step is followed by a few of Newton's with the same factor on
E + 1/2 s.theta, s the slope of log |A| where the step began. They lead back to the floor, and take a gradient each,
where the evidence takes the matrix, its factor and its inverse.

References
----------
MacKay (1992). A practical Bayesian framework for backpropagation networks. Neural Computation 4.

Nocedal & Wright (2006). Numerical Optimization, section 7.2.
"""

from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from scipy.linalg import cho_solve
from scipy.optimize import OptimizeResult

from ._typing import Array
from .fixed_penalties import ever_better_fits
from .marginal_likelihood import Groups, MarginalLikelihood, Point, Slope
from .objective import Objective
from .posterior import cholesky
from .solvers import Solver
from .solvers.base import OUT_OF_ITERATIONS, Callback

GROUPINGS = {"evidence": Groups.by_layer, "ard": Groups.by_input}

MEMORY = 20
LONGEST_STEP = 1.5  # of the logarithm of a precision: beyond that the quadratic model of it is no guide
MAX_TRIALS = 14
SUFFICIENT = 0.1  # of the increase that the slope predicts
SETTLING_STEPS = 4  # of Newton's method back to the floor of the valley
SETTLED = 0.02  # a fall of E that is not worth one of them
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
    if state is None:
        point = _begin(likelihood, theta, callback)
    else:
        point = likelihood.finite_at(theta, state["log_precisions"])
    state = {**_fresh_state(point), **(state or {})}
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
                callback(_iteration(point, likelihood, values, state))
        except StopIteration:
            success, message = True, "stopped by the callback"
    message = message or OUT_OF_ITERATIONS
    state = _state_at(point, values, state)
    return OptimizeResult(
        x=point.theta, fun=values[-1], nit=n_iter, success=success, message=message, state=state, point=point
    )


def _begin(likelihood: MarginalLikelihood, theta: Array, callback: Callback | None) -> Point:
    """Return the most probable of the fits at fixed penalties; if interrupted, let the callback see the best so far."""
    best: Point | None = None
    try:
        for point in ever_better_fits(likelihood, theta):
            best = point
    except KeyboardInterrupt:
        if best is not None and callback is not None:
            with suppress(StopIteration):
                callback(_iteration(best, likelihood, [], _fresh_state(best)))
        raise
    return cast(Point, best)


def _fresh_state(point: Point) -> dict[str, Any]:
    return {"damping": 0.01 * point.precision.diagonal().max(), "pairs": [], "values": []}


def _iteration(
    point: Point, likelihood: MarginalLikelihood, values: list[float], state: dict[str, Any]
) -> OptimizeResult:
    """Return what a callback is told."""
    return OptimizeResult(
        x=point.theta,
        fun=-point.log_evidence / likelihood.objective.weight_sum,
        get_state=partial(_state_at, point, values, state),
        get_evidence=partial(_evidence_at, point, likelihood),
    )


def _state_at(point: Point, values: list[float], state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "log_precisions": point.log_precisions, "values": values[:-1]}


def _raise(
    likelihood: MarginalLikelihood, point: Point, slope: Slope, state: dict[str, Any], least: float
) -> Point | None:
    """Return a point of higher evidence and adapt the damping; None if there is none, or none to gain `least` by."""
    n = len(point.theta)
    for trial in range(MAX_TRIALS):
        damped = point.precision.copy()
        damped.flat[:: n + 1] += state["damping"]
        factor = cast(Array, cholesky(damped))  # as the precision has one
        step = _step(likelihood, point, slope, factor, state["pairs"]) * 0.5**trial  # precisions are not damped
        predicted = float(step[:n] @ slope.theta + step[n:] @ slope.log_precisions)
        if trial == 0 and predicted < least:
            return None
        log_precisions = np.clip(point.log_precisions + step[n:], likelihood.lower, likelihood.upper)
        theta = _settle(likelihood.objective_at(log_precisions), point, slope, point.theta + step[:n], factor)
        new = likelihood.at(theta, log_precisions)
        if new is not None and new.log_evidence > point.log_evidence + SUFFICIENT * max(predicted, 0.0):
            state["damping"] *= 0.5 if trial == 0 else 1.0
            return new
        state["damping"] *= 4.0
        if trial >= 2:
            state["pairs"] = []  # what they remember is no guide here
    return None


def _step(likelihood: MarginalLikelihood, point: Point, slope: Slope, factor: Array, pairs: list[Pair]) -> Array:
    """Return the quasi-Newton step in theta and log precisions, not longer than the model of a precision holds.

    `factor` is that of the damped precision.
    """
    n, scale = len(point.theta), np.maximum(slope.counts, 0.1)
    step = np.concatenate([slope.theta, slope.log_precisions])
    weights = []
    for pair in reversed(pairs):
        weights.append(pair.inverse * (pair.step @ step))
        step -= weights[-1] * pair.fall
    step[:n] = cho_solve((factor, True), step[:n])
    step[n:] /= scale
    for pair, weight in zip(pairs, reversed(weights), strict=True):
        step += pair.step * (weight - pair.inverse * (pair.fall @ step))
    beyond = point.log_precisions + step[n:]
    at_bound = (point.log_precisions <= likelihood.lower) & (beyond < likelihood.lower)
    at_bound |= (point.log_precisions >= likelihood.upper) & (beyond > likelihood.upper)
    step[n:][at_bound] = 0.0
    return step * min(1.0, LONGEST_STEP / max(np.abs(step[n:]).max(), LONGEST_STEP))


def _settle(objective: Objective, point: Point, slope: Slope, theta: Array, factor: Array) -> Array:
    """Return theta led back towards the minimum of E + 1/2 s.theta, with s that of `slope`, the one at `point`."""
    half_s, weight = -(slope.theta + point.gradient), objective.weight_sum

    def tilted(theta: Array) -> tuple[float, Array]:
        value, gradient = objective.value_and_gradient(theta)
        return weight * value + float(half_s @ theta), weight * gradient + half_s

    value, gradient = tilted(theta)
    for _ in range(SETTLING_STEPS if np.isfinite(value) else 0):
        correction = cho_solve((factor, True), -gradient)
        predicted = -0.5 * float(correction @ gradient)
        if predicted < SETTLED:
            break
        new_value, gradient = tilted(theta + correction)
        if not new_value < value:
            break
        theta, fall, value = theta + correction, value - new_value, new_value
        if fall < 0.25 * predicted:
            break
    return theta


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
        Those to start from, of an earlier fit; None tries a few fits at fixed penalties.
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
