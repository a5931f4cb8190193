"""Rows in numbers, whose secrets are callctl's own or plaintext: all opened, then all encrypted, then all opened again.

Made for millions of rows. One that has something else in it, or a secret that does not open, is not for here:
``rows.reencrypt`` looks at each value of it. What becomes of a value is decided in ``rows.decisions``, here as there.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import call
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from callctl.config.sections import SecretField
from callctl.secrets.envelope.cipher import (
    ALGORITHM,
    IV_BYTES,
    LABELS,
    TAG_BYTES,
    VERSIONS,
    Encrypter,
    Place,
    associated_data,
    head,
)
from callctl.secrets.envelope.fields import walk
from callctl.secrets.rows.credentials import fit
from callctl.secrets.rows.decisions import Decider, Unbound, is_plaintext
from callctl.secrets.rows.row import (
    PLAINTEXT,
    Change,
    NotReadable,
    Number,
    Part,
    Reencrypted,
    Row,
    SecretTable,
    change,
    decode,
    encode,
)

if TYPE_CHECKING:
    from callctl.secrets.envelope.ring import KeyRing

# What decrypts: of an IV, a ciphertext with its tag, and what version 2 authenticates with them.
Decrypt: TypeAlias = Callable[[bytes, bytes, "bytes | None"], bytes]

# Columns that are written alike, in all but the digits of their envelopes and the letters of their strings.
#
# Made for a loop over millions of rows, of which most are of a few forms: what one of them needed a parser for, the
# others are found to be by a regular expression, which takes a fraction of the time and gives the digits besides. What
# it matches can be read in one way only: each piece of it is one piece of JSON.

# A longer document is for the parser, each by itself.
LONGEST_DOCUMENT = 16_384

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
    """The way in which some values of a column are written.

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


def form_of_text(path: str, key_ids: Iterable[str]) -> tuple[Form, ...]:
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


