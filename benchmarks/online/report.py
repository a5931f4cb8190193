"""What is printed while and after the tools run."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BASE = "script"


def medians(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One result a tool: of several runs the median of each figure, the longest stall of all, and all errors.

    A run that failed is a result of its own.
    """
    runs: dict[str, list[Mapping[str, Any]]] = {}
    for number, result in enumerate(results):
        runs.setdefault(f"{result['tool']} {number}" if "failed" in result else result["tool"], []).append(result)
    return [{**_median(of_one), "runs": len(of_one)} for of_one in runs.values()]


def _median(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    median = dict(runs[0])
    for name, value in runs[0].items():
        if isinstance(value, int | float):
            median[name] = statistics.median_high([run[name] for run in runs])
    if "errors" in median:
        median["errors"] = dict(sum((Counter(run["errors"]) for run in runs), Counter()))
        median["worst_ms"] = max(run["stall_ms"] for run in runs)
        median["late_share"] = max(run["late_share"] for run in runs)
    return median


def of_tool(result: dict[str, Any]) -> Iterator[str]:
    """A tool's stalls, with what the tool was running, and where its time went."""
    yield f"\n== {result['tool']} =="
    if "failed" in result:
        yield f"FAILED: {result['failed']}"
    if "wall_s" not in result:
        return
    for stall in result["stalls"]:
        yield (
            f"  {stall['ms']:9.1f} ms at {stall['at_s']:8.3f} s  {stall['client']} "
            f"(itself {stall['own_ms']:.1f} ms; {stall['others']} others; {stall['looks']} looks)"
        )
        for query, count in stall["tool"].items():
            yield f"      {count:4} x {query}"
        if stall["clients_wait"]:
            yield f"      clients: {', '.join(f'{wait} x{count}' for wait, count in stall['clients_wait'].items())}"
    if result["statements"]:
        yield "  seconds by statement of the tool:"
        for seconds, query in result["statements"]:
            yield f"    {seconds:8.2f}  {query}"


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One row a tool; ratios against the document's script in one transaction, of this very run."""
    base = next((result for result in results if result["tool"] == BASE and "wall_s" in result), None)
    yield (
        f"{'tool':18} {'wall s':>7} {'ratio':>6} {'stall ms':>9} {'ratio':>8} {'p50':>6} {'p99':>8} {'p99.9':>8}"
        f" {'late %':>7} {'done/planned':>13} {'after ms':>8} {'WAL MB':>8} {'MB':>6}  errors"
    )
    for result in results:
        if "wall_s" not in result:
            yield f"{result['tool']:18} not measured"
            continue
        wall = stall = ""
        if base and result["tool"] != "floor":
            wall = f"{result['wall_s'] / base['wall_s']:.2f}"
            stall = f"{result['stall_ms'] / base['stall_ms']:.4f}"
        late = f"{result['late_share'] * 100:.2f}"
        errors = ", ".join(f"{name}: {count}" for name, count in result["errors"].items()) or "-"
        yield (
            f"{result['tool']:18} {result['wall_s']:7.1f} {wall:>6} {result['stall_ms']:9.1f} {stall:>8}"
            f" {result['p50_ms']:6.1f} {result['p99_ms']:8.1f} {result['p999_ms']:8.1f} {late:>7}"
            f" {result['completed']:>6}/{result['planned']:<6} {result['after']['stall_ms']:8.1f}"
            f" {result['wal_mb']:8.1f} {result['memory_mb']:6.1f}  {errors}{'  FAILED' if 'failed' in result else ''}"
        )
