"""The whole rehearsal: look at the target, build, fill, play the stages; the server is gone at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from callctl.database import connection as database
from callctl.database.programs import find_binaries
from callctl.errors import Code, Interrupted, State, quoted
from callctl.events import OnEvent
from callctl.files import read_sql
from callctl.forecast.outlook import Outlook, outlook
from callctl.migration import migrate
from callctl.migration.migrate import Wish
from callctl.rehearsal.building import Built, assert_new_enough, build
from callctl.rehearsal.filling import Filled, Filler
from callctl.rehearsal.lock_samples import LockResult
from callctl.rehearsal.stages import NotHeld, RehearsedStep, Run, Stage, StageName, Stages, play
from callctl.rehearsal.survey import LeftOut, Survey, TableName, survey
from callctl.sandbox.lifecycle import ignore_environment
from callctl.sandbox.server import SUPERUSER, Server, start_server
from callctl.statements.naming import TABLES

if TYPE_CHECKING:
    import psycopg

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.migration.checks.findings import Finding

DEFAULT_ROWS = 20_000
# How the time of a rehearsal is spread over its stages, for the time that is left: a rehearsal of the default size.
WEIGHTS: dict[StageName, float] = {
    "schema": 4.0,
    "rows": 6.0,
    "preflight": 2.0,
    "up to step 4": 3.0,
    "both applications": 0.5,
    "up": 3.0,
    "verify": 1.5,
    "new application": 1.5,
    "down": 6.0,
    "identity": 2.0,
    "up again": 6.0,
    "locks": 0.1,
}


@dataclass(frozen=True)
class Options:
    """The choices of the operator: ``rows`` is the most of a table; the others are those of migrate up and down."""

    rows: int = DEFAULT_ROWS
    defer_drops: bool = False
    truncate_avatars: bool = False
    through_shadow: bool | None = None


@dataclass(frozen=True)
class Rehearsal:
    """The result: which stages held. ``steps`` of up and down as they ran here; ``forecast`` is that of the target.

    ``version`` is the server's of the rehearsal, ``target_version`` the target's. ``url`` is its database, as long as
    the server is kept.
    """

    version: str
    target_version: str
    most_rows: int
    stages: tuple[Stage, ...]
    tables: tuple[Filled, ...]
    left_out: tuple[LeftOut, ...]
    steps: tuple[RehearsedStep, ...]
    locks: tuple[LockResult, ...]
    forecast: Outlook
    findings: tuple[Finding, ...]
    seconds: float
    url: str

    @property
    def held(self) -> bool:
        """Whether every stage was rehearsed, and held."""
        return all(stage.result == "held" for stage in self.stages)

    @property
    def rows(self) -> int:
        """The synthetic rows of all tables."""
        return sum(table.rows for table in self.tables)


Play: TypeAlias = Callable[[OnEvent], Rehearsal]


@contextmanager
def rehearsed(settings: Settings, options: Options) -> Iterator[Play]:
    """Start a server that lives as long as this context, and yield what rehearses the migration of the target on it.

    Reads the target in READ ONLY transactions. Raises Refused if a step is applied there; ConfigError if a program is
    missing or too old; StepFailed with what pg_dump said; Interrupted.
    """
    try:
        with closing(database.connect(settings)) as target, _only_addresses_of_ours():
            look = survey(target, settings)
            with start_server() as server:
                assert_new_enough(look, int(server.version), find_binaries().source)
                yield partial(_rehearse, target, settings, options, look, server)
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(
            Code.INTERRUPTED,
            "the rehearsal was interrupted; its PostgreSQL is stopped and deleted, and the target was only read",
            hint="run callctl migrate rehearse again: it starts from the beginning",
            state=State("unchanged"),
        ) from None


def wait_for_interrupt() -> None:
    """Return when Ctrl-C is pressed, or the process is asked to end."""
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


@contextmanager
def _only_addresses_of_ours() -> Iterator[None]:
    """Without PG* in the environment: PGHOSTADDR would lead a connection to the rehearsal's server to the target."""
    kept = dict(os.environ)
    ignore_environment()
    try:
        yield
    finally:
        os.environ.update(kept)


def _rehearse(
    target: Connection, settings: Settings, options: Options, look: Survey, server: Server, on_event: OnEvent
) -> Rehearsal:
    """Build, fill, play. The target's session is closed once its schema is here."""
    began = time.monotonic()
    stages = Stages(on_event, WEIGHTS)
    stages.tell("schema", "looking at the target")
    up = Wish("up", defer_drops=options.defer_drops)
    forecast = outlook(target, settings, migrate.plan(target, settings, up), measured=True)
    stages.tell("schema", "building the schema")
    built = build(target, settings, look, server)
    target.close()
    admin = _settings(settings, built.url, SUPERUSER)
    with closing(database.connect(admin)) as connection:
        stages.run("schema", "looking for its tables", lambda: _schema(connection, look, built))
        filler = Filler(connection, look, options.rows)
        tables: list[Filled] = []
        stages.run("rows", "filling the tables", lambda: _fill(stages, filler, tables))
        run = Run(
            stages,
            _settings(settings, built.url, look.role),
            admin,
            filler,
            look.naming,
            up,
            Wish("down", 0, truncate_avatars=options.truncate_avatars, through_shadow=options.through_shadow),
        )
        play(run)
    return Rehearsal(
        version=built.version,
        target_version=look.version,
        most_rows=options.rows,
        stages=tuple(stages.stages),
        tables=tuple(tables),
        left_out=tuple(built.left_out),
        steps=tuple(stages.steps),
        locks=tuple(stages.locks),
        forecast=forecast,
        findings=stages.findings,
        seconds=time.monotonic() - began,
        url=built.url,
    )


def _settings(settings: Settings, url: str, role: str) -> Settings:
    """The settings of the rehearsal: those of the operator, on its own database, as the role of the target."""
    return replace(
        settings,
        database_url=url.replace(f"user={SUPERUSER}", f"user={quote(role, safe='')}"),
        database_source="the rehearsal",
        environment=None,
        environment_in_file=False,
        pause_file=None,
        # The database is made for this, and no application uses it.
        backup_taken_at=datetime.now(UTC),
        maintenance_notified=True,
        keys=None,
        secret_fields=(),
        on_connect=None,
    )


def _schema(connection: psycopg.Connection[Any], look: Survey, built: Built) -> tuple[str, Sequence[str]]:
    """The tables of the platform must all be there; what else is missing is told beside it."""
    wanted = {"schemas": [t.table.schema for t in look.tables], "tables": [t.table.name for t in look.tables]}
    missing = [str(TableName(*row)) for row in connection.execute(read_sql("rehearsal/missing.sql"), wanted)]
    if missing:
        lines = [f"{item.kind} {item.name}: {item.reason}" for item in built.left_out]
        raise NotHeld(f"tables that could not be built: {quoted(missing)}", lines)
    return f"{len(look.tables)} tables built, without rows", ()


def _fill(stages: Stages, filler: Filler, tables: list[Filled]) -> tuple[str, Sequence[str]]:
    tables += filler.fill(lambda table, done, total: stages.tell("rows", str(table), done, total))
    lines = [
        f"{table.table}: {table.rows:,} of {table.wanted:,} rows: {table.problem}" for table in tables if table.problem
    ]
    empty = [table for table in tables if table.wanted and not table.rows and table.table.name in TABLES]
    what = f"{sum(table.rows for table in tables):,} rows in {len(tables)} tables"
    if empty:
        raise NotHeld(f"no rows could be made for {', '.join(str(table.table) for table in empty)}", lines)
    return what, lines
