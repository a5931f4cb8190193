"""Which tables a scan for secrets reads, in which of their columns it looks, and which tables it cannot look into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from callctl.files import read_sql
from callctl.secrets.envelope.fields import declared
from callctl.secrets.rows.tables import ARCHIVED

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

STORE = "callctl"

# How a value is shown as text: a document, text itself, another type's text, bytes in hex, bytes inside another type.
# bits: a bit string, which no text of PostgreSQL's shows the bytes of.
Form: TypeAlias = Literal["json", "text", "other", "bytes", "mixed", "bits"]


class Column(NamedTuple):
    """A column that could hold an envelope; ``type`` is its OID, as text."""

    name: str
    type: str
    form: Form


@dataclass(frozen=True, order=True)
class NotLookedInto:
    """A table that was not looked into, or not all of it: ``name`` is 'schema.table', ``why`` a few words."""

    name: str
    why: str


@dataclass(frozen=True)
class Table:
    """A table to be scanned. ``pages`` is an estimate.

    ``declared_as``: the table whose declared fields it has, itself or the one that it is a partition or a child of;
    None where no declared field is in it. ``typed``: it has a column account_type.
    """

    oid: int
    schema: str
    name: str
    file: int | None
    pages: int
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    declared_as: str | None
    is_platforms: bool
    typed: bool

    @property
    def full_name(self) -> str:
        """'schema.table', as it is printed and named again."""
        return f"{self.schema}.{self.name}"

    @property
    def version(self) -> tuple[object, ...]:
        """The same for as long as no row can have got into another place or another column without being written."""
        return self.oid, self.file, self.columns


def inventory(connection: Connection, settings: Settings) -> tuple[list[Table], list[NotLookedInto]]:
    """The tables to read, the platform's first, and what cannot be looked into. Raises psycopg.Error."""
    names = {each.table for each in declared(settings)}
    found, left = [], []
    rows = connection.execute(read_sql("secrets/inventory/scan/relations.sql"), {"schema": settings.schema}).fetchall()
    for oid, schema, name, why_not, file, pages, keys, ancestors, typed, columns in rows:
        if why_not is not None:
            left.append(NotLookedInto(f"{schema}.{name}", why_not))
            continue
        own = [Column(*column) for column in columns]
        bits = [column.name for column in own if column.form == "bits"]
        if bits:
            columns_are = "column {} is a bit string" if len(bits) == 1 else "columns {} are bit strings"
            left.append(NotLookedInto(f"{schema}.{name}", columns_are.format(", ".join(bits))))
        is_platforms = schema == settings.schema
        declared_as = None
        if is_platforms or (schema == STORE and name in ARCHIVED):
            declared_as = name
        if name not in names:
            declared_as = next((ancestor for ancestor in ancestors if ancestor in names), declared_as)
        found.append(
            Table(
                oid=oid,
                schema=schema,
                name=name,
                file=file,
                pages=pages,
                keys=tuple(keys),
                columns=tuple(column for column in own if column.form != "bits"),
                declared_as=declared_as,
                is_platforms=is_platforms,
                typed=typed,
            )
        )
    left += [
        NotLookedInto(*row) for row in connection.execute(read_sql("secrets/inventory/scan/elsewhere.sql")).fetchall()
    ]
    return found, left
