"""What a step that stopped says to do next: whose trigger, which statement, and whether anything is resumed."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import connect
from tests.support.db.snapshot import take

from callctl.config.settings import Settings
from callctl.errors import StepFailed
from callctl.migration import migrate

AUDIT = (
    "CREATE SCHEMA audit; CREATE TABLE audit.log (old jsonb);"
    "CREATE FUNCTION chatapp.aud() RETURNS trigger LANGUAGE plpgsql"
    " AS $$ BEGIN INSERT INTO audit.log VALUES (to_jsonb(OLD)); RETURN NULL; END $$;"
    'CREATE TRIGGER "the audit" AFTER UPDATE ON chatapp.chatbots FOR EACH ROW EXECUTE FUNCTION chatapp.aud();'
)


@pytest.fixture
def owned(documented: str) -> tuple[str, str]:
    """A database whose platform belongs to a role, and that role's URL."""
    with connect(documented) as db:
        db.execute(
            "DO $$ BEGIN CREATE ROLE callctl_test_owner LOGIN; EXCEPTION WHEN duplicate_object THEN END $$;"
            "ALTER SCHEMA chatapp OWNER TO callctl_test_owner; GRANT ALL ON SCHEMA public TO callctl_test_owner"
        )
        tables = db.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'chatapp'::regnamespace AND relkind = 'r'"
        ).fetchall()
        for (name,) in tables:
            db.execute(sql.SQL("ALTER TABLE {} OWNER TO callctl_test_owner").format(sql.Identifier("chatapp", name)))
        db.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO callctl_test_owner").format(sql.Identifier(db.info.dbname)))
    return documented, re.sub(r"user=\w+", "user=callctl_test_owner", documented)


def stopped(settings: Settings, **wish: Any) -> StepFailed:
    with pytest.raises(StepFailed) as failed:
        migrate.up(settings, **wish)
    assert "mend" not in f"{failed.value.message} {failed.value.hint}"
    return failed.value


def test_a_trigger_without_rights(owned: tuple[str, str]) -> None:
    """The role owns every table: the hint names the trigger, and the statement that it names is the way out."""
    url, role = owned
    with connect(url) as db:
        db.execute(AUDIT.encode())
        error = stopped(Settings(database_url=role))
        assert 'raised in trigger "the audit" on chatapp.chatbots (chatapp.aud())' in error.message
        assert "owner" not in str(error.hint)
        (statement,) = re.findall(r"\((ALTER TABLE .*?;)\)", str(error.hint))
        db.execute(statement.encode())
    migrate.up(Settings(database_url=role))


def test_nothing_is_resumed_after_atomic(owned: tuple[str, str]) -> None:
    url, role = owned
    with connect(url) as db:
        db.execute(AUDIT.encode())
        error = stopped(Settings(database_url=role), atomic=True)
        assert "committed" not in str(error.hint)
        assert str(error.hint).endswith("then run the same command again")


def test_a_lock_is_ended_by_the_statement_that_the_hint_names(documented: str) -> None:
    settings = Settings(database_url=documented, lock_wait_ms=300)
    db = psycopg.connect(documented)
    db.execute("LOCK TABLE chatapp.chatbots IN ACCESS SHARE MODE")
    error = stopped(settings)
    (statement,) = re.findall(r"\((SELECT pg_terminate_backend\(\d+\);)\)", str(error.hint))
    assert str(db.info.backend_pid) in statement
    with connect(documented) as admin:
        admin.execute(statement.encode())
    migrate.up(settings)
    db.close()


def test_a_catalog_that_differs_is_told_as_what_differs(documented: str) -> None:
    """An event trigger changes what step 7 has just made; there are no rows to look at."""
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        db.execute(
            "CREATE FUNCTION public.spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF EXISTS (SELECT FROM pg_attribute"
            "   WHERE attrelid = 'chatapp.ai_models'::regclass AND attname = 'model_type')"
            " THEN ALTER TABLE chatapp.ai_models ALTER model_type SET DEFAULT 'call'; END IF; END $$;"
            "CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN TAG IN ('CREATE INDEX')"
            " EXECUTE FUNCTION public.spoil()"
        )
        db.execute("ALTER EVENT TRIGGER spoil DISABLE")
        migrate.up(settings, to=6)
        db.execute("ALTER EVENT TRIGGER spoil ENABLE")
        error = stopped(settings)
        assert "column chatapp.ai_models.model_type: default is 'call'" in error.message
        assert "rows" not in str(error.hint)
        (statement,) = re.findall(r"fix it \((ALTER TABLE .*?;)\)", str(error.hint))
        db.execute("ALTER EVENT TRIGGER spoil DISABLE")
        db.execute(statement.encode())
    migrate.up(settings)


@pytest.mark.parametrize("step", [5, 6])
@pytest.mark.parametrize("to", [4, 3, 0])
def test_a_drop_that_may_not_be_finished_is_given_up(baseline: str, step: int, to: int) -> None:
    """A guard forbids dropping columns: the way up names it, and the way down is free without touching it."""
    settings = Settings(database_url=baseline)
    with connect(baseline, prepare_threshold=None) as db:
        before = take(db)
        migrate.up(settings, to=4)
        after_4 = take(db)
        migrate.up(settings, to=step - 1)
        db.execute(
            "CREATE FUNCTION public.nodrop() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE o record; BEGIN"
            " FOR o IN SELECT * FROM pg_event_trigger_dropped_objects() WHERE object_type = 'table column'"
            "  AND object_identity ~* 'chatbot_?type' LOOP RAISE 'no drop of %', o.object_identity; END LOOP;"
            " END $$; CREATE EVENT TRIGGER nodrop ON sql_drop EXECUTE FUNCTION public.nodrop()"
        )
        error = stopped(settings)
        assert "raised in event trigger nodrop" in error.message
        assert "ALTER EVENT TRIGGER nodrop DISABLE;" in str(error.hint)
        migrate.down(settings, to=to)
        db.execute("DROP EVENT TRIGGER nodrop; DROP FUNCTION public.nodrop()")
        if to == 4:
            assert take(db).catalog == after_4.catalog
        if to == 0:
            assert take(db).catalog == before.catalog
        migrate.up(settings)
