"""callctl verify"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common

EPILOG = """
Each check is a query for the rows that break one rule; no row is a pass. All of them run in one read-only
transaction. Checks of steps that are not applied are left out. Exit code 3 if a check fails.

\b
Examples:
  callctl verify
  callctl verify --junit verify.xml     for a CI server
  callctl verify --output json
"""


def register(app: typer.Typer) -> None:
    app.command("verify", epilog=EPILOG)(verify)


def verify(
    context: typer.Context,
    junit: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write the report to FILE as JUnit XML.")
    ] = None,
) -> None:
    """Prove that schema and rows are as they should be. Changes nothing."""
    settings = common.settings(context)
    from callctl import render_report
    from callctl import verify as checks

    file = common.writable(junit) if junit is not None else None
    with common.connected(settings) as connection:
        report = checks.verify(connection, settings)
    if file is not None:
        file.write_text(render_report.junit(report), encoding="utf-8")
    render_report.report(report, settings.output)
    if not report.passed:
        raise typer.Exit(3)
