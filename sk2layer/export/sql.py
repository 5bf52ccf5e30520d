"""How a program is written in SQL: a query in stages, each of which computes what the next ones need, once."""

from collections.abc import Sequence
from typing import Any

from .program import INPUT, Program
from .scalars import Definition, scalars
from .writer import FORMS, Writer

MOST_COLUMNS = 1600
"""That a stage may have: PostgreSQL allows 1664, SQLite 2000."""


class SQLite(Writer):
    """Expressions of SQLite, from version 3.35 on."""

    real = "REAL"
    forms = {
        **FORMS,
        "missing": "CASE WHEN {0} IS NULL THEN {1} ELSE {2} END",
        "relu_slope": "CASE WHEN {0} > 0.0 THEN 1.0 ELSE 0.0 END",
    }

    def column(self, name: str, saturates: bool) -> str:
        """Write a column of the table, as a floating number."""
        return f"CAST(t.{quoted(name)} AS {self.real})"


class PostgreSQL(SQLite):
    """Expressions of PostgreSQL, from version 12 on.

    It raises an error where a number overflows or underflows, and its LEAST and GREATEST pass over NULL.
    """

    real = "double precision"
    forms = {
        **SQLite.forms,
        "larger": "GREATEST({0}, {1})",
        "smaller": "LEAST({0}, {1})",
        "largest": "GREATEST({0})",
        "sigmoid": "CASE WHEN {0} < -300.0 THEN 0.0 WHEN {0} > 300.0 THEN 1.0 ELSE 1.0 / (1.0 + exp(-{0})) END",
        "relu": "CASE WHEN {0} < 0.0 THEN 0.0 ELSE {0} END",
        "exp": "CASE WHEN {0} - {1} < -300.0 THEN 0.0 ELSE exp({0} - {1}) END",
    }

    def column(self, name: str, saturates: bool) -> str:
        """Write a column, NULL for NaN, with what would overflow or underflow held where it is without effect."""
        x = super().column(name, saturates)
        large = f"WHEN abs({x}) > 1e150 THEN sign({x}) * 1e150 " if saturates else ""
        return f"CASE WHEN {x} = 'NaN' THEN NULL WHEN abs({x}) < 1e-150 THEN 0.0 {large}ELSE {x} END"

    def _affine(self, operands: Sequence[str], *numbers: float) -> str:
        text = super()._affine(operands, *numbers)
        return text if operands else f"CAST({text} AS {self.real})"


def quoted(name: str) -> str:
    """Return a name of a column or a table, with quotes in it doubled."""
    if "\0" in name or not name:
        raise ValueError(f"SQL has no names that are empty or have a zero character. Got {name!r}.")
    return '"' + name.replace('"', '""') + '"'


DIALECTS: dict[str, type[SQLite]] = {"sqlite": SQLite, "postgresql": PostgreSQL}


def write_sql(program: Program, *, dialect: str = "sqlite", table: Any = "data", keep: Sequence[str] = ()) -> str:
    """Return a query that selects the columns to keep, and the outputs."""
    if dialect not in DIALECTS:
        raise ValueError(f"dialect must be one of {sorted(DIALECTS)}. Got {dialect!r}.")
    inputs = [f"{INPUT}_{i}" for i in range(1, len(program.features) + 1)]
    writer = DIALECTS[dialect](program, inputs)
    keep = [keep] if isinstance(keep, str) else [*keep]
    _check_columns(program, keep)
    definitions, outputs = scalars(program)
    kept = [f"k_{i}" for i in range(1, len(keep) + 1)]
    named = zip(program.features, inputs, strict=True)
    columns = [f"{writer.column(name, program.saturates)} AS {x}" for name, x in named]
    columns += [f"t.{quoted(name)} AS {k}" for k, name in zip(kept, keep, strict=True)]
    names = [table] if isinstance(table, str) else [*(table or [""])]
    stage = "step" if names[-1].lower().startswith("stage") else "stage"
    stages = [_stage(f"{stage}_0", columns, ".".join(map(quoted, names)) + " AS t")]
    levels = _levels(definitions)
    alive = [*inputs]
    for number, level in enumerate(levels, start=1):
        later = {name for other in levels[number:] for one in other for name in one.operands} | {*outputs}
        alive = [name for name in alive if name in later]
        new = [f"{writer.expression(one)} AS {one.name}" for one in level]
        stages.append(_stage(f"{stage}_{number}", [*kept, *alive, *new], f"{stage}_{number - 1}"))
        alive += [one.name for one in level]
    named = zip([*kept, *outputs], [*keep, *program.labels], strict=True)
    last = ",\n    ".join(f"{value} AS {quoted(name)}" for value, name in named)
    return f"WITH {', '.join(stages)}\nSELECT\n    {last}\nFROM {stage}_{len(levels)}\n"


def _check_columns(program: Program, keep: Sequence[str]) -> None:
    for what, names in {"columns of X": program.features, "columns of the result": [*keep, *program.labels]}.items():
        if len({*names}) < len(names):
            raise ValueError(f"The names of the {what} must differ. Got {[*names]}.")


def _stage(name: str, columns: Sequence[str], source: str) -> str:
    if len(columns) > MOST_COLUMNS:
        raise ValueError(f"SQL takes at most {MOST_COLUMNS} columns. A stage of this query has {len(columns)}.")
    text = ",\n    ".join(columns)
    return f"{name} AS MATERIALIZED (\n    SELECT\n    {text}\n    FROM {source}\n)"


def _levels(definitions: Sequence[Definition]) -> list[list[Definition]]:
    """Return the definitions by how many others they are made of in turn."""
    level: dict[str, int] = {}
    levels: list[list[Definition]] = []
    for definition in definitions:
        number = level[definition.name] = max((level.get(name, -1) + 1 for name in definition.operands), default=0)
        levels += [[]] * (number == len(levels))
        levels[number] = [*levels[number], definition]
    return levels
