"""Envelopes and plaintext that looks like a secret, outside the declared fields: found by a scan of every table.

Nothing is written, and what is found is told by table, field and row, never by value. Envelopes are looked for in every
schema and in every column whose text could hold one; plaintext, which is a guess for a person to look at, in the
platform's tables. Memory stays the same however large the tables are, and no snapshot is held for a minute.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from callctl import stored_bytes
from callctl.database import connection as database
from callctl.database.lock import IDLE_MS, ROTATE_SESSION
from callctl.events import OnEvent, ScanProgress, ignore
from callctl.files import read_sql
from callctl.secrets.envelope.cipher import Decrypter
from callctl.secrets.envelope.fields import declared
from callctl.secrets.envelope.ring import KeyRing
from callctl.secrets.inventory.scan_finder import (
    SAMPLE,
    Finder,
    NotLookedInto,
    Outside,
    Table,
    changed_since,
    pages,
    rows_statement,
    sent,
    tables_to_scan,
)

if TYPE_CHECKING:
    from psycopg import sql

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# The longest that a statement, and with it a snapshot, may take.
SNAPSHOT_MS = 50_000
# Tables up to this size (128 MB in pages of 8 kB) are read in one statement, in which several processes work.
WHOLE_PAGES = 16_384
FIRST_PAGES = 1_024
MOST_PAGES = 32_768
# A range that takes longer than this is followed by a smaller one; one that takes a fifth of it, by a larger one.
RANGE_SECONDS = 5.0
# Times that the tables are listed again for those that were made or rewritten meanwhile.
ROUNDS = 3


@dataclass(frozen=True)
class Scan:
    """The result of a scan; ``tables`` in ``schemas`` were read completely."""

    places: tuple[Outside, ...]
    not_looked_into: tuple[NotLookedInto, ...]
    tables: int
    schemas: int

    @property
    def cut_short(self) -> tuple[str, ...]:
        """The names of the tables that were not looked into, each once."""
        return tuple(dict.fromkeys(table.name for table in self.not_looked_into))

    def envelopes(self) -> int:
        """The number of well-formed envelopes where no field is declared."""
        return sum(outside.values for outside in self.places if outside.kind == "envelope")


def scan(
    connection: Connection,
    settings: Settings,
    ring: KeyRing | None = None,
    *,
    timeout_ms: int | None = None,
    thorough: bool = True,
    plaintext: bool = True,
    stopped: Callable[[], bool] = lambda: False,
    on_event: OnEvent = ignore,
) -> Scan:
    """Scan, in transactions of its own: ``connection`` is in none. A table may take ``timeout_ms`` (None: no limit).

    ``ring`` tells under which key an envelope without a key id is, where it opens. Without ``thorough`` what is
    beside a declared field in the same member of a document is passed over: every row would have to leave the server.
    ``stopped``: asked before each table, whether the result is still wanted. A row that is written meanwhile may be
    missed. Raises ConnectionFailed.
    """
    scanner = _Scanner(connection, settings, ring, timeout_ms, 0, thorough, plaintext, stopped, on_event)
    tables, unscanned = tables_to_scan(connection, settings)
    scanner.look(tables)
    return scanner.result(tables, unscanned)


def settled_scan(
    connection: Connection,
    settings: Settings,
    ring: KeyRing,
    horizon: str,
    *,
    lock_timeout_ms: int,
    enough: Callable[[Outside], bool],
    on_event: OnEvent = ignore,
) -> Scan:
    """Scan for envelopes, and look again at what has changed since ``horizon``, declared fields included.

    A row keeps its place until it is written, so a first look that goes through a table page by page sees each row that
    is not written meanwhile. The second look reads, in one statement and so in one snapshot, the rows of a table
    whose xmin is of a transaction that was not finished at ``horizon``. Together that is every row of the table as of
    the moment of the second look. A table that was made or rewritten meanwhile (which moves rows) is read again.

    ``horizon`` is of :func:`horizon`, from before the declared fields were read. If ``enough`` holds of something
    that the first look finds, there is no second. Raises as :func:`scan`.
    """
    scanner = _Scanner(connection, settings, ring, None, lock_timeout_ms, True, False, lambda: False, on_event)
    tables, unscanned = tables_to_scan(connection, settings)
    for _ in range(ROUNDS):
        new = [table for table in tables if table.version not in scanner.read]
        if not new:
            break
        scanner.look(new)
        if any(map(enough, scanner.places(tables))):
            return scanner.result(tables, unscanned)
        tables, unscanned = tables_to_scan(connection, settings)
    scanner.look_again([table for table in tables if table.version in scanner.read], horizon)
    tables, unscanned = tables_to_scan(connection, settings)
    unscanned += [
        NotLookedInto(table.full_name, "it was created or rewritten during the scan")
        for table in tables
        if table.version not in scanner.read
    ]
    return scanner.result(tables, unscanned)


def horizon(connection: Connection) -> str:
    """The oldest transaction that is not finished, as a row's xmin would have it. Raises psycopg.Error."""
    return str(database.value(connection, read_sql("secrets/inventory/scan/horizon.sql")))


