"""What a statement of this run waits for, told from a second connection while the first one waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from callctl.events import IndexProgress, Waiting
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.migration.run.transactions import Run

SECONDS = 0.5
# A standby on the other side of an ocean answers within a second; one that is gone does not.
STANDBY_SECONDS = 2.0


@contextmanager
def index_progress(run: Run) -> Iterator[None]:
    """While the body runs, report what ``pg_stat_progress_create_index`` says of this run's session."""
    pid = run.connection.info.backend_pid

    def look() -> None:
        row = run.lock.ask(read_sql("migration/run/index_progress.sql"), {"pid": pid})
        if row is not None:
            phase, done, total, waiting_for = row
            run.on_event(IndexProgress(run.step, phase, int(done), int(total), int(waiting_for)))

    with _looking(look, SECONDS):
        yield


@contextmanager
def standby_awaited(run: Run) -> Iterator[None]:
    """While the body commits, report that it waits for a synchronous standby, and which ones are wanted.

    Such a commit waits for ever where the standby is gone. Ctrl-C ends the wait: what was committed is on this server's
    own disk.
    """
    pid = run.connection.info.backend_pid
    began = time.monotonic()

    def look() -> None:
        row = run.lock.ask(read_sql("migration/run/standby_awaited.sql"), {"pid": pid})
        if row is not None:
            run.on_event(Waiting(str(row[0]), time.monotonic() - began))

    with _looking(look, STANDBY_SECONDS):
        yield


@contextmanager
def _looking(look: Callable[[], None], seconds: float) -> Iterator[None]:
    """While the body runs, call ``look`` every so many seconds, in a thread.

    It asks on the migration lock's connection, which is idle meanwhile. Where that breaks nothing is reported, and the
    run finds out before its next statement. What a listener raises is raised at the end.
    """
    import psycopg

    over = threading.Event()
    raised: list[BaseException] = []

    def watch() -> None:
        try:
            while not over.wait(seconds):
                look()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            return
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=watch, name="callctl watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if raised:
        raise raised[0]
