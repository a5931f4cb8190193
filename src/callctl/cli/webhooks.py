"""callctl webhooks: rotate, restore; and what rotate-secrets --webhook-secrets runs"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from callctl.cli import common
from callctl.cli.common import (
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
from callctl.errors import Code, UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from callctl.config.settings import Settings
    from callctl.secrets.webhooks.accounts import Direction, Scope

GRACE = "72h"

EPILOG = """
A provider signs its requests with the webhook secret, and the application checks the signature. These secrets are not
encrypted, because the application reads them.

\b
Examples:
  callctl webhooks rotate --account ID --dry-run    see which accounts
  callctl webhooks rotate --all --to-file new-secrets.jsonl
  callctl webhooks restore --all
"""
ROTATE_EPILOG = """
The new secrets are random. callctl writes them to a new file that only you can read, and nowhere else; enter
them at the providers. The previous secrets are kept, encrypted, for the time of --grace. Accounts that are
soft-deleted or have no webhook secret do not change. After a stop, run the same command again with another
file.

\b
Examples:
  callctl webhooks rotate --account ID --dry-run
  callctl webhooks rotate --all --to-file new-secrets.jsonl --grace 24h

\b
Next: enter the new secrets at the providers, then delete the file
"""
RESTORE_EPILOG = """
Each account gets its last kept secret; callctl rotate-secrets --status lists them with the time until which they are
kept. Exit code 3 if an account was left as it is, because its secret has changed since; callctl lists it.

\b
Examples:
  callctl webhooks restore --all --dry-run
  callctl webhooks restore --company 1b4d2d86-df3f-6aa8-b16f-21b431107028
"""

app = typer.Typer(
    help="Replace or restore webhook secrets.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)

Account: TypeAlias = Annotated[str | None, typer.Option(metavar="ID", help="This account.")]
Company: TypeAlias = Annotated[str | None, typer.Option(metavar="ID", help="The accounts of this company.")]
AllAccounts: TypeAlias = Annotated[bool, typer.Option("--all", help="All accounts.")]
LookOnly: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Show which accounts would change; change nothing.")
]


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="webhooks")


@app.command(epilog=ROTATE_EPILOG)
def rotate(
    context: typer.Context,
    account: Account = None,
    company: Company = None,
    all_accounts: AllAccounts = False,
    to_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="New file for the new secrets, one JSON object per line.")
    ] = None,
    grace: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="How long the previous secrets can be restored [default: 72h]."),
    ] = None,
    dry_run: LookOnly = False,
    wait: Wait = False,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
    max_replication_lag: MaxReplicationLag = None,
    max_waiting_clients: MaxWaitingClients = None,
    pause_file: PauseFile = None,
    brake_command: BrakeCommand = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Replace the webhook secrets of accounts."""
    settings = common.settings(
        context,
        lock_timeout=lock_timeout,
        lock_wait=lock_wait,
        max_replication_lag=max_replication_lag,
        max_waiting_clients=max_waiting_clients,
        pause_file=pause_file,
        brake_command=brake_command,
        statement_timeout=statement_timeout,
    )
    accounts = scope(account, company, all_accounts, "webhooks rotate")
    replace(settings, accounts, to_file, grace, dry_run=dry_run, wait=wait, yes=yes)


