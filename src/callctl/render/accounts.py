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


def accounts(found: Sequence[Account], output: Output, *, problems: bool) -> None:
    """The accounts, or those with a problem; what each problem is stands below."""
    troubled = [each for each in found if each.troubles]
    shown = troubled if problems else found
    render.answer(
        output,
        lambda: accounts_document(shown, total=len(found), with_problems=len(troubled)),
        lambda: _accounts_text(shown, troubled, total=len(found)),
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
        table(columns, ([_cells(each)[name] for name in columns] for each in shown))
        render.out()
    for each in troubled:
        label = render.styled(f"{each.account_type} account {each.id}", "strong", sys.stdout)
        render.out(f"{label} of {printable(each.company_slug or each.company_id)}:")
        for problem in _problems(each):
            render.out(f"  {printable(problem)}")
    if troubled:
        render.out()
        said = f"{len(troubled):,} of {render.counted(total, 'account')} with a problem"
        render.out(render.styled(said, "error", sys.stdout))
    else:
        render.out(render.styled(f"{render.counted(total, 'account')}, none with a problem", "good", sys.stdout))


def _cells(each: Account) -> dict[str, str]:
    webhook = "ok" if each.webhook_url else "none"
    for trouble in ("missing", "malformed"):
        if f"webhook {trouble}" in each.troubles:
            webhook = trouble
    in_error = each.last_error_at is not None or each.status == "error"
    return {
        "account": each.id,
        "company": printable(each.company_slug or each.company_name or each.company_id),
        "type": each.account_type,
        "status": each.status + ("" if each.is_active else ", off"),
        "error": _ago(each.last_error_at, each) or ("unknown" if in_error else "-"),
        "verified": _ago(each.last_verified_at, each) or "never",
        "token": _expiry(each) or "-",
        "webhook": webhook,
    }


def _problems(each: Account) -> Iterator[str]:
    """Each trouble as a sentence."""
    for trouble in each.troubles:
        if trouble == "error":
            since = _ago(each.last_error_at, each)
            yield f"in error, the last one {since}" if since else "in error, and nobody knows since when"
        elif trouble == "token":
            yield f"its token {_expiry(each) or 'has expired'}"
        elif trouble == "webhook missing":
            yield "it has no webhook URL"
        elif trouble == "webhook malformed":
            yield f"its webhook URL is not of the documented form: {each.webhook_url}"
        elif trouble == "unbound":
            yield "a secret is not bound to this account, in a field that was bound: callctl rotate-secrets --status"
        else:
            yield f"it is switched {'on' if each.is_active else 'off'}, and its status is {each.status}"


def _expiry(each: Account) -> str:
    if each.token_expires_at is None:
        return ""
    left = (each.token_expires_at - each.seen_at).total_seconds()
    return f"expires in {_span(left)}" if left > 0 else f"expired {_span(-left)} ago"


def _age(moment: datetime | None, each: Account) -> float | None:
    return None if moment is None else round((each.seen_at - moment).total_seconds(), 3)


def _ago(moment: datetime | None, each: Account) -> str:
    age = _age(moment, each)
    return "" if age is None else f"{_span(max(age, 0))} ago"


def _span(seconds: float) -> str:
    """'3 d', '2 h', '5 min', '12 s'."""
    unit, size = next((each for each in _UNITS if seconds >= each[1]), _UNITS[-1])
    return f"{int(seconds // size):,} {unit}"
