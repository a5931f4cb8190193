"""Every declared secret of a database, counted by key and version, and what a rotation would do. Reads only."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from callctl.database import connection as database
from callctl.database import store
from callctl.events import OnEvent, RotationProgress, ignore
from callctl.files import read_sql
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.ring import KeyRing, load_key_ring
from callctl.secrets.inventory.plaintext_copies import Copy, copies
from callctl.secrets.inventory.scan import Scan, scan
from callctl.secrets.rows import tables
from callctl.secrets.rows.credentials import Trouble, problems
from callctl.secrets.rows.decisions import Decided, Decider
from callctl.secrets.rows.row import (
    MOST_LISTED,
    Binding,
    NotReadable,
    Row,
    Rule,
    Secret,
    SecretTable,
    State,
    Where,
    as_row,
    decode,
)
from callctl.secrets.rows.tables import Kept, OtherCompanies, assert_matched, bound_fields, query, secret_tables

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# Every declared secret of a database, counted: in which state, under which key, in which version. Reads only.

ROWS_AT_ONCE = 1_000

# How many rows are named of those that are counted together.
FIRST_ROWS = 5


class Use(NamedTuple):
    """The group in which a value is counted: place, field, state, key and version.

    ``key`` is the id that the value names, or the key that opens it; None if neither is known. ``due``: a rotation
    would write it. ``unbound``: it would not, because the value is unbound in a bound field.
    """

    table: str
    where: Where
    account_type: str | None
    field: str
    state: State
    key: str | None
    version: int | None
    due: bool
    unbound: bool = False


@dataclass(frozen=True)
class Unreadable:
    """A value that a rotation would leave: where, and why (it does not open, no path reaches it, it is unbound). Never
    the value.
    """

    table: str
    row_id: str
    field: str
    reason: str


@dataclass
class Foreign:
    """Values of one field that have the ``form`` of another tool's ciphertext; ``rows`` are the first, by id."""

    table: str
    field: str
    form: str
    values: int = 0
    rows: list[str] = dataclasses.field(default_factory=list)


class Tenant(NamedTuple):
    """The secrets of one company: ``due`` would be written by a rotation, ``unbound`` are unbound in a bound field, and
    ``unreadable`` would be left for another reason.
    """

    company_id: str
    values: int
    due: int
    unreadable: int
    unbound: int = 0


class Shape(NamedTuple):
    """Credentials that differ from the specification: the number of accounts of a type with this problem."""

    account_type: str
    field: str
    trouble: Trouble


@dataclass
class Census:
    """Everything that was counted. ``unreadable`` holds the first of those that do not open, that no path reaches, or
    that are unbound.
    """

    rows: int = 0
    uses: Counter[Use] = field(default_factory=Counter)
    tenants: dict[str, list[int]] = field(default_factory=dict)
    shapes: Counter[Shape] = field(default_factory=Counter)
    unreadable: list[Unreadable] = field(default_factory=list)
    foreign: dict[tuple[str, str, str], Foreign] = field(default_factory=dict)

    def total(self, state: State) -> int:
        """Return the number of values in a state."""
        return sum(number for use, number in self.uses.items() if use.state == state)

    @property
    def left_count(self) -> int:
        """The number of values that a rotation would leave as they are, and list."""
        kept = ("unreadable", "misshapen", "foreign")
        return sum(number for use, number in self.uses.items() if use.unbound or (use.state in kept and not use.due))

    @property
    def due(self) -> int:
        """The number of values that a rotation would write."""
        return sum(number for use, number in self.uses.items() if use.due)

    @property
    def unbound(self) -> int:
        """The number of values that are unbound in a bound field."""
        return sum(number for use, number in self.uses.items() if use.unbound)

    def by_tenant(self) -> tuple[Tenant, ...]:
        """The companies, by id."""
        return tuple(Tenant(company, *counts) for company, counts in sorted(self.tenants.items()))


