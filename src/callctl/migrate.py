"""The steps, up and down: what would run, and running it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from callctl import catalogue, database, runner, store, transactions
from callctl.adapt import adapt
from callctl.errors import Interrupted, Refused
from callctl.events import Direction, Notice, OnEvent, StepFinished, StepStarted, ignore
from callctl.lock import at_work, guard_transaction
from callctl.naming import Naming
from callctl.pace import Pace
from callctl.preflight import preflight
from callctl.script import Script, Statement, load_script
from callctl.standing import Status, StepState, status
from callctl.steps import DROPS, Step, not_deferrable, wanted_steps
from callctl.store import HistoryRow

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection

__all__ = ["Plan", "PlannedStep", "Run", "Status", "StepRun", "StepState", "down", "history", "plan", "status", "up"]


@dataclass(frozen=True)
class PlannedStep:
    """One step and its statements as they will be sent to this database."""

    number: int
    name: str
    direction: Direction
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Plan:
    """What a run would do, in order.

    ``deferred`` are the pending steps that it leaves out to be taken later; ``notices`` are for the operator.
    """

    direction: Direction
    naming: Naming
    steps: tuple[PlannedStep, ...]
    deferred: tuple[int, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepRun:
    """One step that this run has taken; ``rows`` counts the rows it changed."""

    number: int
    name: str
    seconds: float
    rows: int


@dataclass(frozen=True)
class Run:
    """What a run has done; ``deferred`` are the pending steps that it left out to be taken later."""

    direction: Direction
    steps: tuple[StepRun, ...]
    seconds: float
    deferred: tuple[int, ...] = ()


def history(connection: Connection) -> tuple[HistoryRow, ...]:
    """Every step taken, up or down, oldest first."""
    return store.history(connection)


def plan(
    connection: Connection,
    settings: Settings,
    *,
    direction: Direction = "up",
    to: int | None = None,
    defer_drops: bool = False,
) -> Plan:
    """What would run: the adapted statements of each step. READ ONLY: takes no lock, makes nothing.

    ``to`` is the last step to apply, or the step to go back to; None is all the way. ``defer_drops`` as in :func:`up`.
    """
    with database.read_only(connection):
        found = status(connection, settings)
        made = store.exists(connection)
        steps = []
        for step in wanted_steps(found.applied, found.half_done, direction, to, defer_drops=defer_drops):
            script, _ = _prepared(step, direction, found.naming)
            statements: list[Statement] = []
            for statement in script.statements:
                if "generated" in statement.directives and made:
                    statements += runner.expand(connection, statement)
                else:
                    statements.append(statement)
            steps.append(PlannedStep(step.number, step.name, direction, tuple(statements)))
        deferred, notices = _deferral(found, to) if defer_drops else ((), ())
        return Plan(direction, found.naming, tuple(steps), deferred, notices)


def _deferral(found: Status, to: int | None) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The steps that a run with ``defer_drops`` leaves out, and what to say where there are none to leave out."""
    left_out = tuple(number for number in DROPS if number in found.pending and (to is None or number <= to))
    notice = not_deferrable(found.applied)
    return left_out, () if notice is None else (notice,)


def _prepared(step: Step, direction: Direction, naming: Naming) -> tuple[Script, tuple[Statement, ...]]:
    """A step's file and the checks of its verify, every statement in the names of this database.

    Step 13's statements come from the catalogue where the table keeps another unit. Raises Refused where a statement
    cannot be adapted; nothing has run by then.
    """
    script = step.script(direction)
    statements = script.statements
    if step.number == catalogue.STEP and direction == "up" and naming.tables["ai_models"].units:
        statements = catalogue.seed_script(catalogue.load_catalogue(), naming).statements
    checks = step.checks() if direction == "up" else ()
    return (
        replace(script, statements=tuple(adapt(statement, naming) for statement in statements)),
        tuple(adapt(statement, naming) for statement in checks),
    )


def up(
    settings: Settings,
    *,
    to: int | None = None,
    defer_drops: bool = False,
    dry_run: bool = False,
    wait: bool = False,
    on_event: OnEvent = ignore,
) -> Run:
    """Apply the pending steps, up to ``to``. Goes on where an earlier run stopped.

    ``defer_drops`` leaves out the steps that drop the type columns, so that old and new application can both work; a
    later run without it takes them. Raises Refused, with nothing changed, where preflight blocks; LockHeld; StepFailed;
    Interrupted.
    """
    return _run(
        settings,
        "up",
        to,
        defer_drops=defer_drops,
        dry_run=dry_run,
        wait=wait,
        truncate_avatars=False,
        on_event=on_event,
    )


def down(
    settings: Settings,
    *,
    to: int,
    truncate_avatars: bool = False,
    dry_run: bool = False,
    wait: bool = False,
    on_event: OnEvent = ignore,
) -> Run:
    """Take back the applied steps above ``to``, newest first. Everything removed is saved or put back.

    Raises as :func:`up` does.
    """
    return _run(
        settings,
        "down",
        to,
        defer_drops=False,
        dry_run=dry_run,
        wait=wait,
        truncate_avatars=truncate_avatars,
        on_event=on_event,
    )


