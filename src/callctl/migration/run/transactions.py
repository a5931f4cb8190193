"""One transaction of a step: bounded in how long it waits for a lock, and in how long it holds one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from callctl.database import connection as database
from callctl.database import store
from callctl.database.guarded import guarded, with_retries
from callctl.errors import State
from callctl.events import Direction, Expected, Notice, OnEvent, Waiting
from callctl.files import read_sql
from callctl.statements.script import Statement

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection, Cursor
    from callctl.database.lock import MigrationLock
    from callctl.database.pace import Pace

# A lock held too long once may be the machine's hiccup; three times, it is the statement.
OVERRUNS = 3
# These take no lock on a table that a reader or a writer of other rows waits behind.
ROWS = frozenset({"select", "insert", "update", "delete", "merge"})

Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """Everything one step's run goes by."""

    connection: Connection
    lock: MigrationLock
    pace: Pace
    settings: Settings
    schema: str
    step: int
    direction: Direction
    on_event: OnEvent
    # What the operator runs to resume it.
    command: str = ""
    # How long each step was expected to take.
    expected: Mapping[int, Expected] = field(default_factory=dict)
    # The process of the run's own session, where this one works beside it.
    beside: int | None = None


def state(run: Run) -> State:
    """Return the state of the database after a step stopped."""
    if run.connection.closed:
        text = f"step {run.step} {run.direction} is not finished; its committed work stays"
        return State("unknown", text, run.step, run.direction)
    way = dict(store.started(run.connection)).get(run.step)
    if way == run.direction:
        text = (
            f"step {run.step} {run.direction} is partly applied: its committed work stays, the current"
            f" transaction was rolled back"
        )
        return State("partly applied", text, run.step, run.direction)
    text = f"step {run.step} {run.direction} was rolled back as a whole"
    if way is not None:
        return State("partly applied", f"{text}; the step is still partly applied ({way})", run.step, way)
    return State("partly done", f"{text}; earlier steps stay as they are")


class Failed(Exception):
    """Carries the statement that failed out of the transactions around it."""

    def __init__(self, cause: Any, statement: Statement | None, sql: str) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.statement = statement
        self.sql = sql


class HeldTooLong(Exception):
    """A transaction held a lock beyond its budget, and was rolled back."""


class Transaction:
    """A transaction under way: its statements are sent without waiting for each other's answers.

    So a lock is held while the server works, not while an answer travels and this process waits for its turn. The time
    that a transaction may hold a lock is its statements' statement_timeout, counted from the first that takes one: the
    server itself ends a statement that would overrun it, even if this process is gone.
    """

    def __init__(self, run: Run) -> None:
        self._connection = run.connection
        self._settings = run.settings
        self._sent: list[tuple[Statement, Cursor]] = []
        self._took_lock = False

    @property
    def failed(self) -> Statement | None:
        """The first statement that has no answer, after an error."""
        return next((statement for statement, cursor in self._sent if cursor.statusmessage is None), None)

    def send(self, statement: Statement) -> Cursor:
        """Send one statement; its answer is there after :meth:`wait`."""
        if "rewrites" in statement.directives:
            self._connection.execute("SELECT set_config('statement_timeout', '0', true)")
            self._took_lock = True
        elif self._took_lock or statement.kind not in ROWS:
            self._connection.execute(
                read_sql("migration/steps/hold.sql"),
                {"wait_ms": self._settings.lock_timeout_ms, "hold_ms": self._settings.lock_hold_ms},
            )
            self._took_lock = True
        cursor = self._connection.cursor()
        self._sent.append((statement, cursor))
        return cursor.execute(statement.sql)

    def ask(self, statement: Statement, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query on behalf of a statement, which is what :attr:`failed` if it gets no answer."""
        cursor = self._connection.cursor()
        self._sent.append((statement, cursor))
        return cursor.execute(query).fetchall()

    def wait(self) -> None:
        """Return when every statement sent has its answer. Raises psycopg.Error of the first that failed."""
        database.synchronise(self._connection)


@contextmanager
def transaction(run: Run, *, one_snapshot: bool = False) -> Iterator[Transaction]:
    """A transaction that gives up a lock it does not get at once, and lets go of one it holds too long.

    With ``one_snapshot`` its statements and its checks see the same rows, whatever is written meanwhile.
    """
    with (
        database.pipeline(run.connection),
        # PostgreSQL alters no table with trigger events pending: a deferred trigger fires behind its statement.
        guarded(run.connection, run.settings, beside=run.beside, one_snapshot=one_snapshot, constraints_immediate=True),
    ):
        yield Transaction(run)


def attempted(run: Run, attempt: Callable[[], Result], awaited: Callable[[float], Waiting] | str = "a lock") -> Result:
    """Make an attempt until it has its locks, and holds them no longer than it may.

    ``attempt`` is one transaction; ``awaited`` is as in ``with_retries``. Raises what it raises at last, and
    HeldTooLong.
    """
    import psycopg

    for overruns in range(1, OVERRUNS + 1):
        run.pace.keep()
        run.lock.assert_held(partial(state, run))
        try:
            return with_retries(run.settings, awaited, attempt, run.on_event, run.pace.obey)
        except psycopg.errors.QueryCanceled as error:
            if overruns == OVERRUNS:
                raise HeldTooLong from error
            run.on_event(
                Notice(
                    f"step {run.step} held a lock longer than {run.settings.lock_hold_ms / 1000:g} s (lock_hold), or "
                    "was canceled; it was rolled back, and callctl tries it again"
                )
            )
            time.sleep(random.uniform(0.5, 1.0))
    raise AssertionError("the last attempt returns or raises")
