"""callctl preflight"""

from __future__ import annotations

import typer

from callctl.cli import common
from callctl.cli.options import BackupTakenAt, MaintenanceNotified, StatementTimeout


def register(app: typer.Typer) -> None:
    app.command("preflight", epilog=EPILOG)(preflight)


EPILOG = """
A finding blocks (migrate up would refuse), warns (read it first), is unknown (callctl cannot know; you may)
or ok. Exit code 3 if one blocks. Nothing is written, and no lock is taken that stands in anyone's way.

\b
Examples:
  callctl preflight
  callctl preflight --backup-taken-at 2026-01-31T04:00:00Z --maintenance-notified
  callctl preflight --output json
\b
Next: callctl migrate plan, then callctl migrate up
"""


def preflight(
    context: typer.Context,
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
    from callctl import migrate, render_findings
    from callctl.preflight import preflight as ask

    with common.connected(settings) as connection:
        status = migrate.status(connection, settings)
        findings = ask(connection, settings, status.naming, status.pending)
    render_findings.preflight(findings, status.pending, settings.output)
    if any(finding.level == "blocks" for finding in findings):
        raise typer.Exit(3)
