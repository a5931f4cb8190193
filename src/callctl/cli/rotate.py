"""callctl rotate-secrets"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from callctl.cli import common
from callctl.cli import webhooks as cli_webhooks
from callctl.cli.common import (
    BackupTakenAt,
    BatchSize,
    BatchTime,
    BrakeCommand,
    LockHold,
    LockTimeout,
    LockWait,
    MaxReplicationLag,
    MaxWaitingClients,
    PauseFile,
    StatementTimeout,
    Wait,
    Wide,
    Yes,
)
from callctl.errors import Code, UsageError

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.secrets.rows.row import Binding

EPILOG = """
callctl encrypts plaintext, re-encrypts values that are under an older key, and leaves the rest as it is. It
works in batches, each its own transaction, while the application keeps writing. After a stop, run the same
command again to resume; run it on a second machine to share the work. Exit code 3 if a value was left as it
was; callctl lists it. Such a value does not decrypt, no declared path reaches it, or it looks like another
tool's ciphertext.

Before and after it encrypts plaintext, callctl names the triggers, rules, publications, slots, replicas and
backups that receive or hold copies.

\b
Examples:
  callctl rotate-secrets --status       count secrets by key
  callctl rotate-secrets --dry-run      decrypt everything, write nothing
  callctl rotate-secrets --workers 2    in two processes
  callctl rotate-secrets --bind         values decrypt only in their own row
  callctl rotate-secrets --bind-new ID  bind values you checked in a row

After --bind, every later run reports an unbound value and leaves it (exit code 3): it may be a copy from another row.
--bind-new names rows that you checked; --unbind ends binding.

Webhook secrets are not encrypted, because the application reads them: see callctl webhooks. --webhook-secrets
takes the options of callctl webhooks rotate; with --put-back it is callctl webhooks restore.

\b
Next: callctl keys list, callctl keys retire
"""
MOST_WORKERS = 64


def register(app: typer.Typer) -> None:
    app.command("rotate-secrets", epilog=EPILOG)(rotate_secrets)


def rotate_secrets(
    context: typer.Context,
    status: Annotated[
        bool, typer.Option("--status", help="Count the secrets by tenant, field, key and version. Changes nothing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decrypt every value and count what would be written; write nothing.")
    ] = False,
    bind: Annotated[
        bool, typer.Option("--bind", help="Bind each value to its company, row and field (version 2).")
    ] = False,
    bind_new: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Bind the unbound values of this row, in a field that was bound before; repeatable.",
        ),
    ] = None,
    unbind: Annotated[bool, typer.Option("--unbind", help="Return to version 1, which binds nothing.")] = False,
    encrypt_foreign: Annotated[
        bool,
        typer.Option("--encrypt-foreign", help="Also encrypt values that look like another tool's ciphertext."),
    ] = False,
    workers: Annotated[str | None, typer.Option(metavar="N", help="Worker processes [default: 1].")] = None,
    webhook_secrets: Annotated[
        bool,
        typer.Option(
            "--webhook-secrets",
            help="The same as callctl webhooks rotate; with --put-back, webhooks restore.",
        ),
    ] = False,
    account: Annotated[str | None, typer.Option(metavar="ID", hidden=True)] = None,
    company: Annotated[str | None, typer.Option(metavar="ID", hidden=True)] = None,
    all_accounts: Annotated[bool, typer.Option("--all", hidden=True)] = False,
    to_file: Annotated[str | None, typer.Option(metavar="FILE", hidden=True)] = None,
    grace: Annotated[str | None, typer.Option(metavar="DURATION", hidden=True)] = None,
    put_back: Annotated[bool, typer.Option("--put-back", hidden=True)] = False,
    wide: Wide = False,
    wait: Wait = False,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    lock_hold: LockHold = None,
    lock_wait: LockWait = None,
    batch_size: BatchSize = None,
    batch_time: BatchTime = None,
    max_replication_lag: MaxReplicationLag = None,
    max_waiting_clients: MaxWaitingClients = None,
    pause_file: PauseFile = None,
    brake_command: BrakeCommand = None,
    backup_taken_at: BackupTakenAt = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Encrypt every integration secret under the primary key of callctl.yaml."""
    about_webhooks = {
        "--account": account is not None,
        "--company": company is not None,
        "--all": all_accounts,
        "--to-file": to_file is not None,
        "--grace": grace is not None,
        "--put-back": put_back,
    }
    given = [name for name, there in about_webhooks.items() if there]
    if given and not webhook_secrets:
        raise UsageError(
            Code.OPTIONS_CONFLICT, f"{given[0]} needs --webhook-secrets", hint="add --webhook-secrets, or leave it out"
        )
    if bind and unbind:
        raise UsageError(
            Code.OPTIONS_CONFLICT, "--bind and --unbind are opposites", hint="give only one of the two options"
        )
    if bind_new and unbind:
        raise UsageError(
            Code.OPTIONS_CONFLICT, "--bind-new and --unbind are opposites", hint="give only one of the two options"
        )
    if bind_new and "" in bind_new:
        raise UsageError(
            Code.OPTION_MISSING,
            "--bind-new needs the id of a row",
            hint="run callctl rotate-secrets --status to see the ids",
        )
    if webhook_secrets and (bind or bind_new or unbind or encrypt_foreign or workers is not None):
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--bind, --bind-new, --unbind, --encrypt-foreign and --workers apply to encrypted secrets, and webhook "
            "secrets are not encrypted",
            hint="remove --webhook-secrets or the other option",
        )
    for option in ("--to-file", "--grace") if put_back else ():
        if option in given:
            raise UsageError(
                Code.OPTIONS_CONFLICT,
                f"{option} has no meaning with --put-back",
                hint="give only one of the two options",
            )
    if status and (dry_run or bind or bind_new or unbind or encrypt_foreign or webhook_secrets):
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--status only counts values and lists the kept webhook secrets",
            hint="use --dry-run with the other options, without --status, to see what a run would do",
        )
    processes = _processes(workers or "1")
    settings = common.settings(
        context,
        lock_timeout=lock_timeout,
        lock_hold=lock_hold,
        lock_wait=lock_wait,
        batch_size=batch_size,
        batch_time=batch_time,
        max_replication_lag=max_replication_lag,
        max_waiting_clients=max_waiting_clients,
        pause_file=pause_file,
        brake_command=brake_command,
        backup_taken_at=backup_taken_at,
        statement_timeout=statement_timeout,
    )
    if webhook_secrets:
        scope = cli_webhooks.scope(account, company, all_accounts, "--webhook-secrets")
        if put_back:
            cli_webhooks.put_back(settings, scope, dry_run=dry_run, wait=wait, yes=yes)
        else:
            cli_webhooks.replace(settings, scope, to_file, grace, dry_run=dry_run, wait=wait, yes=yes)
        return
    binding: Binding = "bind" if bind else "unbind" if unbind else "keep"
    if status or dry_run:
        _look(settings, binding, bind_new or (), encrypt_foreign=encrypt_foreign, keys_needed=dry_run, wide=wide)
        return
    from callctl.render import progress as render_progress
    from callctl.render import secrets as render_secrets
    from callctl.secrets.rotation import rotate as rotation

    _ask(settings, binding, bind_new or (), encrypt_foreign=encrypt_foreign, yes=yes)
    with render_progress.running(settings.output) as on_event:
        result = rotation.rotate(
            settings,
            binding=binding,
            bind_new=bind_new or (),
            workers=processes,
            wait=wait,
            encrypt_foreign=encrypt_foreign,
            on_event=on_event,
        )
    render_secrets.rotated(result, settings.output, common.target())
    if result.failures:
        raise typer.Exit(3)


