"""The queries of a load test: those of the specification, in this database's names, and the ones about its own rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callctl.files import sql_names
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming
from callctl.statements.script import Script, load_script

if TYPE_CHECKING:
    import psycopg

    from callctl.database.connection import Connection


@dataclass(frozen=True)
class Query:
    """One statement with PostgreSQL's own ``$1``, ``$2``, … for its ``parameters``, in that order.

    ``documented`` are the specification's lines; ``indexes`` those that serve it; ``scans`` says why it reads a whole
    table, where it must; ``loaded`` whether a load test runs it.
    """

    name: str
    text: str
    sql: str
    parameters: tuple[str, ...]
    documented: str
    who: str
    indexes: tuple[str, ...]
    scans: str | None
    loaded: bool


def documented_queries(naming: Naming) -> dict[str, Query]:
    """Every query of the specification, by its file's name."""
    queries = (_query(load_script(name), naming) for name in sql_names("loadtest"))
    return {query.name: query for query in queries}


def run_own(connection: Connection, naming: Naming, name: str, **values: object) -> psycopg.Cursor[tuple[Any, ...]]:
    """Execute one of the statements about the load test's own rows."""
    query = _query(load_script(f"loadtest/own/{name}.sql"), naming)
    return run(connection, query, values)


def run(connection: Connection, query: Query, values: dict[str, object]) -> psycopg.Cursor[tuple[Any, ...]]:
    """Execute a query with the values that it names."""
    import psycopg

    cursor: psycopg.RawCursor[tuple[Any, ...]] = psycopg.RawCursor(connection)
    # As bytes: in a session of an SQL_ASCII database this cursor would send text as ASCII, and names may be anything.
    return cursor.execute(query.sql.encode(), [values[each] for each in query.parameters] or None)


def _query(script: Script, naming: Naming) -> Query:
    (statement,) = script.statements
    header = script.header
    return Query(
        name=script.name.rpartition("/")[2].removesuffix(".sql"),
        text=" ".join(statement.comment.split()),
        sql=adapt(statement, naming).sql,
        parameters=tuple(each for each in _listed(header["parameters"]) if each != "none"),
        documented=header.get("from", ""),
        who=header.get("who", ""),
        indexes=tuple(_listed(header.get("index", ""))),
        scans=header.get("scans"),
        loaded=header.get("load") != "no",
    )


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
