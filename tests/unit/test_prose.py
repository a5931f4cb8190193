"""The rules of the style guide (CONTRIBUTING.md, "Style") that a program can check: see decision 35."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A hint is one action: it begins with one of these. Its other words are free.
VERBS = frozenset(
    [
        "add",
        "answer",
        "ask",
        "change",
        "check",
        "close",
        "compare",
        "connect",
        "copy",
        "correct",
        "create",
        "declare",
        "delete",
        "disable",
        "drop",
        "end",
        "find",
        "finish",
        "fix",
        "follow",
        "free",
        "give",
        "grant",
        "install",
        "keep",
        "let",
        "look",
        "make",
        "move",
        "name",
        "press",
        "prepare",
        "put",
        "raise",
        "read",
        "remove",
        "rename",
        "report",
        "reset",
        "restore",
        "resume",
        "restart",
        "roll",
        "run",
        "save",
        "search",
        "set",
        "stop",
        "take",
        "type",
        "unset",
        "upgrade",
        "use",
        "wait",
        "widen",
        "write",
    ]
)
# An operator follows these pages while customers wait, so their sentences are held to the guide's length.
SHORT = ("src/callctl/codes", "docs/how-to", "docs/tutorial")
MOST_WORDS = 25
# What a docstring says begins with the thing or with a verb.
_QUESTION = re.compile(r"(What|How)\b")


def literal(node: ast.expr) -> str | None:
    """The text of a string, with ``{}`` for each value in it; None if it is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return literal(node.left)
    return None


def hints(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The literal hints of a file, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "hint":
            branches = [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
            for branch in branches:
                text = literal(branch)
                if text is not None and not text.startswith("{}"):
                    yield branch.lineno, text


def documented(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The docstrings of a file, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text


def long_sentences(page: str) -> Iterator[tuple[int, str]]:
    """The sentences of a page with more than MOST_WORDS words: of its paragraphs and lists, not of code or tables."""
    blank = re.sub(
        r"^```.*?^```|^\|[^\n]*|^#[^\n]*", lambda found: "\n" * found[0].count("\n"), page, flags=re.M | re.S
    )
    line = 1
    for block in re.split(r"(\n\s*\n|\n(?=\s*[-*] )|\n(?=\s*\d+\. ))", blank):
        # A code span is one word, and a link counts by its text.
        text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "code", block))
        for sentence in re.split(r"(?<=[.!?:;])[)*\"”]*\s+", text):
            if len(re.findall(r"[A-Za-z][\w'’-]*", sentence)) > MOST_WORDS:
                yield line, " ".join(sentence.split())
        line += block.count("\n")


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "src").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_a_hint_begins_with_a_verb() -> None:
    wrong = [
        f"{name}:{line}: {text}"
        for name, tree in sources()
        for line, text in hints(tree)
        if re.split(r"\W", text, maxsplit=1)[0] not in VERBS
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_docstring_says_what_a_thing_is_or_does() -> None:
    wrong = [
        f"{name}:{line}: {text[:80]}"
        for name, tree in sources()
        for line, text in documented(tree)
        if _QUESTION.match(text)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_sentence_for_an_operator_is_short() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {sentence}"
        for folder in SHORT
        for path in sorted((ROOT / folder).glob("*.md"))
        for line, sentence in long_sentences(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("Run this. " * 20, 0),
        ("One " * 26 + ".", 1),
        ("| " + "one " * 30 + "|", 0),
        ("```sh\n" + "one " * 30 + "\n```", 0),
        ("Run `" + "one " * 30 + "` now.", 0),
        ("- " + "one " * 20 + "\n- " + "two " * 20, 0),
    ],
    ids=["short sentences", "a long one", "a table", "code", "a code span", "two items"],
)
def test_a_long_sentence_is_found(page: str, found: int) -> None:
    assert len(list(long_sentences(page))) == found


def test_a_hint_and_a_docstring_are_found() -> None:
    tree = ast.parse('"""What it is."""\nraise E(hint="one of: a" if x else f"{y} and more")\nf(hint="run " + z)\n')
    assert [text for _, text in hints(tree)] == ["one of: a", "run "]
    assert [text for _, text in documented(tree)] == ["What it is."]
