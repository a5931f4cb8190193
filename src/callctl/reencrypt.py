"""One row of secrets, brought under the primary key: what would be written, and what does not open.

No database here. What comes out has been decrypted again from what will be written, and compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from callctl.envelope import Envelope, Malformed, NotOpened, Opener, Place, Sealer, as_text, read
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


class Failure(NamedTuple):
    """One value left as it was. ``reason`` begins with one of a few words; never a value."""

    path: str
    reason: str


class Resealed(NamedTuple):
    """What is to be done about one row: a new text for each column, or None to leave it."""

    values: tuple[str | None, ...]
    changes: tuple[Change, ...]
    failures: tuple[Failure, ...]


class NotTheSame(Exception):
    """What would be written does not say what was read. Nothing has been written."""


def target_version(envelope: Envelope, binding: Binding) -> int:
    """The version that a value is to have."""
    if binding == "bind":
        return 2
    return 2 if envelope.version == 2 and binding == "keep" else 1


class Resealer:
    """Brings rows under the primary key of a ring."""

    def __init__(self, ring: KeyRing, binding: Binding, allowance: Callable[[], int]) -> None:
        """``allowance`` is asked for so many more encryptions whenever those it gave are used up; it may raise."""
        self._allowance = allowance
        self.left = 0
        self._primary = ring.primary.id
        self._binding = binding
        self._opener = Opener(ring)
        self._sealer = Sealer(ring.primary)

    def reseal(self, target: Target, row: Row) -> Resealed:
        """What one row needs. Raises NotTheSame where the check of the result fails."""
        values: list[str | None] = []
        changes: list[Change] = []
        failures: list[Failure] = []
        for part, raw in zip(target.parts, row.values, strict=True):
            values.append(None if raw is None else self._column(target, part, row, raw, changes, failures))
        return Resealed(tuple(values), tuple(changes), tuple(failures))

    def _column(
        self, target: Target, part: Part, row: Row, raw: str, changes: list[Change], failures: list[Failure]
    ) -> str | None:
        account_type = row.account_type
        try:
            root, slots = part.take_apart(raw, account_type)
        except NotReadable as problem:
            failures.append(Failure(part.column, problem.reason))
            return None
        made: list[Change] = []
        done: list[tuple[Slot, Place, str]] = []
        for slot in slots:
            value = slot.value
            if value == "":  # there is no secret
                continue
            place = Place(row.company_id, target.table, row.row_id, slot.path)
            try:
                envelope = read(value)
                if envelope is None:
                    assert isinstance(value, str)
                    plaintext, was, version = value, PLAINTEXT, 2 if self._binding == "bind" else 1
                else:
                    opened = self._opener.open(envelope, place)
                    plaintext, was, version = opened.plaintext, opened.key.id, target_version(envelope, self._binding)
                    if envelope.key_id == self._primary and envelope.version == version:
                        continue
            except Malformed as problem:
                failures.append(Failure(slot.path, f"malformed: {problem.reason}"))
                continue
            except NotOpened as problem:
                failures.append(Failure(slot.path, str(problem)))
                continue
            if not self.left:
                self.left = self._allowance()
            self.left -= 1
            sealed = self._sealer.seal(plaintext, place, version)
            slot.container[slot.key] = as_text(sealed) if slot.as_text else sealed
            done.append((slot, place, plaintext))
            made.append(Change(account_type, slot.path, was))
        if not done:
            return None
        changes += made
        if part.form == "text":
            written: str = root[0]
            self._check(written, *done[0][1:])
            return written
        document = part.written(root, [slot for slot, _, _ in done])
        written = encode(document)
        # The text that will be sent says what the document says; so what opens there opens from the text.
        if decode(written) != document:
            raise NotTheSame
        for slot, place, plaintext in done:
            self._check(slot.container[slot.key], place, plaintext)
        return written

    def _check(self, value: object, place: Place, plaintext: str) -> None:
        """Decrypt again what will be written."""
        members: Any = json.loads(value) if isinstance(value, str) else value
        try:
            same = self._opener.open_again(members, place) == plaintext
        except NotOpened:
            same = False
        if not same:
            raise NotTheSame
