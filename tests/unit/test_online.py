"""The benchmark ``online``: what it computes and prints, without running it."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from benchmarks.online import document, load, measure, picture, report, tools
from benchmarks.online.__main__ import in_rounds
from benchmarks.online.measure import Transaction
from benchmarks.results import saved, tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "measurements.md"


def transaction(planned: float, latency: float, outcome: str = measure.DONE, begun: float | None = None) -> Transaction:
    return Transaction(planned, planned if begun is None else begun, planned + latency, "select users", outcome)


# ---- what clients saw ----------------------------------------------------------------------------------


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [measure.percentile(values, share) for share in (0.0, 0.5, 0.99, 0.999, 1.0)] == [1, 50, 99, 100, 100]
    assert measure.percentile([7.0], 0.5) == 7
    assert measure.percentile([], 0.99) == 0


def test_all_clients_together_keep_the_rate() -> None:
    planned = sorted(
        measure.planned_start(10.0, 400.0, 8, client, number) for client in range(8) for number in range(50)
    )
    assert planned[0] == 10.0
    assert [round((later - one) * 400, 6) for one, later in itertools.pairwise(planned)] == [1.0] * 399


def test_latency_counts_from_the_planned_start() -> None:
    """Two seconds blocked, and those behind it late although each took a millisecond."""
    blocked = transaction(1.0, 2.0)
    behind = [Transaction(1.0 + n / 10, 3.0, 3.001, "select users", measure.DONE) for n in range(1, 20)]
    found = measure.summary([blocked, *behind], 0.0, 10.0)
    assert found["stall_ms"] == 2000
    assert found["late_share"] == pytest.approx(11 / 20)
    assert found["p50_ms"] == pytest.approx(1001)


def test_a_summary_takes_what_was_planned_in_its_time_and_counts_errors_apart() -> None:
    found = measure.summary(
        [transaction(0.9, 9.0), transaction(1.0, 0.1), transaction(1.5, 0.2, "deadlock"), transaction(2.0, 9.0)],
        1.0,
        2.0,
    )
    assert (found["planned"], found["completed"], found["stall_ms"]) == (2, 1, 200)
    assert found["errors"] == {"deadlock": 1}
    assert measure.summary([], 0.0, 1.0)["stall_ms"] == 0


def test_transactions_that_waited_at_the_same_time_are_one_stall() -> None:
    first = [transaction(1.0, 2.0), transaction(1.5, 1.5), transaction(2.9, 0.2)]
    second = [transaction(5.0, 0.5), transaction(5.4, 0.2)]
    found = measure.stalls([*second, *first], 0.0, 10.0)
    assert [(each.worst, each.others) for each in found] == [(first[0], 2), (second[0], 1)]
    assert measure.stalls(first, 0.0, 10.0, most=1)[0].worst == first[0]


def test_a_series_holds_the_longest_of_each_moment() -> None:
    found = measure.series([transaction(9.0, 0.5), transaction(10.01, 0.1), transaction(10.02, 0.3)], 10.0, -1.0, 0.5)
    assert len(found) == 15
    assert {number: value for number, value in enumerate(found) if value} == {0: 500.0, 10: 300.0}


# ---- the load and the tools ----------------------------------------------------------------------------


def test_the_load_is_mixed_as_the_page_says() -> None:
    keys = {name: [f"{name}-key"] for name in ("users", "chatbots", "companies", "free")}
    writer = load.Writer(load.Plan("", "documented", 400.0, 8, keys), 0)
    made = [writer.next(load.TYPES)[0].split() for _ in range(4000)]
    for kind, share in load.KINDS:
        assert sum(each[0] == kind for each in made) / 40 == pytest.approx(share, abs=3)


def test_the_old_and_the_new_application_write_what_there_is() -> None:
    keys = {name: [f"{name}-key"] for name in ("users", "chatbots", "companies", "free")}

    def wrote(writer: load.Writer, columns: int) -> set[str]:
        every = " ".join(writer.next(columns)[1] for _ in range(500))
        return set(re.findall(r"chatbottype|enabled_call", every))

    old, new = (load.Writer(load.Plan("", "documented", 400.0, 8, keys), number) for number in (0, 1))
    assert [wrote(each, load.TYPES) for each in (old, new)] == [{"chatbottype"}] * 2
    assert [wrote(each, load.TYPES + load.FLAGS) for each in (old, new)] == [{"chatbottype"}, {"enabled_call"}]
    assert [wrote(each, load.FLAGS) for each in (old, new)] == [{"enabled_call"}] * 2
    # The column went a moment ago, and the client was not told yet.
    old.refused(load.TYPES + load.FLAGS)
    assert wrote(old, load.TYPES + load.FLAGS) == {"enabled_call"}
    assert wrote(old, load.TYPES) == {"chatbottype"}


def test_the_document_divides_into_its_thirteen_steps() -> None:
    steps = document.steps()
    firsts = [
        "ALTER TABLE chatapp.users", "ALTER TABLE chatapp.chatbot_packages", "ALTER TABLE chatapp.chatbots",
        "UPDATE chatapp.chatbot_packages", "ALTER TABLE chatapp.chatbot_packages", "ALTER TABLE chatapp.chatbots",
        "ALTER TABLE chatapp.ai_models", "UPDATE chatapp.ai_models", "CREATE TABLE chatapp.integration_accounts",
        "CREATE TABLE chatapp.calls", "CREATE TABLE chatapp.call_transcripts", "UPDATE chatapp.companies",
        "INSERT INTO chatapp.ai_models",
    ]  # fmt: skip
    starts = [" ".join(step[0].split()) for step in steps]
    assert [start[: len(first)] for start, first in zip(starts, firsts, strict=True)] == firsts


def test_every_tool_has_a_name_for_the_page() -> None:
    assert set(tools.tools("callctl")) == set(tables.NAMES)


# ---- tables and pictures -------------------------------------------------------------------------------


def result(tool: str, **changed: Any) -> dict[str, Any]:
    made = measure.summary([transaction(0.0, 0.002), transaction(0.5, 0.05)], 0.0, 1.0)
    return {
        "tool": tool, "wall_s": 1.0, "wal_mb": 12.0, "memory_mb": 40.0, "after": made, "stalls": [], "statements": [],
        "series_from_s": -0.1, "series_ms": [1.0, 50.0, 0.0, 2.0], **made, **changed,
    }  # fmt: skip


def content(*results: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "online", "date": "2026-01-02T03:04:05Z", "commit": "0123456789abcdef", "changed": False,
        "machine": {"cpus": 2, "cpu": "Some CPU", "memory_gib": 8},
        "settings": {"postgresql": "18", "baseline": "documented", "clients": 8, "rate": 400.0, "reader_s": 20.0},
        "rows": {"users": 2000, "chatbots": 1000, "companies": 100}, "tools": list(results),
    }  # fmt: skip


def test_the_table_compares_with_the_script() -> None:
    script = result("script", wall_s=4.0, stall_ms=20_000.0, late_share=0.25)
    page = tables.online(content(result("floor"), script, result("callctl", stall_ms=40.0, wall_s=6.0)))
    assert (
        "| **callctl** | 1 | 6.0 | 1.50 | 40 ms |  | 1/500 | 2.0 ms | 50 ms | 50 ms | 0 | 2 of 2 | 12 | 40 |  |" in page
    )
    assert "| the document's script, one transaction | 1 | 4.0 | 1.00 | 20.0 s |  | 1.00 |" in page
    assert " 25.0% " in page
    printed = "\n".join(report.table(content(script, result("callctl", stall_ms=40.0, wall_s=6.0))["tools"]))
    assert "0.0020" in printed


def test_of_several_runs_the_table_has_the_median_and_the_worst_stall() -> None:
    runs = [result("callctl", stall_ms=stall, wall_s=wall) for stall, wall in ((30.0, 5.0), (90.0, 6.0), (40.0, 9.0))]
    failed = result("callctl", failed="stopped")
    page = tables.online(content(*runs, failed))
    assert "| **callctl** | 3 | 6.0 |  | 40 ms | 90 ms |  |" in page
    assert "| **callctl** (failed) | 1 |" in page
    assert in_rounds("a, b:3,c:2") == ["a", "b", "c", "b", "c", "b"]


def test_the_table_of_holds_has_a_column_for_each_size() -> None:
    found = [
        {"command": command, "rows": rows, "longest_ms": rows / 100, "looks_ms": 3.0}
        for rows in (1000, 100)
        for command in ("up", "down")
    ]
    page = tables.holds({**content(), "holds": found})
    assert "| longest hold, ms | 100 chatbots | 1,000 chatbots |" in page
    assert "| down | 1.0 | 10.0 |" in page


def test_a_tool_that_failed_says_so() -> None:
    failed = result("dbmate", failed="applying 4\nError: deadlock detected\nstopped", errors={"deadlock": 3})
    page = tables.online(content(failed))
    assert "| dbmate, thirteen migrations (failed) |" in page
    assert "- dbmate, thirteen migrations: `Error: deadlock detected`" in page
    assert "3 deadlock" in page
    assert any("FAILED" in line for line in report.of_tool(failed))


def test_a_page_without_its_place_is_refused() -> None:
    page = "a\n<!-- online:begin -->\nold\n<!-- online:end -->\nb\n"
    assert tables.replace(page, "online", "new") == "a\n<!-- online:begin -->\nnew\n<!-- online:end -->\nb\n"
    with pytest.raises(ValueError, match="0 places for growth"):
        tables.replace(page, "growth", "new")


def test_the_picture_has_a_strip_for_each_tool() -> None:
    drawn = ElementTree.fromstring(picture.svg(content(result("floor"), result("callctl"))))
    lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    heights = [[float(point.split(",")[1]) for point in line.attrib["points"].split()] for line in lines]
    assert len(heights) == 2
    for strip in heights:
        assert len(strip) == 3
        assert strip[1] < strip[2] < strip[0], "longer is higher up, and no transaction is no point"


def test_a_result_file_names_no_path_and_the_newest_counts(tmp_path: Path) -> None:
    older = {**content(result("script")), "date": "2025-01-01T00:00:00Z"}
    saved.save(tmp_path / "b.json", older)
    saved.save(tmp_path / "a.json", content(result("script", failed="no /tmp/some/file and /var/x here")))
    found = saved.newest("online", tmp_path)
    assert found["date"].startswith("2026")
    assert found["tools"][0]["failed"] == "no … and … here"
    assert '"series_ms": [1.0, 50.0, 0.0, 2.0]' in (tmp_path / "a.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="no result file of kind growth"):
        saved.newest("growth", tmp_path)


def test_the_page_shows_the_committed_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for kind, table in (("online", tables.online), ("growth", tables.growth), ("verify", tables.verify)):
        newest = saved.newest(kind)
        assert newest["commit"][:10] in page
        assert tables.replace(page, kind, table(newest)) == page
    drawn = (ROOT / "docs" / "explanation" / "online.svg").read_text(encoding="utf-8")
    assert drawn == picture.svg(saved.newest("online"))


@pytest.mark.parametrize("file", sorted(saved.RESULTS.glob("*.json")), ids=lambda file: file.name)
def test_a_committed_result_names_no_machine(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    known = "online others growth holds faults forecast mutants mutations queries rotation verify"
    assert json.loads(text)["kind"] in known.split()
    assert not re.findall(r"(?<![\w.$~])/(?:home|root|Users|work|opt|srv|mnt|tmp)/[\w.]+", text)
