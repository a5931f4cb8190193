"""How long a watched run still takes, as worked out from its forecast and its rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callctl.database.steering import RunState, StepOfRun
from callctl.migration.live_runs import Committed
from callctl.watch.look import remaining


def state(*steps: StepOfRun, step: int | None = None, step_seconds: float | None = None, share: int = 1) -> RunState:
    return RunState(1, "migrate up", steps, step, 9.0, step_seconds, None, 0, share, 0, 0.1)


def step(number: int, expected: float | None, seconds: float | None = None) -> StepOfRun:
    low, high = (None, None) if expected is None else (expected / 2, expected * 2)
    return StepOfRun(number, f"step{number}", seconds, low, expected, high)


def rows(done: int, total: int) -> Committed:
    return Committed(2, "up", 3, 9, done, total)


def test_before_the_first_step_it_is_the_forecast() -> None:
    left = remaining(state(step(1, 10), step(2, 20)), None)
    assert left is not None
    assert (left.low, left.expected, left.high) == (15, 30, 60)


def test_steps_that_took_twice_as_long_double_the_rest() -> None:
    left = remaining(state(step(1, 99, seconds=199), step(2, 20)), None)
    assert left is not None
    assert left.expected == pytest.approx(40)


def test_the_rows_of_the_step_under_way_tell_more_than_its_forecast() -> None:
    left = remaining(state(step(2, 1000), step=2, step_seconds=10), rows(500, 1000))
    assert left is not None
    assert left.expected == pytest.approx(10)


def test_a_resumed_step_has_no_forecast_but_its_rows() -> None:
    assert remaining(state(step(2, None), step=2, step_seconds=10), None) is None
    assert remaining(state(step(2, None), step=2, step_seconds=10), rows(0, 100)) is None
    left = remaining(state(step(2, None), step=2, step_seconds=10), rows(1, 100))
    assert left is not None
    assert left.expected == pytest.approx(990)


def test_a_step_that_is_overdue_is_not_said_to_be_over() -> None:
    left = remaining(state(step(2, 1), step=2, step_seconds=100), None)
    assert left is not None
    assert left.expected == 0
    assert left.high == 25


def test_a_run_that_was_slowed_down_takes_longer() -> None:
    left = remaining(state(step(1, 10), share=4), None)
    assert left is not None
    assert left.expected == 40


times = st.floats(0, 1e6)


@given(st.lists(st.tuples(times, st.none() | times), max_size=15), times, st.none() | st.integers(0, 1000))
def test_the_interval_is_in_order_and_never_negative(
    steps: list[tuple[float, float | None]], spent: float, done: int | None
) -> None:
    made = [step(number, expected, seconds) for number, (expected, seconds) in enumerate(steps, 1)]
    left = remaining(state(*made, step=2, step_seconds=spent), None if done is None else rows(done, 1000))
    assert left is not None
    assert 0 <= left.low <= left.high
    assert left.low <= left.expected <= left.high
