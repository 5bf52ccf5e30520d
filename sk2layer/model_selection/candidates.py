"""What comes of each candidate of a search: its fit, and what that says of itself."""

import time
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.ma import MaskedArray
from scipy.stats import rankdata
from sklearn.exceptions import FitFailedWarning

from .._typing import Array
from ..estimator.callback_support import FRAMES_OF_FIT, CandidateTask
from ..estimator.reach import is_ours, network_of, rows_for_network, was_interrupted, will_be_by_evidence
from ..evidence.mixture import stacking_weights
from .left_out import leave_one_out

CRITERIA = {"evidence": "log_marginal_likelihood", "loo": "loo_log_density"}
REPORTED = [*CRITERIA.values(), "effective_n_parameters"]


class Fit(NamedTuple):
    """What came of a candidate.

    Attributes
    ----------
    model : fitted model or None
        None if the fit failed.
    seconds : float
    error : Exception or None
        Why it failed.
    leave_one_out : tuple of two ndarrays of shape (n_samples,), or None
        Log densities and weights of the samples, where these are asked for.
    """

    model: Any
    seconds: float
    error: Exception | None = None
    leave_one_out: tuple[Array, Array] | None = None

    def said(self, name: str) -> float:
        """Return a fitted attribute of the network; NaN if there is none."""
        return float("nan") if self.model is None else float(getattr(network_of(self.model), f"{name}_"))


def check_by_evidence(model: Any, params: dict[str, Any]) -> None:
    """Raise ValueError where it is known before any work that the fit of a candidate will not be by evidence."""
    network = network_of(model)
    if not is_ours(network):
        raise ValueError(
            "EvidenceSearch needs a TwoLayerRegressor or TwoLayerClassifier, or a Pipeline that ends in one. The "
            f"candidate {params} ends in {network!r}."
        )
    if not will_be_by_evidence(network):
        raise ValueError(
            'EvidenceSearch needs fits by evidence: alpha="evidence" or "ard", or "auto" with solver "auto", "lbfgs" '
            f'or "lm" and without early stopping. The candidate {params} has alpha={network.alpha!r}, '
            f"solver={network.solver!r}, early_stopping={network.early_stopping!r}."
        )


def fit_candidate(
    model: Any, X: Any, y: Any, fit_params: dict[str, Any], task: CandidateTask, *, may_fail: bool, densities: bool
) -> Fit:
    """Fit a model to all rows; with `densities`, keep how well each of them is predicted from the others.

    Raises
    ------
    KeyboardInterrupt
        Also where the fit caught it, and kept its weights: they are not to be compared with those of fits that ended.
    ValueError
        If the fit was not by evidence.
    """
    began = time.perf_counter()
    try:
        with task.of(model, X, y):
            model.fit(X, y, **fit_params)
    except Exception as error:
        if not may_fail:
            raise
        return Fit(None, time.perf_counter() - began, error)
    seconds, network = time.perf_counter() - began, network_of(model)
    if was_interrupted(network):
        raise KeyboardInterrupt
    passed = weight_in(fit_params), weight_in(fit_params, "y_std")
    kept = leave_one_out(network, rows_for_network(model, X), y, *passed) if densities else None
    return Fit(model, seconds, None, kept)


def weight_in(fit_params: dict[str, Any], what: str = "sample_weight") -> Any:
    """Return the sample weights, or something else, among what is passed to `fit`, also for a step of a Pipeline."""
    return next((value for name, value in fit_params.items() if name.split("__")[-1] == what), None)


def report_failures(fits: Sequence[Fit], candidates: Sequence[dict[str, Any]]) -> None:
    """Warn the caller of `fit` of the candidates that failed; if all did, raise the first one's error."""
    failed = [(params, fit.error) for params, fit in zip(candidates, fits, strict=True) if fit.error is not None]
    if not failed:
        return
    if len(failed) == len(fits):
        raise next(error for _, error in failed)
    listed = "\n".join(f"{params}: {type(error).__name__}: {error}" for params, error in failed)
    message = (
        f"{len(failed)} of {len(fits)} candidates failed, and are not chosen. Set error_score='raise' to see where.\n"
        f"{listed}"
    )
    warnings.warn(message, FitFailedWarning, stacklevel=2 + FRAMES_OF_FIT)


def criterion_of(asked: str, fits: Iterable[Fit]) -> str:
    """Return by what fits are compared: for "auto" by leave-one-out, unless that is NaN for all of them.

    Raises
    ------
    ValueError
        If leave-one-out was asked for, and is NaN for all of them.
    """
    if asked == "evidence" or any(np.isfinite(fit.said("loo_log_density")) for fit in fits):
        return "evidence" if asked == "evidence" else "loo"
    if asked == "loo":
        raise ValueError(
            "criterion must be 'auto' or 'evidence' for these data: in each fit there is a sample that alone "
            "determines its own prediction, and loo_log_density_ is NaN. Got 'loo'."
        )
    return "evidence"


def results_of(
    candidates: Sequence[dict[str, Any]], fits: Sequence[Fit], criterion: str, *, average: bool
) -> dict[str, Any]:
    """Return the table of the search, a column for each key."""
    results: dict[str, Any] = {"params": list(candidates)}
    for name in dict.fromkeys(name for params in candidates for name in params):
        column: Any = MaskedArray(np.empty(len(candidates), dtype=object), mask=True)
        for number, params in enumerate(candidates):
            if name in params:
                column[number] = params[name]
        results[f"param_{name}"] = column
    for name in REPORTED:
        results[name] = np.array([fit.said(name) for fit in fits])
    results["fit_time"] = np.array([fit.seconds for fit in fits])
    scores = results[CRITERIA[criterion]]
    results["rank"] = rankdata(np.where(np.isnan(scores), np.inf, -scores), method="min").astype(np.int32)
    if average:
        results["weight"] = weights_of(fits, best=int(results["rank"].argmin()))
    return results


def weights_of(fits: Sequence[Fit], best: int) -> Array:
    """Return the weight of each candidate in the mixture, shape (n_candidates,).

    Where no fit says of each row how well it is predicted from the others, the best one has it all.
    """
    known = {number: fit.leave_one_out for number, fit in enumerate(fits) if fit.leave_one_out is not None}
    log_densities, weights = np.column_stack([density for density, _ in known.values()]), np.zeros(len(fits))
    weights[[*known]] = stacking_weights(log_densities, known[best][1])
    return np.eye(len(fits))[best] if np.isnan(weights).any() else weights
