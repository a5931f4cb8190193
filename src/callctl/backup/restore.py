"""A backup put into an empty database: whole, compared with its manifest, or not at all."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from callctl.backup.dump import Source, rows_of, source_of, tables_of
from callctl.backup.file import Manifest, digest, manifest_beside, manifest_damaged, open_dump, read_manifest
from callctl.database import actions
from callctl.database import connection as database
from callctl.database.lock import RESTORE_SESSION, MigrationLock
from callctl.database.programs import Child, Program, find_program
from callctl.errors import CallctlError, Code, ConfigError, Interrupted, Refused, State, StepFailed, quoted
from callctl.events import BackupProgress, Notice, OnEvent, ignore, sparing
from callctl.files import read_sql
from callctl.server_errors import code_of

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# A dump put into a database, in the transaction of the connection that is given.
#
# pg_restore turns the dump into SQL, and callctl sends it. So the password stays here, an error has its SQLSTATE, what
# was restored can be compared with the manifest before it is committed, and a setting that an older server does not
# know can be left out.

Section = Literal["pre-data", "data", "post-data"]

_HINT_BYTES = 1 << 17
_END_OF_ROWS = b"\\.\n"
# What it puts around large objects; they belong into the one transaction.
_OWN_TRANSACTION = (b"BEGIN;\n", b"COMMIT;\n")
# What pg_restore says to psql alone, followed by a word that it makes up for the occasion; and at the end the other.
_FOR_PSQL, _AND_AT_THE_END = b"\\restrict ", b"\\unrestrict "
_NOT_BEFORE_17 = b"SET transaction_timeout = 0;\n"
_ESCAPES = b"SET standard_conforming_strings = off;\n"
_TABLES = frozenset({"table", "table attach"})
_FUNCTIONS = frozenset({"extension", "function", "procedure"})
# What pg_restore writes above each object.
_OBJECT = re.compile(rb"^--\n-- Name: .*; Type: (?P<type>.*); Schema: .*; Owner: .*\n--\n", re.MULTILINE)


@dataclass(frozen=True)
class Replay:
    """One dump on its way into one database. ``descriptor`` is the dump's, open to read."""

    connection: Connection
    program: Program
    descriptor: int
    no_owner: bool
    on_event: OnEvent
    # Where functions without a search_path of their own look for names until :meth:`settle`.
    search_path: Sequence[str]

    def contents(self) -> list[str]:
        """The lines of the dump's table of contents, each from its kind on: "TABLE DATA chatapp users platform".

        Raises StepFailed if pg_restore cannot read the dump.
        """
        with self._started("--list") as child:
            lines = [line.decode(errors="replace").rstrip("\n") for line in child.output]
            self._assert_whole(child)
        return [line.split(" ", 3)[3] for line in lines if not line.startswith(";") and line.count(" ") > 3]

    def escapes(self) -> bool:
        """Return whether the dump turns standard_conforming_strings off."""
        with self._restoring("pre-data") as child:
            for line in child.output:
                if line == _ESCAPES:
                    return True
                if line.startswith(b"-- Name: "):
                    break
        return False

    def definitions(self) -> None:
        """Schemas, types, functions, tables: what comes before the rows. Raises psycopg's errors, StepFailed."""
        text = self._text("pre-data")
        self.on_event(BackupProgress("definitions", "schemas, types, functions, tables", 0, 1, "objects"))
        self.connection.execute(
            "SELECT set_config('callctl.restore_path', %s::text[]::text, true)", (list(self.search_path),)
        )
        begin, lend = 0, False
        for kind, start, _ in _objects(text):
            # A table that is partitioned by an expression evaluates it at once.
            if lend and kind in _TABLES:
                self._send(text[begin:start])
                self._lend_path()
                begin, lend = start, False
            lend = lend or kind in _FUNCTIONS
        self._send(text[begin:])
        self._lend_path()

    def rows(self, total: int) -> None:
        """The rows of every table, sequences, large objects. ``total`` is what the manifest expects."""
        import psycopg

        with self._restoring("data") as child:
            lines = _Lines(child.output)
            try:
                self._send_rows(lines, total)
            except (psycopg.Error, _EndedEarly):
                if lines.ended:
                    self._assert_whole(child)  # half a line, because pg_restore could not continue
                raise
            self._assert_whole(child)

    def _send_rows(self, lines: _Lines, total: int) -> None:
        rows_done = 0
        statement: list[bytes] = []
        for line in self._meant(lines):
            if line in _OWN_TRANSACTION:
                continue
            statement.append(line)
            if line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
                self._send(b"".join(statement[:-1]))
                name = line.split(b" ", 2)[1].decode(errors="replace")
                with self.connection.cursor() as cursor, cursor.copy(line) as copy:
                    for block in lines.block():
                        copy.write(b"".join(block))
                        rows_done += len(block)
                        self.on_event(BackupProgress("rows", name, rows_done, total, "rows"))
                statement = []
            elif line.endswith(b";\n") and len(statement) > 200:  # large objects have many, a line each
                self._send(b"".join(statement))
                statement = []
        self._send(b"".join(statement))

    def indexes(self) -> None:
        """Restore everything that follows the rows: indexes, constraints, triggers, publications."""
        text = self._text("post-data")
        objects = _objects(text)
        self._send(text[: objects[0][1]] if objects else text)
        for number, (kind, start, end) in enumerate(objects):
            self.on_event(BackupProgress("indexes", kind, number, len(objects), "objects"))
            self._send(text[start:end])

    def settle(self) -> None:
        """Take back what functions were lent for the restore. Raises psycopg's errors."""
        self.connection.execute(read_sql("backup/return_path.sql"))

    def _lend_path(self) -> None:
        self.connection.execute(read_sql("backup/lend_path.sql"))

    def _text(self, section: Section) -> bytes:
        with self._restoring(section) as child:
            text = b"".join(self._meant(child.output))
            self._assert_whole(child)
        return text

    def _restoring(self, section: Section) -> Child:
        return self._started(
            f"--section={section}",
            "--file=-",
            # Another server has other disks.
            "--no-tablespaces",
            *(["--no-owner", "--no-privileges"] if self.no_owner else []),
        )

    def _started(self, *options: str) -> Child:
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        argv = [str(self.program.path), "--format=custom", *options]
        return Child(argv, self.program.environment, stdin=self.descriptor)

    def _assert_whole(self, child: Child) -> None:
        if (failure := child.failure()) is not None:
            raise StepFailed(
                Code.PG_RESTORE_FAILED,
                f"pg_restore {self.program.version} ({self.program.source}) cannot read the dump: {failure};"
                " nothing was restored",
                hint="compare the file's sha256sum with its manifest, and use a pg_restore that is not older than"
                " the pg_dump",
                state=_STANDS,
            )

    def _send(self, text: bytes) -> None:
        if text.strip():
            self.connection.execute(text)

    def _meant(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines that are for this server: not for psql, and no setting that only a later one knows."""
        above, last = True, b""
        for line in lines:
            above = above and not line.startswith(b"-- Name: ")
            if above and line.startswith(_FOR_PSQL):
                last = line.replace(_FOR_PSQL, _AND_AT_THE_END, 1)
            elif not (
                line == last or (above and line == _NOT_BEFORE_17 and self.connection.info.server_version < 170000)
            ):
                yield line


def _objects(text: bytes) -> list[tuple[str, int, int]]:
    """The objects in a script of pg_restore's: kind, and where the text begins and ends."""
    matches = list(_OBJECT.finditer(text))
    ends = [match.start() for match in matches[1:]] + [len(text)] * bool(matches)
    return [
        (match["type"].decode(errors="replace").lower(), match.start(), end)
        for match, end in zip(matches, ends, strict=True)
    ]


class _EndedEarly(Exception):
    """The script ends among the rows of a table."""


class _Lines:
    """The lines of a script; and after a COPY, those of its rows, many at a time. ``ended``: there are no more."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.ended = False
        self._stream = stream
        self._ahead: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        while True:
            if not self._ahead:
                self._ahead = self._stream.readlines(_HINT_BYTES)[::-1]
                if not self._ahead:
                    self.ended = True
                    return
            yield self._ahead.pop()

    def block(self) -> Iterator[list[bytes]]:
        """Rows up to the line that ends them, which is taken away. Raises _EndedEarly."""
        while True:
            lines = self._ahead[::-1] or self._stream.readlines(_HINT_BYTES)
            self._ahead = []
            if not lines:
                self.ended = True
                raise _EndedEarly
            try:
                end = lines.index(_END_OF_ROWS)
            except ValueError:
                yield lines
                continue
            self._ahead = lines[end + 1 :][::-1]
            if end:
                yield lines[:end]
            return


# A backup put into an empty database: whole, compared with its manifest, or not at all.

_STANDS = State("unchanged", "nothing was restored: the database is still empty")
_COMMIT = "the commit"
_UNKNOWN = State("unknown", "the connection was lost during COMMIT: check whether the database is empty")


@dataclass(frozen=True)
class Restored:
    """A backup that was restored, or with ``dry_run`` could be. ``settings_left`` are to be set by hand."""

    file: Path
    database: str
    server: str
    taken_at: datetime
    taken_of: str
    steps: tuple[int, ...]
    keys: tuple[str, ...]
    tables: int
    rows: int
    owners_kept: bool
    settings_left: tuple[str, ...]
    dry_run: bool
    seconds: float


@dataclass(frozen=True)
class _Dump:
    file: Path
    descriptor: int
    manifest: Manifest
    program: Program


def examine(name: str) -> Manifest:
    """Return the manifest of a dump, if both exist and the dump has the manifest's size. Raises ConfigError."""
    with _opened(name) as dump:
        return dump.manifest


def check(settings: Settings, name: str, *, no_owner: bool = False, on_event: OnEvent = ignore) -> Restored:
    """Return whether :func:`restore` would begin: everything it checks before, and nothing changed.

    Raises what it would.
    """
    began, on_event = time.monotonic(), sparing(on_event)
    with (
        _opened(name) as dump,
        closing(database.connect(settings, application_name=RESTORE_SESSION, session=True)) as connection,
    ):
        target = _assert_fits(connection, dump, on_event, no_owner=no_owner)
        _assert_sound(dump, on_event)
        _assert_contents(_replay(connection, dump, on_event, no_owner=no_owner), dump)
        return _answer(dump, target, connection, began, no_owner=no_owner, dry_run=True)


def restore(settings: Settings, name: str, *, no_owner: bool = False, on_event: OnEvent = ignore) -> Restored:
    """Put the dump ``name`` into the database of ``settings``, which must be empty, in one transaction.

    Before it is committed, the rows of every table are compared with the manifest. With ``no_owner`` everything belongs
    to the role that is connected, and grants are left out.

    Raises ConfigError (the file, its manifest, no fitting pg_restore), Refused (the database is not empty, or is not
    what the dump needs), StepFailed and Interrupted with nothing restored, LockHeld.
    """
    began, on_event = time.monotonic(), sparing(on_event)
    with _opened(name) as dump:
        settings = replace(settings, schema=dump.manifest.schema)
        with (
            MigrationLock(settings, name=RESTORE_SESSION, command="restore", on_event=on_event),
            closing(database.connect(settings, application_name=RESTORE_SESSION, session=True)) as connection,
        ):
            try:
                target = _assert_fits(connection, dump, on_event, no_owner=no_owner)
                _assert_sound(dump, on_event)
                replay = _replay(connection, dump, on_event, no_owner=no_owner)
                _assert_contents(replay, dump)
                there = _grants(connection)
            except KeyboardInterrupt:
                raise Interrupted(
                    Code.INTERRUPTED, f"interrupted; {_STANDS}", hint="run the same command again", state=_STANDS
                ) from None
            _restore(replay, dump, there)
        with closing(database.connect(settings, application_name=RESTORE_SESSION, session=True)) as connection:
            _record(connection, settings, dump, on_event)
            _analyze(connection, dump.manifest, on_event)
            return _answer(dump, target, connection, began, no_owner=no_owner, dry_run=False)


def _answer(
    dump: _Dump, target: Source, connection: Connection, began: float, *, no_owner: bool, dry_run: bool
) -> Restored:
    manifest = dump.manifest
    there = {row[0] for row in connection.execute(read_sql("backup/database_settings.sql"))}
    return Restored(
        file=dump.file,
        database=target.database,
        server=target.version,
        taken_at=manifest.taken_at,
        taken_of=manifest.database,
        steps=manifest.steps,
        keys=manifest.keys,
        tables=len(manifest.tables),
        rows=manifest.rows,
        owners_kept=not no_owner,
        settings_left=tuple(name for name in manifest.database_settings if name not in there),
        dry_run=dry_run,
        seconds=time.monotonic() - began,
    )


# ---- before ---------------------------------------------------------------------------------------------


@contextmanager
def _opened(name: str) -> Iterator[_Dump]:
    """The dump, its manifest, and a pg_restore that can read it; the file's size is that of the manifest."""
    file = Path(name)
    descriptor = open_dump(file)
    try:
        manifest = read_manifest(file)
        size = os.fstat(descriptor).st_size
        if size != manifest.bytes:
            raise ConfigError(
                Code.BACKUP_DAMAGED,
                f"{file} is incomplete: it has {size:,} bytes, and {manifest.bytes:,} were written",
                hint="copy the dump again from the place where the backup was made",
            )
        major = int(manifest.pg_dump.split(".")[0]) if manifest.pg_dump[:1].isdigit() else 0
        program = find_program("pg_restore", major, f"a dump by pg_dump {manifest.pg_dump}")
        yield _Dump(file, descriptor, manifest, program)
    finally:
        os.close(descriptor)


def _assert_sound(dump: _Dump, on_event: OnEvent) -> None:
    total = dump.manifest.bytes
    actual = digest(
        dump.descriptor,
        lambda bytes_done: on_event(BackupProgress("check", dump.file.name, bytes_done, total, "bytes", total)),
    )
    if actual != dump.manifest.sha256:
        raise ConfigError(
            Code.BACKUP_DAMAGED,
            f"{dump.file} is damaged: its SHA-256 begins "
            f"with {actual[:12]}, the manifest has {dump.manifest.sha256[:12]}",
            hint=f"copy the dump and {manifest_beside(dump.file).name} again from the place where the backup was made",
        )


def _assert_contents(replay: Replay, dump: _Dump) -> None:
    """Raise if the dump's table of contents and its manifest contradict each other, or no server takes it."""
    contents = replay.contents()
    manifest = dump.manifest
    with_rows = sum(line.startswith("TABLE DATA ") for line in contents)
    if with_rows and not manifest.tables:
        raise manifest_damaged(
            manifest_beside(dump.file), f"it names no table, but the dump has the rows of {with_rows:,} tables"
        )
    known = tuple(f"EXTENSION - {name} " for name in manifest.extensions)
    unknown = [
        line.split(" ")[2] for line in contents if line.startswith("EXTENSION - ") and not line.startswith(known)
    ]
    if unknown:
        raise manifest_damaged(
            manifest_beside(dump.file), f"it does not name extensions that the dump creates: {quoted(unknown)}"
        )
    if replay.escapes():
        raise Refused(
            Code.BACKUP_UNFIT,
            f"{dump.file} was written with standard_conforming_strings = off, which PostgreSQL 19 refuses",
            hint="take another backup: this callctl sets the parameter to on; or restore this file "
            "into PostgreSQL 18 or older: pg_restore --exit-on-error --single-transaction --dbname=NEW_DATABASE FILE",
        )


def _assert_fits(connection: Connection, dump: _Dump, on_event: OnEvent, *, no_owner: bool) -> Source:
    """Raise Refused if the database is not empty, or cannot hold the dump; say what will be different."""
    manifest, target = dump.manifest, source_of(connection)
    where = f"database {target.database}"
    if target.standby:
        raise Refused(Code.READ_ONLY, f"{where} is on a standby, which is read-only", hint="restore on a primary")
    occupied = connection.execute(read_sql("backup/occupied.sql")).fetchall()
    if occupied:
        held = "; ".join(
            f"{kind}s: {count} ({quoted(names)}{', …' if count > 3 else ''})" for kind, count, names in occupied
        )
        raise Refused(
            Code.DATABASE_NOT_EMPTY,
            f"{where} is not empty: {held}",
            hint="run createdb --template=template0 NEW_DATABASE, then restore into it with --database",
        )
    if target.version_num // 10000 < manifest.server_version_num // 10000:
        raise Refused(
            Code.BACKUP_UNFIT,
            f"the dump is from PostgreSQL {manifest.server_version}, and this server is {target.version}",
            hint="restore on a server of the same version or a later one",
        )
    if target.encoding != manifest.encoding:
        raise Refused(
            Code.BACKUP_UNFIT,
            f"the dump's encoding is {manifest.encoding}, and that of {where} is {target.encoding}",
            hint=f"run createdb --template=template0 --encoding={manifest.encoding} NEW_DATABASE",
        )
    may = connection.execute(read_sql("backup/may_create.sql")).fetchone()
    if not (may and may[0]):
        raise Refused(
            Code.PERMISSION_DENIED,
            f"this role has no CREATE privilege on {where}",
            hint="connect as the database's owner",
        )
    _assert_nothing_lacks(connection, manifest, no_owner=no_owner)
    privileges = [row[0] for row in connection.execute(read_sql("backup/default_privileges.sql"))]
    if privileges:
        raise Refused(
            Code.DATABASE_NOT_EMPTY,
            f"{where} has default privileges, which every object that this role restores would get:"
            f" {quoted(privileges)}",
            hint="run createdb --template=template0 NEW_DATABASE and restore into it, or revoke "
            "them with ALTER DEFAULT PRIVILEGES … REVOKE (psql's \\ddp lists them)",
        )
    _tell_needs(manifest, on_event, no_owner=no_owner)
    if (target.collate, target.ctype) != (manifest.collate, manifest.ctype):
        on_event(
            Notice(f"the dump's locale is {manifest.collate}, {where} has {target.collate}: texts may sort differently")
        )
    return target


def _assert_nothing_lacks(connection: Connection, manifest: Manifest, *, no_owner: bool) -> None:
    # Without owners and grants the policies are still there, and each names its roles.
    grantees = manifest.policy_roles if no_owner else (*manifest.grantees, *manifest.policy_roles)
    parameters = {
        "owners": [] if no_owner else list(manifest.owners),
        "grantees": list(grantees),
        "extensions": list(manifest.extensions),
    }
    rows = connection.execute(read_sql("backup/lacking.sql"), parameters).fetchall()
    problems: list[str] = []
    hints: list[str] = []

    def lacking(kind: str, absent: bool, problem: str, hint: str) -> None:
        names = [name for row_kind, name, missing in rows if row_kind == kind and missing == absent]
        if names:
            problems.append(f"{problem}: {quoted(names)}")
            hints.extend([hint] * (hint not in hints))

    lacking(
        "extension",
        True,
        "the dump needs extensions that this server does not have",
        "install the extensions on the server (Debian has most of them in postgresql-contrib), or restore on another"
        " server",
    )
    lacking(
        "extension",
        False,
        "the dump needs extensions that this role may not create",
        "connect as a superuser, or have a superuser run CREATE EXTENSION in the new database first",
    )
    create = "create the roles (pg_dumpall --roles-only on the old server) and connect as a superuser"
    create += (
        "; policies name them, so --no-owner does not help"
        if no_owner
        else (", or leave owners and grants out with --no-owner")
    )
    roles = (
        "row-level security policies name roles"
        if no_owner
        else "the dump's objects belong to roles, or grant to roles,"
    )
    lacking("role", True, f"{roles} that do not exist on this server", create)
    lacking("role", False, f"{roles} to which this role cannot grant anything", create)
    if problems:
        raise Refused(Code.RESTORE_NEEDS, "; ".join(problems), hint="; ".join(hints))


def _tell_needs(manifest: Manifest, on_event: OnEvent, *, no_owner: bool) -> None:
    """Say which extensions the dump needs, and which roles its grants and policies name; all of them are there."""
    roles = {*manifest.policy_roles, *(() if no_owner else manifest.grantees)}
    for kind, names in (("extensions", manifest.extensions), ("roles", sorted(roles))):
        if names:
            on_event(Notice(f"the dump needs these {kind}, and the server has them: {', '.join(names)}"))


# ---- the restore itself ---------------------------------------------------------------------------------


def _replay(connection: Connection, dump: _Dump, on_event: OnEvent, *, no_owner: bool) -> Replay:
    path = dump.manifest.search_path or (dump.manifest.schema, "public")
    return Replay(connection, dump.program, dump.descriptor, no_owner, on_event, path)


def _restore(replay: Replay, dump: _Dump, there: frozenset[str]) -> None:
    """Everything in one transaction; ``there`` is what the empty database grants."""
    import psycopg

    connection = replay.connection
    doing = "the definitions"
    try:
        with connection.transaction():
            replay.definitions()
            doing = "the rows"
            replay.rows(dump.manifest.rows)
            doing = "the indexes and constraints"
            replay.indexes()
            doing = "the comparison with the manifest"
            _assert_same_rows(connection, dump.manifest, replay.on_event)
            replay.settle()
            _assert_same_grants(connection, dump.manifest, there, no_owner=replay.no_owner)
            doing = _COMMIT
    except psycopg.Error as error:
        state = _UNKNOWN if doing == _COMMIT and connection.closed else _STANDS
        raise StepFailed(
            code_of(error), f"{doing}: {database.error_text(error)}; {state}", hint=_hint(error), state=state
        ) from error
    except KeyboardInterrupt:
        state = _UNKNOWN if doing == _COMMIT else _STANDS
        raise Interrupted(
            Code.INTERRUPTED, f"interrupted; {state}", hint="run the same command again", state=state
        ) from None


def _hint(error: Exception) -> str:
    from psycopg import errors

    if isinstance(error, errors.InsufficientPrivilege):
        return "connect as a superuser or as the role that owned it, or add --no-owner"
    if isinstance(error, errors.UndefinedObject) and "role" in str(error):
        return "create the role, or leave owners and grants out with --no-owner"
    if isinstance(error, errors.UndefinedFunction | errors.UndefinedTable | errors.UndefinedObject):
        return (
            "run ALTER FUNCTION … SET search_path = … on the old server for each function "
            "that uses a name without its schema, then take another backup"
        )
    if isinstance(error, errors.OutOfMemory):
        return "raise max_locks_per_transaction on the server: the restore is one transaction"
    if isinstance(error, errors.DiskFull):
        return "make room on the server's disk, then run the same command again"
    return "fix what the server names, then run the same command again"


def _assert_same_rows(connection: Connection, manifest: Manifest, on_event: OnEvent) -> None:
    """Compare every table with the manifest, before anything of it is committed."""
    wrong: list[str] = []
    for number, table in enumerate(manifest.tables):
        name = f"{table.schema}.{table.table}"
        on_event(BackupProgress("compare", name, number, len(manifest.tables), "tables"))
        row_count = rows_of(connection, table.schema, table.table)
        if row_count != table.rows:
            wrong.append(f"{name} has {row_count:,} rows, not {table.rows:,}")
    known = {(table.schema, table.table) for table in manifest.tables}
    for found_table in tables_of(connection, ()):
        if (
            found_table.schema,
            found_table.name,
        ) not in known and found_table.full_name not in manifest.left_out_tables:
            wrong.append(f"{found_table.full_name} is not in the manifest")
    if wrong:
        raise StepFailed(
            Code.RESTORE_DIFFERS,
            f"the restored rows differ from the manifest: {quoted(wrong)}; {_STANDS}",
            hint="copy the dump and its manifest again: the dump is damaged, or the manifest is of another dump",
            state=_STANDS,
        )


def _grants(connection: Connection) -> frozenset[str]:
    rows = connection.execute(read_sql("backup/grants.sql"), {"left_out": []}).fetchall()
    return frozenset(str(row[0]) for row in rows)


def _assert_same_grants(connection: Connection, manifest: Manifest, there: frozenset[str], *, no_owner: bool) -> None:
    """Compare what is granted with the manifest; ``there`` is what the empty database granted, on schema public."""
    if manifest.grants is None and not no_owner:
        return
    expected = there if no_owner else frozenset(manifest.grants or ())
    grants = _grants(connection)
    # GRANT ALL of an older server is one of this server, where a table has a privilege more.
    later = "" if manifest.server_version_num >= 170000 else " MAINTAIN "
    wrong = [
        line
        for line in sorted(grants ^ expected)
        if not (later and later in line)
        # The rights on schema public that PostgreSQL 15 no longer gives stay with the old server.
        and not (line in expected and " ON schema public " in line)
    ]
    if wrong:
        raise StepFailed(
            Code.RESTORE_DIFFERS,
            "the restored grants differ from the manifest: "
            + quoted(f"{line} {'is missing' if line in expected else 'is not in the manifest'}" for line in wrong)
            + f"; {_STANDS}",
            hint="restore into a database that createdb --template=template0 made: other templates may grant more",
            state=_STANDS,
        )


def _record(connection: Connection, settings: Settings, dump: _Dump, on_event: OnEvent) -> None:
    import psycopg

    detail = {
        "file": str(dump.file.absolute()),
        "taken_at": dump.manifest.taken_at.isoformat(),
        "taken_of": dump.manifest.database,
        "sha256": dump.manifest.sha256,
        "rows": dump.manifest.rows,
    }
    try:
        actions.record_backup(connection, settings, "restore", detail, on_event)
    except (psycopg.Error, CallctlError) as error:
        why = error.message if isinstance(error, CallctlError) else database.error_text(error)
        on_event(Notice(f"everything is restored, but callctl could not record the restore in the database: {why}"))


def _analyze(connection: Connection, manifest: Manifest, on_event: OnEvent) -> None:
    """Give the planner its statistics: without them every query is planned for tables of a few rows."""
    import psycopg
    from psycopg import sql

    for number, table in enumerate(manifest.tables):
        name = f"{table.schema}.{table.table}"
        on_event(BackupProgress("analyze", name, number, len(manifest.tables), "tables"))
        try:
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table.schema, table.table)))
        except psycopg.Error as error:
            on_event(Notice(f"everything is restored, but ANALYZE {name} failed: {database.error_text(error)}"))
            if connection.closed:
                return
