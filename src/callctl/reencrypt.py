"""One row of secrets, brought under the primary key: what would be written, and what does not open.

No database here. What comes out has been decrypted again from what will be written, and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from callctl.credentials import fit
from callctl.envelope import VERSIONS, Malformed, NotOpened, Opener, Place, associated_data, read
from callctl.renewal import MARK, MARK_LENGTH, Cut, Members, NotTheSame, Renewer, cut_members, filled
from callctl.secret_fields import walk
from callctl.secret_rows import NotReadable, Part, Row, Slot, Target, decode, encode

if TYPE_CHECKING:
    from callctl.keys import KeyRing

# What becomes of version 2, whose values are bound to their row and field: see docs/reference/envelope.md. ``keep``: a
# bound value stays bound, a new one is not; ``bind`` binds all; ``unbind`` none.
Binding: TypeAlias = Literal["keep", "bind", "unbind"]

PLAINTEXT = "plaintext"


class Change(NamedTuple):
    """One value that is brought under the primary key; ``was`` is 'plaintext', or the id of the key it was under."""

    account_type: str | None
    path: str
    was: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in the store, without how many there are."""
        return {"account_type": self.account_type, "field": self.path, "from": self.was}


class Failure(NamedTuple):
    """One value left as it was. ``reason`` begins with one of a few words; never a value."""

    path: str
    reason: str


class Resealed(NamedTuple):
    """What is to be done about one row: a new text for each column, or None to leave it.

    ``misshapen`` is the account type whose shape its credentials do not have: see credentials.problems.
    """

    values: tuple[str | None, ...]
    changes: tuple[Change, ...]
    failures: tuple[Failure, ...]
    misshapen: str | None = None


_name = lru_cache(maxsize=256)(encode)

# The plaintext, the version that it is to have, and what that authenticates with it.
_Due: TypeAlias = tuple[bytes, int, bytes | None]
# A slot, and the JSON text of its new envelope.
_Done: TypeAlias = tuple[Slot, str]


class _NotQuick(Exception):
    """Something that the quick way leaves to the thorough one."""


def target_version(version: int, binding: Binding) -> int:
    """The version that a value of some version is to have; 0 is plaintext, and an envelope that carries none."""
    return 2 if binding == "bind" or (version == 2 and binding == "keep") else 1


