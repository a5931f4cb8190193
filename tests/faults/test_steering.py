"""A run watched and steered from another terminal, and what of it another role may see."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.support import processes
from tests.support.cli.schemas import problems

from callctl.config.settings import Settings
from callctl.database import lock, pace, steering
from callctl.database.connection import connect as callctl_connect
from callctl.errors import CallctlError
from callctl.events import BatchFinished, Event, Notice, Steered, Waiting
from callctl.migration import migrate

pytestmark = pytest.mark.one_server


def seen(url: str, **environment: str) -> dict[str, Any]:
    code, out, err = processes.run(url, "migrate", "watch", "--once", "--output", "json", **environment)
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    assert problems(document, "migrate-watch") == []
    return document


def ordered(url: str, word: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = processes.run(url, "migrate", word, "--output", "json")
    document = json.loads(out)
    if code == 0:
        assert problems(document, "migrate-order") == []
    return code, document


@contextmanager
def slow_run(url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run at the batches of step 4, a row each, before which the steps it needs are applied."""
    assert processes.run(url, "migrate", "up", "--yes", "--to", "3")[0] == 0
    with connect(url) as db:
        db.execute(
            "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$;"
            " CREATE TRIGGER slow BEFORE UPDATE ON chatapp.chatbots FOR EACH ROW EXECUTE FUNCTION public.slow()"
        )
        process = processes.start(
            url, "migrate", "up", "--yes", "--to", "4", "--batch-size", "1", "--batch-workers", "1", *arguments
        )
        try:
            processes.until(lambda: done(db) > 2, "a few rows")
            yield process
            db.execute("DROP TRIGGER IF EXISTS slow ON chatapp.chatbots")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                processes.run(url, "migrate", "resume")
                processes.finish(process)


def done(db: psycopg.Connection[Any]) -> int:
    if db.execute("SELECT to_regclass('callctl.work_done')").fetchone() == (None,):
        return 0
    row = db.execute("SELECT coalesce(sum(done), 0) FROM callctl.work_done").fetchone()
    return int(row[0]) if row else 0


def test_a_run_is_paused_slowed_down_and_resumed(documented: str) -> None:
    with slow_run(documented) as process, connect(documented) as db:
        (run,) = seen(documented)["runs"]
        assert (run["command"], run["step"], run["brake"], run["share"]) == ("migrate up", 4, None, 1)
        assert run["seconds_left"]["low"] <= run["seconds_left"]["expected"] <= run["seconds_left"]["high"]
        code, given = ordered(documented, "pause")
        assert code == 0
        assert [(told["obeyed"], told["pid"]) for told in given["runs"]] == [(True, run["pid"])]
        before = done(db)
        time.sleep(1.0)
        assert done(db) == before
        (run,) = seen(documented)["runs"]
        assert run["brake"]["what"].startswith("callctl migrate resume (paused by ")
        # A paused run has no lock that a client could wait for.
        assert db.execute(
            "SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
            " WHERE a.application_name LIKE 'callctl%' AND l.locktype = 'relation' AND l.relation > 16384"
        ).fetchone() == (0,)
        assert ordered(documented, "slower")[1]["runs"][0]["share"] == 2
        assert ordered(documented, "resume")[0] == 0
        processes.until(lambda: done(db) > before, "more rows")
        assert seen(documented)["runs"][0]["share"] == 2
        assert ordered(documented, "faster")[1]["runs"][0]["share"] == 1
        db.execute("DROP TRIGGER slow ON chatapp.chatbots")
        code, _, err = processes.finish(process)
        assert code == 0, err
        for word in ("pause", "slower", "resume", "faster"):
            assert f"note: {word}, by " in err
        rows = db.execute("SELECT command, client FROM callctl.action ORDER BY id").fetchall()
        assert [name for name, _ in rows] == [f"migrate {word}" for word in ("pause", "slower", "resume", "faster")]
        assert all("@" in client for _, client in rows)
        assert db.execute("SELECT count(*) FROM callctl.run_state").fetchone() == (0,)


def test_a_pause_is_no_part_of_the_wait_for_a_lock(documented: str) -> None:
    """The run waits for a lock, is paused for longer than it would wait, and gets the lock then."""
    settings = Settings(database_url=documented, lock_wait_ms=3000)
    events: list[Event] = []
    with connect(documented) as holder, callctl_connect(settings) as other, ThreadPoolExecutor() as threads:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE chatapp.chatbots IN ACCESS SHARE MODE")
        run = threads.submit(migrate.up, settings, to=3, on_event=events.append)
        waited = processes.until(lambda: waits(events, "chatbots"), "the wait for the lock")
        steering.give(other, "pause", {})
        processes.until(lambda: waits(events, "migrate resume"), "the pause")
        processes.until(lambda: "callctl migrate resume (paused by " in brakes_told(other), "what the run says")
        time.sleep(3.5)
        assert not run.done()
        holder.execute("ROLLBACK")
        steering.give(other, "resume", {})
        assert [step.number for step in run.result(processes.PATIENCE_SECONDS).steps] == [1, 2, 3]
        assert waited


