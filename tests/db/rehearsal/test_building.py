"""The schema that a rehearsal builds: whole, or each missing object named with its reason."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.db.rehearsal.conftest import MakeCopy

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.errors import Code, ConfigError, Refused
from callctl.migration import migrate
from callctl.rehearsal.building import REACHES_OUT, assert_new_enough
from callctl.rehearsal.survey import survey
from callctl.sandbox.demo import fingerprint

SECRET = "s3cret-horse"


def test_the_definitions_are_the_targets(baseline: str, copy: MakeCopy) -> None:
    made = copy(baseline)
    # A target before 13 has pgcrypto, for gen_random_uuid().
    assert {(item.kind, item.name) for item in made.built.left_out} <= {("extension", "pgcrypto")}
    with connect(baseline) as db:
        before = fingerprint(db, "chatapp").definitions
    after = fingerprint(made.db, "chatapp").definitions
    if made.look.major == int(str(made.rows("SHOW server_version_num")[0][0])) // 10000:
        assert after == before
    assert set(before) <= set(after)


def test_what_leads_to_another_server_is_left_out_and_named(documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        db.execute("CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink; CREATE EXTENSION hstore")
        db.execute("CREATE SERVER billing FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'billing.example')")
        db.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER billing OPTIONS (password '{SECRET}')")
        db.execute("CREATE FOREIGN TABLE chatapp.invoices (id integer) SERVER billing")
        db.execute("CREATE VIEW chatapp.invoice_ids AS SELECT id FROM chatapp.invoices")
        db.execute("CREATE SUBSCRIPTION feed CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)")  # fmt: skip  # noqa: E501
        db.execute("ALTER TABLE chatapp.end_users ADD COLUMN tags public.hstore")
    try:
        made = copy(documented)
    finally:
        with connect(documented) as db:
            db.execute("DROP SUBSCRIPTION feed")
    named = set(made.left_out)
    assert {
        ("extension", "dblink"), ("extension", "postgres_fdw"), ("foreign table", "chatapp.invoices"),
        ("foreign server", "billing"), ("subscription", "feed"), ("view", "chatapp.invoice_ids"),
    } <= named  # fmt: skip
    assert 'relation "chatapp.invoices" does not exist' in made.left_out["view", "chatapp.invoice_ids"]
    assert ("extension", "hstore") not in named
    assert made.rows("SELECT count(*) FROM pg_foreign_server") == [(0,)]
    assert made.rows("SELECT count(*) FROM pg_user_mapping") == [(0,)]
    assert {row[0] for row in made.rows("SELECT extname FROM pg_extension")}.isdisjoint(REACHES_OUT)
    assert SECRET not in str(made.built) + str(made.look)


def test_an_object_that_cannot_be_made_is_named_with_the_servers_reason(documented: str, copy: MakeCopy) -> None:
    """The target has a function that the rehearsal's server lacks; what depends on it is named as well."""
    with connect(documented) as db:
        db.execute(
            "CREATE FUNCTION chatapp.twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';"
            "CREATE TABLE chatapp.computed (id integer, n integer, CHECK (chatapp.twice(n) > 0));"
            "CREATE VIEW chatapp.over_computed AS SELECT chatapp.twice(n) FROM chatapp.computed;"
            "INSERT INTO pg_depend SELECT 'pg_proc'::regclass, 'chatapp.twice(integer)'::regprocedure, 0,"
            " 'pg_extension'::regclass, oid, 0, 'e' FROM pg_extension WHERE extname = 'plpgsql'"
        )  # a function of an extension that the dump takes for granted
    made = copy(documented)
    assert 'relation "chatapp.computed" does not exist' in made.left_out["view", "chatapp.over_computed"]
    assert "function chatapp.twice(integer) does not exist" in made.left_out["table", "chatapp.computed"]


def test_functions_of_a_missing_extension_have_substitutes(documented: str, copy: MakeCopy) -> None:
    """Defaults that call them are common; callctl's server may be built without pgcrypto and uuid-ossp."""
    with connect(documented) as db:
        db.execute(
            "CREATE EXTENSION dblink SCHEMA chatapp;"
            "CREATE FUNCTION public.new_id() RETURNS uuid LANGUAGE sql AS 'SELECT md5(random()::text)::uuid';"
            "ALTER EXTENSION dblink ADD FUNCTION public.new_id();"
            "ALTER TABLE chatapp.end_users ALTER COLUMN id SET DEFAULT public.new_id();"
            "CREATE VIEW chatapp.far AS SELECT * FROM chatapp.dblink('', 'SELECT 1') AS t(n integer);"
        )
    made = copy(documented)
    assert {("extension", "dblink")} <= set(made.left_out) <= {("extension", "dblink"), ("extension", "pgcrypto")}
    assert made.rows("INSERT INTO chatapp.end_users (company_id) SELECT id FROM chatapp.companies LIMIT 1 RETURNING id")
    with pytest.raises(psycopg.errors.RaiseException, match="extension dblink is not there in a rehearsal"):
        made.rows("SELECT * FROM chatapp.far")


