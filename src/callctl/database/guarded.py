"""The one way to write: a transaction that waits for a lock only so long, is tried again, and says what failed.

What is retried has been rolled back by the server for certain: a lock given up, a deadlock or a snapshot lost. A
connection that breaks is never retried, since a commit under way may have been carried out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from callctl.database import lock
from callctl.database.connection import NotStored, select, translated
from callctl.database.lock import BATCH_CLASS, WORK_CLASS, holders
from callctl.errors import UNKNOWN, Code, LockHeld, State, StepFailed
from callctl.events import OnEvent, Waiting, ignore
from callctl.files import read_sql

if TYPE_CHECKING:
    import psycopg

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# How long a transaction asks again for the work lock of its schema before it says who has it.
BUSY_SECONDS = 5.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class Failing:
    """The parts of the error for a failed transaction, as in ``connection.translated``.

    ``state`` is called only then.
    """

    where: str
    state: Callable[[], State]
    quoted: bool = False

    def error(self, error: psycopg.Error, connection: Connection) -> StepFailed:
        """The StepFailed for an error of the server."""
        return translated(error, self.where, "", self.state(), connection, quoted=self.quoted)


def in_transaction(
    connection: Connection,
    settings: Settings,
    work: Callable[[], Result],
    *,
    awaited: str | Callable[[float], Waiting] = "a lock",
    shared: bool = False,
    statement_timeout_ms: int | None = None,
    failing: Failing | None = None,
    on_event: OnEvent = ignore,
) -> Result:
    """Do ``work`` in one guarded transaction, again from its beginning as :func:`with_retries` says.

    ``awaited`` is as in :func:`with_retries`; ``shared`` and ``statement_timeout_ms`` as in :func:`guarded`. With
    ``failing`` the server's errors and NotStored become StepFailed; without it they are raised as they are. Raises
    LockHeld if another session keeps the work lock, and what ``work`` raises.
    """
    import psycopg

    def attempt() -> Result:
        with guarded(connection, settings, shared=shared, statement_timeout_ms=statement_timeout_ms):
            return work()

    try:
        return with_retries(settings, awaited, attempt, on_event)
    except NotStored as wrong:
        if failing is None:
            raise
        raise wrong.explained(connection, failing.where, failing.state()) from None
    except psycopg.Error as error:
        if failing is None:
            raise
        raise failing.error(error, connection) from error


@contextmanager
def guarded(
    connection: Connection,
    settings: Settings,
    *,
    shared: bool = False,
    beside: int | None = None,
    one_snapshot: bool = False,
    constraints_immediate: bool = False,
    statement_timeout_ms: int | None = None,
    rolled_back: bool = False,
) -> Iterator[None]:
    """A transaction that begins with its guard: the work lock of the schema, and ``lock_timeout_ms``.

    With ``one_snapshot`` all its statements see the same rows; with ``constraints_immediate`` a deferred trigger fires
    behind its statement; ``statement_timeout_ms`` is what each statement may take; ``rolled_back`` undoes it at its
    end, whatever happens. The rest, and what it raises, as :func:`guard_transaction`.

    What begins it ends with an answer that is read. In a pipeline the server takes a session that has sent more for
    busy, and would not end it where callctl falls silent.
    """
    with connection.transaction(force_rollback=rolled_back):
        if one_snapshot:  # before any query
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if constraints_immediate:
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        guard_transaction(connection, settings.schema, settings.lock_timeout_ms, shared=shared, beside=beside)
        if statement_timeout_ms is not None:
            values = (str(statement_timeout_ms),)
            connection.execute("SELECT set_config('statement_timeout', %s, true)", values).fetchone()
        yield


@dataclass(frozen=True)
class _Guard:
    """The answer of a transaction's first statement: whether it has the work lock, and its timeouts."""

    locked: bool
    lock_timeout: str
    idle_timeout: str
    lock_timeout_stays: bool


def guard_transaction(
    connection: Connection,
    schema: str,
    lock_timeout_ms: int,
    *,
    shared: bool = False,
    beside: int | None = None,
) -> None:
    """Open the guard of a transaction that has just begun, in one round trip: its work lock and its timeouts.

    ``beside`` is the process that holds the work lock while this session writes batches beside it; ``shared`` holds
    off who takes the work lock alone, and no one else who shares it. Raises WorkLockBusy if the work lock is not
    if it should be (:func:`with_retries` tries again, then names who has it), and StepFailed if the lock timeout
    does not stay set.
    """
    parameters = {
        "classid": WORK_CLASS,
        "batch": BATCH_CLASS,
        "beside": beside,
        "schema": schema,
        "shared": shared,
        "lock_timeout": f"{lock_timeout_ms}ms",
        "idle": f"{lock.IDLE_MS}ms",
    }
    (guard,) = select(connection, _Guard, read_sql("database/guard.sql"), parameters)
    if not guard.locked:
        raise WorkLockBusy(lambda: in_the_middle(connection, schema))
    if not guard.lock_timeout_stays:
        raise StepFailed(
            Code.POOLER,
            "lock_timeout does not stay set on this connection; stopped before the next statement",
            hint="use the server's own port, or a pooler in session mode",
        )


def in_the_middle(connection: Connection, schema: str) -> LockHeld:
    """The error for a work lock that another session keeps."""
    others = holders(connection, WORK_CLASS, schema)
    holder = f" (pid {others[0].pid}, {others[0].application_name or 'unknown'}, for {others[0].age})" if others else ""
    return LockHeld(
        Code.LOCK_HELD,
        f"another callctl{holder} is running a statement on schema {schema}",
        hint="wait for that callctl to finish, then run the same command again: it resumes from the committed work",
        state=UNKNOWN,
    )


class WorkLockBusy(Exception):
    """A transaction did not get the work lock; ``refusal`` makes the error that names who has it."""

    def __init__(self, refusal: Callable[[], LockHeld]) -> None:
        super().__init__()
        self.refusal = refusal


def given_way() -> tuple[type[psycopg.Error], ...]:
    """The errors that say: another session was in the way, the transaction is rolled back for certain, try again."""
    from psycopg import errors

    return errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure


def with_retries(
    settings: Settings,
    awaited: str | Callable[[float], Waiting],
    attempt: Callable[[], Result],
    on_event: OnEvent = ignore,
    paused: Callable[[], float] | None = None,
) -> Result:
    """Make an attempt again when it gave up a lock (55P03), lost a deadlock (40P01) or its snapshot (40001).

    ``awaited`` says what is waited for, or is asked for the event, given the seconds waited so far. ``attempt`` leaves
    no transaction open when it raises. ``paused`` is called before each further attempt, and returns seconds that are
    not part of the wait. Gives up after ``lock_wait_ms`` with the last error; where another session has
    the work lock, after five seconds at most, with LockHeld.
    """
    began = time.monotonic()
    tries = 0
    while True:
        tries += 1
        try:
            return attempt()
        except given_way():
            waited = time.monotonic() - began
            if waited * 1000 >= settings.lock_wait_ms:
                raise
            on_event(
                Waiting(awaited, waited, settings.lock_wait_ms / 1000) if isinstance(awaited, str) else awaited(waited)
            )
        except WorkLockBusy as busy:
            waited = time.monotonic() - began
            if waited >= min(settings.lock_wait_ms / 1000, BUSY_SECONDS):
                raise busy.refusal() from None
            on_event(Waiting("another callctl's statement to end", waited))
        if paused is not None:
            began += paused()
        # Jitter, so that two who collided do not collide again.
        time.sleep(min(0.05 * 2 ** min(tries, 6), 2.0) * random.uniform(0.5, 1.0))
