"""Every secret under the primary key: begins a rotation or joins one, works at it to its end, and tells how far it is.

After any stop, every value can be read with the keys of the ring, and the next run resumes
from the last batch.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from callctl import __version__
from callctl.database import connection as database
from callctl.database import store
from callctl.database.guarded import WorkLockBusy, in_transaction
from callctl.database.lock import RANGE_CLASS, ROTATE_SESSION, ROTATION_CLASS, MigrationLock
from callctl.errors import UNCHANGED, Code, ConnectionFailed, Interrupted, LockHeld, State, StepFailed
from callctl.events import Notice, OnEvent, RotationProgress, Waiting, ignore
from callctl.files import read_sql
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.fields import declared
from callctl.secrets.envelope.key_ledger import make_ready
from callctl.secrets.envelope.ring import KeyRing, load_key_ring
from callctl.secrets.inventory.plaintext_copies import Copy, copies
from callctl.secrets.inventory.scan import Scan, alone, beside
from callctl.secrets.rotation.ranges import RANGE_ROWS, Tally
from callctl.secrets.rotation.worker import Job, Other, at_the_rotation, heard, others, told
from callctl.secrets.rows import tables
from callctl.secrets.rows.row import MOST_LISTED, PLAINTEXT, Binding, FieldName, RowName, SecretTable
from callctl.secrets.rows.tables import assert_matched, query, secret_tables

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# The progress of a rotation, of all its processes, and the sessions that it waits for: told now and then.

SECONDS_BETWEEN = 0.5
POLL_SECONDS = 0.2
# A session that has been silent for so long may be of a callctl that was stopped, or cut off from the server.
SILENT_SECONDS = 20.0


class Watch:
    """The progress of the rotation, of all its processes, told now and then."""

    def __init__(
        self, connection: Connection, rotation: int, on_event: OnEvent, progress: list[tuple[int, int]]
    ) -> None:
        self._connection = connection
        self._rotation = rotation
        self._on_event = on_event
        self._progress = progress
        self._began = time.monotonic()
        self._at_first: int | None = None
        self._last = -SECONDS_BETWEEN
        self._waiting: float | None = None
        self._named: set[int] = set()

    def remaining(self) -> int:
        """Return the number of ranges that are not done, and report the progress."""
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
        """The sessions that have what is left; of one that has long been silent, how to continue without it."""
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
        rows_done, total, ranges_left, failures = row
        now = time.monotonic()
        if self._at_first is None:
            self._at_first = rows_done
        rate = (rows_done - self._at_first) / max(now - self._began, 0.001)
        seconds_left = max(total - rows_done, 0) / rate if rate else 0.0
        self._last = now
        if ranges_left:
            self._progress[:] = [(rows_done, total)]
            self._on_event(RotationProgress(rows_done, max(total, rows_done), failures, seconds_left))
        return rows_done, total, ranges_left, failures


# Every secret under the primary key: begins a rotation, or joins the one under way, and works at it to its end.

SMALLEST_RANGE = 500
BEGIN_TIMES = 10


@dataclass(frozen=True)
class Left:
    """A value left as it was: where it is, and why. Never the value."""

    table: str
    row_id: str
    field: str
    reason: str


@dataclass(frozen=True)
class ForeignLeft:
    """Values of one field that were left as another tool's ciphertext: how many are listed, and the first rows."""

    table: str
    field: str
    reason: str
    values: int
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Changed:
    """Values of one field encrypted under the primary key; ``was`` is 'plaintext', 'foreign ciphertext' or a key id."""

    account_type: str | None
    field: str
    was: str
    values: int


@dataclass(frozen=True)
class Rotated:
    """A rotation that is done, by all its processes.

    ``left`` holds the first of the ``failures``; ``misshapen`` how many accounts of a type have credentials that differ
    from the specification's; ``foreign`` what was left because another tool has encrypted it; ``outside`` what a scan
    found where no field is declared; ``copies`` what fired on the rows written, and where their plaintext may be still;
    ``bound`` the fields that this rotation was the first to bind.
    """

    rotation: int
    key: str
    binding: Binding
    joined: bool
    started_at: datetime
    finished_at: datetime | None
    rows_read: int
    rows_written: int
    changed: tuple[Changed, ...]
    failures: int
    left: tuple[Left, ...]
    misshapen: Mapping[str, int]
    foreign: tuple[ForeignLeft, ...]
    outside: Scan
    copies: tuple[Copy, ...]
    seconds: float
    bound: tuple[FieldName, ...] = ()

    @property
    def plaintext(self) -> int:
        """The number of values that were in plaintext before."""
        return sum(change.values for change in self.changed if change.was == PLAINTEXT)

    @property
    def values(self) -> int:
        """The number of values that were encrypted under the primary key."""
        return sum(change.values for change in self.changed)


