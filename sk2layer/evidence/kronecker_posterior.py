"""The posterior of many parameters: its precision as a Kronecker product for each layer.

With a prior of precision t_f for the weights from input f, and the small matrices that `objective.kronecker` describes,

    A = T^1/2 (U (x) V) (1 + lambda_i mu_j) (U (x) V).T T^1/2
    U diag(lambda) U.T = T^-1/2 mean(x x.T) T^-1/2         V diag(mu) V.T = W mean(r r.T)

so that log |A|, the diagonal of A^-1 and the variance of a prediction follow from small eigendecompositions, whatever
the number of parameters, and a prior for each input costs no more than one for all.

References
----------
Ritter, Botev & Barber (2018). A scalable Laplace approximation for neural networks. ICLR.

Immer, Bauer, Fortuin, Raetsch & Khan (2021). Scalable marginal likelihood estimation for model selection in deep
learning. ICML.
"""

from typing import NamedTuple, TypeAlias

import numpy as np

from .._typing import Array
from ..model.network import Shape
from ..objective.kronecker import MOST_INPUTS, InputMoments, KroneckerSum
from .posterior import CovarianceOfRows, Derivatives, SlopeCovariance

Along: TypeAlias = tuple[Array, Array]
"""Inputs in units of the prior, and what they are along U."""


class LayerPosterior(NamedTuple):
    """The posterior of a layer's weights, of shape (n_inputs, n_units), the biases among them.

    Attributes
    ----------
    scale : ndarray of shape (n_inputs,)
        The prior's standard deviations, of T^-1/2.
    U : ndarray of shape (n_inputs, r)
    values : ndarray of shape (r,)
        lambda.
    V : ndarray of shape (n_units, n_units)
    shrunk : ndarray of shape (r, n_units)
        1 / (1 + lambda_i mu_j), by which variances are smaller than the prior's.
    rest : ndarray of shape (n_units,)
        What `shrunk` is where U does not reach: 1, or, where U is left out, its mean over the training rows.
    copies : float
        How many directions each of U stands for.
    """

    scale: Array
    U: Array
    values: Array
    V: Array
    shrunk: Array
    rest: Array
    copies: float

    @classmethod
    def of(cls, scale: Array, U: Array, values: Array, curvature: Array, copies: float = 1.0) -> "LayerPosterior":
        """Return the posterior of a layer for a curvature of its units, shape (n_units, n_units)."""
        mu, V = np.linalg.eigh(curvature)
        shrunk = 1.0 / (1.0 + np.multiply.outer(values, np.maximum(mu, 0.0)))
        return cls(scale, U, values, V, shrunk, np.ones(len(V)), copies)

    def portable(self) -> "LayerPosterior":
        """Return what is kept in a fitted estimator: of very many inputs, what holds for rows like those of training.

        Of such a row x the squares of U.T T^-1/2 x are lambda in the mean.
        """
        if len(self.scale) <= MOST_INPUTS + 1:
            return self
        rest = self.values @ self.shrunk / max(self.values.sum(), np.finfo(np.float64).tiny)
        return self._replace(U=self.U[:, :0], values=self.values[:0], shrunk=self.shrunk[:0], rest=rest)

    def log_determinant(self) -> float:
        """Return log |A|."""
        return -2.0 * len(self.V) * float(np.log(self.scale).sum()) - self.copies * float(np.log(self.shrunk).sum())

    def variances(self) -> Array:
        """Return the diagonal of A^-1, shape (n_inputs, n_units)."""
        removed = np.square(self.U) @ (1.0 - self.shrunk) @ np.square(self.V).T
        return self.scale[:, np.newaxis] ** 2 * (1.0 - self.copies * removed)

    def determined(self, curvature: Array) -> float:
        """Return the trace of A^-1 times the curvature that a part of the units' curvature stands for."""
        return self.copies * float(self.values @ self.shrunk @ np.einsum("aj,ab,bj->j", self.V, curvature, self.V))

    def covariance(self, inputs: Array, R: Array) -> Array:
        """Return the covariance of predictions with the derivatives x_f R_oa.

        Parameters
        ----------
        inputs : ndarray of shape (n_samples, n_inputs)
            The rows x.
        R : ndarray of shape (k, n_samples, n_units)
            For each output.

        Returns
        -------
        covariance : ndarray of shape (n_samples, k, k)
        """
        R, x = R @ self.V, self.along(inputs)
        return np.einsum("nj,onj,pnj->nop", self.left(x, x), R, R, optimize=True)

    def along(self, inputs: Array) -> Along:
        """Return inputs, shape (..., n_inputs), as `left` takes them."""
        scaled = inputs * self.scale
        return scaled, scaled @ self.U

    def along_units(self, n: int) -> Along:
        """Return what `along` does of the first n unit vectors, shape (n, n_inputs)."""
        return np.diag(self.scale)[:n], self.scale[:n, np.newaxis] * self.U[:n]

    def left(self, u: Along, v: Along) -> Array:
        """Return the covariance of u.T W V_j and v.T W V_j for each column V_j, shape (..., n_units).

        u and v are `along` inputs of shapes that can be broadcast.
        """
        removed = (u[1] * v[1]) @ (self.rest - self.shrunk)
        return np.multiply.outer(np.einsum("...f,...f->...", u[0], v[0]), self.rest) - removed

    def covariance_of(self, J: Array) -> Array:
        """Return the covariance of m linear functions of the weights, J of shape (m, n_inputs, n_units)."""
        m, scaled = len(J), self.scale[:, np.newaxis] * J @ self.V
        along = self.U.T @ scaled
        removed = (along * (self.rest - self.shrunk)).reshape(m, -1) @ along.reshape(m, -1).T
        return (scaled * self.rest).reshape(m, -1) @ scaled.reshape(m, -1).T - removed


