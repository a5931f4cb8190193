"""Behind a real PgBouncer: refused where there is no session to keep a lock in, at work where there is one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import connect
from tests.support import processes
from tests.support.db.snapshot import assert_same, take, touched_columns
from tests.support.pgbouncer import pgbouncer
from tests.support.steps import ALL

from callctl.config.settings import Settings
from callctl.database import store
from callctl.database.connection import connect as callctl_connect
from callctl.database.lock import MigrationLock
from callctl.errors import Refused
from callctl.migration import migrate

REFUSED = "callctl: error: a pooler in transaction mode is in front of the server"


@pytest.fixture
def transactions(documented: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The documented baseline through PgBouncer in transaction mode."""
    with pgbouncer(documented, "transaction", getattr(request, "param", 5)) as url:
        yield url


def advisory_locks(direct: str) -> list[tuple[int, ...]]:
    with connect(direct) as connection:
        return connection.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory'").fetchall()


@pytest.mark.parametrize(
    ("transactions", "command"),
    [(1, "migrate up"), (5, "migrate up"), (5, "migrate down --all"), (5, "migrate adopt")],
    indirect=["transactions"],
)
def test_transaction_mode_is_refused_and_nothing_changed(documented: str, transactions: str, command: str) -> None:
    with connect(documented) as direct:
        before = take(direct)
    code, out, err = processes.run(transactions, *command.split(), "--yes")
    assert (code, out) == (3, ""), err
    assert REFUSED in err
    assert "callctl: hint: connect to the server itself (its own port is 5432)" in err
    assert advisory_locks(documented) == []
    with connect(documented) as direct:
        assert_same(before, take(direct))
        assert direct.execute("SELECT to_regnamespace('callctl')").fetchone() == (None,)


@pytest.mark.applied
def test_nothing_is_purged_through_transaction_mode(documented: str, transactions: str) -> None:
    settings = Settings(database_url=documented)
    migrate.down(settings, to=0)
    with connect(documented) as direct:
        saved = store.saved_summary(direct)
        code, out, err = processes.run(transactions, "purge", "--yes")
        assert (code, out) == (3, ""), err
        assert REFUSED in err
        assert saved == store.saved_summary(direct) != ()


def test_transaction_mode_is_seen_while_others_use_the_pool(documented: str, transactions: str) -> None:
    """With server connections in other clients' hands, two connections of ours need not meet on one."""
    others = [connect(transactions) for _ in range(3)]
    try:
        others[0].execute("BEGIN")
        others[1].execute("BEGIN")
        with pytest.raises(Refused, match="transaction mode"):
            callctl_connect(Settings(database_url=transactions), session=True)
    finally:
        for other in others:
            other.close()


def test_reading_leaves_no_settings_to_other_clients(transactions: str) -> None:
    """In a pool of shared connections, what callctl sets for its session another client would find in its own."""
    with connect(transactions) as other:
        before = other.execute("SHOW client_min_messages").fetchone()
        for command in ("migrate status", "migrate plan", "preflight"):
            code, out, err = processes.run(transactions, *command.split())
            assert code in (0, 3), (command, err)
            assert out, command
        assert other.execute("SHOW client_min_messages").fetchone() == before
    assert "a pooler in transaction mode is in front of the server" in out  # preflight's finding
    assert "services call it the direct connection" in out


@pytest.mark.parametrize("command", ["migrate up --yes", "migrate status", "preflight"])
def test_statement_mode_is_refused(documented: str, command: str) -> None:
    with pgbouncer(documented, "statement", 5) as url:
        code, out, err = processes.run(url, *command.split())
    assert (code, out) == (4, ""), err
    assert "statement mode" in err
    assert "connect to the server itself" in err


def test_session_mode_goes_up_and_down(documented: str) -> None:
    with connect(documented) as direct, pgbouncer(documented, "session", 5) as url:
        before = take(direct)
        for command in ("migrate up --yes", "verify", "migrate down --all --yes"):
            code, _, err = processes.run(url, *command.split())
            assert code == 0, (command, err)
            # The pooler keeps the server connections; callctl's locks are gone from them.
            assert advisory_locks(documented) == []
        assert [(row.step, row.direction) for row in migrate.history(direct)] == [
            *((step, "up") for step in ALL),
            *((step, "down") for step in reversed(ALL)),
        ]
        assert_same(before, take(direct), touched_columns(before))


def test_session_mode_with_one_connection_is_refused_in_time(documented: str) -> None:
    with pgbouncer(documented, "session", 1) as url:
        code, _, err = processes.run(url, "migrate", "up", "--yes")
        assert code == 3, err
        assert "no second server connection" in err
        assert processes.run(url, "migrate", "status")[0] == 3  # pending: reading needs no more than one
    assert advisory_locks(documented) == []


def test_the_lock_holds_across_pooler_and_direct_connection(documented: str) -> None:
    with pgbouncer(documented, "session", 5) as url, MigrationLock(Settings(database_url=url)):
        code, _, err = processes.run(documented, "migrate", "up", "--yes")
        assert code == 6, err
        assert "another callctl is running" in err
    assert processes.run(documented, "migrate", "up", "--to", "1", "--yes")[0] == 0
