"""Runs ``callctl`` commands as processes of their own, without paying a second of imports for each.

Run as a script. It imports callctl, and forks: a child is a process as ``python -m callctl`` is one, to be killed and
interrupted from outside. Standard input has a JSON object a line: ``arguments``, ``environment``, and the files
``output`` and ``errors``. Standard output has ``pid N``, then ``exit N``, negative for a signal. With a ``url`` instead
of the last three, a command that only reads is run in the nursery itself, so that its children need not parse the SQL
files again; the answer is ``warm N``.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from typing import Any, NoReturn

import psycopg  # noqa: F401
import rich.progress  # noqa: F401
import sqlglot  # noqa: F401

import callctl.config.settings
import callctl.migration.checks.preflight
import callctl.render.migration
import callctl.render.progress
import callctl.render.secrets
import callctl.sandbox.lifecycle
import callctl.secrets.rotation.rotate  # noqa: F401
from callctl import cli
from callctl.migration import migrate  # noqa: F401


def run(order: dict[str, Any]) -> NoReturn:
    """Be callctl, and end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
    for name, descriptor in (("output", 1), ("errors", 2)):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    faulthandler.register(signal.SIGUSR1)  # where one stands that does not end
    os.environ.clear()
    os.environ.update(order["environment"])
    code: object = 1
    try:
        cli.main(order["arguments"])
    except SystemExit as end:
        code = end.code
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        order = json.loads(line)
        if "url" in order:
            os.environ["CALLCTL_DATABASE_URL"] = order["url"]
            answers.write(f"warm {cli.run(order['arguments'])}\n")
            continue
        pid = os.fork()
        if pid == 0:
            run(order)
        answers.write(f"pid {pid}\n")
        _, status = os.waitpid(pid, 0)
        answers.write(f"exit {os.waitstatus_to_exitcode(status)}\n")


if __name__ == "__main__":
    main()
