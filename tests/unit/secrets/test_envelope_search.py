"""Envelopes inside other text: found however they are escaped or encoded, and nothing else is."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

from callctl.files import read_sql
from callctl.secrets.envelope.search import Members, of_object, of_text, parsed

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
