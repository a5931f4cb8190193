"""A baseline of the platform, and statements about its types and flags in its own spelling."""

from __future__ import annotations

from typing import Any, NamedTuple

from psycopg import sql
from tests.conftest import connect

from callctl.config.settings import Settings
from callctl.migration import migrate
from callctl.sandbox.lifecycle import Baseline

Row = tuple[Any, ...]


class Table(NamedTuple):
    """A table with both forms, as this database spells them."""

    name: str
    type: str
    chat: str
    call: str


class Platform:
    """A baseline, the settings to migrate it with, and statements in its own spelling."""

    def __init__(self, url: str, deployed: bool) -> None:
        self.settings = Settings(database_url=url)
        self.db = connect(url, prepare_threshold=None)
        self.deployed = deployed
        kind = (Baseline.deployed if deployed else Baseline.documented).type_column
        self.tables = (
            Table("chatbots", kind, "enabled_chat", "enabled_call"),
            Table("chatbot_packages", kind, "enable_chat", "enable_call"),
        )

    def up(self, to: int | None = None, **options: Any) -> None:
        migrate.up(self.settings, to=to, **options)

    def down(self, to: int = 0) -> None:
        migrate.down(self.settings, to=to)

    def run(self, table: Table, statement: str, **values: Any) -> list[Row]:
        """A statement about one table: {t} its name, {type} {chat} {call} its columns."""
        names = {"type": table.type, "chat": table.chat, "call": table.call}
        query = sql.SQL(statement).format(
            t=sql.Identifier("chatapp", table.name), **{key: sql.Identifier(name) for key, name in names.items()}
        )
        cursor = self.db.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []

    def a_row(self, table: Table, kind: str) -> str:
        """The id of a row of that type that breaks no rule whatever its capabilities."""
        if table.name == "chatbots":
            self.db.execute("UPDATE chatapp.chatbots SET package_id = NULL")
        rows = self.run(table, "SELECT id::text FROM {t} WHERE {type}::text = %(kind)s ORDER BY id LIMIT 1", kind=kind)
        return str(rows[0][0])

    def both(self, table: Table, key: str) -> Row:
        """Type and flags of a row."""
        return self.run(table, "SELECT {type}::text, {chat}, {call} FROM {t} WHERE id = %(key)s", key=key)[0]

    def flags(self, table: Table, key: str) -> Row:
        """Its flags, where the type is gone."""
        return self.run(table, "SELECT {chat}, {call} FROM {t} WHERE id = %(key)s", key=key)[0]

    def type_of(self, table: Table, key: str) -> Any:
        """Its type, where the flags are gone."""
        return self.run(table, "SELECT rtrim({type}::text) FROM {t} WHERE id = %(key)s", key=key)[0][0]
