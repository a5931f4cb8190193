"""What a run of callctl locks and rewrites, by the server's word: pg_locks and relfilenodes after each statement."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from tests.support.faults.proxy import Fault, Outcome, Session

# The tables of the platform and those that are archived, as a session outside of the transaction sees them.
HELD = """
SELECT n.nspname, c.relname, l.mode FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.pid = %s AND l.granted AND c.relkind IN ('r', 'p')
  AND (n.nspname = 'chatapp'
    OR n.nspname = 'callctl' AND c.relname IN ('integration_accounts', 'calls', 'call_transcripts'))
"""
AWAITED = HELD.replace("l.granted", "NOT l.granted")
FILES = """
SELECT n.nspname, c.relname, c.oid, c.relfilenode FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'chatapp'
"""
# What cannot be run in a transaction beforehand: its first lock is seen where it waits for it.
_HELD_UP = re.compile(r"(?:CREATE (?:UNIQUE )?|DROP )INDEX CONCURRENTLY|CALL callctl\.prove_shadow")

Lock = tuple[str, str, str]


@dataclass
class Seen:
    """One transaction of a run: what was sent in it, what it locked, which tables it wrote again."""

    texts: list[str] = field(default_factory=list)
    locks: set[Lock] = field(default_factory=set)
    rewritten: set[str] = field(default_factory=set)


@dataclass
class LockWatch:
    """Sees each transaction of a run. ``admin`` and ``blocker`` are sessions of the test's own.

    A statement outside of a transaction leaves no lock to look at. So it is run beforehand in a transaction that is
    rolled back; one that cannot be (CONCURRENTLY) is held up by a lock on its table, which ``table_of`` names, and what
    it waits for is what it takes.
    """

    admin: psycopg.Connection[Any]
    blocker: psycopg.Connection[Any]
    table_of: Callable[[str], str | None]
    alone: Callable[[str], bool]
    transactions: list[Seen] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _files: dict[int, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._files = self._look()

    def _look(self) -> dict[int, tuple[str, int]]:
        return {oid: (name, file) for _, name, oid, file in self.admin.execute(FILES).fetchall()}

    def statement(self, session: Session, text: str) -> Fault | None:
        try:
            return self._begins(session, text)
        except Exception as error:
            self.problems.append(f"{text[:60]}: {error!r}")
            raise

    def _begins(self, session: Session, text: str) -> Fault | None:
        if session.is_lock or session.status != "I":
            return None
        self.transactions.append(Seen())
        if not self.alone(text):
            return None
        if not _HELD_UP.match(text):
            self._rehearse(text)
            return None
        table = self.table_of(text)
        if table is None:  # it is not there: nothing is locked
            return None
        self.blocker.execute("BEGIN")
        self.blocker.execute(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE".encode())
        return Fault("during", self._held_up)

    def _rehearse(self, text: str) -> None:
        try:
            with self.admin.transaction(force_rollback=True):
                self.admin.execute(
                    "SELECT set_config('callctl.atomic', 'on', true), set_config('callctl.writes', 'on', true)"
                )
                self.admin.execute(text.encode())
                self._note(self.admin.info.backend_pid)
        except psycopg.Error as error:
            self.problems.append(f"{text[:60]}: {error}")

    def _held_up(self, session: Session) -> Outcome:
        ends = time.monotonic() + 10
        while time.monotonic() < ends:
            rows = self.admin.execute(AWAITED, (session.pid,)).fetchall()
            if rows:
                self.transactions[-1].locks.update(rows)
                break
        else:
            self.problems.append("a statement with CONCURRENTLY waited for no lock")
        self.blocker.execute("ROLLBACK")
        return "go on"

    def _note(self, pid: int) -> None:
        self.transactions[-1].locks.update(self.admin.execute(HELD, (pid,)).fetchall())

    def answered(self, session: Session, text: str, failed: bool) -> None:
        if session.is_lock or not self.transactions:
            return
        self.transactions[-1].texts.append(text)
        if session.status == "T":
            self._note(session.pid)
        elif session.status == "I":
            files = self._look()
            for oid, (name, file) in files.items():
                if oid in self._files and self._files[oid][1] != file:
                    self.transactions[-1].rewritten.add(name)
            self._files = files

    def cancelled(self) -> None: ...
