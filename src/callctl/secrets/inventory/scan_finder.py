"""The input and the results of a scan for secrets: the tables, their rows, and what is in a row."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from callctl.config.sections import SecretField
from callctl.files import read_sql
from callctl.secrets.envelope import search as envelope_search
from callctl.secrets.envelope.cipher import Decrypter, Envelope, Malformed, NotDecrypted, Place, read_envelope
from callctl.secrets.envelope.fields import ACCOUNTS, declared
from callctl.secrets.envelope.search import Found, Members
from callctl.secrets.rows.tables import ARCHIVED
from callctl.statements import naming

if TYPE_CHECKING:
    from psycopg import sql
    from psycopg.abc import Loader

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# Which tables a scan for secrets reads, in which of their columns it looks, and which tables it cannot look into.

STORE = "callctl"

# How a value is shown as text: a document, text itself, another type's text, bytes in hex, bytes inside another type.
# bits: a bit string, which no text of PostgreSQL's shows the bytes of.
Form: TypeAlias = Literal["json", "text", "other", "bytes", "mixed", "bits"]


class Column(NamedTuple):
    """A column that could hold an envelope; ``type`` is its OID, as text."""

    name: str
    type: str
    form: Form


@dataclass(frozen=True, order=True)
class NotLookedInto:
    """A table that was not looked into, or not all of it: ``name`` is 'schema.table', ``why`` a few words."""

    name: str
    why: str


@dataclass(frozen=True)
class Table:
    """A table to be scanned. ``pages`` is an estimate.

    ``declared_as``: the table whose declared fields it has, itself or the one that it is a partition or a child of;
    None if no declared field is in it. ``typed``: it has a column account_type.
    """

    oid: int
    schema: str
    name: str
    file: int | None
    pages: int
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    declared_as: str | None
    is_platforms: bool
    typed: bool

    @property
    def full_name(self) -> str:
        """'schema.table', as it is printed and named again."""
        return f"{self.schema}.{self.name}"

    @property
    def version(self) -> tuple[object, ...]:
        """The same for as long as no row can have got into another place or another column without being written."""
        return self.oid, self.file, self.columns


def tables_to_scan(connection: Connection, settings: Settings) -> tuple[list[Table], list[NotLookedInto]]:
    """The tables to read, the platform's first, and what cannot be looked into. Raises psycopg.Error."""
    names = {field.table for field in declared(settings)}
    tables, unscanned = [], []
    rows = connection.execute(read_sql("secrets/inventory/scan/relations.sql"), {"schema": settings.schema}).fetchall()
    for oid, schema, name, why_not, file, pages, keys, ancestors, typed, columns in rows:
        if why_not is not None:
            unscanned.append(NotLookedInto(f"{schema}.{name}", why_not))
            continue
        own = [Column(*column) for column in columns]
        bits = [column.name for column in own if column.form == "bits"]
        if bits:
            columns_are = "column {} is a bit string" if len(bits) == 1 else "columns {} are bit strings"
            unscanned.append(NotLookedInto(f"{schema}.{name}", columns_are.format(", ".join(bits))))
        is_platforms = schema == settings.schema
        declared_as = None
        if is_platforms or (schema == STORE and name in ARCHIVED):
            declared_as = name
        if name not in names:
            declared_as = next((ancestor for ancestor in ancestors if ancestor in names), declared_as)
        tables.append(
            Table(
                oid=oid,
                schema=schema,
                name=name,
                file=file,
                pages=pages,
                keys=tuple(keys),
                columns=tuple(column for column in own if column.form != "bits"),
                declared_as=declared_as,
                is_platforms=is_platforms,
                typed=typed,
            )
        )
    unscanned += [
        NotLookedInto(*row) for row in connection.execute(read_sql("secrets/inventory/scan/elsewhere.sql")).fetchall()
    ]
    return tables, unscanned


# The rows of which a scan for secrets has to look at: the few that the server lets through, by their text.

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


