"""The record of a run, in order: its events put together, for the page that ``--report`` writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from callctl.errors import CallctlError, Interrupted, LockHeld, Refused
from callctl.events import (
    BatchFinished,
    Event,
    Forecast,
    MigrationStarted,
    Notice,
    StatementStarted,
    Steered,
    StepFinished,
    StepStarted,
    Waiting,
)
from callctl.migration.checks.findings import Finding

Outcome: TypeAlias = Literal["under way", "done", "refused", "interrupted", "failed"]


@dataclass
class StatementRecord:
    """One statement, sent first at ``at`` and ``tries`` times in all, since a lock may not be available.

    ``seconds`` add up the time from each try to the statement behind it: statements of one transaction are sent
    together, and the last of them has its time. ``batches`` of ``rows`` in all are those of a batched one.
    """

    source: str
    line: int
    summary: str
    at: float
    seconds: float = 0.0
    tries: int = 1
    batches: int = 0
    rows: int = 0


@dataclass
class StepRecord:
    """One step; ``seconds`` and ``rows`` are None until it is committed."""

    number: int
    name: str
    at: float
    seconds: float | None = None
    rows: int | None = None
    statements: list[StatementRecord] = field(default_factory=list)

    @property
    def batches(self) -> int:
        """The batches that are committed, each by itself, whether the step is or not."""
        return sum(statement.batches for statement in self.statements)

    @property
    def batched_rows(self) -> int:
        """The rows that these have written."""
        return sum(statement.rows for statement in self.statements)


@dataclass
class WaitRecord:
    """A lock that another session held: from ``at`` on for ``seconds``, in step ``step`` or before the first (0)."""

    step: int
    what: str
    at: float
    seconds: float


class RunRecord:
    """Listens to a run of ``migrate up`` or ``migrate down``; all times are seconds since it began.

    ``command`` is the command line, without secrets; empty if the run has none.
    """

    def __init__(self, command: str = "") -> None:
        self.command = command
        self.began_at = datetime.now(UTC)
        self.about: MigrationStarted | None = None
        self.forecast: Forecast | None = None
        self.findings: tuple[Finding, ...] = ()
        self.steps: list[StepRecord] = []
        self.waits: list[WaitRecord] = []
        self.notices: list[tuple[float, str]] = []
        self.outcome: Outcome = "under way"
        self.error: CallctlError | None = None
        self.exit_code: int | None = None
        self.seconds = 0.0
        self._began = time.monotonic()
        self._sent: tuple[StatementRecord, float] | None = None  # the last statement, and when

    def __call__(self, event: Event) -> None:
        self.seconds = now = time.monotonic() - self._began
        match event:
            case MigrationStarted():
                self.about = event
            case Forecast():
                self.forecast = event
            case StepStarted():
                self._last_statement_ends(now)
                self._begin(StepRecord(event.step, event.name, now))
            case StatementStarted():
                self._last_statement_ends(now)
                self._send(event, now)
            case BatchFinished():
                self._batch(event)
            case StepFinished():
                self._last_statement_ends(now)
                self._finish(event)
            case Waiting():
                self._wait(event, now)
            case Steered():
                self.notices.append((now, f"order from another terminal: {event.order}, by {event.client}"))
            case Notice():
                self.notices.append((now, event.text))

    def add_findings(self, findings: Sequence[Finding]) -> None:
        """Record the findings of preflight before anything was changed."""
        self.findings = tuple(findings)

    def end(self, error: BaseException | None) -> None:
        """The run is over; ``error`` is what it ended with, if not well."""
        self.seconds = time.monotonic() - self._began
        self._last_statement_ends(self.seconds)
        self.error = error if isinstance(error, CallctlError) else None
        self.exit_code = self.error.exit_code if self.error else 130 if isinstance(error, KeyboardInterrupt) else 1
        if error is None:
            self.exit_code = 0
        match error:
            case None:
                self.outcome = "done"
            case Refused() | LockHeld():
                self.outcome = "refused"
            case Interrupted() | KeyboardInterrupt():
                self.outcome = "interrupted"
            case _:
                self.outcome = "failed"

    @property
    def waited(self) -> float:
        """The seconds in which it waited for other sessions; the rest it worked."""
        return sum(wait.seconds for wait in self.waits)

    @property
    def under_way(self) -> StepRecord | None:
        """The step that was begun and is not committed."""
        return next((step for step in reversed(self.steps) if step.seconds is None), None)

    def _begin(self, step: StepRecord) -> None:
        # In one transaction they all begin again if a lock was not available.
        again = next(
            (number for number, step_record in enumerate(self.steps) if step_record.number == step.number), None
        )
        if again is not None:
            del self.steps[again:]
        self.steps.append(step)

    def _finish(self, event: StepFinished) -> None:
        for step in self.steps:
            if step.number == event.step:
                step.seconds, step.rows = event.seconds, event.rows

    def _send(self, event: StatementStarted, now: float) -> None:
        for statement in self.steps[-1].statements:
            if (statement.source, statement.line) == (event.source, event.line):
                statement.tries += 1
                self._sent = statement, now
                return
        statement = StatementRecord(event.source, event.line, event.summary, now)
        self.steps[-1].statements.append(statement)
        self._sent = statement, now

    def _batch(self, event: BatchFinished) -> None:
        """Batches may come from two sessions; they say themselves whose they are."""
        for step in reversed(self.steps):
            for statement in reversed(step.statements):
                if (statement.source, statement.line) == (event.source, event.line):
                    statement.batches += 1
                    statement.rows = max(statement.rows, event.changed)
                    return

    def _wait(self, event: Waiting, now: float) -> None:
        """A wait tells of itself again and again; another one begins when it is over."""
        last = self.waits[-1] if self.waits else None
        step = self.steps[-1].number if self.steps and self.steps[-1].seconds is None else 0
        began = max(now - event.seconds, 0.0)
        if last is not None and last.step == step and began < last.at + last.seconds:
            last.what, last.seconds = event.what, now - last.at
        else:
            self.waits.append(WaitRecord(step, event.what, began, event.seconds))

    def _last_statement_ends(self, now: float) -> None:
        if self._sent is not None:
            statement, sent_at = self._sent
            statement.seconds += now - sent_at
            self._sent = None
