"""The three new tables are the platform's: what it changes of them stops no step, and verify names what contradicts."""

# ruff: noqa: E501 - functions of the platform's are one line of SQL each.

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect
from tests.support.db.before_rows import make_roles
from tests.support.db.snapshot import take
from tests.support.steps import ALL

from callctl.config.sections import Accepted
from callctl.config.settings import NewTablesRowSecurity, Settings
from callctl.database import connection as database
from callctl.errors import Refused, StepFailed
from callctl.events import Event, Notice
from callctl.migration import migrate
from callctl.migration.checks.findings import Report
from callctl.migration.checks.preflight import Finding, preflight
from callctl.migration.checks.verify import verify
from callctl.statements.naming import read_naming

NEW = ("integration_accounts", "calls", "call_transcripts")

# What the platform does to the tables, and what verify fails with; None where it is what may be added.
CHANGES: dict[str, tuple[str, str | None]] = {
    "a wider column": ("ALTER TABLE chatapp.calls ALTER recording_url TYPE varchar(1000)", "calls-columns"),
    "another type": ("ALTER TABLE chatapp.call_transcripts ALTER duration TYPE bigint", "call-transcripts-columns"),
    "a constraint gone": ("ALTER TABLE chatapp.calls DROP CONSTRAINT calls_source_check", "calls-constraints"),
    "an addition of callctl's gone": (
        "ALTER TABLE chatapp.call_transcripts DROP CONSTRAINT call_transcripts_content_check",
        "call-transcripts-constraints",
    ),
    "a foreign key gone": (
        "ALTER TABLE chatapp.calls DROP CONSTRAINT calls_conversation_id_fkey",
        "calls-constraints",
    ),
    "a foreign key with another action": (
        "ALTER TABLE chatapp.calls DROP CONSTRAINT calls_chatbot_id_fkey, ADD CONSTRAINT calls_chatbot_id_fkey"
        " FOREIGN KEY (chatbot_id) REFERENCES chatapp.chatbots ON UPDATE CASCADE NOT VALID",
        "calls-constraints",
    ),
    "an index gone": ("DROP INDEX chatapp.idx_calls_status", "calls-indexes"),
    "a default gone": ("ALTER TABLE chatapp.calls ALTER status DROP DEFAULT", "calls-columns"),
    "a column gone": ("ALTER TABLE chatapp.call_transcripts DROP COLUMN audio_url", "call-transcripts-columns"),
    "an indexed column gone": ("ALTER TABLE chatapp.calls DROP COLUMN call_sid", "calls-columns"),
    "the trigger gone": ("DROP TRIGGER update_calls_updated_at ON chatapp.calls", "calls-triggers"),
    "the trigger off": ("ALTER TABLE chatapp.calls DISABLE TRIGGER update_calls_updated_at", "calls-triggers"),
    "another trigger of its name": (
        "DROP TRIGGER update_calls_updated_at ON chatapp.calls;"
        "CREATE TRIGGER update_calls_updated_at BEFORE UPDATE OF status ON chatapp.calls"
        " FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column();"
        "COMMENT ON TRIGGER update_calls_updated_at ON chatapp.calls IS 'of the status alone'",
        "calls-triggers",
    ),
    "a column more": ("ALTER TABLE chatapp.calls ADD COLUMN cost numeric(10,4) NOT NULL DEFAULT 0", None),
    "an identity more": ("ALTER TABLE chatapp.calls ADD COLUMN number int GENERATED ALWAYS AS IDENTITY", None),
    "a constraint more": ("ALTER TABLE chatapp.calls ADD CHECK (duration >= 0)", None),
    "an index more": ("CREATE INDEX calls_model ON chatapp.calls (model_id)", None),
    "a trigger more": (
        "CREATE TRIGGER touch BEFORE UPDATE ON chatapp.call_transcripts"
        " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        None,
    ),
    "row-level security": (
        "ALTER TABLE chatapp.calls ENABLE ROW LEVEL SECURITY; ALTER TABLE chatapp.calls FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY tenant ON chatapp.calls USING (company_id::text = current_setting('app.company', true))",
        None,
    ),
    "a table that refers to it": (
        "CREATE TABLE chatapp.ratings (call_id uuid REFERENCES chatapp.calls ON DELETE CASCADE)",
        None,
    ),
}


def verified(settings: Settings) -> Report:
    with database.connect(settings) as connection:
        return verify(connection, settings)


def failing(report: Report) -> list[str]:
    return [check.id for check in report.checks if not check.passed and not check.warns]


def found(settings: Settings, direction: Any = "up") -> dict[str, list[Finding]]:
    with database.connect(settings) as connection:
        naming = read_naming(connection, settings.schema)
        all_found: dict[str, list[Finding]] = {}
        for finding in preflight(connection, settings, naming, ALL, direction):
            all_found.setdefault(finding.id, []).append(finding)
    return all_found


