"""A refusal changes nothing: catalog and rows as before, and no trace of callctl."""

# ruff: noqa: E501 - each thing in the way is one line of SQL.

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect
from tests.support.db.snapshot import assert_same, take
from tests.support.steps import ALL, LAST

from callctl.config.settings import Settings
from callctl.errors import CallctlError, ConfigError, Refused
from callctl.events import Direction
from callctl.migration import migrate
from callctl.migration.checks.preflight import preflight
from callctl.statements.naming import read_naming

# What is done to the documented baseline, and what the refusal names.
IN_THE_WAY: dict[str, tuple[str, str]] = {
    "both type columns": ("ALTER TABLE chatapp.chatbots ADD COLUMN chatbot_type text", "2 type columns"),
    "both type columns of packages": (
        'ALTER TABLE chatapp.chatbot_packages ADD COLUMN "chatbotType" text',
        "chatapp.chatbot_packages has 2 type columns",
    ),
    "no type column": (
        "ALTER TABLE chatapp.chatbots DROP COLUMN chatbottype",
        "chatapp.chatbots has no type column",
    ),
    "no type column of packages": (
        "ALTER TABLE chatapp.chatbot_packages DROP COLUMN chatbottype",
        "no type column",
    ),
    "a type column of numbers": (
        "ALTER TABLE chatapp.chatbots DROP COLUMN chatbottype, ADD COLUMN chatbottype integer",
        "integer",
    ),
    "a type column too short": (
        "ALTER TABLE chatapp.chatbots ALTER COLUMN chatbottype TYPE varchar(3) USING 'x'",
        "chatbottype",
    ),
    "a type column without chat": (
        "CREATE TYPE chatapp.kind AS ENUM ('text', 'call');"
        "ALTER TABLE chatapp.chatbots DROP COLUMN chatbottype, ADD COLUMN chatbottype chatapp.kind",
        "chat",
    ),
    "soft-delete columns that disagree": (
        "ALTER TABLE chatapp.chatbots ADD COLUMN deleted_at timestamptz;"
        "UPDATE chatapp.chatbots SET deleted_at = now() WHERE deletedat IS NULL",
        "two soft-delete columns",
    ),
    "a view on the type": (
        "CREATE VIEW chatapp.bots AS SELECT id, chatbottype FROM chatapp.chatbots",
        "view chatapp.bots",
    ),
    "a view on everything": ("CREATE VIEW chatapp.bots AS SELECT * FROM chatapp.chatbots", "chatapp.bots"),
    "a view on the package's type": (
        "CREATE VIEW public.kinds AS SELECT chatbottype FROM chatapp.chatbot_packages",
        "kinds",
    ),
    "a materialized view on the type": (
        "CREATE MATERIALIZED VIEW chatapp.counts AS SELECT chatbottype, count(*) FROM chatapp.chatbots GROUP BY 1",
        "chatapp.counts",
    ),
    "a view on the avatar": (
        "CREATE VIEW chatapp.faces AS SELECT avatar_url FROM chatapp.users",
        "chatapp.faces",
    ),
    "a rule on the type": (
        "CREATE RULE no_call AS ON UPDATE TO chatapp.chatbots WHERE NEW.chatbottype = 'x' DO INSTEAD NOTHING",
        "no_call",
    ),
    "a policy on the type": (
        "CREATE POLICY chat_only ON chatapp.chatbots USING (chatbottype = 'chat')",
        "chat_only",
    ),
    "a policy elsewhere on the type": (
        "CREATE POLICY by_bot ON chatapp.conversations USING (EXISTS ("
        "SELECT FROM chatapp.chatbots c WHERE c.id = chatbot_id AND c.chatbottype = 'chat'))",
        "by_bot",
    ),
    "a generated column on the type": (
        "ALTER TABLE chatapp.chatbots ADD COLUMN is_call boolean GENERATED ALWAYS AS (chatbottype = 'call') STORED",
        "is_call",
    ),
    "a function's body on the type": (
        "CREATE FUNCTION chatapp.kinds() RETURNS SETOF varchar BEGIN ATOMIC SELECT chatbottype FROM chatapp.chatbots; END",
        "kinds()",
    ),
    "a trigger on the type": (
        "CREATE TRIGGER kind BEFORE UPDATE OF chatbottype ON chatapp.chatbots FOR EACH ROW"
        " EXECUTE FUNCTION chatapp.update_updated_at_column()",
        "kind",
    ),
    "a trigger's condition on the type": (
        "CREATE TRIGGER kind BEFORE UPDATE ON chatapp.chatbots FOR EACH ROW WHEN (OLD.chatbottype = 'x')"
        " EXECUTE FUNCTION chatapp.update_updated_at_column()",
        "kind",
    ),
    "a publication of the type": (
        "CREATE PUBLICATION p FOR TABLE chatapp.chatbots (id, chatbottype)",
        "publication p",
    ),
    "a foreign key to a key with the type": (
        "ALTER TABLE chatapp.chatbots ADD CONSTRAINT bot_kind UNIQUE (id, chatbottype);"
        "CREATE TABLE chatapp.uses (id uuid, kind varchar(50), CONSTRAINT uses_bot FOREIGN KEY (id, kind)"
        " REFERENCES chatapp.chatbots (id, chatbottype))",
        "uses_bot",
    ),
    "calls of another shape": ("CREATE TABLE chatapp.calls (id integer)", "chatapp.calls"),
    "integration_accounts of another shape": (
        "CREATE VIEW chatapp.integration_accounts AS SELECT 1 AS id",
        "integration_accounts",
    ),
    "call_transcripts of another shape": (
        "CREATE TABLE chatapp.call_transcripts (id uuid)",
        "call_transcripts",
    ),
    "a flag of another type": ("ALTER TABLE chatapp.chatbots ADD COLUMN enabled_call text", "enabled_call"),
    "half of the flags": (
        "ALTER TABLE chatapp.chatbots ADD COLUMN enabled_chat boolean NOT NULL DEFAULT true",
        "enabled_chat",
    ),
    "model_type of another type": (
        "ALTER TABLE chatapp.ai_models ADD COLUMN model_type integer",
        "model_type",
    ),
    "an index's name": (
        "CREATE INDEX idx_chatbots_capabilities ON chatapp.chatbots (name)",
        "idx_chatbots_capabilities",
    ),
    "a function's name": (
        "CREATE FUNCTION chatapp.check_chatbot_capabilities() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NEW; END $$",
        "check_chatbot_capabilities",
    ),
    "a column of models that the catalogue can't fill": (
        "ALTER TABLE chatapp.ai_models ADD COLUMN vendor text NOT NULL DEFAULT 'x';"
        "ALTER TABLE chatapp.ai_models ALTER COLUMN vendor DROP DEFAULT",
        "vendor",
    ),
    "prices that would be rounded": (
        "ALTER TABLE chatapp.ai_models ALTER COLUMN input_cost_per_token TYPE numeric(10,4)",
        "input_cost_per_token",
    ),
    "no companies": ("DROP TABLE chatapp.companies CASCADE", "companies"),
    "no settings": ("ALTER TABLE chatapp.companies DROP COLUMN settings", "settings"),
}

