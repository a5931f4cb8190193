"""The thirteen steps, and which of them a history says are applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from callctl.errors import Refused
from callctl.events import Direction
from callctl.files import step_directories
from callctl.script import Script, Statement, load_script
from callctl.store import HistoryRow


@dataclass(frozen=True)
class Step:
    """One step: its number, from 1, and its directory's name without the number."""

    number: int
    name: str

    @property
    def directory(self) -> str:
        """Its directory below ``sql/``."""
        return f"steps/{self.number:02}_{self.name}"

    def file(self, direction: Direction) -> str:
        """The file that takes it in this direction, below ``sql/``."""
        return f"{self.directory}/{direction}.sql"

    def checks(self) -> tuple[Statement, ...]:
        """The checks of its ``verify.sql``, in documented names."""
        return load_script(f"{self.directory}/verify.sql").statements

    def script(self, direction: Direction) -> Script:
        """The statements of that file, in documented names."""
        return load_script(self.file(direction))


@cache
def all_steps() -> tuple[Step, ...]:
    """The steps in their order, 1 to 13."""
    return tuple(Step(int(path.name[:2]), path.name[3:]) for path in step_directories())


def last_rows(history: Sequence[HistoryRow]) -> dict[int, HistoryRow]:
    """The newest row of each step."""
    return {row.step: row for row in history}


def applied_steps(history: Sequence[HistoryRow]) -> tuple[int, ...]:
    """The numbers of the applied steps, in order.

    Raises Refused where the history has a step that this callctl does not know, or a gap.
    """
    applied = tuple(sorted(number for number, row in last_rows(history).items() if row.direction == "up"))
    known = {step.number for step in all_steps()}
    unknown = sorted({row.step for row in history} - known)
    if unknown:
        raise Refused(
            f"the history has steps that this callctl does not know: {', '.join(map(str, unknown))}",
            hint="a newer callctl has been at work here (callctl migrate history shows which); use that one",
        )
    missing = sorted(set(range(1, max(applied, default=0) + 1)) - set(applied))
    if missing:
        raise Refused(
            f"the history has a gap: step {applied[-1]} is applied, but not {', '.join(map(str, missing))}",
            hint="somebody has changed callctl.history; callctl migrate history shows what is there",
        )
    return applied
