"""What counts as a reference to a column, language by language, and which files are looked at."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sysconfig
import tokenize
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callctl.coderefs.languages import READERS
from callctl.coderefs.search import CodeRefs, Spellings, code_refs, file_refs
from callctl.errors import Refused, UsageError

SPELLINGS = Spellings(("chatbot_type",))

# § stands for the column; what kind each is, in order.
SNIPPETS = [
    (".ts", "x?.§; x!.§; this.#§; @Field() §?: string", "code code code code"),
    (".ts", "const { §: t } = row; row[\"§\"]; f('§')", "code string string"),
    (".ts", "// §\n/* §\n § */ § // §", "comment comment comment code comment"),
    (".ts", "const s = `a ${ {a: 1}.x } // §`; b.§", "string code"),
    (".ts", "const s = `a ${ f(`n ${x.§}`) } /* §`; b.§", "code string code"),
    (".ts", "const q = `SELECT id,\\n§ FROM chatbots -- §`", "string string"),
    (".ts", "const r = /[/*]'\"/.test(x); b.§ // §", "code comment"),
    (".ts", "if (x) /'/.test(y); x.§; // '§", "code comment"),
    (".ts", "const r = a / b; const s = '//'; x.§ / 2", "code"),
    (".ts", "const n = a! / 2 + b.§ / 3 // §", "code comment"),
    (".ts", "const n = (a) / 2; const u = 'http://' + b.§", "code"),
    (".ts", "const f = <T>(a: T) => a.§; // §", "code comment"),
    (".ts", "const a = { b: 1 } / 2; x.§ // § / 3", "code comment"),
    (".ts", "f(x) { } /'/.test(y); x.§ // '§", "code comment"),
    (".ts", "x = 'it\\'s // §' + § // §", "string code comment"),
    (".ts", "x = 'never closed\ny = a.§ // it's §", "code code"),
    (".ts", "/* never closed §", "code"),
    (".mjs", "#!/usr/bin/env §\nimport x from './§.js'", "comment string"),
    (".tsx", "<p>Don't</p>; const u = 'http://x' + a.§;", "code"),
    (".tsx", "<p>Don't {a.§}</p>\n{/* § */}", "code comment"),
    (".tsx", '<a href="http://x">see // § {b.§}</a> // §', "string code comment"),
    (".tsx", "<A b={<C d={`${x.§}`} />} /* § */ §='it'>it's <></> §</A>", "code comment code string"),
    (".tsx", "const f = <T,>(a: T) => a.§ // it's §", "code comment"),
    (".tsx", "const f = <T extends X>(a: T) => a.§ // it's §", "code comment"),
    (".tsx", "type F = <T>(a: T) => void; x.§ // it's §", "code comment"),
    (".tsx", "for (i = 0; i < n; i++) x.§ // it's > §", "code comment"),
    (".tsx", "useState<§>('§') // §", "code string comment"),
    (".tsx", "<Select<Row> by='x'>{r => r.§}</Select> // it's §", "code comment"),
    (".vue", "<!-- § --><p>{{ b.§ }}</p><script lang='ts'>// §\nb.§</script>", "comment code comment code"),
    (".svelte", "<script>let a = '//'; $§; // §</script><style>/* § */ .§ {}</style>", "code comment comment code"),
    (".py", "x.§ # §\nd['§']", "code comment string"),
    (".py", "f'{a.§!r:>{w.§}} §' # §", "code code string comment"),
    (".py", "f'{d[\"§\"]} {{§}} # §'; §", "string string string code"),
    (".py", "f'{a['§']}' # §", "string comment"),
    (".py", "f'''{a  # §\n}'''; §", "comment code"),
    (".py", "rb'\\' # §'; R\"§\"; x = '''\n# § ''' # §", "string string string comment"),
    (".py", '"""About §."""\ndef f():\n    "Read §."\n    return """§"""', "comment comment string"),
    (".py", "x = (\n    '§'\n)\ny = \\\n'§'", "string string"),
    (".py", "s = 'never closed # §\nx.§ # §", "code code code"),
    (".sql", "/* a /* § */ § */ § -- §\n", "comment comment sql comment"),
    (".sql", "SELECT E'a\\'-- §', 'it''s -- §', \"§\", \"a\"\"--b\" §", "string string sql sql"),
    (".sql", "DO $$ BEGIN -- §\n x := §; EXECUTE $q$ § '§' $q$; END $$; §", "comment sql sql string sql"),
    (".sql", "SELECT $$it's -- §$$, $1, a$§$ -- §", "string sql comment"),
    (".sql", "DO LANGUAGE plpython3u $$ x = i --y.§ $$; -- §", "string comment"),
    (".sql", "SELECT 'never closed -- §", "sql"),
    (".graphql", 'type A { # §\n  """§"""\n  §: §! @x(y: "§")\n}', "comment comment code code string"),
    (".graphql", 'type A { b: C @sql(query:\n """SELECT §""") }', "string"),
    (".prisma", 'model A { // §\n  § § @map("§") /// §\n}', "comment code code string comment"),
    (".json", '{"§": 1, "b": "// §" /* § */ }', "string string comment"),
    (".yaml", "§: 'a # §' # §\nb: a#§\nc: don't # §", "code string comment code comment"),
    (".yaml", "run: |\n  # §\n  psql -c §\n# §\nx: >-\n  §", "string string comment string"),
]


@pytest.mark.parametrize(("suffix", "text", "expected"), SNIPPETS)
def test_kinds(suffix: str, text: str, expected: str) -> None:
    references = file_refs(f"a{suffix}", text.replace("§", "chatbotType"), SPELLINGS).references
    assert [each.kind.value for each in references] == expected.split()


# ---- properties ----------------------------------------------------------------------------------------

COMMENTS = {
    ".ts": ("/* %s */", "// %s\n"),
    ".tsx": ("/* %s */", "// %s\n"),
    ".py": ("# %s\n",),
    ".sql": ("/* %s */", "-- %s\n"),
    ".graphql": ("# %s\n",),
    ".json": ("/* %s */",),
    ".yaml": ("# %s\n",),
    ".vue": ("<!-- %s -->",),
}
CODE = {
    ".ts": ("f(x.%s);", "const a = `b ${x.%s} c`;", "a = b / c.%s / d;", "x = /['\"`]/.test(y.%s);", "o = { %s: 1 };"),
    ".tsx": ("a = <p>it's {x.%s} // </p>;", "f(x.%s);", "a = <b c={x.%s} d='//' />;"),
    ".py": ("x.%s\n", "f'{x.%s}'\n", "g('#', x.%s)\n", "y = '''it's # ''', %s\n"),
    ".sql": ("SELECT %s FROM t;", "SELECT '--', %s;", "DO $$ BEGIN x := y.%s; END $$;"),
}
SPELLED = ("chatbotType", "ChatbotType", "chatbot_type", "CHATBOT_TYPE", "chatbottype", "CHATBOTTYPE")


def pieces(frames: dict[str, tuple[str, ...]], suffix: str, counts: bool) -> st.SearchStrategy[tuple[str, bool]]:
    names, shapes = st.sampled_from(SPELLED), st.sampled_from(frames[suffix])
    return st.builds(lambda frame, name: (frame % name, counts), shapes, names)


@given(st.data(), st.sampled_from(sorted(COMMENTS)))
def test_a_comment_is_never_a_reference_that_counts(data: st.DataObject, suffix: str) -> None:
    words = st.text(st.characters(exclude_characters="*/-\n\r<>", exclude_categories=("Cs", "Cc")), max_size=20)
    inside = data.draw(st.builds("{} {} {}".format, words, st.sampled_from(SPELLED), words))
    text = data.draw(st.sampled_from(COMMENTS[suffix])) % inside
    references = file_refs(f"a{suffix}", text, SPELLINGS).references
    assert references
    assert not any(each.counts for each in references)


@given(st.data(), st.sampled_from(sorted(CODE)))
def test_every_spelling_in_code_is_found(data: st.DataObject, suffix: str) -> None:
    """Whatever code and comments stand around it."""
    parts = data.draw(st.lists(pieces(CODE, suffix, True) | pieces(COMMENTS, suffix, False)))
    held = file_refs(f"a{suffix}", "".join(text for text, _ in parts), SPELLINGS)
    assert held.sure
    assert [each.counts for each in held.references] == [counts for _, counts in parts]


@given(st.sampled_from(sorted(READERS)), st.text(st.sampled_from("'\"`/*-#$<>{}()[]:!\\\n aEf|§"), max_size=80))
def test_anything_can_be_read(suffix: str, text: str) -> None:
    text = text.replace("§", "chatbot_type")
    spans = READERS[suffix](text)
    ends = [0, *(place for span in spans.spans for place in (span.start, span.end)), len(text)]
    assert ends == sorted(ends)
    assert spans.sure or not spans.comments()


def test_python_agrees_with_pythons_own_tokenizer() -> None:
    """On a part of the standard library: the same comments, and the same strings but for f-strings."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[::4]
    assert len(files) > 20
    for file in files:
        text = file.read_text(encoding="utf-8")
        starts = [0, *(found.end() for found in re.finditer("\n", text))]
        own = {(span.start, span.end) for span in READERS[".py"](text).spans}
        comments, strings = set(), set()
        for each in tokenize.generate_tokens(io.StringIO(text).readline):
            place = (starts[each.start[0] - 1] + each.start[1], starts[each.end[0] - 1] + each.end[1])
            if each.type == tokenize.COMMENT:
                comments.add(place)
            elif each.type == tokenize.STRING and "f" not in re.split("['\"]", each.string)[0].lower():
                strings.add(place)
        assert {place for place in own if text[place[0]] == "#"} == comments, file
        assert strings <= own, file


