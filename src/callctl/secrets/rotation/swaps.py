"""Batches in transactions of their own: where somebody is in the way, rows have lost, or values are left.

Rows that lost are read again and written by compare and swap, at last under a lock of the row's, which no writer can
starve.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from callctl.database import connection as database
from callctl.database.guarded import in_transaction, with_retries
from callctl.errors import StepFailed
from callctl.events import OnEvent
from callctl.secrets.rotation.batch import Batch
from callctl.secrets.rotation.ranges import LeftValue, Range, Tally, reached
from callctl.secrets.rotation.wire import sent
from callctl.secrets.rows.bulk import NotTheSame
from callctl.secrets.rows.result import Reencrypted
from callctl.secrets.rows.row import Row, Target, as_row
from callctl.secrets.rows.slow_path import Reencrypter
from callctl.secrets.rows.tables import merged, query
from callctl.server_errors import is_canceled, is_rewritten

if TYPE_CHECKING:
    from psycopg.sql import Composed

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

Result = TypeVar("Result")

# Rows that lost are done again so many at a time, so many times without a lock.
AGAIN = 100
AGAIN_TIMES = 2
LOCKED = 10
# A statement that the server cut short is tried again with a quarter of its rows, so many times.
CUT_SHORT = 4
# After so many rows there is a moment for something else: what the server has read meanwhile is taken in.
TAKE_IN = 50


class Swaps:
    """Writes rows on one connection, which has nothing else to do then."""

    def __init__(self, settings: Settings, reencrypter: Reencrypter, writer: Connection, on_event: OnEvent) -> None:
        self._settings = settings
        self._reencrypter = reencrypter
        self._writer = writer
        self._on_event = on_event
        self._statements: dict[Hashable, bytes] = {}

    def statement(self, name: Hashable, made: Callable[[], bytes]) -> bytes:
        """A statement, put together once."""
        found = self._statements.get(name)
        if found is None:
            found = self._statements[name] = made()
        return found

    def writes(self, name: str, batch: Batch, parts: Sequence[int], first: int) -> bytes:
        """The statement of this name that writes these rows' columns; ``first``: as :func:`merged`."""
        return self.statement((name, batch.target.name, *parts), lambda: merged(name, batch.target, parts, first))

    def prepared(self, target: Target, rows: Sequence[Row], now_and_then: Callable[[], None] = lambda: None) -> Batch:
        """What is to be done about rows. Raises StepFailed where the check of a result fails."""
        results: list[Reencrypted] = []
        try:
            for start in range(0, len(rows), TAKE_IN):
                results += self._reencrypter.reencrypt_all(target, rows[start : start + TAKE_IN])
                now_and_then()
            return Batch(target, rows, results)
        except NotTheSame:
            raise StepFailed(
                f"a value of {target.name} did not decrypt again to what it was, before it was written; nothing of this"
                " batch was written",
                hint="this is a bug in callctl, or in the machine's memory; earlier batches stand",
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
        """One transaction: the rows that still are as they were read, and what has been counted with them. Where none
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
                more = tally.plus(batch.results)
                reached(self._writer, taken, batch.rows[-1].key, more, batch.found())
            else:
                more = self._counted(taken, batch, tally, written)
            return more, lost

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
        """Count what this transaction has written of a batch that is not done yet. Whoever goes on from here finds
        those rows done: nobody would count them then.
        """
        more = tally.written_only(batch.of(written))
        if written:
            reached(self._writer, taken, None, more, ())
        return more

    def _free(self, batch: Batch, chosen: Iterable[int]) -> list[int]:
        versions = {batch.rows[each].version: each for each in chosen}
        keys = batch.keys(versions)
        rows = self._writer.execute(query("free", batch.target), {"keys": keys}).fetchall()
        return [versions[version] for (version,) in rows if version in versions]

    def _update(self, batch: Batch, chosen: Sequence[int]) -> frozenset[str]:
        """Send the new values. Returns the versions of the rows that were written.

        Raises NotStored where one is not stored as it was meant: as the statement returned it, or, where a trigger
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
            raise database.NotStored(batch.target.relation, [batch.rows[each].key for each in chosen]) from None
        wrong = [row[2] or "" for row in written if row[1] != "true"]
        if written and not wrong:
            wrong = self._changed_after(batch.target, [(row[2] or "", row[3:]) for row in written])
        if wrong:
            raise database.NotStored(batch.target.relation, wrong)
        return frozenset([row[0] or "" for row in written])

    def _changed_after(self, target: Target, written: Sequence[tuple[str, tuple[str | None, ...]]]) -> list[str]:
        """The keys of rows that are no longer as the statement that wrote them returned them, by a trigger after it."""
        after = self._writer.execute(query("fires_after", target), {}).fetchone()
        if not (after and after[0]):
            return []
        database.fire_deferred(self._writer)
        keys = [key for key, _ in written]
        rows = self._writer.execute(query("read_again", target, locking=""), {"keys": keys}).fetchall()
        there = Counter((row.key, row.values) for row in map(as_row, rows))
        return [key for (key, values), number in Counter(written).items() if there[key, values] < number]

    # ---- what lost ---------------------------------------------------------------------------------------

    def settle(self, taken: Range, batch: Batch, tally: Tally, lost: frozenset[str]) -> None:
        """Take a batch into the range's tally, once its last row is done: those that lost are done again."""
        if lost:
            done = [batch.without(lost)]
            for start in range(0, len(keys := batch.keys(lost)), AGAIN):
                tally, more = self._again(taken, batch.target, keys[start : start + AGAIN], tally)
                done += more
            tally, found = taken.tally, []
            for each in done:
                tally = tally.plus(each.results)
                found += each.found()
            self.mark(taken, batch.rows[-1].key, tally, found)
        taken.tally = tally

    def _again(self, taken: Range, target: Target, keys: list[str], tally: Tally) -> tuple[Tally, list[Batch]]:
        """Rows that lost, read again and written: what has been counted, and what is done about each row. A row that
        is gone needs nothing.
        """
        done = []
        for _ in range(AGAIN_TIMES):
            batch = self.prepared(target, self._rows_of(query("read_again", target, locking=""), {"keys": keys}))
            tally, lost = self.swap(taken, batch, batch.changed(), tally)
            done.append(batch.without(lost))
            keys = batch.keys(lost)
            if not keys:
                return tally, done
        for start in range(0, len(keys), LOCKED):
            tally, more = self._last(taken, target, keys[start : start + LOCKED], tally)
            done += more
        return tally, done

    def _last(self, taken: Range, target: Target, keys: list[str], tally: Tally) -> tuple[Tally, list[Batch]]:
        """Rows whose writing was cut short, or which somebody writes all the time: together; or each by itself, which
        may take ``statement_timeout``. One that takes longer is left, and listed.
        """
        import psycopg

        def attempt(keys: list[str], most_ms: int, *, leave: bool = False) -> tuple[Tally, Batch]:
            work = partial(self._locked, taken, target, keys, tally, most_ms, leave)
            return self._in_transaction(work, "a row's lock", statement_timeout_ms=most_ms)

        try:
            tally, batch = attempt(keys, self._settings.lock_timeout_ms + self._settings.lock_hold_ms)
            return tally, [batch]
        except psycopg.errors.QueryCanceled as error:
            if not is_canceled(error):
                raise
        done = []
        for key in keys:
            try:
                tally, batch = attempt([key], self._settings.statement_timeout_ms)
            except psycopg.errors.QueryCanceled as error:
                if not is_canceled(error):
                    raise
                tally, batch = attempt([key], self._settings.statement_timeout_ms, leave=True)
            done.append(batch)
        return tally, done

    def _locked(
        self, taken: Range, target: Target, keys: list[str], tally: Tally, most_ms: int, leave: bool
    ) -> tuple[Tally, Batch]:
        """Rows read and written while this transaction holds them; ``leave`` only lists what would be written."""
        again = query("read_again", target, locking="FOR NO KEY UPDATE OF t")
        rows = self._writer.execute(again, {"keys": keys}).fetchall()
        batch = self.prepared(target, [as_row(each) for each in rows])
        if leave:
            return tally, batch.left(
                f"too slow: writing the row took longer than {most_ms / 1000:g} s (--statement-timeout)"
            )
        written = self._update(batch, changed := batch.changed())
        swallowed = batch.keys(batch.versions(changed) - written)
        if swallowed:
            raise database.NotStored(target.relation, swallowed)
        return self._counted(taken, batch, tally, written), batch

    def _rows_of(self, statement: Composed, values: dict[str, Any]) -> list[Row]:
        """Rows by the writer, while it has nothing else to do."""

        def attempt() -> list[Row]:
            return [as_row(each) for each in self._writer.execute(statement, values).fetchall()]

        return with_retries(self._settings, "a lock", attempt, self._on_event)

    def mark(
        self, taken: Range, key: str | None, tally: Tally, found: Iterable[LeftValue], *, finished: bool = False
    ) -> None:
        """Write how far a range has come, in a transaction of its own."""

        self._in_transaction(lambda: reached(self._writer, taken, key, tally, found, finished=finished), "a lock")

    def _in_transaction(
        self, work: Callable[[], Result], what: str, *, statement_timeout_ms: int | None = None
    ) -> Result:
        return in_transaction(
            self._writer,
            self._settings,
            work,
            what=what,
            shared=True,
            statement_timeout_ms=statement_timeout_ms,
            on_event=self._on_event,
        )
