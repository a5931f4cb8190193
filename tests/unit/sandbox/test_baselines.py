"""The table of baselines (sandbox/lifecycle.py) and its files agree."""

from __future__ import annotations

import pytest

from callctl.files import read_sql, sql_names
from callctl.sandbox.lifecycle import BASELINES, Baseline


def test_each_baseline_has_its_files_and_each_file_its_baseline() -> None:
    parts = {name.removeprefix("baselines/").removesuffix(".sql") for name in sql_names("baselines")}
    assert parts == {"rows"} | {f"{name}{part}" for name in BASELINES for part in ("", "_rows")}


@pytest.mark.parametrize("baseline", BASELINES)
def test_the_columns_of_a_baseline_are_in_its_file(baseline: Baseline) -> None:
    text = read_sql(f"baselines/{baseline}.sql").lower()
    for column in (baseline.type_column, baseline.model_key, baseline.price, *baseline.limits):
        assert f"{column.lower()} " in text, column
