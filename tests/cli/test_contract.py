"""What holds for every command: help, streams, exit codes, hints. No server needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from tests.support.cli.commands import WRITERS, commands
from tests.support.steps import LAST

from callctl import __version__
from callctl.cli import common, globals_first, run
from callctl.config.settings import Output
from callctl.errors import CallctlError, Code, UsageError

COMMANDS = tuple(sorted(commands()))
GROUPS = tuple(sorted({words.rpartition(" ")[0] for words in COMMANDS}))  # and, as "", callctl itself
# A row in callctl's schema needs no yes: that of a backup, and an order.
NEEDS_NO_YES = {"backup", "migrate pause", "migrate resume", "migrate slower", "migrate faster"}
WRITES = tuple(sorted(WRITERS - NEEDS_NO_YES))
TARGETS = {
    "migrate down": ["--all"],
    "keys retire": ["k1"],
    "webhooks rotate": ["--all", "--to-file", "/tmp/x.jsonl"],
    "webhooks restore": ["--all"],
    "companies enable": ["acme"],
    "companies disable": ["acme"],
    "backup": ["/tmp/x.dump"],
    "restore": ["/tmp/x.dump"],
}
NEEDS_NO_DATABASE = ("demo", "sandbox", "code-refs", "keys generate", "explain", "config", "doctor")
ASKS_THE_DATABASE = tuple(command for command in COMMANDS if not command.startswith(NEEDS_NO_DATABASE))


def callctl(*arguments: str, directory: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run callctl as a person would, with nothing on stdin."""
    return subprocess.run(
        [sys.executable, "-m", "callctl", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=directory,
        env={**os.environ, **environ},
        timeout=120,
    )


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Run in this process; what stood on stderr, which must be an error and a hint, and stdout empty but for JSON."""
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == "" or ("json" in arguments and json.loads(captured.out)["event"] == "failed")
    first, *_ = captured.err.splitlines()
    assert first.startswith("callctl: error: ")
    assert not re.match(r"callctl: error: [A-Z][a-z]", first)
    assert "\ncallctl: hint: " in captured.err
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize("command", [*GROUPS, *COMMANDS])
def test_help_goes_to_stdout(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"Usage: callctl {command}".rstrip())
    assert captured.err == ""
    assert max(len(line) for line in captured.out.splitlines()) <= 110


@pytest.mark.parametrize("command", WRITES)
def test_every_command_that_writes_takes_yes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run([*command.split(), "--help"])
    assert "--yes" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"callctl {__version__}\n"


def test_help_pays_for_no_late_import() -> None:
    """psycopg and the like come when a command needs them, not when somebody asks for help."""
    slow = ("psycopg", "sqlglot", "rich", "yaml", "pydantic", "cryptography", "callctl.config.settings")
    code = (
        "import sys; from callctl.cli import run; code = run(['--help']);"
        f"print([name for name in {slow!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: callctl" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("nonsense", "no such command 'nonsense'"),
        ("migrate sideways", "no such command 'sideways'"),
        ("preflight --nonsense", "no such option: --nonsense"),
        ("preflight extra", "got unexpected extra argument"),
        ("verify --junit", "requires an argument"),
        ("--schema", "--schema needs a value"),
        ("preflight --database --yes", "--database needs a value"),
        ("migrate down", "down needs --to N or --all"),
        ("migrate plan --down --defer-drops", "--defer-drops applies to migrate up only"),
        ("migrate plan our.sql --down", "a file is planned by itself"),
        ("migrate plan --sql --output json", "--sql prints SQL, and --output json another format"),
        ("migrate down --all --defer-drops", "no such option: --defer-drops"),
        ("migrate down --all --to 3", "--to N and --all contradict each other"),
        (f"migrate down --to {LAST + 1}", f"--to is not a step: '{LAST + 1}'"),
        ("migrate down --to -1", "--to is not a step: '-1'"),
        ("migrate up --to 0", "--to is not a step: '0'"),
        ("migrate up --to four", "--to is not a step: 'four'"),
        ("migrate plan --to 99999999999999999999", "--to is not a step"),
        ("migrate up --lock-timeout 5", "--lock-timeout is not a duration: '5'"),
        ("migrate up --batch-size 0", "--batch-size is not a whole number from 1 to 100000: '0'"),
        ("migrate status --output xml", f"--output is not one of {', '.join(get_args(Output))}: 'xml'"),
        ("preflight --backup-taken-at yesterday", "--backup-taken-at is not a time: 'yesterday'"),
        ("preflight --backup-taken-at 2999-01-01T00:00:00Z", "--backup-taken-at is in the future"),
        ("--schema pg_catalog migrate status", "--schema names a schema that cannot hold the platform"),
        ("--config /no/such/file.yaml migrate status", "--config: no such file: /no/such/file.yaml"),
        ("seed-models --catalog /no/such.yaml", "--catalog: no such file: /no/such.yaml"),
        ("seed-models --catalog a --examples", "--catalog and --examples exclude each other"),
        ("seed-models --development-database a", "--development-database needs --dev-accounts"),
        ("companies enable", "no company given"),
        ("companies disable --file /no/such/file", "cannot read /no/such/file: no such file or directory"),
        ("verify --junit /no/such/directory/report.xml", "cannot write /no/such/directory/report.xml"),
    ],
)
def test_usage_errors(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in said(capsys, 2, *arguments.split())


def test_no_command_shows_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["migrate"]):
        assert run(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("Usage: callctl")


@pytest.mark.parametrize("command", ASKS_THE_DATABASE)
def test_a_file_that_is_not_yaml(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "callctl.yaml").write_text("schema: chatapp\nlock_timeout: [2s\n")
    target = TARGETS.get(command, [])
    error = said(capsys, 4, *command.split(), *target)
    assert "callctl.yaml:3:1: not YAML" in error


def test_an_environment_variable_that_does_not_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLCTL_OUTPUT", "html")
    assert f"CALLCTL_OUTPUT is not one of {', '.join(get_args(Output))}" in said(capsys, 4, "migrate", "status")


@pytest.mark.parametrize("command", ASKS_THE_DATABASE)
def test_a_server_that_is_not_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = TARGETS.get(command, [])
    url = "postgresql://me:s3cret@127.0.0.1:1/platform"
    assert run([*command.split(), *target, "--database", url]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    warning, error, hint = captured.err.splitlines()
    assert warning.startswith("callctl: warning: every user of this machine can read the password")
    assert error.startswith("callctl: error: cannot connect to the database: ")
    assert hint.startswith("callctl: hint: ")
    assert "s3cret" not in captured.err


def test_a_connection_string_is_never_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "status", "--database", "host=db password=one s3cret"]) == 4
    assert "s3cret" not in capsys.readouterr().err


def test_what_escapes_is_a_bug_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a\nb")

    monkeypatch.setattr(common, "settings", broken)
    error = said(capsys, 1, "migrate", "status")
    assert "internal error: KeyError: " in error
    assert "CALLCTL_DEBUG=1" in error
    monkeypatch.setenv("CALLCTL_DEBUG", "1")
    assert run(["migrate", "status"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(common, "settings", interrupted)
    assert run(["migrate", "status"]) == 130
    assert capsys.readouterr().err == "callctl: error: interrupted [CALLCTL-INTERRUPTED]\n"


@pytest.mark.parametrize("kind", CallctlError.__subclasses__())
def test_each_error_has_its_exit_code(
    kind: type[CallctlError], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: object, **__: object) -> None:
        raise kind(Code.SERVER_ERROR, "it went wrong", hint="do this")

    monkeypatch.setattr(common, "settings", raising)
    assert run(["verify"]) == kind.exit_code
    assert capsys.readouterr().err == "callctl: error: it went wrong [CALLCTL-SERVER-ERROR]\ncallctl: hint: do this\n"


def test_global_options_stand_anywhere() -> None:
    assert globals_first(["migrate", "up", "--output", "json", "--yes", "--schema=x"]) == [
        "--output",
        "json",
        "--schema=x",
        "migrate",
        "up",
        "--yes",
    ]
    assert globals_first(["verify", "--", "--output", "json"]) == ["verify", "--", "--output", "json"]
    with pytest.raises(UsageError):
        globals_first(["verify", "--output"])


def test_a_reader_who_leaves_is_no_error() -> None:
    code = f"'{sys.executable}' -m callctl migrate --help | head -c 1 >/dev/null"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_it_runs_as_a_module_from_anywhere(tmp_path: Path) -> None:
    done = callctl("--version", directory=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"callctl {__version__}\n", "")


@pytest.mark.parametrize("debug", ["", "1"])
def test_what_fails_while_it_is_thrown_away_is_a_developers(debug: str) -> None:
    """As psycopg's pipeline does that Ctrl-C has interrupted twice."""
    code = (
        "import atexit, callctl.cli\n"
        "def interrupted():\n"
        "    try: yield\n"
        "    finally: raise OSError('the connection is gone')\n"
        "left = interrupted(); next(left)\n"
        "atexit.register(lambda: globals().pop('left'))\n"
        "callctl.cli.main(['--version'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CALLCTL_DEBUG": debug},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert ("the connection is gone" in done.stderr) == bool(debug)
    assert bool(done.stderr) == bool(debug)
