"""How many rows a batch has: no leaps, within its bounds, and soon as many as fit the time a batch may take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callctl.config.settings import Settings
from callctl.database.pace import FIRST, SMALLEST, BatchSize

sizes = st.integers(1, 100_000)
times = st.floats(0, 1e9, allow_nan=False)


def of(batch_size: int = 5000, batch_time_ms: int = 50) -> BatchSize:
    return BatchSize(Settings(batch_size=batch_size, batch_time_ms=batch_time_ms))


def test_it_begins_small_and_doubles_where_a_batch_takes_less_than_half_of_its_time() -> None:
    size = of()
    seen = [size.rows]
    for _ in range(6):
        size.took(size.rows, 10)
        seen.append(size.rows)
    assert seen == [FIRST, 400, 800, 1600, 3200, 5000, 5000]


def test_it_stays_where_a_batch_takes_about_its_time() -> None:
    size = of()
    for milliseconds in (25, 40, 50):
        size.took(200, milliseconds)
        assert size.rows == 200


def test_what_took_too_long_is_followed_by_what_fits_and_by_half_at_least() -> None:
    size = of()
    size.took(200, 62.5)
    assert size.rows == 160
    size.took(160, 10_000)
    assert size.rows == 80
    for _ in range(5):
        size.took(size.rows, 10_000)
    assert size.rows == SMALLEST


def test_part_of_a_batch_says_nothing_about_a_larger_one() -> None:
    size = of()
    size.took(199, 1)
    assert size.rows == 200


def test_a_batch_that_the_server_cut_short_is_quartered_down_to_a_single_row() -> None:
    size = of()
    size.cut_short(200)
    assert size.rows == 50
    size.cut_short(3)
    assert size.rows == 1
    size.took(1, 51)
    assert size.rows == 1
    size.took(1, 1)
    assert size.rows == 2


@given(largest=sizes, target=st.integers(1, 10_000), batches=st.lists(st.tuples(st.floats(0, 1), times, st.booleans())))
def test_no_leaps_and_never_out_of_bounds(largest: int, target: int, batches: list[tuple[float, float, bool]]) -> None:
    size = of(largest, target)
    assert 1 <= size.smallest <= size.rows <= largest
    for share, milliseconds, cut in batches:
        before, rows = size.rows, max(int(size.rows * share), 1)
        if cut:
            size.cut_short(rows)
            assert size.rows == max(rows // 4, 1)
        else:
            size.took(rows, milliseconds)
            assert size.rows <= 2 * before
            if milliseconds > target:
                assert min(before, rows // 2) <= size.rows <= before
            else:
                assert size.rows >= before
        assert 1 <= size.rows <= largest


@given(largest=sizes, target=st.integers(1, 10_000), row_ms=st.floats(0.001, 1000))
def test_it_finds_the_size_that_fits(largest: int, target: int, row_ms: float) -> None:
    size = of(largest, target)
    for _ in range(40):
        size.took(size.rows, size.rows * row_ms)
    took = size.rows * row_ms
    assert took <= target or size.rows == size.smallest
    assert took >= target / 2 or size.rows == largest or (size.rows + 1) * row_ms > target