# What older servers do not have: there it is not the migration that is refused.
SINCE = {"a function's body on the type": 140000, "a publication of the type": 150000}

COMPANY_SHAPES: tuple[Any, ...] = (
    [], ["features"], "features", 42, True, {"features": "all"}, {"features": 7}, {"features": ["callEnabled"]},
    {"features": False}, {"features": {"callEnabled": "yes"}}, {"features": {"callEnabled": None}},
    {"features": {"callEnabled": 1}},
)  # fmt: skip
CHATBOT_SHAPES: tuple[Any, ...] = ([], ["call"], "call", 42, True)


def refused(url: str, message: str, settings: Settings | None = None, *, listing: str | None = None) -> None:
    """Up is refused, for that reason, and nothing has changed; preflight lists the row that is in the way."""
    with connect(url) as db:
        before = take(db)
        with pytest.raises(Refused) as error:
            migrate.up(settings or Settings(database_url=url))
        assert message in error.value.message
        if listing is not None:
            found = preflight(db, Settings(database_url=url), read_naming(db, "chatapp"), ALL)
            assert any(listing in finding.objects for finding in found if finding.level == "blocks")
        assert_same(before, take(db))
        assert not has_store(db)


def has_store(db: psycopg.Connection[Any]) -> bool:
    """Whether callctl has a schema here."""
    return db.execute("SELECT to_regnamespace('callctl') IS NOT NULL").fetchone() == (True,)


@pytest.mark.fewer(8)
@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_is_in_the_way_is_named_and_nothing_changes(documented: str, what: str) -> None:
    statements, message = IN_THE_WAY[what]
    with connect(documented) as db:
        if db.info.server_version < SINCE.get(what, 0):
            with pytest.raises(psycopg.errors.SyntaxError):
                db.execute(statements)
            return
        db.execute(statements)
    refused(documented, message)


@pytest.mark.fewer(8)
@pytest.mark.parametrize("shape", COMPANY_SHAPES, ids=json.dumps)
def test_company_settings_that_cannot_take_the_flag(documented: str, shape: Any) -> None:
    with connect(documented) as db:
        row = db.execute(
            "UPDATE chatapp.companies SET settings = %s WHERE id = (SELECT max(id::text)::uuid FROM chatapp.companies)"
            " RETURNING id::text",
            (json.dumps(shape),),
        ).fetchone()
    assert row is not None
    refused(documented, "company-settings", listing=row[0])


def test_company_settings_that_are_json_null(documented: str) -> None:
    with connect(documented) as db:
        db.execute("UPDATE chatapp.companies SET settings = 'null' WHERE slug = 'company-1'")
    refused(documented, "null")


