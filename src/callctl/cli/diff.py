"""callctl diff"""

from __future__ import annotations

import typer

from callctl.cli import common
from callctl.cli.common import GitHub, JUnit, StatementTimeout

EPILOG = """
callctl compares the system catalogs with what the applied steps leave there; for pending steps it looks for the
tables and columns that they read. Below each difference are the statements that remove it. They are marked safe
if they lose nothing and block clients only for a short lock; otherwise the line below says why to look first.
Differences that callctl.yaml names under accept: are left out. No row is read: that is callctl verify.
Exit code 3 if there is a difference.

\b
Examples:
  callctl diff
  callctl diff --junit diff.xml   for a CI server
  callctl diff --github           in a GitHub workflow
  callctl diff --output json
"""


def register(app: typer.Typer) -> None:
    app.command("diff", epilog=EPILOG)(diff)


def diff(
    context: typer.Context,
    junit: JUnit = None,
    github: GitHub = False,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Show what differs from what the steps leave, and the SQL that fixes it. Changes nothing."""
    common.answering()
    settings = common.settings(context, statement_timeout=statement_timeout)
    common.assert_one_output(settings, github=github)
    from callctl.forecast import drift
    from callctl.render import drift as render_drift

    file = common.writable(junit) if junit is not None else None
    with common.connected(settings) as connection:
        report = drift.diff(connection, settings)
    if file is not None:
        file.write_text(render_drift.junit(report), encoding="utf-8", errors="backslashreplace")
    if github:
        render_drift.github(report)
    else:
        render_drift.report(report, settings.output)
    if report.drift:
        raise typer.Exit(3)
