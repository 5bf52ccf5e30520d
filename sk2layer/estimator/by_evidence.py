"""The fitted attributes, warnings and posterior of a fit by evidence, and the penalty of other fits."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np

from .._typing import Array
from ..evidence.new_targets import Averaged, Linked
from ..evidence.uncertainty import FittedPosterior, Mixture, students
from .noise_of_inputs import Fits
from .outcome import Outcome
from .problem import Problem
from .reach import loss_of, noise_model_of, raw_prediction_of, raw_variance_of

DEFAULT_ALPHA = 1.0
"""The penalty that alpha="auto" stands for with the solvers "gd", "sgd" and "adam", and with early stopping."""

EVIDENCE_ATTRIBUTES = {
    "effective_n_parameters_",
    "feature_relevances_",
    "log_marginal_likelihood_",
    "loo_log_density_",
    "noise_variance_",
}

NOISE_ATTRIBUTES = {"_noise", "degrees_of_freedom_", "dispersion_", "noise_scale_"}
"""Of losses that have parameters of the noise."""


def evidence_attributes(outcome: Outcome, problem: Problem, activation: str, alpha: Any) -> dict[str, Any]:
    """Return the fitted attributes of an estimator that come from the evidence, if there is any.

    Of several averaged networks, the error bars and the variance of the noise are of all, the rest is of the best one.
    """
    evidence, scaling, shape = outcome.evidence, problem.scaling, problem.shape
    if evidence is None:
        return {"_posterior": None, "_log_precisions": None}
    networks = [(network.weights(shape), network.evidence) for network in outcome.networks if network.evidence]
    weight = problem.train.total_weight
    posteriors = tuple(
        FittedPosterior(weights, its.posterior.portable(), scaling, activation, weight - its.n_effective)
        for weights, its in networks
    )
    variance, spread = evidence.noise_variance, scaling.y_spread
    attributes: dict[str, Any] = {
        "_posterior": Mixture(posteriors) if len(posteriors) > 1 else posteriors[0],
        "_log_precisions": evidence.log_precisions,
        "effective_n_parameters_": evidence.n_effective,
        "log_marginal_likelihood_": evidence.log_evidence,
        "loo_log_density_": evidence.loo_log_density,
        "alpha_": evidence.prior_precision,
        "penalty_": "ard" if alpha == "ard" else "evidence",
    }
    if problem.network.loss.in_units_of_y:
        volume = float(np.log(spread[spread > 0.0]).sum())
        attributes["log_marginal_likelihood_"] -= weight * volume
        attributes["loo_log_density_"] -= volume
    if problem.network.loss.alpha_is_relative:
        attributes["alpha_"] = evidence.prior_precision * np.exp(np.log(variance[: shape.n_outputs]).mean())
    if problem.network.loss.has_noise:
        attributes["noise_variance_"] = np.mean([its.noise_variance for _, its in networks], axis=0) * spread**2
    if alpha == "ard":
        attributes["feature_relevances_"] = np.broadcast_to(evidence.relevances, shape.n_features).copy()
    return attributes


def noise_attributes(outcome: Outcome, problem: Problem) -> dict[str, Any]:
    """Return what a fit leaves of the parameters of the noise, in the units of y: of several networks, their means."""
    loss: Any = problem.network.loss
    if not loss.parameters:
        return {}
    found = [network.evidence.noise for network in outcome.networks if network.evidence] or [loss.noise.ravel()]
    noise = np.exp(np.mean(np.log(found), axis=0)).reshape(len(loss.parameters), -1)
    noise = loss.in_units(noise, problem.scaling.y_spread)
    is_known = loss.is_known or outcome.evidence is not None
    return {"_noise": noise, **(loss.reported(noise) if is_known else {})}


def shortcomings(outcome: Outcome) -> list[str]:
    """Return the warnings that a fit by evidence gives: of a constant, or of too little noise."""
    evidence = outcome.evidence
    said: list[str] = []
    if evidence is None or outcome.interrupted:
        return said
    if evidence.is_constant:
        said.append(
            "The network predicts a constant: by the evidence, the data determine no more than that. If y does depend "
            "on X, try alpha=0.01, other hidden_units, or several starts by n_init."
        )
    elif evidence.at_bound:
        said.append(
            "The noise is below 1e-4 of the spread of y, less than is told apart: error bars are too wide. Where they "
            "do not matter this is no concern."
        )
    return said


def posterior_of(network: Any) -> Any:
    """Return the `FittedPosterior` or `Mixture` that a fit by evidence has left in one of our estimators, or None."""
    return network._posterior


def known_posterior(network: Any) -> Any:
    """Return the same, or raise ValueError where there is none."""
    return network._known_posterior()


def members_of(network: Any) -> Sequence[FittedPosterior]:
    """Return the posteriors of the networks whose mean predicts; none where the fit was not by evidence."""
    posterior = posterior_of(network)
    return () if posterior is None else getattr(posterior, "members", (posterior,))


def noise_variance_of(regressor: Any, X: Any) -> Array:
    """Return the variance of Gaussian noise at each row, of a shape that goes with (n_samples, n_outputs)."""
    return Fits(regressor, noise_model_of(regressor)).noise_variance(X)[0]


def new_targets_of(regressor: Any, X: Any, *, include_noise: bool) -> Averaged | Linked:
    """Return how new targets, or their means, are distributed at these rows."""
    Z, variance, loss = raw_prediction_of(regressor, X), raw_variance_of(regressor, X), loss_of(regressor)
    if include_noise and not loss.has_noise:
        return Averaged(loss, Z, variance)
    none = np.zeros(1)
    noise, deviation = Fits(regressor, noise_model_of(regressor)).noise_variance(X) if include_noise else (none, none)
    known_by = max(posterior_of(regressor).degrees_of_freedom, 1.0)
    return Linked(loss, Z, *students(variance, noise, deviation, known_by))


def knows_deviations(regressor: Any) -> bool:
    """Return whether a fitted regressor, of anybody's, can `return_std`; of ours, after a fit by evidence."""
    return "return_std" in signature(regressor.predict).parameters and (
        not hasattr(regressor, "_posterior") or posterior_of(regressor) is not None
    )
