"""Checks that the database is as it should be: the catalog against the contract, each row against its invariants."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from callctl.database import connection as database
from callctl.database import store
from callctl.errors import Code, Refused
from callctl.files import read_sql
from callctl.migration.checks.findings import CONTRACT_COLUMNS, SAMPLE, CheckResult, Report, ask
from callctl.migration.checks.row_checks import (
    BOUND_CHECKS,
    CHECKS,
    SECRET,
    Asked,
    answers,
    asked,
    asked_alone,
    bound_secrets,
    declared_secrets,
)
from callctl.migration.steps.contract import (
    KINDS,
    RELIED_ON,
    STORE,
    Expected,
    differences_sql,
    expected_of,
    expected_of_step,
    own_tables,
    step_check,
)
from callctl.migration.steps.numbered import all_steps, applied_steps
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.fields import ACCOUNTS
from callctl.secrets.rows import tables
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming, read_naming
from callctl.statements.script import load_script
from callctl.statements.tokens import with_query

if TYPE_CHECKING:
    from callctl.config.sections import Accepted, KeyConfig
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

__all__ = ["CheckResult", "Report", "examine", "step_checks", "verify"]

# The catalog against the contract: a check for each kind of object of each table.

ADDITIONS = "additions"
_CHANGED = "contents were changed"  # as callctl.changed_records() puts it
# callctl's own schema: what differs there cannot be accepted.
STORE_CHECKS = frozenset({"store-additions", "store-functions", "store-tables", "store-writes"})


class Difference(NamedTuple):
    """A difference from the contract, as ``differences_sql`` returns it; ``fix`` is the statement that removes it."""

    check: str
    problem: str
    object: str
    property: str | None
    expected: str | None
    found: str | None
    fix: str | None
    step: int | None

    def shown(self) -> tuple[str | None, ...]:
        """The values of CONTRACT_COLUMNS."""
        return self.problem, self.object, self.property, self.expected, self.found

    def named(self) -> tuple[str, str]:
        """The object and the difference, as an entry of ``accept`` names them."""
        difference = f"{self.property} is {self.found}" if self.problem == "differs" else self.problem
        return _spaced(self.object), _spaced(difference)


@dataclass(frozen=True)
class Compared:
    """The number of objects compared, the differences that no entry accepts, and the entries that accept the others.

    ``problem``: what the server said, where it did not answer; then nothing was compared.
    """

    objects: int
    differences: tuple[Difference, ...]
    accepted: tuple[Accepted, ...]
    problem: str | None


def compare(
    connection: Connection, applied: Collection[int], naming: Naming, accept: Sequence[Accepted] = ()
) -> Compared:
    """Compare the catalog with what these steps leave in it, with callctl's own schema if no step is applied.

    One query, which reads the catalog alone.
    """
    if not applied:
        expected = expected_of_step(0)
        differences, problem = _differences(connection, differences_sql(expected, Naming(naming.schema, {}), ()))
        return Compared(len(expected), tuple(differences), (), problem)
    expected = expected_of(applied)
    query = differences_sql(expected, naming, own_tables(applied), relied=RELIED_ON)
    differences, problem = _differences(connection, query)
    remaining, accepted = _without(differences, accept)
    return Compared(len(expected), tuple(remaining), tuple(entry for entry in accept if entry in accepted), problem)


def _differences(connection: Connection, query: str) -> tuple[list[Difference], str | None]:
    """The differences, or why they could not be asked for."""
    rows, problem = ask(connection, query)
    return [Difference(*row) for row in rows], problem


def conformance(
    connection: Connection, applied: Collection[int], naming: Naming, accept: Sequence[Accepted] = ()
) -> tuple[int, list[CheckResult], tuple[Accepted, ...], frozenset[str]]:
    """Return the number of objects compared, a check for each kind of object of each table, and accepted differences.

    Last, the tables of callctl's own whose columns differ, without their schema. One query, which reads the catalog
    alone. A difference that ``accept`` names fails nothing.
    """
    compared = compare(connection, applied, naming, accept)
    added = (*_OF_THE_STORE, *_OF_THE_PLATFORM, *_OF_ADDITIONS * bool(own_tables(applied)))
    results = _compared(expected_of(applied), compared.differences, added, compared.problem)
    if accept and compared.problem is None:
        results.append(_unused([entry for entry in accept if entry not in compared.accepted]))
    of_column = f"column {STORE}."
    columns = (
        difference.object.removeprefix(of_column).split(".")[0]
        for difference in compared.differences
        if difference.object.startswith(of_column)
    )
    return compared.objects, results, compared.accepted, frozenset(columns)


def _without(
    differences: Sequence[Difference], accept: Sequence[Accepted]
) -> tuple[list[Difference], frozenset[Accepted]]:
    """The differences that no entry accepts, and the entries that accept one."""
    entries = {(entry.object, entry.difference): entry for entry in accept}
    remaining, accepted = [], set()
    for difference in differences:
        entry = entries.get(difference.named()) if difference.check not in STORE_CHECKS else None
        if entry is None:
            remaining.append(difference)
        else:
            accepted.add(entry)
    return remaining, frozenset(accepted)


def step_conformance(
    connection: Connection, step: int, naming: Naming, accept: Sequence[Accepted] = ()
) -> CheckResult | None:
    """One check of all that a step leaves in the catalog, but what ``accept`` names; None if it leaves nothing."""
    statement = step_check(step, naming)
    if statement is None or statement.check is None:
        return None
    expected = expected_of_step(step)
    differences, problem = _differences(connection, differences_sql(expected, naming, alone=True))
    remaining, _ = _without([difference for difference in differences if difference.check != ADDITIONS], accept)
    result = _result(statement.check.id, expected, remaining, problem)
    return replace(result, sentence=statement.check.sentence, step=step)


def store_conformance(connection: Connection, platform_schema: str) -> tuple[int, list[CheckResult]]:
    """The same of callctl's own schema alone, none of whose rows it reads."""
    expected = expected_of_step(0)
    differences, problem = _differences(connection, differences_sql(expected, Naming(platform_schema, {}), ()))
    return len(expected), _compared(expected, differences, _OF_THE_STORE, problem)


