"""How sure is a mean over rows, of slopes or of predictions.

Each is a function of the parameters, and so is their mean, whose derivative is the mean of theirs. With g for that, the
variance is g A^-1 g.T: the rows of a fit share its error, which a mean over them does not make smaller. A moderated
probability p(kappa z) is differentiated with kappa as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from .._typing import Array
from ..model.activations import ACTIVATIONS
from ..model.losses import Loss
from ..rows.scaling import inverse_of
from .posterior import Derivatives, dense
from .uncertainty import FittedPosterior, moderating

BLOCK_BYTES = 2**24
"""Of what a block of rows becomes, and of the derivatives of so many means as are taken at a time."""

STEP = 1e-5
"""By which raw predictions move to see how the slopes of a link change."""


class Direction(NamedTuple):
    """Along which inputs of the network a slope is meant, with a factor for each row.

    Attributes
    ----------
    inputs : ndarray of shape (m,)
    factor : ndarray of shape (n_samples, m)
    """

    inputs: NDArray[np.intp]
    factor: Array


class Moderated(NamedTuple):
    """What is made of the raw predictions of some rows, at which the mean is differentiated.

    Attributes
    ----------
    Z : ndarray of shape (n, k)
        Raw predictions, moderated.
    factor : ndarray of shape (n, k, k)
        The derivatives of these by raw predictions as they come.
    """

    Z: Array
    factor: Array


def _blocks(member: FittedPosterior, X: Any, loss: Loss | None) -> Iterator[tuple[slice, Derivatives, Moderated]]:
    """Yield parts of the rows with what they are differentiated by, in the units of the targets; `loss` has a link."""
    rows, activation = member.scaling.rows(X), ACTIVATIONS[member.activation]
    d, h = member.weights.W1.shape
    for part in gen_batches(X.shape[0], max(16, BLOCK_BYTES // (8 * (d + 4 * h)))):
        block = Derivatives.of(dense(rows[part]).astype(np.float64, copy=False), member.weights, activation)
        Z = block.hidden[:, :-1] @ member.weights.W2 + member.weights.b2
        k = Z.shape[1]
        factor = np.broadcast_to(np.diag(member.scaling.y_spread), (len(Z), k, k))
        if loss is not None and loss.of_labels:
            covariance = member.posterior.covariance(block.inputs, block.hidden, block.R)
            less = np.eye(k) - 1.0 / k if loss.shift_invariant else np.eye(k)
            kappa = moderating(covariance, shift_invariant=loss.shift_invariant)
            Z, factor = (Z @ less) * kappa, kappa[:, :, np.newaxis] * less
        yield part, block, Moderated(Z, factor)


def _derivative(block: Derivatives, value: Array, slope: Array, along: Array) -> Array:
    """Return the derivative by the parameters of sum_no value_no z_no + slope_no s_no, but for e_f R_o of slopes.

    `along` are the derivatives of the hidden units' inputs in the direction of the slopes, shape (n, h).
    """
    hidden = np.einsum("no,onh->nh", value, block.R) + along * np.einsum("no,onh->nh", slope, block.B)
    W2 = block.hidden.T @ value
    W2[:-1] += (block.slopes * along).T @ slope
    return np.concatenate([(block.inputs.T @ hidden).ravel(), W2.ravel()])


def slope_derivatives(
    member: FittedPosterior,
    X: Any,
    directions: Sequence[Direction],
    weight: Array,
    loss: Loss | None,
    *,
    log_odds: bool,
) -> Array:
    """Return mean slopes of one network, and after each its derivatives by the parameters.

    Their shape is (n_directions, k, 1 + n_parameters). Means are sums with a weight for each row and direction, shape
    (n_samples, n_directions). With a loss they are those of moderated probabilities, or with `log_odds` of what these
    are made of.
    """
    k, inverse = len(member.weights.b2), inverse_of(member.scaling.x_spread)
    h, n_parameters = len(member.weights.b1), sum(array.size for array in member.weights)
    found = np.zeros((len(directions), k, 1 + n_parameters))
    for part, block, (Z, factor) in _blocks(member, X, loss):
        J = np.broadcast_to(np.eye(k), factor.shape) if loss is None or log_odds else loss.link_slopes(Z)
        for number, (inputs, factors) in enumerate(directions):
            rise = factors[part] * inverse[inputs]
            along = rise @ block.W1[inputs]
            raw = (factor @ np.einsum("onh,nh->no", block.R, along)[..., np.newaxis])[..., 0]
            share = weight[part, number][:, np.newaxis, np.newaxis]
            bends = np.zeros_like(J) if loss is None or log_odds else _bends(loss, Z, raw)
            slope, value = share * (J @ factor), share * (bends @ factor)
            for o in range(k):
                found[number, o, 0] += share[:, 0, 0] @ np.einsum("np,np->n", J[:, o], raw)
                found[number, o, 1:] += _derivative(block, value[:, o], slope[:, o], along)
                turned = rise.T @ np.einsum("np,pnh->nh", slope[:, o], block.R)
                found[number, o, 1 : 1 + len(block.W1) * h].reshape(-1, h)[inputs] += turned
    return found


def _bends(loss: Loss, Z: Array, along: Array) -> Array:
    """Return how the derivatives of predictions by raw ones change along a direction of these."""
    size = np.abs(along).max(axis=1, keepdims=True)
    move = STEP * np.divide(along, size, out=np.zeros_like(along), where=size > 0.0)
    return (loss.link_slopes(Z + move) - loss.link_slopes(Z - move)) * (size / (2.0 * STEP))[..., np.newaxis]


def value_derivatives(member: FittedPosterior, X: Any, weight: Array, loss: Loss | None) -> Array:
    """Return the mean prediction and its derivatives by the parameters, shape (k, 1 + n_parameters)."""
    k = len(member.weights.b2)
    found: Array = np.zeros((k, 1 + sum(array.size for array in member.weights)))
    for part, block, (Z, factor) in _blocks(member, X, loss):
        J = factor if loss is None else loss.link_slopes(Z) @ factor
        value, nothing = weight[part, np.newaxis, np.newaxis] * J, np.zeros_like(Z)
        predicted = Z * member.scaling.y_spread + member.scaling.y_mean if loss is None else loss.inverse_link(Z.copy())
        found[:, 0] += weight[part] @ predicted
        for o in range(k):
            found[o, 1:] += _derivative(block, value[:, o], nothing, np.zeros_like(block.slopes))
    return found


def covariance_of_means(posterior: Any, derivatives: Callable[[FittedPosterior], Array]) -> Array:
    """Return the covariance of m means: that of each network in the mean, and how far the networks disagree.

    `derivatives` returns the means of a network and their derivatives, shape (m, 1 + n_parameters).
    """
    members = getattr(posterior, "members", (posterior,))
    means, within = [], []
    for member in members:
        found = derivatives(member)
        means.append(found[:, 0])
        within.append(member.posterior.covariance_of(found[:, 1:]))
    apart = np.array(means) - np.mean(means, axis=0)
    return np.mean(within, axis=0) + apart.T @ apart / len(members)
