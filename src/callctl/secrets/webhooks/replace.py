"""New webhook secrets, and the previous ones put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database import store
from callctl.database.lock import ROTATE_SESSION, WEBHOOK_CLASS, MigrationLock, lock_alone
from callctl.errors import LockHeld
from callctl.events import OnEvent, ignore
from callctl.files import PrivateFile
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.ring import KeyRing, load_key_ring
from callctl.secrets.webhooks.accounts import Scope, choose
from callctl.secrets.webhooks.run import Done, Replacement

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


def replace(
    settings: Settings, scope: Scope, *, file: str, grace: timedelta, wait: bool = False, on_event: OnEvent = ignore
) -> Done:
    """Give the accounts new random webhook secrets, and keep the previous ones, encrypted, for ``grace``.

    The new ones are in ``file``, which must not be there yet. An account that a transaction of the application holds
    is waited for; whatever secret it has then is the one that is kept. Raises ConfigError, Refused, LockHeld,
    StepFailed, Interrupted: each account that was done before is in the file and in the database.
    """
    with _at_work(settings, "webhooks rotate", wait, on_event) as (connection, reader, ring):
        found = choose(connection, settings, scope, "new")
        new_file = PrivateFile(file)
        with closing(new_file):
            return Replacement(settings, connection, reader, ring, found, scope, on_event, new_file, grace).run()


def put_back(settings: Settings, scope: Scope, *, wait: bool = False, on_event: OnEvent = ignore) -> Done:
    """Put back the previous webhook secrets that are still kept, of each account the last one.

    An account whose secret has been changed since, by somebody else, is left as it is and listed. Raises as
    :func:`replace`.
    """
    with _at_work(settings, "webhooks restore", wait, on_event) as (connection, reader, ring):
        found = choose(connection, settings, scope, "back")
        return Replacement(settings, connection, reader, ring, found, scope, on_event).run()


@contextmanager
def _at_work(
    settings: Settings, command: str, wait: bool, on_event: OnEvent
) -> Iterator[tuple[Connection, Connection, KeyRing]]:
    """Two connections and the ring, with nobody else at webhook secrets and no migration under way."""
    ring = load_key_ring(settings)
    with (
        MigrationLock(settings, wait=wait, shared=True, command=command, on_event=on_event),
        closing(database.connect(settings, application_name=ROTATE_SESSION, session=True)) as connection,
        closing(database.connect(settings, application_name=ROTATE_SESSION, session=True)) as reader,
    ):
        store.assert_owner(connection, settings.schema)
        key_ledger.assert_known(connection, ring)
        held = LockHeld(
            "another callctl is replacing webhook secrets, or putting them back",
            hint="wait for it to finish, or run with --wait",
        )
        what = "another callctl to finish"
        lock_alone(connection, settings, WEBHOOK_CLASS, wait=wait, held=held, what=what, on_event=on_event)
        yield connection, reader, ring
