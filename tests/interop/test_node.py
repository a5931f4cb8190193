"""In real Node: the reader of docs/reference/envelope.md and the specification's own helper against callctl."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import pytest
from tests.interop.typescript import compile_strictly
from tests.support.unit.crypto_vectors import Vector, all_vectors

from callctl.secrets.envelope.cipher import (
    BOUND,
    Decrypter,
    Encrypter,
    NotDecrypted,
    Place,
    associated_data,
    envelope_text,
    read_envelope,
)
from callctl.secrets.envelope.ring import Key, KeyRing, check_value

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "reference" / "envelope.md"
PLACES = (
    Place("5f0c9a1e-7b1d-4c55-9a39-0e2d7a6f4b10", "integration_accounts", "1daa822f", "credentials.authToken"),
    Place("5f0c9a1e-7b1d-4c55-9a39-0e2d7a6f4b10", "integrations", "1daa822f", "config.clé[].密码"),
)
SECRETS = ("", "f4c1d2e3b4a59687", "pässwörd · 密码 · 🔑 · e\u0301", '{"a": "b"}', "\ufeffx", "x" * 10_000)
KEYS = tuple(
    Key(name, "test", legacy, secret, check_value(secret))
    for name, legacy, secret in (("k2", False, bytes(range(32))), ("k1", True, bytes(range(32, 64))))
)
RING = KeyRing(KEYS[0], MappingProxyType({key.id: key for key in KEYS}))
THEIR_RING = {
    "primary": "k2",
    "keys": [{"id": key.id, "hex": key.secret.hex(), "legacy": key.legacy} for key in KEYS],
}

Ask: TypeAlias = Callable[[list[list[Any]]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Ask Node: the modules are checked and translated once."""
    directory = tmp_path_factory.mktemp("node")
    (directory / "reader.ts").write_text(reader(), encoding="utf-8")
    for name in ("helper.ts", "ask.ts"):
        shutil.copy(HERE / name, directory)
    compile_strictly(directory)

    def asked(questions: list[list[Any]]) -> list[dict[str, Any]]:
        done = subprocess.run(
            ["node", "ask.js"],
            cwd=directory,
            input=json.dumps(questions),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": os.environ["PATH"], "ENCRYPTION_KEY": KEYS[1].secret.hex()},
        )
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        assert len(answers) == len(questions)
        return answers

    return asked


def reader() -> str:
    """The module that the page gives to the platform."""
    (found,) = re.findall(r"^```typescript\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(found)


def their_place(place: Place) -> dict[str, str]:
    return {"companyId": place.company_id, "table": place.table, "rowId": place.row_id, "path": place.path}


def test_the_reader_answers_every_vector_as_callctl_does(ask: Ask) -> None:
    vectors = all_vectors()
    answers = ask([["read", vector.value, *_ring_and_place(vector)] for vector in vectors])
    for vector, answer in zip(vectors, answers, strict=True):
        if vector.expectation == "opens":
            assert answer == {"value": vector.plaintext}, vector.id
        elif vector.expectation == "plaintext":
            assert answer == {"value": vector.value}, vector.id
        else:
            assert list(answer) == ["error"], vector.id
            assert answer["error"].startswith("Error: a") or "neither" in answer["error"], vector.id


def _ring_and_place(vector: Vector) -> tuple[dict[str, Any], dict[str, str]]:
    keys = [{"id": key["id"], "hex": key["value"], "legacy": key["legacy"]} for key in vector.raw["keys"] or ()]
    place = vector.place or PLACES[0]
    return {"primary": vector.raw["primary"] or "k2", "keys": keys}, their_place(place)


def test_the_reader_reads_what_callctl_writes(ask: Ask) -> None:
    cases = [(s, p, k, v) for s in SECRETS for p in PLACES for k in KEYS for v in (1, 2)]
    encrypted = [Encrypter(key).encrypt(secret, place, version) for secret, place, key, version in cases]
    for form in (dict, envelope_text):
        answers = ask(
            [
                ["read", form(each), THEIR_RING, their_place(case[1])]
                for each, case in zip(encrypted, cases, strict=True)
            ]
        )
        assert answers == [{"value": secret} for secret, *_ in cases]
    elsewhere = ask([["read", each, THEIR_RING, their_place(PLACES[0])] for each in encrypted])
    opened = [answer.get("value") for answer in elsewhere]
    assert opened == [secret if version == 1 or place == PLACES[0] else None for secret, place, _, version in cases]


def test_the_specification_reads_version_1(ask: Ask) -> None:
    encrypted = [Encrypter(KEYS[1]).encrypt(secret, PLACES[0], 1) for secret in SECRETS]
    assert ask([["decrypt", each] for each in encrypted]) == [{"value": secret} for secret in SECRETS]
    bound = Encrypter(KEYS[1]).encrypt("secret", PLACES[0], 2)
    assert "error" in ask([["decrypt", bound]])[0]


def test_callctl_reads_what_the_specification_writes(ask: Ask) -> None:
    decrypter = Decrypter(RING)
    for secret, answer in zip(SECRETS, ask([["encrypt", secret] for secret in SECRETS]), strict=True):
        bare = answer["value"]
        assert len(bare["iv"]) == 32
        for value, version in (
            (bare, 0),
            (envelope_text(bare), 0),
            ({"v": 1, "alg": "A256GCM", "kid": "k1", **bare}, 1),
        ):
            envelope = read_envelope(value)
            assert envelope is not None
            opened = decrypter.decrypt(envelope, PLACES[0])
            assert (opened.plaintext, opened.key.id, opened.version) == (secret, "k1", version)


def test_callctl_reads_what_the_writer_writes_and_nowhere_else(ask: Ask) -> None:
    decrypter = Decrypter(RING)
    cases = [(secret, place) for secret in SECRETS for place in PLACES]
    answers = ask([["write", secret, THEIR_RING, their_place(place)] for secret, place in cases])
    for (secret, place), answer in zip(cases, answers, strict=True):
        made = answer["value"]
        assert list(made) == list(Encrypter(KEYS[0]).encrypt(secret, place, 2))
        for value in (made, envelope_text(made)):
            envelope = read_envelope(value)
            assert envelope is not None
            opened = decrypter.decrypt(envelope, place)
            assert (opened.plaintext, opened.key.id, opened.version) == (secret, "k2", 2)
            with pytest.raises(NotDecrypted):
                decrypter.decrypt(envelope, place._replace(row_id="another"))
    assert len({answer["value"]["iv"] for answer in answers}) == len(cases)
    assert "error" in ask([["write", "half \ud83d", THEIR_RING, their_place(PLACES[0])]])[0]


def test_both_encode_a_place_alike(ask: Ask) -> None:
    answers = ask([["associatedData", their_place(place)] for place in PLACES])
    assert answers == [{"value": associated_data(place, BOUND).hex()} for place in PLACES]


def test_the_reader_accepts_no_less_than_it_is_told(ask: Ask) -> None:
    place = their_place(PLACES[0])
    bare = {key: value for key, value in Encrypter(KEYS[1]).encrypt("s", PLACES[0], 1).items() if len(key) in (2, 7, 9)}
    values = ["s", bare, Encrypter(KEYS[0]).encrypt("s", PLACES[0], 1), Encrypter(KEYS[0]).encrypt("s", PLACES[0], 2)]
    for number, lowest in enumerate(("plaintext", 0, 1, 2)):
        answers = ask([["read", value, THEIR_RING, place, lowest] for value in values])
        assert ["value" in answer for answer in answers] == [False] * number + [True] * (4 - number)
