"""The sampler: which locks it sees, and what it makes of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from tests.conftest import connect
from tests.support.processes import until

from callctl.config.settings import Settings
from callctl.forecast.catalog import Name
from callctl.forecast.locks import Mode
from callctl.rehearsal.lock_samples import LockResult, LockSampler, SeenLock, compared

CHATBOTS = Name("chatapp", "chatbots")


@pytest.fixture
def sampler(documented: str) -> Iterator[LockSampler]:
    with LockSampler(Settings(database_url=documented), "chatapp") as watching:
        until(lambda: watching.looks, "a look")
        yield watching


def test_it_sees_the_strongest_lock_on_a_table(documented: str, sampler: LockSampler) -> None:
    with connect(documented) as db, db.transaction():
        db.execute("LOCK TABLE chatapp.chatbots IN SHARE MODE")
        until(lambda: CHATBOTS in sampler.seen, "the lock")
        assert sampler.seen[CHATBOTS].mode is Mode.SHARE
        db.execute("LOCK TABLE chatapp.chatbots IN ACCESS EXCLUSIVE MODE")
        until(lambda: sampler.seen[CHATBOTS].mode is Mode.ACCESS_EXCLUSIVE, "the stronger lock")
        until(lambda: sampler.seen[CHATBOTS].seconds > 0, "a second look at it")
    assert set(sampler.seen) == {CHATBOTS}


def test_a_row_that_is_waited_for_is_no_lock_of_the_table(documented: str, sampler: LockSampler) -> None:
    """The session that waits holds an ExclusiveLock of kind tuple, and pg_locks names the table with it."""
    write = "UPDATE chatapp.chatbots SET name = name WHERE id = (SELECT min(id::text)::uuid FROM chatapp.chatbots)"
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'tuple' AND mode = 'ExclusiveLock' AND granted"
    with connect(documented) as first, connect(documented) as second, connect(documented) as admin:
        with first.transaction():
            first.execute(write)
            waiting = threading.Thread(target=second.execute, args=(write,))
            waiting.start()
            until(lambda: admin.execute(held).fetchall() == [(1,)], "the lock of the row")
            looks = sampler.looks
            until(lambda: sampler.looks > looks + 2, "looks at it")
        waiting.join()
    assert sampler.seen == {}


def test_a_session_that_ends_is_told(documented: str, sampler: LockSampler) -> None:
    with connect(documented) as db:
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'callctl reh%'")
    until(lambda: sampler.broken, "the end of the session")


def test_what_was_seen_is_compared_with_what_was_told(documented: str) -> None:
    sampler = LockSampler(Settings(database_url=documented), "chatapp")
    users, calls = Name("chatapp", "users"), Name("chatapp", "calls")
    sampler.seen = {CHATBOTS: SeenLock(Mode.ACCESS_EXCLUSIVE, 0.01), calls: SeenLock(Mode.SHARE, 0.0)}
    told = {CHATBOTS: Mode.SHARE, users: Mode.SHARE}
    assert compared("up", told, sampler) == (
        LockResult("up", "chatapp", "chatbots", Mode.SHARE, Mode.ACCESS_EXCLUSIVE, 0.01),
        LockResult("up", "chatapp", "users", Mode.SHARE, None, 0.0),
    )
    assert [lock.surprising for lock in compared("down", told, sampler)] == [True, True, False]
    sampler.seen = {}
    assert not any(lock.surprising for lock in compared("down", told, sampler))
    with pytest.raises(psycopg.errors.UndefinedTable), connect(documented) as db:
        db.execute("SELECT FROM chatapp.calls")  # up makes it: no client uses it yet
