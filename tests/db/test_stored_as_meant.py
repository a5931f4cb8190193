"""What is stored is what was meant: whatever triggers and rules of the platform do to what callctl writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.db.conftest import ACCOUNTS, Callctl
from tests.support.db import accounts

from callctl.errors import StepFailed
from callctl.secrets.envelope.cipher import Decrypter, Place, read_envelope
from callctl.secrets.rotation.rotate import rotate

Database = psycopg.Connection[Any]

TABLE = "chatapp.integration_accounts"


def function(body: str, name: str = "hostile") -> str:
    return f"CREATE FUNCTION chatapp.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"


def trigger(when: str, body: str, *, deferred: bool = False) -> str:
    made = f"{function(body)} CREATE {'CONSTRAINT ' if deferred else ''}TRIGGER hostile {when} ON {TABLE}"
    return (
        f"{made} {'DEFERRABLE INITIALLY DEFERRED' if deferred else ''} FOR EACH ROW EXECUTE FUNCTION chatapp.hostile()"
    )


def again(change: str) -> str:
    """The body of a trigger that fires afterwards and writes the row once more."""
    return f"IF pg_trigger_depth() = 1 THEN UPDATE {TABLE} SET {change} WHERE id = NEW.id; END IF; RETURN NULL;"


CUT = "left(access_token, 100)"

# Each destroys secrets, or leaves them as they were, and says nothing.
HOSTILE = {
    "cut short": trigger("BEFORE UPDATE", "NEW.access_token = left(NEW.access_token, 100); RETURN NEW;"),
    "in small letters": trigger("BEFORE UPDATE", "NEW.access_token = upper(NEW.access_token); RETURN NEW;"),
    "as before": trigger("BEFORE UPDATE", "RETURN OLD;"),
    "one column as before": trigger("BEFORE UPDATE", "NEW.credentials = OLD.credentials; RETURN NEW;"),
    "swallowed": trigger("BEFORE UPDATE", "RETURN NULL;"),
    "a member gone": trigger("BEFORE UPDATE", "NEW.credentials = NEW.credentials - 'authToken'; RETURN NEW;"),
    "another column": trigger("BEFORE UPDATE", "NEW.refresh_token = NULL; RETURN NEW;"),
    "afterwards": trigger("AFTER UPDATE", again(f"access_token = {CUT}")),
    "at the commit": trigger("AFTER UPDATE", again(f"access_token = {CUT}"), deferred=True),
    # What it does first is deferred once more by its own words, past the first moment at which callctl lets it fire.
    "at the commit, deferred again": trigger(
        "AFTER UPDATE",
        f"IF NEW.description IS DISTINCT FROM 'seen' THEN SET CONSTRAINTS ALL DEFERRED;"
        f" UPDATE {TABLE} SET description = 'seen' WHERE id = NEW.id;"
        f" ELSIF length(NEW.access_token) > 100 THEN UPDATE {TABLE} SET access_token = {CUT} WHERE id = NEW.id;"
        " END IF; RETURN NULL;",
        deferred=True,
    ),
    "afterwards, the statement": function(f"UPDATE {TABLE} SET access_token = {CUT}; RETURN NULL;")
    + f"CREATE TRIGGER hostile AFTER UPDATE OF credentials ON {TABLE} EXECUTE FUNCTION chatapp.hostile()",
    "deleted": trigger("AFTER UPDATE", f"DELETE FROM {TABLE} WHERE id = NEW.id; RETURN NULL;"),
    "a rule that swallows": f"CREATE RULE hostile AS ON UPDATE TO {TABLE} DO INSTEAD NOTHING",
    "a rule with a condition": f"CREATE RULE hostile AS ON UPDATE TO {TABLE}"
    " WHERE OLD.account_type = 'twilio' DO INSTEAD NOTHING",
}  # fmt: skip

# Each does something beside, and nothing to what is written.
HARMLESS = {
    "audited": "CREATE TABLE chatapp.audit (row_id uuid);"
    + trigger("AFTER UPDATE", "INSERT INTO chatapp.audit VALUES (NEW.id); RETURN NULL;"),
    "audited at the commit": "CREATE TABLE chatapp.audit (row_id uuid);"
    + trigger("AFTER UPDATE", "INSERT INTO chatapp.audit VALUES (NEW.id); RETURN NULL;", deferred=True),
    "audited by a rule": "CREATE TABLE chatapp.audit (row_id uuid);"
    f"CREATE RULE hostile AS ON UPDATE TO {TABLE} DO ALSO INSERT INTO chatapp.audit VALUES (NEW.id)",
    "another column afterwards": trigger("AFTER UPDATE", again("description = 'seen'")),
    "updated_at": trigger("BEFORE UPDATE", "NEW.updated_at = clock_timestamp(); RETURN NEW;"),
}


@pytest.mark.fewer(4)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_rotation_rolls_back_what_is_not_stored_as_meant(url: str, keys: Path, hostile: str) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        before = accounts.seen(db, ring)
        db.execute(HOSTILE[hostile].encode())
        with pytest.raises(StepFailed) as failed:
            rotate(settings)
        assert "not stored as callctl wrote" in failed.value.message
        assert TABLE in failed.value.message
        assert "hostile" in failed.value.message
        assert accounts.CANARY not in failed.value.message
        db.execute(f"DROP TRIGGER IF EXISTS hostile ON {TABLE}; DROP RULE IF EXISTS hostile ON {TABLE}".encode())
        after = accounts.seen(db, ring)
        assert {where: each.plaintext for where, each in after.items()} == {
            where: each.plaintext for where, each in before.items()
        }
        # What was rolled back is done by the next run, as if nothing had been.
        rotate(settings)
        assert {each.key for each in accounts.seen(db, ring).values()} == {"k2"}


@pytest.mark.parametrize("harmless", HARMLESS)
def test_a_rotation_goes_on_where_triggers_and_rules_only_do_something_beside(
    url: str, keys: Path, harmless: str
) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        before = accounts.seen(db, ring)
        db.execute(HARMLESS[harmless].encode())
        rotated = rotate(settings)
        after = accounts.seen(db, ring)
        assert {where: each.plaintext for where, each in after.items()} == {
            where: each.plaintext for where, each in before.items()
        }
        assert {each.key for each in after.values()} == {"k2"}
        assert rotated.rows_written == count(db, "chatapp.audit") if "audited" in harmless else rotated.rows_written
        assert rotated.values == sum(each.key != "k2" for each in before.values())


def count(db: Database, table: str) -> int:
    row = db.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_a_trigger_that_comes_in_the_middle_of_a_rotation(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, batch_size=100)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        before = accounts.seen(db, ring)
        made = iter([trigger("AFTER UPDATE", again(f"access_token = {CUT}"))])

        def meanwhile(_: object) -> None:
            for statement in made:
                db.execute(statement.encode())

        with pytest.raises(StepFailed, match="not stored as callctl wrote"):
            rotate(settings, on_event=meanwhile)
        assert {where: each.plaintext for where, each in accounts.seen(db, ring).items()} == {
            where: each.plaintext for where, each in before.items()
        }


# ---- a row that takes long -------------------------------------------------------------------------------


def slow(seconds: str, where: str) -> str:
    return trigger("BEFORE UPDATE", f"IF {where} THEN PERFORM pg_sleep({seconds}); END IF; RETURN NEW;")


def some_id(db: Database, position: int) -> str:
    """The id of an account with a secret that is not under k2, from the middle of the table."""
    rows = db.execute(
        f"SELECT id::text FROM {TABLE} WHERE account_type = 'twilio' AND jsonb_typeof(credentials -> 'authToken')"
        " = 'string' ORDER BY id".encode()
    ).fetchall()
    return str(rows[position][0])


def test_one_slow_row_is_written_by_itself(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, lock_hold_ms=300, lock_timeout_ms=100)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        db.execute(slow("0.8", f"NEW.id = '{some_id(db, 20)}'").encode())
        rotated = rotate(settings)
        assert rotated.left == ()
        assert {each.key for each in accounts.seen(db, ring).values()} == {"k2"}
        assert rotated.rows_read == ACCOUNTS


def test_a_row_that_cannot_be_written_in_time_is_left_and_listed(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, lock_hold_ms=200, lock_timeout_ms=100, statement_timeout_ms=600)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        before = accounts.seen(db, ring)
        slow_id = some_id(db, 20)
        db.execute(slow("3", f"NEW.id = '{slow_id}'").encode())
        rotated = rotate(settings)
        after = accounts.seen(db, ring)
        assert {each.row_id for each in rotated.left} == {slow_id}
        assert all("0.6 s" in each.reason for each in rotated.left)
        assert rotated.failures == len(rotated.left)
        assert rotated.rows_read == ACCOUNTS
        for where, each in after.items():
            assert each.plaintext == before[where].plaintext
            if slow_id not in where:
                assert each.key == "k2"
        db.execute(f"DROP TRIGGER hostile ON {TABLE}".encode())
        assert rotate(settings).left == ()
        assert {each.key for each in accounts.seen(db, ring).values()} == {"k2"}


# ---- an id that is there twice ---------------------------------------------------------------------------


def test_an_id_that_is_there_twice_gets_each_its_own(url: str, keys: Path) -> None:
    """Rows of an inheritance child with ids of the parent's: no batch ends between two, and none gets the other's."""
    settings = accounts.settings_of(url, keys, batch_size=3)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        db.execute(
            f"CREATE TABLE chatapp.old_accounts () INHERITS ({TABLE});"
            f"INSERT INTO chatapp.old_accounts SELECT * FROM ONLY {TABLE} ORDER BY id LIMIT 20;"
            f"INSERT INTO chatapp.old_accounts SELECT * FROM ONLY {TABLE} ORDER BY id LIMIT 5;"
            "UPDATE chatapp.old_accounts SET access_token = 'canary-4f1d of the child ' || ctid::text".encode()
        )
        tokens = "SELECT t.access_token, t.tableoid::regclass::text FROM chatapp.integration_accounts AS t"
        children = count(db, "chatapp.old_accounts")
        rotated = rotate(settings)
        assert (rotated.rows_read, rotated.failures) == (ACCOUNTS + children, 0)
        opened = []
        for text, relation in db.execute(tokens.encode()).fetchall():
            if relation == "chatapp.old_accounts":
                opened.append(text)
        assert len(opened) == children
        assert not any(accounts.CANARY in text for text in opened)
        decrypter, nowhere = Decrypter(ring), Place("", "", "", "")
        plaintexts = {
            decrypter.decrypt(envelope, nowhere).plaintext for text in opened if (envelope := read_envelope(text))
        }
        assert len(plaintexts) == children
        again = rotate(settings)
        assert (again.rows_written, again.failures) == (0, 0)


# ---- what else callctl writes ----------------------------------------------------------------------------

SETTINGS = {
    "as before": "NEW.settings = OLD.settings; RETURN NEW;",
    "swallowed": "RETURN NULL;",
    "another member gone": "NEW.settings = NEW.settings - 'kept'; RETURN NEW;",
}


def on(table: str, when: str, body: str) -> str:
    made = f"{function(body)} CREATE TRIGGER hostile {when} UPDATE ON chatapp.{table}"
    return f"{made} FOR EACH ROW EXECUTE FUNCTION chatapp.hostile()"


@pytest.mark.parametrize("body", SETTINGS)
def test_settings_and_companies_say_what_is_stored(applied: str, callctl: Callctl, body: str) -> None:
    with connect(applied) as db:
        db.execute("UPDATE chatapp.chatbots SET settings = settings || '{\"kept\": 1}'")
        db.execute("UPDATE chatapp.chatbots SET settings = settings - 'call' WHERE enabled_call")
        db.execute("UPDATE chatapp.companies SET settings = coalesce(settings, '{}') || '{\"kept\": 1}'")
        (company,) = db.execute(
            "SELECT id::text FROM chatapp.companies WHERE deleted_at IS NULL LIMIT 1"
        ).fetchone() or ("",)
        for table, command in (
            ("chatbots", ("settings", "init")),
            ("companies", ("companies", "enable", company)),
        ):
            for when, text in (("BEFORE", SETTINGS[body]), ("AFTER", later(table))):
                db.execute(on(table, when, text).encode())
                before = db.execute(f"SELECT id, settings FROM chatapp.{table} ORDER BY id".encode()).fetchall()
                code, out, err = callctl(applied, *command, "--yes")
                assert code == 5, (table, when, out, err)
                assert f"of chatapp.{table}" in err
                assert "trigger hostile" in err
                after = db.execute(f"SELECT id, settings FROM chatapp.{table} ORDER BY id".encode()).fetchall()
                assert after == before
                db.execute(f"DROP TRIGGER hostile ON chatapp.{table}; DROP FUNCTION chatapp.hostile()".encode())
            code, out, err = callctl(applied, *command, "--yes")
            assert code == 0, (out, err)


def later(table: str) -> str:
    """The body of a trigger that fires afterwards and takes the settings back."""
    return (
        f"IF pg_trigger_depth() = 1 THEN UPDATE chatapp.{table} SET settings = OLD.settings WHERE id = NEW.id; END IF;"
        " RETURN NULL;"
    )
