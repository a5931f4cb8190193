"""One server, one template, and a fresh copy of it for each tool."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.online import measure, tools, watch
from benchmarks.online.command import Outcome, run
from benchmarks.online.load import Load, Plan, sample_keys
from callctl.sandbox.lifecycle import connect, create_database, drop_database, fill
from callctl.sandbox.server import Server, start_server

TEMPLATE = "load_template"
SERVER = {
    # Durable, as a database that somebody needs.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "max_connections": "60",
}
LEAVING_SECONDS = 0.3  # not counted: clients that end are in the way of those that still work
COUNTED = ("users", "chatbots", "companies")


# Half of the types are unknown: callctl saves each of them before the column is dropped.
UNKNOWN_TYPES = """
UPDATE chatapp.chatbots SET chatbottype = CASE WHEN hashtext(id::text) % 4 = 0 THEN 'voice' END
WHERE hashtext(id::text) % 2 = 0
"""


@dataclass(frozen=True)
class Options:
    """What a run is asked for; seconds, and transactions a second."""

    rows: int
    baseline: str
    unknown_types: bool
    rate: float
    clients: int
    before_s: float
    after_s: float
    floor_s: float
    reader_s: float


@contextlib.contextmanager
def bench(rows: int, baseline: str, *, unknown_types: bool = False) -> Iterator[Server]:
    """A server with the filled template; ``unknown_types``: in half of the chatbots (documented baseline)."""
    with start_server(settings=SERVER) as server:
        with connect(server.url("postgres")) as admin:
            create_database(admin, TEMPLATE)
        fill(server.url(TEMPLATE), baseline, rows=rows)
        with connect(server.url(TEMPLATE)) as connection:
            # The sandbox, made for tests, gives call settings to one chatbot in five. Before the migration they can
            # only come from a pilot: leave them to one in a hundred, about.
            connection.execute(
                "UPDATE chatapp.chatbots SET settings = settings - 'call'"
                " WHERE settings ? 'call' AND hashtext(id::text) % 20 <> 0"
            )
            if unknown_types:
                connection.execute(UNKNOWN_TYPES)
            connection.execute("VACUUM (FULL, ANALYZE) chatapp.chatbots")
        yield server


@contextlib.contextmanager
def copy(server: Server, name: str = "load") -> Iterator[str]:
    """A fresh copy of the template, and nothing left to be written of it."""
    with connect(server.url("postgres")) as admin:
        drop_database(admin, name)
        create_database(admin, name, template=TEMPLATE)
        admin.execute("CHECKPOINT")
        try:
            yield server.url(name)
        finally:
            drop_database(admin, name)


def count_rows(url: str) -> dict[str, int]:
    """The rows of the tables that the load uses."""
    with connect(url) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM chatapp.{table}").fetchall()[0][0] for table in COUNTED
        }


def alone(server: Server, tool: tools.Tool) -> dict[str, Any]:
    """Run one tool without load on a fresh copy."""
    assert tool.command is not None
    with copy(server) as url, tempfile.TemporaryDirectory() as own:
        counts = count_rows(url)
        outcome = run(tool.command(url, Path(own)))
    result = {
        "chatbots": counts["chatbots"],
        "rows": sum(counts.values()),
        "wall_s": round(outcome.ended - outcome.began, 2),
        "memory_mb": outcome.memory_mb,
    }
    return {**result, "failed": outcome.said.strip()[-1200:]} if outcome.status else result


def measured(server: Server, tool: tools.Tool, options: Options) -> dict[str, Any]:
    """Run one tool under load on a fresh copy; what was measured, as plain values."""
    with copy(server) as url, tempfile.TemporaryDirectory() as own:
        if tool.before:
            way_up = run(tool.before(url, Path(own)))
            if way_up.status:
                return {"tool": tool.name, "failed": f"the way up before it failed: {way_up.said.strip()[-600:]}"}
        command = tool.command(url, Path(own)) if tool.command else None
        with connect(url) as connection:
            keys = sample_keys(connection)
            connection.execute("CHECKPOINT")
        load = Load(Plan(url, options.baseline, options.rate, options.clients, keys))
        watcher = watch.Watch(url, options.baseline, load.columns)
        first = load.start()
        time.sleep(options.before_s)
        with connect(url) as connection, _reader(url, options.reader_s if tool.reader else 0.0):
            position = connection.execute("SELECT pg_current_wal_lsn()").fetchall()[0][0]
            if command is None:
                began = time.monotonic()
                time.sleep(options.floor_s)
                outcome = Outcome(began, time.monotonic(), 0, 0.0, "")
            else:
                outcome = run(command)
            written = connection.execute("SELECT pg_current_wal_lsn() - %s", (position,)).fetchall()[0][0]
        time.sleep(options.after_s + LEAVING_SECONDS)
        transactions = load.stop()
        looks = watcher.stop()
    return _result(tool.name, outcome, transactions, looks, first, options.after_s, int(written))


def _result(
    name: str,
    outcome: Outcome,
    transactions: list[measure.Transaction],
    looks: list[watch.Look],
    first: float,
    after: float,
    written: int,
) -> dict[str, Any]:
    began, ended = outcome.began, outcome.ended
    result = {
        "tool": name,
        "wall_s": round(ended - began, 2),
        **measure.summary(transactions, began, ended),
        "before": measure.summary(transactions, first, began),
        "after": measure.summary(transactions, ended, ended + after),
        "wal_mb": round(written / 2**20, 1),
        "memory_mb": outcome.memory_mb,
        "stalls": [watch.describe(stall, looks, began) for stall in measure.stalls(transactions, began, ended)],
        "statements": watch.time_by_statement(looks, began, ended),
        "series_from_s": round(first - began, 2),
        "series_ms": measure.series(transactions, began, first - began, ended - began + after),
    }
    if outcome.status:
        result["failed"] = outcome.said.strip()[-1200:]
        result["status"] = outcome.status
    return result


@contextlib.contextmanager
def _reader(url: str, seconds: float) -> Iterator[None]:
    """Somebody's open transaction that has read chatbots: for so many seconds, or as long as the tool takes."""
    if not seconds:
        yield
        return
    import threading

    over = threading.Event()
    connection = psycopg.connect(url, application_name=watch.READER)
    connection.execute("SELECT id FROM chatapp.chatbots LIMIT 1")

    def hold() -> None:
        over.wait(seconds)
        connection.close()

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    try:
        yield
    finally:
        over.set()
        holder.join()
