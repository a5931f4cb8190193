"""A backup: one file of pg_dump's that can restore everything, with a manifest."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from callctl import __version__, files
from callctl.backup.dump import DumpLockTimeout, DumpOptions, Source, Table, dump, one_snapshot, source_of, tables_of
from callctl.backup.file import BackupFile, Manifest, manifest_beside
from callctl.database import actions
from callctl.database import connection as database
from callctl.database.guarded import with_retries
from callctl.database.lock import BACKUP_SESSION, MigrationLock
from callctl.database.programs import Program, find_program
from callctl.errors import CallctlError, Code, ConfigError, Interrupted, Refused, State, StepFailed, quoted
from callctl.events import BackupProgress, Notice, OnEvent, ignore, sparing
from callctl.files import read_sql
from callctl.migration.steps import numbered

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# No session waits behind one that waits for ACCESS SHARE.
_PATIENCE = 10


@dataclass(frozen=True)
class PlannedBackup:
    """The contents of a backup that was not taken."""

    database: str
    server: str
    pg_dump: str
    pg_dump_source: str
    tables: int
    bytes: int
    left_out_schemas: tuple[str, ...]
    left_out_tables: tuple[str, ...]


@dataclass(frozen=True)
class Backup:
    """A backup that was taken; ``recorded`` in the database's audit trail, where that could be written."""

    file: Path
    manifest: Path
    bytes: int
    sha256: str
    taken_at: datetime
    database: str
    server: str
    pg_dump: str
    steps: tuple[int, ...]
    keys: tuple[str, ...]
    tables: int
    rows: int
    left_out_schemas: tuple[str, ...]
    left_out_tables: tuple[str, ...]
    recorded: bool
    seconds: float


def look(settings: Settings, name: str, exclude_schemas: Sequence[str] = ()) -> PlannedBackup:
    """Return the plan of :func:`backup`. Reads only; raises what it would raise before it begins."""
    for path in (Path(name), manifest_beside(Path(name))):
        files.assert_new(str(path))
    with closing(database.connect(settings, application_name=BACKUP_SESSION, session=True)) as connection:
        source, program = _begin(connection, settings, exclude_schemas)
        tables = tables_of(connection, exclude_schemas)
        return PlannedBackup(
            database=source.database,
            server=source.version,
            pg_dump=program.version,
            pg_dump_source=program.source,
            tables=sum(not table.unreadable for table in tables),
            bytes=sum(table.bytes for table in tables if not table.unreadable),
            left_out_schemas=tuple(exclude_schemas),
            left_out_tables=_left_out(tables),
        )


def backup(
    settings: Settings,
    name: str,
    *,
    exclude_schemas: Sequence[str] = (),
    wait: bool = False,
    on_event: OnEvent = ignore,
) -> Backup:
    """Dump the whole database, but for ``exclude_schemas``, into a new file ``name``; its manifest goes beside it.

    What is in it is one moment of the database; the row counts of the manifest are of the same. Clients are not held
    up: no lock beyond ACCESS SHARE. No migration runs meanwhile. If the database takes no writes, nothing is
    recorded in it, and a Notice says so.

    Raises, with no file left: Refused (something of that name is there; what stays needs a schema left out; a pooler),
    LockHeld, ConfigError (no fitting pg_dump; the file cannot be written), StepFailed, Interrupted.
    """
    began, on_event = time.monotonic(), sparing(on_event)
    with closing(BackupFile(name)) as file:
        try:
            with (
                MigrationLock(
                    settings, wait=wait, shared=True, name=BACKUP_SESSION, command="backup", on_event=on_event
                ),
                closing(database.connect(settings, application_name=BACKUP_SESSION, session=True)) as connection,
            ):
                manifest = _take(connection, settings, file, exclude_schemas, on_event)
                recorded = _record(connection, settings, file.path, manifest, on_event)
        except KeyboardInterrupt:
            if file.kept:
                raise Interrupted(
                    Code.INTERRUPTED,
                    f"interrupted; {name} is complete, but the database may have no record of it",
                    hint="take another backup, or give preflight the time of this one with --backup-taken-at",
                    state=State("unknown"),
                ) from None
            raise Interrupted(
                Code.INTERRUPTED, "interrupted; no file was left", hint="run the same command again", state=NO_FILE
            ) from None
        return Backup(
            file=file.path,
            manifest=file.manifest,
            **{name: getattr(manifest, name) for name in _IN_BOTH},
            server=manifest.server_version,
            tables=len(manifest.tables),
            recorded=recorded,
            seconds=time.monotonic() - began,
        )


