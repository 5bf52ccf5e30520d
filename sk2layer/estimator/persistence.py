"""How estimators are stored: plain data in place of private classes, and the version.

A private class may change with any version, and whoever loads a file with `skops` would have to trust it by name. So
an estimator that is pickled, dumped or copied gives its private state away as dictionaries, in which `KIND` names the
class that they are made into again. What has to be trusted is then the estimator and its solver.
"""

import warnings
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from ..evidence.kronecker_posterior import KroneckerPosterior, LayerPosterior
from ..evidence.posterior import ExactPosterior
from ..evidence.uncertainty import FittedPosterior, Mixture
from ..model.network import Weights
from ..rows.moments import Moments
from ..rows.scaling import RunningScaling, Scaling
from ..rows.seen_rows import SeenRows
from ..solvers.documentation import Documented
from ..version import VERSION
from .monitor import Best, Monitor
from .outcome import FitState, Stream

KIND = "_kind"

KINDS: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        Best,
        ExactPosterior,
        FitState,
        FittedPosterior,
        KroneckerPosterior,
        LayerPosterior,
        Mixture,
        Moments,
        Monitor,
        RunningScaling,
        Scaling,
        SeenRows,
        Stream,
        Weights,
    )
}
"""Named tuples, and classes that can be made without arguments, whose attributes are all there is to them."""

STATE = ("_fit_state", "_posterior", "_stream")
"""The attributes of an estimator that hold such things."""

VERSION_KEY = "_sk2layer_version"


def to_plain(value: Any) -> Any:
    """Return a value with objects of private classes, at any depth, replaced by dictionaries."""
    kind = type(value).__name__
    if type(value) is KINDS.get(kind):
        return {KIND: kind, **to_plain(vars(value) if hasattr(value, "__dict__") else value._asdict())}
    if type(value) is dict:
        return {key: to_plain(item) for key, item in value.items()}
    return type(value)(map(to_plain, value)) if type(value) in (list, tuple) else value


def from_plain(value: Any) -> Any:
    """Return what `to_plain` was given.

    Raises
    ------
    ValueError
        If it was of a class that there is no more.
    """
    if type(value) in (list, tuple):
        return type(value)(map(from_plain, value))
    if type(value) is not dict:
        return value
    content = {key: from_plain(item) for key, item in value.items()}
    if KIND not in content:
        return content
    cls = KINDS.get(content.pop(KIND))
    if cls is None:
        raise ValueError(f"It was written by another version of sk2layer: {VERSION} knows no {value[KIND]}.")
    if issubclass(cls, tuple):
        return cls(**content)
    instance = cls()
    vars(instance).update(content)
    return instance


class OtherVersionWarning(InconsistentVersionWarning):
    """An estimator was written by another version of sk2layer."""

    def __str__(self) -> str:
        return (
            f"This {self.estimator_name} was written by sk2layer {self.original_sklearn_version} and is read by "
            f"sk2layer {self.current_sklearn_version}. It may fail, or predict something else: fit it again, or "
            "install the version that wrote it."
        )


class Portable(Documented, BaseEstimator):
    """An estimator that gives its state away as plain data, with the version."""

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        plain = {name: to_plain(state[name]) for name in STATE if name in state}
        return {**state, **plain, VERSION_KEY: VERSION}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop(VERSION_KEY, "of unknown version")
        if version != VERSION:
            name = type(self).__name__
            warning = OtherVersionWarning(
                estimator_name=name, current_sklearn_version=VERSION, original_sklearn_version=version
            )
            warnings.warn(warning, stacklevel=2)
        super().__setstate__({**state, **{name: from_plain(state[name]) for name in STATE if name in state}})
