"""Every declared secret of a database, counted: in which state, under which key, in which version. Reads only."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from callctl.events import OnEvent, RotationProgress, ignore
from callctl.secrets.envelope.cipher import Decrypter, NotDecrypted
from callctl.secrets.envelope.foreign_ciphertext import foreign
from callctl.secrets.envelope.format import Malformed, Place, read
from callctl.secrets.envelope.ring import KeyRing
from callctl.secrets.inventory.unmatched_fields import assert_matched
from callctl.secrets.rows.binding import UNBOUND, RowName, Rule, unbound
from callctl.secrets.rows.bound_fields import bound_fields
from callctl.secrets.rows.credentials import Trouble, problems
from callctl.secrets.rows.result import MOST_LISTED
from callctl.secrets.rows.row import NotReadable, Row, Target, Where, as_row, decode
from callctl.secrets.rows.tables import OtherCompanies, query, targets

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

ROWS_AT_ONCE = 1_000

# How many rows are named of those that are counted together.
FIRST_ROWS = 5

# sealed: it opens, or (without a key ring) has the shape of an envelope. unreadable: it does not open, or is neither.
# foreign: it has the form of another tool's ciphertext. misshapen: no declared path reaches it, see secret_shapes.
State: TypeAlias = Literal["sealed", "plaintext", "unreadable", "foreign", "misshapen"]


class Use(NamedTuple):
    """What is counted together: where, which field, in which state, under which key and in which version.

    ``key`` is the id that the value names, or the key that opens it; None where neither is known. ``due``: a rotation
    would write it. ``unbound``: it would not, because the value is unbound in a bound field.
    """

    target: str
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

    target: str
    row_id: str
    field: str
    reason: str


@dataclass
class Foreign:
    """Values of one field that have the ``form`` of another tool's ciphertext; ``rows`` are the first, by id."""

    target: str
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
    """Credentials that are not as the specification has them: so many accounts of a type have this trouble there."""

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
        """How many values are in a state."""
        return sum(number for use, number in self.uses.items() if use.state == state)

    @property
    def left(self) -> int:
        """How many values a rotation would leave as they are, and list."""
        kept = ("unreadable", "misshapen", "foreign")
        return sum(number for use, number in self.uses.items() if use.unbound or (use.state in kept and not use.due))

    @property
    def due(self) -> int:
        """How many values a rotation would write."""
        return sum(number for use, number in self.uses.items() if use.due)

    @property
    def unbound(self) -> int:
        """How many values are unbound in a bound field."""
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
    rotation without --bind and --unbind. Raises Refused where there is no place for secrets; ConfigError where a field
    of callctl.yaml matches nothing.
    """
    counted = Census()
    with apart() if apart is not None else nullcontext():
        rule = rule or Rule(bound=bound_fields(connection))
        found = targets(connection, settings)
        assert_matched(connection, settings, found)
    decrypter = Decrypter(ring, OtherCompanies(connection, settings)) if ring is not None else None
    reader = _Reader(ring, decrypter, rule, encrypt_foreign, counted)
    for target in found:
        for rows in _pages(connection, target) if apart is None else _pages_apart(connection, target, apart):
            for row in rows:
                reader.row(target, row)
            on_event(RotationProgress(counted.rows, 0, counted.left, 0.0))
    return counted


def _pages(connection: Connection, target: Target) -> Iterator[list[Row]]:
    """The rows of a target, some at a time: memory stays the same, however large the table is."""
    with connection.cursor("callctl_secrets") as cursor:
        cursor.execute(query("all", target), {})
        while fetched := cursor.fetchmany(ROWS_AT_ONCE):
            yield [as_row(each) for each in fetched]


def _pages_apart(
    connection: Connection, target: Target, apart: Callable[[], AbstractContextManager[None]]
) -> Iterator[list[Row]]:
    """The same, each page in a transaction of its own. Where a key may be there twice, all are read in one."""
    if not target.unique:
        with apart():
            yield from _pages(connection, target)
        return
    above: str | None = None
    more = True
    while more:
        with apart():
            values = {"above": above, "up_to": None, "rows": ROWS_AT_ONCE}
            page = [as_row(each) for each in connection.execute(query("read", target), values).fetchall()]
        if more := len(page) == ROWS_AT_ONCE:
            above = page[-1].key
        yield page


class _Reader:
    def __init__(
        self, ring: KeyRing | None, decrypter: Decrypter | None, rule: Rule, encrypt_foreign: bool, counted: Census
    ) -> None:
        self._encrypt_foreign = encrypt_foreign
        self._decrypter = decrypter
        self._primary = ring.primary.id if ring is not None else None
        self._rule = rule
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
                root, slots = part.take_apart(raw, row.account_type)
            except NotReadable as problem:
                self._add(target, row, part.column, "unreadable", None, None, False, problem.reason)
                continue
            for path, reason in part.strays(root, row.account_type):
                self._add(target, row, path, "misshapen", None, None, False, reason)
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
        name = RowName(target.table, row.row_id)
        if envelope is None:
            form = foreign(str(value))
            if self._rule.version(target.recorded, name, row.account_type, path, 0) is None:
                state: State = "plaintext" if form is None else "foreign"
                self._add(target, row, path, state, None, None, False, unbound(None, None, form))
            elif form is None:
                self._add(target, row, path, "plaintext", None, None, True)
            else:
                self._add(target, row, path, "foreign", None, None, self._encrypt_foreign)
                self._foreign(target, row, path, form)
            return
        key = envelope.key_id
        if self._decrypter is not None:
            try:
                opened = self._decrypter.decrypt(envelope, Place(row.company_id, target.table, row.row_id, path))
            except NotDecrypted as problem:
                self._add(target, row, path, "unreadable", key, envelope.version, False, str(problem))
                return
            key = opened.key.id
        wanted = self._rule.version(target.recorded, name, row.account_type, path, envelope.version)
        if wanted is None:
            self._add(target, row, path, "sealed", key, envelope.version, False, unbound(envelope.version, key))
            return
        due = envelope.key_id != self._primary or envelope.version != wanted
        self._add(target, row, path, "sealed", key, envelope.version, due)

    def _foreign(self, target: Target, row: Row, path: str, form: str) -> None:
        found = self._counted.foreign.setdefault((target.name, path, form), Foreign(target.name, path, form))
        found.values += 1
        if len(found.rows) < FIRST_ROWS and row.row_id not in found.rows:
            found.rows.append(row.row_id)

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
        is_unbound = reason is not None and reason.startswith(UNBOUND)
        use = Use(target.name, target.where, row.account_type, path, state, key, version, due, is_unbound)
        counted.uses[use] += 1
        tenant = counted.tenants.setdefault(row.company_id, [0, 0, 0, 0])
        tenant[0] += 1
        tenant[1] += due
        tenant[2] += state in ("unreadable", "misshapen", "foreign") and not due and not is_unbound
        tenant[3] += is_unbound
        if reason is not None and len(counted.unreadable) < MOST_LISTED:
            counted.unreadable.append(Unreadable(target.name, row.row_id, path, reason))
