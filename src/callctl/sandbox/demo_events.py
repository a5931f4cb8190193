"""What the demo tells: its parts, as plain values, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from callctl.events import Event
from callctl.migration.checks.preflight import Finding
from callctl.migration.checks.verify import CheckResult
from callctl.migration.migrate import Migrated
from callctl.sandbox.baselines import Baseline
from callctl.sandbox.comparison import Comparison

SceneName: TypeAlias = Literal[
    "before", "preflight", "plan", "up", "verify", "numbers", "writes", "down", "proof", "again"
]


@dataclass(frozen=True)
class SceneStarted:
    """A part of the story begins."""

    scene: SceneName


@dataclass(frozen=True)
class Counted:
    """A number, and what it counts."""

    what: str
    number: int


@dataclass(frozen=True)
class Before:
    """The database that was made, and copied. ``seconds`` include starting the server."""

    postgresql: str  # its major version
    baseline: Baseline
    rows: tuple[Counted, ...]
    seconds: float


@dataclass(frozen=True)
class Preflight:
    """What preflight found."""

    findings: tuple[Finding, ...]
    seconds: float


@dataclass(frozen=True)
class Planned:
    """What will run.

    ``renamed`` holds (table, documented, actual); ``sample`` is one statement, in its file and as it runs.
    """

    steps: int
    statements: int
    renamed: tuple[tuple[str, str, str], ...]
    sample: tuple[str, str]


@dataclass(frozen=True)
class Verified:
    """How many checks there were, and those that did not pass."""

    checks: int
    failing: tuple[CheckResult, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no check failed; a warning is none."""
        return all(check.warns for check in self.failing)


@dataclass(frozen=True)
class Change:
    """A number on the copy and on the migrated database."""

    what: str
    before: int
    after: int


@dataclass(frozen=True)
class Changes:
    """What up has changed, in numbers."""

    numbers: tuple[Change, ...]


@dataclass(frozen=True)
class Writes:
    """What was written as the new application would, and whether verify passes with it."""

    rows: tuple[Counted, ...]
    verified: Verified


@dataclass(frozen=True)
class Down:
    """The way back. ``kept`` are the archived tables and the rows they hold for the next up."""

    run: Migrated
    kept: tuple[Counted, ...]
    saved_values: int


@dataclass(frozen=True)
class Proof:
    """The database after down beside the copy taken before up; ``written`` chatbots were created between."""

    comparison: Comparison
    written: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether nothing of before is lost, and nothing is there that nobody wrote."""
        new = {table.table: table.new for table in self.comparison.tables if table.new}
        return self.comparison.nothing_lost and new == ({"chatbots": self.written} if self.written else {})


@dataclass(frozen=True)
class Again:
    """The database after a second up beside what the new application had left before down."""

    comparison: Comparison
    run: Migrated

    @property
    def holds(self) -> bool:
        """Whether everything that the new application wrote is back as it was."""
        return self.comparison.nothing_changed


@dataclass(frozen=True)
class Story:
    """The end: whether everything held, and how long it took."""

    holds: bool
    baseline: Baseline
    chatbots: int
    seed: int
    seconds: float


Told: TypeAlias = (
    SceneStarted | Before | Preflight | Planned | Migrated | Verified | Changes | Writes | Down | Proof | Again | Story
)
Listener: TypeAlias = Callable[[Told | Event], None]
