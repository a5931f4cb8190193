"""What a hostile role, an odd database and an application that never stops writing do to a run."""

from __future__ import annotations

import re
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from tests.conftest import connect as plain
from tests.conftest import skip_forbidden
from tests.faults.conftest import MakeChain
from tests.support.db import snapshot
from tests.support.faults.proxy import Fault, Session

from callctl.config.settings import Settings
from callctl.database.connection import connect
from callctl.errors import CallctlError, Interrupted, Refused, StepFailed
from callctl.events import BatchFinished, Event, StatementStarted, ignore
from callctl.migration import migrate
from callctl.migration.checks.preflight import preflight
from callctl.migration.checks.verify import verify
from callctl.migration.run import script as runner
from callctl.sandbox.lifecycle import drop_database, fill
from callctl.sandbox.server import Server

# It is about settings and hands that are the same on each major.
pytestmark = pytest.mark.one_server

SETTINGS = [
    "standard_conforming_strings = off",
    "client_encoding = 'LATIN1'",
    "default_transaction_isolation = 'serializable'",
    "search_path = ''",
    "\"DateStyle\" = 'German, DMY'",
]
BOT = "(SELECT id FROM chatapp.chatbots ORDER BY id LIMIT 1)"
USER = "(SELECT id FROM chatapp.users ORDER BY id LIMIT 1)"
FIRST = "(SELECT min(slug) FROM chatapp.companies)"


def settings_of(url: str) -> Settings:
    return Settings(database_url=url, batch_size=60)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.split(" ")[0].strip('"'))
def test_settings_of_the_database_change_nothing(deployed: str, setting: str) -> None:
    settings = settings_of(deployed)
    with plain(deployed) as connection:
        skip_forbidden(connection, setting)
        before = snapshot.take(connection)
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET {setting}")
        version = connection.info.server_version
    if version < 130000 and setting.startswith("search_path"):
        # On 12 gen_random_uuid() is pgcrypto's, and nowhere to be found: that is said before anything changes.
        with pytest.raises(Refused, match="uuid-function: "):
            migrate.up(settings)
        return
    migrate.up(settings)
    with connect(settings) as connection:
        assert verify(connection, settings).passed
    migrate.down(settings, to=0)
    with plain(deployed) as connection:
        connection.execute(f"ALTER DATABASE {name} RESET ALL")
    with plain(deployed) as connection:
        snapshot.assert_same(before, snapshot.take(connection), snapshot.touched_columns(before))


def test_timeouts_of_the_application_do_not_reach_a_session_of_ours(documented: str) -> None:
    names = ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"]
    with plain(documented) as connection:
        for name in names:
            if connection.execute("SELECT FROM pg_settings WHERE name = %s", (name,)).rowcount:
                connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {name} = '9s'")
    with connect(settings_of(documented)) as connection:
        rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (names,)).fetchall()
        assert {setting for _, setting in rows} == {"0"}, rows


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_databases_in_other_encodings(server: Server, encoding: str) -> None:
    name = f"encoded_{encoding.lower()}"
    with plain(server.url("postgres")) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'").format(
                sql.Identifier(name), encoding
            )
        )
    try:
        fill(server.url(name), "documented", rows=40)
        settings = settings_of(server.url(name))
        with plain(server.url(name), client_encoding="UTF8") as connection:
            connection.execute("UPDATE chatapp.chatbots SET name = 'Zoë'")
            before = snapshot.take(connection)
        migrate.up(settings)
        with connect(settings) as connection:
            assert verify(connection, settings).passed
        migrate.down(settings, to=0)
        with plain(server.url(name), client_encoding="UTF8") as connection:
            snapshot.assert_same(before, snapshot.take(connection), snapshot.touched_columns(before))
    finally:
        with plain(server.url("postgres")) as admin:
            drop_database(admin, name)


