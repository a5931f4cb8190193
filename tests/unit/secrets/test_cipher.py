"""The envelope: the test vectors, and what holds for any value."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import MappingProxyType
from typing import get_args
from unittest import mock

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from tests.support.unit.crypto_vectors import Vector, all_vectors

from callctl.secrets.envelope import cipher
from callctl.secrets.envelope.cipher import (
    LABELS,
    READ_IV_BYTES,
    VERSIONS,
    Decrypter,
    Encrypter,
    Envelope,
    Malformed,
    NotDecrypted,
    Place,
    Reason,
    associated_data,
    envelope_text,
    read_envelope,
)
from callctl.secrets.envelope.fields import DECLARED
from callctl.secrets.envelope.ring import Key, KeyRing, check_value

VECTORS = all_vectors()
OPENING = [each for each in VECTORS if each.expectation == "opens"]
NOT_OPENING = [each for each in VECTORS if each.expectation not in ("opens", "plaintext", "refused")]
HERE = Place("5f0c9a1e-7b1d-4c55-9a39-0e2d7a6f4b10", "integration_accounts", "1daa822f", "credentials.authToken")
KEY = Key("k1", "test", False, bytes(range(32)), check_value(bytes(range(32))))
RING = KeyRing(KEY, MappingProxyType({"k1": KEY}))

versions = st.sampled_from(sorted(LABELS))
places = st.builds(Place, *[st.text(max_size=12)] * 4)


def by_id(vector: Vector) -> str:
    return vector.id


# ---- the vectors ---------------------------------------------------------------------------------------


def test_the_vectors_are_of_every_kind() -> None:
    expected = {"opens", "plaintext", "refused", "unknown-key", "wrong-key", "tampered", "moved", "malformed"}
    assert {each.expectation for each in VECTORS} == expected
    assert len({each.id for each in VECTORS}) == len(VECTORS)
    kinds = {(each.version, len(str(read_envelope(each.value).iv.hex())) // 2) for each in OPENING}  # type: ignore[union-attr]
    assert kinds == {(version, iv) for version in (0, *VERSIONS) for iv in READ_IV_BYTES}


@pytest.mark.parametrize("vector", OPENING, ids=by_id)
def test_a_vector_opens_and_is_encrypted_to_the_same_bytes(vector: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vector.ring is not None
    assert vector.place is not None
    envelope = read_envelope(vector.value)
    assert envelope is not None
    opened = Decrypter(vector.ring).decrypt(envelope, vector.place)
    assert (opened.plaintext, opened.key.id, opened.version) == (vector.plaintext, vector.key, vector.version)
    assert vector.aad == (associated_data(vector.place, vector.version).hex() if vector.version in LABELS else "")
    encrypter = Encrypter(opened.key)
    monkeypatch.setattr(encrypter, "_ivs", [envelope.iv])
    encrypted = encrypter.encrypt(vector.plaintext, vector.place, vector.version or 1)
    as_encrypted = (envelope.iv.hex(), envelope.encrypted.hex(), envelope.auth_tag.hex())
    assert (encrypted["iv"], encrypted["encrypted"], encrypted["authTag"]) == as_encrypted
    if isinstance(vector.value, dict) and len(vector.value) == 6 and vector.value["iv"].islower():
        assert encrypted == vector.value
    assert read_envelope(envelope_text(encrypted)) == read_envelope(encrypted)


@pytest.mark.parametrize("vector", NOT_OPENING, ids=by_id)
def test_a_vector_does_not_open(vector: Vector) -> None:
    assert vector.ring is not None
    assert vector.place is not None
    envelope = read_envelope(vector.value)
    assert envelope is not None
    with pytest.raises(NotDecrypted) as caught:
        Decrypter(vector.ring, lambda _: vector.elsewhere).decrypt(envelope, vector.place)
    assert caught.value.reason == vector.expectation
    assert caught.value.detail
    assert_says_nothing_of(caught.value, vector)


@pytest.mark.parametrize("vector", [each for each in VECTORS if each.expectation == "refused"], ids=by_id)
def test_a_vector_is_refused_as_malformed(vector: Vector) -> None:
    with pytest.raises(Malformed) as caught:
        read_envelope(vector.value)
    assert caught.value.reason
    assert_says_nothing_of(caught.value, vector)


@pytest.mark.parametrize("vector", [each for each in VECTORS if each.expectation == "plaintext"], ids=by_id)
def test_a_vector_is_plaintext(vector: Vector) -> None:
    assert read_envelope(vector.value) is None


def assert_says_nothing_of(error: Exception, vector: Vector) -> None:
    """No part of the value is in the message: it may be a secret that somebody has put into the wrong place."""
    said = f"{error} {error!r}"
    assert error.__suppress_context__ or error.__context__ is None
    parts = vector.value.values() if isinstance(vector.value, dict) else [vector.value]
    for part in parts:
        assert not (isinstance(part, str) and len(part) > 8 and part in said)
    for key in (vector.raw["keys"]) or ():
        assert key["value"][:16] not in said


PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "envelope.md"


def test_the_page_shows_the_bytes_of_the_vectors() -> None:
    page = PAGE.read_text(encoding="utf-8")
    vector = next(each for each in OPENING if each.id == "valid: version 2")
    rows = re.findall(r"^([0-9a-f]{8}) ([0-9a-f]+) +(\S+)$", page, re.MULTILINE)
    assert "".join(length + part for length, part, _ in rows) == vector.aad
    assert tuple(text for *_, text in rows) == ("callctl.envelope.v2", *(vector.place or ()))
    (example,) = re.findall(r"^```json\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)
    assert example == envelope_text(json.loads(example))
    assert list(json.loads(example)) == list(Encrypter(KEY).encrypt("x", HERE, 1))
    assert all(f"`{field.text}`" in page for field in DECLARED)
    reasons = set(re.findall(r"^\| `([a-z-]+)` \|", page.partition("## What does not open")[2], re.MULTILINE))
    assert reasons == set(get_args(Reason))


# ---- any value -----------------------------------------------------------------------------------------


@given(st.text(), places, st.sampled_from(VERSIONS))
def test_what_is_encrypted_opens(plaintext: str, place: Place, version: int) -> None:
    encrypted = Encrypter(KEY).encrypt(plaintext, place, version)
    assert (encrypted["v"], encrypted["alg"], encrypted["kid"], len(encrypted["iv"])) == (version, "A256GCM", "k1", 24)
    for value in (
        encrypted,
        envelope_text(encrypted),
        json.dumps(encrypted, indent=1),
        dict(reversed(encrypted.items())),
    ):
        envelope = read_envelope(value)
        assert envelope is not None
        opened = Decrypter(RING).decrypt(envelope, place)
        assert (opened.plaintext, opened.key, opened.version) == (plaintext, KEY, version)


@given(st.text(min_size=1), places, st.sampled_from(VERSIONS), st.data())
def test_no_changed_byte_opens(plaintext: str, place: Place, version: int, data: st.DataObject) -> None:
    envelope = read_envelope(Encrypter(KEY).encrypt(plaintext, place, version))
    assert envelope is not None
    parts = [bytearray(part) for part in (envelope.encrypted, envelope.iv, envelope.auth_tag)]
    part = data.draw(st.sampled_from(parts))
    part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
    changed = Envelope(version, "k1", *[bytes(part) for part in parts])
    with pytest.raises(NotDecrypted) as caught:
        Decrypter(RING).decrypt(changed, place)
    assert caught.value.reason == "tampered"


@given(places, places)
def test_a_value_opens_at_its_own_place_only(one: Place, other: Place) -> None:
    envelope = read_envelope(Encrypter(KEY).encrypt("secret", one, 2))
    assert envelope is not None
    if one == other:
        assert Decrypter(RING).decrypt(envelope, other).plaintext == "secret"
        return
    with pytest.raises(NotDecrypted) as caught:
        Decrypter(RING, lambda _: (one,)).decrypt(envelope, other)
    assert caught.value.reason == "moved"


@given(places, places, versions, versions)
def test_no_two_places_are_encoded_alike(one: Place, other: Place, first: int, second: int) -> None:
    assert (associated_data(one, first) == associated_data(other, second)) == ((one, first) == (other, second))


@given(places, versions)
def test_the_encoding_can_be_taken_apart(place: Place, version: int) -> None:
    """Which is why it is injective: the place can be read out of it."""
    rest, parts = associated_data(place, version), []
    while rest:
        length = int.from_bytes(rest[:4], "big")
        parts.append(rest[4 : 4 + length].decode())
        rest = rest[4 + length :]
    assert parts == [f"callctl.envelope.v{version}", *place]


@given(st.text())
def test_any_text_is_plaintext_an_envelope_or_refused(text: str) -> None:
    try:
        found = read_envelope(text)
    except Malformed:
        assert any(name in text for name in ("encrypted", "iv", "authTag"))
    else:
        assert found is None


@given(st.text(max_size=9), versions, st.data())
def test_text_that_is_known_at_a_glance_is_read_as_the_parser_reads_it(
    plaintext: str, version: int, data: st.DataObject
) -> None:
    """As callctl writes it, or with some characters changed, left out or repeated."""
    text = envelope_text(Encrypter(KEY).encrypt(plaintext, HERE, version))
    for _ in range(data.draw(st.integers(0, 2))):
        start = data.draw(st.integers(0, len(text)))
        piece = data.draw(
            st.sampled_from(("", "0", "2", "k", "A", '"', "\\", " ", ",", "\n", "é", "\\u0030", '","iv":"'))
        )
        text = text[:start] + piece + text[start + data.draw(st.integers(0, 2)) :]

    def read() -> object:
        try:
            return read_envelope(text)
        except Malformed:
            return "malformed"

    at_a_glance = read()
    with mock.patch.object(cipher, "_WRITTEN", re.compile("(?!)")):
        assert read() == at_a_glance


def test_no_repr_shows_what_was_opened() -> None:
    envelope = read_envelope(Encrypter(KEY).encrypt("a secret in plaintext", HERE, 1))
    assert envelope is not None
    opened = Decrypter(RING).decrypt(envelope, HERE)
    assert opened.plaintext == "a secret in plaintext"
    assert f"{opened} {opened!r}" == "Decrypted(key='k1', version=1) Decrypted(key='k1', version=1)"


def test_no_two_values_have_one_iv() -> None:
    encrypter = Encrypter(KEY)
    assert len({encrypter.encrypt("x", HERE, 1)["iv"] for _ in range(1000)}) == 1000


def test_no_two_values_of_a_batch_have_one_iv() -> None:
    """Those that a rotation encrypts together, and those of two batches; the same IV twice would give the key away."""
    encrypter = Encrypter(KEY)
    texts = [text for _ in range(2) for text in encrypter.encrypt_texts([b"x"] * 500, [1] * 500, [None] * 500)]
    ivs = [json.loads(text)["iv"] for text in texts]
    assert {len(iv) for iv in ivs} == {24}
    assert len(set(ivs)) == 1000


def test_there_is_no_other_version() -> None:
    for version in (0, 3):
        with pytest.raises(ValueError, match=f"unknown version {version}"):
            Encrypter(KEY).encrypt("x", HERE, version)


# ---- the specification's helper, as far as Python can play it -----------------------------------------


@pytest.mark.parametrize("iv_bytes", READ_IV_BYTES)
def test_the_helper_of_the_specification_and_callctl_read_each_other(iv_bytes: int) -> None:
    """The same, in real Node: tests/interop."""
    iv = os.urandom(iv_bytes)
    theirs = AESGCM(KEY.secret).encrypt(iv, b"secret", None)
    bare = {"encrypted": theirs[:-16].hex(), "iv": iv.hex(), "authTag": theirs[-16:].hex()}
    envelope = read_envelope(bare)
    assert envelope is not None
    assert envelope.version == 0
    assert Decrypter(RING).decrypt(envelope, HERE).plaintext == "secret"
    ours = Encrypter(KEY).encrypt("secret", HERE, 1)
    ciphertext = bytes.fromhex(ours["encrypted"] + ours["authTag"])
    assert AESGCM(KEY.secret).decrypt(bytes.fromhex(ours["iv"]), ciphertext, None) == b"secret"


def test_a_process_that_forks_uses_no_iv_twice() -> None:
    """IVs are drawn many at a time; a copy of this process must not have those that are left."""
    encrypter = Encrypter(KEY)
    encrypter.encrypt("before", HERE, 1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, encrypter.encrypt("child", HERE, 1)["iv"].encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() != encrypter.encrypt("parent", HERE, 1)["iv"]