# ---- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "exact", "identifier"),
    [
        *((name, True, name) for name in (*SPELLED, "chatbot-type", "Chatbot_Type")),
        ("--chatbot-type=x", True, "chatbot-type"),
        ("$chatbotType", True, "chatbotType"),
        ("a-chatbotType", True, "chatbotType"),
        (r"'\nchatbot_type'", True, "chatbot_type"),
        ("chatbotTypes", False, "chatbotTypes"),
        ("defaultChatbotTypeLabel", False, "defaultChatbotTypeLabel"),
        ("_chatbot_type", False, "_chatbot_type"),
        ("chatbotType$", False, "chatbotType$"),
        ("x-chatbot-type", False, "x-chatbot-type"),
        ("échatbotType2", False, "échatbotType2"),
        ("chatbotTypé", True, None),
        ("chatbot type", True, None),
        ("chatbot__type", True, None),
    ],
)
def test_names(text: str, exact: bool, identifier: str | None) -> None:
    found = [(each.exact, text[each.start : each.end]) for each in SPELLINGS.find(text)]
    assert found == ([] if identifier is None else [(exact, identifier)])


def test_columns_are_given_in_any_spelling() -> None:
    spellings = Spellings(("deletedAt", "avatar-url"))
    assert spellings.columns == ("deletedAt", "avatar-url")
    assert len(list(spellings.find("deleted_at DELETED_AT avatarUrl avatar_url"))) == 4
    assert spellings.may_name(b"x.AVATAR_URL")
    assert not spellings.may_name(b"avatar url deleted")


