"""One migration, disturbed at a point that was not disturbed yet, again and again until nothing is left to disturb."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.support.faults.actions import ACTIONS, ERRORS, EXITS, GOES_ON
from tests.support.faults.kinds import Moment
from tests.support.faults.own_server import OwnServer, administer
from tests.support.faults.points import Point, Progress, Transactions, Watch
from tests.support.faults.proxy import Fault, Outcome, Proxy, Session

from callctl.files import step_directories

ATTEMPTS = 5000  # more than any chain needs; one that does not get on ends here
BATCH = 10  # of 40 rows: a statement has several
SECONDS = 120  # for one run of callctl, whatever else the machine does

Choose = Callable[[Point, int], tuple[str, Moment] | None]


@dataclass(frozen=True)
class Ended:
    """How one run of callctl ended, and what it said."""

    code: int
    output: str
    errors: str


class Nursery:
    """Starts callctl processes; see fork_server.py."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def run(self, arguments: Sequence[str], url: str, born: Callable[[int], None] = lambda pid: None) -> Ended:
        """Run one to its end; ``born`` gets its pid first."""
        output, errors = self._directory / "output", self._directory / "errors"
        order = {
            "arguments": list(arguments),
            "environment": {"PATH": os.environ["PATH"], "CALLCTL_DATABASE_URL": url, "PYTHONHASHSEED": "0"},
            "output": str(output),
            "errors": str(errors),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        pid = int(_line(self._process.stdout, "pid"))
        alarm = threading.Timer(SECONDS, _end, (pid,))
        alarm.start()
        born(pid)
        code = int(_line(self._process.stdout, "exit"))
        hung = not alarm.is_alive()
        alarm.cancel()
        ended = Ended(code, output.read_text(), errors.read_text())
        assert not hung, f"callctl {' '.join(arguments)} did not end: {ended}"
        return ended

    def warm(self, arguments: Sequence[str], url: str) -> None:
        """Run a command that only reads in the nursery itself: what it keeps of the SQL files, its children have."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"arguments": list(arguments), "url": url}) + "\n")
        assert int(_line(self._process.stdout, "warm")) == 0

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _end(pid: int) -> None:
    """End one that does not end by itself; it says first where it stands."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGUSR1)
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)


def _line(stream: IO[str], word: str) -> str:
    first, _, rest = stream.readline().partition(" ")
    assert first == word, f"the nursery said {first!r} and not {word!r}"
    return rest


class Attempt:
    """One run of callctl under watch: an observer that lets a fault strike at one point, or at none."""

    def __init__(self, server: OwnServer, watch: Watch, choose: Callable[[Point], tuple[str, Moment] | None]) -> None:
        self.server = server
        self.cancel_seen = threading.Event()
        self.seen: list[Point] = []
        self.struck: tuple[Point, str, Moment] | None = None
        self.problem: BaseException | None = None
        self._watch = watch
        self._choose = choose
        self._pid = 0
        self._born = threading.Event()

    def born(self, pid: int) -> None:
        self._pid = pid
        self._born.set()

    @property
    def pid(self) -> int:
        """callctl's process."""
        assert self._born.wait(10)
        return self._pid

    def statement(self, session: Session, text: str) -> Fault | None:
        try:
            point = self._watch.point(session, text)
            if point is None:
                return None
            self.seen.append(point)
            chosen = None if self.struck else self._choose(point)
            if chosen is None:
                return None
            name, moment = chosen
            self.struck = (point, name, moment)
            return Fault(moment, self._act(name))
        except BaseException as error:
            self.problem = error
            raise

    def _act(self, name: str) -> Callable[[Session], Outcome]:
        def act(session: Session) -> Outcome:
            try:
                return ACTIONS[name](self, session)
            except BaseException as error:
                self.problem = error
                raise

        return act

    def answered(self, session: Session, text: str, failed: bool) -> None:
        self._watch.answered(session)

    def cancelled(self) -> None:
        self.cancel_seen.set()


