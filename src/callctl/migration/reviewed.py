"""A plan in a file: what a run is to do, and everything that this depends on, compared before it is done.

What the platform's applications write all day is no part of it: a plan does not age by ordinary writes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from callctl import __version__
from callctl.database import connection as database
from callctl.database import store
from callctl.errors import Code, ConfigError, Refused
from callctl.events import Direction
from callctl.files import read_sql
from callctl.migration.planning import Wish, avatar_way, command, findings_for, prepared_steps
from callctl.migration.steps.contract import RELIED_ON, STORE, expectations, facts_sql, named
from callctl.migration.steps.numbered import Step, status, wanted_steps
from callctl.statements.naming import Naming
from callctl.statements.script import Script, Statement
from callctl.stored_bytes import stored

if TYPE_CHECKING:
    from pathlib import Path

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

FORMAT = 1
# relation -> kind -> name -> property -> value, as facts.sql has them.
Catalog: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]
# Characters of a fact that the file holds as it is; differences that a message names.
_LONGEST = 200
_SHOWN = 8


@dataclass(frozen=True)
class PlannedStep:
    """A step, and the SHA-256 of every statement that it would send here: its files, in the names of this database."""

    number: int
    name: str
    sha256: str


@dataclass(frozen=True)
class ReviewedPlan:
    """The plan that ``migrate plan --out`` writes and ``migrate up --plan`` reads; JSON objects with these names.

    ``names``: (table, documented name, name here) where they differ. ``catalog``: every fact of the tables that the
    migration changes or relies on, of the functions that their triggers run, and of callctl's own schema. ``blockers``:
    what preflight said when the plan was made.
    """

    plan: int
    callctl: str
    database: str
    schema: str
    direction: Direction
    to: int | None
    defer_drops: bool
    atomic: bool
    truncate_avatars: bool
    through_shadow: bool | None
    new_tables_row_security: str
    steps: tuple[PlannedStep, ...]
    names: tuple[tuple[str, str, str], ...]
    catalog: Catalog
    blockers: tuple[str, ...]

    @property
    def wish(self) -> Wish:
        """The options of the operator when the plan was made."""
        return Wish(
            self.direction,
            0 if self.to is None and self.direction == "down" else self.to,
            defer_drops=self.defer_drops,
            atomic=self.atomic,
            truncate_avatars=self.truncate_avatars,
            through_shadow=self.through_shadow,
        )


def plan_as_read(
    connection: Connection,
    settings: Settings,
    wish: Wish,
    naming: Naming,
    ready: Iterable[tuple[Step, Script, tuple[Statement, ...]]],
) -> ReviewedPlan:
    """The plan of these steps, with what it depends on as it is now. Takes no lock beyond ACCESS SHARE.

    Preflight is not asked.
    """
    return ReviewedPlan(
        FORMAT,
        __version__,
        database.target_of(connection, settings).database,
        naming.schema,
        wish.direction,
        wish.to,
        wish.defer_drops,
        wish.atomic,
        wish.truncate_avatars,
        wish.through_shadow,
        settings.new_tables_row_security,
        tuple(PlannedStep(step.number, step.name, _digest(script, checks)) for step, script, checks in ready),
        naming.describe(),
        catalog_of(connection, naming),
        (),
    )


def make(connection: Connection, settings: Settings, wish: Wish) -> ReviewedPlan:
    """The plan of a run, with what preflight says blocks it. READ ONLY. Raises Refused as the run would."""
    with database.read_only(connection):
        current = status(connection, settings)
        wanted = wanted_steps(
            current.applied, current.to_finish(wish.direction), wish.direction, wish.to, defer_drops=wish.defer_drops
        )
        avatar = avatar_way(connection, settings, current, wanted, wish)
        ready = prepared_steps(wanted, wish.direction, current, shadowed=avatar is not None and avatar.shadow)
        plan = plan_as_read(connection, settings, wish, current.naming, ready)
    numbers = [step.number for step in wanted if wish.direction == "down" or step.number not in current.applied]
    findings = findings_for(connection, settings, current.naming, numbers, wish, ("blocks",))
    blockers = (f"{finding.id}: {finding.what}" for finding in findings if finding.level == "blocks")
    return replace(plan, blockers=tuple(blockers))


def write(plan: ReviewedPlan) -> str:
    """The text of the file."""
    return json.dumps(asdict(plan), ensure_ascii=False, indent=1) + "\n"


def read(path: Path) -> ReviewedPlan:
    """The plan in a file. Raises ConfigError if it cannot be read, or is not a plan of this version of the format."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "it cannot be read").lower() if isinstance(error, OSError) else "it is not UTF-8"
        raise _unusable(path, why) from None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise _unusable(path, "it is not JSON") from None
    if not isinstance(content, dict) or "plan" not in content:
        raise _unusable(path, "it is not a plan that callctl wrote")
    if content["plan"] != FORMAT:
        raise _unusable(path, f"it has format {content['plan']!r}, and this callctl reads format {FORMAT}")
    wanted = {field.name for field in fields(ReviewedPlan)}
    if different := sorted(wanted.symmetric_difference(content)):
        what = "has no" if different[0] in wanted else "has an unknown"
        raise _unusable(path, f"it {what} {different[0]!r}")
    if problem := _misshapen(content):
        raise _unusable(path, f"{problem} is not what callctl writes there")
    content["steps"] = tuple(PlannedStep(**step) for step in content["steps"])
    content["names"] = tuple((table, documented, here) for table, documented, here in content["names"])
    content["blockers"] = tuple(content["blockers"])
    return ReviewedPlan(**content)


