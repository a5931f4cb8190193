"""How --help looks: in groups, whole at 80 columns, without a word of Python's."""

from __future__ import annotations

import re

import pytest
from tests.support.cli.commands import commands

from callctl.cli import help, run

COMMANDS = tuple(sorted(commands()))
GROUPS = tuple(sorted({words.rpartition(" ")[0] for words in COMMANDS}))  # and, as "", callctl itself


@pytest.mark.parametrize("command", [*GROUPS, *COMMANDS])
def test_help_at_80_columns(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if len(line) > 80] == []
    # A type of Python's, a range as click writes it, an option in no group.
    assert re.findall(r"<[^>\n]+>|x<=|^Options:", text, re.M) == []
    # A mark that stands in the middle of a paragraph is printed.
    assert [line for line in text.splitlines() if "\b" in line] == []


def test_the_groups_name_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    tops = {command.split()[0] for command in [*GROUPS, *COMMANDS] if command}
    assert {name for names in help.COMMANDS.values() for name in names} == tops
    every = ""
    for command in [*GROUPS, *COMMANDS]:
        run([*command.split(), "--help"])
        every += capsys.readouterr().out
    named = {name for names in help.OPTIONS.values() for name in names if name.startswith("--")}
    assert {name for name in named if not re.search(rf"{name}\b", every)} == set()
