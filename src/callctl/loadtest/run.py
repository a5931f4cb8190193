"""A load test: what it would do, its run, what the server does meanwhile, and its end."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callctl.database import connection as database
from callctl.database import store
from callctl.database.lock import LOADTEST_CLASS, MigrationLock, lock_alone
from callctl.errors import Code, Interrupted, LockHeld, Refused, State, StepFailed
from callctl.events import LoadProgress, Notice, OnEvent, ignore
from callctl.loadtest import measure as loadtest_measure
from callctl.loadtest.measure import LoadTest, Removed, Server, Wait
from callctl.loadtest.rows import Own, Query, Rows, documented_queries, new, run_own
from callctl.loadtest.sessions import SESSION, Load, Workload
from callctl.server_errors import code_of
from callctl.statements.naming import Naming, read_naming

if TYPE_CHECKING:
    import psycopg

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# What a load test would do, and what refuses it before anything is written.

TABLES = ("calls", "call_transcripts", "integration_accounts")
# The sessions beside the load's own: the lock, the rows, the one that looks on. Who asks beforehand is gone by then.
OTHER_SESSIONS = 3


@dataclass(frozen=True)
class Leftover:
    """A company that a load test has left; ``removable`` is false if it now has rows of others."""

    company_id: str
    started_at: datetime
    client: str
    removable: bool


@dataclass(frozen=True)
class Preview:
    """The plan of a load test; nothing was changed. ``room`` is how many connections can still be opened."""

    database: str
    workload: Workload
    history: int
    room: int
    max_connections: int
    leftovers: tuple[Leftover, ...]
    queries: tuple[Query, ...]

    @property
    def fits(self) -> bool:
        return self.workload.connections + OTHER_SESSIONS - 1 <= self.room


def preview(connection: Connection, settings: Settings, workload: Workload, history: int) -> Preview:
    """Look at what a load test would do. Changes nothing. Raises Refused before steps 10 and 11."""
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        naming = ready(connection, settings)
        most, room, _ = _room(connection, naming)
        rows = Rows(connection, settings, naming).leftovers()
        leftovers = tuple(Leftover(company, at, by, same or not there) for company, at, by, there, same in rows)
    queries = tuple(query for query in documented_queries(naming).values() if query.loaded)
    return Preview(database.target_of(connection, settings).database, workload, history, room, most, leftovers, queries)


def assert_possible(connection: Connection, settings: Settings, workload: Workload) -> None:
    """Raise Refused if the tables are not there or the server has not enough connections. Changes nothing."""
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        assert_room(connection, ready(connection, settings), workload, OTHER_SESSIONS - 1)


def ready(connection: Connection, settings: Settings) -> Naming:
    """The naming, where the tables of calls are there. Raises Refused."""
    naming = read_naming(connection, settings.schema)
    for table in TABLES:
        if where := store.absence(connection, settings.schema, table):
            raise Refused(
                Code.STEP_NOT_APPLIED,
                f"table {settings.schema}.{table} {where}: a load test needs steps 9 to 11; nothing was changed",
                hint="run callctl migrate up first",
            )
    return naming


def _room(connection: Connection, naming: Naming) -> tuple[int, int, str]:
    """max_connections; how many more can be opened, and what sets that bound."""
    row = run_own(connection, naming, "room").fetchone()
    assert row is not None
    most, *rooms = row
    names = (
        "max_connections of the server",
        "the connection limit of this role",
        "the connection limit of this database",
    )
    room, name = min((room, name) for room, name in zip(rooms, names, strict=True) if room is not None)
    return most, max(room, 0), name


def assert_room(connection: Connection, naming: Naming, workload: Workload, others: int) -> None:
    """``others``: sessions beside the load's that are still to be opened."""
    most, room, bound = _room(connection, naming)
    needed = workload.connections + others
    if needed > room:
        fewer = room - others
        hint = (
            f"add --connections {fewer}: the sessions share them, as behind an application's pool"
            if fewer > 0
            else "wait for other sessions to end"
        )
        raise Refused(
            Code.TOO_MANY_CONNECTIONS,
            f"{workload.sessions} sessions need {needed} more connections, and there is room for {room} ({bound};"
            f" max_connections is {most}); nothing was changed",
            hint=f"{hint}; or use fewer --sessions, or raise the limit",
        )


# What a server does while it is under load: the CPU and memory of its processes, and what sessions wait for.

