"""How PostgreSQL would run the specification's queries on tables far larger than the test's.

A few thousand rows have the shape of the large tables; the planner is then told that there are more of them. The pages
on disk stay few, which makes reading a whole table look cheaper than it would be: whoever keeps to an index here, keeps
to it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from callctl.loadtest.rows import Query
from callctl.statements.naming import Naming

TABLES = ("calls", "call_transcripts")
# Of 10,000 tenants, calls come to chatbots, from end users, in conversations; a dozen lines a call.
_SHAPE = """
ALTER TABLE {schema}.calls ALTER COLUMN company_id SET (n_distinct = {tenants}),
  ALTER COLUMN chatbot_id SET (n_distinct = {chatbots}),
  ALTER COLUMN integration_account_id SET (n_distinct = {tenants}),
  ALTER COLUMN end_user_id SET (n_distinct = -0.4), ALTER COLUMN conversation_id SET (n_distinct = -0.8);
ALTER TABLE {schema}.call_transcripts ALTER COLUMN call_id SET (n_distinct = -0.08);
"""
_CALLS = """
INSERT INTO {schema}.calls (id, company_id, chatbot_id, end_user_id, conversation_id, integration_account_id, call_sid,
                     source, direction, status, started_at, answered_at, ended_at, duration, created_at)
SELECT md5('call' || i)::uuid, md5('company' || i % 1000)::uuid, md5('chatbot' || i % 2000)::uuid,
       md5('user' || i % 1200)::uuid, md5('conversation' || i % 2400)::uuid, md5('account' || i % 1000)::uuid,
       'CA' || md5('sid' || i), 'twilio', 'inbound',
       CASE WHEN i % 1000 = 0 THEN 'in_progress' WHEN i % 20 = 0 THEN 'failed' ELSE 'completed' END,
       at, at, at + interval '60 s', 60, at
FROM (SELECT i, now() - i * interval '2 h' AS at FROM generate_series(1, 3000) AS i) AS times
"""
_LINES = """
INSERT INTO {schema}.call_transcripts (call_id, role, content, start_time, end_time, duration, confidence, created_at)
SELECT md5('call' || i)::uuid, CASE WHEN n % 2 = 0 THEN 'assistant' ELSE 'user' END,
       CASE WHEN (i * 12 + n) % 100 = 1 THEN 'I want a refund'
            ELSE 'The order ' || md5(i || ':' || n) || ' is late' END,
       n * 5000, n * 5000 + 3000, 3000, 0.5 + (i * 7 + n * 13) % 500 / 1000.0, now() - i * interval '2 h'
FROM generate_series(1, 3000) AS i, generate_series(0, 11) AS n
"""
# The number of rows follows the density, and that is what is written here.
_MANY = """
UPDATE pg_class
SET reltuples = {rows}, relpages = greatest(pg_relation_size(oid) / current_setting('block_size')::bigint, 1)
WHERE oid = to_regclass({table})
"""

# A tenant, a call and so on that are among the rows.
VALUES: Mapping[str, str] = {
    "call": "call1",
    "company": "company1",
    "chatbot": "chatbot1",
    "end_user": "user1",
    "conversation": "conversation1",
    "account": "account1",
}
LITERALS: Mapping[str, str] = {
    "call_sid": "CA0",
    "from_number": "+15550100",
    "to_number": "+15550100",
    "word": "refund",
    "role": "user",
    "content": "Hello",
    "start_time": "0",
    "end_time": "10",
    "confidence": "0.9",
}


@dataclass(frozen=True)
class Planned:
    """What a plan reads: the tables from end to end, and the indexes."""

    scanned: tuple[str, ...]
    indexes: tuple[str, ...]
    cost: float


def fill(db: psycopg.Connection[Any], naming: Naming, tenants: int = 10_000) -> None:
    """A few thousand calls with a dozen lines each, in the caller's transaction; what they refer to is not there."""
    schema = sql.Identifier(naming.schema)
    numbers = {"tenants": sql.Literal(tenants), "chatbots": sql.Literal(2 * tenants)}
    db.execute("SET LOCAL session_replication_role = replica")
    for statement in (_SHAPE, _CALLS, _LINES):
        db.execute(sql.SQL(statement).format(schema=schema, **numbers))  # type: ignore[arg-type, unused-ignore]
    for table in TABLES:
        db.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(naming.schema, table)))


def pretend(db: psycopg.Connection[Any], naming: Naming, calls: int, lines: int, tenants: int = 10_000) -> None:
    """Tell the planner that the tables have so many rows, in the caller's transaction."""
    for table, rows in zip((*TABLES, "companies"), (calls, lines, tenants), strict=True):
        name = sql.Literal(f'"{naming.schema}".{table}')
        db.execute(sql.SQL(_MANY).format(rows=sql.Literal(float(rows)), table=name))  # type: ignore[arg-type, unused-ignore]


def values(query: Query, known: Mapping[str, str], literals: Mapping[str, str]) -> list[sql.Literal]:
    """A value for each of a query's parameters."""
    return [
        sql.Literal(literals.get(name) or str(UUID(md5(known[name].encode()).hexdigest()))) for name in query.parameters
    ]


def explain(
    db: psycopg.Connection[Any],
    query: Query,
    *,
    generic: bool,
    options: str = "",
    known: Mapping[str, str] = VALUES,
    literals: Mapping[str, str] = LITERALS,
) -> dict[str, Any]:
    """EXPLAIN's answer. ``generic``: the plan that a prepared statement comes to have, which knows no values."""
    mode = "force_generic_plan" if generic else "force_custom_plan"
    db.execute(f"SET LOCAL plan_cache_mode = {mode}".encode())
    db.execute(sql.SQL("PREPARE documented AS {}").format(sql.SQL(query.sql)))  # type: ignore[arg-type, unused-ignore]
    try:
        arguments = values(query, known, literals)
        call = sql.SQL("({})").format(sql.SQL(", ").join(arguments)) if arguments else sql.SQL("")
        head = f"EXPLAIN (FORMAT JSON{options}) EXECUTE documented"
        row = db.execute(sql.SQL(head) + call).fetchone()  # type: ignore[arg-type, unused-ignore]
    finally:
        db.execute("DEALLOCATE documented")
    assert row is not None
    answer: dict[str, Any] = row[0][0]
    return answer


def planned(answer: Mapping[str, Any]) -> Planned:
    """What a plan reads of the two tables."""
    scanned, indexes = set(), set()
    for node in _nodes(answer["Plan"]):
        if node["Node Type"] == "Seq Scan" and node.get("Relation Name") in TABLES:
            scanned.add(node["Relation Name"])
        if "Index Name" in node:
            indexes.add(node["Index Name"])
            # An index read from end to end is a scan, too.
            if not any(key in node for key in ("Index Cond", "Order By")) and "calls" in node["Index Name"]:
                scanned.add(f"all of {node['Index Name']}")
    return Planned(tuple(sorted(scanned)), tuple(sorted(indexes)), answer["Plan"]["Total Cost"])


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
