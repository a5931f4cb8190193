"""Synthetic rows in the shapes of a survey: each value is made from its row's number, so that keys and checks hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from callctl.database import connection as database
from callctl.files import read_sql
from callctl.rehearsal.survey import ColumnShape, SettingsShare, Survey, TableName, TypeShare
from callctl.statements.naming import TYPE_COLUMN
from callctl.stored_bytes import stored
from callctl.tenants.call_settings import load_schema

if TYPE_CHECKING:
    import psycopg

    Rehearsed: TypeAlias = psycopg.Connection[tuple[object, ...]]

CHUNK = 20_000
# Where the statistics of a column are not known.
UNKNOWN = ColumnShape(0.1, -1.0, 16)
# Numbers of rows for which a value is tried against the checks of its column.
_TRIED = (1, 2, 3, 10, 999, 12_345)
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"(?<![\w'])-?\d+(?:\.\d+)?(?![\w'])")
_ATTEMPTS = 6
_NUMBERS = {"int2": 32_000, "int4": 2_000_000_000, "int8": 2_000_000_000, "oid": 2_000_000_000}
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name"})
# Texts that a check may ask for, of row number {n}.
_TEXT_FORMS = (
    "'v' || {n}", "{n}::text", "'user' || {n} || '@example.com'", "'https://example.com/' || {n}",
    "'+1555' || lpad({n}::text, 7, '0')", "'#' || upper(lpad(to_hex({n} % 16777216), 6, '0'))",
    "upper('v' || {n})", "chr(97 + ({n} % 26)::integer) || chr(97 + ({n} / 26 % 26)::integer)",
    "upper(chr(97 + ({n} % 26)::integer) || chr(97 + ({n} / 26 % 26)::integer))",
    "'10.0.' || {n} / 256 % 256 || '.' || {n} % 256", "'Synthetic text number ' || {n}", "''",
)  # fmt: skip
_NUMBER_FORMS = ("{n}", "{n} % 100", "{n} % 5 + 1", "({n} % 100) / 100.0", "1", "0", "-{n}", "{n} + 1000")


@dataclass(frozen=True)
class Filled:
    """The rows of one table: ``wanted`` in its share, ``rows`` that the constraints let in; why, where they differ."""

    table: TableName
    target_rows: int | None
    wanted: int
    rows: int
    problem: str | None = None


@dataclass(frozen=True)
class _Column:
    """A column as columns.sql describes it. ``base`` is the type below its domains."""

    schema: str
    table: str
    name: str
    number: int
    type: str
    base: str
    kind: str
    modifier: int
    not_null: bool
    generated: bool
    has_default: bool
    labels: list[str] | None
    base_type: str
    domain_checks: str | None
    is_array: bool
    sequence: str | None

    @property
    def home(self) -> TableName:
        """Its table."""
        return TableName(self.schema, self.table)


@dataclass(frozen=True)
class _Check:
    schema: str
    table: str
    name: str
    condition: str
    columns: list[str] | None


@dataclass(frozen=True)
class _ForeignKey:
    schema: str
    table: str
    name: str
    columns: list[str]
    to_schema: str
    to_table: str
    to_columns: list[str]


@dataclass(frozen=True)
class _Unique:
    schema: str
    table: str
    name: str
    columns: list[str] | None


@dataclass
class _Table:
    """One table: its columns, and how each is to be made."""

    name: TableName
    columns: dict[str, _Column]
    wanted: int
    target_rows: int | None
    shapes: Mapping[str, ColumnShape]
    checks: list[_Check] = field(default_factory=list)
    keys: list[_ForeignKey] = field(default_factory=list)  # of each column one at most
    distinct: set[str] = field(default_factory=set)  # columns whose every value is another
    spread: dict[str, tuple[str, int]] = field(default_factory=dict)  # key -> the row of the other table
    forms: dict[str, str] = field(default_factory=dict)  # column -> a value of {n} that its checks take
    empty: set[str] = field(default_factory=set)  # columns that are left NULL, for a check of several
    tried: bool = False
    unchecked: bool = False  # a deferrable key cannot leave out the rows that it refuses
    rows: int = 0
    made: int = 0  # rows that were added since

    def key_of(self, column: str) -> _ForeignKey | None:
        """The foreign key that decides a column."""
        return next((key for key in self.keys if column in key.columns), None)


# Of a table whose types this role may not count: one chatbot in ten takes calls.
USUAL = (TypeShare("chat", "chat", 9), TypeShare("call", "call", 1))


class CannotMake(Exception):
    """No value of a column can be made; the text says of which, and why."""


class Filler:
    """Makes rows in the rehearsal's database. ``most`` is the number of rows that no table exceeds."""

    def __init__(self, connection: Rehearsed, survey: Survey, most: int) -> None:
        self._connection, self._survey, self._most = connection, survey, most
        self._special: dict[tuple[TableName, str], Callable[[str], str]] = {}
        self._tables = self._read()
        self._prepare_lookups()

    # ---- what is to be filled ----------------------------------------------------------------------

    def _read(self) -> dict[TableName, _Table]:
        shapes = {table.table: table for table in self._survey.tables}
        wanted = {"schemas": [name.schema for name in shapes], "tables": [name.name for name in shapes]}
        tables: dict[TableName, _Table] = {}
        for column in database.select(self._connection, _Column, read_sql("rehearsal/columns.sql"), wanted):
            shape = shapes[column.home]
            rows = min(self._most, shape.rows if shape.rows is not None else self._most)
            table = tables.setdefault(column.home, _Table(column.home, {}, rows, shape.rows, shape.columns))
            table.columns[column.name] = column
        for check in database.select(self._connection, _Check, read_sql("rehearsal/checks.sql")):
            if (home := tables.get(TableName(check.schema, check.table))) is not None:
                home.checks.append(check)
        for key in database.select(self._connection, _ForeignKey, read_sql("rehearsal/foreign_keys.sql")):
            home = tables.get(TableName(key.schema, key.table))
            if home is not None and not any(home.key_of(column) for column in key.columns):
                home.keys.append(key)
        for unique in database.select(self._connection, _Unique, read_sql("rehearsal/unique_keys.sql")):
            if (home := tables.get(TableName(unique.schema, unique.table))) is not None:
                _make_distinct(home, unique, tables)
        return tables

    def ordered(self) -> list[TableName]:
        """The tables, each behind those that it refers to; a circle begins where its first table is."""
        done: list[TableName] = []

        def visit(name: TableName, above: tuple[TableName, ...]) -> None:
            if name in done or name in above or name not in self._tables:
                return
            for key in self._tables[name].keys:
                visit(TableName(key.to_schema, key.to_table), (*above, name))
            done.append(name)

        for name in self._tables:
            visit(name, ())
        return done

    # ---- filling -----------------------------------------------------------------------------------

    def fill(self, on_rows: Callable[[TableName, int, int], None]) -> tuple[Filled, ...]:
        """Fill every table; ``on_rows`` hears of (table, rows so far, rows of all tables).

        A table whose rows cannot be made stays empty, and is told with the server's reason.
        """
        # No trigger of the platform fires, and no foreign key is looked up: rows are made to fit, and looked at below.
        self._connection.execute("SET session_replication_role = replica")
        total = sum(table.wanted for table in self._tables.values())
        done = 0
        results: dict[TableName, Filled] = {}
        for name in self.ordered():
            table = self._tables[name]
            results[name] = self._filled(table, partial(_told, on_rows, name, done, total))
            done += table.wanted
        self._connection.execute("SET session_replication_role = origin")
        for name, problem in self._orphans():
            rows = self._count(name)
            results[name] = replace(results[name], rows=rows, problem=problem)
            self._tables[name].rows = rows
        self._connection.execute("ANALYZE")
        return tuple(results.values())

    def _filled(self, table: _Table, on_rows: Callable[[int], None]) -> Filled:
        problem = None
        try:
            self._prepare(table)
            self._insert_all(table, on_rows)
            table.rows = self._count(table.name)
            self._advance_sequences(table)
        except CannotMake as reason:
            problem = str(reason)
        table.tried = True
        if problem is None and table.rows < table.wanted:
            problem = "a unique key lets in no more"
        return Filled(table.name, table.target_rows, table.wanted, table.rows, problem)

    def _insert_all(self, table: _Table, on_rows: Callable[[int], None]) -> None:
        """Insert the rows. Where a check of several columns refuses them, its columns that may be NULL are."""
        import psycopg

        for _ in range(_ATTEMPTS):
            try:
                with self._connection.transaction():
                    for first in range(1, table.wanted + 1, CHUNK):
                        last = min(first + CHUNK - 1, table.wanted)
                        self._connection.execute(stored(self._statement(table, first, last)))
                        on_rows(last)
                return
            except psycopg.errors.CheckViolation as error:
                columns = self._emptied(table, error.diag.constraint_name or "")
                if not columns:
                    raise CannotMake(database.error_text(error)) from None
                table.empty |= columns
            except psycopg.errors.ObjectNotInPrerequisiteState:
                if table.unchecked:
                    raise
                table.unchecked = True
            except psycopg.Error as error:
                raise CannotMake(database.error_text(error)) from None
        raise CannotMake("its CHECK constraints do not fit together")

    def _emptied(self, table: _Table, constraint: str) -> set[str]:
        """The columns of a check that can be left NULL and are not yet."""
        columns = {name for check in table.checks if check.name == constraint for name in check.columns or ()}
        return {
            name for name in columns if not table.columns[name].not_null and name not in table.empty | table.distinct
        }

    def _statement(self, table: _Table, first: int, last: int) -> str:
        """The INSERT of the rows of these numbers. A row that a unique key refuses is left out."""
        made = {
            column.name: self.value(table, column, "r.i") for column in table.columns.values() if not column.generated
        }
        return _insert(table.name, made, first, last) + ("" if table.unchecked else " ON CONFLICT DO NOTHING")

    def new_row(self, name: TableName, given: Mapping[str, str], without: Collection[str] = ()) -> str:
        """The INSERT of one more row, as an application writes it: ``given`` columns, and those that need a value."""
        table = self._tables[name]
        table.made += 1
        made = {
            column.name: self.value(table, column, "r.i")
            for column in table.columns.values()
            if column.not_null and not column.has_default and not column.generated and column.name not in without
        }
        number = table.wanted + table.made
        return _insert(name, {**made, **given}, number, number)

    def type_of(self, name: TableName, column: str) -> str:
        """The type of a column before up, as SQL writes it."""
        return self._tables[name].columns[column].type

    def _advance_sequences(self, table: _Table) -> None:
        for column in table.columns.values():
            if column.sequence is not None and table.rows:
                greatest = f"greatest(max({quoted(column.name)}), 1)"
                query = f"SELECT setval({_literal(column.sequence)}::regclass, {greatest}) FROM {relation(table.name)}"
                self._connection.execute(stored(query))

    def _count(self, name: TableName) -> int:
        return int(str(self._connection.execute(stored(f"SELECT count(*) FROM {relation(name)}")).fetchall()[0][0]))

    def _orphans(self) -> Iterator[tuple[TableName, str]]:
        """Delete the rows whose foreign key finds nothing, until none is left; yield their tables with the reason."""
        keys = database.select(self._connection, _ForeignKey, read_sql("rehearsal/foreign_keys.sql"))
        found = True
        while found:
            found = False
            for key in keys:
                name = TableName(key.schema, key.table)
                if name not in self._tables:
                    continue
                pairs = list(zip(key.columns, key.to_columns, strict=True))
                same = " AND ".join(f"p.{quoted(to)} = c.{quoted(column)}" for column, to in pairs)
                given = " AND ".join(f"c.{quoted(column)} IS NOT NULL" for column in key.columns)
                referred = f"SELECT FROM {relation(TableName(key.to_schema, key.to_table))} AS p WHERE {same}"
                delete = f"DELETE FROM {relation(name)} AS c WHERE {given} AND NOT EXISTS ({referred})"
                deleted = self._connection.execute(stored(delete)).rowcount
                if deleted:
                    found = True
                    yield name, f"foreign key {key.name}: {deleted} rows had no row to refer to and were deleted"

    # ---- one value ---------------------------------------------------------------------------------

    def value(self, table: _Table, column: _Column, i: str, above: tuple[object, ...] = ()) -> str:
        """The SQL of a column's value in the row of number ``i``. Raises CannotMake."""
        special = self._special.get((table.name, column.name))
        if special is not None and (table.name, column.name) not in above:
            return special(i)
        key = table.key_of(column.name)
        text = self._referred(table, column, key, i, above) if key is not None else self._made(table, column, i)
        if text == "NULL" and column.not_null:
            raise CannotMake(f"column {column.name} may not be NULL, and no value of type {column.type} can be made")
        shape = table.shapes.get(column.name, UNKNOWN)
        share = round(10_000 * shape.null_share)
        if column.not_null or column.name in table.distinct or not share or text == "NULL":
            return text
        salt = key.columns[0] if key is not None else column.name
        return f"CASE WHEN {self._roll(table, salt, i, 10_000, 'null')} >= {share} THEN {text} END"

    def _referred(self, table: _Table, column: _Column, key: _ForeignKey, i: str, above: tuple[object, ...]) -> str:
        """The value of the referenced column, in a row of the other table that the row's number chooses."""
        other = self._tables.get(TableName(key.to_schema, key.to_table))
        # In a circle, and of itself, it refers to rows that are yet to be made.
        rows = 0 if other is None else other.rows if other.tried else other.wanted
        if other is None or not rows or (table.name, column.name) in above:
            if column.not_null:
                raise CannotMake(f"column {column.name} refers to {key.to_schema}.{key.to_table}, which has no rows")
            return "NULL"
        if key.name in table.spread:
            step, size = table.spread[key.name]
            chosen = f"(1 + ({i} - 1) / {step} % {min(size, rows)})"
        else:
            most = min(rows, _distinct(table, key.columns[0], rows))
            chosen = f"(1 + {self._roll(table, key.columns[0], i, most)})"
        referenced = other.columns[key.to_columns[key.columns.index(column.name)]]
        return self.value(other, referenced, chosen, (*above, (table.name, column.name)))

    def _made(self, table: _Table, column: _Column, i: str) -> str:
        if column.name in table.empty:
            return "NULL"
        n = self._number(table, column, i)
        if column.name in table.forms:
            return f"({table.forms[column.name].replace('{n}', n)})::{column.type}"
        return self._plain(table, column, n, i)

    def _plain(self, table: _Table, column: _Column, n: str, i: str) -> str:
        """A value of the column's type, whatever its checks."""
        text = _typed(column, n, i, table.shapes.get(column.name, UNKNOWN).width)
        if text is None:
            return "DEFAULT" if column.has_default else "NULL"
        return f"({text})::{column.type}"

    def _number(self, table: _Table, column: _Column, i: str) -> str:
        """The number that a value is made from: the row's own where all differ, else one of those of the column."""
        if column.name in table.distinct:
            return i
        most = _distinct(table, column.name, table.wanted)
        return f"(1 + {self._roll(table, column.name, i, most)})"

    @staticmethod
    def _roll(table: _Table, salt: str, i: str, sides: int, use: str = "") -> str:
        """A number from 0 to ``sides`` - 1 that depends on the row, the column and the use, and on nothing else."""
        number = sum((place + 1) * ord(letter) for place, letter in enumerate(f"{table.name}.{salt}{use}")) % 1_000_003
        return f"((hashint8extended({i}, {number}) & 9223372036854775807) % {max(sides, 1)})"

    # ---- the columns that the steps are about ------------------------------------------------------

    def _is_platform(self, name: TableName) -> bool:
        return name.schema == self._survey.naming.schema

    def _prepare(self, table: _Table) -> None:
        """Find for each column a form that its checks take, and the shares of those that the steps are about."""
        if self._is_platform(table.name):
            self._prepare_special(table)
        for column in table.columns.values():
            if not column.generated and table.key_of(column.name) is None:
                self._choose_form(table, column)

    def _prepare_lookups(self) -> None:
        """Have a table that a type column refers to hold each type that will be there."""
        naming = self._survey.naming
        kinds = [share.type for types in self._survey.types.values() for share in types if share.type is not None]
        for name in self._survey.types:
            table = self._tables.get(TableName(naming.schema, name))
            column = naming.tables[name].columns.get(TYPE_COLUMN, "")
            key = table.key_of(column) if table is not None else None
            lookup = self._tables.get(TableName(key.to_schema, key.to_table)) if key is not None else None
            if table is not None and key is not None and lookup is not None:
                listed = lookup.columns[key.to_columns[key.columns.index(column)]]
                wanted = [self._type(table, table.columns[column], kind) for kind in ("chat", "call", *kinds)]
                types = [f"({text})::text::{listed.type}" for text in dict.fromkeys(wanted)]
                lookup.wanted = max(lookup.wanted, len(types))
                self._special[lookup.name, listed.name] = partial(self._listed, lookup, listed, types)

    def _listed(self, table: _Table, column: _Column, types: Sequence[str], i: str) -> str:
        """The type of this number; in rows behind the last of them another value."""
        cases = "".join(f" WHEN {place} THEN {text}" for place, text in enumerate(types, 1))
        return f"CASE {i}{cases} ELSE {self._plain(table, column, i, i)} END"

    def _prepare_special(self, table: _Table) -> None:
        naming, name = self._survey.naming, table.name.name
        documented = naming.tables.get(name)
        if documented is None:
            return
        types = self._survey.types.get(name, ()) or (USUAL if name in self._survey.types else ())
        column = table.columns.get(documented.columns.get(TYPE_COLUMN, ""))
        if types and column is not None:
            values = [(self._type(table, column, s.type), s.rows) for s in types]
            self._special[table.name, column.name] = self._shares(table, "type", values)
        package = table.columns.get(documented.columns.get("package_id", ""))
        if name == "chatbots" and types and package is not None and self._packages_of is not None:
            values = [(self._package(package, s.package), s.rows) for s in types]
            self._special[table.name, package.name] = self._shares(table, "type", values)
        settings = self._survey.settings.get(name, ())
        column = table.columns.get("settings")
        if settings and column is not None and column.base in ("jsonb", "json"):
            values = [(_settings(name, share, column.base), share.rows) for share in settings]
            self._special[table.name, column.name] = self._shares(table, "settings", values)
        column = table.columns.get(documented.columns.get("avatar_url", ""))
        if name == "users" and self._survey.avatars and column is not None and column.base in _TEXTS:
            values = [(_avatar(column, share.length), share.rows) for share in self._survey.avatars]
            self._special[table.name, column.name] = self._shares(table, "avatar", values)

    def _shares(self, table: _Table, salt: str, values: Sequence[tuple[str, int]]) -> Callable[[str], str]:
        """The values in their shares; the first rows have one of each, so that a rare one is there as well."""
        total = sum(rows for _, rows in values)

        def chosen(i: str) -> str:
            firsts = "".join(f" WHEN {i} = {place} THEN {text}" for place, (text, _) in enumerate(values, 1))
            rest, reached = "", 0
            for text, rows in values[:-1]:
                reached += rows
                rest += f" WHEN {self._roll(table, salt, i, total)} < {reached} THEN {text}"
            return f"CASE{firsts}{rest} ELSE {values[-1][0]} END"

        return lambda i: chosen(i).replace("{n}", i)

    def _type(self, table: _Table, column: _Column, kind: str | None) -> str:
        """A type as the column takes it; for a placeholder that its checks refuse, one that they name."""
        if kind is None:
            return "NULL"
        checks = _checks_of(table, column)
        if kind in ("chat", "call") or self._takes(column, checks, _fitted(column, kind)):
            return _fitted(column, kind)
        named = [_literal(text) for text in _LITERAL.findall(" ".join(checks)) if text not in ("chat", "call")]
        return next(
            (f"{text}::{column.type}" for text in named if self._takes(column, checks, text)), _fitted(column, "chat")
        )

    @property
    def _packages_of(self) -> str | None:
        """The query for packages and whether each is for calls; None where there is no such table."""
        naming = self._survey.naming
        name = TableName(naming.schema, "chatbot_packages")
        kind = naming.tables[name.name].columns.get(TYPE_COLUMN, "")
        table = self._tables.get(name)
        if table is None or not {"id", kind} <= set(table.columns):
            return None
        return (
            f"SELECT id::text, coalesce({quoted(kind)}::text = 'call', false) FROM {relation(name)}"
            " ORDER BY id::text LIMIT 500"
        )

    def _package(self, column: _Column, kind: str | None) -> str:
        """One of the packages of this kind, as they have been made."""
        if kind is None and not column.not_null:
            return f"NULL::{column.type}"
        assert self._packages_of is not None
        rows = self._connection.execute(stored(self._packages_of)).fetchall()
        ids = [str(row[0]) for row in rows if row[1] == (kind == "call")] or [str(row[0]) for row in rows]
        if not ids:
            return f"NULL::{column.type}"
        array = ", ".join(map(_literal, ids[:100]))
        return f"((ARRAY[{array}])[1 + (hashint8({{n}}) & 2147483647) % {len(ids[:100])}])::{column.type}"

    # ---- checks ------------------------------------------------------------------------------------

    def _choose_form(self, table: _Table, column: _Column) -> None:
        """Keep a form of the column's value that its checks and its domain take, where the plain one is not."""
        checks = _checks_of(table, column)
        if not checks and not column.domain_checks:
            return
        plain = self._plain(table, column, "{n}", "{n}")
        if plain == "DEFAULT" or self._takes(column, checks, plain):
            return
        for form in self._forms(column, " ".join([*checks, column.domain_checks or ""]), checks):
            if self._takes(column, checks, form):
                table.forms[column.name] = form
                return
        if not column.not_null:
            table.empty.add(column.name)

    def _forms(self, column: _Column, conditions: str, checks: Sequence[str]) -> Iterator[str]:
        """Yield forms: the values that the check itself names, all that it takes together; then common ones."""
        named = [_literal(text.replace("''", "'")) for text in _LITERAL.findall(conditions)]
        if column.base not in _TEXTS:
            named = [*_NUMBER.findall(conditions), *named]
        taken = [text for text in dict.fromkeys(named) if self._takes(column, checks, text)]
        if taken:
            yield f"(ARRAY[{', '.join(taken)}])[1 + {{n}} % {len(taken)}]"
        yield from _TEXT_FORMS if column.base in _TEXTS else _NUMBER_FORMS

    def _takes(self, column: _Column, checks: Sequence[str], form: str) -> bool:
        """Return whether the server takes this form of a value in the column."""
        import psycopg

        tried = ", ".join(f"({number}::bigint)" for number in _TRIED)
        conditions = " AND ".join(f"coalesce(({check}), true)" for check in checks) or "true"
        value = form.replace("{n}", "r.i")
        query = (
            # Counted, so that the server makes the value where there is only a domain to take it.
            f"SELECT bool_and({conditions}) AND count({quoted(column.name)}) >= 0 FROM (SELECT ({value})::{column.type}"
            f" AS {quoted(column.name)} FROM (VALUES {tried}) AS r(i)) AS v"
        )
        try:
            with self._connection.transaction():
                return self._connection.execute(stored(query)).fetchall()[0][0] is True
        except psycopg.Error:
            return False


