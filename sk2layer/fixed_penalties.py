"""Where does the search for the penalty begin: a fit whose penalty follows it, and fits at weak penalties.

A strong penalty may end at the linear or constant solution, a weak one in noise. One fit begins with a penalty between
them, which every few steps becomes that of MacKay's fixed point. Others keep a weak penalty, for what this one smooths
away. They are compared after as many steps, and the most probable of them goes on for as long as its evidence grows.
"""

import numpy as np

from ._typing import Array
from .marginal_likelihood import MarginalLikelihood, Point
from .objective import Objective
from .solvers import LevenbergMarquardt

FOLLOWING_PENALTY = 0.1
WEAK_PENALTIES = (0.01, 0.001)
STEPS = 20  # Levenberg-Marquardt steps before fits are compared, and between looks at the evidence
FOLLOWING_STEPS = 5  # between looks where the penalty follows
MAX_STEPS = 160
HOPELESS = 10.0  # log p(y) so far below the best fit's that weaker penalties are not tried: odds of 1 to 22000
GAIN = 1.0  # what a fit's looks must add to log p(y) for it to go on
TOL = 1e-4
SOLVER = LevenbergMarquardt(linear_solver="cholesky")  # whose steps settle to the last digits
FIXED_POINT_STEPS = 4


def most_probable_fit(likelihood: MarginalLikelihood, theta: Array) -> Point:
    """Return the most probable of the fits from theta."""
    best = Fit(likelihood, theta, FOLLOWING_PENALTY, follow=True)
    for penalty in WEAK_PENALTIES:
        fit = Fit(likelihood, theta, penalty, follow=False)
        if fit.point.log_evidence < best.point.log_evidence - HOPELESS:
            break
        best = fit if fit.point.log_evidence > best.point.log_evidence else best
    return best.finish()


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

    Attributes
    ----------
    point : Point
        The most probable of the looks.
    """

    def __init__(self, likelihood: MarginalLikelihood, theta: Array, penalty: float, *, follow: bool) -> None:
        self.likelihood, self.follow = likelihood, follow
        self.log_precisions = np.zeros_like(likelihood.lower)
        self.log_precisions[: likelihood.groups.n_groups] = np.log(penalty)
        self._theta, self._state, self._settled = theta, None, False
        self.point = self._look()
        for _ in range(STEPS // FOLLOWING_STEPS - 1 if follow else 0):
            self.point = _better(self.point, self._look())

    def finish(self) -> Point:
        """Go on for as long as the evidence grows, and return the most probable of the looks.

        A penalty that follows lowers the evidence at times: there it takes two looks to tell.
        """
        idle, n_steps = 0, STEPS
        while n_steps < MAX_STEPS and idle < 1 + self.follow and not self._settled:
            new = self._look()
            idle = 0 if new.log_evidence > self.point.log_evidence + GAIN else idle + 1
            self.point = _better(self.point, new)
            n_steps += FOLLOWING_STEPS if self.follow else STEPS
        return self.point

    def _look(self) -> Point:
        """Go on for some steps; return the best evidence for the weights that result."""
        objective, steps = self._objective(), FOLLOWING_STEPS if self.follow else STEPS
        result = SOLVER.minimize(objective, self._theta, max_iter=steps, tol=TOL, state=self._state)
        point = _best_precisions(self.likelihood, result.x, self.log_precisions)
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
