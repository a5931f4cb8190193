"""The target is always named: before anything else, in each result, in a failure, and by hand where it counts most."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from tests.conftest import MakeDatabase, connect
from tests.support.cli.commands import WRITERS, commands
from tests.support.db import accounts

from callctl.cli import common, run
from callctl.config import settings as config
from callctl.config.database_url import Target
from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.database import store
from callctl.errors import ConnectionFailed
from callctl.migration import migrate
from callctl.render import console as render

Run: TypeAlias = Callable[..., tuple[int, str, str]]

SECRET = "s3cret-horse"
SHORT = "--sessions 2 --duration 300ms --call-time 100ms --history 0 --limit 1min"
# How each command that connects is run here, one line a run; each must end with 0 or 3. {name} is the database's.
RUNS = {
    "preflight": ["", "--down"],
    "migrate status": [""],
    "migrate plan": ["", "--down"],
    "migrate rehearse": ["--rows 20"],
    "migrate up": ["", "--dry-run", "--yes"],
    "migrate watch": ["--once"],
    "migrate pause": [""],
    "migrate resume": [""],
    "migrate slower": [""],
    "migrate faster": [""],
    "migrate history": [""],
    "log": [""],
    "doctor": [""],
    "migrate adopt": ["", "--yes"],
    "verify": ["--fast"],
    "diff": [""],
    "companies list": [""],
    "companies enable": ["company-1", "company-1 --dry-run", "company-1 --yes", "nowhere --yes"],
    "companies disable": ["company-1", "company-1 --dry-run", "company-1 --yes"],
    "settings check": [""],
    "settings init": ["", "--dry-run", "--yes"],
    "accounts": ["", "--problems"],
    "seed-models": ["", "--dry-run", "--yes", "--examples --yes", "--dev-accounts --yes"],
    "rotate-secrets": [
        "",
        "--status",
        "--dry-run",
        "--yes",
        "--workers 2 --yes",
        "--webhook-secrets --all --dry-run",
        "--webhook-secrets --all --to-file {new} --yes",
        "--webhook-secrets --all --put-back --yes",
    ],
    "webhooks rotate": ["--all --dry-run", "--all --to-file {new}", "--all --to-file {new} --yes"],
    "webhooks restore": ["--all --dry-run", "--all --yes"],
    "keys list": [""],
    "keys retire": ["k1", "k2 --yes"],
    "loadtest": ["", "--dry-run", f"{SHORT} --confirm {{name}}", "--clean", "--clean --yes"],
    "backup": ["{new} --dry-run", "{new}", "{old}"],
    "restore": ["{old}", "{old} --dry-run", "{old} --yes"],
    "migrate down": ["--to 12", "--to 12 --dry-run", "--to 12 --yes", "--all --yes --confirm-database nowhere"],
    "purge": ["", "--yes", "--confirm-database nowhere", "--confirm-database {name}"],
}
# They look at no database of the operator's: a PostgreSQL of callctl's own, a source tree, nothing.
OFFLINE = {
    "demo": None,
    "sandbox start": None,
    "sandbox reset": "",
    "sandbox stop": "",
    "sandbox url": "",
    "sandbox psql": None,
    "code-refs": "{tree}",
    "keys generate": "",
    "explain": "",
    "config show": "",
    "config check": "--config tree/callctl.yaml",
}


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line: its exit code, stdout and stderr. The secret of the URL is in neither."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        assert SECRET not in captured.out + captured.err
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


def with_secrets(url: str) -> str:
    """A server that trusts its clients takes any password, and no TLS key is asked for."""
    assert ":///" in url
    return f"{url.replace(':///', f'://postgres:{SECRET}@/')}&sslpassword={SECRET}"


def name_of(url: str) -> str:
    with connect(url) as connection:
        return connection.info.dbname


class Typed(io.StringIO):
    """A terminal, and what is typed at it."""

    def isatty(self) -> bool:
        return True


def type_(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", Typed(text))


# ---- the first line ------------------------------------------------------------------------------------


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows with each connection that callctl opens."""
    opened: list[object] = []
    really = psycopg.connect

    def spy(*arguments: Any, **options: Any) -> Any:
        opened.append(arguments)
        return really(*arguments, **options)

    monkeypatch.setattr(psycopg, "connect", spy)
    return opened


