"""Behind a lock that clients wait behind, no number of rows is read or written that grows with the tables.

Every transaction of every step is asked before it commits: which of the platform's tables it has locked so that writers
or readers wait, and how many rows it has read and written, by the server's own counters. The same run, on few rows and
on many, must give the same numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.conftest import connect
from tests.faults.conftest import THOROUGH

from callctl.config.settings import Settings
from callctl.database import store
from callctl.migration import migrate
from callctl.migration.run import batches, transactions
from callctl.migration.run import script as runner
from callctl.migration.run.transactions import Run, Transaction
from callctl.sandbox.lifecycle import BASELINES, Baseline, fill

pytestmark = pytest.mark.one_server

FEW, MANY = (1_000, 100_000) if THOROUGH else (200, 2_000)

# Strong locks on the platform's tables and on those of callctl that its triggers and foreign keys write.
LOCKED = """
SELECT coalesce(string_agg(DISTINCT l.relation::regclass::text || ' ' || l.mode, ', '), '')
FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p')
  AND (c.relnamespace = 'chatapp'::regnamespace
       OR c.oid IN ('callctl.saved_value'::regclass, 'callctl.inheritance_breach'::regclass))
  AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""
# The rows that this transaction has read and written anywhere but in the catalogs. A table scan counts each row, an
# index scan each row that it fetched.
ROWS = """
SELECT s.schemaname || '.' || s.relname,
       s.seq_tup_read + coalesce(s.idx_tup_fetch, 0) + s.n_tup_ins + s.n_tup_upd + s.n_tup_del
FROM pg_stat_xact_all_tables AS s
WHERE s.schemaname IN ('chatapp', 'callctl', 'public')
"""
# A few rows of callctl's own bookkeeping more or fewer: a checkpoint, a definition.
SLACK = 5

Held = tuple[str, str, str, Counter[str]]


def counted(run: Run) -> Counter[str]:
    return Counter(dict(run.connection.execute(ROWS.encode()).fetchall()))


class Holds:
    """What each transaction behind a lock has read and written, in the order of their commits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[Held] = []
        begun = transactions.transaction

        @contextmanager
        def transaction(run: Run, **options: Any) -> Iterator[Transaction]:
            with begun(run, **options) as current:
                before = counted(run)  # what earlier transactions did is not handed in yet
                yield current
                locked = run.connection.execute(LOCKED.encode()).fetchone()
                if locked and locked[0]:
                    after = counted(run)
                    rows = after - before
                    sent = "; ".join(" ".join(statement.sql.split())[:60] for statement, _ in current._sent)
                    self.found.append((f"step {run.step} {run.direction}", locked[0], sent, rows))

        for module in (batches, runner):
            monkeypatch.setattr(module, "transaction", transaction)

    def taken(self) -> list[Held]:
        found, self.found = self.found, []
        return found


def odd(url: str, baseline: Baseline) -> None:
    """Every kind of work: unknown types and NULL in half of the rows, missing settings, broken inheritance."""
    with connect(url) as db:
        if baseline == "documented":
            db.execute(
                "UPDATE chatapp.chatbots SET chatbottype = CASE WHEN hashtext(id::text) % 4 = 0 THEN 'voice' END"
                " WHERE hashtext(id::text) % 2 = 0;"
                "UPDATE chatapp.chatbot_packages SET chatbottype = NULL WHERE hashtext(id::text) % 2 = 0"
            )
        db.execute("UPDATE chatapp.companies SET settings = NULL WHERE hashtext(id::text) % 2 = 0")
        db.execute("VACUUM ANALYZE")


def hybrids(url: str) -> None:
    """What the new application writes: hybrids, and what breaks the rule of the packages."""
    with connect(url) as db:
        db.execute(
            "UPDATE chatapp.chatbots SET enabled_chat = true, enabled_call = true"
            " WHERE hashtext(id::text) % 3 = 0 AND package_id IS NULL"
        )


Work = Callable[[Settings], object]
WAYS: dict[str, tuple[Work, ...]] = {
    "up, down, up": (
        migrate.up,
        lambda settings: hybrids(settings.database_url or ""),
        lambda settings: migrate.down(settings, to=1),
        migrate.up,
    ),
    "deferred": (
        lambda settings: migrate.up(settings, defer_drops=True),
        lambda settings: hybrids(settings.database_url or ""),
        migrate.up,
        lambda settings: migrate.down(settings, to=1),
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("baseline", BASELINES)
def test_no_hold_grows_with_the_tables(
    database: Callable[[], str], baseline: Baseline, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for rows in (FEW, MANY):
        url = database()
        fill(url, baseline, rows=rows)
        odd(url, baseline)
        settings = Settings(database_url=url)
        holds = Holds(monkeypatch)
        for work in WAYS[way]:
            work(settings)
        seen.append(holds.taken())
        monkeypatch.undo()
    few, many = seen
    assert [each[:3] for each in few] == [each[:3] for each in many]
    assert len(few) > 15
    grown = [
        f"{step} ({locked}), {sent}: {table}: {one[3][table]} -> {number}"
        for one, (step, locked, sent, found) in zip(few, many, strict=True)
        for table, number in found.items()
        if number > one[3][table] + SLACK
    ]
    assert not grown, "\n".join(grown)


def test_to_bring_callctls_schema_up_to_date_locks_out_no_writer(documented: str) -> None:
    migrate.up(Settings(database_url=documented), defer_drops=True)
    with connect(documented) as db, db.transaction():
        store.create(db, "chatapp")
        assert db.execute(LOCKED.encode()).fetchall() == [("",)]
