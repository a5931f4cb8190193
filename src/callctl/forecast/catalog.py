"""The facts of a database that the effects of a statement depend on: tables, columns, constraints, indexes, triggers.

They are read once. As the statements of a plan are gone through, :mod:`callctl.forecast.effects` writes into them what
each would change, so that a later statement meets the tables that it will meet when it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from callctl.files import read_sql
from callctl.statements.tokens import identifier
from callctl.stored_bytes import stored

if TYPE_CHECKING:
    from callctl.database.connection import Connection

# A table without statistics is counted, but not further than this.
MOST_COUNTED = 100_000
COUNT_MS = 2000
_TYPE = re.compile(r"[\w\s.\"]+(\(\s*-?\d+\s*(,\s*-?\d+\s*)?\))?[\w\s]*(\[\d*\]\s*)*")


class Name(NamedTuple):
    """A table or index by its schema and its name, as the catalog holds them."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """As SQL writes it."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


NONE = Name("", "")


@dataclass(frozen=True)
class Type:
    """A column's type: its oid, and the modifier with its length (``pg_attribute.atttypmod``), or -1."""

    oid: int
    modifier: int = -1


@dataclass
class Constraint:
    """``kind`` is as in ``pg_constraint.contype``; ``refers_to``: of a foreign key the table that it refers to."""

    name: str
    kind: str
    validated: bool = True
    columns: tuple[str, ...] = ()
    refers_to: Name | None = None
    referred: tuple[str, ...] = ()
    on_delete: str = "a"


@dataclass
class Index:
    """An index, with the columns that it reads. ``size`` is in bytes; None where it is not known yet.

    ``clustered`` and ``identity``: it is marked for CLUSTER, or as the replica identity.
    """

    name: Name
    columns: tuple[str, ...]
    valid: bool = True
    size: int | None = None
    unique: bool = False
    clustered: bool = False
    identity: bool = False


@dataclass(frozen=True)
class Trigger:
    """A trigger that rows fire; ``body`` is the source of its function, in ``language``."""

    name: str
    enabled: bool = True
    events: frozenset[str] = frozenset()
    function: Name = NONE
    language: str = "plpgsql"
    body: str = ""


@dataclass
class Relation:
    """A table. ``rows`` are those of the statistics, None is not known; ``size`` is in bytes, ``pages`` without TOAST.

    ``counted``: the rows were counted, not estimated. ``made``: the plan itself makes it, so no client uses it yet.
    """

    name: Name
    kind: str = "r"
    rows: int | None = None
    size: int = 0
    pages: int = 0
    index_size: int = 0
    counted: bool = False
    made: bool = False
    row_security: bool = False
    # A rule rewrites statements on it, or it is a view.
    ruled: bool = False
    readable: bool = True
    columns: dict[str, Type] = field(default_factory=dict)
    not_null: set[str] = field(default_factory=set)
    constraints: dict[str, Constraint] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    # The statistics objects, and the columns of each.
    statistics: dict[str, tuple[str, ...]] = field(default_factory=dict)
    children: list[Name] = field(default_factory=list)

    def foreign_keys(self) -> Iterator[Constraint]:
        """Its foreign keys."""
        return (constraint for constraint in self.constraints.values() if constraint.kind == "f")


@dataclass(frozen=True)
class _Domain:
    base: int | None
    modifier: int
    checked: bool
    name: str
    kind: str


@dataclass
class Catalog:
    """The tables of a database by name; ``schema`` is where a name without one is looked up."""

    schema: str
    relations: dict[Name, Relation]
    version: int
    utc: bool = False
    casts: frozenset[tuple[int, int]] = frozenset()
    types: dict[int, _Domain] = field(default_factory=dict)
    connection: Connection | None = None
    # What callctl will set before a statement runs, such as callctl.new_tables_row_security.
    settings: dict[str, str] = field(default_factory=dict)
    # Seconds that may still go by in counting the rows that statements will write.
    patience: float = 10.0

    def relation(self, name: Name) -> Relation | None:
        """The table of this name, if it is there."""
        return self.relations.get(name)

    def named(self, words: tuple[str, ...]) -> Name:
        """The name that one or two words of a statement say."""
        return Name(*words[-2:]) if len(words) > 1 else Name(self.schema, words[0])

    def with_children(self, name: Name) -> list[Name]:
        """A table, its partitions and its inheritance children."""
        found = [name]
        for parent in found:
            relation = self.relations.get(parent)
            found += [child for child in (relation.children if relation else ()) if child not in found]
        return found

    def referring(self, name: Name) -> Iterator[tuple[Relation, Constraint]]:
        """The foreign keys that refer to a table, and whose they are."""
        for relation in self.relations.values():
            for key in relation.foreign_keys():
                if key.refers_to == name:
                    yield relation, key

    def home_of(self, index: Name) -> Relation | None:
        """The table of an index."""
        return next(
            (
                relation
                for relation in self.relations.values()
                if index.name in relation.indexes and relation.indexes[index.name].name == index
            ),
            None,
        )

    def type_name(self, oid: int) -> str | None:
        """The name of a built-in type."""
        known = self.types.get(oid)
        return known.name if known else None

    def type_of(self, text: str) -> Type | None:
        """The type that SQL writes so, as the server reads it; None where it does not know it (yet).

        Nothing but a type is sent: a name, with lengths and brackets.
        """
        import psycopg

        if self.connection is None or _TYPE.fullmatch(text) is None:
            return None
        query = f"SELECT CAST(NULL AS {text}) LIMIT 0"
        try:
            with self.connection.transaction(force_rollback=True):
                cursor = self.connection.execute(query)
        except psycopg.Error:
            return None
        if cursor.pgresult is None or not cursor.pgresult.nfields:
            return None
        found = Type(cursor.pgresult.ftype(0), cursor.pgresult.fmod(0))
        # Of a domain the server describes the type below it.
        row = (
            self.connection.execute("SELECT to_regtype(%s)::oid::bigint", (text,)).fetchone()
            if "(" not in text
            else None
        )
        domain = row is not None and row[0] is not None and self.types.get(row[0])
        return Type(row[0]) if row and domain and domain.kind == "d" else found

    def volatile(self, functions: Iterable[str]) -> bool:
        """Whether one of these functions returns another value for each row."""
        names = sorted(set(functions))
        if not names or self.connection is None:
            return bool(names)
        return bool(self.connection.execute(read_sql("forecast/volatile.sql"), {"names": names}).fetchall())

    def foreign(self, functions: Iterable[str]) -> list[str]:
        """Those of these functions that are not PostgreSQL's own."""
        names = sorted(set(functions))
        if not names or self.connection is None:
            return names
        rows = self.connection.execute(read_sql("forecast/built_in.sql"), {"names": names}).fetchall()
        return sorted(set(names) - {name for (name,) in rows})

    def query(self, sql: str) -> list[tuple[object, ...]] | None:
        """The rows of a query of callctl's own tables; None where they are not there, or it cannot be asked."""
        import psycopg

        if self.connection is None:
            return None
        try:
            with self.connection.transaction(force_rollback=True):
                return self.connection.execute(sql).fetchall()
        except psycopg.Error:
            return None


