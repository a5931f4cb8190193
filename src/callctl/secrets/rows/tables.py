"""Finds the places of declared secrets: live and archived tables, saved values, kept secrets."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callctl.config.sections import SecretField
from callctl.database import connection as database
from callctl.database import store
from callctl.errors import Code, ConfigError, Refused
from callctl.files import read_sql
from callctl.secrets.envelope.cipher import Place
from callctl.secrets.envelope.fields import ACCOUNTS, ARRAY, DECLARED, WEBHOOK_SECRET, declared
from callctl.secrets.rows.credentials import SHAPES
from callctl.secrets.rows.row import FieldName, Part, RowName, SecretTable
from callctl.statements import naming
from callctl.statements.naming import assert_platform
from callctl.statements.tokens import literal

if TYPE_CHECKING:
    from psycopg import sql

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# The webhook secrets that were replaced and can be put back: what is kept, and until when. Never a value.


@dataclass(frozen=True)
class Kept:
    """A webhook secret that was replaced. ``fingerprint`` is that of the one in its place: see :func:`fingerprint`."""

    account_id: str
    company_id: str
    rotation: int
    kept_at: datetime
    keep_until: datetime
    fingerprint: str


def keeps_webhook_secrets(connection: Connection) -> bool:
    """Return whether callctl's schema has a place for them; an older one has none."""
    return database.relation_exists(connection, "callctl", "kept_webhook_secret")


def kept_webhook_secrets(connection: Connection) -> tuple[Kept, ...]:
    """All that is kept, in the order of when its time is over; what should be gone already goes with the next run."""
    if not keeps_webhook_secrets(connection):
        return ()
    return tuple(Kept(*row) for row in connection.execute(read_sql("secrets/rows/kept_secrets.sql")).fetchall())


def digest(secret: str) -> str:
    """SHA-256 of a secret in hexadecimal. Only of random secrets, which cannot be guessed."""
    import hashlib

    return hashlib.sha256(secret.encode()).hexdigest()


def fingerprint(secret: str) -> str:
    """The first 12 digits of :func:`digest`: which secret it is, without saying it."""
    return digest(secret)[:12]


# Which tables of this database may hold declared secrets: live ones, archived ones, and what callctl saved.

# What a down moves to the archive (sql/database/archived_tables.sql).
ARCHIVED = ("call_transcripts", "calls", "integration_accounts")
_JSON = ("jsonb",)
_TEXT = ("text", "character varying", "character")

# Times in all that a value is tried under another company.
MOST_TRIED = 500_000

_Columns = Mapping[str, tuple[str, bool]]  # name -> (type, part of the primary key)


def secret_tables(connection: Connection, settings: Settings) -> tuple[SecretTable, ...]:
    """Return the tables with declared secrets in this database, in the order of their names.

    Raises Refused if a declared column cannot hold an envelope, if this is no database of the platform's, where
    there is no such place, and if one cannot be gone through, naming it; ConfigError if a field of callctl.yaml
    names a table or a column that is not there; psycopg.Error where this role may not read one, or not all of its rows.
    """
    assert_platform(connection, settings.schema)
    fields = declared(settings)
    tables = sorted({field.table for field in fields})
    relations: dict[tuple[str, str], dict[str, tuple[str, bool]]] = {}
    parents: set[tuple[str, str]] = set()
    rows = connection.execute(
        read_sql("secrets/rows/columns.sql"),
        {"schema": settings.schema, "tables": tables, "archived": [name for name in tables if name in ARCHIVED]},
    ).fetchall()
    for schema, table, column, kind, is_key, has_children in rows:
        relations.setdefault((schema, table), {})[column] = (kind, is_key)
        if has_children:
            parents.add((schema, table))
    _assert_there(connection, settings, relations)
    found_tables = [
        replace(secret_table, unique=relation not in parents)
        for relation, columns in relations.items()
        if (
            secret_table := _of_table(
                settings, relation, columns, [field for field in fields if field.table == relation[1]]
            )
        )
    ]
    _assert_writable(connection, found_tables)
    has_store = store.exists(connection)
    if has_store:
        found_tables += _saved(connection, settings, fields, relations)
    if not found_tables:
        raise Refused(
            Code.STEP_NOT_APPLIED,
            f"schema {settings.schema} has no table integration_accounts, no other declared field, and no archive of"
            f" such a table",
            hint="run callctl migrate up first, or declare fields in callctl.yaml under `secrets:`",
        )
    if has_store and keeps_webhook_secrets(connection):
        found_tables.append(_kept())
    for secret_table in found_tables:  # refused by the server where a policy hides rows of it
        connection.execute(query("seen", secret_table), {})
    return tuple(sorted(found_tables, key=lambda secret_table: secret_table.name))


