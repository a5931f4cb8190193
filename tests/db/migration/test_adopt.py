"""A migration that was done without callctl is proved step by step, and recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.support.db import snapshot
from tests.support.steps import ALL, EXPANDED

from callctl.config.sections import Accepted
from callctl.config.settings import Settings
from callctl.database.connection import connect
from callctl.database.store import schema_sql
from callctl.migration import adoption, migrate
from callctl.migration.checks.verify import verify
from callctl.migration.steps.numbered import all_steps

SPECIFICATION = Path(__file__).parents[2] / "support" / "db" / "specification.sql"


def by_hand(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SPECIFICATION.read_bytes())


def test_after_the_documents_own_sql(documented: str) -> None:
    """What the document's DDL leaves out, adopt adds; the rows that its step 12 leaves out, the next up writes."""
    settings = Settings(database_url=documented)
    by_hand(documented)
    adopted = adoption.adopt(settings)
    assert [step.number for step in adopted if step.adopted] == list(range(1, 12)), adopted[-1]
    # Soft-deleted chatbots, and those with "call": null.
    assert [check.id for check in adopted[-1].failing] == ["company-flags", "call-settings-present"]
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
        connection.execute(schema_sql())
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
    expanded = list(EXPANDED)
    with psycopg.connect(documented, autocommit=True) as connection:
        connection.execute(schema_sql())
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


def flags_by_the_document(url: str) -> None:
    """Step 12 as the document has it: one UPDATE that leaves companies without a flag."""
    settings = Settings(database_url=url)
    migrate.up(settings, to=11)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE chatapp.companies SET settings = jsonb_set(settings, '{features,callEnabled}', 'false')")
        db.execute(
            "UPDATE chatapp.chatbots SET settings = jsonb_set(coalesce(settings, '{}'), '{call}',"
            " callctl.default_call_settings())"
            " WHERE enabled_call AND coalesce(settings -> 'call', '{}') IN ('{}', 'null')"
        )


def test_what_adopt_proves_is_what_verify_finds(documented: str) -> None:
    """The check of step 12 reads the history: it is asked as it will be once the step is recorded."""
    settings = Settings(database_url=documented)
    flags_by_the_document(documented)
    adopted = adoption.adopt(settings)
    assert [(step.number, step.adopted) for step in adopted] == [(12, False)]
    assert [check.id for check in adopted[0].failing] == ["company-flags"]
    migrate.up(settings)
    with connect(settings) as connection:
        assert verify(connection, settings).passed


@pytest.mark.applied
def test_a_company_made_after_the_step_needs_no_flag_whatever_the_clock_said(documented: str) -> None:
    """The server's clock ran two days ahead while the steps were taken, and was set back."""
    settings = Settings(database_url=documented)
    with psycopg.connect(documented, autocommit=True) as db:
        db.execute(
            "SET callctl.writes = 'on'; UPDATE callctl.history SET started_at = started_at + interval '2 days',"
            " finished_at = finished_at + interval '2 days'"
        )
        db.execute("INSERT INTO chatapp.companies (name, slug) VALUES ('New', 'new')")
    with connect(settings) as connection:
        assert [check.id for check in verify(connection, settings).checks if not (check.passed or check.warns)] == []
        connection.execute(
            "UPDATE chatapp.companies SET settings = settings #- '{features,callEnabled}' WHERE slug <> 'new'"
        )
        failing = [check for check in verify(connection, settings).checks if not (check.passed or check.warns)]
        assert [check.id for check in failing] == ["company-flags"]


def test_a_failed_adopt_leaves_no_schema_behind(documented: str) -> None:
    settings = Settings(database_url=documented)
    with psycopg.connect(documented, autocommit=True) as db:
        before = snapshot.take(db)
        assert not adoption.adopt(settings)[0].adopted
        snapshot.assert_same(before, snapshot.take(db))
        assert db.execute("SELECT to_regnamespace('callctl')").fetchone() == (None,)


@pytest.mark.applied(1)
def test_a_failed_adopt_leaves_a_schema_that_was_there(documented: str) -> None:
    settings = Settings(database_url=documented)
    adopted = adoption.adopt(settings)
    assert [(step.number, step.adopted) for step in adopted] == [(2, False)]
    with connect(settings) as connection:
        assert migrate.status(connection, settings).applied == (1,)


@pytest.mark.applied
def test_a_difference_that_is_accepted_is_adopted(documented: str) -> None:
    """What verify prints is what adopt takes."""
    settings = Settings(database_url=documented)
    with psycopg.connect(documented, autocommit=True) as db:
        db.execute("ALTER TABLE chatapp.calls ALTER recording_url TYPE varchar(1000)")
        db.execute("DELETE FROM callctl.history")
    adopted = adoption.adopt(settings)
    assert [step.number for step in adopted if not step.adopted] == [10]
    assert "recording_url" in str(adopted[-1].failing[0].sample)
    entry = Accepted("column chatapp.calls.recording_url", "type is character varying(1000)", "longer")
    adopted = adoption.adopt(replace(settings, accept=(entry,)))
    assert [step.number for step in adopted if step.adopted] == list(ALL[9:])
