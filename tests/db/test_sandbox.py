"""The sandbox that outlives the command, and what every server of ours has in common."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect

from callctl import sandbox
from callctl.errors import ConfigError, LockHeld, Refused
from callctl.postgres import Server

pytestmark = pytest.mark.one_server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CALLCTL_SANDBOX_DIR", str(tmp_path / "home"))
    yield tmp_path / "home"
    sandbox.stop()


def chatbots(url: str) -> int:
    with connect(url) as db:
        row = db.execute("SELECT count(*) FROM chatapp.chatbots").fetchone()
    return int(row[0]) if row else -1


def test_no_tcp_and_a_socket_for_nobody_else(server: Server) -> None:
    with connect(server.url()) as db:
        assert db.execute("SHOW listen_addresses").fetchone() == ("",)
        assert db.execute("SELECT inet_server_port()").fetchone() == (None,)
    assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((server.directory / "socket").stat().st_mode) == 0o700


def test_a_sandbox_is_marked_and_nothing_else_is(server: Server, database: MakeDatabase) -> None:
    with connect(database("deployed")) as db:
        assert sandbox.is_sandbox(db)
    with connect(server.url("postgres")) as db:
        db.execute("SET callctl.environment = 'sandbox'")  # whoever may say so does not make it one
        assert not sandbox.is_sandbox(db)


def test_a_life(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://production.example.com/live")
    monkeypatch.setenv("PGHOST", "production.example.com")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGSERVICE", "nowhere")
    sandbox.ignore_environment()
    assert not sandbox.stop()
    with pytest.raises(Refused) as caught:
        sandbox.current()
    assert caught.value.hint == "callctl sandbox start"

    running, new = sandbox.start("deployed", rows=100)
    assert new
    assert chatbots(running.url) == 100
    assert sandbox.current() == running
    assert sandbox.start() == (running, False)
    with pytest.raises(Refused) as refused:
        sandbox.start("documented")
    assert "deployed" in refused.value.message

    with connect(running.url) as someone:
        someone.execute("TRUNCATE chatapp.chatbots CASCADE")
        someone.execute("CREATE TABLE chatapp.mine ()")
        assert sandbox.reset() == running
    assert chatbots(running.url) == 100
    with connect(running.url) as db:
        assert sandbox.is_sandbox(db)
        assert db.execute("SELECT to_regclass('chatapp.mine')").fetchone() == (None,)
        db.execute("DELETE FROM chatapp.messages")

    assert sandbox.stop(keep=True)
    with pytest.raises(Refused):
        sandbox.current()
    again, new = sandbox.start()
    assert not new
    assert (again.baseline, again.rows) == ("deployed", 100)
    with connect(again.url) as db:
        assert db.execute("SELECT count(*) FROM chatapp.messages").fetchone() == (0,)

    assert sandbox.stop()
    assert not again.directory.exists()
    with pytest.raises(psycopg.OperationalError):
        connect(again.url)
    assert [path.name for path in home.iterdir()] == ["lock"]


def test_a_killed_server_is_noticed_and_started_again(home: Path) -> None:
    running, _ = sandbox.start(rows=50)
    pid = int((running.directory / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            sandbox.current()
        except Refused:
            break
    # The number in the stale file may be anybody's by now, even ours.
    file = running.directory / "data" / "postmaster.pid"
    file.write_text(file.read_text().replace(str(pid), str(os.getpid()), 1))
    with pytest.raises(Refused):
        sandbox.current()
    deadline = time.monotonic() + 20
    while True:  # the killed server's children let go of its memory when they notice
        try:
            again, new = sandbox.start()
            break
        except ConfigError:
            assert time.monotonic() < deadline
    assert not new
    assert chatbots(again.url) == 50


def test_two_at_a_time_are_one_too_many(home: Path) -> None:
    with sandbox._locked(), pytest.raises(LockHeld):
        sandbox.start()


def test_nothing_is_left_of_a_start_that_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def fail(url: str, *args: object, **options: object) -> None:
        seen.append(url)
        raise KeyboardInterrupt

    monkeypatch.setattr(sandbox, "fill", fail)
    with pytest.raises(KeyboardInterrupt):
        sandbox.start()
    with pytest.raises(psycopg.OperationalError):
        connect(seen[0])
    assert [path.name for path in home.iterdir()] == ["lock"]
