"""How a fit runs where the data are: on the workers of a cluster, each with its blocks of rows.

Dask keeps the blocks, as many for each thread, and neighbours together. What a sum over rows needs (see `lanes`) is
sent to them, and one task per block returns what it contributes, on the worker that has the block; neighbours are
merged on the workers, in the order of the blocks, so that the total depends neither on which worker summed which block
nor on when. The solver runs in the client, and gets totals only.

All tasks are functions of their arguments alone: what a worker held and had computed when it died, Dask computes again
from where the blocks came from. Which worker a block belongs to is a wish, from which Dask departs where a worker has
died or is slow.
"""

import copy
from contextlib import AbstractContextManager, nullcontext
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._typing import Array
from .data import Data, Targets, check_rows, check_weight, is_dask, make_data, naming, unit_of_weight
from .lanes import Lane, SumOverRows, merged
from .objective import Objective
from .scaling import RunningScaling, Scaling
from .threads import one_blas_thread

FAN_IN = 8
"""How many totals are merged at a time, and thus how many of them a worker holds at once."""


class Extent(NamedTuple):
    """The shape and floating type of rows that are elsewhere."""

    shape: tuple[int, int]
    dtype: Any


class BlockData:
    """Checked rows, encoded targets and weights on a cluster; for a fit, what `Data` is in memory.

    Parameters
    ----------
    blocks : list of dask Delayed
        Each a `Data` of some rows, kept by Dask.
    summaries : list of Summary
        Theirs.
    dtype : numpy dtype
        The floating type of X.
    scaling : Scaling, optional
        What standardises the blocks when they are used.
    """

    in_memory = False

    def __init__(
        self, blocks: list[Any], summaries: list["Summary"], dtype: Any, scaling: Scaling | None = None
    ) -> None:
        self.blocks, self.summaries, self.scaling = blocks, summaries, scaling
        n_samples = sum(summary.n_rows for summary in summaries)
        self.X = Extent((n_samples, summaries[0].n_features), dtype)
        self.total_weight = sum(summary.weight for summary in summaries)

    def take_into(self, running: RunningScaling, *, scale_targets: bool) -> RunningScaling:
        """Take the rows into running means and spreads, in the order of the blocks."""
        return reduce(RunningScaling.merge, (summary.running for summary in self.summaries), running)

    def standardized(self, scaling: Scaling, dtype: Any) -> "BlockData":
        """Return the data standardised, in the floating type of the computation."""
        return BlockData(self.blocks, self.summaries, np.dtype(dtype), scaling)

    def objective(self, **network: Any) -> Objective:
        """Return the objective of a network on the data."""
        shape, executor = network["shape"], Blocks(self.blocks, self.scaling)
        X, Y = np.empty((0, shape.n_features), self.X.dtype), np.empty((0, shape.n_outputs), self.X.dtype)
        return Objective(X, Y, None, **network, weight_sum=self.total_weight, executor=executor)


class Blocks:
    """The workers that hold the blocks of rows, as what carries out sums over rows.

    Parameters
    ----------
    blocks : list of dask Delayed
        Each a `Data`.
    scaling : Scaling or None
        What standardises them.
    """

    def __init__(self, blocks: list[Any], scaling: Scaling | None) -> None:
        self.blocks, self.scaling = blocks, scaling

    def sum(self, function: SumOverRows, objective: Objective, *, quick: bool) -> Any:
        """Return the total of function(objective, lane, rows) over all rows, each block being a lane."""
        import dask

        summand = dask.delayed(Summand(function, self.scaling, _network(objective)), traverse=False)
        part, merge = dask.delayed(sum_block), dask.delayed(merge_sums)
        totals = []
        for block, home in zip(self.blocks, _homes(self.blocks, self.blocks), strict=True):
            with _at(home):
                totals.append(part(block, summand))
        while len(totals) > 1:
            totals = [merge(*totals[i : i + FAN_IN]) for i in range(0, len(totals), FAN_IN)]
        return dask.compute(totals[0])[0]


def _network(objective: Objective) -> dict[str, Any]:
    return {
        "shape": objective.shape,
        "activation": objective.activation,
        "loss": objective.loss,
        "penalty": objective.penalty,
        "dtype": objective.dtype,
        "weight_sum": objective.weight_sum,
    }


def _homes(blocks: list[Any], collections: Any) -> list[str | None]:
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


def _at(home: str | None) -> Any:
    """Return the context in which tasks are made for a worker; another one takes them if that one cannot."""
    import dask

    return nullcontext() if home is None else dask.annotate(workers=[home], allow_other_workers=True)


