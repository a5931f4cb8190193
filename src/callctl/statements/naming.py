"""Finds the identifiers of this database from catalog facts, and the place of callctl's saved values.

The SQL of callctl names things as the specification does. A ``Naming`` says what each of those names is
called here; ``callctl.statements.adaptation`` puts it in. Names are as the catalog holds them (folded, without quotes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from callctl.errors import Code, ConfigError, Refused
from callctl.files import read_sql

if TYPE_CHECKING:
    import psycopg

# Catalog facts -> which identifiers this database uses.

DOCUMENTED_SCHEMA = "chatapp"
TYPE_COLUMN = "chatbottype"
SOFT_DELETE = ("deletedat", "deleted_at")

# The specification writes deleted_at for these two tables and deletedAt for the others.
_SNAKE_SOFT_DELETE = frozenset({"users", "companies"})
# It says nothing of soft delete for these.
_NO_SOFT_DELETE = frozenset({"conversations", "end_users"})
_TYPED = MappingProxyType(
    {"chatbots": ("enabled_chat", "enabled_call"), "chatbot_packages": ("enable_chat", "enable_call")}
)
# Documented column -> other names it goes by. Each name is also known in camelCase, quoted or folded.
_COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "users": {"company_id": (), "avatar_url": ()},
        "companies": {},
        "chatbots": {"company_id": (), "package_id": ("chatbot_package_id",)},
        "chatbot_packages": {},
        "conversations": {"company_id": (), "chatbot_id": (), "end_user_id": ()},
        "end_users": {"company_id": ()},
        "ai_models": {
            "model_name": ("model_id",),
            "display_name": (),
            "supports_audio": (),
            "context_window": ("input_limit",),
            "max_output_tokens": ("output_limit",),
            "input_cost_per_token": ("input_price_per_million",),
            "output_cost_per_token": ("output_price_per_million",),
            "cached_input_cost_per_token": ("cached_input_price",),
            "audio_cost_per_second_input": (),
            "audio_cost_per_second_output": (),
        },
    }
)
# These hold US dollars per million tokens where the specification has dollars per token.
_PER_MILLION = frozenset({"input_price_per_million", "output_price_per_million", "cached_input_price"})
TABLES = tuple(_COLUMNS)


@dataclass(frozen=True)
class TableNaming:
    """One table of the platform.

    ``columns``: documented name -> actual name; ``absent``: the soft-delete spellings when it has no such
    column; ``units``: documented name -> factor, where actual value = documented value * factor.
    """

    name: str
    exists: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    units: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def moved(self) -> frozenset[str]:
        """The documented names that this database spells differently."""
        renamed = {name for name, actual in self.columns.items() if name != actual}
        return frozenset(renamed | self.absent | set(self.units))

    @property
    def soft_delete(self) -> str | None:
        """The actual soft-delete column, or None."""
        return self.columns.get(SOFT_DELETE[0])

    def is_documented_spelling(self, name: str) -> bool:
        """Return whether the specification uses this spelling for this table (it has two for soft delete)."""
        if name not in SOFT_DELETE:
            return True
        if self.name in _NO_SOFT_DELETE:
            return False
        return (name == "deleted_at") == (self.name in _SNAKE_SOFT_DELETE)


@dataclass(frozen=True)
class Naming:
    """The names of this database. ``notes`` are decisions the operator should read."""

    schema: str
    tables: Mapping[str, TableNaming]
    notes: tuple[str, ...] = ()

    @cached_property
    def moved(self) -> frozenset[str]:
        """Every documented column name that some table spells otherwise, or has not."""
        return frozenset().union(*(table.moved for table in self.tables.values()))

    @cached_property
    def actual(self) -> frozenset[str]:
        """The moved names, as this database spells them."""
        tables = self.tables.values()
        return frozenset(table.columns[name] for table in tables for name in table.moved - table.absent)

    @property
    def schema_moved(self) -> bool:
        """Whether the schema has another name than the documented one."""
        return self.schema != DOCUMENTED_SCHEMA

    def describe(self) -> tuple[tuple[str, str, str], ...]:
        """(table, documented, actual) where they differ; the schema's own row has the table ``''``.

        An absent column's actual is ``(none)``; a column in another unit says so after its name.
        """
        rows = [("", DOCUMENTED_SCHEMA, self.schema)] if self.schema_moved else []
        for table in self.tables.values():
            for name in sorted(table.moved):
                if not table.is_documented_spelling(name):
                    continue
                actual = table.columns.get(name, "(none)")
                if name in table.units:
                    actual += f" (documented value times {table.units[name]})"
                rows.append((table.name, _spec_spelling(name), actual))
        return tuple(rows)


def _spec_spelling(name: str) -> str:
    return {"chatbottype": "chatbotType", "deletedat": "deletedAt"}.get(name, name)


def _documented() -> Naming:
    tables = {}
    for name, columns in _COLUMNS.items():
        known = {column: column for column in (*columns, *SOFT_DELETE)}
        if name in _TYPED:
            known[TYPE_COLUMN] = TYPE_COLUMN
        tables[name] = TableNaming(name, True, MappingProxyType(known))
    return Naming(DOCUMENTED_SCHEMA, MappingProxyType(tables))


DOCUMENTED = _documented()
"""The naming of the specification: nothing moves."""


def read_naming(connection: psycopg.Connection[Any], schema: str) -> Naming:
    """Look at the catalog and decide what this database calls each documented name.

    Reads only; runs in the caller's transaction, or in none. A table that is missing is ``exists=False``.
    Raises :class:`Refused`, naming everything that cannot be decided at once.
    """
    facts = _read(connection, schema)
    problems: list[str] = []
    notes: list[str] = []
    tables: dict[str, TableNaming] = {}
    remembered = _remembered(connection)
    for name in TABLES:
        columns = facts.get(name)
        if columns is None:
            tables[name] = TableNaming(name, exists=False)
            continue
        actual_names, units = _found(name, columns)
        if name == "chatbots":
            actual_names.update(_package_column(connection, schema, columns))
        if name in _TYPED:
            actual_names.update(_type_column(schema, name, columns, remembered.get(name), problems, notes))
        soft = _soft_delete(connection, schema, name, columns, problems)
        actual_names.update(dict.fromkeys(SOFT_DELETE, soft) if soft else {})
        absent = frozenset() if soft else frozenset(SOFT_DELETE)
        tables[name] = TableNaming(name, True, MappingProxyType(actual_names), absent, MappingProxyType(units))
    if problems:
        raise Refused(
            Code.NAMES_UNCLEAR,
            f"callctl cannot tell how this database names the platform's columns: {'; '.join(problems)}",
            hint="change the schema so that the names are clear, then run the same command again; nothing was changed",
        )
    return Naming(schema, MappingProxyType(tables), tuple(notes))


def assert_platform(connection: psycopg.Connection[Any], schema: str) -> None:
    """Raise ConfigError if ``schema`` has no table chatbots; otherwise as :func:`read_naming`."""
    if not read_naming(connection, schema).tables["chatbots"].exists:
        raise ConfigError(
            Code.WRONG_SCHEMA,
            f'schema "{schema}" has no table chatbots, so it is not the platform\'s; nothing was changed',
            hint=_schema_hint([row[0] for row in _rows(connection, "statements/naming_schemas.sql", {})]),
        )


Columns = Mapping[str, tuple[str, str]]  # name -> (type as SQL writes it, type category)


def _read(connection: psycopg.Connection[Any], schema: str) -> dict[str, Columns]:
    """The columns of the tables that are there."""
    facts: dict[str, dict[str, tuple[str, str]]] = {}
    rows = _rows(connection, "statements/naming.sql", {"schema": schema, "tables": list(TABLES)})
    if not rows:
        schemas = [row[0] for row in _rows(connection, "statements/naming_schemas.sql", {})]
        if schema not in {row[0] for row in _rows(connection, "statements/naming_exists.sql", {"schema": schema})}:
            raise ConfigError(
                Code.WRONG_SCHEMA, f'there is no schema "{schema}" in this database', hint=_schema_hint(schemas)
            )
        if schemas:
            raise ConfigError(
                Code.WRONG_SCHEMA, f'schema "{schema}" has none of the platform\'s tables', hint=_schema_hint(schemas)
            )
    for relation, column, type_name, category in rows:
        facts.setdefault(relation, {})
        if column is not None:
            facts[relation][column] = (type_name, category)
    return dict(facts)


def _schema_hint(schemas: Sequence[str]) -> str:
    if not schemas:
        return "no schema of this database has a table chatbots; check that it is the right database"
    return f"a table chatbots is in {', '.join(schemas)}; name the schema with --schema or CALLCTL_SCHEMA"


def _rows(connection: psycopg.Connection[Any], name: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
    from psycopg.rows import tuple_row

    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(read_sql(name), parameters).fetchall()


def _spellings(names: Iterable[str]) -> list[str]:
    """Each name, then each in camelCase, then each as PostgreSQL folds that."""
    listed = list(names)
    camel = [re.sub(r"_([a-z])", lambda match: match[1].upper(), name) for name in listed]
    return list(dict.fromkeys((*listed, *camel, *(name.lower() for name in camel))))


def _found(table: str, columns: Columns) -> tuple[dict[str, str], dict[str, int]]:
    """The columns that go by one of the names we know, and the factors of those in another unit.

    A column under none of them keeps the documented name: a step adds it under that name.
    """
    actual_names: dict[str, str] = {}
    units: dict[str, int] = {}
    for documented, others in _COLUMNS[table].items():
        candidates = [*_spellings([documented]), *_spellings(others)]
        actual = next((name for name in candidates if name in columns), documented)
        actual_names[documented] = actual
        if actual in {name for known in _PER_MILLION for name in _spellings([known])}:
            units[documented] = 1_000_000
    return actual_names, units


def _package_column(connection: psycopg.Connection[Any], schema: str, columns: Columns) -> dict[str, str]:
    """The column of chatbots that names its package: by its name, else by its foreign key."""
    if any(name in columns for name in _spellings(["package_id", "chatbot_package_id"])):
        return {}
    keys = [row[0] for row in _rows(connection, "statements/naming_package_key.sql", {"schema": schema})]
    return {"package_id": keys[0]} if len(keys) == 1 else {}


def _remembered(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return the names of the removed type columns, as callctl's store recorded them."""
    if _rows(connection, "statements/naming_store.sql", {}) != [(True,)]:
        return {}
    return {row[0]: row[1] for row in _rows(connection, "statements/naming_remembered.sql", {})}


