"""The leave-one-out log predictive density: how well each sample is predicted from all others.

For the network linearised at its optimum, leaving out a sample with the covariance V of its raw prediction z, the
curvature L of its loss and its output delta changes both in one step of Newton's:

    V' = V (I - L V)^-1         z' = z + V' delta

L is the curvature that the posterior has: of labels, that of the bound. The density of other numbers than those with
Gaussian noise is averaged over z' (`new_targets`). A posterior in Kronecker-factored form is of
rows in the mean, and no single one can be taken out of it: V' is V then. For squared error, with the noise's precision
beta for L and the leverage h = beta V, this is the residual divided by 1 - h and the variance 1 / beta divided by
1 - h (Monari & Dreyfus 2002; Rasmussen & Williams 2006, section 5.4.2).

References
----------
Monari & Dreyfus (2002). Local overfitting control via leverages. Neural Computation 14.

Rasmussen & Williams (2006). Gaussian Processes for Machine Learning, section 5.4.2.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from .._typing import Array
from ..model.activations import Activation
from ..model.network import Network, Weights
from ..objective.objective import Objective
from ..rows.sums import Block, Totals
from .bounds import bounded
from .new_targets import log_density
from .posterior import ExactPosterior, Posterior, predictive_blocks
from .uncertainty import moderate

LEAST_LEFT = 1e-8  # of 1 - leverage: below, what is left out was all there was to know


def leave_one_out_density(objective: Objective, theta: Array, posterior: Posterior, noise: Array) -> float:
    """Return the mean over the samples, or NaN where the leverage of a sample is 1.

    The posterior is that at theta; the noise's precision has the shape (n_outputs,), or (0,) where there is none.
    """
    density = partial(density_sum, network=objective.network, theta=theta, posterior=posterior, noise=noise)
    return float(objective.total(density)[0])


def density_sum(block: Block, network: Network, theta: Array, posterior: Posterior, noise: Array) -> Totals:
    """Return the sum over a block of rows of the log density of each, times its share of the weight."""
    (shape, activation, loss), total = network, 0.0
    weights = shape.unpack(theta.astype(np.float64))
    X, Y, share = block.sums.X[block.rows], block.Y, block.share
    share = np.broadcast_to(share, (len(Y), 1))[:, 0]
    for rows, density in densities(X, Y, weights, activation, loss, posterior, noise):
        total += float(share[rows] @ density)
    return Totals([total])


def densities(
    X: Any, Y: Any, weights: Weights, activation: Activation, loss: Any, posterior: Posterior, noise: Array
) -> Iterator[tuple[slice, Array]]:
    """Yield, for each block of standardised rows, their positions and the log density of each."""
    exact = isinstance(posterior, ExactPosterior)
    for rows, Z, V in predictive_blocks(X, weights, activation, posterior):
        yield rows, _density(loss, Y[rows], Z, V, noise, exact=exact)


def _density(loss: Any, Y: Array, Z: Array, V: Array, noise: Array, *, exact: bool) -> Array:
    """Return the log density of each sample, shape (n_samples,)."""
    delta = (Z - Y) * noise if len(noise) else loss.delta(Y, Z.copy())
    V = _without_each(loss, Y, Z, V, noise) if exact else V
    if not np.isfinite(V).all():
        return np.full(len(Z), np.nan)
    Z = Z + np.einsum("nop,np->no", V, delta)
    if not len(noise):
        if not loss.of_labels:
            return log_density(loss, Y, Z, V)
        return -loss.losses(Y, moderate(Z, V, shift_invariant=loss.shift_invariant))
    V = V + np.diag(1.0 / noise)
    errors = Y - Z
    squares = np.einsum("no,no->n", errors, np.linalg.solve(V, errors[..., np.newaxis])[..., 0])
    return -0.5 * (squares + np.linalg.slogdet(V)[1] + len(noise) * np.log(2.0 * np.pi))


def _without_each(loss: Any, Y: Array, Z: Array, V: Array, noise: Array) -> Array:
    """Return V (I - L V)^-1 of each sample, infinite where its leverage is 1."""
    k = Z.shape[1]
    if len(noise):
        L = np.broadcast_to(np.diag(noise), V.shape)
    else:
        C = bounded(loss).curvature_factor(Y, Z)
        L = C @ C.transpose(0, 2, 1)
    rest = np.eye(k) - L @ V
    left = np.linalg.eigvals(rest).real.min(axis=1) if k > 1 else rest[:, 0, 0]
    if not left.min() > LEAST_LEFT:
        return np.full_like(V, np.inf)
    V = np.linalg.solve(rest.transpose(0, 2, 1), V.transpose(0, 2, 1)).transpose(0, 2, 1)
    return 0.5 * (V + V.transpose(0, 2, 1))
