"""What a backup and a restore refuse: message, hint, exit code, and nothing changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import MakeDatabase, connect
from tests.support.db import backups

from callctl.backup import restore
from callctl.backup import take as backup
from callctl.backup.file import BackupFile
from callctl.config.settings import Settings
from callctl.errors import CallctlError, ConfigError, LockHeld, Refused, StepFailed
from callctl.files import read_sql
from callctl.sandbox.server import Server

pytestmark = pytest.mark.one_server


@pytest.fixture(scope="module")
def dump(server: Server, _templates: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the documented baseline; tests work on copies of it."""
    from tests.conftest import _template

    file = tmp_path_factory.mktemp("dump") / "a.dump"
    url = server.url(_template(server, _templates, "documented"))
    backups.take(url, file)
    with connect(url) as connection:  # others copy this database
        connection.execute("DROP SCHEMA callctl CASCADE")
    return file


@pytest.fixture
def file(dump: Path, tmp_path: Path) -> Path:
    for path in (dump, dump.with_name("a.dump.manifest.json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / dump.name


def refused(kind: type[CallctlError], url: str, file: Path, *, no_owner: bool = False) -> CallctlError:
    """What a restore raised; dry or not, and the database is as empty as before."""
    before = backups.held(url)
    with pytest.raises(kind) as caught:
        restore.restore(Settings(database_url=url), str(file), no_owner=no_owner)
    assert type(caught.value) is kind
    assert caught.value.hint
    assert backups.held(url) == before
    return caught.value


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def _manifest(file: Path, text: str) -> None:
    file.with_name(f"{file.name}.manifest.json").write_text(text)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip, "a.dump is damaged: its SHA-256 begins with "),
        (_cut, "a.dump is incomplete: it has "),
        (lambda file: file.write_bytes(b""), "is not a dump in pg_dump's custom format"),
        (lambda file: file.write_text("-- PostgreSQL database dump\n"), "is not a dump in pg_dump's custom format"),
        (lambda file: file.unlink(), "cannot read "),
        (lambda file: (file.unlink(), file.mkdir()), "is not a dump in pg_dump's custom format"),
        (lambda file: file.with_name("a.dump.manifest.json").unlink(), "has no manifest beside it"),
        (lambda file: _manifest(file, "{"), "it is not JSON"),
        (lambda file: _manifest(file, "[]"), "callctl did not write it"),
        (lambda file: _manifest(file, '{"callctl_backup": 2, "callctl_version": "9"}'), "of format 2; this callctl"),
        (lambda file: _manifest(file, '{"callctl_backup": 1}'), "it lacks 'bytes'"),
        (lambda file: backups.amend(file, owners="postgres"), "a value has the wrong type"),
        (lambda file: backups.amend(file, taken_at="yesterday"), "a value has the wrong type"),
        (
            lambda file: backups.amend(file, pg_dump="99.1"),
            "a dump by pg_dump 99.1 needs pg_restore 99 or later; found 1",
        ),
    ],
)
def test_a_file_that_is_not_what_was_written(
    damage: Callable[[Path], object], message: str, file: Path, empty_database: str
) -> None:
    damage(file)
    assert message in refused(ConfigError, empty_database, file).message


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"owners": ["nobody_here"]}, "that do not exist on this server: nobody_here", "--no-owner"),
        ({"grantees": ["nobody_here", "postgres"]}, "that do not exist on this server: nobody_here", "--no-owner"),
        ({"extensions": ["no_such_thing"]}, "extensions that this server does not have: no_such_thing", "install"),
        ({"server_version_num": 990000, "server_version": "99.0"}, "the dump is from PostgreSQL 99.0", "later one"),
        ({"encoding": "LATIN1"}, "the dump's encoding is LATIN1", "--encoding=LATIN1"),
    ],
)
def test_a_server_that_is_not_what_the_dump_needs(
    changes: dict[str, object], message: str, hint: str, file: Path, empty_database: str
) -> None:
    backups.amend(file, **changes)
    error = refused(Refused, empty_database, file)
    assert message in error.message
    assert hint in (error.hint or "")


def test_a_database_that_is_not_empty(file: Path, documented: str, empty_database: str) -> None:
    error = refused(Refused, documented, file)
    assert "schemas: 1 (chatapp); tables: 8 (chatapp.ai_models, " in error.message
    assert "createdb --template=template0" in (error.hint or "")
    with connect(empty_database) as connection:
        for one in ("CREATE TYPE public.t AS ENUM ('a')", "CREATE PUBLICATION p", "SELECT lo_create(0)"):
            with connection.transaction(force_rollback=True):
                connection.execute(one.encode())
                assert connection.execute(read_sql("backup/occupied.sql")).fetchall()
    restore.restore(Settings(database_url=empty_database), str(file))