def _type_column(
    schema: str, table: str, columns: Columns, remembered: str | None, problems: list[str], notes: list[str]
) -> dict[str, str]:
    present = [name for name in _spellings(["chatbot_type"]) if name in columns]
    where = f"{schema}.{table}"
    if len(present) > 1:
        problems.append(f"{where} has {len(present)} type columns ({', '.join(sorted(present))})")
        return {}
    if present:
        type_name, category = columns[present[0]]
        if category not in ("S", "E"):
            problems.append(f"{where}.{present[0]} is of type {type_name}, not of a text type or an enum")
        return {TYPE_COLUMN: present[0]}
    if remembered is not None:
        return {TYPE_COLUMN: remembered}
    if all(flag in columns for flag in _TYPED[table]):
        notes.append(f"{where} has the capability flags and no type column, and callctl did not remove one")
        return {TYPE_COLUMN: TYPE_COLUMN}
    problems.append(f"{where} has no type column (chatbotType, chatbot_type) and no capability flags")
    return {}


def _soft_delete(
    connection: psycopg.Connection[Any], schema: str, table: str, columns: Columns, problems: list[str]
) -> str | None:
    present = [name for name in ("deleted_at", "deletedat", "deletedAt") if name in columns]
    for other in present[1:]:
        from psycopg import sql
        from psycopg.rows import tuple_row

        query = sql.SQL(read_sql("statements/naming_soft_delete.sql")).format(
            relation=sql.Identifier(schema, table),
            one=sql.Identifier(present[0]),
            other=sql.Identifier(other),
        )
        count, examples = connection.cursor(row_factory=tuple_row).execute(query).fetchall()[0]
        if count:
            problems.append(
                f"{schema}.{table} has two soft-delete columns, {present[0]} and {other}, "
                f"that disagree on {count} {'row' if count == 1 else 'rows'} (id {', '.join(examples)})"
            )
    return present[0] if present else None