@pytest.mark.parametrize("shape", CHATBOT_SHAPES, ids=json.dumps)
def test_chatbot_settings_that_cannot_take_the_defaults(documented: str, shape: Any) -> None:
    with connect(documented) as db:
        row = db.execute(
            "UPDATE chatapp.chatbots SET settings = %s WHERE id = (SELECT min(id::text)::uuid FROM chatapp.chatbots"
            " WHERE chatbottype = 'call') RETURNING id::text",
            (json.dumps(shape),),
        ).fetchone()
    assert row is not None
    refused(documented, "chatbot-settings", listing=row[0])


@pytest.mark.parametrize("schema", ["nowhere", "public", "pg_catalog"])
def test_a_schema_that_is_not_the_platforms_is_a_wrong_setting(documented: str, schema: str) -> None:
    with connect(documented) as db:
        before = take(db)
        with pytest.raises(ConfigError, match=schema) as wrong:
            migrate.up(Settings(database_url=documented, schema=schema))
        assert wrong.value.exit_code == 4
        assert "a table chatbots is in chatapp" in (wrong.value.hint or "")
        assert_same(before, take(db))


def test_a_schema_that_is_not_the_one_migrated(documented: str) -> None:
    """One database holds one migration; the second is refused and touches neither."""
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        db.execute("CREATE SCHEMA other; CREATE TABLE other.chatbots (id uuid PRIMARY KEY, chatbottype text)")
        migrate.up(settings)
        before = take(db)
        with pytest.raises(Refused, match="chatapp"):
            migrate.up(replace(settings, schema="other"))
        assert_same(before, take(db))


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_plan_writes_nothing(database: MakeDatabase, direction: Direction) -> None:
    url = database("deployed")
    settings = Settings(database_url=url)
    with connect(url) as db:
        if direction == "down":
            migrate.up(settings)
        before, store = take(db), has_store(db)
        assert len(migrate.plan(db, settings, migrate.Wish(direction)).steps) == LAST
        assert_same(before, take(db))
        assert has_store(db) == store


# What is done after up, and what the refusal of down names.
IN_THE_WAY_DOWN: dict[str, tuple[str, str]] = {
    "a long avatar": (
        "UPDATE chatapp.users SET avatar_url = repeat('a', 501) WHERE email = 'user7@example.com'",
        "avatar",
    ),
    "a view on the flags": (
        "CREATE VIEW chatapp.v AS SELECT id, enabled_call FROM chatapp.chatbots",
        "chatapp.v",
    ),
    "a view on model_type": (
        "CREATE VIEW chatapp.v AS SELECT model_type FROM chatapp.ai_models",
        "chatapp.v",
    ),
    "a model that is used": (
        "UPDATE chatapp.chatbots SET ai_model_id = (SELECT id FROM chatapp.ai_models WHERE model_name"
        " = 'gemini-2.0-flash-exp') WHERE name = 'Chatbot 30'",
        "chatbots_ai_model_id_fkey",
    ),
    "a model that is used and would be taken along": (
        "CREATE TABLE chatapp.uses (id uuid PRIMARY KEY, model uuid CONSTRAINT uses_model REFERENCES chatapp.ai_models"
        " ON DELETE CASCADE); INSERT INTO chatapp.uses SELECT gen_random_uuid(), id FROM chatapp.ai_models",
        "uses_model",
    ),
    "a model that is used and would be nulled": (
        "CREATE TABLE chatapp.uses (id uuid PRIMARY KEY, model uuid CONSTRAINT uses_model REFERENCES chatapp.ai_models"
        " ON DELETE SET NULL); INSERT INTO chatapp.uses SELECT gen_random_uuid(), id FROM chatapp.ai_models",
        "uses_model",
    ),
}


@pytest.mark.parametrize("what", IN_THE_WAY_DOWN)
@pytest.mark.applied
def test_down_names_what_is_in_the_way_and_nothing_changes(documented: str, what: str) -> None:
    statements, message = IN_THE_WAY_DOWN[what]
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        db.execute(statements)
        before, history = take(db), migrate.history(db)
        with pytest.raises(CallctlError) as error:
            migrate.down(settings, to=0)
        assert isinstance(error.value, Refused), error.value.message
        assert message in error.value.message
        assert_same(before, take(db))
        assert migrate.history(db) == history


@pytest.mark.applied(1)
def test_a_store_of_an_earlier_layout_is_refused(documented: str) -> None:
    """Saved values that know their row by its id alone are not written to."""
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        db.execute("DROP TABLE callctl.saved_value CASCADE")
        db.execute("CREATE TABLE callctl.saved_value (id bigint, relation text, row_id uuid)")
        with pytest.raises(Refused, match="an earlier development version"):
            migrate.up(settings)
        assert db.execute("SELECT count(*) FROM callctl.saved_value").fetchone() == (0,)
