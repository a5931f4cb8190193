"""What another tool has encrypted is told by its form; what may be a plaintext secret is not taken for it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callctl.secrets.envelope.foreign_ciphertext import foreign


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def fernet(blocks: int) -> str:
    return base64.urlsafe_b64encode(b"\x80" + bytes(4) + os.urandom(4 + 16 + 16 * blocks + 32)).decode()


IV, TAG, TEXT = bytes(range(12)), bytes(range(16)), bytes(range(40))
JWE = ".".join([url(b'{"alg":"dir","enc":"A256GCM"}'), "", url(IV), url(TEXT), url(TAG)])
JWT = ".".join([url(b'{"alg":"HS256","typ":"JWT"}'), url(b'{"sub":"1"}'), url(os.urandom(32))])

CIPHERTEXT = {
    "vault": "vault:v1:" + b64(TEXT),
    "vault, convergent": "vault:v12:2:" + b64(TEXT),
    "fernet, a block": fernet(1),
    "fernet, long": fernet(9),
    "jwe": JWE,
    "jwe, json": json.dumps({"protected": url(b"{}"), "iv": url(IV), "ciphertext": url(TEXT), "tag": url(TAG)}),
    "pgp": "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n",
    "pgcrypto": "\\xc30d04070302" + TEXT.hex(),
    "age": "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n",
    "age, binary": "age-encryption.org/v1\n-> X25519 abc",
    "age, base64": b64(b"age-encryption.org/v1\n-> X25519"),
    "kms": b64(b"\x01\x02\x02\x00\x78" + os.urandom(150)),
    "aws encryption sdk": b64(b"\x02\x05\x78" + os.urandom(300)),
    "google": b64(b"\x0a\x24\x00" + os.urandom(90)),
    "openssl": b64(b"Salted__" + TEXT),
    "openssl, raw": "Salted__abcdefgh",
    "sops": "ENC[AES256_GCM,data:abc=,iv:abc=,tag:abc=,type:str]",
    "eyaml": "ENC[PKCS7,MIIB]",
    "jasypt": "ENC(abcdef==)",
    "spring": "{cipher}0123abcd",
    "ansible": "$ANSIBLE_VAULT;1.1;AES256\n3061",
    "laravel": b64(json.dumps({"iv": b64(TAG), "value": b64(TEXT), "mac": "00" * 32, "tag": ""}).encode()),
    "rails": json.dumps({"p": b64(TEXT), "h": {"iv": b64(IV), "at": b64(TAG)}}),
    "rails, message": f"{b64(TEXT)}--{b64(IV)}--{b64(TAG)}",
    "cryptojs json": json.dumps({"ct": b64(TEXT), "iv": "00" * 16, "s": "00" * 8}),
    "json in base64": b64(json.dumps({"nonce": b64(IV), "ciphertext": b64(TEXT)}).encode()),
    "iron": "Fe26.2**abc*def",
    "paseto": "v4.local." + url(os.urandom(60)),
    "cloak": "v1.aesgcm256.0123abcd.abc.def",
    "bitwarden": f"2.{b64(bytes(16))}|{b64(TEXT)}|{b64(bytes(32))}",
    "enc": "enc:" + b64(TEXT),
    "enc v1": "enc:v1:" + b64(TEXT),
    "AES": "AES:" + TEXT.hex(),
    "aes-256-gcm": f"aes-256-gcm:{IV.hex()}:{TAG.hex()}:{TEXT.hex()}",
    "encrypted": "encrypted:" + b64(TEXT),
    "kubernetes": "k8s:enc:aescbc:v1:key1:abc",
    "cbc": f"{TAG.hex()}:{bytes(32).hex()}",
    "salted": f"{bytes(64).hex()}:{IV.hex()}:{TAG.hex()}:{TEXT.hex()}",
    "versioned": f"v1:{IV.hex()}:{TAG.hex()}:{TEXT.hex()}",
    "base64": f"{b64(IV)}:{b64(TAG)}:{b64(TEXT)}",
    "with white space": f"  vault:v1:{b64(TEXT)}\n",
}


@pytest.mark.parametrize("text", CIPHERTEXT.values(), ids=CIPHERTEXT)
def test_ciphertext_of_another_tool_is_told_by_its_form(text: str) -> None:
    assert foreign(text)


@pytest.mark.parametrize("iv", [12, 16])
@pytest.mark.parametrize("text", [1, 5, 16, 32, 200])
@pytest.mark.parametrize("separator", list(":.$|,"))
def test_the_platforms_packed_form_in_any_order(iv: int, text: int, separator: str) -> None:
    for order in permutations((os.urandom(iv), os.urandom(16), os.urandom(text))):
        packed = separator.join(part.hex() for part in order)
        assert foreign(packed) == foreign(packed.upper()) == "a tool that packs iv, tag and ciphertext"


PLAINTEXT = [
    *("", "s3cret-value", "password", "hunter2:hunter2", "enc", "enc:", "encore: une fois", "AES", "{", "{}", "{x}"),
    *(JWT, url(b'{"alg":"none"}') + "..", "eyJ", "eyJhbGciOiJIUzI1NiJ9"),
    b64(b'{"client_id": "a", "client_secret": "b"}'),
    *("SK" + "0" * 32, "AC" + "x" * 32, "0123456789abcdef" * 2, "0123456789abcdef" * 4),
    *("AC" + "0" * 32 + ":" + "1" * 32, "EAA" + "a" * 180, "EAAG.b.c", "gAAAA", "gAAAAnot-a-token", "gAAAA" + "a" * 99),
    *("sk-ant-api03-" + "a" * 80, "xoxb-123-456-abc", "ghp_" + "a" * 36, "AKIAIOSFODNN7EXAMPLE"),
    *("ya29.a0Af" + "b" * 100, "1//0g" + "c" * 60, "SG." + "a" * 22 + "." + "b" * 43, "user:pass:word"),
    *("192.168.0.1", "a.b.c.d.e", "::1", "de:ad:be:ef", "2001:db8:0:0:1", "AA:BB:CC:DD:EE:FF", "a,b,c", "p|q|r"),
    *("-----BEGIN PRIVATE KEY-----\nMII\n", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII\n"),
    *("-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "AGE-SECRET-KEY-1" + "Q" * 58, "v4.public." + "a" * 80),
    *("$2b$12$" + "a" * 53, "d41d8cd98f00b204e9800998ecf8427e", '{"type": "service_account", "private_key": "x"}'),
    *('{"data": "x"}', '{"iv": 1}', "[1]", "[" * 100_000, "a:" * 100_000, "0" * 5_000 + ":" + "0" * 5_000),
    *("550e8400-e29b-41d4-a716-446655440000", "é☎"),
    # Three parts, but no tag; and a tag, but no IV.
    *(f"{IV.hex()}:{TAG[1:].hex()}:{TEXT.hex()}", f"{TAG.hex()}:{bytes(13).hex()}:{TEXT.hex()}"),
]


@pytest.mark.parametrize("text", PLAINTEXT, ids=range(len(PLAINTEXT)))
def test_a_plaintext_secret_is_not_taken_for_ciphertext(text: str) -> None:
    assert foreign(text) is None


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    foreign(text)


@given(st.binary(min_size=20, max_size=64), st.sampled_from([bytes.hex, b64, url]))
def test_a_random_token_is_a_secret(data: bytes, form: Callable[[bytes], str]) -> None:
    assert foreign("t" + form(data)) is None
