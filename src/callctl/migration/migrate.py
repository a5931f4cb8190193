"""The steps, up and down: running what a plan says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from callctl.config.database_url import server
from callctl.database import connection as database
from callctl.database import store
from callctl.database.guarded import guarded, in_transaction, with_retries
from callctl.database.lock import at_work
from callctl.database.pace import Pace
from callctl.database.steering import OwnState, newest_action
from callctl.database.store import HistoryRow, Saved
from callctl.errors import CallctlError, Code, Interrupted, Refused, State
from callctl.events import (
    Direction,
    Expected,
    Forecast,
    MigrationStarted,
    Notice,
    OnEvent,
    StepFinished,
    StepStarted,
    ignore,
)
from callctl.files import read_sql
from callctl.migration.checks.preflight import MATTERS, Finding
from callctl.migration.planning import (
    Plan,
    PlannedStep,
    Wish,
    avatar_way,
    command,
    deferral,
    findings_for,
    plan,
    prepared_steps,
)
from callctl.migration.reviewed import ReviewedPlan, assert_unchanged, plan_as_read
from callctl.migration.run import script as runner
from callctl.migration.run import transactions
from callctl.migration.run.failures import failure, translated, waits_for
from callctl.migration.run.indexes import standby_awaited
from callctl.migration.steps import call_models, shadow
from callctl.migration.steps.call_models import Withheld
from callctl.migration.steps.numbered import (
    ARCHIVED,
    SHADOWED,
    Status,
    Step,
    StepState,
    all_steps,
    applied_steps,
    finishing,
    status,
    wanted_steps,
)
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming
from callctl.statements.script import Script, Statement, load_script

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

__all__ = [
    "Migrated",
    "MigratedStep",
    "Plan",
    "PlannedStep",
    "Status",
    "StepState",
    "Wish",
    "down",
    "history",
    "plan",
    "status",
    "take",
    "up",
]

# Gets what preflight finds under the migration lock; may refuse, by raising.
OnFindings: TypeAlias = Callable[[tuple[Finding, ...]], None]

# Tells how long a plan will take, asked under the migration lock before anything is changed.
OnPlan: TypeAlias = Callable[["Connection", Plan], Forecast]

# A step, its file and the checks of its verify, in the names of this database.
_Ready: TypeAlias = tuple[Step, Script, tuple[Statement, ...]]


@dataclass(frozen=True)
class MigratedStep:
    """One step that this run has taken; ``rows`` counts the rows it changed."""

    number: int
    name: str
    seconds: float
    rows: int


@dataclass(frozen=True)
class Migrated:
    """The result of a run; ``deferred`` are the pending steps that it left for later.

    ``kept``: after a way down, what callctl's schema holds for the next up, counted once the last step was committed.
    """

    direction: Direction
    steps: tuple[MigratedStep, ...]
    seconds: float
    deferred: tuple[int, ...] = ()
    kept: tuple[Saved, ...] = ()
    # What the operator has to do next about what the steps made.
    notes: tuple[str, ...] = ()
    # The models that step 6 makes available; none after a way down.
    withheld: tuple[Withheld, ...] = ()


def history(connection: Connection) -> tuple[HistoryRow, ...]:
    """Every step taken, up or down, oldest first."""
    return store.history(connection)


def up(
    settings: Settings,
    *,
    to: int | None = None,
    defer_drops: bool = False,
    atomic: bool = False,
    wait: bool = False,
    on_event: OnEvent = ignore,
    on_findings: OnFindings | None = None,
) -> Migrated:
    """Apply the pending steps, up to ``to``. Resumes where an earlier run stopped.

    ``defer_drops`` leaves out the steps that drop the type columns, so that old and new application can both work; a
    later run without it takes them. ``atomic`` takes all steps in one transaction, behind whose locks clients
    wait until it ends. ``on_findings`` gets what preflight finds before anything is changed, warnings and unknowns too;
    without it, preflight is asked for what blocks alone. Raises Refused, with nothing changed, if preflight blocks;
    LockHeld; StepFailed; Interrupted.
    """
    wish = Wish("up", to, defer_drops=defer_drops, atomic=atomic)
    return take(settings, wish, wait=wait, on_event=on_event, on_findings=on_findings)


def down(
    settings: Settings,
    *,
    to: int,
    truncate_avatars: bool = False,
    through_shadow: bool | None = None,
    atomic: bool = False,
    wait: bool = False,
    on_event: OnEvent = ignore,
    on_findings: OnFindings | None = None,
) -> Migrated:
    """Take back the applied steps above ``to``, newest first. Everything removed is saved or put back.

    ``through_shadow`` says how step 1 gives avatar_url its old type: through a shadow column that is filled beside it
    (True), in place (False), or as fits the table (None). ``atomic`` is in place.
    ``atomic``, ``on_findings`` and what it raises are as in :func:`up`.
    """
    wish = Wish("down", to, atomic=atomic, truncate_avatars=truncate_avatars, through_shadow=through_shadow)
    return take(settings, wish, wait=wait, on_event=on_event, on_findings=on_findings)


def take(
    settings: Settings,
    wish: Wish,
    *,
    reviewed: ReviewedPlan | None = None,
    wait: bool = False,
    on_event: OnEvent = ignore,
    on_findings: OnFindings | None = None,
    forecast: OnPlan | None = None,
) -> Migrated:
    """Take the steps that the operator asked for: :func:`up` or :func:`down`, with what they raise.

    ``reviewed``: the plan that this wish is from. Raises Refused, with nothing
    changed, unless everything that it depends on is as it was. ``forecast`` tells how long the plan will take: the
    history keeps it beside each step.
    """
    began = time.monotonic()
    try:
        return _at_work(
            settings, wish, reviewed, began, forecast, wait=wait, on_event=on_event, on_findings=on_findings
        )
    except KeyboardInterrupt:
        # Before the first step, or after the last: no step is under way.
        raise Interrupted(
            Code.INTERRUPTED,
            "interrupted between two steps",
            hint="run the same command again",
            state=State("partly done"),
        ) from None


def _at_work(
    settings: Settings,
    wish: Wish,
    reviewed: ReviewedPlan | None,
    began: float,
    forecast: OnPlan | None,
    *,
    wait: bool,
    on_event: OnEvent,
    on_findings: OnFindings | None,
) -> Migrated:
    direction, to = wish.direction, wish.to
    name = f"migrate {direction}"
    with at_work(settings, command=name, wait=wait, on_event=on_event) as (connection, lock):
        on_event = own_state = OwnState(name, lock.session, on_event)
        connection.add_notice_handler(lambda message: on_event(Notice(message.message_primary or "")))
        current = status(connection, settings)
        unfinished = current.to_finish(direction)
        wanted = wanted_steps(current.applied, unfinished, direction, to, defer_drops=wish.defer_drops)
        avatar = avatar_way(connection, settings, current, wanted, wish)
        shadowed = avatar is not None and avatar.shadow
        on_event(_started(connection, settings, current, wanted, wish))
        deferred, notices = deferral(current, to) if wish.defer_drops else ((), ())
        for notice in notices:
            on_event(Notice(notice))
        for state in current.steps:
            if state.edited:
                on_event(Notice(f"the file of step {state.number} was edited after the step was applied"))
        # Everything is adapted before anything runs: what cannot be decided is refused with nothing changed.
        ready = prepared_steps(wanted, direction, current, shadowed=shadowed)
        if reviewed is not None:
            assert_unchanged(reviewed, plan_as_read(connection, settings, wish, current.naming, ready))
        if not wanted and direction == "up" and store.exists(connection) and _may_write(connection):
            make_ready(connection, settings, current.naming, on_event)  # it may be an older callctl's, or damaged
        expected: Mapping[int, Expected] = {}
        if wanted:
            _refuse_blocked(connection, settings, current, wanted, wish, on_findings)
        if direction == "down" and current.undropped:
            make_ready(connection, settings, current.naming, on_event)
            _give_up(connection, settings, current, on_event)
        if wanted:
            if forecast is not None:
                expected = _expected(connection, settings, wish, current, forecast, on_event)
            # From here on only the end of a step waits for a synchronous standby, and says so.
            connection.execute(read_sql("migration/commit_at_once.sql"))
            make_ready(connection, settings, current.naming, on_event)
            if current.shadow and shadowed:
                shadow.resume(connection, settings, current.naming, on_event)
            elif current.shadow and any(step.number == SHADOWED for step in wanted):
                shadow.remove(connection, settings, current.naming, on_event, then_up=direction == "up")
            connection.execute(
                "SELECT set_config('callctl.truncate_avatars', %s, false),"
                " set_config('callctl.fill', %s, false),"
                " set_config('callctl.lock_timeout', %s, false),"
                " set_config('callctl.new_tables_row_security', %s, false)",
                (
                    _on(wish.truncate_avatars),
                    _on(shadowed),
                    f"{settings.lock_timeout_ms}ms",
                    settings.new_tables_row_security,
                ),
            )
        pace = Pace(settings, connection, on_event, state=own_state, since=newest_action(connection))
        run = transactions.Run(
            connection, lock, pace, settings, settings.schema, 0, direction, on_event, command(wish), expected=expected
        )
        if wanted:
            own_state.begin(connection)
        try:
            taken = (_at_once if wish.atomic and ready else _one_by_one)(run, ready)
        finally:
            own_state.end(connection)
        seconds = time.monotonic() - began
        kept = store.saved_summary(connection) if direction == "down" and taken else ()
        notes = _notes(connection, current.naming, taken) if direction == "up" else ()
        if direction == "down":
            _tell_load_tests(connection, on_event)
        waiting = call_models.models(connection, current.naming) if direction == "up" else ()
        return Migrated(direction, tuple(taken), seconds, deferred, kept, notes, waiting)


def _expected(
    connection: Connection, settings: Settings, wish: Wish, current: Status, forecast: OnPlan, on_event: OnEvent
) -> Mapping[int, Expected]:
    """The forecast of each step that begins at its beginning. What cannot be forecast stops no run."""
    import psycopg

    try:
        told = forecast(connection, plan(connection, settings, wish))
    except (psycopg.Error, CallctlError) as error:
        on_event(Notice(f"there is no forecast of this run: {error}"))
        return {}
    begun = replace(told, steps={step: told.steps[step] for step in told.steps if step not in current.half_done})
    on_event(begun)
    return begun.steps


def _tell_load_tests(connection: Connection, on_event: OnEvent) -> None:
    """Name the companies that killed load tests have left: they stay with the platform."""
    if not database.relation_exists(connection, "callctl", "load_test"):
        return
    for company, when, client in connection.execute(read_sql("migration/load_tests_left.sql")).fetchall():
        on_event(
            Notice(
                f"the load test of {when} by {client} left company {company} in the "
                "platform's tables: run callctl loadtest --clean"
            )
        )


def _notes(connection: Connection, naming: Naming, taken: Sequence[MigratedStep]) -> tuple[str, ...]:
    """Yield a note for each new table of this run that no application can read yet."""
    if not {step.number for step in taken} & set(ARCHIVED):
        return ()
    query = read_sql("migration/unread_tables.sql")
    rows = connection.execute(query, {"schema": naming.schema, "tables": list(ARCHIVED.values())}).fetchall()
    return tuple(
        f"{table} has row-level security and no policy: until CREATE POLICY, only its owner ({owner}) and roles with"
        " BYPASSRLS read it"
        for table, owner in rows
    )


def _on(yes: bool) -> str:
    return "on" if yes else "off"


def _started(
    connection: Connection, settings: Settings, current: Status, wanted: Sequence[Step], wish: Wish
) -> MigrationStarted:
    target = database.target_of(connection, settings)
    return MigrationStarted(
        direction=wish.direction,
        database=target.database,
        server=server(target.host, target.port),
        postgresql=target.postgresql,
        role=target.role,
        client=store.client(),
        schema=current.naming.schema,
        names=current.naming.describe(),
        steps=tuple(step.number for step in wanted),
        atomic=wish.atomic,
    )


def _one_by_one(run: transactions.Run, ready: Sequence[_Ready]) -> list[MigratedStep]:
    """Take the steps, each committed before the next begins."""
    taken = []
    for position, (step, script, checks) in enumerate(ready, start=1):
        with _interruptible(run, step):
            run.lock.tell(step.number)
            run.on_event(StepStarted(step.number, step.name, run.direction, position, len(ready)))
            taken.append(_take(replace(run, step=step.number), step, script, checks, runner.run_script))
            _flush(run, f"step {step.number} {run.direction}")
            run.on_event(StepFinished(step.number, step.name, run.direction, taken[-1].seconds, taken[-1].rows))
    return taken


def _at_once(run: transactions.Run, ready: Sequence[_Ready]) -> list[MigratedStep]:
    """Take the steps in one transaction. They are finished when it is committed, and not before."""

    import psycopg

    failures: list[transactions.Failed] = []

    def attempt() -> list[MigratedStep]:
        taken = []
        try:
            # A deferred trigger fires behind its statement: PostgreSQL alters no table with trigger events pending.
            with guarded(run.connection, run.settings, constraints_immediate=True):
                run.connection.execute("SELECT set_config('callctl.atomic', 'on', true)")
                for position, (step, script, checks) in enumerate(ready, start=1):
                    run.lock.tell(step.number)
                    run.on_event(StepStarted(step.number, step.name, run.direction, position, len(ready)))
                    taken.append(_take(replace(run, step=step.number), step, script, checks, runner.run_whole))
        except transactions.Failed as failed:
            failures[:] = [failed]
            # A lock that was not available is asked for again, from the first step on.
            raise failed.cause if isinstance(failed.cause, psycopg.Error) else failed from None
        return taken

    with _interruptible(run, ready[0][0], at_once=ready):
        try:
            taken = with_retries(run.settings, "a lock", attempt, run.on_event)
        except (psycopg.Error, transactions.Failed) as error:
            if not failures:
                raise
            state = State("unchanged", "all of it was rolled back: this run was one transaction")
            raise failure(run, failures[0], "the end of a step", state, database.AGAIN) from error
        _flush(run, f"{len(taken)} steps {run.direction}, at once")
    for step in taken:
        run.on_event(StepFinished(step.number, step.name, run.direction, step.seconds, step.rows))
    return taken


def _flush(run: transactions.Run, committed: str) -> None:
    """Return when what was committed is on disk, and a synchronous standby has it. Raises Interrupted."""
    try:
        with standby_awaited(run):
            store.flush(run.connection, committed)
    except KeyboardInterrupt:
        raise Interrupted(
            Code.INTERRUPTED,
            f"interrupted after the commit of {committed}; it may not be on disk or on a synchronous standby yet",
            hint="run callctl migrate status to see the applied steps, then run the same command again: it resumes",
            state=State("unknown"),
        ) from None


@contextmanager
def _interruptible(run: transactions.Run, step: Step, *, at_once: Sequence[_Ready] = ()) -> Iterator[None]:
    """Turn Ctrl-C, and a connection that breaks between two statements, into errors that say what is committed."""
    import psycopg

    try:
        yield
    except KeyboardInterrupt:
        if at_once:
            state = _state_of_all(run, at_once)
            raise Interrupted(Code.INTERRUPTED, f"interrupted; {state}", hint=database.AGAIN, state=state) from None
        state = _state_of(run, step)
        raise Interrupted(
            Code.INTERRUPTED,
            f"interrupted in step {step.number} {run.direction}; {state}",
            hint=f"run the same command again to resume ({run.command})",
            state=state,
        ) from None
    except psycopg.OperationalError as error:
        # The runner reports what fails in a statement.
        raise database.lost(error) from error


def _refuse_blocked(
    connection: Connection,
    settings: Settings,
    current: Status,
    wanted: Sequence[Step],
    wish: Wish,
    on_findings: OnFindings | None,
) -> None:
    numbers = [step.number for step in wanted if wish.direction == "down" or step.number not in current.applied]
    only = ("blocks",) if on_findings is None else MATTERS
    findings = findings_for(connection, settings, current.naming, numbers, wish, only)
    if on_findings is not None:
        on_findings(findings)
    blocking = [finding for finding in findings if finding.level == "blocks"]
    if blocking:
        found_by: dict[str, list[str]] = {}
        for finding in blocking:
            found_by.setdefault(finding.id, []).append(finding.what)
        listed = "; ".join(
            f"{id}: {texts[0]}" + (f" (and {len(texts) - 1} more)" if texts[1:] else "")
            for id, texts in found_by.items()
        )
        raise Refused(
            Code.PREFLIGHT_BLOCKERS, f"preflight found blockers: {listed}; nothing was changed", hint=blocking[0].do
        )
    if call_models.STEP in numbers and wish.direction == "up":
        call_models.assert_it_fits(connection, call_models.load_catalogue(), current.naming)


def _may_write(connection: Connection) -> bool:
    """Return whether it may: not on a standby, not where a role's transactions are read-only."""
    return bool(database.value(connection, "SELECT current_setting('transaction_read_only') = 'off'"))


