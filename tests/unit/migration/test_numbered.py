"""Which histories are legal, and which steps a run takes from each."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.support.steps import ALL, EXPANDED, LAST

from callctl.database.store import HistoryRow
from callctl.errors import Refused
from callctl.events import Direction
from callctl.migration.steps.numbered import applied_steps, deferred_steps, finishing, not_deferrable, wanted_steps
from callctl.render.console import spans
from callctl.statements.script import load_script

AT = datetime(2026, 1, 31, tzinfo=UTC)
BETWEEN = (1, 2, 3, 4, 5, 7, 8)


def history(*taken: int) -> list[HistoryRow]:
    """Rows of these steps; a negative number is a step taken back."""
    rows = []
    for number, step in enumerate(taken, 1):
        way: Direction = "up" if step > 0 else "down"
        rows.append(HistoryRow(number, abs(step), way, "", "", AT, AT, "", "", "", False))
    return rows


@pytest.mark.parametrize("taken", [(), (1,), (1, 2, 3, 4), ALL, EXPANDED, EXPANDED[:5], BETWEEN])
def test_a_legal_history(taken: tuple[int, ...]) -> None:
    assert applied_steps(history(*taken)) == taken


@pytest.mark.parametrize(
    ("taken", "named"),
    [
        ((2,), "step 2 is applied, but not 1"),
        ((1, 3), "step 3 is applied, but not 2"),
        ((1, 2, 3, 4, 6), "step 6 is applied, but not 5"),
        ((1, 2, 3, 4, 6, 7), "step 7 is applied, but not 5"),
        ((1, 2, 3, 5, 7), "step 7 is applied, but not 4, 6"),
        ((1, 2, 3, 4, 8), "step 8 is applied, but not 5, 6, 7"),
        ((1, 2, 3, 7), "step 7 is applied, but not 4, 5, 6"),
        ((*EXPANDED, -9), f"step {LAST} is applied, but not 5, 6, 9"),
        ((*ALL, -4), f"step {LAST} is applied, but not 4"),
    ],
)
def test_another_gap_is_named(taken: tuple[int, ...], named: str) -> None:
    with pytest.raises(Refused, match=named):
        applied_steps(history(*taken))


@pytest.mark.parametrize(
    ("applied", "deferred"), [((), ()), ((1, 2, 3, 4), ()), (EXPANDED, (5, 6)), (BETWEEN, (6,)), (ALL, ())]
)
def test_deferred_is_what_later_steps_have_passed_by(applied: tuple[int, ...], deferred: tuple[int, ...]) -> None:
    assert deferred_steps(applied) == deferred


@pytest.mark.parametrize(
    ("applied", "way", "to", "defer", "wanted"),
    [
        ((), "up", None, False, ALL),
        ((), "up", None, True, EXPANDED),
        ((), "up", 8, True, (1, 2, 3, 4, 7, 8)),
        ((), "up", 6, True, (1, 2, 3, 4)),
        (EXPANDED, "up", None, True, ()),
        (EXPANDED, "up", None, False, (5, 6)),
        (EXPANDED, "up", 5, False, (5,)),
        (EXPANDED, "up", 4, False, ()),
        (BETWEEN, "up", None, False, (6, *ALL[8:])),
        (BETWEEN, "up", None, True, ALL[8:]),
        (ALL[:8], "up", None, True, ALL[8:]),
        (EXPANDED, "down", 0, False, EXPANDED[::-1]),
        (EXPANDED, "down", 5, False, ALL[:5:-1]),
        (EXPANDED, "down", 3, False, (*ALL[:5:-1], 4)),
        (BETWEEN, "down", 4, False, (8, 7, 5)),
        (ALL, "down", 4, False, ALL[:3:-1]),
    ],
)
def test_which_steps_a_run_takes(
    applied: tuple[int, ...], way: Direction, to: int | None, defer: bool, wanted: tuple[int, ...]
) -> None:
    assert tuple(step.number for step in wanted_steps(applied, {}, way, to, defer_drops=defer)) == wanted


@pytest.mark.parametrize(
    ("half", "half_way", "applied", "to", "wanted"),
    [
        (8, "up", EXPANDED[:5], 0, (8, 7, 4, 3, 2, 1)),
        (8, "up", ALL[:7], 7, (8,)),
        (8, "up", ALL[:7], 8, ()),
        (6, "up", BETWEEN, 5, (8, 7, 6)),
        (5, "up", EXPANDED, 8, ALL[:7:-1]),
        (9, "down", EXPANDED[:7], 8, (9,)),
        (9, "down", ALL[:9], 8, (9,)),
    ],
)
def test_down_takes_a_step_back_that_stopped_half_way(
    half: int, half_way: Direction, applied: tuple[int, ...], to: int, wanted: tuple[int, ...]
) -> None:
    assert tuple(step.number for step in wanted_steps(applied, {half: half_way}, "down", to)) == wanted


def test_up_waits_for_a_step_that_stopped_half_way_down() -> None:
    with pytest.raises(Refused) as refused:
        wanted_steps(EXPANDED[:7], {9: "down"}, "up", None)
    assert refused.value.hint == "finish the step first: callctl migrate down --to 8"
    assert finishing(9, "down", EXPANDED[:7]) == "callctl migrate down --to 8"
    assert finishing(8, "up", EXPANDED[:5]) == "callctl migrate up --to 8 --defer-drops"
    assert finishing(8, "up", ALL[:7]) == "callctl migrate up --to 8"


def test_what_can_no_longer_be_deferred_is_said() -> None:
    assert not_deferrable(EXPANDED) is None
    assert not_deferrable(BETWEEN) == "step 5 is applied already: only step 6 is deferred"
    assert not_deferrable(ALL) == "steps 5 and 6 are applied already: no step can be deferred"


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((4,), "4"),
        ((5, 6), "5 and 6"),
        (ALL, f"1 to {LAST}"),
        (EXPANDED, f"1 to 4 and 7 to {LAST}"),
        (EXPANDED[::-1], f"{LAST} to 7 and 4 to 1"),
        ((6, 9, 10, 11), "6 and 9 to 11"),
    ],
)
def test_numbers_are_read_as_spans(numbers: tuple[int, ...], text: str) -> None:
    assert spans(numbers) == text


def test_addresses_that_are_too_long_are_saved_by_the_same_statement_each_time() -> None:
    """It stands in three places, whose directives differ: in place, before the shadow's promise, and behind it."""
    statements = [
        statement.sql
        for name in ("before_down", "down_shadow")
        for statement in load_script(f"steps/01_users_avatar_url/{name}.sql").statements
        if "callctl.truncate_avatars" in statement.sql
    ]
    assert len(statements) == 3
    assert len(set(statements)) == 1
