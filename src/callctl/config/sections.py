"""The parts of callctl.yaml that have entries of their own: keys, secret fields, accepted differences."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from callctl.config.file import Unusable
from callctl.redaction import looks_like_a_key

# The sections of callctl.yaml about secrets: where keys come from, and which fields hold a secret.
#
# A key's value is never here, and no message repeats what may be one: a name is shown only where it cannot be
# mistaken for a key.

SourceKind: TypeAlias = Literal["env", "file", "command"]

# How long a key command may take.
COMMAND_SECONDS = 30.0

# The form of an id in a message, a table and an envelope: short, one word, ASCII.
KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_HEX = re.compile(r"[0-9A-Fa-f]{8,}")
MEMBER = re.compile(r"[^\s.\[\]\\\x00-\x1f]{1,100}")


@dataclass(frozen=True)
class KeyEntry:
    """One key of the ring: its id, and where its value comes from. ``legacy``: tried for values without a key id.

    ``show_stderr``: what a command that fails wrote to stderr may be shown, with what may be a secret hidden.
    """

    id: str
    kind: SourceKind
    # The variable's name, the file's absolute path, or the program and its arguments; never shown as a whole,
    # since an argument may be a token.
    location: tuple[str, ...] = field(repr=False)
    legacy: bool = False
    show_stderr: bool = False

    @property
    def source(self) -> str:
        """The source of the value in messages: 'env NAME', 'file PATH', 'command PROGRAM'."""
        return f"{self.kind} {self.location[0]}"


@dataclass(frozen=True)
class KeyConfig:
    """The section ``keys``: which key encrypts, and the ring of those that decrypt."""

    primary: str
    ring: tuple[KeyEntry, ...]


@dataclass(frozen=True)
class SecretField:
    """A field that holds a secret: a whole text column (``path`` empty), or a place inside a jsonb column.

    ``table`` is the logical name, without a schema; ``account_type`` None means rows of any type. In ``path``
    the part ``[]`` stands for every position of an array. ``optional``: there may be rows, and none that has the path.
    """

    table: str
    account_type: str | None
    column: str
    path: tuple[str, ...] = ()
    # The same field all the same.
    optional: bool = field(default=False, compare=False)

    @cached_property
    def text(self) -> str:
        """The field as a place in an envelope and a report name it: 'credentials.turnServers[].credential'."""
        return ".".join((self.column, *self.path)).replace(".[]", "[]")


def is_key_id(value: object) -> bool:
    """Return whether ``value`` can be a key's id: 1 to 40 ASCII letters, digits, dots, underscores and hyphens."""
    return isinstance(value, str) and _fits(value)


@lru_cache(maxsize=256)  # the same few ids are in millions of envelopes
def _fits(text: str) -> bool:
    return bool(KEY_ID.fullmatch(text)) and not looks_like_a_key(text)


# ---- keys ----------------------------------------------------------------------------------------------

KEY_ENTRIES = ("primary", "ring")
RING_ENTRIES = ("id", "env", "file", "command", "legacy", "show_stderr")
_SOURCES: tuple[SourceKind, ...] = ("env", "file", "command")
_RING_HINT = "write a key as {id: k1, env: ENCRYPTION_KEY}, with env, file or command"
_ID_HINT = "give an id of 1 to 40 letters, digits, dots, underscores and hyphens, in quotes if it is a number"


def parse_keys(value: object, directory: Path) -> KeyConfig:
    """The section ``keys``; a key file's path is taken from ``directory``. Raises Unusable."""
    section = _mapping(value, "", KEY_ENTRIES, "write `primary:` and `ring:` under `keys:`")
    ring_value = section.get("ring")
    if not isinstance(ring_value, list) or not ring_value:
        raise Unusable(".ring is not a list of keys", _RING_HINT)
    ring = tuple(_key(ring_entry, f".ring[{number}]", directory) for number, ring_entry in enumerate(ring_value))
    number = _repeated([entry.id for entry in ring])
    if number is not None:
        raise Unusable(
            f".ring[{number}] repeats the id of another key: {ring[number].id}", "give each key a different id"
        )
    primary = section.get("primary")
    if primary is None:
        raise Unusable(".primary is missing", "name the key that encrypts, by its id: primary: k1")
    if not isinstance(primary, str) or not is_key_id(primary):
        raise Unusable(".primary is not a key's id", _ID_HINT)
    if primary not in (entry.id for entry in ring):
        raise Unusable(
            f".primary is not in the ring: {primary}", "the ring has " + ", ".join(entry.id for entry in ring)
        )
    return KeyConfig(primary, ring)


