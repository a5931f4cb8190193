"""Which index serves each query of the specification, how long it takes on large tables, and where another is better.

Run: ./dev bench queries [--calls 500000] [--save FILE.json]

The tables are filled (ten lines a call, hundreds of companies, one of which has a tenth of all calls), and each query
is run; then the planner is told of ten million calls and a hundred million lines, and asked what it would do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from tests.support.db import plans

from benchmarks.results import saved
from callctl.config.settings import Settings
from callctl.loadtest.rows import Query, documented_queries
from callctl.migration import migrate
from callctl.sandbox.lifecycle import create_database, fill
from callctl.sandbox.server import start_server
from callctl.statements.naming import read_naming

RUNS = 5
MANY_CALLS, MANY_LINES = 10_000_000, 100_000_000
SERVER = {"shared_buffers": "2GB", "maintenance_work_mem": "1GB", "max_wal_size": "16GB", "wal_level": "minimal",
          "max_wal_senders": "0", "checkpoint_timeout": "30min", "jit": "off"}  # fmt: skip
TENANTS = {"a typical company": 5, "a company with 1% of the calls": 1, "a company with 10% of them": 0}
WORDS = {"refund": "one line in a hundred has the word", "chargeback": "one in ten thousand"}

PARENTS = """
INSERT INTO chatapp.companies (id, name, slug)
SELECT md5('company' || i)::uuid, 'Bench ' || i, 'bench-' || i FROM generate_series(0, 999) AS i;
INSERT INTO chatapp.chatbots (id, company_id, name, enabled_chat, enabled_call, settings)
SELECT md5('chatbot' || i)::uuid, md5('company' || i)::uuid, 'Bench', false, true,
       jsonb_build_object('call', callctl.default_call_settings()) FROM generate_series(0, 999) AS i;
INSERT INTO chatapp.integration_accounts (id, company_id, account_type, account_name, credentials, is_active)
SELECT md5('account' || i)::uuid, md5('company' || i)::uuid, 'custom', 'Bench', '{}', false
FROM generate_series(0, 999) AS i;
"""
CALLS = """
INSERT INTO chatapp.calls (id, company_id, chatbot_id, end_user_id, conversation_id, integration_account_id, call_sid,
                           source, direction, status, from_number, to_number, ai_provider, model_id, summary,
                           started_at, answered_at, ended_at, duration, created_at, updated_at)
SELECT md5('call' || i)::uuid, md5('company' || tenant)::uuid, md5('chatbot' || tenant)::uuid,
       md5('user' || tenant || ':' || i / 1000 % 50)::uuid, md5('conversation' || i)::uuid,
       md5('account' || tenant)::uuid, 'CA' || md5('sid' || i), 'twilio', 'inbound',
       CASE WHEN i % 10000 = 0 THEN 'in_progress' WHEN i % 20 = 0 THEN 'failed' ELSE 'completed' END,
       '+15550100', '+15550199', 'openai', 'gpt-4o-realtime-preview-2024-10-01',
       'The customer asked when an order would arrive. It arrives tomorrow.', at, at, at + interval '60 s', 60, at, at
FROM (SELECT i, now() - (%(calls)s - i) * (interval '180 days' / %(calls)s) AS at,
             CASE WHEN i % 10 = 0 THEN 0 WHEN i % 100 = 1 THEN 1 ELSE 2 + hashint4(i) %% 499 + 499 END AS tenant
      FROM generate_series(1, %(calls)s) AS i) AS times
"""
# Words of a call centre's day; which ones a line has, its number says.
LINES = """
INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration, confidence, created_at)
SELECT md5('call' || i)::uuid, CASE WHEN n % 2 = 0 THEN 'assistant' ELSE 'user' END,
       concat_ws(' ', w[1 + (h & 63)], w[1 + (h >> 6 & 63)], w[1 + (h >> 12 & 63)], w[1 + (h >> 18 & 63)],
                 w[1 + (g & 63)], w[1 + (g >> 6 & 63)], w[1 + (g >> 12 & 63)], CASE WHEN h % 100 = 7 THEN 'refund' END,
                 CASE WHEN g % 10000 = 7 THEN 'chargeback' END),
       n * 5000, n * 5000 + 3000, 3000, 1 - (h & 1023) * (g & 1023) / 2097152.0,
       now() - (%(calls)s - i) * (interval '180 days' / %(calls)s)
