"""callctl diff"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import StatementTimeout
from callctl.errors import Code, UsageError

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
    junit: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write the report to FILE as JUnit XML.")
    ] = None,
    github: Annotated[bool, typer.Option("--github", help="Print annotations for a GitHub workflow.")] = False,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Show what differs from what the steps leave, and the SQL that fixes it. Changes nothing."""
    common.answering()
    settings = common.settings(context, statement_timeout=statement_timeout)
    if github and settings.output != "text":
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            f"--github and --output {settings.output} are two different outputs",
            hint="use one of them",
        )
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
