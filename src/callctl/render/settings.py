"""How the answers about call settings look. Never what stands in a setting, unless it is a number."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.render import console as render
from callctl.render.table import table

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.render import documents
    from callctl.target import Target
    from callctl.tenants.chatbot_settings import Checked, Given, Missing, Offence

_SHOWN = 50
_NARROW = 100


def checked(found: Checked, output: Output) -> None:
    """What is wrong, row by row."""
    wrong = len({offence.chatbot_id for offence in found.offences})
    following = None
    if found.missing:
        text = f"callctl settings init gives the defaults to {found.missing:,} that have none"
        following = render.Next("callctl settings init", text)
    elif wrong:
        following = render.Next(None, _CORRECT.format("them"))
    render.answer(output, lambda: checked_document(found), lambda: _checked_text(found, wrong), following)


def checked_document(found: Checked) -> documents.CheckedSettings:
    return {
        "chatbots": found.chatbots,
        "offences": found.offences,
        "unlisted": found.unlisted,
        "missing": found.missing,
    }


_CORRECT = "correct {} in the administration; docs/reference/call-settings.md has the ranges"


def _checked_text(found: Checked, chatbots: int) -> None:
    if found.offences:
        lines = [(each.chatbot_id, each.path, _reason(each)) for each in found.offences[:_SHOWN]]
        if render.is_terminal(sys.stdout) and render.width(sys.stdout) < _NARROW:
            for id, path, reason in lines:  # a table would break the ids
                render.out(id)
                render.out(render.folded(f"{path} {reason}", sys.stdout, indent=2, hanging=2))
        else:
            table(("chatbot", "field", "what is wrong"), lines)
        if len(found.offences) > _SHOWN:
            render.out(f"and {len(found.offences) - _SHOWN:,} more; --output json lists them")
        render.out()
    for each in found.unlisted:
        voices = render.counted(each.chatbots, "chatbot")
        render.warning(f"{voices} with a voice of {each.provider}, whose voices callctl has no list of: not checked")
    total = render.counted(found.chatbots, "call-enabled chatbot")
    if not chatbots:
        render.out(render.styled(f"the call settings of {total} are as they should be", "good", sys.stdout))
        return
    render.out(render.styled(f"{chatbots:,} of {total} with call settings that are wrong", "error", sys.stdout))
    if 0 < found.missing < chatbots:
        render.note(_CORRECT.format("the others"))


def _reason(each: Offence) -> str:
    return each.reason + (" (the chatbot is deleted)" if each.deleted else "")


def missing(found: Missing, output: Output, *, dry_run: bool, target: Target | None = None) -> None:
    """What ``settings init`` would do, or that there is nothing to do."""
    render.answer(
        output,
        lambda: initial_document(found.chatbots, dry_run=dry_run, target=target),
        lambda: _missing_text(found),
        render.Next("callctl settings init") if found.chatbots else None,
    )


def initial_document(chatbots: Sequence[str], *, dry_run: bool, target: Target | None) -> documents.InitialSettings:
    return {"dry_run": dry_run, "chatbots": chatbots, "target": target}


def _missing_text(found: Missing) -> None:
    for id in found.chatbots[:_SHOWN]:
        render.out(id)
    if len(found.chatbots) > _SHOWN:
        render.out(f"and {len(found.chatbots) - _SHOWN:,} more; --output json lists them")
    if found.chatbots:
        render.out(f"{_counted(found)} would get the default call settings; nothing was changed")
    else:
        render.out("nothing to do: every call-enabled chatbot has call settings")


def question(found: Missing) -> str:
    """The start of a question: how many chatbots it is about."""
    return f"Give the default call settings to {_counted(found)},"


def given(done: Given, output: Output, target: Target | None = None) -> None:
    """What was done."""
    render.answer(
        output,
        lambda: initial_document(done.chatbots, dry_run=False, target=target),
        lambda: _given_text(done, target),
        render.Next("callctl settings check"),
    )


def _given_text(done: Given, target: Target | None) -> None:
    number = render.counted(len(done.chatbots), "chatbot")
    render.out(render.styled(f"{number} with the default call settings", "good", sys.stdout))
    if done.chatbots:
        render.written(target)


def _counted(found: Missing) -> str:
    deleted = f" ({found.deleted:,} of them deleted)" if found.deleted else ""
    return f"{render.counted(len(found.chatbots), 'chatbot')}{deleted}"
