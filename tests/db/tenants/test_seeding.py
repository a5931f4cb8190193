"""seed-models on real tables: exact, once, an administrator's edits kept, and a way back that loses none of it."""

# ruff: noqa: E501 - each case of a table is one line.

from __future__ import annotations

import itertools
import json
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from tests.conftest import connect
from tests.support.db import accounts, snapshot
from tests.support.db.migrated import Migrated, State

from callctl.config.settings import Settings
from callctl.database.actions import actions
from callctl.database.connection import read_only
from callctl.database.lock import at_work
from callctl.errors import ConfigError, LockHeld, Refused, StepFailed
from callctl.migration import migrate
from callctl.migration.checks import verify
from callctl.migration.steps.call_models import EXAMPLES, OWN, Model, load_catalogue
from callctl.sandbox.lifecycle import BASELINES, Baseline, create_database, drop_database
from callctl.sandbox.server import Server
from callctl.statements.naming import read_naming
from callctl.tenants import accounts as tenants_accounts
from callctl.tenants import seeding
from callctl.tenants.seeding import Seeded, SeedOptions, seed

# It is about plain INSERT and UPDATE.
pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]

CUSTOM = """
models:
  - key: our-voice-1
    provider: google
    type: call
    display_name: "Our voice; DROP TABLE 'é☎'"
    description: "%(keys)s {models} \\\\ \\n second line"
    supports_audio: true
    input_price_usd_per_million_tokens: "0.0001"
    output_price_usd_per_million_tokens: "12.5"
    audio_input_price_usd_per_second: "0.000001"
    audio_output_price_usd_per_second: "999"
    context_window_tokens: 2147483647
    max_output_tokens: 1
  - key: our-text-1
    provider: anthropic
    type: chat
    display_name: Our text
    context_window_tokens: 1000
    max_output_tokens: 100
"""
KEY = {each: each.model_key for each in BASELINES}
PRICE = {each: each.price for each in BASELINES}


@pytest.fixture(params=BASELINES)
def name(request: pytest.FixtureRequest) -> Baseline:
    """Each baseline in turn."""
    known: dict[str, Baseline] = {each: each for each in BASELINES}
    return known[request.param]


_numbers = itertools.count(1)


@pytest.fixture
def applied(server: Server, migrated: Migrated) -> Iterator[Callable[[Baseline], str]]:
    """Make databases of a baseline with every step applied."""
    made: list[str] = []

    def make(name: Baseline) -> str:
        migrated.url(State(name))
        made.append(f"seeded_{next(_numbers)}")
        with connect(server.url("postgres")) as admin:
            create_database(admin, made[-1], template=f"migrated_{name}_13")
        return server.url(made[-1])

    yield make
    with connect(server.url("postgres")) as admin:
        for name in made:
            drop_database(admin, name)


@pytest.fixture
def url(name: Baseline, applied: Callable[[Baseline], str]) -> str:
    """A database of each baseline in turn, with every step applied."""
    return applied(name)


@pytest.fixture
def plain_url(applied: Callable[[Baseline], str]) -> str:
    """The documented one alone: for what has nothing to do with names."""
    return applied(Baseline.documented)


def custom(text: str = CUSTOM, **options: Any) -> SeedOptions:
    return SeedOptions("my.yaml", load_catalogue(text, "my.yaml"), **options)


def own(**options: Any) -> SeedOptions:
    return SeedOptions(OWN, load_catalogue(), **options)


def outcomes(done: Seeded) -> list[str]:
    return [each.outcome for each in done.models]


def models(db: Database, name: Baseline) -> dict[str, tuple[Any, ...]]:
    """Every model with the version of its row."""
    rows = db.execute(
        sql.SQL("SELECT {}::text, xmin::text, to_jsonb(t)::text FROM chatapp.ai_models AS t").format(
            sql.Identifier(KEY[name])
        )
    )
    return {key: rest for key, *rest in rows.fetchall()}


def everything(db: Database) -> list[Any]:
    """The rows of callctl's own tables that seed-models writes, with their versions."""
    tables = ("seeded_model", "made", "action", "encryption_key", "saved_row")
    return [db.execute(f"SELECT xmin::text, t.* FROM callctl.{table} AS t ORDER BY 1, 2".encode()).fetchall() for table in tables]  # fmt: skip


def one(db: Database, name: Baseline, key: str, *columns: str) -> tuple[Any, ...]:
    query = sql.SQL("SELECT {} FROM chatapp.ai_models WHERE {} = %s")
    row = db.execute(
        query.format(sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(KEY[name])), (key,)
    ).fetchone()
    assert row is not None
    return tuple(row)


