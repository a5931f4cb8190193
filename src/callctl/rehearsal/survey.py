"""The target as a rehearsal sees it: sizes, shares and shapes of its rows, never a value of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from callctl.database import connection as database
from callctl.errors import Code, Refused
from callctl.files import read_sql
from callctl.migration.steps.numbered import status
from callctl.redaction import printable
from callctl.server_errors import outline
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming
from callctl.statements.script import load_script
from callctl.tenants.call_settings import load_schema

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

Shape = TypeVar("Shape")


class TableName(NamedTuple):
    """A table by its schema and its name, as the catalog has them."""

    schema: str
    name: str

    def __str__(self) -> str:
        return printable(f"{self.schema}.{self.name}")


@dataclass(frozen=True)
class LeftOut:
    """Something of the target that the rehearsal does without, and why."""

    kind: str
    name: str
    reason: str


@dataclass(frozen=True)
class ColumnShape:
    """The planner's statistics of a column. ``distinct_values`` as in pg_stats: negative is a share of the rows."""

    null_share: float
    distinct_values: float
    width: int


@dataclass(frozen=True)
class TableShape:
    """A table of the target: ``rows`` is None where they are not known; ``columns`` those with statistics."""

    table: TableName
    rows: int | None
    bytes: int
    columns: Mapping[str, ColumnShape]


@dataclass(frozen=True)
class TypeShare:
    """The number of rows with this type; ``package`` is the kind of their package, None without one."""

    type: str | None
    package: str | None
    rows: int


@dataclass(frozen=True)
class SettingsShare:
    """The number of rows with settings of this shape. ``settings`` and ``part`` are JSON types.

    ``part`` is ``features`` of a company, ``call`` of a chatbot; ``keys`` its documented keys, each with its type.
    ``others`` counts other keys beside it.
    """

    settings: str | None
    part: str | None
    keys: str | None
    others: int
    rows: int


@dataclass(frozen=True)
class LengthShare:
    """The number of rows with a text up to this length; None: NULL."""

    length: int | None
    rows: int


