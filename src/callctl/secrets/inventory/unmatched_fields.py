"""Fields that callctl.yaml declares and that no row has, although rows could: a mistake in the path."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from callctl.errors import ConfigError, Refused
from callctl.secrets.envelope.fields import ACCOUNTS, ARRAY, DECLARED
from callctl.secrets.rows.credentials import SHAPES
from callctl.secrets.rows.tables import query
from callctl.statements.tokens import literal

if TYPE_CHECKING:
    from callctl.config.secrets import SecretField
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.secrets.rows.row import Part, Target


def assert_matched(connection: Connection, settings: Settings, targets: Sequence[Target]) -> None:
    """Raise ConfigError where documents are stored that could have a field of ``settings``, and none has it.

    An empty table, an empty object and an empty list could not have it. The fields of the specification, and those that
    are optional, are not asked about. Raises Refused where the server gave no answer in time.
    """
    import psycopg

    problems = []
    for number, field in enumerate(settings.secret_fields):
        if field.optional or field in DECLARED:
            continue
        places = [(target, part) for target in targets for part in target.parts if field in part.fields]
        try:
            with connection.transaction():
                problem = _problem(connection, field, places)
        except psycopg.errors.QueryCanceled:
            raise Refused(
                f"no answer in time whether a row of {field.table} has {field.text}",
                hint="--statement-timeout sets how long one query may take; `optional: true` leaves this one out",
            ) from None
        if problem:
            problems.append(f"secrets.fields[{number}] matches nothing: {problem}")
    if problems:
        raise ConfigError(
            f"callctl.yaml: {'; '.join(problems)}",
            hint="fix the fields in callctl.yaml under `secrets:`, or add `optional: true` to one that no row has yet",
        )


def json_path(path: Sequence[str]) -> str:
    """A declared path as PostgreSQL's jsonpath, which also looks into a list where an object is declared."""
    return "$" + "".join("[*]" if part == ARRAY else "." + json.dumps(part) for part in path)


def _problem(connection: Connection, field: SecretField, places: Sequence[tuple[Target, Part]]) -> str | None:
    """Why the field matches nothing, as the end of a sentence; None where it matches, or where nothing could."""
    if field.account_type is not None and not (field.table == ACCOUNTS and field.account_type in SHAPES):
        wanted = {"account_type": field.account_type}
        rows = [_row(connection, "account_types", target, wanted) for target, _ in places]
        if any(there for there, _ in rows) and not any(of_type for _, of_type in rows):
            return f"{field.table} has rows, and none has the account_type {field.account_type}"
    if not field.path:
        return None
    documents = [(target, *each) for target, part in places for each in _document(field, part)]
    for target, document, path in documents:
        values: dict[str, Any] = {"path": json_path(path), "account_type": field.account_type}
        if _row(connection, "path_exists", target, values, document=document)[0]:
            return None
    reached, missing = -1, -1
    for target, document, path in documents:
        values = {"path": list(path), "account_type": field.account_type}
        row = _row(connection, "path_reached", target, values, document=document)
        before = len(field.path) - len(path)
        reached, missing = (max(was, before + now) for was, now in zip((reached, missing), _numbers(row), strict=True))
    if missing < reached or reached < 0:
        return None
    within = ".".join((field.column, *field.path[:reached])).replace(f".{ARRAY}", ARRAY)
    return f"{within} of {field.table} has members, and in no row the member {field.path[reached]}"


def _numbers(row: Sequence[int | None]) -> Iterator[int]:
    return (-1_000 if each is None else each for each in row)


def _document(field: SecretField, part: Part) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Where the document of a field is, as SQL about the row ``t``, and the rest of the path from there."""
    from psycopg import sql

    if part.form == "json":
        yield sql.Identifier("t", part.column).as_string(None), field.path
    elif part.form == "row":
        yield f"(t.contents -> {literal(field.column)})", field.path
    elif part.form == "value" and part.inside == field.path[: len(part.inside)]:
        yield "t.value", field.path[len(part.inside) :]


def _row(connection: Connection, name: str, target: Target, values: dict[str, Any], **more: str) -> tuple[Any, ...]:
    row = connection.execute(query(name, target, **more), values).fetchone()
    assert row is not None
    return tuple(row)
