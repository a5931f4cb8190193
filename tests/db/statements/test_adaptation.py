"""A query adapted to a database returns there what the query as written returns on the documented one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from psycopg import sql
from tests.conftest import connect
from tests.support.db.adaptation_queries import queries

from callctl.sandbox.server import Server
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming, read_naming
from callctl.statements.script import parse_script

# What each variant does to the documented tables; the rows say the same in other words.
DOCUMENTED = """
CREATE SCHEMA chatapp;
CREATE SCHEMA other;
CREATE TABLE chatapp.chatbot_packages (id integer PRIMARY KEY, name text, chatbotType varchar(50),
  deletedAt timestamptz);
CREATE TABLE chatapp.chatbots (id integer PRIMARY KEY, name text, chatbotType varchar(50),
  deletedAt timestamptz,  package_id integer REFERENCES chatapp.chatbot_packages);
CREATE TABLE chatapp.companies (id integer PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE chatapp.ai_models (id integer PRIMARY KEY, model_name text, context_window integer,
  input_cost_per_token numeric(18,12), deletedAt timestamptz);
CREATE TABLE other.things (id integer PRIMARY KEY, name text, chatbotType text, deletedAt timestamptz,
  model_name text);
INSERT INTO chatapp.chatbot_packages VALUES
  (1, 'one', 'chat', NULL), (2, 'call', 'call', NULL), (3, NULL, NULL, NULL);
INSERT INTO chatapp.chatbots VALUES (1, 'a', 'chat', NULL, 1), (2, 'b', 'call', '2024-01-01', 2),
  (3, 'c', NULL, NULL, 2), (4, NULL, 'odd', '2024-02-02', NULL);
INSERT INTO chatapp.companies VALUES (1, 'one', NULL), (2, 'two', '2024-03-03');
INSERT INTO chatapp.ai_models VALUES (1, 'gpt', 1000, 0.0000025, NULL), (2, 'call', NULL, NULL, NULL);
INSERT INTO other.things VALUES (1, 'chat', 'call', NULL, 'gpt'), (2, 'x', 'chat', '2024-01-01', NULL);
"""
SNAKE = """
ALTER TABLE chatapp.chatbots RENAME chatbotType TO chatbot_type;
ALTER TABLE chatapp.chatbots RENAME deletedAt TO deleted_at;
ALTER TABLE chatapp.chatbot_packages RENAME chatbotType TO chatbot_type;
ALTER TABLE chatapp.chatbot_packages DROP deletedAt;
ALTER TABLE chatapp.ai_models DROP deletedAt;
ALTER TABLE chatapp.ai_models RENAME model_name TO model_id;
ALTER TABLE chatapp.ai_models RENAME context_window TO input_limit;
ALTER TABLE chatapp.ai_models RENAME input_cost_per_token TO input_price_per_million;
UPDATE chatapp.ai_models SET input_price_per_million = input_price_per_million * 1000000;
"""
QUOTED = """
ALTER TABLE chatapp.chatbots RENAME chatbotType TO "chatbotType";
ALTER TABLE chatapp.chatbots RENAME deletedAt TO "deletedAt";
ALTER TABLE chatapp.chatbots RENAME package_id TO "packageId";
ALTER TABLE chatapp.chatbot_packages RENAME chatbotType TO chatbot_type;
ALTER TABLE chatapp.chatbot_packages RENAME deletedAt TO deleted_at;
ALTER TABLE chatapp.companies RENAME deleted_at TO "deletedAt";
ALTER TABLE chatapp.ai_models RENAME model_name TO "modelName";
ALTER TABLE chatapp.ai_models RENAME deletedAt TO "deletedAt";
ALTER SCHEMA chatapp RENAME TO "My App";
"""
VARIANTS = {"snake": (SNAKE, "chatapp"), "quoted": (QUOTED, "My App")}


class Pair(NamedTuple):
    """The documented database and one that names things otherwise, with the same rows."""

    documented: psycopg.Connection[Any]
    other: psycopg.Connection[Any]
    naming: Naming


@pytest.fixture(scope="module", params=sorted(VARIANTS))
def pair(request: pytest.FixtureRequest, server: Server) -> Iterator[Pair]:
    change, schema = VARIANTS[request.param]
    names = (f"adapt_{request.param}_documented", f"adapt_{request.param}_other")
    with connect(server.url("postgres")) as admin:
        for name in names:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with connect(server.url(names[0])) as documented, connect(server.url(names[1])) as other:
            documented.execute(DOCUMENTED)
            other.execute(DOCUMENTED + change)
            yield Pair(documented, other, read_naming(other, schema))
        for name in names:
            admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def answer(connection: psycopg.Connection[Any], query: str) -> tuple[list[str], list[str]]:
    cursor = connection.execute(query.encode())
    rows = cursor.fetchall() if cursor.description is not None else []
    return [column.name for column in cursor.description or ()], sorted(repr(_plain(row)) for row in rows)


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with a price read back through a division, which has more zeros at its end, as it was."""
    return tuple(
        value.normalize()
        if isinstance(value, Decimal)
        else value.rstrip("0")
        if isinstance(value, str) and value.startswith("0.")
        else value
        for value in row
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=queries())
def test_an_adapted_query_answers_the_same(pair: Pair, query: str) -> None:
    (statement,) = parse_script(query, "query.sql").statements
    try:
        expected = answer(pair.documented, query)
    except psycopg.errors.AmbiguousColumn:
        return
    adapted = adapt(statement, pair.naming)
    assert answer(pair.other, adapted.sql) == expected
    assert adapt(adapted, pair.naming).sql == adapted.sql
