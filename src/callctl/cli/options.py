"""Options that more than one command takes. Their values are text: ``config`` parses what is a setting."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeAlias, get_type_hints

import typer

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]
ConfirmDatabase: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The name of the database that is meant: refused if it is another. Does not ask, with or without --yes.",
    ),
]
BackupTakenAt: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="When the last backup was finished, such as 2026-01-31T04:00:00Z, if callctl has not taken it.",
    ),
]
MaintenanceNotified: TypeAlias = Annotated[
    bool | None,
    typer.Option("--maintenance-notified", help="Confirm that the maintenance notice has gone out to the users."),
]
StatementTimeout: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DURATION", help="How long one question may take [default: 30s].")
]
LockTimeout: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="How long one attempt may wait for a lock before it lets others pass [default: 50ms].",
    ),
]
LockWait: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="How long to go on attempting altogether [default: 5min]."),
]
LockHold: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="How long clients may wait behind a lock that is held [default: 500ms]."),
]
BatchSize: TypeAlias = Annotated[
    str | None, typer.Option(metavar="ROWS", help="The most rows written in one transaction [default: 2000].")
]
BatchTime: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="How long one batch may take; its size adapts [default: 50ms]."),
]
BatchWorkers: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NUMBER", help="How many sessions write batches at the same time [default: 2]."),
]
MaxReplicationLag: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Wait for a replica that is further behind than this [default: 10s]."),
]
PauseFile: TypeAlias = Annotated[
    str | None, typer.Option(metavar="FILE", help="Wait between two transactions while this file exists.")
]
NewTablesRowSecurity: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="MODE", help="Row-level security of the new tables: inherit, on or off [default: inherit]."),
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would run, and change nothing: no lock, no table of callctl's."),
]
Everything: TypeAlias = Annotated[
    bool, typer.Option("--all", help="Show each problem in full: why, and what to do; and what is ok.")
]
Names: TypeAlias = Annotated[
    bool, typer.Option("--names", help="Show by name the tables, rows and sessions that a line counts.")
]
DeferDrops: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--defer-drops",
        help="Leave out steps 5 and 6: the type columns stay, in step with the flags, until a later up.",
    ),
]
Atomic: TypeAlias = Annotated[
    bool,
    typer.Option("--atomic", help="All steps in one transaction: clients wait until it ends."),
]
Wait: TypeAlias = Annotated[
    bool, typer.Option("--wait", help="If another callctl is at work on the database, wait for it to finish.")
]
Shadow: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--shadow", help="Take back step 1 through a shadow column: clients do not wait for a rewrite of users."
    ),
]
InPlace: TypeAlias = Annotated[
    bool,
    typer.Option("--in-place", help="Take back step 1 in place: clients wait while PostgreSQL rewrites users."),
]
RunReport: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.html", help="Also write a page that says what ran when and how it ended, whatever happens."
    ),
]


@dataclass(frozen=True)
class RunOptions:
    """The options of a command that takes steps."""

    atomic: Atomic = False
    dry_run: DryRun = False
    wait: Wait = False
    yes: Yes = False
    lock_timeout: LockTimeout = None
    lock_hold: LockHold = None
    lock_wait: LockWait = None
    batch_size: BatchSize = None
    batch_time: BatchTime = None
    batch_workers: BatchWorkers = None
    max_replication_lag: MaxReplicationLag = None
    pause_file: PauseFile = None
    new_tables_row_security: NewTablesRowSecurity = None
    report: RunReport = None

    def settings(self) -> dict[str, object]:
        """Those that are settings, by their names there."""
        asked_here = ("atomic", "dry_run", "wait", "yes", "report")
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in asked_here}


def with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of RunOptions, in the place of its one parameter ``run``.

    typer reads a command's options from its signature, and knows no way to declare several at once.
    """
    types = get_type_hints(RunOptions, include_extras=True)
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name != "run":
            parameters.append(parameter)
            continue
        for field in fields(RunOptions):
            parameters.append(parameter.replace(name=field.name, annotation=types[field.name], default=field.default))

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        options = RunOptions(**{field.name: given.pop(field.name) for field in fields(RunOptions)})
        command(run=options, **given)

    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
