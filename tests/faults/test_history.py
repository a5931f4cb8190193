"""Acknowledged writes of many clients, while callctl goes up, down and up again and is killed at random moments.

Every committed row version is read from a logical replication slot and judged
(tests/support/faults/history): each write that a
client was told of is stored as it was meant, both forms agree, and neither callctl nor a kill undoes a write.

CALLCTL_TEST_PROFILE=thorough runs twenty seeds with some 10^5 writes in all, and plants the bugs in both baselines.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from tests.conftest import connect
from tests.faults.conftest import THOROUGH
from tests.support.faults.history.judge import judge
from tests.support.faults.history.live import SETTINGS, Plan, Recorded, record
from tests.support.faults.history.records import Finding
from tests.support.faults.history.telling import tell
from tests.support.servers import binaries_of

from callctl.sandbox.lifecycle import BASELINES, Baseline, create_database, drop_database, fill
from callctl.sandbox.server import Server, start_server

ROWS = 40
RUNS = [(BASELINES[seed % 2], seed) for seed in range(1, 21)] if THOROUGH else [(name, 1) for name in BASELINES]
TOLD = 40  # lines of a row's history in a failure

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def history_server(server: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that writes what logical decoding needs; of the major version that is asked for."""
    binaries = binaries_of(server.version) if request.config.getoption("--pg") else None
    with start_server(binaries, settings=SETTINGS) as running:
        yield running


@pytest.fixture
def history_database(history_server: Server) -> Iterator[Callable[[str], str]]:
    """Make databases of a baseline, dropped after the test."""
    made: list[str] = []

    def make(baseline: str) -> str:
        known: dict[str, Baseline] = {name: name for name in BASELINES}
        name = f"history_{next(_numbers)}"
        with connect(history_server.url("postgres")) as admin:
            create_database(admin, name)
        made.append(name)
        fill(history_server.url(name), known[baseline], rows=ROWS)
        return history_server.url(name)

    yield make
    with connect(history_server.url("postgres")) as admin:
        for name in made:
            drop_database(admin, name)


def first_of_each_kind(recorded: Recorded, findings: list[Finding]) -> str:
    """The report of a failure: how many of each kind, and one of each with its row's history."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    report = [f"{len(found)} x {kind}" for kind, found in kinds.items()]
    for found in kinds.values():
        lines = tell(recorded.history, found[0]).splitlines()
        report += ["", *lines[:TOLD], *([f"  ({len(lines) - TOLD} more)"] if len(lines) > TOLD else [])]
    if recorded.not_arrived:
        report += ["", f"callctl did not arrive: {recorded.not_arrived}"]
    return "\n".join(report)


def assert_nothing_lost(recorded: Recorded) -> None:
    """callctl arrived, and the judge finds nothing."""
    findings = judge(recorded.history)
    assert not findings, first_of_each_kind(recorded, findings)
    assert not recorded.not_arrived


def plan(baseline: str, seed: int) -> Plan:
    """A short run, or a long one of more than 5,000 writes."""
    short = Plan(baseline, seed)
    return replace(short, clients=5, pause=0.04, transactions=1000, kills=3) if THOROUGH else short


@pytest.mark.some(1)
@pytest.mark.parametrize(("name", "seed"), RUNS)
def test_no_acknowledged_write_is_lost(
    history_database: Callable[[str], str], name: str, seed: int, record_property: Callable[[str, object], None]
) -> None:
    recorded = record(history_database(name), plan(name, seed))
    log = recorded.history.transactions
    told = sum(len(client.writes) for client in log if client.outcome == "acknowledged")
    record_property("faults", f"history of {name}, seed {seed}: {told} writes acknowledged, {recorded.kills} kills")
    assert told > 200
    assert_nothing_lost(recorded)


# ---- planted bugs ----------------------------------------------------------------------------------

# Between the commands only, and by the plain roads: without a planted bug nothing is found.
PLAIN = ("update", "update_many", "save_whole", "patch", "avatar", "insert", "delete", "roll_back")

TRIGGER = """
CREATE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {condition} THEN
    {action}
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER planted BEFORE UPDATE ON chatapp.{table} FOR EACH ROW EXECUTE FUNCTION public.planted();
"""
SOME_ROWS = "hashtext(OLD.id::text) % 2 = 0"
OF_CALLCTL = "current_setting('application_name') LIKE 'callctl%'"
SWITCH = """
DO $$
DECLARE
  found record;
