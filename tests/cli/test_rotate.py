"""rotate-secrets and keys at the terminal; and that no secret is to be seen anywhere, the server's log included."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.conftest import connect
from tests.db import accounts
from tests.faults.own_server import OwnServer

from callctl import migrate
from callctl.baselines import fill
from callctl.cli import run
from callctl.config import Settings

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

    assert "to bring under key k2" in says("rotate-secrets --status", 3)
    assert "next: callctl rotate-secrets" in says("rotate-secrets --dry-run")
    assert "nobody can be asked" in says("rotate-secrets", 3)
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
    assert "every value that opens is under key k2 already" in says("rotate-secrets --yes", 3)
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


def test_what_is_asked_for_wrongly(ask: Ask, keys: Path) -> None:
    for arguments in ("--bind --unbind", "--status --dry-run", "--workers 0", "--workers many"):
        out, err = ask(f"rotate-secrets {arguments}", 2)
        assert (out, "callctl: hint: " in err) == ("", True)
    (keys / "nothing.yaml").write_text("environment: test\n")
    for command in ("rotate-secrets --yes", "rotate-secrets --dry-run", "keys list", "keys retire k1 --yes"):
        out, err = ask(command, 4, "nothing.yaml")
        assert (out, "callctl.yaml names no keys" in err) == ("", True)
