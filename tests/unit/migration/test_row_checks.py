"""Checks of one table are taken apart and put into one pass; every other query is left as it is."""

from __future__ import annotations

import pytest

from callctl.migration.checks.row_checks import Question, at_places, shared_queries, taken_apart
from callctl.statements.script import Check, Statement


@pytest.mark.parametrize(
    ("sql", "question"),
    [
        (
            "SELECT c.id FROM chatapp.calls AS c WHERE c.a < 1",
            Question("SELECT c.id", "chatapp.calls AS c", (), "c.a < 1", ("c.a < 1",)),
        ),
        (
            "SELECT (SELECT 1 FROM x WHERE true), c.a IS DISTINCT FROM 1\nFROM  chatapp.calls AS c\n"
            "LEFT JOIN chatapp.b AS b ON b.id = c.b\nLEFT JOIN e ON e.t = 'left  join' WHERE b.x OR (e.y)",
            Question(
                "SELECT (SELECT 1 FROM x WHERE true), c.a IS DISTINCT FROM 1",
                "chatapp.calls AS c",
                ("LEFT JOIN chatapp.b AS b ON b.id = c.b", "LEFT JOIN e ON e.t = 'left  join'"),
                "b.x OR (e.y)",
                ("b.x OR (e.y)",),
            ),
        ),
    ],
)
def test_a_question_to_each_row(sql: str, question: Question) -> None:
    assert taken_apart(sql) == question


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT c.id FROM chatapp.calls AS c",
        "SELECT DISTINCT c.id FROM chatapp.calls AS c WHERE true",
        "SELECT c.id FROM chatapp.calls AS c, chatapp.b AS b WHERE true",
        "SELECT c.id FROM chatapp.calls AS c JOIN chatapp.b AS b ON true WHERE true",
        "SELECT c.id FROM chatapp.calls AS c CROSS JOIN LATERAL (SELECT 1) AS x WHERE true",
        "SELECT c.id FROM (VALUES (1)) AS c (id) WHERE true",
        "SELECT c.id FROM chatapp.calls AS c WHERE true GROUP BY c.id",
        "SELECT c.id FROM chatapp.calls AS c WHERE true LIMIT 1",
        "SELECT 1 WHERE EXISTS (SELECT FROM chatapp.calls AS c WHERE true)",
        "WITH x AS (SELECT 1) SELECT c.id FROM chatapp.calls AS c WHERE true",
    ],
)
def test_any_other_query(sql: str) -> None:
    assert taken_apart(sql) is None


def check(name: str, sql: str) -> Statement:
    return Statement(sql, "f.sql", 1, 1, check=Check(name, "so", False))


def test_one_pass_a_table() -> None:
    one = check("one", "SELECT 1 FROM s.t AS t WHERE t.a")
    two = check("two", "SELECT 1 FROM s.t AS t LEFT JOIN s.u AS u ON u.id = t.u WHERE u.b")
    other = check("other", "SELECT 1 FROM s.u AS u WHERE u.b")
    alone = check("alone", "SELECT 1 FROM s.t AS t, s.u AS u WHERE t.a = u.a")
    first = check("first", "SELECT 1 FROM pg_class AS c, pg_index AS i WHERE c.oid = i.indexrelid")
    second = check("second", "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_class)")
    queries = shared_queries((one, alone, first, two, second, other), "s", 10)
    assert [(scan.statements, scan.places) for scan in queries] == [
        ((one, two), True),
        ((other,), True),
        ((first, second), False),  # they read no table of the platform: one query
        ((alone,), False),
    ]
    assert queries[0].sql.endswith(
        "FROM s.t AS t\nLEFT JOIN s.u AS u ON u.id = t.u\nWHERE (t.a)\nOR (u.b)\n"
        "OFFSET 0) AS offenders WINDOW counted AS (ROWS UNBOUNDED PRECEDING)) AS numbered"
    )
    assert queries[-1].sql == f"SELECT (SELECT count(*) FROM (\n{alone.sql}\n) AS offenders)"


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        ("t.a", ("t.a",)),
        ("t.a AND t.b OR t.c", ("t.a AND t.b OR t.c",)),
        ("t.a = 'x and y'\n  AND (t.b OR t.c AND t.d)", ("t.a = 'x and y'", "(t.b OR t.c AND t.d)")),
        ("t.a BETWEEN 1 AND 2 AND t.b NOT BETWEEN 3 AND 4", ("t.a BETWEEN 1 AND 2", "t.b NOT BETWEEN 3 AND 4")),
        ("CASE WHEN t.a AND t.b OR t.c THEN t.d END AND t.e", ("CASE WHEN t.a AND t.b OR t.c THEN t.d END", "t.e")),
    ],
)
def test_the_conjuncts_of_a_condition(condition: str, parts: tuple[str, ...]) -> None:
    question = taken_apart(f"SELECT 1 FROM s.t AS t WHERE {condition}")
    assert question is not None
    assert question.conjuncts == parts


def test_what_questions_begin_with_is_asked_once() -> None:
    asked = ["t.a AND t.b = 1\n  AND t.c", "t.a AND t.b = 1 AND t.d", "t.e OR t.a", "t.a AND t.f", "t.g AND t.h", "t.g"]
    (scan,) = shared_queries(
        (check(f"c{n}", f"SELECT 1 FROM s.t AS t WHERE {condition}") for n, condition in enumerate(asked)), "s", 10
    )
    assert scan.sql.split("FROM s.t AS t\n")[1].split("\nOFFSET")[0] == (
        "WHERE (t.a\nAND ((t.b = 1\nAND ((t.c)\nOR (t.d)))\nOR (t.f)))\nOR (t.e OR t.a)\nOR (t.g)"
    )
    assert all(f"({condition}) IS TRUE AS offends_{n}" in scan.sql for n, condition in enumerate(asked))


def test_the_rows_at_a_place() -> None:
    sql = "SELECT t.a FROM s.t AS t LEFT JOIN s.u AS u ON u.id = t.u WHERE u.b"
    assert at_places(sql, [("7", "(0,1)"), ("7", "(2,3)")]) == (
        "SELECT t.a\nFROM s.t AS t\nLEFT JOIN s.u AS u ON u.id = t.u\n"
        "WHERE (t.tableoid = 7 AND t.ctid = '(0,1)' OR t.tableoid = 7 AND t.ctid = '(2,3)')"
    )
