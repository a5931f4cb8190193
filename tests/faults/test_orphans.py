"""What a killed or frozen callctl leaves running on the server ends before the next run begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest
from psycopg import sql
from tests.conftest import connect
from tests.support import processes
from tests.support.steps import ALL

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.database import lock, purge
from callctl.database.guarded import guard_transaction, with_retries
from callctl.errors import CallctlError, LockHeld, Refused, StepFailed
from callctl.events import BatchFinished, Event, Notice, StatementStarted, StepStarted
from callctl.migration import adoption, migrate
from callctl.migration.checks.verify import verify
from callctl.migration.steps.numbered import all_steps

# It is about callctl's own processes and sessions.
pytestmark = pytest.mark.one_server

Watch: TypeAlias = psycopg.Connection[Any]
Started: TypeAlias = list[subprocess.Popen[str]]

SLOW = """
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') LIKE 'callctl%' THEN PERFORM pg_sleep(600); END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER slow BEFORE UPDATE ON chatapp.chatbots FOR EACH STATEMENT EXECUTE FUNCTION public.slow();
"""
QUICK = "DROP TRIGGER slow ON chatapp.chatbots; DROP FUNCTION public.slow()"


class Listening:
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notices.append(event.text)


@pytest.fixture
def watch(documented: str) -> Iterator[Watch]:
    """A session that looks at what the others do."""
    with connect(documented) as connection:
        yield connection


@pytest.fixture
def started() -> Iterator[Started]:
    """Processes that are gone at the end of the test, however it ends."""
    processes_: list[subprocess.Popen[str]] = []
    yield processes_
    for process in processes_:
        process.kill()
        process.communicate()


def short(url: str) -> Settings:
    return Settings(database_url=url, lock_wait_ms=1000)


def at_a_standstill(url: str, watch: Watch) -> tuple[subprocess.Popen[str], int]:
    """A callctl in the middle of a statement that takes ten minutes, and its server process."""
    migrate.up(Settings(database_url=url), to=3)
    watch.execute(SLOW)
    process = processes.start(url, "migrate", "up", "--yes")
    (pid,) = processes.until(lambda: processes.sessions(watch, "callctl migrate", "active"), "callctl at work")
    asleep = "SELECT true FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
    processes.until(lambda: watch.execute(asleep, (pid,)).fetchone(), "callctl in the slow trigger")
    return process, pid


class Mending(Listening):
    """At the first step of the new run: the orphan must be gone by then, and what made it slow goes."""

    def __init__(self, watch: Watch, orphan: int) -> None:
        super().__init__()
        self._watch = watch
        self._orphan = orphan
        self.mended = False

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, StepStarted) and not self.mended:
            assert self._orphan not in processes.sessions(self._watch, "%", "%")
            self._watch.execute(QUICK)
            self.mended = True


def test_killed_in_the_middle_of_a_statement(documented: str, watch: Watch, started: Started) -> None:
    process, pid = at_a_standstill(documented, watch)
    started.append(process)
    process.kill()
    process.wait()
    by_itself = watch.info.server_version >= 140000
    if by_itself:
        processes.until(lambda: not processes.sessions(watch, "callctl%", "%"), "the orphan gone by itself")
    run = Mending(watch, pid)
    migrate.up(short(documented), on_event=run)
    assert run.mended
    assert any(f"still running: pid {pid} (active, " in notice for notice in run.notices) is not by_itself
    assert_all_done(documented)


@pytest.mark.applied(3)
def test_killed_in_the_middle_of_an_index_build(documented: str, watch: Watch, started: Started) -> None:
    """CREATE INDEX CONCURRENTLY waits for whoever has an older snapshot, and leaves an invalid index behind."""
    with connect(documented) as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        process = processes.start(documented, "migrate", "up", "--yes")
        started.append(process)
        building = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'virtualxid'"
            " AND application_name = 'callctl migrate' AND query LIKE '%CONCURRENTLY%'"
        )
        (pid,) = processes.until(lambda: watch.execute(building).fetchone(), "callctl building an index")
        process.kill()
        process.wait()
        with lock.at_work(short(documented)):
            assert pid not in processes.sessions(watch, "%", "%")
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    left = watch.execute(invalid).fetchall()
    assert len(left) == 1
    run = Listening()
    migrate.up(short(documented), on_event=run)
    assert any("was left invalid by an earlier attempt" in notice for notice in run.notices)
    assert watch.execute(invalid).fetchall() == []
    assert_all_done(documented)


def test_frozen_and_robbed_of_its_lock(documented: str, watch: Watch, started: Started) -> None:
    """Its callctl lives and is connected, so the server would go on for as long as the statement takes."""
    process, pid = at_a_standstill(documented, watch)
    started.append(process)
    process.send_signal(signal.SIGSTOP)
    end_lock_session(watch)
    run = Mending(watch, pid)
    migrate.up(short(documented), on_event=run)
    assert run.mended
    assert run.notices[0].startswith(f"a session of an earlier callctl is still running: pid {pid} (active, ")
    assert_all_done(documented)

    process.send_signal(signal.SIGCONT)
    code, _, err = processes.finish(process)
    assert code == 5, err
    assert "run the same command again" in err
    assert "Traceback" not in err


def assert_all_done(url: str) -> None:
    """Verified, and each step recorded once."""
    with database.connect(Settings(database_url=url)) as connection:
        assert verify(connection, Settings()).passed
        assert [row.step for row in migrate.history(connection)] == list(ALL)


def end_lock_session(watch: Watch) -> None:
    """End the session that holds the migration lock, and wait until it is gone."""
    (held_by,) = processes.sessions(watch, "callctl lock", "%")
    watch.execute("SELECT pg_terminate_backend(%s)", (held_by,))
    processes.until(lambda: not processes.sessions(watch, "callctl lock", "%"), "the lock's session gone")


def test_a_lost_lock_says_how_far_the_step_came(documented: str, watch: Watch) -> None:
    def rob(event: Event) -> None:
        if isinstance(event, BatchFinished) and event.step == 4:
            end_lock_session(watch)

    with pytest.raises(StepFailed, match="migration lock broke") as failed:
        migrate.up(replace(Settings(database_url=documented), batch_size=60), on_event=rob)
    assert "step 4 up is partly applied: its committed work stays" in failed.value.message
    assert "stopped before the next statement" in failed.value.message


RAN = "SELECT conname FROM pg_constraint WHERE convalidated UNION SELECT relname FROM pg_class"


@pytest.mark.parametrize("name", ["chatbot_packages_capability_check", "idx_chatbots_capabilities"])
def test_a_statement_outside_a_transaction_does_not_run_without_the_migration_lock(
    documented: str, watch: Watch, name: str
) -> None:
    """VALIDATE and CREATE INDEX CONCURRENTLY: the lock is lost during the statement before, the last to run."""
    (step,) = (step for step in all_steps() if step.number == 4)
    (before,) = (
        before
        for before, statement in pairwise(step.script("up").statements)
        if "no-transaction" in statement.directives and name in statement.sql
    )

    def rob(event: Event) -> None:
        if isinstance(event, StatementStarted) and (event.source, event.line) == (before.source, before.line):
            end_lock_session(watch)

    with pytest.raises(StepFailed, match=r"migration lock broke: .*; stopped before the next statement"):
        migrate.up(Settings(database_url=documented), on_event=rob)
    assert (name,) not in watch.execute(RAN).fetchall()
    migrate.up(Settings(database_url=documented))
    assert_all_done(documented)


# Ends the session that holds the migration lock when callctl begins to build an index.
ROBS = """
CREATE FUNCTION public.rob() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'callctl lock' AND datname = current_database() AND current_query() LIKE '%first_of_type%';
END $$;
CREATE EVENT TRIGGER rob ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.rob();
"""


def test_the_next_of_several_generated_statements_does_not_run_without_the_migration_lock(
    documented: str, watch: Watch
) -> None:
    """Step 6, down, builds again every index of the type column. The lock is lost while the first is built."""
    names = ["first_of_type", "second_of_type"]
    for name in names:
        watch.execute(f"CREATE INDEX {name} ON chatapp.chatbots (chatbottype)".encode())
    migrate.up(Settings(database_url=documented))
    watch.execute(ROBS)
    with pytest.raises(StepFailed, match=r"migration lock broke: .*; stopped before the next statement"):
        migrate.down(Settings(database_url=documented), to=5)
    built = "SELECT relname FROM pg_class WHERE relname = ANY (%s)"
    assert len(watch.execute(built, (names,)).fetchall()) < len(names)
    watch.execute("DROP EVENT TRIGGER rob")
    migrate.down(Settings(database_url=documented), to=5)
    assert len(watch.execute(built, (names,)).fetchall()) == len(names)


@pytest.mark.parametrize("command", ["down", "adopt", "purge"])
@pytest.mark.applied(2)
def test_whoever_writes_waits_for_the_orphan(documented: str, watch: Watch, command: str) -> None:
    settings = short(documented)
    with connect(documented) as orphan:
        take_work_lock(orphan)
        pid = orphan.info.backend_pid
        heard = Listening()
        if command == "down":
            migrate.down(settings, to=1, on_event=heard)
        elif command == "adopt":
            adoption.adopt(settings, heard)
        else:
            purge.purge(settings, heard)
        assert f"pid {pid} (idle in transaction, SELECT" in heard.notices[0]
        with pytest.raises(psycopg.OperationalError):
            orphan.execute("SELECT 1")


def take_work_lock(connection: Watch, schema: str = "chatapp") -> None:
    """Do as a callctl's session in the middle of a transaction does."""
    connection.execute("SET application_name = 'callctl migrate'")
    connection.execute("BEGIN")
    connection.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (lock.WORK_CLASS, schema))


