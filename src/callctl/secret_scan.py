"""Envelopes and plaintext that looks like a secret, outside the declared fields: found by a scan of JSON and text.

A guess, for a person to look at: nothing is written, and what is found is told by table, field and row, never by value.
Memory stays the same however large the tables are; a table that takes too long is left, and named.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from callctl.config_secrets import SecretField
from callctl.envelope import Malformed, NotOpened, Opener, Place, read
from callctl.files import read_sql
from callctl.keys import KeyRing
from callctl.secret_fields import ACCOUNTS, declared
from callctl.secret_rows import NotReadable, decode
from callctl.secret_tables import ARCHIVED

if TYPE_CHECKING:
    from psycopg import sql

    from callctl.config import Settings
    from callctl.database import Connection

# envelope: well formed. piece: text that holds a part of one. plaintext: what looks like a secret.
Kind: TypeAlias = Literal["envelope", "piece", "plaintext"]

SAMPLE = 5
ROWS_AT_ONCE = 500
# Known to be there, and meant to be readable: the application checks signatures with it.
READABLE = frozenset({(ACCOUNTS, "webhook_secret")})

_NAME = r"(?:password|passwd|passphrase|secret|token|api_?key|private_?key|access_?key|auth_?key|credential)s?"
_ENDS = ("password", "passwd", "passphrase", "secret", "token", "key", "credential")  # as such a name ends
_SECRET_NAME = re.compile(rf"{_NAME}$", re.IGNORECASE)
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
_SHAPE = re.compile("|".join(_SHAPES).replace(r"\m", r"\b").replace(r"\M", r"\b"))
# What is no secret although its name says so: a digest of one, a reference, a mask.
_NO_SECRET = re.compile(
    r"\$(2[abxy]?|argon2|scrypt|pbkdf2|6|5)\$|[a-z]+://[^:@]*$|[*x•]+$|(?:true|false|null|none)$", re.I
)
_SHORTEST = 8
_KID = re.compile(r'\\*"kid\\*"\s*:\s*\\*"([A-Za-z0-9._-]+)\\*"')

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


@dataclass
class Outside:
    """So many values of one field that look like a secret. ``key`` is that of an envelope, where it is known."""

    kind: Kind
    table: str
    field: str
    key: str | None
    values: int = 0
    rows: list[str] = dataclasses.field(default_factory=list)  # the first few, by primary key


@dataclass(frozen=True)
class Scan:
    """What was found, and the tables that were left because they took too long."""

    found: tuple[Outside, ...]
    cut_short: tuple[str, ...]

    def envelopes(self) -> int:
        """How many well-formed envelopes stand where no field is declared."""
        return sum(each.values for each in self.found if each.kind == "envelope")


@dataclass(frozen=True)
class _Table:
    schema: str
    name: str
    columns: tuple[tuple[str, bool], ...]  # name, and whether it is text
    keys: tuple[str, ...]


def scan(
    connection: Connection,
    settings: Settings,
    ring: KeyRing | None = None,
    *,
    timeout_ms: int | None = None,
    thorough: bool = True,
    stopped: Callable[[], bool] = lambda: False,
) -> Scan:
    """Scan, in the caller's transaction. A table may take ``timeout_ms`` (None: as long as it takes).

    ``ring`` tells under which key an envelope without a key id is, where it opens. Without ``thorough`` what stands
    beside a declared field in the same member of a document is passed over: every row would have to leave the server.
    ``stopped``: asked before each table, whether anybody still wants to know.
    """
    import psycopg

    finder = _Finder(settings, Opener(ring) if ring is not None else None)
    fields = () if thorough else declared(settings)
    typed = {
        row[0]
        for row in connection.execute(
            read_sql("scan/account_type.sql").encode(), {"schema": settings.schema}
        ).fetchall()
    }
    cut_short = []
    for table in _tables(connection, settings):
        if stopped():
            break
        try:
            with connection.transaction():
                connection.execute(read_sql("scan/settings.sql").encode(), {"timeout": str(timeout_ms or 0)})
                deadline = time.monotonic() + timeout_ms / 1000 if timeout_ms else None
                for row in _rows(connection, table, fields, table.name in typed, deadline):
                    finder.row(table, row)
        except (psycopg.errors.QueryCanceled, _TooLong):
            cut_short.append(f"{table.schema}.{table.name}")
    return Scan(tuple(finder.found.values()), tuple(cut_short))


class _TooLong(Exception):
    """A table has had its time."""


def _tables(connection: Connection, settings: Settings) -> Iterator[_Table]:
    rows = connection.execute(
        read_sql("scan/columns.sql").encode(), {"schema": settings.schema, "archived": list(ARCHIVED)}
    ).fetchall()
    columns: dict[tuple[str, str], list[tuple[str, bool]]] = {}
    keys: dict[tuple[str, str], tuple[str, ...]] = {}
    known = READABLE | {
        (each.table, each.column) for each in declared(settings) if not each.path and each.account_type is None
    }
    for schema, table, column, is_text, key in rows:
        if (table, column) not in known:
            columns.setdefault((schema, table), []).append((column, is_text))
            keys[schema, table] = tuple(key)
    for (schema, table), found in columns.items():
        yield _Table(schema, table, tuple(found), keys[schema, table])


def _rows(
    connection: Connection, table: _Table, fields: Sequence[SecretField], typed: bool, deadline: float | None
) -> Iterator[tuple[Any, ...]]:
    """The rows that may hold something; of ``fields``, the members they are in do not count."""
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
        if is_text and _SECRET_NAME.search(name):
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
    statement = sql.SQL(read_sql("scan/rows.sql")).format(  # type: ignore[arg-type, unused-ignore]
        row_id=sql.SQL("concat_ws(' ', {})").format(sql.SQL(", ").join(keys)) if keys else text("ctid"),
        table=column("relation") if saved else sql.Literal(table.name),
        account_type=account_type,
        base=base,
        columns=sql.SQL(", ").join(text(name) for name, _ in table.columns),
        relation=sql.Identifier(table.schema, table.name),
        texts=_together(texts),
        documents=_together(documents),
        named=sql.SQL(" ").join(named),
    )
    with contextlib.closing(_sent(connection, statement, few=bool(fields))) as rows:
        for number, row in enumerate(rows):
            if number % ROWS_AT_ONCE == 0 and deadline is not None and time.monotonic() > deadline:
                raise _TooLong
            yield row


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


class _Finder:
    """Looks at the rows that the server let through."""

    def __init__(self, settings: Settings, opener: Opener | None) -> None:
        self._opener = opener
        self._declared = declared(settings)
        self._known: dict[tuple[str, str | None], frozenset[str]] = {}
        self.found: dict[tuple[str, str, str, str | None], Outside] = {}

    def row(self, table: _Table, row: tuple[Any, ...]) -> None:
        row_id, name, account_type, base, *values = row
        known = self._known.get((name, account_type))
        if known is None:
            known = self._known[name, account_type] = frozenset(
                each.text for each in self._declared if each.table == name and each.account_type in (None, account_type)
            )
        shown = (
            name if table.schema != "callctl" else f"{table.name} of {name}" if base is not None else f"archived {name}"
        )
        for (column, is_text), raw in zip(table.columns, values, strict=True):
            if raw is None:
                continue
            path = column if base is None else base
            for where, kind, key in self._in(path, raw, is_text, known):
                outside = self.found.setdefault((kind, shown, where, key), Outside(kind, shown, where, key))
                outside.values += 1
                if len(outside.rows) < SAMPLE and row_id not in outside.rows:
                    outside.rows.append(row_id)

    def _in(self, path: str, raw: str, is_text: bool, known: frozenset[str]) -> Iterator[tuple[str, Kind, str | None]]:
        if is_text:
            if path not in known:
                yield from self._value(path, path, raw)
            return
        try:
            document = decode(raw)
        except NotReadable:
            yield path, "piece", _named(raw)
            return
        for where, name, value in _walk(document, path, path):
            if where not in known:
                yield from self._value(where, name, value)

    def _value(self, path: str, name: str, value: object) -> Iterator[tuple[str, Kind, str | None]]:
        try:
            envelope = read(value)
        except Malformed:
            text = value if isinstance(value, str) else ""
            if isinstance(value, dict) or (key := _named(text)) is not None or '"encrypted' in text:
                yield path, "piece", _named(str(value))
            return
        if envelope is None:
            text = str(value)
            if _SHAPE.search(text) or (_SECRET_NAME.search(name) and _like_a_secret(text)):
                yield path, "plaintext", None
            return
        key = envelope.key_id
        if key is None and self._opener is not None:
            try:
                key = self._opener.open(envelope, Place("", "", "", "")).key.id
            except NotOpened:
                key = None
        yield path, "envelope", key


def _walk(value: Any, path: str, name: str) -> Iterator[tuple[str, str, object]]:
    """Every string of a document, and every object that has a member authTag, with its path and the name it goes by."""
    waiting: list[tuple[Any, str, str]] = [(value, path, name)]
    while waiting:
        value, path, name = waiting.pop()
        if type(value) is str or (isinstance(value, dict) and "authTag" in value):
            yield path, name, value
        elif isinstance(value, dict):
            waiting += [(each, f"{path}.{key}" if path else key, key) for key, each in value.items()]
        elif isinstance(value, list):
            waiting += [(each, f"{path}[]", name) for each in value]


def _named(text: str) -> str | None:
    """The key id that a piece of an envelope names."""
    found = _KID.search(text)
    return found[1] if found else None


def _like_a_secret(text: str) -> bool:
    return len(text) >= _SHORTEST and not any(map(str.isspace, text)) and not _NO_SECRET.match(text)


def warnings(scanned: Scan) -> Iterable[str]:
    """What a person should read of it: a line each, without a value."""
    for each in scanned.found:
        rows = f"row {', '.join(each.rows)}{' and others' if each.values > len(each.rows) else ''}"
        place = f"{each.table}, {each.field}, {rows}"
        if each.kind == "plaintext":
            yield f"{each.values:,} values look like a secret in plaintext, outside the declared fields: {place}"
        else:
            under = f" under key {each.key}" if each.key else ""
            what = "envelopes" if each.kind == "envelope" else "pieces of envelopes"
            yield f"{each.values:,} {what}{under} outside the declared fields, which no rotation reaches: {place}"
    for name in scanned.cut_short:
        yield f"{name} was not scanned to its end: it takes longer than statement_timeout"
