"""Draws the findings of preflight and the report of verify."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TextIO
from xml.etree import ElementTree

from callctl.migration.checks.findings import CONTRACT_COLUMNS
from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.migration.checks.findings import CheckResult, Finding, Report
    from callctl.render import documents
    from callctl.statements.naming import Naming

# How preflight's findings look.

PROBLEMS = ("blocks", "warns", "unknown")
LEVELS = (*PROBLEMS, "ok")
_STYLES = {"ok": "good", "unknown": "hint", "warns": "warning", "blocks": "error"}
# Without --all: answers of one question that its line shows; of more, the first alone, or the first
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
        text = "follow the fixes of the blockers, then run callctl preflight again"
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
                _findings_in_full(group, stream, names=names)
            else:
                _finding_line(group, stream, names=names)
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
        render.told("--all: reasons, fixes, and findings that are ok; --names: tables and rows by name")


def before_run(findings: Sequence[Finding], *, asks: bool = False) -> None:
    """Print the findings that matter before a run to stderr: blockers in full, the others in a line each.

    ``asks``: a person is about to answer, and sees the rest in full, too.
    """
    short = False
    for level in PROBLEMS:
        for group in grouped(findings, level):
            if asks or level == "blocks":
                _findings_in_full(group, sys.stderr)
                continue
            short = True
            _finding_line(group, sys.stderr, names=False)
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


def _finding_line(group: Sequence[Finding], stream: TextIO, *, names: bool) -> None:
    """A question's answers on one line; below it the fixes of the blockers."""
    level = group[0].level
    shown = group if names or len(group) <= _TOGETHER else group[: _SHOWN if level == "blocks" else 1]
    others = f"; and {len(group) - len(shown)} more" if len(group) > len(shown) else ""
    text = "; ".join(_finding_counted(finding, names=names) for finding in shown)
    render.item(level, _STYLES[level], f"{group[0].id}: {text}{others}", stream)
    if names:
        _names([name for finding in group for name in _not_said(finding)], stream)
    if level == "blocks":
        fixes = list(dict.fromkeys(finding.do for finding in group if finding.do))
        for fix in fixes[:_SHOWN]:
            _fix(fix, stream)
        if len(fixes) > _SHOWN:
            render.detail(f"fix: {len(fixes) - _SHOWN} more; --all shows them", stream)


def _findings_in_full(group: Sequence[Finding], stream: TextIO, *, names: bool = True) -> None:
    """A question's answers with their why and their fix."""
    level = group[0].level
    fixes = {finding.do for finding in group}
    for finding in group:
        render.item(level, _STYLES[level], f"{finding.id}: {_finding_counted(finding, names=names)}", stream)
        if names:
            _names(_not_said(finding), stream)
        if len(fixes) > 1:
            _fix(finding.do, stream)
    if group[0].why:
        render.detail(f"why: {group[0].why}", stream)
    if len(fixes) == 1:
        _fix(group[0].do, stream)


def _finding_counted(finding: Finding, *, names: bool) -> str:
    """Return the finding, with the number of names left out if its sentence lacks it."""
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
    """Print the fix of a finding. A statement is for a terminal to be copied from."""
    if ";" in text and any(word in text for word in _STATEMENTS):
        render.copied("fix: ", text, stream)
    elif text:
        render.detail(f"fix: {text}", stream)


# How a verify report looks: as text, as JSON, as JUnit XML, as annotations of GitHub.

# What is no pass, the worst first, and how it looks.
_WORDS = {"failed": "error", "warns": "warning"}
# Fixes of one check that are shown without --all.
_FIXES = 2
_LONG = 160
# What XML 1.0 has no way to say, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def verify_report(report: Report, output: Output, *, everything: bool = False, names: bool = False) -> None:
    """The report of ``callctl verify``. In text a problem is a line, and below what failed is what fixes it.

    ``everything``: each with its first rows, what it means and all that fixes it; then what passed, and what
    callctl.yaml accepts. ``names``: the first rows of each.
    """
    render.answer(
        output, lambda: report_document(report), lambda: _report_text(report, everything=everything, names=names)
    )


