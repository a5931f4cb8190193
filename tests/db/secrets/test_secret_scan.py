"""Envelopes and secrets where no field is declared: found, told by place, and never by value."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from psycopg.types.json import Jsonb
from tests.conftest import connect
from tests.support.db import accounts

from callctl.database import connection as database
from callctl.errors import Code, ConnectionFailed
from callctl.secrets.envelope.cipher import Encrypter, Place
from callctl.secrets.inventory import scan as inventory_scan
from callctl.secrets.inventory.scan import scan, warnings
from callctl.secrets.rotation.rotate import rotate

NOWHERE = Place("", "", "", "")


def test_it_finds_what_is_outside_and_only_that(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        assert scan(db, settings, ring).places == ()
        encrypted = Encrypter(ring.keys["k1"]).encrypt("canary-4f1d", NOWHERE, 1)
        db.execute(
            "CREATE TABLE chatapp.hooks (n int PRIMARY KEY, api_key text, note varchar(4000), body json, list jsonb)"
        )
        db.execute(
            "INSERT INTO chatapp.hooks VALUES (1, 'canary-4f1d-key', NULL, %s, NULL),"
            " (2, '$2b$10$abcdefghij', 'hi', NULL, %s),"
            ' (3, NULL, %s, NULL, NULL), (4, NULL, %s, NULL, \'{"maxTokens": 5, "token": "short"}\'),'
            ' (5, NULL, \'see sk-canary4f1dcanary4f1dcanary\', \'{"password": "********", "secret": true}\', NULL)',
            (
                json.dumps({"deep": [{"er": encrypted}]}),
                Jsonb([accounts.bare(ring, "x"), {"clientSecret": "canary-4f1d-client"}]),
                "before " + json.dumps(encrypted) + " after",
                json.dumps(encrypted),
            ),
        )
        # Beside the declared fields: of another type, nested, and unknown.
        twilio, custom = (
            db.execute(
                "SELECT id::text FROM chatapp.integration_accounts WHERE account_type = %s"
                " AND credentials #> %s IS NOT NULL ORDER BY id",
                (kind, path),
            ).fetchone()
            for kind, path in (("twilio", ["authToken"]), ("custom", ["turnServers", "0"]))
        )
        assert twilio is not None
        assert custom is not None
        change = "UPDATE chatapp.integration_accounts SET credentials = jsonb_set(credentials, %s, %s) WHERE id = %s"
        db.execute(change, (["password"], Jsonb("canary-4f1d-misplaced"), twilio[0]))
        db.execute(change, (["turnServers", "0", "token"], Jsonb("canary-4f1d-nested"), custom[0]))
        found = scan(db, settings, ring)
        beside = {
            ("plaintext", "integration_accounts", "credentials.password", None, (twilio[0],)),
            ("plaintext", "integration_accounts", "credentials.turnServers[].token", None, (custom[0],)),
        }
        hooks = {
            ("plaintext", "hooks", "api_key", None, ("1",)),
            ("envelope", "hooks", "body.deep[].er", "k1", ("1",)),
            ("envelope", "hooks", "list[]", "k1", ("2",)),
            ("plaintext", "hooks", "list[].clientSecret", None, ("2",)),
            ("piece", "hooks", "note", "k1", ("3",)),
            ("envelope", "hooks", "note", "k1", ("4",)),
            ("plaintext", "hooks", "note", None, ("5",)),
        }
        assert {
            (each.kind, each.table, each.field, each.key, tuple(each.rows)) for each in found.places
        } == hooks | beside
        assert all(each.values == 1 for each in found.places)
        assert "canary" not in " ".join(warnings(found))
        # What a rotation asks is cheaper, and misses only what is in one member with a declared field.
        quick = scan(db, settings, ring, thorough=False)
        assert len(quick.places) == len(found.places) - 1
        assert {each.field for each in found.places} - {each.field for each in quick.places} == {
            "credentials.turnServers[].token"
        }


def test_the_server_lets_each_name_and_shape_through(url: str, keys: Path) -> None:
    """A row is asked cheap questions first: none of them may keep back what the next one looks for."""
    names = (
        "PASSWORD", "userPasswords", "passwd", "Passwds", "passphrase", "client_secret", "secrets", "Token",
        "authTokens", "apikey", "API_KEYS", "privateKey", "access_key", "authkeys", "credential", "CREDENTIALS",
    )  # fmt: skip
    shapes = (
        "sk-" + "a" * 20, "EAA" + "b" * 40, "AKIA" + "C" * 16, "AIza" + "d" * 35, "ghp_" + "e" * 36, "gho_" + "f" * 36,
        "xoxb-" + "1" * 10, "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----",
    )  # fmt: skip
    with connect(url) as db:
        db.execute("CREATE TABLE chatapp.named (n serial PRIMARY KEY, body jsonb, plain json)")
        db.execute("CREATE TABLE chatapp.shaped (n serial PRIMARY KEY, note text, body jsonb)")
        for name in names:
            body = Jsonb({"a": [{name: "canary-4f1d"}]})
            plain = json.dumps({name: "canary-4f1d"}, separators=(",", "\n:  "))
            db.execute("INSERT INTO chatapp.named (body) VALUES (%s)", (body,))
            db.execute("INSERT INTO chatapp.named (plain) VALUES (%s)", (plain,))
        for shape in shapes:
            db.execute("INSERT INTO chatapp.shaped (note) VALUES (%s)", (f"see {shape} there",))
            db.execute("INSERT INTO chatapp.shaped (body) VALUES (%s)", (Jsonb([f"see {shape} there"]),))
        found = scan(db, accounts.settings_of(url, keys), thorough=False).places
    values = {table: sum(each.values for each in found if each.table == table) for table in ("named", "shaped")}
    assert values == {"named": 2 * len(names), "shaped": 2 * len(shapes)}


def test_declared_fields_of_saved_rows_are_not_outside(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    encrypted = Encrypter(ring.keys["k1"]).encrypt("canary-4f1d", NOWHERE, 1)
    row = {
        "account_type": "custom",
        "credentials": {"password": encrypted, "authToken": encrypted, "turnServers": [{"credential": encrypted}]},
        "access_token": json.dumps(encrypted),
    }
    with connect(url) as db:
        db.execute(
            "INSERT INTO callctl.saved_row (relation, row_id, contents)"
            " VALUES ('integration_accounts', gen_random_uuid(), %s)",
            (Jsonb(row),),
        )
        for thorough in (True, False):
            found = scan(db, settings, ring, thorough=thorough).places
            # A twilio account's field, in a custom one.
            assert [each.field for each in found] == ["credentials.authToken"]


def test_a_table_that_takes_too_long_is_named(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db, connect(url) as other, other.transaction():
        db.execute(
            "CREATE VIEW chatapp.v AS SELECT 1; CREATE TABLE chatapp.slow (x text);"
            "CREATE MATERIALIZED VIEW chatapp.fast AS SELECT 'sk-canary4f1dcanary4f1dcanary'::text AS note"
        )
        other.execute("LOCK TABLE chatapp.slow")
        found = scan(db, settings, timeout_ms=300)
        assert found.cut_short == ("chatapp.slow",)
        assert any("takes longer than statement_timeout" in text for text in warnings(found))
        assert [each.table for each in found.places] == ["fast"]


def test_a_rotation_that_gets_no_session_for_the_scan_does_it_afterwards(
    url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise ConnectionFailed(
            Code.TOO_MANY_CONNECTIONS, "cannot connect to the database: too many connections for role"
        )

    with connect(url) as db:
        db.execute("CREATE TABLE chatapp.hooks (n int PRIMARY KEY, api_key text)")
        db.execute("INSERT INTO chatapp.hooks VALUES (1, 'canary-4f1d-key')")
    without = SimpleNamespace(connect=full, read_only=database.read_only, value=database.value)
    monkeypatch.setattr(inventory_scan, "database", without)
    rotated = rotate(accounts.settings_of(url, keys))
    assert rotated.values
    assert [(each.table, each.kind) for each in rotated.outside.places] == [("hooks", "plaintext")]
