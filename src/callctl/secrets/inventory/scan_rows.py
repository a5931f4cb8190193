"""The rows of which a scan for secrets has to look at: the few that the server lets through, by their text."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from callctl.config.secrets import SecretField
from callctl.files import read_sql
from callctl.secrets.inventory.scan_tables import Column, Table
from callctl.statements import saved

if TYPE_CHECKING:
    from psycopg import sql
    from psycopg.abc import Loader

    from callctl.database.connection import Connection

# Characters of a value that are looked at: a longer one is left, and counted.
LONGEST = 8_000_000
# The server takes no more arguments of a function.
_ARGUMENTS = 90
# The first server that reads a range of pages without reading the whole table.
_RANGES_SINCE = 140000

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
# What the server looks for beside envelopes: a guess that lets through too much rather than too little; the rest is
# done here. A piece of each shape first; a part of each name, and how it ends. LIKE is many times faster than a regular
# expression, and most rows have none.
_PATTERNS = {
    "pieces": [f"%{piece}%" for piece in (
        "sk-", "EAA", "AKIA", "AIza", r"gh_\_", "xox_-", "PRIVATE KEY-----"
    )],
    "shapes": "|".join(_SHAPES),
    "parts": [f"%{part}%" for part in ("pass", "secret", "token", "key", "credential")],
    "ends": [f'%{end}{plural}"%' for end in _ENDS for plural in ("", "s")],
    "names": rf'{_NAME}"\s*:\s*"',
}  # fmt: skip


def pages(connection: Connection, first: int, past: int) -> sql.Composable:
    """The condition on rows of these pages, from ``first`` to before ``past``."""
    from psycopg import sql

    if connection.info.server_version >= _RANGES_SINCE:
        return _file("range", first=sql.Literal(f"({first},0)"), past=sql.Literal(f"({past},0)"))
    return _file("range_before_14", first=sql.Literal(first), past=sql.Literal(past))


def changed_since(horizon: str) -> sql.Composable:
    """The condition on rows that the transaction ``horizon`` has written, or a later one."""
    from psycopg import sql

    return _file("changed", horizon=sql.Literal(horizon))


def statement(
    table: Table, columns: Sequence[Column], fields: Sequence[SecretField], where: sql.Composable, *, plaintext: bool
) -> sql.Composed:
    """The query for the rows that may hold something in these columns: row id, account type, what a saved value was
    part of, the columns as text. Of ``fields``, the members they are in do not count.

    It has no parameters: a name with a % in it is a name.
    """
    from psycopg import sql

    def column(name: str) -> sql.Composable:
        return sql.SQL("t.{}").format(sql.Identifier(name))

    def text(name: str) -> sql.Composable:
        return sql.SQL("concat({})").format(column(name))

    of_another = is_saved(table)
    named: list[sql.Composable] = []
    texts: list[sql.Composable] = []
    documents: list[sql.Composable] = []
    in_bytes: list[sql.Composable] = []
    for name, _, form in columns:
        own = [each for each in fields if (each.table, each.column) == (table.declared_as, name) and each.path]
        if plaintext and form == "text" and SECRET_NAME.search(name):
            named.append(sql.SQL("OR {} IS NOT NULL").format(column(name)))
        elif own:
            documents.append(_without(column(name), own, table.typed))
        else:
            if form in ("bytes", "mixed"):
                in_bytes.append(column(name))
            if form != "bytes":
                (documents if form == "json" else texts).append(column(name))
    keys = ["row_id"] if of_another else list(table.keys)
    account_type: sql.Composable = text("account_type") if table.typed else sql.SQL("NULL::text")
    base: sql.Composable = sql.SQL("NULL")
    if of_another:
        # A saved row is one of another table: what is declared there by account type goes by the row's own.
        if table.name == saved.ROWS[1]:
            account_type = sql.SQL("t.contents ->> 'account_type'")
        base = sql.SQL("ARRAY[{}, {}]").format(
            column("relation"), column("field") if table.name == saved.VALUES[1] else sql.Literal("")
        )
    return _file(
        "rows_with_plaintext" if plaintext else "rows",
        row_id=sql.SQL("concat_ws(' ', {})").format(sql.SQL(", ").join(map(column, keys))) if keys else text("ctid"),
        account_type=account_type,
        base=base,
        columns=sql.SQL(", ").join(sql.SQL("left({}, {})").format(text(name), LONGEST + 1) for name, _, _ in columns),
        relation=sql.Identifier(table.schema, table.name),
        range=where,
        texts=_together(texts),
        documents=_together(documents),
        bytes=_together(in_bytes),
        texts_hold=_file("holds", text=sql.SQL('t."callctl texts"')),
        documents_hold=_file("holds", text=sql.SQL('t."callctl documents"')),
        bytes_hold=_file("holds_in_bytes", text=sql.SQL('t."callctl bytes"')),
        named=sql.SQL(" ").join(named),
        **{name: sql.Literal(pattern) for name, pattern in _PATTERNS.items()},
    )


def is_saved(table: Table) -> bool:
    """Whether its rows are what callctl saved of another table's."""
    return saved.is_saved(table.schema, table.name)


def sent(connection: Connection, query: bytes) -> Generator[tuple[Any, ...], None, None]:
    """The rows as they come, one by one: the server works at it in several processes, and nothing is kept here."""
    with connection.cursor() as cursor:
        cursor.adapters.register_loader("text", _lenient())
        yield from cursor.stream(query)


@cache
def _lenient() -> type[Loader]:
    """Text as it is stored: in a database of encoding SQL_ASCII, not all of it is UTF-8."""
    from psycopg.abc import Buffer
    from psycopg.adapt import Loader

    class Lenient(Loader):
        def load(self, data: Buffer) -> str:
            return bytes(data).decode("utf-8", "replace")

    return Lenient


def _file(name: str, **pieces: sql.Composable) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(read_sql(f"secrets/inventory/scan/{name}.sql")).format(**pieces)


def _together(texts: Sequence[sql.Composable]) -> sql.Composable:
    """As one text, a character between them that no text has; NULL where there is none."""
    from psycopg import sql

    joined = list(texts)
    while len(joined) > 1 or joined == list(texts):
        if not joined:
            return sql.SQL("NULL::text")
        joined = [
            sql.SQL("concat_ws(chr(31), {})").format(sql.SQL(", ").join(joined[at : at + _ARGUMENTS]))
            for at in range(0, len(joined), _ARGUMENTS)
        ]
    return joined[0]


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
