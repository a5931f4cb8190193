"""A row that may hold secrets: where they are, which version each is to have, and what is to be done about it.

JSON passes through here without a change to anything but the secrets: a number keeps its digits (1.10 and 1e400 too),
since it is never made a float.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

from callctl.config.sections import SecretField
from callctl.secrets.envelope.cipher import BOUND, LABELS, Envelope
from callctl.secrets.envelope.fields import ACCOUNTS, ARRAY, CREDENTIALS, DECLARED, applicable, walk
from callctl.secrets.rows.credentials import Stray, could_hold, strays

# Which version a value is to have, and which values a rotation must leave: those that a bound field should not have.
#
# A value of version 2 opens in its own row and field only. Once all values of a field are bound, one that is not was
# written past the binding: by an application that does not bind, or by an attacker who copied it from another row. To
# bind it would make it genuine, so a rotation does that only where an operator has named the row.

# What becomes of version 2, whose values are bound to their row and field: see docs/reference/envelope.md. ``keep``: a
# bound value stays bound, a new one is not; ``bind`` binds all; ``unbind`` none.
Binding: TypeAlias = Literal["keep", "bind", "unbind"]


# How the webhook secrets that callctl keeps are recorded, beside the tables of the platform.
KEPT = "kept_webhook_secret"


class FieldName(NamedTuple):
    """A declared field as callctl's schema records it; ``account_type`` is '' for a field of all types."""

    table: str
    account_type: str
    path: str

    def __str__(self) -> str:
        return f"{self.account_type} {self.path}" if self.account_type else self.path


class RowName(NamedTuple):
    """A row of the platform's: its table as the specification calls it, and its primary key as PostgreSQL prints it."""

    table: str
    row_id: str


@dataclass(frozen=True)
class Rule:
    """The rule of a rotation about envelope versions.

    ``bound``: the fields that an earlier one has bound; ``named``: the rows whose unbound values an operator wants
    bound.
    """

    binding: Binding = "keep"
    bound: frozenset[FieldName] = frozenset()
    named: frozenset[RowName] = frozenset()

    def requires_bound(self, table: str, account_type: str | None, path: str) -> bool:
        """Return whether an unbound value of this field is left as it is, unless its row is named."""
        if self.binding == "unbind" or not self.bound:
            return False
        return FieldName(table, "", path) in self.bound or FieldName(table, account_type or "", path) in self.bound

    def wanted(self, version: int) -> int:
        """The version that a value of some version is to have where no field requires bound values; 0 is plaintext,
        and an envelope that carries none.
        """
        if self.binding == "bind":
            return BOUND
        return version if version in LABELS and self.binding == "keep" else 1

    def version(self, recorded: str, row: RowName, account_type: str | None, path: str, version: int) -> int | None:
        """The version that a value is to have; None if it is unbound in a bound field, and to be left. ``recorded``
        is the table of its field as the record has it.
        """
        if version in LABELS or not self.requires_bound(recorded, account_type, path):
            return self.wanted(version)
        return BOUND if row in self.named else None


UNBOUND = "unbound"


def unbound(version: int | None, key_id: str | None, foreign: str | None = None) -> str:
    """Why a value is left that is unbound in a bound field. ``version`` is None if it is no envelope of callctl's:
    plaintext, or in the form of ``foreign``, which is another tool's ciphertext.
    """
    if foreign is not None:
        return f"{UNBOUND}: ciphertext of {foreign} in a bound field; --bind-new binds it only with --encrypt-foreign"
    if version is None:
        return f"{UNBOUND}: plaintext in a bound field"
    form = f"version {version}" if version else "an envelope without a version"
    key = f" under key {key_id}" if key_id else ""
    return f"{UNBOUND}: {form}{key} in a bound field"


# A row that may hold secrets: what is read of it, where in it the secrets are, and how a new value is put in.