_IN_BOTH = (
    "bytes sha256 taken_at database pg_dump steps keys rows left_out_schemas left_out_tables".split()  # noqa: SIM905
)


# A backup writes nothing to the database but its row in the audit trail, at the end.
NO_FILE = State("unchanged", "no file was left")


def _begin(connection: Connection, settings: Settings, left_out: Sequence[str]) -> tuple[Source, Program]:
    """Find obstacles before anything is locked or written; no query waits long for a lock."""
    database.set_lock_timeout(connection, _PATIENCE * settings.lock_timeout_ms)
    _assert_may_be_left_out(connection, settings, left_out)
    _assert_readable(connection, settings, left_out)
    source = source_of(connection)
    major = source.version_num // 10000
    return source, find_program("pg_dump", major, f"a backup of this server (PostgreSQL {source.version})")


def _assert_may_be_left_out(connection: Connection, settings: Settings, left_out: Sequence[str]) -> None:
    there = {row[0] for row in connection.execute(read_sql("backup/schemas.sql"))}
    for name in left_out:
        if name not in there:
            raise Refused(
                Code.SCHEMA_NEEDED,
                f"there is no schema {name} to leave out",
                hint="name a schema that psql's \\dn lists",
            )
        if name in (settings.schema, "callctl"):
            raise Refused(
                Code.SCHEMA_NEEDED,
                f"schema {name} cannot be left out: it holds the platform's tables or callctl's records",
                hint="remove that --exclude-schema from the command",
            )
    rows = connection.execute(read_sql("backup/dependents.sql"), {"left_out": list(left_out)}).fetchall()
    if rows:
        needs = "".join(f"\n  {mine} needs {other}" for mine, other in rows[:5])
        others = f"\n  and {len(rows) - 5} more" if len(rows) > 5 else ""
        raise Refused(
            Code.SCHEMA_NEEDED,
            f"the backup could not be restored without {quoted(left_out)}:{needs}{others}",
            hint="remove that --exclude-schema from the command",
        )


def _assert_readable(connection: Connection, settings: Settings, left_out: Sequence[str]) -> None:
    rows = connection.execute(read_sql("backup/unreadable.sql"), {"left_out": list(left_out)}).fetchall()
    if not rows:
        return
    denied = [(schema, f"{kind} {schema}.{name}") for schema, name, kind, reason in rows if reason == "denied"]
    hidden = [(schema, f"{schema}.{name}") for schema, name, _, reason in rows if reason == "hidden"]
    names = quoted(name for _, name in denied or hidden)
    schemas = dict.fromkeys(schema for schema, _ in (*denied, *hidden) if schema not in (settings.schema, "callctl"))
    leave = f", or leave out schemas that are not needed: {' '.join(f'--exclude-schema {name}' for name in schemas)}"
    if denied:
        problem = f"permission denied for {names}"
        hint = "connect as a role that may read all tables (GRANT pg_read_all_data TO that role)"
    else:
        problem = f"row-level security may hide rows of {names} from this role"
        hint = "connect as a superuser, or as a role with BYPASSRLS"
    raise StepFailed(
        Code.PERMISSION_DENIED, f"{problem}; {NO_FILE}", hint=hint + (leave if schemas else ""), state=NO_FILE
    )


def _take(
    connection: Connection, settings: Settings, file: BackupFile, left_out: Sequence[str], on_event: OnEvent
) -> Manifest:
    """Dump, count, and name both files. A lock that is not available is asked for again, from the beginning."""
    import psycopg

    _, program = _begin(connection, settings, left_out)
    patience_ms = _PATIENCE * settings.lock_timeout_ms

    def attempt() -> Manifest:
        file.begin()
        with one_snapshot(connection, left_out) as (snapshot, tables):
            source = source_of(connection)
            description = _described(connection, settings, source, tables, left_out, on_event)
            options = DumpOptions(program, left_out, source.standby, patience_ms)
            try:
                rows = dump(connection, options, snapshot, tables, file, on_event)
            except DumpLockTimeout as error:
                raise psycopg.errors.LockNotAvailable(str(error)) from None
        return replace(description, pg_dump=program.version, tables=rows)

    try:
        manifest = with_retries(settings, "a lock", attempt, on_event)
    except psycopg.Error as error:
        failed = database.translated(error, "the dump", "", NO_FILE)
        raise StepFailed(failed.code, failed.message.replace("\n", "; "), hint=failed.hint, state=NO_FILE) from error
    size = file.size
    sha256 = file.settle(
        lambda bytes_done: on_event(BackupProgress("check", file.path.name, bytes_done, size, "bytes", size))
    )
    manifest = replace(manifest, bytes=size, sha256=sha256)
    file.keep(manifest.text())
    return manifest


