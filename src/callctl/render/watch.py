"""A run seen from another terminal: a full screen, a line for each change in a pipe, or JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from callctl.files import size
from callctl.output import reader_left
from callctl.redaction import redact
from callctl.render import console as render
from callctl.render.migration import age, committed_text, live_run_document, run_step, session_at
from callctl.render.progress import waiting
from callctl.watch.look import ROTATES

if TYPE_CHECKING:
    from rich.console import RenderableType

    from callctl.config.settings import Output
    from callctl.database.steering import RunState
    from callctl.migration.live_runs import LiveRun
    from callctl.render import documents
    from callctl.watch.look import Ended, Remaining, Watched
    from callctl.watch.steer import Given, Told

# A pipe gets the progress again after so long, where nothing else has changed.
SECONDS_BETWEEN_LINES = 10.0
# A statement that has run for less is one of many.
SETTLED_SECONDS = 1.0
_SPEEDS = {1: "full", 2: "half", 4: "a quarter", 8: "an eighth", 16: "a sixteenth"}


def document(watched: Watched) -> documents.WatchedLook:
    """One look, as a line of JSON."""
    return {
        "event": "watched",
        "runs": [_run_document(run, watched) for run in watched.live.runs],
        "unseen": watched.live.unseen,
        "rotation": watched.rotation,
        "waiting": watched.waiting,
        "replicas": list(watched.replicas),
    }


def _run_document(run: LiveRun, watched: Watched) -> documents.WatchedRun:
    state = watched.state(run)
    left = watched.remaining(run)
    return {
        **live_run_document(run),
        "steps": list(state.steps) if state else None,
        "seconds_left": None if left is None else {"low": left.low, "expected": left.expected, "high": left.high},
        "brake": state.brake if state else None,
        "share": state.share if state else None,
        "waiting_before": state.waiting_before if state else None,
    }


def rows(watched: Watched) -> list[tuple[str, str]]:
    """Return a look in lines: (label, text)."""
    if watched.live.unseen:
        return [("unseen", watched.live.unseen)]
    lines: list[tuple[str, str]] = []
    for run in watched.live.runs:
        lines += _run_rows(run, watched)
    if not watched.live.runs:
        lines.append(("nothing", "no callctl is at work on this schema"))
    for replica in watched.replicas:
        behind = "not visible to this role" if replica.bytes_behind is None else f"{size(replica.bytes_behind)} behind"
        lines.append(("replica", f"{replica.name}: {behind}"))
    return lines


def _run_rows(run: LiveRun, watched: Watched) -> list[tuple[str, str]]:
    state = watched.state(run)
    by = f"role {run.role or 'not visible'}, pid {run.pid}"
    lines = [("run", f"{run.command or 'a callctl with an unknown command'}, {by}, for {_since(run, state)}")]
    if run.migrates:
        took = f", for {age(state.step_seconds)}" if state and state.step_seconds is not None else ""
        lines.append(("step", f"{run_step(run).removeprefix(', ')}{took}"))
    if run.committed is not None:
        lines.append(("rows" if run.committed.of_rows else "done", committed_text(run.committed)))
    if run.migrates and state is not None and state.step is not None:
        lines.append(("left", left_text(watched.remaining(run), state)))
    if run.command == ROTATES and (rotation := watched.rotation) is not None:
        failed = f", {rotation.failures:,} values do not open" if rotation.failures else ""
        lines.append(("rows", f"{rotation.done:,} of {rotation.total:,} rows{failed}"))
        if (left := watched.remaining(run)) is not None:
            lines.append(("left", left_text(left, None)))
    for session in run.sessions:
        settled = session.waits_for or session.building or (session.seconds or 0) >= SETTLED_SECONDS
        if session.seen and settled and (doing := session_at(session)):
            lines.append(("waits" if session.waits_for else "now", f"pid {session.pid} {doing}"))
    if not all(session.seen for session in run.sessions) or not run.seen:
        lines.append(("", "GRANT pg_monitor to this role shows what its sessions do and wait for"))
    if state is not None:
        lines += _state_rows(state)
    before = "" if state is None or state.waiting_before is None else f"; {state.waiting_before} when the run began"
    lines.append(("clients", f"waiting for a lock now: {watched.waiting}{before}"))
    return lines


def _state_rows(state: RunState) -> list[tuple[str, str]]:
    lines = []
    if state.brake:
        what, *ends = waiting(state.brake, state.brake.seconds + state.told_seconds)
        lines += [("brake", what), *(("", text) for text in ends)]
    if state.share > 1:
        lines.append(("speed", f"{speed(state.share)}; callctl migrate faster doubles it"))
    return lines


def _since(run: LiveRun, state: RunState | None) -> str:
    return age(state.seconds if state else run.seconds)


def speed(share: int) -> str:
    """The speed of a run that works one part of ``share`` of its time."""
    return _SPEEDS.get(share, f"one part of {share}")


def left_text(left: Remaining | None, state: RunState | None) -> str:
    """Say how long a run still takes, and count the steps that are done."""
    done = ""
    if state is not None and state.steps:
        count = sum(step.seconds is not None for step in state.steps)
        done = f"; {count} of {render.counted(len(state.steps), 'step')} done"
    if left is None:
        return f"not known: this run has no forecast that this role can read{done}"
    return f"about {_duration(left.expected)} ({_duration(left.low)} to {_duration(left.high)}){done}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else age(seconds)


class Screen:
    """The newest look on the whole screen of a terminal."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str]] = []
        self._looked = ""

    def __call__(self, watched: Watched) -> None:
        self._rows = rows(watched)
        self._looked = f"{datetime.now(UTC):%H:%M:%S} UTC"

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Column, Table
        from rich.text import Text

        grid = Table.grid(Column(width=8, style="cyan"), Column(ratio=1, overflow="fold"), expand=True)
        for label, text in self._rows:
            style = "yellow" if label in ("waits", "brake", "unseen") else ""
            grid.add_row(Text(label), Text(redact(text), style=style))
        keys = "Ctrl-C ends this view, and not the run. Orders: callctl migrate pause, resume, slower, faster"
        return Group(Text(f"callctl migrate watch   {self._looked}\n", style="bold"), grid, Text(f"\n{keys}", "dim"))