@pytest.fixture
def reader(documented: str) -> Any:
    """The URL of a role that may read some of the tables, and the names of the two roles."""
    with connect(documented) as db:
        db.execute("DROP ROLE IF EXISTS night_reader")
        db.execute(f"CREATE ROLE night_reader LOGIN PASSWORD '{SECRET}'")
        db.execute("GRANT USAGE ON SCHEMA chatapp TO night_reader")
        db.execute("GRANT SELECT ON ALL TABLES IN SCHEMA chatapp TO night_reader")
        db.execute("REVOKE ALL ON chatapp.messages FROM night_reader")
        db.execute("CREATE SCHEMA hidden; CREATE TABLE hidden.secret (id integer)")
        db.execute("ANALYZE")
        yield documented.replace("user=postgres", "user=night_reader")
        db.execute("DROP OWNED BY night_reader; DROP ROLE night_reader")


def test_a_role_that_may_not_read_everything_is_told_so(reader: str, copy: MakeCopy) -> None:
    made = copy(reader)
    assert made.left_out["table", "chatapp.messages"] == "this role may not read it"
    assert made.left_out["table", "hidden.secret"] == "this role may not read it"
    assert made.tables["chatbots"].rows > 0
    assert made.look.role == "night_reader"
    assert made.rows("SELECT has_table_privilege('night_reader', 'chatapp.users', 'INSERT')") == [(False,)]
    made.db.execute("SET ROLE night_reader; RESET ROLE")
    assert SECRET not in str(made.look)


def test_the_privileges_of_the_database_are_the_targets(reader: str, copy: MakeCopy) -> None:
    with connect(reader.replace("night_reader", "postgres")) as db:
        name = db.info.dbname
        db.execute(
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO night_reader".encode()
        )
    made = copy(reader)
    for privilege, has in (("CONNECT", True), ("CREATE", False), ("TEMPORARY", False)):
        query = f"SELECT has_database_privilege('night_reader', 'rehearsal', '{privilege}')"
        assert made.rows(query) == [(has,)], privilege


def test_search_paths_are_the_targets_and_no_other_setting(reader: str, copy: MakeCopy) -> None:
    with connect(reader.replace("night_reader", "postgres")) as db:
        name = db.info.dbname
        db.execute(f'ALTER DATABASE {name} SET search_path = chatapp, "odd, name", public'.encode())
        db.execute(f"ALTER DATABASE {name} SET app.secret = '{SECRET}'".encode())
        db.execute(f"ALTER ROLE night_reader IN DATABASE {name} SET search_path = hidden".encode())
    made = copy(reader)
    rows = made.rows("SELECT setrole::regrole::text, setconfig FROM pg_db_role_setting ORDER BY setrole")
    assert rows == [("-", ['search_path=chatapp, "odd, name", public']), ("night_reader", ["search_path=hidden"])]
    assert SECRET not in str(made.look)


@pytest.mark.applied(2)
def test_a_database_with_a_step_applied_is_refused(documented: str) -> None:
    settings = Settings(database_url=documented)
    with database.connect(settings) as target, pytest.raises(Refused) as refused:
        survey(target, settings)
    assert refused.value.code is Code.REHEARSAL_IMPOSSIBLE
    assert "2 of 13 steps" in refused.value.message


@pytest.mark.applied(13)
def test_what_an_earlier_run_keeps_is_left_out_and_named(documented: str, copy: MakeCopy) -> None:
    migrate.down(Settings(database_url=documented), to=0)
    made = copy(documented)
    assert "nothing of an earlier run is in it" in made.left_out["schema", "callctl"]
    assert made.rows("SELECT count(*) FROM pg_namespace WHERE nspname = 'callctl'") == [(0,)]


def test_a_server_older_than_the_target_is_refused(documented: str) -> None:
    settings = Settings(database_url=documented)
    with database.connect(settings) as target:
        look = survey(target, settings)
    with pytest.raises(ConfigError, match="the server for rehearsals is 9"):
        assert_new_enough(look, 9, "here")


def test_the_target_is_only_read(documented: str, copy: MakeCopy) -> None:
    """A session that may not write at all is enough."""
    with connect(documented) as db:
        db.execute(f"ALTER DATABASE {db.info.dbname} SET default_transaction_read_only = on".encode())
    assert copy(documented).tables["chatbots"].rows > 0


def test_a_query_that_times_out_is_named(documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        db.execute("CREATE FUNCTION chatapp.slow() RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(60) IS NULL'")
        db.execute("ALTER TABLE chatapp.users RENAME TO the_users")
        db.execute("CREATE VIEW chatapp.users AS SELECT * FROM chatapp.the_users WHERE chatapp.slow()")
    try:
        made = copy(documented, statement_timeout_ms=300)
    except psycopg.Error as error:  # pragma: no cover
        pytest.fail(str(error))
    assert "lengths of users.avatar_url" in {name for kind, name in made.left_out if kind == "shape"}