def assert_unchanged(plan: ReviewedPlan, now: ReviewedPlan) -> None:
    """Raise Refused, and say by name what is different, unless everything that the plan depends on is as it was."""
    different = list(_differences(plan, now))
    if not different:
        return
    more = f"; and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
    again = f"callctl migrate plan{' --down' if plan.direction == 'down' else ''} --out FILE"
    raise Refused(
        Code.PLAN_OUTDATED,
        f"this is not what the plan was made for: {'; '.join(different[:_SHOWN])}{more}; nothing was changed",
        hint=f"make a new plan with {again} and review it; to do it here without a plan, or to resume a run"
        f" that stopped: {command(plan.wish)}",
    )


def _differences(plan: ReviewedPlan, now: ReviewedPlan) -> Iterator[str]:
    for what in ("database", "schema"):
        was, is_now = getattr(plan, what), getattr(now, what)
        if was != is_now:
            yield f"the plan is for {what} {was}, and this is {is_now}"
    if plan.new_tables_row_security != now.new_tables_row_security:
        was, is_now = plan.new_tables_row_security, now.new_tables_row_security
        yield f"new_tables_row_security is {is_now} (was {was})"
    numbers, numbers_now = ([step.number for step in one.steps] for one in (plan, now))
    if numbers != numbers_now:
        yield f"the steps to take are {_listed(numbers_now)} (were {_listed(numbers)})"
    names, names_now = ({row[:2]: row[2] for row in one.names} for one in (plan, now))
    for key in sorted(names.keys() | names_now.keys()):
        if names.get(key) != names_now.get(key):
            table, documented = key
            of = f"column {table}.{documented}" if table else f"schema {documented}"
            yield f"{of} is called {names_now.get(key, documented)} (was {names.get(key, documented)})"
    if names == names_now:
        steps_now = {step.number: step.sha256 for step in now.steps}
        for step in plan.steps:
            if steps_now.get(step.number, step.sha256) != step.sha256:
                yield f"the statements of step {step.number} ({step.name}) are different"
    yield from catalog_differences(plan.catalog, now.catalog)


def catalog_differences(was: Catalog, now: Catalog) -> Iterator[str]:
    """Return the differences: each names an object, or a property of it."""
    own = {expectation.key for expectation in expectations() if expectation.step == 0}
    before, after = dict(_objects(was)), dict(_objects(now))
    for key in sorted(before.keys() | after.keys()):
        relation, kind, name = key
        label = f"{kind} {relation}" if kind == "table" else f"{kind} {name} of {relation}"
        if key not in after:
            yield f"{label} is gone"
        elif key not in before:
            # What another command of callctl's has made in callctl's schema meanwhile is callctl's own.
            if key not in own:
                yield f"{label} is new"
        elif before[key] != after[key]:
            properties = sorted(before[key].keys() | after[key].keys())
            for property in properties:
                old, new = before[key].get(property, "none"), after[key].get(property, "none")
                if old != new:
                    yield f"{label}: {property} is {_short(new)} (was {_short(old)})"


