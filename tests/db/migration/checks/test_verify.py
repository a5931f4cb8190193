"""How verify asks: one pass a table, one snapshot, no lock, in time."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from benchmarks import verify as bench
from tests.conftest import connect
from tests.support.db.migrated import Migrated, State, connection_to

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.errors import Refused
from callctl.files import read_sql, sql_names
from callctl.migration.checks.findings import SAMPLE
from callctl.migration.checks.row_checks import FAST, SECRET, reads_rows, shared_queries, taken_apart
from callctl.migration.checks.verify import examine, step_checks, verify
from callctl.migration.steps.numbered import all_steps
from callctl.statements.adaptation import adapt
from callctl.statements.naming import read_naming
from callctl.statements.script import Statement, load_script

FULL = State("documented")


def statements() -> list[Statement]:
    """Every check of rows that a migrated database calls for."""
    files = [name for name in sql_names("verify") if "pending" not in load_script(name).header]
    files += [f"{step.directory}/verify.sql" for step in all_steps()]
    return [statement for name in files for statement in load_script(name).statements]


def test_each_table_is_read_once() -> None:
    """Beside what a rule joins: of the tables that grow, none is the first of two scans."""
    tables = [taken_apart(statement.sql) for statement in statements()]
    shared = [scan for scan in shared_queries(statements(), "chatapp", 10) if scan.places]
    assert len(shared) == len({question.table for question in tables if question is not None})
    names = sorted(re.sub(r" AS \w+$", "", question.table) for question in {q.table: q for q in tables if q}.values())
    assert names == sorted(set(names)), "two aliases for one table: their checks share no scan"


def test_the_form_of_an_encrypted_secret_is_the_same_in_every_file() -> None:
    """The two files of the accounts read the secrets in the same words, so that one pass does for both."""
    texts = {name: read_sql(name) for name in sql_names("verify") if "'authTag'" in read_sql(name)}
    assert {name.removeprefix("verify/") for name in texts} == {
        "accounts_secrets.sql",
        "accounts_keys.sql",
        "declared_secrets.sql",
    }
    forms = [form for text in texts.values() for form in re.findall(r"NOT COALESCE\((.*?), false\)", text, re.DOTALL)]
    assert (len(forms), len({" ".join(form.split()) for form in forms})) == (3, 1)
    read = {
        text[text.index("LEFT JOIN LATERAL") : text.index("WHERE secrets.")]
        for text in texts.values()
        if "AS secrets" in text
    }
    assert len(read) == 1


@pytest.mark.parametrize("state", [FULL, State("deployed")], ids=str)
def test_offenders_are_shown_without_reading_the_table_again(migrated: Migrated, state: State) -> None:
    """All are counted; some are shown, and found where the scan has seen them."""
    with connection_to(migrated.url(state)) as db:
        db.execute(
            "UPDATE chatapp.companies SET settings = settings #- '{features,callEnabled}'"
            " WHERE id IN (SELECT id FROM chatapp.companies ORDER BY id LIMIT 15);"
            "SET LOCAL seq_page_cost = 1000"  # the table is one page, which is read as soon as looked into
        )
        read = "SELECT pg_stat_get_xact_numscans('chatapp.companies'::regclass)"
        before = db.execute(read).fetchall()[0][0]
        (check,) = [result for result in examine(db, Settings()).checks if not result.passed]
        assert db.execute(read).fetchall()[0][0] == before + 1
    assert (check.id, check.count, check.columns) == ("company-flags", 15, ("id", "call_enabled"))
    assert len({row[0] for row in check.sample}) == SAMPLE


@pytest.mark.parametrize("state", [FULL, State("deployed")], ids=str)
def test_what_a_scan_joins_finds_at_most_one_row(migrated: Migrated, state: State) -> None:
    with connection_to(migrated.url(state)) as db:
        naming = read_naming(db, "chatapp")
        for scan in shared_queries((adapt(statement, naming) for statement in statements()), "chatapp", 10):
            question = taken_apart(scan.statements[0].sql)
            if question is not None:
                start = scan.sql.index(f"\nFROM {question.table}")
                rows, joined = (
                    db.execute(f"SELECT count(*) {source}".encode()).fetchall()
                    for source in (f"FROM {question.table}", scan.sql[start : scan.sql.index("\nWHERE (", start)])
                )
                assert rows == joined
                assert rows != [(0,)] or "call" in question.table or "accounts" in question.table


def test_what_is_asked_when_it_has_to_be_fast() -> None:
    """The files that say so are those none of whose checks reads rows; in a mixed file, some would be left out."""
    reads = {
        name: {reads_rows(statement, "chatapp") for statement in load_script(name).statements}
        for name in sql_names("verify")
    }
    assert {True, False} not in reads.values()
    assert {name for name in reads if FAST in read_sql(name)} == {
        name for name in reads if reads[name] == {False} and f") AS {SECRET}" not in read_sql(name)
    }


def test_the_defaults_that_are_known_by_sight_are_the_defaults(migrated: Migrated) -> None:
    """Byte for byte."""
    with connection_to(migrated.url(FULL)) as db, db.transaction():
        db.execute(read_sql("migration/checks/verify_session.sql"), {"timeout": "10s", "known_keys": ""})
        row = db.execute(
            b"SELECT record_image_eq(ROW(current_setting('callctl.default_call_settings')::jsonb),"
            b" ROW(callctl.default_call_settings()))"
        ).fetchone()
        assert row == (True,)


def test_what_the_benchmark_compares_with(migrated: Migrated) -> None:
    """Every pass, and the columns that its checks name; of its own the scan has none to leave out."""
    measured = bench.measure(migrated.url(FULL), rounds=1)
    assert sorted(check for scan in measured["passes"] for check in scan["checks"]) == sorted(
        statement.check.id for statement in statements() if statement.check
    )
    (calls,) = [scan for scan in measured["passes"] if "calls-one-tenant" in scan["checks"]]
    names = ("calls", "chatbots", "end_users", "conversations", "integration_accounts", "companies")
    assert calls["tables"] == [f"chatapp.{name}" for name in names]
    types = {"chatapp.calls": {"id": "uuid", "duration": "integer", "summary": "text"}, "chatapp.companies": {}}
    sql = "SELECT c.id FROM chatapp.calls AS c WHERE c.duration < 0 AND EXISTS (SELECT FROM chatapp.companies AS d)"
    assert bench.columns_read(sql, types) == {"chatapp.calls": ["duration", "id"], "chatapp.companies": []}
    assert bench.floor_sql("chatapp.companies", ["settings", "id"], {"settings": "jsonb", "id": "uuid"}) == (
        "SELECT count(*), sum(pg_column_size(id)), count(jsonb_typeof(settings)) FROM chatapp.companies"
    )


def test_lines_at_once_are_found_in_whichever_third_their_call_is(migrated: Migrated) -> None:
    """The rule reads the lines in three ranges of the calls' ids; what it finds is what one range would give."""
    (statement,) = load_script("verify/transcripts_ordered.sql").statements
    ids = [f"{digits}{end}" for digits in ("5" * 31, "a" * 31) for end in ("4", "5", "6", "9", "a", "b")]
    ids += ["0" * 32, "f" * 32, "7" * 32]
    with connection_to(migrated.url(FULL)) as db:
        db.execute("SET LOCAL session_replication_role = replica")  # the lines' calls are made up
        for role, start in (("user", 1), ("user", 1), ("user", 2), ("user", 3), ("assistant", 3), ("system", 4)):
            db.execute(
                "INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration)"
                " SELECT unnest(%s::uuid[]), %s, 'x', %s, %s, 1",
                (ids, role, start, start + 1),
            )
        rows = db.execute(statement.sql.encode()).fetchall()
        plain = db.execute(
            "SELECT call_id, start_time, count(*) FROM chatapp.call_transcripts WHERE role <> 'system'"
            " GROUP BY call_id, start_time HAVING count(*) > count(DISTINCT role)"
        ).fetchall()
        assert sorted(rows) == sorted(plain)
        assert len(rows) == len(ids)


