"""How blocks become single values by name, one expression each, for languages without matrices."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .program import INPUT, Program, Step

MOST_SUMMANDS = 200
"""A longer sum is made of partial sums: languages limit how deep or how long an expression is."""


class Definition(NamedTuple):
    """One value: its name, what is computed, of which other values, and with which numbers."""

    name: str
    kind: str
    operands: tuple[str, ...]
    numbers: tuple[float, ...] = ()


Values = tuple[str, ...]
Expression = tuple[str, Values, tuple[float, ...]]
"""A definition without its name."""


def _affine(sources: Sequence[Values], *arrays: Any) -> list[Expression]:
    *matrices, bias = arrays
    operands, columns = sum(sources, ()), np.vstack(matrices).T
    found: list[Expression] = []
    for column, constant in zip(columns, bias, strict=True):
        used = np.flatnonzero(column)
        found.append(("affine", tuple(operands[i] for i in used), (*column[used], constant)))
    return found


def _ramp(sources: Sequence[Values], which: Any, *arrays: Any) -> list[Expression]:
    return [("ramp", (sources[0][i],), tuple(numbers)) for i, *numbers in zip(which, *arrays, strict=True)]


def _outer(sources: Sequence[Values]) -> list[Expression]:
    return [("product", (x, slope), ()) for x in sources[0] for slope in sources[1]]


RULES: dict[str, Callable[..., list[Expression]]] = {
    "affine": _affine,
    "ramp": _ramp,
    "outer": _outer,
    "scale": lambda sources, *arrays: [
        ("scale", (x,), tuple(numbers)) for x, *numbers in zip(sources[0], *arrays, strict=True)
    ],
    "squares": lambda sources, constant: [("squares", sum(sources, ()), tuple(constant))],
    "ratio": lambda sources: [("ratio", pair, ()) for pair in zip(*sources, strict=True)],
    "top": lambda sources: [("top", sources[0], ())],
    "exp": lambda sources: [("exp", (z, sources[1][0]), ()) for z in sources[0]],
    "share": lambda sources: [("share", (e, *sources[0]), ()) for e in sources[0]],
}
"""What the values of a step are, by its kind; those that are not here are functions of one value."""


def _expressions(step: Step, sources: Sequence[Values]) -> list[Expression]:
    if step.kind in RULES:
        return RULES[step.kind](sources, *step.arrays)
    return [(step.kind, (value,), ()) for value in sum(sources, ())]


def scalars(program: Program) -> tuple[list[Definition], list[str]]:
    """Return the definitions of all values that are needed, in order, and the names of the outputs."""
    blocks = {INPUT: tuple(f"{INPUT}_{i}" for i in range(1, len(program.features) + 1))}
    definitions: list[Definition] = []
    for step in program.steps:
        names = []
        for i, expression in enumerate(_expressions(step, [blocks[name] for name in step.sources]), start=1):
            names.append(f"{step.name}_{i}")
            definitions += _in_parts(Definition(names[-1], *expression))
        blocks[step.name] = tuple(names)
    outputs = [name for block in program.outputs for name in blocks[block]]
    return _needed(definitions, outputs), outputs


def _in_parts(whole: Definition) -> list[Definition]:
    """Return the definition, after those of its partial sums where it is a long sum."""
    if whole.kind not in {"affine", "squares"} or len(whole.operands) <= MOST_SUMMANDS:
        return [whole]
    *weights, constant = whole.numbers
    parts: list[Definition] = []
    for start in range(0, len(whole.operands), MOST_SUMMANDS):
        some = slice(start, start + MOST_SUMMANDS)
        numbers = (*weights[some], 0.0)
        parts.append(Definition(f"{whole.name}_{len(parts) + 1}", whole.kind, whole.operands[some], numbers))
    total = (*(1.0 for _ in parts), constant)
    return [*parts, *_in_parts(Definition(whole.name, "affine", tuple(part.name for part in parts), total))]


def _needed(definitions: list[Definition], outputs: Sequence[str]) -> list[Definition]:
    """Leave out what no output depends on, such as a scaled column with a weight of zero."""
    needed, kept = set(outputs), []
    for definition in reversed(definitions):
        if definition.name in needed:
            kept.append(definition)
            needed.update(definition.operands)
    return kept[::-1]
