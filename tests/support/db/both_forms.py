"""Writes to rows that have a type and flags, by every road SQL has, and a model of what must come of each.

The model is worked out from the reading of the promise: the form that a statement names wins, also with the value that
is already there; of both the flags, unless they are left at what they were. A row whose two forms agree is left alone.
It knows nothing of the triggers.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, TypeAlias

import psycopg
from psycopg import sql
from tests.support.db.application import CAPABILITIES, FLAGS
from tests.support.db.before import Before
from tests.support.db.before_rows import Rows
from tests.support.db.expectation import flags_of_type, type_of_flags

Column: TypeAlias = Literal["type", "chat", "call"]
Values: TypeAlias = dict[Column, Any]


@dataclass(frozen=True)
class Forms:
    """Both forms of one row."""

    type: str | None
    chat: bool
    call: bool

    @property
    def flags(self) -> tuple[bool, bool]:
        """The flags, chat and call."""
        return self.chat, self.call


def inserted(values: Values, default: str | None, nullable: bool) -> Forms:
    """What must come of a row inserted with these values."""
    row = Forms(**{"type": default, "chat": True, "call": False, **values})
    # Flags at their defaults may not have been written at all.
    row = _settled(row, flags_written=row.flags != (True, False))
    return Forms(type_of_flags(row.flags), *row.flags) if row.type is None and not nullable else row


def updated(old: Forms, values: Values) -> Forms:
    """What must come of a row to which these values are written."""
    row = Forms(**{"type": old.type, "chat": old.chat, "call": old.call, **values})
    return _settled(row, flags_written=row.flags != old.flags or "type" not in values) if values else row


def _settled(row: Forms, *, flags_written: bool) -> Forms:
    """The other form follows, unless it says what it can: any type but call of a row that chats, 'chat' of a hybrid."""
    if flags_written:
        agree = (row.type == "call") == (row.flags == (False, True))
        return row if agree else Forms(type_of_flags(row.flags), *row.flags)
    return row if row.type == "chat" and row.chat else Forms(row.type, *flags_of_type(row.type))


class BothForms:
    """Writes at random to both tables of one database, and keeps what each row must hold."""

    def __init__(self, db: psycopg.Connection[Any], before: Before, random: Random) -> None:
        self.db, self.before, self.random = db, before, random
        db.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(before.schema)))
        company = db.execute("SELECT id::text FROM companies ORDER BY id LIMIT 1").fetchone()
        assert company is not None
        self.company = company[0]
        self.right = self.found()
        self.kinds = {table: Rows(before).type_values(table) for table in FLAGS}

    def names(self, table: str) -> dict[Column, str]:
        """What the columns are called here."""
        return {"type": self.before.type_of(table).name, "chat": FLAGS[table][0], "call": FLAGS[table][1]}

    def found(self) -> dict[tuple[str, str], Forms]:
        """Both forms of every row, as the database has them."""
        rows: dict[tuple[str, str], Forms] = {}
        for table in FLAGS:
            query = sql.SQL("SELECT id::text, rtrim({}::text), {}, {} FROM {}").format(
                *(sql.Identifier(name) for name in self.names(table).values()), sql.Identifier(table)
            )
            rows |= {(table, row[0]): Forms(*row[1:]) for row in self.db.execute(query)}
        return rows

    # ---- what is written ---------------------------------------------------------------------------

    def values(self, table: str) -> Values:
        """What the old application writes, the new one, or both at once; sometimes nothing that matters."""
        pair = self.random.choice(CAPABILITIES)
        old: Values = {"type": self.random.choice(self.kinds[table])}
        new: Values = {"chat": pair[0], "call": pair[1]}
        return self.random.choice([old, old, new, new, {**old, **new}, {}])

    def write(self) -> None:
        """One statement, or a few in one transaction, by a road chosen at random."""
        roads = [
            self.insert, self.insert_many, self.copy_in, self.insert_returning,
            self.update, self.update, self.update_many, self.update_returning, self.save_whole, self.change_one_flag,
            self.upsert, self.upsert_nothing, self.replace, self.delete, self.roll_back,
        ]  # fmt: skip
        if self.db.info.server_version >= 150000:
            roads.append(self.merge)
        self.random.choice(roads)(self.random.choice(list(FLAGS)))

    def row(self, table: str, values: Values, key: str | None = None) -> dict[str, Any]:
        """The columns of a new row."""
        row: dict[str, Any] = {"id": key or str(uuid.UUID(int=self.random.getrandbits(128), version=4)), "name": "n"}
        if table == "chatbots":
            row |= {"company_id": self.company, "settings": "{}"}
        return row | {self.names(table)[column]: value for column, value in values.items()}

    def expect_insert(self, table: str, values: Values) -> Forms:
        """What must come of an insert here."""
        column = self.before.type_of(table)
        default = column.default and column.default.lower().removeprefix("lower(").strip("()'")
        return inserted(values, default, column.nullable)

    def key(self, table: str) -> str:
        """Any row's."""
        return self.random.choice([key for name, key in self.right if name == table])

    def named(self, table: str, values: Values) -> list[sql.Composed]:
        """``column = value`` for an UPDATE; the name where there is nothing else to write."""
        if not values:
            return [sql.SQL("name = name || 'x'").format()]
        names = self.names(table)
        return [
            sql.SQL("{} = {}").format(sql.Identifier(names[column]), sql.Literal(value))
            for column, value in values.items()
        ]

    def insert_statement(self, table: str, rows: Sequence[dict[str, Any]]) -> sql.Composed:
        """INSERT of rows with the same columns."""
        return sql.SQL("INSERT INTO {} ({}) VALUES {}").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, rows[0])),
            sql.SQL(", ").join(
                sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, row.values()))) for row in rows
            ),
        )

    # ---- the roads ---------------------------------------------------------------------------------

    def insert(self, table: str) -> None:
        """One row."""
        values = self.values(table)
        row = self.row(table, values)
        self.db.execute(self.insert_statement(table, [row]))
        self.right[table, row["id"]] = self.expect_insert(table, values)

    def insert_many(self, table: str) -> None:
        """Rows of one statement, each with its own values."""
        columns = tuple(self.values(table))
        rows = []
        for _ in range(4):
            values = self.values(table)
            while tuple(values) != columns:
                values = self.values(table)
            rows.append((self.row(table, values), values))
        self.db.execute(self.insert_statement(table, [row for row, _ in rows]))
        for row, values in rows:
            self.right[table, row["id"]] = self.expect_insert(table, values)

    def insert_returning(self, table: str) -> None:
        """What RETURNING shows is what is stored."""
        values = self.values(table)
        row = self.row(table, values)
        right = self.expect_insert(table, values)
        shown = self.db.execute(self.insert_statement(table, [row]) + self.returning(table)).fetchone()
        assert shown is not None
        assert Forms(*shown) == right
        self.right[table, row["id"]] = right

    def returning(self, table: str) -> sql.Composed:
        """RETURNING both forms."""
        kind, *flags = (sql.Identifier(name) for name in self.names(table).values())
        return sql.SQL(" RETURNING rtrim({}::text), {}, {}").format(kind, *flags)

    def copy_in(self, table: str) -> None:
        """COPY FROM STDIN."""
        values = self.values(table)
        rows = [self.row(table, values) for _ in range(3)]
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, rows[0]))
        )
        with self.db.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(list(row.values()))
        for row in rows:
            self.right[table, row["id"]] = self.expect_insert(table, values)

    def update(self, table: str) -> None:
        """One row by key."""
        self.update_keys(table, [self.key(table)], self.values(table))

    def update_many(self, table: str) -> None:
        """Several rows in one statement."""
        self.update_keys(table, [self.key(table) for _ in range(5)], self.values(table))

    def update_keys(self, table: str, keys: Sequence[str], values: Values) -> None:
        """These rows."""
        self.db.execute(
            sql.SQL("UPDATE {} SET {} WHERE id = ANY ({}::uuid[])").format(
                sql.Identifier(table), sql.SQL(", ").join(self.named(table, values)), sql.Literal(list(keys))
            )
        )
        for key in set(keys):
            self.right[table, key] = updated(self.right[table, key], values)

    def update_returning(self, table: str) -> None:
        """What RETURNING shows is what is stored."""
        key, values = self.key(table), self.values(table)
        statement = sql.SQL("UPDATE {} SET {} WHERE id = {}").format(
            sql.Identifier(table), sql.SQL(", ").join(self.named(table, values)), sql.Literal(key)
        )
        shown = self.db.execute(statement + self.returning(table)).fetchone()
        assert shown is not None
        self.right[table, key] = updated(self.right[table, key], values)
        assert Forms(*shown) == self.right[table, key]

    def save_whole(self, table: str) -> None:
        """An object mapper writes back every column that it knows, one of them changed or none."""
        key = self.key(table)
        now = self.right[table, key]
        change = self.values(table)
        values: Values = {"type": now.type} if "type" in change else {"chat": now.chat, "call": now.call}
        if self.random.random() < 0.5:
            values |= {column: value for column, value in change.items() if column in values}
        self.update_keys(table, [key], values)

    def change_one_flag(self, table: str) -> None:
        """The new application turns one capability on or off."""
        key = self.key(table)
        now = self.right[table, key]
        column: Column = self.random.choice(["chat", "call"])
        values: Values = {column: not getattr(now, column)}
        if {"chat": now.chat, "call": now.call, **values} != {"chat": False, "call": False}:
            self.update_keys(table, [key], values)

    def upsert(self, table: str) -> None:
        """INSERT … ON CONFLICT DO UPDATE of a row that is there: what it proposes is an insert, then an update."""
        key, values = self.key(table), self.values(table)
        columns = sql.SQL(", ").join(
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name))
            for name in [*(self.names(table)[column] for column in values), "name"]
        )
        statement = self.insert_statement(table, [self.row(table, values, key)])
        self.db.execute(statement + sql.SQL(" ON CONFLICT (id) DO UPDATE SET {}").format(columns))
        proposed = self.expect_insert(table, values)
        taken: Values = {column: getattr(proposed, column) for column in values}
        self.right[table, key] = updated(self.right[table, key], taken)

    def upsert_nothing(self, table: str) -> None:
        """ON CONFLICT DO NOTHING, and DO UPDATE of another column: neither form is written."""
        key, values = self.key(table), self.values(table)
        ends = (" ON CONFLICT (id) DO NOTHING", " ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name")
        self.db.execute(
            self.insert_statement(table, [self.row(table, values, key)]) + sql.SQL(self.random.choice(ends)).format()
        )

    def replace(self, table: str) -> None:
        """A row is deleted and comes back under the same id, as another."""
        key = self.delete(table)
        if key is not None:
            values = self.values(table)
            self.db.execute(self.insert_statement(table, [self.row(table, values, key)]))
            self.right[table, key] = self.expect_insert(table, values)

    def delete(self, table: str) -> str | None:
        """One row, if it is not among the last."""
        if sum(name == table for name, _ in self.right) < 4:
            return None
        key = self.key(table)
        if table == "chatbots":
            self.db.execute("DELETE FROM conversations WHERE chatbot_id = %s", (key,))
        self.db.execute(sql.SQL("DELETE FROM {} WHERE id = %s").format(sql.Identifier(table)), (key,))
        del self.right[table, key]
        return key

    def roll_back(self, table: str) -> None:
        """What is rolled back leaves nothing behind."""
        key, values = self.key(table), self.values(table)
        right = dict(self.right)
        try:
            with self.db.transaction(force_rollback=True):
                self.update_keys(table, [key], values)
                self.insert(table)
        finally:
            self.right = right

    def merge(self, table: str) -> None:
        """MERGE into a row that is there, and one that is not."""
        values = self.values(table)
        for key in (self.key(table), str(uuid.UUID(int=self.random.getrandbits(128), version=4))):
            row = self.row(table, values, key)
            self.db.execute(
                sql.SQL(
                    "MERGE INTO {} AS t USING (SELECT {}::uuid AS key) AS s ON t.id = s.key"
                    " WHEN MATCHED THEN UPDATE SET {} WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})"
                ).format(
                    sql.Identifier(table),
                    sql.Literal(key),
                    sql.SQL(", ").join(self.named(table, values)),
                    sql.SQL(", ").join(map(sql.Identifier, row)),
                    sql.SQL(", ").join(map(sql.Literal, row.values())),
                )
            )
            old = self.right.get((table, key))
            self.right[table, key] = updated(old, values) if old else self.expect_insert(table, values)
