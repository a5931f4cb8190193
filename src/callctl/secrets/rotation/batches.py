"""The batches of a rotation: in the hot loop, and in transactions of their own where rows have lost.

A batch is written by compare and swap: only where the row still has the version that was read (``xmin``). So an
application's write is never overwritten. Rows that lost are done again: ``rotation.batches``.
"""

from __future__ import annotations

import contextlib
import json
import select
import struct
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from callctl.database import connection as database
from callctl.database.guarded import given_way, in_transaction, with_retries
from callctl.database.lock import WORK_CLASS
from callctl.database.pace import BatchSize
from callctl.errors import Code, State, StepFailed
from callctl.events import OnEvent
from callctl.files import read_sql
from callctl.secrets.envelope.cipher import NotTheSame
from callctl.secrets.rotation.ranges import LeftValue, Range, Tally, reached
from callctl.secrets.rows.reencrypt import Reencrypter
from callctl.secrets.rows.row import Change, Failure, Reencrypted, Row, SecretTable, as_row
from callctl.secrets.rows.tables import merged, numbered, query
from callctl.server_errors import is_canceled, is_rewritten
from callctl.stored_bytes import as_text, stored

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult
    from psycopg.sql import Composed

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# Statements that the server works at while this thread does something else; and values in PostgreSQL's binary form.
#
# No threads: a thread that waits for the server must first wait for Python's lock, with rows locked meanwhile.

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
        """Take what has come so far, so that the server can continue; does not wait."""
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
        """Have the server cancel it, and wait until it has. If the server does not heed that, or the operator is in
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
                seconds_left = until - time.monotonic()
                if seconds_left <= 0 or not select.select([self._raw.socket], [], [], seconds_left)[0]:
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


# One batch of a rotation: rows, what is to be done about each, and what is sent to have it done.


@dataclass(frozen=True)
class Batch:
    """Some rows of one target, and what is to be done about each."""

    secret_table: SecretTable
    rows: Sequence[Row]
    results: Sequence[Reencrypted]

    def changed(self) -> list[int]:
        """The rows to be written, by their position."""
        return [position for position, result in enumerate(self.results) if result.changes]

    def left_values(self) -> list[LeftValue]:
        """The values left as they were."""
        return [
            LeftValue(row.row_id, failure)
            for row, result in zip(self.rows, self.results, strict=True)
            for failure in result.failures
        ]

    def versions(self, chosen: Sequence[int]) -> frozenset[str]:
        """The versions of these rows, by which they are told apart."""
        return frozenset([self.rows[index].version for index in chosen])

    def of(self, versions: Collection[str]) -> Iterator[Reencrypted]:
        """Return the decisions about the rows with these versions."""
        return (result for row, result in zip(self.rows, self.results, strict=True) if row.version in versions)

    def keys(self, lost: Collection[str]) -> list[str]:
        """The keys of the rows with these versions, each once and in their order."""
        return list(dict.fromkeys(row.key for row in self.rows if row.version in lost))

    def without(self, lost: Collection[str]) -> Batch:
        """The rows that did not lose."""
        kept = [position for position, row in enumerate(self.rows) if row.version not in lost]
        return Batch(self.secret_table, [self.rows[index] for index in kept], [self.results[index] for index in kept])

    def unwritten(self, reason: str) -> Batch:
        """The same rows with nothing written, and every value that would have been listed as left, for this reason."""
        results = [
            result._replace(
                values=(None,) * len(result.values),
                changes=(),
                failures=(*result.failures, *(Failure(change.path, reason) for change in result.changes)),
            )
            for result in self.results
        ]
        return Batch(self.secret_table, self.rows, results)

    def values(self, chosen: Sequence[int]) -> tuple[list[int], list[bytes]]:
        """The columns that are written in these rows, by number, and the parameters: keys, versions, new values."""
        rows = [self.rows[index] for index in chosen]
        values = [
            array(TEXT, [stored(row.key) for row in rows]),
            array(TEXT, [row.version.encode() for row in rows]),
        ]
        parts = []
        for number, part in enumerate(self.secret_table.parts):
            texts = [self.results[index].values[number] for index in chosen]
            if texts.count(None) == len(texts):
                continue
            parts.append(number)
            if part.form == "text":
                values.append(array(TEXT, [None if text is None else stored(text) for text in texts]))
            else:
                values.append(array(JSONB, [None if text is None else b"\x01" + stored(text) for text in texts]))
        return parts, values

    def kinds(self, chosen: Sequence[int]) -> tuple[list[list[dict[str, Any]]], bytes]:
        """Return the changes that these rows count for if not all of them are written.

        Each kind of row is there once, as :meth:`Tally.as_json` has changes, with a parameter that has the position of
        each row's kind.
        """
        known: dict[tuple[Change, ...], int] = {}
        numbers = [known.setdefault(self.results[index].changes, len(known)) for index in chosen]
        return (
            [[change.as_json() for change in changes] for changes in known],
            array(INTEGER, [number.to_bytes(4, "big") for number in numbers]),
        )


# Batches in transactions of their own: where another session is in the way, rows have lost, or values are left.
#
# Rows that lost are read again and written by compare and swap, at last under a lock of the row's, which no writer can
# starve.

Result = TypeVar("Result")

# Rows of a lost batch are done again in parts of this size, and this number of times without a lock.
AGAIN = 100
AGAIN_TIMES = 2
LOCKED = 10
# A statement that the server cut short is tried again with a quarter of its rows, this number of times.
CUT_SHORT = 4
# Rows after which there is a moment for something else: what the server has read meanwhile is taken in.
TAKE_IN = 50


class Swaps:
    """Writes rows on one connection, which has nothing else to do then."""

    def __init__(self, settings: Settings, reencrypter: Reencrypter, writer: Connection, on_event: OnEvent) -> None:
        self._settings = settings
        self._reencrypter = reencrypter
        self._writer = writer
        self._on_event = on_event
        self._statements: dict[Hashable, bytes] = {}

    def statement(self, name: Hashable, compose: Callable[[], bytes]) -> bytes:
        """A statement, put together once."""
        statement = self._statements.get(name)
        if statement is None:
            statement = self._statements[name] = compose()
        return statement

    def writes(self, name: str, batch: Batch, parts: Sequence[int], first: int) -> bytes:
        """The statement of this name that writes these rows' columns; ``first``: as :func:`merged`."""
        return self.statement(
            (name, batch.secret_table.name, *parts), lambda: merged(name, batch.secret_table, parts, first)
        )

    def prepared(
        self, secret_table: SecretTable, rows: Sequence[Row], now_and_then: Callable[[], None] = lambda: None
    ) -> Batch:
        """Return the decisions about rows. Raises StepFailed if the check of a result fails."""
        results: list[Reencrypted] = []
        try:
            for start in range(0, len(rows), TAKE_IN):
                results += self._reencrypter.reencrypt(secret_table, rows[start : start + TAKE_IN])
                now_and_then()
            return Batch(secret_table, rows, results)
        except NotTheSame:
            raise StepFailed(
                Code.ROUND_TRIP_FAILED,
                f"a value of {secret_table.name} did not decrypt to the original plaintext; the batch was not written",
                hint="report it as a bug of callctl, or check the machine's memory; earlier batches are committed",
                state=State("partly done"),
            ) from None

    # ---- by compare and swap -----------------------------------------------------------------------------

    def swap(
        self,
        taken: Range,
        batch: Batch,
        changed: Sequence[int],
        tally: Tally,
        *,
        last: bool = False,
        again: bool = False,
    ) -> tuple[Tally, frozenset[str]]:
        """One transaction: the rows that still are as they were read, and what has been counted with them. If none
        lost, ``last`` moves the range on, past the batch. Returns the tally, and the versions of the rows that lost.
        ``again``: it was tried before.
        """
        import psycopg

        tries = cuts = int(again)

        def write() -> tuple[Tally, frozenset[str]]:
            nonlocal tries
            chosen = changed[: max(len(changed) >> (2 * cuts), 1)]
            if tries:  # another session held a row: the others need not wait
                chosen = self._free(batch, chosen)
            tries += 1
            written = self._update(batch, chosen)
            lost = batch.versions(changed) - written
            if last and not lost:
                new_tally = tally.plus(batch.results)
                reached(self._writer, taken, batch.rows[-1].key, new_tally, batch.left_values())
            else:
                new_tally = self._counted(taken, batch, tally, written)
            return new_tally, lost

        while True:
            try:
                return self._in_transaction(write, "a row's lock")
            except psycopg.errors.QueryCanceled as error:
                if not is_canceled(error):
                    raise
                cuts += 1
                if cuts == CUT_SHORT:  # done again in ever smaller parts
                    return tally, batch.versions(changed)

    def _counted(self, taken: Range, batch: Batch, tally: Tally, written: frozenset[str]) -> Tally:
        """Count what this transaction has written of a batch that is not done yet. A run that resumes here finds
        those rows done, and would not count them.
        """
        new_tally = tally.written_only(batch.of(written))
        if written:
            reached(self._writer, taken, None, new_tally, ())
        return new_tally

    def _free(self, batch: Batch, chosen: Iterable[int]) -> list[int]:
        versions = {batch.rows[index].version: index for index in chosen}
        keys = batch.keys(versions)
        rows = self._writer.execute(query("free", batch.secret_table), {"keys": keys}).fetchall()
        return [versions[version] for (version,) in rows if version in versions]

    def _update(self, batch: Batch, chosen: Sequence[int]) -> frozenset[str]:
        """Send the new values. Returns the versions of the rows that were written.

        Raises NotStored if one is not stored as it was meant: as the statement returned it, or, if a trigger
        fires after it, as it is read again.
        """
        if not chosen:
            return frozenset()
        import psycopg

        parts, values = batch.values(chosen)
        statement = self.writes("write", batch, parts, 3)
        try:
            written = sent(self._writer, statement, values)
        except psycopg.errors.FeatureNotSupported as error:
            if not is_rewritten(error):
                raise
            # A rule makes something else of it, with nothing to return.
            raise database.NotStored(batch.secret_table.relation, [batch.rows[index].key for index in chosen]) from None
        wrong = [key or "" for _, as_meant, key, *_ in written if as_meant != "true"]
        if written and not wrong:
            returned = [(key or "", tuple(values)) for _, _, key, *values in written]
            wrong = self._changed_after(batch.secret_table, returned)
        if wrong:
            raise database.NotStored(batch.secret_table.relation, wrong)
        return frozenset([version or "" for version, *_ in written])

    def _changed_after(
        self, secret_table: SecretTable, written: Sequence[tuple[str, tuple[str | None, ...]]]
    ) -> list[str]:
        """The keys of rows that are no longer as the statement that wrote them returned them, by a trigger after it."""
        if not database.value(self._writer, query("fires_after", secret_table), {}):
            return []
        database.fire_deferred(self._writer)
        keys = [key for key, _ in written]
        rows = self._writer.execute(query("read_again", secret_table, locking=""), {"keys": keys}).fetchall()
        there = Counter((row.key, row.values) for row in map(as_row, rows))
        return [key for (key, values), number in Counter(written).items() if there[key, values] < number]

    # ---- what lost ---------------------------------------------------------------------------------------

    def settle(self, taken: Range, batch: Batch, tally: Tally, lost: frozenset[str]) -> None:
        """Take a batch into the range's tally, once its last row is done: those that lost are done again."""
        if lost:
            batches = [batch.without(lost)]
            for start in range(0, len(keys := batch.keys(lost)), AGAIN):
                tally, new_batches = self._again(taken, batch.secret_table, keys[start : start + AGAIN], tally)
                batches += new_batches
            tally, left_values = taken.tally, []
            for part in batches:
                tally = tally.plus(part.results)
                left_values += part.left_values()
            self.mark(taken, batch.rows[-1].key, tally, left_values)
        taken.tally = tally

    def _again(
        self, taken: Range, secret_table: SecretTable, keys: list[str], tally: Tally
    ) -> tuple[Tally, list[Batch]]:
        """Rows that lost, read again and written: what has been counted, and what is done about each row. A row that
        is gone needs nothing.
        """
        batches = []
        for _ in range(AGAIN_TIMES):
            batch = self.prepared(
                secret_table, self._rows_of(query("read_again", secret_table, locking=""), {"keys": keys})
            )
            tally, lost = self.swap(taken, batch, batch.changed(), tally)
            batches.append(batch.without(lost))
            keys = batch.keys(lost)
            if not keys:
                return tally, batches
        for start in range(0, len(keys), LOCKED):
            tally, new_batches = self._last(taken, secret_table, keys[start : start + LOCKED], tally)
            batches += new_batches
        return tally, batches

    def _last(
        self, taken: Range, secret_table: SecretTable, keys: list[str], tally: Tally
    ) -> tuple[Tally, list[Batch]]:
        """Rows whose writing was cut short, or which another session writes all the time: together; or each by itself,
        which may take ``statement_timeout``. One that takes longer is left, and listed.
        """
        import psycopg

        def attempt(keys: list[str], most_ms: int, *, leave: bool = False) -> tuple[Tally, Batch]:
            work = partial(self._locked, taken, secret_table, keys, tally, most_ms, leave)
            return self._in_transaction(work, "a row's lock", statement_timeout_ms=most_ms)

        try:
            tally, batch = attempt(keys, self._settings.lock_timeout_ms + self._settings.lock_hold_ms)
            return tally, [batch]
        except psycopg.errors.QueryCanceled as error:
            if not is_canceled(error):
                raise
        batches = []
        for key in keys:
            try:
                tally, batch = attempt([key], self._settings.statement_timeout_ms)
            except psycopg.errors.QueryCanceled as error:
                if not is_canceled(error):
                    raise
                tally, batch = attempt([key], self._settings.statement_timeout_ms, leave=True)
            batches.append(batch)
        return tally, batches

    def _locked(
        self, taken: Range, secret_table: SecretTable, keys: list[str], tally: Tally, most_ms: int, leave: bool
    ) -> tuple[Tally, Batch]:
        """Rows read and written while this transaction holds them; ``leave`` only lists what would be written."""
        again = query("read_again", secret_table, locking="FOR NO KEY UPDATE OF t")
        rows = self._writer.execute(again, {"keys": keys}).fetchall()
        batch = self.prepared(secret_table, [as_row(row) for row in rows])
        if leave:
            return tally, batch.unwritten(
                f"too slow: the write of the row took longer than {most_ms / 1000:g} s (--statement-timeout)"
            )
        written = self._update(batch, changed := batch.changed())
        swallowed = batch.keys(batch.versions(changed) - written)
        if swallowed:
            raise database.NotStored(secret_table.relation, swallowed)
        return self._counted(taken, batch, tally, written), batch

    def _rows_of(self, statement: Composed, values: dict[str, Any]) -> list[Row]:
        """Rows by the writer, while it has nothing else to do."""

        def attempt() -> list[Row]:
            return [as_row(row) for row in self._writer.execute(statement, values).fetchall()]

        return with_retries(self._settings, "a lock", attempt, self._on_event)

    def mark(
        self, taken: Range, key: str | None, tally: Tally, left_values: Iterable[LeftValue], *, finished: bool = False
    ) -> None:
        """Write how far a range has come, in a transaction of its own."""

        self._in_transaction(lambda: reached(self._writer, taken, key, tally, left_values, finished=finished), "a lock")

    def _in_transaction(
        self, work: Callable[[], Result], awaited: str, *, statement_timeout_ms: int | None = None
    ) -> Result:
        return in_transaction(
            self._writer,
            self._settings,
            work,
            awaited=awaited,
            shared=True,
            statement_timeout_ms=statement_timeout_ms,
            on_event=self._on_event,
        )