def _compared(
    expected: Sequence[Expected],
    differences: Sequence[Difference],
    added: Collection[_Addition],
    problem: str | None,
) -> list[CheckResult]:
    different: dict[str, list[Difference]] = {}
    for difference in differences:
        different.setdefault(difference.check, []).append(difference)
    ordered = sorted(expected, key=lambda expectation: expectation.check)
    results = [
        _result(check, list(objects), different.get(check, []), problem)
        for check, objects in groupby(ordered, key=lambda expectation: expectation.check)
    ]
    results.sort(key=lambda result: (result.step or 99, result.id))
    if problem is None:
        # What was added to callctl's own schema comes first: what is missing there may be there under another name.
        before = [addition for addition in added if addition.id in STORE_CHECKS]
        results[:0] = [_added(addition, different.get(addition.id, [])) for addition in before]
        results += [_added(addition, different.get(addition.id, [])) for addition in added if addition not in before]
    return results


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _acceptance(difference: Difference) -> str:
    """The entry of callctl.yaml that accepts a difference. A JSON text is one of YAML's."""
    object, named_difference = difference.named()
    entry = {"object": object, "difference": named_difference, "reason": "..."}
    named = ", ".join(f"{name}: {json.dumps(text, ensure_ascii=False)}" for name, text in entry.items())
    return f"or, if it is meant, in callctl.yaml: accept: [{{{named}}}]"


def _result(
    check: str, objects: Sequence[Expected], differences: Sequence[Difference], problem: str | None
) -> CheckResult:
    # A check may speak of what more than one step has left: then the one whose work is not as it should be counts.
    step = max(difference.step or 0 for difference in differences) if differences else max(o.step for o in objects)
    header = _header(step)
    fixes = dict.fromkeys(f"{difference.fix};" for difference in differences if difference.fix)
    mends = tuple(fixes) or (header.get("fix", ""),)
    if step:
        mends += tuple(map(_acceptance, differences[:SAMPLE]))
    are, them = ("is", "it") if len(objects) == 1 else ("are", "them")
    return CheckResult(
        check,
        f"{_what(objects)} {are} as {f'step {step}' if step else 'callctl'} left {them}",
        step or None,
        not differences and problem is None,
        False,
        len(differences),
        CONTRACT_COLUMNS,
        tuple(difference.shown() for difference in differences[:SAMPLE]),
        f"contract/{step:02}",
        problem,
        header.get("means", ""),
        mends,
    )


def _what(objects: Sequence[Expected]) -> str:
    kind, number = objects[0].kind, len(objects)
    if objects[0].step == 0:
        return (
            f"the {number} {'functions' if kind == 'function' else 'tables, columns and rules'} of callctl's own schema"
        )
    owner = "" if kind in ("table", "function") else f" of {objects[0].table}"
    names = ", ".join(sorted(expectation.name for expectation in objects)) if number < 4 else f"the {number}"
    return f"{names} {KINDS[kind] if number > 1 else kind}{owner}" if number < 4 else f"{names} {KINDS[kind]}{owner}"


def _header(step: int) -> Mapping[str, str]:
    if not step:
        return {
            "means": "no effect yet; but a rollback may lack the rows that it has to restore",
            "fix": "run callctl migrate up, even if no step is pending: it makes missing tables and "
            "all functions; restore a missing column from a backup",
        }
    return load_script(f"{all_steps()[step - 1].directory}/verify.sql").header


