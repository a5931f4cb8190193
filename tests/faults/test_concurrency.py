"""Several callctl at once: one works, the others say who it is, or wait for it. Eight at once: test_together.py."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.conftest import connect
from tests.faults.conftest import MakeChain
from tests.support import processes
from tests.support.faults.proxy import Fault, Session
from tests.support.steps import ALL

from callctl.config.settings import Settings
from callctl.database import lock
from callctl.database.connection import connect as callctl_connect
from callctl.migration import migrate
from callctl.migration.checks import findings

# It is about callctl's own locks.
pytestmark = pytest.mark.one_server

STEPS = 3


def test_one_works_and_the_others_name_it(documented: str) -> None:
    with lock.MigrationLock(Settings(database_url=documented)), connect(documented) as watch:
        (holder,) = processes.sessions(watch, "callctl lock", "%")
        started = [processes.start(documented, "migrate", "up", "--yes") for _ in range(7)]
        for process in started:
            code, out, err = processes.finish(process)
            assert (code, out) == (6, ""), err
            assert f"another callctl is running on schema chatapp (pid {holder}, callctl lock, from local" in err
            assert " as postgres, for " in err
            assert "callctl: hint: wait for that callctl to finish, or run with --wait" in err
        assert watch.execute("SELECT to_regnamespace('callctl')").fetchone() == (None,)


@pytest.mark.parametrize("number", [2, 4])
def test_with_wait_all_end_well_and_each_step_is_taken_once(documented: str, number: int) -> None:
    arguments = ("migrate", "up", "--to", str(STEPS), "--yes", "--wait")
    ends = [processes.finish(process) for process in [processes.start(documented, *arguments) for _ in range(number)]]
    assert [code for code, _, _ in ends] == [0] * number, ends
    assert not any("ended" in err or "still running" in err for _, _, err in ends)  # nobody took another for an orphan
    settings = Settings(database_url=documented)
    with callctl_connect(settings) as connection:
        assert [row.step for row in migrate.history(connection)] == list(range(1, STEPS + 1))
        assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
        assert migrate.status(connection, settings).pending == ALL[STEPS:]


def test_who_waits_for_another_gives_up_after_lock_wait(documented: str) -> None:
    with lock.MigrationLock(Settings(database_url=documented)), connect(documented) as watch:
        (holder,) = processes.sessions(watch, "callctl lock", "%")
        waiting = ("--wait", "--lock-wait", "300ms", "--output", "json")
        code, out, err = processes.run(documented, "migrate", "up", "--yes", *waiting)
        assert code == 6, err
        first, *_, last = [json.loads(line) for line in out.splitlines()]
        assert (first["event"], first["what"]) == ("waiting", "another callctl to finish")
        assert f"another callctl is running on schema chatapp (pid {holder}, callctl lock, from local" in str(last)
        assert watch.execute("SELECT to_regnamespace('callctl')").fetchone() == (None,)


@contextmanager
def in_the_middle(url: str, pause: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has the migration lock and waits; what it made would make another's preflight block."""
    pause.touch()
    with connect(url) as other:
        first = processes.start(url, "migrate", "up", "--yes", "--pause-file", str(pause))
        made = "SELECT to_regclass('callctl.history')"
        processes.until(lambda: other.execute(made).fetchone() != (None,), "the first run behind its preflight")
        other.execute("CREATE TABLE chatapp.calls ()")
        yield first
        pause.unlink(missing_ok=True)


def test_without_yes_nobody_looks_while_another_is_in_the_middle(real: str, tmp_path: Path) -> None:
    pause = tmp_path / "pause"
    with in_the_middle(real, pause) as first, connect(real) as other:
        code, out, err = processes.run(real, "migrate", "up")
        assert (code, out) == (6, ""), err
        assert err.splitlines()[1].startswith("callctl: error: another callctl is running on schema chatapp (pid ")
        assert "preflight" not in err  # nothing was looked at, so nothing is said that will not be so
        second = processes.start(real, "migrate", "up", "--wait", "--output", "json")
        assert second.stdout is not None
        assert '"event": "waiting", "what": "another callctl to finish"' in second.stdout.readline()
        other.execute("DROP TABLE chatapp.calls")
        pause.unlink()
        assert processes.finish(first)[0] == 0
        code, out, err = processes.finish(second)
        assert code == 0, err  # nobody had to be asked: the first had left nothing to do
        assert '"steps": []' in out


def test_what_blocks_counts_only_if_nobody_has_begun_meanwhile(real: str) -> None:
    with psycopg.connect(real) as slow, connect(real) as watch:
        watch.execute("CREATE TABLE chatapp.calls ()")
        slow.execute("LOCK TABLE chatapp.companies")
        looking = processes.start(real, "migrate", "up", "--lock-timeout", "3s")
        waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'chatapp.companies'::regclass"
        processes.until(lambda: watch.execute(waits).fetchone() is not None, "preflight at its questions")
        with lock.MigrationLock(Settings(database_url=real)):
            slow.rollback()
            code, _, err = processes.finish(looking)
        assert code == 6, err
        assert err.splitlines()[1].startswith("callctl: error: another callctl is running on schema chatapp (pid ")


class Counted:
    """Counts the statements that pass by."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def statement(self, session: Session, text: str) -> Fault | None:
        self.texts.append(text)
        return None

    def answered(self, session: Session, text: str, failed: bool) -> None: ...

    def cancelled(self) -> None: ...


def test_with_yes_preflight_asks_once_under_the_lock(chain: MakeChain) -> None:
    database = chain("documented")
    seen = Counted()
    database.proxy.watch(seen)
    arguments = ["migrate", "up", "--to", "1", "--yes"]
    ended = database.nursery.run(arguments, database.proxy.url(database.database))
    database.proxy.watch(None)
    assert ended.code == 0, ended.errors
    assert "unknown  backup: the time of the last backup is unknown" in ended.errors
    locked = next(number for number, text in enumerate(seen.texts) if "pg_try_advisory_lock" in text)
    questions = Counter(query.statement.sql for question in findings.questions() for query in question.queries)
    asked = Counter(text for text in seen.texts[locked:] if text in questions)
    assert not questions.keys() & set(seen.texts[:locked])
    assert asked.total() > 20
    assert asked <= questions
