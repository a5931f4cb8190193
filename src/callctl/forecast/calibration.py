"""Rates of this server: the shipped ones, corrected by what was measured here and by the runs in callctl's history.

Everything is read only, and bounded: work for the processor (some 20 ms, three times), some round trips, and the
beginning of the largest tables, ``READ_BYTES`` of each and ``READ_SECONDS`` in all. No value leaves the server.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from callctl.database import connection as database
from callctl.files import read_sql
from callctl.forecast.catalog import count_within
from callctl.forecast.durations import DEFAULTS, Interval, Rates

if TYPE_CHECKING:
    from callctl.database.connection import Connection
    from callctl.events import Direction
    from callctl.forecast.catalog import Relation

READ_BYTES = 64_000_000
READ_SECONDS = 2.0
# A smaller table says more of the round trip than of the disk.
SMALLEST_BYTES = 1_000_000
# What the same work took where the shipped rates are from: seconds, seconds, bytes a second.
REFERENCE_PROCESSOR = 0.0177
REFERENCE_ROUND_TRIP = 0.0002
REFERENCE_READ = 2.0e9
# Four of five runs are within these factors of what is expected, where nothing but the processor decides; and where
# runs of this database were looked at.
SPREAD = 1.5
SPREAD_LEARNED = 1.35
# Reading that is slower than the processor explains comes from a disk, and a row to write may be on a page to read.
MOST_SLOWED = 10.0
# The latest runs that the next forecast learns from, the shortest step, and the seconds taken to be as expected: a few
# short steps teach little.
RUNS = 5
SHORTEST = 0.1
PRIOR = 2.0


class Measured(NamedTuple):
    """Seconds of the processor's work and of a round trip; bytes read a second, None where no table is large enough."""

    processor: float
    round_trip: float
    read: float | None


def measure(connection: Connection, tables: Iterable[Relation]) -> Measured:
    """Measure this server. READ ONLY: the caller has a transaction under way. Raises psycopg.Error."""
    work = read_sql("forecast/processor.sql")
    processor = median(_timed(connection, work) for _ in range(3))
    round_trip = median(_timed(connection, "SELECT") for _ in range(7))
    return Measured(processor, round_trip, _read(connection, tables))


def rates(measured: Measured, learned: float | None = None) -> Rates:
    """Return the shipped rates, corrected by what was measured and by the factor that earlier runs give."""
    slower = measured.processor / REFERENCE_PROCESSOR
    read = max(1.0, REFERENCE_READ / measured.read / slower) if measured.read else 1.0
    spread = SPREAD if learned is None else SPREAD_LEARNED
    factor = slower * (learned or 1.0)

    def around(rate: Interval, upwards: float = 1.0) -> Interval:
        expected = rate.expected * factor
        return Interval(expected / spread, expected, expected * spread * upwards)

    of_a_disk = min(read, MOST_SLOWED)
    answer = max(0.0, measured.round_trip - REFERENCE_ROUND_TRIP * slower)
    travel = Interval(answer, answer, answer * 2)
    return Rates(
        read_byte=around(DEFAULTS.read_byte) * read,
        build_byte=around(DEFAULTS.build_byte, of_a_disk),
        rewrite_byte=around(DEFAULTS.rewrite_byte, of_a_disk),
        write_row=around(DEFAULTS.write_row, of_a_disk),
        statement=around(DEFAULTS.statement) + travel,
        batch=around(DEFAULTS.batch) + travel * 4,
        step=around(DEFAULTS.step) + travel * 4,
        start=around(DEFAULTS.start) + travel * 50,
        schema=around(DEFAULTS.schema) + travel * 50,
        source="measured" if learned is None else "learned",
    )


def learn(connection: Connection, direction: Direction) -> float | None:
    """Return how much longer the latest runs in this direction took than was expected; None if there was none.

    By the steps of which callctl kept a forecast, if this role may read them; those under ``SHORTEST`` seconds are left
    out.
    """
    if not database.value(connection, read_sql("forecast/may_learn.sql")):
        return None
    values = {"direction": direction, "runs": RUNS, "shortest": SHORTEST, "prior": PRIOR}
    factor = database.value(connection, read_sql("forecast/learned.sql"), values)
    return None if factor is None else min(max(float(factor), 0.1), 10.0)


def _timed(connection: Connection, query: str) -> float:
    began = time.perf_counter()
    connection.execute(query.encode())
    return time.perf_counter() - began


def _read(connection: Connection, tables: Iterable[Relation]) -> float | None:
    """Bytes a second, of the tables together."""
    bytes_read, seconds = 0, 0.0
    block = database.value(connection, "SELECT current_setting('block_size')::integer")
    for table in sorted(tables, key=lambda table: -table.pages):
        if (
            seconds >= READ_SECONDS
            or table.pages * block < SMALLEST_BYTES
            or not table.readable
            or table.kind not in ("r", "m")
        ):
            continue
        pages = min(table.pages, READ_BYTES // block)
        began = time.perf_counter()
        if not _read_beginning(connection, table, pages, READ_SECONDS - seconds):
            continue
        seconds += time.perf_counter() - began
        bytes_read += pages * block
    return bytes_read / seconds if seconds else None


def _read_beginning(connection: Connection, table: Relation, pages: int, seconds: float) -> bool:
    """Read the first ``pages`` pages. False if that took too long, or another session has locked the table."""
    import psycopg

    # Before PostgreSQL 14 a condition on ctid reads all of a table; pages by chance are no slower from memory.
    by_place = connection.info.server_version >= 140000
    part = f"WHERE ctid < '({pages},0)'" if by_place else f"TABLESAMPLE SYSTEM ({100 * pages / table.pages:.4f})"
    query = f"SELECT count(*) FROM ONLY {table.name.sql} {part}"
    try:
        count_within(connection, query, round(seconds * 1000))
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege):
        return False
    return True
