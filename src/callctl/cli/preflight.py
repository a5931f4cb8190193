"""callctl preflight"""

from __future__ import annotations

import typer

from callctl.cli import common
from callctl.cli.options import BackupTakenAt, DeferDrops, MaintenanceNotified, StatementTimeout


def register(app: typer.Typer) -> None:
    app.command("preflight", epilog=EPILOG)(preflight)


EPILOG = """
A finding blocks (migrate up would refuse), warns (read it first), is unknown (callctl cannot know; you may)
or ok. Exit code 3 if one blocks. Nothing is written, and no lock is taken that stands in anyone's way.

\b
Examples:
  callctl preflight
  callctl preflight --backup-taken-at 2026-01-31T04:00:00Z --maintenance-notified
  callctl preflight --defer-drops       before an up that leaves the type columns
  callctl preflight --output json
\b
Next: callctl migrate plan, then callctl migrate up
"""


def preflight(
    context: typer.Context,
    defer_drops: DeferDrops = False,
    backup_taken_at: BackupTakenAt = None,
    maintenance_notified: MaintenanceNotified = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Ask the database whether the pending steps can run safely. Changes nothing."""
    settings = common.settings(
        context,
        backup_taken_at=backup_taken_at,
        maintenance_notified=maintenance_notified,
        statement_timeout=statement_timeout,
    )
    from callctl import migrate, render_findings, steps
    from callctl.preflight import preflight as ask

    with common.connected(settings) as connection:
        status = migrate.status(connection, settings)
        left_out = steps.DROPS if defer_drops else ()
        pending = [number for number in status.pending if number not in left_out]
        findings = ask(connection, settings, status.naming, pending)
    render_findings.preflight(findings, pending, settings.output, defer_drops=defer_drops)
    if any(finding.level == "blocks" for finding in findings):
        raise typer.Exit(3)
