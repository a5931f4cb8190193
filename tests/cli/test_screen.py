"""What preflight, status, verify and the question before a run look like in a terminal of 40, 80 and 120 columns."""

from __future__ import annotations

import re

import pytest
from tests.conftest import connect
from tests.support import processes
from tests.support.cli.screen import Screen
from tests.support.steps import LAST

from callctl.database import lock

COLUMNS = [40, 80, 120]


def folded(screen: Screen, label: str, columns: int) -> None:
    """What does not fit beside a label is indented below it."""
    at = next(number for number, line in enumerate(screen.lines) if line.startswith(label))
    assert screen.lines[at + 1].startswith("  " if columns < 60 else " " * 8), screen.lines[at : at + 2]


@pytest.mark.parametrize("columns", COLUMNS)
def test_preflight(deployed: str, columns: int) -> None:
    screen = Screen(deployed, columns, "preflight")
    assert screen.code == 0
    screen.assert_fits(columns)
    words = [line.split()[0] for line in screen.lines if line and not line.startswith(" ")]
    assert words[:2] == ["warns", "warns"]
    assert "unknown backup: the time of the last backup is unknown" in screen.text
    assert "statements sees one error after the step; client sessions connected now: 0" in screen.text
    assert re.search(r"ready: 0 block, \d+ warn, 3 unknown, \d+ ok", screen.text)
    assert not any(line.startswith("ok ") for line in screen.lines)
    assert "why:" not in screen.text
    folded(screen, "warns    prepared-statements", columns)
    if columns >= 80:
        assert len(screen.lines) <= 24  # a healthy database is one screen


@pytest.mark.parametrize("columns", COLUMNS)
def test_preflight_in_full(deployed: str, columns: int) -> None:
    screen = Screen(deployed, columns, "preflight", "--all", "--names")
    screen.assert_fits(columns)
    first_ok = next(number for number, line in enumerate(screen.lines) if line.startswith("ok "))
    assert not any(line.startswith(("warns", "unknown", "blocks")) for line in screen.lines[first_ok:])
    assert "why: callctl keeps what the steps remove" in screen.text
    assert "fix: take one (callctl backup FILE)" in screen.text
    assert "chatbots: chatbotType is called chatbot_type here" in screen.text
    assert "ok the server is a primary" in screen.text


@pytest.mark.parametrize("columns", COLUMNS)
def test_a_blocker_says_what_mends_it(deployed: str, columns: int) -> None:
    with connect(deployed) as connection:
        connection.execute("CREATE VIEW chatapp.typed AS SELECT id, chatbot_type FROM chatapp.chatbots")
    screen = Screen(deployed, columns, "preflight")
    assert screen.code == 3
    screen.assert_fits(columns)
    assert screen.lines[0].startswith("blocks ")
    assert "chatapp.typed" in screen.text
    assert "fix:" in screen.text
    assert "not ready: 1 block" in screen.text


@pytest.mark.parametrize("columns", COLUMNS)
def test_the_question_is_asked_below_why_and_fix(real: str, columns: int) -> None:
    screen = Screen(real, columns, "migrate", "up", answer="n")
    assert screen.code == 3
    screen.assert_fits(columns)
    before = screen.text.split("[y/N]")[0]
    assert "why: callctl keeps what the steps remove" in before
    assert "fix: take one (callctl backup FILE)" in before
    assert "fix: let the application retry on SQLSTATE 0A000" in before
    assert f"Apply steps 1 to {LAST} in schema chatapp of test_" in before


@pytest.mark.parametrize("columns", COLUMNS)
def test_verify(documented: str, columns: int) -> None:
    assert processes.run(documented, "migrate", "up", "--yes")[0] == 0
    healthy = Screen(documented, columns, "verify")
    assert healthy.code == 0
    healthy.assert_fits(columns)
    assert "verify passed: " in healthy.text
    assert "means:" not in healthy.text
    assert len(healthy.lines) <= 24
    with connect(documented) as connection:
        connection.execute("DROP INDEX chatapp.idx_chatbots_capabilities")
    screen = Screen(documented, columns, "verify")
    assert screen.code == 3
    screen.assert_fits(columns)
    assert screen.lines[0].startswith("failed  chatbots-indexes (step 4): 1")
    assert "fix: CREATE INDEX CONCURRENTLY idx_chatbots_capabilities ON chatapp.chatbots USING btree" in screen.text
    assert "means:" not in screen.text
    named = Screen(documented, columns, "verify", "--names")
    named.assert_fits(columns)
    assert "index chatapp.idx_chatbots_capabilities: missing" in named.text
    full = Screen(documented, columns, "verify", "--all")
    full.assert_fits(columns)
    assert "means:" in full.text
    first_ok = next(number for number, line in enumerate(full.lines) if line.startswith("ok "))
    assert not any(line.startswith(("failed", "warns")) for line in full.lines[first_ok:])


def test_what_the_server_refuses_is_said_once(documented: str) -> None:
    assert processes.run(documented, "migrate", "up", "--yes")[0] == 0
    with connect(documented) as connection:
        connection.execute("DROP TABLE chatapp.calls CASCADE")
    for arguments in ((), ("--all",)):
        said = processes.run(documented, "verify", *arguments)[1]
        assert " ".join(said.split()).count('relation "chatapp.calls" does not exist') == 1


@pytest.mark.parametrize("columns", COLUMNS)
def test_status(deployed: str, columns: int) -> None:
    pending = Screen(deployed, columns, "migrate", "status", "--names")
    pending.assert_fits(columns)
    assert pending.lines[0] == f"pending  steps 1 to {LAST}"
    assert "chatbots: chatbotType is called chatbot_type here" in pending.text
    assert processes.run(deployed, "migrate", "up", "--yes", "--to", "3")[0] == 0
    with connect(deployed) as connection:
        connection.execute("INSERT INTO callctl.checkpoint VALUES (4, 'up', 'x', 1, true)")
    screen = Screen(deployed, columns, "migrate", "status")
    screen.assert_fits(columns)
    words = [line.split()[0] for line in screen.lines if line and not line.startswith(" ")]
    assert words[:4] == ["partly", "applied", "pending", "10"]
    assert "step 4 up (backfill_capabilities): stopped part-way" in screen.text
    assert "is called" not in screen.text
    full = Screen(deployed, columns, "migrate", "status", "--all")
    full.assert_fits(columns)
    assert "users_avatar_url" in "".join(full.text.split())


@pytest.mark.parametrize("columns", COLUMNS)
def test_status_of_a_live_run(documented: str, columns: int) -> None:
    from callctl.config.settings import Settings

    with lock.MigrationLock(Settings(database_url=documented), command="migrate up") as held:
        held.tell(4)
        screen = Screen(documented, columns, "migrate", "status")
    screen.assert_fits(columns)
    assert screen.lines[0].startswith(f"running  migrate up, step 4 of {LAST}")
    assert "application callctl lock, role postgres, from the server's own host (a local socket); conn" in screen.text
    assert "step 4 up: nothing is committed yet" in screen.text
    folded(screen, "running", columns)


@pytest.mark.parametrize("columns", COLUMNS)
def test_an_error_and_its_hint(documented: str, columns: int) -> None:
    screen = Screen(documented, columns, "verify")
    assert screen.code == 3
    screen.assert_fits(columns)
    assert "callctl: error: nothing to verify: no step is applied in this database" in screen.text
    assert "callctl migrate adopt to record a migration without callctl" in screen.text
