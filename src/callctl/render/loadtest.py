"""How a load test looks: as text, as JSON, and as a picture."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from callctl.files import REPORT_MARK
from callctl.loadtest.measure import BUCKET_SECONDS
from callctl.render import console as render
from callctl.render.console import AMBER, BAD, GOOD, GRID, INK, PAPER, QUIET, page, table

if TYPE_CHECKING:
    from callctl.config.database_url import Target
    from callctl.config.settings import Output
    from callctl.loadtest.measure import LoadTest, QueryTimes, Removed, Spread
    from callctl.loadtest.run import Preview
    from callctl.render import documents

# How a load test looks: what it would do, what it has found, what was removed.

UNKNOWN = "unknown: the server's processes cannot be seen from here"


def preview(preview: Preview, output: Output) -> None:
    """What a load test would do."""
    render.answer(output, lambda: preview_document(preview), lambda: _preview_text(preview))


def _preview_text(preview: Preview) -> None:
    workload = preview.workload
    render.out(
        f"{workload.sessions:,} sessions on {render.counted(workload.connections, 'connection')}"
        f" of database {preview.database},"
        f" for {_seconds(workload.seconds)}"
        + (f" or {render.counted(workload.calls, 'call')}" if workload.calls is not None else "")
        + f"; a call takes {_seconds(workload.call_seconds)}"
    )
    render.out(
        f"{render.counted(preview.history, 'call')} from before, with their transcripts, in a company of its own;"
        " all removed at the end"
    )
    table(("query", "specification", "what it does"), ((q.name, q.documented, q.text) for q in preview.queries))
    for leftover in preview.leftovers:
        fate = "removed first" if leftover.removable else "kept: its slug was changed since"
        render.out(
            f"left by a load test of {leftover.started_at:%Y-%m-%d %H:%M:%S%z}: company {leftover.company_id} ({fate})"
        )
    if not preview.fits:
        render.out(
            f"not enough connections: {preview.room:,} can still be opened, of {preview.max_connections:,}"
            " that the server has"
        )


def preview_document(preview: Preview) -> documents.LoadPreview:
    workload = preview.workload
    return {
        "database": preview.database,
        "sessions": workload.sessions,
        "connections": workload.connections,
        "seconds": workload.seconds,
        "calls": workload.calls,
        "call_seconds": workload.call_seconds,
        "history": preview.history,
        "room": preview.room,
        "max_connections": preview.max_connections,
        "fits": preview.fits,
        "leftovers": list(preview.leftovers),
        "queries": [
            {"query": query.name, "documented": query.documented, "does": query.text, "sql": query.sql}
            for query in preview.queries
        ],
    }


def cleaned(removed: Sequence[Removed], output: Output, target: Target | None = None) -> None:
    """What was removed of killed load tests."""
    render.answer(
        output,
        lambda: cleaned_document(removed, target),
        lambda: _cleaned_text(removed, target),
    )


def cleaned_document(removed: Sequence[Removed], target: Target | None) -> documents.Cleaned:
    return {"event": "cleaned", "removed": removed, "target": target}


def _cleaned_text(removed: Sequence[Removed], target: Target | None) -> None:
    for company in removed:
        render.out(_removed(company))
    if any(company.kept is None for company in removed):
        render.written(target, "removed from")
    if not removed:
        render.out("no load test has left anything")


def _removed(company: Removed) -> str:
    when = f"the load test of {company.started_at:%Y-%m-%d %H:%M:%S%z} by {company.client}"
    if company.kept is not None:
        return f"kept: company {company.company_id}, left by {when}: {company.kept}"
    return f"removed what {when} had left: company {company.company_id} with {render.counted(company.calls, 'call')}"


# ---- what it has found ---------------------------------------------------------------------------------


def measured(result: LoadTest, output: Output, target: Target | None = None) -> None:
    """The result of a load test."""
    render.answer(output, lambda: measured_document(result, target), lambda: _measured_text(result, target))


def _measured_text(result: LoadTest, target: Target | None) -> None:
    for company in result.removed:
        render.note(_removed(company))
    table(
        ("query", "times", "p50 ms", "p95 ms", "p99 ms", "max ms", "p95 of the server"),
        (
            (
                query.query + (" (over)" if query.over_limit else ""),
                f"{query.times:,}" + (f", {sum(query.errors.values()):,} failed" if query.errors else ""),
                *_cells(query.response),
                _ms(query.server.p95_ms),
            )
            for query in result.queries
        ),
        right=("times", "p50 ms", "p95 ms", "p99 ms", "max ms", "p95 of the server"),
    )
    render.out()
    for label, text in facts(result):
        render.out(render.folded(f"{label}: {text}", sys.stdout, hanging=2))
    render.out()
    render.out(_verdict(result))
    render.written(target, "ran against")


def _cells(spread: Spread) -> tuple[str, str, str, str]:
    return _ms(spread.p50_ms), _ms(spread.p95_ms), _ms(spread.p99_ms), _ms(spread.max_ms)


def facts(result: LoadTest) -> list[tuple[str, str]]:
    """Everything beside the queries, for the terminal and for the picture."""
    rate = sum(query.times for query in result.queries) / result.seconds if result.seconds else 0.0
    lag, waited = result.client.lag, result.client.connection
    labelled = [
        (
            "load",
            f"{result.sessions:,} sessions on {render.counted(result.connections, 'connection')}"
            f" for {result.seconds:.1f} s: {render.counted(result.calls_started, 'call')} begun,"
            f" {result.calls_completed:,} completed, {render.counted(result.lines, 'line')},"
            f" {rate:,.0f} statements a second",
        ),
        (
            "client",
            f"late by {_ms(lag.p95_ms)} ms (p95), {_ms(lag.max_ms)} ms at most;"
            f" {result.client.cpu_share * 100:.0f} % of a CPU"
            + (
                f"; waited {_ms(waited.p95_ms)} ms (p95) for a connection"
                if result.connections < result.sessions
                else ""
            ),
        ),
        (
            "server",
            f"{result.server.mean:.2f} of {result.server.cpus} CPUs on average, {result.server.peak:.2f} at the peak,"
            f" {result.server.memory_mb:,.0f} MB of its own memory"
            if result.server is not None
            else UNKNOWN,
        ),
        ("locks", _locks(result)),
    ]
    others = [wait for wait in result.waits if wait.type != "Lock" and wait.ours]
    if others:
        listed = ", ".join(f"{wait.event} ({wait.type}) {wait.ours:,}" for wait in others[:5])
        labelled.append(("other waits", f"{listed} sightings in {result.samples:,} looks"))
    for query in result.queries:
        if query.errors:
            failures = ", ".join(f"{name} {count:,}" for name, count in query.errors.items())
            labelled.append(("failed", f"{query.query}: {failures}"))
    if result.client_late:
        labelled.append(
            (
                "caution",
                "the client was late itself: these times are at worst too high. Run it from another machine, or with"
                " fewer sessions",
            )
        )
    return labelled


def _locks(result: LoadTest) -> str:
    locks = [wait for wait in result.waits if wait.type == "Lock"]
    looks = f"in {render.counted(result.samples, 'look')}"
    if not locks:
        return f"no session was seen waiting for one, {looks}"
    parts = []
    for lock in locks:
        parts.append(
            f"{lock.event}: {lock.ours:,} sightings of the load's sessions, {lock.others:,} of others behind them,"
            f" for {_ms(lock.longest_ms)} ms at most"
        )
    return f"{'; '.join(parts)}, {looks}"


def _verdict(result: LoadTest) -> str:
    limit = f"{result.limit_ms:g} ms"
    if result.stopped is not None:
        return render.styled(f"load test stopped: {result.stopped}", "error", sys.stdout)
    if result.interrupted:
        return render.styled(f"load test interrupted after {result.seconds:.1f} s", "warning", sys.stdout)
    if not result.queries:
        return render.styled("load test measured nothing", "error", sys.stdout)
    if result.errors:
        return render.styled(
            f"load test failed: {render.counted(result.errors, 'statement')} failed", "error", sys.stdout
        )
    if result.over:
        names = ", ".join(query.query for query in result.over)
        return render.styled(
            f"load test failed: {len(result.over)} of {len(result.queries)} queries over {limit} (p95): {names}",
            "error",
            sys.stdout,
        )
    return render.styled(f"load test passed: {len(result.queries)} queries within {limit} (p95)", "good", sys.stdout)


def measured_document(result: LoadTest, target: Target | None) -> documents.LoadTested:
    """The last line of a load test in JSON."""
    return {
        "event": "load_tested",
        "passed": result.passed,
        "over": [query.query for query in result.over],
        "errors": result.errors,
        "client_late": result.client_late,
        "database": result.database,
        "postgresql": result.version,
        "started_at": result.started_at,
        "sessions": result.sessions,
        "connections": result.connections,
        "call_seconds": result.call_seconds,
        "history": result.history,
        "seconds": result.seconds,
        "limit_ms": result.limit_ms,
        "interrupted": result.interrupted,
        "stopped": result.stopped,
        "calls_started": result.calls_started,
        "calls_completed": result.calls_completed,
        "lines": result.lines,
        "queries": result.queries,
        "client": result.client,
        "server": result.server,
        "samples": result.samples,
        "waits": result.waits,
        "removed": result.removed,
        "slowest_ms": result.slowest_ms,
        "cpus": result.cpus,
        "target": target,
    }


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _seconds(value: float) -> str:
    return f"{value:g} s"


# A load test as a picture: the spread of each query's times, and how they and the CPUs went over time. SVG or HTML.

LEFT, RIGHT, WIDTH = 190, 70, 720
ROW, HEAD, STRIP = 24, 84, 90
LOWEST = 0.1  # milliseconds
AT_LIMIT = f'stroke="{BAD}" stroke-dasharray="4 3"'
SUFFIXES = (".svg", ".html")


def write_picture(result: LoadTest, suffix: str) -> str:
    """The content of a report file, by its suffix."""
    return html(result) if suffix == ".html" else f"{REPORT_MARK}\n{svg(result)}"


def svg(result: LoadTest, *, titled: bool = True) -> str:
    """Bars from the median to the 99th percentile on a logarithmic axis; below them the longest of each moment.

    ``titled``: with its title above it; a page says it already.
    """
    highest = max([result.limit_ms * 2, *(query.response.max_ms for query in result.queries)])
    rows = HEAD + len(result.queries) * ROW
    strips = [
        _Strip(_until_the_last(result.slowest_ms), BUCKET_SECONDS, INK, "longest response", "ms", 0, result.limit_ms)
    ]
    if result.cpus:
        cpus = result.server.cpus if result.server else 0
        strips.append(_Strip(result.cpus, 1.0, AMBER, f"server, of {cpus} CPUs", "CPUs", cpus))
    height = rows + 40 + len(strips) * (STRIP + 30) + 20

    def across(value: float) -> float:
        share = math.log(max(value, LOWEST) / LOWEST) / math.log(highest / LOWEST)
        return round(LEFT + min(share, 1.0) * WIDTH, 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(_title(result))}</title>",
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        *([f'<text x="8" y="20" fill="{INK}" font-weight="600">{escape(_title(result))}</text>'] if titled else []),
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
    for number, query in enumerate(result.queries):
        lines += _bar(query, HEAD + number * ROW, across(query.response.p50_ms), across(query.response.p95_ms),
                      across(query.response.p99_ms), across(query.response.max_ms))  # fmt: skip
    limit = across(result.limit_ms)
    lines.append(f'<line x1="{limit}" x2="{limit}" y1="{HEAD - 8}" y2="{rows}" {AT_LIMIT}/>')
    # Near the end of the axis it would stand in the column of numbers.
    x, anchor = (limit, "middle") if limit < LEFT + WIDTH - 40 else (LEFT + WIDTH, "end")
    lines.append(
        f'<text x="{x}" y="{HEAD - 12}" fill="{BAD}" text-anchor="{anchor}">limit {result.limit_ms:g} ms</text>'
    )
    top = rows + 40
    for each_strip in strips:
        lines += _strip(each_strip, top, result.seconds)
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


def html(result: LoadTest) -> str:
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
        for query in result.queries
    ]
    definitions = [f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in facts(result)]
    return page(
        _title(result),
        [
            f"<p>{result.started_at.isoformat(timespec='seconds')}, PostgreSQL {escape(result.version)}</p>",
            svg(result, titled=False),
            f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>",
            *rows,
            "</table>",
            f"<dl>{''.join(definitions)}</dl>",
        ],
    )


def _title(result: LoadTest) -> str:
    verdict = "passed" if result.passed else "failed"
    return f"Load test of {result.database}: {result.sessions:,} call sessions, {verdict}"
