"""What a run would do on this database: the steps it would take, and each one's statements in the names found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database import store
from callctl.events import Direction
from callctl.migration.checks.subscribers import ForSubscribers, for_subscribers, published
from callctl.migration.run import script as runner
from callctl.migration.run.indexes import in_a_transaction
from callctl.migration.steps import catalogue, shadow
from callctl.migration.steps.contract import step_check
from callctl.migration.steps.numbered import ARCHIVED, DROPS, SHADOWED, Step, not_deferrable, wanted_steps
from callctl.migration.steps.standing import Status, status
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming
from callctl.statements.script import Script, Statement

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


@dataclass(frozen=True)
class Wish:
    """Which steps the operator asked for, and how to take them: as :func:`plan` and ``migrate.down`` have it."""

    direction: Direction
    to: int | None
    defer_drops: bool = False
    atomic: bool = False
    truncate_avatars: bool = False
    through_shadow: bool | None = None


@dataclass(frozen=True)
class PlannedStep:
    """One step and its statements as they will be sent to this database; and what subscribers of its tables need."""

    number: int
    name: str
    direction: Direction
    statements: tuple[Statement, ...]
    subscribers: ForSubscribers | None = None


@dataclass(frozen=True)
class Plan:
    """What a run would do, in order.

    ``deferred`` are the pending steps that it leaves out to be taken later; ``notices`` are for the operator.
    ``avatar`` is which way step 1 is taken back; None where it is not.
    """

    direction: Direction
    naming: Naming
    steps: tuple[PlannedStep, ...]
    deferred: tuple[int, ...] = ()
    notices: tuple[str, ...] = ()
    avatar: shadow.Choice | None = None


def plan(
    connection: Connection,
    settings: Settings,
    *,
    direction: Direction = "up",
    to: int | None = None,
    defer_drops: bool = False,
    atomic: bool = False,
    through_shadow: bool | None = None,
) -> Plan:
    """What would run: the adapted statements of each step. READ ONLY: takes no lock, makes nothing.

    ``to`` is the last step to apply, or the step to go back to; None is all the way. ``defer_drops``,
    ``atomic`` and ``through_shadow`` as in ``migrate.up`` and ``migrate.down``. Raises Refused.
    """
    with database.read_only(connection):
        found = status(connection, settings)
        made = store.exists(connection)
        as_sent = in_a_transaction if atomic else lambda statement: statement
        tables = published(connection, found.naming)
        steps = []
        wanted = wanted_steps(found.applied, found.to_finish(direction), direction, to, defer_drops=defer_drops)
        avatar = None
        if direction == "down" and any(step.number == SHADOWED for step in wanted):
            avatar = shadow.choose(connection, settings, found.naming, wanted=through_shadow, atomic=atomic)
        for step in wanted:
            shadowed = step.number == SHADOWED and avatar is not None and avatar.shadow
            script, _ = prepared(step, direction, found, shadowed=shadowed)
            statements: list[Statement] = []
            for statement in script.statements:
                # Before there is a store there is nothing that such a query could be asked; nor before a shadow column
                # is there, whose first statement writes down what they return.
                known = made and (found.shadow or not shadowed)
                statements += runner.expand(connection, statement) if known else (statement,)
            columns = store.made_columns(connection, step.number) if made and direction == "down" else ()
            others = for_subscribers(statements, direction, found.naming, tables, columns)
            steps.append(PlannedStep(step.number, step.name, direction, tuple(map(as_sent, statements)), others))
        deferred, notices = deferral(found, to) if defer_drops else ((), ())
        if avatar is not None:
            notices += (avatar.what,)
        if found.shadow and (direction == "up" or not (avatar is not None and avatar.shadow)):
            notices += ("first the shadow column of users is removed that an unfinished migrate down has left",)
        return Plan(direction, found.naming, tuple(steps), deferred, notices, avatar)


def deferral(found: Status, to: int | None) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The steps that a run with ``defer_drops`` leaves out, and what to say where there are none to leave out."""
    left_out = tuple(number for number in DROPS if number in found.pending and (to is None or number <= to))
    notice = not_deferrable(found.applied)
    return left_out, () if notice is None else (notice,)


def prepared(
    step: Step, direction: Direction, found: Status, *, shadowed: bool = False
) -> tuple[Script, tuple[Statement, ...]]:
    """A step's file and what is checked at its end, every statement in the names of this database.

    What a step makes is compared when it makes it. A table that comes back from the archive, or that an earlier run
    made, is the platform's: where it differs from the document, that is a warning. Step 13's statements come from the
    catalogue where the table keeps another unit. ``shadowed``: the file of the way down through a shadow column.
    Raises Refused where a statement cannot be adapted; nothing has run by then.
    """
    naming = found.naming
    returning = direction == "up" and step.number in found.returning
    script = step.script(direction, returning=returning, shadow=shadowed)
    statements = script.statements
    if step.number == catalogue.STEP and direction == "up" and naming.tables["ai_models"].units:
        statements = catalogue.seed_script(catalogue.load_catalogue(), naming).statements
    checks: list[Statement] = []
    if direction == "up":
        made_before = step.number in ARCHIVED and (returning or step.number in found.half_done)
        of_catalog = step_check(step.number, naming, warns=made_before)
        checks = [*([of_catalog] if of_catalog else []), *(adapt(statement, naming) for statement in step.checks())]
    return replace(script, statements=tuple(adapt(statement, naming) for statement in statements)), tuple(checks)