@pytest.mark.parametrize("listed", [runner.MOST_REMAINING, 0], ids=["listed", "more-than-are-listed"])
def test_settings_written_behind_the_batches_of_step_12_do_not_hold_it_up(
    documented: str, listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MOST_REMAINING", listed)
    settings = settings_of(documented)
    migrate.up(settings, to=11)
    with plain(documented) as application:
        application.execute(
            f"UPDATE chatapp.chatbots SET package_id = NULL, enabled_call = false, enabled_chat = true WHERE id = {BOT}"
        )
        application.execute(f"UPDATE chatapp.companies SET settings = '{{}}' WHERE slug = {FIRST}")

        def write(event: Event) -> None:
            if isinstance(event, BatchFinished) and event.step == 12:
                application.execute(f"UPDATE chatapp.companies SET settings = '{{}}' WHERE slug = {FIRST}")
                application.execute(
                    f"UPDATE chatapp.chatbots SET enabled_call = true, settings = NULL WHERE id = {BOT}"
                )

        migrate.up(settings, on_event=write)
    with connect(settings) as connection:
        assert verify(connection, settings).passed
    migrate.down(settings, to=11)
    with plain(documented) as application:
        bot = application.execute(f"SELECT settings FROM chatapp.chatbots WHERE id = {BOT}").fetchone()
        assert bot == (None,)
        company = application.execute(f"SELECT settings FROM chatapp.companies WHERE slug = {FIRST}").fetchone()
        assert company == ({},)


class WritesBehind:
    """Takes a company's settings away once, when the last transaction of step 12 has found no company without them."""

    def __init__(self, url: str) -> None:
        self.wrote = 0
        self._url = url

    def statement(self, session: Session, text: str) -> Fault | None:
        return None

    def answered(self, session: Session, text: str, failed: bool) -> None:
        if not self.wrote and "chatapp.companies" in text and text.endswith(f"LIMIT {runner.MOST_REMAINING + 1}"):
            with plain(self._url) as application:
                query = f"UPDATE chatapp.companies SET settings = '{{}}' WHERE slug = {FIRST}"
                self.wrote = application.execute(query.encode()).rowcount

    def cancelled(self) -> None: ...


def test_what_is_written_between_a_repeated_statement_and_its_check_does_not_fail_the_step(chain: MakeChain) -> None:
    """Both see the rows of one moment."""
    database = chain("documented")
    behind = WritesBehind(database.server.url(database.database))
    database.proxy.watch(behind)
    ended = database.nursery.run(database.command("up"), database.proxy.url(database.database))
    database.proxy.watch(None)
    assert behind.wrote == 1
    assert ended.code == 0, ended.errors


@pytest.mark.applied(11)
def test_who_holds_a_table_that_a_repeated_statement_has_to_read_is_named(documented: str) -> None:
    settings = replace(settings_of(documented), lock_timeout_ms=10, lock_wait_ms=100)
    lines: list[int] = []
    with psycopg.connect(documented, application_name="holder 7") as holder:

        def hold(event: Event) -> None:
            if isinstance(event, StatementStarted):
                if event.line in lines:  # the last transaction repeats the batched statement
                    holder.execute("LOCK TABLE chatapp.companies IN ACCESS EXCLUSIVE MODE")
                lines.append(event.line)

        with pytest.raises(StepFailed) as failed:
            migrate.up(settings, to=12, on_event=hold)
    assert re.search(r"steps/12_company_settings/up\.sql:\d+: no lock on companies in 0\.1 s", failed.value.message)
    assert "holder 7" in failed.value.message
    migrate.up(settings)


@pytest.mark.applied
def test_an_address_written_behind_the_batches_is_cut_by_the_same_or_the_next_run(documented: str) -> None:
    settings = settings_of(documented)
    long = "https://example.com/" + "a" * 800
    with plain(documented) as application:
        wrote: list[int] = []

        def write(event: Event) -> None:
            if isinstance(event, StatementStarted) and event.step == 1:
                wrote.append(event.line)
                application.execute(f"UPDATE chatapp.users SET avatar_url = '{long}' WHERE id = {USER}")

        with pytest.raises(StepFailed, match="avatars-fit"):
            migrate.down(settings, to=0, on_event=write)  # nothing was too long when preflight looked
        assert wrote
        migrate.down(settings, to=0, truncate_avatars=True)
        cut = application.execute(f"SELECT length(avatar_url) FROM chatapp.users WHERE id = {USER}").fetchone()
        assert cut == (500,)
        migrate.up(settings, to=1)
        assert application.execute(f"SELECT avatar_url FROM chatapp.users WHERE id = {USER}").fetchone() == (long,)

        started: list[int] = []

        def write_again(event: Event) -> None:
            if isinstance(event, StatementStarted) and event.step == 1:
                if (
                    event.line in started and "again" not in written
                ):  # the last transaction repeats the batched statement
                    written.append("again")
                    application.execute(f"UPDATE chatapp.users SET avatar_url = '{long}' WHERE id = {USER}")
                started.append(event.line)

        written: list[str] = []
        migrate.down(settings, to=0, truncate_avatars=True, on_event=write_again)
        assert written
        cut = application.execute(f"SELECT length(avatar_url) FROM chatapp.users WHERE id = {USER}").fetchone()
        assert cut == (500,)


@pytest.mark.parametrize(
    "theirs",
    ["CREATE TABLE callctl.history (a integer)", "CREATE TABLE callctl.definition (a integer)"],
    ids=["history", "definition"],
)
def test_somebody_elses_schema_of_our_name_is_refused_by_name(documented: str, theirs: str) -> None:
    settings = settings_of(documented)
    with plain(documented) as connection:
        connection.execute("CREATE SCHEMA callctl")
        connection.execute(theirs)
    with connect(settings) as connection, pytest.raises(Refused, match="was not made by callctl"):
        migrate.status(connection, settings)
    with pytest.raises(Refused, match="was not made by callctl"):
        migrate.up(settings)


@pytest.mark.parametrize("step", [4, 9], ids=["in-a-batch", "in-a-transaction"])
def test_a_session_that_the_server_ended_is_told_to_try_again(documented: str, step: int) -> None:
    settings = settings_of(documented)

    def end(event: Event) -> None:
        if isinstance(event, StatementStarted) and event.step == step:
            with psycopg.connect(documented, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'callctl migrate' AND datname = current_database()"
                )

    with pytest.raises(CallctlError) as failed:
        migrate.up(settings, on_event=end)
    assert "the server ended the connection" in f"{failed.value.message} {failed.value.hint}"
    assert "run the same command again" in (failed.value.hint or "")
    migrate.up(settings)


def test_a_step_begun_by_another_version_of_its_file_stays_half_done_until_it_is_done(documented: str) -> None:
    settings = settings_of(documented)

    def stop(event: Event) -> None:
        if isinstance(event, StatementStarted) and event.step == 6 and "callctl.inheritance_breach" in event.summary:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        migrate.up(settings, on_event=stop)
    with connect(settings) as connection:
        # The type column is gone: whoever takes the step for not begun cannot bring it back.
        right = connection.execute("UPDATE callctl.checkpoint SET sha256 = reverse(sha256) RETURNING 1").rowcount
        assert right
        notices: list[str] = []
        with pytest.raises(StepFailed, match="partly applied"):
            migrate.up(settings, on_event=lambda event: notices.append(str(event)))
        assert any("another version of its file" in notice for notice in notices)
        assert migrate.status(connection, settings).steps[5].half_done == "up"
        connection.execute("UPDATE callctl.checkpoint SET sha256 = reverse(sha256)")
    migrate.up(settings)  # the version that began it ends it
    migrate.down(settings, to=0)


@pytest.mark.parametrize("table", ["chatbots", "chatbot_packages"])
@pytest.mark.applied
def test_rows_saved_whole_while_the_type_column_is_being_filled_keep_their_flags(documented: str, table: str) -> None:
    """An object mapper writes every column back, changed or not; the type column says 'chat' of every row by then."""
    settings = settings_of(documented)
    chat, call = ("enabled_chat", "enabled_call") if table == "chatbots" else ("enable_chat", "enable_call")
    step = 6 if table == "chatbots" else 5
    with plain(documented) as application:
        flags = f"SELECT id, {chat}, {call} FROM chatapp.{table} ORDER BY id"
        before = application.execute(flags).fetchall()
        assert any(row[2] and not row[1] for row in before)
        application.execute("SET lock_timeout = '100ms'")
        saved: list[int] = []

        def save_whole(event: Event) -> None:
            if isinstance(event, StatementStarted | BatchFinished) and event.step == step:
                try:
                    query = f"UPDATE chatapp.{table} SET {chat} = {chat}, {call} = {call}"
                    saved.append(application.execute(query).rowcount)
                    query = f"UPDATE chatapp.{table} SET chatbottype = chatbottype"
                    saved.append(application.execute(query).rowcount)
                except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedColumn):
                    pass

        migrate.down(settings, to=step - 1, on_event=save_whole)
        assert len(saved) > 2
        assert application.execute(flags).fetchall() == before
        wrong = f"SELECT id FROM chatapp.{table} WHERE (chatbottype = 'call') <> ({call} AND NOT {chat})"
        assert application.execute(wrong).fetchall() == []