def _told(on_rows: Callable[[TableName, int, int], None], name: TableName, before: int, total: int, rows: int) -> None:
    on_rows(name, before + rows, total)


def _insert(name: TableName, made: Mapping[str, str], first: int, last: int) -> str:
    given = {column: text for column, text in made.items() if text != "DEFAULT"}
    return (
        f"INSERT INTO {relation(name)} ({', '.join(map(quoted, given))}) OVERRIDING SYSTEM VALUE"
        f" SELECT {', '.join(given.values())} FROM generate_series({first}::bigint, {last}::bigint) AS r(i)"
    )


def _make_distinct(table: _Table, unique: _Unique, tables: Mapping[TableName, _Table]) -> None:
    """Have the columns of a unique index differ: one of them in every row, or the rows they refer to in every pair."""
    columns = [table.columns[name] for name in unique.columns or () if name in table.columns]
    if any(column.name in table.distinct for column in columns):
        return
    free = [c for c in columns if table.key_of(c.name) is None and (c.base in _TEXTS or c.base in _NUMBERS
            or c.base in ("uuid", "numeric", "timestamp", "timestamptz", "date", "bytea", "inet"))]  # fmt: skip
    if free:
        table.distinct |= {column.name for column in free}
        return
    step = 1
    keys = {key.name: key for column in columns if (key := table.key_of(column.name)) is not None}
    for key in keys.values():
        if key.name in table.spread:
            continue
        other = tables.get(TableName(key.to_schema, key.to_table))
        size = max(other.wanted if other is not None else 1, 1)
        table.spread[key.name] = (str(step), size)
        step *= size


