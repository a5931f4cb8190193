"""Row-level security: what a policy hides is refused with the policy's name, never passed over."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.support.db import accounts

from callctl.config.settings import Settings
from callctl.errors import CallctlError, Refused
from callctl.migration import migrate
from callctl.migration.checks.verify import verify
from callctl.secrets.inventory import key_retirement
from callctl.secrets.rotation.rotate import rotate

TABLE = "chatapp.integration_accounts"

_numbers = itertools.count(1)


@pytest.fixture
def owner(url: str) -> Iterator[str]:
    """A role that owns the platform's and callctl's tables, and sees what policies let it see."""
    role = f"owner_{os.getpid()}_{next(_numbers)}"
    with connect(url) as db:
        db.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        db.execute(
            sql.SQL("GRANT ALL ON SCHEMA public, chatapp TO {0}; GRANT CREATE, CONNECT ON DATABASE {1} TO {0}").format(
                sql.Identifier(role), sql.Identifier(db.info.dbname)
            )
        )
        for schema, kind, name in db.execute(
            "SELECT n.nspname, CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname FROM pg_class AS c"
            " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('chatapp', 'callctl') AND c.relkind IN ('r', 'p')"
        ).fetchall():
            db.execute(
                sql.SQL("ALTER {} {} OWNER TO {}").format(
                    sql.SQL(kind), sql.Identifier(schema, name), sql.Identifier(role)
                )
            )
        db.execute(sql.SQL("ALTER SCHEMA callctl OWNER TO {}").format(sql.Identifier(role)))
        db.execute(sql.SQL("ALTER SCHEMA chatapp OWNER TO {}").format(sql.Identifier(role)))
        for (name,) in db.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace IN ('chatapp'::regnamespace,"
            " 'callctl'::regnamespace)"
        ).fetchall():
            db.execute(sql.SQL("ALTER ROUTINE {} OWNER TO {}").format(sql.SQL(name), sql.Identifier(role)))
    yield role
    with connect(url) as db:
        db.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
        db.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def as_role(url: str, role: str) -> str:
    """The same database, connected as another role."""
    return psycopg.conninfo.make_conninfo(url, user=role)


def hide(db: psycopg.Connection[Any], table: str, *, policy: bool = True) -> None:
    db.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY".encode())
    if policy:
        db.execute(
            f"CREATE POLICY tenant ON {table} USING (company_id::text = current_setting('app.company', true))".encode()
        )


def test_a_rotation_and_a_retirement_refuse(url: str, keys: Path, owner: str) -> None:
    """Case g04: with rows hidden, a rotation read none and a key that every row needs was retired."""
    rotate(accounts.settings_of(as_role(url, owner), keys, "k1", "k2"))
    settings = accounts.settings_of(as_role(url, owner), keys, "k2", "k1")
    with connect(url) as db:
        before = accounts.versions(db)
        hide(db, TABLE)
        for attempt in (
            lambda: rotate(settings),
            lambda: key_retirement.retire(settings, "k1"),
        ):
            with pytest.raises(Refused) as refused:
                attempt()
            assert (
                f"row-level security hides rows of {TABLE} from role {owner} (policy tenant)" in refused.value.message
            )
            assert f"ALTER ROLE {owner} BYPASSRLS" in (refused.value.hint or "")
            assert f"ALTER TABLE {TABLE} NO FORCE ROW LEVEL SECURITY" in (refused.value.hint or "")
        assert accounts.versions(db) == before
        assert db.execute("SELECT count(*) FROM callctl.encryption_key WHERE retired_at IS NOT NULL").fetchone() == (0,)
        # What the hint says is enough.
        db.execute(f"ALTER ROLE {owner} BYPASSRLS".encode())
        assert rotate(settings).values > 0


COMMANDS = (
    ("rotate-secrets", "--status"),
    ("rotate-secrets", "--dry-run"),
    ("rotate-secrets", "--yes"),
    ("keys", "list"),
    ("keys", "retire", "k1", "--yes"),
    ("verify",),
    ("accounts",),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_passes_over_hidden_rows(
    url: str, keys: Path, owner: str, callctl: Callctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:  # fmt: skip
    migrate.up(Settings(database_url=url))
    with connect(url) as db:
        for (name,) in db.execute(
            "SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relkind = 'r' AND"
            " c.relnamespace IN ('chatapp'::regnamespace, 'callctl'::regnamespace)"
        ).fetchall():
            db.execute(f'ALTER TABLE {name} OWNER TO "{owner}"'.encode())
        hide(db, TABLE, policy=False)
    ring = "".join(f"\n    - {{id: {id}, file: {accounts.key_file(keys, id)}}}" for id in ("k1", "k2"))
    (tmp_path / "callctl.yaml").write_text(f"keys:\n  primary: k2\n  ring:{ring}\n")
    monkeypatch.chdir(tmp_path)
    code, out, err = callctl(as_role(url, owner), *command)
    said = " ".join((out + err).split())
    assert code == 3, said
    assert f"row-level security hides rows of {TABLE} from role {owner} (no policy shows rows to this role)" in said


def test_a_trigger_of_the_platforms_that_runs_as_this_role_is_named(url: str, keys: Path, owner: str) -> None:
    """With row_security off its queries are refused too, where they were answered in part before."""
    with connect(url) as db:
        db.execute(
            "CREATE TABLE chatapp.audit (row_id uuid);"
            "CREATE FUNCTION chatapp.looks() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM FROM chatapp.audit; RETURN NULL; END $$;"
            f"CREATE TRIGGER looks AFTER UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION chatapp.looks();"
            "ALTER TABLE chatapp.audit ENABLE ROW LEVEL SECURITY;"
            f'GRANT SELECT ON chatapp.audit TO "{owner}"'.encode()
        )
        with pytest.raises(CallctlError) as failed:
            rotate(accounts.settings_of(as_role(url, owner), keys))
        assert f"hides rows of chatapp.audit from role {owner}" in failed.value.message
        assert f"trigger looks on {TABLE} (function chatapp.looks()) runs as this role" in failed.value.message


def test_verify_says_which_policy_hides_rows(url: str, owner: str) -> None:
    with connect(url) as db:
        hide(db, TABLE)
    with connect(as_role(url, owner)) as db:
        report = verify(db, Settings(database_url=as_role(url, owner)))
    assert not report.passed
    hidden = [check for check in report.checks if check.error and "row-level security hides rows" in check.error]
    assert {"accounts-secrets-encrypted"} <= {check.id for check in hidden}
    assert all("policy tenant" in (check.error or "") for check in hidden)


@pytest.mark.parametrize(
    ("table", "checks"),
    [
        ("chatapp.companies", {"accounts-orphans", "calls-orphans", "saved-values-orphans"}),
        ("chatapp.chatbots", {"calls-orphans", "inheritance-orphans", "saved-values-orphans"}),
        ("chatapp.end_users", {"calls-orphans"}),
        ("chatapp.conversations", {"calls-orphans"}),
        (TABLE, {"accounts-orphans", "calls-orphans"}),
        ("chatapp.calls", {"calls-orphans", "transcripts-orphans"}),
        ("chatapp.call_transcripts", {"transcripts-orphans"}),
        ("chatapp.users", {"saved-values-orphans"}),
    ],
)
@pytest.mark.applied
def test_a_row_that_a_policy_hides_is_no_orphan(documented: str, table: str, checks: set[str]) -> None:
    """Nor is it taken for there: each check that would have to see it says that it can't."""
    role = f"reader_{os.getpid()}_{next(_numbers)}"
    with connect(documented) as db:
        db.execute(
            f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA public, chatapp, callctl TO {role};"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA chatapp, callctl TO {role};"
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON {table} USING (false)".encode()
        )
    try:
        with connect(as_role(documented, role)) as db:
            report = verify(db, Settings(database_url=as_role(documented, role)))
    finally:
        with connect(documented) as db:
            db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
    assert report.passed == (checks == {"saved-values-orphans"})  # which only warns, whatever it finds
    assert "secrets-closed" not in {check.id for check in report.checks if not check.passed}
    refused = {check.id for check in report.checks if check.error and "row-level security hides rows" in check.error}
    assert checks <= refused
    assert not any(check.passed for check in report.checks if check.id in checks)
