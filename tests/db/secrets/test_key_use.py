"""The keys of a database: what is under each, which may be retired, and how much each has encrypted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.db.secrets.test_rotation_together import configuration
from tests.support.db import accounts

from callctl.database import lock
from callctl.errors import ConfigError, Interrupted, LockHeld, Refused
from callctl.events import Event, Notice, ignore
from callctl.migration import migrate
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.cipher import Encrypter, Place
from callctl.secrets.envelope.key_ledger import Encryptions
from callctl.secrets.inventory import key_retirement, key_use
from callctl.secrets.rotation.rotate import rotate
from callctl.secrets.rotation.worker import Job, at_the_rotation

pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]


def test_a_key_is_retired_only_when_nothing_is_under_it(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    encrypt = Encrypter(ring.keys["k1"]).encrypt
    nowhere = Place("", "", "", "")
    with connect(url) as db:

        def refused() -> str:
            with pytest.raises(Refused, match=r"key k1 cannot be retired: [1-9]") as error:
                key_retirement.retire(settings, "k1")
            assert accounts.CANARY not in error.value.message
            return error.value.message

        assert "in integration_accounts, credentials.password: under it" in refused()
        migrate.down(settings, to=8)
        assert "in archived integration_accounts, access_token: under it" in refused()
        migrate.up(settings, to=9)
        rotate(settings)
        # Outside the declared fields: in a settings document, in text, in what callctl saved.
        db.execute(
            "UPDATE chatapp.chatbots SET settings = %s WHERE id = (SELECT min(id::text)::uuid FROM chatapp.chatbots)",
            (Jsonb({"call": {"apiKey": encrypt("x", nowhere, 1)}}),),
        )
        assert "1 in chatbots, settings.call.apiKey: under it, outside the declared fields" in refused()
        db.execute("UPDATE chatapp.chatbots SET settings = '{}'")
        db.execute(
            "INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, left_there)"
            " SELECT id, 'settings.call', 'down', %s FROM chatapp.chatbots LIMIT 1",
            (Jsonb({"apiKey": accounts.bare(ring, "x")}),),
        )
        assert "1 in saved_value of chatbots, settings.call.apiKey: under it, outside" in refused()
        db.execute("DELETE FROM callctl.saved_value")
        # One without a key id that no key opens may be under it.
        account = db.execute("SELECT id FROM chatapp.integration_accounts WHERE access_token IS NOT NULL").fetchone()
        unknown = {**accounts.bare(ring, "x"), "authTag": "00" * 16}
        import json

        db.execute(
            "UPDATE chatapp.integration_accounts SET access_token = %s WHERE id = %s",
            (json.dumps(unknown), account and account[0]),
        )
        assert "has no key id, and no key of the ring decrypts it" in refused()
        db.execute(
            "UPDATE chatapp.integration_accounts SET access_token = NULL WHERE id = %s", (account and account[0],)
        )
        with pytest.raises(Refused, match="is primary"):
            key_retirement.retire(settings, "k2")
        with pytest.raises(Refused, match=r"neither callctl\.yaml nor this database has a key k7"):
            key_retirement.retire(settings, "k7")
        with lock.MigrationLock(settings, shared=True), pytest.raises(LockHeld):
            key_retirement.retire(settings, "k1")
        assert db.execute("SELECT count(retired_at) FROM callctl.encryption_key").fetchone() == (0,)
        done = key_retirement.retire(settings, "k1")
        assert "callctl does not know when the last backup was taken" in done.warnings[0]
        again = key_retirement.retire(
            accounts.settings_of(url, keys, backup_taken_at=datetime(2020, 1, 1, tzinfo=UTC)), "k1"
        )
        assert again.retired_at == done.retired_at
        assert "is older than the last rotation" in again.warnings[0]
        # It still reads; it encrypts nothing.
        rotate(settings)
        with pytest.raises(ConfigError, match=r"key k1 is primary in callctl\.yaml but was retired"):
            rotate(accounts.settings_of(url, keys, "k1", "k2"))
        # Out of callctl.yaml, it is still known.
        found = key_use.keys(db, accounts.settings_of(url, keys, "k2"))
        assert [(key.id, key.state) for key in found.keys] == [("k2", "primary"), ("k1", "retired")]


def test_the_keys_and_what_is_under_each(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, "k2", "k1", "k3")
    with connect(url) as db:
        seen = accounts.seen(db, accounts.ring_of(settings))
        before = key_use.keys(db, settings)
        assert [(key.id, key.state, key.encryptions) for key in before.keys] == [
            ("k2", "primary", 0), ("k1", "legacy", 0), ("k3", "in the ring", 0),
        ]  # fmt: skip
        k2 = sum(each.key == "k2" for each in seen.values())
        assert (before.keys[0].live, before.plaintext + before.keys[1].live) == (k2, len(seen) - k2)
        rotate(settings)
        after = key_use.keys(db, settings)
        assert [key.live for key in after.keys] == [len(seen), 0, 0]
        assert (after.plaintext, after.unreadable, after.keys[0].encryptions) == (0, 0, len(seen) - k2)
        # Without the key it was under, its values are unreadable; without any, only their shape is known.
        other = accounts.settings_of(url, keys, "k3")
        assert key_use.keys(db, other).unreadable == len(seen)
        found = key_use.look(db, accounts.settings_of(url, keys, keys=None))
        assert {(use.state, use.key) for use in found.counted.uses} == {("sealed", "k2")}


def test_encryptions_are_counted_and_bounded(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, batch_size=20)
    rotate(settings)
    other = accounts.settings_of(url, keys, "k1", "k2", batch_size=20)
    ring = accounts.ring_of(other)
    count = "UPDATE callctl.encryption_key SET encryptions = %s WHERE id = 'k1' RETURNING id"
    left = "SELECT encryptions FROM callctl.encryption_key WHERE id = 'k1'"
    with connect(url) as db:
        values = len(accounts.seen(db, ring))
        db.execute(count.encode(), (2**32 - values // 2,))
        events: list[Event] = []
        with pytest.raises(Refused, match="the safe limit of one key"):
            rotate(other, on_event=events.append)
        assert any(isinstance(event, Notice) and "SP 800-38D" in event.text for event in events)
        # All that was allowed was counted, no more was encrypted than was counted, and what is committed can be read.
        under = [each.key for each in accounts.seen(db, ring).values()]
        assert 0 < under.count("k1") <= values // 2
        assert (db.execute(left.encode()).fetchone() or (0,))[0] <= 2**32
        db.execute(count.encode(), (0,))
        rotate(other)
        assert {each.key for each in accounts.seen(db, ring).values()} == {"k1"}
        # What was counted and not made is given back.
        assert db.execute(left.encode()).fetchone() == (values - under.count("k1"),)
        # One more than the most is not to be had.
        db.execute(count.encode(), (2**32 - 1,))
        allowance = Encryptions(other, db, ring.primary, events.append)
        assert allowance.reserve() == 1
        with pytest.raises(Refused):
            allowance.reserve()


RETIRE = "UPDATE callctl.encryption_key SET retired_at = now() WHERE id = 'k2' RETURNING encryptions"


def test_a_key_that_is_retired_during_a_rotation_encrypts_nothing_from_then_on(
    url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than was counted by then; what is committed can be read, and another primary key takes over."""
    monkeypatch.setattr(key_ledger, "FIRST_ALLOWANCE", 100)
    monkeypatch.setattr(key_ledger, "LARGEST_ALLOWANCE", 100)
    settings = accounts.settings_of(url, keys, batch_size=20)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        before = accounts.seen(db, ring)
        counted: list[int] = []
        reserve = Encryptions.reserve

        def retired(self: Encryptions) -> int:
            """As ``keys retire`` would, if it did not wait for the rotation to end."""
            allowed = reserve(self)
            counted.extend(row[0] for row in db.execute(RETIRE).fetchall() if not counted)
            return allowed

        monkeypatch.setattr(Encryptions, "reserve", retired)
        with pytest.raises(Refused, match="retired key k2 during this run") as refused:
            rotate(settings)
        assert "make another key primary" in (refused.value.hint or "")
        after = accounts.seen(db, ring)
        assert {where: each.plaintext for where, each in after.items()} == {
            where: each.plaintext for where, each in before.items()
        }
        assert counted == [100]
        assert sum(after[where] != each for where, each in before.items()) <= 100
        assert db.execute("SELECT encryptions FROM callctl.encryption_key WHERE id = 'k2'").fetchall() == [(100,)]
        # What was counted and not made is given back all the same.
        Encryptions(settings, db, ring.primary, ignore).give_back(40)
        assert db.execute("SELECT encryptions FROM callctl.encryption_key WHERE id = 'k2'").fetchall() == [(60,)]
        monkeypatch.undo()
        assert rotate(accounts.settings_of(url, keys, "k3", "k2", "k1")).failures == 0


