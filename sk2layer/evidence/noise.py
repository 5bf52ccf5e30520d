"""Which parameters of the noise do the data ask for: those of a likelihood, besides its mean.

With the likelihood p(y | z, nu) of `model.likelihoods` and the raw predictions Gaussian under the posterior, the
parameters nu of an output maximise the mean of its log likelihood over the posterior, to second order

    sum_i w_i log p(y_i | z_i, nu)  -  1/2 sum_i w_i L_i(nu) V_i,        sum_i w_i L_i(nu) V_i = gamma

with the curvatures L_i, the variances V_i of the raw predictions, and gamma the number of parameters that the data
determine. It is the step of EM; for Gaussian noise its fixed point is MacKay's, beta = (W - gamma) / (2 loss). The
second sum is taken as gamma times the mean of the curvatures relative to what it is now, and the outputs share gamma
alike. What is best is looked for on a grid of steps from where nu is, by one pass over the rows for all of it, and
between its points by a parabola.
"""

import itertools
from functools import partial

import numpy as np

from .._typing import Array
from ..model.likelihoods import Likelihood
from ..model.network import Network, forward
from ..objective.objective import Objective
from ..rows.sums import Block, Totals

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
