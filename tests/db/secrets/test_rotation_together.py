"""A rotation among others: killed, interrupted, beside an application that writes, in several processes and places."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.conftest import connect
from tests.db.conftest import ACCOUNTS
from tests.support import processes
from tests.support.db import accounts

from callctl.database.lock import ROTATION_CLASS
from callctl.errors import Interrupted, LockHeld
from callctl.events import Event, Notice, RotationProgress, Waiting
from callctl.migration import migrate
from callctl.secrets.envelope.cipher import Encrypter, Place
from callctl.secrets.inventory import scan as inventory_scan
from callctl.secrets.inventory import scan_finder as secret_scan_finder
from callctl.secrets.rotation import batches as rotation_batches
from callctl.secrets.rotation import rotate as rotation_rotate
from callctl.secrets.rotation import worker as rotation_worker
from callctl.secrets.rotation.rotate import rotate

pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]

# Enough for several ranges.
MORE = 1_200

# Callctl's own update of this row waits for the test, which has the lock.
WAITS = """
CREATE FUNCTION public.waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') LIKE 'callctl%' THEN PERFORM pg_advisory_xact_lock_shared(4711); END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER waits BEFORE UPDATE ON chatapp.integration_accounts FOR EACH ROW WHEN (OLD.id = '{}')
EXECUTE FUNCTION public.waits();
"""
WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'callctl rotate'"
    " AND wait_event_type = 'Lock' AND wait_event = 'advisory'"
)
SCANNING = (
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'callctl rotate'"
    " AND pid <> %s AND xact_start IS NOT NULL"
)
# The scan waits for a table; the sessions of a rotation; those that hold a table that they have read.
SCAN_WAITS = WAITING.replace("wait_event = 'advisory'", "wait_event = 'relation'")
AT_IT = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'callctl rotate'"
SCANNED = (
    "SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE l.relation = %s::regclass"
    " AND a.application_name = 'callctl rotate'"
)
# Rows that a rotation has to write.
DUE = """
SELECT id::text FROM chatapp.integration_accounts
WHERE concat(credentials, access_token, refresh_token) ~ '"kid": *"k1"|[:] "canary'
"""


def ids(db: Database) -> list[str]:
    rows = db.execute("SELECT id::text FROM chatapp.integration_accounts ORDER BY id").fetchall()
    return [row[0] for row in rows]


def configuration(directory: Path, keys: Path, *primary: str) -> str:
    """A settings file with the keys of these tests."""
    lines = ["keys:", f"  primary: {primary[0] if primary else 'k2'}", "  ring:"]
    for id in ("k2", "k1"):
        lines.append(f"    - {{id: {id}, file: {accounts.key_file(keys, id)}, legacy: {str(id == 'k1').lower()}}}")
    file = directory / "callctl.yaml"
    file.write_text("\n".join([*lines, ""]))
    return str(file)


@contextmanager
def stopped_at(url: str, config: str, position: int, *more: str) -> Iterator[tuple[Any, Database]]:
    """A callctl that waits in the middle of the batch with that row, and a connection beside it."""
    with connect(url) as db, connect(url) as holder:
        due = {row[0] for row in db.execute(DUE).fetchall()}
        found = [id for id in ids(db) if id in due]
        db.execute(WAITS.format(found[position * len(found) // ACCOUNTS] if position else found[0]).encode())
        holder.execute("SELECT pg_advisory_lock(4711)")
        process = processes.start(
            url, "--config", config, "rotate-secrets", "--yes", "--batch-size", "30", "--lock-hold", "60s",
            "--lock-timeout", "60s", *more,
        )  # fmt: skip
        processes.until(lambda: db.execute(WAITING).fetchone(), "callctl in the batch")
        yield process, db
        holder.execute("SELECT pg_advisory_unlock(4711)")
        db.execute("DROP TRIGGER waits ON chatapp.integration_accounts")
        db.execute("DROP FUNCTION public.waits()")


@pytest.mark.parametrize("position", [0, 200, ACCOUNTS - 1])
def test_killed_in_the_middle_it_goes_on_from_there(url: str, keys: Path, tmp_path: Path, position: int) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    with connect(url) as watch:
        before, rest = accounts.seen(watch, ring), accounts.rest(watch)
        with stopped_at(url, configuration(tmp_path, keys), position) as (process, db):
            process.send_signal(signal.SIGKILL)
            processes.finish(process)
            # Every value can be read, at every moment.
            between = accounts.seen(db, ring)
            assert {where: each.plaintext for where, each in between.items()} == {
                where: each.plaintext for where, each in before.items()
            }
            half = {
                id: version
                for id, version in accounts.versions(db).items()
                if version[1].year > 2026 or version[1].month > 1
            }
            assert (len(half) > 0) == (position > 0)
            if position == 200:
                # A migration meets what the killed one left on the server, and sees it end.
                assert migrate.up(settings, to=9).steps == ()
        events: list[Event] = []
        rotated = rotate(settings, on_event=events.append)
        assert rotated.joined
        assert any(isinstance(event, Notice) and "resuming rotation" in event.text for event in events)
        after = accounts.seen(watch, ring)
        assert {where: (each.plaintext, each.key) for where, each in after.items()} == {
            where: (each.plaintext, "k2") for where, each in before.items()
        }
        assert accounts.rest(watch) == rest
        # What was committed before was not done again, and counts.
        now = accounts.versions(watch)
        assert {id: now[id] for id in half} == half
        assert (rotated.rows_read, rotated.values) == (ACCOUNTS, sum(each.key != "k2" for each in before.values()))


def test_interrupted_it_says_what_stands(url: str, keys: Path, tmp_path: Path) -> None:
    config = configuration(tmp_path, keys)
    with stopped_at(url, config, 200) as (process, _):
        process.send_signal(signal.SIGINT)
        # It waits for the batch under way, which the test lets go on at the end of the block.
    code, out, err = processes.finish(process)
    assert (code, out) == (130, ""), err
    assert "callctl: error: interrupted; " in err
    assert "rows are done, and every value can be decrypted" in err
    code, out, err = processes.run(url, "--config", config, "rotate-secrets", "--yes")
    assert code == 0, err


def test_interrupted_during_its_scan_it_leaves_nothing_running(url: str, keys: Path, tmp_path: Path) -> None:
    with connect(url) as holder, connect(url) as db:
        holder.execute("CREATE TABLE chatapp.held (secret text)")
        with holder.transaction():
            holder.execute("LOCK TABLE chatapp.held IN ACCESS EXCLUSIVE MODE")
            process = processes.start(url, "--config", configuration(tmp_path, keys), "rotate-secrets", "--yes")
            processes.until(lambda: db.execute(SCAN_WAITS).rowcount, "the scan to wait for the lock")
            processes.until(lambda: db.execute(AT_IT).rowcount == 2, "the end of the rows")
            process.send_signal(signal.SIGINT)
            code, out, err = processes.finish(process)
            assert (code, out) == (130, ""), err
            assert f"{ACCOUNTS:,} of {ACCOUNTS:,} rows are done, and every value can be decrypted" in err
            assert not db.execute(SCAN_WAITS).rowcount  # it was cancelled, not left to find out
            processes.until(lambda: not db.execute(AT_IT).rowcount, "its sessions to end")


def test_a_scan_that_is_frozen_holds_no_table_for_long_and_is_done_again(
    url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory_scan, "IDLE_MS", 200)
    look, froze = secret_scan_finder.Finder.row, threading.Event()

    def frozen(self: Any, *row: Any) -> None:
        look(self, *row)
        if threading.current_thread().name == "callctl scan" and not froze.is_set():
            with connect(url) as db:
                processes.until(lambda: db.execute(SCANNED, ("chatapp.outside",)).rowcount, "the table to be held")
                processes.until(lambda: not db.execute(SCANNED, ("chatapp.outside",)).rowcount, "the server's patience")
            froze.set()

    monkeypatch.setattr(secret_scan_finder.Finder, "row", frozen)
    with connect(url) as db:
        db.execute("CREATE TABLE chatapp.outside AS SELECT 'x'::text AS name, 'canary-0123456789'::text AS secret")
    rotated = rotate(accounts.settings_of(url, keys))
    assert froze.is_set()
    assert [(each.table, each.field, each.values) for each in rotated.outside.places if each.table == "outside"] == [
        ("outside", "secret", 1)
    ]
    assert rotated.outside.cut_short == ()


def test_one_that_is_frozen_is_named_and_can_be_done_without(
    url: str, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation_rotate, "SILENT_SECONDS", 0.1)
    settings = accounts.settings_of(url, keys)
    with stopped_at(url, configuration(tmp_path, keys), 0) as (process, db):
        (pid,) = db.execute(WAITING).fetchone() or (0,)
        # Frozen in the middle of its scan, it would hold the tables that it reads, and the trigger could not go.
        processes.until(lambda: db.execute(SCANNING, (pid,)).rowcount == 0, "the end of its scan")
        process.send_signal(signal.SIGSTOP)
    # Its batch is written now, and it does not know.
    events: list[Event] = []

    def ended(event: Event) -> None:
        events.append(event)
        if isinstance(event, Notice) and "pg_terminate_backend" in event.text:
            with connect(url) as db:
                db.execute(f"SELECT pg_terminate_backend({pid})".encode())

    rotated = rotate(settings, on_event=ended)
    process.send_signal(signal.SIGCONT)
    code, _, err = processes.finish(process)
    assert (rotated.rows_read, rotated.failures) == (ACCOUNTS, 0)
    waited = {event.what for event in events if isinstance(event, Waiting)}
    named = next(what for what in waited if "at the same rotation (pid" in what)
    assert re.fullmatch(rf"another callctl at the same rotation \(pid {pid}, from \S+ as \S+, since [-+:\d ]+\)", named)
    assert any(isinstance(event, Notice) and f"heard nothing of pid {pid} for " in event.text for event in events)
    assert code == 5, err
    assert "the server ended the connection" in err
    assert "run the same command again" in err


def test_a_write_between_reading_and_writing_is_never_lost(
    url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is written by the application after callctl has read it and before callctl writes: every time."""
    settings = accounts.settings_of(url, keys, batch_size=50)
    ring = accounts.ring_of(settings)
    newest: dict[str, str] = {}
    start, random_ = rotation_batches.Batches._start, random.Random(7)
    with connect(url) as db:

        def beaten(self: Any, taken: Any, batch: Any) -> Any:
            changed = batch.changed()
            for position in random_.sample(list(changed), min(len(changed), 10)):
                write(db, ring, batch.rows[position].key, newest)
            return start(self, taken, batch)

        monkeypatch.setattr(rotation_batches.Batches, "_start", beaten)
        rotated = rotate(settings)
        assert rotated.failures == 0
        after = accounts.seen(db, ring)
        assert len(newest) > 50
        assert {row: each for row, each in newest.items() if secret(after, row).plaintext != each} == {}
        assert {each.key for each in after.values()} == {"k2"}