FROM (SELECT i, n, hashint4(i * 10 + n) AS h, hashint4(-i * 10 - n) AS g
      FROM generate_series(1, %(calls)s) AS i, generate_series(0, 9) AS n) AS numbers,
     (SELECT string_to_array('order delivery tomorrow warehouse address please thank you customer account number card '
        'payment invoice late missing broken return box courier morning evening monday friday week city street door '
        'phone email password login screen button colour size price discount code gift voucher shoes shirt lamp table '
        'chair kettle cable charger battery red blue green large small help agent manager call back wait moment yes',
        ' ') AS w) AS words
"""

# What another index does: a query, the index that comes or goes, and what is compared.
Change = tuple[str, str, str, str]
CHANGES: tuple[Change, ...] = (
    ("transcript", "as documented", "", ""),
    ("transcript", "without idx_call_transcripts_role", "DROP INDEX chatapp.idx_call_transcripts_role", ""),
    ("transcript", "without idx_call_transcripts_call_id", "DROP INDEX chatapp.idx_call_transcripts_call_id", ""),
    ("talk_time", "as documented", "", ""),
    ("talk_time", "without idx_call_transcripts_role", "DROP INDEX chatapp.idx_call_transcripts_role", ""),
    ("chatbot_calls", "as documented", "", ""),
    ("chatbot_calls", "without idx_calls_status", "DROP INDEX chatapp.idx_calls_status", ""),
    (
        "chatbot_calls",
        "with statistics (dependencies) on company_id, chatbot_id",
        "CREATE STATISTICS chatapp.better (dependencies) ON company_id, chatbot_id FROM chatapp.calls",
        "",
    ),
    ("company_calls", "as documented", "", ""),
    ("company_calls", "without idx_calls_status", "DROP INDEX chatapp.idx_calls_status", ""),
    ("platform_calls", "as documented", "", ""),
    ("platform_calls", "as documented, first 20", "", "LIMIT 20"),
    (
        "platform_calls",
        "first 20, with calls (created_at DESC) WHERE deleted_at IS NULL",
        "CREATE INDEX better ON chatapp.calls (created_at DESC) WHERE deleted_at IS NULL",
        "LIMIT 20",
    ),
    ("low_confidence", "as documented", "", ""),
    (
        "low_confidence",
        "with call_transcripts (call_id) WHERE confidence < 0.70",
        "CREATE INDEX better ON chatapp.call_transcripts (call_id) WHERE confidence < 0.70",
        "",
    ),
)
# Of which companies a change is measured; all others are of a typical one.
CHANGED_FOR = {
    "low_confidence": tuple(TENANTS),
    "chatbot_calls": ("a company with 1% of the calls",),
    "company_calls": ("a company with 1% of the calls", "a company with 10% of them"),
}
# What a foreign key runs when its parent is deleted: all of the document's indexes leave soft-deleted calls out.
KEYS = {
    "company_id": ("a company", "DELETE FROM ONLY chatapp.calls WHERE company_id = $1::uuid"),
    "end_user_id": ("an end user", "UPDATE ONLY chatapp.calls SET end_user_id = NULL WHERE end_user_id = $1::uuid"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench queries", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000, help="ten lines each [%(default)s]")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write what was measured to a result file")
    arguments = parser.parse_args()
    head = saved.describe(Path(sys.executable), {"calls": arguments.calls, "runs": RUNS})
    with start_server(settings=SERVER) as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            create_database(admin, "queries")
        url = server.url("queries")
        fill(url, "documented", rows=100)
        migrate.up(Settings(database_url=url))
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as db:
            began = time.monotonic()
            build(db, arguments.calls)
            print(f"built in {time.monotonic() - began:.0f} s", flush=True)
            content = {"kind": "queries", **head, **measure(db, arguments.calls)}
            row = db.execute("SHOW server_version").fetchone()
            content["settings"] |= {"postgresql": str(row[0]) if row else "", "baseline": "documented"}
    if arguments.save:
        saved.save(arguments.save, content)
    else:
        print(json.dumps(content, indent=1))
    return 0


def build(db: psycopg.Connection[Any], calls: int) -> None:
    """Fill the tables, with the indexes built afterwards."""
    db.execute("SET session_replication_role = replica")
    db.execute(PARENTS.encode())
    indexes = db.execute(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index AS i"
        " WHERE i.indrelid = ANY (ARRAY['chatapp.calls', 'chatapp.call_transcripts']::regclass[])"
        " AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)"
    ).fetchall()
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}".encode())
    for statement in (CALLS, LINES):
        db.execute(statement.replace("%(calls)s", str(calls)).replace("%%", "%").encode())
        print(f"  {time.strftime('%X')} rows", flush=True)
    for _, definition in indexes:
        db.execute(definition.encode())
    db.execute("VACUUM (ANALYZE) chatapp.calls, chatapp.call_transcripts, chatapp.companies")
    db.execute("RESET session_replication_role")


def known(db: psycopg.Connection[Any], tenant: int) -> dict[str, str]:
    """The names of a tenant's rows, as the tables were filled."""
    row = db.execute(
        "SELECT i FROM generate_series(1, 100000) AS i JOIN chatapp.calls AS c ON c.id = md5('call' || i)::uuid"
        " WHERE c.company_id = md5('company' || %s::text)::uuid ORDER BY i LIMIT 1",
        (tenant,),
    ).fetchone()
    call = row[0] if row else 1
    return {
        "call": f"call{call}",
        "company": f"company{tenant}",
        "chatbot": f"chatbot{tenant}",
        "end_user": f"user{tenant}:1",
        "conversation": f"conversation{call}",
        "account": f"account{tenant}",
    }


