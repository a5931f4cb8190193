"""The steps, up and down: what is applied, what would run, running it, and recording what was done without callctl."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from callctl import catalogue, database, runner, store, transactions
from callctl.adapt import adapt
from callctl.errors import Interrupted, Refused
from callctl.events import Direction, Notice, OnEvent, StepFinished, StepStarted, ignore
from callctl.naming import Naming, read_naming
from callctl.pace import Pace
from callctl.preflight import preflight
from callctl.script import Script, Statement, load_script
from callctl.steps import Step, all_steps, applied_steps, last_rows
from callctl.store import HistoryRow

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection


@dataclass(frozen=True)
class StepState:
    """One step of the thirteen as the history has it.

    ``edited``: its file is no longer the one that ran. ``half_done``: a run of it stopped after it had committed
    something.
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


@dataclass(frozen=True)
class Status:
    """What this database is called things, and where each step stands."""

    naming: Naming
    steps: tuple[StepState, ...]

    @property
    def pending(self) -> tuple[int, ...]:
        """The numbers of the steps that are not applied."""
        return tuple(step.number for step in self.steps if not step.applied)


@dataclass(frozen=True)
class PlannedStep:
    """One step and its statements as they will be sent to this database."""

    number: int
    name: str
    direction: Direction
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Plan:
    """What a run would do, in order."""

    direction: Direction
    naming: Naming
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True)
class StepRun:
    """One step that this run has taken; ``rows`` counts the rows it changed."""

    number: int
    name: str
    seconds: float
    rows: int


@dataclass(frozen=True)
class Run:
    """What a run has done."""

    direction: Direction
    steps: tuple[StepRun, ...]
    seconds: float


def status(connection: Connection, settings: Settings) -> Status:
    """Where each step stands. Reads only.

    Raises Refused where the naming cannot be decided or the history contradicts itself.
    """
    store.assert_owner(connection, settings.schema)
    history = store.history(connection)
    applied = applied_steps(history)
    half_done = dict(store.started(connection))
    rows = last_rows(history)
    return Status(
        read_naming(connection, settings.schema),
        tuple(_state(step, step.number in applied, rows.get(step.number), half_done) for step in all_steps()),
    )


def _state(step: Step, applied: bool, row: HistoryRow | None, half_done: dict[int, Direction]) -> StepState:
    shown = row if applied else None
    return StepState(
        number=step.number,
        name=step.name,
        applied=applied,
        adopted=shown is not None and shown.adopted,
        at=shown.finished_at if shown else None,
        by=shown.database_role if shown else None,
        client=shown.client if shown else None,
        seconds=shown.seconds if shown else None,
        edited=shown is not None and shown.sha256 != step.script("up").sha256,
        half_done=half_done.get(step.number),
    )


def history(connection: Connection) -> tuple[HistoryRow, ...]:
    """Every step taken, up or down, oldest first."""
    return store.history(connection)


def plan(connection: Connection, settings: Settings, *, direction: Direction = "up", to: int | None = None) -> Plan:
    """What would run: the adapted statements of each step. READ ONLY: takes no lock, makes nothing.

    ``to`` is the last step to apply, or the step to go back to; None is all the way.
    """
    with database.read_only(connection):
        found = status(connection, settings)
        made = store.exists(connection)
        steps = []
        for step in wanted_steps(found, direction, to):
            script, _ = _prepared(step, direction, found.naming)
            statements: list[Statement] = []
            for statement in script.statements:
                if "generated" in statement.directives and made:
                    statements += runner.expand(connection, statement)
                else:
                    statements.append(statement)
            steps.append(PlannedStep(step.number, step.name, direction, tuple(statements)))
        return Plan(direction, found.naming, tuple(steps))


def wanted_steps(found: Status, direction: Direction, to: int | None) -> Sequence[Step]:
    """The steps between where the database stands and where it should go, in the order they run.

    Raises Refused where a step is half way in the other direction.
    """
    applied = {state.number for state in found.steps if state.applied}
    half_done = {state.number: state.half_done for state in found.steps if state.half_done}
    if direction == "up":
        for number, way in half_done.items():
            if way == "down":
                raise Refused(
                    f"step {number} is half way down",
                    hint=f"finish that first: callctl migrate down --to {number - 1}",
                )
        return [step for step in all_steps() if step.number not in applied and step.number <= (to or 13)]
    for number, way in half_done.items():
        if way == "up":
            raise Refused(
                f"step {number} is half way up",
                hint=f"finish that first: callctl migrate up --to {number}; then go down",
            )
    return [step for step in reversed(all_steps()) if step.number in applied and step.number > (to or 0)]


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
    settings: Settings, *, to: int | None = None, dry_run: bool = False, wait: bool = False, on_event: OnEvent = ignore
) -> Run:
    """Apply the pending steps, up to ``to``. Goes on where an earlier run stopped.

    Raises Refused, with nothing changed, where preflight blocks; LockHeld; StepFailed; Interrupted.
    """
    return _run(settings, "up", to, dry_run=dry_run, wait=wait, truncate_avatars=False, on_event=on_event)


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
    return _run(settings, "down", to, dry_run=dry_run, wait=wait, truncate_avatars=truncate_avatars, on_event=on_event)


def _run(
    settings: Settings,
    direction: Direction,
    to: int | None,
    *,
    dry_run: bool,
    wait: bool,
    truncate_avatars: bool,
    on_event: OnEvent,
) -> Run:
    import psycopg

    began = time.monotonic()
    connection = database.connect(settings)
    try:
        if dry_run:
            planned = plan(connection, settings, direction=direction, to=to)
            return Run(direction, tuple(StepRun(step.number, step.name, 0.0, 0) for step in planned.steps), 0.0)
        connection.add_notice_handler(lambda said: on_event(Notice(said.message_primary or "")))
        with database.MigrationLock(settings, wait=wait, on_event=on_event) as lock:
            found = status(connection, settings)
            wanted = wanted_steps(found, direction, to)
            for state in found.steps:
                if state.edited:
                    on_event(Notice(f"the file of step {state.number} has been edited since it was applied"))
            # Everything is adapted before anything runs: what cannot be decided is refused with nothing changed.
            prepared = [_prepared(step, direction, found.naming) for step in wanted]
            if wanted:
                _refuse_blocked(connection, settings, found, wanted, direction, truncate_avatars)
                store.create(connection, settings.schema)
                connection.execute(
                    "SELECT set_config('callctl.truncate_avatars', %s, false)", ("on" if truncate_avatars else "off",)
                )
                _sweep(connection, found.naming)
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
            return Run(direction, tuple(taken), time.monotonic() - began)
    finally:
        connection.close()


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


def _sweep(connection: Connection, naming: Naming) -> None:
    """Delete the saved values of rows that are gone."""
    with connection.transaction():
        for statement in load_script("sweep.sql").statements:
            connection.execute(adapt(statement, naming).sql.encode())


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