def _processes(text: str) -> int:
    if not (len(text) < 4 and text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_WORKERS):
        raise UsageError(
            Code.OPTION_VALUE,
            f"--workers is not a number of processes: {text!r}",
            hint=f"give a number from 1 to {MOST_WORKERS}",
        )
    return int(text)


def _ask(settings: Settings, binding: Binding, bind_new: Sequence[str], *, encrypt_foreign: bool, yes: bool) -> None:
    """Say what the run writes and what gets copies of it, and ask. Rows are counted where a person reads of them."""
    from callctl.render import progress as render_progress
    from callctl.render import secrets as render_secrets
    from callctl.secrets.envelope.key_ledger import assert_not_retired
    from callctl.secrets.envelope.ring import load_key_ring
    from callctl.secrets.inventory import key_use

    how = {"keep": "", "bind": ", bound to its row and field", "unbind": ", bound to nothing"}[binding]
    if bind_new:
        how += (
            f", and bind what is unbound in {len(set(bind_new))} named {'row' if len(set(bind_new)) == 1 else 'rows'}"
        )
    with common.connected(settings, writes=True) as connection:
        question = f"Encrypt every secret under key {load_key_ring(settings).primary.id}{how},"
        assert_not_retired(connection, settings)
        asks = common.asks(connection, yes=yes)
        if asks and not common.can_ask():
            common.confirm(connection, settings, question, yes=yes)  # refuses
        with render_progress.until_answered(settings.output) as on_event:
            planned = key_use.plan(
                connection,
                settings,
                binding=binding,
                bind_new=bind_new,
                encrypt_foreign=encrypt_foreign,
                count=asks or encrypt_foreign,
                on_event=on_event,
            )
        render_secrets.rotation_planned(planned, encrypt_foreign=encrypt_foreign)
        common.confirm(connection, settings, question, yes=yes)


def _look(
    settings: Settings,
    binding: Binding,
    bind_new: Sequence[str],
    *,
    encrypt_foreign: bool,
    keys_needed: bool,
    wide: bool,
) -> None:
    from callctl.render import progress as render_progress
    from callctl.render import secrets as render_secrets
    from callctl.secrets.inventory import key_use

    common.answering()
    with common.connected(settings) as connection:
        if keys_needed and settings.keys is None:
            from callctl.secrets.envelope.ring import load_key_ring

            load_key_ring(settings)  # says what is missing
        with render_progress.until_answered(settings.output) as on_event:
            secrets = key_use.look(
                connection,
                settings,
                binding=binding,
                bind_new=bind_new,
                encrypt_foreign=encrypt_foreign,
                on_event=on_event,
            )
    render_secrets.secrets(secrets, settings.output, wide=wide)
    if secrets.counted.left_count or (secrets.counted.due and not keys_needed):
        raise typer.Exit(3)