def _assert_there(connection: Connection, settings: Settings, relations: Mapping[tuple[str, str], _Columns]) -> None:
    """Raise ConfigError if fields of callctl.yaml name a table or a column that this database does not have."""
    problems: list[str] = []
    near: list[str] = []
    for number, field in enumerate(settings.secret_fields):
        if field in DECLARED:
            continue
        columns = {name for (_, table), own in relations.items() if table == field.table for name in own}
        if not columns and field.table in ARCHIVED:  # a step makes it; its columns are looked at then
            continue
        if not columns:
            problem, names = _absent_table(connection, settings, field.table)
            name = field.table
        elif field.column not in columns:
            problem, names, name = f"table {field.table} has no column {field.column}", columns, field.column
        elif field.account_type is not None and "account_type" not in columns:
            problem, names, name = f"table {field.table} has no column account_type", set(), ""
        else:
            continue
        problems.append(f"secrets.fields[{number}] matches nothing: {problem}")
        near += difflib.get_close_matches(name, sorted(names), 1)
    if problems:
        meant = f"did you mean {' and '.join(dict.fromkeys(near))}? " if near else ""
        raise ConfigError(
            Code.FIELD_UNKNOWN,
            f"callctl.yaml: {'; '.join(problems)}",
            hint=f"{meant}fix the fields in callctl.yaml under `secrets:`",
        )


def _assert_writable(connection: Connection, found_tables: Iterable[SecretTable]) -> None:
    """Raise Refused if a declared column cannot hold an envelope, or if other rows get what is written there."""
    columns = [(*secret_table.relation, part.column) for secret_table in found_tables for part in secret_table.parts]
    names = zip(("schemas", "tables", "columns"), zip(*columns, strict=True), strict=False)
    values = {name: list(listed) for name, listed in names}
    rows = connection.execute(read_sql("secrets/rows/unwritable.sql"), values).fetchall() if columns else []
    for field, why in rows:
        raise Refused(
            Code.FIELD_UNFIT,
            f"the declared field {field} cannot be encrypted: {why}",
            hint="remove the field from callctl.yaml, or change the column",
        )


def _absent_table(connection: Connection, settings: Settings, table: str) -> tuple[str, set[str]]:
    """Why callctl finds no table of this name, and the names of those that it would find."""
    rows = connection.execute(read_sql("secrets/rows/relations.sql"), {"schema": settings.schema}).fetchall()
    names = {name for name, kind, parent in rows if kind in ("table", "partitioned table") and parent is None}
    for name, kind, parent in rows:
        if name != table:
            continue
        if parent is not None:
            return f"{table} is a partition: name its parent, {parent}", {parent}
        if name not in names:
            return f"{table} is a {kind}, not a table", names
        return f"table {table} has no columns", names
    return f"schema {settings.schema} has no table {table}", names


