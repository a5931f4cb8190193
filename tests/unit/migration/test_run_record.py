"""The page of a run: what the events say, put together; nothing of a row, and no secret of a message."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from callctl.cli.common import command_line
from callctl.errors import Code, Interrupted, LockHeld, Refused, StepFailed
from callctl.events import BatchFinished, MigrationStarted, Notice, StatementStarted, StepFinished, StepStarted, Waiting
from callctl.migration.checks.findings import Finding
from callctl.migration.run_record import RunRecord
from callctl.render import run_page as render_run

STARTED = MigrationStarted(
    "up", "shop <1>", "db:5432", "18.1", "migrator", "ann@laptop", "chatapp", (("users", "avatar_url", "avatarUrl"),),
    (1, 2, 3), False,
)  # fmt: skip


class Clock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still until a test moves it."""
    fake = Clock()
    monkeypatch.setattr("callctl.migration.run_record.time.monotonic", lambda: fake.now)
    return fake


def statement(step: int, line: int, summary: str = "ALTER TABLE x") -> StatementStarted:
    return StatementStarted(step, "up", f"steps/{step}/up.sql", line, summary)


def text_of(record: RunRecord) -> str:
    """The page as a person reads it; it must be well formed."""
    page = render_run.write(record)
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=", page)
    tree = ElementTree.fromstring(re.sub("<!doctype html>|<meta [^>]*>", "", page)
                                  .replace("&nbsp;", " ").replace("<br>", "<br/>").replace(" open>", ">"))  # fmt: skip
    return " ".join(" ".join(tree.itertext()).split())


def test_a_run_that_arrives(clock: Clock) -> None:
    record = RunRecord()
    clock.now += 0.5
    record(Waiting("another callctl to finish", 0.5))
    clock.now += 1
    record(Waiting("another callctl to finish", 1.5))
    record(STARTED)
    record.add_findings([Finding("backup", "warns", "no backup", "it may be needed", "take one")])
    record(StepStarted(1, "first", "up", 1, 3))
    record(statement(1, 5))
    record(statement(1, 7, "UPDATE a < b"))
    clock.now += 0.1
    record(Waiting("a lock", 0.1))
    clock.now += 0.3
    record(statement(1, 5))
    record(statement(1, 7, "UPDATE a < b"))
    record(Waiting("a lock, held by pid 7", 0.4))
    clock.now += 0.2
    record(Waiting("a lock", 0.2))
    record(BatchFinished(1, "steps/1/up.sql", 7, 10, 20, 9, 1.0))
    record(BatchFinished(1, "steps/1/up.sql", 7, 20, 20, 19, 0.0))
    record(StepFinished(1, "first", "up", 1.25, 1019))
    record(Notice("index was left invalid"))
    record.end(None)
    assert (record.outcome, record.under_way) == ("done", None)
    assert [(entry.line, entry.tries, entry.batches, entry.rows) for entry in record.steps[0].statements] == [
        (5, 2, 0, 0),
        (7, 2, 2, 19),
    ]
    assert [(wait.step, wait.what, round(wait.at, 6), round(wait.seconds, 6)) for wait in record.waits] == [
        (0, "another callctl to finish", 0.0, 1.5),
        (1, "a lock, held by pid 7", 1.5, 0.4),
        (1, "a lock", 1.9, 0.2),
    ]
    text = text_of(record)
    for phrase in (
        "migrate up of shop <1>: done",
        "Step 1 applied and committed, 1,019 rows changed",
        "users.avatar_url is avatarUrl",
        "UPDATE a < b",
        "steps/1/up.sql:7",
        "3 waits, the longest 1.50 s",
        "index was left invalid",
        "warns backup: no backup",
        "take one",
    ):
        assert phrase in text


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (StepFailed(Code.LOCK_TIMEOUT, "steps/2/up.sql:3: no lock\nstep 2 was rolled back", hint="end it"), "failed"),
        (Interrupted(Code.INTERRUPTED, "interrupted in step 2", hint="run it again"), "interrupted"),
        (RuntimeError("a bug"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
    ],
    ids=["failed", "interrupted", "bug", "ctrl-c"],
)
def test_a_run_that_stops_in_a_step(error: BaseException, outcome: str) -> None:
    record = RunRecord()
    record(STARTED)
    record(StepStarted(1, "first", "up", 1, 3))
    record(StepFinished(1, "first", "up", 0.5, 1))
    record(StepStarted(2, "second", "up", 2, 3))
    record(statement(2, 3))
    record.end(error)
    assert record.outcome == outcome
    text = text_of(record)
    for phrase in ("Step 1 applied and committed, 1 row changed", "Step 2 was under way", "Not begun: 3"):
        assert phrase in text
    assert "not committed" in text
    if isinstance(error, StepFailed | Interrupted):
        assert " ".join(error.message.split()) in text
        assert str(error.hint) in text
    else:
        assert "callctl migrate status" in text