@dataclass(frozen=True)
class Survey:
    """The target without its rows. ``types`` and ``settings`` are by documented table.

    ``left_out``: what it has that a rehearsal cannot make. ``unreadable`` tables are not in the dump.
    ``roles`` are (statement, role), ``substitutes`` (extension, statement); ``of_database`` are statements, too.
    """

    major: int
    version: str
    encoding: str
    collation: str
    role: str
    naming: Naming
    tables: tuple[TableShape, ...]
    types: Mapping[str, tuple[TypeShare, ...]]
    settings: Mapping[str, tuple[SettingsShare, ...]]
    avatars: tuple[LengthShare, ...]
    roles: tuple[tuple[str, str], ...]
    of_database: tuple[str, ...]
    extensions: tuple[str, ...]
    substitutes: tuple[tuple[str, str], ...]
    unreadable: tuple[TableName, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class _Server:
    major: int
    encoding: str
    collation: str
    role: str


@dataclass(frozen=True)
class _Rows:
    schema: str
    name: str
    leaf_rows: int | None
    rows: int
    partitioned: bool
    bytes: int


@dataclass(frozen=True)
class _Statistics:
    schema: str
    name: str
    column: str
    null_share: float
    distinct_values: float
    width: int


_REASONS = {
    "foreign table": "a rehearsal opens no connection to another server",
    "foreign server": "a rehearsal opens no connection to another server",
    "subscription": "a rehearsal opens no connection to another server",
    "tablespace": "its tables are in the default tablespace",
}


def survey(connection: Connection, settings: Settings) -> Survey:
    """Look at the target in one READ ONLY transaction; each query ends within ``statement_timeout``.

    Raises Refused if a step is applied, or the names of the platform are unclear.
    """
    with database.read_only(connection):
        limits = {"timeout": f"{settings.statement_timeout_ms}ms", "keys": ",".join(load_schema().defaults())}
        connection.execute(read_sql("rehearsal/limits.sql"), limits)
        naming = _before_up(connection, settings)
        if not naming.tables["chatbots"].exists:
            raise Refused(
                Code.WRONG_SCHEMA,
                f"schema {naming.schema} has no table chatbots: there is nothing to rehearse",
                hint="name the platform's schema with --schema",
            )
        return _Look(connection).survey(naming)


def _before_up(connection: Connection, settings: Settings) -> Naming:
    """The names of the target. Raises Refused if a step is applied or begun: its state is in callctl's rows."""
    current = status(connection, settings)
    begun = [step.number for step in current.steps if step.number in current.applied or step.half_done]
    if begun:
        raise Refused(
            Code.REHEARSAL_IMPOSSIBLE,
            f"a rehearsal begins before the first step, and {len(begun)} of {len(current.steps)} steps are applied"
            " or begun here",
            hint="run callctl migrate plan to see the rest, or rehearse a copy of the database from before up",
        )
    return current.naming


class _Look:
    """The queries of a survey. One that the server refuses is told, and the others continue."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._left_out: list[LeftOut] = []

    def survey(self, naming: Naming) -> Survey:
        (server,) = database.select(self._connection, _Server, read_sql("rehearsal/server.sql"))
        tables = self._tables(naming.schema)
        outside = [(str(kind), str(name)) for kind, name in self._rows("rehearsal/outside.sql", "other objects")]
        unreadable = tuple(
            TableName(str(row[0]), str(row[1])) for row in self._rows("rehearsal/unlockable.sql", "privileges")
        )
        self._left_out += [LeftOut(kind, name, _REASONS[kind]) for kind, name in outside if kind in _REASONS]
        self._left_out += [LeftOut("table", str(name), "this role may not read it") for name in unreadable]
        if database.relation_exists(self._connection, "callctl", "history"):
            reason = "the up that is rehearsed is a first one: nothing of an earlier run is in it"
            self._left_out.append(LeftOut("schema", "callctl", reason))
        return Survey(
            server.major,
            (self._connection.info.parameter_status("server_version") or str(server.major)).partition(" ")[0],
            server.encoding,
            server.collation,
            server.role,
            naming,
            tables,
            {
                "chatbots": self._shares(naming, "rehearsal/chatbot_types.sql", TypeShare, "types of chatbots"),
                "chatbot_packages": self._shares(
                    naming, "rehearsal/package_types.sql", TypeShare, "types of chatbot_packages"
                ),
            },
            {
                "chatbots": self._shares(
                    naming, "rehearsal/chatbot_settings.sql", SettingsShare, "settings of chatbots"
                ),
                "companies": self._shares(
                    naming, "rehearsal/company_settings.sql", SettingsShare, "settings of companies"
                ),
            },
            self._shares(naming, "rehearsal/avatar_lengths.sql", LengthShare, "lengths of users.avatar_url"),
            tuple((str(a), str(b)) for a, b in self._rows("rehearsal/roles.sql", "roles")),
            (
                *(str(row[0]) for row in self._rows("rehearsal/database_grants.sql", "privileges of the database")),
                *(str(row[0]) for row in self._rows("rehearsal/search_paths.sql", "search_path of the roles")),
            ),
            tuple(name for kind, name in outside if kind == "extension"),
            tuple(
                (str(name), str(statement))
                for name, statement in self._rows("rehearsal/extension_functions.sql", "functions of extensions")
            ),
            unreadable,
            tuple(self._left_out),
        )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Tell a query that the server refuses, by the kind of its error: its words may quote a row."""
        import psycopg

        try:
            with self._connection.transaction():
                yield
        except (psycopg.errors.OperationalError, psycopg.errors.ProgrammingError, psycopg.errors.DataError) as error:
            if self._connection.closed or error.sqlstate is None:
                raise
            self._left_out.append(LeftOut("shape", what, outline(error)))

    def _rows(self, name: str, what: str) -> list[tuple[object, ...]]:
        with self._told(what):
            return self._connection.execute(read_sql(name)).fetchall()
        return []

    def _shares(self, naming: Naming, name: str, shape: Callable[..., Shape], what: str) -> tuple[Shape, ...]:
        with self._told(what):
            (statement,) = load_script(name).statements
            return tuple(shape(*row) for row in self._connection.execute(adapt(statement, naming).sql.encode()))
        return ()

    def _tables(self, schema: str) -> tuple[TableShape, ...]:
        rows = database.select(self._connection, _Rows, read_sql("rehearsal/tables.sql"), {"schema": schema})
        wanted = {"schemas": [row.schema for row in rows], "tables": [row.name for row in rows]}
        statistics = database.select(self._connection, _Statistics, read_sql("rehearsal/statistics.sql"), wanted)
        columns: dict[TableName, dict[str, ColumnShape]] = {}
        for entry in statistics:
            shape = ColumnShape(entry.null_share, entry.distinct_values, entry.width)
            columns.setdefault(TableName(entry.schema, entry.name), {})[entry.column] = shape
        return tuple(self._table(row, columns.get(TableName(row.schema, row.name), {})) for row in rows)

    def _table(self, row: _Rows, columns: Mapping[str, ColumnShape]) -> TableShape:
        table = TableName(row.schema, row.name)
        known: int | None = (row.leaf_rows or 0) if row.partitioned else row.rows
        if known is not None and known < 0:
            known = self._counted(table)
        if known and not columns:
            reason = "no statistics that this role may read: 1 in 10 values that may be NULL is"
            self._left_out.append(LeftOut("shape", f"columns of {table}", reason))
        return TableShape(table, known, row.bytes, columns)

    def _counted(self, table: TableName) -> int | None:
        """The rows of a table that was never analyzed; None where they cannot be counted in time."""
        from psycopg import sql

        with self._told(f"rows of {table}"):
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table))
            return int(database.value(self._connection, query))
        return None
