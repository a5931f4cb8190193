"""A large table of which a batched statement touches a good part is walked page by page, without a list of its rows.

A walk misses a row that somebody's update moves behind it, and so it is never the whole of a batched statement: what
it has left is listed and written then. It saves making the list, and looking up each of its rows by key.

PostgreSQL 14 and later read a range of pages (docs: "TID Range Scan"); on older ones there is no walk.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from callctl.files import read_sql
from callctl.work_list import Target, Way, listing

if TYPE_CHECKING:
    from callctl.database import Connection
    from callctl.script import Statement

OLDEST_SERVER = 140000
# A walk reads every page in small transactions, a list in one scan: where fewer rows than this are to be touched, the
# list is less work.
WORTHWHILE = 0.03
# Rows to be touched may stand closer together than on the pages of the sample.
_CLOSER = 3
_SPOTS = 12
_PAGES = 8
# A page holds no more line pointers than this.
_LAST_LINE = 65_535


def way(connection: Connection, statement: Statement, target: Target, many: int) -> Way | None:
    """The way through the table's pages, where it has ``many`` rows and a sample says that it pays; else None."""
    if connection.info.server_version < OLDEST_SERVER or target.schema == "callctl":
        return None
    row = connection.execute(
        read_sql("catalog/table_size.sql").encode(), {"schema": target.schema, "table": target.table}
    ).fetchone()
    if row is None:
        return None
    pages, live = row
    if live < many or pages < _SPOTS * _PAGES:
        return None
    found = _sample(connection, listing(statement, target.key), pages)
    rows = found * pages // (_SPOTS * _PAGES)
    if rows < max(many, live * WORTHWHILE):
        return None
    dense = max(min(_CLOSER * rows, live) / pages, 1.0)
    return Way(statement, "ctid", _between, length=pages, rows=rows, dense=dense)


def _between(start: int, last: int) -> str:
    return f"BETWEEN '({start},0)' AND '({last - 1},{_LAST_LINE})'"


def _sample(connection: Connection, listed: str, pages: int) -> int:
    """How many rows a few pages here and there hold of those that the statement would touch."""
    starts = [random.randrange(pages - _PAGES + 1) for _ in range(_SPOTS)]
    spots = [f"SELECT FROM ({listed}) AS listed WHERE place {_between(at, at + _PAGES)}" for at in starts]
    row = connection.execute(f"SELECT count(*) FROM ({' UNION ALL '.join(spots)}) AS spots".encode()).fetchone()
    return int(row[0]) if row else 0
