"""Orders for the runs under way: given as rows of the audit trail, and waited for until they are obeyed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database import steering
from callctl.database.steering import Word
from callctl.errors import Code, Refused
from callctl.events import Waiting
from callctl.migration.live_runs import LiveRun, glance

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# A run between two transactions obeys within a second; one in a statement does so behind it.
OBEY_SECONDS = 3.0
_POLL_SECONDS = 0.1
# The commands that wait between two transactions, and so obey.
OBEDIENT = frozenset(
    {"migrate up", "migrate down", "rotate-secrets", "webhooks rotate", "webhooks restore", "settings init"}
)


@dataclass(frozen=True)
class Told:
    """A run that got an order: ``obeyed`` is None if it does not say whether it obeys.

    It works one part of ``share`` of its time; ``brake`` is what it waits for.
    """

    run: LiveRun
    obeyed: bool | None
    share: int | None
    brake: Waiting | None


@dataclass(frozen=True)
class Given:
    """An order that was given, its id in the audit trail, and the runs that were under way."""

    order: int
    word: Word
    runs: tuple[Told, ...]

    @property
    def obeyed(self) -> bool:
        """Return whether no run has yet to obey, as far as they say."""
        return all(told.obeyed is not False for told in self.runs)


def steer(connection: Connection, settings: Settings, word: Word) -> Given:
    """Give an order to the runs under way, and wait ``OBEY_SECONDS`` at most until each says that it obeys.

    ``connection`` is in autocommit. Raises Refused if no run is under way that could obey; StepFailed if the order is
    not stored; psycopg.Error.
    """
    live = glance(connection, settings)
    if live.unseen:
        raise Refused(Code.NO_RUN, f"no run can be given an order here: {live.unseen}", hint="name the primary server")
    runs = [run for run in live.runs if run.command in OBEDIENT]
    if not runs:
        raise Refused(Code.NO_RUN, _none(live.runs, settings), hint="run callctl migrate status to see what is at work")
    until = time.monotonic() + OBEY_SECONDS
    # A first run makes callctl's schema behind preflight.
    while not database.relation_exists(connection, "callctl", "run_state") and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    if not database.relation_exists(connection, "callctl", "action"):
        raise Refused(
            Code.NO_RUN,
            "the run has not made callctl's schema yet, so it cannot get an order; nothing was changed",
            hint=f"run callctl migrate {word} again in a moment",
        )
    order = steering.give(connection, word, {"pids": [run.pid for run in runs]})
    until = time.monotonic() + OBEY_SECONDS
    while not (given := _given(connection, word, order, runs)).obeyed and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    return given


def _none(runs: tuple[LiveRun, ...], settings: Settings) -> str:
    if not runs:
        return f"no callctl is at work on schema {settings.schema}; nothing was changed"
    named = ", ".join(f"{run.command or 'a callctl with an unknown command'} (pid {run.pid})" for run in runs)
    return f"{named} does not wait between transactions, so it obeys no order; nothing was changed"


def _given(connection: Connection, word: Word, order: int, runs: list[LiveRun]) -> Given:
    states = {state.session: state for state in steering.run_states(connection)}
    told = []
    for run in runs:
        state = states.get(run.pid)
        obeyed = None if state is None else state.obeyed >= order
        told.append(Told(run, obeyed, state.share if state else None, state.brake if state else None))
    return Given(order, word, tuple(told))
