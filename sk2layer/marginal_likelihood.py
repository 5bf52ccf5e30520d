"""How probable are the data under priors of given strength: the log evidence of a network, and its gradient.

Every group g of weights has a Gaussian prior of precision tau_g, and every output o of a regression Gaussian noise of
precision beta_o; the log evidence is `posterior.log_evidence` with the constants of the likelihood. It is a function of
the weights, too, because A moves with them. Its gradient is

    d / d log tau_g  = 1/2 (gamma_g - tau_g |theta_g|^2),      gamma_g = n_g - tau_g tr_g(A^-1)
    d / d log beta_o = 1/2 (N - gamma_o) - beta_o loss_o,      gamma_o = tr(A^-1 beta_o sum_i w_i J_io.T J_io)
    d / d theta      = -dE / dtheta - 1/2 d log |A| / dtheta

MacKay's fixed point (1992) sets the first two to zero and minimises E: it leaves out the last term, and therefore does
not climb the evidence. With it, the function is the evidence lower bound of the network linearised at theta, under its
best Gaussian posterior, so that raising it in weights and precisions together is variational inference. For that, A
has the curvature of a quadratic bound of the loss, which for squared error is the loss's own (`bounds`).

The output biases have a flat prior. They are as many for every number of hidden units, so that this does not bias
comparisons; the hidden biases are not, and theirs is proper.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._typing import Array
from .bounds import bounded
from .network import Shape
from .objective import Objective
from .posterior import cholesky, inverse, log_evidence
from .response import Response, response

PRIOR_PRECISIONS = (1e-4, 1e6)
"""Bounds of tau, for standardised data: weights of 100 are not penalised, those beyond a thousandth are pruned."""

NOISE_PRECISIONS = (1e-2, 1e4)
"""Bounds of beta, for standardised targets: noise of a hundredth of their spread counts as none. Where the data can be
interpolated, the condition of A is about n_samples * beta, and what they hardly determine loses as many digits."""


class Groups(NamedTuple):
    """Which prior each parameter has: the number of its group, or -1 for the flat prior of the output biases."""

    number: NDArray[np.intp]
    n_groups: int

    @classmethod
    def by_layer(cls, shape: Shape) -> "Groups":
        """Return the groups hidden weights, hidden biases and output weights."""
        return cls._of(shape, np.zeros(shape.n_features, np.intp))

    @classmethod
    def by_input(cls, shape: Shape) -> "Groups":
        """Return a group for the weights of each input, then hidden biases and output weights."""
        return cls._of(shape, np.arange(shape.n_features))

    @classmethod
    def _of(cls, shape: Shape, inputs: Array | NDArray[np.intp]) -> "Groups":
        number = np.full(shape.n_parameters, -1.0)
        W1, b1, W2, _ = shape.unpack(number)
        n_inputs = int(inputs.max()) + 1
        W1[:], b1[:], W2[:] = inputs[:, np.newaxis], n_inputs, n_inputs + 1
        return cls(number.astype(np.intp), n_inputs + 2)

    def sums(self, values: Array) -> Array:
        """Return the sum over each group of a value per parameter, shape (n_groups,)."""
        return np.bincount(self.number + 1, values, minlength=self.n_groups + 1)[1:].astype(np.float64)

    def spread(self, values: Array) -> Array:
        """Return the group's value for each parameter, 0 where the prior is flat."""
        return np.append(values, 0.0)[self.number]


class Point(NamedTuple):
    """The evidence at weights and precisions.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    log_precisions : ndarray of shape (n_groups,) or (n_groups + n_outputs,)
        Of the priors, then of the noise if there is any.
    objective : Objective
        The objective that has these precisions: its value is E per unit of weight.
    log_evidence : float
    energy : float
        E.
    gradient : ndarray of shape (n_parameters,)
        Of E.
    precision, factor : ndarray of shape (n_parameters, n_parameters)
        A, and its lower Cholesky factor.
    """

    theta: Array
    log_precisions: Array
    objective: Objective
    log_evidence: float
    energy: float
    gradient: Array
    precision: Array
    factor: Array


class Slope(NamedTuple):
    """The gradient of the log evidence, and what it says of the precisions.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    log_precisions : ndarray like `Point.log_precisions`
    counts : ndarray like `Point.log_precisions`
        gamma_g / 2 and (N - gamma_o) / 2: what the sums of squares are set to by MacKay's fixed point.
    """

    theta: Array
    log_precisions: Array
    counts: Array


