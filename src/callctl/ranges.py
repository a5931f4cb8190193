"""A batched statement: which table it walks over, and the same statement for one range of its keys."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from callctl.errors import ConfigError
from callctl.lexer import Edit, identifier, literal, position, splice, tokens
from callctl.names import start_of
from callctl.scope import folded
from callctl.script import Statement, tree

# The primary key of the platform's tables, unless the caller has looked and found another.
KEY_COLUMN = "id"

_ENDS = frozenset(
    "group having window union intersect except order limit offset fetch for returning".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class BatchTarget:
    """The table a batched statement walks over, in the names of the statement, and its key."""

    schema: str
    table: str
    key_column: str


def _target(statement: Statement) -> exp.Table:
    """The table whose keys are the batches: see docs/reference/sql-format.md."""
    node = tree(statement.sql)
    if node is None or isinstance(node, exp.Command):
        raise ConfigError(f"{statement.place}: a batched statement must be one that callctl can read")
    locking = [select for select in node.find_all(exp.Select) if select.args.get("locks")]
    if len(locking) > 1:
        raise ConfigError(f"{statement.place}: a batched statement has one SELECT … FOR UPDATE, not {len(locking)}")
    table: object = None
    if locking:
        from_ = locking[0].args.get("from_")
        table = from_.this if from_ is not None else None
    else:
        updates = list(node.find_all(exp.Update))
        inserts = list(node.find_all(exp.Insert))
        if len(updates) == 1:
            table = updates[0].this
        elif not updates and len(inserts) == 1 and isinstance(inserts[0].expression, exp.Select):
            from_ = inserts[0].expression.args.get("from_")
            table = from_.this if from_ is not None else None
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        raise ConfigError(
            f"{statement.place}: cannot tell which table a batch of this statement walks over",
            hint="it has one SELECT … FOR UPDATE of a table, or is an UPDATE or an INSERT … SELECT",
        )
    return table


def batch_target(statement: Statement, schema: str) -> BatchTarget:
    """The table that an adapted batched statement walks over; without a schema, it is in ``schema``.

    Raises :class:`ConfigError` where there is not one such table.
    """
    table = _target(statement)
    return BatchTarget(folded(table.args.get("db")) or schema, folded(table.this), KEY_COLUMN)


def with_range(statement: Statement, low: object | None, high: object | None, key_column: str = KEY_COLUMN) -> str:
    """The adapted statement for the keys above ``low`` and up to ``high``; None leaves that end open.

    The condition joins what the WHERE has: ``WHERE (…) AND key > 'low' AND key <= 'high'``. Keys are written
    as literals of unknown type, so that uuid, bigint and text all do.
    """
    table = _target(statement)
    alias = table.args.get("alias")
    named = alias.this if alias is not None and alias.this is not None else table.this
    key = f"{identifier(folded(named))}.{identifier(key_column)}"
    bounds = [f"{key} > {literal(low)}"] if low is not None else []
    bounds += [f"{key} <= {literal(high)}"] if high is not None else []
    if not bounds:
        return statement.sql
    condition = " AND ".join(bounds)
    items = tokens(statement.sql)
    at = position(items, start_of(table.this))
    level, where = items[at].depth, None
    last = at
    while last + 1 < len(items):
        item = items[last + 1]
        if item.depth < level:
            break
        if item.depth == level:
            follows = items[last + 2].word if last + 2 < len(items) else ""
            if item.word in _ENDS or (item.says("on") and follows == "conflict"):
                break
            if item.says("where"):
                where = last + 1
        last += 1
    if where is None:
        return splice(statement.sql, [Edit(items[last].end, items[last].end, f" WHERE {condition}")])
    opening = items[where + 1].start
    return splice(
        statement.sql,
        [Edit(opening, opening, "("), Edit(items[last].end, items[last].end, f") AND {condition}")],
    )
