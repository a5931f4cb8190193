"""What a load test measures and how it looks, without a server."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from callctl.loadtest import measure as loadtest_measure
from callctl.loadtest import run as loadtest_run
from callctl.loadtest.measure import Client, LoadTest, QueryTimes, Removed, Sent, Server, Spread, Wait
from callctl.loadtest.rows import documented_queries, new, values_of
from callctl.loadtest.sessions import DASHBOARD, Workload, script
from callctl.render import loadtest as render_loadtest
from callctl.statements.naming import DOCUMENTED

AT = datetime(2026, 1, 31, 4, tzinfo=UTC)
FAST, SLOW = Spread(1.0, 2.0, 3.0, 4.0), Spread(50.0, 120.0, 180.0, 900.0)


def result(**changes: Any) -> LoadTest:
    """A load test that passed, unless told otherwise."""
    fields: dict[str, Any] = {
        "database": "sandbox",
        "version": "18.0",
        "started_at": AT,
        "sessions": 100,
        "connections": 100,
        "call_seconds": 10.0,
        "history": 1000,
        "seconds": 30.0,
        "limit_ms": 100.0,
        "interrupted": False,
        "stopped": None,
        "calls_started": 300,
        "calls_completed": 250,
        "lines": 5200,
        "queries": (QueryTimes("search", 600, {}, FAST, FAST, False),),
        "client": Client(Spread(0.2, 0.9, 2.0, 5.0), Spread(0.0, 0.0, 0.0, 0.0), 0.2),
        "server": Server(4, 0.8, 1.2, 310.0),
        "samples": 290,
        "waits": (),
        "removed": (),
        "slowest_ms": (1.0, 4.0),
        "cpus": (0.5, 1.2),
    }
    return LoadTest(**{**fields, **changes})


def sent(query: str, planned: float, done: float, *, ready: float | None = None, error: str | None = None) -> Sent:
    """A statement that the client sent a millisecond late."""
    ready = planned if ready is None else ready
    return Sent(query, planned, ready, ready + 0.001, ready + 0.001, done, error)


# ---- the measure ---------------------------------------------------------------------------------------


def test_a_response_counts_from_the_planned_start_and_the_server_from_the_sending() -> None:
    """One statement took a second; the nine behind it were late although each was answered in a millisecond."""
    first = sent("find_call", 0.0, 1.0)
    behind = [sent("find_call", n / 10, 1.002 + n / 1000, ready=1.0 + n / 1000) for n in range(1, 10)]
    (found,) = loadtest_measure.times([first, *behind], 100.0)
    assert (found.response.max_ms, found.times, found.over_limit) == (1000.0, 10, True)
    assert found.response.p50_ms > 400
    assert found.server.p95_ms > 900
    assert found.server.p50_ms == pytest.approx(1.0, abs=0.01)
    assert loadtest_measure.client([first, *behind], 0.5).lag.max_ms == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("over", "passed"), [(5, True), (6, False)])
def test_the_95th_percentile_decides(over: int, passed: bool) -> None:
    quick = [sent("ring", n, n + 0.01) for n in range(100 - over)]
    slow = [sent("ring", n, n + 0.2) for n in range(over)]
    done = result(queries=loadtest_measure.times([*quick, *slow], 100.0))
    assert done.passed is passed
    assert bool(done.over) is not passed


def test_a_statement_that_failed_is_no_time_and_fails_the_test() -> None:
    queries = loadtest_measure.times([sent("ring", 0.0, 9.0, error="DeadlockDetected"), sent("ring", 1.0, 1.01)], 100.0)
    done = result(queries=queries)
    assert (queries[0].times, dict(queries[0].errors), queries[0].over_limit) == (1, {"DeadlockDetected": 1}, False)
    assert not done.passed
    assert not result(queries=()).passed
    assert not result(stopped="the server ended a connection").passed
    assert not result(interrupted=True).passed


def test_the_slowest_come_first_and_moments_keep_their_longest() -> None:
    found = loadtest_measure.times([sent("ring", 0.0, 0.1), sent("search", 0.0, 0.2)], 100.0)
    assert [each.query for each in found] == ["search", "ring"]
    series = loadtest_measure.slowest([sent("ring", 0.3, 0.4), sent("ring", 0.45, 0.95), sent("ring", 9.0, 9.1)], 1.0)
    assert series == (0.0, 500.0, 0.0, 0.0, 100.0)


# ---- the load ------------------------------------------------------------------------------------------


def test_a_call_goes_the_documented_way() -> None:
    steps = list(script())
    assert [name for _, name, _ in steps if name in ("start_call", "ring", "answer", "add_line", "complete")][:4] == [
        "start_call",
        "ring",
        "answer",
        "add_line",
    ]
    assert [share for share, *_ in steps] == sorted(share for share, *_ in steps)
    assert [line for *_, line in steps if line is not None] == list(range(20))
    names = [name for _, name, _ in steps]
    assert names.index("complete") > max(n for n, name in enumerate(names) if name == "add_line")
    # A webhook looks the call up before each change of its status that a provider reports.
    assert all(names[names.index(name) - 1] == "find_call" for name in ("ring", "answer", "complete"))


def test_every_query_that_is_loaded_is_asked_and_has_its_values() -> None:
    queries = documented_queries(DOCUMENTED)
    loaded = {name for name, query in queries.items() if query.loaded}
    assert loaded == {name for _, name, _ in script()} | set(DASHBOARD)
    assert {name for name, query in queries.items() if not query.loaded} == {"platform_calls"}
    known = values_of(new(), "1b4d2d86-df3f-6aa8-b16f-21b431107028")
    for query in queries.values():
        assert set(query.parameters) <= set(known), query.name
        assert {int(number) for number in re.findall(r"\$(\d+)", query.sql)} == set(
            range(1, len(query.parameters) + 1)
        ), query.name
        assert re.fullmatch(r"L\d+(-\d+)?(, L\d+(-\d+)?)*", query.documented), query.name
        assert query.text


def test_sessions_do_not_begin_in_one_moment() -> None:
    assert Workload(100, 100, 30.0, None, 10.0).spread_seconds == 7.5
    assert Workload(100, 100, 60.0, None, 10.0).spread_seconds == 10.0


# ---- the server's processes ----------------------------------------------------------------------------


class Answers:
    """A connection whose server process has a number, on a host."""

    def __init__(self, host: str) -> None:
        self.info = SimpleNamespace(host=host)

    def execute(self, _: str) -> Answers:
        return self

    def fetchone(self) -> tuple[int, str, str]:
        return (4711, "me", "platform")


def test_a_server_elsewhere_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtest_run, "PROC", tmp_path)
    here: Any = Answers("/tmp")
    assert loadtest_run.postmaster(here) is None
    process = tmp_path / "4711"
    process.mkdir()
    (process / "stat").write_text("4711 (post) gres) S 4242 1 1")
    (process / "cmdline").write_bytes(b"postgres: me platform [local] idle")
    assert loadtest_run.postmaster(here) == 4242
    away: Any = Answers("db.example")
    assert loadtest_run.postmaster(away) is None
    (process / "cmdline").write_bytes(b"postgres: me another_database [local] idle")
    assert loadtest_run.postmaster(here) is None


def test_what_the_processes_use_is_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtest_run, "PROC", tmp_path)
    zeros = " ".join(["0"] * 9)
    for pid, parent, ticks in ((10, 1, "100 50 30 20"), (11, 10, "40 10 7 7"), (12, 1, "999 999 999 999")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (postgres) S {parent} {zeros} {ticks} 0")
        (tmp_path / str(pid) / "status").write_text("Name: postgres\nRssAnon:\t    1024 kB\n")
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    assert loadtest_run.usage(10) == (2.5, 2.0)


# ---- how it looks --------------------------------------------------------------------------------------


def shown(done: LoadTest, capsys: pytest.CaptureFixture[str]) -> str:
    render_loadtest.measured(done, "text")
    return " ".join(capsys.readouterr().out.split())


def test_the_verdict_is_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(result(), capsys).endswith("load test passed: 1 queries within 100 ms (p95)")
    over = (QueryTimes("search", 600, {}, SLOW, SLOW, True), QueryTimes("ring", 600, {}, FAST, FAST, False))
    text = shown(result(queries=over), capsys)
    assert text.endswith("load test failed: 1 of 2 queries over 100 ms (p95): search")
    assert "search (over) 600 50.0 120 180 900" in text
    failed = (QueryTimes("ring", 600, {"DeadlockDetected": 2}, FAST, FAST, False),)
    assert "failed: ring: DeadlockDetected 2" in shown(result(queries=failed), capsys)
    assert shown(result(interrupted=True), capsys).endswith("load test interrupted after 30.0 s")
    assert shown(result(queries=()), capsys).endswith("load test measured nothing")


def test_percentiles_are_shown_from_a_hundred_times_on(capsys: pytest.CaptureFixture[str]) -> None:
    few = result(
        queries=(QueryTimes("ring", 99, {}, FAST, FAST, False), QueryTimes("search", 100, {}, FAST, FAST, False))
    )
    text = shown(few, capsys)
    assert "ring 99 1.0 - - 4.0 - search 100 1.0 2.0 3.0 4.0 2.0" in text
    assert "percentiles: not shown of 1 query with fewer than 100 times" in text
    page = render_loadtest.write_picture(few, ".html")
    assert page.count("<td>–</td>") == 2
    assert "few times" in page


def test_what_is_not_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "server: unknown: " in shown(result(server=None, cpus=()), capsys)
    assert "locks: no session waited for a lock in any of in 290 looks" in shown(result(), capsys)
    lock = Wait("Lock", "transactionid", 7, 3, 412.0)
    text = shown(result(waits=(lock, Wait("LWLock", "WALWrite", 9, 0, 0.0))), capsys)
    assert "transactionid: 7 sightings of the load's sessions, 3 of others behind them, for 412 ms at most" in text
    assert "other waits: WALWrite (LWLock) 9 sightings" in text
    late = Client(Spread(1.0, 10.0, 20.0, 30.0), Spread(1.0, 2.0, 3.0, 4.0), 0.97)
    text = shown(result(client=late, connections=20), capsys)
    assert "caution: the client itself was late" in text
    assert "waited 2.0 ms (p95) for a connection" in text


def test_the_document_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    kept = Removed("1b4d2d86-df3f-6aa8-b16f-21b431107028", AT, "me@here", 0, "its slug was changed since")
    render_loadtest.measured(result(removed=(kept,)), "json")
    document = json.loads(capsys.readouterr().out)
    assert (document["event"], document["passed"], document["client_late"]) == ("load_tested", True, False)
    assert document["queries"][0]["response"] == {"p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "max_ms": 4.0}
    assert document["removed"][0]["kept"] == "its slug was changed since"


@pytest.mark.parametrize("cpus", [(), (0.5, 1.2)])
def test_the_picture_is_drawn(cpus: tuple[float, ...]) -> None:
    over = (QueryTimes("search", 600, {}, SLOW, SLOW, True), QueryTimes("ring", 600, {}, FAST, FAST, False))
    done = result(queries=over, cpus=cpus, database="<b>", slowest_ms=(1.0, 150.0, 0.0))
    root = ElementTree.fromstring(render_loadtest.write_picture(done, ".svg"))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"search", "ring", "limit 100 ms", "120.0 ms"} <= set(texts)
    assert any(text and text.endswith("CPUs") for text in texts) == bool(cpus)
    assert "limit" in texts  # in the strip below as well: the longest response is over it
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        for name, most in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert -1 <= float(element.get(name, 0)) <= most, element.attrib
    page = render_loadtest.write_picture(done, ".html")
    assert '<tr class="over"><td>search</td>' in page
    assert page.count("call sessions, ") == 3  # both titles of a page, and the picture's own name, unseen
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
