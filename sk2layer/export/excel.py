"""How a program is written for Excel: formulas of one row, to be filled down."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .program import Program
from .scalars import Definition, scalars
from .writer import Writer

MOST_CHARACTERS = 8192
"""Of a formula."""

MOST_COLUMNS = 16_384

OPERANDS_IN_FULL = {"affine", "tanh", "relu", "sigmoid", "sqrt", "exp"}
"""What refers to its operands once each: they can be written in their place."""


class Excel(Writer):
    """Expressions of Excel, in its English notation."""

    forms = {
        "times": "{0}*{1}",
        "over": "{0}/{1}",
        "larger": "MAX({0},{1})",
        "smaller": "MIN({0},{1})",
        "largest": "MAX({0})",
        "missing": "IF(ISNUMBER({0}),{2},{1})",
        "sigmoid": "1/(1+EXP(MIN(-{0},709)))",
        "tanh": "TANH({0})",
        "relu": "MAX({0},0)",
        "sqrt": "SQRT({0})",
        "exp": "EXP({0}-{1})",
        "sigmoid_slope": "{0}*(1-{0})",
        "tanh_slope": "1-{0}*{0}",
        "relu_slope": "IF({0}>0,1,0)",
        "identity_slope": "1",
    }

    def number(self, value: Any) -> str:
        """Write a number; Excel reads 15 digits of it."""
        return super().number(value).upper()

    def expression(self, definition: Definition) -> str:
        """Write a formula, without spaces."""
        return super().expression(definition).replace(" ", "")


def write_excel(program: Program, *, cell: str = "A2") -> str:
    """Return two lines with tabs between cells, a header and formulas, for the columns right of the inputs."""
    match = re.fullmatch(r"\$?([A-Z]{1,3})\$?([1-9][0-9]*)", cell) if isinstance(cell, str) else None
    if match is None:
        raise ValueError(f'cell must be the first input of the first row, such as "A2". Got {cell!r}.')
    first, row = _number(match[1]), match[2]
    definitions, outputs = scalars(program)
    cells = [f"{_letters(first + i)}{row}" for i in range(len(program.features))]
    named = dict(zip(outputs, program.labels, strict=True))
    after = first + len(program.features)
    found = _whole(definitions, outputs, Excel(program, cells))
    found = found or _block(definitions, outputs, Excel(program, cells), after, row)
    if after + len(found) > MOST_COLUMNS + 1 or any(len(formula) > MOST_CHARACTERS for formula in found.values()):
        raise ValueError(
            f"Excel has {MOST_COLUMNS} columns, and formulas of at most {MOST_CHARACTERS} characters. This network "
            f"needs {len(found)} columns beside {len(program.features)} inputs, and formulas of "
            f"{max(map(len, found.values()))} characters."
        )
    header = "\t".join(_text(named.get(name, name)) for name in found)
    return header + "\n" + "\t".join(found.values()) + "\n"


def _whole(definitions: Sequence[Definition], outputs: Sequence[str], writer: Excel) -> dict[str, str] | None:
    """Return one formula for each output, or None where it is too long."""
    formulas: dict[str, str] = {}
    for definition in definitions:
        formulas[definition.name] = "=" + writer.expression(definition)
        writer.references[definition.name] = f"({formulas[definition.name][1:]})"
        if len(formulas[definition.name]) > MOST_CHARACTERS:
            return None
    return {name: formulas[name] for name in outputs}


def _block(
    definitions: Sequence[Definition], outputs: Sequence[str], writer: Excel, after: int, row: str
) -> dict[str, str]:
    """Return a formula for each value, but for sums that have a function of theirs to be in."""
    uses = Counter(name for definition in definitions for name in definition.operands)
    inside = {
        definition.operands[0]
        for definition in definitions
        if definition.kind in OPERANDS_IN_FULL and len(definition.operands) == 1 and uses[definition.operands[0]] == 1
    } - {*outputs}
    formulas: dict[str, str] = {}
    for definition in definitions:
        text = writer.expression(definition)
        if definition.name in inside and len(text) < MOST_CHARACTERS - 100:
            writer.references[definition.name] = f"({text})"
        else:
            writer.references[definition.name] = f"{_letters(after + len(formulas))}{row}"
            formulas[definition.name] = f"={text}"
    return formulas


def _text(label: str) -> str:
    """Return what a cell shows as this text, whatever it begins with."""
    label = " ".join(label.split())
    return f"'{label}" if label[:1] in "=+-@'" else label


def _letters(number: int) -> str:
    """Return the name of a column, of which the first is 1."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number
