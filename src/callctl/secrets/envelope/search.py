"""Envelopes inside other text: JSON in a JSON string, a row or an array as PostgreSQL shows it, hex, base64.

The members of an envelope have no braces in their values: whatever is around it and however it is escaped, it is
everything from a brace to the next. So nothing around it has to be understood.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from callctl.secrets.envelope.format import VERSIONS, Envelope, Malformed, read

# whole: a well-formed envelope. broken: JSON with members of an envelope that is none, or the beginning of one.
# unread: it has the members of an envelope, and cannot be parsed.
State: TypeAlias = Literal["whole", "broken", "unread"]

SHORTEST: Final = 80  # characters of an envelope, at least; in hex or base64 it has more
ENCODINGS: Final = 3  # over one another, at most: bytes that PostgreSQL shows in hex are one
_ESCAPES: Final = 12  # times that the quotes of one are escaped, at most

_URL_ESCAPES = 3  # times that a URL is escaped, at most
_URL_QUOTE = re.compile("%(?:25)*22")

_BRACES = re.compile(r"[{}]|authTag")
_QUOTES = r"""(?:\\|["']|&quot;)"""
_KID = re.compile(rf"\bkid{_QUOTES}+\s*(?::|=>)\s*{_QUOTES}+([A-Za-z0-9._-]+)")
_VERSIONS = {str(version): version for version in VERSIONS}
_ESCAPED = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_BREAKS = re.compile(r"(?:\s|\\+[nrt])+")
_DIGITS = re.compile(r"[0-9a-fA-F]{24}")
_MEMBERS = ("encrypted", "iv", "authTag")
# Characters of an encoding, with line breaks between them, also as JSON and arrays escape those.
_HEX = re.compile(r"[0-9a-fA-F\s]+(?:(?:\\+[nrt])+[0-9a-fA-F\s]+)*")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]+(?:(?:\\+[nrt])+[A-Za-z0-9+/_\s-]+)*")


class Members(list[tuple[str, Any]]):
    """The members of a JSON object as they are written: also one that is repeated."""


class Number(str):
    """A JSON number in its own digits."""

    __slots__ = ()


class Found(NamedTuple):
    """What was found, and the key id that it names."""

    state: State
    envelope: Envelope | None
    key: str | None


_DECODER = json.JSONDecoder(object_pairs_hook=Members, parse_float=Number, parse_int=Number, strict=False)


def parsed(text: str) -> Any | None:
    """JSON of any size: objects as :class:`Members`, numbers as text. None where it is none, or nested too deeply."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def of_object(members: Members) -> Found | None:
    """The envelope that an object is; None where it has no member ``authTag``."""
    names = [name for name, _ in members]
    if "authTag" not in names:
        return None
    key = next((value for name, value in members if name == "kid" and type(value) is str), None)
    if any(names.count(name) > 1 for name in _MEMBERS):
        return Found("broken", None, key)
    try:
        envelope = read({name: _VERSIONS.get(value) if isinstance(value, Number) else value for name, value in members})
    except Malformed:
        return Found("broken", None, key)
    return Found("whole", envelope, envelope.key_id) if envelope else None


def of_text(text: str, *, depth: int = 0) -> Iterator[Found]:
    """Every envelope in a text, in the order of their places, and what looks like one and cannot be parsed."""
    if "authTag" in text:
        yield from _in_braces(_without_url_escapes(text))
    if depth < ENCODINGS and len(text) >= SHORTEST:
        for decoded in (*_unhexed(text), *_from_base64(text)):
            yield from of_text(decoded, depth=depth + 1)


def may_hold(text: str) -> bool:
    """Whether it is worth looking: it is long enough."""
    return len(text) >= SHORTEST or "authTag" in text


def key_named(text: str) -> str | None:
    """The key id that a piece of an envelope names."""
    found = _KID.search(text)
    return found[1] if found else None


def _without_url_escapes(text: str) -> str:
    """With its braces and quotes, where they are escaped as in a URL or a form; an envelope has no other + or %."""
    for _ in range(_URL_ESCAPES):
        if not _URL_QUOTE.search(text):
            break
        text = urllib.parse.unquote_plus(text)
    return text


def _in_braces(text: str) -> Iterator[Found]:
    opened, tagged, found, loose = -1, False, False, False
    for token in _BRACES.finditer(text):
        if token[0] == "authTag":
            tagged = opened >= 0
            loose = loose or not tagged
        elif token[0] == "{":
            opened, tagged = token.start(), False
        else:
            if tagged:
                found = True
                yield from _of_fragment(text[opened : token.end()])
            opened, tagged = -1, False
    if tagged:  # the beginning of one
        key = key_named(text[opened:])
        if key is not None:
            yield Found("broken", None, key)
    elif loose and not found:
        yield from _without_braces(text)


def _without_braces(text: str) -> Iterator[Found]:
    """An hstore whose members are an envelope's; or the end of an envelope, or prose that names its parts."""
    if "=>" in text and (members := _peeled("{" + text + "}")) is not None:
        # An hstore has only text.
        found = of_object(Members((name, Number(value) if name == "v" else value) for name, value in members))
        if found is not None:
            yield found
            return
    key = key_named(text)
    if key is not None:
        yield Found("broken", None, key)


def _of_fragment(text: str) -> Iterator[Found]:
    members = _peeled(text)
    if members is not None:
        found = of_object(members)
        if found is not None and (found.state == "whole" or found.key or _complete(text)):
            yield found
    elif _complete(text):
        yield Found("unread", None, None)


def _complete(text: str) -> bool:
    """Whether the members of an envelope are in it, and digits that could be an IV or a tag: in code that names them,
    there are none.
    """
    return all(name in text for name in _MEMBERS) and _DIGITS.search(text) is not None


def _peeled(text: str) -> Members | None:
    """The object, with as many layers of escapes taken off as it takes."""
    for _ in range(_ESCAPES):
        try:
            value = _DECODER.decode(text)
        except (ValueError, RecursionError):
            pass
        else:
            return value if isinstance(value, Members) else None
        if "\\" in text:
            text = _ESCAPED.sub(_unescaped, text)
        elif "&" in text:  # XML
            text = html.unescape(text)
        elif '""' in text:  # a row type
            text = text.replace('""', '"')
        elif "=>" in text:  # hstore
            text = text.replace("=>", ":")
        elif "'" in text:
            text = text.replace("'", '"')
        else:
            break
    return None


def _unescaped(match: re.Match[str]) -> str:
    escaped = match[1]
    if len(escaped) == 5:
        return chr(int(escaped[1:], 16))
    return " " if escaped in "nrt" else escaped


def _unhexed(text: str) -> Iterator[str]:
    for run in _HEX.finditer(text):
        if run.end() - run.start() < 2 * SHORTEST:
            continue
        digits = _BREAKS.sub("", run[0])
        for start in (0, 1):  # another digit may be in front of it
            decoded = bytes.fromhex(digits[start : len(digits) - (len(digits) - start) % 2])
            if (found := _worth_it(decoded)) is not None:
                yield found


def _from_base64(text: str) -> Iterator[str]:
    for run in _BASE64.finditer(text):
        if run.end() - run.start() < SHORTEST:
            continue
        characters = _BREAKS.sub("", run[0]).replace("-", "+").replace("_", "/")
        for start in range(4):  # other characters may be in front of it
            piece = characters[start:]
            piece = piece[: len(piece) - 1] if len(piece) % 4 == 1 else piece
            try:
                decoded = base64.b64decode(piece + "=" * (-len(piece) % 4))
            except binascii.Error:
                continue
            if (found := _worth_it(decoded)) is not None:
                yield found


def _worth_it(decoded: bytes) -> str | None:
    """As text, where an envelope may be in it: itself, or in one more encoding."""
    if b"authTag" in decoded or _printable(decoded):
        return decoded.decode("utf-8", "replace")
    return None


_TEXT = re.compile(rb"[0-9A-Za-z+/=_\s-]{%d}" % SHORTEST)


def _printable(decoded: bytes) -> bool:
    """Whether a run of hex or base64 is in it."""
    return _TEXT.search(decoded) is not None
