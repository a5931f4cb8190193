"""A database as it stands: what the catalog prints of it, and every row of every table.

Two snapshots are compared as values. callctl's own store is never looked at: what the proofs compare with
is a copy that they took themselves. What "equal" means is written in docs/explanation/losslessness.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

HERE = Path(__file__).parent

Fact: TypeAlias = tuple[str, str]  # object, property
Row: TypeAlias = Mapping[str, str | None]  # column -> its text
Table: TypeAlias = Mapping[str, Row]  # id -> row

SHOWN = 40  # differences that are worth reading at once


@dataclass(frozen=True)
class Snapshot:
    """One moment of a database: ``catalog`` fact -> value, ``rows`` table (schema.name) -> id -> row.

    The catalog is what PostgreSQL prints of each object, and beside it every column of its rows in the catalog.
    """

    catalog: Mapping[Fact, str | None]
    rows: Mapping[str, Table]

    def table(self, name: str) -> Table:
        """The rows of the table of that name in the first schema that has one; empty where none has."""
        return next((rows for table, rows in self.rows.items() if table.rpartition(".")[2] == name), {})


def take(connection: psycopg.Connection[Any]) -> Snapshot:
    """Look at the whole database in one transaction."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Names are printed with their schema wherever they stand.
        connection.execute("SET LOCAL search_path = pg_catalog")
        facts = connection.execute((HERE / "snapshot.sql").read_bytes()).fetchall()
        facts += connection.execute((HERE / "catalog_rows.sql").read_bytes()).fetchall()
        catalog = {(thing, name): value for thing, name, value in facts if value is not None}
        assert len(catalog) == sum(value is not None for _, _, value in facts), "two facts of one name"
        tables = connection.execute((HERE / "snapshot_tables.sql").read_bytes()).fetchall()
        rows = {f"{schema}.{name}": _rows(connection, schema, name, columns) for schema, name, columns in tables}
    return Snapshot(catalog, rows)


def _rows(connection: psycopg.Connection[Any], schema: str, name: str, columns: list[str]) -> Table:
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns),
        sql.Identifier(schema, name),
    )
    rows = [dict(zip(columns, row, strict=True)) for row in connection.execute(query)]
    if "id" in columns:
        return {str(row["id"]): row for row in rows}
    return {f"row {number}": row for number, row in enumerate(sorted(rows, key=repr), 1)}


def touched_columns(snapshot: Snapshot) -> frozenset[tuple[str, str]]:
    """(table, column) that the platform's own triggers write: updated_at, where a trigger sets it."""
    return frozenset(
        (thing.rpartition(" on ")[2].replace('"', ""), "updated_at")
        for (thing, name), value in snapshot.catalog.items()
        if name == "definition" and thing.startswith("trigger ") and "update_updated_at_column" in str(value)
    )


def catalog_differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is not the same in the catalog, one line each."""
    lines = []
    for fact in sorted({*before.catalog, *after.catalog}):
        old, new = before.catalog.get(fact), after.catalog.get(fact)
        if old != new:
            lines.append(f"{fact[0]}: {fact[1]}: {_shown(old)} -> {_shown(new)}")
    return lines


def row_differences(
    before: Mapping[str, Table], after: Mapping[str, Table], ignore: Collection[tuple[str, str]] = ()
) -> list[str]:
    """What is not the same in the rows, one line a value; ``ignore`` are (table, column)."""
    lines = []
    for table in sorted({*before, *after}):
        old_rows, new_rows = before.get(table), after.get(table)
        if old_rows is None or new_rows is None:
            lines.append(f"{table}: the table is {'new' if old_rows is None else 'gone'}")
            continue
        for key in sorted({*old_rows, *new_rows}):
            old, new = old_rows.get(key), new_rows.get(key)
            if old is None or new is None:
                lines.append(f"{table} {key}: the row is {'new' if old is None else 'gone'}: {old or new}")
                continue
            for column in sorted({*old, *new}):
                if old.get(column) != new.get(column) and (table, column) not in ignore:
                    lines.append(f"{table} {key}: {column}: {_shown(old.get(column))} -> {_shown(new.get(column))}")
    return lines


def assert_same_catalog(before: Snapshot, after: Snapshot) -> None:
    """The catalogs print the same."""
    _assert_none(catalog_differences(before, after), "differences in the catalog")


def assert_same(before: Snapshot, after: Snapshot, ignore: Collection[tuple[str, str]] = ()) -> None:
    """Catalog and rows are the same."""
    _assert_none(
        [*catalog_differences(before, after), *row_differences(before.rows, after.rows, ignore)],
        "differences",
    )


def _assert_none(lines: list[str], heading: str) -> None:
    if lines:
        rest = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        raise AssertionError("\n".join([f"{len(lines)} {heading} (before -> after):", *lines[:SHOWN], *rest]))


def _shown(value: str | None) -> str:
    if value is None:
        return "none"
    return repr(value if len(value) <= 120 else f"{value[:117]}…")
