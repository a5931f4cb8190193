"""Rows that leave callctl's tables while its functions cannot tell why: nothing is lost, none counts as rightful."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import connect
from tests.db.test_records import with_voices

from callctl.config.settings import Settings
from callctl.database import store
from callctl.events import Event, Notice
from callctl.migration import migrate
from callctl.migration.checks.verify import verify

Connection = psycopg.Connection[Any]

_numbers = itertools.count(1)
SAVED = "SELECT s::text FROM callctl.saved_value AS s WHERE superseded_at IS NULL ORDER BY id"


@pytest.fixture
def db(documented: str) -> Iterator[Connection]:
    """A migrated database whose schema callctl belongs to a role without privileges beyond reading the platform."""
    with_voices(documented)
    role = f"migrator_{os.getpid()}_{next(_numbers)}"
    with connect(documented, prepare_threshold=None) as connection:
        give_away(connection, role)
        yield connection
        connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def give_away(connection: Connection, role: str) -> None:
    name = sql.Identifier(role)
    connection.execute(
        sql.SQL(
            "CREATE ROLE {0}; GRANT USAGE ON SCHEMA chatapp TO {0};"
            " GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA chatapp TO {0}; ALTER SCHEMA callctl OWNER TO {0}"
        ).format(name)
    )
    for kind, each in connection.execute(
        "SELECT 'TABLE', c.oid::regclass::text FROM pg_class AS c"
        " WHERE c.relnamespace = 'callctl'::regnamespace AND c.relkind = 'r' UNION ALL"
        " SELECT 'ROUTINE', p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'callctl'::regnamespace"
    ).fetchall():
        connection.execute(sql.SQL("ALTER {} {} OWNER TO {}").format(sql.SQL(kind), sql.SQL(each), name))


def failing(connection: Connection) -> set[str]:
    report = verify(connection, Settings())
    return {each.id for each in report.checks if not each.passed and not each.warns}


def settings_of(connection: Connection) -> Settings:
    return Settings(database_url=connection.info.dsn)


# How it comes that callctl's functions do not see the platform's rows, and what ends it.
UNSEEN = {
    "row security": (
        "ALTER TABLE chatapp.{0} ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE chatapp.{0} DISABLE ROW LEVEL SECURITY",
    ),
    "no right to read": (
        "REVOKE SELECT ON chatapp.{0} FROM {1}",
        "GRANT SELECT ON chatapp.{0} TO {1}",
    ),
    "no right on the schema": ("REVOKE USAGE ON SCHEMA chatapp FROM {1}", "GRANT USAGE ON SCHEMA chatapp TO {1}"),
}


def as_sql(template: str, table: str, role: str) -> sql.Composed:
    return sql.SQL(template).format(sql.SQL(table), sql.Identifier(role))


@pytest.mark.parametrize("why", UNSEEN)
def test_not_seen_is_not_gone(db: Connection, why: str) -> None:
    """Deletes by a foreign key and by hand are told apart once the rows are seen again."""
    (owner,) = db.execute("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'callctl'").fetchone() or (
        "",
    )
    hidden, seen = (as_sql(each, "chatbots", owner) for each in UNSEEN[why])
    bots = [
        key
        for (key,) in db.execute(
            "SELECT chatbot_id FROM callctl.saved_value AS s WHERE field = 'chatbot_type' AND chatbot_id IS NOT NULL"
            " AND NOT EXISTS (SELECT FROM chatapp.conversations AS c WHERE c.chatbot_id = s.chatbot_id)"
            " ORDER BY id LIMIT 4"
        )
    ]
    gone, by_hand, moved, stays = bots
    db.execute(hidden)
    db.execute("DELETE FROM chatapp.chatbots WHERE id = %s", (gone,))
    db.execute("UPDATE chatapp.chatbots SET id = gen_random_uuid() WHERE id = %s", (moved,))
    wanted = db.execute(SAVED).fetchall()
    assert db.execute("DELETE FROM callctl.saved_value WHERE chatbot_id = %s", (by_hand,)).rowcount > 0
    assert failing(db) >= {"removed-rows-settled"}
    assert "records-unchanged" not in failing(db)
    db.execute(seen)
    migrate.up(settings_of(db))
    assert db.execute(SAVED).fetchall() == wanted
    assert store.changed_records(db) == ()
    assert failing(db) == set()
    # What another hand makes of a row is no key that follows.
    db.execute(hidden)
    db.execute("UPDATE callctl.saved_value SET value = '\"x\"' WHERE chatbot_id = %s", (stays,))
    db.execute(seen)
    migrate.up(settings_of(db))
    assert failing(db) == {"records-unchanged"}


def test_a_truncated_table_takes_nothing_of_a_hidden_one_along(db: Connection) -> None:
    wanted = db.execute(SAVED).fetchall()
    for table in ("companies", "chatbots", "chatbot_packages"):
        db.execute(f"ALTER TABLE chatapp.{table} ENABLE ROW LEVEL SECURITY".encode())
    db.execute("TRUNCATE chatapp.users CASCADE")
    assert "removed-rows-settled" in failing(db)
    migrate.up(settings_of(db))  # as a superuser, to whom no policy applies
    assert db.execute(SAVED).fetchall() == wanted
    assert failing(db) == set()


@pytest.mark.parametrize("disabled", ["spare_after", "spare_before", "ALL"])
def test_truncated_behind_a_disabled_trigger(db: Connection, disabled: str) -> None:
    """Enabled again afterwards, so that the catalog says nothing."""
    wanted = db.execute(SAVED).fetchall()
    db.execute(f"ALTER TABLE callctl.saved_value DISABLE TRIGGER {disabled}".encode())
    db.execute("TRUNCATE callctl.saved_value")
    for (name,) in db.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'callctl.saved_value'::regclass AND NOT tgisinternal"
    ).fetchall():
        db.execute(sql.SQL("ALTER TABLE callctl.saved_value ENABLE ALWAYS TRIGGER {}").format(sql.Identifier(name)))
    db.execute("ALTER TABLE callctl.saved_value ENABLE TRIGGER ALL") if disabled == "ALL" else None
    found = failing(db)
    if disabled == "spare_after":
        assert found == {"removed-rows-settled"}
        events: list[Event] = []
        migrate.up(settings_of(db), on_event=events.append)
        assert any("are back, because" in event.text for event in events if isinstance(event, Notice))
        assert db.execute(SAVED).fetchall() == wanted
        assert failing(db) == set()
    else:
        assert "records-unchanged" in found


def test_a_value_saved_since_counts_and_the_older_is_listed(db: Connection) -> None:
    db.execute("ALTER TABLE callctl.saved_value DISABLE TRIGGER spare_after")
    db.execute("TRUNCATE callctl.saved_value")
    db.execute("ALTER TABLE callctl.saved_value ENABLE ALWAYS TRIGGER spare_after")
    with db.transaction():
        db.execute("SET LOCAL callctl.writes = 'on'")
        db.execute(
            "INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value)"
            " SELECT id, 'chatbot_type', 'up', '\"newer\"' FROM chatapp.chatbots"
            " WHERE name = 'Voice' ORDER BY id LIMIT 1"
        )
    migrate.up(settings_of(db))
    values = db.execute(
        "SELECT value, superseded_at IS NULL FROM callctl.saved_value WHERE field = 'chatbot_type' AND chatbot_id ="
        " (SELECT id FROM chatapp.chatbots WHERE name = 'Voice' ORDER BY id LIMIT 1) ORDER BY value"
    ).fetchall()
    assert values == [("newer", True), ("voice", False)]
    assert failing(db) == set()
