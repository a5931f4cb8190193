"""The load itself: call sessions and dashboards, each by a plan of its own, on one event loop.

Every statement has a planned start; how long it took counts from there, so that a server that stalls is not spared the
statements it would have got meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from callctl.database import connection as database
from callctl.errors import ConnectionFailed
from callctl.loadtest.measure import Sent
from callctl.loadtest.rows import Own, Query, values_of

if TYPE_CHECKING:
    import psycopg

    from callctl.config.settings import Settings

    AsyncConnection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

SESSION = "callctl loadtest"
LINES = 20
# Sessions for each dashboard; seconds between its queries.
SESSIONS_OF_A_DASHBOARD = 10
DASHBOARD_SECONDS = 0.2
DASHBOARD = (
    "company_page",
    "active_calls",
    "search",
    "low_confidence",
    "chatbot_calls",
    "end_user_calls",
    "conversation_calls",
    "calls_by_day",
    "account_calls",
    "company_calls",
)
# How many connections are opened at the same time.
_OPEN_AT_ONCE = 10
# How long after its end the load waits for answers; what has none by then is counted as a failure.
GRACE_SECONDS = 10.0
_SAID = (
    ("assistant", "Thank you for calling. How can I help you today?"),
    ("user", "Could you tell me when my order will be here?"),
    ("assistant", "It left our warehouse this morning and arrives tomorrow."),
    ("user", "Then I want a refund for the one of last week, please."),
)


@dataclass(frozen=True)
class Workload:
    """The load and its duration. ``calls`` bounds the number of calls; None for no bound but the time."""

    sessions: int
    connections: int
    seconds: float
    calls: int | None
    call_seconds: float

    @property
    def spread_seconds(self) -> float:
        """Over how long the sessions begin: not all with the same statement at the same moment."""
        return min(self.call_seconds, self.seconds / 4)


@dataclass
class Load:
    """One run of it, and what it has measured so far."""

    workload: Workload
    queries: Mapping[str, Query]
    own: Own
    on_second: Callable[[float, int], None]
    sent: list[Sent] = field(default_factory=list)
    started: int = 0
    completed: int = 0
    lines: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    stopped: str | None = None
    ended: bool = False
    _began: float = 0.0
    _at_work: int = 0
    _waiting: dict[int, Sent] = field(default_factory=dict)
    _pool: asyncio.Queue[AsyncConnection] = field(default_factory=asyncio.Queue)
    _connections: list[AsyncConnection] = field(default_factory=list)

    async def open(self, settings: Settings) -> None:
        """Open the connections. Raises ConnectionFailed, saying how many there were when the server had no more."""
        room = asyncio.Semaphore(_OPEN_AT_ONCE)

        async def open_one() -> None:
            async with room:
                self._connections.append(await database.open_async(settings, SESSION))

        opened = await asyncio.gather(*(open_one() for _ in range(self.workload.connections)), return_exceptions=True)
        for problem in opened:
            if isinstance(problem, ConnectionFailed):
                raise ConnectionFailed(
                    problem.code,
                    f"after {len(self._connections)} of {self.workload.connections} connections: {problem.message}",
                    hint="add --connections N, so that the sessions share fewer connections; nothing was changed",
                )
            if problem is not None:
                raise problem
        for connection in self._connections:
            self._pool.put_nowait(connection)

    async def close(self) -> None:
        for connection in self._connections:
            with contextlib.suppress(Exception):
                await connection.close()

    async def run(self) -> None:
        """Run it to its end, or until it is interrupted or a connection is lost; what was measured stays."""
        self._began = time.perf_counter()
        dashboards = max(1, self.workload.sessions // SESSIONS_OF_A_DASHBOARD)
        self._at_work = self.workload.sessions
        load = [asyncio.create_task(self._session(number)) for number in range(self.workload.sessions)]
        load += [asyncio.create_task(self._dashboard(number)) for number in range(dashboards)]
        clock = asyncio.create_task(self._clock())
        try:
            ended, going_on = await asyncio.wait(
                load, timeout=self.workload.seconds + GRACE_SECONDS, return_when=asyncio.FIRST_EXCEPTION
            )
            for task in ended:
                if (problem := task.exception()) is not None and not isinstance(problem, _Lost):
                    raise problem
            if going_on and self.stopped is None:
                self.sent += [
                    statement._replace(answered=self._now(), error="no answer") for statement in self._waiting.values()
                ]
                self.stopped = f"statements had no answer {GRACE_SECONDS:.0f} s after the end"
        except asyncio.CancelledError:
            self.interrupted = True
        finally:
            self.seconds = self._now()
            self.ended = True
            await _ended([*load, clock])

    def stop(self, why: str) -> None:
        """End it soon; may be called from another thread."""
        self.stopped = self.stopped or why

    def _now(self) -> float:
        return time.perf_counter() - self._began

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.on_second(self._now(), self.completed)

    # ---- one session -------------------------------------------------------------------------------------

    async def _session(self, number: int) -> None:
        """One call after another, each when the plan says, however long the one before has taken."""
        start = self.workload.spread_seconds * number / self.workload.sessions
        while start < self.workload.seconds and (self.workload.calls is None or self.started < self.workload.calls):
            self.started += 1
            await self._call(number, start)
            start += self.workload.call_seconds
        self._at_work -= 1

    async def _call(self, number: int, start: float) -> None:
        call = str(uuid.uuid4())
        values = values_of(self.own, call, number=number)
        free = start
        for share, query, line in script():
            planned = start + share * self.workload.call_seconds
            if planned >= self.workload.seconds:
                return
            if line is not None:
                values |= self._line(line)
            free = await self._statement(query, values, planned, free)
            self.lines += line is not None
        self.completed += 1

    def _line(self, line: int) -> dict[str, object]:
        role, content = _SAID[line % len(_SAID)]
        # Within the call, as the clock of a real one would have it: answered after a tenth, over before the rest.
        line_ms = int(self.workload.call_seconds * 1000 * 0.8 / LINES)
        confidence = f"{random.uniform(0.5, 1.0):.4f}"
        start = line * line_ms
        return {
            "role": role,
            "content": content,
            "start_time": start,
            "end_time": start + max(line_ms - 1, 1),
            "confidence": confidence,
        }

    async def _dashboard(self, number: int) -> None:
        asked = number
        planned = self.workload.spread_seconds / 2
        free = planned
        # For as long as there are calls; what is asked by then is waited for, so that the slowest is not left out.
        while planned < self.workload.seconds and self._at_work:
            values = values_of(self.own, str(uuid.UUID(int=0)), number=number + asked)
            free = await self._statement(DASHBOARD[asked % len(DASHBOARD)], values, planned, free)
            asked += 1
            planned += DASHBOARD_SECONDS

    # ---- one statement -----------------------------------------------------------------------------------

    async def _statement(self, name: str, values: Mapping[str, object], planned: float, free: float) -> float:
        """Send it when it is planned, or when the session is free; returns when the answer was there."""
        import psycopg

        query = self.queries[name]
        wait = planned - self._now()
        if wait > 0:
            await asyncio.sleep(wait)
        asked = self._now()
        if self.ended or self.stopped is not None:
            raise _Lost
        connection = await self._pool.get()
        sent = self._now()
        error = None
        under_way = Sent(name, planned, max(planned, free), asked, sent, sent, None)
        self._waiting[id(under_way)] = under_way
        try:
            await psycopg.AsyncRawCursor(connection).execute(
                # As bytes: see queries.run.
                query.sql.encode(),
                [values[parameter] for parameter in query.parameters] or None,
            )
        except psycopg.Error as problem:
            if connection.closed:
                self.stop(f"the server ended a connection: {database.error_text(problem)}")
                raise _Lost from None
            error = type(problem).__name__
        del self._waiting[id(under_way)]
        self._pool.put_nowait(connection)
        answered_at = self._now()
        self.sent.append(under_way._replace(answered=answered_at, error=error))
        return answered_at


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    """Return when all of them have ended. One is told again: a driver in the middle of an answer may not hear it."""
    while unfinished := [task for task in tasks if not task.done()]:
        for task in unfinished:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(unfinished, timeout=0.5)
    await asyncio.gather(*tasks, return_exceptions=True)


def script() -> Iterator[tuple[float, str, int | None]]:
    """A call: what is sent at which share of its time, and the number of the line for a line of the transcript."""
    yield 0.0, "start_call", None
    yield 0.03, "find_call", None
    yield 0.03, "ring", None
    yield 0.1, "find_call", None
    yield 0.1, "answer", None
    for line in range(LINES):
        yield 0.1 + 0.8 * (line + 1) / LINES, "add_line", line
    yield 0.93, "find_call", None
    yield 0.93, "complete", None
    yield 0.95, "transcript", None
    yield 0.95, "talk_time", None
    yield 0.95, "user_lines", None


class _Lost(Exception):
    """A connection is gone, or the load was stopped: it cannot continue."""
