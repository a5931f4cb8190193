"""The clients of a history test: both applications write to one database by many kinds of statement, and log it.

A client knows rows of two kinds. Shared rows are those of the baseline: every client updates them, no client deletes
them. A client's own rows are those that it inserted: it alone deletes them and changes their ids, all may update them.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal, TypeAlias

import psycopg
from psycopg import errors, sql
from tests.support.db.application import CAPABILITIES, FLAGS
from tests.support.db.before_rows import CALL_SETTINGS
from tests.support.faults.history.records import FORMS, ClientTransaction, Outcome, Patch, Value, Write

from callctl.sandbox.lifecycle import Baseline

SCHEMA = "chatapp"
TABLES = ("chatbots", "chatbot_packages", "companies", "users")
Application: TypeAlias = Literal["old", "new", "both"]  # "both" is a release that writes both forms

# Refusals that a client expects: no lock in time, a deadlock, an id that another client has used meanwhile.
EXPECTED: tuple[type[psycopg.Error], ...] = (errors.LockNotAvailable, errors.DeadlockDetected, errors.UniqueViolation)


@dataclass(frozen=True)
class Names:
    """The columns of one database: by table, canonical name to the one that the database has."""

    columns: Mapping[str, Mapping[str, str]]
    types: Sequence[str | None]  # the values that the type columns take

    @classmethod
    def of(cls, baseline: str) -> Names:
        """The names of a baseline."""
        kind = Baseline[baseline].type_column
        columns = {table: {"type": kind, "chat": chat, "call": call} for table, (chat, call) in FLAGS.items()}
        unknown: tuple[str | None, ...] = ("voice", "", None) if baseline == "documented" else ()
        return cls(columns, ("chat", "chat", "call", "call", *unknown))

    def column(self, table: str, name: str) -> str:
        """The database's name of a column."""
        return self.columns.get(table, {}).get(name, name)


