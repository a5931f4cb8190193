"""Databases taken through the steps once, and broken in transactions that are rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from tests.conftest import connect
from tests.support.db.mutations import Known, objects
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.migration import migrate
from callctl.sandbox.lifecycle import create_database, drop_database, fill
from callctl.sandbox.server import Server

# Rows that the baselines hold on purpose, and that a check warns of from the start.
SETTLE = """
  SET LOCAL callctl.writes = 'on';
  UPDATE chatapp.chatbots SET package_id = NULL WHERE id IN (SELECT chatbot_id FROM callctl.inheritance_breach);
  DELETE FROM callctl.inheritance_breach;
"""


@dataclass(frozen=True)
class State:
    """A baseline, up to a step; and back to one, with what that archives."""

    baseline: str
    to: int = LAST
    deferred: bool = False
    back: int | None = None

    def __str__(self) -> str:
        back = "" if self.back is None else f"-back-{self.back}"
        return f"{self.baseline}-{self.to}{'-deferred' * self.deferred}{back}"


@dataclass
class Migrated:
    """A database of each state that is asked for, made once."""

    server: Server
    objects_before: dict[State, Known] = field(default_factory=dict)

    def url(self, state: State) -> str:
        """The URL of the database in this state."""
        name = f"migrated_{str(state).replace('-', '_')}"
        if state not in self.objects_before:
            with connect(self.server.url("postgres")) as admin:
                create_database(admin, name)
            fill(self.server.url(name), state.baseline, rows=40)
            with connect(self.server.url(name)) as db:
                self.objects_before[state] = objects(db)
            migrate.up(Settings(database_url=self.server.url(name)), to=state.to, defer_drops=state.deferred)
            if state.back is not None:
                migrate.down(Settings(database_url=self.server.url(name)), to=state.back)
            if state.to > 5 and not state.deferred:
                with connect(self.server.url(name)) as db:
                    db.execute(SETTLE)
        return self.server.url(name)

    def before(self, state: State) -> Known:
        """The objects that this database had before up."""
        self.url(state)
        return self.objects_before[state]

    def drop(self) -> None:
        """Drop them all."""
        with connect(self.server.url("postgres")) as admin:
            for state in self.objects_before:
                drop_database(admin, f"migrated_{str(state).replace('-', '_')}")


@contextmanager
def connection_to(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection in a transaction that is rolled back."""
    with connect(url, prepare_threshold=None) as db, db.transaction(force_rollback=True):
        yield db
