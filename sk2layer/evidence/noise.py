"""Estimates, from the data, of the parameters of the noise: those of a likelihood besides its mean.

With the likelihood p(y | z, nu) of `model.likelihoods` and the raw predictions Gaussian under the posterior, the
parameters nu of an output maximise the mean of its log likelihood over the posterior, to second order

    sum_i w_i log p(y_i | z_i, nu)  -  1/2 sum_i w_i L_i(nu) V_i,        sum_i w_i L_i(nu) V_i = gamma

with the curvatures L_i, the variances V_i of the raw predictions, and gamma the number of parameters that the data
determine. It is the step of EM; for Gaussian noise its fixed point is MacKay's, beta = (W - gamma) / (2 loss). The
second sum is taken as gamma times the mean of the curvatures relative to what it is now, and the outputs share gamma
alike. What is best is looked for on a grid of steps from where nu is, by one pass over the rows for all of it, and
between its points by a parabola.

Where a penalty is given they are found in the same way, in rounds of a few steps of the weights and one of the noise,
before the weights are fitted at them; gamma is then that of the posterior in its Kronecker-factored form.
"""

import itertools
from functools import partial
from typing import cast

import numpy as np

from .._typing import Array
from ..model.likelihoods import Likelihood
from ..model.network import Network, forward
from ..objective.objective import Objective
from ..rows.sums import Block, Totals
from ..solvers import LBFGS, Run
from .kronecker_posterior import KroneckerPosterior

PART_ROWS = 5000
"""Rows that tell the noise well enough."""

ROUNDS, FIRST_STEPS, OTHER_STEPS, TOL, SETTLED = 30, 200, 30, 1e-6, 0.01
"""Of the search under a given penalty, and steps in them. In the first one the weights have time to grow: what they
have not learned by then would be taken for noise, or for outliers, and left as such."""

MOST_DETERMINED = 0.9  # of the weight: a network that interpolates tells nothing of the noise
WEAKEST = 1e-4  # precision of a prior, of biases too, in units of the targets

OPTIMISTIC = 10.0
"""The precision of noise that such a search begins with, relative to that of the targets, where a given penalty is not
relative to it: it would weigh too much beside noise that is taken for large."""

STEPS = np.array([-2.0, -0.5, -0.1, 0.0, 0.1, 0.5, 2.0])
"""Of the logarithm of a parameter. Near an optimum the closest count, and a parabola through them is accurate."""


def noise_sum(block: Block, network: Network, theta: Array, noises: Array) -> Totals:
    """Return the sums of negative log densities and curvatures for each of the noises, shape (n_noises, k)."""
    (shape, activation, loss), weights = network, network.shape.augmented(theta)
    losses, curvatures = np.zeros((2, len(noises), shape.n_outputs))
    with np.errstate(over="ignore", invalid="ignore"):
        for part in block.parts(block.sums.block_rows):
            Y, share, Z = part.Y, part.share, forward(part.X1, weights, activation, part.passes)
            for number, noise in enumerate(noises):
                at: Likelihood = loss.at(noise)  # type: ignore[attr-defined]
                losses[number] -= (share * at.log_densities(Y, Z)).sum(axis=0)
                curvatures[number] += (share * at.curvatures(Y, Z)).sum(axis=0)
    return Totals([losses, curvatures])


def better_noise(objective: Objective, theta: Array, log_noise: Array, determined: float) -> Array:
    """Return the logarithms of better parameters of the noise, shape (n_parameters, n_outputs).

    Parameters
    ----------
    objective : Objective
        With a likelihood for its loss.
    theta : ndarray of shape (n_parameters,)
        The weights.
    log_noise : ndarray of shape (n_parameters, n_outputs)
        Where the parameters are now.
    determined : float
        The parameters that the data determine for each output.
    """
    moves = np.array(list(itertools.product(STEPS, repeat=len(log_noise))))
    noises = np.exp(log_noise + moves[..., np.newaxis])
    theta = theta.astype(objective.dtype, copy=False)
    losses, curvatures = objective.total(partial(noise_sum, network=objective.network, theta=theta, noises=noises))
    now = np.flatnonzero(~moves.any(axis=1))
    with np.errstate(invalid="ignore"):
        values = losses + 0.5 * determined / objective.weight_sum * curvatures / curvatures[now]
    values = np.where(np.isfinite(values), values, np.inf)
    steps = [_best_step(its.reshape([len(STEPS)] * len(log_noise))) for its in values.T]
    return log_noise + np.array(steps).T


