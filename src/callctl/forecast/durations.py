"""The time that work takes: rates with an interval each, and the time that the effects of a statement take by them.

The rates are shipped defaults, wide enough for a slow disk and for a table in memory. They are in one place, so that
rates measured on a server can take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from callctl.forecast.locks import Mode

if TYPE_CHECKING:
    from callctl.forecast.catalog import Catalog, Name, Relation
    from callctl.forecast.effects import Effects


@dataclass(frozen=True)
class Interval:
    """From ``low`` to ``high`` seconds."""

    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)


@dataclass(frozen=True)
class Rates:
    """Slowest and fastest; bytes or rows a second. ``catalog``: seconds that a change of the catalog alone takes.

    ``measured``: on this server; otherwise they are shipped defaults.
    """

    read_bytes: tuple[float, float]
    build_bytes: tuple[float, float]
    rewrite_bytes: tuple[float, float]
    write_rows: tuple[float, float]
    catalog: Interval
    start: Interval
    measured: bool = False


# The fast ends are those of benchmarks/results/online.json and growth.json (2 CPUs, the tables in memory): CREATE
# INDEX CONCURRENTLY of a million chatbots in 0.5 s, VALIDATE CONSTRAINT of two million users in 0.3 s, up with batches
# on two sessions 50,000 to 120,000 rows a second. The slow ends are a tenth to a fiftieth of that: a disk of 50 MB/s,
# each row on a page of its own. catalog: the holds of benchmarks/results/holds.json, 0.1 to 22 ms, twice that for a
# busy server. start: what goes by however small the database is (docs/explanation/performance.md, "As the database
# grows").
DEFAULTS = Rates(
    read_bytes=(50e6, 2e9),
    build_bytes=(15e6, 500e6),
    rewrite_bytes=(15e6, 300e6),
    write_rows=(4_000, 120_000),
    catalog=Interval(0.0005, 0.05),
    start=Interval(0.3, 5.0),
)


@dataclass(frozen=True)
class Work:
    """The work of a statement. ``rows_read`` and ``rows_written`` (at most) are None if not known.

    ``exact``: the rows were counted. ``bytes_*``: of the tables that are read whole, of which an index is built, that
    are rewritten. ``held_bytes_read``: as ``bytes_read``, behind a lock that clients wait for.
    """

    rows_read: int | None = 0
    rows_written: int | None = 0
    exact: bool = True
    bytes_read: int = 0
    held_bytes_read: int = 0
    bytes_built: int = 0
    bytes_rewritten: int = 0

    def seconds(self, rates: Rates) -> Interval | None:
        """The time of all of it; None where the rows are not known."""
        if self.rows_written is None or self.rows_read is None:
            return None
        return (
            _at(self.bytes_read, rates.read_bytes)
            + _at(self.bytes_built, rates.build_bytes)
            + _at(self.bytes_rewritten, rates.rewrite_bytes)
            + Interval(0.0, self.rows_written / rates.write_rows[0])
            + rates.catalog
        )

    def held(self, rates: Rates) -> Interval:
        """The time of what is done behind a lock that clients wait for, of a statement outside of a transaction."""
        return _at(self.held_bytes_read, rates.read_bytes) + rates.catalog


def _at(size: int, rate: tuple[float, float]) -> Interval:
    return Interval(size / rate[1], size / rate[0])


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
