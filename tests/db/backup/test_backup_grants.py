"""Who may do what comes back as it was: not more, for what the new database would give of its own accord."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect
from tests.support.db import backups

from callctl.backup import restore
from callctl.config.settings import Settings
from callctl.errors import Refused, StepFailed
from callctl.events import Event, Notice

ROLE = "backup_grantee"


@pytest.fixture
def granted(documented: str) -> Iterator[str]:
    """A database in which a role has some rights, and PUBLIC has not all that it would have."""
    with connect(documented) as connection:
        connection.execute(f"CREATE ROLE {ROLE}".encode())
        try:
            connection.execute(
                f"CREATE FUNCTION chatapp.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
                f"REVOKE EXECUTE ON FUNCTION chatapp.f() FROM PUBLIC;"
                f"GRANT SELECT ON chatapp.users TO {ROLE} WITH GRANT OPTION;"
                f"GRANT UPDATE (name) ON chatapp.chatbots TO {ROLE};"
                f"GRANT ALL ON chatapp.messages TO {ROLE}; GRANT USAGE ON SCHEMA chatapp TO {ROLE};"
                f"REVOKE DELETE ON chatapp.messages FROM postgres".encode()
            )
            yield documented
        finally:
            connection.execute(f"DROP OWNED BY {ROLE}".encode())


@pytest.fixture(autouse=True)
def _no_role_left(server: Any) -> Iterator[None]:
    yield
    with connect(server.url("postgres")) as admin:
        for (name,) in admin.execute(
            "SELECT datname FROM pg_database WHERE datallowconn AND datname LIKE 'test_%'"
        ).fetchall():
            with connect(server.url(name)) as connection, connection.transaction():
                if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is not None:
                    connection.execute(f"DROP OWNED BY {ROLE}".encode())
        admin.execute(f"DROP ROLE IF EXISTS {ROLE}".encode())


def acls(connection: psycopg.Connection[Any]) -> list[Any]:
    return connection.execute(
        "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'chatapp'::regnamespace AND relkind = 'r'"
        " UNION ALL SELECT proname, proacl::text FROM pg_proc WHERE pronamespace = 'chatapp'::regnamespace"
        " UNION ALL SELECT attrelid::regclass::text || attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL"
        " AND attrelid > 16000 ORDER BY 1"
    ).fetchall()


def test_grants_come_back(granted: str, database: MakeDatabase, tmp_path: Path) -> None:
    copy, said = database(None), list[str]()
    backups.take(granted, tmp_path / "a.dump")
    manifest = backups.manifest_of(tmp_path / "a.dump")
    assert "REVOKE EXECUTE ON function chatapp.f() FROM PUBLIC" in manifest["grants"]
    assert f"GRANT SELECT ON table chatapp.users TO {ROLE} WITH GRANT OPTION" in manifest["grants"]

    def heard(event: Event) -> None:
        if isinstance(event, Notice):
            said.append(event.text)

    restore.restore(Settings(database_url=copy), str(tmp_path / "a.dump"), on_event=heard)
    assert f"the dump needs these roles, and the server has them: {ROLE}" in said
    with connect(granted) as one, connect(copy) as other:
        assert acls(one) == acls(other)


DEFAULTS = [
    "GRANT SELECT ON TABLES TO PUBLIC",
    f"GRANT INSERT ON TABLES TO {ROLE}",
    "IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
    f"GRANT USAGE ON SEQUENCES TO {ROLE}",
    f"GRANT USAGE ON SCHEMAS TO {ROLE}",
    "REVOKE USAGE ON TYPES FROM PUBLIC",
]


@pytest.mark.parametrize("no_owner", [False, True])
@pytest.mark.parametrize("default", DEFAULTS)
def test_default_privileges_of_the_target(
    default: str, no_owner: bool, granted: str, database: MakeDatabase, tmp_path: Path
) -> None:
    """They would lay open what the old database keeps: nothing is restored."""
    copy, file = database(None), tmp_path / "a.dump"
    backups.take(granted, file)
    with connect(copy) as connection:
        connection.execute(f"ALTER DEFAULT PRIVILEGES {default}".encode())
    with pytest.raises(Refused) as caught:
        restore.restore(Settings(database_url=copy), str(file), no_owner=no_owner)
    assert "has default privileges, which every object that this role restores would get: " in caught.value.message
    assert "template0" in (caught.value.hint or "")
    assert backups.held(copy) == []
    with pytest.raises(Refused):
        restore.check(Settings(database_url=copy), str(file), no_owner=no_owner)
    with connect(copy) as connection:
        connection.execute(f"ALTER DEFAULT PRIVILEGES {_undone(default)}".encode())
    restore.restore(Settings(database_url=copy), str(file), no_owner=no_owner)


def _undone(default: str) -> str:
    if "REVOKE" in default:
        return default.replace("REVOKE", "GRANT").replace("FROM", "TO")
    return default.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")


def test_default_privileges_of_another_role(granted: str, database: MakeDatabase, tmp_path: Path) -> None:
    """What it makes gets them, and not what this role restores."""
    copy, file = database(None), tmp_path / "a.dump"
    backups.take(granted, file)
    with connect(copy) as connection:
        connection.execute(f"ALTER DEFAULT PRIVILEGES FOR ROLE {ROLE} GRANT SELECT ON TABLES TO PUBLIC".encode())
    restore.restore(Settings(database_url=copy), str(file))
    with connect(granted) as one, connect(copy) as other:
        assert acls(one) == acls(other)


@pytest.mark.parametrize("no_owner", [False, True])
def test_a_schema_public_that_is_open(no_owner: bool, documented: str, database: MakeDatabase, tmp_path: Path) -> None:
    """Of a template, perhaps. Without owners and grants the database is as it was."""
    copy, file = database(None), tmp_path / "a.dump"
    backups.take(documented, file)
    with connect(copy) as connection:
        connection.execute(f"CREATE ROLE {ROLE}; GRANT CREATE ON SCHEMA public TO {ROLE}".encode())
    if no_owner:
        restore.restore(Settings(database_url=copy), str(file), no_owner=True)
        return
    with pytest.raises(StepFailed) as caught:
        restore.restore(Settings(database_url=copy), str(file))
    assert f"GRANT CREATE ON schema public TO {ROLE} is not in the manifest" in caught.value.message
    assert backups.held(copy) == []


def test_a_manifest_whose_grants_are_gone(granted: str, database: MakeDatabase, tmp_path: Path) -> None:
    copy, file = database(None), tmp_path / "a.dump"
    backups.take(granted, file)
    backups.amend(file, grants=[])
    with pytest.raises(StepFailed, match="the restored grants differ from the manifest"):
        restore.restore(Settings(database_url=copy), str(file))
    assert backups.held(copy) == []


@pytest.mark.parametrize("no_owner", [False, True])
def test_a_role_that_a_policy_names(no_owner: bool, documented: str, database: MakeDatabase, tmp_path: Path) -> None:
    """Found before anything is restored, also where owners and grants are left out."""
    copy, file = database(None), tmp_path / "a.dump"
    with connect(documented) as connection:
        connection.execute(f"CREATE ROLE {ROLE}; CREATE POLICY own ON chatapp.users TO {ROLE} USING (true)".encode())
        backups.take(documented, file)
        connection.execute(f"DROP POLICY own ON chatapp.users; DROP ROLE {ROLE}".encode())
    assert backups.manifest_of(file)["policy_roles"] == [ROLE]
    with pytest.raises(Refused) as caught:
        restore.restore(Settings(database_url=copy), str(file), no_owner=no_owner)
    assert f"that do not exist on this server: {ROLE}" in caught.value.message
    assert ("--no-owner does not help" in (caught.value.hint or "")) == no_owner
    with connect(copy) as connection:
        connection.execute(f"CREATE ROLE {ROLE}".encode())
    restore.restore(Settings(database_url=copy), str(file), no_owner=no_owner)
    with connect(copy) as connection:
        assert connection.execute("SELECT roles::text[] FROM pg_policies").fetchall() == [([ROLE],)]
