"""How the demo looks: one screen, drawn part by part; in JSON, a line for each thing told."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING

from callctl.events import BatchFinished, Event, StatementStarted, StepFinished, StepStarted
from callctl.migration.migrate import Migrated, MigratedStep
from callctl.render import console as render
from callctl.render import demo_lines as render_story
from callctl.sandbox.demo_events import (
    Again,
    Before,
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

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from callctl.config.settings import Output
    from callctl.sandbox.demo_events import Listener

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
# What stands in for a character that the terminal's encoding lacks.
_PLAIN = {"✓": "+", "✗": "x", "→": "->", "·": "-", "…": "...", "│": "|", "●": "*"}


@contextmanager
def screen(output: Output) -> Iterator[Listener]:
    """Listen to a demo and show it on stdout."""
    if output == "json":
        yield json_line
        return
    shown = Screen()
    try:
        yield shown
    finally:
        shown.clear()


def json_line(told: Told | Event) -> None:
    """{"event": "before", …}: the class in snake case, then its fields; the last line is the story."""
    line: dict[str, object] = {"event": render.event_name(type(told))}
    for key, value in vars(told).items():
        line[key] = round(value, 3) if key == "seconds" else value
    if isinstance(told, Proof | Again):
        line["holds"] = told.holds
    if isinstance(told, Story):
        render.result(line, render.Next("callctl sandbox start"))
    else:
        render.event(line)


class Screen:
    """The story as text. On a terminal, what goes on moves below what has been told."""

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
            render_story.text("callctl demo", "bold", "   every step up, down and up again, on a PostgreSQL of its own")
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
                self._tell([self._grid(told.steps), *render_story.run(told)])
            case Before():
                self._tell(render_story.before(told))
            case Preflight():
                self._tell(render_story.preflight(told, self._body))
            case Planned():
                self._tell(render_story.planned(told))
            case Verified():
                self._tell(render_story.verified(told))
            case Changes():
                self._tell([self._columns([render_story.change(change) for change in told.numbers], right=(1, 3))])
            case Writes():
                self._tell(render_story.writes(told))
            case Down():
                self._tell(render_story.down(told))
            case Proof():
                self._tell([*self._proof(told)])
            case Again():
                self._tell(render_story.again(told))
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
        parts.append(
            Spinner("dots", render_story.text(render_story.clipped(doing, self._body - 2), "dim"), style="cyan")
        )
        return self._row(Group(*parts))

    def _tell(self, parts: Sequence[RenderableType]) -> None:
        """What a scene has come to, for good."""
        from rich.console import Group

        self.clear()
        self._print(self._row(Group(*parts)))

    def _row(self, body: RenderableType) -> RenderableType:
        from rich.table import Table

        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(width=_GUTTER - 1, no_wrap=True)
        table.add_column(ratio=1)
        table.add_row(render_story.text(self._scene, "bold cyan"), body)
        return table

    def _grid(self, steps: Sequence[MigratedStep], total: int = 0) -> RenderableType:
        """The steps in two columns, read downward; those to come are dots."""
        cells: list[Sequence[Text]] = []
        for position, step in enumerate(steps):
            under_way = bool(total) and position == len(steps) - 1 and self._steps[-1][2] is None
            mark, style = ("●", "cyan") if under_way else ("✓", "green")
            seconds = "" if under_way else f"{step.seconds:.2f} s"
            name = render_story.text(f"{step.number:>2} {step.name:<21}")
            cells.append((render_story.text(mark, style), name, render_story.text(f"{seconds:>6}", "dim")))
        cells += [(render_story.text("·", "dim"), render_story.text(" " * 24), render_story.text(" " * 6))] * (
            total - len(steps)
        )
        return self._columns(cells)

    def _columns(self, cells: Sequence[Sequence[Text]], right: Collection[int] = ()) -> RenderableType:
        """Cells of several parts, in two columns read downward if they fit; ``right`` parts flush right."""
        from rich.table import Table

        half = (len(cells) + 1) // 2
        halves = [cells[:half], cells[half:]]
        if sum(render_story.width(column_cells) + 3 for column_cells in halves) - 3 > self._body:
            halves = [cells]
        table = Table.grid()
        for column in range(len(halves)):
            for part in range(len(cells[0])):
                if part or column:
                    table.add_column(width=1 if part else 3)
                table.add_column(justify="right" if part in right else "left", no_wrap=True)
        nothing = [render_story.text("")] * len(cells[0])
        for row in zip_longest(*halves, fillvalue=nothing):
            parts = [part for entry in row for part in entry]
            table.add_row(*[cell for part in parts for cell in (part, "")][:-1])
        return table

    def _proof(self, proof: Proof) -> Iterator[RenderableType]:
        compared = proof.comparison
        yield render_story.text("what is as in the copy made before up, compared row by row:")
        cells: list[Sequence[Text]] = []
        for table in compared.tables:
            fine = table.same == table.rows and table.new == (proof.written if table.table == "chatbots" else 0)
            new = f" +{table.new:,}" if table.new else ""
            count = f"{table.same:,} of {table.rows:,}{new}"
            cells.append(
                (
                    render_story.text(*render_story.mark(fine)),
                    render_story.text(table.table),
                    render_story.text(count),
                )
            )
        same = max(compared.definitions - len(compared.differing), 0)
        count = f"{same:,} of {compared.definitions:,}"
        cells.append(
            (
                render_story.text(*render_story.mark(not compared.differing)),
                render_story.text("definitions"),
                render_story.text(count),
            )
        )
        yield self._columns(cells)
        for table in compared.tables:
            if table.sample:
                what = f"{table.changed:,} changed, {table.missing:,} gone"
                yield render_story.text(f"{table.table}: {what}, such as {', '.join(table.sample)}", "red")
        if compared.differing:
            yield render_story.text(f"not defined as before: {', '.join(compared.differing[:5])}", "red")
        if compared.not_compared:
            left_out = ", ".join(f"{table}.{column}" for table, columns in compared.not_compared for column in columns)
            yield render_story.text(f"not compared, since the platform's own triggers write it: {left_out}", "dim")
        if proof.holds and proof.written:
            yield render_story.text(
                f"+{proof.written}: a chatbot that the new application made; it stays, with type chat", "dim"
            )

    def _end(self, story: Story) -> None:
        self._print("")
        if story.holds:
            self._print(
                render_story.text(
                    "Nothing was lost.",
                    "bold green",
                    f" Every step up, down and up in {story.seconds:.1f} s.",
                )
            )
        else:
            self._print(
                render_story.text("The proof does not hold.", "bold red", " Something is not as it was; see above.")
            )
        self._print(
            render_story.text(
                "Next  ", "bold", "callctl sandbox start   a database like this one, to try the commands on"
            )
        )
        self._print(render_story.text("      callctl preflight       asks a database of yours, and changes nothing"))

    def _print(self, part: RenderableType) -> None:
        with self._console.capture() as captured:
            self._console.print(part)
        text = captured.get().removesuffix("\n")
        text = "\n".join(line.rstrip() for line in text.split("\n"))
        if "utf" not in (sys.stdout.encoding or "").lower():
            for character, instead in _PLAIN.items():
                text = text.replace(character, instead)
        render.out(text)
