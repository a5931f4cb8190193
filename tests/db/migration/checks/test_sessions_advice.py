"""What is said of settings of sessions is done in a new session, which is subject to them, and verify passes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from tests.conftest import connect

from callctl.config.settings import Settings
from callctl.migration.checks.verify import Report, verify
from callctl.sandbox.server import Server, start_server
from callctl.statements.script import load_script

READ_ONLY = "default_transaction_read_only"
CHECKS = ("sessions-checked", "sessions-write")


def looked(url: str) -> Report:
    """The catalog's part of verify, in a session of its own."""
    with closing(connect(url)) as db:
        return verify(db, Settings(database_url=url), fast=True)


def advice(url: str) -> list[str]:
    """What the failing checks say to do, in their order."""
    failing = [check for check in looked(url).checks if not check.passed and not check.warns]
    assert {check.id for check in failing} <= set(CHECKS)
    return [row[check.columns.index("statement")] for check in failing for row in check.sample]


@pytest.mark.parametrize(
    "of", ["DATABASE {database}", "ROLE ALL", "ROLE CURRENT_USER", "ROLE ALL IN DATABASE {database}"]
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_session_that_is_read_only_itself_can_run_it(applied_documented: str, of: str, at_once: bool) -> None:
    """Pasted line by line into one session, or each as one message: psql -c, a driver."""
    url = applied_documented
    with closing(connect(url)) as db:
        of = of.format(database=db.info.dbname)
        db.execute(f"ALTER {of} SET {READ_ONLY} = yes; ALTER {of} SET session_replication_role = replica".encode())
        try:
            given = advice(url)
            assert len(given) == 2
            for text in given:
                with closing(connect(url)) as fixing:
                    for statement in [text] if at_once else text.rstrip(";").split("; "):
                        fixing.execute(statement.encode())
            assert looked(url).passed
        finally:
            db.execute(f"SET {READ_ONLY} = off; SET transaction_read_only = off; ALTER {of} RESET ALL".encode())


def awaited(url: str, name: str, value: str) -> None:
    """Wait until a new session has the value, as after a reload."""
    for _ in range(600):
        with closing(connect(url)) as db:
            db.execute("SELECT pg_reload_conf()")
            if db.execute("SELECT current_setting(%s)", (name,)).fetchone() == (value,):
                return
        time.sleep(0.1)
    raise AssertionError(f"{name} is not {value}")


@pytest.fixture
def reader(applied_documented: str) -> Iterator[str]:
    """The URL of a role that may read everything, but not where settings come from."""
    with closing(connect(applied_documented)) as db:
        db.execute(
            "CREATE ROLE verify_reader LOGIN; GRANT USAGE ON SCHEMA chatapp, callctl TO verify_reader;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA chatapp, callctl TO verify_reader"
        )
        yield psycopg.conninfo.make_conninfo(applied_documented, user="verify_reader")
        db.execute("DROP OWNED BY verify_reader; DROP ROLE verify_reader")


@pytest.mark.parametrize(
    ("name", "wrong", "right"), [("session_replication_role", "replica", "origin"), (READ_ONLY, "on", "off")]
)
def test_a_setting_of_a_file_is_named_by_its_line(
    server: Server, applied_documented: str, reader: str, name: str, wrong: str, right: str
) -> None:
    url = applied_documented
    file = server.directory / "data" / "postgresql.conf"
    before = file.read_text()
    lines = [*before.splitlines(), f"{name} = {wrong}"]
    try:
        file.write_text("\n".join(lines) + "\n")
        awaited(url, name, wrong)
        (text,) = advice(url)
        assert text == f"remove line {len(lines)} of {file}, then SELECT pg_reload_conf();"
        (hidden,) = advice(reader)
        assert hidden.startswith("as a superuser: SELECT sourcefile, sourceline FROM pg_settings WHERE name = ")
        with closing(connect(url)) as db:
            statement = hidden.removeprefix("as a superuser: ").partition(";")[0]
            assert db.execute(statement.encode()).fetchone() == (str(file), len(lines))
    finally:
        file.write_text(before)
        awaited(url, name, right)
    assert looked(url).passed


def test_a_setting_of_alter_system_is_taken_back_as_it_was_made(server: Server, applied_documented: str) -> None:
    url = applied_documented
    with closing(connect(url)) as db:
        try:
            db.execute("ALTER SYSTEM SET session_replication_role = replica")
            awaited(url, "session_replication_role", "replica")
            assert advice(url) == ["ALTER SYSTEM RESET session_replication_role; SELECT pg_reload_conf();"]
        finally:
            db.execute("ALTER SYSTEM RESET session_replication_role")
            awaited(url, "session_replication_role", "origin")
    assert looked(url).passed


def test_a_setting_of_the_command_line_is_named_as_one() -> None:
    """ALTER SYSTEM and the files can take nothing of it back."""
    settings = {"session_replication_role": "replica", READ_ONLY: "on"}
    message = "start the server without {} on its command line (-c, or pg_ctl -o)"
    with start_server(settings=settings) as other:
        with closing(connect(other.url(), options=f"-c {READ_ONLY}=off")) as db:
            db.execute("CREATE SCHEMA chatapp; CREATE SCHEMA callctl")
        with closing(connect(other.url())) as db:
            checked, write = (
                db.execute(statement.sql.encode()) for statement in load_script("verify/sessions.sql").statements
            )
            assert [row[2] for row in checked] == [message.format("session_replication_role=replica")]
            assert [row[2] for row in write] == [message.format(f"{READ_ONLY}=on")]
