"""Finds copies of a plaintext that a rotation encrypts, from the catalogs and callctl's record of backups.

An UPDATE hands the row as it was to triggers and rules, and to logical replication where the replica identity is FULL.
What was there before is in WAL, replicas and backups all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from callctl.database import connection as database
from callctl.files import read_sql
from callctl.server_errors import outline

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.secrets.rows.row import SecretTable

Kind: TypeAlias = Literal[
    "trigger",
    "rule",
    "materialized view",
    "publication",
    "replica identity",
    "slot",
    "replica",
    "archive",
    "backup",
    "unknown",
]
# What each file of sql/secrets/inventory/copies asks about.
_ABOUT = {
    "triggers": "triggers",
    "rules": "rules",
    "views": "materialized views",
    "publications": "publications",
    "slots": "replication slots",
    "replicas": "replicas and the WAL archive",
    "backups": "backups",
}


@dataclass(frozen=True)
class Copy:
    """One place that gets, or holds, copies of what is written. ``table`` and ``name`` as SQL writes them."""

    kind: Kind
    table: str | None
    name: str | None
    text: str

    @property
    def fires(self) -> bool:
        """Whether it acts for each write of a row, whatever is written."""
        return self.kind in ("trigger", "rule")


def copies(connection: Connection, settings: Settings, secret_tables: Iterable[SecretTable]) -> tuple[Copy, ...]:
    """Find triggers and rules that fire on a rotation's writes, and places that hold or get copies. Reads only.

    What cannot be read within ``lock_timeout_ms``, or by this role, is ``unknown``.
    """
    written = [(*secret_table.relation, part.column) for secret_table in secret_tables for part in secret_table.parts]
    schemas, tables, columns = (list(names) for names in zip(*written, strict=True)) if written else ([], [], [])
    values = {"schemas": schemas, "tables": tables, "columns": columns}
    asked = _Asked(connection, values, settings.lock_timeout_ms)
    found_copies = [*_triggers(asked), *_rules(asked), *_views(asked), *_publications(asked)]
    found_copies += [*_slots(asked), *_replicas(asked), *_backups(asked, settings)]
    return (*found_copies, *asked.unread)


@dataclass
class _Asked:
    connection: Connection
    values: Mapping[str, Sequence[str]]
    lock_timeout_ms: int
    unread: list[Copy] = field(default_factory=list)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a file of sql/secrets/inventory/copies; none where they cannot be read: that is noted."""
        import psycopg
        from psycopg.rows import dict_row

        try:
            with self.connection.transaction(), self.connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute(
                    read_sql("secrets/inventory/copies/session.sql"), {"timeout": f"{self.lock_timeout_ms}ms"}
                )
                return cursor.execute(read_sql(f"secrets/inventory/copies/{name}.sql"), self.values).fetchall()
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.QueryCanceled,
            psycopg.errors.InsufficientPrivilege,
        ) as error:
            description = f"the {_ABOUT[name]} could not be read: {outline(error)}"
            self.unread.append(Copy("unknown", None, None, description))
            return []


def _triggers(asked: _Asked) -> Iterator[Copy]:
    for row in asked.rows("triggers"):
        description = f"trigger {row['name']} on {row['relation']} ({row['fires']} UPDATE, function {row['function']})"
        if row["reads_old"]:
            description += " reads OLD, the row with its plaintext"
        elif row["readable"]:
            description += " fires for each row written"
        else:
            description += " fires for each row written; callctl cannot read what its function does with the old row"
        if row["inserts"]:
            description += f", and inserts into {', '.join(row['inserts'])}"
        yield Copy("trigger", row["relation"], row["name"], description)


def _rules(asked: _Asked) -> Iterator[Copy]:
    for row in asked.rows("rules"):
        description = (
            f"rule {row['name']} on {row['relation']} rewrites an UPDATE ({'INSTEAD' if row['instead'] else 'ALSO'})"
        )
        description += " and reads OLD, the row with its plaintext" if row["reads_old"] else ""
        yield Copy("rule", row["relation"], row["name"], description)


def _views(asked: _Asked) -> Iterator[Copy]:
    for row in asked.rows("views"):
        description = f"materialized view {row['name']} holds values of {row['relation']} until the next REFRESH"
        yield Copy("materialized view", row["relation"], row["name"], description)


def _publications(asked: _Asked) -> Iterator[Copy]:
    for row in asked.rows("publications"):
        table = row["relation"]
        for name in row["publications"]:
            yield Copy(
                "publication",
                table,
                name,
                f"publication {name} includes {table}: its subscribers already have copies of the plaintext",
            )
        if row["whole_rows"]:
            description = (
                f"replica identity FULL of {table}: every logical slot gets the old version of each row,"
                f" with its plaintext"
            )
            yield Copy("replica identity", table, None, description)


def _slots(asked: _Asked) -> Iterator[Copy]:
    for row in asked.rows("slots"):
        plugin = f" ({row['plugin']})" if row["plugin"] else ""
        state = "in use" if row["active"] else "not in use"
        description = f"{row['type']} replication slot {row['name']}{plugin}, {state}, keeps {row['keeps']} of WAL"
        yield Copy("slot", None, row["name"], description)


def _replicas(asked: _Asked) -> Iterator[Copy]:
    for row in asked.rows("replicas"):
        for name in row["replicas"]:
            description = f"{name} receives this server's changes, and already has copies of the plaintext"
            yield Copy("replica", None, name, description)
        if row["archived"]:
            yield Copy("archive", None, None, "the WAL archive already holds plaintext (archive_mode is on)")


def _backups(asked: _Asked, settings: Settings) -> Iterator[Copy]:
    """Return the age of the oldest known backup that contains the plaintext."""
    phrases = []
    rows = asked.rows("backups") if database.relation_exists(asked.connection, "callctl", "action") else []
    for row in rows:
        if row["backups"] == 1:
            phrases.append(f"callctl took one at {_at(row['newest'])}")
        elif row["backups"]:
            phrases.append(f"callctl took {row['backups']:,}, from {_at(row['oldest'])} to {_at(row['newest'])}")
    if settings.backup_taken_at is not None:
        phrases.append(f"--backup-taken-at names one of {_at(settings.backup_taken_at)}")
    known = "; ".join(phrases) if phrases else "callctl has no record of a backup"
    yield Copy("backup", None, None, f"backups hold the plaintext for as long as they are kept: {known}")


def _at(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
