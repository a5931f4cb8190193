"""Models for calls that wait while chatbots has its type column, so that the old application does not offer them.

Where the table says of a model whether it is active, they are inactive; elsewhere they are in callctl's own schema.
Step 6 makes them available. Of an inactive one the whole row is kept as callctl left it, so that a later write is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callctl.database import connection as database
from callctl.files import read_sql
from callctl.statements.naming import has_type

if TYPE_CHECKING:
    from psycopg import sql

    from callctl.database.connection import Connection
    from callctl.statements.naming import Naming

_TABLE = "ai_models"
_KEY = "model_name"


@dataclass(frozen=True)
class Withheld:
    """One such model. ``inserted``: it is in the table, inactive; otherwise step 6 inserts it."""

    key: str
    inserted: bool


def waits(connection: Connection, naming: Naming) -> bool:
    """Whether a model for calls that is inserted now has to wait for step 6."""
    return has_type(connection, naming, "chatbots")


def models(connection: Connection, naming: Naming) -> tuple[Withheld, ...]:
    """The models that step 6 makes available, by key. Reads only; none where an older callctl made its schema."""
    if not database.relation_exists(connection, "callctl", "withheld_model") or not waits(connection, naming):
        return ()
    rows = connection.execute(_composed("migration/steps/withheld.sql", naming)).fetchall()
    return tuple(Withheld(*row) for row in rows)


def bring_back(connection: Connection, naming: Naming) -> tuple[str, ...]:
    """Put the models that wait in callctl's schema into the table, until :func:`withhold`. Returns their ids."""
    rows = connection.execute(_composed("migration/steps/bring_back.sql", naming)).fetchone()
    return tuple(rows[0]) if rows else ()


def as_left(connection: Connection, naming: Naming, ids: Sequence[str]) -> tuple[str, ...]:
    """Those of the models that callctl made inactive and that are stored as it left them."""
    rows = connection.execute(_composed("migration/steps/as_left.sql", naming), {"ids": list(ids)}).fetchall()
    return tuple(row[0] for row in rows)


def left_as_stored(connection: Connection, naming: Naming, ids: Sequence[str]) -> None:
    """Take note that callctl itself has left these models as they are stored now."""
    connection.execute(_composed("migration/steps/left_as_stored.sql", naming), {"ids": list(ids)})


def withhold(connection: Connection, naming: Naming, ids: Iterable[str]) -> None:
    """Let these models wait. Raises psycopg.Error where one is not stored as it was meant."""
    for id in ids:
        connection.execute(_composed("migration/steps/withhold.sql", naming), {"id": id})


def _composed(file: str, naming: Naming) -> sql.Composed:
    from psycopg import sql

    table: Any = sql.Identifier(naming.schema, _TABLE)
    key = naming.tables[_TABLE].columns.get(_KEY, _KEY)
    text = sql.SQL(read_sql(file))
    composed: sql.Composed = text.format(
        models=table,
        key=sql.Identifier(key),
        table=sql.Literal(table.as_string(None)),
        key_name=sql.Literal(key),
    )
    return composed
