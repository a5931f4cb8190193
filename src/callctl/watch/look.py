"""The callctl at work on this schema, look by look: its step and statement, waits, brakes, and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from callctl.database import connection as database
from callctl.database import store
from callctl.database.steering import RunState, StepOfRun, run_states, waiting_clients
from callctl.errors import Code, Refused
from callctl.files import read_sql
from callctl.migration.live_runs import Committed, Live, LiveRun, glance
from callctl.migration.steps.numbered import last_rows

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# Seconds between two looks.
LOOK_SECONDS = 1.0
# Seconds taken to be as expected: a few short steps say little of the rest.
PRIOR = 1.0
# A share of the rows that says more of a step than its forecast does.
ENOUGH = 0.05
# How far from the expected time the end of a step is, four of five times, once its own rows tell.
SPREAD = 1.3
ROTATES = "rotate-secrets"


@dataclass(frozen=True)
class Remaining:
    """The seconds until the end of a run: ``expected``, and in four of five cases from ``low`` to ``high``."""

    low: float
    expected: float
    high: float


@dataclass(frozen=True)
class Replica:
    """A replica, and the bytes of WAL that it has not replayed; None if this role may not see them."""

    name: str
    bytes_behind: int | None


@dataclass(frozen=True)
class Rotation:
    """The progress of a rotation, of all its processes: rows, values that do not open, and seconds since its start."""

    done: int
    total: int
    failures: int
    seconds: float

    def remaining(self) -> Remaining | None:
        """Return how long it still takes at the pace so far; None before a share of the rows is done."""
        if not self.total or self.done / self.total < ENOUGH:
            return None
        return _by_rows(self.seconds, self.done, self.total)


@dataclass(frozen=True)
class Watched:
    """Everything that one look saw.

    ``states`` are what the runs say of themselves, by the pid of their session; ``waiting`` counts the sessions of
    others that wait for a lock. ``rotation`` is that under way, if this role may read its progress.
    """

    live: Live
    states: dict[int, RunState]
    waiting: int
    replicas: tuple[Replica, ...]
    rotation: Rotation | None = None

    def state(self, run: LiveRun) -> RunState | None:
        """Return the state that a run published; None if there is none, or this role may not read it."""
        return self.states.get(run.pid)

    def remaining(self, run: LiveRun) -> Remaining | None:
        """Return how long a run still takes; None if there is no forecast of it."""
        if run.command == ROTATES:
            return None if self.rotation is None else self.rotation.remaining()
        state = self.state(run)
        return None if state is None else remaining(state, run.committed)


def look(connection: Connection, settings: Settings) -> Watched:
    """Look once. ``connection`` is in autocommit. Reads only. Raises psycopg.Error."""
    live = glance(connection, settings)
    if live.unseen:
        return Watched(live, {}, 0, ())
    states = {state.session: state for state in run_states(connection)}
    rows = connection.execute(read_sql("database/replicas.sql")).fetchall()
    replicas = tuple(
        Replica(name, None if replayed is None or here is None else max(here - replayed, 0))
        for here, name, replayed in rows
        if name is not None
    )
    rotates = any(run.command == ROTATES for run in live.runs)
    rotation = _rotation(connection) if rotates else None
    return Watched(live, states, waiting_clients(connection), replicas, rotation)


def _rotation(connection: Connection) -> Rotation | None:
    import psycopg

    try:
        if not database.relation_exists(connection, "callctl", "rotation_range"):
            return None
        return next(iter(database.select(connection, Rotation, read_sql("watch/rotation.sql"))), None)
    except psycopg.errors.InsufficientPrivilege:
        return None


def remaining(state: RunState, committed: Committed | None) -> Remaining | None:
    """Return how long a run still takes: by its forecast, the steps that are done, and the rows of the one under way.

    None if a step that is left has no forecast, and no row of it is written.
    """
    done = [step for step in state.steps if step.seconds is not None and step.expected is not None]
    known = sum(step.expected or 0.0 for step in done)
    pace = (sum(step.seconds or 0.0 for step in done) + PRIOR) / (known + PRIOR)
    left = [step for step in state.steps if step.seconds is None]
    total = Remaining(0.0, 0.0, 0.0)
    for step in left:
        rest = _of_step(step, state, committed, pace)
        if rest is None:
            return None
        total = Remaining(total.low + rest.low, total.expected + rest.expected, total.high + rest.high)
    return Remaining(*(seconds * state.share for seconds in (total.low, total.expected, total.high)))


def _by_rows(spent: float, done: int, total: int) -> Remaining | None:
    """The rest at the pace of the rows that are done; None if none is."""
    if not done:
        return None
    rest = spent * max(total - done, 0) / done
    return Remaining(rest / SPREAD, rest, rest * SPREAD)


def _of_step(step: StepOfRun, state: RunState, committed: Committed | None, pace: float) -> Remaining | None:
    under_way = step.number == state.step
    spent = (state.step_seconds or 0.0) if under_way else 0.0
    rows, of_rows = (committed.rows, committed.of_rows) if under_way and committed is not None else (None, None)
    if rows is not None and of_rows and (rows / of_rows >= ENOUGH or step.expected is None):
        return _by_rows(spent, rows, of_rows)
    if step.expected is None or step.low is None or step.high is None:
        return None
    low, expected, high = (seconds * pace - spent for seconds in (step.low, step.expected, step.high))
    # What takes longer than expected is not over for that.
    return Remaining(max(low, 0.0), max(expected, 0.0), max(high, spent / 4))


@dataclass(frozen=True)
class Ended:
    """The end of a watched run. ``steps_left`` are its steps that are not done.

    They are None if the run takes no steps, or this role cannot read the history.
    """

    steps_left: tuple[int, ...] | None


# Gets each look, and returns whether to look again.
Show: TypeAlias = Callable[[Watched], bool]


def await_run(connection: Connection, settings: Settings, show: Show) -> Watched | None:
    """Show a look every second until there is a run, and return the one that sees it. Raises psycopg.Error.

    None if ``show`` wants no more.
    """
    watched = look(connection, settings)
    while not watched.live.runs and not watched.live.unseen:
        if not show(watched):
            return None
        time.sleep(LOOK_SECONDS)
        watched = look(connection, settings)
    return watched


def follow(connection: Connection, settings: Settings, show: Show, *, wait: bool) -> Ended | None:
    """Show a look every second until the runs that the first one saw are over; None if ``show`` wants no more before.

    ``wait`` waits for a run if there is none at first. ``connection`` is in autocommit. Raises Refused if there is no
    run; psycopg.Error.
    """
    watched = await_run(connection, settings, show) if wait else look(connection, settings)
    if watched is None:
        return None
    if watched.live.unseen:
        raise Refused(Code.NO_RUN, f"no run can be watched here: {watched.live.unseen}", hint="name the primary server")
    if not watched.live.runs:
        raise Refused(
            Code.NO_RUN,
            f"no callctl is at work on schema {settings.schema}",
            hint="run callctl migrate status to see what is applied, or add --wait to wait for a run",
        )
    pids = {run.pid for run in watched.live.runs}
    while pids & {run.pid for run in watched.live.runs}:
        last = watched
        if not show(watched):
            return None
        time.sleep(LOOK_SECONDS)
        watched = look(connection, settings)
    return Ended(_steps_left(connection, last))


def _steps_left(connection: Connection, last: Watched) -> tuple[int, ...] | None:
    import psycopg

    run = next((run for run in last.live.runs if run.migrates), None)
    state = None if run is None else last.state(run)
    if run is None or state is None:
        return None
    try:
        newest = last_rows(store.history(connection))
        begun = dict(store.started(connection))
    except psycopg.errors.InsufficientPrivilege:
        return None
    return tuple(
        step.number
        for step in state.steps
        if step.number in begun or step.number not in newest or newest[step.number].direction != run.direction
    )
