"""callctl verify"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import Everything, Names, StatementTimeout
from callctl.errors import Code, UsageError

EPILOG = """
The catalog is compared with what the applied steps leave in it, object by object and attribute by attribute, as
PostgreSQL prints it. Then each row is held against its rules; every table is read once. All of it sees one
snapshot, in a read-only transaction that takes no lock beyond ACCESS SHARE; no query takes longer than
--statement-timeout. Steps that are not applied are left out. Where callctl.yaml names keys, every encrypted secret
must name one of them; no key is read. What fails comes first, with what fixes it; --all adds what it means for
customers, and what passed. Exit code 3 if a check fails.

\b
Examples:
  callctl verify
  callctl verify --fast                 the catalog alone, in less than a second
  callctl verify --names                with the first rows of what fails
  callctl verify --junit verify.xml     for a CI server
  callctl verify --github               in a GitHub workflow
  callctl verify --output json
"""


def register(app: typer.Typer) -> None:
    app.command("verify", epilog=EPILOG)(verify)


def verify(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Look at the catalog alone, not at the rows.")] = False,
    junit: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write the report to FILE as JUnit XML.")
    ] = None,
    github: Annotated[bool, typer.Option("--github", help="Print annotations for a GitHub workflow.")] = False,
    everything: Everything = False,
    names: Names = False,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Prove that schema and rows are as they should be. Changes nothing."""
    common.answering()
    settings = common.settings(context, statement_timeout=statement_timeout)
    if github and settings.output != "text":
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            f"--github and --output {settings.output} are two different outputs",
            hint="choose one",
        )
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