def brakes_told(connection: Any) -> str:
    """The brakes that runs publish, as text."""
    return " ".join(state.brake.what for state in steering.run_states(connection) if state.brake is not None)


def waits(events: list[Event], what: str) -> list[Event]:
    return [event for event in events if isinstance(event, Waiting) and what in event.what]


def test_a_killed_run_leaves_no_run_to_watch(documented: str) -> None:
    with slow_run(documented) as process, connect(documented) as db:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        processes.until(lambda: not processes.sessions(db, "callctl%", "%"), "its sessions gone")
        assert db.execute("SELECT count(*) FROM callctl.run_state").fetchone() == (1,)
        assert seen(documented)["runs"] == []
        code, document = ordered(documented, "pause")
        assert (code, document["code"]) == (3, "CALLCTL-NO-RUN")
        db.execute("DROP TRIGGER slow ON chatapp.chatbots")
        assert processes.run(documented, "migrate", "up", "--yes", "--to", "4")[0] == 0
        assert db.execute("SELECT count(*) FROM callctl.run_state").fetchone() == (0,)


def test_a_run_in_one_transaction_says_that_it_obeys_nothing(documented: str) -> None:
    with connect(documented) as db:
        db.execute(
            "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(8); RETURN NULL; END $$;"
            " CREATE TRIGGER slow AFTER UPDATE ON chatapp.chatbots FOR EACH STATEMENT EXECUTE FUNCTION public.slow()"
        )
        process = processes.start(documented, "migrate", "up", "--yes", "--atomic", "--to", "4")
        try:
            processes.until(lambda: processes.sessions(db, "callctl migrate", "active"), "the transaction")
            time.sleep(1)
            code, document = ordered(documented, "pause")
            assert code == 3
            assert [told["obeyed"] for told in document["runs"]] == [False]
        finally:
            code, _, err = processes.finish(process)
        assert code == 0, err


def test_an_order_reaches_the_runs_of_its_moment_alone(documented: str) -> None:
    """One that was given before is no order for the next run."""
    migrate.up(Settings(database_url=documented), to=2)
    with callctl_connect(Settings(database_url=documented)) as connection:
        steering.give(connection, "pause", {})
    assert migrate.up(Settings(database_url=documented), to=4).steps


