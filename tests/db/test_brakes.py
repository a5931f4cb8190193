"""What a run waits for between two transactions: each brake on a real server, and what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.conftest import connect
from tests.support import processes

from callctl.config.settings import Settings
from callctl.database import brakes
from callctl.database.brakes import Brake, Brakes
from callctl.database.connection import connect as open_session
from callctl.errors import Code, StepFailed
from callctl.events import BatchFinished, Event, Notice, Waiting
from callctl.migration import migrate
from callctl.sandbox.server import Server, start_server


@contextmanager
def looking(settings: Settings, said: list[Event] | None = None) -> Iterator[Callable[[], Brake | None]]:
    """A look that is always a new one."""
    with open_session(settings) as connection:
        made = Brakes(settings, (said if said is not None else []).append)

        def look() -> Brake | None:
            made._looked = -brakes.LOOK_SECONDS
            return made.reason(connection)

        yield look


def test_nothing_is_in_the_way(documented: str) -> None:
    said: list[Event] = []
    with looking(Settings(database_url=documented), said) as look:
        assert [look() for _ in range(3)] == [None] * 3
    assert said == []


@contextmanager
def waiting_client(url: str) -> Iterator[None]:
    """A session that waits for a row that another one has written."""
    with connect(url) as holder, connect(url) as waiter:
        holder.execute("BEGIN")
        holder.execute("UPDATE chatapp.companies SET name = name")
        waiter.execute("SET lock_timeout = '20s'")
        waits = waiter.cursor()
        waiter.pgconn.send_query(b"UPDATE chatapp.companies SET name = name")
        query = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
        processes.until(lambda: holder.execute(query, (waiter.info.backend_pid,)).fetchone() == (1,), "the wait")
        try:
            yield
        finally:
            holder.execute("ROLLBACK")
            while waiter.pgconn.get_result() is not None:
                pass
            waits.close()


def test_clients_that_wait_for_locks(documented: str) -> None:
    settings = Settings(database_url=documented, max_waiting_clients=0)
    with looking(settings) as look, looking(replace(settings, max_waiting_clients=1)) as bearing:
        assert look() is None
        assert bearing() is None
        with waiting_client(documented):
            brake = look()
            assert brake is not None
            assert brake.what == "sessions of others that wait for locks: 1 now, 0 when the run began"
            assert "--max-waiting-clients" in brake.hint
            assert bearing() is None
        assert look() is None


def test_those_that_waited_before_the_run_do_not_count(documented: str) -> None:
    with waiting_client(documented), looking(Settings(database_url=documented, max_waiting_clients=0)) as look:
        assert look() is None


def test_clients_of_another_database_do_not_count(documented: str, empty_database: str) -> None:
    with connect(empty_database) as other:
        other.execute("CREATE SCHEMA chatapp")
        other.execute("CREATE TABLE chatapp.companies (name text)")
        other.execute("INSERT INTO chatapp.companies VALUES ('x')")
    with (
        looking(Settings(database_url=documented, max_waiting_clients=0)) as look,
        looking(Settings(database_url=empty_database, max_waiting_clients=0)) as there,
    ):
        assert (look(), there()) == (None, None)
        with waiting_client(empty_database):
            assert look() is None
            assert there() is not None


def test_callctl_itself_does_not_count(documented: str) -> None:
    """A second callctl that waits for the migration lock, and one that waits for a lock of the platform's."""
    with looking(Settings(database_url=documented, max_waiting_clients=0)) as look, connect(documented) as holder:
        assert look() is None
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE chatapp.chatbot_packages IN ACCESS SHARE MODE")
        process = processes.start(
            documented, "migrate", "up", "--yes", "--to", "2", "--lock-wait", "5min", "--lock-timeout", "2s"
        )
        query = (
            "SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
            " WHERE a.application_name = 'callctl migrate' AND NOT l.granted"
        )
        processes.until(lambda: holder.execute(query).fetchone() == (1,), "callctl waits")
        assert look() is None
        holder.execute("ROLLBACK")
        assert processes.finish(process)[0] == 0


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("/bin/sh -c 'echo the queue is long; exit 1'", "brake_command: the queue is long"),
        ("/bin/false", "brake_command: it ended with 1"),
        (
            "/no/command",
            "brake_command: it cannot be run: [Errno 2] No such file or directory: '/no/command'",
        ),
        ("unfinished 'quote", "brake_command: it cannot be run: No closing quotation"),
        ("/bin/sleep 60", "brake_command: it did not end within 0.3 s"),
    ],
)
def test_a_command_of_the_operator(documented: str, command: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brakes, "COMMAND_SECONDS", 0.3)
    with looking(Settings(database_url=documented, brake_command=command)) as look:
        brake = processes.until(look, "the brake")
        assert brake.what == what


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("/bin/sh -c 'head -c 1000000 /dev/zero'", None),
        ("/bin/sh -c 'sleep 30 & exit 0'", None),
        ("/bin/sh -c 'echo busy; sleep 30 & exit 1'", "brake_command: busy"),
        ("/bin/sh -c 'sleep 30; exit 0'", "brake_command: it did not end within 1 s"),
        ("' '", "brake_command: it cannot be run: [Errno 2] No such file or directory: ' '"),
        (" ", "brake_command: it cannot be run: there is no command in it"),
        (
            "/bin/sh -c 'printf \"\033[2J postgresql://ops:hidden@host/db is slow\"; exit 1'",
            "brake_command: \N{REPLACEMENT CHARACTER}[2J postgresql://ops:***@host/db is slow",
        ),
    ],
)
def test_an_odd_command_of_the_operator(
    documented: str, command: str, what: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Much output, a child that lives on with the output open, nothing to run, a password in the reason."""
    monkeypatch.setattr(brakes, "COMMAND_SECONDS", 1.0)
    with looking(Settings(database_url=documented, brake_command=command)) as look:
        began = time.monotonic()
        seen = [look() for _ in range(8)]
        while time.monotonic() - began < 2:
            seen.append(look())
        assert {brake.what for brake in seen if brake} == ({what} if what else set())


def test_a_command_that_succeeds_again_releases(
    documented: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brakes, "LOOK_SECONDS", 0.0)
    file = tmp_path / "stop"
    settings = Settings(database_url=documented, brake_command=f"/usr/bin/test ! -e {file}", batch_size=5)
    seen: list[Event] = []

    def listen(event: Event) -> None:
        if isinstance(event, BatchFinished) and not any(isinstance(one, BatchFinished) for one in seen):
            file.touch()
        if isinstance(event, Waiting) and event.seconds > 0.3:
            file.unlink(missing_ok=True)
        seen.append(event)

    migrate.up(settings, to=4, on_event=listen)
    assert "brake_command: it ended with 1" in {event.what for event in seen if isinstance(event, Waiting)}


def test_a_brake_that_holds_stops_the_run_between_two_batches(documented: str) -> None:
    settings = Settings(database_url=documented, brake_command="/bin/false", lock_wait_ms=700)
    with pytest.raises(StepFailed) as failed:
        migrate.up(settings, to=3)
    assert failed.value.code == Code.BRAKED
    assert "brake_command: it ended with 1; stopped between two batches" in failed.value.message
    assert migrate.up(Settings(database_url=documented), to=3).steps


def test_replicas_of_aurora(documented: str) -> None:
    """Its own function says what pg_stat_replication does not; here one of the test's stands for it."""
    with connect(documented) as db, looking(Settings(database_url=documented)) as before:
        assert before() is None
        db.execute(
            "CREATE FUNCTION public.aurora_replica_status(OUT server_id text, OUT session_id text,"
            " OUT replica_lag_in_msec float8) RETURNS SETOF record LANGUAGE sql AS"
            " $$ VALUES ('writer', 'MASTER_SESSION_ID', NULL::float8), ('east', 'b1', 12345.6), ('west', 'b2', 20) $$"
        )
        with looking(Settings(database_url=documented)) as look:
            brake = look()
            assert brake is not None
            assert (brake.what, brake.code) == ("replica east, 12 s behind", Code.REPLICA_BEHIND)
        with looking(Settings(database_url=documented, max_replication_lag_ms=20_000)) as look:
            assert look() is None


def test_a_look_that_fails_is_said_once_and_brakes_nothing(documented: str) -> None:
    said: list[Event] = []
    with connect(documented) as db:
        db.execute(
            "CREATE FUNCTION public.aurora_replica_status() RETURNS SETOF integer LANGUAGE sql AS $$ SELECT 1 $$"
        )
    with looking(Settings(database_url=documented), said) as look:
        assert [look() for _ in range(3)] == [None] * 3
    assert [event.text.partition(":")[0] for event in said if isinstance(event, Notice)] == [
        "a brake of this run cannot be looked at"
    ]


@pytest.fixture(scope="module")
def strained() -> Iterator[Server]:
    """A server that keeps little WAL for a slot, and whose autovacuum prevents wraparound early."""
    settings = {
        "max_slot_wal_keep_size": "64MB",
        "wal_level": "logical",
        "autovacuum_freeze_max_age": "100000",
        "autovacuum_naptime": "1s",
        "max_wal_size": "32MB",
        "min_wal_size": "32MB",
    }
    with start_server(settings=settings) as server:
        yield server


def own_session(server: Server, schema: str = "elsewhere") -> Settings:
    """Settings for another schema than the one whose autovacuum another test begins."""
    return Settings(database_url=server.url(), schema=schema)


@pytest.mark.one_server
def test_a_slot_that_the_server_would_give_up(strained: Server) -> None:
    with connect(strained.url()) as db, looking(own_session(strained)) as look:
        db.execute("SELECT pg_create_physical_replication_slot('east', true)")
        try:
            assert look() is None
            db.execute("CREATE TABLE filler AS SELECT repeat('x', 500) AS x FROM generate_series(1, 75000)")
            brake = look()
            assert brake is not None
            assert brake.what.startswith("replication slot east, ")
            assert brake.what.endswith(" behind")
        finally:
            db.execute("SELECT pg_drop_replication_slot('east')")
        assert look() is None


@pytest.mark.one_server
def test_checkpoints_that_come_too_often(strained: Server) -> None:
    with connect(strained.url()) as db, looking(own_session(strained)) as look:
        assert look() is None
        for number in range(3):  # asked for, and not forced
            db.execute(f"CREATE TABLE more{number} (x integer)".encode())
            db.execute("CHECKPOINT")
            assert look() is None
        db.execute("CREATE TABLE much AS SELECT repeat('x', 500) AS x FROM generate_series(1, 10000)")

        def written() -> Brake | None:
            db.execute("UPDATE much SET x = x")
            return look()

        brake = processes.until(written, "the brake")
        assert brake.what == (
            "the server, where WAL forces checkpoints more often than every 30 s (checkpoint_warning)"
        )


@pytest.mark.one_server
def test_an_autovacuum_that_prevents_wraparound(strained: Server) -> None:
    with connect(strained.url()) as db, looking(own_session(strained, "chatapp")) as look:
        db.execute("CREATE SCHEMA chatapp")
        db.execute(
            "CREATE TABLE chatapp.users WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)"
            " AS SELECT repeat('x', 500) AS x FROM generate_series(1, 30000)"
        )
        db.execute(
            "CREATE TABLE burnt (n integer);"
            "DO $$ BEGIN FOR n IN 1..110000 LOOP BEGIN INSERT INTO burnt VALUES (n); EXCEPTION WHEN division_by_zero"
            " THEN NULL; END; END LOOP; END $$"
        )
        brake = processes.until(look, "the autovacuum")
        assert brake.what.startswith("an autovacuum of chatapp.users that prevents wraparound (pid ")


def test_a_lost_connection_is_an_error_as_before(documented: str) -> None:
    settings = Settings(database_url=documented)
    with open_session(settings) as connection, connect(documented) as admin:
        made = Brakes(settings, print)
        assert made.reason(connection) is None
        admin.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        time.sleep(brakes.LOOK_SECONDS)
        with pytest.raises(psycopg.OperationalError):
            made.reason(connection)


def test_a_look_is_shared_and_a_second_old_at_most(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url=documented)
    with open_session(settings) as connection:
        made = Brakes(settings, print)
        asked: list[float] = []

        def count(_: object) -> Brake | None:
            asked.append(time.monotonic())
            return None

        monkeypatch.setattr(made, "_clients", count)
        for _ in range(50):
            made.reason(connection)
        assert len(asked) == 1


def test_a_look_that_is_cancelled_is_made_again(documented: str) -> None:
    settings = Settings(database_url=documented)
    said: list[Event] = []
    with open_session(settings) as connection:
        made = Brakes(settings, said.append)
        connection.execute("SET statement_timeout = '50ms'")
        with connect(documented) as db:
            db.execute(
                "CREATE FUNCTION public.aurora_replica_status(OUT server_id text, OUT session_id text,"
                " OUT replica_lag_in_msec float8) RETURNS SETOF record LANGUAGE sql AS"
                " $$ SELECT 'east', 'b1', 12345.6::float8 FROM pg_sleep(0.2) $$"
            )
        assert made.reason(connection) is None
        connection.execute("SET statement_timeout = 0")
        made._looked = -brakes.LOOK_SECONDS
        brake = made.reason(connection)
        assert brake is not None
        assert brake.what == "replica east, 12 s behind"
    assert said == []
