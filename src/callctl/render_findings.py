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


def preflight(findings: Sequence[Finding], pending: Sequence[int], output: Output) -> None:
    """The answer of ``callctl preflight``."""
    if output == "json":
        render.document(findings_document(findings, pending))
        return
    for level in LEVELS:
        for finding in findings:
            if finding.level == level:
                _finding(finding, sys.stdout)
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
        render.note("next: callctl migrate plan")


def before_run(findings: Sequence[Finding]) -> None:
    """What matters of a preflight before a run: everything but what is well. For stderr."""
    for level in LEVELS[1:]:
        for finding in findings:
            if finding.level == level:
                _finding(finding, sys.stderr)


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


def _finding(finding: Finding, stream: TextIO) -> None:
    write = render.out if stream is sys.stdout else render.note
    level = render.styled(f"{finding.level:<7}", _STYLES[finding.level], stream)
    what = render.folded(finding.what, stream, indent=9).lstrip()
    if finding.level == "ok":
        write(f"{level}  {what}")
        return
    write("")
    write(f"{level}  {render.styled(finding.id, 'strong', stream)}")
    write(f"         {what}")
    if finding.objects:
        more = len(finding.objects) - _OBJECTS_SHOWN
        shown = ", ".join(finding.objects[:_OBJECTS_SHOWN]) + (f" and {more} more" if more > 0 else "")
        write(render.folded(shown, stream, indent=11))
    if finding.why:
        write(render.folded(f"why: {finding.why}", stream, indent=9, hanging=5))
    if finding.do:
        write(render.folded(f"do:  {finding.do}", stream, indent=9, hanging=5))