def _of_table(
    settings: Settings, relation: tuple[str, str], columns: _Columns, fields: Iterable[SecretField]
) -> SecretTable | None:
    schema, table = relation
    parts = _parts(table, columns, fields)
    if not parts:
        return None
    keys = [name for name, (_, is_key) in columns.items() if is_key]
    if len(keys) != 1:
        raise Refused(
            Code.FIELD_UNFIT,
            f"table {schema}.{table} has {'no primary key' if not keys else 'a primary key of several columns'}, "
            "and callctl needs a primary key of one column to read a table of secrets",
            hint="give the table a primary key of one column, or remove its fields from callctl.yaml",
        )
    key = _column(keys[0])
    return SecretTable(
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
    for field in fields:
        if field.column in columns:
            by_column.setdefault(field.column, []).append(field)
    parts = []
    for column, own in by_column.items():
        kind = columns[column][0].split("(")[0]
        inside = [field for field in own if field.path]
        if not (kind in _JSON and len(inside) == len(own)) and not (kind in _TEXT and not inside):
            wanted = "a jsonb column, since a path leads into it" if inside else "a text column"
            raise Refused(
                Code.FIELD_UNFIT,
                f"the declared field {table}.{own[0].text} needs {wanted}; it is of type {columns[column][0]}",
                hint="fix the field in callctl.yaml under `secrets:`",
            )
        parts.append(Part(table, column, "json" if inside else "text", tuple(own)))
    return tuple(parts)


def _saved(
    connection: Connection,
    settings: Settings,
    fields: Iterable[SecretField],
    relations: Mapping[tuple[str, str], _Columns],
) -> list[SecretTable]:
    """Return callctl's saved rows and saved setting values of tables with declared fields."""
    by_table: dict[str, list[SecretField]] = {}
    for field in fields:
        by_table.setdefault(field.table, []).append(field)
    saved = []
    for kind, table, name in connection.execute(
        read_sql("secrets/rows/saved.sql"), {"tables": sorted(by_table)}
    ).fetchall():
        if kind == naming.ROWS[1]:
            saved.append(_saved_rows(table, by_table[table]))
            continue
        column, *inside = name.split(".")
        below = tuple(field for field in by_table[table] if _below(field, column, inside))
        if below:
            saved.append(_saved_values(settings, table, name, below, relations.get((settings.schema, table), {})))
    return saved


def _below(field: SecretField, column: str, inside: list[str]) -> bool:
    return field.column == column and list(field.path[: len(inside)]) == inside


def _saved_rows(table: str, fields: list[SecretField]) -> SecretTable:
    return SecretTable(
        name=f"saved rows of {table}",
        table=table,
        where="saved",
        relation=naming.ROWS,
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
) -> SecretTable:
    live = f"{_quoted(settings.schema)}.{_quoted(table)}"
    company = "''"
    if table == "companies":
        company = "t.row_id::text"
    elif "company_id" in columns:
        company = f"coalesce((SELECT o.company_id::text FROM {live} AS o WHERE o.id = t.row_id), '')"
    return SecretTable(
        name=f"saved values of {table}.{name}",
        table=table,
        where="saved",
        relation=naming.VALUES,
        key="t.id",
        key_type="bigint",
        row_id="t.row_id::text",
        company=company,
        account_type="NULL::text",
        condition=f"t.relation = {_literal(table)} AND t.field = {_literal(name)} AND t.value IS NOT NULL",
        parts=(Part(table, "value", "value", fields, tuple(name.split(".")[1:])),),
    )


def _kept() -> SecretTable:
    """Webhook secrets that were replaced: callctl itself encrypts these."""
    return SecretTable(
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


def query(name: str, secret_table: SecretTable, **extra: Any) -> sql.Composed:
    """A file of ``sql/secrets/rows/target`` about one target, to be executed with parameters.

    ``extra`` are more pieces of SQL.
    """
    from psycopg import sql

    def piece(text: str) -> sql.SQL:
        # A % in a name is no parameter of the driver's.
        return sql.SQL(text.replace("%", "%%"))

    columns = ", ".join(f"t.{_quoted(part.column)}::text" for part in secret_table.parts)
    relation = ".".join(map(_quoted, secret_table.relation))
    pieces = {
        "relation": relation,
        "relation_name": _literal(relation),
        "version": "(t.tableoid::text || t.ctid::text || t.xmin::text)",
        "key": secret_table.key,
        "key_type": secret_table.key_type,
        "row_id": secret_table.row_id,
        "company": secret_table.company,
        "account_type": secret_table.account_type,
        "condition": secret_table.condition,
        "columns": columns,
        **extra,
    }
    return sql.SQL(read_sql(f"secrets/rows/target/{name}.sql")).format(
        **{name: piece(text) for name, text in pieces.items()}
    )


def numbered(name: str, secret_table: SecretTable, parameters: Sequence[str], **extra: str) -> bytes:
    """As :func:`query`, with these parameters of the driver's as the server's own: $1, $2, …"""
    text = query(name, secret_table, **extra).as_bytes(None)
    for number, parameter in enumerate(parameters, 1):
        text = text.replace(f"%({parameter})s".encode(), f"${number}".encode())
    return text.replace(b"%%", b"%")


def merged(name: str, secret_table: SecretTable, parts: Sequence[int], first: int) -> bytes:
    """A statement that writes these of a target's columns, for binary parameters: ``target/write.sql`` and such.

    ``first`` is the number of the first parameter with new values.
    """
    arrays, names, assignments = [], [], []
    meant = {number: f"o.c{number}" for number in range(len(secret_table.parts))}
    for position, number in enumerate(parts):
        part = secret_table.parts[number]
        column, new = _quoted(part.column), f"n.v{position}"
        arrays.append(f"${position + first}::{'text' if part.form == 'text' else 'jsonb'}[]")
        names.append(f"v{position}")
        value = "{new}" if part.replaces else "{old} || {new}"
        assignments.append(f"{column} = coalesce({value.format(old=f't.{column}', new=new)}, t.{column})")
        meant[number] = f"coalesce({value.format(old=meant[number], new=new)}, {meant[number]})"
    return numbered(
        name,
        secret_table,
        (),
        arrays=", ".join(arrays),
        names=", ".join(names),
        assignments=", ".join(assignments),
        columns_named=", ".join(
            f"t.{_quoted(part.column)} AS c{number}" for number, part in enumerate(secret_table.parts)
        ),
        stored=" AND ".join(_stored(part, meant[number]) for number, part in enumerate(secret_table.parts)),
    )


def _stored(part: Part, meant: str) -> str:
    """Return whether a column holds the intended value; text is compared byte by byte, whatever its collation."""
    column = f"t.{_quoted(part.column)}"
    if part.form == "text":
        return f'{column}::text COLLATE "C" IS NOT DISTINCT FROM ({meant})::text COLLATE "C"'
    return f"{column} IS NOT DISTINCT FROM {meant}"


class OtherCompanies:
    """The possible origins of a bound value that does not decrypt: the same row under another company."""

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
        if database.value(self._connection, readable, {"schema": self._schema}):
            table = sql.Identifier(self._schema, "companies")
            statement = sql.SQL(read_sql("secrets/rows/companies.sql")).format(companies=table)
            yield from (name for (name,) in self._connection.execute(statement).fetchall())


# Which fields of this database are bound: callctl's schema records it when a rotation with --bind has finished.


def bound_fields(connection: Connection) -> frozenset[FieldName]:
    """The fields that are bound; none where callctl has no schema here, or an older one."""
    if not database.relation_exists(connection, "callctl", "bound_field"):
        return frozenset()
    rows = connection.execute(read_sql("secrets/rows/bound.sql")).fetchall()
    return frozenset(FieldName(*row) for row in rows)


def record_bound(
    connection: Connection, rotation: int, secret_tables: Iterable[SecretTable], completed: Iterable[str]
) -> None:
    """Record the fields that a rotation has bound, in the transaction that ends it. ``completed`` names the targets it
    went through: a field counts only where each of ``targets`` that holds it is among them.
    """
    gone_through = set(completed)
    fields: set[FieldName] = set()
    missed: set[FieldName] = set()
    for secret_table in secret_tables:
        of_target = set(_fields(secret_table))
        # What is saved of a table lists all of its fields, whether or not the table has them.
        if secret_table.where != "saved" or secret_table.is_kept:
            fields |= of_target
        if secret_table.name not in gone_through:
            missed |= of_target
    _execute(connection, "bound_record", fields - missed, rotation)


def forget_bound(connection: Connection, secret_tables: Iterable[SecretTable]) -> None:
    """Remove the record of the fields of ``targets``, in the caller's transaction: they may be unbound from now on."""
    _execute(connection, "bound_forget", {field for secret_table in secret_tables for field in _fields(secret_table)})


def bound_by(connection: Connection, rotation: int) -> tuple[FieldName, ...]:
    """The fields that a rotation was the first to bind."""
    rows = connection.execute(read_sql("secrets/rows/bound_by.sql"), {"rotation": rotation}).fetchall()
    return tuple(FieldName(*row) for row in rows)


def named_rows(
    connection: Connection, secret_tables: Iterable[SecretTable], bound: frozenset[FieldName], names: Sequence[str]
) -> frozenset[RowName]:
    """The rows that ``names`` name, each by its id or, where two tables have a row of that id, as TABLE:ID.

    Raises Refused if no field is bound, if a table with bound fields has no such row, or if two have it.
    """
    if not names:
        return frozenset()
    tables = {field.table for field in bound}
    searched = [secret_table for secret_table in secret_tables if secret_table.recorded in tables]
    tables = {secret_table.table for secret_table in searched}
    if not searched:
        raise Refused(
            Code.BIND_NEW,
            "--bind-new is for rows that are newer than a rotation with --bind, and no field of this database "
            "is recorded as bound; nothing was changed",
            hint="run callctl rotate-secrets --bind without --bind-new: the first run binds every value",
        )
    wanted = {name: _parsed(name, tables) for name in names}
    ids = sorted({row_id for _, row_id in wanted.values()})
    tables_by_id: dict[str, set[str]] = {}
    for secret_table in searched:
        for (row_id,) in connection.execute(query("named", secret_table), {"ids": ids}).fetchall():
            tables_by_id.setdefault(row_id, set()).add(secret_table.table)
    rows = set()
    for name, (table, row_id) in wanted.items():
        there = sorted(tables_by_id.get(row_id, set()) if table is None else tables_by_id.get(row_id, set()) & {table})
        if not there:
            where = table or ", ".join(sorted({secret_table.table for secret_table in searched}))
            raise Refused(
                Code.BIND_NEW,
                f"--bind-new {name}: no row of {where} has the id {row_id}; nothing was changed",
                hint="run callctl rotate-secrets --status to list the rows with unbound values and their ids",
            )
        if len(there) > 1:
            raise Refused(
                Code.BIND_NEW,
                f"--bind-new {name}: more than one table has a row of that id ({', '.join(there)}); nothing was"
                f" changed",
                hint=f"add the table: --bind-new {there[0]}:{row_id}",
            )
        rows.add(RowName(there[0], row_id))
    return frozenset(rows)


def _parsed(name: str, tables: set[str]) -> tuple[str | None, str]:
    table, colon, row_id = name.partition(":")
    return (table, row_id) if colon and table in tables else (None, name)


def _fields(secret_table: SecretTable) -> Iterable[FieldName]:
    fields = (field for part in secret_table.parts for field in part.fields)
    return (FieldName(secret_table.recorded, field.account_type or "", field.text) for field in fields)


def _execute(connection: Connection, name: str, fields: Iterable[FieldName], rotation: int | None = None) -> None:
    listed = sorted(fields)
    values = {
        "rotation": rotation,
        "relations": [field.table for field in listed],
        "account_types": [field.account_type for field in listed],
        "paths": [field.path for field in listed],
    }
    connection.execute(read_sql(f"secrets/rows/{name}.sql"), values)


# Fields that callctl.yaml declares and that no row has, although rows could: a mistake in the path.


def assert_matched(connection: Connection, settings: Settings, secret_tables: Sequence[SecretTable]) -> None:
    """Raise ConfigError if documents are stored that could have a field of ``settings``, and none has it.

    An empty table, an empty object and an empty list could not have it. The fields of the specification, and those that
    are optional, are not asked about. Raises Refused if the server gave no answer in time.
    """
    import psycopg

    problems = []
    for number, field in enumerate(settings.secret_fields):
        if field.optional or field in DECLARED:
            continue
        places = [
            (secret_table, part)
            for secret_table in secret_tables
            for part in secret_table.parts
            if field in part.fields
        ]
        try:
            with connection.transaction():
                problem = _problem(connection, field, places)
        except psycopg.errors.QueryCanceled:
            raise Refused(
                Code.STATEMENT_TIMEOUT,
                f"timed out while searching {field.table} for a row with {field.text}",
                hint="set a longer --statement-timeout, the limit of one query, or add `optional: true` to skip this"
                " check",
            ) from None
        if problem:
            problems.append(f"secrets.fields[{number}] matches nothing: {problem}")
    if problems:
        raise ConfigError(
            Code.FIELD_UNKNOWN,
            f"callctl.yaml: {'; '.join(problems)}",
            hint="fix the fields in callctl.yaml under `secrets:`, or add `optional: true` to a field that no row"
            " has yet",
        )


def json_path(path: Sequence[str]) -> str:
    """A declared path as PostgreSQL's jsonpath, which also looks into a list where an object is declared."""
    return "$" + "".join("[*]" if part == ARRAY else "." + json.dumps(part) for part in path)


def _problem(connection: Connection, field: SecretField, places: Sequence[tuple[SecretTable, Part]]) -> str | None:
    """Why the field matches nothing, as the end of a sentence; None if it matches, or if nothing could."""
    if field.account_type is not None and not (field.table == ACCOUNTS and field.account_type in SHAPES):
        wanted = {"account_type": field.account_type}
        rows = [_row(connection, "account_types", secret_table, wanted) for secret_table, _ in places]
        if any(there for there, _ in rows) and not any(of_type for _, of_type in rows):
            return f"{field.table} has rows, but no row has the account_type {field.account_type}"
    if not field.path:
        return None
    documents = [(secret_table, *location) for secret_table, part in places for location in _document(field, part)]
    for secret_table, document, path in documents:
        values: dict[str, Any] = {"path": json_path(path), "account_type": field.account_type}
        if _row(connection, "path_exists", secret_table, values, document=document)[0]:
            return None
    reached, missing = -1, -1
    for secret_table, document, path in documents:
        values = {"path": list(path), "account_type": field.account_type}
        row = _row(connection, "path_reached", secret_table, values, document=document)
        before = len(field.path) - len(path)
        reached, missing = (max(was, before + now) for was, now in zip((reached, missing), _numbers(row), strict=True))
    if missing < reached or reached < 0:
        return None
    within = ".".join((field.column, *field.path[:reached])).replace(f".{ARRAY}", ARRAY)
    return f"{within} of {field.table} has members, but no row has the member {field.path[reached]}"


def _numbers(row: Sequence[int | None]) -> Iterator[int]:
    return (-1_000 if number is None else number for number in row)


def _document(field: SecretField, part: Part) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return the place of a field's document as SQL about the row ``t``, and the rest of the path from there."""
    from psycopg import sql

    if part.form == "json":
        yield sql.Identifier("t", part.column).as_string(None), field.path
    elif part.form == "row":
        yield f"(t.contents -> {literal(field.column)})", field.path
    elif part.form == "value" and part.inside == field.path[: len(part.inside)]:
        yield "t.value", field.path[len(part.inside) :]


def _row(
    connection: Connection, name: str, secret_table: SecretTable, values: dict[str, Any], **extra: str
) -> tuple[Any, ...]:
    row = connection.execute(query(name, secret_table, **extra), values).fetchone()
    assert row is not None
    return tuple(row)
