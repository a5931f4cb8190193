"""The whole story on an embedded PostgreSQL: before, up, the new application's rows, down, what was kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from threading import Thread
from typing import TYPE_CHECKING, get_args

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.database import store
from callctl.errors import CallctlError, Interrupted
from callctl.events import Direction
from callctl.files import read_sql
from callctl.migration import migrate
from callctl.migration.checks.preflight import preflight
from callctl.migration.checks.verify import verify
from callctl.migration.steps.numbered import all_steps
from callctl.sandbox import baselines
from callctl.sandbox import server as postgres
from callctl.sandbox.baselines import DEFAULT_SEED, Baseline
from callctl.sandbox.comparison import Fingerprint, compare, fingerprint
from callctl.sandbox.demo_events import (
    Again,
    Before,
    Change,
    Changes,
    Counted,
    Down,
    Listener,
    Planned,
    Preflight,
    Proof,
    SceneStarted,
    Story,
    Verified,
    Writes,
)
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming, read_naming
from callctl.statements.script import Statement, load_script

if TYPE_CHECKING:
    from callctl.database.connection import Connection
    from callctl.sandbox.server import Server

DEFAULT_ROWS = 3000
DATABASE = "platform"
COPY = "copy"
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
DROPS_TYPE = 6  # the step after which chatbots have no type column


def demo(
    tell: Listener, *, baseline: Baseline = Baseline.deployed, rows: int = DEFAULT_ROWS, seed: int = DEFAULT_SEED
) -> Story:
    """Play the story on a server of its own, telling ``tell`` each part; the server is gone at the end.

    ``rows`` is the number of chatbots. Raises ConfigError where there is no PostgreSQL; Interrupted.
    """
    began = time.monotonic()
    try:
        tell(SceneStarted("before"))
        Thread(target=_read_steps, daemon=True).start()
        with postgres.start_server() as server:
            holds = _play(server, tell, baseline, rows, seed)
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(
            "the demo was interrupted; its PostgreSQL is stopped and deleted",
            hint="callctl demo begins again from the start",
        ) from None
    story = Story(holds, baseline, rows, seed, time.monotonic() - began)
    tell(story)
    return story


def _read_steps() -> None:
    """Read and parse the steps while the server starts, which is only waiting: it saves a second."""
    with suppress(CallctlError):  # whoever needs the file reports it
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
    with baselines.connect(server.url()) as admin:
        baselines.create_database(admin, DATABASE)
        baselines.fill(server.url(DATABASE), baseline, rows=rows, seed=seed)
        baselines.create_database(admin, COPY, template=DATABASE)
    with baselines.connect(server.url(COPY)) as copy:
        original = fingerprint(copy, Settings().schema)
    counts = tuple(Counted(table, len(found)) for table, found in original.rows.items())
    return Before(server.version, baseline, counts, time.monotonic() - began), original


def _preflight(connection: Connection, settings: Settings, naming: Naming) -> Preflight:
    began = time.monotonic()
    pending = migrate.status(connection, settings).pending
    findings = preflight(connection, settings, naming, pending)
    return Preflight(findings, time.monotonic() - began)


def _plan(connection: Connection, settings: Settings) -> Planned:
    planned = migrate.plan(connection, settings)
    statements = [statement for step in planned.steps for statement in step.statements]
    return Planned(len(planned.steps), len(statements), planned.naming.describe(), _sample(statements))


def _sample(statements: Sequence[Statement]) -> tuple[str, str]:
    """The drop of the type column, which says most in the fewest words: in its file, and as it runs."""
    script = load_script(f"{all_steps()[DROPS_TYPE - 1].directory}/up.sql")
    for statement in script.statements:
        if statement.kind == "alter table":
            runs = next(each for each in statements if (each.source, each.line) == (statement.source, statement.line))
            return " ".join(statement.sql.split()), " ".join(runs.sql.split())
    raise AssertionError(f"{script.name} alters no table")


def _verify(connection: Connection, settings: Settings) -> Verified:
    began = time.monotonic()
    report = verify(connection, settings)
    failing = tuple(check for check in report.checks if not check.passed)
    return Verified(len(report.checks), failing, time.monotonic() - began)


def _changes(server: Server, connection: Connection, settings: Settings, naming: Naming) -> Changes:
    with baselines.connect(server.url(COPY)) as copy:
        before = _numbers(copy, settings, "sandbox/demo/before.sql", naming)
    after = _numbers(connection, settings, "sandbox/demo/after.sql", read_naming(connection, settings.schema))
    return Changes(tuple(Change(what, number, after[what]) for what, number in before.items()))


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
        sum(each.rows for each in saved if each.kind == "saved value"),
    )


def _proof(connection: Connection, settings: Settings, original: Fingerprint, written: Fingerprint) -> Proof:
    began = time.monotonic()
    comparison = compare(original, fingerprint(connection, settings.schema))
    new = len(written.rows["chatbots"].keys() - original.rows["chatbots"].keys())
    return Proof(comparison, new, time.monotonic() - began)