def census(
    connection: Connection,
    settings: Settings,
    ring: KeyRing | None,
    *,
    rule: Rule | None = None,
    encrypt_foreign: bool = False,
    apart: Callable[[], AbstractContextManager[None]] | None = None,
    on_event: OnEvent = ignore,
) -> Census:
    """Count every declared secret: live, archived and saved, soft-deleted ones too, in the caller's transaction.

    With ``apart`` each page of rows is read in a transaction of its own, which it makes: no snapshot gets old, and what
    is written meanwhile may be missed. Each value is decrypted, unless there is no ``ring``: then its shape and the key
    id it names are all that is known. ``rule`` is that of the rotation whose work is counted; without one, of a
    rotation without --bind and --unbind. Raises Refused if there is no place for secrets; ConfigError if a field
    of callctl.yaml matches nothing.
    """
    counted = Census()
    with apart() if apart is not None else nullcontext():
        rule = rule or Rule(bound=bound_fields(connection))
        found_tables = secret_tables(connection, settings)
        assert_matched(connection, settings, found_tables)
    decider = Decider(ring, rule, OtherCompanies(connection, settings), encrypt_foreign=encrypt_foreign)
    for secret_table in found_tables:
        for rows in (
            _pages(connection, secret_table) if apart is None else _pages_apart(connection, secret_table, apart)
        ):
            for row in rows:
                _count(counted, secret_table, decider.decided(secret_table, row))
            on_event(RotationProgress(counted.rows, 0, counted.left_count, 0.0))
    return counted


def _pages(connection: Connection, secret_table: SecretTable) -> Iterator[list[Row]]:
    """The rows of a target, some at a time: memory stays the same, however large the table is."""
    with connection.cursor("callctl_secrets") as cursor:
        cursor.execute(query("all", secret_table), {})
        while fetched := cursor.fetchmany(ROWS_AT_ONCE):
            yield [as_row(row) for row in fetched]


def _pages_apart(
    connection: Connection, secret_table: SecretTable, apart: Callable[[], AbstractContextManager[None]]
) -> Iterator[list[Row]]:
    """The same, each page in a transaction of its own. If a key may be there twice, all are read in one."""
    if not secret_table.unique:
        with apart():
            yield from _pages(connection, secret_table)
        return
    above: str | None = None
    has_more = True
    while has_more:
        with apart():
            values = {"above": above, "up_to": None, "rows": ROWS_AT_ONCE}
            page = [as_row(row) for row in connection.execute(query("read", secret_table), values).fetchall()]
        if has_more := len(page) == ROWS_AT_ONCE:
            above = page[-1].key
        yield page


def _count(counted: Census, secret_table: SecretTable, decided: Decided) -> None:
    counted.rows += 1
    row = decided.row
    for part, raw in zip(secret_table.parts, row.values, strict=True):
        if part.is_credentials and raw is not None:
            _count_shape(counted, row, raw)
    for secret in decided.secrets:
        _add(counted, secret_table, row, secret)


def _count_shape(counted: Census, row: Row, raw: str) -> None:
    try:
        credentials = decode(raw)
    except NotReadable:
        return
    for path, trouble in problems(row.account_type or "", credentials):
        counted.shapes[Shape(row.account_type or "", path, trouble)] += 1


def _add(counted: Census, secret_table: SecretTable, row: Row, secret: Secret) -> None:
    state, key, due, is_unbound = secret.state, secret.key_id, secret.wanted is not None, secret.unbound
    version = secret.envelope.version if secret.envelope is not None else None
    where = (secret_table.name, secret_table.where, row.account_type, secret.path)
    use = Use(*where, state, key, version, due, is_unbound)
    counted.uses[use] += 1
    tenant = counted.tenants.setdefault(row.company_id, [0, 0, 0, 0])
    tenant[0] += 1
    tenant[1] += due
    tenant[2] += state in ("unreadable", "misshapen", "foreign") and not due and not is_unbound
    tenant[3] += is_unbound
    if secret.form is not None and not is_unbound:
        _add_foreign(counted, secret_table, row, secret.path, secret.form)
    elif secret.reason is not None and len(counted.unreadable) < MOST_LISTED:
        counted.unreadable.append(Unreadable(secret_table.name, row.row_id, secret.path, secret.reason))


def _add_foreign(counted: Census, secret_table: SecretTable, row: Row, path: str, form: str) -> None:
    entry = counted.foreign.setdefault((secret_table.name, path, form), Foreign(secret_table.name, path, form))
    entry.values += 1
    if len(entry.rows) < FIRST_ROWS and row.row_id not in entry.rows:
        entry.rows.append(row.row_id)


# Under which key every declared secret of a database is, and what a rotation would do about it. Reads only.