# How a column holds its secrets: inside a jsonb document; as text; as members of a row that callctl saved; or inside a
# value that callctl saved.
Form: TypeAlias = Literal["json", "text", "row", "value"]
Where: TypeAlias = Literal["live", "archived", "saved"]

# What stands for a number while Python has it, until it is written: no one else can know it.
_MARK = secrets.token_hex(16)
_MARKED = re.compile(f'"{_MARK}([-+0-9.eE]*){_MARK}"')


class Number(str):
    """A JSON number in its own digits. No string: ``type(value) is str`` tells them apart."""

    __slots__ = ()


def _number(digits: str) -> Number:
    return Number(f"{_MARK}{digits}{_MARK}")


def _integer(digits: str) -> int | Number:
    return int(digits) if len(digits) <= _CONVERTED else _number(digits)


# Python converts no longer integers; a document that has one is read again, more slowly.
_CONVERTED = 4_000
_DECODER = json.JSONDecoder(parse_float=_number)
_LONG_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_integer)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def decode(text: str) -> Any:
    """A jsonb value as PostgreSQL prints it. Raises NotReadable if it is nested too deeply."""
    try:
        value, end = _DECODER.raw_decode(text)
        return value if end == len(text) else _DECODER.decode(text)
    except RecursionError:
        raise NotReadable("nested too deeply") from None
    except ValueError:
        return _LONG_DECODER.decode(text)


def encode(value: Any) -> str:
    """JSON that is equal, as jsonb, to what :func:`decode` read; to all of it but what has been replaced since."""
    text = _ENCODER.encode(value)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


# The name of a member as JSON; few names, asked for with each row.
encode_name = lru_cache(maxsize=256)(encode)


