"""A load test on both baselines: it measures, touches nobody's rows, and leaves nothing, however it ends."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.conftest import _template, connect
from tests.support import processes
from tests.support.db import backups
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.database import lock
from callctl.database.actions import actions
from callctl.errors import LockHeld, Refused
from callctl.events import Event, LoadProgress
from callctl.loadtest import run as loadtest_run
from callctl.loadtest.measure import LoadTest
from callctl.loadtest.rows import Rows, documented_queries, new
from callctl.loadtest.sessions import Load, Workload
from callctl.migration import migrate
from callctl.migration.checks import verify
from callctl.sandbox.lifecycle import BASELINES, create_database, drop_database
from callctl.sandbox.server import Server
from callctl.statements.naming import read_naming

# It is about callctl's own load.
pytestmark = pytest.mark.one_server

_numbers = itertools.count(1)

SHORT = Workload(sessions=4, connections=4, seconds=1.3, calls=None, call_seconds=0.4)
# Every row of the platform's, by table; what the load test makes would be among them.
TABLES = ("companies", "chatbots", "end_users", "conversations", "integration_accounts", "calls", "call_transcripts")


@pytest.fixture(scope="module")
def _migrated(server: Server) -> dict[str, str]:
    """The databases that are copied, by baseline: migrated once, and only if a test wants them."""
    return {}


@pytest.fixture(params=BASELINES)
def db(
    request: pytest.FixtureRequest, server: Server, _templates: dict[str, str], _migrated: dict[str, str]
) -> Iterator[psycopg.Connection[Any]]:
    """A migrated database of each baseline, with calls of a customer's."""
    baseline: str = request.param
    copy = f"loadtest_copy_{next(_numbers)}"
    with connect(server.url("postgres")) as admin:
        if baseline not in _migrated:
            name = f"loadtest_{baseline}"
            create_database(admin, name, template=_template(server, _templates, baseline))
            migrate.up(Settings(database_url=server.url(name)))
            with connect(server.url(name)) as connection:
                connection.execute(
                    "INSERT INTO chatapp.calls (company_id, chatbot_id, call_sid, source, direction, status)"
                    " SELECT company_id, id, 'CA' || id, 'twilio', 'inbound', 'pending' FROM chatapp.chatbots"
                    " WHERE enabled_call"
                )
            _migrated[baseline] = name
        create_database(admin, copy, template=_migrated[baseline])
        try:
            with connect(server.url(copy)) as connection:
                yield connection
        finally:
            drop_database(admin, copy)


# For what has nothing to do with names.
one = pytest.mark.parametrize("db", ["documented"], indirect=True)


def settings(db: psycopg.Connection[Any]) -> Settings:
    return Settings(database_url=url(db), lock_wait_ms=2000)


def url(db: psycopg.Connection[Any]) -> str:
    return db.info.dsn


def everything(db: psycopg.Connection[Any]) -> list[Any]:
    """The version of every row."""
    query = " UNION ALL ".join(
        f"SELECT '{table}', count(*), md5(string_agg(id::text || xmin, ',' ORDER BY id)) FROM chatapp.{table}"
        for table in TABLES
    )
    return db.execute(query.encode()).fetchall()


def left(db: psycopg.Connection[Any]) -> int:
    row = db.execute("SELECT count(*) FROM callctl.load_test").fetchone()
    return int(row[0]) if row else -1


def run(db: psycopg.Connection[Any], workload: Workload = SHORT, **options: Any) -> LoadTest:
    return loadtest_run.load_test(settings(db), workload, **{"history": 30, "limit_ms": 60_000.0, **options})


