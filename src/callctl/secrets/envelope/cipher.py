"""The envelope: decrypted and encrypted. What it looks like is ``envelope.format``'s.

Everything here works on one value and is made for a loop over millions of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from callctl.secrets.envelope.fields import DECLARED
from callctl.secrets.envelope.format import (
    ALGORITHM,
    IV_BYTES,
    TAG_BYTES,
    VERSIONS,
    Envelope,
    Place,
    associated_data,
    head,
)
from callctl.secrets.envelope.ring import Key, KeyRing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

IVS_AT_ONCE: Final = 256
_BEFORE_TAG: Final = -2 * TAG_BYTES  # in hexadecimal digits

Reason: TypeAlias = Literal["unknown-key", "wrong-key", "tampered", "moved", "malformed", "foreign"]


class Decrypted(NamedTuple):
    """What an envelope held, and the key that opened it."""

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
    to say ``moved`` of it: what does not belong where it stands is never given out.
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
        """What the envelope holds. Raises NotDecrypted, never with a value in it."""
        version, key_id, encrypted, iv, auth_tag = envelope
        ciphertext = encrypted + auth_tag
        data = associated_data(place) if version == 2 else None
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
                raise NotDecrypted("malformed", "what it holds is not UTF-8 text") from None
        raise self._why(envelope, place, ciphertext, data)

    def _why(self, envelope: Envelope, place: Place, ciphertext: bytes, data: bytes | None) -> NotDecrypted:
        """Why none of the keys that should open it does, as far as that can be found out. Not a hot path."""
        for key, cipher in self._keys.values():
            if self._opens(cipher, envelope.iv, ciphertext, data):
                if envelope.key_id is None:
                    return NotDecrypted(
                        "wrong-key", f"it carries no key id, and only key {key.id} opens it; not legacy"
                    )
                return NotDecrypted("wrong-key", f"it names key {envelope.key_id}, and key {key.id} opens it")
        if envelope.key_id is None:
            return NotDecrypted("unknown-key", "it carries no key id, and no key of the ring opens it")
        if data is not None:
            cipher = self._keys[envelope.key_id][1]
            for other in (*_siblings(place), *(self._elsewhere(place) if self._elsewhere else ())):
                if self._opens(cipher, envelope.iv, ciphertext, associated_data(other)):
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
    """What is different about the other place: 'company_id 4f…, path credentials.appSecret'."""
    names = Place._fields
    return ", ".join(
        f"{name.removesuffix('_id')} {there}"
        for name, here, there in zip(names, place, other, strict=True)
        if here != there
    )


# ---- encrypting ---------------------------------------------------------------------------------------


class Encrypter:
    """Encrypts secrets under one key. Counting them is for whoever calls: see MOST_ENCRYPTIONS."""

    # SP 800-38D section 8.3: at most 2^32 values under one key where IVs are random.
    MOST_ENCRYPTIONS: Final = 2**32
    WARN_ENCRYPTIONS: Final = 2**30

    def __init__(self, key: Key) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._key_id = key.id
        self._cipher = AESGCM(key.secret)
        self._heads = {version: head(version, key.id) for version in VERSIONS}
        self._ivs: list[bytes] = []
        os.register_at_fork(after_in_child=self._ivs.clear)  # the same IV twice would give the key away

    def encrypt(self, plaintext: str, place: Place, version: int) -> dict[str, Any]:
        """An envelope of version 1 or 2 with a fresh random IV, as the object that goes into a jsonb column."""
        if version not in VERSIONS:
            raise ValueError(f"there is no version {version}")
        iv = self._ivs.pop() if self._ivs else self._drawn()
        data = associated_data(place) if version == 2 else None
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
        ivs = [drawn[at : at + IV_BYTES] for at in range(0, len(drawn), IV_BYTES)]
        ciphertext = map(bytes.hex, map(self._cipher.encrypt, ivs, plaintexts, data))
        return [
            f'{heads[version]}{iv}","encrypted":"{digits[:_BEFORE_TAG]}","authTag":"{digits[_BEFORE_TAG:]}"}}'
            for version, iv, digits in zip(versions, map(bytes.hex, ivs), ciphertext, strict=True)
        ]

    def _drawn(self) -> bytes:
        """An IV, and more for later: a call of the system's costs more than an encryption."""
        drawn = os.urandom(IV_BYTES * IVS_AT_ONCE)
        self._ivs += [drawn[at : at + IV_BYTES] for at in range(0, len(drawn), IV_BYTES)]
        return self._ivs.pop()
