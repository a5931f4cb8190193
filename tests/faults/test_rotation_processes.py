"""Rotations with other processes about: workers and other callctl that die, applications that write, holders of locks.

And what the processes themselves leave behind: no memory image, nothing of a key where other processes can read it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.faults.conftest import THOROUGH, MakeRotation
from tests.faults.test_everywhere import Record, turns
from tests.faults.test_rotation_everywhere import assert_writes_nothing, report
from tests.support import processes
from tests.support.db import accounts
from tests.support.faults import actions
from tests.support.faults.chain import Attempt, Ended, Nursery
from tests.support.faults.kinds import MOMENTS, Moment
from tests.support.faults.points import Point, Progress
from tests.support.faults.proxy import Fault, Outcome, Session
from tests.support.faults.rotation_chain import RotationChain, RotationWatch
from tests.support.faults.rotation_scene import UNLOGGED, quietly, secrets

from callctl.database.lock import IDLE_MS
from callctl.secrets.envelope.cipher import Place, envelope_text

pytestmark = pytest.mark.one_server

REACHED = "COMMIT after UPDATE callctl.rotation_range"
ACCOUNTS = 'UPDATE "chatapp"."integration_accounts"'

# Callctl's own update of any account waits for the test, and does not heed a cancellation.
DEAF = """
CREATE FUNCTION public.deaf() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') LIKE 'callctl%' THEN
    WHILE EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND mode = 'ExclusiveLock') LOOP
      BEGIN
        PERFORM pg_sleep(600);
      EXCEPTION WHEN query_canceled THEN
        PERFORM set_config('lock_timeout', '0', true), pg_advisory_xact_lock_shared(4712);
      END;
    END LOOP;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER deaf BEFORE UPDATE ON chatapp.integration_accounts FOR EACH ROW EXECUTE FUNCTION public.deaf();
"""
ASLEEP = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'callctl rotate'"
    " AND wait_event = 'PgSleep'"
)


def touch(chain: RotationChain) -> None:
    """An application writes some accounts, and nothing in them that is a secret."""
    with quietly(chain.url) as db:
        db.execute(
            "UPDATE chatapp.integration_accounts SET account_name = account_name WHERE id IN ("
            " SELECT id FROM chatapp.integration_accounts WHERE hashtext(id::text) % 20 = 0 FOR UPDATE SKIP LOCKED)"
        )


def test_what_was_done_to_rows_that_lost_is_counted_wherever_it_stops(
    rotation: MakeRotation, record_property: Record, one_in: int
) -> None:
    """Each batch finds rows that somebody has written since they were read; what is done about them is struck, too."""
    chain = rotation("live")

    def beside(point: Point) -> None:
        if ACCOUNTS in point.text:
            touch(chain)

    chain.beside = beside
    again = False

    def choose(point: Point, number: int) -> tuple[str, Moment] | None:
        nonlocal again
        again = again or "FOR NO KEY UPDATE" in point.text
        if one_in > 1 and not ((ACCOUNTS in point.text or point.text.startswith(REACHED)) and number % 3 == 0):
            return None
        return ("kill", "cut", "sigint")[number % 3], MOMENTS[number % 2 * 2]

    chain.disturbed(choose)
    assert again
    assert_writes_nothing(chain)
    report(record_property, chain, "rows that lost")


def test_interrupted_twice_while_the_server_does_not_heed_it(rotation: MakeRotation) -> None:
    """Once cancels the statement; twice hangs up."""
    chain = rotation("live")
    with quietly(chain.url) as db, quietly(chain.url) as holder:
        db.execute(DEAF.encode())
        holder.execute("SELECT pg_advisory_lock(4711), pg_advisory_lock(4712)")
        process = processes.start(chain.url, *chain.command("--lock-hold", "60s"))
        (backend,) = processes.until(lambda: db.execute(ASLEEP).fetchone(), "callctl in the trigger")
        process.send_signal(signal.SIGINT)
        heard = "SELECT true FROM pg_locks WHERE pid = %s AND objid = 4712 AND NOT granted"
        # Now and then PostgreSQL 12 ends the statement all the same: then once has been enough.
        processes.until(
            lambda: db.execute(heard, (backend,)).fetchone() or process.poll() is not None, "the cancellation"
        )
        process.send_signal(signal.SIGINT)
        code, out, err = processes.finish(process)
        assert (code, out) == (130, ""), err
        assert "every value can be decrypted" in err
        holder.execute("SELECT pg_advisory_unlock_all()")
        db.execute("DROP TRIGGER deaf ON chatapp.integration_accounts")
    chain.check("two interrupts", Ended(code, out, err))
    assert chain.run().code == chain.good


def test_interrupted_while_its_processes_start(rotation: MakeRotation) -> None:
    """A terminal sends Ctrl-C to all of them, those that have just begun to import, too."""
    chain = rotation("archived")
    process = processes.start(chain.url, *chain.command("--workers", "4"))
    processes.until(lambda: len(children(process.pid)) > 2, "other processes")
    assert [pid for pid in children(process.pid) if not deaf(pid)] == []
    os.killpg(process.pid, signal.SIGINT)
    code, out, err = processes.finish(process)
    assert (code, out) == (130, ""), err
    chain.check("an interrupt of all", Ended(code, out, err))


def deaf(pid: int) -> bool:
    """Whether a process blocks or ignores Ctrl-C."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigBlk", "SigIgn"))]
    return any(mask & 1 << (signal.SIGINT - 1) for mask in masks)


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(each) for each in listed.split()]


