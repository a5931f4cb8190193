"""The number of rows that a statement will write: counted, or estimated from a sample of the table's pages.

No value of a row leaves the server: each query returns one number. Each ends after ``COUNT_MS``, and all together
after the catalog's ``patience``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from callctl.errors import CallctlError
from callctl.forecast.catalog import COUNT_MS, Catalog, Name, Relation, count_within
from callctl.statements import batch_query
from callctl.statements.adaptation import adapt
from callctl.statements.scope import folded
from callctl.statements.script import Statement, load_script, tree
from callctl.statements.tokens import tokens

if TYPE_CHECKING:
    from callctl.migration.planning import Plan

# Of a larger table, this many pages are read.
PAGES = 2000
_BEFORE_THE_RUN = "forecast/rows_to_write.sql"
_NO_ALIAS = frozenset("where join left right full inner cross natural group order limit".split())  # noqa: SIM905


class Estimate(NamedTuple):
    """``rows``; ``counted``: all of the table was looked at, not a sample of its pages."""

    rows: int
    counted: bool


def rows_to_write(statement: Statement, catalog: Catalog, plan: Plan, *, first: bool) -> Estimate | None:
    """Return how many rows a statement of a plan will write; None if that cannot be asked before the run.

    ``first``: it is of the plan's first step, so that its own condition is asked. What one of a later step asks for,
    the steps before it change: then sql/forecast/rows_to_write.sql says it in other words.
    """
    if "batched" not in statement.directives:
        return _in_one_piece(statement, catalog)
    walked = batch_query.target(statement, plan.naming.schema)
    relation = catalog.relation(Name(walked.schema, walked.table))
    if relation is None or relation.made:
        # Nothing is in it yet; a later step of the same run may save a few rows there.
        return Estimate(0, counted=True) if walked.schema == "callctl" else None
    own = batch_query.listing(statement, walked.key)
    declared = _declared(statement, plan)
    for query in [own, *declared] if first else [*declared, own]:
        found = _count(query, catalog, relation)
        if found is not None:
            return found
    return None


def _in_one_piece(statement: Statement, catalog: Catalog) -> Estimate | None:
    """Of an UPDATE or DELETE of callctl's own tables, which says in its WHERE which rows those are."""
    from sqlglot import exp

    node = tree(statement.sql)
    if not isinstance(node, exp.Update | exp.Delete) or node.args.get("using") or node.args.get("from_"):
        return None
    table = node.this
    relation = catalog.relation(Name(folded(table.args.get("db")), folded(table.this)))
    if relation is None or relation.name.schema != "callctl":
        return None
    if relation.made:
        return Estimate(0, counted=True)
    start = next(item for item in tokens(statement.sql) if item.says("update", "from")).end
    where = next((item for item in tokens(statement.sql) if item.depth == 0 and item.says("where")), None)
    setting = next((item for item in tokens(statement.sql) if item.depth == 0 and item.says("set")), where)
    named = statement.sql[start : setting.start if setting else None]
    return _count(f"SELECT FROM {named} {statement.sql[where.start :] if where else ''}", catalog, relation)


def _declared(statement: Statement, plan: Plan) -> list[str]:
    """The statement's query in sql/forecast/rows_to_write.sql, in this database's names, if there is one."""
    batched = [each for step in plan.steps for each in step.statements if _of_one_file(each, statement)]
    declared = load_script(_BEFORE_THE_RUN).statements
    queries = [each for each in declared if each.comment.splitlines()[-1:] == [statement.source]]
    position = [each.line for each in batched].index(statement.line)
    if position >= len(queries):
        return []
    try:
        return [adapt(queries[position], plan.naming).sql]
    except CallctlError:  # it names a column that is not there any more
        return []


def _of_one_file(one: Statement, other: Statement) -> bool:
    return one.source == other.source and "batched" in one.directives


def _count(query: str, catalog: Catalog, relation: Relation) -> Estimate | None:
    import psycopg

    assert catalog.connection is not None
    share = min(1.0, PAGES / max(relation.pages, 1))
    sample = f" TABLESAMPLE SYSTEM ({100 * share:.4f}) REPEATABLE (1)" if share < 1 else ""
    counting = f"SELECT count(*) FROM ({_sampled(query, sample)}) AS listed"
    if catalog.patience <= 0:
        return None
    began = time.monotonic()
    try:
        found = count_within(catalog.connection, counting, round(min(COUNT_MS, 1000 * catalog.patience)))
    except psycopg.Error:
        return None
    finally:
        catalog.patience -= time.monotonic() - began
    return Estimate(round(found / share), counted=not sample)


def _sampled(query: str, sample: str) -> str:
    """The query with ``sample`` behind its first table."""
    items = tokens(query)
    at = next(i for i, item in enumerate(items) if item.depth == 0 and item.says("from")) + 1
    while at + 2 < len(items) and items[at + 1].text == ".":
        at += 2
    if at + 1 < len(items) and items[at + 1].says("as"):
        at += 2
    elif at + 1 < len(items) and items[at + 1].depth == 0 and items[at + 1].word not in {*_NO_ALIAS, ""}:
        at += 1
    return query[: items[at].end] + sample + query[items[at].end :]
