"""A load test as a picture: the spread of each query's times, and how they and the CPUs went over time. SVG or HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from callctl.files import REPORT_MARK
from callctl.loadtest.measure import BUCKET_SECONDS
from callctl.render.loadtest import facts
from callctl.render.page import AMBER, BAD, GOOD, GRID, INK, PAPER, QUIET, page

if TYPE_CHECKING:
    from callctl.loadtest.measure import LoadTest, QueryTimes

LEFT, RIGHT, WIDTH = 190, 70, 720
ROW, HEAD, STRIP = 24, 84, 90
LOWEST = 0.1  # milliseconds
AT_LIMIT = f'stroke="{BAD}" stroke-dasharray="4 3"'
SUFFIXES = (".svg", ".html")


def write(done: LoadTest, suffix: str) -> str:
    """The content of a report file, by its suffix."""
    return html(done) if suffix == ".html" else f"{REPORT_MARK}\n{svg(done)}"


def svg(done: LoadTest, *, titled: bool = True) -> str:
    """Bars from the median to the 99th percentile on a logarithmic axis; below them the longest of each moment.

    ``titled``: with its title above it; a page says it already.
    """
    highest = max([done.limit_ms * 2, *(query.response.max_ms for query in done.queries)])
    rows = HEAD + len(done.queries) * ROW
    strips = [_Strip(_until_the_last(done.slowest_ms), BUCKET_SECONDS, INK, "longest response", "ms", 0, done.limit_ms)]
    if done.cpus:
        cpus = done.server.cpus if done.server else 0
        strips.append(_Strip(done.cpus, 1.0, AMBER, f"server, of {cpus} CPUs", "CPUs", cpus))
    height = rows + 40 + len(strips) * (STRIP + 30) + 20

    def across(value: float) -> float:
        share = math.log(max(value, LOWEST) / LOWEST) / math.log(highest / LOWEST)
        return round(LEFT + min(share, 1.0) * WIDTH, 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(_title(done))}</title>",
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        *([f'<text x="8" y="20" fill="{INK}" font-weight="600">{escape(_title(done))}</text>'] if titled else []),
        f'<text x="8" y="38" fill="{QUIET}">bar: median to 99th percentile, from the planned start; mark: 95th; '
        "line: to the longest</text>",
        f'<text x="{LEFT + WIDTH + 8}" y="{HEAD - 12}" fill="{QUIET}">95th</text>',
    ]
    mark = LOWEST
    while mark <= highest:
        x = across(mark)
        lines.append(f'<line x1="{x}" x2="{x}" y1="{HEAD - 8}" y2="{rows}" stroke="{GRID}"/>')
        lines.append(f'<text x="{x}" y="{rows + 14}" fill="{QUIET}" text-anchor="middle">{mark:g} ms</text>')
        mark *= 10
    for number, query in enumerate(done.queries):
        lines += _bar(query, HEAD + number * ROW, across(query.response.p50_ms), across(query.response.p95_ms),
                      across(query.response.p99_ms), across(query.response.max_ms))  # fmt: skip
    limit = across(done.limit_ms)
    lines.append(f'<line x1="{limit}" x2="{limit}" y1="{HEAD - 8}" y2="{rows}" {AT_LIMIT}/>')
    # Near the end of the axis it would stand in the column of numbers.
    x, anchor = (limit, "middle") if limit < LEFT + WIDTH - 40 else (LEFT + WIDTH, "end")
    lines.append(f'<text x="{x}" y="{HEAD - 12}" fill="{BAD}" text-anchor="{anchor}">limit {done.limit_ms:g} ms</text>')
    top = rows + 40
    for each_strip in strips:
        lines += _strip(each_strip, top, done.seconds)
        top += STRIP + 30
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(query: QueryTimes, top: int, p50: float, p95: float, p99: float, longest: float) -> Iterator[str]:
    colour = BAD if query.over_limit else GOOD
    middle = top + ROW / 2
    yield f'<text x="{LEFT - 10}" y="{middle + 4}" fill="{INK}" text-anchor="end">{escape(query.query)}</text>'
    yield f'<line x1="{p50}" x2="{longest}" y1="{middle}" y2="{middle}" stroke="{colour}" stroke-width="1.5"/>'
    wide = round(max(p99 - p50, 2.0), 1)
    yield f'<rect x="{p50}" y="{middle - 6}" width="{wide}" height="12" fill="{colour}" fill-opacity="0.45"/>'
    yield f'<rect x="{p95 - 1.5}" y="{middle - 8}" width="3" height="16" fill="{colour}"/>'
    label = _milliseconds(query.response.p95_ms)
    yield f'<text x="{LEFT + WIDTH + 8}" y="{middle + 4}" fill="{colour}">{label}</text>'


def _milliseconds(value: float) -> str:
    """A time with as many digits as there is room for."""
    return f"{value:.1f} ms" if value < 1000 else f"{value:,.0f} ms"


def _until_the_last(series: Sequence[float]) -> Sequence[float]:
    """Without the moments at its end in which nothing was answered any more."""
    return series[: max((number + 1 for number, value in enumerate(series) if value), default=0)]


@dataclass(frozen=True)
class _Strip:
    """One series over the time of the test, ``step`` seconds a value; its height stands for ``full`` at least."""

    series: Sequence[float]
    step: float
    colour: str
    label: str
    unit: str
    full: float = 0.0
    limit: float | None = None


def _strip(strip: _Strip, top: int, seconds: float) -> Iterator[str]:
    peak = max([*strip.series, 0.0])
    highest = max(peak, strip.full, 0.001)
    bottom = top + STRIP
    yield f'<text x="{LEFT - 10}" y="{top + 14}" fill="{INK}" text-anchor="end">{escape(strip.label)}</text>'
    peak_text = _milliseconds(peak) if strip.unit == "ms" else f"{peak:.2f} {strip.unit}"
    yield f'<text x="{LEFT - 10}" y="{top + 30}" fill="{QUIET}" text-anchor="end">at most {peak_text}</text>'
    yield f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{bottom}" y2="{bottom}" stroke="{GRID}"/>'
    if strip.limit is not None and strip.limit <= highest:
        y = round(bottom - strip.limit / highest * STRIP, 1)
        yield f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" {AT_LIMIT}/>'
        yield f'<text x="{LEFT + WIDTH + 8}" y="{y + 4}" fill="{BAD}">limit</text>'
    scale = WIDTH / max(seconds, strip.step)
    points = " ".join(
        f"{LEFT + min((number + 0.5) * strip.step * scale, WIDTH):.1f},{bottom - value / highest * STRIP:.1f}"
        for number, value in enumerate(strip.series)
    )
    line = f'stroke="{strip.colour}" stroke-width="1.5" stroke-linejoin="round"'
    yield f'<polyline points="{points}" fill="none" {line}/>'
    yield f'<text x="{LEFT}" y="{bottom + 14}" fill="{QUIET}">0 s</text>'
    yield f'<text x="{LEFT + WIDTH}" y="{bottom + 14}" fill="{QUIET}" text-anchor="end">{seconds:.1f} s</text>'


def html(done: LoadTest) -> str:
    """A page of its own with the picture and the numbers; it loads nothing."""
    heads = ("query", "times", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms")
    rows = [
        f"<tr{' class=over' if query.over_limit else ''}><td>{escape(query.query)}</td>"
        + "".join(
            f"<td>{value}</td>"
            for value in (
                f"{query.times:,}",
                f"{sum(query.errors.values()):,}",
                *(
                    f"{value:.2f}"
                    for value in (
                        query.response.p50_ms,
                        query.response.p95_ms,
                        query.response.p99_ms,
                        query.response.max_ms,
                    )
                ),
            )
        )
        + "</tr>"
        for query in done.queries
    ]
    definitions = [f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in facts(done)]
    return page(
        _title(done),
        [
            f"<p>{done.started_at.isoformat(timespec='seconds')}, PostgreSQL {escape(done.version)}</p>",
            svg(done, titled=False),
            f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>",
            *rows,
            "</table>",
            f"<dl>{''.join(definitions)}</dl>",
        ],
    )


def _title(done: LoadTest) -> str:
    verdict = "passed" if done.passed else "failed"
    return f"Load test of {done.database}: {done.sessions:,} call sessions, {verdict}"
