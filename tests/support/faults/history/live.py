"""A history recorded on a real server: clients write while callctl goes up, down and up again, and is killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg
from psycopg import sql
from tests.conftest import connect
from tests.support.faults.history.clients import SCHEMA, TABLES, Application, Client, Common, Names
from tests.support.faults.history.decoding import Decoder
from tests.support.faults.history.records import Commit, History, Mark, Place, Row, View

SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "max_connections": "100",
    "deadlock_timeout": "100ms",
}
APPLICATIONS: tuple[Application, ...] = ("old", "new", "both", "new", "old")
ATTEMPTS = 4  # of a command that is not killed, with clients at work; as many again without
COMMAND_SECONDS = 240
COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
END_A_CLIENT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'history client%' ORDER BY random() LIMIT 1
"""
CALLCTL_OPTIONS = ("--yes", "--batch-size", "9")


@dataclass(frozen=True)
class Phase:
    """One command of callctl and the state that it leads to."""

    label: str
    arguments: tuple[str, ...]
    view: View


PHASES = (
    Phase("both forms", ("up", "--defer-drops"), "up"),
    Phase("flags only", ("up",), "up"),
    Phase("type only", ("down", "--all"), "down"),
    Phase("flags only again", ("up",), "up"),
)


@dataclass(frozen=True)
class Plan:
    """The parameters of a run.

    ``planted`` is SQL by moment: ``start``, a phase's label, or a label with ``, then`` behind it. A label's moment is
    before the clients write between two commands, the other one is after that.
    """

    baseline: str
    seed: int
    clients: int = 3
    pause: float = 0.03  # the longest pause of a client between two transactions, in seconds
    transactions: int = 40  # of all clients together, between two commands
    kills: int = 1  # the most of one command
    ended_connections: float = 0.1  # how often a client's connection is ended, of two times in a second
    phases: Sequence[Phase] = PHASES
    planted: Mapping[str, str] = field(default_factory=dict)
    roads: Sequence[str] = ()  # names of Client's methods; all of its own choice where empty
    beside: bool = True  # whether clients write while callctl works, or only between its commands


@dataclass(frozen=True)
class Recorded:
    """A history, and the outcome of callctl's commands: the kills, the refusals, the command that never completed."""

    history: History
    kills: int
    refusals: Sequence[str]
    not_arrived: str


class Recorder:
    """Reads a database's logical replication slot into events, and adds marks."""

    def __init__(self, url: str, names: Names) -> None:
        self.events: list[Commit | Mark] = []
        self._url, self._names = url, names
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._canonical = {
            table: {actual: name for name, actual in names.columns.get(table, {}).items()} for table in TABLES
        }
        self._decoder = Decoder({f"{SCHEMA}.{table}": table for table in TABLES}, self._canonical)
        self._connection = connect(url, application_name="history recorder", options="-c synchronous_commit=on")
        for table in TABLES:
            self._connection.execute(
                sql.SQL("ALTER TABLE {} REPLICA IDENTITY FULL").format(sql.Identifier(SCHEMA, table))
            )
        self.slot = f"history_{self._connection.info.dbname}"
        self._connection.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", (self.slot,))

    def read(self) -> None:
        """Read all changes that the slot has now."""
        with self._lock:
            # A commit that waits for the log flushes those before it that did not.
            self._connection.execute("SELECT txid_current()")
            lines = self._connection.execute(
                "SELECT xid::text::bigint, data FROM pg_logical_slot_get_changes(%s, NULL, NULL)", (self.slot,)
            ).fetchall()
            self.events += self._decoder.commits(lines)

    def keep_reading(self, random: Random, ended_connections: float) -> None:
        """Read now and then, so that no log piles up; and end a client's connection, this often of all times."""
        while not self._over.wait(0.5):
            self.read()
            if random.random() < ended_connections:
                with self._lock:
                    self._connection.execute(END_A_CLIENT)

    def mark(self, label: str, view: View, next_view: View) -> None:
        """Add every row as it is; no session may be writing."""
        self.read()
        rows: dict[Place, Row] = {}
        for table in TABLES:
            columns = [row[0] for row in self._connection.execute(COLUMNS, (f"{SCHEMA}.{table}",))]
            texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in columns)
            names = [self._canonical[table].get(name, name) for name in columns]
            for values in self._connection.execute(
                sql.SQL("SELECT {} FROM {}").format(texts, sql.Identifier(SCHEMA, table))
            ):
                row = dict(zip(names, values, strict=True))
                rows[table, str(row["id"])] = row
        self.events.append(Mark(label, view, next_view, rows))

    def close(self) -> None:
        """Stop reading and drop the slot."""
        self._over.set()
        with self._lock:
            self._connection.execute("SELECT pg_drop_replication_slot(%s)", (self.slot,))
            self._connection.close()


