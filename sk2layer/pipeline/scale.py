"""The transform of one column of targets, its inverse, and mean and deviation in the column's own units."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer, PowerTransformer

from .._typing import Array

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
"""Of Gauss-Hermite quadrature: expectations of functions of a standard normal variable."""

REACH = np.linspace(0.0, 1.0, 101)
"""How far beyond the training targets an inverse is tried, in units of their range."""


def _square(t: Array) -> Array:
    """Invert the square root, and keep the order of what is below 0, which comes from y = 0."""
    return np.maximum(t, 0.0) ** 2


class Function(NamedTuple):
    """A transform by name: a function, its inverse, which is defined everywhere, and where y must be."""

    func: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    inside: Callable[[Array], Any]
    rule: str


FUNCTIONS = {
    "log": Function(np.log, np.exp, lambda y: y > 0.0, "y > 0"),
    "log1p": Function(np.log1p, np.expm1, lambda y: y > -1.0, "y > -1"),
    "sqrt": Function(np.sqrt, _square, lambda y: y >= 0.0, "y >= 0"),
}
NAMES = (*FUNCTIONS, "yeo-johnson")


class Scale:
    """One column of the targets, transformed and back.

    Parameters
    ----------
    transformer : transformer or str
        What transforms it.
    y : ndarray of shape (n_samples,)
        The training targets.
    """

    def __init__(self, transformer: Any, y: Array) -> None:
        self.low, self.high = -np.inf, np.inf
        if transformer in FUNCTIONS:
            func, inverse, inside, rule = FUNCTIONS[transformer]
            if not inside(y).all():
                raise ValueError(f"transformer={transformer!r} needs {rule}. The smallest y is {y.min()}.")
            self.transformer = FunctionTransformer(func, inverse, check_inverse=False).fit(y[:, np.newaxis])
            return
        self.transformer = PowerTransformer() if transformer == "yeo-johnson" else clone(transformer)
        self.transformer.fit(y[:, np.newaxis])
        self.low, self.high = self._reach(y)

    def _reach(self, y: Array) -> tuple[float, float]:
        """Return how far transformed targets go before y would be farther off the training targets than their range.

        Inverses of powers rise to infinity, and have no value beyond.
        """
        t = self.forth(y)
        ends = []
        for beyond in (t.min() - np.ptp(t) * REACH, t.max() + np.ptp(t) * REACH):
            with warnings.catch_warnings(action="ignore"):
                values = self.back(beyond)
            inside = np.maximum(y.min() - values, values - y.max()) <= np.ptp(y)  # False of NaN
            ends.append(beyond[-1 if inside.all() else max(inside.argmin() - 1, 0)])
        return ends[0], ends[1]

    def forth(self, y: Array) -> Array:
        """Return transformed targets."""
        return np.asarray(self.transformer.transform(y[:, np.newaxis]))[:, 0]

    def back(self, t: Array) -> Array:
        """Return the targets whose transforms are t, in the shape of t."""
        inside = np.clip(t, self.low, self.high).reshape(-1, 1)
        return np.asarray(self.transformer.inverse_transform(inside)).reshape(t.shape)

    def moments(self, t: Array, std: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of y where its transform is normally distributed."""
        median = self.back(t)
        first, second = np.zeros_like(median), np.zeros_like(median)
        for node, weight in zip(NODES, WEIGHTS / WEIGHTS.sum(), strict=True):
            distance = self.back(t + std * node) - median
            first += weight * distance
            second += weight * distance**2
        return median + first, np.sqrt(np.maximum(second - first**2, 0.0))
