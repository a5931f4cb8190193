"""Each error has a code, each code is used and has a page, and what a page says to run can be run."""

from __future__ import annotations

import ast
import pickle
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.main import get_command

import callctl
from callctl import errors, explanations, server_errors
from callctl.cli import app
from callctl.errors import UNKNOWN, CallctlError, Code, Refused, State, StepFailed
from callctl.explanations import Explanation
from callctl.migration.checks.findings import described
from callctl.redaction import hide_keys, redact

PACKAGE = Path(callctl.__file__).parent
PAGES = [page for pages in explanations.pages().values() for page in pages]


# ---- the raise sites -------------------------------------------------------------------------------------


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def made_here(tree: ast.Module, names: set[str]) -> set[str]:
    """The classes of this file that come of one of these."""
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {node.name for node in classes if names & {base.id for base in node.bases if isinstance(base, ast.Name)}}


def error_names() -> set[str]:
    """CallctlError and every class that comes of it, wherever it is defined."""
    names: set[str] = set()
    found = {"CallctlError"}
    while found - names:
        names |= found
        found = set().union(*(made_here(tree, names) for _, tree in trees()))
    return names


def sites(names: set[str]) -> Iterator[tuple[str, ast.Call]]:
    """Each place where one of these errors is made."""
    for file, tree in trees():
        known = (names - {"Unreadable"}) | made_here(tree, names)  # two other classes have that name
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
                yield f"{file}:{node.lineno}", node


def code_of(call: ast.Call) -> str | None:
    """'LOCK_HELD' of ``Code.LOCK_HELD``; what is not a literal ends in ``code`` or is asked of the server's error."""
    text = ast.unparse(call.args[0]) if call.args else ""
    if text.startswith("Code."):
        return text.removeprefix("Code.")
    return "" if re.fullmatch(r"(\w+\.)?code|code_of\(\w+\)", text) else None


def test_each_place_that_makes_an_error_gives_it_a_code() -> None:
    names = error_names()
    assert {"UsageError", "Refused", "NotItsOwn", "Unreadable"} <= names
    listed = list(sites(names))
    assert len(listed) > 250
    assert [place for place, call in listed if code_of(call) is None] == []


def test_each_code_is_used() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    used = set(re.findall(r"\bCode\.([A-Z0-9_]+)\b", text))
    assert used == {code.name for code in Code}


def test_an_error_keeps_its_code_and_state_on_the_way_from_another_process() -> None:
    error = StepFailed(Code.DISK_FULL, "it is full", hint="make room", state=State("partly applied", "", 4, "up"))
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, str(again), again.hint, again.state) == (error.code, "it is full", "make room", error.state)
    assert StepFailed(Code.DISK_FULL, "it is full").state == UNKNOWN


def test_an_error_that_says_no_state_has_that_of_its_class() -> None:
    """Only what refuses before it writes may say that nothing was changed without being asked."""
    says = {kind.__name__ for kind in CallctlError.__subclasses__() if kind.state == errors.UNCHANGED}
    assert says == {"UsageError", "Refused", "ConfigError", "LockHeld"}


@pytest.mark.parametrize(
    ("sqlstate", "code"),
    [
        ("08006", Code.CONNECTION_LOST),
        ("57P01", Code.CONNECTION_LOST),
        ("53100", Code.DISK_FULL),
        ("53200", Code.SERVER_RESOURCES),
        ("55P03", Code.LOCK_TIMEOUT),
        ("40P01", Code.LOCK_TIMEOUT),
        ("42501", Code.PERMISSION_DENIED),
        ("42P01", Code.OBJECT_MISSING),
        ("23505", Code.CONSTRAINT_VIOLATED),
        ("P0001", Code.TRIGGER_REFUSED),
        ("25006", Code.READ_ONLY),
        ("XX001", Code.SERVER_FAILED),
        ("0A000", Code.SERVER_ERROR),
        ("57014", Code.TRIGGER_REFUSED),  # not of postgres.c: a function has raised it
    ],
)
def test_a_servers_error_has_a_code_by_its_sqlstate(sqlstate: str, code: Code) -> None:
    class Said(psycopg.Error):
        pass

    Said.sqlstate = sqlstate
    assert server_errors.code_of(Said()) == code


def test_what_the_driver_says_has_a_code_too() -> None:
    assert server_errors.code_of(psycopg.OperationalError("gone")) == Code.CONNECTION_LOST
    assert server_errors.code_of(psycopg.DataError("no")) == Code.VALUE_REFUSED


# ---- the pages -------------------------------------------------------------------------------------------


def test_each_code_has_one_page_and_each_page_a_code() -> None:
    assert sorted(page.id for page in PAGES) == sorted(Code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.id)
