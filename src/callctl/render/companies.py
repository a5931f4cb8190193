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


def listed(found: Sequence[Company], output: Output, *, only_enabled: bool = False) -> None:
    """The companies, or those that are switched on; and what all of them add up to."""
    on = [each for each in found if each.call_enabled]
    listed = on if only_enabled else found
    render.answer(output, lambda: listed_document(found, listed, len(on)), lambda: _listed_text(found, listed, len(on)))


def listed_document(found: Sequence[Company], listed: Sequence[Company], on: int) -> documents.Companies:
    return {
        "companies": [{**_document(company), "taking_calls": company.taking_calls} for company in listed],
        "total": len(found),
        "enabled": on,
        "call_chatbots": sum(company.call_chatbots for company in found),
        "taking_calls": sum(company.taking_calls for company in found),
    }


def _listed_text(found: Sequence[Company], listed: Sequence[Company], on: int) -> None:
    if listed:
        # What a narrow terminal has no room for goes: names are told apart by their slugs, and ids are in the JSON.
        room = render.width(sys.stdout) if render.is_terminal(sys.stdout) else 1000
        shown = (
            ("company", "calls", "call chatbots", "taking calls") + ("name",) * (room >= 80) + ("id",) * (room >= 105)
        )
        table(
            shown, ([_cells(each)[name] for name in shown] for each in listed), right=("call chatbots", "taking calls")
        )
        render.out()
    for each in listed:
        if each.problem is not None:
            render.warning(f"{printable(each.title)}: its {each.problem}, so that its flag cannot be set")
    chatbots, taking = sum(each.call_chatbots for each in found), sum(each.taking_calls for each in found)
    render.out(
        f"{on:,} of {_companies(len(found))} switched on;"
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


def preview(found: Switch) -> None:
    """On stderr, what is asked about."""
    for each in found.changing[:_SHOWN]:
        render.note(f"  {printable(each.title)}: {_chatbots(each, enable=found.enable)}")
    if len(found.changing) > _SHOWN:
        render.note(f"  and {len(found.changing) - _SHOWN:,} more; --dry-run lists them")


def question(found: Switch) -> str:
    """The start of a question: how many companies, and how many chatbots it is about."""
    already = f" ({len(found.unchanged):,} more are already)" if found.unchanged else ""
    return f"Switch calls {_on(found)} for {_companies(len(found.changing))}{already}, {_effect(found)},"


def switched(found: Switch, output: Output, *, dry_run: bool = False, target: Target | None = None) -> None:
    """What was changed, or with ``dry_run`` would be."""
    wrote = found.changing and not dry_run
    render.answer(
        output,
        lambda: switched_document(found, dry_run=dry_run, target=target),
        lambda: _switched_text(found, dry_run=dry_run, target=target),
        render.Next("callctl companies list --enabled") if wrote else None,
    )


def switched_document(found: Switch, *, dry_run: bool, target: Target | None) -> documents.Switched:
    return {
        "enable": found.enable,
        "dry_run": dry_run,
        "changed": [
            {**_document(company), "call_enabled": found.enable, "before": company.call_enabled}
            for company in found.changing
        ],
        "unchanged": [_document(company) for company in found.unchanged],
        "call_chatbots": found.call_chatbots,
        "target": target,
    }


def _switched_text(found: Switch, *, dry_run: bool, target: Target | None) -> None:
    for each in found.changing:
        render.out(f"{printable(each.title)}: {_state(each)} -> {_on(found)}, {_chatbots(each, enable=found.enable)}")
    for each in found.unchanged:
        render.out(f"{printable(each.title)}: {_on(found)} already")
    if not found.changing:
        render.out(f"nothing to do: {_companies(len(found.unchanged))} switched {_on(found)} already")
    elif dry_run:
        render.out(
            f"{_companies(len(found.changing))} would be switched {_on(found)}, {_effect(found)}; nothing was changed"
        )
    else:
        done = f"{_companies(len(found.changing))} switched {_on(found)}, {_effect(found)}"
        render.out(render.styled(done, "good", sys.stdout))
        render.written(target)


def _effect(found: Switch) -> str:
    if not found.call_chatbots:
        return f"where no chatbot {'is enabled for calls yet' if found.enable else 'took calls'}"
    verb = ("begins", "begin") if found.enable else ("ceases", "cease")
    return f"where {render.counted(found.call_chatbots, 'chatbot')} {verb[found.call_chatbots != 1]} to take calls"


def _chatbots(company: Company, *, enable: bool) -> str:
    number = company.call_chatbots if enable else company.taking_calls
    if not number:
        return "no chatbot enabled for calls" if enable else "no chatbot took calls"
    verb = "takes" if number == 1 else "take"
    return f"{render.counted(number, 'chatbot')} {verb} {'' if enable else 'no more '}calls"


def _on(found: Switch) -> str:
    return "on" if found.enable else "off"


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
