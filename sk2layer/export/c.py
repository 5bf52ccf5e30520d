"""How a program is written in C99: one function that allocates nothing."""

import re
from collections.abc import Sequence
from functools import reduce
from typing import Any

from .program import Program
from .python import check_name
from .scalars import scalars
from .writer import FORMS, Writer, broken, head, identifiers

WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while main
exp expf tanh tanhf sqrt sqrtf fmax fmaxf fmin fminf isnan
"""
"""What the function cannot be named."""


class C(Writer):
    """Expressions of C, in one of its floating types."""

    def __init__(self, program: Program, inputs: Sequence[str], dtype: str) -> None:
        super().__init__(program, inputs)
        self.suffix = "f" if dtype == "float32" else ""
        calls = {"exp": "exp", "tanh": "tanh", "sqrt": "sqrt", "max": "fmax", "min": "fmin"}
        called = {f"{name}(": f"{function}{self.suffix}(" for name, function in calls.items()}
        numbers = {number: number + self.suffix for number in ("0.0", "1.0")}
        self.forms = {**FORMS, "relu": "{0} < 0.0 ? 0.0 : {0}", "relu_slope": "{0} > 0.0 ? 1.0 : 0.0"}
        for old, new in (called | numbers).items():
            self.forms = {kind: form.replace(old, new) for kind, form in self.forms.items()}
        self.forms["missing"] = "(isnan({0}) ? {1} : {2})"

    def number(self, value: Any) -> str:
        """Write a number of the type."""
        return super().number(value) + self.suffix

    def _top(self, operands: Sequence[str]) -> str:
        return reduce(lambda left, right: self.say("larger", left, right), operands)


def write_c(program: Program, *, name: str = "predict", dtype: str = "float64") -> str:
    """Return a function of one number for each column; it returns a number, or writes several to its last argument."""
    check_name(name, WORDS.split())
    arguments = identifiers(program.features, prefix="x_")  # no keyword, function or macro begins like this
    writer, (definitions, outputs) = C(program, arguments, dtype), scalars(program)
    kind = "float" if dtype == "float32" else "double"
    lines = []
    for definition in definitions:
        text = "\n".join(broken(writer.expression(definition)))
        lines.append(f"    const {kind} {definition.name} = {text};")
    values = [writer.references[output] for output in outputs]
    parameters = [f"{kind} {argument}" for argument in arguments]
    if len(values) == 1:
        result, last = kind, [f"    return {values[0]};"]
    else:
        result, parameters = "void", [*parameters, f"{kind} values[{len(values)}]"]
        last = [f"    values[{i}] = {value};" for i, value in enumerate(values)]
    include = ["#include <math.h>", ""] if re.search(r"[a-z]\(", "".join(lines)) else []
    return "\n".join([*include, head(f"{result} {name}", parameters, ""), "{", *lines, *last, "}", ""])
