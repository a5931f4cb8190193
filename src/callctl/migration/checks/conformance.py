"""The catalog against the contract: a check for each kind of object of each table."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from callctl.migration.checks.results import CONTRACT_COLUMNS, SAMPLE, CheckResult, ask
from callctl.migration.steps.contract import (
    KINDS,
    RELIED_ON,
    Expected,
    differences_sql,
    expected_of,
    expected_of_step,
    own_tables,
    step_check,
)
from callctl.migration.steps.numbered import all_steps
from callctl.statements.naming import Naming
from callctl.statements.script import load_script

if TYPE_CHECKING:
    from callctl.config.accept import Accepted
    from callctl.database.connection import Connection

ADDITIONS = "additions"
# callctl's own schema: what differs there cannot be accepted.
STORE_CHECKS = frozenset({"store-functions", "store-tables", "store-writes"})


def conformance(
    connection: Connection, applied: Collection[int], naming: Naming, accept: Sequence[Accepted] = ()
) -> tuple[int, list[CheckResult], tuple[Accepted, ...]]:
    """How many objects were compared, a check for each kind of object of each table, and the differences accepted.

    One query, which reads the catalog alone. A difference that ``accept`` names fails nothing.
    """
    expected, whole = expected_of(applied), own_tables(applied)
    rows, problem = ask(connection, differences_sql(expected, naming, whole, relied=RELIED_ON))
    left, accepted = _without(rows, accept)
    added = (_OF_THE_STORE, *_OF_THE_PLATFORM, *_OF_ADDITIONS * bool(whole))
    results = _compared(expected, left, added, problem)
    unused = [entry for entry in accept if entry not in accepted]
    if accept and problem is None:
        results.append(_unused(unused))
    return len(expected), results, tuple(entry for entry in accept if entry in accepted)


def _without(
    rows: Sequence[tuple[Any, ...]], accept: Sequence[Accepted]
) -> tuple[list[tuple[Any, ...]], frozenset[Accepted]]:
    """The differences that no entry accepts, and the entries that accept one."""
    entries = {(entry.object, entry.difference): entry for entry in accept}
    left, accepted = [], set()
    for row in rows:
        entry = entries.get((_spaced(row[2]), difference(*row[1:6]))) if row[0] not in STORE_CHECKS else None
        if entry is None:
            left.append(row)
        else:
            accepted.add(entry)
    return left, frozenset(accepted)


def step_conformance(
    connection: Connection, step: int, naming: Naming, accept: Sequence[Accepted] = ()
) -> CheckResult | None:
    """One check of all that a step leaves in the catalog, but what ``accept`` names; None where it leaves nothing."""
    statement = step_check(step, naming)
    if statement is None or statement.check is None:
        return None
    expected = expected_of_step(step)
    rows, problem = ask(connection, differences_sql(expected, naming, alone=True))
    left, _ = _without([row for row in rows if row[0] != ADDITIONS], accept)
    found = _result(statement.check.id, expected, [row[1:] for row in left], problem)
    return replace(found, sentence=statement.check.sentence, step=step)


def store_conformance(connection: Connection, platform_schema: str) -> tuple[int, list[CheckResult]]:
    """The same of callctl's own schema alone, none of whose rows it reads."""
    expected = expected_of_step(0)
    rows, problem = ask(connection, differences_sql(expected, Naming(platform_schema, {}), ()))
    return len(expected), _compared(expected, rows, (_OF_THE_STORE,), problem)


def _compared(
    expected: Sequence[Expected],
    rows: Sequence[tuple[Any, ...]],
    added: Collection[_Addition],
    problem: str | None,
) -> list[CheckResult]:
    different: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        different.setdefault(row[0], []).append(row[1:])
    ordered = sorted(expected, key=lambda each: each.check)
    results = [
        _result(check, list(objects), different.get(check, []), problem)
        for check, objects in groupby(ordered, key=lambda each: each.check)
    ]
    results.sort(key=lambda result: (result.step or 99, result.id))
    if problem is None:
        results += [_added(each, different.get(each.id, [])) for each in added]
    return results


def _spaced(text: str) -> str:
    return " ".join(text.split())


