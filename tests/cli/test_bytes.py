"""Bytes that are not UTF-8: a file's name may hold them; a value for the server is refused by its option's name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest
from tests.support.processes import PATIENCE_SECONDS

CAFE = b"caf\xe9"
# Of a password, no message may repeat the rest.
SECRET = b"hunter2\xe9"

Run: TypeAlias = Callable[..., tuple[int, str]]


@pytest.fixture
def callctl(tmp_path: Path) -> Run:
    """Run callctl with bytes as arguments and in the environment: its exit code, stdout and stderr together."""

    def call(url: str | None, *arguments: str | bytes, environment: dict[str, bytes] | None = None) -> tuple[int, str]:
        variables = {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()}
        variables |= {b"CALLCTL_DATABASE_URL": url.encode()} if url is not None else {}
        variables |= {os.fsencode(name): value for name, value in (environment or {}).items()}
        done = subprocess.run(
            [sys.executable, "-m", "callctl", *arguments],
            cwd=tmp_path,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS * 2,
        )
        said = done.stdout.decode()
        assert "internal error" not in said
        assert "Traceback" not in said
        assert "hunter2" not in said
        return done.returncode, said

    return call


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("migrate", "status", "--schema", CAFE), "--schema"),
        (("migrate", "status", "--environment", CAFE), "--environment"),
        (("migrate", "status", "--database", b"postgresql://me:" + SECRET + b"@localhost/x"), "--database"),
        (("backup", "a.dump", "--exclude-schema", CAFE), "--exclude-schema"),
        (("keys", "retire", "k1", "--not-scanned", CAFE), "--not-scanned"),
        (("rotate-secrets", "--bind-new", SECRET), "--bind-new"),
        (("preflight", "--backup-taken-at", CAFE), "--backup-taken-at"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_an_option_is_named(documented: str, callctl: Run, arguments: tuple[str | bytes, ...], name: str) -> None:
    code, said = callctl(documented, *arguments)
    assert code == 2
    assert f"callctl: error: {name} has bytes that are not UTF-8" in said


@pytest.mark.parametrize("name", ["CALLCTL_SCHEMA", "CALLCTL_ENVIRONMENT", "CALLCTL_DATABASE_URL", "PGHOST"])
def test_a_variable_is_named(documented: str, callctl: Run, name: str) -> None:
    database = None if name == "PGHOST" else documented
    code, said = callctl(database, "migrate", "status", environment={name: SECRET})
    assert code == 4
    assert name in said
    assert "UTF-8" in said


@pytest.mark.parametrize(
    "url", ["postgresql://me:hunter2%E9@localhost/x", "postgresql://localhost/caf%E9", "postgresql://h%E9/x"]
)
def test_percent_encoded_bytes_are_looked_at_too(callctl: Run, url: str) -> None:
    code, said = callctl(url, "migrate", "status")
    assert code == 4
    assert "CALLCTL_DATABASE_URL has percent-encoded bytes that are not UTF-8" in said


@pytest.mark.parametrize(
    "text", ['environment: "a\\ud800b"', 'schema: "\\udce9"', 'accept:\n  - object: "x\\ud800"', '"\\ud800": 1']
)
def test_half_a_surrogate_pair_in_the_file(documented: str, callctl: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "callctl.yaml").write_text(text)
    code, said = callctl(documented, "migrate", "status")
    assert code == 4
    assert "callctl.yaml:" in said
    assert "an unpaired surrogate" in said


def test_a_file_that_is_not_utf8_is_refused_by_its_name(documented: str, callctl: Run, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + CAFE)).write_bytes(b"environment: caf\xe9\n")
    code, said = callctl(documented, "migrate", "status", "--config", CAFE)
    assert code == 4
    assert r"caf\udce9: it is not UTF-8" in said


def test_files_are_called_as_they_are(documented: str, callctl: Run, tmp_path: Path) -> None:
    assert callctl(documented, "backup", CAFE + b".dump")[0] == 0
    with psycopg.connect(documented) as connection:
        row = connection.execute("SELECT detail::text FROM callctl.action").fetchone()
    assert row is not None
    assert r"caf\\xe9.dump" in row[0]
    assert callctl(documented, "migrate", "up", "--yes", "--report", CAFE + b".html")[0] == 0
    assert callctl(documented, "verify", "--junit", CAFE + b".xml")[0] == 0
    assert callctl(documented, "keys", "generate", "--out", CAFE + b".key")[0] == 0
    names = {os.fsencode(each.name) for each in tmp_path.iterdir()}
    assert {CAFE + b".dump", CAFE + b".dump.manifest.json", CAFE + b".html", CAFE + b".xml", CAFE + b".key"} <= names


def test_a_user_with_such_a_name_can_migrate(documented: str, callctl: Run) -> None:
    user = {"LOGNAME": CAFE, "USER": CAFE}
    assert callctl(documented, "migrate", "up", "--to", "1", "--yes", environment=user)[0] == 0
    with psycopg.connect(documented) as connection:
        row = connection.execute("SELECT client FROM callctl.history").fetchone()
    assert row is not None
    assert row[0].startswith(r"caf\xe9@")
