"""Statements that write, adapted: what they return, and what they leave in the tables."""

from __future__ import annotations

import psycopg
import pytest
from tests.db.statements.test_adaptation import Pair, answer, pair

from callctl.statements.adaptation import adapt
from callctl.statements.script import parse_script

__all__ = ["pair"]

STATEMENTS = (
    ("UPDATE chatapp.chatbots SET chatbotType = 'new' WHERE deletedAt IS NULL RETURNING id, chatbotType"),
    (
        "UPDATE chatapp.chatbots AS c SET chatbotType = p.chatbotType, deletedAt = NULL FROM "
        "chatapp.chatbot_packages AS p WHERE p.id = c.package_id AND p.deletedAt IS NULL RETURNING "
        "c.chatbotType, c.deletedAt"
    ),
    (
        "UPDATE chatapp.chatbots c SET (chatbotType, name) = (SELECT p.chatbotType, p.name FROM "
        "chatapp.chatbot_packages p WHERE p.id = c.package_id)"
    ),
    (
        "UPDATE other.things SET chatbotType = c.chatbotType, deletedAt = c.deletedAt FROM "
        "chatapp.chatbots c WHERE c.id = things.id RETURNING things.chatbotType"
    ),
    (
        "DELETE FROM chatapp.chatbots USING chatapp.chatbot_packages p WHERE p.id = package_id AND "
        "p.chatbotType = chatbots.chatbotType AND (p.deletedAt IS NULL) RETURNING chatbots.chatbotType"
    ),
    (
        "INSERT INTO chatapp.chatbots (id, chatbotType, deletedAt) SELECT id + 10, chatbotType, "
        "timestamptz '2024-01-01' FROM chatapp.chatbot_packages WHERE deletedAt IS NULL RETURNING "
        "chatbotType, deletedAt"
    ),
    (
        "INSERT INTO chatapp.ai_models AS m (id, model_name, context_window) VALUES (1, 'x', 5), (9, "
        "'y', 6) ON CONFLICT (id) DO UPDATE SET model_name = m.model_name || EXCLUDED.model_name, "
        "context_window = EXCLUDED.context_window WHERE m.deletedAt IS NULL AND m.context_window > 1 "
        "RETURNING model_name, context_window"
    ),
    ("INSERT INTO chatapp.chatbots (id, chatbotType) OVERRIDING USER VALUE VALUES (20, 'z') RETURNING chatbotType"),
    (
        "WITH gone AS (DELETE FROM chatapp.chatbots WHERE deletedAt IS NOT NULL RETURNING *), kept AS "
        "(SELECT chatbotType, id FROM gone WHERE deletedAt < now()) INSERT INTO other.things (id, "
        "chatbotType) SELECT id + 50, chatbotType FROM kept RETURNING chatbotType"
    ),
    (
        "WITH locked AS (SELECT id, chatbotType FROM chatapp.chatbots WHERE deletedAt IS NULL ORDER BY "
        "id FOR UPDATE) UPDATE chatapp.chatbots b SET name = l.chatbotType FROM locked l WHERE b.id = "
        "l.id RETURNING b.name, l.chatbotType"
    ),
    (
        "MERGE INTO chatapp.chatbots AS c USING (SELECT id, chatbotType FROM chatapp.chatbot_packages "
        "WHERE deletedAt IS NULL) AS p ON p.id = c.id AND c.deletedAt IS NULL WHEN MATCHED AND "
        "p.chatbotType <> 'x' THEN UPDATE SET chatbotType = p.chatbotType || 'm' WHEN NOT MATCHED THEN "
        "INSERT (id, chatbotType) VALUES (p.id + 30, p.chatbotType)"
    ),
    (
        "SELECT r.id, r.chatbotType, r.deletedAt FROM other.things t, "
        "jsonb_populate_record(NULL::chatapp.chatbots, jsonb_build_object('id', t.id)) AS r WHERE "
        "r.deletedAt IS NULL"
    ),
    "SELECT (c).chatbotType, (c).deletedAt IS NULL AS live FROM chatapp.chatbots AS c",
    ("SELECT DISTINCT ON (chatbotType) chatbotType, name FROM chatapp.chatbots ORDER BY chatbotType, id DESC"),
    ("SELECT chatbotType, grouping(chatbotType), count(*) FROM chatapp.chatbots GROUP BY ROLLUP (chatbotType)"),
    (
        "SELECT id, row_number() OVER w, lag(chatbotType) OVER (ORDER BY deletedAt, id) FROM "
        "chatapp.chatbots WINDOW w AS (PARTITION BY chatbotType ORDER BY id)"
    ),
    ("SELECT c.id, x.kind FROM chatapp.chatbots c CROSS JOIN LATERAL (SELECT c.chatbotType AS kind) AS x"),
    (
        "WITH RECURSIVE up AS (SELECT id, chatbotType, 1 AS n FROM chatapp.chatbots UNION ALL SELECT "
        "c.id, u.chatbotType, n + 1 FROM up AS u JOIN chatapp.chatbots AS c ON c.id = u.id + 1 AND "
        "c.chatbotType <> u.chatbotType) SELECT id, chatbotType, n FROM up"
    ),
    (
        "SELECT model_name, input_cost_per_token, input_cost_per_token * 2 AS double FROM "
        "chatapp.ai_models WHERE deletedAt IS NULL ORDER BY input_cost_per_token"
    ),
    (
        "SELECT attrelid = 'chatapp.chatbots'::regclass FROM pg_attribute WHERE attrelid = "
        "to_regclass('chatapp.chatbots') AND attname IN ('chatbottype'::name, 'deletedat'::name)"
    ),
    (
        "SELECT CASE WHEN id = 1 THEN 'x' ELSE chatbotType END, (chatbotType)::text, max(chatbotType) "
        "OVER () FROM chatapp.chatbots"
    ),
    "SELECT extract(year FROM deletedAt), substring(chatbotType FROM 1 FOR 2) FROM chatapp.chatbots",
    (
        "(SELECT chatbotType FROM chatapp.chatbots ORDER BY deletedAt LIMIT 2) UNION ALL SELECT "
        "chatbotType FROM chatapp.chatbot_packages ORDER BY chatbotType"
    ),
    (
        "CREATE VIEW other.live AS SELECT id, chatbotType FROM chatapp.chatbots WHERE deletedAt IS NULL; "
        "SELECT * FROM other.live"
    ),
    (
        "CREATE UNIQUE INDEX one ON chatapp.chatbots (lower(chatbotType), id) INCLUDE (deletedAt) WHERE "
        "deletedAt IS NULL; COMMENT ON COLUMN chatapp.chatbots.chatbotType IS 'x'; ANALYZE "
        "chatapp.chatbots (chatbotType); ALTER TABLE chatapp.chatbots ADD CONSTRAINT k CHECK "
        "(length(chatbotType) > 1) NOT VALID, ALTER COLUMN chatbotType SET DEFAULT 'chat'; ALTER TABLE "
        "chatapp.chatbots VALIDATE CONSTRAINT k; GRANT SELECT (id, chatbotType) ON chatapp.chatbots TO "
        "public; SELECT count(*) FROM chatapp.chatbots"
    ),
    (
        "ALTER TABLE chatapp.chatbots DROP COLUMN chatbotType, ADD COLUMN enabled boolean; SELECT id "
        "FROM chatapp.chatbots"
    ),
)
# What the tables hold, in names that every variant has.
LOOKS = (
    "SELECT id, name, chatbotType, deletedAt FROM chatapp.chatbots",
    "SELECT id, chatbotType FROM chatapp.chatbot_packages",
    "SELECT id, model_name, context_window FROM chatapp.ai_models",
    "SELECT * FROM other.things",
)


def outcome(pair: Pair, text: str, *, other: bool) -> list[tuple[list[str], list[str]]]:
    """What each statement returns, and then what the tables hold; nothing stays."""
    connection = pair.other if other else pair.documented
    found = []
    looks = ";".join(LOOKS) if "DROP COLUMN" not in text else ""
    with connection.transaction(force_rollback=True):
        for statement in parse_script(f"{text};{looks}", "some.sql").statements:
            sql = adapt(statement, pair.naming).sql if other else statement.sql
            found.append(answer(connection, sql))
    return found


@pytest.mark.fewer(8)
@pytest.mark.parametrize("text", STATEMENTS)
def test_an_adapted_statement_does_the_same(pair: Pair, text: str) -> None:
    if text.startswith("MERGE") and pair.documented.info.server_version < 150000:
        # Both are refused for the same word, the first: what follows it has been adapted all the same.
        for other in (True, False):
            with pytest.raises(psycopg.errors.SyntaxError, match='at or near "MERGE"'):
                outcome(pair, text, other=other)
        return
    assert outcome(pair, text, other=True) == outcome(pair, text, other=False)
