"""The "before" databases on a PostgreSQL of our own: to try things, to show them, to test.

The sandbox of ``callctl sandbox start`` outlives the command, and keeps its state (``sandbox.json``) in
CALLCTL_SANDBOX_DIR, else XDG_STATE_HOME/callctl/sandbox, else ~/.local/state/callctl/sandbox. It has two
databases: ``before``, which is never touched, and ``sandbox``, its copy to work on.

That directory may hold other things: callctl removes only directories with its own mark, and ends only the server of
one. ``sandbox.json`` is written before anything else is made, and says at the end that all of it is ready; what a
start that was killed has left, the next one removes.

A sandbox never looks at DATABASE_URL or PG*. Its databases are marked, so that ``database.is_sandbox`` knows them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from callctl import files
from callctl.database import programs
from callctl.errors import Code, ConfigError, LockHeld, Refused
from callctl.files import read_sql
from callctl.sandbox import server as postgres

if TYPE_CHECKING:
    import psycopg

# The "before" databases: made, filled and dropped on a server of ours (``sql/baselines``).


class Baseline(StrEnum):
    """The "before" databases that callctl can make, and what sets each apart. A name is that of its file.

    ``described``: the schema in words. ``type_column``: where a chatbot's and a package's type is. ``model_key``: where
    a model's name is. ``price``: the price of ``price_tokens`` tokens. ``limits``: the most tokens in, and out.
    """

    described: str
    type_column: str
    model_key: str
    price: str
    price_tokens: int
    limits: tuple[str, str]

    def __new__(
        cls,
        name: str,
        described: str,
        type_column: str,
        model_key: str,
        price: tuple[str, int],
        limits: tuple[str, str],
    ) -> Baseline:
        """One row of the table below."""
        row = str.__new__(cls, name)
        row._value_ = name
        row.described, row.type_column, row.model_key, row.limits = described, type_column, model_key, limits
        row.price, row.price_tokens = price
        return row

    documented = (
        "documented",
        "as the specification has it",
        "chatbottype",
        "model_name",
        ("input_cost_per_token", 1),
        ("context_window", "max_output_tokens"),
    )
    deployed = (
        "deployed",
        "as it is deployed",
        "chatbot_type",
        "model_id",
        ("input_price_per_million", 1_000_000),
        ("input_limit", "output_limit"),
    )


BASELINES = tuple(Baseline)
DEFAULT_ROWS = 1000
DEFAULT_SEED = 1


def connect(url: str, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect to a sandbox database in autocommit."""
    import psycopg

    return psycopg.connect(url, autocommit=True, application_name="callctl sandbox", **options)


def create_database(connection: psycopg.Connection[Any], name: str, *, template: str | None = None) -> None:
    """Create a database, marked as a sandbox, by copying ``template`` (else an empty one)."""
    from psycopg import sql

    clauses: list[sql.Composable] = [sql.SQL("TEMPLATE {}").format(sql.Identifier(template or "template0"))]
    if template and connection.info.server_version >= 150000:
        clauses.append(sql.SQL("STRATEGY FILE_COPY"))  # no WAL of every block
    connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), sql.SQL(" ").join(clauses)))
    connection.execute(sql.SQL("ALTER DATABASE {} SET callctl.environment = 'sandbox'").format(sql.Identifier(name)))


