"""The time that work takes: rates with an interval each, and the time that the effects of a statement take by them.

The shipped rates fit a fast machine and a slow disk. :mod:`callctl.forecast.calibration` narrows them to this server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from callctl.forecast.locks import Mode

if TYPE_CHECKING:
    from callctl.forecast.catalog import Catalog, Name, Relation
    from callctl.forecast.effects import Effects


Source: TypeAlias = Literal["shipped", "measured", "learned"]


@dataclass(frozen=True)
class Interval:
    """``expected`` seconds, and from ``low`` to ``high`` in four of five cases."""

    low: float = 0.0
    expected: float = 0.0
    high: float = 0.0

    def __add__(self, other: Interval) -> Interval:
        # The same server is as slow in one as in the other: the ends add up.
        return Interval(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def __mul__(self, times: float) -> Interval:
        return Interval(self.low * times, self.expected * times, self.high * times)

    def at_most(self, limit: float) -> Interval:
        """The same, ended after ``limit`` seconds."""
        return Interval(min(self.low, limit), min(self.expected, limit), min(self.high, limit))


@dataclass(frozen=True)
class Rates:
    """Seconds for a byte that is read, for one of a table that is indexed or rewritten, and for a row that is written.

    ``statement``: what each statement takes besides; ``batch``: what each one in batches does; ``step``: what the
    checks and the record at its end do; ``start``: what a run does before its first step; ``schema``:
    to make callctl's own. ``source``: where they are from.
    """

    read_byte: Interval
    build_byte: Interval
    rewrite_byte: Interval
    write_row: Interval
    statement: Interval
    batch: Interval
    step: Interval
    start: Interval
    schema: Interval
    source: Source = "shipped"


def _around(expected: float, low: float, high: float) -> Interval:
    return Interval(expected / low, expected, expected * high)


# The expected ones are those of `./dev bench forecast` (2 CPUs, the tables in memory). The slow ends are a disk of 50
# MB/s, and each row on a page of its own; the fast ends are a faster processor.
DEFAULTS = Rates(
    read_byte=_around(1 / 1.5e9, 2, 30),
    build_byte=_around(1 / 450e6, 2, 30),
    rewrite_byte=_around(1 / 100e6, 3, 7),
    write_row=_around(25e-6, 3, 10),
    statement=_around(0.0015, 3, 10),
    batch=_around(0.010, 3, 10),
    step=_around(0.020, 2, 10),
    start=_around(0.8, 2, 10),
    schema=_around(0.5, 2, 10),
)


@dataclass(frozen=True)
class Work:
    """The work of a statement. ``rows_read`` and ``rows_written`` (at most) are None if not known.

    ``rows_estimated``: those that it will write by the rows there are, None if that was not asked. ``batched``: it is
    sent a few thousand rows at a time. ``exact``: the rows were counted. ``bytes_*``: of the tables that are read
    whole, of which an index is built, that are rewritten. ``held_bytes_read``: as ``bytes_read``, behind a lock that
    clients wait for.
    """

    rows_read: int | None = 0
    rows_written: int | None = 0
    rows_estimated: int | None = None
    batched: bool = False
    exact: bool = True
    bytes_read: int = 0
    held_bytes_read: int = 0
    bytes_built: int = 0
    bytes_rewritten: int = 0

    def seconds(self, rates: Rates) -> Interval | None:
        """The time of all of it; None where the rows are not known."""
        if self.rows_written is None or self.rows_read is None:
            return None
        rows = self.rows_estimated
        most = self.rows_written if rows is None else _more(rows)
        written = Interval(
            rates.write_row.low * (_fewer(rows) if rows is not None else 0),
            # Of "at most" nothing is known but the end: half of it is as wrong as any. A statement in one piece writes
            # the few rows that batches have left.
            rates.write_row.expected * (rows if rows is not None else self.rows_written / 2 if self.batched else 0),
            rates.write_row.high * most,
        )
        return (
            rates.read_byte * self.bytes_read
            + rates.build_byte * self.bytes_built
            + rates.rewrite_byte * self.bytes_rewritten
            + written
            + (rates.batch if self.batched else rates.statement)
        )

    def held(self, rates: Rates) -> Interval:
        """The time of what is done behind a lock that clients wait for, of a statement outside of a transaction."""
        return rates.read_byte * self.held_bytes_read + rates.statement


def _fewer(rows: int) -> float:
    """The fewest rows that an estimate from a sample of pages means."""
    return rows * 0.8


def _more(rows: int) -> float:
    """The most rows that an estimate from a sample of pages means."""
    return rows * 1.25


def work_of(effects: Effects, catalog: Catalog, walked: Name | None = None) -> Work:
    """Return what the effects of a statement have to read and to write, by the sizes of the tables.

    ``walked``: the table that a batched statement reads whole, and of which it writes some of the rows.
    """
    reads = list(dict.fromkeys(effects.reads))
    if walked is not None:
        reads.append((walked, Mode.ACCESS_SHARE))
    tables = [relation for name, _ in reads for relation in _parts(catalog, name)]
    written = [most for most in effects.writes.values() if most is not None] if walked is None else []
    if walked is not None:
        relation = catalog.relation(walked)
        # A row of callctl's own tables brings one of the platform's.
        written = [relation.rows] if relation is not None and relation.rows is not None else []
    whole = [table for name in effects.rewrites for table in _parts(catalog, name)]
    built = [table for name in effects.builds for table in _parts(catalog, name)]
    held = [table for name, mode in reads if mode.blocks_writes for table in _parts(catalog, name)]
    once = list({table.name: table for table in (*tables, *whole, *built)}.values())
    unknown = any(table.rows is None for table in once)
    return Work(
        rows_read=None if unknown else sum(table.rows or 0 for table in once),
        rows_written=(None if walked is not None and not written else max(written, default=0)),
        exact=all(table.counted for table in once),
        bytes_read=sum(table.size for table in tables),
        held_bytes_read=sum(table.size for table in held),
        bytes_built=sum(table.size for table in built),
        bytes_rewritten=sum(table.size + table.index_size for table in whole),
    )


def _parts(catalog: Catalog, name: Name) -> list[Relation]:
    """A table with its partitions and children."""
    found = (catalog.relation(part) for part in catalog.with_children(name))
    return [relation for relation in found if relation is not None]
