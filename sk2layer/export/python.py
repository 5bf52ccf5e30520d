"""How a program is written in Python: with the module math alone, or with NumPy."""

import keyword
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .program import INPUT, Program
from .scalars import scalars
from .writer import FORMS, Writer, broken, head, identifiers

RESERVED = {*keyword.kwlist, *keyword.softkwlist, "exp", "tanh", "sqrt", "max", "min"}


def check_name(name: Any, reserved: Any = ()) -> None:
    """Raise ValueError where this is no name of a function."""
    if not (isinstance(name, str) and name.isascii() and name.isidentifier()) or name in {*keyword.kwlist, *reserved}:
        raise ValueError(f"name must be an identifier of ASCII letters that the language has no use for. Got {name!r}.")


class Python(Writer):
    """Expressions of Python, whose exp raises an error where others return infinity."""

    forms = {**FORMS, "sigmoid": "(0.0 if {0} < -709.0 else 1.0 / (1.0 + exp(-{0})))"}


def write_python(program: Program, *, name: str = "predict") -> str:
    """Return a function of one number for each column, which returns a number, or a tuple of several."""
    check_name(name, RESERVED)
    arguments = identifiers(program.features, reserved={*RESERVED, name})
    writer, (definitions, outputs) = Python(program, arguments), scalars(program)
    lines = []
    for definition in definitions:
        text = broken(writer.expression(definition))
        brackets = ("(", ")") if len(text) > 1 else ("", "")
        lines.append(f"    {definition.name} = " + "\n".join(text).join(brackets))
    body = "\n".join(lines)
    used = [function for function in ("exp", "sqrt", "tanh") if f"{function}(" in body]
    imports = [f"from math import {', '.join(used)}", "", ""] if used else []
    returned = ", ".join(writer.references[output] for output in outputs)
    comment = f"    # Returns {[*program.labels]!a}."
    return "\n".join([*imports, head(f"def {name}", arguments, ":"), comment, *lines, f"    return {returned}", ""])


def _literal(values: Any) -> str:
    """Write an array with all its digits."""
    if np.ndim(values):
        return f"[{', '.join(_literal(value) for value in values)}]"
    if isinstance(values, np.integer):
        return str(int(values))
    if math.isinf(values):
        return "np.inf" if values > 0 else "-np.inf"
    return str(values) if isinstance(values, np.float32) else repr(float(values))


def _affine(sources: Sequence[str], *names: str) -> str:
    *matrices, bias = names
    return " + ".join([*(f"{x} @ {W}" for x, W in zip(sources, matrices, strict=True)), bias])


def _squares(sources: Sequence[str], constant: str) -> str:
    return " + ".join([constant, *(f"(({q} * {q}).sum(axis=1, keepdims=True))" for q in sources)])


EXPRESSIONS: dict[str, Callable[..., str]] = {
    "affine": _affine,
    "scale": lambda s, center, factor, shift: f"({s[0]} - {center}) * {factor} + {shift}",
    "ramp": lambda s, which, left, width, low, high, missing: (
        f"np.where(np.isnan({s[0]}[:, {which}]), {missing}, "
        f"np.clip(({s[0]}[:, {which}] - {left}) / {width}, {low}, {high}))"
    ),
    "sigmoid": lambda s: f"1.0 / (1.0 + np.exp(-{s[0]}))",
    "tanh": lambda s: f"np.tanh({s[0]})",
    "relu": lambda s: f"np.maximum({s[0]}, 0.0)",
    "sigmoid_slope": lambda s: f"{s[0]} * (1.0 - {s[0]})",
    "tanh_slope": lambda s: f"1.0 - {s[0]} * {s[0]}",
    "relu_slope": lambda s: f"({s[0]} > 0.0).astype({s[0]}.dtype)",
    "identity_slope": lambda s: f"np.ones_like({s[0]})",
    "outer": lambda s: f"({s[0]}[:, :, None] * {s[1]}[:, None, :]).reshape(len({s[0]}), -1)",
    "squares": _squares,
    "sqrt": lambda s: f"np.sqrt(np.hstack([{', '.join(s)}]))",
    "ratio": lambda s: f"{s[0]} / {s[1]}",
    "top": lambda s: f"{s[0]}.max(axis=1, keepdims=True)",
    "exp": lambda s: f"np.exp({s[0]} - {s[1]})",
    "share": lambda s: f"{s[0]} / {s[0]}.sum(axis=1, keepdims=True)",
}
"""What computes a block, given its sources and the names of its arrays."""


def write_numpy(program: Program, *, name: str = "predict", dtype: str = "float64") -> str:
    """Return a function of an array of rows, with the arrays of weights before it."""
    constants: dict[str, Any] = {}
    lines = []
    for step in program.steps:
        names = [f"{step.name.upper()}_{number}" for number in range(1, len(step.arrays) + 1)]
        constants.update(zip(names, step.arrays, strict=True))
        lines.append(f"        {step.name} = {EXPRESSIONS[step.kind](step.sources, *names)}")
    check_name(name, {"np", *constants})
    columns = "[:, 0]" if program.is_vector else ""
    return "\n".join(
        [
            "import numpy as np",
            "",
            f"# Columns of the inputs: {[*program.features]!a}.",
            *(_constant(*pair, dtype) for pair in constants.items()),
            "",
            "",
            f"def {name}({INPUT}):",
            f"    # Returns {[*program.labels]!a}.",
            f"    {INPUT} = np.asarray({INPUT}, dtype=np.{dtype})",
            '    with np.errstate(over="ignore"):',
            *lines,
            f"    return {', '.join(output + columns for output in program.outputs)}",
            "",
        ]
    )


def _constant(name: str, array: Any, dtype: str) -> str:
    kind = "" if array.dtype.kind == "i" else f", dtype=np.{dtype}"
    return f"{name} = np.array({_literal(array)}{kind})"
