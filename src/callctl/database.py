"""Connections, timeouts, retries, the migration lock, and what the server says turned into our errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeAlias, TypeVar

from callctl.errors import CallctlError, ConnectionFailed, LockHeld, Refused, StepFailed
from callctl.events import OnEvent, Waiting, ignore
from callctl.files import read_sql
from callctl.redaction import redact

if TYPE_CHECKING:
    import psycopg

    from callctl.config import Settings

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
    Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]

OLDEST_SERVER = 120000
# 'call' in ASCII: the first half of the advisory lock's key; the second is the schema's hash.
LOCK_CLASS = 0x63616C6C

Result = TypeVar("Result")


def connect(settings: Settings, *, application_name: str = "callctl") -> Connection:
    """Open a connection in autocommit, without prepared statements (a pooler may change the server between two).

    Raises ConnectionFailed where the server cannot be reached, is not PostgreSQL, or is older than 12.
    """
    import psycopg

    try:
        connection = psycopg.connect(
            settings.database_url or "",
            autocommit=True,
            prepare_threshold=None,
            application_name=application_name,
            connect_timeout=10,
            client_encoding="UTF8",
        )
    except psycopg.Error as error:
        raise _unreachable(error, settings) from None
    try:
        _recognise(connection)
        connection.execute(read_sql("catalog/session.sql").encode())
    except psycopg.Error as error:
        connection.close()
        raise _unreachable(error, settings) from None
    except CallctlError:
        connection.close()
        raise
    return connection


def _recognise(connection: Connection) -> None:
    row = connection.execute("SELECT version()").fetchone()
    name = str(row[0]) if row else "something unknown"
    if not name.startswith("PostgreSQL"):
        raise ConnectionFailed(
            f"this is not PostgreSQL but {name.split(' on ')[0][:60]}", hint="callctl needs PostgreSQL 12 or later"
        )
    if connection.info.server_version < OLDEST_SERVER:
        raise ConnectionFailed(
            f"the server is {' '.join(name.split()[:2])}; callctl needs PostgreSQL 12 or later",
            hint="upgrade the server first; nothing was changed",
        )


def _unreachable(error: psycopg.Error, settings: Settings) -> ConnectionFailed:
    text = redact(str(error)).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # The first line is the reason; those after it are libpq's guesses.
    said = lines[0].removeprefix("connection failed: ") if lines else type(error).__name__
    hint = f"the address comes from {settings.database_source}; is it the right one?"
    if "password authentication failed" in text or "no password supplied" in text:
        hint = "put the right password into .pgpass or CALLCTL_DATABASE_URL"
    elif "does not exist" in text and "database" in text:
        hint = f"the database's name comes from {settings.database_source}; psql -l lists those the server has"
    elif "role" in text and "does not exist" in text:
        hint = f"the user's name comes from {settings.database_source}"
    elif "SSL negotiation" in text or "expected authentication request" in text or "protocol" in text:
        said, hint = "what answers there does not speak PostgreSQL's protocol", "is the port PostgreSQL's?"
    elif any(sign in text for sign in ('missing "="', "invalid connection option", "invalid URI", "invalid port")):
        return ConnectionFailed(
            f"{settings.database_source} is not a connection string that libpq understands: {said}",
            hint="write postgresql://user@host:5432/database",
        )
    return ConnectionFailed(f"cannot connect to the database: {said}", hint=hint)


def error_text(error: psycopg.Error) -> str:
    """The server's message with its SQLSTATE. Never its DETAIL, which may quote a row."""
    said = error.diag.message_primary or str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{redact(said)} (SQLSTATE {error.sqlstate})" if error.sqlstate else redact(said)


def caret(error: psycopg.Error, sql: str) -> str:
    """The line of the statement that the server points at, with a caret under the place; empty if it points nowhere."""
    if not error.diag.statement_position:
        return ""
    at = min(int(error.diag.statement_position) - 1, len(sql))
    start = sql.rfind("\n", 0, at) + 1
    end = sql.find("\n", at)
    line = sql[start : end if end >= 0 else len(sql)]
    return f"\n  {line}\n  {' ' * (at - start)}^"


@contextmanager
def read_only(connection: Connection) -> Iterator[None]:
    """A READ ONLY transaction with one snapshot; rolled back at the end, whatever happens."""
    import psycopg

    with connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        try:
            yield
        except psycopg.OperationalError as error:
            raise lost(error) from error


def lost(error: psycopg.Error) -> ConnectionFailed:
    """The error for a connection that broke while it was in use."""
    return ConnectionFailed(
        f"the server ended the connection: {error_text(error)}",
        hint="run the same command again: it goes on from what was committed",
    )


