"""The rows of which a scan for secrets has to look at: the few that the server lets through, by their text."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callctl.config_secrets import SecretField
from callctl.files import read_sql
from callctl.secret_fields import ACCOUNTS, declared
from callctl.secret_tables import ARCHIVED

if TYPE_CHECKING:
    from psycopg import sql

    from callctl.config import Settings
    from callctl.database import Connection

ROWS_AT_ONCE = 500
# Known to be there, and meant to be readable: the application checks signatures with it.
READABLE = frozenset({(ACCOUNTS, "webhook_secret")})

_NAME = r"(?:password|passwd|passphrase|secret|token|api_?key|private_?key|access_?key|auth_?key|credential)s?"
_ENDS = ("password", "passwd", "passphrase", "secret", "token", "key", "credential")  # as such a name ends
SECRET_NAME = re.compile(rf"{_NAME}$", re.IGNORECASE)
# Tokens that say themselves what they are, of the providers that such a platform talks to.
_SHAPES = (
    r"\msk-[A-Za-z0-9_-]{20,}",
    r"\mEAA[A-Za-z0-9]{40,}",
    r"\mAKIA[0-9A-Z]{16}\M",
    r"\mAIza[A-Za-z0-9_-]{35}",
    r"\mgh[pousr]_[A-Za-z0-9]{36}",
    r"\mxox[abpr]-[A-Za-z0-9-]{10,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
)
SHAPE = re.compile("|".join(_SHAPES).replace(r"\m", r"\b").replace(r"\M", r"\b"))
# What the server looks for: a guess that lets through too much rather than too little; the rest is done here. A piece
# of each shape first; a part of each name, and how it ends. LIKE is many times faster than a regular expression, and
# most rows have none.
_PATTERNS = {
    "pieces": [f"%{piece}%" for piece in (
        "authTag", "sk-", "EAA", "AKIA", "AIza", r"gh_\_", "xox_-", "PRIVATE KEY-----"
    )],
    "shapes": "|".join(_SHAPES),
    "tags": ["%authTag%"],
    "parts": [f"%{part}%" for part in ("pass", "secret", "token", "key", "credential")],
    "ends": [f'%{end}{plural}"%' for end in _ENDS for plural in ("", "s")],
    "names": rf'{_NAME}"\s*:\s*"',
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table to be scanned, with the columns that could hold something."""

    schema: str
    name: str
    columns: tuple[tuple[str, bool], ...]  # name, and whether it is text
    keys: tuple[str, ...]


class TooLong(Exception):
    """A table has had its time."""


def tables(connection: Connection, settings: Settings) -> Iterator[Table]:
    """The tables of the platform, of the archive and of what callctl saved, without columns that are a secret."""
    found = connection.execute(
        read_sql("scan/columns.sql").encode(), {"schema": settings.schema, "archived": list(ARCHIVED)}
    ).fetchall()
    columns: dict[tuple[str, str], list[tuple[str, bool]]] = {}
    keys: dict[tuple[str, str], tuple[str, ...]] = {}
    known = READABLE | {
        (each.table, each.column) for each in declared(settings) if not each.path and each.account_type is None
    }
    for schema, table, column, is_text, key in found:
        if (table, column) not in known:
            columns.setdefault((schema, table), []).append((column, is_text))
            keys[schema, table] = tuple(key)
    for (schema, table), own in columns.items():
        yield Table(schema, table, tuple(own), keys[schema, table])