def edit(db: Database, name: Baseline, key: str, column: str, value: object) -> None:
    query = sql.SQL("UPDATE chatapp.ai_models SET {} = %s WHERE {} = %s")
    assert db.execute(query.format(sql.Identifier(column), sql.Identifier(KEY[name])), (value, key)).rowcount == 1


def refused(settings: Settings, options: SeedOptions, kind: type[Exception] = Refused) -> str:
    """What a run that is refused says; it has changed nothing, and no row of it is in the audit trail."""
    assert settings.database_url
    with connect(settings.database_url) as db:
        before, trail = snapshot.take(db), everything(db)
        with pytest.raises(kind) as caught:
            seed(settings, options)
        snapshot.assert_same(before, snapshot.take(db))
        assert everything(db) == trail
    error: Any = caught.value
    assert error.hint
    assert "nothing was written" in error.message or "nothing was written" in error.hint
    return str(error.message)


# ---- inserted, and left alone ----------------------------------------------------------------------------


def test_models_arrive_to_the_last_digit_and_a_second_run_writes_nothing(url: str, name: Baseline) -> None:
    settings = Settings(database_url=url)
    with connect(url) as db:
        before = models(db, name)
        done = seed(settings, custom())
        assert outcomes(done) == ["insert", "insert"]
        unit = 1_000_000 // name.price_tokens
        output = PRICE[name].replace("input", "output")
        voice = one(
            db, name, "our-voice-1", "provider", "model_type", "display_name", "description", "supports_audio",
            PRICE[name], output, "audio_cost_per_second_input", "audio_cost_per_second_output",
        )  # fmt: skip
        assert voice == (
            "google", "call", "Our voice; DROP TABLE 'é☎'", "%(keys)s {models} \\ \n second line", True,
            Decimal("0.0001") / unit, Decimal("12.5") / unit, Decimal("0.000001"), Decimal("999"),
        )  # fmt: skip
        limits = name.limits
        assert one(db, name, "our-voice-1", *limits) == (2147483647, 1)
        assert one(db, name, "our-text-1", "model_type", "description", PRICE[name]) == ("chat", None, None)
        after, kept = models(db, name), everything(db)
        assert {key: after[key] for key in before} == before
        (action,) = actions(db)
        assert action.command == "seed-models"
        assert action.detail["catalogue"] == "my.yaml"
        assert set(action.detail["inserted"]) == {"our-voice-1", "our-text-1"}
        for again in (seed(settings, custom()), seed(settings, custom(overwrite=True))):
            assert outcomes(again) == ["unchanged", "unchanged"]
        assert models(db, name) == after
        assert everything(db) == kept
        with connect(url) as other:
            report = verify.examine(other, settings)
        assert [check.id for check in report.checks if not check.passed and not check.warns] == []


def test_step_13_is_a_first_run_of_callctls_own_catalogue(url: str, name: Baseline) -> None:
    with connect(url) as db:
        before, kept = models(db, name), everything(db)
        done = seed(Settings(database_url=url), own())
        assert outcomes(done) == ["unchanged"] * 3
        assert len(done.warnings) == 2
        assert (models(db, name), everything(db)) == (before, kept)


def test_the_examples_insert_only_what_is_missing(url: str, name: Baseline) -> None:
    with connect(url) as db:
        edit(db, name, "gpt-3.5-turbo", KEY[name], "of another name")
        before = models(db, name)
        done = seed(Settings(database_url=url), SeedOptions(EXAMPLES, load_catalogue(name=EXAMPLES)))
        missing = ["gpt-3.5-turbo", "gemini-2.0-ultra"]
        assert [each.model.key for each in done.models if each.outcome == "insert"] == missing
        assert set(outcomes(done)) == {"insert", "unchanged"}
        after = models(db, name)
        assert {key: after[key] for key in before} == before
        assert one(db, name, "gemini-2.0-ultra", "model_type", "supports_audio", PRICE[name]) == ("both", True, None)


# ---- whose a field is ------------------------------------------------------------------------------------


