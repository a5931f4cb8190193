"""Whether the platform's event triggers let the steps' DDL through: tried on a table of callctl's own, and rolled back.

A READ ONLY question can name an event trigger, but not say what it does. Where there is one, each kind of statement of
the pending steps runs on a table that is made for it, in one transaction that is rolled back. No table of the platform
is locked or read. A function that looks at a table's name may still refuse the real statement.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callctl.database.connection import error_text
from callctl.events import Direction
from callctl.files import read_sql
from callctl.migration.checks.findings import Finding, Question, numbers
from callctl.statements.adaptation import adapt
from callctl.statements.script import Statement, load_script

if TYPE_CHECKING:
    import psycopg

    from callctl.statements.naming import Naming

_FOR = re.compile(r"for:\s*(.*)")
# The error of who may not create, or may only read: no event trigger's doing.
_NOT_TRIED = frozenset({"42501", "25006"})


@dataclass(frozen=True)
class _EventTrigger:
    name: str
    event: str
    function: str
    off: str
    back: str


def tried(
    connection: psycopg.Connection[Any],
    naming: Naming,
    question: Question,
    steps: Collection[int],
    direction: Direction,
    limits: dict[str, object],
) -> Iterator[Finding]:
    """Findings of ``question`` about what event triggers do to the DDL of these steps; none where there is no trigger.

    ``limits`` are the parameters of ``migration/checks/asking.sql``: timeouts in milliseconds. Raises psycopg.Error
    where the catalog cannot be read or the connection breaks.
    """
    import psycopg

    rows = connection.execute(read_sql("migration/checks/event_triggers.sql")).fetchall()
    triggers = [_EventTrigger(*row) for row in rows]
    if not triggers:
        return
    needed = [
        (statement, needing)
        for statement in load_script("migration/checks/ddl_trial.sql").statements
        for needing in [sorted(set(steps) & _steps(statement, direction))]
    ]
    if not any(needing for _, needing in needed):
        return
    findings: list[Finding] = []
    with connection.transaction(force_rollback=True):
        connection.execute(read_sql("migration/checks/asking.sql"), limits)
        failed = False
        for position, (statement, needing) in enumerate(needed):
            try:
                with connection.transaction():
                    connection.execute(adapt(statement, naming).sql)
                if position == 0 and set(steps) & {9, 10, 11} and direction == "up":
                    findings += _effects(connection, naming, question, triggers)
            except psycopg.Error as error:
                if connection.closed:
                    raise
                if failed and (error.sqlstate or "").startswith("42"):
                    continue  # it works on what an earlier one was to make
                failed = True
                if needing or position == 0:
                    findings.append(_refused(question, triggers, statement, needing, error))
    yield from findings


def _steps(statement: Statement, direction: Direction) -> frozenset[int]:
    for line in statement.comment.splitlines():
        match = _FOR.fullmatch(line.strip())
        for part in match[1].split(";") if match else ():
            way, _, listed = part.strip().partition(" ")
            if way == direction:
                return numbers(listed, statement.place)
    return frozenset()


def _refused(
    question: Question,
    triggers: list[_EventTrigger],
    statement: Statement,
    needing: list[int],
    error: psycopg.Error,
) -> Finding:
    kind = " ".join(statement.sql.replace("chatapp.callctl_trial", "").split()[:2])
    action = re.search(r"\b(ADD|DROP|ALTER|VALIDATE|SET) (COLUMN|CONSTRAINT|SCHEMA)\b", statement.sql)
    if action and kind == "ALTER TABLE":
        kind += f" ... {action[0]}"
    named = "step" + ("s " if len(needing) > 1 else " ") + ", ".join(map(str, needing))
    context = error.diag.context or ""
    guilty = [each for each in triggers if re.search(rf"\b{re.escape(each.function)}\(", context)]
    if not needing or (error.sqlstate in _NOT_TRIED and not guilty):
        return question.finding(
            "unknown", f"whether the event triggers let the steps through could not be tried: {error_text(error)}"
        )
    names = ", ".join(each.name for each in guilty or triggers)
    who = f"event trigger {names} refuses" if guilty else f"one of the event triggers ({names}) refuses"
    off = " ".join(each.off for each in guilty or triggers)
    back = " ".join(each.back for each in guilty or triggers)
    return question.finding(
        "blocks",
        f"{who} {kind}, which {named} need{'s' if len(needing) == 1 else ''}: {error_text(error)}",
        tuple(each.name for each in guilty or triggers),
        f"{off} Run the migration, then: {back}",
    )


def _effects(
    connection: psycopg.Connection[Any], naming: Naming, question: Question, triggers: list[_EventTrigger]
) -> Iterator[Finding]:
    names = tuple(each.name for each in triggers if each.event == "ddl_command_end")
    for statement in load_script("migration/checks/ddl_trial_effects.sql").statements:
        for level, what in connection.execute(adapt(statement, naming).sql).fetchall():
            yield question.finding(level, f"{what} (event trigger {', '.join(names)})", names)
