"""The curvature of many parameters: the Gauss-Newton matrix as a Kronecker product for each layer.

With the rows of the Jacobian that `gauss_newton` describes, of the two parts x_f r_a and a_a c_o, the approximation is

    hidden layer   W mean(x x.T) (x) mean(r r.T)        output layer   W mean(a a.T) (x) mean(L)

W being the total weight (Martens & Grosse 2015; Ritter, Botev & Barber 2018). It leaves out how the two layers meet and
that inputs and slopes go together. With a prior of precision t_f for the weights from input f,

    A = T^1/2 (U (x) V) (1 + lambda_i mu_j) (U (x) V).T T^1/2
    U diag(lambda) U.T = T^-1/2 mean(x x.T) T^-1/2         V diag(mu) V.T = W mean(r r.T)

so that log |A|, the diagonal of A^-1 and the variance of a prediction follow from small eigendecompositions, whatever
the number of parameters, and a prior for each input costs no more than one for all.

Of more than `MOST_INPUTS` inputs, mean(x x.T) is known by a sketch: rows added up, with random signs, into fewer rows B
with B.T B ~ mean(x x.T), in the mean over the signs. Of fewer rows than that it is exact. Its eigenvectors are those of
the small matrix B B.T. Each of them stands for as many directions as rows were added up, which share its lambda: as
many as there are rows may be determined by the data.

References
----------
Martens & Grosse (2015). Optimizing neural networks with Kronecker-factored approximate curvature. ICML.

Ritter, Botev & Barber (2018). A scalable Laplace approximation for neural networks. ICLR.

Immer, Bauer, Fortuin, Raetsch & Khan (2021). Scalable marginal likelihood estimation for model selection in deep
learning. ICML.
"""

from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from ._typing import Array
from .activations import Activation
from .losses import Loss
from .network import Layers, Shape, Workspace, forward

MOST_INPUTS = 1000
SKETCH_ROWS = 300
ROUNDING = 1e-12  # of a mean square: as much is lost in sums over rows