@pytest.mark.parametrize("output", ["text", "json"])
def test_every_command_that_connects_names_its_target_first(
    output: str,
    real: str,
    database: MakeDatabase,
    tmp_path: Path,
    ask: Run,
    connections: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert commands() == set(RUNS) | set(OFFLINE)
    monkeypatch.chdir(tmp_path)
    for id in ("k1", "k2"):
        accounts.key_file(tmp_path, id)
    Path("callctl.yaml").write_text(
        "environment: staging\nkeys: {primary: k2, ring: [{id: k2, file: k2}, {id: k1, file: k1, legacy: true}]}\n"
    )
    Path("tree").mkdir()
    Path("tree/callctl.yaml").write_text("schema: chatapp\n")
    empty = database(None)
    for number, (command, line) in enumerate((each, line) for each, lines in RUNS.items() for line in lines):
        url = empty if command == "restore" else real
        name, place = name_of(url), {"new": f"new-{number}", "old": "old.dump", "name": name_of(url)}
        if line == "{old}" and command == "backup":
            Path("old.dump").unlink(missing_ok=True)
        connections.clear()
        monkeypatch.setattr(common._Work, "answers", False)
        code, out, err = ask(
            *command.split(), *line.format(**place).split(), "--database", with_secrets(url), "--output", output
        )
        said = f"callctl {command} {line}: {code}\n{out}{err}"
        assert code in (0, 3), said
        assert connections, said
        assert command in WRITERS or common.answers_only(), (
            f"callctl {command} neither is among WRITERS nor answers only"
        )
        first, second, *rest = err.splitlines()
        assert first.startswith(f"callctl: target: {name} on /"), said
        assert re.search(r" as postgres, PostgreSQL [\d.]+, environment staging, schema chatapp$", first), said
        assert second.startswith("callctl: warning: every user of this machine can read the password in --database"), (
            said
        )
        assert not any(each.startswith("callctl: target: ") for each in rest), said
        if output == "json" and out:
            documents = [json.loads(out)] if out.startswith(("{\n", "[")) else [json.loads(x) for x in out.splitlines()]
            if command in WRITERS and "--dry-run" not in line and "--status" not in line:
                found = documents[-1]["target"]
                assert (found["database"], found["role"], found["schema"]) == (name, "postgres", "chatapp"), said
                assert (found["environment"], found["port"] > 0, found["host"][0]) == ("staging", True, "/"), said
    for command, line_ in OFFLINE.items():
        connections.clear()
        if (
            line_ is None
        ):  # a server of its own, which takes a while: tests/cli/test_demo.py, tests/db/sandbox/test_sandbox.py
            continue
        monkeypatch.setenv("CALLCTL_SANDBOX_DIR", str(tmp_path / "sandbox"))
        _, out, err = ask(*command.split(), *line_.format(tree="tree").split(), "--database", with_secrets(real))
        assert (connections, "callctl: target: " in out + err) == ([], False), command
        if command not in ("explain", "config check"):  # they load no settings
            assert err.startswith("callctl: warning: every user of this machine can read the password in --database"), (
                command
            )


def test_what_is_not_set_is_said_and_names_are_the_servers(real: str, ask: Run) -> None:
    with connect(real) as connection:
        connection.execute(f"ALTER ROLE postgres IN DATABASE {connection.info.dbname} SET role = 'pg_monitor'")
        try:
            _, _, err = ask("migrate", "history", "--database", real)
        finally:
            connection.execute(f"ALTER ROLE postgres IN DATABASE {connection.info.dbname} RESET role")
    assert " as pg_monitor, " in err.splitlines()[0]
    assert ", environment not set, schema chatapp" in err.splitlines()[0]


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal_gets_it_folded(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target("platform", "db.example", 5432, "migrator", "18.0", "staging", "chatapp")
    line = (
        "callctl: target: platform on db.example:5432 as migrator, PostgreSQL 18.0, environment staging, schema chatapp"
    )
    render.target(target)
    assert capsys.readouterr().err == line + "\n"
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    render.target(target)
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) <= columns
    assert " ".join(each.strip() for each in lines) == line


def test_no_name_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    render.target(Target("a\x1b[2Jb", "::1", 5432, "me\nyou", "18.0", "x\ry", "chatapp"))
    err = capsys.readouterr().err
    assert err == "callctl: target: a�[2Jb on [::1]:5432 as me�you, PostgreSQL 18.0, environment x�y, schema chatapp\n"


# ---- the result ----------------------------------------------------------------------------------------


def test_a_result_says_where_if_something_was_written(real: str, ask: Run) -> None:
    name = name_of(real)
    where = re.compile(rf"^(\w+ \w+) {name} on /\S+:\d+, schema chatapp$")

    def said(*arguments: str) -> list[str]:
        code, out, err = ask(*arguments, "--database", real)
        assert code == 0, err
        return [found[1] for found in map(where.match, out.splitlines()) if found]

    assert said("migrate", "up", "--yes") == ["written to"]
    assert said("migrate", "up", "--yes") == []
    assert said("companies", "enable", "company-1", "--yes") == ["written to"]
    assert said("companies", "enable", "company-1", "--yes") == []
    assert said("seed-models", "--examples", "--dry-run") == []
    assert said("seed-models", "--examples", "--yes") == ["written to"]
    assert said("migrate", "down", "--to", "12", "--yes") == ["written to"]
    assert said("purge", "--confirm-database", name) == ["deleted from"]
    assert said("purge", "--confirm-database", name) == []


# ---- a connection that fails ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"postgresql://me:{SECRET}@127.0.0.1:1/platform", "platform on 127.0.0.1:1 as me"),
        (f"postgresql://me:{SECRET}@[::1]:1/platform", "platform on [::1]:1 as me"),
        (f"host=127.0.0.1 port=1 user=me password={SECRET}", "me on 127.0.0.1:1 as me"),
        (f"postgresql://me:{SECRET}@127.0.0.1:1,127.0.0.2:2/x", "x on 127.0.0.1:1, 127.0.0.2:2 as me"),
        ("postgresql://me@/platform?host=/nowhere&port=5433", "platform on /nowhere:5433 as me"),
        (f"host=me:{SECRET}@127.0.0.1 dbname=platform user=me port=1", "platform on ***@127.0.0.1:1 as me"),
    ],
)
@pytest.mark.parametrize("command", ["preflight", "migrate up --yes --output json", "backup x.dump"])
def test_a_failure_names_what_was_asked_for(command: str, url: str, place: str, ask: Run) -> None:
    code, out, err = ask(*command.split(), "--database", url)
    assert code == 4
    error = next(line for line in err.splitlines() if line.startswith("callctl: error: "))
    assert error.endswith(f" (database {place}) [CALLCTL-CANNOT-CONNECT]")
    assert "callctl: target: " not in err
    if "json" in command:
        failed = json.loads(out)
        assert (failed["exit_code"], failed["target"]) == (4, None)
        assert place in failed["message"]