def test_it_measures_every_query_and_leaves_nothing(db: psycopg.Connection[Any]) -> None:
    before = everything(db)
    seen: list[Any] = []

    def look() -> None:
        with connect(url(db)) as other:
            query = (
                "SELECT co.slug, co.deleted_at IS NOT NULL, count(*), count(DISTINCT c.status) > 1"
                " FROM callctl.load_test AS t JOIN chatapp.companies AS co ON co.id = t.company_id"
                " JOIN chatapp.calls AS c ON c.company_id = co.id GROUP BY 1, 2"
            )
            seen.append(other.execute(query.encode()).fetchall())
            report = verify.verify(other, Settings())
            seen.append({check.id for check in report.checks if not check.passed and not check.warns})

    looking = threading.Thread(target=look)

    def on_event(event: Event) -> None:
        if isinstance(event, LoadProgress) and looking.ident is None:
            looking.start()

    done = run(db, Workload(sessions=10, connections=3, seconds=2.4, calls=None, call_seconds=0.4), on_event=on_event)
    looking.join()
    assert done.passed, done
    # While it runs: a company of its own, in no list of companies; rows as the application writes them.
    ((slug, hidden, calls, several),), failing = seen
    assert (slug.startswith("callctl-loadtest-"), hidden, several) == (True, True, True)
    assert calls > 30
    assert failing == {"load-test-removed"}
    # Everything that a load test asks was asked, by sessions that shared connections.
    naming = read_naming(db, "chatapp")
    assert {each.query for each in done.queries} == {n for n, q in documented_queries(naming).items() if q.loaded}
    assert (done.sessions, done.connections, done.history) == (10, 3, 30)
    assert 10 <= done.calls_completed <= done.calls_started
    assert done.lines >= 20 * done.calls_completed
    assert done.samples > 0
    assert done.server is not None
    assert done.server.memory_mb > 1
    # And afterwards it is as if it had not been.
    assert everything(db) == before
    assert left(db) == 0
    action = actions(db, "loadtest")[0]
    assert action.detail["calls_removed"] == done.calls_started + 30
    assert verify.verify(db, Settings()).passed


@one
def test_a_number_of_calls_ends_it(db: psycopg.Connection[Any]) -> None:
    done = run(db, Workload(2, 2, 60.0, 3, 0.3), history=0)
    assert (done.calls_started, done.calls_completed, done.lines) == (3, 3, 60)
    assert done.seconds < 30


# ---- what is killed, and what is found of it -------------------------------------------------------------


def at_load(url: str, watch: psycopg.Connection[Any], *more: str) -> Any:
    """A callctl in the middle of its load."""
    process = processes.start(url, "loadtest", "--sessions", "3", "--duration", "60s", "--history", "30", *more)
    processes.until(
        lambda: watch.execute(
            "SELECT true FROM callctl.load_test AS t JOIN chatapp.calls AS c USING (company_id)"
            " WHERE c.status IN ('pending', 'ringing', 'in_progress')"
        ).fetchone(),
        "a call of the load test's",
    )
    return process


def test_what_a_killed_one_leaves_is_reported_and_removed(db: psycopg.Connection[Any]) -> None:
    before = everything(db)
    process = at_load(url(db), db)
    process.kill()
    processes.finish(process)
    processes.until(lambda: not processes.sessions(db, "callctl%", "%"), "its sessions gone")
    report = verify.verify(db, Settings(), fast=True)
    assert [check.id for check in report.checks if not check.passed and not check.warns] == ["load-test-removed"]
    # Somebody has made this one his own: it stays, and is named.
    db.execute(
        "INSERT INTO callctl.load_test (company_id, slug, client, callctl_version)"
        " SELECT id, 'callctl-loadtest-' || id, 'me@here', '0' FROM chatapp.companies WHERE slug = 'company-1'"
    )
    # And this one is gone already.
    db.execute(
        "INSERT INTO callctl.load_test (company_id, slug, client, callctl_version)"
        " VALUES (gen_random_uuid(), 'callctl-loadtest-1', 'me@here', '0')"
    )
    done = run(db, Workload(1, 1, 0.3, None, 0.2), history=0)
    assert sorted((each.kept is not None, each.calls > 30) for each in done.removed) == [
        (False, False),
        (False, True),
        (True, False),
    ]
    assert everything(db) == before
    assert left(db) == 1
    assert [each.kept for each in loadtest_run.clean(settings(db))] == [
        "its slug was changed since, so it may be a real company now"
    ]
    assert len(actions(db, "loadtest --clean")) == 2