def check_blocks(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, standardize: bool, again: bool
) -> tuple[Targets, BlockData]:
    """Check and encode training data from Dask where they are; `again`: they have to be of the kind fitted before.

    Raises
    ------
    TypeError
        If only some of X, y and sample_weight come from Dask.
    ValueError
        If a block is not what `fit` takes, or is unlike the others; the message names it.
    """
    import dask

    dtype = check_rows(estimator, _no_rows(X), reset=not again, ensure_min_samples=0).dtype
    blocks = _aligned_blocks({"X": X, "y": y, "sample_weight": sample_weight})
    kinds = dask.compute(*(dask.delayed(kinds_of_block)(i, estimator._kinds, *b[1:]) for i, b in enumerate(blocks)))
    seen, totals, sizes = (np.concatenate(values) for values in zip(*kinds, strict=True))
    n_rows, total = sizes.sum(axis=0)
    if n_rows == 0:
        raise ValueError("X must have rows, and sample_weight must not be zero for all of them.")
    targets = estimator._remembered_targets() if again else estimator._make_targets(seen, seen)
    unit = unit_of_weight(n_rows, total)
    by_evidence = bool(estimator._grouping())
    factors = estimator._class_factors(targets, targets.encode(seen), totals / unit, by_evidence=by_evidence)
    targets.class_weights = factors
    checks = dask.delayed(Checks(_knowing_columns(estimator), dtype, targets, unit, factors), traverse=False)
    homes = _homes([rows for rows, *_ in blocks], X)
    kept = _persisted([dask.delayed(check_block)(i, *block, checks) for i, block in enumerate(blocks)], homes)
    summaries = dask.compute(*(dask.delayed(summarize)(b, standardize, targets.scaled) for b in kept))
    some = [(block, summary) for block, summary in zip(kept, summaries, strict=True) if summary.weight > 0.0]
    return targets, BlockData([block for block, _ in some], [summary for _, summary in some], dtype)


def _persisted(blocks: list[Any], homes: list[str | None]) -> list[Any]:
    """Return blocks that Dask keeps, each in its home: what they are made of is read there, too."""
    import dask

    kept = list(blocks)
    for home in dict.fromkeys(homes):
        own = [i for i, its in enumerate(homes) if its == home]
        with _at(home):
            persisted = dask.persist(*(blocks[i] for i in own))
        for i, block in zip(own, persisted, strict=True):
            kept[i] = block
    return kept


def _no_rows(X: Any) -> Any:
    """Return rows of the kind of X, but none."""
    _check_columns(X)
    return X._meta if hasattr(X, "columns") else np.empty((0, X.shape[1]), X.dtype)


def _check_columns(X: Any) -> None:
    if X.ndim != 2 or (hasattr(X, "chunks") and np.isnan(X.shape[1])):
        shape = f" of shape {X.shape}" if hasattr(X, "chunks") else ""
        raise ValueError(
            "X must have shape (n_samples, n_features), with a known number of features. "
            f"Got Dask's {type(X).__name__}{shape}."
        )


def _knowing_columns(estimator: Any) -> Any:
    """Return an estimator that knows the columns that rows must have, and nothing else."""
    twin = type(estimator)()
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(twin, name, getattr(estimator, name))
    return twin


