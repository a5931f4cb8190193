"""The shared parts of the commands that write to the platform's rows outside of the steps and the rotations.

They hold the migration lock shared: no migration can run, and rotations and similar commands continue. Each transaction
gives up a lock that it does not get, is tried again, and adds its own row to the audit trail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from callctl.database import connection as database
from callctl.database import store
from callctl.database.guarded import Failing, in_transaction
from callctl.database.lock import OPERATE_SESSION, MigrationLock
from callctl.errors import UNCHANGED, Code, Interrupted, Refused, State
from callctl.events import OnEvent, ignore
from callctl.files import read_sql
from callctl.migration.steps.numbered import all_steps, applied_steps, finishing
from callctl.secrets.envelope.key_ledger import make_ready
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming
from callctl.statements.script import load_script

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


Result = TypeVar("Result")


def rows(connection: Connection, naming: Naming, name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows that the one statement of a file returns, in this database's names; ``values`` are its parameters."""
    (statement,) = load_script(name).statements
    return connection.execute(adapt(statement, naming).sql, values).fetchall()


def offenders(connection: Connection, naming: Naming, names: Iterable[str]) -> set[str]:
    """The ids of the rows that the checks of these files of verify's find: what their first column says."""
    ids: set[str] = set()
    for name in names:
        for statement in load_script(name).statements:
            sql = f"SELECT offender.id::text FROM (\n{adapt(statement, naming).sql}\n) AS offender (id)"
            ids |= {id for (id,) in connection.execute(sql).fetchall()}
    return ids


def assert_stored(running: Operation, table: str, answer: Iterable[tuple[Any, ...]]) -> None:
    """Raise NotStored unless rows are stored as they were written, in the transaction that wrote them.

    ``answer``: of each row its id, whether the statement that wrote it returned it as it was meant, and its settings as
    text, which are read again once every trigger has fired, deferred ones too.
    """
    from psycopg import sql

    connection, schema = running.connection, running.settings.schema
    answer = list(answer)
    wrong = [id for id, as_meant, _ in answer if not as_meant]
    if answer and not wrong:
        database.fire_deferred(connection)
        statement = sql.SQL("SELECT t.id::text, t.settings::text FROM {} AS t WHERE t.id = ANY (%s::uuid[])")
        ids = [id for id, *_ in answer]
        again = connection.execute(statement.format(sql.Identifier(schema, table)), (ids,))
        there: dict[str, str | None] = dict(again.fetchall())
        wrong = [id for id, _, settings in answer if there.get(id) != settings]
    if wrong:
        raise database.NotStored((schema, table), wrong)


@contextmanager
def question(connection: Connection, settings: Settings) -> Iterator[None]:
    """A READ ONLY transaction whose queries end within ``statement_timeout``; raises Refused if one does not."""
    import psycopg

    values = {"timeout": f"{settings.statement_timeout_ms}ms", "known_keys": ""}
    with database.read_only(connection):
        connection.execute(read_sql("migration/checks/verify_session.sql"), values)
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise Refused(
                Code.STATEMENT_TIMEOUT,
                f"the server canceled the query: {database.error_text(error)}",
                hint="set a longer --statement-timeout, the limit of one query",
            ) from error


def assert_applied(connection: Connection, settings: Settings, number: int, feature: str) -> None:
    """Raise Refused unless a step is applied and no run of it stopped half way; ``feature`` is what it brings."""
    store.assert_owner(connection, settings.schema)
    applied = applied_steps(store.history(connection))
    half_done = dict(store.started(connection)).get(number)
    if half_done is not None:
        raise Refused(
            Code.STEP_PARTLY_APPLIED,
            f"step {number}, which brings {feature}, is partly applied ({half_done})",
            hint=f"finish the step first: {finishing(number, half_done, applied)}",
        )
    if number not in applied:
        raise Refused(
            Code.STEP_NOT_APPLIED,
            f"step {number} ({all_steps()[number - 1].name}), which brings {feature}, is not applied here",
            hint="run callctl migrate up first; callctl migrate status shows the state of each step",
        )


@dataclass(frozen=True)
class Operation:
    """A command that writes, with its connection, while no migration runs."""

    settings: Settings
    connection: Connection
    command: str
    on_event: OnEvent

    def make_ready(self) -> None:
        """Make callctl's schema, or bring it up to date."""
        make_ready(self.connection, self.settings, None, self.on_event)

    def transaction(
        self, awaited: str, work: Callable[[], Result], state: Callable[[], State] = lambda: UNCHANGED
    ) -> Result:
        """Do ``work`` in one transaction, again from its beginning where it does not get a lock on what is ``awaited``.

        ``state`` says what is committed when it fails. Raises StepFailed, Interrupted,
        LockHeld, and what ``work`` raises.
        """
        failing = Failing(self.command, state, quoted=True)
        try:
            return in_transaction(
                self.connection,
                self.settings,
                work,
                awaited=awaited,
                shared=True,
                failing=failing,
                on_event=self.on_event,
            )
        except KeyboardInterrupt:
            left = state()
            raise Interrupted(
                Code.INTERRUPTED, f"interrupted; {left}", hint="run the same command again", state=left
            ) from None


@contextmanager
def operation(
    settings: Settings, command: str, *, wait: bool = False, on_event: OnEvent = ignore
) -> Iterator[Operation]:
    """Hold off migrations while a command writes. ``wait`` waits for one under way, up to ``settings.lock_wait_ms``.

    Raises LockHeld if a migration is under way; Refused behind a pooler in transaction mode; ConnectionFailed.
    """
    with (
        MigrationLock(settings, wait=wait, shared=True, name=OPERATE_SESSION, command=command, on_event=on_event),
        closing(database.connect(settings, application_name=OPERATE_SESSION, session=True)) as connection,
    ):
        yield Operation(settings, connection, command, on_event)
