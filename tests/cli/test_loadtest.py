"""callctl loadtest at the terminal: what it refuses, whom it asks, what it prints."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import connect

from callctl.cli import run
from callctl.config.settings import Settings
from callctl.migration import migrate

SHORT = "--sessions 2 --duration 600ms --call-time 200ms --history 20".split()  # noqa: SIM905


@pytest.fixture
def db(real: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[Any]]:
    """A migrated database that is no sandbox."""
    migrate.up(Settings(database_url=real))
    monkeypatch.setenv("CALLCTL_DATABASE_URL", real)
    with connect(real) as connection:
        yield connection


class Typed(io.StringIO):
    """Somebody at a terminal, and what he types."""

    def isatty(self) -> bool:
        return True


WRONG = {
    "--sessions 0": "--sessions is not a whole number from 1 to 1000: '0'",
    "--sessions 1001": "--sessions is not a whole number",
    "--sessions many": "--sessions is not a whole number",
    "--connections 0": "--connections is not a whole number",
    "--sessions 4 --connections 5": "5 connections are more than 4 sessions can use",
    "--duration 5": "--duration is not a duration: '5'",
    "--call-time 0s": "--call-time is not between",
    "--calls 0": "--calls is not a whole number",
    "--calls -1": "--calls is not a whole number",
    "--history 100001": "--history is not a whole number from 0 to 100000",
    "--limit fast": "--limit is not a duration",
    "--report load.png": "--report is not the name of an .html or .svg file",
    "--report /no/such/directory/load.svg": "cannot write /no/such/directory/load.svg",
    "--clean --sessions 3": "--clean runs no load, so --sessions has no meaning",
    "--clean --dry-run": "--clean runs no load, so --dry-run has no meaning",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_what_is_asked_for_wrongly(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["loadtest", *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"callctl: error: {WRONG[arguments]}")
    assert "\ncallctl: hint: " in captured.err


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, said: str) -> None:
    assert run(["loadtest", *SHORT, *arguments]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    text = " ".join(captured.err.split())  # folded where it is a terminal
    assert said in text
    assert re.search(r"nothing was changed \[CALLCTL-[A-Z-]+\] callctl: hint: ", text)


def test_a_database_is_named_before_it_is_loaded(
    db: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = db.info.dbname
    written = "SELECT count(*) FROM callctl.action"
    # A pipe: by its name, and by nothing else.
    refused(capsys, said="confirmation needed")
    refused(capsys, "--yes", said="confirmation needed")
    refused(capsys, "--confirm", "production", said=f"this is not database 'production' but {name}")
    refused(capsys, "--confirm", "", said="not confirmed")
    # A terminal: typed.
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for answer in ("y", "", "production"):
        monkeypatch.setattr(sys, "stdin", Typed(f"{answer}\n"))
        refused(capsys, said="nothing was changed")
    assert db.execute(written).fetchone() == (0,)
    report = tmp_path / "load.html"
    monkeypatch.setattr(sys, "stdin", Typed(f"{name}\n"))
    assert run(["loadtest", *SHORT, "--limit", "1min", "--report", str(report)]) == 0
    captured = capsys.readouterr()
    assert "load test passed: " in captured.out
    assert "Type the name of the database to continue: " in captured.err
    assert "<svg" in report.read_text()
    assert db.execute(written).fetchone() == (1,)


def test_json_is_lines_and_over_the_limit_is_3(db: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["loadtest", *SHORT, "--confirm", db.info.dbname, "--limit", "1ms", "--output", "json"]) == 3
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines if line["event"] != "load_progress"] == ["notice", "notice", "load_tested"]
    assert (lines[-1]["passed"], lines[-1]["errors"]) == (False, 0)
    assert set(lines[-1]["over"]) <= {each["query"] for each in lines[-1]["queries"]}


def test_leftovers_are_shown_and_cleaned(db: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["loadtest", "--clean", "--yes"]) == 0
    assert capsys.readouterr().out == "no rows of earlier load tests exist\n"
    db.execute(
        "INSERT INTO callctl.load_test (company_id, slug, client, callctl_version)"
        " SELECT id, 'callctl-loadtest-' || id, 'me@here', '0' FROM chatapp.companies WHERE slug = 'company-1'"
    )
    assert run(["loadtest", *SHORT, "--dry-run"]) == 0
    assert "(kept, since its slug was changed)" in capsys.readouterr().out
    assert run(["loadtest", "--clean"]) == 3
    assert "confirmation needed, but this is not a terminal" in capsys.readouterr().err
    assert run(["loadtest", "--clean", "--confirm", "production"]) == 3
    assert "this is not database 'production'" in capsys.readouterr().err
    assert run(["loadtest", "--clean", "--confirm", db.info.dbname]) == 3
    assert capsys.readouterr().out.startswith("kept: company ")
    # A company that has its slug, and rows that no load test has made: they are named, and nothing goes.
    db.execute("UPDATE chatapp.companies SET slug = 'callctl-loadtest-' || id WHERE slug = 'company-1'")
    assert run(["loadtest", "--clean", "--yes"]) == 3
    out = capsys.readouterr().out
    assert "rows that the load test did not make belong to its company: " in out
    assert "of chatapp.chatbots (id " in out
    assert db.execute("SELECT count(*) FROM chatapp.companies WHERE slug LIKE 'callctl%'").fetchone() == (1,)


def test_a_report_that_is_there(
    db: psycopg.Connection[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is replaced where that is asked for, and only where callctl has written it."""
    name = db.info.dbname
    load = ["loadtest", *SHORT, "--limit", "60s", "--confirm", name]
    for file in (tmp_path / "load.html", tmp_path / "load.svg"):
        assert run([*load, "--report", str(file)]) == 0
        first = file.read_text()
        assert run([*load, "--report", str(file)]) == 3
        assert f"{file} already exists; nothing was changed" in capsys.readouterr().err
        assert file.read_text() == first
        assert run([*load, "--report", str(file), "--overwrite"]) == 0
        assert file.read_text() != first
        file.write_text("<html>mine</html>")
        assert run([*load, "--report", str(file), "--overwrite"]) == 3
        assert f"{file} exists and is not a report by callctl" in capsys.readouterr().err
        assert file.read_text() == "<html>mine</html>"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["load.html", "load.svg"]
    assert run([*load, "--overwrite"]) == 2


def test_a_report_that_cannot_be_written(
    db: psycopg.Connection[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: the result is there, and no part of a file."""
    file = tmp_path / "load.html"

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("callctl.files.os.fsync", full)
    for output in ("text", "json"):
        code = run(["loadtest", *SHORT, "--limit", "60s", "--confirm", db.info.dbname, "--report", str(file),
                    "--output", output])  # fmt: skip
        captured = capsys.readouterr()
        assert code == 4
        assert "load test passed" in captured.out or '"event": "load_tested"' in captured.out
        assert f"the report could not be written: no space left on device: {file}" in captured.err
        assert list(tmp_path.iterdir()) == []
