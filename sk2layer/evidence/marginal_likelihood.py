"""The log evidence: how probable the data are under priors and noise of given strength, and which are better.

Every output o of a regression has Gaussian noise of precision beta_o; with the priors of `priors` and the posterior of
`posterior`, at weights theta that minimise E = sum_o beta_o loss_o + 1/2 sum_j prior_j theta_j^2,

    log p(y) = -E + W / 2 sum_o log(beta_o / 2 pi) + 1/2 sum_j log prior_j - 1/2 log |A|

and MacKay's fixed point (1992) is, besides that of the priors,

    beta_o = (W - gamma_o) / (2 loss_o)

with gamma_o the parameters that output o determines and W the total weight. Other likelihoods of numbers are at the
present parameters of their noise, of which `noise` finds better ones. All priors are proper, so that the log evidence
of labels is at most the log probability of the labels at theta, and never above 0.

What is a small or a large precision depends on the units of inputs and targets: bounds, and the strengths that a search
begins with, are relative to their variances.
"""

from typing import Any, NamedTuple

import numpy as np

from .._typing import Array
from ..model.losses import Loss, ScaledSquaredError
from ..objective.kronecker import KroneckerSum
from ..objective.objective import Objective
from .bounds import bounded
from .kronecker_posterior import KroneckerPosterior
from .noise import better_noise
from .posterior import ExactPosterior, Posterior, log_evidence
from .priors import LEAST, LONGEST_STEP, PRECISIONS, Groups

NOISE_PRECISIONS = (1e-2, 1e8)
"""Bounds of beta, relative to the variance of the targets: noise of 1e-4 of their spread counts as none. The condition
of A is about W beta, and beyond that what the data determine cannot be told from rounding."""

LEAST_SHARE = 1e-6  # of a class, for its log odds to be finite

LEAST_START, LEAST_OUTPUT_START, OUTPUT_START = 0.03, 0.1, 2.5
"""Of precisions that a search begins with, in their units: the least from `STRONG` on, that of the output weights, and,
as their start says nothing, the precision of these for a strength of 1. Below `STRONG` the least fall with it."""

STRONG = 0.1

LEAST_SQUARE = 1e-3  # mean of the weights of a start, so that few small ones ask for no huge precision

LEAST_DETERMINED, LEAST_NOISE = 1e-10, 1e-6  # parameters by a group; share of the total weight that noise is known by

CONSTANT_ROUNDS = 20  # in which the parameters of the noise around a constant are found

NEARLY_NONE = 0.5  # parameters that the data determine beyond a constant

BIAS_PRECISIONS = {False: 1e-4, True: 1e-2}
"""The prior of output biases of numbers, in units of the targets: a hundred of their spreads; and of labels, whose log
odds are then within a few tens."""


def check_finite(value: float | Array) -> None:
    """Raise ValueError where the evidence has left the range of floating-point numbers."""
    if not np.isfinite(value).all():
        raise ValueError(
            "The evidence of the penalty is not a finite number: X or y are too large or too small. "
            "Set standardize=True, or alpha to a number."
        )


class Look(NamedTuple):
    """The log evidence at given weights and precisions, and what it was computed from.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    log_precisions : ndarray of shape (n_groups + n_noise,)
        Of the priors, then of the noise if there is any: of each parameter, for all outputs.
    log_evidence : float
    n_effective : float
        The number of parameters that the data determine.
    posterior : Posterior
    better : ndarray like `log_precisions`
        The log precisions that the fixed point says would be better.
    """

    theta: Array
    log_precisions: Array
    log_evidence: float
    n_effective: float
    posterior: Posterior
    better: Array