def rows(
    connection: Connection, table: Table, fields: Sequence[SecretField], typed: bool, deadline: float | None
) -> Iterator[tuple[Any, ...]]:
    """The rows that may hold something; of ``fields``, the members they are in do not count. Raises TooLong where it is
    past the ``deadline`` (of the monotonic clock), and psycopg.Error.
    """
    from psycopg import sql

    def column(name: str) -> sql.Composable:
        return sql.SQL("t.{}").format(sql.Identifier(name))

    def text(name: str) -> sql.Composable:
        return sql.SQL("{}::text").format(column(name))

    saved = table.schema == "callctl" and table.name in ("saved_row", "saved_value")
    named: list[sql.Composable] = []
    texts: list[sql.Composable] = []
    documents: list[sql.Composable] = []
    for name, is_text in table.columns:
        own = [each for each in fields if each.table == table.name and each.column == name and each.path]
        if is_text and SECRET_NAME.search(name):
            named.append(sql.SQL("OR {} IS NOT NULL").format(column(name)))
        elif own:
            documents.append(sql.SQL("({})::text").format(_without(column(name), own, typed)))
        else:
            (texts if is_text else documents).append(text(name))
    keys: list[sql.Composable] = [text(name) for name in (("row_id",) if saved else table.keys)]
    account_type = text("account_type") if typed else sql.SQL("NULL::text")
    base: sql.Composable = sql.SQL("NULL")
    if saved:
        # A saved row is one of another table: what is declared there by account type goes by the row's own.
        if table.name == "saved_row":
            account_type = sql.SQL("t.contents ->> 'account_type'")
        base = column("field") if table.name == "saved_value" else sql.SQL("''")
    pieces: dict[str, sql.Composable] = {
        "row_id": sql.SQL("concat_ws(' ', {})").format(sql.SQL(", ").join(keys)) if keys else text("ctid"),
        "table": column("relation") if saved else sql.Literal(table.name),
        "account_type": account_type,
        "base": base,
        "columns": sql.SQL(", ").join(text(name) for name, _ in table.columns),
        "relation": sql.Identifier(table.schema, table.name),
        "texts": _together(texts),
        "documents": _together(documents),
        "named": sql.SQL(" ").join(named),
    }
    statement = sql.SQL(read_sql("scan/rows.sql")).format(  # type: ignore[arg-type, unused-ignore]
        **{name: _no_parameter(connection, piece) for name, piece in pieces.items()}
    )
    with contextlib.closing(_sent(connection, statement, few=bool(fields))) as let_through:
        for number, row in enumerate(let_through):
            if number % ROWS_AT_ONCE == 0 and deadline is not None and time.monotonic() > deadline:
                raise TooLong
            yield row


def _no_parameter(connection: Connection, piece: sql.Composable) -> sql.SQL:
    """The same SQL, with a % in a declared path or in a name for itself and not for a parameter of the driver's."""
    from psycopg import sql

    return sql.SQL(piece.as_string(connection).replace("%", "%%"))  # type: ignore[arg-type, unused-ignore]


def _together(texts: Sequence[sql.Composable]) -> sql.Composable:
    """As one text; NULL where there is none."""
    from psycopg import sql

    if len(texts) == 1:
        return texts[0]
    return sql.SQL("array_to_string(ARRAY[{}]::text[], E'\\n')").format(sql.SQL(", ").join(texts))


def _sent(connection: Connection, statement: sql.Composed, *, few: bool) -> Generator[tuple[Any, ...], None, None]:
    """The rows as they come. ``few`` are expected: then not through a cursor, for which the server works alone, in one
    process; but one by one, which costs more for each.
    """
    if few:
        with connection.cursor() as plain:
            yield from plain.stream(statement, _PATTERNS)
        return
    with connection.cursor("callctl_scan") as cursor:
        cursor.execute(statement, _PATTERNS)
        while fetched := cursor.fetchmany(ROWS_AT_ONCE):
            yield from fetched


def _without(column: sql.Composable, fields: Sequence[SecretField], typed: bool) -> sql.Composable:
    """A jsonb column without the members that declared fields are in: in a row of another type they are none."""
    from psycopg import sql

    types = sorted({each.account_type for each in fields if each.account_type is not None}) if typed else []
    cases = [
        sql.SQL("WHEN {} THEN {}::text[]").format(
            sql.Literal(kind), sql.Literal([each.path[0] for each in fields if each.account_type in (None, kind)])
        )
        for kind in types
    ]
    rest = sql.SQL("{}::text[]").format(sql.Literal([each.path[0] for each in fields if each.account_type is None]))
    members = (
        sql.SQL("CASE t.account_type::text {} ELSE {} END").format(sql.SQL(" ").join(cases), rest) if cases else rest
    )
    return sql.SQL("CASE WHEN jsonb_typeof({0}) = 'object' THEN {0} - ({1}) ELSE {0} END").format(column, members)
