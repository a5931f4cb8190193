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


def checked(checked: Checked, output: Output) -> None:
    """What is wrong, row by row."""
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
        lines = [(offence.chatbot_id, offence.path, _reason(offence)) for offence in checked.offences[:_SHOWN]]
        if render.is_terminal(sys.stdout) and render.width(sys.stdout) < _NARROW:
            for id, path, reason in lines:  # a table would break the ids
                render.out(id)
                render.out(render.folded(f"{path} {reason}", sys.stdout, indent=2, hanging=2))
        else:
            table(("chatbot", "field", "what is wrong"), lines)
        if len(checked.offences) > _SHOWN:
            render.out(f"and {len(checked.offences) - _SHOWN:,} more; --output json lists them")
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


def _reason(offence: Offence) -> str:
    return offence.reason + (" (the chatbot is deleted)" if offence.deleted else "")


def missing(missing: Missing, output: Output, *, dry_run: bool, target: Target | None = None) -> None:
    """What ``settings init`` would do, or that there is nothing to do."""
    render.answer(
        output,
        lambda: initial_document(missing.chatbots, dry_run=dry_run, target=target),
        lambda: _missing_text(missing),
        render.Next("callctl settings init") if missing.chatbots else None,
    )


def initial_document(chatbots: Sequence[str], *, dry_run: bool, target: Target | None) -> documents.InitialSettings:
    return {"dry_run": dry_run, "chatbots": chatbots, "target": target}


def _missing_text(missing: Missing) -> None:
    for id in missing.chatbots[:_SHOWN]:
        render.out(id)
    if len(missing.chatbots) > _SHOWN:
        render.out(f"and {len(missing.chatbots) - _SHOWN:,} more; --output json lists them")
    if missing.chatbots:
        render.out(f"{_counted(missing)} would get the default call settings; nothing was changed")
    else:
        render.out("nothing to do: every call-enabled chatbot has call settings")


def question(missing: Missing) -> str:
    """The start of a question: how many chatbots it is about."""
    return f"Give the default call settings to {_counted(missing)},"


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


def _counted(missing: Missing) -> str:
    deleted = f" ({missing.deleted:,} of them deleted)" if missing.deleted else ""
    return f"{render.counted(len(missing.chatbots), 'chatbot')}{deleted}"