@app.command(epilog=RESTORE_EPILOG)
def restore(
    context: typer.Context,
    account: Account = None,
    company: Company = None,
    all_accounts: AllAccounts = False,
    dry_run: LookOnly = False,
    wait: Wait = False,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
    max_replication_lag: MaxReplicationLag = None,
    max_waiting_clients: MaxWaitingClients = None,
    pause_file: PauseFile = None,
    brake_command: BrakeCommand = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Restore the previous webhook secrets, as long as they are kept."""
    settings = common.settings(
        context,
        lock_timeout=lock_timeout,
        lock_wait=lock_wait,
        max_replication_lag=max_replication_lag,
        max_waiting_clients=max_waiting_clients,
        pause_file=pause_file,
        brake_command=brake_command,
        statement_timeout=statement_timeout,
    )
    put_back(settings, scope(account, company, all_accounts, "webhooks restore"), dry_run=dry_run, wait=wait, yes=yes)


def scope(account: str | None, company: str | None, all_accounts: bool, command: str) -> Scope:
    """The accounts that the options of ``command`` name.

    Raises UsageError if they name none, or in two ways, or by no UUID.
    """
    from callctl.secrets.webhooks.accounts import Scope

    if (account is not None) + (company is not None) + all_accounts != 1:
        raise UsageError(
            Code.OPTION_MISSING,
            f"{command} needs --account, --company or --all",
            hint="give one of --account ID, --company ID and --all",
        )
    return Scope(
        account=None if account is None else _uuid("--account", account),
        company=None if company is None else _uuid("--company", company),
    )


def _uuid(option: str, text: str) -> str:
    from uuid import UUID

    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise UsageError(
            Code.OPTION_VALUE, f"{option} is not a UUID", hint="give the row's id as psql prints it"
        ) from None


def replace(
    settings: Settings, scope: Scope, to_file: str | None, grace: str | None, *, dry_run: bool, wait: bool, yes: bool
) -> None:
    """New secrets. Whatever is wrong with the options or the file is found out before anybody is asked."""
    from callctl import files
    from callctl.render import progress as render_progress
    from callctl.render import secrets as render_secrets
    from callctl.secrets.webhooks import replace as webhook_secrets

    if to_file is None and not dry_run:
        raise UsageError(
            Code.OPTION_MISSING,
            "new webhook secrets need a file",
            hint="add --to-file FILE, with the name of a file that does not exist",
        )
    kept_for = _grace(grace or GRACE)
    if to_file is not None:
        files.assert_new(to_file)
    if dry_run:
        _look(settings, scope, "new")
        return
    assert to_file is not None
    _ask(settings, f"Replace the webhook secrets of {scope.text},", yes=yes)
    with render_progress.running(settings.output) as on_event:
        result = webhook_secrets.replace(settings, scope, file=to_file, grace=kept_for, wait=wait, on_event=on_event)
    render_secrets.webhooks_done(result, settings.output, common.target())


def _grace(text: str) -> timedelta:
    from datetime import timedelta

    from callctl.config.file import Unusable, duration

    try:
        return timedelta(milliseconds=duration(text))
    except Unusable as problem:
        raise UsageError(Code.OPTION_VALUE, f"--grace {problem.message}", hint=problem.hint) from None


def put_back(settings: Settings, scope: Scope, *, dry_run: bool, wait: bool, yes: bool) -> None:
    """The previous ones. Exit code 3 where an account was left as it is."""
    from callctl.render import progress as render_progress
    from callctl.render import secrets as render_secrets
    from callctl.secrets.webhooks import replace as webhook_secrets

    if dry_run:
        _look(settings, scope, "back")
        return
    _ask(settings, f"Restore the previous webhook secrets of {scope.text},", yes=yes)
    with render_progress.running(settings.output) as on_event:
        result = webhook_secrets.put_back(settings, scope, wait=wait, on_event=on_event)
    render_secrets.webhooks_done(result, settings.output, common.target())
    if result.left:
        raise typer.Exit(3)


def _ask(settings: Settings, text: str, *, yes: bool) -> None:
    from callctl.secrets.envelope.key_ledger import assert_not_retired
    from callctl.secrets.envelope.ring import load_key_ring

    with common.connected(settings, writes=True) as connection:
        load_key_ring(settings)  # what is wrong with the keys is said before anybody is asked
        assert_not_retired(connection, settings)
        common.confirm(connection, settings, text, yes=yes)


def _look(settings: Settings, scope: Scope, direction: Direction) -> None:
    from callctl.render import secrets as render_secrets
    from callctl.secrets.envelope.key_ledger import assert_not_retired
    from callctl.secrets.webhooks import accounts as webhook_accounts

    common.answering()
    with common.connected(settings) as connection:
        assert_not_retired(connection, settings)
        chosen = webhook_accounts.choose(connection, settings, scope, direction)
    render_secrets.webhooks_chosen(chosen, settings.output)
