"""The "before" databases: made, filled and dropped on a server of ours (``sql/baselines``)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from callctl.files import read_sql

if TYPE_CHECKING:
    import psycopg


class Baseline(StrEnum):
    """The "before" databases that callctl can make, and what sets each apart. A name is that of its file.

    ``described``: the schema in words. ``type_column``: where a chatbot's and a package's type is. ``model_key``: where
    a model's name is. ``price``: the price of ``price_tokens`` tokens. ``limits``: the most tokens in, and out.
    """

    described: str
    type_column: str
    model_key: str
    price: str
    price_tokens: int
    limits: tuple[str, str]

    def __new__(
        cls,
        name: str,
        described: str,
        type_column: str,
        model_key: str,
        price: tuple[str, int],
        limits: tuple[str, str],
    ) -> Baseline:
        """One row of the table below."""
        row = str.__new__(cls, name)
        row._value_ = name
        row.described, row.type_column, row.model_key, row.limits = described, type_column, model_key, limits
        row.price, row.price_tokens = price
        return row

    documented = (
        "documented",
        "as the specification has it",
        "chatbottype",
        "model_name",
        ("input_cost_per_token", 1),
        ("context_window", "max_output_tokens"),
    )
    deployed = (
        "deployed",
        "as it is deployed",
        "chatbot_type",
        "model_id",
        ("input_price_per_million", 1_000_000),
        ("input_limit", "output_limit"),
    )


BASELINES = tuple(Baseline)
DEFAULT_ROWS = 1000
DEFAULT_SEED = 1


def connect(url: str, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect to a sandbox database in autocommit."""
    import psycopg

    return psycopg.connect(url, autocommit=True, application_name="callctl sandbox", **options)


def create_database(connection: psycopg.Connection[Any], name: str, *, template: str | None = None) -> None:
    """Create a database, marked as a sandbox, by copying ``template`` (else an empty one)."""
    from psycopg import sql

    clauses: list[sql.Composable] = [sql.SQL("TEMPLATE {}").format(sql.Identifier(template or "template0"))]
    if template and connection.info.server_version >= 150000:
        clauses.append(sql.SQL("STRATEGY FILE_COPY"))  # no WAL of every block
    connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), sql.SQL(" ").join(clauses)))
    connection.execute(sql.SQL("ALTER DATABASE {} SET callctl.environment = 'sandbox'").format(sql.Identifier(name)))


def drop_database(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database if it is there, and end the sessions in it."""
    from psycopg import sql

    connection.execute(read_sql("sandbox/end_sessions.sql"), {"database": name})
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def fill(
    url: str,
    baseline: str,
    *,
    rows: int = DEFAULT_ROWS,
    seed: int = DEFAULT_SEED,
    refused_shapes: bool = False,
) -> None:
    """Make the schema of ``baseline`` in an empty database and fill it; ``rows`` is the number of chatbots.

    The same seed gives the same rows, ids included. ``refused_shapes`` adds settings that the migration
    refuses. Raises KeyError for a name that is none of a baseline.
    """
    baseline = Baseline[baseline]
    # Some names are not ASCII; a session of an SQL_ASCII database would refuse to send them.
    with connect(url, client_encoding="UTF8") as connection:
        for name, value in (
            ("callctl.rows", str(rows)),
            ("callctl.seed", str(seed)),
            ("callctl.refused_shapes", "on" if refused_shapes else "off"),
        ):
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        if connection.info.server_version < 130000:  # gen_random_uuid() is in core since 13
            connection.execute("CREATE EXTENSION IF NOT EXISTS pgcrypto")
        for part in (baseline, "rows", f"{baseline}_rows"):
            connection.execute(read_sql(f"baselines/{part}.sql"))
        connection.execute("VACUUM (ANALYZE)")
