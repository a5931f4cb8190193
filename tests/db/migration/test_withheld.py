"""Models for calls while the drops are deferred: not offered before step 6, and available behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import MakeDatabase, connect
from tests.faults.test_resume import StopAfter

from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.database import purge
from callctl.errors import Interrupted, StepFailed
from callctl.events import Event, Notice
from callctl.migration import migrate
from callctl.migration.checks import verify
from callctl.migration.steps.call_models import EXAMPLES, OWN, Model, load_catalogue
from callctl.sandbox.lifecycle import BASELINES, Baseline
from callctl.tenants import seeding

# It is about plain INSERT and UPDATE.
pytestmark = pytest.mark.one_server

KEYS = {model.key for model in load_catalogue()}
KEY = {each.value: each.model_key for each in BASELINES}
LATEST = "gpt-4o-realtime-preview"


@pytest.fixture(params=BASELINES)
def name(request: pytest.FixtureRequest) -> str:
    """Each baseline: one whose models cannot be inactive, and one whose models can."""
    return str(request.param)


def offered(db: psycopg.Connection[Any]) -> set[str]:
    """What an application offers that knows of no model_type: every row, or every active one."""
    rows = db.execute("SELECT to_jsonb(m) FROM chatapp.ai_models AS m").fetchall()
    return {
        row.get("model_name") or row["model_id"]
        for (row,) in rows
        if row.get("is_active", row.get("isActive", True)) is True
    }


def failing(url: str) -> list[str]:
    settings = Settings(database_url=url)
    with connect(url) as db, database.read_only(db):
        report = verify.verify(db, settings)
        return [check.id for check in report.checks if not check.passed and not check.warns]


def waiting(url: str) -> dict[str, bool]:
    with connect(url) as db:
        found = migrate.status(db, Settings(database_url=url))
        return {model.key: model.inserted for model in found.withheld}


def seed(url: str, models: tuple[Model, ...], **options: Any) -> list[str]:
    done = seeding.seed(Settings(database_url=url), seeding.SeedOptions("ours.yaml", models, **options))
    return [each.outcome for each in done.models]


def another(**changes: Any) -> tuple[Model, ...]:
    return (replace(load_catalogue()[0], key="our-voice", **changes),)


def change(db: psycopg.Connection[Any], name: str, key: str, what: str) -> None:
    statement = sql.SQL("UPDATE chatapp.ai_models SET {} WHERE {} = %s").format(
        sql.SQL(what),
        sql.Identifier(KEY[name]),
    )
    assert db.execute(statement, (key,)).rowcount == 1


def test_they_are_offered_behind_the_contract_alone(database: MakeDatabase, name: str) -> None:
    url = database(name)
    settings = Settings(database_url=url)
    with connect(url) as db:
        before = offered(db)
        run = migrate.up(settings, defer_drops=True)
        assert offered(db) == before
        assert {model.key for model in run.withheld} == KEYS
        assert waiting(url) == dict.fromkeys(KEYS, name == "deployed")
        assert failing(url) == []
        migrate.up(settings, to=5)  # chatbots has its type column still
        assert offered(db) == before
        assert migrate.up(settings).withheld == ()
        assert offered(db) == before | KEYS
        assert waiting(url) == {}
        assert failing(url) == []


def test_without_deferring_they_are_as_documented(database: MakeDatabase, name: str) -> None:
    url = database(name)
    with connect(url) as db:
        before = offered(db)
        assert migrate.up(Settings(database_url=url)).withheld == ()
        assert offered(db) == before | KEYS


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("defer", [False, True])
def test_down_from_the_deferred_state_and_up_again(
    database: MakeDatabase, name: str, defer: bool, atomic: bool
) -> None:
    url = database(name)
    settings = Settings(database_url=url)
    with connect(url) as db:
        before = offered(db)
        migrate.up(settings, defer_drops=True, atomic=atomic)
        migrate.down(settings, to=12, atomic=atomic)
        assert offered(db) == before
        migrate.down(settings, to=0, atomic=atomic)
        assert offered(db) == before
        migrate.up(settings, defer_drops=defer, atomic=atomic)
        assert offered(db) == (before if defer else before | KEYS)
        assert failing(url) == []
        migrate.up(settings, atomic=atomic)
        assert offered(db) == before | KEYS
        assert failing(url) == []


def test_those_that_were_active_before_a_way_back_wait_as_well(database: MakeDatabase, name: str) -> None:
    url = database(name)
    settings = Settings(database_url=url)
    with connect(url) as db:
        before = offered(db)
        migrate.up(settings)
        change(db, name, LATEST, "display_name = 'Ours'")
        rows = "SELECT to_jsonb(m) - 'updated_at' FROM chatapp.ai_models AS m ORDER BY id"
        as_it_was = db.execute(rows).fetchall()
        migrate.down(settings, to=4)
        migrate.up(settings, defer_drops=True)
        assert offered(db) == before
        migrate.up(settings)
        assert db.execute(rows).fetchall() == as_it_was


@pytest.mark.parametrize(
    ("what", "offers"),
    [
        ("description = description || ' (ours)'", False),
        ("is_active = true", True),
        ("updated_at = updated_at + interval '1 second'", False),
        ("sort_order = 7", False),
    ],
)
def test_what_another_has_changed_stays_as_it_is(deployed: str, what: str, offers: bool) -> None:
    settings = Settings(database_url=deployed)
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            said.append(event.text)

    with connect(deployed) as db:
        before = offered(db)
        migrate.up(settings, defer_drops=True)
        change(db, "deployed", LATEST, what)
        assert set(waiting(deployed)) == KEYS - {LATEST}
        migrate.up(settings, on_event=listen)
        assert offered(db) == before | KEYS - (set() if offers else {LATEST})
        notice = f"model {LATEST} stays inactive: it was changed after callctl inserted it"
        assert (notice in said) is not offers
        assert failing(deployed) == []
        assert db.execute("SELECT count(*) FROM callctl.withheld_model").fetchone() == (0,)


def test_an_unrelated_column_is_no_change_of_a_model(deployed: str) -> None:
    settings = Settings(database_url=deployed)
    with connect(deployed) as db:
        migrate.up(settings, defer_drops=True)
        db.execute("ALTER TABLE chatapp.ai_models ADD COLUMN region text DEFAULT 'eu', DROP COLUMN cached_input_price")
        db.execute("SET TIME ZONE 'Asia/Tokyo'")
        db.execute("ALTER DATABASE " + db.info.dbname + " SET timezone = 'America/Lima'")
        migrate.up(settings)
        assert offered(db) >= KEYS


def test_a_model_that_is_inactive_by_default_stays_so(deployed: str) -> None:
    settings = Settings(database_url=deployed)
    with connect(deployed) as db:
        db.execute("ALTER TABLE chatapp.ai_models ALTER is_active SET DEFAULT false")
        before = offered(db)
        migrate.up(settings, defer_drops=True)
        assert waiting(deployed) == {}
        migrate.up(settings)
        assert offered(db) == before


@pytest.mark.parametrize(("column", "inserted"), [('"isActive" boolean', True), ("is_active text", False)])
def test_which_column_says_it(documented: str, column: str, inserted: bool) -> None:
    settings = Settings(database_url=documented)
    default = "true" if inserted else "'yes'"
    with connect(documented) as db:
        db.execute(f"ALTER TABLE chatapp.ai_models ADD COLUMN {column} NOT NULL DEFAULT {default}".encode())
        migrate.up(settings, defer_drops=True)
        assert waiting(documented) == dict.fromkeys(KEYS, inserted)
        assert not KEYS & offered(db)
        migrate.up(settings)
        (there,) = db.execute("SELECT array_agg(model_name) FROM chatapp.ai_models").fetchone() or ([],)
        assert set(there) >= KEYS
        assert failing(documented) == []


@pytest.mark.parametrize("when", ["expand", "contract"])
def test_a_trigger_that_has_its_own_mind_stops_the_step(deployed: str, when: str) -> None:
    settings = Settings(database_url=deployed)
    with connect(deployed) as db:
        if when == "contract":
            migrate.up(settings, defer_drops=True)
        db.execute(
            "CREATE FUNCTION chatapp.stubborn() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.is_active := OLD.is_active; RETURN NEW; END $$;"
            "CREATE TRIGGER stubborn BEFORE UPDATE ON chatapp.ai_models FOR EACH ROW"
            " EXECUTE FUNCTION chatapp.stubborn()"
        )
        with pytest.raises(StepFailed) as failed:
            migrate.up(settings, defer_drops=when == "expand")
        assert "trigger stubborn (enabled, function chatapp.stubborn())" in failed.value.message
        db.execute("ALTER TABLE chatapp.ai_models DISABLE TRIGGER stubborn")
        migrate.up(settings)
        assert offered(db) >= KEYS


def test_a_stop_anywhere_in_the_contract_is_resumed(database: MakeDatabase, name: str) -> None:
    url = database(name)
    settings = Settings(database_url=url)
    with connect(url) as db:
        migrate.up(settings, defer_drops=True)
        for attempt in range(1, 100):
            try:
                migrate.up(settings, on_event=StopAfter(attempt))
                break
            except Interrupted:
                assert offered(db) >= KEYS or not KEYS & offered(db), attempt
        assert offered(db) >= KEYS
        assert failing(url) == []


def test_seed_models_lets_them_wait_too(database: MakeDatabase, name: str) -> None:
    url = database(name)
    settings = Settings(database_url=url)
    with connect(url) as db:
        before = offered(db)
        migrate.up(settings, defer_drops=True)
        assert seed(url, another()) == ["insert"]
        assert offered(db) == before
        assert set(waiting(url)) == {*KEYS, "our-voice"}
        assert seed(url, another()) == ["unchanged"]
        # A later catalogue: callctl's own write is no administrator's.
        assert seed(url, another(display_name="Our second voice")) == ["update"]
        assert seed(url, another(display_name="Our second voice")) == ["unchanged"]
        assert offered(db) == before
        assert failing(url) == []
        migrate.up(settings)
        assert offered(db) == before | KEYS | {"our-voice"}
        row = db.execute("SELECT count(*) FROM chatapp.ai_models WHERE display_name = 'Our second voice'").fetchone()
        assert row == (1,)
        assert seed(url, another(display_name="Our third voice")) == ["update"]
        assert offered(db) == before | KEYS | {"our-voice"}


def test_a_chat_model_need_not_wait(database: MakeDatabase, name: str) -> None:
    """Of the specification's examples, those that take calls wait."""
    url = database(name)
    examples = load_catalogue(name=EXAMPLES)
    with connect(url) as db:
        migrate.up(Settings(database_url=url), defer_drops=True)
        seed(url, examples)
        chats = {model.key for model in examples if model.type == "chat"}
        calls = {model.key for model in examples if model.type != "chat"}
        assert offered(db) >= chats
        assert not calls & offered(db)
        migrate.up(Settings(database_url=url))
        assert offered(db) >= chats | calls


