"""The load: client processes that start transactions by a plan, whether or not the last one has come back in time.

An open loop: what is late starts late, and its latency counts from its planned start.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import random
import time
import uuid
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

import psycopg
from psycopg import pq

from benchmarks.online.measure import DONE, Transaction, planned_start
from callctl.sandbox.lifecycle import BASELINES

TYPES, FLAGS = 1, 2  # what the watcher has seen of table chatbots: its type column, its capability flags
TYPE_COLUMN = {baseline.value: baseline.type_column for baseline in BASELINES}
KINDS = (("select", 65), ("update", 30), ("insert", 5))
TABLES = (("users", 40), ("chatbots", 40), ("companies", 20))
COLUMN_GONE = "column gone"
_NAMES = {"42703": COLUMN_GONE, "40P01": "deadlock", "55P03": "lock timeout", "57P01": "disconnected"}
_CAPABILITIES = (("true", "false"), ("false", "true"), ("true", "true"))
# What the new application writes with the call flag: it keeps the rule that a chatbot that calls has settings for it.
_CALL_SETTINGS = '{"call": {"voiceId": "verse", "voiceProvider": "openai", "maxCallDuration": 600}}'


@dataclass(frozen=True)
class Plan:
    """What the clients are told: where, how often, and which rows there are."""

    url: str
    baseline: str
    rate: float
    clients: int
    keys: dict[str, list[str]]  # of each table; "free": chatbots without a package, which may have any capability


def sample_keys(connection: psycopg.Connection[Any], most: int = 20_000) -> dict[str, list[str]]:
    """Keys from all over each table, the same number of them whatever its size."""
    keys = {}
    for name, where in (("users", ""), ("companies", ""), ("chatbots", ""), ("free", "WHERE package_id IS NULL")):
        table = "chatbots" if name == "free" else name
        rows = connection.execute(
            f"SELECT id::text FROM chatapp.{table} {where} ORDER BY hashtext(id::text) LIMIT {most}"
        )
        keys[name] = [row[0] for row in rows]
    return keys


class Writer:
    """Makes one client's statements. Clients of even number are the old application, which knows the type column."""

    def __init__(self, plan: Plan, client: int) -> None:
        self.random = random.Random(client)
        self._plan = plan
        self._type = TYPE_COLUMN[plan.baseline]
        self._own = FLAGS if client % 2 else TYPES
        self._refused: int | None = None  # what the columns were when the preferred form found none

    def next(self, columns: int) -> tuple[str, str]:
        """A statement and what it is, such as ``update users``, for the columns that are said to be there."""
        kind, table = (
            self.random.choices([name for name, _ in of], [weight for _, weight in of])[0] for of in (KINDS, TABLES)
        )
        return f"{kind} {table}", getattr(self, f"_{kind}")(table, columns)

    def refused(self, columns: int) -> None:
        """Remember that the column was not there: until the columns change, the other form is written."""
        self._refused = columns if self._refused is None else None

    def _key(self, name: str) -> str:
        return self.random.choice(self._plan.keys[name])

    def _select(self, table: str, _columns: int) -> str:
        return f"SELECT * FROM chatapp.{table} WHERE id = '{self._key(table)}'"

    def _update(self, table: str, columns: int) -> str:
        tag = f"{self.random.getrandbits(64):x}"
        if table == "users":
            change = f"avatar_url = 'https://cdn.example.com/{tag}.png'"
        elif table == "companies":
            change = f"name = 'Company {tag}'"
        elif self.random.random() < 0.25:
            names, values = self._capability(columns)
            change = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
            if values[-1] == "true":
                change += f", settings = coalesce(settings, '{{}}') || '{_CALL_SETTINGS}'"
            return f"UPDATE chatapp.chatbots SET {change} WHERE id = '{self._key('free')}'"
        else:
            change = f"system_prompt = 'You answer {tag}.'"
        return f"UPDATE chatapp.{table} SET {change} WHERE id = '{self._key(table)}'"

    def _insert(self, table: str, columns: int) -> str:
        key = uuid.UUID(int=self.random.getrandbits(128), version=4)
        if table == "users":
            return (
                f"INSERT INTO chatapp.users (id, company_id, email)"
                f" VALUES ('{key}', '{self._key('companies')}', '{key}@example.com')"
            )
        if table == "companies":
            return (
                f"INSERT INTO chatapp.companies (id, name, slug, settings)"
                f" VALUES ('{key}', 'New', '{key}', '{{\"locale\": \"en\"}}')"
            )
        names, values = self._capability(columns)
        settings = _CALL_SETTINGS if values[-1] == "true" else "{}"
        return (
            f"INSERT INTO chatapp.chatbots (id, company_id, name, settings, {', '.join(names)})"
            f" VALUES ('{key}', '{self._key('companies')}', 'New', '{settings}', {', '.join(values)})"
        )

    def _capability(self, columns: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if self._refused is not None and columns != self._refused:
            self._refused = None
        form = self._own if columns & self._own else FLAGS + TYPES - self._own
        if self._refused is not None:
            form = FLAGS + TYPES - form
        if form == TYPES:
            return (self._type,), (self.random.choice(("'chat'", "'call'")),)
        return ("enabled_chat", "enabled_call"), self.random.choice(_CAPABILITIES)


def client(plan: Plan, number: int, shared: Any, columns: Any, pipe: Pipe) -> None:
    """One client process: say ready, wait for the start, work until the stop, send the transactions."""
    # The clients do the same number of things: they would all collect at the same moment, for tens of milliseconds.
    gc.disable()
    writer = Writer(plan, number)
    connection = psycopg.connect(plan.url, autocommit=True, application_name="bench load")
    pipe.send("ready")
    while not shared[0]:
        time.sleep(0.005)
    begin, count, records = shared[0], 0, []
    while True:
        planned = planned_start(begin, plan.rate, plan.clients, number, count)
        count += 1
        while (wait := planned - time.monotonic()) > 0 and planned < shared[1]:
            time.sleep(min(wait, 0.05))
        if planned >= shared[1]:
            break
        now = columns.value
        kind, statement = writer.next(now)
        begun = time.monotonic()
        # The simple protocol by libpq's own call: nothing prepared, next to nothing of the client's own time.
        result = connection.pgconn.exec_(statement.encode())
        answered = time.monotonic()
        outcome = DONE
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
            outcome = _NAMES.get(state, state or "connection lost")
            if outcome == COLUMN_GONE:
                writer.refused(now)
        records.append(tuple(Transaction(planned, begun, answered, kind, outcome)))
    pipe.send(records)
    connection.close()


class Load:
    """The clients of one run. Times are time.monotonic()'s, which all processes of a machine share."""

    def __init__(self, plan: Plan) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._shared = spawn.RawArray("d", [0.0, float("inf")])
        self.columns = spawn.RawValue("i", TYPES)
        self._clients = []
        for number in range(plan.clients):
            own_end, client_end = spawn.Pipe()
            process = spawn.Process(
                target=client, args=(plan, number, self._shared, self.columns, client_end), daemon=True
            )
            process.start()
            client_end.close()
            self._clients.append((process, own_end))
        for _, pipe in self._clients:
            pipe.recv()

    def start(self) -> float:
        """Begin; return when the first transaction is planned."""
        begin = time.monotonic() + 0.05
        self._shared[0] = begin
        return begin

    def stop(self) -> list[Transaction]:
        """Plan no more, wait until what was planned is done, and return all of it."""
        self._shared[1] = time.monotonic()
        transactions: list[Transaction] = []
        for process, pipe in self._clients:
            with contextlib.suppress(EOFError):
                transactions += (Transaction(*transaction) for transaction in pipe.recv())
            process.join()
        return sorted(transactions)
