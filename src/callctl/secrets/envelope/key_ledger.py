"""The records of the keys in callctl's schema: their check values, what they have encrypted, which are retired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database.guarded import in_transaction
from callctl.database.store import in_store
from callctl.errors import UNKNOWN, Code, ConfigError, Refused
from callctl.events import Notice, OnEvent
from callctl.files import read_sql
from callctl.secrets.envelope.cipher import Encrypter
from callctl.secrets.envelope.ring import Key, KeyRing

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# Encryptions that are counted at once, before they are made; twice as many the next time.
FIRST_ALLOWANCE = 1_000
LARGEST_ALLOWANCE = 65_536


@dataclass(frozen=True)
class KnownKey:
    """One key as the ledger has it."""

    id: str
    check_value: str
    first_used_at: datetime
    retired_at: datetime | None
    encryptions: int


def known_keys(connection: Connection) -> dict[str, KnownKey]:
    """The keys that callctl has met in this database, by id; none where it has no store, or an older one."""
    if not database.relation_exists(connection, "callctl", "encryption_key"):
        return {}
    rows = connection.execute(read_sql("secrets/envelope/keys.sql")).fetchall()
    return {id: KnownKey(id, *rest) for id, *rest in rows}


def assert_same(ring: KeyRing, known: Mapping[str, KnownKey]) -> None:
    """Raise ConfigError if a key of the ring is not the one that had its id before."""
    for key in ring.keys.values():
        before = known.get(key.id)
        if before is not None and before.check_value != key.check_value:
            raise ConfigError(
                Code.KEY_MISMATCH,
                f"key {key.id} ({key.source}) does not match the key recorded under that id (check "
                f"value {key.check_value}, recorded {before.check_value}); nothing was changed",
                hint="restore the recorded key under that id, or give the new key another id",
            )


def assert_known(connection: Connection, ring: KeyRing) -> None:
    """Raise as :func:`assert_same` and :func:`assert_not_retired`; and if the primary key is a retired one under
    another id.
    """
    known = known_keys(connection)
    assert_same(ring, known)
    _assert_not_retired(known, ring.primary.id)
    for key in known.values():
        if key.retired_at is not None and key.check_value == ring.primary.check_value:
            raise ConfigError(
                Code.KEY_RETIRED,
                f"key {ring.primary.id} is primary in callctl.yaml, and is the same key as {key.id}, which was retired "
                f"in this database at {key.retired_at.isoformat(timespec='seconds')}; nothing was changed",
                hint="make another key primary; callctl keys generate makes a new key",
            )


def assert_not_retired(connection: Connection, settings: Settings) -> None:
    """Raise ConfigError if callctl.yaml's primary key is recorded as retired here, by its id: no key is read."""
    if settings.keys is not None:
        _assert_not_retired(known_keys(connection), settings.keys.primary)


def _assert_not_retired(known: Mapping[str, KnownKey], primary: str) -> None:
    key = known.get(primary)
    if key is not None and key.retired_at is not None:
        raise ConfigError(
            Code.KEY_RETIRED,
            f"key {primary} is primary in callctl.yaml but was retired in this "
            f"database at {key.retired_at.isoformat(timespec='seconds')}; nothing was changed",
            hint="make another key primary; callctl keys generate makes a new key",
        )


def record(connection: Connection, ring: KeyRing) -> None:
    """Write down the check values of keys that are new here, in the caller's transaction, and compare the others.

    Raises as :func:`assert_known`.
    """
    for key in ring.keys.values():
        values = {"id": key.id, "check_value": key.check_value}
        connection.execute(read_sql("secrets/envelope/key_record.sql"), values)
    assert_known(connection, ring)


def make_ready(connection: Connection, settings: Settings, ring: KeyRing | None, on_event: OnEvent) -> None:
    """Make callctl's schema or bring it up to date, and write down the keys of ``ring`` that are new here."""

    def known() -> None:
        if ring is not None:
            record(connection, ring)

    in_store(connection, settings, known, on_event)


class Encryptions:
    """Counts a key's encryptions in the ledger, before they are made: SP 800-38D, section 8.3.

    A run that dies leaves some counted that it never made; never the other way round.
    """

    def __init__(self, settings: Settings, connection: Connection, key: Key, on_event: OnEvent) -> None:
        self._settings = settings
        self._connection = connection
        self._key = key
        self._on_event = on_event
        self._next = FIRST_ALLOWANCE
        self._warned = False

    def reserve(self) -> int:
        """Allow this number of further encryptions. Raises Refused if the key has none left, or is retired."""
        asked = self._next
        while (total := self._write(asked)) is None:
            if asked == 1:
                raise self._used_up()
            asked //= 2  # what is left may be less
        self._next = min(2 * self._next, LARGEST_ALLOWANCE)
        if total > Encrypter.WARN_ENCRYPTIONS and not self._warned:
            self._warned = True
            self._on_event(
                Notice(
                    f"key {self._key.id} has encrypted {total:,} values in this database; callctl refuses it after "
                    "{Encrypter.MOST_ENCRYPTIONS:,} (NIST SP 800-38D, 8.3): make a new key primary before"
                )
            )
        return asked

    def give_back(self, unused: int) -> None:
        """Of those allowed, this number was not made."""
        if unused:
            self._write(-unused)

    def _write(self, number: int) -> int | None:
        values = {"id": self._key.id, "encryptions": number, "most": Encrypter.MOST_ENCRYPTIONS}

        def reserve() -> int | None:
            encryptions = database.value(self._connection, read_sql("secrets/envelope/key_reserve.sql"), values)
            return None if encryptions is None else int(encryptions)

        return in_transaction(self._connection, self._settings, reserve, shared=True, on_event=self._on_event)

    def _used_up(self) -> Refused:
        known = known_keys(self._connection).get(self._key.id)
        if known is not None and known.retired_at is not None:
            return Refused(
                Code.KEY_RETIRED,
                f"another command retired key {self._key.id} during this run; earlier batches are committed",
                hint="make another key primary, then run the same command again",
                state=UNKNOWN,
            )
        return Refused(
            Code.KEY_EXHAUSTED,
            f"key {self._key.id} has encrypted {Encrypter.MOST_ENCRYPTIONS:,} values, the safe limit of one "
            "key (NIST SP 800-38D, 8.3); earlier batches are committed",
            hint="make a new key primary (callctl keys generate), then run the same command again",
            state=UNKNOWN,
        )
