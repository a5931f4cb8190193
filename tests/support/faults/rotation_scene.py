"""Databases with secrets in every form and place, and what stands in each of those places as an application reads it.

Two scenes. ``live`` has accounts in use, what callctl saved of rows and settings, declared fields of other tables, and
a few values that do not open; ``archived`` accounts that a down took away, and a table that only callctl.yaml knows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import psycopg
from psycopg.types.json import Jsonb
from tests.support.db import accounts
from tests.support.faults.own_server import OwnServer, administer

from callctl.config.settings import Settings
from callctl.migration import migrate
from callctl.sandbox.lifecycle import create_database, fill
from callctl.secrets.envelope.cipher import (
    Decrypter,
    Encrypter,
    Malformed,
    NotDecrypted,
    Place,
    envelope_text,
    read_envelope,
)
from callctl.secrets.envelope.fields import DECLARED, applicable, walk
from callctl.secrets.envelope.ring import KeyRing

SceneName: TypeAlias = Literal["live", "archived"]
BASELINE_OF: dict[SceneName, str] = {"live": "documented", "archived": "deployed"}

SCENES: tuple[SceneName, ...] = ("live", "archived")

# More than the smallest range: with a second callctl about, there is work for both.
ACCOUNTS = 530

TURN = "credentials.turnServers[].credential"

FIELDS = """secrets:
  fields:
    - {table: chatbots, column: settings, path: call.apiKey, optional: true}
    - {table: ai_models, column: description}
    - {table: tokens, column: token}
    - {table: tokens, column: config, path: "nodes[].secret"}