def entries(report: Report) -> tuple[Accepted, ...]:
    """The entries of callctl.yaml that verify prints."""
    printed = [
        match[1]
        for check in report.checks
        if not check.passed and not check.warns
        for each in check.mends
        if (match := re.search(r"accept: \[(\{.*\})\]$", each))
    ]
    read = [json.loads(re.sub(r"(object|difference|reason): ", r'"\1": ', each)) for each in printed]
    return tuple(Accepted(each["object"], each["difference"], "as the platform wants it") for each in read)


@pytest.mark.some(5)
@pytest.mark.parametrize("change", CHANGES)
def test_what_the_platform_changes_goes_and_comes_back(database: MakeDatabase, change: str) -> None:
    """Down, up and down again end; the tables are back as they were; verify passes once the difference is accepted."""
    statement, check = CHANGES[change]
    url = database("deployed")
    settings = Settings(database_url=url)
    with connect(url, prepare_threshold=None) as db:
        before = take(db)
        migrate.up(settings)
        db.execute(statement.encode())
        changed = take(db)
        report = verified(settings)
        if check is not None:
            assert check in failing(report)
            settings = replace(settings, accept=entries(report))
            report = verified(settings)
            assert report.accepted == settings.accept
        assert failing(report) == []
        migrate.down(settings, to=0)
        migrate.up(settings)
        assert {
            key: each for key, each in take(db).catalog.items() if "calls" in str(key) or "transcripts" in str(key)
        } == {key: each for key, each in changed.catalog.items() if "calls" in str(key) or "transcripts" in str(key)}
        assert failing(verified(settings)) == []
        migrate.down(settings, to=0)
        if "ratings" not in statement:
            assert take(db).catalog == before.catalog


def test_every_difference_at_once(deployed: str) -> None:
    """As the differences of a table that comes back are told in the run."""
    settings = Settings(database_url=deployed)
    said: list[Event] = []
    with connect(deployed) as db:
        migrate.up(settings)
        db.execute("ALTER TABLE chatapp.calls ALTER recording_url TYPE varchar(1000), ALTER notes TYPE varchar(900)")
        migrate.down(settings, to=0)
        migrate.up(settings, on_event=said.append)
    told = [event.text for event in said if isinstance(event, Notice) and "as it was found" in event.text]
    assert len(told) == 1
    assert "recording_url: type is character varying(1000)" in told[0]
    assert "notes" in told[0]


@pytest.mark.applied(9)
def test_a_step_that_is_resumed_takes_its_table_as_the_platform_has_it(deployed: str) -> None:
    """The table was made, the run was killed, and the platform went on with it."""
    settings = Settings(database_url=deployed)
    with connect(deployed) as db:
        db.execute(
            "CREATE FUNCTION public.not_now() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE 'chatapp.idx_calls%') THEN"
            " RAISE 'not now'; END IF; END $$;"
            "CREATE EVENT TRIGGER not_now ON ddl_command_end WHEN TAG IN ('CREATE INDEX')"
            " EXECUTE FUNCTION public.not_now()"
        )
        with pytest.raises(StepFailed, match=r"raised in event trigger not_now \(not_now\(\)\)") as failed:
            migrate.up(settings, to=10)
        assert "ALTER EVENT TRIGGER not_now DISABLE;" in str(failed.value.hint)
        db.execute("ALTER EVENT TRIGGER not_now DISABLE")
        db.execute(
            "ALTER TABLE chatapp.calls ALTER recording_url TYPE varchar(1000), DROP CONSTRAINT calls_source_check"
        )
    migrate.up(settings)
    migrate.down(settings, to=0)


def test_what_an_event_trigger_sets_on_a_new_table_stands(documented: str) -> None:
    """ "Row security on every new table" is how hosted platforms keep a new table closed."""
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        db.execute(
            "CREATE FUNCTION public.close_it() RETURNS event_trigger LANGUAGE plpgsql AS $$"
            " DECLARE o record; BEGIN"
            "  FOR o IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' AND schema_name = 'chatapp' LOOP"
            "   EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', o.object_identity); END LOOP; END $$;"
            "CREATE EVENT TRIGGER close_it ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.close_it()"
        )
        run = migrate.up(settings)
        assert [note.split()[0] for note in run.notes] == [f"chatapp.{table}" for table in NEW]
        assert failing(verified(settings)) == []
        migrate.down(settings, to=0)
        migrate.up(settings)
        assert secured(db) == set(NEW)


def secured(db: psycopg.Connection[Any]) -> set[str]:
    rows = db.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'chatapp'::regnamespace AND relrowsecurity"
        " AND relname = ANY (%s)",
        (list(NEW),),
    ).fetchall()
    return {name for (name,) in rows}


