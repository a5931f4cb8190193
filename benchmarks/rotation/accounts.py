"""A server with integration accounts, their secrets plaintext or under the old key; and the values they are to have."""

from __future__ import annotations

import contextlib
import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from benchmarks.online import bench
from callctl.config.settings import Settings
from callctl.migration import migrate
from callctl.sandbox.lifecycle import connect, create_database, drop_database, fill
from callctl.sandbox.server import Server, start_server
from callctl.secrets.envelope.cipher import Encrypter, Place, envelope_text
from callctl.secrets.envelope.fields import DECLARED
from callctl.secrets.envelope.ring import Key, check_value

# What the secrets are at first: plaintext, or under the key k1. They are to be under k2.
Form: TypeAlias = Literal["plaintext", "k1"]

CHATBOTS = 1_000  # for their companies
TABLE = "integration_accounts"
RELATION = f"chatapp.{TABLE}"
SECRETS = 4
_TOKEN_CHARACTERS = 90
_COPY = (
    f"COPY {RELATION} (id, company_id, account_type, account_name, credentials, access_token, refresh_token,"
    " webhook_url)"
)


@dataclass(frozen=True)
class Ready:
    """One row as it is to be: its primary key, and the three columns with secrets."""

    id: bytes
    credentials: bytes
    access_token: bytes
    refresh_token: bytes


def key(name: str) -> Key:
    """A key that is the same each time."""
    secret = random.Random(name).randbytes(32)
    return Key(name, "the benchmark", False, secret, check_value(secret))


def settings_file(directory: Path) -> Path:
    """callctl.yaml with k2 primary and k1 beside it, and the files with the keys."""
    ring = []
    for name in ("k2", "k1"):
        file = directory / name
        file.touch(0o600)
        file.write_text(key(name).secret.hex())
        ring.append(f"    - {{id: {name}, file: {file}}}")
    settings = directory / "callctl.yaml"
    settings.write_text("\n".join(["keys:", "  primary: k2", "  ring:", *ring, ""]))
    return settings


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A durable server with an empty template: the schema after the migration, and companies."""
    with start_server(settings=bench.SERVER) as started:
        with connect(started.url("postgres")) as admin:
            create_database(admin, "empty")
        fill(started.url("empty"), "documented", rows=CHATBOTS)
        migrate.up(Settings(database_url=started.url("empty")))
        yield started


def make_template(server: Server, form: Form, rows: int) -> list[Ready]:
    """Fill the template with so many accounts, in random order of their keys; return what they are to be, in order."""
    with connect(server.url("postgres")) as admin:
        drop_database(admin, bench.TEMPLATE)
        create_database(admin, bench.TEMPLATE, template="empty")
    rng = random.Random(rows)
    old, new = Encrypter(key("k1")), Encrypter(key("k2"))
    ready = []
    with connect(server.url(bench.TEMPLATE)) as connection:
        companies = [row[0] for row in connection.execute("SELECT id::text FROM chatapp.companies").fetchall()]
        with connection.cursor() as cursor, cursor.copy(f"{_COPY} FROM STDIN") as copy:
            for number in range(rows):
                id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
                company = companies[number % len(companies)]
                account_type, plain = _account(rng, number)
                before = plain if form == "plaintext" else _encrypted(old, plain)
                after = _encrypted(new, plain)
                copy.write_row((
                    id, company, account_type, f"account {number}", *_columns(before), f"https://hooks.example/{id}",
                ))  # fmt: skip
                ready.append(Ready(uuid.UUID(id).bytes, *(column.encode() for column in _columns(after))))
        connection.execute("VACUUM (ANALYZE)")
    return sorted(ready, key=lambda account: account.id)


def _account(rng: random.Random, number: int) -> tuple[str, dict[str, Any]]:
    """The type of an account and its three columns, each with SECRETS secrets in them."""
    account_type = ("twilio", "whatsapp", "custom")[number % 3]
    first, second = (f"{rng.getrandbits(128):032x}" for _ in range(2))
    if account_type == "twilio":
        credentials: dict[str, Any] = {
            "accountSid": f"AC{rng.getrandbits(128):032x}", "authToken": first, "phoneNumber": "+15550100",
            "apiKeySid": f"SK{rng.getrandbits(128):032x}", "apiKeySecret": second,
        }  # fmt: skip
    elif account_type == "whatsapp":
        credentials = {
            "businessAccountId": str(rng.getrandbits(48)), "phoneNumberId": str(rng.getrandbits(48)),
            "phoneNumber": "+15550100", "accessToken": first, "appId": str(rng.getrandbits(48)), "appSecret": second,
            "wabizPhoneNumberId": str(rng.getrandbits(48)),
        }  # fmt: skip
    else:
        credentials = {
            "sipUri": "sip:bot@pbx.example", "username": "bot", "password": first, "domain": "pbx.example",
            "proxyServer": "proxy.example", "stunServers": ["stun:stun.example:3478"],
            "turnServers": [{"urls": "turn:turn.example:3478", "username": "bot", "credential": second}],
        }  # fmt: skip
    tokens = (f"{rng.getrandbits(4 * _TOKEN_CHARACTERS):0{_TOKEN_CHARACTERS}x}" for _ in range(2))
    return account_type, {"credentials": credentials, "access_token": next(tokens), "refresh_token": next(tokens)}


_SECRET = frozenset(field.path[-1] for field in DECLARED if field.path)
_NOWHERE = Place("", "", "", "")  # version 1 is bound to no place


def _encrypted(encrypter: Encrypter, value: Any, name: str = "") -> Any:
    """The same with every secret under a key; the tokens are JSON text."""
    if isinstance(value, dict):
        return {inner: _encrypted(encrypter, member, inner) for inner, member in value.items()}
    if isinstance(value, list):
        return [_encrypted(encrypter, item, name) for item in value]
    if name in ("access_token", "refresh_token"):
        return envelope_text(encrypter.encrypt(value, _NOWHERE, 1))
    return encrypter.encrypt(value, _NOWHERE, 1) if name in _SECRET else value


def _columns(account: dict[str, Any]) -> tuple[str, str, str]:
    return json.dumps(account["credentials"]), account["access_token"], account["refresh_token"]


def under(url: str, name: str) -> int:
    """How many rows have all their SECRETS under a key, as the server sees it."""
    pattern = f'"kid": ?"{name}"'
    with connect(url) as connection:
        row = connection.execute(
            f"SELECT count(*) FROM {RELATION} AS t"
            " WHERE (SELECT count(*) FROM regexp_matches(t::text, replace(%s, '\"', '\"+'), 'g')) = %s",
            (pattern, SECRETS),
        ).fetchone()
    assert row is not None
    return int(row[0])


def bytes_a_row(url: str) -> float:
    """The size of the table on disk, by its rows."""
    with connect(url) as connection:
        row = connection.execute(f"SELECT pg_table_size('{RELATION}')::float / count(*) FROM {RELATION}").fetchone()
    assert row is not None
    return float(row[0])
