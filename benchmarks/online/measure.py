"""What the clients saw, computed: percentiles, stalls, a series to draw. Nothing here touches a clock or a server."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

LATE_SECONDS = 1.0
BUCKET_SECONDS = 0.1
DONE = ""


class Transaction(NamedTuple):
    """One transaction of a client; times in seconds of one monotonic clock. ``outcome`` is the error, or DONE."""

    planned: float
    begun: float
    done: float
    what: str
    outcome: str

    @property
    def latency(self) -> float:
        """Seconds from the planned start: what waits behind a stalled transaction has stalled as well."""
        return self.done - self.planned


class Stall(NamedTuple):
    """A stretch of time in which one or more transactions were late: the latest of them, and how many they were."""

    worst: Transaction
    others: int


def planned_start(begin: float, rate: float, clients: int, client: int, number: int) -> float:
    """When a client's ``number``-th transaction is due: all clients together start ``rate`` of them a second."""
    return begin + (number * clients + client) / rate


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 … 1) of the values do not exceed; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(transactions: Sequence[Transaction], begin: float, end: float) -> dict[str, Any]:
    """What those planned in [begin, end) went through; latencies in milliseconds."""
    chosen = [each for each in transactions if begin <= each.planned < end]
    latencies = sorted(each.latency for each in chosen)
    return {
        "planned": len(chosen),
        "completed": sum(each.outcome == DONE for each in chosen),
        "stall_ms": _ms(latencies[-1] if latencies else 0.0),
        "p50_ms": _ms(percentile(latencies, 0.5)),
        "p99_ms": _ms(percentile(latencies, 0.99)),
        "p999_ms": _ms(percentile(latencies, 0.999)),
        "start_p99_ms": _ms(percentile(sorted(each.begun - each.planned for each in chosen), 0.99)),
        "late_share": round(sum(each > LATE_SECONDS for each in latencies) / len(latencies), 5) if latencies else 0.0,
        "errors": dict(Counter(each.outcome for each in chosen if each.outcome != DONE).most_common()),
    }


def stalls(transactions: Sequence[Transaction], begin: float, end: float, most: int = 5) -> list[Stall]:
    """The worst stretches, the worst first: transactions that waited at the same time count as one stall."""
    left = sorted((each for each in transactions if begin <= each.planned < end), key=lambda each: -each.latency)
    found: list[Stall] = []
    while left and len(found) < most:
        worst = left[0]
        apart = [each for each in left if each.done <= worst.planned or each.planned >= worst.done]
        found.append(Stall(worst, len(left) - len(apart) - 1))
        left = apart
    return found


def series(transactions: Sequence[Transaction], zero: float, first: float, last: float) -> list[float]:
    """The longest latency in milliseconds of each BUCKET_SECONDS from ``first`` to ``last``, seconds after ``zero``.

    A transaction belongs where it was planned. A bucket in which none was planned is 0.
    """
    buckets = [0.0] * max(0, math.ceil(round((last - first) / BUCKET_SECONDS, 6)))
    for each in transactions:
        bucket = math.floor((each.planned - zero - first) / BUCKET_SECONDS)
        if 0 <= bucket < len(buckets):
            buckets[bucket] = max(buckets[bucket], _ms(each.latency))
    return buckets


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
