"""Doctor: a line for each thing, which says what is missing and what to do; no error of a part ends it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.conftest import connect as connect_to
from tests.support.db import accounts

from callctl.config.settings import Settings
from callctl.database import connection as connections
from callctl.database import programs, store
from callctl.database.connection import connect
from callctl.doctor.examination import Examined, _pooler, clock, examine, room
from callctl.errors import Code, ConfigError

ROLE = "callctl_test_doctor"
IDS = ["server", "pooler", "role", "store", "clock", "pg_dump", "pg_restore", "psql", "disk", "temporary files", "keys"]
NOW = datetime(2026, 1, 31, 4, tzinfo=UTC)


def examined(settings: Settings) -> tuple[Examined, ...]:
    return examine(settings, lambda: connect(settings))


def of(id: str, parts: tuple[Examined, ...]) -> list[Examined]:
    return [part for part in parts if part.id == id]


def test_a_healthy_database(documented: str) -> None:
    parts = examined(Settings(database_url=documented))
    assert [part.id for part in parts] == IDS
    assert {part.id for part in parts if part.level != "ok"} <= {"disk", "temporary files"}
    with connect_to(documented) as connection:
        version = connection.info.parameter_status("server_version")
        store.create(connection, "chatapp")
    assert version
    assert of("server", parts)[0].what.startswith(f"PostgreSQL {version.split()[0]};")
    assert of("store", parts)[0].what == "callctl has not written here yet"
    assert of("store", examined(Settings(database_url=documented)))[0].what == "schema callctl can be read"


def test_a_server_that_is_not_there() -> None:
    parts = examined(Settings(database_url="postgresql://me:s3cret@127.0.0.1:1/platform"))
    assert [part.id for part in parts] == IDS
    assert [part.level for part in parts][:5] == ["fails", "unknown", "unknown", "unknown", "unknown"]
    assert "not checked: the server was not reached" in of("pooler", parts)[0].what
    assert parts[0].do
    assert "s3cret" not in repr(parts)


@pytest.fixture
def role(documented: str) -> Iterator[Settings]:
    """As a role that may connect, and no more."""
    with connect_to(documented) as connection:
        connection.execute(f"CREATE ROLE {ROLE} LOGIN".encode())
        yield Settings(database_url=documented.replace("user=postgres", f"user={ROLE}"))
        connection.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}".encode())


def test_each_right_that_is_missing_is_a_line_and_its_fix_gives_it(role: Settings, documented: str) -> None:
    lines = of("role", examined(role))
    assert [line.level for line in lines] == ["fails", "warns", "warns"]
    assert f"role {ROLE} may not use schema chatapp (needed by every command)" in lines[0].what
    assert " tables in schema chatapp (needed by backup)" in lines[1].what
    assert "may not see the sessions of other roles" in lines[2].what
    with connect_to(documented) as connection:
        for line in lines:
            connection.execute((line.do or "").encode())
    assert [line.level for line in of("role", examined(role))] == ["ok"]


def test_row_level_security_that_hides_rows(role: Settings, documented: str) -> None:
    with connect_to(documented) as connection:
        connection.execute(
            f"GRANT pg_monitor TO {ROLE}; GRANT USAGE ON SCHEMA chatapp TO {ROLE};"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA chatapp TO {ROLE};"
            "ALTER TABLE chatapp.users ENABLE ROW LEVEL SECURITY".encode()
        )
        (line,) = of("role", examined(role))
        assert line.level == "warns"
        assert "row-level security hides rows of chatapp.users" in line.what
        assert line.do
        connection.execute(line.do.partition("superuser run ")[2].encode())
    assert [line.level for line in of("role", examined(role))] == ["ok"]


def test_a_schema_that_is_not_there_and_a_store_that_cannot_be_read(role: Settings, documented: str) -> None:
    lines = of("role", examined(replace(role, schema="Nope")))
    assert lines[0].level == "fails"
    assert 'schema "Nope" does not exist' in lines[0].what
    with connect_to(documented) as connection:
        store.create(connection, "chatapp")
    (line,) = of("store", examined(role))
    assert line.level == "fails"
    assert "may not read schema callctl" in line.what
    (line,) = of("store", examined(Settings(database_url=documented, schema="other")))
    assert "belongs to the migration of schema" in line.what


def test_a_pooler_that_shares_sessions(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url=documented)
    for kind, level in (("none", "ok"), ("own", "ok"), ("shared", "fails"), ("one", "fails")):
        monkeypatch.setattr(connections, "sessions", lambda *_, kind=kind: kind)
        with connect_to(documented) as connection:
            assert _pooler(connection, settings, 1).level == level


def test_a_program_that_is_missing(documented: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALLCTL_PG_BIN", str(tmp_path))
    for url in (documented, "postgresql://127.0.0.1:1/platform"):
        for name in ("pg_dump", "pg_restore", "psql"):
            (line,) = of(name, examined(Settings(database_url=url)))
            assert line.level == "warns"
            assert line.do
            assert " 0 or later" not in line.what


def test_a_program_without_a_server_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = programs.Program(Path("/usr/bin/psql"), "18.6", 18, "/usr/bin", {})
    monkeypatch.setattr(programs, "find_program", lambda *_: found)
    (line,) = of("psql", examined(Settings(database_url="postgresql://127.0.0.1:1/platform")))
    assert (line.level, line.what) == ("unknown", "18.6 (/usr/bin); not compared: the server was not reached")


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [
        (0, "ok", "at most 3.0 s"),
        (2, "ok", "at most 3.0 s"),
        (-2, "ok", "at most 3.0 s"),
        (61, "warns", "60 s ahead of the clock here"),
        (-3600, "warns", "3,600 s behind the clock here"),
    ],
)
def test_the_clocks(seconds: int, level: str, words: str) -> None:
    line = clock(NOW, NOW + timedelta(seconds=seconds), NOW + timedelta(seconds=1))
    assert line.level == level
    assert words in line.what


def test_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert room("disk", tmp_path, 1, "backup").level == "ok"
    assert "may need 1,048,576.0 GiB" in room("disk", tmp_path, 2**50, "backup").what
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert room("disk", tmp_path, 1, "backup").what == f"{tmp_path} is not writable; backup writes there"


def test_the_keys(documented: str, tmp_path: Path) -> None:
    accounts.key_file(tmp_path, "k1")
    settings = accounts.settings_of(documented, tmp_path, "k1")
    (line,) = of("keys", examined(settings))
    assert line.level == "ok"
    assert "k1 is primary" in line.what
    (tmp_path / "k1").write_text("too short\n")
    (line,) = of("keys", examined(settings))
    assert line.level == "fails"
    assert "too short" not in repr(line)
    assert line.do


def test_a_bug_of_callctls_own_is_no_line(documented: str) -> None:
    def broken() -> None:
        raise ConfigError(Code.NO_DATABASE, "no database given", hint="give --database URL")

    parts = examine(Settings(database_url=documented), broken)  # type: ignore[arg-type]
    assert (parts[0].level, parts[0].what, parts[0].do) == ("fails", "no database given", "give --database URL")
