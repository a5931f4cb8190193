"""What a load test would do, and what refuses it before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database import store
from callctl.errors import Refused
from callctl.loadtest.queries import Query, documented_queries, run_own
from callctl.loadtest.rows import Rows
from callctl.loadtest.sessions import Workload
from callctl.statements.naming import Naming, read_naming

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

TABLES = ("calls", "call_transcripts", "integration_accounts")
# The sessions beside the load's own: the lock, the rows, the one that looks on. Who asks beforehand is gone by then.
OTHER_SESSIONS = 3


@dataclass(frozen=True)
class Leftover:
    """A company that a load test has left; ``removable`` is false where somebody has made it his own since."""

    company_id: str
    started_at: datetime
    client: str
    removable: bool


@dataclass(frozen=True)
class Preview:
    """What a load test would do: nothing was changed. ``room`` is how many connections can still be opened."""

    database: str
    workload: Workload
    history: int
    room: int
    max_connections: int
    leftovers: tuple[Leftover, ...]
    queries: tuple[Query, ...]

    @property
    def fits(self) -> bool:
        return self.workload.connections + OTHER_SESSIONS - 1 <= self.room


def preview(connection: Connection, settings: Settings, workload: Workload, history: int) -> Preview:
    """Look at what a load test would do. Changes nothing. Raises Refused before steps 10 and 11."""
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        naming = ready(connection, settings)
        most, room, _ = _room(connection, naming)
        rows = Rows(connection, settings, naming).leftovers()
        found = tuple(Leftover(row[0], row[1], row[2], row[4] or not row[3]) for row in rows)
    queries = tuple(each for each in documented_queries(naming).values() if each.loaded)
    return Preview(database.target_of(connection, settings).database, workload, history, room, most, found, queries)


def assert_possible(connection: Connection, settings: Settings, workload: Workload) -> None:
    """Raise Refused where the tables are not there or the server has not enough connections. Changes nothing."""
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        assert_room(connection, ready(connection, settings), workload, OTHER_SESSIONS - 1)


def ready(connection: Connection, settings: Settings) -> Naming:
    """The naming, where the tables of calls are there. Raises Refused."""
    naming = read_naming(connection, settings.schema)
    for table in TABLES:
        if where := store.absence(connection, settings.schema, table):
            raise Refused(
                f"table {settings.schema}.{table} {where}: a load test needs steps 9 to 11; nothing was changed",
                hint="run callctl migrate up first",
            )
    return naming


def _room(connection: Connection, naming: Naming) -> tuple[int, int, str]:
    """max_connections; how many more can be opened, and what sets that bound."""
    row = run_own(connection, naming, "room").fetchone()
    assert row is not None
    bounds = {"max_connections of the server": row[1], "the connection limit of this role": row[2]}
    bounds["the connection limit of this database"] = row[3]
    room, name = min((room, name) for name, room in bounds.items() if room is not None)
    return row[0], max(room, 0), name


def assert_room(connection: Connection, naming: Naming, workload: Workload, others: int) -> None:
    """``others``: sessions beside the load's that are still to be opened."""
    most, room, bound = _room(connection, naming)
    needed = workload.connections + others
    if needed > room:
        fewer = room - others
        hint = (
            f"--connections {fewer} lets the sessions share so many, as behind an application's pool"
            if fewer > 0
            else "wait for others to go"
        )
        raise Refused(
            f"{workload.sessions} sessions need {needed} more connections, and there is room for {room} ({bound};"
            f" max_connections is {most}); nothing was changed",
            hint=f"{hint}, or use fewer --sessions, or raise the limit",
        )
