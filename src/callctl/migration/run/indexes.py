"""Building an index concurrently, and never taking a broken one for done.

A build that is cut short leaves an invalid index behind, which IF NOT EXISTS takes for the real one (PostgreSQL
manual, CREATE INDEX, "Building Indexes Concurrently").
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from callctl.errors import StepFailed
from callctl.events import Notice, OnEvent
from callctl.files import read_sql
from callctl.statements.script import Statement, tree
from callctl.statements.tokens import Edit, splice, tokens

if TYPE_CHECKING:
    from callctl.database.connection import Connection

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
        found = _INDEX.match(statement.sql)
        return Index(_unquoted(found["name"]), _unquoted(found["schema"])) if found else None
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

    Runs outside a transaction, unless ``in_transaction``. Raises StepFailed where the result is not valid, and
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
            f"{statement.place}: index {index.name} is not valid after it was built",
            hint="run the same command again: the invalid index is dropped and built anew",
        )


def _valid(connection: Connection, index: Index) -> bool:
    row = connection.execute(read_sql("migration/run/index_state.sql"), asdict(index)).fetchone()
    return bool(row and row[0])


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
