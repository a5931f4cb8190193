"""From any point of a rotation every value can be read, the next run goes on, and it ends as if nothing had been.

Built as ``test_everywhere.py``: faults from outside, at points that are found and not listed. The server logs every
statement with its parameters all the while, and no secret is in it, nor in anything that callctl says or writes down.

By default the faults take turns at a sample of the points, another one in each scene. With
CALLCTL_TEST_PROFILE=thorough they take turns at all points, and then each of them hits each point, its moments in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from tests.faults.conftest import THOROUGH, MakeRotation
from tests.faults.test_everywhere import EVERY, Record, always, turns
from tests.support.faults.actions import PAIRS
from tests.support.faults.chain import Choose
from tests.support.faults.points import Point, Transactions
from tests.support.faults.rotation_chain import RotationChain, shape
from tests.support.faults.rotation_scene import SCENES, SceneName, Secret, quietly, row_versions, secrets

pytestmark = pytest.mark.one_server

What: TypeAlias = tuple[str | None, str | None, int | None]
MakeUndisturbed: TypeAlias = Callable[[SceneName], "Undisturbed"]


@dataclass(frozen=True)
class Undisturbed:
    """What a rotation that nobody disturbed went through, and left."""

    points: list[Point]
    transactions: Transactions
    after: dict[str, What]
    ledger: list[tuple[object, ...]]


def what(found: Mapping[str, Secret]) -> dict[str, What]:
    return {where: (each.plaintext, each.key, each.version) for where, each in found.items()}


def ledger(chain: RotationChain) -> list[tuple[object, ...]]:
    """What the first rotation of a database is said to have done."""
    with quietly(chain.url) as db:
        query = "SELECT to_key, from_keys, binding, counts, failures FROM callctl.rotation ORDER BY id LIMIT 1"
        return db.execute(query).fetchall()


def now(chain: RotationChain) -> dict[str, What]:
    with quietly(chain.url) as db:
        return what(secrets(db, chain.ring))


@pytest.fixture(scope="session")
def undisturbed(rotation: MakeRotation) -> MakeUndisturbed:
    """What a rotation of each scene is when nobody disturbs it, taken once."""
    known: dict[SceneName, Undisturbed] = {}

    def make(scene: SceneName) -> Undisturbed:
        if scene not in known:
            quiet = rotation(scene)
            before = quiet.before
            points = quiet.undisturbed()
            after = now(quiet)
            # All forms are there before, and one after.
            forms = {(each.key, each.version) for each in before.values() if each.plaintext is not None}
            assert forms == {(None, None), ("k1", 1), (None, 0), ("k1", 2), ("k2", 1)}
            assert {key for plaintext, key, _ in after.values() if plaintext is not None} == {"k2"}
            assert_writes_nothing(quiet)
            known[scene] = Undisturbed(points, quiet.transactions, after, ledger(quiet))
        return known[scene]

    return make


def assert_writes_nothing(chain: RotationChain) -> None:
    """Another run in the same way finds everything done."""
    with quietly(chain.url) as db:
        binding = db.execute("SELECT binding FROM callctl.rotation ORDER BY id DESC LIMIT 1").fetchone()
        before = row_versions(db)
        arguments = [*chain.plain(), *({"bind": ["--bind"], "unbind": ["--unbind"]}.get((binding or ("",))[0], []))]
        ended = chain.nursery.run(arguments, chain.url)
        assert ended.code == chain.good, ended
        assert row_versions(db) == before


def report(record_property: Record, chain: RotationChain, name: str) -> None:
    record_property("faults", f"rotation, {name}: {chain.tally}")


def run_chain(chain: RotationChain, expected: Undisturbed, choose: Choose) -> None:
    chain.disturbed(choose)
    # However often it was stopped, the first rotation of this database did what one that nobody stopped does.
    assert ledger(chain) == expected.ledger
    plaintexts = {where: plaintext for where, (plaintext, _, _) in expected.after.items()}
    ended = now(chain)
    assert {where: plaintext for where, (plaintext, _, _) in ended.items()} == plaintexts
    if chain.rotations == 1:
        assert ended == expected.after
    assert_writes_nothing(chain)
    # Every shape of statement was a point, and every point of the undisturbed run was passed or struck.
    missed = {shape(point) for point in expected.points} - {shape(point) for point in chain.tally.tried}
    # A server that crashed has emptied run_state, which is unlogged: the scan has nothing to read there.
    assert {text for text in missed if '"run_state"' not in text} == set()


if THOROUGH:

    @pytest.mark.parametrize("scene", SCENES)
    @pytest.mark.parametrize(("action", "moment"), EVERY, ids=str)
    def test_every_fault_at_every_point(
        rotation: MakeRotation,
        undisturbed: MakeUndisturbed,
        record_property: Record,
        action: str,
        moment: str,
        scene: SceneName,
    ) -> None:
        expected = undisturbed(scene)
        chain = rotation(scene, expected.transactions)
        run_chain(chain, expected, always(action, moment))
        report(record_property, chain, f"{scene}, {action} {moment}")
        assert len([each for each in chain.tally.tried.values() if each != "left out"]) >= len(set(expected.points))


@pytest.mark.parametrize(("scene", "start"), [("live", 0), ("archived", 11)])
def test_faults_taking_turns(
    rotation: MakeRotation,
    undisturbed: MakeUndisturbed,
    record_property: Record,
    scene: SceneName,
    start: int,
    one_in: int,
) -> None:
    expected = undisturbed(scene)
    chain = rotation(scene, expected.transactions)
    run_chain(chain, expected, turns(start, one_in=max(one_in * 2 // 3, 1)))
    report(record_property, chain, scene)
    struck = [each for each in chain.tally.tried.values() if each != "left out"]
    if len(struck) >= len(PAIRS):
        assert {" ".join(pair) for pair in PAIRS} - set(struck) == set()
