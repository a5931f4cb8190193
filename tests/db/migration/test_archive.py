"""What is put away while the database is down, and the application's own role meanwhile."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.support.db.before_rows import make_roles
from tests.support.db.snapshot import assert_same, take, touched_columns

from callctl.config.settings import Settings
from callctl.errors import Refused
from callctl.migration import migrate


@pytest.fixture
def as_application(documented: str) -> psycopg.Connection[Any]:
    """The application's role: rights on the platform's tables but packages, and on nothing of callctl's."""
    with connect(documented) as db:
        make_roles(db)
        db.execute("GRANT USAGE ON SCHEMA chatapp TO callctl_test_application")
        db.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chatapp TO callctl_test_application")
        db.execute("REVOKE ALL ON chatapp.chatbot_packages FROM callctl_test_application")
    connection = connect(documented, prepare_threshold=None)
    connection.execute("SET ROLE callctl_test_application")
    connection.execute("SET search_path = chatapp")
    return connection


def test_the_applications_role_writes_at_every_stage(documented: str, as_application: psycopg.Connection[Any]) -> None:
    """The triggers work for a role that has no rights on callctl's schema and none on packages."""
    settings = Settings(database_url=documented)
    add = (
        "INSERT INTO chatbots (company_id, package_id, name, {column})"
        " SELECT company_id, package_id, 'new', {value} FROM chatbots WHERE name = 'Chatbot 25' RETURNING id"
    )
    with as_application as app:
        migrate.up(settings, to=4)
        for kind in ("'voice'", "NULL", "'call'", "'chat'"):
            row = app.execute(add.format(column="chatbottype", value=kind).encode()).fetchone()
            assert row is not None
            app.execute("UPDATE chatbots SET chatbottype = 'call' WHERE id = %s", row)
            app.execute("UPDATE chatbots SET enabled_chat = true WHERE id = %s", row)
        migrate.up(settings)
        row = app.execute(add.format(column="enabled_chat", value="true").encode()).fetchone()
        assert row is not None
        with pytest.raises(psycopg.errors.CheckViolation):
            app.execute("UPDATE chatbots SET enabled_call = true WHERE id = %s", row)
        migrate.down(settings, to=4)
        app.execute(add.format(column="chatbottype", value="'voice'").encode())
        migrate.down(settings, to=0)
        app.execute(add.format(column="chatbottype", value="'voice'").encode())


@pytest.mark.applied
def test_the_applications_role_deletes_while_rows_are_archived(
    documented: str, as_application: psycopg.Connection[Any]
) -> None:
    """A company takes its archived calls and accounts along; an end user and a conversation are nulled."""
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        db.execute("SET search_path = chatapp")
        db.execute(
            "INSERT INTO integration_accounts (company_id, account_type, account_name, credentials)"
            " SELECT id, 'twilio', slug, '{}' FROM companies"
        )
        db.execute(
            "INSERT INTO calls (company_id, chatbot_id, end_user_id, conversation_id, source, direction,"
            " integration_account_id)"
            " SELECT v.company_id, v.chatbot_id, v.end_user_id, v.id, 'web', 'inbound', a.id"
            " FROM conversations v JOIN integration_accounts a ON a.company_id = v.company_id"
            " WHERE v.end_user_id IS NOT NULL"
        )
        db.execute(
            "INSERT INTO call_transcripts (call_id, role, content, start_time, end_time, duration)"
            " SELECT id, 'user', 'hello', 0, 5, 5 FROM calls"
        )
        written = take(db)
        migrate.down(settings, to=0)
        with as_application as app:
            companies = app.execute(
                "SELECT company_id FROM conversations GROUP BY 1 ORDER BY count(*) DESC LIMIT 3"
            ).fetchall()
            (gone,), (bots,), (people,) = companies
            app.execute("DELETE FROM companies WHERE id = %s", (gone,))
            deleted = app.execute("DELETE FROM chatbots WHERE company_id = %s RETURNING id::text", (bots,)).fetchall()
            app.execute("DELETE FROM end_users WHERE company_id = %s", (people,))
            app.execute("DELETE FROM conversations WHERE company_id = %s", (people,))
        migrate.up(settings)
        again = take(db)
    kept = {
        key: {
            **row,
            **({"end_user_id": None, "conversation_id": None} if row["company_id"] == str(people) else {}),
        }
        for key, row in written.table("calls").items()
        if row["company_id"] != str(gone) and (row["chatbot_id"],) not in deleted
    }
    assert 0 < len(kept) < len(written.table("calls"))
    assert again.table("calls") == kept
    assert set(again.table("call_transcripts")) == {
        key for key, row in written.table("call_transcripts").items() if row["call_id"] in kept
    }
    assert set(again.table("integration_accounts")) == {
        key for key, row in written.table("integration_accounts").items() if row["company_id"] != str(gone)
    }


AVATARS = {
    "499": "a" * 499,
    "500": "b" * 500,
    "501": "c" * 501,
    "spaces": "d" * 499 + "  ",
    "long": "日本" * 4000,
}


