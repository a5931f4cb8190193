"""Connections, timeouts, retries, poolers, and what the server says turned into our errors."""

from __future__ import annotations

import logging
import os
import random
import re
import select as sockets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, LiteralString, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from callctl import stored_bytes
from callctl.config.database_url import Target, address_variables, refused, server
from callctl.errors import Code, ConfigError, ConnectionFailed, Refused, State, StepFailed
from callctl.files import read_sql
from callctl.redaction import HIDDEN, in_utf8, is_utf8, redact
from callctl.server_errors import code_of, outline

if TYPE_CHECKING:
    import psycopg
    from psycopg import Pipeline, sql
    from psycopg.abc import Params
    from psycopg.pq.abc import PGconn

    from callctl.config.settings import Settings

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
    Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]

# Whether a pooler is in front of the server, and whether it leaves a client its session: found out by experiment.

# 'none': the server itself. 'own': a pooler that keeps each client's session. 'shared': one that does not (transaction
# or statement mode). 'one': it has no second server connection to give.
Sessions: TypeAlias = Literal["none", "own", "shared", "one"]

POOLER_ROUNDS = 16
ANSWER_SECONDS = 3.0


def pooler_sessions(connection: Connection, pid: int, another: Callable[[], Connection]) -> Sessions:
    """Whatever is between ``connection`` and the server, whose process is ``pid`` by its own answer.

    A pooler makes up a process number when a client connects; the server's own answer then differs. Behind one a
    second connection, ``another``, is opened, and both ask in turn: with sessions of their own, each always gets its
    own answer. Raises psycopg.Error where the second connection cannot be opened.
    """
    if pid == connection.info.backend_pid:
        return "none"
    second = another()
    try:
        first_seen: tuple[int, int] | None = None
        for _ in range(POOLER_ROUNDS):
            # Out of step with the pool's other clients: they may take turns as regularly as we do.
            time.sleep(random.uniform(0, 0.005))
            other = _pooler_ask_in_time(second)
            if other is None:
                return "one"
            seen = _pooler_ask(connection), other
            first_seen = first_seen or (pid, other)
            if seen != first_seen or seen[0] == seen[1]:
                return "shared"
    finally:
        second.close()
    return "own"


def pooler_refusal(connection: Connection, session_kind: Sessions) -> Refused:
    """The error for a pooler that callctl cannot work through; its hint names the server's own address."""
    row = connection.execute("SELECT host(inet_server_addr()), current_setting('port')").fetchone()
    address, port = row or (None, "5432")
    place = f"its own port is {port}" + (f", its address as the pooler sees it {address}" if address else "")
    hint = f"connect to the server itself ({place}), or through a pooler in session mode"
    if session_kind == "one":
        return Refused(
            Code.POOLER,
            f"the pooler gave callctl no second server connection in {ANSWER_SECONDS:g} s, and the "
            "migration lock needs one; nothing was changed",
            hint=hint,
        )
    return Refused(
        Code.POOLER,
        "a pooler in transaction mode is in front of the server: a lock and settings would reach other clients'"
        " sessions; nothing was changed",
        hint=hint,
    )


def assert_transactions(connection: Connection) -> None:
    """Raise ConnectionFailed if the pooler allows no transactions (statement mode)."""
    import psycopg

    try:
        with connection.transaction():
            _pooler_ask(connection)
    except psycopg.Error:
        raise ConnectionFailed(
            Code.POOLER,
            "a pooler that allows no transactions is in front of the server (statement mode)",
            hint="connect to the server itself (usually port 5432), or through a pooler in session mode",
        ) from None


def _pooler_ask(connection: Connection) -> int:
    return int(value(connection, "SELECT pg_backend_pid()") or 0)


def _pooler_ask_in_time(connection: Connection) -> int | None:
    """The process that answers, or None if none does in time: a pooler may let a client wait for minutes."""
    raw = connection.pgconn
    raw.send_query(b"SELECT pg_backend_pid()")
    raw.flush()
    deadline = time.monotonic() + ANSWER_SECONDS
    while raw.is_busy():
        seconds_left = deadline - time.monotonic()
        if seconds_left <= 0 or not sockets.select([raw.socket], [], [], seconds_left)[0]:
            return None
        raw.consume_input()
    answer = raw.get_result()
    value = answer.get_value(0, 0) if answer is not None and answer.ntuples else None
    while raw.get_result() is not None:
        continue
    return int(value) if value else None


# Connections, and what the server says turned into callctl's errors.

