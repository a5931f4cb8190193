"""A long list is written by several sessions at once: each row once, and no session left behind, however it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect
from tests.support import processes

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.database import lock, pace, store
from callctl.database.guarded import guard_transaction, with_retries
from callctl.errors import Interrupted, LockHeld, StepFailed
from callctl.events import BatchFinished, Event, Notice
from callctl.migration import migrate
from callctl.migration.checks.verify import verify
from callctl.migration.run import batches

# It is about callctl's own sessions.
pytestmark = pytest.mark.one_server

WORK = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'callctl migrate'"
ROWS = """
SELECT 'chatbot', id, to_jsonb(c) - 'updated_at' FROM chatapp.chatbots AS c
UNION ALL SELECT 'company', id, to_jsonb(c) - 'updated_at' FROM chatapp.companies AS c
UNION ALL SELECT 'saved ' || relation || field, row_id, to_jsonb(s) - 'id' - 'saved_at' FROM callctl.saved_value AS s
ORDER BY 1, 2
"""
REFUSES = """
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE OF settings ON chatapp.companies
FOR EACH ROW WHEN (OLD.id = {id}) EXECUTE FUNCTION public.refuse();
"""


@pytest.fixture(autouse=True)
def _short_lists_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MANY", 20)
    monkeypatch.setattr(pace, "FIRST", 5)


def with_many(url: str) -> str:
    """A list so long that every session gets a part of it."""
    with connect(url) as other:
        other.execute(
            "INSERT INTO chatapp.companies (id, name, slug, created_at)"
            " SELECT md5(n::text)::uuid, 'more', 'more-' || n, '2026-01-01' FROM generate_series(1, 800) AS n"
        )
    return url


@pytest.fixture
def many(documented: str) -> str:
    return with_many(documented)


def settings_of(url: str, workers: int = 3) -> Settings:
    return Settings(database_url=url, batch_size=5, batch_workers=workers)


def beside(then: Callable[[], None]) -> Callable[[Event], None]:
    """Does something once, at a batch that a session beside the run's own has written."""
    done = threading.Event()

    def on_event(event: Event) -> None:
        at_home = threading.current_thread() is threading.main_thread()
        if isinstance(event, BatchFinished) and event.total - event.done >= 50 and not at_home and not done.is_set():
            done.set()
            then()

    return on_event


def count(look: Callable[[], Any], sessions: list[Any]) -> None:
    sessions += look().fetchall()


def left_behind(url: str) -> list[Any]:
    """Sessions and advisory locks of callctl's that should be gone; a session may take a moment to end."""
    with connect(url) as watch:

        def rows() -> list[Any]:
            return watch.execute(
                f"{WORK} UNION ALL SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ).fetchall()

        processes.until(lambda: not rows(), "the sessions to end")
        return rows()


def test_several_sessions_write_what_one_would_have_written(database: MakeDatabase) -> None:
    written = []
    for workers in (1, 3):
        url = with_many(database("documented"))
        sessions: list[Any] = []
        with connect(url) as watch:
            look = partial(watch.execute, WORK)
            migrate.up(settings_of(url, workers), on_event=beside(partial(count, look, sessions)))
            assert (len(sessions) > 1) == (workers > 1)
            assert verify(watch, settings_of(url)).passed
            written.append(watch.execute(ROWS).fetchall())
        assert left_behind(url) == []
    assert written[0] == written[1]


def test_an_error_in_one_session_stops_the_others_and_the_next_run_goes_on(many: str) -> None:
    with connect(many) as other:
        (row,) = other.execute(
            "SELECT id FROM chatapp.companies WHERE settings #> '{features,callEnabled}' IS NULL ORDER BY ctid DESC"
        ).fetchmany(1)
        other.execute(REFUSES.format(id=f"'{row[0]}'"))
        with pytest.raises(StepFailed, match="not this one") as failed:
            migrate.up(settings_of(many))
        assert "12_company_settings/up.sql" in failed.value.message
        assert "step 12 up is partly applied" in failed.value.message
        other.execute("DROP TRIGGER refuse ON chatapp.companies")
    assert left_behind(many) == []
    migrate.up(settings_of(many))
    with connect(many) as other:
        assert verify(other, settings_of(many)).passed


def test_a_session_beside_that_is_ended_ends_the_run_and_the_next_goes_on(many: str) -> None:
    with connect(many) as other:

        def end() -> None:
            (own,) = other.execute(
                "SELECT l.pid FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.classid::bigint = %s",
                (lock.WORK_CLASS,),
            ).fetchall()
            others = [row[0] for row in other.execute(WORK).fetchall() if row[0] != own[0]]
            assert others
            other.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::integer[]) AS pid", (others,))

        with pytest.raises(StepFailed, match=r"terminating connection|server closed the connection") as failed:
            migrate.up(settings_of(many), on_event=beside(end))
        assert failed.value.hint is not None
        assert "resumes from what was committed" in failed.value.hint
    assert left_behind(many) == []
    migrate.up(settings_of(many))
    with connect(many) as other:
        assert verify(other, settings_of(many)).passed


