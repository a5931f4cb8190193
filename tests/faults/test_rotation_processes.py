"""Rotations with other processes about: workers and other callctl that die, applications that write, holders of locks.

And what the processes themselves leave behind: no memory image, nothing of a key where other processes can read it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests import processes
from tests.faults import actions
from tests.faults.chain import Attempt, Ended, Nursery
from tests.faults.conftest import MakeRotation
from tests.faults.points import Point
from tests.faults.proxy import MOMENTS, Moment, Outcome, Session
from tests.faults.rotation_chain import RotationChain, RotationWatch
from tests.faults.rotation_scene import quietly, secrets
from tests.faults.test_everywhere import THOROUGH, Record, turns
from tests.faults.test_rotation_everywhere import assert_writes_nothing, report

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
        if point.text.startswith(ACCOUNTS):
            touch(chain)

    chain.beside = beside
    again = False

    def choose(point: Point, number: int) -> tuple[str, Moment] | None:
        nonlocal again
        again = again or "FOR NO KEY UPDATE" in point.text
        if one_in > 1 and not (point.text.startswith((ACCOUNTS, f"COMMIT after {ACCOUNTS}")) and number % 3 == 0):
            return None
        return ("kill", "cut", "sigint")[number % 3], MOMENTS[number % 2 * 2]

    chain.disturbed(choose)
    assert again
    assert_writes_nothing(chain)
    report(record_property, chain, "rows that lost")


def test_interrupted_twice_while_the_server_does_not_heed_it(rotation: MakeRotation) -> None:
    """Once cancels the statement; twice hangs up. Never is a connection closed while a thread is inside of it."""
    chain = rotation("live")
    with quietly(chain.url) as db, quietly(chain.url) as holder:
        db.execute(DEAF.encode())
        holder.execute("SELECT pg_advisory_lock(4711), pg_advisory_lock(4712)")
        process = processes.start(chain.url, *chain.command("--lock-hold", "60s"))
        (backend,) = processes.until(lambda: db.execute(ASLEEP).fetchone(), "callctl in the trigger")
        process.send_signal(signal.SIGINT)
        heard = "SELECT true FROM pg_locks WHERE pid = %s AND objid = 4712 AND NOT granted"
        processes.until(lambda: db.execute(heard, (backend,)).fetchone(), "the cancellation at the server")
        process.send_signal(signal.SIGINT)
        code, out, err = processes.finish(process)
        assert (code, out) == (130, ""), err
        assert "every value can be read" in err
        holder.execute("SELECT pg_advisory_unlock_all()")
        db.execute("DROP TRIGGER deaf ON chatapp.integration_accounts")
    chain.check("two interrupts", Ended(code, out, err))
    assert chain.run().code == chain.good


def test_interrupted_while_its_processes_start(rotation: MakeRotation) -> None:
    """A terminal sends Ctrl-C to all of them, those that have just begun to import, too."""
    chain = rotation("archived")
    process = processes.start(chain.url, *chain.command("--workers", "4"))
    processes.until(lambda: len(children(process.pid)) > 2, "other processes")
    os.killpg(process.pid, signal.SIGINT)
    code, out, err = processes.finish(process)
    assert (code, out) == (130, ""), err
    chain.check("an interrupt of all", Ended(code, out, err))


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(each) for each in listed.split()]
