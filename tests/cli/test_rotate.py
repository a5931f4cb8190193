"""rotate-secrets and keys at the terminal; and that no secret is to be seen anywhere, the server's log included."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import psycopg
import pytest
from tests.conftest import connect
from tests.support.db import accounts
from tests.support.faults.own_server import OwnServer

from callctl.cli import run
from callctl.config.settings import Settings
from callctl.files import read_sql
from callctl.migration import migrate
from callctl.sandbox.lifecycle import fill

Ask: TypeAlias = Callable[..., tuple[str, str]]

LOGS_EVERYTHING = {
    "log_statement": "all",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "log_min_messages": "debug1",
    "log_min_error_statement": "debug1",
    "log_error_verbosity": "verbose",
}


@pytest.fixture(scope="module")
def logging_server() -> Iterator[OwnServer]:
    """A server that logs each statement with its parameters; only PostgreSQL 13 and later know how."""
    with OwnServer() as server:
        server.start(LOGS_EVERYTHING)
        yield server


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    lines = ["keys:", "  primary: k2", "  ring:"]
    for id in ("k2", "k1"):
        accounts.key_file(directory, id)
        lines.append(f"    - {{id: {id}, file: {id}, legacy: {str(id == 'k1').lower()}}}")
    (directory / "callctl.yaml").write_text("\n".join([*lines, ""]))
    return directory


@pytest.fixture(scope="module")
def url(logging_server: OwnServer, keys: Path) -> str:
    """A database with accounts, on that server; what the tests wrote is no longer in its log's last part."""
    with connect(logging_server.url("postgres")) as admin:
        admin.execute("CREATE DATABASE secrets")
        # Not the test's own statements, which hold the secrets.
        admin.execute("ALTER DATABASE secrets SET log_statement = 'none'")
    url = logging_server.url("secrets")
    fill(url, "documented", rows=20)
    migrate.up(Settings(database_url=url), to=9)
    with connect(url) as db:
        accounts.fill(db, accounts.ring_of(accounts.settings_of(url, keys)), 60)
        db.execute(
            'UPDATE chatapp.integration_accounts SET credentials = credentials || \'{"note": "canary-4f1d beside"}\''
        )
        db.execute(
            "UPDATE chatapp.integration_accounts SET account_name = E'a\\x1b[31m',"
            " webhook_secret = 'canary-4f1d ' || id,"
            " webhook_url = 'https://user:canary-4f1d@hooks.example/' || id || '?token=canary-4f1d'"
        )
        db.execute("ALTER DATABASE secrets RESET log_statement")
    return url