@one
def test_ctrl_c_ends_it_reports_and_removes(db: psycopg.Connection[Any]) -> None:
    before = everything(db)
    process = at_load(url(db), db, "--output", "json")
    with pytest.raises(LockHeld, match="another load test is running"):
        run(db)
    with pytest.raises(LockHeld, match="another load test is running"):
        loadtest_run.clean(settings(db))
    with pytest.raises(LockHeld):
        migrate.down(Settings(database_url=url(db)), to=9)
    process.send_signal(signal.SIGINT)
    code, out, err = processes.finish(process)
    assert code == 130, err
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["interrupted"], last["passed"]) == ("load_tested", True, False)
    assert last["calls_started"] > 0
    assert "; the load test removed its rows [CALLCTL-INTERRUPTED]\ncallctl: hint: " in err
    assert "Traceback" not in err
    assert everything(db) == before
    assert left(db) == 0


@one
def test_a_connection_that_is_lost_ends_it(db: psycopg.Connection[Any]) -> None:
    before = everything(db)

    def end_one() -> None:
        processes.until(lambda: processes.sessions(db, "callctl loadtest", "%"), "a session of the load")
        time.sleep(0.3)
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'callctl loadtest' LIMIT 1"
        )

    killer = threading.Thread(target=end_one)
    killer.start()
    done = run(db, Workload(4, 4, 30.0, None, 0.4))
    killer.join()
    assert done.stopped is not None
    assert "the server ended a connection" in done.stopped
    assert not done.passed
    assert everything(db) == before
    assert left(db) == 0


@one
def test_waiting_for_a_lock_is_seen_and_counts(db: psycopg.Connection[Any]) -> None:
    def hold() -> None:
        with connect(url(db)) as other, other.transaction():
            other.execute("LOCK TABLE chatapp.call_transcripts IN SHARE MODE")
            time.sleep(0.5)

    holding = threading.Thread(target=hold)

    def look(event: Event) -> None:
        if isinstance(event, LoadProgress) and holding.ident is None:
            holding.start()

    done = run(db, Workload(4, 4, 2.0, None, 0.4), on_event=look, limit_ms=100.0)
    holding.join()
    assert [each.event for each in done.waits if each.type == "Lock" and each.ours] == ["relation"]
    assert max(each.longest_ms for each in done.waits) > 100
    lines = next(each for each in done.queries if each.query == "add_line")
    assert lines.over_limit
    assert not done.passed


@one
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_programs_ends_it_in_order(db: psycopg.Connection[Any], number: signal.Signals) -> None:
    """One more of either kind, as a terminal that closes sends them, does not stop the removal."""
    before = everything(db)
    process = at_load(url(db), db)
    process.send_signal(number)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    code, _, err = processes.finish(process)
    assert code == 130, err
    assert "; the load test removed its rows" in err
    assert everything(db) == before
    assert left(db) == 0


