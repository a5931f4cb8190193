"""Draws a run of the steps as a page: its end, its statements over time, its waits, and preflight's findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from callctl import __version__
from callctl.migration.run_record import RunRecord, StepRecord
from callctl.render import console as render
from callctl.render import pages
from callctl.render.forecast import about, of_a_run
from callctl.render.pages import AMBER, BAD, GOOD, QUIET

LEFT, RIGHT, WIDTH, ROW = 230, 100, 650, 22
_SHADES = (GOOD, "#34d399")
_LEVELS = {"blocks": "bad", "warns": "amber", "unknown": "quiet"}


def write(record: RunRecord) -> str:
    """The page. It holds no value of a row, and loads nothing."""
    return pages.written(
        "run.html",
        title=_title(record),
        record=record,
        sentences=tuple(_sentences(record)),
        facts=_facts(record),
        chart=_chart(record) if record.steps else None,
        partly=_partly,
        expected=partial(_expected, record),
        levels=_LEVELS,
        findings=[finding for level in _LEVELS for finding in record.findings if finding.level == level],
    )


def _title(record: RunRecord) -> str:
    where = f" of {record.about.database}" if record.about else ""
    direction = f"migrate {record.about.direction}" if record.about else "migrate"
    return f"{direction}{where}: {record.outcome}"


def _sentences(record: RunRecord) -> Iterator[str]:
    """Yield the state of the database after the run: text, with commands as Markup."""
    from markupsafe import Markup

    committed = [step.number for step in record.steps if step.seconds is not None]
    planned = record.about.steps if record.about else ()
    up = record.about is None or record.about.direction == "up"
    if committed:
        rows = sum(step.rows or 0 for step in record.steps)
        verb = "applied" if up else "taken back"
        yield (
            f"{render.steps(committed).capitalize()} {verb} and committed,"
            f" {render.counted(rows, 'row')} changed, in {record.seconds:.1f} s"
        )
    elif record.about is not None and not planned:
        yield "Nothing to do: no step is pending" if up else "Nothing to do: no step above the target is applied"
    else:
        yield f"No step was completed in this run, which took {record.seconds:.1f} s"
    if record.outcome == "done":
        yield Markup("Next: <code>callctl {}</code>").format("verify" if up else "migrate status")
        return
    step = record.under_way
    if step is not None and step.batches:
        yield f"Step {step.number} is partly applied: {_partly(step)}, the rest is pending"
    elif step is not None:
        yield f"Step {step.number} was under way, and nothing of its rows is committed"
    rest = [number for number in planned if number not in {step.number for step in record.steps}]
    if rest:
        yield f"Not begun: {render.spans(rest)}"
    if record.outcome == "under way":
        yield Markup(
            "callctl writes this page again after each step. If no callctl runs any more, it was killed:"
            " <code>callctl migrate status</code> says which steps are applied, and the same command resumes"
        )


def _expected(record: RunRecord, step: StepRecord) -> str:
    """Behind the time that a step took: what was expected of it, if there was a forecast."""
    told = record.forecast.steps.get(step.number) if record.forecast else None
    return f" ({about(told)} expected)" if told is not None else ""


def _partly(step: StepRecord) -> str:
    rows, batches = (
        render.counted(step.batched_rows, "row"),
        f"{step.batches:,} {'batch' if step.batches == 1 else 'batches'}",
    )
    return f"{rows} in {batches} {'is' if step.batches == 1 else 'are'} committed"


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    facts = [("began", record.began_at.isoformat(sep=" ", timespec="seconds"))]
    if record.outcome != "under way":
        ended = record.began_at + timedelta(seconds=record.seconds)
        facts += [
            ("ended", f"{ended.isoformat(sep=' ', timespec='seconds')}, exit code {record.exit_code}"),
            ("took", f"{record.seconds - record.waited:.1f} s of work and {record.waited:.1f} s of waiting for others"),
        ]
    if record.forecast is not None and record.forecast.total is not None:
        total = record.forecast.total
        facts.append(("expected", f"{of_a_run(total, total.rates)}; no wait for others is in it"))
    facts.append(("callctl", __version__))
    if record.command:
        facts.append(("command", record.command))
    if record.about is not None:
        run = record.about
        names = ", ".join(f"{table}.{documented} is {here}" for table, documented, here in run.names if table)
        facts += [
            ("database", f"{run.database} on {run.server}, schema {run.schema}, as {run.role}"),
            ("PostgreSQL", run.postgresql),
            ("run by", run.client),
            ("way", "all steps in one transaction" if run.atomic else "a transaction at a time, with clients online"),
            ("names", names or "as the specification has them"),
        ]
    return facts


@dataclass(frozen=True)
class _Mark:
    """A bar of the chart: its corner, its size, its colour."""

    x: float
    y: float
    width: float
    height: int
    colour: str


@dataclass(frozen=True)
class _Row:
    """A line of the chart, its middle so far down: what it is about, its marks, how long it took."""

    middle: float
    label: str
    marks: tuple[_Mark, ...]
    time: str


@dataclass(frozen=True)
class _Chart:
    """A row a step, a bar a statement, an amber mark where something was waited for."""

    left: int
    width: int
    right: int
    height: int
    bottom: int
    rows: tuple[_Row, ...]


def _chart(record: RunRecord) -> _Chart:
    scale = WIDTH / max(record.seconds, 0.001)
    before = record.steps[0].at
    first = _Row(
        ROW / 2,
        "lock and preflight",
        (_mark(0.0, before, scale, ROW / 2, 12, QUIET), *_waits(record, 0, ROW / 2, scale)),
        f"{before:.2f} s",
    )
    rows = [_row(record, step, number * ROW + ROW / 2, scale) for number, step in enumerate(record.steps, start=1)]
    steps = len(record.steps)
    return _Chart(LEFT, WIDTH, RIGHT, (steps + 2) * ROW + 12, (steps + 1) * ROW + 6, (first, *rows))


def _row(record: RunRecord, step: StepRecord, middle: float, scale: float) -> _Row:
    end = step.at + step.seconds if step.seconds is not None else record.seconds
    shades = _SHADES if step.seconds is not None else (BAD, "#f87171")
    bars = [(statement.at, statement.seconds) for statement in step.statements] or [(step.at, end - step.at)]
    marks = [
        _mark(start, seconds, scale, middle, 12, shades[number % 2]) for number, (start, seconds) in enumerate(bars)
    ]
    partly = "partly applied" if step.batches else "not committed"
    time = f"{step.seconds:.2f} s" if step.seconds is not None else partly
    return _Row(middle, f"{step.number} {step.name}", (*marks, *_waits(record, step.number, middle, scale)), time)


def _waits(record: RunRecord, step: int, middle: float, scale: float) -> Iterator[_Mark]:
    for wait in record.waits:
        if wait.step == step:
            yield _mark(wait.at, wait.seconds, scale, middle + 8, 4, AMBER)


def _mark(start: float, seconds: float, scale: float, middle: float, height: int, colour: str) -> _Mark:
    return _Mark(LEFT + start * scale, middle - height / 2, max(seconds * scale, 0.8), height, colour)
