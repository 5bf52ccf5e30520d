"""The Gauss-Newton matrix without the matrix: its products with vectors, and an approximation that is easily inverted.

Where the parameters are too many for a matrix, a product with it takes two passes over the rows: forward, the
derivative of the raw predictions in the vector's direction; and the backward pass with that times the loss's curvature
for output delta (Pearlmutter 1994, Schraudolph 2002).

The approximation is that of Martens & Grosse (2015), a Kronecker product for each layer:

    hidden layer   mean(x x.T) (x) mean(r r.T)        output layer   mean(a a.T) (x) mean(L)

with the names of `gauss_newton`. It leaves out how the two layers meet and that inputs and slopes go together, but with
the eigenvectors of the four small matrices it is inverted for any damping. As a preconditioner of conjugate gradients
it saves most of their steps.

References
----------
Pearlmutter (1994). Fast exact multiplication by the Hessian. Neural Computation 6.

Schraudolph (2002). Fast curvature matrix-vector products for second-order gradient descent. Neural Computation 14.

Martens & Grosse (2015). Optimizing neural networks with Kronecker-factored approximate curvature. ICML.
"""

from typing import Any, NamedTuple

import numpy as np

from ._typing import Array
from .activations import Activation
from .losses import Loss
from .network import Layers, Shape, Workspace, backward, forward, forward_derivative

MAX_INPUTS = 1000
"""Beyond this number of inputs, mean(x x.T) is taken for the identity, which it resembles for standardised ones."""


class RowsAt(NamedTuple):
    """A block of rows at certain weights.

    Attributes
    ----------
    X1 : array or other rows of shape (n_samples, n_features + 1)
        With a one appended to each.
    share : ndarray of shape (n_samples, 1) or (1, 1)
        Each row's share of the total weight.
    layers, activation, loss
        The network.
    work : Workspace
        For this number of rows.
    """

    X1: Any
    share: Array
    layers: Layers
    activation: Activation
    loss: Loss
    work: Workspace

    def product(self, direction: Layers, out: Layers) -> None:
        """Write what these rows contribute to the product of the Gauss-Newton matrix with a direction into `out`."""
        X1, share, layers, activation, loss, work = self
        Z2 = forward(X1, layers, activation, work)
        R2 = forward_derivative(X1, layers, activation, work, direction)
        D2 = np.multiply(share, loss.curvature_product(Z2, R2), dtype=Z2.dtype)
        backward(X1, layers, activation, work, D2, out)


class KroneckerSum:
    """Sums over rows of the four small matrices."""

    def __init__(self, shape: Shape) -> None:
        _, h, k = shape
        self.hidden, self.values, self.outputs = np.zeros((h, h)), np.zeros((h + 1, h + 1)), np.zeros((k, k))

    def add(self, rows: RowsAt) -> "KroneckerSum":
        """Add a block of rows."""
        Z2 = forward(rows.X1, rows.layers, rows.activation, rows.work)
        A1 = rows.work.A1
        factor = rows.loss.curvature_factor(Z2) * np.sqrt(rows.share)[..., np.newaxis]
        slopes = np.ones_like(A1)
        rows.activation.multiply_by_derivative(slopes, A1.copy())
        for m in range(Z2.shape[1]):
            r = slopes * (factor[:, :, m] @ rows.layers.W2.T)
            self.hidden += r.T @ r
        a = np.hstack([A1, np.ones((len(A1), 1), A1.dtype)])
        self.values += (a * rows.share).T @ a
        self.outputs += np.einsum("iom,ipm->op", factor, factor)
        return self

    def merge(self, other: "KroneckerSum") -> "KroneckerSum":
        """Add the sums over other rows."""
        self.hidden += other.hidden
        self.values += other.values
        self.outputs += other.outputs
        return self


class Eigen(NamedTuple):
    """A symmetric positive semidefinite matrix by its eigenvalues and eigenvectors; None for the identity's."""

    values: Array
    vectors: Array | None

    @classmethod
    def of(cls, matrix: Array) -> "Eigen":
        """Decompose a matrix."""
        values, vectors = np.linalg.eigh(matrix)
        return cls(np.maximum(values, 0.0), vectors)

    def into(self, A: Array) -> Array:
        """Return the rows of A in the eigenvectors' coordinates."""
        return A if self.vectors is None else self.vectors.T @ A

    def back(self, A: Array) -> Array:
        """Return from them."""
        return A if self.vectors is None else self.vectors @ A


class KroneckerApproximation:
    """The approximation of the Gauss-Newton matrix, ready to be damped and inverted.

    Parameters
    ----------
    inputs : Eigen
        Of mean(x x.T), shape (d + 1, d + 1); it does not change with the weights.
    sums : KroneckerSum
        The others.
    shape : Shape
        The network.
    """

    def __init__(self, inputs: Eigen, sums: KroneckerSum, shape: Shape) -> None:
        self.shape = shape
        self.layers = [
            (inputs, Eigen.of(sums.hidden)),
            (Eigen.of(sums.values), Eigen.of(sums.outputs)),
        ]

    @property
    def largest(self) -> float:
        """The largest eigenvalue."""
        return max(float(left.values[-1] * right.values[-1]) for left, right in self.layers)

    def solve(self, vector: Array, damping: float) -> Array:
        """Return (approximation + damping I)^-1 vector."""
        d, h, k = self.shape
        vector = vector.astype(np.float64)
        parts = vector[: (d + 1) * h].reshape(d + 1, h), vector[(d + 1) * h :].reshape(h + 1, k)
        solved = []
        for (left, right), part in zip(self.layers, parts, strict=True):
            part = right.into(left.into(part).T).T
            part = part / np.maximum(np.multiply.outer(left.values, right.values) + damping, np.finfo(np.float64).tiny)
            solved.append(right.back(left.back(part).T).T.ravel())
        return np.concatenate(solved)
