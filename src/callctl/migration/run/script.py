"""Runs the statements of one file: transactions, batches, statements outside a transaction, checkpoints.

What to run, and in which names, ``migrate`` decides. A stopped run resumes from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from callctl.database import connection as database
from callctl.database import store
from callctl.database.guarded import with_retries
from callctl.events import Notice, OnEvent, StatementStarted, Waiting
from callctl.files import read_sql
from callctl.migration.run.batches import run_batches
from callctl.migration.run.failures import CONTRACT, CheckFailed, NotStored, assert_stored, failure, waits_for
from callctl.migration.run.indexes import build, in_a_transaction, index_built_by, index_progress
from callctl.migration.run.transactions import (
    ROWS,
    Failed,
    HeldTooLong,
    Run,
    Transaction,
    attempted,
    state,
    transaction,
)
from callctl.statements import batch_query as work_list
from callctl.statements.script import Script, Statement

if TYPE_CHECKING:
    from callctl.database.connection import Connection, Cursor

SAMPLE = 5
# A statement with one of these directives shares no transaction.
ALONE = frozenset({"batched", "no-transaction"})
# Behind the batches there are seldom more rows than these; their keys are held in memory.
MOST_REMAINING = 10_000

# How a step is run: its file, the checks at its end, and what records it. Returns the rows changed.
Way: TypeAlias = Callable[[Run, Script, Sequence[Statement], Callable[[], None]], int]


def run_script(run: Run, script: Script, checks: Sequence[Statement], record: Callable[[], None]) -> int:
    """Run a file from its last checkpoint; ``checks`` and ``record`` run at the end of its last transaction.

    Returns the number of rows that batches and statements have changed. Raises StepFailed.
    """
    checkpoints = store.checkpoints(run.connection, run.step, run.direction, script.sha256)
    changed = sum(reached.changed for reached in checkpoints.values())
    try:
        groups = list(grouped(script.statements))
        if not groups or _alone(groups[-1][0]):
            groups.append([])
        again = [statement for statement in script.statements if {"batched", "again"} <= statement.directives]
        # Behind them no row may be written that they would have to touch: they share the file's last transaction.
        with_again = max(
            (i for i, group in enumerate(groups) if group and not _alone(group[0])), default=len(groups) - 1
        )
        for index, group in enumerate(groups):
            last = index == len(groups) - 1
            finished = group and group[-1].number in checkpoints and checkpoints[group[-1].number].finished
            if finished and not last and not {"no-transaction", "again"} <= group[-1].directives:
                continue
            repeated = with_repeated(again, group) if index == with_again else group
            if last:
                changed += _together(run, script, repeated, checks, record)
            elif "batched" in group[0].directives:
                earlier = checkpoints.get(group[0].number)
                _announce(run, group[0])
                changed += run_batches(run, script, group[0], earlier.changed if earlier else 0)
            elif _alone(group[0]):
                _outside(run, script, group[0])
            elif {"generated", "commit"} <= group[0].directives:
                # A transaction each, and the checkpoint behind the last of them.
                for statement in expand(run.connection, group[0]):
                    changed += _together(run, script, [statement], (), None, checkpoint=False)
                reached = store.Checkpoint(group[0].number, True, 0)
                store.checkpoint(run.connection, run.step, run.direction, script.sha256, reached)
            else:
                changed += _together(run, script, repeated, (), None)
    except Failed as failed:
        raise failure(run, failed, script.name, state(run)) from failed.cause
    return changed


def run_whole(run: Run, script: Script, checks: Sequence[Statement], record: Callable[[], None]) -> int:
    """Run a file in the caller's transaction: nothing in batches, nothing concurrently, no checkpoint.

    What an earlier run has committed is left out. Returns the number of rows that statements have changed.
    Raises Failed.
    """
    import psycopg

    checkpoints = store.checkpoints(run.connection, run.step, run.direction, script.sha256)
    changed = 0
    current: Statement | None = None
    try:
        for statement in script.statements:
            current = statement
            if (
                statement.number in checkpoints
                and checkpoints[statement.number].finished
                and "again" not in statement.directives
            ):
                continue
            _announce(run, statement)
            for expanded in expand(run.connection, statement):
                current = in_a_transaction(expanded)
                index = index_built_by(current, run.schema)
                if index is not None and "no-transaction" in expanded.directives:
                    build(run.connection, current, index, run.on_event, in_transaction=True)
                else:
                    changed += _whole(run, current, batched="batched" in expanded.directives)
        for check in checks:
            current = check
            _changed(check, run.connection.execute(check.sql), run.on_event)
        current = None
        record()
    except (psycopg.Error, CheckFailed, NotStored) as error:
        raise Failed(error, current, current.sql if current else "") from error
    return changed


def _whole(run: Run, statement: Statement, *, batched: bool) -> int:
    """A statement in one piece; of a batched one no row may be left over."""
    if not batched:
        return _changed(statement, run.connection.execute(statement.sql), run.on_event)
    answer = run.connection.execute(work_list.checked(statement.sql, statement))
    changed = max(answer.rowcount, 0)
    assert_stored(statement, answer)
    target = work_list.target(statement, run.schema)
    remaining = run.connection.execute(work_list.listing(statement, target.key)).fetchall()
    if remaining:
        raise NotStored(statement, len(remaining), ", ".join(str(row[0]) for row in remaining[:SAMPLE]))
    return changed


def with_repeated(again: list[Statement], group: list[Statement]) -> list[Statement]:
    """The transaction with what is repeated at its beginning: behind the lock that it may begin with."""
    locking = 1 if group and group[0].kind == "call" else 0
    return [*group[:locking], *again, *group[locking:]]


def _alone(statement: Statement) -> bool:
    return bool(statement.directives & ALONE)


def grouped(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """Statements that run together, in one transaction, which a ``commit`` ends; some run alone."""
    group: list[Statement] = []
    for statement in statements:
        if _alone(statement):
            if group:
                yield group
            yield [statement]
            group = []
        else:
            group.append(statement)
            if "commit" in statement.directives:
                yield group
                group = []
    if group:
        yield group


def expand(connection: Connection, statement: Statement) -> tuple[Statement, ...]:
    """Return the statements to send: the statement itself, or those that a ``generated`` query returns."""
    if "generated" not in statement.directives:
        return (statement,)
    rows = connection.execute(statement.sql).fetchall()
    rest = statement.directives - {"generated"}
    return tuple(replace(statement, sql=row[0], directives=rest, comment="") for row in rows)


def _announce(run: Run, statement: Statement) -> None:
    run.on_event(StatementStarted(run.step, run.direction, statement.source, statement.line, statement.summary))


def _together(
    run: Run,
    script: Script,
    group: list[Statement],
    checks: Sequence[Statement],
    record: Callable[[], None] | None,
    *,
    checkpoint: bool = True,
) -> int:
    """Statements in one transaction; at its end the checkpoint, or in a step's last one its checks and its record."""
    import psycopg

    under_way: list[Transaction] = []
    # What is written between a repeated statement and its check is not the step's to answer for. Where a lock is taken
    # the newest rows must be seen behind it.
    one_snapshot = any("again" in statement.directives for statement in group) and all(
        statement.kind in ROWS and "generated" not in statement.directives for statement in group
    )

    def attempt() -> int:
        with transaction(run, one_snapshot=one_snapshot) as current:
            under_way[:] = [current]
            changed = 0
            statements: list[Statement] = []
            for statement in group:
                _announce(run, statement)
                # Asked for before anything is sent, so that no lock is held while the answer travels.
                statements += expand(run.connection, statement)
            if checks or one_snapshot:
                run.connection.execute(read_sql("migration/run/whole_tables.sql"))
            remaining: dict[int, list[str]] = {}
            if one_snapshot:
                statements = [
                    part for statement in statements for part in _remaining_rows(run, current, statement, remaining)
                ]
            unread: list[tuple[Statement, Cursor]] = []
            for statement in (*statements, *checks):
                # What a check says is known before what comes behind it is done, or anyone has to wait for it.
                # Of what kind a check is, is not asked: it would be parsed, perhaps behind a lock.
                asked = any(sent.check for sent, _ in unread) and statement.check is None
                if asked and statement.kind not in ROWS:
                    changed += _read(current, unread, remaining, run.on_event)
                unread.append((statement, current.send(statement)))
            changed += _read(current, unread, remaining, run.on_event)
            if record is not None:
                record()
            elif group and checkpoint:
                reached = store.Checkpoint(group[-1].number, True, changed)
                store.checkpoint(run.connection, run.step, run.direction, script.sha256, reached)
        return changed

    def awaited(seconds: float) -> Waiting:
        failed = under_way[0].failed if under_way else None
        return waits_for(run.connection, run.settings, failed.sql if failed else None, seconds)

    try:
        return attempted(run, attempt, awaited)
    except (psycopg.Error, CheckFailed, HeldTooLong, NotStored) as error:
        statement = under_way[0].failed if under_way else None
        raise Failed(error, statement, statement.sql if statement else "") from error