# ---- allowed, shown ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "text", "allowed", "left"),
    [
        (".ts", "a.chatbotType // callctl: allow - until May\nb.chatbotType", 1, 1),
        (".ts", "// callctl: allow\na.chatbotType + b.chatbotType\nc.chatbotType", 2, 1),
        (".ts", "/* callctl: allow\n * why */\na.chatbotType", 1, 0),
        (".ts", "a.chatbotType = 'callctl: allow'", 0, 1),
        (".ts", "a.chatbotType // callctl: allowed", 0, 1),
        (".ts", "a.chatbotType // callctl: allow\n b = '", 0, 1),
        (".tsx", "<p>\n{/* callctl: allow */}\n{a.chatbotType}</p>", 1, 0),
        (".py", "a.chatbot_type  # callctl: allow", 1, 0),
        (".sql", "-- callctl: allow\nSELECT chatbot_type;", 1, 0),
        (".yaml", "# callctl: allow\nchatbot_type: 1", 1, 0),
        (".vue", "<!-- callctl: allow -->\n{{ a.chatbotType }}", 1, 0),
    ],
)
def test_allowed(suffix: str, text: str, allowed: int, left: int) -> None:
    held = file_refs(f"a{suffix}", text, SPELLINGS)
    assert (held.allowed, sum(each.counts for each in held.references)) == (allowed, left)