def test_seeding_over_an_administrators_edit_leaves_it_theirs(deployed: str) -> None:
    settings = Settings(database_url=deployed)
    with connect(deployed) as db:
        migrate.up(settings, defer_drops=True)
        seed(deployed, another())
        change(db, "deployed", "our-voice", "sort_order = 7")
        assert seed(deployed, another(display_name="Our second voice")) == ["update"]
        migrate.up(settings)
        assert "our-voice" not in offered(db)


def test_a_key_that_was_taken_meanwhile_belongs_to_who_took_it(documented: str) -> None:
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        migrate.up(settings, defer_drops=True)
        db.execute(
            "INSERT INTO chatapp.ai_models (model_name, provider, display_name) VALUES (%s, 'openai', 'Ours')",
            (LATEST,),
        )
        found = seeding.look(db, settings, seeding.SeedOptions(OWN, load_catalogue()))
        assert sorted(each.outcome for each in found.models) == ["kept", "unchanged", "unchanged"]
        migrate.up(settings)
        row = db.execute("SELECT count(*) FROM chatapp.ai_models WHERE model_name = %s", (LATEST,)).fetchone()
        assert row == (1,)


def test_purge_keeps_what_is_nowhere_else(database: MakeDatabase, name: str) -> None:
    url = database(name)
    settings = Settings(database_url=url)
    with connect(url) as db:
        migrate.up(settings, defer_drops=True)
        assert "saved row" not in {kind.kind for kind in purge.purge(settings)}
        assert set(waiting(url)) == KEYS
        migrate.up(settings)
        assert offered(db) >= KEYS
        migrate.down(settings, to=12)
        assert "saved row" in {kind.kind for kind in purge.purge(settings)}
        assert db.execute("SELECT count(*) FROM callctl.saved_row").fetchone() == (0,)


def test_adopting_the_drops_makes_them_available(database: MakeDatabase, name: str) -> None:
    """An operator drops the columns by hand; adopt records it, and does what the step does beside."""
    from callctl.migration import adoption

    url = database(name)
    settings = Settings(database_url=url)
    with connect(url) as db:
        migrate.up(settings, defer_drops=True)
        migrate.up(settings, to=5)
        column = Baseline[name].type_column
        db.execute("SELECT callctl.remember_column(6, 'chatapp.chatbots', %s)", (column,))
        db.execute("SELECT callctl.drop_sync('chatapp.chatbots')")
        db.execute(f"ALTER TABLE chatapp.chatbots DROP COLUMN {column}".encode())
        db.execute("SELECT callctl.drop_unused_types()")
        done = adoption.adopt(settings)
        assert [step.adopted for step in done] == [True], done
        assert offered(db) >= KEYS
