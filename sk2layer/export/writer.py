"""What languages have in common: how each kind of expression is written, and names that are safe in code."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .program import INPUT, Program
from .scalars import Definition

WIDTH = 110
"""Of a line of code, where it can be broken."""

FORMS = {
    "times": "{0} * {1}",
    "over": "{0} / {1}",
    "larger": "max({0}, {1})",
    "smaller": "min({0}, {1})",
    "largest": "max({0})",
    "missing": "({1} if {0} != {0} else {2})",
    "sigmoid": "1.0 / (1.0 + exp(-{0}))",
    "tanh": "tanh({0})",
    "relu": "max({0}, 0.0)",
    "sqrt": "sqrt({0})",
    "exp": "exp({0} - {1})",
    "sigmoid_slope": "{0} * (1.0 - {0})",
    "tanh_slope": "1.0 - {0} * {0}",
    "relu_slope": "(1.0 if {0} > 0.0 else 0.0)",
    "identity_slope": "1.0",
}
"""What a language says for each kind of expression, and for its parts, with operands in braces."""


class Writer:
    """Expressions in infix notation; a language derives its own, with the forms that it has of its own.

    Attributes
    ----------
    forms : dict
        As `FORMS`. Operands are numbers, names, calls or in parentheses.
    references : dict
        How the value of a definition is referred to.
    """

    forms = FORMS

    def __init__(self, program: Program, inputs: Iterable[str]) -> None:
        names = (f"{INPUT}_{i}" for i in range(1, len(program.features) + 1))
        self.references = dict(zip(names, inputs, strict=True))

    def say(self, form: str, *texts: str) -> str:
        """Write one of the forms."""
        return self.forms[form].format(*texts)

    def number(self, value: Any) -> str:
        """Write a number with all its digits: those that no other number has."""
        return str(value) if isinstance(value, np.float32) else repr(float(value))

    def expression(self, definition: Definition) -> str:
        """Write what a value is computed by, and let its name refer to it."""
        operands = [self.references[name] for name in definition.operands]
        self.references[definition.name] = definition.name
        if definition.kind in self.forms:
            return self.say(definition.kind, *operands)
        return str(getattr(self, f"_{definition.kind}")(operands, *definition.numbers))

    def _affine(self, operands: Sequence[str], *numbers: float) -> str:
        *weights, constant = numbers
        terms = [(bool(w < 0.0), self._term(abs(w), x)) for w, x in zip(weights, operands, strict=True)]
        if constant or not terms:
            terms.insert(0, (bool(constant < 0.0), self.number(abs(constant))))
        (negative, first), *rest = terms
        return "".join(["-" * negative + first, *(f" {'-' if minus else '+'} {term}" for minus, term in rest)])

    def _term(self, weight: float, text: str) -> str:
        return text if weight == 1.0 else self.say("times", self.number(weight), text)

    def _from(self, text: str, center: float) -> str:
        """Write a difference; nothing is taken off where the center is 0."""
        return f"({text} {'+' if center < 0.0 else '-'} {self.number(abs(center))})" if center else text

    def _scale(self, operands: Sequence[str], center: float, factor: float, shift: float) -> str:
        centered = self._from(operands[0], center)
        scaled = centered if factor == 1.0 else self.say("times", centered, self.number(factor))
        return f"{scaled} {'-' if shift < 0.0 else '+'} {self.number(abs(shift))}" if shift else scaled

    def _ramp(self, operands: Sequence[str], left: float, width: float, low: float, high: float, missing: float) -> str:
        ramp = self.say("over", self._from(operands[0], left), self.number(width))
        ramp = self.say("larger", ramp, self.number(low)) if np.isfinite(low) else ramp
        ramp = self.say("smaller", ramp, self.number(high)) if np.isfinite(high) else ramp
        return self.say("missing", operands[0], self.number(missing), ramp if low < high else self.number(low))

    def _squares(self, operands: Sequence[str], constant: float) -> str:
        return " + ".join([self.number(constant)] * bool(constant) + [self.say("times", q, q) for q in operands])

    def _product(self, operands: Sequence[str]) -> str:
        return self.say("times", *operands)

    def _ratio(self, operands: Sequence[str]) -> str:
        return self.say("over", *operands)

    def _top(self, operands: Sequence[str]) -> str:
        return self.say("largest", ", ".join(operands))

    def _share(self, operands: Sequence[str]) -> str:
        return self.say("over", operands[0], f"({' + '.join(operands[1:])})")


def broken(text: str, indent: int = 8) -> list[str]:
    """Break an expression without quoted text into lines."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + len(word) + 1 > WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return [" " * indent * bool(number) + line for number, line in enumerate([*lines, line])]


def head(start: str, parameters: Sequence[str], end: str) -> str:
    """Write the parameters of a function, on lines of their own where one is too short."""
    line = f"{start}({', '.join(parameters)}){end}"
    return line if len(line) <= WIDTH else f"{start}(\n    " + ",\n    ".join(parameters) + f"\n){end}"


def identifiers(names: Iterable[str], prefix: str = "", reserved: Iterable[str] = ()) -> list[str]:
    """Return identifiers of ASCII letters that are like the names, all different, and none that the code may use."""
    found: list[str] = []
    for name in names:
        word = prefix + re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")
        if not word[:1].isalpha() or word in reserved or re.fullmatch(r"[a-z]\d*_\d+(_\d+)*", word):
            word = f"x_{word}"
        unique, number = word, 1
        while unique in found or unique in reserved:
            number += 1
            unique = f"{word}_v{number}"
        found.append(unique)
    return found
