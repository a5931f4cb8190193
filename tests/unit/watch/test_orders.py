"""Orders from other terminals, one after the other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast, get_args

from hypothesis import given
from hypothesis import strategies as st

from callctl.database.steering import SLOWEST, Order, Orders, Word


def after(*words: str) -> Orders:
    orders = Orders()
    for number, word in enumerate(words, 1):
        orders = orders.after(Order(number, cast(Word, word), datetime.now(UTC), "ops", "me@here"))
    return orders


@given(st.lists(st.sampled_from(get_args(Word)), max_size=40))
def test_the_last_pause_or_resume_counts_and_the_speed_stays_in_its_bounds(words: list[str]) -> None:
    orders = after(*words)
    last = next((word for word in reversed(words) if word in ("pause", "resume")), "resume")
    assert (orders.paused is not None) == (last == "pause")
    assert 1 <= orders.share <= SLOWEST
    assert orders.newest == len(words)


@given(st.integers(1, 4), st.lists(st.sampled_from(["pause", "resume"]), max_size=5))
def test_as_many_faster_as_slower_is_full_speed(number: int, between: list[str]) -> None:
    assert after(*["slower"] * number, *between, *["faster"] * number).share == 1
    assert after(*["slower"] * number).share == 2**number


def test_the_first_pause_is_named() -> None:
    paused = after("pause", "pause").paused
    assert paused is not None
    assert paused.id == 1
