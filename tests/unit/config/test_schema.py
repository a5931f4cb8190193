"""The published schema of callctl.yaml refuses nothing that callctl takes, and callctl refuses all that it refuses."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from tests.support.settings_schema import SCHEMA, problems

from callctl.config.sections import SECTIONS
from callctl.config.settings import SETTINGS, load_settings
from callctl.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
KEYS = {setting.name for setting in SETTINGS} | {section.name for section in SECTIONS}


def test_it_is_a_schema_and_has_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == KEYS


def examples() -> Iterator[tuple[str, str]]:
    """What the pages show as a callctl.yaml: blocks that begin with one of its keys, and what is printed to it."""
    first = re.compile(rf"(?:#[^\n]*\n)*(?:{'|'.join(sorted(KEYS))}):\s")
    for page in sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]):
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            if first.match(block):
                yield page.name, block
        for words in re.findall(r"printf '%s\\n' ([^>$]*)>+ callctl\.yaml", text):
            yield page.name, "\n".join(shlex.split(words))


def test_the_pages_show_settings_files() -> None:
    assert {name for name, _ in examples()} >= {"configuration.md", "rotate-a-key.md"}


@pytest.mark.parametrize(("name", "text"), [*examples()])
def test_what_the_pages_show_is_valid(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "callctl.yaml").write_text(text, encoding="utf-8")
    load_settings(environ={}, directory=tmp_path)
    assert problems(text) == []


WORDS = [
    "",
    " ",
    "k1",
    "k 1",
    "chatapp",
    "pg_x",
    "callctl",
    "x" * 64,
    "é",
    "a.b",
    "a[].b",
    "[]",
    "a..b",
    "text",
    "json",
]
WORDS += ["on", "off", "inherit", "yes", "NO", " true ", "5", " 12 ", "0", "17", "100001", "1.5s", "2 min", "2", "0s"]
WORDS += ["2026-01-31T04:00:00Z", "2026-01-31 05:00:00+01:00", "2026-01-31", "20260131T0400+0100", "A_B", "$A", "~/k"]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 20), st.sampled_from([2000, 1.0, 2.5]), st.sampled_from(WORDS)
)
ENTRIES = sorted(
    {entry.rpartition(".")[2].removesuffix("[]") for section in SECTIONS for entry, _, _ in section.entries}
)
KEY = st.fixed_dictionaries(
    {"id": st.sampled_from(["k1", "k2"])},
    optional={
        **dict.fromkeys(("env", "file"), st.sampled_from([None, "A", "a/b", ""])),
        "command": st.none() | st.lists(st.sampled_from(["vault", "-x", "", 1]), max_size=2),
        **dict.fromkeys(("legacy", "show_stderr"), st.none() | st.booleans()),
    },
)
FIELD = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("table", "column", "path", "account_type"), SCALARS),
        "optional": st.none() | st.booleans(),
    },
)
ACCEPT = st.fixed_dictionaries({}, optional=dict.fromkeys(("object", "difference", "reason"), SCALARS))
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(ENTRIES), inner, max_size=3)
)
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "keys": st.fixed_dictionaries({}, optional={"primary": st.just("k1") | SCALARS, "ring": st.lists(KEY, max_size=2)}),
    "secrets": st.fixed_dictionaries({"fields": st.lists(FIELD, max_size=2)}),
    "accept": st.lists(ACCEPT, max_size=2),
}
DOCUMENTS = st.sampled_from(sorted(KEYS)).flatmap(
    lambda name: st.fixed_dictionaries({name: FITTING.get(name, SCALARS) | ANYTHING})
)


@given(DOCUMENTS)
@example({"keys": {"primary": "k1", "ring": [{"id": "k1", "env": None, "file": "k"}]}})
@example({"secrets": {"fields": [{"table": "t", "column": "c", "path": None, "account_type": None}]}})
@example({"colour": "red"})
@example([])
def test_what_callctl_takes_the_schema_takes(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    """So what the schema refuses is refused by callctl. JSON is YAML."""
    directory = tmp_path_factory.mktemp("settings")
    text = json.dumps(document)
    (directory / "callctl.yaml").write_text(text, encoding="utf-8")
    with contextlib.suppress(ConfigError):
        load_settings(environ={}, directory=directory)
        assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("lock_timeout: 2", "$.lock_timeout"),
        ("batch_size: many", "$.batch_size"),
        ("output: xml", "$.output"),
        ("colour: red", "$"),
        ("keys: {ring: [{id: k1, env: A}]}", "$.keys"),
        ("keys: {primary: k1, ring: [{id: k 1, env: A}]}", "$.keys"),
        ("keys: {primary: k1, ring: [{id: k1, env: A, file: b}]}", "$.keys"),
        ("secrets: {fields: [{table: a}]}", "$.secrets"),
        ("accept: [{object: a, difference: missing}]", "$.accept"),
    ],
)
def test_it_refuses_what_an_editor_should_mark(text: str, place: str) -> None:
    assert [problem.partition(": ")[0] for problem in problems(text)] == [place]
