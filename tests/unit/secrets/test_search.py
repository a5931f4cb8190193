"""Ciphertext is told by its form."""

from __future__ import annotations

import base64
import html
import json
import os
import urllib.parse
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callctl.files import read_sql
from callctl.secrets.envelope.search import Members, foreign, of_object, of_text, parsed

# Envelopes inside other text: found however they are escaped or encoded, and nothing else is.

NAMED = {"v": 1, "alg": "A256GCM", "kid": "test", "iv": "a1" * 12, "encrypted": "00" * 20, "authTag": "cc" * 16}
BARE = {"encrypted": "00" * 20, "iv": "a1" * 16, "authTag": "cc" * 16}
NOTHING_IN_IT = {"encrypted": "", "iv": "a1" * 12, "authTag": "cc" * 16}


def row(text: str) -> str:
    return '(1,"' + text.replace("\\", "\\\\").replace('"', '""') + '")'


def array(text: str) -> str:
    return '{"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"}'


def nested(text: str) -> str:
    return json.dumps({"a": [text, 1]})


def unhexed(text: str) -> str:
    return text.encode().hex()


def mime(text: str) -> str:
    return base64.encodebytes(text.encode()).decode()


LAYERS: tuple[Callable[[str], str], ...] = (row, array, nested, unhexed, mime, html.escape)


@pytest.mark.parametrize("envelope", [NAMED, BARE, NOTHING_IN_IT], ids=["named", "bare", "of an empty text"])
def test_it_is_found_under_any_two_layers(envelope: dict[str, Any]) -> None:
    key = envelope.get("kid")
    for text in (json.dumps(envelope), json.dumps(envelope, separators=(",", ":")), json.dumps(envelope, indent=2)):
        for first in LAYERS:
            for second in LAYERS:
                found = list(of_text("before " + second(first(text)) + " after"))
                assert [(each.state, each.key) for each in found] == [("whole", key)], (first, second, text)


@pytest.mark.parametrize("escaped", [urllib.parse.quote, urllib.parse.quote_plus])
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("layer", [str, row, nested, mime])
def test_it_is_found_in_a_url(escaped: Callable[[str], str], times: int, layer: Callable[[str], str]) -> None:
    text = json.dumps(NAMED)
    for _ in range(times):
        text = escaped(text)
    found = list(of_text(layer(f"https://example.test/?a=%7B%22x%22%3A1&account={text}&b=1")))
    assert [(each.state, each.key) for each in found] == [("whole", "test")]


@pytest.mark.parametrize("width", [*range(20, 80), 1000])
def test_line_breaks_hide_no_envelope_from_the_server_or_here(width: int) -> None:
    """At whichever place of the base64 they are; each at one of the three places in a group where it may begin."""
    pieces = [
        line.split("'")[1]
        for line in read_sql("secrets/inventory/scan/holds.sql").replace(" OR ", "\n").splitlines()
        if "'" in line
    ]
    for envelope in (NAMED, BARE):
        for before in ("", "x", "xy", "xyz" * 9):
            text = before + json.dumps(envelope)
            for encoded in (base64.b64encode(text.encode()).decode(), text.encode().hex(), text.encode().hex().upper()):
                broken = "\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))
                assert any(piece in broken for piece in pieces), (envelope, before, width)
                assert [each.state for each in of_text(broken)] == ["whole"]


def test_the_pieces_that_the_server_looks_for() -> None:
    """Written out in the files, so that a reader of them needs nothing else."""

    def inside(text: bytes) -> list[str]:
        halves = []
        for place in range(3):
            encoded = base64.b64encode(bytes(place) + text).decode()
            sure = encoded[-(-8 * place // 6) : 8 * (place + len(text)) // 6]
            halves += [sure[:6], sure[-6:]]
        return halves

    hexadecimal = [b"encrypted".hex()[:9], b"encrypted".hex()[:9].upper(), b"encrypted".hex()[9:]]
    in_text = ["authTag", *hexadecimal, *inside(b"encrypted")]
    in_bytes = [hexadecimal[0], hexadecimal[2], *(each.encode().hex() for each in hexadecimal + inside(b"encrypted"))]
    for name, pieces in (("holds", in_text), ("holds_in_bytes", in_bytes)):
        sql = read_sql(f"secrets/inventory/scan/{name}.sql")
        written = [part.split("'")[1] for part in sql.split("strpos({text}, ")[1:]]
        assert written == pieces


@pytest.mark.parametrize(
    "text",
    [
        "const { encrypted, iv, authTag } = encrypt(text);",
        "the authTag of an envelope {with braces}",
        "authTag",
        "}authTag{",
        "{" * 5000,
        json.dumps(BARE)[:-1],  # without its end it opens under no key
        base64.b64encode(b"encrypted " * 50).decode(),
        "",
    ],
)
def test_other_text_holds_none(text: str) -> None:
    assert list(of_text(text)) == []


def test_a_piece_names_its_key_and_what_cannot_be_parsed_is_said_to_be_unread() -> None:
    text = json.dumps(NAMED)
    assert [(each.state, each.key) for each in of_text("x" + text[:-1])] == [("broken", "test")]
    assert [(each.state, each.key) for each in of_text(json.dumps({**NAMED, "more": 1}))] == [("broken", "test")]
    twice = text[:-1] + ', "authTag": "00"}'
    assert [(each.state, each.key) for each in of_text(twice)] == [("broken", "test")]
    assert [each.state for each in of_text(text.replace('": "', '" oops "'))] == ["unread"]


def test_json_keeps_repeated_members_and_large_numbers() -> None:
    found = parsed('{"a": 1, "a": ' + "9" * 5000 + "}")
    assert isinstance(found, Members)
    assert [name for name, _ in found] == ["a", "a"]
    assert parsed("[" * 100_000) is None
    assert of_object(found) is None
    version = parsed(json.dumps(NAMED).replace('"v": 1', '"v": "1"'))
    assert isinstance(version, Members)
    whole = of_object(version)
    assert whole is not None
    assert whole.state == "broken"  # a version that is text is none


def test_text_that_is_made_to_confuse_takes_no_longer_than_its_length() -> None:
    """A megabyte for which each place would be tried with each other would not come to an end."""
    for text in ("{authTag" * 100_000, "\\" * 1_000_000 + "authTag", "authTag{" + "}" * 1_000_000, "ab " * 300_000,
                 "{" + "\\" * 500_000 + "authTag}", "kid" * 300_000 + "authTag", "a\\" * 500_000):  # fmt: skip
        assert list(of_text(text)) == []


def test_members_without_braces_are_no_envelope() -> None:
    """Unlike those of an hstore, which has none: a kid that is named counts, and nothing else does."""
    assert [(each.state, each.key) for each in of_text(json.dumps(NAMED)[1:-1])] == [("broken", "test")]
    assert list(of_text(json.dumps(BARE)[1:-1])) == []


def test_an_hstore_of_the_members_is_an_envelope() -> None:
    def hstore(members: dict[str, Any]) -> str:
        return ", ".join(f'"{name}"=>"{value}"' for name, value in members.items())

    assert [(each.state, each.key) for each in of_text(hstore(NAMED))] == [("whole", "test")]
    assert [(each.state, each.key) for each in of_text(hstore(BARE))] == [("whole", None)]
    assert [(each.state, each.key) for each in of_text(hstore({**NAMED, "more": 1}))] == [("broken", "test")]
    assert [(each.state, each.key) for each in of_text(hstore(NAMED)[:-1])] == [("broken", "test")]


# What another tool has encrypted is told by its form; what may be a plaintext secret is not taken for it.


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
