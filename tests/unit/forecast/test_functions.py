"""Each function of callctl's own schema says what it locks."""

from __future__ import annotations

import re

from callctl.files import read_sql, sql_names
from callctl.forecast.functions import QUIET, WAYS, text_of


def made_functions() -> set[str]:
    """The functions and procedures of sql/store; those that a trigger gets a name for are made on the way."""
    texts = [read_sql(name) for name in sql_names("store")]
    found = (re.findall(r"CREATE OR REPLACE (?:FUNCTION|PROCEDURE) callctl\.(\w+)", text) for text in texts)
    return {name for several in found for name in several}


def test_each_function_is_declared_once() -> None:
    assert made_functions() == QUIET | set(WAYS)
    assert not QUIET & set(WAYS)


def test_a_quiet_function_runs_no_statement_on_a_table_that_it_is_given() -> None:
    """But for the one whose statement is about an index."""
    text = "\n".join(read_sql(name) for name in sql_names("store"))
    bodies = re.findall(
        r"CREATE OR REPLACE (?:FUNCTION|PROCEDURE) callctl\.(\w+)\(.*?\$\$(.*?)^\$\$;", text, re.S | re.M
    )
    locking = re.compile(
        r"'(?:ALTER TABLE|LOCK TABLE|DROP TABLE|DROP TRIGGER|CREATE TRIGGER|UPDATE|DELETE FROM) %", re.I
    )
    assert {
        name for name, body in bodies if name in QUIET and re.search(rf"EXECUTE format\(\s*{locking.pattern}", body)
    } <= {
        "name_index_columns",  # of an index
    }


def test_the_text_of_an_argument() -> None:
    assert text_of("'chatapp.users'::regclass") == "chatapp.users"
    assert text_of("to_regclass('callctl.calls')") == "callctl.calls"
    assert text_of("'CHECK (content <> '''')'") == "CHECK (content <> '')"
