"""The target's schema on a server of callctl's own. What cannot be made is named, with the reason."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from callctl.database import connection as database
from callctl.database.programs import Child, Program, find_program, reaching
from callctl.errors import Code, ConfigError, StepFailed
from callctl.redaction import printable, redact
from callctl.rehearsal.survey import LeftOut, Survey
from callctl.stored_bytes import stored

if TYPE_CHECKING:
    import psycopg

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.sandbox.server import Server

DATABASE = "rehearsal"
SESSION = "callctl migrate rehearse"
# Extensions whose functions reach other servers, files or programs: a trigger may call them.
REACHES_OUT = frozenset(
    {"dblink", "postgres_fdw", "file_fdw", "adminpack", "http", "pg_net", "pg_cron", "plperlu", "plpython3u", "pltclu"}
)
# Entries of a dump that lead to another server, or hold its password.
_OTHER_SERVERS = ("FOREIGN DATA WRAPPER", "FOREIGN TABLE", "SERVER", "USER MAPPING", "SUBSCRIPTION")
_LISTED = re.compile(r"(?P<number>\d+); \d+ \d+ (?P<entry>.+)")
_AT = re.compile(r"pg_restore: from TOC entry (?P<number>\d+); ")
_ERROR = re.compile(r"pg_restore: error: (?:could not execute query: )?(?:ERROR:\s+)?(?P<reason>.+)")
_SUBSTITUTES = "its functions for a new uuid have substitutes, the others fail where they are called"


@dataclass
class Built:
    """The rehearsal's database: where it is, its server's version, and what of the target it does without."""

    url: str
    version: str
    left_out: list[LeftOut] = field(default_factory=list)


def assert_new_enough(survey: Survey, server_major: int, source: str) -> None:
    """Raise ConfigError if the rehearsal's server is older than the target."""
    if server_major < survey.major:
        raise ConfigError(
            Code.PROGRAM_MISSING,
            f"the target is PostgreSQL {survey.major}, and the server for rehearsals is {server_major} ({source})",
            hint=f"set CALLCTL_PG_BIN to a directory with the programs of PostgreSQL {survey.major} or later",
        )


def build(target: Connection, settings: Settings, survey: Survey, server: Server) -> Built:
    """Dump the target's schema without a row, and make it again in the database ``rehearsal`` of ``server``.

    Raises ConfigError if a program is missing; StepFailed with what pg_dump said.
    """
    import psycopg

    built = Built(server.url(DATABASE), server.version, list(survey.left_out))
    with psycopg.connect(server.url(), autocommit=True, application_name=SESSION) as admin:
        _assert_own(admin, server)
        built.version = (admin.info.parameter_status("server_version") or server.version).partition(" ")[0]
        _make_database(admin, survey, built)
        available = {row[0] for row in admin.execute("SELECT name FROM pg_available_extensions")}
    unavailable = _unavailable(survey, available)
    built.left_out += [LeftOut("extension", name, reason) for name, reason in unavailable.items()]
    with tempfile.TemporaryFile() as dump:  # without a name: nothing is left of it, however callctl ends
        _dump(target, settings, survey, dump)
        with psycopg.connect(built.url, autocommit=True) as admin:
            _restore(admin, survey, dump, unavailable, built)
    if survey.collation not in ("C", "POSIX"):
        built.left_out.append(LeftOut("collation", survey.collation, "the rehearsal's database sorts text as C does"))
    return built


def _assert_own(admin: psycopg.Connection[tuple[object, ...]], server: Server) -> None:
    """Raise AssertionError if this session is not on the rehearsal's own server: everything below writes."""
    row = admin.execute("SHOW data_directory").fetchone()
    assert row is not None
    assert Path(str(row[0])).resolve() == (server.directory / "data").resolve(), "not the rehearsal's own server"


