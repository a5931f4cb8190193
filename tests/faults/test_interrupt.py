"""Ctrl-C, as a terminal sends it: the statement is cancelled on the server, and what stands is said."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.support import processes

from callctl.config.settings import Settings
from callctl.database import lock
from callctl.migration import migrate

# It is about callctl's own signals.
pytestmark = pytest.mark.one_server

SLOW = """
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') LIKE 'callctl%' THEN {} END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER slow BEFORE UPDATE ON chatapp.{} FOR EACH STATEMENT EXECUTE FUNCTION public.slow();
"""
SLEEPS = "PERFORM pg_sleep(600);"
# Swallows the cancellation, as a statement does that the server cannot interrupt.
DEAF = (
    "LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN PERFORM pg_advisory_lock(4711);"
    " END; END LOOP;"
)


@pytest.fixture
def watch(documented: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(documented) as connection:
        yield connection


def in_a_statement(url: str, watch: psycopg.Connection[Any], does: str = SLEEPS) -> subprocess.Popen[str]:
    """A callctl in the middle of a statement that takes ten minutes; steps 1 to 3 are applied."""
    migrate.up(Settings(database_url=url), to=3)
    watch.execute(SLOW.format(does, "chatbots").encode())
    process = processes.start(url, "migrate", "up", "--yes")
    asleep = (
        "SELECT true FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'callctl migrate'"
        " AND wait_event = 'PgSleep'"
    )
    processes.until(lambda: watch.execute(asleep).fetchone(), "callctl in the slow trigger")
    return process


def test_once_cancels_the_statement_and_says_what_stands(documented: str, watch: psycopg.Connection[Any]) -> None:
    process = in_a_statement(documented, watch)
    process.send_signal(signal.SIGINT)
    code, out, err = processes.finish(process)
    # Nothing is left behind by the time it says so.
    assert processes.sessions(watch) == []
    assert (code, out) == (130, ""), err
    assert "callctl: error: interrupted in step 4 up; its committed work stays" in err
    assert "callctl: hint: run the same command again to resume" in err
    assert "Traceback" not in err
    watch.execute("DROP TRIGGER slow ON chatapp.chatbots")
    assert processes.run(documented, "migrate", "up", "--yes")[0] == 0
    assert processes.run(documented, "verify")[0] == 0


def test_once_while_waiting_for_another_callctl(documented: str, watch: psycopg.Connection[Any]) -> None:
    watch.execute("SELECT pg_advisory_lock(%s, hashtext('chatapp'))", (lock.LOCK_CLASS,))
    process = processes.start(documented, "migrate", "up", "--yes", "--wait")
    processes.until(lambda: processes.sessions(watch, "callctl lock", "%"), "callctl waiting for the lock")
    process.send_signal(signal.SIGINT)
    code, out, err = processes.finish(process)
    assert (code, out) == (130, ""), err
    assert "Traceback" not in err
    processes.until(lambda: not processes.sessions(watch, "callctl%", "%"), "its sessions gone")


@pytest.mark.parametrize("times", [1, 2])
def test_it_ends_though_the_server_does_not_heed_it(
    documented: str, watch: psycopg.Connection[Any], times: int
) -> None:
    """Once: after a few seconds. Twice: at once. What goes on at the server, the next run ends."""
    process = in_a_statement(documented, watch, DEAF)
    (pid,) = processes.sessions(watch, "callctl migrate")
    process.send_signal(signal.SIGINT)
    heard = "SELECT true FROM pg_locks WHERE pid = %s AND locktype = 'advisory' AND objid = 4711"
    processes.until(lambda: watch.execute(heard, (pid,)).fetchone(), "the cancellation at the server")
    if times == 2:
        process.send_signal(signal.SIGINT)
    code, out, err = processes.finish(process)
    assert (code, out) == (130, ""), err
    assert "interrupted in step 4 up; its committed work stays" in err
    assert all(line.startswith(("callctl: ", "step ", "note: ", "waiting ")) for line in err.splitlines()[-2:]), err
    assert "query" not in err  # the driver's own log
    assert "Traceback" not in err
    with lock.at_work(Settings(database_url=documented, lock_wait_ms=500)):
        assert pid not in processes.sessions(watch, "%", "%")


def test_twice_while_it_says_what_stands() -> None:
    """The second comes when the first is being told of: what was to be said is said, by nothing but its message."""
    code = (
        "import callctl.cli as cli\n"
        "told = cli.common.report\n"
        "def interrupted(error):\n"
        "    cli.common.report = told\n"
        "    raise KeyboardInterrupt\n"
        "cli.common.report = interrupted\n"
        "cli.main(['migrate', 'up', '--to', 'x'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("callctl: error: --to is not a step")
    assert "Traceback" not in done.stderr