def _report_text(report: Report, *, everything: bool, names: bool) -> None:
    answered: dict[str, str] = {}
    for word, style in _WORDS.items():
        checks = [check for check in report.checks if result(check) == word]
        if everything:
            _checks_in_full(checks, word, style, answered)
            continue
        for group in _by_answer(checks):
            _check_line(group, word, style, answered, names=names)
    if everything:
        for check in (check for check in report.checks if check.passed):
            render.item("ok", "good", f"{check.id}{_of_step(check)}: {check.sentence}", sys.stdout, columns=8)
        for entry in report.accepted:
            render.item("accepted", "good", f"{entry.object}: {entry.difference}", sys.stdout, columns=10)
            render.detail(f"reason: {entry.reason}", sys.stdout, indent=10, hang=8)
    summary = render.folded(_verify_summary(report), sys.stdout, hanging=2)
    render.out(render.styled(summary, "good" if report.passed else "error", sys.stdout))
    if not everything and not all(check.passed for check in report.checks):
        render.told("--all: meanings, every fix, and passed checks; --names: the first rows")


def failed(checks: Sequence[CheckResult]) -> None:
    """Checks that failed outside of a report, each with its first rows and what fixes it."""
    _checks_in_full(checks, "failed", _WORDS["failed"], {})


def _by_answer(checks: Sequence[CheckResult]) -> list[list[CheckResult]]:
    """The checks, those together that the server refused in the same words: these are said once."""
    groups: dict[str, list[CheckResult]] = {}
    for check in checks:
        groups.setdefault(check.error or check.id, []).append(check)
    return list(groups.values())


def _not_asked(check: CheckResult, answered: dict[str, str]) -> str:
    """Why a check has no answer; what the server said, only where no check in ``answered`` was told the same."""
    first = answered.setdefault(check.error or "", check.id)
    return f"could not be checked ({check.source}): {check.error if first == check.id else f'as {first}'}"


def _check_line(group: Sequence[CheckResult], word: str, style: str, answered: dict[str, str], *, names: bool) -> None:
    check = group[0]
    ids = ", ".join(f"{member.id}{_of_step(member)}" for member in group)
    if check.error is not None:
        render.item(word, style, f"{ids}: {_not_asked(check, answered)}", sys.stdout, columns=8)
        return
    render.item(word, style, f"{ids}: {_check_counted(check)}; should be: {check.sentence}", sys.stdout, columns=8)
    if names:
        _check_rows(check)
    if word != "failed":
        return
    for fix in check.mends[:_FIXES]:
        render.copied("fix: ", fix, sys.stdout, indent=8)
    if len(check.mends) > _FIXES:
        render.detail(f"fix: {len(check.mends) - _FIXES} more; --all shows them", sys.stdout, indent=8)


def _check_rows(check: CheckResult) -> None:
    for line in sample_lines(check):
        render.copied("", line, sys.stdout, indent=10)
    if check.count > len(check.sample):
        render.detail(f"and {check.count - len(check.sample):,} more", sys.stdout, indent=10)


def _verify_summary(report: Report) -> str:
    """One line: the verdict, what it rests on, what to look at."""
    results = [result(check) for check in report.checks]
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
    if "failed" in results:
        return f"verify failed: {results.count('failed')} of {len(results)} checks{looked}"
    warns = f", {results.count('warns')} with a warning" if "warns" in results else ""
    return f"verify passed: {len(results)} checks{warns}{looked}"


def github(report: Report) -> None:
    """The same as workflow commands, which GitHub shows at the top of a run."""
    for check in report.checks:
        if check.passed:
            continue
        level = "warning" if check.warns else "error"
        title = render.annotation_property(f"verify: {check.id}{_of_step(check)}")
        parts = [f"should be: {check.sentence}", check.error or f"{_not_so(check)}:", *sample_lines(check)]
        parts += [f"means: {check.means}"] * bool(check.means) + [f"fix: {fix}" for fix in check.mends]
        render.out(f"::{level} title={title}::{render.annotation_data(chr(10).join(parts))}")
    render.out(render.styled(_verify_summary(report), "good" if report.passed else "error", sys.stdout))


def report_document(report: Report) -> documents.Verify:
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


def result(check: CheckResult) -> Literal["passed", "warns", "failed"]:
    """'passed', 'failed', or 'warns'."""
    return "passed" if check.passed else "warns" if check.warns else "failed"


