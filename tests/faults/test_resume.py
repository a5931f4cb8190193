"""A run that stops anywhere goes on from there, and nothing is lost or done twice."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import psycopg
import pytest
from tests.support.db import snapshot
from tests.support.steps import ALL, LAST

from callctl.config.settings import Settings
from callctl.database import store
from callctl.database.connection import connect
from callctl.errors import Interrupted, LockHeld, Refused, StepFailed
from callctl.events import BatchFinished, Direction, Event, Notice, OnEvent, StatementStarted, StepFinished, ignore
from callctl.migration import adoption, migrate
from callctl.migration.checks.verify import verify
from callctl.migration.steps.numbered import all_steps

# It is about callctl's own checkpoints.
pytestmark = pytest.mark.one_server


class StopAfter:
    """Listens to a run, and presses Ctrl-C at its nth event."""

    def __init__(self, events: int) -> None:
        self.left = events
        self.finished: list[int] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepFinished):
            self.finished.append(event.step)
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def settings_of(url: str) -> Settings:
    # Small batches, so that stops fall between them.
    return Settings(database_url=url, batch_size=60)


def insist(direction: str, settings: Settings) -> int:
    """Run again and again, each attempt stopped a little later; the number of attempts."""
    for attempt in range(1, 400):
        stop = StopAfter(attempt * 2 % 47)
        try:
            if direction == "up":
                migrate.up(settings, on_event=stop)
            else:
                migrate.down(settings, to=0, on_event=stop)
        except Interrupted:
            continue
        return attempt
    raise AssertionError(f"{direction} never came to its end")


@pytest.mark.some(1)
def test_stopped_everywhere_it_still_arrives(baseline: str) -> None:
    settings = settings_of(baseline)
    with connect(settings) as connection:
        before = snapshot.take(connection)
        touched = snapshot.touched_columns(before)
        assert insist("up", settings) > 3
        assert verify(connection, settings).passed
        stopped = snapshot.take(connection)
        assert insist("down", settings) > 3
        snapshot.assert_same(before, snapshot.take(connection), touched)
        assert store.started(connection) == ()
        # The same state as a run that nobody stopped, apart from ids and times of what it inserted.
        migrate.up(settings)
        direct = snapshot.take(connection)
        snapshot.assert_same_catalog(stopped, direct)


def test_each_step_is_recorded_once_for_each_time_it_is_taken(documented: str) -> None:
    settings = settings_of(documented)
    insist("up", settings)
    with connect(settings) as connection:
        rows = migrate.history(connection)
        assert [(row.step, row.direction) for row in rows] == [(step, "up") for step in ALL]


def test_a_step_that_fails_leaves_what_came_before_and_goes_on_after(documented: str) -> None:
    settings = settings_of(documented)
    with connect(settings) as connection:
        connection.execute(
            "CREATE FUNCTION public.no_indexes() RETURNS event_trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF current_query() LIKE '%idx_chatbots_%' THEN"
            " RAISE EXCEPTION 'no indexes today'; END IF; END $$"
        )
        connection.execute(
            "CREATE EVENT TRIGGER no_indexes ON ddl_command_start WHEN TAG IN ('CREATE INDEX')"
            " EXECUTE FUNCTION public.no_indexes()"
        )
        with pytest.raises(StepFailed) as failed:
            migrate.up(settings)
        assert "steps/04_backfill_capabilities/up.sql:" in failed.value.message
        assert "no indexes today" in failed.value.message
        assert "P0001" in failed.value.message
        assert "partly applied" in failed.value.message
        found = migrate.status(connection, settings)
        assert found.pending == ALL[3:]
        assert found.steps[3].half_done == "up"
        connection.execute("DROP EVENT TRIGGER no_indexes")
        migrate.up(settings)
        assert verify(connection, settings).passed


def test_half_way_up_is_taken_back_by_going_down(documented: str) -> None:
    settings = settings_of(documented)

    def stop(event: Event) -> None:
        if isinstance(event, BatchFinished) and event.step == 4:
            raise KeyboardInterrupt

    def stop_down(event: Event) -> None:
        if (
            isinstance(event, StatementStarted)
            and event.direction == "down"
            and "idx_chatbot_packages" in event.summary
        ):
            raise KeyboardInterrupt

    with connect(settings) as connection:
        before = snapshot.take(connection)
    with pytest.raises(Interrupted):
        migrate.up(settings, on_event=stop)
    with connect(settings) as connection:
        half_done = [step.number for step in migrate.status(connection, settings).steps if step.half_done]
        assert half_done == [4]
        migrate.down(settings, to=3)
        assert store.started(connection) == ()
        assert migrate.status(connection, settings).applied == (1, 2, 3)
        # A way back that is stopped itself is resumed by the next, and takes the way up for over.
        with pytest.raises(Interrupted):
            migrate.up(settings, on_event=stop)
        with pytest.raises(Interrupted):
            migrate.down(settings, to=0, on_event=stop_down)
        assert dict(store.started(connection)) == {4: "down"}
        with pytest.raises(Refused, match="step 4 is partly applied"):
            migrate.up(settings)
        migrate.down(settings, to=0)
        snapshot.assert_same(before, snapshot.take(connection), snapshot.touched_columns(before))
        migrate.up(settings)
        assert verify(connection, settings).passed


def test_a_resumed_run_asks_again_what_blocks_the_step_that_is_half_done(documented: str) -> None:
    """Only what step 6 itself has made is not asked for again; a view on its column blocks it as at the beginning."""
    settings = settings_of(documented)

    def stop(event: Event) -> None:
        if isinstance(event, StatementStarted) and event.step == 6 and "remember_column" in event.summary:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        migrate.up(settings, on_event=stop)
    with connect(settings) as connection:
        assert migrate.status(connection, settings).steps[5].half_done == "up"
        connection.execute("CREATE VIEW public.kinds AS SELECT chatbottype FROM chatapp.chatbots")
        begun = store.started(connection)
        with pytest.raises(Refused, match=r"dependents: view kinds depends on column .* which step 6 drops"):
            migrate.up(settings)
        assert store.started(connection) == begun
        connection.execute("DROP VIEW public.kinds")
    migrate.up(settings)


def test_a_second_run_is_refused_and_names_the_first(documented: str) -> None:
    from callctl.database.lock import MigrationLock

    settings = settings_of(documented)
    with MigrationLock(settings), pytest.raises(LockHeld) as refused:
        migrate.up(settings)
    assert refused.value.exit_code == 6
    assert "pid" in refused.value.message
    migrate.up(settings, to=1)  # the lock went with its connection


@pytest.mark.applied(3)
def test_an_invalid_index_left_behind_is_built_again(documented: str) -> None:
    settings = settings_of(documented)
    with connect(settings) as connection:
        connection.execute(
            "CREATE INDEX idx_chatbots_capabilities ON chatapp.chatbots (enabled_chat, enabled_call)"
            " WHERE deletedat IS NULL"
        )
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chatapp.idx_chatbots_capabilities'::regclass"
        )
        # It is not known to be callctl's own: the step had not begun.
        with pytest.raises(Refused, match="idx_chatbots_capabilities"):
            migrate.up(settings)
        connection.execute("DROP INDEX chatapp.idx_chatbots_capabilities")

        def leave_an_invalid_index(event: Event) -> None:
            if isinstance(event, StatementStarted) and "idx_chatbots_company" in event.summary:
                connection.execute(
                    "UPDATE pg_index SET indisvalid = false"
                    " WHERE indexrelid = 'chatapp.idx_chatbots_capabilities'::regclass"
                )
                connection.execute("DELETE FROM callctl.checkpoint WHERE step = 4 AND statement >= 9")
                raise KeyboardInterrupt

        with pytest.raises(Interrupted):
            migrate.up(settings, on_event=leave_an_invalid_index)
        notices: list[str] = []
        migrate.up(settings, on_event=lambda event: notices.append(str(event)) if isinstance(event, Notice) else None)
        assert any("idx_chatbots_capabilities was left invalid" in notice for notice in notices)
        assert verify(connection, settings).passed


@pytest.mark.applied(2)
def test_an_edited_file_is_noticed(documented: str) -> None:
    settings = settings_of(documented)
    with connect(settings) as connection:
        connection.execute("UPDATE callctl.history SET sha256 = 'another' WHERE step = 2")
        assert [step.number for step in migrate.status(connection, settings).steps if step.edited] == [2]


@pytest.mark.applied(3)
def test_gaps_and_unknown_steps_in_the_history_are_errors(documented: str) -> None:
    settings = settings_of(documented)
    with connect(settings) as connection:
        connection.execute("DELETE FROM callctl.history WHERE step = 2")
        with pytest.raises(Refused, match="gap"):
            migrate.up(settings)
        connection.execute("UPDATE callctl.history SET step = 2 WHERE step = 3")
        connection.execute("UPDATE callctl.history SET step = %s WHERE step = 2", (LAST + 1,))
        with pytest.raises(Refused, match=str(LAST + 1)):
            migrate.status(connection, settings)


def test_a_lost_migration_lock_stops_the_run(documented: str) -> None:
    """A migration lock whose session the server ended is noticed before the next statement."""
    settings = settings_of(documented)

    def kill(event: Event) -> None:
        if isinstance(event, StepFinished) and event.step == 2:
            with psycopg.connect(documented, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'callctl lock' AND datname = current_database()"
                )

    with pytest.raises(StepFailed, match="lock"):
        migrate.up(settings, on_event=kill)
    with connect(settings) as connection:
        assert migrate.status(connection, settings).pending == ALL[2:]
    migrate.up(settings)


def test_a_lock_not_to_be_had_names_its_holder_without_what_it_asked(documented: str) -> None:
    settings = replace(settings_of(documented), lock_timeout_ms=50, lock_wait_ms=300)
    with psycopg.connect(documented, application_name="worker 7") as holder:
        holder.execute("SELECT 'a customer''s secret' FROM chatapp.users LIMIT 1")
        with pytest.raises(StepFailed) as failed:
            migrate.up(settings)
        pid = holder.info.backend_pid
    assert "steps/01_users_avatar_url/up.sql:" in failed.value.message
    assert f"no lock on users in 0.3 s (lock_wait); pid {pid} (worker 7, idle in transaction" in failed.value.message
    assert "holds AccessShareLock" in failed.value.message
    assert "secret" not in failed.value.message
    assert "55P03" in failed.value.message


@pytest.mark.applied
def test_half_way_down_is_finished_before_adopting(documented: str) -> None:
    settings = settings_of(documented)

    def stop(event: Event) -> None:
        if isinstance(event, BatchFinished) and event.step == 12:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        migrate.down(settings, to=11, on_event=stop)
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO callctl.history (step, direction, file, sha256, started_at, client,"
            " callctl_version) VALUES (12, 'down', '', '', now(), '', '')"
        )
    with pytest.raises(Refused, match="step 12 is partly applied"):
        adoption.adopt(settings)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_behind_each_commit_in_a_file_the_next_run_goes_on(baseline: str, direction: Direction) -> None:
    """Its preflight too takes what stands there for what callctl has begun."""
    settings = Settings(database_url=baseline)
    behind = {
        (statement.source, statement.line)
        for step in all_steps()
        for before, statement in pairwise(step.script(direction).statements)
        if "commit" in before.directives
    }
    assert len(behind) > 3
    if direction == "down":
        migrate.up(settings)

    def stop(event: Event) -> None:
        if isinstance(event, StatementStarted) and (event.source, event.line) in behind:
            behind.remove((event.source, event.line))
            raise KeyboardInterrupt

    while behind:
        with pytest.raises(Interrupted):
            _take(settings, direction, stop)
    _take(settings, direction, ignore)
    with connect(settings) as connection:
        assert len(migrate.status(connection, settings).applied) == (len(all_steps()) if direction == "up" else 0)


def _take(settings: Settings, direction: Direction, on_event: OnEvent) -> None:
    if direction == "up":
        migrate.up(settings, on_event=on_event)
    else:
        migrate.down(settings, to=0, on_event=on_event)