def test_an_administrators_edit_is_kept_and_shown_until_overwrite(url: str, name: Baseline) -> None:
    settings, key = Settings(database_url=url), "gpt-4o-realtime-preview"
    with connect(url) as db:
        edit(db, name, key, PRICE[name], Decimal("7.5") / (1_000_000 // name.price_tokens))
        edit(db, name, key, "display_name", "Ours")
        edit(db, name, key, "description", None)
        before = models(db, name)
        kept = seed(settings, own())
        assert outcomes(kept) == ["unchanged", "kept", "unchanged"]
        assert not kept.writes
        shown = {each.field: (each.here, each.catalogue, each.written) for each in kept.models[1].differences}
        assert shown == {
            "display_name": ("Ours", "GPT-4 Realtime (Latest)", False),
            "description": (None, load_catalogue()[1].description, False),
            "input_price_usd_per_million_tokens": ("7.5", "5", False),
        }
        assert models(db, name) == before
        assert actions(db) == ()
        taken = seed(settings, own(overwrite=True))
        assert outcomes(taken) == ["unchanged", "update", "unchanged"]
        assert one(db, name, key, "display_name") == ("GPT-4 Realtime (Latest)",)
        after = models(db, name)
        assert {each: after[each] for each in after if each != key} == {each: before[each] for each in before if each != key}  # fmt: skip
        (action,) = actions(db)
        assert action.detail["updated"][key]["display_name"] == {"before": "Ours", "after": "GPT-4 Realtime (Latest)"}
        assert one(db, name, key, "created_at", "updated_at")[0] < one(db, name, key, "updated_at")[0]
        assert outcomes(seed(settings, own())) == ["unchanged"] * 3


def test_what_nobody_has_changed_follows_the_catalogue(url: str, name: Baseline) -> None:
    """A new price in the catalogue is written, beside an edit that is kept."""
    settings = Settings(database_url=url)
    seed(settings, custom())
    newer = CUSTOM.replace('"12.5"', '"13"').replace("Our text", "Our new text").replace("1000\n", "2000\n")
    with connect(url) as db:
        edit(db, name, "our-text-1", "display_name", "Their text")
        edit(db, name, "our-voice-1", "audio_cost_per_second_output", 1)
        done = seed(settings, custom(newer))
        assert outcomes(done) == ["update", "update"]
        written = {(seed.model.key, each.field): each.written for seed in done.models for each in seed.differences}
        assert written == {
            ("our-voice-1", "output_price_usd_per_million_tokens"): True,
            ("our-voice-1", "audio_output_price_usd_per_second"): False,
            ("our-text-1", "display_name"): False,
            ("our-text-1", "context_window_tokens"): True,
        }
        assert one(db, name, "our-text-1", "display_name") == ("Their text",)
        # Step 13's own rows follow as well: what it wrote is callctl's own catalogue.
        text = yaml.safe_dump({"models": [plain(replace(load_catalogue()[0], display_name="Renamed"))]})
        assert outcomes(seed(settings, custom(text))) == ["update"]
        # An edit that is taken back is no edit any more.
        edit(db, name, "our-text-1", "display_name", "Our text")
        assert outcomes(seed(settings, custom(newer))) == ["kept", "update"]


def test_a_model_that_was_there_before_is_the_platforms_own(name: Baseline, database: Callable[[str], str]) -> None:
    """Also where it was a chat model, and takes calls since step 13."""
    url = database(name)
    settings, key = Settings(database_url=url), "gemini-2.0-flash-exp"
    with connect(url) as db:
        edit(db, name, "gpt-4o", KEY[name], key)
        migrate.up(settings)
        before = models(db, name)
        done = seed(settings, own())
        assert outcomes(done) == ["unchanged", "unchanged", "kept"]
        differences = {each.field: each.here for each in done.models[2].differences}
        assert differences["type"] == "both"
        assert differences["input_price_usd_per_million_tokens"] == "2.5"
        assert models(db, name) == before
        assert outcomes(seed(settings, own(overwrite=True))) == ["unchanged", "unchanged", "update"]
        assert one(db, name, key, "model_type") == ("call",)
        # It is not callctl's to take away.
        migrate.down(settings, to=12)
        assert one(db, name, key, "model_type") == ("call",)


def test_a_model_that_is_soft_deleted_stays_so(plain_url: str) -> None:
    settings = Settings(database_url=plain_url)
    with connect(plain_url) as db:
        db.execute(
            "UPDATE chatapp.ai_models SET deletedAt = now(), display_name = 'x' WHERE model_name LIKE 'gemini-2%'"
        )
        before = models(db, Baseline.documented)
        done = seed(settings, own(overwrite=True))
        assert outcomes(done) == ["unchanged", "unchanged", "deleted"]
        assert models(db, Baseline.documented) == before
        # A live one of the same name counts.
        db.execute("INSERT INTO chatapp.ai_models (provider, model_name, display_name)"
                   " VALUES ('google', 'gemini-2.0-flash-exp', 'Live')")  # fmt: skip
        assert outcomes(seed(settings, own())) == ["unchanged", "unchanged", "kept"]
        db.execute("INSERT INTO chatapp.ai_models (provider, model_name, display_name)"
                   " VALUES ('google', 'gemini-2.0-flash-exp', 'Live, too')")  # fmt: skip
        assert "model gemini-2.0-flash-exp: 2 rows have this key (" in refused(settings, own())


# ---- up, down, up ----------------------------------------------------------------------------------------


def test_down_puts_seeded_models_away_and_up_brings_them_back(name: Baseline, database: Callable[[str], str]) -> None:
    url = database(name)
    settings = Settings(database_url=url)
    with connect(url) as db:
        before = snapshot.take(db)
        migrate.up(settings)
        seed(settings, custom())
        seed(settings, SeedOptions(EXAMPLES, load_catalogue(name=EXAMPLES)))
        edit(db, name, "our-voice-1", "display_name", "Edited")
        rows = {key: contents for key, (_, contents) in models(db, name).items()}
        up = snapshot.take(db)
        migrate.down(settings, to=0)
        snapshot.assert_same(before, snapshot.take(db), snapshot.touched_columns(before))
        assert not {"our-voice-1", "our-text-1", "gemini-2.0-ultra"} & set(models(db, name))
        migrate.up(settings)
        snapshot.assert_same(up, snapshot.take(db), snapshot.touched_columns(up))
        back = {key: contents for key, (_, contents) in models(db, name).items()}
        assert {key: json.loads(row) for key, row in back.items()} == {key: json.loads(row) for key, row in rows.items()}  # fmt: skip
        # What callctl wrote there is still known as such, and the edit as an edit.
        kept = everything(db)
        assert outcomes(seed(settings, custom())) == ["kept", "unchanged"]
        assert everything(db) == kept
        # A model in use is named, whoever seeded it, and whatever for.
        db.execute(
            sql.SQL("UPDATE chatapp.chatbots SET ai_model_id = (SELECT id FROM chatapp.ai_models WHERE {} ="
            " 'our-text-1')")
            .format(sql.Identifier(KEY[name]))
        )  # fmt: skip
        with pytest.raises(Refused, match=r"model our-text-1 \(.*is used by 200 rows of chatapp.chatbots"):
            migrate.down(settings, to=0)


def test_the_record_of_a_model_goes_with_it(url: str, name: Baseline) -> None:
    settings = Settings(database_url=url)
    with connect(url) as db:
        seed(settings, custom())
        query = sql.SQL("DELETE FROM chatapp.ai_models WHERE {} = 'our-text-1'").format(sql.Identifier(KEY[name]))
        db.execute(query)
        migrate.down(settings, to=12)
        migrate.up(settings)
        assert db.execute("SELECT count(*) FROM callctl.seeded_model").fetchone() == (1,)
        assert outcomes(seed(settings, custom())) == ["unchanged", "insert"]


# ---- refused, with nothing changed -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "change", "said"),
    [
        (
            "deployed",
            ('"0.0001"', '"0.00001"'),
            "model our-voice-1: input_price_usd_per_million_tokens: column input_price_per_million stores 4 decimals"
            " and would round 0.00001",
        ),
        (
            "documented",
            ('"0.0001"', '"0.0000001"'),
            "model our-voice-1: input_price_usd_per_million_tokens: column input_cost_per_token stores 12 decimals"
            " and would round 0.0000000000001",
        ),
        (
            "documented",
            ('"0.000001"', '"0.0000001"'),
            "model our-voice-1: audio_input_price_usd_per_second: column audio_cost_per_second_input stores 6 decimals",
        ),
        (
            "deployed",
            ("    context_window_tokens: 1000\n", ""),
            "model our-text-1: column input_limit is NOT NULL without a default, and the catalog has no"
            " context_window_tokens",
        ),
        (
            "ALTER TABLE chatapp.ai_models ADD vendor_code text NOT NULL DEFAULT 'none';"
            "ALTER TABLE chatapp.ai_models ALTER vendor_code DROP DEFAULT",
            ("", ""),
            "models our-voice-1, our-text-1: column vendor_code is NOT NULL without a default, and nothing in a"
            " catalog fills it",
        ),
        (
            "UPDATE chatapp.ai_models SET display_name = 'x';"
            "ALTER TABLE chatapp.ai_models ALTER display_name TYPE varchar(12)",
            ("", ""),
            "model our-voice-1: display_name: column display_name stores 12 characters, and the value has 26",
        ),
        (
            "ALTER TABLE chatapp.ai_models ALTER max_output_tokens TYPE smallint USING 1, ALTER context_window TYPE"
            " smallint USING 1",
            ("", ""),
            "model our-voice-1: context_window_tokens: column context_window is smallint, too small for 2147483647",
        ),
        (
            "CREATE TYPE chatapp.vendor AS ENUM ('openai', 'google');"
            "DELETE FROM chatapp.chatbots; DELETE FROM chatapp.ai_models WHERE provider = 'anthropic';"
            "DROP INDEX chatapp.idx_ai_models_model_type;"
            "ALTER TABLE chatapp.ai_models ALTER provider TYPE chatapp.vendor USING provider::chatapp.vendor",
            ("", ""),
            "model our-text-1: provider: column provider has no label anthropic (its labels are openai, google)",
        ),
        (
            "ALTER TABLE chatapp.ai_models DROP COLUMN supports_audio",
            ("", ""),
            "model our-voice-1: supports_audio: column supports_audio is not there",
        ),
        (
            "ALTER TABLE chatapp.ai_models ALTER audio_cost_per_second_output TYPE real",
            ('"999"', '"0.1234567891"'),
            "model our-voice-1: audio_output_price_usd_per_second: the table stored 0.12345679 instead of 0.1234567891",
        ),
        (
            "CREATE FUNCTION chatapp.shout() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN NEW.display_name := upper(NEW.display_name); RETURN NEW; END';"
            "CREATE TRIGGER shout BEFORE INSERT ON chatapp.ai_models FOR EACH ROW EXECUTE FUNCTION chatapp.shout()",
            ("", ""),
            "model our-text-1: display_name: the table stored OUR TEXT instead of Our text",
        ),
        (
            "CREATE FUNCTION chatapp.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            "CREATE TRIGGER no BEFORE INSERT ON chatapp.ai_models FOR EACH ROW WHEN (NEW.model_type = 'chat')"
            " EXECUTE FUNCTION chatapp.no()",
            ("", ""),
            "model our-text-1: a trigger or a rule of the table refused the row; nothing was written",
        ),
        (
            "CREATE FUNCTION chatapp.no() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN DELETE FROM chatapp.ai_models WHERE id = NEW.id; RETURN NULL; END';"
            "CREATE TRIGGER no AFTER INSERT ON chatapp.ai_models FOR EACH ROW WHEN (NEW.model_type = 'chat')"
            " EXECUTE FUNCTION chatapp.no()",
            ("", ""),
            "model our-text-1 was written, but the table does not have it",
        ),
    ],
)  # fmt: skip
def test_a_catalogue_that_does_not_fit_is_refused(
    on: str, change: tuple[str, str], said: str, applied: Callable[[Baseline], str]
) -> None:
    url = applied(Baseline.deployed if on == Baseline.deployed else Baseline.documented)
    if on not in BASELINES:
        with connect(url) as db:
            db.execute(on.encode())
    message = refused(Settings(database_url=url), custom(CUSTOM.replace(*change, 1)))
    assert said in message
    assert on not in BASELINES or "my.yaml" in message


def test_a_rule_of_the_tables_own_that_says_no(plain_url: str) -> None:
    settings = Settings(database_url=plain_url)
    with connect(plain_url) as db:
        db.execute("ALTER TABLE chatapp.ai_models ADD CONSTRAINT cheap CHECK (audio_cost_per_second_output < 1)")
        before = snapshot.take(db)
        with pytest.raises(StepFailed, match=r'violates check constraint "cheap" .*\n.*nothing was written'):
            seed(settings, custom())
        snapshot.assert_same(before, snapshot.take(db))


@pytest.mark.parametrize("to", [0, 7, 12])
def test_step_13_has_to_be_applied(to: int, documented: str) -> None:
    settings = Settings(database_url=documented)
    if to:
        migrate.up(settings, to=to)
    with connect(documented) as db:
        before = snapshot.take(db)
        with pytest.raises(Refused, match="step 13 is not applied"):
            seed(settings, own())
        with pytest.raises(Refused, match="step 13 is not applied"):
            seeding.look(db, settings, own())
        snapshot.assert_same(before, snapshot.take(db))


# ---- beside others ---------------------------------------------------------------------------------------


def test_no_migration_at_the_same_time_and_no_lost_edit(plain_url: str) -> None:
    settings = Settings(database_url=plain_url, lock_wait_ms=20_000)
    with at_work(settings), pytest.raises(LockHeld):
        seed(settings, custom())
    # An edit that is not committed yet is waited for, and then seen.
    with connect(plain_url) as db, connect(plain_url) as other:
        done: list[Seeded] = []
        run = threading.Thread(target=lambda: done.append(seed(settings, own(overwrite=True))))
        edit(db, Baseline.documented, "gpt-4o-realtime-preview", "display_name", "First")
        with other.transaction():
            edit(other, Baseline.documented, "gemini-2.0-flash-exp", "display_name", "Second")
            run.start()
            run.join(timeout=0.5)
            assert run.is_alive()
        run.join(timeout=20)
        assert outcomes(done[0]) == ["unchanged", "update", "update"]
        assert done[0].models[2].differences[0].here == "Second"


def test_only_writers_of_models_wait(plain_url: str) -> None:
    with connect(plain_url) as db, connect(plain_url) as other, db.transaction(force_rollback=True):
        seeding.lock_models(db, read_naming(db, "chatapp"))
        other.execute("SET lock_timeout = '100ms'")
        assert len(models(other, Baseline.documented)) > 3
        other.execute(
            "UPDATE chatapp.chatbots SET ai_model_id = (SELECT id FROM chatapp.ai_models ORDER BY id LIMIT 1)"
        )
        with pytest.raises(psycopg.errors.LockNotAvailable):
            edit(other, Baseline.documented, "gemini-2.0-flash-exp", "display_name", "Third")


# ---- any catalogue ---------------------------------------------------------------------------------------

PRICES = st.one_of(
    st.decimals(min_value=0, max_value=Decimal("999999.999999999999"), places=12, allow_nan=False, allow_infinity=False),
    st.tuples(st.integers(0, 999_999), st.integers(0, 9)).map(lambda drawn: Decimal(drawn[0]).scaleb(-drawn[1])),
).map(lambda price: f"{price:f}")  # fmt: skip
# What shows nothing is refused in names.
SHOWN = st.characters(
    codec="utf-8",
    exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp"),
    exclude_characters="\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0",
).filter(lambda character: "VARIATION SELECTOR" not in unicodedata.name(character, ""))
TEXTS = st.text(SHOWN, min_size=1, max_size=100)
LIMITS = st.integers(1, 2_147_483_647)


@st.composite
def catalogues(draw: st.DrawFn) -> list[dict[str, Any]]:
    keys = draw(st.lists(st.from_regex(r"[a-z0-9.:/_é-]{1,100}", fullmatch=True), min_size=1, max_size=3, unique=True))
    found = []
    for key in keys:
        entry: dict[str, Any] = {
            "key": f"z{key}"[:100],
            "provider": draw(st.sampled_from(["openai", "google", "anthropic"])),
            "type": draw(st.sampled_from(["chat", "call", "both"])),
            "display_name": draw(TEXTS),
        }
        if draw(st.booleans()):
            entry["description"] = draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50))
        if draw(st.booleans()):
            entry["supports_audio"] = draw(st.booleans())
        for pair in ("{}put_price_usd_per_million_tokens", "audio_{}put_price_usd_per_second"):
            if draw(st.booleans()):
                entry |= {pair.format(way): draw(PRICES) for way in ("in", "out")}
        if draw(st.integers(0, 9)):
            entry |= {"context_window_tokens": draw(LIMITS), "max_output_tokens": draw(LIMITS)}
        found.append(entry)
    return found


