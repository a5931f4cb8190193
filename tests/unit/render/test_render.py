"""Streams, JSON, and how answers look where there is no terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

import pytest

from callctl.database.store import Saved
from callctl.errors import UNCHANGED, Code, Interrupted, State, StepFailed
from callctl.events import BatchFinished, IndexProgress, Notice, StatementStarted, StepFinished, StepStarted, Waiting
from callctl.forecast.catalog import Name
from callctl.forecast.durations import Interval, Work
from callctl.forecast.effects import Effects
from callctl.forecast.locks import Mode
from callctl.forecast.outlook import Line, Outlook, StepOutlook, Transaction
from callctl.migration.checks.findings import Finding
from callctl.migration.checks.verify import CheckResult, Report
from callctl.migration.migrate import Migrated, MigratedStep, Plan, PlannedStep
from callctl.render import checks as render_checks
from callctl.render import console as render
from callctl.render import migration as render_answers
from callctl.render import progress as render_progress
from callctl.statements.naming import DOCUMENTED
from callctl.statements.script import parse_script


@dataclass(frozen=True)
class Inner:
    seconds: float
    at: datetime


@dataclass(frozen=True)
class Outer:
    b: Inner
    a: tuple[object, ...]


def test_plain_keeps_the_order_of_fields_and_the_exactness_of_values() -> None:
    value = Outer(
        Inner(1.23456, datetime(2026, 1, 31, 4, tzinfo=UTC)),
        (Decimal("0.00000075"), UUID(int=1), Path("x"), frozenset({"b", "a"}), {1: None}, b"x", 0.5, True),
    )
    assert json.dumps(render.plain(value)) == (
        '{"b": {"seconds": 1.235, "at": "2026-01-31T04:00:00+00:00"}, "a": ["0.00000075", '
        '"00000000-0000-0000-0000-000000000001", "x", ["a", "b"], {"1": null}, "b\'x\'", 0.5, true]}'
    )


def test_errors_and_warnings_hide_passwords(capsys: pytest.CaptureFixture[str]) -> None:
    render.error(Code.CANNOT_CONNECT, "no postgresql://me:s3cret@db/x", "try password=s3cret")
    render.warning("postgresql://me:s3cret@db/x")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "s3cret" not in captured.err
    assert captured.err.splitlines()[1] == "callctl: hint: try password=***"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variable", "value", "coloured"),
    [("NO_COLOR", "1", False), ("TERM", "dumb", False), ("TERM", "xterm", True)],
)
def test_colour_is_for_terminals_that_want_it(
    variable: str, value: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, value)
    assert render.has_colour(Terminal()) is coloured
    assert ("\x1b[" in render.styled("text", "error", Terminal())) is coloured
    assert render.styled("text", "error", io.StringIO()) == "text"


class Broken(io.StringIO):
    """A pipe that nobody reads any more."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("w")

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def fileno(self) -> int:
        return self._file.fileno()


def test_a_reader_who_leaves_does_not_stop_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Broken(tmp_path / "nowhere"))
    render.out("a line")
    render_progress.json_event(Notice("another"))


def test_folding_keeps_to_the_width_and_hangs() -> None:
    text = render.folded("why: " + "word " * 40, io.StringIO(), indent=4, hanging=5)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("    why: word")
    assert all(line.startswith("         word") for line in lines[1:])


def test_a_table_in_a_pipe_keeps_a_row_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(("name", "n"), [("x" * 200, "1"), ("[bold]y", "20")], right=("n",))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("x" * 200)
    assert lines[2].startswith("[bold]y")
    assert lines[2].endswith(" 20")


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (1200, "1,200 rows")])
def test_counted(number: int, text: str) -> None:
    assert render.counted(number, "row") == text


SQL = """-- a header

-- Why it is done.
UPDATE chatapp.chatbots SET settings = '{}' WHERE name = 'a;b';

-- callctl: no-transaction
CREATE INDEX CONCURRENTLY i ON chatapp.chatbots (name);

-- check: names: every chatbot has a name
SELECT id FROM chatapp.chatbots WHERE name IS NULL;
"""


def plan() -> Plan:
    script = parse_script(SQL, "steps/99_x/up.sql")
    return Plan("up", DOCUMENTED, (PlannedStep(4, "x", "up", script.statements),))


