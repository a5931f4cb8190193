"""Saved values have one owner, and a query is put into a file by the name that the file gives it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import callctl
from callctl.files import read_sql, sql_names
from callctl.statements import naming
from callctl.statements.script import load_script
from callctl.statements.tokens import with_query


@pytest.mark.parametrize(
    ("sql", "reads", "adds"),
    [
        ("SELECT s.value FROM callctl.saved_value AS s", True, False),
        ("SELECT relation FROM callctl.changed_records()", True, False),
        ("INSERT INTO callctl.saved_value (user_id) SELECT id FROM chatapp.users", True, True),
        (
            "WITH w AS (insert into Callctl . saved_value (field) VALUES ('x') RETURNING 1) SELECT 1 FROM w",
            True,
            True,
        ),
        ("INSERT INTO callctl.saved_row SELECT 1", False, False),
        ("SELECT to_regclass('callctl.saved_value')", False, False),
        ("SELECT 1 -- INSERT INTO callctl.saved_value", False, False),
        ("DELETE FROM callctl.saved_value WHERE field = 'INSERT INTO callctl.saved_value'", True, False),
    ],
)
def test_which_statements_read_and_add_saved_values(sql: str, reads: bool, adds: bool) -> None:
    assert (naming.reads_values(sql), naming.adds_values(sql)) == (reads, adds)


def test_no_other_module_names_their_tables() -> None:
    package = Path(callctl.__file__).parent
    named = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"""["'.](saved_value|saved_row)\b(?!s)""", path.read_text(encoding="utf-8"))
    }
    # The catalog's page of SQL is generated: it says in a comment where a row waits.
    assert named - {"migration/steps/call_models.py"} == {"statements/naming.py"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("WITH a AS (SELECT 1), b AS (SELECT (2)) SELECT 4", "WITH a AS (\nSELECT 3\n), b AS (SELECT (2)) SELECT 4"),
        ("SELECT a.x FROM (SELECT f(')') AS x) AS a", "SELECT a.x FROM (\nSELECT 3\n) AS a"),
        ("SELECT '(a) AS a' FROM (SELECT 1) AS a -- ) AS a", "SELECT '(a) AS a' FROM (\nSELECT 3\n) AS a -- ) AS a"),
    ],
)  # fmt: skip
def test_a_named_query_is_put_in_place(sql: str, expected: str) -> None:
    assert with_query(sql, "a", "SELECT 3") == expected


@pytest.mark.parametrize("sql", ["SELECT 1 AS a", "SELECT 1", "WITH a AS (SELECT 1) SELECT FROM (SELECT 2) AS a"])
def test_a_query_that_is_not_named_once_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="queries are named a"):
        with_query(sql, "a", "SELECT 3")


def test_the_files_name_the_queries_that_callctl_puts_in() -> None:
    places = {
        "migration/steps/facts.sql": ["asked"],
        "migration/steps/contract.sql": ["contract", "fact", "made"],
        "migration/run/list_rows.sql": ["listing"],
    }
    for name, queries in places.items():
        first = load_script(name).statements[0]
        for query in queries:
            assert "SELECT 3" in with_query(first.sql, query, "SELECT 3")
    declared = [name for name in sql_names("verify") if ") AS secret\n" in read_sql(name)]
    assert declared == ["verify/bound_secrets.sql", "verify/declared_secrets.sql"]
