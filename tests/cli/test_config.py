"""callctl config at the command line: exit codes, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.cli.screen import Screen

from callctl.cli import run

SECRET = "s3cret-horse"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("CALLCTL_DATABASE_URL", "DATABASE_URL", "CALLCTL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_check_ends_with_4_and_names_every_problem(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = directory / "callctl.yaml"
    file.write_text(f"shema: x\ndatabase: mysql://me:{SECRET}@h/d\n")
    assert run(["config", "check"]) == 4
    captured = capsys.readouterr()
    assert captured.out.endswith(f"{file}: 2 problems\n")
    assert captured.out.count("fix:") == 2
    assert "[CALLCTL-CONFIG-KEY]" in " ".join(captured.out.split())
    assert captured.err == ""
    assert run(["config", "check", "--output", "json"]) == 4
    out = capsys.readouterr().out
    assert [problem["code"] for problem in json.loads(out)["problems"]] == [
        "CALLCTL-CONFIG-KEY",
        "CALLCTL-CONFIG-VALUE",
    ]
    assert SECRET not in captured.out + out


def test_check_of_a_good_file(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "staging.yaml").write_text("schema: chat\n")
    assert run(["config", "check", "--config", "staging.yaml"]) == 0
    assert capsys.readouterr().out == f"{directory}/staging.yaml: no problem in 1 key\n"


def test_check_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check"]) == 4
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("callctl: error: no settings file: ")
    assert "--config FILE" in hint


def test_show_names_the_line_of_the_file(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "callctl.yaml").write_text(f"\ndatabase: postgresql://me:{SECRET}@h/d\nschema: chat\n")
    assert run(["config", "show"]) == 0
    captured = capsys.readouterr()
    lines = [line.split() for line in captured.out.splitlines()]
    assert ["database", "postgresql://me:***@h/d", "callctl.yaml:2"] in lines
    assert ["schema", "chat", "callctl.yaml:3"] in lines
    assert ["batch_size", "2000", "default"] in lines
    assert "holds a password, and other users can read the file" in captured.err
    assert SECRET not in captured.out + captured.err


def test_show_fits_a_terminal() -> None:
    screen = Screen("postgresql:///platform", 80, "config", "show")
    assert screen.code == 0
    screen.assert_fits(80)
    assert screen.lines[0] == "settings file: none"
