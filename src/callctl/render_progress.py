"""Long work while it runs: a live line on a terminal, plain lines in a pipe, JSON lines where asked."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from callctl import render
from callctl.errors import CallctlError
from callctl.events import (
    BackupProgress,
    BatchFinished,
    Event,
    IndexProgress,
    LoadProgress,
    Notice,
    OnEvent,
    RotationProgress,
    ScanProgress,
    StatementStarted,
    StepFinished,
    StepStarted,
    Waiting,
    ignore,
)
from callctl.redaction import redact

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from callctl.config import Output

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def running(output: Output) -> Iterator[OnEvent]:
    """Listen to a run."""
    if output == "json":
        yield json_event
    elif render.has_colour(sys.stderr):
        with _live_line() as on_event:
            yield on_event
    else:
        yield PlainLines()


@contextmanager
def until_answered(output: Output) -> Iterator[OnEvent]:
    """Listen to a run whose answer, in JSON, is one document: then nothing is said before it."""
    if output == "json":
        yield ignore
    else:
        with running(output) as on_event:
            yield on_event


@contextmanager
def json_failure(output: Output) -> Iterator[None]:
    """In JSON, long work that fails, or is refused, ends with a line on stdout that says so."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if output == "json":
            render.line(failed_document(error))
        raise


def json_event(event: Event) -> None:
    render.line(event_document(event))


def event_document(event: Event) -> dict[str, object]:
    """{"event": "step_started", …}: the event's class in snake case, then its fields."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    fields = render.plain(event)
    return {"event": name, **(fields if isinstance(fields, dict) else {})}


def failed_document(error: BaseException) -> dict[str, object]:
    if isinstance(error, CallctlError):
        hint = redact(error.hint) if error.hint else None
        return {
            "event": "failed",
            "message": redact(error.message),
            "hint": hint,
            "exit_code": error.exit_code,
        }
    code = 130 if isinstance(error, KeyboardInterrupt) else 1
    message = "interrupted" if code == 130 else f"{type(error).__name__}: {error}"
    return {"event": "failed", "message": redact(message), "hint": None, "exit_code": code}


class PlainLines:
    """A line when a step begins and ends, and one every few seconds in between."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        match event:
            case StepStarted():
                self._say(f"step {event.step} {event.direction}: {event.name} ({event.position} of {event.total})")
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
            case StatementStarted() if self._is_time():
                self._say(f"step {event.step}: {event.summary}")
            case Waiting() if self._is_time():
                self._say(f"waiting for {event.what}, {event.seconds:.0f} s so far")
            case Notice():
                self._say(f"note: {event.text}")

    def _is_time(self) -> bool:
        return time.monotonic() - self._last >= SECONDS_BETWEEN_LINES

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        render.note(text)


@contextmanager
def _live_line() -> Iterator[OnEvent]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    progress = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
        # What is under way is what may be cut off where the terminal is narrow.
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
        console=Console(stderr=True, highlight=False),
        transient=True,
        expand=True,
    )
    with progress:
        yield LiveLine(progress)


class LiveLine:
    """The step under way on one line that moves; what is done stays above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._title = ""

    def __call__(self, event: Event) -> None:
        match event:
            case StepStarted():
                self._title = f"{event.position}/{event.total} {event.name}"
                if self._task is not None:
                    self._progress.remove_task(self._task)
                self._task = self._progress.add_task(self._title, total=None)
            case StatementStarted():
                self._show(event.summary)
            case BatchFinished():
                self._show(_batch(event), done=event.done, total=event.total)
            case IndexProgress():
                self._show(_index(event), done=event.done, total=event.total or None)
            case RotationProgress():
                self._show(_rotation(event), done=event.done, total=event.total or None)
            case ScanProgress():
                self._show(_scan(event), done=event.done, total=event.total or None)
            case BackupProgress():
                self._show(_backup(event), done=event.done, total=event.total or None)
            case LoadProgress():
                self._show(_load(event), done=round(event.seconds), total=round(event.seconds + event.seconds_left))
            case Waiting():
                self._show(f"waiting for {event.what}, {event.seconds:.0f} s")
            case StepFinished():
                self._above(
                    f"[green]done[/]  step {event.step} {event.direction}",
                    f"{event.name}  {event.seconds:.1f} s",
                )
            case Notice():
                self._above("[yellow]note[/] ", event.text)

    def _show(self, text: str, *, done: int | None = None, total: int | None = None) -> None:
        description = f"{self._title}  {text}"
        if self._task is None:  # waiting for the lock comes before the first step
            self._task = self._progress.add_task(description.strip(), total=None)
        else:
            # The planner's estimate may be wrong; a bar over 100% would be a bug to whoever sees it.
            self._progress.update(self._task, description=description, completed=done or 0, total=total)

    def _above(self, label: str, text: str) -> None:
        from rich.markup import escape

        self._progress.console.print(f"{label}  {escape(text)}")


def _batch(event: BatchFinished) -> str:
    left = f", about {event.seconds_left:.0f} s left" if event.seconds_left >= 1 else ""
    return f"{event.done:,} of {event.total:,} rows{left}"


def _rotation(event: RotationProgress) -> str:
    done = f"{event.done:,} of {event.total:,} rows" if event.total else f"{event.done:,} rows read"
    failures = f", {event.failures:,} values do not open" if event.failures else ""
    left = f", about {event.seconds_left:.0f} s left" if event.seconds_left >= 1 else ""
    return done + failures + left


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
    unit = render.size if event.unit == "bytes" else "{:,}".format
    done = f"{unit(event.done)} of {unit(event.total)}{'' if event.unit == 'bytes' else f' {event.unit}'}"
    written = f", {render.size(event.written)} written" if event.phase in ("dump", "count") else ""
    return f"{_PHASES[event.phase]} {event.what or 'the definitions'}: {done}{written}"


def _load(event: LoadProgress) -> str:
    return f"{event.calls:,} calls completed, {event.seconds_left:.0f} s left"


def _index(event: IndexProgress) -> str:
    share = f", {100 * event.done // event.total} %" if event.total else ""
    waiting = f", waits for {event.waiting_for} older transactions" if event.waiting_for else ""
    return f"{event.phase}{share}{waiting}"
