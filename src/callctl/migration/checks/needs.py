"""What the statements of the steps read of the platform's tables: taken from the step files themselves.

Only what a statement reads or writes in a query is a need: ``DROP … IF EXISTS`` needs nothing. What an earlier step of
the same run makes, or the step itself, is no need of the database as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from callctl.events import Direction
from callctl.migration.checks.findings import Need
from callctl.migration.steps.numbered import Step
from callctl.statements.naming import DOCUMENTED_SCHEMA, SOFT_DELETE
from callctl.statements.scope import folded
from callctl.statements.script import Statement, tree
from callctl.statements.tokens import tokens

# A name as text that callctl's functions get: 'chatapp.chatbots'::regclass, then 'chatbottype'::name of that table.
_LITERAL = re.compile(r"'(?P<table>chatapp\.\w+)'::regclass|'(?P<column>\w+)'::name")


@dataclass(frozen=True)
class Needed:
    """A table or column of the platform that a step reads, in documented names, and the first place where it does."""

    step: int
    place: str
    need: Need


def needed(steps: Sequence[Step], direction: Direction) -> tuple[Needed, ...]:
    """What these steps need to find in the database when they run in this order; each table and column once."""
    made: set[Need] = set()
    found: dict[Need, Needed] = {}
    for step in steps:
        statements = step.script(direction).statements
        made.update(made_need for statement in statements for made_need in _made(statement))
        for statement in statements:
            for need in _needs(statement):
                table = Need(need.schema, need.table, None)
                if need not in made and table not in made:
                    found.setdefault(need, Needed(step.number, statement.place, need))
    return tuple(found.values())


def _made(statement: Statement) -> Iterator[Need]:
    """Tables and columns that a statement makes."""
    words = tokens(statement.sql)
    if statement.kind not in ("create table", "alter table"):
        return
    table = next(
        (
            c.word
            for a, b, c in zip(words, words[1:], words[2:], strict=False)
            if a.word == DOCUMENTED_SCHEMA and b.text == "."
        ),
        None,
    )
    if table is None:
        return
    if statement.kind == "create table":
        yield Need(DOCUMENTED_SCHEMA, table, None)
        return
    for index, token in enumerate(words):
        if token.says("add") and index + 1 < len(words) and words[index + 1].says("column"):
            at = index + (5 if words[index + 2].says("if") else 2)
            yield Need(DOCUMENTED_SCHEMA, table, words[at].word)


@lru_cache(maxsize=512)
def _needs(statement: Statement) -> tuple[Need, ...]:
    return tuple(_read(statement))


def _read(statement: Statement) -> Iterator[Need]:
    node = tree(statement.sql)
    if node is not None and not isinstance(node, exp.Command) and statement.kind in _QUERIES:
        for column in node.find_all(exp.Column):
            table = _table_of(column)
            name = folded(column.this)
            if table is not None and name and name not in SOFT_DELETE:
                yield Need(DOCUMENTED_SCHEMA, table, name)
        for source in node.find_all(exp.Table):
            if (table := _platform(source)) is not None:
                yield Need(DOCUMENTED_SCHEMA, table, None)
    table = None
    for match in _LITERAL.finditer(statement.sql):
        if match["table"]:
            table = match["table"].partition(".")[2]
            yield Need(DOCUMENTED_SCHEMA, table, None)
        elif table is not None:
            yield Need(DOCUMENTED_SCHEMA, table, match["column"])


_QUERIES = frozenset({"select", "insert", "update", "delete", "merge"})


def _platform(source: exp.Expr | None) -> str | None:
    """The platform's table that an item of a FROM list is; None for anything else."""
    named = isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier)
    if source is None or not named or folded(source.args.get("db")) != DOCUMENTED_SCHEMA:
        return None
    return folded(source.this)


def _table_of(column: exp.Column) -> str | None:
    """The platform's table that a column belongs to, by PostgreSQL's rules of visibility; None where it is another's.

    A name without a table belongs to the one source of the innermost query; where there are more, it is left alone.
    """
    qualifier = folded(column.args.get("table"))
    at: exp.Expr | None = column.parent
    while at is not None:
        if isinstance(at, exp.Select | exp.Update | exp.Delete):
            sources = list(_sources(at))
            if not qualifier:
                return _platform(sources[0]) if len(sources) == 1 else None
            for source in sources:
                if source.alias_or_name.lower() == qualifier:
                    return _platform(source)
        at = at.parent
    return None


def _sources(query: exp.Expr) -> Iterable[exp.Expr]:
    if isinstance(query, exp.Update | exp.Delete):
        yield query.this
    from_ = query.args.get("from_")
    if from_ is not None:
        yield from_.this
    for join in query.args.get("joins") or ():
        yield join.this
    if from_ is not None:
        for join in from_.this.args.get("joins") or ():
            yield join.this
    yield from query.args.get("laterals") or ()
