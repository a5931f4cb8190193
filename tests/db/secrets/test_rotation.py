"""rotate-secrets on real databases: every secret under the primary key, nothing else moved, nothing lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.conftest import connect
from tests.db.conftest import ACCOUNTS
from tests.support.db import accounts

from callctl.config.sections import SecretField
from callctl.database import lock
from callctl.errors import ConfigError, Interrupted, LockHeld, Refused
from callctl.events import Event, Notice
from callctl.migration import migrate
from callctl.secrets.envelope.cipher import BOUND, Decrypter, Encrypter, Place, envelope_text, read_envelope
from callctl.secrets.inventory import key_use
from callctl.secrets.rotation.rotate import Rotated, rotate
from callctl.secrets.rows import tables as secret_tables
from callctl.secrets.rows.credentials import problems

pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]


def plaintexts(found: dict[str, accounts.Seen]) -> dict[str, str]:
    return {where: each.plaintext for where, each in found.items()}


def one(db: Database, query: str, *values: object) -> Any:
    row = db.execute(query.encode(), values).fetchone()
    return row and row[0]


def test_every_form_comes_under_the_primary_key_and_nothing_else_moves(url_of_each: str, keys: Path) -> None:
    settings = accounts.settings_of(url_of_each, keys)
    ring = accounts.ring_of(settings)
    with connect(url_of_each) as db:
        before, rest = accounts.seen(db, ring), accounts.rest(db)
        assert {each.key for each in before.values()} == {None, "k1", "k2"}
        rotated = rotate(settings)
        after = accounts.seen(db, ring)
        assert plaintexts(after) == plaintexts(before)
        assert {each.key for each in after.values()} == {"k2"}
        # What was bound stays bound.
        assert {where: each.version for where, each in after.items()} == {
            where: BOUND if each.version == BOUND else 1 for where, each in before.items()
        }
        assert accounts.rest(db) == rest
        assert (rotated.failures, rotated.left, rotated.rows_read) == (0, (), ACCOUNTS)
        assert rotated.values == sum(each.key != "k2" for each in before.values())
        assert {each.was for each in rotated.changed} == {"plaintext", "k1"}
        ledger = "SELECT to_key, from_keys, outcome, failures FROM callctl.rotation"
        assert db.execute(ledger).fetchall() == [("k2", ["k1", "plaintext"], "done", 0)]
        assert one(db, "SELECT encryptions FROM callctl.encryption_key WHERE id = 'k2'") == rotated.values
        # A second run writes no row.
        versions = accounts.versions(db)
        again = rotate(settings)
        assert (again.rows_read, again.rows_written, again.values) == (ACCOUNTS, 0, 0)
        assert accounts.versions(db) == versions
        assert one(db, "SELECT count(*) FROM callctl.rotation_range") == 0


def test_no_two_values_have_one_iv(url: str, keys: Path) -> None:
    """Of all that a rotation has encrypted, in whichever batch; the same IV twice would give the key away."""
    settings = accounts.settings_of(url, keys, "k3", "k2", "k1", batch_size=100)
    values = rotate(settings).values
    ivs = (
        "SELECT count(*), count(DISTINCT found[1]) FROM chatapp.integration_accounts AS t, regexp_matches("
        "concat(t.credentials, t.access_token, t.refresh_token), '\"iv\": ?\"([0-9a-f]{24})\"', 'g') AS found"
    )
    with connect(url) as db:
        assert len(accounts.seen(db, accounts.ring_of(settings))) == values
        assert db.execute(ivs.encode()).fetchall() == [(values, values)]


def test_bound_stays_bound_until_it_is_unbound(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        before = plaintexts(accounts.seen(db, ring))
        for binding, version in (("bind", BOUND), ("keep", BOUND), ("unbind", 1)):
            rotated = rotate(settings, binding=binding)  # type: ignore[arg-type]
            after = accounts.seen(db, ring)
            assert ({each.version for each in after.values()}, plaintexts(after)) == ({version}, before)
            assert (rotated.values == 0) == (binding == "keep")


def test_what_does_not_open_is_left_and_listed_and_the_rest_is_done(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        rows = db.execute(
            "SELECT id::text, company_id::text FROM chatapp.integration_accounts WHERE account_type = 'twilio'"
            " AND access_token IS NULL ORDER BY id LIMIT 8"
        ).fetchall()
        ids = [row[0] for row in rows]
        here = Place(rows[3][1], "integration_accounts", ids[3], "credentials.authToken")
        good = Encrypter(ring.keys["k1"]).encrypt("canary-4f1d moved", here, 2)
        values = {
            ids[0]: ({**good, "kid": "k9"}, "unknown-key"),
            ids[1]: ({**good, "v": 1}, "tampered"),
            ids[2]: ({**good, "iv": "00"}, "malformed"),
            ids[4]: (good, "tampered"),  # another row's
            ids[5]: (12345, "malformed"),
            ids[6]: ({"hidden": "canary-4f1d"}, "malformed"),
        }
        for id, (value, _) in values.items():
            db.execute(
                "UPDATE chatapp.integration_accounts SET credentials = jsonb_set(credentials, '{authToken}', %s)"
                " WHERE id = %s",
                (Jsonb(value), id),
            )
        db.execute("UPDATE chatapp.integration_accounts SET credentials = '[1.50]' WHERE id = %s", (ids[7],))
        db.execute(
            "UPDATE chatapp.integration_accounts SET access_token = %s WHERE id = %s",
            (envelope_text({**good, "authTag": "00" * 16}), ids[3]),
        )
        bad = [*values, ids[7]]
        there = "SELECT coalesce(credentials -> 'authToken', credentials)::text FROM chatapp.integration_accounts"
        token = f"{there} WHERE id = %s"
        before = {id: one(db, token, id) for id in bad}
        events: list[Event] = []
        rotated = rotate(settings, on_event=events.append)
        assert rotated.failures == len(rotated.left) == 8
        assert {(each.row_id, each.field, each.reason.split(":")[0]) for each in rotated.left} == {
            *((id, "credentials.authToken", reason) for id, (_, reason) in values.items()),
            (ids[7], "credentials", "malformed"),
            (ids[3], "access_token", "tampered"),
        }
        assert {id: one(db, token, id) for id in bad} == before
        assert accounts.CANARY not in repr((rotated, events))
        left = "SELECT credentials #>> '{apiKeySecret,kid}' FROM chatapp.integration_accounts WHERE id = %s"
        assert {one(db, left, id) for id in values} == {"k2"}
        # They are counted again, and no row is written.
        versions = accounts.versions(db)
        assert rotate(settings).failures == 8
        assert accounts.versions(db) == versions
        assert one(db, "SELECT count(*) FROM callctl.rotation_failure WHERE rotation = %s", rotated.rotation) == 8


def test_a_row_given_to_another_company_is_reported(
    url_of_each: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is bound says whose it was; found by trying, and so often only."""
    settings = accounts.settings_of(url_of_each, keys)
    with connect(url_of_each) as db:
        rotate(settings, binding="bind")
        given = db.execute(
            "UPDATE chatapp.integration_accounts AS t SET company_id = o.id FROM chatapp.companies AS o,"
            " (SELECT id, company_id FROM chatapp.integration_accounts WHERE account_type = 'twilio' LIMIT 3) AS was"
            " WHERE was.id = t.id AND o.id = (SELECT c.id FROM chatapp.companies AS c"
            " WHERE c.id <> was.company_id ORDER BY c.id LIMIT 1) RETURNING t.id::text, was.company_id::text"
        ).fetchall()
        reasons = {id: f"moved: it belongs to company {company}" for id, company in given}
        settings = accounts.settings_of(url_of_each, keys, "k3", "k2")
        rotated = rotate(settings)
        assert rotated.failures == len(rotated.left) >= 6
        assert {each.row_id: each.reason for each in rotated.left} == reasons
        assert {each.reason for each in rotated.left} == set(reasons.values())
        assert {each.row_id: each.reason for each in key_use.look(db, settings).counted.unreadable} == reasons
        monkeypatch.setattr(secret_tables, "MOST_TRIED", 0)
        assert {each.reason for each in rotate(settings).left} == {
            "tampered: it was changed, or moved here, after key k2 encrypted it"
        }


