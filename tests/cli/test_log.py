"""callctl log at the command line: its options, and what it prints."""

from __future__ import annotations

import json

import pytest
from tests.conftest import connect
from tests.support.cli.screen import Screen
from tests.support.steps import LAST

from callctl.cli import run
from callctl.database import store
from callctl.database.actions import record_action


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--since yesterday", "--since is not a time: 'yesterday'"),
        ("--until 2026-01-31T04:00:00", "--until has no offset from UTC: '2026-01-31T04:00:00'"),
        ("--since 2weeks", "--since is not a time: '2weeks'"),
        ("--since 1d --until 2d", "--since is later than --until: "),
        ("--last 0", "invalid value for '--last'"),
        ("--last all", "invalid value for '--last'"),
    ],
)
def test_an_option_that_does_not_fit(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["log", *arguments.split()]) == 2
    error, hint = capsys.readouterr().err.splitlines()[:2]
    assert error.startswith(f"callctl: error: {message}")
    assert hint.startswith("callctl: hint: ")


def test_an_empty_log_is_no_failure(real: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["log", "--database", real]) == 0
    assert capsys.readouterr().out == "callctl has recorded nothing on this database\n"
    assert run(["log", "--since", "90min", "--database", real]) == 0
    assert capsys.readouterr().out == "no entry of the log matches\n"
    assert run(["log", "--database", real, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == []


def test_what_looks_like_a_key_is_hidden_and_no_control_character_is_printed(
    real: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "0123456789abcdef" * 4
    with connect(real) as connection:
        store.create(connection, "chatapp")
        record_action(connection, "seed-models", {"inserted": {"\x1b[31mred": 1}, "accounts": {key: "1"}})
    for output in ("text", "json"):
        assert run(["log", "--wide", "--database", real, "--output", output]) == 0
        captured = capsys.readouterr().out
        assert "seed-models" in captured
        assert key not in captured
        assert "\x1b" not in captured


def test_it_fits_a_terminal(real: str) -> None:
    assert run(["migrate", "up", "--yes", "--database", real]) == 0
    screen = Screen(real, 80, "log")
    assert screen.code == 0
    screen.assert_fits(80)
    assert f"step {LAST} up, " in screen.text
    assert screen.lines[0].split() == ["at", "(UTC)", "command", "what", "client"]
