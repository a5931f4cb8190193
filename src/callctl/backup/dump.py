"""One dump of the whole database by pg_dump, and its rows counted in the same snapshot."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from callctl.backup.file import BackupFile, TableRows
from callctl.database import connection as database
from callctl.database.lock import BACKUP_SESSION
from callctl.database.programs import KILLED, Child, Program, reaching
from callctl.errors import Code, State, StepFailed
from callctl.events import BackupProgress, OnEvent
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.database.connection import Connection

_DUMPING = re.compile(r'dumping contents of table "(?P<table>.*)"\Z')
_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Table:
    """A table as a backup sees it; ``unreadable`` ones (unlogged, on a standby) are left out."""

    schema: str
    name: str
    bytes: int
    unreadable: bool

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Source:
    """The server and the database of a dump, and the moment whose state it is."""

    version: str
    version_num: int
    database: str
    encoding: str
    collate: str
    ctype: str
    standby: bool
    taken_at: datetime


class DumpLockTimeout(Exception):
    """pg_dump did not get a lock in time: another session requested a stronger one after ours."""


def tables_of(connection: Connection, left_out: Sequence[str]) -> tuple[Table, ...]:
    """The tables whose rows a dump holds, by name."""
    rows = connection.execute(read_sql("backup/tables.sql"), {"left_out": list(left_out)}).fetchall()
    return tuple(Table(*row) for row in rows)


def source_of(connection: Connection) -> Source:
    """Return the facts of the database that a restore compares with its target."""
    row = connection.execute(read_sql("backup/server.sql")).fetchone()
    assert row is not None
    return Source(*row)


@contextlib.contextmanager
def one_snapshot(connection: Connection, left_out: Sequence[str]) -> Iterator[tuple[str, tuple[Table, ...]]]:
    """A transaction that sees one moment, with every table that it will read locked (ACCESS SHARE) before that moment.

    Before, since a TRUNCATE or a rewrite between snapshot and lock would leave a table that looks empty. Yields the
    snapshot's name, for pg_dump, and the tables. Raises psycopg's LockNotAvailable after the session's lock_timeout.
    """
    import psycopg

    try:
        while True:
            seen = tables_of(connection, left_out)
            # No query up to the lock: the first one takes the snapshot.
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                _lock(connection, [table for table in seen if not table.unreadable])
            except psycopg.errors.UndefinedTable:  # dropped in between
                connection.execute("ROLLBACK")
                continue
            connection.execute(read_sql("backup/patience.sql"))
            tables = tables_of(connection, left_out)
            if {table.full_name for table in tables} <= {table.full_name for table in seen}:
                break
            connection.execute("ROLLBACK")  # one was made in between
        yield str(database.value(connection, read_sql("backup/snapshot.sql"))), tables
    finally:
        if not connection.closed:
            with contextlib.suppress(psycopg.Error):
                connection.execute("ROLLBACK")


def _lock(connection: Connection, tables: Sequence[Table]) -> None:
    from psycopg import sql

    if tables:
        names = sql.SQL(", ").join(sql.SQL("ONLY {}").format(sql.Identifier(t.schema, t.name)) for t in tables)
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))


@dataclass(frozen=True)
class DumpOptions:
    """The options of a pg_dump beyond the whole database."""

    program: Program
    left_out: Sequence[str]
    standby: bool
    lock_timeout_ms: int

    def argv(self, snapshot: str, descriptor: int) -> list[str]:
        """Its command line. No name of a server, no password: those go by other ways."""
        return [
            str(self.program.path),
            "--format=custom",
            # Not its stdout, to which it would append: then the table of contents cannot say where the data is. And not
            # by name: it is the file that callctl has locked, and stays locked for as long as pg_dump writes to it.
            f"--file=/dev/fd/{descriptor}",
            "--verbose",
            "--no-password",
            # A subscription's definition holds a password, and its copy would take the original's place.
            "--no-subscriptions",
            f"--snapshot={snapshot}",
            f"--lock-wait-timeout={self.lock_timeout_ms}ms",
            *(["--no-unlogged-table-data"] if self.standby else []),
            *(f"--exclude-schema={_pattern(name)}" for name in self.left_out),
        ]


def _pattern(name: str) -> str:
    """A schema's name as pg_dump takes it for that name and no other."""
    return '"' + name.replace('"', '""') + '"'