OLDEST_SERVER = 120000
# What the driver would print of its own accord (a statement that did not heed a cancellation), callctl says itself.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
AGAIN = "run the same command again"
# How often deferred triggers are fired before callctl looks at what they left.
DEFERRED_ROUNDS = 5

Row = TypeVar("Row")

# The server's words for: no connection left, for a role, a database or at all.
_FULL = re.compile(
    r'too many connections for (?P<kind>role|database) "(?P<name>[^"]+)"|too many clients|connection slots are reserved'
)


def connect(settings: Settings, *, application_name: str = "callctl", session: bool = False) -> Connection:
    """Open a connection in autocommit, without prepared statements (a pooler may change the server between two).

    ``session`` insists on a session of its own, for what takes locks and keeps settings. ``settings.on_connect`` is
    told of the target before anything else is done with it. Raises ConfigError if nothing names a database;
    ConnectionFailed if the server cannot be reached, is not PostgreSQL, is older than 12 or behind a pooler in
    statement mode; with ``session`` Refused behind one in transaction mode.
    """
    import psycopg

    _assert_given(settings)
    try:
        connection = _open(settings, application_name)
    except psycopg.Error as error:
        raise _unreachable(error, settings) from None
    except UnicodeError:
        raise _not_utf8(settings) from None
    try:
        pid, target = _recognise(connection, settings)
        if settings.on_connect is not None:
            settings.on_connect(target)
        session_kind = sessions(connection, settings, pid)
        if session_kind == "shared":
            assert_transactions(connection)
        if session and session_kind in ("shared", "one"):
            raise pooler_refusal(connection, session_kind)
        if session_kind != "shared":  # then what this session were given, another client would have
            connection.execute(read_sql("database/session.sql"))
    except psycopg.Error as error:
        connection.close()
        raise _unreachable(error, settings) from None
    except BaseException:
        connection.close()
        raise
    return connection


def most_connections(settings: Settings) -> int:
    """Return the largest number of connections of a migration: one for its lock, and those that work."""
    return 1 + settings.batch_workers


def sessions(connection: Connection, settings: Settings, pid: int) -> Sessions:
    """Return whether each client at that address has its own session; ``pid`` is the process that answers."""
    return pooler_sessions(connection, pid, partial(_open, settings, "callctl"))


def _open(settings: Settings, application_name: str) -> Connection:
    import psycopg

    connection = psycopg.connect(
        settings.database_url or "",
        autocommit=True,
        prepare_threshold=None,
        application_name=application_name,
        connect_timeout=10,
        client_encoding="UTF8",
        cursor_factory=_cursor(),
    )
    if stored_bytes.unknown_encoding(connection):
        connection.execute(stored_bytes.AS_STORED)
        stored_bytes.adapt(connection)
    return connection


_PIPELINES: WeakKeyDictionary[Any, Pipeline] = WeakKeyDictionary()


@contextmanager
def pipeline(connection: Connection) -> Iterator[None]:
    """Pipeline mode, where the client library has it (libpq 14); without it every statement waits for its answer."""
    import psycopg

    if not psycopg.Pipeline.is_supported():
        yield
        return
    try:
        with connection.pipeline() as _PIPELINES[connection]:
            yield
    except psycopg.OperationalError as error:
        # After a lost connection psycopg may say only that the pipeline cannot be left; the reason is its context.
        if "pipeline mode" in str(error) and isinstance(error.__context__, psycopg.Error):
            raise error.__context__ from None
        raise
    finally:
        _PIPELINES.pop(connection, None)


def synchronise(connection: Connection) -> None:
    """Return when every statement sent has its answer. Raises psycopg.Error of the first that failed."""
    if connection in _PIPELINES:
        _PIPELINES[connection].sync()


@cache
def _cursor() -> type[Cursor]:
    """Cursors that synchronise a pipeline before they read an answer that is not there yet.

    psycopg would only flush. The server takes a session that has not synchronised for busy: it would not end one that
    falls silent with rows locked (idle_in_transaction_session_timeout).
    """
    import psycopg

    class Synchronised(psycopg.Cursor[tuple[Any, ...]]):
        def execute(self, query: Any, params: Any = None, **how: Any) -> Synchronised:
            super().execute(stored_bytes.statement(self.connection, query), params, **how)
            return self

        def fetchone(self) -> tuple[Any, ...] | None:
            self._wait()
            return super().fetchone()

        def fetchmany(self, size: int = 0) -> list[tuple[Any, ...]]:
            self._wait()
            return super().fetchmany(size)

        def fetchall(self) -> list[tuple[Any, ...]]:
            self._wait()
            return super().fetchall()

        def _wait(self) -> None:
            if self.pgresult is None:
                synchronise(self.connection)

    return Synchronised


