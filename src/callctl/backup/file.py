"""A backup on disk: the file of the dump, private and whole or not there, and the manifest beside it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from callctl import files
from callctl.errors import Code, ConfigError, LockHeld, Refused

# The manifest beside a backup: what is in it, and what a restore has to compare with.

MANIFEST_FORMAT = 1
MANIFEST_SUFFIX = ".manifest.json"

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
        document = {"callctl_backup": MANIFEST_FORMAT, **asdict(self), "taken_at": self.taken_at.isoformat()}
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def manifest_beside(file: Path) -> Path:
    """The name of the manifest of a dump."""
    return file.with_name(file.name + MANIFEST_SUFFIX)


def read_manifest(file: Path) -> Manifest:
    """The manifest beside ``file``. Raises ConfigError if it is not there, damaged, or of a later callctl."""
    path = manifest_beside(file)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            Code.BACKUP_MANIFEST_MISSING,
            f"{file} has no manifest beside it ({path.name}), so its contents cannot be checked",
            hint="copy the manifest to the dump's directory; for a dump of another tool run"
            " pg_restore --exit-on-error --single-transaction --dbname=NEW_DATABASE FILE",
        ) from None
    except OSError as problem:
        raise ConfigError(
            Code.FILE_UNREADABLE, f"cannot read {path}: {(problem.strerror or 'unreadable').lower()}"
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise manifest_damaged(path, "it is not JSON") from None
    if not isinstance(document, dict) or "callctl_backup" not in document:
        raise manifest_damaged(path, "callctl did not write it")
    if document["callctl_backup"] != MANIFEST_FORMAT:
        raise ConfigError(
            Code.BACKUP_FORMAT,
            f"{path} is a manifest of format {document['callctl_backup']!r}; this callctl knows {MANIFEST_FORMAT}",
            hint=f"restore with the callctl that wrote it: {document.get('callctl_version', 'unknown')}",
        )
    try:
        return Manifest(
            **{
                field.name: _READERS[str(field.type)](document[field.name])
                for field in fields(Manifest)
                if field.name in document or field.default is MISSING
            }
        )
    except KeyError as missing:
        raise manifest_damaged(path, f"it lacks {missing}") from None
    except (TypeError, ValueError):
        raise manifest_damaged(path, "a value has the wrong type") from None


def manifest_damaged(path: Path, why: str) -> ConfigError:
    """The error for a manifest that is not what was written."""
    return ConfigError(
        Code.BACKUP_DAMAGED,
        f"{path} is damaged: {why}",
        hint="copy the manifest again from the place where the backup was made",
    )


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


# The file that a dump is written to: under another name until it is complete and on the disk, and its owner's alone.

PARTIAL = ".partial"
_UNDER_WAY = "under way"
_CHUNK = 1 << 20


class BackupFile:
    """FILE.partial, mode 0600, until it is ``kept``: named FILE, and not to be removed any more.

    It is locked while a run writes to it, which tells the file of a killed run from one in progress.
    FILE.manifest.json.partial says meanwhile, by its inode, that it is callctl's: another file of that name is refused.
    """

    def __init__(self, name: str) -> None:
        """Raises Refused if FILE, its manifest or a FILE.partial of others is there; LockHeld if it is being
        written; ConfigError.
        """
        self.path = Path(name)
        self.manifest = manifest_beside(self.path)
        self._partial = self.path.with_name(self.path.name + PARTIAL)
        self._partial_manifest = self.manifest.with_name(self.manifest.name + PARTIAL)
        self.kept = False
        for path in (self.path, self.manifest):
            files.assert_new(str(path))
        try:
            self._open()
        except OSError as problem:
            raise files.unwritable(self._partial, problem) from None
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._assert_own()
            self._mark()
            os.fchmod(self.descriptor, 0o600)
        except BlockingIOError:
            os.close(self.descriptor)
            raise LockHeld(
                Code.BACKUP_BUSY,
                f"another backup is being written to {self.path}",
                hint="wait for that backup to finish, or name another file",
            ) from None
        except OSError as problem:
            os.close(self.descriptor)
            raise files.unwritable(self._partial, problem) from None
        except BaseException:
            os.close(self.descriptor)
            raise
        self.begin()

    def _open(self) -> None:
        # Whatever another has written there stays until the lock is ours; a symbolic link is not followed.
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self.descriptor = os.open(self._partial, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            self.descriptor = os.open(self._partial, flags)

    def _assert_own(self) -> None:
        """Check that a killed run of ours left the existing file: no other process has it open, and it has one name."""
        there = os.fstat(self.descriptor)
        if not stat.S_ISREG(there.st_mode) or there.st_uid != os.geteuid() or there.st_nlink != 1:
            raise OSError(0, "the file exists, and other users may write to it")

    def _mark(self) -> None:
        """Put down that FILE.partial is callctl's, by its inode. Raises Refused if what is there is not."""
        there = os.fstat(self.descriptor)
        own = {"callctl_backup": _UNDER_WAY, "device": there.st_dev, "inode": there.st_ino}
        mark = _marked(self._partial_manifest)
        # An empty one has just been made, by this run or by one that was killed at this point.
        if there.st_size and mark != own:
            raise _not_own(self._partial)
        if os.path.lexists(self._partial_manifest):
            if mark is None:
                if not there.st_size:
                    self._partial.unlink()
                raise _not_own(self._partial_manifest)
            self._partial_manifest.unlink()
        files.create_private(str(self._partial_manifest), json.dumps(own) + "\n")

    def begin(self) -> None:
        """Throw away what was written so far."""
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)

    @property
    def size(self) -> int:
        """The bytes written so far."""
        return os.fstat(self.descriptor).st_size

    def settle(self, on_bytes: Callable[[int], None]) -> str:
        """See it onto the disk; the SHA-256 of what can be read there. Raises ConfigError."""
        try:
            os.fsync(self.descriptor)
            return digest(self.descriptor, on_bytes)
        except OSError as problem:
            raise files.unwritable(self._partial, problem) from None

    def keep(self, manifest: str) -> None:
        """Give both files their names, the dump last: where it is, it is whole, and its manifest is there."""
        files.create_private(str(self.manifest), manifest)
        try:
            _name(self._partial, self.path)
        except BaseException:
            self.manifest.unlink(missing_ok=True)
            raise
        self.kept = True
        self._partial_manifest.unlink(missing_ok=True)
        files.sync_directory(self.path.absolute().parent)

    def close(self) -> None:
        """Remove what was not kept."""
        if not self.kept:
            self._partial_manifest.unlink(missing_ok=True)
            self._partial.unlink(missing_ok=True)
        os.close(self.descriptor)