class Lines:
    """A line with the time when something has changed, and the progress now and then."""

    def __init__(self, say: Callable[[str], None] = render.out) -> None:
        self._say = say
        self._last: dict[str, str] = {}
        self._said = 0.0

    def __call__(self, watched: Watched) -> None:
        now = time.monotonic()
        stamp = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        is_time = now - self._said >= SECONDS_BETWEEN_LINES
        current: dict[str, str] = {}
        for number, (label, text) in enumerate(rows(watched)):
            key = f"{number} {label}" if label in ("", "now", "waits", "replica") else label
            kind = _without_numbers(text)
            current[key] = kind
            if self._last.get(key) != kind or (is_time and label in ("rows", "left", "run")):
                self._say(f"{stamp} {label + ': ' if label else ''}{text}")
                self._said = now
        for key in self._last.keys() - current.keys():
            if key in ("brake", "speed"):
                self._say(f"{stamp} {key}: {'released' if key == 'brake' else 'full'}")
        self._last = current


def _without_numbers(text: str) -> str:
    """A line that differs in its numbers alone is no news."""
    return "".join(character for character in text if not character.isdigit())


def once(watched: Watched, output: Output) -> None:
    """One look: each line, or a line of JSON."""
    if output != "text":
        render.result(document(watched), None, output)
        return
    for label, text in rows(watched):
        render.item(label, "strong", text, sys.stdout)


@contextmanager
def showing(output: Output) -> Iterator[Callable[[Watched], bool]]:
    """Show each look: on the whole screen of a terminal, in lines elsewhere, as JSON where asked.

    Asks for no more where it cannot be read any more, as behind ``| head``.
    """

    def still(show: Callable[[Watched], None]) -> Callable[[Watched], bool]:
        def shown(watched: Watched) -> bool:
            show(watched)
            return not reader_left(sys.stdout)

        return shown

    if output != "text":
        yield still(lambda watched: render.event(document(watched), output))
    elif render.has_colour(sys.stdout):
        from rich.console import Console
        from rich.live import Live

        screen = Screen()
        console = Console(highlight=False)
        with Live(screen, console=console, screen=True, refresh_per_second=4):
            yield still(screen)
    else:
        yield still(Lines())


def ended(end: Ended, output: Output) -> bool:
    """Say how the watched run ended, and return whether every step of it is done, as far as this role may know."""
    left = end.steps_left
    if output != "text":
        render.result({"event": "ended", "steps_left": left and list(left)}, None, output)
    elif left is None:
        render.out("the run has ended")
    elif left:
        render.out(f"the run has ended, and {render.steps(left)} {'is' if len(left) == 1 else 'are'} not done")
        render.told("next: callctl migrate status")
    else:
        render.out("the run has ended: each of its steps is recorded as done")
    return not left


def given(order: Given, output: Output) -> None:
    """Which runs got an order, and whether they obey."""
    if output != "text":
        render.result(
            {
                "order": order.word,
                "id": order.order,
                "runs": [
                    {
                        "pid": told.run.pid,
                        "command": told.run.command,
                        "obeyed": told.obeyed,
                        "share": told.share,
                        "brake": told.brake,
                    }
                    for told in order.runs
                ],
            },
            None,
            output,
        )
        return
    for told in order.runs:
        render.out(f"{told.run.command} (pid {told.run.pid}): {_obeyed(told, order.word)}")
    if order.word == "pause":
        render.told("next: callctl migrate resume")


def _obeyed(told: Told, word: str) -> str:
    if told.obeyed is None:
        return f"the order {word} is given; this run does not say whether it obeys"
    if not told.obeyed:
        return f"the order {word} is given, and obeyed when the statement under way ends (not with --atomic)"
    if told.brake and word == "pause":
        return "paused between two transactions"
    if told.brake:
        return waiting(told.brake, told.brake.seconds)[0]
    return f"works at {speed(told.share or 1)} speed"
