"""The questions of preflight about roles, sessions and the server; and what preflight itself takes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
from tests.conftest import connect
from tests.support.db.preflight_asking import SETTINGS, Connection, ask, objects, of
from tests.support.steps import ALL

from callctl.database.store import Unreadable, schema_sql
from callctl.errors import ConnectionFailed, Refused
from callctl.files import read_sql
from callctl.migration import migrate
from callctl.migration.checks import preflight as module
from callctl.migration.checks.findings import Finding, parse_question
from callctl.migration.checks.preflight import preflight, unreadable
from callctl.statements.naming import read_naming

_numbers = itertools.count(1)


def asked_alone(
    monkeypatch: pytest.MonkeyPatch, connection: Connection, id: str, *changes: tuple[str, str]
) -> list[Finding]:
    """One question, its text changed where a test cannot wait, or cannot be two servers."""
    name = f"preflight/{id}.sql"
    text = read_sql(name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    monkeypatch.setattr(module, "questions", lambda: (parse_question(text, name),))
    return of(ask(connection), id)


@pytest.fixture
def role(documented: str) -> str:
    """A role without any privilege; it goes with the server of this run."""
    name = f"preflight_{os.getpid()}_{next(_numbers)}"
    with connect(documented) as connection:
        connection.execute(f"CREATE ROLE {name}")
    return name


@contextmanager
def acting_as(url: str, role: str) -> Iterator[Connection]:
    with connect(url) as connection:
        connection.execute(f"SET ROLE {role}")
        yield connection


# --- roles ---------------------------------------------------------------------------------------------


def test_a_role_without_privileges(documented: str, role: str) -> None:
    with acting_as(documented, role) as connection:
        findings = ask(connection)
    assert {"chatapp.users", "chatapp.chatbots", "chatapp.chatbot_packages", "chatapp.ai_models"} == objects(
        of(findings, "ownership", "blocks")
    )
    blocked = of(findings, "privileges", "blocks")
    assert {"chatapp", "chatapp.companies", "chatapp.conversations"} <= objects(blocked)
    assert any(f"role {role} has no CREATE on schema chatapp" in finding.what for finding in blocked)
    assert any("has no CREATE on database" in finding.what for finding in blocked)
    # What may not be read is unknown, never well.
    for id in ("type-values", "company-settings", "chatbot-settings", "avatar-lengths", "package-rule"):
        assert {finding.level for finding in of(findings, id)} == {"unknown"}, id
        assert all("permission denied" in finding.what for finding in of(findings, id))


def test_the_enum_of_another_role_blocks_its_drop(deployed: str, documented: str, role: str) -> None:
    with connect(deployed) as connection:
        connection.execute(f"GRANT ALL ON SCHEMA chatapp TO {role}")
        connection.execute(f"ALTER TABLE chatapp.chatbots OWNER TO {role}")
        connection.execute(f"SET ROLE {role}")
        blocked = objects(of(ask(connection), "ownership", "blocks"))
    assert "chatbot_type" in blocked
    assert "chatapp.chatbots" not in blocked


def owning(connection: Connection, role: str) -> None:
    """Give a role everything but CREATE on schema public, where the deployed platform keeps its types."""
    connection.execute(
        f"""DO $$ DECLARE o record; BEGIN
            FOR o IN SELECT oid::regclass AS name FROM pg_class
                     WHERE relnamespace = 'chatapp'::regnamespace AND relkind = 'r'
            LOOP EXECUTE format('ALTER TABLE %s OWNER TO {role}', o.name); END LOOP;
            FOR o IN SELECT oid::regtype AS name FROM pg_type WHERE typtype = 'e'
            LOOP EXECUTE format('ALTER TYPE %s OWNER TO {role}', o.name); END LOOP;
            EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database());
            ALTER SCHEMA chatapp OWNER TO {role};
            REVOKE CREATE ON SCHEMA public FROM PUBLIC; END $$""".encode()
    )


def test_a_type_that_down_could_not_make_again_blocks_up(deployed: str, role: str) -> None:
    with connect(deployed) as connection:
        owning(connection, role)
        connection.execute(f"SET ROLE {role}")
        (finding,) = of(ask(connection), "privileges", "blocks")
        assert "no CREATE on schema public, where migrate down would make the enum chatbot_type again" in finding.what
        assert finding.do == f"GRANT CREATE ON SCHEMA public TO {role};"
        connection.execute("RESET ROLE")
        # Something else uses the type: it stays, and is not made again.
        connection.execute("CREATE TABLE public.others (kind public.chatbot_type)")
        connection.execute(f"SET ROLE {role}")
        assert not of(ask(connection), "privileges", "blocks")
        connection.execute("RESET ROLE; DROP TABLE public.others")
        connection.execute(finding.do)
        connection.execute(f"SET ROLE {role}")
        assert not of(ask(connection), "privileges", "blocks")


def test_a_type_of_another_role_needs_its_owner_to_create_too(deployed: str, role: str) -> None:
    """ALTER TYPE ... OWNER TO asks for CREATE of the new owner."""
    other = f"{role}_types"
    with connect(deployed) as connection:
        owning(connection, role)
        connection.execute(f"CREATE ROLE {other}; GRANT {other} TO {role}; GRANT CREATE ON SCHEMA public TO {role}")
        connection.execute(f"ALTER TYPE public.chatbot_type OWNER TO {other}")
        connection.execute(f"SET ROLE {role}")
        (finding,) = of(ask(connection), "privileges", "blocks")
    assert finding.do == f"GRANT CREATE ON SCHEMA public TO {other};"


def test_down_asks_for_the_schema_of_the_type_that_it_makes(deployed: str, role: str) -> None:
    settings = replace(SETTINGS, database_url=deployed)
    with connect(deployed) as connection:
        owning(connection, role)
        connection.execute(f"ALTER ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}")
        role_settings = replace(settings, database_url=deployed.replace("user=postgres", f"user={role}"))
        migrate.up(role_settings)
        connection.execute(f"REVOKE CREATE ON SCHEMA public FROM {role}")
        with pytest.raises(Refused, match="no CREATE on schema public, where migrate down makes the enum") as refused:
            migrate.down(role_settings, to=0)
        assert refused.value.hint == f"GRANT CREATE ON SCHEMA public TO {role};"
        connection.execute(refused.value.hint)
        migrate.down(role_settings, to=0)


@pytest.mark.parametrize("superuser", [False, True])
def test_a_store_of_another_role_blocks_and_says_which_grant(documented: str, role: str, superuser: bool) -> None:
    owner = f"{role}_owner"
    with connect(documented) as connection:
        owning(connection, role)
        connection.execute(f"CREATE ROLE {owner} {'SUPERUSER' if superuser else ''}")
        connection.execute(f"GRANT CREATE ON DATABASE {connection.info.dbname} TO {owner}; SET ROLE {owner}")
        connection.execute(schema_sql())
        connection.execute("INSERT INTO callctl.installation (platform_schema) VALUES ('chatapp')")
        connection.execute(
            f"GRANT ALL ON SCHEMA callctl TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA callctl TO {role}"
        )
        connection.execute(f"SET ROLE {role}")
        (finding,) = of(ask(connection), "store", "blocks")
        assert finding.what == f"schema callctl belongs to role {owner}, and role {role} is not one of its members"
        connection.execute("RESET ROLE")
        if superuser:
            connection.execute(finding.do.partition(": ")[2].encode())
        else:
            assert finding.do == f"GRANT {owner} TO {role};"
            connection.execute(finding.do)
        connection.execute(f"SET ROLE {role}")
        assert not of(ask(connection), "store", "blocks")
        connection.execute(schema_sql())


def test_a_store_that_the_role_may_not_read_is_a_finding(documented: str, role: str) -> None:
    """Which steps are applied is not known then, and nothing is begun."""
    role_settings = replace(SETTINGS, database_url=documented.replace("user=postgres", f"user={role}"))
    with connect(documented) as connection:
        owning(connection, role)
        connection.execute(
            f"CREATE ROLE {role}_owner; GRANT CREATE ON DATABASE {connection.info.dbname} TO {role}_owner"
        )
        connection.execute(f"ALTER ROLE {role} LOGIN; SET ROLE {role}_owner")
        connection.execute(schema_sql())
        connection.execute("RESET ROLE; GRANT CREATE ON SCHEMA public TO " + role)
        message = f"role {role} may not read schema callctl, which role {role}_owner owns"
        for run in (migrate.up, partial(migrate.down, to=0)):
            with pytest.raises(Unreadable, match=message) as refused:
                run(role_settings)
            assert refused.value.hint == f"connect as {role}_owner, or run: GRANT {role}_owner TO {role};"
        finding = unreadable(refused.value)
        assert (finding.id, finding.level, finding.what, finding.do) == ("store", "blocks", message, refused.value.hint)
        connection.execute(f"GRANT USAGE ON SCHEMA callctl TO {role}")
        with pytest.raises(Unreadable, match=message):
            migrate.up(role_settings)
        connection.execute(f"GRANT {role}_owner TO {role}")
        migrate.up(role_settings)


def test_connections_that_role_and_database_allow(documented: str, role: str) -> None:
    name = documented.partition("/test")[2].partition("?")[0]
    role_settings = replace(SETTINGS, database_url=documented.replace("user=postgres", f"user={role}"))
    with connect(documented) as admin:
        owning(admin, role)
        admin.execute(f"GRANT CREATE ON SCHEMA public TO {role}; ALTER ROLE {role} LOGIN CONNECTION LIMIT 1")
        with connect(role_settings.database_url or "") as connection:
            (finding,) = of(ask(connection), "connections")
            assert (finding.level, finding.objects) == ("blocks", (role,))
            assert "is 1, its other sessions: 0; callctl migrate opens up to 3 connections" in finding.what
            assert finding.do == f"ALTER ROLE {role} CONNECTION LIMIT 3;"
        with pytest.raises(ConnectionFailed, match="too many connections for role") as failed:
            migrate.up(role_settings)
        assert f'ALTER ROLE "{role}" CONNECTION LIMIT -1' in (failed.value.hint or "")
        assert admin.execute("SELECT to_regnamespace('callctl')").fetchone() == (None,)
        admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT 2")
        with connect(role_settings.database_url or "") as connection:
            assert [answer.level for answer in of(ask(connection), "connections")] == ["warns"]
            admin.execute(finding.do)
            assert [answer.level for answer in of(ask(connection), "connections")] == ["ok"]
            admin.execute(f"ALTER DATABASE test{name} CONNECTION LIMIT 2")
            (finding,) = of(ask(connection), "connections")
            # The administrator's session counts.
            assert (finding.level, finding.objects) == ("blocks", (f"test{name}",))
            admin.execute(finding.do)
            assert [answer.level for answer in of(ask(connection), "connections")] == ["ok"]


def test_little_memory_and_no_temporary_files_are_no_hindrance(documented: str, role: str) -> None:
    """The catalog's own answers need more than 64kB; callctl's sessions sort in memory what they can."""
    role_settings = replace(SETTINGS, database_url=documented.replace("user=postgres", f"user={role}"))
    with connect(documented) as admin:
        owning(admin, role)
        admin.execute(f"GRANT CREATE ON SCHEMA public TO {role}; ALTER ROLE {role} LOGIN")
        admin.execute(f"ALTER ROLE {role} SET temp_file_limit = 0; ALTER ROLE {role} SET work_mem = '64kB'")
        migrate.up(role_settings)
        migrate.down(role_settings, to=0)
        admin.execute("UPDATE pg_class SET reltuples = 1e6 WHERE relname = 'chatbots'")
        with pytest.raises(Refused, match="the list of the rows to write of") as refused:
            migrate.up(role_settings)
        assert (refused.value.hint or "").startswith(f"ALTER ROLE {role} IN DATABASE test")


def test_other_sessions_that_may_not_be_seen_are_unknown(documented: str, role: str) -> None:
    with connect(documented) as other, acting_as(documented, role) as connection:
        other.execute("BEGIN; LOCK TABLE chatapp.chatbots IN ACCESS SHARE MODE")
        findings = ask(connection)
        other.execute("ROLLBACK")
    for id in ("long-transactions", "idle-in-transaction", "lock-holders"):
        assert {finding.level for finding in of(findings, id)} == {"unknown"}, id


@pytest.mark.applied(defer_drops=True)
def test_a_session_that_named_the_type_column_last(deployed: str, role: str) -> None:
    """Old code that is still at work is likely to show; the column goes by its name in this database."""
    with (
        connect(deployed, application_name="old app") as old,
        connect(deployed) as new,
        connect(deployed) as connection,
    ):
        old.execute("SELECT Chatbot_Type FROM chatapp.chatbots LIMIT 1")
        new.execute("SELECT enabled_chat FROM chatapp.chatbots LIMIT 1")
        findings = of(ask(connection, (5, 6)), "type-column-in-use", "warns")
        assert objects(findings) == {str(old.info.backend_pid)}
        assert any("(old app, postgres) named the type column" in finding.what for finding in findings)
        new.execute("SELECT 1")
        assert not of(ask(connection, (1, 7)), "type-column-in-use")
        connection.execute(f"GRANT USAGE ON SCHEMA chatapp, callctl TO {role}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA callctl TO {role}")
        connection.execute(f"SET ROLE {role}")
        hidden = of(ask(connection, (5, 6)), "type-column-in-use", "unknown")
        assert any(f"role {role} may not see" in finding.what for finding in hidden)


def test_row_security_that_hides_rows(documented: str, role: str) -> None:
    with connect(documented) as connection:
        connection.execute("ALTER TABLE chatapp.companies ENABLE ROW LEVEL SECURITY")
        findings = ask(connection)
        assert not of(findings, "row-security", "blocks")
        assert objects(of(findings, "row-security", "warns")) == {"chatapp.companies"}
        connection.execute(f"SET ROLE {role}")
        assert objects(of(ask(connection), "row-security", "blocks")) == {"chatapp.companies"}
        connection.execute("RESET ROLE")
        connection.execute(f"GRANT ALL ON SCHEMA chatapp TO {role}")
        connection.execute(f"ALTER TABLE chatapp.companies OWNER TO {role}")
        connection.execute(f"SET ROLE {role}")
        assert not of(ask(connection), "row-security", "blocks")
        connection.execute("ALTER TABLE chatapp.companies FORCE ROW LEVEL SECURITY")
        assert of(ask(connection), "row-security", "blocks")


def test_a_trigger_that_reads_rows_hidden_from_this_role(documented: str, role: str) -> None:
    with connect(documented) as connection:
        connection.execute(
            "CREATE TABLE chatapp.audit (id int);"
            "CREATE FUNCTION chatapp.looks() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM FROM chatapp.audit; RETURN NEW; END $$;"
            "CREATE TRIGGER looks BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION chatapp.looks();"
            "ALTER TABLE chatapp.audit ENABLE ROW LEVEL SECURITY"
        )
        assert not any("looks" in name for name in objects(of(ask(connection), "row-security", "warns")))
        connection.execute(f"SET ROLE {role}")
        (named,) = [finding for finding in of(ask(connection), "row-security", "warns") if "looks" in finding.what]
        assert f"runs chatapp.looks() as role {role}, and names chatapp.audit" in named.what
        connection.execute("RESET ROLE; ALTER FUNCTION chatapp.looks() SECURITY DEFINER")
        connection.execute(f"SET ROLE {role}")
        assert not any("looks" in name for name in objects(of(ask(connection), "row-security", "warns")))


def test_default_privileges(documented: str, role: str) -> None:
    with connect(documented) as connection:
        connection.execute(f"GRANT SELECT, INSERT ON chatapp.chatbots TO {role}")
        (finding,) = of(ask(connection), "default-privileges")
        assert (finding.level, finding.objects) == ("warns", (role,))
        assert "INSERT, SELECT" in finding.what
        given = (
            f"GRANT INSERT, SELECT ON chatapp.integration_accounts, chatapp.calls, chatapp.call_transcripts TO {role}"
        )
        assert finding.what.endswith(f"nothing: {given}")
        connection.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA chatapp GRANT SELECT ON TABLES TO {role}")
        (finding,) = of(ask(connection), "default-privileges")
        assert "only SELECT: GRANT INSERT ON" in finding.what
        connection.execute(f"ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO {role}")
        assert [answer.level for answer in of(ask(connection), "default-privileges")] == ["ok"]


def test_column_grants(documented: str, role: str) -> None:
    with connect(documented) as connection:
        connection.execute(f"GRANT SELECT (id, chatbottype) ON chatapp.chatbots TO {role}")
        (finding,) = of(ask(connection), "column-grants")
    assert finding.level == "warns"
    assert f"role {role} has SELECT on single columns of chatapp.chatbots: id, chatbottype" == finding.what


# --- sessions ------------------------------------------------------------------------------------------


def test_long_and_idle_transactions(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(documented, application_name="report") as other, connect(documented) as connection:
        other.execute("BEGIN")
        other.execute("SELECT 'a secret literal'")
        assert [answer.level for answer in of(ask(connection), "long-transactions")] == ["ok"]
        no_wait = (("'60 seconds'", "'0 seconds'"), ("'5 seconds'", "'0 seconds'"))
        for id, change in zip(("long-transactions", "idle-in-transaction"), no_wait, strict=True):
            (finding,) = asked_alone(monkeypatch, connection, id, change)
            assert finding.level == "warns"
            assert finding.objects == (str(other.info.backend_pid),)
            assert "report" in finding.what
            assert "idle in transaction" in finding.what
            assert "secret" not in finding.what
        assert "last command SELECT" in asked_alone(monkeypatch, connection, "long-transactions", no_wait[0])[0].what


def test_lock_holders(documented: str) -> None:
    with connect(documented, application_name="nightly") as other, connect(documented) as connection:
        other.execute("BEGIN; LOCK TABLE chatapp.users IN SHARE UPDATE EXCLUSIVE MODE")
        (finding,) = of(ask(connection), "lock-holders")
        assert (finding.level, finding.objects) == ("warns", (str(other.info.backend_pid),))
        assert "nightly" in finding.what
        assert "ShareUpdateExclusiveLock on chatapp.users" in finding.what
        other.execute("ROLLBACK; BEGIN; LOCK TABLE chatapp.users IN ACCESS SHARE MODE")
        assert [answer.level for answer in of(ask(connection), "lock-holders")] == ["ok"]
        # A dump holds only ACCESS SHARE, but for a long time: it is named at once.
        other.execute("SET application_name = 'pg_dump'")
        (finding,) = of(ask(connection), "lock-holders")
        assert finding.level == "warns"
        assert "pg_dump" in finding.what


def test_prepared_transactions(documented: str) -> None:
    name = f"preflight {os.getpid()} {next(_numbers)}"
    with connect(documented) as other, connect(documented) as connection:
        other.execute("BEGIN; CREATE TABLE public.mine ()")
        other.execute(f"PREPARE TRANSACTION '{name}'")
        try:
            (finding,) = of(ask(connection), "prepared-transactions")
        finally:
            other.execute(f"ROLLBACK PREPARED '{name}'")
        assert (finding.level, finding.objects) == ("warns", (name,))
        other.execute("BEGIN; UPDATE chatapp.companies SET name = name")
        other.execute(f"PREPARE TRANSACTION '{name}'")
        try:
            (finding,) = of(ask(connection), "prepared-transactions")
        finally:
            other.execute(f"ROLLBACK PREPARED '{name}'")
        assert finding.level == "blocks"
        assert "holds locks on chatapp.companies" in finding.what
        assert [answer.level for answer in of(ask(connection), "prepared-transactions")] == ["ok"]


def test_session_settings(documented: str) -> None:
    with connect(documented, options="-c session_replication_role=replica") as connection:
        assert objects(of(ask(connection), "session-settings", "blocks")) == {"session_replication_role"}
    # Timeouts are no matter: callctl switches them off for its own sessions.
    with connect(documented, options="-c idle_in_transaction_session_timeout=5000") as connection:
        assert [finding.level for finding in of(ask(connection), "session-settings")] == ["ok"]


def test_read_only(documented: str) -> None:
    with connect(documented, options="-c default_transaction_read_only=on") as connection:
        (finding,) = of(ask(connection), "read-only", "blocks")
    with connect(documented) as connection:
        # In a new session, which the same setting makes read only.
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on".encode())
    with connect(documented) as connection:
        connection.execute(finding.do.encode())
    with connect(documented) as connection:
        assert not of(ask(connection), "read-only", "blocks")


# --- the server ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "name", "level"),
    [
        ("110022", "11.22", "blocks"),
        ("120000", "12.0", "ok"),
        ("180000", "18beta1", "warns"),
        ("190001", "19.1", "warns"),
    ],
)
def test_server_version(documented: str, number: str, name: str, level: str) -> None:
    with connect(documented) as connection:
        pretend(
            connection,
            f"current_setting(text) RETURNS text LANGUAGE sql AS "
            f"$$ SELECT CASE $1 WHEN 'server_version_num' THEN '{number}' ELSE '{name}' END $$",
        )
        (finding,) = of(ask(connection), "server-version")
    assert finding.level == level
    assert name in finding.what


def test_uuid_function_elsewhere_and_nowhere(documented: str) -> None:
    with connect(documented) as connection:
        if connection.info.server_version < 130000:
            connection.execute("CREATE SCHEMA ext; ALTER EXTENSION pgcrypto SET SCHEMA ext")
        else:
            connection.execute("SET allow_system_table_mods = on")
            connection.execute("UPDATE pg_proc SET proname = 'gone' WHERE proname = 'gen_random_uuid'")
            connection.execute(
                "CREATE SCHEMA ext; CREATE FUNCTION ext.gen_random_uuid() RETURNS uuid "
                "LANGUAGE sql AS 'SELECT NULL::uuid'"
            )
        (finding,) = of(ask(connection), "uuid-function", "blocks")
        assert "ext.gen_random_uuid(), but not on the search_path" in finding.what
        connection.execute("SET search_path = public, ext")
        assert of(ask(connection), "uuid-function", "ok")
        connection.execute("DROP SCHEMA ext CASCADE")
        (finding,) = of(ask(connection), "uuid-function", "blocks")
        assert "no function gen_random_uuid()" in finding.what


def test_standby(documented: str) -> None:
    with connect(documented) as connection:
        pretend(connection, "pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        assert of(ask(connection), "standby", "blocks")


def pretend(connection: Connection, function: str) -> None:
    """Let a function of the server say something else in this session."""
    connection.execute(f"CREATE SCHEMA pretence; CREATE FUNCTION pretence.{function}".encode())
    connection.execute("SET search_path = pretence, pg_catalog, public")


def test_replication_lag(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    view = "CREATE OR REPLACE VIEW public.replicas AS SELECT 1 AS pid, 'far'::text AS application_name, "
    source = ("pg_catalog.pg_stat_replication", "public.replicas")
    with connect(documented) as connection:
        connection.execute(
            view.encode() + b"'streaming'::text AS state, '0 s'::interval AS replay_lag, '0/0'::pg_lsn AS replay_lsn"
        )
        connection.execute("SELECT pg_switch_wal()")
        # The server has just written its first 16 MB segments: let the limit be lower than what it has.
        limit = ("64 * 1024 * 1024", "1024")
        (finding,) = asked_alone(monkeypatch, connection, "replication-lag", source, limit)
        assert finding.level == "warns"
        assert "replica far (streaming) is" in finding.what
        connection.execute(
            view.encode() + b"NULL::text AS state, NULL::interval AS replay_lag, NULL::pg_lsn AS replay_lsn"
        )
        (finding,) = asked_alone(monkeypatch, connection, "replication-lag", source)
        assert finding.level == "unknown"


def test_a_synchronous_standby(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of standbys that a commit waits for, as it can be written; what the role may not see is unknown."""
    view = "CREATE OR REPLACE VIEW public.replicas AS SELECT 1 AS pid, {}::text AS sync_state"
    source = ("pg_catalog.pg_stat_replication", "public.replicas")
    waiting = ("NOT IN ('off', 'local')", "= 'off'")  # the tests' own server waits for no disk
    with connect(documented) as connection:
        assert [answer.level for answer in of(ask(connection), "synchronous-standby")] == ["ok"]
        for names, state, level in (
            ("gone", "'async'", "blocks"),
            ("gone", "'sync'", "ok"),
            ("FIRST 1 (a, b)", "'sync'", "ok"),
            ("first 2 (a, b)", "'sync'", "blocks"),
            ("2 (a, b)", "'sync'", "blocks"),
            ("ANY 1 (a, b)", "'quorum'", "ok"),
            ("*", "'sync'", "ok"),
            ("*", "NULL", "unknown"),
        ):
            connection.execute(view.format(state).encode())
            wanted = ("current_setting('synchronous_standby_names')", f"'{names}'")
            (finding,) = asked_alone(monkeypatch, connection, "synchronous-standby", source, wanted, waiting)
            assert finding.level == level, (names, state)
        connection.execute(view.format("'async'").encode())
        wanted = ("current_setting('synchronous_standby_names')", "'x'")
        (finding,) = asked_alone(monkeypatch, connection, "synchronous-standby", source, wanted, waiting)
        assert (
            finding.what
            == "every commit waits for 1 standby(s) of synchronous_standby_names (x), and 0 of them are connected"
        )
        assert "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();" in finding.do