def test_rows_saved_whole_while_the_flags_are_being_filled_keep_their_type(documented: str) -> None:
    settings = settings_of(documented)
    with plain(documented) as application:
        types = "SELECT id, chatbottype FROM chatapp.chatbots ORDER BY id"
        before = application.execute(types).fetchall()
        migrate.up(settings, to=3)
        application.execute("UPDATE chatapp.chatbots SET chatbottype = chatbottype")
        application.execute("UPDATE chatapp.chatbots SET enabled_chat = enabled_chat, enabled_call = enabled_call")
        migrate.up(settings, to=4)
        assert application.execute(types).fetchall() == before
        rows = application.execute("SELECT chatbottype, enabled_chat, enabled_call FROM chatapp.chatbots").fetchall()
        assert all((chat, call) == (kind != "call", kind == "call") for kind, chat, call in rows)
        assert application.execute("SELECT FROM callctl.saved_value WHERE field = 'capabilities'").rowcount == 0


def test_an_index_sqlglot_cannot_read_that_a_killed_down_left_invalid_is_built_again(documented: str) -> None:
    settings = settings_of(documented)
    with plain(documented) as connection:
        if connection.info.server_version < 150000:
            unusual = (
                'CREATE UNIQUE INDEX "Odd Idx" ON chatapp.chatbots (chatbottype DESC NULLS LAST, id) INCLUDE (name)'
            )
        else:
            unusual = 'CREATE UNIQUE INDEX "Odd Idx" ON chatapp.chatbots (chatbottype, id) NULLS NOT DISTINCT'
        connection.execute(unusual)
        before = snapshot.take(connection)
        migrate.up(settings)

        def kill(event: Event) -> None:
            if isinstance(event, StatementStarted) and event.step == 6 and "kind = 'index'" in event.summary:
                connection.execute(unusual)
                connection.execute(
                    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chatapp.\"Odd Idx\"'::regclass"
                )
                raise KeyboardInterrupt

        killed = False
        while True:
            try:
                migrate.down(settings, to=0, on_event=ignore if killed else kill)
            except Interrupted:
                killed = True
            else:
                break
        assert killed
        snapshot.assert_same(before, snapshot.take(connection), snapshot.touched_columns(before))


