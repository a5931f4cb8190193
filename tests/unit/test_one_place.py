"""One fact, one place: what one file says, no other says again; where it has to, they agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.steps import LAST

from callctl.files import sql_root, step_directories
from callctl.migration.steps.numbered import all_steps

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
    """performance.md is about the other tools, to which the document's steps were given as so many migrations."""
    found = lines_with(r"\b(thirteen|fourteen)\b", "src", "sql", "docs", "README.md", "dev")
    assert [line for line in found if not line.startswith("docs/explanation/performance.md:")] == []


def test_no_code_counts_the_steps_in_figures() -> None:
    assert lines_with(r"range\((\d+, )?1[34]\b|\b13 of 13\b|\b1 to 13\b|\b13 to 1\b", "src", "tests") == []


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