def test_a_plan_in_a_pipe_is_a_script_that_parses_back_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    render_answers.plan_script(plan())
    captured = capsys.readouterr()
    assert "-- step 4 up: x\n" in captured.out
    assert "-- Why it is done.\n" in captured.out
    again = parse_script(captured.out, "plan.sql").statements
    assert [(s.sql, s.directives, s.check) for s in again] == [
        (s.sql, s.directives, s.check) for s in plan().steps[0].statements
    ]
    assert captured.err == "1 step, 3 statements; nothing was run\n"


def expected() -> Outlook:
    """The outlook of that plan: an update, an index, a check."""
    chatbots = Name("chatapp", "chatbots")
    update, index, check = plan().steps[0].statements
    lines = (
        Line(
            update,
            Effects(["update"], ["set settings of chatbots"], {(chatbots, Mode.ACCESS_EXCLUSIVE): True}),
            Work(),
            "shown",
        ),
        Line(check, Effects([], ["check: every chatbot has a name"]), Work(), "own"),
    )
    build = Effects(
        ["create index"], ["build index i"], {(chatbots, Mode.SHARE_UPDATE_EXCLUSIVE): True}, unknown=["why"]
    )
    work = Work(rows_read=1200, exact=False, bytes_built=10**9)
    hold = Interval(0.0005, 0.01, 0.25)
    transactions = (
        Transaction(lines, seconds=hold, hold=hold, held_from=0),
        Transaction((Line(index, build, work, "shown"),), alone=True),
    )
    step = StepOutlook(4, "x", "up", transactions, Interval(0.2, 20, 90))
    return Outlook((step,), seconds=Interval(0.5, 30, 1000), longest=(hold, 4), disk_bytes=5_000_000)


def test_a_plan_in_a_pipe_is_a_line_a_statement(capsys: pytest.CaptureFixture[str]) -> None:
    render_answers.plan(plan(), expected(), "text")
    captured = capsys.readouterr()
    assert captured.out == (
        "step 4 up  x; 200 ms to 90 s; back: callctl migrate down --to 3\n"
        "  all wait     set settings of chatbots: ACCESS EXCLUSIVE on chatbots; reads and writes wait <1 to 250 ms\n"
        "  not known    build index i: why; SHARE UPDATE EXCLUSIVE on chatbots; reads about 1,200 rows; 1.1 to 67 s\n"
        "  no wait      1 statement of callctl's bookkeeping (--all)\n"
        "total     30 s (500 ms to 17 min in 4 of 5 runs), by shipped rates, not measured on this server\n"
        "wait      longest <1 to 250 ms, step 4; and up to 50 ms behind each attempt to get a lock (lock_timeout)\n"
        "disk      at most 5.0 MB more, and 0 kB of WAL (estimates)\n"
        "not known 1 statement: what is locked is not known before it runs\n"
    )
    assert captured.err == "1 step, 3 statements; nothing was run\n"


def test_a_plan_with_all_statements(capsys: pytest.CaptureFixture[str]) -> None:
    render_answers.plan(plan(), expected(), "text", everything=True)
    assert "  no wait      check: every chatbot has a name\n" in capsys.readouterr().out


def test_a_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    render_answers.plan(plan(), expected(), "json")
    found = json.loads(capsys.readouterr().out)
    assert found["direction"] == "up"
    step = found["steps"][0]
    assert (step["number"], step["name"], step["direction"]) == (4, "x", "up")
    assert step["statements"][2] == {
        "sql": "CREATE INDEX CONCURRENTLY i ON chatapp.chatbots (name)",
        "kind": "create index",
        "source": "steps/99_x/up.sql",
        "line": 7,
        "directives": ["no-transaction"],
        "does": "build index i",
        "weight": "shown",
        "transaction": 2,
        "only_if_rows": False,
        "locks": [
            {
                "schema": "chatapp",
                "table": "chatbots",
                "mode": "SHARE UPDATE EXCLUSIVE",
                "blocks": [],
                "certain": True,
            }
        ],
        "rewrites": [],
        "breaks": [],
        "rows_read": 1200,
        "rows_written_at_most": 0,
        "rows_written_estimate": None,
        "rows_counted": False,
        "seconds": {"low": 1.1116, "expected": 2.2237, "high": 66.6817},
        "hold_seconds": None,
        "unknown": ["why"],
        "hazards": [],
    }
    assert step["statements"][0]["locks"][0]["blocks"] == ["reads", "writes"]
    assert found["forecast"]["longest_wait"] == {"step": 4, "seconds": {"low": 0.0005, "expected": 0.01, "high": 0.25}}
    assert found["forecast"]["rates"] == "shipped"


