"""callctl keys generate: a key on stdout, or in a file that only its owner can read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from callctl.cli import run


def test_a_key_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "generate"]) == 0
    first = capsys.readouterr()
    assert re.fullmatch(r"[0-9a-f]{64}\n", first.out)
    assert first.err == ""
    assert run(["keys", "generate", "--output", "json"]) == 0
    second = json.loads(capsys.readouterr().out)["key"]
    assert re.fullmatch(r"[0-9a-f]{64}", second)
    assert second not in first.out


def test_a_key_is_written_to_a_new_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "k2.key"
    assert run(["keys", "generate", "--out", str(file)]) == 0
    captured = capsys.readouterr()
    key = file.read_text()
    assert re.fullmatch(r"[0-9a-f]{64}\n", key)
    assert file.stat().st_mode & 0o777 == 0o600
    assert captured.out == f"{file}\n"
    assert key.strip() not in captured.err
    assert run(["keys", "generate", "--out", str(file)]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"callctl: error: {file} already exists; nothing was written" in captured.err
    assert file.read_text() == key
