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
from tests.support.faults.kinds import KINDS, Moment
from tests.support.faults.own_server import administer
from tests.support.faults.proxy import Outcome, Session

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


# The functions above by the names of kinds.py; one that is missing here stops every test of faults.
ACTIONS: Mapping[str, Action] = {kind.name: globals()[kind.name] for kind in KINDS}

ERRORS = frozenset(kind.name for kind in KINDS if kind.answers)
GOES_ON = frozenset(kind.name for kind in KINDS if kind.goes_on)
PAIRS: tuple[tuple[str, Moment], ...] = tuple((kind.name, moment) for kind in KINDS for moment in kind.moments)
EXITS: Mapping[str, frozenset[int]] = {kind.name: kind.exits for kind in KINDS}
