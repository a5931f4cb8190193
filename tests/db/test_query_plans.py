"""No query of the specification reads a table of ten million calls or a hundred million lines from end to end.

The check that the document's own ("should use idx_...") means. Of a company with as many calls as ten
thousand companies have on average; what larger ones see is measured in benchmarks/results/queries.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.support.db import plans
from tests.support.db.migrated import Migrated, State, connection_to

from callctl.loadtest.rows import documented_queries
from callctl.sandbox.lifecycle import BASELINES, Baseline
from callctl.statements.naming import Naming, read_naming

CALLS, LINES = 10_000_000, 100_000_000
# What reads a table from end to end, and has to: its answer is every call.
SCAN = {"platform_calls"}


@pytest.fixture(scope="module", params=BASELINES)
def large(request: pytest.FixtureRequest, migrated: Migrated) -> Iterator[tuple[psycopg.Connection[Any], Naming]]:
    baseline: Baseline = request.param
    with connection_to(migrated.url(State(baseline))) as db:
        naming = read_naming(db, "chatapp")
        plans.fill(db, naming)
        plans.pretend(db, naming, CALLS, LINES)
        yield db, naming


def test_the_planner_believes_in_the_large_tables(large: tuple[psycopg.Connection[Any], Naming]) -> None:
    db, _ = large
    for table, rows in (("calls", CALLS), ("call_transcripts", LINES)):
        answer = db.execute(f"EXPLAIN (FORMAT JSON) SELECT * FROM chatapp.{table}".encode()).fetchone()
        assert answer is not None
        assert answer[0][0]["Plan"]["Plan Rows"] == pytest.approx(rows, rel=0.01)


@pytest.mark.parametrize("generic", [False, True], ids=["with values", "prepared"])
def test_no_query_reads_a_whole_table(large: tuple[psycopg.Connection[Any], Naming], generic: bool) -> None:
    db, naming = large
    queries = documented_queries(naming)
    found = {name: plans.planned(plans.explain(db, query, generic=generic)) for name, query in queries.items()}
    assert {name for name, plan in found.items() if plan.scanned} == SCAN
    assert {name for name, query in queries.items() if query.scans} == SCAN
    # Which index it is, is the planner's to say: PostgreSQL 18 takes others than 12.
    assert {name for name, plan in found.items() if not plan.indexes and queries[name].indexes} == set()


def test_without_its_index_a_query_reads_a_whole_table(large: tuple[psycopg.Connection[Any], Naming]) -> None:
    """So the check can fail: each index of the steps is the only thing that keeps some query from it."""
    db, naming = large
    queries = documented_queries(naming)
    alone = {
        "company_page": ("idx_calls_company_id", "idx_calls_date_range", "idx_calls_status"),
        "end_user_calls": ("idx_calls_end_user_id", "idx_calls_company_id", "idx_calls_date_range", "idx_calls_status"),
        "transcript": ("idx_call_transcripts_call_id", "idx_call_transcripts_role"),
    }
    for name, indexes in alone.items():
        with db.transaction(force_rollback=True):
            for index in indexes:
                db.execute(f"DROP INDEX chatapp.{index}".encode())
            assert plans.planned(plans.explain(db, queries[name], generic=False)).scanned, name


def test_every_index_of_the_steps_serves_a_query(large: tuple[psycopg.Connection[Any], Naming]) -> None:
    db, naming = large
    rows = db.execute(
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'chatapp' AND tablename = ANY (%s)"
        " AND indexname LIKE 'idx%%'",
        (list(plans.TABLES),),
    ).fetchall()
    served = {index for query in documented_queries(naming).values() for index in query.indexes}
    assert {row[0] for row in rows} <= served
