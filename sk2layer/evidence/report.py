"""The result of a search by evidence: posterior, precisions, log evidence and leave-one-out density."""

from typing import NamedTuple

import numpy as np

from .._typing import Array
from ..objective.objective import Objective
from ..objective.solver_choice import OPERATION, lm_seconds
from .leave_one_out import leave_one_out_density
from .marginal_likelihood import MarginalLikelihood
from .posterior import Posterior
from .priors import Groups

AFFORDABLE_LOOK, AFFORDABLE_LEVERAGES = 0.15, 0.05
"""Predicted seconds to look at the matrix once, and at what it says of each row."""


class Evidence(NamedTuple):
    """What was found besides the weights; for standardised data.

    Attributes
    ----------
    log_precisions : ndarray of shape (n_groups + n_noise,)
        Of the priors, then of the noise if there is any.
    n_groups : int
    log_evidence : float
    n_effective : float
        The number of parameters that the data determine.
    posterior : Posterior
    relevances : ndarray of shape (n_features,) or (1,)
        The prior standard deviation of the weights of each input in units of its spread; 0 for a constant one.
    loo_log_density : float
    at_bound : bool
        Whether the noise is as small as it may be.
    is_constant : bool
        Whether the data determine no more than a constant, and are none.
    """

    log_precisions: Array
    n_groups: int
    log_evidence: float
    n_effective: float
    posterior: Posterior
    relevances: Array
    loo_log_density: float
    at_bound: bool
    is_constant: bool

    @property
    def prior_precision(self) -> Array:
        """The precision of the prior of each group, shape (n_groups,)."""
        return np.exp(self.log_precisions[: self.n_groups])

    @property
    def noise(self) -> Array:
        """The parameters of the noise, those of all outputs together, shape (n_noise,)."""
        return np.exp(self.log_precisions[self.n_groups :])

    @property
    def noise_variance(self) -> Array:
        """The variance of the noise of each output, shape (n_outputs,), or none where there is no noise."""
        return np.exp(-self.log_precisions[self.n_groups :])


def report(objective: Objective, theta: Array, log_precisions: Array, grouping: str) -> Evidence:
    """Return the result at these weights, with the exact matrix if it can be afforded once."""
    likelihood = MarginalLikelihood(objective, Groups.of(objective.shape, grouping))
    n_samples, shape, groups = objective.sums.total_samples, objective.shape, likelihood.groups
    exact = lm_seconds(n_samples, shape) <= AFFORDABLE_LOOK
    look = likelihood.look(theta, log_precisions, exact=exact)
    own = not objective.network.loss.of_labels  # of which it is another one that predicts
    posterior = leverages = look.posterior if own else likelihood.posterior(theta, log_precisions, exact=exact)
    if exact and n_samples * shape.n_outputs * shape.n_parameters**2 * OPERATION > AFFORDABLE_LEVERAGES:
        leverages = likelihood.posterior(theta, log_precisions, exact=False)
    (_, noise), of_noise = likelihood.split(log_precisions), likelihood.objective_of(log_precisions)
    inputs = slice(0, groups.n_inputs)
    relevances = np.exp(0.5 * (likelihood.units - log_precisions)[inputs]) * likelihood.alive[inputs]
    return Evidence(
        log_precisions,
        groups.n_groups,
        look.log_evidence,
        look.n_effective,
        posterior,
        relevances,
        leave_one_out_density(of_noise, theta, leverages, noise),
        likelihood.is_at_bound(log_precisions),
        likelihood.is_constant(look),
    )