def read_catalog(connection: Connection, schema: str) -> Catalog:
    """The facts of this database. Reads the system catalogs; the caller has a READ ONLY transaction under way.

    A table that was never analyzed is counted up to ``MOST_COUNTED`` rows, for ``COUNT_MS`` milliseconds at most.
    """
    relations: dict[int, Relation] = {}
    children: dict[int, list[int]] = {}
    for row in _rows(connection, "forecast/relations.sql"):
        relations[row["oid"]] = Relation(
            Name(row["schema"], row["name"]),
            row["kind"],
            row["rows"],
            row["bytes"] or 0,
            row["pages"],
            row["index_bytes"] or 0,
            row_security=row["row_security"],
            ruled=row["ruled"],
            readable=row["readable"],
        )
        children[row["oid"]] = row["children"]
    for oid, below in children.items():
        relations[oid].children = [relations[child].name for child in below if child in relations]
    for row in _rows(connection, "forecast/columns.sql"):
        if row["relation"] in relations:
            relation = relations[row["relation"]]
            relation.columns[row["name"]] = Type(row["type"], row["modifier"])
            if row["not_null"]:
                relation.not_null.add(row["name"])
    for row in _rows(connection, "forecast/constraints.sql"):
        if row["relation"] in relations:
            target = relations.get(row["refers_to"])
            relations[row["relation"]].constraints[row["name"]] = Constraint(
                row["name"],
                row["kind"],
                row["validated"],
                tuple(row["columns"]),
                target.name if target else None,
                tuple(row["referred"]),
                row["on_delete"],
            )
    for row in _rows(connection, "forecast/indexes.sql"):
        if row["relation"] in relations:
            relations[row["relation"]].indexes[row["name"]] = Index(
                Name(row["schema"], row["name"]),
                tuple(row["columns"]),
                row["valid"],
                row["bytes"],
                row["is_unique"],
                row["clustered"],
                row["identity"],
            )
    for row in _rows(connection, "forecast/statistics.sql"):
        if row["relation"] in relations:
            relations[row["relation"]].statistics[row["name"]] = tuple(row["columns"])
    for row in _rows(connection, "forecast/triggers.sql"):
        if row["relation"] in relations:
            events = frozenset(event for event in ("insert", "update", "delete") if row[f"on_{event}"])
            relations[row["relation"]].triggers[row["name"]] = Trigger(
                row["name"],
                row["enabled"],
                events,
                Name(row["function_schema"], row["function"]),
                row["language"],
                row["body"],
            )
    casts = frozenset((row["source"], row["target"]) for row in _rows(connection, "forecast/casts.sql"))
    types = {
        row["oid"]: _Domain(row["base"], row["modifier"], row["checked"], row["name"], row["kind"])
        for row in _rows(connection, "forecast/types.sql")
    }
    zone = connection.execute("SELECT current_setting('TimeZone')").fetchone()
    by_name = {relation.name: relation for relation in relations.values()}
    catalog = Catalog(
        schema,
        by_name,
        connection.info.server_version,
        bool(zone and zone[0].upper() in ("UTC", "GMT", "ETC/UTC")),
        casts,
        types,
        connection,
    )
    for relation in by_name.values():
        if relation.rows is None and relation.kind in ("r", "m") and relation.name.schema in (schema, "callctl"):
            _count(connection, relation)
    return catalog


def _count(connection: Connection, relation: Relation) -> None:
    """Count the rows of a table without statistics, if they are few."""
    import psycopg

    if not relation.size:
        relation.rows, relation.counted = 0, True
        return
    if not relation.readable:
        return
    try:
        query = f"SELECT count(*) FROM (SELECT FROM ONLY {relation.name.sql} LIMIT {MOST_COUNTED + 1}) AS counted"
        found = count_within(connection, query, COUNT_MS)
    except psycopg.Error:
        return
    if found <= MOST_COUNTED:
        relation.rows, relation.counted = found, True


def count_within(connection: Connection, query: str, milliseconds: int) -> int:
    """The number that a query returns, if it does so in that time. Its locks do not stay. Raises psycopg.Error."""
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('statement_timeout', %s, true)", (str(max(1, milliseconds)),))
        (row,) = connection.execute(stored(query)).fetchall()
    return int(row[0])


def _rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(read_sql(name)).fetchall()
