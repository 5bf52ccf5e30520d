"""How something is summed over rows: in threads that each take a range of them, block by block.

What is summed is a function of a `Block` of rows. It returns `Totals`, or something else that can `merge` what other
rows contribute. The order of the summation does not depend on how many threads share the work.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, RowNumbers
from ..model.network import Memory, Passes, Shape, Workspace
from .inputs import as_rows
from .threads import PASS_OPERATIONS, ThreadMap

BLOCK_BYTES = 2**22
"""Of the temporaries of a block, within a core's share of the last-level cache. Calls on short blocks are short, and
between calls threads wait for the interpreter's lock: with a tenth of it two are no quicker than one."""

LEAST_ROWS = 64
"""Of a block: with fewer, the calls cost more than the work."""

SPARSE_BLOCK_BYTES = 2**24
"""A sparse block pays for a dense (n_features, n_hidden) product each: fewer, larger ones."""

CHUNK_BYTES = 2**20
"""What is gathered at a time of rows in random order, for as many mini-batches as it holds."""

RANGE_OPERATIONS = 2**18
"""Rows times parameters whose second derivatives are worth a thread of their own."""

MAX_RANGES = 8
"""The same whatever the number of threads: it determines the order of summation."""


class Totals(list[Any]):
    """Numbers and arrays, each a sum over the same rows."""

    def merge(self, other: "Totals") -> Self:
        """Add the sums over other rows, to arrays in place."""
        for i, its in enumerate(other):
            self[i] += its
        return self


def merged(parts: Sequence[Any]) -> Any:
    """Return the total of the parts, in their order; the first one takes it up."""
    return reduce(lambda total, part: total.merge(part), parts)


class Block(NamedTuple):
    """Some rows of `sums`, as a summand sees them, with the work space of the thread that sums over them."""

    sums: "ThreadedSums"
    rows: RowNumbers
    work: Workspace

    def parts(self, n_rows: int) -> Iterator["Block"]:
        """Yield blocks of at most so many of the rows, in their order."""
        if isinstance(self.rows, np.ndarray):
            parts: Iterator[RowNumbers] = (self.rows[i : i + n_rows] for i in range(0, len(self.rows), n_rows))
        else:
            start, stop, _ = self.rows.indices(self.sums.n_samples)
            parts = (slice(i, min(i + n_rows, stop)) for i in range(start, stop, n_rows))
        return (Block(self.sums, rows, self.work) for rows in parts)

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        rows = self.rows
        return len(rows) if isinstance(rows, np.ndarray) else len(range(*rows.indices(self.sums.n_samples)))

    @property
    def X(self) -> Array:
        """The inputs as an array, shape (n, d)."""
        X = self.sums.X[self.rows]
        return X if isinstance(X, np.ndarray) else X.toarray()

    @property
    def X1(self) -> Any:
        """The inputs with a one appended, shape (n, d + 1): an array, or what multiplies as one."""
        return self.sums.X.with_one(self.rows, self.work.inputs)

    @property
    def Y(self) -> Array:
        """The targets, shape (n, k)."""
        return self.sums.Y[self.rows]

    @property
    def passes(self) -> Passes:
        """What passes over the rows write into."""
        return self.work.passes(self.n_rows)

    @property
    def weight(self) -> Array | None:
        """The weights, shape (n,), or None where each is one."""
        return None if self.sums.weight is None else self.sums.weight[self.rows]

    @property
    def share(self) -> Array:
        """Each row's share of the total weight, to multiply (n, k)."""
        weight, weight_sum = self.weight, self.sums.weight_sum
        return np.full((1, 1), 1.0 / weight_sum) if weight is None else (weight / weight_sum)[:, np.newaxis]

    def weighted_sum(self, losses: Array) -> float:
        """Return the weighted sum of a number for each row."""
        weight = self.weight
        return float(losses.sum(dtype=np.float64) if weight is None else losses.astype(np.float64) @ weight)


SumOverBlock = Callable[[Block], Any]
"""What is summed: a function of a block of rows."""


class RowSums(Protocol):
    """What carries out sums over rows, wherever they are.

    Attributes
    ----------
    n_samples : int
        The number of rows that can be taken by their number; 0 where they are elsewhere.
    total_samples : int
        The number of all rows.
    weight_sum : float
        Their total weight.
    """

    n_samples: int
    total_samples: int
    weight_sum: float

    def total(self, function: SumOverBlock, *, quick: bool = True) -> Any:
        """Return the total of function(block) over all rows; `quick`: it is no more than a pass over them."""


