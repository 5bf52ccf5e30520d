"""What is kept of the rows of a stream, to tell how much of it is new and how much came in an earlier batch.

Each row has a hash of 64 bits, of inputs and targets, and the rows of the smallest hashes are kept count of: a random
sample of all distinct rows, the same whatever the order and the batches they come in (Bar-Yossef et al. 2002). How
often they have come again tells how often all have. Exact are the results for up to `SAMPLE_SIZE` distinct rows, for
rows that are all new, and for whole passes over the same rows.

References
----------
Bar-Yossef, Jayram, Kumar, Sivakumar & Trevisan (2002). Counting distinct elements in a data stream. RANDOM.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from .._typing import Array
from .moments import rows_at_a_time

SAMPLE_SIZE = 256

HASHED_BYTES = 2**19
"""What is hashed at a time."""

Hashes = NDArray[np.uint64]


class SeenRows(NamedTuple):
    """A sample of the rows in a stream of batches, by the hashes of their values.

    Attributes
    ----------
    total_weight : float
        The weight of all rows, as often as they came.
    hashes : ndarray of shape (n_sample,)
        The smallest, sorted.
    weight, first_weight : ndarray of shape (n_sample,)
        The weight of each of these rows in all batches, and in the first that had it: equal rows are different samples
        within a batch, and the same sample in a later one.
    """

    total_weight: float
    hashes: Hashes
    weight: Array
    first_weight: Array

    @classmethod
    def of(cls, X: Any, Y: Any, sample_weight: Array | None) -> "SeenRows":
        """Return the sample of a batch, array or csr matrix, and encoded targets; a weight of None is one for each."""
        n_rows = rows_at_a_time(X, HASHED_BYTES)
        hashes: Hashes = np.empty(0, np.uint64)
        weight: Array = np.empty(0)
        total = 0.0
        for start in range(0, X.shape[0], n_rows):
            rows = slice(start, start + n_rows)
            new = _hashes(X[rows], Y[rows])
            new_weight = np.ones(len(new)) if sample_weight is None else sample_weight[rows]
            total += float(new_weight.sum())
            if len(hashes) == SAMPLE_SIZE:
                small = new <= hashes[-1]
                new, new_weight = new[small], new_weight[small]
            hashes, weight, _ = _smallest([hashes, new], [weight, new_weight])
        return cls(total, hashes, weight, weight)

    def merge(self, batch: "SeenRows") -> "SeenRows":
        """Return the sample after another batch."""
        hashes, weight, first = _smallest([self.hashes, batch.hashes], [self.weight, batch.weight])
        first_weight = np.concatenate([self.first_weight, batch.first_weight])[first]
        return SeenRows(self.total_weight + batch.total_weight, hashes, weight, first_weight)

    @property
    def distinct_weight(self) -> float:
        """The weight of all rows, each as if it had come once."""
        return self.total_weight * float(self.first_weight.sum() / self.weight.sum())


def _smallest(hashes: list[Hashes], weights: list[Array]) -> tuple[Hashes, Array, NDArray[np.intp]]:
    """Return the smallest hashes, sorted, with the total weight of each and the place where it comes first."""
    distinct, first, number = np.unique(np.concatenate(hashes), return_index=True, return_inverse=True)
    weight = np.bincount(number, np.concatenate(weights)).astype(np.float64, copy=False)
    return distinct[:SAMPLE_SIZE], weight[:SAMPLE_SIZE], first[:SAMPLE_SIZE]


def _hashes(X: Any, Y: Any) -> Hashes:
    """Return a hash of each row: a sum of random multiples of the numbers, taken for integers, and well mixed."""
    d = X.shape[1]
    multiples = _mixed(np.arange(1, d + Y.shape[1] + 1, dtype=np.uint64))
    return _mixed(_integers(X) @ multiples[:d] + _integers(Y) @ multiples[d:])


def _integers(rows: Any) -> Any:
    """Return the bits of floating-point numbers as integers; the upper half, which is seldom zero, in both halves."""
    if issparse(rows):
        return csr_array((_integers(rows.data), rows.indices, rows.indptr), shape=rows.shape)
    bits = np.add(rows, 0.0, dtype=np.float64).view(np.uint64)  # + 0.0 makes 0.0 of -0.0
    upper = bits >> np.uint64(32)
    return np.bitwise_xor(bits, upper, out=upper)


def _mixed(numbers: Hashes) -> Hashes:
    """Return numbers in which each bit depends on each bit of these: the finaliser of MurmurHash3."""
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        numbers = (numbers ^ (numbers >> np.uint64(33))) * np.uint64(multiplier)
    return numbers ^ (numbers >> np.uint64(33))
