"""Draws a rehearsal: what held, what was left out, the steps beside the target's forecast; as text, JSON and a page."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from callctl import __version__
from callctl.render import console as render
from callctl.render import pages
from callctl.render.checks import findings_document
from callctl.render.forecast import interval, span

if TYPE_CHECKING:
    from callctl.config.database_url import Target
    from callctl.config.settings import Output
    from callctl.forecast.outlook import StepOutlook
    from callctl.rehearsal.lock_samples import LockResult
    from callctl.rehearsal.rehearse import Rehearsal
    from callctl.rehearsal.stages import Stage
    from callctl.render import documents

_STYLES = {"held": "good", "did not hold": "error", "not rehearsed": "warning"}
_COLUMNS = 14
# Lines of a stage that are shown in text; the page and JSON have all.
_SHOWN = 12


def answer(rehearsal: Rehearsal, output: Output) -> None:
    """Print the result: in text a line for each stage, for what was left out, and for each step."""
    render.answer(
        output,
        lambda: document(rehearsal),
        lambda: _text(rehearsal),
        render.Next("callctl migrate up") if rehearsal.held else None,
    )


def kept(url: str) -> None:
    """Say where the server is, as long as callctl waits."""
    render.note(f"the rehearsal's server is kept: {url}")
    render.note("press Ctrl-C to stop and delete it")


# ---- text ----------------------------------------------------------------------------------------------


def _text(rehearsal: Rehearsal) -> None:
    for stage in rehearsal.stages:
        _stage(stage)
    for item in rehearsal.left_out:
        render.item("left out", "warning", f"{item.kind} {item.name}: {item.reason}", sys.stdout, columns=_COLUMNS)
    for table in rehearsal.tables:
        if table.problem is not None:
            text = f"{table.table}: {table.rows:,} of {table.wanted:,} rows: {table.problem}"
            render.item("fewer rows", "warning", text, sys.stdout, columns=_COLUMNS)
    render.out()
    render.table(
        ("step", "rows", "seconds", "target's rows", "target's forecast"),
        _steps(rehearsal),
        right=("rows", "seconds", "target's rows"),
    )
    render.out()
    summary = _summary(rehearsal)
    if render.is_terminal(sys.stdout):
        summary = render.folded(summary, sys.stdout, hanging=2)
    render.out(render.styled(summary, "good" if rehearsal.held else "error", sys.stdout))


def _stage(stage: Stage) -> None:
    render.item(stage.result, _STYLES[stage.result], f"{stage.name}: {stage.what}", sys.stdout, columns=_COLUMNS)
    if stage.result == "did not hold":
        for line in stage.details[:_SHOWN]:
            render.detail(line, sys.stdout, indent=_COLUMNS)
        if len(stage.details) > _SHOWN:
            render.detail(f"and {len(stage.details) - _SHOWN} more", sys.stdout, indent=_COLUMNS)
        if stage.hint:
            render.copied("hint: ", stage.hint, sys.stdout, indent=_COLUMNS)


def _steps(rehearsal: Rehearsal) -> Iterator[tuple[str, ...]]:
    """The steps up, as they ran here and as the forecast of the target has them."""
    expected = {step.number: step for step in rehearsal.forecast.steps}
    for step in rehearsal.steps:
        if step.direction == "up":
            there = expected.get(step.number)
            seconds = span(there.seconds) if there is not None and there.seconds is not None else "not known"
            most = _rows(there)
            rows = f"{most:,}" if most is not None else "not known"
            yield f"{step.number} {step.name}", f"{step.rows:,}", f"{step.seconds:.2f}", rows, seconds


def _rows(step: StepOutlook | None) -> int | None:
    """The most rows that a step writes on the target; None if not known."""
    if step is None:
        return None
    rows = [line.work.rows_written for line in step.lines()]
    known = [number for number in rows if number is not None]
    return sum(known) if len(known) == len(rows) else None


def _summary(rehearsal: Rehearsal) -> str:
    counts = {result: sum(stage.result == result for stage in rehearsal.stages) for result in _STYLES}
    told = [f"{number} {result}" for result, number in counts.items() if number]
    where = f"PostgreSQL {rehearsal.version} (target: PostgreSQL {rehearsal.target_version})"
    verdict = "rehearsal held" if rehearsal.held else "rehearsal did not hold"
    return (
        f"{verdict}: {', '.join(told)}; {render.counted(rehearsal.rows, 'synthetic row')},"
        f" at most {rehearsal.most_rows:,} a table, on {where}, in {rehearsal.seconds:.1f} s;"
        f" left out: {len(rehearsal.left_out)}"
    )


# ---- JSON ----------------------------------------------------------------------------------------------


def document(rehearsal: Rehearsal) -> documents.Rehearsal:
    return {
        "held": rehearsal.held,
        "postgresql": rehearsal.version,
        "target_postgresql": rehearsal.target_version,
        "most_rows": rehearsal.most_rows,
        "seconds": rehearsal.seconds,
        "stages": [
            {
                "stage": stage.name,
                "result": stage.result,
                "what": stage.what,
                "details": list(stage.details),
                "hint": stage.hint,
                "seconds": stage.seconds,
            }
            for stage in rehearsal.stages
        ],
        "tables": [
            {
                "schema": table.table.schema,
                "table": table.table.name,
                "target_rows": table.target_rows,
                "wanted": table.wanted,
                "rows": table.rows,
                "problem": table.problem,
            }
            for table in rehearsal.tables
        ],
        "left_out": list(rehearsal.left_out),
        "steps": list(rehearsal.steps),
        "locks": [_lock(lock) for lock in rehearsal.locks],
        "target_forecast": [
            {"step": step.number, "rows_at_most": _rows(step), "seconds": interval(step.seconds)}
            for step in rehearsal.forecast.steps
        ],
        "findings": findings_document(rehearsal.findings, ())["findings"],
    }


def _lock(lock: LockResult) -> documents.RehearsedLock:
    return {
        "direction": lock.direction,
        "schema": lock.schema,
        "table": lock.table,
        "told": lock.told.sql if lock.told is not None else None,
        "seen": lock.seen.sql if lock.seen is not None else None,
        "seconds": lock.seconds,
    }


# ---- a page --------------------------------------------------------------------------------------------


def page(rehearsal: Rehearsal, target: Target | None, command: str) -> str:
    """The page. It holds no value of a row of the target, and loads nothing."""
    name = f" of {target.database}" if target is not None else ""
    return pages.written(
        "rehearsal.html",
        title=f"migrate rehearse{name}: {'held' if rehearsal.held else 'did not hold'}",
        rehearsal=rehearsal,
        summary=_summary(rehearsal),
        facts=_facts(rehearsal, target, command),
        classes={"held": "good", "did not hold": "bad", "not rehearsed": "amber"},
        steps=tuple(_steps(rehearsal)),
        findings=[finding for finding in rehearsal.findings if finding.level != "ok"],
        levels={"blocks": "bad", "warns": "amber", "unknown": "quiet"},
    )


def _facts(rehearsal: Rehearsal, target: Target | None, command: str) -> Sequence[tuple[str, str]]:
    where = [("target", target.text)] if target is not None else []
    return [
        *where,
        ("target's PostgreSQL", rehearsal.target_version),
        ("rehearsed on", f"PostgreSQL {rehearsal.version} of callctl's own, which is stopped and deleted"),
        ("rows", f"{rehearsal.rows:,}, all synthetic; at most {rehearsal.most_rows:,} a table"),
        ("ended", f"{datetime.now(UTC).isoformat(sep=' ', timespec='seconds')}, after {rehearsal.seconds:.1f} s"),
        ("callctl", __version__),
        ("command", command),
    ]
