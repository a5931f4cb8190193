"""Runs the statements of one file: transactions, batches, statements outside a transaction, checkpoints.

What to run, and in which names, is ``migrate``'s to decide. A run that stops anywhere goes on from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from callctl import database, store
from callctl.errors import Refused, StepFailed
from callctl.events import BatchFinished, Direction, Notice, OnEvent, StatementStarted
from callctl.files import read_sql
from callctl.indexes import build, index_built_by
from callctl.lexer import tokens
from callctl.ranges import batch_target, with_range
from callctl.script import Script, Statement

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection, MigrationLock

SAMPLE = 5


class CheckFailed(Exception):
    """A check returned offenders; the transaction it ran in is rolled back."""

    def __init__(self, statement: Statement, offenders: int, sample: str) -> None:
        super().__init__(statement.check and statement.check.sentence)
        self.statement = statement
        self.offenders = offenders
        self.sample = sample


@dataclass(frozen=True)
class Run:
    """Everything one step's run goes by."""

    connection: Connection
    lock: MigrationLock
    settings: Settings
    schema: str
    step: int
    direction: Direction
    on_event: OnEvent


def run_script(run: Run, script: Script, checks: Sequence[Statement], record: Callable[[], None]) -> int:
    """Run a file from where its checkpoints stand; ``checks`` and ``record`` run at the end of its last transaction.

    Returns the number of rows that batches and statements have changed. Raises StepFailed.
    """
    from psycopg import errors

    done = store.checkpoints(run.connection, run.step, run.direction, script.sha256)
    changed = sum(reached.changed for reached in done.values())
    try:
        groups = list(_groups(script.statements))
        if not groups or _alone(groups[-1][0]):
            groups.append([])
        for index, group in enumerate(groups):
            last = index == len(groups) - 1
            if group and group[-1].number in done and done[group[-1].number].finished and not last:
                continue
            run.lock.assert_held()
            if group and "batched" in group[0].directives:
                changed += _batches(run, script, group[0], done.get(group[0].number))
            elif group and _alone(group[0]):
                _outside(run, script, group[0])
            else:
                changed += _together(run, script, group, *((checks, record) if last else ((), None)))
    except _Failed as failed:
        state = _state(run)
        if isinstance(failed.cause, CheckFailed):
            raise _check_failed(failed.cause, state) from None
        place = failed.statement.place if failed.statement else script.name
        if isinstance(failed.cause, errors.LockNotAvailable):
            raise _no_lock(run, place, failed.sql, state) from failed.cause
        database.translate(failed.cause, place, failed.sql, state)
    return changed


class _Failed(Exception):
    """Carries the statement that failed out of the transactions around it."""

    def __init__(self, cause: Any, statement: Statement | None, sql: str) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.statement = statement
        self.sql = sql


def _alone(statement: Statement) -> bool:
    return bool(statement.directives & {"batched", "no-transaction"})


def _groups(statements: tuple[Statement, ...]) -> Iterator[list[Statement]]:
    """Statements that run together, in one transaction; one with a directive runs alone."""
    group: list[Statement] = []
    for statement in statements:
        if _alone(statement):
            if group:
                yield group
            yield [statement]
            group = []
        else:
            group.append(statement)
    if group:
        yield group


def expand(connection: Connection, statement: Statement) -> tuple[Statement, ...]:
    """The statements that a ``generated`` query returns, each under the query's place in the file."""
    rows = connection.execute(statement.sql.encode()).fetchall()
    rest = statement.directives - {"generated"}
    return tuple(replace(statement, sql=row[0], directives=rest, comment="") for row in rows)


def _announce(run: Run, statement: Statement) -> None:
    run.on_event(StatementStarted(run.step, run.direction, statement.source, statement.line, statement.summary))


def _together(
    run: Run, script: Script, group: list[Statement], checks: Sequence[Statement], record: Callable[[], None] | None
) -> int:
    """Statements in one transaction; at its end the checkpoint, or in a step's last one its checks and its record."""
    import psycopg

    at: list[Statement] = []

    def attempt() -> int:
        changed = 0
        with run.connection.transaction():
            database.set_lock_timeout(run.connection, run.settings.lock_timeout_ms, local=True)
            for statement in group:
                at[:] = [statement]
                _announce(run, statement)
                for each in expand(run.connection, statement) if "generated" in statement.directives else (statement,):
                    at[:] = [each]
                    changed += execute(run.connection, each, run.on_event)
            for check in checks:
                at[:] = [check]
                execute(run.connection, check, run.on_event)
            at.clear()
            if record is not None:
                record()
            elif group:
                reached = store.Checkpoint(group[-1].number, None, True, 0, changed)
                store.checkpoint(run.connection, run.step, run.direction, script.sha256, reached)
        return changed

    try:
        return database.with_retries(run.settings, "a lock", attempt, run.on_event)
    except (psycopg.Error, CheckFailed) as error:
        statement = at[0] if at else None
        raise _Failed(error, statement, statement.sql if statement else "") from error


def execute(connection: Connection, statement: Statement, on_event: OnEvent) -> int:
    """Run one statement and return how many rows it changed; a check with offenders raises CheckFailed."""
    cursor = connection.execute(statement.sql.encode())
    if statement.check is None:
        return max(cursor.rowcount, 0) if statement.kind in ("insert", "update", "delete", "merge") else 0
    offenders = cursor.fetchmany(SAMPLE)
    if offenders:
        total = max(cursor.rowcount, len(offenders))
        sample = "; ".join(", ".join(str(value) for value in row) for row in offenders)
        if not statement.check.warns:
            raise CheckFailed(statement, total, sample)
        on_event(Notice(f"not so: {statement.check.sentence} ({total}: {sample})"))
    return 0