@one
def test_an_interrupt_in_its_first_moment_is_one(db: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """No load that sent nothing passes."""

    async def interrupted(_: Load) -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(1)

    monkeypatch.setattr(Load, "run", interrupted)
    done = run(db, SHORT)
    assert (done.interrupted, done.passed) == (True, False)
    assert left(db) == 0


@one
def test_it_is_called_by_its_name(db: psycopg.Connection[Any]) -> None:
    """No session of it looks like a rotation."""
    process = at_load(url(db), db)
    names = {
        row[0]
        for row in db.execute(
            "SELECT application_name FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'callctl%'"
        ).fetchall()
    }
    with pytest.raises(LockHeld, match=r"another callctl .*\(pid \d+, callctl loadtest"):
        migrate.down(Settings(database_url=url(db)), to=9)
    process.send_signal(signal.SIGINT)
    processes.finish(process)
    assert names == {f"callctl loadtest{more}" for more in ("", " lock", " rows", " watch")}


@pytest.mark.parametrize("to", [0, 4, 8, 9, 10, LAST])
def test_it_is_cleaned_in_every_state(db: psycopg.Connection[Any], to: int) -> None:
    """Killed, then the steps were taken back: down and verify name what is left, and --clean removes it."""
    platform = [table for table in TABLES if table not in ("integration_accounts", "calls", "call_transcripts")]

    def rows() -> list[Any]:
        query = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM chatapp.{table}" for table in platform)
        return db.execute(query.encode()).fetchall()

    before = rows()
    process = at_load(url(db), db)
    process.kill()
    processes.finish(process)
    processes.until(lambda: not processes.sessions(db, "callctl%", "%"), "its sessions gone")
    (company,) = db.execute("SELECT company_id::text FROM callctl.load_test").fetchone() or ("",)
    said: list[str] = []
    if to < LAST:
        migrate.down(settings(db), to=to, on_event=lambda event: said.append(getattr(event, "text", "")))
        assert [text for text in said if f"left company {company} in the platform's tables" in text]
        assert [text for text in said if "callctl loadtest --clean" in text]
    if to:
        failing = [check for check in verify.verify(db, Settings()).checks if not check.passed and not check.warns]
        assert [check.id for check in failing] == ["load-test-removed"]
        assert company in str(failing[0])
    (removed,) = loadtest_run.clean(settings(db))
    assert (removed.company_id, removed.kept) == (company, None)
    assert rows() == before
    assert left(db) == 0
    if to < LAST:
        archived = [name for name in ("calls", "integration_accounts") if _archived(db, name)]
        for name in archived:
            query = f"SELECT count(*) FROM callctl.{name} WHERE company_id = '{company}'"
            assert db.execute(query.encode()).fetchone() == (0,)
    migrate.up(settings(db))
    assert everything(db)
    assert verify.verify(db, Settings()).passed


def _archived(db: psycopg.Connection[Any], name: str) -> bool:
    return db.execute("SELECT to_regclass(%s)", (f"callctl.{name}",)).fetchone() != (None,)


# What somebody moves into its company, or makes part of it: a statement, the table that is named, and how many rows.
MOVED = {
    "a chatbot": ("UPDATE chatapp.chatbots SET company_id = {company} WHERE id = {chatbot}", "chatapp.chatbots"),
    "a chatbot of its name": (
        "UPDATE chatapp.chatbots SET company_id = {company}, name = 'callctl load test' WHERE id = {chatbot}",
        "chatapp.chatbots",
    ),
    "an end user": (
        "UPDATE chatapp.end_users SET company_id = {company} WHERE id = (SELECT min(id::text)::uuid"
        " FROM chatapp.end_users WHERE company_id <> {company})",
        "chatapp.end_users",
    ),
    "a user": (
        "UPDATE chatapp.users SET company_id = {company} WHERE id = (SELECT min(id::text)::uuid FROM chatapp.users)",
        "chatapp.users",
    ),
    "a call": (
        "UPDATE chatapp.calls SET company_id = {company} WHERE id = (SELECT id FROM chatapp.calls"
        " WHERE company_id <> {company} LIMIT 1)",
        "chatapp.calls",
    ),
    "a call through its chatbot": (
        "UPDATE chatapp.calls SET chatbot_id = (SELECT id FROM chatapp.chatbots WHERE company_id = {company})"
        " WHERE id = (SELECT id FROM chatapp.calls WHERE company_id <> {company} LIMIT 1)",
        "chatapp.calls",
    ),
    "an account": (
        "INSERT INTO chatapp.integration_accounts (company_id, account_type, account_name, credentials)"
        " VALUES ({company}, 'custom', 'callctl load test', '{{}}')",
        "chatapp.integration_accounts",
    ),
    "a message in its conversation": (
        "INSERT INTO chatapp.messages (conversation_id, role, content)"
        " SELECT id, 'user', 'x' FROM chatapp.conversations WHERE company_id = {company}",
        "chatapp.messages",
    ),
    "a row of another table": (
        "CREATE TABLE public.bills (id integer, company uuid REFERENCES chatapp.companies ON DELETE CASCADE);"
        "INSERT INTO public.bills VALUES (7, {company})",
        "public.bills",
    ),
}


@one
@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("what", MOVED)
def test_what_was_moved_into_its_company_is_named_and_stays(
    db: psycopg.Connection[Any], what: str, archived: bool
) -> None:
    statement, table = MOVED[what]
    rows = Rows(db, settings(db), read_naming(db, "chatapp"))
    rows.make(own := new())
    rows.history(own, 3)
    chatbot = db.execute(
        "SELECT id FROM chatapp.chatbots WHERE company_id <> %s ORDER BY id LIMIT 1", (own.company,)
    ).fetchone()
    assert chatbot is not None
    db.execute(statement.format(company=f"'{own.company}'", chatbot=f"'{chatbot[0]}'").encode())
    if archived:
        migrate.down(settings(db), to=8)
        table = table.replace("chatapp.calls", "callctl.calls").replace("chatapp.int", "callctl.int")
    before = db.execute("SELECT count(*) FROM chatapp.companies").fetchone()
    count = backups.rows(db, table)
    (kept,) = loadtest_run.clean(settings(db))
    assert f"1 row of {table} (id " in (kept.kept or "")
    assert backups.rows(db, table) == count
    assert db.execute("SELECT count(*) FROM chatapp.companies").fetchone() == before
    assert left(db) == 1


@one
def test_rows_that_a_trigger_adds_to_its_company_go_with_it(db: psycopg.Connection[Any]) -> None:
    """They are of the transaction that made it. What a trigger writes during the load is known from the trial."""
    db.execute(
        "CREATE TABLE public.plans (company_id uuid REFERENCES chatapp.companies ON DELETE CASCADE);"
        "CREATE FUNCTION public.plan() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO public.plans VALUES (CASE TG_TABLE_NAME WHEN ''companies'' THEN NEW.id"
        " ELSE (to_jsonb(NEW) ->> ''company_id'')::uuid END); RETURN NEW; END';"
        "CREATE TRIGGER plan AFTER INSERT ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION public.plan();"
    )
    rows = Rows(db, settings(db), read_naming(db, "chatapp"))
    rows.make(new())
    assert [each.kept for each in loadtest_run.clean(settings(db))] == [None]
    db.execute("CREATE TRIGGER plan AFTER INSERT ON chatapp.calls FOR EACH ROW EXECUTE FUNCTION public.plan()")
    run(db, Workload(1, 1, 0.3, None, 0.2), history=3)
    assert backups.rows(db, "public.plans") == 0
    assert left(db) == 0


@one
def test_a_company_that_is_not_on_record_is_named(db: psycopg.Connection[Any]) -> None:
    db.execute("UPDATE chatapp.companies SET slug = 'callctl-loadtest-' || id WHERE slug = 'company-1'")
    said: list[str] = []
    assert loadtest_run.clean(settings(db), on_event=lambda event: said.append(getattr(event, "text", ""))) == ()
    assert [text for text in said if "no record in callctl.load_test; it was not changed" in text]


# ---- what is refused, with nothing changed ---------------------------------------------------------------


def test_before_its_steps_and_behind_them(baseline: str) -> None:
    with connect(baseline) as db:
        for step, said in (
            (9, "calls is not there"),
            (10, "call_transcripts is not there"),
            (LAST, ""),
            (9, "is archived"),
        ):
            if said == "is archived":
                migrate.down(Settings(database_url=baseline), to=step)
            else:
                migrate.up(Settings(database_url=baseline), to=step)
            if said:
                with pytest.raises(Refused, match=said) as refused:
                    run(db)
                assert refused.value.hint == "run callctl migrate up first"
                with pytest.raises(Refused, match=said):
                    loadtest_run.preview(db, settings(db), SHORT, 10)


# What the platform may have, and what is said of it.
IN_THE_WAY = {
    "ALTER TABLE chatapp.end_users ADD COLUMN tenant_key text NOT NULL DEFAULT 'x';"
    "ALTER TABLE chatapp.end_users ALTER COLUMN tenant_key DROP DEFAULT":
        'null value in column "tenant_key"',
    "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER keep BEFORE DELETE ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION public.keep()":
        "still exists after its deletion",
    "CREATE TABLE public.bills (company_id uuid REFERENCES chatapp.companies);"
    "CREATE FUNCTION public.bill() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO public.bills VALUES (NEW.id); RETURN NEW; END';"
    "CREATE TRIGGER bill AFTER INSERT ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION public.bill()":
        "its rows cannot be removed: update or delete on table \"companies\" violates foreign key",
    "ALTER TABLE chatapp.calls DROP COLUMN sentiment_score": 'column "sentiment_score"',
}  # fmt: skip


def test_a_platform_that_does_not_let_it_in_or_out(db: psycopg.Connection[Any]) -> None:
    for ddl, said in IN_THE_WAY.items():
        db.execute("BEGIN")
        rows = Rows(db, settings(db), read_naming(db, "chatapp"))
        queries = {n: q for n, q in documented_queries(read_naming(db, "chatapp")).items() if q.loaded}
        db.execute("SAVEPOINT before")
        rows.try_out(queries)  # as it is, it may
        db.execute(ddl.encode())
        before = everything(db)
        with pytest.raises(Refused, match=said) as refused:
            rows.try_out(queries)
        assert refused.value.hint
        assert everything(db) == before
        db.execute("ROLLBACK")


@one
def test_a_refusal_beforehand_changes_nothing(db: psycopg.Connection[Any]) -> None:
    db.execute(
        "CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'no companies today'; END$$;"
        "CREATE TRIGGER no BEFORE INSERT ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION public.no()"
    )
    before = everything(db)
    with pytest.raises(Refused, match="its rows cannot be made: no companies today"):
        run(db)
    assert everything(db) == before
    assert (left(db), actions(db, "loadtest")) == (0, ())


@one
def test_not_enough_connections(db: psycopg.Connection[Any]) -> None:
    name = db.info.dbname
    db.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 6'.encode())
    before = everything(db)
    with pytest.raises(Refused, match="4 sessions need 5 more connections") as refused:
        run(db)
    assert "the connection limit of this database" in refused.value.message
    assert "--connections 2" in str(refused.value.hint)
    assert everything(db) == before
    found = loadtest_run.preview(db, settings(db), SHORT, 10)
    assert (found.fits, found.room) == (False, 5)
    assert run(db, Workload(4, 2, 0.4, None, 0.2), history=0).passed


@one
def test_a_migration_at_work_holds_it_off(db: psycopg.Connection[Any]) -> None:
    with lock.MigrationLock(settings(db)), pytest.raises(LockHeld, match="another callctl is running"):
        run(db)


@one
def test_a_preview_shows_and_writes_nothing(db: psycopg.Connection[Any]) -> None:
    Rows(db, settings(db), read_naming(db, "chatapp")).make(own := new())
    before = everything(db)
    found = loadtest_run.preview(db, settings(db), SHORT, 10)
    assert [(each.company_id, each.removable) for each in found.leftovers] == [(own.company, True)]
    assert found.fits
    assert all(query.sql for query in found.queries)
    assert everything(db) == before