class NotReadable(ValueError):
    """A column that should hold secrets and is nothing that can. ``reason`` repeats nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = f"malformed: {reason}"


# `sealed`: it opens, or (without a key ring) has the shape of an envelope. unreadable: it does not open, or is neither.
# foreign: it has the form of another tool's ciphertext. misshapen: no declared path reaches it, see credentials.strays.
State: TypeAlias = Literal["sealed", "plaintext", "unreadable", "foreign", "misshapen"]


class Secret:
    """One value of a row, where it is, and what becomes of it: ``rows.decisions`` fills that in.

    It is ``container[key]``; ``as_text``: an envelope goes there as JSON text. ``key_id`` is the id that the value
    names, or that of the key that opens it; None if neither is known. ``wanted`` is the version that it is to be
    encrypted in; None if it is left. ``reason``: why it is left though it is not as it should be; it begins with one
    of a few words, and repeats no value. ``unbound``: because it is unbound in a bound field. ``form`` is that of
    another tool's ciphertext. ``text`` is the new envelope.
    """

    # Most keep most of these: a loop over millions sets only what differs.
    state: State = "sealed"
    reason: str | None = None
    envelope: Envelope | None = None
    key_id: str | None = None
    form: str | None = None
    wanted: int | None = None
    unbound: bool = False
    plaintext: bytes = b""
    text: str = ""
    row: Row
    column: int

    def __init__(self, path: str, container: Any, key: str | int, value: object, as_text: bool) -> None:
        self.path = path
        self.container = container
        self.key = key
        self.value = value
        self.as_text = as_text


@dataclass(frozen=True)
class Part:
    """One column of a target. ``inside``, of a saved value: its place in its column ('settings.call': 'call')."""

    table: str
    column: str
    form: Form
    fields: tuple[SecretField, ...]
    inside: tuple[str, ...] = ()
    _by_type: dict[str | None, tuple[SecretField, ...]] = field(default_factory=dict, repr=False, compare=False)
    # Of these, the members of the document itself, with their paths: the most by far; and the rest.
    _flat: dict[str | None, tuple[tuple[str, str], ...]] = field(default_factory=dict, repr=False, compare=False)
    _deep: dict[str | None, tuple[SecretField, ...]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def is_credentials(self) -> bool:
        """Whether this is the column whose shape the specification gives."""
        return self.form == "json" and (self.table, self.column) == (ACCOUNTS, CREDENTIALS)

    @cached_property
    def by_member(self) -> bool:
        """Whether a new value is merged into the column, member by member of a jsonb object."""
        return self.form == "json" and not self.replaces

    @cached_property
    def replaces(self) -> bool:
        """Whether a new value takes the old one's place; otherwise its members are merged into it."""
        return self.form in ("text", "value") or any(secret_field.path[:1] == (ARRAY,) for secret_field in self.fields)

    @cached_property
    def as_specified(self) -> bool:
        """Whether all of its fields are the specification's."""
        return set(self.fields) <= set(DECLARED)

    @property
    def _whole(self) -> bool:
        """Whether a saved value is itself the secret."""
        return not self.inside and any(not secret_field.path for secret_field in self.fields)

    def of_type(self, account_type: str | None) -> tuple[SecretField, ...]:
        """Its fields in a row of this type."""
        fields = self._by_type.get(account_type)
        if fields is None:
            fields = tuple(
                secret_field for secret_field in self.fields if secret_field.account_type in (None, account_type)
            )
            self._by_type[account_type] = fields
            flat = [secret_field for secret_field in fields if self.by_member and len(secret_field.path) == 1]
            self._flat[account_type] = tuple((secret_field.text, secret_field.path[0]) for secret_field in flat)
            self._deep[account_type] = tuple(secret_field for secret_field in fields if secret_field not in flat)
        return fields

    def members(self, account_type: str | None) -> tuple[tuple[tuple[str, str], ...], tuple[SecretField, ...]]:
        """The fields, if :attr:`by_member` holds, in a row of this type that are members of the document itself, each
        with its path; and the others.
        """
        self.of_type(account_type)
        return self._flat[account_type], self._deep[account_type]

    def take_apart(self, raw: str, account_type: str | None) -> tuple[Any, list[Secret]]:
        """The column's value, and the secrets in it. Raises NotReadable."""
        if self.form == "text":
            fields = self.of_type(account_type)
            root: Any = [raw]
            return root, [Secret(fields[0].text, root, 0, raw, True)] if fields else []
        root = decode(raw)
        if self.form == "json":
            if not isinstance(root, list if self.replaces else dict):
                if not could_hold(root):  # null, an empty text, an empty list
                    return root, []
                raise NotReadable("not an object")
            flat, deep = self.members(account_type)
            found = []
            for path, name in flat:  # none, in a list
                value = root.get(name)  # type: ignore[union-attr, unused-ignore]
                if value is not None:
                    found.append(Secret(path, root, name, value, False))
            found += [Secret(*location, False) for location in walk(root, deep)]
            return root, found
        if self.form == "row":
            return root, self._of_a_row(root, account_type)
        for name in reversed(self.inside):
            root = {name: root}
        if self._whole:
            root = [root]
            return root, [
                Secret(secret_field.text, root, 0, root[0], True) for secret_field in self.of_type(account_type)[:1]
            ]
        return root, [Secret(*location, False) for location in walk(root, self.of_type(account_type))]

    def strays(self, root: Any, account_type: str | None, *, whatever: bool = False) -> list[Stray]:
        """The places in the parsed column that could hold a secret and that no path reaches: see :func:`strays`."""
        fields = self.of_type(account_type)
        if self.form == "text" or self._whole:
            return []
        if self.form != "row":
            column = self.column if self.form == "json" else self.fields[0].column
            return strays(root, fields, self.table, column, whatever=whatever)
        stray_places: list[Stray] = []
        for column in dict.fromkeys(secret_field.column for secret_field in self.fields if secret_field.path):
            own = applicable(self.fields, self.table, column, account_type)
            stray_places += strays(root.get(column), own, self.table, column, whatever=whatever)
        return stray_places

    def _of_a_row(self, row: Any, account_type: str | None) -> list[Secret]:
        if not isinstance(row, dict):
            raise NotReadable("not an object")
        found: list[Secret] = []
        for column in dict.fromkeys(secret_field.column for secret_field in self.fields):
            value = row.get(column)
            if value is None:
                continue
            fields = applicable(self.fields, self.table, column, account_type)
            if any(not secret_field.path for secret_field in fields):
                found.append(Secret(column, row, column, value, True))
            found += [
                Secret(*location, False)
                for location in walk(value, [secret_field for secret_field in fields if secret_field.path])
            ]
        return found

    def written(self, root: Any, changed: Iterable[Secret]) -> Any:
        """Return the smallest text to write after some of its secrets were replaced."""
        if self.form == "value":
            if self._whole:
                return root[0]
            for name in self.inside:
                root = root[name]
            return root
        if self.replaces:
            return root
        # 'credentials.turnServers[].credential' is written with the rest of turnServers, and with nothing else.
        skip = 0 if self.form == "row" else len(self.column) + 1
        return {top: root[top] for top in {_first(secret.path[skip:]) for secret in changed}}


