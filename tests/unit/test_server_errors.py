"""A server's error in callctl's words: every condition that PostgreSQL has reads as words."""

from __future__ import annotations

import re

import pytest
from psycopg import errors

from callctl.server_errors import outline

CONDITIONS = sorted(
    each.sqlstate
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, errors.Error) and each.sqlstate
)


def test_there_are_conditions() -> None:
    assert len(CONDITIONS) > 200


@pytest.mark.parametrize("sqlstate", CONDITIONS)
def test_a_condition_reads_as_words_and_not_as_a_bug_of_callctls(sqlstate: str) -> None:
    said = outline(errors.lookup(sqlstate)("canary-4f1d"))
    assert re.fullmatch(rf"[a-z][A-Za-z0-9 ]+ \(SQLSTATE {sqlstate}\)", said)
    assert "internal error" not in said
