"""The hot loop: one range of rows, read, decrypted and encrypted here while the server writes the batch before.

A batch is written by compare and swap: only where the version of the row that was read (``xmin``) still stands. So an
application's write is never overwritten. Rows that lost are done again, at last under a lock of the row's, which
no writer can starve.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from callctl import database
from callctl.errors import StepFailed
from callctl.events import OnEvent
from callctl.files import read_sql
from callctl.lock import guard_transaction
from callctl.reencrypt import NotTheSame, Resealed, Resealer
from callctl.rotation_ranges import Found, Range, Tally, reached
from callctl.secret_rows import Row, Target, as_row
from callctl.secret_tables import merged, query

if TYPE_CHECKING:
    from psycopg.sql import Composed

    from callctl.config import Settings
    from callctl.database import Connection

FIRST = 200
SMALLEST = 20
# Rows that lost are done again so many at a time, so many times without a lock.
AGAIN = 100
AGAIN_TIMES = 2
LOCKED = 10
# A statement that the server cut short is tried again with a quarter of its rows, so many times.
CUT_SHORT = 4
# How long the server may take to cancel a statement before its connection is hung up.
HEED_SECONDS = 3.0

_TEXT, _XID, _JSONB = 25, 28, 3802


@dataclass(frozen=True)
class _Batch:
    """Some rows of one target, and what is to be done about each."""

    target: Target
    rows: Sequence[Row]
    results: Sequence[Resealed]

    def changed(self) -> list[int]:
        """The rows to be written, by their position."""
        return [position for position, result in enumerate(self.results) if result.changes]

    def found(self) -> list[Found]:
        """The values left as they were."""
        return [
            Found(row.row_id, failure)
            for row, result in zip(self.rows, self.results, strict=True)
            for failure in result.failures
        ]

    def without(self, lost: frozenset[str]) -> _Batch:
        """The rows that did not lose."""
        kept = [position for position, row in enumerate(self.rows) if row.key not in lost]
        return _Batch(self.target, [self.rows[each] for each in kept], [self.results[each] for each in kept])


class Batches:
    """Works through ranges on two connections: one reads, while the other, on a thread of its own, writes."""

    def __init__(
        self, settings: Settings, resealer: Resealer, reader: Connection, writer: Connection, on_event: OnEvent
    ) -> None:
        self._settings = settings
        self._resealer = resealer
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        most = settings.lock_timeout_ms + settings.lock_hold_ms
        writer.execute(read_sql("rotation/session.sql").encode(), {"most_ms": most})
        self._stopping = False
        self._largest = settings.batch_size
        self._size = min(FIRST, self._largest)

    def run(self, taken: Range, target: Target, between: Callable[[int], None]) -> Tally:
        """Do a range from where it stands to its end. ``between`` is called with the rows of each batch once they are
        committed; what it raises ends the run, with what is committed standing.

        Raises StepFailed, LockHeld, psycopg.Error.
        """
        tally, above = taken.tally, taken.above
        pending: Future[tuple[Tally, frozenset[str]]] | None = None
        batch: _Batch | None = None
        with ThreadPoolExecutor(1, "callctl writer") as writer:
            try:
                while True:
                    rows = self._read(target, above, taken.up_to, self._size)
                    following = self._prepared(target, rows)
                    if pending is not None and batch is not None:
                        tally = self._settled(taken, batch, tally, pending.result())
                        between(len(batch.rows))
                    if not rows:
                        break
                    batch, above = following, rows[-1].key
                    pending = writer.submit(self._write, taken, batch, tally)
            except BaseException:
                if pending is not None and not pending.done():
                    self._stop(pending)
                raise
        self._mark(taken, None, tally, (), finished=True)
        return tally

    def finish(self, taken: Range) -> None:
        """Mark a range as done that has no rows any more."""
        self._mark(taken, None, taken.tally, (), finished=True)

    def _stop(self, pending: Future[Any]) -> None:
        """End what the writer's thread is at, and wait for it: a connection must not be closed while another thread is
        inside of it. The statement is cancelled; where the server does not heed that, or the operator is in a hurry
        (Ctrl-C again), the connection is hung up.
        """
        import psycopg

        self._stopping = True
        with contextlib.suppress(KeyboardInterrupt, psycopg.Error):
            self._writer.cancel_safe(timeout=HEED_SECONDS)
            wait([pending], timeout=HEED_SECONDS)
        while not pending.done():
            with contextlib.suppress(KeyboardInterrupt):
                database.hang_up(self._writer)
                wait([pending])

    # ---- reading -----------------------------------------------------------------------------------------

    def _read(self, target: Target, above: str | None, up_to: str | None, rows: int) -> list[Row]:
        values = {"above": above, "up_to": up_to, "rows": rows}
        return self._rows_of(query("read", target), values)

    def _rows_of(self, statement: Composed, values: dict[str, Any]) -> list[Row]:
        """Rows by the reader, which waits for a lock of the table's no longer than the writer does."""

        def attempt() -> list[Row]:
            return [as_row(each) for each in self._reader.execute(statement, values).fetchall()]

        return database.with_retries(self._settings, "a lock", attempt, self._on_event)

    def _prepared(self, target: Target, rows: Sequence[Row]) -> _Batch:
        reseal = self._resealer.reseal
        try:
            return _Batch(target, rows, [reseal(target, row) for row in rows])
        except NotTheSame:
            raise StepFailed(
                f"a value of {target.name} did not decrypt again to what it was, before it was written; nothing of this"
                " batch was written",
                hint="this is a bug in callctl, or in the machine's memory; earlier batches stand",
            ) from None

    # ---- writing -----------------------------------------------------------------------------------------

    def _write(self, taken: Range, batch: _Batch, tally: Tally) -> tuple[Tally, frozenset[str]]:
        """Write a batch, on the writer's thread. Returns the tally with it, and the keys of the rows that lost."""
        changed = batch.changed()
        began = time.monotonic()
        written, lost = self._swap(taken, batch, changed, tally, last=True)
        took = (time.monotonic() - began) * 1000
        if took > self._settings.batch_time_ms:
            self._size = max(len(batch.rows) // 2, min(SMALLEST, self._largest))
        elif took < self._settings.batch_time_ms / 2 and len(batch.rows) >= self._size:
            self._size = min(self._size * 2, self._largest)
        return written, lost

    def _swap(
        self, taken: Range, batch: _Batch, changed: Sequence[int], tally: Tally, *, last: bool = False
    ) -> tuple[Tally, frozenset[str]]:
        """One transaction: the rows that still are as they were read, and what has been counted with them. Where none
        lost, ``last`` moves the range on, past the batch. Returns the tally, and the keys of the rows that lost.
        """
        import psycopg

        tries = cuts = 0

        def attempt() -> tuple[Tally, frozenset[str]]:
            nonlocal tries
            if self._stopping:
                raise KeyboardInterrupt  # nobody asks for the result any more
            chosen = changed[: max(len(changed) >> (2 * cuts), 1)]
            with self._writer.transaction():
                guard_transaction(self._writer, self._settings.schema, self._settings.lock_timeout_ms, shared=True)
                if tries:  # somebody held a row: the others need not wait
                    chosen = self._free(batch, chosen)
                tries += 1
                written = self._update(batch, chosen)
                lost = frozenset(batch.rows[each].key for each in changed) - written
                if last and not lost:
                    more = tally.plus(batch.results)
                    reached(self._writer, taken, batch.rows[-1].key, more, batch.found())
                else:
                    more = self._counted(taken, batch, tally, written)
            return more, lost

        while True:
            try:
                return database.with_retries(self._settings, "a row's lock", attempt, self._on_event)
            except psycopg.errors.QueryCanceled:
                cuts += 1
                if cuts == CUT_SHORT or self._stopping:
                    raise

    def _counted(self, taken: Range, batch: _Batch, tally: Tally, written: frozenset[str]) -> Tally:
        """Count what this transaction has written of a batch that is not done yet. Whoever goes on from here finds
        those rows done: nobody would count them then.
        """
        more = tally.written_only(
            result for row, result in zip(batch.rows, batch.results, strict=True) if row.key in written
        )
        if written:
            reached(self._writer, taken, None, more, ())
        return more

    def _free(self, batch: _Batch, chosen: Iterable[int]) -> list[int]:
        keys = {batch.rows[each].key: each for each in chosen}
        rows = self._writer.execute(query("free", batch.target), {"keys": list(keys)}).fetchall()
        return [keys[key] for (key,) in rows]

    def _update(self, batch: _Batch, chosen: Sequence[int]) -> frozenset[str]:
        """Send the new values. Returns the keys of the rows that were written."""
        parts = [
            number
            for number in range(len(batch.target.parts))
            if any(batch.results[each].values[number] is not None for each in chosen)
        ]
        if not parts:
            return frozenset()
        rows, results = batch.rows, batch.results
        values = [
            _array(_TEXT, [rows[each].key.encode() for each in chosen]),
            _array(_XID, [struct.pack("!I", int(rows[each].version)) for each in chosen]),
        ]
        for number in parts:
            texts = [results[each].values[number] for each in chosen]
            if batch.target.parts[number].form == "text":
                values.append(_array(_TEXT, [None if text is None else text.encode() for text in texts]))
            else:
                values.append(_array(_JSONB, [None if text is None else b"\x01" + text.encode() for text in texts]))
        return frozenset(_sent(self._writer, merged(batch.target, parts), values))

    # ---- what lost ---------------------------------------------------------------------------------------

    def _settled(self, taken: Range, batch: _Batch, before: Tally, written: tuple[Tally, frozenset[str]]) -> Tally:
        """The tally after a batch, once its last row is done: those that lost are done again."""
        tally, lost = written
        if lost:
            done = [batch.without(lost)]
            for start in range(0, len(keys := sorted(lost)), AGAIN):
                tally, more = self._again(taken, batch.target, keys[start : start + AGAIN], tally)
                done += more
            tally, found = before, []
            for each in done:
                tally = tally.plus(each.results)
                found += each.found()
            self._mark(taken, batch.rows[-1].key, tally, found)
        taken.tally = tally
        return tally

    def _again(self, taken: Range, target: Target, keys: list[str], tally: Tally) -> tuple[Tally, list[_Batch]]:
        """Rows that lost, read again and written: what has been counted, and what is done about each row. A row that
        is gone needs nothing.
        """
        done = []
        for _ in range(AGAIN_TIMES):
            batch = self._prepared(target, self._rows_of(query("read_again", target, locking=""), {"keys": keys}))
            tally, lost = self._swap(taken, batch, batch.changed(), tally)
            done.append(batch.without(lost))
            keys = sorted(lost)
            if not keys:
                return tally, done
        for start in range(0, len(keys), LOCKED):
            attempt = partial(self._locked, taken, target, keys[start : start + LOCKED], tally)
            tally, batch = database.with_retries(self._settings, "a row's lock", attempt, self._on_event)
            done.append(batch)
        return tally, done

    def _locked(self, taken: Range, target: Target, keys: list[str], tally: Tally) -> tuple[Tally, _Batch]:
        """Rows that somebody writes all the time: read and written while this transaction holds them."""
        with self._writer.transaction():
            guard_transaction(self._writer, self._settings.schema, self._settings.lock_timeout_ms, shared=True)
            again = query("read_again", target, locking="FOR NO KEY UPDATE OF t")
            rows = self._writer.execute(again, {"keys": keys}).fetchall()
            batch = self._prepared(target, [as_row(each) for each in rows])
            written = self._update(batch, changed := batch.changed())
            if len(written) != len(changed):
                raise StepFailed(
                    f"a row of {target.name} changed while it was locked; it was left as it is",
                    hint="is it a foreign table or a view? take its fields out of callctl.yaml",
                )
            tally = self._counted(taken, batch, tally, written)
        return tally, batch

    def _mark(
        self, taken: Range, key: str | None, tally: Tally, found: Iterable[Found], *, finished: bool = False
    ) -> None:
        def attempt() -> None:
            with self._writer.transaction():
                guard_transaction(self._writer, self._settings.schema, self._settings.lock_timeout_ms, shared=True)
                reached(self._writer, taken, key, tally, found, finished=finished)

        database.with_retries(self._settings, "a lock", attempt, self._on_event)


def _array(element: int, items: Sequence[bytes | None]) -> bytes:
    """A one-dimensional array in PostgreSQL's binary form: no text is parsed, and nothing has to be quoted."""
    pieces = [struct.pack("!iiIii", 1, None in items, element, len(items), 1)]
    for item in items:
        if item is None:
            pieces.append(b"\xff\xff\xff\xff")
        else:
            pieces.append(len(item).to_bytes(4, "big"))
            pieces.append(item)
    return b"".join(pieces)


def _sent(connection: Connection, statement: bytes, values: Sequence[bytes]) -> Iterable[str]:
    """Execute with binary parameters, and return the first column. One call that waits without holding Python's lock:
    the other thread encrypts meanwhile."""
    import psycopg
    from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus

    raw = connection.pgconn
    result = raw.exec_params(statement, list(values), param_formats=[1] * len(values))
    if raw.status == ConnStatus.BAD and result.error_field(DiagnosticField.SQLSTATE) is None:
        # Then the driver library says so, not the server; there is no code to tell it by.
        raise psycopg.OperationalError(raw.get_error_message())
    if result.status != ExecStatus.TUPLES_OK:
        error: Any = psycopg.errors.error_from_result(result)
        raise error
    return [(result.get_value(row, 0) or b"").decode() for row in range(result.ntuples)]
