"""callctl rotate-secrets --webhook-secrets"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from callctl.cli import common
from callctl.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from callctl.config.settings import Settings
    from callctl.secrets.webhooks.accounts import Direction, Scope

GRACE = "72h"


def scope(account: str | None, company: str | None, all_accounts: bool) -> Scope:
    """The accounts that the options name. Raises UsageError where they name none, or in two ways, or by no UUID."""
    from callctl.secrets.webhooks.accounts import Scope

    if (account is not None) + (company is not None) + all_accounts != 1:
        raise UsageError(
            "--webhook-secrets needs to know of which accounts", hint="use one of --account ID, --company ID and --all"
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
        raise UsageError(f"{option} is not a UUID", hint="give the id of the row, as psql prints it") from None


def replace(
    settings: Settings, scope: Scope, to_file: str | None, grace: str | None, *, dry_run: bool, wait: bool, yes: bool
) -> None:
    """New secrets. Whatever is wrong with the options or the file is found out before anybody is asked."""
    from callctl import files
    from callctl.render import progress as render_progress
    from callctl.render import webhooks as render_webhooks
    from callctl.secrets.webhooks import replace as webhook_secrets

    if to_file is None and not dry_run:
        raise UsageError(
            "new webhook secrets need a file to go to", hint="name one that is not there yet: --to-file FILE"
        )
    kept_for = _grace(grace or GRACE)
    if to_file is not None:
        files.assert_new(to_file)
    if dry_run:
        _look(settings, scope, "new")
        return
    assert to_file is not None
    with render_progress.json_failure(settings.output, common.target):
        _ask(settings, f"Replace the webhook secrets of {scope.text},", yes=yes)
        with render_progress.running(settings.output) as on_event:
            done = webhook_secrets.replace(settings, scope, file=to_file, grace=kept_for, wait=wait, on_event=on_event)
        render_webhooks.done(done, settings.output, common.target())


def _grace(text: str) -> timedelta:
    from datetime import timedelta

    from callctl.config.values import Unusable, duration

    try:
        return timedelta(milliseconds=duration(text))
    except Unusable as problem:
        raise UsageError(f"--grace {problem.message}", hint=problem.hint) from None


def put_back(settings: Settings, scope: Scope, given: Sequence[str], *, dry_run: bool, wait: bool, yes: bool) -> None:
    """The previous ones. Exit code 3 where an account was left as it is."""
    from callctl.render import progress as render_progress
    from callctl.render import webhooks as render_webhooks
    from callctl.secrets.webhooks import replace as webhook_secrets

    for option in ("--to-file", "--grace"):
        if option in given:
            raise UsageError(f"{option} has no meaning with --put-back", hint="leave one of the two out")
    if dry_run:
        _look(settings, scope, "back")
        return
    with render_progress.json_failure(settings.output, common.target):
        _ask(settings, f"Put back the previous webhook secrets of {scope.text},", yes=yes)
        with render_progress.running(settings.output) as on_event:
            done = webhook_secrets.put_back(settings, scope, wait=wait, on_event=on_event)
        render_webhooks.done(done, settings.output, common.target())
    if done.left:
        raise typer.Exit(3)


def _ask(settings: Settings, text: str, *, yes: bool) -> None:
    from callctl.secrets.envelope.key_ledger import assert_not_retired
    from callctl.secrets.envelope.ring import load_key_ring

    with common.connected(settings, writes=True) as connection:
        load_key_ring(settings)  # what is wrong with the keys is said before anybody is asked
        assert_not_retired(connection, settings)
        common.confirm(connection, settings, text, yes=yes)


def _look(settings: Settings, scope: Scope, direction: Direction) -> None:
    from callctl.render import webhooks as render_webhooks
    from callctl.secrets.envelope.key_ledger import assert_not_retired
    from callctl.secrets.webhooks import accounts as webhook_accounts

    common.answering()
    with common.connected(settings) as connection:
        assert_not_retired(connection, settings)
        found = webhook_accounts.choose(connection, settings, scope, direction)
    render_webhooks.chosen(found, settings.output)