# ---- other processes that die --------------------------------------------------------------------------


def strike_worker(chain: RotationChain, number: int, act: Callable[[Attempt, Session], Outcome]) -> tuple[bool, Ended]:
    """Rotate in two processes, and do something at this statement of the second; whether it came to it."""
    said = struck = 0
    struck_at_last = threading.Event()

    def choose(point: Point) -> tuple[str, Moment] | None:
        return None

    watch = RotationWatch(chain.progress, chain.transactions)
    attempt = Attempt(chain.server, watch, choose)
    statement = attempt.statement

    def counted(session: Session, text: str) -> Any:
        nonlocal said, struck
        statement(session, text)
        if session.client_pid == attempt.pid and text.count(ACCOUNTS):
            # The first process is slow, so that there is work for the other; not so slow in a transaction that the
            # server ends it.
            struck_at_last.wait(IDLE_MS / 2_000)
        elif session.client_pid != attempt.pid and not struck:
            said += 1
            if said > number:
                struck = 1
                struck_at_last.set()
                return Fault("before", lambda session: act(attempt, session))
        return None

    attempt.statement = counted  # type: ignore[method-assign]
    chain.proxy.watch(attempt)
    ended = chain.run("--workers", "2", born=attempt.born, proxied=True)
    chain.proxy.watch(None)
    assert attempt.problem is None
    chain.tally.actions[act.__name__] += struck
    return bool(struck), ended


def kill_worker(attempt: Attempt, session: Session) -> Outcome:
    os.kill(session.client_pid, signal.SIGKILL)
    return "close"


def test_one_of_its_processes_dies_or_all_do(rotation: MakeRotation, record_property: Record) -> None:
    """The others do the work of one that is killed; with the first the others end, and the next run goes on."""
    chain = rotation("live")
    numbers = range(0, 60, 3) if THOROUGH else (2, 21, 33)
    noticed = killed = 0
    for number in numbers:
        struck, ended = strike_worker(chain, number, kill_worker)
        arrived = chain.check(f"a process killed at its statement {number}", ended)
        assert (ended.code, arrived) == (chain.good, True), ended
        noticed += "ended early (signal 9)" in ended.errors
        killed += struck
    assert 0 < noticed <= killed  # one that dies at the very end is not missed
    for number, act in zip(numbers, (actions.kill, actions.sigint, actions.terminate), strict=False):
        struck, ended = strike_worker(chain, number, act)
        chain.check(f"{act.__name__} at statement {number} of another process", ended)
        assert ended.code in (actions.EXITS[act.__name__] if struck else {chain.good}), ended
    assert chain.run().code == chain.good
    record_property("faults", f"rotation, in two processes: {sum(chain.tally.actions.values())} faults tried")


