"""callctl doctor at the command line: exit codes, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.cli.screen import Screen

from callctl.cli import run


def test_nothing_that_fails_is_exit_code_0(real: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--database", real]) == 0
    out = capsys.readouterr().out
    assert out.startswith("ok       server: PostgreSQL ")
    assert "\n0 fail, " in out


def test_a_line_that_fails_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://me:s3cret@127.0.0.1:1/platform"
    assert run(["doctor", "--database", url]) == 3
    captured = capsys.readouterr()
    assert captured.out.startswith("fails    server: cannot connect to the database: ")
    assert "\n1 fail, " in captured.out
    assert run(["doctor", "--database", url, "--output", "json"]) == 3
    out = capsys.readouterr().out
    assert json.loads(out)["parts"][0]["level"] == "fails"
    assert "s3cret" not in captured.out + captured.err + out


def test_without_a_database(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CALLCTL_DATABASE_URL", "DATABASE_URL", "PGSERVICE", "PGHOST", "PGDATABASE", "PGPORT", "PGUSER"):
        monkeypatch.delenv(name, raising=False)
    assert run(["doctor"]) == 3
    assert "no database given" in capsys.readouterr().out


def test_it_fits_a_terminal(real: str) -> None:
    screen = Screen(real, 80, "doctor")
    assert screen.code == 0
    screen.assert_fits(80)
    assert len(screen.lines) <= 24
