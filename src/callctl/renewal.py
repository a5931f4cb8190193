"""The quick way for envelopes that callctl itself wrote: cut out of a column's text, opened, and sealed anew.

Made for a loop over millions of values: parsing JSON costs more than the cipher. Whatever is not to the letter as
callctl writes it, or does not open, is not for here: ``reencrypt`` parses it and says what it is.
"""

from __future__ import annotations

import re
import secrets
from binascii import unhexlify
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from callctl.envelope import ALGORITHM, IV_BYTES, TAG_BYTES, VERSIONS, Sealer, ToSeal, head
from callctl.secret_rows import decode, encode

if TYPE_CHECKING:
    from callctl.keys import KeyRing

_IV, _TAG = 2 * IV_BYTES, 2 * TAG_BYTES  # in hexadecimal digits
_BEFORE_CIPHERTEXT, _BEFORE_TAG, _END = '","encrypted":"', '","authTag":"', '"}'
_CIPHERTEXT = _IV + len(_BEFORE_CIPHERTEXT)
_TAG_AT = -(_TAG + len(_END))
_CIPHERTEXT_END = _TAG_AT - len(_BEFORE_TAG)
# Behind the head at least.
_SHORTEST = _CIPHERTEXT - _CIPHERTEXT_END

# An envelope as a member of a jsonb object, as PostgreSQL prints it: its order, its spaces. In a string each quotation
# mark has a backslash before it, so this is never found inside one.
_MEMBER = re.compile(
    rf'": {{"v": ([{"".join(map(str, VERSIONS))}]), "iv": "([^"]{{{_IV}}})", "alg": "{ALGORITHM}", "kid": "([^"]+)",'
    rf' "authTag": "([^"]{{{_TAG}}})", "encrypted": "([^"]*)"}}'
)
_PIECES = 6  # that it divides a text into: the groups, and what is between
# What stands for an envelope in the text that is left: a string that nobody else can know, and a number.
_MARK = secrets.token_hex(16)
MARKS = tuple(f"{_MARK}{number}" for number in range(100))
_IN_TEXT = tuple(f'": "{mark}"' for mark in MARKS)
# The number of the envelope that a string stands for.
NUMBERS: Mapping[str, int] = {mark: number for number, mark in enumerate(MARKS)}

# Version, key id, IV, and ciphertext with tag. No class of its own: to make one takes as long as to decrypt.
Cut: TypeAlias = tuple[int, str, bytes, bytes]
# What decrypts, the IV, ciphertext with tag, and what version 2 authenticates with them.
ToOpen: TypeAlias = tuple[Callable[[bytes, bytes, "bytes | None"], bytes], bytes, bytes, "bytes | None"]


class NotTheSame(Exception):
    """What would be written does not say what was read. Nothing has been written."""


class Members(NamedTuple):
    """A jsonb document without its envelopes: the text that is left, with marks, and the envelopes."""

    skeleton: str
    cuts: list[Cut]


def filled(text: str, envelopes: Mapping[int, str]) -> str:
    """JSON text with envelopes in the place of its marks. Raises NotTheSame where they are not those."""
    for number, envelope in envelopes.items():
        mark = f'"{MARKS[number]}"'
        if text.count(mark) != 1:
            raise NotTheSame
        text = text.replace(mark, envelope)
    if _MARK in text:
        raise NotTheSame
    return text


def encoded(document: dict[str, Any] | list[Any]) -> str:
    """A document as JSON text that says what the document says, envelopes and all. Raises NotTheSame."""
    text = encode(document)
    if decode(text) != document:
        raise NotTheSame
    return text


def cut_members(text: str) -> Members | None:
    """Cut the envelopes out of a jsonb document. None where one of them cannot be callctl's, or there are too many."""
    pieces = _MEMBER.split(text)
    number = len(pieces) // _PIECES
    if number > len(MARKS):
        return None
    left = pieces[0]
    cuts: list[Cut] = []
    at = 1
    try:
        for each in range(number):
            version, iv, key_id, tag, ciphertext, after = pieces[at : at + _PIECES]
            cuts.append((int(version), key_id, unhexlify(iv), unhexlify(ciphertext + tag)))
            left += _IN_TEXT[each] + after
            at += _PIECES
    except ValueError:
        return None
    return Members(left, cuts)


class Renewer:
    """Opens what callctl wrote with the keys of a ring, and seals under the primary one."""

    def __init__(self, ring: KeyRing) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._invalid = InvalidTag
        # What decrypts under a key of the ring, by the key's id.
        self.decrypt = {key.id: AESGCM(key.secret).decrypt for key in ring.keys.values()}
        self._primary = self.decrypt[ring.primary.id]
        self._sealer = Sealer(ring.primary)
        self._lengths = {version: len(head(version, ring.primary.id)) for version in VERSIONS}
        # How an envelope may begin, by the length of its beginning.
        self._heads: dict[int, dict[str, tuple[int, str]]] = {}
        for version in VERSIONS:
            for key_id in ring.keys:
                begins = head(version, key_id)
                self._heads.setdefault(len(begins), {})[begins] = version, key_id

    def cut_text(self, text: str) -> Cut | None:
        """The envelope that a text is, to the letter as callctl writes it under a key of the ring."""
        for at, heads in self._heads.items():
            known = heads.get(text[:at])
            if known is not None:
                break
        else:
            return None
        if (
            len(text) < at + _SHORTEST
            or text[at + _IV : at + _CIPHERTEXT] != _BEFORE_CIPHERTEXT
            or text[_CIPHERTEXT_END:_TAG_AT] != _BEFORE_TAG
            or text[-2:] != _END
        ):
            return None
        try:
            iv = unhexlify(text[at : at + _IV])
            return known[0], known[1], iv, unhexlify(text[at + _CIPHERTEXT : _CIPHERTEXT_END] + text[_TAG_AT:-2])
        except ValueError:
            return None

    def opened(self, cuts: Sequence[ToOpen]) -> list[bytes | None]:
        """Their plaintexts; None where one does not open, or is no text."""
        try:
            plaintexts: list[bytes | None] = [decrypt(iv, sealed, data) for decrypt, iv, sealed, data in cuts]
            for each in plaintexts:
                each.decode()  # type: ignore[union-attr]
        except (self._invalid, UnicodeDecodeError):
            return [self._opened_alone(*each) for each in cuts]
        return plaintexts

    def _opened_alone(
        self, decrypt: Callable[[bytes, bytes, bytes | None], bytes], iv: bytes, sealed: bytes, data: bytes | None
    ) -> bytes | None:
        try:
            plaintext = decrypt(iv, sealed, data)
            plaintext.decode()
        except (self._invalid, UnicodeDecodeError):
            return None
        return plaintext

    def sealed(self, due: Sequence[ToSeal]) -> list[str]:
        """The JSON texts of envelopes, each of which has been opened again from that text. Raises NotTheSame."""
        texts, open_again, lengths = self._sealer.seal_texts(due), self._primary, self._lengths
        try:
            for text, (plaintext, version, data) in zip(texts, due, strict=True):
                at = lengths[version]
                sealed = unhexlify(text[at + _CIPHERTEXT : _CIPHERTEXT_END] + text[_TAG_AT:-2])
                if open_again(unhexlify(text[at : at + _IV]), sealed, data) != plaintext:
                    raise NotTheSame
        except (self._invalid, ValueError):
            raise NotTheSame from None
        return texts
