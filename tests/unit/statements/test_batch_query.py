"""A batched statement: which rows it lists, and the same statement for some of them."""

from __future__ import annotations

import pytest
from tests.support.unit.namings import DEPLOYED, MIXED

from callctl.errors import ConfigError
from callctl.statements.adaptation import adapt
from callctl.statements.batch_query import BatchedTable, limited, listing, target
from callctl.statements.script import Statement, parse_script


def only(text: str) -> Statement:
    (statement,) = parse_script(text, "some.sql").statements
    return statement


@pytest.mark.parametrize(
    ("text", "listed", "narrowed"),
    [
        ("UPDATE s.t SET a = 1", "t: FROM s.t", "UPDATE s.t SET a = 1 WHERE t.id IN (…)"),
        (
            "UPDATE s.t AS x SET a = 1 WHERE a = 2 OR b -- why\nRETURNING a",
            "x: FROM s.t AS x WHERE a = 2 OR b",
            "UPDATE s.t AS x SET a = 1 WHERE (a = 2 OR b) AND x.id IN (…) -- why\nRETURNING a",
        ),
        (
            "UPDATE s.t SET a = (SELECT 1 FROM u WHERE true) FROM u, v WHERE (u.id = t.id)",
            "t: FROM s.t, u, v WHERE (u.id = t.id)",
            "UPDATE s.t SET a = (SELECT 1 FROM u WHERE true) FROM u, v WHERE ((u.id = t.id)) AND t.id IN (…)",
        ),
        (
            "UPDATE s.t SET a = b IS DISTINCT FROM c WHERE a IS DISTINCT FROM b",
            "t: FROM s.t WHERE a IS DISTINCT FROM b",
            "UPDATE s.t SET a = b IS DISTINCT FROM c WHERE (a IS DISTINCT FROM b) AND t.id IN (…)",
        ),
        (
            "INSERT INTO a (b) SELECT c FROM s.t x JOIN u ON u.id = x.id ORDER BY 1 ON CONFLICT DO NOTHING",
            "x: FROM s.t x JOIN u ON u.id = x.id",
            (
                "INSERT INTO a (b) SELECT c FROM s.t x JOIN u ON u.id = x.id WHERE x.id IN (…) "
                "ORDER BY 1 ON CONFLICT DO NOTHING"
            ),
        ),
        (
            "INSERT INTO a SELECT c FROM s.t ON CONFLICT (b) DO UPDATE SET c = 1 WHERE a.c <> 1",
            "t: FROM s.t",
            "INSERT INTO a SELECT c FROM s.t WHERE t.id IN (…) ON CONFLICT (b) DO UPDATE SET c = 1 WHERE a.c <> 1",
        ),
        (
            (
                "WITH r AS (SELECT id FROM s.t WHERE a IS DISTINCT FROM b FOR UPDATE) "
                "UPDATE s.t SET a = 1 FROM r WHERE r.id = t.id"
            ),
            "t: FROM s.t WHERE a IS DISTINCT FROM b",
            (
                "WITH r AS (SELECT id FROM s.t WHERE (a IS DISTINCT FROM b) AND t.id IN (…) FOR UPDATE) "
                "UPDATE s.t SET a = 1 FROM r WHERE r.id = t.id"
            ),
        ),
        (
            "WITH r AS (SELECT id FROM s.t FOR UPDATE), w AS (INSERT INTO a SELECT 1) UPDATE s.u SET a = 1",
            "t: FROM s.t",
            (
                "WITH r AS (SELECT id FROM s.t WHERE t.id IN (…) FOR UPDATE), "
                "w AS (INSERT INTO a SELECT 1) UPDATE s.u SET a = 1"
            ),
        ),
    ],
)
def test_what_is_listed_and_where_the_narrowing_goes(text: str, listed: str, narrowed: str) -> None:
    statement = only(text)
    assert target(statement, "chatapp") == BatchedTable("s", "t", "id")
    alias, reading = listed.split(": ")
    assert listing(statement, "id") == f"SELECT {alias}.id AS key, {alias}.ctid AS place {reading}"
    assert limited(statement, "id", "…") == narrowed


def test_a_table_of_our_own_is_walked_over_by_the_rows_it_is_about() -> None:
    statement = only("UPDATE callctl.saved_value SET value = NULL")
    assert target(statement, "chatapp") == BatchedTable("callctl", "saved_value", "row_id")


def test_names_are_quoted_where_they_need_it() -> None:
    assert limited(only("UPDATE s.t SET a = 1"), "Key", "…").endswith('WHERE t."Key" IN (…)')
    assert listing(only('UPDATE s."T t" SET a = 1'), "id") == 'SELECT "T t".id AS key, "T t".ctid AS place FROM s."T t"'


def test_an_adapted_statement_is_narrowed_too() -> None:
    statement = adapt(only("UPDATE chatapp.chatbots SET chatbotType = 'x' WHERE deletedAt IS NULL"), MIXED)
    assert target(statement, "My App") == BatchedTable("My App", "chatbots", "id")
    assert limited(statement, "id", "…").endswith('WHERE ("deletedAt" IS NULL) AND chatbots.id IN (…)')
    assert listing(statement, "id").endswith('FROM "My App".chatbots WHERE "deletedAt" IS NULL')


def test_a_filter_that_went_leaves_a_place_for_the_narrowing() -> None:
    statement = adapt(only("UPDATE chatapp.chatbot_packages SET a = 1 WHERE deletedAt IS NULL"), DEPLOYED)
    assert limited(statement, "id", "…") == "UPDATE chatapp.chatbot_packages SET a = 1 WHERE chatbot_packages.id IN (…)"


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM s.t",
        "DO $$ BEGIN END $$",
        "INSERT INTO s.t VALUES (1)",
        "WITH a AS (SELECT 1 FROM x FOR UPDATE), b AS (SELECT 1 FROM y FOR UPDATE) SELECT 1",
        "WITH a AS (UPDATE s.x SET a = 1 RETURNING 1) UPDATE s.y SET b = 1",
    ],
)
def test_a_statement_without_one_table_to_walk_over_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^some\.sql:1: "):
        target(only(text), "chatapp")
