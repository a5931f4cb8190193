"""Finds the callctl that works on this schema now: client, start, step, progress, and its wait.

Everything is read from the server: the migration lock and the marks beside it in ``pg_locks``, which every role may
see; the sessions in ``pg_stat_activity``, of which a role without ``pg_read_all_stats`` sees little of another role's;
and what the run has committed in callctl's own schema.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callctl.database import connection as database
from callctl.database import store
from callctl.database.lock import BATCH_CLASS, DOING_CLASS, LOCK_CLASS, WORK_CLASS, marked
from callctl.events import Direction, Holder
from callctl.files import read_sql
from callctl.migration.steps.numbered import all_steps

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# A session that waits for a lock gives up after lock_timeout and pauses for two seconds at most (with_retries): a look
# that lasts longer sees it wait.
LOOK_SECONDS = 2.5
_BETWEEN_SECONDS = 0.03
# A statement that has run for so long is no passing one between two attempts at a lock.
_SETTLED_SECONDS = 0.5

ACTIVE = "active"
# In a pipeline PostgreSQL calls a session active that waits for its client.
_SILENT = "waiting for its client"

_MIGRATIONS: dict[str, Direction] = {"migrate up": "up", "migrate down": "down"}


@dataclass(frozen=True)
class Session:
    """A session that works for a run: its state, and what it runs or waits for.

    ``seconds`` is how long its state has been so. ``waits_for`` is None if it waits for nothing; ``holders`` are the
    sessions it waits for. ``seen`` is False if this role may not see it: then the rest is None.
    """

    pid: int
    application: str | None
    state: str | None
    statement: str | None
    seconds: float | None
    waits_for: str | None
    holders: tuple[Holder, ...]
    building: str | None
    seen: bool

    @property
    def active(self) -> bool:
        """Return whether the server runs a statement of it."""
        return self.state == ACTIVE


@dataclass(frozen=True)
class Committed:
    """The committed progress of a step: the last statement with a checkpoint, and its rows.

    ``rows`` of ``of_rows`` are set for a batched statement that is not finished. ``of_statements`` is None if
    another version of the step's file began it.
    """

    step: int
    direction: Direction
    statement: int
    of_statements: int | None
    rows: int | None
    of_rows: int | None


@dataclass(frozen=True)
class LiveRun:
    """A callctl that holds the migration lock of this schema.

    ``command`` and ``step`` are what it says of itself; None if it does not say. ``since`` is when its session
    connected; ``silent_seconds`` for how long none of its sessions has had a statement under way. ``seen`` is False
    if this role may not see its session: then host, times and states are None.
    """

    command: str | None
    direction: Direction | None
    step: int | None
    pid: int
    role: str | None
    application: str | None
    host: str | None
    since: datetime | None
    seconds: float | None
    silent_seconds: float | None
    seen: bool
    sessions: tuple[Session, ...] = ()
    committed: Committed | None = None
    # Looked up, and the step has committed nothing: None if that could not be read.
    uncommitted: bool | None = None

    @property
    def migrates(self) -> bool:
        """Whether it takes steps."""
        return self.direction is not None


@dataclass(frozen=True)
class Live:
    """The running callctl: the holders of the migration lock, and the sessions ``left`` by a run without the lock.

    ``unseen`` says why a run cannot be seen from here.
    """

    runs: tuple[LiveRun, ...] = ()
    left: tuple[Session, ...] = ()
    unseen: str | None = None

    @property
    def may_migrate(self) -> bool:
        """Whether a migration is or may be under way, so that a step that is partly done has not stopped."""
        return self.unseen is not None or bool(self.left) or any(run.migrates or not run.command for run in self.runs)


def look(connection: Connection, settings: Settings) -> Live:
    """Look at what holds the migration lock; for LOOK_SECONDS at most where nothing of it is at work at first.

    ``connection`` is in autocommit. Reads only.
    """
    live = glance(connection, settings)
    deadline = time.monotonic() + LOOK_SECONDS
    while live.runs and not _settled(live) and time.monotonic() < deadline:
        time.sleep(_BETWEEN_SECONDS)
        live = glance(connection, settings)
    return live


def _settled(live: Live) -> bool:
    """Return whether another look would show no more: a session waits, or has been at one statement for a while."""
    sessions = [session for run in live.runs for session in run.sessions]
    return not any(session.seen for session in sessions) or any(
        session.waits_for or (session.active and (session.seconds or 0) >= _SETTLED_SECONDS) for session in sessions
    )


def _in_recovery(connection: Connection) -> bool:
    return bool(database.value(connection, "SELECT pg_is_in_recovery()"))


def glance(connection: Connection, settings: Settings) -> Live:
    """Look once. ``connection`` is in autocommit. Reads only."""
    if _in_recovery(connection):
        return Live(unseen="this server is a standby, which does not show a run on its primary")
    values = {
        "lock": LOCK_CLASS,
        "doing": DOING_CLASS,
        "work": WORK_CLASS,
        "batch": BATCH_CLASS,
        "schema": settings.schema,
    }
    holders = connection.execute(read_sql("migration/live_runs.sql"), values).fetchall()
    rows = connection.execute(read_sql("migration/live_sessions.sql"), values).fetchall()
    sessions = tuple(_session(*row) for row in rows)
    runs = [_run(*row) for row in holders]
    if not runs:
        return Live(left=sessions)
    if not any(run.migrates or run.command is None for run in runs):
        return Live(tuple(runs))
    # The work lock is the run's that has the migration lock alone.
    read, committed = _committed(connection)
    return Live(tuple(_with(run, sessions, committed, read=read) for run in runs))


def _run(
    pid: int,
    doing: int | None,
    role: str | None,
    application: str | None,
    host: str | None,
    since: datetime | None,
    seconds: float | None,
    silent: float | None,
    seen: bool,
) -> LiveRun:
    command, step = (None, None) if doing is None else marked(doing)
    return LiveRun(
        command=command,
        direction=_MIGRATIONS.get(command or ""),
        step=step,
        pid=pid,
        role=role,
        application=application,
        host=host,
        since=since,
        seconds=seconds,
        silent_seconds=silent,
        seen=seen,
    )


def _with(run: LiveRun, sessions: tuple[Session, ...], committed: Committed | None, *, read: bool) -> LiveRun:
    if committed is not None and (committed.step, committed.direction) != (run.step, run.direction):
        committed = None
    heard = [session.seconds for session in sessions if session.seconds is not None]
    silent = run.silent_seconds
    if silent is not None:
        silent = None if any(session.active for session in sessions) else min([silent, *heard])
    uncommitted = committed is None if read else None
    return replace(run, sessions=sessions, committed=committed, uncommitted=uncommitted, silent_seconds=silent)


def _session(
    pid: int,
    application: str | None,
    state: str | None,
    word: str | None,
    seconds: float | None,
    wait_event: str | None,
    wanted: str | None,
    relation: str | None,
    held_by: list[list[Any]],
    phase: str | None,
    units_done: int | None,
    total: int | None,
    seen: bool,
) -> Session:
    if state == ACTIVE and wait_event == "ClientRead":
        state = _SILENT
    return Session(
        pid=pid,
        application=application,
        state=state,
        statement=word if state == ACTIVE else None,
        seconds=seconds,
        waits_for=_waits_for(wanted, relation, wait_event if state == ACTIVE else None),
        holders=tuple(Holder(*holder) for holder in held_by),
        building=phase and phase + (f", {100 * units_done // total} %" if units_done and total else ""),
        seen=seen,
    )


def _waits_for(wanted: str | None, relation: str | None, wait_event: str | None) -> str | None:
    match wanted:
        case None:
            return "a synchronous standby" if wait_event == "SyncRep" else None
        case "transactionid" | "tuple":
            return "a row that another transaction has locked"
        case "virtualxid":
            return "an older transaction to end"
        case "advisory":
            return "a lock of another callctl"
        case _:
            return f"a lock on {relation}" if relation else "a lock"


def _committed(connection: Connection) -> tuple[bool, Committed | None]:
    """Return whether the progress of the step under way is readable, and the progress; None if nothing is committed."""
    import psycopg

    try:
        if not database.relation_exists(connection, "callctl", "work_done"):
            return not store.has_schema(connection), None  # an older callctl's schema has no such table
        row = connection.execute(read_sql("migration/live_progress.sql")).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return False, None
    if row is None:
        return True, None
    step, direction, sha256, statement, finished, listed, rows_done = row
    script = all_steps()[step - 1].script(direction)
    batched = not finished and listed > 0
    return True, Committed(
        step=step,
        direction=direction,
        statement=statement,
        of_statements=len(script.statements) if script.sha256 == sha256 else None,
        rows=rows_done if batched else None,
        of_rows=listed if batched else None,
    )
