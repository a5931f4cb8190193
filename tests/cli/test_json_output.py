"""What each command prints with --output json is what its published schema says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import connect
from tests.support.cli.schemas import SCHEMAS, problems
from tests.support.db import accounts
from tests.support.processes import finish, start
from tests.support.steps import LAST
from typer.main import get_command

from callctl.cli import app, run
from callctl.config.settings import Settings
from callctl.database.lock import MigrationLock
from callctl.render.documents import DEMO, DOCUMENTS, ENDS, LINES, MANIFEST, schemas

PAGE = SCHEMAS.parent / "json-output.md"
SHORT = "--sessions 2 --duration 600ms --call-time 200ms --history 20"


class Ask:
    """Run commands with --output json, and hold what they print against the schemas."""

    def __init__(self, capsys: pytest.CaptureFixture[str], url: str, *options: str) -> None:
        self._capsys = capsys
        self._options = ["--database", url, *options, "--output", "json"]
        self.documents: set[str] = set()
        self.ends: set[str] = set()

    def _run(self, command: str, *codes: int) -> str:
        assert run([*self._options, *shlex.split(command)]) in codes, self._capsys.readouterr()
        return self._capsys.readouterr().out

    def document(self, name: str, command: str, *codes: int) -> Any:
        """One document of that schema; ``codes``: how the command may end, 0 unless others are given."""
        found = json.loads(self._run(command, *(codes or (0,))))
        assert problems(found, name) == []
        assert (next(iter(found)), next(reversed(found))) == ("version", "next")
        self.documents.add(name)
        _assert_command(found["next"])
        return found

    def lines(self, command: str, code: int = 0, name: str = "lines") -> list[Any]:
        """Lines, of which the last one says how it ended."""
        lines = [json.loads(line) for line in self._run(command, code).splitlines()]
        for line in lines:
            assert problems(line, name) == []
        assert ["next" in line for line in lines] == [*[False] * (len(lines) - 1), True]
        self.ends.add(lines[-1]["event"])
        _assert_command(lines[-1]["next"])
        return lines


def _assert_command(text: str | None) -> None:
    """That ``next`` is null, or a command with options that it has."""
    if text is None:
        return
    first, *words = shlex.split(text)
    command: Any = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert first == "callctl"
    assert not hasattr(command, "commands"), text
    known = {option for parameter in command.params for option in parameter.opts} | {"--database"}
    assert {word for word in words if word.startswith("-")} <= known, text


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    for id in ("k1", "k2"):
        accounts.key_file(tmp_path, id)
    return tmp_path


def config(directory: Path, primary: str) -> str:
    ring = "".join(f"    - {{id: {id}, file: {id}}}\n" for id in ("k1", "k2"))
    (directory / f"{primary}.yaml").write_text(f"keys:\n  primary: {primary}\n  ring:\n{ring}")
    return str(directory / f"{primary}.yaml")


def test_every_command_that_the_page_lists(
    real: str, empty_database: str, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = Ask(capsys, real, "--config", config(keys, "k1"))
    (keys / "bot.ts").write_text("const isCall = bot.chatbotType === 'call';\n")
    ask.document("code-refs", f"code-refs {keys / 'bot.ts'}", 3)
    ask.document("explain", "explain")
    ask.document("doctor", "doctor")
    ask.document("config-show", "config show")
    ask.document("config-check", "config check")
    ask.document("explain", "explain server-version")
    ask.document("keys-generate", "keys generate")
    ask.document("keys-generate-out", f"keys generate --out {keys / 'k3.key'}")

    # ---- up
    assert ask.document("migrate-status", "migrate status", 3)["next"] == "callctl preflight"
    assert ask.document("preflight", "preflight")["next"] == "callctl migrate plan"
    ask.document("migrate-plan", "migrate plan")
    ask.document("migrate-plan", "migrate up --dry-run")
    with MigrationLock(Settings(database_url=real), command="migrate up"):
        ask.document("migrate-watch", "migrate watch --once")
        watch = start(real, "migrate", "watch", "--output", "json")
        assert watch.stdout is not None
        watched = [watch.stdout.readline()]
    code, out, err = finish(watch)
    assert code == 0, err
    watched += out.splitlines()
    assert [problems(json.loads(line), "lines") for line in watched] == [[]] * len(watched)
    ask.ends.add(json.loads(watched[-1])["event"])
    # On a busy machine a stage may not hold: the shape is the same.
    ask.document("migrate-rehearse", "migrate rehearse --rows 20", 0, 3)
    (keys / "our.sql").write_text("ALTER TABLE chatapp.users ADD COLUMN a integer;\nDO $$ BEGIN END $$;\n")
    ask.document("migrate-plan-files", f"migrate plan {keys / 'our.sql'}")
    assert ask.lines("migrate up --yes --to 9")[-1]["next"] == "callctl verify"
    with MigrationLock(Settings(database_url=real), command="migrate up"):
        ask.document("migrate-order", "migrate pause")
    with connect(real) as db:
        accounts.fill(db, accounts.ring_of(accounts.settings_of(real, keys, "k1")), 20, forms=("plaintext", "k1"))
        db.execute(
            "UPDATE chatapp.integration_accounts SET webhook_secret = 'x' || id,"
            " webhook_url = 'https://hooks.example/' || id"
        )
    ask.lines("migrate up --yes")
    ask.lines("migrate up --yes")
    assert ask.document("migrate-status", "migrate status")["next"] == "callctl verify"
    ask.document("migrate-plan", "migrate plan --down")
    ask.document("preflight", "preflight --down")
    assert len(ask.document("migrate-history", "migrate history")["steps"]) == LAST
    ask.document("verify", "verify", 3)
    ask.document("diff", "diff")
    ask.lines("migrate adopt --yes")
    ask.lines("migrate adopt --changed-records --yes")

    # ---- the platform's rows
    ask.document("seed-models", "seed-models --dry-run")
    ask.document("seed-models", "seed-models --yes --examples")
    (company, *_) = ask.document("companies-list", "companies list")["companies"]
    ask.document("companies-switch", f"companies enable {company['id']} --dry-run")
    ask.document("companies-switch", f"companies enable {company['id']} --yes")
    ask.document("accounts", "accounts")
    assert ask.document("log", "log")["entries"]
    ask.document("settings-init", "settings init --dry-run")
    ask.document("settings-init", "settings init --yes")
    with connect(real) as db:
        db.execute('UPDATE chatapp.chatbots SET settings = \'{"call": {"silenceTimeout": 1}}\' WHERE enabled_call')
    assert ask.document("settings-check", "settings check", 3)["offences"]

    # ---- secrets
    ask.document("secrets", "rotate-secrets --status", 3)
    ask.document("secrets", "rotate-secrets --dry-run")
    ask.lines("rotate-secrets --yes")
    later = Ask(capsys, real, "--config", config(keys, "k2"))
    assert later.lines("rotate-secrets --yes")[-1]["next"] == "callctl keys retire k1"
    later.document("keys-list", "keys list")
    later.document("webhooks-dry-run", "webhooks rotate --all --dry-run")
    file = keys / "new.jsonl"
    later.lines(f"webhooks rotate --all --to-file {file} --yes")
    later.document("secrets", "rotate-secrets --status")
    later.document("webhooks-dry-run", "webhooks restore --all --dry-run")
    later.lines("webhooks restore --all --yes")
    later.document("keys-retire", "keys retire k1 --yes")

    # ---- loadtest, backup
    database = conninfo_to_dict(real)["dbname"]
    ask.document("loadtest-dry-run", f"loadtest {SHORT} --dry-run")
    ask.lines(f"loadtest {SHORT} --limit 1min --confirm {database}")
    ask.lines("loadtest --clean --yes")
    ask.document("backup-dry-run", f"backup {keys / 'a.dump'} --dry-run")
    ask.lines(f"backup {keys / 'a.dump'}")
    manifest = json.loads((keys / "a.dump.manifest.json").read_text())
    assert problems(manifest, MANIFEST.removesuffix(".schema.json")) == []
    with connect(empty_database) as db:
        db.execute(f'ALTER DATABASE "{db.info.dbname}" RESET ALL')
    into = Ask(capsys, empty_database)
    into.document("restore-dry-run", f"restore {keys / 'a.dump'} --dry-run")
    into.lines(f"restore {keys / 'a.dump'} --yes")
    assert into.lines(f"restore {keys / 'a.dump'} --yes", 3)[-1]["event"] == "failed"

    # ---- down
    ask.document("migrate-plan", "migrate down --all --dry-run")
    ask.lines("migrate down --yes --to 12")
    ask.document("purge", f"purge --confirm-database {database}")

    seen = ask.documents | later.documents | into.documents
    assert seen == {document.name for document in DOCUMENTS} - {"sandbox"}
    names = {event for end in ENDS for event in _events(end)}
    assert ask.ends | later.ends | into.ends == names


def _events(end: Any) -> Iterator[str]:
    yield from re.findall(r"'([a-z_]+)'", str(end.__annotations__["event"]))


# ---- errors ----------------------------------------------------------------------------------------------

ERRORS = (
    # command line, exit code, code, what is in the database
    ("migrate sideways", 2, "CALLCTL-USAGE", "not touched"),
    ("preflight --sideways", 2, "CALLCTL-USAGE", "not touched"),
    ("", 2, "CALLCTL-USAGE", "not touched"),
    ("migrate up --to 99", 2, "CALLCTL-OPTION-VALUE", "not touched"),
    ("migrate down --all --to 3", 2, "CALLCTL-OPTIONS-CONFLICT", "not touched"),
    ("explain nonsense", 3, "CALLCTL-NO-SUCH-CODE", "not touched"),
    ("rotate-secrets --yes", 4, "CALLCTL-NO-KEYS", "unchanged"),
    ("verify", 3, "CALLCTL-NOTHING-TO-VERIFY", "unchanged"),
    ("migrate up", 3, "CALLCTL-CONFIRMATION-NEEDED", "unchanged"),
    ("companies enable company-1", 3, "CALLCTL-STEP-NOT-APPLIED", "unchanged"),
    ("--schema nowhere migrate status", 4, "CALLCTL-WRONG-SCHEMA", "unchanged"),
    ("migrate up --yes --to 2 --lock-wait 100ms", 5, "CALLCTL-LOCK-TIMEOUT", "unchanged"),  # no step was begun
)


@pytest.mark.parametrize(("command", "exit_code", "code", "state"), ERRORS, ids=[each[0] for each in ERRORS])
def test_an_error_is_a_line_with_its_code(
    command: str, exit_code: int, code: str, state: str, real: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(real) as db, db.transaction():
        db.execute("LOCK TABLE chatapp.users")
        assert run([*shlex.split(command), "--database", real, "--output", "json"]) == exit_code
    out, err = capsys.readouterr()
    error = json.loads(out.splitlines()[-1])
    assert problems(error, "error") == []
    assert problems(error, "lines") == []
    assert (error["code"], error["exit_code"], error["state"]["database"]) == (code, exit_code, state)
    assert (error["target"] is None) == (state == "not touched")
    if command:  # without one the help is printed
        assert err.count("callctl: error: ") == 1
        assert f"[{code}]" in next(line for line in err.splitlines() if line.startswith("callctl: error: "))
        assert " ".join(error["message"].split()) in " ".join(err.replace(f" [{code}]", "").split())


def test_an_error_of_a_step_says_how_far_it_has_come(real: str, capsys: pytest.CaptureFixture[str]) -> None:
    def state(command: str, exit_code: int) -> tuple[str, dict[str, object]]:
        assert run([*command.split(), "--yes", "--database", real, "--output", "json"]) == exit_code
        error = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert problems(error, "error") == []
        return error["code"], error["state"]

    assert run(["migrate", "up", "--to", "3", "--yes", "--database", real]) == 0
    capsys.readouterr()
    with connect(real) as db:
        with db.transaction():
            db.execute("LOCK TABLE chatapp.chatbots IN SHARE MODE")
            code, found = state("migrate up --to 4 --lock-wait 100ms", 5)
        assert (code, found) == ("CALLCTL-LOCK-TIMEOUT", {"database": "partly done", "step": None, "direction": None})
        db.execute(
            "CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
        )
        db.execute("CREATE SEQUENCE public.written")
        db.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON chatapp.chatbots FOR EACH ROW"
            " WHEN (nextval('public.written') > 5) EXECUTE FUNCTION public.no()"
        )
    code, found = state("migrate up --to 4 --batch-size 1 --batch-workers 1", 5)
    assert (code, found) == ("CALLCTL-TRIGGER-REFUSED", {"database": "partly applied", "step": 4, "direction": "up"})


def test_an_error_before_the_settings_is_json_where_the_variable_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLCTL_OUTPUT", "json")
    Path("callctl.yaml").write_text("schema: [\n")
    assert run(["migrate", "status"]) == 4
    assert json.loads(capsys.readouterr().out)["code"] == "CALLCTL-CONFIG-SYNTAX"
    monkeypatch.delenv("CALLCTL_OUTPUT")
    Path("callctl.yaml").write_text("output: json\n")
    assert run(["migrate", "status"]) == 4
    assert json.loads(capsys.readouterr().out)["code"] == "CALLCTL-NO-DATABASE"
    assert run(["migrate", "status", "--output", "text"]) == 4
    assert capsys.readouterr().out == ""


def test_an_error_in_json_has_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    key = "0123456789abcdef" * 4
    urls = ("postgresql://me:s3cret@127.0.0.1:1/platform", "host=127.0.0.1 port=1 password=s3cret", "host=db s3cret")
    for arguments in (*(["migrate", "status", "--database", url] for url in urls), ["keys", "retire", key, key]):
        assert run([*arguments, "--output", "json"]) in (2, 4)
        out, err = capsys.readouterr()
        assert problems(json.loads(out), "error") == []
        assert "s3cret" not in out + err
        assert key not in out + err


def test_the_sandbox(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLCTL_SANDBOX_DIR", str(tmp_path / "sandbox"))
    ask = Ask(capsys, "postgresql:///nowhere")
    try:
        ask.document("sandbox", "sandbox start --rows 20")
        ask.document("sandbox", "sandbox url")
        ask.document("sandbox", "sandbox reset")
    finally:
        assert run(["sandbox", "stop"]) == 0


def test_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Ask(capsys, "postgresql:///nowhere").lines("demo --rows 60", name=DEMO.removesuffix(".schema.json"))
    assert (lines[-1]["event"], lines[-1]["next"]) == (
        "story",
        "callctl sandbox start --baseline deployed --rows 60",
    )


def test_the_samples_of_the_page() -> None:
    """Also what no command of a test prints, such as a run that is at work."""
    text = PAGE.read_text(encoding="utf-8")
    sections = re.findall(r"^##+ .+?(?=^##)|^##+ .+\Z", text, re.MULTILINE | re.DOTALL)
    names = set()
    for section in sections:
        linked = re.findall(r"\(schemas/([\w-]+)\.schema\.json\)", section)
        for block in re.findall(r"^```json\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            whole = block.startswith("{\n")
            for sample in [block] if whole else block.splitlines():
                found = json.loads(sample)
                assert [] in [problems(found, name) for name in linked], sample
        names |= set(linked)
    assert {f"{name}.schema.json" for name in names} == set(schemas())


def test_what_does_not_fit_is_noticed() -> None:
    fine = {"version": 1, "deleted": [{"kind": "a", "name": "b", "rows": 1, "superseded": 0}]}
    fine |= {"target": None, "next": None}
    assert problems(fine, "purge") == []
    assert problems({**fine, "version": 2}, "purge") == ["purge.version: 2 is not 1"]
    assert problems({**fine, "more": 1}, "purge") == ["purge: more is not in the schema"]
    assert problems({key: fine[key] for key in ("version", "deleted", "target")}, "purge") == ["purge: next is missing"]
    assert problems({**fine, "deleted": [{"kind": 1}]}, "purge")
    assert problems({"version": 1, "event": "notice", "text": 5}, LINES.removesuffix(".schema.json"))


def test_no_command_pays_for_the_shapes() -> None:
    """They need every room: the modules of commands and answers name them for mypy alone."""
    code = (
        "import importlib, pkgutil, sys; import callctl.cli, callctl.render\n"
        "for room in (callctl.cli, callctl.render):\n"
        "    for module in pkgutil.iter_modules(room.__path__, room.__name__ + '.'):\n"
        "        if module.name != 'callctl.render.documents': importlib.import_module(module.name)\n"
        "sys.exit('callctl.render.documents' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
