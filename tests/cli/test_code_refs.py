"""callctl code-refs at the terminal: what is printed where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_contract import said

from callctl.cli import run


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "bot.ts").write_text("// chatbotType\nconst a = bot.chatbotType;\nconst chatbotTypes = 1;\n")
    (tmp_path / "src" / "a,b.py").write_text("q = 'SELECT 100% FROM x WHERE chatbot_type'\n")
    (tmp_path / "src" / "run.sh").write_text("psql -c 'SELECT chatbot_type'\n")
    return tmp_path


def test_text(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["code-refs", "src"]) == 3
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "src/a,b.py:1:31: string: q = 'SELECT 100% FROM x WHERE chatbot_type'",
        "src/bot.ts:2:15: code: const a = bot.chatbotType;",
        "not clear: 2 references to chatbot_type in 2 files (1 code, 1 string); "
        "2 files read; not counted: 1 in comments, 1 related",
    ]
    assert captured.err == (
        "callctl: warning: 1 file of another kind names the column too, and does not count: src/run.sh\n"
    )


def test_comments_and_longer_names(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["code-refs", "--exclude", "*.py", "--comments", "--related", "src"]) == 3
    assert capsys.readouterr().out.splitlines()[:3] == [
        "src/bot.ts:1:4: comment: // chatbotType",
        "src/bot.ts:2:15: code: const a = bot.chatbotType;",
        "src/bot.ts:3:7: code, related: const chatbotTypes = 1;",
    ]
    (tree / "src" / "bot.ts").write_text("// chatbotType\nconst chatbotTypes = 1;\n")
    for more in ([], ["--comments", "--related"]):
        assert run(["code-refs", "--exclude", "*.py", *more, "src"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == (
            "clear: nothing names chatbot_type; 1 file read; not counted: 1 in comments, 1 related"
        )


def test_imports_say_why_they_count(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "src" / "bot.ts").write_text("export { chatbotType as kind } from './schema'\n")
    (tree / "src" / "a.ts").write_text(
        "import { kind } from './bot'\nimport { chatbotTypeEnum } from './e'\nb = { chatbotType: chatbotTypeEnum() }\n"
    )
    assert run(["code-refs", "--exclude", "*.py", "--exclude", "*.sh", "src"]) == 3
    assert capsys.readouterr().out.splitlines()[:3] == [
        "src/a.ts:1:10: code, by another name: import { kind } from './bot'",
        "src/a.ts:2:10: code, imported for a line that counts: import { chatbotTypeEnum } from './e'",
        "src/a.ts:3:7: code: b = { chatbotType: chatbotTypeEnum() }",
    ]
    assert run(["code-refs", "--github", "--exclude", "*.py", "--exclude", "*.sh", "src"]) == 3
    assert "title=kind%2C by another name::code: import { kind }" in capsys.readouterr().out


def test_other_columns(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "src" / "user.ts").write_text("u.avatarUrl; u.deletedAt; b.chatbotType\n")
    assert run(["code-refs", "--column", "avatar_url", "--column", "deletedAt", "src"]) == 3
    assert "2 references to avatar_url, deletedAt in 1 file (2 code)" in capsys.readouterr().out


def test_json(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["code-refs", "src", "--output", "json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert list(document) == [
        "version",
        "clear",
        "columns",
        "files",
        "counts",
        "references",
        "skipped",
        "unread",
        "next",
    ]
    assert document["clear"] is False
    assert document["columns"] == ["chatbot_type"]
    assert document["counts"] == {"code": 1, "string": 1, "sql": 0, "comment": 1, "related": 1, "allowed": 0}
    assert document["references"][1] == {
        "file": "src/bot.ts",
        "line": 2,
        "column": 15,
        "kind": "code",
        "identifier": "chatbotType",
        "related": False,
        "text": "const a = bot.chatbotType;",
    }
    assert document["unread"] == ["src/run.sh"]


def test_annotations(tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["code-refs", "--github", "--related", "src"]) == 3
    assert capsys.readouterr().out.splitlines()[:3] == [
        "::error file=src/a%2Cb.py,line=1,col=31,endColumn=43,title=chatbot_type is dropped"
        "::string: q = 'SELECT 100%25 FROM x WHERE chatbot_type'",
        "::error file=src/bot.ts,line=2,col=15,endColumn=26,title=chatbotType is dropped"
        "::code: const a = bot.chatbotType;",
        "::notice file=src/bot.ts,line=3,col=7,endColumn=19,title=names chatbotTypes::code: const chatbotTypes = 1;",
    ]
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tree))
    monkeypatch.chdir(tree / "src")
    assert run(["code-refs", "--github", "bot.ts"]) == 3
    assert capsys.readouterr().out.startswith("::error file=src/bot.ts,line=2,")


def test_a_file_cannot_command_the_terminal_or_github(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "src" / "x\n::error::y.ts").write_text("a.chatbotType; '\x1b[2J\u202e'\n")
    for more in ([], ["--github"]):
        run(["code-refs", *more, "src"])
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert not any(line.startswith("::error::y") for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("code-refs", 2, "missing argument 'PATH'"),
        ("code-refs none", 2, "no such file or directory: none"),
        ("code-refs src none", 2, "no such file or directory: none"),
        ("code-refs --column 1st src", 2, "--column is not a column name: '1st'"),
        ("code-refs --column chatapp.x src", 2, "--column is not a column name: 'chatapp.x'"),
        ("code-refs --github --output json src", 2, "cannot be combined"),
        ("code-refs --exclude * src", 3, "found no source file in src"),
        ("code-refs src/run.sh", 3, "found no source file in src/run.sh"),
    ],
)
@pytest.mark.usefixtures("tree")
def test_refusals(arguments: str, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in said(capsys, code, *arguments.split())


def test_a_file_that_was_not_read(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "src" / "bot.ts").write_text("x = 1\n")
    (tree / "src" / "video.ts").write_bytes(b"G\0\xff\xfe\x9d")
    assert run(["code-refs", "--exclude", "*.py", "src"]) == 3
    captured = capsys.readouterr()
    assert captured.out == (
        "not clear: 1 file or directory could not be read; nothing else names chatbot_type; 1 file read\n"
    )
    assert "callctl: warning: src/video.ts: is binary; --exclude leaves it out" in captured.err.splitlines()
    assert run(["code-refs", "src"]) == 3
    assert "(1 string); 1 file or directory could not be read; 2 files read" in capsys.readouterr().out
    assert run(["code-refs", "--exclude", "*.py", "--exclude", "video.ts", "src"]) == 0
