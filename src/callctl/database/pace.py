"""Sets the pace of a run: the number of rows in a batch, and what it waits for between two transactions.

That is a pause file, an order from another terminal, and the brakes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database.brakes import Brakes
from callctl.database.steering import Orders, OwnState, newest_action, orders_since
from callctl.errors import StepFailed
from callctl.events import Notice, OnEvent, Steered, Waiting

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

POLL_SECONDS = 0.2
# An order is obeyed within a second.
ASK_SECONDS = 0.5
# The longest rest of a run that is slowed down: a statement that took minutes asks for no hours.
REST_SECONDS = 10.0
# The rows of a run's first batch, and of its smallest; ``batch_size`` bounds both.
FIRST = 200
SMALLEST = 20


class BatchSize:
    """The number of rows of the next batch: as many as fit ``batch_time`` at the last pace, at most ``batch_size``.

    One measurement says little, so there are no leaps: a batch that took too long is followed by what fits, and by no
    less than half of it; a whole one that took less than half of the time is followed by twice as many.
    """

    def __init__(self, settings: Settings) -> None:
        self._target_ms = settings.batch_time_ms
        self._largest = settings.batch_size
        self.smallest = min(SMALLEST, self._largest)
        self.rows = min(FIRST, self._largest)

    def took(self, rows: int, milliseconds: float) -> None:
        """A batch of ``rows`` was written in that time."""
        if milliseconds > self._target_ms:
            fitting = int(rows * self._target_ms / milliseconds)
            self.rows = min(max(fitting, rows // 2, self.smallest), self.rows)
        elif milliseconds < self._target_ms / 2 and rows >= self.rows:
            self.rows = min(self.rows * 2, self._largest)

    def cut_short(self, rows: int) -> None:
        """The server ended a batch of ``rows`` that took too long: a quarter of them is next, or a single row."""
        self.rows = max(rows // 4, 1)


class Pace:
    """Waits, between two transactions, while the operator or a brake asks for it.

    ``state`` is what the run says of itself, if it says anything: it is written here. ``since`` is the newest action
    when the run began: later orders are for this run. ``brakes`` are those of the run, where this session writes
    :meth:`beside` another.
    """

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        on_event: OnEvent,
        *,
        state: OwnState | None = None,
        since: int | None = None,
        brakes: Brakes | None = None,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._on_event = on_event
        self._brakes = brakes or Brakes(settings, on_event)
        self._state = state
        self._orders = Orders()
        self._unread = False  # whether orders could not be read, and that is said
        # One session of a run leads: it says which order it obeys.
        self._leads = brakes is None
        self.since = since
        self._asked = -ASK_SECONDS
        self._went_on = time.monotonic()

    def beside(self, connection: Connection, on_event: OnEvent) -> Pace:
        """The pace of another session of this run."""
        return Pace(self._settings, connection, on_event, since=self.since, brakes=self._brakes)

    def keep(self) -> None:
        """Return when nothing asks to wait. Raises StepFailed if a brake holds for ``lock_wait``; psycopg.Error."""
        worked = time.monotonic() - self._went_on
        self._pause()
        self.obey()
        self._rest(worked)
        self._await_brakes()
        self._goes_on()
        self._went_on = time.monotonic()

    def _await_brakes(self) -> None:
        began = time.monotonic()
        while (brake := self._brakes.reason(self._connection)) is not None:
            waited = time.monotonic() - began
            if waited * 1000 >= self._settings.lock_wait_ms:
                raise StepFailed(
                    brake.code,
                    f"waited {waited:.0f} s for {brake.what}; stopped between two batches",
                    hint=f"{brake.hint}; then run the same command again",
                )
            self._wait(brake.what, waited)
            began += self.obey()  # a pause is no part of the wait

    def _pause(self) -> None:
        file = self._settings.pause_file
        if file is None:
            return
        began = time.monotonic()
        while Path(file).exists():
            self._ask()
            self._wait(f"{file} to be removed", time.monotonic() - began)

    def obey(self) -> float:
        """Wait while an order says pause, and return the seconds that it did. Between two transactions."""
        self._ask()
        began = time.monotonic()
        while (order := self._orders.paused) is not None:
            self._wait(f"callctl migrate resume (paused by {order.client})", time.monotonic() - began)
            self._ask()
        if (paused := time.monotonic() - began) >= POLL_SECONDS:
            self._goes_on()
        self._tell()
        return paused

    def _rest(self, worked: float) -> None:
        """Slowed down, rest as much longer than it worked, for ``REST_SECONDS`` at most."""
        seconds = min(worked * (self._orders.share - 1), REST_SECONDS)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, POLL_SECONDS))
            self.obey()

    def _wait(self, what: str, waited: float) -> None:
        self._on_event(Waiting(what, waited))
        self._tell()
        time.sleep(POLL_SECONDS)

    def _tell(self) -> None:
        if self._state is not None:
            self._state.orders = self._orders
            self._state.tell(self._connection)

    def _goes_on(self) -> None:
        if self._state is not None:
            self._state.brake = None
            self._tell()

    def _ask(self) -> None:
        import psycopg

        now = time.monotonic()
        if now - self._asked < ASK_SECONDS:
            return
        self._asked = now
        try:
            if self.since is None:
                self.since = newest_action(self._connection)
            if not database.relation_exists(self._connection, "callctl", "action"):
                return
            orders = orders_since(self._connection, max(self.since, self._orders.newest))
        except psycopg.Error as error:
            if self._connection.closed:
                raise
            # It asks again: a paused run that asked no more would wait for ever.
            if not self._unread:
                self._on_event(Notice(f"orders of callctl migrate pause cannot be read: {database.error_text(error)}"))
            self._unread = True
            return
        for order in orders:
            self._orders = self._orders.after(order)
            if self._leads:
                self._on_event(Steered(order.word, order.client, order.at, self._orders.share))
