"""The commands on a real database: result, exit code, JSON, and the question before a write."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest
from tests.support.cli.pages import difference
from tests.support.steps import ALL, EXPANDED, LAST

from callctl.cli import run
from callctl.config.settings import Settings
from callctl.database import lock, store
from callctl.migration import migrate

STEPS = list(ALL)


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command on a database: its exit code, stdout and stderr."""

    def call(url: str, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["--database", url, *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


def document(found: tuple[int, str, str], code: int = 0) -> Any:
    assert found[0] == code, found[2]
    return json.loads(found[1])


def applied(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT to_regclass('callctl.history') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            return 0
        row = connection.execute("SELECT count(*) FROM callctl.history WHERE direction = 'up'").fetchone()
        return row[0] if row else 0


def test_the_whole_way_in_json(baseline: str, ask: Callable[..., tuple[int, str, str]]) -> None:
    before = document(ask(baseline, "migrate", "status", "--output", "json"), 3)
    assert [step["state"] for step in before["steps"]] == ["pending"] * LAST
    plan = document(ask(baseline, "migrate", "plan", "--output", "json"))
    assert [step["number"] for step in plan["steps"]] == STEPS
    assert all(statement["sql"] for step in plan["steps"] for statement in step["statements"])
    findings = document(ask(baseline, "preflight", "--output", "json"))
    assert findings["ready"] is True
    assert findings["pending"] == STEPS
    assert set(findings["findings"][0]) == {"id", "level", "what", "why", "do", "objects"}
    assert applied(baseline) == 0

    code, out, err = ask(baseline, "migrate", "up", "--yes", "--output", "json")
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events[:3]] == ["migration_started", "forecast", "step_started"]
    assert list(events[1]["steps"]) == [str(number) for number in STEPS]
    assert events[0]["steps"] == STEPS
    assert events[-1]["event"] == "finished"
    assert [step["number"] for step in events[-1]["steps"]] == STEPS

    after = document(ask(baseline, "migrate", "status", "--output", "json"))
    assert [step["state"] for step in after["steps"]] == ["applied"] * LAST
    report = document(ask(baseline, "verify", "--output", "json"))
    assert report["passed"] is True
    assert {check["result"] for check in report["checks"]} <= {"passed", "warns"}
    history = document(ask(baseline, "migrate", "history", "--output", "json"))
    assert [row["step"] for row in history["steps"]] == STEPS
    back = document(ask(baseline, "migrate", "plan", "--down", "--output", "json"))
    assert [step["number"] for step in back["steps"]] == STEPS[::-1]


def test_the_whole_way_in_text(baseline: str, ask: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = ask(baseline, "migrate", "status")
    assert code == 3
    assert "pending" in out
    assert f"{LAST} of {LAST} steps pending" in err
    code, out, err = ask(baseline, "preflight")
    assert code == 0
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "\x1b" not in out
    code, out, err = ask(baseline, "migrate", "up", "--yes")
    assert code == 0
    assert f"{LAST} steps applied in " in out
    assert f"step {LAST} up: done" in err
    assert ask(baseline, "migrate", "up", "--yes")[:2] == (0, "nothing to do: no step is pending\n")
    assert ask(baseline, "migrate", "status")[0] == 0
    assert "verify passed: " in ask(baseline, "verify")[1]
    assert "steps/13_call_models/up.sql" in ask(baseline, "migrate", "history")[1]
    code, out, err = ask(baseline, "migrate", "down", "--to", "12", "--yes")
    assert code == 0
    assert "1 step taken back in " in out


def test_dry_run_and_plan_write_nothing(documented: str, ask: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = ask(documented, "migrate", "up", "--dry-run")
    assert code == 0
    # Their times are measured each by itself.
    assert difference(tuple(out.splitlines()), ask(documented, "migrate", "plan")[1]) is None
    assert "  all wait     change users.avatar_url to text: ACCESS EXCLUSIVE on users; reads and writes wait " in out
    code, out, _ = ask(documented, "migrate", "plan", "--sql")
    assert code == 0
    assert "-- step 1 up: users_avatar_url\n" in out
    assert "ALTER TABLE chatapp.users ALTER COLUMN avatar_url TYPE text;\n" in out
    assert ask(documented, "migrate", "plan", "--down")[:2] == (0, "")
    assert ask(documented, "migrate", "plan", "--down", "--sql")[:2] == (0, "")
    assert applied(documented) == 0


@pytest.mark.parametrize("command", ["migrate up", "migrate adopt"])
def test_a_pipe_is_refused_without_yes(command: str, real: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "callctl", "--database", real, *command.split()],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert "callctl: hint: add --yes" in done.stderr
    assert applied(real) == 0


@pytest.mark.parametrize(("answer", "code", "steps"), [("n", 3, 0), ("", 3, 0), ("y", 0, 1), ("YES", 0, 1)])
def test_a_terminal_is_asked(answer: str, code: int, steps: int, real: str) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "callctl",
            "--environment",
            "staging",
            "--database",
            real,
            "migrate",
            "up",
            "--to",
            "1",
        ],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(ours, 4096)
    os.write(ours, answer.encode() + b"\n")
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:
        pass  # Linux's way to say that the other side of a terminal is closed
    os.close(ours)
    assert process.wait() == code
    assert b"Apply step 1 in schema chatapp of test_" in seen
    assert b"(staging)" in seen
    assert applied(real) == steps


ACCOUNT_UNDER_K9 = """
  INSERT INTO chatapp.integration_accounts (company_id, account_type, account_name, credentials)
  SELECT id, 'twilio', 'one', '{"accountSid": "AC1", "phoneNumber": "+15550100", "authToken": {"v": 1, "alg": "A256GCM",
    "kid": "k9", "encrypted": "c0ffee",
    "iv": "00112233445566778899aabb", "authTag": "00112233445566778899aabbccddeeff"}}'
  FROM chatapp.companies ORDER BY id LIMIT 1 RETURNING id
"""


def test_verify_that_fails_says_what_and_where(
    documented: str, tmp_path: Path, ask: Callable[..., tuple[int, str, str]]
) -> None:
    assert ask(documented, "migrate", "up", "--yes")[0] == 0
    with psycopg.connect(documented, autocommit=True) as connection:
        account = connection.execute(ACCOUNT_UNDER_K9).fetchall()[0][0]
    # No key is read: the variable is not there.
    config = tmp_path / "callctl.yaml"
    config.write_text("keys: {primary: k1, ring: [{id: k1, env: NOT_SET_ANYWHERE}]}")
    report = document(ask(documented, "--config", str(config), "verify", "--output", "json"), 3)
    (check,) = [check for check in report["checks"] if check["result"] == "failed"]
    assert (check["id"], check["count"]) == ("accounts-secrets-known-key", 1)
    assert list(check["sample"][0].values()) == [str(account), "twilio", "credentials.authToken (k9)"]
    config.write_text("keys: {primary: k1, ring: [{id: k1, env: NOT_SET_ANYWHERE}, {id: k9, file: nowhere}]}")
    assert ask(documented, "--config", str(config), "verify")[0] == 0
    assert ask(documented, "verify")[0] == 0

    with psycopg.connect(documented, autocommit=True) as connection:
        connection.execute("DROP INDEX chatapp.idx_chatbots_capabilities")
    junit = tmp_path / "verify.xml"
    code, out, _ = ask(documented, "verify", "--junit", str(junit))
    assert code == 3
    assert "verify failed: " in out
    assert "idx_chatbots_capabilities" in out
    assert "fix: CREATE INDEX CONCURRENTLY idx_chatbots_capabilities ON chatapp.chatbots" in out
    suite = ElementTree.parse(junit).getroot()
    assert int(suite.attrib["failures"]) >= 1
    assert suite.findall(".//failure")
    code, out, _ = ask(documented, "verify", "--fast", "--github")
    assert code == 3
    first, *_, last = out.splitlines()
    assert first.startswith("::error title=verify%3A chatbots-indexes (step 4)::should be: ")
    assert "%0Afix: CREATE INDEX" in first
    assert last.endswith("no row (--fast))")
    report = document(ask(documented, "verify", "--fast", "--output", "json"), 3)
    assert (report["passed"], report["fast"]) == (False, True)
    assert [check["id"] for check in report["checks"] if check["result"] == "failed"] == ["chatbots-indexes"]
    assert ask(documented, "verify", "--github", "--output", "json")[0] == 2


def test_a_blocking_finding_stops_up(documented: str, ask: Callable[..., tuple[int, str, str]]) -> None:
    with psycopg.connect(documented, autocommit=True) as connection:
        connection.execute("UPDATE chatapp.companies SET settings = '[]' WHERE slug IS NOT NULL")
    assert document(ask(documented, "preflight", "--output", "json"), 3)["ready"] is False
    code, out, err = ask(documented, "migrate", "up", "--yes", "--output", "json")
    assert code == 3
    started, failed = (json.loads(line) for line in out.splitlines())
    assert (started["event"], started["steps"]) == ("migration_started", STEPS)
    assert (failed["event"], failed["exit_code"]) == ("failed", 3)
    assert "callctl: error: preflight found blockers: " in err
    assert applied(documented) == 0


def test_purge_shows_what_it_deletes(documented: str, ask: Callable[..., tuple[int, str, str]]) -> None:
    assert ask(documented, "purge")[:2] == (0, "nothing is saved\n")
    assert ask(documented, "migrate", "up", "--yes")[0] == 0
    code, out, err = ask(documented, "purge", "--yes")
    assert code == 0
    assert "saved value " in err
    assert out.startswith("deleted ")


@pytest.mark.applied
def test_purge_deletes_what_can_not_be_put_back_any_more(
    documented: str, ask: Callable[..., tuple[int, str, str]]
) -> None:
    """Values and rows that a newer write has superseded, which a down would not put back, are gone as well."""
    settings = Settings(database_url=documented)
    migrate.down(settings, to=8)
    with psycopg.connect(documented, autocommit=True) as connection:
        for table in ("saved_value", "saved_row"):
            superseded = connection.execute(f"UPDATE callctl.{table} SET superseded_at = now()".encode())
            assert superseded.rowcount > 0
        assert ask(documented, "purge", "--yes")[0] == 0
        for table in ("saved_value", "saved_row"):
            assert connection.execute(f"SELECT count(*) FROM callctl.{table}".encode()).fetchall() == [(0,)]


@pytest.mark.parametrize(
    "held",
    [
        "LOCK TABLE callctl.saved_value",
        "LOCK TABLE callctl.saved_value IN EXCLUSIVE MODE",  # which can be read
        "SELECT FROM callctl.saved_value FOR UPDATE",
        "LOCK TABLE callctl.integration_accounts IN ROW SHARE MODE",  # archived
    ],
)
@pytest.mark.applied
def test_nothing_is_purged_while_another_session_holds_what_it_needs(
    documented: str, ask: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    """It gives up after lock_wait, says what was in the way, and all that was saved is still there."""
    settings = Settings(database_url=documented)
    migrate.down(settings, to=8)
    monkeypatch.setenv("CALLCTL_LOCK_WAIT", "300ms")
    # A purge that did not give up would go on when the server ends this session, and fail the test.
    other_url = f"{documented}&options=-c%20idle_in_transaction_session_timeout%3D30s"
    with psycopg.connect(documented, autocommit=True) as connection, psycopg.connect(other_url) as other:
        saved = store.saved_summary(connection)
        assert {each.kind for each in saved} >= {"archived table", "saved value"}
        other.execute(held.encode())
        code, out, err = ask(documented, "purge", "--yes")
        other.rollback()
        assert (code, out) == (5, ""), err
        assert "a lock was not available in time (SQLSTATE 55P03)" in err
        assert "nothing was deleted" in err
        assert "callctl: hint: wait for the session that holds a lock on the table" in err
        assert store.saved_summary(connection) == saved
        with lock.MigrationLock(settings, shared=True):
            code, out, err = ask(documented, "purge", "--yes")
        assert (code, out) == (6, ""), err
        assert "callctl: error: another callctl is running on schema chatapp (pid " in err
        assert store.saved_summary(connection) == saved
        assert ask(documented, "purge", "--yes")[0] == 0
        assert store.saved_summary(connection) == ()


def test_a_role_that_may_not_write(documented: str, ask: Callable[..., tuple[int, str, str]]) -> None:
    with psycopg.connect(documented, autocommit=True) as connection:
        name = f"reader_{connection.info.dbname}"
        connection.execute(f"CREATE ROLE {name} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA chatapp TO {name}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA chatapp TO {name}")
    try:
        url = documented.replace("user=postgres", f"user={name}")
        code, _, err = ask(url, "migrate", "up", "--yes")
        assert code == 3
        assert "callctl: error: preflight found blockers: " in err
        assert "callctl: hint: " in err
        assert applied(documented) == 0
    finally:
        with psycopg.connect(documented, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {name}")
            connection.execute(f"DROP ROLE {name}")


def test_preflight_of_the_way_back(documented: str, ask: Callable[..., tuple[int, str, str]]) -> None:
    """--down asks about the steps that migrate down would take; --to counts in both directions."""
    assert document(ask(documented, "preflight", "--to", "2", "--output", "json"))["pending"] == [1, 2]
    ask(documented, "migrate", "up", "--yes")
    code, out, err = ask(documented, "preflight", "--down", "--to", "11")
    assert (code, "next: callctl migrate down --to 11" in err) == (0, True), out + err
    with psycopg.connect(documented, autocommit=True) as connection:
        connection.execute("ALTER TABLE chatapp.chatbots RENAME enabled_call TO able")
        code, out, _ = ask(documented, "preflight", "--down", "--to", "11")
    assert code == 3
    assert "step 12 down reads chatapp.chatbots.enabled_call" in out
    # A statement is one line, to be copied.
    assert "         fix: ALTER TABLE chatapp.chatbots RENAME COLUMN able TO enabled_call;\n" in out
    assert document(ask(documented, "preflight", "--down", "--output", "json"), 3)["pending"] == STEPS[::-1]
    assert ask(documented, "preflight", "--down", "--defer-drops")[0] == 2


@pytest.mark.parametrize("command", ["migrate status", "preflight", "migrate plan", "migrate up --yes"])
def test_a_database_without_the_platform(
    command: str, empty_database: str, ask: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = ask(empty_database, *command.split())
    assert code in (3, 4)
    assert out == ""
    assert err.splitlines()[1].startswith("callctl: error: ")
    assert "callctl: hint: " in err
    assert applied(empty_database) == 0


def test_the_drops_are_deferred_and_taken_later(baseline: str, ask: Callable[..., tuple[int, str, str]]) -> None:
    expanded = list(EXPANDED)
    findings = document(ask(baseline, "preflight", "--defer-drops", "--output", "json"))
    assert findings["pending"] == expanded
    plan = document(ask(baseline, "migrate", "plan", "--defer-drops", "--output", "json"))
    assert [step["number"] for step in plan["steps"]] == expanded
    assert plan["deferred"] == [5, 6]
    dry = ask(baseline, "migrate", "up", "--defer-drops", "--dry-run")
    planned = ask(baseline, "migrate", "plan", "--defer-drops")
    assert (dry[0], dry[2]) == (planned[0], planned[2])
    assert difference(tuple(dry[1].splitlines()), planned[1]) is None
    assert "steps 5 and 6 are deferred" in dry[2]
    assert "drop column chatbottype" not in dry[1]
    assert applied(baseline) == 0

    code, out, err = ask(baseline, "migrate", "up", "--defer-drops", "--yes", "--output", "json")
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["deferred"] == [5, 6]
    status = document(ask(baseline, "migrate", "status", "--output", "json"), 3)
    assert [step["number"] for step in status["steps"] if step["state"] == "pending"] == [5, 6]
    assert [step["number"] for step in status["steps"] if step["deferred"]] == [5, 6]
    code, out, err = ask(baseline, "migrate", "status")
    assert code == 3
    assert out.count("pending (deferred)") == 2
    assert "steps 5 and 6 are deferred" in err
    assert "steps 5 and 6 are deferred" in ask(baseline, "migrate", "history")[2]
    assert ask(baseline, "migrate", "up", "--defer-drops", "--yes")[:2] == (
        0,
        "nothing to do: no other step is pending\n",
    )
    assert document(ask(baseline, "verify", "--output", "json"))["passed"] is True
    back = document(ask(baseline, "migrate", "plan", "--down", "--output", "json"))
    assert [step["number"] for step in back["steps"]] == expanded[::-1]

    contract = document(ask(baseline, "migrate", "plan", "--output", "json"))
    assert [step["number"] for step in contract["steps"]] == [5, 6]
    assert contract["deferred"] == []
    in_use = list(document(ask(baseline, "preflight", "--output", "json"))["findings"])
    assert any(found["id"] == "type-column-in-use" and "code-refs" in found["do"] for found in in_use)
    code, out, err = ask(baseline, "migrate", "up", "--yes")
    assert code == 0
    assert "2 steps applied in " in out
    assert "type-column-in-use" in err
    assert document(ask(baseline, "migrate", "status", "--output", "json"))["steps"][4]["deferred"] is False
    code, out, err = ask(baseline, "migrate", "plan", "--defer-drops")
    assert (code, out) == (0, "")
    assert err.splitlines()[1:] == [
        "note: steps 5 and 6 are applied already: no step can be deferred",
        "nothing to do: no step is pending",
    ]
    events = ask(baseline, "migrate", "up", "--defer-drops", "--yes", "--output", "json")[1].splitlines()
    assert json.loads(events[1]) == {
        "version": 1,
        "event": "notice",
        "text": "steps 5 and 6 are applied already: no step can be deferred",
    }
    assert document(ask(baseline, "verify", "--output", "json"))["passed"] is True


def test_adopt_names_what_differs_and_says_how_it_ended(documented: str, ask: Callable[..., Any]) -> None:
    code, out, _ = ask(documented, "migrate", "adopt", "--yes")
    assert code == 3
    assert "column chatapp.users.avatar_url: type is character varying(500), should be text" in out
    code, out, _ = ask(documented, "migrate", "adopt", "--yes", "--output", "json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in lines if "exit_code" in line] == ["finished"]
    assert lines[-1]["exit_code"] == code == 3
    (failing,) = lines[-1]["steps"][0]["failing"]
    assert "avatar_url" in str(failing["sample"])
    assert ask(documented, "migrate", "up", "--yes")[0] == 0
    code, out, _ = ask(documented, "migrate", "adopt", "--yes", "--output", "json")
    assert json.loads(out.splitlines()[-1])["exit_code"] == code == 0
