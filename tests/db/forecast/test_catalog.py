"""The facts that the outlook goes by: what is counted, what is estimated, what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from tests.conftest import connect

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.forecast import catalog as facts
from callctl.forecast.catalog import Catalog, Name, read_catalog
from callctl.forecast.outlook import outlook
from callctl.migration import migrate, planning

USERS = Name("chatapp", "users")
COPIED = Name("chatapp", "copied")


def read(connection: psycopg.Connection[Any]) -> Catalog:
    with database.read_only(connection):
        return read_catalog(connection, "chatapp")


def copy(connection: psycopg.Connection[Any]) -> None:
    """A table as a restore leaves it: rows, and no statistics."""
    connection.execute("CREATE TABLE chatapp.copied (LIKE chatapp.users) WITH (autovacuum_enabled = off)")
    connection.execute("INSERT INTO chatapp.copied SELECT * FROM chatapp.users")


def rows_of(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_rows_come_from_the_statistics(documented: str) -> None:
    with connect(documented) as connection:
        connection.execute("ANALYZE chatapp.users")
        users = read(connection).relations[USERS]
        assert (users.rows, users.counted) == (rows_of(connection, "chatapp.users"), False)
    assert users.size > 0


def test_a_table_without_statistics_is_counted(documented: str) -> None:
    with connect(documented) as connection:
        copy(connection)
        copied = read(connection).relations[COPIED]
        assert (copied.rows, copied.counted) == (rows_of(connection, "chatapp.copied"), True)


def test_a_large_one_is_not_known(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "MOST_COUNTED", 10)
    with connect(documented) as connection:
        copy(connection)
        copied = read(connection).relations[COPIED]
    assert (copied.rows, copied.counted) == (None, False)


def test_the_time_of_a_table_that_is_not_known_is_not_known(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "MOST_COUNTED", 0)
    settings = Settings(database_url=documented)
    with connect(documented) as connection:
        # Before PostgreSQL 14 a table that was never analyzed has no page counted, and not -1 rows.
        number = -1 if connection.info.server_version >= 140000 else 0
        connection.execute(
            "UPDATE pg_class SET reltuples = %s, relpages = 0 WHERE oid = 'chatapp.chatbots'::regclass", (number,)
        )
        expected = outlook(connection, settings, planning.plan(connection, settings, planning.Wish("up")))
    assert expected.seconds is None
    assert expected.longest is not None
    assert {step.number for step in expected.steps if step.seconds is None} >= {4, 6, 12}


def test_nothing_of_the_steps_is_not_known(baseline: str) -> None:
    """Up, and down from there."""
    settings = Settings(database_url=baseline)
    with connect(baseline) as connection:
        for wish in (planning.Wish("up"), planning.Wish("down")):
            expected = outlook(connection, settings, planning.plan(connection, settings, wish))
            unknown = [why for step in expected.steps for line in step.lines() for why in line.effects.unknown]
            assert unknown == []
            assert expected.seconds is not None
            if wish.direction == "up":
                migrate.up(settings)


def test_a_plan_locks_nothing_that_another_session_waits_for(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url=documented)
    modes: set[str] = set()
    read_only = database.read_only
    with connect(documented) as connection, connect(documented) as other:
        pid = connection.info.backend_pid

        @contextmanager
        def watched(reading: psycopg.Connection[Any]) -> Iterator[None]:
            with read_only(reading):
                yield
                query = "SELECT DISTINCT mode FROM pg_locks WHERE pid = %s AND locktype = 'relation'"
                modes.update(mode for (mode,) in other.execute(query, (pid,)).fetchall())

        monkeypatch.setattr(database, "read_only", watched)
        outlook(connection, settings, planning.plan(connection, settings, planning.Wish("up")))
    assert modes == {"AccessShareLock"}


def test_nothing_but_a_type_is_sent_to_ask_for_one(documented: str) -> None:
    with connect(documented) as connection, database.read_only(connection):
        catalog = read_catalog(connection, "chatapp")
        assert catalog.type_of("timestamp(3) with time zone") is not None
        assert catalog.type_of("varchar(10)[]") is not None
        assert catalog.type_of("integer), pg_advisory_lock(4711), (1") is None
        row = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"
        ).fetchone()
    assert row == (0,)
