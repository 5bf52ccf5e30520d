"""Which parameters of the noise do the data ask for: those of a likelihood, besides its mean.

With the likelihood p(y | z, nu) of `model.likelihoods` and the raw predictions Gaussian under the posterior, the
parameters nu of an output maximise the mean of its log likelihood over the posterior, to second order

    sum_i w_i log p(y_i | z_i, nu)  -  1/2 sum_i w_i L_i(nu) V_i,        sum_i w_i L_i(nu) V_i = gamma

with the curvatures L_i, the variances V_i of the raw predictions, and gamma the number of parameters that the data
determine. It is the step of EM; for Gaussian noise its fixed point is MacKay's, beta = (W - gamma) / (2 loss). The
second sum is taken as gamma times the mean of the curvatures relative to what it is now, and the outputs share gamma
alike. What is best is looked for on a grid of steps from where nu is, by one pass over the rows for all of it, and
between its points by a parabola.

Where a penalty is given there is no posterior, and gamma is 0: the parameters are those of maximum likelihood, found in
rounds of a few steps of the weights and one of the noise, before the weights are fitted at them.
"""

import itertools
from functools import partial
from typing import Any

import numpy as np

from .._typing import Array
from ..model.likelihoods import Likelihood
from ..model.network import Network, forward
from ..objective.objective import Objective
from ..rows.sums import Block, Totals
from ..solvers import LBFGS, Run

PART_ROWS = 5000
"""Rows that tell the noise well enough."""

ROUNDS, STEPS_OF_ROUND, TOL, SETTLED = 30, 15, 1e-6, 0.01

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


def noise_of_penalised(objective: Objective, theta: Array, seed: int) -> Array:
    """Return the parameters of the noise of maximum likelihood under the penalty of the objective, from theta.

    Of many rows that can be taken, a random part is.
    """
    loss: Any = objective.network.loss
    if objective.n_samples > PART_ROWS:
        objective = objective.part(np.sort(np.random.default_rng(seed).permutation(objective.n_samples)[:PART_ROWS]))
    variances = objective.input_moments.variances()[1]
    scale = np.where(variances > 0.0, variances, 1.0) if loss.in_units_of_y else np.ones_like(variances)
    start = np.log([its.start / scale if its.of_precision else its.start + 0.0 * scale for its in loss.parameters])
    least, most = np.log([(its.least, its.most) for its in loss.parameters]).T[..., np.newaxis]
    log_noise, solver, state = start, LBFGS(), None
    for _ in range(ROUNDS):
        at = objective.with_prior(objective.penalty, loss.relative_at(np.exp(log_noise)))
        state = None if state is None else solver.carried_over(state, at, theta)
        result = solver.minimize(at, theta, Run(STEPS_OF_ROUND, TOL, state=state))
        theta, state, before = result.x, result.state, log_noise
        log_noise = np.clip(better_noise(objective, theta, log_noise, 0.0), start + least, start + most)
        if np.abs(log_noise - before).max() < SETTLED:
            break
    return np.exp(log_noise)


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
