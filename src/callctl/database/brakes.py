"""The reasons for a run to wait before its next batch: replicas, the server's upkeep, clients, the operator's command.

Each is looked at once a second at most, by whichever session of the run comes by, between two transactions.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from callctl.database import connection as database
from callctl.database.steering import waiting_clients
from callctl.errors import Code
from callctl.events import Notice, OnEvent
from callctl.files import read_sql
from callctl.redaction import printable, redact

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

LOOK_SECONDS = 1.0
# How long the operator's command may take; one that takes longer is ended, and the run waits.
COMMAND_SECONDS = 5.0
# Bytes of the command's output that are read at once.
_PIECE = 4096
_FIRST_17 = 170000
# A look comes up to a second behind the checkpoint, and the server begins it a little early.
_MOST_OF = 0.8


@dataclass(frozen=True)
class Brake:
    """A reason to wait, as the object of "waiting for"; ``hint`` says what to do if it does not end."""

    what: str
    hint: str
    code: Code = Code.BRAKED


@dataclass(frozen=True)
class _Checkpoints:
    """The checkpoints asked for or forced, the WAL written and that which forces one, in bytes; seconds."""

    requested: int
    written: int
    forcing: float
    warned: int


class Brakes:
    """The brakes of a run, shared by all its sessions: looked at between two transactions.

    The lag of a replica is the time since this server had the replica's present position: the server's own replay_lag
    stops moving when a replica stops replaying.
    """

    def __init__(self, settings: Settings, on_event: OnEvent) -> None:
        self._settings = settings
        self._on_event = on_event
        self._lock = threading.Lock()
        self._looked = -LOOK_SECONDS
        self._brake: Brake | None = None
        self._positions: deque[tuple[int, float]] = deque()  # (WAL position, when this server had it)
        self._before: int | None = None  # clients that waited for a lock at the first look
        self._checkpoints: _Checkpoints | None = None  # as they were when the last one came
        self._forced_at: float | None = None  # when WAL forced the last one
        self._too_often_until = 0.0
        self._unreadable: set[Callable[[Connection], Brake | None]] = set()
        self._aurora: bool | None = None
        self._command = _Command(settings.brake_command) if settings.brake_command else None

    def reason(self, connection: Connection) -> Brake | None:
        """The reason to wait now, by a look that is a second old at most. ``connection`` is in autocommit.

        Raises psycopg.Error if the connection is lost. What this role may not see is no reason.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._looked >= LOOK_SECONDS:
                self._looked = now
                self._brake = self._look(connection)
            return self._brake

    def _look(self, connection: Connection) -> Brake | None:
        looks = (self._replica, self._aurora_replica, self._server, self._forced_checkpoint, self._clients)
        for look in looks:
            if look in self._unreadable:
                continue
            if (brake := self._asked(connection, look)) is not None:
                return brake
        return None if self._command is None else self._command.brake()

    def _asked(self, connection: Connection, look: Callable[[Connection], Brake | None]) -> Brake | None:
        import psycopg

        try:
            return look(connection)
        except psycopg.Error as error:
            if connection.closed:
                raise
            if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
                return None  # the next time
            self._unreadable.add(look)
            self._on_event(Notice(f"a brake of this run cannot be looked at: {database.error_text(error)}"))
            return None

    def _replica(self, connection: Connection) -> Brake | None:
        now = time.monotonic()
        here, replicas = None, []
        for position, name, replayed in connection.execute(read_sql("database/replicas.sql")).fetchall():
            here = position
            if replayed is not None:
                replicas.append((name, replayed))
        if here is None:
            return None
        self._positions.append((here, now))
        seconds, name = max(((now - self._when(replayed), name) for name, replayed in replicas), default=(0.0, ""))
        return self._behind(name, seconds)

    def _when(self, replayed: int) -> float:
        """Return the time at which this server had a replica's present position, as far as callctl watched it."""
        when = self._positions[0][1]
        for position, seen in self._positions:
            if position > replayed:
                break
            when = seen
        return when

    def _behind(self, name: str, seconds: float) -> Brake | None:
        most = self._settings.max_replication_lag_ms / 1000
        if seconds <= most:
            return None
        return Brake(
            f"replica {name}, {seconds:.0f} s behind",
            "wait for the replica, or set a larger --max-replication-lag",
            Code.REPLICA_BEHIND,
        )

    def _aurora_replica(self, connection: Connection) -> Brake | None:
        if self._aurora is None:
            query = "SELECT to_regprocedure('aurora_replica_status()') IS NOT NULL"
            self._aurora = bool(database.value(connection, query))
        if not self._aurora:
            return None
        rows = connection.execute(read_sql("database/aurora_replicas.sql")).fetchall()
        lag, name = max(((lag or 0.0, name) for name, lag in rows), default=(0.0, ""))
        return self._behind(name, lag / 1000)

    def _server(self, connection: Connection) -> Brake | None:
        values = {"schema": self._settings.schema}
        for kind, what in connection.execute(read_sql("database/brakes.sql"), values).fetchall():
            if kind == "slot":
                return Brake(what, "see why no client reads from that slot, or drop it")
            return Brake(what, "let that autovacuum finish: PostgreSQL needs it")
        return None

    def _forced_checkpoint(self, connection: Connection) -> Brake | None:
        """Brake if WAL has forced two checkpoints in less time than the server warns of. Others may be asked for."""
        newer = connection.info.server_version >= _FIRST_17
        name = "database/forced_checkpoints.sql" if newer else "database/forced_checkpoints_before_17.sql"
        (seen,) = database.select(connection, _Checkpoints, read_sql(name))
        now = time.monotonic()
        last, self._checkpoints = self._checkpoints or seen, seen
        if seen.requested == last.requested:
            self._checkpoints = last  # what is written counts from the last checkpoint
        elif seen.written - last.written >= seen.forcing * _MOST_OF:
            if self._forced_at is not None and now - self._forced_at < seen.warned:
                self._too_often_until = now + seen.warned
            self._forced_at = now
        if now >= self._too_often_until:
            return None
        return Brake(
            f"the server, where WAL forces checkpoints more often than every {seen.warned} s (checkpoint_warning)",
            "set a larger max_wal_size on the server, or run callctl when less is written",
        )

    def _clients(self, connection: Connection) -> Brake | None:
        count = waiting_clients(connection)
        if self._before is None:
            self._before = count
        if count <= self._before + self._settings.max_waiting_clients:
            return None
        return Brake(
            f"sessions of others that wait for locks: {count} now, {self._before} when the run began",
            "see pg_blocking_pids() for who holds them, or set a larger --max-waiting-clients",
        )


