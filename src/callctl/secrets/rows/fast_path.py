"""Rows in numbers, whose secrets are callctl's own or plaintext: all opened, then all encrypted, then all opened again.

Made for millions of rows. One that has something else in it, or a secret that does not open, is not for here:
``rows.slow_path`` looks at each value of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from callctl.secrets.envelope.format import VERSIONS, Place, associated_data
from callctl.secrets.rows.binding import Rule
from callctl.secrets.rows.bulk import BulkCipher, Decrypt
from callctl.secrets.rows.result import PLAINTEXT, Change, Changes, Reencrypted
from callctl.secrets.rows.row import Part, Row, Target
from callctl.secrets.rows.templates import Form, Unlike, of_document, of_text, plaintexts_of

if TYPE_CHECKING:
    from callctl.secrets.envelope.ring import KeyRing

# So many forms of a column are known, for each type of row; what is like none of them is left to the thorough way.
MOST_FORMS = 32


@dataclass(frozen=True, eq=False, slots=True)
class _Known:
    """A form, and what is to be done about what is like it.

    ``due`` are the numbers of its secrets that are to be encrypted, with the versions that they are to have.
    ``written`` is the text that is written, with {0} and so on for those; then the groups of ``between``.
    """

    form: Form
    match: Callable[[str], re.Match[str] | None]
    take: tuple[int, ...]
    due: tuple[int, ...]
    versions: tuple[int, ...]
    written: str
    between: tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class _Alike:
    """Rows whose columns are of the same forms.

    ``opens`` are what decrypts their envelopes. ``due`` are the secrets that are to be encrypted: the number of an
    envelope, or -1 and less for plaintext. ``bound``: those of which the place counts, before or after. ``unbound``:
    one of the values is unbound in a bound field, which is not for here.
    """

    columns: tuple[tuple[_Known, int] | None, ...]  # with the number of its first secret that is due
    opens: tuple[Decrypt, ...]
    due: tuple[int, ...]
    versions: tuple[int, ...]
    bound: tuple[_Bound, ...]
    changes: tuple[Change, ...]
    misshapen: bool
    unbound: bool


# Its path; its number among those opened, and among those due, if it is bound there.
_Bound: TypeAlias = tuple[str, "int | None", "int | None"]
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

    def __init__(self, ring: KeyRing, rule: Rule, allow: Callable[[int], None], changes: Changes) -> None:
        """``rule``: which version a value is to have. ``allow`` is asked before so many values are encrypted; it may
        raise.
        """
        self._rule = rule
        # The version that a value is to have, by the one that it has; 0 is plaintext.
        self._wanted = tuple(rule.wanted(version) for version in (0, *VERSIONS))
        self._allow = allow
        self._changes = changes
        self._primary = ring.primary.id
        self._bulk = BulkCipher(ring)
        self._target: Target | None = None
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
        self, target: Target, rows: Sequence[Row], leave: Collection[int] = frozenset()
    ) -> list[Reencrypted | None]:
        """What each row needs; None for one that is not for here, as those to ``leave`` are, by their position.

        Raises NotTheSame where the check of a result fails, and what ``allow`` raises.
        """
        if target is not self._target:
            self._target, self._columns, self._alike = target, {}, {}
        self._begin()
        planned: list[tuple[_Alike, _Matches, int] | None] = []
        ends: list[int] = []
        for position, row in enumerate(rows):
            planned.append(None if position in leave else self._planned(target, row))
            ends.append(len(self._opens))
        opened = self._bulk.opened(self._opens, self._digits, _spread(self._data, len(self._opens)))
        if None in opened:  # without the rows where that is so
            starts = [0, *ends]
            broken = [each for each, end in enumerate(ends) if None in opened[starts[each] : end]]
            return self.reencrypt(target, rows, {*leave, *broken})
        due = self._due
        if due:
            # Nothing is encrypted before all is opened: what is encrypted in vain would count as an encryption.
            self._allow(len(due))
        plaintexts: Any = [opened[each] if type(each) is int else each for each in due]
        encrypted = self._bulk.encrypted(plaintexts, self._versions, _spread(self._due_data, len(due)))
        return [
            None if each is None else _result(*each, row.account_type, encrypted)
            for each, row in zip(planned, rows, strict=True)
        ]

    def _planned(self, target: Target, row: Row) -> tuple[_Alike, _Matches, int] | None:
        """List what is to be opened and encrypted. None, and nothing is listed, where that is not for here."""
        account_type = row.account_type
        columns = self._columns.get(account_type)
        key: list[_Known | None] = []
        matches: _Matches = []
        digits: list[str] = []
        plaintexts: list[str] = []
        try:
            for column, raw in zip(columns or self._of_type(target, account_type), row.values, strict=True):
                if not raw:  # there is no secret
                    key.append(None)
                    matches.append(None)
                    continue
                known = column.last
                match = known.match(raw) if known else None
                if not known or not match:
                    known, match = self._other(column, raw)
                if known.take:
                    digits += match.group(*known.take)
                if known.form.plain:
                    plaintexts += plaintexts_of(known.form, match)
                key.append(known)
                matches.append(match)
            encoded = [plaintext.encode() for plaintext in plaintexts]
        except (Unlike, UnicodeEncodeError):
            return None
        alike = self._alike.get(tuple(key)) or self._of_forms(target, tuple(key), account_type)
        if alike.unbound:
            return None
        first_opened, first = len(self._opens), len(self._due)
        self._digits += digits
        self._opens += alike.opens
        self._versions += alike.versions
        if encoded:
            self._due += [first_opened + each if each >= 0 else encoded[~each] for each in alike.due]
        else:
            self._due += [first_opened + each for each in alike.due]
        for path, before, after in alike.bound:
            data = associated_data(Place(row.company_id, target.table, row.row_id, path))
            if before is not None:
                self._data[first_opened + before] = data
            if after is not None:
                self._due_data[first + after] = data
        return alike, matches, first

    # ---- forms -------------------------------------------------------------------------------------------

    def _of_type(self, target: Target, account_type: str | None) -> tuple[_Column, ...]:
        """The columns of a row of this type. Raises Unlike where one is none for here."""
        columns = []
        for part in target.parts:
            if part.form != "text":
                columns.append(_Column(part, account_type, [], None))
                continue
            fields = part.of_type(account_type)
            if not fields:
                raise Unlike
            *known, other = map(self._known, of_text(fields[0].text, self._bulk.decrypt))
            columns.append(_Column(part, account_type, known, other))
        self._columns[account_type] = made = tuple(columns)
        return made

    def _other(self, column: _Column, raw: str) -> tuple[_Known, re.Match[str]]:
        """Another form, which a text is of. Raises Unlike."""
        for known in column.known:
            match = known.match(raw)
            if match is not None:
                column.last = known
                return known, match
        if column.other is not None:
            known = column.other
        elif len(column.known) < MOST_FORMS:
            known = self._known(of_document(raw, column.part, column.account_type, self._bulk.decrypt))
            column.known.append(known)
            column.last = known
        else:
            raise Unlike
        match = known.match(raw)
        assert match is not None
        return known, match

    def _known(self, form: Form) -> _Known:
        due = tuple([
            number
            for number, (_, version, key_id) in enumerate(form.secrets)
            if (version, key_id) != (self._wanted[version], self._primary)
        ])  # fmt: skip
        versions = tuple([self._wanted[form.secrets[number].version] for number in due])
        return _Known(form, form.match, form.take, due, versions, *_written(form, due))

    def _of_forms(self, target: Target, key: tuple[_Known | None, ...], account_type: str | None) -> _Alike:
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
                wanted = self._wanted[version]
                before = after = None
                if version:
                    here = len(opens)
                    opens.append(self._bulk.decrypt[key_id])
                    before = here if version == 2 else None
                else:
                    plain += 1
                    here = -plain
                if number in known.due:
                    after = len(due) if wanted == 2 else None
                    due.append(here)
                    changes.append(self._changes[account_type, path][key_id if version else PLAINTEXT])
                if (before, after) != (None, None):
                    bound.append((path, before, after))
        self._alike[key] = made = _Alike(
            tuple(columns),
            tuple(opens),
            tuple(due),
            tuple(chain.from_iterable([known.versions for known in key if known])),
            tuple(bound),
            tuple(changes),
            any(known.form.misshapen for known in key if known),
            any(
                version != 2 and self._rule.requires_bound(target.recorded, account_type, path)
                for known in key
                if known
                for path, version, _ in known.form.secrets
            ),
        )
        return made


def _spread(data: Mapping[int, bytes], number: int) -> list[bytes | None]:
    """As a list of so many."""
    listed: list[bytes | None] = [None] * number
    for position, each in data.items():
        listed[position] = each
    return listed


def _written(form: Form, due: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    """What is written of a column, and the groups of what stays in it: see :class:`_Known`.

    Of a document the members that are a secret each; and those that hold some, with new envelopes in their own text. No
    more of it is sent than it takes: what else is in it may be a secret that nobody declared.
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
