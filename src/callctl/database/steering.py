"""The state that a run publishes, and the orders that it gets from other terminals: rows of callctl's own schema.

A run writes a row of ``callctl.run_state`` about once a second, between two transactions. An order is a row of the
audit trail (``callctl.action``), so it is recorded with who gave it; a run obeys those that came after its start.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from callctl.database import connection as database
from callctl.database.actions import record_action
from callctl.database.lock import DOING_CLASS, LOCK_CLASS
from callctl.events import (
    Event,
    Expected,
    Forecast,
    Holder,
    MigrationStarted,
    Notice,
    OnEvent,
    StepFinished,
    StepStarted,
    Waiting,
)
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.database.connection import Connection

Word: TypeAlias = Literal["pause", "resume", "slower", "faster"]

# Each slower halves the share of its time that a run works, down to one part of these.
SLOWEST = 16
# A run says so often what it is at, where nothing has changed.
TELL_SECONDS = 1.0
# Another session may have locked the table: no run waits for that.
_LOCK_TIMEOUT = "100ms"


@dataclass(frozen=True)
class Order:
    """An order for the runs under way: who gave it, and when."""

    id: int
    word: Word
    at: datetime
    role: str
    client: str


@dataclass(frozen=True)
class Orders:
    """The orders that a run obeys: ``paused`` is the pause that no resume followed.

    It works one part of ``share`` of its time. ``newest`` is the id of the last order.
    """

    paused: Order | None = None
    share: int = 1
    newest: int = 0

    def after(self, order: Order) -> Orders:
        """Return these orders and one more."""
        paused, share = self.paused, self.share
        match order.word:
            case "pause":
                paused = paused or order
            case "resume":
                paused = None
            case "slower":
                share = min(share * 2, SLOWEST)
            case "faster":
                share = max(share // 2, 1)
        return Orders(paused, share, order.id)


def newest_action(connection: Connection) -> int:
    """The id of the newest row of the audit trail, which no order for a run that begins now is; 0 if there is none."""
    if not database.relation_exists(connection, "callctl", "action"):
        return 0
    return int(database.value(connection, read_sql("database/last_action.sql")))


def orders_since(connection: Connection, since: int) -> list[Order]:
    """The orders that were given after an action, oldest first. Raises psycopg.Error."""
    return database.select(connection, Order, read_sql("database/orders.sql"), {"since": since})


def give(connection: Connection, word: Word, detail: Mapping[str, Any]) -> int:
    """Give an order to the runs under way, and return its id. Raises psycopg.Error; StepFailed if it is not stored."""
    with connection.transaction():
        return record_action(connection, f"migrate {word}", detail)


@dataclass(frozen=True)
class StepOfRun:
    """A step of a run: the ``seconds`` it took once it is done, and those expected of it if there is a forecast."""

    number: int
    name: str | None = None
    seconds: float | None = None
    low: float | None = None
    expected: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RunState:
    """The state that a run published ``told_seconds`` ago; fields as in ``callctl.run_state``."""

    session: int
    command: str
    steps: tuple[StepOfRun, ...]
    step: int | None
    seconds: float
    step_seconds: float | None
    brake: Waiting | None
    obeyed: int
    share: int
    waiting_before: int | None
    told_seconds: float


def run_states(connection: Connection) -> list[RunState]:
    """The state of each run under way, as it published it; none where this role may not read it, or callctl is older.

    ``connection`` is in autocommit.
    """
    import psycopg
    from psycopg.rows import dict_row

    try:
        if not database.relation_exists(connection, "callctl", "run_state"):
            return []
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(read_sql("database/run_state/read.sql"), {"lock": LOCK_CLASS}).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return []
    return [
        RunState(
            **{
                **row,
                "steps": tuple(StepOfRun(**_known(StepOfRun, step)) for step in row["steps"]),
                "brake": row["brake"] and _wait(row["brake"]),
            }
        )
        for row in rows
    ]


def _wait(written: Mapping[str, Any]) -> Waiting:
    holders = tuple(Holder(**_known(Holder, holder)) for holder in written["holders"])
    return Waiting(**{**_known(Waiting, written), "holders": holders})


def _known(shape: type[StepOfRun | Holder | Waiting], written: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``shape``: a run of another version of callctl may say more."""
    return {field.name: written.get(field.name) for field in fields(shape)}


