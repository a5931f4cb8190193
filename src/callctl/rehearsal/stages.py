"""The stages of a rehearsal on its own server: preflight, up, verify, writes, down, identity, up again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from callctl.database import connection as database
from callctl.errors import CallctlError, Interrupted
from callctl.events import Event, Notice, OnEvent, RehearsalProgress, StepFinished, StepStarted, Waiting
from callctl.forecast.outlook import Outlook, outlook
from callctl.migration import migrate
from callctl.migration.checks.preflight import preflight
from callctl.migration.checks.verify import verify
from callctl.migration.migrate import Migrated, Wish
from callctl.migration.steps.numbered import DROPS
from callctl.rehearsal.filling import Filler, call_defaults, quoted, relation
from callctl.rehearsal.lock_samples import LockResult, LockSampler, compared, told_by
from callctl.rehearsal.survey import TableName
from callctl.sandbox.demo import Comparison, Fingerprint, compare, fingerprint
from callctl.server_errors import outline
from callctl.statements.naming import TYPE_COLUMN
from callctl.stored_bytes import stored

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.migration.checks.findings import Finding
    from callctl.statements.naming import Naming

StageName: TypeAlias = Literal[
    "schema",
    "rows",
    "preflight",
    "up to step 4",
    "both applications",
    "up",
    "verify",
    "new application",
    "down",
    "identity",
    "up again",
    "locks",
]
Result: TypeAlias = Literal["held", "did not hold", "not rehearsed"]
# The last step before the type columns are dropped: both applications can write.
BOTH = DROPS[0] - 1
LONG_AVATAR = 600


@dataclass(frozen=True)
class Stage:
    """One stage: ``what`` came of it, ``details`` are a line each, ``hint`` what to do where it did not hold."""

    name: StageName
    result: Result
    what: str
    details: tuple[str, ...] = ()
    hint: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class RehearsedStep:
    """One step as it ran here: ``rows`` it changed, ``bytes`` that its statements read whole, built or rewrote."""

    number: int
    name: str
    direction: Literal["up", "down"]
    seconds: float
    rows: int
    bytes: int


class NotHeld(Exception):
    """A stage did not hold: the sentence that says so, and its details."""

    def __init__(self, what: str, details: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(what)
        self.what, self.details, self.hint = what, tuple(details), hint


@dataclass
class Stages:
    """The stages so far. ``seconds_left`` tells how long the rest of the rehearsal takes, by what is behind."""

    on_event: OnEvent
    weights: dict[StageName, float]
    began: float = field(default_factory=time.monotonic)
    stages: list[Stage] = field(default_factory=list)
    steps: list[RehearsedStep] = field(default_factory=list)
    locks: list[LockResult] = field(default_factory=list)
    findings: tuple[Finding, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a stage did not hold: what follows would rehearse another state."""
        return any(stage.result == "did not hold" for stage in self.stages)

    def seconds_left(self, stage: StageName, share: float = 0.0) -> float:
        """The seconds that the rest would take at the pace so far; ``share`` of this stage is done."""
        names = list(self.weights)
        done = sum(self.weights[name] for name in names[: names.index(stage)]) + share * self.weights[stage]
        rest = sum(self.weights.values()) - done
        return (time.monotonic() - self.began) * rest / done if done else rest

    def tell(
        self, stage: StageName, what: str, done: int = 0, total: int = 0, unit: Literal["rows", "steps"] = "rows"
    ) -> None:
        """Report where the rehearsal is."""
        left = self.seconds_left(stage, done / total if total else 0.0)
        place = list(self.weights).index(stage) + 1
        self.on_event(RehearsalProgress(stage, place, len(self.weights), what, done, total, unit, left))

    def listener(self, stage: StageName, sizes: Mapping[int, int] | None = None) -> OnEvent:
        """Listen to a run of the steps: a step is progress of the stage; waits and notices are passed on.

        With ``sizes``, the bytes of each step, the steps that are finished are recorded.
        """

        def listen(event: Event) -> None:
            if isinstance(event, StepStarted):
                self.tell(stage, f"step {event.step} {event.name}", event.position - 1, event.total, "steps")
            elif isinstance(event, StepFinished) and sizes is not None:
                size = sizes.get(event.step, 0)
                self.steps.append(
                    RehearsedStep(event.step, event.name, event.direction, event.seconds, event.rows, size)
                )
            elif isinstance(event, Notice | Waiting):
                self.on_event(event)

        return listen

    def run(self, name: StageName, doing: str, play: Callable[[], tuple[str, Sequence[str]]]) -> None:
        """Play a stage and keep its result. It is not played behind one that did not hold."""
        if self.failed:
            behind = next(stage.name for stage in self.stages if stage.result == "did not hold")
            self.stages.append(Stage(name, "not rehearsed", f"{behind} did not hold"))
            return
        began = time.monotonic()
        self.tell(name, doing)
        stage = self._played(name, play)
        self.stages.append(replace(stage, seconds=time.monotonic() - began))

    def _played(self, name: StageName, play: Callable[[], tuple[str, Sequence[str]]]) -> Stage:
        import psycopg

        try:
            what, details = play()
        except NotHeld as problem:
            return Stage(name, "did not hold", problem.what, problem.details, problem.hint)
        except Skipped as reason:
            return Stage(name, "not rehearsed", str(reason))
        except Interrupted:
            raise
        except CallctlError as error:
            # The command that it names is for the target, if this happens there.
            hint = f"on the target: {error.hint}" if error.hint else None
            return Stage(name, "did not hold", error.message, (), hint)
        except psycopg.Error as error:
            return Stage(name, "did not hold", outline(error))
        return Stage(name, "held", what, tuple(details))


