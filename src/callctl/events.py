"""What long work says while it runs: plain values, drawn by ``render`` and by nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["up", "down"]


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
    """One key range of a batched statement has been committed.

    ``scanned`` of ``total`` counts rows of the table passed over (``total`` is the planner's estimate);
    ``changed`` counts the rows that this statement has written so far.
    """

    step: int
    source: str
    line: int
    scanned: int
    total: int
    changed: int


@dataclass(frozen=True)
class StepFinished:
    """A step, its verify and its row in the history are committed."""

    step: int
    name: str
    direction: Direction
    seconds: float


@dataclass(frozen=True)
class Waiting:
    """Somebody else holds what this run needs; ``seconds`` waited so far."""

    what: str
    seconds: float


@dataclass(frozen=True)
class Notice:
    """Something the operator should read, and that stops nothing."""

    text: str


Event: TypeAlias = StepStarted | StatementStarted | BatchFinished | StepFinished | Waiting | Notice
OnEvent: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