@dataclass
class Tally:
    """What a chain knew and what it tried; ``behind`` are points that came behind a fault, in the same run."""

    known: set[Point] = field(default_factory=set)
    behind: set[Point] = field(default_factory=set)
    tried: dict[Point, str] = field(default_factory=dict)
    actions: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.actions.items()))
        return f"{len(self.known)} points, {sum(self.actions.values())} faults tried ({counts})"


@dataclass
class Chain:
    """A database under migration, the proxy before it, and what is known about its points."""

    server: OwnServer
    proxy: Proxy
    nursery: Nursery
    database: str
    transactions: Transactions
    tally: Tally = field(default_factory=Tally)
    status_every: int = 10  # a process more for one fault in so many
    steps: int = len(step_directories())  # how many of them are gone through
    options: dict[str, list[str]] = field(default_factory=lambda: {"up": [], "down": ["--all"]})

    def __post_init__(self) -> None:
        self.progress = Progress(self.server.url(self.database))

    def command(self, direction: str) -> list[str]:
        pace = ["--batch-size", str(BATCH), "--lock-wait", "20s"]
        return ["migrate", direction, *self.options[direction], "--yes", *pace]

    def undisturbed(self, direction: str) -> list[Point]:
        """Run to the end, and learn what there is to know; the points in their order."""
        watch = Watch(self.progress, self.transactions, learning=True)
        attempt, ended = self._attempt(direction, watch, lambda point: None)
        assert ended.code == 0, ended
        return attempt.seen

    def disturbed(self, direction: str, choose: Choose, *, kinds: frozenset[str]) -> None:
        """Run until nothing is left to disturb: each new point of ``kinds`` is struck once."""
        for _ in range(ATTEMPTS):
            watch = Watch(self.progress, self.transactions, kinds)
            attempt, ended = self._attempt(direction, watch, lambda point: self._chosen(point, choose, kinds))
            self._learn(attempt, kinds)
            if attempt.struck is None:
                assert ended.code == 0, ended
                return
            self._check(direction, attempt, ended)
        raise AssertionError(f"no end after {ATTEMPTS} attempts: {self.tally}")

    def _learn(self, attempt: Attempt, kinds: frozenset[str]) -> None:
        seen = [point for point in attempt.seen if point.kind in kinds]
        if attempt.struck is not None and attempt.struck[1] in GOES_ON:
            # What is committed behind a Ctrl-C, or rolled back behind an error, does not come again.
            last = seen.index(attempt.struck[0]) + 1
            self.tally.behind.update(seen[last:])
            del seen[last:]
        self.tally.known.update(seen)

    def _chosen(self, point: Point, choose: Choose, kinds: frozenset[str]) -> tuple[str, Moment] | None:
        if point.kind not in kinds or point in self.tally.tried:
            return None
        chosen = choose(point, len(self.tally.tried))
        if chosen is None:
            self.tally.tried[point] = "left out"
            return None
        self.tally.tried[point] = " ".join(chosen)
        self.tally.actions[chosen[0]] += 1
        return chosen

    def _attempt(
        self, direction: str, watch: Watch, choose: Callable[[Point], tuple[str, Moment] | None]
    ) -> tuple[Attempt, Ended]:
        attempt = Attempt(self.server, watch, choose)
        self.proxy.watch(attempt)
        ended = self.nursery.run(self.command(direction), self.proxy.url(self.database), attempt.born)
        self.proxy.watch(None)
        if attempt.problem is not None:
            raise AssertionError(f"the test's own work failed at {attempt.seen[-1:]}") from attempt.problem
        return attempt, ended

    # ---- what holds after every fault ------------------------------------------------------------------

    def _check(self, direction: str, attempt: Attempt, ended: Ended) -> None:
        assert attempt.struck is not None
        point, name, moment = attempt.struck
        place = f"{name} {moment} {direction} {point}\n{ended.errors}"
        allowed = EXITS[name]
        if point.kind == "read" and name in ERRORS:
            allowed |= {3}  # refused, or (0) a question of preflight's without an answer
        letting_go = "pg_advisory_unlock" in point.text  # everything is committed by then
        if (moment != "before" or 3 in allowed or letting_go) and self._arrived(direction):
            allowed |= {0}  # the answer to the last COMMIT came through
        assert ended.code in allowed, f"exit {ended.code} after {place}"
        if name != "kill" and ended.code != 0:
            self._check_message(name, ended, place, begun=point.kind == "write")
        with administer(self.server.url(self.database)) as admin:
            wait_for_orphans(admin, place)
            held = admin.execute(
                "SELECT c.oid::regclass::text, l.mode, l.pid FROM pg_locks AS l"
                " JOIN pg_class AS c ON c.oid = l.relation"
                " WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                " AND c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('chatapp', 'callctl'))"
                " AND l.pid NOT IN (SELECT pid FROM pg_stat_activity WHERE backend_type = 'autovacuum worker')"
            ).fetchall()
            assert held == [], f"locks {held} are held after {place}"
            invalid = [
                row[0]
                for row in admin.execute(
                    "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready)"
                ).fetchall()
            ]
            half = _half_done(admin)
        assert not (invalid and not half), f"index {invalid} is invalid and no step is half done after {place}"
        if sum(self.tally.actions.values()) % self.status_every == 0 or invalid:
            status = self.nursery.run(["migrate", "status", "--output", "json"], self.server.url(self.database))
            assert status.code in (0, 3), f"{status} after {place}"
            shown = {
                (step["number"], step["state"].removeprefix("half "))
                for step in json.loads(status.output)["steps"]
                if step["state"].startswith("half ")
            }
            assert shown == half, f"status says {shown}, the checkpoints {half}, after {place}"

    def _arrived(self, direction: str) -> bool:
        with administer(self.server.url(self.database)) as admin:
            if admin.execute("SELECT to_regclass('callctl.history')::text").fetchone() == (None,):
                return False
            row = admin.execute(
                "SELECT count(*) FROM callctl.history AS h WHERE direction = 'up' AND id ="
                " (SELECT max(id) FROM callctl.history AS newer WHERE newer.step = h.step)"
            ).fetchone()
            return row == (self.steps if direction == "up" else 0,)

    @staticmethod
    def _check_message(name: str, ended: Ended, place: str, *, begun: bool) -> None:
        assert "Traceback" not in ended.errors, place
        assert "internal error" not in ended.errors, place
        assert "callctl: error: " in ended.errors, f"no word of what happened: {place}"
        # Interrupted twice it ends at once; and before it has begun, there is nothing to say but that.
        if name != "sigint2" and (begun or name != "sigint"):
            assert "callctl: hint: " in ended.errors, f"no word of what to do: {place}"
        if ended.code == 5:
            state = re.search(
                r"is not finished|partly applied|rolled back|stopped before the next statement|stays|no step was begun",
                ended.errors,
            )
            assert state, f"no word of what stands: {place}"
            assert "run the same command again" in ended.errors, f"no word of the next command: {place}"


def _half_done(admin: Any) -> set[tuple[int, str]]:
    if admin.execute("SELECT to_regclass('callctl.checkpoint')::text").fetchone() == (None,):
        return set()
    return set(admin.execute("SELECT DISTINCT step, direction FROM callctl.checkpoint").fetchall())


def wait_for_orphans(admin: Any, place: str) -> None:
    """Until no backend of callctl's is left: what was cut off ends its statement first."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        sessions = admin.execute(
            "SELECT pid, query FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'callctl%'"
        ).fetchall()
        if not sessions:
            return
        time.sleep(0.01)
    raise AssertionError(f"backends {sessions} are left after {place}")
