"""How a load test looks: what it would do, what it has found, what was removed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.render import console as render
from callctl.render.table import table

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.loadtest.measure import LoadTest, Removed, Spread
    from callctl.loadtest.preview import Preview
    from callctl.render import documents
    from callctl.target import Target

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
        what = "removed first" if leftover.removable else "kept: its slug was changed since"
        render.out(
            f"left by a load test of {leftover.started_at:%Y-%m-%d %H:%M:%S%z}: company {leftover.company_id} ({what})"
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


def measured(done: LoadTest, output: Output, target: Target | None = None) -> None:
    """The result of a load test."""
    render.answer(output, lambda: measured_document(done, target), lambda: _measured_text(done, target))


def _measured_text(done: LoadTest, target: Target | None) -> None:
    for company in done.removed:
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
            for query in done.queries
        ),
        right=("times", "p50 ms", "p95 ms", "p99 ms", "max ms", "p95 of the server"),
    )
    render.out()
    for label, text in facts(done):
        render.out(render.folded(f"{label}: {text}", sys.stdout, hanging=2))
    render.out()
    render.out(_verdict(done))
    render.written(target, "ran against")


def _cells(spread: Spread) -> tuple[str, str, str, str]:
    return _ms(spread.p50_ms), _ms(spread.p95_ms), _ms(spread.p99_ms), _ms(spread.max_ms)


def facts(done: LoadTest) -> list[tuple[str, str]]:
    """Everything beside the queries, for the terminal and for the picture."""
    rate = sum(query.times for query in done.queries) / done.seconds if done.seconds else 0.0
    lag, waited = done.client.lag, done.client.connection
    labelled = [
        (
            "load",
            f"{done.sessions:,} sessions on {render.counted(done.connections, 'connection')} for {done.seconds:.1f} s:"
            f" {render.counted(done.calls_started, 'call')} begun, {done.calls_completed:,} completed,"
            f" {render.counted(done.lines, 'line')}, {rate:,.0f} statements a second",
        ),
        (
            "client",
            f"late by {_ms(lag.p95_ms)} ms (p95), {_ms(lag.max_ms)} ms at most;"
            f" {done.client.cpu_share * 100:.0f} % of a CPU"
            + (f"; waited {_ms(waited.p95_ms)} ms (p95) for a connection" if done.connections < done.sessions else ""),
        ),
        (
            "server",
            f"{done.server.mean:.2f} of {done.server.cpus} CPUs on average, {done.server.peak:.2f} at the peak,"
            f" {done.server.memory_mb:,.0f} MB of its own memory"
            if done.server is not None
            else UNKNOWN,
        ),
        ("locks", _locks(done)),
    ]
    others = [wait for wait in done.waits if wait.type != "Lock" and wait.ours]
    if others:
        listed = ", ".join(f"{wait.event} ({wait.type}) {wait.ours:,}" for wait in others[:5])
        labelled.append(("other waits", f"{listed} sightings in {done.samples:,} looks"))
    for query in done.queries:
        if query.errors:
            failures = ", ".join(f"{name} {count:,}" for name, count in query.errors.items())
            labelled.append(("failed", f"{query.query}: {failures}"))
    if done.client_late:
        labelled.append(
            (
                "caution",
                "the client was late itself: these times are at worst too high. Run it from another machine, or with"
                " fewer sessions",
            )
        )
    return labelled


def _locks(done: LoadTest) -> str:
    locks = [wait for wait in done.waits if wait.type == "Lock"]
    looks = f"in {render.counted(done.samples, 'look')}"
    if not locks:
        return f"no session was seen waiting for one, {looks}"
    parts = []
    for lock in locks:
        parts.append(
            f"{lock.event}: {lock.ours:,} sightings of the load's sessions, {lock.others:,} of others behind them,"
            f" for {_ms(lock.longest_ms)} ms at most"
        )
    return f"{'; '.join(parts)}, {looks}"


def _verdict(done: LoadTest) -> str:
    limit = f"{done.limit_ms:g} ms"
    if done.stopped is not None:
        return render.styled(f"load test stopped: {done.stopped}", "error", sys.stdout)
    if done.interrupted:
        return render.styled(f"load test interrupted after {done.seconds:.1f} s", "warning", sys.stdout)
    if not done.queries:
        return render.styled("load test measured nothing", "error", sys.stdout)
    if done.errors:
        return render.styled(
            f"load test failed: {render.counted(done.errors, 'statement')} failed", "error", sys.stdout
        )
    if done.over:
        names = ", ".join(query.query for query in done.over)
        return render.styled(
            f"load test failed: {len(done.over)} of {len(done.queries)} queries over {limit} (p95): {names}",
            "error",
            sys.stdout,
        )
    return render.styled(f"load test passed: {len(done.queries)} queries within {limit} (p95)", "good", sys.stdout)


def measured_document(done: LoadTest, target: Target | None) -> documents.LoadTested:
    """The last line of a load test in JSON."""
    return {
        "event": "load_tested",
        "passed": done.passed,
        "over": [query.query for query in done.over],
        "errors": done.errors,
        "client_late": done.client_late,
        "database": done.database,
        "postgresql": done.version,
        "started_at": done.started_at,
        "sessions": done.sessions,
        "connections": done.connections,
        "call_seconds": done.call_seconds,
        "history": done.history,
        "seconds": done.seconds,
        "limit_ms": done.limit_ms,
        "interrupted": done.interrupted,
        "stopped": done.stopped,
        "calls_started": done.calls_started,
        "calls_completed": done.calls_completed,
        "lines": done.lines,
        "queries": done.queries,
        "client": done.client,
        "server": done.server,
        "samples": done.samples,
        "waits": done.waits,
        "removed": done.removed,
        "slowest_ms": done.slowest_ms,
        "cpus": done.cpus,
        "target": target,
    }


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _seconds(value: float) -> str:
    return f"{value:g} s"