def drop_database(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database if it is there, and end the sessions in it."""
    from psycopg import sql

    connection.execute(read_sql("sandbox/end_sessions.sql"), {"database": name})
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def fill(
    url: str,
    baseline: str,
    *,
    rows: int = DEFAULT_ROWS,
    seed: int = DEFAULT_SEED,
    refused_shapes: bool = False,
) -> None:
    """Make the schema of ``baseline`` in an empty database and fill it; ``rows`` is the number of chatbots.

    The same seed gives the same rows, ids included. ``refused_shapes`` adds settings that the migration
    refuses. Raises KeyError for a name of no baseline.
    """
    baseline = Baseline[baseline]
    with connect(url) as connection:
        for name, value in (
            ("callctl.rows", str(rows)),
            ("callctl.seed", str(seed)),
            ("callctl.refused_shapes", "on" if refused_shapes else "off"),
        ):
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        if connection.info.server_version < 130000:  # gen_random_uuid() is in core since 13
            connection.execute("CREATE EXTENSION IF NOT EXISTS pgcrypto")
        for part in (baseline, "rows", f"{baseline}_rows"):
            # Some names are not ASCII. As bytes they fit a database of any encoding.
            connection.execute(read_sql(f"baselines/{part}.sql").encode())
        connection.execute("VACUUM (ANALYZE)")


# The "before" databases on a PostgreSQL of our own: to try things, to show them, to test.

DATABASE = "sandbox"
BEFORE = "before"

_STOP_SECONDS = 30.0
# A big load: WAL is not worth checkpoints on the way, and no replica reads it.
_SETTINGS: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # A load test has a hundred sessions.
    "max_connections": "200",
}


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that runs. ``url`` is its working database; ``rows`` its number of chatbots."""

    url: str
    baseline: str
    rows: int
    seed: int
    refused_shapes: bool
    version: str  # PostgreSQL's major version
    directory: Path  # data, log


_FORMAT = 1


@dataclass(frozen=True)
class _State:
    """The contents of sandbox.json. ``pid`` is that of the server that was started last; ``ready`` once all is made."""

    baseline: str
    rows: int
    seed: int
    refused_shapes: bool
    directory: str
    sockets: str
    pid: int = 0
    ready: bool = False


def ignore_environment() -> None:
    """Take PG* and the database URLs out of this process' environment: libpq reads them unasked."""
    for name in list(os.environ):
        if name.startswith("PG") or name in {"DATABASE_URL", "CALLCTL_DATABASE_URL"}:
            del os.environ[name]


def start(
    baseline: str | None = None,
    *,
    rows: int | None = None,
    seed: int | None = None,
    refused_shapes: bool | None = None,
) -> tuple[Sandbox, bool]:
    """Start the sandbox; return it, and whether it is new (made now) or was there already.

    What is not said is the default, or what the sandbox that is already there has. What a start that was killed has
    left is removed first. Raises Refused if a sandbox is there that was made otherwise, or something that callctl has
    not made is at its place; ConfigError if there is no PostgreSQL, no space, or it does not start.
    """
    with _locked() as home:
        state = _read(home)
        if state is not None:
            _assert_own(home, state)
            if not state.ready:  # of a start that was killed
                _end(state)
                _remove(home, state)
                state = None
        if state is None:
            state = _State(
                Baseline.documented if baseline is None else baseline,
                DEFAULT_ROWS if rows is None else rows,
                DEFAULT_SEED if seed is None else seed,
                bool(refused_shapes),
                directory="",
                sockets="",
            )
            return _make(home, state), True
        wanted = {"baseline": baseline, "rows": rows, "seed": seed, "refused_shapes": refused_shapes}
        for name, value in wanted.items():
            has = getattr(state, name)
            if value is not None and value != has:
                raise Refused(
                    Code.SANDBOX_DIFFERS,
                    f"the existing sandbox has {name.replace('_', ' ')} {has}, not {value}",
                    hint="run callctl sandbox stop, which deletes the sandbox, then start again",
                )
        if _postmaster(state) is None:
            state = _run(home, state)
        sandbox = _describe(state)
        with _administer(sandbox) as admin:
            _copy_if_missing(admin)
        return sandbox, False


def current() -> Sandbox:
    """Return the sandbox that runs. Raises Refused if none does."""
    state = _read(_home())
    if state is None or _postmaster(state) is None:
        raise Refused(Code.SANDBOX_MISSING, "no sandbox runs", hint="run callctl sandbox start")
    if not state.ready:
        raise Refused(
            Code.SANDBOX_DAMAGED,
            "the sandbox is incomplete: callctl sandbox start was killed before it finished",
            hint="run callctl sandbox start, which removes the rest of the old sandbox and makes a new one",
        )
    return _describe(state)


def become_psql(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by PostgreSQL's psql on the sandbox's database, with these further arguments.

    The address goes to psql in its environment, never in its arguments. Raises Refused if no sandbox runs, and
    ConfigError if this machine has no psql of the sandbox's version or later.
    """
    sandbox = current()
    program = programs.find_program("psql", int(sandbox.version), f"the sandbox (PostgreSQL {sandbox.version})")
    with connect(sandbox.url) as connection, programs.reaching(connection, program, "psql") as address:
        # Not only what a client of the server needs: a terminal, a pager and an editor as well.
        environment = {**os.environ, **address}
    sys.stdout.flush()
    os.execve(program.path, ["psql", *arguments], environment)


def reset() -> Sandbox:
    """Make the working database again as it was at the start; its other sessions are ended."""
    with _locked():
        sandbox = current()
        with _administer(sandbox) as admin:
            drop_database(admin, DATABASE)
            create_database(admin, DATABASE, template=BEFORE)
        return sandbox


def stop(*, keep: bool = False) -> bool:
    """Stop the sandbox and delete it; with ``keep``, the next start finds it as it was.

    Returns whether there was one.
    """
    with _locked() as home:
        state = _read(home)
        if state is None:
            return False
        _assert_own(home, state)
        _end(state)
        if not keep:
            _remove(home, state)
        return True


def _home() -> Path:
    named = os.environ.get("CALLCTL_SANDBOX_DIR")
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base).absolute() / "callctl" / "sandbox"


@contextmanager
def _locked() -> Iterator[Path]:
    """Yield the sandbox's home, which no other callctl changes meanwhile."""
    home = _home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            Code.SANDBOX_DIRECTORY,
            f"cannot keep the sandbox's state in {home}: {error.strerror}",
            hint="set CALLCTL_SANDBOX_DIR to a directory that you can write to",
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LockHeld(
                Code.SANDBOX_BUSY,
                "another callctl is starting or stopping the sandbox",
                hint="wait for that command to finish, then run this one again",
            ) from error
        yield home
    finally:
        os.close(lock)


def _read(home: Path) -> _State | None:
    path = home / "sandbox.json"
    hint = "set CALLCTL_SANDBOX_DIR to a directory that has no such file"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = None
    except (OSError, ValueError):
        raise Refused(
            Code.NOT_MADE_BY_CALLCTL, f"callctl did not write {path}; the file was not changed", hint=hint
        ) from None
    if document is None and not os.path.lexists(path):
        return None
    if path.is_symlink() or not isinstance(document, dict) or document.pop("callctl_sandbox", None) != _FORMAT:
        raise Refused(
            Code.NOT_MADE_BY_CALLCTL,
            f"another program or version wrote {path}; the file was not changed",
            hint=f"{hint}; stop a sandbox of another version of callctl with that version",
        )
    try:
        return _State(**document)
    except TypeError:
        raise Refused(
            Code.SANDBOX_DAMAGED,
            f"{path} is damaged",
            hint="delete the file and the directory that it names, then start again",
        ) from None


def _write(home: Path, state: _State) -> None:
    # Under a name that nothing else has, then renamed: never half a file.
    descriptor, name = tempfile.mkstemp(prefix=".sandbox.json.", dir=home)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps({"callctl_sandbox": _FORMAT, **asdict(state)}, indent=2) + "\n")
        Path(name).replace(home / "sandbox.json")
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _hint(home: Path) -> str:
    file = home / "sandbox.json"
    return f"set CALLCTL_SANDBOX_DIR to another directory; if {file} names the wrong one, delete that file"


def _assert_own(home: Path, state: _State) -> None:
    """Raise Refused if callctl did not make what the state names: nothing of it is removed, no process ended."""
    for name in (state.directory, state.sockets):
        if name:
            files.assert_marked(Path(name), _hint(home))


def _make(home: Path, state: _State) -> Sandbox:
    """Make a cluster, start it, fill it; leave nothing if that fails."""
    user = programs.server_user()
    binaries = programs.find_binaries()
    directory = home / "server"
    if os.path.lexists(directory):
        if not files.is_marked(directory):
            raise Refused(
                Code.NOT_MADE_BY_CALLCTL,
                f"callctl did not make {directory}, which has no mark of callctl; it was not changed",
                hint="set CALLCTL_SANDBOX_DIR to a directory without a file of that name",
            )
        files.remove_marked(directory, _hint(home))
    if programs.reachable(home, user.ids):
        state = replace(state, directory=str(directory))
        _write(home, state)
        directory.mkdir(mode=0o700)
        files.mark(directory)
        postgres.give(directory, user)
    else:  # root's home, most likely, and the server runs as `nobody`
        directory = postgres.make_directory(user)
        state = replace(state, directory=str(directory))
        _write(home, state)
    try:
        usable = programs.reachable_binaries(binaries, directory, user)
        postgres.initialise(usable, directory / "data", user)
        state = _run(home, state)
        sandbox = _describe(state)
        with _administer(sandbox) as admin:
            create_database(admin, BEFORE)
            fill(
                postgres.socket_url(Path(state.sockets), BEFORE),
                state.baseline,
                rows=state.rows,
                seed=state.seed,
                refused_shapes=state.refused_shapes,
            )
            create_database(admin, DATABASE, template=BEFORE)
        _write(home, replace(state, ready=True))
    except BaseException:
        state = _read(home) or state
        _end(state)
        _remove(home, state)
        raise
    return sandbox


def _copy_if_missing(admin: psycopg.Connection[Any]) -> None:
    """Make the working database where a reset that was killed has left none."""
    if admin.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
        create_database(admin, DATABASE, template=BEFORE)


def _run(home: Path, state: _State) -> _State:
    """Start the server on its data directory, to run on when this process ends."""
    user = programs.server_user()
    directory = Path(state.directory)
    data = directory / "data"
    if not data.is_dir():
        raise ConfigError(
            Code.SANDBOX_DAMAGED,
            f"the sandbox's data directory {data} does not exist",
            hint="run callctl sandbox stop, then callctl sandbox start",
        )
    binaries = programs.find_binaries()
    if (directory / "install").is_dir():
        binaries = replace(binaries, bin=directory / "install" / "bin")
    sockets = postgres.make_directory(user)
    (data / "postmaster.pid").unlink(missing_ok=True)  # no server has it: _postmaster has looked
    _forget_sockets(state)
    state = replace(state, sockets=str(sockets), pid=0)
    _write(home, state)
    log = directory / "log"
    uid, gid = user.ids or (None, None)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            postgres.server_argv(binaries, data, sockets, user, _SETTINGS),
            env=binaries.environment(), cwd=directory, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            start_new_session=True, umask=0o077,
            user=uid, group=gid, extra_groups=[] if user.ids else None,
        )  # fmt: skip
    state = replace(state, pid=process.pid)
    _write(home, state)
    deadline = time.monotonic() + postgres.START_SECONDS
    while not postgres.is_ready(data):
        if process.poll() is not None:
            raise postgres.start_failed(log, f"exit status {process.returncode}")
        if time.monotonic() > deadline:
            process.kill()
            raise postgres.start_failed(log, f"not ready after {postgres.START_SECONDS:.0f} s")
        time.sleep(0.02)
    process.returncode = 0  # it is meant to outlive us: no warning about a child still running
    return state


