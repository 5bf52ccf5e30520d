"""How a program is written in SQL: a query in stages, each of which computes what the next ones need, once."""

from collections.abc import Callable, Sequence
from typing import Any

from .program import INPUT, Program
from .scalars import Definition, scalars
from .writer import Writer

MOST_COLUMNS = 1600
"""That a stage may have: PostgreSQL allows 1664, SQLite 2000."""


class SQLite(Writer):
    """Expressions of SQLite, from version 3.35 on."""

    real = "REAL"

    def choose(self, condition: str, yes: str, no: str) -> str:
        """Write a CASE."""
        return f"CASE WHEN {condition} THEN {yes} ELSE {no} END"

    def is_missing(self, text: str) -> str:
        """Write whether an input is NULL."""
        return f"{text} IS NULL"

    def column(self, name: str, saturates: bool) -> str:
        """Write a column of the table, as a floating number."""
        return f"CAST(t.{quoted(name)} AS {self.real})"


class PostgreSQL(SQLite):
    """Expressions of PostgreSQL, from version 12 on; it raises an error where a number overflows or underflows.

    LEAST and GREATEST pass over NULL.
    """

    real, steepest = "double precision", 300.0
    call = {**Writer.call, "exp": "exp(CASE WHEN {0} < -300.0 THEN -300.0 ELSE {0} END)"}

    def at_least(self, text: str, limit: str) -> str:
        """Write the larger one, NULL of NULL."""
        return self.choose(f"{text} < {limit}", limit, text)

    def at_most(self, text: str, limit: str) -> str:
        """Write the smaller one, NULL of NULL."""
        return self.choose(f"{text} > {limit}", limit, text)

    def largest(self, texts: Sequence[str]) -> str:
        """Write the largest one; where one is NULL all are."""
        return f"GREATEST({', '.join(texts)})"

    def column(self, name: str, saturates: bool) -> str:
        """Write a column, NULL for NaN, with what would overflow or underflow held where it is without effect."""
        x = super().column(name, saturates)
        large = f"WHEN abs({x}) > 1e150 THEN sign({x}) * 1e150 " if saturates else ""
        return f"CASE WHEN {x} = 'NaN' THEN NULL WHEN abs({x}) < 1e-150 THEN 0.0 {large}ELSE {x} END"

    def _affine(self, operands: Sequence[str], numbers: Sequence[float]) -> str:
        text = super()._affine(operands, numbers)
        return text if operands else f"CAST({text} AS {self.real})"


def quoted(name: str) -> str:
    """Return a name of a column or a table, with quotes in it doubled."""
    if "\0" in name or not name:
        raise ValueError(f"SQL has no names that are empty or have a zero character. Got {name!r}.")
    return '"' + name.replace('"', '""') + '"'


DIALECTS: dict[str, Callable[[], SQLite]] = {"sqlite": SQLite, "postgresql": PostgreSQL}


def write_sql(program: Program, *, dialect: str = "sqlite", table: Any = "data", keep: Sequence[str] = ()) -> str:
    """Return a query that selects the columns to keep, and the outputs."""
    if dialect not in DIALECTS:
        raise ValueError(f"dialect must be one of {sorted(DIALECTS)}. Got {dialect!r}.")
    writer = DIALECTS[dialect]()
    keep = [keep] if isinstance(keep, str) else [*keep]
    _check_columns(program, keep)
    definitions, outputs = scalars(program)
    kept = [f"k_{i}" for i in range(1, len(keep) + 1)]
    inputs = {f"{INPUT}_{i}": name for i, name in enumerate(program.features, start=1)}
    columns = [f"{writer.column(name, program.saturates)} AS {x}" for x, name in inputs.items()]
    columns += [f"t.{quoted(name)} AS {k}" for k, name in zip(kept, keep, strict=True)]
    names = [table] if isinstance(table, str) else [*table]
    stage = "step" if names[-1].lower().startswith("stage") else "stage"
    stages = [_stage(f"{stage}_0", columns, ".".join(map(quoted, names)) + " AS t")]
    for definition in definitions:
        writer.references.update({name: name for name in (definition.name, *definition.operands)})
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
