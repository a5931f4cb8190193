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


def chosen(found: Chosen, output: Output) -> None:
    """What a run would do."""
    render.answer(output, lambda: chosen_document(found), lambda: _chosen_text(found))


def chosen_document(found: Chosen) -> documents.ChosenWebhooks:
    return {
        "direction": found.direction,
        "scope": found.scope,
        "accounts": [_account_document(account) for account in found.accounts],
        "deleted": found.deleted,
        "without": found.without,
    }


def _chosen_text(found: Chosen) -> None:
    _accounts(found.accounts)
    if found.direction == "new":
        _passed_over(found.deleted, found.without)
    what = (
        "would get a new webhook secret" if found.direction == "new" else "would get its previous webhook secret back"
    )
    render.out(f"{render.counted(len(found.accounts), 'account')} {what}; nothing was changed")


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
        for each in done.left[:SHOWN]:
            render.out(render.folded(f"{each.account_id}: {each.reason}", sys.stdout, indent=2, hanging=2))
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
                each.account_id,
                each.company_id,
                each.account_type,
                printable(each.account_name),
                printable(without_query(each.webhook_url) or "none: nobody has to be told"),
            )
            for each in accounts
        ),
    )
    render.out()


def _passed_over(deleted: int, without: int) -> None:
    if deleted:
        render.note(f"{render.counted(deleted, 'soft-deleted account')} with a webhook secret: left alone")
    if without:
        render.note(f"{render.counted(without, 'account')} without a webhook secret: left alone")


def kept(found: Sequence[Kept]) -> None:
    """The webhook secrets that can be put back, and until when."""
    if not found:
        return
    render.out("webhook secrets that were replaced, and can be put back:")
    table(
        ("account", "company", "replaced", "kept until", "run", "new one"),
        (
            (
                each.account_id,
                each.company_id,
                f"{each.kept_at:%Y-%m-%d %H:%M:%S%z}",
                f"{each.keep_until:%Y-%m-%d %H:%M:%S%z}",
                str(each.rotation),
                each.fingerprint,
            )
            for each in found[:SHOWN]
        ),
        right=("run",),
    )
    if len(found) > SHOWN:
        render.out(f"and {len(found) - SHOWN:,} more; --output json lists them")
    render.out()
