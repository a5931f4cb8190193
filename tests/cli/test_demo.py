"""callctl demo, as a person or a pipe sees it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests.support.steps import LAST

from callctl.cli import run
from callctl.config.settings import Settings
from callctl.events import OnEvent
from callctl.migration import migrate
from callctl.sandbox import demo

ARGUMENTS = ("demo", "--rows", "100")


def change_a_user_after_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: what down leaves is not what was there before."""
    down = migrate.down

    def then_change(settings: Settings, *, to: int, on_event: OnEvent) -> migrate.Migrated:
        done = down(settings, to=to, on_event=on_event)
        with psycopg.connect(settings.database_url or "") as connection:
            connection.execute("UPDATE chatapp.users SET name = 'Somebody else' WHERE email = 'user7@example.com'")
        return done

    monkeypatch.setattr(migrate, "down", then_change)


def servers_in(directory: Path) -> list[str]:
    """The command lines of the processes that work in a directory."""
    shown = subprocess.run(["ps", "-ww", "-eo", "command="], capture_output=True, text=True, check=True)
    return [line for line in shown.stdout.splitlines() if str(directory) in line]


def test_the_story_in_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@nowhere.invalid/nothing")
    assert run(ARGUMENTS) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    titles = [line.split()[0] for line in out.splitlines() if line[:1].islower()]
    assert titles == [
        *(
            "callctl",
            "before",
            "preflight",
            "plan",
            "up",
            "verify",
            "changed",
            "written",
            "down",
            "proof",
            "up",
        )
    ]
    assert "✓ chatbots         100 of 100 +1" in out
    assert "✓ users        200 of 200" in out
    assert "Nothing was lost." in out
    assert "✗" not in out


def test_the_story_on_a_terminal() -> None:
    """The moving parts are drawn, in colour, and gone at the end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "callctl", *ARGUMENTS],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "50"},
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the other side is closed
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0
    text = shown.decode()
    assert "\x1b[" in text
    assert "●" in text  # a step under way
    assert "Nothing was lost." in text


def test_a_row_that_changed_fails_the_proof(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change_a_user_after_down(monkeypatch)
    assert run(ARGUMENTS) == 3
    out = capsys.readouterr().out
    assert "✗ users        199 of 200" in out
    assert "users: 1 changed, 0 gone, such as" in out
    assert "The proof does not hold." in out
    assert "Nothing was lost" not in out


def test_json_is_a_line_for_each_thing_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run((*ARGUMENTS, "--baseline", "documented", "--output", "json")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    events = [line["event"] for line in lines]
    told = (
        "before",
        "preflight",
        "planned",
        "run",
        "verified",
        "changes",
        "writes",
        "down",
        "proof",
        "again",
        "story",
    )
    assert [event for event in events if event in told] == list(told)
    assert events.count("step_finished") == 3 * LAST
    by_event = {line["event"]: line for line in lines}
    assert by_event["proof"]["holds"] is True
    # The documented baseline has triggers of its own; what they write is named, not compared.
    assert ["chatbots", ["updated_at"]] in by_event["proof"]["comparison"]["not_compared"]
    story = lines[-1]
    assert (story["event"], story["holds"], story["baseline"], story["chatbots"]) == (
        "story",
        True,
        "documented",
        100,
    )


def test_a_stream_without_unicode_gets_what_it_can_show() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "callctl", *ARGUMENTS],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert b"+ chatbots         100 of 100 +1" in done.stdout
    assert b"\\u" not in done.stdout


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A directory that a server may use whoever it runs as; pytest's own is closed to others, and long."""
    with tempfile.TemporaryDirectory(prefix="demo-") as made:
        directory = Path(made)
        directory.chmod(0o777)
        yield directory


@pytest.mark.parametrize("scene", ["before", "up", "down"])
def test_ctrl_c_leaves_no_server(scene: str, temporary: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "callctl", *ARGUMENTS, "--output", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "scene_started" and event["scene"] == scene:
            break
    while not servers_in(temporary):  # so that there is something to leave behind
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.stdout.read(), process.stderr.read()
    assert process.wait(timeout=120) == 130, err
    assert "callctl: error: the demo was interrupted; its PostgreSQL is stopped and deleted" in err
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["exit_code"] == 130
    assert servers_in(temporary) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("--rows", "10"), ("--baseline", "real"), ("--seed", "-1")], ids=lambda value: value[0]
)
def test_values_that_make_no_sense(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("demo", *arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("callctl: error: ")
    assert arguments[0] in err
    assert demo.DEFAULT_ROWS == 3000  # as --help says