@dataclass(frozen=True)
class _Addition:
    """A check of what others have put on the migration's own tables."""

    id: str
    sentence: str
    warns: bool
    means: str
    fix: str


_OF_THE_STORE = (
    _Addition(
        "store-writes",
        "callctl's tables have only callctl's own triggers and rules",
        False,
        "callctl's history or saved values may be lost or changed: the "
        "history may have a wrong step, and a rollback may lose rows",
        "drop it",
    ),
    _Addition(
        "store-additions",
        "schema callctl and its tables have only callctl's own objects, and no object of another schema refers to them",
        False,
        "the server may refuse a write to callctl's tables, and with it the application's write; others "
        "may read the saved values; an added column makes every row seem changed",
        "run the statement in the row; move a table that you need to another schema; rename a renamed object back",
    ),
)
_OF_THE_PLATFORM = (
    _Addition(
        "writes-kept",
        "no trigger or rule may keep a row of the platform's tables from being inserted or updated",
        False,
        "the database loses or changes a chatbot, a company or a model without an error",
        "drop that trigger or rule, or make its function raise an error instead of RETURN NULL",
    ),
    _Addition(
        "deletes-kept",
        "no trigger or rule may keep a row of the platform's tables from being deleted",
        True,
        "no effect if it marks the row as deleted; otherwise the rows of a deleted customer stay",
        "do nothing if it is intended",
    ),
    _Addition(
        "writes-unknown",
        "the text of every trigger on the platform's tables and the new tables says that the trigger keeps the row",
        True,
        "no effect if it keeps the row; otherwise the database loses or changes a written row without an error",
        "read the named words of the function; callctl recognizes RETURN NEW (for a DELETE, RETURN OLD)",
    ),
)
_OF_ADDITIONS = (
    _Addition(
        ADDITIONS,
        "no object was added to the migration's own tables",
        True,
        "no effect if the platform has changed since; but a rule, policy or trigger may change the rows written and"
        " read",
        "do nothing if it is intended",
    ),
    _Addition(
        "additions-swallow",
        "no trigger or rule that was added to the migration's own tables may keep a row from being written",
        False,
        "a write of a call, a transcript or an account may be lost without an error",
        "drop that trigger or rule, or make its function raise an error instead of RETURN NULL",
    ),
)


def _added(addition: _Addition, differences: Sequence[Difference]) -> CheckResult:
    return CheckResult(
        addition.id,
        addition.sentence,
        None,
        not differences,
        addition.warns,
        len(differences),
        CONTRACT_COLUMNS,
        tuple(difference.shown() for difference in differences[:SAMPLE]),
        "contract",
        None,
        addition.means,
        (
            *(f"{difference.fix};" for difference in differences if difference.fix and not addition.warns),
            addition.fix,
            *(() if addition.warns or addition.id in STORE_CHECKS else map(_acceptance, differences[:SAMPLE])),
        ),
    )


def _unused(entries: Sequence[Accepted]) -> CheckResult:
    return CheckResult(
        "accepted-differences",
        "every entry under accept: in callctl.yaml matches a difference",
        None,
        not entries,
        True,
        len(entries),
        ("object", "difference", "reason"),
        tuple((entry.object, entry.difference, entry.reason) for entry in entries[:SAMPLE]),
        "contract",
        None,
        "no effect now; but an entry for a difference that no longer exists hides the next difference",
        ("remove the entry, or write object and difference as verify prints them",),
    )


# Whether the database is as it should be: the catalog against the contract, and every row against its invariants.


_WHAT_IS_APPLIED = (
    "run callctl migrate status to see the applied steps, or callctl migrate adopt to record a"
    " migration without callctl"
)


def verify(
    connection: Connection,
    settings: Settings,
    *,
    steps: Iterable[int] | None = None,
    fast: bool = False,
) -> Report:
    """Run every check of the applied steps (or of ``steps``) on one snapshot, in a READ ONLY transaction.

    Takes no lock beyond ACCESS SHARE. Each query ends within ``statement_timeout``; a check cut short has not passed.
    ``fast`` leaves the rows out. If ``settings`` have a key ring, every encrypted secret must name one of its keys;
    of the keys the ids alone are used, none is read. The secret fields that ``settings`` declare are looked at as well.
    Raises Refused if there is nothing to verify: callctl has applied no step here; ConfigError if the primary key
    is retired here.
    """
    import psycopg

    with database.read_only(connection):
        try:
            return examine(connection, settings, steps=steps, fast=fast)
        except psycopg.errors.QueryCanceled as error:
            raise Refused(
                Code.CATALOG_UNREADABLE,
                f"the query of the catalog timed out: {database.error_text(error)}",
                hint="set a longer --statement-timeout, the limit of one query",
            ) from error


