"""What is in the rows that the server let through: envelopes, pieces of them, plaintext that looks like a secret."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from callctl.secrets.envelope import search as envelope_search
from callctl.secrets.envelope.cipher import Decrypter, NotDecrypted
from callctl.secrets.envelope.fields import ACCOUNTS, declared
from callctl.secrets.envelope.format import Envelope, Malformed, Place, read
from callctl.secrets.envelope.search import Found, Members
from callctl.secrets.inventory.scan_rows import LONGEST, SECRET_NAME, SHAPE, is_saved
from callctl.secrets.inventory.scan_tables import STORE, Column, Table

if TYPE_CHECKING:
    from callctl.config.settings import Settings

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
    """Looks at the rows that the server let through. What a statement finds counts once it is through."""

    def __init__(self, settings: Settings, decrypter: Decrypter | None) -> None:
        self._decrypter = decrypter
        self._declared = declared(settings)
        self._known: dict[tuple[str, str | None], frozenset[str]] = {}
        self._columns: tuple[Column, ...] = ()
        self._plaintext = self._again = False
        self._new: dict[tuple[object, ...], Outside] = {}
        self._new_unread: Counter[str] = Counter()
        # By the table's OID.
        self.found: dict[int, dict[tuple[object, ...], Outside]] = {}
        self.unread: dict[int, Counter[str]] = {}

    def has_plaintext(self, table: Table) -> bool:
        """Whether plaintext is looked for in it: elsewhere callctl does not know what is a secret."""
        return table.is_platforms or is_saved(table) or (table.schema == STORE and table.declared_as is not None)

    def columns(self, table: Table) -> tuple[Column, ...]:
        """Its columns without those that are a declared secret as a whole, which are counted elsewhere."""
        whole = {
            each.column
            for each in self._declared
            if each.table == table.declared_as and not each.path and each.account_type is None
        }
        if (table.schema, table.name) == (STORE, _KEPT[0]):
            whole.add(_KEPT[1])
        return tuple(column for column in table.columns if column.name not in whole)

    def begin(self, table: Table, columns: tuple[Column, ...], *, plaintext: bool, again: bool) -> None:
        """The rows of a statement come now. ``again``: of rows that have changed, declared fields count as well."""
        self._columns, self._plaintext, self._again = columns, plaintext, again
        self._new, self._new_unread = {}, Counter()

    def keep(self, table: Table) -> None:
        """The statement is through."""
        kept = self.found.setdefault(table.oid, {})
        for what, outside in self._new.items():
            if what in kept:
                kept[what].add(outside.values, outside.rows)
            else:
                kept[what] = outside
        self.unread.setdefault(table.oid, Counter()).update(self._new_unread)

    def forget(self, table: Table) -> None:
        """What was found in a table that is read from its beginning."""
        self.found.pop(table.oid, None)
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
                what = (kind, where, key, well_formed)
                if what not in self._new and len(self._new) >= MOST_FIELDS:
                    where, what = f"{column.name} and members", (kind, column.name, key, well_formed)
                if what not in self._new:
                    shown = _shown(table, base)
                    is_declared = where in known
                    self._new[what] = Outside(kind, shown, where, key, well_formed=well_formed, declared=is_declared)
                self._new[what].add(1, (row_id,))

    def _known_of(self, name: str, account_type: str | None) -> frozenset[str]:
        known = self._known.get((name, account_type))
        if known is None:
            known = self._known[name, account_type] = frozenset(
                each.text for each in self._declared if each.table == name and each.account_type in (None, account_type)
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
                envelope = read(text)
            except Malformed:
                envelope = None
            if envelope is not None:
                yield path, "envelope", self._key(envelope), True
                return
            anything = False
            for found in envelope_search.of_text(text):
                anything = True
                if found.state == "unread":
                    self._new_unread[self._column_of(path)] += 1
                else:
                    yield from self._found(path, found, inside=True)
            if anything:
                return
        if not self._plaintext or readable:
            return
        if SHAPE.search(text) or (SECRET_NAME.search(name) and _like_a_secret(text)):
            yield path, "plaintext", None, True

    def _column_of(self, path: str) -> str:
        return next((column.name for column in self._columns if path.startswith(column.name)), path)

    def _found(self, path: str, found: Found, *, inside: bool = False) -> Iterator[tuple[str, Kind, str | None, bool]]:
        if found.envelope is not None:
            yield path, "piece" if inside else "envelope", self._key(found.envelope), True
        else:
            yield path, "piece", found.key, False

    def _key(self, envelope: Envelope) -> str | None:
        if envelope.key_id is not None or self._decrypter is None:
            return envelope.key_id
        try:
            return self._decrypter.decrypt(envelope, _NOWHERE).key.id
        except NotDecrypted:
            return None


def _shown(table: Table, base: list[str] | None) -> str:
    """What a table is called: the platform's by its name alone."""
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
            found = envelope_search.of_object(value)
            if found is not None:
                yield path, name, found
                if found.state == "whole":
                    continue
            for key, member in value:
                if len(key) >= envelope_search.SHORTEST:
                    yield f"{path} (name of a member)", "", key
                    waiting.append((member, f"{path}.(long name)" if path else "(long name)", ""))
                else:
                    waiting.append((member, f"{path}.{key}" if path else key, key))
        elif isinstance(value, list):
            waiting += [(each, f"{path}[]", name) for each in value]


def _like_a_secret(text: str) -> bool:
    return len(text) >= _SHORTEST and not any(map(str.isspace, text)) and not _NO_SECRET.match(text)
