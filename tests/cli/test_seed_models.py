"""seed-models at the terminal: questions, warnings, exit codes, JSON; and that no secret is to be seen."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.cli.test_commands import ask  # noqa: F401 - a fixture
from tests.conftest import connect
from tests.support.db import accounts

from callctl.config.settings import Settings
from callctl.database.actions import actions
from callctl.migration import migrate

Ask: TypeAlias = Callable[..., tuple[int, str, str]]

OURS = """models:
  - key: our-voice-1
    provider: google
    type: call
    display_name: Our voice
    supports_audio: true
    input_price_usd_per_million_tokens: "0.30"
    output_price_usd_per_million_tokens: "2.5"
"""


@pytest.fixture
def url(real: str) -> str:
    """A migrated database that is no sandbox."""
    migrate.up(Settings(database_url=real))
    return real


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a catalogue."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "our.yaml").write_text(OURS, encoding="utf-8")
    return tmp_path


def count(url: str) -> int:
    with connect(url) as db:
        row = db.execute("SELECT count(*) FROM chatapp.ai_models").fetchone()
        assert row is not None
        return int(row[0])


def beside_target(err: str) -> list[str]:
    """What stderr says behind the line that names the target."""
    target, *rest = err.splitlines()
    assert target.startswith("callctl: target: ")
    return rest


def on_a_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """Run with a terminal, and type one line at the first question; the exit code, and all that was to be seen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "callctl", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    os.write(ours, answer.encode() + b"\n")
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # the terminal is gone with the process
        pass
    os.close(ours)
    return process.wait(timeout=60), seen.decode()


def test_an_operators_catalogue(url: str, directory: Path, ask: Ask) -> None:  # noqa: F811
    before = count(url)
    dry = ask(url, "seed-models", "--catalog", "our.yaml", "--dry-run")
    assert dry[:2] == (
        0,
        "model         provider   type\n"
        "our-voice-1   google     call   to insert\n\n"
        "1 model of our.yaml: 1 to insert, 0 to update, 0 unchanged; nothing was written\n",
    )
    assert beside_target(dry[2]) == []
    code, out, err = ask(url, "seed-models", "--catalog", "our.yaml")
    assert (code, out) == (3, "")
    assert "confirmation needed, but this is not a terminal; nothing was changed" in err
    assert count(url) == before
    code, out, err = ask(url, "seed-models", "--catalog", "our.yaml", "--yes")
    assert (code, beside_target(err)) == (0, [])
    assert out.splitlines()[-1] == "1 model of our.yaml: 1 inserted, 0 updated, 0 unchanged"
    with connect(url) as db:
        db.execute(
            "UPDATE chatapp.ai_models SET input_cost_per_token = 0.0000005, display_name = E'\\x1b[2J'"
            " WHERE model_name = 'our-voice-1'"
        )
        (action,) = actions(db)
        assert (action.command, action.detail["catalogue"]) == ("seed-models", "our.yaml")
    # A difference that is kept is told, and is no failure; there is nothing to ask for either.
    code, out, err = ask(url, "seed-models", "--catalog", "our.yaml")
    assert code == 0
    assert "our-voice-1   input_price_usd_per_million_tokens   0.5               0.30             kept" in out
    assert "\x1b" not in out
    assert beside_target(err) == [
        "2 fields kept as the database has them; callctl seed-models --overwrite takes the catalog's"
    ]
    code, out, err = ask(url, "seed-models", "--catalog", "our.yaml", "--overwrite", "--yes", "--output", "json")
    assert (code, beside_target(err)) == (0, [])
    found = json.loads(out)
    assert found.pop("target")["schema"] == "chatapp"
    (model,) = found.pop("models")
    assert found == {
        "version": 1,
        "next": None,
        "catalogue": "our.yaml",
        "dry_run": False,
        "accounts": None,
        "warnings": [],
        "withheld_models": [],
    }
    assert (model["outcome"], len(model["differences"])) == ("update", 2)
    assert model["differences"][1] == {
        "field": "input_price_usd_per_million_tokens", "here": "0.5", "catalogue": "0.30", "written": True
    }  # fmt: skip


