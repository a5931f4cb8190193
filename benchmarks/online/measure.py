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
    chosen = [transaction for transaction in transactions if begin <= transaction.planned < end]
    latencies = sorted(transaction.latency for transaction in chosen)
    return {
        "planned": len(chosen),
        "completed": sum(transaction.outcome == DONE for transaction in chosen),
        "stall_ms": _ms(latencies[-1] if latencies else 0.0),
        "p50_ms": _ms(percentile(latencies, 0.5)),
        "p99_ms": _ms(percentile(latencies, 0.99)),
        "p999_ms": _ms(percentile(latencies, 0.999)),
        "start_p99_ms": _ms(
            percentile(sorted(transaction.begun - transaction.planned for transaction in chosen), 0.99)
        ),
        "late_share": round(sum(latency > LATE_SECONDS for latency in latencies) / len(latencies), 5)
        if latencies
        else 0.0,
        "errors": dict(
            Counter(transaction.outcome for transaction in chosen if transaction.outcome != DONE).most_common()
        ),
    }


def stalls(transactions: Sequence[Transaction], begin: float, end: float, most: int = 5) -> list[Stall]:
    """The worst stretches, the worst first: transactions that waited at the same time count as one stall."""
    remaining = sorted(
        (transaction for transaction in transactions if begin <= transaction.planned < end),
        key=lambda transaction: -transaction.latency,
    )
    worst_stalls: list[Stall] = []
    while remaining and len(worst_stalls) < most:
        worst = remaining[0]
        apart = [
            transaction
            for transaction in remaining
            if transaction.done <= worst.planned or transaction.planned >= worst.done
        ]
        worst_stalls.append(Stall(worst, len(remaining) - len(apart) - 1))
        remaining = apart
    return worst_stalls


def series(transactions: Sequence[Transaction], zero: float, first: float, last: float) -> list[float]:
    """The longest latency in milliseconds of each BUCKET_SECONDS from ``first`` to ``last``, seconds after ``zero``.

    A transaction belongs where it was planned. A bucket in which none was planned is 0.
    """
    buckets = [0.0] * max(0, math.ceil(round((last - first) / BUCKET_SECONDS, 6)))
    for transaction in transactions:
        bucket = math.floor((transaction.planned - zero - first) / BUCKET_SECONDS)
        if 0 <= bucket < len(buckets):
            buckets[bucket] = max(buckets[bucket], _ms(transaction.latency))
    return buckets


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