def plain(model: Model) -> dict[str, Any]:
    """A model as YAML has it."""
    return {field: f"{value:f}" if isinstance(value, Decimal) else value for field, value in model.fields().items()}


READ_BACK: dict[Baseline, str] = {
    Baseline.documented: "model_name, provider, model_type, display_name, description, supports_audio,"
    " input_cost_per_token * 1000000, output_cost_per_token * 1000000, audio_cost_per_second_input,"
    " audio_cost_per_second_output, context_window, max_output_tokens",
    Baseline.deployed: "model_id, provider::text, model_type, display_name, description, supports_audio,"
    " input_price_per_million, output_price_per_million, audio_cost_per_second_input, audio_cost_per_second_output,"
    " input_limit, output_limit",
}
FIELDS = (
    "key", "provider", "type", "display_name", "description", "supports_audio", "input_price_usd_per_million_tokens",
    "output_price_usd_per_million_tokens", "audio_input_price_usd_per_second", "audio_output_price_usd_per_second",
    "context_window_tokens", "max_output_tokens",
)  # fmt: skip


@pytest.fixture
def each_migrated(applied: Callable[[Baseline], str]) -> Iterator[dict[Baseline, Database]]:
    """A connection to a migrated database of each baseline; the tests roll back."""
    with connect(applied(Baseline.documented)) as first, connect(applied(Baseline.deployed)) as second:
        yield {Baseline.documented: first, Baseline.deployed: second}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True, max_examples=40)
