"""How far a rotation has come, whoever works at it, and who is waited for: told now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from callctl.database.lock import RANGE_CLASS
from callctl.events import Notice, OnEvent, RotationProgress, Waiting
from callctl.files import read_sql
from callctl.secrets.rotation.worker import Other, heard

if TYPE_CHECKING:
    from callctl.database.connection import Connection

SECONDS_BETWEEN = 0.5
POLL_SECONDS = 0.2
# A session that has been silent for so long may be of a callctl that was stopped, or cut off from the server.
SILENT_SECONDS = 20.0


class Watch:
    """How far the rotation has come, whoever works at it, told now and then."""

    def __init__(self, connection: Connection, rotation: int, on_event: OnEvent, done: list[tuple[int, int]]) -> None:
        self._connection = connection
        self._rotation = rotation
        self._on_event = on_event
        self._done = done
        self._began = time.monotonic()
        self._at_first: int | None = None
        self._last = -SECONDS_BETWEEN
        self._waiting: float | None = None
        self._named: set[int] = set()

    def remaining(self) -> int:
        """How many ranges are not done; tells how far it has come."""
        return self._look()[2]

    def between(self, started: list[Other]) -> None:
        """After a batch: pass on what the other processes said, and tell how far it has come."""
        heard(started, self._on_event)
        self._waiting = None
        if time.monotonic() - self._last >= SECONDS_BETWEEN:
            self._look()

    def wait(self, started: list[Other]) -> None:
        """The ranges that are left are in other hands."""
        heard(started, self._on_event)
        now = time.monotonic()
        self._waiting = self._waiting or now
        if all(other.over for other in started):
            self._on_event(Waiting(f"another callctl at the same rotation{self._holders()}", now - self._waiting))
        time.sleep(POLL_SECONDS)

    def _holders(self) -> str:
        """The sessions that have what is left; of one that has long been silent, how to go on without it."""
        values = {"classid": RANGE_CLASS, "rotation": self._rotation}
        rows = self._connection.execute(read_sql("secrets/rotation/holders.sql"), values).fetchall()
        named = []
        for pid, address, user, since, silent in rows:
            named.append(f"pid {pid}, from {address} as {user}, since {since:%Y-%m-%d %H:%M:%S%z}")
            if silent is not None and silent >= SILENT_SECONDS and pid not in self._named:
                self._named.add(pid)
                self._on_event(
                    Notice(
                        f"the server has heard nothing of pid {pid} for {silent:.0f} s; if that callctl pauses, it goes"
                        f" on by itself; if it is frozen or cut off, SELECT pg_terminate_backend({pid}) lets this one"
                        " do its work"
                    )
                )
        return f" ({'; '.join(named)})" if named else ""

    def _look(self) -> tuple[int, int, int, int]:
        row = self._connection.execute(
            read_sql("secrets/rotation/progress.sql"), {"rotation": self._rotation}
        ).fetchone()
        assert row is not None
        done, total, left, failures = row
        now = time.monotonic()
        if self._at_first is None:
            self._at_first = done
        rate = (done - self._at_first) / max(now - self._began, 0.001)
        seconds_left = max(total - done, 0) / rate if rate else 0.0
        self._last = now
        if left:
            self._done[:] = [(done, total)]
            self._on_event(RotationProgress(done, max(total, done), failures, seconds_left))
        return done, total, left, failures