def test_long_avatars_make_down_refuse_or_are_saved(documented: str) -> None:
    """Without --truncate-avatars nothing changes; with it the full values are back after the next up."""
    settings = Settings(database_url=documented)
    with connect(documented, prepare_threshold=None) as db:
        first = take(db)
        migrate.up(settings)
        for number, avatar in enumerate(AVATARS.values(), 20):
            db.execute(
                "UPDATE chatapp.users SET avatar_url = %s WHERE email = %s",
                (avatar, f"user{number}@example.com"),
            )
        written = take(db)
        with pytest.raises(Refused, match="avatar"):
            migrate.down(settings, to=0)
        assert_same(written, take(db))
        migrate.down(settings, to=1)
        migrate.up(settings)
        assert take(db).table("users") == written.table("users")
        migrate.down(settings, to=0, truncate_avatars=True)
        shortened = {row["email"]: row["avatar_url"] for row in take(db).table("users").values()}
        for number, avatar in enumerate(AVATARS.values(), 20):
            assert shortened[f"user{number}@example.com"] == avatar[:500]
        # A newer address is newer; the rest comes back whole.
        db.execute("UPDATE chatapp.users SET avatar_url = 'new' WHERE email = 'user22@example.com'")
        migrate.up(settings)
        after = {row["email"]: row["avatar_url"] for row in take(db).table("users").values()}
        before = {row["email"]: row["avatar_url"] for row in written.table("users").values()}
        assert after == {**before, "user22@example.com": "new"}
        listed = db.execute(
            "SELECT value #>> '{}' FROM callctl.saved_value WHERE field = 'avatar_url' AND superseded_at IS NOT NULL"
        ).fetchall()
        assert listed == [(AVATARS["501"],)]
        db.execute("UPDATE chatapp.users SET avatar_url = left(avatar_url, 400)")
        migrate.down(settings, to=0)
        assert take(db).catalog == first.catalog


def test_inserted_models_go_and_return_as_the_same_rows(baseline: str) -> None:
    """With their ids, their times, and what an administrator changed since."""
    settings = Settings(database_url=baseline)
    with connect(baseline, prepare_threshold=None) as db:
        first = take(db)
        migrate.up(settings)
        made = set(take(db).table("ai_models")) - set(first.table("ai_models"))
        assert len(made) == 3
        db.execute(
            "UPDATE chatapp.ai_models SET display_name = 'Ours ✓', model_type = 'both', description = NULL,"
            " created_at = '2020-01-02 03:04:05.678901' WHERE id::text = ANY (%s)",
            (list(made),),
        )
        edited = take(db)
        migrate.down(settings, to=0)
        assert_same(first, take(db), touched_columns(first))
        migrate.up(settings)
        assert take(db).table("ai_models") == edited.table("ai_models")


@pytest.mark.parametrize("of", ["companies", "chatbots", "end_users", "conversations"])
@pytest.mark.applied
def test_archived_rows_follow_a_primary_key_that_changes(baseline: str, of: str) -> None:
    """While calls are archived the platform changes an id: they come back under the new one, foreign keys as before."""
    settings = Settings(database_url=baseline)
    new = "00000000-0000-4000-8000-00000000abcd"
    keys = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated,"
        " obj_description(oid, 'pg_constraint') FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid IN ('chatapp.calls'::regclass, 'chatapp.integration_accounts'::regclass)"
        " ORDER BY 1, 2"
    )
    with connect(baseline, prepare_threshold=None) as db:
        db.execute("COMMENT ON CONSTRAINT calls_company_id_fkey ON chatapp.calls IS 'whose call it is'")
        (call,) = db.execute(
            "INSERT INTO chatapp.calls (company_id, chatbot_id, end_user_id, conversation_id, source, direction)"
            " SELECT b.company_id, v.chatbot_id, v.end_user_id, v.id, 'web', 'inbound'"
            " FROM chatapp.conversations AS v JOIN chatapp.chatbots AS b ON b.id = v.chatbot_id"
            " WHERE v.end_user_id IS NOT NULL ORDER BY v.id LIMIT 1 RETURNING id"
        ).fetchone() or (None,)
        before = db.execute(keys).fetchall()
        migrate.down(settings, to=0)
        # The platform's own keys are none of this: they go, as if they cascaded.
        for table, name in db.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            f" WHERE contype = 'f' AND confrelid = 'chatapp.{of}'::regclass"
            " AND connamespace = 'chatapp'::regnamespace".encode()
        ).fetchall():
            db.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())
        column = {"companies": "company", "chatbots": "chatbot", "end_users": "end_user"}.get(
            of, "conversation"
        ) + "_id"
        where = f"id = (SELECT {column} FROM callctl.calls WHERE id = %s)"
        db.execute(f"UPDATE chatapp.{of} SET id = %s WHERE {where}".encode(), (new, call))
        migrate.up(settings)
        found = db.execute(f"SELECT {column}::text FROM chatapp.calls WHERE id = %s".encode(), (call,)).fetchone()
        assert found == (new,)
        assert db.execute(keys).fetchall() == before
        left = db.execute("SELECT count(*) FROM callctl.definition WHERE kind = 'foreign key'").fetchone()
        assert left == (0,)
