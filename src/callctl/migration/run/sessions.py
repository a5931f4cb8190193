"""Some of a run's work on several sessions at once: its own, and others beside it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from callctl.database.connection import connect
from callctl.database.lock import WORK_SESSION
from callctl.database.pace import Pace
from callctl.errors import CallctlError
from callctl.events import Event, Notice
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.migration.run.transactions import Run


class _Stopped(Exception):
    """Another session's work has failed, or the operator wants to stop."""


def on_sessions(run: Run, count: int, work: Callable[[Run], None]) -> None:
    """Do ``work`` on the run's session and on ``count - 1`` others at the same time; return when all have returned.

    ``work`` takes its share until none is left. Each of its transactions on another session makes sure that the run's
    own session still holds the work lock. Where one fails, or the operator interrupts, the others stop after the
    transaction under way, and its error is raised. A session that is not to be had is done without; behind a pooler
    there is only the run's own.
    """
    if count < 2 or not _direct(run):
        work(run)
        return
    stop = threading.Event()
    one_at_a_time = threading.Lock()
    raised: list[BaseException] = []

    def say(event: Event) -> None:
        # Every wait says that it waits, so nobody waits on when there is nothing left to wait for.
        if stop.is_set():
            raise _Stopped
        with one_at_a_time:
            run.on_event(event)

    def beside() -> None:
        try:
            connection = connect(run.settings, application_name=WORK_SESSION, session=True)
        except CallctlError as error:
            say(Notice(f"the batches go on with one session less: {error.message}"))
            return
        with closing(connection):
            for name, value in settings:
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            own = replace(run, connection=connection, beside=pid, on_event=say)
            work(replace(own, pace=Pace(run.settings, connection, say)))

    def raising_later() -> None:
        try:
            beside()
        except _Stopped:
            pass
        except BaseException as error:
            raised.append(error)
            stop.set()

    pid = run.connection.info.backend_pid
    settings = run.connection.execute(read_sql("migration/run/own_settings.sql")).fetchall()
    threads = [threading.Thread(target=raising_later, name=f"callctl batch {n}", daemon=True) for n in range(1, count)]
    for thread in threads:
        thread.start()
    try:
        with contextlib.suppress(_Stopped):
            work(replace(run, on_event=say))
        for thread in threads:
            thread.join()
    except BaseException:  # Ctrl-C, too
        stop.set()
        for thread in threads:
            thread.join()
        raise
    if raised:
        raise raised[0]


def _direct(run: Run) -> bool:
    """Whether the run's session is the server's own: a pooler says another process number than the server."""
    row = run.connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is not None and row[0] == run.connection.info.backend_pid