def _checks_of(table: _Table, column: _Column) -> list[str]:
    """The conditions of the checks that are about this column alone."""
    return [check.condition for check in table.checks if check.columns == [column.name]]


def _distinct(table: _Table, column: str, rows: int) -> int:
    """The number of values that a column has in this number of rows."""
    known = table.shapes.get(column, UNKNOWN).distinct_values
    number = -known * rows if known < 0 else known or rows
    return max(1, min(round(number), rows))


def _typed(column: _Column, n: str, i: str, width: int) -> str | None:
    """A value of the type, made from the number ``n``; None for a type that callctl has no values of."""
    base = column.base
    if column.labels:
        labels = ", ".join(map(_literal, column.labels))
        return f"(ARRAY[{labels}])[1 + {n} % {len(column.labels)}]"
    if base in _TEXTS:
        most = 63 if base == "name" else column.modifier - 4 if column.modifier >= 4 else 100_000
        return f"left(rpad({n} || ' ', {max(min(width, 2_000), 8)}, 'synthetic text '), {most})"
    if base in _NUMBERS:
        return f"{n} % {_NUMBERS[base]}"
    if base == "numeric":
        # The digits before the point, of a modifier of ((precision << 16) | scale) + 4.
        precision, scale = (column.modifier - 4) >> 16 & 0xFFFF, (column.modifier - 4) & 0x7FF
        digits = precision - scale if column.modifier >= 4 else 9
        return f"{n} % {10 ** max(min(digits, 9), 0)}"
    simple = {
        "bool": f"{n} % 2 = 0",
        "float4": f"{n} % 1000000",
        "float8": n,
        "money": f"({n} % 1000000)::numeric",
        "uuid": f"md5({n}::text || {_literal(f'{column.table}.{column.name}')})::uuid",
        "bytea": f"decode(md5({n}::text), 'hex')",
        "json": f"json_build_object('synthetic', {n})",
        "jsonb": f"jsonb_build_object('synthetic', {n})",
        "inet": f"'10.0.0.0'::inet + {n} % 16000000",
        "cidr": f"set_masklen('10.0.0.0'::inet + {n} % 16000000, 32)::cidr",
        "macaddr": f"lpad(to_hex({n}), 12, '0')",
        "interval": f"{n} % 100000 * interval '1 second'",
        "time": f"time '00:00' + {n} % 86400 * interval '1 second'",
        "xml": "'<synthetic/>'",
        "tsvector": f"to_tsvector('simple'::regconfig, 'synthetic ' || {n})",
        "point": f"point({n} % 180, {n} % 90)",
        "bit": f"repeat('0', {max(column.modifier, 1)})",
        "varbit": "'0'",
        "hstore": f"'synthetic=>' || {n}",
    }
    if base in simple:
        return simple[base]
    if base in ("timestamp", "timestamptz", "date"):
        # Later columns have later times: a check that a row ends after it began holds.
        return f"timestamp '2024-01-01' + {i} % 500000 * interval '1 minute' + {column.number} * interval '1 second'"
    if column.is_array:
        return "'{}'"
    return "'empty'" if column.kind == "r" else None


