"""One callctl at a time on a schema: the migration lock, the work lock, and the orphans of a killed run.

The migration lock says which run is active. A session of its own holds it, so it can be lost while the work continues.
The work lock is therefore held by the session that works, and taken again by each of its transactions: a server process
that still runs the last statement of a killed callctl still holds it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from callctl.database.connection import connect, error_text, select, value
from callctl.errors import UNKNOWN, Code, LockHeld, State, StepFailed
from callctl.events import Notice, OnEvent, Waiting, ignore
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# 'call' in ASCII: the first half of the migration lock's key; the second is the schema's hash.
LOCK_CLASS = 0x63616C6C
WORK_CLASS = LOCK_CLASS + 1
# Shared by the sessions that write batches beside the one that holds the work lock.
BATCH_CLASS = LOCK_CLASS + 2
# Locks of a rotation: of a range (by its id), of a process of the rotation (by its id), of the store during its
# creation.
RANGE_CLASS = LOCK_CLASS + 3
ROTATION_CLASS = LOCK_CLASS + 4
STORE_CLASS = LOCK_CLASS + 5
# Of webhook secrets, which one callctl at a time replaces or puts back.
WEBHOOK_CLASS = LOCK_CLASS + 6
# Of a load test, one at a time: rows that are there while no process holds it were left by a killed one.
LOADTEST_CLASS = LOCK_CLASS + 7
# What the holder of the migration lock is doing, as a number (:func:`mark`). Every role sees pg_locks whole.
DOING_CLASS = LOCK_CLASS + 8

# The commands that take the migration lock. Their places are part of the marks: another version of callctl reads them,
# so a new command goes to the end.
COMMANDS = (
    "migrate up",
    "migrate down",
    "migrate adopt",
    "purge",
    "seed-models",
    "keys retire",
    "rotate-secrets",
    "webhooks rotate",
    "webhooks restore",
    "backup",
    "restore",
    "loadtest",
    "companies enable",
    "companies disable",
    "settings init",
)
_STEPS_A_COMMAND = 100

LOCK_SESSION = "callctl lock"
WORK_SESSION = "callctl migrate"
# What a rotation's sessions are called; several of them may work at once.
ROTATE_SESSION = "callctl rotate"
BACKUP_SESSION = "callctl backup"
RESTORE_SESSION = "callctl restore"
# And those of a command that writes the platform's rows outside of steps and rotations.
OPERATE_SESSION = "callctl operate"

# How long a transaction may be open without a word to the server: a frozen or cut-off callctl holds locks.
IDLE_MS = 10_000
# How long an orphan may finish its statement before it is ended, and how long it may take to end.
ORPHAN_SECONDS = 10.0
_POLL_SECONDS = 0.2

_TRY = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
_UNLOCK = "SELECT pg_advisory_unlock(%s, hashtext(%s))"


def mark(command: str, step: int = 0) -> int:
    """The number under which a command says what it is doing; ``step`` is 0 before the first one."""
    return (COMMANDS.index(command) + 1) * _STEPS_A_COMMAND + step


def marked(number: int) -> tuple[str | None, int | None]:
    """Return the command and the step that a mark contains; None if this version does not know the mark."""
    place, step = divmod(number, _STEPS_A_COMMAND)
    return COMMANDS[place - 1] if 0 < place <= len(COMMANDS) else None, step or None


@contextmanager
def at_work(
    settings: Settings, *, command: str | None = None, wait: bool = False, on_event: OnEvent = ignore
) -> Iterator[tuple[Connection, MigrationLock]]:
    """The connection to write on, alone on this schema, and the migration lock that goes with it.

    By the time it yields, nothing of an earlier run is still at work on the server. ``wait`` waits for another callctl,
    up to ``settings.lock_wait_ms``. ``command`` is one of COMMANDS. Raises LockHeld if another is at work or an
    orphan does not end; Refused behind a pooler in transaction mode; ConnectionFailed.
    """
    with MigrationLock(settings, command=command, wait=wait, on_event=on_event) as lock:
        connection = connect(settings, application_name=WORK_SESSION, session=True)
        try:
            _end_orphans(connection, settings, on_event)
            yield connection, lock
        finally:
            _let_go(connection, WORK_CLASS, settings.schema)
            connection.close()


def let_others_finish(
    connection: Connection, settings: Settings, *, wait: bool = False, on_event: OnEvent = ignore
) -> None:
    """Return when no other callctl is at work on this schema. Takes no lock: another may begin right after.

    ``wait`` waits for it, up to ``settings.lock_wait_ms``. Raises LockHeld, naming who is at work.
    """
    _poll(lambda: not somebody_at_work(connection, settings), connection, settings, wait, on_event)


def somebody_at_work(connection: Connection, settings: Settings) -> bool:
    """Return whether another callctl has the migration lock of this schema."""
    return bool(_holder(connection, settings.schema))


def _end_orphans(connection: Connection, settings: Settings, on_event: OnEvent) -> None:
    """Take the work lock for this session; who still has it is left from a callctl that is gone, and must end first."""
    import psycopg

    bound = min(ORPHAN_SECONDS, settings.lock_wait_ms / 1000)
    began = time.monotonic()
    announced = held = False
    while True:
        # Looked for behind the lock: what still works beside an earlier session began while that one had it.
        held = held or _try(connection, WORK_CLASS, settings.schema)
        orphans = _orphans(connection, settings.schema)
        if held and not orphans:
            break
        waited = time.monotonic() - began
        if orphans and not announced:
            announced = True
            on_event(
                Notice(
                    f"a session of an earlier callctl is still running: {_named(orphans)}; waiting for the end of"
                    f" that session"
                )
            )
        if waited >= bound + ORPHAN_SECONDS:
            raise _will_not_end(orphans, "does not end")
        if waited >= bound:
            for orphan in orphans:
                if not orphan.is_callctl:
                    raise _will_not_end(orphans, "may belong to another program, so callctl did not end it")
                try:
                    connection.execute("SELECT pg_terminate_backend(%s)", (orphan.pid,))
                except psycopg.errors.InsufficientPrivilege:
                    raise _will_not_end(orphans, "cannot be ended by this role") from None
        elif waited:
            on_event(Waiting("an earlier callctl's statement to end", waited))
        time.sleep(_POLL_SECONDS)
    if announced:
        on_event(Notice("the earlier session has ended; resuming from the committed work"))


@dataclass(frozen=True)
class Holder:
    """A session that has an advisory lock of callctl's. ``word`` is the first of its statement.

    ``doing``: the mark under which it says what it does; None if it says nothing.
    """

    pid: int
    application_name: str | None
    address: str
    role: str | None
    age: str
    state: str
    word: str
    doing: int | None

    @property
    def name(self) -> str:
        """The command and its step, such as 'callctl migrate up, step 4'; else the application's name."""
        command, step = (None, None) if self.doing is None else marked(self.doing)
        if command is None:
            return self.application_name or "unknown"
        return f"callctl {command}" + ("" if step is None else f", step {step}")