def make_ready(connection: Connection, settings: Settings, naming: Naming, on_event: OnEvent) -> None:
    """Make callctl's schema or bring it up to date, and delete the saved values of rows that are gone.

    Then the foreign keys by which saved values go with their rows, each in a transaction of its own: it takes a lock.
    """
    import psycopg

    sweep = [adapt(statement, naming).sql for statement in load_script("migration/sweep.sql").statements]

    def create() -> None:
        store.create(connection, settings.schema)

    def execute(statements: Sequence[str]) -> None:
        def send() -> None:
            for sql in statements:
                connection.execute(sql)

        awaited = partial(waits_for, connection, settings, "; ".join(statements))
        in_transaction(connection, settings, send, awaited=awaited, on_event=on_event)

    try:
        in_transaction(connection, settings, create, awaited="a lock on callctl's own tables", on_event=on_event)
        # Apart: no lock of what is above is held while every saved value is looked at.
        execute(sweep)
        for statement in load_script("store_keys.sql").statements:
            execute([adapt(statement, naming).sql])
    except psycopg.Error as error:
        where, state = "callctl's own schema", State("unchanged", "no step was begun")
        raise translated(connection, settings.schema, error, where, "", state, database.AGAIN) from error


def _give_up(connection: Connection, settings: Settings, current: Status, on_event: OnEvent) -> None:
    """Make the steps pending that stopped on the way up before their drop, or with an empty table made.

    What they saved stays saved.
    """
    import psycopg

    for step in (step for step in reversed(all_steps()) if step.number in current.undropped):

        def undo(step: Step = step) -> None:
            for statement in load_script(f"{step.directory}/undo.sql").statements:
                for expanded in runner.expand(connection, adapt(statement, current.naming)):
                    connection.execute(expanded.sql)

        try:
            in_transaction(connection, settings, undo, on_event=on_event)
        except psycopg.Error as error:
            again = f"{database.AGAIN}; or finish the step: {finishing(step.number, 'up', current.applied)}"
            state = State("partly applied", f"step {step.number} is still partly applied (up)", step.number, "up")
            place = f"{step.directory}/undo.sql"
            raise translated(connection, settings.schema, error, place, "", state, again) from error
        on_event(Notice(f"step {step.number} was not finished: it is pending again"))


