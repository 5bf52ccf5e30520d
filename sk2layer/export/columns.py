"""How the steps of a Pipeline before the network are written: scalers, and the ramps of `PiecewiseLinearEncoder`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from .._typing import Array
from ..preprocessing import PiecewiseLinearEncoder
from ..preprocessing.encoder import ramps_of
from .program import Builder

Append = Callable[[Builder, str], str]
"""What appends a step for the block of this name, and returns the name of the new one."""


def _scaled(scaler: Any, center: Array | None, scale: Array | None) -> Append:
    """Return what appends (x - center) / scale."""
    center = np.zeros(scaler.n_features_in_) if center is None else center
    factor = np.ones(scaler.n_features_in_) if scale is None else 1.0 / np.asarray(scale, np.float64)
    return lambda build, x: build.scaled(x, center, factor)


def _min_max(scaler: MinMaxScaler) -> Append:
    if scaler.clip:
        raise TypeError("MinMaxScaler(clip=True) is not affine and cannot be written out: take PiecewiseLinearEncoder.")
    return _scaled(scaler, -scaler.min_ / scaler.scale_, 1.0 / scaler.scale_)


def _ramps(encoder: PiecewiseLinearEncoder) -> Append:
    left, width, low, high = ramps_of(encoder)
    constant = np.isinf(width)  # and indicators of missing values: 0 but for these
    width = np.where(constant, 1.0, width)
    low, high = np.where(constant, 0.0, low), np.where(constant, 0.0, high)
    arrays = (encoder.feature_indices_, left, width, low, high, encoder.missing_encoding_)
    return lambda build, x: build("r", "ramp", x, arrays=arrays)


TRANSFORMERS: dict[type, Callable[[Any], Append]] = {
    StandardScaler: lambda scaler: _scaled(scaler, scaler.mean_ if scaler.with_mean else None, scaler.scale_),
    RobustScaler: lambda scaler: _scaled(scaler, scaler.center_, scaler.scale_),
    MaxAbsScaler: lambda scaler: _scaled(scaler, None, scaler.scale_),
    MinMaxScaler: _min_max,
    PiecewiseLinearEncoder: _ramps,
}
"""What a step appends, by its very class: a derived one may transform otherwise."""


def steps_of(steps: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the steps of Pipelines, and of those inside of them, that do anything."""
    found = []
    for name, step in steps:
        if hasattr(step, "steps"):
            found += steps_of(step.steps)
        elif step is not None and step != "passthrough":
            found.append((name, step))
    return found


def columns_of(steps: list[tuple[str, Any]]) -> list[Append]:
    """Return for each step of a Pipeline what appends it.

    Raises
    ------
    TypeError
        If a step is none of those that can be written out.
    """
    found = []
    for name, step in steps:
        if type(step) not in TRANSFORMERS:
            known = ", ".join(sorted(kind.__name__ for kind in TRANSFORMERS))
            raise TypeError(f"Steps before the network must be of {known}. Step {name!r} is {type(step).__name__}.")
        check_is_fitted(step)
        found.append(TRANSFORMERS[type(step)](step))
    return found
