"""callctl verify, callctl diff"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import Everything, GitHub, JUnit, Names, StatementTimeout

EPILOG = """
callctl compares the system catalogs with what the applied steps leave there, then checks every row against its
rules. It reads each table once, on one snapshot, in a read-only transaction with no lock stronger than ACCESS
SHARE. No query runs longer than --statement-timeout. Checks of pending steps are left out. If callctl.yaml
names keys, every encrypted secret must name one of them; callctl reads no key. Failed checks come first, each
with a fix; --all adds what a failure means for customers, and what passed. Exit code 3 if a check fails.

\b
Examples:
  callctl verify
  callctl verify --fast               the system catalogs only, in seconds
  callctl verify --names              with the first rows of each failure
  callctl verify --junit verify.xml   for a CI server
  callctl verify --github             in a GitHub workflow
  callctl verify --output json
"""

DIFF_EPILOG = """
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
    app.command("verify", epilog=EPILOG)(verify)
    app.command("diff", epilog=DIFF_EPILOG)(diff)


def verify(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Check the system catalogs only, not the rows.")] = False,
    junit: JUnit = None,
    github: GitHub = False,
    everything: Everything = False,
    names: Names = False,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Check that schema and rows are as they should be. Changes nothing."""
    common.answering()
    settings = common.settings(context, statement_timeout=statement_timeout)
    common.assert_one_output(settings, github=github)
    from callctl.migration.checks import verify as checks
    from callctl.render import checks as render_checks

    file = common.writable(junit) if junit is not None else None
    with common.connected(settings) as connection:
        report = checks.verify(connection, settings, fast=fast)
    if file is not None:
        file.write_text(render_checks.junit(report), encoding="utf-8", errors="backslashreplace")
    if github:
        render_checks.github(report)
    else:
        render_checks.verify_report(report, settings.output, everything=everything, names=names)
    if not report.passed:
        raise typer.Exit(3)


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
