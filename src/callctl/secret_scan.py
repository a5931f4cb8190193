"""Envelopes and plaintext that looks like a secret, outside the declared fields: found by a scan of JSON and text.

A guess, for a person to look at: nothing is written, and what is found is told by table, field and row, never by value.
Memory stays the same however large the tables are; a table that takes too long is left, and named.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from callctl.envelope import NotOpened, Opener
from callctl.envelope_form import Malformed, Place, read
from callctl.files import read_sql
from callctl.keys import KeyRing
from callctl.secret_fields import declared
from callctl.secret_rows import NotReadable, decode
from callctl.secret_scan_rows import SECRET_NAME, SHAPE, Table, TooLong, rows, tables

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection

# envelope: well formed. piece: text that holds a part of one. plaintext: what looks like a secret.
Kind: TypeAlias = Literal["envelope", "piece", "plaintext"]

SAMPLE = 5
# What is no secret although its name says so: a digest of one, a reference, a mask.
_NO_SECRET = re.compile(
    r"\$(2[abxy]?|argon2|scrypt|pbkdf2|6|5)\$|[a-z]+://[^:@]*$|[*x•]+$|(?:true|false|null|none)$", re.I
)
_SHORTEST = 8
_KID = re.compile(r'\\*"kid\\*"\s*:\s*\\*"([A-Za-z0-9._-]+)\\*"')


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
    for table in tables(connection, settings):
        if stopped():
            break
        try:
            with connection.transaction():
                connection.execute(read_sql("scan/settings.sql").encode(), {"timeout": str(timeout_ms or 0)})
                deadline = time.monotonic() + timeout_ms / 1000 if timeout_ms else None
                for row in rows(connection, table, fields, table.name in typed, deadline):
                    finder.row(table, row)
        except (psycopg.errors.QueryCanceled, TooLong):
            cut_short.append(f"{table.schema}.{table.name}")
    return Scan(tuple(finder.found.values()), tuple(cut_short))


class _Finder:
    """Looks at the rows that the server let through."""

    def __init__(self, settings: Settings, opener: Opener | None) -> None:
        self._opener = opener
        self._declared = declared(settings)
        self._known: dict[tuple[str, str | None], frozenset[str]] = {}
        self.found: dict[tuple[str, str, str, str | None], Outside] = {}

    def row(self, table: Table, row: tuple[Any, ...]) -> None:
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
            if SHAPE.search(text) or (SECRET_NAME.search(name) and _like_a_secret(text)):
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