def _fitted(column: _Column, text: str) -> str:
    """The literal of a type, cut to what its column holds."""
    most = column.modifier - 4 if column.base in ("varchar", "bpchar") and column.modifier >= 4 else len(text)
    return f"{_literal(text[:most])}::{column.type}"


def _avatar(column: _Column, length: int | None) -> str:
    if length is None:
        return f"NULL::{column.type}"
    start = "'https://example.com/avatars/' || {n} || '.png?'"
    return f"left(rpad({start}, {length}, 'synthetic'), {length})::{column.type}"


_SAMPLES: Mapping[str, object] = {
    "object": {},
    "array": [],
    "string": "synthetic",
    "number": 1,
    "boolean": True,
    "null": None,
}


def _settings(table: str, share: SettingsShare, base: str) -> str:
    """The literal of settings of a shape; documented keys have the specification's default where it is of that type."""
    if share.settings is None:
        return f"NULL::{base}"
    document = _SAMPLES[share.settings]
    if share.settings == "object":
        content: dict[str, object] = {f"other{number}": "synthetic" for number in range(1, share.others + 1)}
        if share.part is not None:
            part = _SAMPLES[share.part]
            content["features" if table == "companies" else "call"] = (
                _keys(share.keys) if share.part == "object" else part
            )
        document = content
    return f"{_literal(json.dumps(document))}::{base}"


def _keys(keys: str | None) -> dict[str, object]:
    """'callEnabled:true', 'voiceId:string,vadThreshold:number' -> an object with these keys."""
    defaults = call_defaults()
    made: dict[str, object] = {}
    for pair in (keys or "").split(",") if keys else ():
        name, _, kind = pair.partition(":")
        if kind in ("true", "false"):
            made[name] = kind == "true"
        else:
            default = defaults.get(name)
            made[name] = default if _json_type(default) == kind else _SAMPLES[kind]
    return made


def call_defaults() -> dict[str, object]:
    """The specification's call settings, with whole numbers as it writes them: 180, not 180.0."""
    text = json.dumps(load_schema().defaults(), default=_number)
    return dict(json.loads(text))


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() and str(value).isdigit() else float(value)


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "number", float: "number", list: "array"}
    return names.get(type(value), "object")


def quoted(name: str) -> str:
    """Return the name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def relation(name: TableName) -> str:
    """Return the table as SQL writes it."""
    return f"{quoted(name.schema)}.{quoted(name.name)}"


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{escaped}'"
