"""What is summed over rows for the Kronecker-factored form of the Gauss-Newton matrix: small matrices for each layer.

With the rows of the Jacobian that `curvature` describes, of the two parts x_f r_a and a_a c_o, the approximation is

    hidden layer   W mean(x x.T) (x) mean(r r.T)        output layer   W mean(a a.T) (x) mean(L)

W being the total weight (Martens & Grosse 2015; Ritter, Botev & Barber 2018). It leaves out how the two layers meet and
that inputs and slopes go together.

Of more than `MOST_INPUTS` inputs, mean(x x.T) is known by a sketch: rows added up, with random signs, into fewer rows B
with B.T B ~ mean(x x.T), in the mean over the signs. Of fewer rows than that it is exact. Its eigenvectors are those of
the small matrix B B.T. Each of them stands for as many directions as rows were added up, which share its eigenvalue: as
many as there are rows may be determined by the data.

References
----------
Martens & Grosse (2015). Optimizing neural networks with Kronecker-factored approximate curvature. ICML.

Ritter, Botev & Barber (2018). A scalable Laplace approximation for neural networks. ICLR.
"""

from typing import cast
from zlib import crc32

import numpy as np

from .._typing import Array
from ..model.losses import Loss
from ..model.network import AugmentedWeights, Network, Shape, forward
from ..rows.sums import Block

MOST_INPUTS = 1000
"""Of more inputs than these, the products are known by a sketch."""

SKETCH_ROWS = 300
"""The rows of the sketch."""

ROUNDING = 1e-12
"""Of a mean square, or of the largest eigenvalue: as much is lost in sums over rows."""


def input_moments(block: Block) -> "InputMoments":
    """Return the moments of the inputs and targets of a block of rows."""
    total = InputMoments(block.work.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in block.parts(block.sums.block_rows):
            total.add(part)
    return total


def kronecker_sum(block: Block, network: Network, theta: Array) -> "KroneckerSum":
    """Return the small matrices of a block of rows, and its losses."""
    total, weights = KroneckerSum(network.shape, network.loss), network.shape.augmented(theta)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in block.parts(block.sums.block_rows):
            total.add(part, network, weights)
    return total


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

    def add(self, block: Block) -> None:
        """Add a block of rows."""
        X1, Y, start = block.X1, block.Y[:, : self.targets.shape[1]], cast(slice, block.rows).start
        share = np.broadcast_to(block.share, (len(Y), 1))
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
        kept = values > ROUNDING * values[-1]
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

    def add(self, block: Block, network: Network, weights: AugmentedWeights) -> None:
        """Add a block of rows at certain weights."""
        (_, activation, loss), Y, share, passes = network, block.Y, block.share, block.passes
        Z2 = forward(block.X1, weights, activation, passes)
        A1, W2 = passes.A1, weights.W2
        slopes = activation.slopes(A1)
        a = np.hstack([A1, np.ones((len(A1), 1), A1.dtype)])
        if loss.has_noise:
            weighted = slopes * share
            self.hidden += np.einsum("ao,bo->oab", W2, W2) * (weighted.T @ slopes)
            self.outputs += np.eye(len(self.outputs)) * np.sum(np.broadcast_to(share, (len(A1), 1)))
            self.values += (a * share).T @ a * len(self.outputs)
            self.losses += 0.5 * (share * np.square(Z2 - Y)).sum(axis=0)
            return
        factor = loss.curvature_factor(Y, Z2) * np.sqrt(share)[..., np.newaxis]
        for m in range(Z2.shape[1]):
            r = slopes * (factor[:, :, m] @ W2.T)
            self.hidden[0] += r.T @ r
        self.outputs += np.einsum("nom,npm->op", factor, factor)
        self.values += (a * np.einsum("nom,nom->n", factor, factor)[:, np.newaxis]).T @ a
        self.losses += float(np.sum(share[:, 0] * loss.negative_log_likelihoods(Y, Z2)))

    def merge(self, other: "KroneckerSum") -> "KroneckerSum":
        """Add the sums over other rows."""
        for name, array in vars(self).items():
            array += getattr(other, name)
        return self
