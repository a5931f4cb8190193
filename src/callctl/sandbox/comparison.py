"""Two states of a database compared, row by row and definition by definition, as the server prints them.

callctl's own schema is never looked at: what it remembers proves nothing about what it lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callctl.files import read_sql

if TYPE_CHECKING:
    import psycopg

SAMPLE = 5


@dataclass(frozen=True)
class Fingerprint:
    """A state of the platform's schema: rows by id as MD5s, definitions as PostgreSQL prints them.

    ``not_compared`` are the columns left out of the MD5s, since the platform's own triggers write them.
    """

    rows: Mapping[str, Mapping[str, str]]  # table -> id -> MD5 of the row
    definitions: Mapping[str, str]  # object -> definition
    not_compared: Mapping[str, tuple[str, ...]]  # table -> columns


@dataclass(frozen=True)
class TableComparison:
    """One table. ``rows`` were there before; ``sample`` names some of those that changed or are missing."""

    table: str
    rows: int
    same: int
    changed: int
    missing: int
    new: int
    sample: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two states side by side. ``differing`` are the objects defined otherwise than before, gone, or new."""

    tables: tuple[TableComparison, ...]
    definitions: int
    differing: tuple[str, ...]
    not_compared: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def rows(self) -> int:
        """How many rows were there before, in all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def nothing_lost(self) -> bool:
        """Whether every row and every definition of before is there as it was; rows may have been added."""
        return not self.differing and all(table.same == table.rows for table in self.tables)

    @property
    def nothing_changed(self) -> bool:
        """Whether the two states are the same, rows added included."""
        return self.nothing_lost and all(table.new == 0 for table in self.tables)


def fingerprint(connection: psycopg.Connection[Any], schema: str) -> Fingerprint:
    """The state of a database, seen in one transaction; ``schema`` holds the platform's tables."""
    rows: dict[str, Mapping[str, str]] = {}
    not_compared: dict[str, tuple[str, ...]] = {}
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL search_path = pg_catalog")  # names are printed with their schema
        definitions = dict(connection.execute(read_sql("sandbox/demo/definitions.sql")).fetchall())
        tables = connection.execute(read_sql("sandbox/demo/rows.sql"), {"schema": schema}).fetchall()
        for table, left_out, query in tables:
            rows[table] = dict(connection.execute(query).fetchall())
            if left_out:
                not_compared[table] = tuple(left_out)
    return Fingerprint(rows, definitions, not_compared)


def compare(before: Fingerprint, after: Fingerprint) -> Comparison:
    """What of ``before`` is still so in ``after``. A table that is gone has lost its rows."""
    old, new = before.definitions, after.definitions
    return Comparison(
        tables=tuple(
            _table(name, before.rows.get(name, {}), after.rows.get(name, {}))
            for name in sorted({*before.rows, *after.rows})
        ),
        definitions=len(before.definitions),
        differing=tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name))),
        not_compared=tuple(before.not_compared.items()),
    )


def _table(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> TableComparison:
    missing = sorted(key for key in before if key not in after)
    changed = sorted(key for key, value in before.items() if key in after and after[key] != value)
    return TableComparison(
        table=name,
        rows=len(before),
        same=len(before) - len(missing) - len(changed),
        changed=len(changed),
        missing=len(missing),
        new=len(after.keys() - before.keys()),
        sample=tuple([*missing, *changed][:SAMPLE]),
    )