def _first(path: str) -> str:
    """'turnServers' of 'turnServers[].credential'."""
    return path.partition(".")[0].partition("[")[0]


@dataclass(frozen=True)
class SecretTable:
    """One table, or what callctl saved of one, with the columns that may hold secrets.

    ``key``, ``row_id``, ``company``, ``account_type`` and ``condition`` are SQL about the row ``t``, put together from
    quoted names. ``key`` is what ranges go by, ``row_id`` the primary key of the platform's row. ``is_kept``:
    the webhook secrets that were replaced, which callctl alone encrypts.
    """

    name: str
    table: str
    where: Where
    relation: tuple[str, str]
    key: str
    key_type: str
    row_id: str
    company: str
    account_type: str
    condition: str
    parts: tuple[Part, ...]
    # Whether a key is there once. Of a table with inheritance children it may not be.
    unique: bool = True
    is_kept: bool = False

    @property
    def recorded(self) -> str:
        """Its table as callctl.bound_field names it: what callctl keeps is no field of the account's."""
        return KEPT if self.is_kept else self.table


class Row(NamedTuple):
    """One row as it was read: its key and its version, whose it is, and its columns as text.

    No other row, and no other state of this one, has its version: table, place in it (``ctid``), and ``xmin``.
    """

    key: str
    version: str
    row_id: str
    company_id: str
    account_type: str | None
    values: tuple[str | None, ...]


def as_row(fetched: tuple[Any, ...]) -> Row:
    """A row of ``sql/secrets/rows/target/read.sql`` and its kin."""
    return Row._make((*fetched[:5], fetched[5:]))


# What is to be done about one row of secrets: new values, what they were before, and what was left.

PLAINTEXT = "plaintext"
# What another tool has encrypted, where it was to be encrypted once more. No id of a key has a space.
FOREIGN = "foreign ciphertext"
# Failures that are listed, of a range or of all; all are counted.
MOST_LISTED = 1_000


class Change(NamedTuple):
    """One value that is encrypted under the primary key; ``was`` is 'plaintext', or the id of the key it was under."""

    account_type: str | None
    path: str
    was: str

    def as_json(self) -> dict[str, Any]:
        """As the store has it, without the count."""
        return {"account_type": self.account_type, "field": self.path, "from": self.was}


# One object for all changes that are the same: they are counted by the million.
change = lru_cache(maxsize=4_096)(Change)


class Failure(NamedTuple):
    """One value left as it was. ``reason`` begins with one of a few words; never a value."""

    path: str
    reason: str


class Reencrypted(NamedTuple):
    """The changes of one row: a new text for each column, or None to leave the column.

    ``misshapen`` is the account type whose shape its credentials do not have: see credentials.problems.
    """

    values: tuple[str | None, ...]
    changes: tuple[Change, ...]
    failures: tuple[Failure, ...]
    misshapen: str | None = None
