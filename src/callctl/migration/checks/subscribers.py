"""What the subscribers of published tables need for a step, and when: logical replication carries rows and no DDL.

A subscriber stops at the first row with a column that it does not have. So it gets a new column, table or wider type
before this server does; and it loses a column, or gets a narrower type, after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from callctl.files import read_sql
from callctl.statements.script import Statement
from callctl.statements.tokens import identifier, tokens

if TYPE_CHECKING:
    from callctl.database.connection import Connection
    from callctl.events import Direction
    from callctl.statements.naming import Naming

TABLES = ("users", "chatbot_packages", "chatbots", "ai_models", "integration_accounts", "calls", "call_transcripts")


@dataclass(frozen=True)
class ForSubscribers:
    """Statements for each subscriber of these publications, ``before`` or ``after`` the step on this server."""

    when: Literal["before", "after"]
    publications: tuple[str, ...]
    statements: tuple[str, ...]


def published(connection: Connection, naming: Naming) -> dict[str, tuple[str, ...]]:
    """The tables that the steps change or make and that are published, or will be; with the publications' names."""
    parameters = {"schema": naming.schema, "names": list(TABLES)}
    rows = connection.execute(read_sql("migration/checks/published.sql"), parameters).fetchall()
    found = {name: tuple(publications) for name, publications in rows}
    if connection.info.server_version >= 150000:
        row = connection.execute(
            read_sql("migration/checks/published_schema.sql"), {"schema": naming.schema}
        ).fetchone()
        for name in TABLES if row and row[0] else ():
            found[name] = tuple(sorted({*found.get(name, ()), *(row[0] if row else ())}))
    return found


def for_subscribers(
    statements: Sequence[Statement],
    direction: Direction,
    naming: Naming,
    tables: dict[str, tuple[str, ...]],
    made: Sequence[tuple[str, str]],
) -> ForSubscribers | None:
    """What subscribers need for a step, whose statements these are; None where it changes no published table.

    ``made`` are the columns (table, name) that the step takes back without naming them in a statement.
    """
    changes = [change for statement in statements for change in _changes(statement, direction, naming)]
    for table, column in made:
        relation = f"{identifier(naming.schema)}.{identifier(table)}"
        changes.append(("after", table, f"ALTER TABLE {relation} DROP COLUMN {identifier(column)}"))
    wanted = [change for change in changes if change[1] in tables]
    if not wanted:
        return None
    publications = sorted({name for _, table, _ in wanted for name in tables[table]})
    return ForSubscribers(wanted[0][0], tuple(publications), tuple(sql for _, _, sql in wanted))


def _changes(
    statement: Statement, direction: Direction, naming: Naming
) -> Iterator[tuple[Literal["before", "after"], str, str]]:
    """When, of which table, and the statement itself, where it changes what columns a table has."""
    words = tokens(statement.sql)
    pairs = list(pairwise(words))
    table = next(
        (
            c.word
            for a, b, c in zip(words, words[1:], words[2:], strict=False)
            if b.text == "." and a.word == naming.schema
        ),
        None,
    )
    if table is None:
        return
    if statement.kind == "create table":
        yield "before", table, statement.sql
    elif statement.kind != "alter table":
        return
    elif any(a.says("add") and b.says("column") for a, b in pairs):
        yield "before", table, statement.sql
    elif any(a.says("drop") and b.says("column") for a, b in pairs):
        yield "after", table, statement.sql
    elif any(token.says("type") for token in words):
        yield "before" if direction == "up" else "after", table, statement.sql
