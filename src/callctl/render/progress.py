"""Long work while it runs: a live line on a terminal, plain lines in a pipe, JSON lines where asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from functools import partial
from typing import TYPE_CHECKING

from callctl.events import (
    BackupProgress,
    BatchFinished,
    Event,
    Expected,
    Forecast,
    IndexProgress,
    LoadProgress,
    Notice,
    OnEvent,
    RehearsalProgress,
    RotationProgress,
    ScanProgress,
    StatementStarted,
    Steered,
    StepFinished,
    StepStarted,
    Waiting,
    ignore,
)
from callctl.files import size
from callctl.migration.steps.numbered import all_steps
from callctl.redaction import redact
from callctl.render import console as render

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.spinner import Spinner

    from callctl.config.settings import Output

SECONDS_BETWEEN_LINES = 5.0
# An attempt and the pause behind it take no longer: who has not said by then that it waits does so no more.
STILL_SECONDS = 3.0
# Seconds: the forecast of a shorter run is not worth a line.
WORTH_SAYING = 5.0
STEPS = len(all_steps())


@contextmanager
def running(output: Output) -> Iterator[OnEvent]:
    """Listen to a run."""
    if output != "text":
        yield partial(json_event, output=output)
    elif render.has_colour(sys.stderr):
        with _live_line() as on_event:
            yield on_event
    else:
        yield PlainLines()


@contextmanager
def until_answered(output: Output) -> Iterator[OnEvent]:
    """Listen to a run whose answer, but as text, is one document: then nothing is said before it."""
    if output != "text":
        yield ignore
    else:
        with running(output) as on_event:
            yield on_event


def json_event(event: Event, output: Output = "json") -> None:
    render.event(event_document(event), output)


def event_document(event: Event) -> dict[str, object]:
    """{"event": "step_started", …}: the event's class in snake case, then its fields."""
    fields = render.plain(event)
    return {"event": render.event_name(type(event)), **(fields if isinstance(fields, dict) else {})}


class PlainLines:
    """A line when a step begins and ends, and one every few seconds in between."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        match event:
            case Forecast(total=Expected() as total) if total.expected >= WORTH_SAYING:
                self._say(_forecast(total))
            case StepStarted():
                self._say(f"step {event.step} of {STEPS} {event.direction}: {event.name}")
            case StepFinished():
                self._say(f"step {event.step} {event.direction}: done in {event.seconds:.1f} s")
            case BatchFinished() if self._is_time():
                self._say(f"step {event.step}: {_batch(event)}")
            case IndexProgress() if self._is_time():
                self._say(f"step {event.step}: {_index(event)}")
            case RotationProgress() if self._is_time():
                self._say(_rotation(event))
            case ScanProgress() if self._is_time():
                self._say(_scan(event))
            case BackupProgress() if self._is_time():
                self._say(_backup(event))
            case LoadProgress() if self._is_time():
                self._say(_load(event))
            case RehearsalProgress() if not event.total or self._is_time():
                self._say(f"stage {event.position} of {event.stages}: {_rehearsal(event)}{_left(event.seconds_left)}")
            case StatementStarted() if self._is_time():
                self._say(f"step {event.step}: {event.summary}")
            case Waiting() if self._is_time():
                self._say("; ".join(waiting(event, event.seconds)))
            case Steered():
                self._say(f"note: {_steered(event)}")
            case Notice():
                self._say(f"note: {event.text}")

    def _is_time(self) -> bool:
        return time.monotonic() - self._last >= SECONDS_BETWEEN_LINES

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        render.note(text)


def waiting(event: Waiting, seconds: float) -> list[str]:
    """Return the wait of a run: its object, its seconds, the session that holds it and how to end that session."""
    limit = f" of {event.limit:.0f} s" if event.limit is not None else ""
    held = "; ".join(
        f"pid {holder.pid} ({holder.application}, {holder.state}, for {holder.age})" for holder in event.holders
    )
    lines = [f"waiting {seconds:.0f} s{limit} for {event.what}" + (f", held by {held}" if held else "")]
    if event.holders:
        ends = " ".join(f"SELECT pg_terminate_backend({holder.pid});" for holder in event.holders)
        lines.append(f"to end {'it' if len(event.holders) == 1 else 'them'}: {ends}")
    return lines


@contextmanager
def _live_line() -> Iterator[OnEvent]:
    from rich.console import Console
    from rich.live import Live

    line = LiveLine(Console(stderr=True, highlight=False))
    with Live(line, console=line.console, refresh_per_second=10, transient=True):
        yield line


class LiveLine:
    """The step under way on one line that moves, with what it waits for below it; what is done stays above it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._title = ""
        self._text = ""
        self._done, self._total = 0, 0
        self._began = time.monotonic()
        self._waiting: tuple[Waiting, float] | None = None
        self._spinner: Spinner | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case Forecast(total=Expected() as total) if total.expected >= WORTH_SAYING:
                self._above("[cyan]time[/] ", _forecast(total))
            case StepStarted():
                self._title = f"step {event.step} of {STEPS} {event.name}"
                self._began = time.monotonic()
                self._show("")
            case StatementStarted():
                self._show(event.summary, waiting_still=True)
            case BatchFinished():
                self._show(_batch(event), event.done, event.total)
            case IndexProgress():
                self._show(_index(event), event.done, event.total)
            case RotationProgress():
                self._show(_rotation(event), event.done, event.total)
            case ScanProgress():
                self._show(_scan(event), event.done, event.total)
            case BackupProgress():
                self._show(_backup(event), event.done, event.total)
            case LoadProgress():
                self._show(_load(event), round(event.seconds), round(event.seconds + event.seconds_left))
            case RehearsalProgress():
                self._title = f"stage {event.position} of {event.stages}{_left(event.seconds_left)}:"
                self._show(_rehearsal(event), event.done, event.total)
            case Waiting():
                self._waiting = event, time.monotonic()
            case StepFinished():
                self._show("")
                self._above(
                    f"[green]done[/]  step {event.step} {event.direction}",
                    f"{event.name}  {event.seconds:.1f} s",
                )
            case Steered():
                self._above("[yellow]order[/]", _steered(event))
            case Notice():
                self._above("[yellow]note[/] ", event.text)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from rich.progress_bar import ProgressBar
        from rich.spinner import Spinner
        from rich.table import Column, Table
        from rich.text import Text

        now = time.monotonic()
        self._spinner = self._spinner or Spinner("dots")
        # A total that turned out too small (it is the planner's guess) must not show as more than all of it.
        bar = ProgressBar(
            total=self._total or None, completed=min(self._done, self._total), width=16, pulse=not self._total
        )
        elapsed = str(timedelta(seconds=int(now - self._began)))
        # What is under way is what may be cut off where the terminal is narrow.
        line = Table.grid(Column(), Column(), Column(), Column(ratio=1, no_wrap=True, overflow="ellipsis"), expand=True)
        line.padding = (0, 1, 0, 0)
        line.add_row(self._spinner, bar, Text(elapsed), Text(redact(f"{self._title}  {self._text}".strip())))
        yield line
        if self._waiting is not None and now - self._waiting[1] < STILL_SECONDS:
            event, told_at = self._waiting
            for text in waiting(event, event.seconds + now - told_at):
                yield Text(redact(f"  {text}"), style="yellow")

    def _show(self, text: str, count: int = 0, total: int = 0, *, waiting_still: bool = False) -> None:
        """``waiting_still``: it may be the next attempt at what is waited for."""
        self._text, self._done, self._total = text, count, total
        if not waiting_still:
            self._waiting = None

    def _above(self, label: str, text: str) -> None:
        from rich.markup import escape

        self.console.print(f"{label}  {escape(redact(text))}")


