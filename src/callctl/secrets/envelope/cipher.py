"""The envelope: its form, how one is opened, and how one is made.

Everything here works on one value and is made for a loop over millions of them.
"""

from __future__ import annotations

import json
import os
import re
from binascii import unhexlify
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from callctl.config.sections import is_key_id
from callctl.secrets.envelope.fields import DECLARED
from callctl.secrets.envelope.ring import Key, KeyRing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# The envelope's form: what is stored in the database in place of a secret, and how it is read.
#
# It is specified in docs/reference/envelope.md. Version 1 is what the specification's helper writes, plus the key's id.
# Version 2 also authenticates the place where the value is. No other file knows which versions do.

ALGORITHM: Final = "A256GCM"
# The versions that authenticate the place, each with its label. What is to be bound gets the newest.
LABELS: Final = MappingProxyType({2: b"callctl.envelope.v2"})
BOUND: Final = max(LABELS)
VERSIONS: Final = (1, *LABELS)
IV_BYTES: Final = 12
TAG_BYTES: Final = 16
# 16: the specification's helper. SP 800-38D allows others; nothing here has ever written them.
READ_IV_BYTES: Final = (12, 16)

# The text that callctl itself writes: known at a glance, where other text is parsed.
_WRITTEN = re.compile(
    rf'\{{"v":([{"".join(map(str, VERSIONS))}]),"alg":"{ALGORITHM}","kid":"([A-Za-z0-9._-]+)",'
    rf'"iv":"([^"\\]{{{2 * IV_BYTES}}})","encrypted":"([^"\\]*)","authTag":"([^"\\]{{{2 * TAG_BYTES}}})"\}}'
)

_BARE = frozenset({"encrypted", "iv", "authTag"})
_ALL = _BARE | {"v", "alg", "kid"}


class Place(NamedTuple):
    """The place of a value. Ids as PostgreSQL prints them; ``table`` without a schema, as the specification calls it.

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
    """It looks like an envelope, and is not one. ``reason`` says why and repeats nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_envelope(value: object) -> Envelope | None:
    """The envelope in a field, or None: the value is plaintext.

    A string is plaintext unless it is the JSON text of an envelope; JSON text that has none of the members
    ``encrypted``, ``iv`` and ``authTag`` is a secret like any other text. Raises Malformed for what has one of
    them and is not a well-formed envelope, for text that holds a piece of one, and for what is neither a
    string nor an object.
    """
    if type(value) is str:
        written = _WRITTEN.fullmatch(value)
        if written is not None:
            number, kid, iv, encrypted, auth_tag = written.groups()
            if _is_key_id(kid):
                return _envelope(int(number), kid, encrypted, iv, auth_tag)
        first = value[:1]
        if first == "{" or (first.isspace() and value.lstrip()[:1] == "{"):
            members = _object(value)
            if members is not None and not _BARE.isdisjoint(members):
                return _well_formed(members)
        if "authTag" in value:  # the end of one, one inside something else, one encoded twice
            raise Malformed("text that contains a part of an envelope")
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
            raise Malformed("a member that belongs to no version")
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
        if version in LABELS and len(members) < len(_ALL):
            raise Malformed(f"version {version} needs alg and kid")
    return _envelope(version, key_id, encrypted, iv, auth_tag)


def _envelope(version: int, key_id: str | None, encrypted: object, iv: object, auth_tag: object) -> Envelope:
    if not (type(encrypted) is str and type(iv) is str and type(auth_tag) is str):
        raise Malformed("encrypted, iv or authTag is not text")
    try:
        envelope = Envelope(version, key_id, unhexlify(encrypted), unhexlify(iv), unhexlify(auth_tag))
    except ValueError:
        raise Malformed("encrypted, iv or authTag is not hexadecimal") from None
    if len(envelope.iv) not in READ_IV_BYTES:
        raise Malformed("an iv that is neither 12 nor 16 bytes long")
    if len(envelope.auth_tag) != TAG_BYTES:
        raise Malformed("an authTag that is not 16 bytes long")
    return envelope


@lru_cache(maxsize=256)
def _is_key_id(text: str) -> bool:
    """As is_key_id; a database's values name few ids, over and over."""
    return is_key_id(text)