def test_stopped_between_the_rows_that_were_written_and_those_that_lost_it_counts_the_former(
    url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = accounts.settings_of(url, keys, batch_size=100)
    ring = accounts.ring_of(settings)
    start, again = rotation_batches.Batches._start, rotation_batches.Swaps._again
    lost: list[str] = []
    with connect(url) as db:
        before = accounts.seen(db, ring)

        def beaten(self: Any, taken: Any, batch: Any) -> Any:
            one = [batch.rows[position].key for position in batch.changed()[::30]]
            update = "UPDATE chatapp.integration_accounts SET account_name = account_name WHERE id = ANY (%s::uuid[])"
            db.execute(update, (one,))
            return start(self, taken, batch)

        def stopped(self: Any, taken: Any, target: Any, keys: list[str], tally: Any) -> Any:
            lost.extend(keys)
            if len(lost) < 10:
                return again(self, taken, target, keys, tally)
            raise KeyboardInterrupt

        monkeypatch.setattr(rotation_batches.Batches, "_start", beaten)
        monkeypatch.setattr(rotation_batches.Swaps, "_again", stopped)
        with pytest.raises(Interrupted):
            rotate(settings)
        done = sum(each != before[where] for where, each in accounts.seen(db, ring).items())
        counts = [row[0] for row in db.execute("SELECT counts FROM callctl.rotation_range").fetchall()]
        assert sum(each["values"] for one in counts for each in one.get("changes", ())) == done > 0
        monkeypatch.undo()
        assert rotate(settings).values == sum(each.key != "k2" for each in before.values())


def write(db: Database, ring: Any, id: str, newest: dict[str, str]) -> None:
    """What the application does: a new access token, under the old key, and something else beside it."""
    company = db.execute("SELECT company_id::text FROM chatapp.integration_accounts WHERE id = %s", (id,)).fetchone()
    plaintext = f"{accounts.CANARY} {random.getrandbits(60):x}"
    place = Place(company[0] if company else "", "integration_accounts", id, "access_token")
    import json

    db.execute(
        "UPDATE chatapp.integration_accounts SET access_token = %s, credentials = credentials || %s WHERE id = %s",
        (json.dumps(Encrypter(ring.keys["k1"]).encrypt(plaintext, place, 2)), Jsonb({"note": plaintext[-8:]}), id),
    )
    newest[id] = plaintext


def secret(found: dict[str, accounts.Seen], id: str) -> accounts.Seen:
    return next(each for where, each in found.items() if where.startswith(id) and where.endswith(" access_token"))


def test_an_application_that_writes_all_the_time_loses_nothing_and_starves_nobody(
    url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some rows are written so often that only a lock gets at them: each is, while callctl has what it read in hand."""
    prepared, locked = rotation_batches.Swaps.prepared, rotation_batches.Swaps._locked
    under_lock: list[str] = []

    def slowly(self: Any, *arguments: Any) -> Any:
        time.sleep(0.05)
        return prepared(self, *arguments)

    def counted(self: Any, taken: Any, target: Any, keys: list[str], *more: Any) -> Any:
        under_lock.extend(keys)
        return locked(self, taken, target, keys, *more)

    monkeypatch.setattr(rotation_batches.Swaps, "prepared", slowly)
    monkeypatch.setattr(rotation_batches.Swaps, "_locked", counted)
    settings = accounts.settings_of(url, keys, batch_size=100)
    ring = accounts.ring_of(settings)
    over = threading.Event()
    newest: list[dict[str, str]] = [{}, {}]
    with connect(url) as db:
        hot = ids(db)[::40]

        def application(own: dict[str, str]) -> None:
            with connect(url) as connection:
                while not over.is_set():
                    for id in hot[:5] if own is newest[0] else hot[5:]:
                        write(connection, ring, id, own)

        with ThreadPoolExecutor(2) as pool:
            writing = [pool.submit(application, own) for own in newest]
            try:
                rotated = rotate(settings)
            finally:
                over.set()
            for each in writing:
                each.result()
        assert rotated.rows_read == ACCOUNTS
        assert under_lock
        after = accounts.seen(db, ring)
        for own in newest:
            assert {id: plaintext for id, plaintext in own.items() if secret(after, id).plaintext != plaintext} == {}
        # The rows that nobody wrote meanwhile, and what nobody wrote in the others, are under the new key.
        assert {each.key for where, each in after.items() if not where.endswith("access_token")} == {"k2"}
        assert rotate(settings).failures == 0
        assert {each.key for each in accounts.seen(db, ring).values()} == {"k2"}


def test_a_row_that_somebody_holds_keeps_the_others_from_nothing(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, lock_timeout_ms=50)
    ring = accounts.ring_of(settings)
    with connect(url) as db, connect(url) as holder:
        held = ids(db)[10]
        holder.execute("BEGIN")
        holder.execute("SELECT FROM chatapp.integration_accounts WHERE id = %s FOR UPDATE", (held,))
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(rotate, settings)
            others = "SELECT count(*) FROM chatapp.integration_accounts WHERE updated_at > '2026-01-02'"
            processes.until(
                lambda: (db.execute(others).fetchone() or (0,))[0] > 100, "other rows of the batch, written"
            )
            assert not done.done()
            holder.execute("UPDATE chatapp.integration_accounts SET account_name = 'mine' WHERE id = %s", (held,))
            holder.execute("COMMIT")
            assert done.result().failures == 0
        after = accounts.seen(db, ring)
        assert {each.key for each in after.values()} == {"k2"}
        name = db.execute("SELECT account_name FROM chatapp.integration_accounts WHERE id = %s", (held,)).fetchone()
        assert name == ("mine",)


def test_several_processes_and_several_callctl_do_one_rotation(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    config = configuration(tmp_path, keys)
    with connect(url) as db:
        accounts.fill(db, ring, MORE, seed=5)
        before = accounts.seen(db, ring)
        with stopped_at(url, config, 0, "--workers", "2") as (first, _):
            done = "SELECT coalesce(sum(rows_done), 0) FROM callctl.rotation_range"
            # The first waits: its other process is at work, and is not taken for the second callctl below.
            processes.until(lambda: db.execute(done).fetchone() != (0,), "the other process at work")
            (now,) = db.execute("SELECT clock_timestamp()").fetchall()[0]
            second = processes.start(url, "--config", config, "rotate-secrets", "--yes", "--output", "json")
            # When the first goes on with its range, the second has to be there.
            joined = (
                "SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
                " WHERE l.locktype = 'advisory' AND l.classid = %s AND a.backend_start > %s"
            )
            processes.until(lambda: db.execute(joined, (ROTATION_CLASS, now)).rowcount > 0, "the second at work")
        for process in (first, second):
            code, _, err = processes.finish(process)
            assert code == 0, err
        after = accounts.seen(db, ring)
        assert {where: (each.plaintext, each.key) for where, each in after.items()} == {
            where: (each.plaintext, "k2") for where, each in before.items()
        }
        ledger = "SELECT counts ->> 'read', counts ->> 'written' FROM callctl.rotation"
        assert [int(read) for read, _ in db.execute(ledger).fetchall()] == [ACCOUNTS + MORE]
        left = db.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert left == (0,)


def test_a_process_that_dies_leaves_its_work_to_the_others(
    url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = accounts.settings_of(url, keys, batch_size=20)
    with connect(url) as db:
        accounts.fill(db, accounts.ring_of(settings), MORE, seed=5)
        started: list[rotation_worker.Other] = []
        heard = rotation_worker.heard
        events: list[Event] = []

        def watched(others: list[rotation_worker.Other], on_event: Any) -> None:
            started[:] = others
            if others and not events:
                # Once it is at work.
                processes.until(lambda: len(processes.sessions(db, "callctl rotate", "%")) > 5, "the other process")
                os.kill(others[0].process.pid or 0, signal.SIGKILL)
                others[0].process.join()
            heard(others, on_event)

        monkeypatch.setattr("callctl.secrets.rotation.rotate.heard", watched)
        rotated = rotate(
            settings, workers=2, on_event=lambda event: events.append(event) if isinstance(event, Notice) else None
        )
        assert rotated.rows_read >= ACCOUNTS + MORE
        assert [event.text for event in events if isinstance(event, Notice)] == [
            "a process of the rotation ended early (signal 9); the others do its work"
        ]
        assert {each.key for each in accounts.seen(db, accounts.ring_of(settings)).values()} == {"k2"}


def test_progress_counts_every_row_whoever_does_it(url: str, keys: Path) -> None:
    events: list[Event] = []
    rotate(accounts.settings_of(url, keys), on_event=events.append)
    first = next(event for event in events if isinstance(event, RotationProgress))
    assert (first.done, first.total, first.failures) == (0, ACCOUNTS, 0)


def test_another_key_has_to_wait_until_a_rotation_is_done(url: str, keys: Path, tmp_path: Path) -> None:
    refused = pytest.raises(LockHeld, match=r"another callctl is running rotation \d+ to key k2")
    with stopped_at(url, configuration(tmp_path, keys), 100) as (process, _), refused:
        rotate(accounts.settings_of(url, keys, "k3", "k2", "k1", lock_wait_ms=300))
    assert processes.finish(process)[0] == 0
