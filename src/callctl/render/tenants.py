"""Draws the answers about the platform's rows: accounts, companies, call settings, models.

Never a secret. Never a secret.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from callctl.redaction import printable
from callctl.render import console as render
from callctl.render.console import table

if TYPE_CHECKING:
    from callctl.config.database_url import Target
    from callctl.config.settings import Output
    from callctl.migration.steps.call_models import Withheld
    from callctl.render import documents
    from callctl.tenants.accounts import Account
    from callctl.tenants.call_settings import Checked, Given, Missing, Offence
    from callctl.tenants.companies import Company, Switch
    from callctl.tenants.seeding import Seed, Seeded

# How models look that wait for step 6.


def models_documents(models: Sequence[Withheld]) -> list[documents.WithheldModel]:
    """The models as they are in JSON documents."""
    return [{"key": model.key, "inserted": model.inserted} for model in models]


def withheld_lines(models: Sequence[Withheld]) -> None:
    """Yield the models that wait, and how each waits."""
    for inserted, how in ((True, "inactive until"), (False, "not inserted before")):
        keys = [printable(model.key) for model in models if model.inserted is inserted]
        if keys:
            which = render.counted(len(keys), "model")
            render.note(f"{which} {how} callctl migrate up drops the type column: {', '.join(keys)}")


# How the integration accounts look. Never a secret, and no text of an error.

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def accounts(listed: Sequence[Account], output: Output, *, problems: bool, wide: bool = False) -> None:
    """The accounts, or those with a problem; each problem is explained below."""
    troubled = [account for account in listed if account.troubles]
    shown = troubled if problems else listed
    render.answer(
        output,
        lambda: accounts_document(shown, total=len(listed), with_problems=len(troubled)),
        lambda: _accounts_text(shown, troubled, total=len(listed), wide=wide),
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


def _accounts_text(shown: Sequence[Account], troubled: Sequence[Account], *, total: int, wide: bool) -> None:
    if shown:
        columns = ("company", "type", "status", "error", "verified", "token", "webhook", "account")
        cells = ([_account_cells(account)[name] for name in columns] for account in shown)
        # The problems below name the accounts anyway.
        table(columns, cells, spare=("account", "webhook", "verified"), wide=wide)
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


def _account_cells(account: Account) -> dict[str, str]:
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
            yield f"in error, the last one {since}" if since else "in error, since an unknown time"
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
    seconds_left = (account.token_expires_at - account.seen_at).total_seconds()
    return f"expires in {_span(seconds_left)}" if seconds_left > 0 else f"expired {_span(-seconds_left)} ago"


def _age(moment: datetime | None, account: Account) -> float | None:
    return None if moment is None else round((account.seen_at - moment).total_seconds(), 3)


def _ago(moment: datetime | None, account: Account) -> str:
    age = _age(moment, account)
    return "" if age is None else f"{_span(max(age, 0))} ago"


def _span(seconds: float) -> str:
    """'3 d', '2 h', '5 min', '12 s'."""
    unit, size = next((pair for pair in _UNITS if seconds >= pair[1]), _UNITS[-1])
    return f"{int(seconds // size):,} {unit}"


# How the answers about companies look: which are switched on, and what that means for their chatbots.

_COMPANIES_SHOWN = 20


def companies_listed(
    companies: Sequence[Company], output: Output, *, only_enabled: bool = False, wide: bool = False
) -> None:
    """The companies, or those that are switched on; and what all of them add up to."""
    on = [company for company in companies if company.call_enabled]
    listed = on if only_enabled else companies
    render.answer(
        output,
        lambda: listed_document(companies, listed, len(on)),
        lambda: _listed_text(companies, listed, len(on), wide=wide),
    )


def listed_document(companies: Sequence[Company], listed: Sequence[Company], on: int) -> documents.Companies:
    return {
        "companies": [{**_switch_document(company), "taking_calls": company.taking_calls} for company in listed],
        "total": len(companies),
        "enabled": on,
        "call_chatbots": sum(company.call_chatbots for company in companies),
        "taking_calls": sum(company.taking_calls for company in companies),
    }


def _listed_text(companies: Sequence[Company], listed: Sequence[Company], on: int, *, wide: bool) -> None:
    if listed:
        shown = ("company", "calls", "call chatbots", "taking calls", "name", "id")
        table(
            shown,
            ([_company_cells(company)[name] for name in shown] for company in listed),
            right=("call chatbots", "taking calls"),
            spare=("id", "name"),
            wide=wide,
        )
        render.out()
    for company in listed:
        if company.problem is not None:
            render.warning(f"{printable(company.title)}: its {company.problem}, so that its flag cannot be set")
    chatbots = sum(company.call_chatbots for company in companies)
    taking = sum(company.taking_calls for company in companies)
    render.out(
        f"{on:,} of {_companies(len(companies))} switched on;"
        f" {taking:,} of {render.counted(chatbots, 'call-enabled chatbot')} would take calls"
    )


def _company_cells(company: Company) -> dict[str, str]:
    return {
        "company": printable(company.title),
        "calls": _company_state(company),
        "call chatbots": f"{company.call_chatbots:,}",
        "taking calls": f"{company.taking_calls:,}",
        "name": printable(company.name or ""),
        "id": company.id,
    }


def _company_state(company: Company) -> str:
    if company.problem is not None:
        return "unclear"
    return {True: "on", False: "off", None: "off (not set)"}[company.call_enabled]


def switch_preview(switch: Switch) -> None:
    """On stderr, what is asked about."""
    for company in switch.changing[:_COMPANIES_SHOWN]:
        render.note(f"  {printable(company.title)}: {_chatbots(company, enable=switch.enable)}")
    if len(switch.changing) > _COMPANIES_SHOWN:
        render.note(f"  and {len(switch.changing) - _COMPANIES_SHOWN:,} more; --dry-run lists them")


def switch_question(switch: Switch) -> str:
    """The start of a question: how many companies, and how many chatbots it is about."""
    already = f" ({len(switch.unchanged):,} more are already)" if switch.unchanged else ""
    return f"Switch calls {_on(switch)} for {_companies(len(switch.changing))}{already}, {_effect(switch)},"


def switched(switch: Switch, output: Output, *, dry_run: bool = False, target: Target | None = None) -> None:
    """Print the changes, or with ``dry_run`` the planned changes."""
    wrote = switch.changing and not dry_run
    render.answer(
        output,
        lambda: switched_document(switch, dry_run=dry_run, target=target),
        lambda: _switched_text(switch, dry_run=dry_run, target=target),
        render.Next("callctl companies list --enabled") if wrote else None,
    )


def switched_document(switch: Switch, *, dry_run: bool, target: Target | None) -> documents.Switched:
    return {
        "enable": switch.enable,
        "dry_run": dry_run,
        "changed": [
            {**_switch_document(company), "call_enabled": switch.enable, "before": company.call_enabled}
            for company in switch.changing
        ],
        "unchanged": [_switch_document(company) for company in switch.unchanged],
        "call_chatbots": switch.call_chatbots,
        "target": target,
    }


def _switched_text(switch: Switch, *, dry_run: bool, target: Target | None) -> None:
    for company in switch.changing:
        chatbots = _chatbots(company, enable=switch.enable)
        render.out(f"{printable(company.title)}: {_company_state(company)} -> {_on(switch)}, {chatbots}")
    for company in switch.unchanged:
        render.out(f"{printable(company.title)}: {_on(switch)} already")
    if not switch.changing and not switch.unchanged:
        render.out("nothing to do: every company has a flag")
    elif not switch.changing:
        render.out(f"nothing to do: {_companies(len(switch.unchanged))} switched {_on(switch)} already")
    elif dry_run:
        number = _companies(len(switch.changing))
        render.out(f"{number} would be switched {_on(switch)}, {_effect(switch)}; nothing was changed")
    else:
        summary = f"{_companies(len(switch.changing))} switched {_on(switch)}, {_effect(switch)}"
        render.out(render.styled(summary, "good", sys.stdout))
        render.written(target)


def _effect(switch: Switch) -> str:
    if not switch.call_chatbots:
        return f"where no chatbot {'is enabled for calls yet' if switch.enable else 'took calls'}"
    verb = ("begins", "begin") if switch.enable else ("ceases", "cease")
    return f"where {render.counted(switch.call_chatbots, 'chatbot')} {verb[switch.call_chatbots != 1]} to take calls"


def _chatbots(company: Company, *, enable: bool) -> str:
    number = company.call_chatbots if enable else company.taking_calls
    if not number:
        return "no chatbot enabled for calls" if enable else "no chatbot took calls"
    verb = "takes" if number == 1 else "take"
    return f"{render.counted(number, 'chatbot')} {verb} {'' if enable else 'no more '}calls"


def _on(switch: Switch) -> str:
    return "on" if switch.enable else "off"


def _companies(number: int) -> str:
    return "1 company" if number == 1 else f"{number:,} companies"


def _switch_document(company: Company) -> documents.CompanyFacts:
    return {
        "id": company.id,
        "slug": company.slug,
        "name": company.name,
        "call_enabled": company.call_enabled,
        "problem": company.problem,
        "call_chatbots": company.call_chatbots,
    }


# How the answers about call settings look. Never the value of a setting, unless it is a number.

_CHATBOTS_SHOWN = 50
_NARROW = 100


def settings_checked(checked: Checked, output: Output) -> None:
    """Print the faults, row by row."""
    wrong = len({offence.chatbot_id for offence in checked.offences})
    following = None
    if checked.missing:
        text = f"callctl settings init gives the defaults to {checked.missing:,} that have none"
        following = render.Next("callctl settings init", text)
    elif wrong:
        following = render.Next(None, _CORRECT.format("them"))
    render.answer(output, lambda: checked_document(checked), lambda: _checked_text(checked, wrong), following)


def checked_document(checked: Checked) -> documents.CheckedSettings:
    return {
        "chatbots": checked.chatbots,
        "offences": checked.offences,
        "unlisted": checked.unlisted,
        "missing": checked.missing,
    }


_CORRECT = "correct {} in the administration; docs/reference/call-settings.md has the ranges"


def _checked_text(checked: Checked, chatbots: int) -> None:
    if checked.offences:
        lines = [
            (offence.chatbot_id, offence.path, _settings_reason(offence))
            for offence in checked.offences[:_CHATBOTS_SHOWN]
        ]
        if render.is_terminal(sys.stdout) and render.width(sys.stdout) < _NARROW:
            for id, path, reason in lines:  # a table would break the ids
                render.out(id)
                render.out(render.folded(f"{path} {reason}", sys.stdout, indent=2, hanging=2))
        else:
            table(("chatbot", "field", "what is wrong"), lines)
        if len(checked.offences) > _CHATBOTS_SHOWN:
            render.out(f"and {len(checked.offences) - _CHATBOTS_SHOWN:,} more; --output json lists them")
        render.out()
    for unlisted in checked.unlisted:
        voices = render.counted(unlisted.chatbots, "chatbot")
        render.warning(
            f"{voices} with a voice of {unlisted.provider}, whose voices callctl has no list of: not checked"
        )
    total = render.counted(checked.chatbots, "call-enabled chatbot")
    if not chatbots:
        render.out(render.styled(f"the call settings of {total} are as they should be", "good", sys.stdout))
        return
    render.out(render.styled(f"{chatbots:,} of {total} with call settings that are wrong", "error", sys.stdout))
    if 0 < checked.missing < chatbots:
        render.note(_CORRECT.format("the others"))


def _settings_reason(offence: Offence) -> str:
    return offence.reason + (" (the chatbot is deleted)" if offence.deleted else "")


def settings_missing(missing: Missing, output: Output, *, dry_run: bool, target: Target | None = None) -> None:
    """Print the plan of ``settings init``, or that there is nothing to do."""
    render.answer(
        output,
        lambda: initial_document(missing.chatbots, dry_run=dry_run, target=target),
        lambda: _missing_text(missing),
        render.Next("callctl settings init") if missing.chatbots else None,
    )


def initial_document(chatbots: Sequence[str], *, dry_run: bool, target: Target | None) -> documents.InitialSettings:
    return {"dry_run": dry_run, "chatbots": chatbots, "target": target}


def _missing_text(missing: Missing) -> None:
    for id in missing.chatbots[:_CHATBOTS_SHOWN]:
        render.out(id)
    if len(missing.chatbots) > _CHATBOTS_SHOWN:
        render.out(f"and {len(missing.chatbots) - _CHATBOTS_SHOWN:,} more; --output json lists them")
    if missing.chatbots:
        render.out(f"{_counted(missing)} would get the default call settings; nothing was changed")
    else:
        render.out("nothing to do: every call-enabled chatbot has call settings")


def settings_question(missing: Missing) -> str:
    """The start of a question: how many chatbots it is about."""
    return f"Give the default call settings to {_counted(missing)},"


def settings_given(result: Given, output: Output, target: Target | None = None) -> None:
    """Print the result of ``settings init``."""
    render.answer(
        output,
        lambda: initial_document(result.chatbots, dry_run=False, target=target),
        lambda: _given_text(result, target),
        render.Next("callctl settings check"),
    )


def _given_text(result: Given, target: Target | None) -> None:
    number = render.counted(len(result.chatbots), "chatbot")
    render.out(render.styled(f"{number} with the default call settings", "good", sys.stdout))
    if result.chatbots:
        render.written(target)


def _counted(missing: Missing) -> str:
    deleted = f" ({missing.deleted:,} of them deleted)" if missing.deleted else ""
    return f"{render.counted(len(missing.chatbots), 'chatbot')}{deleted}"


# How the answers of seed-models look.

_DONE = {"insert": "inserted", "update": "updated", "unchanged": "unchanged", "kept": "kept", "deleted": "deleted"}
_PLANNED = {**_DONE, "insert": "to insert", "update": "to update"}
OVERWRITE = "callctl seed-models --overwrite takes the catalog's"


def seeded_document(seeded: Seeded, *, dry_run: bool, target: Target | None = None) -> documents.Seeded:
    """The JSON document of a run."""
    return {
        "catalogue": seeded.catalogue,
        "dry_run": dry_run,
        "models": [
            {
                "key": seed.model.key,
                "provider": seed.model.provider,
                "type": seed.model.type,
                "id": seed.id,
                "outcome": seed.outcome,
                "differences": seed.differences,
            }
            for seed in seeded.models
        ],
        "accounts": seeded.accounts,
        "warnings": seeded.warnings,
        "target": target,
        "withheld_models": models_documents(seeded.withheld),
    }


def seeded(seeded: Seeded, output: Output, *, dry_run: bool, target: Target | None = None) -> None:
    """Print the written (or planned) rows, and the kept values. The warnings are said before anything is written."""
    render.answer(
        output,
        lambda: seeded_document(seeded, dry_run=dry_run, target=target),
        lambda: _seeded_text(seeded, dry_run=dry_run, target=target),
    )


def _seeded_text(seeded: Seeded, *, dry_run: bool, target: Target | None) -> None:
    words = _PLANNED if dry_run else _DONE
    table(
        ("model", "provider", "type", ""),
        ((seed.model.key, seed.model.provider, seed.model.type, words[seed.outcome]) for seed in seeded.models),
    )
    _differences(seeded.models, words)
    if seeded.accounts is not None:
        render.out()
        table(
            ("development account", "type", ""),
            ((account.name, account.type, words[account.outcome]) for account in seeded.accounts),
        )
    render.out()
    if seeded.writes and not dry_run:
        render.written(target)
    _seeded_summary(seeded, words, dry_run=dry_run)


def _differences(models: tuple[Seed, ...], words: dict[str, str]) -> None:
    rows = [
        (
            seed.model.key,
            difference.field,
            _shown(difference.here),
            _shown(difference.catalogue),
            words["update" if difference.written else "kept"],
        )
        for seed in models
        for difference in seed.differences
    ]
    if rows:
        render.out()
        table(("model", "field", "in the database", "in the catalog", ""), rows)


def _seeded_summary(seeded: Seeded, words: dict[str, str], *, dry_run: bool) -> None:
    number = Counter(seed.outcome for seed in seeded.models)
    parts = [f"{number[outcome]} {words[outcome]}" for outcome in ("insert", "update", "unchanged")]
    line = f"{render.counted(len(seeded.models), 'model')} of {seeded.catalogue}: {', '.join(parts)}"
    if seeded.accounts is not None:
        inserted = sum(account.outcome == "insert" for account in seeded.accounts)
        line += f"; {render.counted(inserted, 'development account')} {words['insert']}"
    render.out(f"{line}; nothing was written" if dry_run else line)
    kept = sum(not difference.written for seed in seeded.models for difference in seed.differences)
    if kept:
        fields = render.counted(kept, "field")
        render.note(f"{fields} kept as the database has {'it' if kept == 1 else 'them'}; {OVERWRITE}")
    if number["deleted"]:
        models = render.counted(number["deleted"], "model")
        render.note(f"{models} soft-deleted in the database: left alone, with --overwrite too")
    withheld_lines(seeded.withheld)


def _shown(value: str | None) -> str:
    """A value that may have been typed, without characters that a terminal would obey."""
    if value is None:
        return "nothing"
    text = printable(value)
    return text if len(text) <= 60 else text[:57] + "..."