class _Twice(ValueError):
    """A member is repeated in JSON text: readers differ in which one counts."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Twice
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_members)


def _object(text: str) -> dict[str, Any] | None:
    """The object that JSON text is, if it is one."""
    try:
        value = _DECODER.decode(text)
    except _Twice:
        if any(f'"{name}"' in text for name in _BARE):
            raise Malformed("a member is repeated") from None
        return None
    except (ValueError, RecursionError):
        if '"encrypted"' in text or '"iv"' in text:
            raise Malformed("text that contains a part of an envelope") from None
        return None
    return value if isinstance(value, dict) else None


def associated_data(place: Place, version: int) -> bytes:
    """Return the data authenticated with the ciphertext: the version's label and four parts, each after its length.

    A length is four bytes, the most significant first, and counts the bytes of the part in UTF-8; so no two places have
    the same encoding.
    """
    company_id, table, row_id, path = place
    parts = (LABELS[version], company_id.encode(), table.encode(), row_id.encode(), path.encode())
    return b"".join([piece for part in parts for piece in (len(part).to_bytes(4, "big"), part)])


def head(version: int, key_id: str) -> str:
    """Return the beginning of an envelope's text, up to its IV."""
    return f'{{"v":{version},"alg":"{ALGORITHM}","kid":"{key_id}","iv":"'


def envelope_text(envelope: Mapping[str, Any]) -> str:
    """An envelope in a text column: JSON on one line, without spaces."""
    return json.dumps(envelope, separators=(",", ":"))


# An envelope opened, and one made.

IVS_AT_ONCE: Final = 256
_BEFORE_TAG: Final = -2 * TAG_BYTES  # in hexadecimal digits

Reason: TypeAlias = Literal["unknown-key", "wrong-key", "tampered", "moved", "malformed", "foreign"]


class Decrypted(NamedTuple):
    """The plaintext of an envelope, and the key that decrypted it."""

    plaintext: str
    key: Key
    version: int

    def __repr__(self) -> str:
        return f"Decrypted(key={self.key.id!r}, version={self.version})"  # never the plaintext


