"""The whole story on an embedded PostgreSQL: before, up, the new application's rows, down, what was kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.database import store
from callctl.errors import CallctlError, Code, Interrupted, State
from callctl.events import Direction, Event
from callctl.files import read_sql
from callctl.migration import migrate
from callctl.migration.checks.findings import CheckResult, Finding
from callctl.migration.checks.preflight import preflight
from callctl.migration.checks.verify import verify
from callctl.migration.migrate import Migrated
from callctl.migration.steps.numbered import all_steps
from callctl.sandbox import lifecycle
from callctl.sandbox import server as postgres
from callctl.sandbox.lifecycle import DEFAULT_SEED, Baseline
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming, read_naming
from callctl.statements.script import Statement, load_script

if TYPE_CHECKING:
    import psycopg

    from callctl.database.connection import Connection
    from callctl.sandbox.server import Server

# Two states of a database compared, row by row and definition by definition, as the server prints them.
#
# callctl's own schema is never looked at: what it remembers proves nothing about what it lost.

SAMPLE = 5


@dataclass(frozen=True)
class Fingerprint:
    """A state of the platform's schema: rows by id as MD5s, definitions as PostgreSQL prints them.

    ``not_compared`` are the columns left out of the MD5s, since the platform's own triggers write them.
    """

    rows: Mapping[str, Mapping[str, str]]  # table -> id -> MD5 of the row
    definitions: Mapping[str, str]  # object -> definition
    not_compared: Mapping[str, tuple[str, ...]]  # table -> columns


@dataclass(frozen=True)
class TableComparison:
    """One table. ``rows`` were there before; ``sample`` names some of those that changed or are missing."""

    table: str
    rows: int
    same: int
    changed: int
    missing: int
    new: int
    sample: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two states side by side. ``differing`` are the objects defined otherwise than before, gone, or new."""

    tables: tuple[TableComparison, ...]
    definitions: int
    differing: tuple[str, ...]
    not_compared: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def rows(self) -> int:
        """The number of rows before, in all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def nothing_lost(self) -> bool:
        """Whether every row and every definition of before is there as it was; rows may have been added."""
        return not self.differing and all(table.same == table.rows for table in self.tables)

    @property
    def nothing_changed(self) -> bool:
        """Whether the two states are the same, rows added included."""
        return self.nothing_lost and all(table.new == 0 for table in self.tables)


def fingerprint(connection: psycopg.Connection[Any], schema: str) -> Fingerprint:
    """The state of a database, seen in one transaction; ``schema`` holds the platform's tables."""
    rows: dict[str, Mapping[str, str]] = {}
    not_compared: dict[str, tuple[str, ...]] = {}
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL search_path = pg_catalog")  # names are printed with their schema
        definitions = dict(connection.execute(read_sql("sandbox/demo/definitions.sql")).fetchall())
        tables = connection.execute(read_sql("sandbox/demo/rows.sql"), {"schema": schema}).fetchall()
        for table, left_out, query in tables:
            rows[table] = dict(connection.execute(query).fetchall())
            if left_out:
                not_compared[table] = tuple(left_out)
    return Fingerprint(rows, definitions, not_compared)


def compare(before: Fingerprint, after: Fingerprint) -> Comparison:
    """Return the rows of ``before`` that ``after`` still has unchanged. A table that is gone has lost its rows."""
    old, new = before.definitions, after.definitions
    return Comparison(
        tables=tuple(
            _table(name, before.rows.get(name, {}), after.rows.get(name, {}))
            for name in sorted({*before.rows, *after.rows})
        ),
        definitions=len(before.definitions),
        differing=tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name))),
        not_compared=tuple(before.not_compared.items()),
    )


