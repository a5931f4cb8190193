"""The plan of a run on this database: its steps, their statements in the names found, what subscribers need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from callctl.database import connection as database
from callctl.database import store
from callctl.events import Direction
from callctl.files import read_sql
from callctl.migration.checks.findings import Finding, Level
from callctl.migration.checks.preflight import preflight
from callctl.migration.run import script as runner
from callctl.migration.run.indexes import in_a_transaction
from callctl.migration.steps import call_models, shadow
from callctl.migration.steps.contract import step_check
from callctl.migration.steps.numbered import (
    ARCHIVED,
    DROPS,
    SHADOWED,
    Status,
    Step,
    not_deferrable,
    status,
    wanted_steps,
)
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming
from callctl.statements.script import Script, Statement
from callctl.statements.tokens import identifier, tokens

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# What the subscribers of published tables need for a step, and when: logical replication carries rows and no DDL.
#
# A subscriber stops at the first row with a column that it does not have. So it gets a new column, table or wider type
# before this server does; and it loses a column, or gets a narrower type, after it.

TABLES = ("users", "chatbot_packages", "chatbots", "ai_models", "integration_accounts", "calls", "call_transcripts")


@dataclass(frozen=True)
class ForSubscribers:
    """Statements for each subscriber of these publications, ``before`` or ``after`` the step on this server."""

    when: Literal["before", "after"]
    publications: tuple[str, ...]
    statements: tuple[str, ...]


def published(connection: Connection, naming: Naming) -> dict[str, tuple[str, ...]]:
    """The tables that the steps change or make and that are published, or will be; with the publications' names."""
    parameters = {"schema": naming.schema, "names": list(TABLES)}
    rows = connection.execute(read_sql("migration/published.sql"), parameters).fetchall()
    publications_of = {name: tuple(publications) for name, publications in rows}
    if connection.info.server_version >= 150000:
        row = connection.execute(read_sql("migration/published_schema.sql"), {"schema": naming.schema}).fetchone()
        for name in TABLES if row and row[0] else ():
            publications_of[name] = tuple(sorted({*publications_of.get(name, ()), *(row[0] if row else ())}))
    return publications_of


def for_subscribers(
    statements: Sequence[Statement],
    direction: Direction,
    naming: Naming,
    tables: dict[str, tuple[str, ...]],
    columns: Sequence[tuple[str, str]],
) -> ForSubscribers | None:
    """Return the statements that subscribers need for a step; None if it changes no published table.

    ``columns`` are the columns (table, name) that the step takes back without naming them in a statement.
    """
    changes = [change for statement in statements for change in _changes(statement, direction, naming)]
    for table, column in columns:
        relation = f"{identifier(naming.schema)}.{identifier(table)}"
        changes.append(("after", table, f"ALTER TABLE {relation} DROP COLUMN {identifier(column)}"))
    wanted = [change for change in changes if change[1] in tables]
    if not wanted:
        return None
    publications = sorted({name for _, table, _ in wanted for name in tables[table]})
    return ForSubscribers(wanted[0][0], tuple(publications), tuple(sql for _, _, sql in wanted))


def _changes(
    statement: Statement, direction: Direction, naming: Naming
) -> Iterator[tuple[Literal["before", "after"], str, str]]:
    """When, of which table, and the statement itself, where it changes what columns a table has."""
    words = tokens(statement.sql)
    pairs = list(pairwise(words))
    table = next(
        (
            c.word
            for a, b, c in zip(words, words[1:], words[2:], strict=False)
            if b.text == "." and a.word == naming.schema
        ),
        None,
    )
    if table is None:
        return
    if statement.kind == "create table":
        yield "before", table, statement.sql
    elif statement.kind != "alter table":
        return
    elif any(a.says("add") and b.says("column") for a, b in pairs):
        yield "before", table, statement.sql
    elif any(a.says("drop") and b.says("column") for a, b in pairs):
        yield "after", table, statement.sql
    elif any(token.says("type") for token in words):
        yield "before" if direction == "up" else "after", table, statement.sql


# A query whose rows are what the statements above it have made: a plan shows the query.
_LATE = "callctl.key_validations("

# What a run would do on this database: the steps it would take, and each one's statements in the names found.


@dataclass(frozen=True)
class Wish:
    """The steps that the operator asked for, and how to take them: as in ``migrate.up`` and ``migrate.down``.

    ``to`` is the last step to apply, or the step to roll back to; None is all the way.
    """

    direction: Direction
    to: int | None = None
    defer_drops: bool = False
    atomic: bool = False
    truncate_avatars: bool = False
    through_shadow: bool | None = None


def command(wish: Wish) -> str:
    """The command that resumes what this wish began."""
    words = ["callctl migrate", wish.direction]
    if wish.to is not None:
        words += ["--to", str(wish.to)] if wish.to or wish.direction == "up" else ["--all"]
    words += ["--defer-drops"] if wish.defer_drops else []
    words += ["--truncate-avatars"] if wish.truncate_avatars else []
    if wish.through_shadow is not None:
        words.append("--shadow" if wish.through_shadow else "--in-place")
    return " ".join([*words, *(["--atomic"] if wish.atomic else [])])


@dataclass(frozen=True)
class PlannedStep:
    """One step and its statements as they will be sent to this database; and what subscribers of its tables need."""

    number: int
    name: str
    direction: Direction
    statements: tuple[Statement, ...]
    subscribers: ForSubscribers | None = None


