"""How a program is written in LaTeX: one equation for each value."""

import re
from typing import Any

from .program import Program
from .scalars import Definition, scalars
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
    """Expressions in mathematical notation; nothing overflows on paper, and nothing is missing."""

    forms = {
        "times": r"{0} \, {1}",
        "over": r"\frac{{{0}}}{{{1}}}",
        "larger": r"\max({0}, {1})",
        "smaller": r"\min({0}, {1})",
        "largest": r"\max({0})",
        "missing": "{2}",
        "sigmoid": r"\frac{{1}}{{1 + e^{{-{0}}}}}",
        "tanh": r"\tanh({0})",
        "relu": r"\max({0}, 0)",
        "sqrt": r"\sqrt{{{0}}}",
        "exp": "e^{{{0} - {1}}}",
        "sigmoid_slope": r"{0} \, (1 - {0})",
        "tanh_slope": r"1 - {0} \, {0}",
        "relu_slope": "[{0} > 0]",
        "identity_slope": "1",
    }

    def number(self, value: Any) -> str:
        """Write a number, with a power of ten where it is very large or small."""
        digits, _, exponent = super().number(value).partition("e")
        digits = digits.removesuffix(".0")
        return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits

    def expression(self, definition: Definition) -> str:
        """Write the right side of an equation."""
        text = super().expression(definition)
        self.references[definition.name] = _symbol(definition.name)
        return text


def write_latex(program: Program) -> str:
    """Return an align* environment."""
    inputs = [rf"\mathrm{{{_escaped(name)}}}" for name in program.features]
    writer, (definitions, outputs) = LaTeX(program, inputs), scalars(program)
    lines = [f"{_symbol(one.name)} &= {_in_lines(writer.expression(one))}" for one in definitions]
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
