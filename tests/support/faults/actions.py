"""What can be done to a run from outside: to its process, its connection, its backend, its server."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import psycopg
from tests.support.faults import wire
from tests.support.faults.own_server import administer
from tests.support.faults.proxy import Moment, Outcome, Session

if TYPE_CHECKING:
    from tests.support.faults.chain import Attempt

Action: TypeAlias = Callable[["Attempt", Session], Outcome]

CANCEL_SECONDS = 0.3  # how long a statement is held for the cancel request that a Ctrl-C sends


def kill(attempt: Attempt, session: Session) -> Outcome:
    """SIGKILL callctl."""
    os.kill(attempt.pid, signal.SIGKILL)
    return "close"


def cut(attempt: Attempt, session: Session) -> Outcome:
    """Close both ends of the connection; the server finds out when it has done with the statement."""
    return "close"


def terminate(attempt: Attempt, session: Session) -> Outcome:
    """End the backend, as an administrator would."""
    if session.pid:
        with administer(attempt.server.url("postgres")) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", (session.pid,))
    return "drain" if session.pid else "close"


def crash(attempt: Attempt, session: Session) -> Outcome:
    """SIGKILL the backend, as the kernel does when memory runs out: the server ends everybody and recovers."""
    if not session.pid:
        return "close"
    with administer(attempt.server.url("postgres")) as bystander:
        os.kill(session.pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        with contextlib.suppress(psycopg.OperationalError):
            while time.monotonic() < deadline:
                bystander.execute("SELECT 1")
                time.sleep(0.002)
    attempt.server.wait_until_ready()
    return "drain"


def restart(attempt: Attempt, session: Session) -> Outcome:
    """Stop the server at once and start it again."""
    attempt.server.stop()
    attempt.server.start()
    return "drain"


def sigint(attempt: Attempt, session: Session) -> Outcome:
    """Ctrl-C, once."""
    attempt.cancel_seen.clear()
    os.kill(attempt.pid, signal.SIGINT)
    attempt.cancel_seen.wait(CANCEL_SECONDS)
    return "go on"


def sigint2(attempt: Attempt, session: Session) -> Outcome:
    """Ctrl-C, twice."""
    os.kill(attempt.pid, signal.SIGINT)
    time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.kill(attempt.pid, signal.SIGINT)
    return "go on"


def disk_full(attempt: Attempt, session: Session) -> Outcome:
    """The server says that its disk is full."""
    return wire.error_response("53100", "could not extend file: No space left on device")


def internal_error(attempt: Attempt, session: Session) -> Outcome:
    """The server says that it has a bug."""
    return wire.error_response("XX000", "unexpected chunk number")


ACTIONS: Mapping[str, Action] = {
    "kill": kill,
    "terminate": terminate,
    "cut": cut,
    "crash": crash,
    "restart": restart,
    "sigint": sigint,
    "sigint2": sigint2,
    "disk_full": disk_full,
    "internal_error": internal_error,
}

ERRORS = frozenset({"disk_full", "internal_error"})
# After these callctl goes on talking to the server for a moment.
GOES_ON = ERRORS | {"sigint", "sigint2"}

# An error stands for an answer: there is only the moment before the server has given its own.
PAIRS: tuple[tuple[str, Moment], ...] = (
    *((name, moment) for name in ACTIONS if name not in ERRORS
      for moment in ("before", "during", "after")),
    ("disk_full", "before"),
    ("internal_error", "before"),
)  # fmt: skip

# What callctl may exit with (docs/explanation, exit codes). A signal or a lost answer may come when all is done (0).
EXITS: Mapping[str, frozenset[int]] = {
    "kill": frozenset({-signal.SIGKILL}),
    "terminate": frozenset({4, 5}),
    "cut": frozenset({4, 5}),
    "crash": frozenset({4, 5}),
    "restart": frozenset({4, 5}),
    "sigint": frozenset({130}),
    "sigint2": frozenset({130}),
    "disk_full": frozenset({4, 5}),
    "internal_error": frozenset({4, 5}),
}