BEGIN
  FOR found IN
    SELECT t.tgname, t.tgrelid::regclass AS home FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE p.pronamespace = 'callctl'::regnamespace AND t.tgrelid::regclass::text LIKE 'chatapp.chatbot%'
  LOOP
    EXECUTE format('ALTER TABLE %s {switch} TRIGGER %I', found.home, found.tgname);
  END LOOP;
END $$;
"""
TAMPER = """
CREATE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.field = 'chatbot_type' THEN
    NEW.value := '"call"';
  ELSIF NEW.field = 'capabilities' THEN
    NEW.value := '{"chat": false, "call": true}';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER zzz_planted BEFORE INSERT OR UPDATE ON callctl.saved_value
  FOR EACH ROW EXECUTE FUNCTION public.planted();
"""


def swallowing(table: str, condition: str) -> str:
    """A trigger that lets updates disappear."""
    return TRIGGER.format(table=table, condition=condition, action="RETURN NULL;")


def resetting(table: str, condition: str) -> str:
    """A trigger that puts the old row in place of the new one."""
    return TRIGGER.format(table=table, condition=condition, action="NEW := OLD;")


PLANTED: Mapping[str, Mapping[str, str]] = {
    "updates swallowed": {"start": swallowing("chatbots", SOME_ROWS)},
    "updates of callctl swallowed": {"start": swallowing("chatbots", f"{OF_CALLCTL} AND {SOME_ROWS}")},
    "updates reset": {"start": resetting("chatbot_packages", SOME_ROWS)},
    "updates of callctl reset": {"start": resetting("chatbot_packages", OF_CALLCTL)},
    "updates of callctl reset while both forms exist": {"both forms": resetting("companies", OF_CALLCTL)},
    "a rewrite rule": {
        "start": "CREATE RULE planted AS ON UPDATE TO chatapp.companies"
        " WHERE hashtext(OLD.id::text) % 2 = 0 DO INSTEAD NOTHING"
    },
    "a rewrite rule while both forms exist": {
        "both forms": "CREATE RULE planted AS ON UPDATE TO chatapp.chatbot_packages"
        " WHERE hashtext(OLD.id::text) % 2 = 0 DO INSTEAD NOTHING"
    },
    "triggers disabled for a while": {
        "both forms": SWITCH.format(switch="DISABLE"),
        "both forms, then": SWITCH.format(switch="ENABLE"),
    },
    "saved values changed": {"both forms": TAMPER},
    "saved values deleted": {"flags only": "SET callctl.writes = 'on'; DELETE FROM callctl.saved_value"},
}
PLANTED_SHORT = ("updates of callctl swallowed", "triggers disabled for a while", "saved values deleted")


def planted_plan(baseline: str, planted: Mapping[str, str]) -> Plan:
    """The same run, with a bug or without."""
    return Plan(
        baseline,
        7,
        kills=0,
        transactions=60,
        pause=0.005,
        planted=planted,
        roads=PLAIN,
        beside=False,
        ended_connections=0,
    )


@pytest.mark.some(1)
@pytest.mark.one_server  # as the next
@pytest.mark.parametrize("name", BASELINES)
def test_without_a_planted_bug_nothing_is_found(history_database: Callable[[str], str], name: str) -> None:
    assert_nothing_lost(record(history_database(name), planted_plan(name, {})))


@pytest.mark.some(1)
@pytest.mark.one_server  # it is about the judge
@pytest.mark.parametrize("name", BASELINES if THOROUGH else ["deployed"])
@pytest.mark.parametrize("bug", PLANTED if THOROUGH else PLANTED_SHORT)
def test_a_planted_bug_is_found(history_database: Callable[[str], str], bug: str, name: str) -> None:
    """callctl refuses, or the judge finds a lost write. A refusal without a finding has harmed no row."""
    recorded = record(history_database(name), planted_plan(name, PLANTED[bug]))
    assert judge(recorded.history) or "callctl: error:" in recorded.not_arrived
