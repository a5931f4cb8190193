"""No server, and no directory of one, is left: not after an error, Ctrl-C or kill -9, whoever runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import callctl
from callctl.database.programs import find_binaries, reachable
from callctl.errors import ConfigError
from callctl.sandbox.server import start_server

pytestmark = pytest.mark.one_server

OWNER = """
import sys, time
from callctl.sandbox.server import start_server
with start_server() as server:
    print(server.pid, server.directory, server.url(), flush=True)
    {then}
"""


def alive(pid: int) -> bool:
    """True unless the process is gone, or a zombie that only waits to be counted."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(shown.stdout.strip()) and not shown.stdout.strip().startswith("Z")


def children(pid: int) -> list[int]:
    shown = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = (line.split() for line in shown.stdout.splitlines())
    return [int(child) for child, parent in pairs if int(parent) == pid]


def parent(pid: int) -> int:
    shown = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(shown.stdout)


def soon(condition: Callable[[], bool]) -> bool:
    """Poll for at most 20 seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Owner:
    """A Python process that has started a server, the server, and everything below it."""

    def __init__(self, then: str, *, command: list[str] | None = None, **popen: object) -> None:
        environment = {"PYTHONPATH": str(Path(callctl.__file__).parents[1]), "PATH": os.environ["PATH"]}
        environment |= {k: v for k, v in os.environ.items() if k == "CALLCTL_PG_BIN"}
        settings: dict[str, object] = {"env": environment, **popen}
        self.process = subprocess.Popen(
            [*(command or [sys.executable]), "-c", OWNER.format(then=then)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings,
        )  # type: ignore[call-overload]  # fmt: skip
        assert self.process.stdout is not None
        pid, directory, self.url = self.process.stdout.readline().split()
        self.server, self.directory = int(pid), Path(directory)
        self.guard = parent(self.server)
        self.all = [self.server, *children(self.server)]

    def nothing_is_left(self) -> bool:
        return soon(lambda: not any(map(alive, [*self.all, self.guard])) and not self.directory.exists())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)  # the guard's work, where it was killed
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def own() -> Iterator[Callable[..., Owner]]:
    owners: list[Owner] = []

    def start(then: str = "time.sleep(60)", **popen: object) -> Owner:
        owners.append(Owner(then, **popen))  # type: ignore[arg-type]
        return owners[-1]

    yield start
    for owner in owners:
        owner.close()


def test_the_server_is_there_while_its_owner_lives(own: Callable[..., Owner]) -> None:
    owner = own()
    assert len(owner.all) > 3  # the postmaster and its children: the check below sees them all
    assert all(map(alive, owner.all))
    with psycopg.connect(owner.url) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_normal_end(own: Callable[..., Owner]) -> None:
    owner = own("sys.stdin.read()", stdin=subprocess.PIPE)
    assert owner.process.stdin is not None
    owner.process.stdin.close()
    assert owner.nothing_is_left()
    assert owner.process.wait() == 0


def test_error(own: Callable[..., Owner]) -> None:
    owner = own("sys.stdin.read(); raise RuntimeError", stdin=subprocess.PIPE)
    assert owner.process.stdin is not None
    owner.process.stdin.close()
    assert owner.nothing_is_left()


def test_ctrl_c_with_a_client_connected(own: Callable[..., Owner]) -> None:
    owner = own()
    with psycopg.connect(owner.url) as db:
        owner.process.send_signal(signal.SIGINT)
        assert owner.nothing_is_left()
        with pytest.raises(psycopg.OperationalError):
            db.execute("SELECT 1")


def test_ctrl_c_at_the_terminal_reaches_the_owner_alone(own: Callable[..., Owner]) -> None:
    then = "import signal; signal.signal(signal.SIGINT, lambda *_: print('caught', flush=True)); time.sleep(60)"
    owner = own(then, start_new_session=True)
    time.sleep(0.3)
    os.killpg(owner.process.pid, signal.SIGINT)
    assert owner.process.stdout is not None
    assert owner.process.stdout.readline() == "caught\n"
    with psycopg.connect(owner.url) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_kill_9_of_the_owner(own: Callable[..., Owner]) -> None:
    owner = own()
    os.kill(owner.process.pid, signal.SIGKILL)
    assert owner.nothing_is_left()


def test_kill_9_of_the_owner_whose_child_holds_the_pipe(own: Callable[..., Owner]) -> None:
    owner = own("import os; os.fork() or time.sleep(30); time.sleep(30)")
    assert soon(lambda: bool([p for p in children(owner.process.pid) if p != owner.guard]))
    below = [pid for pid in children(owner.process.pid) if pid != owner.guard]
    try:
        os.kill(owner.process.pid, signal.SIGKILL)
        assert owner.nothing_is_left()
    finally:
        for pid in below:
            os.kill(pid, signal.SIGKILL)


if sys.platform == "linux":  # elsewhere nobody tells a child of its parent's death

    def test_kill_9_of_the_guard(own: Callable[..., Owner]) -> None:
        owner = own()
        os.kill(owner.guard, signal.SIGKILL)
        assert soon(lambda: not any(map(alive, owner.all)))


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))
    place.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    try:
        with pytest.raises(ConfigError) as caught:
            start_server(settings={"shared_buffers": "a lot"})
        assert 'invalid value for parameter "shared_buffers"' in caught.value.message
        assert caught.value.hint
        assert list(place.iterdir()) == []
    finally:
        shutil.rmtree(place)


@pytest.fixture
def common_ground() -> Iterator[Path]:
    """A directory that everybody can read, with the package, an interpreter and PostgreSQL's programs in it.

    What an ordinary user can already read where it is, is not copied.
    """
    place = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_as_an_ordinary_user(own: Callable[..., Owner], common_ground: Path) -> None:
    """Root tests as somebody else; anybody else is ordinary enough."""
    ids = (54321, 54321) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    install = find_binaries().install
    shutil.copytree(Path(callctl.__file__).parent, common_ground / "src" / "callctl")
    if not reachable(install / "share", ids):
        shutil.copytree(install, common_ground / "install")
        install = common_ground / "install"
    python = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    if not reachable(python, ids):
        rest = shutil.ignore_patterns("site-packages", "test", "tests", "__pycache__", "*.a", "include", "share")
        shutil.copytree(sys.base_prefix, common_ground / "python", symlinks=True, ignore=rest)
        python = common_ground / "python" / python.relative_to(Path(sys.base_prefix).resolve())
    home = common_ground / "home"
    home.mkdir()
    environment = {
        "PYTHONPATH": str(common_ground / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CALLCTL_PG_BIN": str(install / "bin"),
        "HOME": str(home),
        "PATH": os.environ["PATH"],
    }
    change: dict[str, object] = {}
    if os.geteuid() == 0:
        # initdb wants to know its user's name.
        import pwd

        ids = next((e.pw_uid, e.pw_gid) for e in pwd.getpwall() if e.pw_name in {"daemon", "nobody"})
        os.chown(home, *ids)
        change = {"user": ids[0], "group": ids[1], "extra_groups": []}
    owner = own(command=[str(python)], env=environment, cwd="/", **change)
    assert owner.directory.stat().st_uid == ids[0]
    with psycopg.connect(owner.url) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)
    os.kill(owner.process.pid, signal.SIGKILL)
    assert owner.nothing_is_left()
