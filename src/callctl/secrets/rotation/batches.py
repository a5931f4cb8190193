"""The hot loop: one range of rows, read, decrypted and encrypted here while the server writes the batch before.

A batch is written by compare and swap: only where the version of the row that was read (``xmin``) still stands. So an
application's write is never overwritten. Rows that lost are done again: ``rotation.swaps``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callctl.database.guarded import given_way, with_retries
from callctl.database.lock import WORK_CLASS
from callctl.database.pace import BatchSize
from callctl.events import OnEvent
from callctl.files import read_sql
from callctl.secrets.rotation.batch import Batch
from callctl.secrets.rotation.ranges import Range, Tally
from callctl.secrets.rotation.swaps import Swaps
from callctl.secrets.rotation.wire import Sent
from callctl.secrets.rows.row import Row, Target, as_row
from callctl.secrets.rows.slow_path import Reencrypter
from callctl.secrets.rows.tables import numbered

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# The SQLSTATE of callctl.not_at_once().
NOT_AT_ONCE = "CCT01"


def _whole_keys(rows: list[Row]) -> list[Row]:
    """The rows without the last key's, of which more may follow."""
    return [row for row in rows if row.key != rows[-1].key]


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
        self, settings: Settings, reencrypter: Reencrypter, reader: Connection, writer: Connection, on_event: OnEvent
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        most = settings.lock_timeout_ms + settings.lock_hold_ms
        writer.execute(read_sql("secrets/rotation/session.sql"), {"most_ms": most})
        self._swaps = Swaps(settings, reencrypter, writer, on_event)
        # Targets that no single statement can write: a trigger fires after it, or a rule makes something else of it.
        self._not_at_once: set[str] = set()
        self._ahead: _Ahead | None = None
        self._writing: _Writing | None = None
        self._size = BatchSize(settings)

    def run(self, taken: Range, target: Target, between: Callable[[int], None]) -> Tally:
        """Do a range from where it stands to its end. ``between`` is called with the rows of each batch once they are
        committed; what it raises ends the run, with what is committed standing.

        Raises StepFailed, LockHeld, psycopg.Error; NotStored, with the batch rolled back, where what is stored is not
        what was meant.
        """
        try:
            self._read_ahead(target, taken.above, taken.up_to, self._size.rows)
            while self._ahead is not None and (rows := self._rows_read(target, self._ahead)):
                asked = self._ahead
                if len(rows) < asked.rows:
                    self._ahead = None
                elif target.unique or (rows := _whole_keys(rows)):
                    self._read_ahead(target, rows[-1].key, taken.up_to, self._size.rows)
                else:
                    self._read_ahead(target, asked.above, taken.up_to, 2 * asked.rows)
                    continue
                batch = self._swaps.prepared(target, rows, self._take_in)
                self._finish_batch(taken, between)
                self._start(taken, batch)
            self._ahead = None
            self._finish_batch(taken, between)
        except BaseException:
            self._stop()
            raise
        self._swaps.mark(taken, None, taken.tally, (), finished=True)
        return taken.tally

    def finish(self, taken: Range) -> None:
        """Mark a range as done that has no rows any more."""
        self._swaps.mark(taken, None, taken.tally, (), finished=True)

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
        statement = self._swaps.statement(
            ("read", target.name), lambda: numbered("read", target, ("above", "up_to", "rows"))
        )
        values = [None if text is None else text.encode() for text in (above, up_to, str(rows))]
        return Sent(self._reader, statement, values, binary_from=len(values))

    def _rows_read(self, target: Target, ahead: _Ahead) -> list[Row]:
        """The rows that were asked for. The reader waits for a lock of the table's no longer than the writer does."""
        from psycopg.adapt import Transformer

        def attempt() -> PGresult:
            if ahead.sent.over:
                ahead.sent = self._send_read(target, ahead.above, ahead.up_to, ahead.rows)
            return ahead.sent.result()

        result = with_retries(self._settings, "a lock", attempt, self._on_event)
        taken_apart = Transformer(self._reader)
        taken_apart.set_pgresult(result)
        return [as_row(row) for row in taken_apart.load_rows(0, result.ntuples, tuple)]

    def _take_in(self) -> None:
        if self._ahead is not None:
            self._ahead.sent.take_in()

    # ---- writing -----------------------------------------------------------------------------------------

    def _start(self, taken: Range, batch: Batch) -> None:
        """Have the server write a batch, while this thread goes on."""
        more, changed = taken.tally.plus(batch.results), batch.changed()
        # Nothing to write, or more to write down.
        if not changed or more.failures != taken.tally.failures or batch.target.name in self._not_at_once:
            self._writing = _Writing(batch, changed, None)
            return
        parts, values = batch.values(changed)
        kinds, of_row = batch.kinds(changed)
        statement = self._swaps.writes("write_at_once", batch, parts, 12)
        texts = (
            WORK_CLASS, self._settings.schema, taken.id, batch.rows[-1].key, more.read, json.dumps(more.as_json()),
            len(changed), json.dumps(kinds),
        )  # fmt: skip
        fixed = [str(each).encode() for each in texts]
        under_way = Sent(self._writer, statement, [*fixed, *values[:2], of_row, *values[2:]], binary_from=len(fixed))
        self._writing = _Writing(batch, changed, under_way)

    def _finish_batch(self, taken: Range, between: Callable[[int], None]) -> None:
        """Wait until the batch under way is written, to its last row."""
        if self._writing is None:
            return
        batch = self._writing.batch
        tally, lost = self._written(taken, self._writing)
        self._writing = None
        self._swaps.settle(taken, batch, tally, lost)
        if self._ahead is not None:  # a snapshot is not to stay open while callctl pauses
            self._ahead.sent.complete()
        between(len(batch.rows))

    def _written(self, taken: Range, writing: _Writing) -> tuple[Tally, frozenset[str]]:
        """Wait until a batch is written: the tally with it, and the versions of the rows that lost."""
        import psycopg

        batch, again = writing.batch, False
        if writing.sent is not None:
            try:
                result = writing.sent.result()
            except given_way():
                again = True
            except psycopg.errors.QueryCanceled:  # too much for one statement
                self._size.cut_short(len(batch.rows))
                again = True
            except psycopg.Error as error:
                if error.sqlstate not in (NOT_AT_ONCE, "0A000"):  # feature not supported: a rule
                    raise
                self._not_at_once.add(batch.target.name)
            else:
                held, took, number, versions = (result.get_value(0, column) or b"" for column in range(4))
                if held == b"t":
                    self._size.took(len(batch.rows), float(took))
                    if int(number) == len(writing.changed):
                        return taken.tally.plus(batch.results), frozenset()
                    written = frozenset(json.loads(versions))
                    return taken.tally.written_only(batch.of(written)), batch.versions(writing.changed) - written
                again = True
        # Somebody is in the way, or there is more to it.
        began = time.monotonic()
        tally, lost = self._swaps.swap(taken, batch, writing.changed, taken.tally, last=True, again=again)
        self._size.took(len(batch.rows), (time.monotonic() - began) * 1000)
        return tally, lost
