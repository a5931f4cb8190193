"""The measurements of a load test, and their summary. Times are milliseconds where a name ends in ``_ms``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Sent(NamedTuple):
    """One statement of the load, in seconds since it began.

    ``planned``: when the call or the dashboard wanted it; ``asked``: when the client got round to it; ``sent``: when it
    had a connection; ``answered``: when the answer was there. ``ready`` is ``planned``, or when the session's statement
    before was answered, if that was later.
    """

    query: str
    planned: float
    ready: float
    asked: float
    sent: float
    answered: float
    error: str | None


@dataclass(frozen=True)
class Spread:
    """Percentiles of times; each is a time that occurred."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class QueryTimes:
    """One query: how often it ran, its times from the planned start, and from when it was sent."""

    query: str
    times: int
    errors: Mapping[str, int]
    response: Spread
    server: Spread
    over_limit: bool


@dataclass(frozen=True)
class Client:
    """Whether the load itself was late: from when a statement could be sent until the client got round to it, and
    waiting for one of the connections that sessions share. ``cpu_share`` is of one CPU."""

    lag: Spread
    connection: Spread
    cpu_share: float


@dataclass(frozen=True)
class Server:
    """The server's processes: CPUs used on average and at the peak, of ``cpus``; private memory at the peak."""

    cpus: int
    mean: float
    peak: float
    memory_mb: float


@dataclass(frozen=True)
class Wait:
    """A wait of sessions: ``ours`` counts sightings of the load's, ``others`` of sessions behind the load.

    ``longest_ms`` is of locks only.
    """

    type: str
    event: str
    ours: int
    others: int
    longest_ms: float


@dataclass(frozen=True)
class Removed:
    """A load test's company that was removed with its calls; or was not, and why."""

    company_id: str
    started_at: datetime
    client: str
    calls: int
    kept: str | None = None


@dataclass(frozen=True)
class LoadTest:
    """The result of a load test. ``server`` is None if the server's processes cannot be seen from here.

    ``slowest_ms`` and ``cpus`` are series: the longest response of each quarter second, the CPUs used in each second.
    """

    database: str
    version: str
    started_at: datetime
    sessions: int
    connections: int
    call_seconds: float
    history: int
    seconds: float
    limit_ms: float
    interrupted: bool
    stopped: str | None
    calls_started: int
    calls_completed: int
    lines: int
    queries: tuple[QueryTimes, ...]
    client: Client
    server: Server | None
    samples: int
    waits: tuple[Wait, ...]
    removed: tuple[Removed, ...]
    slowest_ms: tuple[float, ...]
    cpus: tuple[float, ...]

    @property
    def over(self) -> tuple[QueryTimes, ...]:
        """The queries whose 95th percentile is over the limit."""
        return tuple(query_times for query_times in self.queries if query_times.over_limit)

    @property
    def errors(self) -> int:
        return sum(sum(query_times.errors.values()) for query_times in self.queries)

    @property
    def passed(self) -> bool:
        """Whether every query that ran kept the limit, none failed and the load came to its end."""
        to_the_end = self.stopped is None and not self.interrupted
        return bool(self.queries) and not self.over and not self.errors and to_the_end

    @property
    def client_late(self) -> bool:
        """Whether the client's own lag is a tenth of the limit or more, and so a part of the times that matters."""
        return self.client.lag.p95_ms >= self.limit_ms / 10


BUCKET_SECONDS = 0.25


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ordered values that ``share`` of them do not exceed; 0 of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def spread(seconds: Iterable[float]) -> Spread:
    ordered = sorted(max(duration, 0.0) * 1000 for duration in seconds)
    last = ordered[-1] if ordered else 0.0
    return Spread(
        *(
            round(milliseconds, 3)
            for milliseconds in (*(percentile(ordered, share) for share in (0.5, 0.95, 0.99)), last)
        )
    )


def times(sent: Iterable[Sent], limit_ms: float) -> tuple[QueryTimes, ...]:
    """A row a query, slowest first. One that failed counts among the errors, not among the times."""
    by_query: dict[str, list[Sent]] = {}
    for statement in sent:
        by_query.setdefault(statement.query, []).append(statement)
    result = []
    for query, group in by_query.items():
        answered = [entry for entry in group if entry.error is None]
        errors: dict[str, int] = {}
        for statement in group:
            if statement.error is not None:
                errors[statement.error] = errors.get(statement.error, 0) + 1
        response = spread(answer.answered - answer.planned for answer in answered)
        server = spread(answer.answered - answer.sent for answer in answered)
        result.append(QueryTimes(query, len(answered), errors, response, server, response.p95_ms > limit_ms))
    return tuple(sorted(result, key=lambda query_times: (-query_times.response.p95_ms, query_times.query)))


def client(sent: Sequence[Sent], cpu_share: float) -> Client:
    return Client(
        spread(statement.asked - statement.ready for statement in sent),
        spread(statement.sent - statement.asked for statement in sent),
        cpu_share,
    )


def slowest(sent: Iterable[Sent], seconds: float) -> tuple[float, ...]:
    """The longest response of each moment, by when it was planned."""
    series = [0.0] * (int(seconds / BUCKET_SECONDS) + 1)
    for statement in sent:
        bucket = min(max(int(statement.planned / BUCKET_SECONDS), 0), len(series) - 1)
        series[bucket] = max(series[bucket], round((statement.answered - statement.planned) * 1000, 3))
    return tuple(series)
