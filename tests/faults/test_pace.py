"""When a run waits: for a pause file, for a replica; and when it lets go: of a lock that it holds too long."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import connect as plain
from tests.support.faults.standby import SETTINGS, replica_of

from callctl.config.settings import Settings
from callctl.database.connection import connect
from callctl.database.pace import Pace
from callctl.errors import CallctlError, StepFailed
from callctl.events import BatchFinished, Event, IndexProgress, Notice, StatementStarted, Waiting
from callctl.migration import migrate
from callctl.migration.checks.verify import verify
from callctl.migration.run import transactions
from callctl.sandbox.server import start_server

# It is about callctl's own pace.
pytestmark = pytest.mark.one_server


def settings_of(url: str) -> Settings:
    return Settings(database_url=url, batch_size=60)


def keep_on(kept: Pace, seconds: float) -> None:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        kept.keep()


def test_a_run_waits_between_batches_while_the_pause_file_exists(documented: str, tmp_path: Path) -> None:
    file = tmp_path / "pause"
    settings = replace(settings_of(documented), pause_file=str(file))
    seen: list[Event] = []

    def pause(event: Event) -> None:
        seen.append(event)
        if isinstance(event, BatchFinished) and not any(isinstance(one, Waiting) for one in seen):
            file.touch()
        if isinstance(event, Waiting) and event.seconds > 0.3:
            file.unlink(missing_ok=True)

    migrate.up(settings, on_event=pause)
    waited = [event for event in seen if isinstance(event, Waiting)]
    assert waited
    assert all(str(file) in event.what for event in waited)
    first = seen.index(waited[0])
    last = seen.index(waited[-1])
    assert all(isinstance(event, Waiting) for event in seen[first : last + 1])  # nothing ran meanwhile


def test_a_replica_that_stands_still_is_waited_for_and_named() -> None:
    with start_server(settings=SETTINGS) as server, plain(server.url()) as primary, replica_of(server) as url:
        settings = Settings(database_url=server.url(), max_replication_lag_ms=300, lock_wait_ms=1500)
        with plain(url) as replica, connect(settings) as connection:
            events: list[Event] = []
            kept = Pace(settings, connection, events.append)
            kept.keep()
            replica.execute("SELECT pg_wal_replay_pause()")
            primary.execute("CREATE TABLE public.more AS SELECT generate_series(1, 1000)")
            with pytest.raises(StepFailed) as failed:
                keep_on(kept, 60)
            assert re.search(r"waited \d s for replica east, \d s behind", failed.value.message)
            assert "--max-replication-lag" in str(failed.value.hint)
            assert any(isinstance(event, Waiting) and "replica east" in event.what for event in events)
            replica.execute("SELECT pg_wal_replay_resume()")
            kept = Pace(replace(settings, lock_wait_ms=60_000), connection, events.append)
            kept.keep()


def test_a_lock_held_too_long_is_let_go_and_said(documented: str) -> None:
    """An event trigger of the platform's makes the ALTER slow: the server itself ends it within the budget."""
    settings = replace(settings_of(documented), lock_hold_ms=150)
    with plain(documented) as connection:
        connection.execute(
            "CREATE FUNCTION public.slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF current_query() LIKE '%ALTER TABLE chatapp.chatbot_packages%'"
            " THEN PERFORM pg_sleep(60); END IF; END $$"
        )
        connection.execute(
            "CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION public.slow()"
        )
        events: list[Event] = []
        with pytest.raises(StepFailed) as failed:
            migrate.up(settings, on_event=events.append)
        assert "steps/02_package_capabilities/up.sql:" in failed.value.message
        assert "held a lock longer than 0.15 s (lock_hold)" in failed.value.message
        assert "rolled back as a whole" in failed.value.message
        assert sum(isinstance(event, Notice) and "tries it again" in event.text for event in events) == 2
        held = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE relation = 'chatapp.chatbot_packages'::regclass"
            " AND mode = 'AccessExclusiveLock'"
        ).fetchone()
        assert held == (0,)
        connection.execute("DROP EVENT TRIGGER slow")
        migrate.up(settings)
    with connect(settings) as connection:
        assert verify(connection, settings).passed