def start_under_wide_noise(objective: Objective, theta: Array, seed: int) -> Array:
    """Return weights to start from, fitted from theta as if the noise were about as large as the targets vary.

    Under small noise what is not yet learned is taken for outliers. Of many rows that can be taken, a random part is.
    """
    objective, loss = _part(objective, seed), cast(Likelihood, objective.network.loss)
    at = objective.with_prior(objective.penalty, loss.relative_at(np.exp(_first_noise(objective))))
    return LBFGS().minimize(at, theta, Run(FIRST_STEPS, TOL)).x


def noise_of_penalised(objective: Objective, theta: Array, seed: int) -> Array:
    """Return the most probable parameters of the noise under the penalty of the objective.

    Theta is of `start_under_wide_noise`, as are the rows.
    """
    objective, loss = _part(objective, seed), cast(Likelihood, objective.network.loss)
    log_noise, solver, state = _first_noise(objective), LBFGS(), None
    unit = log_noise - np.log([[its.start] for its in loss.parameters])
    least, most = np.log([(its.start * its.least, its.start * its.most) for its in loss.parameters]).T[..., np.newaxis]
    for _ in range(ROUNDS):
        before, determined = log_noise, _determined(objective, theta, loss, np.exp(log_noise))
        log_noise = better_noise(objective, theta, log_noise, determined)
        log_noise = np.clip(log_noise - unit, least, most) + unit
        if np.abs(log_noise - before).max() < SETTLED:
            break
        at = objective.with_prior(objective.penalty, loss.relative_at(np.exp(log_noise)))
        state = None if state is None else solver.carried_over(state, at, theta)
        result = solver.minimize(at, theta, Run(OTHER_STEPS, TOL, state=state))
        theta, state = result.x, result.state
    return np.exp(log_noise)


def _determined(objective: Objective, theta: Array, loss: Likelihood, noise: Array) -> float:
    """Return how many parameters the data determine for each output."""
    prior = np.maximum(objective.penalty.astype(np.float64) * loss.relative_at(noise).unit, WEAKEST)
    sums = objective.with_prior(objective.penalty, loss.at(noise)).kronecker_sum(theta)
    found = objective.input_moments, sums, prior, np.empty(0), objective.weight_sum, objective.shape
    variances = KroneckerPosterior.of(*found).variances()
    of_each = (len(prior) - float(prior @ variances)) / objective.shape.n_outputs
    return min(of_each, MOST_DETERMINED * objective.weight_sum)


def _part(objective: Objective, seed: int) -> Objective:
    if objective.n_samples <= PART_ROWS:
        return objective
    return objective.part(np.sort(np.random.default_rng(seed).permutation(objective.n_samples)[:PART_ROWS]))


def _first_noise(objective: Objective) -> Array:
    """Return the logarithms of the parameters that the noise has at first, shape (n_parameters, n_outputs)."""
    loss = cast(Likelihood, objective.network.loss)
    variances = objective.input_moments.variances()[1]
    units = np.where(variances > 0.0, variances, 1.0) if loss.in_units_of_y else np.ones_like(variances)
    factor = 1.0 if loss.alpha_is_relative else OPTIMISTIC
    rows = [its.start * factor / units if its.of_precision else its.start + 0.0 * units for its in loss.parameters]
    return np.log(rows)


def _best_step(values: Array) -> list[float]:
    """Return the step of each parameter to the lowest of the values on their grid."""
    best = np.unravel_index(values.argmin(), values.shape)
    return [
        _lowest(np.moveaxis(values, axis, 0)[(slice(None), *np.delete(best, axis))], int(best[axis]))
        for axis in range(values.ndim)
    ]


def _lowest(values: Array, best: int) -> float:
    """Return where the parabola through the lowest value and its neighbours is lowest."""
    if best in (0, len(STEPS) - 1) or not np.isfinite(values[best - 1 : best + 2]).all():
        return float(STEPS[best])
    back, ahead = STEPS[best] - STEPS[best - 1], STEPS[best + 1] - STEPS[best]
    down, up = (values[best] - values[best - 1]) / back, (values[best + 1] - values[best]) / ahead
    bend = (up - down) / (back + ahead)
    slope = (down * ahead + up * back) / (back + ahead)
    return float(STEPS[best] - (0.5 * slope / bend if bend > 0.0 else 0.0))
