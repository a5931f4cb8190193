"""A result file as an SVG: the longest latency of each moment on a logarithmic axis, one strip a tool."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

from benchmarks.online.measure import BUCKET_SECONDS
from benchmarks.results.tables import NAMES

LEFT, RIGHT, TOP, BOTTOM = 290, 20, 46, 40
WIDTH, STRIP, GAP = 720, 60, 14
LOWEST, HIGHEST = 1.0, 100_000.0  # milliseconds
MARKS = ((1.0, "1 ms"), (100.0, "100 ms"), (10_000.0, "10 s"))
INK, QUIET, GRID, RUNNING = "#1f2937", "#6b7280", "#e5e7eb", "#f1f5f9"
OURS, OTHERS = "#047857", "#b45309"
LABELS = {
    "floor": "the load alone",
    "script": "script, one transaction",
    "script-reader": "script, one transaction, with reader",
    "statements": "script, statement by statement",
}
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


def svg(content: Mapping[str, Any]) -> str:
    """The picture: all strips on the same time axis, 0 where the tool starts; shaded while it runs."""
    runs: dict[str, Mapping[str, Any]] = {}  # of several runs of one tool the first
    for result in content["tools"]:
        runs.setdefault(result["tool"], result)
    tools = [run for run in runs.values() if "wall_s" in run]
    first = min(measured["series_from_s"] for measured in tools)
    last = max(measured["series_from_s"] + len(measured["series_ms"]) * BUCKET_SECONDS for measured in tools)
    height = TOP + len(tools) * (STRIP + GAP) + BOTTOM

    def across(seconds: float) -> float:
        return round(float(LEFT + (seconds - first) / (last - first) * WIDTH), 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" '
        f'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(_title(content))}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" fill="{INK}" font-weight="600">{escape(_title(content))}</text>',
        f'<text x="{LEFT}" y="36" fill="{QUIET}">latency from the planned start, longest of each moment; '
        "shaded while the tool runs</text>",
    ]
    for number, tool in enumerate(tools):
        lines += _strip(tool, TOP + number * (STRIP + GAP), across)
    bottom = TOP + len(tools) * (STRIP + GAP)
    step = next((candidate for candidate in _STEPS if (last - first) / candidate <= 14), _STEPS[-1])
    for mark in range(math.ceil(first / step), math.floor(last / step) + 1):
        x = across(mark * step)
        lines.append(f'<text x="{x}" y="{bottom + 8}" fill="{QUIET}" text-anchor="middle">{mark * step}</text>')
    lines.append(
        f'<text x="{LEFT + WIDTH}" y="{bottom + 26}" fill="{QUIET}" text-anchor="end">'
        "seconds since the tool started</text>"
    )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _strip(tool: Mapping[str, Any], top: int, across: Callable[[float], float]) -> Iterator[str]:
    name = LABELS.get(tool["tool"], NAMES[tool["tool"]].replace("*", ""))
    label = f"stall {_time(tool['stall_ms'])}, {tool['wall_s']:.1f} s of work"
    if tool["tool"] == "floor":
        label = f"longest {_time(tool['stall_ms'])}"
    colour = OURS if tool["tool"].startswith("callctl") else QUIET if tool["tool"] == "floor" else OTHERS
    begin, end = across(0.0), across(tool["wall_s"])
    if tool["tool"] != "floor":
        wide = round(max(1.0, end - begin), 1)
        yield f'<rect x="{begin}" y="{top}" width="{wide}" height="{STRIP}" fill="{RUNNING}"/>'
    for value, text in MARKS:
        y = _up(value, top)
        yield f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" fill="{QUIET}" font-size="10" text-anchor="end">{text}</text>'
    yield f'<text x="8" y="{top + 26}" fill="{INK}">{escape(name)}</text>'
    yield f'<text x="8" y="{top + 42}" fill="{QUIET}">{label}{" (failed)" if "failed" in tool else ""}</text>'
    columns: dict[int, float] = {}
    for number, value in enumerate(tool["series_ms"]):
        if value > 0:
            x = round(across(tool["series_from_s"] + (number + 0.5) * BUCKET_SECONDS))
            columns[x] = max(value, columns.get(x, 0.0))
    points = " ".join(f"{x},{_up(value, top)}" for x, value in sorted(columns.items()))
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2" stroke-linejoin="round"/>'


def _up(milliseconds: float, top: int) -> float:
    value = min(max(milliseconds, LOWEST), HIGHEST)
    return round(top + STRIP - math.log(value / LOWEST) / math.log(HIGHEST / LOWEST) * STRIP, 1)


def _time(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"


def _title(content: Mapping[str, Any]) -> str:
    return f"What clients wait while {content['rows']['chatbots']:,} chatbots migrate"