def form_of_document(raw: str, part: Part, account_type: str | None, key_ids: Iterable[str]) -> Form:
    """The form of a jsonb document as PostgreSQL prints it, with its envelopes under these keys. Raises Unlike."""
    if not part.by_member or len(raw) > LONGEST_DOCUMENT:
        raise Unlike
    try:
        root = decode(raw)
        # What a path does not reach, the thorough way reports; a text that is empty here may be none in the next row.
        if type(root) is not dict or part.strays(root, account_type, whatever=True):
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
        self._holding = {field.path[0] for field in fields if len(field.path) > 1}
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
        """Return the forms met so far, envelopes first."""
        order = sorted(range(len(self._met)), key=lambda index: self._met[index][0].version == 0)
        number = {old: new for new, old in enumerate(order)} | {-1: -1}
        met = [self._met[index] for index in order]
        return Form(
            match,
            tuple([group for secret, groups in met if secret.version for group in groups]),
            tuple([group for secret, groups in met if not secret.version for group in groups]),
            True,
            tuple([secret for secret, _ in met]),
            tuple([
                Member(name, tuple([(number[index], group) for index, group in pieces]))
                for name, pieces in self._members
                if any(index >= 0 for index, _ in pieces)
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
            members = [
                f"{re.escape(encode(name))}: {self._value(value, name, member)}" for name, member in value.items()
            ]
            return rf"\{{{', '.join(members)}\}}"
        if kind is list:
            return rf"\[{', '.join([self._value(value, number, item) for number, item in enumerate(value)])}\]"
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
            if not is_plaintext(value):
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
    """The plaintexts in a text of this form. Raises Unlike if one is not an envelope."""
    texts = [match[group] for group in form.plain]
    if form.quoted:
        texts = [decode(f'"{text}"') if "\\" in text else text for text in texts]
    if not all(map(is_plaintext, texts)):
        raise Unlike
    return texts


# Rows in numbers: all opened, then all encrypted, then all opened again.

# Forms of a column that are known, for each type of row; a document of another form is left to the thorough way.
MOST_FORMS = 32


@dataclass(frozen=True, eq=False, slots=True)
class _Known:
    """A form, and what is to be done about what is like it.

    ``due`` are the numbers of its secrets that are to be encrypted, with the versions that they are to have;
    ``unbound``: one is unbound in a bound field, which is not for here.
    ``written`` is the text that is written, with {0} and so on for those; then the groups of ``between``.
    """

    form: Form
    match: Callable[[str], re.Match[str] | None]
    take: tuple[int, ...]
    due: tuple[int, ...]
    versions: tuple[int, ...]
    unbound: bool
    written: str
    between: tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class _Alike:
    """Rows whose columns are of the same forms.

    ``opens`` are what decrypts their envelopes. ``due`` are the secrets that are to be encrypted: the number of an
    envelope, or -1 and less for plaintext. ``bound``: those of which the place counts, before or after.
    """

    columns: tuple[tuple[_Known, int] | None, ...]  # with the number of its first secret that is due
    opens: tuple[Decrypt, ...]
    due: tuple[int, ...]
    versions: tuple[int, ...]
    bound: tuple[_Bound, ...]
    changes: tuple[Change, ...]
    misshapen: bool


# Its path; a version that binds; its number among those opened, and among those due, if it has that version there.
_Bound: TypeAlias = tuple[str, int, "int | None", "int | None"]
_Matches: TypeAlias = "list[re.Match[str] | None]"


class _Column:
    """The forms of a column in rows of one type. ``last`` is the one met last: the next is likely to be the same."""

    def __init__(self, part: Part, account_type: str | None, known: list[_Known], other: _Known | None) -> None:
        self.part = part
        self.account_type = account_type
        self.known = known
        self.other = other  # what any text is that is of no form
        self.last = known[0] if known else None


class Quick:
    """Encrypts rows under the primary key of a ring, some dozens at a time."""

    def __init__(self, ring: KeyRing, decider: Decider, encrypter: Encrypter, allow: Callable[[int], None]) -> None:
        """``allow`` is called with the number of values before they are encrypted; it may raise."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._invalid = InvalidTag
        # What decrypts under a key of the ring, by the key's id.
        self._decrypt: dict[str, Decrypt] = {key.id: AESGCM(key.secret).decrypt for key in ring.keys.values()}
        self._decider = decider
        self._encrypter = encrypter
        self._allow = allow
        self._secret_table: SecretTable | None = None
        self._columns: dict[str | None, tuple[_Column, ...]] = {}
        self._alike: dict[tuple[_Known | None, ...], _Alike] = {}
        self._begin()

    def _begin(self) -> None:
        # Of each envelope that is opened: what decrypts it, three strings of digits, and what it authenticates.
        self._opens: list[Decrypt] = []
        self._digits: list[str] = []
        self._data: dict[int, bytes] = {}
        # Of each secret that is encrypted: its number among those opened, or its plaintext; its version, and the same.
        self._due: list[int | bytes] = []
        self._versions: list[int] = []
        self._due_data: dict[int, bytes] = {}

    def reencrypt(
        self, secret_table: SecretTable, rows: Sequence[Row], leave: Collection[int] = frozenset()
    ) -> list[Reencrypted | None]:
        """Return the changes of each row; None for a row of another path, such as the positions in ``leave``.

        Raises NotTheSame if the check of a result fails, and what ``allow`` raises.
        """
        if secret_table is not self._secret_table:
            self._secret_table, self._columns, self._alike = secret_table, {}, {}
        self._begin()
        planned: list[tuple[_Alike, _Matches, int] | None] = []
        ends: list[int] = []
        for position, row in enumerate(rows):
            planned.append(None if position in leave else self._planned(secret_table, row))
            ends.append(len(self._opens))
        opened = self._opened()
        if None in opened:  # without the rows where that is so
            starts = [0, *ends]
            broken = [index for index, end in enumerate(ends) if None in opened[starts[index] : end]]
            return self.reencrypt(secret_table, rows, {*leave, *broken})
        due = self._due
        if due:
            # Nothing is encrypted before all is opened: what is encrypted in vain would count as an encryption.
            self._allow(len(due))
        plaintexts: Any = [opened[entry] if type(entry) is int else entry for entry in due]
        encrypted = self._encrypter.checked_texts(plaintexts, self._versions, _spread(self._due_data, len(due)))
        return [
            None if plan is None else _result(*plan, row.account_type, encrypted)
            for plan, row in zip(planned, rows, strict=True)
        ]

    def _opened(self) -> list[bytes | None]:
        """The plaintexts of the envelopes; None if one does not open, or is no text."""
        digits, data = self._digits, _spread(self._data, len(self._opens))
        ciphertexts = list(map(str.__add__, digits[1::3], digits[2::3]))
        try:
            plaintexts: list[Any] = list(
                map(call, self._opens, map(unhexlify, digits[::3]), map(unhexlify, ciphertexts), data)
            )
            b"\n".join(plaintexts).decode()  # with a character between them, that is as one by one
        except (self._invalid, ValueError):
            return list(map(self._opened_alone, self._opens, digits[::3], ciphertexts, data))
        return plaintexts

    def _opened_alone(self, decrypt: Decrypt, iv: str, ciphertext: str, data: bytes | None) -> bytes | None:
        try:
            plaintext = decrypt(unhexlify(iv), unhexlify(ciphertext), data)
            plaintext.decode()
        except (self._invalid, ValueError):
            return None
        return plaintext

    def _planned(self, secret_table: SecretTable, row: Row) -> tuple[_Alike, _Matches, int] | None:
        """List what is to be opened and encrypted. None, and nothing is listed, where that is not for here."""
        account_type = row.account_type
        columns = self._columns.get(account_type)
        key: list[_Known | None] = []
        matches: _Matches = []
        digits: list[str] = []
        plaintexts: list[str] = []
        try:
            for column, raw in zip(columns or self._of_type(secret_table, account_type), row.values, strict=True):
                if not raw:  # there is no secret
                    key.append(None)
                    matches.append(None)
                    continue
                known = column.last
                match = known.match(raw) if known else None
                if not known or not match:
                    known, match = self._other(secret_table, column, raw)
                if known.unbound:
                    return None
                if known.take:
                    digits += match.group(*known.take)
                if known.form.plain:
                    plaintexts += plaintexts_of(known.form, match)
                key.append(known)
                matches.append(match)
            encoded = [plaintext.encode() for plaintext in plaintexts]
        except (Unlike, UnicodeEncodeError):
            return None
        alike = self._alike.get(tuple(key)) or self._of_forms(secret_table, tuple(key), account_type)
        first_opened, first = len(self._opens), len(self._due)
        self._digits += digits
        self._opens += alike.opens
        self._versions += alike.versions
        if encoded:
            self._due += [first_opened + index if index >= 0 else encoded[~index] for index in alike.due]
        else:
            self._due += [first_opened + index for index in alike.due]
        for path, version, before, after in alike.bound:
            data = associated_data(Place(row.company_id, secret_table.table, row.row_id, path), version)
            if before is not None:
                self._data[first_opened + before] = data
            if after is not None:
                self._due_data[first + after] = data
        return alike, matches, first

    # ---- forms -------------------------------------------------------------------------------------------

    def _of_type(self, secret_table: SecretTable, account_type: str | None) -> tuple[_Column, ...]:
        """The columns of a row of this type. Raises Unlike if one is not handled here."""
        columns = []
        for part in secret_table.parts:
            if part.form != "text":
                columns.append(_Column(part, account_type, [], None))
                continue
            fields = part.of_type(account_type)
            if not fields:
                raise Unlike
            *known, other = [
                self._known(form, secret_table, account_type) for form in form_of_text(fields[0].text, self._decrypt)
            ]
            columns.append(_Column(part, account_type, known, other))
        self._columns[account_type] = own_columns = tuple(columns)
        return own_columns

    def _other(self, secret_table: SecretTable, column: _Column, raw: str) -> tuple[_Known, re.Match[str]]:
        """Another form, which a text is of. Raises Unlike."""
        for known in column.known:
            match = known.match(raw)
            if match is not None:
                column.last = known
                return known, match
        if column.other is not None:
            known = column.other
        elif len(column.known) < MOST_FORMS:
            form = form_of_document(raw, column.part, column.account_type, self._decrypt)
            known = self._known(form, secret_table, column.account_type)
            column.known.append(known)
            column.last = known
        else:
            raise Unlike
        match = known.match(raw)
        assert match is not None
        return known, match

    def _known(self, form: Form, secret_table: SecretTable, account_type: str | None) -> _Known:
        wanted: list[int | None] = []
        is_unbound = False
        for path, version, key_id in form.secrets:
            try:
                wanted.append(self._decider.wanted(secret_table, None, account_type, path, version, key_id))
            except Unbound:
                is_unbound = True
        due = tuple([number for number, version in enumerate(wanted) if version is not None])
        versions = tuple([version for version in wanted if version is not None])
        return _Known(form, form.match, form.take, due, versions, is_unbound, *_written(form, due))

    def _of_forms(self, secret_table: SecretTable, key: tuple[_Known | None, ...], account_type: str | None) -> _Alike:
        columns: list[tuple[_Known, int] | None] = []
        opens: list[Decrypt] = []
        due: list[int] = []
        bound: list[_Bound] = []
        changes: list[Change] = []
        plain = 0
        for known in key:
            if known is None:
                columns.append(None)
                continue
            columns.append((known, len(due)))
            for number, (path, version, key_id) in enumerate(known.form.secrets):
                wanted = 0
                after = None
                if version:
                    here = len(opens)
                    opens.append(self._decrypt[key_id])
                else:
                    plain += 1
                    here = -plain
                if number in known.due:
                    after = len(due)
                    wanted = known.versions[known.due.index(number)]
                    due.append(here)
                    changes.append(change(account_type, path, key_id if version else PLAINTEXT))
                for binding in sorted({version, wanted} & LABELS.keys()):
                    before, written = here if binding == version else None, after if binding == wanted else None
                    if (before, written) != (None, None):
                        bound.append((path, binding, before, written))
        self._alike[key] = alike = _Alike(
            tuple(columns),
            tuple(opens),
            tuple(due),
            tuple(chain.from_iterable([known.versions for known in key if known])),
            tuple(bound),
            tuple(changes),
            any(known.form.misshapen for known in key if known),
        )
        return alike


def _spread(data: Mapping[int, bytes], number: int) -> list[bytes | None]:
    """As a list of this length."""
    listed: list[bytes | None] = [None] * number
    for position, datum in data.items():
        listed[position] = datum
    return listed


def _written(form: Form, due: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    """Return the new text of a column, and the groups that stay in it: see :class:`_Known`.

    Of a document the members that are a secret each; and those that hold some, with new envelopes in their own text. No
    more of it is sent than it takes: the rest of it may be an undeclared secret.
    """
    if not form.members:
        return "{0}", ()
    between: list[int] = []
    members = []
    for name, pieces in form.members:
        if not any(number in due for number, _ in pieces):
            continue
        text = name.replace("{", "{{").replace("}", "}}") + ":"
        for number, group in pieces:
            if number in due:
                text += f"{{{due.index(number)}}}"
            else:
                text += f"{{{len(due) + len(between)}}}"
                between.append(group)
        members.append(text)
    return "{{" + ",".join(members) + "}}", tuple(between)


def _result(
    alike: _Alike, matches: _Matches, first: int, account_type: str | None, encrypted: Sequence[str]
) -> Reencrypted:
    values: list[str | None] = []
    for column, match in zip(alike.columns, matches, strict=True):
        if column is None or not column[0].due:
            values.append(None)
            continue
        known, number = column
        number += first
        if not known.form.quoted:
            values.append(encrypted[number])
            continue
        texts = encrypted[number : number + len(known.due)]
        if known.between and match:
            texts = (*texts, *[match[group] for group in known.between])
        values.append(known.written.format(*texts))
    return Reencrypted(tuple(values), alike.changes, (), account_type if alike.misshapen else None)
