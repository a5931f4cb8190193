"""How the integration accounts look. Never a secret, and no text of an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from callctl.redaction import printable
from callctl.render import console as render
from callctl.render.table import table

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.render import documents
    from callctl.tenants.accounts import Account

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def accounts(listed: Sequence[Account], output: Output, *, problems: bool) -> None:
    """The accounts, or those with a problem; what each problem is stands below."""
    troubled = [account for account in listed if account.troubles]
    shown = troubled if problems else listed
    render.answer(
        output,
        lambda: accounts_document(shown, total=len(listed), with_problems=len(troubled)),
        lambda: _accounts_text(shown, troubled, total=len(listed)),
    )


def accounts_document(shown: Sequence[Account], *, total: int, with_problems: int) -> documents.Accounts:
    return {
        "accounts": [
            {
                "id": account.id,
                "account_type": account.account_type,
                "account_name": account.account_name,
                "company_id": account.company_id,
                "company_slug": account.company_slug,
                "company_name": account.company_name,
                "status": account.status,
                "is_active": account.is_active,
                "last_error_at": account.last_error_at,
                "last_verified_at": account.last_verified_at,
                "token_expires_at": account.token_expires_at,
                "webhook_url": account.webhook_url,
                "seen_at": account.seen_at,
                "troubles": account.troubles,
                "error_seconds": _age(account.last_error_at, account),
                "problems": list(_problems(account)),
            }
            for account in shown
        ],
        "total": total,
        "with_problems": with_problems,
    }


def _accounts_text(shown: Sequence[Account], troubled: Sequence[Account], *, total: int) -> None:
    if shown:
        # A narrow terminal has no room for ids, which the problems below name anyway.
        room = render.width(sys.stdout) if render.is_terminal(sys.stdout) else 1000
        columns = ("company", "type", "status", "error", "verified", "token", "webhook") + ("account",) * (room >= 105)
        table(columns, ([_cells(account)[name] for name in columns] for account in shown))
        render.out()
    for account in troubled:
        label = render.styled(f"{account.account_type} account {account.id}", "strong", sys.stdout)
        render.out(f"{label} of {printable(account.company_slug or account.company_id)}:")
        for problem in _problems(account):
            render.out(f"  {printable(problem)}")
    if troubled:
        render.out()
        summary = f"{len(troubled):,} of {render.counted(total, 'account')} with a problem"
        render.out(render.styled(summary, "error", sys.stdout))
    else:
        render.out(render.styled(f"{render.counted(total, 'account')}, none with a problem", "good", sys.stdout))


def _cells(account: Account) -> dict[str, str]:
    webhook = "ok" if account.webhook_url else "none"
    for trouble in ("missing", "malformed"):
        if f"webhook {trouble}" in account.troubles:
            webhook = trouble
    in_error = account.last_error_at is not None or account.status == "error"
    return {
        "account": account.id,
        "company": printable(account.company_slug or account.company_name or account.company_id),
        "type": account.account_type,
        "status": account.status + ("" if account.is_active else ", off"),
        "error": _ago(account.last_error_at, account) or ("unknown" if in_error else "-"),
        "verified": _ago(account.last_verified_at, account) or "never",
        "token": _expiry(account) or "-",
        "webhook": webhook,
    }


def _problems(account: Account) -> Iterator[str]:
    """Each trouble as a sentence."""
    for trouble in account.troubles:
        if trouble == "error":
            since = _ago(account.last_error_at, account)
            yield f"in error, the last one {since}" if since else "in error, and nobody knows since when"
        elif trouble == "token":
            yield f"its token {_expiry(account) or 'has expired'}"
        elif trouble == "webhook missing":
            yield "it has no webhook URL"
        elif trouble == "webhook malformed":
            yield f"its webhook URL is not of the documented form: {account.webhook_url}"
        elif trouble == "unbound":
            yield "a secret is not bound to this account, in a field that was bound: callctl rotate-secrets --status"
        else:
            yield f"it is switched {'on' if account.is_active else 'off'}, and its status is {account.status}"


def _expiry(account: Account) -> str:
    if account.token_expires_at is None:
        return ""
    left = (account.token_expires_at - account.seen_at).total_seconds()
    return f"expires in {_span(left)}" if left > 0 else f"expired {_span(-left)} ago"


def _age(moment: datetime | None, account: Account) -> float | None:
    return None if moment is None else round((account.seen_at - moment).total_seconds(), 3)


def _ago(moment: datetime | None, account: Account) -> str:
    age = _age(moment, account)
    return "" if age is None else f"{_span(max(age, 0))} ago"


def _span(seconds: float) -> str:
    """'3 d', '2 h', '5 min', '12 s'."""
    unit, size = next((pair for pair in _UNITS if seconds >= pair[1]), _UNITS[-1])
    return f"{int(seconds // size):,} {unit}"