def test_one_of_two_callctl_dies(rotation: MakeRotation, tmp_path: Path, record_property: Record) -> None:
    """The other, at the same rotation, finishes; whatever the first one was at."""
    tried = 0
    other = Nursery(tmp_path)
    chain = rotation("live")
    try:
        for wanted in (
            "INSERT INTO callctl.rotation_range",
            ACCOUNTS,
            REACHED,
            "WITH ended",
        ):
            ends: list[Ended] = []
            helper = threading.Thread(target=lambda ends=ends: ends.append(other.run(chain.command(), chain.url)))

            def join(
                point: Point, wanted: str = wanted, helper: threading.Thread = helper
            ) -> tuple[str, Moment] | None:
                if wanted not in point.text:
                    return None
                helper.start()
                with quietly(chain.url) as db:
                    # It is at work: at a range, waiting for this one, or done.
                    processes.until(lambda: not helper.is_alive() or at_work(db, other), "the other callctl")
                return "kill", "before"

            attempt, ended = chain.attempt(RotationWatch(chain.progress, chain.transactions), join)
            assert attempt.struck is not None
            helper.join(60)
            tried += 1
            assert ended.code == -signal.SIGKILL
            assert [each.code for each in ends] == [chain.good], ends
            assert chain.check(f"one of two killed at {wanted}", ends[0])
    finally:
        other.close()
    record_property("faults", f"rotation, two callctl: {tried} faults tried (kill {tried})")


def at_work(db: psycopg.Connection[Any], nursery: Nursery) -> bool:
    """Whether a second callctl has come as far as it can while the first stands still."""
    row = db.execute(
        "SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'callctl rotate'"
    ).fetchone()
    return row is not None and (row[0] > 0 or row[1] > 6)


# ---- an application, and somebody with a lock ----------------------------------------------------------


def test_an_application_beside_loses_nothing(rotation: MakeRotation, record_property: Record, one_in: int) -> None:
    """It writes secrets under the old key, in plaintext and in other members, through crashes and restarts, too."""
    chain = rotation("live")
    chain.counted = False
    with Application(chain) as application:
        chain.disturbed(turns(3, one_in=one_in))
    assert application.wrote > 20
    assert chain.run().code == chain.good
    with quietly(chain.url) as db:
        found = secrets(db, chain.ring)
    known = {where: text for where, text in application.newest.items() if where not in application.unknown}
    lost = {where: text for where, text in known.items() if found[where].plaintext != text}
    assert lost == {}
    assert {each.key for each in found.values() if each.plaintext is not None} == {"k2"}
    others = chain.plaintexts.keys() - application.newest.keys() - application.unknown
    assert {where: (found[where].plaintext, found[where].raw) for where in others} == {
        where: chain.plaintexts[where] for where in others
    }
    assert_writes_nothing(chain)
    report(record_property, chain, f"an application beside, {application.wrote} writes")


class Application(threading.Thread):
    """Writes the access tokens of some accounts all the time. ``newest``: what was committed last, by place."""

    def __init__(self, chain: RotationChain) -> None:
        super().__init__(daemon=True)
        self.newest: dict[str, str] = {}
        self.unknown: set[str] = set()
        self.wrote = 0
        self._chain = chain
        self._over = threading.Event()
        self._problem: BaseException | None = None

    def __enter__(self) -> Application:
        self.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._over.set()
        self.join()
        if self._problem is not None:
            raise self._problem

    def run(self) -> None:
        try:
            while not self._over.is_set():
                try:
                    self._write_on()
                except psycopg.OperationalError:  # the server is down
                    time.sleep(0.05)
        except BaseException as problem:
            self._problem = problem

    def _write_on(self) -> None:
        with psycopg.connect(self._chain.url, autocommit=True, application_name="application", options=UNLOGGED) as db:
            hot = db.execute(
                "SELECT id::text, company_id::text FROM chatapp.integration_accounts WHERE access_token IS NOT NULL"
                " ORDER BY id LIMIT 40"
            ).fetchall()
            while not self._over.is_set():
                id, company = hot[self.wrote % len(hot)]
                where = f"chatapp.integration_accounts {id} access_token"
                plaintext = f"{accounts.CANARY} application {self.wrote}"
                form = ("plaintext", "k1", "bound")[self.wrote % 3]
                place = Place(company, "integration_accounts", id, "access_token")
                value = accounts.encrypted(self._chain.ring, form, plaintext, place)
                try:
                    db.execute(
                        "UPDATE chatapp.integration_accounts SET access_token = %s WHERE id = %s",
                        (envelope_text(value) if isinstance(value, dict) else value, id),
                    )
                except psycopg.OperationalError:
                    # Written or not: nobody knows. It is not looked for until it is written again.
                    self.unknown.add(where)
                    raise
                self.newest[where] = plaintext
                self.unknown.discard(where)
                self.wrote += 1
                time.sleep(0.002)