def test_one_that_ends_in_time_is_waited_for(documented: str) -> None:
    settings = Settings(database_url=documented)
    with connect(documented) as orphan:
        take_work_lock(orphan)

        def end(event: Event) -> None:
            if isinstance(event, Notice) and "still running" in event.text:
                orphan.execute("COMMIT")

        migrate.up(settings, to=1, on_event=end)
        assert orphan.execute("SELECT 1").fetchone() == (1,)


def test_a_session_by_that_name_in_a_transaction_is_an_orphan_without_the_lock(documented: str) -> None:
    with connect(documented, application_name="callctl migrate") as orphan:
        orphan.execute("BEGIN; SELECT FROM chatapp.users LIMIT 1")
        migrate.up(short(documented), to=1)
        with pytest.raises(psycopg.OperationalError):
            orphan.execute("SELECT 1")


def test_a_run_on_another_schema_is_nobodys_orphan(documented: str, watch: Watch) -> None:
    """--schema mistyped: callctl must not end the run that is at work on the right one."""
    with connect(documented) as other, lock.MigrationLock(short(documented)):
        take_work_lock(other)
        with lock.at_work(replace(short(documented), schema="chatap")):
            assert other.execute("SELECT 1").fetchone() == (1,)


def test_one_that_may_not_be_ended_is_named_and_nothing_runs(documented: str, watch: Watch) -> None:
    role = f"deployer_{os.getpid()}"
    watch.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    try:
        with connect(documented) as orphan:
            take_work_lock(orphan)
            orphan.execute("SELECT 'a customer''s secret'")
            settings = replace(short(documented), database_url=documented.replace("user=postgres", f"user={role}"))
            with pytest.raises(LockHeld) as refused, lock.at_work(settings):
                raise AssertionError("it has begun")
            assert f"pid {orphan.info.backend_pid}" in refused.value.message
            assert "secret" not in refused.value.message
            assert "pg_terminate_backend" in (refused.value.hint or "")
            assert orphan.execute("SELECT 1").fetchone() == (1,)
    finally:
        watch.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_one_that_is_not_callctl_is_not_ended(documented: str) -> None:
    with connect(documented, application_name="psql") as stranger:
        take_work_lock(stranger)
        stranger.execute("SET application_name = 'psql'")
        with pytest.raises(LockHeld, match="may belong to another program"):
            migrate.up(short(documented), to=1)
        assert stranger.execute("SELECT 1").fetchone() == (1,)