def test_nothing_to_plan_prints_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    render_answers.plan(Plan("down", DOCUMENTED, ()), Outlook(()), "text")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "nothing to do: no step is applied\n"


def test_the_end_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    run = Migrated("up", (MigratedStep(1, "one", 0.5, 12345), MigratedStep(2, "two", 1.25, 0)), 2.0)
    render_answers.run(run, "text")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["step", "name", "seconds", "rows"]
    assert lines[1].split() == ["1", "one", "0.50", "12,345"]
    assert lines[-1] == "2 steps applied in 2.0 s"
    kept = (Saved("archived table", "calls", 3204, 0), Saved("saved value", "users.avatar_url", 2, 1))
    render_answers.run(Migrated("down", (MigratedStep(10, "calls", 0.5, 0),), 2.0, kept=kept), "text")
    out = capsys.readouterr().out
    assert "archived table calls: 3,204 rows" in out
    assert "saved value users.avatar_url: 2 rows, 1 of them superseded by a newer write" in out
    render_answers.run(Migrated("down", (), 0.0), "text")
    assert capsys.readouterr().out == "nothing to do: no step is applied\n"


def test_purge(capsys: pytest.CaptureFixture[str]) -> None:
    things = (Saved("saved value", "chatbots.type", 1200, 3), Saved("archived table", "calls", 1, 0))
    render_answers.saved(things)
    render_answers.purged(things, "text")
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "saved value chatbots.type: 1,200 rows, 3 of them superseded",
        "archived table calls: 1 row",
    ]
    assert captured.out == "deleted 1,201 rows that were saved\n"


FINDINGS = (
    Finding("bad", "blocks", "it is bad", "because " * 30, "mend it", ("object-1",)),
    Finding("odd", "warns", "one is odd", "it matters", "look", ("one",)),
    Finding("odd", "warns", "two is odd", "it matters", "look", tuple(f"o{n}" for n in range(20))),
    Finding("dark", "unknown", "nobody knows", "it matters", "ask", ()),
    Finding("good", "ok", "all is well", "it matters", "nothing", ()),
)


def test_problems_come_first_each_on_a_line_with_counts(capsys: pytest.CaptureFixture[str]) -> None:
    render_checks.preflight(FINDINGS, [1, 2], "text")
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "blocks   bad: it is bad (1 name)",
        "         fix: mend it",
        "warns    odd: one is odd; two is odd (20 names)",
        "unknown  dark: nobody knows",
        "not ready: 1 block, 2 warn, 1 unknown, 1 ok",
    ]
    assert "next: follow the fixes of the blockers" in captured.err


def test_findings_in_full_and_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    render_checks.preflight(FINDINGS, [1, 2], "text", everything=True)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert text.index("it is bad") < text.index("one is odd") < text.index("nobody knows") < text.index("all is well")
    assert text.count("why: it matters") == 2  # once for dark, once for both odd ones
    assert "o7" not in text
    render_checks.preflight(FINDINGS, [1, 2], "text", names=True)
    text = capsys.readouterr().out
    assert "o7, o8" in text
    assert "o19" in text
    assert "name)" not in text
    assert "all is well" not in text


def test_of_one_question_three_answers_and_fixes_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    many = [Finding("many", "blocks", f"{n} is bad", "why", f"mend {n}") for n in range(7)]
    render_checks.preflight(many, [1], "text")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "blocks   many: 0 is bad; 1 is bad; 2 is bad; and 4 more"
    assert lines[1:5] == [*(f"         fix: mend {n}" for n in range(3)), "         fix: 4 more; --all shows them"]


def test_findings_before_a_run_go_to_stderr_and_leave_out_what_is_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    render_checks.before_run(FINDINGS)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "all is well" not in captured.err
    assert "fix: mend it" in captured.err
    assert "fix: look" not in captured.err