def _objects(catalog: Catalog) -> Iterator[tuple[tuple[str, str, str], Mapping[str, str]]]:
    for relation, kinds in catalog.items():
        for kind, names in kinds.items():
            for name, facts in names.items():
                yield (relation, kind, name), facts


def catalog_of(connection: Connection, naming: Naming) -> Catalog:
    """Every fact of what the steps touch or rely on, as it is now."""
    relations = {expectation.relation for expectation in expectations() if expectation.kind != "schema"} | {*RELIED_ON}
    tables = {named(relation, naming) for relation in relations}
    tables = {pair for pair in tables if pair[0] != STORE}
    functions = {
        (named(expectation.relation, naming)[0], expectation.name.partition("(")[0])
        for expectation in expectations()
        if expectation.kind == "function" and expectation.step
    }
    names = [table for _, table in sorted(tables)]
    query = read_sql("migration/trigger_functions.sql")
    for schema, function in connection.execute(query, {"schema": naming.schema, "tables": names}).fetchall():
        functions.add((schema, function))
    functions = {pair for pair in functions if pair[0] != STORE}
    everything: list[tuple[str, str | None]] = [(STORE, None)] if store.has_schema(connection) else []
    asked = facts_sql([*everything, *sorted(tables)], [*everything, *sorted(functions)])
    catalog: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for relation, kind, name, property, value in connection.execute(stored(asked)).fetchall():
        catalog.setdefault(relation, {}).setdefault(kind, {}).setdefault(name, {})[property] = _kept(value)
    return catalog


def _kept(value: str) -> str:
    """Return what the file holds of a fact: of a long one, such as a function's body, its SHA-256."""
    return value if len(value) <= _LONGEST else f"sha256 {hashlib.sha256(value.encode()).hexdigest()}"


def _digest(script: Script, checks: Sequence[Statement]) -> str:
    digest = hashlib.sha256()
    for statement in (*script.statements, *checks):
        digest.update(f"{' '.join(sorted(statement.directives))}\n{statement.sql};\n".encode())
    return digest.hexdigest()


def _misshapen(content: Mapping[str, Any]) -> str | None:
    """The first part that has not the shape that :func:`write` gives it."""

    def texts(value: Any, number: int | None = None) -> bool:
        listed = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return listed and number in (None, len(value))

    def nested(value: Any, depth: int) -> bool:
        if depth == 0:
            return isinstance(value, str)
        return isinstance(value, dict) and all(nested(item, depth - 1) for item in value.values())

    def step(value: Any) -> bool:
        kinds = {"number": int, "name": str, "sha256": str}
        return isinstance(value, dict) and {key: type(item) for key, item in value.items()} == kinds

    right = {
        "callctl": isinstance(content["callctl"], str),
        "database": isinstance(content["database"], str),
        "schema": isinstance(content["schema"], str),
        "direction": content["direction"] in ("up", "down"),
        "to": content["to"] is None or type(content["to"]) is int,
        "defer_drops": type(content["defer_drops"]) is bool,
        "atomic": type(content["atomic"]) is bool,
        "truncate_avatars": type(content["truncate_avatars"]) is bool,
        "through_shadow": content["through_shadow"] is None or type(content["through_shadow"]) is bool,
        "new_tables_row_security": isinstance(content["new_tables_row_security"], str),
        "steps": isinstance(content["steps"], list) and all(map(step, content["steps"])),
        "names": isinstance(content["names"], list) and all(texts(item, 3) for item in content["names"]),
        "catalog": nested(content["catalog"], 4),
        "blockers": texts(content["blockers"]),
    }
    return next((f"'{name}'" for name, well in right.items() if not well), None)


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        Code.PLAN_FILE,
        f"{path} cannot be used as a plan: {why}",
        hint="make one with callctl migrate plan --out FILE",
    )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def _short(value: str) -> str:
    words = " ".join(value.split())
    return words if len(words) <= 60 else f"{words[:59]}…"
