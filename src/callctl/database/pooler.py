"""Whether a pooler stands before the server, and whether it leaves a client its session: found out by experiment."""

from __future__ import annotations

import random
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from callctl.errors import ConnectionFailed, Refused

if TYPE_CHECKING:
    import psycopg

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

# 'none': the server itself. 'own': a pooler that keeps each client's session. 'shared': one that does not (transaction
# or statement mode). 'one': it has no second server connection to give.
Sessions: TypeAlias = Literal["none", "own", "shared", "one"]

ROUNDS = 16
ANSWER_SECONDS = 3.0


def sessions(connection: Connection, pid: int, another: Callable[[], Connection]) -> Sessions:
    """What stands between ``connection`` and the server that has just said its process is ``pid``.

    A pooler makes up a process number when a client connects; the server's own answer then differs. Behind one a
    second connection, ``another``, is opened, and both ask in turn: with sessions of their own, each always gets its
    own answer. Raises psycopg.Error where the second connection cannot be opened.
    """
    if pid == connection.info.backend_pid:
        return "none"
    second = another()
    try:
        first_seen: tuple[int, int] | None = None
        for _ in range(ROUNDS):
            # Out of step with the pool's other clients: they may take turns as regularly as we do.
            time.sleep(random.uniform(0, 0.005))
            other = _ask_in_time(second)
            if other is None:
                return "one"
            seen = _ask(connection), other
            first_seen = first_seen or (pid, other)
            if seen != first_seen or seen[0] == seen[1]:
                return "shared"
    finally:
        second.close()
    return "own"


def refusal(connection: Connection, found: Sessions) -> Refused:
    """The error for a pooler that callctl cannot work through; its hint names the server's own address."""
    row = connection.execute("SELECT host(inet_server_addr()), current_setting('port')").fetchone()
    address, port = row or (None, "5432")
    place = f"its own port is {port}" + (f", its address as the pooler sees it {address}" if address else "")
    hint = f"connect to the server itself ({place}), or through a pooler in session mode"
    if found == "one":
        return Refused(
            f"the pooler gives callctl no second server connection in {ANSWER_SECONDS:g} s, and it needs one for the"
            " migration lock; nothing was changed",
            hint=hint,
        )
    return Refused(
        "a pooler in transaction mode stands before the server: a lock and settings would end up in other clients'"
        " sessions; nothing was changed",
        hint=hint,
    )


def assert_transactions(connection: Connection) -> None:
    """Raise ConnectionFailed where the pooler allows no transactions (statement mode)."""
    import psycopg

    try:
        with connection.transaction():
            _ask(connection)
    except psycopg.Error:
        raise ConnectionFailed(
            "a pooler that allows no transactions stands before the server (statement mode)",
            hint="connect to the server itself (usually port 5432), or through a pooler in session mode",
        ) from None


def _ask(connection: Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0


def _ask_in_time(connection: Connection) -> int | None:
    """The process that answers, or None where none does in time: a pooler may let a client wait for minutes."""
    raw = connection.pgconn
    raw.send_query(b"SELECT pg_backend_pid()")
    raw.flush()
    deadline = time.monotonic() + ANSWER_SECONDS
    while raw.is_busy():
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([raw.socket], [], [], left)[0]:
            return None
        raw.consume_input()
    answer = raw.get_result()
    value = answer.get_value(0, 0) if answer is not None and answer.ntuples else None
    while raw.get_result() is not None:
        continue
    return int(value) if value else None
