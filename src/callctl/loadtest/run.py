"""A load test: call sessions as the application would run them, in rows of its own, measured and removed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from callctl.database import connection as database
from callctl.database import store
from callctl.database.lock import LOADTEST_CLASS, MigrationLock, lock_alone
from callctl.errors import Interrupted, LockHeld, StepFailed
from callctl.events import LoadProgress, Notice, OnEvent, ignore
from callctl.loadtest import measure as loadtest_measure
from callctl.loadtest.measure import LoadTest, Removed
from callctl.loadtest.preview import assert_room, ready
from callctl.loadtest.queries import documented_queries
from callctl.loadtest.rows import Own, Rows, new
from callctl.loadtest.server import Sampler
from callctl.loadtest.sessions import SESSION, Load, Workload
from callctl.statements.naming import Naming, read_naming

if TYPE_CHECKING:
    import psycopg

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


def clean(settings: Settings, *, wait: bool = False, on_event: OnEvent = ignore) -> tuple[Removed, ...]:
    """Remove what killed load tests have left, and nothing else, whichever steps are applied.

    Raises LockHeld while one is running.
    """
    import psycopg

    with _alone(settings, wait, on_event) as (connection, _):
        rows = Rows(connection, settings, read_naming(connection, settings.schema), on_event)
        try:
            removed = rows.remove_leftovers()
            for company in rows.unrecorded():
                on_event(
                    Notice(
                        f"company {company} is called like a load test's and is not on record in callctl.load_test:"
                        " it is left as it is"
                    )
                )
            return removed
        except psycopg.Error as error:
            raise _rows_are_left(error) from error


def load_test(
    settings: Settings,
    workload: Workload,
    *,
    history: int,
    limit_ms: float,
    wait: bool = False,
    on_event: OnEvent = ignore,
) -> LoadTest:
    """Run one. What an earlier one has left is removed first, what this one writes at the end, whatever happens.

    An interrupt ends the load and returns what was measured (``interrupted``); a second one, while rows are being
    removed, leaves them to the next run. Raises Refused, before anything is written, where the tables are not there or
    do not let a load test in and out, or the server has not enough connections; LockHeld, ConnectionFailed, StepFailed,
    Interrupted.
    """
    with _alone(settings, wait, on_event) as (connection, held):
        naming = ready(connection, settings)
        assert_room(connection, naming, workload, 1)
        rows = Rows(connection, settings, naming, on_event)
        queries = documented_queries(naming)
        own = new()
        with asyncio.Runner() as runner:
            load = Load(workload, queries, own, lambda seconds, calls: on_event(_progress(workload, seconds, calls)))
            try:
                runner.run(load.open(settings))
                return _loaded(
                    _Run(settings, connection, naming, held, rows, own, load, history, limit_ms, on_event), runner
                )
            finally:
                with suppress(KeyboardInterrupt):
                    runner.run(load.close())


@dataclass(frozen=True)
class _Run:
    settings: Settings
    connection: Connection
    naming: Naming
    held: MigrationLock
    rows: Rows
    own: Own
    load: Load
    history: int
    limit_ms: float
    on_event: OnEvent


def _loaded(run: _Run, runner: asyncio.Runner) -> LoadTest:
    import psycopg

    started_at = datetime.now(UTC)
    made = False
    try:
        run.rows.make_ready()
        removed = run.rows.remove_leftovers()
        run.rows.try_out({name: query for name, query in run.load.queries.items() if query.loaded})
        made = True
        run.rows.make(run.own)
        with closing(database.connect(run.settings, application_name=f"{SESSION} watch")) as looking:
            sampler, cpu = _under_load(run, runner, looking)
        result = _result(run, started_at, removed, sampler, cpu)
    except psycopg.Error as error:
        _remove(run, made, {"failed": type(error).__name__})
        left = "its rows are removed" if made else "nothing of it was written"
        raise StepFailed(
            f"the load test stopped: {database.error_text(error)}; {left}",
            hint="callctl preflight looks at connection, privileges and locks",
        ) from error
    except BaseException as error:
        _remove(run, made, {"failed": type(error).__name__})
        if isinstance(error, KeyboardInterrupt):
            left = "its rows are removed" if made else "nothing of it was written"
            raise Interrupted(f"interrupted before the load began; {left}", hint="run the same command again") from None
        raise
    _remove(run, made, _detail(result))
    return result


def _under_load(run: _Run, runner: asyncio.Runner, looking: Connection) -> tuple[Sampler, float]:
    if run.history:
        run.on_event(Notice(f"writing {run.history:,} calls that were over before, for the dashboards to show"))
        run.rows.history(run.own, run.history)
    sampler = Sampler(looking, run.naming, run.held.assert_held, run.load.stop)
    before, began = time.process_time(), time.perf_counter()
    sampler.start()
    try:
        with suppress(KeyboardInterrupt):  # it has come when the load was over
            runner.run(run.load.run())
    finally:
        cpu = (time.process_time() - before) / max(time.perf_counter() - began, 0.001)
        sampler.finish()
    return sampler, round(cpu, 2)


def _result(run: _Run, started_at: datetime, removed: tuple[Removed, ...], sampler: Sampler, cpu: float) -> LoadTest:
    load = run.load
    version = run.connection.execute("SHOW server_version").fetchone()
    return LoadTest(
        database=database.target_of(run.connection, run.settings).database,
        version=str(version[0]).split()[0] if version else "",
        started_at=started_at,
        sessions=load.workload.sessions,
        connections=load.workload.connections,
        call_seconds=load.workload.call_seconds,
        history=run.history,
        seconds=round(load.seconds, 3),
        limit_ms=run.limit_ms,
        interrupted=load.interrupted,
        stopped=load.stopped,
        calls_started=load.started,
        calls_completed=load.completed,
        lines=load.lines,
        queries=loadtest_measure.times(load.sent, run.limit_ms),
        client=loadtest_measure.client(load.sent, cpu),
        server=sampler.server,
        samples=sampler.samples,
        waits=sampler.waits,
        removed=removed,
        slowest_ms=loadtest_measure.slowest(load.sent, load.seconds),
        cpus=tuple(sampler.cpus),
    )


def _detail(result: LoadTest) -> dict[str, Any]:
    return {
        "sessions": result.sessions,
        "seconds": result.seconds,
        "calls": result.calls_started,
        "lines": result.lines,
        "history": result.history,
        "passed": result.passed,
    }


def _remove(run: _Run, made: bool, detail: dict[str, Any]) -> None:
    """Remove what this load test has written. Raises StepFailed or Interrupted where it stays."""
    import psycopg

    if not made:
        return
    run.on_event(Notice("removing its rows"))
    try:
        run.rows.remove(run.own.company, "loadtest", detail)
    except KeyboardInterrupt:
        raise Interrupted("interrupted while its rows were being removed; some are left", hint=_HINT) from None
    except psycopg.Error as error:
        raise _rows_are_left(error) from error


_HINT = "callctl loadtest --clean removes what is left, and so does the next callctl loadtest"


def _rows_are_left(error: psycopg.Error) -> StepFailed:
    return StepFailed(f"a load test's rows could not be removed: {database.error_text(error)}", hint=_HINT)


@contextmanager
def _alone(settings: Settings, wait: bool, on_event: OnEvent) -> Iterator[tuple[Connection, MigrationLock]]:
    """A connection to write rows on, with no migration under way and no other load test."""
    with (
        MigrationLock(
            settings, wait=wait, shared=True, name=f"{SESSION} lock", command="loadtest", on_event=on_event
        ) as held,
        closing(database.connect(settings, application_name=f"{SESSION} rows", session=True)) as connection,
    ):
        store.assert_owner(connection, settings.schema)
        held_by_another = LockHeld(
            "another load test is running on this database",
            hint="wait for it to finish, or run with --wait; two of them would measure each other",
        )
        what = "another load test to finish"
        lock_alone(connection, settings, LOADTEST_CLASS, wait=wait, held=held_by_another, what=what, on_event=on_event)
        yield connection, held


def _progress(workload: Workload, seconds: float, calls: int) -> LoadProgress:
    return LoadProgress(calls, round(seconds, 1), max(round(workload.seconds - seconds, 1), 0.0))
