"""What a person sees on a terminal while a migration runs: driven in a pseudo-terminal, at several widths."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from rich.console import Console
from tests.conftest import connect
from tests.support.steps import LAST

from callctl.events import BatchFinished, Holder, StatementStarted, StepStarted, Waiting
from callctl.render.progress import LiveLine

HELD = Waiting("a lock on chatbots", 12.0, 300.0, (Holder(26358, "psql", "idle in transaction", "00:04:10"),))


def screen(line: LiveLine, width: int) -> list[str]:
    """The lines as they are drawn now."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(line)
    return [text.rstrip() for text in captured.get().splitlines()]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_wait_is_told_on_lines_of_its_own_and_never_cut(width: int) -> None:
    line = LiveLine(Console(file=io.StringIO(), width=width))
    line(StepStarted(4, "backfill_capabilities", "up", 1, 10))
    line(StatementStarted(4, "up", "steps/04/up.sql", 3, "UPDATE chatapp.chatbots SET " + "x" * 200))
    line(HELD)
    drawn = screen(line, width)
    assert all(len(text) <= width for text in drawn)
    said = " ".join(" ".join(drawn).split())
    assert "waiting 12 s of 300 s for a lock on chatbots" in said
    assert "held by pid 26358 (psql, idle in transaction, for 00:04:10)" in said
    assert "to end it: SELECT pg_terminate_backend(26358);" in said
    # The next attempt sends its statements again, and may wait still; a batch that is written waits for nothing.
    line(StatementStarted(4, "up", "steps/04/up.sql", 3, "UPDATE"))
    assert "pg_terminate_backend" in " ".join(screen(line, width))
    line(BatchFinished(4, "steps/04/up.sql", 3, 100, 400, 100, 2.0))
    assert "pg_terminate_backend" not in " ".join(screen(line, width))


def test_the_clock_and_the_bar_go_on_behind_a_batched_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar stood at 100 % and the clock at 0:00:00 for as long as the next statement waited for a lock."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    line = LiveLine(Console(file=io.StringIO(), width=80))
    line(StepStarted(4, "backfill", "up", 1, 1))
    now += 5
    line(BatchFinished(4, "steps/04/up.sql", 3, 400, 400, 400, 0.0))
    full = screen(line, 80)[0]
    assert "0:00:05" in full
    assert "400 of 400 rows" in full
    now += 1
    line(StatementStarted(4, "up", "steps/04/up.sql", 9, "ALTER TABLE chatapp.chatbots"))
    line(Waiting("a lock on chatbots", 0.5, 300.0))
    now += 2
    drawn = screen(line, 80)
    assert "0:00:08" in drawn[0]
    assert "400 of 400 rows" not in drawn[0]
    assert "ALTER TABLE chatapp.chatbots" in drawn[0]
    assert f"step 4 of {LAST}" in drawn[0]
    assert "waiting 2 s of 300 s for a lock on chatbots" in drawn[1]  # the seconds go on


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_in_a_terminal(documented: str, columns: int) -> None:
    """callctl itself, behind somebody's lock: the screen says whose, and how to end it; that is what ends it."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with connect(documented, application_name="holder") as holder:
        holder.execute("BEGIN; LOCK TABLE chatapp.chatbot_packages IN ACCESS EXCLUSIVE MODE")
        pid = holder.info.backend_pid
        process = subprocess.Popen(
            [sys.executable, "-m", "callctl", "migrate", "up", "--to", "3", "--yes"],
            env={**os.environ, "CALLCTL_DATABASE_URL": documented, "TERM": "xterm-256color"},
            stdin=there, stdout=there, stderr=there, start_new_session=True,
        )  # fmt: skip
        os.close(there)
        seen, said = b"", ""
        deadline = time.monotonic() + 60
        try:
            while time.monotonic() < deadline:
                try:
                    piece = os.read(here, 65536)
                except OSError:  # it has ended
                    break
                seen += piece
                said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]", " ", seen.decode(errors="replace"))
                said = " ".join(said.split())
                if f"SELECT pg_terminate_backend({pid});" in said and not holder.closed:
                    holder.execute("ROLLBACK")
                    holder.close()
            assert process.wait(30) == 0, said[-2000:]
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            os.close(here)
    assert "s of 300 s for a lock on" in said
    assert "chatbot_packages" in said
    assert f"pid {pid} (holder, idle in transaction" in said
