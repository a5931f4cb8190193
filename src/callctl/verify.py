"""Whether the database is as it should be: each step's own verify, and the invariants in ``sql/verify/``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callctl import database, store
from callctl.adapt import adapt
from callctl.errors import Refused
from callctl.files import sql_names
from callctl.naming import Naming, read_naming
from callctl.script import Script, Statement, load_script
from callctl.steps import all_steps, applied_steps

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection

SAMPLE = 10


@dataclass(frozen=True)
class CheckResult:
    """One check: ``count`` offending rows, and the first few of them.

    ``error`` is what the server said where the query itself failed; such a check has not passed.
    """

    id: str
    sentence: str
    step: int | None
    passed: bool
    warns: bool
    count: int
    columns: tuple[str, ...]
    sample: tuple[tuple[Any, ...], ...]
    source: str
    error: str | None = None


@dataclass(frozen=True)
class Report:
    """All checks that this state of the database calls for."""

    steps: tuple[int, ...]
    checks: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; one that only warns does not count."""
        return all(check.passed or check.warns for check in self.checks)


def verify(connection: Connection, settings: Settings, *, steps: Iterable[int] | None = None) -> Report:
    """Run every check of the applied steps (or of ``steps``) in one READ ONLY transaction.

    Raises Refused where there is nothing to verify: callctl has applied no step here.
    """
    store.assert_owner(connection, settings.schema)
    wanted = tuple(sorted(steps)) if steps is not None else applied_steps(store.history(connection))
    if not wanted:
        raise Refused(
            "there is nothing to verify: no step is applied here",
            hint="callctl migrate status shows what is; callctl migrate adopt records a migration done without callctl",
        )
    with database.read_only(connection):
        naming = read_naming(connection, settings.schema)
        results = [result for step in wanted for result in step_checks(connection, naming, step)]
        for name in sql_names("verify"):
            script = load_script(name)
            if _steps(script, "steps") <= set(wanted) and not _steps(script, "pending") & set(wanted):
                results += [run_check(connection, each, naming, None) for each in script.statements]
    return Report(wanted, tuple(results))


def _steps(script: Script, key: str) -> set[int]:
    """The steps in a line of a file's header: those that must be applied for it to mean anything, or must not be."""
    named: set[int] = set()
    for part in script.header.get(key, "").replace(",", " ").split():
        low, _, high = part.partition("-")
        named |= set(range(int(low), int(high or low) + 1))
    return named


def step_checks(connection: Connection, naming: Naming, step: int) -> Sequence[CheckResult]:
    """The checks of one step's ``verify.sql``."""
    return [run_check(connection, statement, naming, step) for statement in all_steps()[step - 1].checks()]


def run_check(connection: Connection, statement: Statement, naming: Naming, step: int | None) -> CheckResult:
    """Run one check. A query that fails is a check that did not pass, and the others still run."""
    import psycopg

    check = statement.check
    assert check is not None, f"{statement.place} is not a check"
    columns: tuple[str, ...] = ()
    sample: list[tuple[Any, ...]] = []
    count, problem = 0, None
    try:
        with connection.transaction():
            cursor = connection.execute(adapt(statement, naming).sql.encode())
            sample, count = cursor.fetchmany(SAMPLE), cursor.rowcount
            columns = tuple(column.name for column in cursor.description or ())
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
        problem = database.error_text(error)
    return CheckResult(
        check.id,
        check.sentence,
        step,
        count == 0 and problem is None,
        check.warns,
        count,
        columns,
        tuple(sample),
        statement.place,
        problem,
    )
