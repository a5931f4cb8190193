"""The drift of a database: in text, as JSON, as JUnit XML, as annotations for GitHub."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from callctl.render import console as render
from callctl.render.checks import xml_text

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.forecast.drift import Drift, DriftReport
    from callctl.render import documents

_STYLES = {"missing": "error", "changed": "error", "not gone": "error", "added": "warning"}


def report(report: DriftReport, output: Output) -> None:
    """The whole report; in text a difference is a line, and below it the statements that remove it."""
    render.answer(output, lambda: document(report), lambda: _text(report))


def document(report: DriftReport) -> documents.Diff:
    return {
        "drift": [
            {
                "kind": drift.kind,
                "object": drift.object,
                "difference": drift.difference,
                "step": drift.step,
                "fix": list(drift.fix),
                "safe": drift.safe,
                "reason": drift.reason,
            }
            for drift in report.drift
        ],
        "objects": report.objects,
        "applied": list(report.applied),
        "pending": list(report.pending),
        "accepted": [
            {"object": entry.object, "difference": entry.difference, "reason": entry.reason}
            for entry in report.accepted
        ],
    }


def _text(report: DriftReport) -> None:
    for drift in report.drift:
        render.item(drift.kind, _STYLES[drift.kind], f"{drift.object}: {_words(drift)}", sys.stdout, columns=10)
        for statement in drift.fix:
            render.copied(f"{'safe' if drift.safe else 'look'}: ", f"{statement};", sys.stdout, indent=10)
        if drift.reason is not None:
            render.detail(f"not safe: {drift.reason}" if drift.fix else drift.reason, sys.stdout, indent=10)
        if drift.kind == "added" and drift.accepted_as is not None:
            object, difference = (json.dumps(text, ensure_ascii=False) for text in drift.accepted_as)
            entry = f"accept: [{{object: {object}, difference: {difference}, reason: ...}}]"
            render.copied("or in callctl.yaml: ", entry, sys.stdout, indent=10)
    summary = render.folded(_summary(report), sys.stdout, hanging=2)
    render.out(render.styled(summary, "error" if report.drift else "good", sys.stdout))


def _words(drift: Drift) -> str:
    step = f" (step {drift.step})" if drift.step else ""
    return f"{drift.difference if drift.difference != drift.kind else drift.kind}{step}"


def _summary(report: DriftReport) -> str:
    """One line: how much differs, and what was compared."""
    looked = [render.counted(report.objects, "object") + " of the catalog compared; no row read"]
    if report.accepted:
        looked.append(f"{render.counted(len(report.accepted), 'difference')} accepted")
    if report.pending:
        looked.append(f"{render.counted(len(report.pending), 'step')} pending: only what they read was looked for")
    whole = "; ".join(looked)
    if not report.drift:
        return f"no drift ({whole})"
    safe = sum(drift.safe for drift in report.drift)
    number = render.counted(len(report.drift), "difference")
    return f"{number}, {safe} with a safe fix ({whole})"


def github(report: DriftReport) -> None:
    """The same as workflow commands, which GitHub shows at the top of a run."""
    for drift in report.drift:
        level = "warning" if drift.kind == "added" else "error"
        title = render.annotation_property(f"diff: {drift.object}")
        lines = [_words(drift), *_fixes(drift)]
        render.out(f"::{level} title={title}::{render.annotation_data(chr(10).join(lines))}")
    render.out(render.styled(_summary(report), "error" if report.drift else "good", sys.stdout))


def junit(report: DriftReport) -> str:
    """The report as JUnit XML: one test case for what was compared, and one that fails for each difference."""
    failures = len(report.drift)
    counts = {"tests": str(failures + 1), "failures": str(failures), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "callctl diff", **counts})
    case = ElementTree.SubElement(suite, "testcase", {"classname": "callctl.diff", "name": "the catalog was compared"})
    ElementTree.SubElement(case, "system-out").text = xml_text(_summary(report))
    for drift in report.drift:
        name = xml_text(f"{drift.object}: {_words(drift)}")
        case = ElementTree.SubElement(suite, "testcase", {"classname": "callctl.diff", "name": name})
        failure = ElementTree.SubElement(case, "failure", {"message": xml_text(_words(drift)), "type": drift.kind})
        failure.text = xml_text("\n".join(_fixes(drift)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _fixes(drift: Drift) -> list[str]:
    word = "safe" if drift.safe else "look at it first"
    return [f"fix ({word}): {statement};" for statement in drift.fix] + (
        [drift.reason] if drift.reason is not None else []
    )