class Skipped(Exception):
    """A stage that has nothing to rehearse with here; the text says why."""


@dataclass
class Run:
    """The objects of the stages. ``settings`` connect as the role of the target, ``admin`` as superuser."""

    stages: Stages
    settings: Settings
    admin: Settings
    filler: Filler
    naming: Naming
    up: Wish
    down: Wish
    original: Fingerprint | None = None
    written: Fingerprint | None = None
    new_rows: dict[str, int] = field(default_factory=dict)
    watched: bool = False


def play(run: Run) -> None:
    """Play the stages from preflight on, each behind the one before it."""
    stages = run.stages
    stages.run("preflight", "asking whether the database is fit", lambda: _preflight(run))
    with closing(database.connect(run.admin)) as admin:
        run.original = None if stages.failed else fingerprint(admin, run.naming.schema)
    told = {} if stages.failed else told_by(_outlook(run, run.up))
    with LockSampler(run.admin, run.naming.schema) as sampler:
        stages.run("up to step 4", "before the drops", lambda: _up(run, "up to step 4", replace(run.up, to=BOTH)))
        stages.run("both applications", "writing as both applications do", lambda: _both_applications(run))
        stages.run("up", "the other steps", lambda: _up(run, "up", run.up))
    run.watched = not sampler.broken
    stages.locks += compared("up", told, sampler)
    stages.run("verify", "checking every rule", lambda: _verify(run))
    stages.run("new application", "writing as the new application does", lambda: _new_application(run))
    _take_down(run)
    stages.run("identity", "comparing every row and definition", lambda: _identity(run))
    stages.run("up again", "all steps", lambda: _again(run))
    stages.run("locks", "comparing the locks with the forecast", lambda: _locks(run))


@contextmanager
def _connected(run: Run) -> Iterator[Connection]:
    with closing(database.connect(run.settings)) as connection:
        yield connection


def _outlook(run: Run, wish: Wish) -> Outlook:
    with _connected(run) as connection:
        return outlook(connection, run.settings, migrate.plan(connection, run.settings, wish))


def _preflight(run: Run) -> tuple[str, Sequence[str]]:
    with _connected(run) as connection:
        pending = [step.number for step in migrate.plan(connection, run.settings, run.up).steps]
        findings = preflight(connection, run.settings, run.naming, pending)
    run.stages.findings = findings
    count = {level: sum(finding.level == level for finding in findings) for level in ("blocks", "warns", "unknown")}
    numbers = f"{count['blocks']} block, {count['warns']} warn, {count['unknown']} unknown"
    lines = [f"{finding.level}: {finding.id}: {finding.what}" for finding in findings if finding.level == "blocks"]
    if lines:
        fix = next(finding.do for finding in findings if finding.level == "blocks")
        raise NotHeld(f"not ready: {numbers}", lines, fix)
    return f"ready: {numbers}", ()


def _up(run: Run, stage: StageName, wish: Wish) -> tuple[str, Sequence[str]]:
    done = _take(run, stage, wish)
    return _ran(done), done.notes


def _ran(done: Migrated) -> str:
    rows = sum(step.rows for step in done.steps)
    return f"{len(done.steps)} steps, {rows:,} rows changed, in {done.seconds:.1f} s"


def _take(run: Run, stage: StageName, wish: Wish, expected: Outlook | None = None) -> Migrated:
    """Take steps, and record each that is finished. ``expected``: their outlook, if known. Raises CallctlError."""
    sizes = _bytes(expected or _outlook(run, wish))
    return migrate.take(run.settings, wish, on_event=run.stages.listener(stage, sizes))


