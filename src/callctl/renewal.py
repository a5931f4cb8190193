"""The quick way for envelopes that callctl itself wrote: cut out of a column's text, opened, and sealed anew.

Made for a loop over millions of values: parsing JSON costs more than the cipher. Whatever is not to the letter as
callctl writes it, or does not open, is not for here: ``reencrypt`` parses it and says what it is.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from callctl.envelope import ALGORITHM, IV_BYTES, TAG_BYTES, VERSIONS, Sealer, head

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
MARK = secrets.token_hex(16)
MARK_LENGTH = len(MARK)
_MARKS = [f'": "{MARK}{number}"' for number in range(100)]

# Version, key id, and IV with ciphertext and tag. No class of its own: to make one takes as long as to decrypt.
Cut: TypeAlias = tuple[int, str, bytes]


class NotTheSame(Exception):
    """What would be written does not say what was read. Nothing has been written."""


class Members(NamedTuple):
    """A jsonb document without its envelopes: the text that is left, with marks, and the envelopes."""

    skeleton: str
    cuts: list[Cut]


def filled(text: str, envelopes: Mapping[int, str]) -> str:
    """JSON text with envelopes in the place of their marks."""
    for number, envelope in envelopes.items():
        text = text.replace(f'"{MARK}{number}"', envelope)
    return text


def cut_members(text: str) -> Members | None:
    """Cut the envelopes out of a jsonb document. None where there are none, or where one cannot be callctl's."""
    pieces = _MEMBER.split(text)
    number = len(pieces) // _PIECES
    if not 0 < number <= len(_MARKS):
        return None
    cuts: list[Cut] = []
    left = pieces[0]
    for each in range(number):
        version, iv, key_id, tag, ciphertext, after = pieces[_PIECES * each + 1 : _PIECES * each + _PIECES + 1]
        sealed = _bytes(iv + ciphertext + tag)
        if sealed is None:
            return None
        cuts.append((int(version), key_id, sealed))
        left += _MARKS[each] + after
    return Members(left, cuts)


def _bytes(digits: str) -> bytes | None:
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        return None
    return found if 2 * len(found) == len(digits) else None  # fromhex passes over white space


class Renewer:
    """Opens what callctl wrote with the keys of a ring, and seals under the primary one."""

    def __init__(self, ring: KeyRing) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._invalid = InvalidTag
        self._decrypt = {key.id: AESGCM(key.secret).decrypt for key in ring.keys.values()}
        self._primary = self._decrypt[ring.primary.id]
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
        sealed = _bytes(text[at : at + _IV] + text[at + _CIPHERTEXT : _CIPHERTEXT_END] + text[_TAG_AT:-2])
        return None if sealed is None else (known[0], known[1], sealed)

    def opened(self, cut: Cut, data: bytes | None) -> bytes | None:
        """Its plaintext; ``data`` is what version 2 authenticates. None where it does not open, or is no text."""
        _, key_id, sealed = cut
        try:
            plaintext = self._decrypt[key_id](sealed[:IV_BYTES], sealed[IV_BYTES:], data)
            plaintext.decode("utf-8")
        except (KeyError, self._invalid, UnicodeDecodeError):
            return None
        return plaintext

    def sealed(self, plaintext: bytes, version: int, data: bytes | None) -> str:
        """The JSON text of an envelope that has been opened again from that text. Raises NotTheSame."""
        text = self._sealer.seal_text(plaintext, version, data)
        at = self._lengths[version]
        again = bytes.fromhex(text[at : at + _IV] + text[at + _CIPHERTEXT : _CIPHERTEXT_END] + text[_TAG_AT:-2])
        try:
            if self._primary(again[:IV_BYTES], again[IV_BYTES:], data) == plaintext:
                return text
        except self._invalid:
            pass
        raise NotTheSame
