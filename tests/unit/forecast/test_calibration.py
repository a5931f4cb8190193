"""The rates of a server: the shipped ones, corrected."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callctl.forecast.calibration import (
    REFERENCE_PROCESSOR,
    REFERENCE_READ,
    REFERENCE_ROUND_TRIP,
    SPREAD,
    SPREAD_LEARNED,
    Measured,
    rates,
)
from callctl.forecast.durations import DEFAULTS, Work

REFERENCE = Measured(REFERENCE_PROCESSOR, REFERENCE_ROUND_TRIP, REFERENCE_READ)
WORK = Work(rows_read=10, rows_written=1000, rows_estimated=900, batched=True, bytes_read=10**8, bytes_built=10**7)


def test_the_reference_machine_has_the_shipped_expectation_and_a_narrower_interval() -> None:
    here = rates(REFERENCE)
    assert here.write_row.expected == DEFAULTS.write_row.expected
    assert here.read_byte.expected == DEFAULTS.read_byte.expected
    assert here.write_row.high == here.write_row.expected * SPREAD < DEFAULTS.write_row.high
    assert rates(REFERENCE, 1.0).write_row.high == DEFAULTS.write_row.expected * SPREAD_LEARNED


@given(st.floats(0.002, 1), st.floats(0.00001, 0.5), st.floats(1e6, 1e10), st.none() | st.floats(0.1, 10))
def test_whatever_was_measured_the_ends_are_in_order_and_slower_is_longer(
    processor: float, round_trip: float, read: float, learned: float | None
) -> None:
    one = WORK.seconds(rates(Measured(processor, round_trip, read), learned))
    slower = WORK.seconds(rates(Measured(processor * 2, round_trip, read / 2), learned))
    assert one is not None
    assert slower is not None
    assert 0 < one.low <= one.expected <= one.high
    assert slower.expected > one.expected


def test_a_slow_disk_widens_what_is_written_upwards() -> None:
    fast, slow = rates(REFERENCE), rates(REFERENCE._replace(read=REFERENCE_READ / 8))
    assert slow.read_byte.expected == 8 * fast.read_byte.expected
    assert slow.write_row.expected == fast.write_row.expected
    assert slow.write_row.high == 8 * fast.write_row.high
