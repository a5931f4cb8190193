"""A batched statement: the rows that it has to touch are listed once, then written a few thousand at a time.

The list comes from one reading of the table under one snapshot, in the order of the table on disk, so that a pass
costs one sequential scan and what it changes, however large the table is. Rows written later are in nobody's list: a
trigger or a repetition (``again``) takes care of them, and the step's checks prove it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from callctl import store, work_list
from callctl.errors import Refused
from callctl.events import BatchFinished
from callctl.files import read_sql
from callctl.transactions import Failed, HeldTooLong, Run, attempted, transaction

if TYPE_CHECKING:
    from callctl.script import Script, Statement

FIRST = 200
SMALLEST = 20
# A repeated statement is run in batches until a pass finds no more rows than this, then whole.
FEW = 100
# A pass that took no longer than this has left no more behind than the whole statement can take.
SHORT_SECONDS = 10.0
# Stands for the rows of a batch while its statement is put together; no SQL holds it.
_ROWS = "\x00"
PASSES = 5


def run_batches(run: Run, script: Script, statement: Statement, changed: int) -> int:
    """Run the statement over all its rows, a commit a batch, and checkpoint its end. Returns the rows written.

    ``changed`` is what an earlier run had written. Raises Failed.
    """
    import psycopg

    before = changed
    sent = [statement.sql]
    try:
        target = work_list.target(statement, run.schema)
        _assert_key(run, statement, target)
        for _ in range(PASSES):
            began = time.monotonic()
            total = _list(run, script, statement, target, changed)
            if total:
                changed = _pass(run, statement, target, total, changed, sent)
            short = total <= FEW or time.monotonic() - began <= SHORT_SECONDS
            if short or "again" not in statement.directives:
                break
        attempted(run, partial(_finish, run, script, statement, changed))
    except (psycopg.Error, HeldTooLong) as error:
        raise Failed(error, statement, sent[0]) from error
    return changed - before


def _finish(run: Run, script: Script, statement: Statement, changed: int) -> None:
    reached = store.Checkpoint(statement.number, True, changed)
    with transaction(run):
        store.checkpoint(run.connection, run.step, run.direction, script.sha256, reached)


def _assert_key(run: Run, statement: Statement, target: work_list.Target) -> None:
    row = run.connection.execute(
        "SELECT a.atttypid = 'uuid'::regtype FROM pg_attribute AS a"
        " WHERE a.attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND a.attname = %s",
        (target.schema, target.table, target.key),
    ).fetchone()
    if row is None or not row[0]:
        raise Refused(
            f"{statement.place}: table {target.schema}.{target.table} has no uuid column {target.key} to batch by",
            hint="callctl preflight says what the tables must have",
        )


def _list(run: Run, script: Script, statement: Statement, target: work_list.Target, changed: int) -> int:
    """Write down which rows the statement has to touch, and return how many they are."""
    listed = work_list.listing(statement, target.key)

    def attempt() -> int:
        with transaction(run):
            run.connection.execute("TRUNCATE callctl.work_list")
            # Begun: from here on the step is half done until it is done.
            reached = store.Checkpoint(statement.number, False, changed)
            store.checkpoint(run.connection, run.step, run.direction, script.sha256, reached)
            cursor = run.connection.execute(
                "INSERT INTO callctl.work_list (ordinal, key)"
                f" SELECT row_number() OVER (ORDER BY listed.place), listed.key FROM ({listed}) AS listed".encode()
            )
        return cursor.rowcount

    total = attempted(run, attempt)
    if total:
        run.connection.execute("ANALYZE callctl.work_list, callctl.saved_value")
    return total


def _pass(
    run: Run,
    statement: Statement,
    target: work_list.Target,
    total: int,
    changed: int,
    sent: list[str],
) -> int:
    """Work through the list; the size of a batch follows how long the last one took. ``sent`` gets the text sent."""
    largest = run.settings.batch_size
    smallest = min(SMALLEST, largest)
    size = min(FIRST, largest)
    # Parsed once: the batches differ in their numbers only.
    before, after = work_list.limited(statement, target.key, _ROWS).split(_ROWS)
    most = run.settings.lock_timeout_ms + run.settings.lock_hold_ms
    done = 0
    began = time.monotonic()
    while done < total:
        tries = 0
        took = 0.0

        def attempt(start: int = done, count: int = size) -> tuple[int, int]:
            nonlocal tries, took
            # A batch that did not get a row's lock held those of its other rows meanwhile: a smaller one holds fewer.
            end = min(start + max(count >> tries, smallest), total)
            tries += 1
            sent[0] = f"{before}SELECT key FROM callctl.work_list WHERE ordinal > {start} AND ordinal <= {end}{after}"
            began = time.monotonic()
            with transaction(run):
                run.connection.execute(read_sql("catalog/batch.sql").encode(), {"most_ms": most})
                cursor = run.connection.execute(sent[0].encode())
            took = (time.monotonic() - began) * 1000
            return end, max(cursor.rowcount, 0)

        previous = done
        done, written = attempted(run, attempt)
        changed += written
        left = (time.monotonic() - began) / done * (total - done)
        run.on_event(BatchFinished(run.step, statement.source, statement.line, done, total, changed, left))
        if took > run.settings.batch_time_ms:
            size = max((done - previous) // 2, smallest)
        elif took < run.settings.batch_time_ms / 2 and done - previous >= size:
            size = min(size * 2, largest)
    return changed
