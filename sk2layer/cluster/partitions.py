"""How a fit runs where the data are: on the workers of a cluster, each with its blocks of rows.

Dask keeps the blocks, as many for each thread, and neighbours together. What a sum over rows needs (see `rows.sums`) is
sent to them, and one task per block returns what it contributes, on the worker that has the block; neighbours are
merged on the workers, in the order of the blocks, so that the total depends neither on which worker summed which block
nor on when. The solver runs in the client, and gets totals only.

All tasks are functions of their arguments alone: what a worker held and had computed when it died, Dask computes again
from where the blocks came from. Which worker a block belongs to is a wish, from which Dask departs where a worker has
died or is slow.
"""

import copy
from contextlib import nullcontext
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from ..model.network import Shape
from ..rows.scaling import RunningScaling, Scaling
from ..rows.sources import Table
from ..rows.sums import SumOverBlock, merged
from ..rows.threads import one_blas_thread

FAN_IN = 8
"""How many totals are merged at a time, and thus how many of them a worker holds at once."""


class Extent(NamedTuple):
    """The shape and floating type of rows that are elsewhere."""

    shape: tuple[int, int]
    dtype: Any


class Summary(NamedTuple):
    """What the client is told of a block: its shape and total weight, and means and spreads where they are needed."""

    n_rows: int
    n_features: int
    weight: float
    running: RunningScaling


def summarize(block: Table, standardize: bool, scale_targets: bool) -> Summary:
    """Return the summary of a block."""
    running = RunningScaling()
    if standardize and block.X.shape[0]:
        running = block.take_into(running, scale_targets=scale_targets)
    n_rows, n_features = block.X.shape
    return Summary(n_rows, n_features, block.total_weight, running)


class PartitionedTable:
    """Checked rows, encoded targets and weights on a cluster; for a fit, what `Table` is in memory.

    Parameters
    ----------
    blocks : list of dask Delayed
        Each a `Table` of some rows, kept by Dask.
    summaries : list of Summary
        Of each block.
    dtype : numpy dtype
        The floating type of X.
    scaling : Scaling, optional
        What standardises the blocks when they are used.
    """

    in_memory = False

    def __init__(self, blocks: list[Any], summaries: list[Summary], dtype: Any, scaling: Scaling | None = None) -> None:
        self.blocks, self.summaries, self.scaling = blocks, summaries, scaling
        n_samples = sum(summary.n_rows for summary in summaries)
        self.X = Extent((n_samples, summaries[0].n_features), dtype)
        self.total_weight = sum(summary.weight for summary in summaries)

    def take_into(self, running: RunningScaling, *, scale_targets: bool) -> RunningScaling:
        """Return running means and spreads with these rows, in the order of the blocks."""
        return reduce(RunningScaling.merge, (summary.running for summary in self.summaries), running)

    def standardized(self, scaling: Scaling, dtype: Any) -> "PartitionedTable":
        """Return the table standardised, in the floating type of the computation."""
        return PartitionedTable(self.blocks, self.summaries, np.dtype(dtype), scaling)

    def sums(self, shape: Shape, dtype: Any, n_threads: int) -> "PartitionSums":
        """Return what sums over the rows, as many threads as the workers have."""
        return PartitionSums(self, shape, np.dtype(dtype))


class Summand(NamedTuple):
    """A function to sum over rows, and what makes the rows of a block ready for it."""

    function: SumOverBlock
    scaling: Scaling | None
    shape: Shape
    dtype: Any
    weight_sum: float


class PartitionSums:
    """Sums over the rows of blocks, for a network of some size, carried out by the workers that hold them."""

    n_samples = 0

    def __init__(self, table: PartitionedTable, shape: Shape, dtype: Any) -> None:
        self.table, self.shape, self.dtype, self.weight_sum = table, shape, dtype, float(table.total_weight)
        self.total_samples = table.X.shape[0]

    def total(self, function: SumOverBlock, *, quick: bool = True) -> Any:
        """Return the total of function(block) over all rows, each block of Dask being one."""
        import dask

        blocks = self.table.blocks
        summand = Summand(function, self.table.scaling, self.shape, self.dtype, self.weight_sum)
        sent = dask.delayed(summand, traverse=False)
        part, merge = dask.delayed(sum_block), dask.delayed(merge_sums)
        totals = []
        for block, home in zip(blocks, homes_of(blocks, blocks), strict=True):
            with at(home):
                totals.append(part(block, sent))
        while len(totals) > 1:
            totals = [merge(*totals[i : i + FAN_IN]) for i in range(0, len(totals), FAN_IN)]
        return dask.compute(totals[0])[0]


def sum_block(table: Table, summand: Summand) -> Any:
    """Return what a block contributes to a sum over rows."""
    function, scaling, shape, dtype, weight_sum = summand
    with one_blas_thread():
        table = table if scaling is None else table.standardized(scaling, dtype)
        sums = table.sums(shape, dtype, weight_sum=weight_sum)
        return function(sums.block(slice(0, sums.n_samples)))


def merge_sums(*totals: Any) -> Any:
    """Return the total of several totals, added in their order, without changing them."""
    return merged([copy.deepcopy(totals[0]), *totals[1:]])


def homes_of(blocks: list[Any], collections: Any) -> list[str | None]:
    """Return the worker that each block belongs to, so that every thread has as many; None where there is no cluster.

    A block stays where it is, if the collections hold it and the worker has no more than its share. All others are
    given to the workers in runs, so that what neighbours contribute is merged where it is.
    """
    import dask.base

    client: Any = getattr(dask.base.get_scheduler(), "__self__", None)
    if not hasattr(client, "who_has"):
        return [None] * len(blocks)
    holders, threads = client.who_has(collections), client.nthreads()
    n_threads = sum(threads.values())
    room = {worker: -(-len(blocks) * threads[worker] // n_threads) for worker in sorted(threads)}
    homes: list[str | None] = []
    for block in blocks:
        home = next((worker for worker in holders.get(block.key, ()) if room.get(worker)), None)
        homes.append(home)
        if home:
            room[home] -= 1
    free = (worker for worker, n_blocks in room.items() for _ in range(n_blocks))
    return [home or next(free, None) for home in homes]  # at times all workers are dead


def at(home: str | None) -> Any:
    """Return the context in which tasks are made for a worker; another one takes them if that one cannot."""
    import dask

    return nullcontext() if home is None else dask.annotate(workers=[home], allow_other_workers=True)
