"""migrate status while another process is at work: running, waiting, frozen, killed; and what a role may not see."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.conftest import connect
from tests.support import processes
from tests.support.cli.schemas import problems
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.database import lock
from callctl.database.connection import connect as callctl_connect
from callctl.migration import live_runs

pytestmark = pytest.mark.one_server


def told(url: str, *arguments: str) -> tuple[str, dict[str, Any]]:
    """What status says, in text on one line, and in JSON."""
    code, out, err = processes.run(url, "migrate", "status", *arguments)
    assert code in (0, 3), err
    document = json.loads(processes.run(url, "migrate", "status", "--output", "json")[1])
    assert problems(document, "migrate-status") == []
    return " ".join((out + err).split()), document


@contextmanager
def at_the_last_row(url: str) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """A run that has written all rows of a batched statement but one, which another transaction holds: the process,
    the pid of that transaction, and the rows listed."""
    assert processes.run(url, "migrate", "up", "--yes", "--to", "3")[0] == 0
    with connect(url, application_name="holder") as holder, connect(url) as watch:
        holder.execute("BEGIN")
        holder.execute(
            "SELECT FROM chatapp.chatbots WHERE id = (SELECT id FROM chatapp.chatbots WHERE chatbotType = 'call'"
            " ORDER BY ctid DESC LIMIT 1) FOR UPDATE"
        )
        process = processes.start(url, "migrate", "up", "--yes", "--batch-size", "1", "--batch-workers", "2")

        def all_but_one() -> int:
            waits = "SELECT FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
            if watch.execute(waits, (holder.info.backend_pid,)).fetchone() is None:
                return 0
            row = watch.execute("SELECT sum(listed), sum(done) FROM callctl.work_done").fetchone()
            return int(row[0]) if row and row[0] and row[0] - row[1] == 1 else 0

        try:
            listed = processes.until(all_but_one, "all rows but one")
            yield process, holder.info.backend_pid, listed
            holder.execute("ROLLBACK")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                processes.finish(process)


def test_a_run_at_work(documented: str) -> None:
    with at_the_last_row(documented) as (process, holder, listed), connect(documented) as watch:
        (pid,) = processes.sessions(watch, "callctl lock", "%")
        text, document = told(documented)
        assert process.poll() is None
        assert f"running migrate up, step 4 of {LAST} (backfill_capabilities)" in text
        assert f"pid {pid}, application callctl lock, role postgres, from the server's own host" in text
        assert re.search(r"; connected \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S+, 0:0\d:\d\d ago", text)
        assert f"step 4 up: {listed - 1} of {listed} rows committed" in text
        assert f"waits for a row that another transaction has locked, held by pid {holder} (holder, idle in" in text
        assert f"to end it: SELECT pg_terminate_backend({holder});" in text
        # A step that is under way has not stopped, and is not to be taken up by another run.
        assert "stopped part-way" not in text
        assert "next: callctl migrate status, when the run is over" in text
        (run,) = document["runs"]
        assert (run["command"], run["direction"], run["step"], run["of_steps"]) == ("migrate up", "up", 4, LAST)
        assert (run["pid"], run["role"], run["host"], run["seen"]) == (pid, "postgres", "local", True)
        assert (run["committed"]["rows"], run["committed"]["of_rows"]) == (listed - 1, listed)
        (waiting,) = [session for session in run["sessions"] if session["waits_for"]]
        assert [each["pid"] for each in waiting["held_by"]] == [holder]
        assert document["steps"][3]["state"] == "half up"
    text, document = told(documented)
    assert (process.returncode, document["runs"]) == (0, [])
    assert "running" not in text
    with connect(documented) as watch:
        assert watch.execute("SELECT count(*) FROM callctl.work_done").fetchone() == (0,)


def test_a_frozen_run(documented: str) -> None:
    with at_the_last_row(documented) as (process, _, listed), connect(documented) as watch:
        (pid,) = processes.sessions(watch, "callctl lock", "%")
        os.killpg(process.pid, signal.SIGSTOP)
        text = processes.until(
            lambda: (found := told(documented)[0]) and "have sent the server nothing for" in found and found,
            "silence",
        )
        assert f"running migrate up, step 4 of {LAST} (backfill_capabilities)" in text
        assert f"{listed - 1} of {listed} rows committed" in text
        assert f"if that process is gone: SELECT pg_terminate_backend({pid});" in text
        assert "waits for" not in text


def test_a_killed_run_has_stopped(documented: str) -> None:
    with at_the_last_row(documented) as (process, *_), connect(documented) as watch:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        processes.until(lambda: not processes.sessions(watch, "callctl%", "%"), "its sessions gone")
        text, document = told(documented)
        assert document["runs"] == []
        assert "partly step 4 up (backfill_capabilities): stopped part-way; the rest is pending" in text
        assert "next: callctl migrate up" in text


def test_a_session_that_outlives_its_run(documented: str) -> None:
    with at_the_last_row(documented) as (process, *_), connect(documented) as watch:
        os.killpg(process.pid, signal.SIGSTOP)
        (pid,) = processes.sessions(watch, "callctl lock", "%")
        watch.execute("SELECT pg_terminate_backend(%s)", (pid,))
        processes.until(lambda: not processes.sessions(watch, "callctl lock", "%"), "the lock's session gone")
        text, document = told(documented)
        assert document["runs"] == []
        assert document["left"]
        assert "no callctl holds the migration lock, but sessions of an earlier run still hold its work lock" in text
        assert "stopped part-way" not in text
        os.killpg(process.pid, signal.SIGKILL)


def test_a_run_that_waits_for_a_table(documented: str) -> None:
    """Nothing of the step is committed, and the run is between two attempts most of the time."""
    assert processes.run(documented, "migrate", "up", "--yes", "--to", "1")[0] == 0
    with connect(documented, application_name="holder") as holder, connect(documented) as watch:
        holder.execute("BEGIN; LOCK TABLE chatapp.chatbot_packages IN SHARE MODE")  # preflight may read it
        process = processes.start(documented, "migrate", "up", "--yes", "--to", "2")
        try:
            marked = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
            at = lock.mark("migrate up", 2)
            processes.until(lambda: watch.execute(marked, (at,)).fetchone() is not None, "step 2")
            text, document = told(documented)
            assert f"running migrate up, step 2 of {LAST} (package_capabilities)" in text
            assert "step 2 up: nothing is committed yet" in text
            pid = holder.info.backend_pid
            assert f"waits for a lock on chatapp.chatbot_packages, held by pid {pid} (holder, idle in transact" in text
            assert document["runs"][0]["committed"] is None
            assert "applied step 1 (users_avatar_url):" in text
        finally:
            holder.execute("ROLLBACK")
            assert processes.finish(process)[0] == 0


@pytest.mark.parametrize(
    ("command", "held", "arguments"),
    [
        ("purge", "callctl.saved_value IN SHARE MODE", ("purge", "--yes")),
        ("backup", "chatapp.users IN ACCESS EXCLUSIVE MODE", ("backup", "a.dump")),
        ("companies enable", "chatapp.companies IN SHARE MODE", ("companies", "enable", "COMPANY", "--yes")),
    ],
)
def test_another_command(documented: str, command: str, held: str, arguments: tuple[str, ...], tmp_path: Any) -> None:
    assert processes.run(documented, "migrate", "up", "--yes")[0] == 0
    with connect(documented) as holder, connect(documented) as watch:
        off = "SELECT id::text FROM chatapp.companies WHERE settings #>> '{features,callEnabled}' = 'false' LIMIT 1"
        company = watch.execute(off).fetchone()
        assert company is not None
        stands_for = {"COMPANY": company[0], "a.dump": str(tmp_path / "a.dump")}
        arguments = tuple(stands_for.get(each, each) for each in arguments)
        holder.execute(f"BEGIN; LOCK TABLE {held}")
        process = processes.start(documented, *arguments)
        taken = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND granted"
        try:
            processes.until(lambda: watch.execute(taken, (lock.LOCK_CLASS,)).fetchone() != (0,), "its lock")
            text, document = told(documented)
        finally:
            holder.execute("ROLLBACK")
            processes.finish(process)
    assert f"running {command} pid " in text
    assert f"of {LAST}" not in text.split("running")[1].split("applied")[0]
    (run,) = document["runs"]
    assert (run["command"], run["step"], run["committed"]) == (command, None, None)


def test_every_command_that_takes_the_lock_says_so(documented: str) -> None:
    settings = Settings(database_url=documented)
    with callctl_connect(settings) as connection:
        for command in lock.COMMANDS:
            with lock.MigrationLock(settings, command=command):
                (run,) = live_runs.look(connection, settings).runs
                assert run.command == command
        with lock.MigrationLock(settings, shared=True, command="backup"), lock.MigrationLock(settings, shared=True):
            runs = live_runs.look(connection, settings).runs
            assert sorted(str(run.command) for run in runs) == ["None", "backup"]
        assert live_runs.look(connection, settings).runs == ()


def test_a_role_that_may_not_see_other_sessions(documented: str) -> None:
    """What it cannot see is said, and nothing is made of it: no local socket, no time, no silence."""
    role = f"seer_{os.getpid()}"
    with at_the_last_row(documented) as (process, _, listed), connect(documented) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA callctl, chatapp TO {role}")
        admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA callctl, chatapp TO {role}")
        url = documented.replace("user=postgres", f"user={role}")
        assert url != documented
        try:
            text, document = told(url)
            assert process.poll() is None
            assert f"running migrate up, step 4 of {LAST} (backfill_capabilities)" in text
            assert f"{listed - 1} of {listed} rows committed" in text
            assert "not visible to this role: host, times" in text
            assert "GRANT pg_monitor" in text
            assert "from the server's own host" not in text
            assert "connected" not in text
            assert "sent the server nothing" not in text
            (run,) = document["runs"]
            assert (run["seen"], run["host"], run["since"], run["silent_seconds"]) == (False, None, None, None)
            admin.execute(f"GRANT pg_monitor TO {role}")
            assert "from the server's own host" in told(url)[0]
            admin.execute(f"REVOKE SELECT ON callctl.work_done FROM {role}")
            text = told(url)[0]
            assert "rows committed" not in text
            assert "nothing is committed" not in text
        finally:
            admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_on_a_standby_no_run_can_be_seen(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url=documented)
    monkeypatch.setattr(live_runs, "_in_recovery", lambda _: True)
    with callctl_connect(settings) as connection:
        found = live_runs.look(connection, settings)
    assert (found.runs, found.may_migrate) == ((), True)
    assert "standby" in str(found.unseen)
