"""What the tests of backups share: files, manifests, and a pg_dump that does as it is told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import psycopg
from tests.conftest import connect

from callctl.backup import take as backup
from callctl.config.settings import Settings
from callctl.events import OnEvent, ignore
from callctl.files import read_sql

# Prints a version; else writes down its arguments and its environment and goes on as the rest of the script says.
_PROGRAM = """#!/bin/sh
here=${{0%/*}}
if [ "$1" = --version ]; then echo "program (PostgreSQL) {version}"; exit 0; fi
printf '%s\\n' "$@" > "$here/arguments"
env > "$here/environment"
echo $$ > "$here/pid"
{script}
"""


def program(directory: Path, name: str, version: str, script: str = "exit 1") -> Path:
    """A program of that name and version in a directory, which it returns."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(_PROGRAM.format(version=version, script=script))
    path.chmod(0o755)
    return directory


def take(url: str, file: Path, *, on_event: OnEvent = ignore, **options: Any) -> backup.Backup:
    """Take a backup of a database."""
    exclude = options.pop("exclude_schemas", ())
    settings = Settings(database_url=url, **options)
    return backup.backup(settings, str(file), exclude_schemas=exclude, on_event=on_event)


def manifest_of(file: Path) -> dict[str, Any]:
    """The manifest beside a dump."""
    manifest: dict[str, Any] = json.loads(file.with_name(f"{file.name}.manifest.json").read_text())
    return manifest


def amend(file: Path, **changes: Any) -> None:
    """Write something else into the manifest; ``bytes`` and ``sha256`` become those of the file as it is."""
    data = file.read_bytes()
    own = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    path = file.with_name(f"{file.name}.manifest.json")
    path.write_text(json.dumps({**manifest_of(file), **own, **changes}))


def held(url: str) -> list[Any]:
    """What stands in a database, by kind; nothing where it is empty."""
    with connect(url) as connection:
        return connection.execute(read_sql("backup/occupied.sql")).fetchall()


def rows(connection: psycopg.Connection[Any], table: str) -> int:
    """The rows of one table."""
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])
