"""Deletes for good what callctl saved for a rollback."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from callctl.database import store
from callctl.database.actions import record_action
from callctl.database.guarded import Failing, in_transaction
from callctl.database.lock import at_work
from callctl.database.store import Saved
from callctl.errors import State
from callctl.events import OnEvent, ignore
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.config.settings import Settings


def purge(settings: Settings, on_event: OnEvent = ignore) -> tuple[Saved, ...]:
    """Delete everything that is saved, record it in the audit trail, and return what it was. The one way to delete it.

    Raises LockHeld if a run is at work, StepFailed if a lock is not available; nothing is deleted then.
    """
    with at_work(settings, command="purge", on_event=on_event) as (connection, _):

        def delete() -> tuple[Saved, ...]:
            summary = store.saved_summary(connection)
            if summary:
                store.create(connection, settings.schema)  # an older callctl's may lack a table
                connection.execute(read_sql("database/purge.sql"))
                rows = sum(kind.rows for kind in summary)
                record_action(connection, "purge", {"rows": rows, "purged": [asdict(kind) for kind in summary]})
            return summary

        failing = Failing("database/purge.sql", lambda: State("unchanged", "nothing was deleted"))
        return in_transaction(connection, settings, delete, failing=failing, on_event=on_event)
