"""Keeps a PostgreSQL server no longer than its owner lives.

Run as a script, ``python -I -S guard.py DIRECTORY INODE``, by ``callctl.sandbox.server``: a process of its own, so
that a kill -9 of callctl leaves neither a server nor its directory behind. It imports the standard library
only.

Its standard input is a pipe that the owner holds open. The one line in it is a JSON object: ``argv`` and
``env`` of the server, ``log`` for what it prints, ``user`` as null or [uid, gid]. When the pipe closes,
whichever side closed it, and with or without the line, the server is shut down at once and DIRECTORY
removed. Its standard output says ``pid N`` once, and ``exit N`` if the server ends before the owner does; the
directory then stays until the owner has read the log.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.2
_SHUTDOWN_SECONDS = 8.0  # PostgreSQL itself kills stragglers 5 seconds into an immediate shutdown


def _load_prctl() -> Any:
    """Return prctl of the C library, or None if there is none (macOS)."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None


def _start(settings: dict[str, Any], directory: str) -> subprocess.Popen[bytes]:
    """Start the server as its user; on Linux it also dies if this guard is killed."""
    prctl = _load_prctl()
    guard = os.getpid()

    def die_with_guard() -> None:
        # Runs after the change of user, which would clear the signal. This process has one thread,
        # so preexec_fn is safe, and "the parent" that the kernel watches is that one thread.
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
            if os.getppid() != guard:
                os._exit(1)

    user: dict[str, Any] = {}
    if settings["user"] is not None:
        uid, gid = settings["user"]
        user = {"user": uid, "group": gid, "extra_groups": []}
    with Path(settings["log"]).open("ab") as log:
        return subprocess.Popen(
            settings["argv"],
            env=settings["env"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            umask=0o077,
            preexec_fn=die_with_guard,
            **user,
        )


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the other side may be gone
        os.write(1, f"{line}\n".encode())


def _owner_is_gone(seconds: float, owner: int) -> bool:
    """Wait for the owner's end of the pipe to close; also notice a pipe kept open by an owner's orphans."""
    ready, _, _ = select.select([0], [], [], seconds)
    return (bool(ready) and not os.read(0, 1)) or os.getppid() != owner


def _read_line() -> bytes:
    """The line that says what to do; empty if the owner went before it said it."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)  # unbuffered: select() is to see the rest
        if not byte:
            return b""
        line += byte
    return line


def main() -> None:
    """Start the server, wait for the owner to go, stop the server, remove the directory."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the pipe decides; a terminal's Ctrl-C is the owner's
    owner = os.getppid()
    directory = sys.argv[1]
    server = None
    try:
        line = _read_line()
        if not line:
            return
        settings = json.loads(line)
        try:
            server = _start(settings, directory)
        except (OSError, subprocess.SubprocessError) as error:
            with Path(settings["log"]).open("a", encoding="utf-8") as log:
                log.write(f"{settings['argv'][0]}: {error}\n")
            _say("exit 127")
        else:
            _say(f"pid {server.pid}")
            while server.poll() is None:
                if _owner_is_gone(_POLL_SECONDS, owner):
                    return
            _say(f"exit {server.returncode}")
        while not _owner_is_gone(60.0, owner):
            pass
    finally:
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGQUIT)
            try:
                server.wait(_SHUTDOWN_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        # Another one may be at its place by now, and a symbolic link leads elsewhere.
        with contextlib.suppress(OSError):
            if Path(directory).lstat().st_ino == int(sys.argv[2]):
                shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
