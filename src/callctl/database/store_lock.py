"""callctl's schema made or brought up to date beside a rotation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from callctl.database import store
from callctl.database.guarded import in_transaction
from callctl.database.lock import STORE_CLASS
from callctl.events import OnEvent
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


def in_store(connection: Connection, settings: Settings, work: Callable[[], None], on_event: OnEvent) -> None:
    """Make callctl's schema or bring it up to date, and do ``work`` in the same transaction. Safe beside rotations."""

    def make_and_work() -> None:
        values = {"classid": STORE_CLASS, "schema": settings.schema}
        connection.execute(read_sql("database/store_alone.sql"), values)
        store.create(connection, settings.schema)
        work()

    in_transaction(connection, settings, make_and_work, shared=True, on_event=on_event)
