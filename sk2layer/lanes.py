"""Who carries out a sum over rows: here threads, each on a lane of rows that lie in memory.

Whatever is summed is a function of an objective, a lane and its rows. It returns `Sums`, or something else that can
`merge` what other rows contribute. Who carries out the sum is any object with

    .sum(function, objective, quick)      the total of function(objective, lane, rows) over all rows

and the order of the summation does not depend on how many share the work.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from typing import Any, Protocol, Self

import numpy as np

from ._typing import Array, Rows
from .gauss_newton import CurvatureSum, choose_form
from .network import Shape, Workspace
from .threads import PASS_OPERATIONS, ThreadMap

LANE_OPERATIONS = 2**18  # rows times parameters whose second derivatives are worth a thread of their own
MAX_LANES = 8  # the same whatever the number of threads: it determines the order of summation


class Lane:
    """A range of rows that is summed in one thread, and its work space."""

    def __init__(self, rows: slice, shape: Shape, dtype: Any) -> None:
        self.rows, self.shape, self.dtype = rows, shape, dtype
        self._workspaces: dict[int, Workspace] = {}
        self._inputs = np.ones((0, shape.n_features + 1), dtype)

    @cached_property
    def curvature_sum(self) -> CurvatureSum:
        """The sums that make up second derivatives."""
        return choose_form(self.shape)(self.shape, self.dtype)

    def workspace(self, n_rows: int) -> Workspace:
        """Return the work space for the passes over a block."""
        if n_rows not in self._workspaces:
            larger = next((work for size, work in self._workspaces.items() if size > n_rows), None)
            work = larger.head(n_rows) if larger else Workspace.empty(n_rows, self.shape, self.dtype)
            self._workspaces[n_rows] = work
        return self._workspaces[n_rows]

    def inputs(self, n_rows: int) -> Array:
        """Return work space for a block of inputs with a one appended to each row."""
        if n_rows > len(self._inputs):
            self._inputs = np.ones((n_rows, self.shape.n_features + 1), self.dtype)
        return self._inputs[:n_rows]


class Sums(list[Any]):
    """Numbers and arrays, each a sum over the same rows."""

    def merge(self, other: "Sums") -> Self:
        """Add the sums over other rows, to arrays in place."""
        for i, its in enumerate(other):
            self[i] += its
        return self


def merged(parts: Sequence[Any]) -> Any:
    """Return the total of the parts, in their order; the first one takes it up."""
    return reduce(lambda total, part: total.merge(part), parts)


SumOverRows = Callable[[Any, Lane, Rows], Any]


class RowExecutor(Protocol):
    """What carries out sums over rows."""

    def sum(self, function: SumOverRows, objective: Any, *, quick: bool) -> Any:
        """Return the total of function(objective, lane, rows); `quick`: it is no more than a pass over the rows."""


class Lanes:
    """Threads that share the rows of data in memory.

    Parameters
    ----------
    n_samples : int
        The number of rows.
    shape : Shape
        The network.
    dtype : numpy dtype
        The floating type of the computation.
    n_threads : int
        How many threads there may be.
    """

    def __init__(self, n_samples: int, shape: Shape, dtype: Any, n_threads: int) -> None:
        operations = n_samples * shape.n_parameters
        n_lanes = min(max(operations // LANE_OPERATIONS, 1), MAX_LANES)
        bounds = [n_samples * i // n_lanes for i in range(n_lanes + 1)]
        self._lanes = [Lane(slice(i, j), shape, dtype) for i, j in itertools.pairwise(bounds)]
        self._map = ThreadMap(min(n_threads, n_lanes))
        self._map_quick = self._map if operations >= PASS_OPERATIONS else ThreadMap(1)

    def sum(self, function: SumOverRows, objective: Any, *, quick: bool) -> Any:
        """Return the total of function(objective, lane, rows); `quick`: only many rows are worth threads."""
        together = self._map_quick if quick else self._map
        return merged(together(lambda lane: function(objective, lane, lane.rows), self._lanes))
