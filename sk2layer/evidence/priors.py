"""The groups of parameters that share a prior precision, and the fixed-point step towards better precisions.

Every group g of weights has a Gaussian prior of precision tau_g: those of each input, the hidden biases, and the output
weights. The output biases have a weak one that is given. MacKay's fixed point (1992) for a group of n_g parameters is

    tau_g = gamma_g / |theta_g|^2,      gamma_g = n_g - tau_g tr_g(A^-1)

with A the precision of the posterior. An input that does not matter gets a large precision and is switched off. Where
rows are few, though, the precision of each input for itself is too free a choice. So they are pooled: log tau_g of the
inputs is normal around a common mean m, with a standard deviation of one, a factor of e. The mode of both is where

    1/2 (gamma_g - tau_g |theta_g|^2) = log tau_g - m,      m = mean of log tau_g

Inputs that the data say little about stay close to the others, inputs that they say much about do not feel it. With
"ard" they are not pooled.

References
----------
MacKay (1992). A practical Bayesian framework for backpropagation networks. Neural Computation 4.

Neal (1996). Bayesian Learning for Neural Networks, section 4.3.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..model.network import Shape

LOG_DEVIATION = {"evidence": 1.0, "ard": np.inf}
"""The standard deviation of log tau_g of the inputs around their mean."""

MOST_GROUPS = 1000
"""Inputs beyond this number have one precision in common."""

PRECISIONS = (1e-8, 1e10)
"""Bounds of tau, in units that follow from the spreads of inputs and targets: wide enough to be out of the way."""

POOLING_STEPS, POOLED = 30, 1e-6  # of Newton's method at most, and the last step, of a log precision, that counts

LEAST = 1e-300  # to divide by, or take the logarithm of, where there is nothing

LONGEST_STEP = 2.0  # of a log precision: what is said of it at one place holds for no longer a step


class Groups(NamedTuple):
    """The group of each parameter: those of a group share the precision of their prior.

    Attributes
    ----------
    number : ndarray of int, shape (n_parameters,)
        Its group: those of the inputs first, then the hidden biases, the output weights, and the output biases, whose
        precision is given.
    n_inputs : int
        The number of groups of inputs.
    log_deviation : float
        The standard deviation of the log precisions of the inputs around their mean.
    """

    number: NDArray[np.intp]
    n_inputs: int
    log_deviation: float

    @classmethod
    def of(cls, shape: Shape, grouping: str) -> "Groups":
        """Return the groups of a network for "evidence" or "ard"."""
        number = np.empty(shape.n_parameters)
        W1, b1, W2, b2 = shape.unpack(number)
        inputs = np.arange(shape.n_features) if shape.n_features <= MOST_GROUPS else np.zeros(shape.n_features)
        n = int(inputs[-1]) + 1
        W1[:], b1[:], W2[:], b2[:] = inputs[:, np.newaxis], n, n + 1, n + 2
        return cls(number.astype(np.intp), n, LOG_DEVIATION[grouping])

    @property
    def n_groups(self) -> int:
        """The number of groups whose precision is sought."""
        return self.n_inputs + 2

    def sums(self, values: Array) -> Array:
        """Return the sum over each of these groups of a value per parameter, shape (n_groups,)."""
        return np.bincount(self.number, values, minlength=self.n_groups + 1)[:-1].astype(np.float64)

    def of_parameters(self, values: Array, of_output_biases: float) -> Array:
        """Return the group's value for each parameter, shape (n_parameters,)."""
        return np.append(values, of_output_biases)[self.number]

    def fixed_point(self, log_precisions: Array, determined: Array, squares: Array) -> Array:
        """Return the next log precisions, at most `LONGEST_STEP` away.

        Parameters
        ----------
        log_precisions : ndarray of shape (n_groups,)
            The present ones.
        determined, squares : ndarray of shape (n_groups,)
            gamma_g and |theta_g|^2. A group whose weights have no effect, a constant input's, determines 0 and
            stays where it is.
        """
        new = np.log(np.maximum(determined, LEAST)) - np.log(np.maximum(squares, LEAST))
        alive = np.flatnonzero(determined[: self.n_inputs] > 0.0)
        if np.isfinite(self.log_deviation) and len(alive) > 1:
            new[alive] = _pooled(log_precisions[alive], determined[alive], squares[alive], self.log_deviation)
        new = np.where(determined > 0.0, new, log_precisions)
        return log_precisions + np.clip(new - log_precisions, -LONGEST_STEP, LONGEST_STEP)


def _pooled(log_precisions: Array, determined: Array, squares: Array, deviation: float) -> Array:
    """Return the mode of the log precisions under their common prior, by Newton's method with the mean held."""
    x, strength = log_precisions.copy(), 2.0 / deviation**2
    for _ in range(POOLING_STEPS):
        pull = strength * (x - x.mean())
        now = np.exp(x) * squares
        step = np.clip((determined - now - pull) / (now + strength), -1.0, 1.0)
        x += step
        if np.abs(step).max(initial=0.0) < POOLED:
            break
    return x
