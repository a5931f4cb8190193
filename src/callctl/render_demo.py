"""How the demo looks: one screen, drawn part by part; in JSON, a line for each thing told."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING

from callctl import render
from callctl.demo import (
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
from callctl.events import BatchFinished, Event, StatementStarted, StepFinished, StepStarted
from callctl.migrate import Run, StepRun

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from callctl.demo import Listener

_GUTTER = 11  # a space included
_TITLES = {"numbers": "changed", "writes": "written", "again": "up again"}
_DOING = {
    "before": "starting a PostgreSQL and filling it",
    "preflight": "asking whether the database is fit",
    "plan": "reading the thirteen steps",
    "verify": "checking every rule",
    "numbers": "counting",
    "writes": "writing as the new application would",
    "proof": "comparing every row with the copy",
}
_PLATFORM = {
    "companies": "companies",
    "users": "users",
    "chatbots": "chatbots",
    "end_users": "end users",
    "conversations": "conversations",
    "ai_models": "AI models",
}
# What stands in for a character that the terminal's encoding lacks.
_PLAIN = {"✓": "+", "✗": "x", "→": "->", "·": "-", "…": "...", "│": "|", "●": "*"}


@contextmanager
def screen() -> Iterator[Listener]:
    """Listen to a demo and show it on stdout."""
    shown = Screen()
    try:
        yield shown
    finally:
        shown.clear()


def json_line(told: Told | Event) -> None:
    """{"event": "before", …}: the class in snake case, then its fields; the last line is the story."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(told).__name__).lower()
    line: dict[str, object] = {"event": name}
    for key, value in vars(told).items():
        line[key] = round(value, 3) if key == "seconds" else value
    if isinstance(told, Proof | Again):
        line["holds"] = told.holds
    render.line(line)


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
            _text(
                "callctl demo", "bold", "   thirteen steps up, down and up again, on a PostgreSQL of its own"
            )
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
                self._statement = f"{told.scanned:,} rows looked at, {told.changed:,} changed"
                self._show()
            case StepFinished():
                self._steps[-1] = (told.step, told.name, told.seconds)
                self._show()
            case Run():
                self._tell([self._grid(told.steps), *_run(told)])
            case Before():
                self._tell(_before(told))
            case Preflight():
                self._tell(_preflight(told, self._body))
            case Planned():
                self._tell(_planned(told))
            case Verified():
                self._tell(_verified(told))
            case Changes():
                self._tell([self._columns([_change(each) for each in told.numbers], right=(1, 3))])
            case Writes():
                self._tell(_writes(told))
            case Down():
                self._tell(_down(told))
            case Proof():
                self._tell([*self._proof(told)])
            case Again():
                self._tell(_again(told))
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
            parts.append(
                self._grid([StepRun(*step[:2], step[2] or 0.0, 0) for step in self._steps], self._total)
            )
        parts.append(Spinner("dots", _text(_clipped(doing, self._body - 2), "dim"), style="cyan"))
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
        table.add_row(_text(self._scene, "bold cyan"), body)
        return table

    def _grid(self, steps: Sequence[StepRun], total: int = 0) -> RenderableType:
        """The steps in two columns, read downward; those to come are dots."""
        cells: list[Sequence[Text]] = []
        for position, step in enumerate(steps):
            under_way = bool(total) and position == len(steps) - 1 and self._steps[-1][2] is None
            mark, style = ("●", "cyan") if under_way else ("✓", "green")
            seconds = "" if under_way else f"{step.seconds:.2f} s"
            cells.append(
                (
                    _text(mark, style),
                    _text(f"{step.number:>2}"),
                    _text(f"{step.name:<21}"),
                    _text(f"{seconds:>6}", "dim"),
                )
            )
        cells += [(_text("·", "dim"), _text(" " * 24), _text(" " * 6))] * (total - len(steps))
        return self._columns(cells)

    def _columns(self, cells: Sequence[Sequence[Text]], right: Collection[int] = ()) -> RenderableType:
        """Cells of several parts, in two columns read downward if they fit; ``right`` parts are flush right."""
        from rich.table import Table

        half = (len(cells) + 1) // 2
        halves = [cells[:half], cells[half:]]
        if sum(_width(each) + 3 for each in halves) - 3 > self._body:
            halves = [cells]
        table = Table.grid()
        for column in range(len(halves)):
            for part in range(len(cells[0])):
                if part or column:
                    table.add_column(width=1 if part else 3)
                table.add_column(justify="right" if part in right else "left", no_wrap=True)
        nothing = [_text("")] * len(cells[0])
        for row in zip_longest(*halves, fillvalue=nothing):
            parts = [part for each in row for part in each]
            table.add_row(*[cell for part in parts for cell in (part, "")][:-1])
        return table

    def _proof(self, proof: Proof) -> Iterator[RenderableType]:
        compared = proof.comparison
        yield _text("what is as in the copy made before up, compared row by row:")
        cells: list[Sequence[Text]] = []
        for table in compared.tables:
            fine = table.same == table.rows and table.new == (
                proof.written if table.table == "chatbots" else 0
            )
            new = f" +{table.new:,}" if table.new else ""
            count = f"{table.same:,} of {table.rows:,}{new}"
            cells.append((_text(*_mark(fine)), _text(table.table), _text(count)))
        same = max(compared.definitions - len(compared.differing), 0)
        count = f"{same:,} of {compared.definitions:,}"
        cells.append((_text(*_mark(not compared.differing)), _text("definitions"), _text(count)))
        yield self._columns(cells)
        for table in compared.tables:
            if table.sample:
                what = f"{table.changed:,} changed, {table.missing:,} gone"
                yield _text(f"{table.table}: {what}, such as {', '.join(table.sample)}", "red")
        if compared.differing:
            yield _text(f"not defined as before: {', '.join(compared.differing[:5])}", "red")
        if compared.not_compared:
            left_out = ", ".join(
                f"{table}.{column}" for table, columns in compared.not_compared for column in columns
            )
            yield _text(f"not compared, since the platform's own triggers write it: {left_out}", "dim")
        if proof.holds and proof.written:
            yield _text(
                f"+{proof.written}: a chatbot that the new application made; it stays, with type chat", "dim"
            )

    def _end(self, story: Story) -> None:
        self._print("")
        if story.holds:
            self._print(
                _text(
                    "Nothing was lost.",
                    "bold green",
                    f" Thirteen steps up, down and up in {story.seconds:.1f} s.",
                )
            )
        else:
            self._print(
                _text("The proof does not hold.", "bold red", " Something is not as it was; see above.")
            )
        self._print(
            _text(
                "Next  ", "bold", "callctl sandbox start   a database like this one, to try the commands on"
            )
        )
        self._print(_text("      callctl preflight       asks a database of yours, and changes nothing"))

    def _print(self, part: RenderableType) -> None:
        with self._console.capture() as captured:
            self._console.print(part)
        text = captured.get().removesuffix("\n")
        text = "\n".join(line.rstrip() for line in text.split("\n"))
        if "utf" not in (sys.stdout.encoding or "").lower():
            for character, instead in _PLAIN.items():
                text = text.replace(character, instead)
        render.out(text)


