"""callctl's own schema in the database: history, checkpoints, and what is saved."""

from __future__ import annotations

import getpass
import shlex
import socket
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, LiteralString

from callctl import __version__
from callctl.database import connection as database
from callctl.database.guarded import in_transaction
from callctl.database.lock import STORE_CLASS
from callctl.errors import Code, Refused, StepFailed
from callctl.events import Direction, Expected, OnEvent, ignore
from callctl.files import read_sql, sql_names
from callctl.redaction import in_utf8

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


@dataclass(frozen=True)
class HistoryRow:
    """One step taken."""

    id: int
    step: int
    direction: Direction
    file: str
    sha256: str
    started_at: datetime
    finished_at: datetime
    database_role: str
    client: str
    callctl_version: str
    adopted: bool

    @property
    def seconds(self) -> float:
        """The duration of the step."""
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class _Step:
    """The history row of a step, as a message describes it."""

    step: int
    direction: Direction
    file: str
    sha256: str
    started_at: datetime
    adopted: bool


@dataclass(frozen=True)
class _Recorded(_Step):
    """A history row as it is stored (all None: there is no row), and whether a checkpoint of its step is left."""

    checkpoint_left: bool

    def as_step(self) -> _Step:
        """The row alone."""
        return _Step(self.step, self.direction, self.file, self.sha256, self.started_at, self.adopted)


@dataclass(frozen=True)
class Checkpoint:
    """The progress of one statement of the step under way."""

    statement: int
    finished: bool
    changed: int


@dataclass(frozen=True)
class Saved:
    """One kind of saved thing, and how many rows of it there are."""

    kind: str  # 'saved value', 'saved row', 'archived table', 'kept webhook secrets'
    name: str
    rows: int
    superseded: int


@dataclass(frozen=True)
class ChangedRecords:
    """A table of callctl's that does not hold what was written to it, or a part of it: a table and field saved.

    ``recorded`` and ``present`` count its rows; None if counting has not begun, or its count is gone.
    """

    relation: str
    part: str
    recorded: int | None
    present: int | None
    difference: str

    def __str__(self) -> str:
        name = f"callctl.{self.relation}" + (f", {self.part}" if self.part else "")
        counts = "" if self.recorded is None else f" ({self.recorded:,} recorded, {self.present:,} present)"
        return f"{name}: {self.difference}{counts}"


def exists(connection: Connection) -> bool:
    """Return whether callctl has ever written to this database."""
    return database.relation_exists(connection, "callctl", "history")


def is_archived(connection: Connection, table: str) -> bool:
    """Return whether a way down has put this table of the platform's into callctl's schema."""
    return exists(connection) and database.relation_exists(connection, "callctl", table)


def has_schema(connection: Connection) -> bool:
    """Return whether this database has a schema callctl, of any owner."""
    return bool(database.value(connection, "SELECT to_regnamespace('callctl') IS NOT NULL"))


def drop(connection: Connection, settings: Settings, on_event: OnEvent = ignore) -> None:
    """Drop callctl's schema with all that is in it: for a run that made it and recorded nothing."""

    def drop_schema() -> None:
        connection.execute(read_sql("database/drop_schema.sql"))

    in_transaction(connection, settings, drop_schema, on_event=on_event)


def absence(connection: Connection, platform_schema: str, table: str) -> str | None:
    """Why a table of the platform's that a down may archive is not there, as the end of a sentence; None if it is."""
    if database.relation_exists(connection, platform_schema, table):
        return None
    return "is archived" if database.relation_exists(connection, "callctl", table) else "is not there"


def schema_sql() -> LiteralString:
    """Return the script that makes or updates callctl's schema: the files of ``sql/store`` in order."""
    return "\n".join(read_sql(name) for name in sql_names("store"))


def create(connection: Connection, platform_schema: str) -> None:
    """Make callctl's schema, or bring it up to date, for the platform in ``platform_schema``.

    Webhook secrets that need not be kept any longer go. Raises Refused if it belongs to another schema already, and
    if a trigger or a rule of others is on a table of callctl's.
    """
    with connection.transaction():
        _assert_layout(connection)
        # An earlier callctl's saved values may be many, and the triggers that count have just locked out their writers:
        # the last statement of store_keys.sql, or the next run, begins to count them.
        uncounted = exists(connection) and not database.relation_exists(connection, "callctl", "tally")
        connection.execute(schema_sql())
        _assert_own_writes(connection)
        connection.execute(read_sql("database/record_installation.sql"), {"platform_schema": platform_schema})
        assert_owner(connection, platform_schema)
        if not uncounted:
            connection.execute(read_sql("database/begin_count.sql"), {"accepted": []})
        connection.execute(read_sql("database/expired_webhook_secrets.sql"))


def changed_records(connection: Connection) -> tuple[ChangedRecords, ...]:
    """The tables of callctl that another program has changed; empty if callctl does not count them yet."""
    if not database.relation_exists(connection, "callctl", "tally"):
        return ()
    return tuple(database.select(connection, ChangedRecords, read_sql("database/changed_records.sql")))


