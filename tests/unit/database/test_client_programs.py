"""Which pg_dump is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.db.backups import program

from callctl.database import binaries
from callctl.database.client_programs import find_program
from callctl.errors import ConfigError


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system's directories with 13, 15 and 17; nothing on PATH, and no wheel."""
    for version in ("13.9", "15.18", "17.2"):
        program(tmp_path / version.split(".")[0] / "bin", "pg_dump", version)
    monkeypatch.delenv("CALLCTL_PG_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    monkeypatch.setattr(binaries, "_SYSTEM", ((str(tmp_path), "*/bin"),))
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    return tmp_path


@pytest.mark.parametrize(("server", "taken"), [(12, "13.9"), (13, "13.9"), (14, "15.18"), (16, "17.2")])
def test_the_oldest_that_is_not_older_than_the_server(server: int, taken: str, system: Path) -> None:
    """What it writes, an older pg_restore can read."""
    assert find_program("pg_dump", server, "this").version == taken


def test_none_that_fits_is_an_error_that_names_those_found(system: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_program("pg_dump", 18, "a backup of this server (PostgreSQL 18.6)")
    assert caught.value.message == (
        "a backup of this server (PostgreSQL 18.6) needs pg_dump 18 or later; found"
        f" 17.2 ({system}/17/bin), 15.18 ({system}/15/bin), 13.9 ({system}/13/bin)"
    )
    assert "postgresql-client-18 from apt.postgresql.org" in (caught.value.hint or "")
    with pytest.raises(ConfigError) as caught:
        find_program("pg_restore", 13, "this")
    assert caught.value.message == "this needs pg_restore 13 or later; found none"


def test_the_variable_names_the_only_place(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = program(system / "mine", "pg_dump", "16.4")
    monkeypatch.setenv("CALLCTL_PG_BIN", str(directory))
    assert find_program("pg_dump", 13, "this").version == "16.4"
    with pytest.raises(ConfigError) as caught:
        find_program("pg_dump", 17, "this")
    assert caught.value.message == "this needs pg_dump 17 or later; found 16.4 (CALLCTL_PG_BIN)"
    (directory / "pg_dump").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(ConfigError) as caught:
        find_program("pg_dump", 13, "this")
    assert caught.value.message == f"this needs pg_dump 13 or later; found none in CALLCTL_PG_BIN ({directory})"
