"""Rows in numbers, whose secrets are callctl's own or plaintext: all opened, then all sealed, then all opened again.

Made for millions of rows. One that has something else in it, or a secret that does not open, is not for here:
``reencrypt`` looks at each value of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from callctl.credentials import fit
from callctl.envelope import Malformed, Place, associated_data, read
from callctl.renewal import MARKS, NUMBERS, Cut, Renewer, ToOpen, cut_members, encoded, filled
from callctl.resealed import PLAINTEXT, Change, Changes, Resealed
from callctl.secret_fields import walk
from callctl.secret_rows import NotReadable, Part, Row, Slot, Target, decode, encode_name, member_text

if TYPE_CHECKING:
    from callctl.keys import KeyRing


class _NotQuick(Exception):
    """Something that is left to the thorough way."""


# A secret to be sealed: its plaintext, or its number among those opened; the version that it is to have, and what that
# authenticates with it.
_Due: TypeAlias = "tuple[bytes | int, int, bytes | None]"


class _Document(NamedTuple):
    """What is written of a document: the members that are a secret each, by name as JSON, with their numbers among what
    is due; then other members as text, with marks in the place of secrets, and which number each of those has.
    """

    members: list[tuple[str, int]]
    text: str
    inside: dict[int, int]

    def filled(self, sealed: Sequence[str]) -> str:
        texts = [f"{name}:{sealed[number]}" for name, number in self.members]
        if self.inside:
            texts.append(filled(self.text, {mark: sealed[number] for mark, number in self.inside.items()}))
        return "{" + ",".join(texts) + "}"


class _Planned(NamedTuple):
    """A row whose secrets are listed. Of a column: None, the number of its one secret among what is due, or more."""

    columns: tuple[int | _Document | None, ...]
    changes: tuple[Change, ...]
    misshapen: str | None


class Quick:
    """Brings rows under the primary key of a ring, some dozens at a time."""

    def __init__(self, ring: KeyRing, wanted: Sequence[int], allow: Callable[[int], None], changes: Changes) -> None:
        """``wanted``: the version that a value is to have, by the one that it has; 0 is plaintext. ``allow`` is asked
        before so many values are sealed; it may raise.
        """
        self._wanted = tuple(wanted)
        self._allow = allow
        self._changes = changes
        self._primary = ring.primary.id
        self._renewer = Renewer(ring)
        self._decrypt = self._renewer.decrypt
        self._opened: list[ToOpen] = []
        self._due: list[_Due] = []

    def reseal(
        self, target: Target, rows: Sequence[Row], leave: Collection[int] = frozenset()
    ) -> list[Resealed | None]:
        """What each row needs; None for one that is not for here, as those to ``leave`` are, by their position.

        Raises NotTheSame where the check of a result fails, and what ``allow`` raises.
        """
        opened = self._opened = list[ToOpen]()
        due = self._due = list[_Due]()
        planned: list[_Planned | None] = []
        ends: list[int] = []
        for position, row in enumerate(rows):
            before = len(opened), len(due)
            try:
                planned.append(None if position in leave else self._planned(target, row))
            except _NotQuick:
                del opened[before[0] :], due[before[1] :]
                planned.append(None)
            ends.append(len(opened))
        plaintexts = self._renewer.opened(opened)
        if None in plaintexts:  # without the rows where that is so
            starts = [0, *ends]
            broken = [each for each, end in enumerate(ends) if None in plaintexts[starts[each] : end]]
            return self.reseal(target, rows, {*leave, *broken})
        if due:
            # Nothing is sealed before all is opened: what is sealed in vain would count as an encryption.
            self._allow(len(due))
        to_seal: Any = [(plaintexts[what] if type(what) is int else what, *how) for what, *how in due]
        sealed = self._renewer.sealed(to_seal)
        return [None if each is None else _result(each, sealed) for each in planned]

    def _planned(self, target: Target, row: Row) -> _Planned:
        """List what is to be opened and sealed. Raises _NotQuick."""
        account_type = row.account_type
        columns: list[int | _Document | None] = []
        changes: list[Change] = []
        misshapen = None
        for part, raw in zip(target.parts, row.values, strict=True):
            if raw is None:
                columns.append(None)
            elif part.form == "text":
                fields = part.of_type(account_type)
                if not fields:
                    raise _NotQuick
                path = fields[0].text
                cut = self._renewer.cut_text(raw)
                if cut is not None:
                    columns.append(self._cut(target, row, path, cut, changes))
                else:
                    columns.append(self._plaintext(target, row, path, raw, changes) if raw else None)
            elif part.by_member:
                root, document = self._document(target, part, row, raw, changes)
                columns.append(document)
                if part.is_credentials and not fit(account_type or "", root):
                    misshapen = account_type
            else:
                raise _NotQuick
        return _Planned(tuple(columns), tuple(changes), misshapen)

    def _document(
        self, target: Target, part: Part, row: Row, raw: str, changes: list[Change]
    ) -> tuple[dict[str, Any], _Document | None]:
        """The document with something in the place of its envelopes, and what is written of it."""
        left = cut_members(raw)
        if left is None:
            raise _NotQuick
        skeleton, cuts = left
        try:
            root = decode(skeleton)
        except NotReadable:
            raise _NotQuick from None
        if type(root) is not dict:
            raise _NotQuick
        flat, deep = part.members(row.account_type)
        members: list[tuple[str, int]] = []
        met: list[object] = []  # where a secret was found: the number of an envelope, or a name
        for path, name in flat:
            value = root.get(name)
            if value is None or value == "":
                continue
            number = NUMBERS.get(value) if type(value) is str else None
            if number is None:
                met.append(name)
                due: int | None = self._plaintext(target, row, path, value, changes)
            else:
                met.append(number)
                due = self._cut(target, row, path, cuts[number], changes)
            if due is not None:
                members.append((encode_name(name), due))
        text, inside = "", dict[int, int]()
        if deep and (slots := [found for each in walk(root, deep) if (found := Slot(*each, False)).value != ""]):
            fresh = 0
            for path, container, key, value, _ in slots:
                number = NUMBERS.get(value) if type(value) is str else None
                if number is None:
                    number = len(cuts) + fresh
                    fresh += 1
                    if number >= len(MARKS):
                        raise _NotQuick
                    met.append((id(container), key))
                    due = self._plaintext(target, row, path, value, changes)
                    container[key] = MARKS[number]
                else:
                    met.append(number)
                    due = self._cut(target, row, path, cuts[number], changes)
                if due is not None:
                    inside[number] = due
            if inside:
                if len(inside) < len(slots):  # only some of a list: rare
                    raise _NotQuick
                text = _text(part.written(root, slots), "" if fresh else skeleton)
        # An envelope that stands where no field is declared, or a place that two fields lead to: rare.
        if len(set(met)) < len(met) or sum([type(each) is int for each in met]) < len(cuts):
            raise _NotQuick
        return root, _Document(members, text, inside) if members or inside else None

    def _cut(self, target: Target, row: Row, path: str, cut: Cut, changes: list[Change]) -> int | None:
        """List an envelope to be opened; its number among what is due, or None where it is as it should be."""
        version, key_id, iv, sealed = cut
        decrypt = self._decrypt.get(key_id)
        if decrypt is None:
            raise _NotQuick
        wanted = self._wanted[version]
        data = None
        if version == 2 or wanted == 2:
            data = associated_data(Place(row.company_id, target.table, row.row_id, path))
        opened = self._opened
        opened.append((decrypt, iv, sealed, data if version == 2 else None))
        if version == wanted and key_id == self._primary:
            return None
        changes.append(self._changes[row.account_type, path, key_id])
        due = self._due
        due.append((len(opened) - 1, wanted, data if wanted == 2 else None))
        return len(due) - 1

    def _plaintext(self, target: Target, row: Row, path: str, value: object, changes: list[Change]) -> int:
        """List plaintext to be sealed; its number among what is due."""
        try:
            if type(value) is not str or read(value) is not None:
                raise _NotQuick
        except Malformed:
            raise _NotQuick from None
        wanted = self._wanted[0]
        data = associated_data(Place(row.company_id, target.table, row.row_id, path)) if wanted == 2 else None
        changes.append(self._changes[row.account_type, path, PLAINTEXT])
        self._due.append((value.encode(), wanted, data))
        return len(self._due) - 1


def _text(members: dict[str, Any], skeleton: str) -> str:
    """Members of a document as JSON text, with marks; no more of the document is sent than it takes: what else is in it
    may be a secret that nobody declared. They are taken from the document's own text, ``skeleton``, if it has them.
    """
    texts = [member_text(skeleton, name) for name in members]
    if None not in texts:
        return ",".join([f"{encode_name(name)}:{text}" for name, text in zip(members, texts, strict=True)])
    return encoded(members)[1:-1]


def _result(planned: _Planned, sealed: Sequence[str]) -> Resealed:
    columns, changes, misshapen = planned
    values = [
        None if each is None else sealed[each] if type(each) is int else each.filled(sealed)  # type: ignore[union-attr]
        for each in columns
    ]
    return Resealed(tuple(values), changes, (), misshapen)
