"""The reference page of JSON output: what the real renderers print for made-up answers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from callctl import render, render_answers, render_code_refs, render_findings, render_progress, render_report
from callctl.adoption import Adopted
from callctl.code_refs import CodeRefs, Reference
from callctl.config import Settings
from callctl.errors import StepFailed
from callctl.events import (
    BatchFinished,
    Event,
    IndexProgress,
    Notice,
    StatementStarted,
    StepFinished,
    StepStarted,
    Waiting,
)
from callctl.findings import Finding
from callctl.migrate import Plan, PlannedStep, Run, Status, StepRun, StepState
from callctl.naming import DOCUMENTED, Naming
from callctl.sandbox import Sandbox
from callctl.source_spans import Kind
from callctl.steps import all_steps
from callctl.store import HistoryRow, Saved
from callctl.verify import CheckResult, Report

_AT = datetime(2026, 1, 31, 4, 0, tzinfo=UTC)
_ROW = "1daa822f-1530-d254-a20f-1a19f9c124c6"
_SHA = "024783bf14ac9c6e3d2f4a4d1c4f6f2a8e7b5d9013c2f1e0a9b8c7d6e5f40312"


def _naming() -> Naming:
    chatbots = DOCUMENTED.tables["chatbots"]
    moved = replace(chatbots, columns=MappingProxyType({**chatbots.columns, "chatbottype": "chatbot_type"}))
    return replace(DOCUMENTED, tables=MappingProxyType({**DOCUMENTED.tables, "chatbots": moved}))


def _status() -> None:
    first, second = all_steps()[:2]
    applied = StepState(first.number, first.name, True, False, _AT, "migrator", "ops@deploy", 0.0712, False, None)
    pending = StepState(second.number, second.name, False, False, None, None, None, None, False, None)
    render_answers.status(Status(_naming(), (applied, pending)), Settings(output="json"))


def _plan() -> None:
    step = all_steps()[0]
    statements = step.script("up").statements[:1]
    planned = PlannedStep(step.number, step.name, "up", statements)
    render_answers.plan(Plan("up", DOCUMENTED, (planned,)), "json")


def _asked() -> None:
    finding = Finding(
        "package-rule",
        "warns",
        'chatbots of type "call" in a package of another type: 1',
        "step 6 brings a trigger that refuses such a chatbot when it is written",
        "allow the capability in the package, or move the chatbot, before step 6",
        (_ROW,),
    )
    render_findings.preflight([finding], [4, 5, 6], "json")


def _verify() -> None:
    check = CheckResult(
        id="chatbots-capable",
        sentence="every chatbot, deleted or not, handles chat or call",
        step=None,
        passed=False,
        warns=False,
        count=1,
        columns=("id",),
        sample=((_ROW,),),
        source="verify/capabilities.sql:7",
    )
    render_report.report(Report((1, 2, 3, 4), (check,)), "json")


def _history() -> None:
    file = all_steps()[0].file("up")
    row = HistoryRow(1, 1, "up", file, _SHA, _AT, _AT, "migrator", "ops@deploy", "0.1.0", False)
    render_answers.history([row], (), "json")


def _purge() -> None:
    render_answers.purged([Saved("saved value", "chatbots.settings.call", 250, 0)], "json")


def _code_refs() -> None:
    text = "const isCall = bot.chatbotType === 'call';"
    reference = Reference("src/bot.ts", 12, 20, Kind.CODE, "chatbotType", False, text)
    answer = CodeRefs(("chatbot_type",), 214, (reference,), 1, (), ("scripts/report.sh",))
    render_code_refs.code_refs(answer, answer.references, "json")


def _sandbox() -> None:
    render.document(
        Sandbox(
            url="postgresql:///sandbox?host=/tmp/callctl-k3v9x2qa&port=5432&user=postgres",
            baseline="documented",
            rows=1000,
            seed=1,
            refused_shapes=False,
            version="18",
            directory=Path("~/.local/state/callctl/sandbox"),
        )
    )


def _events() -> None:
    step = all_steps()[3]
    statement = step.script("up").statements[0]
    source, line = statement.source, statement.line
    events: tuple[Event, ...] = (
        Waiting("the migration lock", 2.0),
        Notice("the file of step 1 has been edited since it was applied"),
        StepStarted(step.number, step.name, "up", 1, 10),
        StatementStarted(step.number, "up", source, line, "UPDATE chatapp.chatbot_packages SET …"),
        BatchFinished(step.number, source, line, 2000, 10_000, 2000, 1.7),
        IndexProgress(step.number, "building index: loading tuples in tree", 4_000, 10_000, 0),
        StepFinished(step.number, step.name, "up", 0.55),
    )
    for event in events:
        render_progress.json_event(event)


def _finished() -> None:
    render_answers.run(Run("up", (StepRun(4, "backfill_capabilities", 0.55, 106),), 0.61), "json")


def _adopted() -> None:
    render_answers.adopted([Adopted(1, "users_avatar_url", True, ())], "json")


def _failed() -> None:
    error = StepFailed("steps/03_chatbot_capabilities/up.sql:5: …", hint="run the same command again")
    render.line(render_progress.failed_document(error))


_SAMPLES: tuple[tuple[str, str, Callable[[], None]], ...] = (
    (
        "migrate status",
        """`state` is `pending`, `applied`, `adopted`, `edited`, `half up` or `half down`. `deferred` is true of a