"""

# Declared fields need their table, if only an empty one.
TOKENS = b"CREATE TABLE chatapp.tokens (id text PRIMARY KEY, token text, config jsonb, hits integer DEFAULT 0)"

# The test's own statements hold what is looked for in the server's log.
UNLOGGED = "-c log_statement=none -c log_min_error_statement=panic -c log_min_duration_statement=-1"

LOGS_EVERYTHING = {
    "log_statement": "all",
    "log_min_messages": "info",
    "log_min_error_statement": "debug1",
    "log_error_verbosity": "verbose",
}
# PostgreSQL 12 logs whole parameters and has no word in it; they are -1 from 13 on.
LOGS_PARAMETERS = {"log_parameter_max_length": "-1", "log_parameter_max_length_on_error": "-1"}


class Value(NamedTuple):
    """One value, and where it stands; ``where`` is the same in every copy of a scene."""

    where: str
    place: Place
    value: object


@dataclass(frozen=True)
class Secret:
    """What one value is: its plaintext, the key it is under and the version. ``raw``: what does not open."""

    plaintext: str | None
    key: str | None = None
    version: int | None = None
    raw: str = ""


def configuration(directory: Path) -> Path:
    """A settings file with the keys and fields of the scenes, beside key files."""
    lines = ["keys:", "  primary: k2", "  ring:"]
    for id in ("k2", "k1"):
        accounts.key_file(directory, id)
        lines.append(f"    - {{id: {id}, file: {id}, legacy: {str(id == 'k1').lower()}}}")
    file = directory / "callctl.yaml"
    file.write_text("\n".join([*lines, FIELDS]))
    return file


def quietly(url: str) -> psycopg.Connection[Any]:
    """A connection whose statements the server does not log."""
    return administer(url, options=UNLOGGED)


def log_everything(server: OwnServer) -> None:
    """From here on, over restarts too, the server logs each statement with its parameters."""
    with administer(server.url("postgres")) as admin:
        settings = LOGS_EVERYTHING | (LOGS_PARAMETERS if admin.info.server_version >= 130000 else {})
        for name, value in settings.items():
            admin.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        admin.execute("SELECT pg_reload_conf()")


# ---- making them ---------------------------------------------------------------------------------------


def build(server: OwnServer, name: str, scene: SceneName, ring: KeyRing) -> None:
    """Make the database of a scene."""
    with quietly(server.url("postgres")) as admin:
        create_database(admin, name)
    url = server.url(name)
    fill(url, BASELINE_OF[scene], rows=20)
    settings = Settings(database_url=url)
    migrate.up(settings, to=9)
    with quietly(url) as db:
        accounts.fill(db, ring, ACCOUNTS)
        if scene == "live":
            db.execute(TOKENS)
            _save(db, ring)
            _break_some(db, ring)
    if scene == "archived":
        migrate.down(settings, to=8)
        with quietly(url) as db:
            _tokens(db, ring)


def _save(db: psycopg.Connection[Any], ring: KeyRing) -> None:
    """Rows and values that callctl saved, and fields of other tables, in every form."""
    rng = random.Random(7)
    company = _one(db, "SELECT min(id::text) FROM chatapp.companies")
    for number, form in enumerate(accounts.FORMS * 2):
        id = f"00000000-0000-4000-8000-{number:012d}"
        account = Place(company, "integration_accounts", id, "")
        token = _encrypted(ring, rng, form, account._replace(path="access_token"))
        row = {
            "id": id,
            "company_id": company,
            "account_type": "custom",
            "weight": 1.10,
            "access_token": envelope_text(token) if isinstance(token, dict) else token,
            "credentials": {
                "password": _encrypted(ring, rng, form, account._replace(path="credentials.password")),
                "turnServers": [
                    {
                        "credential": _encrypted(
                            ring, rng, form, account._replace(path="credentials.turnServers[].credential")
                        )
                    }
                    for _ in range(2)
                ],
            },
        }
        db.execute(
            "INSERT INTO callctl.saved_row (relation, row_id, contents) VALUES ('integration_accounts', %s, %s)",
            (id, Jsonb(row)),
        )
    bots = db.execute("SELECT id::text, company_id::text FROM chatapp.chatbots ORDER BY id LIMIT 10").fetchall()
    for number, (bot, owner) in enumerate(bots):
        key = _encrypted(ring, rng, accounts.FORMS[number % 5], Place(owner, "chatbots", bot, "settings.call.apiKey"))
        call = {"voiceId": "alloy", "speed": 1.50, "apiKey": key}
        if number % 2:
            db.execute(
                "UPDATE chatapp.chatbots SET settings = settings || %s WHERE id = %s", (Jsonb({"call": call}), bot)
            )
        else:
            db.execute(
                "INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value)"
                " VALUES (%s, 'settings.call', 'down', %s)",
                (bot, Jsonb(call)),
            )
    for number, (model,) in enumerate(
        db.execute("SELECT id::text FROM chatapp.ai_models ORDER BY id LIMIT 4").fetchall()
    ):
        plaintext = f"{accounts.CANARY} description {number}"
        value = accounts.encrypted(
            ring, accounts.FORMS[number], plaintext, Place("", "ai_models", model, "description")
        )
        text = envelope_text(value) if isinstance(value, dict) else value
        db.execute("UPDATE chatapp.ai_models SET description = %s WHERE id = %s", (text, model))


def _encrypted(ring: KeyRing, rng: random.Random, form: str, place: Place) -> Any:
    return accounts.encrypted(ring, form, f"{accounts.CANARY} saved {rng.getrandbits(64):x}", place)


def _break_some(db: psycopg.Connection[Any], ring: KeyRing) -> None:
    """Values that open under no key, or are none: left as they are, and listed once, whatever happens."""
    rows = db.execute(
        "SELECT id::text, company_id::text FROM chatapp.integration_accounts WHERE account_type = 'twilio' ORDER BY id"
    ).fetchall()
    for number, (id, company) in enumerate((rows[0], rows[len(rows) // 2], rows[-1])):
        here = Place(company, "integration_accounts", id, "credentials.authToken")
        good = Encrypter(ring.keys["k1"]).encrypt(f"{accounts.CANARY} broken", here, 1)
        value = ({**good, "kid": "k9"}, {**good, "authTag": "00" * 16}, {"hidden": f"{accounts.CANARY} in here"})[
            number
        ]
        db.execute(
            "UPDATE chatapp.integration_accounts SET credentials = jsonb_set(credentials, '{authToken}', %s)"
            " WHERE id = %s",
            (Jsonb(value), id),
        )


def _tokens(db: psycopg.Connection[Any], ring: KeyRing) -> None:
    """A table of the operator's own, with a key of text and a comma in it."""
    db.execute(TOKENS)
    for number in range(40):
        id = f'it\'s {number:02d}, "{number}"'
        form = accounts.FORMS[number % 5]
        token = accounts.encrypted(ring, form, f"{accounts.CANARY} token {number}", Place("", "tokens", id, "token"))
        nodes = [
            {
                "secret": accounts.encrypted(
                    ring, form, f"{accounts.CANARY} node {number} {n}", Place("", "tokens", id, "config.nodes[].secret")
                ),
                "port": n,
            }
            for n in range(number % 3)
        ]
        text = envelope_text(token) if isinstance(token, dict) else token
        db.execute(
            "INSERT INTO chatapp.tokens (id, token, config) VALUES (%s, %s, %s)", (id, text, Jsonb({"nodes": nodes}))
        )


# ---- reading them --------------------------------------------------------------------------------------