def has_type(connection: psycopg.Connection[Any], naming: Naming, table: str) -> bool:
    """Return whether ``chatbots`` or ``chatbot_packages`` has its type column still, or again."""
    column = naming.tables[table].columns.get(TYPE_COLUMN)  # None if the table is gone
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
        " AND attname = %s AND NOT attisdropped)",
        (naming.schema, table, column),
    ).fetchone()
    return bool(row and row[0])


# Where callctl keeps what it saved of the platform's rows, and which statements read or write it.

STORE = "callctl"
# Values of single fields, and whole rows: sql/store/05_saved_values.sql, 09_models.sql.
VALUES = (STORE, "saved_value")
ROWS = (STORE, "saved_row")
# A query of these reads the saved values: its time grows with them.
_READ_VALUES = frozenset({VALUES, (STORE, "changed_records")})


def is_saved(schema: str, table: str) -> bool:
    """Return whether the rows of a table are what callctl saved of another table's rows."""
    return (schema, table) in (VALUES, ROWS)


def reads_values(sql: str) -> bool:
    """Return whether a statement names the saved values, or the function that reads them all."""
    from callctl.statements.tokens import qualified_names

    return not _READ_VALUES.isdisjoint(qualified_names(sql))


def adds_values(sql: str) -> bool:
    """Return whether a statement inserts into the saved values."""
    from callctl.statements.tokens import tokens

    items = tokens(sql)
    return any(
        token.says("into") and tuple(part.word for part in items[index + 1 : index + 4 : 2]) == VALUES
        for index, token in enumerate(items)
    )
