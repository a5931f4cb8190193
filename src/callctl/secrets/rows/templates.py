"""Columns that are written alike, in all but the digits of their envelopes and the letters of their strings.

Made for a loop over millions of rows, of which most are of a few forms: what one of them needed a parser for, the
others are found to be by a regular expression, which takes a fraction of the time and gives the digits besides. What
it matches can be read in one way only: each piece of it is one piece of JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from callctl.secrets.envelope.fields import SecretField, walk
from callctl.secrets.envelope.foreign_ciphertext import foreign
from callctl.secrets.envelope.format import ALGORITHM, IV_BYTES, TAG_BYTES, VERSIONS, Malformed, head, read
from callctl.secrets.rows.credentials import fit
from callctl.secrets.rows.row import NotReadable, Number, Part, decode, encode

# A longer document is for the parser, each by itself.
LONGEST = 16_384

_IV, _TAG = (rf'([^"]{{{2 * count}}})' for count in (IV_BYTES, TAG_BYTES))  # whether it is digits, who decodes it sees
_CIPHERTEXT = r'([^"]*)'
_LETTERS = r'[^"\\]*(?:\\.[^"\\]*)*'
_NUMBER = r"-?[0-9][-+.0-9eE]*"


class Unlike(Exception):
    """No form can be made of this."""


class Secret(NamedTuple):
    """One secret of a form: its path, and what it is under; version 0 is plaintext."""

    path: str
    version: int
    key_id: str


class Member(NamedTuple):
    """A member of a document that is a secret, or holds some: its name as JSON, and its text in pieces, which are
    secrets by their number, each with the group of its text, and what is between them (number -1).
    """

    name: str
    pieces: tuple[tuple[int, int], ...]


class Form(NamedTuple):
    """How some values of a column are written.

    ``take`` are the groups of ``match`` with IV, ciphertext and tag of each envelope; ``plain`` those with plaintext,
    as JSON has it if ``quoted``. ``secrets`` are in that order. ``members`` are those of a document that hold any.
    ``misshapen``: see :func:`credentials.fit`.
    """

    match: Callable[[str], re.Match[str] | None]
    take: tuple[int, ...]
    plain: tuple[int, ...]
    quoted: bool
    secrets: tuple[Secret, ...]
    members: tuple[Member, ...]
    misshapen: bool


def of_text(path: str, key_ids: Iterable[str]) -> tuple[Form, ...]:
    """The forms of a text column that is one secret: as callctl writes it, under each of these keys; then plaintext,
    which any text matches.
    """
    forms = []
    for key_id in key_ids:
        for version in VERSIONS:
            pattern = rf'{re.escape(head(version, key_id))}{_IV}","encrypted":"{_CIPHERTEXT}","authTag":"{_TAG}"\}}'
            secrets = (Secret(path, version, key_id),)
            forms.append(Form(re.compile(pattern).fullmatch, (1, 2, 3), (), False, secrets, (), False))
    letters = re.compile("(.+)", re.DOTALL).fullmatch
    return (*forms, Form(letters, (), (1,), False, (Secret(path, 0, ""),), (), False))


def of_document(raw: str, part: Part, account_type: str | None, key_ids: Iterable[str]) -> Form:
    """The form of a jsonb document as PostgreSQL prints it, with its envelopes under these keys. Raises Unlike."""
    if not part.by_member or len(raw) > LONGEST:
        raise Unlike
    try:
        root = decode(raw)
        # What a path does not reach, the thorough way reports; a text that is empty here may be none in the next row.
        if type(root) is not dict or part.strays(root, account_type, lambda _: True):
            raise Unlike
        making = _Making(root, part.of_type(account_type), frozenset(key_ids))
        match = re.compile(making.document()).fullmatch
    except (NotReadable, RecursionError):
        raise Unlike from None
    if match(raw) is None:
        raise Unlike
    return making.form(match, part.is_credentials and not fit(account_type or "", root))


class _Making:
    """Writes the regular expression of a document, from the outside in."""

    def __init__(self, root: dict[str, Any], fields: Sequence[SecretField], key_ids: frozenset[str]) -> None:
        self._root = root
        self._holding = {each.path[0] for each in fields if len(each.path) > 1}
        self._key_ids = key_ids
        self._groups = 0
        self._paths: dict[tuple[int, str | int], str] = {}
        for path, container, key, _ in walk(root, fields):
            if self._paths.setdefault((id(container), key), path) is not path:
                raise Unlike  # two fields lead there
        # Each secret met, with the groups of its digits or letters.
        self._met: list[tuple[Secret, tuple[int, ...]]] = []
        self._members: list[tuple[str, list[tuple[int, int]]]] = []

    def document(self) -> str:
        """The regular expression. Raises Unlike."""
        root, texts = self._root, []
        for name, value in root.items():
            pieces: list[tuple[int, int]] = []
            self._members.append((encode(name), pieces))
            if name in self._holding and (id(root), name) not in self._paths:
                pieces.append((-1, self._group()))
                text = f"({self._value(root, name, value)})"
            else:
                text = self._value(root, name, value)
            texts.append(f"{re.escape(encode(name))}: {text}")
        if self._paths:  # one that is inside of another
            raise Unlike
        return rf"\{{{', '.join(texts)}\}}"

    def form(self, match: Callable[[str], re.Match[str] | None], misshapen: bool) -> Form:
        """What has been met, envelopes first."""
        order = sorted(range(len(self._met)), key=lambda each: self._met[each][0].version == 0)
        number = {old: new for new, old in enumerate(order)} | {-1: -1}
        met = [self._met[each] for each in order]
        return Form(
            match,
            tuple([group for secret, groups in met if secret.version for group in groups]),
            tuple([group for secret, groups in met if not secret.version for group in groups]),
            True,
            tuple([secret for secret, _ in met]),
            tuple([
                Member(name, tuple([(number[each], group) for each, group in pieces]))
                for name, pieces in self._members
                if any(each >= 0 for each, _ in pieces)
            ]),
            misshapen,
        )  # fmt: skip

    def _group(self) -> int:
        self._groups += 1
        return self._groups

    def _value(self, container: Any, key: str | int, value: Any) -> str:
        path = self._paths.pop((id(container), key), None)
        if path is not None:
            return self._secret(path, value, inside=container is not self._root)
        kind = type(value)
        if kind is str:
            return f'"{_LETTERS}"'
        if kind is dict:
            members = [f"{re.escape(encode(name))}: {self._value(value, name, each)}" for name, each in value.items()]
            return rf"\{{{', '.join(members)}\}}"
        if kind is list:
            return rf"\[{', '.join([self._value(value, number, each) for number, each in enumerate(value)])}\]"
        if kind is bool:
            return "(?:true|false)"
        return _NUMBER if kind in (int, Number) else "null"

    def _secret(self, path: str, value: object, *, inside: bool) -> str:
        """``inside`` of a member: then it is a piece of the member's text, and another begins after it."""
        if value == "":  # there is no secret
            return '""'
        whole = self._group() if inside else 0
        self._members[-1][1].append((len(self._met), whole))
        if type(value) is str:
            if not _is_plaintext(value):
                raise Unlike
            self._met.append((Secret(path, 0, ""), (self._group(),)))
            text = f'"((?!"){_LETTERS})"'
        else:
            version, key_id = self._envelope(value)
            iv, tag, ciphertext = self._group(), self._group(), self._group()
            self._met.append((Secret(path, version, key_id), (iv, ciphertext, tag)))
            text = (
                rf'\{{"v": {version}, "iv": "{_IV}", "alg": "{ALGORITHM}", "kid": "{re.escape(key_id)}",'
                rf' "authTag": "{_TAG}", "encrypted": "{_CIPHERTEXT}"\}}'
            )
        if not inside:
            return text
        self._members[-1][1].append((-1, self._group()))
        return f")({text})("

    def _envelope(self, value: object) -> tuple[int, str]:
        """Version and key id of what callctl may have written; whether it has, the regular expression will see."""
        if type(value) is not dict:
            raise Unlike
        version, key_id = value.get("v"), value.get("kid")
        if type(version) is not int or version not in VERSIONS:
            raise Unlike
        if type(key_id) is not str or key_id not in self._key_ids:
            raise Unlike
        return version, key_id


def plaintexts_of(form: Form, match: re.Match[str]) -> list[str]:
    """The plaintexts in a text of this form. Raises Unlike where one is none."""
    texts = [match[group] for group in form.plain]
    if form.quoted:
        texts = [decode(f'"{text}"') if "\\" in text else text for text in texts]
    if not all(map(_is_plaintext, texts)):
        raise Unlike
    return texts


def _is_plaintext(value: str) -> bool:
    """Whether a secret's text is neither an envelope nor holds a piece of one, and no other tool's ciphertext."""
    try:
        return read(value) is None and foreign(value) is None
    except Malformed:
        return False
