"""The one way to write in a transaction: what is tried again, what never is, and that no other module spells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from callctl.config.settings import Settings
from callctl.database import guarded
from callctl.database.guarded import Failing, WorkLockBusy, in_transaction, with_retries
from callctl.errors import Code, LockHeld, State, StepFailed
from callctl.events import Event, Waiting

SOURCE = Path(guarded.__file__).parents[1]
SETTINGS = Settings(lock_wait_ms=60_000)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each pause was; no test waits for one. The clock stands as far as was paused."""
    paused: list[float] = []
    monkeypatch.setattr("callctl.database.guarded.time.sleep", paused.append)
    monkeypatch.setattr("callctl.database.guarded.time.monotonic", lambda: sum(paused))
    return paused


class Failures:
    """An attempt that fails so many times, and then returns how often it was made."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times, self.made = error, times, 0

    def __call__(self) -> int:
        self.made += 1
        if self.made <= self.times:
            raise self.error
        return self.made


class Fake:
    """A connection whose transactions begin with a guard that is granted; ``at_commit`` is what the commit raises."""

    def __init__(self, *at_commit: Exception | None) -> None:
        self.at_commit = list(at_commit)
        self.sent: list[str] = []

    @contextmanager
    def transaction(self, *, force_rollback: bool = False) -> Iterator[None]:
        yield
        problem = self.at_commit.pop(0) if self.at_commit else None
        if problem is not None:
            raise problem

    def execute(self, query: Any, values: Any = None) -> Fake:
        self.sent.append(query.decode() if isinstance(query, bytes) else query)
        return self

    @contextmanager
    def cursor(self, *, row_factory: Any) -> Iterator[Fake]:
        yield self

    def fetchall(self) -> list[Any]:
        return [guarded._Guard(True, "", "", True)]

    def fetchone(self) -> tuple[Any, ...]:
        return ("",)


@pytest.mark.parametrize("kind", [errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure])
def test_what_was_rolled_back_for_certain_is_tried_again(kind: type[Exception], pauses: list[float]) -> None:
    told: list[Event] = []
    assert with_retries(SETTINGS, "a lock", Failures(kind(), 9), told.append) == 10
    assert [type(event) for event in told] == [Waiting] * 9
    assert all(pause <= 2.0 for pause in pauses)
    assert sum(pauses[5:]) > sum(pauses[:4])  # each pause is longer than the one before, up to two seconds


@pytest.mark.parametrize(
    "error",
    [
        errors.OperationalError("the connection is lost"),
        errors.AdminShutdown(),
        errors.StatementCompletionUnknown(),
        errors.QueryCanceled(),
        errors.UniqueViolation(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_nothing_else_is(error: Exception) -> None:
    attempt = Failures(error, 1)
    with pytest.raises(type(error)):
        with_retries(SETTINGS, "a lock", attempt)
    assert attempt.made == 1


def test_it_gives_up_after_lock_wait(pauses: list[float]) -> None:
    with pytest.raises(errors.LockNotAvailable):
        with_retries(Settings(lock_wait_ms=3000), "a lock", Failures(errors.LockNotAvailable(), 1000))
    assert 3.0 <= sum(pauses) < 5.0


def test_the_work_lock_is_asked_for_five_seconds_at_most(pauses: list[float]) -> None:
    with pytest.raises(LockHeld, match="pid 7"):
        with_retries(SETTINGS, "a lock", Failures(WorkLockBusy(lambda: LockHeld(Code.LOCK_HELD, "pid 7")), 1000))
    assert guarded.BUSY_SECONDS <= sum(pauses) < guarded.BUSY_SECONDS + 2.0


def done(connection: Fake, failing: Failing | None = None, **options: Any) -> list[int]:
    """How often the work was done, by one transaction that was committed in the end."""
    times: list[int] = []
    in_transaction(connection, SETTINGS, lambda: times.append(1), failing=failing, **options)  # type: ignore[arg-type]
    return times


def test_a_deferred_trigger_that_gives_up_its_lock_at_the_commit_is_tried_again() -> None:
    assert len(done(Fake(errors.LockNotAvailable(), errors.DeadlockDetected()))) == 3


def test_nothing_is_done_again_behind_a_commit_whose_outcome_is_unknown() -> None:
    times: list[int] = []
    connection: Any = Fake(psycopg.OperationalError("server closed the connection unexpectedly"))
    with pytest.raises(StepFailed) as caught:
        in_transaction(
            connection,
            SETTINGS,
            lambda: times.append(1),
            failing=Failing("purge.sql", lambda: State("unchanged", "the state is told")),
        )
    assert times == [1]
    assert caught.value.message == "purge.sql: the connection to the server was lost\nthe state is told"
    assert "the server ended the connection" in (caught.value.hint or "")
    assert (caught.value.code, caught.value.state.database) == (Code.CONNECTION_LOST, "unknown")


def test_without_words_for_it_the_servers_error_goes_through() -> None:
    with pytest.raises(errors.UniqueViolation):
        done(Fake(errors.UniqueViolation()))


def test_a_statement_timeout_is_set_behind_the_guard() -> None:
    connection = Fake()
    done(connection, statement_timeout_ms=1500)
    assert len(connection.sent) == 2
    assert "pg_try_advisory_xact_lock" in connection.sent[0]
    assert "statement_timeout" in connection.sent[1]


def test_the_guard_is_the_last_that_is_sent_before_the_work() -> None:
    """Its answer is read: no statement under way keeps the server from ending a session that falls silent."""
    connection: Any = Fake()
    with guarded.guarded(connection, SETTINGS, one_snapshot=True, constraints_immediate=True):
        pass
    assert [sql.split("\n")[-1][:40] for sql in connection.sent[:2]] == [
        "SET TRANSACTION ISOLATION LEVEL REPEATAB",
        "SET CONSTRAINTS ALL IMMEDIATE",
    ]
    assert len(connection.sent) == 3
    assert "pg_try_advisory_xact_lock" in connection.sent[2]


def test_no_other_module_opens_a_guard() -> None:
    """Attempts that are not one transaction of work may use the retries: those that are listed, and why."""
    elsewhere = {
        "backup/take.py",  # pg_dump, beside a snapshot
        "loadtest/rows.py",  # rolled back, to try it out
        "migration/migrate.py",  # all steps in one transaction, which says where it failed
        "migration/run/script.py",  # what runs outside a transaction
        "migration/run/transactions.py",  # in a pipeline, and with a time limit for the locks it holds
        "secrets/rotation/batches.py",  # reads
        "secrets/webhooks/replace.py",  # a file is written before the commit
    }
    opens, retries = set(), set()
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        name = path.relative_to(SOURCE).as_posix()
        if name == "database/guarded.py":
            continue
        if "guard_transaction" in text or "database/guard.sql" in text:
            opens.add(name)
        if re.search(r"\b(with_retries|guarded)\(", text):
            retries.add(name)
    assert opens == set()
    assert retries == elsewhere
