"""callctl's own schema, changed so that writes fail or secrets are open: what verify, preflight and a run say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import psycopg
import pytest
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.support.db.migrated import Migrated, State, connection_to
from tests.support.db.preflight_asking import ask, of
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.errors import Refused
from callctl.events import Notice
from callctl.migration import migrate
from callctl.migration.checks.verify import examine, verify

Connection: TypeAlias = psycopg.Connection[Any]

pytestmark = [pytest.mark.one_server, pytest.mark.applied]

STRANGER = "DO $$ BEGIN CREATE ROLE stranger_own; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
EATS = (
    "CREATE FUNCTION callctl.eats() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER {0} BEFORE DELETE ON callctl.saved_value FOR EACH ROW EXECUTE FUNCTION callctl.{1}()"
)
# What a run would stop at: what is named, the statement that mends it.
STOPS = {
    "constraint": (
        "ALTER TABLE callctl.history ADD CONSTRAINT nope CHECK (direction <> 'down') NOT VALID",
        "constraint nope on callctl.history: was added",
        "ALTER TABLE callctl.history DROP CONSTRAINT IF EXISTS nope;",
    ),
    "column": (
        "ALTER TABLE callctl.saved_value ADD COLUMN extra int",
        "column callctl.saved_value.extra: was added",
        "ALTER TABLE callctl.saved_value DROP COLUMN IF EXISTS extra;",
    ),
    "owner of a function": (
        f"{STRANGER}; ALTER FUNCTION callctl.count_rows() OWNER TO stranger_own",
        "function callctl.count_rows(): owner is stranger_own, should be callctl's owner",
        "ALTER ROUTINE callctl.count_rows() OWNER TO ",
    ),
    "owner of a table": (
        f"{STRANGER}; ALTER TABLE callctl.tally OWNER TO stranger_own",
        "table callctl.tally: owner is stranger_own, should be callctl's owner",
        "ALTER TABLE callctl.tally OWNER TO ",
    ),
    "numbers": (
        "ALTER TABLE callctl.history ALTER COLUMN id SET MAXVALUE 40",
        "column callctl.history.id: numbers is",
        "ALTER TABLE callctl.history ALTER COLUMN id SET START 1 SET INCREMENT 1",
    ),
    "row security": (
        "ALTER TABLE callctl.made FORCE ROW LEVEL SECURITY",
        "table callctl.made: row security is on",
        "ALTER TABLE callctl.made DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;",
    ),
}


@pytest.fixture
def db(documented: str) -> Iterator[Connection]:
    with connect(documented, prepare_threshold=None) as connection:
        yield connection


@pytest.mark.parametrize("stop", STOPS)
def test_a_way_down_is_blocked_before_it_begins(db: Connection, documented: str, stop: str) -> None:
    sql, text, fix = STOPS[stop]
    db.execute(sql.encode())
    (finding,) = of(ask(db, direction="down"), "callctl-schema")
    assert finding.level == "blocks"
    assert text in finding.what
    assert finding.do.startswith(fix)
    with pytest.raises(Refused) as refused:
        migrate.down(Settings(database_url=documented), to=0)
    assert "nothing was changed" in str(refused.value)
    db.execute(finding.do.encode())
    assert of(ask(db, direction="down"), "callctl-schema", "ok")
    assert verify(db, Settings()).passed
    assert len(migrate.down(Settings(database_url=documented), to=LAST - 1).steps) == 1


@pytest.mark.parametrize(
    "changed",
    [
        "REVOKE INSERT ON callctl.tally FROM mig_own",
        "REVOKE SELECT ON callctl.saved_value FROM mig_own",
        "REVOKE EXECUTE ON FUNCTION callctl.row_digest(text) FROM PUBLIC, mig_own",
        "REVOKE CREATE ON SCHEMA callctl FROM mig_own",
    ],
)
def test_rights_that_the_owner_has_not_any_more(db: Connection, changed: str) -> None:
    """A superuser's cannot be taken away: everything belongs to another role here."""
    with db.transaction(force_rollback=True):
        db.execute("CREATE ROLE mig_own; CREATE ROLE other_own")
        db.execute(GIVE.encode())
        before = [check for check in examine(db, Settings(), fast=True).checks if not check.passed and not check.warns]
        db.execute(changed.encode())
        failing = [check for check in examine(db, Settings(), fast=True).checks if not check.passed and not check.warns]
        assert of(ask(db, direction="down"), "callctl-schema", "blocks")
        assert before == []
        assert {check.id for check in failing} <= {"store-tables", "store-functions"}
        given = [statement for check in failing for statement in check.mends if statement.endswith(";")]
        assert given == [changed.replace("REVOKE", "GRANT").replace(" FROM PUBLIC,", " FROM").replace(" FROM ", " TO ")
                         .replace("FUNCTION", "ROUTINE").replace(" ON callctl", " ON TABLE callctl") + ";"]  # fmt: skip
        db.execute(given[0].encode())
        assert examine(db, Settings(), fast=True).passed