def test_so_does_a_service_file_and_so_do_variables(tmp_path: Path, ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "services"
    file.write_text(f"[night]\nhost=127.0.0.1\nport=1\ndbname=platform\nuser=me\npassword={SECRET}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    for arguments in (["--database", "service=night"], []):
        if not arguments:
            monkeypatch.setenv("PGSERVICE", "night")
        code, _, err = ask("preflight", *arguments)
        assert code == 4
        assert "(database platform on 127.0.0.1:1 as me) [CALLCTL-CANNOT-CONNECT]\n" in err
    assert "hint: check the address, which comes from PGSERVICE" in err


def test_so_does_a_server_that_does_not_answer_in_time() -> None:
    """psycopg's error of a timeout knows no address; libpq is asked what it makes of it."""
    settings = Settings(database_url=f"postgresql://me:{SECRET}@127.0.0.1:1/platform", database_source="--database")
    found = database._unreachable(psycopg.errors.ConnectionTimeout("connection timeout expired"), settings)
    assert isinstance(found, ConnectionFailed)
    assert found.message == (
        "cannot connect to the database: connection timeout expired (database platform on 127.0.0.1:1 as me)"
    )


# ---- no database given ---------------------------------------------------------------------------------

ADDRESS = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER")


def test_no_database_is_given_only_where_nothing_names_one(
    real: str, tmp_path: Path, ask: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*ADDRESS, "PGSERVICEFILE", "CALLCTL_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def nothing_given(*arguments: str) -> bool:
        code, _, err = ask("migrate", "history", *arguments)
        assert (code == 4) == ("error: no database given [CALLCTL-NO-DATABASE]\n" in err), err
        return code == 4

    assert nothing_given()
    with connect(real) as connection:
        info = connection.info
        address = {"PGHOST": info.host, "PGPORT": str(info.port), "PGDATABASE": info.dbname, "PGUSER": info.user}
    # Each place that may name one, alone.
    assert not nothing_given("--database", real)
    for variable in ("CALLCTL_DATABASE_URL", "DATABASE_URL"):
        with monkeypatch.context() as here:
            here.setenv(variable, real)
            assert not nothing_given()
    Path("callctl.yaml").write_text(f"database: {real}\n")
    assert not nothing_given()
    Path("callctl.yaml").unlink()
    with monkeypatch.context() as here:
        for name, value in address.items():
            here.setenv(name, value)
        assert not nothing_given()
    services = tmp_path / "services"
    lines = [f"{key}={address[name]}" for key, name in
             (("host", "PGHOST"), ("port", "PGPORT"), ("dbname", "PGDATABASE"), ("user", "PGUSER"))]  # fmt: skip
    services.write_text("\n".join(["[night]", *lines, ""]))
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    code, _, err = ask("migrate", "history")
    assert (code, "set PGSERVICE to a service" in err) == (4, True)
    assert not nothing_given("--database", "service=night")
    monkeypatch.setenv("PGSERVICE", "night")
    assert not nothing_given()


@pytest.mark.parametrize("name", ADDRESS)
def test_one_variable_of_libpqs_is_enough(name: str, ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing beside it has libpq's default; the failure says which database that makes."""
    monkeypatch.setenv("PGSERVICEFILE", os.devnull)
    value = {"PGHOST": "/nowhere", "PGHOSTADDR": "127.0.0.1", "PGPORT": "1"}.get(name, "night")
    monkeypatch.setenv(name, value)
    if name != "PGPORT":
        monkeypatch.setenv("PGPORT", "1")
    code, _, err = ask("migrate", "status")
    assert (code, "no database given" in err) == (4, False)
    monkeypatch.setenv(name, "")
    monkeypatch.setenv("PGPORT", "")
    code, _, err = ask("migrate", "status")
    assert (code, "no database given" in err) == (4, True)


@pytest.mark.parametrize("command", ["preflight", "migrate up --yes", "purge", "backup x.dump", "accounts"])
def test_every_kind_of_command_says_so(command: str, ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ADDRESS, "PGSERVICEFILE"):
        monkeypatch.delenv(name, raising=False)
    assert ask(*command.split()) == (
        4,
        "",
        "callctl: error: no database given [CALLCTL-NO-DATABASE]\n"
        "callctl: hint: set CALLCTL_DATABASE_URL, or give --database URL, or set PGSERVICE, or PGHOST "
        "and PGDATABASE\n",
    )


# ---- the name, typed -----------------------------------------------------------------------------------


@pytest.fixture
def purgeable(real: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A migrated database that is no sandbox: there is something saved. It is the one that is meant."""
    migrate.up(Settings(database_url=real))
    monkeypatch.setenv("CALLCTL_DATABASE_URL", real)
    return real


def state(url: str) -> tuple[int, list[int]]:
    """The number of rows saved, and the steps that are applied."""
    with connect(url) as connection:
        steps = connection.execute("SELECT step FROM callctl.history ORDER BY id").fetchall()
        return sum(each.rows for each in store.saved_summary(connection)), [row[0] for row in steps]


# What wants the name, in which environment.
BY_NAME = {
    "purge": ("purge", None),
    "purge in production": ("purge", "production"),
    "down in production": ("migrate down --to 12", "production"),
    "down in Prod": ("migrate down --to 12", "Prod"),
}


@pytest.mark.parametrize("case", BY_NAME)
@pytest.mark.parametrize("output", ["text", "json"])
def test_yes_and_a_pipe_are_no_name(
    case: str, output: str, purgeable: str, ask: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, environment = BY_NAME[case]
    if environment is not None:
        monkeypatch.setenv("CALLCTL_ENVIRONMENT", environment)
    name, before = name_of(purgeable), state(purgeable)
    refused = [[], ["--yes"], ["-y"]]
    wrong = [["--confirm-database", each] for each in ("nowhere", "", f"{name} ", name.upper())]
    for options in [*refused, *wrong, *([*each, "--yes"] for each in wrong)]:
        code, out, err = ask(*command.split(), *options, "--output", output)
        assert code == 3, options
        assert re.search(r"nothing was changed \[CALLCTL-[A-Z-]+\]\n", err)
        if options in refused:
            assert f"callctl {command.removesuffix(' --to 12')}" in err
            assert "hint: add --confirm-database NAME" in err
        else:
            assert f"but this is database '{name}'" in err
        assert out == "" or json.loads(out)["target"]["database"] == name
        assert state(purgeable) == before
    code, _, err = ask(*command.split(), "--confirm-database", name, "--output", output)
    assert code == 0, err
    assert state(purgeable) != before


@pytest.mark.parametrize("case", BY_NAME)
def test_a_terminal_has_it_typed(case: str, purgeable: str, ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    command, environment = BY_NAME[case]
    if environment is not None:
        monkeypatch.setenv("CALLCTL_ENVIRONMENT", environment)
    name, before = name_of(purgeable), state(purgeable)
    for answer in ("y", "yes", "", f"{SECRET}x"):
        type_(monkeypatch, f"{answer}\n")
        code, out, err = ask(*command.split())
        assert (code, out) == (3, "")
        assert f"of {name} on /" in " ".join(err.split())  # folded, as on a terminal
        assert "Type the name of the database to continue: " in err
        assert state(purgeable) == before
    # --yes answers no question here.
    type_(monkeypatch, f"{name}\n")
    code, _, err = ask(*command.split(), "--yes")
    assert (code, "hint: add --confirm-database NAME" in err) == (3, True)
    code, _, err = ask(*command.split())
    assert code == 0, err
    assert state(purgeable) != before


def test_elsewhere_yes_is_enough(documented: str, ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A down outside of production, and a purge in a sandbox. A name that is given is looked at all the same."""
    migrate.up(Settings(database_url=documented))
    monkeypatch.setenv("CALLCTL_DATABASE_URL", documented)
    monkeypatch.setenv("CALLCTL_ENVIRONMENT", "staging")
    name, before = name_of(documented), state(documented)
    for command in ("migrate down --to 12", "migrate down --to 12 --dry-run", "purge"):
        code, _, err = ask(*command.split(), "--yes", "--confirm-database", "nowhere")
        assert (code, f"this is database '{name}'" in err) == (3, True)
    assert state(documented) == before
    assert ask("migrate", "down", "--to", "12", "--yes")[0] == 0
    assert ask("purge", "--yes")[0] == 0
    assert state(documented)[0] == 0
    # Whoever says that it is production gets the guard of production, in a sandbox as well.
    for command in ("migrate down --all", "purge"):
        assert ask(*command.split(), "--yes", "--environment", "production")[0] == 3


@pytest.mark.parametrize("name", ["Night Shift", "häuser", 'a"b', "x;y"])
def test_a_name_of_any_kind_can_be_given(name: str, real: str, ask: Run) -> None:
    host = real.partition("?")[2]
    with connect(real) as connection:
        old = connection.info.dbname
    with connect(f"postgresql://postgres@/postgres?{host}") as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(old)))
        try:
            url = f"postgresql://postgres@/{quote(name)}?{host}"
            code, out, err = ask("purge", "--confirm-database", name, "--database", url)
            assert (code, out) == (0, "nothing is saved\n"), err
            assert err.startswith(f"callctl: target: {name} on ")
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_settings_name_no_listener_by_themselves() -> None:
    """Use cases that are called without the command line print nothing."""
    assert config.load_settings({}, environ={}).on_connect is None