def _bytes(expected: Outlook) -> dict[int, int]:
    """The bytes that each step reads whole, builds indexes of or rewrites, by the forecast of the rehearsal."""
    return {
        step.number: sum(
            line.work.bytes_read + line.work.bytes_built + line.work.bytes_rewritten for line in step.lines()
        )
        for step in expected.steps
    }


def _verify(run: Run) -> tuple[str, Sequence[str]]:
    with _connected(run) as connection:
        report = verify(connection, run.settings)
    failing = [check for check in report.checks if not check.passed and not check.warns]
    warns = [check for check in report.checks if not check.passed and check.warns]
    if failing:
        lines = [f"{check.id}: should be: {check.sentence}" for check in failing]
        raise NotHeld(f"{len(failing)} of {len(report.checks)} checks failed", lines)
    return f"{len(report.checks)} checks" + (f", {len(warns)} with a warning" if warns else ""), ()


# ---- the writes of the applications --------------------------------------------------------------------


def _both_applications(run: Run) -> tuple[str, Sequence[str]]:
    """Rows written through the type and through the flags, while both are there: the other form must follow."""
    said = []
    with _connected(run) as connection:
        for table, chat, call in (
            ("chatbots", "enabled_chat", "enabled_call"),
            ("chatbot_packages", "enable_chat", "enable_call"),
        ):
            said += _Forms(run, connection, table, chat, call).write()
    return f"{len(said)} writes, and the other form followed each", said


@dataclass
class _Forms:
    """One table with both forms, and the writes to one new row of it."""

    run: Run
    connection: Connection
    table: str
    chat: str
    call: str

    def write(self) -> list[str]:
        """Insert and update a row as each application does. Raises NotHeld where the other form does not follow."""
        kind = self.run.naming.tables[self.table].columns[TYPE_COLUMN]
        name = TableName(self.run.naming.schema, self.table)
        where = f"{relation(name)} WHERE id = %s"
        flags = f"{quoted(self.chat)}, {quoted(self.call)}"
        said = []
        of_type = {kind: f"'call'::{self.run.filler.type_of(name, kind)}"}
        of_flags = {self.chat: "false", self.call: "true"}
        for written, without, expected, text in (
            (of_type, set(), ("call", False, True), "INSERT of type call"),
            (of_flags, {kind}, ("call", False, True), "INSERT of the flag for calls"),
        ):
            key = insert(self.run, self.connection, name, written, without)
            query = f"SELECT rtrim({quoted(kind)}::text), {flags} FROM {where}"
            self._look(query, key, expected, f"{self.table}: {text}")
            said.append(f"{self.table}: {text}")
            for change, after, what in (
                (f"{quoted(kind)} = 'chat'", ("chat", True, False), "UPDATE of the type to chat"),
                (
                    f"{quoted(self.chat)} = false, {quoted(self.call)} = true",
                    ("call", False, True),
                    "UPDATE of the flags to calls",
                ),
            ):
                self.connection.execute(stored(f"UPDATE {relation(name)} SET {change} WHERE id = %s"), (key,))
                self._look(query, key, after, f"{self.table}: {what}")
                said.append(f"{self.table}: {what}")
        return said

    def _look(self, query: str, key: object, expected: tuple[str, bool, bool], text: str) -> None:
        row = self.connection.execute(stored(query), (key,)).fetchone()
        if row != expected:
            raise NotHeld(f"{text}: the other form did not follow", [f"expected {expected}, and the row has {row}"])


def insert(
    run: Run, connection: Connection, name: TableName, given: dict[str, str], without: Collection[str] = ()
) -> object:
    """Insert one new row as an application does, and return its id. Raises NotHeld where it is not stored."""
    statement = run.filler.new_row(name, given, without)
    row = connection.execute(stored(f"{statement} RETURNING id")).fetchone()
    if row is None:
        raise NotHeld(f"{name}: an INSERT stored no row", hint="look for a trigger or a rule that swallows it")
    run.new_rows[name.name] = run.new_rows.get(name.name, 0) + 1
    return row[0]


