"""callctl preflight"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import BackupTakenAt, DeferDrops, Everything, MaintenanceNotified, Names, StatementTimeout
from callctl.errors import Code, UsageError
from callctl.events import Direction


def register(app: typer.Typer) -> None:
    app.command("preflight", epilog=EPILOG)(preflight)


EPILOG = """
Each finding is a blocker (migrate up would refuse), a warning (read it first), unknown (callctl cannot tell;
you may know) or ok. --all shows why a finding matters and what to do. Exit code 3 if there is a blocker.
callctl writes nothing and blocks no writer. If the database has event triggers, callctl tries DDL on a table of
its own and rolls it back.

\b
Examples:
  callctl preflight
  callctl preflight --all --names    in full, with tables, rows and sessions
  callctl preflight --backup-taken-at 2026-01-31T04:00:00Z
  callctl preflight --defer-drops    before migrate up --defer-drops
  callctl preflight --down --to 8    before migrate down --to 8
  callctl preflight --output json

\b
Next: callctl migrate plan, then callctl migrate up
"""


def preflight(
    context: typer.Context,
    down: Annotated[bool, typer.Option("--down", help="Check migrate down instead of migrate up.")] = False,
    to: Annotated[
        str | None,
        typer.Option(metavar="N", help="Last step to apply; with --down, the step to roll back to [default: 0]."),
    ] = None,
    defer_drops: DeferDrops = False,
    everything: Everything = False,
    names: Names = False,
    backup_taken_at: BackupTakenAt = None,
    maintenance_notified: MaintenanceNotified = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Check whether the pending steps can run safely. Changes nothing."""
    common.answering()
    if down and defer_drops:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--defer-drops applies to migrate up only",
            hint="remove --defer-drops: down takes back applied steps only",
        )
    direction: Direction = "down" if down else "up"
    target = common.step_number(to, lowest=0 if down else 1)
    settings = common.settings(
        context,
        backup_taken_at=backup_taken_at,
        maintenance_notified=maintenance_notified,
        statement_timeout=statement_timeout,
    )
    from callctl.database.store import Unreadable
    from callctl.migration import migrate
    from callctl.migration.checks.preflight import preflight as ask
    from callctl.migration.checks.preflight import unreadable
    from callctl.migration.steps import numbered as steps
    from callctl.render import checks as render_checks

    with common.connected(settings) as connection:
        try:
            status = migrate.status(connection, settings)
        except Unreadable as error:
            # Which steps are pending is not known either: this is all there is to say.
            render_checks.preflight((unreadable(error),), (), settings.output)
            raise typer.Exit(3) from None
        if down:
            pending = [step.number for step in steps.wanted_steps(status.applied, status.half_done, direction, target)]
        else:
            left_out = steps.DROPS if defer_drops else ()
            last = steps.all_steps()[-1].number if target is None else target
            pending = [number for number in status.pending if number not in left_out and number <= last]
        findings = ask(connection, settings, status.naming, pending, direction)
    following = "callctl migrate plan" + (" --defer-drops" if defer_drops else "")
    if down:
        following = f"callctl migrate down --to {target or 0}"
    render_checks.preflight(
        findings,
        pending,
        settings.output,
        following=following,
        naming=status.naming,
        everything=everything,
        names=names,
    )
    if any(finding.level == "blocks" for finding in findings):
        raise typer.Exit(3)
