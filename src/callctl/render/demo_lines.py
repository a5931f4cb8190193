"""The sentences of the demo: each part of the story as lines for ``render.demo`` to place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.migration.migrate import Migrated
from callctl.render import console as render
from callctl.sandbox.demo_events import Again, Before, Change, Down, Planned, Preflight, Verified, Writes

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_PLATFORM = {
    "companies": "companies",
    "users": "users",
    "chatbots": "chatbots",
    "end_users": "end users",
    "ai_models": "AI models",
}


def text(*parts: str) -> Text:
    """Text of (string, style) pairs; a last string without a style is plain."""
    from rich.text import Text

    text = Text()
    for position in range(0, len(parts), 2):
        text.append(parts[position], parts[position + 1] if position + 1 < len(parts) else "")
    return text


def width(cells: Sequence[Sequence[Text]]) -> int:
    """How wide a column of these cells is, a space between their parts."""
    parts = list(zip(*cells, strict=True))
    widest: list[int] = [max(part.cell_len for part in column) for column in parts]
    return sum(widest) + len(parts) - 1


def mark(fine: bool) -> tuple[str, str]:
    return ("✓", "green") if fine else ("✗", "red")


def clipped(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def before(told: Before) -> list[RenderableType]:
    count = {counted.what: counted.number for counted in told.rows}
    rows = " · ".join(f"{count[name]:,} {_PLATFORM[name]}" for name in _PLATFORM)
    return [
        text(f"PostgreSQL {told.postgresql} of its own, the platform's schema {told.baseline.described}"),
        text(rows),
        text(f"a copy is put aside: what comes back is compared with it ({told.seconds:.1f} s)", "dim"),
    ]


def preflight(told: Preflight, width: int) -> list[RenderableType]:
    by_level = {
        level: [finding for finding in told.findings if finding.level == level]
        for level in ("blocks", "warns", "unknown", "ok")
    }
    ready = text("not ready", "bold red") if by_level["blocks"] else text("ready", "bold green")
    ready.append(
        f": {len(by_level['ok'])} ok, {len(by_level['warns'])} warn, {len(by_level['unknown'])} unknown,"
        f" {len(by_level['blocks'])} block"
    )
    lines: list[RenderableType] = [ready]
    shown: dict[str, int] = {}
    for finding in (*by_level["blocks"], *by_level["warns"]):
        shown[finding.id] = shown.get(finding.id, 0) + 1
    for finding_id, times in shown.items():
        first = next(finding for finding in told.findings if finding.id == finding_id)
        more = f" (+{times - 1})" if times > 1 else ""
        what = clipped(f"{finding_id}: {first.what}", width - 8 - len(more))
        lines.append(text(f"{first.level:<7}", "red" if first.level == "blocks" else "yellow", f" {what}{more}"))
    if by_level["unknown"]:
        names = ", ".join(dict.fromkeys(finding.id for finding in by_level["unknown"]))
        lines.append(text("unknown", "cyan", f" {names}"))
    return lines


def planned(told: Planned) -> list[RenderableType]:
    steps = f"{told.steps} steps, {told.statements} statements, one set of SQL files for every spelling"
    lines: list[RenderableType] = [text(steps)]
    in_file, runs = told.sample
    if told.renamed:
        tables = len({table for table, _, _ in told.renamed})
        lines.append(text(f"{len(told.renamed)} names in {tables} tables differ here, such as", "", " "))
        lines.append(text("in the file  ", "dim", in_file))
        lines.append(text("runs here    ", "dim", runs))
    else:
        lines.append(text("this database has the documented names: the files run as they are, such as"))
        lines.append(text(runs, "dim"))
    return lines


def run(run: Migrated) -> list[RenderableType]:
    rows = sum(step.rows for step in run.steps)
    return [text(f"{run.seconds:.1f} s, {rows:,} rows changed; a step counts once its own checks pass", "dim")]


def verified(told: Verified) -> list[RenderableType]:
    failed = [check for check in told.failing if not check.warns]
    if failed:
        return [text(*mark(False), f" {check.id}: {check.sentence}: {check.count:,} rows are not") for check in failed]
    warns = [f"{check.id} ({render.counted(check.count, 'row')})" for check in told.failing]
    only = f"; warns: {', '.join(warns)}" if warns else ""
    return [text(*mark(True), f" {told.checks - len(warns)} of {told.checks} checks pass{only}")]


def change(change: Change) -> tuple[Text, ...]:
    style = "" if change.before == change.after else "bold"
    return (
        text(change.what),
        text(f"{change.before:,}"),
        text("→", "dim"),
        text(f"{change.after:,}", style),
    )


def writes(told: Writes) -> list[RenderableType]:
    rows = " · ".join(f"{counted.number:,} {counted.what}" for counted in told.rows)
    lines: list[RenderableType] = [text(f"as the new application will: {rows}")]
    failed = [check.id for check in told.verified.failing if not check.warns]
    passed = f"verify fails with them: {', '.join(failed)}" if failed else "verify passes with them, too"
    lines.append(text(*mark(not failed), f" {passed}"))
    return lines


def down(told: Down) -> list[RenderableType]:
    kept = " · ".join(f"{counted.number:,} {counted.what}" for counted in told.kept)
    return [
        text(*mark(True), f" {len(told.run.steps)} steps back in {told.run.seconds:.1f} s"),
        text(f"kept: {kept} · {told.saved_values:,} values"),
    ]


def again(told: Again) -> list[RenderableType]:
    tables = told.comparison.tables
    if told.holds:
        rows = f"{told.run.seconds:.1f} s, and all {told.comparison.rows:,} rows of {len(tables)} tables are"
        return [text(*mark(True), f" {rows} as the new application had left them")]
    wrong = [table.table for table in tables if table.same != table.rows or table.new]
    names = ", ".join([*wrong, *told.comparison.differing[:5]])
    return [text(*mark(False), f" not as the new application had left it: {names}", "red")]
