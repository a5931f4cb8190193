"""Retiring a key: no value under it is found in any table that the role can read, and the others are named."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database import store
from callctl.database.actions import last_backup
from callctl.database.guarded import Failing, in_transaction
from callctl.database.lock import at_work
from callctl.errors import Code, Refused, State, UsageError
from callctl.events import OnEvent, ignore
from callctl.files import read_sql
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.ring import KeyRing, load_key_ring
from callctl.secrets.inventory.key_use import Census, census
from callctl.secrets.inventory.scan import Scan, horizon, settled_scan
from callctl.secrets.inventory.scan_finder import NotLookedInto, Outside, tables_to_scan

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

NOTHING = State("unchanged", "nothing was recorded")
UNDER_UNBOUND = "under it, and unbound in a bound field, so that a rotation skips it"


@dataclass(frozen=True)
class Holding:
    """The number of values that need the key, or may: where they are, and why they count."""

    place: str
    field: str
    values: int
    why: str


@dataclass(frozen=True)
class Retired:
    """A key that no value was found under. ``rows`` have declared fields; ``tables`` in ``schemas`` were scanned, and
    ``not_scanned`` was not looked into. ``warnings`` say what callctl cannot see.
    """

    id: str
    retired_at: datetime
    rows: int
    tables: int
    schemas: int
    not_scanned: tuple[NotLookedInto, ...]
    warnings: tuple[str, ...]


def retire(
    settings: Settings,
    id: str,
    *,
    not_scanned: Sequence[str] = (),
    wait: bool = False,
    on_event: OnEvent = ignore,
) -> Retired:
    """Record that a key is retired: from here on it encrypts nothing, and may be taken out of callctl.yaml.

    First it is looked for, with no other callctl at work: in the declared fields, live, archived and saved, and in
    every other table that the role can read. What cannot be looked into has to be in ``not_scanned``: 'schema.table'.
    Raises Refused, with the counts, if one value is under the key, or may be; if a table was not looked into and
    is not named; if the key is primary, or unknown. UsageError for the name of a table that was looked into, or that
    does not exist; ConfigError; LockHeld; StepFailed.
    """

    ring = load_key_ring(settings)
    if id == ring.primary.id:
        raise Refused(
            Code.KEY_PRIMARY,
            f"key {id} is primary: it encrypts new values",
            hint="make another key primary in callctl.yaml, run callctl rotate-secrets, then retire this one",
        )
    with at_work(settings, command="keys retire", wait=wait, on_event=on_event) as (connection, _):
        reading = partial(database.read_in_time, connection, settings, "keys retire", NOTHING)
        with reading():
            store.assert_owner(connection, settings.schema)
            known = key_ledger.known_keys(connection)
            key_ledger.assert_known(connection, ring)
            mine = ring.keys.get(id)
            if mine is None and id not in known:
                raise Refused(
                    Code.KEY_UNKNOWN,
                    f"neither callctl.yaml nor this database has a key {id}",
                    hint="run callctl keys list to see the known keys",
                )
            _assert_known(connection, settings, not_scanned)
            since = horizon(connection)
        # What is written from here on, the scan's last look sees; so no snapshot has to be held for it.
        counted = _counted(connection, settings, ring, reading, on_event)
        _assert_unused(id, _in_fields(counted, id))
        scanned = _scanned(connection, settings, ring, id, since, on_event)
        unnamed = [table for table in scanned.not_looked_into if table.name not in not_scanned]
        _assert_unused(id, _outside(scanned, id), unnamed)
        _assert_left_out(scanned.not_looked_into, not_scanned)
        if unnamed:
            raise Refused(
                Code.TABLES_NOT_SCANNED,
                f"key {id} cannot be retired: {_unnamed(unnamed)}",
                hint=_naming_hint(id, scanned.not_looked_into),
            )
        check_value = mine.check_value if mine is not None else known[id].check_value
        record = partial(_record, connection, settings, id, check_value)
        failing = Failing("keys retire", lambda: NOTHING)
        retired_at, taken_at, rotated_at = in_transaction(
            connection, settings, record, failing=failing, on_event=on_event
        )
        return Retired(
            id,
            retired_at,
            counted.rows,
            scanned.tables,
            scanned.schemas,
            scanned.not_looked_into,
            tuple(_warnings(taken_at, id, rotated_at)),
        )


def _last_backup(connection: Connection, settings: Settings) -> datetime | None:
    """The newest that callctl has taken, or that the operator says was taken."""
    recorded = last_backup(connection)
    known = (settings.backup_taken_at, recorded.taken_at if recorded else None)
    return max((moment for moment in known if moment is not None), default=None)


def _in_fields(counted: Census, id: str) -> Counter[tuple[str, str, str]]:
    """The values of declared fields that still need the key, or may: table, field, why."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for use, number in counted.uses.items():
        if use.key == id:
            why = "under it" if use.state == "sealed" else "names this key, and does not decrypt"
            counts[use.table, use.field, UNDER_UNBOUND if use.unbound else why] += number
        elif use.state == "unreadable" and use.key is None and use.version is not None:
            counts[use.table, use.field, "has no key id, and no key of the ring decrypts it"] += number
    return counts