def test_whoever_is_asked_sees_why_and_fix_of_each_warning(capsys: pytest.CaptureFixture[str]) -> None:
    render_checks.before_run(FINDINGS, asks=True)
    captured = capsys.readouterr()
    assert captured.err.count("why: it matters") == 2
    assert "fix: look" in captured.err
    assert "fix: ask" in captured.err
    assert "callctl preflight" not in captured.err  # there is nothing more to read
    assert captured.out == ""


STATEMENT = "ALTER TABLE chatapp.users ADD CONSTRAINT one CHECK (avatar_url <> 'two  words'); then go on"


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_every_line_fits_the_terminal_and_nothing_is_cut(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    ids = tuple(str(UUID(int=n)) for n in range(3))
    findings = [*FINDINGS, Finding("statement", "blocks", "it is so " * 20, "because", STATEMENT, ids)]
    for full in (False, True):
        render_checks.preflight(findings, [1], "text", everything=full, names=full)
        render_checks.verify_report(REPORT, "text", everything=full, names=full)
    text = terminal.getvalue()
    assert all(len(line) <= columns for line in text.splitlines())
    assert text.count("".join(STATEMENT.split())) == 0
    assert "".join(text.split()).count("".join(STATEMENT.split())) == 2
    assert text.count("'two  words'") == 2  # what is in quotes stays together
    assert all(each in text for each in ids)  # a name that fits on a line is not divided
    assert "it is so it is so" in text
    first = next(line for line in text.splitlines() if line.startswith("blocks   statement:"))
    after = text.splitlines()[text.splitlines().index(first) + 1]
    assert after.startswith("  " if columns == 40 else " " * 9)


def test_findings_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    render_checks.preflight(FINDINGS[1:], [3], "json")
    found = json.loads(capsys.readouterr().out)
    assert (found["ready"], found["pending"]) == (True, [3])
    assert found["findings"][0] == {
        "id": "odd",
        "level": "warns",
        "what": "one is odd",
        "why": "it matters",
        "do": "look",
        "objects": ["one"],
    }


def check(id: str, *, count: int = 0, warns: bool = False, error: str | None = None) -> CheckResult:
    sample = tuple((UUID(int=n), "line\none\x00" + "x" * 100) for n in range(min(count, 2)))
    passed = count == 0 and error is None
    return CheckResult(id, "a <sentence> & more", 4, passed, warns, count, ("id", "text"), sample, "f.sql:3", error)


REPORT = Report(
    (4,),
    (
        check("good"),
        check("warned", count=1, warns=True),
        check("bad", count=3),
        check("lost", error="no table"),
    ),
)


def test_a_report_says_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    render_checks.verify_report(REPORT, "text")
    text = capsys.readouterr().out
    assert text.splitlines() == [
        "failed  bad (step 4): 3 rows; should be: a <sentence> & more",
        "failed  lost (step 4): could not be checked (f.sql:3): no table",
        "warns   warned (step 4): 1 row; should be: a <sentence> & more",
        "verify failed: 2 of 4 checks",
    ]
    render_checks.verify_report(REPORT, "text", names=True)
    text = capsys.readouterr().out
    assert "id=00000000-0000-0000-0000-000000000001, text=line one" in text
    assert "and 1 more" in text
    render_checks.verify_report(REPORT, "text", everything=True)
    text = capsys.readouterr().out
    assert "3 rows are not, such as:" in text
    assert text.index("failed  bad") < text.index("warns   warned") < text.index("ok      good")
    render_checks.verify_report(Report((4,), REPORT.checks[:2]), "text")
    assert capsys.readouterr().out.splitlines()[-1] == "verify passed: 2 checks, 1 with a warning"


def test_what_the_server_said_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    lost = Report((4,), tuple(check(f"lost-{n}", error="no such table") for n in range(3)))
    render_checks.verify_report(lost, "text")
    text = capsys.readouterr().out
    assert text.count("no such table") == 1
    assert all(f"lost-{n} (step 4)" in text for n in range(3))
    render_checks.verify_report(lost, "text", everything=True)
    text = capsys.readouterr().out
    assert text.count("no such table") == 1
    assert text.count("as lost-0") == 2


def test_a_report_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    render_checks.verify_report(REPORT, "json")
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is False
    assert [each["result"] for each in found["checks"]] == ["passed", "warns", "failed", "failed"]
    assert found["checks"][2]["sample"][1]["id"] == "00000000-0000-0000-0000-000000000001"


def test_a_report_as_junit_is_xml_whatever_the_rows_hold() -> None:
    root = ElementTree.fromstring(render_checks.junit(REPORT).encode())
    assert root.attrib["tests"] == "4"
    assert root.attrib["failures"] == "2"
    cases = root.findall("./testsuite/testcase")
    assert [case.attrib["name"].split(":")[0] for case in cases] == ["good", "warned", "bad", "lost"]
    assert cases[0].find("failure") is None
    assert "warns: 1 row" in str(cases[1].findtext("system-out"))
    failure = cases[2].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "3 rows"


EVENTS = (
    Waiting("another callctl to finish", 1.5),
    StepStarted(4, "backfill", "up", 1, 2),
    StatementStarted(4, "up", "steps/04/up.sql", 7, "UPDATE [red]x"),
    BatchFinished(4, "steps/04/up.sql", 7, 2000, 3000, 2000, 1.2),
    IndexProgress(4, "building index", 10, 40, 0),
    Notice("read [this]"),
    StepFinished(4, "backfill", "up", 1.2345, 7),
)


def test_events_as_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with render_progress.running("json") as on_event:
        for event in EVENTS:
            on_event(event)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == [
        "waiting",
        "step_started",
        "statement_started",
        "batch_finished",
        "index_progress",
        "notice",
        "step_finished",
    ]
    assert lines[-1] == {
        "version": 1,
        "event": "step_finished",
        "step": 4,
        "name": "backfill",
        "direction": "up",
        "seconds": 1.234,
        "rows": 7,
    }


def test_an_error_is_the_last_line_of_json_and_of_json_only(capsys: pytest.CaptureFixture[str]) -> None:
    error = StepFailed(Code.DISK_FULL, "no password=s3cret", hint="again")
    state = State("partly applied", "its committed work stays", 4, "up")
    render.begin()
    render.failed(error, state, None, "text")
    assert capsys.readouterr().out == ""
    render.failed(error, state, None, "json")
    assert json.loads(capsys.readouterr().out) == {
        "version": 1,
        "event": "failed",
        "code": "CALLCTL-DISK-FULL",
        "message": "no password=***",
        "hint": "again",
        "state": {"database": "partly applied", "step": 4, "direction": "up"},
        "exit_code": 5,
        "target": None,
        "next": None,
    }


def test_no_error_follows_a_result_that_says_how_the_run_ended(capsys: pytest.CaptureFixture[str]) -> None:
    render.begin()
    render.result({"event": "load_tested", "interrupted": True})
    capsys.readouterr()
    render.failed(Interrupted(Code.INTERRUPTED, "interrupted"), UNCHANGED, None, "json")
    assert capsys.readouterr().out == ""


def test_progress_in_a_pipe_is_plain_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with render_progress.running("text") as on_event:
        for event in EVENTS:
            on_event(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "step 4 of 13 up: backfill",
        "note: read [this]",
        "step 4 up: done in 1.2 s",
    ]
    ticks: Iterator[float] = iter(range(0, 1000, 10))
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    with render_progress.running("text") as on_event:
        for event in EVENTS:
            on_event(event)
    lines = capsys.readouterr().err.splitlines()
    assert "waiting 2 s for another callctl to finish" in lines
    assert "step 4: 2,000 of 3,000 rows, about 1 s left" in lines


def test_progress_on_a_terminal_leaves_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with render_progress.running("text") as on_event:
        for event in EVENTS:
            on_event(event)
    text = terminal.getvalue()
    assert "read [this]" in text
    assert "backfill  1.2 s" in text
    assert text.endswith("\x1b[?25h") or "\x1b[?25h" in text  # the cursor is back


def test_a_statement_to_run_is_never_cut() -> None:
    statement = f"DELETE FROM chatapp.calls WHERE id = '{'one, ' * 30}';"
    check = CheckResult("orphans", "none", None, False, False, 1, ("name", "statement"), (("x" * 100, statement),), "")
    assert render_checks.sample_lines(check) == [f"name={'x' * 77}..., statement={statement}"]