def accept_records(connection: Connection, changed: Iterable[ChangedRecords]) -> None:
    """Record what these tables hold as what was written to them, in the caller's transaction."""
    relations = sorted({records.relation for records in changed})
    connection.execute(read_sql("database/begin_count.sql"), {"accepted": relations})


def _assert_layout(connection: Connection) -> None:
    """Raise Refused if the saved values are kept as a development version before 0.1 kept them: by id alone."""
    old = connection.execute(read_sql("database/old_layout.sql")).fetchone()
    if old is not None:
        raise Refused(
            Code.STORE_VERSION,
            "an earlier development version made schema callctl and stored saved values in another form",
            hint="run migrate down --all with that version, then DROP SCHEMA callctl CASCADE;",
        )


def _assert_own_writes(connection: Connection) -> None:
    """Raise Refused if something of others could keep what callctl records from being stored as it is written."""
    hooks = connection.execute(read_sql("database/own_hooks.sql")).fetchall()
    if hooks:
        are, verb = ("is", "it may change") if len(hooks) == 1 else ("are", "they may change")
        raise Refused(
            Code.STORE_HOOKED,
            f"{'; '.join(hook for hook, _ in hooks)} {are} not callctl's: {verb} or discard what callctl records;"
            " nothing was changed",
            hint=f"run {' '.join(statement for _, statement in hooks)} then run the same command again",
        )


@dataclass(frozen=True)
class _NotReadable:
    """The owner of callctl's schema, the role that may not read it, and the statement that grants the access."""

    owner: str
    remedy: str
    reader: str


class Unreadable(Refused):
    """This role may not read callctl's schema; the hint is the statement that lets it."""


def assert_recognised(connection: Connection) -> bool:
    """Return whether callctl's schema is there; raises Refused if a schema of that name is no store of callctl's.

    Raises Unreadable if this role may not read it.
    """
    for problem in database.select(connection, _NotReadable, read_sql("database/store_readable.sql")):
        raise Unreadable(
            Code.STORE_UNREADABLE,
            f"role {problem.reader} may not read schema callctl, which role {problem.owner} owns",
            hint=problem.remedy,
        )
    names = ("history", "installation", "definition")
    there = connection.execute(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass('callctl.' || name) IS NOT NULL", (list(names),)
    ).fetchall()
    if 0 < len(there) < len(names):
        raise Refused(
            Code.STORE_NAME_TAKEN,
            f"schema callctl of this database was not made by callctl: it has callctl.{there[0][0]}, but not all of"
            f" {', '.join(names)}",
            hint="rename that schema: callctl keeps its history and its saved values in a schema named callctl",
        )
    return bool(there)


def assert_owner(connection: Connection, platform_schema: str) -> None:
    """Raise Refused if the store belongs to another schema of this database, or is no store of callctl's."""
    if not assert_recognised(connection):
        return
    recorded = database.value(connection, "SELECT platform_schema FROM callctl.installation")
    if recorded is not None and recorded != platform_schema:
        raise Refused(
            Code.STORE_OTHER_SCHEMA,
            f'schema callctl of this database belongs to the migration of schema "{recorded}", not "{platform_schema}"',
            hint=f"add --schema {shlex.quote(recorded)}; a database holds one migration",
        )


def history(connection: Connection) -> tuple[HistoryRow, ...]:
    """Every step taken, oldest first; empty if callctl never wrote."""
    if not exists(connection):
        return ()
    return tuple(database.select(connection, HistoryRow, read_sql("database/history.sql")))


def record(
    connection: Connection,
    step: int,
    direction: Direction,
    file: str,
    sha256: str,
    started_at: datetime,
    *,
    adopted: bool = False,
    expected: Expected | None = None,
) -> None:
    """Write the history row of a step and forget its checkpoints, in the caller's transaction.

    ``expected``: the seconds that it was expected to take, kept beside it.

    Raises StepFailed if either is not stored so.
    """
    meant = _Step(step, direction, file, sha256, started_at, adopted)
    values = {**asdict(meant), "client": client(), "version": __version__}
    written = connection.execute(read_sql("database/record_step.sql"), values).fetchone()
    if written and expected is not None:
        connection.execute(read_sql("database/record_forecast.sql"), {"history_id": written[0], **asdict(expected)})
    forget_checkpoints(connection, step)
    (stored,) = database.select(
        connection, _Recorded, read_sql("database/step_recorded.sql"), {"id": written and written[0], "step": step}
    )
    if stored.as_step() != meant:
        raise not_recorded(f"the history row of step {step} {direction}", "callctl.history")
    if stored.checkpoint_left:
        raise not_recorded(f"the end of step {step} {direction}", "callctl.checkpoint")


def not_recorded(stored: str, table: str) -> StepFailed:
    """The error for a row of callctl's own that is not stored as it was written."""
    return StepFailed(
        Code.NOT_STORED,
        f"{table} does not hold {stored} as callctl wrote it; this transaction was rolled back",
        hint=f"drop the trigger or rule on {table} that callctl verify names, then run the same command again",
    )