class KroneckerPosterior(NamedTuple):
    """The posterior of both layers."""

    hidden: LayerPosterior
    output: LayerPosterior

    @classmethod
    def of(
        cls, moments: InputMoments, sums: KroneckerSum, prior: Array, noise: Array, weight: float, shape: Shape
    ) -> "KroneckerPosterior":
        """Return the posterior for precisions of priors, shape (n_parameters,), and of noise, shape (k,) or (0,)."""
        d, h, k = shape
        scale_1, scale_2 = prior[: (d + 1) * h : h] ** -0.5, prior[(d + 1) * h :: k] ** -0.5
        strengths = noise if len(noise) else np.ones(1)
        outputs = np.diag(noise) if len(noise) else sums.outputs
        hidden = np.einsum("o,oab->ab", strengths, sums.hidden)
        values, vectors = np.linalg.eigh(scale_2[:, np.newaxis] * (sums.values / np.trace(sums.outputs)) * scale_2)
        return cls(
            LayerPosterior.of(scale_1, *moments.whitened(scale_1), weight * hidden, moments.copies),
            LayerPosterior.of(scale_2, vectors, np.maximum(values, 0.0), weight * outputs),
        )

    def log_determinant(self) -> float:
        """Return log |A|."""
        return sum(layer.log_determinant() for layer in self)

    def variances(self) -> Array:
        """Return the diagonal of A^-1, shape (n_parameters,)."""
        return np.concatenate([layer.variances().ravel() for layer in self])

    def portable(self) -> "KroneckerPosterior":
        """Return what is kept in a fitted estimator."""
        return KroneckerPosterior(self.hidden.portable(), self.output)

    def row_size(self, n_outputs: int) -> int:
        """Return the size of what a row becomes in `LayerPosterior.covariance` of both layers."""
        return sum((2 + n_outputs) * sum(layer.U.shape) + n_outputs * len(layer.V) for layer in self)

    def determined(self, sums: KroneckerSum, noise: Array, weight: float) -> Array:
        """Return how many parameters each output determines, shape (k,)."""
        parts = zip(weight * noise, np.eye(len(noise)), sums.hidden, strict=True)
        return np.array(
            [
                self.output.determined(beta * np.diag(unit)) + self.hidden.determined(beta * hidden)
                for beta, unit, hidden in parts
            ]
        )

    def covariance(self, inputs: Array, hidden: Array, R: Array) -> Array:
        """Return the sum of what both layers contribute, as if they were independent."""
        k = len(R)
        one = np.broadcast_to(np.eye(k)[:, np.newaxis], (k, len(hidden), k))
        return self.output.covariance(hidden, one) + self.hidden.covariance(inputs, R)

    def of_rows(self, n_samples: int) -> CovarianceOfRows:
        """Return `covariance`, which needs no preparation."""
        return self.covariance

    def slope_row_size(self, shape: Shape) -> int:
        """Return the size of what a row becomes in `slope_covariance`."""
        d, h, k = shape
        return d * (d + 1 + self.hidden.U.shape[1] + (2 * k + 3) * h + 2 * k * k)

    def slope_covariance(self, block: Derivatives) -> SlopeCovariance:
        """Return the sum of what both layers contribute, as if they were independent."""
        layer, x, e = self.hidden, self.hidden.along(block.inputs), self.hidden.along_units(len(block.W1))
        R, B = block.R @ layer.V, (block.B[:, :, np.newaxis] * block.W1) @ layer.V
        xx, xe, ee = layer.left(x, x), layer.left(for_each(x), e), layer.left(e, e)
        weighted = xx[:, np.newaxis] * B + xe * R[:, :, np.newaxis]  # of x_f and its direction, by each unit
        value = np.einsum("nj,onj,pnj->nop", xx, R, R, optimize=True)
        cross = np.einsum("onj,pndj->ndop", R, weighted, optimize=True)
        own = np.einsum("ondj,pndj->ndop", B, weighted, optimize=True)
        rest = xe[np.newaxis] * B + ee * R[:, :, np.newaxis]
        own += np.einsum("onj,pndj->ndop", R, rest, optimize=True)
        layer, a = self.output, self.output.along(block.hidden)
        u = layer.along(np.pad(block.slopes[:, np.newaxis] * block.W1, ((0, 0), (0, 0), (0, 1))))
        lefts = layer.left(a, a), layer.left(for_each(a), u), layer.left(u, u)
        by_output = [(layer.V * left[..., np.newaxis, :]) @ layer.V.T for left in lefts]
        return SlopeCovariance(*(part + its for part, its in zip((value, cross, own), by_output, strict=True)))

    def covariance_of(self, J: Array) -> Array:
        """Return the sum of what both layers contribute."""
        parts = np.split(J, [len(self.hidden.scale) * len(self.hidden.V)], axis=1)
        each = [
            layer.covariance_of(part.reshape(len(J), len(layer.scale), len(layer.V)))
            for layer, part in zip(self, parts, strict=True)
        ]
        return each[0] + each[1]


def for_each(inputs: Along) -> Along:
    """Return inputs of n rows with an extra axis, to be broadcast against directions."""
    return inputs[0][:, np.newaxis], inputs[1][:, np.newaxis]
