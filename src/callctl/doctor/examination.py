"""Examines what callctl needs around it, and says of each thing whether it is there and what to do."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from callctl.database import connection as database
from callctl.database import programs, store
from callctl.errors import CallctlError, ConfigError
from callctl.files import read_sql
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.ring import load_key_ring

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

Level: TypeAlias = Literal["fails", "warns", "unknown", "ok"]

# The programs that callctl runs, and a command that needs each.
_PROGRAMS = (
    ("pg_dump", "callctl backup"),
    ("pg_restore", "callctl restore"),
    ("psql", "callctl sandbox psql"),
)
# A clock that is further off makes times of two machines, such as that of a backup and of a step, hard to compare.
_CLOCK = timedelta(seconds=2)
# A report or a plan has room in this, a rehearsal's server in four times as much.
_ROOM_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Examined:
    """One thing that was examined: ``what`` was found, and what to ``do`` about it if it is not ok.

    ``unknown``: it was not examined, and ``what`` says why.
    """

    id: str
    level: Level
    what: str
    do: str | None = None


@dataclass(frozen=True)
class _Server:
    """The server's clock, the size of the database in bytes, and the process that answers."""

    clock: datetime
    bytes: int
    pid: int


@dataclass(frozen=True)
class _Lack:
    """A right that the role lacks, the commands that need it, and whether nothing works without it."""

    lacks: str
    needed_by: str
    needed: bool
    remedy: str