def test_every_session_of_a_run_obeys(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders come while several sessions write; one of them says which it obeys."""
    monkeypatch.setattr(pace, "ASK_SECONDS", 0.0)
    settings = Settings(database_url=documented, batch_size=1, batch_workers=3)
    events: list[Event] = []
    paused = False

    def listen(event: Event) -> None:
        nonlocal paused
        events.append(event)
        if isinstance(event, BatchFinished) and not paused:
            paused = True
            with callctl_connect(settings) as connection:
                steering.give(connection, "pause", {})
                steering.give(connection, "resume", {})
                steering.give(connection, "slower", {})

    migrate.up(settings, to=4, on_event=listen)
    assert [event.order for event in events if isinstance(event, Steered)] == ["pause", "resume", "slower"]


@pytest.mark.parametrize(
    "harm",
    [
        "ALTER TABLE callctl.run_state DROP COLUMN brake",
        "ALTER TABLE callctl.run_state ADD CHECK (step IS NULL) NOT VALID",
        "DROP TABLE callctl.run_state",
    ],
)
def test_a_run_continues_where_it_cannot_say_what_it_is_at(documented: str, harm: str) -> None:
    events: list[Event] = []

    def listen(event: Event) -> None:
        if isinstance(event, BatchFinished) and not any(isinstance(each, BatchFinished) for each in events):
            with connect(documented) as db:
                db.execute(harm.encode())
        events.append(event)

    migrate.up(Settings(database_url=documented, batch_size=1), to=5, on_event=listen)
    said = [event.text for event in events if isinstance(event, Notice) and "migrate watch" in event.text]
    assert len(said) == 1


def test_a_run_waits_for_no_lock_on_what_it_says_of_itself(documented: str) -> None:
    settings = Settings(database_url=documented, batch_size=1)
    migrate.up(settings, to=2)
    with connect(documented) as holder:
        begun = False

        def listen(event: Event) -> None:
            nonlocal begun
            if isinstance(event, BatchFinished) and not begun:
                begun = True
                holder.execute("BEGIN")
                holder.execute("LOCK TABLE callctl.run_state")

        assert migrate.up(settings, to=4, on_event=listen).steps
        holder.execute("ROLLBACK")


def test_a_role_with_pg_monitor_sees_the_run_and_its_forecast(documented: str) -> None:
    with slow_run(documented), connect(documented) as db:
        name = f"watcher_{os.getpid()}"
        db.execute(f"CREATE ROLE {name} LOGIN IN ROLE pg_monitor".encode())
        db.execute(f"CREATE ROLE {name}_blind LOGIN".encode())
        try:
            (run,) = seen(documented, PGUSER=name, CALLCTL_DATABASE_URL=as_role(documented, name))["runs"]
            assert (run["seen"], run["step"]) == (True, 4)
            assert run["seconds_left"] is not None
            assert run["steps"] is not None
            blind = f"{name}_blind"
            (run,) = seen(documented, CALLCTL_DATABASE_URL=as_role(documented, blind))["runs"]
            assert (run["seen"], run["step"], run["steps"]) == (False, 4, None)
            code, _, err = processes.run(
                documented, "migrate", "pause", CALLCTL_DATABASE_URL=as_role(documented, blind)
            )
            assert (code, "Traceback" in err) == (4, False), err
            assert "permission denied" in err
        finally:
            db.execute(f"DROP ROLE {name}; DROP ROLE {name}_blind".encode())


def as_role(url: str, role: str) -> str:
    return url.replace("user=postgres", f"user={role}")


def test_watching_where_no_run_is(documented: str) -> None:
    code, out, err = processes.run(documented, "migrate", "watch")
    assert (code, out) == (3, "")
    assert "no callctl is at work on schema chatapp [CALLCTL-NO-RUN]" in err


def test_a_watch_ends_with_its_run_and_tells_what_is_left(documented: str) -> None:
    with slow_run(documented) as process:
        watch = processes.start(documented, "migrate", "watch")
        lines = processes.start(documented, "migrate", "watch", "--output", "json")
        assert watch.stdout is not None
        assert lines.stdout is not None
        said, look = watch.stdout.readline(), lines.stdout.readline()
        assert "run: migrate up, role" in said
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        out = watch.stdout.read()
        assert watch.wait(processes.PATIENCE_SECONDS) == 3
        assert "step: step 4 of" in out
        assert out.splitlines()[-1] == "the run has ended, and step 4 is not done"
        *looks, last = map(json.loads, (look + lines.stdout.read()).splitlines())
        assert (lines.wait(processes.PATIENCE_SECONDS), last["event"], last["steps_left"]) == (3, "ended", [4])
        for line in (*looks, last):
            assert problems(line, "lines") == []


def test_a_watch_ends_where_its_reader_has_left(documented: str) -> None:
    with slow_run(documented):
        watch = processes.start(documented, "migrate", "watch")
        assert watch.stdout is not None
        watch.stdout.readline()
        watch.stdout.close()
        assert watch.wait(processes.PATIENCE_SECONDS) == 0
        assert watch.stderr is not None
        watch.stderr.close()


def test_a_rotation_obeys(documented: str) -> None:
    """What other work waits between its batches hears the orders as well."""
    from callctl.database.connection import connect as open_session

    migrate.up(Settings(database_url=documented))
    settings = Settings(database_url=documented)
    events: list[Event] = []
    with open_session(settings) as connection, open_session(settings) as other:
        kept = pace.Pace(settings, connection, events.append)
        kept.keep()
        steering.give(other, "slower", {})
        time.sleep(0.6)
        kept.keep()
    assert [event.order for event in events if isinstance(event, Steered)] == ["slower"]


def test_an_order_that_a_rule_discards_is_no_order(documented: str) -> None:
    settings = Settings(database_url=documented)
    migrate.up(settings, to=1)
    with connect(documented) as db, callctl_connect(settings) as connection:
        db.execute("CREATE RULE none AS ON INSERT TO callctl.action DO INSTEAD NOTHING")
        with pytest.raises((CallctlError, psycopg.Error)):
            steering.give(connection, "pause", {})


def test_a_rotation_is_watched(documented: str) -> None:
    settings = Settings(database_url=documented)
    migrate.up(settings)
    with connect(documented) as db, lock.MigrationLock(settings, shared=True, command="rotate-secrets"):
        assert seen(documented)["rotation"] is None
        db.execute(
            "SET callctl.writes = 'on';"
            " INSERT INTO callctl.rotation (kind, to_key, client, callctl_version, started_at)"
            " VALUES ('credentials', 'k1', 'me@here', '0', clock_timestamp() - interval '10 s');"
            " INSERT INTO callctl.rotation_range (rotation, target, row_count, rows_done, failures)"
            " SELECT id, 'x', 1000, 250, 3 FROM callctl.rotation"
        )
        document = seen(documented)
        assert {key: document["rotation"][key] for key in ("done", "total", "failures")} == {
            "done": 250,
            "total": 1000,
            "failures": 3,
        }
        (run,) = document["runs"]
        assert 29 <= run["seconds_left"]["expected"] <= 300
        code, out, err = processes.run(documented, "migrate", "watch", "--once")
        assert code == 0, err
        assert "rows     250 of 1,000 rows, 3 values do not open" in out
        assert "left     about " in out
