"""A publisher and a subscriber, both migrated while the old application writes to the publisher."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import connect
from tests.faults.conftest import THOROUGH
from tests.support.servers import binaries_of

from callctl.config.settings import Settings
from callctl.errors import Refused
from callctl.migration import migrate
from callctl.render.migration import plan_sql
from callctl.sandbox.lifecycle import create_database, fill
from callctl.sandbox.server import Server, start_server

TABLES = ("chatbots", "chatbot_packages")
# How often the subscriber follows the plan under load; each time with other writes at other moments.
RUNS = 20 if THOROUGH else 1
SETTINGS = {"wal_level": "logical", "max_worker_processes": "16", "max_logical_replication_workers": "4"}
SECONDS = 60


@pytest.fixture
def pair(server: Server, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The URLs of a publisher and a subscriber with the same rows, on a server of their own."""
    major = request.node.callspec.params.get("server") if hasattr(request.node, "callspec") else None
    with start_server(binaries_of(major) if major else None, settings=SETTINGS) as own:
        urls = own.url("publisher"), own.url("subscriber")
        with connect(own.url("postgres")) as admin:
            create_database(admin, "publisher")
            fill(urls[0], "documented", rows=100)
            create_database(admin, "subscriber", template="publisher")
        with connect(urls[0]) as publisher:
            publisher.execute(
                "CREATE PUBLICATION chatbots FOR TABLE " + ", ".join(f"chatapp.{table}" for table in TABLES)
            )
            publisher.execute("SELECT pg_create_logical_replication_slot('chatbots', 'pgoutput')")
        with connect(urls[1]) as subscriber:
            subscriber.execute(
                f"CREATE SUBSCRIPTION chatbots CONNECTION '{conninfo(urls[0])}' PUBLICATION chatbots"
                " WITH (create_slot = false, copy_data = false, slot_name = 'chatbots')".encode()
            )
            yield urls
            subscriber.execute("ALTER SUBSCRIPTION chatbots DISABLE")
            subscriber.execute("ALTER SUBSCRIPTION chatbots SET (slot_name = NONE)")
            subscriber.execute("DROP SUBSCRIPTION chatbots")


def conninfo(url: str) -> str:
    """The same as parameters, which a statement can quote."""
    given = conninfo_to_dict(url)
    return " ".join(f"{name}={value}" for name, value in given.items())


def rows_of(db: psycopg.Connection[Any], table: str) -> list[tuple[Any, ...]]:
    query = f"SELECT to_jsonb(t) - 'settings' - 'updated_at' FROM chatapp.{table} AS t ORDER BY id"
    return db.execute(query.encode()).fetchall()


def caught_up(publisher: psycopg.Connection[Any]) -> None:
    """Wait until the subscriber has confirmed everything committed so far.

    Which pg_current_wal_lsn() need not hold: the server's synchronous_commit is off.
    """
    (end,) = publisher.execute("SELECT pg_current_wal_insert_lsn()").fetchone() or (None,)
    deadline = time.monotonic() + SECONDS
    while publisher.execute(
        "SELECT confirmed_flush_lsn < %s::pg_lsn FROM pg_replication_slots WHERE slot_name = 'chatbots'", (end,)
    ).fetchone() != (False,):
        assert time.monotonic() < deadline, "the subscriber does not catch up"
        time.sleep(0.05)


@contextmanager
def old_application(url: str, seed: str = "old application") -> Iterator[None]:
    """Writes types, saves rows whole, inserts and deletes, as long as the column is there; then flags."""
    ended = threading.Event()
    problems: list[psycopg.Error] = []

    def write() -> None:
        random = Random(seed)
        with connect(url) as db:
            while not ended.wait(0.005):
                kind = random.choice(["chat", "call", "voice", None])
                statement = random.choice(
                    (
                        "UPDATE chatapp.chatbot_packages SET chatbottype = %s WHERE id ="
                        " (SELECT id FROM chatapp.chatbot_packages ORDER BY random() LIMIT 1)",
                        "UPDATE chatapp.chatbots SET chatbottype = %s, name = name WHERE id ="
                        " (SELECT id FROM chatapp.chatbots ORDER BY random() LIMIT 1)",
                        "INSERT INTO chatapp.chatbot_packages (name, chatbottype) VALUES ('new', %s)",
                    )
                )
                try:
                    db.execute(statement.encode(), (kind,))
                except psycopg.errors.UndefinedColumn:
                    db.execute("UPDATE chatapp.chatbot_packages SET name = name || 'x' WHERE name = 'new'")
                except psycopg.Error as error:
                    problems.append(error)
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()
    assert problems == []