class MarginalLikelihood:
    """The log evidence as a function of weights and precisions.

    Parameters
    ----------
    objective : Objective
        Data, network and loss, in float64; its penalty is not used.
    groups : Groups
        Which prior each weight has.
    """

    def __init__(self, objective: Objective, groups: Groups) -> None:
        self.objective, self.groups = objective, groups
        self.n_noise = objective.shape.n_outputs if objective.loss.has_noise else 0
        bounds = np.log([PRIOR_PRECISIONS] * groups.n_groups + [NOISE_PRECISIONS] * self.n_noise)
        self.lower, self.upper = bounds.T
        self._last: tuple[Any, Any] = (None, None)

    def precisions(self, log_precisions: Array) -> tuple[Array, Array]:
        """Return those of the priors and those of the noise."""
        precisions = np.exp(log_precisions)
        return precisions[: self.groups.n_groups], precisions[self.groups.n_groups :]

    def objective_at(self, log_precisions: Array) -> Objective:
        """Return the objective that has these precisions."""
        prior, noise = self.precisions(log_precisions)
        return self.objective.with_prior(self.groups.spread(prior), bounded(self.objective.loss, noise))

    def at(self, theta: Array, log_precisions: Array) -> Point | None:
        """Return the evidence there, or None where it is not a finite number."""
        objective, noise = self.objective_at(log_precisions), self.precisions(log_precisions)[1]
        scale = float(noise[0]) if self.n_noise == 1 else 1.0
        loss, gradient, precision = self._likelihood(theta, noise if self.n_noise > 1 else np.ones(self.n_noise))
        penalty, weight = objective.penalty, objective.weight_sum
        energy = scale * loss + 0.5 * float(penalty @ theta**2)
        precision = scale * precision
        precision.flat[:: len(theta) + 1] += penalty
        factor = cholesky(precision) if np.isfinite(energy) and np.isfinite(precision).all() else None
        if factor is None:
            return None
        constants = 0.5 * weight * float((log_precisions[self.groups.n_groups :] - np.log(2.0 * np.pi)).sum())
        value = log_evidence(energy, penalty, factor) + constants
        gradient = scale * gradient + penalty * theta
        return Point(theta, log_precisions, objective, value, energy, gradient, precision, factor)

    def _likelihood(self, theta: Array, noise: Array) -> tuple[float, Array, Array]:
        """Return the sum of losses, its gradient and its Gauss-Newton matrix; those last asked for are remembered."""
        key = theta.tobytes(), noise.tobytes()
        if self._last[0] != key:
            objective = self.objective.with_prior(np.zeros(len(theta)), bounded(self.objective.loss, noise))
            weight, (loss, gradient, matrix) = objective.weight_sum, objective.gauss_newton(theta)
            matrix *= weight
            if objective.loss.shift_invariant:
                # Equal shifts of all output biases change nothing, so nor does a unit prior on them; A has its inverse.
                k = objective.shape.n_outputs
                matrix[-k:, -k:] += 1.0 / k
            self._last = key, (weight * loss, weight * gradient, matrix)
        return self._last[1]

    def finite_at(self, theta: Array, log_precisions: Array) -> Point:
        """Return the evidence there, or raise ValueError where it is not a finite number."""
        point = self.at(theta, log_precisions)
        if point is None:
            raise ValueError(
                "The evidence of the penalty is not a finite number: X or y are too large. "
                "Set standardize=True, or alpha to a number."
            )
        return point

    def slope(self, point: Point) -> Slope:
        """Return the gradient at a point."""
        covariance = inverse(point.factor)
        answer = response(point.objective, point.theta, covariance)
        counts, squares = self._balance(point, covariance, answer)
        return Slope(-point.gradient - 0.5 * answer.gradient, counts - squares, counts)

    def balance(self, point: Point) -> tuple[Array, Array]:
        """Return what MacKay's fixed point sets equal, half the counts and half the sums of squares of each precision.

        These are gamma_g / 2 and tau_g |theta_g|^2 / 2 of the priors, (N - gamma_o) / 2 and beta_o loss_o of the noise.
        """
        covariance = inverse(point.factor)
        if self.n_noise == 1:  # what the data determine and the prior does not, without a pass over them
            penalty = point.objective.penalty
            counts, squares = self._balance(point, covariance, None)
            determined = len(penalty) - float(penalty @ covariance.diagonal())
            count, square = 0.5 * (point.objective.weight_sum - determined), point.energy - float(squares.sum())
            return np.append(counts, count), np.append(squares, square)
        return self._balance(point, covariance, response(point.objective, point.theta, covariance))

    def _balance(self, point: Point, covariance: Array, answer: Response | None) -> tuple[Array, Array]:
        penalty = point.objective.penalty
        counts = 0.5 * self.groups.sums(1.0 - penalty * covariance.diagonal())
        squares = 0.5 * self.groups.sums(penalty * point.theta**2)
        if self.n_noise and answer is not None:
            counts = np.append(counts, 0.5 * (point.objective.weight_sum - answer.traces))
            squares = np.append(squares, answer.half_errors)
        return counts, squares

    def n_effective(self, point: Point) -> float:
        """Return the number of parameters that the data determine, gamma."""
        n_flat = np.count_nonzero(self.groups.number < 0) - point.objective.loss.shift_invariant
        counts, _ = self._balance(point, inverse(point.factor), None)
        return 2.0 * float(counts.sum()) + n_flat
