"""Under which key every declared secret of a database is, and what a rotation would do about it. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database import store
from callctl.events import OnEvent, ignore
from callctl.files import read_sql
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.ring import load_key_ring
from callctl.secrets.inventory.census import Census, census
from callctl.secrets.inventory.plaintext_copies import Copy, copies
from callctl.secrets.inventory.scan import Scan, scan
from callctl.secrets.rows import bound_fields, kept_secrets
from callctl.secrets.rows.binding import Binding, Rule
from callctl.secrets.rows.kept_secrets import Kept
from callctl.secrets.rows.tables import targets

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.secrets.rows.row import Target


@dataclass(frozen=True)
class KeyUse:
    """One key: what callctl.yaml says of it, what the ledger says, and how many values of this database are under it.

    ``state`` is 'primary', 'legacy', 'in the ring', 'retired', or 'not in the ring'. ``source`` and ``check_value`` are
    None where neither callctl.yaml nor the ledger knows the key.
    """

    id: str
    state: str
    source: str | None
    check_value: str | None
    first_used_at: datetime | None
    retired_at: datetime | None
    encryptions: int
    live: int
    archived: int
    saved: int


@dataclass(frozen=True)
class Keys:
    """Every key that callctl.yaml, the ledger or a value names; and the values that are under none: see ``census``.
    ``unbound`` values are left by a rotation: see :class:`callctl.secrets.inventory.census.Use`.
    """

    keys: tuple[KeyUse, ...]
    plaintext: int
    unreadable: int
    unbound: int = 0
    foreign: int = 0
    misshapen: int = 0


def keys(connection: Connection, settings: Settings, *, on_event: OnEvent = ignore) -> Keys:
    """List the keys, in a READ ONLY transaction. Raises ConfigError for the ring; Refused as :func:`census`."""
    ring = load_key_ring(settings)
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        known = key_ledger.known_keys(connection)
        key_ledger.assert_same(ring, known)
        counted = census(connection, settings, ring, on_event=on_event)
    under: dict[str, Counter[str]] = {}
    for use, number in counted.uses.items():
        if use.key is not None:
            under.setdefault(use.key, Counter())[use.where] += number
    found = []
    for id in dict.fromkeys((*ring.keys, *known, *sorted(under))):
        mine, before, values = ring.keys.get(id), known.get(id), under.get(id, Counter())
        retired_at = before.retired_at if before else None
        state = "retired" if retired_at else "not in the ring"
        if mine is not None and not retired_at:
            state = "primary" if mine is ring.primary else "legacy" if mine.legacy else "in the ring"
        found.append(
            KeyUse(
                id=id,
                state=state,
                source=mine.source if mine else None,
                check_value=mine.check_value if mine else before.check_value if before else None,
                first_used_at=before.first_used_at if before else None,
                retired_at=retired_at,
                encryptions=before.encryptions if before else 0,
                live=values["live"],
                archived=values["archived"],
                saved=values["saved"],
            )
        )
    return Keys(
        tuple(found),
        counted.total("plaintext"),
        counted.total("unreadable"),
        counted.unbound,
        counted.total("foreign"),
        counted.total("misshapen"),
    )


# ---- what a rotation would do --------------------------------------------------------------------------


@dataclass(frozen=True)
class Secrets:
    """How the secrets of a database stand: counted, and what is outside the declared fields.

    ``under_way`` and ``last`` are the rotation that is not finished, and the last that is; ``kept`` are webhook secrets
    that were replaced and can be put back.
    """

    key: str | None
    binding: Binding
    counted: Census
    outside: Scan
    under_way: Ledger | None
    last: Ledger | None
    kept: tuple[Kept, ...] = ()
    copies: tuple[Copy, ...] = ()


@dataclass(frozen=True)
class Planned:
    """What is known before a rotation. ``counted`` is None where nothing was counted: then ``first`` says whether no
    rotation of this database has finished yet. ``copies``: what fires on the rows written, and where plaintext is.
    """

    counted: Census | None
    first: bool
    copies: tuple[Copy, ...]

    @property
    def plaintext(self) -> int | None:
        """How many values are in plaintext; None where that is not known."""
        return None if self.counted is None else self.counted.total("plaintext")


@dataclass(frozen=True)
class Ledger:
    """A rotation as the ledger has it."""

    rotation: int
    key: str
    started_at: datetime
    finished_at: datetime | None
    by: str
    client: str
    failures: int


def plan(
    connection: Connection,
    settings: Settings,
    *,
    binding: Binding = "keep",
    bind_new: Sequence[str] = (),
    encrypt_foreign: bool = False,
    count: bool = True,
    on_event: OnEvent = ignore,
) -> Planned:
    """What a rotation would write, and what gets copies of it. Without ``count`` no row is read. Writes nothing.

    Raises ConfigError for the keys and the fields; Refused where this is no database to rotate, and where ``bind_new``
    names no row.
    """
    ring = load_key_ring(settings)
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        key_ledger.assert_known(connection, ring)
        found = targets(connection, settings)
        rule = _rule(connection, found, binding, bind_new)
        placed = copies(connection, settings, found)
        counted = (
            census(connection, settings, ring, rule=rule, encrypt_foreign=encrypt_foreign, on_event=on_event)
            if count
            else None
        )
        row = None
        if database.relation_exists(connection, "callctl", "rotation"):
            row = connection.execute(read_sql("secrets/inventory/finished_before.sql")).fetchone()
    return Planned(counted, not (row and row[0]), placed)


def look(
    connection: Connection,
    settings: Settings,
    *,
    binding: Binding = "keep",
    bind_new: Sequence[str] = (),
    encrypt_foreign: bool = False,
    on_event: OnEvent = ignore,
) -> Secrets:
    """How the secrets stand, and what a rotation would write. Writes nothing: its transactions are READ ONLY.

    Without keys in callctl.yaml nothing is decrypted. Raises ConfigError for the keys; Refused where there are none,
    and where ``bind_new`` names no row.
    """
    ring = load_key_ring(settings) if settings.keys is not None else None
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        if ring is not None:
            key_ledger.assert_known(connection, ring)
        found = targets(connection, settings)
        rule = _rule(connection, found, binding, bind_new)
        counted = census(connection, settings, ring, rule=rule, encrypt_foreign=encrypt_foreign, on_event=on_event)
        placed = copies(connection, settings, found)
        under_way, last = _ledger(connection)
        kept = kept_secrets.kept(connection)
    outside = scan(connection, settings, ring, timeout_ms=settings.statement_timeout_ms, on_event=on_event)
    return Secrets(ring.primary.id if ring else None, binding, counted, outside, under_way, last, kept, placed)


def _rule(connection: Connection, found: Sequence[Target], binding: Binding, bind_new: Sequence[str]) -> Rule:
    """The rule of the rotation that is asked about. Raises Refused where ``bind_new`` names no row."""
    bound = bound_fields.bound_fields(connection)
    return Rule(binding, bound, bound_fields.named_rows(connection, found, bound, bind_new))


def _ledger(connection: Connection) -> tuple[Ledger | None, Ledger | None]:
    """The rotation that is not finished, and the last that is."""
    if not database.relation_exists(connection, "callctl", "rotation"):
        return None, None
    found = [Ledger(*each) for each in connection.execute(read_sql("secrets/inventory/ledger.sql")).fetchall()]
    return (
        next((each for each in found if each.finished_at is None), None),
        next((each for each in found if each.finished_at is not None), None),
    )