@dataclass(frozen=True)
class _Orphan:
    """A session that an earlier callctl may have left. ``word`` is the first of its statement."""

    pid: int
    is_callctl: bool | None
    state: str
    word: str
    age: str


def holders(connection: Connection, classid: int, schema: str) -> list[Holder]:
    values = {"classid": classid, "doing": DOING_CLASS, "schema": schema}
    return select(connection, Holder, read_sql("database/lock_holder.sql"), values)


def _orphans(connection: Connection, schema: str) -> list[_Orphan]:
    parameters = {"lock": LOCK_CLASS, "work": WORK_CLASS, "batch": BATCH_CLASS, "schema": schema}
    return select(connection, _Orphan, read_sql("database/orphans.sql"), parameters)


def _named(orphans: list[_Orphan]) -> str:
    return "; ".join(
        f"pid {orphan.pid} ({orphan.state}, {orphan.word or 'query unknown'}, for {orphan.age})" for orphan in orphans
    )


def _will_not_end(orphans: list[_Orphan], why: str) -> LockHeld:
    pids = ", ".join(str(orphan.pid) for orphan in orphans) or "PID"
    named = _named(orphans) or "no session is visible"
    return LockHeld(
        Code.SESSION_LEFT,
        f"a session of an earlier callctl is still running on the server and {why}: {named}",
        hint=f"run SELECT pg_terminate_backend({pids}) as the session's owner or a superuser, then run the same"
        f" command again",
    )


def _try(connection: Connection, classid: int, schema: str, *, shared: bool = False) -> bool:
    query = "SELECT pg_try_advisory_lock_shared(%s, hashtext(%s))" if shared else _TRY
    return bool(value(connection, query, (classid, schema)))


def _let_go(connection: Connection, classid: int, schema: str, *, shared: bool = False) -> bool:
    """Release a lock, so that the next run need not wait for the session to be torn down; whether it was held."""
    import psycopg
    from psycopg.pq import TransactionStatus

    if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
        return False  # it goes with the connection
    query = "SELECT pg_advisory_unlock_shared(%s, hashtext(%s))" if shared else _UNLOCK
    try:
        return bool(value(connection, query, (classid, schema)))
    except psycopg.Error:
        return False