def test_rows_that_are_not_those_of_the_manifest(file: Path, empty_database: str) -> None:
    """Found before the commit, so that nothing of it is ever seen."""
    tables = backups.manifest_of(file)["tables"]
    tables[2]["rows"] += 1
    backups.amend(file, tables=tables)
    message = refused(StepFailed, empty_database, file).message
    assert "chatapp.chatbots has 200 rows, not 201; nothing was restored" in message
    tables[2]["rows"] -= 2
    backups.amend(file, tables=tables)
    message = refused(StepFailed, empty_database, file).message
    assert "chatapp.chatbots has 200 rows, not 199; nothing was restored" in message
    backups.amend(file, tables=[{"schema": "chatapp", "table": "calls", "rows": 0}])
    assert "the comparison with the manifest: " in refused(StepFailed, empty_database, file).message


@pytest.mark.parametrize("dry", [True, False])
def test_a_manifest_that_names_no_table(dry: bool, file: Path, empty_database: str) -> None:
    """It would compare nothing, and say that all is as it says."""
    backups.amend(file, tables=[])
    act = restore.check if dry else restore.restore
    with pytest.raises(ConfigError) as caught:
        act(Settings(database_url=empty_database), str(file))
    assert "it names no table, but the dump has the rows of 8 tables" in caught.value.message
    assert backups.held(empty_database) == []


@pytest.mark.parametrize("kept", [slice(0, 1), slice(1, None)])
def test_a_manifest_that_names_some_tables_only(kept: slice, file: Path, empty_database: str) -> None:
    tables = backups.manifest_of(file)["tables"]
    backups.amend(file, tables=tables[kept])
    missing = next(table for table in tables if table not in tables[kept])
    message = refused(StepFailed, empty_database, file).message
    assert f"{missing['schema']}.{missing['table']} is not in the manifest" in message


def test_a_manifest_that_names_no_extension(database: MakeDatabase, empty_database: str, tmp_path: Path) -> None:
    url, file = database(None), tmp_path / "a.dump"
    with connect(url) as connection:
        found = connection.execute(
            "SELECT name FROM pg_available_extensions WHERE installed_version IS NULL ORDER BY name LIMIT 1"
        ).fetchone()
        if found is None:
            pytest.skip("this server has no extension")
        name = found[0]
        connection.execute(f'CREATE EXTENSION "{name}" CASCADE'.encode())
    backups.take(url, file)
    backups.amend(file, extensions=[])
    assert "it does not name extensions that the dump creates: " in refused(ConfigError, empty_database, file).message


def test_a_dump_that_turns_standard_literals_off(file: Path, empty_database: str) -> None:
    """Of an older callctl, from a database that has the setting: PostgreSQL 19 refuses it."""
    data = file.read_bytes()
    assert data.count(b"SET standard_conforming_strings = 'on';") == 1
    file.write_bytes(
        data.replace(b"SET standard_conforming_strings = 'on';", b"SET standard_conforming_strings ='off';")
    )
    backups.amend(file)
    error = refused(Refused, empty_database, file)
    assert "was written with standard_conforming_strings = off, which PostgreSQL 19 refuses" in error.message
    with pytest.raises(Refused):
        restore.check(Settings(database_url=empty_database), str(file))


def test_a_database_that_turns_standard_literals_off(documented: str, empty_database: str, tmp_path: Path) -> None:
    """pg_dump is told to leave them on, and the setting itself stays to be set by hand."""
    with connect(documented) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET standard_conforming_strings = off'.encode())
        connection.execute("COMMENT ON TABLE chatapp.users IS 'a \\ b'")
        comment = connection.execute("SELECT obj_description('chatapp.users'::regclass)").fetchone()
    backups.take(f"{documented}&options=-c%20work_mem%3D8MB", tmp_path / "a.dump")
    done = restore.restore(Settings(database_url=empty_database), str(tmp_path / "a.dump"))
    assert "standard_conforming_strings" in done.settings_left
    with connect(empty_database) as connection:
        assert connection.execute("SELECT obj_description('chatapp.users'::regclass)").fetchone() == comment


