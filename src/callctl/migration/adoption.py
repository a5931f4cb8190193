"""Recording what was done without callctl: each step proved by its verify, then written into the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database import store
from callctl.database.actions import record_action
from callctl.database.guarded import Failing, in_transaction
from callctl.database.lock import at_work
from callctl.database.store import ChangedRecords
from callctl.errors import Code, Refused, State, StepFailed
from callctl.events import Notice, OnEvent, ignore
from callctl.migration.checks.findings import DEFINITIONS
from callctl.migration.checks.preflight import definitions_lost
from callctl.migration.checks.verify import CheckResult, step_checks
from callctl.migration.migrate import make_ready, status
from callctl.migration.steps.numbered import Status, Step, wanted_steps
from callctl.server_errors import code_of
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


@dataclass(frozen=True)
class Adopted:
    """A step that ``adopt`` looked at: recorded, or why not."""

    number: int
    name: str
    adopted: bool
    failing: tuple[CheckResult, ...]


def adopt(settings: Settings, on_event: OnEvent = ignore, *, defer_drops: bool = False) -> tuple[Adopted, ...]:
    """Record the steps that the database has and the history has not, each proved by its verify.

    First runs what the step's file marks repeatable: callctl's additions to the document, and what a later down
    must remember. Stops at the first step that cannot be proved; where none was recorded, callctl's schema is not left
    behind. ``defer_drops`` passes over steps 5 and 6. With the steps, what psql has written to callctl's tables is
    recorded as written there.
    """
    with at_work(settings, command="migrate adopt", on_event=on_event) as (connection, lock):
        current = status(connection, settings)
        looked_at: list[Adopted] = []
        with _leaving_nothing(connection, settings, looked_at, on_event):
            make_ready(connection, settings, current.naming, on_event)
            _assert_definitions(connection, settings, current)
            for step in wanted_steps(current.applied, current.half_done, "up", None, defer_drops=defer_drops):
                lock.assert_held()
                looked_at.append(_adopt(connection, settings, current.naming, step, on_event))
                if not looked_at[-1].adopted:
                    break
            if any(step.adopted for step in looked_at):
                for changed in _accepted(connection, settings, on_event):
                    on_event(Notice(f"{changed}; recorded as it is, with the steps"))
        return tuple(looked_at)


def adopt_records(settings: Settings, on_event: OnEvent = ignore) -> tuple[ChangedRecords, ...]:
    """Record what callctl's own tables hold as what was written to them; returns what had been changed by hand.

    What is gone from them stays gone. The audit trail gets a row that says what was accepted. Raises Refused if
    callctl has not written to this database, and if going down could not end by what is left of the definitions;
    LockHeld; StepFailed.
    """
    with at_work(settings, command="migrate adopt", on_event=on_event) as (connection, _):
        if not store.exists(connection):
            raise Refused(
                Code.NOTHING_RECORDED,
                "callctl has recorded nothing in this database",
                hint="run callctl migrate status to see which steps are applied",
            )
        current = status(connection, settings)
        make_ready(connection, settings, current.naming, on_event)
        _assert_definitions(connection, settings, current)
        return _accepted(connection, settings, on_event)


def _assert_definitions(connection: Connection, settings: Settings, current: Status) -> None:
    """Raise Refused if definitions were changed by hand, and going down could not end by those that are left."""
    if not any(records.relation == "definition" for records in store.changed_records(connection)):
        return
    half_down = {number for number, direction in store.started(connection) if direction == "down"}
    lost = definitions_lost(connection, settings, current.naming, set(current.applied) - half_down)
    if lost:
        raise Refused(
            Code.RECORDS_LOST,
            "callctl.definition was changed by hand, and migrate down could not finish with "
            f"its present rows; nothing was recorded: {'; '.join(finding.what for finding in lost)}",
            hint="restore schema callctl from a backup taken before the change: no other place has the lost rows"
            + (f"; or {lost[0].do}" if lost[0].id == DEFINITIONS.id else ""),
        )


def _accepted(connection: Connection, settings: Settings, on_event: OnEvent) -> tuple[ChangedRecords, ...]:
    def accept() -> tuple[ChangedRecords, ...]:
        changed = store.changed_records(connection)
        if changed:
            store.accept_records(connection, changed)
            record_action(connection, "migrate adopt", {"changed_records": [str(record) for record in changed]})
        return changed

    awaited = "a lock on callctl's own tables"
    failing = Failing(
        "callctl's own tables", lambda: State("unchanged", "their contents were not recorded"), quoted=True
    )
    return in_transaction(connection, settings, accept, awaited=awaited, failing=failing, on_event=on_event)


@contextmanager
def _leaving_nothing(
    connection: Connection, settings: Settings, looked_at: Sequence[Adopted], on_event: OnEvent
) -> Iterator[None]:
    """Drop callctl's schema at the end, if it was made in between and no step was recorded."""
    there = store.has_schema(connection)
    try:
        yield
    finally:
        if not there and not any(step.adopted for step in looked_at) and not connection.closed:
            store.drop(connection, settings, on_event)


class _NotProved(Exception):
    """Rolls a step's adoption back."""

    def __init__(self, failing: tuple[CheckResult, ...]) -> None:
        super().__init__()
        self.failing = failing


def _adopt(connection: Connection, settings: Settings, naming: Naming, step: Step, on_event: OnEvent) -> Adopted:
    import psycopg

    script = step.script("up")

    def record() -> None:
        for statement in script.statements:
            if "repeatable" in statement.directives:
                try:
                    with connection.transaction():  # a savepoint
                        connection.execute(adapt(statement, naming).sql)
                except psycopg.ProgrammingError:
                    # The object it works on is not there; the verify below names it.
                    continue
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        # Recorded first: the checks read the history, and must say now what they will say then.
        store.record(connection, step.number, "up", step.file("up"), script.sha256, row[0], adopted=True)
        results = step_checks(connection, naming, step.number, settings.accept)
        failing = tuple(result for result in results if not result.passed and not result.warns)
        if failing:
            raise _NotProved(failing)

    try:
        in_transaction(connection, settings, record, on_event=on_event)
    except _NotProved as refused:
        return Adopted(step.number, step.name, False, refused.failing)
    except psycopg.Error as error:
        raise StepFailed(
            code_of(error),
            f"step {step.number} could not be adopted: {database.error_text(error)}; nothing of it was recorded",
            hint="run callctl preflight to see possible obstacles",
            state=State("unknown"),
        ) from error
    on_event(Notice(f"recorded step {step.number} {step.name}"))
    return Adopted(step.number, step.name, True, ())