def rows_statement(
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
        own = [field for field in fields if (field.table, field.column) == (table.declared_as, name) and field.path]
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
        if table.name == naming.ROWS[1]:
            account_type = sql.SQL("t.contents ->> 'account_type'")
        base = sql.SQL("ARRAY[{}, {}]").format(
            column("relation"), column("field") if table.name == naming.VALUES[1] else sql.Literal("")
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
    """Return whether its rows are what callctl saved of another table's."""
    return naming.is_saved(table.schema, table.name)


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
            sql.SQL("concat_ws(chr(31), {})").format(sql.SQL(", ").join(joined[start : start + _ARGUMENTS]))
            for start in range(0, len(joined), _ARGUMENTS)
        ]
    return joined[0]


def _without(column: sql.Composable, fields: Sequence[SecretField], typed: bool) -> sql.Composable:
    """A jsonb column without the members of declared fields: in a row of another type they are not declared."""
    from psycopg import sql

    types = sorted({field.account_type for field in fields if field.account_type is not None}) if typed else []
    cases = [
        sql.SQL("WHEN {} THEN {}::text[]").format(
            sql.Literal(kind), sql.Literal([field.path[0] for field in fields if field.account_type in (None, kind)])
        )
        for kind in types
    ]
    rest = sql.SQL("{}::text[]").format(sql.Literal([field.path[0] for field in fields if field.account_type is None]))
    members = (
        sql.SQL("CASE t.account_type::text {} ELSE {} END").format(sql.SQL(" ").join(cases), rest) if cases else rest
    )
    return sql.SQL("CASE WHEN jsonb_typeof({0}) = 'object' THEN {0} - ({1}) ELSE {0} END").format(column, members)


# What is in the rows that the server let through: envelopes, pieces of them, plaintext that looks like a secret.

# envelope: a value is one, well formed. piece: text or bytes with one in them, or with a part of one.
# plaintext: what looks like a secret.
Kind: TypeAlias = Literal["envelope", "piece", "plaintext"]

SAMPLE = 5
# Fields of one table that are told apart; JSON may have a member's name for each row.
MOST_FIELDS = 1_000
# What is no secret although its name says so: a digest of one, a reference, a mask.
_NO_SECRET = re.compile(
    r"\$(2[abxy]?|argon2|scrypt|pbkdf2|6|5)\$|[a-z]+://[^:@]*$|[*x•]+$|(?:true|false|null|none)$", re.I
)
_SHORTEST = 8
# Known to be there, and meant to be readable: the application checks signatures with it.
_READABLE = frozenset({(ACCOUNTS, "webhook_secret")})
# Encrypted by callctl itself, and rotated with the declared fields.
_KEPT = ("kept_webhook_secret", "webhook_secret")
_NOWHERE = Place("", "", "", "")
_NONE: frozenset[str] = frozenset()


@dataclass
class Outside:
    """Values of one field that look like a secret. ``key`` is that of an envelope, where it is known.

    ``well_formed``: there is a whole envelope. ``declared``: the field is declared, and the row was written while the
    scan was under way.
    """

    kind: Kind
    table: str
    field: str
    key: str | None
    values: int = 0
    rows: list[str] = dataclasses.field(default_factory=list)  # the first few, by primary key
    well_formed: bool = True
    declared: bool = False

    def add(self, values: int, rows: Iterable[str]) -> None:
        """Count more of them."""
        self.values += values
        for row in rows:
            if len(self.rows) < SAMPLE and row not in self.rows:
                self.rows.append(row)


class Finder:
    """Looks at the rows that the server let through. What a statement finds counts once it is finished."""

    def __init__(self, settings: Settings, decrypter: Decrypter | None) -> None:
        self._decrypter = decrypter
        self._declared = declared(settings)
        self._known: dict[tuple[str, str | None], frozenset[str]] = {}
        self._columns: tuple[Column, ...] = ()
        self._plaintext = self._again = False
        self._new: dict[tuple[object, ...], Outside] = {}
        self._new_unread: Counter[str] = Counter()
        # By the table's OID.
        self.by_table: dict[int, dict[tuple[object, ...], Outside]] = {}
        self.unread: dict[int, Counter[str]] = {}

    def has_plaintext(self, table: Table) -> bool:
        """Return whether plaintext is looked for in it: elsewhere callctl does not know what is a secret."""
        return table.is_platforms or is_saved(table) or (table.schema == STORE and table.declared_as is not None)

    def columns(self, table: Table) -> tuple[Column, ...]:
        """Its columns without those that are a declared secret as a whole, which are counted elsewhere."""
        whole = {
            field.column
            for field in self._declared
            if field.table == table.declared_as and not field.path and field.account_type is None
        }
        if (table.schema, table.name) == (STORE, _KEPT[0]):
            whole.add(_KEPT[1])
        return tuple(column for column in table.columns if column.name not in whole)

    def begin(self, table: Table, columns: tuple[Column, ...], *, plaintext: bool, again: bool) -> None:
        """The rows of a statement come now. ``again``: of rows that have changed, declared fields count as well."""
        self._columns, self._plaintext, self._again = columns, plaintext, again
        self._new, self._new_unread = {}, Counter()

    def keep(self, table: Table) -> None:
        """The statement is finished."""
        kept = self.by_table.setdefault(table.oid, {})
        for identity, outside in self._new.items():
            if identity in kept:
                kept[identity].add(outside.values, outside.rows)
            else:
                kept[identity] = outside
        self.unread.setdefault(table.oid, Counter()).update(self._new_unread)

    def forget(self, table: Table) -> None:
        """Forget the values found in a table, which is then read from its beginning."""
        self.by_table.pop(table.oid, None)
        self.unread.pop(table.oid, None)

    def row(self, table: Table, row: tuple[Any, ...]) -> None:
        row_id, account_type, base, *values = row
        name = base[0] if base is not None else table.declared_as
        for column, raw in zip(self._columns, values, strict=True):
            if not raw:
                continue
            if len(raw) > LONGEST:
                self._new_unread[column.name] += 1
                continue
            # What callctl left in a value's place is in no census.
            known = _NONE if name is None or column.name == "left_there" else self._known_of(name, account_type)
            if (table.schema, table.name, column.name) == (STORE, *_KEPT):
                known = frozenset({_KEPT[1]})
            path = column.name if base is None else base[1]
            for where, kind, key, well_formed in self._in(column, path, raw, known, name):
                identity = (kind, where, key, well_formed)
                if identity not in self._new and len(self._new) >= MOST_FIELDS:
                    where, identity = f"{column.name} and members", (kind, column.name, key, well_formed)
                if identity not in self._new:
                    shown = _shown(table, base)
                    is_declared = where in known
                    self._new[identity] = Outside(
                        kind, shown, where, key, well_formed=well_formed, declared=is_declared
                    )
                self._new[identity].add(1, (row_id,))

    def _known_of(self, name: str, account_type: str | None) -> frozenset[str]:
        known = self._known.get((name, account_type))
        if known is None:
            known = self._known[name, account_type] = frozenset(
                field.text
                for field in self._declared
                if field.table == name and field.account_type in (None, account_type)
            )
        return known

    def _in(
        self, column: Column, path: str, raw: str, known: frozenset[str], name: str | None
    ) -> Iterator[tuple[str, Kind, str | None, bool]]:
        if column.form != "json" or (document := envelope_search.parsed(raw)) is None:
            if self._again or path not in known:
                yield from self._text(path, path, raw, readable=(name, path) in _READABLE)
            return
        for where, member, value in _walk(document, path, path):
            if not self._again and where in known:
                continue
            if isinstance(value, str):
                yield from self._text(where, member, value)
            else:
                yield from self._found(where, value)

    def _text(
        self, path: str, name: str, text: str, *, readable: bool = False
    ) -> Iterator[tuple[str, Kind, str | None, bool]]:
        if envelope_search.may_hold(text):
            try:
                envelope = read_envelope(text)
            except Malformed:
                envelope = None
            if envelope is not None:
                yield path, "envelope", self._key(envelope), True
                return
            anything = False
            for hit in envelope_search.of_text(text):
                anything = True
                if hit.state == "unread":
                    self._new_unread[self._column_of(path)] += 1
                else:
                    yield from self._found(path, hit, inside=True)
            if anything:
                return
        if not self._plaintext or readable:
            return
        if SHAPE.search(text) or (SECRET_NAME.search(name) and _like_a_secret(text)):
            yield path, "plaintext", None, True

    def _column_of(self, path: str) -> str:
        return next((column.name for column in self._columns if path.startswith(column.name)), path)

    def _found(self, path: str, hit: Found, *, inside: bool = False) -> Iterator[tuple[str, Kind, str | None, bool]]:
        if hit.envelope is not None:
            yield path, "piece" if inside else "envelope", self._key(hit.envelope), True
        else:
            yield path, "piece", hit.key, False

    def _key(self, envelope: Envelope) -> str | None:
        if envelope.key_id is not None or self._decrypter is None:
            return envelope.key_id
        try:
            return self._decrypter.decrypt(envelope, _NOWHERE).key.id
        except NotDecrypted:
            return None


def _shown(table: Table, base: list[str] | None) -> str:
    """Return a table's name for messages: a platform table without its schema."""
    if base is not None:
        return f"{table.name} of {base[0]}"
    if table.schema == STORE and table.declared_as is not None:
        return f"archived {table.name}"
    return table.name if table.is_platforms else table.full_name


def _walk(value: Any, path: str, name: str) -> Iterator[tuple[str, str, str | Found]]:
    """Every string of a document, every member's name that is long enough, and every object with a member authTag:
    with its path and the name that it goes by.
    """
    waiting: list[tuple[Any, str, str]] = [(value, path, name)]
    while waiting:
        value, path, name = waiting.pop()
        if type(value) is str:
            yield path, name, value
        elif isinstance(value, Members):
            hit = envelope_search.of_object(value)
            if hit is not None:
                yield path, name, hit
                if hit.state == "whole":
                    continue
            for key, member in value:
                if len(key) >= envelope_search.SHORTEST:
                    yield f"{path} (name of a member)", "", key
                    waiting.append((member, f"{path}.(long name)" if path else "(long name)", ""))
                else:
                    waiting.append((member, f"{path}.{key}" if path else key, key))
        elif isinstance(value, list):
            waiting += [(item, f"{path}[]", name) for item in value]


def _like_a_secret(text: str) -> bool:
    return len(text) >= _SHORTEST and not any(map(str.isspace, text)) and not _NO_SECRET.match(text)
