"""What is written out, before it is in any language: a list of steps, each of which makes one block of values.

A block is a row vector, and a step makes one of those before it:

    affine         sum of block @ matrix over its sources, + a vector
    scale          (x - center) * factor + shift                         ramp      clip((x_i - left) / width, low, high)
    sigmoid tanh relu sqrt, and *_slope, the derivative by the value     outer     x_f s_j for all f and j
    squares        a constant + the sum of squares of its sources        ratio     z_e / d_e
    top            the largest                                           exp       exp(z_e - top)
    share          e_i / sum e

Arrays are those of the formulas, in the order above; a ramp has the numbers of its columns first, and last what a
missing value becomes.
"""

from typing import Any, NamedTuple

import numpy as np

from .._typing import Array

INPUT = "x"
"""The block of the columns of X."""


class Step(NamedTuple):
    """How one block is made."""

    name: str
    kind: str
    sources: tuple[str, ...]
    arrays: tuple[Array, ...]


class Program(NamedTuple):
    """All steps, and which values are wanted.

    Attributes
    ----------
    features : tuple of str
        The names of the columns of X.
    steps : tuple of Step
    outputs : tuple of str
        The blocks that are wanted.
    labels : tuple of str
        The names of their values.
    is_vector : bool
        Whether each output is one number, and an array of them has one dimension.
    """

    features: tuple[str, ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    labels: tuple[str, ...]
    is_vector: bool

    @property
    def saturates(self) -> bool:
        """Whether inputs have no effect beyond some size, since hidden units level off."""
        return any(step.name[0] == "h" and step.kind in {"sigmoid", "tanh"} for step in self.steps)

    def with_numbers(self, number: Any) -> "Program":
        """Return the program with a function applied to all its arrays of floating numbers."""
        steps = (
            step._replace(arrays=tuple(a if a.dtype.kind == "i" else number(a) for a in step.arrays))
            for step in self.steps
        )
        return self._replace(steps=tuple(steps))


class Builder:
    """Steps under construction: one call appends a step, and what is passed around are the names of blocks."""

    def __init__(self, dtype: str = "float64") -> None:
        self.steps: list[Step] = []
        self.dtype = dtype

    def __call__(self, letter: str, kind: str, *sources: str, arrays: Any = ()) -> str:
        """Append a step; return the name of its block, the letter and perhaps a number."""
        number = 1 + sum(step.name.rstrip("0123456789") == letter for step in self.steps)
        name = letter if number == 1 else f"{letter}{number}"
        self.steps.append(Step(name, kind, sources, tuple(np.asarray(array) for array in arrays)))
        return name

    def scaled(self, x: str, center: Array, factor: Array) -> str:
        """Append (x - center) * factor; what the type cannot say of the center is taken off after the difference."""
        known = center.astype(self.dtype).astype(np.float64)
        return self("u", "scale", x, arrays=(known, factor, (known - center) * factor))
