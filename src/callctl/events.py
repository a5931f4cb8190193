"""The reports of long work: plain values, which only ``render`` draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["up", "down"]

SPARING_SECONDS = 0.25


@dataclass(frozen=True)
class MigrationStarted:
    """A run holds the migration lock and knows what it will do: the ``steps``, in the order they are taken.

    ``server`` is "host:port", ``client`` the operator as the history names them; ``names`` are (table, documented name,
    name here) where the database calls something otherwise than the specification.
    """

    direction: Direction
    database: str
    server: str
    postgresql: str
    role: str
    client: str
    schema: str
    names: tuple[tuple[str, str, str], ...]
    steps: tuple[int, ...]
    atomic: bool


@dataclass(frozen=True)
class Expected:
    """The seconds that something takes: ``expected``, and in four of five cases from ``low`` to ``high``.

    ``rates``: where that is from, "shipped", "measured" on this server, or "learned" from earlier runs, too.
    """

    low: float
    expected: float
    high: float
    rates: str


@dataclass(frozen=True)
class Forecast:
    """The expected times of the ``steps`` by their numbers, and of all of a run. A step that resumes has none."""

    steps: Mapping[int, Expected]
    total: Expected | None


@dataclass(frozen=True)
class StepStarted:
    """A step begins; ``position`` of ``total`` counts the steps of this run, from 1."""

    step: int
    name: str
    direction: Direction
    position: int
    total: int


@dataclass(frozen=True)
class StatementStarted:
    """One statement is about to be sent."""

    step: int
    direction: Direction
    source: str
    line: int
    summary: str


@dataclass(frozen=True)
class BatchFinished:
    """One batch of a batched statement has been committed.

    ``done`` of ``total`` counts the rows that it had to touch when it began; ``changed`` those that it has written.
    ``seconds_left`` is what the rest would take at the pace so far.
    """

    step: int
    source: str
    line: int
    done: int
    total: int
    changed: int
    seconds_left: float


@dataclass(frozen=True)
class IndexProgress:
    """The progress of an index build: ``done`` of ``total`` units of its ``phase``; 0 of 0 if the phase counts nothing.

    ``waiting_for`` is the number of transactions that have to end first. ``waiting_for`` is the number of transactions
    it has to see end.
    """

    step: int
    phase: str
    done: int
    total: int
    waiting_for: int


@dataclass(frozen=True)
class StepFinished:
    """A step, its verify and its row in the history are committed; ``rows`` counts the rows it changed."""

    step: int
    name: str
    direction: Direction
    seconds: float
    rows: int


@dataclass(frozen=True)
class RotationProgress:
    """The progress of a rotation, of all its processes: ``done`` of ``total`` rows, and the values left as they were.

    ``seconds_left`` is what the rest would take at the pace so far.
    """

    done: int
    total: int
    failures: int
    seconds_left: float


@dataclass(frozen=True)
class ScanProgress:
    """The progress of a scan of every table: ``tables`` of ``of_tables`` are read, and ``done`` of ``total`` pages.

    ``phase``: "look" reads all of a table, "look again" the rows that were written meanwhile. ``table`` is under way.
    """

    phase: Literal["look", "look again"]
    table: str
    tables: int
    of_tables: int
    done: int
    total: int


@dataclass(frozen=True)
class BackupProgress:
    """The progress of a backup or a restore: ``done`` of ``total`` of a ``unit`` (bytes, rows, tables, objects).

    ``what`` is the table or the kind of thing under way; ``written`` are the bytes of the file so far.
    """

    phase: Literal["dump", "count", "check", "definitions", "rows", "indexes", "compare", "analyze"]
    what: str
    done: int
    total: int
    unit: Literal["bytes", "rows", "tables", "objects"]
    written: int = 0


@dataclass(frozen=True)
class LoadProgress:
    """The progress of a load test: ``calls`` are completed; ``seconds_left`` until its time is over."""

    calls: int
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class RehearsalProgress:
    """Where a rehearsal is: a ``stage``, ``position`` of ``stages``; ``done`` of ``total`` where it counts a ``unit``.

    ``seconds_left`` is what the rest would take at the pace so far.
    """

    stage: str
    position: int
    stages: int
    what: str
    done: int
    total: int
    unit: Literal["rows", "steps"]
    seconds_left: float


@dataclass(frozen=True)
class Holder:
    """A session that holds a lock: ``age`` is that of its transaction, as PostgreSQL prints an interval."""

    pid: int
    application: str
    state: str
    age: str


@dataclass(frozen=True)
class Waiting:
    """Another session holds what this run needs.

    ``seconds`` waited so far, of ``limit`` after which the run gives up, where there is a limit. ``holders`` are known
    after a second.
    """

    what: str
    seconds: float
    limit: float | None = None
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True)
class Steered:
    """An order from another terminal that the run obeys: ``client`` gave it, ``at`` that time.

    From now on the run works one part of ``share`` of its time.
    """

    order: Literal["pause", "resume", "slower", "faster"]
    client: str
    at: datetime
    share: int


@dataclass(frozen=True)
class Notice:
    """Something the operator should read, and that stops nothing."""

    text: str


Event: TypeAlias = (
    MigrationStarted
    | Forecast
    | StepStarted
    | StatementStarted
    | BatchFinished
    | IndexProgress
    | StepFinished
    | RotationProgress
    | ScanProgress
    | BackupProgress
    | LoadProgress
    | RehearsalProgress
    | Waiting
    | Steered
    | Notice
)
OnEvent: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""


def sparing(on_event: OnEvent) -> OnEvent:
    """Pass on a BackupProgress when its phase changes, and else four a second at most; everything else at once."""
    last: tuple[str, float] = ("", 0.0)

    def listen(event: Event) -> None:
        nonlocal last
        if isinstance(event, BackupProgress):
            now = time.monotonic()
            if event.phase == last[0] and now - last[1] < SPARING_SECONDS:
                return
            last = (event.phase, now)
        on_event(event)

    return listen
