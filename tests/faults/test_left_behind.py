"""What a killed run leaves at work on the server, and what somebody else holds, does not stop the next run for good."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from typing import Any

import psycopg
import pytest
from tests.faults.conftest import THOROUGH, MakeChain, MakeReference
from tests.support.faults.chain import Attempt
from tests.support.faults.own_server import administer
from tests.support.faults.points import Point, Watch
from tests.support.faults.reference import assert_up

pytestmark = pytest.mark.one_server

NONE = frozenset[str]()


def wait_for(connection: psycopg.Connection[Any], query: str) -> None:
    """Until the query has a row."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if connection.execute(query).rowcount:
            return
        time.sleep(0.01)
    raise AssertionError(f"never came true: {query}")


@pytest.mark.parametrize("index", ["idx_chatbots_capabilities", "idx_ai_models_model_type"])
def test_an_index_that_a_killed_run_is_still_building(reference: MakeReference, chain: MakeChain, index: str) -> None:
    """The backend of a killed run waits for an old transaction, half way through its build; the next run meets it."""
    expected = reference("documented")
    begun = chain("documented", expected.transactions)
    url = begun.server.url(begun.database)
    building = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'callctl%'"
        f" AND state = 'active' AND wait_event_type = 'Lock' AND query LIKE '%{index}%'"
    )
    with administer(url) as admin, psycopg.connect(url) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

        def take_a_snapshot(point: Point) -> None:
            # As late as can be: an old transaction does not stop anything but the build.
            if point.text.startswith("CREATE INDEX CONCURRENTLY") and index in point.text:
                old.execute("SELECT")

        def kill_when_it_waits() -> None:
            wait_for(admin, building)
            os.kill(attempt.pid, signal.SIGKILL)

        attempt = Attempt(begun.server, Watch(begun.progress, begun.transactions, NONE), take_a_snapshot)
        killer = threading.Thread(target=kill_when_it_waits)
        killer.start()
        begun.proxy.watch(attempt)
        ended = begun.nursery.run(begun.command("up"), begun.proxy.url(begun.database), attempt.born)
        killer.join()
        assert ended.code == -signal.SIGKILL, ended
        assert admin.execute(building).rowcount == 1, "the orphan is at work"
        invalid = f"SELECT FROM pg_index WHERE indexrelid = 'chatapp.{index}'::regclass AND NOT indisvalid"
        assert admin.execute(invalid).rowcount == 1
        begun.proxy.watch(None)
        again = threading.Timer(1.0, old.rollback)
        again.start()
        ended = begun.nursery.run(begun.command("up"), url)
        again.join()
    assert ended.code == 0, ended
    assert_up(begun, expected)


def test_a_table_that_somebody_holds_stops_the_run_at_each_transaction(
    reference: MakeReference, chain: MakeChain, record_property: Any
) -> None:
    """The holder takes the platform's tables right before a transaction; the run gives up and names it."""
    expected = reference("documented")
    held = chain("documented", expected.transactions)
    tried: set[tuple[str, str]] = set()
    one_of = 1 if THOROUGH else 20
    gave_up = 0
    for _ in range(500):
        with psycopg.connect(held.server.url(held.database), application_name="holder 7") as holder:
            struck: list[Point] = []

            def hold(point: Point, holder: psycopg.Connection[Any] = holder, struck: list[Point] = struck) -> None:
                place = (point.where, "COMMIT" if point.text.startswith("COMMIT") else point.text)
                if struck or point.kind != "write" or not point.where or place in tried:
                    return
                tried.add(place)
                if len(tried) % one_of:
                    return
                try:
                    holder.execute("SET LOCAL lock_timeout = '1ms'")
                    for table in TABLES:
                        holder.execute(f"LOCK TABLE chatapp.{table} IN ACCESS EXCLUSIVE MODE")
                except psycopg.errors.LockNotAvailable:
                    holder.rollback()  # callctl has begun to work on them: too late in its transaction
                else:
                    struck.append(point)

            attempt = Attempt(held.server, Watch(held.progress, held.transactions), hold)
            held.proxy.watch(attempt)
            command = [*held.command("up")[:-1], "100ms", "--lock-timeout", "10ms"]
            ended = held.nursery.run(command, held.proxy.url(held.database), attempt.born)
            held.proxy.watch(None)
            pid = holder.info.backend_pid
        assert attempt.problem is None
        if ended.code == 0:
            break
        gave_up += 1
        assert ended.code == 5, ended
        waiting = r"(steps/\d\d_\w+/\w+\.sql|contract/\d\d\.json):\d+: no lock on [\w, ]+ in 0\.1 s"
        assert re.search(waiting, ended.errors), ended.errors
        assert f"pid {pid} (holder 7, idle in transaction" in ended.errors, ended.errors[-900:]
        assert "run the same command again" in ended.errors
    assert ended.code == 0, ended
    assert gave_up > (10 if THOROUGH else 5)
    record_property("faults", f"held tables: {gave_up} runs gave up, naming the holder")
    assert_up(held, expected)


TABLES = ("users", "chatbot_packages", "chatbots", "ai_models", "companies")
