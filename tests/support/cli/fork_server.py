"""callctl as a shell runs it, in a process of its own for each command, without a second of imports for each.

Run as a script with the path of a socket, this is the process that imports callctl and forks. What a shell runs as
``callctl`` is ``fork_client.py``: it sends its arguments, environment, directory and standard streams there, passes
signals on, and ends as the fork does. A fork whose client is killed is killed too. A fork is a process as
``python -m callctl`` is one, apart from its start: that is what the pages run here are not about.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import select
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

CLIENT = Path(__file__).with_name("fork_client.py")


class Forks:
    """The process that forks; a context manager that ends it."""

    def __init__(self, directory: Path) -> None:
        self._address = directory / "forks"
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._address)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def program(self) -> str:
        """The text of a program that runs callctl with its arguments."""
        words = [sys.executable, "-I", "-S", str(CLIENT), str(self._address)]
        return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'

    def __enter__(self) -> Forks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


def load() -> None:
    """Import all of callctl, and what its commands import; make the tree of commands, and read the steps."""
    import psycopg  # noqa: F401
    import rich.progress  # noqa: F401

    import callctl
    from callctl import cli
    from callctl.migration.checks import preflight
    from callctl.migration.steps import contract
    from callctl.migration.steps import numbered as steps

    for module in pkgutil.walk_packages(callctl.__path__, "callctl."):
        if module.name not in ("callctl.__main__", "callctl.sandbox.guard"):
            importlib.import_module(module.name)
    cli._command()
    contract.expectations()
    preflight.needed(steps.all_steps(), "up")
    preflight.needed(steps.all_steps(), "down")


def become_callctl(order: dict[str, Any], streams: list[int]) -> NoReturn:
    """Be callctl, and end."""
    from callctl import cli

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    code: object = 1
    try:
        cli.main(order["arguments"])
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def attend(connection: socket.socket) -> None:
    """Carry out one client's order."""
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(1 << 20)
    ended, alive = os.pipe()
    pid = os.fork()
    if pid == 0:
        connection.close()
        become_callctl(json.loads(message), streams)
    for descriptor in (*streams, alive):
        os.close(descriptor)
    # The other end of the pipe closes with callctl.
    while ended not in select.select([connection.fileno(), ended], [], [])[0]:
        number = connection.recv(1)
        os.kill(pid, number[0] if number else signal.SIGKILL)
        if not number:
            break
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def main(address: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    load()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        children: set[int] = set()
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            pid = os.fork()
            if pid == 0:
                listener.close()
                attend(connection)
                os._exit(0)
            connection.close()
            children = {child for child in (*children, pid) if os.waitpid(child, os.WNOHANG)[0] == 0}


if __name__ == "__main__":
    main(sys.argv[1])
