"""What was measured, as lines and as the table of docs/reference/measurements.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.results import tables

NAMES = {
    "limit": "the limit: binary parameters, one connection",
    "limit-2": "the limit: binary parameters, two connections",
    "limit-table": "the limit: from a table, one connection",
    "callctl": "**callctl**",
    "callctl-2": "**callctl**, `--workers 2`",
    "row-by-row": "SELECT, UPDATE, COMMIT a row",
    "page-by-page": "read 1,000; UPDATE, COMMIT each",
    "executemany": "read 1,000; executemany, COMMIT",
    "callctl-again": "**callctl**, a second run: nothing to write",
}
LIMITS = {1: ("limit", "limit-table"), 2: ("limit-2",)}


def line(result: Mapping[str, Any]) -> str:
    """One measurement, as it comes."""
    return (
        f"{result['form']:>10} {result['way']:<14} {result['rows']:>9,} rows {result['seconds']:9.2f} s"
        f" {result['rows_per_s']:>9,.0f} rows/s {result['memory_mb']:6.0f} MB"
    )


def rate(results: Sequence[Mapping[str, Any]], way: str, form: str) -> float | None:
    """The rows a second of a way: the median of its rounds. None where it was not measured."""
    rates = [float(result["rows_per_s"]) for result in results if (result["way"], result["form"]) == (way, form)]
    return statistics.median(rates) if rates else None


def limit(results: Sequence[Mapping[str, Any]], form: str, connections: int) -> float | None:
    """The faster of the two forms of the limit with so many connections."""
    rates = [known for way in LIMITS[connections] if (known := rate(results, way, form)) is not None]
    return max(rates, default=None)


def rotation(content: Mapping[str, Any]) -> str:
    """The table, and what it was measured on."""
    results, sizes = content["ways"], content["bytes_a_row"]
    size = ", ".join(f"{size:,} bytes as {form}" for form, size in sizes.items())
    lines = [
        f"{content['rows']:,} integration accounts of {content['secrets']} secrets (on disk {size} a row), to the key"
        f" k2. {tables.where(content)}",
        "",
        "| from | way | rows/s | of the limit | of the limit with two connections | memory MB |",
        "|---|---|---|---|---|---|",
    ]
    for form in sizes:
        for way, name in NAMES.items():
            measured_rate = rate(results, way, form)
            if measured_rate is None:
                continue
            shares = (_share(measured_rate, limit(results, form, connections)) for connections in LIMITS)
            memory = max(result["memory_mb"] for result in results if (result["way"], result["form"]) == (way, form))
            cells = [form, name, f"{measured_rate:,.0f}", *shares, f"{memory:.0f}" if memory else ""]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(measured_rate: float, whole: float | None) -> str:
    return f"{measured_rate / whole:.2f}" if whole else ""