def _take(
    run: transactions.Run, step: Step, script: Script, checks: Sequence[Statement], way: runner.Way
) -> MigratedStep:
    """Run one step to its end: its file, its verify, its row in the history."""
    began = time.monotonic()
    row = run.connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None

    def record() -> None:
        expected = run.expected.get(step.number)
        store.record(run.connection, step.number, run.direction, script.name, script.sha256, row[0], expected=expected)

    if store.begun_by_another_file(run.connection, step.number, run.direction, script.sha256):
        run.on_event(
            Notice(f"another version of its file began step {step.number}; it starts again from the first statement")
        )
    rows = way(run, script, checks, record)
    return MigratedStep(step.number, step.name, time.monotonic() - began, rows)


def _state_of_all(run: transactions.Run, ready: Sequence[_Ready]) -> State:
    import psycopg

    try:
        applied = applied_steps(store.history(run.connection))
    except psycopg.Error:
        return State("unknown", "callctl migrate status shows whether its one transaction was committed")
    if all((step.number in applied) == (run.direction == "up") for step, *_ in ready):
        return State("partly done", "its one transaction is committed")
    return State("unchanged", "all of it was rolled back: this run is one transaction")


def _state_of(run: transactions.Run, step: Step) -> State:
    import psycopg

    kept = "its committed work stays"
    try:
        way = dict(store.started(run.connection)).get(step.number)
    except psycopg.Error:
        return State("unknown", kept, step.number, run.direction)
    if way is None:
        return State("partly done", "that step was rolled back; earlier steps stay as they are")
    return State("partly applied", kept, step.number, way)
