"""Under which key every declared secret of a database is, and what a rotation would do about it. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from callctl import database, kept_secrets, key_ledger, store
from callctl.credentials import problems
from callctl.envelope import Malformed, NotOpened, Opener, Place, read
from callctl.events import OnEvent, RotationProgress, ignore
from callctl.files import read_sql
from callctl.kept_secrets import Kept
from callctl.keys import KeyRing, load_key_ring
from callctl.reencrypt import Binding, target_version
from callctl.rotation_ranges import MOST_LISTED
from callctl.secret_rows import NotReadable, Row, Target, as_row, decode
from callctl.secret_scan import Scan, scan
from callctl.secret_tables import OtherCompanies, query, targets

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection

ROWS_AT_ONCE = 1_000

# sealed: it opens, or (without a key ring) has the shape of an envelope. unreadable: it does not open, or is neither.
State: TypeAlias = Literal["sealed", "plaintext", "unreadable"]


class Use(NamedTuple):
    """What is counted together: where, which field, in which state, under which key and in which version.

    ``key`` is the id that the value names, or the key that opens it; None where neither is known. ``due``: a rotation
    would write it.
    """

    target: str
    where: str
    account_type: str | None
    field: str
    state: State
    key: str | None
    version: int | None
    due: bool


@dataclass(frozen=True)
class Unreadable:
    """A value that does not open: where, and why. Never the value."""

    target: str
    row_id: str
    field: str
    reason: str


class Tenant(NamedTuple):
    """The secrets of one company: ``due`` would be written by a rotation, ``unreadable`` do not open."""

    company_id: str
    values: int
    due: int
    unreadable: int


class Shape(NamedTuple):
    """Credentials that are not as the specification has them: so many accounts of a type have this trouble there."""

    account_type: str
    field: str
    trouble: str


@dataclass
class Census:
    """Everything that was counted. ``unreadable`` holds the first of those that do not open."""

    rows: int = 0
    uses: Counter[Use] = field(default_factory=Counter)
    tenants: dict[str, list[int]] = field(default_factory=dict)
    shapes: Counter[Shape] = field(default_factory=Counter)
    unreadable: list[Unreadable] = field(default_factory=list)

    def total(self, state: State) -> int:
        """How many values are in a state."""
        return sum(number for use, number in self.uses.items() if use.state == state)

    @property
    def due(self) -> int:
        """How many values a rotation would write."""
        return sum(number for use, number in self.uses.items() if use.due)

    def by_tenant(self) -> tuple[Tenant, ...]:
        """The companies, by id."""
        return tuple(Tenant(company, *counts) for company, counts in sorted(self.tenants.items()))


def census(
    connection: Connection,
    settings: Settings,
    ring: KeyRing | None,
    *,
    binding: Binding = "keep",
    on_event: OnEvent = ignore,
) -> Census:
    """Count every declared secret: live, archived and saved, soft-deleted ones too, in the caller's transaction.

    Each value is decrypted, unless there is no ``ring``: then its shape and the key id it names are all that is known.
    Raises Refused where there is no place for secrets.
    """
    counted = Census()
    opener = Opener(ring, OtherCompanies(connection, settings)) if ring is not None else None
    reader = _Reader(ring, opener, binding, counted)
    for target in targets(connection, settings):
        for rows in _pages(connection, target):
            for row in rows:
                reader.row(target, row)
            on_event(RotationProgress(counted.rows, 0, counted.total("unreadable"), 0.0))
    return counted


def _pages(connection: Connection, target: Target) -> Iterator[list[Row]]:
    """The rows of a target, some at a time: memory stays the same, however large the table is."""
    with connection.cursor("callctl_secrets") as cursor:
        cursor.execute(query("all", target), {})
        while fetched := cursor.fetchmany(ROWS_AT_ONCE):
            yield [as_row(each) for each in fetched]


class _Reader:
    def __init__(self, ring: KeyRing | None, opener: Opener | None, binding: Binding, counted: Census) -> None:
        self._opener = opener
        self._primary = ring.primary.id if ring is not None else None
        self._binding = binding
        self._counted = counted

    def row(self, target: Target, row: Row) -> None:
        counted = self._counted
        counted.rows += 1
        for part, raw in zip(target.parts, row.values, strict=True):
            if raw is None:
                continue
            if part.is_credentials:
                self._shape(row, raw)
            try:
                _, slots = part.take_apart(raw, row.account_type)
            except NotReadable as problem:
                self._add(target, row, part.column, "unreadable", None, None, False, problem.reason)
                continue
            for slot in slots:
                if slot.value != "":
                    self._value(target, row, slot.path, slot.value)

    def _shape(self, row: Row, raw: str) -> None:
        try:
            credentials = decode(raw)
        except NotReadable:
            return
        for path, trouble in problems(row.account_type or "", credentials):
            self._counted.shapes[Shape(row.account_type or "", path, trouble)] += 1

    def _value(self, target: Target, row: Row, path: str, value: object) -> None:
        try:
            envelope = read(value)
        except Malformed as problem:
            self._add(target, row, path, "unreadable", None, None, False, f"malformed: {problem.reason}")
            return
        if envelope is None:
            self._add(target, row, path, "plaintext", None, None, True)
            return
        key = envelope.key_id
        if self._opener is not None:
            try:
                opened = self._opener.open(envelope, Place(row.company_id, target.table, row.row_id, path))
            except NotOpened as problem:
                self._add(target, row, path, "unreadable", key, envelope.version, False, str(problem))
                return
            key = opened.key.id
        due = envelope.key_id != self._primary or envelope.version != target_version(envelope.version, self._binding)
        self._add(target, row, path, "sealed", key, envelope.version, due)

    def _add(
        self,
        target: Target,
        row: Row,
        path: str,
        state: State,
        key: str | None,
        version: int | None,
        due: bool,
        reason: str | None = None,
    ) -> None:
        counted = self._counted
        counted.uses[Use(target.name, target.where, row.account_type, path, state, key, version, due)] += 1
        tenant = counted.tenants.setdefault(row.company_id, [0, 0, 0])
        tenant[0] += 1
        tenant[1] += due
        if reason is not None:
            tenant[2] += 1
            if len(counted.unreadable) < MOST_LISTED:
                counted.unreadable.append(Unreadable(target.name, row.row_id, path, reason))


# ---- the keys ------------------------------------------------------------------------------------------


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
    """Every key that callctl.yaml, the ledger or a value names; and the values that are under none."""

    keys: tuple[KeyUse, ...]
    plaintext: int
    unreadable: int


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
    return Keys(tuple(found), counted.total("plaintext"), counted.total("unreadable"))


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


def look(
    connection: Connection, settings: Settings, *, binding: Binding = "keep", on_event: OnEvent = ignore
) -> Secrets:
    """How the secrets stand, and what a rotation would write. Writes nothing: one READ ONLY transaction.

    Without keys in callctl.yaml nothing is decrypted. Raises ConfigError for the keys; Refused where there are none.
    """
    ring = load_key_ring(settings) if settings.keys is not None else None
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        if ring is not None:
            key_ledger.assert_known(connection, ring)
        counted = census(connection, settings, ring, binding=binding, on_event=on_event)
        outside = scan(connection, settings, ring, timeout_ms=settings.statement_timeout_ms)
        under_way, last = _ledger(connection)
        kept = kept_secrets.kept(connection)
    return Secrets(ring.primary.id if ring else None, binding, counted, outside, under_way, last, kept)


def _ledger(connection: Connection) -> tuple[Ledger | None, Ledger | None]:
    """The rotation that is not finished, and the last that is."""
    row = connection.execute("SELECT to_regclass('callctl.rotation') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return None, None
    found = [Ledger(*each) for each in connection.execute(read_sql("rotation/ledger.sql").encode()).fetchall()]
    return (
        next((each for each in found if each.finished_at is None), None),
        next((each for each in found if each.finished_at is not None), None),
    )
