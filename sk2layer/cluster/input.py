"""What estimators do with rows from Dask, which is imported only when there are such rows."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._typing import Array
from ..estimator.checks import check_rows, check_weight, naming
from ..estimator.data import Place, make_table, unit_of_weight, with_class_weights
from ..estimator.targets import Targets
from ..rows.sources import Table
from .partitions import PartitionedTable, at, homes_of, summarize


def is_of_dask(X: Any) -> bool:
    """Return whether X is an array, DataFrame or Series of Dask."""
    return hasattr(X, "__dask_graph__") and hasattr(X, "to_delayed")


class Cluster(Place):
    """X is an array or DataFrame of Dask."""

    in_memory = False

    def holds(self, X: Any) -> bool:
        """Return whether X is of Dask."""
        return is_of_dask(X)

    def check_fit(self, estimator: Any, X_val: Any) -> None:
        """Raise ValueError where a fit asks for what needs its rows in one place."""
        if hasattr(estimator, "partial_fit"):
            raise ValueError(
                "solver must be 'gd', 'lbfgs', 'lm' or 'auto' where X comes from Dask; 'sgd' and 'adam' "
                f"take its blocks one by one through partial_fit, in memory. Got {estimator.solver!r}."
            )
        if is_of_dask(X_val):
            raise ValueError("X_val must be in memory, also where X comes from Dask. Got a Dask collection.")
        if estimator.early_stopping and X_val is None:
            raise ValueError("early_stopping=True needs X_val and y_val where X comes from Dask.")

    def training_data(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any, *, again: bool, y_std: Any = None
    ) -> tuple[Targets, PartitionedTable]:
        """Check and encode training data on the workers that hold them; see `Place.training_data`.

        Raises
        ------
        TypeError
            If only some of X, y and sample_weight come from Dask.
        ValueError
            If a block is not what `fit` takes, or is unlike the others; the message names it. If `y_std` is given.
        """
        if y_std is not None:
            raise ValueError("y_std needs X and y in memory. Got rows from Dask.")
        import dask

        dtype = check_rows(estimator, _no_rows(X), reset=not again, ensure_min_samples=0).dtype
        blocks = _aligned_blocks({"X": X, "y": y, "sample_weight": sample_weight})
        kind = self.kind_of_targets(estimator)
        found = dask.compute(*(dask.delayed(labels_of_block)(i, kind, *b[1:]) for i, b in enumerate(blocks)))
        seen, totals, sizes = (np.concatenate(values) for values in zip(*found, strict=True))
        n_rows, total = sizes.sum(axis=0)
        if n_rows == 0:
            raise ValueError("X must have rows, and sample_weight must not be zero for all of them.")
        targets = self.targets(estimator, seen, seen, again=again)
        unit = unit_of_weight(n_rows, total)
        targets.weigh_classes(estimator, targets.encode(seen), totals / unit)
        checks = dask.delayed(Checks(_knowing_columns(estimator), dtype, targets, unit), traverse=False)
        homes = homes_of([rows for rows, *_ in blocks], X)
        kept = _persisted([dask.delayed(check_block)(i, *block, checks) for i, block in enumerate(blocks)], homes)
        summaries = dask.compute(*(dask.delayed(summarize)(b, estimator.standardize, targets.scaled) for b in kept))
        some = [(block, summary) for block, summary in zip(kept, summaries, strict=True) if summary.weight > 0.0]
        return targets, PartitionedTable([block for block, _ in some], [summary for _, summary in some], dtype)

    def predict(self, method: Callable[..., Any], estimator: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what a method of the estimator predicts as Dask arrays, of which nothing is computed yet."""
        import dask
        import dask.array

        check_is_fitted(estimator)
        _check_columns(X)
        name = method.__name__
        row = X._meta_nonempty if hasattr(X, "columns") else np.zeros((1, X.shape[1]), X.dtype)
        example = getattr(estimator, name)(row, *args, **kwargs)
        several = isinstance(example, tuple)
        examples = example if several else (example,)
        nothing = tuple(array[:0] for array in examples)
        call = partial(_call, method=name, args=args, kwargs=kwargs, nothing=nothing if several else nothing[0])
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


def _persisted(blocks: list[Any], homes: list[str | None]) -> list[Any]:
    """Return the blocks computed and kept by Dask, each on its worker; its sources are read there, too."""
    import dask

    kept = list(blocks)
    for home in dict.fromkeys(homes):
        own = [i for i, its in enumerate(homes) if its == home]
        with at(home):
            persisted = dask.persist(*(blocks[i] for i in own))
        for i, block in zip(own, persisted, strict=True):
            kept[i] = block
    return kept


def _no_rows(X: Any) -> Any:
    """Return a collection of the type of X, with its columns and no rows."""
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
    """Return an unfitted copy that knows only the number and names of the columns of X."""
    twin = type(estimator)()
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(twin, name, getattr(estimator, name))
    return twin


def _aligned_blocks(collections: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return for each block the delayed objects of its rows, targets and weights (None where there are none)."""
    X = collections["X"]
    for name, given in collections.items():
        if not is_of_dask(given) and not (name == "sample_weight" and given is None):
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


def _naming(number: int) -> AbstractContextManager[None]:
    return naming(f"Block {number} (counted from 0)")


def labels_of_block(number: int, kind: type[Targets], y: Any, weight: Any) -> tuple[Any, Array, Array]:
    """Return the labels in a block, the total weight of each, and the number and total of all positive weights."""
    with _naming(number):
        weight = check_weight(weight, len(y), whole=False)
        size = (len(y), len(y)) if weight is None else (np.count_nonzero(weight), weight.sum())
        return *kind.labels(y, weight), np.array([size], dtype=np.float64)


class Checks(NamedTuple):
    """What every block has to be like: an estimator that knows the columns of X, its type, targets and weights.

    `unit` is the weight of one observation.
    """

    estimator: Any
    dtype: Any
    targets: Any
    unit: float


def check_block(number: int, X: Any, y: Any, weight: Any, checks: Checks) -> Table:
    """Return a block, without the samples of weight zero."""
    estimator, dtype, targets, unit = checks
    with _naming(number):
        X = check_rows(estimator, X, reset=False, ensure_min_samples=0).astype(dtype, copy=False)
        Y, weight = targets.encode(y), check_weight(weight, X.shape[0], whole=False)
        if len(Y) != X.shape[0]:
            raise ValueError(f"X has {X.shape[0]} rows, y has {len(Y)}.")
    return with_class_weights(make_table(X, Y, weight, unit), targets)


def _call(estimator: Any, block: Any, *, method: str, args: Any, kwargs: dict[str, Any], nothing: Any) -> Any:
    """Return what the method predicts for a block of rows; for a block of no rows, `nothing`."""
    if block.shape[0] == 0:
        return nothing
    return getattr(estimator, method)(block, *args, **kwargs)