def _forecast(total: Expected) -> str:
    from callctl.render.forecast import of_a_run

    return f"expected to take {of_a_run(total, total.rates)}"


def _steered(event: Steered) -> str:
    return f"{event.order}, by {event.client} at {event.at.astimezone(UTC):%H:%M:%S} UTC"


def _left(seconds: float) -> str:
    return f", about {seconds:.0f} s left" if seconds >= 1 else ""


def _batch(event: BatchFinished) -> str:
    return f"{event.done:,} of {event.total:,} rows{_left(event.seconds_left)}"


def _rotation(event: RotationProgress) -> str:
    share = f"{event.done:,} of {event.total:,} rows" if event.total else f"{event.done:,} rows read"
    failures = f", {event.failures:,} values do not open" if event.failures else ""
    return share + failures + _left(event.seconds_left)


def _scan(event: ScanProgress) -> str:
    share = f", {100 * event.done // event.total} %" if event.total else ""
    doing = "scanning" if event.phase == "look" else "scanning what was written meanwhile in"
    return f"{doing} {event.table}: {event.tables:,} of {event.of_tables:,} tables{share}"


_PHASES = {
    "dump": "dumping",
    "count": "counting",
    "check": "reading back",
    "definitions": "making",
    "rows": "copying rows of",
    "indexes": "making",
    "compare": "comparing",
    "analyze": "analyzing",
}


def _backup(event: BackupProgress) -> str:
    unit = size if event.unit == "bytes" else "{:,}".format
    share = f"{unit(event.done)} of {unit(event.total)}{'' if event.unit == 'bytes' else f' {event.unit}'}"
    written = f", {size(event.written)} written" if event.phase in ("dump", "count") else ""
    return f"{_PHASES[event.phase]} {event.what or 'the definitions'}: {share}{written}"


def _load(event: LoadProgress) -> str:
    return f"{event.calls:,} calls completed, {event.seconds_left:.0f} s left"


def _rehearsal(event: RehearsalProgress) -> str:
    share = f", {event.done:,} of {event.total:,} {event.unit}" if event.total else ""
    return f"{event.stage}: {event.what}{share}"


def _index(event: IndexProgress) -> str:
    share = f", {100 * event.done // event.total} %" if event.total else ""
    waiting = f", waits for {event.waiting_for} older transactions" if event.waiting_for else ""
    return f"{event.phase}{share}{waiting}"
