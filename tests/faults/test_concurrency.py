"""Several callctl at once: one works, the others say who it is, or wait for it."""

from __future__ import annotations

import pytest
from tests import processes
from tests.conftest import connect

from callctl import lock, migrate
from callctl.config import Settings
from callctl.database import connect as callctl_connect

STEPS = 3


def test_one_works_and_the_others_name_it(documented: str) -> None:
    with lock.MigrationLock(Settings(database_url=documented)), connect(documented) as watch:
        (holder,) = processes.sessions(watch, "callctl lock", "%")
        started = [processes.start(documented, "migrate", "up", "--yes") for _ in range(7)]
        for process in started:
            code, out, err = processes.finish(process)
            assert (code, out) == (6, ""), err
            assert f"another callctl is at work on schema chatapp (pid {holder}, callctl lock, from local" in err
            assert " as postgres, for " in err
            assert "callctl: hint: wait for it to finish, or run with --wait" in err
        assert watch.execute("SELECT to_regnamespace('callctl')").fetchone() == (None,)


@pytest.mark.parametrize("number", [2, 4, 8])
def test_with_wait_all_end_well_and_each_step_is_taken_once(documented: str, number: int) -> None:
    arguments = ("migrate", "up", "--to", str(STEPS), "--yes", "--wait")
    ends = [processes.finish(process) for process in [processes.start(documented, *arguments) for _ in range(number)]]
    assert [code for code, _, _ in ends] == [0] * number, ends
    assert not any("ended" in err or "still at work" in err for _, _, err in ends)  # nobody took another for an orphan
    settings = Settings(database_url=documented)
    with callctl_connect(settings) as connection:
        assert [row.step for row in migrate.history(connection)] == list(range(1, STEPS + 1))
        assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
        assert migrate.status(connection, settings).pending == tuple(range(STEPS + 1, 14))
