"""How a program is written in C99: one function that allocates nothing."""

import re
from collections.abc import Sequence
from typing import Any

from .program import INPUT, Program
from .python import check_name
from .scalars import scalars
from .writer import Writer, broken, head, identifiers

WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while main
exp expf tanh tanhf sqrt sqrtf fmax fmaxf fmin fminf isnan
"""
"""What the function cannot be named."""


class C(Writer):
    """Expressions of C in one of its floating types."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.suffix = "f" if dtype == "float32" else ""
        self.type = "float" if self.suffix else "double"
        self.call = {name: f"{name}{self.suffix}({{}})" for name in ("exp", "tanh", "sqrt")}

    def number(self, value: Any) -> str:
        """Write a number of the type."""
        return super().number(value) + self.suffix

    def at_least(self, text: str, limit: str) -> str:
        """Write the larger one."""
        return f"fmax{self.suffix}({text}, {limit})"

    def at_most(self, text: str, limit: str) -> str:
        """Write the smaller one."""
        return f"fmin{self.suffix}({text}, {limit})"

    def largest(self, texts: Sequence[str]) -> str:
        """Write the largest one, of two at a time."""
        return texts[0] if len(texts) == 1 else self.at_least(self.largest(texts[:-1]), texts[-1])

    def choose(self, condition: str, yes: str, no: str) -> str:
        """Write a conditional expression."""
        return f"({condition} ? {yes} : {no})"

    def is_missing(self, text: str) -> str:
        """Write whether an input is not a number."""
        return f"isnan({text})"


def write_c(program: Program, *, name: str = "predict", dtype: str = "float64") -> str:
    """Return a function of one number for each column; it returns a number, or writes several to its last argument."""
    check_name(name, WORDS.split())
    writer, (definitions, outputs) = C(dtype), scalars(program)
    arguments = identifiers(program.features, prefix="x_")  # no keyword, function or macro begins like this
    writer.references = {f"{INPUT}_{i}": argument for i, argument in enumerate(arguments, start=1)}
    lines = []
    for definition in definitions:
        text = "\n".join(broken(writer.expression(definition)))
        lines.append(f"    const {writer.type} {definition.name} = {text};")
        writer.references[definition.name] = definition.name
    values = [writer.references[output] for output in outputs]
    parameters = [f"{writer.type} {argument}" for argument in arguments]
    if len(values) == 1:
        result, last = writer.type, [f"    return {values[0]};"]
    else:
        result, parameters = "void", [*parameters, f"{writer.type} values[{len(values)}]"]
        last = [f"    values[{i}] = {value};" for i, value in enumerate(values)]
    include = ["#include <math.h>", ""] if re.search(r"[a-z]\(", "".join(lines)) else []
    return "\n".join([*include, head(f"{result} {name}", parameters, ""), "{", *lines, *last, "}", ""])
