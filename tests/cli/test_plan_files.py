"""``migrate plan FILE.sql``: what the statements of any SQL file would do, without running them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import connect

from callctl.cli import run

OURS = """
-- Two statements in one transaction: the lock of the first stays until COMMIT.
BEGIN;
ALTER TABLE chatapp.users ADD COLUMN nickname text;
UPDATE chatapp.chatbots SET name = name;
COMMIT;

ALTER TABLE chatapp.chatbots ALTER COLUMN name TYPE varchar(10);
CREATE TABLE chatapp.notes (id uuid PRIMARY KEY, user_id uuid REFERENCES chatapp.users (id));
CREATE INDEX notes_user ON chatapp.notes (user_id);
DO $$ BEGIN EXECUTE 'DROP TABLE chatapp.users'; END $$;
FROBNICATE everything;
"""

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def command(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def ours(tmp_path: Path) -> str:
    file = tmp_path / "our.sql"
    file.write_text(OURS)
    return str(file)


def planned(documented: str, ask: Ask, *arguments: str) -> dict[str, Any]:
    code, out, err = ask("migrate", "plan", *arguments, "--database", documented, "--output", "json")
    assert code == 0, err
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_each_statement_has_its_locks_and_nothing_is_run(documented: str, ask: Ask, ours: str) -> None:
    with connect(documented) as db:
        before = db.execute("SELECT count(*) FROM pg_attribute").fetchone()
        document = planned(documented, ask, ours)
        assert db.execute("SELECT count(*) FROM pg_attribute").fetchone() == before
    (file,) = document["files"]
    assert file["file"] == ours
    begin, column, update, _, change, table, index, block, unread = file["statements"]
    assert begin["transaction"] == column["transaction"] == update["transaction"] != change["transaction"]
    assert [lock["mode"] for lock in column["locks"]] == ["ACCESS EXCLUSIVE"]
    assert column["hold_seconds"]["high"] > change["seconds"]["low"]
    assert change["rewrites"] == ["chatbots"]
    assert {(lock["table"], lock["mode"]) for lock in table["locks"]} == {
        ("notes", "ACCESS EXCLUSIVE"),
        ("users", "SHARE ROW EXCLUSIVE"),
    }
    assert index["weight"] == "new"
    assert block["unknown"] == ["a block of code: what it runs is not known before it runs"]
    assert unread["unknown"] == ["callctl has no row for FROBNICATE in its table of locks"]
    assert document["forecast"]["lock_hold_seconds"] is None


def test_as_text_what_is_not_known_is_said(documented: str, ask: Ask, ours: str) -> None:
    code, out, err = ask("migrate", "plan", ours, "--database", documented)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith(f"file  {ours}; ")
    assert any(
        line.startswith("  all wait     add column nickname to users: ACCESS EXCLUSIVE on users; ") for line in lines
    )
    assert sum(line.startswith("  not known ") for line in lines) == 2
    assert lines[-1] == "not known 2 statements: what is locked is not known before it runs"
    assert "1 file, 9 statements; nothing was run" in err


def test_a_file_that_is_not_known_promises_no_wait_of_clients(documented: str, tmp_path: Path, ask: Ask) -> None:
    """What the statement locks is not known, so it may be what clients wait for."""
    file = tmp_path / "block.sql"
    file.write_text("DO $$ BEGIN EXECUTE 'DROP TABLE chatapp.users'; END $$;")
    code, out, _ = ask("migrate", "plan", str(file), "--database", documented)
    assert code == 0
    assert "no client waits" not in out
    assert "wait      not known: of the other statements, none takes a lock that clients wait for" in out


def test_atomic_is_one_transaction(documented: str, ask: Ask, ours: str) -> None:
    (file,) = planned(documented, ask, ours, "--atomic")["files"]
    assert {statement["transaction"] for statement in file["statements"]} == {1}


def test_a_file_that_cannot_be_read_is_refused(documented: str, ask: Ask, tmp_path: Path) -> None:
    code, _, err = ask("migrate", "plan", str(tmp_path / "no.sql"), "--database", documented)
    assert (code, "cannot read" in err) == (2, True)
    (tmp_path / "open.sql").write_text("SELECT 'not closed")
    code, _, err = ask("migrate", "plan", str(tmp_path / "open.sql"), "--database", documented)
    assert code == 2
    assert "cannot be read as SQL" in err