@dataclass(frozen=True)
class KeyUse:
    """One key: what callctl.yaml says of it, what the ledger says, and how many values of this database are under it.

    ``state`` is 'primary', 'legacy', 'in the ring', 'retired', or 'not in the ring'. ``source`` and ``check_value`` are
    None if neither callctl.yaml nor the ledger knows the key.
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
    """Every key that callctl.yaml, the ledger or a value names, and the values without a key: see ``census``.
    ``unbound`` values are left by a rotation: see :class:`callctl.secrets.inventory.key_use.Use`.
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
    uses = []
    for id in dict.fromkeys((*ring.keys, *known, *sorted(under))):
        mine, before, values = ring.keys.get(id), known.get(id), under.get(id, Counter())
        retired_at = before.retired_at if before else None
        state = "retired" if retired_at else "not in the ring"
        if mine is not None and not retired_at:
            state = "primary" if mine is ring.primary else "legacy" if mine.legacy else "in the ring"
        uses.append(
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
        tuple(uses),
        counted.total("plaintext"),
        counted.total("unreadable"),
        counted.unbound,
        counted.total("foreign"),
        counted.total("misshapen"),
    )


# ---- what a rotation would do --------------------------------------------------------------------------


@dataclass(frozen=True)
class Secrets:
    """The state of a database's secrets: counts, and what is outside the declared fields.

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
    """The facts known before a rotation.

    ``counted`` is None if nothing was counted: then ``first`` says whether no rotation of this database has finished
    yet. ``copies``: what fires on the rows written, and where plaintext is.
    """

    counted: Census | None
    first: bool
    copies: tuple[Copy, ...]

    @property
    def plaintext(self) -> int | None:
        """The number of values in plaintext; None if it is not known."""
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
    """Return the values that a rotation would write, and the places that get copies of them.

    Without ``count`` no row is read. Writes nothing.

    Raises ConfigError for the keys and the fields; Refused if this is no database to rotate, and if ``bind_new``
    names no row.
    """
    ring = load_key_ring(settings)
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        key_ledger.assert_known(connection, ring)
        found_tables = secret_tables(connection, settings)
        rule = _rule(connection, found_tables, binding, bind_new)
        placed = copies(connection, settings, found_tables)
        counted = (
            census(connection, settings, ring, rule=rule, encrypt_foreign=encrypt_foreign, on_event=on_event)
            if count
            else None
        )
        finished_before = database.relation_exists(connection, "callctl", "rotation") and bool(
            database.value(connection, read_sql("secrets/inventory/finished_before.sql"))
        )
    return Planned(counted, not finished_before, placed)


def look(
    connection: Connection,
    settings: Settings,
    *,
    binding: Binding = "keep",
    bind_new: Sequence[str] = (),
    encrypt_foreign: bool = False,
    on_event: OnEvent = ignore,
) -> Secrets:
    """The state of the secrets, and what a rotation would write. Writes nothing: its transactions are READ ONLY.

    Without keys in callctl.yaml nothing is decrypted. Raises ConfigError for the keys; Refused if there are none,
    and if ``bind_new`` names no row.
    """
    ring = load_key_ring(settings) if settings.keys is not None else None
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        if ring is not None:
            key_ledger.assert_known(connection, ring)
        found_tables = secret_tables(connection, settings)
        rule = _rule(connection, found_tables, binding, bind_new)
        counted = census(connection, settings, ring, rule=rule, encrypt_foreign=encrypt_foreign, on_event=on_event)
        placed = copies(connection, settings, found_tables)
        under_way, last = _ledger(connection)
        kept = tables.kept_webhook_secrets(connection)
    outside = scan(connection, settings, ring, timeout_ms=settings.statement_timeout_ms, on_event=on_event)
    return Secrets(ring.primary.id if ring else None, binding, counted, outside, under_way, last, kept, placed)


def _rule(
    connection: Connection, found_tables: Sequence[SecretTable], binding: Binding, bind_new: Sequence[str]
) -> Rule:
    """The rule of the rotation that is asked about. Raises Refused if ``bind_new`` names no row."""
    bound = tables.bound_fields(connection)
    return Rule(binding, bound, tables.named_rows(connection, found_tables, bound, bind_new))


def _ledger(connection: Connection) -> tuple[Ledger | None, Ledger | None]:
    """The rotation that is not finished, and the last that is."""
    if not database.relation_exists(connection, "callctl", "rotation"):
        return None, None
    ledgers = [Ledger(*row) for row in connection.execute(read_sql("secrets/inventory/ledger.sql")).fetchall()]
    return (
        next((ledger for ledger in ledgers if ledger.finished_at is None), None),
        next((ledger for ledger in ledgers if ledger.finished_at is not None), None),
    )