def _counted(
    connection: Connection,
    settings: Settings,
    ring: KeyRing,
    reading: Callable[[], AbstractContextManager[None]],
    on_event: OnEvent,
) -> Census:
    import psycopg

    try:
        database.set_lock_timeout(connection, settings.lock_wait_ms)  # for what is asked between two pages
        return census(connection, settings, ring, apart=reading, on_event=on_event)
    except psycopg.Error as error:
        raise database.translated(error, "keys retire", "", NOTHING, connection, quoted=False) from error


def _scanned(connection: Connection, settings: Settings, ring: KeyRing, id: str, since: str, on_event: OnEvent) -> Scan:
    import psycopg

    try:
        return settled_scan(
            connection,
            settings,
            ring,
            since,
            lock_timeout_ms=settings.lock_wait_ms,
            enough=lambda outside: _why(outside, id) is not None,
            on_event=on_event,
        )
    except psycopg.Error as error:
        raise database.translated(error, "keys retire", "", NOTHING, connection, quoted=False) from error


def _outside(scanned: Scan, id: str) -> Counter[tuple[str, str, str]]:
    """Count the values outside of declared fields that need the key, or may need it."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for outside in scanned.places:
        why = _why(outside, id)
        if why is not None:
            counts[outside.table, outside.field, why] += outside.values
    return counts


def _why(outside: Outside, id: str) -> str | None:
    place = "written during this scan" if outside.declared else "outside the declared fields"
    if outside.kind == "plaintext":
        return None
    if outside.key == id:
        return f"under it, {place}"
    if outside.key is None and outside.well_formed:
        return f"{place}, without a key id, and no key decrypts it"
    return None


def _assert_unused(id: str, counts: Counter[tuple[str, str, str]], unnamed: Sequence[NotLookedInto] = ()) -> None:
    holding = [Holding(place, field, number, why) for (place, field, why), number in sorted(counts.items())]
    if holding:
        also = f"\nalso, {_unnamed(unnamed)}" if unnamed else ""
        raise Refused(Code.KEY_IN_USE, _refusal(id, holding) + also, hint=_hint(id, holding))


def _assert_known(connection: Connection, settings: Settings, names: Sequence[str]) -> None:
    """Raise UsageError for a name of nothing that could be left out: before the scan, which takes long."""
    tables, unscanned = tables_to_scan(connection, settings)
    known = {table.full_name for table in tables} | {table.name for table in unscanned}
    for name in names:
        if name not in known:
            raise UsageError(
                Code.OPTION_VALUE,
                f"--not-scanned {name}: the scan did not skip such a table; nothing was recorded",
                hint="name a table as schema.table, as the list of unscanned tables does",
            )


def _assert_left_out(unscanned: Sequence[NotLookedInto], names: Sequence[str]) -> None:
    """Raise UsageError for names of tables that were looked into."""
    listed = {table.name for table in unscanned}
    for name in names:
        if name not in listed:
            raise UsageError(
                Code.OPTION_VALUE,
                f"--not-scanned {name}: the table was scanned and holds no value under the key; nothing was recorded",
                hint=f"remove --not-scanned {shlex.quote(name)}",
            )


def _unnamed(unscanned: Sequence[NotLookedInto]) -> str:
    number = len({table.name for table in unscanned})
    tables = "1 table was" if number == 1 else f"{number:,} tables were"
    lines = "".join(f"\n  {table.name}: {table.why}" for table in unscanned)
    return f"{tables} not scanned, and may hold values under this key{lines}"


def _naming_hint(id: str, unscanned: Sequence[NotLookedInto]) -> str:
    options = " ".join(
        f"--not-scanned {shlex.quote(name)}" for name in dict.fromkeys(table.name for table in unscanned)
    )
    return (
        "search these tables by hand, or connect as a role that can read them; then name each: "
        f"callctl keys retire {id} {options}"
    )


def _refusal(id: str, holding: list[Holding]) -> str:
    total = sum(entry.values for entry in holding)
    lines = "".join(f"\n  {entry.values:,} in {entry.place}, {entry.field}: {entry.why}" for entry in holding)
    return f"key {id} cannot be retired: {total:,} {'value needs' if total == 1 else 'values need'} it, or may{lines}"


def _hint(id: str, holding: list[Holding]) -> str:
    if any(entry.why == UNDER_UNBOUND for entry in holding):
        return (
            "check each unbound value that callctl rotate-secrets --status lists with the customer, run "
            f"callctl rotate-secrets --bind-new ID with the id of each row, then callctl keys retire {id}"
        )
    if any(entry.why == "under it" for entry in holding):
        return "run callctl rotate-secrets, then retire the key"
    if any("written while" in entry.why for entry in holding):
        return "give the new key to the application that still encrypts with this one, then run callctl rotate-secrets"
    if any("outside" in entry.why for entry in holding):
        return (
            "delete those values, or have the application write them under the new key; or declare "
            "those fields of the platform's tables in callctl.yaml under `secrets:` and run callctl rotate-secrets"
        )
    return (
        "fix or rewrite the values that callctl rotate-secrets --status lists, then run callctl keys retire {id} again"
    )


def _record(
    connection: Connection, settings: Settings, id: str, check_value: str
) -> tuple[datetime, datetime | None, datetime | None]:
    """Record it. When the key was retired, when the last backup was taken, and when the last rotation ended."""
    store.create(connection, settings.schema)
    values = {"id": id, "check_value": check_value}
    retired_at: datetime | None = database.value(connection, read_sql("secrets/inventory/key_retire.sql"), values)
    assert retired_at is not None
    # Read in the same transaction: a lock that times out leaves nothing recorded.
    rotated_at = database.value(connection, read_sql("secrets/inventory/last_rotation.sql"))
    return retired_at, _last_backup(connection, settings), rotated_at


def _warnings(taken_at: datetime | None, id: str, rotated_at: datetime | None) -> Iterator[str]:
    """Yield warnings about backups, which no scan of this database reaches."""
    keep = f"do not destroy key {id} while a backup that needs it is kept"
    if taken_at is None:
        yield f"callctl does not know when the last backup was taken (callctl backup, or --backup-taken-at); {keep}"
    elif rotated_at is not None and taken_at < rotated_at:
        yield (
            f"the last backup ({taken_at.isoformat(timespec='seconds')}) is older than the last rotation"
            f" ({rotated_at.isoformat(timespec='seconds')}): it holds values under key {id}; {keep}"
        )
    else:
        yield f"backups taken before the last rotation hold values under key {id}; {keep}"
