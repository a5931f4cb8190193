"""The envelope's form: what stands in the database in place of a secret, and how it is read.

It is specified in docs/reference/envelope.md. Version 1 is what the specification's helper writes, plus the key's id.
Version 2 also authenticates the place where the value stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from callctl.config.secrets import is_key_id

ALGORITHM: Final = "A256GCM"
VERSIONS: Final = (1, 2)
IV_BYTES: Final = 12
TAG_BYTES: Final = 16
# 16: the specification's helper. SP 800-38D allows others; nothing here has ever written them.
READ_IV_BYTES: Final = (12, 16)

_BARE = frozenset({"encrypted", "iv", "authTag"})
_ALL = _BARE | {"v", "alg", "kid"}
_LABEL = b"callctl.envelope.v2"


class Place(NamedTuple):
    """Where a value stands. Ids as PostgreSQL prints them; ``table`` without a schema, as the specification calls it.

    ``path`` is the column and what is inside it: 'access_token', 'credentials.turnServers[].credential'.
    """

    company_id: str
    table: str
    row_id: str
    path: str


class Envelope(NamedTuple):
    """An envelope taken apart. ``version`` 0 is the specification's own form, which carries none."""

    version: int
    key_id: str | None
    encrypted: bytes
    iv: bytes
    auth_tag: bytes


class Malformed(ValueError):
    """It looks like an envelope, and is none. ``reason`` says why and repeats nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read(value: object) -> Envelope | None:
    """The envelope that stands in a field, or None: the value is plaintext.

    A string is plaintext unless it is the JSON text of an envelope; JSON text that has none of the members
    ``encrypted``, ``iv`` and ``authTag`` is a secret like any other text. Raises Malformed for what has one of
    them and is not a well-formed envelope, for text that holds a piece of one, and for what is neither a
    string nor an object.
    """
    if type(value) is str:
        first = value[:1]
        if first == "{" or (first.isspace() and value.lstrip()[:1] == "{"):
            found = _object(value)
            if found is not None and not _BARE.isdisjoint(found):
                return _well_formed(found)
        if "authTag" in value:  # the end of one, one inside something else, one encoded twice
            raise Malformed("text that holds a piece of an envelope")
        return None
    if isinstance(value, dict):
        return _well_formed(value)
    raise Malformed("neither text nor an object")


def _well_formed(members: Mapping[str, Any]) -> Envelope:
    encrypted, iv, auth_tag = members.get("encrypted"), members.get("iv"), members.get("authTag")
    if encrypted is None or iv is None or auth_tag is None:
        raise Malformed("an object without encrypted, iv or authTag")
    version, key_id = 0, None
    if len(members) > len(_BARE):
        if not _ALL.issuperset(members):
            raise Malformed("a member that no version has")
        if "v" in members:
            version = members["v"]
            if type(version) is not int or version not in VERSIONS:
                raise Malformed("a version that this callctl does not know")
        if members.get("alg", ALGORITHM) != ALGORITHM:
            raise Malformed("an algorithm that is not A256GCM")
        if "kid" in members:
            key_id = members["kid"]
            if type(key_id) is not str or not _is_key_id(key_id):
                raise Malformed("a kid that cannot be the id of a key")
        if version > 1 and len(members) < len(_ALL):
            raise Malformed("version 2 needs alg and kid")
    envelope = Envelope(version, key_id, _hex(encrypted), _hex(iv), _hex(auth_tag))
    if len(envelope.iv) not in READ_IV_BYTES:
        raise Malformed("an iv that is neither 12 nor 16 bytes long")
    if len(envelope.auth_tag) != TAG_BYTES:
        raise Malformed("an authTag that is not 16 bytes long")
    return envelope


@lru_cache(maxsize=256)
def _is_key_id(text: str) -> bool:
    """As is_key_id; a database's values name few ids, over and over."""
    return is_key_id(text)


def _hex(text: object) -> bytes:
    if type(text) is not str:
        raise Malformed("encrypted, iv or authTag is not text")
    try:
        found = bytes.fromhex(text)
    except ValueError:
        raise Malformed("encrypted, iv or authTag is not hexadecimal") from None
    if 2 * len(found) != len(text):  # fromhex passes over white space
        raise Malformed("encrypted, iv or authTag is not hexadecimal")
    return found


class _Twice(ValueError):
    """A member stands twice in JSON text: readers differ in which one counts."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_members)


def _object(text: str) -> dict[str, Any] | None:
    """The object that JSON text is, if it is one."""
    try:
        found = _DECODER.decode(text)
    except _Twice:
        if any(f'"{name}"' in text for name in _BARE):
            raise Malformed("a member stands twice") from None
        return None
    except (ValueError, RecursionError):
        if '"encrypted"' in text or '"iv"' in text:
            raise Malformed("text that holds a piece of an envelope") from None
        return None
    return found if isinstance(found, dict) else None


def associated_data(place: Place) -> bytes:
    """What version 2 authenticates with the ciphertext: a label and the four parts, each behind its length.

    A length is four bytes, the most significant first, and counts the bytes of the part in UTF-8; so no two
    places have the same encoding.
    """
    company_id, table, row_id, path = place
    parts = (_LABEL, company_id.encode(), table.encode(), row_id.encode(), path.encode())
    return b"".join([piece for part in parts for piece in (len(part).to_bytes(4, "big"), part)])


def head(version: int, key_id: str) -> str:
    """How the text of an envelope begins, up to its IV."""
    return f'{{"v":{version},"alg":"{ALGORITHM}","kid":"{key_id}","iv":"'


def as_text(envelope: Mapping[str, Any]) -> str:
    """An envelope as it stands in a text column: JSON on one line, without spaces."""
    return json.dumps(envelope, separators=(",", ":"))
