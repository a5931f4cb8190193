"""The sessions in the way of a plan's locks, watched on the running server: no copy of a database has them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.files import read_sql
from callctl.forecast.locks import BY_MODE, Mode

if TYPE_CHECKING:
    from callctl.database.connection import Connection
    from callctl.forecast.catalog import Name
    from callctl.forecast.outlook import Outlook

# Seconds between two looks: not shorter, whatever lock_timeout is.
SHORTEST = 0.05


@dataclass
class Observed:
    """A lock that clients would wait behind, and how often it could have been had at once.

    ``looks``: how often it was looked; ``free``: at how many of them no session had, or waited for, a conflicting lock.
    ``longest``: seconds, the oldest transaction seen in the way. ``holders``: application -> looks at which one of its
    sessions was in the way. ``hours``: hour of the day (UTC) -> looks, and looks at which the lock was free.
    """

    relation: Name
    mode: Mode
    steps: tuple[int, ...]
    looks: int = 0
    free: int = 0
    longest: float = 0.0
    holders: Counter[str] = field(default_factory=Counter)
    hours: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def attempts(self) -> float | None:
        """The attempts that a run needs on average, if it meets what was seen; None if it was never free."""
        return self.looks / self.free if self.free else None

    @property
    def best_hour(self) -> int | None:
        """The hour of the day (UTC) in which it was free most often; None if fewer than two were seen."""
        if len(self.hours) < 2:
            return None
        return max(self.hours, key=lambda hour: self.hours[hour][1] / self.hours[hour][0])


@dataclass(frozen=True)
class Observation:
    """The locks as seen in ``seconds``, a look every ``interval`` seconds; the lock least often free comes first."""

    seconds: float
    interval: float
    locks: tuple[Observed, ...]


def locks_to_get(outlook: Outlook) -> tuple[Observed, ...]:
    """Return the locks of a plan behind which clients would wait, nothing looked at yet."""
    steps: dict[tuple[Name, Mode], list[int]] = {}
    for step in outlook.steps:
        for line in step.lines():
            for name, mode in line.effects.locks:
                if mode.blocks_writes and name.schema != "callctl" and line.weight != "new":
                    steps.setdefault((name, mode), []).append(step.number)
    made = {name for step in outlook.steps for line in step.lines() for name in line.effects.makes}
    return tuple(
        Observed(name, mode, tuple(dict.fromkeys(numbers)))
        for (name, mode), numbers in steps.items()
        if name not in made
    )


def observe(
    connection: Connection, outlook: Outlook, seconds: float, on_look: Callable[[float], None] = lambda _: None
) -> Observation:
    """Look for ``seconds`` at who is in the way of a plan's locks. Takes no lock on any table.

    ``connection`` is in autocommit. ``on_look`` gets the seconds passed, after each look. An interval is that of
    ``lock_timeout``, for which an attempt of a run waits. Raises psycopg.Error.
    """
    interval = max(outlook.lock_timeout or 0.0, SHORTEST)
    wanted: dict[int, list[Observed]] = {}
    for observed in locks_to_get(outlook):
        oid = database.value(connection, "SELECT to_regclass(%s)::oid::bigint", (observed.relation.sql,))
        if oid is not None:
            wanted.setdefault(oid, []).append(observed)
    began = time.monotonic()
    looks = 0
    while wanted and (passed := time.monotonic() - began) < seconds:
        _look(connection, wanted)
        on_look(passed)
        looks += 1
        time.sleep(max(0.0, min(began + looks * interval, began + seconds) - time.monotonic()))
    locks = [observed for listed in wanted.values() for observed in listed]
    locks.sort(key=lambda observed: observed.free / max(observed.looks, 1))
    return Observation(time.monotonic() - began, interval, tuple(locks))


def _look(connection: Connection, wanted: dict[int, list[Observed]]) -> None:
    rows = connection.execute(read_sql("forecast/in_the_way.sql"), {"oids": list(wanted)}).fetchall()
    hour = datetime.now(UTC).hour
    for oid, locks in wanted.items():
        for observed in locks:
            in_the_way = [
                (holder, age)
                for relation, mode, holder, age in rows
                if relation == oid and observed.mode.conflicts_with(BY_MODE[mode])
            ]
            observed.looks += 1
            observed.free += not in_the_way
            observed.holders.update({holder for holder, _ in in_the_way})
            observed.longest = max([observed.longest, *(age for _, age in in_the_way)])
            looks, free = observed.hours.get(hour, (0, 0))
            observed.hours[hour] = looks + 1, free + (not in_the_way)
