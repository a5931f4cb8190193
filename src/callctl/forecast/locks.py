"""The lock of each kind of statement: its mode, on which table, and where PostgreSQL's manual says so.

One row a kind. ``tests/db/forecast/test_kinds.py`` runs a statement of each on a real server and compares ``pg_locks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType


class Mode(IntEnum):
    """A lock mode of a table, in the order of strength (PostgreSQL manual, 13.3.1, "Table-Level Locks")."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def sql(self) -> str:
        """As SQL writes it: ``SHARE ROW EXCLUSIVE``."""
        return self.name.replace("_", " ")

    @property
    def in_pg_locks(self) -> str:
        """As ``pg_locks`` writes it: ``ShareRowExclusiveLock``."""
        return "".join(word.capitalize() for word in self.name.split("_")) + "Lock"

    @property
    def blocks_reads(self) -> bool:
        """Whether a SELECT waits behind it."""
        return self is Mode.ACCESS_EXCLUSIVE

    @property
    def blocks_writes(self) -> bool:
        """Whether an INSERT, UPDATE or DELETE waits behind it."""
        return self >= Mode.SHARE

    @property
    def blocked(self) -> str:
        """Whom it blocks, in words."""
        if self.blocks_reads:
            return "reads and writes"
        return "writes" if self.blocks_writes else "no client"

    def conflicts_with(self, other: Mode) -> bool:
        """Return whether a session waits for this lock while another session has that one.

        Source: PostgreSQL manual, 13.3.1, "Conflicting Lock Modes".
        """
        return other in _CONFLICTS[self]


_TABLE = {
    Mode.ACCESS_SHARE: {8},
    Mode.ROW_SHARE: {7, 8},
    Mode.ROW_EXCLUSIVE: {5, 6, 7, 8},
    Mode.SHARE_UPDATE_EXCLUSIVE: {4, 5, 6, 7, 8},
    Mode.SHARE: {3, 4, 6, 7, 8},
    Mode.SHARE_ROW_EXCLUSIVE: {3, 4, 5, 6, 7, 8},
    Mode.EXCLUSIVE: {2, 3, 4, 5, 6, 7, 8},
    Mode.ACCESS_EXCLUSIVE: {1, 2, 3, 4, 5, 6, 7, 8},
}
_CONFLICTS: Mapping[Mode, frozenset[Mode]] = MappingProxyType(
    {mode: frozenset(map(Mode, others)) for mode, others in _TABLE.items()}
)

BY_MODE: Mapping[str, Mode] = MappingProxyType({mode.in_pg_locks: mode for mode in Mode})
"""``ShareRowExclusiveLock`` -> the mode."""


@dataclass(frozen=True)
class Kind:
    """A kind of statement, or one action of ALTER TABLE.

    ``mode`` is the lock on the table that it names; ``other`` the one on a table that a foreign key of it refers to.
    ``checked``: the lock on that table while each row is looked up in it. ``reads``: it reads the whole table
    meanwhile. ``source``: the page of the manual.
    """

    mode: Mode | None
    source: str
    other: Mode | None = None
    checked: Mode | None = None
    reads: bool = False