def waiting_clients(connection: Connection) -> int:
    """The number of sessions of others that wait for a lock in this database."""
    values = {"lowest": LOCK_CLASS, "highest": DOING_CLASS}
    return int(database.value(connection, read_sql("database/waiting_clients.sql"), values))


class OwnState:
    """Publishes the state of this run: listens to its events, and writes when it may.

    ``session`` is the process that holds the migration lock. A row that cannot be written is said once; the run
    continues without.
    """

    def __init__(self, command: str, session: int, on_event: OnEvent) -> None:
        self._command = command
        self._session = session
        self._on_event = on_event
        self._began = time.monotonic()
        self._steps: dict[int, dict[str, Any]] = {}
        self._step: int | None = None
        self._step_began: float | None = None
        self._told = 0.0
        self._writes = False
        self._written: object = None
        self.brake: Waiting | None = None
        self.orders = Orders()

    def __call__(self, event: Event) -> None:
        """Note what an event tells of the run, and pass it on."""
        match event:
            case MigrationStarted():
                self._steps = {number: asdict(StepOfRun(number)) for number in event.steps}
            case Forecast():
                for number, expected in event.steps.items():
                    self._expect(number, expected)
            case StepStarted():
                self._step, self._step_began = event.step, time.monotonic()
                self._steps.setdefault(event.step, asdict(StepOfRun(event.step)))["name"] = event.name
            case StepFinished():
                self._steps[event.step]["seconds"] = round(event.seconds, 3)
            case Waiting():
                self.brake = event
        self._on_event(event)

    def _expect(self, number: int, expected: Expected) -> None:
        step = self._steps.setdefault(number, asdict(StepOfRun(number)))
        step.update(low=expected.low, expected=expected.expected, high=expected.high)

    def begin(self, connection: Connection) -> None:
        """Write for the first time; callctl's schema is there. ``connection`` has no transaction under way."""
        self._writes = True
        values = {
            "command": self._command,
            "began": time.monotonic() - self._began,
            "before": waiting_clients(connection),
            "lock": LOCK_CLASS,
        }
        self._write(connection, "database/run_state/begin.sql", values)

    def tell(self, connection: Connection) -> None:
        """Write, if something has changed or the last time is a second ago."""
        now = time.monotonic()
        state = (self._step, self.brake and (self.brake.what, self.brake.holders), self.orders)
        if not self._writes or (state == self._written and now - self._told < TELL_SECONDS):
            return
        self._told, self._written = now, state
        values = {
            "step": self._step,
            "step_seconds": None if self._step_began is None else now - self._step_began,
            "brake": self.brake and json.dumps(asdict(self.brake)),
            "obeyed": self.orders.newest,
            "share": self.orders.share,
        }
        self._write(connection, "database/run_state/tell.sql", values)

    def end(self, connection: Connection) -> None:
        """Delete the row: the run is over. What cannot be deleted goes with the next run."""
        if self._writes and not connection.closed:
            self._write(connection, "database/run_state/end.sql", {}, said=False)

    def _write(self, connection: Connection, name: str, values: Mapping[str, Any], *, said: bool = True) -> None:
        import psycopg

        everything = {**values, "session": self._session, "steps": json.dumps(list(self._steps.values()))}
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
                connection.execute(read_sql(name), everything)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            pass  # the next time
        except psycopg.Error as error:
            if connection.closed:
                return  # the run itself finds out, and says it better
            self._writes = False
            if said:
                self._on_event(
                    Notice(f"callctl migrate watch will not see all of this run: {database.error_text(error)}")
                )
