"""The outlook of a plan: for each transaction, what each statement will lock, read and write on this database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.forecast.catalog import Catalog, Name, Relation, read_catalog
from callctl.forecast.effects import Effects, effects
from callctl.forecast.locks import Mode
from callctl.migration.run.script import ALONE, grouped, with_repeated
from callctl.migration.run.transactions import ROWS
from callctl.statements.adaptation import adapt
from callctl.statements.script import Statement, load_script

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.migration.planning import Plan

# callctl's own tables that statements of a step write to, or that refer to the platform's.
_STORE = (
    "saved_value",
    "inheritance_breach",
    "saved_row",
    "made",
    "definition",
    "history",
    "checkpoint",
    "proof",
    "withheld_model",
    "known_before",
    "removed_row",
)


@dataclass(frozen=True)
class Line:
    """One statement of a plan and its effects. ``own``: it concerns callctl's own tables alone."""

    statement: Statement
    effects: Effects
    own: bool
    conditional: bool = False


@dataclass(frozen=True)
class Transaction:
    """The statements that are sent in one transaction; ``alone`` is a statement outside of one, or in batches."""

    lines: tuple[Line, ...]
    alone: bool = False
    batched: bool = False

    def locks(self) -> dict[tuple[Name, Mode], bool]:
        """What it locks: (table, mode) -> whether for certain."""
        whole = Effects()
        for line in self.lines:
            whole.add(line.effects, certain=not line.conditional)
        return whole.locks


@dataclass(frozen=True)
class StepOutlook:
    """One step, in the order in which its transactions run. Number 0 is what callctl does before the first step."""

    number: int
    name: str
    transactions: tuple[Transaction, ...]

    def lines(self) -> Iterator[Line]:
        """Its statements."""
        for transaction in self.transactions:
            yield from transaction.lines


@dataclass(frozen=True)
class Outlook:
    """What a run would do on this database: the steps, and the tables that it met, by name."""

    steps: tuple[StepOutlook, ...]
    relations: dict[Name, Relation] = field(default_factory=dict)


def outlook(connection: Connection, settings: Settings, plan: Plan, *, atomic: bool = False) -> Outlook:
    """What the statements of a plan will do here. READ ONLY: locks nothing beyond ACCESS SHARE."""
    with database.read_only(connection):
        catalog = read_catalog(connection, plan.naming.schema)
        catalog.settings["callctl.new_tables_row_security"] = settings.new_tables_row_security
        met = {name: replace(relation) for name, relation in catalog.relations.items()}
        steps = []
        if plan.steps:
            steps.append(_before(plan, catalog))
        for step in plan.steps:
            steps.append(StepOutlook(step.number, step.name, tuple(_transactions(step.statements, catalog, plan))))
        return Outlook(tuple(steps), met)


def _before(plan: Plan, catalog: Catalog) -> StepOutlook:
    """What callctl does to its own schema first: it is made, and gets the foreign keys that are missing."""
    for name in _STORE:
        if catalog.relation(Name("callctl", name)) is None:
            catalog.relations[Name("callctl", name)] = Relation(Name("callctl", name), rows=0, counted=True, made=True)
    statements = [adapt(statement, plan.naming) for statement in load_script("store_keys.sql").statements]
    return StepOutlook(0, "callctl", tuple(_transactions(statements, catalog, plan)))


def _transactions(statements: Sequence[Statement], catalog: Catalog, plan: Plan) -> Iterator[Transaction]:
    """The transactions in which ``migration.run.script`` sends these statements.

    A batched statement with ``again`` is sent once more in the last transaction of its file, for rows that were written
    meanwhile.
    """
    whole = list(grouped(statements))
    again = [statement for statement in statements if {"batched", "again"} <= statement.directives]
    together = [index for index, group in enumerate(whole) if not group[0].directives & ALONE]
    last = together[-1] if together else None
    for index, group in enumerate(whole):
        batched, alone = "batched" in group[0].directives, bool(group[0].directives & ALONE)
        sent = with_repeated(again, group) if index == last else group
        # Behind a lock it is sent as it is; under one snapshot for the rows that are left, if there are any.
        few = all(statement.kind in ROWS and "generated" not in statement.directives for statement in sent)
        yield Transaction(
            tuple(
                _line(statement, catalog, plan, conditional=batched or (few and statement in again))
                for statement in sent
            ),
            alone,
            batched,
        )


def _line(statement: Statement, catalog: Catalog, plan: Plan, *, conditional: bool) -> Line:
    # In one transaction the directives are gone; the query for DDL is one all the same.
    generated = "generated" in statement.directives or statement.sql.startswith("SELECT ddl FROM callctl.")
    done = effects(statement.sql, catalog, generated=generated)
    concerned = {name for name, _ in done.locks if name.schema == plan.naming.schema or name.schema != "callctl"}
    return Line(statement, done, own=not concerned and not done.unknown, conditional=conditional)
