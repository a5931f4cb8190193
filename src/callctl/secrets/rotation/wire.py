"""Statements that the server works at while this thread does something else; and values in PostgreSQL's binary form.

No threads: a thread that waits for the server must first wait for Python's lock, with rows locked meanwhile.
"""

from __future__ import annotations

import contextlib
import select
import struct
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from callctl.stored_bytes import as_text

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

    from callctl.database.connection import Connection

INTEGER, TEXT, JSONB = 23, 25, 3802
# How long the server may take to cancel a statement before its connection is hung up.
HEED_SECONDS = 3.0


class Sent:
    """A statement under way. Until its result is taken, nothing else may use the connection."""

    def __init__(
        self, connection: Connection, statement: bytes, values: Sequence[bytes | None], *, binary_from: int = 0
    ) -> None:
        """``values`` are text up to ``binary_from``, and binary from there on. Raises psycopg.Error."""
        self._connection = connection
        self._raw = connection.pgconn
        self.over = False
        formats = [int(position >= binary_from) for position in range(len(values))]
        self._raw.send_query_params(statement, list(values), param_formats=formats)
        while self._raw.flush():
            readable, _, _ = select.select([self._raw.socket], [self._raw.socket], [])
            if readable:
                self._raw.consume_input()

    def take_in(self) -> None:
        """Take what has come so far, so that the server can go on; does not wait."""
        self._raw.consume_input()

    def complete(self) -> None:
        """Wait until all has come, so that the server need not wait, however long this process now does."""
        while self._raw.is_busy():
            select.select([self._raw.socket], [], [])
            self._raw.consume_input()

    def result(self) -> PGresult:
        """Wait for it. Raises what the server says, as psycopg.Error."""
        import psycopg
        from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus

        last = None
        while True:
            self.complete()
            result = self._raw.get_result()
            if result is None:
                break
            last = result
        self.over = True
        if last is None or (self._raw.status == ConnStatus.BAD and last.error_field(DiagnosticField.SQLSTATE) is None):
            # Then the driver library says so, not the server; there is no code to tell it by.
            raise psycopg.OperationalError(self._raw.get_error_message())
        if last.status != ExecStatus.TUPLES_OK:
            error: Any = psycopg.errors.error_from_result(last)
            raise error
        return last

    def stop(self) -> None:
        """Have the server cancel it, and wait until it has. Where the server does not heed that, or the operator is in
        a hurry (Ctrl-C again), the connection is closed.
        """
        import psycopg

        with contextlib.suppress(KeyboardInterrupt, psycopg.Error):
            if not self.over:
                self._connection.cancel_safe(timeout=HEED_SECONDS)
                self.over = self._ends_within(HEED_SECONDS)
        if not self.over:
            self._connection.close()

    def _ends_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while True:
            while self._raw.is_busy():
                left = until - time.monotonic()
                if left <= 0 or not select.select([self._raw.socket], [], [], left)[0]:
                    return False
                self._raw.consume_input()
            if self._raw.get_result() is None:
                return True


def sent(connection: Connection, statement: bytes, values: Sequence[bytes]) -> list[tuple[str | None, ...]]:
    """Execute with binary parameters, and return the rows as text."""
    under_way = Sent(connection, statement, values)
    try:
        result = under_way.result()
    except BaseException:
        under_way.stop()
        raise
    return [
        tuple(
            None if (value := result.get_value(row, column)) is None else as_text(value)
            for column in range(result.nfields)
        )
        for row in range(result.ntuples)
    ]


def array(element: int, items: Sequence[bytes | None]) -> bytes:
    """A one-dimensional array in PostgreSQL's binary form: no text is parsed, and nothing has to be quoted."""
    pieces = [struct.pack("!iiIii", 1, None in items, element, len(items), 1)]
    for item in items:
        if item is None:
            pieces.append(b"\xff\xff\xff\xff")
        else:
            pieces.append(len(item).to_bytes(4, "big"))
            pieces.append(item)
    return b"".join(pieces)
