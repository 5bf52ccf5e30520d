"""Who chooses the penalty: the caller, a constant, or the evidence; and what a fit by evidence reports."""

from typing import Any

import numpy as np

from .network import Shape, Weights
from .training import Outcome, Problem
from .uncertainty import FittedPosterior, Mixture

DEFAULT_ALPHA = 1.0
"""The penalty that alpha="auto" stands for where the evidence cannot be afforded."""

EVIDENCE_WORK = 25 * 10**8
"""alpha="auto" is "evidence" up to this (n_samples * n_outputs + 4 n_parameters) * n_parameters^2, a step's operations
but for a factor: rows cost a product of their pairs, parameters the factorisations of their matrix."""

EVIDENCE_ATTRIBUTES = {
    "effective_n_parameters_",
    "feature_relevances_",
    "log_marginal_likelihood_",
    "noise_variance_",
}


def can_afford_evidence(n_samples: int, shape: Shape) -> bool:
    """Return whether the evidence is quick enough to be the default."""
    return (n_samples * shape.n_outputs + 4 * shape.n_parameters) * shape.n_parameters**2 <= EVIDENCE_WORK


def check_evidence_parameters(alpha: Any, solver: Any, early_stopping: bool) -> None:
    """Raise ValueError where the evidence is asked for beside what it cannot go with."""
    if alpha not in ("evidence", "ard"):
        return
    if early_stopping:
        raise ValueError(f"alpha={alpha!r} needs early_stopping=False. Got {early_stopping}.")
    if solver not in ("auto", "lm"):
        raise ValueError(f"alpha={alpha!r} needs solver='auto' or 'lm'. Got {solver!r}.")


def evidence_attributes(outcome: Outcome, problem: Problem, activation: str, alpha: Any) -> dict[str, Any]:
    """Return the fitted attributes of an estimator that come from the evidence, if there is any.

    Of several averaged networks, the error bars and the variance of the noise are of all, the rest is of the best one.
    """
    evidence, scaling, shape = outcome.evidence, problem.scaling, problem.shape
    if evidence is None:
        return {"_posterior": None, "_log_precisions": None}
    networks = [(network.theta, network.evidence) for network in outcome.networks if network.evidence is not None]
    posteriors = tuple(
        FittedPosterior(Weights(*(array.copy() for array in shape.unpack(theta))), its.factor, scaling, activation)
        for theta, its in networks
    )
    variance, spread = evidence.noise_variance, scaling.y_spread
    attributes: dict[str, Any] = {
        "_posterior": Mixture(posteriors) if len(posteriors) > 1 else posteriors[0],
        "_log_precisions": evidence.log_precisions,
        "effective_n_parameters_": evidence.n_effective,
        "log_marginal_likelihood_": evidence.log_evidence,
        "alpha_": evidence.prior_precision,
    }
    if problem.loss.has_noise:
        attributes["alpha_"] = evidence.prior_precision * np.exp(np.log(variance).mean())
        attributes["noise_variance_"] = np.mean([its.noise_variance for _, its in networks], axis=0) * spread**2
        attributes["log_marginal_likelihood_"] -= problem.train.total_weight * float(np.log(spread[spread > 0.0]).sum())
    if alpha == "ard":
        attributes["feature_relevances_"] = evidence.prior_precision[: shape.n_features] ** -0.5
    return attributes