def _described(
    connection: Connection,
    settings: Settings,
    source: Source,
    tables: Sequence[Table],
    left_out: Sequence[str],
    on_event: OnEvent,
) -> Manifest:
    """The manifest, all but what only the dump knows; in the dump's snapshot."""
    names: dict[str, str] = {}
    steps: tuple[int, ...] = ()
    half_done: tuple[int, ...] = ()
    try:
        with connection.transaction():  # a savepoint: what fails in it must not end the snapshot
            state = numbered.status(connection, settings)
        names = {f"{table}.{documented}": actual for table, documented, actual in state.naming.describe()}
        steps, half_done = state.applied, tuple(sorted(state.half_done))
    except (ConfigError, Refused) as problem:
        on_event(Notice(f"the manifest does not say which steps are applied: {problem.message}"))
    has_keys = database.relation_exists(connection, "callctl", "encryption_key")
    path = _search_path(connection)
    # The rows are counted with it: the planner looks into functions that indexes use.
    connection.execute("SELECT set_config('search_path', %s, true)", (", ".join(map(_quoted, path)),))
    roles = connection.execute(read_sql("backup/roles.sql"), {"left_out": list(left_out)}).fetchall()
    return Manifest(
        bytes=0,
        sha256="",
        pg_dump="",
        taken_at=source.taken_at,
        callctl_version=__version__,
        server_version=source.version,
        server_version_num=source.version_num,
        database=source.database,
        encoding=source.encoding,
        collate=source.collate,
        ctype=source.ctype,
        standby=source.standby,
        database_settings=_names(connection, "backup/database_settings.sql"),
        owners=tuple(name for name, owns in roles if owns),
        grantees=tuple(name for name, owns in roles if not owns),
        extensions=_names(connection, "backup/extensions.sql"),
        schema=settings.schema,
        names=names,
        steps=steps,
        half_done=half_done,
        keys=_names(connection, "backup/keys.sql") if has_keys else (),
        left_out_schemas=tuple(left_out),
        left_out_tables=_left_out(tables),
        tables=(),
        search_path=path,
        grants=_names(connection, "backup/grants.sql", left_out=list(left_out)),
        policy_roles=_names(connection, "backup/policy_roles.sql", left_out=list(left_out)),
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _search_path(connection: Connection) -> tuple[str, ...]:
    """The schemas in which this session looks for a name, then those in which other roles do."""
    paths = [row[0] for row in connection.execute(read_sql("backup/search_paths.sql")).fetchall()]
    schemas: dict[str, None] = {}
    with connection.transaction(force_rollback=True):  # a savepoint: the path itself stays
        for path in (None, *paths):
            if path is not None:
                connection.execute("SELECT set_config('search_path', %s, true)", (path,))
            row = connection.execute("SELECT current_schemas(false)::text[]").fetchone()
            assert row is not None
            schemas.update(dict.fromkeys(row[0]))
    return tuple(name for name in schemas if name != "pg_catalog")


def _names(connection: Connection, file: str, **values: object) -> tuple[str, ...]:
    return tuple(str(row[0]) for row in connection.execute(read_sql(file), values or None).fetchall())


def _left_out(tables: Sequence[Table]) -> tuple[str, ...]:
    return tuple(table.full_name for table in tables if table.unreadable)


def _record(connection: Connection, settings: Settings, file: Path, manifest: Manifest, on_event: OnEvent) -> bool:
    """Write it into the audit trail, for preflight. A backup is one without that, too."""
    import psycopg

    detail = {
        "file": str(file.absolute()),
        "taken_at": manifest.taken_at.isoformat(),
        "bytes": manifest.bytes,
        "sha256": manifest.sha256,
        "tables": len(manifest.tables),
        "rows": manifest.rows,
        "steps": list(manifest.steps),
        "left_out_schemas": list(manifest.left_out_schemas),
    }
    try:
        actions.record_backup(connection, settings, "backup", detail, on_event)
    except psycopg.Error as error:
        why = database.error_text(error)
    except CallctlError as error:
        why = error.message
    else:
        return True
    on_event(
        Notice(
            f"the backup is complete, but callctl could not record it in the database, so preflight will not find"
            f" it: {why}"
        )
    )
    return False