@pytest.fixture
def ask(url: str, keys: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run callctl with these keys and return what it said: stdout and stderr."""
    monkeypatch.setenv("CALLCTL_DATABASE_URL", url)

    def ask(command: str, code: int = 0, config: str = "callctl.yaml") -> tuple[str, str]:
        got = run(["--config", str(keys / config), *command.split()])
        out, err = capsys.readouterr()
        assert got == code, err
        return out, err

    return ask


def test_the_whole_way_and_no_secret_anywhere(ask: Ask, url: str, keys: Path, logging_server: OwnServer) -> None:
    said: list[str] = []

    def says(command: str, code: int = 0) -> str:
        said.extend(ask(command, code))
        return "".join(said[-2:])

    assert "to encrypt under key k2" in says("rotate-secrets --status", 3)
    assert "next: callctl rotate-secrets" in says("rotate-secrets --dry-run")
    assert "confirmation needed, but this is not a terminal" in says("rotate-secrets", 3)
    found = json.loads(ask("rotate-secrets --dry-run --bind --output json")[0])
    assert found["due"] == sum(each["values"] for each in found["fields"] if each["due"])
    assert "cannot be retired" in says("keys retire k1 --yes", 3)
    with connect(url) as db:
        db.execute("SET log_statement = 'none'")
        db.execute(
            "UPDATE chatapp.integration_accounts SET credentials = jsonb_set(credentials, '{authToken}',"
            ' \'{"encrypted": "canary-4f1d", "iv": "", "authTag": ""}\')'
            " WHERE id = (SELECT min(id::text)::uuid FROM chatapp.integration_accounts WHERE account_type = 'twilio')"
        )
    assert "malformed" in says("rotate-secrets --yes --workers 2", 3)
    assert "no value was written; 1 value left, see above" in says("rotate-secrets --yes", 3)
    lines = [json.loads(line) for line in ask("rotate-secrets --yes --bind --output json", 3)[0].splitlines()]
    assert (lines[-1]["event"], lines[-1]["failures"]) == ("rotated", 1)
    assert lines[-1]["left"][0]["field"] == "credentials.authToken"
    assert lines[0]["event"] == "rotation_progress"
    table = says("keys list")
    assert "primary" in table
    assert "legacy" in table
    assert "key k1 is retired" in says("keys retire k1 --yes")
    listed = json.loads(ask("keys list --output json")[0])
    assert [(key["id"], key["state"]) for key in listed["keys"]] == [("k2", "primary"), ("k1", "retired")]
    log = (logging_server.sockets.parent / "log").read_text(errors="replace")
    assert re.search(r"UPDATE.*?parameters: .*kid\W+k2", log, re.DOTALL)  # they are logged indeed
    for text in (log, *said):
        for secret in (accounts.CANARY, *((keys / id).read_text() for id in ("k1", "k2"))):
            assert secret not in text, text[max(text.find(secret) - 300, 0) :][:600]


def copy_too_much(db: psycopg.Connection[Any]) -> None:
    """As a run does, but with a column too many: in text, the server would log the line."""
    db.execute(read_sql("secrets/webhooks/new_values.sql"))
    with db.cursor().copy(read_sql("secrets/webhooks/copy.sql")) as copy:
        copy.set_types(["uuid", "text", "text"])
        copy.write_row((UUID(int=1), accounts.CANARY, ""))


def test_webhook_secrets_and_none_of_them_anywhere(
    ask: Ask, url: str, keys: Path, tmp_path: Path, logging_server: OwnServer
) -> None:
    said: list[str] = []

    def says(command: str, code: int = 0) -> str:
        said.extend(ask(f"rotate-secrets {command}", code))
        return said[-2] if command.endswith("--output json") else "".join(said[-2:])

    file = tmp_path / "new.jsonl"
    replace = f"--webhook-secrets --all --to-file {file}"
    with connect(url) as db:
        db.execute("SET log_statement = 'none'")
        ids = "SELECT array_agg(id::text ORDER BY id) FROM chatapp.integration_accounts WHERE deleted_at IS NULL"
        live = (db.execute(ids).fetchone() or [[]])[0]
        assert f"{len(live)} accounts would get a new webhook secret" in says(f"{replace} --dry-run")
        assert "confirmation needed, but this is not a terminal" in says(replace, 3)
        assert not file.exists()
        assert "kept until" in says(f"{replace} --yes --grace 1h")
        assert "hooks.example" in said[-2]
        assert "\x1b" not in said[-2]
        new = [json.loads(line)["webhook_secret"] for line in file.read_text().splitlines()]
        assert len(new) == len(live)
        assert "already exists" in says(f"{replace} --yes", 3)
        assert live[0] in says("--status", 3)
        status = json.loads(says("--status --output json", 3))
        assert [each["account_id"] for each in status["kept_webhook_secrets"]] == live
        listed = json.loads(ask("keys list --output json")[0])["keys"]
        assert listed[0]["saved"] == len(live)
        db.execute(
            "UPDATE chatapp.integration_accounts SET webhook_secret = 'canary-4f1d own' WHERE id::text = %s", (live[0],)
        )
        assert "would get its previous webhook secret back" in says("--webhook-secrets --put-back --all --dry-run")
        back = json.loads(says("--webhook-secrets --put-back --all --yes --output json", 3).splitlines()[-1])
        assert (back["event"], len(back["accounts"])) == ("webhook_secrets_put_back", len(live) - 1)
        assert [each["account_id"] for each in back["left"]] == [live[0]]
        assert "changed its secret since" in says("--webhook-secrets --put-back --all --yes", 3)
        # A COPY that fails: the server logs where, and nothing of what it was given.
        with pytest.raises(psycopg.errors.BadCopyFileFormat):
            copy_too_much(db)
    log = (logging_server.sockets.parent / "log").read_text(errors="replace")
    assert "COPY pg_temp.callctl_new_value" in log
    assert re.search(r"CONTEXT: +COPY callctl_new_value, line 1", log)
    for text in (log, *said):
        for secret in (accounts.CANARY, *new, *((keys / id).read_text() for id in ("k1", "k2"))):
            assert secret not in text, text[max(text.find(secret) - 300, 0) :][:600]


def test_webhook_secrets_asked_for_wrongly(ask: Ask, url: str, tmp_path: Path) -> None:
    file = tmp_path / "new"
    id = "00000000-0000-4000-8000-000000000001"
    needs_one = "--webhook-secrets needs --account, --company or --all"
    wrong = {
        "--all": "--all needs --webhook-secrets",
        f"--to-file {file}": "--to-file needs --webhook-secrets",
        "--put-back": "--put-back needs --webhook-secrets",
        "--webhook-secrets": needs_one,
        f"--webhook-secrets --to-file {file}": needs_one,
        f"--webhook-secrets --all --account {id} --to-file {file}": needs_one,
        f"--webhook-secrets --account {id} --company {id} --to-file {file}": needs_one,
        f"--webhook-secrets --account 1 --to-file {file}": "--account is not a UUID",
        f"--webhook-secrets --company it --to-file {file}": "--company is not a UUID",
        "--webhook-secrets --all": "new webhook secrets need a file",
        f"--webhook-secrets --all --to-file {file} --grace 3": "--grace is not a duration",
        f"--webhook-secrets --all --to-file {file} --grace 0s": "--grace is not between",
        f"--webhook-secrets --all --put-back --to-file {file}": "--to-file has no meaning with --put-back",
        "--webhook-secrets --all --put-back --grace 1h": "--grace has no meaning with --put-back",
        f"--webhook-secrets --all --to-file {file} --bind": "webhook secrets are not encrypted",
        f"--webhook-secrets --all --to-file {file} --workers 2": "webhook secrets are not encrypted",
        "--webhook-secrets --all --status": "--status only counts",
    }
    with connect(url) as db:
        before = db.execute("SELECT array_agg(xmin::text) FROM chatapp.integration_accounts").fetchall()
        for arguments, text in wrong.items():
            out, err = ask(f"rotate-secrets {arguments} --yes", 2)
            assert (out, text in err, "callctl: hint: " in err) == ("", True, True), err
        out, err = ask(f"rotate-secrets --webhook-secrets --all --to-file {file}/x --yes", 4)
        assert (out, "cannot write" in err, "callctl: hint: " in err) == ("", True, True)
        out, err = ask(f"rotate-secrets --webhook-secrets --account {id} --to-file {file} --yes", 3)
        assert (out, "there is no integration account" in err, file.exists()) == ("", True, False)
        assert db.execute("SELECT array_agg(xmin::text) FROM chatapp.integration_accounts").fetchall() == before


SPELLINGS = {
    "webhooks rotate": "rotate-secrets --webhook-secrets",
    "webhooks restore": "rotate-secrets --webhook-secrets --put-back",
}


@pytest.mark.parametrize(
    ("command", "arguments", "code"),
    [
        ("webhooks rotate", "", 2),
        ("webhooks rotate", "--all --company 1", 2),
        ("webhooks rotate", "--account 1 --to-file x", 2),
        ("webhooks rotate", "--all", 2),
        ("webhooks rotate", "--all --to-file x --grace 3", 2),
        ("webhooks rotate", "--all --to-file x", 3),
        ("webhooks rotate", "--all --dry-run", 0),
        ("webhooks rotate", "--all --dry-run --output json", 0),
        ("webhooks restore", "--all --account 1", 2),
        ("webhooks restore", "--all --dry-run --output json", 0),
    ],
)
def test_webhooks_have_commands_of_their_own(
    ask: Ask, command: str, arguments: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which say what rotate-secrets --webhook-secrets says, but for their own name."""
    monkeypatch.chdir(tmp_path)
    out, err = ask(f"{command} {arguments}", code)
    assert ask(f"{SPELLINGS[command]} {arguments}", code) == (
        out,
        err.replace(f"{command} needs", "--webhook-secrets needs"),
    )
    assert list(tmp_path.iterdir()) == []


def test_webhooks_are_rotated_and_restored(ask: Ask, tmp_path: Path) -> None:
    """By one spelling and by the other, on the same accounts."""
    first, second = (
        json.loads(ask(f"{command} --all --to-file {tmp_path / name} --yes --output json")[0].splitlines()[-1])
        for name, command in (("one", "webhooks rotate"), ("other", SPELLINGS["webhooks rotate"]))
    )
    assert [set(first), first["event"], first["scope"]] == [set(second), "webhook_secrets_replaced", second["scope"]]
    assert [each["account_id"] for each in first["accounts"]] == [each["account_id"] for each in second["accounts"]]
    assert second["accounts"]
    said = ask("webhooks restore --all --yes")[0]
    assert f"restored the previous webhook secret of {len(second['accounts'])} accounts" in said
    back = json.loads(ask(f"{SPELLINGS['webhooks restore']} --all --yes --output json")[0].splitlines()[-1])
    assert (back["event"], len(back["accounts"]), back["left"]) == (
        "webhook_secrets_put_back",
        len(first["accounts"]),
        [],
    )


def test_what_is_asked_for_wrongly(ask: Ask, keys: Path) -> None:
    for arguments in ("--bind --unbind", "--status --dry-run", "--workers 0", "--workers many"):
        out, err = ask(f"rotate-secrets {arguments}", 2)
        assert (out, "callctl: hint: " in err) == ("", True)
    (keys / "nothing.yaml").write_text("environment: test\n")
    for command in ("rotate-secrets --yes", "rotate-secrets --dry-run", "keys list", "keys retire k1 --yes"):
        out, err = ask(command, 4, "nothing.yaml")
        assert (out, "callctl.yaml names no keys" in err) == ("", True)
