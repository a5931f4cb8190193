"""Rows of secrets, encrypted under the primary key: what would be written, and what is left.

No database here. What comes out has been read and opened again from what will be written, and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from callctl.secrets.envelope.cipher import LABELS, Encrypter, NotTheSame, Place, associated_data
from callctl.secrets.rows.decisions import Decided, Decider, place
from callctl.secrets.rows.fast_path import Quick
from callctl.secrets.rows.row import (
    FOREIGN,
    PLAINTEXT,
    Binding,
    Change,
    Failure,
    FieldName,
    Part,
    Reencrypted,
    Row,
    RowName,
    Rule,
    Secret,
    SecretTable,
    change,
    decode,
    encode,
    encode_name,
)

if TYPE_CHECKING:
    from callctl.secrets.envelope.ring import KeyRing


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
        """``allowance`` is asked for more encryptions whenever those it gave are used up; it may raise.
        ``elsewhere`` and ``encrypt_foreign``: as :class:`Decider` has them. ``bound`` and ``named``: as :class:`Rule`.
        """
        self._allowance = allowance
        self.unused = 0
        self._decider = Decider(ring, Rule(binding, bound, named), elsewhere, encrypt_foreign=encrypt_foreign)
        self._encrypter = Encrypter(ring.primary)
        self._quick = Quick(ring, self._decider, self._encrypter, self._allow)

    def reencrypt(self, secret_table: SecretTable, rows: Sequence[Row]) -> list[Reencrypted]:
        """Return the changes of each row; some dozens of rows together take less time for each.

        Raises NotTheSame if the check of a result fails, and what the allowance raises.
        """
        quick = self._quick.reencrypt(secret_table, rows)
        others = [row for row, result in zip(rows, quick, strict=True) if result is None]
        thorough = iter(self._thoroughly(secret_table, others) if others else ())
        return [next(thorough) if result is None else result for result in quick]

    def _thoroughly(self, secret_table: SecretTable, rows: Sequence[Row]) -> list[Reencrypted]:
        decided = [self._decider.decided(secret_table, row) for row in rows]
        # Nothing is encrypted before all is opened: what is encrypted in vain would count as an encryption.
        due = [secret for result in decided for secret in result.secrets if secret.wanted is not None]
        if due:
            self._allow(len(due))
            versions: list[Any] = [secret.wanted for secret in due]
            data = [
                associated_data(place(secret_table, secret), version) if version in LABELS else None
                for secret, version in zip(due, versions, strict=True)
            ]
            texts = self._encrypter.checked_texts([secret.plaintext for secret in due], versions, data)
            for secret, text in zip(due, texts, strict=True):
                secret.text = text
        return [_reencrypted(secret_table, result) for result in decided]

    def _allow(self, number: int) -> None:
        """Take this number of encryptions from the allowance."""
        while self.unused < number:
            self.unused += self._allowance()
        self.unused -= number


def _reencrypted(secret_table: SecretTable, decided: Decided) -> Reencrypted:
    row, roots, secrets, misshapen = decided
    values: list[str | None] = [None] * len(roots)
    changes: list[Change] = []
    failures: list[Failure] = []
    documents: dict[int, list[Secret]] = {}
    for secret in secrets:
        if secret.wanted is not None:
            was = secret.key_id or (PLAINTEXT if secret.form is None else FOREIGN)
            changes.append(change(row.account_type, secret.path, was))
            documents.setdefault(secret.column, []).append(secret)
        elif secret.reason is not None:
            failures.append(Failure(secret.path, secret.reason))
    for number, changed in documents.items():
        part = secret_table.parts[number]
        values[number] = changed[0].text if part.form == "text" else _document(part, roots[number], changed)
    return Reencrypted(tuple(values), tuple(changes), tuple(failures), row.account_type if misshapen else None)


def _document(part: Part, root: Any, changed: Sequence[Secret]) -> str:
    """The JSON to be written, put together from texts that have been opened again. Raises NotTheSame."""
    members: dict[str, str] = {}
    within = []
    for secret in changed:
        if part.by_member and secret.container is root:
            members[encode_name(secret.key)] = secret.text
        else:
            secret.container[secret.key] = secret.text if secret.as_text else decode(secret.text)
            within.append(secret)
    if within:
        document = part.written(root, within)
        written = encode(document)
        if decode(written) != document:  # the envelopes that have been opened again, and the rest
            raise NotTheSame
        if not members:
            return written
        members = {encode_name(name): encode(value) for name, value in document.items()} | members
    return "{" + ",".join([f"{name}:{text}" for name, text in members.items()]) + "}"
