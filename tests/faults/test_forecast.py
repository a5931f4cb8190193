"""The locks and rewrites of a run are those of its outlook: compared with pg_locks and relfilenodes, both ways.

Compared, for each transaction and each table of the platform: the lock modes that a client, DDL or vacuum can wait
behind (SHARE UPDATE EXCLUSIVE and stronger) exactly. The weaker ones of writers and row locks: each that was seen was
forecast, and each that was forecast for certain was seen. ACCESS SHARE is not compared: it blocks nothing but ACCESS
EXCLUSIVE, and every look into the catalog takes it. A table that the transaction itself makes is not seen from outside.
"""

from __future__ import annotations

import re

import pytest
from tests.faults.conftest import MakeChain
from tests.support.faults.chain import Chain
from tests.support.faults.lock_watch import LockWatch, Seen
from tests.support.faults.own_server import administer

from callctl.config.settings import Settings
from callctl.forecast.catalog import Name
from callctl.forecast.locks import BY_MODE, Mode
from callctl.forecast.outlook import Line, Outlook, Transaction, outlook
from callctl.migration import planning
from callctl.migration.planning import Wish
from callctl.sandbox.lifecycle import BASELINES
from callctl.statements import batch_query
from callctl.statements.script import Statement

# What a query returns that a plan cannot run yet.
GENERATED = re.compile(
    r"ALTER TABLE \S+ VALIDATE CONSTRAINT|CREATE (UNIQUE )?INDEX CONCURRENTLY callctl_shadow|CREATE STATISTICS"
)
ARCHIVED = ("integration_accounts", "calls", "call_transcripts")


def beginnings(statement: Statement) -> str:
    """How the text of a statement begins that a run sends: of a batched one up to its rows."""
    if "batched" not in statement.directives:
        return statement.sql
    target = batch_query.target(statement, "chatapp")
    limited = batch_query.limited(statement, target.key, "\x00")
    return batch_query.checked(limited, statement).partition("\x00")[0]


def is_of_the_platform(name: Name) -> bool:
    return name.schema == "chatapp" or (name.schema == "callctl" and name.name in ARCHIVED)


def forecast(lines: list[tuple[Transaction, Line]]) -> dict[tuple[str, Mode], bool]:
    """What the outlook says of the statements of a transaction, on tables that were there before it."""
    made = {name.name for _, line in lines for name in line.effects.makes}
    found: dict[tuple[str, Mode], bool] = {}
    for transaction, line in lines:
        for (name, mode), certain in line.effects.locks.items():
            if is_of_the_platform(name) and name.name not in made and mode > Mode.ACCESS_SHARE:
                sure = certain and not (line.conditional and not transaction.batched)
                found[name.name, mode] = found.get((name.name, mode), False) or sure
    return found


def run(chain: Chain, wish: Wish) -> tuple[Outlook, LockWatch]:
    """Forecast it, run it, and see."""
    url = chain.server.url(chain.database)
    settings = Settings(database_url=url)
    with administer(url) as admin, administer(url) as blocker:
        planned = planning.plan(admin, settings, wish)
        seen_before = outlook(admin, settings, planned, atomic=wish.atomic)
        statements = [
            line.statement
            for step in seen_before.steps
            for t in step.transactions
            if t.alone and not t.batched
            for line in t.lines
        ]
        tables = {
            line.statement.sql: next((name.sql for name, mode in line.effects.locks if mode > Mode.ROW_EXCLUSIVE), None)
            for step in seen_before.steps
            for line in step.lines()
        }
        alone = {statement.sql for statement in statements}

        def table_of(text: str) -> str | None:
            named = re.search(r"CONCURRENTLY callctl_shadow_\d+ ON (\S+)", text)
            return named[1] if named else tables.get(text)

        watch = LockWatch(admin, blocker, table_of, lambda text: text in alone or GENERATED.match(text) is not None)
        chain.proxy.watch(watch)
        options = ["--atomic"] * wish.atomic + ["--defer-drops"] * wish.defer_drops
        options += {None: [], True: ["--shadow"], False: ["--in-place"]}[wish.through_shadow]
        ended = chain.nursery.run([*chain.command(wish.direction), *options], chain.proxy.url(chain.database))
        chain.proxy.watch(None)
    assert watch.problems == []
    assert ended.code == 0, ended.errors
    return seen_before, watch


