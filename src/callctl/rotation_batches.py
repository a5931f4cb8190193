"""The hot loop: one range of rows, read, decrypted and encrypted here while the server writes the batch before.

A batch is written by compare and swap: only where the version of the row that was read (``xmin``) still stands. So an
application's write is never overwritten. Rows that lost are done again, at last under a lock of the row's, which
no writer can starve.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from callctl import database
from callctl.errors import StepFailed
from callctl.events import OnEvent
from callctl.files import read_sql
from callctl.lock import WORK_CLASS, guard_transaction
from callctl.reencrypt import Resealed, Resealer
from callctl.renewal import NotTheSame
from callctl.rotation_batch import Batch
from callctl.rotation_ranges import Found, Range, Tally, reached
from callctl.rotation_wire import Sent, sent
from callctl.secret_rows import Row, Target, as_row
from callctl.secret_tables import merged, numbered, query

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult
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

# After so many rows what the server has read meanwhile is taken in.
TAKE_IN = 50


@dataclass(frozen=True)
class _Writing:
    """A batch that the server writes; ``sent`` is None where it is not written at once."""

    batch: Batch
    changed: Sequence[int]
    sent: Sent | None


@dataclass
class _Ahead:
    """Rows that are read while others are worked at; ``sent`` is sent once more where somebody was in the way."""

    above: str | None
    up_to: str | None
    rows: int
    sent: Sent


class Batches:
    """Works through ranges on two connections: while the server writes one batch and reads the next but one, that
    between them is decrypted and encrypted here.
    """

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
        self._statements: dict[Hashable, bytes] = {}
        self._ahead: _Ahead | None = None
        self._writing: _Writing | None = None
        self._largest = settings.batch_size
        self._size = min(FIRST, self._largest)

    def run(self, taken: Range, target: Target, between: Callable[[int], None]) -> Tally:
        """Do a range from where it stands to its end. ``between`` is called with the rows of each batch once they are
        committed; what it raises ends the run, with what is committed standing.

        Raises StepFailed, LockHeld, psycopg.Error.
        """
        try:
            self._read_ahead(target, taken.above, taken.up_to, self._size)
            while self._ahead is not None and (rows := self._rows_read(target, self._ahead)):
                if len(rows) == self._ahead.rows:
                    self._read_ahead(target, rows[-1].key, taken.up_to, self._size)
                else:
                    self._ahead = None
                batch = self._prepared(target, rows)
                self._finish_batch(taken, between)
                self._start(taken, batch)
            self._ahead = None
            self._finish_batch(taken, between)
        except BaseException:
            self._stop()
            raise
        self._mark(taken, None, taken.tally, (), finished=True)
        return taken.tally

    def finish(self, taken: Range) -> None:
        """Mark a range as done that has no rows any more."""
        self._mark(taken, None, taken.tally, (), finished=True)

    def _stop(self) -> None:
        """End what is under way: nobody asks for it any more."""
        for each in (self._writing, self._ahead):
            if each is not None and each.sent is not None:
                each.sent.stop()
        self._writing = self._ahead = None

    # ---- reading -----------------------------------------------------------------------------------------

    def _read_ahead(self, target: Target, above: str | None, up_to: str | None, rows: int) -> None:
        self._ahead = _Ahead(above, up_to, rows, self._send_read(target, above, up_to, rows))

    def _send_read(self, target: Target, above: str | None, up_to: str | None, rows: int) -> Sent:
        statement = self._statement(("read", target.name), lambda: numbered("read", target, ("above", "up_to", "rows")))
        values = [None if text is None else text.encode() for text in (above, up_to, str(rows))]
        return Sent(self._reader, statement, values, binary_from=len(values))

    def _rows_read(self, target: Target, ahead: _Ahead) -> list[Row]:
        """The rows that were asked for. The reader waits for a lock of the table's no longer than the writer does."""

        def attempt() -> PGresult:
            if ahead.sent.over:
                ahead.sent = self._send_read(target, ahead.above, ahead.up_to, ahead.rows)
            return ahead.sent.result()

        result = database.with_retries(self._settings, "a lock", attempt, self._on_event)
        value, columns = result.get_value, range(5 + len(target.parts))
        return [
            as_row(tuple([None if (each := value(row, column)) is None else each.decode() for column in columns]))
            for row in range(result.ntuples)
        ]

    def _rows_of(self, statement: Composed, values: dict[str, Any]) -> list[Row]:
        """Rows by the writer, while it has nothing else to do."""

        def attempt() -> list[Row]:
            return [as_row(each) for each in self._writer.execute(statement, values).fetchall()]

        return database.with_retries(self._settings, "a lock", attempt, self._on_event)

    def _statement(self, name: Hashable, made: Callable[[], bytes]) -> bytes:
        """A statement, put together once."""
        found = self._statements.get(name)
        if found is None:
            found = self._statements[name] = made()
        return found

    def _prepared(self, target: Target, rows: Sequence[Row]) -> Batch:
        reseal = self._resealer.reseal
        results: list[Resealed] = []
        try:
            for start in range(0, len(rows), TAKE_IN):
                results += [reseal(target, row) for row in rows[start : start + TAKE_IN]]
                if self._ahead is not None:
                    self._ahead.sent.take_in()
            return Batch(target, rows, results)
        except NotTheSame:
            raise StepFailed(
                f"a value of {target.name} did not decrypt again to what it was, before it was written; nothing of this"
                " batch was written",
                hint="this is a bug in callctl, or in the machine's memory; earlier batches stand",
            ) from None

    # ---- writing -----------------------------------------------------------------------------------------

    def _start(self, taken: Range, batch: Batch) -> None:
        """Have the server write a batch, while this thread goes on."""
        more, changed = taken.tally.plus(batch.results), batch.changed()
        if not changed or more.failures != taken.tally.failures:  # nothing to write, or more to write down
            self._writing = _Writing(batch, changed, None)
            return
        parts, values = batch.values(changed)
        kinds, of_row = batch.kinds(changed)
        statement = self._writes("write_at_once", batch, changed, parts, 12)
        texts = (
            WORK_CLASS, self._settings.schema, taken.id, batch.rows[-1].key, more.read, json.dumps(more.as_json()),
            len(changed), json.dumps(kinds),
        )  # fmt: skip
        fixed = [str(each).encode() for each in texts]
        under_way = Sent(self._writer, statement, [*fixed, *values[:2], of_row, *values[2:]], binary_from=len(fixed))
        self._writing = _Writing(batch, changed, under_way)

    def _writes(self, name: str, batch: Batch, chosen: Sequence[int], parts: Sequence[int], first: int) -> bytes:
        whole = batch.whole(chosen)
        return self._statement(
            (name, batch.target.name, whole, *parts), lambda: merged(name, batch.target, parts, first, whole=whole)
        )

    def _finish_batch(self, taken: Range, between: Callable[[int], None]) -> None:
        """Wait until the batch under way is written, to its last row."""
        if self._writing is None:
            return
        batch = self._writing.batch
        tally, lost = self._written(taken, self._writing)
        self._writing = None
        self._settled(taken, batch, tally, lost)
        if self._ahead is not None:  # a snapshot is not to stay open while callctl pauses
            self._ahead.sent.complete()
        between(len(batch.rows))

    def _written(self, taken: Range, writing: _Writing) -> tuple[Tally, frozenset[str]]:
        """Wait until a batch is written: the tally with it, and the keys of the rows that lost."""
        import psycopg

        batch = writing.batch
        if writing.sent is not None:
            try:
                result = writing.sent.result()
            except database.given_way():
                pass
            except psycopg.errors.QueryCanceled:  # too much for one statement
                self._size = max(len(batch.rows) // 4, 1)
            else:
                held, took, number, keys = (result.get_value(0, column) or b"" for column in range(4))
                if held == b"t":
                    self._adapt(len(batch.rows), float(took))
                    if int(number) == len(writing.changed):
                        return taken.tally.plus(batch.results), frozenset()
                    written = frozenset(json.loads(keys))
                    return taken.tally.written_only(batch.of(written)), batch.keys(writing.changed) - written
        # Somebody is in the way, or there is more to it.
        began = time.monotonic()
        tally, lost = self._swap(taken, batch, writing.changed, taken.tally, last=True, again=writing.sent is not None)
        self._adapt(len(batch.rows), (time.monotonic() - began) * 1000)
        return tally, lost

    def _adapt(self, rows: int, took_ms: float) -> None:
        """Have the next batch take about as long as it should; no leaps, since one measurement says little."""
        fitting = int(rows * self._settings.batch_time_ms / max(took_ms, 0.1))
        if fitting < rows or rows >= self._size:
            self._size = min(max(fitting, rows // 2, SMALLEST), self._size * 2, self._largest)

    def _swap(
        self,
        taken: Range,
        batch: Batch,
        changed: Sequence[int],
        tally: Tally,
        *,
        last: bool = False,
        again: bool = False,
    ) -> tuple[Tally, frozenset[str]]:
        """One transaction: the rows that still are as they were read, and what has been counted with them. Where none
        lost, ``last`` moves the range on, past the batch. Returns the tally, and the keys of the rows that lost.
        ``again``: it was tried before.
        """
        import psycopg

        tries = cuts = int(again)

        def attempt() -> tuple[Tally, frozenset[str]]:
            nonlocal tries
            chosen = changed[: max(len(changed) >> (2 * cuts), 1)]
            with self._writer.transaction():
                guard_transaction(self._writer, self._settings.schema, self._settings.lock_timeout_ms, shared=True)
                if tries:  # somebody held a row: the others need not wait
                    chosen = self._free(batch, chosen)
                tries += 1
                written = self._update(batch, chosen)
                lost = batch.keys(changed) - written
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
                if cuts == CUT_SHORT:
                    raise

    def _counted(self, taken: Range, batch: Batch, tally: Tally, written: frozenset[str]) -> Tally:
        """Count what this transaction has written of a batch that is not done yet. Whoever goes on from here finds
        those rows done: nobody would count them then.
        """
        more = tally.written_only(batch.of(written))
        if written:
            reached(self._writer, taken, None, more, ())
        return more

    def _free(self, batch: Batch, chosen: Iterable[int]) -> list[int]:
        keys = {batch.rows[each].key: each for each in chosen}
        rows = self._writer.execute(query("free", batch.target), {"keys": list(keys)}).fetchall()
        return [keys[key] for (key,) in rows]

    def _update(self, batch: Batch, chosen: Sequence[int]) -> frozenset[str]:
        """Send the new values. Returns the keys of the rows that were written."""
        if not chosen:
            return frozenset()
        parts, values = batch.values(chosen)
        statement = self._writes("write", batch, chosen, parts, 3)
        return frozenset(sent(self._writer, statement, values))

    # ---- what lost ---------------------------------------------------------------------------------------

    def _settled(self, taken: Range, batch: Batch, tally: Tally, lost: frozenset[str]) -> None:
        """Take a batch into the range's tally, once its last row is done: those that lost are done again."""
        if lost:
            done = [batch.without(lost)]
            for start in range(0, len(keys := sorted(lost)), AGAIN):
                tally, more = self._again(taken, batch.target, keys[start : start + AGAIN], tally)
                done += more
            tally, found = taken.tally, []
            for each in done:
                tally = tally.plus(each.results)
                found += each.found()
            self._mark(taken, batch.rows[-1].key, tally, found)
        taken.tally = tally

    def _again(self, taken: Range, target: Target, keys: list[str], tally: Tally) -> tuple[Tally, list[Batch]]:
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

    def _locked(self, taken: Range, target: Target, keys: list[str], tally: Tally) -> tuple[Tally, Batch]:
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