def client() -> str:
    """The user and the host that run this callctl."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return in_utf8(f"{user}@{socket.gethostname()}")


def checkpoints(connection: Connection, step: int, direction: Direction, sha256: str) -> dict[int, Checkpoint]:
    """Return the earlier progress of this step, by statement; checkpoints of another file do not count.

    They stay until the step is done, because they say that it has begun.
    """
    values = {"step": step, "direction": direction, "sha256": sha256}
    reached = database.select(connection, Checkpoint, read_sql("database/checkpoints.sql"), values)
    return {checkpoint.statement: checkpoint for checkpoint in reached}


def checkpoint(connection: Connection, step: int, direction: Direction, sha256: str, reached: Checkpoint) -> None:
    """Write how far a statement has come, in the caller's transaction.

    A step goes one way at a time: what a run in the other direction had reached is forgotten with the first of these.
    Raises StepFailed if it is not stored so.
    """
    forget_checkpoints(connection, step, "down" if direction == "up" else "up")
    values = {"step": step, "direction": direction, "sha256": sha256, **asdict(reached)}
    stored = connection.execute(read_sql("database/record_checkpoint.sql"), values).fetchone()
    if stored is None or tuple(stored) != (sha256, reached.statement, reached.finished, reached.changed):
        raise not_recorded(f"how far step {step} {direction} has come", "callctl.checkpoint")


def forget_checkpoints(connection: Connection, step: int, direction: Direction | None = None) -> None:
    """Delete the checkpoints of a step, of one direction or of both, in the caller's transaction."""
    connection.execute(read_sql("database/forget_checkpoints.sql"), {"step": step, "direction": direction})


def flush(connection: Connection, committed: str) -> None:
    """Return when everything committed on this database so far is on disk.

    ``committed`` names what was committed, for who reads the server's log of changes.
    """
    connection.execute(read_sql("database/flush.sql"), {"said": committed})


def begun_by_another_file(connection: Connection, step: int, direction: Direction, sha256: str) -> bool:
    """Return whether this step is partly applied by another file than the one here: callctl was upgraded in between."""
    query = "SELECT count(*) > 0 AND bool_and(sha256 <> %s) FROM callctl.checkpoint WHERE step = %s AND direction = %s"
    return bool(database.value(connection, query, (sha256, step, direction)))


def started(connection: Connection) -> tuple[tuple[int, Direction], ...]:
    """The steps that have committed something and are not done: (step, direction)."""
    if not exists(connection):
        return ()
    rows = connection.execute("SELECT DISTINCT step, direction FROM callctl.checkpoint ORDER BY 1").fetchall()
    return tuple((step, direction) for step, direction in rows)


def made_columns(connection: Connection, step: int) -> tuple[tuple[str, str], ...]:
    """The columns that a step has added to a table of the platform's: (table, column)."""
    rows = connection.execute(
        "SELECT relation, name FROM callctl.made WHERE step = %s AND kind = 'column' ORDER BY 1, 2", (step,)
    ).fetchall()
    return tuple((relation, name) for relation, name in rows)


def has_shadow(connection: Connection) -> bool:
    """Return whether the shadow column of an unfinished way down of step 1 is there."""
    if not exists(connection):
        return False
    return bool(database.value(connection, "SELECT EXISTS (SELECT FROM callctl.definition WHERE kind = 'shadow')"))


def saved_summary(connection: Connection) -> tuple[Saved, ...]:
    """The records that callctl keeps for a rollback, and that ``purge`` would delete."""
    if not exists(connection):
        return ()
    tables = connection.execute(read_sql("database/archived_tables.sql")).fetchall()
    return (
        *(Saved("archived table", name, _count(connection, name), 0) for (name,) in tables),
        *database.select(connection, Saved, read_sql("database/saved_summary.sql")),
        *_kept(connection),
    )


def _kept(connection: Connection) -> tuple[Saved, ...]:
    """The webhook secrets that were replaced; an older callctl's schema has no table of them."""
    there = database.relation_exists(connection, "callctl", "kept_webhook_secret")
    kept = _count(connection, "kept_webhook_secret") if there else 0
    return (Saved("kept webhook secrets", "integration_accounts.webhook_secret", kept, 0),) if kept else ()


def _count(connection: Connection, table: str) -> int:
    """The rows of a table of callctl's: counted, because what purge deletes is no place for an estimate."""
    from psycopg import sql

    return int(
        database.value(connection, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("callctl", table))) or 0
    )


# callctl's schema made or brought up to date beside a rotation.


def in_store(connection: Connection, settings: Settings, work: Callable[[], object], on_event: OnEvent) -> None:
    """Make callctl's schema or bring it up to date, and do ``work`` in the same transaction. Safe beside rotations."""

    def make_and_work() -> None:
        values = {"classid": STORE_CLASS, "schema": settings.schema}
        connection.execute(read_sql("database/store_alone.sql"), values)
        create(connection, settings.schema)
        work()

    in_transaction(connection, settings, make_and_work, shared=True, on_event=on_event)
