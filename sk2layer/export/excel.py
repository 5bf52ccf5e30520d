"""How a program is written for Excel: formulas of one row, to be filled down."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .program import INPUT, Program
from .scalars import Definition, scalars
from .writer import Writer

MOST_CHARACTERS = 8192
"""Of a formula."""

MOST_COLUMNS = 16_384

OPERANDS_IN_FULL = {"affine", "tanh", "relu", "sigmoid", "sqrt", "exp"}
"""What refers to its operands once each: they can be written in their place."""


class Excel(Writer):
    """Expressions of Excel, in its English notation."""

    call = {"exp": "EXP({})", "tanh": "TANH({})", "sqrt": "SQRT({})"}

    def number(self, value: Any) -> str:
        """Write a number; Excel reads 15 digits of it."""
        return super().number(value).upper()

    def at_least(self, text: str, limit: str) -> str:
        """Write the larger one."""
        return f"MAX({text},{limit})"

    def at_most(self, text: str, limit: str) -> str:
        """Write the smaller one."""
        return f"MIN({text},{limit})"

    def largest(self, texts: Sequence[str]) -> str:
        """Write the largest one."""
        return f"MAX({','.join(texts)})"

    def choose(self, condition: str, yes: str, no: str) -> str:
        """Write a choice."""
        return f"IF({condition},{yes},{no})"

    def is_missing(self, text: str) -> str:
        """Write whether a cell has no number."""
        return f"NOT(ISNUMBER({text}))"

    def times(self, left: str, right: str) -> str:
        """Write a product."""
        return f"{left}*{right}"

    def over(self, left: str, right: str) -> str:
        """Write a quotient."""
        return f"{left}/{right}"

    def _sigmoid(self, operands: Sequence[str], numbers: Any) -> str:
        return f"1/(1+EXP(MIN(-{operands[0]},709)))"

    def expression(self, definition: Definition) -> str:
        """Write a formula without the spaces around its signs."""
        return re.sub(r" ([-+>]) ", r"\1", super().expression(definition))


def write_excel(program: Program, *, cell: str = "A2") -> str:
    """Return two lines with tabs between cells, a header and formulas, for the columns right of the inputs."""
    match = re.fullmatch(r"\$?([A-Z]{1,3})\$?([1-9][0-9]*)", cell) if isinstance(cell, str) else None
    if match is None:
        raise ValueError(f'cell must be the first input of the first row, such as "A2". Got {cell!r}.')
    first, row = _number(match[1]), match[2]
    definitions, outputs = scalars(program)
    cells = {f"{INPUT}_{i}": f"{_letters(first + i - 1)}{row}" for i in range(1, len(program.features) + 1)}
    named = dict(zip(outputs, program.labels, strict=True))
    after = first + len(program.features)
    found = _whole(definitions, outputs, cells) or _block(definitions, outputs, cells, after, row)
    if after + len(found) > MOST_COLUMNS + 1 or any(len(formula) > MOST_CHARACTERS for formula in found.values()):
        raise ValueError(
            f"Excel has {MOST_COLUMNS} columns, and formulas of at most {MOST_CHARACTERS} characters. This network "
            f"needs {len(found)} columns beside {len(program.features)} inputs, and formulas of "
            f"{max(map(len, found.values()))} characters."
        )
    header = "\t".join(_text(named.get(name, name)) for name in found)
    return header + "\n" + "\t".join(found.values()) + "\n"


def _whole(definitions: Sequence[Definition], outputs: Sequence[str], cells: dict[str, str]) -> dict[str, str] | None:
    """Return one formula for each output, or None where it is too long."""
    writer = Excel()
    writer.references = dict(cells)
    formulas: dict[str, str] = {}
    for definition in definitions:
        formulas[definition.name] = "=" + writer.expression(definition)
        writer.references[definition.name] = f"({formulas[definition.name][1:]})"
        if len(formulas[definition.name]) > MOST_CHARACTERS:
            return None
    return {name: formulas[name] for name in outputs}


def _block(
    definitions: Sequence[Definition], outputs: Sequence[str], cells: dict[str, str], after: int, row: str
) -> dict[str, str]:
    """Return a formula for each value, but for sums that have a function of theirs to be in."""
    uses = Counter(name for definition in definitions for name in definition.operands)
    inside = {
        definition.operands[0]
        for definition in definitions
        if definition.kind in OPERANDS_IN_FULL and len(definition.operands) == 1 and uses[definition.operands[0]] == 1
    } - {*outputs}
    writer, formulas = Excel(), dict[str, str]()
    writer.references = dict(cells)
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