def test_no_process_begins_with_a_retired_key(url: str, keys: Path) -> None:
    """Neither a rotation nor one that joins it, whatever has happened since the rotation began."""
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)

    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    with connect(url) as db:
        with pytest.raises(Interrupted):
            rotate(settings, on_event=stop)
        ((rotation,),) = db.execute("SELECT id FROM callctl.rotation").fetchall()
        before, (counted,) = accounts.versions(db), db.execute(RETIRE).fetchall()
        retired = r"key k2 is primary in callctl\.yaml but was retired in this database at"
        with pytest.raises(ConfigError, match=retired):
            rotate(settings)
        with (
            pytest.raises(ConfigError, match=retired),
            at_the_rotation(Job(settings, rotation, "keep"), ring, ignore),
        ):
            raise AssertionError("it has begun")
        with pytest.raises(ConfigError, match=retired), db.transaction():
            key_ledger.record(db, ring)
        with pytest.raises(ConfigError, match=retired):
            key_retirement.retire(settings, "k1")
        assert accounts.versions(db) == before
        kept = "SELECT encryptions FROM callctl.encryption_key WHERE retired_at IS NOT NULL"
        assert db.execute(kept).fetchall() == [counted]


@pytest.mark.parametrize(
    "held",
    [
        "LOCK TABLE callctl.encryption_key",
        "LOCK TABLE chatapp.integration_accounts",
        "LOCK TABLE chatapp.users",  # no declared field is there, but it is scanned as well
        "LOCK TABLE callctl.encryption_key IN EXCLUSIVE MODE",  # which can be read
        "SELECT FROM callctl.encryption_key FOR UPDATE",
    ],
)
def test_no_key_is_retired_while_another_session_holds_what_it_needs(
    url: str, keys: Path, tmp_path: Path, callctl: Callctl, held: str
) -> None:
    """It gives up after lock_wait, says what was in the way, and leaves the key as it was."""
    settings = accounts.settings_of(url, keys)
    rotate(settings)
    command = ("--config", configuration(tmp_path, keys), "keys", "retire", "k1", "--yes", "--lock-wait", "300ms")
    retired = "SELECT count(retired_at) FROM callctl.encryption_key"
    # A retirement that did not give up would go on when the server ends this session, and fail the test.
    with connect(url) as db, connect(url, options="-c idle_in_transaction_session_timeout=30s") as other:
        with other.transaction():
            other.execute(held.encode())
            code, out, err = callctl(url, *command)
        assert (code, out) == (5, ""), err
        assert "callctl: error: keys retire: a lock was not available in time (SQLSTATE 55P03)" in err
        assert "nothing was recorded" in err
        assert "callctl: hint: wait for the session that holds a lock on the table" in err
        assert db.execute(retired).fetchall() == [(0,)]
        with lock.MigrationLock(settings, shared=True):
            code, out, err = callctl(url, *command)
        assert (code, out) == (6, ""), err
        assert "callctl: error: another callctl is running on schema chatapp (pid " in err
        assert db.execute(retired).fetchall() == [(0,)]
        assert callctl(url, *command)[0] == 0
        assert db.execute(retired).fetchall() == [(1,)]
