"""New webhook secrets: in the file before they are in the database; the previous ones kept, and put back."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.support.db import accounts

from callctl.config.settings import Settings
from callctl.database import lock, purge
from callctl.database.lock import WEBHOOK_CLASS
from callctl.errors import ConfigError, Interrupted, LockHeld, Refused, StepFailed
from callctl.events import Event, RotationProgress, Waiting, ignore
from callctl.migration import migrate
from callctl.secrets.envelope.cipher import BOUND, Decrypter, Place, read_envelope
from callctl.secrets.inventory import key_retirement, key_use
from callctl.secrets.rotation.rotate import rotate
from callctl.secrets.rows import tables
from callctl.secrets.webhooks import accounts as webhooks_accounts
from callctl.secrets.webhooks.accounts import ROWS_AT_ONCE, Scope
from callctl.secrets.webhooks.replace import Done, put_back, replace

pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]

ALL = Scope()
HOUR = timedelta(hours=1)
WITHOUT = 20
BATCH = ROWS_AT_ONCE


def give(db: Database) -> dict[str, str]:
    """Give most accounts a webhook secret; returns those of live accounts, by id."""
    db.execute(
        "UPDATE chatapp.integration_accounts SET webhook_secret = 'canary-4f1d ' || id,"
        " webhook_url = 'https://hooks.example/' || id WHERE id NOT IN"
        " (SELECT id FROM chatapp.integration_accounts WHERE deleted_at IS NULL ORDER BY id LIMIT %s)",
        (WITHOUT,),
    )
    return current(db)


def current(db: Database) -> dict[str, str]:
    return dict(
        db.execute(
            "SELECT id::text, webhook_secret FROM chatapp.integration_accounts"
            " WHERE deleted_at IS NULL AND webhook_secret IS NOT NULL"
        ).fetchall()
    )


def one(db: Database, query: str, *values: object) -> Any:
    row = db.execute(query.encode(), values).fetchone()
    return row and row[0]


def lines(file: Path) -> dict[str, str]:
    """The file as a reader takes it: of two lines about an account the later one counts."""
    found = [json.loads(line) for line in file.read_text().splitlines()]
    return {each["account_id"]: each["webhook_secret"] for each in found}


def new(settings: Settings, file: Path, scope: Scope = ALL, **options: Any) -> Done:
    return replace(settings, scope, file=str(file), grace=options.pop("grace", HOUR), **options)


def stop_after(number: int) -> Callable[[Event], None]:
    """Ctrl-C after so many batches."""
    seen: list[Event] = []

    def on_event(event: Event) -> None:
        if isinstance(event, RotationProgress):
            seen.append(event)
            if len(seen) == number:
                raise KeyboardInterrupt

    return on_event


def test_new_ones_are_in_the_file_and_the_previous_ones_go_back(url_of_each: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url_of_each, keys)
    file = tmp_path / "new.jsonl"
    with connect(url_of_each) as db:
        before = give(db)
        gone = "SELECT array_agg(webhook_secret ORDER BY id) FROM chatapp.integration_accounts"
        gone += " WHERE deleted_at IS NOT NULL"
        deleted = one(db, gone)
        rest = "SELECT md5(string_agg((to_jsonb(t) - '{webhook_secret,updated_at}'::text[])::text, '' ORDER BY id))"
        rest += " FROM chatapp.integration_accounts AS t"
        others = one(db, rest)
        done = new(settings, file)
        after = current(db)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert lines(file) == after
        assert set(after) == set(before)
        assert all(len(bytes.fromhex(secret)) == 32 for secret in after.values())
        assert len(set(after.values())) == len(after) > 2 * BATCH
        assert (one(db, gone), one(db, rest)) == (deleted, others)
        assert (done.deleted, done.without, done.left, done.file) == (len(deleted), WITHOUT, (), file)
        assert {each.account_id: each.fingerprint for each in done.accounts} == {
            id: tables.fingerprint(secret) for id, secret in after.items()
        }
        assert not any(secret in repr(done) for secret in (accounts.CANARY, *after.values()))
        ledger = "SELECT kind, to_key, fields, outcome, counts ->> 'accounts', failures FROM callctl.rotation"
        assert db.execute(ledger).fetchall() == [("webhook_secrets", "k2", "all accounts", "done", str(len(after)), 0)]
        # What is kept is encrypted, bound to its place, counted, and under a key like everything else.
        kept = db.execute(
            "SELECT account_id::text, company_id::text, webhook_secret, keep_until - kept_at"
            " FROM callctl.kept_webhook_secret"
        ).fetchall()
        decrypter = Decrypter(accounts.ring_of(settings))
        for id, company, encrypted, period in kept:
            envelope = read_envelope(encrypted)
            assert envelope is not None
            assert (envelope.key_id, envelope.version, period) == ("k2", BOUND, HOUR)
            place = Place(company, "integration_accounts", id, "webhook_secret")
            assert decrypter.decrypt(envelope, place).plaintext == before[id]
        assert len(kept) == len(before)
        assert one(db, "SELECT encryptions FROM callctl.encryption_key WHERE id = 'k2'") == len(before)
        assert key_use.keys(db, settings).keys[0].saved == len(before)
        assert len(key_use.look(db, settings).kept) == len(before)
        later = accounts.settings_of(url_of_each, keys, "k3", "k2", "k1")
        with pytest.raises(Refused, match="kept webhook secrets, webhook_secret: under it"):
            key_retirement.retire(later, "k2")
        assert rotate(later).failures == 0
        key_retirement.retire(later, "k2")
        # Back, with the key that they are under now alone.
        alone = accounts.settings_of(url_of_each, keys, "k3")
        back = put_back(alone, ALL)
        assert (len(back.accounts), back.left) == (len(before), ())
        assert current(db) == before
        assert one(db, "SELECT count(*) FROM callctl.kept_webhook_secret") == 0
        assert put_back(alone, ALL).accounts == ()
        assert current(db) == before


def test_what_the_application_changed_since_is_not_overwritten(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        before = give(db)
        new(settings, tmp_path / "new")
        after = current(db)
        changed, moved, tampered, forgotten, unknown = sorted(before)[:5]
        db.execute("UPDATE chatapp.integration_accounts SET webhook_secret = 'own' WHERE id = %s", (changed,))
        db.execute(
            "UPDATE chatapp.integration_accounts SET company_id ="
            " (SELECT id FROM chatapp.companies WHERE id <> company_id ORDER BY id LIMIT 1) WHERE id = %s",
            (moved,),
        )
        db.execute(
            "UPDATE callctl.kept_webhook_secret SET webhook_secret = CASE account_id"
            " WHEN %s THEN jsonb_set(webhook_secret::jsonb, '{authTag}', to_jsonb(repeat('00', 16)))::text"
            " WHEN %s THEN jsonb_set(webhook_secret::jsonb, '{kid}', '\"k9\"')::text ELSE webhook_secret END",
            (tampered, unknown),
        )
        db.execute("UPDATE chatapp.integration_accounts SET webhook_secret = NULL WHERE id = %s", (forgotten,))
        back = put_back(settings, ALL)
        assert {each.account_id: each.reason.split(",")[0].split(":")[0] for each in back.left} == {
            changed: "another program changed its secret since",
            forgotten: "another program changed its secret since",
            moved: "it belongs to another company now",
            tampered: "the kept secret does not decrypt",
            unknown: "the kept secret does not decrypt",
        }
        expected = {**before, changed: "own", moved: after[moved], tampered: after[tampered], unknown: after[unknown]}
        del expected[forgotten]
        assert current(db) == expected
        assert one(db, "SELECT count(*) FROM callctl.kept_webhook_secret") == 5
        assert one(db, "SELECT count(*) FROM callctl.rotation_failure") == 5
        assert one(db, "SELECT failures FROM callctl.rotation WHERE kind = 'webhook_secrets_back'") == 5


def test_each_time_goes_one_further_back(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        before = give(db)
        id = min(before)
        company = one(db, "SELECT company_id::text FROM chatapp.integration_accounts WHERE id = %s", id)
        new(settings, tmp_path / "1", Scope(account=id))
        first = current(db)
        assert {each for each in before if before[each] != first[each]} == {id}
        new(settings, tmp_path / "2", Scope(company=company))
        mine = {
            each
            for (each,) in db.execute(
                "SELECT id::text FROM chatapp.integration_accounts WHERE company_id = %s", (company,)
            ).fetchall()
        }
        second = current(db)
        assert {each for each in first if first[each] != second[each]} == mine & set(before)
        put_back(settings, Scope(company=company))
        assert current(db) == first
        put_back(settings, Scope(account=id))
        assert current(db) == before


def test_a_run_that_was_stopped_goes_on_and_none_is_done_twice(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        before = give(db)
        with pytest.raises(Interrupted, match=f"{BATCH} of {len(before)} accounts are done") as stopped:
            new(settings, tmp_path / "1", on_event=stop_after(1))
        assert "another file" in (stopped.value.hint or "")
        first = lines(tmp_path / "1")
        assert (len(first), first) == (BATCH, {id: current(db)[id] for id in first})
        done = new(settings, tmp_path / "2")
        assert (done.before, len(done.accounts)) == (BATCH, len(before) - BATCH)
        second = lines(tmp_path / "2")
        assert not set(first) & set(second)
        after = current(db)
        assert {**first, **second} == after
        assert one(db, "SELECT count(*) FROM callctl.kept_webhook_secret") == len(before)
        # On the way back as well: the second run must not go further back than the first.
        with pytest.raises(Interrupted, match=f"{BATCH} of {len(before)} accounts are done"):
            put_back(settings, ALL, on_event=stop_after(1))
        assert put_back(settings, ALL).before == BATCH
        assert current(db) == before
        # One that is about something else takes the place of one that was stopped.
        with pytest.raises(Interrupted):
            new(settings, tmp_path / "3", on_event=stop_after(1))
        half = len(lines(tmp_path / "3"))
        assert len(put_back(settings, ALL).accounts) == half
        assert current(db) == before
        outcomes = "SELECT array_agg(outcome ORDER BY id) FROM callctl.rotation"
        assert one(db, outcomes) == ["done", "done", "given up", "done"]
        assert len(new(settings, tmp_path / "4").accounts) == len(before)


def test_what_fails_after_the_file_was_written_is_taken_out_of_it(
    url: str, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = accounts.settings_of(url, keys, lock_wait_ms=500)
    file = tmp_path / "new"
    with connect(url) as db:
        before = give(db)
        kept = "SELECT count(*) FROM callctl.kept_webhook_secret"

        def untouched() -> bool:
            return current(db) == before and one(db, kept) == 0 and not file.exists()

        # The server refuses: a CHECK, and a trigger that changes the value without a word.
        add = "ALTER TABLE chatapp.integration_accounts ADD CONSTRAINT c CHECK (length(webhook_secret) <> 64)"
        db.execute(add)
        with pytest.raises(StepFailed, match=r"a check constraint is violated(.|\n)*nothing was changed"):
            new(settings, file)
        assert untouched()
        db.execute("ALTER TABLE chatapp.integration_accounts DROP CONSTRAINT c")
        db.execute(
            "CREATE FUNCTION chatapp.own() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.webhook_secret = OLD.webhook_secret; RETURN NEW; END $$;"
            "CREATE TRIGGER own BEFORE UPDATE ON chatapp.integration_accounts"
            " FOR EACH ROW EXECUTE FUNCTION chatapp.own()"
        )
        with pytest.raises(
            StepFailed, match=r"100 rows of chatapp\.integration_accounts are not stored as callctl wrote them"
        ):
            new(settings, file)
        assert untouched()
        db.execute("DROP TRIGGER own ON chatapp.integration_accounts")

        # The disk is full, at the second batch.
        fsync, calls = os.fsync, []

        def full(descriptor: int) -> None:
            calls.append(descriptor)
            if len(calls) == 3:  # the first batch, its directory, the second
                raise OSError(28, "No space left on device")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match=f"no space left on device; {BATCH} of") as problem:
            new(settings, file)
        monkeypatch.undo()
        assert "another file" in (problem.value.hint or "")
        first = lines(file)
        assert len(first) == BATCH == one(db, kept)
        assert {id: current(db)[id] for id in first} == first

        # Ctrl-C between the file and the commit.
        reached = webhooks_accounts.run_reached

        def stop(*arguments: Any) -> None:
            reached(*arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(webhooks_accounts, "run_reached", stop)
        with pytest.raises(Interrupted, match="nothing was changed"):
            new(settings, tmp_path / "2")
        monkeypatch.undo()
        assert not (tmp_path / "2").exists()

        # The connection breaks at the commit: nobody can know, so the lines stay, and the next run's count.
        def cut(connection: Database, *arguments: Any) -> None:
            reached(connection, *arguments)
            db.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))

        monkeypatch.setattr(webhooks_accounts, "run_reached", cut)
        with pytest.raises(StepFailed, match="the next run finds out"):
            new(settings, tmp_path / "3")
        monkeypatch.undo()
        third = lines(tmp_path / "3")
        assert len(third) == BATCH
        done = new(settings, tmp_path / "4")
        assert done.before == BATCH
        assert {**first, **third, **lines(tmp_path / "4")} == current(db)


def test_killed_between_the_file_and_the_commit(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        give(db)
        db.execute(
            "CREATE FUNCTION chatapp.slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;"
            "CREATE TRIGGER slow BEFORE UPDATE OF webhook_secret ON chatapp.integration_accounts"
            " FOR EACH STATEMENT EXECUTE FUNCTION chatapp.slow()"
        )
        config = tmp_path / "callctl.yaml"
        ring = ", ".join(f"{{id: {id}, file: {accounts.key_file(keys, id)}}}" for id in ("k2", "k1"))
        config.write_text(f"keys: {{primary: k2, ring: [{ring}]}}\n")
        file = tmp_path / "new.jsonl"
        command = "rotate-secrets --webhook-secrets --all --yes --to-file"
        process = subprocess.Popen(
            [sys.executable, "-m", "callctl", "--config", str(config), *command.split(), str(file)],
            env={**os.environ, "CALLCTL_DATABASE_URL": url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        asleep = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        while (pid := one(db, asleep)) is None:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        lost = lines(file)
        assert len(lost) == BATCH
        one(db, "SELECT pg_terminate_backend(%s)", pid)
        db.execute("DROP TRIGGER slow ON chatapp.integration_accounts")
        done = new(settings, tmp_path / "second")
        after = current(db)
        assert done.before == 0
        assert not set(lost.values()) & set(after.values())
        assert {**lost, **lines(tmp_path / "second")} == after


def test_an_account_that_the_application_is_writing_is_waited_for(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db, psycopg.connect(url) as application:
        before = give(db)
        id, deleted = sorted(before)[:2]
        application.execute("UPDATE chatapp.integration_accounts SET webhook_secret = 'its own' WHERE id = %s", (id,))
        application.execute("UPDATE chatapp.integration_accounts SET deleted_at = now() WHERE id = %s", (deleted,))
        waited: list[Event] = []

        def on_event(event: Event) -> None:
            if isinstance(event, Waiting) and not waited:
                waited.append(event)
                application.commit()

        done = new(settings, tmp_path / "new", on_event=on_event)
        assert waited
        assert len(done.accounts) == len(before) - 1
        assert (
            one(db, "SELECT webhook_secret FROM chatapp.integration_accounts WHERE id = %s", deleted) == before[deleted]
        )
        put_back(settings, ALL)
        assert current(db)[id] == "its own"


def test_one_at_a_time_and_never_beside_a_migration(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys, lock_wait_ms=100)
    with connect(url) as db:
        before = give(db)
        with lock.at_work(settings), pytest.raises(LockHeld):
            new(settings, tmp_path / "new")
        with connect(url) as other:
            other.execute("SELECT pg_advisory_lock(%s, 0)", (WEBHOOK_CLASS,))
            for wait in (False, True):
                with pytest.raises(LockHeld, match="another callctl is replacing or restoring webhook secrets"):
                    new(settings, tmp_path / "new", wait=wait)
            with pytest.raises(LockHeld):
                put_back(settings, ALL)
        assert (current(db), (tmp_path / "new").exists()) == (before, False)
        # A rotation of the credentials may run beside it: here in the middle of one.
        done: list[Done] = []

        def beside(event: Event) -> None:
            if not done:
                done.append(new(accounts.settings_of(url, keys), tmp_path / "new"))

        assert rotate(settings, on_event=beside).failures == 0
        assert lines(tmp_path / "new") == current(db)


def test_what_is_refused_changes_nothing(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    nobody = "00000000-0000-4000-8000-000000000001"
    with connect(url) as db:
        before = give(db)
        empty = one(db, "SELECT min(id::text) FROM chatapp.integration_accounts WHERE webhook_secret IS NULL")
        deleted = one(db, "SELECT min(id::text) FROM chatapp.integration_accounts WHERE deleted_at IS NOT NULL")
        there = tmp_path / "there"
        there.write_text("mine")
        (tmp_path / "link").symlink_to(tmp_path / "nowhere")
        refusals: tuple[tuple[type[Exception], str, Path, Scope], ...] = (
            (Refused, "there is no integration account", tmp_path / "new", Scope(account=nobody)),
            (Refused, "company .* has no account", tmp_path / "new", Scope(company=nobody)),
            (Refused, "has no webhook secret to replace", tmp_path / "new", Scope(account=empty)),
            (Refused, "is soft-deleted, and callctl skips such accounts", tmp_path / "new", Scope(account=deleted)),
            (Refused, "already exists", there, ALL),
            (Refused, "already exists", tmp_path / "link", ALL),
            (ConfigError, "cannot write .*no such file or directory", tmp_path / "no" / "new", ALL),
        )
        for kind, text, file, scope in refusals:
            with pytest.raises(kind, match=text) as refused:
                new(settings, file, scope)
            assert getattr(refused.value, "hint", None)
        with pytest.raises(Refused, match="callctl keeps no webhook secret of"):
            put_back(settings, Scope(account=min(before)))
        assert there.read_text() == "mine"
        assert not (tmp_path / "new").exists()
        assert not (tmp_path / "nowhere").exists()
        assert current(db) == before
        assert one(db, "SELECT count(*) FROM callctl.rotation") == 0
        migrate.down(settings, to=8)
        with pytest.raises(Refused, match="is archived; nothing was changed"):
            new(settings, tmp_path / "new")
        with pytest.raises(Refused, match="is archived; nothing was changed"):
            put_back(settings, ALL)
        migrate.up(settings, to=9)
        assert current(db) == before


def test_a_grace_period_ends(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        before = give(db)
        soon, later = sorted(before)[:2]
        new(settings, tmp_path / "1", Scope(account=soon), grace=timedelta(milliseconds=1))
        new(settings, tmp_path / "2", Scope(account=later))
        with pytest.raises(Refused, match="callctl keeps no webhook secret"):
            put_back(settings, Scope(account=soon))
        assert [each.account_id for each in tables.kept_webhook_secrets(db)] == [later]  # the second run took it away
        new(settings, tmp_path / "3", Scope(account=soon), grace=timedelta(milliseconds=1))
        assert rotate(settings).failures == 0
        assert [each.account_id for each in tables.kept_webhook_secrets(db)] == [later]
        # purge deletes what is kept, whatever its time; with a schema of an older callctl it works as well.
        saved = {each.kind: each.rows for each in purge.purge(settings)}
        assert saved["kept webhook secrets"] == 1
        assert tables.kept_webhook_secrets(db) == ()
        db.execute("DROP TABLE callctl.kept_webhook_secret")
        assert key_use.look(db, settings).kept == ()
        assert put_back(settings, ALL, on_event=ignore).accounts == ()
        assert one(db, "SELECT count(*) FROM callctl.kept_webhook_secret") == 0
