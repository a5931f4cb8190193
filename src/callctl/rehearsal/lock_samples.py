"""The locks that clients wait for, as a second session sees them while the steps run: sampled, not traced."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.errors import CallctlError
from callctl.files import read_sql
from callctl.forecast.catalog import Name
from callctl.forecast.locks import BY_MODE, Mode
from callctl.forecast.outlook import ARCHIVES

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.events import Direction
    from callctl.forecast.outlook import Outlook

PAUSE_SECONDS = 0.002
APPLICATION = "callctl rehearsal: locks"


@dataclass(frozen=True)
class SeenLock:
    """The strongest lock seen on a table; ``seconds`` are the most between two looks that saw the same session's."""

    mode: Mode
    seconds: float


@dataclass(frozen=True)
class LockResult:
    """A table whose clients wait: the lock that the forecast told, and the one that was seen.

    ``told`` is None if the forecast tells of none; ``seen`` if no look saw one: it may have been shorter than the
    time between two.
    """

    direction: Direction
    schema: str
    table: str
    told: Mode | None
    seen: Mode | None
    seconds: float

    @property
    def surprising(self) -> bool:
        """Whether a stronger lock was seen than the forecast told."""
        return self.seen is not None and (self.told is None or self.seen > self.told)


class LockSampler:
    """Looks at pg_locks again and again, in a thread and a session of its own, while the context is open."""

    def __init__(self, settings: Settings, schema: str) -> None:
        self._settings, self._schema = settings, schema
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: dict[Name, SeenLock] = {}
        self.looks = 0
        self.broken = False  # its session ended: locks may have been missed

    def __enter__(self) -> LockSampler:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        import psycopg

        try:
            with closing(database.connect(self._settings, application_name=APPLICATION)) as connection:
                self._watch(connection)
        except (psycopg.Error, CallctlError):
            self.broken = True

    def _watch(self, connection: Connection) -> None:
        query = read_sql("rehearsal/locks_held.sql")
        parameters = {"schema": self._schema, "archived": sorted(ARCHIVES)}
        began: dict[tuple[int, Name], float] = {}
        while not self._stop.wait(PAUSE_SECONDS):
            now = time.monotonic()
            held: dict[tuple[int, Name], Mode] = {}
            for pid, schema, table, mode in connection.execute(query, parameters).fetchall():
                lock = pid, Name(schema, table)
                held[lock] = max(BY_MODE[mode], held.get(lock, BY_MODE[mode]))
            began = {lock: began.get(lock, now) for lock in held}
            self.looks += 1
            for (pid, name), strongest in held.items():
                self._note(name, strongest, now - began[pid, name])

    def _note(self, name: Name, mode: Mode, seconds: float) -> None:
        before = self.seen.get(name, SeenLock(mode, seconds))
        self.seen[name] = SeenLock(max(mode, before.mode), max(seconds, before.seconds))


def told_by(outlook: Outlook) -> dict[Name, Mode]:
    """The tables whose clients wait by the forecast of a run, and the strongest lock on each."""
    told: dict[Name, Mode] = {}
    for step in outlook.steps:
        for transaction in step.transactions:
            for name, mode in transaction.blocked.items():
                told[name] = max(mode, told.get(name, mode))
    return told


def compared(direction: Direction, told: Mapping[Name, Mode], sampler: LockSampler) -> tuple[LockResult, ...]:
    """Each table with a lock that was told or seen. On the way up no client uses the tables that the steps make."""
    names = sorted({*told, *sampler.seen})
    return tuple(
        LockResult(direction, name.schema, name.name, told.get(name), *_seen(sampler.seen.get(name)))
        for name in names
        if direction == "down" or name.name not in ARCHIVES
    )


def _seen(lock: SeenLock | None) -> tuple[Mode | None, float]:
    return (None, 0.0) if lock is None else (lock.mode, lock.seconds)
