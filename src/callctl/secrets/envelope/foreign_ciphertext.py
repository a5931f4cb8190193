"""Ciphertext of another tool in a secret's place, told by its form: what is encrypted already, and not by callctl.

A form is listed only where plaintext secrets do not have it. A signed token is a plaintext secret; so is a private key,
with or without a passphrase. Ciphertext without a form of its own (one base64 or hexadecimal string) cannot be told
from a random token.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable
from itertools import permutations
from typing import Any

_B64 = r"[A-Za-z0-9+/]"
_URL = r"[A-Za-z0-9_-]"

# What a text begins with, in full or up to where it can be nothing else.
_BEGINNINGS = {
    "vault": rf"vault:v[0-9]+:(?:[0-9]+:)?{_B64}+={{0,2}}$",
    "fernet": rf"gAAAA{_URL}{{92,}}={{0,2}}$",
    "pgp": r"-----BEGIN PGP MESSAGE-----|\\xc30d04[0-9a-f]{20}|\\xc1[0-9a-f]{2,6}03[0-9a-f]{20}|ww0EB[\w+/]{20}",
    "age": r"age-encryption\.org/v|-----BEGIN AGE ENCRYPTED FILE-----|YWdlLWVuY3J5cHRpb24ub3Jn",
    "cms": r"-----BEGIN (?:PKCS7|CMS|ENCRYPTED MESSAGE)-----",
    "kms": rf"A(?:QICA|QECA|QEDA)H{_B64}{{80,}}={{0,2}}$|A(?:YAD|gV4|gR4){_B64}{{150,}}={{0,2}}$",
    "google": rf"CiQA{_B64}{{80,}}={{0,2}}$",
    "openssl": rf"Salted__|U2FsdGVkX1{_B64}{{2,}}|53616c7465645f5f[0-9a-fA-F]{{16,}}",
    "bracketed": r"ENC\[[A-Z0-9_]+,|ENC\(.+\)$|\{(?:cipher|enc|crypt|aes)\}.",
    "ansible": r"\$ANSIBLE_VAULT;",
    "iron": r"Fe26\.[0-9]\*",
    "paseto": rf"v[1-4]\.local\.{_URL}{{40,}}",
    "kubernetes": r"k8s:enc:",
    "cloak": r"v[0-9]\.aes(?:gcm|cbc)?[0-9]*\.",
    "bitwarden": rf"[0-9]\.{_B64}{{22}}==\|{_B64}+={{0,2}}(?:\|{_B64}+={{0,2}})?$",
    "defuse": r"def50[0-9a-f]{100,}$",
    "halite": r"MUI[EF]A[\w-]{60,}={0,2}$",
    "prefixed": r"(?i:enc|encrypted|cipher|ciphertext|crypt|aes(?:[-_]?(?:128|192|256))?(?:[-_]?(?:gcm|cbc|ctr|siv))?)"
    r"(?::v?[0-9]+)?:(?:[\w.+/-]{12,}={0,2}[:.,|$]?)+$",
}
_BEGINNING = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _BEGINNINGS.items()))
_NAMES = {
    "vault": "Vault transit",
    "fernet": "Fernet",
    "pgp": "PGP",
    "age": "age",
    "cms": "CMS or PKCS #7",
    "kms": "AWS KMS or the AWS Encryption SDK",
    "google": "Google Cloud KMS",
    "openssl": "OpenSSL or CryptoJS",
    "bracketed": "SOPS, eyaml, Jasypt or Spring Cloud",
    "ansible": "Ansible Vault",
    "iron": "iron",
    "paseto": "PASETO",
    "kubernetes": "Kubernetes",
    "cloak": "cloak",
    "bitwarden": "Bitwarden",
    "defuse": "php-encryption",
    "halite": "Halite",
    "prefixed": "a tool that writes a prefix such as enc: or AES:",
}

# Lengths in bytes of what is packed: an IV or nonce, and an authentication tag.
_IV, _TAG, _BLOCK = (12, 16), 16, 16
_PACKED = "a tool that packs iv, tag and ciphertext"
_SEPARATORS = re.compile(r"--|[:.$|,]")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,19}|v?[0-9]{1,3}", re.IGNORECASE)
_LONGEST_PACKED = 100_000
_MOST_PARTS = 5
_RAILS = "--"


def foreign(text: str) -> str | None:
    """What has encrypted a text, in a few words, as far as its form says; None where it may be plaintext."""
    text = text.strip()
    found = _BEGINNING.match(text)
    if found is not None:
        name = str(found.lastgroup)
        return None if name == "fernet" and not _is_fernet(text) else _NAMES[name]
    if text[:1] == "{":
        return _document(_parsed(text))
    if text[:3] == "eyJ":
        return _of_json(text)
    return _packed(text)


def _is_fernet(text: str) -> bool:
    """Version, time, IV, whole blocks, HMAC: 1 + 8 + 16 + n * 16 + 32 bytes."""
    data = _decoded(text, url=True)
    return data is not None and data[:1] == b"\x80" and len(data) >= 73 and (len(data) - 57) % _BLOCK == 0


def _of_json(text: str) -> str | None:
    """A text that begins as JSON in base64 does: a JWE, or one document. A signed token has three parts."""
    head, *rest = text.split(".")
    document = _parsed(_decoded(head, url=True))
    if len(rest) == 4:
        return "JWE" if isinstance(document, dict) and "enc" in document else None
    return _document(document) if not rest else None


def _document(document: Any) -> str | None:
    """An object that holds ciphertext, by its members: as Laravel, Rails or a JWE have it, or a tool of one's own."""
    if not isinstance(document, dict):
        return None
    names = {name.lower() for name in document}
    if {"iv", "value", "mac"} <= names:
        return "Laravel"
    if set(document) == {"p", "h"} and isinstance(document["h"], dict):
        return "Rails"
    if "ciphertext" in names and ("protected" in names or "recipients" in names):
        return "JWE"
    texts = names & {"ciphertext", "encrypted", "ct", "cipher", "data", "payload", "content", "encrypteddata"}
    return "a tool that writes iv and ciphertext as JSON" if texts and names & {"iv", "nonce"} else None