async def open_async(settings: Settings, application_name: str) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """Open a connection of an application's kind: in autocommit, with prepared statements, on an event loop.

    For an address that :func:`connect` has found to give sessions of one's own. Raises ConnectionFailed.
    """
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(
            settings.database_url or "",
            autocommit=True,
            application_name=application_name,
            connect_timeout=10,
            client_encoding="UTF8",
        )
        if stored_bytes.unknown_encoding(connection):
            await connection.execute(stored_bytes.AS_STORED)
            stored_bytes.adapt(connection)
        return connection
    except psycopg.Error as error:
        raise _unreachable(error, settings) from None


def _assert_given(settings: Settings) -> None:
    """Raise ConfigError if no setting and no variable of libpq's names a database: libpq would take a default."""
    if settings.database_url is not None or address_variables(os.environ):
        return
    hint = "set CALLCTL_DATABASE_URL, or give --database URL, or set PGSERVICE, or PGHOST and PGDATABASE"
    if os.environ.get("PGSERVICEFILE"):
        hint = "set PGSERVICE to a service of the file in PGSERVICEFILE, or give --database service=NAME"
    raise ConfigError(Code.NO_DATABASE, "no database given", hint=hint)


def _recognise(connection: Connection, settings: Settings) -> tuple[int, Target]:
    """The server process that answers, where it is a PostgreSQL that callctl knows, and where it is."""
    name = str(value(connection, "SELECT version()") or "something unknown")
    if not name.startswith("PostgreSQL"):
        raise ConnectionFailed(
            Code.NOT_POSTGRESQL,
            f"the server is not PostgreSQL but {name.split(' on ')[0][:60]}{_asked(connection.pgconn)}",
            hint="connect to a server of PostgreSQL 12 or later",
        )
    if connection.info.server_version < OLDEST_SERVER:
        raise ConnectionFailed(
            Code.SERVER_TOO_OLD,
            f"the server is {' '.join(name.split()[:2])}; callctl needs PostgreSQL 12 or later"
            f"{_asked(connection.pgconn)}",
            hint="upgrade the server, or connect to another one; nothing was changed",
        )
    return _answered(connection, settings)


def target_of(connection: Connection, settings: Settings) -> Target:
    """Return the target of an open connection, as the server reports it."""
    return _answered(connection, settings)[1]


def _answered(connection: Connection, settings: Settings) -> tuple[int, Target]:
    row = connection.execute(read_sql("database/target.sql")).fetchone()
    pid, database, role = row or (0, "", "")
    info = connection.info
    version = info.parameter_status("server_version") or str(info.server_version)
    # Of the version only the number: packagers put their own behind it.
    return int(pid), Target(
        database=in_utf8(database),
        host=in_utf8(info.host or info.hostaddr),
        port=info.port,
        role=in_utf8(role),
        postgresql=version.partition(" ")[0],
        environment=settings.environment,
        schema=settings.schema,
    )


def _unreachable(error: psycopg.Error, settings: Settings) -> ConnectionFailed:
    problem = None if error.sqlstate else refused(settings.database_url or "", str(error))
    if problem is not None:
        return ConnectionFailed(Code.URL_MALFORMED, f"{settings.database_source} {problem.message}", hint=problem.hint)
    source = settings.database_source
    if settings.database_url is None:
        source = ", ".join(address_variables(os.environ)) or source
    text = redact(str(error)).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # The first line is the reason; those after it are libpq's guesses.
    reason = lines[0] if lines else type(error).__name__
    reason = reason.removeprefix("connection failed: ").removeprefix("connection is bad: ")
    code = code_of(error) if error.sqlstate else Code.CANNOT_CONNECT
    hint = f"check the address, which comes from {source}"
    if "password authentication failed" in text or "no password supplied" in text:
        code, hint = Code.LOGIN_REFUSED, "put the right password into .pgpass or CALLCTL_DATABASE_URL"
    elif "does not exist" in text and "database" in text:
        code = Code.DATABASE_MISSING
        hint = f"check the database's name, which comes from {source}; psql -l lists the databases of the server"
    elif "role" in text and "does not exist" in text:
        code, hint = Code.LOGIN_REFUSED, f"check the user's name, which comes from {source}"
    elif (full := _FULL.search(text)) is not None:
        code = Code.TOO_MANY_CONNECTIONS
        needed = f"callctl migrate opens up to {most_connections(settings)} connections at once"
        hint = (
            f'run ALTER {full["kind"].upper()} "{full["name"]}" CONNECTION LIMIT -1 to remove the limit; {needed}'
            if full["kind"]
            else f"close idle sessions, or raise max_connections of the server; {needed}"
        )
    elif "query_wait_timeout" in text:
        code = Code.POOLER
        hint = "use the server's own port (usually 5432): the pooler has no free server connection"
    elif "SSL negotiation" in text or "expected authentication request" in text or "protocol" in text:
        code = Code.NOT_POSTGRESQL
        reason, hint = (
            "the program that answers does not speak PostgreSQL's protocol",
            "check the port: PostgreSQL usually has 5432",
        )
    place = _asked(error.pgconn or _address(settings), _ATTEMPT.findall(str(error)))
    return ConnectionFailed(code, f"cannot connect to the database: {reason}{place}", hint=hint)


