"""Eight callctl at once on one database: one works, and the others are refused or wait. Fewer: test_concurrency.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import psycopg
import pytest
from tests.conftest import connect
from tests.support.db import snapshot
from tests.support.steps import ALL

# It is about callctl's own locks.
pytestmark = pytest.mark.one_server

COUNT = 8
STEPS = list(ALL)


def start(url: str, *arguments: str) -> subprocess.Popen[str]:
    """One ``python -m callctl`` of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "callctl", *arguments, "--batch-size", "5"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CALLCTL_DATABASE_URL": url},
    )


def finish(runs: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit code and stderr of each."""
    ended = []
    for run in runs:
        _, errors = run.communicate(timeout=300)
        assert "Traceback" not in errors
        ended.append((run.returncode, errors))
    return ended


def steps_taken(url: str) -> list[tuple[int, str]]:
    with connect(url) as connection:
        return connection.execute("SELECT step, direction FROM callctl.history ORDER BY id").fetchall()


def test_one_works_and_the_others_are_refused_by_name(documented: str) -> None:
    # Whoever has the migration lock waits for this table, so that everybody else finds it held.
    with psycopg.connect(documented) as holder:
        holder.execute("SELECT FROM chatapp.users LIMIT 1")
        runs = [start(documented, "migrate", "up", "--yes") for _ in range(COUNT)]
        refused: list[subprocess.Popen[str]] = []
        while len(refused) < COUNT - 1:
            for run in runs:
                if run.poll() is not None and run not in refused:
                    refused.append(run)
            time.sleep(0.02)  # the processor is theirs
        holder.rollback()
        worked = [run for run in runs if run not in refused]
        assert [code for code, _ in finish(worked)] == [0]
    for code, errors in finish(refused):
        assert code == 6, errors
        assert re.search(
            r"another callctl is running on schema chatapp \(pid \d+, callctl migrate up(, step \d+)?, from local as ",
            errors,
        )
        assert "callctl: hint: wait for that callctl to finish, or run with --wait" in errors
    assert steps_taken(documented) == [(step, "up") for step in STEPS]


def test_those_that_wait_all_arrive_and_each_step_is_taken_once(documented: str) -> None:
    runs = [start(documented, "migrate", "up", "--yes", "--wait") for _ in range(COUNT)]
    assert [code for code, _ in finish(runs)] == [0] * COUNT
    assert steps_taken(documented) == [(step, "up") for step in STEPS]


def test_those_that_wait_to_go_down_all_arrive_at_the_beginning(documented: str) -> None:
    with connect(documented) as connection:
        before = snapshot.take(connection)
    assert finish([start(documented, "migrate", "up", "--yes")])[0][0] == 0
    runs = [start(documented, "migrate", "down", "--all", "--yes", "--wait") for _ in range(2)]
    assert [code for code, _ in finish(runs)] == [0, 0]
    assert steps_taken(documented)[len(STEPS) :] == [(step, "down") for step in reversed(STEPS)]
    with connect(documented) as connection:
        snapshot.assert_same(before, snapshot.take(connection), snapshot.touched_columns(before))
