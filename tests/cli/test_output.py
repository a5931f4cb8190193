"""Output never decides: a stdout or stderr that cannot be written stops no work, and is no bug of callctl's."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest
from tests.support.processes import PATIENCE_SECONDS
from tests.support.steps import LAST

Shell: TypeAlias = Callable[..., tuple[int, str]]

# What the shell does with callctl's output: closed, on a full disk, read by a program that leaves at once or at its
# first line, not open for writing, and a log that may not grow.
LOST = {
    "stdout closed": "exec {} >&- 2>err",
    "stderr closed": "exec {} >out 2>&-",
    "all closed": "exec {} <&- >&- 2>&-",
    "stdout full": "exec {} >/dev/full 2>err",
    "both full": "exec {} >/dev/full 2>&1",
    "stdout read-only": "exec {} 1</dev/null 2>err",
    "log full": "ulimit -f 1; exec {} >out 2>err",
    "reader gone": "set -o pipefail; {} 2>&1 | true",
    "reader of one line": "set -o pipefail; {} 2>&1 | head -1 >out",
}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run a command of callctl's, its output as in LOST: its exit code, and what stderr got."""

    def call(url: str, how: str, *arguments: str, **environment: str) -> tuple[int, str]:
        command = LOST[how].format('"$@"')
        done = subprocess.run(
            ["bash", "-c", command, "bash", sys.executable, "-m", "callctl", *arguments],
            cwd=tmp_path,
            env={**os.environ, "CALLCTL_DATABASE_URL": url, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS * 2,
        )
        err = tmp_path / "err"
        said = (err.read_text() if err.exists() else "") + done.stderr.decode()
        assert "internal error" not in said
        assert "Traceback" not in said
        assert "Exception ignored" not in said
        return done.returncode, said

    return call


def applied(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM callctl.history WHERE direction = 'up'").fetchone()
    return row[0] if row else 0


@pytest.mark.some(4)
@pytest.mark.parametrize("how", LOST)
def test_a_migration_goes_on_without_its_output(documented: str, shell: Shell, how: str) -> None:
    code, _ = shell(documented, how, "migrate", "up", "--yes")
    assert (code, applied(documented)) == (0, LAST)


@pytest.mark.parametrize("how", ["stdout closed", "both full", "reader of one line"])
def test_so_it_does_in_json(documented: str, shell: Shell, how: str) -> None:
    code, _ = shell(documented, how, "migrate", "up", "--yes", "--output", "json")
    assert (code, applied(documented)) == (0, LAST)


def test_lost_output_of_work_is_said_and_is_not_its_exit_code(documented: str, shell: Shell) -> None:
    code, said = shell(documented, "stdout full", "migrate", "up", "--yes")
    assert code == 0
    assert "warning: cannot write to stdout: no space left on device" in said


ANSWERS = (
    ("migrate", "plan"),
    ("migrate", "history"),
    ("migrate", "up", "--dry-run"),
    ("preflight",),
    ("companies", "list", "--help"),
    ("keys", "generate"),
    ("--version",),
    ("--help",),
)


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
@pytest.mark.parametrize("how", ["stdout closed", "stdout full", "stdout read-only"])
def test_an_answer_that_is_lost_is_no_success(
    documented: str, shell: Shell, arguments: tuple[str, ...], how: str
) -> None:
    code, said = shell(documented, how, *arguments)
    assert code == 4
    assert "callctl: error: cannot write to stdout: " in said


@pytest.mark.parametrize("how", ["stderr closed", "reader gone", "reader of one line"])
def test_an_answer_whose_reader_has_what_it_wants_is_one(documented: str, shell: Shell, how: str) -> None:
    assert shell(documented, how, "migrate", "plan")[0] == 0


@pytest.mark.parametrize("how", LOST)
def test_the_answer_no_stays_no(documented: str, shell: Shell, how: str) -> None:
    assert shell(documented, how, "migrate", "status")[0] == 3


def test_no_descriptor_of_a_connection_is_taken_for_stdout(documented: str, shell: Shell, tmp_path: Path) -> None:
    """pg_dump inherits stdout and stderr; where these were closed, callctl's connection would have their numbers."""
    assert shell(documented, "all closed", "backup", "a.dump")[0] == 0
    assert json.loads((tmp_path / "a.dump.manifest.json").read_text())


def test_a_terminal_that_goes_away_does_not_stop_the_live_display(documented: str) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "callctl", "migrate", "up", "--yes"],
        env={**os.environ, "CALLCTL_DATABASE_URL": documented, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    assert os.read(ours, 1)
    os.close(ours)
    assert process.wait(timeout=PATIENCE_SECONDS * 2) == 0
    assert applied(documented) == LAST
