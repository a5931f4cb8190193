"""A batched statement: its rows are listed once, then written a few thousand at a time, on one session or several.

The list comes from one reading of the table under one snapshot, in the order of the table on disk, so that a pass
costs one sequential scan and what it changes, however large the table is. Rows written later are in no list: a
trigger or a repetition (``again``) takes care of them, and the step's checks prove it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from callctl.database import connection as database
from callctl.database import store
from callctl.database.connection import connect
from callctl.database.lock import WORK_SESSION
from callctl.database.pace import BatchSize
from callctl.errors import CallctlError, Code, Refused
from callctl.events import BatchFinished, Event, Notice
from callctl.files import read_sql
from callctl.migration.run.failures import NotStored, assert_stored, waits_for
from callctl.migration.run.transactions import Failed, HeldTooLong, Run, attempted, transaction
from callctl.statements import batch_query as work_list
from callctl.statements import naming
from callctl.statements.script import Script, Statement, parse_script
from callctl.statements.tokens import with_query

# Some of a run's work on several sessions at once: its own, and others beside it.


class _Stopped(Exception):
    """Another session's work has failed, or the operator wants to stop."""


def on_sessions(run: Run, count: int, work: Callable[[Run], None]) -> None:
    """Do ``work`` on the run's session and on ``count - 1`` others at the same time; return when all have returned.

    ``work`` takes its share until none is left. Each of its transactions on another session makes sure that the run's
    own session still holds the work lock. If one fails, or the operator interrupts, the others stop after the
    transaction under way, and its error is raised. A session that is not available is done without; behind a pooler
    there is only the run's own.
    """
    if count < 2 or not _direct(run):
        work(run)
        return
    stop = threading.Event()
    one_at_a_time = threading.Lock()
    raised: list[BaseException] = []

    def say(event: Event) -> None:
        # Every wait says that it waits, so no wait lasts when there is nothing left to wait for.
        if stop.is_set():
            raise _Stopped
        with one_at_a_time:
            run.on_event(event)

    def beside() -> None:
        try:
            connection = connect(run.settings, application_name=WORK_SESSION, session=True)
        except CallctlError as error:
            say(Notice(f"the batches continue with one session fewer: {error.message}"))
            return
        with closing(connection):
            for name, value in settings:
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            own = replace(run, connection=connection, beside=pid, on_event=say)
            work(replace(own, pace=run.pace.beside(connection, say)))

    def raising_later() -> None:
        try:
            beside()
        except _Stopped:
            pass
        except BaseException as error:
            raised.append(error)
            stop.set()

    pid = run.connection.info.backend_pid
    settings = run.connection.execute(read_sql("migration/run/own_settings.sql")).fetchall()
    threads = [threading.Thread(target=raising_later, name=f"callctl batch {n}", daemon=True) for n in range(1, count)]
    for thread in threads:
        thread.start()
    try:
        with contextlib.suppress(_Stopped):
            work(replace(run, on_event=say))
        for thread in threads:
            thread.join()
    except BaseException:  # Ctrl-C, too
        stop.set()
        for thread in threads:
            thread.join()
        raise
    if raised:
        raise raised[0]


def _direct(run: Run) -> bool:
    """Return whether the run's session is the server's own: a pooler says another process number than the server."""
    return bool(database.value(run.connection, "SELECT pg_backend_pid()") == run.connection.info.backend_pid)


# A batched statement: the rows that it has to touch are listed once, then written a few thousand at a time.

# A shorter list is done before a second session has begun.
MANY = 5000
# A repeated statement is run in batches until a pass finds no more rows than this, then whole.
FEW = 100
# A pass that took no longer than this has left no more behind than the whole statement can take.
SHORT_SECONDS = 10.0
# Stands for the rows of a batch while its statement is put together; no SQL holds it.
_ROWS = "\x00"
PASSES = 10
# Passes after which a row that is still listed is not stored as written: because of a trigger or a rule.
STAYED = 2
_LIST_ROWS = "migration/run/list_rows.sql"


def run_batches(run: Run, script: Script, statement: Statement, changed: int) -> int:
    """Run the statement over all its rows, a commit a batch, and checkpoint its end. Returns the rows written.

    ``changed`` is what an earlier run had written. Raises Failed.
    """
    import psycopg

    before = changed
    try:
        target = work_list.target(statement, run.schema)
        _assert_key(run, statement, target)
        stayed = 0
        for number in range(PASSES):
            began = time.monotonic()
            work = _list(run, script, statement, target, changed)
            stayed = stayed + 1 if work.before and number else 0
            if stayed == STAYED:
                raise NotStored(statement, work.before, work.sample)
            if not work.total:
                break
            changed = _pass(run, statement, target, work.total, changed)
            short = work.total <= FEW or time.monotonic() - began <= SHORT_SECONDS
            if short and "again" in statement.directives:
                break  # what is left is the last transaction's
        if changed > before and naming.adds_values(statement.sql):
            # The step's checks join it, and the planner would take it for as small as it was.
            _analyze_saved(run)
        attempted(run, partial(_finish, run, script, statement, changed))
    except (psycopg.Error, HeldTooLong, NotStored) as error:
        raise Failed(error, statement, statement.sql) from error
    return changed - before


@dataclass(frozen=True)
class _Listed:
    """The number of rows to touch, the number that the pass before listed, and five of those rows."""

    total: int
    before: int
    sample: str


def _finish(run: Run, script: Script, statement: Statement, changed: int) -> None:
    reached = store.Checkpoint(statement.number, True, changed)
    with transaction(run):
        store.checkpoint(run.connection, run.step, run.direction, script.sha256, reached)
        run.connection.execute(read_sql("migration/run/work_done_clear.sql"))


