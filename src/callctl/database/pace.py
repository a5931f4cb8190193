"""Sets the pace of a run: the number of rows in a batch, a pause file, and replicas that fall behind."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from callctl.errors import Code, StepFailed
from callctl.events import OnEvent, Waiting
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

POLL_SECONDS = 0.2
LOOK_SECONDS = 1.0
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
    """Waits, between two transactions, while the operator or a replica asks for it.

    The lag of a replica is the time since this server had the replica's present position: the server's own replay_lag
    stops moving when a replica stops replaying.
    """

    def __init__(self, settings: Settings, connection: Connection, on_event: OnEvent) -> None:
        self._settings = settings
        self._connection = connection
        self._on_event = on_event
        self._stood: deque[tuple[int, float]] = deque()  # (WAL position, when this server had it)
        self._looked = -LOOK_SECONDS

    def keep(self) -> None:
        """Return when nothing asks to wait.

        Raises StepFailed if a replica does not come closer than ``max_replication_lag`` within ``lock_wait``.
        """
        self._pause()
        began = time.monotonic()
        while (behind := self._behind()) is not None:
            name, seconds = behind
            waited = time.monotonic() - began
            if waited * 1000 >= self._settings.lock_wait_ms:
                raise StepFailed(
                    Code.REPLICA_BEHIND,
                    f"replica {name} has been more than {self._settings.max_replication_lag_ms / 1000:g} s behind"
                    f" (max_replication_lag) for {waited:.0f} s; stopped between two batches",
                    hint="wait for the replica, or set a larger --max-replication-lag; then run the same command again",
                )
            self._on_event(Waiting(f"replica {name}, {seconds:.0f} s behind", waited))
            time.sleep(POLL_SECONDS)

    def _pause(self) -> None:
        file = self._settings.pause_file
        if file is None:
            return
        began = time.monotonic()
        while Path(file).exists():
            self._on_event(Waiting(f"{file} to be removed", time.monotonic() - began))
            time.sleep(POLL_SECONDS)

    def _behind(self) -> tuple[str, float] | None:
        """The replica that is too far behind, and by how many seconds."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return None
        self._looked = now
        here, replicas = None, []
        for position, name, replayed in self._connection.execute(read_sql("database/replicas.sql")).fetchall():
            here = position
            if replayed is not None:
                replicas.append((name, replayed))
        if here is None:
            return None
        self._stood.append((here, now))
        worst = max(((now - self._when(replayed), name) for name, replayed in replicas), default=(0.0, ""))
        if worst[0] * 1000 <= self._settings.max_replication_lag_ms:
            return None
        self._looked = -LOOK_SECONDS  # look again at the next poll
        return worst[1], worst[0]

    def _when(self, replayed: int) -> float:
        """Return the time at which this server had a replica's present position, as far as callctl watched it."""
        when = self._stood[0][1]
        for position, seen in self._stood:
            if position > replayed:
                break
            when = seen
        return when
