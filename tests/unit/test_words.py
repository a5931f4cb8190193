"""Our text has no word that the style guide (CONTRIBUTING.md, "Style") replaces by another."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A word that is never right in our text -> what to say. Matched without regard to case, in text whose lines are joined.
WORDS = {
    r"(some|no)body": "name the actor: another session, the application, an administrator",
    r"who(so)?ever": "name the actor",
    r"hi[ms]": "name the actor",
    r"anew": "again",
    r"stands? twice": "duplicate, repeated",
    r"st(and|ands|ood)(?! for\b)": "is, exists, is stored",
    r"mend(s|ed|ing)?": "fix",
    r"catalogues?": "catalog",
    r"in the clear": "plaintext",
    r"(re)?seal(s|ed|ing)?": "encrypt, re-encrypt",
    r"renew(s|ed|ing)?": "encrypt again, replace",
    r"half[- ](up|down|done)": "partly applied",
    r"(is|are|was|were|be) through(?=[ ]?[.,;:])": "completed, finished",
    r"(go|goes|going|went|gone) on": "resume, continue, keep",
    r"(go|goes|going|went|gone) back": "roll back, take back, return",
    r"(come|comes|coming|came) back": "resume; is restored; return",
    r"ways? back": "the rollback, the steps down",
    r"so many(?! that)": "the number",
    r"to be had": "available; timed out after N s",
    r"(?<!there )(is|are|was|were) (?-i:none)": "no ..., not a ...",
    r"(is|are|was|were) nothing (but|else)": "only",
    r"upon|thereof|hence|lest|nought|naught|whence|thence|whilst|hitherto": "the present-day word",
}
_WORD = re.compile("|".join(rf"(?P<w{n}>\b(?:{word})\b)" for n, word in enumerate(WORDS)), re.IGNORECASE)
_SAY = tuple(WORDS.values())

# What is no text of ours, and why.
FOREIGN = (
    r"```console[^\n]*\n.*?^```",  # a page: the program's own output, whose words are in src
    r"`[^`\n]*`",  # an identifier, a path or a command
    r'"(mends|catalogue|sealed|resealed|half up|half down)"',  # keys and values of callctl's JSON: a contract
    r'"nobody"',  # the user of the operating system
    r"\{[\w.,:!()\[\] -]*\}",  # a value in a string
    r"-- (check|finding)( \(warns\))?: [\w-]+",  # the id of a check
    r"model-catalogue[\w.-]*",  # a published address
    r"\(#[\w-]+\)",  # an anchor
    r":(func|class|mod|data):`[^`]+`",  # a cross-reference
    r"https?://\S+",
    r"\ban(y|other) (person|hand)\b",
)
_FOREIGN = re.compile("|".join(FOREIGN), re.DOTALL | re.MULTILINE)

# Files that still have old words. Of a Python file, NAME is its strings (messages), NAME# its comments and docstrings.
# The list only gets shorter.
TO_DO = set(Path(__file__).with_name("words_to_do.txt").read_text(encoding="utf-8").split())


def hits(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, word and the better word of each hit in a text."""
    blank = _FOREIGN.sub(lambda found: re.sub(r"[^\n]", "_", found[0]), text)
    # A comment's or a paragraph's phrase may be broken over two lines: the break counts as one blank.
    joined = re.sub(r"\n[ ]*(?:--|#:?|[*>])?[ ]*", lambda found: " " + "\0" * (len(found[0]) - 1), blank)
    squeezed, at = [], []
    for place, letter in enumerate(joined):
        if letter != "\0":
            squeezed.append(letter)
            at.append(place)
    for found in _WORD.finditer("".join(squeezed)):
        number = int((found.lastgroup or "w0")[1:])
        yield text.count("\n", 0, at[found.start()]) + 1, found[0], _SAY[number]


def python_text(source: str) -> tuple[str, str]:
    """A Python file's messages (strings), and its comments and docstrings; the lines keep their numbers."""
    lines = [[" "] * len(line) for line in source.splitlines()]
    strings, comments = lines, [list(line) for line in lines]
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING) or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            docstring = token.string.lstrip("rRfFbBuU").startswith('"""') and before in _STARTS
            target = comments if docstring or token.type == tokenize.COMMENT else strings
            _put(target, token)
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            before = token.type
    return _text(strings), _text(comments)


_STARTS = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)


def _put(target: list[list[str]], token: tokenize.TokenInfo) -> None:
    row, column = token.start
    for number, part in enumerate(token.string.split("\n")):
        start = column if number == 0 else 0
        target[row - 1 + number][start : start + len(part)] = part


def _text(lines: list[list[str]]) -> str:
    return "\n".join("".join(line).rstrip() for line in lines)


def texts() -> Iterator[tuple[str, str]]:
    """What is our text: a name for TO_DO, and the text."""
    for folder, suffix in (("docs", ".md"), ("sql", ".sql"), ("docs", ".py"), ("src", ".py")):
        for path in sorted((ROOT / folder).rglob(f"*{suffix}")):
            name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
            if suffix == ".py":
                strings, comments = python_text(text)
                yield name, strings
                yield f"{name}#", comments
            else:
                yield name, text
    yield "README.md", (ROOT / "README.md").read_text(encoding="utf-8")
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    # The guide's own table of words names those that are not to be used.
    yield (
        "CONTRIBUTING.md",
        re.sub(r"^\| idea \|.*?\n\n", lambda found: "\n" * found[0].count("\n"), guide, flags=re.M | re.S),
    )
    yield "CHANGELOG.md", "\n## [".join((ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## [")[:2])


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    return {
        name: [f"{name.rstrip('#')}:{line}: {word!r}: say {say}" for line, word, say in hits(text)]
        for name, text in texts()
    }


def test_no_word_that_the_guide_replaces(found: dict[str, list[str]]) -> None:
    wrong = [hit for name, some in found.items() if name not in TO_DO for hit in some]
    assert not wrong, "\n" + "\n".join(wrong)


def test_what_is_still_to_do_is_listed_no_longer_than_it_is(found: dict[str, list[str]]) -> None:
    """A file that is clean leaves TO_DO, and cannot become unclean again."""
    assert [name for name in sorted(TO_DO) if not found.get(name)] == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a key\nthat somebody\nstored", [(2, "somebody")]),
        ("-- it goes\n-- on from there", [(1, "goes on")]),
        ("`anew` and `mends`", []),
        ("a stands for b; a standby", []),
        ("it stands there, resealed", [(1, "stands"), (1, "resealed")]),
        ("```console\nnobody\n```\nnobody", [(4, "nobody")]),
    ],
    ids=str,
)
def test_a_word_is_found_with_its_line(text: str, wanted: list[tuple[int, str]]) -> None:
    assert [(line, word) for line, word, _ in hits(text)] == wanted


def test_messages_and_comments_are_told_apart() -> None:
    strings, comments = python_text(
        '"""Doc anew."""\n\nX = "said anew"  # a note\n\n\ndef f() -> str:\n    """More."""\n    return "x"\n'
    )
    assert ("Doc anew" in comments, "said anew" in comments, "a note" in comments, "More" in comments) == (
        True,
        False,
        True,
        True,
    )
    assert [line for line, *_ in hits(strings)] == [3]
