"""Step 1 down through a shadow column, disturbed at its points: the next down resumes it, the next up removes it.

As in ``test_everywhere.py``: the points are found, callctl is a process behind a proxy, and faults come from outside.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.conftest import SEED
from tests.faults.conftest import THOROUGH, MakeChain
from tests.support.db import snapshot
from tests.support.faults.actions import PAIRS
from tests.support.faults.chain import Chain, Choose
from tests.support.faults.kinds import Moment
from tests.support.faults.own_server import administer
from tests.support.faults.points import Point, Watch
from tests.support.faults.reference import look

pytestmark = pytest.mark.one_server

Record = Callable[[str, object], None]
WRITES = frozenset({"write"})
# Of how many points one is struck by default; fewer where each fault has a whole way down and up of its own.
ONE_IN = 1 if THOROUGH else 36
FROM_THE_BEGINNING = 1 if THOROUGH else 3 * ONE_IN

LONG = "https://example.com/" + "a" * 800
# Something of each kind that a shadow column gets; and two addresses that have to be cut, and saved.
OBJECTS = """
CREATE INDEX users_avatar ON chatapp.users (avatar_url);
CREATE UNIQUE INDEX users_avatar_unique ON chatapp.users (avatar_url, id) WHERE avatar_url <> 'none';
ALTER TABLE chatapp.users ADD CONSTRAINT users_avatar_check CHECK (avatar_url <> 'none');
ALTER TABLE chatapp.users ALTER COLUMN avatar_url SET DEFAULT 'https://example.com/none.png';
ALTER TABLE chatapp.users ALTER COLUMN avatar_url SET STATISTICS 90;
COMMENT ON COLUMN chatapp.users.avatar_url IS 'a picture';
CREATE STATISTICS chatapp.users_statistics ON avatar_url, email FROM chatapp.users;
"""
ADDRESSES = f"""
UPDATE chatapp.users SET avatar_url = '{LONG}' WHERE id IN (SELECT id FROM chatapp.users ORDER BY id LIMIT 2)
"""


def turns(start: int) -> Choose:
    """Each point has its own fault, the next of all pairs of action and moment."""

    start += SEED

    def choose(point: Point, number: int) -> tuple[str, Moment] | None:
        return None if (number + start) % ONE_IN else PAIRS[(start + number // ONE_IN) % len(PAIRS)]

    return choose


def shadowed(chain: MakeChain, baseline: str) -> tuple[Chain, snapshot.Snapshot, snapshot.Snapshot]:
    """A database with step 1 applied, ready to go down through a shadow column; as it was before, and as it is."""
    made = chain(baseline)
    made.steps = 1
    made.options = {"up": ["--to", "1"], "down": ["--all", "--shadow", "--truncate-avatars"]}
    with administer(made.server.url(made.database)) as admin:
        admin.execute(OBJECTS.encode())
    before, _ = look(made)
    made.undisturbed("up")
    with administer(made.server.url(made.database)) as admin:
        admin.execute(ADDRESSES.encode())
    return made, before, look(made)[0]


def leftovers(chain: Chain) -> list[str]:
    with administer(chain.server.url(chain.database)) as admin:
        return [
            row[0]
            for row in admin.execute(
                "SELECT tgname::text FROM pg_trigger WHERE tgname LIKE 'zzz_callctl%'"
                " UNION ALL SELECT proname FROM pg_proc WHERE proname IN ('fill_users', 'shadow_users')"
                " UNION ALL SELECT relname FROM pg_class WHERE relname ~ 'callctl_shadow|shadow_(form|parts)'"
                " UNION ALL SELECT attname FROM pg_attribute WHERE attname = 'callctl_avatar_url'"
                " UNION ALL SELECT kind FROM callctl.definition WHERE kind LIKE 'shadow%'"
                " UNION ALL SELECT step::text FROM callctl.checkpoint"
            ).fetchall()
        ]


def assert_up(chain: Chain, up: snapshot.Snapshot) -> None:
    snapshot.assert_same(up, look(chain)[0], snapshot.touched_columns(up))
    assert leftovers(chain) == []


def assert_down(chain: Chain, before: snapshot.Snapshot, up: snapshot.Snapshot) -> None:
    taken = look(chain)[0]
    snapshot.assert_same_catalog(before, taken)
    users = {
        key: {**row, "avatar_url": None if row["avatar_url"] is None else row["avatar_url"][:500]}
        for key, row in up.rows["chatapp.users"].items()
    }
    expected = {**up.rows, "chatapp.users": users}
    assert snapshot.row_differences(expected, taken.rows, snapshot.touched_columns(up)) == []
    assert leftovers(chain) == []


@pytest.mark.some(1)
@pytest.mark.parametrize(("baseline", "start"), [("documented", 0), ("deployed", 8)])
def test_the_next_down_resumes_it(chain: MakeChain, record_property: Record, baseline: str, start: int) -> None:
    disturbed, before, up = shadowed(chain, baseline)
    disturbed.disturbed("down", turns(start), kinds=WRITES)
    assert_down(disturbed, before, up)
    assert len(disturbed.tally.known) > 60
    disturbed.disturbed("up", turns(start), kinds=WRITES)
    assert_up(disturbed, up)
    record_property("faults", f"shadow {baseline}: {disturbed.tally}")


@pytest.mark.some(1)
@pytest.mark.parametrize(("baseline", "start"), [("documented", 2), ("deployed", 9)])
def test_the_next_up_removes_it(chain: MakeChain, baseline: str, start: int) -> None:
    """After a fault at one in so many of the points on the way down, each time from the beginning."""
    disturbed, before, up = shadowed(chain, baseline)
    struck = 0
    for number in range(start + SEED, 1000, FROM_THE_BEGINNING):
        seen: list[Point] = []

        def choose(point: Point, number: int = number, seen: list[Point] = seen) -> tuple[str, Moment] | None:
            seen.append(point)
            return PAIRS[number % len(PAIRS)] if len(seen) == number else None

        watch = Watch(disturbed.progress, disturbed.transactions, WRITES)
        attempt, ended = disturbed._attempt("down", watch, choose)
        if attempt.struck is None:
            assert ended.code == 0, ended
            break
        struck += 1
        disturbed._check("down", attempt, ended)
        disturbed.undisturbed("up")
        assert_up(disturbed, up)
    assert_down(disturbed, before, up)
    assert struck * FROM_THE_BEGINNING > 60


@pytest.mark.parametrize(("baseline", "start"), [("documented", 3), ("deployed", 14)])
def test_the_removal_itself_is_disturbed(chain: MakeChain, record_property: Record, baseline: str, start: int) -> None:
    """From where a shadow column is ready to be swapped, an address having been cut."""
    disturbed, _, up = shadowed(chain, baseline)

    def at_the_swap(point: Point) -> tuple[str, Moment] | None:
        return ("kill", "before") if point.text.startswith("CALL callctl.swap_shadow") else None

    attempt, _ = disturbed._attempt("down", Watch(disturbed.progress, disturbed.transactions), at_the_swap)
    assert attempt.struck is not None
    assert leftovers(disturbed)
    disturbed.disturbed("up", turns(start), kinds=WRITES)
    assert_up(disturbed, up)
    assert any(point.text.startswith("CALL callctl.drop_shadow") for point in disturbed.tally.known)
    record_property("faults", f"shadow removed, {baseline}: {disturbed.tally}")