def test_a_pg_dump_that_was_killed(documented: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it said last is the table that it was at, which has nothing to do with its end."""
    script = """echo 'pg_dump: dumping contents of table "chatapp.users"' >&2; kill -KILL $$"""
    monkeypatch.setenv("CALLCTL_PG_BIN", str(backups.program(tmp_path / "bin", "pg_dump", "18.6", script)))
    with pytest.raises(StepFailed) as caught:
        backups.take(documented, tmp_path / "a.dump")
    assert "failed: killed by signal 9 (SIGKILL)" in caught.value.message
    assert "chatapp.users" not in caught.value.message
    assert "out-of-memory" in (caught.value.hint or "")


def test_a_dump_that_pg_restore_cannot_read(file: Path, empty_database: str) -> None:
    """Damaged before its sum was made."""
    _cut(file)
    backups.amend(file)
    message = refused(StepFailed, empty_database, file).message
    assert "cannot read the dump: " in message
    assert message.endswith("nothing was restored")


def test_owners_that_are_not_there(documented: str, server: Server, database: MakeDatabase, tmp_path: Path) -> None:
    file, copy = tmp_path / "a.dump", database(None)
    roles = ("backup_owner", "backup_reader")
    with connect(documented) as connection:
        for role in roles:
            connection.execute(f"CREATE ROLE {role}".encode())
        try:
            connection.execute("ALTER TABLE chatapp.messages OWNER TO backup_owner")
            connection.execute("GRANT SELECT ON chatapp.users TO backup_reader")
            backups.take(documented, file)
        finally:
            for role in roles:
                connection.execute(f"REASSIGN OWNED BY {role} TO postgres".encode())
                connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
    manifest = backups.manifest_of(file)
    assert ("backup_owner" in manifest["owners"], manifest["grantees"]) == (True, ["backup_reader"])
    assert ": backup_owner, backup_reader" in refused(Refused, copy, file).message
    done = restore.restore(Settings(database_url=copy), str(file), no_owner=True)
    assert not done.owners_kept
    with connect(copy) as connection:
        assert connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'chatapp'"
        ).fetchall() == ([("postgres",)])


def test_a_role_that_may_not(documented: str, server: Server, file: Path, empty_database: str, tmp_path: Path) -> None:
    with connect(documented) as connection:
        connection.execute("CREATE ROLE backup_reader LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA chatapp TO backup_reader")
        try:
            for url in (documented, empty_database):
                with connect(url) as other:
                    other.execute("GRANT CONNECT ON DATABASE postgres TO backup_reader")
            with pytest.raises(StepFailed) as caught:
                backups.take(documented.replace("user=postgres", "user=backup_reader"), tmp_path / "b.dump")
            assert "permission denied for table" in caught.value.message
            assert "no file was left" in caught.value.message
            reader = empty_database.replace("user=postgres", "user=backup_reader")
            assert "has no CREATE privilege" in refused(Refused, reader, file).message
        finally:
            connection.execute("DROP OWNED BY backup_reader; DROP ROLE backup_reader")
    assert not (tmp_path / "b.dump").exists()


@pytest.fixture
def reader(documented: str) -> Iterator[str]:
    """The URL of a database as a role that may read everything of the platform's, and nothing of analytics."""
    with connect(documented) as connection:
        connection.execute("CREATE ROLE backup_reader LOGIN")
        connection.execute(
            "GRANT USAGE ON SCHEMA chatapp TO backup_reader;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA chatapp TO backup_reader;"
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA chatapp TO backup_reader;"
            "CREATE SCHEMA analytics; CREATE TABLE analytics.events (id integer)"
        )
        try:
            yield documented.replace("user=postgres", "user=backup_reader")
        finally:
            connection.execute("DROP OWNED BY backup_reader; DROP ROLE backup_reader")


@pytest.mark.parametrize(
    ("statement", "message", "schema"),
    [
        ("SELECT", "permission denied for table analytics.events; no file was left", "analytics"),
        (
            "GRANT USAGE ON SCHEMA analytics TO backup_reader",
            "permission denied for table analytics.events; no file was left",
            "analytics",
        ),
        (
            "REVOKE SELECT ON chatapp.users FROM backup_reader; DROP SCHEMA analytics CASCADE",
            "permission denied for table chatapp.users; no file was left",
            None,
        ),
        (
            "DROP TABLE analytics.events; CREATE SEQUENCE analytics.s",
            "permission denied for sequence analytics.s; no file was left",
            "analytics",
        ),
        (
            "GRANT USAGE ON SCHEMA analytics TO backup_reader; GRANT SELECT ON analytics.events TO backup_reader;"
            "ALTER TABLE analytics.events ENABLE ROW LEVEL SECURITY",
            "row-level security may hide rows of analytics.events from this role; no file was left",
            "analytics",
        ),
    ],
)
def test_a_table_that_cannot_be_read(
    statement: str, message: str, schema: str | None, reader: str, documented: str, tmp_path: Path
) -> None:
    """Named with its schema, before anything is locked, and what leaves it out."""
    with connect(documented) as connection:
        connection.execute(statement.encode())
    with pytest.raises(StepFailed) as caught:
        backups.take(reader, tmp_path / "a.dump")
    assert caught.value.message == message
    assert ("--exclude-schema" in (caught.value.hint or "")) == (schema is not None)
    with pytest.raises(StepFailed, match="no file was left"):
        backup.look(Settings(database_url=reader), str(tmp_path / "a.dump"))
    assert list(tmp_path.iterdir()) == []
    if schema is not None:
        assert f"--exclude-schema {schema}" in (caught.value.hint or "")
        backups.take(reader, tmp_path / "a.dump", exclude_schemas=[schema])


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("public", "the backup could not be restored without public:"),
        ("nowhere", "there is no schema nowhere to leave out"),
        ("chatapp", "schema chatapp cannot be left out"),
    ],
)
def test_a_schema_that_cannot_be_left_out(schema: str, message: str, deployed: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        backups.take(deployed, tmp_path / "a.dump", exclude_schemas=[schema])
    assert message in caught.value.message
    if schema == "public":
        assert "column status of table chatapp." in caught.value.message or " needs type " in caught.value.message
    assert list(tmp_path.iterdir()) == []


# ---- the file ------------------------------------------------------------------------------------------


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_what_is_there_is_not_overwritten(documented: str, tmp_path: Path) -> None:
    for name in ("a.dump", "b.dump.manifest.json"):
        (tmp_path / name).write_text("mine")
    for name in ("a.dump", "b.dump"):
        with pytest.raises(Refused) as caught:
            backups.take(documented, tmp_path / name)
        assert "already exists; nothing was written" in caught.value.message
    with pytest.raises(ConfigError):
        backups.take(documented, tmp_path / "no" / "a.dump")
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}


