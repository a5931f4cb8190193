"""How preflight's findings look."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from callctl import render

if TYPE_CHECKING:
    from callctl.config import Output
    from callctl.preflight import Finding

LEVELS = ("ok", "unknown", "warns", "blocks")  # the worst last, where the eye ends up
_STYLES = {"ok": "good", "unknown": "hint", "warns": "warning", "blocks": "error"}
_OBJECTS_SHOWN = 8
_STATEMENTS = ("ALTER ", "CREATE ", "DROP ", "GRANT ", "UPDATE ", "DELETE ", "SELECT ", "REINDEX ", "PREPARED ")


def preflight(
    findings: Sequence[Finding], pending: Sequence[int], output: Output, *, following: str = "callctl migrate plan"
) -> None:
    """The answer of ``callctl preflight``; ``following`` is the next command where nothing blocks."""
    if output == "json":
        render.document(findings_document(findings, pending))
        return
    for level in LEVELS:
        for group in grouped(findings, level):
            _group(group, sys.stdout)
    count = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    render.out()
    if count["blocks"]:
        answer, style = "not ready", "error"
    else:
        answer, style = "ready", "good"
    numbers = f"{count['blocks']} block, {count['warns']} warn, {count['unknown']} unknown, {count['ok']} ok"
    render.out(f"{render.styled(answer, style, sys.stdout)}: {numbers}")
    if count["blocks"]:
        render.note("next: do what the blocking findings say, then run callctl preflight again")
    else:
        render.note(f"next: {following}")


def before_run(findings: Sequence[Finding]) -> None:
    """What matters of a preflight before a run, on stderr: in full what blocks, a line each for the rest."""
    rest = [finding for level in ("unknown", "warns") for finding in findings if finding.level == level]
    for finding in rest:
        level = render.styled(f"{finding.level:<7}", _STYLES[finding.level], sys.stderr)
        render.note(f"{level}  {_folded(f'{finding.id}: {finding.what}', sys.stderr)}")
    if rest:
        render.note("(callctl preflight says why these matter, and what to do)")
    for group in grouped(findings, "blocks"):
        _group(group, sys.stderr)


def grouped(findings: Sequence[Finding], level: str) -> list[list[Finding]]:
    """The findings of one level, those of one question together: they share their why."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.level == level:
            groups.setdefault((finding.id, finding.why), []).append(finding)
    return list(groups.values())


def findings_document(findings: Sequence[Finding], pending: Sequence[int]) -> dict[str, object]:
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


def _group(group: Sequence[Finding], stream: TextIO) -> None:
    write = render.out if stream is sys.stdout else render.note
    first = group[0]
    level = render.styled(f"{first.level:<7}", _STYLES[first.level], stream)
    if first.level == "ok":
        for finding in group:
            write(f"{level}  {_folded(finding.what, stream)}")
        return
    write("")
    write(f"{level}  {render.styled(first.id, 'strong', stream)}")
    for finding in group:
        write(render.folded(finding.what, stream, indent=9))
        # An object that the sentence names already would only be noise.
        objects = [each for each in finding.objects if each not in finding.what]
        if objects:
            more = len(objects) - _OBJECTS_SHOWN
            shown = ", ".join(objects[:_OBJECTS_SHOWN]) + (f" and {more} more" if more > 0 else "")
            write(render.folded(shown, stream, indent=11))
        if len({each.do for each in group}) > 1:
            _what_to_do(finding.do, stream)
    if first.why:
        write(render.folded(f"why: {first.why}", stream, indent=9, hanging=5))
    if len({each.do for each in group}) == 1:
        _what_to_do(first.do, stream)


def _what_to_do(text: str, stream: TextIO) -> None:
    """What to do, folded; a statement in one line, to be copied as it is."""
    write = render.out if stream is sys.stdout else render.note
    if ";" in text and any(word in text for word in _STATEMENTS):
        write(f"{'':9}do:  {text}")
    elif text:
        write(render.folded(f"do:  {text}", stream, indent=9, hanging=5))


def _folded(text: str, stream: TextIO) -> str:
    """``text`` folded to stand beside a level."""
    return render.folded(text, stream, indent=9).lstrip()