class MigrationLock:
    """The advisory lock that lets one callctl at a time change this schema.

    It is taken on a connection of its own, by polling: a session that waits in pg_advisory_lock() holds a snapshot, and
    CREATE INDEX CONCURRENTLY waits for snapshots. It goes with its connection, so a killed run leaves nothing behind.
    Those who take it ``shared`` (rotations, backups, commands that write a few rows) hold off a migration, and a
    migration them, but not each other; ``name`` is what their session is called. ``command`` is one of COMMANDS: it
    tells ``migrate status`` what is at work.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        wait: bool = False,
        shared: bool = False,
        name: str | None = None,
        command: str | None = None,
        on_event: OnEvent = ignore,
    ) -> None:
        self._settings = settings
        self._wait = wait
        self._shared = shared
        self._name = name or (ROTATE_SESSION if shared else LOCK_SESSION)
        self._command = command
        self._mark: int | None = None
        self._on_event = on_event
        self._connection: Connection | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        self._connection = connect(self._settings, application_name=self._name, session=True)
        try:
            self._pid = self._backend_pid()
            self._tell(self._connection, 0)
            self._take(self._connection)
        except BaseException:  # Ctrl-C while waiting, too
            self._connection.close()
            raise
        return self

    @property
    def session(self) -> int:
        """The server process of the session that holds it."""
        return self._pid

    def tell(self, step: int) -> None:
        """Let others see that this command is at a step. A session that is gone is :meth:`assert_held`'s to report."""
        import psycopg

        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._tell(self._connection, step)

    def _tell(self, connection: Connection, step: int) -> None:
        if self._command not in COMMANDS:
            return
        before, self._mark = self._mark, mark(self._command, step)
        if before != self._mark:
            connection.execute(
                "SELECT pg_try_advisory_lock_shared(%(class)s, %(now)s),"
                " CASE WHEN %(before)s::integer IS NOT NULL THEN pg_advisory_unlock_shared(%(class)s, %(before)s) END",
                {"class": DOING_CLASS, "now": self._mark, "before": before},
            )

    def _take(self, connection: Connection) -> None:
        taken = partial(_try, connection, LOCK_CLASS, self._settings.schema, shared=self._shared)
        _poll(taken, connection, self._settings, self._wait, self._on_event)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is None:
            return
        held = _let_go(self._connection, LOCK_CLASS, self._settings.schema, shared=self._shared)
        self._connection.close()
        if kind is None and not held:
            self._on_event(Notice("the migration lock was lost before the end: another callctl may have run meanwhile"))

    def assert_held(self, state: Callable[[], State] | None = None) -> None:
        """Raise StepFailed if the lock's session is gone: another session may have the lock by now.

        ``state`` says how far the step has come, for the message; it is asked only then.
        """
        import psycopg

        try:
            if self._backend_pid() == self._pid:
                return
            problem = "the connection of the migration lock got another server process, as behind a pooler"
        except psycopg.Error as error:
            problem = f"the connection that holds the migration lock broke: {error_text(error)}"
        left = UNKNOWN
        if state is not None:
            with contextlib.suppress(psycopg.Error):  # the same fate may have met the other connection
                left = state()
        raise StepFailed(
            Code.LOCK_LOST,
            f"{problem}; stopped before the next statement\n{left}".rstrip(),
            hint="run the same command again: it resumes from the committed work",
            state=left,
        )

    def ask(self, query: str, values: dict[str, object]) -> tuple[Any, ...] | None:
        """The first row of a query, on this connection of its own. Raises psycopg.Error."""
        assert self._connection is not None
        return self._connection.execute(query, values).fetchone()

    def _backend_pid(self) -> int:
        assert self._connection is not None
        return int(value(self._connection, "SELECT pg_backend_pid()") or 0)


def _poll(free: Callable[[], bool], connection: Connection, settings: Settings, wait: bool, on_event: OnEvent) -> None:
    """Return when the migration lock is ``free``; if it is not, raise LockHeld at once, or with ``wait`` in the end."""
    began = time.monotonic()
    while not free():
        waited = time.monotonic() - began
        if not wait or waited * 1000 >= settings.lock_wait_ms:
            holder = _holder(connection, settings.schema)
            raise LockHeld(
                Code.LOCK_HELD,
                f"another callctl is running on schema {settings.schema}{holder}",
                hint="wait for that callctl to finish, or run with --wait; the server releases the lock of a killed"
                " run",
            )
        on_event(Waiting("another callctl to finish", waited))
        time.sleep(_POLL_SECONDS)


def lock(connection: Connection, classid: int, number: int, *, shared: bool = False) -> bool:
    """Take an advisory lock of the session's, if it is free."""
    values = {"classid": classid, "number": number, "shared": shared}
    return bool(value(connection, read_sql("database/advisory_lock.sql"), values))


def lock_alone(
    connection: Connection,
    settings: Settings,
    classid: int,
    *,
    wait: bool,
    held: LockHeld,
    awaited: str,
    on_event: OnEvent,
) -> None:
    """Take an advisory lock of the session's that one callctl has at a time.

    Raises ``held`` if another has it; with ``wait`` only after ``lock_wait_ms``, and says until then that it waits
    for ``awaited``.
    """
    began = time.monotonic()
    while not lock(connection, classid, 0):
        waited = time.monotonic() - began
        if not wait or waited * 1000 >= settings.lock_wait_ms:
            raise held
        on_event(Waiting(awaited, waited))
        time.sleep(_POLL_SECONDS)


def let_go(connection: Connection, classid: int, number: int) -> None:
    """Release it."""
    connection.execute(read_sql("database/release_advisory_lock.sql"), {"classid": classid, "number": number})


def _holder(connection: Connection, schema: str) -> str:
    lock_holders = holders(connection, LOCK_CLASS, schema)
    if not lock_holders:
        return ""
    holder = lock_holders[0]
    return f" (pid {holder.pid}, {holder.name}, from {holder.address} as {holder.role}, for {holder.age})"
