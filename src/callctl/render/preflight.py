"""How preflight's findings look."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.migration.checks.preflight import Finding
    from callctl.render import documents
    from callctl.statements.naming import Naming

PROBLEMS = ("blocks", "warns", "unknown")
LEVELS = (*PROBLEMS, "ok")
_STYLES = {"ok": "good", "unknown": "hint", "warns": "warning", "blocks": "error"}
# Where nobody asked for all: so many answers of one question stand on its line; of more, the first alone, or the first
# few that block, each with its fix.
_TOGETHER = 2
_SHOWN = 3
_STATEMENTS = ("ALTER ", "CREATE ", "DROP ", "GRANT ", "UPDATE ", "DELETE ", "SELECT ", "REINDEX ", "PREPARED ")


def preflight(
    findings: Sequence[Finding],
    pending: Sequence[int],
    output: Output,
    *,
    following: str = "callctl migrate plan",
    naming: Naming | None = None,
    everything: bool = False,
    names: bool = False,
) -> None:
    """The answer of ``callctl preflight``; ``following`` is the next command where nothing blocks.

    In text a problem is a line. ``everything``: its why and its fix, too, and what is ok. ``names``: what each is about
    by name, and what this database calls otherwise than the specification.
    """
    if any(finding.level == "blocks" for finding in findings):
        text = "do what the blocking findings say, then run callctl preflight again"
        following_this = render.Next("callctl preflight", text)
    else:
        following_this = render.Next(following)
    render.answer(
        output,
        lambda: findings_document(findings, pending),
        lambda: _findings_text(findings, naming, everything=everything, names=names),
        following_this,
    )


def _findings_text(findings: Sequence[Finding], naming: Naming | None, *, everything: bool, names: bool) -> None:
    stream = sys.stdout
    for level in PROBLEMS:
        for group in grouped(findings, level):
            if everything:
                _in_full(group, stream, names=names)
            else:
                _line(group, stream, names=names)
    if everything:
        for finding in (finding for finding in findings if finding.level == "ok"):
            render.item("ok", "good", finding.what, stream)
    if names and naming is not None:
        render.called(naming.describe())
    count = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    answer, style = ("not ready", "error") if count["blocks"] else ("ready", "good")
    numbers = f"{count['blocks']} block, {count['warns']} warn, {count['unknown']} unknown, {count['ok']} ok"
    summary = render.folded(f"{answer}: {numbers}", stream, hanging=2)
    render.out(render.styled(answer, style, stream) + summary[len(answer) :])
    if not everything:
        render.told("--all: why, what to do, and what is ok; --names: tables and rows by name")


def before_run(findings: Sequence[Finding], *, asks: bool = False) -> None:
    """What matters of a preflight before a run, on stderr: in full what blocks, a line a question for the rest.

    ``asks``: a person is about to answer, and sees the rest in full, too.
    """
    short = False
    for level in PROBLEMS:
        for group in grouped(findings, level):
            if asks or level == "blocks":
                _in_full(group, sys.stderr)
                continue
            short = True
            _line(group, sys.stderr, names=False)
    if short:
        render.told("(callctl preflight --all says why these matter, and what to do)")


def grouped(findings: Sequence[Finding], level: str) -> list[list[Finding]]:
    """The findings of one level, those of one question together: they share their why."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.level == level:
            groups.setdefault((finding.id, finding.why), []).append(finding)
    return list(groups.values())


def findings_document(findings: Sequence[Finding], pending: Sequence[int]) -> documents.Preflight:
    return {
        "ready": not any(finding.level == "blocks" for finding in findings),
        "pending": list(pending),
        "findings": [
            {
                "id": finding.id,
                "level": finding.level,
                "what": finding.what,
                "why": finding.why,
                "do": finding.do,
                "objects": list(finding.objects),
            }
            for finding in findings
        ],
    }


def _line(group: Sequence[Finding], stream: TextIO, *, names: bool) -> None:
    """A question's answers on one line; below it what mends what blocks."""
    level = group[0].level
    shown = group if names or len(group) <= _TOGETHER else group[: _SHOWN if level == "blocks" else 1]
    more = f"; and {len(group) - len(shown)} more" if len(group) > len(shown) else ""
    text = "; ".join(_counted(finding, names=names) for finding in shown)
    render.item(level, _STYLES[level], f"{group[0].id}: {text}{more}", stream)
    if names:
        _names([name for finding in group for name in _not_said(finding)], stream)
    if level == "blocks":
        fixes = list(dict.fromkeys(finding.do for finding in group if finding.do))
        for fix in fixes[:_SHOWN]:
            _fix(fix, stream)
        if len(fixes) > _SHOWN:
            render.detail(f"fix: {len(fixes) - _SHOWN} more; --all shows them", stream)


def _in_full(group: Sequence[Finding], stream: TextIO, *, names: bool = True) -> None:
    """A question's answers with their why and their fix."""
    level = group[0].level
    fixes = {finding.do for finding in group}
    for finding in group:
        render.item(level, _STYLES[level], f"{finding.id}: {_counted(finding, names=names)}", stream)
        if names:
            _names(_not_said(finding), stream)
        if len(fixes) > 1:
            _fix(finding.do, stream)
    if group[0].why:
        render.detail(f"why: {group[0].why}", stream)
    if len(fixes) == 1:
        _fix(group[0].do, stream)


def _counted(finding: Finding, *, names: bool) -> str:
    """What was found, and the number of names left out, where the sentence does not say it."""
    left_out = len(_not_said(finding))
    if names or not left_out or str(left_out) in finding.what:
        return finding.what
    return f"{finding.what} ({render.counted(left_out, 'name')})"


def _not_said(finding: Finding) -> list[str]:
    """The objects that the sentence does not name already."""
    return [name for name in finding.objects if name not in finding.what]


def _names(names: Sequence[str], stream: TextIO) -> None:
    if names:
        render.detail(", ".join(names), stream, hang=0)


def _fix(text: str, stream: TextIO) -> None:
    """What to do about it. A statement is for a terminal to be copied from."""
    if ";" in text and any(word in text for word in _STATEMENTS):
        render.copied("fix: ", text, stream)
    elif text:
        render.detail(f"fix: {text}", stream)
