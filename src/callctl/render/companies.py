"""How the answers about companies look: which are switched on, and what that means for their chatbots."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.redaction import printable
from callctl.render import console as render
from callctl.render.table import table

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.render import documents
    from callctl.target import Target
    from callctl.tenants.companies import Company, Switch

_SHOWN = 20


def listed(companies: Sequence[Company], output: Output, *, only_enabled: bool = False) -> None:
    """The companies, or those that are switched on; and what all of them add up to."""
    on = [company for company in companies if company.call_enabled]
    listed = on if only_enabled else companies
    render.answer(
        output, lambda: listed_document(companies, listed, len(on)), lambda: _listed_text(companies, listed, len(on))
    )


def listed_document(companies: Sequence[Company], listed: Sequence[Company], on: int) -> documents.Companies:
    return {
        "companies": [{**_document(company), "taking_calls": company.taking_calls} for company in listed],
        "total": len(companies),
        "enabled": on,
        "call_chatbots": sum(company.call_chatbots for company in companies),
        "taking_calls": sum(company.taking_calls for company in companies),
    }


def _listed_text(companies: Sequence[Company], listed: Sequence[Company], on: int) -> None:
    if listed:
        # What a narrow terminal has no room for goes: names are told apart by their slugs, and ids are in the JSON.
        room = render.width(sys.stdout) if render.is_terminal(sys.stdout) else 1000
        shown = (
            ("company", "calls", "call chatbots", "taking calls") + ("name",) * (room >= 80) + ("id",) * (room >= 105)
        )
        table(
            shown,
            ([_cells(company)[name] for name in shown] for company in listed),
            right=("call chatbots", "taking calls"),
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


def _cells(company: Company) -> dict[str, str]:
    return {
        "company": printable(company.title),
        "calls": _state(company),
        "call chatbots": f"{company.call_chatbots:,}",
        "taking calls": f"{company.taking_calls:,}",
        "name": printable(company.name or ""),
        "id": company.id,
    }


def _state(company: Company) -> str:
    if company.problem is not None:
        return "unclear"
    return {True: "on", False: "off", None: "off (not set)"}[company.call_enabled]


def preview(switch: Switch) -> None:
    """On stderr, what is asked about."""
    for company in switch.changing[:_SHOWN]:
        render.note(f"  {printable(company.title)}: {_chatbots(company, enable=switch.enable)}")
    if len(switch.changing) > _SHOWN:
        render.note(f"  and {len(switch.changing) - _SHOWN:,} more; --dry-run lists them")


def question(switch: Switch) -> str:
    """The start of a question: how many companies, and how many chatbots it is about."""
    already = f" ({len(switch.unchanged):,} more are already)" if switch.unchanged else ""
    return f"Switch calls {_on(switch)} for {_companies(len(switch.changing))}{already}, {_effect(switch)},"


def switched(switch: Switch, output: Output, *, dry_run: bool = False, target: Target | None = None) -> None:
    """What was changed, or with ``dry_run`` would be."""
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
            {**_document(company), "call_enabled": switch.enable, "before": company.call_enabled}
            for company in switch.changing
        ],
        "unchanged": [_document(company) for company in switch.unchanged],
        "call_chatbots": switch.call_chatbots,
        "target": target,
    }


def _switched_text(switch: Switch, *, dry_run: bool, target: Target | None) -> None:
    for company in switch.changing:
        chatbots = _chatbots(company, enable=switch.enable)
        render.out(f"{printable(company.title)}: {_state(company)} -> {_on(switch)}, {chatbots}")
    for company in switch.unchanged:
        render.out(f"{printable(company.title)}: {_on(switch)} already")
    if not switch.changing:
        render.out(f"nothing to do: {_companies(len(switch.unchanged))} switched {_on(switch)} already")
    elif dry_run:
        number = _companies(len(switch.changing))
        render.out(f"{number} would be switched {_on(switch)}, {_effect(switch)}; nothing was changed")
    else:
        done = f"{_companies(len(switch.changing))} switched {_on(switch)}, {_effect(switch)}"
        render.out(render.styled(done, "good", sys.stdout))
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


def _document(company: Company) -> documents.CompanyFacts:
    return {
        "id": company.id,
        "slug": company.slug,
        "name": company.name,
        "call_enabled": company.call_enabled,
        "problem": company.problem,
        "call_chatbots": company.call_chatbots,
    }