def differences(expected: Outlook, watch: LockWatch) -> list[str]:
    """Where the two differ; one line each."""
    known = [
        (beginnings(line.statement) if transaction.batched else line.statement.sql, step.number, transaction, line)
        for step in expected.steps
        for transaction in step.transactions
        for line in transaction.lines
    ]
    found: list[str] = []
    sent: set[int] = set()
    parts: list[tuple[Seen, list[tuple[int, Transaction, Line]]]] = []
    for seen in watch.transactions:
        lines: list[tuple[int, Transaction, Line]] = []
        for text in seen.texts:
            matching = [each[1:] for each in known if text.startswith(each[0])]
            new = [each for each in matching if id(each[2]) not in sent]
            lines += (new or matching)[:1]
            sent.update(id(line) for _, _, line in lines)
        if not lines and parts and "generated" in parts[-1][1][-1][2].statement.directives:
            # What the query has returned: its locks are forecast with the query.
            parts[-1][0].locks.update(seen.locks)
            parts[-1][0].rewritten.update(seen.rewritten)
        elif lines:
            parts.append((seen, lines))
        else:
            found += _compared(seen, lines)
    for seen, lines in parts:
        found += _compared(seen, lines)
    for _, number, _, line in known:
        strong = [mode for name, mode in line.effects.locks if is_of_the_platform(name) and mode > Mode.ROW_EXCLUSIVE]
        if id(line) not in sent and not line.conditional and strong:
            found.append(f"step {number}: not sent: {' '.join(line.statement.sql.split())[:80]}")
    return found


def _compared(seen: Seen, lines: list[tuple[int, Transaction, Line]]) -> list[str]:
    expected = forecast([(transaction, line) for _, transaction, line in lines])
    rewritten = {name.name for _, _, line in lines for name in line.effects.rewrites}
    held = {(name, BY_MODE[mode]) for _, name, mode in seen.locks if BY_MODE[mode] > Mode.ACCESS_SHARE}
    places = [f"step {number} {line.statement.place}" for number, _, line in lines] or [
        text[:70] for text in seen.texts
    ]
    where = f"{places[0]} to {places[-1]}" if places else "nothing"
    found = [f"{where}: taken, not forecast: {mode.sql} on {name}" for name, mode in sorted(held - set(expected))]
    for name, mode in sorted(key for key, certain in expected.items() if certain and key not in held):
        found.append(f"{where}: forecast, not taken: {mode.sql} on {name}")
    if rewritten != seen.rewritten:
        found.append(f"{where}: rewritten {sorted(seen.rewritten)}, forecast {sorted(rewritten)}")
    return found


WAYS = {
    "step by step": (Wish("up"), Wish("down", through_shadow=False), Wish("up")),
    "drops deferred": (Wish("up", defer_drops=True), Wish("up"), Wish("down", through_shadow=True)),
    "in one transaction": (Wish("up", atomic=True), Wish("down", atomic=True)),
}


@pytest.mark.some(2)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("baseline", BASELINES)
def test_a_run_locks_and_rewrites_what_the_outlook_says(chain: MakeChain, baseline: str, way: str) -> None:
    database = chain(baseline)
    found = []
    for wish in WAYS[way]:
        expected, watch = run(database, wish)
        found += [f"{wish.direction}: {each}" for each in differences(expected, watch)]
    assert not found, "\n".join(found)


# What a platform may have beside its documented tables, on the columns that the steps change.
FURNISHED = """
CREATE INDEX users_avatar ON chatapp.users (avatar_url);
CREATE UNIQUE INDEX users_avatar_once ON chatapp.users (avatar_url, id);
ALTER TABLE chatapp.users ADD CONSTRAINT users_avatar_check CHECK (avatar_url <> 'none');
CREATE STATISTICS chatapp.users_avatar_company ON avatar_url, company_id FROM chatapp.users;
COMMENT ON COLUMN chatapp.users.avatar_url IS 'a picture';
COMMENT ON INDEX chatapp.users_avatar IS 'for the pictures';
ALTER TABLE chatapp.users CLUSTER ON users_avatar;
CREATE INDEX chatbots_by_type ON chatapp.chatbots (chatbottype, company_id);
ALTER TABLE chatapp.chatbots ADD CONSTRAINT chatbots_type_check CHECK (chatbottype <> 'none');
CREATE STATISTICS chatapp.chatbots_type_company ON chatbottype, company_id FROM chatapp.chatbots;
COMMENT ON COLUMN chatapp.chatbots.chatbottype IS 'which kind';
ALTER TABLE chatapp.chatbots ENABLE ROW LEVEL SECURITY;
CREATE TABLE chatapp.model_uses (
  id uuid PRIMARY KEY, model_id uuid REFERENCES chatapp.ai_models (id) ON DELETE CASCADE);
"""


@pytest.mark.some(1)
@pytest.mark.parametrize("way", ["step by step", "drops deferred"])
def test_what_a_platform_has_besides_counts(chain: MakeChain, way: str) -> None:
    """Indexes, CHECKs, statistics objects, marks and comments of the columns; row-level security; a foreign key."""
    database = chain("documented")
    with administer(database.server.url(database.database)) as admin:
        admin.execute(FURNISHED)
    found = []
    for wish in WAYS[way]:
        found += [f"{wish.direction}: {each}" for each in differences(*run(database, wish))]
    assert not found, "\n".join(found)
