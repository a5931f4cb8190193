"""The catalog against the contract: a check for each kind of object of each table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from callctl.contract import KINDS, Expected, differences_sql, expected_of, expected_of_step, own_tables
from callctl.naming import Naming
from callctl.results import CONTRACT_COLUMNS, SAMPLE, CheckResult, ask
from callctl.script import load_script
from callctl.steps import all_steps

if TYPE_CHECKING:
    from callctl.database import Connection

ADDITIONS = "additions"


def conformance(connection: Connection, applied: Collection[int], naming: Naming) -> tuple[int, list[CheckResult]]:
    """How many objects were compared, and a check for each kind of object of each table.

    One query, which reads the catalog alone.
    """
    return _compared(connection, expected_of(applied), naming, own_tables(applied))


def store_conformance(connection: Connection, platform_schema: str) -> tuple[int, list[CheckResult]]:
    """The same of callctl's own schema alone, none of whose rows it reads."""
    return _compared(connection, expected_of_step(0), Naming(platform_schema, {}), ())


def _compared(
    connection: Connection, expected: Sequence[Expected], naming: Naming, whole: Collection[str]
) -> tuple[int, list[CheckResult]]:
    rows, problem = ask(connection, differences_sql(expected, naming, whole))
    different: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        different.setdefault(row[0], []).append(row[1:])
    ordered = sorted(expected, key=lambda each: each.check)
    results = [
        _result(check, list(objects), different.get(check, []), problem)
        for check, objects in groupby(ordered, key=lambda each: each.check)
    ]
    results.sort(key=lambda result: (result.step or 99, result.id))
    if whole and problem is None:
        results.append(_additions(different.get(ADDITIONS, [])))
    return len(expected), results


def _result(
    check: str, objects: Sequence[Expected], found: Sequence[tuple[Any, ...]], problem: str | None
) -> CheckResult:
    # A check may speak of what more than one step has left: then the one whose work is not as it should be counts.
    step = max(row[6] for row in found) if found else max(each.step for each in objects)
    header = _header(step)
    mends = tuple(dict.fromkeys(f"{row[5]};" for row in found if row[5]))
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
        mends or (header.get("mends", ""),),
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


def _additions(found: Sequence[tuple[Any, ...]]) -> CheckResult:
    return CheckResult(
        ADDITIONS,
        "nothing stands on the migration's own tables but what the steps made",
        None,
        not found,
        True,
        len(found),
        CONTRACT_COLUMNS,
        tuple(row[:5] for row in found[:SAMPLE]),
        "contract",
        None,
        "nothing, if the platform has gone on since; a rule, policy or trigger may change what is written and read",
        ("nothing, if it is meant to be there",),
    )