def _assert_key(run: Run, statement: Statement, target: work_list.BatchedTable) -> None:
    query = (
        "SELECT a.atttypid = 'uuid'::regtype FROM pg_attribute AS a"
        " WHERE a.attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND a.attname = %s"
    )
    if not database.value(run.connection, query, (target.schema, target.table, target.key)):
        raise Refused(
            Code.NO_BATCH_KEY,
            f"{statement.place}: table {target.schema}.{target.table} has no uuid column {target.key} to batch by",
            hint="run callctl preflight to see the required keys of the tables",
        )


def _list(run: Run, script: Script, statement: Statement, target: work_list.BatchedTable, changed: int) -> _Listed:
    """Write down which rows the statement has to touch, and return how many they are."""
    listing = work_list.listing(statement, target.key)
    making, listed_before, *rest = (parsed.sql for parsed in parse_script(read_sql(_LIST_ROWS), _LIST_ROWS).statements)

    def attempt() -> _Listed:
        with transaction(run):
            # From here on the step is partly applied until it is done.
            reached = store.Checkpoint(statement.number, False, changed)
            store.checkpoint(run.connection, run.step, run.direction, script.sha256, reached)
            run.connection.execute(read_sql("migration/run/whole_tables.sql"))
            cursor = run.connection.execute(with_query(making, "listing", listing))
            row = run.connection.execute(listed_before).fetchone()
            assert row is not None
            listed_again, sample = row
            for sql in rest:
                run.connection.execute(sql)
        return _Listed(cursor.rowcount, listed_again, sample or "")

    work = attempted(run, attempt)
    if work.total and naming.reads_values(listing):
        # What a way down has saved a moment ago, the planner does not know of yet.
        _analyze_saved(run)
    return work


def _analyze_saved(run: Run) -> None:
    with run.connection.transaction():
        run.connection.execute(read_sql("migration/run/analyze_saved.sql"))


def _pass(run: Run, statement: Statement, target: work_list.BatchedTable, total: int, changed: int) -> int:
    """Work through the list, on several sessions where it is long. Returns the rows written, ``changed`` included."""
    shares = _Shares(run, statement, target, total, changed)
    on_sessions(run, run.settings.batch_workers if total >= MANY else 1, shares.work)
    return shares.changed


class _Shares:
    """One pass over the work list, shared out: each session takes the next rows, as many as it wrote in time before."""

    def __init__(
        self, run: Run, statement: Statement, target: work_list.BatchedTable, total: int, changed: int
    ) -> None:
        self._statement = statement
        self._total = total
        # Parsed once: the batches differ in their numbers only.
        limited = work_list.limited(statement, target.key, _ROWS)
        self._before, self._after = work_list.checked(limited, statement).split(_ROWS)
        self._most_ms = run.settings.lock_timeout_ms + run.settings.lock_hold_ms
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._taken = 0
        self._done = 0
        self.changed = changed

    def work(self, run: Run) -> None:
        """Write batches until none is left to take. Raises Failed."""
        size = BatchSize(run.settings)
        while (share := self._take(size.rows)) is not None:
            start, end = share
            while start < end:
                reached, milliseconds = self._batch(run, start, end, size.smallest)
                size.took(reached - start, milliseconds)
                start = reached

    def _take(self, size: int) -> tuple[int, int] | None:
        with self._lock:
            start = self._taken
            self._taken = min(start + size, self._total)
            return (start, self._taken) if start < self._taken else None

    def _batch(self, run: Run, start: int, end: int, smallest: int) -> tuple[int, float]:
        """Write the listed rows behind ``start``, up to ``end`` or as far as their locks are available.

        One row by itself may take as long as it takes: only its own writers wait for it. Returns how far that
        was, and how many milliseconds it took.
        """
        import psycopg

        tries = 0
        took = 0.0
        sql = ""
        most = end - start

        def attempt() -> tuple[int, int]:
            nonlocal tries, took, sql, most
            # A batch that did not get a row's lock held those of its other rows meanwhile: a smaller one holds fewer.
            size = min(max(end - start >> tries, smallest), most)
            tries += 1
            rows = f"SELECT key FROM callctl.work_list WHERE ordinal > {start} AND ordinal <= {start + size}"
            sql = f"{self._before}{rows}{self._after}"
            began = time.monotonic()
            try:
                with transaction(run):
                    most_ms = self._most_ms if size > 1 else 0
                    run.connection.execute(read_sql("migration/run/batch.sql"), {"most_ms": most_ms})
                    cursor = run.connection.execute(sql)
                    assert_stored(self._statement, cursor)
                    run.connection.execute(read_sql("migration/run/work_done.sql"), {"rows": size})
            except psycopg.errors.QueryCanceled:
                if size == 1:
                    raise
                most = max(size // 4, 1)  # it took too long: a smaller one takes less
                return attempt()
            run.connection.execute(read_sql("migration/run/settle.sql"))
            took = (time.monotonic() - began) * 1000
            return start + size, max(cursor.rowcount, 0)

        try:
            awaited = partial(waits_for, run.connection, run.settings, self._statement.sql)
            reached, written = attempted(run, attempt, awaited)
        except (psycopg.Error, HeldTooLong, NotStored) as error:
            raise Failed(error, self._statement, sql or self._statement.sql) from error
        with self._lock:
            self._done += reached - start
            self.changed += written
            seconds_left = (time.monotonic() - self._began) / self._done * (self._total - self._done)
            source, line = self._statement.source, self._statement.line
            run.on_event(BatchFinished(run.step, source, line, self._done, self._total, self.changed, seconds_left))
        return reached, took
