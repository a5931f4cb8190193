"""Options that more than one command takes. Their values are text: ``config`` parses what is a setting."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]
BackupTakenAt: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="When the last backup was finished, such as 2026-01-31T04:00:00Z. callctl cannot see it.",
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
        help="How long one attempt may wait for a lock before it lets others pass [default: 100ms].",
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
MaxReplicationLag: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Wait for a replica that is further behind than this [default: 10s]."),
]
PauseFile: TypeAlias = Annotated[
    str | None, typer.Option(metavar="FILE", help="Wait between two transactions while this file exists.")
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would run, and change nothing: no lock, no table of callctl's."),
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
