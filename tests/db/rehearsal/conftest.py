"""The server that rehearsals are built on, and a target with a bit of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.rehearsal.building import Built, build
from callctl.rehearsal.filling import Filled, Filler
from callctl.rehearsal.survey import Survey, survey
from callctl.sandbox import lifecycle
from callctl.sandbox.server import Server, start_server


@dataclass
class Copy:
    """A target looked at, built and filled: ``db`` is the rehearsal's database."""

    look: Survey
    built: Built
    filler: Filler
    tables: dict[str, Filled]
    db: psycopg.Connection[Any]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the rehearsal's database answers."""
        return self.db.execute(query.encode()).fetchall()

    @property
    def left_out(self) -> dict[tuple[str, str], str]:
        """(kind, name) -> reason."""
        return {(item.kind, item.name): item.reason for item in self.built.left_out}


MakeCopy = Callable[..., Copy]


@pytest.fixture(scope="session")
def own(_own_environment: None) -> Iterator[Server]:
    """The rehearsal's server: not that of the target."""
    with start_server() as running:
        yield running


@pytest.fixture
def copy(own: Server) -> Iterator[MakeCopy]:
    """Look at a target, build it and fill it: ``copy(url, most=200)``. Gone after the test."""
    opened: list[psycopg.Connection[Any]] = []

    def make(url: str, most: int = 200, **settings: Any) -> Copy:
        found = Settings(database_url=url, **settings)
        with lifecycle.connect(own.url()) as admin:
            lifecycle.drop_database(admin, "rehearsal")
        with closing(database.connect(found)) as target:
            look = survey(target, found)
            built = build(target, found, look, own)
        db = database.connect(Settings(database_url=built.url))
        opened.append(db)
        filler = Filler(db, look, most)
        tables = {table.table.name: table for table in filler.fill(lambda *_: None)}
        return Copy(look, built, filler, tables, db)

    yield make
    for db in opened:
        db.close()
    with lifecycle.connect(own.url()) as admin:
        lifecycle.drop_database(admin, "rehearsal")
        roles = admin.execute(
            "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'"
        ).fetchall()
        for (name,) in roles:
            admin.execute(psycopg.sql.SQL("DROP ROLE {}").format(psycopg.sql.Identifier(name)))
