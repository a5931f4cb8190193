"""The sandbox that outlives the command, and what every server of ours has in common."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect

from callctl.database.connection import is_sandbox
from callctl.errors import Code, ConfigError, LockHeld, Refused
from callctl.sandbox import lifecycle as sandbox
from callctl.sandbox.server import Server, start_server

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
        assert is_sandbox(db)
    with connect(server.url("postgres")) as db:
        db.execute("SET callctl.environment = 'sandbox'")  # whoever may say so does not make it one
        assert not is_sandbox(db)


def test_a_life(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://production.example.com/live")
    monkeypatch.setenv("PGHOST", "production.example.com")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGSERVICE", "nowhere")
    sandbox.ignore_environment()
    assert not sandbox.stop()
    with pytest.raises(Refused) as caught:
        sandbox.current()
    assert caught.value.hint == "run callctl sandbox start"

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
        assert is_sandbox(db)
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


# ---- only its own ----------------------------------------------------------------------------------------


def _mine(directory: Path) -> Path:
    """A directory of somebody's, with a file in it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "mine").write_text("mine")
    return directory


@pytest.mark.parametrize("name", ["server", "server/data", "sandbox.json", "sandbox.json.new", "lock/deeper"])
def test_a_directory_of_others_is_left_as_it_is(name: str, home: Path) -> None:
    """CALLCTL_SANDBOX_DIR may be a project's directory."""
    mine = _mine(home / name)
    for act in (sandbox.start, sandbox.stop):
        if name == "sandbox.json.new" or (name.startswith("server") and act is sandbox.stop):
            continue
        with pytest.raises((Refused, ConfigError)) as caught:
            act()
        assert str(home / name.split("/")[0]) in caught.value.message or str(home) in caught.value.message
        assert caught.value.hint
    assert (mine / "mine").read_text() == "mine"
    shutil.rmtree(home / name.split("/")[0])


@pytest.mark.parametrize(
    "text", ["{}", '{"name": "project"}', "[]", "not JSON", "", '{"directory": "/", "sockets": "/"}']
)
def test_a_state_file_of_others_is_left_as_it_is(text: str, home: Path) -> None:
    home.mkdir()
    (home / "sandbox.json").write_text(text)
    for act in (sandbox.start, sandbox.stop, sandbox.current):
        with pytest.raises(Refused, match=r"did not write|another program or version wrote"):
            act()
    assert (home / "sandbox.json").read_text() == text
    (home / "sandbox.json").unlink()


@pytest.mark.parametrize("field", ["directory", "sockets"])
@pytest.mark.parametrize("kind", ["directory", "link to a directory", "link to its own", "copy of its own"])
def test_what_the_state_file_names_has_to_be_its_own(field: str, kind: str, home: Path, tmp_path: Path) -> None:
    running, _ = sandbox.start(rows=50)
    state = json.loads((home / "sandbox.json").read_text())
    other = tmp_path / "other"
    if kind == "directory":
        _mine(other)
    elif kind == "link to a directory":
        other.symlink_to(_mine(tmp_path / "elsewhere"))
    elif kind == "link to its own":
        other.symlink_to(running.directory)
    else:
        other.mkdir()
        (other / ".callctl").write_bytes((running.directory / ".callctl").read_bytes())
        _mine(other)
    (home / "sandbox.json").write_text(json.dumps({**state, field: str(other)}))
    for act in (sandbox.start, sandbox.stop):
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.message == f"callctl did not make {other}, which has no mark of callctl; it was not changed"
    assert (other / ("PG_VERSION" if kind == "link to its own" else "mine")).exists() or kind == "link to its own"
    assert (running.directory / "data").is_dir()
    (home / "sandbox.json").write_text(json.dumps(state))
    assert chatbots(running.url) == 50


def test_a_link_in_its_place(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "server").symlink_to(_mine(tmp_path / "elsewhere"))
    with pytest.raises(Refused, match=r"callctl did not make .*/server, which has no mark"):
        sandbox.start()
    assert (tmp_path / "elsewhere" / "mine").exists()


