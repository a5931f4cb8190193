"""Decrypts envelopes that callctl itself wrote, and re-encrypts, many at once.

Made for a loop over millions of values: what Python does about one costs more than the cipher, so that each step is
done to all of them before the next.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Sequence
from operator import call, itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from callctl.secrets.envelope.cipher import Encrypter
from callctl.secrets.envelope.format import IV_BYTES, TAG_BYTES, VERSIONS, head
from callctl.secrets.rows.row import decode, encode

if TYPE_CHECKING:
    from callctl.secrets.envelope.ring import KeyRing

_IV, _TAG = 2 * IV_BYTES, 2 * TAG_BYTES  # in hexadecimal digits
_BEFORE_CIPHERTEXT, _BEFORE_TAG, _END = map(len, ('","encrypted":"', '","authTag":"', '"}'))

# What decrypts: of an IV, a ciphertext with its tag, and what version 2 authenticates with them.
Decrypt: TypeAlias = Callable[[bytes, bytes, "bytes | None"], bytes]


class NotTheSame(Exception):
    """What would be written does not say what was read. Nothing has been written."""


def encoded(document: dict[str, Any] | list[Any]) -> str:
    """A document as JSON text that says what the document says, envelopes and all. Raises NotTheSame."""
    text = encode(document)
    if decode(text) != document:
        raise NotTheSame
    return text


def _digits(version: int, key_id: str) -> Callable[[str], tuple[str, str, str]]:
    """Takes IV, ciphertext and tag out of an envelope's text, by where they are."""
    iv = len(head(version, key_id))
    ciphertext = iv + _IV + _BEFORE_CIPHERTEXT
    tag = -(_TAG + _END)
    return itemgetter(slice(iv, iv + _IV), slice(ciphertext, tag - _BEFORE_TAG), slice(tag, -_END))


class BulkCipher:
    """Decrypts what callctl wrote with the keys of a ring, and encrypts under the primary one."""

    def __init__(self, ring: KeyRing) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._invalid = InvalidTag
        # What decrypts under a key of the ring, by the key's id.
        self.decrypt: dict[str, Decrypt] = {key.id: AESGCM(key.secret).decrypt for key in ring.keys.values()}
        self._primary = self.decrypt[ring.primary.id]
        self._encrypter = Encrypter(ring.primary)
        self._digits = {version: _digits(version, ring.primary.id) for version in VERSIONS}

    def opened(
        self, decrypts: Sequence[Decrypt], digits: Sequence[str], data: Sequence[bytes | None]
    ) -> list[bytes | None]:
        """The plaintexts of envelopes; None where one does not open, or is no text. ``digits`` are three of each: IV,
        ciphertext, tag.
        """
        ciphertexts = map(str.__add__, digits[1::3], digits[2::3])
        try:
            plaintexts: list[Any] = list(
                map(call, decrypts, map(unhexlify, digits[::3]), map(unhexlify, ciphertexts), data)
            )
            b"\n".join(plaintexts).decode()  # with a character between them, that is as one by one
        except (self._invalid, ValueError):
            each = zip(decrypts, digits[::3], digits[1::3], digits[2::3], data, strict=True)
            return [self._opened_alone(*one) for one in each]
        return plaintexts

    def _opened_alone(self, decrypt: Decrypt, iv: str, ciphertext: str, tag: str, data: bytes | None) -> bytes | None:
        try:
            plaintext = decrypt(unhexlify(iv), unhexlify(ciphertext + tag), data)
            plaintext.decode()
        except (self._invalid, ValueError):
            return None
        return plaintext

    def encrypted(self, plaintexts: list[bytes], versions: Sequence[int], data: Sequence[bytes | None]) -> list[str]:
        """The JSON texts of envelopes, each of which has been opened again from that text. Raises NotTheSame."""
        texts = self._encrypter.encrypt_texts(plaintexts, versions, data)
        digits = [self._digits[version](text) for version, text in zip(versions, texts, strict=True)]
        try:
            ivs = [unhexlify(iv) for iv, _, _ in digits]
            again = [unhexlify(ciphertext + tag) for _, ciphertext, tag in digits]
            opened = list(map(self._primary, ivs, again, data))
        except (self._invalid, ValueError):
            raise NotTheSame from None
        if opened != plaintexts:
            raise NotTheSame
        return texts
