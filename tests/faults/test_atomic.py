"""All steps in one transaction: the same end, or nothing at all."""

from __future__ import annotations

import psycopg
import pytest
from tests.conftest import connect as plain
from tests.support.db import snapshot
from tests.support.steps import ALL

from callctl.config.settings import Settings
from callctl.database import store
from callctl.database.connection import connect
from callctl.errors import Interrupted, StepFailed
from callctl.events import BatchFinished, Event, StatementStarted, StepFinished
from callctl.migration import migrate
from callctl.migration.checks.verify import verify


def settings_of(url: str) -> Settings:
    return Settings(database_url=url, batch_size=60)


def test_it_ends_like_the_steps_one_by_one_and_comes_back(baseline: str) -> None:
    settings = settings_of(baseline)
    with connect(settings) as connection:
        before = snapshot.take(connection)
        touched = snapshot.touched_columns(before)
        migrate.up(settings)
        one_by_one = snapshot.take(connection)
        migrate.down(settings, to=0)
        migrate.up(settings, atomic=True)
        assert verify(connection, settings).passed
        snapshot.assert_same_catalog(one_by_one, snapshot.take(connection))
        # One transaction wrote the rows of all steps.
        rows = connection.execute(
            "SELECT count(DISTINCT xmin::text) FROM callctl.history WHERE direction = 'up' AND id > 26"
        )
        assert rows.fetchone() == (1,)
        migrate.down(settings, to=0, atomic=True)
        snapshot.assert_same(before, snapshot.take(connection), touched)


def test_a_failure_leaves_nothing_behind(documented: str) -> None:
    settings = settings_of(documented)
    with plain(documented) as connection:
        before = snapshot.take(connection)
        connection.execute(
            "CREATE FUNCTION public.no_transcripts() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF current_query() LIKE '%chatapp.call_transcripts%' THEN RAISE EXCEPTION 'not today'; END IF; END $$"
        )
        connection.execute(
            "CREATE EVENT TRIGGER no_transcripts ON ddl_command_start WHEN TAG IN ('CREATE TABLE')"
            " EXECUTE FUNCTION public.no_transcripts()"
        )
        told: list[Event] = []
        with pytest.raises(StepFailed) as failed:
            migrate.up(settings, atomic=True, on_event=told.append)
        assert "steps/11_call_transcripts/up.sql:" in failed.value.message
        assert "not today" in failed.value.message
        assert failed.value.message.endswith("all of it was rolled back: this run was one transaction")
        assert not [event for event in told if isinstance(event, StepFinished | BatchFinished)]
        connection.execute("DROP EVENT TRIGGER no_transcripts")
        connection.execute("DROP FUNCTION public.no_transcripts")
        snapshot.assert_same(before, snapshot.take(connection))
        assert store.history(connect(settings)) == ()


DEFERRED = """
    CREATE TABLE public.told (relation text, number int);
    CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.told VALUES (TG_RELNAME, 1); RETURN NULL; END $$;
"""


@pytest.mark.parametrize("atomic", [True, False])
def test_deferred_triggers_of_the_platform_do_not_stop_a_later_statement(baseline: str, atomic: bool) -> None:
    """PostgreSQL alters no table with trigger events pending; each row fires its trigger once, as without --atomic."""
    settings = settings_of(baseline)
    with plain(baseline) as connection:
        connection.execute(DEFERRED.encode())
        for table in ("users", "chatbots", "chatbot_packages", "companies", "ai_models"):
            connection.execute(
                f"CREATE CONSTRAINT TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON chatapp.{table}"
                " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.tell()".encode()
            )
        migrate.up(settings, atomic=atomic)
        assert verify(connection, settings).passed
        fired = dict(connection.execute("SELECT relation, count(*) FROM public.told GROUP BY 1").fetchall())
        assert fired["chatbots"] > 0
        assert fired["companies"] > 0
        connection.execute(
            "UPDATE chatapp.users SET avatar_url = repeat('x', 600) WHERE id IN (SELECT id FROM chatapp.users LIMIT 3)"
        )
        migrate.down(settings, to=0, atomic=atomic, truncate_avatars=True)


def test_ctrl_c_leaves_nothing_behind(documented: str) -> None:
    settings = settings_of(documented)

    def stop(event: Event) -> None:
        if isinstance(event, StatementStarted) and event.step == 9:
            raise KeyboardInterrupt

    with plain(documented) as connection:
        before = snapshot.take(connection)
        with pytest.raises(Interrupted):
            migrate.up(settings, atomic=True, on_event=stop)
        snapshot.assert_same(before, snapshot.take(connection))
        assert migrate.status(connection, settings).pending == ALL


def test_it_goes_on_from_where_a_run_one_by_one_stopped(documented: str) -> None:
    settings = settings_of(documented)

    def stop(event: Event) -> None:
        if isinstance(event, BatchFinished) and event.step == 12:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        migrate.up(settings, on_event=stop)
    migrate.up(settings, atomic=True)
    with connect(settings) as connection:
        assert verify(connection, settings).passed
        assert store.started(connection) == ()


def test_a_lock_not_to_be_had_is_asked_for_again_from_the_start(documented: str) -> None:
    settings = Settings(database_url=documented, lock_timeout_ms=50)
    with psycopg.connect(documented) as holder:
        holder.execute("SELECT FROM chatapp.chatbots LIMIT 1")

        def let_go(event: Event) -> None:
            if isinstance(event, StatementStarted) and event.step == 3:
                starts.append(event)
            if len(starts) == 8:
                holder.rollback()

        starts: list[Event] = []
        migrate.up(settings, atomic=True, on_event=let_go)
    assert len(starts) >= 8
    with connect(settings) as connection:
        assert verify(connection, settings).passed


def test_the_plan_shows_no_concurrently(documented: str) -> None:
    settings = settings_of(documented)
    with connect(settings) as connection:
        for direction in ("up", "down"):
            if direction == "down":
                migrate.up(settings)
            online = migrate.plan(connection, settings, migrate.Wish(direction))
            atomic = migrate.plan(connection, settings, migrate.Wish(direction, atomic=True))
            online_sql = [statement.sql for step in online.steps for statement in step.statements]
            atomic_sql = [statement.sql for step in atomic.steps for statement in step.statements]
            assert any("CONCURRENTLY" in sql for sql in online_sql)
            assert not any("CONCURRENTLY" in sql for sql in atomic_sql)
            assert [sql.replace("CONCURRENTLY ", "") for sql in online_sql] == atomic_sql


def test_a_lock_never_to_be_had_is_given_up_naming_its_holder(documented: str) -> None:
    settings = Settings(database_url=documented, lock_timeout_ms=50, lock_wait_ms=400)
    with psycopg.connect(documented, application_name="report 5") as holder:
        holder.execute("SELECT FROM chatapp.chatbots LIMIT 1")
        with pytest.raises(StepFailed) as failed:
            migrate.up(settings, atomic=True)
    assert "steps/03_chatbot_capabilities/up.sql:" in failed.value.message
    assert "no lock on chatbots in 0.4 s (lock_wait); pid" in failed.value.message
    assert "(report 5, idle in transaction" in failed.value.message
    assert "all of it was rolled back" in failed.value.message