# psycopg lists what it has tried where a name has several addresses, or several hosts are named.
_ATTEMPT = re.compile(r"^- host: '([^'\n]*)', port: (?:'(\d*)'|None)", re.MULTILINE)


def _asked(address: PGconn | None, attempts: Sequence[tuple[str, str]] = ()) -> str:
    """' (database platform on db.example:5432 as migrator)': what was asked for; empty if libpq cannot tell.

    ``attempts`` are the hosts and ports that were tried, if it was more than one.
    """
    if address is None:
        return ""
    database, user, host, port = (
        in_utf8(stored_bytes.as_text(value)) for value in (address.db, address.user, address.host, address.port)
    )
    servers = [_shown(*attempt) for attempt in attempts] or [_shown(host, port)]
    return f" (database {database} on {', '.join(dict.fromkeys(servers))} as {user})"


def _shown(host: str, port: str) -> str:
    """As :func:`~callctl.target.server`; where libpq took a piece of a password for the host's name, without it."""
    _, separator, name = host.rpartition("@")
    return server(f"{HIDDEN}@{name}" if separator else host, port or "5432")


def _address(settings: Settings) -> PGconn | None:
    """Return libpq's reading of the address, variables and service files, for an error without it (a timeout)."""
    from psycopg import pq

    connection = pq.PGconn.connect_start((settings.database_url or "").encode())
    return connection if connection.host else None


def _not_utf8(settings: Settings) -> ConnectionFailed:
    """The error for an address that psycopg cannot encode; no value is repeated."""
    variables = [name for name, value in os.environ.items() if name.startswith("PG") and not is_utf8(value)]
    source = ", ".join(variables) or settings.database_source
    return ConnectionFailed(
        Code.URL_MALFORMED,
        f"cannot connect to the database: {source} has a byte that is not UTF-8, or an empty or "
        "overlong part of a host name",
        hint=f"write {source} in UTF-8",
    )


def error_text(error: psycopg.Error) -> str:
    """The server's message with its SQLSTATE. Never its DETAIL, which may quote a row.

    For what does not read or write secrets: there :func:`~callctl.server_errors.outline` says what failed.
    """
    message = error.diag.message_primary or str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{redact(message)} (SQLSTATE {error.sqlstate})" if error.sqlstate else redact(message)


def explained(connection: Connection, error: psycopg.Error) -> str:
    """As :func:`error_text`; of rows that a policy hides, which policy, and what to grant, as ``connection`` says."""
    hidden = _hidden_rows(connection, error)
    return f"{hidden[0]}; {hidden[1]}" if hidden else error_text(error)


def caret(error: psycopg.Error, sql: str) -> str:
    """The line of the statement that the server points at, with a caret under the place; empty if it points nowhere."""
    if not error.diag.statement_position:
        return ""
    position = min(int(error.diag.statement_position) - 1, len(sql))
    start = sql.rfind("\n", 0, position) + 1
    end = sql.find("\n", position)
    line = sql[start : end if end >= 0 else len(sql)]
    return f"\n  {line}\n  {' ' * (position - start)}^"


def is_sandbox(connection: Connection) -> bool:
    """Return whether callctl made this database as a sandbox, so that everything in it can be made again."""
    return bool(value(connection, read_sql("database/is_sandbox.sql")))


def select(connection: Connection, shape: type[Row], query: LiteralString, values: Params | None = None) -> list[Row]:
    """The rows of a query, each as a ``shape`` whose fields have the names of the columns."""
    from psycopg.rows import class_row

    with connection.cursor(row_factory=class_row(shape)) as cursor:
        return cursor.execute(query, values).fetchall()