def test_no_transaction_begins_without_the_work_lock(documented: str) -> None:
    """The session's locks are a courtesy: what keeps two transactions apart is the lock that each takes."""
    settings = replace(short(documented), lock_wait_ms=300)
    tries = []
    with lock.at_work(settings) as (connection, _), connect(documented) as other:
        connection.execute("SELECT pg_advisory_unlock_all()")  # as a pooler does that resets a session
        take_work_lock(other)

        def attempt() -> None:
            with connection.transaction():
                tries.append(1)
                guard_transaction(connection, "chatapp", 100)
                raise AssertionError("it has begun")

        with pytest.raises(LockHeld) as refused:
            with_retries(settings, "a lock", attempt)
        assert len(tries) > 1
        assert f"another callctl (pid {other.info.backend_pid}, callctl migrate, for " in refused.value.message
        assert "is running a statement on schema chatapp" in refused.value.message


def test_the_guard_sets_its_timeouts_for_the_transaction_alone(documented: str) -> None:
    names = ("lock_timeout", "idle_in_transaction_session_timeout")
    query = "SELECT current_setting(name) FROM unnest(%s::text[]) AS name"
    with lock.at_work(Settings(database_url=documented)) as (connection, _):
        before = connection.execute(query, (list(names),)).fetchall()
        for milliseconds, shown in ((200, "200ms"), (2000, "2s"), (300_000, "5min"), (0, "0")):
            with connection.transaction():
                guard_transaction(connection, "chatapp", milliseconds)
                assert connection.execute(query, (list(names),)).fetchall() == [(shown,), ("10s",)]
        assert connection.execute(query, (list(names),)).fetchall() == before