def test_a_long_line_is_cut_around_the_place() -> None:
    for before, after in ((0, 300), (300, 0), (300, 300), (90, 10)):
        (only,) = file_refs("a.js", f"\t{'a ' * before}x.chatbotType{' b' * after}\n", SPELLINGS).references
        assert len(only.text) <= 120
        assert "x.chatbotType" in only.text
        assert only.column == 1 + 2 * before + 2 + 1


def test_a_password_is_not_shown() -> None:
    (only,) = file_refs("a.js", "f('postgresql://me:s3cret@db/x', a.chatbotType)", SPELLINGS).references
    assert only.text == "f('postgresql://me:***@db/x', a.chatbotType)"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_and_columns(newline: str) -> None:
    (only,) = file_refs("a.py", newline.join(("", "é = 1", "é.chatbot_type", "")), SPELLINGS).references
    assert (only.line, only.column, only.text) == (3, 3, "é.chatbot_type")


# ---- imports -------------------------------------------------------------------------------------------

# By what is imported: the files of a tree, and the lines that count. A line that names the column itself counts anyway.
IMPORTS: dict[str, tuple[dict[str, str], list[str]]] = {
    "the name": (
        {"a.ts": "import { type chatbotType } from 's'\nimport chatbot_type, * as n from 's'"},
        ["a.ts:1", "a.ts:2"],
    ),
    "required": ({"a.js": "const { chatbotType: k } = require('s')"}, ["a.js:1"]),
    "on lines of its own": ({"a.ts": "import type {\n  Other,\n  ChatbotType as K,\n} from 's'"}, ["a.ts:3"]),
    "renamed on the way out": (
        {"db/index.ts": "export { chatbotType as kind } from './s'", "a.ts": "import { kind } from './db'"},
        ["a.ts:1", "db/index.ts:1"],
    ),
    "renamed on the way in": (
        {
            "i.ts": "import { chatbotType as kind } from 's'\nexport { kind }",
            "b/a.ts": "import {\n  kind as k\n} from '../i.js'",
        },
        ["b/a.ts:2", "i.ts:1", "i.ts:2"],
    ),
    "passed on, and renamed again": (
        {
            "i.ts": "export { chatbotType as kind } from 's'",
            "j.ts": "export * from './i'",
            "k.ts": "export { kind as sort } from './j'",
            "a.tsx": "import { sort } from './k'\nexport const A = () => <p>{sort}</p>",
        },
        ["a.tsx:1", "i.ts:1", "k.ts:1"],
    ),
    "the default": (
        {
            "i.ts": "export default chatbotType",
            "j.ts": "export { default } from './i'",
            "a.ts": "import kind from './j'",
        },
        ["a.ts:1", "i.ts:1", "j.ts:1"],
    ),
    "another constant or type": (
        {
            "src/i.ts": "export const kind = schema.chatbotType\nexport type Kind = ChatbotType",
            "a.ts": "import { kind } from '@/i'\nimport type { Kind } from 'src/i'",
        },
        ["a.ts:1", "a.ts:2", "src/i.ts:1", "src/i.ts:2"],
    ),
    "into a component": (
        {
            "i.ts": "export { chatbotType as kind }",
            "a.vue": "<p>it's</p>\n<script setup lang='ts'>\nimport { kind } from './i'\n</script>",
        },
        ["a.vue:3", "i.ts:1"],
    ),
    "in Python": (
        {
            "pkg/__init__.py": "from .models import chatbot_type as kind",
            "pkg/b.py": "from . import kind",
            "a.py": "from pkg import (\n    other,\n    kind as k,\n)",
        },
        ["a.py:3", "pkg/__init__.py:1", "pkg/b.py:1"],
    ),
    "by a longer name, for a line that counts": (
        {"a.ts": "import { chatbotTypeEnum } from 'e'\nconst t = { chatbotType: chatbotTypeEnum('x') }"},
        ["a.ts:1", "a.ts:2"],
    ),
    "by a longer name, in Python": (
        {"a.py": "from e import ChatbotTypeEnum\nclass A:\n    chatbot_type = Column(Enum(ChatbotTypeEnum))"},
        ["a.py:1", "a.py:3"],
    ),
    "by a longer name, for anything else": (
        {"a.ts": "import { chatbotTypes } from 'e'\nf(chatbotTypes)\nb.chatbotType"},
        ["a.ts:3"],
    ),
    "another thing of that name": (
        {
            "i.ts": "export { chatbotType as kind } from 's'",
            "a.ts": "import { kind } from './j'\nimport { other } from './i'\n// import { kind } from './i'",
            "b.ts": "function f() { const kind = b.chatbotType }\nexport const other = i.kind",
            "c.ts": "import { kind, other } from './b'",
        },
        ["b.ts:1", "i.ts:1"],
    ),
    "and allowed": (
        {
            "i.ts": "export { chatbotType as kind } from 's' // callctl: allow",
            "a.ts": "// callctl: allow - until May\nimport { kind } from './i'",
        },
        [],
    ),
}


