"""The rows that a plan says its batches will write, beside those that they wrote; what a run keeps of its forecast."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.conftest import connect
from tests.support.steps import ALL

from callctl.config.settings import Settings
from callctl.events import Event, Expected, Forecast, Notice
from callctl.forecast import calibration
from callctl.forecast.catalog import read_catalog
from callctl.forecast.outlook import forecast_of, outlook
from callctl.migration import migrate
from callctl.migration.planning import Plan, Wish
from callctl.migration.run_record import RunRecord

if TYPE_CHECKING:
    from callctl.database.connection import Connection

# Rows that break the rule of inheritance are estimated by their types alone: some are deleted, or say so already.
ABOUT = ("steps/06_drop_chatbot_type/after_up.sql",)
KEPT = (
    "SELECT h.step, f.low_seconds, f.expected_seconds, f.high_seconds, f.rates FROM callctl.forecast AS f"
    " JOIN callctl.history AS h ON h.id = f.history_id ORDER BY h.id"
)


def _compared(url: str, wish: Wish) -> dict[tuple[str, int], tuple[int | None, int]]:
    """Of each batched statement of the platform's tables: the estimate, and what was written."""
    settings = Settings(database_url=url)
    with connect(url) as db:
        look = outlook(db, settings, migrate.plan(db, settings, wish))
    record = RunRecord()
    migrate.take(settings, wish, on_event=record)
    written = {(each.source, each.line): each.rows for step in record.steps for each in step.statements}
    return {
        (line.statement.source, line.statement.line): (
            line.work.rows_estimated,
            written.get((line.statement.source, line.statement.line), 0),
        )
        for step in look.steps
        for line in step.lines()
        if line.work.batched
    }


@pytest.mark.parametrize("baseline", ["documented", "deployed"])
def test_the_rows_to_write_are_those_written(request: pytest.FixtureRequest, baseline: str) -> None:
    url: str = request.getfixturevalue(baseline)
    for wish in (Wish("up"), Wish("down", 0), Wish("up", 4), Wish("up")):
        compared = _compared(url, wish)
        assert compared
        assert not {place for place, (estimate, _) in compared.items() if estimate is None}
        exact = {place: found for place, found in compared.items() if place[0] not in ABOUT}
        assert {place: estimate for place, (estimate, _) in exact.items()} == {
            place: written for place, (_, written) in exact.items()
        }


