"""The steps, and where each is in a database: pending, applied, deferred, partly applied."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from callctl.database import store
from callctl.database.store import HistoryRow
from callctl.errors import Code, Refused
from callctl.events import Direction
from callctl.files import sql_root, step_directories
from callctl.migration.steps import call_models
from callctl.statements.naming import Naming, has_type, read_naming
from callctl.statements.script import Script, Statement, load_script

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# The numbered steps, which of them a history says are applied, and which a run would take.

ARCHIVED = MappingProxyType({9: "integration_accounts", 10: "calls", 11: "call_transcripts"})
"""The steps whose table the way down archives, and that table."""
TYPED = MappingProxyType({5: "chatbot_packages", 6: "chatbots"})
"""The steps that drop a type column, and whose."""
DROPS = (5, 6)
"""The steps that drop a type column: they alone may wait while later ones are applied."""

SHADOWED = 1
"""The step with two ways down: in place, and through a shadow column (``down_shadow.sql``)."""


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
        """The file of the step in this direction, below ``sql/``."""
        return f"{self.directory}/{direction}.sql"

    def checks(self) -> tuple[Statement, ...]:
        """The checks of its ``verify.sql``, in documented names."""
        return load_script(f"{self.directory}/verify.sql").statements

    def script(self, direction: Direction, *, returning: bool = False, shadow: bool = False) -> Script:
        """Its statements in documented names: of that file, and of ``before_`` and ``after_`` beside it.

        ``returning``: of ``return.sql``, which takes the step up where its table is archived. ``shadow``: of the way
        down through a shadow column.
        """
        if shadow:
            return load_script(shadow_file(self.directory))
        return load_script(f"{self.directory}/return.sql") if returning else _joined(self.directory, direction)


def parts(directory: str, direction: Direction) -> tuple[str, ...]:
    """The files that take a step in this direction, in their order; where its table is archived, up is return.sql."""
    names = (f"before_{direction}.sql", f"{direction}.sql", f"after_{direction}.sql")
    return tuple(f"{directory}/{name}" for name in names if (sql_root() / directory / name).exists())


def shadow_file(directory: str) -> str:
    """The file that takes a step down through a shadow column."""
    return f"{directory}/down_shadow.sql"


@cache
def _joined(directory: str, direction: Direction) -> Script:
    scripts = [load_script(name) for name in parts(directory, direction)]
    main = next(script for script in scripts if script.name == f"{directory}/{direction}.sql")
    if len(scripts) == 1:
        return main
    text = "\n".join(script.text for script in scripts)
    statements = (statement for script in scripts for statement in script.statements)
    numbered = tuple(replace(statement, number=number) for number, statement in enumerate(statements, start=1))
    return replace(main, text=text, sha256=hashlib.sha256(text.encode()).hexdigest(), statements=numbered)


@cache
def all_steps() -> tuple[Step, ...]:
    """The steps in their order, by number from 1."""
    return tuple(Step(int(path.name[:2]), path.name[3:]) for path in step_directories())


def last_rows(history: Sequence[HistoryRow]) -> dict[int, HistoryRow]:
    """The newest row of each step."""
    return {row.step: row for row in history}


def applied_steps(history: Sequence[HistoryRow]) -> tuple[int, ...]:
    """The numbers of the applied steps, in order: 1 to n, or with the drops deferred 1 to 4 (or 5) and 7 to n.

    Raises Refused if the history has a step that this callctl does not know, or another gap.
    """
    applied = tuple(sorted(number for number, row in last_rows(history).items() if row.direction == "up"))
    known = {step.number for step in all_steps()}
    unknown = sorted({row.step for row in history} - known)
    if unknown:
        raise Refused(
            Code.HISTORY_UNKNOWN_STEPS,
            f"the history has steps that this callctl does not know: {', '.join(map(str, unknown))}",
            hint="use the newer callctl that ran here; callctl migrate history shows its version",
        )
    missing = sorted(set(range(1, max(applied, default=0) + 1)) - set(applied))
    # The second drop may be all that is deferred, never the first alone: they are taken in order.
    if missing and (applied[-1] <= DROPS[-1] or tuple(missing) not in (DROPS, DROPS[1:])):
        raise Refused(
            Code.HISTORY_GAP,
            f"the history has a gap: step {applied[-1]} is applied, but not {', '.join(map(str, missing))}",
            hint="restore schema callctl from a backup: its history was changed (see callctl migrate history)",
        )
    return applied


def deferred_steps(applied: Collection[int]) -> tuple[int, ...]:
    """The drops that wait although a later step is applied."""
    later = max(applied, default=0) > DROPS[-1]
    return tuple(number for number in DROPS if later and number not in applied)


def wanted_steps(
    applied: Collection[int],
    half_done: Mapping[int, Direction],
    direction: Direction,
    to: int | None,
    *,
    defer_drops: bool = False,
) -> tuple[Step, ...]:
    """The steps from a database's present state to its target, in the order in which they run.

    ``to`` is the last step to apply or the one to roll back to; None is all the way. Up with ``defer_drops`` leaves
    steps 5 and 6 out. Down takes a step back that stopped half way up, too. Raises Refused up if a step is half way
    down.
    """
    if direction == "down":
        begun = {*applied, *half_done}
        return tuple(step for step in reversed(all_steps()) if step.number in begun and step.number > (to or 0))
    for number, way in half_done.items():
        if way == "down":
            raise Refused(
                Code.STEP_PARTLY_APPLIED,
                f"step {number} is partly applied: its rollback is not finished",
                hint=f"finish the step first: {finishing(number, way, applied)}",
            )
    last = all_steps()[-1].number if to is None else to
    # An applied step is half way up where a way down of it was given up: it goes up again.
    again = {number for number, way in half_done.items() if way == "up"}
    left_out = {*applied, *(DROPS if defer_drops else ())} - again
    return tuple(step for step in all_steps() if step.number not in left_out and step.number <= last)


def finishing(number: int, way: Direction, applied: Collection[int]) -> str:
    """The command that ends a step which stopped half way, and takes no other with it."""
    if way == "down":
        return f"callctl migrate down --to {number - 1}"
    deferred = number > DROPS[-1] and not set(DROPS) <= set(applied)
    return f"callctl migrate up --to {number}" + (" --defer-drops" if deferred else "")


def not_deferrable(applied: Collection[int]) -> str | None:
    """Return the error text for ``--defer-drops`` if a drop is applied already; None otherwise."""
    applied_drops = [number for number in DROPS if number in applied]
    if len(applied_drops) == len(DROPS):
        return "steps 5 and 6 are applied already: no step can be deferred"
    return f"step {applied_drops[0]} is applied already: only step {DROPS[-1]} is deferred" if applied_drops else None


# Where each step is in a database: pending, applied, deferred, partly applied.


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
    """The names of this database, and the state of each step."""

    naming: Naming
    steps: tuple[StepState, ...]
    # The steps whose table is archived: it returns as it was archived.
    returning: frozenset[int] = frozenset()
    # The steps that stopped on the way up and are made pending by their undo.sql, before a way down: those that drop a
    # column and have not, and those that make a table.
    undropped: frozenset[int] = frozenset()
    # A shadow column of an unfinished way down of step 1 is there.
    shadow: bool = False
    # The models that the next step 6 makes available, by their key.
    withheld: tuple[call_models.Withheld, ...] = ()

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
        """Those of them that a run in this direction would have to finish, to continue with or to take back. Up also
        removes a shadow column, and takes step 1 up again.
        """
        given_up = self.undropped if direction == "down" else frozenset()
        unfinished = {number: way for number, way in self.half_done.items() if number not in given_up}
        return {**unfinished, SHADOWED: "up"} if self.shadow and direction == "up" else unfinished


def status(connection: Connection, settings: Settings) -> Status:
    """The state of each step. Reads only.

    Raises Refused if the naming cannot be decided or the history contradicts itself.
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
        call_models.models(connection, naming),
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
