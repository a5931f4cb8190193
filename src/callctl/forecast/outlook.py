"""The outlook of a plan: for each transaction, what each statement will lock, read and write on this database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from callctl.database import connection as database
from callctl.events import Expected, Forecast
from callctl.forecast import calibration
from callctl.forecast.catalog import Catalog, Name, Relation, read_catalog
from callctl.forecast.durations import DEFAULTS, Interval, Rates, Work, work_of
from callctl.forecast.effects import Effects, effects
from callctl.forecast.locks import Mode
from callctl.forecast.rows import Estimate, rows_to_write
from callctl.migration.run.script import ALONE, grouped, with_repeated
from callctl.migration.run.transactions import ROWS
from callctl.migration.steps.numbered import ARCHIVED
from callctl.statements import batch_query, naming
from callctl.statements.adaptation import adapt
from callctl.statements.script import Script, Statement, load_script

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.events import Direction
    from callctl.migration.planning import Plan

ARCHIVES = frozenset(ARCHIVED.values())
"""The platform's tables that callctl's schema may hold."""
# A row that is written again, with its entries in the indexes and what is saved of it (sql/preflight/table-sizes.sql).
ROW_BYTES = 270
# Milliseconds that a question waits for a lock on a table.
LOCK_MS = 50
# callctl's own tables that statements of a step write to, or that refer to the platform's.
_STORE = (
    *(naming.VALUES[1], "inheritance_breach", naming.ROWS[1], "made", "definition", "history", "checkpoint", "proof"),
    *("withheld_model", "known_before", "removed_row"),
)

# Whether a statement matters to the platform, concerns callctl's own tables, or a table that no client uses yet.
Weight: TypeAlias = Literal["shown", "own", "new"]


@dataclass(frozen=True)
class Line:
    """One statement of a plan and its effects. ``conditional``: it is sent only where there are rows for it."""

    statement: Statement
    effects: Effects
    work: Work
    weight: Weight
    conditional: bool = False

    @property
    def words(self) -> str:
        """Its effect in plain words."""
        return "; ".join(dict.fromkeys(self.effects.words)) or self.statement.summary

    def strongest(self) -> tuple[Mode, tuple[Name, ...]] | None:
        """Its strongest lock on a table that clients use, and the tables that it is on."""
        locks = [(mode, name) for name, mode in self.effects.locks if name.schema != "callctl" or name.name in ARCHIVES]
        locks = [each for each in locks if each[1] not in self.effects.makes]
        if not locks:
            return None
        top = max(mode for mode, _ in locks)
        return top, tuple(sorted({name for mode, name in locks if mode is top}))


@dataclass(frozen=True)
class Transaction:
    """The statements that are sent in one transaction; ``alone`` is a statement outside of one, or in batches.

    ``hold``: how long clients wait for its locks; None where no client waits. ``limited``: the server ends it after
    ``lock_hold``. ``held_from``: its first line with such a lock.
    """

    lines: tuple[Line, ...]
    alone: bool = False
    batched: bool = False
    seconds: Interval | None = None
    hold: Interval | None = None
    limited: bool = True
    held_from: int | None = None

    @property
    def blocked(self) -> dict[Name, Mode]:
        """The tables whose clients wait, and the strongest lock on each."""
        found: dict[Name, Mode] = {}
        made = {name for line in self.lines for name in line.effects.makes}
        for line in self.lines:
            if line.weight == "new" or line.conditional:
                continue
            for name, mode in line.effects.locks:
                if mode.blocks_writes and name not in made and (name.schema != "callctl" or name.name in ARCHIVES):
                    found[name] = max(mode, found.get(name, mode))
        return found


@dataclass(frozen=True)
class StepOutlook:
    """One step, in the order in which its transactions run. Number 0 is what callctl does before the first step.

    ``file``: it is a file of the operator's, by its number on the command line. ``made``: callctl's schema is made.
    """

    number: int
    name: str
    direction: Direction
    transactions: tuple[Transaction, ...]
    seconds: Interval | None = None
    file: bool = False
    made: bool = False

    def lines(self) -> Iterator[Line]:
        """Its statements."""
        for transaction in self.transactions:
            yield from transaction.lines

    @property
    def back(self) -> str | None:
        """The command that takes it back."""
        if not self.number or self.file:
            return None
        if self.direction == "up":
            return f"callctl migrate down --to {self.number - 1}"
        return f"callctl migrate up --to {self.number}"


@dataclass(frozen=True)
class Outlook:
    """The effects of a run on this database.

    ``seconds``: all of it; None where the rows of a table are not known. ``longest``: the longest moment in which
    clients wait, and at which step. ``disk_bytes`` and ``wal_bytes``: at most. ``atomic``: all is one transaction.
    ``hold_limit``: seconds after which the server ends a statement that holds such a lock (``lock_hold``).
    It and ``lock_timeout`` are None for files: the session that runs them has its own.
    """

    steps: tuple[StepOutlook, ...]
    rates: Rates = DEFAULTS
    seconds: Interval | None = None
    longest: tuple[Interval, int] | None = None
    disk_bytes: int = 0
    wal_bytes: int = 0
    atomic: bool = False
    lock_timeout: float | None = 0.05
    hold_limit: float | None = 0.5


def outlook(
    connection: Connection, settings: Settings, plan: Plan, *, atomic: bool = False, measured: bool = False
) -> Outlook:
    """Return what the statements of a plan will do here. READ ONLY: locks nothing beyond ACCESS SHARE.

    ``measured``: the times are by rates measured on this server, and by the runs that callctl's history knows of;
    otherwise by the shipped ones.
    """
    rates = DEFAULTS
    with database.read_only(connection):
        _wait_for_nobody(connection)
        catalog = read_catalog(connection, plan.naming.schema)
        catalog.settings["callctl.new_tables_row_security"] = settings.new_tables_row_security
        steps = [_before(plan, catalog)] if plan.steps else []
        for step in plan.steps:
            first = step is plan.steps[0]
            transactions = tuple(_transactions(step.statements, catalog, plan, first=first))
            steps.append(StepOutlook(step.number, step.name, plan.direction, transactions))
        if measured and steps:
            read = {name for step in steps for line in step.lines() for name, _ in line.effects.reads}
            tables = [relation for name in read if (relation := catalog.relation(name)) is not None]
            taken = calibration.measure(connection, tables)
            rates = calibration.rates(taken, calibration.learn(connection, plan.direction))
    limit = settings.lock_hold_ms / 1000
    steps = [_timed(step, rates, limit) for step in steps]
    if atomic:
        steps = [steps[0], *_held_to_the_end(steps[1:])] if steps else []
    return _summed(steps, rates, atomic=atomic, lock_timeout=settings.lock_timeout_ms / 1000, hold_limit=limit)


def _wait_for_nobody(connection: Connection) -> None:
    """A table that another session has locked is not waited for: what is asked of its rows is not known then."""
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (str(LOCK_MS),))


def forecast_of(outlook: Outlook) -> Forecast:
    """The times of an outlook, as a run tells and keeps them."""

    def expected(seconds: Interval) -> Expected:
        return Expected(seconds.low, seconds.expected, seconds.high, outlook.rates.source)

    steps = {step.number: expected(step.seconds) for step in outlook.steps if step.number and step.seconds is not None}
    return Forecast(steps, None if outlook.seconds is None else expected(outlook.seconds))


def _summed(
    steps: Sequence[StepOutlook],
    rates: Rates,
    *,
    atomic: bool,
    lock_timeout: float | None = None,
    hold_limit: float | None = None,
) -> Outlook:
    times = [step.seconds for step in steps]
    known = [each for each in times if each is not None]
    holds = [(t.hold, step.number) for step in steps for t in step.transactions if t.hold is not None]
    rewritten = sum(line.work.bytes_rewritten + line.work.bytes_built for step in steps for line in step.lines())
    written = sum((line.work.rows_written or 0) * ROW_BYTES for step in steps for line in step.lines())
    # callctl has a start of its own; a file has not.
    start = rates.start if hold_limit is not None else Interval()
    return Outlook(
        tuple(steps),
        rates,
        sum(known, start) if len(known) == len(times) else None,
        max(holds, key=lambda hold: (hold[0].high, hold[0].low), default=None),
        rewritten + written,
        rewritten + 2 * written,
        atomic,
        lock_timeout,
        hold_limit,
    )


def _timed(step: StepOutlook, rates: Rates, limit: float | None) -> StepOutlook:
    transactions = tuple(_timed_transaction(transaction, rates, limit) for transaction in step.transactions)
    times = [transaction.seconds for transaction in transactions]
    known = [each for each in times if each is not None]
    # A file of the operator's has no checks and no record; what comes before the first step has no record either.
    own = Interval() if step.file else rates.step if step.number else rates.schema if step.made else Interval()
    return replace(step, transactions=transactions, seconds=sum(known, own) if len(known) == len(times) else None)


def _timed_transaction(transaction: Transaction, rates: Rates, limit: float | None) -> Transaction:
    times = [line.work.seconds(rates) for line in transaction.lines]
    known = [each for each in times if each is not None]
    seconds = sum(known, Interval()) if len(known) == len(times) else None
    if not transaction.blocked:
        return replace(transaction, seconds=seconds)
    # How long a lock is held was not compared with a forecast: a busy server may take its time over any statement.
    holding = replace(rates, statement=DEFAULTS.statement)
    if transaction.alone:
        return replace(transaction, seconds=seconds, hold=transaction.lines[0].work.held(holding), held_from=0)
    first = next(
        i for i, line in enumerate(transaction.lines) if any(mode.blocks_writes for _, mode in line.effects.locks)
    )
    behind = [each for line in transaction.lines[first:] if (each := line.work.seconds(holding)) is not None]
    limited = limit is not None and not any("rewrites" in line.statement.directives for line in transaction.lines)
    hold = sum(behind, Interval())
    if limited and limit is not None:
        hold = hold.at_most(limit)
    return replace(transaction, seconds=seconds, hold=hold, limited=limited, held_from=first)


def _held_to_the_end(steps: Sequence[StepOutlook]) -> list[StepOutlook]:
    """The steps of one transaction: what one of them locks is locked until the last has ended. Nothing limits that."""
    left = Interval()
    found = []
    for step in reversed(steps):
        transactions = []
        for transaction in reversed(step.transactions):
            left = left + (transaction.seconds or Interval())
            transactions.append(
                replace(transaction, limited=False, hold=left if transaction.hold is not None else None)
            )
        found.append(replace(step, transactions=tuple(reversed(transactions))))
    return found[::-1]


def _before(plan: Plan, catalog: Catalog) -> StepOutlook:
    """Return what callctl does to its own schema first: it is made, and gets the foreign keys that are missing."""
    made = catalog.relation(Name("callctl", "history")) is None
    for name in _STORE:
        if catalog.relation(Name("callctl", name)) is None:
            catalog.relations[Name("callctl", name)] = Relation(Name("callctl", name), rows=0, counted=True, made=True)
    statements = [adapt(statement, plan.naming) for statement in load_script("store_keys.sql").statements]
    return StepOutlook(
        0, "callctl's own schema", plan.direction, tuple(_transactions(statements, catalog, plan)), made=made
    )


def _transactions(
    statements: Sequence[Statement], catalog: Catalog, plan: Plan, *, first: bool = False
) -> Iterator[Transaction]:
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
                _line(
                    statement,
                    catalog,
                    plan,
                    conditional=batched or (few and statement in again),
                    left=not batched and statement in again,
                    first=first,
                )
                for statement in sent
            ),
            alone,
            batched,
        )


def _line(
    statement: Statement,
    catalog: Catalog,
    plan: Plan,
    *,
    conditional: bool = False,
    left: bool = False,
    first: bool = False,
) -> Line:
    """``left``: a batched statement that is sent again in one piece, for the few rows that were written meanwhile."""
    # In one transaction the directives are gone; the query for DDL is one all the same.
    generated = "generated" in statement.directives or statement.sql.startswith("SELECT ddl FROM callctl.")
    made = {name for name, relation in catalog.relations.items() if relation.made}
    walked = None
    if "batched" in statement.directives:
        target = batch_query.target(statement, plan.naming.schema)
        walked = Name(target.schema, target.table)
    estimate = Estimate(0, counted=False) if left else rows_to_write(statement, catalog, plan, first=first)
    done = effects(statement.sql, catalog, generated=generated)
    if statement.check is not None:
        done.words[:] = [f"check: {statement.check.sentence}"]
    work = work_of(done, catalog, walked)
    if left:
        work = replace(work, rows_written=0)
    elif estimate is not None:
        work = replace(work, rows_estimated=estimate.rows)
    work = replace(work, batched=conditional and not left)
    concerned = {name for name, mode in done.locks if name.schema != "callctl" or name.name in ARCHIVES}
    weight: Weight = "shown"
    if not done.unknown:
        modes = [mode for name, mode in done.locks if name in concerned]
        if (left and conditional) or not concerned or (conditional and work.rows_written == 0):
            weight = "own"
        elif concerned <= made:
            weight = "new"
        elif max(modes) is Mode.ACCESS_SHARE and statement.check is None:
            weight = "own"
    return Line(statement, done, work, weight, conditional)


def outlook_of_files(
    connection: Connection, schema: str, scripts: Sequence[Script], *, atomic: bool = False
) -> Outlook:
    """Return what the statements of SQL files will do here, sent one after the other as ``psql`` does. READ ONLY.

    Between BEGIN and COMMIT they share a transaction, with ``atomic`` all of a file's do; others are by themselves. A
    file meets the tables as the files before it leave them. What limits a lock is the session's that runs the file.
    """
    rates = DEFAULTS
    with database.read_only(connection):
        _wait_for_nobody(connection)
        catalog = read_catalog(connection, schema)
        steps = []
        for number, script in enumerate(scripts, 1):
            transactions = []
            for group, together in _as_sent(script.statements, atomic=atomic):
                lines = tuple(_file_line(statement, catalog) for statement in group)
                transactions.append(Transaction(lines, alone=not together))
            steps.append(_timed(StepOutlook(number, script.name, "up", tuple(transactions), file=True), rates, None))
    return _summed(steps, rates, atomic=atomic)


def _as_sent(statements: Sequence[Statement], *, atomic: bool) -> Iterator[tuple[list[Statement], bool]]:
    """The statements that share a transaction, and whether it has more than one."""
    if atomic:
        yield list(statements), True
        return
    group: list[Statement] = []
    for statement in statements:
        first = statement.sql.split(maxsplit=1)[0].lower() if statement.sql.strip() else ""
        if group:
            group.append(statement)
            if first in ("commit", "end", "rollback", "abort"):
                yield group, True
                group = []
        elif first in ("begin", "start"):
            group = [statement]
        else:
            yield [statement], False
    if group:
        yield group, True


def _file_line(statement: Statement, catalog: Catalog) -> Line:
    made = {name for name, relation in catalog.relations.items() if relation.made}
    done = effects(statement.sql, catalog)
    locked = {name for name, _ in done.locks}
    weight: Weight = "new" if locked and locked <= made and not done.unknown else "shown"
    return Line(statement, done, work_of(done, catalog), weight)
