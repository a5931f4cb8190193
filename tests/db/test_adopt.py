"""A migration that was done without callctl is proved step by step, and recorded."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from tests.db import snapshot

from callctl import adoption, migrate
from callctl.config import Settings
from callctl.database import connect
from callctl.files import read_sql
from callctl.steps import all_steps
from callctl.verify import verify

BY_HAND = Path(__file__).with_name("by_hand.sql")


def by_hand(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BY_HAND.read_bytes())


def test_after_the_documents_own_sql(documented: str) -> None:
    """What the document's DDL leaves out, adopt adds; the rows that its step 12 leaves out, the next up writes."""
    settings = Settings(database_url=documented)
    by_hand(documented)
    adopted = adoption.adopt(settings)
    assert [step.number for step in adopted if step.adopted] == list(range(1, 12)), adopted[-1]
    # Soft-deleted chatbots, and those with "call": null.
    assert [check.id for check in adopted[-1].failing] == ["call-settings-present"]
    migrate.up(settings)
    with connect(settings) as connection:
        found = migrate.status(connection, settings)
        assert found.pending == ()
        assert [step.number for step in found.steps if step.adopted] == list(range(1, 12))
        assert verify(connection, settings).passed


def test_what_an_adopted_migration_can_take_back(documented: str) -> None:
    settings = Settings(database_url=documented)
    by_hand(documented)
    adoption.adopt(settings)
    migrate.up(settings)
    migrate.down(settings, to=0)
    with connect(settings) as connection:
        look = snapshot.take(connection)
        # The types before are not known: the flags say them, in the document's own column.
        types = {row["chatbottype"] for row in look.table("chatbots").values()}
        assert types == {"chat", "call"}
        assert "enabled_chat" not in next(iter(look.table("chatbots").values()))
        # The models that the document's SQL inserted are put away like callctl's own.
        assert "gpt-4o-realtime-preview" not in {row["model_name"] for row in look.table("ai_models").values()}
    migrate.up(settings)


def test_nothing_to_adopt_stops_at_the_first_step(documented: str) -> None:
    settings = Settings(database_url=documented)
    adopted = adoption.adopt(settings)
    assert [(step.number, step.adopted) for step in adopted] == [(1, False)]
    assert [check.id for check in adopted[0].failing] == ["step-1-contract"]


@pytest.mark.parametrize("steps", [1, 3, 4, 8, 11])
def test_a_migration_half_done_by_hand_is_adopted_as_far_as_it_goes(steps: int, documented: str) -> None:
    settings = Settings(database_url=documented)
    with psycopg.connect(documented, autocommit=True) as connection:
        connection.execute(read_sql("store.sql").encode())
        for step in all_steps()[:steps]:
            for statement in step.script("up").statements:
                connection.execute(statement.sql.encode())
    adopted = adoption.adopt(settings)
    assert [step.number for step in adopted if step.adopted] == list(range(1, steps + 1))
    migrate.up(settings)
    with connect(settings) as connection:
        assert verify(connection, settings).passed
    migrate.down(settings, to=0)


def test_an_expansion_done_by_hand_is_adopted_as_one(documented: str) -> None:
    """psql ran every file but those of the drops: adopt passes over them as up does."""
    settings = Settings(database_url=documented)
    expanded = [*range(1, 5), *range(7, 14)]
    with psycopg.connect(documented, autocommit=True) as connection:
        connection.execute(read_sql("store.sql").encode())
        for number in expanded:
            for statement in all_steps()[number - 1].script("up").statements:
                connection.execute(statement.sql.encode())
    adopted = adoption.adopt(settings, defer_drops=True)
    assert [step.number for step in adopted if step.adopted] == expanded
    with connect(settings) as connection:
        assert migrate.status(connection, settings).deferred == (5, 6)
        assert verify(connection, settings).passed
        migrate.up(settings)
        assert verify(connection, settings).passed