def rotate(
    settings: Settings,
    *,
    binding: Binding = "keep",
    bind_new: Sequence[str] = (),
    workers: int = 1,
    wait: bool = False,
    encrypt_foreign: bool = False,
    on_event: OnEvent = ignore,
) -> Rotated:
    """Encrypt every declared secret under the primary key, in ``workers`` processes. A second run writes nothing.

    What does not open is left as it was and listed; so is what another tool has encrypted, unless ``encrypt_foreign``,
    and what no declared path reaches. So is what is unbound in a field that an earlier ``bind`` has bound: unless
    ``bind_new`` names its row, by its id or as TABLE:ID; then it is bound. ``unbind`` forgets which fields are bound.
    ``wait`` waits for a migration to end. Raises ConfigError for the keys, and for a declared field that matches
    nothing; Refused if there is nothing to rotate, if ``bind_new`` names no row, or behind a pooler in
    transaction mode; LockHeld; StepFailed;
    Interrupted. What was committed stays, and the next run resumes.
    """
    began = time.monotonic()
    ring = load_key_ring(settings)
    progress: list[tuple[int, int]] = []
    try:
        with (
            closing(database.connect(settings, application_name=ROTATE_SESSION, session=True)) as connection,
            told(connection),
        ):
            with ExitStack() as stack:
                with MigrationLock(settings, wait=wait, shared=True, command="rotate-secrets", on_event=on_event):
                    store.assert_owner(connection, settings.schema)
                    key_ledger.assert_known(connection, ring)
                    with database.read_only(connection):
                        found_tables = secret_tables(connection, settings)
                        known = tables.bound_fields(connection)
                        named = tables.named_rows(connection, found_tables, known, bind_new)
                    _assert_matched(connection, settings, found_tables, on_event)
                    make_ready(connection, settings, ring, on_event)
                    rotation, joined = _begin(
                        connection, settings, ring, binding, named, encrypt_foreign, found_tables, workers, on_event
                    )
                    scanned = stack.enter_context(beside(settings, ring))
                    # The other processes talk to the database that this one has named.
                    job = Job(replace(settings, on_connect=None), rotation, binding, named, encrypt_foreign)
                    _work(connection, job, ring, workers, on_event, progress)
                    _finish(connection, job, found_tables, on_event)
                try:
                    outside = scanned()
                except ConnectionFailed:  # the rows are done; without a session of its own, it comes after them
                    outside = alone(connection, settings, ring)
            placed = copies(connection, settings, found_tables)
            return _result(connection, rotation, joined, outside, placed, time.monotonic() - began)
    except KeyboardInterrupt:
        stands = UNCHANGED
        if progress:
            stands = State("partly done", f"{progress[-1][0]:,} of {progress[-1][1]:,} rows are done")
        raise Interrupted(
            Code.INTERRUPTED,
            f"interrupted; {stands}, and every value can be decrypted",
            hint="run the same command again to resume",
            state=stands,
        ) from None


def _assert_matched(
    connection: Connection, settings: Settings, found_tables: Sequence[SecretTable], on_event: OnEvent
) -> None:
    if settings.secret_fields:
        check = partial(assert_matched, connection, settings, found_tables)
        in_transaction(connection, settings, check, shared=True, on_event=on_event)


def _work(
    connection: Connection, job: Job, ring: KeyRing, workers: int, on_event: OnEvent, progress: list[tuple[int, int]]
) -> None:
    """Work at a rotation, with ``workers`` - 1 other processes, until nothing of it is left to do."""
    watch = Watch(connection, job.rotation, on_event, progress)
    with at_the_rotation(job, ring, on_event) as worker, others(job, workers - 1) as started:
        while watch.remaining():
            if not worker.step(partial(watch.between, started)):
                watch.wait(started)
        watch.between(started)


def _begin(
    connection: Connection,
    settings: Settings,
    ring: KeyRing,
    binding: Binding,
    named: frozenset[RowName],
    encrypt_foreign: bool,
    found_tables: Sequence[SecretTable],
    workers: int,
    on_event: OnEvent,
) -> tuple[int, bool]:
    """The rotation to work at, and whether it was under way already."""
    fields = _digest(settings, named, encrypt_foreign, found_tables)
    wanted = {"to_key": ring.primary.id, "binding": binding, "fields": fields}

    def begin() -> int | None:
        values = {**wanted, "client": store.client(), "version": __version__}
        number: int | None = database.value(connection, read_sql("secrets/rotation/begin.sql"), values)
        if number is not None:
            if binding == "unbind":  # from its first batch on there are unbound values
                tables.forget_bound(connection, found_tables)
            for secret_table in found_tables:
                _add_ranges(connection, number, secret_table, workers)
        return number

    for _ in range(BEGIN_TIMES):
        begun = in_transaction(
            connection, settings, begin, awaited="another callctl to begin", shared=True, on_event=on_event
        )
        if begun is not None:
            return begun, False
        row = connection.execute(read_sql("secrets/rotation/under_way.sql")).fetchone()
        if row is None:  # it has ended meanwhile
            continue
        number, to_key, old_binding, fields, client = row
        if {"to_key": to_key, "binding": old_binding, "fields": fields} == wanted:
            on_event(Notice(f"resuming rotation {number}, which {client} began"))
            return int(number), True
        give_up = partial(_give_up, connection, row)
        in_transaction(connection, settings, give_up, awaited="another rotation to end", shared=True, on_event=on_event)
        on_event(Notice(f"rotation {number} to key {to_key} was not finished; this rotation replaces it"))
    raise StepFailed(
        Code.ROTATION_BUSY,
        "cannot begin: another rotation began at each of callctl's attempts",
        hint="run the same command again",
        state=UNCHANGED,
    )