GIVE = """DO $$ DECLARE o record; BEGIN
  ALTER SCHEMA callctl OWNER TO mig_own;
  FOR o IN SELECT oid::regclass AS name FROM pg_class
            WHERE relnamespace = 'callctl'::regnamespace AND relkind = 'r' LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO mig_own', o.name);
  END LOOP;
  FOR o IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'callctl'::regnamespace LOOP
    EXECUTE format('ALTER ROUTINE %s OWNER TO mig_own', o.name);
  END LOOP;
END $$"""


def test_sequences_set_back_are_set_right_by_a_run(db: Connection, documented: str) -> None:
    db.execute("ALTER SEQUENCE callctl.tally_id_seq RESTART 1; SELECT setval('callctl.history_id_seq', 2)")
    (failed,) = (check for check in verify(db, Settings()).checks if not check.passed and not check.warns)
    assert failed.id == "store-sequences"
    assert [row[0] for row in failed.sample] == ["callctl.history_id_seq", "callctl.tally_id_seq"]
    migrate.down(Settings(database_url=documented), to=LAST - 1)
    migrate.up(Settings(database_url=documented))
    assert verify(db, Settings()).passed


@pytest.mark.parametrize(
    ("name", "function"), [("eats", "eats"), ("count_removed", "eats"), ("spare_before", "count_rows")]
)
def test_a_trigger_with_a_function_in_schema_callctl_is_not_callctls(
    db: Connection, documented: str, callctl: Callctl, name: str, function: str
) -> None:
    db.execute(f"DROP TRIGGER IF EXISTS {name} ON callctl.saved_value; {EATS.format(name, function)}".encode())
    code, out, err = callctl(documented, "migrate", "down", "--all", "--yes")
    output = " ".join((out + err).split())
    assert code == 3, output
    assert f"DROP TRIGGER {name} ON callctl.saved_value;" in output
    assert "taken back" not in output


def test_a_count_that_begins_with_rows_is_said(db: Connection, documented: str) -> None:
    """The tally and the list of what it counts were emptied: a run cannot tell any more what has to be there."""
    settings = Settings(database_url=documented)
    notices: list[Notice] = []
    migrate.up(settings, on_event=lambda event: notices.append(event) if isinstance(event, Notice) else None)
    assert not [notice for notice in notices if "begins to count" in notice.text]
    db.execute(
        "TRUNCATE callctl.tally; UPDATE callctl.installation SET counted = '{}'; DELETE FROM callctl.saved_value"
    )
    assert not verify(db, settings).passed
    migrate.up(settings, on_event=lambda event: notices.append(event) if isinstance(event, Notice) else None)
    (begun,) = [notice.text for notice in notices if "begins to count" in notice.text]
    assert "callctl.definition" in begun
    assert "callctl.history" in begun


