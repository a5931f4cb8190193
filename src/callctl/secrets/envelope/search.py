"""Ciphertext told by its form: envelopes inside other text, and ciphertext of other tools in a secret's place.

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
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Iterator
from itertools import permutations
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from callctl.secrets.envelope.cipher import VERSIONS, Envelope, Malformed, read_envelope

# Envelopes inside other text: JSON in a JSON string, a row or an array as PostgreSQL shows it, hex, base64.

# whole: a well-formed envelope. broken: JSON with members of an envelope in another form, or the beginning of one.
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
    """The kind of envelope found, and the key id that it names."""

    state: State
    envelope: Envelope | None
    key: str | None


_DECODER = json.JSONDecoder(object_pairs_hook=Members, parse_float=Number, parse_int=Number, strict=False)


def parsed(text: str) -> Any | None:
    """JSON of any size: objects as :class:`Members`, numbers as text. None if it is not JSON, or nested too deeply."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def of_object(members: Members) -> Found | None:
    """The envelope that an object is; None if it has no member ``authTag``."""
    names = [name for name, _ in members]
    if "authTag" not in names:
        return None
    key = next((value for name, value in members if name == "kid" and type(value) is str), None)
    if any(names.count(name) > 1 for name in _MEMBERS):
        return Found("broken", None, key)
    try:
        envelope = read_envelope(
            {name: _VERSIONS.get(value) if isinstance(value, Number) else value for name, value in members}
        )
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
    """Return whether it is worth looking: it is long enough."""
    return len(text) >= SHORTEST or "authTag" in text


def key_named(text: str) -> str | None:
    """The key id that a piece of an envelope names."""
    match = _KID.search(text)
    return match[1] if match else None


def _without_url_escapes(text: str) -> str:
    """With its braces and quotes, where they are escaped as in a URL or a form; an envelope has no other + or %."""
    for _ in range(_URL_ESCAPES):
        if not _URL_QUOTE.search(text):
            break
        text = urllib.parse.unquote_plus(text)
    return text


def _in_braces(text: str) -> Iterator[Found]:
    opened, tagged, has_fragment, loose = -1, False, False, False
    for token in _BRACES.finditer(text):
        if token[0] == "authTag":
            tagged = opened >= 0
            loose = loose or not tagged
        elif token[0] == "{":
            opened, tagged = token.start(), False
        else:
            if tagged:
                has_fragment = True
                yield from _of_fragment(text[opened : token.end()])
            opened, tagged = -1, False
    if tagged:  # the beginning of one
        key = key_named(text[opened:])
        if key is not None:
            yield Found("broken", None, key)
    elif loose and not has_fragment:
        yield from _without_braces(text)


def _without_braces(text: str) -> Iterator[Found]:
    """An hstore whose members are an envelope's; or the end of an envelope, or prose that names its parts."""
    if "=>" in text and (members := _peeled("{" + text + "}")) is not None:
        # An hstore has only text.
        hit = of_object(Members((name, Number(value) if name == "v" else value) for name, value in members))
        if hit is not None:
            yield hit
            return
    key = key_named(text)
    if key is not None:
        yield Found("broken", None, key)


def _of_fragment(text: str) -> Iterator[Found]:
    members = _peeled(text)
    if members is not None:
        hit = of_object(members)
        if hit is not None and (hit.state == "whole" or hit.key or _complete(text)):
            yield hit
    elif _complete(text):
        yield Found("unread", None, None)


def _complete(text: str) -> bool:
    """Return whether a text has an envelope's members and digits for an IV or a tag, unlike code that names them."""
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
            if (inner_text := _worth_it(decoded)) is not None:
                yield inner_text


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
            if (inner_text := _worth_it(decoded)) is not None:
                yield inner_text


def _worth_it(decoded: bytes) -> str | None:
    """As text, where an envelope may be in it: itself, or in one more encoding."""
    if b"authTag" in decoded or _printable(decoded):
        return decoded.decode("utf-8", "replace")
    return None


_TEXT = re.compile(rb"[0-9A-Za-z+/=_\s-]{%d}" % SHORTEST)


def _printable(decoded: bytes) -> bool:
    """Return whether a run of hex or base64 is in it."""
    return _TEXT.search(decoded) is not None


# Ciphertext of another tool in a secret's place, told by its form: what is encrypted already, and not by callctl.
#
# A form is listed only where plaintext secrets do not have it. A signed token is a plaintext secret; so is a private
# key, with or without a passphrase. Ciphertext without a form of its own (one base64 or hexadecimal string) cannot be
# told from a random token.

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
_FOREIGN_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,19}|v?[0-9]{1,3}", re.IGNORECASE)
_LONGEST_PACKED = 100_000
_MOST_PARTS = 5
_RAILS = "--"


def foreign(text: str) -> str | None:
    """Return the tool that seems to have encrypted a text, by its form; None if it may be plaintext."""
    text = text.strip()
    match = _BEGINNING.match(text)
    if match is not None:
        name = str(match.lastgroup)
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
    """Yield the lengths of the parts in bytes; nothing if a part has another encoding."""
    lengths: list[int] = []
    for part in parts:
        number = length(part)
        if number is None:
            return []
        lengths.append(number)
    return lengths


def _hex_length(part: str) -> int | None:
    return len(part) // 2 if _FOREIGN_HEX.fullmatch(part) else None


def _base64_length(part: str) -> int | None:
    if not part or len(part) % 4:
        return None
    data = _decoded(part)
    return None if data is None else len(data)


def _fits(lengths: list[int], *, least: int) -> bool:
    """Return whether the parts can be an IV, a tag and ciphertext; or, if there are two, an IV and whole blocks."""
    if len(lengths) < least:
        return False
    if len(lengths) == 2:
        return any(iv == _BLOCK and rest > 0 and rest % _BLOCK == 0 for iv, rest in permutations(lengths))
    return any(iv in _IV and tag == _TAG for iv, tag in permutations(lengths, 2))


# ---- decoding --------------------------------------------------------------------------------------------


def _decoded(text: str, *, url: bool = False) -> bytes | None:
    """The bytes of base64, of either alphabet if ``url``; None if it is not base64."""
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