def _aligned_blocks(collections: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return for each block the delayed objects of its rows, targets and weights (None where there are none)."""
    X = collections["X"]
    for name, given in collections.items():
        if not is_dask(given) and not (name == "sample_weight" and given is None):
            raise TypeError(f"{name} must come from Dask where X does. Got {type(given).__name__}.")
    columns = {name: _blocks(given, X) for name, given in collections.items() if given is not None}
    for name, blocks in columns.items():
        if len(blocks) != len(columns["X"]):
            raise ValueError(f"{name} must have the blocks of X, {len(columns['X'])}. Got {len(blocks)}.")
    columns.setdefault("sample_weight", [None] * len(columns["X"]))
    return list(zip(*columns.values(), strict=True))


def _blocks(given: Any, X: Any) -> list[Any]:
    """Return blocks of whole rows as delayed objects, those of X where both are arrays of known lengths."""
    if not hasattr(given, "chunks"):
        return list(given.to_delayed())
    lengths = given.chunks[0]
    if hasattr(X, "chunks") and not np.isnan([*lengths, *X.chunks[0]]).any():
        lengths = X.chunks[0]
        if given.shape[0] != X.shape[0]:
            raise ValueError(f"y and sample_weight must have the rows of X, {X.shape[0]}. Got {given.shape[0]}.")
    return given.rechunk((lengths, *given.shape[1:])).to_delayed().ravel().tolist()


# ------------------------------------------------------------------ what runs on the workers


class Summand(NamedTuple):
    """A function to sum over rows, and what makes an objective of a block of them."""

    function: SumOverRows
    scaling: Scaling | None
    network: dict[str, Any]


def sum_block(block: Data, summand: Summand) -> Any:
    """Return what a block contributes to a sum over rows."""
    function, scaling, network = summand
    with one_blas_thread():
        data = block if scaling is None else block.standardized(scaling, network["dtype"])
        objective = data.objective(**network)
        lane = Lane(slice(0, objective.n_samples), objective.shape, objective.dtype)
        return function(objective, lane, lane.rows)


def merge_sums(*totals: Any) -> Any:
    """Return the total of totals, in their order; what a task is given must stay as it is."""
    return merged([copy.deepcopy(totals[0]), *totals[1:]])


def _naming(number: int) -> AbstractContextManager[None]:
    return naming(f"Block {number} (counted from 0)")


def kinds_of_block(number: int, kinds: Any, y: Any, weight: Any) -> tuple[Any, Array, Array]:
    """Return which kinds of targets are in a block, the weight of each, and number and weight of rows that have one."""
    with _naming(number):
        weight = check_weight(weight, len(y), whole=False)
        size = (len(y), len(y)) if weight is None else (np.count_nonzero(weight), weight.sum())
        return *kinds(y, weight), np.array([size], dtype=np.float64)


class Checks(NamedTuple):
    """What every block has to be like: an estimator that knows the columns of X, its type, targets and weights.

    `unit` is the weight of one observation, and `factors` are those of the classes.
    """

    estimator: Any
    dtype: Any
    targets: Any
    unit: float
    factors: Array | None


def check_block(number: int, X: Any, y: Any, weight: Any, checks: Checks) -> Data:
    """Return a block, without the samples of weight zero."""
    estimator, dtype, targets, unit, factors = checks
    with _naming(number):
        X = check_rows(estimator, X, reset=False, ensure_min_samples=0).astype(dtype, copy=False)
        Y, weight = targets.encode(y), check_weight(weight, X.shape[0], whole=False)
        if len(Y) != X.shape[0]:
            raise ValueError(f"X has {X.shape[0]} rows, y has {len(Y)}.")
    data = make_data(X, Y, weight, unit)
    return data if factors is None else data.times(factors[targets.codes(data.Y)])


class Summary(NamedTuple):
    """What the client is told of a block: its shape and total weight, and means and spreads where they are needed."""

    n_rows: int
    n_features: int
    weight: float
    running: RunningScaling


def summarize(block: Data, standardize: bool, scale_targets: bool) -> Summary:
    """Return the summary of a block."""
    running = RunningScaling()
    if standardize and block.X.shape[0]:
        block.take_into(running, scale_targets=scale_targets)
    n_rows, n_features = block.X.shape
    return Summary(n_rows, n_features, block.total_weight, running)


# ------------------------------------------------------------------ predictions


def map_rows(estimator: Any, method: str, X: Any, *args: Any, **kwargs: Any) -> Any:
    """Return a method's results for rows from Dask as Dask arrays, of which nothing is computed yet."""
    import dask
    import dask.array

    check_is_fitted(estimator)
    _check_columns(X)
    row = X._meta_nonempty if hasattr(X, "columns") else np.zeros((1, X.shape[1]), X.dtype)
    example = getattr(estimator, method)(row, *args, **kwargs)
    several = isinstance(example, tuple)
    examples = example if several else (example,)
    nothing = tuple(array[:0] for array in examples)
    call = partial(_call, method=method, args=args, kwargs=kwargs, nothing=nothing if several else nothing[0])
    blocks = _blocks(X, X)
    lengths = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * len(blocks)
    sent = dask.delayed(estimator, traverse=False)
    results = [dask.delayed(call, nout=len(examples))(sent, block) for block in blocks]
    arrays = tuple(
        dask.array.concatenate(
            [
                dask.array.from_delayed(result[i] if several else result, (n, *array.shape[1:]), array.dtype)
                for result, n in zip(results, lengths, strict=True)
            ],
            allow_unknown_chunksizes=True,
        )
        for i, array in enumerate(examples)
    )
    return arrays if several else arrays[0]


def _call(estimator: Any, block: Any, *, method: str, args: Any, kwargs: dict[str, Any], nothing: Any) -> Any:
    """Return what the method makes of a block of rows; `nothing` is what it would make of none."""
    if block.shape[0] == 0:
        return nothing
    return getattr(estimator, method)(block, *args, **kwargs)
