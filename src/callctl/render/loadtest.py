"""Draws a load test: as text, as JSON, and as a picture."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callctl.files import REPORT_MARK
from callctl.loadtest.measure import BUCKET_SECONDS
from callctl.render import console as render
from callctl.render import pages
from callctl.render.console import table
from callctl.render.pages import AMBER, BAD, GOOD, INK

if TYPE_CHECKING:
    from callctl.config.database_url import Target
    from callctl.config.settings import Output
    from callctl.loadtest.measure import LoadTest, QueryTimes, Removed
    from callctl.loadtest.run import Preview
    from callctl.render import documents

# How a load test looks: what it would do, what it has found, what was removed.

# Times of a query from which on its 95th and 99th percentiles are shown: of fewer they are single times.
ENOUGH = 100
UNKNOWN = "unknown: this machine does not show the server's processes"


def preview(preview: Preview, output: Output) -> None:
    """Print the plan of a load test."""
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
        fate = "removed first" if leftover.removable else "kept, since its slug was changed"
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
    """Print the rows that were removed after killed load tests."""
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
        render.out("no rows of earlier load tests exist")


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
                *_cells(query),
                _ms(query.server.p95_ms) if many(query) else "-",
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


def many(query: QueryTimes) -> bool:
    """Return whether the query ran often enough for its 95th and 99th percentiles to say something."""
    return query.times >= ENOUGH


def _cells(query: QueryTimes) -> tuple[str, str, str, str]:
    spread = query.response
    high = (_ms(spread.p95_ms), _ms(spread.p99_ms)) if many(query) else ("-", "-")
    return _ms(spread.p50_ms), *high, _ms(spread.max_ms)


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
    few = [query.query for query in result.queries if not many(query)]
    if few:
        labelled.append(
            (
                "percentiles",
                f"not shown of {len(few)} {'query' if len(few) == 1 else 'queries'} with fewer than {ENOUGH} times,"
                f" whose 95th percentile says little beside the limit: {', '.join(few)}",
            )
        )
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
                "the client itself was late, so these times may be too high. Run the load test from another "
                "machine, or with fewer sessions",
            )
        )
    return labelled


def _locks(result: LoadTest) -> str:
    locks = [wait for wait in result.waits if wait.type == "Lock"]
    looks = f"in {render.counted(result.samples, 'look')}"
    if not locks:
        return f"no session waited for a lock in any of {looks}"
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
SUFFIXES = (".svg", ".html")


def write_picture(result: LoadTest, suffix: str) -> str:
    """The content of a report file, by its suffix."""
    if suffix != ".html":
        return f"{REPORT_MARK}\n{svg(result)}"
    from markupsafe import Markup

    picture = Markup(svg(result, titled=False))
    return pages.written(
        "loadtest.html", title=_title(result), result=result, picture=picture, facts=facts(result), enough=ENOUGH
    )


def svg(result: LoadTest, *, titled: bool = True) -> str:
    """Bars from the median to the 99th percentile on a logarithmic axis; below them the longest of each moment.

    ``titled``: with its title above it; a page says it already.
    """
    highest = max([result.limit_ms * 2, *(query.response.max_ms for query in result.queries)])
    bottom = HEAD + len(result.queries) * ROW

    def across(value: float) -> float:
        share = math.log(max(value, LOWEST) / LOWEST) / math.log(highest / LOWEST)
        return round(LEFT + min(share, 1.0) * WIDTH, 1)

    strips = list(_strips(result, bottom + 40))
    decades = [LOWEST * 10**power for power in range(1 + int(math.log10(highest / LOWEST) + 1e-9))]
    limit = across(result.limit_ms)
    # Near the end of the axis its label would be in the column of numbers.
    label_x, anchor = (limit, "middle") if limit < LEFT + WIDTH - 40 else (LEFT + WIDTH, "end")
    return pages.written(
        "loadtest.svg",
        title=_title(result),
        titled=titled,
        left=LEFT,
        width=WIDTH,
        right=RIGHT,
        head=HEAD,
        bottom=bottom,
        height=bottom + 60 + len(strips) * (STRIP + 30),
        axis=[(value, across(value)) for value in decades],
        bars=[_bar(query, HEAD + number * ROW + ROW / 2, across) for number, query in enumerate(result.queries)],
        limit={"x": limit, "label_x": label_x, "anchor": anchor, "text": f"{result.limit_ms:g} ms"},
        strips=strips,
        seconds=result.seconds,
    )


@dataclass(frozen=True)
class _Bar:
    """The spread of a query's times, its middle so far down."""

    name: str
    middle: float
    p50: float
    p95: float
    width: float
    longest: float
    colour: str
    label: str


def _bar(query: QueryTimes, middle: float, across: Callable[[float], float]) -> _Bar:
    p50, p99 = across(query.response.p50_ms), across(query.response.p99_ms)
    return _Bar(
        query.query,
        middle,
        p50,
        across(query.response.p95_ms if many(query) else query.response.p50_ms),
        round(max(p99 - p50, 2.0), 1) if many(query) else 2.0,
        across(query.response.max_ms),
        BAD if query.over_limit else GOOD,
        _milliseconds(query.response.p95_ms) if many(query) else "few times",
    )


def _milliseconds(value: float) -> str:
    """A time with as many digits as there is room for."""
    return f"{value:.1f} ms" if value < 1000 else f"{value:,.0f} ms"


@dataclass(frozen=True)
class _Strip:
    """One series over the time of the test; ``limit`` is how far down its limit is, None if that is above it."""

    label: str
    colour: str
    top: int
    bottom: int
    peak: str
    limit: float | None
    points: str


def _strips(result: LoadTest, top: int) -> Iterator[_Strip]:
    slowest = _until_the_last(result.slowest_ms)
    peak = max([*slowest, 0.0])
    yield _strip(slowest, BUCKET_SECONDS, result, top, ("longest response", INK, _milliseconds(peak)), result.limit_ms)
    if result.cpus:
        cpus = result.server.cpus if result.server else 0
        text = f"{max(result.cpus):.2f} CPUs"
        yield _strip(
            result.cpus, 1.0, result, top + STRIP + 30, (f"server, of {cpus} CPUs", AMBER, text), None, full=cpus
        )


def _strip(
    series: Sequence[float],
    step: float,
    result: LoadTest,
    top: int,
    said: tuple[str, str, str],
    limit: float | None,
    *,
    full: float = 0.0,
) -> _Strip:
    """``step`` seconds a value; its height is ``full`` at least."""
    highest = max([*series, full, 0.001])
    bottom, scale = top + STRIP, WIDTH / max(result.seconds, step)
    points = " ".join(
        f"{LEFT + min((number + 0.5) * step * scale, WIDTH):.1f},{bottom - value / highest * STRIP:.1f}"
        for number, value in enumerate(series)
    )
    label, colour, peak = said
    down = round(bottom - limit / highest * STRIP, 1) if limit is not None and limit <= highest else None
    return _Strip(label, colour, top, bottom, peak, down, points)


def _until_the_last(series: Sequence[float]) -> Sequence[float]:
    """Without the moments at its end in which nothing was answered any more."""
    return series[: max((number + 1 for number, value in enumerate(series) if value), default=0)]


def _title(result: LoadTest) -> str:
    verdict = "passed" if result.passed else "failed"
    return f"Load test of {result.database}: {result.sessions:,} call sessions, {verdict}"
