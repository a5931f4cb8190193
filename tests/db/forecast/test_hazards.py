"""The examples of each hazard, on a real database: the bad one has it, the good one has it not."""

from __future__ import annotations

import pytest
from tests.conftest import connect

from callctl.forecast.hazards import HAZARDS, Hazard, hazards_of
from callctl.forecast.outlook import outlook_of_files
from callctl.statements.script import parse_script


def found(url: str, sql: str) -> set[str]:
    """The ids of the hazards that an SQL text has on this database."""
    with connect(url) as connection:
        outlook = outlook_of_files(connection, "chatapp", [parse_script(sql, "example.sql")])
    transactions = [transaction for step in outlook.steps for transaction in step.transactions]
    return {hazard.id for each in transactions for line in each.lines for hazard in hazards_of(each, line)}


@pytest.mark.parametrize("hazard", HAZARDS, ids=lambda hazard: hazard.id)
def test_the_examples_of_a_hazard(documented: str, hazard: Hazard) -> None:
    assert hazard.id in found(documented, hazard.bad)
    assert hazard.id not in found(documented, hazard.good)


def test_the_ids_are_different() -> None:
    assert len({hazard.id for hazard in HAZARDS}) == len(HAZARDS)


def test_a_table_that_the_file_makes_has_none(documented: str) -> None:
    made = "CREATE TABLE chatapp.notes (id uuid PRIMARY KEY, text text);\nCREATE INDEX ON chatapp.notes (text);"
    assert found(documented, made) == set()