def value(connection: Connection, query: LiteralString | sql.Composed, values: Params | None = None) -> Any:
    """The one value that a query gives: the first column of its first row, None where it gives none."""
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None


def relation_exists(connection: Connection, schema: str, name: str) -> bool:
    """Return whether there is a table, view or the like of this name; both as they are, unquoted."""
    query = "SELECT to_regclass(format('%%I.%%I', %s::text, %s::text)) IS NOT NULL"
    return bool(value(connection, query, (schema, name)))


@contextmanager
def read_only(connection: Connection) -> Iterator[None]:
    """A READ ONLY transaction with one snapshot; rolled back at the end, whatever happens.

    Raises Refused if a policy would hide rows from this role.
    """
    import psycopg

    try:
        with connection.transaction(force_rollback=True):
            # A session behind a pooler is not callctl's own, and has not what database/session.sql sets.
            connection.execute(
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL row_security = off"
            )
            try:
                yield
            except psycopg.errors.LockNotAvailable:  # the connection is whole
                raise
            except psycopg.OperationalError as error:
                raise lost(error) from error
    except psycopg.errors.InsufficientPrivilege as error:
        if hidden := _hidden_rows(connection, error):
            raise Refused(Code.ROWS_HIDDEN, hidden[0], hint=hidden[1]) from error
        raise


@contextmanager
def read_in_time(connection: Connection, settings: Settings, where: str, state: State) -> Iterator[None]:
    """As :func:`read_only`, and no statement waits for a lock longer than ``lock_wait_ms``.

    Raises StepFailed if one would; ``where`` and ``state`` are as in :func:`translated`.
    """
    import psycopg

    try:
        with read_only(connection):
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{settings.lock_wait_ms}ms",))
            yield
    except psycopg.errors.LockNotAvailable as error:
        raise translated(error, where, "", state, quoted=False) from error


def _hidden_rows(connection: Connection, error: psycopg.Error) -> tuple[str, str] | None:
    """Return an explanation and a hint if row-level security caused the error; None otherwise.

    ``connection`` is in no transaction that failed.
    """
    import psycopg
    from psycopg.pq import TransactionStatus

    if error.sqlstate != "42501" or connection.info.transaction_status in (
        TransactionStatus.INERROR,
        TransactionStatus.UNKNOWN,
    ):
        return None
    try:
        rows = connection.execute(read_sql("database/hidden_rows.sql")).fetchall()
    except psycopg.Error:  # what the server said is left
        return None
    # The server's words are compared here: they may hold a secret, which no statement sends.
    message, context = error.diag.message_primary or "", error.diag.context or ""
    hidden_row = next((row for row in rows if f'"{row[0]}"' in message), None)
    if hidden_row is None:
        return None
    _, table, owned, policies, functions, role = hidden_row
    triggers = [trigger for function, trigger in functions if function in context]
    named = f"policy {', '.join(policies)}" if policies else "no policy shows rows to this role"
    by = f"; trigger {', '.join(triggers)} runs as this role" if triggers else ""
    cure = f"ask a superuser to run ALTER ROLE {role} BYPASSRLS;"
    if owned:
        cure += f" or run, until callctl is done, ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;"
    return f"row-level security hides rows of {table} from role {role} ({named}){by}", cure


def lost(error: psycopg.Error) -> ConnectionFailed:
    """The error for a connection that broke while it was in use."""
    return ConnectionFailed(
        Code.CONNECTION_LOST,
        f"the server ended the connection: {outline(error)}",
        hint=AGAIN,
    )


def fire_deferred(connection: Connection) -> None:
    """Fire the deferred triggers of the open transaction now: what they write can then be looked at before the commit.

    A trigger's function may defer what it causes once more, with SET CONSTRAINTS of its own: that fires in the next
    round. A chain of more than DEFERRED_ROUNDS such functions is left to the commit; PostgreSQL does not say whether
    triggers are pending.
    """
    for _ in range(DEFERRED_ROUNDS):
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")


def set_lock_timeout(connection: Connection, milliseconds: int) -> None:
    """Bound how long the session's next statements wait for a lock, and read it back.

    Behind a pooler a setting can land on another server connection; then this refuses to continue.
    """
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{milliseconds}ms",))
    stands = value(connection, "SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'")
    if stands != milliseconds:
        raise Refused(
            Code.POOLER,
            "lock_timeout does not stay set on this connection",
            hint="use the server's own port, or a pooler in session mode",
        )


