"""One rotation after the other on one database, disturbed at a point that was not disturbed yet, until none is left.

Where a rotation arrives although it was disturbed, the next attempt binds every value, or unbinds it: there is always
something to write.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from tests.support.db import accounts
from tests.support.faults import wire
from tests.support.faults.actions import EXITS
from tests.support.faults.chain import ATTEMPTS, Attempt, Choose, Ended, Nursery, Tally, wait_for_orphans
from tests.support.faults.kinds import Moment
from tests.support.faults.own_server import OwnServer
from tests.support.faults.points import ALL, Point, Progress, Transactions, Watch
from tests.support.faults.proxy import Proxy, Session
from tests.support.faults.rotation_scene import Secret, quietly, rest, secrets

from callctl.secrets.envelope.ring import KeyRing

BATCH = 200  # the first range of the accounts has three

# How far the rotation under way has come. One that is done stands where none was begun.
PROGRESS = """
SELECT md5(coalesce(string_agg(concat_ws(' ', g.target, g.above, g.reached, g.finished_at IS NOT NULL), ','
                               ORDER BY g.target, g.above), ''))
FROM callctl.rotation_range AS g
"""

LEDGER = ("encryption_key", "rotation", "rotation_range", "rotation_failure")


class RotationWatch(Watch):
    """A batch is read while another is written: where such a read stands, the keys that it asks for say."""

    def point(self, session: Session, text: str) -> Point | None:
        point = super().point(session, text)
        if point is None or point.kind != "read" or "t.xmin::text" not in text:
            return point
        values = hashlib.md5(wire.bound(session.request)).hexdigest()
        return Point("read", values, point.text, point.ordinal)


@dataclass
class RotationChain:
    """A database of a scene, the proxy before it, and what is known about the points of its rotations."""

    server: OwnServer
    proxy: Proxy
    nursery: Nursery
    database: str
    config: Path
    ring: KeyRing
    transactions: Transactions
    tally: Tally = field(default_factory=Tally)
    # While an application writes, what callctl has counted is more than what differs.
    counted: bool = True
    # What somebody else does, right before a statement is passed on.
    beside: Callable[[Point], None] = lambda point: None

    def __post_init__(self) -> None:
        self.url = self.server.url(self.database)
        self.progress = Progress(self.url, PROGRESS, "callctl.rotation_range")
        self.keys = [self.ring.keys[id].secret.hex() for id in self.ring.keys]
        with quietly(self.url) as db:
            self.before = secrets(db, self.ring)
            self.rest = rest(db)
        self.plaintexts = {where: (secret.plaintext, secret.raw) for where, secret in self.before.items()}
        self.broken = sum(secret.plaintext is None for secret in self.before.values())
        self._log = self.server.sockets.parent / "log"
        self._heard = self._log.stat().st_size
        self._done = 0

    @property
    def good(self) -> int:
        """The exit code of a rotation that has done all that can be done."""
        return 3 if self.broken else 0

    @property
    def rotations(self) -> int:
        """How many have come to their end."""
        return self._done

    def plain(self) -> list[str]:
        """The command without a word on binding."""
        return [
            "--config", str(self.config), "rotate-secrets", "--yes", "--batch-size", str(BATCH), "--batch-time", "60s",
            "--lock-wait", "20s",
        ]  # fmt: skip

    def command(self, *options: str) -> list[str]:
        """As it is first; then, in turns, binding everything and unbinding it."""
        binding = [] if not self._done else ["--bind"] if self._done % 2 else ["--unbind"]
        return [*self.plain(), *binding, *options]

    def run(self, *options: str, born: Callable[[int], None] = lambda pid: None, proxied: bool = False) -> Ended:
        """One rotation to its end, whatever that is."""
        url = self.proxy.url(self.database) if proxied else self.url
        return self.nursery.run(self.command(*options), url, born)

    def undisturbed(self) -> list[Point]:
        """Rotate, and learn what there is to know; the points in their order."""
        watch = RotationWatch(self.progress, self.transactions, learning=True)
        attempt, ended = self.attempt(watch, lambda point: None)
        assert ended.code == self.good, ended
        self.check("undisturbed", ended)
        return attempt.seen

    def disturbed(self, choose: Choose) -> None:
        """Rotate until nothing is left to disturb: each new point is struck once."""
        for _ in range(ATTEMPTS):
            watch = RotationWatch(self.progress, self.transactions, ALL)
            attempt, ended = self.attempt(watch, lambda point: self._chosen(point, choose))
            self.tally.known.update(attempt.seen)
            if attempt.struck is None:
                assert ended.code == self.good, ended
                self.check("undisturbed", ended)
                return
            self._check_struck(attempt, ended)
        raise AssertionError(f"no end after {ATTEMPTS} attempts: {self.tally}")

    def _chosen(self, point: Point, choose: Choose) -> tuple[str, Moment] | None:
        self.beside(point)
        if point in self.tally.tried:
            return None
        chosen = choose(point, len(self.tally.tried))
        self.tally.tried[point] = " ".join(chosen) if chosen else "left out"
        if chosen:
            self.tally.actions[chosen[0]] += 1
        return chosen

    def attempt(
        self, watch: Watch, choose: Callable[[Point], tuple[str, Moment] | None], *options: str
    ) -> tuple[Attempt, Ended]:
        """A rotation behind the proxy."""
        attempt = Attempt(self.server, watch, choose)
        self.proxy.watch(attempt)
        try:
            ended = self.run(*options, born=attempt.born, proxied=True)
        except AssertionError as hung:
            raise AssertionError(f"{attempt.struck}, then {attempt.seen[-3:]}") from hung
        self.proxy.watch(None)
        if attempt.problem is not None:
            raise AssertionError(f"the test's own work failed at {attempt.seen[-1:]}") from attempt.problem
        return attempt, ended

    # ---- what holds after every fault ------------------------------------------------------------------

    def _check_struck(self, attempt: Attempt, ended: Ended) -> None:
        assert attempt.struck is not None
        point, name, moment = attempt.struck
        place = f"{name} {moment} {point}\n{ended.errors}"
        arrived = self.check(place, ended)
        allowed = EXITS[name]
        if arrived and name != "kill":
            allowed |= {self.good}
        assert ended.code in allowed, f"exit {ended.code} after {place}"
        if ended.code in (4, 5, 130):
            assert "callctl: error: " in ended.errors, f"no word of what happened: {place}"
        if ended.code in (4, 5):
            assert "callctl: hint: " in ended.errors, f"no word of what to do: {place}"
        if ended.code == 5 and name in ("terminate", "cut", "crash", "restart"):
            assert "the server ended the connection" in ended.errors, f"no word of what happened: {place}"
        if ended.code == 5:
            assert "every value can be decrypted" in ended.errors, f"no word of what stands: {place}"
            assert "run the same command again" in ended.errors, f"no word of the next command: {place}"

    def check(self, place: str, ended: Ended) -> bool:
        """What holds at every moment; whether a rotation has come to its end since it was asked last."""
        assert "Traceback" not in ended.output + ended.errors, place
        assert "internal error" not in ended.output + ended.errors, place
        with quietly(self.url) as db:
            wait_for_orphans(db, place)
            assert _held(db) == [], f"locks are held after {place}"
            now = secrets(db, self.ring)
            if self.counted:
                assert {where: (secret.plaintext, secret.raw) for where, secret in now.items()} == self.plaintexts, (
                    place
                )
            assert rest(db) == self.rest, place
            arrived = self._ledger(db, now, place)
            ledger = "".join(
                str(row) for table in LEDGER for row in db.execute(f"TABLE callctl.{table}".encode()).fetchall()
            )
        self._nothing_leaks({"stdout": ended.output, "stderr": ended.errors, "the ledger": ledger}, place)
        return arrived

    def _ledger(self, db: psycopg.Connection[Any], now: Mapping[str, Secret], place: str) -> bool:
        """The ledger says what has been done, neither less nor more."""
        rotations = db.execute("SELECT id, outcome, counts, failures FROM callctl.rotation ORDER BY id").fetchall()
        finished = [row for row in rotations if row[1] == "done"]
        opened = [row[0] for row in rotations if row[1] is None]
        assert len(opened) <= 1, place
        assert len(finished) + len(opened) == len(rotations), f"one was given up after {place}"
        arrived = len(finished) > self._done
        assert len(finished) - self._done <= 1, place
        ranges = db.execute("SELECT rotation, counts, failures, rows_done FROM callctl.rotation_range").fetchall()
        assert {row[0] for row in ranges} == set(opened), place
        changed = sum(
            (secret.key, secret.version) != (self.before[where].key, self.before[where].version)
            for where, secret in now.items()
        )
        counts = [row[1] for row in ranges] or ([finished[-1][2]] if arrived else [])
        if self.counted:
            assert sum(map(values, counts)) == changed, f"counted otherwise than done after {place}"
        encrypted = sum(values(row[2]) for row in finished) + sum(values(row[1]) for row in ranges)
        row = db.execute("SELECT sum(encryptions) FROM callctl.encryption_key WHERE id = 'k2'").fetchone()
        assert ((row and row[0]) or 0) >= encrypted, f"more encrypted than counted after {place}"
        listed = dict(
            db.execute("SELECT rotation, count(*) FROM callctl.rotation_failure GROUP BY rotation").fetchall()
        )
        failures = {row[0]: row[3] for row in finished} | dict.fromkeys(opened, 0)
        for row in ranges:
            failures[row[0]] += row[2]
        assert listed == {id: number for id, number in failures.items() if number}, f"listed otherwise after {place}"
        assert all(row[3] == self.broken for row in finished), place
        if arrived:
            assert (
                all(secret.key == "k2" for secret in now.values() if secret.plaintext is not None) or not self.counted
            )
            self._done = len(finished)
        if not opened:
            self.before = dict(now)
        return arrived

    def _nothing_leaks(self, texts: Mapping[str, str], place: str) -> None:
        with self._log.open("rb") as file:
            file.seek(self._heard)
            logged = file.read()
        self._heard += len(logged)
        for name, text in {**texts, "the server's log": logged.decode(errors="replace")}.items():
            for secret in (accounts.CANARY, *self.keys):
                position = text.lower().find(secret)
                assert position < 0, (
                    f"a secret is in {name} after {place}: {text[max(position - 300, 0) : position + 300]}"
                )


def values(counts: Mapping[str, Any]) -> int:
    """How many values the counts of a rotation, or of a range, say were written."""
    return sum(change["values"] for change in counts.get("changes", ()))


def shape(point: Point) -> str:
    """The statement without its session's number."""
    return re.sub(r"^\d+ |\d+", "", point.text)


def _held(db: psycopg.Connection[Any]) -> list[Any]:
    return db.execute(
        "SELECT l.locktype, c.oid::regclass::text, l.mode, a.application_name FROM pg_locks AS l"
        " LEFT JOIN pg_class AS c ON c.oid = l.relation"
        " LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid"
        " WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND (l.locktype = 'advisory' OR c.relnamespace IN"
        "   (SELECT oid FROM pg_namespace WHERE nspname IN ('chatapp', 'callctl')))"
        " AND coalesce(a.backend_type, '') <> 'autovacuum worker' AND coalesce(a.application_name, '') <> 'application'"
    ).fetchall()
