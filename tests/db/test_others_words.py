"""What the server, its triggers and its constraints say while secrets are written is not repeated.

Every platform's trigger here says the old and the new values of the row it fires for, in all the ways there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest
from tests.conftest import connect
from tests.support.db import accounts

from callctl.cli import common, run

pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]
Say: TypeAlias = Callable[..., str]

# Longer than what any message of callctl's has in common with a value.
PIECE = 12
FAST = "--lock-wait 1s --lock-timeout 50ms"


@pytest.fixture
def secrets(url: str, keys: Path) -> list[str]:
    """Every secret of the database, the values of the keys, and the pieces of each that no one may see."""
    with connect(url) as db:
        db.execute("UPDATE chatapp.integration_accounts SET webhook_secret = 'canary-4f1d hook ' || id")
        ring = accounts.ring_of(accounts.settings_of(url, keys))
        found = [each.plaintext for each in accounts.seen(db, ring).values()]
    pieces = [(keys / id).read_text()[at : at + PIECE] for id in ("k1", "k2") for at in (0, 40)]
    return [accounts.CANARY, *found, *pieces]


@pytest.fixture
def say(
    url: str, keys: Path, secrets: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Say:
    """Run callctl and return what it printed, by whatever way (the driver's C code too); no secret is in it."""
    ring = "".join(f"    - {{id: {id}, file: {keys / id}, legacy: {str(id == 'k1').lower()}}}\n" for id in ("k2", "k1"))
    config = keys / "others_words.yaml"
    config.write_text(f"keys:\n  primary: k2\n  ring:\n{ring}")
    monkeypatch.setenv("CALLCTL_DATABASE_URL", url)

    def say(command: str, code: int) -> str:
        got = run(["--config", str(config), *command.split()])
        out, err = capfd.readouterr()
        assert got == code, err
        text = out + err
        assert not [secret for secret in secrets if secret in text], text
        # The ends of an encrypted value are no secret, but they are a row's, and callctl shows none.
        assert "authTag" not in text
        return text

    return say


def recorded(db: Database) -> str:
    """Everything in callctl's own tables, as text."""
    tables = db.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'callctl'")
    return "\n".join(
        str(row) for (name,) in tables.fetchall() for row in db.execute(f"SELECT t::text FROM {name} AS t".encode())
    )


def trigger(db: Database, body: str, *, when: str = "BEFORE UPDATE") -> None:
    db.execute(
        "CREATE OR REPLACE FUNCTION chatapp.leak() RETURNS trigger LANGUAGE plpgsql AS $body$ DECLARE said text :="
        " concat(OLD.credentials, OLD.access_token, OLD.refresh_token, OLD.webhook_secret,"
        " NEW.credentials, NEW.access_token, NEW.refresh_token, NEW.webhook_secret);"
        f" BEGIN {body} RETURN NEW; END $body$".encode()
    )
    db.execute(
        f"CREATE TRIGGER leak {when} ON chatapp.integration_accounts FOR EACH ROW EXECUTE FUNCTION leak()".encode()
    )


RAISES = {
    "message": "RAISE EXCEPTION '%', said;",
    "detail and hint": "RAISE EXCEPTION 'no' USING DETAIL = said, HINT = said;",
    "names": "RAISE EXCEPTION 'no' USING COLUMN = left(said, 60), CONSTRAINT = said, TABLE = said, SCHEMA = said,"
    " DATATYPE = said;",
    "context": "EXECUTE format('SELECT %L::int', said);",
    "context of a function": "PERFORM format('%s', said)::int;",
    "an error of the server's": "PERFORM said::jsonb -> 'a', said::uuid;",
    **{
        f"SQLSTATE {code}": f"RAISE EXCEPTION '%', said USING ERRCODE = '{code}', TABLE = said, DETAIL = said;"
        for code in ("23505", "23514", "42501", "42P01", "55P03", "40001", "57014", "57P01", "08006", "0A000", "ZZ999")
    },
}


@pytest.mark.parametrize("body", RAISES.values(), ids=RAISES)
def test_what_a_trigger_raises_is_not_repeated(body: str, url: str, say: Say, secrets: list[str]) -> None:
    with connect(url) as db:
        db.execute("SET search_path = chatapp")
        trigger(db, body)
        text = say(f"rotate-secrets --yes {FAST}", 5)
        assert "SQLSTATE" in text
        assert "callctl: hint: " in text
        if "55P03" not in body and "40001" not in body:
            assert "chatapp.leak" in text or "function leak" in text
        say(f"rotate-secrets --yes --output json {FAST}", 5)
        say(f"rotate-secrets --webhook-secrets --all --put-back --yes {FAST}", 0)
        kept = recorded(db)
        assert not [secret for secret in secrets if secret in kept]


def test_what_a_trigger_raises_is_not_sent_back_to_the_server(
    url: str, say: Say, secrets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers log parameters; and a refusal that seems to be about hidden rows has callctl ask for their policies."""
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def listened(self: Database, query: Any, params: Any = None, **options: Any) -> Any:
        sent.append(f"{query!r} {params!r}")
        return execute(self, query, params, **options)

    with connect(url) as db:
        db.execute("SET search_path = chatapp")
        trigger(db, """RAISE EXCEPTION '% "integration_accounts"', said USING ERRCODE = '42501';""")
        monkeypatch.setattr(psycopg.Connection, "execute", listened)
        assert "permission denied" in say(f"rotate-secrets --yes {FAST}", 5)
    assert any("row_security_active" in each for each in sent)
    assert not [secret for secret in secrets for each in sent if secret in each]


def test_new_webhook_secrets_neither(url: str, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(url) as db:
        db.execute("SET search_path = chatapp")
        say(f"rotate-secrets --webhook-secrets --all --to-file {tmp_path / 'first'} --yes", 0)
        first = [json.loads(line)["webhook_secret"] for line in (tmp_path / "first").read_text().splitlines()]
        assert first
        trigger(db, RAISES["message"])
        for output in ("text", "json"):
            text = say(f"rotate-secrets --webhook-secrets --all --put-back --yes --output {output} {FAST}", 5)
            assert "chatapp.leak" in text or "function leak" in text
            assert not [secret for secret in first if secret in text]
        for number, (output, debug) in enumerate([("text", ""), ("json", ""), ("text", "1")]):
            monkeypatch.setenv("CALLCTL_DEBUG", debug)
            file = tmp_path / f"new{number}"
            text = say(f"rotate-secrets --webhook-secrets --all --to-file {file} --yes --output {output} {FAST}", 5)
            lines = file.read_text().splitlines() if file.exists() else []
            new = [json.loads(line)["webhook_secret"] for line in lines]
            assert not [secret for secret in new if secret in text]
            assert ("Traceback" in text) == bool(debug)


def test_a_traceback_for_a_developer_repeats_none_of_it(url: str, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLCTL_DEBUG", "1")
    with connect(url) as db:
        db.execute("SET search_path = chatapp")
        trigger(db, RAISES["message"])
        text = say("rotate-secrets --yes --workers 2", 5)
    assert "Traceback" in text
    assert "RaiseException" in text


def test_a_notice_and_a_warning_are_not_printed(url: str, say: Say) -> None:
    with connect(url) as db:
        db.execute("SET search_path = chatapp")
        trigger(db, "RAISE NOTICE '%', said; RAISE WARNING '%', said; RAISE INFO '%', said;")
        assert "encrypted under key k2" in say("rotate-secrets --yes --workers 2", 0)


CONSTRAINTS = {
    "a check": "ALTER TABLE chatapp.integration_accounts ADD CONSTRAINT never CHECK (access_token NOT LIKE '{%')",
    "a unique index": "CREATE UNIQUE INDEX never ON chatapp.integration_accounts ((access_token LIKE '{%'))"
    " WHERE access_token LIKE '{%'",
}


@pytest.mark.parametrize("constraint", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_what_a_constraint_refuses_is_named_and_not_shown(constraint: str, url: str, say: Say) -> None:
    with connect(url) as db:
        db.execute("DELETE FROM chatapp.integration_accounts WHERE access_token LIKE '{%'")
        db.execute(constraint.encode())
        text = say(f"rotate-secrets --yes {FAST}", 5)
        assert "constraint never" in text
        assert "is violated" in text


def test_an_error_that_no_command_expected_is_not_repeated_either(
    url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLCTL_DEBUG", "1")
    with connect(url) as db:
        for statement in (
            f"DO $$ BEGIN RAISE EXCEPTION '{accounts.CANARY}' USING HINT = '{accounts.CANARY}'; END $$",
            f"SELECT '{accounts.CANARY}'::uuid",
            f'SELECT "{accounts.CANARY}"',
            f"SET lock_timeout = '{accounts.CANARY}'",
        ):
            with pytest.raises(psycopg.Error) as error:
                db.execute(statement.encode())
            common.begin(["--output", "json"])
            assert common.report(error.value) == 4
            document, said = capfd.readouterr()
            assert "SQLSTATE" in said
            assert "SQLSTATE" in document
            # The traceback's line of this file is the code, not the value.
            assert accounts.CANARY not in said + document


def test_a_key_is_no_id(url: str, keys: Path, say: Say) -> None:
    key = (keys / "k1").read_text()
    for id in (key, key.upper(), "-".join(key[at : at + 8] for at in range(0, 64, 8)), f"0x{key}"):
        assert "ID is not a key id" in say(f"keys retire {id} --yes", 2)
    say(f"keys retire {' '.join(key[at : at + 16] for at in range(0, 64, 16))}", 2)
    say(f"keys {key}", 2)
    say(f"keys list --{key}", 2)
    say(f"keys list --environment {key}", 0)
    say(f"rotate-secrets --status --schema {key[:60]}", 3)
