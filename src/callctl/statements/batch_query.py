"""A batched statement: the query that lists the rows it has to touch, and the same statement for some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from callctl.errors import Code, ConfigError
from callctl.statements.resolve import start_of
from callctl.statements.scope import folded
from callctl.statements.script import Statement, tree
from callctl.statements.tokens import Edit, Token, identifier, position, splice, tokens

_ENDS = frozenset(
    "group having window union intersect except order limit offset fetch for returning".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class BatchedTable:
    """The table a batched statement walks over, in the names of the statement, and the uuid column it walks by."""

    schema: str
    table: str
    key: str


@dataclass(frozen=True)
class _Place:
    """Where, in the tokens of a statement, its target is read: from the table's name to the end of the WHERE."""

    last: int  # the last token before what ends a WHERE
    where: int | None
    reading: str  # FROM … WHERE …, as it is; or put together from an UPDATE
    alias: str


@lru_cache(maxsize=256)
def _table(statement: Statement) -> tuple[exp.Table, bool]:
    """The table whose keys are the batches, and whether it is the target of an UPDATE: docs/reference/sql-format.md."""
    node = tree(statement.sql)
    if node is None or isinstance(node, exp.Command):
        raise ConfigError(Code.SQL_FILE, f"{statement.place}: a batched statement must be one that callctl can read")
    locking = [select for select in node.find_all(exp.Select) if select.args.get("locks")]
    if len(locking) > 1:
        raise ConfigError(
            Code.SQL_FILE, f"{statement.place}: a batched statement has one SELECT … FOR UPDATE, not {len(locking)}"
        )
    table: object = None
    updated = False
    if locking:
        from_ = locking[0].args.get("from_")
        table = from_.this if from_ is not None else None
    else:
        updates = list(node.find_all(exp.Update))
        inserts = list(node.find_all(exp.Insert))
        if len(updates) == 1:
            table, updated = updates[0].this, True
        elif not updates and len(inserts) == 1 and isinstance(inserts[0].expression, exp.Select):
            from_ = inserts[0].expression.args.get("from_")
            table = from_.this if from_ is not None else None
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        raise ConfigError(
            Code.SQL_FILE,
            f"{statement.place}: cannot tell which table a batch of this statement walks over",
            hint="write one SELECT … FOR UPDATE of a table, one UPDATE, or one INSERT … SELECT",
        )
    return table, updated


def target(statement: Statement, schema: str) -> BatchedTable:
    """The table that an adapted batched statement walks over; without a schema, it is in ``schema``.

    The platform's tables are walked over by ``id``, those of callctl's own by the row they are about.
    Raises :class:`ConfigError` if there is not one such table.
    """
    table, _ = _table(statement)
    table_schema = folded(table.args.get("db")) or schema
    return BatchedTable(table_schema, folded(table.this), "row_id" if table_schema == "callctl" else "id")


def listing(statement: Statement, key: str) -> str:
    """The query for the rows that the statement would touch: ``key``, and ``place`` to put neighbours together."""
    place = _place(statement, tokens(statement.sql))
    return f"SELECT {place.alias}.{identifier(key)} AS key, {place.alias}.ctid AS place {place.reading}"


def limited(statement: Statement, key: str, rows: str) -> str:
    """The adapted statement for some of the rows only: ``WHERE (…) AND key IN (rows)``; ``rows`` is a query."""
    items = tokens(statement.sql)
    place = _place(statement, items)
    condition = f"{place.alias}.{identifier(key)} IN ({rows})"
    end = items[place.last].end
    if place.where is None:
        return splice(statement.sql, [Edit(end, end, f" WHERE {condition}")])
    opening = items[place.where + 1].start
    return splice(statement.sql, [Edit(opening, opening, "("), Edit(end, end, f") AND {condition}")])


def written_table(statement: Statement, schema: str) -> tuple[str, str]:
    """The schema and the table that an adapted batched statement writes, or where it writes another one, reads."""
    node = tree(statement.sql)
    table = node.this if isinstance(node, exp.Update) else None
    if isinstance(table, exp.Table):
        return folded(table.args.get("db")) or schema, folded(table.this)
    batched_table = target(statement, schema)
    return batched_table.schema, batched_table.table


def checked(sql: str, statement: Statement) -> str:
    """The text ``sql`` of a statement, returning the ids of rows not stored as it wrote them, and NULL for the others.

    RETURNING shows a row as it is stored, after every BEFORE trigger (PostgreSQL manual, UPDATE, "Outputs"). An UPDATE
    alone is changed, and only one that returns nothing yet; what it assigns must not depend on what it replaces.
    """
    node = tree(statement.sql)
    if not isinstance(node, exp.Update) or node.args.get("returning"):
        return sql
    items = tokens(sql)
    alias = node.this.args.get("alias")
    named = identifier(folded(alias.this if alias is not None and alias.this is not None else node.this.this))
    first = next(i for i, item in enumerate(items) if item.depth == 0 and item.says("update"))
    begins = next(i for i in range(first, len(items)) if items[i].depth == 0 and items[i].says("set")) + 1
    ends = next(
        (
            i
            for i in range(begins, len(items))
            if items[i].depth == 0 and items[i].says("from", "where") and not items[i - 1].says("distinct")
        ),
        len(items),
    )
    commas = [i for i in range(begins, ends) if items[i].depth == 0 and items[i].text == ","]
    same = []
    for start, end in zip([begins, *(i + 1 for i in commas)], [*commas, ends], strict=True):
        column = sql[items[start].start : items[start].end]
        value = sql[items[start + 2].start : items[end - 1].end]
        same.append(f"{named}.{column} IS NOT DISTINCT FROM ({value})")
    return f"{sql} RETURNING CASE WHEN {' AND '.join(same)} THEN NULL ELSE {named}.id::text END"


def _place(statement: Statement, items: Sequence[Token]) -> _Place:
    table, updated = _table(statement)
    alias = table.args.get("alias")
    named = alias.this if alias is not None and alias.this is not None else table.this
    table_index = position(items, start_of(table.this))
    level, where, setting, source = items[table_index].depth, None, None, None
    last = table_index
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
            elif item.says("set") and setting is None:
                setting = last + 1
            elif item.says("from") and source is None and not items[last].says("distinct"):
                source = last + 1
        last += 1
    sql = statement.sql
    first = table_index - 2 if sql[items[table_index - 1].start : items[table_index - 1].end] == "." else table_index
    if updated:
        assert setting is not None
        reading = f"FROM {sql[items[first].start : items[setting].start].rstrip()}"
        if source is not None:
            until = items[where].start if where is not None else items[last].end
            reading += f", {sql[items[source].end : until].strip()}"
        if where is not None:
            reading += f" {sql[items[where].start : items[last].end]}"
    else:
        reading = f"FROM {sql[items[first].start : items[last].end]}"
    return _Place(last, where, reading, identifier(folded(named)))