def _outside(run: Run, script: Script, original: Statement) -> None:
    """One statement outside a transaction: it commits by itself, and the checkpoint follows."""
    import psycopg

    _announce(run, original)
    statement = original
    try:
        for statement in expand(run.connection, original) if "generated" in original.directives else (original,):
            database.with_retries(run.settings, "a lock", partial(_once, run, statement), run.on_event)
        reached = store.Checkpoint(original.number, None, True, 0, 0)
        store.checkpoint(run.connection, run.step, run.direction, script.sha256, reached)
    except psycopg.Error as error:
        raise _Failed(error, statement, statement.sql) from error


def _once(run: Run, statement: Statement) -> None:
    # What runs outside a transaction (VALIDATE, CONCURRENTLY) waits without anybody waiting behind it but other DDL
    # and vacuum, so it may be patient: cut short, a build would start from nothing.
    database.set_lock_timeout(run.connection, run.settings.lock_wait_ms, local=False)
    index = index_built_by(statement, run.schema)
    if index is None:
        run.connection.execute(statement.sql.encode())
    else:
        build(run.connection, statement, index, run.on_event)


def _batches(run: Run, script: Script, original: Statement, reached: store.Checkpoint | None) -> int:
    """One statement in primary-key ranges, each range and its checkpoint in a transaction of their own."""
    import psycopg
    from psycopg import sql

    _announce(run, original)
    target = batch_target(original, run.schema)
    known = run.connection.execute(
        read_sql("catalog/primary_key.sql").encode(), {"schema": target.schema, "table": target.table}
    ).fetchone()
    if known is None:
        raise Refused(
            f"{original.place}: table {target.schema}.{target.table} has no single-column primary key to batch by",
            hint="give it one, or run the step in a maintenance window by psql",
        )
    key, key_type, total = known
    boundary = sql.SQL(
        "SELECT {key}::text FROM {table} WHERE {key} > {low} OR {low} IS NULL ORDER BY {key} OFFSET {skip} LIMIT 1"
    )
    state = reached or store.Checkpoint(original.number, None, False, 0, 0)
    before = state.changed
    text = original.sql

    def attempt() -> store.Checkpoint:
        nonlocal text
        with run.connection.transaction():
            database.set_lock_timeout(run.connection, run.settings.lock_timeout_ms, local=True)
            # A batch is a few thousand rows found by key: without this the planner, at some sizes, reads whole tables.
            run.connection.execute(
                "SELECT set_config(name, 'off', true) FROM unnest(ARRAY['enable_seqscan', 'enable_hashjoin',"
                " 'enable_mergejoin']) AS name"
            )
            low = state.position
            query = boundary.format(
                key=sql.Identifier(key),
                table=sql.Identifier(target.schema, target.table),
                low=sql.SQL("{}::" + key_type).format(sql.Literal(low)),
                skip=sql.Literal(run.settings.batch_size - 1),
            )
            row = run.connection.execute(query).fetchone()
            high = row[0] if row else None
            text = with_range(original, low, high, key)
            changed = max(run.connection.execute(text.encode()).rowcount, 0)
            size = run.settings.batch_size if high is not None else max(total - state.scanned, 0)
            result = store.Checkpoint(
                original.number, high, high is None, state.scanned + size, state.changed + changed
            )
            store.checkpoint(run.connection, run.step, run.direction, script.sha256, result)
        return result

    try:
        while not state.finished:
            run.lock.assert_held()
            state = database.with_retries(run.settings, "a lock", attempt, run.on_event)
            run.on_event(
                BatchFinished(
                    run.step, original.source, original.line, state.scanned, max(total, state.scanned), state.changed
                )
            )
    except psycopg.Error as error:
        raise _Failed(error, original, text) from error
    return state.changed - before


def _state(run: Run) -> str:
    """What now stands in the database, for the message."""
    if run.connection.closed:
        return f"step {run.step} {run.direction} is not done; what it committed before stands"
    committed = any(step == run.step for step, _ in store.started(run.connection))
    if committed:
        return f"step {run.step} {run.direction} is half done: what it committed stands, this part was rolled back"
    return f"step {run.step} {run.direction} was rolled back as a whole; earlier steps stand"


def _no_lock(run: Run, place: str, sql: str, state: str) -> StepFailed:
    """The error for a lock that was not to be had in time, naming who holds one."""
    items = tokens(sql)
    tables = sorted(
        {c.word for a, b, c in zip(items, items[1:], items[2:], strict=False) if (a.word, b.text) == (run.schema, ".")}
    )
    holders = run.connection.execute(
        read_sql("catalog/blockers.sql").encode(), {"schema": run.schema, "tables": tables}
    ).fetchall()
    named = "; ".join(
        f"pid {pid} ({application}, {session}, for {age}, last {word or 'query unknown'}) holds {modes}"
        for pid, application, session, age, word, modes in holders
    )
    waited = f"{run.settings.lock_wait_ms / 1000:g} s (lock_wait)"
    return StepFailed(
        f"{place}: no lock on {', '.join(tables) or 'the table'} in {waited}; {named or 'nobody holds one any more'}"
        f" (SQLSTATE 55P03)\n{state}",
        hint="end that transaction (pg_terminate_backend(pid) if need be), then run the same command again",
    )


def _check_failed(failed: CheckFailed, state: str) -> StepFailed:
    check = failed.statement.check
    assert check is not None
    rows = "1 row says" if failed.offenders == 1 else f"{failed.offenders} rows say"
    return StepFailed(
        f"{failed.statement.place}: check {check.id} failed: {check.sentence}; {rows} otherwise"
        f" ({failed.sample})\n{state}",
        hint="look at those rows, then run the same command again: it goes on from what was committed",
    )