class NotStored(Exception):
    """Rows of a table are not stored as they were written; the transaction that wrote them is rolled back."""

    def __init__(self, relation: tuple[str, str], ids: Sequence[str]) -> None:
        super().__init__()
        self.relation = relation
        self.ids = ids

    def explained(self, connection: Connection, where: str, state: State) -> StepFailed:
        """As :func:`not_stored`."""
        sample = ", ".join(self.ids[:5]) + (", …" if len(self.ids) > 5 else "")
        return not_stored(connection, where, self.relation, len(self.ids), sample, state)


UNHINDERED = "change or disable that trigger or rule for callctl's role, then"


def in_the_way(connection: Connection, schema: str, table: str) -> str:
    """Names the triggers and rules of others on a table, which could have changed or swallowed a write."""
    import psycopg

    try:
        query = "SELECT callctl.in_the_way(to_regclass(format('%%I.%%I', %s::text, %s::text)))"
        return str(value(connection, query, (schema, table)))
    except psycopg.Error:  # the message is worth more than what could have done it
        return "the table's triggers and rules could not be read"


def unhindered(connection: Connection, schema: str, tables: Sequence[str]) -> str:
    """Return the beginning of a hint: the statements that disable the triggers and rules in the way."""
    import psycopg

    try:
        values = {"schema": schema, "tables": list(tables)}
        rows = connection.execute(read_sql("database/hindering.sql"), values).fetchall()
    except psycopg.Error:
        rows = []
    if not rows:
        return UNHINDERED
    before, after = UNHINDERED.rsplit(",", 1)
    return f"{before} ({'; '.join(statement for (statement,) in rows)};),{after}"


def not_stored(
    connection: Connection,
    where: str,
    relation: tuple[str, str],
    number: int,
    sample: str,
    state: State,
    again: str = AGAIN,
) -> StepFailed:
    """The StepFailed for rows that are not stored as they were written: which, and what could have done it.

    ``where``, ``state`` and ``again`` are as in :func:`translated`.
    """
    schema, table = relation
    rows, wrote = ("1 row", "is not stored as callctl wrote it")
    if number > 1:
        rows, wrote = f"{number:,} rows", "are not stored as callctl wrote them"
    others = in_the_way(connection, schema, table)
    return StepFailed(
        Code.NOT_STORED,
        f"{where}: {rows} of {schema}.{table} {wrote} ({sample}); {others}\n{state}",
        hint=f"{unhindered(connection, schema, [table])} {again}",
        state=state,
    )


def translated(
    error: psycopg.Error,
    where: str,
    sql: str,
    state: State,
    connection: Connection | None = None,
    again: str = AGAIN,
    *,
    quoted: bool = True,
) -> StepFailed:
    """The StepFailed that says where a statement failed, what the server said, and what is committed.

    A ``connection`` is asked which policy hides rows, where the server refused for that. ``again`` ends the hint: what
    to do once the cause is removed. Without ``quoted`` the error names the condition and the objects, in callctl's
    words: for what reads or writes secrets.
    """
    import psycopg

    if connection is not None and (hidden := _hidden_rows(connection, error)):
        return StepFailed(Code.ROWS_HIDDEN, f"{where}: {hidden[0]}\n{state}", hint=hidden[1], state=state)
    if isinstance(error, psycopg.errors.IdleInTransactionSessionTimeout):
        hint = f"{again}: the server ended the session because callctl sent nothing for too long"
    elif isinstance(error, psycopg.errors.LockNotAvailable):
        hint = f"wait for the session that holds a lock on the table (callctl preflight names it), then {again}"
    elif isinstance(error, psycopg.errors.InsufficientPrivilege):
        hint = f"grant the role the privilege that the server names, or connect as a role that has it; then {again}"
    elif isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08")[:3] in ("08", "57P", "080"):
        hint = f"{again}: the server ended the connection"
    elif not quoted:
        hint = (
            "find the message in the server's log (callctl does not print it, since it may contain a "
            f"secret), fix the cause, then {again}"
        )
    else:
        hint = f"fix the cause that the server names, then {again}"
    message = f"{error_text(error)}{caret(error, sql)}" if quoted else outline(error)
    code = code_of(error)
    if code is Code.CONNECTION_LOST:  # perhaps while the server was at the commit
        state = replace(state, database="unknown")
    return StepFailed(code, f"{where}: {message}\n{state}", hint=hint, state=state)
