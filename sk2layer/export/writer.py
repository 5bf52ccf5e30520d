"""What languages have in common: how each kind of expression is written, and names that are safe in code."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .scalars import Definition

WIDTH = 110
"""Of a line of code, where it can be broken."""


class Writer:
    """Expressions in infix notation; a language derives its own, and says how functions and choices are written.

    Attributes
    ----------
    references : dict
        How the value of a definition is referred to.
    steepest : float
        The negative of where a sigmoid counts as 0, where languages raise errors in place of infinity.
    """

    call = {"exp": "exp({})", "tanh": "tanh({})", "sqrt": "sqrt({})"}
    steepest = np.inf

    def __init__(self) -> None:
        self.references: dict[str, str] = {}

    def number(self, value: Any) -> str:
        """Write a number with all its digits: those that no other number has."""
        return str(value) if isinstance(value, np.float32) else repr(float(value))

    def at_least(self, text: str, limit: str) -> str:
        """Write the larger one of an expression and a number."""
        return f"max({text}, {limit})"

    def at_most(self, text: str, limit: str) -> str:
        """Write the smaller one of an expression and a number."""
        return f"min({text}, {limit})"

    def largest(self, texts: Sequence[str]) -> str:
        """Write the largest of some values."""
        return f"max({', '.join(texts)})" if len(texts) > 1 else texts[0]

    def choose(self, condition: str, yes: str, no: str) -> str:
        """Write one of two expressions."""
        return f"({yes} if {condition} else {no})"

    def is_missing(self, text: str) -> str:
        """Write whether an input has no value."""
        return f"{text} != {text}"

    def times(self, left: str, right: str) -> str:
        """Write a product."""
        return f"{left} * {right}"

    def over(self, left: str, right: str) -> str:
        """Write a quotient of two expressions in parentheses, or without operators."""
        return f"{left} / {right}"

    def expression(self, definition: Definition) -> str:
        """Write what a value is computed by."""
        operands = [self.references[name] for name in definition.operands]
        return str(getattr(self, f"_{definition.kind}")(operands, definition.numbers))

    def _affine(self, operands: Sequence[str], numbers: Sequence[float]) -> str:
        *weights, constant = numbers
        terms = [(bool(w < 0.0), self._term(abs(w), x)) for w, x in zip(weights, operands, strict=True)]
        if constant or not terms:
            terms.insert(0, (bool(constant < 0.0), self.number(abs(constant))))
        (negative, first), *rest = terms
        return "".join(["-" * negative + first, *(f" {'-' if minus else '+'} {term}" for minus, term in rest)])

    def _term(self, weight: float, text: str) -> str:
        return text if weight == 1.0 else self.times(self.number(weight), text)

    def _scale(self, operands: Sequence[str], numbers: Sequence[float]) -> str:
        (x,), (center, factor, shift) = operands, numbers
        centered = x if center == 0.0 else f"({x} {'+' if center < 0.0 else '-'} {self.number(abs(center))})"
        scaled = centered if factor == 1.0 else self.times(centered, self.number(factor))
        return f"{scaled} {'-' if shift < 0.0 else '+'} {self.number(abs(shift))}" if shift else scaled

    def _ramp(self, operands: Sequence[str], numbers: Sequence[float]) -> str:
        (x,), (left, width, low, high, missing) = operands, numbers
        return self.choose(self.is_missing(x), self.number(missing), self._clipped(x, left, width, low, high))

    def _clipped(self, x: str, left: float, width: float, low: float, high: float) -> str:
        if low == high:
            return self.number(low)
        ramp = self.over(f"({x} {'+' if left < 0.0 else '-'} {self.number(abs(left))})", self.number(width))
        ramp = self.at_least(ramp, self.number(low)) if np.isfinite(low) else ramp
        return self.at_most(ramp, self.number(high)) if np.isfinite(high) else ramp

    def _sigmoid(self, operands: Sequence[str], numbers: Any) -> str:
        one, (z,) = self.number(1.0), operands
        text = self.over(one, f"({one} + {self.call['exp'].format('-' + z)})")
        if np.isinf(self.steepest):
            return text
        return self.choose(f"{z} < {self.number(-self.steepest)}", self.number(0.0), text)

    def _tanh(self, operands: Sequence[str], numbers: Any) -> str:
        return self.call["tanh"].format(*operands)

    def _sqrt(self, operands: Sequence[str], numbers: Any) -> str:
        return self.call["sqrt"].format(*operands)

    def _relu(self, operands: Sequence[str], numbers: Any) -> str:
        return self.at_least(operands[0], self.number(0.0))

    def _sigmoid_slope(self, operands: Sequence[str], numbers: Any) -> str:
        return self.times(operands[0], f"({self.number(1.0)} - {operands[0]})")

    def _tanh_slope(self, operands: Sequence[str], numbers: Any) -> str:
        return f"{self.number(1.0)} - {self.times(operands[0], operands[0])}"

    def _relu_slope(self, operands: Sequence[str], numbers: Any) -> str:
        return self.choose(f"{operands[0]} > {self.number(0.0)}", self.number(1.0), self.number(0.0))

    def _identity_slope(self, operands: Sequence[str], numbers: Any) -> str:
        return self.number(1.0)

    def _product(self, operands: Sequence[str], numbers: Any) -> str:
        return self.times(*operands)

    def _squares(self, operands: Sequence[str], numbers: Sequence[float]) -> str:
        squares = [self.times(q, q) for q in operands]
        return " + ".join([*(self.number(c) for c in numbers if c), *squares])

    def _ratio(self, operands: Sequence[str], numbers: Any) -> str:
        return self.over(*operands)

    def _top(self, operands: Sequence[str], numbers: Any) -> str:
        return self.largest(operands)

    def _exp(self, operands: Sequence[str], numbers: Any) -> str:
        return self.call["exp"].format(" - ".join(operands))

    def _share(self, operands: Sequence[str], numbers: Any) -> str:
        return self.over(operands[0], f"({' + '.join(operands[1:])})")


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
        while unique in found:
            number += 1
            unique = f"{word}_{number}"
        found.append(unique)
    return found