def test_an_interrupt_stops_every_session(many: str) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        migrate.up(settings_of(many), on_event=beside(interrupt))
    assert left_behind(many) == []
    migrate.up(settings_of(many))


def test_without_another_session_the_batches_go_on_with_one(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    role = "CREATE ROLE few SUPERUSER LOGIN CONNECTION LIMIT 2"  # the migration lock, and the work
    with connect(documented) as other:
        other.execute(f"{role}; ALTER ROLE few NOSUPERUSER; GRANT postgres TO few; ALTER ROLE few SET role = postgres")
        notices = []
        settings = replace(settings_of(documented), database_url=documented.replace("user=postgres", "user=few"))
        migrate.up(settings, on_event=lambda event: notices.append(event) if isinstance(event, Notice) else None)
        assert any("continue with one session fewer" in notice.text for notice in notices)
        assert verify(other, settings_of(documented)).passed
        other.execute("DROP OWNED BY few; DROP ROLE few")


def test_beside_a_session_that_has_lost_the_work_lock_nothing_begins(documented: str) -> None:
    settings = replace(settings_of(documented), lock_wait_ms=200)
    with lock.at_work(settings) as (connection, _), database.connect(settings) as other:
        own = connection.info.backend_pid

        def attempt() -> tuple[Any, ...] | None:
            with other.transaction():
                guard_transaction(other, "chatapp", 100, beside=own)
                return other.execute("SELECT 1").fetchone()

        assert with_retries(settings, "a lock", attempt) == (1,)
        connection.execute("SELECT pg_advisory_unlock_all()")
        with pytest.raises(Exception, match="running a statement"):
            with_retries(settings, "a lock", attempt)


def test_beside_a_session_whose_work_lock_another_has_nothing_begins(documented: str) -> None:
    """It is the lock of the run's own session that counts; another's keeps this run out."""
    settings = replace(settings_of(documented), lock_wait_ms=200)
    with lock.at_work(settings) as (connection, _), database.connect(settings) as other, connect(documented) as thief:
        own = connection.info.backend_pid
        connection.execute("SELECT pg_advisory_unlock_all()")
        thief.execute("SELECT pg_advisory_lock(%s, hashtext('chatapp'))", (lock.WORK_CLASS,))

        def attempt() -> None:
            with other.transaction():
                guard_transaction(other, "chatapp", 100, beside=own)
                raise AssertionError("it has begun")

        with pytest.raises(LockHeld, match=rf"another callctl \(pid {thief.info.backend_pid}, "):
            with_retries(settings, "a lock", attempt)


def test_a_batch_of_a_killed_run_that_still_runs_ends_before_the_next_run_begins(
    documented: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "ORPHAN_SECONDS", 0.5)
    with connect(documented) as orphan:
        orphan.execute("SET application_name = 'callctl migrate'")
        orphan.execute("SELECT pg_advisory_lock_shared(%s, hashtext('chatapp'))", (lock.BATCH_CLASS,))
        with lock.at_work(settings_of(documented)), pytest.raises(psycopg.OperationalError):
            orphan.execute("SELECT 1")


def test_a_step_is_said_to_be_done_when_it_is_on_disk(documented: str) -> None:
    """The sessions that work do not wait for the disk; whoever is told that a step is done may rely on it."""
    durable = documented + "&options=-c%20synchronous_commit%3Don"
    with connect(documented) as watch, lock.at_work(Settings(database_url=durable)) as (connection, _):
        connection.execute("SET synchronous_commit = off")
        for _ in range(20):
            connection.execute("CREATE TABLE public.written AS SELECT 1; DROP TABLE public.written")
            connection.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', 100))")
            ((reached,),) = watch.execute("SELECT pg_current_wal_insert_lsn()").fetchall()
            store.flush(connection, "a test")
            assert watch.execute("SELECT pg_current_wal_flush_lsn() >= %s", (reached,)).fetchone() == (True,)
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