def test_no_lock_beyond_access_share(migrated: Migrated) -> None:
    with connection_to(migrated.url(FULL)) as db:
        assert examine(db, Settings()).passed
        locks = db.execute(
            "SELECT DISTINCT mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'"
        ).fetchall()
        assert locks == [("AccessShareLock",)]


def test_a_table_that_is_locked_fails_what_is_asked_of_it(migrated: Migrated) -> None:
    """In time, and other tables are asked all the same. How a definition is printed may need the table, too (18)."""
    url = migrated.url(FULL)
    with connect(url) as other, other.transaction(force_rollback=True):
        other.execute("LOCK TABLE chatapp.call_transcripts IN ACCESS EXCLUSIVE MODE")
        settings = Settings(database_url=url, statement_timeout_ms=1000)
        with closing(database.connect(settings)) as connection:
            report = verify(connection, settings)
    rules = [check for check in report.checks if check.source.startswith(("verify/", "steps/"))]
    assert {check.id for check in rules if not check.passed} == {
        "transcripts-in-call",
        "transcripts-ordered",
        "transcripts-orphans",
        "transcripts-timed",
    }
    failing = {check.id: check.error for check in report.checks if not check.passed}
    assert all(error and "no answer in time" in error for error in failing.values())


def test_a_catalog_that_gives_no_answer_in_time_is_refused(migrated: Migrated) -> None:
    url = migrated.url(FULL)
    with connect(url) as other, other.transaction(force_rollback=True):
        other.execute("LOCK TABLE callctl.history IN ACCESS EXCLUSIVE MODE")
        settings = Settings(database_url=url, statement_timeout_ms=200)
        with closing(database.connect(settings)) as connection, pytest.raises(Refused, match="timed out"):
            verify(connection, settings)


