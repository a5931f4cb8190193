"""The benchmark's load works on both baselines, before and after the migration: what it counts as an error is one."""

from __future__ import annotations

import pytest
from benchmarks.online import load
from tests.conftest import MakeDatabase, connect

from callctl.config.settings import Settings
from callctl.migration import migrate
from callctl.sandbox.lifecycle import BASELINES


@pytest.mark.parametrize("baseline", BASELINES)
def test_every_statement_of_the_load_succeeds(baseline: str, database: MakeDatabase) -> None:
    url = database(baseline)
    with connect(url) as connection:
        plan = load.Plan(url, baseline, 400.0, 8, load.sample_keys(connection))
        assert all(plan.keys.values())
        writers = [load.Writer(plan, client) for client in range(2)]
        made = set()
        for columns in (load.TYPES, load.FLAGS):
            for _ in range(150):
                for writer in writers:
                    what, statement = writer.next(columns)
                    assert connection.execute(statement.encode()).rowcount == 1, statement
                    made.add(what)
            if columns == load.TYPES:
                migrate.up(Settings(database_url=url))
    assert len(made) == len(load.KINDS) * len(load.TABLES)