class Resealer:
    """Brings rows under the primary key of a ring."""

    def __init__(
        self,
        ring: KeyRing,
        binding: Binding,
        allowance: Callable[[], int],
        elsewhere: Callable[[Place], Iterable[Place]] | None = None,
    ) -> None:
        """``allowance`` is asked for so many more encryptions whenever those it gave are used up; it may raise.
        ``elsewhere``: as :class:`Opener` has it.
        """
        self._allowance = allowance
        self.left = 0
        self._primary = ring.primary.id
        # The version that a value is to have, by the one it has; 0 for plaintext and for what carries none.
        self._wanted = tuple(target_version(version, binding) for version in (0, *VERSIONS))
        self._opener = Opener(ring, elsewhere)
        self._renewer = Renewer(ring)
        self._changes: dict[tuple[str | None, str, str], Change] = {}

    def reseal(self, target: Target, row: Row) -> Resealed:
        """What one row needs. Raises NotTheSame where the check of the result fails."""
        values: list[str | None] = []
        changes: list[Change] = []
        failures: list[Failure] = []
        misshapen = None
        for part, raw in zip(target.parts, row.values, strict=True):
            if raw is None:
                values.append(None)
                continue
            try:
                value, root = self._quickly(target, part, row, raw, changes)
            except _NotQuick:
                try:
                    root, slots = part.take_apart(raw, row.account_type)
                except NotReadable as problem:
                    failures.append(Failure(part.column, problem.reason))
                    values.append(None)
                    continue
                if part.is_credentials and not fit(row.account_type or "", root):
                    misshapen = row.account_type
                value = self._column(target, part, row, root, slots, changes, failures)
            else:
                if part.is_credentials and not fit(row.account_type or "", root):
                    misshapen = row.account_type
            values.append(value)
        return Resealed(tuple(values), tuple(changes), tuple(failures), misshapen)

    # ---- the quick way: all that is secret is callctl's own, and opens -------------------------------------

    def _quickly(self, target: Target, part: Part, row: Row, raw: str, changes: list[Change]) -> tuple[str | None, Any]:
        """The text to be written, and the document with something in the place of its secrets. Raises _NotQuick."""
        if part.form == "text":
            cut, fields = self._renewer.cut_text(raw), part.of_type(row.account_type)
            if cut is None or not fields:
                raise _NotQuick
            path = fields[0].text
            due = self._cut_opened(target, row, path, cut)
            if due is None:
                return None, None
            changes.append(self._change(row.account_type, path, cut[1]))
            return self._sealed(*due), None
        members = cut_members(raw) if part.by_member else None
        if members is None:
            raise _NotQuick
        try:
            root = decode(members.skeleton)
        except NotReadable:
            raise _NotQuick from None
        if type(root) is not dict:
            raise _NotQuick
        return self._document_quickly(target, part, row, root, members, changes), root

    def _document_quickly(
        self, target: Target, part: Part, row: Row, root: Any, members: Members, changes: list[Change]
    ) -> str | None:
        account_type, cuts = row.account_type, members.cuts
        found: list[tuple[str | None, int, str, _Due]] = []  # the name, of a member of the document itself
        left = set(range(len(cuts)))
        flat, deep = part.members(account_type)
        places: list[tuple[str | None, str, Any]] = [(name, path, root.get(name)) for path, name in flat]
        slots = [Slot(*each, False) for each in walk(root, deep)] if deep else ()
        places += [(None, slot.path, slot.value) for slot in slots]
        for name, path, value in places:
            if value is None or value == "":
                continue
            if type(value) is not str or value[:MARK_LENGTH] != MARK:
                raise _NotQuick
            number = int(value[MARK_LENGTH:])
            if number not in left:
                raise _NotQuick
            left.remove(number)
            due = self._cut_opened(target, row, path, cuts[number])
            if due is not None:
                found.append((name, number, path, due))
        within = sum([name is None for name, *_ in found])
        # One that stands where no field is declared, or only some of a list are to be written: rare.
        if left or (within and within < len(slots)):
            raise _NotQuick
        if not found:
            return None
        # Nothing is sealed before all is opened: what is sealed in vain would count as an encryption.
        written: list[str] = []
        inside: dict[int, str] = {}
        for name, number, path, due in found:
            text = self._sealed(*due)
            changes.append(self._change(account_type, path, cuts[number][1]))
            if name is None:
                inside[number] = text
            else:
                written.append(f"{_name(name)}:{text}")
        if inside:
            # No more of the document is sent than it takes: what else is in it may be a secret that nobody declared.
            document = part.written(root, slots)
            text = encode(document)
            if decode(text) != document:
                raise NotTheSame
            written.append(filled(text[1:-1], inside))
        return "{" + ",".join(written) + "}"

    def _cut_opened(self, target: Target, row: Row, path: str, cut: Cut) -> _Due | None:
        """What is to be sealed; None where it is as it should be. Raises _NotQuick where it does not open."""
        version = cut[0]
        wanted = self._wanted[version]
        data = None
        if version == 2 or wanted == 2:
            data = associated_data(Place(row.company_id, target.table, row.row_id, path))
        plaintext = self._renewer.opened(cut, data if version == 2 else None)
        if plaintext is None:
            raise _NotQuick
        if version == wanted and cut[1] == self._primary:
            return None
        return plaintext, wanted, data if wanted == 2 else None

    def _sealed(self, plaintext: bytes, version: int, data: bytes | None) -> str:
        if not self.left:
            self.left = self._allowance()
        self.left -= 1
        return self._renewer.sealed(plaintext, version, data)

    def _change(self, account_type: str | None, path: str, was: str) -> Change:
        """One for all that are the same."""
        known = self._changes.get((account_type, path, was))
        if known is None:
            known = self._changes[account_type, path, was] = Change(account_type, path, was)
        return known

    # ---- the thorough way ----------------------------------------------------------------------------------

    def _column(
        self,
        target: Target,
        part: Part,
        row: Row,
        root: Any,
        slots: Sequence[Slot],
        changes: list[Change],
        failures: list[Failure],
    ) -> str | None:
        account_type = row.account_type
        done: list[_Done] = []
        for slot in slots:
            value, path = slot.value, slot.path
            if value == "":  # there is no secret
                continue
            try:
                opened = self._opened(value, target, row, path)
            except Malformed as problem:
                failures.append(Failure(path, f"malformed: {problem.reason}"))
                continue
            except NotOpened as problem:
                failures.append(Failure(path, str(problem)))
                continue
            if opened is None:
                continue
            plaintext, was, version = opened
            data = None
            if version == 2:
                data = associated_data(Place(row.company_id, target.table, row.row_id, path))
            done.append((slot, self._sealed(plaintext, version, data)))
            changes.append(self._change(account_type, path, was))
        if not done:
            return None
        return done[0][1] if part.form == "text" else self._document(part, root, done)

    def _opened(self, value: object, target: Target, row: Row, path: str) -> tuple[bytes, str, int] | None:
        """The plaintext, what it was under, and the version it is to have; None where it is as it should be.

        Raises Malformed, NotOpened.
        """
        envelope = read(value)
        if envelope is None:
            assert isinstance(value, str)
            return value.encode(), PLAINTEXT, self._wanted[0]
        opened = self._opener.open(envelope, Place(row.company_id, target.table, row.row_id, path))
        wanted = self._wanted[envelope.version]
        if envelope.key_id == self._primary and envelope.version == wanted:
            return None
        return opened.plaintext.encode(), opened.key.id, wanted

    def _document(self, part: Part, root: Any, done: Sequence[_Done]) -> str:
        """The JSON to be written, put together from texts that have been decrypted again."""
        members: dict[str, str] = {}
        within: list[Slot] = []
        for slot, text in done:
            if part.by_member and slot.container is root:
                members[_name(slot.key)] = text
            else:
                slot.container[slot.key] = text if slot.as_text else decode(text)
                within.append(slot)
        if within:
            document = part.written(root, within)
            written = encode(document)
            # It says what the document says, and so holds the envelopes that have been opened again, and the rest.
            if decode(written) != document:
                raise NotTheSame
            if not members:
                return written
            members = {_name(name): encode(value) for name, value in document.items()} | members
        return "{" + ",".join([f"{name}:{text}" for name, text in members.items()]) + "}"
