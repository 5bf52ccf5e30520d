"""How a program is written in LaTeX: one equation for each value."""

import re
from collections.abc import Sequence
from typing import Any

from .program import INPUT, Program
from .scalars import scalars
from .writer import Writer

SPECIAL = {
    "\\": r"\backslash ",
    "~": r"\sim ",
    "^": r"\wedge ",
    " ": r"\ ",
    '"': "''",
    "`": "'",
    **{character: "\\" + character for character in "{}_#&%$"},
}
"""How characters that mean something in mathematics are written."""

SUMMANDS_IN_A_LINE = 4


class LaTeX(Writer):
    """Expressions in mathematical notation; nothing can overflow on paper."""

    call = {"exp": "e^{{{}}}", "tanh": r"\tanh({})", "sqrt": r"\sqrt{{{}}}"}

    def number(self, value: Any) -> str:
        """Write a number, with a power of ten where it is very large or small."""
        digits, _, exponent = super().number(value).partition("e")
        digits = digits.removesuffix(".0")
        return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits

    def at_least(self, text: str, limit: str) -> str:
        """Write the larger one."""
        return rf"\max({text}, {limit})"

    def at_most(self, text: str, limit: str) -> str:
        """Write the smaller one."""
        return rf"\min({text}, {limit})"

    def largest(self, texts: Sequence[str]) -> str:
        """Write the largest one."""
        return rf"\max({', '.join(texts)})"

    def times(self, left: str, right: str) -> str:
        """Write a product."""
        return rf"{left} \, {right}"

    def over(self, left: str, right: str) -> str:
        """Write a fraction."""
        left, right = (text[1:-1] if text.startswith("(") else text for text in (left, right))
        return rf"\frac{{{left}}}{{{right}}}"

    def _relu_slope(self, operands: Sequence[str], numbers: Any) -> str:
        return f"[{operands[0]} > 0]"

    def _ramp(self, operands: Sequence[str], numbers: Sequence[float]) -> str:
        left, width, low, high, _ = numbers
        return self._clipped(operands[0], left, width, low, high)


def write_latex(program: Program) -> str:
    """Return an align* environment."""
    writer, (definitions, outputs) = LaTeX(), scalars(program)
    writer.references = {
        f"{INPUT}_{i}": rf"\mathrm{{{_escaped(name)}}}" for i, name in enumerate(program.features, start=1)
    }
    lines = []
    for definition in definitions:
        symbol = _symbol(definition.name)
        writer.references[definition.name] = symbol
        lines.append(f"{symbol} &= " + _in_lines(writer.expression(definition)))
    for output, label in zip(outputs, program.labels, strict=True):
        lines.append(rf"\mathrm{{{_escaped(label)}}} &= {writer.references[output]}")
    return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}\n"


def _symbol(name: str) -> str:
    """Return z_1 as a letter with an index, and z2_1 with the number of its block above."""
    block, _, index = name.partition("_")
    above = f"^{{({block[1:]})}}" if block[1:] else ""
    return f"{block[0]}{above}_{{{index.replace('_', ',')}}}"


def _escaped(name: str) -> str:
    """Return a name in Roman letters, on one line."""
    printable = "".join(character if character.isprintable() else " " for character in name)
    return "".join(SPECIAL.get(character, character) for character in printable)


def _in_lines(text: str) -> str:
    """Break a long sum into lines; in parentheses there is nothing to break."""
    if "(" in text or r"\frac" in text:
        return text
    terms = re.split(r" (?=[-+] )", text)
    lines = [" ".join(terms[i : i + SUMMANDS_IN_A_LINE]) for i in range(0, len(terms), SUMMANDS_IN_A_LINE)]
    return " \\\\\n&\\quad ".join(lines)