def _postmaster(state: _State) -> int | None:
    """The process id of the sandbox's server, if it runs; another process that has its number by now is not it."""
    data = Path(state.directory) / "data"
    if not files.is_marked(Path(state.directory)):
        return None
    pids = [state.pid]
    with contextlib.suppress(OSError, ValueError):
        pids.insert(0, int((data / "postmaster.pid").read_text().split("\n")[0]))
    return next((pid for pid in pids if pid > 1 and _serves(pid, data)), None)


def _serves(pid: int, data: Path) -> bool:
    """Return whether a process is PostgreSQL's server on that data directory, by its program and its arguments."""
    if sys.platform.startswith("linux"):
        process = Path("/proc") / str(pid)
        try:
            program = str((process / "exe").readlink()).removesuffix(" (deleted)")
            arguments = os.fsdecode((process / "cmdline").read_bytes()).split("\0")
        except OSError:
            return False
        return Path(program).name == "postgres" and arguments[1:3] == ["-D", str(data)]
    shown = [
        subprocess.run(["ps", "-ww", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False).stdout
        for column in ("comm=", "command=")
    ]
    return Path(shown[0].strip()).name == "postgres" and f" -D {data} " in shown[1]


def _describe(state: _State) -> Sandbox:
    return Sandbox(
        url=postgres.socket_url(Path(state.sockets), DATABASE),
        baseline=state.baseline,
        rows=state.rows,
        seed=state.seed,
        refused_shapes=state.refused_shapes,
        version=(Path(state.directory) / "data" / "PG_VERSION").read_text().strip(),
        directory=Path(state.directory),
    )


@contextmanager
def _administer(sandbox: Sandbox) -> Iterator[psycopg.Connection[Any]]:
    with connect(sandbox.url.replace(f"/{DATABASE}?", f"/{postgres.SUPERUSER}?", 1)) as connection:
        yield connection


def _end(state: _State) -> None:
    """Stop the server: fast, and if that takes too long, at once."""
    for number, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        pid = _postmaster(state)
        if pid is None:
            break
        os.kill(pid, number)
        while time.monotonic() < deadline and _postmaster(state) is not None:
            time.sleep(0.05)
    _forget_sockets(state)


def _forget_sockets(state: _State) -> None:
    if state.sockets:
        files.remove_marked(Path(state.sockets), "delete the directory by hand if it is not in use")


def _remove(home: Path, state: _State) -> None:
    if state.directory:
        files.remove_marked(Path(state.directory), _hint(home))
    (home / "sandbox.json").unlink(missing_ok=True)