PROC = Path("/proc")
WAITS_SECONDS = 0.1
CPU_SECONDS = 1.0
_LOOPBACK = ("127.", "::1", "localhost", "/")


def postmaster(connection: Connection) -> int | None:
    """The process id of the server, where it runs on this machine and can be seen; else None."""
    info = connection.info
    row = connection.execute("SELECT pg_backend_pid(), current_user, current_database()").fetchone()
    if row is None or not (info.host or "/").startswith(_LOOPBACK):
        return None
    pid, user, database_name = row
    try:
        title = (PROC / str(pid) / "cmdline").read_bytes()
        # A tunnel ends here, too; then a process of that number is not the one that serves this connection.
        if not title.startswith(f"postgres: {user} {database_name} ".encode()):
            return None
        return int(_stat(PROC / str(pid))[1])
    except (OSError, ValueError, IndexError):
        return None


def usage(server: int) -> tuple[float, float]:
    """CPU seconds that the server and its processes have used so far, and their private memory in megabytes."""
    ticks, kilobytes = 0, 0
    for directory in PROC.iterdir():
        if not directory.name.isdecimal():
            continue
        try:
            fields = _stat(directory)
            if int(directory.name) == server:
                ticks += sum(map(int, fields[11:15]))  # with the processes that have ended
            elif int(fields[1]) == server:
                ticks += sum(map(int, fields[11:13]))
            else:
                continue
            status = (directory / "status").read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError, IndexError):  # it has ended meanwhile
            continue
        sizes = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")]
        kilobytes += int(sizes[0]) if sizes else 0
    return ticks / os.sysconf("SC_CLK_TCK"), kilobytes / 1024


def _stat(directory: Path) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, …"""
    return (directory / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


class Sampler(threading.Thread):
    """Looks on from a connection of its own, until it is told to stop."""

    def __init__(
        self, connection: Connection, naming: Naming, alive: Callable[[], None], stop: Callable[[str], None]
    ) -> None:
        """``alive`` raises when the load may not continue; then ``stop`` is called with why."""
        super().__init__(daemon=True)
        self._connection = connection
        self._naming = naming
        self._alive = alive
        self._stop_load = stop
        self._enough = threading.Event()
        self._server = postmaster(connection)
        self._waits: Counter[tuple[str, str, bool]] = Counter()
        self._longest: dict[tuple[str, str], float] = {}
        self._memory = 0.0
        self.samples = 0
        self.cpus: list[float] = []

    def run(self) -> None:
        import psycopg

        measured = time.perf_counter()
        used = usage(self._server)[0] if self._server else 0.0
        try:
            while not self._enough.wait(WAITS_SECONDS):
                self._sample()
                now = time.perf_counter()
                if now - measured >= CPU_SECONDS:
                    self._alive()
                    if self._server:
                        used = self._measure(used, now - measured)
                    measured = now
            # The rest of the last second counts too, unless it is very short.
            if self._server and time.perf_counter() - measured >= CPU_SECONDS / 4:
                self._measure(used, time.perf_counter() - measured)
        except psycopg.Error as error:
            self._stop_load(f"the observing connection broke: {type(error).__name__}")
        except Exception as error:
            self._stop_load(str(error))

    def finish(self) -> None:
        """Stop, and wait for it."""
        self._enough.set()
        self.join()

    def _sample(self) -> None:
        self.samples += 1
        for kind, event, own, others, longest in run_own(self._connection, self._naming, "waits").fetchall():
            self._waits[kind, event, True] += own
            self._waits[kind, event, False] += others
            self._longest[kind, event] = max(longest * 1000, self._longest.get((kind, event), 0.0))

    def _measure(self, used: float, seconds: float) -> float:
        assert self._server is not None
        now_used, memory = usage(self._server)
        self.cpus.append(round(max(now_used - used, 0.0) / seconds, 2))
        self._memory = max(self._memory, memory)
        return now_used

    @property
    def server(self) -> Server | None:
        """None if the server's processes cannot be seen from here, or it was over before they could be looked at."""
        if not self.cpus:
            return None
        mean = round(sum(self.cpus) / len(self.cpus), 2)
        return Server(os.cpu_count() or 1, mean, max(self.cpus), round(self._memory, 1))

    @property
    def waits(self) -> tuple[Wait, ...]:
        """Most often seen first; locks before everything else. Sessions that waited for nothing are left out."""
        events = {(kind, event) for kind, event, _ in self._waits if kind not in ("none", "Client")}
        all_waits = [
            Wait(
                kind,
                event,
                self._waits[kind, event, True],
                self._waits[kind, event, False],
                round(self._longest.get((kind, event), 0.0), 1) if kind == "Lock" else 0.0,
            )
            for kind, event in events
        ]
        return tuple(sorted(all_waits, key=lambda wait: (wait.type != "Lock", -wait.ours - wait.others, wait.event)))