def values(db: psycopg.Connection[Any]) -> Iterator[Value]:
    """Every declared secret of a scene, wherever it is."""
    there = {
        row[0]
        for row in db.execute(
            "SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname IN ('chatapp', 'callctl')"
        ).fetchall()
    }
    columns = "id::text, company_id::text, account_type, credentials, access_token, refresh_token"
    for relation in ("chatapp.integration_accounts", "callctl.integration_accounts"):
        if relation in there:
            rows = db.execute(f"SELECT {columns} FROM {relation}".encode()).fetchall()
            for id, company, kind, credentials, *tokens in rows:
                yield from _of_account(f"{relation} {id}", company, id, kind, credentials, *tokens)
    if "callctl.saved_row" in there:
        for id, row in db.execute("SELECT row_id::text, contents FROM callctl.saved_row").fetchall():
            yield from _of_account(
                f"saved row {id}", row["company_id"], id, row["account_type"], row["credentials"], row["access_token"]
            )
        saved = (
            "SELECT v.row_id::text, b.company_id::text, v.value FROM callctl.saved_value AS v"
            " JOIN chatapp.chatbots AS b ON b.id = v.row_id WHERE v.field = 'settings.call' AND v.value IS NOT NULL"
        )
        for id, company, value in db.execute(saved).fetchall():
            yield _value(f"saved value {id}", company, "chatbots", id, "settings.call.apiKey", value.get("apiKey"))
    bots = "SELECT id::text, company_id::text, settings #> '{call,apiKey}' FROM chatapp.chatbots"
    for id, company, value in db.execute(bots).fetchall():
        if value is not None:
            yield _value(f"chatbots {id}", company, "chatbots", id, "settings.call.apiKey", value)
    for id, text in db.execute("SELECT id::text, description FROM chatapp.ai_models").fetchall():
        if text:
            yield _value(f"ai_models {id}", "", "ai_models", id, "description", text)
    if "chatapp.tokens" in there:
        for id, text, config in db.execute("SELECT id, token, config FROM chatapp.tokens").fetchall():
            yield _value(f"tokens {id} token", "", "tokens", id, "token", text)
            for number, node in enumerate(config["nodes"]):
                yield _value(f"tokens {id} {number}", "", "tokens", id, "config.nodes[].secret", node["secret"])


def _value(where: str, company: str, table: str, id: str, path: str, value: object) -> Value:
    return Value(where, Place(company, table, id, path), value)


def _of_account(where: str, company: str, id: str, kind: str, credentials: Any, *tokens: str | None) -> Iterator[Value]:
    slots = walk(credentials, applicable(DECLARED, "integration_accounts", "credentials", kind))
    for number, (path, _, _, value) in enumerate(slots):
        yield _value(f"{where} {number} {path}", company, "integration_accounts", id, path, value)
    for path, text in zip(("access_token", "refresh_token"), tokens, strict=False):
        if text:
            yield _value(f"{where} {path}", company, "integration_accounts", id, path, text)


def secrets(db: psycopg.Connection[Any], ring: KeyRing) -> dict[str, Secret]:
    """Every secret as an application with the ring reads it."""
    decrypter = Decrypter(ring)
    by_place: dict[str, Secret] = {}
    for where, place, value in values(db):
        assert where not in by_place
        try:
            envelope = read_envelope(value)
            if envelope is None:
                by_place[where] = Secret(str(value))
            else:
                opened = decrypter.decrypt(envelope, place)
                by_place[where] = Secret(opened.plaintext, envelope.key_id, envelope.version)
        except (Malformed, NotDecrypted):
            by_place[where] = Secret(None, raw=repr(value))
    return by_place


def row_versions(db: psycopg.Connection[Any]) -> dict[str, str]:
    """The version (xmin) of each row that may hold a secret."""
    versions: dict[str, str] = {}
    for (relation,) in db.execute(
        "SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE (n.nspname, c.relname) IN (('chatapp', 'integration_accounts'), ('callctl', 'integration_accounts'),"
        " ('callctl', 'saved_row'), ('callctl', 'saved_value'), ('chatapp', 'chatbots'), ('chatapp', 'ai_models'),"
        " ('chatapp', 'tokens'))"
    ).fetchall():
        for ctid, version in db.execute(f"SELECT ctid::text, xmin::text FROM {relation}".encode()).fetchall():
            versions[f"{relation} {ctid}"] = version
    return versions


def rest(db: psycopg.Connection[Any]) -> dict[str, str]:
    """What is beside the secrets of the accounts and the tokens, as the server prints it."""
    columns: dict[str, str] = {}
    for relation in ("chatapp.integration_accounts", "callctl.integration_accounts"):
        if _one(db, f"SELECT to_regclass('{relation}')::text"):
            columns |= accounts.rest(db, relation)
    return columns


def _one(db: psycopg.Connection[Any], query: str) -> Any:
    row = db.execute(query.encode()).fetchone()
    return row and row[0]
