"""The question files' format, and the answers that need no server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.database.actions import LastBackup
from callctl.errors import ConfigError
from callctl.migration.checks import preflight as module
from callctl.migration.checks.findings import ASKED_IN_PYTHON, Need, parse_question, questions, reference, row_finding
from callctl.statements.adaptation import adapt
from callctl.statements.naming import DOCUMENTED

HEADER = "-- finding: f\n-- ok: o\n-- why: w\n-- do: d\n"
QUERY = "\nSELECT 'ok' AS level, 'w' AS what;\n"


def test_a_question_is_read_from_its_file() -> None:
    question = parse_question(
        HEADER
        + "-- steps: 1-3, 9\n-- direction: both\n-- begun: skip\n-- absent: a\n"
        + "\n-- needs: chatapp.chatbots.chatbotType, callctl.made\n-- versions: 15-\nSELECT 1;\n",
        "preflight/f.sql",
    )
    assert question.steps == frozenset({1, 2, 3, 9})
    assert question.directions == ("up", "down")
    assert question.skips_begun
    assert question.absent == "a"
    (query,) = question.queries
    assert query.needs == (Need("chatapp", "chatbots", "chatbottype"), Need("callctl", "made", None))
    assert (query.oldest, query.newest) == (15, 999)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER.replace("why: w", "wherefore: w"), "unknown header 'wherefore'"),
        (HEADER.replace("-- why: w\n", ""), "no 'why'"),
        (HEADER.replace("finding: f", "finding: g"), "called 'g'"),
        (HEADER + "-- steps: few\n", "steps are 'few'"),
        (HEADER + f"-- steps: 12-{LAST + 1}\n", f"steps are '12-{LAST + 1}'"),
        (HEADER + "-- direction: across\n", "direction is 'across'"),
        (HEADER + "-- begun: ask\n", "begun is 'ask'"),
        (HEADER + "\n-- versions: new", "versions are 'new'"),
        (HEADER + "\n-- needs: public.x", "needs are 'public.x'"),
    ],
)
def test_a_broken_header_is_an_error(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_question(text + QUERY, "f.sql")


@pytest.mark.parametrize("row", [{"level": "fatal", "what": "w"}, {"level": "ok"}, {"level": "ok", "what": 1}])
def test_a_row_that_is_no_finding_is_an_error(row: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="unusable row: column level is"):
        row_finding(parse_question(HEADER + QUERY, "f.sql"), row)


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.id)
def test_a_question_is_read_only_sql_in_documented_names(question: Any) -> None:
    assert question.queries
    for query in question.queries:
        assert query.statement.kind == "select"
        assert not query.statement.directives
        assert adapt(query.statement, DOCUMENTED) is query.statement
    for text in (question.ok, question.why, question.do):
        assert not text.endswith(".")


def test_the_reference_page_is_what_the_files_say() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "preflight.md"
    assert page.read_text(encoding="utf-8") == reference()
    for question in (*questions(), *ASKED_IN_PYTHON):
        assert f"## {question.id}\n" in reference()


@pytest.mark.parametrize(
    ("age", "level"),
    [
        (None, "unknown"),
        (timedelta(hours=23), "ok"),
        (timedelta(hours=25), "warns"),
        (timedelta(hours=-2), "warns"),
    ],
)
def test_the_age_of_the_backup(age: timedelta | None, level: str) -> None:
    taken = None if age is None else datetime.now(UTC) - age
    finding = module._backup(replace(Settings(), backup_taken_at=taken), None)
    assert finding.level == level
    assert finding.do


@pytest.mark.parametrize(
    ("by_operator", "recorded", "level", "text"),
    [
        (None, 23, "ok", "23 hours ago"),
        (None, 25, "warns", "it is /b/a.dump, by ops@deploy; 4 steps were taken since"),
        (2, 1, "ok", "1 hour ago"),
        (25, 1, "ok", "it is /b/a.dump"),
        (1, 25, "ok", "as the operator says"),
    ],
)
def test_the_newest_backup_that_anybody_knows_of_counts(
    by_operator: int | None, recorded: int, level: str, text: str
) -> None:
    now = datetime.now(UTC)
    last = LastBackup("backup", now - timedelta(hours=recorded), "/b/a.dump", "ops@deploy", 4)
    taken = None if by_operator is None else now - timedelta(hours=by_operator)
    finding = module._backup(replace(Settings(), backup_taken_at=taken), last)
    assert finding.level == level
    assert text in finding.what


@pytest.mark.parametrize(("notified", "level"), [(None, "unknown"), (True, "ok"), (False, "warns")])
def test_the_maintenance_notice(notified: bool | None, level: str) -> None:
    assert module._maintenance(Settings(maintenance_notified=notified)).level == level


@pytest.mark.parametrize(
    ("sessions", "level"), [("none", "ok"), ("own", "ok"), ("shared", "blocks"), ("one", "blocks")]
)
def test_a_pooler(sessions: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callctl.database.connection.sessions", lambda *_: sessions)
    finding = module._pooler(_Asked())  # type: ignore[arg-type]
    assert finding.level == level
    assert "port" in finding.do


class _Asked:
    """A server that says which process answers."""

    connection = settings = None

    def rows(self, sql: str) -> list[dict[str, int]]:
        return [{"pg_backend_pid": 7}]


@pytest.mark.parametrize("question", [*questions(), *ASKED_IN_PYTHON], ids=lambda question: question.id)
def test_what_to_do_has_no_gap_for_the_reader_to_fill_in(question: Any) -> None:
    """A statement with this database's own names comes with the row, as its ``fix``."""
    for gap in ("...", "…", "(pid)", "PID", "<", " ROLE "):
        assert gap not in question.do
    for query in question.queries:
        assert "(pid)" not in query.statement.sql


def test_a_row_says_itself_what_to_do() -> None:
    question = parse_question(HEADER + QUERY, "f.sql")
    assert row_finding(question, {"level": "warns", "what": "w"}).do == "d"
    assert row_finding(question, {"level": "warns", "what": "w", "fix": "DROP TABLE t;"}).do == "DROP TABLE t;"
