"""Step 1 has two ways down: in place, which rewrites ``users`` under a lock, and through a shadow column beside it.

Which one is taken here, why, and what becomes of a shadow column that a run has left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from callctl.database import store
from callctl.database.guarded import Failing, in_transaction
from callctl.errors import Code, Refused, State
from callctl.events import Notice, OnEvent
from callctl.files import read_sql, size
from callctl.migration.steps.numbered import SHADOWED, all_steps
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming
from callctl.statements.script import load_script

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# How fast PostgreSQL is taken to write a table and its indexes again: slower than it mostly does, for a busy machine.
BYTES_A_SECOND = 50_000_000
WAYS = "migration/steps/avatar_ways.sql"


@dataclass(frozen=True)
class Choice:
    """The chosen way to roll back step 1.

    ``shadow``: through a shadow column. ``because``: why not, where that would have been quieter. ``seconds``: how long
    clients would wait for ``table`` in place; 0 where no row is rewritten. ``rows`` is the planner's number; None if
    it has none. ``bytes``: the table with its indexes.
    """

    shadow: bool
    table: str
    seconds: float
    bytes: int
    rows: int | None
    because: str = ""

    @property
    def hold(self) -> str:
        """The time for which clients wait, as text."""
        return "less than a second" if self.seconds < 1 else f"about {self.seconds:.0f} s"

    @property
    def what(self) -> str:
        """The action, in one sentence."""
        rows = "rows not counted yet" if self.rows is None else f"about {self.rows:,} rows"
        room = f"{rows}, {size(self.bytes)} with its indexes"
        if self.shadow:
            return (
                f"migrate down from step 1 fills a shadow column of {self.table} ({room}), and needs up to that much"
                " free disk; clients do not wait for it. avatar_url becomes the last column: SELECT * returns another"
                " order of columns, INSERT and COPY without a column list expect another, and while the shadow column"
                " is there, COPY without a list fails"
            )
        if not self.seconds:
            return f"migrate down from step 1 rewrites no row of {self.table}"
        why = f"; no shadow column: {self.because}" if self.because else ""
        return (
            f"migrate down from step 1 rewrites {self.table}: {room}, and needs that much free disk;"
            f" clients wait for it {self.hold}{why}"
        )


def query(naming: Naming) -> str:
    """Return the query that :func:`choice` needs, in the names of this database. Raises Refused if it cannot be."""
    (statement,) = load_script(WAYS).statements
    return adapt(statement, naming).sql


def choice(
    answer: Sequence[Mapping[str, Any]], settings: Settings, *, wanted: bool | None = None, atomic: bool = False
) -> Choice | None:
    """Return the chosen way by the rows of :func:`query`; None if there is no such column.

    ``wanted``: through a shadow column (True) or in place (False), as the operator says. ``atomic``: everything in one
    transaction, which is in place. Raises Refused if a shadow column is wanted and cannot be.
    """
    by_kind: dict[str, list[str]] = {}
    for row in answer:
        by_kind.setdefault(row["kind"], []).append(row["what"])
    table = next((row for row in answer if row["kind"] == "table"), None)
    if table is None:
        return None
    seconds = 0.0 if table["instant"] else max(table["bytes"] / BYTES_A_SECOND, 0.001)
    never = "; ".join(sorted(by_kind.get("never", ())))
    if wanted and never:
        raise Refused(
            Code.SHADOW_IMPOSSIBLE,
            f"--shadow cannot be used: {never}",
            hint="remove --shadow: avatar_url then gets its old type in place, while clients wait",
        )
    unwise = "; ".join(sorted(by_kind.get("unwise", ())))
    begun = by_kind.get("begun", [])
    because = ""
    if atomic:
        because = "--atomic is one transaction"
    elif wanted is False:
        because = "--in-place was given"
    elif never:
        because = never
    elif not wanted and "shadow" not in begun:
        if begun:
            because = "step 1 has begun in place"
        elif seconds * 1000 <= settings.lock_hold_ms:
            because = f"the rewrite fits lock_hold ({settings.lock_hold_ms / 1000:g} s)"
        else:
            because = unwise
    return Choice(not because, table["what"], seconds, table["bytes"], table["rows"], because)


def choose(
    connection: Connection, settings: Settings, naming: Naming, *, wanted: bool | None = None, atomic: bool = False
) -> Choice | None:
    """Ask, and return the way of step 1 down. Reads only; takes no lock beyond ACCESS SHARE. Raises Refused."""
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        answer = cursor.execute(query(naming)).fetchall()
    return choice(answer, settings, wanted=wanted, atomic=atomic)


def resume(connection: Connection, settings: Settings, naming: Naming, on_event: OnEvent) -> None:
    """Prepare a shadow column in progress to continue: from the first statement of its file, which may run again.

    One that no longer fits (an index was added to the column meanwhile) is removed, and made again by the run. Nothing
    is done where none is under way.
    """
    (outdated,) = load_script("migration/steps/shadow_outdated.sql").statements
    row = connection.execute(adapt(outdated, naming).sql).fetchone()
    if row is None:
        return
    if row[0]:
        on_event(Notice("avatar_url has changed since its shadow column was added: callctl makes a new shadow column"))
        remove(connection, settings, naming, on_event)
        return

    def begin_again() -> None:
        connection.execute(read_sql("migration/steps/shadow_again.sql"), {"step": SHADOWED})

    _at_once(connection, settings, begin_again, on_event)


def remove(
    connection: Connection, settings: Settings, naming: Naming, on_event: OnEvent, *, then_up: bool = False
) -> None:
    """Remove the shadow column that a run down has left, with its triggers, CHECKs and indexes, in one transaction.

    With ``then_up`` step 1 has begun its way up when it returns: it restores what the run down had shortened.
    Raises StepFailed if the lock is not available.
    """
    (dropping,) = load_script("migration/steps/drop_shadow.sql").statements
    drop = adapt(dropping, naming)
    limits = {"wait_ms": settings.lock_timeout_ms, "hold_ms": settings.lock_hold_ms}

    def drop_it() -> None:
        connection.execute(read_sql("migration/steps/hold.sql"), limits)
        connection.execute(drop.sql)
        store.forget_checkpoints(connection, SHADOWED, "down")
        if then_up:
            script = all_steps()[SHADOWED - 1].script("up")
            # The column is text still: left of the step is what puts shortened addresses back, from its first batch on.
            for statement in takewhile(lambda candidate: "batched" not in candidate.directives, script.statements):
                reached = store.Checkpoint(statement.number, True, 0)
                store.checkpoint(connection, SHADOWED, "up", script.sha256, reached)

    _at_once(connection, settings, drop_it, on_event)
    on_event(Notice("removed the shadow column of users that an unfinished migrate down had left"))


def _at_once(connection: Connection, settings: Settings, work: Callable[[], None], on_event: OnEvent) -> None:
    """Do ``work`` in one transaction, again where it does not get its lock. Raises StepFailed."""
    state = State("unchanged", "no step was begun; what is left of the shadow column, the next run finds")
    failing = Failing("the shadow column of users", lambda: state, quoted=True)
    in_transaction(connection, settings, work, awaited="a lock on users", failing=failing, on_event=on_event)
