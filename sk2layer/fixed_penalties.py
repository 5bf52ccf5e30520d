"""Where does the search for the penalty begin: a fit whose penalty follows it, and fits at weak penalties.

A strong penalty may end at the linear or constant solution, a weak one in noise. One fit begins with a penalty between
them, which every few steps becomes that of MacKay's fixed point. Others keep a weak penalty, for what this one smooths
away, and go on for as long as their evidence grows at a pace that may yet make them the most probable.
"""

from collections.abc import Iterator

import numpy as np

from ._typing import Array
from .marginal_likelihood import MarginalLikelihood, Point
from .objective import Objective
from .solvers import LevenbergMarquardt

FOLLOWING_PENALTY = 0.1
WEAK_PENALTIES = (0.01, 0.001)
FOLLOWING_STEPS, WEAK_STEPS = 5, 10  # of Levenberg-Marquardt between looks at the evidence
MAX_STEPS = 160
GAIN = 1.0  # what looks must add to log p(y) for a fit to go on
HOPELESS = 10.0  # log p(y) so far below the most probable fit that it takes one look to give up: odds of 1 to 22000
TOL = 1e-6
SOLVER = LevenbergMarquardt(linear_solver="cholesky")  # whose steps settle to the last digits


def ever_better_fits(likelihood: MarginalLikelihood, theta: Array) -> Iterator[Point]:
    """Yield each look at a fit from theta that is more probable than those before; the last one is the best."""
    best: Point | None = None
    for penalty, follow in ((FOLLOWING_PENALTY, True), *((weak, False) for weak in WEAK_PENALTIES)):
        rival = -np.inf if best is None else best.log_evidence
        for point in Fit(likelihood, theta, penalty, follow=follow).looks(rival):
            if best is None or point.log_evidence > best.log_evidence:
                best = point
                yield point


class Fit:
    """A fit under a penalty, at which the evidence is looked from time to time.

    Parameters
    ----------
    likelihood : MarginalLikelihood
        The evidence.
    theta : ndarray of shape (n_parameters,)
        The weights to start from.
    penalty : float
        On all groups of weights.
    follow : bool
        Whether the penalty becomes, after each look, that of the fixed point.
    """

    def __init__(self, likelihood: MarginalLikelihood, theta: Array, penalty: float, *, follow: bool) -> None:
        self.likelihood, self.follow = likelihood, follow
        self.log_precisions = np.zeros_like(likelihood.lower)
        self.log_precisions[: likelihood.groups.n_groups] = np.log(penalty)
        self._steps, self._fixed_point_steps = (FOLLOWING_STEPS, 2) if follow else (WEAK_STEPS, 4)
        self._theta, self._state, self._settled = theta, None, False

    def looks(self, rival: float) -> Iterator[Point]:
        """Fit for as long as the evidence grows and may reach that of the rival; yield what is seen.

        The evidence falls at times before it grows: close to the rival's, it takes two looks to tell.
        """
        best, idle = self._look(), 0
        yield best
        for n_left in range(MAX_STEPS // self._steps - 1, 0, -1):
            if self._settled:
                break
            new = self._look()
            yield new
            growth = new.log_evidence - best.log_evidence
            idle = 0 if growth > GAIN else idle + 1
            best = _better(best, new)
            close = best.log_evidence > rival - HOPELESS
            if idle == 1 + close or not (close or best.log_evidence + growth * n_left > rival):
                break

    def _look(self) -> Point:
        """Go on for some steps; return the best evidence for the weights that result."""
        result = SOLVER.minimize(self._objective(), self._theta, max_iter=self._steps, tol=TOL, state=self._state)
        point = _best_precisions(self.likelihood, result.x, self.log_precisions, self._fixed_point_steps)
        self._theta = result.x
        if self.follow:
            self.log_precisions = point.log_precisions
        else:
            self._state, self._settled = result.state, result.success
        return point

    def _objective(self) -> Objective:
        """Return the losses with the penalties that the precisions amount to; outputs share the mean of their noise."""
        prior, noise = self.likelihood.precisions(self.log_precisions)
        scale, objective = np.exp(np.log(noise).mean()) if len(noise) else 1.0, self.likelihood.objective
        return objective.with_prior(self.likelihood.groups.spread(prior / scale), objective.loss)


def _better(one: Point, other: Point) -> Point:
    return other if other.log_evidence > one.log_evidence else one


def _best_precisions(likelihood: MarginalLikelihood, theta: Array, log_precisions: Array, n_steps: int) -> Point:
    """Return the point of the best precisions for these weights, by steps of MacKay's fixed point."""
    best = point = likelihood.finite_at(theta, log_precisions)
    for _ in range(n_steps):
        counts, squares = likelihood.balance(point)
        ratio = np.maximum(counts, 1e-10) / np.maximum(squares, 1e-300)
        log_precisions = np.clip(point.log_precisions + np.log(ratio), likelihood.lower, likelihood.upper)
        new = likelihood.at(theta, log_precisions)
        if new is None:
            break
        point, best = new, _better(best, new)
    return best
