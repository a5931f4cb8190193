"""What a check of verify found, and how the server is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callctl.database import connection as database

if TYPE_CHECKING:
    from callctl.config.accept import Accepted
    from callctl.database.connection import Connection

SAMPLE = 10
CONTRACT_COLUMNS = ("problem", "object", "property", "expected", "found")
LATE = "no answer in time"


@dataclass(frozen=True)
class CheckResult:
    """One check: ``count`` offending rows, and the first few of them.

    ``means`` is what a failure means for customers, ``mends`` the commands that mend it. ``error`` is what the server
    said where the query itself failed; such a check has not passed.
    """

    id: str
    sentence: str
    step: int | None
    passed: bool
    warns: bool
    count: int
    columns: tuple[str, ...]
    sample: tuple[tuple[Any, ...], ...]
    source: str
    error: str | None = None
    means: str = ""
    mends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All checks that this state of the database calls for; ``objects`` of the catalog were compared.

    ``fast``: the rows were not looked at. ``accepted``: the entries of callctl.yaml that each took a difference out.
    """

    steps: tuple[int, ...]
    checks: tuple[CheckResult, ...]
    objects: int = 0
    fast: bool = False
    accepted: tuple[Accepted, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no check failed; one that only warns does not count."""
        return all(check.passed or check.warns for check in self.checks)


def ask(connection: Connection, sql: str, columns: list[str] | None = None) -> tuple[list[tuple[Any, ...]], str | None]:
    """The rows, or what the server said instead."""
    import psycopg

    try:
        with connection.transaction():
            cursor = connection.execute(sql)
            if columns is not None:
                columns.extend(column.name for column in cursor.description or ())
            return cursor.fetchall(), None
    except psycopg.errors.QueryCanceled as error:
        return [], f"{LATE}; --statement-timeout sets how long one query may take ({database.error_text(error)})"
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError, psycopg.InternalError) as error:
        return [], database.explained(connection, error)
