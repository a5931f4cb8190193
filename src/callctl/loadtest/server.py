"""What a server does while it is under load: the CPU and memory of its processes, and what sessions wait for."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from callctl.loadtest.measure import Server, Wait
from callctl.loadtest.queries import run_own
from callctl.statements.naming import Naming

if TYPE_CHECKING:
    from callctl.database.connection import Connection

PROC = Path("/proc")
WAITS_SECONDS = 0.1
CPU_SECONDS = 1.0
_LOOPBACK = ("127.", "::1", "localhost", "/")


def postmaster(connection: Connection) -> int | None:
    """The process id of the server, where it runs on this machine and can be seen; else None."""
    info = connection.info
    row = connection.execute("SELECT pg_backend_pid(), current_user, current_database()").fetchone()
    if row is None or not (info.host or "/").startswith(_LOOPBACK):
        return None
    try:
        title = (PROC / str(row[0]) / "cmdline").read_bytes()
        # A tunnel ends here, too; then a process of that number is not the one that serves this connection.
        if not title.startswith(f"postgres: {row[1]} {row[2]} ".encode()):
            return None
        return int(_stat(PROC / str(row[0]))[1])
    except (OSError, ValueError, IndexError):
        return None


def usage(server: int) -> tuple[float, float]:
    """CPU seconds that the server and its processes have used so far, and their private memory in megabytes."""
    ticks, kilobytes = 0, 0
    for directory in PROC.iterdir():
        if not directory.name.isdecimal():
            continue
        try:
            fields = _stat(directory)
            if int(directory.name) == server:
                ticks += sum(map(int, fields[11:15]))  # with the processes that have ended
            elif int(fields[1]) == server:
                ticks += sum(map(int, fields[11:13]))
            else:
                continue
            status = (directory / "status").read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError, IndexError):  # it has ended meanwhile
            continue
        found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")]
        kilobytes += int(found[0]) if found else 0
    return ticks / os.sysconf("SC_CLK_TCK"), kilobytes / 1024


def _stat(directory: Path) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, …"""
    return (directory / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


class Sampler(threading.Thread):
    """Looks on from a connection of its own, until it is told to stop."""

    def __init__(
        self, connection: Connection, naming: Naming, alive: Callable[[], None], stop: Callable[[str], None]
    ) -> None:
        """``alive`` raises when the load may not go on; then ``stop`` is called with why."""
        super().__init__(daemon=True)
        self._connection = connection
        self._naming = naming
        self._alive = alive
        self._stop_load = stop
        self._enough = threading.Event()
        self._server = postmaster(connection)
        self._waits: Counter[tuple[str, str, bool]] = Counter()
        self._longest: dict[tuple[str, str], float] = {}
        self._memory = 0.0
        self.samples = 0
        self.cpus: list[float] = []

    def run(self) -> None:
        import psycopg

        measured = time.perf_counter()
        used = usage(self._server)[0] if self._server else 0.0
        try:
            while not self._enough.wait(WAITS_SECONDS):
                self._sample()
                now = time.perf_counter()
                if now - measured >= CPU_SECONDS:
                    self._alive()
                    if self._server:
                        used = self._measure(used, now - measured)
                    measured = now
            # What is left of the last second counts too, if it is not a moment.
            if self._server and time.perf_counter() - measured >= CPU_SECONDS / 4:
                self._measure(used, time.perf_counter() - measured)
        except psycopg.Error as error:
            self._stop_load(f"the connection that looks on broke: {type(error).__name__}")
        except Exception as error:
            self._stop_load(str(error))

    def finish(self) -> None:
        """Stop, and wait for it."""
        self._enough.set()
        self.join()

    def _sample(self) -> None:
        self.samples += 1
        for kind, event, ours, others, longest in run_own(self._connection, self._naming, "waits").fetchall():
            self._waits[kind, event, True] += ours
            self._waits[kind, event, False] += others
            self._longest[kind, event] = max(longest * 1000, self._longest.get((kind, event), 0.0))

    def _measure(self, used: float, seconds: float) -> float:
        assert self._server is not None
        now_used, memory = usage(self._server)
        self.cpus.append(round(max(now_used - used, 0.0) / seconds, 2))
        self._memory = max(self._memory, memory)
        return now_used

    @property
    def server(self) -> Server | None:
        """None where the server's processes cannot be seen from here, or it was over before they could be looked at."""
        if not self.cpus:
            return None
        mean = round(sum(self.cpus) / len(self.cpus), 2)
        return Server(os.cpu_count() or 1, mean, max(self.cpus), round(self._memory, 1))

    @property
    def waits(self) -> tuple[Wait, ...]:
        """Most often seen first; locks before everything else. Sessions that waited for nothing are left out."""
        events = {(kind, event) for kind, event, _ in self._waits if kind not in ("none", "Client")}
        found = [
            Wait(
                kind,
                event,
                self._waits[kind, event, True],
                self._waits[kind, event, False],
                round(self._longest.get((kind, event), 0.0), 1) if kind == "Lock" else 0.0,
            )
            for kind, event in events
        ]
        return tuple(sorted(found, key=lambda each: (each.type != "Lock", -each.ours - each.others, each.event)))