_A = "SQL Commands, ALTER TABLE"
_E = "13.3.1, Table-Level Locks"

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        # ---- ALTER TABLE: "An ACCESS EXCLUSIVE lock is acquired unless explicitly noted."
        "add column": Kind(Mode.ACCESS_EXCLUSIVE, _A, other=Mode.SHARE_ROW_EXCLUSIVE),
        "drop column": Kind(Mode.ACCESS_EXCLUSIVE, _A, other=Mode.ACCESS_EXCLUSIVE),
        "alter column type": Kind(Mode.ACCESS_EXCLUSIVE, _A, other=Mode.ACCESS_EXCLUSIVE),
        "set default": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "drop default": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "set not null": Kind(Mode.ACCESS_EXCLUSIVE, _A, reads=True),
        "drop not null": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "set statistics": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, _A),
        "set column options": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, _A),
        "set storage": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "set compression": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "add identity": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "drop identity": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "drop expression": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "add check": Kind(Mode.ACCESS_EXCLUSIVE, _A, reads=True),
        "add check not valid": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "add foreign key": Kind(
            Mode.SHARE_ROW_EXCLUSIVE, _A, other=Mode.SHARE_ROW_EXCLUSIVE, checked=Mode.ROW_SHARE, reads=True
        ),
        "add foreign key not valid": Kind(Mode.SHARE_ROW_EXCLUSIVE, _A, other=Mode.SHARE_ROW_EXCLUSIVE),
        "add unique": Kind(Mode.ACCESS_EXCLUSIVE, _A, reads=True),
        "add unique using index": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "add exclude": Kind(Mode.ACCESS_EXCLUSIVE, _A, reads=True),
        "drop constraint": Kind(Mode.ACCESS_EXCLUSIVE, _A, other=Mode.ACCESS_EXCLUSIVE),
        "validate check": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, _A, reads=True),
        "validate foreign key": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, _A, checked=Mode.ROW_SHARE, reads=True),
        "enable trigger": Kind(Mode.SHARE_ROW_EXCLUSIVE, _A),
        "enable rule": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "row level security": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "cluster on": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, _A),
        "set storage parameters": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, _A),
        "set logged": Kind(Mode.ACCESS_EXCLUSIVE, _A, reads=True),
        "set tablespace": Kind(Mode.ACCESS_EXCLUSIVE, _A, reads=True),
        "owner to": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "replica identity": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "rename": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        "set schema": Kind(Mode.ACCESS_EXCLUSIVE, _A),
        # ---- other commands
        "create table": Kind(Mode.ACCESS_EXCLUSIVE, "SQL Commands, CREATE TABLE", other=Mode.SHARE_ROW_EXCLUSIVE),
        "drop table": Kind(Mode.ACCESS_EXCLUSIVE, _E, other=Mode.ACCESS_EXCLUSIVE),
        "truncate": Kind(Mode.ACCESS_EXCLUSIVE, "SQL Commands, TRUNCATE"),
        "create index": Kind(Mode.SHARE, "SQL Commands, CREATE INDEX", reads=True),
        "create index concurrently": Kind(
            Mode.SHARE_UPDATE_EXCLUSIVE, "SQL Commands, CREATE INDEX, Building Indexes Concurrently", reads=True
        ),
        "drop index": Kind(Mode.ACCESS_EXCLUSIVE, "SQL Commands, DROP INDEX"),
        "drop index concurrently": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, "SQL Commands, DROP INDEX"),
        "create trigger": Kind(Mode.SHARE_ROW_EXCLUSIVE, "SQL Commands, CREATE TRIGGER; 13.3.1"),
        "drop trigger": Kind(Mode.ACCESS_EXCLUSIVE, _E),
        "create statistics": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, _E),
        "create policy": Kind(Mode.ACCESS_EXCLUSIVE, "SQL Commands, CREATE POLICY"),
        "comment": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, "SQL Commands, COMMENT"),
        "analyze": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, _E),
        "vacuum": Kind(Mode.SHARE_UPDATE_EXCLUSIVE, _E, reads=True),
        "vacuum full": Kind(Mode.ACCESS_EXCLUSIVE, "SQL Commands, VACUUM", reads=True),
        "lock table": Kind(None, "SQL Commands, LOCK"),
        "insert": Kind(Mode.ROW_EXCLUSIVE, _E, other=Mode.ROW_SHARE),
        "update": Kind(Mode.ROW_EXCLUSIVE, _E, other=Mode.ROW_SHARE),
        "delete": Kind(Mode.ROW_EXCLUSIVE, _E),
        "select for update": Kind(Mode.ROW_SHARE, _E),
        "select": Kind(Mode.ACCESS_SHARE, _E, reads=True),
        # ---- what locks no table
        "create function": Kind(None, "SQL Commands, CREATE FUNCTION"),
        "drop function": Kind(None, "SQL Commands, DROP FUNCTION"),
        "create type": Kind(None, "SQL Commands, CREATE TYPE"),
        "grant": Kind(None, "SQL Commands, GRANT"),
    }
)
