"""What gets copies of a plaintext that a rotation encrypts is named before and after; of a later one, what fires."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.db.secrets.test_rotation_together import configuration
from tests.support.db import accounts
from tests.support.faults.own_server import OwnServer

from callctl.config.sections import SecretField
from callctl.config.settings import Settings
from callctl.database import actions
from callctl.migration import migrate
from callctl.sandbox.lifecycle import fill
from callctl.secrets.inventory import plaintext_copies
from callctl.secrets.inventory.plaintext_copies import Copy
from callctl.secrets.rotation.rotate import rotate
from callctl.secrets.rows.tables import secret_tables

pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]

OBJECTS = """
CREATE TABLE chatapp.audit (old jsonb, new jsonb);
CREATE FUNCTION chatapp.audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO chatapp.audit VALUES (to_jsonb(OLD), to_jsonb(NEW)); RETURN NULL; END $$;
CREATE FUNCTION chatapp.audit_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO chatapp.audit SELECT to_jsonb(w), NULL FROM were AS w; RETURN NULL; END $$;
CREATE FUNCTION chatapp.quiet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER audit AFTER UPDATE ON chatapp.integration_accounts FOR EACH ROW EXECUTE FUNCTION chatapp.audit_row();
CREATE TRIGGER "Audit all" AFTER UPDATE ON chatapp.integration_accounts REFERENCING OLD TABLE AS were
  FOR EACH STATEMENT EXECUTE FUNCTION chatapp.audit_rows();
CREATE TRIGGER touched BEFORE UPDATE OF credentials ON chatapp.integration_accounts
  FOR EACH ROW EXECUTE FUNCTION chatapp.quiet();
CREATE TRIGGER in_c BEFORE UPDATE ON chatapp.integration_accounts
  FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
-- None of these fires.
CREATE TRIGGER of_another BEFORE UPDATE OF status ON chatapp.integration_accounts
  FOR EACH ROW EXECUTE FUNCTION chatapp.quiet();
CREATE TRIGGER made BEFORE INSERT OR DELETE ON chatapp.integration_accounts
  FOR EACH ROW EXECUTE FUNCTION chatapp.quiet();
CREATE TRIGGER off BEFORE UPDATE ON chatapp.integration_accounts FOR EACH ROW EXECUTE FUNCTION chatapp.quiet();
ALTER TABLE chatapp.integration_accounts DISABLE TRIGGER off;
CREATE TRIGGER of_replicas BEFORE UPDATE ON chatapp.integration_accounts
  FOR EACH ROW EXECUTE FUNCTION chatapp.quiet();
