"""Which statements of a run are points to disturb it at, and when two of them are the same point.

A point is known by its text and by how far the migration has come: what callctl's history and checkpoints say when the
transaction begins, asked on a connection of the test's own. So each batch is a point of its own, and a statement that a
retry sends again at the same place is the same point. What commits without getting any further (making the store,
sweeping it, an index on its own) is known by its text alone: every attempt does it again. Which transactions those are,
a run that nobody disturbs shows first.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from typing import Any, Literal, LiteralString, TypeAlias

import psycopg
from psycopg import sql
from tests.support.faults.own_server import administer
from tests.support.faults.proxy import Session

Kind: TypeAlias = Literal["write", "read", "lock"]
ALL: frozenset[str] = frozenset({"write", "read", "lock"})

# Settings of a session, and reading them back: nothing that a fault could leave half done.
_SETTING = re.compile(r"\s*(SELECT\s+(pg_catalog\.)?set_config\(|SELECT setting\b|SET\b|SHOW\b)", re.IGNORECASE)
_READ_ONLY = re.compile(r"\s*SET TRANSACTION\b.*\bREAD ONLY", re.IGNORECASE)
_WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM)\b")
_COMMENTS = re.compile(r"^(\s*--[^\n]*\n)+")

NOWHERE = hashlib.md5(b"").hexdigest()  # what PROGRESS says of an empty store

PROGRESS = """
SELECT md5(concat(
  (SELECT string_agg(concat_ws(' ', step, direction), ',' ORDER BY id) FROM callctl.history),
  (SELECT string_agg((to_jsonb(c) - ARRAY['written_at', 'changed'])::text, ',' ORDER BY to_jsonb(c)::text)
   FROM callctl.checkpoint AS c)))
"""


@dataclass(frozen=True)
class Point:
    """One place in a migration where a fault can strike."""

    kind: Kind
    where: str  # how far the migration has come; empty where that makes no difference
    text: str
    ordinal: int = 0  # of this text in its transaction

    def __str__(self) -> str:
        return f"{self.kind}: {' '.join(self.text.split())[:90]}"


@dataclass
class Transactions:
    """What an undisturbed run has shown: beginnings of transactions by their statements."""

    progress: set[tuple[str, ...]] = field(default_factory=set)
    standing: set[tuple[str, ...]] = field(default_factory=set)

    def learn(self, texts: list[str], moved: bool) -> None:
        target = self.progress if moved else self.standing
        target.update(tuple(texts[:length]) for length in range(1, len(texts) + 1))

    def stands_still(self, texts: list[str]) -> bool:
        beginning = tuple(texts)
        return beginning in self.standing and beginning not in self.progress


# How long a server may take that was crashed, and is asked meanwhile.
RESTART_SECONDS = 30.0


class Progress:
    """How far a migration has come (or what else ``query`` asks after), as an outsider reads it."""

    def __init__(self, url: str, query: LiteralString = PROGRESS, table: str = "callctl.checkpoint") -> None:
        """``query`` says it in one value, once ``table`` is there."""
        self._url = url
        self._query = query
        self._table = table
        self._connection: psycopg.Connection[Any] | None = None

    def __call__(self) -> str:
        until = time.monotonic() + RESTART_SECONDS
        while time.monotonic() < until:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = administer(self._url)
                return self._read(self._connection)
            except psycopg.OperationalError:  # the server was restarted, or is being: another session met the fault
                self._connection = None
                time.sleep(0.1)
        raise AssertionError("the server does not answer the test")

    def _read(self, connection: psycopg.Connection[Any]) -> str:
        there = connection.execute("SELECT to_regclass(%s)::text", (self._table,)).fetchone()
        if there == (None,):
            return NOWHERE
        row = connection.execute(self._query).fetchone()
        assert row is not None
        return str(row[0])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Watch:
    """Turns the statements of one attempt into points."""

    def __init__(
        self,
        progress: Progress,
        transactions: Transactions,
        kinds: frozenset[str] = ALL,
        *,
        learning: bool = False,
    ) -> None:
        self._kinds = kinds
        self._progress = progress
        self._transactions = transactions
        self._learning = learning

    def point(self, session: Session, text: str) -> Point | None:
        """The point that this statement is, or None."""
        text = _COMMENTS.sub("", text)
        if text == "(connect)":
            return Point("lock" if session.is_lock else "read", "", f"(connect {session.number})")
        if session.is_lock:
            return Point("lock", self._progress(), text) if "lock" in self._kinds else None
        if session.status == "I":
            session.transaction = []
        session.transaction.append(text)
        word = text.split(None, 1)[0].upper() if text.strip() else ""
        opened = session.transaction[0].upper() == "BEGIN"
        if len(session.transaction) == 1 and opened:
            return None  # the moments before and after it are those after and before its neighbours
        reads = any(_READ_ONLY.match(statement) for statement in session.transaction)
        if not opened and (word in ("SELECT", "SHOW") or (word == "WITH" and not _WRITES.search(text))):
            reads = True
        elif len(session.transaction) == 1 + opened and not reads:
            session.base = self._progress()  # callctl holds no lock yet that this could wait for
        if word == "ROLLBACK" or _SETTING.match(text):
            return None
        ordinal = session.transaction.count(text) - 1
        if reads:
            return None if word == "COMMIT" else Point("read", "", f"{session.number} {text}", ordinal)
        where = "" if self._transactions.stands_still(session.transaction) else session.base
        if word == "COMMIT":
            text = f"COMMIT after {session.transaction[-2]}"
        return Point("write", where, text, ordinal)

    def answered(self, session: Session) -> None:
        """After an answer: learn from a transaction that is at its end."""
        if self._learning and not session.is_lock and session.status == "I" and session.base:
            self._transactions.learn(session.transaction, self._progress() != session.base)
            session.base = ""


VOLATILE = ["id", "client", "callctl_version", "database_role", "file", "sha256"]


def store_contents(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """callctl's own tables, without what no two runs have in common: ids, those of rows that were made, and times.

    A forecast is of one run, and a step that resumes has none; a killed run leaves its row of run_state to the next.
    """
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'callctl'::regnamespace AND relkind = 'r'"
        " AND relname NOT IN ('work_list', 'tally', 'forecast', 'run_state') ORDER BY 1"
    ).fetchall()

    def made_row(row: dict[str, object], key: str) -> bool:
        return key == "name" and row.get("kind") == "row"

    contents = {}
    for (name,) in tables:
        rows = connection.execute(
            sql.SQL("SELECT to_jsonb(t) - %s::text[] FROM {} AS t").format(sql.Identifier("callctl", name)), (VOLATILE,)
        ).fetchall()
        contents[name] = sorted(
            repr(
                sorted((key, value) for key, value in row.items() if not key.endswith("_at") and not made_row(row, key))
            )
            for (row,) in rows
        )
    if ("tally",) in connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'callctl'::regnamespace"):
        # How many rows it has depends on how many statements wrote; what it says is that all the others are as written.
        contents["tally"] = [repr(row) for row in connection.execute("SELECT * FROM callctl.changed_records()")]
    return contents