@pytest.mark.parametrize(
    "lock",
    [
        "LOCK TABLE chatapp.integration_accounts IN ACCESS EXCLUSIVE MODE",
        "SELECT FROM chatapp.integration_accounts FOR UPDATE",
        "LOCK TABLE callctl.rotation_range IN EXCLUSIVE MODE",
        "SELECT FROM callctl.encryption_key FOR UPDATE",
    ],
)
def test_somebody_holds_what_it_needs(rotation: MakeRotation, lock: str) -> None:
    """It gives up, in the time that it was given, and goes on from there when the lock is gone."""
    chain = rotation("live")
    with psycopg.connect(chain.url, options=UNLOGGED) as holder:

        def hold(point: Point) -> tuple[str, Moment] | None:
            if "LIMIT" in point.text and "t.xmin::text" in point.text and holder.info.transaction_status.name == "IDLE":
                holder.execute(lock.encode())
            return None

        watch = RotationWatch(NoProgress(chain.url), chain.transactions)
        attempt, ended = chain.attempt(watch, hold, "--lock-timeout", "50ms", "--lock-wait", "200ms")
        assert attempt.seen
    chain.check(f"somebody's {lock}", ended)
    assert ended.code == 5, ended
    assert "run the same command again" in ended.errors
    assert "lock" in ended.errors
    assert chain.run().code == chain.good
    assert_writes_nothing(chain)


class NoProgress(Progress):
    """Where nobody asks how far it has come: the holder of a lock would keep the answer back."""

    def __call__(self) -> str:
        return ""


# ---- what a process leaves behind ----------------------------------------------------------------------


def test_no_memory_image_and_no_key_in_sight(rotation: MakeRotation, tmp_path: Path) -> None:
    """A running process, and those that it starts: no core dump, nothing in /proc that was not there before."""
    chain = rotation("live")
    secret = chain.ring.keys["k2"].secret.hex()
    with quietly(chain.url) as db, quietly(chain.url) as holder:
        db.execute(DEAF.encode())
        holder.execute("SELECT pg_advisory_lock(4711)")
        process = processes.start(chain.url, *chain.command("--workers", "2", "--lock-hold", "60s"))
        processes.until(lambda: len(db.execute(ASLEEP).fetchall()) > 1, "both in the trigger")
        ours = [process.pid, *(pid for pid in children(process.pid) if "spawn_main" in cmdline(pid))]
        assert len(ours) == 2
        for pid in ours:
            limits = subprocess.run(
                ["grep", "Max core file size", f"/proc/{pid}/limits"], capture_output=True, text=True, check=True
            )
            assert limits.stdout.split()[4:6] == ["0", "0"]
            # What cannot be dumped belongs to root: another process of the same user cannot read it.
            assert Path(f"/proc/{pid}/environ").stat().st_uid == 0
            seen = cmdline(pid) + environment(pid)
            assert secret not in seen
            assert secret.upper() not in seen
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        holder.execute("SELECT pg_advisory_unlock_all()")
        db.execute("SELECT pg_terminate_backend(pid) FROM (" + ASLEEP + ") AS a")
        db.execute("DROP TRIGGER deaf ON chatapp.integration_accounts")


def cmdline(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def environment(pid: int) -> str:
    """Empty where the test may not read it: then nobody of its user may."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode()
    except PermissionError:
        return ""