def test_lock_hold_bounds_the_statements_of_a_transaction_together(
    documented: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6 drops a trigger and a column in one transaction. Either alone would end in time, both do not."""
    monkeypatch.setattr(transactions, "OVERRUNS", 1)
    migrate.up(settings_of(documented), to=5)
    with plain(documented) as connection:
        connection.execute(
            "CREATE FUNCTION public.slow() RETURNS event_trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF current_query() LIKE '%chatbots%' THEN PERFORM pg_sleep(0.7); END IF; END $$"
        )
        connection.execute(
            "CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'DROP TRIGGER')"
            " EXECUTE FUNCTION public.slow()"
        )
        with pytest.raises(StepFailed, match=r"held a lock longer than 0\.5 s \(lock_hold\)"):
            migrate.up(replace(settings_of(documented), lock_timeout_ms=500, lock_hold_ms=500), to=6)
        connection.execute("DROP EVENT TRIGGER slow")
    migrate.up(settings_of(documented))


def test_a_row_that_takes_long_is_written_by_itself(documented: str) -> None:
    """A settings document of 19 MB takes longer than lock_hold allows a batch; here a trigger makes one row slow."""
    settings = replace(settings_of(documented), lock_timeout_ms=100, lock_hold_ms=100)
    with plain(documented) as connection:
        slow = connection.execute(
            "SELECT id FROM chatapp.companies WHERE NOT coalesce(settings -> 'features', '{}') ? 'callEnabled'"
            " ORDER BY id OFFSET 3 LIMIT 1"
        ).fetchone()
        assert slow is not None
        connection.execute(
            "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF NEW.id = '{slow[0]}' THEN PERFORM pg_sleep(0.7); END IF; RETURN NEW; END $$;"
            "CREATE TRIGGER slow BEFORE UPDATE ON chatapp.companies"
            " FOR EACH ROW EXECUTE FUNCTION public.slow()".encode()
        )
        migrate.up(settings)
        migrate.down(settings, to=11)
        connection.execute("DROP TRIGGER slow ON chatapp.companies")


@pytest.mark.applied(3)
def test_a_batch_that_meets_a_locked_row_takes_fewer_rows_and_names_the_holder(documented: str) -> None:
    settings = replace(settings_of(documented), lock_timeout_ms=50, lock_wait_ms=400)
    with psycopg.connect(documented, application_name="worker 9") as worker:
        worker.execute("UPDATE chatapp.chatbots SET name = name WHERE chatbottype = 'call'")
        with pytest.raises(StepFailed) as failed:
            migrate.up(settings)
    assert "steps/04_backfill_capabilities/up.sql:" in failed.value.message
    assert "worker 9" in failed.value.message
    migrate.up(settings)
    with connect(settings) as connection:
        assert verify(connection, settings).passed


@pytest.mark.parametrize("step", [4, 12])
def test_a_batch_that_took_fewer_rows_leaves_none_of_its_rows_out(documented: str, step: int) -> None:
    """Another session lets go of a row while the run waits for it: the smaller batch is written, then the rest."""
    settings = replace(settings_of(documented), batch_size=1000, lock_timeout_ms=50)
    finished: list[BatchFinished] = []
    with plain(documented) as other:
        other.execute("UPDATE chatapp.chatbots SET chatbottype = 'call', settings = '{}', package_id = NULL")
        migrate.up(settings, to=step - 1)
        other.execute("BEGIN; SELECT FROM chatapp.chatbots ORDER BY ctid LIMIT 1 FOR UPDATE")

        def let_go(event: Event) -> None:
            if isinstance(event, Waiting):
                other.execute("COMMIT")
            elif isinstance(event, BatchFinished) and event.total == 200:
                finished.append(event)

        migrate.up(settings, on_event=let_go)
        assert finished[0].done < finished[0].total, "no batch has met the locked row"
        assert other.execute(
            "SELECT count(*), count(*) FILTER (WHERE enabled_call AND NOT enabled_chat AND settings ? 'call')"
            " FROM chatapp.chatbots"
        ).fetchall() == [(200, 200)]
    with connect(settings) as connection:
        assert verify(connection, settings).passed


def test_an_index_build_says_how_far_it_is(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for an older transaction, which ends when the build has said so."""
    from callctl.migration.run import indexes as run_indexes

    monkeypatch.setattr(run_indexes, "PROGRESS_SECONDS", 0.02)
    settings = settings_of(documented)
    seen: list[IndexProgress] = []
    release = threading.Event()

    with psycopg.connect(documented) as older:

        def listen(event: Event) -> None:
            if isinstance(event, StatementStarted) and "EXISTS idx_chatbot_packages" in event.summary:
                # A snapshot that began before the build; the build has to see it end.
                older.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                older.execute("SELECT 1 FROM chatapp.chatbot_packages")
            if isinstance(event, IndexProgress):
                seen.append(event)
                release.set()

        def let_go() -> None:
            release.wait(30)
            older.rollback()

        thread = threading.Thread(target=let_go)
        thread.start()
        migrate.up(settings, to=4, on_event=listen)
        thread.join()
    assert seen
    assert all(event.step == 4 for event in seen)
    assert any(event.waiting_for for event in seen)


@pytest.mark.applied(11)
def test_rows_written_behind_the_batches_get_the_same_in_the_last_transaction(documented: str) -> None:
    """A company is made and a chatbot enabled after each batch, up to the very last."""
    settings = settings_of(documented)
    made = 0
    with plain(documented) as application:

        def write(event: Event) -> None:
            nonlocal made
            if isinstance(event, BatchFinished) and event.step == 12:
                made += 1
                application.execute(
                    "INSERT INTO chatapp.companies (id, name, slug, settings)"
                    f" VALUES (gen_random_uuid(), 'late', 'late-{made}', '{{}}')"
                )

        migrate.up(settings, on_event=write)
        assert made
        missing = application.execute(
            "SELECT count(*) FROM chatapp.companies WHERE slug LIKE 'late-%'"
            " AND settings #> '{features,callEnabled}' IS DISTINCT FROM 'false'"
        ).fetchone()
        assert missing is not None
        assert missing[0] <= 1  # made after the last batch of the last pass, and not seen by the last transaction


def test_the_error_of_a_connection_lost_at_the_end_of_a_pipeline_says_so(
    documented: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under load psycopg may raise the second error, with the first as its context, as here."""

    @contextmanager
    def lost(connection: psycopg.Connection[Any]) -> Iterator[psycopg.Pipeline]:
        with pipeline(connection) as opened:
            yield opened
        try:
            raise psycopg.errors.AdminShutdown("terminating connection due to administrator command")
        finally:
            raise psycopg.OperationalError("cannot exit pipeline mode while busy")

    pipeline = psycopg.Connection.pipeline
    monkeypatch.setattr(psycopg.Connection, "pipeline", lost)
    with pytest.raises(StepFailed, match="terminating connection"):
        migrate.up(settings_of(documented))


def test_a_client_library_without_pipeline_mode_does_as_well(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: False)
    settings = settings_of(documented)
    migrate.up(settings, to=3)
    with plain(documented) as connection:
        connection.execute(
            "ALTER TABLE chatapp.chatbots ADD CONSTRAINT chatbots_capability_check CHECK (true) NOT VALID"
        )
        connection.execute("ALTER TABLE chatapp.ai_models ADD COLUMN model_type integer")
    with pytest.raises(CallctlError):
        migrate.up(settings)
    with plain(documented) as connection:
        connection.execute("ALTER TABLE chatapp.ai_models DROP COLUMN model_type")
        connection.execute("ALTER TABLE chatapp.chatbots DROP CONSTRAINT chatbots_capability_check")
    migrate.up(settings)
    with connect(settings) as connection:
        assert verify(connection, settings).passed