# ---- sentences ------------------------------------------------------------------------------------------


def _text(*parts: str) -> Text:
    """Text of (string, style) pairs; a last string without a style is plain."""
    from rich.text import Text

    text = Text()
    for position in range(0, len(parts), 2):
        text.append(parts[position], parts[position + 1] if position + 1 < len(parts) else "")
    return text


def _width(cells: Sequence[Sequence[Text]]) -> int:
    """How wide a column of these cells is, a space between their parts."""
    parts = list(zip(*cells, strict=True))
    widest: list[int] = [max(part.cell_len for part in column) for column in parts]
    return sum(widest) + len(parts) - 1


def _mark(fine: bool) -> tuple[str, str]:
    return ("✓", "green") if fine else ("✗", "red")


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _before(told: Before) -> list[RenderableType]:
    count = {each.what: each.number for each in told.rows}
    rows = " · ".join(f"{count[name]:,} {_PLATFORM[name]}" for name in _PLATFORM)
    schema = "as it is deployed" if told.baseline == "deployed" else "as the specification has it"
    return [
        _text(f"PostgreSQL {told.postgresql} of its own, the platform's schema {schema}"),
        _text(rows),
        _text(f"a copy is put aside: what comes back is compared with it ({told.seconds:.1f} s)", "dim"),
    ]