def dump(
    connection: Connection,
    options: DumpOptions,
    snapshot: str,
    tables: Sequence[Table],
    file: BackupFile,
    on_event: OnEvent,
) -> tuple[TableRows, ...]:
    """Run pg_dump into ``file``, and meanwhile count the rows of ``tables`` on ``connection``, in the same snapshot.

    Raises DumpLockTimeout, StepFailed with what pg_dump said, psycopg's errors of the counting.
    """
    progress = _Progress(tables, file, on_event)
    progress.dumping()
    session = _options(connection)
    with (
        reaching(connection, options.program, BACKUP_SESSION) as environment,
        Child(
            options.argv(snapshot, file.descriptor),
            {
                **environment,
                **({"PGOPTIONS": f"{environment.get('PGOPTIONS', '')} {session}".strip()} if session else {}),
            },
            stdout=subprocess.DEVNULL,
            keeps=[file.descriptor],
            on_line=progress.heard,
        ) as child,
        _counting(connection, tables, progress) as counted,
    ):
        while not child.ended(_POLL_SECONDS):
            progress.dumping()
            if counted.done() and (problem := counted.exception()) is not None:
                raise problem
        if (failure := child.failure()) is not None:
            if "lock timeout" in failure:
                raise DumpLockTimeout(failure)
            raise StepFailed(
                Code.PG_DUMP_FAILED,
                f"pg_dump {options.program.version} ({options.program.source}) failed: {failure}",
                hint=_hint(failure),
                state=State("unchanged"),
            )
        while not counted.done():
            progress.counting()
            with contextlib.suppress(TimeoutError):
                counted.exception(_POLL_SECONDS)
        return counted.result()


def _options(connection: Connection) -> str:
    """Return the PGOPTIONS that pg_dump's session needs beyond those of callctl's session.

    pg_dump hands standard_conforming_strings = off on to the dump, and PostgreSQL 19 refuses it.
    """
    on = database.value(connection, read_sql("backup/literals.sql"))
    return "-c standard_conforming_strings=on" if on else ""


def _hint(failure: str) -> str:
    if "SSL support is not compiled in" in failure:
        return "install your system's PostgreSQL client programs, or set CALLCTL_PG_BIN: this pg_dump has no TLS"
    if "permission denied" in failure:
        return "connect as a role that may read all tables (pg_read_all_data), or leave schemas out"
    if "row-level security" in failure:
        return "connect as the tables' owner, or as a role with BYPASSRLS: row-level security hides rows from this role"
    if "conflict with recovery" in failure:
        return "raise max_standby_streaming_delay, or take the backup from the primary: the standby ended the dump"
    if KILLED in failure:
        return (
            "find in the system's log what killed pg_dump (often the out-of-memory killer), then run the same"
            " command again"
        )
    if "No space left" in failure:
        return "free disk space, or name a file on another disk"
    return "fix the cause that pg_dump names, then run the same command again"


@contextlib.contextmanager
def _counting(
    connection: Connection, tables: Sequence[Table], progress: _Progress
) -> Iterator[Future[tuple[TableRows, ...]]]:
    """Count in a thread of its own. Leaving ends it."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(_count, connection, tables, progress, stop)
        try:
            yield counted
        finally:
            stop.set()
            while not counted.done():
                connection.cancel()
                with contextlib.suppress(Exception):
                    counted.exception(_POLL_SECONDS)


def _count(
    connection: Connection, tables: Sequence[Table], progress: _Progress, stop: threading.Event
) -> tuple[TableRows, ...]:
    counts: list[TableRows] = []
    for table in tables:
        if stop.is_set():
            break
        if not table.unreadable:
            counts.append(TableRows(table.schema, table.name, rows_of(connection, table.schema, table.name)))
        progress.counted += 1
    return tuple(counts)


def rows_of(connection: Connection, schema: str, table: str) -> int:
    """The rows of one table, without those of its children."""
    from psycopg import sql

    query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, table))
    return int(database.value(connection, query))


class _Progress:
    """Reads pg_dump's messages, as bytes, and reports the tables that it has finished.

    Then the tables that are counted.
    """

    def __init__(self, tables: Collection[Table], file: BackupFile, on_event: OnEvent) -> None:
        self.counted = 0
        self._tables = len(tables)
        self._bytes = {table.full_name: table.bytes for table in tables}
        self._total = sum(self._bytes.values())
        self._done = 0
        self._what = ""
        self._file = file
        self._on_event = on_event

    def heard(self, line: str) -> None:
        """A line of pg_dump's; in the thread that reads them."""
        if match := _DUMPING.search(line):
            self._done += self._bytes.pop(self._what, 0)
            self._what = match["table"]

    def dumping(self) -> None:
        self._on_event(BackupProgress("dump", self._what, self._done, self._total, "bytes", self._file.size))

    def counting(self) -> None:
        self._on_event(BackupProgress("count", "rows", self.counted, self._tables, "tables", self._file.size))