def test_a_large_table_is_sampled(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(documented) as db:
        db.execute(
            "CREATE TABLE chatapp.wide (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n integer, x text);"
            "INSERT INTO chatapp.wide (n, x) SELECT n, repeat('x', 1500) FROM generate_series(1, 8000) AS n;"
            "ANALYZE chatapp.wide"
        )
        from callctl.forecast import rows
        from callctl.forecast.catalog import Name

        monkeypatch.setattr(rows, "PAGES", 400)
        with db.transaction(force_rollback=True):
            catalog = read_catalog(db, "chatapp")
            wide = catalog.relations[Name("chatapp", "wide")]
            assert wide.pages > 1000
            found = rows._count("SELECT w.id FROM chatapp.wide AS w WHERE w.n % 2 = 0", catalog, wide)
    assert found is not None
    assert not found.counted
    assert 3000 < found.rows < 5000


def test_rows_of_a_table_that_grew_are_by_its_pages(documented: str) -> None:
    with connect(documented) as db:
        db.execute(
            "CREATE TABLE chatapp.grown (x text);"
            "INSERT INTO chatapp.grown SELECT repeat('x', 500) FROM generate_series(1, 1000);"
            "ANALYZE chatapp.grown; INSERT INTO chatapp.grown SELECT repeat('x', 500) FROM generate_series(1, 3000)"
        )
        with db.transaction(force_rollback=True):
            catalog = read_catalog(db, "chatapp")
    (grown,) = (relation for relation in catalog.relations.values() if relation.name.name == "grown")
    assert grown.rows is not None
    assert 3500 < grown.rows < 4500


def _told(connection: Connection, plan: Plan, settings: Settings) -> Forecast:
    return forecast_of(outlook(connection, settings, plan, measured=True))


def test_a_run_keeps_its_forecast_and_the_next_one_learns(documented: str) -> None:
    settings = Settings(database_url=documented)
    told: list[Event] = []
    migrate.take(settings, Wish("up"), on_event=told.append, forecast=lambda db, plan: _told(db, plan, settings))
    (forecast,) = (event for event in told if isinstance(event, Forecast))
    with connect(documented) as db:
        kept = db.execute(KEPT).fetchall()
        assert [(step, Expected(*rest)) for step, *rest in kept] == sorted(forecast.steps.items())
        assert {rates for *_, rates in kept} == {"measured"}
        # As if each step had taken ten seconds, and half of that had been expected.
        db.execute("UPDATE callctl.history SET started_at = finished_at - interval '10 s'")
        db.execute("UPDATE callctl.forecast SET expected_seconds = 5")
        factor = calibration.learn(db, "up")
        assert factor == pytest.approx((len(ALL) * 10 + 2) / (len(ALL) * 5 + 2))
        assert calibration.learn(db, "down") is None
        slower = calibration.rates(calibration.Measured(0.02, 0.0001, None), factor)
        assert slower.source == "learned"


def test_without_a_forecast_a_run_goes_on_and_says_so(documented: str) -> None:
    def fails(connection: Connection, plan: Plan) -> Forecast:
        connection.execute("SELECT 1 / 0")
        raise AssertionError

    told: list[Event] = []
    migrate.take(Settings(database_url=documented), Wish("up", 2), on_event=told.append, forecast=fails)
    assert [event.text for event in told if isinstance(event, Notice)] == [
        "there is no forecast of this run: division by zero"
    ]
    with connect(documented) as db:
        assert db.execute(KEPT).fetchall() == []
        assert db.execute("SELECT count(*) FROM callctl.history").fetchall() == [(2,)]


def test_a_step_that_resumes_keeps_no_forecast(documented: str) -> None:
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        migrate.take(settings, Wish("up", 3))
        db.execute(
            "ALTER TABLE chatapp.chatbots ADD CONSTRAINT no CHECK (chatbotType <> 'call' OR NOT enabled_call) NOT VALID"
        )
        with pytest.raises(Exception, match="no"):
            migrate.take(settings, Wish("up"))
        db.execute("ALTER TABLE chatapp.chatbots DROP CONSTRAINT no")
        assert migrate.status(db, settings).half_done
        migrate.take(settings, Wish("up"), forecast=lambda connection, plan: _told(connection, plan, settings))
        steps = [step for step, *_ in db.execute(KEPT).fetchall()]
    assert steps == [step for step in ALL if step > 4]


def test_measuring_reads_only(documented: str) -> None:
    with connect(documented) as db:
        catalog = read_catalog(db, "chatapp")
        tables = [replace(table, pages=max(table.pages, 200)) for table in catalog.relations.values()]
        with db.transaction():
            db.execute("SET TRANSACTION READ ONLY")
            measured = calibration.measure(db, tables)
    assert measured.processor > 0
    assert measured.read


def test_what_somebody_locks_is_not_waited_for(documented: str) -> None:
    settings = Settings(database_url=documented)
    with connect(documented) as holder, connect(documented) as db:
        holder.execute("BEGIN; LOCK TABLE chatapp.chatbots, chatapp.users IN ACCESS EXCLUSIVE MODE")
        holder.execute("LOCK TABLE chatapp.chatbot_packages IN ACCESS EXCLUSIVE MODE")
        db.execute("SET lock_timeout = '60s'; SET statement_timeout = '10s'")
        look = outlook(db, settings, migrate.plan(db, settings, Wish("up")), measured=True)
        batched = [line.work for step in look.steps for line in step.lines() if line.work.batched]
        assert None in {work.rows_estimated for work in batched}
