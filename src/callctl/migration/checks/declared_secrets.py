"""The secrets in declared fields, as verify looks at them: their form, their key's id, and whether they are bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callctl.secrets.envelope.fields import DECLARED
from callctl.secrets.inventory.unmatched_fields import assert_matched, json_path
from callctl.secrets.rows.binding import FieldName
from callctl.secrets.rows.bound_fields import bound_fields
from callctl.secrets.rows.tables import targets
from callctl.statements.script import load_script
from callctl.statements.tokens import literal, with_query

if TYPE_CHECKING:
    from callctl.config.secrets import SecretField
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.secrets.rows.row import Part, Target

CHECKS = ("declared-secrets-encrypted", "declared-secrets-known-key")
BOUND_CHECKS = ("secrets-bound",)
# The query of sql/verify/declared_secrets.sql and bound_secrets.sql in whose place these are put.
SECRET = "secret"
# It finds none, and gives the columns their types.
_NO_SECRET = (
    "SELECT NULL::text AS relation, NULL::text AS row_id, NULL::text AS field, false AS whole, NULL::jsonb AS value"
)


def declared_secrets(connection: Connection, settings: Settings) -> str:
    """The query for what stands in the fields that ``settings`` declare and this database has, as CHECKS ask it.

    Raises Refused where one of them is in a table or a column that callctl can't go through; ConfigError where one
    matches nothing.
    """
    ours = set(settings.secret_fields) - set(DECLARED)
    found = targets(connection, settings)
    assert_matched(connection, settings, found)
    values = [
        _values(target, part, each)
        for target in found
        if target.where == "live"
        for part in target.parts
        for each in part.fields
        if each in ours
    ]
    return "\n  UNION ALL ".join([_NO_SECRET, *values])


def bound_secrets(connection: Connection, settings: Settings, bound: frozenset[FieldName]) -> str:
    """The query for what stands in the fields that are bound: live, archived and saved, as BOUND_CHECKS ask it.

    Raises Refused as :func:`declared_secrets`.
    """
    values = [
        _values(target, part, each)
        for target in targets(connection, settings)
        for part in target.parts
        for each in part.fields
        if FieldName(target.recorded, each.account_type or "", each.text) in bound
    ]
    return "\n  UNION ALL ".join([_NO_SECRET, *values])


def unbound_rows(connection: Connection, settings: Settings, table: str) -> set[str]:
    """The ids of a live table's rows with unbound values in bound fields, in the caller's transaction."""
    bound = bound_fields(connection)
    if not bound:
        return set()
    found: set[str] = set()
    for statement in load_script("verify/bound_secrets.sql").statements:
        text = with_query(statement.sql, SECRET, bound_secrets(connection, settings, bound))
        found |= {row[1] for row in connection.execute(text).fetchall() if row[0] == table}
    return found


def _values(target: Target, part: Part, field: SecretField) -> str:
    """The query for what stands in one field: table, row, field, whether it is a whole text column, value."""
    from psycopg import sql

    relation = sql.Identifier(*target.relation).as_string(None)
    column = f"t.{sql.Identifier(part.column).as_string(None)}"
    said = f"{literal(target.name)}, {target.row_id}, {literal(field.text)}"
    path = field.path[len(part.inside) :]  # of a saved value, what is saved is inside already
    if part.form == "row":
        column += f" -> {literal(field.column)}"
    if path:
        values = f"SELECT {said}, false, f.value FROM {relation} AS t"
        values += f" CROSS JOIN LATERAL jsonb_path_query({column}, {literal(json_path(path))}) AS f (value)"
    else:
        whole = f"to_jsonb({column}::text)" if part.form == "text" else column
        values = f"SELECT {said}, {str(not field.path).lower()}, {whole} FROM {relation} AS t"
    conditions = [] if target.condition == "true" else [target.condition]
    if field.account_type:
        conditions.append(f"{target.account_type} = {literal(field.account_type)}")
    return values + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