# What the contract's query reads of callctl's own schema, replaced by what fails as soon as a row is asked for.
NO_ANSWER = """
DROP TABLE callctl.made;
CREATE FUNCTION public.no_answer() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN {}; END $$;
CREATE VIEW callctl.made AS SELECT 0 AS step, x AS kind, x AS relation, x AS name FROM public.no_answer() AS x;
"""


@pytest.mark.parametrize(
    ("instead", "error"),
    [
        ("RAISE division_by_zero", "division_by_zero (SQLSTATE 22012)"),
        # As a statement that has taken too long is ended, at whatever speed.
        ("PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(600)", "no answer in time"),
    ],
    ids=["an error", "no answer in time"],
)
def test_no_check_of_the_catalog_passes_without_an_answer(migrated: Migrated, instead: str, error: str) -> None:
    """A query that fails has found no difference; that is no success of any check, and nothing is said of additions."""
    with connection_to(migrated.url(FULL)) as db:
        naming = read_naming(db, "chatapp")
        passed = [check for check in examine(db, Settings()).checks if check.source.startswith("contract")]
        assert all(check.passed for check in passed)
        db.execute(NO_ANSWER.format(instead).encode())
        report = examine(db, Settings())
        failed = [check for check in report.checks if check.source.startswith("contract")]
        assert not report.passed
        of_others = ["additions", "additions-swallow", "deletes-kept", "writes-kept", "writes-unknown"]
        of_others += ["store-additions", "store-writes"]
        assert sorted([*(check.id for check in failed), *of_others]) == sorted(check.id for check in passed)
        assert [check.id for check in failed if check.passed or check.warns or error not in (check.error or "")] == []
        # The rows are asked all the same.
        assert all(check.passed for check in report.checks if check not in failed)
        # So it is at the end of a step, which is not done then; where the step makes what it might have found.
        of_steps = [step_checks(db, naming, step.number)[0] for step in all_steps()]
        unanswered = [check for check in of_steps if check.error is not None]
        assert unanswered
        assert [check.id for check in unanswered if check.passed or error not in str(check.error)] == []


def test_nothing_of_the_session_stands_before_the_server(migrated: Migrated) -> None:
    """Functions and tables of the same name in a schema that the session looks into first."""
    with connection_to(migrated.url(FULL)) as db:
        db.execute(
            "CREATE SCHEMA decoy;"
            "CREATE FUNCTION decoy.pg_get_indexdef(oid) RETURNS text LANGUAGE sql AS 'SELECT NULL';"
            "CREATE FUNCTION decoy.format_type(oid, integer) RETURNS text LANGUAGE sql AS 'SELECT NULL';"
            "CREATE TABLE decoy.pg_trigger (tgname name); SET LOCAL search_path = decoy, chatapp, pg_catalog"
        )
        assert examine(db, Settings()).passed
