"""Which steps compute the predictions of a network, their standard deviations, and averaged probabilities.

With L the Cholesky factor of the posterior's precision, J the derivatives of a raw prediction by the parameters, and
e what picks an output, or, for several classes, what a class is ahead of the mean of the others,

    var z = |L^-1 J.T|^2 = |R j|^2        j = [ x_f s_f', s, a, 1 ]        R = qr(L^-1 S)

where s = g'(z1) are the slopes of the hidden units, and J.T = S j: S places the numbers of j among the parameters and
multiplies by W2 e. R is a triangle of as many rows as there are numbers in j.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from .._typing import Array
from ..estimator.by_evidence import members_of
from ..estimator.reach import activation_of
from ..evidence.uncertainty import FittedPosterior
from ..rows.scaling import inverse_of
from .program import Builder

MOST_TERMS = 50_000
"""So many numbers of R, in all, are still called few."""


def check_variance(model: Any) -> None:
    """Raise ValueError if the variance of predictions cannot be written out."""
    members = members_of(model)
    if not members:
        raise ValueError(
            f'return_std=True needs a fit by evidence: alpha="auto", "evidence" or "ard". Got alpha={model.alpha!r}, '
            f"and the penalty {model.alpha_:g} was used."
        )
    (d, h), k = members[0].weights.W1.shape, model.n_outputs_
    terms = k * len(members) * ((d + 2) * h + 1) * ((d + 2) * h + 2) // 2
    if terms > MOST_TERMS or not all(hasattr(member.posterior, "factor") for member in members):
        raise ValueError(
            "The variance of predictions, which standard deviations and averaged probabilities need, "
            f"has {terms} terms with {d} inputs of the network and {h} hidden units. At most {MOST_TERMS} are written, "
            "and of an exact posterior only. Take sk2layer.onnx, fewer hidden units, or, for the probabilities of the "
            "weights alone, plain=True."
        )


def plain_mean(build: Builder, x: str, model: Any) -> str:
    """Append the raw predictions, by weights in the units of the data."""
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    return build("f", "affine", _hidden(build, x, W1, b1, activation_of(model)), arrays=(W2, b2))


def standardized_mean(build: Builder, x: str, model: Any, mix: Array) -> tuple[str, list[tuple[str, str]]]:
    """Append the raw predictions times `mix`, by weights for inputs that are standardised first.

    Returns their block, and for each member those of its inputs and its hidden values.
    """
    members = members_of(model)
    scaling = members[0].scaling  # of the data, the same for all
    factor = inverse_of(scaling.x_spread)
    if scaling.x_mean.any() or (factor != 1.0).any():
        x = build.scaled(x, scaling.x_mean, factor)
    blocks, matrices, bias = [], [], np.zeros(model.n_outputs_)
    for W1, b1, W2, b2 in (member.weights for member in members):
        hidden = _hidden(build, x, np.where(factor[:, np.newaxis] > 0.0, W1, 0.0), b1, activation_of(model))
        blocks.append((x, hidden))
        matrices.append(W2 * scaling.y_spread @ mix / len(members))
        bias += (b2 * scaling.y_spread + scaling.y_mean) @ mix / len(members)
    return build("f", "affine", *(hidden for _, hidden in blocks), arrays=(*matrices, bias)), blocks


def _hidden(build: Builder, x: str, W1: Array, b1: Array, activation: str) -> str:
    z = build("h" if activation == "identity" else "z", "affine", x, arrays=(W1, b1))
    return z if activation == "identity" else build("h", activation, z)


def deviations(build: Builder, blocks: Any, model: Any, mix: Array, constants: Array, factor: float = 1.0) -> str:
    """Append sqrt(constant + factor * variance) of the raw predictions times each column of `mix`."""
    members, spread = members_of(model), members_of(model)[0].scaling.y_spread
    share = np.sqrt(factor / len(members))
    slopes = [build("g", f"{activation_of(model)}_slope", hidden) for _, hidden in blocks]
    outer = [build("w", "outer", x, slope) for (x, _), slope in zip(blocks, slopes, strict=True)]
    totals = []
    for e, constant in zip((spread[:, np.newaxis] * mix).T, constants, strict=True):
        roots = []
        for member, products, slope, (_, hidden) in zip(members, outer, slopes, blocks, strict=True):
            R = share * _root(member, e)
            n, h = len(member.weights.W1) * len(member.weights.b1), len(member.weights.b1)
            arrays = (R[:, :n].T, R[:, n : n + h].T, R[:, n + h : -1].T, R[:, -1])
            roots.append(build("q", "affine", products, slope, hidden, arrays=arrays))
        if len(members) > 1:
            roots.append(_apart(build, members, [hidden for _, hidden in blocks], share * e))
        totals.append(build("v", "squares", *roots, arrays=([constant],)))
    return build("d", "sqrt", *totals)


def _root(member: FittedPosterior, e: Array) -> Array:
    """Return R for a combination of outputs in units of theirs, shape (n_rows, d h + 2 h + 1)."""
    factor: Array = member.posterior.factor  # type: ignore[attr-defined]  # check_variance has asked for it
    (d, h), W2 = member.weights.W1.shape, member.weights.W2
    k, r = W2.shape[1], W2 @ e
    inverse = solve_triangular(factor, np.eye(len(factor)), lower=True)
    by_output = inverse[:, (d + 1) * h :].reshape(-1, h + 1, k) @ e
    used = np.append((member.scaling.x_spread > 0.0).astype(float), 1.0)  # constant columns are 0
    by_hidden = inverse[:, : (d + 1) * h] * np.multiply.outer(used, r).ravel()
    return np.asarray(np.linalg.qr(np.hstack([by_hidden, by_output]), mode="r"))


def _apart(build: Builder, members: Sequence[FittedPosterior], hidden: list[str], e: Array) -> str:
    """Append the difference of each member's prediction from the mean of all, for a combination of outputs."""
    n = len(members)
    center = np.eye(n) - 1.0 / n
    arrays = [np.multiply.outer(member.weights.W2 @ e, row) for member, row in zip(members, center, strict=True)]
    bias = np.array([member.weights.b2 @ e for member in members]) @ center
    return build("a", "affine", *hidden, arrays=(*arrays, bias))