def _remaining_rows(
    run: Run, current: Transaction, statement: Statement, remaining: dict[int, list[str]]
) -> Iterator[Statement]:
    """A repeated statement for the few rows that are left to it, if any; any other as it is.

    For the transaction's snapshot that is the same, but to list rows may take parallel workers, to write them not.
    ``remaining`` gets their keys, by the statement's number.
    """
    if "again" in statement.directives:
        target = work_list.target(statement, run.schema)
        listing = f"{work_list.listing(statement, target.key)} LIMIT {MOST_REMAINING + 1}"
        keys = [str(row[0]) for row in current.ask(statement, listing)]
        if not keys:
            return
        if len(keys) <= MOST_REMAINING:
            rows = f"SELECT unnest('{{{','.join(keys)}}}'::uuid[])"
            limited = work_list.limited(statement, target.key, rows)
            remaining[statement.number] = keys
            statement = replace(statement, sql=work_list.checked(limited, statement))
    yield statement


def _read(
    current: Transaction, unread: list[tuple[Statement, Cursor]], remaining: dict[int, list[str]], on_event: OnEvent
) -> int:
    """Wait for the answers to what was sent, and count the rows changed.

    Raises CheckFailed for a check with offenders, NotStored for a repeated statement that left a row as it was.
    """
    current.wait()
    changed = 0
    for statement, answer in unread:
        written = _changed(statement, answer, on_event)
        if statement.number in remaining and "again" in statement.directives:
            assert_stored(statement, answer)
            keys = remaining[statement.number]
            if written != len(keys):
                raise NotStored(statement, len(keys) - written, ", ".join(keys[:SAMPLE]))
        changed += written
    unread.clear()
    return changed


