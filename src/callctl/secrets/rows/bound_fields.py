"""Which fields of this database are bound: callctl's schema records it when a rotation with --bind has finished."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.errors import Refused
from callctl.files import read_sql
from callctl.secrets.rows.binding import FieldName, RowName
from callctl.secrets.rows.tables import query

if TYPE_CHECKING:
    from callctl.database.connection import Connection
    from callctl.secrets.rows.row import Target


def bound_fields(connection: Connection) -> frozenset[FieldName]:
    """The fields that are bound; none where callctl has no schema here, or an older one."""
    if not database.relation_exists(connection, "callctl", "bound_field"):
        return frozenset()
    rows = connection.execute(read_sql("secrets/rows/bound.sql")).fetchall()
    return frozenset(FieldName(*row) for row in rows)


def record(connection: Connection, rotation: int, targets: Iterable[Target], done: Iterable[str]) -> None:
    """Record the fields that a rotation has bound, in the transaction that ends it. ``done`` names the targets it went
    through: a field counts only where each of ``targets`` that holds it is among them.
    """
    gone_through = set(done)
    fields: set[FieldName] = set()
    missed: set[FieldName] = set()
    for target in targets:
        of_target = set(_fields(target))
        # What is saved of a table lists all of its fields, whether or not the table has them.
        if target.where != "saved" or target.is_kept:
            fields |= of_target
        if target.name not in gone_through:
            missed |= of_target
    _execute(connection, "bound_record", fields - missed, rotation)


def forget(connection: Connection, targets: Iterable[Target]) -> None:
    """Remove the record of the fields of ``targets``, in the caller's transaction: they may be unbound from now on."""
    _execute(connection, "bound_forget", {field for target in targets for field in _fields(target)})


def recorded_by(connection: Connection, rotation: int) -> tuple[FieldName, ...]:
    """The fields that a rotation was the first to bind."""
    rows = connection.execute(read_sql("secrets/rows/bound_by.sql"), {"rotation": rotation}).fetchall()
    return tuple(FieldName(*row) for row in rows)


def named_rows(
    connection: Connection, targets: Iterable[Target], bound: frozenset[FieldName], names: Sequence[str]
) -> frozenset[RowName]:
    """The rows that ``names`` name, each by its id or, where two tables have a row of that id, as TABLE:ID.

    Raises Refused where no field is bound, where a table with bound fields has no such row, or where two have it.
    """
    if not names:
        return frozenset()
    tables = {field.table for field in bound}
    searched = [target for target in targets if target.recorded in tables]
    tables = {target.table for target in searched}
    if not searched:
        raise Refused(
            "--bind-new is for rows that came after a rotation with --bind, and no field of this database is recorded"
            " as bound; nothing was changed",
            hint="run callctl rotate-secrets --bind without --bind-new: the first time, it binds every value",
        )
    wanted = {name: _parsed(name, tables) for name in names}
    ids = sorted({row_id for _, row_id in wanted.values()})
    found: dict[str, set[str]] = {}
    for target in searched:
        for (row_id,) in connection.execute(query("named", target), {"ids": ids}).fetchall():
            found.setdefault(row_id, set()).add(target.table)
    rows = set()
    for name, (table, row_id) in wanted.items():
        there = sorted(found.get(row_id, set()) if table is None else found.get(row_id, set()) & {table})
        if not there:
            where = table or ", ".join(sorted({target.table for target in searched}))
            raise Refused(
                f"--bind-new {name}: no row of {where} has the id {row_id}; nothing was changed",
                hint="callctl rotate-secrets --status lists the rows with unbound values, and their ids",
            )
        if len(there) > 1:
            raise Refused(
                f"--bind-new {name}: tables {' and '.join(there)} have a row of that id; nothing was changed",
                hint=f"name the table too: --bind-new {there[0]}:{row_id}",
            )
        rows.add(RowName(there[0], row_id))
    return frozenset(rows)


def _parsed(name: str, tables: set[str]) -> tuple[str | None, str]:
    table, colon, row_id = name.partition(":")
    return (table, row_id) if colon and table in tables else (None, name)


def _fields(target: Target) -> Iterable[FieldName]:
    fields = (each for part in target.parts for each in part.fields)
    return (FieldName(target.recorded, each.account_type or "", each.text) for each in fields)


def _execute(connection: Connection, name: str, fields: Iterable[FieldName], rotation: int | None = None) -> None:
    listed = sorted(fields)
    values = {
        "rotation": rotation,
        "relations": [field.table for field in listed],
        "account_types": [field.account_type for field in listed],
        "paths": [field.path for field in listed],
    }
    connection.execute(read_sql(f"secrets/rows/{name}.sql"), values)