@pytest.mark.parametrize("program", ["sleep", "shell"])
def test_a_process_that_has_its_number_is_not_ended(program: str, home: Path, tmp_path: Path) -> None:
    """Its command line may be that of the server, word for word."""
    running, _ = sandbox.start(rows=50)
    data = running.directory / "data"
    script = tmp_path / "postgres"
    script.write_text("#!/bin/sh\nwhile :; do sleep 1; done\n")
    script.chmod(0o755)
    argv = (
        ["bash", "-c", f"exec -a postgres tail -f -- /dev/null -D {data} {data}/log"]
        if program == "sleep"
        else [str(script), "-D", str(data)]
    )
    other = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        pid = data / "postmaster.pid"
        own = int(pid.read_text().split()[0])
        os.kill(own, signal.SIGINT)
        deadline = time.monotonic() + 30
        while pid.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        pid.write_text(f"{other.pid}\n{data}\n")
        state = json.loads((home / "sandbox.json").read_text())
        (home / "sandbox.json").write_text(json.dumps({**state, "pid": other.pid}))
        with pytest.raises(Refused, match="no sandbox runs"):
            sandbox.current()
        assert sandbox.stop()
        assert other.poll() is None
        assert not running.directory.exists()
    finally:
        other.kill()
        other.wait()


# Where a start is killed: the function, before or after it has run.
KILLED = {
    "before the cluster": ("postgres.initialise", False),
    "after the cluster": ("postgres.initialise", True),
    "before the server": ("_run", False),
    "while it is filled": ("fill", False),
    "after it is filled": ("fill", True),
}
_START = """
import os
from callctl.sandbox import server as postgres, lifecycle as sandbox
place, name = (sandbox, "{name}") if "." not in "{name}" else (postgres, "{name}".split(".")[1])
real = getattr(place, name)
def killed(*arguments, **options):
    if {after}:
        real(*arguments, **options)
    os.kill(os.getpid(), 9)
setattr(place, name, killed)
sandbox.start(rows=50)
"""


@pytest.mark.parametrize("then", ["start", "stop"])
@pytest.mark.parametrize("where", KILLED)
def test_a_start_that_was_killed(where: str, then: str, home: Path) -> None:
    """The next one takes over: what it says is there is there."""
    name, after = KILLED[where]
    killed = subprocess.run(
        [sys.executable, "-c", _START.format(name=name, after=after)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.raises(Refused):
        sandbox.current()
    if then == "stop":
        assert sandbox.stop()
        assert [path.name for path in home.iterdir()] == ["lock"]
        return
    running, new = sandbox.start("deployed", rows=60)
    assert new
    assert chatbots(running.url) == 60


def test_a_reset_that_was_killed(home: Path) -> None:
    running, _ = sandbox.start(rows=50)
    with connect(running.url.replace("/sandbox?", "/postgres?")) as admin:
        admin.execute("DROP DATABASE sandbox WITH (FORCE)")
    assert sandbox.start() == (running, False)
    assert chatbots(running.url) == 50


def test_what_is_in_the_place_of_a_server_that_is_gone_stays(tmp_path: Path) -> None:
    """The demo's, for one: its directory has been moved away, and something else has its name."""
    with start_server() as running:
        directory = running.directory
        directory.rename(moved := directory.with_name(f"{directory.name}-moved"))
        _mine(directory)
    try:
        assert (directory / "mine").exists()
    finally:
        shutil.rmtree(directory)
        shutil.rmtree(moved)


def test_psql_runs_on_the_sandbox(home: Path) -> None:
    sandbox.start(rows=20)
    callctl = [sys.executable, "-m", "callctl", "sandbox", "psql"]
    # Another database in the environment is not the one that psql opens.
    environment = {**os.environ, "PGHOST": "production.example.com", "PGDATABASE": "live"}

    def psql(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*callctl, *arguments],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
            input="SELECT 1/0;\n",
        )

    answer = psql("-X", "-At", "-c", "SELECT count(*), current_database() FROM chatapp.chatbots")
    assert (answer.returncode, answer.stdout.strip()) == (0, "20|sandbox")
    # psql's exit code and stdin are those of the command; the address is not among its arguments.
    assert psql("-X", "-v", "ON_ERROR_STOP=1").returncode == 3
    shown = psql("-X", "-At", "-c", r"\! tr '\0' ' ' < /proc/$PPID/cmdline").stdout
    assert (shown.startswith("psql -X -At -c"), str(home) in shown, "host=" in shown) == (True, False, False)


def test_psql_needs_a_sandbox_and_a_program(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="no sandbox runs"):
        sandbox.become_psql([])
    sandbox.start(rows=20)
    monkeypatch.setenv("CALLCTL_PG_BIN", str(home))
    with pytest.raises(ConfigError, match=r"needs psql \d+ or later; found none in CALLCTL_PG_BIN") as refused:
        sandbox.become_psql([])
    assert refused.value.code is Code.PROGRAM_MISSING