class NotDecrypted(ValueError):
    """An envelope that does not open. ``reason`` is one of a few words; ``detail`` says more, and no value."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class Decrypter:
    """Opens envelopes with the keys of one ring.

    ``elsewhere`` gives other places where a value may have come from (the same row under another company, say),
    beside the other secrets of its row. It is asked only about a value of version 2 that does not open, and only
    to say ``moved`` of it: a value that belongs to another place is never given out.
    """

    def __init__(self, ring: KeyRing, elsewhere: Callable[[Place], Iterable[Place]] | None = None) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._invalid = InvalidTag
        self._elsewhere = elsewhere
        # One object a key: making one costs as much as a value does.
        self._keys: dict[str, tuple[Key, AESGCM]] = {key.id: (key, AESGCM(key.secret)) for key in ring.keys.values()}
        order = dict.fromkeys([*(key.id for key in ring.legacy), ring.primary.id])
        self._without_id = tuple(self._keys[key_id] for key_id in order)

    def decrypt(self, envelope: Envelope, place: Place) -> Decrypted:
        """Return the plaintext of the envelope. Raises NotDecrypted, never with a value in it."""
        version, key_id, encrypted, iv, auth_tag = envelope
        ciphertext = encrypted + auth_tag
        data = associated_data(place, version) if version in LABELS else None
        if key_id is not None:
            known = self._keys.get(key_id)
            if known is None:
                raise NotDecrypted("unknown-key", f"the ring has no key {key_id}")
            tried: tuple[tuple[Key, AESGCM], ...] = (known,)
        else:
            tried = self._without_id
        for key, cipher in tried:
            try:
                plaintext = cipher.decrypt(iv, ciphertext, data)
            except self._invalid:
                continue
            try:
                return Decrypted(plaintext.decode("utf-8"), key, version)
            except UnicodeDecodeError:
                raise NotDecrypted("malformed", "its plaintext is not UTF-8") from None
        raise self._why(envelope, place, ciphertext, data)

    def _why(self, envelope: Envelope, place: Place, ciphertext: bytes, data: bytes | None) -> NotDecrypted:
        """Why none of the keys that should open it does, as far as that can be found out. Not a hot path."""
        for key, cipher in self._keys.values():
            if self._opens(cipher, envelope.iv, ciphertext, data):
                if envelope.key_id is None:
                    return NotDecrypted(
                        "wrong-key",
                        f"it has no key id; only key {key.id} decrypts it, and that key is not marked legacy",
                    )
                return NotDecrypted("wrong-key", f"it names key {envelope.key_id}, but key {key.id} decrypts it")
        if envelope.key_id is None:
            return NotDecrypted("unknown-key", "it has no key id, and no key of the ring decrypts it")
        if data is not None:
            cipher = self._keys[envelope.key_id][1]
            for other in (*_siblings(place), *(self._elsewhere(place) if self._elsewhere else ())):
                if self._opens(cipher, envelope.iv, ciphertext, associated_data(other, envelope.version)):
                    return NotDecrypted("moved", f"it belongs to {_difference(place, other)}")
            return NotDecrypted("tampered", f"it was changed, or moved here, after key {envelope.key_id} encrypted it")
        return NotDecrypted("tampered", f"it was changed after key {envelope.key_id} encrypted it")

    def _opens(self, cipher: AESGCM, iv: bytes, ciphertext: bytes, data: bytes | None) -> bool:
        try:
            cipher.decrypt(iv, ciphertext, data)
        except self._invalid:
            return False
        return True


def _siblings(place: Place) -> Iterator[Place]:
    """The other secrets of the same row."""
    for field in DECLARED:
        if field.table == place.table:
            yield place._replace(path=field.text)


def _difference(place: Place, other: Place) -> str:
    """Return the parts in which the other place differs: 'company_id 4f…, path credentials.appSecret'."""
    names = Place._fields
    return ", ".join(
        f"{name.removesuffix('_id')} {there}"
        for name, here, there in zip(names, place, other, strict=True)
        if here != there
    )


# ---- encrypting ---------------------------------------------------------------------------------------


class NotTheSame(Exception):
    """A new envelope does not decrypt to the original plaintext. Nothing has been written."""


class Encrypter:
    """Encrypts secrets under one key. The caller counts them: see MOST_ENCRYPTIONS."""

    # SP 800-38D section 8.3: at most 2^32 values under one key where IVs are random.
    MOST_ENCRYPTIONS: Final = 2**32
    WARN_ENCRYPTIONS: Final = 2**30

    def __init__(self, key: Key) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._invalid = InvalidTag
        self._key_id = key.id
        self._cipher = AESGCM(key.secret)
        self._heads = {version: head(version, key.id) for version in VERSIONS}
        self._ivs: list[bytes] = []
        os.register_at_fork(after_in_child=self._ivs.clear)  # the same IV twice would give the key away

    def encrypt(self, plaintext: str, place: Place, version: int) -> dict[str, Any]:
        """An envelope of one of VERSIONS with a fresh random IV, as the object that goes into a jsonb column."""
        if version not in VERSIONS:
            raise ValueError(f"unknown version {version}")
        iv = self._ivs.pop() if self._ivs else self._drawn()
        data = associated_data(place, version) if version in LABELS else None
        ciphertext = self._cipher.encrypt(iv, plaintext.encode("utf-8"), data)
        return {
            "v": version,
            "alg": ALGORITHM,
            "kid": self._key_id,
            "iv": iv.hex(),
            "encrypted": ciphertext[:-TAG_BYTES].hex(),
            "authTag": ciphertext[-TAG_BYTES:].hex(),
        }

    def encrypt_texts(
        self, plaintexts: Sequence[bytes], versions: Sequence[int], data: Sequence[bytes | None]
    ) -> list[str]:
        """The same for many, as JSON text, as :func:`as_text` writes it; ``data`` is what version 2 authenticates."""
        drawn, heads = os.urandom(IV_BYTES * len(plaintexts)), self._heads
        ivs = [drawn[start : start + IV_BYTES] for start in range(0, len(drawn), IV_BYTES)]
        ciphertext = map(bytes.hex, map(self._cipher.encrypt, ivs, plaintexts, data))
        return [
            f'{heads[version]}{iv}","encrypted":"{digits[:_BEFORE_TAG]}","authTag":"{digits[_BEFORE_TAG:]}"}}'
            for version, iv, digits in zip(versions, map(bytes.hex, ivs), ciphertext, strict=True)
        ]

    def checked_texts(
        self, plaintexts: Sequence[bytes], versions: Sequence[int], data: Sequence[bytes | None]
    ) -> list[str]:
        """As :meth:`encrypt_texts`; each has been opened again from its text, and compared. Raises NotTheSame."""
        texts = self.encrypt_texts(plaintexts, versions, data)
        written = [match.groups() for match in map(_WRITTEN.fullmatch, texts) if match]
        try:
            again = [
                (version, key_id, self._cipher.decrypt(unhexlify(iv), unhexlify(encrypted + auth_tag), authenticated))
                for (version, key_id, iv, encrypted, auth_tag), authenticated in zip(written, data, strict=True)
            ]
        except (self._invalid, ValueError):
            raise NotTheSame from None
        if again != [(str(number), self._key_id, text) for number, text in zip(versions, plaintexts, strict=True)]:
            raise NotTheSame
        return texts

    def _drawn(self) -> bytes:
        """An IV, and more for later: a call of the system's costs more than an encryption."""
        drawn = os.urandom(IV_BYTES * IVS_AT_ONCE)
        self._ivs += [drawn[start : start + IV_BYTES] for start in range(0, len(drawn), IV_BYTES)]
        return self._ivs.pop()