def test_a_page_has_its_parts_in_short_sentences(page: Explanation) -> None:
    for part in (page.means, page.customers, page.database, page.run):
        assert part
    assert page.run.startswith("`")
    for part in (page.means, page.customers, page.database, page.run, page.then):
        for sentence in re.split(r"(?<=[.;:]) ", part or ""):
            assert len(sentence.split()) <= 30, sentence
    assert re.match(r"[A-Z`]|callctl ", page.means)
    assert page.means.endswith(".")
    assert redact(hide_keys(page.means + page.run)) == page.means + page.run


def commands(text: str) -> Iterator[str]:
    yield from (words for words in re.findall(r"`([^`]+)`", text) if words.startswith("callctl "))


def problem(text: str) -> str | None:
    """What is wrong with a command of a page: a word that is no command, an option that it does not have."""
    command: Any = get_command(app)
    _, *words = shlex.split(text.partition(" > ")[0])
    options = {option for parameter in command.params for option in parameter.opts}
    while words and words[0] in options:
        words = words[2:] if words[0] != "--version" else words[1:]
    if words[:1] == ["COMMAND"]:  # any: its options are known to one at least
        every = list(walked(command))
        known = {option for each in every for parameter in each.params for option in parameter.opts} | {"--help"}
        return next((f"no option {word}" for word in words if word.startswith("--") and word not in known), None)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands") and words:
        return f"no command {words[0]}"
    known = options | {option for parameter in command.params for option in parameter.opts} | {"--help"}
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    if words and not words[0].startswith("-") and not arguments:
        return f"takes no argument: {words[0]}"
    return next((f"no option {word}" for word in words if word.startswith("-") and word not in known), None)


def walked(command: Any) -> Iterator[Any]:
    yield command
    for child in getattr(command, "commands", {}).values():
        yield from walked(child)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.id)
def test_what_a_page_says_to_run_is_a_command_with_options_that_it_has(page: Explanation) -> None:
    text = " ".join(filter(None, (page.means, page.customers, page.database, page.run, page.then)))
    assert [(command, problem(command)) for command in commands(text) if problem(command)] == []
    # And no code but real ones.
    assert set(re.findall(r"CALLCTL-[A-Z0-9-]+", text)) <= set(Code)


def test_no_page_of_the_docs_names_a_code_that_there_is_not() -> None:
    named = {
        (path.name, code)
        for path in (*(PACKAGE.parents[1] / "docs").rglob("*.md"), PACKAGE.parents[1] / "README.md")
        for code in re.findall(r"CALLCTL-[A-Z0-9]+(?:-[A-Z0-9]+)*", path.read_text(encoding="utf-8"))
    }
    assert {entry for entry in named if entry[1] not in set(Code)} == set()


@pytest.mark.parametrize(
    "text", ["callctl bogus", "callctl migrate sideways", "callctl verify --bogus", "callctl verify x"]
)
def test_a_command_that_there_is_not_is_found(text: str) -> None:
    assert problem(text)


def test_each_file_of_pages_is_read_whole() -> None:
    """No paragraph that the reader passes over: each is the sentence of the code or one of its parts."""
    for path in (PACKAGE / "codes").glob("*.md"):
        for line in path.read_text(encoding="utf-8").split("\n"):
            heading = re.match(r"# |## CALLCTL-[A-Z0-9-]+$|$", line)
            part = re.match(r"(Customers|Database|Run|Then): \S", line)
            assert heading or part or any(page.means == line for page in PAGES), f"{path.name}: {line}"


# ---- what explain is asked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["CALLCTL-LOCK-HELD", "callctl-lock-held", "Lock-Held", "lock_held", "[CALLCTL-LOCK-HELD]"]
)
def test_a_code_is_found_however_it_is_written(name: str) -> None:
    assert explanations.explained(name, ()).id == Code.LOCK_HELD


@pytest.mark.parametrize("name", ["server-version", "SERVER-VERSION", "accounts-secrets-known-key"])
def test_a_finding_and_a_check_are_explained_by_their_files(name: str) -> None:
    page = explanations.explained(name, described())
    assert (page.id, page.database) == (name.lower(), None)
    assert page.run


def test_no_finding_or_check_hides_the_page_of_a_code() -> None:
    others = list(described())
    assert [code for code in Code if explanations.explained(code, others).id != code] == []
    assert explanations.explained("pooler", others).id == "pooler"


@pytest.mark.parametrize(("name", "near"), [("lock-hled", "CALLCTL-LOCK-HELD"), ("server-versoin", "server-version")])
def test_a_near_miss_is_told_what_may_be_meant(name: str, near: str) -> None:
    with pytest.raises(Refused) as caught:
        explanations.explained(name, described())
    assert near in (caught.value.hint or "")


def test_nothing_near_is_told_of_the_list() -> None:
    with pytest.raises(Refused, match="'zzz'") as caught:
        explanations.explained("zzz", ())
    assert caught.value.hint == "run callctl explain, which lists all codes"