@given(entries=catalogues())
def test_any_catalogue_comes_back_exactly_or_is_refused_before_it_writes(
    each_migrated: dict[Baseline, Database], entries: list[dict[str, Any]]
) -> None:
    models = load_catalogue(yaml.safe_dump({"models": entries}, allow_unicode=True), "any.yaml")
    for name, db in each_migrated.items():
        naming = read_naming(db, "chatapp")
        with db.transaction(force_rollback=True):
            try:
                seeds = seeding.look_at_rows(db, naming, models, "any.yaml", overwrite=False)
            except Refused as error:
                refusal = error.message
                seeds = ()
            if not seeds:
                assert refusal.startswith("the models of any.yaml do not fit table ai_models: model")
                assert db.execute("SELECT txid_current_if_assigned()").fetchone() == (None,)
                continue
            seeding.write_rows(db, naming, seeds, "any.yaml")
            rows = db.execute(f"SELECT {READ_BACK[name]} FROM chatapp.ai_models".encode()).fetchall()
            found = {row[0]: dict(zip(FIELDS, row, strict=True)) for row in rows}
            for entry in entries:
                for field in FIELDS:
                    said, kept = entry.get(field), found[entry["key"]][field]
                    if field == "supports_audio" and said is None:
                        assert kept is False
                    elif "_price_" in field and said is not None:
                        assert kept == Decimal(said)
                    else:
                        assert kept == said
            again = seeding.look_at_rows(db, naming, models, "any.yaml", overwrite=True)
            assert {each.outcome for each in again} == {"unchanged"}


