"""Which version a value is to have, and which values a rotation must leave: those that a bound field should not have.

A value of version 2 opens in its own row and field only. Once all values of a field are bound, one that is not was
written past the binding: by an application that does not bind, or by an attacker who copied it from another row. To
bind it would make it genuine, so a rotation does that only where an operator has named the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

# What becomes of version 2, whose values are bound to their row and field: see docs/reference/envelope.md. ``keep``: a
# bound value stays bound, a new one is not; ``bind`` binds all; ``unbind`` none.
Binding: TypeAlias = Literal["keep", "bind", "unbind"]


# How the webhook secrets that callctl keeps are recorded, beside the tables of the platform.
KEPT = "kept_webhook_secret"


class FieldName(NamedTuple):
    """A declared field as callctl's schema records it; ``account_type`` is '' for a field of all types."""

    table: str
    account_type: str
    path: str

    def __str__(self) -> str:
        return f"{self.account_type} {self.path}" if self.account_type else self.path


class RowName(NamedTuple):
    """A row of the platform's: its table as the specification calls it, and its primary key as PostgreSQL prints it."""

    table: str
    row_id: str


@dataclass(frozen=True)
class Rule:
    """What a rotation does about versions. ``bound``: the fields that an earlier one has bound; ``named``: the rows
    whose unbound values an operator wants bound.
    """

    binding: Binding = "keep"
    bound: frozenset[FieldName] = frozenset()
    named: frozenset[RowName] = frozenset()

    def requires_bound(self, table: str, account_type: str | None, path: str) -> bool:
        """Whether an unbound value of this field is left as it is, unless its row is named."""
        if self.binding == "unbind" or not self.bound:
            return False
        return FieldName(table, "", path) in self.bound or FieldName(table, account_type or "", path) in self.bound

    def wanted(self, version: int) -> int:
        """The version that a value of some version is to have where no field requires bound values; 0 is plaintext,
        and an envelope that carries none.
        """
        return 2 if self.binding == "bind" or (version == 2 and self.binding == "keep") else 1

    def version(self, recorded: str, row: RowName, account_type: str | None, path: str, version: int) -> int | None:
        """The version that a value is to have; None where it is unbound in a bound field, and to be left. ``recorded``
        is the table of its field as the record has it.
        """
        if version == 2 or not self.requires_bound(recorded, account_type, path):
            return self.wanted(version)
        return 2 if row in self.named else None


UNBOUND = "unbound"


def unbound(version: int | None, key_id: str | None, foreign: str | None = None) -> str:
    """Why a value is left that is unbound in a bound field. ``version`` is None where it is no envelope of callctl's:
    plaintext, or in the form of ``foreign``, which is another tool's ciphertext.
    """
    if foreign is not None:
        return f"{UNBOUND}: ciphertext of {foreign} in a bound field; --bind-new binds it with --encrypt-foreign only"
    if version is None:
        return f"{UNBOUND}: plaintext in a bound field"
    form = f"version {version}" if version else "an envelope without a version"
    key = f" under key {key_id}" if key_id else ""
    return f"{UNBOUND}: {form}{key} in a bound field"