def _key(value: object, where: str, directory: Path) -> KeyEntry:
    entry = _mapping(value, where, RING_ENTRIES, _RING_HINT)
    key_id = entry.get("id")
    if not is_key_id(key_id):
        raise Unusable(f"{where} {'has no id' if key_id is None else 'has an id that cannot be used'}", _ID_HINT)
    where = f"{where} ({key_id})"
    for name in ("legacy", "show_stderr"):
        if not isinstance(entry.get(name, False), bool):
            raise Unusable(f"{where}.{name} is not true or false", "use true or false")
    kinds = [kind for kind in _SOURCES if entry.get(kind) is not None]
    if len(kinds) != 1:
        named = " and ".join(kinds) if kinds else "none"
        raise Unusable(f"{where} needs exactly one source, but has {named}", _RING_HINT)
    if "show_stderr" in entry and kinds[0] != "command":
        raise Unusable(f"{where}.show_stderr applies to a command only", "leave it out")
    location = _location(kinds[0], entry[kinds[0]], where, directory)
    return KeyEntry(
        str(key_id), kinds[0], location, bool(entry.get("legacy")), show_stderr=bool(entry.get("show_stderr"))
    )


def _location(kind: SourceKind, value: object, where: str, directory: Path) -> tuple[str, ...]:
    parts = value if kind == "command" and isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) and part.strip() and "\x00" not in part for part in parts):
        raise Unusable(f"{where}.{kind} is not {'a list of' if kind == 'command' else 'a'} text", _RING_HINT)
    if kind == "command" and not isinstance(value, list):
        hint = "write the command's parts as a list, since it runs without a shell: command: [vault, kv, get, …]"
        raise Unusable(f"{where}.command is not a list", hint)
    first = str(parts[0])
    if looks_like_a_key(first) or all(_HEX.fullmatch(str(part)) for part in parts):
        hint = "name the place of the key, not the key; if other users could read the file, make a new key"
        raise Unusable(f"{where}.{kind} looks like a key, not the place of a key", hint)
    if kind == "env" and not VARIABLE.fullmatch(first):
        raise Unusable(f"{where}.env is not the name of a variable", "write env: ENCRYPTION_KEY, without $ or braces")
    if kind == "file":
        try:
            return (str(directory / Path(first).expanduser()),)
        except RuntimeError:  # an unknown ~user
            raise Unusable(f"{where}.file begins with a home directory that does not exist", _RING_HINT) from None
    return tuple(str(part) for part in parts)


# ---- secrets -------------------------------------------------------------------------------------------

SECRETS_ENTRIES = ("fields",)
FIELD_ENTRIES = ("table", "column", "path", "account_type", "optional")
_FIELD_HINT = "write a field as {table: integrations, column: config, path: apiKey}"


def parse_secrets(value: object, directory: Path) -> tuple[SecretField, ...]:
    """The section ``secrets``: the fields declared beside the documented ones. Raises Unusable."""
    section = _mapping(value, "", SECRETS_ENTRIES, "write `fields:` under `secrets:`")
    fields_value = section.get("fields")
    if not isinstance(fields_value, list):
        raise Unusable(".fields is not a list of fields", _FIELD_HINT)
    fields = tuple(_field(entry, f".fields[{number}]") for number, entry in enumerate(fields_value))
    number = _repeated(fields)
    if number is not None:
        raise Unusable(f".fields[{number}] is a duplicate of a field above it", "remove one of the two entries")
    return fields


def _field(value: object, where: str) -> SecretField:
    entry = _mapping(value, where, FIELD_ENTRIES, _FIELD_HINT)
    for name in ("table", "column"):
        if entry.get(name) is None:
            raise Unusable(f"{where} has no {name}", _FIELD_HINT)
    for name in ("table", "column", "path", "account_type"):
        if entry.get(name) is not None and not isinstance(entry[name], str):
            raise Unusable(f"{where}.{name} is not text", _FIELD_HINT)
    optional = entry.get("optional", False)
    if not isinstance(optional, bool):
        raise Unusable(f"{where}.optional is not true or false", "use true or false")
    for name in ("table", "column", "account_type"):
        if entry.get(name) is not None and not MEMBER.fullmatch(str(entry[name])):
            raise Unusable(
                f"{where}.{name} is not a single name", "give the name without a schema, dots, brackets or spaces"
            )
    account_type = entry.get("account_type")
    return SecretField(
        table=str(entry["table"]),
        account_type=None if account_type is None else str(account_type),
        column=str(entry["column"]),
        path=_path(entry.get("path"), f"{where}.path"),
        optional=optional,
    )


def _path(value: object, where: str) -> tuple[str, ...]:
    """'servers[].password' -> ('servers', '[]', 'password')."""
    if value is None:
        return ()
    parts: list[str] = []
    for part in str(value).split("."):
        name = part
        arrays = 0
        while name.endswith("[]"):
            name, arrays = name[:-2], arrays + 1
        if not MEMBER.fullmatch(name):
            hint = "write a dot between members and [] after an array: servers[].password"
            raise Unusable(f"{where} is not a path", hint)
        parts += [name, *["[]"] * arrays]
    return tuple(parts)


def _repeated(items: Iterable[Hashable]) -> int | None:
    """The number of the first item that is equal to one before it."""
    seen: set[Hashable] = set()
    for number, item in enumerate(items):
        if item in seen:
            return number
        seen.add(item)
    return None


