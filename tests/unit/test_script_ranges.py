"""A batched statement for one range of keys."""

from __future__ import annotations

import pytest
from tests.unit.namings import DEPLOYED, MIXED

from callctl.adapt import adapt
from callctl.errors import ConfigError
from callctl.ranges import BatchTarget, batch_target, with_range
from callctl.script import Statement, parse_script


def only(text: str) -> Statement:
    (statement,) = parse_script(text, "some.sql").statements
    return statement


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("UPDATE s.t SET a = 1", "UPDATE s.t SET a = 1 WHERE t.id > '1' AND t.id <= '2'"),
        (
            "UPDATE s.t AS x SET a = 1 WHERE a = 2 OR b -- why\nRETURNING a",
            "UPDATE s.t AS x SET a = 1 WHERE (a = 2 OR b) AND x.id > '1' AND x.id <= '2' -- why\nRETURNING a",
        ),
        (
            "UPDATE s.t SET a = (SELECT 1 FROM u WHERE true) FROM u WHERE (u.id = t.id)",
            (
                "UPDATE s.t SET a = (SELECT 1 FROM u WHERE true) FROM u "
                "WHERE ((u.id = t.id)) AND t.id > '1' AND t.id <= '2'"
            ),
        ),
        (
            "INSERT INTO a (b) SELECT c FROM s.t x JOIN u ON u.id = x.id ORDER BY 1 ON CONFLICT DO NOTHING",
            (
                "INSERT INTO a (b) SELECT c FROM s.t x JOIN u ON u.id = x.id "
                "WHERE x.id > '1' AND x.id <= '2' "
                "ORDER BY 1 ON CONFLICT DO NOTHING"
            ),
        ),
        (
            "INSERT INTO a SELECT c FROM s.t ON CONFLICT (b) DO UPDATE SET c = 1 WHERE a.c <> 1",
            (
                "INSERT INTO a SELECT c FROM s.t WHERE t.id > '1' AND t.id <= '2' "
                "ON CONFLICT (b) DO UPDATE SET c = 1 WHERE a.c <> 1"
            ),
        ),
        (
            (
                "WITH r AS (SELECT id FROM s.t WHERE a IS DISTINCT FROM b FOR UPDATE) "
                "UPDATE s.t SET a = 1 FROM r WHERE r.id = t.id"
            ),
            (
                "WITH r AS (SELECT id FROM s.t WHERE (a IS DISTINCT FROM b) AND t.id > '1' AND t.id <= '2' "
                "FOR UPDATE) UPDATE s.t SET a = 1 FROM r WHERE r.id = t.id"
            ),
        ),
        (
            "WITH r AS (SELECT id FROM s.t FOR UPDATE), w AS (INSERT INTO a SELECT 1) UPDATE s.u SET a = 1",
            (
                "WITH r AS (SELECT id FROM s.t WHERE t.id > '1' AND t.id <= '2' FOR UPDATE), "
                "w AS (INSERT INTO a SELECT 1) UPDATE s.u SET a = 1"
            ),
        ),
    ],
)
def test_the_range_goes_where_the_format_says(text: str, expected: str) -> None:
    statement = only(text)
    assert with_range(statement, 1, 2) == expected
    target = batch_target(statement, "chatapp")
    assert target == BatchTarget("s", "t", "id")


def test_an_end_can_be_open() -> None:
    statement = only("UPDATE s.t SET a = 1")
    assert with_range(statement, None, None) == statement.sql
    assert with_range(statement, None, "o'x").endswith("WHERE t.id <= 'o''x'")
    assert with_range(statement, 5, None).endswith("WHERE t.id > '5'")
    assert with_range(statement, 5, None, "Key").endswith("WHERE t.\"Key\" > '5'")


def test_an_adapted_statement_has_a_range_too() -> None:
    statement = adapt(only("UPDATE chatapp.chatbots SET chatbotType = 'x' WHERE deletedAt IS NULL"), MIXED)
    assert batch_target(statement, "My App") == BatchTarget("My App", "chatbots", "id")
    assert with_range(statement, 1, None).endswith("WHERE (\"deletedAt\" IS NULL) AND chatbots.id > '1'")


def test_a_filter_that_went_leaves_a_place_for_the_range() -> None:
    statement = adapt(only("UPDATE chatapp.chatbot_packages SET a = 1 WHERE deletedAt IS NULL"), DEPLOYED)
    assert with_range(statement, 1, None) == "UPDATE chatapp.chatbot_packages SET a = 1 WHERE chatbot_packages.id > '1'"


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
        batch_target(only(text), "chatapp")