class _TooLong(Exception):
    """A statement has had its time."""


class _NotScanned(Exception):
    """A table cannot be read. ``why`` says so in a few words."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Scanner:
    """Reads tables, and keeps what is found in each."""

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        ring: KeyRing | None,
        timeout_ms: int | None,
        lock_timeout_ms: int,
        thorough: bool,
        plaintext: bool,
        stopped: Callable[[], bool],
        on_event: OnEvent,
    ) -> None:
        self._connection = connection
        self._finder = Finder(settings, Decrypter(ring) if ring is not None else None)
        self._fields = () if thorough else declared(settings)
        self._plaintext = plaintext
        self._timeout_ms = timeout_ms
        self._lock_timeout_ms = lock_timeout_ms
        self._stopped = stopped
        self._on_event = on_event
        # The versions of tables that were read, and why others were not.
        self.read: set[tuple[object, ...]] = set()
        self._left: dict[int, str] = {}

    def look(self, tables: list[Table]) -> None:
        """Read these tables, whole."""
        self._each(tables, "look", self._whole)

    def look_again(self, tables: list[Table], horizon: str) -> None:
        """Read the rows of these tables that were written since, and every column of them."""
        where = changed_since(horizon)

        def changed(table: Table, told: Callable[[int], None]) -> None:
            if not self._attempt(table, where, SNAPSHOT_MS, again=True):
                raise _NotScanned(
                    f"finding the rows that were written during the scan takes longer than {SNAPSHOT_MS // 1000} s"
                )
            told(table.pages)

        self._each([table for table in tables if table.oid not in self._left], "look again", changed)

    def places(self, tables: Iterable[Table]) -> Iterator[Outside]:
        """Yield the values found in these tables."""
        for table in tables:
            yield from self._finder.by_table.get(table.oid, {}).values()

    def result(self, tables: list[Table], unscanned: list[NotLookedInto]) -> Scan:
        """Return the result for these tables; ``unscanned`` were skipped before."""
        for table in tables:
            if table.oid in self._left:
                unscanned.append(NotLookedInto(table.full_name, self._left[table.oid]))
            for column, values in self._finder.unread.get(table.oid, Counter()).items():
                count = f"{values:,} {'value' if values == 1 else 'values'}"
                unscanned.append(NotLookedInto(table.full_name, f"{count} of column {column} could not be parsed"))
        named = {unscanned_table.name for unscanned_table in unscanned}
        read = [
            table for table in tables if table.columns and table.version in self.read and table.full_name not in named
        ]
        return Scan(
            tuple(self.places(tables)),
            tuple(sorted(unscanned)),
            len(read),
            len({table.schema for table in read}),
        )

    def _each(
        self,
        tables: list[Table],
        phase: Literal["look", "look again"],
        look: Callable[[Table, Callable[[int], None]], None],
    ) -> None:
        pages_of_all = sum(table.pages for table in tables)
        pages_done = 0
        for number, table in enumerate(tables):
            if self._stopped():
                return

            def told(pages: int, before: int = pages_done, number: int = number, table: Table = table) -> None:
                self._on_event(
                    ScanProgress(
                        phase, table.full_name, number, len(tables), before + pages, max(pages_of_all, before + pages)
                    )
                )

            told(0)
            try:
                if table.columns:
                    look(table, told)
                self.read.add(table.version)
            except _NotScanned as not_scanned:
                self.read.add(table.version)
                self._left[table.oid] = not_scanned.why
            pages_done += table.pages

    def _whole(self, table: Table, told: Callable[[int], None]) -> None:
        """Range by range of its pages, each in a snapshot of its own; a small table is one."""
        self._finder.forget(table)
        self._left.pop(table.oid, None)
        deadline = time.monotonic() + self._timeout_ms / 1000 if self._timeout_ms else None
        total = self._pages(table)
        start, size = 0, total if total <= WHOLE_PAGES else FIRST_PAGES
        while start < total:
            if self._stopped():  # the server may have had nothing to cancel
                raise _NotScanned("the scan was stopped")
            began = time.monotonic()
            milliseconds = SNAPSHOT_MS
            if deadline is not None:
                milliseconds = min(milliseconds, round((deadline - began) * 1000))
            if milliseconds <= 0:
                raise _NotScanned("its scan takes longer than statement_timeout")
            past = min(start + size, total)
            everything = start == 0 and past == total
            if not self._attempt(table, None if everything else pages(self._connection, start, past), milliseconds):
                if size == 1 and deadline is None:
                    raise _NotScanned(f"a page of it takes longer than {SNAPSHOT_MS // 1000} s to read")
                size = max(size // 8, 1)
                continue
            start = past
            told(min(start, table.pages))
            seconds = time.monotonic() - began
            if seconds > RANGE_SECONDS:
                size = max(size // 2, 1)
            elif seconds < RANGE_SECONDS / 5:
                size = min(size * 2, MOST_PAGES)

    def _pages(self, table: Table) -> int:
        """Return the present size in pages: later rows are on later pages, or were written since."""
        milliseconds = self._timeout_ms or SNAPSHOT_MS
        try:
            with self._reading(milliseconds):
                query = read_sql("secrets/inventory/scan/pages.sql")
                return int(database.value(self._connection, query, {"oid": table.oid}) or 0)
        except _TooLong:
            raise _NotScanned("its scan takes longer than statement_timeout") from None

    def _attempt(self, table: Table, where: sql.Composable | None, milliseconds: int, *, again: bool = False) -> bool:
        """Look at the rows of which ``where`` holds; whether that took no longer. Raises _NotScanned."""
        from psycopg import sql

        finder = self._finder
        plaintext = self._plaintext and finder.has_plaintext(table)
        columns = table.columns if again else finder.columns(table)
        if not columns:
            return True
        rows = rows_statement(table, columns, self._fields, where or sql.SQL("true"), plaintext=plaintext)
        # While the encoding is UTF-8: names may be in it.
        unknown = stored_bytes.unknown_encoding(self._connection)
        query = stored_bytes.composed(rows) if unknown else rows.as_bytes(self._connection)
        deadline = time.monotonic() + milliseconds / 1000
        finder.begin(table, columns, plaintext=plaintext, again=again)
        try:
            with self._reading(milliseconds), closing(sent(self._connection, query)) as let_through:
                for row in let_through:
                    finder.row(table, row)
                    if time.monotonic() > deadline:
                        raise _TooLong
        except _TooLong:
            return False
        finder.keep(table)
        return True

    def _reading(self, milliseconds: int) -> _Reading:
        return _Reading(self._connection, milliseconds, self._lock_timeout_ms, self._stopped)


class _Reading:
    """A transaction that reads. Raises _TooLong and _NotScanned instead of what the server says; ConnectionFailed."""

    def __init__(
        self, connection: Connection, milliseconds: int, lock_timeout_ms: int, stopped: Callable[[], bool]
    ) -> None:
        self._connection = connection
        self._transaction = connection.transaction()
        self._values = {"timeout": str(milliseconds), "lock_timeout": str(lock_timeout_ms)}
        self._stopped = stopped

    def __enter__(self) -> None:
        self._transaction.__enter__()
        try:
            self._connection.execute(read_sql("secrets/inventory/scan/transaction.sql"))
            self._connection.execute(read_sql("secrets/inventory/scan/settings.sql"), self._values)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import psycopg

        try:
            self._transaction.__exit__(kind, error, trace)
        except psycopg.Error as problem:
            error = error or problem
        if not isinstance(error, psycopg.Error):
            return
        if self._connection.closed:
            raise database.lost(error) from error
        if isinstance(error, psycopg.errors.LockNotAvailable):
            raise error
        if isinstance(error, psycopg.errors.QueryCanceled):
            if self._stopped():
                raise _NotScanned("the scan was stopped") from None
            raise _TooLong from None
        if isinstance(error, psycopg.DataError):  # its message may quote a value
            raise _NotScanned(f"the server could not read it (SQLSTATE {error.sqlstate})") from None
        raise _NotScanned(f"the server could not read it: {database.error_text(error)}") from None


def warnings(scanned: Scan) -> Iterable[str]:
    """Yield a line for each thing that a person should read, without a value."""
    for outside in scanned.places:
        rows = f"row {', '.join(outside.rows)}{' and others' if outside.values > len(outside.rows) else ''}"
        place = f"{outside.table}, {outside.field}, {rows}"
        if outside.kind == "plaintext":
            yield f"{outside.values:,} values look like a secret in plaintext, outside the declared fields: {place}"
        else:
            under = f" under key {outside.key}" if outside.key else ""
            noun = "envelopes" if outside.kind == "envelope" else "pieces of envelopes"
            if outside.kind == "piece" and outside.well_formed:
                noun = "envelopes inside other text"
            yield f"{outside.values:,} {noun}{under} outside the declared fields, which no rotation reaches: {place}"
    by_reason: dict[str, list[str]] = {}
    for table in scanned.not_looked_into:
        by_reason.setdefault(table.why, []).append(table.name)
    for why, names in by_reason.items():
        others = f" and {len(names) - SAMPLE:,} more" if len(names) > SAMPLE else ""
        yield f"not scanned: {', '.join(names[:SAMPLE])}{others}: {why}"


# The scan for secrets outside the declared fields, on a session and a thread of its own while a rotation works.

# How long the server may take to cancel the scan before its connection is left to end by itself.
HEED_SECONDS = 3.0


def alone(
    connection: Connection, settings: Settings, ring: KeyRing, *, stopped: Callable[[], bool] = lambda: False
) -> Scan:
    """The same scan on a session that does nothing else meanwhile. Raises psycopg.Error, ConnectionFailed."""
    return scan(connection, settings, ring, timeout_ms=settings.statement_timeout_ms, thorough=False, stopped=stopped)


class _Beside:
    def __init__(self, settings: Settings, ring: KeyRing) -> None:
        self._settings = settings
        self._ring = ring
        self._connection: Connection | None = None
        self._found: Scan | None = None
        self._problem: BaseException | None = None
        self._stopped = threading.Event()
        # After an interrupted join(), Python 3.11 reports that the thread has ended although it still runs.
        self._over = threading.Event()
        threading.Thread(target=self._work, name="callctl scan", daemon=True).start()

    def _work(self) -> None:
        import psycopg

        settings = self._settings
        if hasattr(signal, "pthread_sigmask"):  # the first thread waits for the server, and must hear of them at once
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            opened = database.connect(settings, application_name=ROTATE_SESSION, session=True)
            with contextlib.closing(opened) as connection:
                self._connection = connection
                connection.execute(read_sql("secrets/inventory/scan/session.sql"), {"idle": f"{IDLE_MS}ms"})
                self._found = alone(connection, settings, self._ring, stopped=self._stopped.is_set)
        except psycopg.errors.IdleInTransactionSessionTimeout as problem:
            self._problem = database.lost(problem)
        except BaseException as problem:
            self._problem = problem
        finally:
            self._over.set()

    def result(self) -> Scan:
        """Wait for what it found. Raises what it ended with: psycopg.Error, ConnectionFailed."""
        self._over.wait()
        if self._problem is not None:
            raise self._problem
        assert self._found is not None
        return self._found

    def stop(self) -> None:
        """Have the server cancel it, if it is still at work: its result is not needed any more."""
        import psycopg

        self._stopped.set()
        if not self._over.is_set() and self._connection is not None:
            with contextlib.suppress(KeyboardInterrupt, psycopg.Error):
                self._connection.cancel_safe(timeout=HEED_SECONDS)
        with contextlib.suppress(KeyboardInterrupt):
            self._over.wait(HEED_SECONDS)


@contextlib.contextmanager
def beside(settings: Settings, ring: KeyRing) -> Iterator[Callable[[], Scan]]:
    """Scan meanwhile, each table in snapshots of its own; what is yielded waits for what was found. It holds no row, no
    lock that an application waits for, and nothing that the rotation waits for.
    """
    under_way = _Beside(settings, ring)
    try:
        yield under_way.result
    finally:
        under_way.stop()