class Controller:
    """Runs one plan on one database."""

    def __init__(self, url: str, plan: Plan) -> None:
        self.url, self.plan = url, plan
        self.random = Random(f"controller {plan.seed}")
        self.kills = 0
        self.refusals: list[str] = []
        self.names = Names.of(plan.baseline)

    def run(self) -> Recorded:
        """Record the history of the plan."""
        recorder = Recorder(self.url, self.names)
        threads: list[threading.Thread] = []
        not_arrived = ""
        try:
            with connect(self.url) as admin:
                self.common = Common(self.url, self.names, {table: _ids(admin, table) for table in TABLES})
                self._plant(admin, "start")
                recorder.mark("start", "down", "down")
                for number in range(self.plan.clients):
                    client = Client(
                        self.common, number, APPLICATIONS[number % len(APPLICATIONS)], f"{self.plan.seed}",
                        pause=self.plan.pause, roads=self.plan.roads,
                    )  # fmt: skip
                    threads.append(threading.Thread(target=client.run, name=client.name, daemon=True))
                reading = (Random(f"recorder {self.plan.seed}"), self.plan.ended_connections)
                threads.append(threading.Thread(target=recorder.keep_reading, args=reading, daemon=True))
                for thread in threads:
                    thread.start()
                view: View = "down"
                label = "start"
                for phase in self.plan.phases:
                    self._write_a_while()
                    self._plant(admin, f"{label}, then")
                    recorder.mark(f"{label}, before {' '.join(phase.arguments)}", view, "moving")
                    if self.plan.beside:
                        self.common.gate.open()
                    not_arrived = self._arrive(phase)
                    self.common.gate.close()
                    if not_arrived:
                        recorder.read()
                        break
                    label, view = phase.label, phase.view
                    self._plant(admin, label)
                    recorder.mark(label, view, view)
                if not not_arrived:
                    self._write_a_while()
                    recorder.mark(f"{label}, at the end", view, view)
                default = admin.execute("SELECT callctl.default_call_settings()").fetchone()
            if self.common.failures:
                raise self.common.failures[0]
            history = History(recorder.events, self.common.log, default and default[0])
            return Recorded(history, self.kills, self.refusals, not_arrived)
        finally:
            self.common.gate.end()
            recorder.close()
            for thread in threads:
                thread.join(60)

    def _plant(self, admin: psycopg.Connection[Any], moment: str) -> None:
        if moment in self.plan.planted:
            admin.execute(self.plan.planted[moment].encode())

    def _write_a_while(self) -> None:
        """Let the clients write some transactions with no callctl at work."""
        until = len(self.common.log) + self.plan.transactions
        self.common.gate.open()
        step = threading.Event()
        for _ in range(6000):
            if len(self.common.log) >= until or self.common.failures:
                break
            step.wait(0.01)
        self.common.gate.close()

    def _arrive(self, phase: Phase) -> str:
        """Run a command again until it completes; return the last error if it never does."""
        for _ in range(self.random.randint(0, self.plan.kills)):
            code, _ = self._command(phase, kill_after=self.random.uniform(0.3, 3))
            if code == 0:
                return ""
        output = ""
        for attempt in range(2 * ATTEMPTS):
            if attempt == ATTEMPTS:
                self.common.gate.close()
            code, output = self._command(phase)
            if code == 0:
                return ""
            self.refusals.append(f"{' '.join(phase.arguments)}: exit {code}: {output}")
        return f"{' '.join(phase.arguments)}: {output}"

    def _command(self, phase: Phase, kill_after: float | None = None) -> tuple[int, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "callctl", "migrate", *phase.arguments, *CALLCTL_OPTIONS],
            env={**os.environ, "CALLCTL_DATABASE_URL": self.url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _, errors = process.communicate(timeout=COMMAND_SECONDS if kill_after is None else kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            _, errors = process.communicate()
            if kill_after is None:
                errors += f"\nno end after {COMMAND_SECONDS} s"
            else:
                self.kills += 1
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        return process.returncode, errors[-1500:]


def _ids(admin: psycopg.Connection[Any], table: str) -> list[str]:
    ids = sql.SQL("SELECT id::text FROM {} ORDER BY id").format(sql.Identifier(SCHEMA, table))
    return [row[0] for row in admin.execute(ids)]


def record(url: str, plan: Plan) -> Recorded:
    """Run a plan on a fresh database of its baseline."""
    return Controller(url, plan).run()
