"""backup and restore at the terminal: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conftest import connect
from tests.support.db import backups

from callctl.cli import run


def asked(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> tuple[str, str]:
    """Run a command that ends with ``code``: stdout and stderr."""
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out, captured.err


def test_there_and_back(real: str, empty_database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "a.dump")
    with connect(real) as connection:
        connection.execute(f"ALTER DATABASE \"{connection.info.dbname}\" SET app.token = 's3cret'".encode())
    with connect(empty_database) as connection:
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" RESET ALL'.encode())
    out, _ = asked(capsys, 0, "backup", file, "--dry-run", "--database", real)
    assert "before compression" in out
    assert "nothing was written" in out
    assert list(tmp_path.iterdir()) == []
    with connect(real) as connection:
        assert connection.execute("SELECT to_regnamespace('callctl')").fetchone() == (None,)

    # Nobody is asked: it writes nothing of the platform's.
    out, err = asked(capsys, 0, "backup", file, "--database", real, "--output", "json")
    *_, last = (json.loads(line) for line in out.splitlines())
    assert (last["event"], last["file"], last["recorded"]) == ("backed_up", file, True)
    assert [line[:17] for line in err.splitlines()] == ["callctl: target: "]

    _, err = asked(capsys, 3, "restore", file, "--database", empty_database)
    assert "confirmation needed, but this is not a terminal" in err
    out, _ = asked(capsys, 0, "restore", file, "--dry-run", "--database", empty_database, "--output", "json")
    assert json.loads(out)["dry_run"]
    assert backups.held(empty_database) == []
    out, err = asked(capsys, 0, "restore", file, "--yes", "--database", empty_database)
    assert out.startswith(f"restored: {last['rows']:,} rows of {last['tables']} tables, as the manifest says")
    assert "set them by hand (ALTER DATABASE … SET): app.token" in err
    assert "app.token" in (tmp_path / "a.dump.manifest.json").read_text()
    assert "s3cret" not in (tmp_path / "a.dump.manifest.json").read_text() + out + err

    _, err = asked(capsys, 3, "restore", file, "--yes", "--database", empty_database)
    assert "is not empty: schemas: 2 (callctl, chatapp)" in err
    assert "callctl: hint: run createdb --template=template0 NEW_DATABASE" in err
    _, err = asked(capsys, 3, "backup", file, "--database", real)
    assert f"error: {file} already exists; nothing was written [CALLCTL-FILE-EXISTS]\ncallctl: hint: name a file" in err


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (4, "restore {}/no.dump --yes", "cannot read {}/no.dump: no such file or directory"),
        (4, "restore {}/no.dump --dry-run", "cannot read {}/no.dump: no such file or directory"),
        (4, "backup {}/no/a.dump", "cannot write {}/no/a.dump: "),
        (3, "backup {}/a.dump --exclude-schema nowhere", "there is no schema nowhere to leave out"),
        (2, "backup", "missing argument"),
        (2, "backup -", "cannot write a backup to stdout"),
        (2, "backup --dry-run -", "cannot write a backup to stdout"),
    ],
)
def test_what_cannot_be_done(
    code: int,
    arguments: str,
    message: str,
    documented: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, err = asked(capsys, code, *arguments.format(tmp_path).split(), "--database", documented)
    assert message.format(tmp_path) in err
    assert "callctl: hint: " in err
    assert list(tmp_path.iterdir()) == []
    assert not Path("-").exists()
    if code == 3:
        out, _ = asked(capsys, code, *arguments.format(tmp_path).split(), "--database", documented, "--output", "json")
        assert json.loads(out.splitlines()[-1])["exit_code"] == code