def _run(
    settings: Settings,
    direction: Direction,
    to: int | None,
    *,
    defer_drops: bool,
    dry_run: bool,
    wait: bool,
    truncate_avatars: bool,
    on_event: OnEvent,
) -> Run:
    import psycopg

    began = time.monotonic()
    if dry_run:
        with closing(database.connect(settings)) as connection:
            planned = plan(connection, settings, direction=direction, to=to, defer_drops=defer_drops)
        steps = tuple(StepRun(step.number, step.name, 0.0, 0) for step in planned.steps)
        return Run(direction, steps, 0.0, planned.deferred)
    with at_work(settings, wait=wait, on_event=on_event) as (connection, lock):
        connection.add_notice_handler(lambda said: on_event(Notice(said.message_primary or "")))
        found = status(connection, settings)
        wanted = wanted_steps(found.applied, found.half_done, direction, to, defer_drops=defer_drops)
        deferred, notices = _deferral(found, to) if defer_drops else ((), ())
        for notice in notices:
            on_event(Notice(notice))
        for state in found.steps:
            if state.edited:
                on_event(Notice(f"the file of step {state.number} has been edited since it was applied"))
        # Everything is adapted before anything runs: what cannot be decided is refused with nothing changed.
        prepared = [_prepared(step, direction, found.naming) for step in wanted]
        if wanted:
            _refuse_blocked(connection, settings, found, wanted, direction, truncate_avatars)
            make_ready(connection, settings, found.naming, on_event)
            connection.execute(
                "SELECT set_config('callctl.truncate_avatars', %s, false)", ("on" if truncate_avatars else "off",)
            )
        pace = Pace(settings, connection, on_event)
        taken = []
        for position, (step, (script, checks)) in enumerate(zip(wanted, prepared, strict=True), start=1):
            try:
                on_event(StepStarted(step.number, step.name, direction, position, len(wanted)))
                run = transactions.Run(
                    connection, lock, pace, settings, settings.schema, step.number, direction, on_event
                )
                taken.append(_take(run, step, script, checks))
            except KeyboardInterrupt:
                raise Interrupted(
                    f"interrupted in step {step.number} {direction}; {_stands(connection, step)}",
                    hint="run the same command again: it goes on from there",
                ) from None
            except psycopg.OperationalError as error:
                # Between two statements; the runner reports what fails in one.
                raise database.lost(error) from error
        return Run(direction, tuple(taken), time.monotonic() - began, deferred)


def _refuse_blocked(
    connection: Connection,
    settings: Settings,
    found: Status,
    wanted: Sequence[Step],
    direction: Direction,
    truncate_avatars: bool,
) -> None:
    numbers = [step.number for step in wanted]
    findings = preflight(
        connection,
        settings,
        found.naming,
        numbers,
        direction=direction,
        truncate_avatars=truncate_avatars,
        only_what_may_block=True,
    )
    blocking = [finding for finding in findings if finding.level == "blocks"]
    if blocking:
        found_by: dict[str, list[str]] = {}
        for finding in blocking:
            found_by.setdefault(finding.id, []).append(finding.what)
        listed = "; ".join(
            f"{id}: {what[0]}" + (f" (and {len(what) - 1} more)" if what[1:] else "") for id, what in found_by.items()
        )
        raise Refused(f"preflight blocks, nothing was changed: {listed}", hint=blocking[0].do)
    if catalogue.STEP in numbers and direction == "up":
        catalogue.assert_it_fits(connection, catalogue.load_catalogue(), found.naming)


def make_ready(connection: Connection, settings: Settings, naming: Naming, on_event: OnEvent) -> None:
    """Make callctl's schema or bring it up to date, and delete the saved values of rows that are gone."""
    import psycopg

    def attempt() -> None:
        with connection.transaction():
            guard_transaction(connection, settings.schema, settings.lock_timeout_ms)
            store.create(connection, settings.schema)
            for statement in load_script("sweep.sql").statements:
                connection.execute(adapt(statement, naming).sql.encode())

    try:
        database.with_retries(settings, "a lock", attempt, on_event)
    except psycopg.Error as error:
        database.translate(error, "callctl's own schema", "", "no step was begun")


def _take(run: transactions.Run, step: Step, script: Script, checks: Sequence[Statement]) -> StepRun:
    """Run one step to its end: its file, its verify, its row in the history."""
    began = time.monotonic()
    row = run.connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None

    def record() -> None:
        store.record(run.connection, step.number, run.direction, script.name, script.sha256, row[0])

    if store.begun_by_another_file(run.connection, step.number, run.direction, script.sha256):
        run.on_event(
            Notice(
                f"step {step.number} was begun by another version of its file; it starts again from the first statement"
            )
        )
    rows = runner.run_script(run, script, checks, record)
    seconds = time.monotonic() - began
    run.on_event(StepFinished(step.number, step.name, run.direction, seconds))
    return StepRun(step.number, step.name, seconds, rows)


def _stands(connection: Connection, step: Step) -> str:
    import psycopg

    try:
        half = any(number == step.number for number, _ in store.started(connection))
    except psycopg.Error:
        return "what it had committed stands"
    return "what it had committed stands" if half else "that step was rolled back, earlier ones stand"