def test_a_run_that_stops_between_batches_says_what_is_committed() -> None:
    record = RunRecord()
    record(STARTED)
    record(StepStarted(2, "second", "up", 1, 2))
    record(statement(2, 3))
    for number in range(1, 25):
        record(BatchFinished(2, "steps/2/up.sql", 3, number * 200, 10_000, number * 193 + 5, 1.0))
    record(Waiting("a lock", 0.2))
    record.end(Interrupted(Code.INTERRUPTED, "interrupted in step 2", hint="run it again"))
    text = text_of(record)
    assert "Step 2 is partly applied: 4,637 rows in 24 batches are committed, the rest is pending" in text
    assert "partly applied: 4,637 rows in 24 batches are committed" in text
    assert "not committed" not in text
    assert "exit code 130" in text
    assert "0.2 s of waiting for others" in text


@pytest.mark.parametrize(
    "error",
    [
        Refused(Code.PREFLIGHT_BLOCKERS, "preflight found blockers: x", hint="mend it"),
        LockHeld(Code.LOCK_HELD, "held by ann"),
    ],
    ids=str,
)
def test_a_run_that_is_refused(error: Refused | LockHeld) -> None:
    record = RunRecord()
    record.add_findings([Finding("x", "blocks", "it blocks", "why", "do")])
    record.end(error)
    text = text_of(record)
    for phrase in ("migrate: refused", error.message, "No step was completed", "blocks x: it blocks"):
        assert phrase in text


def test_a_run_that_was_killed_leaves_the_page_of_its_last_step() -> None:
    record = RunRecord()
    record(STARTED)
    record(StepStarted(1, "first", "up", 1, 3))
    record(StepFinished(1, "first", "up", 0.5, 1))
    text = text_of(record)
    assert "migrate up of shop <1>: under way" in text
    assert "it was killed: callctl migrate status" in text


def test_steps_of_one_transaction_that_begins_again() -> None:
    record = RunRecord()
    record(STARTED)
    for _ in range(2):
        for number in (1, 2):
            record(StepStarted(number, f"step{number}", "up", number, 3))
            record(statement(number, 1))
    assert [step.number for step in record.steps] == [1, 2]
    for number in (1, 2):
        record(StepFinished(number, f"step{number}", "up", 0.25, 3))
    record.end(None)
    assert [(step.seconds, step.rows) for step in record.steps] == [(0.25, 3)] * 2


def test_a_password_in_a_message_does_not_reach_the_page() -> None:
    record = RunRecord()
    record(Notice("lost postgresql://ann:hunter2@db/shop"))
    record.end(
        StepFailed(
            Code.CONNECTION_LOST, "lost postgresql://ann:hunter2@db/shop", hint="see postgresql://ann:hunter2@db/shop"
        )
    )
    assert "hunter2" not in render_run.write(record)


def test_the_page_fits_a_phone_a_dark_screen_and_paper() -> None:
    record = RunRecord("callctl migrate up --yes")
    record.end(None)
    page = render_run.write(record)
    assert '<meta name="viewport"' in page
    assert "@media (prefers-color-scheme: dark)" in page
    assert "@media print" in page
    assert "<dt>command</dt><dd>callctl migrate up --yes</dd>" in page


@pytest.mark.parametrize(
    "typed",
    [
        ["--database", "postgresql://me:hunter2@db/platform", "migrate", "up", "--yes"],
        ["migrate", "up", "--database=host=db password=hunter2", "--yes"],
        ["migrate", "up", "--yes", "--pause-file", "postgresql://me:hunter2@db/platform"],
    ],
)
def test_the_command_on_the_page_has_no_secret(monkeypatch: pytest.MonkeyPatch, typed: list[str]) -> None:
    monkeypatch.setattr("sys.argv", ["/home/me/bin/callctl", *typed])
    assert command_line().startswith("callctl ")
    assert "hunter2" not in command_line()
    assert "--yes" in command_line()