ALTER TABLE chatapp.integration_accounts ENABLE REPLICA TRIGGER of_replicas;
CREATE TRIGGER elsewhere BEFORE UPDATE ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION chatapp.quiet();
CREATE PUBLICATION published FOR TABLE chatapp.integration_accounts;
CREATE PUBLICATION other FOR TABLE chatapp.companies;
CREATE MATERIALIZED VIEW chatapp.tokens AS SELECT id, access_token FROM chatapp.integration_accounts;
CREATE MATERIALIZED VIEW chatapp.names AS SELECT id, account_name FROM chatapp.integration_accounts;
ALTER TABLE chatapp.integration_accounts REPLICA IDENTITY FULL;
"""
ON = "chatapp.integration_accounts"


def copies(url: str, keys: Path, **others: Any) -> tuple[Copy, ...]:
    settings = accounts.settings_of(url, keys, **others)
    with connect(url, options="-c default_transaction_read_only=on") as db:
        return plaintext_copies.copies(db, settings, secret_tables(db, settings))


def told(found: tuple[Copy, ...], *kinds: str) -> dict[str | None, str]:
    return {each.name: each.text for each in found if each.kind in kinds}


def test_what_fires_and_what_holds_copies_is_read_from_the_catalog(url: str, keys: Path) -> None:
    with connect(url) as db:
        db.execute(OBJECTS.encode())
        db.execute(
            f"CREATE RULE kept AS ON UPDATE TO {ON} DO ALSO INSERT INTO chatapp.audit VALUES (to_jsonb(OLD))".encode()
        )
        db.execute(f"CREATE RULE off AS ON UPDATE TO {ON} DO ALSO NOTHING".encode())
        db.execute(f"ALTER TABLE {ON} DISABLE RULE off".encode())
    found = copies(url, keys)
    fires = told(found, "trigger")
    assert set(fires) == {"audit", "Audit all", "touched", "in_c", "update_integration_accounts_updated_at"}
    for name, function in (("audit", "audit_row"), ("Audit all", "audit_rows")):
        assert fires[name] == (
            f"trigger {name} on {ON} (AFTER UPDATE, function chatapp.{function}()) reads OLD, the row with its"
            " plaintext, and inserts into chatapp.audit"
        )
    assert fires["touched"].endswith("(BEFORE UPDATE, function chatapp.quiet()) fires for each row written")
    assert fires["in_c"].endswith("cannot read what its function does with the old row")
    assert told(found, "rule") == {
        "kept": f"rule kept on {ON} rewrites an UPDATE (ALSO) and reads OLD, the row with its plaintext"
    }
    assert set(told(found, "publication")) == {"published"}
    assert set(told(found, "materialized view")) == {"chatapp.tokens"}
    (whole,) = told(found, "replica identity").values()
    assert whole.startswith(f"replica identity FULL of {ON}: every logical slot gets the old version of each row")
    assert {each.table for each in found if each.kind in ("trigger", "rule", "publication")} == {ON}


def test_the_triggers_of_partitions_and_of_archived_tables(url: str, keys: Path) -> None:
    with connect(url) as db:
        db.execute(OBJECTS.encode())
        db.execute(
            "CREATE TABLE chatapp.parts (id integer PRIMARY KEY, token text) PARTITION BY RANGE (id);"
            " CREATE TABLE chatapp.part PARTITION OF chatapp.parts FOR VALUES FROM (1) TO (9);"
            " CREATE TRIGGER of_part BEFORE UPDATE ON chatapp.part FOR EACH ROW EXECUTE FUNCTION chatapp.quiet();"
            " DROP MATERIALIZED VIEW chatapp.tokens, chatapp.names; DROP PUBLICATION published;"
            " ALTER TABLE chatapp.integration_accounts SET SCHEMA callctl"
        )
    found = copies(url, keys, secret_fields=(SecretField("parts", None, "token"),))
    assert {(each.name, each.table) for each in found if each.kind == "trigger"} >= {
        ("of_part", "chatapp.part"),
        ("audit", "callctl.integration_accounts"),
    }


def test_nothing_of_the_kind(url: str, keys: Path) -> None:
    """But for callctl's own trigger of updated_at, and what it knows of backups."""
    found = [each for each in copies(url, keys) if each.kind not in ("slot", "replica", "archive")]
    assert [each.name for each in found] == ["update_integration_accounts_updated_at", None]
    assert (
        found[-1].text == "backups hold the plaintext for as long as they are kept: callctl has no record of a backup"
    )


def test_how_far_back_backups_hold_it_as_far_as_callctl_knows(url: str, keys: Path) -> None:
    def backup(**others: Any) -> str:
        (text,) = told(copies(url, keys, **others), "backup").values()
        return text.partition("kept: ")[2]

    with connect(url) as db:
        actions.record_action(db, "backup", {"taken_at": "2026-01-31T04:00:00+00:00", "file": "a"})
        assert backup() == "callctl took one at 2026-01-31 04:00:00+00:00"
        actions.record_action(db, "backup", {"taken_at": "2026-03-01T04:00:00+00:00", "file": "b"})
        assert backup() == "callctl took 2, from 2026-01-31 04:00:00+00:00 to 2026-03-01 04:00:00+00:00"
    said = backup(backup_taken_at=datetime(2026, 2, 1, tzinfo=UTC))
    assert said.endswith("; --backup-taken-at names one of 2026-02-01 00:00:00+00:00")


def test_a_slot_and_the_archive_are_named(keys: Path) -> None:
    """Of this database, or physical; not of another."""
    with OwnServer() as server:
        server.start({"wal_level": "logical", "archive_mode": "on", "archive_command": "true"})
        with connect(server.url("postgres")) as admin:
            admin.execute("CREATE DATABASE platform")
            admin.execute("SELECT pg_create_logical_replication_slot('elsewhere', 'test_decoding')")
            admin.execute("SELECT pg_create_physical_replication_slot('standby', true)")
        url = server.url("platform")
        fill(url, "documented", rows=20)
        migrate.up(Settings(database_url=url), to=9)
        with connect(url) as db:
            db.execute("SELECT pg_create_logical_replication_slot('reads_along', 'test_decoding')")
            found = copies(url, keys)
            slots = told(found, "slot")
            assert set(slots) == {"reads_along", "standby"}
            assert slots["reads_along"].startswith(
                "logical replication slot reads_along (test_decoding), not in use, keeps "
            )
            assert slots["standby"].startswith("physical replication slot standby, not in use, keeps ")
            assert [each.text for each in found if each.kind == "archive"] == [
                "the WAL archive already holds plaintext (archive_mode is on)"
            ]
            db.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