def difference(problem: str, object: str, property: str | None, expected: str | None, found: str | None) -> str:
    """What differs, as an entry of ``accept`` names it."""
    return _spaced(f"{property} is {found}") if problem == "differs" else problem


def _acceptance(row: Sequence[Any]) -> str:
    """The entry of callctl.yaml that accepts a difference. A JSON text is one of YAML's."""
    entry = {"object": _spaced(row[1]), "difference": difference(*row[:5]), "reason": "..."}
    named = ", ".join(f"{name}: {json.dumps(text, ensure_ascii=False)}" for name, text in entry.items())
    return f"or, if it is meant, in callctl.yaml: accept: [{{{named}}}]"


def _result(
    check: str, objects: Sequence[Expected], found: Sequence[tuple[Any, ...]], problem: str | None
) -> CheckResult:
    # A check may speak of what more than one step has left: then the one whose work is not as it should be counts.
    step = max(row[6] for row in found) if found else max(each.step for each in objects)
    header = _header(step)
    mends = tuple(dict.fromkeys(f"{row[5]};" for row in found if row[5])) or (header.get("mends", ""),)
    if step:
        mends += tuple(_acceptance(row) for row in found[:SAMPLE])
    are, them = ("is", "it") if len(objects) == 1 else ("are", "them")
    return CheckResult(
        check,
        f"{_what(objects)} {are} as {f'step {step}' if step else 'callctl'} left {them}",
        step or None,
        not found and problem is None,
        False,
        len(found),
        CONTRACT_COLUMNS,
        tuple(row[:5] for row in found[:SAMPLE]),
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
    names = ", ".join(sorted(each.name for each in objects)) if number < 4 else f"the {number}"
    return f"{names} {KINDS[kind] if number > 1 else kind}{owner}" if number < 4 else f"{names} {KINDS[kind]}{owner}"


def _header(step: int) -> Mapping[str, str]:
    if not step:
        return {
            "means": "nothing yet; but a way back may not find what it has to put back",
            "mends": "callctl migrate up, with no step pending, too: it makes the tables that are not there, and each"
            " function anew; a column that is gone comes back from a backup",
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


_OF_THE_STORE = _Addition(
    "store-writes",
    "no trigger or rule but callctl's own is on its tables",
    False,
    "callctl's history, or what it saved, may not be stored as it was written: the history has a step"
    " that was not taken, or lacks one that was, and rolling back loses rows",
    "drop it",
)
_OF_THE_PLATFORM = (
    _Addition(
        "writes-kept",
        "no trigger or rule may keep a row of the platform's tables from being inserted or updated",
        False,
        "a chatbot, a company or a model is not stored as it was written, without an error",
        "drop that trigger or rule, or let its function raise an error in place of RETURN NULL",
    ),
    _Addition(
        "deletes-kept",
        "no trigger or rule may keep a row of the platform's tables from being deleted",
        True,
        "nothing, if it marks the row as deleted in place of deleting it; else a deleted customer's rows stay",
        "nothing, if it is meant to be there",
    ),
)
_OF_ADDITIONS = (
    _Addition(
        ADDITIONS,
        "nothing was added to the migration's own tables",
        True,
        "nothing, if the platform has changed since; a rule, policy or trigger may change what is written and read",
        "nothing, if it is meant to be there",
    ),
    _Addition(
        "additions-swallow",
        "no trigger or rule that was added to the migration's own tables may keep a row from being written",
        False,
        "a call, a transcript or an account may be lost when it is written, without an error",
        "drop that trigger or rule, or let its function raise an error in place of RETURN NULL",
    ),
)


def _added(each: _Addition, found: Sequence[tuple[Any, ...]]) -> CheckResult:
    return CheckResult(
        each.id,
        each.sentence,
        None,
        not found,
        each.warns,
        len(found),
        CONTRACT_COLUMNS,
        tuple(row[:5] for row in found[:SAMPLE]),
        "contract",
        None,
        each.means,
        (
            *(f"{row[5]};" for row in found if row[5] and not each.warns),
            each.fix,
            *(() if each.warns or each.id in STORE_CHECKS else (_acceptance(row) for row in found[:SAMPLE])),
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
        "nothing; but an entry for a difference that is gone hides the next one",
        ("remove the entry, or write object and difference as verify prints them",),
    )