def _changed(statement: Statement, answer: Cursor, on_event: OnEvent) -> int:
    """Return the number of rows that a statement changed; a check with offenders raises CheckFailed."""
    if statement.check is None:
        return max(answer.rowcount, 0) if statement.kind in ("insert", "update", "delete", "merge") else 0
    offenders = answer.fetchmany(SAMPLE)
    if offenders:
        total = max(answer.rowcount, len(offenders))
        if not statement.check.warns:
            raise CheckFailed(statement, total, offenders)
        if statement.source.startswith(CONTRACT):
            on_event(Notice(f"left as it was found: {'; '.join(row[0] for row in offenders)}"))
            return 0
        sample = "; ".join(", ".join(str(value) for value in row) for row in offenders)
        on_event(Notice(f"not so: {statement.check.sentence} ({total}: {sample})"))
    return 0


def _outside(run: Run, script: Script, original: Statement) -> None:
    """One statement outside a transaction: it commits by itself, and the checkpoint follows."""
    import psycopg

    run.pace.keep()
    _announce(run, original)
    statement = original
    try:
        for statement in expand(run.connection, original):
            with_retries(run.settings, "a lock", partial(_once, run, statement), run.on_event)
        reached = store.Checkpoint(original.number, True, 0)
        store.checkpoint(run.connection, run.step, run.direction, script.sha256, reached)
    except psycopg.Error as error:
        raise Failed(error, statement, statement.sql) from error


def _once(run: Run, statement: Statement) -> None:
    # Before each attempt: the one before may have waited or built for hours.
    run.lock.assert_held(partial(state, run))
    # What runs outside a transaction (VALIDATE, CONCURRENTLY) waits without anybody waiting behind it but other DDL
    # and vacuum, so it may be patient: cut short, a build would start from nothing.
    database.set_lock_timeout(run.connection, run.settings.lock_wait_ms)
    index = index_built_by(statement, run.schema)
    if index is None:
        run.connection.execute(statement.sql)
    else:
        with index_progress(run):
            build(run.connection, statement, index, run.on_event)