@dataclass(frozen=True)
class Plan:
    """The plan of a run, in order.

    ``deferred`` are the pending steps that it leaves out to be taken later; ``notices`` are for the operator.
    ``avatar`` is which way step 1 is taken back; None if it is not.
    """

    direction: Direction
    naming: Naming
    steps: tuple[PlannedStep, ...]
    deferred: tuple[int, ...] = ()
    notices: tuple[str, ...] = ()
    avatar: shadow.Choice | None = None


def plan(connection: Connection, settings: Settings, wish: Wish) -> Plan:
    """Return the plan of a run: the adapted statements of each step.

    READ ONLY: takes no lock, makes nothing. Raises Refused.
    """
    direction, to = wish.direction, wish.to
    with database.read_only(connection):
        current = status(connection, settings)
        has_store = store.exists(connection)
        as_sent = in_a_transaction if wish.atomic else lambda statement: statement
        tables = published(connection, current.naming)
        steps = []
        wanted = wanted_steps(
            current.applied, current.to_finish(direction), direction, to, defer_drops=wish.defer_drops
        )
        avatar = avatar_way(connection, settings, current, wanted, wish)
        for step in wanted:
            shadowed = step.number == SHADOWED and avatar is not None and avatar.shadow
            script, _ = prepared(step, direction, current, shadowed=shadowed)
            statements: list[Statement] = []
            for statement in script.statements:
                # Before there is a store there is nothing that such a query could be asked; nor before a shadow column
                # is there, whose first statement writes down what they return; nor for the keys that are to be
                # validated, before the statements above have made them.
                known = has_store and (current.shadow or not shadowed) and _LATE not in statement.sql
                statements += runner.expand(connection, statement) if known else (statement,)
            columns = store.made_columns(connection, step.number) if has_store and direction == "down" else ()
            others = for_subscribers(statements, direction, current.naming, tables, columns)
            steps.append(PlannedStep(step.number, step.name, direction, tuple(map(as_sent, statements)), others))
        deferred, notices = deferral(current, to) if wish.defer_drops else ((), ())
        if avatar is not None:
            notices += (avatar.what,)
        if current.shadow and (direction == "up" or not (avatar is not None and avatar.shadow)):
            notices += ("callctl first removes the shadow column of users that an unfinished migrate down left",)
        return Plan(direction, current.naming, tuple(steps), deferred, notices, avatar)


def deferral(current: Status, to: int | None) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The steps that a run with ``defer_drops`` leaves out, and what to say where there are none to leave out."""
    left_out = tuple(number for number in DROPS if number in current.pending and (to is None or number <= to))
    notice = not_deferrable(current.applied)
    return left_out, () if notice is None else (notice,)


def avatar_way(
    connection: Connection, settings: Settings, current: Status, wanted: Sequence[Step], wish: Wish
) -> shadow.Choice | None:
    """Return the way in which step 1 is taken back; None if it is not. Raises Refused."""
    if wish.direction == "up" or not any(step.number == SHADOWED for step in wanted):
        return None
    return shadow.choose(connection, settings, current.naming, wanted=wish.through_shadow, atomic=wish.atomic)


def findings_for(
    connection: Connection,
    settings: Settings,
    naming: Naming,
    numbers: Sequence[int],
    wish: Wish,
    only: tuple[Level, ...],
) -> tuple[Finding, ...]:
    """Ask preflight of these steps, to be taken as the operator wants, for findings of the levels ``only``."""
    return preflight(
        connection,
        settings,
        naming,
        numbers,
        direction=wish.direction,
        truncate_avatars=wish.truncate_avatars,
        through_shadow=wish.through_shadow,
        atomic=wish.atomic,
        only=only,
    )


def prepared_steps(
    wanted: Iterable[Step], direction: Direction, current: Status, *, shadowed: bool
) -> list[tuple[Step, Script, tuple[Statement, ...]]]:
    """Each step with its file and its checks, adapted to this database. Raises Refused if one cannot be adapted."""
    return [
        (step, *prepared(step, direction, current, shadowed=shadowed and step.number == SHADOWED)) for step in wanted
    ]


def prepared(
    step: Step, direction: Direction, current: Status, *, shadowed: bool = False
) -> tuple[Script, tuple[Statement, ...]]:
    """A step's file and what is checked at its end, every statement in the names of this database.

    What a step makes is compared when it makes it. A table that returns from the archive, or that an earlier run
    made, is the platform's: where it differs from the document, that is a warning. Step 13's statements come from the
    catalog where the table keeps another unit. ``shadowed``: the file of the way down through a shadow column.
    Raises Refused if a statement cannot be adapted; nothing has run by then.
    """
    naming = current.naming
    returning = direction == "up" and step.number in current.returning
    script = step.script(direction, returning=returning, shadow=shadowed)
    statements = script.statements
    if step.number == call_models.STEP and direction == "up" and naming.tables["ai_models"].units:
        statements = call_models.seed_script(call_models.load_catalogue(), naming).statements
    checks: list[Statement] = []
    if direction == "up":
        made_before = step.number in ARCHIVED and (returning or step.number in current.half_done)
        of_catalog = step_check(step.number, naming, warns=made_before)
        checks = [*([of_catalog] if of_catalog else []), *(adapt(statement, naming) for statement in step.checks())]
    return replace(script, statements=tuple(adapt(statement, naming) for statement in statements)), tuple(checks)