def test_a_person_is_asked_with_what_was_counted(
    url: str, keys: Path, tmp_path: Path, callctl: Callctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("callctl.cli.common.can_ask", lambda: True)
    monkeypatch.setattr("callctl.render.console.ask", no)
    with connect(url) as db:
        db.execute(OBJECTS.encode())
        (name,) = db.execute("SELECT current_database()").fetchone() or ("",)
        db.execute(f"ALTER DATABASE {name} RESET ALL".encode())  # a sandbox asks nobody
    code, out, err = callctl(url, "--config", configuration(tmp_path, keys), "rotate-secrets")
    assert (code, out, len(asked)) == (3, "", 1), err
    assert "not confirmed; nothing was changed" in err
    before = err.partition("callctl: error:")[0]
    assert " to encrypt, 0 that do not open" in before
    assert "values in plaintext. Encrypting removes no copy of a plaintext." in before
    assert "trigger audit on" in before


def test_what_cannot_be_read_is_said_and_stops_nothing(url: str, keys: Path, tmp_path: Path, callctl: Callctl) -> None:
    """A lock of another session, for example."""
    held = "LOCK TABLE callctl.action"
    with connect(url) as other, other.transaction():
        other.execute(held.encode())
        found = copies(url, keys, lock_timeout_ms=50)
    assert [each.text for each in found if each.kind == "unknown"] == [
        "the backups could not be read: a lock was not available in time (SQLSTATE 55P03)"
    ]
    assert told(found, "trigger")
    with connect(url) as other, other.transaction():
        other.execute(held.encode())
        code, _, err = callctl(url, "--config", configuration(tmp_path, keys), "rotate-secrets", "--status")
    assert code == 3
    assert "callctl: warning: the backups could not be read" in err


def test_before_and_after_the_first_encryption_and_in_one_line_later(
    url: str, keys: Path, tmp_path: Path, callctl: Callctl
) -> None:
    config = configuration(tmp_path, keys)
    audit = "trigger audit on chatapp.integration_accounts (AFTER UPDATE, function chatapp.audit_row()) reads OLD"
    backups = "backups hold the plaintext for as long as they are kept: --backup-taken-at names one of 2026-02-01"
    guide = "docs/how-to/encrypt-secrets-for-the-first-time.md"
    with connect(url) as db:
        db.execute(OBJECTS.encode())
        for command in ("--status", "--dry-run"):
            code, _, err = callctl(url, "--config", config, "rotate-secrets", command)
            assert code == (3 if command == "--status" else 0)
            assert "values in plaintext. Encrypting removes no copy of a plaintext." in err
            assert audit in err
            assert "replica identity FULL" in err
            assert "callctl has no record of a backup" in err
        code, _out, err = callctl(
            url, "--config", config, "rotate-secrets", "--yes", "--backup-taken-at", "2026-02-01T00:00:00Z"
        )
        assert code == 0
        before, after = err.split("were in plaintext. No copy was removed.")
        assert "no rotation of this database has finished, so values may be in plaintext." in before
        for said in (before, after):
            assert audit in said
            assert "publication published includes chatapp.integration_accounts" in said
            assert backups in said
            assert guide in said
        assert "then change the secrets at the providers" in after
        assert db.execute("SELECT count(*) > 0 FROM chatapp.audit WHERE old::text LIKE '%canary%'").fetchone() == (
            True,
        )
        # A later rotation, from key to key.
        third = tmp_path / "third"
        third.mkdir()
        (third / "callctl.yaml").write_text(
            "keys: {primary: k3, ring: ["
            + ", ".join(f"{{id: {id}, file: {accounts.key_file(keys, id)}}}" for id in ("k3", "k2", "k1"))
            + "]}\n"
        )
        code, _, err = callctl(url, "--config", str(third / "callctl.yaml"), "rotate-secrets", "--yes")
        assert code == 0
        lines = [line for line in err.splitlines() if "audit on chatapp" in line]
        assert [line.partition(":")[0] for line in lines] == [
            "fires for each row written",
            "fired for each row written",
        ]
        assert "plaintext" not in "".join(lines)
        assert "trigger touched on" in lines[0]


def test_as_json(url: str, keys: Path, tmp_path: Path, callctl: Callctl) -> None:
    config = configuration(tmp_path, keys)
    with connect(url) as db:
        db.execute(OBJECTS.encode())
    _, out, _ = callctl(url, "--config", config, "--output", "json", "rotate-secrets", "--status")
    assert {"trigger", "publication", "backup"} <= {each["kind"] for each in json.loads(out)["copies"]}
    _, out, _ = callctl(url, "--config", config, "--output", "json", "rotate-secrets", "--yes")
    done = json.loads(out.splitlines()[-1])
    assert "audit" in [each["name"] for each in done["copies"]]
    assert done["foreign"] == []


def test_plaintext_in_a_database_that_was_rotated_before_is_told_of_afterwards(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    rotate(settings)
    with connect(url) as db:
        db.execute(
            sql.SQL("UPDATE chatapp.integration_accounts SET access_token = {}").format(sql.Literal("written later"))
        )
    assert rotate(settings).plaintext > 0
    assert rotate(settings).plaintext == 0