def _table(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> TableComparison:
    missing = sorted(key for key in before if key not in after)
    changed = sorted(key for key, value in before.items() if key in after and after[key] != value)
    return TableComparison(
        table=name,
        rows=len(before),
        same=len(before) - len(missing) - len(changed),
        changed=len(changed),
        missing=len(missing),
        new=len(after.keys() - before.keys()),
        sample=tuple([*missing, *changed][:SAMPLE]),
    )


# What the demo tells: its parts, as plain values, in the order in which they happen.

SceneName: TypeAlias = Literal[
    "before", "preflight", "plan", "up", "verify", "numbers", "writes", "down", "proof", "again"
]


@dataclass(frozen=True)
class SceneStarted:
    """A part of the story begins."""

    scene: SceneName


@dataclass(frozen=True)
class Counted:
    """A number, and what it counts."""

    what: str
    number: int


@dataclass(frozen=True)
class Before:
    """The database that was made, and copied. ``seconds`` include starting the server."""

    postgresql: str  # its major version
    baseline: Baseline
    rows: tuple[Counted, ...]
    seconds: float


@dataclass(frozen=True)
class Preflight:
    """The findings of preflight."""

    findings: tuple[Finding, ...]
    seconds: float


@dataclass(frozen=True)
class Planned:
    """The plan of the run.

    ``renamed`` holds (table, documented, actual); ``sample`` is one statement, in its file and as it runs.
    """

    steps: int
    statements: int
    renamed: tuple[tuple[str, str, str], ...]
    sample: tuple[str, str]


@dataclass(frozen=True)
class Verified:
    """The number of checks, and the checks that did not pass."""

    checks: int
    failing: tuple[CheckResult, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no check failed; a warning is not one."""
        return all(check.warns for check in self.failing)


@dataclass(frozen=True)
class Change:
    """A number on the copy and on the migrated database."""

    what: str
    before: int
    after: int


@dataclass(frozen=True)
class Changes:
    """The changes of migrate up, in numbers."""

    numbers: tuple[Change, ...]


@dataclass(frozen=True)
class Writes:
    """The rows written as the new application would, and whether verify passes with them."""

    rows: tuple[Counted, ...]
    verified: Verified


@dataclass(frozen=True)
class Down:
    """The rollback. ``kept`` are the archived tables and the rows they hold for the next up."""

    run: Migrated
    kept: tuple[Counted, ...]
    saved_values: int


@dataclass(frozen=True)
class Proof:
    """The database after down beside the copy taken before up; ``written`` chatbots were created between."""

    comparison: Comparison
    written: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether nothing from before is lost, and no unexpected row is there."""
        new = {table.table: table.new for table in self.comparison.tables if table.new}
        return self.comparison.nothing_lost and new == ({"chatbots": self.written} if self.written else {})


@dataclass(frozen=True)
class Again:
    """The database after a second up beside what the new application had left before down."""

    comparison: Comparison
    run: Migrated

    @property
    def holds(self) -> bool:
        """Whether everything that the new application wrote is back as it was."""
        return self.comparison.nothing_changed


@dataclass(frozen=True)
class Story:
    """The end: whether everything held, and how long it took."""

    holds: bool
    baseline: Baseline
    chatbots: int
    seed: int
    seconds: float


Told: TypeAlias = (
    SceneStarted | Before | Preflight | Planned | Migrated | Verified | Changes | Writes | Down | Proof | Again | Story
)
Listener: TypeAlias = Callable[[Told | Event], None]


# The whole story on an embedded PostgreSQL: before, up, the new application's rows, down, what was kept.

DEFAULT_ROWS = 3000
DATABASE = "platform"
COPY = "copy"
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
DROPS_TYPE = 6  # the step after which chatbots have no type column


def demo(
    tell: Listener, *, baseline: Baseline = Baseline.deployed, rows: int = DEFAULT_ROWS, seed: int = DEFAULT_SEED
) -> Story:
    """Play the story on a server of its own, telling ``tell`` each part; the server is gone at the end.

    ``rows`` is the number of chatbots. Raises ConfigError if there is no PostgreSQL; Interrupted.
    """
    began = time.monotonic()
    try:
        tell(SceneStarted("before"))
        Thread(target=_read_steps, daemon=True).start()
        with postgres.start_server() as server:
            holds = _play(server, tell, baseline, rows, seed)
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(
            Code.INTERRUPTED,
            "the demo was interrupted; its PostgreSQL is stopped and deleted",
            hint="run callctl demo again: it starts from the beginning",
            state=State("not touched"),
        ) from None
    story = Story(holds, baseline, rows, seed, time.monotonic() - began)
    tell(story)
    return story


def _read_steps() -> None:
    """Read and parse the steps while the server starts, which is only waiting: it saves a second."""
    with suppress(CallctlError):  # the reader of the file reports it
        for step in all_steps():
            for direction in DIRECTIONS:
                for statement in step.script(direction).statements:
                    assert statement.kind


def _play(server: Server, tell: Listener, baseline: Baseline, rows: int, seed: int) -> bool:
    before, original = _before(server, baseline, rows, seed)
    tell(before)
    # The copy made just now is a backup.
    settings = Settings(database_url=server.url(DATABASE), backup_taken_at=datetime.now(UTC))
    with closing(database.connect(settings)) as connection:
        naming = migrate.status(connection, settings).naming
        tell(SceneStarted("preflight"))
        tell(_preflight(connection, settings, naming))
        tell(SceneStarted("plan"))
        tell(_plan(connection, settings))
        tell(SceneStarted("up"))
        tell(migrate.up(settings, on_event=tell))
        tell(SceneStarted("verify"))
        verified = _verify(connection, settings)
        tell(verified)
        tell(SceneStarted("numbers"))
        tell(_changes(server, connection, settings, naming))
        tell(SceneStarted("writes"))
        writes = _write(connection, settings)
        tell(writes)
        written = fingerprint(connection, settings.schema)
        tell(SceneStarted("down"))
        run = migrate.down(settings, to=0, on_event=tell)
        tell(_down(connection, run))
        tell(SceneStarted("proof"))
        proof = _proof(connection, settings, original, written)
        tell(proof)
        tell(SceneStarted("again"))
        run = migrate.up(settings, on_event=tell)
        again = Again(compare(written, fingerprint(connection, settings.schema)), run)
        tell(again)
    return verified.passed and writes.verified.passed and proof.holds and again.holds


def _before(server: Server, baseline: Baseline, rows: int, seed: int) -> tuple[Before, Fingerprint]:
    """Make the database and the copy that everything is compared with."""
    began = time.monotonic()
    with lifecycle.connect(server.url()) as admin:
        lifecycle.create_database(admin, DATABASE)
        lifecycle.fill(server.url(DATABASE), baseline, rows=rows, seed=seed)
        lifecycle.create_database(admin, COPY, template=DATABASE)
    with lifecycle.connect(server.url(COPY)) as copy:
        original = fingerprint(copy, Settings().schema)
    counts = tuple(Counted(table, len(table_rows)) for table, table_rows in original.rows.items())
    return Before(server.version, baseline, counts, time.monotonic() - began), original


def _preflight(connection: Connection, settings: Settings, naming: Naming) -> Preflight:
    began = time.monotonic()
    pending = migrate.status(connection, settings).pending
    findings = preflight(connection, settings, naming, pending)
    return Preflight(findings, time.monotonic() - began)


def _plan(connection: Connection, settings: Settings) -> Planned:
    planned = migrate.plan(connection, settings, migrate.Wish("up"))
    statements = [statement for step in planned.steps for statement in step.statements]
    return Planned(len(planned.steps), len(statements), planned.naming.describe(), _sample(statements))


def _sample(statements: Sequence[Statement]) -> tuple[str, str]:
    """The drop of the type column, which says most in the fewest words: in its file, and as it runs."""
    script = load_script(f"{all_steps()[DROPS_TYPE - 1].directory}/up.sql")
    for statement in script.statements:
        if statement.kind == "alter table":
            runs = next(
                candidate
                for candidate in statements
                if (candidate.source, candidate.line) == (statement.source, statement.line)
            )
            return " ".join(statement.sql.split()), " ".join(runs.sql.split())
    raise AssertionError(f"{script.name} alters no table")


def _verify(connection: Connection, settings: Settings) -> Verified:
    began = time.monotonic()
    report = verify(connection, settings)
    failing = tuple(check for check in report.checks if not check.passed)
    return Verified(len(report.checks), failing, time.monotonic() - began)


def _changes(server: Server, connection: Connection, settings: Settings, naming: Naming) -> Changes:
    with lifecycle.connect(server.url(COPY)) as copy:
        before = _numbers(copy, settings, "sandbox/demo/before.sql", naming)
    after = _numbers(connection, settings, "sandbox/demo/after.sql", read_naming(connection, settings.schema))
    return Changes(tuple(Change(subject, number, after[subject]) for subject, number in before.items()))


def _numbers(connection: Connection, settings: Settings, name: str, naming: Naming) -> dict[str, int]:
    (query,) = load_script(name).statements
    asked = connection.execute(adapt(query, naming).sql).fetchall()
    objects = connection.execute(read_sql("sandbox/demo/objects.sql"), {"schema": settings.schema}).fetchall()
    return dict([*asked, *objects])


def _write(connection: Connection, settings: Settings) -> Writes:
    """Run ``sql/sandbox/demo/writes.sql`` in one transaction; the comment over a statement says what its rows are."""
    naming = read_naming(connection, settings.schema)
    with connection.transaction():
        rows = tuple(
            Counted(statement.comment, connection.execute(adapt(statement, naming).sql).rowcount)
            for statement in load_script("sandbox/demo/writes.sql").statements
        )
    return Writes(rows, _verify(connection, settings))


def _down(connection: Connection, run: migrate.Migrated) -> Down:
    kept = connection.execute(read_sql("sandbox/demo/kept.sql")).fetchall()
    saved = store.saved_summary(connection)
    return Down(
        run,
        tuple(Counted(*row) for row in kept),
        sum(entry.rows for entry in saved if entry.kind == "saved value"),
    )


def _proof(connection: Connection, settings: Settings, original: Fingerprint, written: Fingerprint) -> Proof:
    began = time.monotonic()
    comparison = compare(original, fingerprint(connection, settings.schema))
    new = len(written.rows["chatbots"].keys() - original.rows["chatbots"].keys())
    return Proof(comparison, new, time.monotonic() - began)
