"""Which column of a table each input of a network comes from."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]


def steps_of(model: Any) -> list[Any]:
    """Return the steps of a model in their order, those of Pipelines within Pipelines too; the last is the network."""
    if not hasattr(model, "steps"):
        return [model]
    return [inner for _, step in model.steps if step not in (None, "passthrough") for inner in steps_of(step)]


def origins(steps: Iterable[Any]) -> Numbers:
    """Return the column of the first step's input that each output of the last comes from.

    Raises
    ------
    ValueError
        If a step makes an output of several columns, or does not say of which.
    """
    first, *others = map(_origins, steps)
    for found in others:
        first = first[found]
    return first


def _origins(step: Any) -> Numbers:
    """Return the column of its input that each output of a fitted step comes from."""
    if hasattr(step, "feature_indices_"):
        return step.feature_indices_
    if hasattr(step, "output_indices_"):
        return _of_parts(step)
    if hasattr(step, "drop_idx_"):
        return np.repeat(np.arange(len(step.categories_)), _n_categories(step))
    if hasattr(step, "get_feature_names_out"):
        names = list(getattr(step, "feature_names_in_", [f"x{j}" for j in range(step.n_features_in_)]))
        kept = list(step.get_feature_names_out(names))
        if set(kept) <= set(names):
            return np.array([names.index(name) for name in kept], dtype=np.intp)
    raise ValueError(
        f"Each input of the network must come from one column, by a step that says which. Got {step!r}. For the "
        "relevances of the inputs themselves, give the last step alone."
    )


def _n_categories(encoder: Any) -> Numbers:
    """Return how many columns a OneHotEncoder makes of each."""
    rare = getattr(encoder, "infrequent_categories_", None) or [None] * len(encoder.categories_)
    merged = [0 if categories is None else len(categories) - 1 for categories in rare]
    dropped = [0] * len(rare) if encoder.drop_idx_ is None else [number is not None for number in encoder.drop_idx_]
    sizes = [len(categories) for categories in encoder.categories_]
    return np.array(sizes, dtype=np.intp) - np.array(merged, dtype=np.intp) - np.array(dropped, dtype=np.intp)


def _of_parts(step: Any) -> Numbers:
    """Return what `_origins` does, of a ColumnTransformer."""
    found = np.zeros(max(part.stop for part in step.output_indices_.values()), dtype=np.intp)
    for name, part, columns in step.transformers_:
        place = step.output_indices_[name]
        if place.stop > place.start:
            taken = _positions(columns, part, step)
            inner = [s for s in steps_of(part) if s != "passthrough"]
            found[place] = taken[origins(inner)] if inner else taken
    return found


def _positions(columns: Any, part: Any, step: Any) -> Numbers:
    """Return the positions of the columns that a part of a ColumnTransformer takes."""
    if hasattr(part, "feature_names_in_"):
        return np.array([list(step.feature_names_in_).index(name) for name in part.feature_names_in_])
    return np.atleast_1d(np.arange(step.n_features_in_)[columns])