# ---- packed ----------------------------------------------------------------------------------------------


def _packed(text: str) -> str | None:
    """Two to five parts with one separator: an IV, a tag and ciphertext in any order, perhaps a salt, and labels."""
    separator = _SEPARATORS.search(text)
    if separator is None or len(text) > _LONGEST_PACKED:
        return None
    parts = text.split(separator[0], _MOST_PARTS)
    if len(parts) > _MOST_PARTS:
        return None
    while True:
        if _fits(_lengths(parts, _hex_length), least=2):
            return _PACKED
        # Tokens are written with dots that are no ciphertext.
        if separator[0] != "." and _fits(_lengths(parts, _base64_length), least=3):
            return "Rails" if separator[0] == _RAILS else _PACKED
        if len(parts) == 2 or not _LABEL.fullmatch(parts[0]):
            return None
        parts = parts[1:]


def _lengths(parts: Iterable[str], length: Callable[[str], int | None]) -> list[int]:
    """The lengths of the parts in bytes; none where one is not encoded so."""
    found: list[int] = []
    for part in parts:
        number = length(part)
        if number is None:
            return []
        found.append(number)
    return found


def _hex_length(part: str) -> int | None:
    return len(part) // 2 if _HEX.fullmatch(part) else None


def _base64_length(part: str) -> int | None:
    if not part or len(part) % 4:
        return None
    data = _decoded(part)
    return None if data is None else len(data)


def _fits(lengths: list[int], *, least: int) -> bool:
    """Whether the parts can be an IV, a tag and ciphertext; or, if there are two, an IV and whole blocks."""
    if len(lengths) < least:
        return False
    if len(lengths) == 2:
        return any(iv == _BLOCK and rest > 0 and rest % _BLOCK == 0 for iv, rest in permutations(lengths))
    return any(iv in _IV and tag == _TAG for iv, tag in permutations(lengths, 2))


# ---- decoding --------------------------------------------------------------------------------------------


def _decoded(text: str, *, url: bool = False) -> bytes | None:
    """The bytes of base64, of either alphabet if ``url``; None where it is none."""
    padded = text + "=" * (-len(text) % 4)
    if url:
        padded = padded.replace("-", "+").replace("_", "/")
    try:
        return b64decode(padded, validate=True)
    except (NotBase64, ValueError):
        return None


def _parsed(text: str | bytes | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