def _marked(path: Path) -> dict[str, object] | None:
    """Return the mark of a run that is under way or was killed; None if the file has no such mark."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("callctl_backup") == _UNDER_WAY else None


def _not_own(path: Path) -> Refused:
    return Refused(
        Code.FILE_EXISTS,
        f"{path} exists, and nothing shows that callctl wrote it; the file was not changed",
        hint="name another file for the backup, or remove the existing file if it is not needed",
    )


def _name(file: Path, name: Path) -> None:
    """Rename a file to a name that nothing has."""
    try:
        try:
            os.link(file, name)
            file.unlink()
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            files.assert_new(str(name))
            file.rename(name)
    except OSError as problem:
        raise files.unwritable(name, problem) from None


def digest(descriptor: int, on_bytes: Callable[[int], None]) -> str:
    """The SHA-256 of an open file, in hexadecimal; ``on_bytes`` hears how much has been read."""
    hasher = hashlib.sha256()
    position = 0
    while chunk := os.pread(descriptor, _CHUNK, position):
        hasher.update(chunk)
        position += len(chunk)
        on_bytes(position)
    return hasher.hexdigest()


def open_dump(file: Path) -> int:
    """A descriptor of a dump in pg_dump's custom format, to read from. Raises ConfigError if it is not one."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        reason = (problem.strerror or "unreadable").lower()
        raise ConfigError(
            Code.FILE_UNREADABLE, f"cannot read {file}: {reason}", hint="name a file that callctl backup has written"
        ) from None
    except ValueError:
        raise ConfigError(
            Code.FILE_UNREADABLE, f"cannot read {file}: the name cannot be used", hint="name a backup"
        ) from None
    start = b""
    with contextlib.suppress(OSError):  # a directory
        start = os.pread(descriptor, 5, 0)
    if start != b"PGDMP":
        os.close(descriptor)
        raise ConfigError(
            Code.NOT_A_BACKUP,
            f"{file} is not a dump in pg_dump's custom format",
            hint="name a file that callctl backup has written; a .sql file is for psql",
        )
    return descriptor
