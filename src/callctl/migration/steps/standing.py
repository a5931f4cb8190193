"""Where each step stands in a database: pending, applied, deferred, half done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from callctl.database import store
from callctl.database.store import HistoryRow
from callctl.events import Direction
from callctl.migration.steps import withheld
from callctl.migration.steps.numbered import (
    ARCHIVED,
    SHADOWED,
    TYPED,
    Step,
    all_steps,
    applied_steps,
    deferred_steps,
    last_rows,
)
from callctl.statements.naming import Naming, has_type, read_naming

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


@dataclass(frozen=True)
class StepState:
    """One step as the history has it.

    ``edited``: its file is no longer the one that ran. ``half_done``: a run of it stopped after it had committed
    something. ``deferred``: it drops a type column, and waits although a later step is applied.
    """

    number: int
    name: str
    applied: bool
    adopted: bool
    at: datetime | None
    by: str | None
    client: str | None
    seconds: float | None
    edited: bool
    half_done: Direction | None
    deferred: bool = False


@dataclass(frozen=True)
class Status:
    """What this database is called things, and where each step stands."""

    naming: Naming
    steps: tuple[StepState, ...]
    # The steps whose table is archived: it comes back as it was archived.
    returning: frozenset[int] = frozenset()
    # The steps that stopped on the way up and are made pending by their undo.sql, before a way down: those that drop a
    # column and have not, and those that make a table.
    undropped: frozenset[int] = frozenset()
    # A shadow column of an unfinished way down of step 1 is there.
    shadow: bool = False
    # The models that the next step 6 makes available, by their key.
    withheld: tuple[withheld.Withheld, ...] = ()

    @property
    def pending(self) -> tuple[int, ...]:
        """The numbers of the steps that are not applied."""
        return tuple(step.number for step in self.steps if not step.applied)

    @property
    def applied(self) -> tuple[int, ...]:
        """The numbers of the steps that are."""
        return tuple(step.number for step in self.steps if step.applied)

    @property
    def deferred(self) -> tuple[int, ...]:
        """The numbers of the pending steps that wait although a later one is applied."""
        return tuple(step.number for step in self.steps if step.deferred)

    @property
    def half_done(self) -> Mapping[int, Direction]:
        """The steps that have stopped half way, and which way."""
        return {step.number: step.half_done for step in self.steps if step.half_done}

    def to_finish(self, direction: Direction) -> Mapping[int, Direction]:
        """Those of them that a run in this direction would have to finish, to go on with or to take back. Up also
        removes a shadow column, and takes step 1 up again.
        """
        given_up = self.undropped if direction == "down" else frozenset()
        unfinished = {number: way for number, way in self.half_done.items() if number not in given_up}
        return {**unfinished, SHADOWED: "up"} if self.shadow and direction == "up" else unfinished


def status(connection: Connection, settings: Settings) -> Status:
    """Where each step stands. Reads only.

    Raises Refused where the naming cannot be decided or the history contradicts itself.
    """
    store.assert_owner(connection, settings.schema)
    history = store.history(connection)
    applied = applied_steps(history)
    half_done = dict(store.started(connection))
    rows = last_rows(history)
    naming = read_naming(connection, settings.schema)
    return Status(
        naming,
        tuple(_state(step, applied, rows.get(step.number), half_done) for step in all_steps()),
        frozenset(number for number, table in ARCHIVED.items() if store.is_archived(connection, table)),
        frozenset(
            number
            for number, table in TYPED.items()
            if half_done.get(number) == "up" and has_type(connection, naming, table)
        )
        | frozenset(number for number in ARCHIVED if half_done.get(number) == "up"),
        store.has_shadow(connection),
        withheld.models(connection, naming),
    )


def _state(step: Step, applied: Sequence[int], row: HistoryRow | None, half_done: dict[int, Direction]) -> StepState:
    shown = row if step.number in applied else None
    return StepState(
        number=step.number,
        name=step.name,
        applied=step.number in applied,
        adopted=shown is not None and shown.adopted,
        at=shown.finished_at if shown else None,
        by=shown.database_role if shown else None,
        client=shown.client if shown else None,
        seconds=shown.seconds if shown else None,
        edited=shown is not None
        and shown.sha256 != step.script("up", returning=shown.file.endswith("/return.sql")).sha256,
        half_done=half_done.get(step.number),
        deferred=step.number in deferred_steps(applied),
    )