class MarginalLikelihood:
    """The log evidence of the network and the data of an objective, whose penalty is not used."""

    def __init__(self, objective: Objective, groups: Groups) -> None:
        self.objective, self.groups = objective, groups
        loss, k = objective.network.loss, objective.shape.n_outputs
        self.has_noise, self.parameters, self._loss_at = loss.has_noise, loss.parameters, (b"", loss)
        self.n_noise = k if self.has_noise else k * len(self.parameters)
        x, y = objective.input_moments.variances()
        check_finite(np.append(x, y))
        self.targets_vary = y > 0.0
        self.n_constants = k - loss.shift_invariant
        y = np.where(y > 0.0, y, 1.0) if loss.in_units_of_y else np.ones(k)
        inputs = x if len(x) == groups.n_inputs else np.array([x.mean()])
        self.alive = np.append(inputs > 0.0, [True, True])
        inputs = np.where(inputs > 0.0, inputs, 1.0)
        of_noise = [np.log(its.start) - its.of_precision * np.log(y) for its in self.parameters]
        of_noise = [-np.log(y)] if self.has_noise else of_noise
        units = np.concatenate([np.log(inputs), [0.0, -np.log(y).mean()], *of_noise])
        self.units, self.bias_precision = units, BIAS_PRECISIONS[loss.of_labels] / float(y.max())
        ranges = [NOISE_PRECISIONS] if self.has_noise else [(its.least, its.most) for its in self.parameters]
        bounds = np.log([PRECISIONS] * groups.n_groups + [its for its in ranges for _ in range(k)])
        self.lower, self.upper = bounds.T + units
        with np.errstate(over="ignore"):
            check_finite(np.exp(self.upper))

    def split(self, log_precisions: Array) -> tuple[Array, Array]:
        """Return the precision of each parameter's prior, shape (n_parameters,), and those of Gaussian noise."""
        precisions = np.exp(log_precisions)
        n = self.groups.n_groups
        noise = precisions[n:] if self.has_noise else np.empty(0)
        return self.groups.of_parameters(precisions[:n], self.bias_precision), noise

    def log_noise(self, log_precisions: Array) -> Array:
        """Return the logarithms of the parameters of a likelihood's noise, shape (n_noise_parameters, k)."""
        return log_precisions[self.groups.n_groups :].reshape(len(self.parameters), -1)

    def loss_at(self, log_precisions: Array) -> Loss:
        """Return the loss at its parameters of the noise, the same object where they are as last time."""
        if self.parameters:
            log_noise, (known, _) = self.log_noise(log_precisions), self._loss_at
            if log_noise.tobytes() != known:
                loss: Any = self.objective.network.loss
                self._loss_at = log_noise.tobytes(), loss.at(np.exp(log_noise))
        return self._loss_at[1]

    def objective_of(self, log_precisions: Array) -> Objective:
        """Return the objective with the loss at its parameters of the noise."""
        return self.objective.with_prior(self.objective.penalty, self.loss_at(log_precisions))

    def start(self, theta: Array, strength: float) -> Array:
        """Return log precisions of which the priors are so strong beside the weights of a random start.

        Its output weights say nothing: they are small. Those of the inputs are alike in their units.
        """
        groups, log_units = self.groups, self.units[: self.groups.n_groups]
        n = np.maximum(groups.sums(np.ones(len(theta))), 1.0)
        squares = groups.sums(theta**2) / n * np.exp(log_units)
        alive = np.flatnonzero(self.alive[: groups.n_inputs])
        squares[: groups.n_inputs] = squares[alive].mean() if len(alive) else 1.0
        least = np.append(np.full(len(n) - 1, LEAST_START), LEAST_OUTPUT_START) * min(1.0, strength / STRONG)
        relative = np.maximum(strength / np.maximum(squares, LEAST_SQUARE), least)
        relative[-1] = max(OUTPUT_START * strength, least[-1])
        return np.concatenate([np.log(relative), np.zeros(self.n_noise)]) + self.units

    def constant(self) -> Look:
        """Return what is seen at the best constant, with all other weights 0 under priors that leave them nowhere."""
        objective, log_precisions = self.objective, self.upper.copy()
        theta, means = np.zeros(objective.shape.n_parameters), objective.input_moments.targets[0]
        b2 = objective.shape.unpack(theta).b2
        if self.has_noise:
            b2[:], log_precisions[self.groups.n_groups :] = means, self.units[self.groups.n_groups :]
        else:
            labels = objective.network.loss.of_labels
            b2[:] = objective.network.loss.start(np.clip(means, LEAST_SHARE, 1.0 - LEAST_SHARE) if labels else means)
        look = self.look(theta, log_precisions, exact=False)
        for _ in range(CONSTANT_ROUNDS if self.parameters else 0):
            log_precisions[self.groups.n_groups :] = look.better[self.groups.n_groups :]
            self._move_constant(theta, log_precisions)
            look = self.look(theta.copy(), log_precisions.copy(), exact=False)
        return look

    def _move_constant(self, theta: Array, log_precisions: Array) -> None:
        """Move the output biases to where the losses are lower."""
        at = self.objective_of(log_precisions)
        gradient = at.value_and_gradient(theta.astype(at.dtype))[1]
        slope, bend = at.shape.unpack(gradient).b2, at.kronecker_sum(theta).outputs.diagonal()
        at.shape.unpack(theta).b2[:] -= slope / bend

    def objective_at(self, log_precisions: Array) -> Objective:
        """Return the objective that has these precisions: its value is E per unit of weight and mean precision."""
        prior, noise = self.split(log_precisions)
        loss = self._loss(noise) if len(noise) else self.loss_at(log_precisions)
        return self.objective.with_prior(prior / self._scale(noise), loss)

    def _scale(self, noise: Array) -> float:
        return float(np.exp(np.log(noise).mean())) if len(noise) else 1.0

    def _loss(self, noise: Array) -> Loss:
        return ScaledSquaredError(noise / self._scale(noise)) if len(noise) > 1 else self.objective.network.loss

    def posterior(self, theta: Array, log_precisions: Array, *, exact: bool) -> Posterior:
        """Return the posterior to predict with: that of labels has the curvature of a bound (`bounds`)."""
        objective = self.objective
        if not self.has_noise:
            objective = objective.with_prior(np.zeros(len(theta)), bounded(self.loss_at(log_precisions)))
        prior, noise = self.split(log_precisions)
        factored = self._factored(objective, objective.kronecker_sum(theta), prior, noise)
        return (self._exact(objective, theta, prior, noise) if exact else None) or factored

    def look(self, theta: Array, log_precisions: Array, *, exact: bool) -> Look:
        """Return what is seen there, with the matrix itself (`exact`) or its Kronecker-factored form."""
        objective, weight, n = self.objective_of(log_precisions), self.objective.weight_sum, self.groups.n_groups
        prior, noise = self.split(log_precisions)
        sums, theta = objective.kronecker_sum(theta), theta.astype(np.float64)
        factored = self._factored(objective, sums, prior, noise)
        posterior = (self._exact(objective, theta, prior, noise) if exact else None) or factored
        variances, losses = posterior.variances(), weight * sums.losses
        energy = float(np.sum(noise * losses if self.has_noise else losses)) + 0.5 * float(prior @ theta**2)
        value = log_evidence(energy, prior, posterior) + 0.5 * weight * float(np.log(noise / (2.0 * np.pi)).sum())
        check_finite(value)
        counts = np.maximum(self.groups.sums(1.0 - prior * variances), LEAST_DETERMINED) * self.alive
        n_effective = len(theta) - float(prior @ variances)
        units = self.units[:n]
        squares = self.groups.sums(theta**2) * np.exp(units)
        better = units + self.groups.fixed_point(log_precisions[:n] - units, counts, squares)
        if self.has_noise:
            determined = factored.determined(sums, noise, weight)
            determined *= n_effective / max(determined.sum(), LEAST)
            ratio = np.maximum(weight - determined, LEAST_NOISE * weight) / np.maximum(2.0 * losses * noise, LEAST)
            better = np.append(better, np.log(noise) + np.clip(np.log(ratio), -LONGEST_STEP, LONGEST_STEP))
        elif self.parameters:
            log_noise, of_each = self.log_noise(log_precisions), n_effective / objective.shape.n_outputs
            better = np.append(better, better_noise(objective, theta, log_noise, of_each))
        return Look(theta, log_precisions, value, n_effective, posterior, np.clip(better, self.lower, self.upper))

    def is_constant(self, look: Look) -> bool:
        """Return whether the data determine no more than a constant, although the targets vary."""
        return bool(self.targets_vary.any() and look.n_effective < self.n_constants + NEARLY_NONE)

    def is_at_bound(self, log_precisions: Array) -> bool:
        """Return whether the noise of a target that varies is at its lower bound."""
        met = (log_precisions >= self.upper)[self.groups.n_groups :][: len(self.targets_vary)]
        return bool((met & self.targets_vary[: len(met)]).any() and not self.objective.network.loss.may_vanish)

    def _factored(self, objective: Objective, sums: KroneckerSum, prior: Array, noise: Array) -> KroneckerPosterior:
        moments, weight = self.objective.input_moments, objective.weight_sum
        return KroneckerPosterior.of(moments, sums, prior, noise, weight, objective.shape)

    def _exact(self, objective: Objective, theta: Array, prior: Array, noise: Array) -> ExactPosterior | None:
        if len(noise) > 1:
            objective = objective.with_prior(prior, self._loss(noise))
        precision = objective.gauss_newton_matrix(theta.astype(objective.dtype, copy=False))
        precision *= objective.weight_sum * self._scale(noise)
        precision.flat[:: len(theta) + 1] += prior
        return ExactPosterior.of(precision) if np.isfinite(precision).all() else None
