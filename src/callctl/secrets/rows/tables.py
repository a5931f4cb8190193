"""Which tables of this database may hold declared secrets: live ones, archived ones, and what callctl saved."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from callctl.database import store
from callctl.errors import ConfigError, Refused
from callctl.files import read_sql
from callctl.secrets.envelope.fields import ACCOUNTS, DECLARED, WEBHOOK_SECRET, SecretField, declared
from callctl.secrets.envelope.format import Place
from callctl.secrets.rows import kept_secrets
from callctl.secrets.rows.row import Part, Target
from callctl.statements import saved
from callctl.statements.naming import assert_platform

if TYPE_CHECKING:
    from psycopg import sql

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# What a down moves to the archive (sql/database/archived_tables.sql).
ARCHIVED = ("call_transcripts", "calls", "integration_accounts")
_JSON = ("jsonb",)
_TEXT = ("text", "character varying", "character")

# So many times in all a value is tried under another company.
MOST_TRIED = 500_000

_Columns = Mapping[str, tuple[str, bool]]  # name -> (type, part of the primary key)


def targets(connection: Connection, settings: Settings) -> tuple[Target, ...]:
    """Where declared secrets are in this database, in the order of their tables' names.

    Raises Refused where a declared column cannot hold an envelope, where this is no database of the platform's, where
    there is no such place, and where one cannot be gone through, naming it; ConfigError where a field of callctl.yaml
    names a table or a column that is not there; psycopg.Error where this role may not read one, or not all of its rows.
    """
    assert_platform(connection, settings.schema)
    fields = declared(settings)
    tables = sorted({each.table for each in fields})
    found: dict[tuple[str, str], dict[str, tuple[str, bool]]] = {}
    parents: set[tuple[str, str]] = set()
    rows = connection.execute(
        read_sql("secrets/rows/columns.sql"),
        {"schema": settings.schema, "tables": tables, "archived": [name for name in tables if name in ARCHIVED]},
    ).fetchall()
    for schema, table, column, kind, is_key, has_children in rows:
        found.setdefault((schema, table), {})[column] = (kind, is_key)
        if has_children:
            parents.add((schema, table))
    _assert_there(connection, settings, found)
    made = [
        replace(target, unique=relation not in parents)
        for relation, columns in found.items()
        if (target := _of_table(settings, relation, columns, [each for each in fields if each.table == relation[1]]))
    ]
    _assert_writable(connection, made)
    has_store = store.exists(connection)
    if has_store:
        made += _saved(connection, settings, fields, found)
    if not made:
        raise Refused(
            f"schema {settings.schema} has no integration_accounts and no other declared field, and no archive of them",
            hint="run callctl migrate up first, or declare fields in callctl.yaml under `secrets:`",
        )
    if has_store and kept_secrets.exists(connection):
        made.append(_kept())
    for target in made:  # refused by the server where a policy hides rows of it
        connection.execute(query("seen", target), {})
    return tuple(sorted(made, key=lambda target: target.name))


def _assert_there(connection: Connection, settings: Settings, found: Mapping[tuple[str, str], _Columns]) -> None:
    """Raise ConfigError where fields of callctl.yaml name a table or a column that this database does not have."""
    problems: list[str] = []
    near: list[str] = []
    for number, each in enumerate(settings.secret_fields):
        if each in DECLARED:
            continue
        columns = {name for (_, table), own in found.items() if table == each.table for name in own}
        if not columns and each.table in ARCHIVED:  # a step makes it; its columns are looked at then
            continue
        if not columns:
            problem, names = _absent_table(connection, settings, each.table)
            name = each.table
        elif each.column not in columns:
            problem, names, name = f"table {each.table} has no column {each.column}", columns, each.column
        elif each.account_type is not None and "account_type" not in columns:
            problem, names, name = f"table {each.table} has no column account_type", set(), ""
        else:
            continue
        problems.append(f"secrets.fields[{number}] matches nothing: {problem}")
        near += difflib.get_close_matches(name, sorted(names), 1)
    if problems:
        meant = f"did you mean {' and '.join(dict.fromkeys(near))}? " if near else ""
        raise ConfigError(
            f"callctl.yaml: {'; '.join(problems)}", hint=f"{meant}fix the fields in callctl.yaml under `secrets:`"
        )


def _assert_writable(connection: Connection, made: Iterable[Target]) -> None:
    """Raise Refused where a declared column cannot hold an envelope, or where other rows get what is written there."""
    columns = [(*target.relation, part.column) for target in made for part in target.parts]
    names = zip(("schemas", "tables", "columns"), zip(*columns, strict=True), strict=False)
    values = {name: list(listed) for name, listed in names}
    row = connection.execute(read_sql("secrets/rows/unwritable.sql"), values).fetchone() if columns else None
    if row is not None:
        raise Refused(
            f"the declared field {row[0]} cannot be encrypted: {row[1]}",
            hint="take the field out of callctl.yaml, or change the column",
        )


def _absent_table(connection: Connection, settings: Settings, table: str) -> tuple[str, set[str]]:
    """Why callctl finds no table of this name, and the names of those that it would find."""
    rows = connection.execute(read_sql("secrets/rows/relations.sql"), {"schema": settings.schema}).fetchall()
    names = {name for name, kind, parent in rows if kind in ("table", "partitioned table") and parent is None}
    for name, kind, parent in rows:
        if name != table:
            continue
        if parent is not None:
            return f"{table} is a partition of {parent}, which is the table to name", {parent}
        if name not in names:
            return f"{table} is a {kind}, and not a table", names
        return f"table {table} has no columns", names
    return f"schema {settings.schema} has no table {table}", names


def _of_table(
    settings: Settings, relation: tuple[str, str], columns: _Columns, fields: Iterable[SecretField]
) -> Target | None:
    schema, table = relation
    parts = _parts(table, columns, fields)
    if not parts:
        return None
    keys = [name for name, (_, is_key) in columns.items() if is_key]
    if len(keys) != 1:
        raise Refused(
            f"table {schema}.{table} has {'no primary key' if not keys else 'a primary key of several columns'}, and"
            " callctl goes through a table of secrets by its primary key",
            hint="give it a primary key of one column, or take its fields out of callctl.yaml",
        )
    key = _column(keys[0])
    return Target(
        name=table if schema == settings.schema else f"archived {table}",
        table=table,
        where="live" if schema == settings.schema else "archived",
        relation=relation,
        key=key,
        key_type=columns[keys[0]][0],
        row_id=f"{key}::text",
        company=_company(table, columns, key),
        account_type=f"{_column('account_type')}::text" if "account_type" in columns else "NULL::text",
        condition="true",
        parts=parts,
    )


def _parts(table: str, columns: _Columns, fields: Iterable[SecretField]) -> tuple[Part, ...]:
    by_column: dict[str, list[SecretField]] = {}
    for each in fields:
        if each.column in columns:
            by_column.setdefault(each.column, []).append(each)
    parts = []
    for column, own in by_column.items():
        kind = columns[column][0].split("(")[0]
        inside = [each for each in own if each.path]
        if not (kind in _JSON and len(inside) == len(own)) and not (kind in _TEXT and not inside):
            wanted = "a jsonb column, since a path leads into it" if inside else "a text column"
            raise Refused(
                f"the declared field {table}.{own[0].text} needs {wanted}; it is of type {columns[column][0]}",
                hint="mend the field in callctl.yaml under `secrets:`",
            )
        parts.append(Part(table, column, "json" if inside else "text", tuple(own)))
    return tuple(parts)


def _saved(
    connection: Connection,
    settings: Settings,
    fields: Iterable[SecretField],
    found: Mapping[tuple[str, str], _Columns],
) -> list[Target]:
    """What callctl saved of tables with declared fields: whole rows, and values of settings."""
    by_table: dict[str, list[SecretField]] = {}
    for each in fields:
        by_table.setdefault(each.table, []).append(each)
    made = []
    for kind, table, name in connection.execute(
        read_sql("secrets/rows/saved.sql"), {"tables": sorted(by_table)}
    ).fetchall():
        if kind == saved.ROWS[1]:
            made.append(_saved_rows(table, by_table[table]))
            continue
        column, *inside = name.split(".")
        below = tuple(each for each in by_table[table] if _below(each, column, inside))
        if below:
            made.append(_saved_values(settings, table, name, below, found.get((settings.schema, table), {})))
    return made


def _below(each: SecretField, column: str, inside: list[str]) -> bool:
    return each.column == column and list(each.path[: len(inside)]) == inside


def _saved_rows(table: str, fields: list[SecretField]) -> Target:
    return Target(
        name=f"saved rows of {table}",
        table=table,
        where="saved",
        relation=saved.ROWS,
        key="t.row_id",
        key_type="uuid",
        row_id="t.row_id::text",
        company="coalesce(t.contents ->> 'company_id', '')" if table != "companies" else "t.row_id::text",
        account_type="t.contents ->> 'account_type'",
        condition=f"t.relation = {_literal(table)}",
        parts=(Part(table, "contents", "row", tuple(fields)),),
    )


def _saved_values(
    settings: Settings, table: str, name: str, fields: tuple[SecretField, ...], columns: _Columns
) -> Target:
    live = f"{_quoted(settings.schema)}.{_quoted(table)}"
    company = "''"
    if table == "companies":
        company = "t.row_id::text"
    elif "company_id" in columns:
        company = f"coalesce((SELECT o.company_id::text FROM {live} AS o WHERE o.id = t.row_id), '')"
    return Target(
        name=f"saved values of {table}.{name}",
        table=table,
        where="saved",
        relation=saved.VALUES,
        key="t.id",
        key_type="bigint",
        row_id="t.row_id::text",
        company=company,
        account_type="NULL::text",
        condition=f"t.relation = {_literal(table)} AND t.field = {_literal(name)} AND t.value IS NOT NULL",
        parts=(Part(table, "value", "value", fields, tuple(name.split(".")[1:])),),
    )


def _kept() -> Target:
    """Webhook secrets that were replaced: callctl itself encrypts these."""
    return Target(
        name="kept webhook secrets",
        table=ACCOUNTS,
        where="saved",
        relation=("callctl", "kept_webhook_secret"),
        key="t.id",
        key_type="bigint",
        row_id="t.account_id::text",
        company="t.company_id::text",
        account_type="NULL::text",
        condition="true",
        parts=(Part(ACCOUNTS, WEBHOOK_SECRET.column, "text", (WEBHOOK_SECRET,)),),
        is_kept=True,
    )


def _company(table: str, columns: _Columns, key: str) -> str:
    """Whose row it is; a company is its own."""
    if table == "companies":
        return f"{key}::text"
    return f"coalesce({_column('company_id')}::text, '')" if "company_id" in columns else "''"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _column(name: str) -> str:
    return f"t.{_quoted(name)}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def query(name: str, target: Target, **more: Any) -> sql.Composed:
    """A file of ``sql/secrets/rows/target`` about one target, to be executed with parameters.

    ``more`` are more pieces of SQL.
    """
    from psycopg import sql

    def piece(text: str) -> sql.SQL:
        # A % in a name is no parameter of the driver's.
        return sql.SQL(text.replace("%", "%%"))

    columns = ", ".join(f"t.{_quoted(part.column)}::text" for part in target.parts)
    relation = ".".join(map(_quoted, target.relation))
    pieces = {
        "relation": relation,
        "relation_name": _literal(relation),
        "version": "(t.tableoid::text || t.ctid::text || t.xmin::text)",
        "key": target.key,
        "key_type": target.key_type,
        "row_id": target.row_id,
        "company": target.company,
        "account_type": target.account_type,
        "condition": target.condition,
        "columns": columns,
        **more,
    }
    return sql.SQL(read_sql(f"secrets/rows/target/{name}.sql")).format(
        **{name: piece(text) for name, text in pieces.items()}
    )


def numbered(name: str, target: Target, parameters: Sequence[str], **more: str) -> bytes:
    """As :func:`query`, with these parameters of the driver's as the server's own: $1, $2, …"""
    text = query(name, target, **more).as_bytes(None)
    for number, parameter in enumerate(parameters, 1):
        text = text.replace(f"%({parameter})s".encode(), f"${number}".encode())
    return text.replace(b"%%", b"%")


def merged(name: str, target: Target, parts: Sequence[int], first: int) -> bytes:
    """A statement that writes these of a target's columns, for binary parameters: ``target/write.sql`` and such.

    ``first`` is the number of the first parameter with new values.
    """
    arrays, names, assignments = [], [], []
    meant = {number: f"o.c{number}" for number in range(len(target.parts))}
    for position, number in enumerate(parts):
        part = target.parts[number]
        column, new = _quoted(part.column), f"n.v{position}"
        arrays.append(f"${position + first}::{'text' if part.form == 'text' else 'jsonb'}[]")
        names.append(f"v{position}")
        value = "{new}" if part.replaces else "{old} || {new}"
        assignments.append(f"{column} = coalesce({value.format(old=f't.{column}', new=new)}, t.{column})")
        meant[number] = f"coalesce({value.format(old=meant[number], new=new)}, {meant[number]})"
    return numbered(
        name,
        target,
        (),
        arrays=", ".join(arrays),
        names=", ".join(names),
        assignments=", ".join(assignments),
        columns_named=", ".join(f"t.{_quoted(part.column)} AS c{number}" for number, part in enumerate(target.parts)),
        stored=" AND ".join(_stored(part, meant[number]) for number, part in enumerate(target.parts)),
    )


def _stored(part: Part, meant: str) -> str:
    """Whether a column holds what was meant; of text to the last byte, whatever its collation takes for equal."""
    column = f"t.{_quoted(part.column)}"
    if part.form == "text":
        return f'{column}::text COLLATE "C" IS NOT DISTINCT FROM ({meant})::text COLLATE "C"'
    return f"{column} IS NOT DISTINCT FROM {meant}"


class OtherCompanies:
    """Where a bound value may have come from that does not open: the same row, under another company."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        """The connection is used when the first value is asked about; it is to have nothing else to do then."""
        self._connection = connection
        self._schema = settings.schema
        self._companies: dict[str, None] | None = None
        self._left = MOST_TRIED
        self._last: str | None = None

    def __call__(self, place: Place) -> Iterator[Place]:
        """Other places; who has found the one that it is looks no further."""
        if self._companies is None:
            self._companies = dict.fromkeys(self._read())
        # The one that was looked at last: rows are given away together.
        first = () if self._last is None else (self._last,)
        for company in (*first, *self._companies):
            if company != place.company_id and self._left > 0:
                self._left -= 1
                self._last = company
                yield place._replace(company_id=company)
        self._last = None

    def _read(self) -> Iterator[str]:
        from psycopg import sql

        readable = read_sql("secrets/rows/companies_readable.sql")
        row = self._connection.execute(readable, {"schema": self._schema}).fetchone()
        if row and row[0]:
            table = sql.Identifier(self._schema, "companies")
            statement = sql.SQL(read_sql("secrets/rows/companies.sql")).format(companies=table)
            yield from (each for (each,) in self._connection.execute(statement).fetchall())
