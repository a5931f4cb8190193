"""Tables at the width of a terminal: what has no room is left out whole, never cut."""

from __future__ import annotations

import pytest

from callctl.render import console

HEADINGS = ("step", "finished (UTC)", "client", "file")
ROWS = (("1", "2026-11-30 16:36", "migrator@bastion-host-1", "steps/10_calls/up.sql"),)


def lines(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err


@pytest.mark.parametrize(("columns", "left_out"), [(120, ""), (70, "file"), (40, "file, client"), (20, "file, client")])
def test_what_has_no_room_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, left_out: str
) -> None:
    monkeypatch.setattr(console, "is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    console.table(HEADINGS, ROWS, spare=("file", "client"))
    out, told = lines(capsys)
    assert ("migrator@bastion-host-1" in "\n".join(out)) == ("client" not in left_out)
    assert ("no room for: " + left_out in " ".join(told.split())) if left_out else told == ""
    if columns >= 40:
        assert "2026-11-30 16:36" in out[1]
        assert max(map(len, out)) <= columns


def test_wide_and_a_pipe_show_every_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    console.table(HEADINGS, ROWS, spare=("file", "client"))
    in_a_pipe = lines(capsys)
    monkeypatch.setattr(console, "is_terminal", lambda _: True)
    console.table(HEADINGS, ROWS, spare=("file", "client"), wide=True)
    assert lines(capsys) == in_a_pipe
    assert in_a_pipe[0][1].endswith("steps/10_calls/up.sql")
