"""Building an index concurrently, telling how far it is, and never taking a broken one for done.

A build that is cut short leaves an invalid index behind, which IF NOT EXISTS takes for the real one (PostgreSQL
manual, CREATE INDEX, "Building Indexes Concurrently").
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.errors import Code, StepFailed
from callctl.events import IndexProgress, Notice, OnEvent, Waiting
from callctl.files import read_sql
from callctl.statements.script import Statement, tree
from callctl.statements.tokens import Edit, splice, tokens

if TYPE_CHECKING:
    from callctl.database.connection import Connection
    from callctl.migration.run.transactions import Run

_NAME = r'"(?:[^"]|"")+"|\w+'
_INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?P<name>{_NAME}) ON (?P<schema>{_NAME})\.")


@dataclass(frozen=True)
class Index:
    """An index by its name and its table's schema, as the catalog has them."""

    name: str
    schema: str


def index_built_by(statement: Statement, schema: str) -> Index | None:
    """The index that a CREATE INDEX builds (in ``schema`` where it names none); None for another statement."""
    from sqlglot import exp

    if statement.kind != "create index":
        return None
    node = tree(statement.sql)
    if not isinstance(node, exp.Create):
        # What pg_get_indexdef() prints, in a form that sqlglot doesn't know (NULLS NOT DISTINCT).
        match = _INDEX.match(statement.sql)
        return Index(_unquoted(match["name"]), _unquoted(match["schema"])) if match else None
    table = node.find(exp.Table)
    return Index(node.this.name, table.db if table is not None and table.db else schema)


def in_a_transaction(statement: Statement) -> Statement:
    """The same statement for the inside of a transaction: an index is built or dropped without CONCURRENTLY."""
    return replace(statement, sql=_not_concurrently(statement.sql), directives=frozenset())


def _not_concurrently(sql: str) -> str:
    items = tokens(sql)
    if not items or not items[0].says("create", "drop"):
        return sql
    return splice(sql, [Edit(item.start, item.end + 1, "") for item in items[1:4] if item.says("concurrently")])


def build(
    connection: Connection, statement: Statement, index: Index, on_event: OnEvent, *, in_transaction: bool = False
) -> None:
    """Build the index unless a valid one of its name is there; an invalid one is dropped first.

    Runs outside a transaction, unless ``in_transaction``. Raises StepFailed if the result is not valid, and
    psycopg.Error as the server does.
    """
    leftover = connection.execute(read_sql("migration/run/invalid_index.sql"), asdict(index)).fetchone()
    if leftover is not None:
        on_event(Notice(f"index {index.name} was left invalid by an earlier attempt; building it again"))
        connection.execute(_not_concurrently(leftover[0]) if in_transaction else leftover[0])
    elif _valid(connection, index):
        return
    connection.execute(statement.sql)
    if not _valid(connection, index):
        raise StepFailed(
            Code.INDEX_INVALID,
            f"{statement.place}: index {index.name} is not valid after it was built",
            hint="run the same command again: callctl drops the invalid index and builds a new one",
        )


def _valid(connection: Connection, index: Index) -> bool:
    return bool(database.value(connection, read_sql("migration/run/index_state.sql"), asdict(index)))


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


# What a statement of this run waits for, told from a second connection while the first one waits for it.

PROGRESS_SECONDS = 0.5
# A standby on the other side of an ocean answers within a second; one that is gone does not.
STANDBY_SECONDS = 2.0


@contextmanager
def index_progress(run: Run) -> Iterator[None]:
    """While the body runs, report what ``pg_stat_progress_create_index`` says of this run's session."""
    pid = run.connection.info.backend_pid

    def look() -> None:
        row = run.lock.ask(read_sql("migration/run/index_progress.sql"), {"pid": pid})
        if row is not None:
            phase, finished, total, waiting_for = row
            run.on_event(IndexProgress(run.step, phase, int(finished), int(total), int(waiting_for)))

    with _looking(look, PROGRESS_SECONDS):
        yield


@contextmanager
def standby_awaited(run: Run) -> Iterator[None]:
    """While the body commits, report that it waits for a synchronous standby, and which ones are wanted.

    Such a commit waits for ever where the standby is gone. Ctrl-C ends the wait: what was committed is on this server's
    own disk.
    """
    pid = run.connection.info.backend_pid
    began = time.monotonic()

    def look() -> None:
        row = run.lock.ask(read_sql("migration/run/standby_awaited.sql"), {"pid": pid})
        if row is not None:
            run.on_event(Waiting(str(row[0]), time.monotonic() - began))

    with _looking(look, STANDBY_SECONDS):
        yield


@contextmanager
def _looking(look: Callable[[], None], seconds: float) -> Iterator[None]:
    """While the body runs, call ``look`` at this interval, in seconds, in a thread.

    It asks on the migration lock's connection, which is idle meanwhile. If that breaks nothing is reported, and the
    run finds out before its next statement. What a listener raises is raised at the end.
    """
    import psycopg

    over = threading.Event()
    raised: list[BaseException] = []

    def watch() -> None:
        try:
            while not over.wait(seconds):
                look()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            return
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=watch, name="callctl watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if raised:
        raise raised[0]