@pytest.mark.parametrize("what", IMPORTS)
def test_imports(what: str, tmp_path: Path) -> None:
    files, expected = IMPORTS[what]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    counting = [each for each in code_refs([str(tmp_path)]).references if each.counts]
    assert sorted({f"{Path(each.file).relative_to(tmp_path).as_posix()}:{each.line}" for each in counting}) == expected


# ---- the tree ------------------------------------------------------------------------------------------


def write(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x.chatbot_type\n")


def named(answer: CodeRefs, root: Path) -> list[str]:
    return [Path(each.file).relative_to(root).as_posix() for each in answer.references]


def test_a_tree_without_git(tmp_path: Path) -> None:
    write(tmp_path, "b/z.ts", "a.ts", "b/a.py", "node_modules/x/a.js", "b/dist/a.js", ".venv/a.py", "notes.md")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "c.ts").symlink_to("a.ts")
    answer = code_refs([str(tmp_path)])
    assert named(answer, tmp_path) == ["a.ts", "b/a.py", "b/z.ts"]
    assert (answer.files, answer.unread) == (3, (str(tmp_path / "notes.md"),))
    assert answer.skipped == ()  # what the link leads to is read anyway
    assert named(code_refs([str(tmp_path / "b" / "dist")]), tmp_path) == ["b/dist/a.js"]
    twice = code_refs([str(tmp_path / "b"), str(tmp_path), str(tmp_path / "a.ts")])
    assert named(twice, tmp_path) == ["b/a.py", "b/z.ts", "a.ts"]


