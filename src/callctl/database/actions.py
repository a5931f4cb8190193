"""The audit trail: one row for each command that wrote outside of the steps and the rotations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callctl import __version__
from callctl.database import connection as database
from callctl.database import store
from callctl.files import read_sql
from callctl.redaction import in_utf8

if TYPE_CHECKING:
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


def record_action(connection: Connection, command: str, detail: Mapping[str, Any]) -> None:
    """Add a row to the audit trail in the caller's transaction; callctl's schema is there (``store.create``)."""
    values = {
        "command": command,
        "detail": json.dumps(_in_utf8(detail), ensure_ascii=False),
        "client": store.client(),
        "version": __version__,
    }
    connection.execute(read_sql("database/record_action.sql"), values)


def _in_utf8(value: Any) -> Any:
    """JSON's types with every text as a server can keep it: a file's name may hold any byte."""
    if isinstance(value, str):
        return in_utf8(value)
    if isinstance(value, Mapping):
        return {name: _in_utf8(item) for name, item in value.items()}
    return [_in_utf8(item) for item in value] if isinstance(value, list | tuple) else value


def actions(connection: Connection, command: str | None = None) -> tuple[Action, ...]:
    """Every action, or those of one command, newest first; empty where callctl never wrote."""
    if not database.relation_exists(connection, "callctl", "action"):
        return ()
    return tuple(database.select(connection, Action, read_sql("database/list_actions.sql"), {"command": command}))
