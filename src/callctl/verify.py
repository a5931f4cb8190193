"""Whether the database is as it should be: the catalog against the contract, and every row against its invariants."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callctl import database, store
from callctl.adapt import adapt
from callctl.conformance import conformance
from callctl.contract import step_check
from callctl.errors import Refused
from callctl.files import read_sql, sql_names
from callctl.naming import DOCUMENTED_SCHEMA, Naming, read_naming
from callctl.results import LATE, SAMPLE, CheckResult, Report, ask
from callctl.scans import reads_rows, scans
from callctl.script import Script, Statement, load_script
from callctl.steps import all_steps, applied_steps

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.database import Connection

__all__ = ["CheckResult", "Report", "examine", "step_checks", "verify"]


@dataclass(frozen=True)
class _Asked:
    """A check in this database's names, and where it comes from."""

    statement: Statement
    step: int | None
    header: Mapping[str, str]


def verify(
    connection: Connection,
    settings: Settings,
    *,
    steps: Iterable[int] | None = None,
    fast: bool = False,
    known_keys: Collection[str] | None = None,
) -> Report:
    """Run every check of the applied steps (or of ``steps``) on one snapshot, in a READ ONLY transaction.

    Takes no lock beyond ACCESS SHARE. Each query ends within ``statement_timeout``; a check cut short has not passed.
    ``fast`` leaves the rows out. ``known_keys`` are the ids of a key ring that every encrypted secret must name.
    Raises Refused where there is nothing to verify: callctl has applied no step here.
    """
    import psycopg

    with database.read_only(connection):
        try:
            return examine(connection, settings, steps=steps, fast=fast, known_keys=known_keys)
        except psycopg.errors.QueryCanceled as error:
            raise Refused(
                f"the catalog gave no answer in time: {database.error_text(error)}",
                hint="--statement-timeout sets how long one query may take",
            ) from error


def examine(
    connection: Connection,
    settings: Settings,
    *,
    steps: Iterable[int] | None = None,
    fast: bool = False,
    known_keys: Collection[str] | None = None,
) -> Report:
    """What :func:`verify` does, in the caller's transaction, whose settings it changes."""
    connection.execute(
        read_sql("catalog/verify_session.sql").encode(),
        {
            "timeout": f"{settings.statement_timeout_ms}ms",
            "known_keys": "" if known_keys is None else json.dumps(sorted(known_keys)),
        },
    )
    store.assert_owner(connection, settings.schema)
    wanted = tuple(sorted(steps)) if steps is not None else applied_steps(store.history(connection))
    if not wanted:
        raise Refused(
            "there is nothing to verify: no step is applied here",
            hint="callctl migrate status shows what is; callctl migrate adopt records a migration done without callctl",
        )
    naming = read_naming(connection, settings.schema)
    asked = [
        _Asked(statement, step, load_script(f"{all_steps()[step - 1].directory}/verify.sql").header)
        for step in wanted
        for statement in all_steps()[step - 1].checks()
    ]
    for name in sql_names("verify"):
        script = load_script(name)
        if _steps(script, "steps") <= set(wanted) and not _steps(script, "pending") & set(wanted):
            asked += [_Asked(each, None, script.header) for each in script.statements]
    if fast:
        asked = [each for each in asked if not reads_rows(each.statement, DOCUMENTED_SCHEMA)]
    objects, of_catalog = conformance(connection, wanted, naming)
    return Report(wanted, (*of_catalog, *_rows(connection, asked, naming)), objects, fast)


def _steps(script: Script, key: str) -> set[int]:
    """The steps in a line of a file's header: those that must be applied for it to mean anything, or must not be."""
    named: set[int] = set()
    for part in script.header.get(key, "").replace(",", " ").split():
        low, _, high = part.partition("-")
        named |= set(range(int(low), int(high or low) + 1))
    return named


# ---- the rows ------------------------------------------------------------------------------------------


def _rows(connection: Connection, asked: Sequence[_Asked], naming: Naming) -> list[CheckResult]:
    """The checks, as few passes as they can be asked in; what they find is looked up where there is something."""
    by_statement: dict[Statement, _Asked] = {adapt(each.statement, naming): each for each in asked}
    answers: dict[Statement, CheckResult] = {}
    for scan in scans(by_statement):
        rows, problem = ask(connection, scan.sql)
        counts = rows[0] if rows else (None,) * len(scan.statements)
        for statement, count in zip(scan.statements, counts, strict=True):
            each = by_statement[statement]
            if problem is None and not count:
                answers[statement] = _result(statement, each.step, each.header)
            elif problem is not None and (len(scan.statements) == 1 or problem.startswith(LATE)):
                answers[statement] = _result(statement, each.step, each.header, error=problem)
            else:
                # Some row offends, or one of the questions can't be asked: then each is asked by itself.
                answers[statement] = _asked_alone(connection, statement, each.step, each.header)
    return [answers[statement] for statement in by_statement]


def step_checks(connection: Connection, naming: Naming, step: int) -> Sequence[CheckResult]:
    """The checks of one step: its part of the contract, and its ``verify.sql``. In the caller's transaction."""
    script = load_script(f"{all_steps()[step - 1].directory}/verify.sql")
    statements = [adapt(statement, naming) for statement in script.statements]
    of_catalog = step_check(step, naming)
    return [
        _asked_alone(connection, statement, step, script.header)
        for statement in ([of_catalog] if of_catalog is not None else []) + statements
    ]


def _asked_alone(
    connection: Connection, statement: Statement, step: int | None, header: Mapping[str, str]
) -> CheckResult:
    """Run one check. A query that fails is a check that did not pass, and the others still run."""
    columns: list[str] = []
    sql = f"SELECT *, count(*) OVER () AS callctl_count FROM (\n{statement.sql}\n) AS offenders LIMIT {SAMPLE}"
    rows, problem = ask(connection, sql, columns)
    count = rows[0][-1] if rows else 0
    return _result(
        statement, step, header, count, tuple(columns[:-1]), tuple(tuple(row[:-1]) for row in rows), error=problem
    )


def _result(
    statement: Statement,
    step: int | None,
    header: Mapping[str, str],
    count: int = 0,
    columns: tuple[str, ...] = (),
    sample: tuple[tuple[Any, ...], ...] = (),
    *,
    error: str | None = None,
) -> CheckResult:
    check = statement.check
    assert check is not None, f"{statement.place} is not a check"
    return CheckResult(
        check.id,
        check.sentence,
        step,
        count == 0 and error is None,
        check.warns,
        count,
        columns,
        sample,
        statement.place,
        error,
        header.get("means", ""),
        tuple(filter(None, (header.get("mends"),))),
    )
