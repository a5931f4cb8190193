"""Drift: what differs between the database and what callctl's steps leave in it, or need in it.

Compared is the catalog alone: no row is read. What ``accept:`` in callctl.yaml names is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from callctl.database import connection as database
from callctl.database import store
from callctl.errors import Code, Refused
from callctl.files import read_sql
from callctl.forecast.catalog import Catalog, Name, read_catalog
from callctl.forecast.effects import Effects, effects
from callctl.migration.checks import preflight
from callctl.migration.checks.verify import Compared, Difference, compare
from callctl.migration.steps.numbered import status
from callctl.statements.script import parse_script
from callctl.statements.tokens import Unreadable

if TYPE_CHECKING:
    from callctl.config.sections import Accepted
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# A table that is read or indexed behind a lock that blocks writes: up to this many rows that takes milliseconds.
FEW_ROWS = 10_000

Kind: TypeAlias = Literal["missing", "changed", "added", "not gone"]
_KINDS: dict[str, Kind] = {"missing": "missing", "differs": "changed", "not gone": "not gone"}


@dataclass(frozen=True)
class Drift:
    """One difference.

    ``fix``: the statements that remove it, in their order; none if no statement does. ``safe``: they lose nothing, and
    no client waits for them longer than for a short lock; ``reason`` says why they are not. ``accepted_as``: the
    object and the difference, as an entry of ``accept:`` names them; None where none is taken.
    """

    kind: Kind
    object: str
    difference: str
    step: int | None
    fix: tuple[str, ...]
    safe: bool
    reason: str | None
    accepted_as: tuple[str, str] | None


@dataclass(frozen=True)
class DriftReport:
    """The drift of a database: ``objects`` were compared with what the steps in ``applied`` leave.

    For the steps in ``pending``, only whether the tables and columns that they read exist.
    """

    objects: int
    applied: tuple[int, ...]
    pending: tuple[int, ...]
    drift: tuple[Drift, ...]
    accepted: tuple[Accepted, ...]


def diff(connection: Connection, settings: Settings) -> DriftReport:
    """Compare the catalog with what the applied steps leave in it, and with what the pending ones read.

    READ ONLY, with no lock beyond ACCESS SHARE; each query ends within ``statement_timeout``. Raises Refused if the
    catalog cannot be read.
    """
    import psycopg

    with database.read_only(connection):
        current = status(connection, settings)
        parameters = {"timeout": f"{settings.statement_timeout_ms}ms", "known_keys": ""}
        connection.execute(read_sql("migration/checks/verify_session.sql"), parameters)
        compared = Compared(0, (), (), None)
        if current.applied or store.exists(connection):
            try:
                compared = compare(connection, current.applied, current.naming, settings.accept)
            except psycopg.errors.QueryCanceled as error:
                raise _unread(database.error_text(error)) from error
            if compared.problem is not None:
                raise _unread(compared.problem)
        catalog = read_catalog(connection, current.naming.schema)
    drift = [_drift(difference, catalog) for difference in compared.differences]
    missing = preflight.missing(connection, settings, current.naming, current.pending)
    drift += [Drift("missing", finding.objects[0], finding.what, None, (), False, None, None) for finding in missing]
    return DriftReport(
        compared.objects, tuple(current.applied), tuple(current.pending), tuple(drift), compared.accepted
    )


def _drift(difference: Difference, catalog: Catalog) -> Drift:
    kind = _KINDS.get(difference.problem, "added")
    words = difference.problem
    if difference.problem == "differs":
        words = f"{difference.property} is {difference.found or 'none'}, should be {difference.expected}"
    fix = tuple(_statements(difference.fix or ""))
    none = "callctl knows no statement for it" if kind == "added" else "no single statement restores it"
    reason = _danger(fix, catalog) if fix else none
    acceptable = None if difference.check.startswith("store-") else difference.named()
    return Drift(kind, difference.object, words, difference.step, fix, reason is None, reason, acceptable)


def _statements(text: str) -> Iterator[str]:
    try:
        yield from (statement.sql for statement in parse_script(text, "fix").statements)
    except Unreadable:
        yield text


def _danger(fix: Sequence[str], catalog: Catalog) -> str | None:
    """Return why a person has to decide on these statements; None if they lose nothing and block clients briefly."""
    for statement in fix:
        found = effects(statement, catalog)
        words = statement.split()
        if words[0].upper() == "DROP" or _removes(words):
            return "it removes what is there now"
        if found.unknown:
            return found.unknown[0]
        if found.drops:
            return "it drops " + ", ".join(name.sql + (f".{column}" if column else "") for name, column in found.drops)
        if found.rewrites:
            return f"it rewrites {found.rewrites[0].sql} while reads and writes of it wait"
        for name in _read_behind_lock(found):
            relation = catalog.relation(name)
            rows = None if relation is None else relation.rows
            if rows is None or rows > FEW_ROWS:
                number = "rows not known" if rows is None else f"about {rows:,} rows"
                return f"it reads all of {name.sql} ({number}) while writes of it wait"
    return None


def _removes(words: Sequence[str]) -> bool:
    """Return whether an ALTER drops a part of its object, other than a default or NOT NULL."""
    upper = [word.upper().rstrip(",;") for word in words]
    return any(word == "DROP" and following not in ("DEFAULT", "NOT") for word, following in pairwise(upper))


def _read_behind_lock(found: Effects) -> Iterator[Name]:
    for name, mode in found.reads:
        if mode.blocks_writes:
            yield name
    for name in found.builds:
        if any(of == name and mode.blocks_writes for of, mode in found.locks):
            yield name


def _unread(problem: str) -> Refused:
    return Refused(
        Code.CATALOG_UNREADABLE,
        f"the catalog could not be compared: {problem}",
        hint="set a longer --statement-timeout, or connect as a role that may read the catalog",
    )