class _Command:
    """The operator's command, run again and again beside the work: it brakes when it does not end with 0."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._brake: Brake | None = None
        self._said = bytearray()
        self._reader: threading.Thread

    def brake(self) -> Brake | None:
        """Begin the command, or see how the last one ended."""
        if self._process is None:
            self._begin()
            with contextlib.suppress(subprocess.TimeoutExpired):
                if self._process is not None:
                    self._process.wait(0.2)
        if self._process is not None:
            if self._process.poll() is not None:
                # A child of it may hold the output open for as long as it lives: no run waits for that.
                self._reader.join(0.2)
                said = self._said.decode("utf-8", "backslashreplace").strip().splitlines()
                code = self._process.returncode
                self._brake = self._because(said[0] if said else f"it ended with {code}") if code else None
                self._process = None
            elif time.monotonic() - self._began > COMMAND_SECONDS:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                self._process = None
                self._brake = self._because(f"it did not end within {COMMAND_SECONDS:g} s")
        return self._brake

    def _begin(self) -> None:
        self._began = time.monotonic()
        try:
            words = shlex.split(self._command)
            if not words:
                raise ValueError("there is no command in it")
            # In a session of its own, so that what it began ends with it when it takes too long.
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._brake = self._because(f"it cannot be run: {error}")
            return
        self._said = bytearray()
        self._reader = threading.Thread(target=_read, args=(self._process.stdout, self._said), daemon=True)
        self._reader.start()

    def _because(self, why: str) -> Brake:
        # It is written to callctl.run_state, too, where others read it.
        shown = printable(redact(why))[:200]
        return Brake(f"brake_command: {shown}", "see what the command in callctl.yaml under brake_command looks at")


def _read(output: IO[bytes], said: bytearray) -> None:
    """Read to the end, so that much output stops no command; only the beginning is kept."""
    with output:
        while piece := os.read(output.fileno(), _PIECE):
            if len(said) < _PIECE:
                said += piece