class ThreadedSums:
    """Sums over rows in memory, carried out by threads.

    Parameters
    ----------
    X : array or Rows of shape (n_samples, n_features)
        Standardised inputs.
    Y : ndarray or other targets of shape (n_samples, n_outputs)
        Standardised targets.
    weight : ndarray of shape (n_samples,) or None
        Positive weights; None is one for each sample.
    shape : Shape
        The size of the network.
    dtype : numpy dtype
        The floating type of the computation.
    n_threads : int
        How many threads there may be.
    weight_sum : float, optional
        The total weight, where the rows are a part of the data.

    Attributes
    ----------
    block_rows : int
        The rows of a block for a pass forward and backward.
    """

    def __init__(
        self, X: Any, Y: Any, weight: Array | None, shape: Shape, dtype: Any, n_threads: int, weight_sum: float | None
    ) -> None:
        self.X, self.Y, self.weight, self.shape, self.dtype = as_rows(X), Y, weight, shape, np.dtype(dtype)
        self.n_samples = self.total_samples = n_samples = X.shape[0]
        own_weight = n_samples if weight is None else weight.sum(dtype=np.float64)
        self.weight_sum = float(own_weight if weight_sum is None else weight_sum)
        self.block_rows = block_rows(shape, self.dtype.itemsize, dense=isinstance(X[:0], np.ndarray))
        self.n_threads = n_threads
        operations = n_samples * shape.n_parameters
        n_ranges = min(max(operations // RANGE_OPERATIONS, 1), MAX_RANGES)
        bounds = [n_samples * i // n_ranges for i in range(n_ranges + 1)]
        memory = Memory()
        self._ranges = [(slice(i, j), Workspace(shape, self.dtype, memory)) for i, j in itertools.pairwise(bounds)]
        self._work = Workspace(shape, self.dtype, memory)  # for rows that are asked for
        self._map = ThreadMap(min(n_threads, n_ranges))
        self._quick_map = self._map if operations >= PASS_OPERATIONS else ThreadMap(1)

    def total(self, function: SumOverBlock, *, quick: bool = True) -> Any:
        """Return the total of function(block) over all rows; `quick`: only many rows are worth threads."""
        in_threads = self._quick_map if quick else self._map
        return merged(in_threads(lambda its: function(Block(self, *its)), self._ranges))

    def block(self, rows: RowNumbers) -> Block:
        """Return some rows as one block."""
        return Block(self, rows, self._work)

    def part(self, rows: NDArray[np.intp]) -> "ThreadedSums":
        """Return the sums over some of the rows, which are copied."""
        weight = None if self.weight is None else self.weight[rows]
        return ThreadedSums(self.X[rows], self.Y[rows], weight, self.shape, self.dtype, self.n_threads, None)

    def batches(self, size: int, order: NDArray[np.intp] | None) -> Iterator[tuple[Any, Array, Array | None, Passes]]:
        """Yield [X 1], Y, weights and work space of one mini-batch after the other, gathered in chunks.

        Parameters
        ----------
        size : int
            The rows of a batch.
        order : ndarray of int or None
            The rows to take, in their order; None takes all as they come.
        """
        n_rows = self.n_samples if order is None else len(order)
        batch_bytes = size * self.dtype.itemsize * (self.shape.n_features + 1)
        chunk_rows = size * max(1, CHUNK_BYTES // batch_bytes)
        for start in range(0, n_rows, chunk_rows):
            stop = min(start + chunk_rows, n_rows)
            chunk = self.block(slice(start, stop) if order is None else order[start:stop])
            X1, Y, weight = chunk.X1, chunk.Y, chunk.weight
            for first in range(0, stop - start, size):
                part = slice(first, min(first + size, stop - start))
                batch_weight = None if weight is None else weight[part]
                yield X1[part], Y[part], batch_weight, self._work.passes(part.stop - first)


def block_rows(shape: Shape, itemsize: int, *, dense: bool) -> int:
    """Return how many rows a block of a pass forward and backward has."""
    d, h, k = shape
    if dense:
        return max(LEAST_ROWS, BLOCK_BYTES // (itemsize * (d + 2 * h + 2 * k)))
    return max(LEAST_ROWS, SPARSE_BLOCK_BYTES // (itemsize * 2 * (h + k)))
