"""What failed in a step, as the error that says where, why, who was in the way and what stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from callctl import database
from callctl.errors import CallctlError, StepFailed
from callctl.events import Holder, Waiting
from callctl.files import read_sql
from callctl.lexer import tokens
from callctl.script import Statement
from callctl.transactions import OVERRUNS, Failed, HeldTooLong, Run
from callctl.work_list import written_table

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection

# An operator who waits so many seconds for a lock wants to know whose it is.
NAMED_AFTER = 1.0


class CheckFailed(Exception):
    """A check returned offenders; the transaction it ran in is rolled back."""

    def __init__(self, statement: Statement, offenders: int, sample: str) -> None:
        super().__init__(statement.check and statement.check.sentence)
        self.statement = statement
        self.offenders = offenders
        self.sample = sample


class NotStored(Exception):
    """Rows are not stored as a statement wrote them; the transaction it ran in, if any, is rolled back."""

    def __init__(self, statement: Statement, rows: int, sample: str) -> None:
        super().__init__(sample)
        self.statement = statement
        self.rows = rows
        self.sample = sample


def assert_stored(statement: Statement, answer: Any) -> None:
    """Raise NotStored where a statement of ``work_list.checked`` has returned a row's id."""
    if statement.kind != "update":
        return
    wrong = [row[0] for row in answer.fetchall() if row[0] is not None]
    if wrong:
        raise NotStored(statement, len(wrong), ", ".join(map(str, wrong[:5])))


def failure(run: Run, failed: Failed, otherwise: str, stands: str) -> CallctlError:
    """The error for what failed: where (``otherwise``, if in no statement), what the server said, and what stands."""
    from psycopg import errors

    cause = failed.cause
    if isinstance(cause, CheckFailed):
        return _check_failed(cause, stands)
    if isinstance(cause, NotStored):
        return _not_stored(run, cause, stands)
    place = failed.statement.place if failed.statement else otherwise
    if isinstance(cause, HeldTooLong):
        return _held_too_long(run, place, stands)
    if isinstance(cause, errors.FeatureNotSupported) and failed.statement and failed.statement.kind == "update":
        # A rule makes something else of the UPDATE, which then has no rows to return and to compare.
        return _rewritten(run, cause, failed.statement, stands)
    if isinstance(cause, errors.LockNotAvailable | errors.DeadlockDetected) and not run.connection.closed:
        return _no_lock(run, cause, place, failed.sql, stands)
    return database.translated(cause, place, failed.sql, stands, run.connection)


def _no_lock(run: Run, cause: Any, place: str, sql: str, stands: str) -> StepFailed:
    """The error for a lock that was not to be had in time, or only at the price of a deadlock, naming who holds one."""
    tables = _tables(run.schema, sql)
    named = "; ".join(
        f"pid {pid} ({application}, {session}, for {age}, last {word or 'query unknown'}) holds {modes}"
        for pid, application, session, age, word, modes in _holders(run.connection, run.schema, tables)
    )
    waited = f"{run.settings.lock_wait_ms / 1000:g} s (lock_wait)"
    problem = "no lock on" if cause.sqlstate == "55P03" else "deadlock after deadlock on"
    return StepFailed(
        f"{place}: {problem} {', '.join(tables) or 'the table'} in {waited}; {named or 'nobody holds one any more'}"
        f" (SQLSTATE {cause.sqlstate})\n{stands}",
        hint="end that transaction (pg_terminate_backend(pid) if need be), then run the same command again",
    )


def waits_for(connection: Connection, settings: Settings, sql: str | None, seconds: float) -> Waiting:
    """What a statement, which has just given up a lock, has waited for so long; after a second, who holds it, too."""
    import psycopg

    limit = settings.lock_wait_ms / 1000
    tables = _tables(settings.schema, sql) if sql is not None else []
    what = f"a lock on {', '.join(tables)}" if tables else "a lock"
    if not tables or seconds < NAMED_AFTER:
        return Waiting(what, seconds, limit)
    try:
        holders = tuple(Holder(*row[:4]) for row in _holders(connection, settings.schema, tables))
    except psycopg.Error:  # the next attempt finds out why
        holders = ()
    return Waiting(what, seconds, limit, holders)


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
    """Who holds a lock on one of them: pid, application, state, for how long, first word of the last query, modes."""
    return connection.execute(
        read_sql("catalog/blockers.sql").encode(), {"schema": schema, "tables": tables}
    ).fetchall()


def _rewritten(run: Run, cause: Any, statement: Statement, stands: str) -> StepFailed:
    schema, table = written_table(statement, run.schema)
    others = database.in_the_way(run.connection, schema, table)
    return StepFailed(
        f"{statement.place}: {database.error_text(cause)}; {schema}.{table}: {others}\n{stands}",
        hint=database.UNHINDERED,
    )


def _not_stored(run: Run, cause: NotStored, stands: str) -> StepFailed:
    relation = written_table(cause.statement, run.schema)
    return database.not_stored(run.connection, cause.statement.place, relation, cause.rows, cause.sample, stands)


def _held_too_long(run: Run, place: str, stands: str) -> StepFailed:
    return StepFailed(
        f"{place}: held a lock longer than {run.settings.lock_hold_ms / 1000:g} s (lock_hold), {OVERRUNS} times"
        f"\n{stands}",
        hint="run the same command again when the server is less busy: it resumes from what was committed",
    )


def _check_failed(failed: CheckFailed, stands: str) -> StepFailed:
    check = failed.statement.check
    assert check is not None
    rows = "1 row says" if failed.offenders == 1 else f"{failed.offenders} rows say"
    return StepFailed(
        f"{failed.statement.place}: check {check.id} failed: {check.sentence}; {rows} otherwise"
        f" ({failed.sample})\n{stands}",
        hint="look at those rows, then run the same command again: it goes on from what was committed",
    )
