"""callctl as its operator runs it: in a process of its own, to be killed, frozen and interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

# A test waits for something to happen, never for a time to pass; this only keeps a broken one from hanging.
PATIENCE_SECONDS = 30.0


def listen_to_interrupts() -> None:
    """Let every process that this one starts be interrupted, though a shell started the tests in the background.

    Such a shell has SIGINT ignored, and a process keeps what its parent ignores; a handler it does not keep.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def start(url: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start ``callctl ARGUMENTS`` on that database, its output piped."""
    return subprocess.Popen(
        [sys.executable, "-m", "callctl", *arguments],
        env={**os.environ, "CALLCTL_DATABASE_URL": url, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for its end: exit code, stdout, stderr. One that does not end is killed, and the test fails."""
    try:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


def run(url: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run callctl to its end: exit code, stdout, stderr."""
    return finish(start(url, *arguments, **environment))


def until(seen: Callable[[], Any], description: str) -> Any:
    """Wait for something true, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if value := seen():
            return value
        time.sleep(0.02)
    raise AssertionError(f"never seen: {description}")


def alive(pid: int) -> bool:
    """Return whether this process runs. One that has ended does not, though its parent has not collected it yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def sessions(
    connection: psycopg.Connection[Any], name: str = "callctl%", states: str = "active, idle in transaction"
) -> list[int]:
    """Return the pids of this database's sessions with this name, in one of these states (``%``: in any).

    A parallel worker has the name of the session that started it; it is not counted.
    """
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend' AND application_name LIKE %s"
        " AND (state = ANY (string_to_array(%s, ', ')) OR %s = '%%') ORDER BY pid",
        (name, states, states),
    ).fetchall()
    return [row[0] for row in rows]
