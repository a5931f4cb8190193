"""callctl settings"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import (
    BatchSize,
    BrakeCommand,
    LockTimeout,
    LockWait,
    MaxReplicationLag,
    MaxWaitingClients,
    PauseFile,
    StatementTimeout,
    Wait,
    Yes,
)

EPILOG = """
The reference of chatbots.settings.call: docs/reference/call-settings.md and call-settings.schema.json.

\b
  callctl settings check     list invalid call settings
  callctl settings init      add the defaults where there are none
"""
CHECK_EPILOG = """
callctl checks chatbots that are enabled for calls, deleted ones too. A missing field takes its default and is valid,
except the voice and its provider. Exit code 3 if a chatbot is listed. Voices of providers without a list here are not
checked; a warning says how many.

\b
Examples:
  callctl settings check
  callctl settings check --output json
"""
INIT_EPILOG = """
Chatbots that are enabled for calls and whose settings.call is missing, null or {}, deleted ones too. The other
settings stay as they are. callctl works in batches, each with its own commit and row of callctl.action. After a
stop, run the same command again to resume.

\b
Examples:
  callctl settings init --dry-run
  callctl settings init
"""

app = typer.Typer(
    help="Check chatbots' call settings, or add the defaults.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="settings")


@app.command(epilog=CHECK_EPILOG)
def check(context: typer.Context, statement_timeout: StatementTimeout = None) -> None:
    """List invalid call settings: chatbot, field, reason. Changes nothing."""
    common.answering()
    settings = common.settings(context, statement_timeout=statement_timeout)
    from callctl.render import tenants as render_tenants
    from callctl.tenants import call_settings

    with common.connected(settings) as connection:
        checked = call_settings.check(connection, settings)
    render_tenants.settings_checked(checked, settings.output)
    if checked.offences:
        raise typer.Exit(3)


@app.command(epilog=INIT_EPILOG)
def init(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which chatbots would change; change nothing.")
    ] = False,
    wait: Wait = False,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
    batch_size: BatchSize = None,
    max_replication_lag: MaxReplicationLag = None,
    max_waiting_clients: MaxWaitingClients = None,
    pause_file: PauseFile = None,
    brake_command: BrakeCommand = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Add the default call settings to chatbots that are enabled for calls and have none."""
    settings = common.settings(
        context,
        lock_timeout=lock_timeout,
        lock_wait=lock_wait,
        batch_size=batch_size,
        max_replication_lag=max_replication_lag,
        max_waiting_clients=max_waiting_clients,
        pause_file=pause_file,
        brake_command=brake_command,
        statement_timeout=statement_timeout,
    )
    from callctl.render import progress as render_progress
    from callctl.render import tenants as render_tenants
    from callctl.tenants import call_settings

    if dry_run:
        common.answering()
    with common.connected(settings, writes=not dry_run) as connection:
        missing = call_settings.missing(connection, settings)
        if dry_run or not missing.chatbots:
            render_tenants.settings_missing(missing, settings.output, dry_run=dry_run, target=common.target())
            return
        common.confirm(connection, settings, render_tenants.settings_question(missing), yes=yes)
    with render_progress.until_answered(settings.output) as on_event:
        given = call_settings.init(settings, wait=wait, on_event=on_event)
    render_tenants.settings_given(given, settings.output, common.target())