def set_lock_timeout(connection: Connection, milliseconds: int, *, local: bool) -> None:
    """Bound how long the next statements wait for a lock, and read it back.

    Behind a pooler a setting can land on another server connection; then this refuses to go on.
    """
    connection.execute("SELECT set_config('lock_timeout', %s, %s)", (f"{milliseconds}ms", local))
    row = connection.execute("SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'").fetchone()
    if row is None or row[0] != milliseconds:
        raise Refused(
            "lock_timeout does not stay set on this connection",
            hint="callctl needs PostgreSQL itself, or a pooler in session mode: use the server's own port",
        )


def with_retries(settings: Settings, what: str, attempt: Callable[[], Result], on_event: OnEvent = ignore) -> Result:
    """Make an attempt again when it gave up a lock (55P03), lost a deadlock (40P01) or its snapshot (40001).

    ``attempt`` leaves no transaction open when it raises. Gives up after ``lock_wait_ms`` with the last error.
    """
    import psycopg

    began = time.monotonic()
    tries = 0
    while True:
        tries += 1
        try:
            return attempt()
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.DeadlockDetected,
            psycopg.errors.SerializationFailure,
        ):
            waited = time.monotonic() - began
            if waited * 1000 >= settings.lock_wait_ms:
                raise
            on_event(Waiting(what, waited))
            # Jitter, so that two who collided do not collide again.
            time.sleep(min(0.05 * 2 ** min(tries, 6), 2.0) * random.uniform(0.5, 1.0))


class MigrationLock:
    """The advisory lock that lets one callctl at a time change this schema.

    It is taken on a connection of its own, by polling: a session that waits in pg_advisory_lock() holds a snapshot, and
    CREATE INDEX CONCURRENTLY waits for snapshots. It goes with its connection, so a killed run leaves nothing behind.
    """

    def __init__(self, settings: Settings, *, wait: bool = False, on_event: OnEvent = ignore) -> None:
        self._settings = settings
        self._wait = wait
        self._on_event = on_event
        self._connection: Connection | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        self._connection = connect(self._settings, application_name="callctl lock")
        self._pid = self._backend_pid()
        began = time.monotonic()
        while not self._try():
            waited = time.monotonic() - began
            if not self._wait or waited * 1000 >= self._settings.lock_wait_ms:
                holder = self._holder()
                self._connection.close()
                raise LockHeld(
                    f"another callctl is at work on schema {self._settings.schema}{holder}",
                    hint="wait for it to finish, or run with --wait; a run that was killed lets go by itself",
                )
            self._on_event(Waiting("another callctl to finish", waited))
            time.sleep(0.5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None and not self._connection.closed:
            self._connection.close()  # the lock goes with the session

    def assert_held(self) -> None:
        """Raise StepFailed where the lock's session is gone: somebody else may have the lock by now."""
        import psycopg

        try:
            if self._backend_pid() == self._pid:
                return
            problem = "the migration lock's connection changed its server process (a pooler?)"
        except psycopg.Error as error:
            problem = f"the connection that holds the migration lock broke: {error_text(error)}"
        raise StepFailed(
            f"{problem}; stopped before the next statement",
            hint="run the same command again: it goes on from what was committed",
        )

    def ask(self, query: str, values: dict[str, object]) -> tuple[Any, ...] | None:
        """The first row of a query, on this connection of its own. Raises psycopg.Error."""
        assert self._connection is not None
        return self._connection.execute(query.encode(), values).fetchone()

    def _backend_pid(self) -> int:
        assert self._connection is not None
        row = self._connection.execute("SELECT pg_backend_pid()").fetchone()
        return int(row[0]) if row else 0

    def _try(self) -> bool:
        assert self._connection is not None
        row = self._connection.execute(
            "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (LOCK_CLASS, self._settings.schema)
        ).fetchone()
        return bool(row and row[0])

    def _holder(self) -> str:
        assert self._connection is not None
        key = self._connection.execute("SELECT hashtext(%s)::bigint & 4294967295", (self._settings.schema,)).fetchone()
        row = self._connection.execute(
            read_sql("catalog/lock_holder.sql").encode(), {"classid": LOCK_CLASS, "objid": key and key[0]}
        ).fetchone()
        if row is None:
            return ""
        return f" (pid {row[0]}, {row[1]}, from {row[2]} as {row[3]}, for {str(row[4]).split('.')[0]})"


def translate(error: psycopg.Error, where: str, sql: str, state: str) -> NoReturn:
    """Raise the StepFailed that says where a statement failed, what the server said, and what now stands."""
    import psycopg

    if isinstance(error, psycopg.errors.LockNotAvailable):
        hint = "somebody holds a lock on the table (callctl preflight names them); run the same command again"
    elif isinstance(error, psycopg.errors.InsufficientPrivilege):
        hint = "connect as the tables' owner; callctl preflight lists what is missing"
    elif isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08")[:3] in ("08", "57P", "080"):
        hint = "the server ended the connection; run the same command again: it goes on from what was committed"
    else:
        hint = "mend what the server names, then run the same command again: it goes on from what was committed"
    raise StepFailed(f"{where}: {error_text(error)}{caret(error, sql)}\n{state}", hint=hint) from error
