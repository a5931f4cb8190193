"""The tutorial and the how-to pages do what they say: every command is run and its output compared."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import SEED, THOROUGH
from tests.support.cli.fork_server import Forks
from tests.support.cli.pages import PROGRAM, Command, Sql, carry_out, difference, read
from tests.support.processes import PATIENCE_SECONDS

from callctl.sandbox.lifecycle import BASELINES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

EITHER = ("--baseline documented --rows 200", "--baseline deployed --rows 200")

# Each page of commands, and the sandbox that is the reader's database, if it needs one; or several, each in turn.
HOW_TO: dict[str, str | tuple[str, ...] | None] = {
    "a-secret-leaked": "--baseline documented --rows 200",
    "back-up-and-restore": EITHER,
    "backups-of-the-specification": EITHER,
    "bind-secrets": "--baseline documented --rows 200",
    "encrypt-secrets-for-the-first-time": "--baseline documented --rows 200",
    "find-code-that-names-the-type-column": None,
    "load-test-a-database": EITHER,
    "migrate-a-staging-copy": "--baseline deployed --rows 200",
    "call-settings": EITHER,
    "watch-accounts": EITHER,
    "find-drift": EITHER,
    "pilot-companies": EITHER,
    "migrate-without-downtime": "--baseline deployed --rows 200",
    "watch-and-steer-a-run": EITHER,
    "rehearse": "--baseline deployed --rows 200",
    "roll-back": "--baseline deployed --rows 200",
    "recover-after-a-failed-step": "--baseline documented --rows 200",
    "rotate-a-key": "--baseline documented --rows 200",
    "seed-models": EITHER,
    "run-in-ci": "--baseline documented --rows 200",
}


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks(tmp_path_factory.mktemp("forks")) as made:
        yield made


def test_the_readme_shows_what_is_to_be_seen(tmp_path: Path) -> None:
    carry_out(ROOT / "README.md", tmp_path)


def test_the_tutorial(tmp_path: Path) -> None:
    carry_out(DOCS / "tutorial" / "first-migration.md", tmp_path)


def path_of(name: str) -> Path:
    (path,) = (path for folder in ("how-to", "explanation") if (path := DOCS / folder / f"{name}.md").exists())
    return path


def chosen(name: str, *, every: bool = THOROUGH) -> tuple[str | None, ...]:
    """The sandboxes that a page is run on: every one when thorough, or where it says something of one alone.

    Else one of them, in turn from page to page, and another with another CALLCTL_TEST_SEED.
    """
    started = HOW_TO[name]
    if not isinstance(started, tuple):
        return (started,)
    if every or any(each.only for each in read(path_of(name))):
        return started
    return (started[(sorted(HOW_TO).index(name) + SEED) % len(started)],)


@pytest.mark.parametrize(("name", "started"), [(name, each) for name in HOW_TO for each in chosen(name)])
def test_how_to(name: str, started: str | None, tmp_path: Path, forks: Forks) -> None:
    carry_out(path_of(name), tmp_path, started=started, program=forks.program())


@pytest.mark.parametrize(
    "arguments", ["--version", "keys", "sandbox url", "migrate status --database postgresql://127.0.0.1:1/x"]
)
def test_the_pages_callctl_does_what_callctl_does(forks: Forks, tmp_path: Path, arguments: str) -> None:
    """The program of the pages, which forks, ends as the real one and prints the same."""
    said = []
    for name, text in (("forked", forks.program()), ("real", PROGRAM)):
        program = tmp_path / name
        program.write_text(text)
        program.chmod(0o755)
        environment = {"PATH": os.environ["PATH"], "CALLCTL_SANDBOX_DIR": str(tmp_path / "none"), "NO_COLOR": "1"}
        done = subprocess.run(
            [program, *arguments.split()], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
        )
        said.append((done.returncode, done.stdout, done.stderr))
    assert said[0] == said[1]
    assert "".join(said[0][1:]) != ""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_the_pages_callctl_is_interrupted_and_killed_as_callctl_is(
    forks: Forks, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    """While it waits for a server that does not answer; the end of its connection is its own."""
    program = tmp_path / "callctl"
    program.write_text(forks.program())
    program.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        url = f"postgresql://127.0.0.1:{server.getsockname()[1]}/x?sslmode=disable&gssencmode=disable"
        process = subprocess.Popen([program, "migrate", "status", "--database", url], stderr=subprocess.DEVNULL)
        connection, _ = server.accept()
        process.send_signal(sent)
        connection.settimeout(PATIENCE_SECONDS)
        while connection.recv(1000):
            pass
        assert process.wait(PATIENCE_SECONDS) == code


def test_every_how_to_page_is_run() -> None:
    """test_on_call.py brings the situations of on-call about."""
    how_to = {name for name in HOW_TO if path_of(name).parent.name == "how-to"}
    assert {page.stem for page in (DOCS / "how-to").glob("*.md")} == {*how_to, "on-call"}


def test_what_is_said_of_one_baseline_is_run_on_it() -> None:
    """Nothing is passed over everywhere, and the pages that run on one baseline take turns."""
    for name in HOW_TO:
        words = " ".join(each or "" for each in chosen(name)).split()
        only = {each.only for each in read(path_of(name))} - {None}
        assert only <= set(BASELINES) & set(words), name
    in_turn = [
        name for name, started in HOW_TO.items() if isinstance(started, tuple) and len(chosen(name, every=False)) == 1
    ]
    assert {chosen(name, every=False)[0] for name in in_turn} == set(EITHER)


@pytest.mark.parametrize(
    ("printed", "problem"),
    [
        ("one\nstep 1 took 0.31 s\nthree", None),
        ("one\nstep 1 took 12.5 s\nthree", None),
        ("one\nstep 2 took 0.31 s\nthree", "not printed: 'step 1 took <seconds> s'"),
        ("one\nstep 1 took 0.31 s\nthree\nfour", "printed in another order, or more than that"),
        ("step 1 took 0.31 s\none\nthree", "printed in another order, or more than that"),
    ],
)
def test_output_is_compared(printed: str, problem: str | None) -> None:
    """A page that says something else than the command prints is found out."""
    assert difference(("one", "step 1 took 0.20 s", "three"), printed) == problem
    assert difference(("one", "…"), "one\ntwo\nthree") is None
    assert difference((), printed) is None


def test_a_page_is_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Text\n\n```console\n$ one \\\n    --more\n# exits with 3\nout\n$ two\n```\n\n```sh\nnot run\n```\n"
        "\n```sql deployed\nSELECT 1;\n```\n\n```console documented\n$ three\n```\n"
    )
    assert list(read(page)) == [
        Command("one \\\n    --more", ("out",), 3, 4),
        Command("two", (), 0, 8),
        Sql("SELECT 1;\n", 16, "deployed"),
        Command("three", (), 0, 20, "documented"),
    ]