@pytest.mark.parametrize(("table", "step"), [("chatbots", 3), ("chatbot_packages", 2), ("ai_models", 7)])
def test_a_down_that_saves_rows_is_blocked_where_row_security_hides_some(
    documented: str, table: str, step: int
) -> None:
    settings = settings_of(documented)
    migrate.up(settings, to=step)
    with plain(documented) as connection:
        connection.execute("DROP ROLE IF EXISTS sees_little")
        connection.execute("CREATE ROLE sees_little")
        connection.execute(f"ALTER TABLE chatapp.{table} ENABLE ROW LEVEL SECURITY")
        connection.execute("GRANT USAGE ON SCHEMA chatapp, callctl TO sees_little")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA chatapp, callctl TO sees_little")
        try:
            connection.execute("SET ROLE sees_little")
            naming = migrate.status(connection, settings).naming
            found = preflight(connection, settings, naming, [step], direction="down")
            assert [finding.objects for finding in found if finding.id == "row-security" and finding.level == "blocks"]
        finally:
            connection.execute("RESET ROLE")
            connection.execute("DROP OWNED BY sees_little")
            connection.execute("DROP ROLE sees_little")


@pytest.mark.parametrize(
    ("vandalism", "found_by"),
    [
        ("DROP TABLE chatapp.integration_accounts CASCADE", "applied-tables"),
        ("ALTER TABLE chatapp.calls SET SCHEMA public", "applied-tables"),
        ("ALTER TABLE chatapp.chatbots RENAME COLUMN settings TO options", "expected-columns"),
        ("ALTER TABLE chatapp.chatbots RENAME TO bots", "expected-tables"),
        ("ALTER TABLE chatapp.companies RENAME TO firms", "expected-tables"),
    ],
)
@pytest.mark.applied
def test_what_somebody_took_away_stops_down_before_it_begins(documented: str, vandalism: str, found_by: str) -> None:
    settings = settings_of(documented)
    with connect(settings) as connection:
        connection.execute(vandalism.encode())
        before = snapshot.take(connection)
        with pytest.raises(Refused) as refused:
            migrate.down(settings, to=0)
        assert f"{found_by}: " in refused.value.message
        snapshot.assert_same(before, snapshot.take(connection))
        assert migrate.status(connection, settings).pending == ()
