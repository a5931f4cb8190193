"""How a tool is started, and what became of it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """A command line, what it adds to the environment, and the directory that it wants to stand in."""

    argv: list[str]
    environment: dict[str, str]
    directory: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How a tool ended: times by time.monotonic(), its own peak memory in MiB, and what it said last."""

    began: float
    ended: float
    status: int
    memory_mb: float
    said: str


def environment(command: Command) -> dict[str, str]:
    """Ours without what libpq and callctl would read unasked, and the command's own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "CALLCTL_")) and name != "DATABASE_URL"
    }
    return {**kept, **command.environment, "NO_COLOR": "1"}


def run(command: Command, *, limit: float = 1800.0) -> Outcome:
    """Run it to its end; its peak memory is read while it runs, so the last moments may be missing."""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(command),
            cwd=command.directory,
        )
        peak, over = 0.0, threading.Event()

        def look() -> None:
            nonlocal peak
            while not over.wait(0.02):
                peak = max(peak, _memory_mb(process.pid))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            status = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        ended = time.monotonic()
        over.set()
        watcher.join()
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Outcome(began, ended, status, round(peak, 1), text)


def _memory_mb(pid: int) -> float:
    """The most memory that a process and its children ever had, as Linux counts it; 0 where nobody does."""
    total = 0.0
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            total += int(line.split()[1]) / 1024
    return total + sum(_memory_mb(int(child)) for child in children)
