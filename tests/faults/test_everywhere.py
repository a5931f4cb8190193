"""From any point of a migration, up or down, the next run of the same command arrives, and nothing shows afterwards.

callctl runs as a process of its own behind a proxy that reads the protocol (``proxy.py``). Faults come from outside:
signals to the process, ends of connections, of backends and of the server, errors in the server's place. The points are
found, not listed: they are what callctl sends (``points.py``). A chain is one database (``chain.py``): an attempt is
disturbed at the first point that was not disturbed yet, the next one goes on from what the fault left, until one passes
undisturbed.

By default the faults take turns at a sample of the points, another one on each baseline, so that each kind of fault
strikes at each moment. With CALLCTL_TEST_PROFILE=thorough each of them hits each point, in turn before, while and after
the server does what it is told, and ``./dev bench faults`` counts them; with CALLCTL_TEST_PROFILE=exhaustive at each of
these moments. With --pg the older servers see a smaller sample.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.conftest import SEED
from tests.faults.conftest import EXHAUSTIVE, THOROUGH, MakeChain, MakeReference
from tests.support.faults.actions import ACTIONS, PAIRS
from tests.support.faults.chain import Chain, Choose
from tests.support.faults.kinds import Moment
from tests.support.faults.points import Point
from tests.support.faults.reference import Reference, assert_down, assert_up

from callctl.files import step_directories
from callctl.statements.script import load_script

pytestmark = pytest.mark.one_server

Record = Callable[[str, object], None]


def turns(start: int, *, one_in: int = 1) -> Choose:
    """Each point has its own fault, the next of all pairs of action and moment."""
    start += SEED

    def choose(point: Point, number: int) -> tuple[str, Moment] | None:
        if (number + start) % one_in:
            return None
        return PAIRS[(start + number // one_in) % len(PAIRS)]

    return choose


def always(action: str, moment: str) -> Choose:
    """One fault at each point, at one moment, or with ``in turn`` at the next of those that it has."""
    pairs = [pair for pair in PAIRS if pair[0] == action and moment in (pair[1], IN_TURN)]
    return lambda point, number: pairs[number % len(pairs)]


IN_TURN = "in turn"
EVERY = [*PAIRS] if EXHAUSTIVE else [(action, IN_TURN) for action in ACTIONS]


def statements(*files: str) -> int:
    """How many statements the files of the steps hold: at least so many points there must be."""
    return sum(
        len(load_script(f"steps/{directory.name}/{file}.sql").statements)
        for directory in step_directories()
        for file in files
    )


def shape(point: Point) -> str:
    """The statement without its values."""
    return re.sub(r"'[^']*'|\d+", "?", point.text)


def assert_all_tried(chain: Chain, expected: Reference, direction: str, count: int) -> None:
    """No point that is known was passed by, and there are as many as there must be."""
    writes = {point for point in expected.points[direction] if point.kind == "write"}
    assert len(writes) >= count, f"{len(writes)} points, {count} statements"
    tried = {point for point, what in chain.tally.tried.items() if what != "left out"}
    # Keys of batches over callctl's own tables differ: what is rolled back has used up numbers.
    assert {shape(point) for point in writes} - {shape(point) for point in tried} == set()
    assert len(tried) >= len(writes)
    # What comes right behind a fault is seen, and may look different when the next attempt gets there.
    places = {(point.where, shape(point)) for point in chain.tally.known}
    assert places - {(point.where, shape(point)) for point in tried} == set()
    assert {shape(point) for point in chain.tally.behind} - {shape(point) for point in tried} == set()


def assert_sampled(chain: Chain, expected: Reference, direction: str, count: int, one_in: int) -> None:
    """As many points as there must be were found, one in so many was struck, and every fault came at every moment."""
    writes = {point for point in expected.points[direction] if point.kind == "write"}
    assert len(writes) >= count, f"{len(writes)} points, {count} statements"
    passed_by = {shape(point) for point in chain.tally.known} - {shape(point) for point in chain.tally.tried}
    assert passed_by == set()
    struck = [what for what in chain.tally.tried.values() if what != "left out"]
    assert len(struck) >= len(writes) // one_in
    if len(struck) >= len(PAIRS):
        assert {" ".join(pair) for pair in PAIRS} - set(struck) == set()


def run_chain(
    chain: Chain, expected: Reference, directions: tuple[str, ...], choose: Choose, *, one_in: int = 1
) -> None:
    """Up and down, disturbed in these directions and not in the other; compared at both ends."""
    for direction, assert_arrived, files in (
        ("up", assert_up, ("up", "verify")),
        ("down", assert_down, ("down",)),
    ):
        if direction in directions:
            chain.disturbed(direction, choose, kinds=frozenset({"write"}))
        else:
            chain.undisturbed(direction)
        assert_arrived(chain, expected)
        if direction in directions and one_in == 1:
            assert_all_tried(chain, expected, direction, statements(*files))
        elif direction in directions:
            assert_sampled(chain, expected, direction, statements(*files), one_in)


def report(record_property: Record, chain: Chain, what: str) -> None:
    record_property("faults", f"{what}: {chain.tally}")


if THOROUGH:

    @pytest.mark.parametrize("direction", ["up", "down"])
    @pytest.mark.parametrize(("action", "moment"), EVERY, ids=str)
    def test_every_fault_at_every_point(
        reference: MakeReference,
        chain: MakeChain,
        record_property: Record,
        action: str,
        moment: str,
        direction: str,
    ) -> None:
        expected = reference("documented")
        disturbed = chain("documented", expected.transactions)
        run_chain(disturbed, expected, (direction,), always(action, moment))
        report(record_property, disturbed, f"{action} {moment} {direction}")


@pytest.mark.some(1)
@pytest.mark.parametrize(("baseline", "start"), [("documented", 0), ("deployed", 17)])
def test_faults_taking_turns(
    reference: MakeReference, chain: MakeChain, record_property: Record, baseline: str, start: int, one_in: int
) -> None:
    """On the way up and on the way down; by default both together have as many faults as it takes for each to come."""
    one_in = 1 if THOROUGH else one_in * 4 // 3
    expected = reference(baseline)
    disturbed = chain(baseline, expected.transactions)
    run_chain(disturbed, expected, ("up", "down"), turns(start, one_in=one_in), one_in=one_in)
    report(record_property, disturbed, baseline)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_fault_before_anything_changes_or_at_the_migration_lock(
    reference: MakeReference, chain: MakeChain, record_property: Record, direction: str, one_in: int
) -> None:
    """Connecting, preflight, and the connection that holds the migration lock."""
    expected = reference("documented")
    disturbed = chain("documented", expected.transactions)
    if direction == "down":
        disturbed.undisturbed("up")
    # Preflight's queries are many, and all are asked in the same way.
    choose = turns(5, one_in=1 if THOROUGH else 2 * one_in)
    disturbed.disturbed(direction, choose, kinds=frozenset({"read", "lock"}))
    (assert_up if direction == "up" else assert_down)(disturbed, expected)
    report(record_property, disturbed, f"preflight and lock {direction}")
