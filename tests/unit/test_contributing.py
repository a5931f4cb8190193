"""CONTRIBUTING.md leads to files that exist, for each of the ten changes, and its list of words is the guide's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGES = (
    "A fourteenth step",
    "Another secret field",
    "Another output format",
    "A new preflight query",
    "Another baseline",
    "A new command",
    "A new error code",
    "Another envelope version",
    "Another PostgreSQL major",
    "A new fault kind",
    "A new how-to",
)
# A name in code with a folder or an ending: what it names is there. Of what is still to be made, the folder is named.
PATH = re.compile(r"`([\w.-]+/[\w./-]*|[A-Z]+\.md|pyproject\.toml)`")


def sections() -> dict[str, str]:
    parts = re.split(r"^### (.+)$", TEXT[TEXT.index("## Where to change what") :], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def paths(text: str) -> list[str]:
    return PATH.findall(text)


def test_every_path_that_it_names_exists() -> None:
    assert len(paths(TEXT)) > 50
    assert [path for path in paths(TEXT) if not (ROOT / path).exists()] == []


def test_the_rule_notices() -> None:
    text = "see `src/callctl/nothing.py`, `sql/preflight/` and `up.sql`"
    assert paths(text) == ["src/callctl/nothing.py", "sql/preflight/"]


def test_it_has_these_changes() -> None:
    assert tuple(sections()) == CHANGES


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_names_what_to_touch_and_the_test_that_fails(change: str) -> None:
    found = paths(sections()[change])
    assert [path for path in found if re.fullmatch(r"tests/.*test_\w+\.py", path)], "no test"
    assert [path for path in found if "/test_" not in path], "nothing to touch"