def test_replication_slots(documented: str) -> None:
    slot = f"preflight_{os.getpid()}"
    with connect(documented) as connection:
        connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", (slot,))
        try:
            findings = of(ask(connection), "replication-slots", "warns")
        finally:
            connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    assert slot in objects(findings)


# --- what preflight takes ------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["up", "down"])
def test_only_access_share_and_nothing_written(baseline: str, direction: str) -> None:
    """In one transaction of ours everything preflight locks stays locked, for the other session to see."""
    with connect(baseline) as connection, connect(baseline) as other:
        connection.execute(schema_sql())
        naming = read_naming(connection, "chatapp")
        with connection.transaction():
            findings = preflight(connection, SETTINGS, naming, ALL, direction)  # type: ignore[arg-type]
            locks = other.execute(
                "SELECT DISTINCT mode FROM pg_locks WHERE pid = %s AND locktype <> 'virtualxid'",
                (connection.info.backend_pid,),
            ).fetchall()
            written = connection.execute("SELECT txid_current_if_assigned()").fetchone()
    assert findings
    assert locks == [("AccessShareLock",)]
    assert written == (None,)


def test_a_question_that_writes_is_refused_by_the_server(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    header = "-- finding: f\n-- ok: o\n-- why: w\n-- do: d\n\n"
    writes = parse_question(header + "SELECT 'ok' AS level, nextval('public.s')::text AS what;", "f.sql")
    monkeypatch.setattr(module, "questions", lambda: (writes,))
    with connect(documented) as connection:
        connection.execute("CREATE SEQUENCE public.s")
        (finding,) = of(ask(connection), "f")
    assert finding.level == "unknown"
    assert "SQLSTATE 25006" in finding.what


def test_a_locked_table_is_unknown_and_does_not_hang(documented: str) -> None:
    with connect(documented) as other, connect(documented) as connection:
        naming = read_naming(connection, "chatapp")
        other.execute("BEGIN; LOCK TABLE chatapp.chatbots IN ACCESS EXCLUSIVE MODE")
        findings = preflight(connection, replace(SETTINGS, lock_timeout_ms=50), naming, ALL)
        other.execute("ROLLBACK")
    for id in ("chatbot-settings", "package-rule"):
        assert {finding.level for finding in of(findings, id)} == {"unknown"}, id
        assert "waited 500 ms" in of(findings, id)[0].what
    # One of its two queries reads another table, and is answered.
    assert {"unknown", "ok"} <= {finding.level for finding in of(findings, "type-values")}
    assert of(findings, "lock-holders", "warns")
    assert of(findings, "ownership", "ok")


def test_the_session_keeps_its_own_timeouts(documented: str) -> None:
    with connect(documented) as connection:
        before = connection.execute("SHOW statement_timeout").fetchone()
        ask(connection)
        assert connection.execute("SHOW statement_timeout").fetchone() == before
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("off",)


def test_a_lost_server_is_an_error_with_a_hint(database: Callable[[str], str]) -> None:
    url = database("documented")
    with connect(url) as other, connect(url) as connection:
        naming = read_naming(connection, "chatapp")
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        with pytest.raises(ConnectionFailed) as caught:
            preflight(connection, SETTINGS, naming, ALL)
    assert caught.value.hint
