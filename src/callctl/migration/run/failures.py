"""The failure of a step, as the error that says where, why, which session was in the way, and what is committed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from callctl.database import connection as database
from callctl.database import store
from callctl.errors import CallctlError, Code, State, StepFailed
from callctl.events import Holder, Waiting
from callctl.files import read_sql
from callctl.migration.run.transactions import OVERRUNS, Failed, HeldTooLong, Run
from callctl.statements.batch_query import written_table
from callctl.statements.script import Statement
from callctl.statements.tokens import tokens

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# Where the checks of the catalog come from: a row is a difference as a sentence, and the statement that removes it.
CONTRACT = "contract/"
# Seconds of waiting for a lock after which its holder is named.
NAMED_AFTER = 1.0


# What callctl's own functions say of a write that a trigger or a rule changed (callctl.in_the_way).
_HINDERED = re.compile("(told to be|put away): on it are ")


class CheckFailed(Exception):
    """A check returned offenders, of which ``rows`` are the first; the transaction it ran in is rolled back."""

    def __init__(self, statement: Statement, offenders: int, rows: Sequence[Sequence[Any]]) -> None:
        super().__init__(statement.check and statement.check.sentence)
        self.statement = statement
        self.offenders = offenders
        self.rows = rows


class NotStored(Exception):
    """Rows are not stored as a statement wrote them; the transaction it ran in, if any, is rolled back."""

    def __init__(self, statement: Statement, rows: int, sample: str) -> None:
        super().__init__(sample)
        self.statement = statement
        self.rows = rows
        self.sample = sample


def assert_stored(statement: Statement, answer: Any) -> None:
    """Raise NotStored if a statement of ``statements.batch_query.checked`` has returned a row's id."""
    if statement.kind != "update":
        return
    wrong = [row[0] for row in answer.fetchall() if row[0] is not None]
    if wrong:
        raise NotStored(statement, len(wrong), ", ".join(map(str, wrong[:5])))


def resumes(run: Run) -> str:
    """Return the end of a hint for a run that commits step by step; for one transaction it is database.AGAIN.

    It names the command that resumes, and if the step has committed something on the way up, the one that takes it
    back.
    """
    advice = f"{database.AGAIN} ({run.command}): it resumes from what was committed"
    if run.connection.closed or dict(store.started(run.connection)).get(run.step) != "up":
        return advice
    return f"{advice}; or take back the step (callctl migrate down --to {run.step - 1})"


def failure(run: Run, failed: Failed, otherwise: str, state: State, again: str | None = None) -> CallctlError:
    """The error for what failed: where (``otherwise``, if in no statement), the server's message, what is committed.

    ``again`` is what the hint ends with; by default the commands for each direction.
    """
    from psycopg import errors

    again = again or resumes(run)

    cause = failed.cause
    if isinstance(cause, CheckFailed):
        return _check_failed(cause, state, again)
    if isinstance(cause, NotStored):
        return _not_stored(run, cause, state, again)
    place = failed.statement.place if failed.statement else otherwise
    if isinstance(cause, HeldTooLong):
        return _held_too_long(run, place, state, again)
    if isinstance(cause, errors.FeatureNotSupported) and failed.statement and failed.statement.kind == "update":
        # A rule makes something else of the UPDATE, which then has no rows to return and to compare.
        return _rewritten(run, cause, failed.statement, state, again)
    if isinstance(cause, errors.LockNotAvailable | errors.DeadlockDetected) and not run.connection.closed:
        return _no_lock(run, cause, place, failed.sql, state, again)
    return translated(run.connection, run.schema, cause, place, failed.sql, state, again)


def translated(
    connection: Connection, schema: str, cause: Any, place: str, sql: str, state: State, again: str
) -> StepFailed:
    """As :func:`database.translated`; the hint has the statements that disable the triggers which refused.

    If the role is not the owner of a table, it names the owner.
    """
    step_failed = _of_others(connection, schema, cause, place, sql, state, again)
    return step_failed or database.translated(cause, place, sql, state, connection, again)


def _of_others(
    connection: Connection, schema: str, cause: Any, place: str, sql: str, state: State, again: str
) -> StepFailed | None:
    """The error for what a trigger of the platform's raised, or what a role that is not the owner may not do."""
    import psycopg

    if connection.closed or not isinstance(cause, psycopg.Error):
        return None
    refused = isinstance(cause, psycopg.errors.InsufficientPrivilege)
    values = {"schema": schema, "tables": _tables(schema, sql), "context": cause.diag.context or ""}
    try:
        raised = connection.execute(read_sql("migration/run/raised_in.sql"), values).fetchall()
        owners = connection.execute(read_sql("migration/run/owners.sql"), values).fetchall() if refused else []
    except psycopg.Error:  # the server's own message is worth more than whose it is
        return None
    message = f"{place}: {database.error_text(cause)}"
    if _HINDERED.search(cause.diag.message_primary or ""):
        return StepFailed(
            Code.TRIGGER_INTERFERES,
            f"{message}\n{state}",
            state=state,
            hint=f"{database.unhindered(connection, schema, _tables(schema, sql))} {again}",
        )
    if raised:
        named = ", ".join(f"{name} ({function})" for name, function, _ in raised)
        first = (
            "grant its function the missing privilege" if refused else "change the function so that it allows the write"
        )
        disable = "; ".join(statement for *_, statement in raised)
        return StepFailed(
            Code.TRIGGER_REFUSED,
            f"{message}; raised in {named}\n{state}",
            state=state,
            hint=f"{first}, or disable the trigger until the run is over ({disable};), then {again}",
        )
    if refused and owners:
        return StepFailed(
            Code.PERMISSION_DENIED,
            f"{message}{database.caret(cause, sql)}\n{state}",
            state=state,
            hint=f"connect as {' or '.join(row[0] for row in owners)}, the owner, then {again}",
        )
    return None