def _new_application(run: Run) -> tuple[str, Sequence[str]]:
    """Rows that only the new application can write: hybrids, and with --truncate-avatars a long avatar."""
    schema = run.naming.schema
    kinds = {table.columns[TYPE_COLUMN] for table in run.naming.tables.values() if TYPE_COLUMN in table.columns}
    said = []
    with _connected(run) as connection:
        packages, chatbots = TableName(schema, "chatbot_packages"), TableName(schema, "chatbots")
        package = insert(run, connection, packages, {"enable_chat": "true", "enable_call": "true"}, kinds)
        column = run.naming.tables["chatbots"].columns["package_id"]
        of_package = f"'{package}'::{run.filler.type_of(chatbots, column)}"
        hybrid = {"enabled_chat": "true", "enabled_call": "true", column: of_package}
        hybrid["settings"] = f"'{_call_settings()}'::{run.filler.type_of(chatbots, 'settings')}"
        insert(run, connection, chatbots, hybrid, kinds)
        said += ["chatbot_packages: INSERT of a package for both", "chatbots: INSERT of a hybrid"]
        if run.down.truncate_avatars:
            column = run.naming.tables["users"].columns["avatar_url"]
            insert(run, connection, TableName(schema, "users"), {column: f"repeat('a', {LONG_AVATAR})"})
            said.append(f"users: INSERT of an avatar of {LONG_AVATAR} characters")
    _verify(run)
    return f"{len(said)} writes, and verify passes with them", said


def _call_settings() -> str:
    """The defaults of the specification, as the text of a JSON literal."""
    return json.dumps({"call": call_defaults()}).replace("'", "''")


# ---- down and up again --------------------------------------------------------------------------------------


def _take_down(run: Run) -> None:
    stages = run.stages
    expected = None
    if not stages.failed:
        with closing(database.connect(run.admin)) as admin:
            run.written = fingerprint(admin, run.naming.schema)
        expected = _outlook(run, run.down)
    told = told_by(expected) if expected else {}
    with LockSampler(run.admin, run.naming.schema) as sampler:
        stages.run("down", "all steps", lambda: _down(run, expected))
    run.watched &= not sampler.broken
    stages.locks += compared("down", told, sampler)


def _down(run: Run, expected: Outlook | None) -> tuple[str, Sequence[str]]:
    return _ran(_take(run, "down", run.down, expected)), ()


def _identity(run: Run) -> tuple[str, Sequence[str]]:
    """Every row and definition of before up is as it was, and no row is new but those of the stages between."""
    assert run.original is not None
    with closing(database.connect(run.admin)) as admin:
        comparison = compare(run.original, fingerprint(admin, run.naming.schema))
    new = {table.table: table.new for table in comparison.tables if table.new}
    if not comparison.nothing_lost or new != run.new_rows:
        raise NotHeld("the database is not as it was before up", _differences(comparison, run.new_rows))
    what = f"{comparison.rows:,} rows and {comparison.definitions:,} definitions as before up"
    return what, [
        f"not compared: {table}.{', '.join(columns)}: a trigger writes it" for table, columns in comparison.not_compared
    ]


def _again(run: Run) -> tuple[str, Sequence[str]]:
    assert run.written is not None
    done = migrate.take(run.settings, run.up, on_event=run.stages.listener("up again"))
    with closing(database.connect(run.admin)) as admin:
        comparison = compare(run.written, fingerprint(admin, run.naming.schema))
    if not comparison.nothing_changed:
        raise NotHeld("the database is not as the new application left it", _differences(comparison, {}))
    return f"{len(done.steps)} steps in {done.seconds:.1f} s; {comparison.rows:,} rows as they were before down", ()


def _locks(run: Run) -> tuple[str, Sequence[str]]:
    """No lock that clients wait for was seen that the forecast had not told."""
    if not run.watched:
        raise Skipped("the session that watches the locks ended early")
    surprising = [
        f"{lock.direction}: {lock.table}: {lock.seen.sql} seen, {lock.told.sql if lock.told else 'none'} told"
        for lock in run.stages.locks
        if lock.surprising and lock.seen is not None
    ]
    if surprising:
        raise NotHeld(f"stronger than the forecast tells: {len(surprising)}", surprising)
    seen = [lock for lock in run.stages.locks if lock.seen is not None]
    longest = max((lock.seconds for lock in seen), default=0.0)
    short = len(run.stages.locks) - len(seen)
    unseen = f"; {short} told and shorter than the time between two looks" if short else ""
    return f"{len(seen)} seen, each as the forecast tells, for {longest * 1000:.0f} ms at most{unseen}", ()


def _differences(comparison: Comparison, expected: dict[str, int]) -> list[str]:
    lines = []
    for table in comparison.tables:
        if table.changed or table.missing or table.new != expected.get(table.table, 0):
            lines.append(
                f"{table.table}: {table.changed} rows changed, {table.missing} missing, {table.new} new"
                f" ({expected.get(table.table, 0)} of them written here)"
            )
    return lines + [f"definition: {name}" for name in comparison.differing]
