"""The log: all that callctl has recorded of its work on a database, from the four tables that keep it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callctl.database import connection as database
from callctl.database import store
from callctl.database.store import Unreadable
from callctl.errors import Code, State
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# The tables of callctl's schema that are read; each has its query in sql/database/log.
_RELATIONS = ("history", "action", "rotation", "encryption_key")


@dataclass(frozen=True)
class Entry:
    """One thing that callctl did: a step, a rotation, a key that it retired, or another command that wrote.

    ``relation`` is the table of callctl's that has it, and ``id`` its row there. ``at`` is when it ended, or when it
    began while its ``outcome`` is "under way". None: the table does not record it. ``detail`` is never a secret.
    """

    relation: str  # 'history', 'action', 'rotation', 'encryption_key'
    id: str
    started_at: datetime | None
    at: datetime
    command: str
    outcome: str  # 'done', 'given up', 'under way'
    database_role: str | None
    client: str | None
    callctl_version: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """The entries to return; None: all. ``command`` may be the first words, and ``client`` is a part of the text."""

    since: datetime | None = None
    until: datetime | None = None
    command: str | None = None
    client: str | None = None
    last: int | None = None


@dataclass(frozen=True)
class _Closed:
    """The tables that a role may not read, their owner, and what lets it."""

    tables: str
    owner: str
    reader: str
    remedy: str


def entries(connection: Connection, settings: Settings, wanted: Wanted) -> tuple[Entry, ...]:
    """Return the wanted entries, newest first; empty if callctl never wrote.

    Raises Unreadable if this role may not read one of the tables, Refused if schema callctl was not made by callctl
    or a policy hides rows of it, StepFailed if a lock is not available.
    """
    with database.read_in_time(connection, settings, "log", State("unchanged", "nothing was changed")):
        _assert_readable(connection)
        there = [name for name in _RELATIONS if database.relation_exists(connection, "callctl", name)]
        found = [
            entry
            for name in there
            for entry in database.select(connection, Entry, read_sql(f"database/log/{name}.sql"), asdict(wanted))
        ]
    # Rows of one transaction have different times: each table takes the time of its own row.
    newest = sorted(found, key=lambda entry: entry.at, reverse=True)
    return tuple(newest[: wanted.last])


def _assert_readable(connection: Connection) -> None:
    for closed in database.select(connection, _Closed, read_sql("database/log/unreadable.sql")):
        raise Unreadable(
            Code.STORE_UNREADABLE,
            f"role {closed.reader} may not read {closed.tables}, which role {closed.owner} owns",
            hint=closed.remedy,
        )
    # It looks at tables that the log does not need, too: a role that may read those of the log alone gets it.
    with suppress(Unreadable):
        store.assert_recognised(connection)