def test_the_contradictions_are_warned_of_on_every_run(url: str, ask: Ask) -> None:  # noqa: F811
    for arguments in (("seed-models",), ("seed-models", "--dry-run"), ("seed-models", "--output", "json")):
        code, out, err = ask(url, *arguments)
        assert code == 0
        assert err.count("callctl: warning: model gemini-2.0-flash-exp: ") == 2
        assert "says 0.075: ask the provider which is right" in err
    assert len(json.loads(out)["warnings"]) == 2
    assert beside_target(ask(url, "seed-models", "--examples", "--dry-run")[2]) == []


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (("google", "gogle"), 4, "our.yaml: model our-voice-1: provider: input should be 'openai', 'google' or"),
        (('"0.30"', "0.30"), 4, "our.yaml: model our-voice-1: input_price_usd_per_million_tokens: the price is not a"),
        (('"0.30"', '"0.0000001"'), 3, "input_price_usd_per_million_tokens: column input_cost_per_token stores 12"),
        (("models:", "models: ["), 4, "our.yaml:2:3: not YAML: "),
    ],
)  # fmt: skip
def test_a_catalogue_that_is_wrong(
    change: tuple[str, str], code: int, said: str, documented: str, directory: Path, ask: Ask  # noqa: F811
) -> None:  # fmt: skip
    if code == 3:
        migrate.up(Settings(database_url=documented))
    before = count(documented)
    (directory / "our.yaml").write_text(OURS.replace(*change), encoding="utf-8")
    found, out, err = ask(documented, "seed-models", "--catalog", "our.yaml")
    assert (found, out) == (code, "")
    assert said in err
    assert err.splitlines()[-1].startswith("callctl: hint: ")
    assert "nothing was written" in err
    assert count(documented) == before


def test_before_the_migration(documented: str, ask: Ask) -> None:  # noqa: F811
    code, out, err = ask(documented, "seed-models")
    assert (code, out) == (3, "")
    assert "step 13 is not applied" in err
    assert "callctl migrate up" in err


def test_development_accounts(url: str, directory: Path, ask: Ask) -> None:  # noqa: F811
    def left() -> Any:
        with connect(url) as db:
            return db.execute("SELECT count(*) FROM chatapp.integration_accounts").fetchone()

    with connect(url) as db:
        name = db.info.dbname
    command = ("seed-models", "--dev-accounts")
    code, _, err = ask(url, *command, "--yes", "--environment", "development")
    assert code == 3
    assert "this database is not marked as a development database; its environment is development" in err
    assert "an option or a variable does not count" in err
    (directory / "callctl.yaml").write_text("environment: development\n")
    code, _, err = ask(url, *command, "--yes", "--development-database", name)
    assert code == 4
    assert "callctl.yaml names no keys" in err
    key = accounts.key_file(directory, "k1")
    (directory / "callctl.yaml").write_text(
        f"environment: development\nkeys:\n  primary: k1\n  ring:\n    - {{id: k1, file: {key}}}\n"
    )
    code, _, err = ask(url, *command, "--yes")
    assert code == 3
    assert f"add --development-database {name}" in err
    code, _, err = ask(url, *command, "--yes", "--development-database", "platform")
    assert code == 3
    assert "this database is not called 'platform'" in err
    code, _, err = ask(url, *command, "--development-database", name)
    assert code == 3
    assert "add --yes" in err
    code, out, _ = ask(url, *command, "--dry-run")
    assert code == 0
    assert "2 development accounts to insert; nothing was written" in out
    code, seen = on_a_terminal("platform", "--database", url, *command)
    assert code == 3
    assert "type the name of the database that they are to go into: " in seen
    assert left() == (0,)
    code, seen = on_a_terminal(name, "--database", url, *command)
    assert code == 0, seen
    assert "2 development accounts inserted" in seen
    assert left() == (2,)
    code, out, err = ask(url, *command, "--yes", "--development-database", name, "--output", "json")
    assert code == 0
    assert [each["outcome"] for each in json.loads(out)["accounts"]] == ["unchanged", "unchanged"]
    assert "test_auth" not in seen + out + err
