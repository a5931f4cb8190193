"""The last backup that callctl has taken of a database, in its audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callctl.database import connection as database
from callctl.database.actions import record_action
from callctl.database.store_lock import in_store
from callctl.events import OnEvent
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# The query whose row is a LastBackup.
LAST = "database/last_backup.sql"


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
        """Where it is, as the end of a sentence."""
        where = f"{self.file}, by {self.client}"
        said = f"it is {where}" if self.command == "backup" else f"the database was restored from {where}"
        if self.steps_since:
            said += f"; {self.steps_since} step{'s were' if self.steps_since > 1 else ' was'} taken since"
        return said


def record(
    connection: Connection, settings: Settings, command: str, detail: Mapping[str, Any], on_event: OnEvent
) -> None:
    """Write it into the audit trail; callctl's schema is made where it is not there. Safe beside rotations.

    Raises psycopg's errors; LockHeld where a migration is at work; Refused where the store is another schema's.
    """
    in_store(connection, settings, lambda: record_action(connection, command, detail), on_event)


def last_backup(connection: Connection) -> LastBackup | None:
    """The last one on record; None where there is none."""
    if not database.relation_exists(connection, "callctl", "action"):
        return None
    return next(iter(database.select(connection, LastBackup, read_sql(LAST))), None)
