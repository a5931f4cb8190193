"""Fault kinds come from one table; what it says is true of the functions that do them and of the page about them."""

from __future__ import annotations

import inspect
from pathlib import Path

from benchmarks.results import saved
from tests.support.faults import actions
from tests.support.faults.kinds import KINDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "faults.md"


def test_each_function_that_is_a_fault_is_in_the_table() -> None:
    done = {
        name
        for name, function in inspect.getmembers(actions, inspect.isfunction)
        if list(inspect.signature(function).parameters) == ["attempt", "session"]
    }
    assert done == {kind.name for kind in KINDS}


def test_the_page_has_a_row_for_each() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [kind.name for kind in KINDS if f"| {kind.title} |" not in text] == []


def test_each_was_tried_both_ways_in_the_committed_result() -> None:
    """A row of the page without numbers would say that nobody has tried it."""
    chains = {chain["what"] for chain in saved.newest("faults")["chains"]}
    assert {f"{kind.name} in turn {way}" for kind in KINDS for way in ("up", "down")} <= chains