pending step 5 or 6 that waits although a later one is applied (`migrate up --defer-drops`). `names` lists only
what this database calls otherwise than the specification.""",
        _status,
    ),
    (
        "migrate plan",
        """`sql` is the statement in the names of this database, without its semicolon. `deferred` are the
pending steps that `--defer-drops` leaves out.""",
        _plan,
    ),
    (
        "preflight",
        "`level` is `blocks`, `warns`, `unknown` or `ok`; `ready` is false if one blocks.",
        _asked,
    ),
    (
        "verify",
        """`result` is `passed`, `warns` or `failed`. `sample` holds at most ten of the `count` offending
rows; `error` says why a query could not be asked.""",
        _verify,
    ),
    ("migrate history", "Oldest first.", _history),
    ("purge", "What was deleted, after it was deleted.", _purge),
    (
        "code-refs",
        """`kind` is `code`, `string`, `sql` or `comment`; `clear` is false if there is a reference that is neither
a comment nor `related`. Those are listed with `--comments` and `--related` only, and counted always
(`related` ones under no other kind). `skipped` (`file`, `why`) was not read, or not as it should be;
`unread` are files of other kinds that name a column.""",
        _code_refs,
    ),
    ("sandbox start, url, reset", "The sandbox that runs.", _sandbox),
)


def page(generated: str) -> str:
    lines = [
        "# JSON output",
        "",
        generated,
        "With `--output json` stdout holds nothing but JSON. These shapes are a contract: keys may come, no",
        "key is renamed, removed or changed in meaning without a new major version. Times are ISO 8601",
        "with an offset, durations are seconds. Errors and hints still go to stderr, and the",
        "[exit code](exit-codes.md) says how it ended.",
        "",
        "## Questions: one document",
    ]
    for command, text, show in _SAMPLES:
        lines += ["", f"### {command}", "", text, "", "```json", _printed(show), "```"]
    lines += [
        "",
        "## Long work: a JSON object a line",
        "",
        "`migrate up` and `migrate down` print a line for each event while they run. `total` of a",
        "`batch_finished` is the planner's estimate.",
        "",
        *_block(_events),
        "",
        "The last line of a run that did what it should; `deferred` as in a plan:",
        "",
        *_block(_finished),
        "",
        "`migrate adopt` ends with the steps it looked at:",
        "",
        *_block(_adopted),
        "",
        "The last line of a run that failed:",
        "",
        *_block(_failed),
    ]
    return "\n".join(lines) + "\n"


def _block(show: Callable[[], None]) -> Iterator[str]:
    text = _printed(show)
    for line in text.splitlines():
        json.loads(line)
    yield from ("```json", text, "```")


def _printed(show: Callable[[], None]) -> str:
    with redirect_stdout(io.StringIO()) as printed:
        show()
    return printed.getvalue().rstrip()