def test_what_another_role_goes_on_with_belongs_to_the_first(db: Connection, documented: str) -> None:
    """A superuser takes steps back and up again in a schema that belongs to another role: one owner, as before."""
    db.execute("DO $$ BEGIN CREATE ROLE first_own SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    db.execute(GIVE.replace("mig_own", "first_own").encode())
    db.execute("DROP TABLE callctl.load_test; DROP FUNCTION callctl.call_flag_before(jsonb)")
    settings = Settings(database_url=documented)
    migrate.down(settings, to=5)
    report = verify(db, settings)
    assert [check for check in report.checks if not check.passed and not check.warns] == []
    query = "SELECT proowner::regrole::text FROM pg_proc WHERE proname IN ('sync_chatbots', 'call_flag_before')"
    assert db.execute(query).fetchall() == [("first_own",)] * 2
    migrate.up(settings)
    assert verify(db, settings).passed


def test_no_reader_puts_a_function_of_the_owners_on_a_table(migrated: Migrated) -> None:
    """As a trigger of his own table it would run with the owner's rights on whatever the reader makes it meet."""
    with connection_to(migrated.url(State("documented", deferred=True))) as db:
        functions = [
            name
            for (name,) in db.execute(
                "SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.prosecdef"
                " AND p.pronamespace IN ('callctl'::regnamespace, 'chatapp'::regnamespace)"
            )
        ]
        assert {"callctl.count_rows()", "callctl.spare_rows()", "callctl.sync_chatbots()"} <= set(functions)
        db.execute("CREATE ROLE reader; GRANT USAGE ON SCHEMA callctl, chatapp TO reader; SET ROLE reader")
        db.execute("CREATE TEMPORARY TABLE mine (a int)")
        for function in functions:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
                db.execute(f"CREATE TRIGGER x AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION {function}".encode())
        db.execute("RESET ROLE")


def test_a_trigger_function_of_callctls_own_tables_serves_no_other(migrated: Migrated) -> None:
    with connection_to(migrated.url(State("documented"))) as db:
        for event, function in (("TRUNCATE", "spare_rows"), ("DELETE", "count_rows")):
            db.execute(f"CREATE TABLE public.{function} (a int)".encode())
            db.execute(
                f"CREATE TRIGGER x BEFORE {event} ON public.{function} FOR EACH STATEMENT"
                f" EXECUTE FUNCTION callctl.{function}('pg_sleep(0)')".encode()
            )
            with pytest.raises(psycopg.errors.RaiseException, match="of callctl's own tables"), db.transaction():
                db.execute(
                    (
                        f"TRUNCATE public.{function}" if event == "TRUNCATE" else f"DELETE FROM public.{function}"
                    ).encode()
                )


def test_grants_of_archived_tables_are_the_platforms(documented: str) -> None:
    """What the application may do with calls goes with them to the archive, and lays nothing open there."""
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        db.execute("CREATE ROLE application_of_archive")
        try:
            db.execute(
                "GRANT USAGE ON SCHEMA chatapp TO application_of_archive;"
                " GRANT SELECT, INSERT, UPDATE, DELETE ON chatapp.chatbots TO application_of_archive"
            )
            migrate.up(settings)
            for table in ("integration_accounts", "calls", "call_transcripts"):
                db.execute(
                    f"GRANT SELECT, INSERT, UPDATE, DELETE ON chatapp.{table} TO application_of_archive".encode()
                )
            migrate.down(settings, to=4)
            assert db.execute("SELECT to_regclass('callctl.integration_accounts') IS NOT NULL").fetchone() == (True,)
            report = verify(db, settings)
            assert [check.id for check in report.checks if not check.passed and not check.warns] == []
            db.execute("GRANT SELECT ON callctl.integration_accounts TO PUBLIC")
            failing = [check.id for check in verify(db, settings).checks if not check.passed and not check.warns]
            assert failing == ["secrets-closed"]
        finally:
            db.execute("DROP OWNED BY application_of_archive; DROP ROLE application_of_archive")


def test_an_archived_table_that_is_gone_is_missed(documented: str) -> None:
    """It would be made anew, empty, by the next up."""
    settings = Settings(database_url=documented)
    migrate.up(settings)
    migrate.down(settings, to=8)
    with connect(documented) as db:
        db.execute("DROP TABLE callctl.calls CASCADE")
        failing = {check.id: check for check in verify(db, settings).checks if not check.passed and not check.warns}
        assert set(failing) == {"archive-kept"}
        said = [row[:4] for row in failing["archive-kept"].sample]
        assert ("callctl.calls", "the table", "a table", None) in said
        assert any(row[:2] == ("callctl.call_transcripts", "constraint call_transcripts_call_id_fkey") for row in said)
        blocking = [finding for finding in ask(db, (9, 10, 11, 12, 13)) if finding.level == "blocks"]
        assert ("archived-tables", ("callctl.calls",)) in [(finding.id, finding.objects) for finding in blocking]
        with pytest.raises(Refused):
            migrate.up(settings)
        (statement,) = [
            re.findall(r"DELETE FROM .*;", finding.do)[0]
            for finding in blocking
            if finding.objects == ("callctl.calls",)
        ]
        db.execute(statement.encode())
    migrate.up(settings)


def test_after_the_whole_way_back_verify_still_looks_at_what_callctl_keeps(documented: str) -> None:
    settings = Settings(database_url=documented)
    migrate.up(settings)
    migrate.down(settings, to=0)
    with connect(documented) as db:
        with pytest.raises(
            Refused, match=r"no table of the platform was compared; callctl's schema and its archive passed \d+ checks"
        ):
            verify(db, settings)
        db.execute(
            "GRANT SELECT ON callctl.integration_accounts TO PUBLIC; ALTER TABLE callctl.calls DROP COLUMN direction"
        )
        failing = [check.id for check in verify(db, settings).checks if not check.passed and not check.warns]
        assert failing == ["archive-kept", "secrets-closed"]


def test_two_tables_that_could_be_the_archived_one(documented: str) -> None:
    """Each is as the archived one was: verify names one, and says no more than that it is missing."""
    settings = Settings(database_url=documented)
    migrate.up(settings)
    migrate.down(settings, to=8)
    with connect(documented) as db:
        db.execute("ALTER TABLE callctl.call_transcripts SET SCHEMA public; CREATE SCHEMA copies")
        db.execute(
            "CREATE TABLE copies.call_transcripts (LIKE public.call_transcripts INCLUDING ALL EXCLUDING INDEXES)"
        )
        db.execute(
            "DO $$ DECLARE ddl text; BEGIN FOR ddl IN"
            " SELECT format('ALTER TABLE copies.call_transcripts ADD CONSTRAINT %I %s',"
            "               conname, pg_get_constraintdef(oid))"
            " FROM pg_constraint WHERE conrelid = 'public.call_transcripts'::regclass AND contype IN ('p', 'u', 'f')"
            " UNION ALL SELECT replace(pg_get_indexdef(indexrelid), ' ON public.', ' ON copies.')"
            " FROM pg_index"
            " WHERE indrelid = 'public.call_transcripts'::regclass AND NOT indisprimary AND NOT indisunique"
            " LOOP EXECUTE ddl; END LOOP; END $$"
        )
        (check,) = [check for check in verify(db, settings).checks if check.id == "archive-kept"]
        assert (check.error, check.passed) == (None, False)
        assert check.sample[0][-1] == "ALTER TABLE public.call_transcripts SET SCHEMA callctl;"