def _preflight(told: Preflight, width: int) -> list[RenderableType]:
    by_level = {
        level: [finding for finding in told.findings if finding.level == level]
        for level in ("blocks", "warns", "unknown", "ok")
    }
    ready = _text("not ready", "bold red") if by_level["blocks"] else _text("ready", "bold green")
    ready.append(
        f": {len(by_level['ok'])} ok, {len(by_level['warns'])} warn, {len(by_level['unknown'])} unknown,"
        f" {len(by_level['blocks'])} block"
    )
    lines: list[RenderableType] = [ready]
    shown: dict[str, int] = {}
    for finding in (*by_level["blocks"], *by_level["warns"]):
        shown[finding.id] = shown.get(finding.id, 0) + 1
    for finding_id, times in shown.items():
        first = next(each for each in told.findings if each.id == finding_id)
        more = f" (+{times - 1})" if times > 1 else ""
        what = _clipped(f"{finding_id}: {first.what}", width - 8 - len(more))
        lines.append(
            _text(f"{first.level:<7}", "red" if first.level == "blocks" else "yellow", f" {what}{more}")
        )
    if by_level["unknown"]:
        names = ", ".join(dict.fromkeys(finding.id for finding in by_level["unknown"]))
        lines.append(_text("unknown", "cyan", f" {names}"))
    return lines


def _planned(told: Planned) -> list[RenderableType]:
    steps = f"{told.steps} steps, {told.statements} statements, one set of SQL files for every spelling"
    lines: list[RenderableType] = [_text(steps)]
    in_file, runs = told.sample
    if told.renamed:
        tables = len({table for table, _, _ in told.renamed})
        lines.append(_text(f"{len(told.renamed)} names in {tables} tables differ here, such as", "", " "))
        lines.append(_text("in the file  ", "dim", in_file))
        lines.append(_text("runs here    ", "dim", runs))
    else:
        lines.append(_text("this database has the documented names: the files run as they are, such as"))
        lines.append(_text(runs, "dim"))
    return lines


def _run(run: Run) -> list[RenderableType]:
    rows = sum(step.rows for step in run.steps)
    return [
        _text(f"{run.seconds:.1f} s, {rows:,} rows changed; a step counts once its own checks pass", "dim")
    ]


def _verified(told: Verified) -> list[RenderableType]:
    failed = [check for check in told.failing if not check.warns]
    if failed:
        return [
            _text(*_mark(False), f" {check.id}: {check.sentence}: {check.count:,} rows are not")
            for check in failed
        ]
    warns = [f"{check.id} ({render.counted(check.count, 'row')})" for check in told.failing]
    only = f"; warns: {', '.join(warns)}" if warns else ""
    return [_text(*_mark(True), f" {told.checks - len(warns)} of {told.checks} checks pass{only}")]


def _change(change: Change) -> tuple[Text, ...]:
    style = "" if change.before == change.after else "bold"
    return (
        _text(change.what),
        _text(f"{change.before:,}"),
        _text("→", "dim"),
        _text(f"{change.after:,}", style),
    )


def _writes(told: Writes) -> list[RenderableType]:
    rows = " · ".join(f"{each.number:,} {each.what}" for each in told.rows)
    lines: list[RenderableType] = [_text(f"as the new application will: {rows}")]
    failed = [check.id for check in told.verified.failing if not check.warns]
    passed = f"verify fails with them: {', '.join(failed)}" if failed else "verify passes with them, too"
    lines.append(_text(*_mark(not failed), f" {passed}"))
    return lines


def _down(told: Down) -> list[RenderableType]:
    kept = " · ".join(f"{each.number:,} {each.what}" for each in told.kept)
    return [
        _text(*_mark(True), f" {len(told.run.steps)} steps back in {told.run.seconds:.1f} s"),
        _text(f"kept: {kept} · {told.saved_values:,} values"),
    ]


def _again(told: Again) -> list[RenderableType]:
    tables = told.comparison.tables
    if told.holds:
        rows = f"{told.run.seconds:.1f} s, and all {told.comparison.rows:,} rows of {len(tables)} tables are"
        return [_text(*_mark(True), f" {rows} as the new application had left them")]
    wrong = [table.table for table in tables if table.same != table.rows or table.new]
    names = ", ".join([*wrong, *told.comparison.differing[:5]])
    return [_text(*_mark(False), f" not as the new application had left it: {names}", "red")]
