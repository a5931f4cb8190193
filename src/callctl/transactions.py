"""One transaction of a step: bounded in how long it waits for a lock, and in how long it holds one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from callctl import database
from callctl.events import Direction, Notice, OnEvent
from callctl.files import read_sql
from callctl.script import Statement

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection, MigrationLock
    from callctl.pace import Pace

# A lock held too long once may be the machine's hiccup; three times, it is the statement.
OVERRUNS = 3
# These take no lock on a table that a reader or a writer of other rows waits behind.
_ROWS = frozenset({"select", "insert", "update", "delete", "merge"})

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


class Failed(Exception):
    """Carries the statement that failed out of the transactions around it."""

    def __init__(self, cause: Any, statement: Statement | None, sql: str) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.statement = statement
        self.sql = sql


class HeldTooLong(Exception):
    """A transaction held a lock beyond its budget, and was rolled back."""


class Hold:
    """Watches how long a transaction has been holding a lock that clients wait behind.

    The budget is also each statement's statement_timeout, so the server itself ends one that would overrun it.
    """

    def __init__(self, run: Run) -> None:
        self._connection = run.connection
        self._wait_ms = run.settings.lock_timeout_ms
        self._budget_ms = run.settings.lock_hold_ms
        self._since: float | None = None
        self._ends = False

    def execute(self, statement: Statement, send: Callable[[], Result]) -> Result:
        """Send one statement within what is left of the budget. Raises HeldTooLong."""
        import psycopg

        left = self._left()
        if "rewrites" in statement.directives:
            unheld = left = 0
        else:
            unheld = 0 if statement.kind in _ROWS else self._wait_ms + self._budget_ms
        row = self._connection.execute(
            read_sql("catalog/hold.sql").encode(), {"held_ms": left, "unheld_ms": unheld}
        ).fetchone()
        if row is not None and row[0] and self._since is None:
            self._since = time.monotonic()
        limit = left if self._since is not None else unheld
        began = time.monotonic()
        try:
            return send()
        except psycopg.errors.QueryCanceled as error:
            if limit and (time.monotonic() - began) * 1000 >= limit * 0.9:
                raise HeldTooLong from error
            raise

    def _left(self) -> int:
        if self._since is None:
            return self._budget_ms
        left = self._budget_ms - int((time.monotonic() - self._since) * 1000)
        if left <= 0:
            raise HeldTooLong
        return left


@contextmanager
def transaction(run: Run) -> Iterator[Hold]:
    """A transaction that gives up a lock it does not get at once, and lets go of one it holds too long."""
    with run.connection.transaction():
        database.set_lock_timeout(run.connection, run.settings.lock_timeout_ms, local=True)
        yield Hold(run)


def attempted(run: Run, attempt: Callable[[], Result]) -> Result:
    """Make an attempt until it has its locks, and holds them no longer than it may.

    ``attempt`` is one transaction. Raises what it raises at last.
    """
    for overruns in range(1, OVERRUNS + 1):
        run.pace.keep()
        run.lock.assert_held()
        try:
            return database.with_retries(run.settings, "a lock", attempt, run.on_event)
        except HeldTooLong:
            if overruns == OVERRUNS:
                raise
            run.on_event(
                Notice(
                    f"step {run.step} held a lock longer than {run.settings.lock_hold_ms / 1000:g} s (lock_hold);"
                    " it was rolled back and is tried again"
                )
            )
            time.sleep(random.uniform(0.5, 1.0))
    raise AssertionError("the last attempt returns or raises")
