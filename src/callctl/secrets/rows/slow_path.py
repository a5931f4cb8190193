"""One row of secrets, encrypted under the primary key: what would be written, and what does not open.

No database here. What comes out has been decrypted again from what will be written, and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from callctl.redaction import is_utf8
from callctl.secrets.envelope.cipher import (
    LABELS,
    Decrypter,
    Malformed,
    NotDecrypted,
    Place,
    associated_data,
    read_envelope,
)
from callctl.secrets.envelope.search import foreign
from callctl.secrets.rows.credentials import fit
from callctl.secrets.rows.fast_path import BulkCipher, Quick, encoded
from callctl.secrets.rows.row import (
    FOREIGN,
    PLAINTEXT,
    Binding,
    Change,
    Changes,
    Failure,
    FieldName,
    NotReadable,
    Part,
    Reencrypted,
    Row,
    RowName,
    Rule,
    SecretTable,
    Slot,
    decode,
    encode,
    encode_name,
    unbound,
)

if TYPE_CHECKING:
    from callctl.secrets.envelope.ring import KeyRing

# A slot, and the JSON text of its new envelope.
_Done: TypeAlias = tuple[Slot, str]


class _Unbound(ValueError):
    """A value that is unbound in a bound field, and whose row no operator has named."""


def foreign_text(form: str) -> str:
    """What is said of a value that has the ``form`` of another tool's ciphertext, and was left."""
    return f"it has the form of ciphertext of {form}, and is not encrypted again without --encrypt-foreign"


class Reencrypter:
    """Encrypts rows under the primary key of a ring."""

    def __init__(
        self,
        ring: KeyRing,
        binding: Binding,
        allowance: Callable[[], int],
        elsewhere: Callable[[Place], Iterable[Place]] | None = None,
        *,
        bound: frozenset[FieldName] = frozenset(),
        named: frozenset[RowName] = frozenset(),
        encrypt_foreign: bool = False,
    ) -> None:
        """``allowance`` is asked for so many more encryptions whenever those it gave are used up; it may raise.
        ``elsewhere``: as :class:`Decrypter` has it. ``bound`` and ``named``: as :class:`Rule` has them.
        ``encrypt_foreign``: what another tool has encrypted is encrypted again, and not left and listed.
        """
        self._encrypt_foreign = encrypt_foreign
        self._allowance = allowance
        self.unused = 0
        self._primary = ring.primary.id
        self._rule = Rule(binding, bound, named)
        self._decrypter = Decrypter(ring, elsewhere)
        self._bulk = BulkCipher(ring)
        self._changes = Changes()
        self._quick = Quick(ring, self._rule, self._allow, self._changes)

    def reencrypt(self, secret_table: SecretTable, row: Row) -> Reencrypted:
        """What one row needs. Raises NotTheSame where the check of the result fails."""
        return self.reencrypt_all(secret_table, (row,))[0]

    def reencrypt_all(self, secret_table: SecretTable, rows: Sequence[Row]) -> list[Reencrypted]:
        """The same of some dozens of rows, in which most is callctl's own or plaintext: each takes less time."""
        return [
            self._thoroughly(secret_table, row) if result is None else result
            for row, result in zip(rows, self._quick.reencrypt(secret_table, rows), strict=True)
        ]

    def _allow(self, number: int) -> None:
        """So many more encryptions are made now."""
        while self.unused < number:
            self.unused += self._allowance()
        self.unused -= number

    def _thoroughly(self, secret_table: SecretTable, row: Row) -> Reencrypted:
        values: list[str | None] = []
        changes: list[Change] = []
        failures: list[Failure] = []
        misshapen = None
        for part, raw in zip(secret_table.parts, row.values, strict=True):
            if raw is None:
                values.append(None)
                continue
            try:
                root, slots = part.take_apart(raw, row.account_type)
            except NotReadable as problem:
                failures.append(Failure(part.column, problem.reason))
                values.append(None)
                continue
            if part.is_credentials and isinstance(root, dict) and not fit(row.account_type or "", root):
                misshapen = row.account_type
            failures += [Failure(*stray) for stray in part.strays(root, row.account_type)]
            values.append(self._column(secret_table, part, row, root, slots, changes, failures))
        return Reencrypted(tuple(values), tuple(changes), tuple(failures), misshapen)

    def _column(
        self,
        secret_table: SecretTable,
        part: Part,
        row: Row,
        root: Any,
        slots: Sequence[Slot],
        changes: list[Change],
        failures: list[Failure],
    ) -> str | None:
        account_type = row.account_type
        encrypted: list[_Done] = []
        for slot in slots:
            value, path = slot.value, slot.path
            if value == "":  # there is no secret
                continue
            if isinstance(value, str) and not is_utf8(value):
                failures.append(Failure(path, "it holds bytes that are not UTF-8, and an envelope holds UTF-8"))
                continue
            try:
                opened = self._opened(value, secret_table, row, path)
            except Malformed as problem:
                failures.append(Failure(path, f"malformed: {problem.reason}"))
                continue
            except (NotDecrypted, _Unbound) as problem:
                failures.append(Failure(path, str(problem)))
                continue
            if opened is None:
                continue
            plaintext, was, version = opened
            data = None
            if version in LABELS:
                data = associated_data(Place(row.company_id, secret_table.table, row.row_id, path), version)
            self._allow(1)
            encrypted.append((slot, self._bulk.encrypted([plaintext], [version], [data])[0]))
            changes.append(self._changes[account_type, path][was])
        if not encrypted:
            return None
        return encrypted[0][1] if part.form == "text" else self._document(part, root, encrypted)

    def _opened(self, value: object, secret_table: SecretTable, row: Row, path: str) -> tuple[bytes, str, int] | None:
        """The plaintext, what it was under, and the version it is to have; None where it is as it should be.

        Raises Malformed, NotDecrypted, _Unbound.
        """
        name = RowName(secret_table.table, row.row_id)
        envelope = read_envelope(value)
        if envelope is None:
            assert isinstance(value, str)
            form = foreign(value)
            wanted = self._rule.version(secret_table.recorded, name, row.account_type, path, 0)
            if wanted is None:
                raise _Unbound(unbound(None, None, form))
            if form is not None and not self._encrypt_foreign:
                raise NotDecrypted("foreign", foreign_text(form))
            return value.encode(), PLAINTEXT if form is None else FOREIGN, wanted
        opened = self._decrypter.decrypt(envelope, Place(row.company_id, secret_table.table, row.row_id, path))
        wanted = self._rule.version(secret_table.recorded, name, row.account_type, path, envelope.version)
        if wanted is None:
            raise _Unbound(unbound(envelope.version, opened.key.id))
        if envelope.key_id == self._primary and envelope.version == wanted:
            return None
        return opened.plaintext.encode(), opened.key.id, wanted

    def _document(self, part: Part, root: Any, encrypted: Sequence[_Done]) -> str:
        """The JSON to be written, put together from texts that have been decrypted again."""
        members: dict[str, str] = {}
        within: list[Slot] = []
        for slot, text in encrypted:
            if part.by_member and slot.container is root:
                members[encode_name(slot.key)] = text
            else:
                slot.container[slot.key] = text if slot.as_text else decode(text)
                within.append(slot)
        if within:
            document = part.written(root, within)
            written = encoded(document)  # and so it holds the envelopes that have been opened again, and the rest
            if not members:
                return written
            members = {encode_name(name): encode(value) for name, value in document.items()} | members
        return "{" + ",".join([f"{name}:{text}" for name, text in members.items()]) + "}"
