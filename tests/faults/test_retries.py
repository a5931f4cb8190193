"""A lock not to be had, or lost in a deadlock, is asked for again: each time under its timeout, and not for ever."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from tests.conftest import connect
from tests.support import processes

from callctl.config.settings import Settings
from callctl.database import lock
from callctl.database.guarded import guard_transaction, with_retries
from callctl.errors import StepFailed
from callctl.events import Event, Waiting
from callctl.migration import migrate

# Loses a deadlock so many times; ever, where a try has no lock timeout.
UNLUCKY = """
CREATE SEQUENCE public.tries;
CREATE FUNCTION public.unlucky() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_query() LIKE 'ALTER TABLE%avatar_url%' AND
     (nextval('public.tries') <= {} OR current_setting('lock_timeout') <> '123ms') THEN
    RAISE EXCEPTION 'deadlock detected' USING ERRCODE = 'deadlock_detected';
  END IF;
END $$;
CREATE EVENT TRIGGER unlucky ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION public.unlucky();
"""


def test_a_lost_deadlock_is_tried_again_under_the_same_timeout(documented: str) -> None:
    waits: list[Event] = []
    with connect(documented) as connection:
        connection.execute(UNLUCKY.format(3).encode())
    settings = Settings(database_url=documented, lock_timeout_ms=123)
    run = migrate.up(settings, to=1, on_event=lambda event: waits.append(event) if isinstance(event, Waiting) else None)
    assert [step.number for step in run.steps] == [1]
    assert len(waits) == 3


def test_deadlock_after_deadlock_names_who_holds_a_lock(documented: str) -> None:
    settings = Settings(database_url=documented, lock_timeout_ms=123, lock_wait_ms=300)
    with connect(documented) as connection, connect(documented, application_name="worker 7") as holder:
        connection.execute(UNLUCKY.format(1_000_000).encode())
        holder.execute("BEGIN; SELECT 'a customer''s secret' FROM chatapp.users LIMIT 1")
        with pytest.raises(StepFailed) as failed:
            migrate.up(settings, to=1)
        pid = holder.info.backend_pid
    assert "repeated deadlocks on users in 0.3 s (lock_wait)" in failed.value.message
    assert f"pid {pid} (worker 7, idle in transaction" in failed.value.message
    assert "SQLSTATE 40P01" in failed.value.message
    assert "rolled back as a whole" in failed.value.message
    assert "secret" not in failed.value.message


def test_who_is_in_the_way_is_named_while_it_waits(documented: str) -> None:
    waits: list[Waiting] = []
    with connect(documented, application_name="worker 7") as holder:
        holder.execute("BEGIN; SELECT 'a customer''s secret' FROM chatapp.users LIMIT 1")
        pid = holder.info.backend_pid

        def hear(event: Event) -> None:
            if isinstance(event, Waiting):
                waits.append(event)
                if event.holders:
                    holder.execute("ROLLBACK")

        run = migrate.up(Settings(database_url=documented, lock_timeout_ms=50), to=1, on_event=hear)
    assert [step.number for step in run.steps] == [1]
    assert {wait.what for wait in waits} == {"a lock on users"}
    assert {wait.limit for wait in waits} == {300.0}
    assert waits[0].holders == ()
    (named,) = waits[-1].holders
    assert (named.pid, named.application, named.state) == (pid, "worker 7", "idle in transaction")


def test_a_real_deadlock(documented: str) -> None:
    """Ours is the one that the server picks, and the second try comes through."""
    settings = replace(Settings(database_url=documented), lock_timeout_ms=20_000)
    tries = []
    with lock.at_work(settings) as (connection, _), connect(documented) as other:
        other.execute("SET deadlock_timeout = '1h'")
        other.execute("BEGIN; LOCK TABLE chatapp.chatbots IN ACCESS EXCLUSIVE MODE")

        def cross() -> None:
            other.execute("LOCK TABLE chatapp.users IN ACCESS EXCLUSIVE MODE; COMMIT")

        crossing = threading.Thread(target=cross)

        def attempt() -> int:
            with connection.transaction():
                guard_transaction(connection, "chatapp", settings.lock_timeout_ms)
                tries.append(1)
                connection.execute("LOCK TABLE chatapp.users IN ACCESS EXCLUSIVE MODE")
                if len(tries) == 1:
                    crossing.start()
                    with connect(documented) as watch:
                        asked = "SELECT true FROM pg_locks WHERE pid = %s AND NOT granted"
                        pid = other.info.backend_pid
                        processes.until(lambda: watch.execute(asked, (pid,)).fetchone(), "the other one waiting")
                connection.execute("LOCK TABLE chatapp.chatbots IN ACCESS EXCLUSIVE MODE")
            return len(tries)

        assert with_retries(settings, "a lock", attempt) == 2
        crossing.join()
