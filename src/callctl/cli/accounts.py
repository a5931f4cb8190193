"""callctl accounts"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import StatementTimeout

EPILOG = """
With --problems only accounts that need somebody are shown, and there are some with exit code 3: one that is active
and in error for more than an hour; an active one whose token has expired, or expires within a week; a webhook URL
that is missing, or not of the documented form; is_active and status that contradict each other. The same questions
are checks of callctl verify. Deleted accounts are left out. Secrets and the texts of errors are not read.

\b
Examples:
  callctl accounts
  callctl accounts --problems                 for a cron job or a monitor
  callctl accounts --output json
"""


def register(parent: typer.Typer) -> None:
    parent.command("accounts", epilog=EPILOG)(accounts)


def accounts(
    context: typer.Context,
    problems: Annotated[
        bool, typer.Option("--problems", help="Only accounts with a problem; exit code 3 if there are any.")
    ] = False,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Show the integration accounts and how each is. Changes nothing."""
    common.answering()
    settings = common.settings(context, statement_timeout=statement_timeout)
    from callctl.render import tenants as render_tenants
    from callctl.tenants import accounts as health

    with common.connected(settings) as connection:
        listed = health.accounts(connection, settings)
    render_tenants.accounts(listed, settings.output, problems=problems)
    if problems and any(account.troubles for account in listed):
        raise typer.Exit(3)
