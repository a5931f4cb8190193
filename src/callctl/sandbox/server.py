"""A PostgreSQL server of our own, from the programs that ``database.programs`` found.

The server listens on no TCP port. Its socket is in a directory that only its user (and root) can
enter, and therefore every local connection is trusted.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from callctl import files
from callctl.database.programs import (
    INSTALL_HINT,
    Binaries,
    ServerUser,
    find_binaries,
    reachable,
    reachable_binaries,
    run_as,
    server_user,
)
from callctl.errors import Code, ConfigError, Refused

SUPERUSER = "postgres"
PORT = 5432  # only part of the socket's file name

# A server that is thrown away need not survive a power cut.
THROWAWAY: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

START_SECONDS = 60.0
_SOCKET_PATH_BYTES = 100  # the kernel's limit is 104 (macOS) or 108, terminator included


def make_directory(user: ServerUser, *, parent: Path | None = None) -> Path:
    """Make a private directory with callctl's mark, short enough for a socket, that belongs to the server's user.

    Raises ConfigError if no directory for temporary files can be written and reached by that user.
    """
    candidates = [parent] if parent else [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for candidate in candidates:
        length = len(os.fsencode(candidate / "callctl-xxxxxxxx" / "socket" / f".s.PGSQL.{PORT}"))
        if not reachable(candidate, user.ids) or length > _SOCKET_PATH_BYTES:
            continue
        with contextlib.suppress(OSError):
            directory = Path(tempfile.mkdtemp(prefix="callctl-", dir=candidate))
            files.mark(directory)
            give(directory, user)
            return directory
    names = ", ".join(str(candidate) for candidate in candidates)
    raise ConfigError(
        Code.SANDBOX_DIRECTORY,
        f"cannot make a directory for the server in {names}",
        hint="set TMPDIR to a directory with a short path that you can write to",
    )


def give(path: Path, user: ServerUser) -> None:
    """Hand over what callctl has made to the server's user."""
    if user.ids is not None:
        os.chown(path, *user.ids)


def initialise(binaries: Binaries, data: Path, user: ServerUser) -> None:
    """Make a cluster in ``data``: UTF8, locale C, superuser postgres, local connections trusted.

    Raises ConfigError with what initdb said.
    """
    argv = [
        *user.prefix, str(binaries.bin / "initdb"), "-D", str(data), "-N", "--locale=C", "-E", "UTF8",
        "-A", "trust", "-U", SUPERUSER,
    ]  # fmt: skip
    try:
        process = run_as(argv, user.ids, env=binaries.environment(), cwd=data.parent)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(
            Code.PROGRAM_MISSING, f"initdb of {binaries.source} does not run: {error}", hint=INSTALL_HINT
        ) from error
    if process.returncode != 0:
        output = (process.stderr or process.stdout).strip()
        raise ConfigError(
            Code.SANDBOX_START,
            f"initdb could not make a data directory in {data}: {output[-600:]}",
            hint="check that the disk has space and that you can write to the directory, or set CALLCTL_PG_BIN",
        )


def server_argv(
    binaries: Binaries, data: Path, sockets: Path, user: ServerUser, settings: Mapping[str, str]
) -> list[str]:
    """Return the command line of a server on a socket in ``sockets`` and nowhere else, with nothing to lose.

    ``settings`` are added to THROWAWAY, and win over it.
    """
    # From 18 on, three processes read pages for the sessions by default. What is in memory is read sooner without them.
    reads = {"io_method": "sync"} if int((data / "PG_VERSION").read_text()) >= 18 else {}
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "port": str(PORT),
        "timezone": "UTC",
        "log_timezone": "UTC",
        **THROWAWAY,
        **reads,
        **settings,
    }
    argv = [*user.prefix, str(binaries.bin / "postgres"), "-D", str(data)]
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    return argv


def is_ready(data: Path) -> bool:
    """True once the server on that data directory accepts connections, as its own postmaster.pid says."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def start_failed(log: Path, detail: str) -> ConfigError:
    """Return the error that says what the server wrote last."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    except OSError:
        lines = []
    return ConfigError(
        Code.SANDBOX_START,
        f"the sandbox's server did not start ({detail}): {' | '.join(lines) or 'it wrote nothing'}",
        hint="check free disk space and memory, or set CALLCTL_PG_BIN to run another PostgreSQL",
    )


def socket_url(sockets: Path, database: str) -> str:
    """Return a URL that libpq understands, and that leaves nothing to PGHOST, PGPORT or PGUSER."""
    return f"postgresql:///{quote(database, safe='')}?host={quote(str(sockets))}&port={PORT}&user={SUPERUSER}"


class Server:
    """A running temporary server; a context manager that ends it and removes its directory."""

    def __init__(self, guard: subprocess.Popen[bytes], directory: Path, pid: int) -> None:
        self.directory = directory
        self.pid = pid
        self.version = (directory / "data" / "PG_VERSION").read_text().strip()
        self._guard = guard

    @property
    def log(self) -> Path:
        """The file that the server writes its messages to."""
        return self.directory / "log"

    def url(self, database: str = SUPERUSER) -> str:
        """Return the URL of one of its databases."""
        return socket_url(self.directory / "socket", database)

    def stop(self) -> None:
        """End the server and remove its directory; a second call does nothing."""
        _dismiss(self._guard, self.directory)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_server(binaries: Binaries | None = None, *, settings: Mapping[str, str] | None = None) -> Server:
    """Start a temporary server that ends with this process, however the process ends.

    ``settings`` are added to, and win over, THROWAWAY. Takes about a second. Raises ConfigError if no
    PostgreSQL can be found, or it does not start.
    """
    user = server_user()
    installed = binaries or find_binaries()
    directory = make_directory(user)
    data = directory / "data"
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), str(directory), str(_inode(directory))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # select() must see every line
        start_new_session=True,  # so that a terminal's Ctrl-C reaches callctl alone
        cwd="/",
    )
    try:
        usable = reachable_binaries(installed, directory, user)
        (directory / "socket").mkdir(mode=0o700)
        give(directory / "socket", user)
        initialise(usable, data, user)
        order = {
            "argv": server_argv(usable, data, directory / "socket", user, settings or {}),
            "env": usable.environment(),
            "log": str(directory / "log"),
            "user": user.ids,
        }
        assert guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # _await says it
            guard.stdin.write(json.dumps(order).encode() + b"\n")
        return Server(guard, directory, _await(guard, data, directory / "log"))
    except BaseException:
        _dismiss(guard, directory)
        raise


def _dismiss(guard: subprocess.Popen[bytes], directory: Path) -> None:
    """Let the guard end its server and remove the directory."""
    if guard.stdin is not None:
        guard.stdin.close()
    guard.wait()
    if guard.stdout is not None:
        guard.stdout.close()
    with contextlib.suppress(Refused):  # another one is at its place
        files.remove_marked(directory, "")  # where the guard was killed


def _inode(directory: Path) -> int:
    return directory.lstat().st_ino


def _await(guard: subprocess.Popen[bytes], data: Path, log: Path) -> int:
    """Wait for the guard's server to accept connections; return the server's pid."""
    assert guard.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    pid = 0
    while time.monotonic() < deadline:
        if select.select([guard.stdout], [], [], 0.02)[0]:
            word, _, number = guard.stdout.readline().decode().partition(" ")
            if word != "pid":
                raise start_failed(log, f"exit status {number.strip() or 'unknown'}")
            pid = int(number)
        if pid and is_ready(data):
            return pid
    raise start_failed(log, f"not ready after {START_SECONDS:.0f} s")