def _make_database(admin: psycopg.Connection[tuple[object, ...]], survey: Survey, built: Built) -> None:
    """Make the roles of the target, without passwords, and an empty database with its owner, privileges and path."""
    from psycopg import sql

    made = {row[0] for row in admin.execute("SELECT rolname FROM pg_roles")}
    for statement, role in survey.roles:
        if statement.startswith("CREATE ROLE") and role in made:
            if " SUPERUSER" not in statement:
                reason = "is a superuser on the rehearsal's server: its privileges are not rehearsed"
                built.left_out.append(LeftOut("role", role, reason))
        else:
            _try(admin, statement, built, LeftOut("role", role, ""))
    admin.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'").format(
            sql.Identifier(DATABASE), sql.Literal(survey.encoding)
        )
    )
    for statement in survey.of_database:
        _try(admin, statement, built, LeftOut("statement", statement, ""))


def _try(admin: psycopg.Connection[tuple[object, ...]], statement: str, built: Built, on_failure: LeftOut) -> None:
    import psycopg

    try:
        admin.execute(stored(statement))
    except psycopg.Error as error:
        built.left_out.append(LeftOut(on_failure.kind, on_failure.name, database.error_text(error)))


def _unavailable(survey: Survey, available: set[object]) -> dict[str, str]:
    """The extensions that are left out, each with the reason."""
    reasons = {}
    for name in survey.extensions:
        if name in REACHES_OUT:
            reasons[name] = f"its functions reach beyond the server; {_SUBSTITUTES}"
        elif name not in available:
            reasons[name] = f"the rehearsal's server does not have it; {_SUBSTITUTES}"
    return reasons


def _dump(target: Connection, settings: Settings, survey: Survey, dump: IO[bytes]) -> None:
    """Write pg_dump's definitions to ``dump``: no row, and no statistics, which hold values of rows."""
    program = find_program("pg_dump", survey.major, "a rehearsal")
    argv = [
        str(program.path), "--schema-only", "--format=custom", "--no-password", "--no-subscriptions",
        f"--lock-wait-timeout={max(settings.lock_timeout_ms, 5000)}ms", "--exclude-schema=callctl",
        # Since 18 pg_dump knows statistics: most_common_vals are values of rows.
        *(["--no-statistics"] if program.major >= 18 else []),
        *(f"--exclude-table={_pattern(table.schema)}.{_pattern(table.name)}" for table in survey.unreadable),
    ]  # fmt: skip
    if failure := _run(target, program, argv, stdout=dump.fileno()):
        raise StepFailed(
            Code.PG_DUMP_FAILED,
            f"pg_dump {program.version} ({program.source}) failed: {failure}",
            hint="fix the cause that pg_dump names, then run the same command again; the target was not changed",
        )