# ---- development accounts --------------------------------------------------------------------------------


def test_development_accounts_are_encrypted_and_made_once(url: str, name: Baseline, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        done = seed(settings, own(dev_accounts=True))
        assert done.accounts is not None
        assert [(each.type, each.outcome) for each in done.accounts] == [("twilio", "insert"), ("whatsapp", "insert")]
        rows = db.execute(
            "SELECT account_type, account_name, description, credentials, webhook_url, webhook_secret, status,"
            " is_active,"
            " id::text FROM chatapp.integration_accounts ORDER BY account_type"
        ).fetchall()
        assert [row[-1] for row in rows] == [each.id for each in done.accounts]
        assert [row[1] for row in rows] == ["Test Twilio Account", "Test WhatsApp Business Account"]
        assert all(row[2] == "Development testing account - DO NOT USE IN PRODUCTION" for row in rows)
        assert all(row[5].startswith("test_webhook_secret_") and len(row[5]) == 56 for row in rows)
        assert all(row[6:8] == ("pending", False) for row in rows)
        assert rows[0][4] == "https://your-domain.com/api/webhooks/twilio/voice/test-account-id"
        secrets = accounts.seen(db, accounts.ring_of(settings))
        assert {(each.plaintext, each.key, each.version) for each in secrets.values()} == {
            ("test_auth_token_encrypted", "k2", 1),
            ("test_access_token_encrypted", "k2", 1),
        }
        assert b"test_auth" not in json.dumps([row[3] for row in rows]).encode()
        assert rows[0][3]["accountSid"] == "ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        assert db.execute("SELECT id, encryptions FROM callctl.encryption_key WHERE id = 'k2'").fetchone() == ("k2", 2)
        (action,) = actions(db)
        assert set(action.detail["accounts"]) == {row[1] for row in rows}
        kept = everything(db)
        again = seed(settings, own(dev_accounts=True, overwrite=True))
        assert again.accounts is not None
        assert {each.outcome for each in again.accounts} == {"unchanged"}
        assert everything(db) == kept
        # One that was deleted stays so.
        db.execute("UPDATE chatapp.integration_accounts SET deleted_at = now() WHERE account_type = 'twilio'")
        again = seed(settings, own(dev_accounts=True))
        assert again.accounts is not None
        assert [each.outcome for each in again.accounts] == ["deleted", "unchanged"]
        with connect(url) as other:
            report = verify.examine(other, settings)
        assert [check.id for check in report.checks if not check.passed and not check.warns] == []


@pytest.mark.applied
def test_development_accounts_only_where_it_is_said(real: str, keys: Path) -> None:
    settings = accounts.settings_of(real, keys)
    options = own(dev_accounts=True)
    with connect(real) as db:
        named = replace(options, development_database=db.info.dbname)
    development = replace(settings, environment="development", environment_in_file=True)
    for unmarked in (
        settings,
        replace(settings, environment="development"),
        replace(development, environment="staging"),
    ):
        assert "not marked as a development database" in refused(unmarked, named)
    assert "the name of the development database was not given" in refused(development, options)
    assert "not called 'platform'" in refused(development, replace(options, development_database="platform"))
    without = replace(development, keys=None)
    assert "callctl.yaml names no keys" in caught(without, named)
    done = seed(development, named)
    assert done.accounts is not None
    assert {each.outcome for each in done.accounts} == {"insert"}


def caught(settings: Settings, options: SeedOptions) -> str:
    with pytest.raises(ConfigError) as error:
        seed(settings, options)
    assert error.value.hint
    return error.value.message


def test_development_accounts_need_a_company(plain_url: str, keys: Path) -> None:
    settings = accounts.settings_of(plain_url, keys)
    with connect(plain_url) as db:
        db.execute("UPDATE chatapp.companies SET deleted_at = now()")
    assert "there is no company" in refused(settings, own(dev_accounts=True))


def test_what_is_said_of_a_development_account_that_is_refused_is_not_repeated(plain_url: str, keys: Path) -> None:
    settings = accounts.settings_of(plain_url, keys)
    with connect(plain_url) as db:
        db.execute(
            "CREATE FUNCTION chatapp.leak() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION '%', NEW.webhook_secret USING HINT = NEW.webhook_secret; END $$"
        )
        db.execute(
            "CREATE TRIGGER leak BEFORE INSERT ON chatapp.integration_accounts"
            " FOR EACH ROW EXECUTE FUNCTION chatapp.leak()"
        )
    with pytest.raises(StepFailed, match=r"in function chatapp\.leak \(SQLSTATE P0001\)") as error:
        seed(settings, custom(dev_accounts=True))
    assert "test_webhook_secret" not in f"{error.value.message}{error.value.hint}"


def test_a_failure_takes_everything_back_but_the_count_of_encryptions(plain_url: str, keys: Path) -> None:
    settings = accounts.settings_of(plain_url, keys)
    with connect(plain_url) as db:
        db.execute("ALTER TABLE chatapp.integration_accounts ADD CHECK (account_type <> 'whatsapp')")
        before = snapshot.take(db)
        with pytest.raises(StepFailed, match="nothing was written"):
            seed(settings, custom(dev_accounts=True))
        snapshot.assert_same(before, snapshot.take(db))
        assert actions(db) == ()
        assert db.execute("SELECT encryptions FROM callctl.encryption_key WHERE id = 'k2'").fetchone() == (2,)


def test_looking_needs_no_right_to_write(plain_url: str) -> None:
    with connect(plain_url) as db, read_only(db):
        naming = read_naming(db, "chatapp")
        assert tenants_accounts.look_at_development(db, naming)[0].outcome == "insert"
        assert len(seeding.look_at_rows(db, naming, load_catalogue(), OWN, overwrite=True)) == 3


@pytest.mark.parametrize("type", ["integer", "bigint", "smallint", "text", "varchar(6)", "numeric", "numeric(12, 6)"])
def test_a_price_is_written_as_it_is(type: str, plain_url: str) -> None:
    """Whatever type the column has: an integer takes no 5.00, and a text keeps what it gets."""
    whole = type in ("integer", "bigint", "smallint")
    prices = {"input": "5.00", "output": "999000.00" if type == "numeric" else "120.0" if whole else "0.50"}
    with connect(plain_url) as db:
        for way in prices:
            column = f"audio_cost_per_second_{way}"
            db.execute(f"ALTER TABLE chatapp.ai_models ALTER {column} TYPE {type} USING NULL".encode())
    text = CUSTOM.replace('"0.000001"', f'"{prices["input"]}"').replace('"999"', f'"{prices["output"]}"')
    done = seed(Settings(database_url=plain_url), custom(text))
    assert outcomes(done) == ["insert", "insert"]
    assert outcomes(seed(Settings(database_url=plain_url), custom(text))) == ["unchanged", "unchanged"]
    with connect(plain_url) as db:
        found = one(
            db, Baseline.documented, "our-voice-1", "audio_cost_per_second_input", "audio_cost_per_second_output"
        )
    if type in ("text", "varchar(6)"):
        assert found == ("5", "0.5")
    else:
        assert found == (Decimal("5"), Decimal(prices["output"]))


def test_a_price_that_a_text_column_has_no_room_for(plain_url: str) -> None:
    with connect(plain_url) as db:
        db.execute("ALTER TABLE chatapp.ai_models ALTER audio_cost_per_second_input TYPE varchar(4) USING NULL")
    with pytest.raises(Refused, match=r"column audio_cost_per_second_input stores 4 characters, too few for 0\.000001"):
        seed(Settings(database_url=plain_url), custom())
