"""Settings, schemas and types of the platform's own that change how names are looked up and printed."""

from __future__ import annotations

import pytest
from tests.conftest import connect, skip_forbidden
from tests.support.db.snapshot import assert_same, take

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.errors import Refused
from callctl.migration import migrate
from callctl.migration.checks.verify import verify


def there_and_back(url: str) -> None:
    """Up, verified, down to the schema before, and up again."""
    settings = Settings(database_url=url)
    with connect(url, prepare_threshold=None) as db:
        before = take(db)
        migrate.up(settings)
        with database.connect(settings) as connection:
            assert verify(connection, settings).passed
        migrate.down(settings, to=0)
        assert take(db).catalog == before.catalog
        migrate.up(settings)


def set_for_database(url: str, setting: str, value: str) -> None:
    with connect(url) as db:
        db.execute(f'ALTER DATABASE "{db.info.dbname}" SET {setting} = {value}'.encode())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("quote_all_identifiers", "on"),
        ("standard_conforming_strings", "off"),
        ("transform_null_equals", "on"),
        ("array_nulls", "off"),
        ("search_path", "''"),
        ("search_path", "'$user', pg_catalog"),
    ],
)
def test_settings_of_the_database(baseline: str, setting: str, value: str) -> None:
    with connect(baseline) as db:
        skip_forbidden(db, setting)
        if setting == "search_path" and db.info.server_version < 130000:
            value += ", public"  # where gen_random_uuid() is, which the server has itself from 13 on
    set_for_database(baseline, setting, value)
    there_and_back(baseline)


def test_a_schema_in_front_of_the_system_catalogs(baseline: str) -> None:
    """Functions and a type of the platform's with names of the server's own."""
    set_for_database(baseline, "search_path", "chatapp, public, pg_catalog")
    with connect(baseline) as db:
        db.execute(
            "CREATE FUNCTION public.quote_ident(text) RETURNS text LANGUAGE sql IMMUTABLE"
            " AS $$ SELECT '\"'||$1||'\"' $$;"
            "CREATE FUNCTION public.format_type(oid, integer) RETURNS text LANGUAGE sql AS $$ SELECT 'none' $$;"
            "CREATE FUNCTION chatapp.now() RETURNS timestamptz LANGUAGE sql STABLE"
            " AS $$ SELECT '2000-01-01'::timestamptz $$;"
            "CREATE DOMAIN chatapp.uuid AS pg_catalog.text"
        )
    there_and_back(baseline)
    with connect(baseline) as db:
        defaults = db.execute(
            "SELECT count(*) FROM pg_depend"
            " WHERE refobjid = 'chatapp.now'::regproc AND classid = 'pg_attrdef'::regclass"
        ).fetchone()
        assert defaults == (0,)


def test_a_trigger_that_relies_on_the_databases_search_path(baseline: str) -> None:
    """It runs as its caller and names a table without a schema, in every statement of the steps that fires it."""
    with connect(baseline) as db:
        db.execute(
            "CREATE TABLE public.written (relation text, operation text);"
            "CREATE FUNCTION public.note_it() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN INSERT INTO written VALUES (TG_RELID::regclass, TG_OP); RETURN NULL; END $$"
        )
        for table in ("users", "companies", "chatbots", "chatbot_packages", "ai_models"):
            db.execute(
                f"CREATE TRIGGER note_it AFTER INSERT OR UPDATE OR DELETE ON chatapp.{table}"
                " FOR EACH ROW EXECUTE FUNCTION public.note_it()".encode()
            )
    there_and_back(baseline)
    with connect(baseline) as db:
        noted = db.execute("SELECT DISTINCT operation FROM public.written WHERE relation ~ 'ai_models'").fetchall()
        assert {"INSERT", "DELETE"} <= {operation for (operation,) in noted}


def test_an_event_trigger_that_relies_on_the_databases_search_path(documented: str) -> None:
    with connect(documented) as db:
        db.execute(
            "CREATE TABLE public.altered (tag text);"
            "CREATE FUNCTION public.note_ddl() RETURNS event_trigger LANGUAGE plpgsql"
            " AS $$ BEGIN INSERT INTO altered VALUES (TG_TAG); END $$;"
            "CREATE EVENT TRIGGER note_ddl ON ddl_command_end EXECUTE FUNCTION public.note_ddl()"
        )
    there_and_back(documented)


def test_avatars_of_a_domain(documented: str) -> None:
    """The domain is back after down, and so is the limit of the type below it."""
    settings = Settings(database_url=documented)
    with connect(documented, prepare_threshold=None) as db:
        db.execute(
            "CREATE DOMAIN public.url500 AS varchar(500); CREATE DOMAIN public.avatar AS public.url500;"
            "ALTER TABLE chatapp.users ALTER COLUMN avatar_url TYPE public.avatar"
        )
        before = take(db)
        migrate.up(settings)
        db.execute("UPDATE chatapp.users SET avatar_url = repeat('x', 600) WHERE email = 'user20@example.com'")
        with pytest.raises(Refused, match="avatar"):
            migrate.down(settings, to=0)
        migrate.down(settings, to=0, truncate_avatars=True)
        assert take(db).catalog == before.catalog
        length = db.execute(
            "SELECT length(avatar_url) FROM chatapp.users WHERE email = 'user20@example.com'"
        ).fetchone()
        assert length == (500,)


@pytest.mark.parametrize("rule", ["CHECK (value LIKE 'http%')", "NOT NULL DEFAULT 'none'"])
def test_avatars_of_a_domain_with_a_rule_of_its_own(documented: str, rule: str) -> None:
    """Step 1 would take the rule away, and its way down could stop at a row that breaks it."""
    with connect(documented, prepare_threshold=None) as db:
        db.execute(
            "UPDATE chatapp.users SET avatar_url = 'http://' || id;"
            f"CREATE DOMAIN public.url AS varchar(500) {rule};"
            "ALTER TABLE chatapp.users ALTER COLUMN avatar_url TYPE public.url".encode()
        )
        before = take(db)
        with pytest.raises(Refused, match=r"avatar-domain: .* domain (public\.)?url, which has a rule"):
            migrate.up(Settings(database_url=documented))
        assert_same(before, take(db))