def _no_lock(run: Run, cause: Any, place: str, sql: str, state: State, again: str) -> StepFailed:
    """The error for a lock that was not available in time, or only at the price of a deadlock, naming who holds one."""
    # A function of callctl's says in its context which table it was at.
    inside = re.findall(rf'\b{re.escape(run.schema)}"?\."?(\w+)', cause.diag.context or "")
    tables = sorted({*_tables(run.schema, sql), *inside})
    holders = _holders(run.connection, run.schema, tables)
    named = "; ".join(
        f"pid {pid} ({application}, {session}, for {age}, last {word or 'query unknown'}) holds {modes}"
        for pid, application, session, age, word, modes in holders
    )
    ends = "; ".join(f"SELECT pg_terminate_backend({pid})" for pid, *_ in holders if pid is not None)
    waited = f"{run.settings.lock_wait_ms / 1000:g} s (lock_wait)"
    problem = "no lock on" if cause.sqlstate == "55P03" else "repeated deadlocks on"
    return StepFailed(
        Code.LOCK_TIMEOUT,
        f"{place}: {problem} {', '.join(tables) or 'the table'} in {waited}; {named or 'no session holds a lock now'}"
        f" (SQLSTATE {cause.sqlstate})\n{state}",
        state=state,
        hint=f"end that transaction ({ends};), then {again}" if ends else again,
    )


def waits_for(connection: Connection, settings: Settings, sql: str | None, seconds: float) -> Waiting:
    """Return the lock that a statement timed out on and, after a second, the sessions that hold it."""
    import psycopg

    limit = settings.lock_wait_ms / 1000
    tables = _tables(settings.schema, sql) if sql is not None else []
    awaited = f"a lock on {', '.join(tables)}" if tables else "a lock"
    if not tables or seconds < NAMED_AFTER:
        return Waiting(awaited, seconds, limit)
    try:
        holders = tuple(Holder(*row[:4]) for row in _holders(connection, settings.schema, tables))
    except psycopg.Error:  # the next attempt finds out why
        holders = ()
    return Waiting(awaited, seconds, limit, holders)


def _tables(schema: str, sql: str) -> list[str]:
    """The platform's tables that a statement names."""
    items = tokens(sql)
    named_plainly = {
        c.word for a, b, c in zip(items, items[1:], items[2:], strict=False) if (a.word, b.text) == (schema, ".")
    }
    # A check asks the catalog about 'chatapp.chatbots'::regclass, and the catalog's functions lock the table too.
    quoted = re.escape(schema)
    named_as_text = set(re.findall(rf"'{quoted}\.\"?(\w+)\"?'", sql))
    named_in_json = set(re.findall(rf'\["{quoted}", "(\w+)"\]', sql))
    return sorted(named_plainly | named_as_text | named_in_json)


def _holders(connection: Connection, schema: str, tables: list[str]) -> list[tuple[Any, ...]]:
    """Return the sessions that hold a lock on one of the tables: pid, application, state, age, last query, modes."""
    return connection.execute(read_sql("migration/run/blockers.sql"), {"schema": schema, "tables": tables}).fetchall()


def _rewritten(run: Run, cause: Any, statement: Statement, state: State, again: str) -> StepFailed:
    schema, table = written_table(statement, run.schema)
    others = database.in_the_way(run.connection, schema, table)
    return StepFailed(
        Code.TRIGGER_INTERFERES,
        f"{statement.place}: {database.error_text(cause)}; {schema}.{table}: {others}\n{state}",
        state=state,
        hint=f"{database.unhindered(run.connection, schema, [table])} {again}",
    )


def _not_stored(run: Run, cause: NotStored, state: State, again: str) -> StepFailed:
    relation = written_table(cause.statement, run.schema)
    place = cause.statement.place
    return database.not_stored(run.connection, place, relation, cause.rows, cause.sample, state, again)


def _held_too_long(run: Run, place: str, state: State, again: str) -> StepFailed:
    return StepFailed(
        Code.LOCK_HOLD,
        f"{place}: held a lock longer than {run.settings.lock_hold_ms / 1000:g} s (lock_hold), {OVERRUNS} times"
        f"\n{state}",
        state=state,
        hint=f"wait until the server is less busy, then {again}",
    )


def _check_failed(failed: CheckFailed, state: State, again: str) -> StepFailed:
    check = failed.statement.check
    assert check is not None
    if failed.statement.source.startswith(CONTRACT):
        differences = "; ".join(row[0] for row in failed.rows)
        fixes = "; ".join(dict.fromkeys(row[1] for row in failed.rows if row[1]))
        fixed = f", fix it ({fixes};)" if fixes else ""
        return StepFailed(
            Code.STEP_RESULT_DIFFERS,
            f"{failed.statement.place}: check {check.id} failed: the catalog differs from the "
            f"step's result ({failed.offenders}: {differences})\n{state}",
            state=state,
            hint=f"find the event trigger or the session that changed it{fixed}, then {again}",
        )
    rows = "1 row breaks" if failed.offenders == 1 else f"{failed.offenders} rows break"
    sample = "; ".join(", ".join(map(str, row)) for row in failed.rows)
    return StepFailed(
        Code.CHECK_FAILED,
        f"{failed.statement.place}: check {check.id} failed: {rows} the rule '{check.sentence}' ({sample})\n{state}",
        state=state,
        hint=f"{_fix(failed.statement)}correct those rows, then {again}",
    )


def _fix(check: Statement) -> str:
    """Return the fix in a check's file as the beginning of a hint."""
    fix = next((line for line in check.comment.splitlines() if line.startswith("fix: ")), None)
    return f"{fix.removeprefix('fix: ')}; or " if fix else ""