class Gate:
    """Lets all clients write, or waits until none does."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._open = False
        self._inside = 0
        self._closed_for_good = False

    def enter(self) -> bool:
        """Wait until the gate is open; False when the run is over."""
        with self._condition:
            self._condition.wait_for(lambda: self._open or self._closed_for_good)
            if self._closed_for_good:
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        """One transaction is over."""
        with self._condition:
            self._inside -= 1
            self._condition.notify_all()

    def open(self) -> None:
        """Let clients write."""
        with self._condition:
            self._open = True
            self._condition.notify_all()

    def close(self, seconds: float = 60) -> None:
        """Let no client begin, and wait for those at work."""
        with self._condition:
            self._open = False
            assert self._condition.wait_for(lambda: self._inside == 0, seconds), "a client does not end its transaction"

    def end(self) -> None:
        """Let all clients end."""
        with self._condition:
            self._closed_for_good = True
            self._condition.notify_all()


@dataclass
class Common:
    """The state that all clients of a run share."""

    url: str
    names: Names
    rows: dict[str, list[str]]  # of the baseline
    gate: Gate = field(default_factory=Gate)
    clock: Iterator[int] = field(default_factory=itertools.count)
    own: dict[str, list[str]] = field(default_factory=lambda: {table: [] for table in TABLES})
    log: list[ClientTransaction] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)


Statement: TypeAlias = tuple[sql.Composed, Write]


class Client:
    """One client: a connection, an application, and a sequence of random numbers of its own."""

    def __init__(
        self,
        common: Common,
        number: int,
        application: Application,
        seed: str,
        *,
        pause: float,
        roads: Sequence[str] = (),
    ) -> None:
        self.common, self.application, self.name = common, application, f"client {number} ({application})"
        self.random = Random(f"{seed} {number}")
        self.pause = pause
        self.own: dict[str, list[str]] = {table: [] for table in TABLES}
        self._marks = (f"{number}.{count}" for count in itertools.count())
        self._connection: psycopg.Connection[Any] | None = None
        self._wake = threading.Event()
        self.roads: list[Callable[[], None]] = [
            *[self.update] * 5, *[self.save_whole] * 4, self.update_many, *[self.patch] * 4, self.avatar,
            *[self.insert] * 2, self.copy_in, *[self.upsert] * 2, self.insert_or_nothing, self.delete,
            *[self.replace] * 2, self.replace_later, self.rekey, self.roll_back, self.as_replica,
        ]  # fmt: skip
        if roads:
            self.roads = [road for road in self.roads if road.__name__ in roads]

    def run(self) -> None:
        """Write until the run is over."""
        try:
            while self.common.gate.enter():
                try:
                    self.random.choice(self.roads)()
                finally:
                    self.common.gate.leave()
                self._wake.wait(self.pause * self.random.random())
        except BaseException as error:
            self.common.failures.append(error)
            raise
        finally:
            if self._connection is not None:
                self._connection.close()

    # ---- transactions ------------------------------------------------------------------------------

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The client's connection, made again after it was lost."""
        for _ in range(5):
            if self._connection is not None and not self._connection.closed:
                return self._connection
            with contextlib.suppress(psycopg.OperationalError):  # ended while it is made
                self._connection = psycopg.connect(
                    self.common.url, application_name=f"history {self.name}", prepare_threshold=None,
                    options=f"-c search_path={SCHEMA} -c lock_timeout=3s -c synchronous_commit=on",
                )  # fmt: skip
        raise AssertionError(f"{self.name} gets no connection")

    def transact(self, statements: Sequence[Statement], *, replica: bool = False, roll_back: bool = False) -> bool:
        """Run statements in one transaction and log the outcome; True if it was acknowledged."""
        writes = [write for _, write in statements]
        start, xid, error, expected = next(self.common.clock), None, "", True
        connection = self.connection
        told: Outcome = "unknown"
        try:
            if replica:
                connection.execute("SET LOCAL session_replication_role = replica")
            for number, (statement, write) in enumerate(statements):
                writes[number] = replace(write, claimed=self._run(connection, statement, write))
            row = connection.execute("SELECT txid_current_if_assigned()").fetchone()
            xid = row and row[0]
            if roll_back:
                connection.rollback()
                told = "rolled back"
            else:
                connection.commit()
                told = "acknowledged"
        except psycopg.Error as failure:
            error = f"{failure.sqlstate} {failure.diag.constraint_name or ''} {failure}".strip()
            if connection.closed:
                expected = False
            else:
                told = "refused"
                expected = self._expected(failure, writes)
                with contextlib.suppress(psycopg.OperationalError):
                    connection.rollback()
        self.common.log.append(
            ClientTransaction(
                self.name, start, next(self.common.clock), told, xid, tuple(writes), replica, error, expected
            )
        )
        return told == "acknowledged"

    def _run(self, connection: psycopg.Connection[Any], statement: sql.Composed, write: Write) -> tuple[str, ...]:
        """The rows that the server says it wrote."""
        with connection.cursor() as cursor:
            if write.kind == "copy":
                with cursor.copy(statement) as copy:
                    for key in write.keys:
                        copy.write_row(list(self._row(write, key).values()))
                return write.keys[: max(cursor.rowcount, 0)]
            cursor.execute(statement)
            if cursor.description is not None:
                return tuple(row[0] for row in cursor)
            assert len(write.keys) == 1
            return write.keys if cursor.rowcount else ()

    def _expected(self, failure: psycopg.Error, writes: Sequence[Write]) -> bool:
        if isinstance(failure, EXPECTED):
            return True
        if isinstance(failure, errors.CheckViolation):
            name = failure.diag.constraint_name or ""
            return name == "chatbots_package_capability" or name.endswith("_capability_check")
        if isinstance(failure, errors.UndefinedColumn) and not failure.diag.context:
            return any(
                f'"{self.common.names.column(write.table, name)}"' in str(failure)
                for write in writes
                for name in FORMS & write.values.keys()
            )
        return False

    # ---- values ------------------------------------------------------------------------------------

    def mark(self) -> str:
        """A value that no other write has."""
        return f"mark {next(self._marks)}"

    def forms(self) -> dict[str, Value]:
        """The columns by which this application writes a row's capabilities."""
        chat, call = self.random.choice(CAPABILITIES)
        kind: dict[str, Value] = {"type": self.random.choice(self.common.names.types)}
        flags: dict[str, Value] = {"chat": str(chat).lower(), "call": str(call).lower()}
        if self.application == "both":
            return kind | flags
        return kind if self.application == "old" else flags

    def settings(self, table: str) -> str:
        """A whole settings document."""
        mark = self.mark()
        shapes: list[dict[str, Any]] = [{"mark": mark}, {"mark": mark, "ü": [1, 2.50, None]}]
        if table == "companies":
            shapes += [{"mark": mark, "features": {"callEnabled": self.random.random() < 0.5, "x": 1}}]
            shapes += [{"mark": mark, "features": {}}, {"mark": mark, "features": None}]
        else:
            shapes += [{"mark": mark, "call": self._call()}, {"mark": mark, "call": {}}, {"mark": mark, "call": None}]
        return json.dumps(self.random.choice(shapes))

    def _call(self) -> dict[str, Any]:
        return {**CALL_SETTINGS, "maxCallDuration": 600 + self.random.randrange(300)}

    def values(self, table: str, *, forms: float = 0.8) -> dict[str, Value]:
        """The values of a statement: mostly the forms, mostly a mark in the name."""
        values: dict[str, Value] = {}
        if table in FLAGS and self.random.random() < forms:
            values |= self.forms()
        if table in ("companies", "chatbots") and self.random.random() < 0.15:
            values["settings"] = self.settings(table)
        if not values or self.random.random() < 0.8:
            values["name"] = self.mark()
        return values

    def table(self) -> str:
        """A table with forms, mostly."""
        return self.random.choice(("chatbots", "chatbots", "chatbot_packages", "chatbot_packages", "companies"))

    def key(self, table: str) -> str:
        """Any row that was there a moment ago; often one of the first few, so that clients meet."""
        rows = self.common.rows[table]
        chosen = self.random.random()
        if chosen < 0.3 and self.common.own[table]:
            return self.random.choice(self.common.own[table][-40:])
        return self.random.choice(rows[:4] if chosen < 0.5 else rows)

    def new_key(self) -> str:
        """An id that was never used."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    # ---- statements --------------------------------------------------------------------------------

    def _row(self, write: Write, key: str) -> dict[str, Any]:
        """The columns of an INSERT."""
        names = self.common.names
        row: dict[str, Any] = {"id": key, "name": "no name"}
        if write.table == "chatbots":
            row["company_id"] = self.common.rows["companies"][0]
        if write.table == "companies":
            row["slug"] = key
        return row | {names.column(write.table, name): value for name, value in write.values.items()}

    def _insert(self, write: Write) -> sql.Composed:
        rows = [self._row(write, key) for key in write.keys]
        return sql.SQL("INSERT INTO {} ({}) VALUES {}").format(
            sql.Identifier(write.table),
            sql.SQL(", ").join(map(sql.Identifier, rows[0])),
            sql.SQL(", ").join(
                sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, row.values()))) for row in rows
            ),
        )

    def _update(self, write: Write) -> sql.Composed:
        """UPDATE by key; more than one row with RETURNING."""
        names = self.common.names
        changes = [
            sql.SQL("{} = {}").format(
                sql.Identifier(names.column(write.table, name)),
                patched(value) if isinstance(value, Patch) else sql.Literal(value),
            )
            for name, value in write.values.items()
        ]
        where = sql.SQL("id = {}").format(sql.Literal(write.keys[0]))
        if len(write.keys) > 1:
            where = sql.SQL("id = ANY ({}::uuid[]) RETURNING id::text").format(sql.Literal(list(write.keys)))
        return sql.SQL("UPDATE {} SET {} WHERE {}").format(
            sql.Identifier(write.table), sql.SQL(", ").join(changes), where
        )

    def _delete(self, table: str, key: str) -> Statement:
        statement = sql.SQL("DELETE FROM {} WHERE id = {}").format(sql.Identifier(table), sql.Literal(key))
        return statement, Write("delete", table, (key,))

    def _inserting(self, table: str, key: str) -> Statement:
        write = Write("insert", table, (key,), self.values(table))
        return self._insert(write), write

    # ---- the roads ---------------------------------------------------------------------------------

    def update(self) -> None:
        """One row by key; sometimes only one flag."""
        table = self.table()
        values = self.values(table)
        if "chat" in values and "type" not in values and self.random.random() < 0.3:
            # Turned on: this never leaves a row without a capability.
            flag = self.random.choice(("chat", "call"))
            values = {name: value for name, value in values.items() if name not in FORMS} | {flag: "true"}
        write = Write("update", table, (self.key(table),), values)
        self.transact([(self._update(write), write)])

    def update_many(self) -> None:
        """Several rows in one statement."""
        table = self.table()
        keys = tuple({self.key(table) for _ in range(5)} | set(self.common.rows[table][:2]))
        write = Write("update", table, keys, self.values(table))
        self.transact([(self._update(write), write)])

    def save_whole(self) -> None:
        """An object mapper writes back every column that it knows, most with the value that is there."""
        table = self.table()
        key = self.key(table)
        names = self.common.names
        known = {"old": ("type",), "new": ("chat", "call"), "both": ("type", "chat", "call")}[self.application]
        saved = None
        settings = sql.SQL("t.settings::text" if table in ("companies", "chatbots") else "NULL::text")
        connection = self.connection
        with contextlib.suppress(psycopg.OperationalError):  # no lock in time, or the connection was ended
            saved = connection.execute(
                sql.SQL("SELECT to_jsonb(t), {} FROM {} AS t WHERE id = {}").format(
                    settings, sql.Identifier(table), sql.Literal(key)
                )
            ).fetchone()
        with contextlib.suppress(psycopg.OperationalError):
            connection.rollback()
        if saved is None:
            return
        row, document = saved
        values: dict[str, Value] = {"name": self.random.choice((self.mark(), row["name"]))}
        if table in FLAGS and all(names.column(table, name) in row for name in known):
            values |= {name: _text(row[names.column(table, name)]) for name in known}
            if self.random.random() < 0.2:
                values |= self.forms()
        if document is not None:
            values["settings"] = document
        write = Write("update", table, (key,), values)
        self.transact([(self._update(write), write)])

    def patch(self) -> None:
        """One path of a settings document: the feature's own, or another."""
        table = self.random.choice(("companies", "chatbots"))
        if table == "companies":
            own = [Patch(("features", "callEnabled"), self.random.random() < 0.5)] * 3
            own.append(Patch(("features", "callEnabled"), remove=True))
        else:
            own = [Patch(("call",), self._call())] * 3 + [Patch(("call",), {}), Patch(("call",), remove=True)]
        change = self.random.choice([*own, Patch(("mark",), self.mark()), Patch(("theme", "mark"), self.mark())])
        write = Write("update", table, (self.key(table),), {"settings": change})
        self.transact([(self._update(write), write)])

    def avatar(self) -> None:
        """An avatar URL of a user."""
        write = Write("update", "users", (self.key("users"),), {"avatar_url": self.mark().ljust(400, "x")})
        self.transact([(self._update(write), write)])

    def insert(self) -> None:
        """One row, with an id of its own."""
        table, key = self.table(), self.new_key()
        if self.transact([self._inserting(table, key)]):
            self._made(table, key)

    def copy_in(self) -> None:
        """COPY FROM STDIN."""
        table = self.table()
        keys = tuple(self.new_key() for _ in range(2))
        if table == "companies":
            table = "chatbots"
        write = Write("copy", table, keys, self.values(table))
        columns = sql.SQL(", ").join(map(sql.Identifier, self._row(write, keys[0])))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)
        if self.transact([(statement, write)]):
            for key in keys:
                self._made(table, key)

    def upsert(self) -> None:
        """INSERT … ON CONFLICT DO UPDATE, of a row that is there or not."""
        table = self.table()
        key = self.key(table) if self.random.random() < 0.8 else self.new_key()
        write = Write("upsert", table, (key,), self.values(table))
        changes = sql.SQL(", ").join(
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(self.common.names.column(table, name)))
            for name in write.values
        )
        self.transact([(self._insert(write) + sql.SQL(" ON CONFLICT (id) DO UPDATE SET {}").format(changes), write)])

    def insert_or_nothing(self) -> None:
        """INSERT … ON CONFLICT DO NOTHING, mostly of a row that is there."""
        table = self.table()
        key = self.key(table) if self.random.random() < 0.8 else self.new_key()
        write = Write("insert or nothing", table, (key,), self.values(table))
        self.transact([(self._insert(write) + sql.SQL(" ON CONFLICT (id) DO NOTHING"), write)])

    def delete(self) -> None:
        """A row of its own."""
        if (mine := self._mine()) is not None and self.transact([self._delete(*mine)]):
            self._gone(*mine)

    def replace(self) -> None:
        """A row of its own is deleted and another made under its id, in one transaction."""
        if (mine := self._mine()) is not None:
            self.transact([self._delete(*mine), self._inserting(*mine)])

    def replace_later(self) -> None:
        """The same in two transactions."""
        mine = self._mine()
        if mine is None or not self.transact([self._delete(*mine)]):
            return
        self._gone(*mine)
        if self.transact([self._inserting(*mine)]):
            self._made(*mine)

    def rekey(self) -> None:
        """A row of its own gets another id."""
        mine = self._mine()
        if mine is None:
            return
        table, key = mine
        new = self.new_key()
        write = Write("rekey", table, (key,), {}, new_key=new)
        statement = sql.SQL("UPDATE {} SET id = {} WHERE id = {}").format(
            sql.Identifier(table), sql.Literal(new), sql.Literal(key)
        )
        if self.transact([(statement, write)]):
            self._gone(table, key)
            self._made(table, new)

    def roll_back(self) -> None:
        """A transaction that the client rolls back."""
        table = self.table()
        write = Write("update", table, (self.key(table),), self.values(table))
        statements = [(self._update(write), write), self._inserting(table, self.new_key())]
        if (mine := self._mine()) is not None:
            statements.append(self._delete(*mine))
        self.transact(statements, roll_back=True)

    def as_replica(self) -> None:
        """A session in which no ordinary trigger fires, as one that applies another server's changes."""
        table = self.random.choice(("chatbots", "chatbot_packages"))
        if self.random.random() < 0.3:
            key = self.new_key()
            if self.transact([self._inserting(table, key)], replica=True):
                self._made(table, key)
            return
        write = Write("update", table, (self.key(table),), self.values(table, forms=1))
        self.transact([(self._update(write), write)], replica=True)

    # ---- rows of its own ---------------------------------------------------------------------------

    def _mine(self) -> tuple[str, str] | None:
        tables = [table for table in TABLES if self.own[table]]
        if not tables:
            return None
        table = self.random.choice(tables)
        return table, self.random.choice(self.own[table])

    def _made(self, table: str, key: str) -> None:
        self.own[table].append(key)
        self.common.own[table].append(key)

    def _gone(self, table: str, key: str) -> None:
        self.own[table].remove(key)
        self.common.own[table].remove(key)


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    assert value is None or isinstance(value, str)
    return value


def patched(change: Patch) -> sql.Composed:
    """The SQL of a patch of settings: what is no object on the way is replaced by one."""
    if change.remove:
        return sql.SQL("settings #- {}::text[]").format(sql.Literal(list(change.path)))
    value: sql.Composable = sql.SQL("{}::jsonb").format(sql.Literal(json.dumps(change.value)))
    for depth in reversed(range(len(change.path))):
        container = sql.SQL("settings #> {}::text[]").format(sql.Literal(list(change.path[:depth])))
        value = sql.SQL(
            "(CASE WHEN jsonb_typeof({container}) = 'object' THEN {container} ELSE '{{}}' END"
            " || jsonb_build_object({name}::text, {value}))"
        ).format(container=container, name=sql.Literal(change.path[depth]), value=value)
    return sql.SQL("{}").format(value)
