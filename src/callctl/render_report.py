"""How a verify report looks: as text, as JSON, and as JUnit XML."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from callctl import render

if TYPE_CHECKING:
    from callctl.config import Output
    from callctl.verify import CheckResult, Report

# What XML 1.0 has no way to say, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def report(report: Report, output: Output) -> None:
    if output == "json":
        render.document(report_document(report))
        return
    failed = [check for check in report.checks if not check.passed and not check.warns]
    warned = [check for check in report.checks if not check.passed and check.warns]
    for check in warned:
        _check(check, "warns", "warning")
    for check in failed:
        _check(check, "failed", "error")
    total = len(report.checks)
    if failed:
        render.out(render.styled(f"verify failed: {len(failed)} of {total} checks", "error", sys.stdout))
    else:
        warns = f", {len(warned)} with a warning" if warned else ""
        render.out(render.styled(f"verify passed: {total} checks{warns}", "good", sys.stdout))


def report_document(report: Report) -> dict[str, object]:
    return {
        "passed": report.passed,
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
            }
            for check in report.checks
        ],
    }


def result(check: CheckResult) -> str:
    """'passed', 'failed', or 'warns'."""
    return "passed" if check.passed else "warns" if check.warns else "failed"


def _check(check: CheckResult, word: str, style: str) -> None:
    step = f" (step {check.step})" if check.step is not None else ""
    render.out(f"{render.styled(word, style, sys.stdout)}  {check.id}{step}")
    render.out(render.folded(f"should be: {check.sentence}", sys.stdout, indent=8))
    if check.error is not None:
        render.out(render.folded(f"could not be asked ({check.source}): {check.error}", sys.stdout, indent=8))
        render.out()
        return
    rows = "1 row is not" if check.count == 1 else f"{check.count:,} rows are not"
    render.out(f"        {rows}{', such as' if check.count > len(check.sample) else ''}:")
    for line in sample_lines(check):
        render.out(f"          {line}")
    render.out()


def sample_lines(check: CheckResult) -> list[str]:
    """Each sample row as 'column=value, …', on one line."""
    return [_row(check.columns, row) for row in check.sample]


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
        message = _xml(check.error or render.counted(check.count, "row"))
        text = _xml("\n".join(sample_lines(check)))
        if result(check) == "failed":
            failure = ElementTree.SubElement(case, "failure", {"message": message, "type": "check"})
            failure.text = text
        elif result(check) == "warns":
            ElementTree.SubElement(case, "system-out").text = f"warns: {message}\n{text}"
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
