"""How a verify report looks: as text, as JSON, as JUnit XML, as annotations of GitHub."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from callctl import render
from callctl.results import CONTRACT_COLUMNS

if TYPE_CHECKING:
    from callctl.config import Output
    from callctl.results import CheckResult, Report

_LONG = 160
# What XML 1.0 has no way to say, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def report(report: Report, output: Output) -> None:
    if output == "json":
        render.document(report_document(report))
        return
    failing = [check for check in report.checks if result(check) == "failed"]
    warned = [check for check in report.checks if result(check) == "warns"]
    for check in warned:
        _check(check, "warns", "warning")
    failed(failing)
    for entry in report.accepted:
        word = render.styled("accepted", "good", sys.stdout)
        render.out(f"{word}  {entry.object}: {entry.difference}")
        render.out(render.folded(f"reason: {entry.reason}", sys.stdout, indent=10))
        render.out()
    if failing:
        render.out(render.folded(f"failed: {', '.join(check.id for check in failing)}", sys.stdout))
    render.out(_summary(report))


def failed(checks: Sequence[CheckResult]) -> None:
    """Checks that failed outside of a report, each with its first rows and what fixes it."""
    for check in checks:
        _check(check, "failed", "error")


def _summary(report: Report) -> str:
    """One line: the verdict, what it rests on, what to look at."""
    found = [result(check) for check in report.checks]
    looked = ", ".join(
        part
        for part in (
            render.counted(report.objects, "object") + " of the catalog" if report.objects else "",
            "no row (--fast)" if report.fast else "",
            f"{render.counted(len(report.accepted), 'difference')} accepted" if report.accepted else "",
        )
        if part
    )
    looked = f" ({looked})" if looked else ""
    if "failed" in found:
        text = f"verify failed: {found.count('failed')} of {len(found)} checks{looked}"
        return render.styled(text, "error", sys.stdout)
    warns = f", {found.count('warns')} with a warning" if "warns" in found else ""
    return render.styled(f"verify passed: {len(found)} checks{warns}{looked}", "good", sys.stdout)


def github(report: Report) -> None:
    """The same as workflow commands, which GitHub shows at the top of a run."""
    for check in report.checks:
        if check.passed:
            continue
        level = "warning" if check.warns else "error"
        title = render.annotation_property(f"verify: {check.id}{_of_step(check)}")
        parts = [f"should be: {check.sentence}", check.error or f"{_not_so(check)}:", *sample_lines(check)]
        parts += [f"means: {check.means}"] * bool(check.means) + [f"fix: {each}" for each in check.mends]
        render.out(f"::{level} title={title}::{render.annotation_data(chr(10).join(parts))}")
    render.out(_summary(report))


def report_document(report: Report) -> dict[str, object]:
    return {
        "passed": report.passed,
        "steps": list(report.steps),
        "objects": report.objects,
        "fast": report.fast,
        "accepted": [
            {"object": entry.object, "difference": entry.difference, "reason": entry.reason}
            for entry in report.accepted
        ],
        "checks": [
            {
                "id": check.id,
                "sentence": check.sentence,
                "step": check.step,
                "result": result(check),
                "source": check.source,
                "error": check.error,
                "count": check.count,
                "sample": [dict(zip(check.columns, row, strict=True)) for row in check.sample],
                "means": check.means,
                "mends": list(check.mends),
            }
            for check in report.checks
        ],
    }


def result(check: CheckResult) -> str:
    """'passed', 'failed', or 'warns'."""
    return "passed" if check.passed else "warns" if check.warns else "failed"


def _of_step(check: CheckResult) -> str:
    return f" (step {check.step})" if check.step is not None else ""


def _counted(check: CheckResult) -> str:
    return render.counted(check.count, "difference" if check.columns == CONTRACT_COLUMNS else "row")


def _not_so(check: CheckResult) -> str:
    is_not = "" if check.columns == CONTRACT_COLUMNS else " is not" if check.count == 1 else " are not"
    return f"{_counted(check)}{is_not}{', such as' if check.count > len(check.sample) else ''}"


def _check(check: CheckResult, word: str, style: str) -> None:
    render.out(f"{render.styled(word, style, sys.stdout)}  {check.id}{_of_step(check)}")
    render.out(render.folded(f"should be: {check.sentence}", sys.stdout, indent=8))
    if check.error is not None:
        render.out(render.folded(f"could not be asked ({check.source}): {check.error}", sys.stdout, indent=8))
    else:
        render.out(f"        {_not_so(check)}:")
        for line in sample_lines(check):
            render.out(f"          {line}")
    if check.means:
        render.out(render.folded(f"means: {check.means}", sys.stdout, indent=8))
    for each in check.mends:
        # A statement is for a terminal to be copied from: it stays on its line.
        render.out(f"        fix: {' '.join(each.split())}")
    render.out()


def sample_lines(check: CheckResult) -> list[str]:
    """Each sample row as 'column=value, …', on one line; a difference in the catalog as a sentence."""
    if check.columns == CONTRACT_COLUMNS:
        return [_difference(*map(str, row)) for row in check.sample]
    return [_row(check.columns, row) for row in check.sample]


def _difference(problem: str, object: str, property: str, expected: str, found: str) -> str:
    if problem != "differs":
        return f"{object}: {problem}"
    if max(len(expected), len(found)) > _LONG:
        at = next((i for i, (one, other) in enumerate(zip(expected, found, strict=False)) if one != other), 0)
        at = max(0, min(at, len(expected), len(found)) - 20)
        expected, found = _part(expected, at), _part(found, at)
    return f"{object}: {property} is {' '.join(found.split())}, should be {' '.join(expected.split())}"


def _part(text: str, at: int) -> str:
    """What stands around the place where two long texts part."""
    return ("…" if at else "") + text[at : at + _LONG] + ("…" if len(text) > at + _LONG else "")


def _row(columns: Sequence[str], row: Sequence[object]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in zip(columns, row, strict=True))


def _value(value: object) -> str:
    text = "NULL" if value is None else " ".join(str(render.plain(value)).split())
    return text if len(text) <= 80 else text[:77] + "..."


def junit(report: Report) -> str:
    """The report as JUnit XML: a test case a check, a failure with sample rows where one fails."""
    failures = sum(result(check) == "failed" for check in report.checks)
    counts = {"tests": str(len(report.checks)), "failures": str(failures), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "callctl verify", **counts})
    for check in report.checks:
        group = "callctl.verify" if check.step is None else f"callctl.verify.step_{check.step:02}"
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": group, "name": _xml(f"{check.id}: {check.sentence}")}
        )
        message = _xml(check.error or _counted(check))
        meaning = [f"means: {check.means}"] * bool(check.means) + [f"fix: {each}" for each in check.mends]
        text = _xml("\n".join([*sample_lines(check), *meaning]))
        if result(check) == "failed":
            failure = ElementTree.SubElement(case, "failure", {"message": message, "type": "check"})
            failure.text = text
        elif result(check) == "warns":
            ElementTree.SubElement(case, "system-out").text = f"warns: {message}\n{text}"
    if report.accepted:
        accepted = (f"accepted: {entry.object}: {entry.difference} ({entry.reason})" for entry in report.accepted)
        ElementTree.SubElement(suite, "system-out").text = _xml("\n".join(accepted))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
