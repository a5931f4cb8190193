"""A server that a test may stop, crash and start again on the same data directory."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import psycopg
from tests.support import processes

import callctl.sandbox.guard
from callctl.database.programs import Binaries, find_binaries, reachable_binaries, run_as, server_user
from callctl.sandbox.server import SUPERUSER, give, initialise, is_ready, make_directory, server_argv, socket_url

SETTINGS = {
    # What was committed must be there after a crash of the server; only a power cut would lose it.
    "fsync": "off",
    "synchronous_commit": "on",
    "max_prepared_transactions": "10",
    "max_connections": "100",
}

# Runs a program that may write no file beyond so many blocks, of 512 bytes in any POSIX shell.
LIMITED = 'ulimit -f "$1" && shift && exec "$@"'


class OwnServer:
    """PostgreSQL under callctl's guard, so that it ends with this process however that ends."""

    def __init__(self, binaries: Binaries | None = None, *, wal_segment: int | None = None) -> None:
        self._user = server_user()
        self._directory = make_directory(self._user)
        self._binaries = reachable_binaries(binaries or find_binaries(), self._directory, self._user)
        self._guard: subprocess.Popen[bytes] | None = None
        self._data = self._directory / "data"
        self.sockets = self._directory / "socket"
        self.sockets.mkdir(mode=0o700)
        give(self.sockets, self._user)
        self._initialise(wal_segment)

    def _initialise(self, wal_segment: int | None) -> None:
        if wal_segment is None:
            initialise(self._binaries, self._data, self._user)
            return
        argv = [
            *self._user.prefix, str(self._binaries.bin / "initdb"), "-D", str(self._data), "-N", "--locale=C",
            "-E", "UTF8", "-A", "trust", "-U", SUPERUSER, f"--wal-segsize={wal_segment >> 20}",
        ]  # fmt: skip
        process = run_as(argv, self._user.ids, env=self._binaries.environment(), cwd=self._directory)
        assert process.returncode == 0, process.stderr

    def start(self, settings: Mapping[str, str] | None = None, *, file_bytes: int | None = None) -> None:
        """Start, and wait until connections are accepted. With ``file_bytes``, no file may grow beyond."""
        argv = server_argv(self._binaries, self._data, self.sockets, self._user, {**SETTINGS, **(settings or {})})
        if file_bytes is not None:
            place = len(self._user.prefix)
            argv[place:place] = ["/bin/sh", "-c", LIMITED, "sh", str(file_bytes // 512)]
        order = {
            "argv": argv,
            "env": self._binaries.environment(),
            "log": str(self._directory / "log"),
            "user": self._user.ids,
        }
        guard = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                callctl.sandbox.guard.__file__,
                str(self._directory),
                str(self._directory.lstat().st_ino),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        assert guard.stdin is not None
        guard.stdin.write(json.dumps(order).encode() + b"\n")
        guard.stdin.flush()
        self._guard = guard
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if is_ready(self._data):
                with contextlib.suppress(psycopg.OperationalError):
                    psycopg.connect(self.url("postgres")).close()
                    return
            time.sleep(0.01)
        raise AssertionError(f"the server is not ready: {self.log()}")

    def url(self, database: str) -> str:
        return socket_url(self.sockets, database)

    def log(self) -> str:
        return (self._directory / "log").read_text(encoding="utf-8", errors="replace")[-2000:]

    def stop(self) -> None:
        """Stop at once, as pg_ctl stop -m immediate does; the next start recovers from the log."""
        assert self._guard is not None
        file = self._data / "postmaster.pid"
        pid = int(file.read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + 60
        while processes.alive(pid) and time.monotonic() < deadline:
            time.sleep(0.005)
        # Killed, the guard leaves the directory where it is.
        self._guard.kill()
        self._guard.wait()
        self._close_pipe()
        file.unlink(missing_ok=True)  # the next start must not be taken for ready by the file of this one

    def _close_pipe(self) -> None:
        assert self._guard is not None
        assert self._guard.stdin is not None
        self._guard.stdin.close()

    def __enter__(self) -> OwnServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._guard is not None:
            self._close_pipe()
            self._guard.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


def administer(url: str, **options: Any) -> psycopg.Connection[Any]:
    """A connection of the test's own, past the proxy."""
    return psycopg.connect(url, autocommit=True, application_name="fault test", **options)