def test_credentials_of_another_shape_are_counted_and_left(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, batch_size=50)
    with connect(url) as db:
        shapes = db.execute("SELECT account_type, credentials FROM chatapp.integration_accounts").fetchall()
        wanted = Counter(kind for kind, credentials in shapes if problems(kind, credentials))
        assert wanted["twilio"]
        versions = {}
        for _ in range(2):
            assert rotate(settings).misshapen == wanted
            versions, before = accounts.versions(db), versions
        assert versions == before
        db.execute(
            "UPDATE chatapp.integration_accounts SET credentials = credentials - 'weight' WHERE account_type = 'twilio'"
        )
        del wanted["twilio"]
        assert rotate(settings).misshapen == wanted


def test_a_dry_run_and_a_status_write_nothing(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        # Without a store, as on a database that callctl has never written to.
        db.execute("DROP SCHEMA callctl CASCADE")
        before, position = accounts.versions(db), one(db, "SELECT pg_current_wal_insert_lsn()::text")
        with connect(url, options="-c default_transaction_read_only=on") as other:
            found = key_use.look(other, settings, binding="bind")
        counted = found.counted
        # The checkpointer and autovacuum may write a little of their own.
        written = one(db, "SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", position)
        assert written < 100_000
        assert accounts.versions(db) == before
        assert one(db, "SELECT to_regnamespace('callctl')") is None
        seen = accounts.seen(db, accounts.ring_of(settings))
        assert (counted.rows, counted.uses.total(), counted.total("unreadable")) == (ACCOUNTS, len(seen), 0)
        assert counted.total("plaintext") == sum(each.key is None and each.version is None for each in seen.values())
        assert counted.due == sum((each.key, each.version) != ("k2", BOUND) for each in seen.values())
        assert sum(tenant.values for tenant in counted.by_tenant()) == len(seen)
        rotated = rotate(settings, binding="bind")
        assert rotated.values == counted.due


def test_archived_rows_are_rotated_and_come_back(url_of_each: str, keys: Path) -> None:
    settings = accounts.settings_of(url_of_each, keys)
    ring = accounts.ring_of(settings)
    with connect(url_of_each) as db:
        before = plaintexts(accounts.seen(db, ring))
        migrate.down(settings, to=8)
        assert one(db, "SELECT to_regclass('chatapp.integration_accounts')") is None
        assert key_use.keys(db, settings).keys[1].archived > 0
        rotated = rotate(settings)
        assert (rotated.rows_read, rotated.failures) == (ACCOUNTS, 0)
        migrate.up(settings, to=9)
        after = accounts.seen(db, ring)
        assert (plaintexts(after), {each.key for each in after.values()}) == (before, {"k2"})


def test_saved_rows_and_values_are_rotated_and_counted(url: str, keys: Path) -> None:
    extra = (
        SecretField("chatbots", None, "settings", ("call", "apiKey")),
        SecretField("ai_models", None, "description"),
    )
    settings = accounts.settings_of(url, keys, secret_fields=extra)
    ring = accounts.ring_of(settings)
    encrypt = Encrypter(ring.keys["k1"]).encrypt
    with connect(url) as db:
        account, company = db.execute(
            "DELETE FROM chatapp.integration_accounts WHERE account_type = 'custom'"
            " RETURNING id::text, company_id::text"
        ).fetchone() or ("", "")
        bot, owner = db.execute("SELECT id::text, company_id::text FROM chatapp.chatbots").fetchone() or ("", "")

        def place(path: str) -> Place:
            return Place(company, "integration_accounts", account, path)

        row = {
            "id": account,
            "company_id": company,
            "account_type": "custom",
            "weight": 1.10,
            "access_token": envelope_text(encrypt("token", place("access_token"), 2)),
            "credentials": {
                "sipUri": "sip:a@b",
                "password": "plain",
                "turnServers": [{"credential": encrypt("turn", place("credentials.turnServers[].credential"), 2)}],
            },
        }
        db.execute(
            "INSERT INTO callctl.saved_row (relation, row_id, contents) VALUES ('integration_accounts', %s, %s),"
            " ('ai_models', gen_random_uuid(), '{\"description\": \"a secret description\"}')",
            (account, Jsonb(row)),
        )
        value = {"voiceId": "alloy", "apiKey": encrypt("key", Place(owner, "chatbots", bot, "settings.call.apiKey"), 2)}
        db.execute(
            "INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value)"
            " VALUES (%s, 'settings.call', 'down', %s), (%s, 'capabilities', 'down', '{}')",
            (bot, Jsonb(value), bot),
        )
        with connect(url) as other:
            under = {key.id: key.saved for key in key_use.keys(other, settings).keys}
        assert under == {"k2": 0, "k1": 3}
        rotated = rotate(settings)
        assert rotated.failures == 0
        decrypter = Decrypter(ring)
        contents = one(db, "SELECT contents FROM callctl.saved_row WHERE row_id = %s", account)

        def opened(found: object, where: Place) -> tuple[str, str, int]:
            envelope = read_envelope(found)
            assert envelope is not None
            held = decrypter.decrypt(envelope, where)
            return held.plaintext, held.key.id, held.version

        assert opened(contents["access_token"], place("access_token")) == ("token", "k2", 2)
        assert opened(contents["credentials"]["password"], place("credentials.password")) == ("plain", "k2", 1)
        turn = contents["credentials"]["turnServers"][0]["credential"]
        assert opened(turn, place("credentials.turnServers[].credential")) == ("turn", "k2", 2)
        assert contents["credentials"]["sipUri"] == "sip:a@b"
        assert one(db, "SELECT contents ->> 'weight' FROM callctl.saved_row WHERE row_id = %s", account) == "1.1"
        saved = one(db, "SELECT value FROM callctl.saved_value WHERE field = 'settings.call'")
        assert opened(saved["apiKey"], Place(owner, "chatbots", bot, "settings.call.apiKey")) == ("key", "k2", 2)
        assert saved["voiceId"] == "alloy"
        description = one(db, "SELECT contents ->> 'description' FROM callctl.saved_row WHERE relation = 'ai_models'")
        assert json.loads(description)["kid"] == "k2"


def test_declared_fields_of_other_tables_are_rotated_where_there_are_no_accounts(documented: str, keys: Path) -> None:
    settings = accounts.settings_of(documented, keys)
    with connect(documented) as db:
        with pytest.raises(Refused, match="no table integration_accounts"):
            rotate(settings)
        db.execute('CREATE TABLE chatapp.tokens (id text PRIMARY KEY, "Odd % name" text, config jsonb)')
        db.execute(
            "INSERT INTO chatapp.tokens"
            " SELECT 'id ' || n, 'text', '{\"a\": [{\"b\": \"c\"}]}' FROM generate_series(1, 30) AS n"
        )
        fields = (SecretField("tokens", None, "Odd % name"), SecretField("tokens", None, "config", ("a", "[]", "b")))
        settings = accounts.settings_of(documented, keys, secret_fields=fields, batch_size=7)
        assert key_use.look(db, settings).counted.due == 60
        assert rotate(settings).values == 60
        assert one(db, "SELECT count(*) FROM chatapp.tokens WHERE config #>> '{a,0,b,kid}' = 'k2'") == 30
        for mistake, text in (
            (SecretField("tokens", None, "config"), "needs a text column"),
            (SecretField("tokens", None, "id", ("a",)), "needs a jsonb column"),
        ):
            with pytest.raises(Refused, match=text):
                rotate(accounts.settings_of(documented, keys, secret_fields=(mistake,)))
        db.execute("ALTER TABLE chatapp.tokens DROP CONSTRAINT tokens_pkey")
        with pytest.raises(Refused, match="no primary key"):
            rotate(settings)


def test_another_key_under_a_known_id_is_refused_before_anything(url: str, keys: Path, tmp_path: Path) -> None:
    rotate(accounts.settings_of(url, keys))
    (tmp_path / "k1").symlink_to(accounts.key_file(keys, "k2"))
    settings = accounts.settings_of(url, tmp_path, "k3", "k1")
    with connect(url) as db:
        before = accounts.versions(db)
        for ask in (lambda: rotate(settings), lambda: key_use.look(db, settings), lambda: key_use.keys(db, settings)):
            with pytest.raises(ConfigError, match=r"key k1 .* does not match the key recorded under that id"):
                ask()
        assert accounts.versions(db) == before
        assert one(db, "SELECT count(*) FROM callctl.rotation") == 1


def test_a_migration_and_a_rotation_hold_each_other_off(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, lock_wait_ms=100)
    with lock.MigrationLock(settings), pytest.raises(LockHeld, match=r"another callctl .*callctl lock"):
        rotate(settings)
    with lock.at_work(settings), pytest.raises(LockHeld):
        rotate(settings)
    refusals: list[LockHeld] = []

    def migrating(event: Event) -> None:
        if isinstance(event, Notice) or refusals:
            return
        try:
            migrate.up(settings)
        except LockHeld as refused:
            refusals.append(refused)

    rotate(settings, on_event=migrating)
    assert ", callctl rotate-secrets, " in refusals[0].message


def test_a_rotation_that_was_left_for_another_key_is_given_up(url: str, keys: Path) -> None:
    first, second = accounts.settings_of(url, keys, "k2", "k1"), accounts.settings_of(url, keys, "k3", "k2", "k1")

    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="every value can be decrypted"):
        rotate(first, on_event=stop)
    events: list[Event] = []
    rotated: Rotated = rotate(second, on_event=events.append)
    assert rotated.failures == 0
    assert any(isinstance(event, Notice) and "this rotation replaces it" in event.text for event in events)
    with connect(url) as db:
        outcomes = "SELECT array_agg(outcome ORDER BY id) FROM callctl.rotation"
        assert one(db, outcomes) == ["given up", "done"]
        assert {each.key for each in accounts.seen(db, accounts.ring_of(second)).values()} == {"k3"}


def test_a_rotation_that_a_migration_came_between_begins_anew(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)

    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    with connect(url) as db:
        before = plaintexts(accounts.seen(db, ring))
        with pytest.raises(Interrupted):
            rotate(settings, on_event=stop)
        migrate.down(settings, to=8)
        assert rotate(settings).rows_read == ACCOUNTS
        migrate.up(settings, to=9)
        after = accounts.seen(db, ring)
        assert (plaintexts(after), {each.key for each in after.values()}) == (before, {"k2"})


def test_what_was_saved_may_be_gone_when_a_rotation_goes_on(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, secret_fields=(SecretField("ai_models", None, "description"),))

    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    with connect(url) as db:
        db.execute(
            "INSERT INTO callctl.saved_row (relation, row_id, contents) VALUES ('ai_models', gen_random_uuid(), '{}')"
        )
        with pytest.raises(Interrupted):
            rotate(settings, on_event=stop)
        assert one(db, "SELECT count(*) FROM callctl.rotation_range WHERE target = 'saved rows of ai_models'") == 1
        db.execute("DELETE FROM callctl.saved_row")
        assert rotate(settings).joined
        assert one(db, "SELECT outcome FROM callctl.rotation") == "done"