# The hot loop: one range of rows, read, decrypted and encrypted here while the server writes the batch before.

# The SQLSTATE of callctl.not_at_once().
NOT_AT_ONCE = "CCT01"


def _whole_keys(rows: list[Row]) -> list[Row]:
    """The rows without the last key's, of which more may follow."""
    return [row for row in rows if row.key != rows[-1].key]


@dataclass(frozen=True)
class _Writing:
    """A batch that the server writes; ``sent`` is None if it is not written at once."""

    batch: Batch
    changed: Sequence[int]
    sent: Sent | None


@dataclass
class _Ahead:
    """Rows that are read while others are worked at; ``sent`` is sent once more after a conflict."""

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

    def run(self, taken: Range, secret_table: SecretTable, between: Callable[[int], None]) -> Tally:
        """Do a range from its present position to its end. ``between`` is called with the rows of each batch once
        they are committed; an error of it ends the run, and committed rows stay.

        Raises StepFailed, LockHeld, psycopg.Error; NotStored, with the batch rolled back, where what is stored is not
        what was meant.
        """
        try:
            self._read_ahead(secret_table, taken.above, taken.up_to, self._size.rows)
            while self._ahead is not None and (rows := self._rows_read(secret_table, self._ahead)):
                asked = self._ahead
                if len(rows) < asked.rows:
                    self._ahead = None
                elif secret_table.unique or (rows := _whole_keys(rows)):
                    self._read_ahead(secret_table, rows[-1].key, taken.up_to, self._size.rows)
                else:
                    self._read_ahead(secret_table, asked.above, taken.up_to, 2 * asked.rows)
                    continue
                batch = self._swaps.prepared(secret_table, rows, self._take_in)
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
        """End what is under way: its result is not needed any more."""
        for writing in (self._writing, self._ahead):
            if writing is not None and writing.sent is not None:
                writing.sent.stop()
        self._writing = self._ahead = None

    # ---- reading -----------------------------------------------------------------------------------------

    def _read_ahead(self, secret_table: SecretTable, above: str | None, up_to: str | None, rows: int) -> None:
        self._ahead = _Ahead(above, up_to, rows, self._send_read(secret_table, above, up_to, rows))

    def _send_read(self, secret_table: SecretTable, above: str | None, up_to: str | None, rows: int) -> Sent:
        statement = self._swaps.statement(
            ("read", secret_table.name), lambda: numbered("read", secret_table, ("above", "up_to", "rows"))
        )
        values = [None if text is None else text.encode() for text in (above, up_to, str(rows))]
        return Sent(self._reader, statement, values, binary_from=len(values))

    def _rows_read(self, secret_table: SecretTable, ahead: _Ahead) -> list[Row]:
        """The rows that were asked for. The reader waits for a lock of the table's no longer than the writer does."""
        from psycopg.adapt import Transformer

        def attempt() -> PGresult:
            if ahead.sent.over:
                ahead.sent = self._send_read(secret_table, ahead.above, ahead.up_to, ahead.rows)
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
        """Have the server write a batch, while this thread continues."""
        tally, changed = taken.tally.plus(batch.results), batch.changed()
        # Nothing to write, or more to write down.
        if not changed or tally.failures != taken.tally.failures or batch.secret_table.name in self._not_at_once:
            self._writing = _Writing(batch, changed, None)
            return
        parts, values = batch.values(changed)
        kinds, of_row = batch.kinds(changed)
        statement = self._swaps.writes("write_at_once", batch, parts, 12)
        texts = (
            WORK_CLASS, self._settings.schema, taken.id, batch.rows[-1].key, tally.read, json.dumps(tally.as_json()),
            len(changed), json.dumps(kinds),
        )  # fmt: skip
        fixed = [str(text).encode() for text in texts]
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
                self._not_at_once.add(batch.secret_table.name)
            else:
                held, took, number, versions = (result.get_value(0, column) or b"" for column in range(4))
                if held == b"t":
                    self._size.took(len(batch.rows), float(took))
                    if int(number) == len(writing.changed):
                        return taken.tally.plus(batch.results), frozenset()
                    written = frozenset(json.loads(versions))
                    return taken.tally.written_only(batch.of(written)), batch.versions(writing.changed) - written
                again = True
        # Another session is in the way, or there is another cause.
        began = time.monotonic()
        tally, lost = self._swaps.swap(taken, batch, writing.changed, taken.tally, last=True, again=again)
        self._size.took(len(batch.rows), (time.monotonic() - began) * 1000)
        return tally, lost