def examine(
    connection: Connection,
    settings: Settings,
    *,
    steps: Iterable[int] | None = None,
    fast: bool = False,
) -> Report:
    """Verify as :func:`verify` does, in the caller's transaction, whose settings this changes."""
    import psycopg

    connection.execute(
        read_sql("migration/checks/verify_session.sql"),
        {
            "timeout": f"{settings.statement_timeout_ms}ms",
            "known_keys": "" if settings.keys is None else json.dumps(_known(settings.keys)),
        },
    )
    recognised = store.assert_recognised(connection)
    try:
        with connection.transaction():
            store.assert_owner(connection, settings.schema)
            wanted = tuple(sorted(steps)) if steps is not None else applied_steps(store.history(connection))
            if not wanted and not store.exists(connection):
                text = "nothing to verify: no step is applied in this database"
                raise Refused(Code.NOTHING_TO_VERIFY, text, hint=_WHAT_IS_APPLIED)
            naming = read_naming(connection, settings.schema)
            connection.execute("SELECT kind, relation, name FROM callctl.made LIMIT 0")  # which the contract asks
            bound = tables.bound_fields(connection)
            key_ledger.assert_not_retired(connection, settings)
    except (psycopg.ProgrammingError, psycopg.DataError, Refused):
        # callctl's own schema may not be what callctl reads; if it is not, that is the answer.
        if not recognised:
            raise
        objects, damaged = store_conformance(connection, settings.schema)
        if all(check.passed for check in damaged):
            raise
        return Report((), tuple(damaged), objects, fast)
    objects, of_catalog, accepted, reshaped = (
        conformance(connection, wanted, naming, settings.accept)
        if wanted
        else (*store_conformance(connection, settings.schema), (), frozenset())
    )
    checks = asked(wanted, naming, fast=fast)
    # Fields of the accounts alone are nowhere before step 9.
    if not fast and any(secret_field.table != ACCOUNTS or 9 in wanted for secret_field in settings.secret_fields):
        checks = _asked_of(checks, CHECKS, declared_secrets(connection, settings))
    if not fast and bound:
        checks = _asked_of(checks, BOUND_CHECKS, bound_secrets(connection, settings, bound))
    of_rows = (_comparable(result, reshaped) for result in answers(connection, checks, naming))
    report = Report(wanted, (*of_catalog, *of_rows), objects, fast, accepted)
    if not wanted and report.passed:
        raise Refused(
            Code.NOTHING_TO_VERIFY,
            "no step is applied in this database, so no table of the platform was compared; callctl's "
            f"schema and its archive passed {len(report.checks)} checks",
            hint=_WHAT_IS_APPLIED,
        )
    return report


def _comparable(check: CheckResult, reshaped: Collection[str]) -> CheckResult:
    """Return the ``records-unchanged`` result for tables with other columns: every row differs, perhaps unchanged."""
    if check.id != "records-unchanged" or not any(row[0] in reshaped for row in check.sample):
        return check
    sample = tuple(
        (*row[:4], "not compared: its columns differ") if row[0] in reshaped and row[4] == _CHANGED else row
        for row in check.sample
    )
    first = "fix the columns that store-tables and store-additions name, then run callctl verify again"
    lost = any(not row[4].startswith("not compared") for row in sample)
    return replace(check, sample=sample, mends=(first, *(check.mends if lost else ())))


def _asked_of(checks: Iterable[Asked], ids: Collection[str], values: str) -> tuple[Asked, ...]:
    """The checks, those with these ids asked of what ``values`` finds in declared fields."""
    return tuple(
        replace(check, statement=replace(check.statement, sql=with_query(check.statement.sql, SECRET, values)))
        if check.statement.check is not None and check.statement.check.id in ids
        else check
        for check in checks
    )


def _known(keys: KeyConfig) -> list[str]:
    """The ids of the keys; and the empty one, if a key is tried for values without an id."""
    return [key.id for key in keys.ring] + [""] * any(key.legacy for key in keys.ring)


def step_checks(
    connection: Connection, naming: Naming, step: int, accept: Sequence[Accepted] = ()
) -> Sequence[CheckResult]:
    """The checks of one step: its part of the contract but what ``accept`` names, and its ``verify.sql``.

    In the caller's transaction, whose time zone it changes.
    """
    connection.execute("SELECT set_config('TimeZone', 'UTC', true)")  # as verify reads times
    script = load_script(f"{all_steps()[step - 1].directory}/verify.sql")
    of_catalog = step_conformance(connection, step, naming, accept)
    return [
        *((of_catalog,) if of_catalog is not None else ()),
        *(
            asked_alone(connection, Asked(adapt(statement, naming), step, script.header))
            for statement in script.statements
        ),
    ]