def test_a_tree_with_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "new.ts", "dist/kept.ts", "ignored/a.ts", "node_modules/a.js", "gone.ts", "inner/a.ts")
    (tmp_path / ".gitignore").write_text("ignored/\n")
    for command in (["init", "-q"], ["add", "-f", "dist", "gone.ts", "node_modules"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    subprocess.run(["git", "-C", str(tmp_path / "inner"), "init", "-q"], check=True)
    (tmp_path / "gone.ts").unlink()
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook
    assert named(code_refs([str(tmp_path)]), tmp_path) == ["dist/kept.ts", "inner/a.ts", "new.ts"]
    assert named(code_refs([str(tmp_path / "ignored")]), tmp_path) == ["ignored/a.ts"]  # it was asked for
    monkeypatch.setenv("PATH", "")
    assert named(code_refs([str(tmp_path)]), tmp_path) == ["ignored/a.ts", "inner/a.ts", "new.ts"]


@pytest.mark.parametrize(
    ("glob", "left"),
    [
        ("*.ts", ["a/b/x.py"]),
        ("a", ["x.ts"]),
        ("a/b", ["a/x.ts", "x.ts"]),
        ("b/", ["a/x.ts", "x.ts"]),
        ("a/*", ["x.ts"]),
        ("x.py", ["a/x.ts", "x.ts"]),
        ("none", ["a/b/x.py", "a/x.ts", "x.ts"]),
    ],
)
def test_exclude(glob: str, left: list[str], tmp_path: Path) -> None:
    write(tmp_path, "x.ts", "a/x.ts", "a/b/x.py")
    assert named(code_refs([str(tmp_path)], exclude=[glob]), tmp_path) == left


def test_odd_files(tmp_path: Path) -> None:
    write(tmp_path, "plain.ts")
    (tmp_path / "latin.py").write_bytes(b"# \xe9\nx.chatbot_type\n")
    (tmp_path / "utf16.sql").write_bytes("SELECT chatbot_type".encode("utf-16"))
    (tmp_path / "bom.ts").write_bytes(b"\xef\xbb\xbfchatbotType")
    (tmp_path / "video.ts").write_bytes(b"G\0\xff\xfe\x9dchatbot_type")
    (tmp_path / "zero.ts").write_bytes(b"x = '\0'; y.chatbot_type")
    (tmp_path / "wide.ts").write_bytes("y.chatbot_type".encode("utf-16-le"))
    (tmp_path / "wider.ts").write_bytes("y.chatbot_type".encode("utf-32"))
    (tmp_path / "video.mp4").write_bytes(b"G\0\xff\xfe\x9dchatbot_type")
    (tmp_path / "small.json").write_bytes(b" " * 6_000_000)
    (tmp_path / "large.json").write_bytes(b" " * 4_999_995 + b"chatbot_type" + b" " * 10)
    (tmp_path / "lost.js").write_text("x = 'a // chatbotType")
    answer = code_refs([str(tmp_path)])
    assert named(answer, tmp_path) == [
        *("bom.ts", "latin.py", "lost.js", "plain.ts", "utf16.sql", "wide.ts", "wider.ts", "zero.ts")
    ]
    assert {Path(each.file).name: each.why for each in answer.skipped} == {
        "latin.py": "is not in UTF-8 and was read as Latin-1",
        "video.ts": "is binary",
        "large.json": "is larger than 5 MB and names the column: search it by hand",
        "lost.js": "a part of the file cannot be parsed, so its comments count as code",
    }
    assert answer.references[0].column == 1
    assert answer.not_read == 2


# What keeps a source file from being read, and the glob that names it.
UNREAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "over 5 MB": ("large.json", lambda path: path.write_bytes(b" " * 4_999_995 + b"chatbot_type" + b" " * 10)),
    "UTF-16 over 5 MB": ("large.sql", lambda path: path.write_bytes(("x" * 2_600_000).encode("utf-16"))),
    "binary": ("video.ts", lambda path: path.write_bytes(b"G\0\xff\xfe\x9dchatbot_type")),
    "a linked directory": ("linked", lambda path: path.symlink_to(path.parent.parent / "elsewhere")),
}


@pytest.mark.parametrize("what", UNREAD)
@pytest.mark.parametrize("git", [False, True])
def test_what_was_not_read_is_not_clear(what: str, git: bool, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "a.ts").write_text("x = 1")
    name, make = UNREAD[what]
    make(root / name)
    if git:
        subprocess.run(["git", "-C", str(root), "init", "-q"], check=True)
    answer = code_refs([str(root)])
    assert (answer.clear, answer.not_read, len(answer.skipped)) == (False, 1, 1)
    assert answer.skipped[0].file == str(root / name)
    assert code_refs([str(root)], exclude=[name]).clear


@pytest.mark.parametrize("name", ["a.ts", "inner"])
def test_what_may_not_be_opened_is_not_clear(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a role that is not root: a file and a directory without the right to read."""
    (tmp_path / "inner").mkdir()
    write(tmp_path, "a.ts", "inner/b.ts", "c.py")
    opened, listed = Path.open, os.scandir

    def denied(path: object) -> bool:
        return str(path).endswith(f"/{name}")

    def open_(path: Path, *more: Any, **named: Any) -> Any:
        if denied(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *more, **named)

    def scandir(path: Any) -> Any:
        if denied(path):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "open", open_)
    monkeypatch.setattr(os, "scandir", scandir)
    answer = code_refs([str(tmp_path)])
    assert [(Path(skipped.file).name, skipped.why) for skipped in answer.skipped] == [(name, "permission denied")]
    assert answer.not_read == 1
    assert code_refs([str(tmp_path)], exclude=[name]).skipped == ()


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="found no source file"):
        code_refs([str(tmp_path)])
    write(tmp_path, "a.txt", "b.ts")
    with pytest.raises(Refused):
        code_refs([str(tmp_path)], exclude=["*.ts"])
    with pytest.raises(UsageError, match="no such file or directory"):
        code_refs([str(tmp_path / "none")])