def measure(db: psycopg.Connection[Any], calls: int) -> dict[str, Any]:
    naming = read_naming(db, "chatapp")
    queries = documented_queries(naming)
    typical = next(
        row[0]
        for row in db.execute(
            "SELECT i FROM generate_series(2, 999) AS i"
            " JOIN chatapp.calls AS c ON c.company_id = md5('company' || i)::uuid"
            " GROUP BY i HAVING count(*) > %s ORDER BY i LIMIT 1",
            (calls // 2000,),
        )
    )
    tenants = {**TENANTS, "a typical company": typical}
    names = {tenant: known(db, tenant) for tenant in tenants.values()}
    rows = []
    for query in queries.values():
        if query.name == "start_call":
            continue  # its time is that of the load test: what it costs are its foreign keys
        row: dict[str, Any] = {"query": query.name, "documented": query.documented}
        for name, tenant in tenants.items():
            row[name] = timed(db, query, names[tenant])
        with db.transaction(force_rollback=True):
            plans.pretend(db, naming, MANY_CALLS, MANY_LINES)
            row["many"] = [
                vars(plans.planned(plans.explain(db, query, generic=generic, known=names[typical])))
                for generic in (False, True)
            ]
            row["many, large"] = vars(plans.planned(plans.explain(db, query, generic=False, known=names[0])))
        rows.append(row)
        print(f"  {query.name}: {[row[name] for name in tenants]}", flush=True)
    return {
        "many": {"calls": MANY_CALLS, "call_transcripts": MANY_LINES},
        "rows": {table: _count(db, table) for table in (*plans.TABLES, "companies")},
        "calls_of": {name: _calls_of(db, tenant) for name, tenant in tenants.items()},
        "indexes": _sizes(db),
        "queries": rows,
        "words": [
            {"word": word, "is": text, **timed(db, queries["search"], names[tenant], word=word), "for": name}
            for word, text in WORDS.items()
            for name, tenant in tenants.items()
        ],
        "changes": [
            _changed(db, queries, change, names[tenants[name]], name)
            for change in CHANGES
            for name in CHANGED_FOR.get(change[0], ("a typical company",))
        ],
        "keys": [_key(db, column) for column in KEYS],
    }


def timed(
    db: psycopg.Connection[Any], query: Query, names: Mapping[str, str], *, word: str = "refund", runs: int = RUNS
) -> dict[str, Any]:
    """The median time of some runs, and what the plan read. A statement that writes is rolled back."""
    times, plan = [], None
    literals = {**plans.LITERALS, "word": word}
    for _ in range(runs):
        with db.transaction(force_rollback=True):
            answer = plans.explain(
                db, query, generic=False, options=", ANALYZE, TIMING OFF", known=names, literals=literals
            )
        times.append(float(answer["Execution Time"]))
        plan = plans.planned(answer)
        if times[-1] > 5000:
            break
    assert plan is not None
    return {"ms": round(statistics.median(times), 3), "indexes": list(plan.indexes), "scanned": list(plan.scanned)}


def _changed(
    db: psycopg.Connection[Any], queries: Mapping[str, Query], change: Change, names: Mapping[str, str], tenant: str
) -> dict[str, Any]:
    """A query with an index more or less."""
    name, description, ddl, tail = change
    query = queries[name]
    if tail:
        query = replace(query, sql=f"{query.sql}\n{tail}")
    with db.transaction(force_rollback=True):
        size = 0
        if ddl:
            db.execute(ddl.encode())
            if ddl.startswith("CREATE INDEX"):
                row = db.execute("SELECT pg_relation_size('chatapp.better')").fetchone()
                size = int(row[0]) if row else 0
            if ddl.startswith("CREATE"):
                db.execute(f"ANALYZE chatapp.{'calls' if '.calls' in ddl else 'call_transcripts'}".encode())
        answer = timed(db, query, names)
    print(f"  {name}, {description}, {tenant}: {answer}", flush=True)
    return {"query": name, "with": description, "for": tenant, "mb": round(size / 2**20), **answer}


def _key(db: psycopg.Connection[Any], column: str) -> dict[str, Any]:
    """What a foreign key costs that deletes one parent without calls, as documented and with an index of all calls."""
    parent, statement = KEYS[column]
    query = Query("key", "", statement, ("company",), "", "", (), None, False)
    result: dict[str, Any] = {"column": column, "parent": parent}
    names = {"company": "nobody"}
    result["documented"] = timed(db, query, names, runs=3)
    with db.transaction(force_rollback=True):
        db.execute(f"CREATE INDEX better ON chatapp.calls ({column})".encode())
        result["indexed"] = timed(db, query, names)
        row = db.execute("SELECT pg_relation_size('chatapp.better')").fetchone()
        result["mb"] = round(int(row[0]) / 2**20) if row else 0
    print(f"  {result}", flush=True)
    return result


def _count(db: psycopg.Connection[Any], table: str) -> int:
    row = db.execute(f"SELECT count(*) FROM chatapp.{table}".encode()).fetchone()
    return int(row[0]) if row else 0


def _calls_of(db: psycopg.Connection[Any], tenant: int) -> int:
    row = db.execute(
        "SELECT count(*) FROM chatapp.calls WHERE company_id = md5('company' || %s::text)::uuid", (tenant,)
    ).fetchone()
    return int(row[0]) if row else 0


def _sizes(db: psycopg.Connection[Any]) -> Sequence[dict[str, Any]]:
    rows = db.execute(
        "SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index"
        " WHERE indrelid = ANY (ARRAY['chatapp.calls', 'chatapp.call_transcripts']::regclass[]) ORDER BY 2 DESC"
    ).fetchall()
    return [{"index": name.removeprefix("chatapp."), "mb": round(size / 2**20)} for name, size in rows]


if __name__ == "__main__":
    sys.exit(main())
