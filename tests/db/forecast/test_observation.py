"""How often a plan's locks are free, and who is in the way: looked at on a running server."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import product

import psycopg
import pytest
from tests.conftest import connect
from tests.db.conftest import Callctl

from callctl.config.settings import Settings
from callctl.forecast.catalog import Name
from callctl.forecast.locks import Mode
from callctl.forecast.observation import Observation, Observed, observe
from callctl.forecast.outlook import Outlook, outlook
from callctl.migration import migrate
from callctl.migration.planning import Wish

USERS = Name("chatapp", "users")


def expected(url: str) -> Outlook:
    settings = Settings(database_url=url)
    with connect(url) as db:
        return outlook(db, settings, migrate.plan(db, settings, Wish("up")))


def seen(url: str, of: Outlook | None = None) -> Observation:
    wanted = of or expected(url)
    with connect(url) as db:
        return observe(db, wanted, 0.3)


def on(observation: Observation, name: Name, mode: Mode) -> Observed:
    return next(each for each in observation.locks if (each.relation, each.mode) == (name, mode))


@contextmanager
def busy(url: str, application: str, *statements: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session in a transaction that has run these statements."""
    with psycopg.connect(url, application_name=application) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection
        connection.rollback()


def test_which_modes_conflict(empty_database: str) -> None:
    with connect(empty_database) as db:
        db.execute("CREATE TABLE t (id integer)")
    wrong = []
    for held, wanted in product(Mode, Mode):
        with busy(empty_database, "holder", f"LOCK TABLE t IN {held.sql} MODE"), ExitStack() as stack:
            other = stack.enter_context(busy(empty_database, "other"))
            try:
                other.execute(f"LOCK TABLE t IN {wanted.sql} MODE NOWAIT".encode())
                conflict = False
            except psycopg.errors.LockNotAvailable:
                conflict = True
        if wanted.conflicts_with(held) != conflict:
            wrong.append((held, wanted))
    assert wrong == []


def test_a_quiet_server(documented: str) -> None:
    observation = seen(documented)
    assert observation.locks
    assert all(each.looks == each.free > 0 for each in observation.locks)
    assert on(observation, USERS, Mode.ACCESS_EXCLUSIVE).steps == (1,)
    assert not any(each.relation.name == "calls" for each in observation.locks), "it is made by the plan"


def test_readers_writers_and_those_who_wait_are_in_the_way(documented: str) -> None:
    plan = expected(documented)
    with busy(documented, "report", "SELECT count(*) FROM chatapp.users"):
        observation = seen(documented, plan)
        reads = on(observation, USERS, Mode.ACCESS_EXCLUSIVE)
        assert (reads.free, reads.attempts, set(reads.holders)) == (0, None, {"report"})
        assert reads.longest > 0
        key = on(observation, USERS, Mode.SHARE_ROW_EXCLUSIVE)
        assert key.free == key.looks
        with busy(documented, "writer", "UPDATE chatapp.users SET updated_at = now()"):
            key = on(seen(documented, plan), USERS, Mode.SHARE_ROW_EXCLUSIVE)
            assert (key.free, set(key.holders)) == (0, {"writer"})
        with closing(psycopg.connect(documented, application_name="ddl", autocommit=True)) as waiting:
            waiting.pgconn.send_query(b"BEGIN; LOCK TABLE chatapp.users IN ACCESS EXCLUSIVE MODE")
            with connect(documented) as db:
                query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                patience = time.monotonic() + 60
                while not db.execute(query).fetchall()[0][0]:
                    assert time.monotonic() < patience, "the lock is not waited for"
            key = on(seen(documented, plan), USERS, Mode.SHARE_ROW_EXCLUSIVE)
            assert (key.free, set(key.holders)) == (0, {"ddl"})
            waiting.cancel_safe()


def test_it_locks_no_table(documented: str) -> None:
    held: Counter[str] = Counter()
    plan = expected(documented)
    with connect(documented) as db, connect(documented) as other:
        pid = db.info.backend_pid
        query = """SELECT l.relation::regclass::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                    WHERE l.pid = %s AND c.relnamespace = 'chatapp'::regnamespace"""

        def look(_: float) -> None:
            held.update(name for (name,) in other.execute(query, (pid,)).fetchall())

        observe(db, plan, 0.3, look)
    assert not held


def test_the_plan_says_what_was_seen(documented: str, callctl: Callctl) -> None:
    with busy(documented, "report", "SELECT count(*) FROM chatapp.users"):
        code, out, error = callctl(documented, "migrate", "plan", "--observe", "300ms", "--output", "json")
        assert code == 0, error
        observed = json.loads(out)["forecast"]["observed"]
        assert observed["locks"][0]["in_the_way"] == {"report": observed["locks"][0]["looks"]}
        code, out, _ = callctl(documented, "migrate", "plan", "--observe", "300ms")
        assert "ACCESS EXCLUSIVE on users: never free in " in out
        assert "in the way: report (" in out
    assert json.loads(callctl(documented, "migrate", "plan", "--output", "json")[1])["forecast"]["observed"] is None
    code, _, error = callctl(documented, "migrate", "plan", "--observe", "soon")
    assert (code, "--observe is not a duration: 'soon'" in error) == (2, True), error


@pytest.mark.one_server
def test_the_best_hour_needs_two() -> None:
    observed = Observed(USERS, Mode.ACCESS_EXCLUSIVE, (1,), hours={2: (100, 90), 14: (100, 10)})
    assert observed.best_hour == 2
    observed.hours.pop(2)
    assert observed.best_hour is None