def _mapping(value: object, where: str, known: tuple[str, ...], hint: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Unusable(f"{where} is not a list of `key: value` entries".lstrip(), hint)
    for name in value:
        if name not in known:
            # The text in place of a name may be a key.
            shown = f"entry {name!r}" if is_key_id(name) else "entry"
            raise Unusable(f"{where} has an unknown {shown}".lstrip(), f"use one of the entries {', '.join(known)}")
    return value


# The section of callctl.yaml about differences between the catalog and the specification that are meant.

_ACCEPT_ENTRIES = ("object", "difference", "reason")
_ACCEPT_HINT = (
    "write a list of entries under `accept:`, each with object, difference and reason; callctl verify prints them"
)


@dataclass(frozen=True)
class Accepted:
    """A difference of the catalog that verify does not fail on.

    ``object`` and ``difference`` as verify prints them, with single spaces; ``reason`` for the reader.
    """

    object: str
    difference: str
    reason: str


def parse_accept(value: object, directory: Path) -> tuple[Accepted, ...]:
    """The section ``accept``. Raises Unusable."""
    if not isinstance(value, list):
        raise Unusable("is not a list of entries", _ACCEPT_HINT)
    entries = tuple(_accept_entry(entry, f"[{number}]") for number, entry in enumerate(value))
    number = _repeated([(entry.object, entry.difference) for entry in entries])
    if number is not None:
        raise Unusable(f"[{number}] is a duplicate of an entry above it", "remove one of the two entries")
    return entries


def _accept_entry(value: object, where: str) -> Accepted:
    if not isinstance(value, dict):
        raise Unusable(f"{where} needs the entries object, difference and reason", _ACCEPT_HINT)
    for name in value:
        if name not in _ACCEPT_ENTRIES:
            raise Unusable(
                f"{where} has an unknown entry {name!r}", f"use one of the entries {', '.join(_ACCEPT_ENTRIES)}"
            )
    texts = []
    for name in _ACCEPT_ENTRIES:
        text = value.get(name)
        if not isinstance(text, str) or not text.strip():
            raise Unusable(f"{where} has no {name}", "add the text, in quotes if it contains `: ` or ` #`")
        texts.append(" ".join(text.split()))
    return Accepted(*texts)


# The parts of callctl.yaml that have entries of their own. The reference page and the
# published schema are made from this table, too.


@dataclass(frozen=True)
class Section:
    """A part of callctl.yaml with entries of its own. It is in the file only, with no option or variable."""

    name: str  # its key in callctl.yaml
    field: str  # its field in Settings
    help: str
    entries: tuple[tuple[str, str, str], ...]  # entry, value, what it means: for the reference page
    parse: Callable[[object, Path], object]  # the second is the directory of the file


SECTIONS: tuple[Section, ...] = (
    Section(
        name="keys",
        field="keys",
        help="The keys of the integration secrets: where they come from, never what they are.",
        entries=(
            ("primary", "id", "The key that encrypts."),
            ("ring", "list", "The keys that decrypt, including the primary key. An entry has an id and one source."),
            ("ring[].id", "text", "The id of the key in its envelopes: 1 to 40 letters, digits, `.`, `_` and `-`."),
            ("ring[].env", "name", "The source is an environment variable."),
            (
                "ring[].file",
                "path",
                "The source is a file that only its owner may use; a relative path starts at the settings file's"
                " directory.",
            ),
            (
                "ring[].command",
                "list",
                f"The source is the output of a command, which callctl runs without a shell, in {COMMAND_SECONDS:g}"
                f" seconds at most.",
            ),
            (
                "ring[].show_stderr",
                "true or false",
                "Whether to show the last line of stderr if the command fails; false if left out.",
            ),
            (
                "ring[].legacy",
                "true or false",
                "Whether to try this key for values without a key id; false if left out.",
            ),
        ),
        parse=parse_keys,
    ),
    Section(
        name="secrets",
        field="secret_fields",
        help="Fields that hold secrets, beside those of the specification, which are always among them.",
        entries=(
            ("fields", "list", "The fields to add."),
            (
                "fields[].table",
                "name",
                "The table, without a schema; a table of the specification by its name there.",
            ),
            ("fields[].column", "name", "The column: of type text or varchar, or of type jsonb with a path."),
            ("fields[].path", "path", "The place in a jsonb column: `apiKey`, `servers[].password`."),
            ("fields[].account_type", "text", "The `account_type` of the rows; all rows if left out."),
            (
                "fields[].optional",
                "true or false",
                "Whether rows may lack the path without an error; false if left out.",
            ),
        ),
        parse=parse_secrets,
    ),
    Section(
        name="accept",
        field="accept",
        help="Differences between the catalog and the specification that are meant, so that `callctl verify` passes.",
        entries=(
            ("[].object", "text", "The object, as verify prints it: `column chatapp.calls.recording_url`."),
            (
                "[].difference",
                "text",
                "The difference, as verify prints it: `type is character varying(1000)`, `missing`, `added`.",
            ),
            ("[].reason", "text", "The reason, which verify prints."),
        ),
        parse=parse_accept,
    ),
)
