"""The scan for secrets outside the declared fields, on a session and a thread of its own while a rotation works."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database.lock import IDLE_MS, ROTATE_SESSION
from callctl.files import read_sql
from callctl.secrets.envelope.ring import KeyRing
from callctl.secrets.inventory.scan import Scan, scan

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

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
        # Of a thread whose join() is interrupted, Python 3.11 says that it has ended, though it has not.
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
        """Have the server cancel it, if it is still at work: nobody asks for it any more."""
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
