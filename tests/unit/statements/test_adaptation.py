"""Adaptation of statements that are none of callctl's: what moves, what stays, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.unit.namings import DEPLOYED, MIXED, OTHER_SCHEMA

from callctl.errors import Refused
from callctl.statements.adaptation import adapt
from callctl.statements.naming import DOCUMENTED, Naming
from callctl.statements.script import Statement, parse_script

HERE = Path(__file__).parents[1]


def corpus(name: str) -> list[str]:
    """The statements of a file, set apart by blank lines."""
    return (HERE / name).read_text(encoding="utf-8").strip().split("\n\n")[1:]


PAIRS = [tuple(item.split("\n=>\n")) for item in corpus("adapted.txt")]


def statement(text: str) -> Statement:
    (only,) = parse_script(text, "some.sql").statements
    return only


def adapted(text: str, naming: Naming) -> str:
    return adapt(statement(text), naming).sql


@pytest.mark.parametrize(("documented", "deployed"), PAIRS)
def test_names_move(documented: str, deployed: str) -> None:
    assert adapted(documented, DEPLOYED) == deployed


@pytest.mark.parametrize("text", [pair[0] for pair in PAIRS] + corpus("unmoved.txt"))
def test_on_the_documented_names_the_statement_is_the_very_same(text: str) -> None:
    same = statement(text)
    assert adapt(same, DOCUMENTED) is same


@pytest.mark.parametrize("text", corpus("unmoved.txt"))
def test_where_nothing_moves_the_statement_is_the_very_same(text: str) -> None:
    same = statement(text)
    assert adapt(same, DEPLOYED) is same


@pytest.mark.parametrize("deployed", [pair[1] for pair in PAIRS])
def test_what_is_adapted_is_not_adapted_again(deployed: str) -> None:
    same = statement(deployed)
    assert adapt(same, DEPLOYED) is same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            (
                "SELECT c.chatbotType, p.chatbotType AS p FROM chatapp.chatbots c "
                "JOIN chatapp.chatbot_packages p "
                "ON p.id = c.package_id AND p.deletedAt IS NULL"
            ),
            (
                'SELECT c."chatbotType" AS chatbottype, p.chatbot_type AS p FROM "My App".chatbots c '
                'JOIN "My App".chatbot_packages p ON p.id = c.chatbot_package_id AND p.deleted_at IS NULL'
            ),
        ),
        (
            "UPDATE chatapp.chatbots SET chatbotType = 'x' WHERE chatapp.chatbots.deletedAt IS NULL",
            'UPDATE "My App".chatbots SET "chatbotType" = \'x\' WHERE "My App".chatbots."deletedAt" IS NULL',
        ),
        (
            ("CREATE TRIGGER t BEFORE UPDATE ON chatapp.chatbots FOR EACH ROW EXECUTE FUNCTION callctl.f(chatbotType)"),
            (
                'CREATE TRIGGER t BEFORE UPDATE ON "My App".chatbots FOR EACH ROW '
                'EXECUTE FUNCTION callctl.f("chatbotType")'
            ),
        ),
        (
            "SELECT callctl.f('chatapp.chatbots'::regclass, 'chatbottype'::name)",
            "SELECT callctl.f('\"My App\".chatbots'::regclass, 'chatbotType'::name)",
        ),
        (
            "SELECT 'chatapp'::regnamespace, 'chatapp'::name",
            "SELECT '\"My App\"'::regnamespace, 'My App'::name",
        ),
    ],
)
def test_names_that_need_quotes_get_them(text: str, expected: str) -> None:
    assert adapted(text, MIXED) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1 FROM chatapp.calls, chatapp.chatbots", "SELECT 1 FROM platform.calls, platform.chatbots"),
        ("DROP INDEX IF EXISTS chatapp.idx_calls", "DROP INDEX IF EXISTS platform.idx_calls"),
        ("ALTER TABLE chatapp.calls SET SCHEMA callctl", "ALTER TABLE platform.calls SET SCHEMA callctl"),
        ("ALTER TABLE callctl.calls SET SCHEMA chatapp", "ALTER TABLE callctl.calls SET SCHEMA platform"),
        ("LOCK TABLE chatapp.chatbots IN SHARE MODE", "LOCK TABLE platform.chatbots IN SHARE MODE"),
        (
            "ALTER TABLE chatapp.calls VALIDATE CONSTRAINT x",
            "ALTER TABLE platform.calls VALIDATE CONSTRAINT x",
        ),
        ("GRANT USAGE ON SCHEMA public, chatapp TO x", "GRANT USAGE ON SCHEMA public, platform TO x"),
        ("SET search_path = chatapp, public", "SET search_path = platform, public"),
        ("COMMENT ON TABLE chatapp.calls IS 'chatapp'", "COMMENT ON TABLE platform.calls IS 'chatapp'"),
        ("TRUNCATE chatapp.calls, chatapp.chatbots", "TRUNCATE platform.calls, platform.chatbots"),
        (
            "SELECT to_regclass('chatapp.calls'), 'chatapp.x'",
            "SELECT to_regclass('platform.calls'), 'chatapp.x'",
        ),
        ("SELECT 'chatapp.f(chatapp.t)'::regprocedure", "SELECT 'platform.f(platform.t)'::regprocedure"),
        ("SELECT x::chatapp.kind, chatapp.f(x) FROM y", "SELECT x::platform.kind, platform.f(x) FROM y"),
        ("SELECT c.chatapp, c.x AS chatapp FROM y AS c", None),
        (
            "CREATE FUNCTION chatapp.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
            "CREATE FUNCTION platform.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        ),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON chatapp.calls FOR EACH ROW EXECUTE FUNCTION chatapp.touch()",
            "CREATE TRIGGER t BEFORE UPDATE ON platform.calls FOR EACH ROW EXECUTE FUNCTION platform.touch()",
        ),
        (
            "CREATE TABLE chatapp.calls (bot uuid REFERENCES chatapp.chatbots (id) ON DELETE CASCADE)",
            "CREATE TABLE platform.calls (bot uuid REFERENCES platform.chatbots (id) ON DELETE CASCADE)",
        ),
        (
            "CREATE INDEX i ON chatapp.calls (id) WHERE deletedAt IS NULL",
            "CREATE INDEX i ON platform.calls (id) WHERE deletedAt IS NULL",
        ),
    ],
)
def test_the_schema_moves_wherever_it_is_one(text: str, expected: str | None) -> None:
    assert adapted(text, OTHER_SCHEMA) == (text if expected is None else expected)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SELECT deletedAt FROM chatapp.chatbot_packages", "chatbot_packages has no column for deletedAt"),
        (
            "SELECT 1 FROM chatapp.ai_models\nWHERE deletedAt < now()",
            "some.sql:2: chatapp.ai_models has no column",
        ),
        ("UPDATE chatapp.ai_models SET deletedAt = NULL", "ai_models has no column for deletedAt"),
        ("ALTER TABLE chatapp.ai_models DROP COLUMN deletedAt", "ai_models has no column for deletedAt"),
        ("SELECT 1 FROM chatapp.chatbot_packages ORDER BY deletedAt", "has no column for deletedAt"),
        ("UPDATE chatapp.ai_models SET input_cost_per_token = 1", "input_price_per_million, in another unit"),
        ("INSERT INTO chatapp.ai_models (input_cost_per_token) VALUES (1)", "in another unit: times 1000000"),
        ("ALTER TABLE chatapp.ai_models ALTER input_cost_per_token TYPE text", "in another unit"),
        ("DO $$ BEGIN PERFORM chatbotType FROM x; END $$", "the text of this do mentions chatbotType"),
        (
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT deletedAt FROM x'",
            "the text of this create function mentions deletedAt",
        ),
        (
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT chatbotType FROM x; END",
            "cannot tell what chatbotType is",
        ),
        (
            "SELECT (SELECT chatbotType FROM other.things) FROM chatapp.chatbots",
            "can be a column of the inner query's table or of chatbots",
        ),
        ("SELECT 1 FROM chatapp.chatbots NATURAL JOIN other.things", "natural join"),
        ("SELECT 1 FROM chatapp.chatbots JOIN other.things USING (chatbotType)", "different names here"),
        ("SELECT callctl.f('chatbottype'::name)", "cannot tell which table"),
        ("SELECT 'chatapp.chatbots'::regclass, '{chatbottype}'::name[]", "does not look into"),
        ("PREPARE p AS SELECT chatbotType FROM chatapp.chatbots", "cannot tell what chatbotType is"),
        ("CREATE STATISTICS s ON chatbotType, id FROM chatapp.chatbots", "cannot tell what chatbotType is"),
        (
            "SELECT lower(name) AS chatbot_type FROM chatapp.chatbots GROUP BY chatbot_type",
            "GROUP BY chatbot_type means the select list's",
        ),
    ],
)
def test_what_cannot_be_decided_is_refused(text: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        adapted(text, DEPLOYED)
    assert why in refused.value.message
    assert refused.value.message.startswith("some.sql:")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SELECT chatbotType FROM chatapp.chatbots, chatapp.chatbot_packages", "chatbotType is ambiguous"),
        (
            "SELECT 1 FROM chatapp.chatbots JOIN chatapp.chatbot_packages USING (chatbotType)",
            "USING (chatbotType) joins columns",
        ),
        ("DO $$ BEGIN PERFORM 1 FROM chatapp.chatbots; END $$", "mentions chatapp"),
        ("SELECT chatapp.x FROM foo AS chatapp", "is the schema's name and an alias"),
    ],
)
def test_what_two_tables_spell_differently_is_refused(text: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        adapted(text, MIXED)
    assert why in refused.value.message


def test_a_column_that_would_become_ambiguous_is_given_its_table() -> None:
    text = "SELECT 1 FROM chatapp.companies, chatapp.chatbots AS c WHERE deleted_at IS NULL AND deletedAt < x"
    assert adapted(text, DEPLOYED).endswith("WHERE companies.deleted_at IS NULL AND c.deleted_at < x")


def test_everything_but_the_statement_text_is_kept() -> None:
    (before,) = parse_script("-- why\n-- check: a.b: c\nSELECT 1 FROM chatapp.calls", "some.sql").statements
    after = adapt(before, OTHER_SCHEMA)
    assert (after.check, after.comment, after.line, after.number) == (before.check, "why", 3, 1)