@pytest.mark.parametrize("neighbour", ["chatbots", "companies", None])
@pytest.mark.parametrize("wanted", ["inherit", "on", "off"])
def test_row_level_security_of_the_new_tables(
    documented: str, neighbour: str | None, wanted: NewTablesRowSecurity
) -> None:
    settings = Settings(database_url=documented, new_tables_row_security=wanted)
    expected = set(NEW) if wanted == "on" or (wanted == "inherit" and neighbour) else set()
    with connect(documented) as db:
        if neighbour:
            db.execute(f"ALTER TABLE chatapp.{neighbour} ENABLE ROW LEVEL SECURITY".encode())
            db.execute(f"CREATE POLICY tenant ON chatapp.{neighbour} FOR SELECT USING (true)".encode())
        said = found(settings)["row-security"][0]
        assert said.level == ("warns" if neighbour else "ok")
        if neighbour:
            assert "tenant FOR SELECT TO PUBLIC USING (true)" in said.what
        run = migrate.up(settings)
        assert secured(db) == expected
        assert bool(run.notes) == bool(expected)
        report = verified(settings)
        assert failing(report) == []
        (check,) = [each for each in report.checks if each.id == "new-tables-policies"]
        assert check.count == len(expected)
        for table in expected:
            db.execute(f"CREATE POLICY tenant ON chatapp.{table} USING (true)".encode())
        (check,) = [each for each in verified(settings).checks if each.id == "new-tables-policies"]
        assert check.passed


def test_no_grant_is_advised_for_a_role_that_reads_under_row_level_security(documented: str) -> None:
    """It would read the credentials of every company."""
    settings = Settings(database_url=documented, new_tables_row_security="off")
    with connect(documented) as db:
        make_roles(db)
        db.execute("GRANT SELECT ON chatapp.chatbots TO callctl_test_application, PUBLIC")
        assert "GRANT SELECT" in str(found(settings)["default-privileges"])
        db.execute("ALTER TABLE chatapp.companies ENABLE ROW LEVEL SECURITY")
        assert "GRANT SELECT" not in str([each.what for each in found(settings)["default-privileges"]])
        migrate.up(settings)
        (check,) = [each for each in verified(settings).checks if each.id == "new-tables-granted"]
        assert check.passed


@pytest.mark.parametrize(
    "added",
    [
        "CREATE FUNCTION chatapp.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.notes IS NULL THEN RETURN NULL; END IF; RETURN NEW; END';"
        "CREATE TRIGGER added BEFORE INSERT ON chatapp.calls FOR EACH ROW EXECUTE FUNCTION chatapp.f()",
        "CREATE RULE added AS ON INSERT TO chatapp.calls WHERE NEW.notes IS NULL DO INSTEAD NOTHING",
    ],
)
@pytest.mark.applied
def test_what_may_swallow_a_write_fails_until_it_is_accepted(documented: str, added: str) -> None:
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        db.execute(added.encode())
    report = verified(settings)
    assert failing(report) == ["additions-swallow"]
    assert failing(verified(replace(settings, accept=entries(report)))) == []


@pytest.mark.applied
def test_an_entry_that_matches_nothing_is_a_warning(documented: str) -> None:
    settings = Settings(
        database_url=documented,
        accept=(
            Accepted("column chatapp.calls.notes", "missing", "once"),
            Accepted("table callctl.history", "missing", "callctl's own"),
        ),
    )
    report = verified(settings)
    (check,) = [each for each in report.checks if each.id == "accepted-differences"]
    assert check.warns
    assert check.count == 2
    assert report.accepted == ()
    assert failing(report) == []


@pytest.mark.applied
def test_nothing_of_callctls_own_schema_is_accepted(documented: str) -> None:
    entry = Accepted("column callctl.history.client", "not null is no", "as we like it")
    settings = Settings(database_url=documented, accept=(entry,))
    with connect(documented) as db:
        db.execute("ALTER TABLE callctl.history ALTER COLUMN client DROP NOT NULL")
    report = verified(settings)
    assert failing(report) == ["store-tables"]
    assert report.accepted == ()


# What keeps an archived table from coming back, and the way out that the message names.
CANNOT_RETURN = {
    "its name": ("CREATE TABLE chatapp.calls (id int)", "DROP TABLE chatapp.calls"),
    "an index's name": (
        "CREATE INDEX calls_pkey ON chatapp.users (email)",
        "ALTER INDEX chatapp.calls_pkey RENAME TO users_by_mail",
    ),
    "its array type's name": ("CREATE DOMAIN chatapp._calls AS text", "DROP DOMAIN chatapp._calls"),
    "the partner of a foreign key": ("DROP TABLE chatapp.conversations CASCADE", None),
}


@pytest.mark.parametrize("what", CANNOT_RETURN)
@pytest.mark.applied
def test_up_is_blocked_before_step_1_where_a_table_cannot_return(documented: str, what: str) -> None:
    taken, out = CANNOT_RETURN[what]
    settings = Settings(database_url=documented)
    migrate.down(settings, to=0)
    with connect(documented, prepare_threshold=None) as db:
        db.execute(taken.encode())
        before = take(db)
        with pytest.raises(Refused, match="archived-tables"):
            migrate.up(settings)
        assert take(db).catalog == before.catalog
        if out is None:
            (finding,) = [each for each in found(settings)["archived-tables"] if each.level == "blocks"]
            statement = re.search(r"DELETE FROM [^;]*;", f"{finding.what} {finding.do}")
            assert statement
            db.execute(statement[0].encode())
            assert [each.level for each in found(settings)["archived-tables"]] == ["ok"]
        else:
            db.execute(out.encode())
            migrate.up(settings)
