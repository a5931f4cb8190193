"""A run of the steps as a page: how it ended, what ran when, what was waited for, what preflight had said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from html import escape

from callctl import __version__
from callctl.migration.run_record import RunRecord, StatementRecord, StepRecord
from callctl.redaction import redact
from callctl.render import console as render
from callctl.render.console import AMBER, BAD, GOOD, GRID, INK, PAPER, QUIET, page

LEFT, RIGHT, WIDTH, ROW = 230, 100, 650, 22
_SHADES = (GOOD, "#34d399")
_LEVELS = {"blocks": "bad", "warns": "amber", "unknown": "quiet"}


def write(record: RunRecord) -> str:
    """The page. It holds no value of a row, and loads nothing."""
    return page(_title(record), [part for section in _SECTIONS for part in section(record)])


def _title(record: RunRecord) -> str:
    where = f" of {record.about.database}" if record.about else ""
    direction = f"migrate {record.about.direction}" if record.about else "migrate"
    return f"{direction}{where}: {record.outcome}"


def _verdict(record: RunRecord) -> Iterator[str]:
    """What somebody reads who reads one sentence."""
    error = record.error
    if error is not None:
        yield f'<div class="said"><p class="bad"><strong>{_lines(error.message)}</strong></p>'
        yield f"<p>{_lines(error.hint)}</p></div>" if error.hint else "</div>"
    elif record.outcome not in ("done", "under way"):
        yield '<p class="said bad">It did not come to its end. Run <code>callctl migrate status</code>.</p>'
    yield f"<p>{'. '.join(_stands(record))}.</p>"


def _stands(record: RunRecord) -> Iterator[str]:
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
        yield f"Next: <code>callctl {'verify' if up else 'migrate status'}</code>"
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
        yield (
            "The page is written anew after every step. If no callctl runs any more, it was killed:"
            " <code>callctl migrate status</code> says how the database stands, and the same command goes on from there"
        )


def _partly(step: StepRecord) -> str:
    rows, batches = (
        render.counted(step.batched_rows, "row"),
        f"{step.batches:,} {'batch' if step.batches == 1 else 'batches'}",
    )
    return f"{rows} in {batches} {'is' if step.batches == 1 else 'are'} committed"


def _facts(record: RunRecord) -> Iterator[str]:
    facts = [("began", record.began_at.isoformat(sep=" ", timespec="seconds"))]
    if record.outcome != "under way":
        ended = record.began_at + timedelta(seconds=record.seconds)
        facts += [
            ("ended", f"{ended.isoformat(sep=' ', timespec='seconds')}, exit code {record.exit_code}"),
            ("took", f"{record.seconds - record.waited:.1f} s of work and {record.waited:.1f} s of waiting for others"),
        ]
    facts.append(("callctl", __version__))
    if record.about is not None:
        about = record.about
        names = ", ".join(f"{table}.{documented} is {here}" for table, documented, here in about.names if table)
        facts += [
            ("database", f"{about.database} on {about.server}, schema {about.schema}, as {about.role}"),
            ("PostgreSQL", about.postgresql),
            ("run by", about.client),
            ("way", "all steps in one transaction" if about.atomic else "a transaction at a time, with clients online"),
            ("names", names or "as the specification has them"),
        ]
    yield '<dl class="facts">' + "".join(f"<dt>{label}</dt><dd>{_text(text)}</dd>" for label, text in facts) + "</dl>"


def _timeline(record: RunRecord) -> Iterator[str]:
    """A row a step, a bar a statement, an amber mark where something was waited for."""
    if not record.steps:
        return
    height = (len(record.steps) + 2) * ROW + 12
    scale = WIDTH / max(record.seconds, 0.001)
    yield "<h2>When</h2>"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12" role="img"><title>The steps over time</title>'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>'
    )
    yield from _before(record, record.steps[0].at, scale)
    for number, step in enumerate(record.steps, start=1):
        yield from _row(record, step, number * ROW, scale)
    bottom = (len(record.steps) + 1) * ROW + 6
    yield f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{bottom}" y2="{bottom}" stroke="{GRID}"/>'
    yield f'<text x="{LEFT}" y="{bottom + 16}" fill="{QUIET}">0 s</text>'
    yield f'<text x="{LEFT + WIDTH}" y="{bottom + 16}" fill="{QUIET}" text-anchor="end">{record.seconds:.1f} s</text>'
    yield "</svg>"
    yield f'<p class="quiet">A bar is a statement, or those sent together. {_colour_key(record)}</p>'


def _colour_key(record: RunRecord) -> str:
    marks = [f'<span style="color:{AMBER}">Amber</span>: something was waited for.'] if record.waits else []
    if record.outcome != "done" and record.under_way is not None:
        marks.append(f'<span style="color:{BAD}">Red</span>: not completed.')
    return " ".join(marks)


def _before(record: RunRecord, seconds: float, scale: float) -> Iterator[str]:
    """The time before the first step: the migration lock, preflight."""
    yield _label("lock and preflight", ROW / 2)
    yield _bar(0.0, seconds, scale, ROW / 2, 12, QUIET)
    yield from _marks(record, 0, ROW / 2, scale)
    yield _time(f"{seconds:.2f} s", ROW / 2)


def _row(record: RunRecord, step: StepRecord, top: int, scale: float) -> Iterator[str]:
    middle = top + ROW / 2
    yield _label(_named(step), middle)
    end = step.at + step.seconds if step.seconds is not None else record.seconds
    shades = _SHADES if step.seconds is not None else (BAD, "#f87171")
    bars = [(statement.at, statement.seconds) for statement in step.statements] or [(step.at, end - step.at)]
    for number, (start, seconds) in enumerate(bars):
        yield _bar(start, seconds, scale, middle, 12, shades[number % 2])
    yield from _marks(record, step.number, middle, scale)
    partly = "partly applied" if step.batches else "not committed"
    yield _time(f"{step.seconds:.2f} s" if step.seconds is not None else partly, middle)


def _marks(record: RunRecord, step: int, middle: float, scale: float) -> Iterator[str]:
    for wait in record.waits:
        if wait.step == step:
            yield _bar(wait.at, wait.seconds, scale, middle + 8, 4, AMBER)


def _label(text: str, middle: float) -> str:
    return f'<text x="{LEFT - 10}" y="{middle + 4}" fill="{INK}" text-anchor="end">{_text(text)}</text>'


def _time(text: str, middle: float) -> str:
    return f'<text x="{LEFT + WIDTH + 8}" y="{middle + 4}" fill="{QUIET}">{text}</text>'


def _bar(start: float, seconds: float, scale: float, middle: float, height: int, colour: str) -> str:
    x, wide = LEFT + start * scale, max(seconds * scale, 0.8)
    return f'<rect x="{x:.1f}" y="{middle - height / 2:.1f}" width="{wide:.1f}" height="{height}" fill="{colour}"/>'


def _steps(record: RunRecord) -> Iterator[str]:
    if not record.steps:
        return
    yield "<h2>What ran</h2>"
    yield '<p class="quiet">Statements of one transaction are sent together: its time stands at the last of them.</p>'
    for step in record.steps:
        state = f"partly applied: {_partly(step)}" if step.batches else "not committed"
        opened, end = " open", f'<span class="bad">{state}</span>'
        if step.seconds is not None:
            opened, end = "", f"{step.seconds:.2f} s, {render.counted(step.rows or 0, 'row')}"
        yield f"<details{opened}><summary>{_text(_named(step))}: {end}</summary>"
        heads = ("at&nbsp;s", "for&nbsp;s", "tries", "batches", "rows", "statement", "file")
        yield "<table><tr>" + "".join(f"<th{_left(head)}>{head}</th>" for head in heads) + "</tr>"
        yield from (_statement(statement) for statement in step.statements)
        yield "</table></details>"


def _statement(statement: StatementRecord) -> str:
    batched = (f"{statement.batches:,}", f"{statement.rows:,}") if statement.batches else ("", "")
    cells = (
        f"{statement.at:.2f}",
        f"{statement.seconds:.2f}",
        str(statement.tries) if statement.tries > 1 else "",
        *batched,
    )
    words = (f"<code>{_text(statement.summary)}</code>", f"{_text(statement.source)}:{statement.line}")
    return (
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}"
        + "".join(f'<td class="text">{word}</td>' for word in words)
        + "</tr>"
    )


def _left(head: str) -> str:
    return ' class="text"' if head in ("statement", "file") else ""


def _waits(record: RunRecord) -> Iterator[str]:
    if not record.waits:
        return
    longest = max(wait.seconds for wait in record.waits)
    yield f"<h2>Waited for</h2><p>{render.counted(len(record.waits), 'wait')}, the longest {longest:.2f} s.</p>"
    yield '<table><tr><th>at&nbsp;s</th><th>for&nbsp;s</th><th>in&nbsp;step</th><th class="text">what</th></tr>'
    for wait in record.waits:
        step = str(wait.step) if wait.step else ""
        yield (
            f"<tr><td>{wait.at:.2f}</td><td>{wait.seconds:.2f}</td><td>{step}</td>"
            f'<td class="text">{_text(wait.what)}</td></tr>'
        )
    yield "</table>"


def _notices(record: RunRecord) -> Iterator[str]:
    if record.notices:
        listed = "".join(f"<li>{moment:.2f} s: {_text(text)}</li>" for moment, text in record.notices)
        yield f"<h2>Notes</h2><ul>{listed}</ul>"


def _findings(record: RunRecord) -> Iterator[str]:
    findings = [(level, finding) for level in _LEVELS for finding in record.findings if finding.level == level]
    if not findings:
        return
    yield "<h2>What preflight said</h2><dl>"
    for level, finding in findings:
        yield f'<dt><span class="{_LEVELS[level]}">{level}</span> {_text(finding.id)}: {_text(finding.what)}</dt>'
        yield f"<dd>{_text(finding.why)}<br>{_text(finding.do)}</dd>"
    yield "</dl>"


def _named(step: StepRecord) -> str:
    return f"{step.number} {step.name}"


def _lines(text: str) -> str:
    return _text(text).replace("\n", "<br>")


def _text(text: str) -> str:
    return escape(redact(text))


_SECTIONS = (_verdict, _facts, _timeline, _steps, _waits, _notices, _findings)
