"""Telling how far an index build has come, from a second connection, while the first one waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from callctl.events import IndexProgress
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.transactions import Run

SECONDS = 0.5


@contextmanager
def index_progress(run: Run) -> Iterator[None]:
    """While the body runs, report what ``pg_stat_progress_create_index`` says of this run's session.

    The migration lock's connection asks; it is idle meanwhile. Where it breaks nothing is reported, and the run finds
    out before its next statement. What a listener raises is raised at the end.
    """
    import psycopg

    pid = run.connection.info.backend_pid
    over = threading.Event()
    raised: list[BaseException] = []

    def look() -> None:
        try:
            while not over.wait(SECONDS):
                row = run.lock.ask(read_sql("catalog/index_progress.sql"), {"pid": pid})
                if row is not None:
                    phase, done, total, waiting_for = row
                    run.on_event(IndexProgress(run.step, phase, int(done), int(total), int(waiting_for)))
        except psycopg.Error:
            return
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=look, name="callctl index progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if raised:
        raise raised[0]
