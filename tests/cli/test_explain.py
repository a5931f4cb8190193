"""callctl explain in a process of its own: no database, no settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli.schemas import problems

from callctl.errors import Code


def explain(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Where the settings cannot be read and no database is reached."""
    (directory / "callctl.yaml").write_text("schema: [\n")
    return subprocess.run(
        [sys.executable, "-m", "callctl", "explain", *arguments],
        cwd=directory,
        env={**os.environ, "CALLCTL_DATABASE_URL": "postgresql://127.0.0.1:1/nowhere", "CALLCTL_CONFIG": "/no/such"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("name", ["CALLCTL-LOCK-HELD", "lock-held"])
def test_a_code_is_explained_offline(name: str, tmp_path: Path) -> None:
    done = explain(tmp_path, name)
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    assert first == "CALLCTL-LOCK-HELD"
    assert [word for line in lines if (word := line.split()[0]).endswith(":") and line[0] != " "] == [
        "customers:",
        "database:",
        "run:",
        "then:",
    ]
    assert "`callctl migrate status`" in done.stdout


def test_without_a_code_all_are_listed(tmp_path: Path) -> None:
    done = explain(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for code in Code:
        assert f"  {code}: " in done.stdout
    found = json.loads(explain(tmp_path, "--output", "json").stdout)
    assert problems(found, "explain") == []
    assert [each["id"] for each in found["explanations"]].count(Code.LOCK_HELD) == 1


def test_a_code_that_there_is_not_names_the_nearest(tmp_path: Path) -> None:
    done = explain(tmp_path, "lock-hled")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no code, finding or check is called 'lock-hled' [CALLCTL-NO-SUCH-CODE]" in done.stderr
    assert "CALLCTL-LOCK-HELD" in done.stderr
