"""The secrets in fields that callctl.yaml declares, as verify looks at them: their form, and which key they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callctl.lexer import literal
from callctl.secret_fields import DECLARED
from callctl.secret_tables import targets
from callctl.unmatched_fields import assert_matched, json_path

if TYPE_CHECKING:
    from callctl.config import Settings
    from callctl.config_secrets import SecretField
    from callctl.database import Connection
    from callctl.secret_rows import Target

CHECKS = ("declared-secrets-encrypted", "declared-secrets-known-key")
# What stands in sql/verify/declared_secrets.sql in their place.
NO_SECRET = (
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
        _values(target, part.column, each)
        for target in found
        if target.where == "live"
        for part in target.parts
        for each in part.fields
        if each in ours
    ]
    return "\n  UNION ALL ".join([NO_SECRET, *values])


def _values(target: Target, column: str, field: SecretField) -> str:
    """The query for what stands in one field: table, row, field, whether it is a whole text column, value."""
    from psycopg import sql

    relation, name = (sql.Identifier(*each).as_string(None) for each in (target.relation, (column,)))
    said = f"{literal(target.name)}, {target.row_id}, {literal(field.text)}"
    if field.path:
        values = f"SELECT {said}, false, f.value FROM {relation} AS t"
        values += f" CROSS JOIN LATERAL jsonb_path_query(t.{name}, {literal(json_path(field.path))}) AS f (value)"
    else:
        values = f"SELECT {said}, true, to_jsonb(t.{name}::text) FROM {relation} AS t"
    return values + (f" WHERE {target.account_type} = {literal(field.account_type)}" if field.account_type else "")