def examine(settings: Settings, connect: Callable[[], Connection]) -> tuple[Examined, ...]:
    """Return what was found, a line each; ``connect`` opens the connection, which is closed at the end.

    An error of a part is its line: none is raised but for Ctrl-C and a bug.
    """
    import psycopg

    try:
        connection = connect()
    except CallctlError as error:
        why = "the server was not reached"
        return (
            Examined("server", "fails", error.message, error.hint),
            *(Examined(id, "unknown", f"not checked: {why}") for id in ("pooler", "role", "store", "clock")),
            *_programs(None),
            *_disk(None),
            *_keys(settings, None),
        )
    try:
        try:
            before = datetime.now(UTC)
            (server,) = database.select(connection, _Server, read_sql("doctor/server.sql"))
            after = datetime.now(UTC)
            parts = (
                _server(connection),
                _pooler(connection, settings, server.pid),
                *_role(connection, settings),
                _store(connection, settings),
                clock(before, server.clock, after),
            )
        except psycopg.Error as error:
            if error.sqlstate is None and isinstance(error, psycopg.ProgrammingError):
                raise  # the driver's: a bug
            lost = Examined("server", "fails", f"the database answered: {database.error_text(error)}", database.AGAIN)
            return (lost, *_programs(None), *_disk(None), *_keys(settings, None))
        return (
            *parts,
            *_programs(connection.info.server_version // 10_000),
            *_disk(server.bytes),
            *_keys(settings, connection),
        )
    finally:
        connection.close()


def _failed(id: str, error: CallctlError, level: Level = "fails") -> Examined:
    return Examined(id, level, error.message, error.hint)


def _server(connection: Connection) -> Examined:
    version = (connection.info.parameter_status("server_version") or "").partition(" ")[0]
    encrypted = "the connection is encrypted" if connection.pgconn.ssl_in_use else "the connection is not encrypted"
    local = connection.info.host.startswith(("/", "@"))
    return Examined("server", "ok", f"PostgreSQL {version}; {'a local socket' if local else encrypted}")


def _pooler(connection: Connection, settings: Settings, pid: int) -> Examined:
    kind = database.sessions(connection, settings, pid)
    if kind in ("shared", "one"):
        return _failed("pooler", database.pooler_refusal(connection, kind))
    if kind == "own":
        return Examined("pooler", "ok", "a pooler in session mode is in front of the server")
    return Examined("pooler", "ok", "no pooler is in front of the server")


def _role(connection: Connection, settings: Settings) -> Iterator[Examined]:
    lacks = database.select(connection, _Lack, read_sql("doctor/rights.sql"), {"schema": settings.schema})
    for lack in lacks:
        level: Level = "fails" if lack.needed else "warns"
        yield Examined("role", level, f"{lack.lacks} (needed by {lack.needed_by})", lack.remedy)
    if not lacks:
        yield Examined("role", "ok", f"role {connection.info.user} may read schema {settings.schema}, and see sessions")


def _store(connection: Connection, settings: Settings) -> Examined:
    try:
        there = store.assert_recognised(connection)
        store.assert_owner(connection, settings.schema)
    except CallctlError as error:
        return _failed("store", error)
    return Examined("store", "ok", "schema callctl can be read" if there else "callctl has not written here yet")


def clock(before: datetime, there: datetime, after: datetime) -> Examined:
    """Compare the server's clock with the times on this machine before and after the question."""
    if before - _CLOCK <= there <= after + _CLOCK:
        most = (_CLOCK + (after - before)).total_seconds()
        return Examined("clock", "ok", f"the clocks here and on the server differ by at most {most:.1f} s")
    off, direction = (before - there, "behind") if there < before else (there - after, "ahead of")
    return Examined(
        "clock",
        "warns",
        f"the server's clock is {off.total_seconds():,.0f} s {direction} the clock here; times of backups cannot be"
        " compared with those of steps",
        "synchronize both clocks (NTP)",
    )


def _programs(major: int | None) -> Iterator[Examined]:
    """The client programs beside the server's major version; None: it is not known."""
    for name, needed_by in _PROGRAMS:
        try:
            program = programs.find_program(name, major or 0, needed_by)
        except ConfigError as error:
            if major is None:
                do = "install PostgreSQL's client programs, or set CALLCTL_PG_BIN to a directory that has them"
                yield Examined(name, "warns", f"{needed_by} needs {name}, and none was found", do)
            else:
                yield _failed(name, error, "warns")
            continue
        found = f"{program.version} ({program.source})"
        if major is None:
            yield Examined(name, "unknown", f"{found}; not compared: the server was not reached")
        else:
            yield Examined(name, "ok", f"{found}; it fits the server ({major}), for {needed_by}")


def _disk(database_bytes: int | None) -> Iterator[Examined]:
    """The directories that callctl writes to: backups and reports go here, and a rehearsal's server into TMPDIR."""
    yield room("disk", Path.cwd(), max(database_bytes or 0, _ROOM_BYTES), "backup FILE and --report FILE")
    yield room("temporary files", Path(tempfile.gettempdir()), 4 * _ROOM_BYTES, "migrate rehearse and backup")


def room(id: str, directory: Path, wanted: int, needed_by: str) -> Examined:
    """Compare the free space of a directory with the ``wanted`` bytes; the directory must be writable, too."""
    if not os.access(directory, os.W_OK | os.X_OK):
        return Examined(id, "warns", f"{directory} is not writable; {needed_by} writes there", "use another directory")
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        return Examined(id, "unknown", f"{directory}: {(error.strerror or 'not readable').lower()}")
    space = f"{directory} has {_size(free)} free"
    if free < wanted:
        return Examined(id, "warns", f"{space}; {needed_by} may need {_size(wanted)}", "free space there")
    return Examined(id, "ok", f"{space}, for {needed_by}")


def _size(number: float) -> str:
    return f"{number / 2**30:,.1f} GiB" if number >= 2**30 else f"{number / 2**20:,.0f} MiB"


def _keys(settings: Settings, connection: Connection | None) -> Iterator[Examined]:
    """The keys of callctl.yaml: whether each can be read, and is the one that this database knows by its id."""
    import psycopg

    if settings.keys is None:
        yield Examined("keys", "ok", "callctl.yaml names no keys; only rotate-secrets, webhooks and keys need them")
        return
    try:
        ring = load_key_ring(settings)
    except CallctlError as error:
        yield _failed("keys", error)
        return
    read = f"{', '.join(ring.keys)} can be read; {ring.primary.id} is primary"
    if connection is None:
        yield Examined("keys", "unknown", f"{read}; not compared with the database: the server was not reached")
        return
    try:
        key_ledger.assert_known(connection, ring)
    except CallctlError as error:
        yield _failed("keys", error)
    except psycopg.Error:
        yield Examined("keys", "unknown", f"{read}; callctl could not read the recorded keys to compare them")
    else:
        yield Examined("keys", "ok", f"{read}; none differs from a key recorded in this database")