def apply_errors(subscriber: psycopg.Connection[Any]) -> int:
    """How often the apply worker has failed, where the server counts it (PostgreSQL 15)."""
    if subscriber.info.server_version < 150000:
        return 0
    row = subscriber.execute("SELECT apply_error_count FROM pg_stat_subscription_stats").fetchone()
    return int(row[0]) if row else 0


def test_a_publisher_and_its_subscriber_are_migrated_without_an_apply_error(pair: tuple[str, str]) -> None:
    """The subscriber up to the drops, then the publisher; the drops there, and here with the subscription disabled.

    Rows that the apply worker writes are in step by triggers that fire always; the CHECK never binds it.
    """
    urls = pair
    here, there = (Settings(database_url=url) for url in urls)
    with connect(urls[0]) as publisher, connect(urls[1]) as subscriber:
        with old_application(urls[0]):
            migrate.up(there, to=4)
            caught_up(publisher)
            migrate.up(here, to=4)
            caught_up(publisher)
            with pytest.raises(Refused, match="subscription chatbots, which is enabled; step 5 drops its type column"):
                migrate.up(there, to=5)
            migrate.up(here, to=6)
            caught_up(publisher)
            wrong = (
                "SELECT id FROM chatapp.chatbots"
                " WHERE (chatbottype = 'call') IS TRUE <> (enabled_call AND NOT enabled_chat)"
            )
            assert subscriber.execute(wrong).fetchall() == []
            subscriber.execute("ALTER SUBSCRIPTION chatbots DISABLE")
            migrate.up(there, to=6)
            subscriber.execute("ALTER SUBSCRIPTION chatbots ENABLE")
        caught_up(publisher)
        with pytest.raises(Refused, match="subscription chatbots, which is enabled; step 2 drops its capability flags"):
            migrate.down(there, to=1)
        assert apply_errors(subscriber) == 0
        for table in TABLES:
            assert rows_of(publisher, table) == rows_of(subscriber, table)


@pytest.mark.parametrize("run", range(RUNS))
def test_a_subscriber_without_callctl_follows_the_plan(pair: tuple[str, str], run: int) -> None:
    """What the plan says for subscribers, run there before or after each step, up and down, while rows are written."""
    here = Settings(database_url=pair[0])
    with connect(pair[0]) as publisher, connect(pair[1]) as subscriber, old_application(pair[0], f"plan {run}"):
        for direction in ("up", "down"):
            numbers = range(1, 8) if direction == "up" else range(7, 0, -1)
            for number in numbers:
                to = number if direction == "up" else number - 1
                plan = migrate.plan(publisher, here, migrate.Wish(direction, to))
                (step,) = plan.steps
                assert step.number == number
                needed = step.subscribers
                assert (needed is not None) == (number in (2, 3, 5, 6)), step.name
                waits = needed is not None and needed.when == "after"
                assert ("has passed what pg_current_wal_insert_lsn() says here" in plan_sql(plan)) == waits
                if needed is not None and needed.when == "before":
                    for statement in needed.statements:
                        subscriber.execute(statement.encode())
                if direction == "up":
                    migrate.up(here, to=to)
                else:
                    migrate.down(here, to=to)
                caught_up(publisher)
                if needed is not None and needed.when == "after":
                    for statement in needed.statements:
                        subscriber.execute(statement.encode())
                    caught_up(publisher)
    with connect(pair[0]) as publisher, connect(pair[1]) as subscriber:
        caught_up(publisher)
        assert apply_errors(subscriber) == 0
        for table in TABLES:
            assert rows_of(publisher, table) == rows_of(subscriber, table)