class InputMoments:
    """Sums over rows of the moments of inputs and targets: they do not change with the weights.

    Attributes
    ----------
    inputs : ndarray of shape (d + 1, d + 1), or (SKETCH_ROWS, d + 1) for many inputs
        mean([x 1] [x 1].T), or B.
    targets : ndarray of shape (2, k)
        The means of targets and of their squares.
    n_rows : int
        The number of rows.
    """

    def __init__(self, shape: Shape) -> None:
        d, _, k = shape
        self.sketched = d > MOST_INPUTS
        self.inputs = np.zeros((SKETCH_ROWS if self.sketched else d + 1, d + 1))
        self.targets, self.n_rows = np.zeros((2, k)), 0

    def add(self, X1: Any, Y: Array, share: Array, start: int) -> "InputMoments":
        """Add a block of rows, the first of which has the number `start`."""
        share = np.broadcast_to(share, (len(Y), 1))
        self.n_rows += len(Y)
        if self.sketched:
            # Blocks on a cluster all start at 0: their targets give them signs of their own.
            rows, rng = np.arange(len(Y)), np.random.default_rng([start, crc32(np.ascontiguousarray(Y).tobytes())])
            signs = np.zeros((len(Y), SKETCH_ROWS), share.dtype)
            signs[rows, (start + rows) % SKETCH_ROWS] = np.sqrt(share[:, 0]) * rng.choice([-1.0, 1.0], len(Y))
            self.inputs += X1.T.dot(signs, out=np.empty((self.inputs.shape[1], SKETCH_ROWS))).T
        else:
            dense = X1 if isinstance(X1, np.ndarray) else X1.toarray()
            self.inputs += (dense * share).T @ dense
        self.targets += (share * Y).sum(axis=0), (share * np.square(Y)).sum(axis=0)
        return self

    def merge(self, other: "InputMoments") -> "InputMoments":
        """Add the sums over other rows."""
        self.inputs += other.inputs
        self.targets += other.targets
        self.n_rows += other.n_rows
        return self

    def variances(self) -> tuple[Array, Array]:
        """Return the variances of the inputs, shape (d,), and of the targets, shape (k,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.sketched:
                x = np.einsum("mf,mf->f", self.inputs, self.inputs)[:-1]
            else:
                x = _variance(self.inputs.diagonal()[:-1], self.inputs[-1, :-1])
            return x, _variance(self.targets[1], self.targets[0])

    @property
    def copies(self) -> float:
        """How many directions an eigenvector stands for."""
        return max(1.0, min(self.n_rows, self.inputs.shape[1]) / SKETCH_ROWS) if self.sketched else 1.0

    def whitened(self, scale: Array) -> tuple[Array, Array]:
        """Return U and lambda for T^-1/2 = diag(scale); only those of lambda above rounding."""
        if not self.sketched:
            values, vectors = np.linalg.eigh(scale[:, np.newaxis] * self.inputs * scale)
            return vectors, np.maximum(values, 0.0)
        B = self.inputs * scale
        values, vectors = np.linalg.eigh(B @ B.T)
        kept = values > 1e-12 * values[-1]
        values, vectors = values[kept], vectors[:, kept]
        return B.T @ (vectors / np.sqrt(values)), values / self.copies


def _variance(mean_square: Array, mean: Array) -> Array:
    """Return the variance, 0 where it is no more than rounding makes of a constant."""
    variance = mean_square - mean * mean
    return np.where(variance <= ROUNDING * mean_square, 0.0, variance)


class KroneckerSum:
    """Sums over rows of the small matrices, and of the losses.

    Attributes
    ----------
    losses : ndarray of shape (k,) or (1,)
        The mean loss; of each output where there is noise.
    hidden : ndarray of shape (k, h, h) or (1, h, h)
        mean(r r.T); for each output in units of its noise where there is noise.
    values : ndarray of shape (h + 1, h + 1)
        mean(tr(L) a a.T).
    outputs : ndarray of shape (k, k)
        mean(L).
    """

    def __init__(self, shape: Shape, loss: Loss) -> None:
        _, h, k = shape
        n = k if loss.has_noise else 1
        self.losses, self.hidden = np.zeros(n), np.zeros((n, h, h))
        self.values, self.outputs = np.zeros((h + 1, h + 1)), np.zeros((k, k))

    def add(
        self, X1: Any, Y: Array, share: Array, layers: Layers, activation: Activation, loss: Loss, work: Workspace
    ) -> "KroneckerSum":
        """Add a block of rows at certain weights."""
        Z2 = forward(X1, layers, activation, work)
        A1, W2 = work.A1, layers.W2
        slopes = np.ones_like(A1)
        activation.multiply_by_derivative(slopes, A1.copy())
        a = np.hstack([A1, np.ones((len(A1), 1), A1.dtype)])
        if loss.has_noise:
            weighted = slopes * share
            self.hidden += np.einsum("ao,bo->oab", W2, W2) * (weighted.T @ slopes)
            self.outputs += np.eye(len(self.outputs)) * np.sum(np.broadcast_to(share, (len(A1), 1)))
            self.values += (a * share).T @ a * len(self.outputs)
            self.losses += 0.5 * (share * np.square(Z2 - Y)).sum(axis=0)
            return self
        factor = loss.curvature_factor(Z2) * np.sqrt(share)[..., np.newaxis]
        for m in range(Z2.shape[1]):
            r = slopes * (factor[:, :, m] @ W2.T)
            self.hidden[0] += r.T @ r
        self.outputs += np.einsum("nom,npm->op", factor, factor)
        self.values += (a * np.einsum("nom,nom->n", factor, factor)[:, np.newaxis]).T @ a
        self.losses += float(np.sum(share[:, 0] * loss.losses(Y, Z2)))
        return self

    def merge(self, other: "KroneckerSum") -> "KroneckerSum":
        """Add the sums over other rows."""
        for name, array in vars(self).items():
            array += getattr(other, name)
        return self


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
        The same where U does not reach: 1, or, where U is left out, what it is in the mean over the training rows.
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
        """Return it for a curvature of the units, shape (n_units, n_units)."""
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
        scaled = inputs * self.scale
        removed = np.square(scaled @ self.U) @ (self.rest - self.shrunk)
        R = R @ self.V
        left = np.multiply.outer(np.einsum("nf,nf->n", scaled, scaled), self.rest) - removed
        return np.einsum("nj,onj,pnj->nop", left, R, R, optimize=True)


class KroneckerPosterior(NamedTuple):
    """The posterior of both layers.

    Attributes
    ----------
    hidden : LayerPosterior
    output : LayerPosterior
    """

    hidden: LayerPosterior
    output: LayerPosterior

    @classmethod
    def of(
        cls, moments: InputMoments, sums: KroneckerSum, prior: Array, noise: Array, weight: float, shape: Shape
    ) -> "KroneckerPosterior":
        """Return it for the precisions of priors, shape (n_parameters,), and of the noise, shape (k,) or (0,)."""
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
        """Return how many numbers `covariance` needs memory for with each row."""
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
        """Return the covariance of raw predictions, shape (n_samples, k, k).

        Parameters
        ----------
        inputs, hidden : ndarrays of shape (n_samples, d + 1) and (n_samples, h + 1)
            Both with a one appended to each row.
        R : ndarray of shape (k, n_samples, h)
            The derivatives of the raw predictions by the inputs of the hidden units.
        """
        k = len(R)
        one = np.broadcast_to(np.eye(k)[:, np.newaxis], (k, len(hidden), k))
        return self.output.covariance(hidden, one) + self.hidden.covariance(inputs, R)
