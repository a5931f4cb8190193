"""One statement a transaction waits for a lock that clients wait behind; the exceptions are those of locks.md.

What a transaction holds is the server's word (pg_locks), asked after each statement on a connection of the test's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.faults.conftest import MakeChain
from tests.support.faults.chain import Chain
from tests.support.faults.own_server import administer
from tests.support.faults.proxy import Fault, Session

from callctl.config.settings import Settings
from callctl.events import Direction
from callctl.migration import planning
from callctl.migration.steps.numbered import all_steps, status
from callctl.sandbox.lifecycle import BASELINES
from callctl.statements.adaptation import adapt
from callctl.statements.script import Statement, load_script

pytestmark = pytest.mark.one_server

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "locks.md"

# The modes that somebody who writes (ROW EXCLUSIVE) waits behind, on the platform's tables that an outsider sees.
HELD = """
SELECT c.relname FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = %s AND l.granted AND c.relkind IN ('r', 'p') AND c.relnamespace = 'chatapp'::regnamespace
  AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""
# What callctl itself says in a transaction, around the statements of a step.
OWN = re.compile(
    r"set_config\(|\bINTO callctl\.(checkpoint|history|forecast)(?: AS \w+)?\s+\(|FROM callctl\.checkpoint\s+WHERE"
    r"|JOIN callctl\.(checkpoint|history) AS"
    r"|SET TRANSACTION"
)

# Step, way, tables, and what runs from the first lock on.
Row = tuple[str, str, str, str]


@dataclass
class Watch:
    """Sees what each transaction of a run does while it holds such a lock."""

    admin: psycopg.Connection[Any]
    transactions: list[tuple[list[str], set[str]]] = field(default_factory=list)

    def statement(self, session: Session, text: str) -> Fault | None:
        if session.status == "I" and not session.is_lock:
            self.transactions.append(([], set()))
        return None

    def answered(self, session: Session, text: str, failed: bool) -> None:
        held = [] if session.is_lock else self.admin.execute(HELD, (session.pid,)).fetchall()
        if held:
            texts, tables = self.transactions[-1]
            texts.append(text)
            tables.update(name for (name,) in held)

    def cancelled(self) -> None: ...


def label(statement: Statement) -> str:
    """'ALTER TABLE', 'DELETE', 'check'; of a function call, the function."""
    if statement.check is not None:
        return "check"
    called = re.match(r"(?:SELECT|CALL) callctl\.(\w+)\(", statement.sql)
    return f"`{called[1]}`" if called else f"`{statement.kind.upper()}`"


def shown(labels: list[str]) -> str:
    counted = ((each, len(list(group))) for each, group in groupby(labels))
    return ", ".join(each if count == 1 else f"{each} × {count}" for each, count in counted)


def watched(chain: Chain, direction: Direction, *, through_shadow: bool | None = None) -> set[Row]:
    """Run it; the transactions that hold such locks on more than one table, or for more than one statement."""
    settings = Settings(database_url=chain.server.url(chain.database))
    with administer(chain.server.url(chain.database)) as admin:
        planned = planning.plan(admin, settings, planning.Wish(direction, through_shadow=through_shadow))
        found = status(admin, settings)
        watch = Watch(admin)
        chain.proxy.watch(watch)
        ended = chain.nursery.run(chain.command(direction), chain.proxy.url(chain.database))
        chain.proxy.watch(None)
    assert ended.code == 0, ended
    known = [(step.number, each) for step in planned.steps for each in step.statements]
    keys = load_script("store_keys.sql").statements
    known += [(0, adapt(statement, planned.naming)) for statement in keys]
    for step in all_steps():
        known += [(step.number, check) for check in planning.prepared(step, direction, found)[1]]
    labels = {statement.sql: label(statement) for _, statement in known}
    steps = {sql: {step for step, statement in known if statement.sql == sql} for sql in labels}
    rows: set[Row] = set()
    locking = [found for found in watch.transactions if found[1]]
    assert len(locking) > 10
    for texts, tables in locking:
        under = [text for text in texts if not OWN.search(text)]
        (number,) = set.intersection(*(steps[text] for text in under))  # two steps may have a statement in common
        if len(under) > 1 or len(tables) > 1:
            names = ", ".join(f"`{name}`" for name in sorted(tables))
            rows.add((str(number), direction, names, shown([labels[text] for text in under])))
    return rows


def test_the_exceptions_are_those_of_the_page(chain: MakeChain) -> None:
    """On both baselines, up and down, and up again where the tables come back from the archive."""
    found: set[Row] = set()
    for baseline in BASELINES:
        database = chain(baseline)
        for direction in ("up", "down", "up") if baseline == "documented" else ("up", "down"):
            found |= watched(database, direction)
        shadowed = chain(baseline)
        shadowed.undisturbed("up")
        shadowed.options["down"].append("--shadow")
        found |= watched(shadowed, "down", through_shadow=True)
    page, _, _ = PAGE.read_text(encoding="utf-8").partition("## How long that is")
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line[:1] == "|"]
    rows = [tuple(line) for line in lines[2:]]
    documented = {row[:4] for row in rows}
    assert [f"| {' | '.join(row)} | why? |" for row in sorted(found - documented)] == []
    assert sorted(documented - found) == []
    assert all(len(row) == 5 and row[4] for row in rows)