# A set_config() that changes nothing, in a schema that is searched before pg_catalog.
IGNORES = """
CREATE SCHEMA ignores;
CREATE FUNCTION ignores.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT $2';
"""


def test_a_lock_timeout_that_does_not_stay_set_stops_the_transaction(documented: str, watch: Watch) -> None:
    """A pooler may send the setting elsewhere, or ignore it: what counts is what the session says then."""
    watch.execute(IGNORES)
    with lock.at_work(Settings(database_url=documented)) as (connection, _):
        connection.execute("SET search_path = ignores, pg_catalog")
        with pytest.raises(StepFailed, match="lock_timeout does not stay set"), connection.transaction():
            guard_transaction(connection, "chatapp", 2000)
        with pytest.raises(Refused, match="lock_timeout does not stay set"):
            database.set_lock_timeout(connection, 2000)
        connection.execute("SET lock_timeout = '2s'")
        with connection.transaction():
            guard_transaction(connection, "chatapp", 2000)
        database.set_lock_timeout(connection, 2000)


def test_the_server_frees_the_locks_of_a_callctl_that_falls_silent(
    documented: str, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    monkeypatch.setattr(lock, "IDLE_MS", 1000)
    ended = []

    def fall_silent(event: Event) -> None:
        # In a transaction: behind its guard, before its first statement.
        if isinstance(event, StatementStarted) and event.step == 9 and "make_touch_function" in event.summary:
            processes.until(lambda: not processes.sessions(watch, "callctl migrate", "%"), "the session ended")
            ended.append(event.step)

    with pytest.raises(StepFailed) as failed:
        migrate.up(Settings(database_url=documented), on_event=fall_silent)
    assert set(ended) == {9}
    assert "step 9 up is not finished; its committed work stays" in failed.value.message
    migrate.up(Settings(database_url=documented))
    assert_all_done(documented)


@pytest.mark.some(1)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_the_server_frees_the_locks_of_a_callctl_that_falls_silent_behind_an_answer(
    documented: str, monkeypatch: pytest.MonkeyPatch, watch: Watch, direction: str
) -> None:
    """Wherever the code reads an answer within a transaction: in a batch, in a list, in a check."""
    settings = Settings(database_url=documented, batch_size=20)
    if direction == "down":
        migrate.up(settings)
    monkeypatch.setattr(lock, "IDLE_MS", 300)
    silent: set[str] = set()
    never_ended: set[str] = set()

    def fetching(name: str) -> None:
        fetch = getattr(psycopg.Cursor, name)

        def fetched(self: Any, *arguments: Any) -> Any:
            answer = fetch(self, *arguments)
            frame = sys._getframe(1)
            while "callctl" not in frame.f_code.co_filename and frame.f_back is not None:
                frame = frame.f_back
            # callctl's own cursor, and the function that makes rows of what it answers
            while Path(frame.f_code.co_filename).name == "connection.py" and frame.f_back is not None:
                frame = frame.f_back
            place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            in_transaction = self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
            if place not in silent and in_transaction and name_of(self.connection) == lock.WORK_SESSION:
                silent.add(place)
                pid = self.connection.info.backend_pid
                try:
                    processes.until(lambda: pid not in processes.sessions(watch, "callctl migrate", "%"), "its end")
                except AssertionError:
                    never_ended.add(place)
            return answer

        monkeypatch.setattr(psycopg.Cursor, name, fetched)

    fetching("fetchall")
    fetching("fetchone")
    monkeypatch.setattr(processes, "PATIENCE_SECONDS", 5.0)
    for _ in range(60):
        try:
            migrate.up(settings) if direction == "up" else migrate.down(settings, to=0)
        except CallctlError:
            continue
        break
    # Preflight locks no row, and nothing that clients wait behind.
    of_preflight = ("preflight.py", "restoring.py")
    assert {place for place in never_ended if not place.startswith(of_preflight)} == set()
    assert any(place.startswith("failures.py") for place in silent), "in a batch"
    assert len(silent) > 5


def name_of(connection: psycopg.Connection[Any]) -> str:
    return str(connection.info.get_parameters().get("application_name"))
