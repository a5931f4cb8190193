"""Where callctl keeps what it saved of the platform's rows, and which statements read or write it."""

from __future__ import annotations

STORE = "callctl"
# Values of single fields, and whole rows: sql/store/05_saved_values.sql, 09_models.sql.
VALUES = (STORE, "saved_value")
ROWS = (STORE, "saved_row")
# A query of these reads the saved values: its time grows with them.
_READ_VALUES = frozenset({VALUES, (STORE, "changed_records")})


def is_saved(schema: str, table: str) -> bool:
    """Whether the rows of a table are what callctl saved of another table's rows."""
    return (schema, table) in (VALUES, ROWS)


def reads_values(sql: str) -> bool:
    """Whether a statement names the saved values, or the function that reads them all."""
    from callctl.statements.tokens import qualified_names

    return not _READ_VALUES.isdisjoint(qualified_names(sql))


def adds_values(sql: str) -> bool:
    """Whether a statement inserts into the saved values."""
    from callctl.statements.tokens import tokens

    items = tokens(sql)
    return any(
        token.says("into") and tuple(part.word for part in items[index + 1 : index + 4 : 2]) == VALUES
        for index, token in enumerate(items)
    )
