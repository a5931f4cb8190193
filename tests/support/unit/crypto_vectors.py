"""The test vectors of tests/vectors/crypto: fixed bytes, made once with OpenSSL and not with callctl."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from callctl.secrets.envelope.cipher import Place
from callctl.secrets.envelope.ring import Key, KeyRing, check_value

DIRECTORY = Path(__file__).resolve().parents[2] / "vectors" / "crypto"


@dataclass(frozen=True)
class Vector:
    """A value, where it stands, the ring to open it with, and what is expected.

    ``expectation`` is 'opens' (then ``plaintext``, ``key`` and ``version`` say what), 'plaintext', 'refused' (it
    looks like an envelope and is none), or the reason why it does not open.
    """

    id: str
    value: object
    expectation: str
    place: Place | None
    ring: KeyRing | None
    elsewhere: tuple[Place, ...]
    plaintext: str
    key: str
    version: int
    aad: str
    raw: dict[str, Any]  # as it stands in the file, with the file's keys


def all_vectors() -> list[Vector]:
    """Every vector of every file."""
    return [
        _vector(path.stem, vector, document)
        for path in sorted(DIRECTORY.glob("*.json"))
        for document in [json.loads(path.read_text(encoding="utf-8"))]
        for vector in document["vectors"]
    ]


def _vector(file: str, vector: dict[str, Any], document: dict[str, Any]) -> Vector:
    keys = vector.get("keys", document.get("keys"))
    return Vector(
        id=f"{file}: {vector['name']}",
        value=vector["value"],
        expectation=vector["expectation"],
        place=Place(**vector["place"]) if "place" in vector else None,
        ring=_ring(keys, document["primary"]) if keys else None,
        elsewhere=tuple(Place(**place) for place in vector.get("elsewhere", ())),
        plaintext=vector.get("plaintext", ""),
        key=vector.get("key", ""),
        version=vector.get("version", -1),
        aad=vector.get("aad", ""),
        raw={**vector, "keys": keys, "primary": document.get("primary")},
    )


def _ring(entries: list[dict[str, Any]], primary: str) -> KeyRing:
    keys = {}
    for entry in entries:
        secret = bytes.fromhex(entry["value"])
        keys[entry["id"]] = Key(entry["id"], "vector", entry["legacy"], secret, check_value(secret))
    return KeyRing(keys[primary], MappingProxyType(keys))