def _of_step(check: CheckResult) -> str:
    return f" (step {check.step})" if check.step is not None else ""


def _check_counted(check: CheckResult) -> str:
    return render.counted(check.count, "difference" if check.columns == CONTRACT_COLUMNS else "row")


def _not_so(check: CheckResult) -> str:
    is_not = "" if check.columns == CONTRACT_COLUMNS else " is not" if check.count == 1 else " are not"
    return f"{_check_counted(check)}{is_not}{', such as' if check.count > len(check.sample) else ''}"


def _checks_in_full(checks: Sequence[CheckResult], word: str, style: str, answered: dict[str, str]) -> None:
    """Each check with its first rows, what its failure means, and all that fixes it."""
    for check in checks:
        render.item(word, style, f"{check.id}{_of_step(check)}: should be: {check.sentence}", sys.stdout, columns=8)
        if check.error is not None:
            render.detail(_not_asked(check, answered), sys.stdout, indent=8, hang=2)
        else:
            render.detail(f"{_not_so(check)}:", sys.stdout, indent=8)
            for line in sample_lines(check):
                render.copied("", line, sys.stdout, indent=10)
        if check.means:
            render.detail(f"means: {check.means}", sys.stdout, indent=8, hang=7)
        for fix in check.mends:
            render.copied("fix: ", fix, sys.stdout, indent=8)


def sample_lines(check: CheckResult) -> list[str]:
    """Each sample row as 'column=value, …', on one line; a difference in the catalog as a sentence."""
    if check.columns == CONTRACT_COLUMNS:
        return [_difference(*map(str, row)) for row in check.sample]
    return [_row(check.columns, row) for row in check.sample]


def _difference(problem: str, object: str, property: str, expected: str, here: str) -> str:
    if problem != "differs":
        return f"{object}: {problem}" + (f" ({here})" if here != "None" else "")
    if max(len(expected), len(here)) > _LONG:
        position = next(
            (i for i, (wanted, other) in enumerate(zip(expected, here, strict=False)) if wanted != other), 0
        )
        position = max(0, min(position, len(expected), len(here)) - 20)
        expected, here = _part(expected, position), _part(here, position)
    return f"{object}: {property} is {' '.join(here.split())}, should be {' '.join(expected.split())}"


def _part(text: str, start: int) -> str:
    """The text around the place where two long texts begin to differ."""
    return ("…" if start else "") + text[start : start + _LONG] + ("…" if len(text) > start + _LONG else "")


def _row(columns: Sequence[str], row: Sequence[object]) -> str:
    return ", ".join(f"{name}={_value(name, value)}" for name, value in zip(columns, row, strict=True))


def _value(name: str, value: object) -> str:
    text = "NULL" if value is None else " ".join(str(render.plain(value)).split())
    # A statement is there to be run.
    return text if len(text) <= 80 or name == "statement" else text[:77] + "..."


def junit(report: Report) -> str:
    """The report as JUnit XML: a test case a check, a failure with sample rows where one fails."""
    failures = sum(result(check) == "failed" for check in report.checks)
    counts = {"tests": str(len(report.checks)), "failures": str(failures), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "callctl verify", **counts})
    for check in report.checks:
        group = "callctl.verify" if check.step is None else f"callctl.verify.step_{check.step:02}"
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": group, "name": xml_text(f"{check.id}: {check.sentence}")}
        )
        message = xml_text(check.error or _check_counted(check))
        meaning = [f"means: {check.means}"] * bool(check.means) + [f"fix: {fix}" for fix in check.mends]
        text = xml_text("\n".join([*sample_lines(check), *meaning]))
        if result(check) == "failed":
            failure = ElementTree.SubElement(case, "failure", {"message": message, "type": "check"})
            failure.text = text
        elif result(check) == "warns":
            ElementTree.SubElement(case, "system-out").text = f"warns: {message}\n{text}"
    if report.accepted:
        accepted = (f"accepted: {entry.object}: {entry.difference} ({entry.reason})" for entry in report.accepted)
        ElementTree.SubElement(suite, "system-out").text = xml_text("\n".join(accepted))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def xml_text(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