def _pattern(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(connection: Connection, program: Program, argv: Sequence[str], *, stdout: int) -> str | None:
    with reaching(connection, program, SESSION) as environment, Child(argv, environment, stdout=stdout) as child:
        return child.failure()


def _restore(
    admin: psycopg.Connection[tuple[object, ...]],
    survey: Survey,
    dump: IO[bytes],
    unavailable: Mapping[str, str],
    built: Built,
) -> None:
    """Make each entry of the dump. One that fails is named with the server's reason, and the others continue."""
    program = find_program("pg_restore", survey.major, "a rehearsal")
    entries = {
        number: entry for number, entry in _entries(program, dump).items() if not _is_left_out(entry, unavailable)
    }
    if unavailable:
        # Schemas first: the substitutes are in them, and the tables' defaults call these.
        schemas = {number: entry for number, entry in entries.items() if entry.kind == "SCHEMA"}
        _restore_entries(admin, program, dump, schemas, built)
        _make_substitutes(admin, survey, unavailable)
        entries = {number: entry for number, entry in entries.items() if number not in schemas}
    _restore_entries(admin, program, dump, entries, built)


def _make_substitutes(
    admin: psycopg.Connection[tuple[object, ...]], survey: Survey, unavailable: Mapping[str, str]
) -> None:
    """Make the functions of the extensions that are left out. One whose types are not there either is not made."""
    import psycopg

    for name, statement in survey.substitutes:
        if name in unavailable:
            with suppress(psycopg.Error):  # what needs it is told, where pg_restore makes that
                admin.execute(stored(statement))


def _restore_entries(
    admin: psycopg.Connection[tuple[object, ...]],
    program: Program,
    dump: IO[bytes],
    entries: Mapping[str, _Entry],
    built: Built,
) -> None:
    errors = _Errors(entries)
    with tempfile.TemporaryFile() as listed:
        listed.write("".join(f"{entry.line}\n" for entry in entries.values()).encode(errors="surrogateescape"))
        listed.seek(0)
        dump.seek(0)
        # --verbose: errors then name their entry. --no-tablespaces: those of the target are directories of its machine.
        argv = [
            str(program.path), f"--dbname={DATABASE}", "--no-password", "--no-tablespaces", "--verbose",
            f"--use-list=/dev/fd/{listed.fileno()}",
        ]  # fmt: skip
        streams: dict[str, Any] = {"stdin": dump.fileno(), "stdout": subprocess.DEVNULL, "keeps": [listed.fileno()]}
        with (
            reaching(admin, program, SESSION) as environment,  # the address goes by it
            Child(argv, environment, on_line=errors.heard, **streams) as child,
        ):
            failure = child.failure()
    if failure is not None and not errors.left_out:
        raise StepFailed(
            Code.PG_RESTORE_FAILED,
            f"pg_restore {program.version} ({program.source}) failed: {failure}",
            hint="fix the cause that pg_restore names, then run the same command again; the target was not changed",
        )
    built.left_out += errors.left_out


@dataclass(frozen=True)
class _Entry:
    """An entry of a dump: 'VIEW chatapp overview owner' is of kind 'VIEW'; ``line`` is that of the list."""

    line: str
    text: str

    @property
    def kind(self) -> str:
        """VIEW, FK CONSTRAINT."""
        return " ".join(takewhile(str.isupper, self.text.split(" ")))

    @property
    def name(self) -> str:
        """'chatapp.overview'; of what is in no schema the name alone."""
        # The role at the end is no part of the object.
        schema, _, rest = self.text.removeprefix(self.kind).strip().partition(" ")
        tag = rest.rpartition(" ")[0] or rest
        return tag if schema == "-" else f"{schema}.{tag}"


def _entries(program: Program, dump: IO[bytes]) -> dict[str, _Entry]:
    """The entries of the dump, by their numbers in it."""
    dump.seek(0)
    shown = subprocess.run(
        [program.path, "--list"], stdin=dump, env=dict(program.environment), capture_output=True, check=False
    ).stdout.decode(errors="surrogateescape")
    matches = filter(None, map(_LISTED.match, shown.splitlines()))
    return {match["number"]: _Entry(match[0], match["entry"]) for match in matches}


def _is_left_out(entry: _Entry, unavailable: Mapping[str, str]) -> bool:
    return any(entry.text.startswith(f"{kind} ") for kind in _OTHER_SERVERS) or any(
        entry.text.startswith((f"EXTENSION - {name} ", f"COMMENT - EXTENSION {name} ")) for name in unavailable
    )


class _Errors:
    """Reads pg_restore's messages: which entry failed, and the server's reason."""

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self.left_out: list[LeftOut] = []
        self._entries = entries
        self._at: _Entry | None = None
        self._failed: list[_Entry | None] = []
        self._told = False

    def heard(self, line: str) -> None:
        """A line of pg_restore's; in the thread that reads them."""
        if match := _AT.match(line):
            self._at = self._entries.get(match["number"])
            # Of several statements of an entry, such as CREATE and OWNER TO, the first that failed says why.
            self._told = self._at in self._failed
        elif not self._told and (match := _ERROR.match(line)):
            self._told = True
            self._failed.append(self._at)
            kind, name = ("object", "?") if self._at is None else (self._at.kind.lower(), self._at.name)
            self.left_out.append(LeftOut(kind, printable(redact(name)), redact(match["reason"].strip())))
