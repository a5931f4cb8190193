"""A backup comes back: whole, of one moment, from any state of the migration; and preflight knows of it."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect
from tests.support.db import backups, snapshot
from tests.support.steps import LAST

from callctl.backup import restore
from callctl.config.settings import Settings
from callctl.database.actions import actions
from callctl.errors import LockHeld
from callctl.events import BackupProgress, Event
from callctl.migration import migrate
from callctl.migration.checks import preflight, verify
from callctl.sandbox.lifecycle import BASELINES
from callctl.statements.naming import read_naming

# varchar IN (...) is printed in one form, and once that has been read again (a dump that was restored) in another.
_PRINTED = (
    (re.compile(r"\(('(?:[^']|'')*'::character varying)\)::text"), r"\1"),
    (re.compile(r"\(ARRAY\[((?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)::text\[\]"), r"ARRAY[\1]"),
)


def taken(url: str) -> snapshot.Snapshot:
    """A database as it stands, constraints printed in one form."""
    with connect(url) as connection:
        found = snapshot.take(connection)
    catalog = dict(found.catalog)
    for fact, value in catalog.items():
        for pattern, form in _PRINTED:
            value = value if value is None else pattern.sub(form, value)
        catalog[fact] = value
    return snapshot.Snapshot(catalog, found.rows)


def applied(url: str) -> tuple[int, ...]:
    with connect(url) as connection:
        return migrate.status(connection, Settings(database_url=url)).applied


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("state", ["before", "halfway", "after"])
def test_everything_comes_back(name: str, state: str, database: MakeDatabase, tmp_path: Path) -> None:
    url, copy, file = database(name), database(None), tmp_path / "a.dump"
    there = Settings(database_url=copy)
    before = taken(url)
    if state != "before":
        migrate.up(Settings(database_url=url), to=5 if state == "halfway" else None)
    backup = backups.take(url, file)
    done = restore.restore(there, str(file))
    assert (done.rows, done.tables, done.steps) == (backup.rows, backup.tables, backup.steps)
    assert len(done.steps) == {"before": 0, "halfway": 5, "after": LAST}[state]
    snapshot.assert_same(taken(url), taken(copy))
    assert applied(copy) == applied(url)
    with connect(url) as one, connect(copy) as other:
        assert migrate.history(other) == migrate.history(one)
        if state != "before":
            report = verify.verify(other, there)
            assert [check.id for check in report.checks if not check.passed and not check.warns] == []
        assert other.execute("SELECT min(reltuples) > 0 FROM pg_class WHERE relname = 'chatbots'").fetchone() == (True,)
    # What callctl saved came along: the way back leads to what was there before the first step.
    migrate.up(there)
    migrate.down(there, to=0)
    # Where the platform's own triggers keep updated_at, they have written it.
    snapshot.assert_same(before, taken(copy), ignore=[(table, "updated_at") for table in before.rows])


def test_it_is_one_moment(documented: str, empty_database: str, tmp_path: Path) -> None:
    """What is committed while pg_dump works is neither in the dump nor in the counts."""
    file = tmp_path / "a.dump"
    seen: list[set[str]] = []

    def meanwhile(event: Event) -> None:
        if isinstance(event, BackupProgress) and event.phase == "dump" and not seen:
            with connect(documented) as connection:
                connection.execute("UPDATE chatapp.companies SET name = 'written meanwhile'")
                connection.execute("DELETE FROM chatapp.messages")
                seen.append(_locks(connection))

    with connect(documented) as connection:
        rows = backups.rows(connection, "chatapp.messages")
    assert rows
    backups.take(documented, file, on_event=meanwhile)
    assert seen[0] <= {"AccessShareLock"}
    counts = {f"{each['schema']}.{each['table']}": each["rows"] for each in backups.manifest_of(file)["tables"]}
    assert counts["chatapp.messages"] == rows
    restore.restore(Settings(database_url=empty_database), str(file))
    with connect(empty_database) as connection:
        assert backups.rows(connection, "chatapp.messages") == rows
        assert backups.rows(connection, "chatapp.companies WHERE name = 'written meanwhile'") == 0


def _locks(connection: psycopg.Connection[Any]) -> set[str]:
    """The kinds of locks on tables that a backup holds."""
    found = connection.execute(
        "SELECT l.mode FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
        " WHERE a.application_name = 'callctl backup' AND l.locktype = 'relation'"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).fetchall()
    return {row[0] for row in found}


def test_the_files(documented: str, tmp_path: Path) -> None:
    """For their owner's eyes alone; the manifest says what is in the dump; nothing else is left."""
    file = tmp_path / "a.dump"
    done = backups.take(documented, file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dump", "a.dump.manifest.json"]
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    manifest = backups.manifest_of(file)
    assert manifest["sha256"] == done.sha256
    assert manifest["bytes"] == done.bytes == file.stat().st_size
    with connect(documented) as connection:
        for table in manifest["tables"]:
            if table["schema"] == "chatapp":
                assert backups.rows(connection, f"chatapp.{table['table']}") == table["rows"]
        (action,) = actions(connection, "backup")
    assert action.detail["file"] == str(file)
    assert action.detail["sha256"] == done.sha256
    assert done.recorded


def test_preflight_knows_the_last_one(documented: str, empty_database: str, tmp_path: Path) -> None:
    def backup_finding(url: str) -> preflight.Finding:
        settings = Settings(database_url=url)
        with connect(url) as connection:
            findings = preflight.preflight(connection, settings, read_naming(connection, "chatapp"), [1])
        return next(finding for finding in findings if finding.id == "backup")

    assert backup_finding(documented).level == "unknown"
    backups.take(documented, tmp_path / "a.dump")
    found = backup_finding(documented)
    assert found.level == "ok"
    assert f"it is {tmp_path}/a.dump, by " in found.what
    migrate.up(Settings(database_url=documented), to=2)
    assert backup_finding(documented).what.endswith("; 2 steps were taken since")
    with connect(documented) as connection:
        connection.execute('UPDATE callctl.action SET detail = detail || \'{"taken_at": "2020-01-01T00:00:00Z"}\'')
    assert backup_finding(documented).level == "warns"
    restore.restore(Settings(database_url=empty_database), str(tmp_path / "a.dump"))
    found = backup_finding(empty_database)
    assert found.level == "ok"
    assert f"the database was restored from {tmp_path}/a.dump, by " in found.what


def test_no_migration_meanwhile(documented: str, tmp_path: Path) -> None:
    """A backup and a migration hold each other off; two backups, or a backup and a rotation, do not."""
    settings = Settings(database_url=documented)
    problems: list[str] = []

    def meanwhile(event: Event) -> None:
        if isinstance(event, BackupProgress) and event.phase == "dump" and not problems:
            with pytest.raises(LockHeld) as caught:
                migrate.up(settings)
            problems.append(caught.value.message)
            backups.take(documented, tmp_path / "b.dump")

    backups.take(documented, tmp_path / "a.dump", on_event=meanwhile)
    assert ", callctl backup, from " in problems[0]
    assert (tmp_path / "b.dump").exists()


def test_odd_things_come_back(empty_database: str, database: MakeDatabase, tmp_path: Path) -> None:
    """Whatever else is in a database; it need not be one that callctl can migrate."""
    copy, file = database(None), tmp_path / "a.dump"
    with connect(empty_database) as connection:
        connection.execute((Path(__file__).parents[2] / "support" / "db" / "odd_names.sql").read_bytes())
    done = backups.take(empty_database, file)
    assert done.rows == 5 + 1 + 3
    restore.restore(Settings(database_url=copy), str(file))
    snapshot.assert_same(taken(empty_database), taken(copy))
    with connect(copy) as connection:
        for query, answer in (
            ("SELECT n FROM public.counted", 3),
            ("SELECT length(lo_get(oid)) FROM pg_largeobject_metadata", 280000),
            ('INSERT INTO "Odd ""schema"""."a table" DEFAULT VALUES RETURNING id', 6),
            ("SELECT pubname FROM pg_publication", "told"),
        ):
            assert connection.execute(query.encode()).fetchone() == (answer,)


def test_a_schema_left_out(deployed: str, empty_database: str, tmp_path: Path) -> None:
    """One that nothing else needs."""
    with connect(deployed) as connection:
        connection.execute('CREATE SCHEMA "Big one"')
        connection.execute('CREATE TABLE "Big one".events AS SELECT generate_series(1, 1000) AS n')
    file = tmp_path / "a.dump"
    done = backups.take(deployed, file, exclude_schemas=["Big one"])
    assert done.left_out_schemas == ("Big one",)
    assert "events" not in {table["table"] for table in backups.manifest_of(file)["tables"]}
    restore.restore(Settings(database_url=empty_database), str(file))
    with connect(empty_database) as connection:
        assert connection.execute("SELECT to_regnamespace('\"Big one\"')").fetchone() == (None,)
        assert backups.rows(connection, "chatapp.chatbots") > 0
