"""Retiring a key: only when a scan of everything finds no value under it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from callctl import database, key_ledger, store
from callctl.backup_record import last_backup
from callctl.census import census
from callctl.errors import Refused
from callctl.events import OnEvent, ignore
from callctl.files import read_sql
from callctl.keys import KeyRing, load_key_ring
from callctl.lock import at_work, guard_transaction
from callctl.secret_scan import scan

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection

NOTHING = "nothing was recorded"
UNDER_UNBOUND = "under it, and unbound in a bound field, where a rotation leaves it"


@dataclass(frozen=True)
class Holding:
    """So many values that need the key, or may: where they are, and why they count."""

    place: str
    field: str
    values: int
    why: str


@dataclass(frozen=True)
class Retired:
    """A key that no value of this database is under. ``warnings`` say what callctl cannot see."""

    id: str
    retired_at: datetime
    rows: int
    warnings: tuple[str, ...]


def retire(settings: Settings, id: str, *, wait: bool = False, on_event: OnEvent = ignore) -> Retired:
    """Record that a key is retired: from here on it encrypts nothing, and may be taken out of callctl.yaml.

    Everything is scanned first, with no other callctl at work: declared fields, live, archived and saved, and all other
    JSON and text. Raises Refused, with the counts, where one value is under the key, or may be; where it is primary;
    and where nobody knows it. ConfigError; LockHeld; StepFailed.
    """
    import psycopg

    ring = load_key_ring(settings)
    if id == ring.primary.id:
        raise Refused(
            f"key {id} is primary: it encrypts what is written from here on",
            hint="make another key primary in callctl.yaml, run callctl rotate-secrets, then retire this one",
        )
    with at_work(settings, wait=wait, on_event=on_event) as (connection, _):
        with database.read_in_time(connection, settings, "keys retire", NOTHING):
            store.assert_owner(connection, settings.schema)
            known = key_ledger.known_keys(connection)
            key_ledger.assert_known(connection, ring)
            mine = ring.keys.get(id)
            if mine is None and id not in known:
                raise Refused(
                    f"no key {id} is known, neither to callctl.yaml nor to this database",
                    hint="callctl keys list shows the keys that are",
                )
            counted, holding = _holding(connection, settings, ring, id, on_event)
        if holding:
            raise Refused(_refusal(id, holding), hint=_hint(id, holding))
        check_value = mine.check_value if mine is not None else known[id].check_value
        attempt = partial(_record, connection, settings, id, check_value)
        try:
            retired_at, taken_at, rotated_at = database.with_retries(settings, "a lock", attempt, on_event)
        except psycopg.Error as error:
            raise database.translated(error, "keys retire", "", NOTHING, connection, quoted=False) from error
        return Retired(id, retired_at, counted, tuple(_warnings(taken_at, id, rotated_at)))


def _last_backup(connection: Connection, settings: Settings) -> datetime | None:
    """The newest that callctl has taken, or that the operator says was taken."""
    recorded = last_backup(connection)
    known = (settings.backup_taken_at, recorded.taken_at if recorded else None)
    return max((moment for moment in known if moment is not None), default=None)


def _holding(
    connection: Connection, settings: Settings, ring: KeyRing, id: str, on_event: OnEvent
) -> tuple[int, list[Holding]]:
    """The rows that were scanned, and what still needs the key, or may."""
    counted = census(connection, settings, ring, on_event=on_event)
    found: Counter[tuple[str, str, str]] = Counter()
    for use, number in counted.uses.items():
        if use.key == id:
            why = "under it" if use.state == "sealed" else "names it, and does not open"
            found[use.target, use.field, UNDER_UNBOUND if use.unbound else why] += number
        elif use.state == "unreadable" and use.key is None and use.version is not None:
            found[use.target, use.field, "carries no key id, and opens under no key of the ring"] += number
    outside = scan(connection, settings, ring)
    for each in outside.found:
        if each.kind == "plaintext":
            continue
        if each.key == id:
            found[each.table, each.field, "under it, outside the declared fields"] += each.values
        elif each.kind == "envelope" and each.key is None:
            found[each.table, each.field, "outside the declared fields, without a key id, and does not open"] += (
                each.values
            )
    return counted.rows, [Holding(place, field, number, why) for (place, field, why), number in sorted(found.items())]


def _refusal(id: str, holding: list[Holding]) -> str:
    total = sum(each.values for each in holding)
    lines = "".join(f"\n  {each.values:,} in {each.place}, {each.field}: {each.why}" for each in holding)
    return f"key {id} cannot be retired: {total:,} {'value needs' if total == 1 else 'values need'} it, or may{lines}"


def _hint(id: str, holding: list[Holding]) -> str:
    if any(each.why == UNDER_UNBOUND for each in holding):
        return (
            "callctl rotate-secrets --status lists the unbound values; check each with the customer, run callctl"
            f" rotate-secrets --bind-new ID with the id of each row, then callctl keys retire {id}"
        )
    if any(each.why == "under it" for each in holding):
        return "run callctl rotate-secrets, then retire it"
    if any("outside" in each.why for each in holding):
        return "declare those fields in callctl.yaml under `secrets:`, and run callctl rotate-secrets; then retire it"
    return "callctl rotate-secrets --status lists those values; mend them or write them anew, then retire it"


def _record(
    connection: Connection, settings: Settings, id: str, check_value: str
) -> tuple[datetime, datetime | None, datetime | None]:
    """Record it. When the key was retired, when the last backup was taken, and when the last rotation ended."""
    with connection.transaction():
        guard_transaction(connection, settings.schema, settings.lock_timeout_ms)
        store.create(connection, settings.schema)
        row = connection.execute(
            read_sql("rotation/key_retire.sql").encode(), {"id": id, "check_value": check_value}
        ).fetchone()
        # Read here, where a lock that is not to be had leaves nothing recorded.
        last = connection.execute(read_sql("rotation/last.sql").encode()).fetchone()
        taken_at = _last_backup(connection, settings)
    assert row is not None
    return row[0], taken_at, last[0] if last else None


def _warnings(taken_at: datetime | None, id: str, rotated_at: datetime | None) -> Iterator[str]:
    """What no scan of this database can say."""
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
