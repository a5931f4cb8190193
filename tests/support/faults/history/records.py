"""The history of one run: the transactions of the clients, the committed row versions, and the marks between them.

All rows are in canonical names: ``type``, ``chat`` and ``call`` for the type column and the capability flags, ``id``
for the key. All values are text as the server prints it, None for NULL. A column that does not exist is not in the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Row: TypeAlias = Mapping[str, str | None]
Place: TypeAlias = tuple[str, str]  # table, id
WriteKind: TypeAlias = Literal["insert", "copy", "update", "upsert", "insert or nothing", "delete", "rekey"]
VersionKind: TypeAlias = Literal["insert", "update", "delete"]
Outcome: TypeAlias = Literal["acknowledged", "refused", "rolled back", "unknown"]

# Which value of a saved path a write of the path belongs to: the one before the migration, the one after it, either.
View: TypeAlias = Literal["down", "up", "moving"]

FORMS = frozenset({"type", "chat", "call"})


@dataclass(frozen=True)
class Patch:
    """A change of one path of a settings document; with ``remove`` the path goes away."""

    path: tuple[str, ...]
    value: Any = None
    remove: bool = False


Value: TypeAlias = str | Patch | None


@dataclass(frozen=True)
class Write:
    """One statement of a client: the rows it names, the values it means, the rows that the server said it wrote."""

    kind: WriteKind
    table: str
    keys: tuple[str, ...]
    values: Mapping[str, Value] = field(default_factory=dict)
    claimed: tuple[str, ...] = ()
    new_key: str | None = None


@dataclass(frozen=True)
class ClientTransaction:
    """One transaction of a client. ``start`` and ``end`` order it among all clients' transactions in real time.

    ``xid`` is None where the server assigned none. ``replica`` says that the session's triggers did not fire.
    ``error`` is what the server answered; ``expected`` says that a client expects such a refusal.
    """

    client: str
    start: int
    end: int
    outcome: Outcome
    xid: int | None
    writes: tuple[Write, ...]
    replica: bool = False
    error: str = ""
    expected: bool = True


@dataclass(frozen=True)
class Version:
    """One version of a row: the row before, the row after; None where there is none."""

    kind: VersionKind
    table: str
    old: Row | None
    new: Row | None

    @property
    def old_key(self) -> str:
        """The id before, or the only one."""
        row = self.old if self.old is not None else self.new
        assert row is not None
        return str(row["id"])

    @property
    def key(self) -> str:
        """The id after, or the only one."""
        row = self.new if self.new is not None else self.old
        assert row is not None
        return str(row["id"])


@dataclass(frozen=True)
class Commit:
    """One committed transaction, in commit order."""

    xid: int
    versions: tuple[Version, ...]


@dataclass(frozen=True)
class Mark:
    """A moment at which no session writes: every row as a SELECT returns it.

    ``view`` is the state that the rows are in; ``next_view`` is the one of the writes that follow.
    """

    label: str
    view: View
    next_view: View
    rows: Mapping[Place, Row]


@dataclass(frozen=True)
class History:
    """Everything that a judge needs. The first event is a mark."""

    events: Sequence[Commit | Mark]
    transactions: Sequence[ClientTransaction]
    default_call: Any = None  # the call settings that a call-enabled chatbot without any gets


@dataclass(frozen=True)
class Finding:
    """One violation: its kind, where, and what contradicts what."""

    kind: str
    place: Place
    detail: str
    when: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.place[0]} {self.place[1]}: {self.detail} [{self.when}]"
