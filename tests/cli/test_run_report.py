"""``--report``: a page that says what a run did, however it ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.support.steps import LAST

from callctl.cli import run
from callctl.cli.migrate import reported
from callctl.events import Event, MigrationStarted, StepFinished, StepStarted
from callctl.migration.run_record import RunRecord

Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command on a database: its exit code and stderr."""

    def call(url: str, *arguments: str) -> tuple[int, str]:
        code = run(["--database", url, *arguments])
        return code, capsys.readouterr().err

    return call


def test_the_page_of_a_run_that_fails_and_of_the_next(baseline: str, tmp_path: Path, ask: Ask) -> None:
    page = tmp_path / "run.html"
    with closing(psycopg.connect(baseline)) as reader:
        reader.execute("LOCK TABLE chatapp.chatbots IN ACCESS SHARE MODE")
        code, err = ask(baseline, "migrate", "up", "--yes", "--lock-wait", "300ms", "--report", str(page))
        assert code == 5, err
    text = page.read_text(encoding="utf-8")
    for said in (
        "<h1>migrate up of ",
        ": failed</h1>",
        "no lock on chatbots",
        "Steps 1 and 2 applied and committed",
        "Step 3 was under way",
        f"Not begun: 4 to {LAST}",
        "a lock",
        "steps/03_chatbot_capabilities/up.sql",
        "What preflight said",
    ):
        assert said in text

    code, err = ask(baseline, "migrate", "up", "--yes", "--atomic", "--report", str(page), "--output", "json")
    assert code == 0, err
    text = page.read_text(encoding="utf-8")
    assert ": done</h1>" in text
    assert f"Steps 3 to {LAST} applied and committed" in text
    assert "all steps in one transaction" in text
    code, err = ask(baseline, "migrate", "down", "--all", "--yes", "--report", str(page))
    assert code == 0, err
    assert f"Steps {LAST} to 1 taken back and committed" in page.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["run.html"]


def test_a_refusal_is_on_the_page(documented: str, tmp_path: Path, ask: Ask) -> None:
    with psycopg.connect(documented) as connection:
        connection.execute("CREATE VIEW chatapp.by_type AS SELECT chatbotType FROM chatapp.chatbots")
    page = tmp_path / "run.html"
    code, _ = ask(documented, "migrate", "up", "--yes", "--report", str(page))
    assert code == 3
    text = page.read_text(encoding="utf-8")
    assert ": refused</h1>" in text
    assert "by_type" in text
    assert "No step was completed" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--report", "run.pdf"), "--report is not the name of an .html file: 'run.pdf'"),
        (("--report", "there-is-none/run.html"), "cannot write there-is-none/run.html"),
        (("--report", "run.html", "--dry-run"), "--report needs a run, and --dry-run runs nothing"),
    ],
    ids=["suffix", "directory", "dry run"],
)
def test_what_cannot_be_written_is_refused_before_anything_is_connected_to(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.chdir(tmp_path)
    code, err = ask("postgresql:///none?host=/nowhere", "migrate", "up", "--yes", *arguments)
    assert code == 2
    assert said in err
    assert "hint: " in err
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_directory_that_is_not_ours_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    page = tmp_path / "run.html"
    page.write_text("old")
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and may(path, mode))
    code, err = ask("postgresql:///none?host=/nowhere", "migrate", "up", "--yes", "--report", str(page))
    assert code == 2
    assert "no write permission on its directory" in err
    assert page.read_text() == "old"


def test_a_page_that_cannot_be_written_any_more_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "there"
    directory.mkdir()
    heard: list[Event] = []
    with reported(directory / "run.html", heard.append) as report:
        started = MigrationStarted("up", "d", "s:1", "18", "r", "c", "chatapp", (), (1,), False)
        report(started)
        assert [each.name for each in directory.iterdir()] == ["run.html"]
        (directory / "run.html").unlink()
        directory.rmdir()
        report(StepStarted(1, "first", "up", 1, 1))
        report(StepFinished(1, "first", "up", 0.1, 1))
        assert capsys.readouterr().err == ""
    assert len(heard) == 3
    assert "warning: the report could not be written: no such file or directory" in capsys.readouterr().err


def test_a_name_that_leads_elsewhere_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "run.html").write_text("old")
    (tmp_path / "run.html").symlink_to(tmp_path / "real" / "run.html")
    with reported(tmp_path / "run.html", lambda event: None):
        pass
    assert (tmp_path / "run.html").is_symlink()
    assert ": done" in (tmp_path / "real" / "run.html").read_text()


def test_nothing_is_put_on_record_where_no_page_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunRecord, "__call__", lambda self, event: pytest.fail("it was"))
    with reported(None, lambda event: None) as report:
        report(StepStarted(1, "first", "up", 1, 1))
