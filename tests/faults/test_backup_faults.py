"""A backup and a restore that are interrupted, held up, on a standby; and where the password goes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import connect
from tests.support import processes
from tests.support.db import backups
from tests.support.faults import standby, wire
from tests.support.faults.proxy import Fault, Outcome, Proxy, Session

from callctl.backup import restore
from callctl.config.settings import Settings
from callctl.database.lock import MigrationLock
from callctl.errors import CallctlError, Interrupted, LockHeld, StepFailed
from callctl.events import Event, Notice
from callctl.sandbox.lifecycle import fill
from callctl.sandbox.server import start_server

pytestmark = pytest.mark.one_server

CANARY = "k3w-canary"


def test_the_password_is_in_no_argument(documented: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by the environment, with all else that the connection has resolved; rarer settings by a file."""
    bin = backups.program(tmp_path / "bin", "pg_dump", "18.6", 'cat "$PGSERVICEFILE" > "$here/service"; exit 1')
    monkeypatch.setenv("CALLCTL_PG_BIN", str(bin))
    service = tmp_path / "services.conf"
    service.write_text(f"[platform]\npassword={CANARY}\nkeepalives_idle=77\noptions=-c statement_timeout=5min\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    with pytest.raises(StepFailed):
        backups.take(f"{documented}&service=platform&sslmode=prefer", tmp_path / "a.dump")
    arguments = (bin / "arguments").read_text().splitlines()
    assert not [argument for argument in arguments if CANARY in argument or "host" in argument or "dbname" in argument]
    assert "--no-password" in arguments
    environment = dict(line.split("=", 1) for line in (bin / "environment").read_text().splitlines() if "=" in line)
    with connect(documented) as connection:
        info = connection.info
        host, database = info.host, info.dbname
    expected = {
        "PGPASSWORD": CANARY,
        "PGHOST": host,
        "PGPORT": "5432",
        "PGUSER": "postgres",
        "PGDATABASE": database,
        "PGOPTIONS": "-c statement_timeout=5min",
        "PGAPPNAME": "callctl backup",
        "PGSSLMODE": "prefer",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert environment["PGSERVICEFILE"] != str(service)
    assert not Path(environment["PGSERVICEFILE"]).exists()
    assert (bin / "service").read_text() == "[callctl]\nkeepalives_idle=77\n"
    assert "PGCLIENTENCODING" not in environment  # pg_dump would take it for the dump's


def test_a_real_one_connects_that_way(documented: str, tmp_path: Path) -> None:
    """Rare settings and an odd password are no obstacle."""
    backups.take(f"{documented}&keepalives_idle=77&password=a%20b%27%22%5C&options=-c%20work_mem%3D8MB", tmp_path / "a")


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_ctrl_c(command: str, documented: str, empty_database: str, tmp_path: Path) -> None:
    """The child ends, no file is left, nothing is restored."""
    file = tmp_path / "a.dump"
    bin = backups.program(tmp_path / "bin", "pg_dump", "18.6", "echo half of one >&2; exec sleep 1000")
    backups.program(bin, "pg_restore", "18.6", "echo 'CREATE SCHEMA half; SELECT pg_sleep(1000);'")
    url = documented
    if command == "restore":
        backups.take(documented, file)
        url = empty_database
    there = sorted(tmp_path.iterdir())
    running = processes.start(url, command, str(file), *(["--yes"] * (command == "restore")), CALLCTL_PG_BIN=str(bin))
    processes.until(lambda: (bin / "pid").exists() and (bin / "pid").read_text(), "the program")
    pid = int((bin / "pid").read_text())
    if command == "restore":
        with connect(url) as other:
            processes.until(lambda: processes.sessions(other, "callctl restore", "active"), "the statement")
    running.send_signal(signal.SIGINT)
    code, _, errors = processes.finish(running)
    assert code == 130
    assert ("no file was left" if command == "backup" else "nothing was restored") in errors
    assert not processes.alive(pid)
    assert sorted(tmp_path.iterdir()) == there
    if command == "restore":
        assert backups.held(url) == []
    with connect(url) as other:
        assert processes.until(lambda: not processes.sessions(other, "callctl%", "%"), "the end of its sessions")


@dataclass
class AtTheCommit:
    """Does something to the session that restores, at the COMMIT behind its rows."""

    fault: Fault
    restoring: set[int] = field(default_factory=set)
    struck: bool = False

    def statement(self, session: Session, text: str) -> Fault | None:
        if text.startswith("COPY "):
            self.restoring.add(session.number)
        if text != "COMMIT" or session.number not in self.restoring:
            return None
        self.struck = True
        return self.fault

    def answered(self, session: Session, text: str, failed: bool) -> None: ...

    def cancelled(self) -> None: ...


def interrupt(session: Session) -> Outcome:
    """Ctrl-C, while callctl waits for the answer."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    return "go on"


UNKNOWN = "the connection was lost during COMMIT: check whether the database is empty"
NOTHING = "nothing was restored: the database is still empty"


@pytest.mark.parametrize(
    ("fault", "error", "state", "committed"),
    [
        (Fault("before", lambda session: "close"), StepFailed, UNKNOWN, False),
        (Fault("after", lambda session: "close"), StepFailed, UNKNOWN, True),
        (Fault("after", interrupt), Interrupted, UNKNOWN, True),
        (Fault("before", lambda session: wire.error_response("53100", "no space")), StepFailed, NOTHING, False),
    ],
    ids=["the commit is lost", "its answer is lost", "Ctrl-C", "the commit is refused"],
)
def test_what_is_said_to_be_restored_where_the_commit_is_in_doubt(
    fault: Fault,
    error: type[CallctlError],
    state: str,
    committed: bool,
    documented: str,
    empty_database: str,
    tmp_path: Path,
) -> None:
    """A commit without an answer may have been carried out: the message does not say that nothing was restored."""
    backups.take(documented, tmp_path / "a.dump")
    target = conninfo_to_dict(empty_database)
    proxy, observer = Proxy(Path(str(target["host"]))), AtTheCommit(fault)
    try:
        proxy.watch(observer)
        with pytest.raises(error) as caught:
            restore.restore(Settings(database_url=proxy.url(str(target["dbname"]))), str(tmp_path / "a.dump"))
    finally:
        proxy.close()
    assert observer.struck
    assert caught.value.message.endswith(f"; {state}")
    with connect(empty_database) as connection:
        processes.until(lambda: not processes.sessions(connection, "callctl%", "%"), "the end of its sessions")
    assert bool(backups.held(empty_database)) == committed


def test_ctrl_c_while_the_program_is_being_started(
    documented: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs already and callctl does not know it yet: the program ends all the same."""
    started: list[int] = []

    class Struck(subprocess.Popen[bytes]):
        def __init__(self, argv: Sequence[str], **options: Any) -> None:
            super().__init__(argv, **options)
            if "--version" not in argv:
                started.append(self.pid)
                signal.raise_signal(signal.SIGINT)

    bin = backups.program(tmp_path / "bin", "pg_dump", "18.6", "exec sleep 1000")
    monkeypatch.setenv("CALLCTL_PG_BIN", str(bin))
    monkeypatch.setattr(subprocess, "Popen", Struck)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted, match="no file was left"):
            backups.take(documented, tmp_path / "a.dump")
        (pid,) = started
        assert not processes.alive(pid)
    finally:
        signal.signal(signal.SIGINT, before)
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_killed_one_leaves_what_the_next_writes_over(documented: str, tmp_path: Path) -> None:
    file = tmp_path / "a.dump"
    script = "echo half of one > /dev/fd/${2##*/}; while :; do echo still here >&2; sleep 0.1; done"
    bin = backups.program(tmp_path / "bin", "pg_dump", "18.6", script)
    running = processes.start(documented, "backup", str(file), CALLCTL_PG_BIN=str(bin))
    partial = tmp_path / "a.dump.partial"
    processes.until(lambda: partial.exists() and partial.stat().st_size, "something in the file")
    pid = int((bin / "pid").read_text())
    running.kill()
    running.wait()
    assert not file.exists()
    processes.until(lambda: not processes.alive(pid), "pg_dump's end")
    backups.take(documented, file)
    assert not partial.exists()


def test_locks_that_are_not_to_be_had(documented: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for again, for as long as lock_wait says; nobody else is held up, and no file is left."""
    impatient: dict[str, Any] = {"lock_timeout_ms": 5, "lock_wait_ms": 300}
    with connect(documented) as other, other.transaction():
        other.execute("LOCK TABLE chatapp.users IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StepFailed) as caught:
            backups.take(documented, tmp_path / "a.dump", **impatient)
    assert "55P03" in caught.value.message
    assert "no file was left" in caught.value.message
    said = "echo 'pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout' >&2; exit 1"
    bin = backups.program(tmp_path / "bin", "pg_dump", "18.6", said)
    monkeypatch.setenv("CALLCTL_PG_BIN", str(bin))
    with pytest.raises(StepFailed) as caught:
        backups.take(documented, tmp_path / "a.dump", **impatient)
    assert "lock timeout" in caught.value.message
    assert "--lock-wait-timeout=50ms" in (bin / "arguments").read_text()
    assert list(tmp_path.iterdir()) == [bin]


def test_a_migration_holds_it_off(documented: str, empty_database: str, tmp_path: Path) -> None:
    with MigrationLock(Settings(database_url=documented)), pytest.raises(LockHeld):
        backups.take(documented, tmp_path / "a.dump")
    assert list(tmp_path.iterdir()) == []
    backups.take(documented, tmp_path / "a.dump")
    with MigrationLock(Settings(database_url=empty_database)), pytest.raises(LockHeld):
        restore.restore(Settings(database_url=empty_database), str(tmp_path / "a.dump"))
    assert backups.held(empty_database) == []


def test_on_a_standby(tmp_path: Path) -> None:
    """It can be taken there; it is on record nowhere, and unlogged rows, which are not there, are not in it."""
    file, said = tmp_path / "a.dump", list[str]()

    def heard(event: Event) -> None:
        if isinstance(event, Notice):
            said.append(event.text)

    with start_server(settings=standby.SETTINGS) as primary:
        fill(primary.url(), "documented", rows=20)
        with connect(primary.url()) as connection:
            connection.execute("CREATE UNLOGGED TABLE chatapp.cache AS SELECT 1 AS n")
        with standby.replica_of(primary) as replica:
            done = backups.take(replica, file, on_event=heard)
    assert (done.recorded, done.left_out_tables) == (False, ("chatapp.cache",))
    assert backups.manifest_of(file)["standby"]
    assert any("could not record it in the database" in text for text in said)
    with start_server() as later:  # no older than the primary, whatever the other tests run on
        restore.restore(Settings(database_url=later.url()), str(file))
        with connect(later.url()) as connection:
            assert backups.rows(connection, "chatapp.chatbots") == 20
            assert backups.rows(connection, "chatapp.cache") == 0