@pytest.mark.usefixtures("open_umask")
def test_what_a_killed_run_left_is_written_anew(tmp_path: Path) -> None:
    partial = tmp_path / "a.dump.partial"
    killed = BackupFile(str(tmp_path / "a.dump"))
    os.write(killed.descriptor, b"half of one")
    os.close(killed.descriptor)  # and nothing is removed
    partial.chmod(0o644)
    file = BackupFile(str(tmp_path / "a.dump"))
    assert (partial.stat().st_size, stat.S_IMODE(partial.stat().st_mode)) == (0, 0o600)
    with pytest.raises(LockHeld) as caught:
        BackupFile(str(tmp_path / "a.dump"))
    assert "another backup is being written to " in caught.value.message
    file.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mark", [None, "", "{}", "the manifest of another", "the mark of another", "a copy of ours"])
def test_a_file_of_the_name_of_a_leftover_is_left_as_it_is(mark: str | None, tmp_path: Path) -> None:
    """Only what callctl has put down to be its own is written over, and removed."""
    partial, beside = tmp_path / "a.dump.partial", tmp_path / "a.dump.manifest.json.partial"
    if mark == "the manifest of another":
        mark = '{"callctl_backup": 1}'
    elif mark in ("the mark of another", "a copy of ours"):
        other = BackupFile(str(tmp_path / "a.dump"))
        os.write(other.descriptor, b"half of one")
        mark = beside.read_text()
        os.close(other.descriptor)
        partial.rename(tmp_path / "moved")
    partial.write_text("mine")
    if mark is not None:
        beside.write_text(mark)
    with pytest.raises(Refused, match=r"a\.dump\.partial exists, and nothing shows that callctl wrote it"):
        BackupFile(str(tmp_path / "a.dump"))
    assert partial.read_text() == "mine"
    assert mark is None or beside.read_text() == mark


def test_a_file_of_the_name_of_the_mark_is_left_as_it_is(tmp_path: Path) -> None:
    beside = tmp_path / "a.dump.manifest.json.partial"
    beside.write_text("mine")
    with pytest.raises(Refused, match=r"a\.dump\.manifest\.json\.partial exists, and nothing shows"):
        BackupFile(str(tmp_path / "a.dump"))
    assert [path.name for path in tmp_path.iterdir()] == [beside.name]
    assert beside.read_text() == "mine"


@pytest.mark.parametrize("kind", ["link", "second name"])
def test_a_file_that_somebody_else_may_read_is_not_written_to(kind: str, tmp_path: Path) -> None:
    """Where others can put files, they can put one there that they have open."""
    theirs = tmp_path / "theirs"
    theirs.write_text("")
    partial = tmp_path / "a.dump.partial"
    partial.symlink_to(theirs) if kind == "link" else os.link(theirs, partial)
    with pytest.raises(ConfigError):
        BackupFile(str(tmp_path / "a.dump"))
    assert partial.exists()
