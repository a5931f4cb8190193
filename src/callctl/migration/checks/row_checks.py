"""The rows against their rules: which checks are asked, in as few passes as they can be, and what they find."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from callctl.files import read_sql, sql_names
from callctl.migration.checks.results import LATE, SAMPLE, CheckResult, ask
from callctl.migration.checks.scans import SharedQuery, at_places, reads_rows, shared_queries
from callctl.migration.steps.numbered import all_steps
from callctl.statements.adaptation import adapt
from callctl.statements.naming import DOCUMENTED_SCHEMA, Naming
from callctl.statements.script import Script, Statement, load_script

if TYPE_CHECKING:
    from callctl.database.connection import Connection

# The line in the header of a file whose checks read no table that grows.
FAST = "\n-- fast: yes\n"


@dataclass(frozen=True)
class Asked:
    """A check of rows in this database's names, and where it comes from."""

    statement: Statement
    step: int | None
    header: Mapping[str, str] = field(hash=False)


def asked(wanted: Collection[int], naming: Naming, *, fast: bool = False) -> tuple[Asked, ...]:
    """The checks that these steps call for; ``fast``: those that read the catalog alone."""
    found = [
        Asked(statement, step, load_script(f"{all_steps()[step - 1].directory}/verify.sql").header)
        for step in wanted
        for statement in all_steps()[step - 1].checks()
    ]
    for name in sql_names("verify"):
        # To read all files with care takes longer than all that is asked then.
        if fast and FAST not in read_sql(name):
            continue
        script = load_script(name)
        if _steps(script, "steps") <= set(wanted) and not _steps(script, "pending") & set(wanted):
            found += [Asked(each, None, script.header) for each in script.statements]
    return tuple(
        Asked(adapt(each.statement, naming), each.step, each.header)
        for each in found
        if not (fast and reads_rows(each.statement, DOCUMENTED_SCHEMA))
    )


def passes(checks: Iterable[Asked], naming: Naming) -> tuple[SharedQuery, ...]:
    """The queries that :func:`answers` puts these checks in."""
    return shared_queries((each.statement for each in checks), naming.schema, SAMPLE)


def answers(connection: Connection, checks: Sequence[Asked], naming: Naming) -> list[CheckResult]:
    """What each check finds, in their order. In the caller's transaction, which must see one snapshot."""
    by_statement = {each.statement: each for each in checks}
    found: dict[Statement, CheckResult] = {}
    for scan in passes(checks, naming):
        rows, problem = ask_all(connection, scan)
        size = len(scan.statements)
        counts = rows[0][:size] if rows else (0,) * size
        places = rows[0][size:] if rows and scan.places else (None,) * size
        for statement, count, where in zip(scan.statements, counts, places, strict=True):
            each = by_statement[statement]
            if problem is None and not count:
                found[statement] = _result(each)
            elif problem is not None and (size == 1 or problem.startswith(LATE)):
                found[statement] = _result(each, error=problem)
            elif where is not None:
                found[statement] = _shown(connection, each, count, where)
            else:
                # One of the questions can't be asked, or its offenders have no places: it is asked by itself.
                found[statement] = asked_alone(connection, each)
    return [found[each.statement] for each in checks]


def ask_all(connection: Connection, scan: SharedQuery) -> tuple[list[tuple[Any, ...]], str | None]:
    """The answer to all questions of a scan, or what the server said instead."""
    # Of a shared scan next to no row comes out, which the planner can't know: it would leave it to one process.
    connection.execute(f"SET LOCAL parallel_tuple_cost TO {'0' if scan.places else 'DEFAULT'}")
    return ask(connection, scan.sql)


def _shown(connection: Connection, each: Asked, count: int, places: Iterable[tuple[str, str]]) -> CheckResult:
    columns: list[str] = []
    rows, problem = ask(connection, at_places(each.statement.sql, places), columns)
    return _result(each, count, tuple(columns), tuple(rows), error=problem)


def asked_alone(connection: Connection, each: Asked) -> CheckResult:
    """Run one check. A query that fails is a check that did not pass, and the others still run."""
    columns: list[str] = []
    sql = f"SELECT *, count(*) OVER () AS callctl_count FROM (\n{each.statement.sql}\n) AS offenders LIMIT {SAMPLE}"
    rows, problem = ask(connection, sql, columns)
    count = rows[0][-1] if rows else 0
    return _result(each, count, tuple(columns[:-1]), tuple(tuple(row[:-1]) for row in rows), error=problem)


def _result(
    each: Asked,
    count: int = 0,
    columns: tuple[str, ...] = (),
    sample: tuple[tuple[Any, ...], ...] = (),
    *,
    error: str | None = None,
) -> CheckResult:
    check = each.statement.check
    assert check is not None, f"{each.statement.place} is not a check"
    return CheckResult(
        check.id,
        check.sentence,
        each.step,
        count == 0 and error is None,
        check.warns,
        count,
        columns,
        sample,
        each.statement.place,
        error,
        each.header.get("means", ""),
        tuple(filter(None, (each.header.get("mends"),))),
    )


def _steps(script: Script, key: str) -> set[int]:
    """The steps in a line of a file's header: those that must be applied for it to mean anything, or must not be."""
    named: set[int] = set()
    for part in script.header.get(key, "").replace(",", " ").split():
        low, _, high = part.partition("-")
        named |= set(range(int(low), int(high or low) + 1))
    return named
