"""Integration accounts with secrets in every form: what the tests of the rotation start from."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callctl.config.sections import KeyConfig, KeyEntry
from callctl.config.settings import Settings
from callctl.secrets.envelope.cipher import BOUND, Decrypter, Encrypter, Place, envelope_text, read_envelope
from callctl.secrets.envelope.fields import ARRAY, DECLARED, applicable, walk
from callctl.secrets.envelope.ring import KeyRing, load_key_ring

# Every plaintext begins so: what is looked for where no plaintext may be.
CANARY = "canary-4f1d"
FORMS = ("plaintext", "k1", "bare", "bound", "k2")


def key_file(directory: Path, name: str) -> Path:
    """A file with a key that is the same each time."""
    file = directory / name
    if not file.exists():
        file.write_text(random.Random(name).randbytes(32).hex())
        file.chmod(0o600)
    return file


def settings_of(url: str, directory: Path, *ids: str, **others: Any) -> Settings:
    """Settings with these keys, the first of them primary; k1 is tried for values without an id."""
    ring = tuple(
        KeyEntry(id, "file", (str(key_file(directory, id)),), legacy=id == "k1") for id in (ids or ("k2", "k1"))
    )
    return replace(Settings(database_url=url, keys=KeyConfig(ring[0].id, ring)), **others)


def ring_of(settings: Settings) -> KeyRing:
    return load_key_ring(settings, {})


def bare(ring: KeyRing, plaintext: str) -> dict[str, str]:
    """What the specification's helper returns: a 16-byte IV and no key id."""
    iv = os.urandom(16)
    ciphertext = AESGCM(ring.keys["k1"].secret).encrypt(iv, plaintext.encode(), None)
    return {"encrypted": ciphertext[:-16].hex(), "iv": iv.hex(), "authTag": ciphertext[-16:].hex()}


@dataclass(frozen=True)
class Account:
    """One row, and the secrets that it holds by path (an array's by position)."""

    id: str
    company_id: str
    account_type: str
    secrets: dict[str, str]


def encrypted(ring: KeyRing, form: str, plaintext: str, place: Place) -> Any:
    """A secret in one of the FORMS."""
    if form == "plaintext":
        return plaintext
    if form == "bare":
        return bare(ring, plaintext)
    key, version = ("k1", BOUND) if form == "bound" else (form, 1)
    return Encrypter(ring.keys[key]).encrypt(plaintext, place, version)


def fill(
    db: psycopg.Connection[Any], ring: KeyRing, number: int, *, seed: int = 1, forms: tuple[str, ...] = FORMS
) -> None:
    """Insert accounts of all types, with secrets in all forms, some of them soft-deleted."""
    rng = random.Random(seed)
    companies = [row[0] for row in db.execute("SELECT id::text FROM chatapp.companies ORDER BY id").fetchall()]
    with db.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO chatapp.integration_accounts (id, company_id, account_type, account_name, credentials,"
            " access_token, refresh_token, deleted_at, updated_at)"
            " VALUES (%s, %s, %s, 'an account', %s, %s, %s, CASE WHEN %s THEN now() END, '2026-01-01')",
            [_values(ring, rng, companies[n % len(companies)], forms) for n in range(number)],
        )


def _values(ring: KeyRing, rng: random.Random, company: str, forms: tuple[str, ...]) -> tuple[Any, ...]:
    from uuid import UUID

    id = str(UUID(int=rng.getrandbits(128), version=4))
    account_type = rng.choice(("twilio", "whatsapp", "custom"))

    def secret(path: str) -> Any:
        place = Place(company, "integration_accounts", id, path)
        return encrypted(ring, rng.choice(forms), f"{CANARY} {rng.getrandbits(64):x} é☎", place)

    def token(path: str) -> str | None:
        value = secret(path) if rng.random() < 0.5 else None
        return envelope_text(value) if isinstance(value, dict) else value

    if account_type == "twilio":
        own = {"accountSid": "AC1", "authToken": secret("credentials.authToken"), "phoneNumber": "+15550100",
               "apiKeySid": "SK1", "apiKeySecret": secret("credentials.apiKeySecret"), "weight": "@1.10@"}  # fmt: skip
    elif account_type == "whatsapp":
        own = {
            "appId": "1",
            "accessToken": secret("credentials.accessToken"),
            "appSecret": secret("credentials.appSecret"),
        }
    else:
        path = "credentials.turnServers[].credential"
        servers = [
            {"urls": f"turn:{n}", "port": "@3478.50@", "credential": secret(path)} for n in range(rng.randint(0, 3))
        ]
        own = {
            "sipUri": "sip:a@b",
            "password": secret("credentials.password"),
            "turnServers": servers,
            "big": "@1e400@",
        }
    text = json.dumps(own, ensure_ascii=False).replace('"@', "").replace('@"', "")
    return (id, company, account_type, text, token("access_token"), token("refresh_token"), rng.random() < 0.1)


@dataclass(frozen=True)
class Seen:
    """What one secret is: its plaintext, the key it is under, the version; None where it is plaintext."""

    plaintext: str
    key: str | None
    version: int | None


def seen(db: psycopg.Connection[Any], ring: KeyRing, relation: str = "chatapp.integration_accounts") -> dict[str, Seen]:
    """Every secret of the table as an application with the ring reads it, by row, path and position."""
    decrypter = Decrypter(ring)
    secrets: dict[str, Seen] = {}
    columns = "id::text, company_id::text, account_type, credentials, access_token, refresh_token"
    rows = db.execute(f"SELECT {columns} FROM {relation}".encode())
    for id, company, account_type, credentials, *tokens in rows.fetchall():
        slots = list(walk(credentials, applicable(DECLARED, "integration_accounts", "credentials", account_type)))
        values = [(path, value) for path, _, _, value in slots]
        values += [
            (path, value) for path, value in zip(("access_token", "refresh_token"), tokens, strict=True) if value
        ]
        for number, (path, value) in enumerate(values):
            envelope = read_envelope(value)
            where = f"{id} {number} {path}"
            if envelope is None:
                secrets[where] = Seen(str(value), None, None)
            else:
                opened = decrypter.decrypt(envelope, Place(company, "integration_accounts", id, path))
                secrets[where] = Seen(opened.plaintext, envelope.key_id, envelope.version)
    return secrets


def rest(db: psycopg.Connection[Any], relation: str = "chatapp.integration_accounts") -> dict[str, str]:
    """Everything of the table that is no secret, as the server prints it; updated_at left out."""
    # An account of these has at most three servers.
    texts = [",".join((field.column, *field.path)) for field in DECLARED]
    paths = dict.fromkeys(text.replace(ARRAY, str(place)) for text in texts for place in range(3))
    left_out = " ".join(f"#- '{{{path}}}'" for path in paths)
    rows = db.execute(f"SELECT id::text, (to_jsonb(t) - 'updated_at' {left_out})::text FROM {relation} AS t".encode())
    return {str(id): text for id, text in rows.fetchall()}


def versions(db: psycopg.Connection[Any], relation: str = "chatapp.integration_accounts") -> dict[str, tuple[str, Any]]:
    """The version of each row (xmin), and when it was last written."""
    rows = db.execute(f"SELECT id::text, xmin::text, updated_at FROM {relation}".encode()).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}
