"""How the answers about webhook secrets look: which providers have to be told. Never a value."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.redaction import printable, without_query
from callctl.render import console as render
from callctl.render.table import table

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.render import documents
    from callctl.secrets.rows.kept_secrets import Kept
    from callctl.secrets.webhooks.accounts import Account, Chosen
    from callctl.secrets.webhooks.run import Done
    from callctl.target import Target

SHOWN = 20


def _account_document(account: Account) -> documents.WebhookAccount:
    return {
        "account_id": account.account_id,
        "company_id": account.company_id,
        "account_type": account.account_type,
        "account_name": account.account_name,
        "webhook_url": without_query(account.webhook_url),
        "fingerprint": account.fingerprint,
    }


def chosen(chosen: Chosen, output: Output) -> None:
    """What a run would do."""
    render.answer(output, lambda: chosen_document(chosen), lambda: _chosen_text(chosen))


def chosen_document(chosen: Chosen) -> documents.ChosenWebhooks:
    return {
        "direction": chosen.direction,
        "scope": chosen.scope,
        "accounts": [_account_document(account) for account in chosen.accounts],
        "deleted": chosen.deleted,
        "without": chosen.without,
    }


def _chosen_text(chosen: Chosen) -> None:
    _accounts(chosen.accounts)
    if chosen.direction == "new":
        _passed_over(chosen.deleted, chosen.without)
    what = (
        "would get a new webhook secret" if chosen.direction == "new" else "would get its previous webhook secret back"
    )
    render.out(f"{render.counted(len(chosen.accounts), 'account')} {what}; nothing was changed")


def done_document(done: Done, target: Target | None = None) -> documents.ReplacedWebhooks:
    """The last line of a run in JSON."""
    return {
        "event": "webhook_secrets_replaced" if done.direction == "new" else "webhook_secrets_put_back",
        "direction": done.direction,
        "scope": done.scope,
        "rotation": done.rotation,
        "started_at": done.started_at,
        "accounts": [_account_document(account) for account in done.accounts],
        "before": done.before,
        "left": done.left,
        "deleted": done.deleted,
        "without": done.without,
        "file": done.file,
        "keep_until": done.keep_until,
        "target": target,
    }


def done(done: Done, output: Output, target: Target | None = None) -> None:
    """What a run has done, and whom to tell."""
    render.answer(output, lambda: done_document(done, target), lambda: _done_text(done, target), _after_run(done))


def _after_run(done: Done) -> render.Next | None:
    """No command of callctl's: a person enters the secrets at the providers."""
    if done.direction == "back":
        text = "enter it at the provider of each account again; what was new is only in your file"
        return render.Next(None, text) if done.accounts else None
    if done.file is None or done.keep_until is None:
        return None
    return render.Next(None, "enter the new ones at the provider of each account, then delete the file")


def _done_text(done: Done, target: Target | None) -> None:
    _accounts(done.accounts)
    if done.left:
        label = render.styled("left as they are", "error", sys.stdout)
        render.out(f"{label}: {render.counted(len(done.left), 'account')}")
        for account in done.left[:SHOWN]:
            render.out(render.folded(f"{account.account_id}: {account.reason}", sys.stdout, indent=2, hanging=2))
        if len(done.left) > SHOWN:
            render.out(f"  and {len(done.left) - SHOWN:,} more; the table callctl.rotation_failure has all")
        render.out()
    if done.direction == "new":
        _passed_over(done.deleted, done.without)
    if done.before:
        render.note(f"{render.counted(done.before, 'account')} had been done before, by the run that was stopped")
    number = render.counted(len(done.accounts), "account")
    if done.direction == "back" and not done.accounts:
        render.out("no webhook secret was put back")
    elif done.direction == "back":
        render.out(f"restored the previous webhook secret of {number}")
        render.written(target)
    elif done.file is None or done.keep_until is None:
        render.out("no account has a webhook secret that was to be replaced; no file was written")
    else:
        render.out(f"{number} with a new webhook secret; the new ones are in {done.file}")
        render.written(target)
        render.out(f"the previous ones are kept until {done.keep_until:%Y-%m-%d %H:%M:%S%z}")
        render.note("to put the previous ones back: callctl webhooks restore --all")


def _accounts(accounts: Sequence[Account]) -> None:
    if not accounts:
        return
    table(
        ("account", "company", "type", "name", "webhook URL at the provider"),
        (
            (
                account.account_id,
                account.company_id,
                account.account_type,
                printable(account.account_name),
                printable(without_query(account.webhook_url) or "none: nobody has to be told"),
            )
            for account in accounts
        ),
    )
    render.out()


def _passed_over(deleted: int, without: int) -> None:
    if deleted:
        render.note(f"{render.counted(deleted, 'soft-deleted account')} with a webhook secret: left alone")
    if without:
        render.note(f"{render.counted(without, 'account')} without a webhook secret: left alone")


def kept(secrets: Sequence[Kept]) -> None:
    """The webhook secrets that can be put back, and until when."""
    if not secrets:
        return
    render.out("webhook secrets that were replaced, and can be put back:")
    table(
        ("account", "company", "replaced", "kept until", "run", "new one"),
        (
            (
                kept_secret.account_id,
                kept_secret.company_id,
                f"{kept_secret.kept_at:%Y-%m-%d %H:%M:%S%z}",
                f"{kept_secret.keep_until:%Y-%m-%d %H:%M:%S%z}",
                str(kept_secret.rotation),
                kept_secret.fingerprint,
            )
            for kept_secret in secrets[:SHOWN]
        ),
        right=("run",),
    )
    if len(secrets) > SHOWN:
        render.out(f"and {len(secrets) - SHOWN:,} more; --output json lists them")
    render.out()
