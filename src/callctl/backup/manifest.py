"""What stands beside a backup: what is in it, and what a restore has to compare with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from callctl.errors import ConfigError

FORMAT = 1
SUFFIX = ".manifest.json"

Value = TypeVar("Value")


@dataclass(frozen=True)
class TableRows:
    """A table of the dump, and the rows it had in the dump's own snapshot."""

    schema: str
    table: str
    rows: int


@dataclass(frozen=True)
class Manifest:
    """Of one dump: the file, the server it is from, what a server must have to take it back, and what is in it."""

    # The file: its size, its SHA-256, the pg_dump that wrote it.
    bytes: int
    sha256: str
    pg_dump: str
    # The moment whose state it is, by the server's clock, and who wrote it down.
    taken_at: datetime
    callctl_version: str
    # The server, and what of the database a dump does not hold.
    server_version: str
    server_version_num: int
    database: str
    encoding: str
    collate: str
    ctype: str
    standby: bool
    database_settings: tuple[str, ...]
    # What must be there before a restore.
    owners: tuple[str, ...]
    grantees: tuple[str, ...]
    extensions: tuple[str, ...]
    # What is in it. ``names``: documented name -> this database's; ``keys``: ids of the keys that secrets in it need.
    schema: str
    names: dict[str, str]
    steps: tuple[int, ...]
    half_done: tuple[int, ...]
    keys: tuple[str, ...]
    left_out_schemas: tuple[str, ...]
    left_out_tables: tuple[str, ...]
    tables: tuple[TableRows, ...]
    # An older manifest is read without what follows. The schemas in which the old database looks for a name, in order;
    # what is granted beyond what a kind of object brings with it (None: not recorded); the roles that policies name.
    search_path: tuple[str, ...] = ()
    grants: tuple[str, ...] | None = None
    policy_roles: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables)

    def text(self) -> str:
        """As it is written: one JSON document."""
        found = {"callctl_backup": FORMAT, **asdict(self), "taken_at": self.taken_at.isoformat()}
        return json.dumps(found, ensure_ascii=False, indent=2) + "\n"


def beside(file: Path) -> Path:
    """The name of the manifest of a dump."""
    return file.with_name(file.name + SUFFIX)


def read_manifest(file: Path) -> Manifest:
    """The manifest beside ``file``. Raises ConfigError where it is not there, damaged, or of a later callctl."""
    path = beside(file)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{file} has no manifest beside it ({path.name}): nothing says what should be in it",
            hint="copy the manifest along with the dump; a dump of another tool's is for pg_restore:"
            " pg_restore --exit-on-error --single-transaction --dbname=NEW_DATABASE FILE",
        ) from None
    except OSError as problem:
        raise ConfigError(f"cannot read {path}: {(problem.strerror or 'unreadable').lower()}") from None
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise damaged(path, "it is not JSON") from None
    if not isinstance(found, dict) or "callctl_backup" not in found:
        raise damaged(path, "it is not a manifest of callctl's")
    if found["callctl_backup"] != FORMAT:
        raise ConfigError(
            f"{path} is a manifest of format {found['callctl_backup']!r}; this callctl knows {FORMAT}",
            hint=f"restore with the callctl that wrote it: {found.get('callctl_version', 'unknown')}",
        )
    try:
        return Manifest(
            **{
                field.name: _READERS[str(field.type)](found[field.name])
                for field in fields(Manifest)
                if field.name in found or field.default is MISSING
            }
        )
    except KeyError as missing:
        raise damaged(path, f"it lacks {missing}") from None
    except (TypeError, ValueError):
        raise damaged(path, "a value is of another kind than it should be") from None


def damaged(path: Path, why: str) -> ConfigError:
    """The error for a manifest that is not what was written."""
    return ConfigError(f"{path} is damaged: {why}", hint="copy it again from where the backup was made")


def _is(kind: type[Value]) -> Callable[[Any], Value]:
    def read(value: Any) -> Value:
        if type(value) is not kind:
            raise TypeError
        return value

    return read


def _each(read: Callable[[Any], Value]) -> Callable[[Any], tuple[Value, ...]]:
    def read_all(value: Any) -> tuple[Value, ...]:
        return tuple(read(item) for item in _is(list)(value))

    return read_all


def _table(value: Any) -> TableRows:
    return TableRows(_is(str)(value["schema"]), _is(str)(value["table"]), _is(int)(value["rows"]))


def _names(value: Any) -> dict[str, str]:
    return {_is(str)(name): _is(str)(actual) for name, actual in _is(dict)(value).items()}


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_is(str)(value))
    if moment.tzinfo is None:
        raise ValueError
    return moment


# By the annotation of a field.
_READERS: dict[str, Callable[[Any], Any]] = {
    "int": _is(int),
    "str": _is(str),
    "bool": _is(bool),
    "datetime": _moment,
    "dict[str, str]": _names,
    "tuple[str, ...]": _each(_is(str)),
    "tuple[str, ...] | None": lambda value: None if value is None else _each(_is(str))(value),
    "tuple[int, ...]": _each(_is(int)),
    "tuple[TableRows, ...]": _each(_table),
}