# A load test: call sessions as the application would run them, in rows of its own, measured and removed.


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
                        f"company {company} has a name like a load test's but no record in "
                        "callctl.load_test; it was not changed"
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
    removed, leaves them to the next run. Raises Refused, before anything is written, if the tables are not there or
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
    has_rows = False
    try:
        run.rows.make_ready()
        removed = run.rows.remove_leftovers()
        run.rows.try_out({name: query for name, query in run.load.queries.items() if query.loaded})
        has_rows = True
        run.rows.make(run.own)
        with closing(database.connect(run.settings, application_name=f"{SESSION} watch")) as looking:
            sampler, cpu = _under_load(run, runner, looking)
        result = _result(run, started_at, removed, sampler, cpu)
    except psycopg.Error as error:
        _remove(run, has_rows, {"failed": type(error).__name__})
        outcome = State("unchanged", "its rows are removed" if has_rows else "it wrote no rows")
        raise StepFailed(
            code_of(error),
            f"the load test stopped: {database.error_text(error)}; {outcome}",
            hint="run callctl preflight: it checks the connection, privileges and locks",
            state=outcome,
        ) from error
    except BaseException as error:
        _remove(run, has_rows, {"failed": type(error).__name__})
        if isinstance(error, KeyboardInterrupt):
            outcome = State("unchanged", "its rows are removed" if has_rows else "it wrote no rows")
            raise Interrupted(
                Code.INTERRUPTED,
                f"interrupted before the load began; {outcome}",
                hint="run the same command again",
                state=outcome,
            ) from None
        raise
    _remove(run, has_rows, _detail(result))
    return result


def _under_load(run: _Run, runner: asyncio.Runner, looking: Connection) -> tuple[Sampler, float]:
    if run.history:
        run.on_event(Notice(f"writing {run.history:,} finished calls, which the dashboards show"))
        run.rows.history(run.own, run.history)
    sampler = Sampler(looking, run.naming, run.held.assert_held, run.load.stop)
    before, began = time.process_time(), time.perf_counter()
    sampler.start()
    try:
        runner.run(run.load.run())
    except KeyboardInterrupt:
        # Nothing else records one before the load's first moment; after its last, all was measured.
        run.load.interrupted |= not run.load.ended
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


def _remove(run: _Run, has_rows: bool, detail: dict[str, Any]) -> None:
    """Remove what this load test has written. Raises StepFailed or Interrupted if it stays."""
    import psycopg

    if not has_rows:
        return
    run.on_event(Notice("removing its rows"))
    try:
        run.rows.remove(run.own.company, "loadtest", detail)
    except KeyboardInterrupt:
        raise Interrupted(
            Code.LOADTEST_ROWS_LEFT,
            "interrupted while the load test removed its rows; some rows are left",
            hint=_HINT,
            state=State("partly done"),
        ) from None
    except psycopg.Error as error:
        raise _rows_are_left(error) from error


_HINT = "run callctl loadtest --clean to remove the rest; the next callctl loadtest does the same"


def _rows_are_left(error: psycopg.Error) -> StepFailed:
    return StepFailed(
        Code.LOADTEST_ROWS_LEFT,
        f"a load test's rows could not be removed: {database.error_text(error)}",
        hint=_HINT,
        state=State("partly done"),
    )


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
            Code.LOCK_HELD,
            "another load test is running on this database",
            hint="wait for that load test to finish, or run with --wait: two load tests would measure each other",
        )
        awaited = "another load test to finish"
        lock_alone(
            connection, settings, LOADTEST_CLASS, wait=wait, held=held_by_another, awaited=awaited, on_event=on_event
        )
        yield connection, held


def _progress(workload: Workload, seconds: float, calls: int) -> LoadProgress:
    return LoadProgress(calls, round(seconds, 1), max(round(workload.seconds - seconds, 1), 0.0))
