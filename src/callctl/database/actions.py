"""The audit trail: a row for each command that wrote outside of the steps and rotations, and the last backup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callctl import __version__
from callctl.database import connection as database
from callctl.database import store
from callctl.database.store import in_store
from callctl.events import OnEvent
from callctl.files import read_sql
from callctl.redaction import in_utf8

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


@dataclass(frozen=True)
class Action:
    """A command that was carried out. ``detail`` is what it wrote, never a secret."""

    id: int
    command: str
    detail: Mapping[str, Any]
    taken_at: datetime
    database_role: str
    client: str


def record_action(connection: Connection, command: str, detail: Mapping[str, Any]) -> int:
    """Add a row to the audit trail in the caller's transaction, and return its id.

    callctl's schema is there (``store.create``). Raises StepFailed if nothing was stored.
    """
    values = {
        "command": command,
        "detail": json.dumps(_in_utf8(detail), ensure_ascii=False),
        "client": store.client(),
        "version": __version__,
    }
    row = connection.execute(read_sql("database/record_action.sql"), values).fetchone()
    if row is None:
        raise store.not_recorded(f"what {command} did", "callctl.action")
    return int(row[0])


def _in_utf8(value: Any) -> Any:
    """JSON's types with every text as a server can keep it: a file's name may hold any byte."""
    if isinstance(value, str):
        return in_utf8(value)
    if isinstance(value, Mapping):
        return {name: _in_utf8(item) for name, item in value.items()}
    return [_in_utf8(item) for item in value] if isinstance(value, list | tuple) else value


def actions(connection: Connection, command: str | None = None) -> tuple[Action, ...]:
    """Every action, or those of one command, newest first; empty if callctl never wrote."""
    if not database.relation_exists(connection, "callctl", "action"):
        return ()
    return tuple(database.select(connection, Action, read_sql("database/list_actions.sql"), {"command": command}))


# The last backup that callctl has taken of a database, in its audit trail.

# The query whose row is a LastBackup.
LAST_BACKUP = "database/last_backup.sql"


@dataclass(frozen=True)
class LastBackup:
    """The newest dump that this database is known to be in: taken of it, or that it was restored from.

    ``steps_since`` counts the steps taken after it, up or down.
    """

    command: str  # 'backup' or 'restore'
    taken_at: datetime
    file: str
    client: str
    steps_since: int

    @property
    def text(self) -> str:
        """The place, as the end of a sentence."""
        where = f"{self.file}, by {self.client}"
        sentence = f"it is {where}" if self.command == "backup" else f"the database was restored from {where}"
        if self.steps_since:
            sentence += f"; {self.steps_since} step{'s were' if self.steps_since > 1 else ' was'} taken since"
        return sentence


def record_backup(
    connection: Connection, settings: Settings, command: str, detail: Mapping[str, Any], on_event: OnEvent
) -> None:
    """Write it into the audit trail; callctl's schema is made where it is not there. Safe beside rotations.

    Raises psycopg's errors; LockHeld if a migration is at work; Refused if the store is another schema's.
    """
    in_store(connection, settings, lambda: record_action(connection, command, detail), on_event)


def last_backup(connection: Connection) -> LastBackup | None:
    """The last one on record; None if there is none."""
    if not database.relation_exists(connection, "callctl", "action"):
        return None
    return next(iter(database.select(connection, LastBackup, read_sql(LAST_BACKUP))), None)
