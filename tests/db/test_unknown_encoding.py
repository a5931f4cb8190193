"""A database in SQL_ASCII: its text is any bytes. No command fails on them, and none changes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest
from tests.conftest import connect

from callctl.cli import run
from callctl.config.settings import Settings
from callctl.database.connection import connect as connect_as_callctl
from callctl.sandbox.lifecycle import drop_database, fill
from callctl.sandbox.server import Server

pytestmark = pytest.mark.one_server

Database: TypeAlias = psycopg.Connection[Any]
Ask: TypeAlias = Callable[..., tuple[int, str, str]]

KOELN = "K\u00f6ln".encode("latin-1")


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """A database in SQL_ASCII, with Latin-1 in a name, a slug and a settings document."""
    with connect(server.url("postgres")) as admin:
        admin.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        fill(server.url("latin"), "deployed", rows=40)
        with as_stored(server.url("latin")) as db:
            db.execute(b"UPDATE chatapp.companies SET name = E'K\\xf6ln'")
            db.execute(b"UPDATE chatapp.companies SET slug = E'k\\xf6ln' WHERE slug = 'company-2'")
            db.execute(
                b"UPDATE chatapp.companies SET settings = convert_from('{\"city\": \"K\\366ln\"}'::bytea, 'SQL_ASCII')"
                b"::jsonb WHERE slug = 'company-1'"
            )
        yield server.url("latin")
    finally:
        with connect(server.url("postgres")) as admin:
            drop_database(admin, "latin")


def as_stored(url: str) -> Database:
    return connect(url, client_encoding="SQL_ASCII")


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.chdir(tmp_path)

    def call(url: str, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["--database", url, *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def documents(db: Database) -> list[bytes]:
    rows = db.execute("SELECT id, name, slug, settings::text FROM chatapp.companies ORDER BY id").fetchall()
    return [b"|".join(each if isinstance(each, bytes) else str(each).encode() for each in row) for row in rows]


def test_companies_with_a_name_in_latin1(url: str, ask: Ask) -> None:
    with as_stored(url) as db:
        before = documents(db)
        assert sum(KOELN in each for each in before) == len(before)
    assert ask(url, "migrate", "up", "--yes")[0] == 0
    code, out, err = ask(url, "companies", "list", "--output", "json")
    assert code == 0, err
    assert {each["name"] for each in json.loads(out)["companies"]} == {"K\udcf6ln"}
    assert "K\N{REPLACEMENT CHARACTER}ln" in ask(url, "companies", "list")[1]
    names = ["company-1", "k\udcf6ln"]  # as the command line has the byte
    code, _, err = ask(url, "companies", "enable", *names, "--yes")
    assert code == 0, err
    with as_stored(url) as db:
        stored = b"".join(documents(db))
        assert b'{"city": "K\xf6ln", "features": {"callEnabled": true}}' in stored
        row = db.execute("SELECT detail::text FROM callctl.action WHERE command = 'companies enable'").fetchone()
    assert row is not None
    assert b"k\\\\xf6ln" in row[0]
    assert ask(url, "verify")[0] == 0
    assert ask(url, "companies", "disable", *names, "--yes")[0] == 0
    assert ask(url, "migrate", "down", "--all", "--yes")[0] == 0
    with as_stored(url) as db:
        after = documents(db)
    assert [each.replace(b', "features": {"callEnabled": false}', b"") for each in after] == before


def test_secrets_beside_bytes_that_are_not_utf8(url: str, ask: Ask, tmp_path: Path) -> None:
    """A secret in other bytes is left and listed; other text of its row is not changed by a rotation."""
    (tmp_path / "callctl.yaml").write_text(
        "environment: development\nkeys:\n  primary: k2\n  ring:\n    - {id: k1, file: k1}\n    - {id: k2, file: k2}\n"
    )
    for name in ("k1", "k2"):
        assert ask(url, "keys", "generate", "--out", name)[0] == 0
    text = (tmp_path / "callctl.yaml").read_text()
    (tmp_path / "callctl.yaml").write_text(text.replace("primary: k2", "primary: k1"))
    assert ask(url, "migrate", "up", "--yes")[0] == 0
    database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    code, _, err = ask(url, "seed-models", "--dev-accounts", "--development-database", str(database), "--yes")
    assert code == 0, err
    (tmp_path / "callctl.yaml").write_text(text)
    with as_stored(url) as db:
        db.execute(
            b"UPDATE chatapp.integration_accounts SET account_name = E'K\\xf6ln', credentials = credentials ||"
            b" convert_from('{\"note\": \"K\\366ln\"}'::bytea, 'SQL_ASCII')::jsonb"
        )
        db.execute(b"UPDATE chatapp.integration_accounts SET access_token = E't\\xf6ken' WHERE account_type = 'twilio'")
    code, out, err = ask(url, "rotate-secrets", "--yes")
    assert code == 3, err
    assert "has bytes that are not UTF-8" in out + err
    with as_stored(url) as db:
        rows = db.execute(
            "SELECT account_name, access_token, credentials::text FROM chatapp.integration_accounts"
            " ORDER BY account_type"
        ).fetchall()
    assert [row[0] for row in rows] == [KOELN, KOELN]
    assert rows[0][1] == b"t\xf6ken"
    assert all(b'"note": "K\xf6ln"' in row[2] and b'"k2"' in row[2] and b'"k1"' not in row[2] for row in rows)
    assert ask(url, "accounts")[0] == 0
    assert ask(url, "keys", "list")[0] == 0


def test_a_session_reads_writes_and_names_what_is_stored(url: str) -> None:
    from psycopg import sql
    from psycopg.types.json import Jsonb

    with connect_as_callctl(Settings(database_url=url)) as connection:
        connection.execute("CREATE TEMP TABLE t (x text, xs text[], j jsonb)")
        values = ("K\udcf6ln \u00e9", ["a\udcf6", "\u4e2d"], Jsonb({"k\udcf6": "\u00e9"}))
        connection.execute("INSERT INTO t VALUES (%s, %s, %s)", values)
        row = connection.execute("SELECT x, xs, j, x::bytea FROM t").fetchone()
        assert row == (values[0], values[1], values[2].obj, b"K\xf6ln \xc3\xa9")
        connection.execute(sql.SQL("CREATE TEMP TABLE {} ()").format(sql.Identifier("caf\u00e9")))
        row = connection.execute("SELECT relname FROM pg_class WHERE relname = 'caf\u00e9'").fetchone()
        assert row == ("caf\u00e9",)


def test_a_plan_beside_a_table_whose_name_is_in_latin1(url: str, ask: Ask) -> None:
    """It was never analyzed, so it is counted; and a trigger's source has such a byte, too."""
    with as_stored(url) as db:
        db.execute(b'CREATE TABLE chatapp."k\xf6ln" (id integer) WITH (autovacuum_enabled = off)')
        db.execute(b'INSERT INTO chatapp."k\xf6ln" VALUES (1)')
        db.execute(
            b"CREATE FUNCTION chatapp.noted() RETURNS trigger LANGUAGE plpgsql AS"
            b" $$ BEGIN NEW.name := 'k\xf6ln'; RETURN NEW; END $$"
        )
        db.execute(
            "CREATE TRIGGER noted BEFORE UPDATE ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION chatapp.noted()"
        )
    for arguments in (["migrate", "plan", "--to", "3"], ["migrate", "plan", "--output", "json"]):
        code, out, err = ask(url, *arguments)
        assert code == 0, err
        assert "users.avatar_url" in out


def test_a_rehearsal_and_a_comparison_of_such_a_database(url: str, ask: Ask) -> None:
    """The tables of the rehearsal have such names as well, and such a table is filled."""
    with as_stored(url) as db:
        db.execute(b'CREATE TABLE chatapp."k\xf6ln" (id serial PRIMARY KEY, "stra\xdfe" text)')
        db.execute(b'INSERT INTO chatapp."k\xf6ln" ("stra\xdfe") SELECT \'x\' FROM generate_series(1, 50)')
    code, out, err = ask(url, "migrate", "rehearse", "--rows", "200", "--output", "json")
    assert code == 0, err
    for arguments in (["migrate", "up", "--yes"], ["diff"]):
        code, out, err = ask(url, *arguments)
        assert code == 0, out + err
