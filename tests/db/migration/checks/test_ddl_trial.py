"""Event triggers of the platform: named, and where one refuses the steps' DDL, found out before the first step."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.conftest import connect
from tests.support.db import snapshot
from tests.support.db.preflight_asking import SETTINGS, ask, of
from tests.support.steps import ALL

from callctl.errors import Refused
from callctl.migration import migrate

REFUSING = (
    ("sql_drop", "table column", "ALTER TABLE ... DROP COLUMN", "steps 5, 6"),
    ("sql_drop", "type", "DROP TYPE", "step 6"),
    ("ddl_command_start", "CREATE INDEX", "CREATE INDEX", "steps 4, 7, 9, 10, 11"),
    ("ddl_command_start", "CREATE FUNCTION", "CREATE FUNCTION", "steps 2, 3, 6, 9"),
    ("ddl_command_start", "CREATE TABLE", "CREATE TABLE", "steps 9, 10, 11"),
    ("ddl_command_end", "CREATE TRIGGER", "CREATE TRIGGER", "steps 2, 3, 6, 9, 10"),
)


def refusing(event: str, kind: str) -> str:
    """An event trigger that refuses one kind of DDL in the platform's schema."""
    if event == "sql_drop":
        body = (
            "PERFORM FROM pg_event_trigger_dropped_objects()"
            f" WHERE schema_name = 'chatapp' AND object_type = '{kind}';"
            f" IF FOUND THEN RAISE EXCEPTION 'no % today', '{kind}'; END IF;"
        )
        when = ""
    else:
        body = f"RAISE EXCEPTION 'no % today', '{kind}';"
        when = f"WHEN TAG IN ('{kind}')"
    return (
        f"CREATE FUNCTION public.guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        f"CREATE EVENT TRIGGER guard ON {event} {when} EXECUTE FUNCTION public.guard()"
    )


@pytest.mark.parametrize(("event", "kind", "says", "steps"), REFUSING)
def test_an_event_trigger_that_refuses_a_kind_of_ddl_blocks(
    documented: str, event: str, kind: str, says: str, steps: str
) -> None:
    settings = replace(SETTINGS, database_url=documented)
    with connect(documented) as connection:
        connection.execute(refusing(event, kind).encode())
        before = snapshot.take(connection)
        (finding,) = of(ask(connection), "event-triggers", "blocks")
        assert finding.what.startswith(f"event trigger guard refuses {says}, which {steps} need")
        assert f"no {kind} today" in finding.what
        assert (
            finding.do
            == "ALTER EVENT TRIGGER guard DISABLE; Run the migration, then: ALTER EVENT TRIGGER guard ENABLE;"
        )
        with pytest.raises(Refused, match="event-triggers: event trigger guard refuses"):
            migrate.up(settings)
        snapshot.assert_same(before, snapshot.take(connection))
        connection.execute("ALTER EVENT TRIGGER guard DISABLE")
        assert connection.execute("SELECT to_regnamespace('callctl')").fetchone() == (None,)
        migrate.up(settings)


def test_only_what_the_pending_steps_need_is_refused(documented: str) -> None:
    with connect(documented) as connection:
        connection.execute(refusing("sql_drop", "table column").encode())
        assert not of(ask(connection, (1, 2, 3, 4)), "event-triggers", "blocks")
        assert of(ask(connection, (1, 2, 3, 4)), "event-triggers", "warns")
        migrate.up(replace(SETTINGS, database_url=documented), to=4)
        assert of(ask(connection, (2, 3), "down"), "event-triggers", "blocks")


def test_what_an_event_trigger_makes_of_a_new_table_is_said(documented: str) -> None:
    with connect(documented) as connection:
        connection.execute(
            """CREATE FUNCTION public.secure() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE o record; BEGIN
               FOR o IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP
               EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', o.object_identity); END LOOP; END $$;
               CREATE EVENT TRIGGER secure ON ddl_command_end EXECUTE FUNCTION public.secure()"""
        )
        texts = [finding.what for finding in of(ask(connection), "event-triggers", "warns")]
        assert (
            "a new table gets row-level security: without a policy only its owner reads it (event trigger secure)"
            in texts
        )
        assert not of(ask(connection), "event-triggers", "blocks")
        assert not [finding for finding in of(ask(connection, (1,)), "event-triggers") if "a new table" in finding.what]


def test_no_lock_on_a_table_of_the_platform(documented: str) -> None:
    """The guard looks at the locks of its own session."""
    with connect(documented) as connection:
        connection.execute(
            """CREATE TABLE public.seen (relation text, mode text);
               CREATE FUNCTION public.look() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN
               SELECT count(*) INTO n FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
               WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'chatapp'::regnamespace
               AND c.relname NOT LIKE 'callctl%';
               IF n > 0 THEN RAISE EXCEPTION '% locks', n; END IF; END $$;
               CREATE EVENT TRIGGER look ON ddl_command_end EXECUTE FUNCTION public.look()"""
        )
        assert not of(ask(connection, ALL), "event-triggers", "blocks")


def test_a_role_that_may_not_try_says_so(documented: str) -> None:
    with connect(documented) as connection:
        connection.execute(refusing("sql_drop", "type").encode())
        connection.execute("SET default_transaction_read_only = on")
        findings = of(ask(connection), "event-triggers")
    assert "unknown" in {finding.level for finding in findings}
    assert any("could not try" in finding.what for finding in findings)
