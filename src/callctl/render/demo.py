"""Draws the demo: one screen, part by part; in JSON, a line for each scene."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

from callctl.events import BatchFinished, Event, StatementStarted, StepFinished, StepStarted
from callctl.migration.migrate import Migrated, MigratedStep
from callctl.render import console as render
from callctl.sandbox.demo import (
    Again,
    Before,
    Change,
    Changes,
    Down,
    Planned,
    Preflight,
    Proof,
    SceneStarted,
    Story,
    Told,
    Verified,
    Writes,
)
from callctl.sandbox.lifecycle import DEFAULT_SEED

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from callctl.config.settings import Output
    from callctl.sandbox.demo import Listener

# The sentences of the demo: each part of the story as lines for ``render.demo`` to place.

_PLATFORM = {
    "companies": "companies",
    "users": "users",
    "chatbots": "chatbots",
    "end_users": "end users",
    "ai_models": "AI models",
}


def styled_text(*parts: str) -> Text:
    """Text of (string, style) pairs; a last string without a style is plain."""
    from rich.text import Text

    text = Text()
    for position in range(0, len(parts), 2):
        text.append(parts[position], parts[position + 1] if position + 1 < len(parts) else "")
    return text


def columns_wide(cells: Sequence[Sequence[Text]]) -> int:
    """Return the width of a column of these cells, with a space between their parts."""
    parts = list(zip(*cells, strict=True))
    widest: list[int] = [max(part.cell_len for part in column) for column in parts]
    return sum(widest) + len(parts) - 1


def mark(fine: bool) -> tuple[str, str]:
    return ("✓", "green") if fine else ("✗", "red")


def clipped(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def before_lines(told: Before) -> list[RenderableType]:
    count = {counted.what: counted.number for counted in told.rows}
    rows = " · ".join(f"{count[name]:,} {_PLATFORM[name]}" for name in _PLATFORM)
    return [
        styled_text(f"PostgreSQL {told.postgresql} of its own, the platform's schema {told.baseline.described}"),
        styled_text(rows),
        styled_text(f"a copy is kept, to compare the restored rows with it ({told.seconds:.1f} s)", "dim"),
    ]


def preflight_lines(told: Preflight, width: int) -> list[RenderableType]:
    by_level = {
        level: [finding for finding in told.findings if finding.level == level]
        for level in ("blocks", "warns", "unknown", "ok")
    }
    ready = styled_text("not ready", "bold red") if by_level["blocks"] else styled_text("ready", "bold green")
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
        repeats = f" (+{times - 1})" if times > 1 else ""
        text = clipped(f"{finding_id}: {first.what}", width - 8 - len(repeats))
        lines.append(
            styled_text(f"{first.level:<7}", "red" if first.level == "blocks" else "yellow", f" {text}{repeats}")
        )
    if by_level["unknown"]:
        names = ", ".join(dict.fromkeys(finding.id for finding in by_level["unknown"]))
        lines.append(styled_text("unknown", "cyan", f" {names}"))
    return lines


def plan_lines(told: Planned) -> list[RenderableType]:
    steps = f"{told.steps} steps, {told.statements} statements, one set of SQL files for every spelling"
    lines: list[RenderableType] = [styled_text(steps)]
    in_file, runs = told.sample
    if told.renamed:
        tables = len({table for table, _, _ in told.renamed})
        lines.append(styled_text(f"{len(told.renamed)} names in {tables} tables differ here, such as", "", " "))
        lines.append(styled_text("in the file  ", "dim", in_file))
        lines.append(styled_text("runs here    ", "dim", runs))
    else:
        lines.append(styled_text("this database has the documented names: the files run as they are, such as"))
        lines.append(styled_text(runs, "dim"))
    return lines


def run_lines(run: Migrated) -> list[RenderableType]:
    rows = sum(step.rows for step in run.steps)
    return [styled_text(f"{run.seconds:.1f} s, {rows:,} rows changed; a step counts once its own checks pass", "dim")]


def verify_lines(told: Verified) -> list[RenderableType]:
    failed = [check for check in told.failing if not check.warns]
    if failed:
        return [
            styled_text(*mark(False), f" {check.id}: {check.sentence}: {check.count:,} rows are not")
            for check in failed
        ]
    warns = [f"{check.id} ({render.counted(check.count, 'row')})" for check in told.failing]
    only = f"; warns: {', '.join(warns)}" if warns else ""
    return [styled_text(*mark(True), f" {told.checks - len(warns)} of {told.checks} checks pass{only}")]


def change_lines(change: Change) -> tuple[Text, ...]:
    style = "" if change.before == change.after else "bold"
    return (
        styled_text(change.what),
        styled_text(f"{change.before:,}"),
        styled_text("→", "dim"),
        styled_text(f"{change.after:,}", style),
    )


def write_lines(told: Writes) -> list[RenderableType]:
    rows = " · ".join(f"{counted.number:,} {counted.what}" for counted in told.rows)
    lines: list[RenderableType] = [styled_text(f"as the new application will: {rows}")]
    failed = [check.id for check in told.verified.failing if not check.warns]
    passed = f"verify fails with them: {', '.join(failed)}" if failed else "verify passes with them, too"
    lines.append(styled_text(*mark(not failed), f" {passed}"))
    return lines


def down_lines(told: Down) -> list[RenderableType]:
    kept = " · ".join(f"{counted.number:,} {counted.what}" for counted in told.kept)
    return [
        styled_text(*mark(True), f" {len(told.run.steps)} steps back in {told.run.seconds:.1f} s"),
        styled_text(f"kept: {kept} · {told.saved_values:,} values"),
    ]


def again_lines(told: Again) -> list[RenderableType]:
    tables = told.comparison.tables
    if told.holds:
        rows = f"{told.run.seconds:.1f} s, and all {told.comparison.rows:,} rows of {len(tables)} tables are"
        return [styled_text(*mark(True), f" {rows} as the new application had left them")]
    wrong = [table.table for table in tables if table.same != table.rows or table.new]
    names = ", ".join([*wrong, *told.comparison.differing[:5]])
    return [styled_text(*mark(False), f" not as the new application had left it: {names}", "red")]


# How the demo looks: one screen, drawn part by part; in JSON, a line for each thing told.

_GUTTER = 11  # a space included
_TITLES = {"numbers": "changed", "writes": "written", "again": "up again"}
_DOING = {
    "before": "starting a PostgreSQL and filling it",
    "preflight": "asking whether the database is fit",
    "plan": "reading the steps",
    "verify": "checking every rule",
    "numbers": "counting",
    "writes": "writing as the new application would",
    "proof": "comparing every row with the copy",
}
# Replacements of characters that the terminal's encoding does not have.
_PLAIN = {"✓": "+", "✗": "x", "→": "->", "·": "-", "…": "...", "│": "|", "●": "*"}


@contextmanager
def screen(output: Output) -> Iterator[Listener]:
    """Listen to a demo and show it on stdout."""
    if output != "text":
        yield partial(json_line, output=output)
        return
    shown = Screen()
    try:
        yield shown
    finally:
        shown.clear()


def json_line(told: Told | Event, output: Output = "json") -> None:
    """{"event": "before", …}: the class in snake case, then its fields; the last line is the story."""
    line: dict[str, object] = {"event": render.event_name(type(told))}
    for key, value in vars(told).items():
        line[key] = round(value, 3) if key == "seconds" else value
    if isinstance(told, Proof | Again):
        line["holds"] = told.holds
    if isinstance(told, Story):
        render.result(line, render.Next(f"callctl {_sandbox(told)}"), output)
    else:
        render.event(line, output)


def _sandbox(story: Story) -> str:
    """The command that makes a database like the one of the story."""
    seed = f" --seed {story.seed}" if story.seed != DEFAULT_SEED else ""
    return f"sandbox start --baseline {story.baseline.name} --rows {story.chatbots}{seed}"


class Screen:
    """The story as text. On a terminal, current work moves below finished lines."""

    def __init__(self) -> None:
        from rich.console import Console

        self._colour = render.has_colour(sys.stdout)
        self._console = Console(
            file=sys.stdout,
            force_terminal=self._colour,
            no_color=not self._colour,
            width=min(render.width(sys.stdout), 100),
            highlight=False,
            soft_wrap=False,
        )
        self._body = self._console.width - _GUTTER
        self._live: Live | None = None
        self._scene = ""
        self._steps: list[tuple[int, str, float | None]] = []  # of the run under way; seconds once done
        self._total = 0
        self._statement = ""
        self._print(
            styled_text("callctl demo", "bold", "   every step up, down and up again, on a PostgreSQL of its own")
        )
        self._print("")

    def __call__(self, told: Told | Event) -> None:
        match told:
            case SceneStarted():
                self._begin(told.scene)
            case StepStarted():
                self._total = told.total
                self._steps.append((told.step, told.name, None))
                self._show()
            case StatementStarted():
                self._statement = told.summary
                self._show()
            case BatchFinished():
                self._statement = f"{told.done:,} of {told.total:,} rows written"
                self._show()
            case StepFinished():
                self._steps[-1] = (told.step, told.name, told.seconds)
                self._show()
            case Migrated():
                self._tell([self._grid(told.steps), *run_lines(told)])
            case Before():
                self._tell(before_lines(told))
            case Preflight():
                self._tell(preflight_lines(told, self._body))
            case Planned():
                self._tell(plan_lines(told))
            case Verified():
                self._tell(verify_lines(told))
            case Changes():
                self._tell([self._columns([change_lines(change) for change in told.numbers], right=(1, 3))])
            case Writes():
                self._tell(write_lines(told))
            case Down():
                self._tell(down_lines(told))
            case Proof():
                self._tell([*self._proof(told)])
            case Again():
                self._tell(again_lines(told))
            case Story():
                self._end(told)

    def clear(self) -> None:
        """Take away what moves."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    # ---- parts ------------------------------------------------------------------------------------------

    def _begin(self, scene: str) -> None:
        self._scene = _TITLES.get(scene, scene)
        self._steps, self._total, self._statement = [], 0, ""
        if self._colour:
            from rich.live import Live

            self._live = Live(
                self._moving(_DOING.get(scene, "")),
                console=self._console,
                transient=True,
                refresh_per_second=12,
            )
            self._live.start()

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(self._moving(self._statement))

    def _moving(self, doing: str) -> RenderableType:
        from rich.console import Group
        from rich.spinner import Spinner

        parts: list[RenderableType] = []
        if self._total:
            parts.append(self._grid([MigratedStep(*step[:2], step[2] or 0.0, 0) for step in self._steps], self._total))
        parts.append(Spinner("dots", styled_text(clipped(doing, self._body - 2), "dim"), style="cyan"))
        return self._row(Group(*parts))

    def _tell(self, parts: Sequence[RenderableType]) -> None:
        """Print the result of a finished scene."""
        from rich.console import Group

        self.clear()
        self._print(self._row(Group(*parts)))

    def _row(self, body: RenderableType) -> RenderableType:
        from rich.table import Table

        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(width=_GUTTER - 1, no_wrap=True)
        table.add_column(ratio=1)
        table.add_row(styled_text(self._scene, "bold cyan"), body)
        return table

    def _grid(self, steps: Sequence[MigratedStep], total: int = 0) -> RenderableType:
        """The steps in two columns, read downward; those to come are dots."""
        cells: list[Sequence[Text]] = []
        for position, step in enumerate(steps):
            under_way = bool(total) and position == len(steps) - 1 and self._steps[-1][2] is None
            mark, style = ("●", "cyan") if under_way else ("✓", "green")
            seconds = "" if under_way else f"{step.seconds:.2f} s"
            name = styled_text(f"{step.number:>2} {step.name:<21}")
            cells.append((styled_text(mark, style), name, styled_text(f"{seconds:>6}", "dim")))
        cells += [(styled_text("·", "dim"), styled_text(" " * 24), styled_text(" " * 6))] * (total - len(steps))
        return self._columns(cells)

    def _columns(self, cells: Sequence[Sequence[Text]], right: Collection[int] = ()) -> RenderableType:
        """Cells of several parts, in two columns read downward if they fit; ``right`` parts flush right."""
        from rich.table import Table

        half = (len(cells) + 1) // 2
        halves = [cells[:half], cells[half:]]
        if sum(columns_wide(column_cells) + 3 for column_cells in halves) - 3 > self._body:
            halves = [cells]
        table = Table.grid()
        for column in range(len(halves)):
            for part in range(len(cells[0])):
                if part or column:
                    table.add_column(width=1 if part else 3)
                table.add_column(justify="right" if part in right else "left", no_wrap=True)
        nothing = [styled_text("")] * len(cells[0])
        for row in zip_longest(*halves, fillvalue=nothing):
            parts = [part for entry in row for part in entry]
            table.add_row(*[cell for part in parts for cell in (part, "")][:-1])
        return table

    def _proof(self, proof: Proof) -> Iterator[RenderableType]:
        compared = proof.comparison
        yield styled_text("what is as in the copy made before up, compared row by row:")
        cells: list[Sequence[Text]] = []
        for table in compared.tables:
            fine = table.same == table.rows and table.new == (proof.written if table.table == "chatbots" else 0)
            new = f" +{table.new:,}" if table.new else ""
            count = f"{table.same:,} of {table.rows:,}{new}"
            cells.append(
                (
                    styled_text(*mark(fine)),
                    styled_text(table.table),
                    styled_text(count),
                )
            )
        same = max(compared.definitions - len(compared.differing), 0)
        count = f"{same:,} of {compared.definitions:,}"
        cells.append(
            (
                styled_text(*mark(not compared.differing)),
                styled_text("definitions"),
                styled_text(count),
            )
        )
        yield self._columns(cells)
        for table in compared.tables:
            if table.sample:
                difference = f"{table.changed:,} changed, {table.missing:,} gone"
                yield styled_text(f"{table.table}: {difference}, such as {', '.join(table.sample)}", "red")
        if compared.differing:
            yield styled_text(f"not defined as before: {', '.join(compared.differing[:5])}", "red")
        if compared.not_compared:
            left_out = ", ".join(f"{table}.{column}" for table, columns in compared.not_compared for column in columns)
            yield styled_text(f"not compared, since the platform's own triggers write it: {left_out}", "dim")
        if proof.holds and proof.written:
            yield styled_text(
                f"+{proof.written}: a chatbot that the new application made; it stays, with type chat", "dim"
            )

    def _end(self, story: Story) -> None:
        self._print("")
        if story.holds:
            self._print(
                styled_text(
                    "Nothing was lost.",
                    "bold green",
                    f" Every step up, down and up in {story.seconds:.1f} s.",
                )
            )
        else:
            self._print(styled_text("The proof does not hold.", "bold red", " Something is not as it was; see above."))
        # If callctl is not on PATH, the caller says how to run it.
        callctl = os.environ.get("CALLCTL_CALLED_AS", "callctl")
        self._print(styled_text("Next  ", "bold", "a database like this one, to try the commands on:"))
        self._print(styled_text(f"      {callctl} {_sandbox(story)}"))

    def _print(self, part: RenderableType) -> None:
        with self._console.capture() as captured:
            self._console.print(part)
        text = captured.get().removesuffix("\n")
        text = "\n".join(line.rstrip() for line in text.split("\n"))
        if "utf" not in (sys.stdout.encoding or "").lower():
            for character, instead in _PLAIN.items():
                text = text.replace(character, instead)
        render.out(text)
