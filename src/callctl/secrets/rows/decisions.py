"""Decides about each secret of some rows: its state, its plaintext, and the action of a rotation.

The one place that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from callctl.redaction import is_utf8
from callctl.secrets.envelope.cipher import VERSIONS, Decrypter, Envelope, Malformed, NotDecrypted, Place, read_envelope
from callctl.secrets.envelope.search import foreign
from callctl.secrets.rows.credentials import SHAPES, fit
from callctl.secrets.rows.row import NotReadable, Row, RowName, Rule, Secret, SecretTable, State, unbound

if TYPE_CHECKING:
    from callctl.secrets.envelope.ring import KeyRing


class Unbound(Exception):
    """A value that is unbound in a bound field, and whose row no operator has named."""


class Decided(NamedTuple):
    """A row, its columns taken apart, and the secrets in them. ``misshapen``: its credentials have not the shape of
    their type, see credentials.problems.
    """

    row: Row
    roots: list[Any]
    secrets: list[Secret]
    misshapen: bool


class Decider:
    """Decides about the secrets of rows. ``rule`` says which version each is to have."""

    def __init__(
        self,
        ring: KeyRing | None,
        rule: Rule,
        elsewhere: Callable[[Place], Iterable[Place]] | None = None,
        *,
        encrypt_foreign: bool = False,
    ) -> None:
        """Without a ``ring`` nothing is opened. ``elsewhere``: as :class:`Decrypter` has it. ``encrypt_foreign``: what
        another tool has encrypted is encrypted again, and not left.
        """
        self._primary = ring.primary.id if ring is not None else None
        self._decrypter = Decrypter(ring, elsewhere) if ring is not None else None
        self._rule = rule
        # By the version that a value has, where no field is bound.
        self._wanted = {version: rule.wanted(version) for version in (0, *VERSIONS)}
        self._encrypt_foreign = encrypt_foreign

    def decided(self, secret_table: SecretTable, row: Row) -> Decided:
        """Return the secrets of a row and the action for each."""
        account_type = row.account_type
        roots: list[Any] = []
        secrets: list[Secret] = []
        misshapen = False
        for number, (part, raw) in enumerate(zip(secret_table.parts, row.values, strict=True)):
            if not raw:  # there is no secret
                roots.append(None)
                continue
            try:
                root, found = part.take_apart(raw, account_type)
            except NotReadable as problem:
                roots.append(None)
                secrets.append(_left(part.column, "unreadable", problem.reason))
                continue
            roots.append(root)
            if part.form != "text":
                fits = part.is_credentials and type(root) is dict and fit(account_type or "", root)
                misshapen = misshapen or (part.is_credentials and type(root) is dict and not fits)
                # Credentials that are as the specification has them hold no secret beside its fields.
                if not (fits and part.as_specified and account_type in SHAPES):
                    strays = part.strays(root, account_type)
                    secrets += [_left(path, "misshapen", reason) for path, reason in strays]
            for secret in found:
                value = secret.value
                if value == "":  # there is no secret
                    continue
                secret.row, secret.column = row, number
                secrets.append(secret)
                if type(value) is str and not value.isascii() and not is_utf8(value):
                    secret.state, secret.reason = "unreadable", NOT_UTF8
                    continue
                try:
                    envelope = read_envelope(value)
                except Malformed as problem:
                    secret.state, secret.reason = "unreadable", f"malformed: {problem.reason}"
                    continue
                if envelope is None:
                    self._decide_text(secret_table, secret, str(value))
                else:
                    self._decide_envelope(secret_table, secret, envelope)
        return Decided(row, roots, secrets, misshapen)

    def _decide_text(self, secret_table: SecretTable, secret: Secret, text: str) -> None:
        secret.form = form = foreign(text)
        secret.state = "plaintext" if form is None else "foreign"
        row = secret.row
        try:
            wanted = self.wanted(secret_table, row.row_id, row.account_type, secret.path, 0, None)
        except Unbound:
            secret.reason, secret.unbound = unbound(None, None, form), True
            return
        if form is not None and not self._encrypt_foreign:
            secret.reason = f"foreign: {foreign_text(form)}"
        else:
            secret.wanted, secret.plaintext = wanted, text.encode()

    def _decide_envelope(self, secret_table: SecretTable, secret: Secret, envelope: Envelope) -> None:
        version, key_id, row = envelope.version, envelope.key_id, secret.row
        secret.envelope, secret.key_id = envelope, key_id
        if self._decrypter is not None:
            try:
                opened = self._decrypter.decrypt(envelope, place(secret_table, secret))
            except NotDecrypted as problem:
                secret.state, secret.reason = "unreadable", str(problem)
                return
            secret.plaintext, secret.key_id = opened.plaintext.encode(), opened.key.id
        try:
            secret.wanted = self.wanted(secret_table, row.row_id, row.account_type, secret.path, version, key_id)
        except Unbound:
            secret.reason, secret.unbound = unbound(version, secret.key_id), True

    def wanted(
        self,
        secret_table: SecretTable,
        row_id: str | None,
        account_type: str | None,
        path: str,
        version: int,
        key_id: str | None,
    ) -> int | None:
        """The version that a value is to be encrypted in, by the one that it has and the key that it names (0 and None
        for plaintext); None if it is as it should be. Without a ``row_id`` no operator has named the row. Raises
        Unbound.
        """
        wanted: int | None = self._wanted[version]
        if self._rule.bound:
            name = RowName(secret_table.table, row_id or "")
            wanted = self._rule.version(secret_table.recorded, name, account_type, path, version)
            if wanted is None:
                raise Unbound
        return None if (version, key_id) == (wanted, self._primary) else wanted


def is_plaintext(text: str) -> bool:
    """Return whether a secret's text is not an envelope, contains no part of one, and is no other tool's ciphertext."""
    try:
        return read_envelope(text) is None and foreign(text) is None
    except Malformed:
        return False


def place(secret_table: SecretTable, secret: Secret) -> Place:
    """Return the place of a secret, as an envelope of version 2 has it."""
    return Place(secret.row.company_id, secret_table.table, secret.row.row_id, secret.path)


def _left(path: str, state: State, reason: str) -> Secret:
    """A place that no declared path leads to."""
    secret = Secret(path, None, "", None, False)
    secret.state, secret.reason = state, reason
    return secret


NOT_UTF8 = "it has bytes that are not UTF-8, and an envelope needs UTF-8"


def foreign_text(form: str) -> str:
    """Return the reason for leaving a value that has the ``form`` of another tool's ciphertext."""
    return f"it looks like ciphertext of {form}; only --encrypt-foreign encrypts it again"