def _digest(
    settings: Settings, named: frozenset[RowName], encrypt_foreign: bool, found_tables: Sequence[SecretTable]
) -> str:
    """The same for two runs that do the same to the same fields and tables, and for which the same rows are named; a
    table may have been archived since.
    """
    listed = sorted(f"{field.table} {field.account_type or '*'} {field.text}" for field in declared(settings))
    listed += sorted(secret_table.name for secret_table in found_tables if secret_table.where != "saved")
    listed += [f"--bind-new {row.table}:{row.row_id}" for row in sorted(named)]
    listed += ["encrypt foreign"] * encrypt_foreign
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:16]


def _give_up(connection: Connection, row: tuple[Any, ...]) -> None:
    number, to_key, *_, client = row
    alone = connection.execute(
        read_sql("secrets/rotation/alone.sql"), {"classid": ROTATION_CLASS, "rotation": number}
    ).fetchone()
    if not (alone and alone[0]):
        raise WorkLockBusy(
            lambda: LockHeld(
                Code.ROTATION_BUSY,
                f"another callctl is running rotation {number} to key {to_key}, which {client} began",
                hint="wait for that rotation to finish, or join it by running the command with the same keys and"
                " options",
            )
        )
    connection.execute(read_sql("secrets/rotation/give_up.sql"), {"rotation": number})


def _add_ranges(connection: Connection, rotation: int, secret_table: SecretTable, workers: int) -> None:
    size = RANGE_ROWS
    row = connection.execute(query("bounds", secret_table), {"rows": size}).fetchone()
    assert row is not None
    total, bounds = row
    if total < size * workers * 4 and total > SMALLEST_RANGE:  # several for each process
        size = max(total // (workers * 4) + 1, SMALLEST_RANGE)
        row = connection.execute(query("bounds", secret_table), {"rows": size}).fetchone()
        assert row is not None
        _, bounds = row
    values = {
        "rotation": rotation,
        "target": secret_table.name,
        "above": [None, *bounds],
        "up_to": [*bounds, None],
        "rows": [*(size for _ in bounds), max(total - size * len(bounds), 0)],
    }
    connection.execute(read_sql("secrets/rotation/add_ranges.sql"), values)


def _finish(connection: Connection, job: Job, found_tables: Sequence[SecretTable], on_event: OnEvent) -> None:
    """Write the ledger's row, and which fields are bound now, unless another run of the same rotation has."""
    from psycopg.types.json import Jsonb

    settings, rotation = job.settings, job.rotation
    named = {"named": [list(row) for row in sorted(job.named)]} if job.named else {}

    def finish() -> None:
        tally = Tally()
        values: dict[str, Any] = {"rotation": rotation}
        for counts, failures in connection.execute(read_sql("secrets/rotation/range_counts.sql"), values).fetchall():
            tally.add(Tally.of(counts, failures))
        values |= {
            "counts": Jsonb(tally.as_json() | named),
            "from_keys": sorted({change.was for change in tally.changes}),
            "failures": tally.failures,
        }
        ended = connection.execute(read_sql("secrets/rotation/finish.sql"), values).fetchall()
        bound = found_tables if ended and job.binding == "bind" else ()
        tables.record_bound(connection, rotation, bound, (secret_table for (secret_table,) in ended))

    in_transaction(connection, settings, finish, shared=True, on_event=on_event)


def _result(
    connection: Connection, rotation: int, joined: bool, outside: Scan, placed: tuple[Copy, ...], seconds: float
) -> Rotated:
    row = connection.execute(read_sql("secrets/rotation/result.sql"), {"rotation": rotation}).fetchone()
    assert row is not None
    id, key, binding, started_at, finished_at, _, counts, failures = row
    tally = Tally.of(counts, failures)
    values = {"rotation": rotation, "rows": MOST_LISTED}
    left_rows = connection.execute(read_sql("secrets/rotation/failures.sql"), values).fetchall()
    foreign = connection.execute(read_sql("secrets/rotation/foreign_left.sql"), values).fetchall()
    return Rotated(
        rotation=id,
        key=key,
        binding=binding,
        joined=joined,
        started_at=started_at,
        finished_at=finished_at,
        rows_read=tally.read,
        rows_written=tally.written,
        changed=tuple(Changed(*change, number) for change, number in sorted(tally.changes.items(), key=str)),
        failures=failures,
        left=tuple(Left(*left_row) for left_row in left_rows),
        misshapen=dict(sorted(tally.misshapen.items())),
        foreign=tuple(
            ForeignLeft(secret_table, field, reason, number, tuple(rows))
            for secret_table, field, reason, number, rows in foreign
        ),
        outside=outside,
        copies=placed,
        seconds=seconds,
        bound=tables.bound_by(connection, rotation),
    )
