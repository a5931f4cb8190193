"""callctl accounts"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import StatementTimeout, Wide

EPILOG = """
An account has a problem if it is active and in error for more than an hour; if it is active and its token has
expired or expires within a week; if its webhook URL is missing or not of the documented form; or if is_active
and status contradict each other. callctl verify checks the same. Deleted accounts are left out. callctl reads
no secrets and no error texts here.

\b
Examples:
  callctl accounts
  callctl accounts --problems         for a cron job or a monitor
  callctl accounts --output json
"""


def register(parent: typer.Typer) -> None:
    parent.command("accounts", epilog=EPILOG)(accounts)


def accounts(
    context: typer.Context,
    problems: Annotated[
        bool, typer.Option("--problems", help="Only accounts with a problem; exit code 3 if there is one.")
    ] = False,
    wide: Wide = False,
    statement_timeout: StatementTimeout = None,
) -> None:
    """List integration accounts and their state. Changes nothing."""
    common.answering()
    settings = common.settings(context, statement_timeout=statement_timeout)
    from callctl.render import tenants as render_tenants
    from callctl.tenants import accounts as health

    with common.connected(settings) as connection:
        listed = health.accounts(connection, settings)
    render_tenants.accounts(listed, settings.output, problems=problems, wide=wide)
    if problems and any(account.troubles for account in listed):
        raise typer.Exit(3)
